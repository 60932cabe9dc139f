"""BTCPay Server: the provider and the sandbox, with HTTP between them, and webhooks back."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
import pytest

from custom_components.crypto_invoices.providers.btcpay.pages import PAGE
from custom_components.crypto_invoices.providers.btcpay.till import BTCPay
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    KeyCanSpend,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SettingNeeded,
)
from custom_components.crypto_invoices.providers.push import Hint, PushRejected
from sandbox.app import create_app
from sandbox.btcpay import BTCPAY, OLDER_EVENTS
from sandbox.btcpay_access import (
    ALL_STORES_KEY,
    OTHER_STORE_ID,
    READ_ONLY_KEY,
    SPENDING_KEY,
    TILL_KEY,
    TWO_STORES_KEY,
    UNRESTRICTED_KEY,
    USELESS_KEY,
    WEBHOOKS,
)
from sandbox.btcpay_webhooks import KEY, STORE_ID, Webhooks
from sandbox.core import SANDBOX, Sandbox
from sandbox.faults import Fault
from sandbox.invoice import SandboxInvoice

from .conftest import read_account, read_one

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
OWN_KEY = BTCPAY.credentials["api_key"]


class Bench:
    """A server, accounts there, and a Home Assistant that is pushed to."""

    def __init__(self, url: str, app: web.Application, session: ClientSession) -> None:
        """Have an account that is proven."""
        self.url = url
        self.sandbox: Sandbox = app[SANDBOX]
        self.webhooks: Webhooks = app[WEBHOOKS]
        self.session = session
        self.account = self.provider()
        self.hints: list[Hint] = []
        self.answers: list[int] = []
        receiver = web.Application()
        receiver.add_routes([web.post("/api/webhook/{id}", self._webhook)])
        self.receiver = TestServer(receiver, host="127.0.0.1")

    def provider(self, key: str = OWN_KEY, **settings: str) -> BTCPay:
        """Return an account with a key."""
        return BTCPay(self.session, {"url": self.url, "api_key": key, **settings})

    def sell(self, *actions: str) -> SandboxInvoice:
        """Make an invoice and do something to it."""
        invoice = self.sandbox.store.create(KEY)
        for action in actions:
            self.sandbox.store.act(KEY, invoice.id, action)
        return invoice

    async def kinds(self, ids: list[str]) -> set[type]:
        """Return the kinds of what becomes of invoices, or of the account with them."""
        try:
            found = await self.account.async_get_invoices(ids)
        except ProviderError as err:
            return {type(err)}
        return {type(entry) for entry in found.values()}

    async def _webhook(self, request: web.Request) -> web.Response:
        """Take a push as Home Assistant does."""
        if self.answers:
            return web.Response(status=self.answers.pop(0))
        try:
            self.hints.append(self.account.parse_push(request.headers, await request.read()))
        except PushRejected:
            return web.Response(status=401)
        return web.Response()

    @property
    def hook(self) -> str:
        """The address for pushes."""
        return str(self.receiver.make_url("/api/webhook/made-up"))

    async def hinted(self) -> list[str]:
        """Return what was hinted at, when everything has been told."""
        async with asyncio.timeout(5):
            await self.webhooks.settled()
        return [id_ for hint in self.hints for id_ in hint.invoice_ids]

    @property
    def asked(self) -> int:
        """How often invoices were asked for since."""
        count = self.sandbox.requests[KEY, "invoices"]
        self.sandbox.requests.clear()
        return count


@pytest.fixture(params=["", "/btcpay"])
async def bench(
    request: pytest.FixtureRequest, socket_enabled: None, session: ClientSession
) -> AsyncGenerator[Bench]:
    """Serve a BTCPay Server, also below a path."""
    app = create_app(slow_seconds=0.05, providers={KEY: BTCPAY})
    served = app
    if request.param:
        served = web.Application()
        served.add_subapp(request.param, app)
    async with TestServer(served, host="127.0.0.1") as server:
        url = str(server.make_url("/")).rstrip("/") + request.param
        bench = Bench(url, app, session)
        bench.sandbox.set(KEY, "retries", "quick")
        await bench.account.async_get_account()
        bench.sandbox.requests.clear()
        async with bench.receiver:
            yield bench


@pytest.mark.parametrize(
    ("actions", "status", "shown"),
    [
        ("", InvoiceStatus.PENDING, "New"),
        ("partly_pay", InvoiceStatus.PARTIALLY_PAID, "New (PaidPartial)"),
        ("process", InvoiceStatus.PROCESSING, "Processing"),
        ("pay", InvoiceStatus.PAID, "Settled"),
        ("overpay", InvoiceStatus.OVERPAID, "Settled (PaidOver)"),
        ("mark_paid", InvoiceStatus.PAID, "Settled (Marked)"),
        ("expire", InvoiceStatus.EXPIRED, "Expired"),
        ("partly_pay expire", InvoiceStatus.UNDERPAID, "Expired (PaidPartial)"),
        ("underpay", InvoiceStatus.UNDERPAID, "Expired (PaidPartial)"),
        ("expire process", InvoiceStatus.PROCESSING, "Expired (PaidLate)"),
        ("expire process pay", InvoiceStatus.PAID, "Expired (PaidLate)"),
        ("expire process fail", InvoiceStatus.EXPIRED, "Expired (PaidLate)"),
        ("expire pay", InvoiceStatus.PAID, "Expired (PaidLate)"),
        ("process fail", InvoiceStatus.FAILED, "Invalid"),
        ("mark_invalid", InvoiceStatus.CANCELED, "Invalid (Marked)"),
    ],
)
async def test_every_state(bench: Bench, actions: str, status: InvoiceStatus, shown: str) -> None:
    """What happens to an invoice is read as what it is, with its amounts and times."""
    made = bench.sell(*actions.split())
    invoice = await read_one(bench.account, made.id)
    assert isinstance(invoice, Invoice)
    assert (invoice.status, invoice.provider_status) == (status, shown)
    assert (invoice.amount, invoice.amount_received) == (made.amount, made.received)
    assert (invoice.currency, invoice.order_id) == ("EUR", made.order_id)
    assert invoice.payment_url
    assert BTCPay.parse_invoice_id(invoice.payment_url) == made.id
    assert invoice.created_at
    assert invoice.expires_at
    assert invoice.monitored_until
    assert (invoice.monitored_until - invoice.expires_at).total_seconds() == 86_400


async def test_late_payment_opens_no_door_before_it_is_final(bench: Bench) -> None:
    """Money that comes after the expiry is processing until it is confirmed, alone and in pages."""
    made = [bench.sell("expire", "process") for _ in range(6)]
    ids = [invoice.id for invoice in made]

    async def statuses() -> list[str]:
        found = await bench.account.async_get_invoices(ids)
        rows = (found[id_] for id_ in ids)
        return [row.status for row in rows if isinstance(row, Invoice)]

    assert await statuses() == ["processing"] * 6
    bench.sandbox.store.act(KEY, ids[0], "pay")
    bench.sandbox.store.act(KEY, ids[1], "fail")
    assert await statuses() == ["paid", "expired", *["processing"] * 4]
    listed = [row.status async for row in bench.account.async_list_invoices(since=EPOCH)]
    assert sorted(listed) == sorted(["paid", "expired", *["processing"] * 4])
    # What is final is not asked for again.
    bench.sandbox.requests.clear()
    again = await read_one(bench.account, ids[0])
    assert isinstance(again, Invoice)
    assert again.status == "paid"
    assert bench.sandbox.requests[KEY, "payment methods"] == 0


async def test_many(bench: Bench) -> None:
    """Many open invoices are a few pages; what has ended is found where it is cheapest."""
    made = [bench.sell() for _ in range(2 * PAGE + 50)]
    ids = [invoice.id for invoice in made]
    found = await bench.account.async_get_invoices([*ids, "NothingIsHere123456789"])
    assert isinstance(found.pop("NothingIsHere123456789"), InvoiceNotFound)
    assert {entry.status for entry in found.values() if isinstance(entry, Invoice)} == {"pending"}
    assert set(found) == set(ids)
    assert bench.asked == 4
    for invoice in made[:2]:
        bench.sandbox.store.act(KEY, invoice.id, "pay")
    found = await bench.account.async_get_invoices(ids)
    paid = [id_ for id_, entry in found.items() if getattr(entry, "status", "") == "paid"]
    assert set(paid) == set(ids[:2])
    assert bench.asked == 5


@pytest.mark.parametrize(
    ("key", "settings", "outcome"),
    [
        (OWN_KEY, {}, None),
        (READ_ONLY_KEY, {}, None),
        (ALL_STORES_KEY, {"store_id": STORE_ID}, None),
        (TWO_STORES_KEY, {"store_id": OTHER_STORE_ID}, None),
        (ALL_STORES_KEY, {}, SettingNeeded),
        (TWO_STORES_KEY, {}, SettingNeeded),
        (ALL_STORES_KEY, {"store_id": "nowhere"}, SettingNeeded),
        (OWN_KEY, {"store_id": OTHER_STORE_ID}, SettingNeeded),
        (SPENDING_KEY, {}, KeyCanSpend),
        (UNRESTRICTED_KEY, {}, KeyCanSpend),
        (USELESS_KEY, {}, AuthError),
        ("wrong", {}, AuthError),
    ],
)
async def test_keys(
    bench: Bench, key: str, settings: dict[str, str], outcome: type[ProviderError] | None
) -> None:
    """A key of least permission and a store make an account; what it may is learned."""
    provider = bench.provider(key, **settings)
    assert await read_account(provider) is outcome
    if outcome is None:
        learned = {"store_id": settings.get("store_id", STORE_ID)}
        may = "yes" if key in (OWN_KEY, ALL_STORES_KEY) else "no"
        assert provider.discovered_settings == {**learned, "may_register_webhook": may}
        again = bench.provider(key, **provider.discovered_settings)
        made = bench.sell()
        found = await read_one(again, made.id)
        assert isinstance(found, Invoice if learned["store_id"] == STORE_ID else InvoiceNotFound)


async def test_title(bench: Bench) -> None:
    """The store's name is shown where the key may know it."""
    account = await bench.provider(ALL_STORES_KEY, store_id=STORE_ID).async_get_account()
    assert account.title == "Sandbox shop"
    own = await bench.account.async_get_account()
    assert own.title == f"BTCPay Server ({bench.url.removeprefix('http://')})"
    assert own.unique_id == account.unique_id


async def test_old_server(bench: Bench) -> None:
    """What an old server doesn't say is unknown; an order's ID may be a number."""
    made = bench.sell("pay")
    bench.sandbox.set(KEY, "paid_amount", "omitted")
    bench.sandbox.set(KEY, "order_id", "number")
    invoice = await read_one(bench.account, made.id)
    assert isinstance(invoice, Invoice)
    assert (invoice.amount_received, invoice.order_id) == (None, str(made.number))
    assert invoice.status is InvoiceStatus.PAID


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault.UNAUTHORIZED, AuthError),
        (Fault.FORBIDDEN, AuthError),
        (Fault.RATE_LIMITED_SECONDS, RateLimited),
        (Fault.SERVER_ERROR, ProviderUnavailable),
        (Fault.BAD_GATEWAY, ProviderUnavailable),
        (Fault.TRUNCATED, BadResponse),
        (Fault.HTML, BadResponse),
        (Fault.EMPTY, BadResponse),
        (Fault.REDIRECT, BadResponse),
        (Fault.OVERSIZED, BadResponse),
        (Fault.WRONG_TYPES, BadResponse),
        (Fault.MISSING_ROWS, InvoiceNotFound),
        (Fault.UNKNOWN_STATUS, Invoice),
        (Fault.EXTRA_FIELDS, Invoice),
    ],
)
@pytest.mark.parametrize("count", [1, 6])
async def test_faults(bench: Bench, fault: Fault, outcome: type, count: int) -> None:
    """Whatever goes wrong is one of the errors, in pages and without, and passes."""
    ids = [bench.sell().id for _ in range(count)]
    bench.sandbox.faults.switch(KEY, fault)
    assert await bench.kinds(ids) == {outcome}
    bench.sandbox.faults.switch(KEY, None)
    assert await bench.kinds(ids) == {Invoice}
    assert bench.sandbox.requests[KEY, "elsewhere"] == 0


async def test_webhook_round_trip(bench: Bench) -> None:
    """From registering over a payment and its hint to taking it back."""
    made = bench.sell()
    kept = await bench.account.async_register_webhook(bench.hook)
    [hook] = bench.webhooks.all.values()
    assert kept == {"webhook_secret": hook.secret, "btcpay_webhook_id": hook.id}
    bench.sandbox.store.act(KEY, made.id, "pay")
    assert set(await bench.hinted()) == {made.id}
    # The same again is known to be that.
    bench.webhooks.redeliver(hook, hook.deliveries[0])
    await bench.hinted()
    assert bench.hints[-1].delivery_id == bench.hints[0].delivery_id
    bench.webhooks.test(hook, "InvoiceSettled")
    assert (await bench.hinted())[-1] == ""
    assert {delivery.http_code for delivery in hook.deliveries} == {200}
    bench.sell()
    assert made.id in await bench.hinted()
    await bench.account.async_remove_webhook(bench.hook)
    assert not bench.webhooks.all


async def test_webhook_is_kept_over_a_restart(bench: Bench) -> None:
    """Another start with what was kept changes nothing, and puts back what was deleted."""
    kept = await bench.account.async_register_webhook(bench.hook)
    settings = {**bench.account.discovered_settings, **kept}
    bench.account = bench.provider(**settings)
    assert await bench.account.async_register_webhook(bench.hook) == kept
    assert list(bench.webhooks.all) == [kept["btcpay_webhook_id"]]
    bench.webhooks.all.clear()
    again = await bench.account.async_register_webhook(bench.hook)
    assert list(bench.webhooks.all) == [again["btcpay_webhook_id"]]
    made = bench.sell("pay")
    assert set(await bench.hinted()) == {made.id}
    await bench.provider(**{**settings, **again}).async_remove_webhook(bench.hook)
    assert not bench.webhooks.all


async def test_outage_of_home_assistant(bench: Bench) -> None:
    """What could not be delivered comes later, in order; what was refused doesn't come again."""
    await bench.account.async_register_webhook(bench.hook)
    bench.answers = [503, 503]
    made = bench.sell("process", "pay")
    assert set(await bench.hinted()) == {made.id}
    events = len(bench.hints)
    bench.answers = [400] * events
    bench.sell("process", "pay")
    await bench.hinted()
    assert (len(bench.hints), bench.answers) == (events, [])


async def test_webhook_made_by_hand(bench: Bench) -> None:
    """A key that may not register one is pushed to all the same, with a secret that was typed."""
    bench.account = bench.provider(READ_ONLY_KEY, **BTCPAY.push_credentials)
    await bench.account.async_get_account()
    assert bench.account.accepts_push
    assert await bench.account.async_register_webhook(bench.hook) == {}
    bench.sandbox.postbacks.target(KEY, bench.hook)
    made = bench.sell("pay")
    await bench.sandbox.postbacks.settled()
    assert await bench.hinted() == [made.id]
    bench.sandbox.postbacks.target(KEY, bench.hook, signature="wrong_secret")
    [delivery] = await bench.sandbox.postbacks.send(KEY, made)
    assert delivery.status == 401


@pytest.mark.parametrize("case", ["documented", "lower", "upper"])
async def test_words_in_any_case(bench: Bench, case: str) -> None:
    """However a server writes its words, alone and in a page."""
    bench.sandbox.set(KEY, "case", case)
    invoices = {
        bench.sell("partly_pay").id: InvoiceStatus.PARTIALLY_PAID,
        bench.sell("overpay").id: InvoiceStatus.OVERPAID,
        bench.sell("process").id: InvoiceStatus.PROCESSING,
        bench.sell("expire", "process").id: InvoiceStatus.PROCESSING,
        bench.sell("mark_invalid").id: InvoiceStatus.CANCELED,
    }
    for ids in (list(invoices), *([id_] for id_ in invoices)):
        found = await bench.account.async_get_invoices(ids)
        read = {id_: row.status for id_, row in found.items() if isinstance(row, Invoice)}
        assert read == {id_: invoices[id_] for id_ in ids}


async def test_events_that_an_older_server_knows(bench: Bench) -> None:
    """A webhook is registered with those, and told of a payment."""
    bench.sandbox.set(KEY, "events", "older")
    await bench.account.async_get_account()
    await bench.account.async_register_webhook("http://127.0.0.1:1/api/webhook/x")
    [hook] = bench.webhooks.all.values()
    assert hook.specific_events
    assert set(hook.specific_events) <= OLDER_EVENTS
    assert "InvoiceSettled" in hook.specific_events


async def test_late_money_that_is_replaced(bench: Bench) -> None:
    """Late money is paid once it is settled; a transaction that is replaced never was."""
    settled, replaced = bench.sell("expire", "process").id, bench.sell("expire", "process").id
    for id_ in (settled, replaced):
        entry = await read_one(bench.account, id_)
        assert isinstance(entry, Invoice)
        assert entry.status is InvoiceStatus.PROCESSING
    bench.sandbox.store.act(KEY, settled, "pay")
    bench.sandbox.store.act(KEY, replaced, "fail")
    found = await bench.account.async_get_invoices([settled, replaced])
    statuses = [row.status for row in found.values() if isinstance(row, Invoice)]
    assert statuses[0] is InvoiceStatus.PAID
    assert not statuses[1].is_paid


async def test_archived(bench: Bench) -> None:
    """What leaves the list is still read, alone."""
    id_ = bench.sell().id
    headers = {"Authorization": f"token {TILL_KEY}"}
    url = f"{bench.url}/api/v1/stores/{STORE_ID}/invoices/{id_}/"
    noted = {"metadata": {"orderId": "Table 9"}}
    async with bench.session.put(url, json=noted, headers=headers) as answer:
        assert (await answer.json())["metadata"] == noted["metadata"]
    async with bench.session.delete(url, headers=headers) as answer:
        assert answer.status == 200
    entry = await read_one(bench.account, id_)
    assert isinstance(entry, Invoice)
    assert (entry.status, entry.order_id) == (InvoiceStatus.PENDING, "Table 9")
    since = datetime.now(UTC) - timedelta(days=1)
    assert not [one async for one in bench.account.async_list_invoices(since=since)]


async def made_without_amount(bench: Bench, amount: str | None) -> str:
    """Return the ID of an invoice that a merchant made over nothing, or over whatever comes."""
    url = f"{bench.url}/api/v1/stores/{STORE_ID}/invoices"
    headers = {"Authorization": f"token {TILL_KEY}"}
    asked = {"amount": amount, "currency": "EUR"}
    async with bench.session.post(url, json=asked, headers=headers) as answer:
        assert answer.status == 200
        return str((await answer.json())["id"])


@pytest.mark.parametrize("late", [False, True])
async def test_top_up(bench: Bench, *, late: bool) -> None:
    """Whatever comes pays it, and is its amount then; unless it came late, which stays unset."""
    id_ = await made_without_amount(bench, None)
    entry = await read_one(bench.account, id_)
    assert isinstance(entry, Invoice)
    assert (entry.status, entry.amount) == (InvoiceStatus.PENDING, None)
    for action in ("expire", "process") if late else ("process",):
        bench.sandbox.store.act(KEY, id_, action)
    entry = await read_one(bench.account, id_)
    assert isinstance(entry, Invoice)
    assert entry.status is InvoiceStatus.PROCESSING
    bench.sandbox.store.act(KEY, id_, "pay")
    entry = await read_one(bench.account, id_)
    assert isinstance(entry, Invoice)
    assert entry.status is InvoiceStatus.PAID
    paid = Decimal(25)
    assert (entry.amount, entry.amount_received) == (None if late else paid, paid)


async def test_over_nothing(bench: Bench) -> None:
    """An invoice over nothing is settled when it is made."""
    entry = await read_one(bench.account, await made_without_amount(bench, "0"))
    assert isinstance(entry, Invoice)
    assert entry.status is InvoiceStatus.PAID
    assert entry.amount == entry.amount_received == Decimal(0)


async def test_page_that_is_too_large(bench: Bench) -> None:
    """With baskets of 25 kB, a page is more than is read: smaller ones are, and all is found."""
    bench.sandbox.set(KEY, "pos_data", "large")
    ids = [bench.sell().id for _ in range(PAGE + 20)]
    since = datetime.now(UTC) - timedelta(days=1)
    listed = [invoice.id async for invoice in bench.account.async_list_invoices(since=since)]
    assert listed == ids[::-1]
    found = await bench.account.async_get_invoices(ids)
    assert all(isinstance(entry, Invoice) for entry in found.values())
    assert bench.asked < 20
