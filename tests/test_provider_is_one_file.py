"""A provider is one file: one that is made up here goes all the way, and nothing else changes."""

import ast
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.model import (
    BadResponse,
    InvoiceNotFound,
    InvoiceStatus,
    ProviderUnavailable,
    UnavailableReason,
)

from .conftest import (
    PACKAGE,
    async_add_invoices,
    async_later,
    async_open_credentials,
    async_settle,
    async_submit,
    fields_of,
    find_entity,
    kept,
    open_dialog,
    state_of,
    watched,
    watched_name,
)
from .shoe_box import ShoeBox, slip


@pytest.fixture
def untranslated() -> set[str]:
    """Its texts are the one thing a new provider needs beside its file."""
    return {ShoeBox.key, "reauth_confirm"}


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS, ShoeBox.key, ShoeBox)
    monkeypatch.setattr(ShoeBox, "slips", {number: slip(number) for number in "12345"})
    for name in ("good_key", "trouble"):
        monkeypatch.setattr(ShoeBox, name, getattr(ShoeBox, name))


async def test_made_up_provider(hass: HomeAssistant) -> None:
    """It is offered, proven, read, added to, in trouble, refused, and well again."""
    result = await async_open_credentials(hass, "shoe_box")
    fields = fields_of(result["data_schema"])
    assert list(fields) == ["key", "pin", "advanced"]
    assert list(fields_of(fields["advanced"].schema)) == ["url", "zone"]
    assert kept(result["data_schema"]) == {"advanced": {"url": "https://shoe.box"}}

    form: dict[str, Any] = {"key": "bad", "advanced": {"url": "https://shoe.box", "zone": "UTC"}}
    result = await async_submit(hass, result, form)
    assert result["errors"] == {"key": "invalid_auth"}
    assert kept(result["data_schema"]) == form
    result = await async_submit(hass, result, {**form, "key": " good "})
    assert result["step_id"] == "invoices"
    result = await async_submit(hass, result, {"invoices": "#1, 2; seven 9"})
    assert result["errors"] == {"invoices": "ids_malformed", "base": "ids_not_found"}
    result = await async_submit(hass, result, {"invoices": "#1, 2; 3"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await async_settle(hass)

    entry = result["result"]
    assert entry.title == "My shoe box"
    stored = dict(entry.data)
    assert stored.pop("webhook_id")
    assert stored == {
        "provider": "shoe_box",
        "url": "https://shoe.box",
        "key": "good",
        "zone": "UTC",
        "shelf": "upper",
    }
    assert [watched_name(hass, entry, id_) for id_ in watched(entry)] == [
        "no. 1",
        "no. 2",
        "no. 3",
    ]
    amount = state_of(hass, entry, "2", "amount")
    assert (amount.state, amount.attributes["unit_of_measurement"]) == ("2", "CHF")
    assert find_entity(hass, entry, "2", "expires_at") is None

    ShoeBox.slips["2"] = slip("2", InvoiceStatus.PAID)
    ShoeBox.slips["3"] = BadResponse("smudged")
    await async_later(hass)
    assert state_of(hass, entry, "1", "status").state == "pending"
    assert state_of(hass, entry, "2", "status").state == "paid"
    assert state_of(hass, entry, "2", "amount_received").state == "2"
    assert state_of(hass, entry, "3", "status").state == "unavailable"

    await async_add_invoices(hass, entry, ["4", "#5"])
    assert state_of(hass, entry, "5", "status").attributes["provider_status"] == (
        "on the pending pile"
    )

    ShoeBox.trouble = ProviderUnavailable(UnavailableReason.TIMEOUT)
    await async_later(hass)
    assert state_of(hass, entry, "1", "status").state == "unavailable"
    ShoeBox.trouble = None
    await async_later(hass)
    assert state_of(hass, entry, "1", "status").state == "pending"

    ShoeBox.good_key = "better"
    for _ in range(2):
        await async_later(hass)
    result = open_dialog(hass)
    assert result["step_id"] == "reauth_confirm"


async def test_made_up_provider_gets_a_new_key(hass: HomeAssistant) -> None:
    """What proves it is asked for again, and only that; the rest stays."""
    result = await async_open_credentials(hass, "shoe_box")
    form = {"key": "good", "pin": "1234", "advanced": {"url": "https://shoe.box"}}
    result = await async_submit(hass, result, form)
    result = await async_submit(hass, result, {"invoices": "1"})
    await async_settle(hass)
    entry = result["result"]

    ShoeBox.good_key = "better"
    for _ in range(2):
        await async_later(hass)
    [flow] = hass.config_entries.flow.async_progress()
    result = await async_submit(hass, flow, {"key": "worse"})
    assert result["errors"] == {"key": "invalid_auth"}
    assert fields_of(result["data_schema"]).keys() == {"key"}
    result = await async_submit(hass, result, {"key": "better"})
    assert result["reason"] == "reauth_successful"
    await async_settle(hass)
    assert entry.state is ConfigEntryState.LOADED
    stored = dict(entry.data)
    assert stored.pop("webhook_id")
    assert stored == {
        "provider": "shoe_box",
        "url": "https://shoe.box",
        "key": "better",
        "pin": "1234",
        "shelf": "upper",
    }
    assert state_of(hass, entry, "1", "status").state == "pending"


async def test_made_up_provider_that_knows_nothing(hass: HomeAssistant) -> None:
    """An account stays loaded where its provider no longer knows any of the invoices."""
    result = await async_open_credentials(hass, "shoe_box")
    form = {"key": "good", "advanced": {"url": "https://shoe.box"}}
    result = await async_submit(hass, result, form)
    result = await async_submit(hass, result, {"invoices": "1 2"})
    await async_settle(hass)
    entry = result["result"]
    ShoeBox.slips.clear()
    ShoeBox.slips["2"] = InvoiceNotFound()
    await async_later(hass)
    for number in "12":
        assert state_of(hass, entry, number, "status").state == "not_found"
    assert entry.runtime_data.coordinator.last_update_success


def test_no_provider_is_named_outside_its_file() -> None:
    """Home Assistant's side asks what a provider can do, never which one it is."""
    for file in set(PACKAGE.rglob("*.py")) - set((PACKAGE / "providers").rglob("*.py")):
        text = file.read_text().lower()
        for provider in PROVIDERS.values():
            assert provider.key not in text, file.name
            assert provider.name.lower() not in text, file.name


def test_providers_know_nothing_of_home_assistant() -> None:
    """Providers can be used and tested without Home Assistant, and without each other."""
    room = PACKAGE / "providers"
    folders = {file.parent.name for file in room.glob("*/*.py")}
    for file in room.rglob("*.py"):
        depth = len(file.relative_to(room).parts)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                assert not any(name.name.startswith("homeassistant") for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level <= depth, "nothing outside the room"
                assert not (node.module or "").startswith(("homeassistant", "custom_components"))
                if node.level == depth and file != room / "__init__.py":
                    assert (node.module or "").split(".")[0] not in folders, file
