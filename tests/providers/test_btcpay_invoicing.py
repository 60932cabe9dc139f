"""BTCPay Server: invoices made, canceled and listed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from aiohttp import ClientSession
import orjson
import pytest

from custom_components.crypto_invoices.providers.btcpay.pages import PAGE
from custom_components.crypto_invoices.providers.btcpay.till import BTCPay
from custom_components.crypto_invoices.providers.capabilities import (
    CanCancelInvoice,
    CanCreateInvoice,
    CanListInvoices,
    NoLongerOpen,
    OutcomeUnknown,
    PermissionMissing,
    Rejected,
)
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    ProviderError,
    SettingNeeded,
)
from custom_components.crypto_invoices.providers.new_invoice import Flaw, InvalidField, NewInvoice
from sandbox.btcpay_access import READ_ONLY_KEY, TILL_KEY
from sandbox.btcpay_webhooks import KEY, STORE_ID
from sandbox.faults import Fault
from tests.conftest import SandboxServer

from .conftest import ADDRESS, Answer, Asked, Wire, fixture_bytes, read_one

SAMPLE: dict[str, Any] = orjson.loads(fixture_bytes("btcpay_invoice.json"))
ID: str = SAMPLE["id"]
STORE: str = SAMPLE["storeId"]
INVOICES = f"/api/v1/stores/{STORE}/invoices"
FIVE = NewInvoice(amount=Decimal("5.00"), currency="EUR")
MISSING = "btcpay.store.cancreateinvoice"


@pytest.fixture
def till(session: ClientSession) -> BTCPay:
    """Return an account whose answers are made up."""
    return BTCPay(session, {"url": ADDRESS, "api_key": "made-up-key", "store_id": STORE})


def at_sandbox(sandbox: SandboxServer, session: ClientSession, key: str = TILL_KEY) -> BTCPay:
    """Return an account at the sandbox."""
    return BTCPay(session, {"url": sandbox.url, "api_key": key, "store_id": STORE_ID})


async def test_it_can_do_it_all(till: BTCPay) -> None:
    """The account is offered for everything."""
    assert isinstance(till, CanCreateInvoice)
    assert isinstance(till, CanCancelInvoice)
    assert isinstance(till, CanListInvoices)


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({}, {"metadata": {}, "checkout": {}}),
        (
            {"order_id": "A-1", "description": "Two bags"},
            {"metadata": {"orderId": "A-1", "itemDesc": "Two bags"}, "checkout": {}},
        ),
        (
            {"lifetime": timedelta(seconds=90), "payment_method": "BTC-LN"},
            {"metadata": {}, "checkout": {"expirationMinutes": 2, "paymentMethods": ["BTC-LN"]}},
        ),
        ({"callback_url": "https://ha.example/hook"}, {"metadata": {}, "checkout": {}}),
    ],
)
async def test_request(
    wire: Wire, till: BTCPay, asked: dict[str, Any], sent: Mapping[str, Any]
) -> None:
    """One POST to the store, with the amount as text, digit for digit; then how to pay."""
    wire.answer(Answer({**SAMPLE, "status": "New"}))
    made = await till.async_create_invoice(
        NewInvoice(amount=Decimal("5.00"), currency="EUR", **asked)
    )
    assert (made.id, made.status) == (ID, InvoiceStatus.PENDING)
    request, then = wire.asked
    assert (then.method, then.url.path) == ("GET", f"{INVOICES}/{ID}/payment-methods")
    assert (request.method, request.url.path) == ("POST", INVOICES)
    assert request.headers["Authorization"] == "token made-up-key"
    assert request.json == {"amount": "5.00", "currency": "EUR", **sent}


@pytest.mark.parametrize(
    ("amount", "currency", "fits"),
    [
        ("5.00", "EUR", True),
        ("5.001", "EUR", False),
        ("0.00000001", "BTC", True),
        ("0.000000001", "BTC", False),
        ("21", "SATS", True),
        ("21.50", "SATS", False),
        ("0.000000000001", "XMR", True),
        ("500", "JPY", True),
        ("5.25", "JPY", False),
    ],
)
async def test_decimals(
    wire: Wire, till: BTCPay, *, amount: str, currency: str, fits: bool
) -> None:
    """What has more digits than its currency is refused before anything is sent."""
    wire.answer(Answer({**SAMPLE, "status": "New"}))
    new = NewInvoice(amount=Decimal(amount), currency=currency)
    if fits:
        await till.async_create_invoice(new)
        assert wire.asked[0].json["amount"] == amount
        return
    with pytest.raises(InvalidField) as err:
        await till.async_create_invoice(new)
    assert (err.value.field, err.value.flaw) == ("amount", Flaw.TOO_MANY_DECIMALS)
    assert not wire.asked


LIGHTNING = {"paymentMethodId": "BTC-LN", "paymentLink": "lightning:LNBC1demo", "activated": True}
ON_CHAIN = {"paymentMethodId": "BTC-CHAIN", "paymentLink": "bitcoin:bc1demo?amount=0.1"}


@pytest.mark.parametrize(
    ("methods", "text"),
    [
        ([LIGHTNING], "lightning:LNBC1demo"),
        ([ON_CHAIN], "bitcoin:bc1demo?amount=0.1"),
        ([LIGHTNING, ON_CHAIN], None),
        ([{**LIGHTNING, "paymentLink": ""}], None),
        ([{**LIGHTNING, "paymentLink": "javascript:alert(1)"}], None),
        ([{**LIGHTNING, "paymentLink": "https://elsewhere.example"}], None),
        ([{**LIGHTNING, "paymentLink": "bitcoin:bc1 x"}], None),
        ([7], None),
        ([], None),
        ({}, None),
    ],
)
async def test_what_a_wallet_scans(
    wire: Wire, till: BTCPay, methods: object, text: str | None
) -> None:
    """It is told where there is one way to pay, until something was paid."""
    row = {**SAMPLE, "status": "New"}
    wire.answer(
        lambda asked: Answer(methods if asked.url.path.endswith("/payment-methods") else row)
    )
    made = await till.async_create_invoice(FIVE)
    assert made.payment_text == text
    for status, more, told in (
        ("New", "None", text),
        ("New", "PaidPartial", None),
        ("New", "None", None),
    ):
        row |= {"status": status, "additionalStatus": more}
        read = await read_one(till, ID)
        assert isinstance(read, Invoice)
        assert read.payment_text == told


@pytest.mark.parametrize("answer", [Answer(b"", 500), Answer({"code": "x"}, 403), Answer(b"<h1>")])
async def test_nothing_to_scan(wire: Wire, till: BTCPay, answer: Answer) -> None:
    """An invoice was made, also if it isn't told how to pay it."""
    made = Answer({**SAMPLE, "status": "New"})
    wire.answer(lambda asked: made if asked.method == "POST" else answer)
    assert (await till.async_create_invoice(FIVE)).payment_text is None


def refused(**fields: Any) -> Answer:
    """Answer as the server does to a key that may not."""
    return Answer({"code": "missing-permission", **fields}, 403)


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (refused(message="No.", missingPermission=MISSING), PermissionMissing, MISSING),
        (refused(message=f'Use a key with permission "{MISSING}".'), PermissionMissing, MISSING),
        (refused(message="No."), AuthError, "403"),
        (
            Answer(
                [{"path": "Amount", "message": "Too much."}, {"path": "x", "message": "No."}], 422
            ),
            Rejected,
            "Amount: Too much.; x: No.",
        ),
        (Answer({"code": "generic-error", "message": "No wallet."}, 400), Rejected, "No wallet."),
        (Answer([7, None, {}], 422), Rejected, "422"),
        (Answer({"code": "store-not-found", "message": "No store."}, 404), Rejected, "No store."),
        (Answer({**SAMPLE, "id": "not an ID"}), OutcomeUnknown, "names no invoice"),
        (Answer({**SAMPLE, "id": None}), OutcomeUnknown, "missing"),
    ],
)
async def test_refusals(
    wire: Wire, till: BTCPay, *, answer: Answer, kind: type[ProviderError], text: str
) -> None:
    """A refusal says what is missing or wrong, in the server's words."""
    wire.answer(answer)
    with pytest.raises(kind, match=text) as err:
        await till.async_create_invoice(FIVE)
    assert type(err.value) is kind
    if isinstance(err.value, PermissionMissing):
        assert err.value.permission == MISSING
    assert len(wire.asked) == 1


async def test_without_a_store(wire: Wire, session: ClientSession) -> None:
    """An account that can't tell its store makes nothing."""
    wire.answer(Answer({"permissions": ["btcpay.store.canviewinvoices"]}))
    till = BTCPay(session, {"url": ADDRESS, "api_key": "made-up-key"})
    with pytest.raises(SettingNeeded):
        await till.async_create_invoice(FIVE)
    assert [asked.method for asked in wire.asked] == ["GET"]


@pytest.mark.parametrize(
    ("actions", "kind"),
    [
        ("", None),
        ("partly_pay", NoLongerOpen),
        ("process", NoLongerOpen),
        ("pay", NoLongerOpen),
        ("overpay", NoLongerOpen),
        ("mark_paid", NoLongerOpen),
        ("expire", NoLongerOpen),
        ("mark_invalid", NoLongerOpen),
    ],
)
async def test_cancel(
    sandbox: SandboxServer,
    session: ClientSession,
    actions: str,
    kind: type[ProviderError] | None,
) -> None:
    """Only what waits for its first money is canceled, also where the server would do more."""
    invoice = sandbox.store.create(KEY)
    for action in actions.split():
        sandbox.store.act(KEY, invoice.id, action)
    till, before = at_sandbox(sandbox, session), invoice.state
    if kind is None:
        await till.async_cancel_invoice(invoice.id)
        read = await read_one(till, invoice.id)
        assert isinstance(read, Invoice)
        assert (read.status, read.provider_status) == ("canceled", "Invalid (Marked)")
        return
    with pytest.raises(kind):
        await till.async_cancel_invoice(invoice.id)
    assert invoice.state is before
    assert sandbox.sandbox.requests[KEY, "mark"] == 0


async def test_what_a_key_may(sandbox: SandboxServer, session: ClientSession) -> None:
    """A key that can only read is told which permission is missing, and nothing happens."""
    reader = at_sandbox(sandbox, session, READ_ONLY_KEY)
    invoice = sandbox.store.create(KEY)
    with pytest.raises(PermissionMissing, match="cancreateinvoice"):
        await reader.async_create_invoice(FIVE)
    with pytest.raises(PermissionMissing, match="canmodifyinvoices"):
        await reader.async_cancel_invoice(invoice.id)
    assert sandbox.store.all(KEY) == [invoice]
    assert invoice.state == "pending"
    assert isinstance(await read_one(reader, invoice.id), Invoice)


async def test_cancel_troubles(sandbox: SandboxServer, session: ClientSession) -> None:
    """What isn't there, can't be read or is gone between the two requests is told as such."""
    till = at_sandbox(sandbox, session)
    with pytest.raises(InvoiceNotFound):
        await till.async_cancel_invoice("NothingIsHere123456789")
    invoice = sandbox.store.create(KEY)
    for fault, kind in (
        (Fault.UNAUTHORIZED, AuthError),
        (Fault.HTML, BadResponse),
        (Fault.MISSING_ROWS, InvoiceNotFound),
        (Fault.UNKNOWN_STATUS, Rejected),
    ):
        sandbox.switch(KEY, fault)
        with pytest.raises(ProviderError) as err:
            await till.async_cancel_invoice(invoice.id)
        assert type(err.value) is kind
    sandbox.switch(KEY, None)
    assert invoice.state == "pending"


async def test_gone_before_it_is_marked(wire: Wire, till: BTCPay) -> None:
    """An invoice that disappears between the look and the mark was not found."""
    gone = Answer({"code": "invoice-not-found", "message": "The invoice was not found"}, 404)
    paid = Answer([{"path": "Status", "message": "Only within certain conditions."}], 422)
    for answer, kind in ((gone, InvoiceNotFound), (paid, Rejected)):

        def mark(asked: Asked, marked: Answer = answer) -> Answer:
            return marked if asked.method == "POST" else Answer({**SAMPLE, "status": "New"})

        wire.answer(mark)
        with pytest.raises(kind):
            await till.async_cancel_invoice(ID)
        assert wire.asked[-1].json == {"status": "Invalid"}
        assert wire.asked[-1].url.path == f"{INVOICES}/{ID}/status"


async def test_list(sandbox: SandboxServer, session: ClientSession) -> None:
    """All are listed, page by page, the newest first; who has enough asks no more."""
    ids = [sandbox.store.create(KEY, order_id=f"A-{n}").id for n in range(2 * PAGE + 10)]
    since, till = datetime.now(UTC) - timedelta(hours=1), at_sandbox(sandbox, session)
    assert [one.id async for one in till.async_list_invoices(since=since)] == ids[::-1]
    assert sandbox.requests(KEY) == 3
    assert [one.id async for one in till.async_list_invoices(since=since, order_id="A-7")] == [
        ids[7]
    ]
    later = datetime.now(UTC) + timedelta(hours=1)
    assert [one async for one in till.async_list_invoices(since=later)] == []
    sandbox.sandbox.requests.clear()
    async for invoice in till.async_list_invoices(since=since):
        assert invoice.id == ids[-1]
        break
    assert sandbox.requests(KEY) == 1


async def test_list_is_bounded(wire: Wire, till: BTCPay) -> None:
    """A server that doesn't turn pages ends nobody's day, and a broken row costs only itself."""
    rows = [{"id": f"DemoInvoice{n:011}", "status": "New"} for n in range(PAGE - 2)]
    wire.answer(Answer([7, {"id": "?", "status": "New"}, *rows]))
    found = [one async for one in till.async_list_invoices(since=datetime.now(UTC))]
    assert len(wire.asked) == 2
    assert [one.id for one in found] == [row["id"] for row in rows]
    query = wire.asked[0].url.query
    assert (query["skip"], query["take"]) == ("0", str(PAGE))
    assert "orderId" not in query


async def test_found_by_its_order(sandbox: SandboxServer, session: ClientSession) -> None:
    """What may have been made is found by its order."""
    till = at_sandbox(sandbox, session)
    sandbox.switch(KEY, Fault.CUT_CONNECTION, count=1)
    new = NewInvoice(amount=Decimal(5), currency="EUR", order_id="Kaffee № 7")
    with pytest.raises(OutcomeUnknown):
        await till.async_create_invoice(new)
    sandbox.store.create(KEY)
    since = datetime.now(UTC) - timedelta(minutes=2)
    found = [one async for one in till.async_list_invoices(since=since, order_id="Kaffee № 7")]
    assert [one.order_id for one in found] == ["Kaffee № 7"]
