"""Devices: the account's, and one for each watched invoice; they follow the book."""

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import batched

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo

from .book.naming import Names
from .book.record import Record
from .clients import provider_name
from .delivery.wording import base_name, written_money
from .identifiers import account_device, invoice_device, invoice_of_device
from .reading.watched import Watched

# Each takes the entities of its invoice along.
_REMOVED_AT_ONCE = 5
_RENAMED_AT_ONCE = 20


@callback
def async_register_account_device(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Create the account's device, or call it what the account is called now."""
    dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id,
        entry_type=DeviceEntryType.SERVICE,
        identifiers={account_device(entry.entry_id)},
        manufacturer=_manufacturer(entry),
        model="Account",
        name=entry.title,
    )


def account_device_info(entry: ConfigEntry) -> DeviceInfo:
    """Return the device of an account, which is registered before its entities are."""
    return DeviceInfo(identifiers={account_device(entry.entry_id)})


def invoice_device_info(
    hass: HomeAssistant, entry: ConfigEntry, one: Watched, name: str
) -> DeviceInfo:
    """Return the device of a watched invoice."""
    info = DeviceInfo(
        entry_type=DeviceEntryType.SERVICE,
        identifiers={invoice_device(entry.entry_id, one.record.id)},
        manufacturer=_manufacturer(entry),
        model="Invoice",
        name=name,
        configuration_url=one.invoice.payment_url if one.invoice else None,
    )
    account = dr.async_get(hass).async_get_device_by_identifier(
        account_device(entry.entry_id), entry.entry_id
    )
    if account is not None:
        info["via_device_id"] = account.id
    return info


def _manufacturer(entry: ConfigEntry) -> str:
    """Return whose accounts and invoices these are."""
    return provider_name(entry.data)


class InvoiceDevices:
    """Compares the devices of an account's invoices with its records."""

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry, records: Mapping[str, Record]
    ) -> None:
        """Keep the records, which are always the present ones."""
        self._hass = hass
        self._entry = entry
        self._records = records
        self.names = Names(records, partial(base_name, hass, entry), partial(written_money, hass))

    async def async_compare(self) -> None:
        """Remove the devices of what has none, a few at a time.

        The registry is written at other times than the book. After a kill, it may have the device of
        an invoice that was paid by the time it was watched again, and is shown on none since.
        """
        registry = dr.async_get(self._hass)
        invoices = {
            device.id: invoice_id
            for device in dr.async_entries_for_config_entry(registry, self._entry.entry_id)
            if (invoice_id := invoice_of_device(self._entry.entry_id, device.identifiers))
        }
        gone = [id_ for id_, invoice_id in invoices.items() if not self._has_device(invoice_id)]
        for some in batched(gone, _REMOVED_AT_ONCE, strict=False):
            for device_id in some:
                # Somebody else may have removed it, or watch its invoice again.
                if not self._has_device(invoices[device_id]) and registry.async_get(device_id):
                    registry.async_remove_device(device_id)
            await asyncio.sleep(0)

    def _has_device(self, invoice_id: str) -> bool:
        """Whether an invoice is watched and shown on a device of its own."""
        record = self._records.get(invoice_id)
        return record is not None and record.has_device

    async def async_name(self) -> None:
        """Rename the devices whose invoices are called otherwise with those that there are now."""
        await self._async_rename(self.names.compare())

    async def async_follow(self, changed: Iterable[str]) -> None:
        """Rename the devices of invoices that changed, and of those that are called the same."""
        await self._async_rename(self.names.follow(changed))

    async def _async_rename(self, invoice_ids: Iterable[str]) -> None:
        """Call the devices of some invoices what these are called now, a few at a time."""
        for some in batched(invoice_ids, _RENAMED_AT_ONCE, strict=False):
            for invoice_id in some:
                self._rename(invoice_id)
            await asyncio.sleep(0)

    @callback
    def _rename(self, invoice_id: str) -> None:
        """Call an invoice's device what the invoice is called now."""
        if (record := self._records.get(invoice_id)) is None:
            return
        registry = dr.async_get(self._hass)
        device = registry.async_get_device_by_identifier(
            invoice_device(self._entry.entry_id, invoice_id), self._entry.entry_id
        )
        if device is not None and device.name != (name := self.names.name(record)):
            registry.async_update_device(device.id, name=name)
