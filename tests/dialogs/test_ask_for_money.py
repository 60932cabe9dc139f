"""Ask for money in a dialog, which shows a code and says when it is paid."""

import asyncio
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import SOURCE_USER, ConfigEntry
from homeassistant.core import Event, HomeAssistant
from homeassistant.data_entry_flow import EVENT_DATA_ENTRY_FLOW_PROGRESS_UPDATE, FlowResultType
from homeassistant.requirements import RequirementsNotFound
import pytest

from custom_components.crypto_invoices import qr
from custom_components.crypto_invoices.actions import creation
from custom_components.crypto_invoices.const import SUBENTRY_TYPE_MONEY
from custom_components.crypto_invoices.dialogs import ask_for_money
from sandbox.faults import Fault
from tests.conftest import (
    AddAccount,
    FlowResult,
    SandboxServer,
    async_later,
    async_settle,
    fields_of,
    kept,
    state_of,
    struck,
    watched,
)

GIVEN: Mapping[str, Mapping[str, str]] = {
    "cryptocloud": {"amount": "4.25", "currency": "eur", "purpose": "Coffee ☕"},
    "cryptocloud_v1": {"amount": "4.25", "currency": "USD"},
    "btcpay": {"amount": "4.25", "currency": "EUR", "purpose": "Honey, 3 jars"},
    "egates": {"amount": "5", "currency": "eth", "payment_method": "ETHER"},
    "lnbits": {"amount": "2500", "currency": "SAT", "purpose": "Tea"},
}
each_provider = pytest.mark.parametrize("provider", list(GIVEN))


@pytest.fixture(autouse=True)
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look all the time what became of an invoice, and for one whose making was not answered."""
    monkeypatch.setattr(ask_for_money, "TICK", 0.01)
    monkeypatch.setattr(creation, "LOOK_AFTER", (0, 0))


class Dialog:
    """The dialog of an account."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Begin without a step."""
        self.hass = hass
        self.flows = hass.config_entries.subentries
        self.entry = entry
        self.result: FlowResult = {}

    async def open(self) -> FlowResult:
        """Open it."""
        self.result = await self.flows.async_init(
            (self.entry.entry_id, SUBENTRY_TYPE_MONEY), context={"source": SOURCE_USER}
        )
        return self.result

    async def submit(self, form: Mapping[str, str] | None = None) -> FlowResult:
        """Submit a form, or have the dialog go on."""
        given = None if form is None else dict(form)
        self.result = await self.flows.async_configure(self.result["flow_id"], given)
        return self.result

    async def until_it_ends(self) -> FlowResult:
        """Let the dialog go on as the frontend does, until it ends."""
        async with asyncio.timeout(10):
            while self.result["type"] is FlowResultType.SHOW_PROGRESS:
                await asyncio.sleep(0.02)
                await self.submit()
        return self.result

    def close(self) -> None:
        """Close it."""
        self.flows.async_abort(self.result["flow_id"])


async def async_open(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> Dialog:
    """Set up an account that may create invoices, and open its dialog."""
    may_create = sandbox.sandbox.providers[provider].invoicing_credentials
    entry = await add_account(provider, **may_create)
    dialog = Dialog(hass, entry)
    result = await dialog.open()
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "user")
    return dialog


@each_provider
async def test_paid(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """There is a code to scan, and the dialog says that it is paid."""
    moves: list[Event] = []
    hass.bus.async_listen(EVENT_DATA_ENTRY_FLOW_PROGRESS_UPDATE, moves.append)
    dialog = await async_open(hass, sandbox, add_account, provider)
    result = await dialog.submit(GIVEN[provider])
    assert result["type"] is FlowResultType.SHOW_PROGRESS, result
    assert result["progress_action"] in ("scan", "scan_only")
    shown = result["description_placeholders"]
    head, _, picture = shown["picture"].partition(",")
    assert head == "data:image/png;base64"
    assert b64decode(picture).startswith(b"\x89PNG")
    [invoice_id] = watched(dialog.entry)
    made = sandbox.store.get(provider, invoice_id)
    if purpose := GIVEN[provider].get("purpose"):
        assert made.order_id == purpose
    else:
        assert made.order_id, "so that it would be found again"

    await asyncio.sleep(0.05)
    if provider in ("cryptocloud", "btcpay", "lnbits"):
        progress = moves[-1].data["progress"]
        assert 0.9 < progress <= 1
    sandbox.store.act(provider, invoice_id, "pay")
    await async_later(hass)
    result = await dialog.until_it_ends()
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "paid")
    assert result["description_placeholders"]["amount"] == shown["amount"]
    assert not dialog.entry.subentries
    assert state_of(hass, dialog.entry, invoice_id, "status").state == "paid"


async def test_form(hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount) -> None:
    """The currencies are those that the account has had, then those that the provider takes."""
    may_create = sandbox.sandbox.providers["cryptocloud"].invoicing_credentials
    ids = [sandbox.store.create("cryptocloud", currency="GBP").id for _ in range(2)]
    sandbox.sandbox.set("cryptocloud", "fiat_currency", "sent")
    entry = await add_account("cryptocloud", *ids, **may_create)
    dialog = Dialog(hass, entry)
    result = await dialog.open()
    fields = fields_of(result["data_schema"])
    assert list(fields) == ["amount", "currency", "purpose"]
    offered = fields["currency"].config["options"]
    assert offered[:2] == ["GBP", hass.config.currency]
    assert {"EUR", "USD", "UAH"} <= set(offered)
    assert len(offered) == len(set(offered))
    assert kept(result["data_schema"]) == {"currency": "GBP"}
    dialog.close()


@pytest.mark.parametrize(
    ("form", "errors"),
    [
        ({"amount": "4,25"}, {"amount": "field_not_a_number"}),
        ({"amount": "  "}, {"amount": "field_not_a_number"}),
        ({"amount": "-1"}, {"amount": "field_not_positive"}),
        ({"amount": "0"}, {"amount": "field_not_positive"}),
        ({"amount": "1.001"}, {"amount": "field_too_many_decimals"}),
        ({"amount": "9" * 30}, {"amount": "field_too_large"}),
        ({"currency": "€"}, {"currency": "field_unknown"}),
        ({"currency": "XYZ"}, {"currency": "field_unknown"}),
        ({"currency": " "}, {"currency": "field_empty"}),
        ({"currency": "E" * 50}, {"currency": "field_too_long"}),
        ({"purpose": "x" * 10_000}, {"purpose": "field_too_long"}),
        ({"purpose": "a\x00b"}, {"purpose": "field_unprintable"}),
    ],
)
async def test_bad_input(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    form: dict[str, str],
    errors: dict[str, str],
) -> None:
    """What can't be asked for is said at its field; nothing is made, and nothing typed is lost."""
    dialog = await async_open(hass, sandbox, add_account, "cryptocloud")
    typed = {"amount": "5", "currency": "EUR", "purpose": "Tea"} | form
    result = await dialog.submit(typed)
    assert result["errors"] == errors
    assert kept(result["data_schema"]) == typed
    assert not sandbox.sandbox.requests["cryptocloud", "create"]
    dialog.close()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.UNAUTHORIZED, "invalid_auth"),
        (Fault.RATE_LIMITED, "rate_limited"),
        (Fault.SERVER_ERROR, "outcome_unknown_order"),
        (Fault.CUT_CONNECTION, "outcome_unknown_order"),
    ],
)
async def test_trouble(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    fault: Fault,
    error: str,
) -> None:
    """Trouble is said above the form, nothing is watched, and another attempt goes on."""
    dialog = await async_open(hass, sandbox, add_account, "cryptocloud")
    with struck(sandbox, "cryptocloud", fault):
        result = await dialog.submit(GIVEN["cryptocloud"])
    assert result["errors"] == {"base": error}
    assert not watched(dialog.entry)
    result = await dialog.submit(GIVEN["cryptocloud"])
    assert result["type"] is FlowResultType.SHOW_PROGRESS
    dialog.close()


async def test_found_by_its_order_id(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """An invoice whose making was not answered is found, and asked for once."""
    dialog = await async_open(hass, sandbox, add_account, "cryptocloud")
    with struck(sandbox, "cryptocloud", Fault.LATE_ANSWER):
        sandbox.switch("cryptocloud", Fault.LATE_ANSWER, count=1)
        result = await dialog.submit(GIVEN["cryptocloud"])
    assert result["type"] is FlowResultType.SHOW_PROGRESS
    assert len(watched(dialog.entry)) == 1
    assert sandbox.sandbox.requests["cryptocloud", "create"] == 1
    dialog.close()


async def test_missing_setting_and_permission(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """What the account lacks is named as the user knows it."""
    for provider, error, gaps in (
        ("cryptocloud", "setting_needed", {"setting": "Shop ID"}),
        ("btcpay", "permission_missing", {"permission": "btcpay.store.cancreateinvoice"}),
    ):
        dialog = Dialog(hass, await add_account(provider))
        await dialog.open()
        result = await dialog.submit(GIVEN[provider])
        assert result["errors"] == {"base": error}
        assert result["description_placeholders"].items() >= gaps.items()
        dialog.close()


async def test_closed(hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount) -> None:
    """Closing the dialog doesn't stop the watching."""
    dialog = await async_open(hass, sandbox, add_account, "btcpay")
    await dialog.submit(GIVEN["btcpay"])
    [invoice_id] = watched(dialog.entry)
    dialog.close()
    sandbox.store.act("btcpay", invoice_id, "pay")
    await async_later(hass)
    assert state_of(hass, dialog.entry, invoice_id, "status").state == "paid"


@pytest.mark.parametrize(
    ("actions", "reason"),
    [(("expire",), "expired"), (("mark_invalid",), "ended"), (("unwatch",), "ended")],
    ids=["expired", "invalid", "no longer watched"],
)
async def test_not_paid(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    actions: tuple[str, ...],
    reason: str,
) -> None:
    """The dialog says so, too, when there is nothing to wait for any more."""
    dialog = await async_open(hass, sandbox, add_account, "btcpay")
    await dialog.submit(GIVEN["btcpay"])
    [invoice_id] = watched(dialog.entry)
    for action in actions:
        if action == "unwatch":
            await hass.services.async_call(
                "crypto_invoices", "untrack_invoices", {"invoice_ids": invoice_id}, blocking=True
            )
        else:
            sandbox.store.act("btcpay", invoice_id, action)
    await async_later(hass)
    assert (await dialog.until_it_ends())["reason"] == reason


async def test_seen_but_not_final(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """The code is gone as soon as a payment is seen; a reload meanwhile changes nothing."""
    dialog = await async_open(hass, sandbox, add_account, "btcpay")
    await dialog.submit(GIVEN["btcpay"])
    [invoice_id] = watched(dialog.entry)
    sandbox.store.act("btcpay", invoice_id, "process")
    await async_later(hass)
    result = await dialog.submit()
    assert (result["type"], result["progress_action"]) == (FlowResultType.SHOW_PROGRESS, "arriving")
    await hass.config_entries.async_reload(dialog.entry.entry_id)
    await async_settle(hass)
    assert (await dialog.submit())["progress_action"] == "arriving"
    sandbox.store.act("btcpay", invoice_id, "pay")
    await async_later(hass)
    assert (await dialog.until_it_ends())["reason"] == "paid"


async def test_no_picture(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where no picture can be drawn, there is the payment page."""
    dialog = await async_open(hass, sandbox, add_account, "btcpay")

    async def no_requirements(*_: Any) -> None:
        raise RequirementsNotFound("crypto_invoices", ["segno"])

    monkeypatch.setattr(qr, "async_process_requirements", no_requirements)
    result = await dialog.submit(GIVEN["btcpay"])
    assert result["progress_action"] == "open_page"
    assert result["description_placeholders"]["link"].startswith(sandbox.url)
    dialog.close()


async def test_account_that_is_not_loaded(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """An account that is not loaded asks for nothing."""
    entry = await add_account("cryptocloud")
    await hass.config_entries.async_unload(entry.entry_id)
    result = await Dialog(hass, entry).open()
    assert result["reason"] == "account_not_loaded"
