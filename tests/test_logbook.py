"""The activity: one sentence for each announcement, on the pages where people look for it."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from homeassistant.components.recorder.core import Recorder
from homeassistant.core import Event, HomeAssistant
from homeassistant.helpers.recorder import get_instance
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.delivery.activity import EVENT_ANNOUNCED

from .conftest import (
    AddAccount,
    SandboxServer,
    async_delete_device,
    async_later,
    device_id,
    state_of,
)

type Lines = Callable[..., Awaitable[list[tuple[str, str]]]]


@pytest.fixture(autouse=True)
def _custom_integrations(recorder_mock: Recorder, enable_custom_integrations: None) -> None:
    """Let Home Assistant find the integration, once the recorder is there."""


@pytest.fixture
async def lines(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> Lines:
    """Return a way to read the activity: of everything, of a device or of an entity."""
    # Its panel needs the frontend, which isn't installed here.
    hass.config.components.add("frontend")
    assert await async_setup_component(hass, "logbook", {})
    hass.config.components.remove("frontend")
    begin = dt_util.utcnow()

    async def read(**of: Any) -> list[tuple[str, str]]:
        await get_instance(hass).async_block_till_done()
        client = await hass_ws_client(hass)
        asked = {"type": "logbook/get_events", "start_time": begin.isoformat(), **of}
        await client.send_json_auto_id(asked)
        answer = await client.receive_json()
        assert answer["success"], answer
        found = answer["result"]
        return [(one["name"], one["message"]) for one in found if one.get("domain") == DOMAIN]

    return read


@pytest.fixture
async def fired(hass: HomeAssistant) -> list[Event]:
    """Return what is fired, and so recorded."""
    events: list[Event] = []
    hass.bus.async_listen(EVENT_ANNOUNCED, events.append)
    return events


async def test_one_sentence_each(
    hass: HomeAssistant,
    lines: Lines,
    fired: list[Event],
    sandbox: SandboxServer,
    add_account: AddAccount,
) -> None:
    """It is on the invoice's page, on the account's and in the log, and on no other page."""
    invoice, other = (
        sandbox.store.create("cryptocloud", amount=Decimal("24.90"), order_id=order_id)
        for order_id in ("Coffee beans, 2 kg", "Tea")
    )
    entry = await add_account("cryptocloud", invoice.id, other.id)
    for action in ("partly_pay", "pay"):
        sandbox.store.act("cryptocloud", invoice.id, action)
        await async_later(hass)
    expected = [
        (entry.title, "Coffee beans, 2 kg was partially paid: $24.90"),
        (entry.title, "Coffee beans, 2 kg was paid: $24.90"),
    ]
    assert await lines() == expected
    status = state_of(hass, entry, invoice.id, "status").entity_id
    assert await lines(entity_ids=[status]) == expected
    assert await lines(device_ids=[device_id(hass, entry)]) == expected
    assert await lines(entity_ids=[state_of(hass, entry, other.id, "status").entity_id]) == []

    # What is kept for ever names nobody and no amount.
    assert len(fired) == 2
    assert fired[1].data == {
        "config_entry_id": entry.entry_id,
        "invoice_id": invoice.id,
        "kind": "paid",
        "status": "paid",
        "entity_id": status,
        "device_id": device_id(hass, entry),
    }

    # Of what isn't watched any more, only the ID is known.
    await async_delete_device(hass, entry, invoice.id)
    await async_later(hass)
    assert (entry.title, f"Invoice {invoice.id[-6:]} was paid") in await lines()


async def test_of_an_account_that_is_gone(
    hass: HomeAssistant, lines: Lines, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """The lines stay readable."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    await hass.config_entries.async_remove(entry.entry_id)
    assert [message for _, message in await lines()] == [f"Invoice {invoice.id[-6:]} was paid"]
