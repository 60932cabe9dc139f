"""What a user sees of an invoice and of an account."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from syrupy.assertion import SnapshotAssertion

from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.providers.model import InvoiceStatus
from sandbox.faults import Fault
from sandbox.invoice import SandboxInvoice

from .conftest import (
    AddAccount,
    SandboxServer,
    account_state,
    async_add_invoices,
    async_delete_device,
    async_later,
    async_settle,
    each_provider,
    find_entity,
    state_of,
)

IDS = {
    "cryptocloud": "INV-ABCD1234",
    "cryptocloud_v1": "INV-ABCD1234",
    "egates": "3c3a4b9c-7a51-4d59-9a62-3f6d6f0c8f11",
    "btcpay": "AbCdEfGhJkLmNpQrStUvWx",
    "lnbits": "ab" * 32,
}


def lasting_invoice(sandbox: SandboxServer, provider: str) -> SandboxInvoice:
    """Make an invoice that is the same in each run."""
    invoice = sandbox.store.create(
        provider, invoice_id=IDS[provider], amount=Decimal("25.10"), order_id="Coffee"
    )
    invoice.created_at = invoice.updated_at = datetime(2026, 10, 1, 12, 0, 0, 250_000, UTC)
    invoice.expires_at = datetime(2126, 10, 1, 15, 0, tzinfo=UTC)
    return invoice


def shown(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> dict[str, Any]:
    """Return the states and attributes of all sensors of an invoice."""
    prefix = f"{entry.entry_id}_{invoice_id}_"
    sensors = {}
    for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        if entity.domain == "sensor" and entity.unique_id.startswith(prefix):
            state = hass.states.get(entity.entity_id)
            assert state
            attributes = {
                str(name): value.isoformat() if isinstance(value, datetime) else value
                for name, value in state.attributes.items()
                if name != "options"
            }
            key = entity.unique_id.removeprefix(prefix)
            sensors[key] = {"state": state.state, **attributes}
    return sensors


@pytest.mark.usefixtures("entities_enabled")
@pytest.mark.parametrize(
    ("provider", "typed"),
    [
        ("cryptocloud", {}),
        ("cryptocloud_v1", {}),
        ("egates", {}),
        ("egates", {"time_zone": "Asia/Tashkent"}),
    ],
    ids=["cryptocloud", "cryptocloud_v1", "egates", "egates with a zone"],
)
async def test_invoice(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    snapshot: SnapshotAssertion,
    *,
    provider: str,
    typed: dict[str, str],
) -> None:
    """An invoice shows everything its provider tells, before and after it is paid."""
    invoice = lasting_invoice(sandbox, provider)
    entry = await add_account(provider, invoice.id, **typed)
    assert shown(hass, entry, invoice.id) == snapshot(name="pending")
    sandbox.store.act(provider, invoice.id, "pay")
    invoice.updated_at = invoice.created_at + timedelta(minutes=5)
    await async_later(hass)
    assert shown(hass, entry, invoice.id) == snapshot(name="paid")


@pytest.mark.parametrize(
    ("provider", "action", "status", "word"),
    [
        ("cryptocloud", "partly_pay", "partially_paid", "partial"),
        ("cryptocloud", "pay", "paid", "paid"),
        ("cryptocloud", "overpay", "overpaid", "overpaid"),
        ("cryptocloud", "expire", "canceled", "canceled"),
        ("cryptocloud", "cancel", "canceled", "canceled"),
        ("cryptocloud_v1", "partly_pay", "partially_paid", "partial"),
        ("cryptocloud_v1", "pay", "paid", "paid"),
        ("cryptocloud_v1", "overpay", "paid", "paid"),
        ("cryptocloud_v1", "cancel", "canceled", "canceled"),
        ("egates", "pay", "paid", "SUCCESS"),
        ("egates", "underpay", "underpaid", "SUCCESS_SMALL_AMOUNT"),
        ("egates", "expire", "canceled", "CANCEL"),
    ],
)
async def test_status(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    *,
    provider: str,
    action: str,
    status: str,
    word: str,
) -> None:
    """A status is seen with the next reading, with the provider's own word beside ours."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    state = state_of(hass, entry, invoice.id, "status")
    assert state.state == "pending"
    assert state.attributes["device_class"] == "enum"
    assert state.attributes["options"] == [*(status.value for status in InvoiceStatus), "not_found"]
    assert account_state(hass, entry, "open_invoices").state == "1"
    sandbox.store.act(provider, invoice.id, action)
    await async_later(hass)
    state = state_of(hass, entry, invoice.id, "status")
    assert state.state == state.attributes["status"] == status
    assert state.attributes["provider_status"] == word
    still_open = InvoiceStatus(status).is_open
    assert account_state(hass, entry, "open_invoices").state == str(int(still_open))


async def test_going_back(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """A payment that is taken back is shown as such."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    for action, status, received in (
        ("pay", "paid", "24.52"),
        ("revert", "pending", "0"),
        ("partly_pay", "partially_paid", "12.26"),
    ):
        sandbox.store.act("cryptocloud", invoice.id, action)
        # A step back has to be said twice.
        for _ in range(2):
            await async_later(hass)
        assert state_of(hass, entry, invoice.id, "status").state == status
        assert float(state_of(hass, entry, invoice.id, "amount_received").state) == float(received)


async def test_legacy_api_has_no_amounts(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """What the legacy API never says is neither a sensor nor a zero."""
    invoice = sandbox.store.create("cryptocloud_v1")
    entry = await add_account("cryptocloud_v1", invoice.id)
    assert shown(hass, entry, invoice.id).keys() == {"status"}
    attributes = state_of(hass, entry, invoice.id, "status").attributes
    for name in ("amount", "currency", "amount_received"):
        assert attributes[name] is None


@pytest.mark.parametrize(
    ("provider", "amount", "currency", "state", "device_class", "precision"),
    [
        ("cryptocloud", "25.10", "USD", "25.1", SensorDeviceClass.MONETARY, 2),
        ("cryptocloud", "0.1", "EUR", "0.1", SensorDeviceClass.MONETARY, 2),
        ("cryptocloud", "0.00000001", "EUR", "0.00000001", SensorDeviceClass.MONETARY, 2),
        ("cryptocloud", "1000000000", "RUB", "1000000000", SensorDeviceClass.MONETARY, 2),
        ("egates", "25.10", "USDT", "25.1", None, 2),
        ("egates", "1000", "USDT", "1000", None, 2),
        ("egates", "0.00000001", "BTC", "0.00000001", None, 8),
        ("egates", "123456789.12345678", "BTC", "123456789.12345678", None, 8),
        ("egates", "0.00000002", "ETH", "0.00000002", None, None),
    ],
)
async def test_amount(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    *,
    provider: str,
    amount: str,
    currency: str,
    state: str,
    device_class: SensorDeviceClass | None,
    precision: int | None,
) -> None:
    """Amounts are exact plain digits, and money only where the frontend can format it."""
    if provider == "cryptocloud":
        sandbox.sandbox.set("cryptocloud", "fiat_currency", "sent")
    invoice = sandbox.store.create(provider, amount=Decimal(amount), currency=currency)
    entry = await add_account(provider, invoice.id)
    sensor = state_of(hass, entry, invoice.id, "amount")
    assert sensor.state == state
    assert sensor.attributes["unit_of_measurement"] == currency
    assert sensor.attributes.get("device_class") == device_class
    assert "state_class" not in sensor.attributes
    entity = er.async_get(hass).async_get(sensor.entity_id)
    assert entity
    options: Mapping[str, Any] = entity.options.get("sensor", {})
    assert options.get("suggested_display_precision") == precision
    attributes = state_of(hass, entry, invoice.id, "status").attributes
    assert (attributes["amount"], attributes["currency"]) == (float(amount), currency)


async def test_amount_without_the_currency_of_issue(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """A provider that doesn't say in which fiat currency it was issued has an amount in USD."""
    invoice = sandbox.store.create("cryptocloud", amount=Decimal(10), currency="EUR")
    entry = await add_account("cryptocloud", invoice.id)
    sensor = state_of(hass, entry, invoice.id, "amount")
    assert (sensor.state, sensor.attributes["unit_of_measurement"]) == ("10.8", "USD")


async def test_chosen_coin(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """What the payer picks is beside the amount, which stays what it was."""
    invoice = sandbox.store.create("cryptocloud", amount=Decimal(10))
    entry = await add_account("cryptocloud", invoice.id)
    attributes = state_of(hass, entry, invoice.id, "status").attributes
    assert "pay_currency" not in attributes
    sandbox.store.act("cryptocloud", invoice.id, "choose_coin")
    await async_later(hass)
    status = state_of(hass, entry, invoice.id, "status")
    assert status.state == "pending"
    assert (status.attributes["pay_currency"], status.attributes["network"]) == ("USDT", "TRC20")
    assert (status.attributes["amount"], status.attributes["currency"]) == (10.0, "USD")


@pytest.mark.usefixtures("entities_enabled")
async def test_expires_while_there_is_something_to_expire(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """A payment that was seen is in time, and what is over has expired or never will."""
    invoice = sandbox.store.create("btcpay")
    entry = await add_account("btcpay", invoice.id)
    entity_id = state_of(hass, entry, invoice.id, "expires_at").entity_id
    for action in ("process", "pay"):
        sandbox.store.act("btcpay", invoice.id, action)
        await async_later(hass)
        assert find_entity(hass, entry, invoice.id, "expires_at") is None
        assert hass.states.get(entity_id) is None


async def test_which_entities_are_on(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Few entities are on at first, and those are what people look at."""
    invoice = sandbox.store.create("cryptocloud", order_id="Coffee")
    entry = await add_account("cryptocloud", invoice.id)
    found = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    is_on = {one.entity_id: one.disabled_by is None for one in found}
    assert is_on == {
        "binary_sensor.cryptocloud_connected": True,
        "button.cryptocloud_check_now": True,
        "event.cryptocloud_activity": False,
        "event.coffee_activity": False,
        "image.coffee_payment_qr_code": True,
        "sensor.coffee": True,
        "sensor.coffee_amount": True,
        "sensor.coffee_amount_received": True,
        "sensor.coffee_expires": False,
        "sensor.cryptocloud_balance_usdt": True,
        "sensor.cryptocloud_last_successful_reading": False,
        "sensor.cryptocloud_open_invoices": True,
        "sensor.cryptocloud_outstanding_usd": True,
        "sensor.cryptocloud_paid_today": True,
        "sensor.cryptocloud_received_usd": True,
    }
    assert "unit_of_measurement" not in account_state(hass, entry, "open_invoices").attributes


@pytest.mark.parametrize(
    ("order_id", "entity_id"),
    [
        ("Coffee beans, 2 kg", "sensor.coffee_beans_2_kg"),
        ("Gift 🎁", "sensor.gift"),
        ("🎁", "sensor.invoice"),
        ("1042", "sensor.invoice_1042"),
        ("\u0642\u0647\u0648\u0629", "sensor.qhw"),
        ("<img src=x onerror=alert(1)>", "sensor.img_src_x_onerror_alert_1"),
        ("0123456789abcdef" * 4, "sensor.invoice_abcdef"),
    ],
)
async def test_entity_ids(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    order_id: str,
    entity_id: str,
) -> None:
    """An entity's ID is readable, whatever the order ID is."""
    invoice = sandbox.store.create("cryptocloud", order_id=order_id)
    entry = await add_account("cryptocloud", invoice.id)
    assert state_of(hass, entry, invoice.id, "status").entity_id == entity_id


@each_provider
async def test_deleted_at_the_provider(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """An invoice that its provider doesn't know any more says so; an outage is something else."""
    invoice, other = (sandbox.store.create(provider, order_id=f"HA-{n}") for n in range(2))
    entry = await add_account(provider, invoice.id, other.id)
    sandbox.store.act(provider, invoice.id, "delete")
    await async_later(hass)
    status = state_of(hass, entry, invoice.id, "status")
    assert (status.state, status.attributes["status"]) == ("not_found", "not_found")
    assert status.attributes["invoice_id"] == invoice.id
    assert status.attributes.get("order_id") == (None if provider == "cryptocloud_v1" else "HA-0")
    assert state_of(hass, entry, other.id, "status").state == "pending"
    assert account_state(hass, entry, "connected").state == "on"
    sandbox.switch(provider, Fault.SERVER_ERROR)
    await async_later(hass)
    for one in (invoice, other):
        assert state_of(hass, entry, one.id, "status").state == "unavailable"
    assert account_state(hass, entry, "connected").state == "off"


async def test_time_zone_not_given(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Times without a zone are texts as the provider wrote them, not sensors."""
    invoice = sandbox.store.create("egates")
    entry = await add_account("egates", invoice.id)
    assert find_entity(hass, entry, invoice.id, "expires_at") is None
    written = f"{invoice.expires_at + timedelta(hours=5):%Y-%m-%d %H:%M:%S}"
    assert state_of(hass, entry, invoice.id, "status").attributes["expires_at"] == written


@pytest.mark.usefixtures("entities_enabled")
async def test_time_zone_given(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """With a zone, the end of an invoice is a moment; what is in another zone stays a text."""
    invoice = sandbox.store.create("egates")
    entry = await add_account("egates", invoice.id, time_zone="Asia/Tashkent")
    sensor = state_of(hass, entry, invoice.id, "expires_at")
    ends = invoice.expires_at.replace(microsecond=0)
    assert dt_util.parse_datetime(sensor.state) == ends
    assert sensor.attributes["device_class"] == "timestamp"
    attributes = state_of(hass, entry, invoice.id, "status").attributes
    assert attributes["expires_at"] == ends
    assert attributes["created_at"] == invoice.created_at.replace(microsecond=0)
    assert attributes["updated_at"] == f"{invoice.updated_at:%Y-%m-%d %H:%M:%S}"


@pytest.mark.usefixtures("entities_enabled")
@each_provider
async def test_last_reading(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    freezer: FrozenDateTimeFactory,
    provider: str,
) -> None:
    """The last reading is told even where it brought nothing new, and in an outage."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)

    async def async_a_minute_later() -> datetime | None:
        freezer.tick(61)
        await async_later(hass)
        return dt_util.parse_datetime(account_state(hass, entry, "last_reading").state)

    first = await async_a_minute_later()
    assert first
    assert await async_a_minute_later() == first + timedelta(seconds=61)
    sandbox.switch(provider, Fault.SERVER_ERROR)
    assert await async_a_minute_later() == first + timedelta(seconds=61)
    assert account_state(hass, entry, "open_invoices").state == "1"
    sandbox.switch(provider, None)
    assert await async_a_minute_later() == first + timedelta(seconds=183)
    assert account_state(hass, entry, "open_invoices").state == "1"


@each_provider
async def test_devices(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """An invoice is a device of its account, named as people know it."""
    invoice = lasting_invoice(sandbox, provider)
    entry = await add_account(provider, invoice.id)
    registry = dr.async_get(hass)
    devices = dr.async_entries_for_config_entry(registry, entry.entry_id)
    by_model = {device.model: device for device in devices}
    account, device = by_model["Account"], by_model["Invoice"]
    assert device.via_device_id == account.id
    assert account.name == entry.title
    name = "Invoice CD1234" if provider == "cryptocloud_v1" else "Coffee"
    assert device.name == name
    assert device.config_subentry_id is None
    for found in (account, device):
        assert found.entry_type is dr.DeviceEntryType.SERVICE
        assert found.manufacturer == entry.runtime_data.provider.name
    links = {"egates": None, "lnbits": None, "btcpay": f"{sandbox.url}/i/{invoice.id}"}
    link = links.get(provider, "https://pay.cryptocloud.plus/ABCD1234")
    assert device.configuration_url == link
    state = state_of(hass, entry, invoice.id, "status")
    assert state.attributes["friendly_name"] == name
    assert account_state(hass, entry, "open_invoices").attributes["friendly_name"] == (
        f"{entry.title} Open invoices"
    )


def name_of(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> str:
    """Return what an invoice is called, on its page and in lists."""
    return state_of(hass, entry, invoice_id, "status").name


async def test_same_names(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Two invoices of one order are told apart, as long as there are two."""
    first, second = (
        sandbox.store.create("cryptocloud", amount=Decimal(amount), order_id="Order")
        for amount in ("24.90", "1")
    )
    entry = await add_account("cryptocloud", first.id)
    assert name_of(hass, entry, first.id) == "Order"
    await async_add_invoices(hass, entry, [second.id])
    assert name_of(hass, entry, first.id) == "Order · $24.90"
    assert name_of(hass, entry, second.id) == "Order · $1.00"
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert name_of(hass, entry, first.id) == "Order · $24.90"
    await async_delete_device(hass, entry, second.id)
    await async_settle(hass)
    assert name_of(hass, entry, first.id) == "Order"
    # What it is called in automations stays.
    assert state_of(hass, entry, first.id, "status").entity_id == "sensor.order"


async def test_memo(hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount) -> None:
    """A memo is a name as soon as it is allowed, and no longer."""
    invoice = sandbox.store.create("cryptocloud_v1")
    entry = await add_account("cryptocloud_v1", invoice.id)
    entry.runtime_data.book.records[invoice.id].memo = "Two coffees"
    tail = f"Invoice {invoice.id[-6:]}"
    for is_allowed, name in ((False, tail), (True, "Two coffees"), (False, tail)):
        options = {"name_from_memo": is_allowed}
        hass.config_entries.async_update_entry(entry, options=options)
        await async_settle(hass)
        assert name_of(hass, entry, invoice.id) == name


async def test_unread_attributes_are_not_recorded(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """A link that anybody can pay or look at is not kept in the history."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    state = state_of(hass, entry, invoice.id, "status")
    assert state.state_info
    assert "payment_url" in state.attributes
    assert "payment_url" in state.state_info["unrecorded_attributes"]
    assert entry.domain == DOMAIN


async def test_amount_keeps_its_unit(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """A sensor that is unavailable for a while doesn't become another kind of sensor."""
    ids = [sandbox.store.create("cryptocloud").id for _ in range(2)]
    entry = await add_account("cryptocloud", *ids)
    before = state_of(hass, entry, ids[0], "amount")
    registry = er.async_get(hass)
    registered = registry.async_get(before.entity_id)
    assert registered
    sandbox.store.act("cryptocloud", ids[0], "delete")
    await async_later(hass)
    after = state_of(hass, entry, ids[0], "amount")
    assert after.state == "unavailable"
    assert after.attributes == before.attributes
    again = registry.async_get(before.entity_id)
    assert again
    assert again.options == registered.options
    assert again.original_device_class == registered.original_device_class


async def test_amounts_have_no_idle_zeros(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Eighteen decimals of nothing are how a provider counts, not what a user reads."""
    invoice = sandbox.store.create("egates", amount=Decimal("0.00500"), currency="ETH")
    entry = await add_account("egates", invoice.id)
    assert state_of(hass, entry, invoice.id, "amount").state == "0.005"
    assert state_of(hass, entry, invoice.id, "amount_received").state == "0"
    sandbox.store.act("egates", invoice.id, "pay")
    await async_later(hass)
    assert state_of(hass, entry, invoice.id, "amount_received").state == "0.005"


async def test_long_order_id(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """One that would make the recorder drop all attributes is cut."""
    invoice = sandbox.store.create("cryptocloud", order_id="x" * 20_000)
    entry = await add_account("cryptocloud", invoice.id)
    order_id = state_of(hass, entry, invoice.id, "status").attributes["order_id"]
    assert order_id == "x" * 254 + "…"
