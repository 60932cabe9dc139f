"""Event entities: what an invoice and its account show of announcements."""

from collections.abc import Awaitable, Callable
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er, restore_state
import pytest

from custom_components.crypto_invoices.book.transitions import KINDS
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.delivery.announcement import NOT_FULFILLED
from custom_components.crypto_invoices.trigger import TRIGGERS

from .conftest import (
    ENGLISH,
    ICONS,
    AddAccount,
    Runs,
    SandboxServer,
    async_add_invoices,
    async_automate,
    async_later,
    async_settle,
    device_id,
    state_of,
)

pytestmark = pytest.mark.usefixtures("entities_enabled")

ANY = {"any_paid", "any_status_changed"}


def event_of(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str | None = None) -> State:
    """Return the state of the event entity of an invoice, or of the account."""
    unique_id = "_".join((entry.entry_id, *([invoice_id] if invoice_id else []), "activity"))
    entity_id = er.async_get(hass).async_get_entity_id("event", DOMAIN, unique_id)
    assert entity_id, unique_id
    state = hass.states.get(entity_id)
    assert state, entity_id
    return state


def kinds(hass: HomeAssistant, entry: ConfigEntry, *invoice_ids: str) -> list[str | None]:
    """Return what the account's event entity says last, and what each invoice's does."""
    events = [event_of(hass, entry, id_) for id_ in (None, *invoice_ids)]
    return [event.attributes["event_type"] for event in events]


async def test_one_each(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """The account has an event entity, and each invoice its own; they begin with nothing."""
    first, second = (sandbox.store.create("cryptocloud") for _ in range(2))
    entry = await add_account("cryptocloud", first.id)
    assert len(hass.states.async_entity_ids("event")) == 2
    await async_add_invoices(hass, entry, [second.id])
    assert len(hass.states.async_entity_ids("event")) == 3
    entities = er.async_get(hass)
    for invoice_id in (None, first.id, second.id):
        event = event_of(hass, entry, invoice_id)
        assert event.state == "unknown"
        assert (
            set(event.attributes["event_types"])
            == set(KINDS)
            == TRIGGERS.keys() - ANY - {NOT_FULFILLED}
        )
        entity = entities.async_get(event.entity_id)
        assert entity
        assert entity.device_id == device_id(hass, entry, invoice_id)


@pytest.mark.parametrize(
    ("provider", "steps"),
    [
        ("cryptocloud", [("partly_pay", "partially_paid"), ("pay", "paid")]),
        ("cryptocloud", [("overpay", "overpaid")]),
        ("cryptocloud", [("pay", "paid"), ("revert", "paid"), (None, "payment_reverted")]),
        ("cryptocloud", [("cancel", "canceled"), ("revert", "canceled"), (None, "status_changed")]),
        ("egates", [("underpay", "underpaid")]),
    ],
    ids=str,
)
async def test_kinds(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    provider: str,
    steps: list[tuple[str | None, str]],
) -> None:
    """Each transition is one event of one type, at the invoice and at the account."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    for action, expected in steps:
        if action:
            sandbox.store.act(provider, invoice.id, action)
        await async_later(hass)
        assert kinds(hass, entry, invoice.id) == [expected, expected], action


async def test_attributes(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """An event says which invoice of which account, what it was and what it is."""
    invoice, other = (sandbox.store.create("cryptocloud", order_id=f"HA-{n}") for n in range(2))
    entry = await add_account("cryptocloud", invoice.id, other.id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    of_invoice, of_account = event_of(hass, entry, invoice.id), event_of(hass, entry)
    told = {
        key: value
        for key, value in of_invoice.attributes.items()
        if key not in {"event_types", "friendly_name"}
    }
    assert told.items() <= of_account.attributes.items()
    named = ENGLISH["entity"]["event"]["activity"]["state_attributes"]
    assert told.keys() == named.keys()
    assert len(told.pop("announcement_id")) == 32
    assert told == {
        "event_type": "paid",
        "text": "HA-0 was paid: $25.00",
        "amount_text": "$25.00",
        "invoice_id": invoice.id,
        "provider": "cryptocloud",
        "account": entry.title,
        "status": "paid",
        "previous_status": "pending",
        "amount": 25.0,
        "currency": "USD",
        "amount_received": 24.52,
        "order_id": "HA-0",
        "created_at": invoice.created_at.isoformat(),
        "paid_at": None,
        "is_test": False,
        "is_late": False,
        "fulfilled_at": None,
    }
    assert event_of(hass, entry, other.id).state == "unknown"


async def test_available_in_an_outage(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """An outage neither hides the last event nor is it one."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    sandbox.store.act("cryptocloud", invoice.id, "partly_pay")
    await async_later(hass)
    before = [event_of(hass, entry), event_of(hass, entry, invoice.id)]
    sandbox.switch("cryptocloud", "server_error")
    await async_later(hass)
    assert state_of(hass, entry, invoice.id, "status").state == "unavailable"
    assert [event_of(hass, entry), event_of(hass, entry, invoice.id)] == before
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    sandbox.switch("cryptocloud", None)
    await async_later(hass)
    assert kinds(hass, entry, invoice.id) == ["paid", "paid"]


async def test_several_in_one_reading(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, reports: Runs
) -> None:
    """Payments found together are one event each at the account, with nothing swallowed."""
    invoices = [sandbox.store.create("cryptocloud") for _ in range(20)]
    entry = await add_account("cryptocloud", *(invoice.id for invoice in invoices))
    await async_automate(
        hass,
        {
            "triggers": {
                "trigger": "event.received",
                "target": {"entity_id": event_of(hass, entry).entity_id},
                "options": {"event_type": ["paid", "overpaid"]},
            },
            "actions": {
                "action": "test.report",
                "data": {"invoice": "{{ trigger.to_state.attributes.invoice_id }}"},
            },
            "mode": "queued",
            "max": 100,
        },
    )
    for invoice in invoices:
        sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    assert sorted(report["invoice"] for report in reports) == sorted(
        invoice.id for invoice in invoices
    )
    assert {event_of(hass, entry, invoice.id).attributes["event_type"] for invoice in invoices} == {
        "paid"
    }


async def reloaded(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Reload the account."""
    assert await hass.config_entries.async_reload(entry.entry_id)


async def restarted(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Forget every state but what is on the disk."""
    await restore_state.async_get(hass).async_dump_states()
    assert await hass.config_entries.async_unload(entry.entry_id)
    hass.data.pop(restore_state.DATA_RESTORE_STATE)
    await restore_state.async_load(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)


type Again = Callable[[HomeAssistant, ConfigEntry], Awaitable[None]]


@pytest.mark.parametrize("again", [reloaded, restarted])
async def test_last_event_is_kept(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    sandbox: SandboxServer,
    add_account: AddAccount,
    again: Again,
) -> None:
    """After a reload and a restart the last event is still there, and is no new one."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    before = [event_of(hass, entry), event_of(hass, entry, invoice.id)]
    await again(hass, entry)
    await async_settle(hass)
    after = [event_of(hass, entry), event_of(hass, entry, invoice.id)]
    assert [(event.state, event.attributes) for event in after] == [
        (event.state, event.attributes) for event in before
    ]
    assert after[0].attributes["event_type"] == "paid"


async def test_disabled(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """The account's event entity works without those of its invoices."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    er.async_get(hass).async_update_entity(
        event_of(hass, entry, invoice.id).entity_id, disabled_by=er.RegistryEntryDisabler.USER
    )
    assert await hass.config_entries.async_reload(entry.entry_id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    assert kinds(hass, entry) == ["paid"]


async def test_texts(hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount) -> None:
    """Each event type and attribute that is shown has its text, and the entity an icon."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    event = event_of(hass, entry, invoice.id)
    texts = ENGLISH["entity"]["event"]["activity"]
    assert texts["name"]
    assert texts["state_attributes"]["event_type"]["state"].keys() == set(KINDS)
    shown = event.attributes.keys() - {"event_types", "friendly_name"}
    assert texts["state_attributes"].keys() == shown
    assert all(text["name"] for text in texts["state_attributes"].values())
    assert ICONS["entity"]["event"]["activity"]["default"].startswith("mdi:")
    assert event.name.endswith(texts["name"])
