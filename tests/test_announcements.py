"""A payment is announced once: what an automation on our triggers sees."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import Mock

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import (
    EVENT_HOMEASSISTANT_FINAL_WRITE,
    EVENT_HOMEASSISTANT_STARTED,
    EVENT_STATE_CHANGED,
)
from homeassistant.core import (
    CoreState,
    Event,
    EventStateChangedData,
    HomeAssistant,
    ServiceCall,
    callback,
)
import pytest

from custom_components.crypto_invoices.account import baselines
from custom_components.crypto_invoices.books import Books
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.ledger import Ledger
from custom_components.crypto_invoices.sensor import InvoiceSensor
from custom_components.crypto_invoices.troubles import Troubles

from .conftest import AddAccount, Runs, SandboxServer, arm, async_later, pass_time, state_of

type Step = Callable[[HomeAssistant, SandboxServer, ConfigEntry, str], Awaitable[None]]


def acted(action: str) -> Step:
    """Return the step in which something happens to the invoice, and is seen."""

    async def step(
        hass: HomeAssistant, sandbox: SandboxServer, entry: ConfigEntry, invoice_id: str
    ) -> None:
        sandbox.store.act("cryptocloud", invoice_id, action)
        await async_later(hass)

    return step


def faulty(fault: str, polls: int = 1) -> Step:
    """Return the step in which reading fails, until further notice."""

    async def step(
        hass: HomeAssistant, sandbox: SandboxServer, entry: ConfigEntry, invoice_id: str
    ) -> None:
        sandbox.switch("cryptocloud", fault)
        for _ in range(polls):
            await async_later(hass, 130)
        assert state_of(hass, entry, invoice_id, "status").state == "unavailable"

    return step


async def paid_unseen(
    hass: HomeAssistant, sandbox: SandboxServer, entry: ConfigEntry, invoice_id: str
) -> None:
    """Pay while nothing can be read."""
    sandbox.store.act("cryptocloud", invoice_id, "pay")


async def back(
    hass: HomeAssistant, sandbox: SandboxServer, entry: ConfigEntry, invoice_id: str
) -> None:
    """Reading works again."""
    sandbox.switch("cryptocloud", None)
    await async_later(hass, 130)


async def reloaded(
    hass: HomeAssistant, sandbox: SandboxServer, entry: ConfigEntry, invoice_id: str
) -> None:
    """Reload the account."""
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()


async def automations_reloaded(
    hass: HomeAssistant, sandbox: SandboxServer, entry: ConfigEntry, invoice_id: str
) -> None:
    """Poll once more with everything as it is."""
    await async_later(hass)


PAY = (acted("pay"), 1)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([PAY], id="paid"),
        pytest.param([PAY, (faulty("timeout"), 0), (back, 0)], id="paid, timeout, back"),
        pytest.param(
            [PAY, (faulty("server_error", 2), 0), (back, 0)], id="paid, two outages, back"
        ),
        pytest.param([PAY, (faulty("rate_limited_date"), 0), (back, 0)], id="paid, 429 HTML, back"),
        pytest.param([PAY, (faulty("missing_rows"), 0), (back, 0)], id="paid, row missing, back"),
        pytest.param(
            [(faulty("timeout"), 0), (paid_unseen, 0), (back, 1)], id="created, timeout, paid"
        ),
        pytest.param(
            [
                PAY,
                (faulty("html"), 0),
                (acted("revert"), 0),
                (back, 0),
                (paid_unseen, 0),
                (back, 0),
            ],
            id="paid, outage, created, paid again",
        ),
        pytest.param([PAY, (reloaded, 0)], id="paid, reload"),
        pytest.param([(paid_unseen, 0), (reloaded, 1)], id="paid during reload"),
        pytest.param([PAY, (automations_reloaded, 0)], id="paid, still paid"),
        pytest.param([(acted("partly_pay"), 0), PAY], id="partly paid, paid"),
        pytest.param([(acted("overpay"), 1)], id="overpaid"),
        pytest.param([(acted("expire"), 0), PAY], id="expired, paid late"),
    ],
)
@pytest.mark.usefixtures("short_timeout")
async def test_once(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    runs: Runs,
    steps: list[tuple[Step, int]],
) -> None:
    """Each payment is one run, whatever comes between: the peer's table, and more."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    expected = 0
    for step, more in steps:
        await step(hass, sandbox, entry, invoice.id)
        expected += more
        assert len(runs) == expected, step
    assert len({run["id"] for run in runs}) == expected


BROKEN = Mock(side_effect=RuntimeError("broken"))


@pytest.mark.parametrize(
    "part",
    [
        (Books, "observe", BROKEN),
        (Troubles, "observe", BROKEN),
        (InvoiceSensor, "native_value", property(BROKEN)),
    ],
    ids=["books", "troubles", "sensors"],
)
async def test_whatever_else_breaks(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
    part: tuple[type, str, object],
) -> None:
    """A payment is announced once, though something else that follows the reading breaks."""
    invoice = sandbox.store.create("cryptocloud")
    await add_account("cryptocloud", invoice.id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    with monkeypatch.context() as broken:
        broken.setattr(*part)
        await async_later(hass)
    assert [run["status"] for run in runs] == ["paid"]
    await async_later(hass)
    assert len(runs) == 1


async def test_paid_while_home_assistant_restarts(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, runs: Runs
) -> None:
    """What is found while starting waits, in order, until automations listen."""
    invoices = [sandbox.store.create("cryptocloud") for _ in range(3)]
    entry = await add_account("cryptocloud", *(invoice.id for invoice in invoices))
    await hass.config_entries.async_unload(entry.entry_id)
    hass.set_state(CoreState.starting)
    sandbox.store.act("cryptocloud", invoices[0].id, "pay")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, entry, invoices[0].id, "status").state == "paid"
    sandbox.store.act("cryptocloud", invoices[2].id, "overpay")
    await async_later(hass)
    sandbox.store.act("cryptocloud", invoices[1].id, "pay")
    await async_later(hass)
    assert runs == []

    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert [run["invoice"] for run in runs] == [invoices[n].id for n in (0, 2, 1)]
    await async_later(hass)
    assert len(runs) == 3


async def test_reloaded_before_home_assistant_has_started(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, runs: Runs
) -> None:
    """What waits is not lost with the account that found it."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    hass.set_state(CoreState.starting)
    await hass.config_entries.async_reload(entry.entry_id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    await hass.config_entries.async_reload(entry.entry_id)
    assert runs == []
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(runs) == 1


@dataclass
class SlowAction:
    """An action that an automation runs for as long as the test wants."""

    started: list[str] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
async def slow(hass: HomeAssistant) -> SlowAction:
    """Run a slow action on any payment."""
    action = SlowAction()

    async def run(call: ServiceCall) -> None:
        action.started.append(call.data["id"])
        action.begun.set()
        await action.release.wait()

    hass.services.async_register("test", "report", run)
    await arm(hass, {"trigger": "crypto_invoices.paid"})
    return action


def saved_status(hass_storage: dict[str, Any], entry: ConfigEntry) -> str:
    """Return what the disk says was announced last of the only invoice."""
    (record,) = hass_storage[f"{DOMAIN}.{entry.entry_id}"]["data"]["invoices"].values()
    return str(record["status"])


async def test_reloaded_while_an_action_runs(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    sandbox: SandboxServer,
    add_account: AddAccount,
    slow: SlowAction,
) -> None:
    """A reload neither starts an action again nor counts it as done before it is."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    pass_time(hass)
    await slow.begun.wait()
    await hass.config_entries.async_reload(entry.entry_id)
    assert saved_status(hass_storage, entry) == "pending"
    slow.release.set()
    await async_later(hass)
    assert saved_status(hass_storage, entry) == "paid"
    await hass.config_entries.async_reload(entry.entry_id)
    await async_later(hass)
    assert len(slow.started) == 1


async def test_stopped_while_an_action_runs(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    sandbox: SandboxServer,
    add_account: AddAccount,
    slow: SlowAction,
) -> None:
    """An action that a stop cuts short comes again after the start, with the same ID."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    pass_time(hass)
    await slow.begun.wait()

    hass.set_state(CoreState.stopping)
    (run,) = entry.runtime_data.announcer._runs
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
    await asyncio.sleep(0)
    assert saved_status(hass_storage, entry) == "pending"
    slow.release.set()
    hass.set_state(CoreState.running)

    after = Ledger(hass, entry.entry_id)
    await after.async_load(baselines(entry), is_new=False)
    (again,) = after.observe(
        dict.fromkeys(entry.subentries, entry.runtime_data.data.invoices[invoice.id])
    )
    assert [again.id] == slow.started


async def test_reloaded_while_payments_are_published(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, runs: Runs
) -> None:
    """What a reading found is told, though its account is reloaded before it could be."""
    ids = [sandbox.store.create("cryptocloud").id for _ in range(60)]
    entry = await add_account("cryptocloud", *ids)
    for id_ in ids:
        sandbox.store.act("cryptocloud", id_, "pay")
    first_is_shown = asyncio.Event()

    @callback
    def shown(event: Event[EventStateChangedData]) -> None:
        if (state := event.data["new_state"]) and state.state == "paid":
            first_is_shown.set()

    hass.bus.async_listen(EVENT_STATE_CHANGED, shown)
    pass_time(hass)
    await first_is_shown.wait()
    assert runs == []
    await hass.config_entries.async_reload(entry.entry_id)
    await async_later(hass)
    assert sorted(run["invoice"] for run in runs) == sorted(ids)
