"""Every payment of an account that is watched automatically is announced, once."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.crypto_invoices.book.record import Record, Tombstone
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.identifiers import invoice_device
from custom_components.crypto_invoices.providers.budget import WINDOW, Budget
from custom_components.crypto_invoices.providers.capabilities import PermissionMissing
from custom_components.crypto_invoices.providers.model import (
    InvoiceStatus,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    UnavailableReason,
)
from custom_components.crypto_invoices.upkeep import lister, places
from tests.conftest import (
    CLOCK,
    AddAccount,
    Runs,
    SandboxServer,
    account_state,
    async_add_invoices,
    async_delete_device,
    async_settle,
    device_id,
    fields_of,
    state_of,
    watched,
)

from .shop import (
    TRUE_TIME,
    Orders,
    async_open_shop,
    async_pass,
    async_restart,
    async_set_options,
    set_clock,
)

MINUTE, HOUR, DAY = 60, 60 * 60, 24 * 60 * 60
DOWN = UnavailableReason.SERVER_ERROR


def announced(runs: Runs) -> list[str]:
    """Return the invoices that automations heard of, in that order."""
    return [run["invoice_id"] for run in runs]


def limit_issue(hass: HomeAssistant, entry: ConfigEntry) -> ir.IssueEntry | None:
    """Return the issue that says that there are too many."""
    return ir.async_get(hass).async_get_issue(DOMAIN, f"auto_watch_limit_{entry.entry_id}")


def hint(entry: ConfigEntry, *ids: str, is_trusted: bool = True) -> None:
    """Let somebody hint at invoices."""
    entry.runtime_data.auto_watch.async_hint(ids, is_trusted=is_trusted)


async def test_what_was_there_before(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs
) -> None:
    """When it is switched on, what is open is watched, and what is paid already is no news."""
    orders.make("old", age=timedelta(days=2))
    orders.make("open", age=timedelta(hours=2))
    orders.make_paid("paid", age=timedelta(hours=1))
    entry = await async_open_shop(hass)
    assert watched(entry) == ["open"]
    await async_pass(hass, freezer, 2 * HOUR, step=MINUTE)
    assert not runs
    orders.pay("open")
    await async_pass(hass, freezer, 5 * MINUTE)
    assert announced(runs) == ["open"]


@pytest.mark.parametrize("paid_after", [0, 3, 9, 15])
async def test_paid_before_it_is_seen(
    hass: HomeAssistant,
    orders: Orders,
    freezer: FrozenDateTimeFactory,
    runs: Runs,
    paid_after: int,
) -> None:
    """However soon it is paid, each payment is announced, and once."""
    entry = await async_open_shop(hass)
    for number in range(20):
        orders.make(f"N{number}")
        await async_pass(hass, freezer, paid_after)
        orders.pay(f"N{number}")
        await async_pass(hass, freezer, 7)
    await async_pass(hass, freezer, MINUTE)
    assert set(announced(runs)) == {f"N{number}" for number in range(20)}
    await async_restart(hass, freezer, entry, DAY)
    await async_pass(hass, freezer, 10 * MINUTE)
    assert len(runs) == 20
    assert account_state(hass, entry, "received_CHF").state == "100"


async def test_while_home_assistant_is_down(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs
) -> None:
    """What is made and paid meanwhile, for up to 30 days, is announced then, the oldest first."""
    entry = await async_open_shop(hass)
    assert await hass.config_entries.async_unload(entry.entry_id)
    orders.make_paid("too old")
    freezer.tick(timedelta(days=3))
    for number in range(12):
        freezer.tick(timedelta(days=2))
        orders.make_paid(f"N{number}")
    freezer.tick(timedelta(days=4))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await async_pass(hass, freezer, 5 * MINUTE, step=2)
    assert announced(runs) == [f"N{number}" for number in range(12)]


@pytest.mark.parametrize("days", [0, 5])
async def test_row_that_cannot_be_read(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs, days: int
) -> None:
    """What can't be read in the list is looked for until it can, after a restart too."""
    entry = await async_open_shop(hass)
    assert await hass.config_entries.async_unload(entry.entry_id)
    freezer.tick(timedelta(hours=1))
    orders.make_paid("spoiled")
    orders.make_paid("fine")
    orders.spoiled.add("spoiled")
    freezer.tick(timedelta(days=days))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await async_pass(hass, freezer, 5 * MINUTE, step=2)
    assert announced(runs) == ["fine"]
    await async_restart(hass, freezer, entry, 2 * DAY)
    await async_pass(hass, freezer, HOUR)
    orders.spoiled.clear()
    await async_pass(hass, freezer, 30 * MINUTE)
    assert announced(runs) == ["fine", "spoiled"]
    # Nothing is missing any more.
    orders.lists.clear()
    await async_pass(hass, freezer, HOUR)
    beginnings = [since for since, _ in orders.lists]
    assert max(beginnings) - min(beginnings) < timedelta(days=2)


async def test_during_an_outage(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs
) -> None:
    """What is made and paid while the provider can't be reached is announced afterwards."""
    await async_open_shop(hass)
    orders.trouble = ProviderUnavailable(UnavailableReason.SERVER_ERROR)
    for number in range(5):
        orders.make_paid(f"N{number}")
        await async_pass(hass, freezer, 2 * HOUR, step=10 * MINUTE)
    assert not runs
    orders.trouble = None
    await async_pass(hass, freezer, 20 * MINUTE)
    assert announced(runs) == [f"N{number}" for number in range(5)]


async def test_switched_on_during_an_outage(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs
) -> None:
    """It begins with the first list."""
    orders.make_paid("before")
    orders.trouble = ProviderUnavailable(UnavailableReason.SERVER_ERROR)
    await async_open_shop(hass)
    await async_pass(hass, freezer, 5 * MINUTE)
    orders.trouble = None
    await async_pass(hass, freezer, 20 * MINUTE)
    orders.make_paid("after")
    await async_pass(hass, freezer, MINUTE)
    assert announced(runs) == ["after"]


async def test_off_and_on_again(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs
) -> None:
    """What is made while it is off is not announced, and nothing is asked for."""
    entry = await async_open_shop(hass)
    await async_set_options(hass, entry, on=False)
    lists = len(orders.lists)
    orders.make_paid("meanwhile")
    await async_pass(hass, freezer, HOUR, step=MINUTE)
    hint(entry, "meanwhile")
    hint(entry, "meanwhile", is_trusted=False)
    await async_pass(hass, freezer, MINUTE)
    assert len(orders.lists) == lists
    await async_set_options(hass, entry)
    await async_pass(hass, freezer, MINUTE)
    assert not runs
    orders.make_paid("after")
    await async_pass(hass, freezer, MINUTE)
    assert announced(runs) == ["after"]


@pytest.mark.parametrize("error", [timedelta(days=400), timedelta(days=-400), timedelta(hours=-3)])
@pytest.mark.parametrize("tells_time", [True, False])
@pytest.mark.parametrize("when", ["at first", "for a minute", "at a start"])
async def test_wrong_clock(
    hass: HomeAssistant,
    orders: Orders,
    freezer: FrozenDateTimeFactory,
    runs: Runs,
    *,
    error: timedelta,
    tells_time: bool,
    when: str,
) -> None:
    """A clock that is wrong for a while loses no payment, and makes no old one news.

    Only where nobody knows better, an account that begins in the future begins again.
    """
    orders.tells_time = tells_time
    orders.make_paid("before", age=timedelta(hours=5))
    if when == "at first":
        set_clock(freezer, error)
    entry = await async_open_shop(hass)
    await async_pass(hass, freezer, MINUTE)
    set_clock(freezer, timedelta(0) if when == "at first" else error)
    if when == "at a start":
        await async_restart(hass, freezer, entry, MINUTE)
    await async_pass(hass, freezer, 2 * MINUTE)
    set_clock(freezer, timedelta(0))
    orders.make_paid("A")
    await async_pass(hass, freezer, 2 * MINUTE)
    await async_restart(hass, freezer, entry, 2 * HOUR)
    orders.make_paid("B")
    await async_pass(hass, freezer, 2 * HOUR, step=MINUTE)
    begins_again = when == "at first" and error > timedelta(0) and not tells_time
    assert announced(runs) == (["B"] if begins_again else ["A", "B"])


@pytest.mark.parametrize("error", [timedelta(days=-400), timedelta(days=-10)])
async def test_clock_is_behind_at_a_start(
    hass: HomeAssistant,
    orders: Orders,
    freezer: FrozenDateTimeFactory,
    runs: Runs,
    error: timedelta,
) -> None:
    """What was paid while it was down is found, though nobody knows what time it is."""
    orders.tells_time = False
    orders.make_paid("before", age=timedelta(hours=5))
    entry = await async_open_shop(hass)
    await async_pass(hass, freezer, MINUTE)
    orders.make_paid("A")
    set_clock(freezer, error)
    await async_restart(hass, freezer, entry, MINUTE)
    set_clock(freezer, timedelta(0))
    await async_pass(hass, freezer, 2 * MINUTE)
    assert announced(runs) == ["A"]


@pytest.mark.parametrize("is_newest_first", [True, False])
@pytest.mark.parametrize("is_there_first", [True, False])
async def test_row_of_another_time(
    hass: HomeAssistant,
    orders: Orders,
    freezer: FrozenDateTimeFactory,
    runs: Runs,
    *,
    is_newest_first: bool,
    is_there_first: bool,
) -> None:
    """One row that is dated 2099 spoils nothing, in whatever order, and repeated too."""
    orders.is_newest_first, orders.repeats = is_newest_first, True
    orders.make_paid("before", age=timedelta(hours=1))
    entry = None if is_there_first else await async_open_shop(hass)
    orders.make_paid("X2099", age=timedelta(days=-73 * 365))
    entry = entry or await async_open_shop(hass)
    for id_ in "AB":
        orders.make_paid(id_)
        await async_restart(hass, freezer, entry, 2 * DAY)
        await async_pass(hass, freezer, 10 * MINUTE)
    assert [id_ for id_ in announced(runs) if id_ != "X2099"] == ["A", "B"]
    assert announced(runs).count("X2099") == (0 if is_there_first else 1)


async def test_listed_late(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs
) -> None:
    """An invoice that the list shows minutes or hours late is found, though others came first."""
    await async_open_shop(hass)
    for id_, hidden_for in (("soon", 10 * MINUTE), ("late", 5 * HOUR)):
        made = orders.make(id_)
        orders.pay(id_)
        assert made.created_at
        orders.hidden_until[id_] = made.created_at + timedelta(seconds=hidden_for)
    await async_pass(hass, freezer, 40)
    orders.make_paid("other")
    await async_pass(hass, freezer, 12 * MINUTE, step=MINUTE)
    assert announced(runs) == ["other", "soon"]
    await async_pass(hass, freezer, 7 * HOUR, step=5 * MINUTE)
    assert announced(runs) == ["other", "soon", "late"]


async def test_list_without_times(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs
) -> None:
    """Where nobody knows when it was made, what is open is watched, and hints find the others."""
    orders.is_dated = False
    orders.make_paid("before")
    entry = await async_open_shop(hass)
    orders.make("A")
    await async_pass(hass, freezer, MINUTE)
    orders.pay("A")
    orders.make_paid("B", created_at=None)
    hint(entry, "B", "before")
    await async_pass(hass, freezer, 5 * MINUTE)
    assert set(announced(runs)) == {"A", "B"}
    assert len(runs) == 2


async def test_hint_finds_it_immediately(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs
) -> None:
    """What the provider itself hints at is read without the list, and not if it is old."""
    orders.make_paid("old", age=timedelta(days=3))
    entry = await async_open_shop(hass)
    lists = len(orders.lists)
    orders.make_paid("A")
    orders.make_paid("B")
    hint(entry, "A")
    hint(entry, "B", "nobody's", "old")
    await async_settle(hass)
    assert set(announced(runs)) == {"A", "B"}
    assert len(orders.lists) == lists
    await async_pass(hass, freezer, 2 * MINUTE)
    assert len(runs) == 2


async def test_hint_at_what_is_over(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs
) -> None:
    """An invoice that was paid long ago, and has no page, is read when a hint says that it changed."""
    entry = await async_open_shop(hass)
    orders.make_paid("A")
    await async_pass(hass, freezer, 3 * HOUR, step=10 * MINUTE)
    assert "A" not in entry.runtime_data.book.records
    orders.rows["A"] = replace(orders.rows["A"], status=InvoiceStatus.OVERPAID)
    hint(entry, "A")
    await async_pass(hass, freezer, MINUTE)
    assert entry.runtime_data.book.records["A"].status is InvoiceStatus.OVERPAID
    assert announced(runs) == ["A"]


async def test_hint_and_list_at_the_same_time(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs
) -> None:
    """Whoever is first, it is announced once."""
    entry = await async_open_shop(hass)
    orders.make_paid("A")
    hint(entry, "A")
    hint(entry, "A", is_trusted=False)
    await async_pass(hass, freezer, 35, step=5)
    assert announced(runs) == ["A"]


async def test_forged_hints(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs
) -> None:
    """Hints that anybody may have sent make for one list in two seconds in all, and find it."""
    entry = await async_open_shop(hass)
    await async_pass(hass, freezer, 5)
    orders.make_paid("A")
    lists = len(orders.lists)
    for second in range(20):
        for number in range(50):
            hint(entry, f"forged {second} {number}", is_trusted=False)
        await async_pass(hass, freezer, 1)
    assert announced(runs) == ["A"]
    assert 5 <= len(orders.lists) - lists <= 11
    assert not orders.reads


async def test_no_litter(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs
) -> None:
    """What is over before it is seen has no device, its money counts, and it goes in time."""
    entry = await async_open_shop(hass)
    orders.make_paid("A")
    orders.make("B", status=InvoiceStatus.EXPIRED)
    orders.make("C")
    await async_pass(hass, freezer, MINUTE)
    assert announced(runs) == ["A"]
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert len(devices) == 2, "the account's and that of what is open"
    assert not [
        entity
        for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
        if "_A_" in entity.unique_id
    ]
    assert account_state(hass, entry, "received_CHF").state == "5"
    await async_pass(hass, freezer, 3 * HOUR, step=10 * MINUTE)
    assert watched(entry) == ["B", "C"], "what is over is on disk only"
    assert account_state(hass, entry, "received_CHF").state == "5"
    book = entry.runtime_data.book
    assert isinstance((await book.async_find(["A"]))["A"], Record)
    await async_restart(hass, freezer, entry, 8 * DAY)
    book = entry.runtime_data.book
    await async_pass(hass, freezer, 3 * HOUR, step=10 * MINUTE)
    assert isinstance((await book.async_find(["A"]))["A"], Tombstone)
    assert account_state(hass, entry, "received_CHF").state == "5"
    assert announced(runs) == ["A"]


async def test_added_by_hand_afterwards(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory
) -> None:
    """Who adds what had no device wants to see it."""
    entry = await async_open_shop(hass)
    orders.make_paid("A")
    await async_pass(hass, freezer, MINUTE)
    await async_add_invoices(hass, entry, ["A"])
    assert state_of(hass, entry, "A", "status").state == "paid"


async def test_device_for_every_one(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory
) -> None:
    """Who wants a device for each paid invoice gets that."""
    entry = await async_open_shop(hass)
    await async_set_options(hass, entry, every_device=True)
    orders.make_paid("A")
    await async_pass(hass, freezer, MINUTE)
    assert state_of(hass, entry, "A", "status").state == "paid"


async def test_device_that_came_back(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory
) -> None:
    """A device that has no entities any more is removed: a kill can bring it back from the registry."""
    entry = await async_open_shop(hass)
    await async_set_options(hass, entry, to_fulfill=True)
    orders.make_paid("A")
    await async_pass(hass, freezer, MINUTE)
    registry = dr.async_get(hass)
    registry.async_get_or_create(
        config_entry_id=entry.entry_id,
        identifiers={invoice_device(entry.entry_id, "A")},
        name="A",
    )
    await async_restart(hass, freezer, entry, 0)
    names = {device.name for device in dr.async_entries_for_config_entry(registry, entry.entry_id)}
    assert names == {entry.title}
    assert watched(entry) == ["A"]


async def test_trigger_says_which_device(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs
) -> None:
    """Of an invoice without a device, a trigger names the account's."""
    entry = await async_open_shop(hass)
    orders.make_paid("A")
    await async_pass(hass, freezer, MINUTE)
    [run] = runs
    assert run["device_id"] == device_id(hass, entry)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"only_from_amount": "10.50"}, ["large"]),
        ({"only_currency": "eur"}, ["euro"]),
        ({"only_order_id": "shop-"}, ["order"]),
        ({}, ["large", "euro", "order", "other"]),
    ],
)
async def test_filter(
    hass: HomeAssistant,
    orders: Orders,
    freezer: FrozenDateTimeFactory,
    runs: Runs,
    options: dict[str, Any],
    expected: list[str],
) -> None:
    """What the options leave out is neither watched nor announced."""
    entry = await async_open_shop(hass)
    await async_set_options(hass, entry, **options)
    orders.make_paid("large", amount=11)
    orders.make_paid("euro", currency="EUR")
    orders.make_paid("order", order_id="SHOP-7")
    orders.make_paid("other")
    await async_pass(hass, freezer, 2 * MINUTE)
    assert announced(runs) == expected
    assert watched(entry) == expected


async def test_filter_that_is_none(hass: HomeAssistant, orders: Orders) -> None:
    """What is no amount is refused."""
    entry = await async_open_shop(hass)
    result = await async_set_options(hass, entry, only_from_amount="much")
    assert result["errors"] == {"only_from_amount": "amount_invalid"}


async def test_bound(
    hass: HomeAssistant,
    orders: Orders,
    freezer: FrozenDateTimeFactory,
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A number of open ones is watched and no more, the newest; payments are announced all."""
    monkeypatch.setattr(places, "MOST_WATCHED", 5)
    entry = await async_open_shop(hass)
    for number in range(1, 10):
        orders.make(f"N{number}", age=timedelta(seconds=20 - number))
    await async_pass(hass, freezer, 2 * MINUTE)
    assert set(watched(entry)) == {"N5", "N6", "N7", "N8", "N9"}
    issue = limit_issue(hass, entry)
    assert issue
    assert issue.translation_placeholders == {"account": "My shop", "most": "5"}

    orders.pay("N2")
    await async_pass(hass, freezer, 40 * MINUTE, step=MINUTE)
    assert announced(runs) == ["N2"], "though it had no place"
    for id_ in ("N6", "N8"):
        await async_delete_device(hass, entry, id_)
    await async_pass(hass, freezer, 40 * MINUTE, step=MINUTE)
    assert set(watched(entry)) - {"N2"} == {"N3", "N4", "N5", "N7", "N9"}
    assert limit_issue(hass, entry)
    await async_restart(hass, freezer, entry, 5)
    for id_ in ("N3", "N4"):
        await async_delete_device(hass, entry, id_)
    await async_pass(hass, freezer, 40 * MINUTE, step=MINUTE)
    assert set(watched(entry)) == {"N1", "N5", "N7", "N9"}
    assert limit_issue(hass, entry) is None


async def test_what_nobody_wants_stays_away(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory
) -> None:
    """An invoice that a user stopped watching doesn't come back, unless the user brings it."""
    entry = await async_open_shop(hass)
    orders.make("A")
    await async_pass(hass, freezer, MINUTE)
    await async_delete_device(hass, entry, "A")
    hint(entry, "A")
    await async_pass(hass, freezer, 2 * HOUR, step=MINUTE)
    await async_restart(hass, freezer, entry, 5)
    await async_pass(hass, freezer, 10 * MINUTE)
    assert not watched(entry)
    await async_add_invoices(hass, entry, ["A"])
    assert watched(entry) == ["A"]


@pytest.mark.parametrize(
    ("trouble", "seconds"),
    [
        (ProviderUnavailable(UnavailableReason.SERVER_ERROR), 31),
        (ProviderUnavailable(UnavailableReason.SERVER_ERROR, retry_after=300), 301),
        (RateLimited(300), 301),
    ],
)
async def test_trouble(
    hass: HomeAssistant,
    orders: Orders,
    freezer: FrozenDateTimeFactory,
    trouble: ProviderError,
    seconds: float,
) -> None:
    """A list that breaks off is asked for again, as late as the provider says; nothing is lost."""
    entry = await async_open_shop(hass)
    orders.trouble = trouble
    orders.make("A")
    await async_pass(hass, freezer, 31)
    lists = len(orders.lists)
    assert not watched(entry)
    orders.trouble = None
    await async_pass(hass, freezer, seconds / 3)
    hint(entry, "other", is_trusted=False)
    await async_pass(hass, freezer, seconds / 4)
    assert len(orders.lists) == lists
    await async_pass(hass, freezer, seconds)
    assert watched(entry) == ["A"]


async def test_a_mistake_of_ours(
    hass: HomeAssistant,
    orders: Orders,
    freezer: FrozenDateTimeFactory,
    runs: Runs,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A list that fails in a way that nobody thought of is asked for again, too."""
    await async_open_shop(hass)
    with monkeypatch.context() as patch:
        patch.setattr(orders, "trouble", LookupError("made up"))
        await async_pass(hass, freezer, 31)
    assert "made up" in caplog.text
    orders.make_paid("A")
    await async_pass(hass, freezer, 2 * MINUTE)
    assert [run["invoice_id"] for run in runs] == ["A"]


@pytest.mark.parametrize("trouble", [RateLimited(300), ProviderUnavailable(DOWN, "", 300)])
async def test_hints_wait_as_the_list_does(
    hass: HomeAssistant,
    orders: Orders,
    freezer: FrozenDateTimeFactory,
    runs: Runs,
    trouble: ProviderError,
) -> None:
    """A wait that is asked for in answer to a hint goes before the next hints, too."""
    entry = await async_open_shop(hass)
    orders.trouble = trouble
    orders.make_paid("A")
    orders.make_paid("B")
    hint(entry, "A")
    await async_settle(hass)
    reads = len(orders.reads)
    hint(entry, "B")
    await async_pass(hass, freezer, 200)
    assert len(orders.reads) == reads
    orders.trouble = None
    await async_pass(hass, freezer, 120)
    assert announced(runs) == ["A", "B"]


async def test_without_polls(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs
) -> None:
    """Where the user wants no polls, the list at the start goes on to its end all the same."""
    entry = await async_open_shop(hass)
    hass.config_entries.async_update_entry(entry, pref_disable_polling=True)
    orders.make_paid("A", age=timedelta(days=-9))
    await async_restart(hass, freezer, entry, 10 * DAY)
    await async_pass(hass, freezer, MINUTE, step=2)
    assert announced(runs) == ["A"]
    lists = len(orders.lists)
    await async_pass(hass, freezer, HOUR)
    assert len(orders.lists) == lists


async def test_clock_is_ahead_when_it_is_paid(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory, runs: Runs
) -> None:
    """Nothing that was paid just now is late, whatever this machine's clock says."""
    entry = await async_open_shop(hass)
    orders.make("A")
    await async_pass(hass, freezer, MINUTE)
    set_clock(freezer, timedelta(days=1))
    orders.rows["A"] = replace(orders.rows["A"], status=InvoiceStatus.PAID, paid_at=TRUE_TIME())
    entry.runtime_data.coordinator.async_hint(["A"])
    await async_settle(hass)
    assert [run["is_late"] for run in runs] == [False]


async def test_key_that_may_not_list(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory
) -> None:
    """Where automatic watching is switched on, the permission that is missing is named."""
    entry = await async_open_shop(hass, on=False)
    orders.trouble = PermissionMissing("list_orders")
    result = await async_set_options(hass, entry)
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"auto_watch": "permission_missing"}
    assert result["description_placeholders"]
    assert result["description_placeholders"]["permission"] == "list_orders"
    assert not entry.options
    orders.trouble = ProviderUnavailable(UnavailableReason.TIMEOUT)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"cleanup_after": 7, "auto_watch": True}
    )
    await async_settle(hass)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    orders.trouble = None
    orders.make("A")
    await async_pass(hass, freezer, 2 * MINUTE)
    assert watched(entry) == ["A"]


async def test_permission_taken_away(
    hass: HomeAssistant,
    orders: Orders,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A key that may no longer list is logged, once; once it may, that too."""
    await async_open_shop(hass)
    orders.trouble = PermissionMissing("list_orders")
    await async_pass(hass, freezer, 10 * MINUTE)
    [line] = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert "the key doesn't have the permission list_orders" in line
    orders.trouble = None
    await async_pass(hass, freezer, 20 * MINUTE)
    assert "the list of invoices can be read again" in caplog.text


async def test_requests_of_a_quiet_shop(
    hass: HomeAssistant, orders: Orders, freezer: FrozenDateTimeFactory
) -> None:
    """The list is asked for twice a minute, and a few times more each hour."""
    await async_open_shop(hass)
    await async_pass(hass, freezer, 2 * HOUR, step=5)
    lists = len(orders.lists)
    await async_pass(hass, freezer, HOUR, step=5)
    assert 100 <= len(orders.lists) - lists <= 130


async def test_options_of_a_provider_that_lists_nothing(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """What can't be watched automatically isn't offered to be."""
    entry = await add_account("cryptocloud_v1", sandbox.store.create("cryptocloud_v1").id)
    result = await hass.config_entries.options.async_init(entry.entry_id)
    offered = {"cleanup_after", "to_fulfill", "to_fulfill_issue"}
    assert fields_of(result["data_schema"]).keys() == offered


LISTS = pytest.mark.parametrize("provider", ["cryptocloud", "btcpay", "lnbits"])


@LISTS
@pytest.mark.parametrize("paid_after", [3, 9, 15])
async def test_over_http(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    runs: Runs,
    freezer: FrozenDateTimeFactory,
    provider: str,
    paid_after: int,
) -> None:
    """Of 20 invoices that are made elsewhere and soon paid, 20 are announced."""
    await add_account(provider)
    made = []
    for _ in range(20):
        made.append(sandbox.store.create(provider).id)
        await async_pass(hass, freezer, paid_after)
        sandbox.store.act(provider, made[-1], "pay")
        await async_pass(hass, freezer, 4)
    await async_pass(hass, freezer, 5 * MINUTE)
    assert sorted(announced(runs)) == sorted(made)
    assert len({run["announcement_id"] for run in runs}) == 20


@LISTS
async def test_over_http_while_down(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    runs: Runs,
    freezer: FrozenDateTimeFactory,
    provider: str,
) -> None:
    """What is made and paid while Home Assistant is down is announced, oldest first, and dated."""
    entry = await add_account(provider)
    assert await hass.config_entries.async_unload(entry.entry_id)
    made, times = [], []
    for _ in range(5):
        freezer.tick(timedelta(hours=3))
        made.append(sandbox.store.create(provider).id)
        times.append(sandbox.store.get(provider, made[-1]).created_at.replace(microsecond=0))
        sandbox.store.act(provider, made[-1], "pay")
    freezer.tick(timedelta(hours=3))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await async_settle(hass)
    await async_pass(hass, freezer, 5 * MINUTE)
    assert announced(runs) == made
    assert [run["created_at"][:19] for run in runs] == [time.isoformat()[:19] for time in times]
    assert all(run["is_late"] is True for run in runs)
    if provider == "cryptocloud":
        assert all(a["paid_at"] < b["paid_at"] for a, b in pairwise(runs))


@pytest.fixture
def paced_at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return when requests for lists were made."""
    moments: list[float] = []
    spend = Budget.async_spend

    async def spend_and_note(budget: Budget) -> None:
        await spend(budget)
        if budget.per_minute == lister.REQUESTS_PER_MINUTE:
            moments.append(CLOCK())

    monkeypatch.setattr(Budget, "async_spend", spend_and_note)
    return moments


# Where most of the time goes is the making of so many.
@pytest.mark.parametrize("provider", ["cryptocloud", "btcpay"])
async def test_requests_of_a_large_shop(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    runs: Runs,
    freezer: FrozenDateTimeFactory,
    monkeypatch: pytest.MonkeyPatch,
    paced_at: list[float],
    provider: str,
) -> None:
    """However long the list is, it costs ten requests a minute at most, and nothing is lost."""
    monkeypatch.setattr(places, "MOST_WATCHED", 5)
    entry = await add_account(provider)
    assert await hass.config_entries.async_unload(entry.entry_id)
    made = []
    for _ in range(4000):
        freezer.tick(timedelta(seconds=43))
        made.append(sandbox.store.create(provider).id)
        if len(made) in (8, 4000):
            sandbox.store.act(provider, made[-1], "pay")
    paced_at.clear()
    assert await hass.config_entries.async_setup(entry.entry_id)
    for _ in range(15):
        await async_drift(hass, freezer, MINUTE)
    assert len(paced_at) > 2 * lister.REQUESTS_PER_MINUTE
    # Timers in tests ring half a second early.
    for earlier, later in zip(paced_at, paced_at[lister.REQUESTS_PER_MINUTE :], strict=False):
        assert later - earlier > WINDOW - 1
    paid = [id_ for id_ in announced(runs) if id_ in (made[7], made[-1])]
    assert paid == [made[7], made[-1]]


async def async_drift(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: int) -> None:
    """Let time pass for tasks that wait for it, too."""
    for _ in range(seconds // 3):
        freezer.tick(3)
        CLOCK.passed += 3
        async_fire_time_changed(hass)
        for _ in range(30):
            await asyncio.sleep(0)
            await hass.async_block_till_done()
