"""A key of another account is refused, whether it was asked for or is entered before that."""

from collections.abc import Awaitable, Callable

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigFlowContext,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.crypto_invoices.const import DOMAIN
from sandbox.faults import Fault
from tests.conftest import (
    EACH,
    AddAccount,
    FlowResult,
    SandboxServer,
    async_later,
    async_settle,
    async_submit,
    fill,
    state_of,
)

type EnterKey = Callable[[ConfigEntry], Awaitable[FlowResult]]


@pytest.fixture(params=[SOURCE_REAUTH, SOURCE_RECONFIGURE])
def enter_key(
    hass: HomeAssistant, sandbox: SandboxServer, request: pytest.FixtureRequest
) -> EnterKey:
    """Return a way to enter the key that the provider accepts now."""

    async def enter(entry: ConfigEntry) -> FlowResult:
        flows, provider = hass.config_entries.flow, entry.data["provider"]
        context: ConfigFlowContext = {"source": request.param, "entry_id": entry.entry_id}
        settings = sandbox.settings(provider)
        if request.param == SOURCE_RECONFIGURE:
            dialog: FlowResult = await flows.async_init(DOMAIN, context=context)
            return await async_submit(hass, dialog, fill(provider, settings))
        if not (dialogs := flows.async_progress_by_handler(DOMAIN, match_context={**context})):
            for _ in range(2):
                await async_later(hass)
            dialogs = flows.async_progress_by_handler(DOMAIN, match_context={**context})
        [dialog] = dialogs
        secrets = {key: value for key, value in settings.items() if key != "url"}
        return await async_submit(hass, dialog, secrets)

    return enter


# At BTCPay Server, the store is the account, whichever key opens it.
@pytest.mark.parametrize("provider", [key for key in EACH if key != "btcpay"])
async def test_strangers_key(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
    enter_key: EnterKey,
    *,
    provider: str,
) -> None:
    """A key that works, but finds none of the invoices, is of another account and refused."""
    ids = [sandbox.store.create(provider).id for _ in range(2)]
    entry = await add_account(provider, *ids)
    before = (entry.unique_id, entry.data)
    sandbox.rotate_keys(provider, monkeypatch)
    for id_ in ids:
        sandbox.store.act(provider, id_, "delete")
    result = await enter_key(entry)
    assert result["errors"] == {"base": "another_account"}
    sandbox.switch(provider, Fault.RATE_LIMITED, count=2)
    result = await enter_key(entry)
    assert result["errors"] == {"base": "rate_limited"}
    assert (entry.unique_id, entry.data) == before
    sandbox.switch(provider, None)
    # One of them is enough.
    sandbox.store.create(provider, invoice_id=ids[0])
    result = await enter_key(entry)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"].endswith("_successful")
    await async_settle(hass)
    assert state_of(hass, entry, ids[0], "status").state == "pending"


async def test_key_of_another_account(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
    enter_key: EnterKey,
) -> None:
    """The key of an account that is set up already changes nothing."""
    invoice = sandbox.store.create("cryptocloud")
    first = await add_account("cryptocloud", invoice.id)
    before = (first.unique_id, first.data)
    sandbox.rotate_keys("cryptocloud", monkeypatch)
    second = await add_account("cryptocloud", invoice.id)
    result = await enter_key(first)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"
    assert (first.unique_id, first.data) == before
    assert state_of(hass, second, invoice.id, "status").state == "pending"
