"""BTCPay Server: pages of a store's invoices, single ones, and its webhooks."""

from collections.abc import Collection, Generator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
import re
from typing import Any

from aiohttp import ClientSession
from aioresponses import aioresponses
from hypothesis import HealthCheck, given, settings, strategies as st
import orjson
import pytest

from custom_components.crypto_invoices.providers.btcpay.invoices import parse_invoice, parse_rows
from custom_components.crypto_invoices.providers.btcpay.keys import CAN_SPEND
from custom_components.crypto_invoices.providers.btcpay.pages import PAGE, WORTH_A_PAGE
from custom_components.crypto_invoices.providers.btcpay.till import BTCPay
from custom_components.crypto_invoices.providers.btcpay.webhooks import EVENTS, sign
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    BadResponse,
    Forbidden,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    KeyCanSpend,
    Moved,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SettingNeeded,
)
from custom_components.crypto_invoices.providers.push import (
    CanPush,
    CanRegisterWebhook,
    Hint,
    PushRejected,
    RejectReason,
)

from .conftest import ADDRESS, Answer, Asked, Wire, fixture_bytes, read_account, read_one

SAMPLE: dict[str, Any] = orjson.loads(fixture_bytes("btcpay_invoice.json"))
ID: str = SAMPLE["id"]
STORE: str = SAMPLE["storeId"]
OTHER_STORE = "8BhDemoOtherAbCdEfGhJkLmNpQrStUvWxYz23456789"
VIEW = "btcpay.store.canviewinvoices"
VIEW_STORES = "btcpay.store.canviewstoresettings"
WEBHOOKS = "btcpay.store.webhooks.canmodifywebhooks"
SETTINGS = {"url": ADDRESS, "api_key": "made-up-key", "store_id": STORE}
INVOICES = f"/api/v1/stores/{STORE}/invoices"
HOOKS = f"/api/v1/stores/{STORE}/webhooks"
HOOK_URL = "https://ha.example/api/webhook/made-up"
SECRET = "whsec-demo"

# The contract's vectors: what is delivered, and its signature.
SHORT_BODY = b'{"type":"InvoiceSettled","invoiceId":"INV1"}'
LONG_BODY = b"""{
  "deliveryId": "DLV1",
  "webhookId": "WH1",
  "originalDeliveryId": "DLV1",
  "isRedelivery": false,
  "type": "InvoiceSettled",
  "timestamp": 1700000123,
  "storeId": "STORE1",
  "invoiceId": "INV1",
  "metadata": {
    "orderId": "HA-0001"
  },
  "manuallyMarked": false,
  "overPaid": false
}"""
VECTORS = [
    (
        SHORT_BODY,
        "sha256=2db34e5e4fe2023e0906b65c215cf76da558f59bb73685f2957e75d80fa9314c",
        Hint(invoice_ids=frozenset({"INV1"})),
    ),
    (
        LONG_BODY,
        "sha256=edba027bce750814b9540c7438981a48572cbe3c8a2f33bedc5f125b8dcd262d",
        Hint(invoice_ids=frozenset({"INV1"}), delivery_id="DLV1"),
    ),
]


@pytest.fixture
def wire() -> Generator[Wire]:
    """Keep every request off the network, also those that change and delete."""
    with aioresponses() as mock:
        wire = Wire(mock)
        for method in ("DELETE", "PUT"):
            callback = partial(wire._async_answer, method)
            mock.add(re.compile(""), method, callback=callback, repeat=True)
        yield wire


@pytest.fixture
def provider(session: ClientSession) -> BTCPay:
    """Return an account."""
    return BTCPay(session, SETTINGS)


def row(id_: str = ID, **changes: Any) -> dict[str, Any]:
    """Return the sample with changes."""
    return {**SAMPLE, "id": id_, **changes}


def ids(count: int, first: int = 0) -> list[str]:
    """Return this many invoice IDs."""
    return [f"DemoInvoice{number:010}" for number in range(first, first + count)]


def refused(status: int, code: str = "missing-permission") -> Answer:
    """Answer as the server refuses."""
    return Answer({"code": code, "message": "No."}, status)


class Shop:
    """A server with one store: its invoices, oldest first, and what a key may."""

    def __init__(self, *permissions: str, stores: Mapping[str, str] | None = None) -> None:
        """Begin with nothing sold."""
        self.permissions = permissions
        self.stores = stores or {STORE: "Demo shop"}
        self.invoices: dict[str, str] = {}
        self.elsewhere: set[str] = set()
        self.trouble: dict[str, Answer] = {}

    def sell(self, ids: Collection[str], status: str = "New") -> None:
        """Have these invoices."""
        self.invoices |= dict.fromkeys(ids, status)

    def __call__(self, asked: Asked) -> Answer:
        """Answer a request."""
        path = asked.url.path
        if trouble := self.trouble.get(path):
            return trouble
        if path == "/api/v1/api-keys/current":
            return Answer({"apiKey": "k", "label": "HA", "permissions": self.permissions})
        if path == "/api/v1/stores":
            return Answer([{"id": id_, "name": name} for id_, name in self.stores.items()])
        if path == INVOICES:
            return Answer(self._page(asked))
        id_ = path.removeprefix(f"{INVOICES}/")
        if id_ in self.elsewhere or id_ == path:
            return refused(403)
        status = self.invoices.get(id_)
        return Answer(row(id_, status=status)) if status else refused(404, "invoice-not-found")

    def _page(self, asked: Asked) -> list[dict[str, Any]]:
        """Return the newest invoices that were asked for."""
        query = asked.url.query
        words, skip = query.getall("status", []), int(query.get("skip", 0))
        # Short ones: there is only so much that can be read from nowhere.
        rows = [
            {"id": id_, "status": status}
            for id_, status in reversed(self.invoices.items())
            if not words or status in words
        ]
        return rows[skip : skip + int(query["take"])]


@pytest.fixture
def shop(wire: Wire) -> Shop:
    """Serve a shop."""
    shop = Shop(f"{VIEW}:{STORE}")
    wire.answer(shop)
    return shop


def counted(wire: Wire) -> tuple[int, int]:
    """Return how many pages and how many single invoices were asked for."""
    pages = [asked for asked in wire.asked if asked.url.path == INVOICES]
    singles = [asked for asked in wire.asked if asked.url.path.startswith(f"{INVOICES}/")]
    assert all(asked.method == "GET" and asked.url.query.get("take") for asked in pages)
    return len(pages), len(singles)


async def test_sample(wire: Wire, provider: BTCPay) -> None:
    """A row as the server writes it comes out as the invoice it describes."""
    wire.answer(Answer(fixture_bytes("btcpay_invoice.json")))
    assert await read_one(provider, ID) == Invoice(
        id=ID,
        status=InvoiceStatus.PAID,
        provider_status="Settled",
        amount=Decimal("12.50"),
        currency="EUR",
        amount_received=Decimal("12.50"),
        order_id="HA-0001",
        payment_url=f"https://btcpay.example/i/{ID}",
        created_at=datetime.fromtimestamp(1700000000, UTC),
        expires_at=datetime.fromtimestamp(1700000900, UTC),
        monitored_until=datetime.fromtimestamp(1700087300, UTC),
    )


@pytest.mark.parametrize("base", [ADDRESS, f"{ADDRESS}/btcpay/"])
async def test_request(wire: Wire, session: ClientSession, base: str) -> None:
    """One GET at the store with the key in the header, below the address it was given."""
    wire.answer(Answer(SAMPLE))
    await BTCPay(session, {**SETTINGS, "url": base}).async_get_invoices([ID, ID])
    (asked,) = wire.asked
    assert (asked.method, str(asked.url)) == ("GET", f"{base.rstrip('/')}{INVOICES}/{ID}")
    assert asked.headers["Authorization"] == "token made-up-key"
    assert not asked.follows_redirects


@pytest.mark.parametrize(
    ("word", "more", "status", "shown"),
    [
        ("New", "None", InvoiceStatus.PENDING, "New"),
        ("New", "PaidPartial", InvoiceStatus.PARTIALLY_PAID, "New (PaidPartial)"),
        ("Processing", "None", InvoiceStatus.PROCESSING, "Processing"),
        ("Processing", "PaidOver", InvoiceStatus.PROCESSING, "Processing (PaidOver)"),
        ("Settled", "None", InvoiceStatus.PAID, "Settled"),
        ("Settled", "PaidOver", InvoiceStatus.OVERPAID, "Settled (PaidOver)"),
        ("Settled", "Marked", InvoiceStatus.PAID, "Settled (Marked)"),
        ("Expired", "None", InvoiceStatus.EXPIRED, "Expired"),
        ("Expired", "PaidPartial", InvoiceStatus.UNDERPAID, "Expired (PaidPartial)"),
        ("Expired", "PaidLate", InvoiceStatus.PROCESSING, "Expired (PaidLate)"),
        ("Expired", "PaidOver", InvoiceStatus.PROCESSING, "Expired (PaidOver)"),
        ("Invalid", "None", InvoiceStatus.FAILED, "Invalid"),
        ("Invalid", "Marked", InvoiceStatus.CANCELED, "Invalid (Marked)"),
        ("Invalid", "Invalid", InvoiceStatus.FAILED, "Invalid (Invalid)"),
        ("Frozen", "None", InvoiceStatus.UNKNOWN, "Frozen"),
        ("Settled", "TakenBack", InvoiceStatus.UNKNOWN, "Settled (TakenBack)"),
        ("Settled", None, InvoiceStatus.PAID, "Settled"),
        ("Settled", "", InvoiceStatus.PAID, "Settled"),
        ("Settled", ["PaidOver"], InvoiceStatus.PAID, "Settled"),
    ],
)
def test_status(word: str, more: object, status: InvoiceStatus, shown: str) -> None:
    """Both of the server's words make the status, and both are kept."""
    invoice = parse_invoice(ID, row(status=word, additionalStatus=more))
    assert (invoice.status, invoice.provider_status) == (status, shown)


@pytest.mark.parametrize("status", [None, 7, "", " ", ["Settled"], {}])
async def test_no_status(wire: Wire, provider: BTCPay, status: object) -> None:
    """Without a status there is no invoice."""
    wire.answer(Answer(row(status=status)))
    assert isinstance(await read_one(provider, ID), BadResponse)


async def test_another_invoice(wire: Wire, provider: BTCPay) -> None:
    """An answer about another invoice is none."""
    wire.answer(Answer(row("AnotherInvoice12345678")))
    assert isinstance(await read_one(provider, ID), BadResponse)


def test_only_what_is_required() -> None:
    """A row of ID and status is an invoice; the rest is unknown, not zero."""
    assert parse_invoice(ID, {"id": ID, "status": "New"}) == Invoice(
        id=ID, status=InvoiceStatus.PENDING, provider_status="New"
    )


@pytest.mark.parametrize(
    ("changes", "amount"),
    [
        ({"type": "TopUp", "amount": "0"}, None),
        ({"type": "TopUp", "amount": "0.00"}, None),
        ({"type": "TopUp", "amount": "3.20"}, "3.20"),
        ({"type": "Standard", "amount": "0"}, "0"),
        ({"amount": "0.00000001"}, "1E-8"),
        ({"amount": 12.5}, "12.5"),
        ({"amount": None}, None),
    ],
)
def test_amount(changes: dict[str, Any], amount: str | None) -> None:
    """An unpaid top-up invoice has no amount yet; others have what is written."""
    invoice = parse_invoice(ID, row(**changes))
    assert (None if invoice.amount is None else str(invoice.amount)) == amount
    assert invoice.currency == "EUR"


@pytest.mark.parametrize(
    ("metadata", "order_id"),
    [({"orderId": "A"}, "A"), ({"orderId": 17}, "17"), ({}, None), (None, None), ([], None)],
)
def test_order_id(metadata: object, order_id: str | None) -> None:
    """An order ID may be a number, or missing with all of the metadata."""
    assert parse_invoice(ID, row(metadata=metadata)).order_id == order_id


def test_old_server() -> None:
    """Servers before 2.1.2 don't say what was received: that is unknown."""
    old = {key: value for key, value in SAMPLE.items() if key != "paidAmount"}
    assert parse_invoice(ID, old).amount_received is None


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        (ID, ID),
        (f"  {ID}\n", ID),
        (f"https://btcpay.example/i/{ID}", ID),
        (f"https://btcpay.example/btcpay/i/{ID}/receipt?print=true", ID),
        (f"http://10.0.0.5:23000/invoices/{ID}#events", ID),
        (f"btcpay.example/invoices/{ID}/", ID),
        (f"https://btcpay.example/api/v1/stores/{STORE}/invoices/{ID}", ID),
        (ID.lower(), ID.lower()),
        ("", None),
        ("INV1", None),
        (f"{ID} {ID}", None),
        (f"{ID}-", None),
        (ID[:-1] + "é", None),
        ("https://btcpay.example/i/", None),
        (f"https://btcpay.example/apps/{ID}/pos", None),
        (f"https://btcpay.example/stores/{STORE}/invoices", None),
        ("11111111-2222-4333-8444-555555555555", None),
    ],
)
def test_parse_invoice_id(typed: str, canonical: str | None) -> None:
    """An ID is taken as it is, upper and lower case, or from a link to its invoice."""
    assert BTCPay.parse_invoice_id(typed) == canonical


async def test_few_are_read_alone(wire: Wire, shop: Shop, provider: BTCPay) -> None:
    """For a few invoices a page isn't worth it."""
    few = ids(WORTH_A_PAGE - 1)
    shop.sell(few)
    found = await provider.async_get_invoices(few)
    assert [type(found[id_]) for id_ in few] == [Invoice] * len(few)
    assert counted(wire) == (0, len(few))


async def test_many_are_read_in_pages(wire: Wire, shop: Shop, provider: BTCPay) -> None:
    """A thousand open invoices cost as many requests as there are pages."""
    many = ids(1000)
    shop.sell(many)
    found = await provider.async_get_invoices(many)
    assert {entry.status for entry in found.values() if isinstance(entry, Invoice)} == {"pending"}
    assert set(found) == set(many)
    assert counted(wire) == (1000 // PAGE, 0)
    first = wire.asked[0].url.query
    assert first.getall("status") == ["New", "Processing"]
    assert (first["skip"], first["take"]) == ("0", str(PAGE))


async def test_what_is_in_no_page_is_read_alone(wire: Wire, shop: Shop, provider: BTCPay) -> None:
    """Those that have ended, are older than the pages, or gone are asked for one by one."""
    old, others, new, gone = ids(3), ids(300, 10), ids(20, 1000), ids(1, 2000)
    shop.sell([*old, *others, *new])
    shop.sell(new[:2], "Settled")
    found = await provider.async_get_invoices([*old, *new, *gone])
    assert counted(wire)[0] <= 2 + len(old)
    assert [id_ for id_, entry in found.items() if not isinstance(entry, Invoice)] == gone
    assert isinstance(found[gone[0]], InvoiceNotFound)
    statuses = {id_: entry.status for id_, entry in found.items() if isinstance(entry, Invoice)}
    assert [id_ for id_, status in statuses.items() if status == "paid"] == new[:2]


async def test_pages_end_where_they_bring_nothing(wire: Wire, shop: Shop, provider: BTCPay) -> None:
    """In a shop with many more invoices than ours, paging on would cost more than it brings."""
    ours, others = ids(10), ids(5000, 10)
    shop.sell([*ours, *others])
    await provider.async_get_invoices(ours)
    assert counted(wire) == (2, 10)


async def test_ended_ones_are_not_looked_for_among_the_open(
    wire: Wire, shop: Shop, provider: BTCPay
) -> None:
    """What had ended when it was last read is found among those that have ended."""
    ended = ids(10)
    shop.sell(ended, "Expired")
    open_words, ended_words = {"New", "Processing"}, {"Settled", "Expired", "Invalid"}
    for pages in ([open_words, ended_words], [ended_words]):
        wire.asked.clear()
        await provider.async_get_invoices(ended)
        assert [set(asked.url.query.getall("status")) for asked in wire.asked] == pages
    wire.asked.clear()
    shop.sell(ended, "Processing")
    found = await provider.async_get_invoices(ended)
    assert all(isinstance(entry, Invoice) and entry.status.is_open for entry in found.values())


@pytest.mark.parametrize(
    "page", [Answer({}), Answer(b"["), Answer([]), refused(404, "store-not-found"), Answer([7])]
)
async def test_pages_that_make_no_sense(
    wire: Wire, shop: Shop, provider: BTCPay, page: Answer
) -> None:
    """Where pages are of no use, single invoices are."""
    some = ids(5)
    shop.sell(some)
    shop.trouble[INVOICES] = page
    found = await provider.async_get_invoices(some)
    assert all(isinstance(entry, Invoice) for entry in found.values())
    assert counted(wire)[1] == 5


async def test_broken_row_costs_only_itself(wire: Wire, provider: BTCPay) -> None:
    """The others on the page are read."""
    some = ids(5)
    wire.answer(Answer([row(some[0], status=7), *(row(id_) for id_ in some[1:])]))
    found = await provider.async_get_invoices(some)
    assert isinstance(found.pop(some[0]), BadResponse)
    assert all(isinstance(entry, Invoice) for entry in found.values())


async def test_rows_that_make_no_sense(wire: Wire, provider: BTCPay) -> None:
    """Where every row is broken, it is the server that is, as it is one by one."""
    wire.answer(Answer([row(id_, status=7) for id_ in ids(5)]))
    with pytest.raises(BadResponse):
        await provider.async_get_invoices(ids(5))


async def test_what_was_read_stays_read(wire: Wire, shop: Shop, provider: BTCPay) -> None:
    """A server that goes down after the first page has told of the invoices there."""
    shop.sell(ids(6))
    shop.sell(ids(2), "Settled")
    for id_ in ids(2):
        shop.trouble[f"{INVOICES}/{id_}"] = Answer(b"<h1>", 502, "text/html")
    found = await provider.async_get_invoices(ids(6))
    assert [isinstance(found[id_], Invoice) for id_ in ids(6)] == [False] * 2 + [True] * 4
    assert isinstance(found[ids(1)[0]], ProviderUnavailable)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused(401, "unauthenticated"), AuthError),
        (refused(403), AuthError),
        (Answer(b"<h1>Forbidden</h1>", 403, "text/html"), Forbidden),
        (Answer([{"path": "take", "message": "No."}], 422), BadResponse),
        (Answer({"code": "x", "message": "No."}, 400), BadResponse),
        (Answer(b"<h1>Bad gateway</h1>", 502, "text/html"), ProviderUnavailable),
        (Answer(b"", 503), ProviderUnavailable),
        (Answer(b"", 302), Moved),
        (refused(429), RateLimited),
    ],
)
@pytest.mark.parametrize("count", [1, 10])
async def test_errors(
    wire: Wire, provider: BTCPay, answer: Answer, error: type[ProviderError], count: int
) -> None:
    """An error of the whole server is one of the account, in pages and without them."""
    wire.answer(answer)
    with pytest.raises(BadResponse if issubclass(error, BadResponse) else error):
        await provider.async_get_invoices(ids(count))
    assert await read_account(provider) is error


async def test_invoice_of_another_store(shop: Shop, provider: BTCPay) -> None:
    """The server refuses it like a wrong key, but it is only not found."""
    shop.sell([ID])
    shop.elsewhere.add(ids(1)[0])
    found = await provider.async_get_invoices([ID, *ids(1)])
    assert isinstance(found[ID], Invoice)
    assert isinstance(found[ids(1)[0]], InvoiceNotFound)


async def test_key_that_lost_its_store(shop: Shop, provider: BTCPay) -> None:
    """A key that can't read the store any more is no good."""
    shop.elsewhere.add(ID)
    shop.trouble[INVOICES] = refused(403)
    with pytest.raises(AuthError):
        await provider.async_get_invoices([ID])


async def test_account(wire: Wire, shop: Shop, session: ClientSession) -> None:
    """The store is in the key's permissions; address and store make the account."""
    settings = {"url": f"{ADDRESS}/btc/", "api_key": "made-up-key"}
    wire.answer(
        lambda asked: shop(
            Asked(
                method=asked.method,
                url=asked.url.with_path(asked.url.path.removeprefix("/btc")).with_query(
                    asked.url.query
                ),
                headers=asked.headers,
                body=None,
                follows_redirects=False,
            )
        )
    )
    provider = BTCPay(session, settings)
    assert provider.discovered_settings == {}
    account = await provider.async_get_account()
    assert account.title == "BTCPay Server (api.example/btc)"
    assert "made-up-key" not in repr(account)
    assert provider.discovered_settings == {"store_id": STORE, "may_register_webhook": "no"}
    assert [asked.url.path for asked in wire.asked] == [
        "/btc/api/v1/api-keys/current",
        f"/btc{INVOICES}",
    ]
    another_key = BTCPay(session, {**settings, "api_key": "another-key"})
    assert await another_key.async_get_account() == account
    shop.permissions = (f"{VIEW}:{OTHER_STORE}",)
    shop.trouble[f"/api/v1/stores/{OTHER_STORE}/invoices"] = Answer([])
    other_store = await BTCPay(session, settings).async_get_account()
    assert other_store.unique_id != account.unique_id


@pytest.mark.parametrize(
    ("permissions", "may"),
    [
        ([f"{VIEW}:{STORE}", f"{WEBHOOKS}:{STORE}"], "yes"),
        ([f"{VIEW}:{STORE}", WEBHOOKS], "yes"),
        ([f"{VIEW}:{STORE}", f"{WEBHOOKS}:{OTHER_STORE}"], "no"),
        ([f"{VIEW.upper()}:{STORE}"], "no"),
        ([f"btcpay.store.canmodifyinvoices:{STORE}"], "no"),
    ],
)
async def test_whether_the_key_may_register(
    shop: Shop, session: ClientSession, permissions: list[str], may: str
) -> None:
    """The permission for webhooks counts where it is for this store."""
    shop.permissions = tuple(permissions)
    provider = BTCPay(session, {"url": ADDRESS, "api_key": "made-up-key"})
    await provider.async_get_account()
    assert provider.discovered_settings == {"store_id": STORE, "may_register_webhook": may}


@pytest.mark.parametrize(
    ("permissions", "stores", "chosen", "title"),
    [
        ([f"{VIEW}:{STORE}"], [STORE], None, "BTCPay Server (api.example)"),
        ([f"{VIEW_STORES}:{STORE}"], [STORE], None, "Shop 0"),
        ([VIEW, VIEW_STORES], [STORE], None, "Shop 0"),
        ([VIEW, VIEW_STORES], [STORE, OTHER_STORE], STORE, "Shop 0"),
        ([VIEW], [STORE], STORE, "BTCPay Server (api.example)"),
        ([f"{VIEW}:{STORE}", f"{VIEW}:{OTHER_STORE}"], [STORE], STORE, None),
        ([VIEW], [STORE], None, SettingNeeded),
        ([VIEW, VIEW_STORES], [STORE, OTHER_STORE], None, SettingNeeded),
        ([VIEW, VIEW_STORES], [], None, SettingNeeded),
        ([f"{VIEW}:{STORE}", f"{VIEW}:{OTHER_STORE}"], [STORE], None, SettingNeeded),
        ([f"{VIEW}:{STORE}"], [STORE], OTHER_STORE, SettingNeeded),
        ([VIEW], [STORE], OTHER_STORE, SettingNeeded),
        ([VIEW], [STORE], "../../users/me", SettingNeeded),
        ([f"{VIEW}:"], [STORE], None, SettingNeeded),
        ([f"{VIEW}:../x"], [STORE], None, SettingNeeded),
        ([], [STORE], STORE, AuthError),
        ([f"{WEBHOOKS}:{STORE}"], [STORE], None, AuthError),
    ],
)
async def test_which_store(
    shop: Shop,
    session: ClientSession,
    permissions: list[str],
    stores: list[str],
    chosen: str | None,
    title: str | type[ProviderError] | None,
) -> None:
    """The store is the only one that the key can read, or the one that was chosen."""
    shop.permissions = tuple(permissions)
    shop.stores = {id_: f"Shop {number}" for number, id_ in enumerate(stores)}
    provider = BTCPay(session, {**SETTINGS, "store_id": chosen})
    if isinstance(title, type):
        with pytest.raises(title) as caught:
            await provider.async_get_account()
        assert type(caught.value) is title
        assert getattr(caught.value, "key", "store_id") == "store_id"
    else:
        account = await provider.async_get_account()
        assert account.title == (title or account.title)
        assert provider.discovered_settings["store_id"] == STORE


@pytest.mark.parametrize("permission", sorted(CAN_SPEND))
@pytest.mark.parametrize("scope", ["", f":{OTHER_STORE}"])
async def test_key_that_can_spend(
    wire: Wire, shop: Shop, provider: BTCPay, permission: str, scope: str
) -> None:
    """A key that could send money anywhere is refused before anything else is asked."""
    shop.permissions = (f"{VIEW}:{STORE}", permission + scope)
    with pytest.raises(KeyCanSpend):
        await provider.async_get_account()
    assert len(wire.asked) == 1


@pytest.mark.parametrize("key", [{}, [], None, {"permissions": "all"}, {"permissions": None}])
async def test_another_server_is_no_account(wire: Wire, provider: BTCPay, key: Any) -> None:
    """JSON with a 200 proves nothing: some other server has that too."""
    wire.answer(Answer(key))
    assert await read_account(provider) is BadResponse


async def test_store_that_is_not_known_yet(wire: Wire, shop: Shop, session: ClientSession) -> None:
    """An account that was never proven finds its store before it reads."""
    shop.sell([ID])
    provider = BTCPay(session, {"url": ADDRESS, "api_key": "made-up-key"})
    assert await provider.async_get_invoices([]) == {}
    with pytest.raises(SettingNeeded):
        await BTCPay(
            session, {**SETTINGS, "store_id": "", "may_register_webhook": "yes"}
        ).async_remove_webhook(HOOK_URL)
    assert wire.asked == []
    for _ in range(2):
        assert isinstance(await read_one(provider, ID), Invoice)
    assert len(wire.asked) == 4


def pushed(session: ClientSession) -> BTCPay:
    """Return an account that can be pushed to."""
    return BTCPay(session, {**SETTINGS, "webhook_secret": SECRET})


@pytest.mark.parametrize(("body", "signature", "hint"), VECTORS)
async def test_push(session: ClientSession, body: bytes, signature: str, hint: Hint) -> None:
    """The contract's deliveries are signed as it says, and hint at their invoice."""
    provider = pushed(session)
    assert isinstance(provider, CanPush)
    assert provider.accepts_push
    assert sign(SECRET, body) == signature
    assert provider.parse_push({"BTCPay-Sig": signature}, body) == hint


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "sha256=",
        sign("another", LONG_BODY),
        sign("", LONG_BODY),
        sign(SECRET, SHORT_BODY),
        sign(SECRET, LONG_BODY).removeprefix("sha256="),
        sign(SECRET, LONG_BODY).upper(),
        sign(SECRET, LONG_BODY) + "\udc80",
        "sha1=" + sign(SECRET, LONG_BODY).removeprefix("sha256="),
    ],
)
async def test_push_with_a_wrong_signature(session: ClientSession, signature: str | None) -> None:
    """What isn't signed with the secret, byte for byte, is not believed."""
    headers = {} if signature is None else {"BTCPay-Sig": signature}
    with pytest.raises(PushRejected) as refusal:
        pushed(session).parse_push(headers, LONG_BODY)
    assert refusal.value.reason is RejectReason.SIGNATURE
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("secret", [None, ""])
async def test_push_without_a_secret(session: ClientSession, secret: str | None) -> None:
    """Without a secret nothing is believed, what is signed with an empty one least of all."""
    provider = BTCPay(session, {**SETTINGS, "webhook_secret": secret})
    assert not provider.accepts_push
    with pytest.raises(PushRejected):
        provider.parse_push({"BTCPay-Sig": sign("", LONG_BODY)}, LONG_BODY)


@pytest.mark.parametrize(
    ("fields", "invoice_id", "delivery_id"),
    [
        ({"invoiceId": ID, "deliveryId": "D2", "originalDeliveryId": "D1"}, ID, "D1"),
        ({"invoiceId": ID, "deliveryId": "D2", "orignalDeliveryId": "D1"}, ID, "D1"),
        ({"invoiceId": ID, "deliveryId": "D2", "originalDeliveryId": None}, ID, "D2"),
        ({"invoiceId": "__test__1234__test__", "deliveryId": "D"}, "", "D"),
        ({"invoiceId": "../../webhooks", "deliveryId": "D"}, "", "D"),
        ({"type": "PayoutCreated", "payoutId": "P"}, "", None),
        ({"invoiceId": ["x"]}, "", None),
        ({}, "", None),
    ],
)
async def test_deliveries(
    session: ClientSession, fields: dict[str, Any], invoice_id: str, delivery_id: str | None
) -> None:
    """A redelivery is known again; what is about no invoice hints at none that is tracked."""
    body = orjson.dumps(fields)
    hint = pushed(session).parse_push({"BTCPay-Sig": sign(SECRET, body)}, body)
    assert hint == Hint(invoice_ids=frozenset({invoice_id}), delivery_id=delivery_id)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b"ab"])
async def test_signed_nonsense(session: ClientSession, body: bytes) -> None:
    """What is signed but no object is no push."""
    with pytest.raises(PushRejected) as refusal:
        pushed(session).parse_push({"BTCPay-Sig": sign(SECRET, body)}, body)
    assert refusal.value.reason is RejectReason.MALFORMED


class Hooks:
    """A store's webhooks."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        """Begin with these."""
        self.rows = {row["id"]: row for row in rows}
        self.changes: list[tuple[str, str]] = []

    def __call__(self, asked: Asked) -> Answer:
        """Answer a request."""
        if asked.method == "GET":
            rows = [{**row, "secret": None} for row in self.rows.values()]
            return Answer(rows)
        id_ = asked.url.name if asked.method != "POST" else "NewWebhook"
        self.changes.append((asked.method, id_))
        if asked.method == "DELETE":
            return Answer(b"") if self.rows.pop(id_, None) else refused(404, "webhook-not-found")
        self.rows[id_] = {**asked.json, "id": id_}
        return Answer(self.rows[id_])


def hook(id_: str = "OldWebhook", **changes: Any) -> dict[str, Any]:
    """Return a webhook as we make it, with changes."""
    events = {"everything": False, "specificEvents": [*EVENTS]}
    return {
        "id": id_,
        "enabled": True,
        "automaticRedelivery": True,
        "url": HOOK_URL,
        "authorizedEvents": events,
        **changes,
    }


@pytest.fixture
def registrar(session: ClientSession) -> BTCPay:
    """Return an account whose key may register a webhook."""
    return BTCPay(session, {**SETTINGS, "may_register_webhook": "yes"})


async def test_register(wire: Wire, registrar: BTCPay) -> None:
    """A webhook is made with a secret of ours for what happens to invoices, and believed."""
    assert isinstance(registrar, CanRegisterWebhook)
    hooks = Hooks(hook("Another", url="https://shop.example/hook"))
    wire.answer(hooks)
    accepted_before = registrar.accepts_push
    kept = await registrar.async_register_webhook(HOOK_URL)
    assert hooks.changes == [("POST", "NewWebhook")]
    assert wire.asked[-1].url.path == HOOKS
    made = hooks.rows["NewWebhook"]
    assert made == hook("NewWebhook", secret=kept["webhook_secret"])
    assert kept["btcpay_webhook_id"] == "NewWebhook"
    assert len(kept["webhook_secret"]) == 64
    assert (accepted_before, registrar.accepts_push) == (False, True)
    body = b'{"invoiceId": "x"}'
    registrar.parse_push({"BTCPay-Sig": sign(kept["webhook_secret"], body)}, body)
    assert await registrar.async_register_webhook(HOOK_URL) == kept
    assert len(hooks.changes) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"enabled": False},
        {"automaticRedelivery": False},
        {"authorizedEvents": {"everything": False, "specificEvents": ["InvoiceSettled"]}},
        {"authorizedEvents": {"everything": True, "specificEvents": None}},
        {"authorizedEvents": None},
    ],
)
async def test_what_was_changed_is_put_back(
    wire: Wire, registrar: BTCPay, change: dict[str, Any]
) -> None:
    """Whatever somebody did to our webhook, it is as it was at the next look."""
    hooks = Hooks()
    wire.answer(hooks)
    kept = await registrar.async_register_webhook(HOOK_URL)
    hooks.rows["NewWebhook"] |= change
    assert await registrar.async_register_webhook(HOOK_URL) == kept
    assert hooks.rows["NewWebhook"] == hook("NewWebhook", secret=kept["webhook_secret"])
    assert [method for method, _ in hooks.changes] == ["POST", "PUT"]
    hooks.rows.clear()
    assert await registrar.async_register_webhook(HOOK_URL) == kept
    assert hooks.rows["NewWebhook"]["secret"] == kept["webhook_secret"]


async def test_after_a_restart(wire: Wire, session: ClientSession) -> None:
    """The secret of before and of now become the same once each start."""
    settings = {
        **SETTINGS,
        "may_register_webhook": "yes",
        "webhook_secret": SECRET,
        "btcpay_webhook_id": "OldWebhook",
    }
    hooks = Hooks(hook("Made"), hook(), hook("Double"))
    wire.answer(hooks)
    provider = BTCPay(session, settings)
    kept = await provider.async_register_webhook(HOOK_URL)
    assert kept == {"webhook_secret": SECRET, "btcpay_webhook_id": "OldWebhook"}
    assert hooks.changes == [("PUT", "OldWebhook"), ("DELETE", "Made"), ("DELETE", "Double")]
    assert hooks.rows == {"OldWebhook": hook(secret=SECRET)}
    await provider.async_register_webhook(HOOK_URL)
    assert len(hooks.changes) == 3


async def test_another_address(wire: Wire, session: ClientSession) -> None:
    """A webhook with another address is somebody else's, but for the one that it replaces."""
    settings = {
        **SETTINGS,
        "may_register_webhook": "yes",
        "webhook_secret": SECRET,
        "btcpay_webhook_id": "Original",
    }
    original = hook("Original", url="https://home.example/api/webhook/made-up")
    hooks = Hooks(original)
    wire.answer(hooks)
    copy = BTCPay(session, settings)
    await copy.async_register_webhook(HOOK_URL)
    assert hooks.changes == [("POST", "NewWebhook")]
    assert hooks.rows["Original"] == original
    await copy.async_register_webhook("https://new.example/api/webhook/made-up", HOOK_URL)
    assert hooks.changes[1:] == [("PUT", "NewWebhook")]
    await copy.async_remove_webhook("https://new.example/api/webhook/made-up")
    assert list(hooks.rows) == ["Original"]


async def test_one_that_was_made_by_hand_is_taken_over(wire: Wire, registrar: BTCPay) -> None:
    """The address is a secret of ours, so that a webhook to it is ours."""
    hooks = Hooks(hook("Made"))
    wire.answer(hooks)
    kept = await registrar.async_register_webhook(HOOK_URL)
    assert hooks.changes == [("PUT", "Made")]
    assert hooks.rows["Made"]["secret"] == kept["webhook_secret"]


async def test_made_and_never_heard_of(wire: Wire, registrar: BTCPay) -> None:
    """One that was made while the answer got lost is found again, and removed with the account."""
    hooks = Hooks(hook("Made"), hook("Another", url="https://shop.example/hook"))
    wire.answer(hooks)
    await registrar.async_remove_webhook(HOOK_URL)
    assert list(hooks.rows) == ["Another"]


@pytest.mark.parametrize("may", [{}, {"may_register_webhook": "no"}])
async def test_key_that_may_not_register(
    wire: Wire, session: ClientSession, may: dict[str, str]
) -> None:
    """Without the permission nothing is tried, and nothing taken back."""
    provider = BTCPay(session, {**SETTINGS, **may, "webhook_secret": SECRET})
    assert await provider.async_register_webhook(HOOK_URL) == {}
    await provider.async_remove_webhook(HOOK_URL)
    assert wire.asked == []
    assert provider.accepts_push


async def test_remove(wire: Wire, registrar: BTCPay) -> None:
    """What was registered is taken back; nothing is wrong if it is gone already."""
    hooks = Hooks(hook("Another", url="https://shop.example/hook"))
    wire.answer(hooks)
    await registrar.async_register_webhook(HOOK_URL)
    await registrar.async_remove_webhook(HOOK_URL)
    assert list(hooks.rows) == ["Another"]
    await registrar.async_register_webhook(HOOK_URL)
    hooks.rows.clear()
    await registrar.async_remove_webhook(HOOK_URL)
    await registrar.async_remove_webhook(HOOK_URL)
    assert [method for method, _ in hooks.changes] == ["POST", "DELETE", "POST"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused(403), AuthError),
        (Answer(b"", 502), ProviderUnavailable),
        (Answer({}), BadResponse),
        (Answer([{"path": "Url", "message": "Invalid Url"}], 422), BadResponse),
    ],
)
async def test_registering_can_fail(
    wire: Wire, registrar: BTCPay, answer: Answer, error: type[ProviderError]
) -> None:
    """What goes wrong is one of the provider's errors, and leaves no secret."""
    for method in ("GET", "POST"):

        def fail(asked: Asked, failing: str = method) -> Answer:
            return answer if asked.method == failing else Answer([])

        wire.answer(fail)
        with pytest.raises(error):
            await registrar.async_register_webhook(HOOK_URL)
        assert not registrar.accepts_push


# Whatever arrives.

FIVE = (AuthError, BadResponse, InvoiceNotFound, ProviderUnavailable, RateLimited)
some = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
over_the_wire = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
odd_text = st.sampled_from(
    ["None", "Settled", "PaidOver", ID, STORE, f"{VIEW}:{STORE}", f"{WEBHOOKS}:{STORE}", "NaN", ""]
)
any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | odd_text,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(sorted(SAMPLE)), inner, max_size=4)
    ),
    max_leaves=12,
)


def assert_sound(entry: object) -> None:
    """Check that an entry is an error, or an invoice that can be shown as it is."""
    if isinstance(entry, FIVE):
        return
    assert isinstance(entry, Invoice)
    assert entry.provider_status.strip()
    for amount in (entry.amount, entry.amount_received):
        assert amount is None or amount.is_finite()
    for moment in (entry.created_at, entry.expires_at, entry.monitored_until):
        assert moment is None or moment.tzinfo is UTC
    assert entry.payment_url is None or entry.payment_url.startswith(("https://", "http://"))


@given(name=st.sampled_from(sorted(SAMPLE)), value=any_json)
@some
def test_one_field_changed(name: str, value: Any) -> None:
    """A broken field costs its own value, and only the two of the status change that."""
    (entry,) = parse_rows([row(**{name: value})] if name != "id" else [SAMPLE], {ID}).values()
    assert_sound(entry)
    if name not in ("status", "additionalStatus"):
        assert isinstance(entry, Invoice)
        assert (entry.id, entry.status) == (ID, InvoiceStatus.PAID)


@given(status=any_json, more=any_json)
@some
def test_no_status_becomes_paid_by_accident(status: Any, more: Any) -> None:
    """Only the server's own word for it makes an invoice paid."""
    (entry,) = parse_rows([row(status=status, additionalStatus=more)], {ID}).values()
    if isinstance(entry, Invoice) and entry.status.is_paid:
        assert status.strip() == "Settled" or more.strip() in ("PaidLate", "PaidOver")


@given(text=st.text(max_size=60) | st.from_regex(r"\s*(https?://)?[a-z./?#-]*[0-9A-Za-z]{14,40}"))
@some
def test_any_invoice_id(text: str) -> None:
    """Whatever is typed is an ID or none, and an ID stays what it is."""
    if (id_ := BTCPay.parse_invoice_id(text)) is not None:
        assert BTCPay.parse_invoice_id(f" {id_}\n") == id_
        assert id_.isascii()
        assert id_.isalnum()


@given(
    body=st.binary(max_size=60) | any_json.map(orjson.dumps) | st.just(b"[" * 5000),
    status=st.sampled_from([200, 204, 400, 401, 403, 404, 422, 429, 500]) | st.integers(200, 999),
    content_type=st.sampled_from(["application/json", "text/html", "text/plain", "", ";"]),
    chosen=st.sampled_from([STORE, None, ""]) | st.text(max_size=5),
)
@over_the_wire
async def test_any_answer(wire: Wire, session: ClientSession, **drawn: Any) -> None:
    """Any bytes with any status are invoices, an account, a webhook or an error."""
    wire.answer(Answer(drawn["body"], drawn["status"], drawn["content_type"]))
    settings = {**SETTINGS, "store_id": drawn["chosen"], "may_register_webhook": "yes"}
    for count in (1, 5):
        try:
            found = await BTCPay(session, settings).async_get_invoices(ids(count))
        except FIVE:
            continue
        assert set(found) == set(ids(count))
        for entry in found.values():
            assert_sound(entry)
    error = await read_account(BTCPay(session, settings))
    assert error is None or issubclass(error, FIVE)
    provider = BTCPay(session, settings)
    try:
        await provider.async_register_webhook(HOOK_URL)
        await provider.async_remove_webhook(HOOK_URL)
    except FIVE:
        pass


@given(permissions=st.lists(any_json | odd_text, max_size=4), stores=any_json)
@over_the_wire
async def test_any_permissions(
    wire: Wire, session: ClientSession, permissions: list[Any], stores: Any
) -> None:
    """Whatever a key may, it is an account or an error."""

    def answer(asked: Asked) -> Answer:
        if asked.url.name == "current":
            return Answer({"permissions": permissions})
        return Answer([] if asked.url.name == "invoices" else stores)

    wire.answer(answer)
    for chosen in (None, STORE):
        assert await read_account(BTCPay(session, {**SETTINGS, "store_id": chosen})) in (
            *(None, AuthError, BadResponse, KeyCanSpend, SettingNeeded),
        )


@given(
    body=st.binary(max_size=60) | any_json.map(orjson.dumps) | st.just(b"[" * 5000),
    signature=st.text(max_size=20) | st.none(),
)
@over_the_wire
async def test_any_push(session: ClientSession, body: bytes, signature: str | None) -> None:
    """Any body with any signature is a hint or refused."""
    provider = pushed(session)
    with pytest.raises(PushRejected):
        provider.parse_push({"BTCPay-Sig": signature or ""}, body)
    with suppress(PushRejected):
        hint = provider.parse_push({"BTCPay-Sig": sign(SECRET, body)}, body)
        assert len(hint.invoice_ids) == 1
