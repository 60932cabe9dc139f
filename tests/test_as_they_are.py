"""What the providers' servers really do, as a user sees it: whole accounts, at the sandbox."""

from datetime import timedelta
from decimal import Decimal

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession
import pytest

from sandbox.btcpay_access import TILL_KEY
from sandbox.btcpay_webhooks import STORE_ID

from .conftest import (
    CLOCK,
    AddAccount,
    Runs,
    SandboxServer,
    account_state,
    async_act,
    async_later,
    async_settle,
    state_of,
)
from .upkeep.shop import async_pass


async def test_lnbits_wallet_that_counts_in_euros(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, runs: Runs
) -> None:
    """What was asked in the wallet's own currency is in euros, what was asked in satoshi isn't."""
    sandbox.sandbox.set("lnbits", "wallet_currency", "EUR")
    euros = sandbox.store.create("lnbits", amount=Decimal("4.25"), currency="EUR").id
    satoshi = sandbox.store.create("lnbits", amount=Decimal(4501), currency="sat").id
    entry = await add_account("lnbits", euros, satoshi)
    amount = state_of(hass, entry, euros, "amount")
    assert (amount.state, amount.attributes["unit_of_measurement"]) == ("4.25", "EUR")
    amount = state_of(hass, entry, satoshi, "amount")
    assert (amount.state, amount.attributes["unit_of_measurement"]) == ("4501", "sat")
    for id_ in (euros, satoshi):
        sandbox.store.act("lnbits", id_, "pay")
    await async_later(hass)
    assert account_state(hass, entry, "received_EUR").state == "4.25"
    assert account_state(hass, entry, "received_sat").state == "4501"
    assert {run["invoice"]: run["amount"] for run in runs} == {euros: 4.25, satoshi: 4501}


@pytest.mark.parametrize("version", ["1.4.2", "1.5.6"])
async def test_lnbits_that_calls_nothing_expired(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    runs: Runs,
    freezer: FrozenDateTimeFactory,
    version: str,
) -> None:
    """What the server leaves pending for ever has expired, and a late payment is announced."""
    sandbox.sandbox.set("lnbits", "version", version)
    invoice = sandbox.store.create("lnbits", expires_in=timedelta(hours=1))
    entry = await add_account("lnbits", invoice.id)
    assert account_state(hass, entry, "outstanding_sat").state == "25"
    for _ in range(3):
        freezer.tick(timedelta(hours=1))
        CLOCK.passed += 3600
        await async_later(hass)
    status = state_of(hass, entry, invoice.id, "status")
    assert (status.state, status.attributes["provider_status"]) == ("expired", "pending")
    assert account_state(hass, entry, "outstanding_sat").state == "0"
    sandbox.store.act("lnbits", invoice.id, "pay")
    await async_later(hass)
    assert state_of(hass, entry, invoice.id, "status").state == "paid"
    assert [run["invoice"] for run in runs] == [invoice.id]


async def test_lnbits_that_cannot_compare_times(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    runs: Runs,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Its list has no limit in time: what was paid while Home Assistant was down is found."""
    sandbox.sandbox.set("lnbits", "time_filter", "fails")
    old = [sandbox.store.create("lnbits").id for _ in range(120)]
    for id_ in old:
        sandbox.store.act("lnbits", id_, "pay")
    freezer.tick(timedelta(days=3))
    entry = await add_account("lnbits")
    assert await hass.config_entries.async_unload(entry.entry_id)
    made = []
    for _ in range(3):
        freezer.tick(timedelta(hours=30))
        made.append(sandbox.store.create("lnbits").id)
        sandbox.store.act("lnbits", made[-1], "pay")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await async_settle(hass)
    before = sandbox.requests("lnbits")
    await async_pass(hass, freezer, 5 * 60)
    assert [run["invoice"] for run in runs] == made
    assert sandbox.requests("lnbits") - before <= 32


async def test_btcpay_top_up(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    runs: Runs,
) -> None:
    """An invoice without an amount has one once somebody paid; one over nothing is no money."""
    entry = await add_account("btcpay")
    url = f"{sandbox.url}/api/v1/stores/{STORE_ID}/invoices"
    headers = {"Authorization": f"token {TILL_KEY}"}
    made, session = {}, async_get_clientsession(hass)
    for amount in (None, "0"):
        asked = {"amount": amount, "currency": "EUR"}
        async with session.post(url, json=asked, headers=headers) as answer:
            made[amount] = (await answer.json())["id"]
    await async_later(hass)
    assert state_of(hass, entry, made[None], "amount").state == "unknown"
    sandbox.store.act("btcpay", made[None], "pay")
    await async_later(hass)
    await async_settle(hass)
    assert {run["invoice"]: run["amount"] for run in runs} == {made["0"]: 0, made[None]: 25}
    assert Decimal(state_of(hass, entry, made[None], "amount").state) == 25
    assert Decimal(account_state(hass, entry, "received_EUR").state) == 25
    told = await async_act(hass, "get_invoices", config_entry_id=entry.entry_id)
    [row] = [row for row in told["invoices"] if row["invoice_id"] == made[None]]
    assert (row["amount"], row["currency"]) == ("25", "EUR")
