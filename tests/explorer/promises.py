"""What is promised of any account at any time."""

from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import device_registry as dr

from custom_components.crypto_invoices.delivery.deliveries import async_get_deliveries
from custom_components.crypto_invoices.identifiers import invoice_of_device
from custom_components.crypto_invoices.runtime import AccountRuntime


def check_nothing_is_forgotten(account: AccountRuntime) -> None:
    """P1: what can still change is planned, and something is going to happen."""
    coordinator, book = account.coordinator, account.book
    planned = False
    for id_, record in book.records.items():
        one = coordinator.data.get(id_)
        assert one is not None, f"{id_} is in the book and not watched"
        assert one.record is record, f"{id_} is watched with another record"
        if not record.is_over:
            assert one.due is not None, f"{id_} can change and is not planned"
        planned = planned or one.due is not None
    assert not coordinator.data.keys() - book.records.keys(), "watched without a record"
    if planned:
        assert coordinator.reader.is_timer_armed, "something is planned and no timer armed"


def check_devices(hass: HomeAssistant, entry_id: str, account: AccountRuntime) -> set[str]:
    """P6: devices are those of the book, also in an outage; return whose they are."""
    devices = {
        invoice_id
        for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry_id)
        if (invoice_id := invoice_of_device(entry_id, device.identifiers))
    }
    shown = {id_ for id_, record in account.book.records.items() if record.has_device}
    assert devices == shown, "other devices than records"
    return shown


def check_news_are_announced(hass: HomeAssistant, entry_id: str, account: AccountRuntime) -> None:
    """P2: what differs from what was announced is under way."""
    if hass.state is not CoreState.running:
        return
    deliveries = async_get_deliveries(hass)
    for id_ in account.book.unannounced:
        assert deliveries.is_under_way(entry_id, id_), f"nobody announces {id_}"
