"""What all entities share: the devices of accounts and invoices."""

import asyncio
from collections.abc import Callable, Iterable
from typing import override

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import CryptoInvoicesCoordinator
from .providers.model import Invoice


@callback
def async_register_account_device(
    hass: HomeAssistant, coordinator: CryptoInvoicesCoordinator
) -> None:
    """Create the account's device, which those of its invoices refer to."""
    entry = coordinator.config_entry
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id,
        entry_type=DeviceEntryType.SERVICE,
        identifiers={(DOMAIN, entry.entry_id)},
        manufacturer=coordinator.provider.name,
        model="Account",
        name=entry.title,
    )
    coordinator.account_device_id = device.id


def invoice_identifier(entry_id: str, invoice_id: str) -> str:
    """Return what identifies an invoice's device and begins its entities' unique IDs."""
    return f"{entry_id}_{invoice_id}"


def account_device_info(coordinator: CryptoInvoicesCoordinator) -> DeviceInfo:
    """Return the device of an account, which is registered before its entities are."""
    return DeviceInfo(identifiers={(DOMAIN, coordinator.config_entry.entry_id)})


def invoice_device_info(coordinator: CryptoInvoicesCoordinator, invoice_id: str) -> DeviceInfo:
    """Return the device of a tracked invoice."""
    entry = coordinator.config_entry
    invoice = coordinator.data.invoices.get(invoice_id)
    return DeviceInfo(
        entry_type=DeviceEntryType.SERVICE,
        identifiers={(DOMAIN, invoice_identifier(entry.entry_id, invoice_id))},
        manufacturer=coordinator.provider.name,
        model="Invoice",
        name=entry.subentries[coordinator.tracked[invoice_id]].title,
        configuration_url=invoice.payment_url if invoice else None,
        via_device_id=coordinator.account_device_id,
    )


@callback
def async_add_invoice_entities(
    coordinator: CryptoInvoicesCoordinator,
    async_add_entities: AddConfigEntryEntitiesCallback,
    make_entities: Callable[[str], Iterable[Entity]],
) -> None:
    """Add the entities of each tracked invoice, now and as invoices get tracked."""
    added: set[str] = set()

    @callback
    def add_new_invoices() -> None:
        subentries = coordinator.config_entry.subentries
        added.intersection_update(coordinator.tracked.values())
        for invoice_id, subentry_id in coordinator.tracked.items():
            # One that was just removed is still among the tracked for a moment.
            if subentry_id not in added and subentry_id in subentries:
                added.add(subentry_id)
                async_add_entities(make_entities(invoice_id), config_subentry_id=subentry_id)

    coordinator.config_entry.async_on_unload(
        coordinator.publisher.async_add_tracking_listener(add_new_invoices)
    )
    add_new_invoices()


class AccountEntity(CoordinatorEntity[CryptoInvoicesCoordinator]):
    """An entity of an account."""

    _attr_has_entity_name = True

    def __init__(
        self, coordinator: CryptoInvoicesCoordinator, description: EntityDescription
    ) -> None:
        """Belong to the account's device."""
        super().__init__(coordinator)
        self.entity_description = description
        self._attr_unique_id = f"{coordinator.config_entry.entry_id}_{description.key}"
        self._attr_device_info = account_device_info(coordinator)

    @override
    async def async_update(self) -> None:
        """Read what is due, as a user may ask for, unless the provider wants to be left alone."""
        if not self.coordinator.is_backing_off:
            await super().async_update()


class InvoiceEntity(CoordinatorEntity[CryptoInvoicesCoordinator]):
    """An entity of a tracked invoice, available while the invoice can be read."""

    _attr_has_entity_name = True

    def __init__(
        self,
        coordinator: CryptoInvoicesCoordinator,
        invoice_id: str,
        description: EntityDescription,
    ) -> None:
        """Belong to the invoice's device."""
        super().__init__(coordinator, context=invoice_id)
        self.entity_description = description
        self.invoice_id = invoice_id
        self._shown = (coordinator.last_update_success, self.invoice)
        identifier = invoice_identifier(coordinator.config_entry.entry_id, invoice_id)
        self._attr_unique_id = f"{identifier}_{description.key}"

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """The invoice's device; only asked for while the entity is added, so not kept."""
        return invoice_device_info(self.coordinator, self.invoice_id)

    @property
    def invoice(self) -> Invoice | None:
        """The invoice as last read, or None when the last reading of it failed."""
        return self.coordinator.data.invoices.get(self.invoice_id)

    @property
    @override
    def available(self) -> bool:
        """Whether the last reading of this invoice succeeded."""
        return super().available and self.invoice is not None

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the invoice, beside the account as a whole."""
        await super().async_added_to_hass()
        self.async_on_remove(
            self.coordinator.publisher.async_add_invoice_listener(
                self.invoice_id, self._handle_coordinator_update
            )
        )

    @override
    async def async_update(self) -> None:
        """Read the invoice now, as a user may ask for; several together."""
        if look := self.coordinator.async_hint((self.invoice_id,)):
            await asyncio.shield(look)

    @override
    @callback
    def _handle_coordinator_update(self) -> None:
        """Write the state only where this invoice is what changed."""
        now = (self.coordinator.last_update_success, self.invoice)
        if now != self._shown:
            self._shown = now
            self.async_write_ha_state()
