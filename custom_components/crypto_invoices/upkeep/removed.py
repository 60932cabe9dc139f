"""Forgets what Home Assistant remembers of removed invoices, and would otherwise for ever."""

from datetime import timedelta

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import dt as dt_util

from ..identifiers import account_device, invoice_device, part_after

# As long as Home Assistant itself remembers what belonged to a removed account.
REMEMBERED_FOR = timedelta(days=30)
_STATUS = "_status"


@callback
def async_forget_removed(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Forget the devices and entities of an account that were removed a month ago.

    Home Assistant gives a device that comes back its old name and area, so it keeps each for as
    long as the account exists: a shop would write megabytes for each invoice that it adds.
    """
    registry = er.async_get(hass)
    oldest = dt_util.utcnow() - REMEMBERED_FOR
    removed = [
        key
        for key, one in registry.deleted_entities.items()
        if one.config_entry_id == entry.entry_id and one.modified_at < oldest
    ]
    if not removed:
        return
    for key in removed:
        del registry.deleted_entities[key]
    registry.async_schedule_save()
    _forget_devices(hass, entry, [unique_id for _, _, unique_id in removed])


@callback
def _forget_devices(hass: HomeAssistant, entry: ConfigEntry, unique_ids: list[str]) -> None:
    """Forget the removed devices that these entities were of.

    A device registry forgets a removed device once another one has its identifier.
    """
    devices, own = dr.async_get(hass), account_device(entry.entry_id)
    account = devices.async_get_device_by_identifier(own, entry.entry_id)
    forgotten = set()
    for unique_id in unique_ids:
        name = part_after(entry.entry_id, unique_id)
        if name is None or not name.endswith(_STATUS):
            continue
        identifier = invoice_device(entry.entry_id, name.removesuffix(_STATUS))
        if devices.async_get_device_by_identifier(identifier, entry.entry_id) is None:
            forgotten.add(identifier)
    if account is None or not forgotten:
        return
    for identifiers in ({own, *forgotten}, {own}):
        devices.async_update_device(account.id, new_identifiers=identifiers)
