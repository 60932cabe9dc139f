"""Diagnostics: enough to find a fault, and nothing that is the user's own."""

from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

from homeassistant.components.diagnostics.const import DOMAIN as DIAGNOSTICS_DOMAIN
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
import orjson
import pytest
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
    get_diagnostics_for_device,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from syrupy.assertion import SnapshotAssertion
from syrupy.filters import props

from custom_components.crypto_invoices.book.database import StorageError
from custom_components.crypto_invoices.book.storage import Storage
from sandbox.faults import Fault

from .conftest import (
    AddAccount,
    SandboxServer,
    async_later,
    async_settle,
    device_id,
    each_provider,
    give_word,
)

# What no two runs have in common, and what a provider is tuned with.
volatile = props(
    *("last_reading", "next_poll_in", "requests_left", "seconds_from_now", "seconds"),
    *("ahead_of_providers", "steady_for", "longest_for"),
    *("batch_size", "concurrency", "requests_per_minute"),
)


@pytest.fixture(autouse=True)
async def _diagnostics(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, DIAGNOSTICS_DOMAIN, {})


async def of_account(
    hass: HomeAssistant, client: ClientSessionGenerator, entry: ConfigEntry
) -> Mapping[str, Any]:
    """Download the diagnostics of an account."""
    return await get_diagnostics_for_config_entry(hass, client, entry)


async def of_device(
    hass: HomeAssistant,
    client: ClientSessionGenerator,
    entry: ConfigEntry,
    invoice_id: str | None = None,
) -> Mapping[str, Any]:
    """Download the diagnostics of an invoice's device, or of the account's."""
    device = dr.async_get(hass).async_get(device_id(hass, entry, invoice_id))
    assert isinstance(device, dr.DeviceEntry)
    return await get_diagnostics_for_device(hass, client, entry, device)


@each_provider
async def test_account(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    sandbox: SandboxServer,
    add_account: AddAccount,
    snapshot: SnapshotAssertion,
    provider: str,
) -> None:
    """An account tells how reading it goes, in counts."""
    sandbox.with_postback_secret = True
    ids = [sandbox.store.create(provider).id for _ in range(4)]
    entry = await add_account(provider, *ids)
    sandbox.store.act(provider, ids[0], "pay")
    sandbox.store.act(provider, ids[1], "delete")
    await async_later(hass)
    found = await of_account(hass, hass_client, entry)
    assert found == snapshot(exclude=volatile)
    assert found["last_reading"]
    assert 0 <= found["schedule"]["next_poll_in"] < 3600
    assert abs(found["clock"]["ahead_of_providers"]) < 5
    assert found["clock"]["steady_for"] >= 0
    assert 0 < found["schedule"]["requests_left"] < found["schedule"]["requests_per_minute"]
    of_its_device = await of_device(hass, hass_client, entry)
    assert of_its_device.keys() == found.keys()
    for key in found.keys() - {"clock", "problems", "schedule"}:
        assert of_its_device[key] == found[key], key
    text = orjson.dumps(found).decode()
    for private in (*ids, *sandbox.settings(provider).values(), "127.0.0.1", entry.entry_id):
        assert private not in text


async def test_problems(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What goes wrong is counted by kind, in an account that is loaded and in one that isn't."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    give_word(sandbox, monkeypatch, "cryptocloud", invoice.id, "on hold")
    await async_later(hass)
    found = await of_account(hass, hass_client, entry)
    assert found["invoices"]["unknown_words"] == {"on hold": 1}
    give_word(sandbox, monkeypatch, "cryptocloud", invoice.id, "bc1q0somebodysaddress")
    await async_later(hass)
    found = await of_account(hass, hass_client, entry)
    assert found["invoices"]["unknown_words"] == {"(not a word)": 1}

    for fault in (Fault.SERVER_ERROR, Fault.RATE_LIMITED_SECONDS, Fault.HTML, Fault.SERVER_ERROR):
        sandbox.switch("cryptocloud", fault)
        await async_later(hass)
    found = await of_account(hass, hass_client, entry)
    assert found["problems"].keys() == {"unreadable_answer"}
    problem = found["problems"]["unreadable_answer"]
    assert problem["details"] == {"the answer is a web page": 1}
    assert problem["most_readings"] == 1
    assert found["is_available"] is False
    assert found["failures"] == {"bad_response": 1, "rate_limited": 1, "server_error": 2}
    assert found["schedule"]["failures_in_a_row"] == 4
    assert found["schedule"]["backs_off_for"] > 0

    await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    found = await of_account(hass, hass_client, entry)
    assert (found["state"], found["problem"]) == ("loaded", None)
    assert found["is_available"] is False
    assert found["invoices"]["watched"] == 1
    assert found["book"]["by_status"] == {"pending": 1}
    found = await of_device(hass, hass_client, entry, invoice.id)
    assert found["invoice"] is None
    assert found["book"]["status"] == "pending"

    await hass.config_entries.async_unload(entry.entry_id)
    found = await of_device(hass, hass_client, entry, invoice.id)
    assert found == {"provider": "cryptocloud", "state": "not_loaded"}
    with patch.object(Storage, "open", side_effect=StorageError("a broken disk")):
        await hass.config_entries.async_setup(entry.entry_id)
    found = await of_account(hass, hass_client, entry)
    assert (found["state"], found["problem"]) == ("setup_retry", "book_unavailable")


@each_provider
async def test_invoice(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    sandbox: SandboxServer,
    add_account: AddAccount,
    snapshot: SnapshotAssertion,
    provider: str,
) -> None:
    """An invoice tells what is known of it, but not what that is."""
    paid, gone = (sandbox.store.create(provider).id for _ in range(2))
    entry = await add_account(provider, paid, gone)
    sandbox.store.act(provider, paid, "pay")
    sandbox.store.act(provider, gone, "delete")
    await async_later(hass)
    found = await of_device(hass, hass_client, entry, paid)
    assert found == snapshot(exclude=volatile, name="paid")
    assert paid not in orjson.dumps(found).decode()
    found = await of_device(hass, hass_client, entry, gone)
    assert found == snapshot(exclude=volatile, name="gone")
