"""What goes on beside the watching, all at once, costs no payment."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, override
from unittest.mock import Mock

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.crypto_invoices import invoicing, tidy
from custom_components.crypto_invoices.account import async_add_invoices, tracked_invoices
from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.base import Field, FieldKind, Provider
from custom_components.crypto_invoices.providers.invoicing import NewInvoice, OutcomeUnknown
from custom_components.crypto_invoices.providers.model import (
    Account,
    AuthError,
    Invoice,
    InvoiceStatus,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    Trouble,
)
from custom_components.crypto_invoices.sensor import InvoiceSensor

from .conftest import (
    Runs,
    arm,
    async_act,
    async_later,
    async_open_credentials,
    async_submit,
    device_id,
    pass_time,
)


class Shop(Provider):
    """A shop that answers for one invoice at a time, as long as a test wants it to."""

    key = "shop"
    name = "Shop"
    fields = (Field(key="url", kind=FieldKind.URL, default="https://shop.test"),)
    batch_size: ClassVar[int] = 1
    concurrency: ClassVar[int] = 1

    takes: ClassVar[frozenset[str]] = frozenset({"order_id"})
    made: ClassVar[dict[str, Invoice]] = {}
    trouble: ClassVar[Exception | None] = None
    answers_left: ClassVar[int] = 0
    asked: ClassVar[asyncio.Event | None] = None
    go_on: ClassVar[asyncio.Event | None] = None
    when_made: ClassVar[Callable[[Invoice], object]] = Mock()

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        """Take any."""
        return text

    @override
    async def async_get_account(self) -> Account:
        """Need no key."""
        return Account(unique_id="shop", title="My shop")

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Look an invoice up, unless there is a trouble."""
        if self.asked and self.go_on:
            self.asked.set()
            await self.go_on.wait()
        if self.trouble:
            if not self.answers_left:
                raise self.trouble
            Shop.answers_left -= 1
        return {id_: self.made[id_] for id_ in ids if id_ in self.made}

    async def async_create_invoice(self, new: NewInvoice) -> Invoice:
        """Make an invoice, and let the answer get lost."""
        Shop.when_made(make(f"S{len(self.made) + 1}", order_id=new.order_id))
        raise OutcomeUnknown

    async def async_list_invoices(
        self, *, since: datetime, order_id: str | None = None
    ) -> AsyncIterator[Invoice]:
        """Yield the invoices, the newest first."""
        for invoice in reversed(self.made.values()):
            yield invoice


def make(id_: str, **fields: Any) -> Invoice:
    """Make an invoice at the shop."""
    invoice = Shop.made[id_] = Invoice(
        **{
            "id": id_,
            "status": InvoiceStatus.PENDING,
            "provider_status": "new",
            "amount": Decimal(5),
            "currency": "EUR",
            "created_at": dt_util.utcnow(),
            **fields,
        }
    )
    return invoice


def become(id_: str, status: InvoiceStatus) -> None:
    """Let an invoice have another status."""
    Shop.made[id_] = replace(Shop.made[id_], status=status)


@pytest.fixture
def untranslated() -> set[str]:
    """Its texts are of no interest here."""
    return {Shop.key}


@pytest.fixture(autouse=True)
def _open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS, Shop.key, Shop)
    monkeypatch.setattr(invoicing, "LOOK_AFTER", (0,))
    monkeypatch.setattr(Shop, "made", {})
    for name in ("trouble", "answers_left", "asked", "go_on", "when_made"):
        monkeypatch.setattr(Shop, name, getattr(Shop, name))


async def async_add_shop(hass: HomeAssistant, *ids: str) -> ConfigEntry:
    """Set up an account with some invoices."""
    for id_ in ids:
        make(id_)
    result = await async_open_credentials(hass, Shop.key)
    result = await async_submit(hass, result, {"url": "https://shop.test"})
    result = await async_submit(hass, result, {"invoices": " ".join(ids)})
    await hass.async_block_till_done(wait_background_tasks=True)
    entry: ConfigEntry = result["result"]
    return entry


@pytest.mark.parametrize(
    "trouble", [ProviderUnavailable(Trouble.TIMEOUT), AuthError(), RuntimeError("broken")]
)
async def test_setup_breaks_off_after_a_payment_was_read(
    hass: HomeAssistant, runs: Runs, trouble: Exception
) -> None:
    """A payment is told, though the provider failed at once after it said so at a start."""
    ids = [f"S{number}" for number in range(9)]
    entry = await async_add_shop(hass, *ids)
    await hass.config_entries.async_unload(entry.entry_id)
    for id_ in ids:
        become(id_, InvoiceStatus.PAID)
    Shop.trouble, Shop.answers_left = trouble, 2
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is not ConfigEntryState.LOADED
    assert Shop.answers_left == 0
    Shop.trouble = None
    await hass.config_entries.async_reload(entry.entry_id)
    for _ in range(3):
        await async_later(hass)
    assert sorted(run["invoice"] for run in runs) == ids


async def test_added_while_the_account_is_set_up(hass: HomeAssistant, runs: Runs) -> None:
    """An invoice that was added during the first reading of a start is watched."""
    entry = await async_add_shop(hass, "S1")
    await hass.config_entries.async_unload(entry.entry_id)
    Shop.asked, Shop.go_on = asyncio.Event(), asyncio.Event()
    setup = hass.async_create_task(hass.config_entries.async_setup(entry.entry_id))
    await Shop.asked.wait()
    async_add_invoices(hass, entry, [make("S2")])
    Shop.go_on.set()
    assert await setup
    await async_later(hass, 1)
    become("S2", InvoiceStatus.PAID)
    await async_later(hass)
    assert [run["invoice"] for run in runs] == ["S2"]


async def test_removed_while_the_account_is_set_up(hass: HomeAssistant, runs: Runs) -> None:
    """An invoice that was removed during the first reading of a start keeps none from it."""
    entry = await async_add_shop(hass, "S1", "S2")
    await hass.config_entries.async_unload(entry.entry_id)
    Shop.asked, Shop.go_on = asyncio.Event(), asyncio.Event()
    setup = hass.async_create_task(hass.config_entries.async_setup(entry.entry_id))
    await Shop.asked.wait()
    removed = tracked_invoices(entry)["S1"]
    hass.config_entries.async_remove_subentry(entry, removed)
    Shop.go_on.set()
    assert await setup
    await async_later(hass, 1)
    assert entry.runtime_data.tracked.keys() == {"S2"}
    become("S2", InvoiceStatus.PAID)
    await async_later(hass)
    assert [run["invoice"] for run in runs] == ["S2"]
    assert hass.states.async_entity_ids("event") == [
        "event.my_shop_activity",
        "event.invoice_s2_activity",
    ]


@pytest.mark.parametrize("is_seen_before", [False, True])
async def test_late_payment_is_not_tidied_away(
    hass: HomeAssistant, reports: Runs, freezer: FrozenDateTimeFactory, *, is_seen_before: bool
) -> None:
    """A payment that was made long after an invoice expired is told before that is tidied away.

    Even if Home Assistant was off for long after it saw it, and before it told it.
    """
    entry = await async_add_shop(hass, "S1")
    target = {"device_id": device_id(hass, entry, "S1")}
    await arm(hass, {"trigger": "crypto_invoices.paid", "target": target})
    become("S1", InvoiceStatus.EXPIRED)
    await async_later(hass)
    hass.set_state(CoreState.starting)
    await hass.config_entries.async_reload(entry.entry_id)
    if is_seen_before:
        become("S1", InvoiceStatus.PAID)
        await async_later(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    become("S1", InvoiceStatus.PAID)
    freezer.tick(timedelta(days=8))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await async_later(hass, 1)
    assert reports == []
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert [run["invoice"] for run in reports] == ["S1"]

    async_fire_time_changed(hass, dt_util.utcnow() + tidy.INTERVAL)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert bool(entry.subentries) is not is_seen_before, "it stays for as many days as any other"


async def async_let_pass(hass: HomeAssistant, seconds: float = 900) -> None:
    """Let time pass, with what is due by itself."""
    pass_time(hass, seconds)
    await hass.async_block_till_done(wait_background_tasks=True)


@pytest.mark.parametrize("is_hinted", [False, True])
async def test_provider_breaks_once(hass: HomeAssistant, runs: Runs, *, is_hinted: bool) -> None:
    """A mistake in reading a provider's answer, once, doesn't end the watching."""
    entry = await async_add_shop(hass, "S1")
    Shop.trouble = RuntimeError("broken")
    if is_hinted:
        look = entry.runtime_data.async_hint(["S1"])
        assert look
        await look
    else:
        await async_let_pass(hass)
    Shop.trouble = None
    become("S1", InvoiceStatus.PAID)
    await async_let_pass(hass)
    assert [run["invoice"] for run in runs] == ["S1"]


async def test_entities_that_break_when_added(
    hass: HomeAssistant, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invoice whose entities can't be made is watched all the same."""
    entry = await async_add_shop(hass)
    monkeypatch.setattr(InvoiceSensor, "__init__", Mock(side_effect=RuntimeError("broken")))
    make("S1")
    await async_act(hass, "track_invoices", config_entry_id=entry.entry_id, invoice_ids="S1")
    become("S1", InvoiceStatus.PAID)
    await async_let_pass(hass)
    assert [run["invoice"] for run in runs] == ["S1"]


async def test_created_and_followed(hass: HomeAssistant) -> None:
    """An invoice whose answer got lost is found, though it is followed by the time it is."""
    entry = await async_add_shop(hass, "S1")
    Shop.when_made = lambda invoice: async_add_invoices(hass, entry, [invoice], is_followed=True)
    answer = await async_act(
        hass,
        "create_invoice",
        config_entry_id=entry.entry_id,
        amount=5,
        currency="EUR",
        order_id="Table 7",
    )
    assert answer["invoice_id"] == "S2"
    assert len(entry.subentries) == 2


async def test_asked_for_while_the_provider_wants_to_be_left_alone(hass: HomeAssistant) -> None:
    """Whoever updates an account's sensor makes nobody ask sooner than the provider wants."""
    await async_add_shop(hass, "S1")
    assert await async_setup_component(hass, "homeassistant", {})
    Shop.trouble = RateLimited(1000)
    await async_let_pass(hass, 60)
    Shop.trouble, Shop.asked, Shop.go_on = None, asyncio.Event(), asyncio.Event()
    Shop.go_on.set()
    for entity_id in ("sensor.my_shop_open_invoices", "sensor.invoice_s1"):
        await hass.services.async_call(
            "homeassistant", "update_entity", {"entity_id": entity_id}, blocking=True
        )
        await async_let_pass(hass, 11)
    assert not Shop.asked.is_set()
    await async_let_pass(hass, 1100)
    assert Shop.asked.is_set()


async def test_remembers_no_more_where_nobody_asks_what_was_paid_today(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """What was removed long ago is forgotten, though the sensor of the day is disabled."""
    entry = await async_add_shop(hass, "S1", "S2", "S3")
    er.async_get(hass).async_update_entity(
        "sensor.my_shop_paid_today", disabled_by=er.RegistryEntryDisabler.USER
    )
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    for id_ in ("S1", "S2"):
        await async_act(hass, "untrack_invoices", invoice_ids=id_)
        await async_later(hass, 1)
        freezer.tick(timedelta(days=31))
    assert entry.runtime_data.books.records.keys() == {"S2"}
