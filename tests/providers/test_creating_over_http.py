"""Invoices made, canceled and listed at the sandbox, with HTTP in between."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aiohttp import ClientSession, ClientTimeout, web
from aiohttp.test_utils import TestServer
import pytest

from custom_components.crypto_invoices.providers import PROVIDERS, http
from custom_components.crypto_invoices.providers.capabilities import (
    CanCreateInvoice,
    NoLongerOpen,
    OutcomeUnknown,
    Rejected,
)
from custom_components.crypto_invoices.providers.cryptocloud.v2 import CryptoCloud
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    Balance,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from custom_components.crypto_invoices.providers.new_invoice import NewInvoice
from custom_components.crypto_invoices.providers.push import CanPush
from sandbox.faults import Fault
from tests.conftest import SandboxServer
from tests.servers import closed_port

from .conftest import read_one

NEW: dict[str, NewInvoice] = {
    "cryptocloud": NewInvoice(
        amount=Decimal("12.50"),
        currency="EUR",
        order_id="Kaffee № 7",
        lifetime=timedelta(minutes=90),
    ),
    "btcpay": NewInvoice(
        amount=Decimal("12.50"),
        currency="EUR",
        order_id="Kaffee № 7",
        description="Zwei Tüten",
        lifetime=timedelta(minutes=90),
        payment_method="BTC-LN",
    ),
    "cryptocloud_v1": NewInvoice(amount=Decimal("12.50"), currency="EUR", order_id="Kaffee № 7"),
    "egates": NewInvoice(
        amount=Decimal("0.015"),
        currency="ETH",
        order_id="Kaffee № 7 & Kuchen=2",
        payment_method="ETHER",
        description="Zum Mitnehmen\nbitte + 100 %",
    ),
    "lnbits": NewInvoice(
        amount=Decimal("12.50"),
        currency="EUR",
        order_id="Kaffee № 7",
        description="Zwei Tüten",
        lifetime=timedelta(minutes=90),
    ),
}
each_provider = pytest.mark.parametrize("key", list(NEW))


class Till:
    """An account that can make invoices, and a list where it can."""

    def __init__(self, sandbox: SandboxServer, session: ClientSession, key: str) -> None:
        """Open the account."""
        self.key, self.store, self.requests = key, sandbox.store, sandbox.sandbox.requests
        more = sandbox.sandbox.providers[key].invoicing_credentials
        settings = {**sandbox.settings(key), **more}
        self.provider = PROVIDERS[key](session, settings)
        assert isinstance(self.provider, CanCreateInvoice)
        self.creator: CanCreateInvoice = self.provider

    async def create(self, **changes: Any) -> Invoice:
        """Make an invoice."""
        return await self.creator.async_create_invoice(replace(NEW[self.key], **changes))


@pytest.fixture
def cloud(sandbox: SandboxServer, session: ClientSession) -> CryptoCloud:
    """Return an account of the provider that can do it all."""
    till = Till(sandbox, session, "cryptocloud")
    assert isinstance(till.provider, CryptoCloud)
    return till.provider


@each_provider
async def test_made_read_and_paid(sandbox: SandboxServer, session: ClientSession, key: str) -> None:
    """What was made is what is read, until somebody pays it."""
    till = Till(sandbox, session, key)
    made = await till.create()
    [stored] = till.store.all(key)
    assert (stored.id, stored.amount, stored.currency) == (
        made.id,
        NEW[key].amount,
        NEW[key].currency,
    )
    assert stored.order_id == made.order_id == NEW[key].order_id
    assert made.status is InvoiceStatus.PENDING
    if key == "lnbits":
        assert made.payment_url is None
        assert made.payment_text is not None
        assert made.payment_text.startswith("lightning:lnbc")
        assert made.amount == NEW[key].amount
        assert made.currency == "EUR"
    else:
        page = f"i/{made.id}" if key == "btcpay" else f"pay/{key}/{made.id}"
        assert made.payment_url == f"{sandbox.url}/{page}"
    read = await read_one(till.provider, made.id)
    assert isinstance(read, Invoice)
    assert (read.status, read.provider_status) == (made.status, made.provider_status)
    if key == "egates":
        # Told once, and kept; the others' links can be told from their IDs.
        assert read.payment_url == made.payment_url
    if made.expires_at is not None:
        assert (read.expires_at, read.created_at) == (made.expires_at, made.created_at)
    till.store.act(key, made.id, "pay")
    read = await read_one(till.provider, made.id)
    assert isinstance(read, Invoice)
    assert read.status is InvoiceStatus.PAID


async def test_lifetime(cloud: CryptoCloud) -> None:
    """It can be paid for as long as was asked."""
    made = await cloud.async_create_invoice(NEW["cryptocloud"])
    assert made.expires_at is not None
    assert made.created_at is not None
    assert made.expires_at - made.created_at == timedelta(minutes=90)
    assert (made.amount, made.currency) == (Decimal("12.5"), "EUR")


@each_provider
@pytest.mark.parametrize(
    "fault",
    [
        Fault.SERVER_ERROR,
        Fault.BAD_GATEWAY,
        Fault.TIMEOUT,
        Fault.LATE_ANSWER,
        Fault.CUT_CONNECTION,
        Fault.SLOW_BODY,
        Fault.TRUNCATED,
        Fault.HTML,
        Fault.EMPTY,
        Fault.REDIRECT,
        Fault.OVERSIZED,
    ],
)
async def test_it_may_exist(
    monkeypatch: pytest.MonkeyPatch,
    sandbox: SandboxServer,
    session: ClientSession,
    *,
    key: str,
    fault: Fault,
) -> None:
    """Whatever happens to the answer, one request was made, and nobody says that nothing was."""
    till = Till(sandbox, session, key)
    # A connection that is open already may be found closed: not even then is it tried again.
    await read_one(till.provider, sandbox.store.create(key).id)
    monkeypatch.setattr(http, "REQUEST_TIMEOUT", ClientTimeout(total=0.3, connect=0.2))
    monkeypatch.setattr(http, "MAX_ANSWER_BYTES", 5000)
    sandbox.switch(key, fault)
    with pytest.raises(OutcomeUnknown):
        await till.create()
    assert till.requests[key, "create"] == 1
    exists = fault in {
        Fault.LATE_ANSWER,
        Fault.CUT_CONNECTION,
        Fault.SLOW_BODY,
        Fault.TRUNCATED,
    }
    assert len(till.store.all(key)) == 1 + exists


@each_provider
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.UNAUTHORIZED, AuthError),
        (Fault.FORBIDDEN, AuthError),
        (Fault.RATE_LIMITED_SECONDS, RateLimited),
        (Fault.EXTRA_FIELDS, None),
        (Fault.MISSING_ROWS, None),
    ],
)
async def test_other_faults(
    sandbox: SandboxServer,
    session: ClientSession,
    *,
    key: str,
    fault: Fault,
    kind: type[ProviderError] | None,
) -> None:
    """A refusal makes nothing, and what one doesn't know does no harm."""
    till = Till(sandbox, session, key)
    sandbox.switch(key, fault)
    if kind is None:
        assert (await till.create()).status is InvoiceStatus.PENDING
    else:
        with pytest.raises(kind):
            await till.create()
    assert len(till.store.all(key)) == (kind is None)


@each_provider
@pytest.mark.usefixtures("socket_enabled")
async def test_nobody_there(session: ClientSession, key: str) -> None:
    """Where nothing listens, nothing was made."""
    settings = {"url": closed_port(), "api_key": "x", "api_secret": "x", "shop_id": "x"}
    provider = PROVIDERS[key](session, settings)
    assert isinstance(provider, CanCreateInvoice)
    with pytest.raises(ProviderUnavailable):
        await provider.async_create_invoice(NEW[key])


@pytest.mark.parametrize("key", ["cryptocloud", "cryptocloud_v1"])
async def test_another_shop(sandbox: SandboxServer, session: ClientSession, key: str) -> None:
    """A wrong shop is told as the provider tells it."""
    settings = {**sandbox.settings(key), "shop_id": "another"}
    provider = PROVIDERS[key](session, settings)
    assert isinstance(provider, CanCreateInvoice)
    with pytest.raises(Rejected, match="Shop is not found"):
        await provider.async_create_invoice(NEW[key])


async def test_callback_of_one_invoice(sandbox: SandboxServer, session: ClientSession) -> None:
    """E-Gates posts to where the invoice asked for it, and that is understood."""
    heard: list[tuple[Mapping[str, str], bytes]] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append((request.headers, await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/api/webhook/abc", hear)
    async with TestServer(app, host="127.0.0.1") as home:
        till = Till(sandbox, session, "egates")
        made = await till.create(callback_url=str(home.make_url("/api/webhook/abc")))
        await till.create()
        for invoice in till.store.all("egates"):
            till.store.act("egates", invoice.id, "pay")
        await sandbox.sandbox.postbacks.settled()
    assert isinstance(till.provider, CanPush)
    [(headers, body)] = heard
    assert till.provider.parse_push(headers, body).invoice_ids == {made.id}


@pytest.mark.parametrize("form", ["list", "text"])
async def test_cancel(sandbox: SandboxServer, cloud: CryptoCloud, form: str) -> None:
    """An unpaid invoice is canceled once; a paid or a foreign one isn't."""
    sandbox.sandbox.set("cryptocloud", "cancel_result", form)
    made = await cloud.async_create_invoice(NEW["cryptocloud"])
    await cloud.async_cancel_invoice(made.id)
    read = await read_one(cloud, made.id)
    assert isinstance(read, Invoice)
    assert read.status is InvoiceStatus.CANCELED
    with pytest.raises(NoLongerOpen):
        await cloud.async_cancel_invoice(made.id)
    paid = sandbox.store.create("cryptocloud")
    sandbox.store.act("cryptocloud", paid.id, "pay")
    with pytest.raises(NoLongerOpen):
        await cloud.async_cancel_invoice(paid.id)
    with pytest.raises(InvoiceNotFound):
        await cloud.async_cancel_invoice("INV-00000000")


async def listed(provider: CryptoCloud, **wanted: Any) -> AsyncIterator[Invoice]:
    """Yield what was made since yesterday."""
    since = datetime.now(UTC) - timedelta(days=1)
    async for invoice in provider.async_list_invoices(since=since, **wanted):
        yield invoice


@pytest.mark.parametrize("counts", ["whole", "decimal", "one_missing"])
async def test_statistics_as_they_come(
    sandbox: SandboxServer, cloud: CryptoCloud, counts: str
) -> None:
    """Counts may have a decimal point, and one number may be missing."""
    sandbox.sandbox.set("cryptocloud", "counts", counts)
    sandbox.store.create("cryptocloud", amount=Decimal(100))
    today = datetime.now(UTC).date()
    totals = (await cloud.async_get_statistics(today, today)).totals
    assert (totals["created"].count, totals["created"].amount) == (1, Decimal(100))


async def test_limit_that_is_the_last_record(sandbox: SandboxServer, cloud: CryptoCloud) -> None:
    """All are listed also where the limit is the number of the last one."""
    sandbox.sandbox.set("cryptocloud", "limit", "last_record")
    ids = {sandbox.store.create("cryptocloud").id for _ in range(250)}
    assert {invoice.id async for invoice in listed(cloud)} == ids


@pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
async def test_250(sandbox: SandboxServer, cloud: CryptoCloud, order: str) -> None:
    """All are listed, each once, while a new one comes in for every three that are read."""
    sandbox.sandbox.set("cryptocloud", "order", order)
    ids = {sandbox.store.create("cryptocloud").id for _ in range(250)}
    found: list[str] = []
    async for invoice in listed(cloud):
        found.append(invoice.id)
        if len(found) % 3 == 0 and len(found) <= 250:
            sandbox.store.create("cryptocloud")
    assert len(found) == len(set(found))
    assert ids <= set(found)
    assert sandbox.sandbox.requests["cryptocloud", "list"] <= 5


async def test_found_by_order(sandbox: SandboxServer, cloud: CryptoCloud) -> None:
    """What may have been made is found by its order ID."""
    sandbox.switch("cryptocloud", Fault.CUT_CONNECTION, count=1)
    with pytest.raises(OutcomeUnknown):
        await cloud.async_create_invoice(NEW["cryptocloud"])
    sandbox.store.create("cryptocloud")
    [found] = [invoice async for invoice in listed(cloud, order_id="Kaffee № 7")]
    assert found.order_id == "Kaffee № 7"


async def test_figures(sandbox: SandboxServer, cloud: CryptoCloud) -> None:
    """Balance and statistics follow what was paid."""
    for action in ("pay", None):
        invoice = sandbox.store.create("cryptocloud", amount=Decimal(100), currency="USD")
        if action:
            sandbox.store.act("cryptocloud", invoice.id, action)
    [balance] = await cloud.async_get_balances()
    assert balance == Balance(amount=Decimal("98.25696"), currency="USDT")
    today = datetime.now(UTC).date()
    totals = (await cloud.async_get_statistics(today, today)).totals
    assert [(word, total.count, total.amount) for word, total in totals.items() if total.count] == [
        ("all", 2, Decimal(200)),
        ("created", 1, Decimal(100)),
        ("paid", 1, Decimal(100)),
    ]
