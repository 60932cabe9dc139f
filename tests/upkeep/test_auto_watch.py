"""Invoices that are made elsewhere are watched by themselves, each once and not too many."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, override

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.capabilities import PermissionMissing
from custom_components.crypto_invoices.providers.model import (
    Invoice,
    InvoiceStatus,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    UnavailableReason,
)
from custom_components.crypto_invoices.providers.provider import Field, FieldKind
from custom_components.crypto_invoices.upkeep import auto_watch
from tests.conftest import (
    AddAccount,
    FlowResult,
    Runs,
    SandboxServer,
    async_add_invoices,
    async_delete_device,
    async_later,
    async_open_credentials,
    async_settle,
    async_submit,
    fields_of,
    state_of,
    watched,
)
from tests.made_up import TakesAnything


async def async_set_options(
    hass: HomeAssistant, entry: ConfigEntry, *, on: bool = True, days: int = 7
) -> FlowResult:
    """Fill in the options."""
    result = await hass.config_entries.options.async_init(entry.entry_id)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"cleanup_after": days, "auto_watch": on}
    )
    await async_settle(hass)
    return result


async def async_look(hass: HomeAssistant, seconds: float = 31) -> None:
    """Let the next look at the list come."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
    await async_settle(hass)


async def test_finds_what_was_made_elsewhere(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, runs: Runs
) -> None:
    """However many pages they are on, all new invoices come, once, and their payments too."""
    first = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", first.id)
    account = entry.runtime_data
    await async_set_options(hass, entry)
    assert set(watched(entry)) == {first.id}

    made = [sandbox.store.create("cryptocloud").id for _ in range(250)]
    await async_look(hass)
    assert set(watched(entry)) == {first.id, *made}
    assert len(dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)) == 252
    assert state_of(hass, entry, made[-1], "status").state == "pending"
    await async_look(hass, 62)
    assert len(watched(entry)) == 251

    sandbox.store.act("cryptocloud", made[7], "pay")
    await async_later(hass)
    assert [run["invoice"] for run in runs] == [made[7]]
    assert entry.state is ConfigEntryState.LOADED
    assert entry.runtime_data is account


async def test_only_what_is_open(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """What is paid or over by the time it is seen is not watched."""
    first = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", first.id)
    made = [sandbox.store.create("cryptocloud").id for _ in range(4)]
    for invoice_id, action in zip(made, ("pay", "cancel", "partly_pay"), strict=False):
        sandbox.store.act("cryptocloud", invoice_id, action)
    await async_set_options(hass, entry)
    assert set(watched(entry)) == {first.id, made[2], made[3]}


async def test_off_by_default(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Nobody's invoices are watched unasked, nor after it was switched off."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    sandbox.store.create("cryptocloud")
    await async_look(hass, 3600)
    assert len(watched(entry)) == 1
    assert sandbox.sandbox.requests["cryptocloud", "list"] == 0
    await async_set_options(hass, entry)
    assert len(watched(entry)) == 2
    await async_set_options(hass, entry, on=False)
    asked = sandbox.sandbox.requests["cryptocloud", "list"]
    sandbox.store.create("cryptocloud")
    await async_look(hass, 3600)
    assert len(watched(entry)) == 2
    assert sandbox.sandbox.requests["cryptocloud", "list"] == asked


async def test_what_nobody_wants_stays_away(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """An invoice that a user stopped watching doesn't come back, unless the user brings it."""
    first = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", first.id)
    await async_set_options(hass, entry)
    made = sandbox.store.create("cryptocloud")
    await async_look(hass)
    await async_delete_device(hass, entry, made.id)
    for seconds in (1, 31, 62):
        await async_look(hass, seconds)
        assert made.id not in watched(entry)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    assert set(watched(entry)) == {first.id}
    await async_add_invoices(hass, entry, [made.id])
    assert made.id in watched(entry)


async def test_options_of_a_provider_that_lists_nothing(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """What can't be followed isn't offered to be."""
    entry = await add_account("cryptocloud_v1", sandbox.store.create("cryptocloud_v1").id)
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert fields_of(result["data_schema"]).keys() == {"cleanup_after"}


class OrderBook(TakesAnything):
    """A shop's orders, in a list as long as a test wants it."""

    key = "order_book"
    name = "Order Book"
    fields = (Field(key="url", kind=FieldKind.URL, default="https://order.book"),)
    batch_size: int = 1000

    orders: ClassVar[dict[str, Invoice]] = {}
    trouble: ClassVar[ProviderError | None] = None
    asked: ClassVar[list[datetime]] = []

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Look orders up."""
        return {id_: self.orders[id_] for id_ in ids if id_ in self.orders}

    async def async_list_invoices(
        self, *, since: datetime, order_id: str | None = None
    ) -> AsyncIterator[Invoice]:
        """Turn the pages backwards, with some on two of them."""
        self.asked.append(since)
        for number, order in enumerate(reversed(self.orders.values())):
            assert order.created_at
            if order.created_at < since:
                break
            yield order
            if number % 3 == 0:
                yield order
        if self.trouble:
            raise self.trouble


def order(number: int, **fields: Any) -> Invoice:
    """Put an order into the book."""
    made = Invoice(
        **{
            "id": str(number),
            "status": InvoiceStatus.PENDING,
            "provider_status": "new",
            "amount": Decimal(number),
            "currency": "CHF",
            "created_at": dt_util.utcnow(),
            **fields,
        }
    )
    OrderBook.orders[made.id] = made
    return made


@pytest.fixture
def untranslated() -> set[str]:
    """Its texts are of no interest here."""
    return {OrderBook.key}


@pytest.fixture
async def order_book(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> ConfigEntry:
    """Set up an account with one order."""
    monkeypatch.setitem(PROVIDERS, OrderBook.key, OrderBook)
    monkeypatch.setattr(OrderBook, "orders", {})
    monkeypatch.setattr(OrderBook, "asked", [])
    monkeypatch.setattr(OrderBook, "trouble", None)
    order(1)
    result = await async_open_credentials(hass, OrderBook.key)
    result = await async_submit(hass, result, {"url": "https://order.book"})
    result = await async_submit(hass, result, {"invoices": "1"})
    await async_settle(hass)
    entry: ConfigEntry = result["result"]
    return entry


def limit_issue(hass: HomeAssistant, entry: ConfigEntry) -> ir.IssueEntry | None:
    """Return the issue that says that there are too many."""
    return ir.async_get(hass).async_get_issue(DOMAIN, f"auto_watch_limit_{entry.entry_id}")


async def test_bound(
    hass: HomeAssistant, order_book: ConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many and no more, the newest first; that is said, and the rest comes when there is room."""
    monkeypatch.setattr(auto_watch, "MOST_WATCHED", 5)
    now = dt_util.utcnow()
    for number in range(2, 10):
        order(number, created_at=now + timedelta(seconds=number))
    await async_set_options(hass, order_book)
    assert set(watched(order_book)) == {"1", "5", "6", "7", "8", "9"}
    issue = limit_issue(hass, order_book)
    assert issue
    assert issue.translation_placeholders == {"account": "Order Book", "most": "5"}

    looks = len(OrderBook.asked)
    await async_look(hass, 60)
    assert len(OrderBook.asked) == looks, "a full account is not asked for more all the time"
    await async_look(hass, 16 * 60)
    assert len(watched(order_book)) == 6

    for id_ in ("6", "8"):
        await async_delete_device(hass, order_book, id_)
    await async_look(hass, 17 * 60)
    await async_look(hass, 33 * 60)
    assert set(watched(order_book)) == {"1", "3", "4", "5", "7", "9"}
    assert limit_issue(hass, order_book)
    for id_ in ("3", "4", "5", "7"):
        await async_delete_device(hass, order_book, id_)
    await async_look(hass, 34 * 60)
    await async_look(hass, 50 * 60)
    assert set(watched(order_book)) == {"1", "2", "9"}
    assert limit_issue(hass, order_book) is None


async def test_since_when(
    hass: HomeAssistant, order_book: ConfigEntry, freezer: FrozenDateTimeFactory
) -> None:
    """A day back at first, then from the last look on, with some overlap, over restarts too."""
    start = dt_util.utcnow()
    order(2, created_at=start - timedelta(days=2))
    OrderBook.orders = dict(reversed(OrderBook.orders.items()))
    await async_set_options(hass, order_book)
    assert abs(OrderBook.asked[-1] - (start - timedelta(days=1))) < timedelta(minutes=1)
    assert "2" not in watched(order_book)
    freezer.tick(timedelta(minutes=10))
    await async_look(hass, 0)
    await async_look(hass)
    assert timedelta(0) < dt_util.utcnow() - OrderBook.asked[-1] < timedelta(minutes=26)

    before = dt_util.utcnow()
    freezer.tick(timedelta(days=3))
    order(3, created_at=dt_util.utcnow() - timedelta(days=2))
    assert await hass.config_entries.async_reload(order_book.entry_id)
    await async_settle(hass)
    assert timedelta(0) < before - OrderBook.asked[-1] < timedelta(hours=2)
    assert "3" in watched(order_book)

    freezer.tick(timedelta(days=300))
    assert await hass.config_entries.async_reload(order_book.entry_id)
    await async_settle(hass)
    assert dt_util.utcnow() - OrderBook.asked[-1] <= timedelta(days=30)


@pytest.mark.parametrize(
    ("trouble", "seconds"),
    [
        (ProviderUnavailable(UnavailableReason.SERVER_ERROR), 31),
        (ProviderUnavailable(UnavailableReason.SERVER_ERROR, retry_after=300), 301),
        (RateLimited(300), 301),
    ],
)
async def test_trouble(
    hass: HomeAssistant, order_book: ConfigEntry, trouble: ProviderError, seconds: float
) -> None:
    """A list that breaks off is asked for again, as late as the provider says, and nothing is lost."""
    await async_set_options(hass, order_book)
    OrderBook.trouble = trouble
    order(2)
    await async_look(hass)
    looks = len(OrderBook.asked)
    assert "2" not in watched(order_book)
    OrderBook.trouble = None
    await async_look(hass, seconds / 3)
    assert len(OrderBook.asked) == looks
    await async_look(hass, seconds + 1)
    assert "2" in watched(order_book)
    assert state_of(hass, order_book, "1", "status").state == "pending"


async def test_key_that_may_not_list(hass: HomeAssistant, order_book: ConfigEntry) -> None:
    """A key with too little permission is told so where following is switched on."""
    OrderBook.trouble = PermissionMissing("list_orders")
    result = await async_set_options(hass, order_book)
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"auto_watch": "permission_missing"}
    assert result["description_placeholders"]
    assert result["description_placeholders"]["permission"] == "list_orders"
    assert not order_book.options
    OrderBook.trouble = ProviderUnavailable(UnavailableReason.TIMEOUT)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"cleanup_after": 7, "auto_watch": True}
    )
    await async_settle(hass)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    OrderBook.trouble = None
    order(2)
    await async_look(hass, 62)
    assert "2" in watched(order_book)


async def test_permission_taken_away(
    hass: HomeAssistant, order_book: ConfigEntry, caplog: pytest.LogCaptureFixture
) -> None:
    """A key that may no longer list is said in the log, once, and the invoices are read on."""
    await async_set_options(hass, order_book)
    OrderBook.trouble = PermissionMissing("list_orders")
    for seconds in (31, 62, 200):
        await async_look(hass, seconds)
    [line] = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert "the key lacks the permission list_orders" in line
    OrderBook.orders["1"] = order(1, status=InvoiceStatus.PAID)
    await async_later(hass)
    assert state_of(hass, order_book, "1", "status").state == "paid"
