"""A shop that is made up: its orders are in a list, which is as good or bad as a test wants it."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, override

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.crypto_invoices.providers.model import (
    Account,
    BadResponse,
    Invoice,
    InvoiceStatus,
    ListIncomplete,
    ProviderError,
)
from custom_components.crypto_invoices.providers.provider import Field, FieldKind, Provider
from tests.conftest import (
    CLOCK,
    FlowResult,
    async_open_credentials,
    async_settle,
    async_submit,
)


class Orders:
    """What there is at the shop, and how it answers."""

    def __init__(self) -> None:
        """Begin with nothing, and a good list: the newest first, with a clock that is right."""
        self.rows: dict[str, Invoice] = {}
        self.hidden_until: dict[str, datetime] = {}
        """When the list begins to show an invoice."""
        self.spoiled: set[str] = set()
        """What nobody can read."""
        self.trouble: ProviderError | None = None
        self.is_newest_first = True
        self.repeats = False
        self.is_dated = True
        self.tells_time = True
        self.lists: list[tuple[datetime, datetime | None]] = []
        self.reads: list[tuple[str, ...]] = []

    def make(self, id_: str, *, age: timedelta = timedelta(0), **fields: Any) -> Invoice:
        """Make an invoice."""
        made = Invoice(
            **{
                "id": id_,
                "status": InvoiceStatus.PENDING,
                "provider_status": "new",
                "amount": Decimal(5),
                "currency": "CHF",
                "created_at": dt_util.utcnow() - age,
                **fields,
            }
        )
        self.rows[id_] = made
        return made

    def pay(self, id_: str) -> None:
        """Pay an invoice."""
        self.rows[id_] = replace(
            self.rows[id_], status=InvoiceStatus.PAID, paid_at=dt_util.utcnow()
        )

    def make_paid(self, id_: str, *, age: timedelta = timedelta(0), **fields: Any) -> None:
        """Make an invoice that is paid before anybody sees it."""
        self.make(id_, age=age, **fields)
        self.pay(id_)


class Shop(Provider):
    """A shop with a list of its orders."""

    key = "shop"
    name = "Shop"
    fields = (Field(key="url", kind=FieldKind.URL, default="https://shop.example"),)
    batch_size: int = 1000
    orders: ClassVar[Orders]

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        """Take any."""
        return text

    @property
    @override
    def server_time(self) -> tuple[datetime, float] | None:
        """Know what time it is, unless a test wants that this machine's clock is believed."""
        return (TRUE_TIME(), self.clock()) if self.orders.tells_time else None

    @override
    async def async_get_account(self) -> Account:
        """Need no key."""
        return Account(unique_id="shop", title="My shop")

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Look orders up."""
        self.orders.reads.append(ids)
        if self.orders.trouble:
            raise self.orders.trouble
        return {
            id_: BadResponse("spoiled") if id_ in self.orders.spoiled else self.orders.rows[id_]
            for id_ in ids
            if id_ in self.orders.rows
        }

    async def async_list_invoices(
        self, *, since: datetime, until: datetime | None = None, order_id: str | None = None
    ) -> AsyncIterator[Invoice]:
        """Yield the orders in the order in which this shop has them."""
        self.orders.lists.append((since, until))
        rows: Iterable[Invoice] = list(self.orders.rows.values())
        rows = sorted(rows, key=lambda row: row.created_at or since)
        is_whole = True
        for row in reversed(rows) if self.orders.is_newest_first else rows:
            made = row.created_at or since
            if not since <= made <= (until or made):
                continue
            if row.id in self.orders.spoiled:
                is_whole = False
                continue
            if TRUE_TIME() < self.orders.hidden_until.get(row.id, TRUE_TIME()):
                continue
            shown = row if self.orders.is_dated else replace(row, created_at=None)
            yield shown
            if self.orders.repeats:
                yield shown
        if self.orders.trouble:
            raise self.orders.trouble
        if not is_whole:
            raise ListIncomplete("spoiled")


class TrueTime:
    """What time it really is, however wrong this machine's clock is."""

    error = timedelta(0)
    """How far this machine's clock is ahead."""

    def __call__(self) -> datetime:
        """Return the time."""
        return dt_util.utcnow() - self.error


TRUE_TIME = TrueTime()


async def async_open_shop(hass: HomeAssistant, *, ids: str = "", on: bool = True) -> ConfigEntry:
    """Set up the shop's account."""
    result = await async_open_credentials(hass, Shop.key)
    result = await async_submit(hass, result, {"url": "https://shop.example"})
    result = await async_submit(hass, result, {"invoices": ids, "auto_watch": on})
    await async_settle(hass)
    entry: ConfigEntry = result["result"]
    return entry


async def async_set_options(
    hass: HomeAssistant, entry: ConfigEntry, *, on: bool = True, days: int = 7, **more: Any
) -> FlowResult:
    """Fill in the options."""
    result = await hass.config_entries.options.async_init(entry.entry_id)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"cleanup_after": days, "auto_watch": on, **more}
    )
    await async_settle(hass)
    return result


async def async_pass(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float, *, step: float = 31
) -> None:
    """Let time pass, a step at a time; nothing lasts any time."""
    while seconds > 0:
        now = min(step, seconds)
        seconds -= now
        freezer.tick(timedelta(seconds=now))
        CLOCK.passed += now
        async_fire_time_changed(hass)
        await async_settle(hass)


async def async_restart(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, entry: ConfigEntry, seconds: float
) -> None:
    """Let the account be unloaded for so long."""
    assert await hass.config_entries.async_unload(entry.entry_id)
    freezer.tick(timedelta(seconds=seconds))
    CLOCK.passed += seconds
    assert await hass.config_entries.async_setup(entry.entry_id)
    await async_settle(hass)


def set_clock(freezer: FrozenDateTimeFactory, error: timedelta) -> None:
    """Set this machine's clock wrong by so much; no time passes."""
    moment = dt_util.utcnow() - TRUE_TIME.error + error
    TRUE_TIME.error = error
    freezer.move_to(moment)
