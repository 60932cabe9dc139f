"""A made-up provider goes all the way as an integration of its own, and may be gone."""

from collections.abc import Generator
import json
from pathlib import Path
import sys
from typing import Any

from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

import custom_components
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.diagnostics import async_get_config_entry_diagnostics
from custom_components.crypto_invoices.dialogs.labels import FOREIGN_STEP
from custom_components.crypto_invoices.frontend.values import async_account_values
from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.model import InvoiceStatus

from .conftest import (
    FlowResult,
    async_act,
    async_add_invoices,
    async_later,
    async_open_credentials,
    async_refused,
    async_settle,
    async_submit,
    fields_of,
    kept,
    open_dialog,
    state_of,
    watched,
)
from .shoe_box import ShoeBox, slip

INTEGRATION = "shoe_box"
TEXTS = {
    "config": {
        "step": {
            "shoe_box": {
                "title": "A box for shoes",
                "description": "It stands in the **hall**.",
                "data": {"key": "Key of the box", "pin": "Number on the lid"},
                "sections": {"advanced": {"data": {"url": "Where it stands", "zone": "Its time"}}},
            }
        }
    }
}
MODULE = """
from custom_components.crypto_invoices.providers import PROVIDERS
from tests.shoe_box import ShoeBox

PROVIDER_INTERFACE = {version}


async def async_get_providers(hass):
    return {providers}
"""


@pytest.fixture
def untranslated() -> set[str]:
    """Its texts are its own."""
    return {FOREIGN_STEP, "more", "shoe_box", "reauth_confirm"}


class Installed:
    """The integration, where Home Assistant finds it."""

    def __init__(self, folder: Path) -> None:
        """Write its files."""
        self.folder = folder / INTEGRATION
        self.folder.mkdir(parents=True)
        manifest = {
            "domain": INTEGRATION,
            "name": "Shoe Box",
            "version": "1.0.0",
            "after_dependencies": [DOMAIN],
        }
        (self.folder / "manifest.json").write_text(json.dumps(manifest))
        (self.folder / "__init__.py").write_text(
            "async def async_setup(hass, config):\n    return True\n"
        )
        (self.folder / "translations").mkdir()
        (self.folder / "translations" / "en.json").write_text(json.dumps(TEXTS))
        self.bring()

    def bring(self, providers: str = "[ShoeBox]", version: object = 1) -> None:
        """Write what it brings."""
        module = MODULE.format(providers=providers, version=version)
        (self.folder / "crypto_invoices.py").write_text(module)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[Installed]:
    """Install it, and take its providers out again in the end."""
    monkeypatch.setattr(custom_components, "__path__", [*custom_components.__path__, str(tmp_path)])
    monkeypatch.setattr(ShoeBox, "slips", {number: slip(number) for number in "12345"})
    for name in ("good_key", "trouble"):
        monkeypatch.setattr(ShoeBox, name, getattr(ShoeBox, name))
    before = dict(PROVIDERS)
    yield Installed(tmp_path)
    PROVIDERS.clear()
    PROVIDERS.update(before)
    for name in [
        name for name in sys.modules if name.startswith(f"custom_components.{INTEGRATION}")
    ]:
        del sys.modules[name]


async def async_load(hass: HomeAssistant) -> None:
    """Load the integration, as a line in the configuration does."""
    assert await async_setup_component(hass, INTEGRATION, {})
    await async_settle(hass)


async def async_open(hass: HomeAssistant) -> FlowResult:
    """Choose it in the menus."""
    result = await async_open_credentials(hass, "more")
    assert result["menu_options"] == {"shoe_box": "Shoe Box"}
    return await async_submit(hass, result, {"next_step_id": "shoe_box"})


FORM: dict[str, Any] = {
    "Key of the box": "good",
    "advanced": {"Where it stands": "https://shoe.box"},
}


async def async_set_up(hass: HomeAssistant) -> ConfigEntry:
    """Set up an account with two slips."""
    result = await async_submit(hass, await async_open(hass), FORM)
    result = await async_submit(hass, result, {"invoices": "1 2"})
    await async_settle(hass)
    entry: ConfigEntry = result["result"]
    return entry


@pytest.mark.parametrize("order", ["before", "after"])
async def test_all_the_way(hass: HomeAssistant, installed: Installed, order: str) -> None:
    """Loaded before or after, it is offered with its texts, proven, read, refused, well again."""
    if order == "before":
        await async_load(hass)
    assert await async_setup_component(hass, DOMAIN, {})
    if order == "after":
        await async_load(hass)
    result = await async_open(hass)
    assert result["step_id"] == FOREIGN_STEP
    given = result["description_placeholders"]
    assert (given["title"], given["description"]) == (
        "A box for shoes",
        "It stands in the **hall**.",
    )
    fields = fields_of(result["data_schema"])
    assert list(fields) == ["Key of the box", "Number on the lid", "advanced"]
    assert list(fields_of(fields["advanced"].schema)) == ["Where it stands", "Its time"]

    result = await async_submit(hass, result, {**FORM, "Key of the box": "bad"})
    assert result["errors"] == {"Key of the box": "invalid_auth"}
    assert kept(result["data_schema"]) == {**FORM, "Key of the box": "bad"}
    result = await async_submit(hass, result, FORM)
    result = await async_submit(hass, result, {"invoices": "#1, 2"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await async_settle(hass)
    entry = result["result"]
    stored = dict(entry.data)
    assert stored.pop("webhook_id")
    assert stored == {
        "provider": "shoe_box",
        "url": "https://shoe.box",
        "key": "good",
        "shelf": "upper",
    }
    await async_add_invoices(hass, entry, ["3"])
    ShoeBox.slips["2"] = slip("2", InvoiceStatus.PAID)
    await async_later(hass)
    assert [state_of(hass, entry, id_, "status").state for id_ in "123"] == [
        "pending",
        "paid",
        "pending",
    ]
    answer = await async_act(hass, "get_invoices", config_entry_id=entry.entry_id)
    assert len(answer["invoices"]) == 3

    ShoeBox.good_key = "better"
    for _ in range(2):
        await async_later(hass)
    result = await async_submit(hass, open_dialog(hass), {"Key of the box": "better"})
    assert result["reason"] == "reauth_successful"
    await async_settle(hass)
    assert entry.data["key"] == "better"


async def test_gone(hass: HomeAssistant, installed: Installed) -> None:
    """An account without its provider says so and loses nothing; it goes on with its provider."""
    await async_load(hass)
    assert await async_setup_component(hass, DOMAIN, {})
    entry = await async_set_up(hass)
    del PROVIDERS["shoe_box"]
    assert not await hass.config_entries.async_reload(entry.entry_id)
    state: ConfigEntryState = entry.state
    assert state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "provider_gone"
    assert entry.error_reason_translation_placeholders == {
        "account": "My shoe box",
        "provider": "shoe_box",
    }
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )
    assert result["reason"] == "provider_gone"
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert result["reason"] == "provider_gone"
    summary = await async_get_config_entry_diagnostics(hass, entry)
    assert (summary["problem"], summary["settings"]) == ("provider_gone", {})
    await async_refused(hass, "untrack_invoices", invoice_ids=["1"])
    user = await hass.auth.async_create_user("A customer")
    assert async_account_values(hass, user, entry)["provider"] == "shoe_box"

    ShoeBox.slips["1"] = slip("1", InvoiceStatus.PAID)
    PROVIDERS["shoe_box"] = ShoeBox
    assert await hass.config_entries.async_reload(entry.entry_id)
    await async_later(hass)
    assert sorted(watched(entry)) == ["1", "2"]
    assert state_of(hass, entry, "1", "status").state == "paid"


async def test_comes_later(hass: HomeAssistant, installed: Installed) -> None:
    """An account that was loaded before its provider is loaded again when that comes."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="My shoe box",
        data={
            "provider": "shoe_box",
            "url": "https://shoe.box",
            "key": "good",
            "webhook_id": "made-up",
            "invoices": [],
        },
    )
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    before: ConfigEntryState = entry.state
    assert before is ConfigEntryState.SETUP_RETRY
    await async_load(hass)
    assert entry.state is ConfigEntryState.LOADED
    await async_add_invoices(hass, entry, ["1"])


async def test_removed_while_gone(hass: HomeAssistant, installed: Installed) -> None:
    """It can be removed, too."""
    await async_load(hass)
    assert await async_setup_component(hass, DOMAIN, {})
    entry = await async_set_up(hass)
    del PROVIDERS["shoe_box"]
    await hass.config_entries.async_remove(entry.entry_id)
    assert not hass.config_entries.async_entries(DOMAIN)


@pytest.mark.parametrize("version", [None, 0, 2, "'1'"])
async def test_another_interface(
    hass: HomeAssistant,
    installed: Installed,
    caplog: pytest.LogCaptureFixture,
    version: object,
) -> None:
    """What is made for another version of the interface is left out, and the repairs say so."""
    installed.bring(version=version)
    assert await async_setup_component(hass, DOMAIN, {})
    await async_load(hass)
    assert "shoe_box" not in PROVIDERS
    issue = ir.async_get(hass).async_get_issue(DOMAIN, "provider_interface_shoe_box")
    assert issue
    assert issue.translation_placeholders == {
        "integration": "shoe_box",
        "version": str(version).strip("'"),
        "needed": "1",
    }
    assert "made for version" in caplog.text


@pytest.mark.parametrize(
    ("providers", "said"),
    [
        ("[object]", "is not a subclass of Provider"),
        ("[PROVIDERS['another_api']]", "only our own providers can have"),
        ("[type('A', (ShoeBox,), {'key': 'lnbits'})]", "there is another provider"),
        ("[type('A', (ShoeBox,), {'key': 'user'})]", "can't be its key"),
        ("[type('A', (ShoeBox,), {'key': 'Über'})]", "can't be its key"),
        ("[type('A', (ShoeBox,), {'fields': ()})]", "exactly one field of the kind URL"),
    ],
)
async def test_unfit_provider(
    hass: HomeAssistant,
    installed: Installed,
    caplog: pytest.LogCaptureFixture,
    providers: str,
    said: str,
) -> None:
    """What can't be a provider is left out and logged; the integration's others are taken in."""
    before = dict(PROVIDERS)
    installed.bring(f"{providers} + [type('B', (ShoeBox,), {{'key': 'other_box'}})]")
    assert await async_setup_component(hass, DOMAIN, {})
    await async_load(hass)
    assert said in caplog.text
    assert PROVIDERS.keys() == before.keys() | {"other_box"}
