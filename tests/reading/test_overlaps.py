"""Two things at once, in a real Home Assistant: callers that leave, answers that come late."""

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from functools import partial
import logging
from typing import Any

from homeassistant.components.homeassistant.const import DOMAIN as HOMEASSISTANT
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest

from custom_components.crypto_invoices import setting_up
from custom_components.crypto_invoices.book.loading import looked_up
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    BadResponse,
    InvoiceNotFound,
    InvoiceStatus as S,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    UnavailableReason,
)
from custom_components.crypto_invoices.watching import async_watch
from tests.conftest import (
    CLOCK,
    Runs,
    account_state,
    async_act,
    async_delete_device,
    async_later,
    async_settle,
    async_until,
    find_entity,
    load_state,
    make_due,
    pass_time,
    state_of,
    watched,
)

from .told import Told, async_add_told
from .world import LONGEST_STALL, Stalls, invoice

type Call = Callable[[HomeAssistant, ConfigEntry], Coroutine[Any, Any, object]]

DOWN = ProviderUnavailable(UnavailableReason.TIMEOUT)


async def _update_entity(hass: HomeAssistant, entry: ConfigEntry) -> None:
    await hass.services.async_call(
        HOMEASSISTANT,
        "update_entity",
        {"entity_id": find_entity(hass, entry, "open_invoices")},
        blocking=True,
    )


async def _update_invoice(hass: HomeAssistant, entry: ConfigEntry) -> None:
    entity_id = find_entity(hass, entry, "1", "status")
    await hass.services.async_call(
        HOMEASSISTANT, "update_entity", {"entity_id": entity_id}, blocking=True
    )


async def _refresh_action(hass: HomeAssistant, entry: ConfigEntry) -> None:
    await async_act(hass, "refresh", config_entry_id=entry.entry_id)


async def _refresh(hass: HomeAssistant, entry: ConfigEntry) -> None:
    await entry.runtime_data.coordinator.async_refresh()


async def _request_refresh(hass: HomeAssistant, entry: ConfigEntry) -> None:
    await entry.runtime_data.coordinator.async_request_refresh()


def is_planned(entry: ConfigEntry) -> bool:
    """Whether each invoice comes again by itself."""
    coordinator = entry.runtime_data.coordinator
    return coordinator.reader.is_timer_armed and all(
        one.due is not None for one in coordinator.data.values()
    )


@pytest.mark.parametrize("turns", [1, 3, 8, 20, None])
@pytest.mark.parametrize(
    "call", [_update_entity, _update_invoice, _refresh_action, _refresh, _request_refresh]
)
async def test_a_caller_is_cancelled(
    hass: HomeAssistant, told: type[Told], runs: Runs, *, call: Call, turns: int | None
) -> None:
    """Whoever asked and leaves, at whichever await: what was asked for is read, and announced."""
    assert await async_setup_component(hass, HOMEASSISTANT, {})
    entry = await async_add_told(hass, "1")
    CLOCK.passed += 20
    make_due(entry)
    told.waits = True
    caller = hass.async_create_task(call(hass, entry))
    if turns is None:
        await async_until(lambda: bool(told.questions))
    else:
        for _ in range(turns):
            await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait((caller,))
    assert is_planned(entry)
    told.waits = False
    told.truth["1"] = invoice("1", S.PAID)
    for question in told.questions:
        question.answer()
    await async_settle(hass)
    assert entry.runtime_data.coordinator.last_update_success
    pass_time(hass, 31)
    await async_settle(hass)
    assert [run["status"] for run in runs] == ["paid"]


async def test_whoever_adds_is_cancelled(hass: HomeAssistant, told: type[Told], runs: Runs) -> None:
    """A script that is stopped while the book is asked: what is in the book is read, too."""
    entry = await async_add_told(hass)
    adding = hass.async_create_task(async_watch(entry.runtime_data.coordinator, [invoice("1")]))
    adding.cancel()
    await asyncio.wait((adding,))
    await async_settle(hass)
    assert watched(entry) == ["1"]
    assert is_planned(entry)
    told.truth["1"] = invoice("1", S.PAID)
    pass_time(hass, 31)
    await async_settle(hass)
    assert [run["status"] for run in runs] == ["paid"]


async def test_two_dialogs_at_a_slow_provider(
    hass: HomeAssistant, told: type[Told], runs: Runs
) -> None:
    """The second invoice is added while the first is being read: both are watched."""
    entry = await async_add_told(hass, "before")
    coordinator = entry.runtime_data.coordinator
    CLOCK.passed += 20
    make_due(entry)
    told.waits = True

    def is_asked(times: int) -> bool:
        return len(told.questions) == times

    asking = hass.async_create_task(coordinator.async_refresh())
    for number, id_ in enumerate(("first", "second"), start=1):
        told.truth[id_] = invoice(id_)
        await async_until(partial(is_asked, number))
        await async_watch(coordinator, [invoice(id_)])
        coordinator.async_hint([id_])
    told.waits = False
    for question in reversed(told.questions):
        question.answer()
    await asking
    await async_settle(hass)
    assert watched(entry) == ["before", "first", "second"]
    for id_ in told.truth:
        told.truth[id_] = invoice(id_, S.PAID)
    pass_time(hass, 31)
    await async_settle(hass)
    assert sorted(run["invoice"] for run in runs) == ["before", "first", "second"]
    assert state_of(hass, entry, "second", "status").state == "paid"


async def test_a_replica_lags(hass: HomeAssistant, told: type[Told], runs: Runs) -> None:
    """Paid, pending twice within seconds, paid: one payment with one ID."""
    entry = await async_add_told(hass, "1")
    seen = []
    for status in (S.PAID, S.PENDING, S.PENDING, S.PAID):
        CLOCK.passed += 2.1
        told.truth["1"] = invoice("1", status)
        await asyncio.wait(entry.runtime_data.coordinator.async_hint(["1"]))
        await async_settle(hass)
        seen.append(state_of(hass, entry, "1", "status").state)
    assert seen == ["paid"] * 4
    await async_later(hass)
    assert [run["status"] for run in runs] == ["paid"]


async def test_answers_in_the_wrong_order(
    hass: HomeAssistant, told: type[Told], runs: Runs
) -> None:
    """A poll that was asked for before the payment comes home after the hint that found it."""
    entry = await async_add_told(hass, "one", "two")
    coordinator = entry.runtime_data.coordinator
    CLOCK.passed += 20
    make_due(entry)
    told.waits = True
    asking = hass.async_create_task(coordinator.async_refresh())
    await async_until(lambda: len(told.questions) == 1)
    told.truth["one"] = invoice("one", S.PAID)
    [hint] = coordinator.async_hint(["one"])
    await async_until(lambda: len(told.questions) == 2)
    CLOCK.passed += 9
    told.questions[1].answer()
    await hint
    assert not asking.done()
    # The old answer brings the other one forward, but takes nothing back.
    told.questions[0].answer({"two": invoice("two", S.PAID)})
    await asking
    await async_settle(hass)
    assert state_of(hass, entry, "one", "status").state == "paid"
    assert coordinator.data["one"].doubt is None
    assert sorted(run["invoice"] for run in runs) == ["one", "two"]


async def test_removed_while_a_reading_of_it_fails(hass: HomeAssistant, told: type[Told]) -> None:
    """Gone means gone: it is not asked for again, and its repair issue goes too."""
    entry = await async_add_told(hass, "stays", "goes")
    told.truth["goes"] = InvoiceNotFound("goes")
    for _ in range(4):
        await async_later(hass, 9 * 3600)
    assert ir.async_get(hass).async_get_issue(DOMAIN, f"invoices_gone_{entry.entry_id}")
    told.waits = True
    make_due(entry)
    asking = hass.async_create_task(entry.runtime_data.coordinator.async_refresh())
    await async_until(lambda: bool(told.questions))
    await async_delete_device(hass, entry, "goes")
    told.questions[0].answer()
    await asking
    await async_settle(hass)
    assert ir.async_get(hass).async_get_issue(DOMAIN, f"invoices_gone_{entry.entry_id}") is None
    del told.truth["goes"]
    told.waits = False
    await async_later(hass)
    assert watched(entry) == ["stays"]
    assert state_of(hass, entry, "stays", "status").state == "pending"


@pytest.mark.parametrize("how", ["unload", "reload"])
async def test_nobody_waits_for_an_account_that_is_gone(
    hass: HomeAssistant, told: type[Told], how: str
) -> None:
    """Who waits for a reading is let go when the account is unloaded; so is who asks later."""
    entry = await async_add_told(hass, "1")
    coordinator = entry.runtime_data.coordinator
    CLOCK.passed += 20
    make_due(entry)
    told.waits = True
    asking = [
        hass.async_create_task(coordinator.async_refresh()),
        hass.async_create_task(_update_invoice_of(coordinator)),
    ]
    await async_until(lambda: len(told.questions) == 2)
    told.waits = False
    if how == "unload":
        assert await hass.config_entries.async_unload(entry.entry_id)
    else:
        assert await hass.config_entries.async_reload(entry.entry_id)
    async with asyncio.timeout(5):
        await asyncio.gather(*asking)
        await coordinator.async_refresh()
        await coordinator.async_request_refresh()
    assert coordinator.async_hint(["1"]) == []


async def _update_invoice_of(coordinator: Any) -> None:
    await asyncio.wait(coordinator.async_hint(["1"]))


# The provider is down, or refuses.


async def test_down_at_the_start(hass: HomeAssistant, told: type[Told]) -> None:
    """An account that was never read is set up again later; one that was, shows what is known."""
    told.down = DOWN
    entry = await async_add_told(hass, "1")
    assert load_state(entry) is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "timeout"
    told.down = None
    await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    assert state_of(hass, entry, "1", "status").state == "pending"
    told.down = DOWN
    await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    assert load_state(entry) is ConfigEntryState.LOADED
    assert account_state(hass, entry, "open_invoices").state == "1"
    assert state_of(hass, entry, "1", "status").state == "unavailable"


@pytest.mark.parametrize("is_old", [True, False])
async def test_added_again_with_old_news(
    hass: HomeAssistant, told: type[Told], runs: Runs, *, is_old: bool
) -> None:
    """What was paid when it was removed is not paid once more when old news has been read."""
    entry = await async_add_told(hass, "1")
    told.truth["1"] = paid = invoice("1", S.PAID, amount=Decimal(9), currency="EUR")
    await async_later(hass)
    await async_delete_device(hass, entry, "1")
    told.truth["1"] = open_ = invoice("1", amount=Decimal(9), currency="EUR")
    await async_watch(entry.runtime_data.coordinator, [open_])
    assert state_of(hass, entry, "1", "status").state == "paid"
    if is_old:
        told.truth["1"] = paid
    for _ in range(5):
        await async_later(hass)
    assert state_of(hass, entry, "1", "status").state == ("paid" if is_old else "pending")
    assert entry.runtime_data.book.sums.received["EUR"] == (9 if is_old else 0)
    assert len(runs) == 1


async def test_down_for_hours_from_the_start(
    hass: HomeAssistant, told: type[Told], caplog: pytest.LogCaptureFixture
) -> None:
    """Home Assistant itself logs that an account can't be set up; nothing is added to that."""
    told.down = DOWN
    entry = await async_add_told(hass, "1")
    for _ in range(5):
        await async_later(hass, 3600)
    assert load_state(entry) is ConfigEntryState.SETUP_RETRY
    assert told.asked >= 5
    ours = [one for one in caplog.records if one.name.startswith("custom_components.")]
    assert [one.message for one in ours if one.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("trouble", [AuthError("HTTP 401"), DOWN])
async def test_log_of_a_set_up_without_a_reading(
    hass: HomeAssistant,
    told: type[Told],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    trouble: ProviderError,
) -> None:
    """An account that is set up although its first reading fails says so in the log, once."""
    monkeypatch.setattr(setting_up, "_FIRST_READING", 0.01)
    entry = await async_add_told(hass)
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, "invoices": [looked_up(invoice("1"))]}
    )
    # A key is refused immediately; who is slow fails after the set-up has ended.
    if trouble is DOWN:
        told.truth["1"], told.waits = invoice("1"), True
    else:
        told.down = trouble
    await hass.config_entries.async_reload(entry.entry_id)
    assert load_state(entry) is ConfigEntryState.LOADED
    told.down = trouble
    for question in told.questions:
        question.answered.set_exception(trouble)
    for _ in range(5):
        await async_later(hass, 3600)
    assert caplog.text.count("Error fetching") == 1


async def test_paid_in_an_outage_of_a_week(
    hass: HomeAssistant, told: type[Told], runs: Runs
) -> None:
    """It is announced when the provider is back."""
    await async_add_told(hass, "1")
    told.down = RateLimited(30 * 24 * 3600)
    for _ in range(7):
        await async_later(hass, 24 * 3600)
    assert not runs
    told.down, told.truth["1"] = None, invoice("1", S.PAID)
    await async_later(hass, 3601)
    assert [run["status"] for run in runs] == ["paid"]


async def test_a_key_is_refused_once(hass: HomeAssistant, told: type[Told], runs: Runs) -> None:
    """No dialog opens, and what is paid meanwhile is announced within minutes."""
    entry = await async_add_told(hass, "1")
    told.down = AuthError("HTTP 403")
    await async_later(hass, 31)
    told.down, told.truth["1"] = None, invoice("1", S.PAID)
    pass_time(hass, 125)
    await async_settle(hass)
    assert [run["status"] for run in runs] == ["paid"]
    assert not hass.config_entries.flow.async_progress()
    assert load_state(entry) is ConfigEntryState.LOADED


async def test_a_key_is_refused_for_good(hass: HomeAssistant, told: type[Told]) -> None:
    """The second refusal opens the dialog, once; a good answer closes it."""
    entry = await async_add_told(hass, "1")
    told.down = AuthError("HTTP 401")
    dialogs = []
    for seconds in (31, 125, 901, 901, 5 * 3600):
        pass_time(hass, seconds)
        await async_settle(hass)
        dialogs.append(len(hass.config_entries.flow.async_progress()))
    assert dialogs == [0, 1, 1, 1, 1]
    assert load_state(entry) is ConfigEntryState.LOADED
    told.down = None
    # Twice, as the timer may be armed anew when the first hour is over.
    for _ in range(2):
        pass_time(hass, 3601)
        await async_settle(hass)
    assert not hass.config_entries.flow.async_progress()
    assert state_of(hass, entry, "1", "status").state == "pending"


async def test_unreadable_account(hass: HomeAssistant, told: type[Told]) -> None:
    """Where nothing makes sense any more, the invoices are unavailable, and come back."""
    entry = await async_add_told(hass, "1", "2")
    told.down = BadResponse("a web page")
    await async_later(hass)
    assert state_of(hass, entry, "1", "status").state == "unavailable"
    told.down = None
    await async_later(hass)
    assert state_of(hass, entry, "1", "status").state == "pending"


async def test_polling_is_switched_off(hass: HomeAssistant, told: type[Told], runs: Runs) -> None:
    """In the account's system options: nothing is polled, and hints and actions still read."""
    entry = await async_add_told(hass, "one", "two")
    hass.config_entries.async_update_entry(entry, pref_disable_polling=True)
    await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    asked = told.asked
    for _ in range(5):
        pass_time(hass, 3600)
        await async_settle(hass)
    assert told.asked == asked
    for id_ in ("one", "two"):
        told.truth[id_] = invoice(id_, S.PAID)
    await asyncio.wait(entry.runtime_data.coordinator.async_hint(["one"]))
    await async_settle(hass)
    assert [run["invoice"] for run in runs] == ["one"]
    await async_act(hass, "refresh", config_entry_id=entry.entry_id)
    await async_settle(hass)
    assert [run["invoice"] for run in runs] == ["one", "two"]


# Many.


async def test_an_outage_of_many(hass: HomeAssistant, told: type[Told]) -> None:
    """Hundreds of invoices become unavailable, and come back, without holding up anything."""
    ids = [f"{number}" for number in range(400)]
    entry = await async_add_told(hass, *ids)
    stalls = Stalls()
    for down in (DOWN, None):
        told.down = down
        await async_later(hass)
        expected = "unavailable" if down else "pending"
        assert account_state(hass, entry, "open_invoices").state == "400"
        assert state_of(hass, entry, ids[-1], "status").state == expected
    longest = await stalls.async_end()
    assert longest < LONGEST_STALL


async def test_who_ends_the_watching_leaves(hass: HomeAssistant, told: type[Told]) -> None:
    """The watching ends as a whole, with all devices, also if the caller is cancelled."""
    entry = await async_add_told(hass, "1", "2", "3")
    caller = hass.async_create_task(async_act(hass, "untrack_invoices", invoice_ids=["1", "3"]))
    for _ in range(2):
        await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait((caller,))
    await async_settle(hass)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert len(devices) == 1 + len(watched(entry))


async def test_many_are_untracked(hass: HomeAssistant, told: type[Told]) -> None:
    """An action that ends the watching of hundreds of invoices holds up nothing."""
    ids = [f"{number}" for number in range(600)]
    entry = await async_add_told(hass, *ids, "stays")
    stalls = Stalls()
    await async_act(hass, "untrack_invoices", invoice_ids=ids)
    await async_settle(hass)
    longest = await stalls.async_end()
    assert watched(entry) == ["stays"]
    assert len(dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)) == 2
    assert longest < LONGEST_STALL


async def test_hundreds_are_added_and_set_up(hass: HomeAssistant, told: type[Told]) -> None:
    """Hundreds of invoices get their entities in slices, when added and at a start."""
    entry = await async_add_told(hass, "first")
    ids = [f"{number}" for number in range(300)]
    told.truth.update({id_: invoice(id_) for id_ in ids})
    stalls = Stalls()
    await async_watch(entry.runtime_data.coordinator, [invoice(id_) for id_ in ids])
    assert all(find_entity(hass, entry, id_, "status") for id_ in ids)
    await async_settle(hass)
    assert await stalls.async_end() < LONGEST_STALL
    await hass.config_entries.async_unload(entry.entry_id)
    stalls = Stalls()
    await hass.config_entries.async_setup(entry.entry_id)
    await async_settle(hass)
    assert await stalls.async_end() < LONGEST_STALL
    assert {state_of(hass, entry, id_, "status").state for id_ in ids} == {"pending"}


@pytest.mark.parametrize("turns", [0, 1, 2, 4])
async def test_who_adds_invoices_leaves(
    hass: HomeAssistant, told: type[Told], *, turns: int
) -> None:
    """What is watched gets its entities, also if the caller is cancelled before they are there."""
    entry = await async_add_told(hass, "1")
    coordinator = entry.runtime_data.coordinator
    ids = [f"more-{number}" for number in range(100)]
    told.truth.update({id_: invoice(id_) for id_ in ids})
    caller = hass.async_create_task(async_watch(coordinator, [invoice(id_) for id_ in ids]))
    await async_until(lambda: ids[0] in coordinator.book.records)
    for _ in range(turns):
        await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait((caller,))
    CLOCK.passed += 31
    pass_time(hass, 31)
    await async_settle(hass)
    assert set(watched(entry)) == {"1", *ids}
    assert all(find_entity(hass, entry, id_, "status") for id_ in ids)


@pytest.mark.parametrize("turns", [0, 1, 2, 4, 8])
async def test_unloaded_while_the_watching_of_many_ends(
    hass: HomeAssistant, told: type[Told], turns: int
) -> None:
    """All of them are gone when the account is there again, or none if it was said so."""
    ids = [f"{number}" for number in range(350)]
    entry = await async_add_told(hass, *ids)
    ending = hass.async_create_task(async_act(hass, "untrack_invoices", invoice_ids=ids[1:]))
    for _ in range(turns):
        await asyncio.sleep(0)
    assert await hass.config_entries.async_reload(entry.entry_id)
    left = ["0"]
    await asyncio.wait((ending,))
    if (error := ending.exception()) is not None:
        assert isinstance(error, HomeAssistantError)
        assert error.translation_key == "account_not_loaded"
        left = ids
    await async_settle(hass)
    assert sorted(watched(entry)) == sorted(left)


async def test_tests_that_were_paid_before(
    hass: HomeAssistant, told: type[Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was paid without money is in no sum, also before the first reading."""
    monkeypatch.setattr(setting_up, "_FIRST_READING", 0)
    paid = invoice("1", S.PAID, is_test=True, amount=Decimal(5), currency="EUR")
    told.truth["1"], told.waits = paid, True
    entry = await async_add_told(hass)
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, "invoices": [looked_up(paid)]}
    )
    await hass.config_entries.async_reload(entry.entry_id)
    await async_until(lambda: bool(told.questions))
    assert entry.runtime_data.book.sums.received == {}
    told.questions[0].answer()
    await async_settle(hass)
    assert entry.runtime_data.book.sums.received == {}


async def test_left_while_it_is_loaded(hass: HomeAssistant, told: type[Told]) -> None:
    """What is left in the data of an account is watched, whenever it is left there."""
    entry = await async_add_told(hass)
    told.truth["1"] = left = invoice("1")
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, "invoices": [looked_up(left)]}
    )
    await async_settle(hass)
    assert watched(entry) == ["1"]
    assert "invoices" not in entry.data
    assert is_planned(entry)


async def test_left_while_it_is_unloaded(hass: HomeAssistant, told: type[Told]) -> None:
    """What is left in the data of an account that is unloaded then is watched when it is loaded."""
    entry = await async_add_told(hass)
    told.truth["1"] = left = invoice("1")
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, "invoices": [looked_up(left)]}
    )
    assert await hass.config_entries.async_unload(entry.entry_id)
    await async_settle(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await async_settle(hass)
    assert watched(entry) == ["1"]
    assert is_planned(entry)
