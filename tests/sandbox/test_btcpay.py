"""BTCPay Server as its contract has it: keys, pages, states, and webhooks that try again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
import orjson
import pytest

from sandbox import btcpay_webhooks
from sandbox.app import create_app
from sandbox.btcpay import BTCPAY
from sandbox.btcpay_access import (
    ALL_STORES_KEY,
    OTHER_STORE_ID,
    READ_ONLY_KEY,
    SPENDING_KEY,
    STORES,
    TILL_KEY,
    TWO_STORES_KEY,
    UNRESTRICTED_KEY,
    USELESS_KEY,
    WEBHOOKS,
)
from sandbox.btcpay_webhooks import DELAYS, KEY, STORE_ID, Webhook, Webhooks, sign
from sandbox.core import SANDBOX, Sandbox
from sandbox.faults import Fault
from sandbox.invoice import SandboxInvoice

INVOICES = f"/api/v1/stores/{STORE_ID}/invoices"
HOOKS = f"/api/v1/stores/{STORE_ID}/webhooks"
OWN_KEY = BTCPAY.credentials["api_key"]
# The contract's vector: what is delivered, and how it is signed with "whsec-demo".
DELIVERED = {
    "deliveryId": "DLV1",
    "webhookId": "WH1",
    "originalDeliveryId": "DLV1",
    "isRedelivery": False,
    "type": "InvoiceSettled",
    "timestamp": 1700000123,
    "storeId": "STORE1",
    "invoiceId": "INV1",
    "metadata": {"orderId": "HA-0001"},
    "manuallyMarked": False,
    "overPaid": False,
}
SIGNATURE = "sha256=edba027bce750814b9540c7438981a48572cbe3c8a2f33bedc5f125b8dcd262d"


class Bench:
    """The sandbox from inside and outside, and a merchant's server that is told."""

    def __init__(self, app: web.Application, client: TestClient[Any, Any]) -> None:
        """Answer every delivery with a 200."""
        self.sandbox: Sandbox = app[SANDBOX]
        self.webhooks: Webhooks = app[WEBHOOKS]
        self.client = client
        self.answers = [200]
        self.told: list[tuple[dict[str, Any], bytes, str | None]] = []
        self.arrivals: asyncio.Queue[None] = asyncio.Queue()
        receiver = web.Application()
        receiver.add_routes([web.post("/hook", self._hook)])
        self.receiver = TestServer(receiver, host="127.0.0.1")

    async def _hook(self, request: web.Request) -> web.Response:
        """Keep what is told, and answer."""
        body = await request.read()
        self.told.append((orjson.loads(body), body, request.headers.get("BTCPay-Sig")))
        self.arrivals.put_nowait(None)
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=status, headers={"Location": "/hook"})

    async def arrived(self, count: int) -> None:
        """Wait until so much more has been told."""
        async with asyncio.timeout(5):
            for _ in range(count):
                await self.arrivals.get()

    @property
    def url(self) -> str:
        """Where to deliver."""
        return str(self.receiver.make_url("/hook"))

    async def ask(
        self, path: str, key: str | None = OWN_KEY, method: str = "GET", json: object = None
    ) -> ClientResponse:
        """Make a request with a key."""
        headers = {"Authorization": f"token {key}"} if key else {}
        return await self.client.request(method, path, headers=headers, json=json)

    async def rows(self, query: str) -> list[dict[str, Any]]:
        """Return a page of invoices."""
        response = await self.ask(f"{INVOICES}?{query}")
        assert response.status == 200
        return list(await response.json())

    async def row(self, invoice: SandboxInvoice) -> dict[str, Any]:
        """Return one invoice."""
        response = await self.ask(f"{INVOICES}/{invoice.id}")
        assert response.status == 200
        return dict(await response.json())

    def sell(self, *actions: str, **options: Any) -> SandboxInvoice:
        """Make an invoice and do something to it."""
        invoice = self.sandbox.store.create(KEY, **options)
        for action in actions:
            self.sandbox.store.act(KEY, invoice.id, action)
        return invoice

    async def hook(self, **changes: Any) -> Webhook:
        """Make a webhook for everything that happens to invoices."""
        response = await self.ask(HOOKS, method="POST", json={"url": self.url, **changes})
        assert response.status == 200
        return self.webhooks.all[(await response.json())["id"]]

    async def told_types(self) -> list[str]:
        """Return what was told, when everything is."""
        async with asyncio.timeout(5):
            await self.webhooks.settled()
        return [fields["type"] for fields, _, _ in self.told]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Serve a BTCPay Server that is quick to try again, and a merchant's server."""
    app = create_app(slow_seconds=0.05, providers={KEY: BTCPAY})
    async with TestClient(TestServer(app)) as client:
        bench = Bench(app, client)
        bench.sandbox.set(KEY, "retries", "quick")
        async with bench.receiver:
            yield bench


async def test_health_needs_no_key(bench: Bench) -> None:
    """Anybody may ask whether the server is up."""
    response = await bench.ask("/api/v1/health", key=None)
    assert await response.json() == {"synchronized": True}


@pytest.mark.parametrize("header", ["", "token wrong", f"Bearer {OWN_KEY}", OWN_KEY, "token é"])
@pytest.mark.parametrize("path", ["/api/v1/api-keys/current", "/api/v1/stores", INVOICES, HOOKS])
async def test_wrong_key(bench: Bench, path: str, header: str) -> None:
    """Without a good key, a request ends with a 401."""
    response = await bench.client.get(path, headers={"Authorization": header})
    assert response.status == 401
    assert (await response.json())["code"] == "unauthenticated"


async def test_key_tells_what_it_may(bench: Bench) -> None:
    """The permissions of a key name its stores."""
    response = await bench.ask("/api/v1/api-keys/current")
    assert await response.json() == {
        "apiKey": OWN_KEY,
        "label": "Sandbox",
        "permissions": [
            f"btcpay.store.canviewinvoices:{STORE_ID}",
            f"btcpay.store.webhooks.canmodifywebhooks:{STORE_ID}",
        ],
    }


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        (OWN_KEY, "invoices webhooks"),
        (READ_ONLY_KEY, "invoices"),
        (TWO_STORES_KEY, "invoices others"),
        (SPENDING_KEY, "invoices"),
        (ALL_STORES_KEY, "invoices others webhooks stores"),
        (UNRESTRICTED_KEY, "invoices others webhooks stores"),
        (USELESS_KEY, ""),
    ],
)
async def test_permissions(bench: Bench, key: str, allowed: str) -> None:
    """Each key may do what it may, and what it lacks is named."""
    paths = {
        "invoices": INVOICES,
        "others": f"/api/v1/stores/{OTHER_STORE_ID}/invoices",
        "webhooks": HOOKS,
        "stores": "/api/v1/stores",
    }
    for name, path in paths.items():
        response = await bench.ask(path, key)
        payload = await response.json()
        if name in allowed.split():
            assert response.status == 200
        else:
            assert (response.status, payload["code"]) == (403, "missing-permission")
            assert payload["missingPermission"].startswith("btcpay.store.")


async def test_stores(bench: Bench) -> None:
    """A key for all stores sees their names."""
    response = await bench.ask("/api/v1/stores", ALL_STORES_KEY)
    assert {row["id"]: row["name"] for row in await response.json()} == STORES
    response = await bench.ask(f"/api/v1/stores/{STORE_ID}", ALL_STORES_KEY)
    assert (await response.json())["name"] == "Sandbox shop"
    response = await bench.ask("/api/v1/stores/nowhere", ALL_STORES_KEY)
    assert response.status == 403


async def test_invoice(bench: Bench) -> None:
    """An invoice has the contract's fields: money is text, times are seconds."""
    invoice = bench.sell("pay", amount=Decimal("12.50"), order_id="HA-0001")
    row = await bench.row(invoice)
    made = int(invoice.created_at.timestamp())
    expected = {
        "id": invoice.id,
        "storeId": STORE_ID,
        "amount": "12.50",
        "paidAmount": "12.50",
        "currency": "EUR",
        "type": "Standard",
        "createdTime": made,
        "status": "Settled",
        "additionalStatus": "None",
        "archived": False,
        "metadata": {"orderId": "HA-0001"},
    }
    assert row.items() >= expected.items()
    assert row["expirationTime"] - made in (899, 900, 901)
    assert row["monitoringExpiration"] - row["expirationTime"] == 86_400
    assert row["checkoutLink"].endswith(f"/i/{invoice.id}")
    assert len(invoice.id) == 22
    response = await bench.ask(f"/api/v1/invoices/{invoice.id}")
    assert await response.json() == row
    response = await bench.client.get(f"/i/{invoice.id}")
    assert (response.status, response.url.path) == (200, f"/pay/btcpay/{invoice.id}")


async def test_old_server(bench: Bench) -> None:
    """Old servers don't say what was paid; an order's ID may be a number, or missing."""
    invoice = bench.sell()
    bench.sandbox.set(KEY, "paid_amount", "omitted")
    for setting, metadata in (("number", {"orderId": 1}), ("omitted", {})):
        bench.sandbox.set(KEY, "order_id", setting)
        row = await bench.row(invoice)
        assert "paidAmount" not in row
        assert row["metadata"] == metadata


async def test_unknown_invoice(bench: Bench) -> None:
    """What isn't there is not found; what is another store's is forbidden."""
    response = await bench.ask(f"{INVOICES}/nothing")
    assert (response.status, (await response.json())["code"]) == (404, "invoice-not-found")
    invoice = bench.sell()
    path = f"/api/v1/stores/{OTHER_STORE_ID}/invoices"
    assert (await bench.ask(f"{path}/{invoice.id}", TWO_STORES_KEY)).status == 403
    assert (await bench.ask(f"{path}/nothing", TWO_STORES_KEY)).status == 404
    assert (await bench.ask("/api/v1/invoices/nothing")).status == 403
    assert await (await bench.ask(path, TWO_STORES_KEY)).json() == []


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        ("", "New None"),
        ("partly_pay", "New PaidPartial"),
        ("process", "Processing None"),
        ("process pay", "Settled None"),
        ("process revert", "New None"),
        ("process fail", "Invalid None"),
        ("pay", "Settled None"),
        ("overpay", "Settled PaidOver"),
        ("underpay", "Expired PaidPartial"),
        ("partly_pay expire", "Expired PaidPartial"),
        ("expire", "Expired None"),
        ("expire pay", "Expired PaidLate"),
        ("mark_invalid", "Invalid Marked"),
        ("mark_paid", "Settled Marked"),
        ("process fail mark_paid", "Settled Marked"),
    ],
)
async def test_words(bench: Bench, actions: str, words: str) -> None:
    """Every state has its two words, however it was reached."""
    invoice = bench.sell(*actions.split())
    row = await bench.row(invoice)
    assert f"{row['status']} {row['additionalStatus']}" == words
    is_unpaid = words in ("New None", "Expired None", "Invalid Marked", "Settled Marked")
    if is_unpaid and "process" not in actions:
        assert row["paidAmount"] == "0.00"
    else:
        assert Decimal(row["paidAmount"]) > 0 or "revert" in actions
    assert row["expirationTime"] <= datetime.now(UTC).timestamp() or row["status"] != "Expired"


async def test_time_makes_partial_expired() -> None:
    """What was paid in part when its time was up is expired; confirmations may come later."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    app = create_app(providers={KEY: BTCPAY}, clock=lambda: now)
    async with TestClient(TestServer(app)) as client:
        bench = Bench(app, client)
        partial, slow = bench.sell("partly_pay"), bench.sell("process")
        now += timedelta(hours=1)
        row = await bench.row(partial)
        assert (row["status"], row["additionalStatus"]) == ("Expired", "PaidPartial")
        bench.sandbox.store.act(KEY, slow.id, "pay")
        assert (await bench.row(slow))["status"] == "Settled"
        bench.sandbox.store.act(KEY, partial.id, "pay")
        assert (await bench.row(partial))["additionalStatus"] == "PaidLate"


async def test_pages(bench: Bench) -> None:
    """Pages are newest first, of some statuses or orders, and without a size everything."""
    made = [bench.sell(order_id=f"A-{number}") for number in range(30)]
    bench.sandbox.store.act(KEY, made[0].id, "pay")
    ids = [invoice.id for invoice in reversed(made)]
    for query, expected in (
        ("", ids),
        ("take=5", ids[:5]),
        ("take=5&skip=28", ids[28:]),
        ("skip=25", ids[25:]),
        ("take=100&status=New&status=Processing", ids[:-1]),
        ("take=100&status=Settled", ids[-1:]),
        ("take=100&status=settled", ids[-1:]),
        ("take=100&orderId=A-3&orderId=A-1", [made[3].id, made[1].id]),
        ("take=100&startDate=9999999999", []),
        ("take=0", []),
    ):
        assert [row["id"] for row in await bench.rows(query)] == expected


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("take=many", ["take"]),
        ("skip=-1", ["skip"]),
        ("startDate=2&endDate=1", ["startDate", "endDate"]),
    ],
)
async def test_queries_that_are_refused(bench: Bench, query: str, paths: list[str]) -> None:
    """What is wrong with single values is a list, with a 422."""
    response = await bench.ask(f"{INVOICES}?{query}")
    assert response.status == 422
    assert [problem["path"] for problem in await response.json()] == paths


async def test_faults(bench: Bench) -> None:
    """Errors have the server's shape; one row or many can be spoiled."""
    invoice = bench.sell("pay")
    bench.sandbox.faults.switch(KEY, Fault.RATE_LIMITED)
    response = await bench.ask(INVOICES)
    assert (response.status, set(await response.json())) == (429, {"code", "message"})
    bench.sandbox.faults.switch(KEY, Fault.UNKNOWN_STATUS)
    assert (await bench.row(invoice))["status"] == "frozen"
    assert [row["status"] for row in await bench.rows("take=1")] == ["frozen"]
    bench.sandbox.faults.switch(KEY, Fault.BAD_GATEWAY)
    assert (await bench.ask(INVOICES)).content_type == "text/html"
    assert bench.sandbox.requests[KEY, "invoices"] == 4


async def test_webhook_from_beginning_to_end(bench: Bench) -> None:
    """A webhook is made, seen without its secret, changed, and deleted with an empty answer."""
    response = await bench.ask(HOOKS, method="POST", json={"url": bench.url})
    made = await response.json()
    assert made["secret"]
    shown = {key: value for key, value in made.items() if key != "secret"}
    assert shown == {
        "id": made["id"],
        "enabled": True,
        "automaticRedelivery": True,
        "url": bench.url,
        "authorizedEvents": {"everything": True, "specificEvents": []},
    }
    path = f"{HOOKS}/{made['id']}"
    assert await (await bench.ask(HOOKS)).json() == [shown]
    assert await (await bench.ask(path)).json() == shown
    events = {"everything": False, "specificEvents": ["InvoiceSettled"]}
    change = {"url": bench.url, "enabled": False, "authorizedEvents": events}
    response = await bench.ask(path, method="PUT", json=change)
    assert await response.json() == {**shown, "enabled": False, "authorizedEvents": events}
    assert bench.webhooks.all[made["id"]].secret == made["secret"]
    await bench.ask(path, method="PUT", json={**change, "secret": "another"})
    assert bench.webhooks.all[made["id"]].secret == "another"
    response = await bench.ask(path, method="DELETE")
    assert (response.status, await response.read()) == (200, b"")
    for method in ("GET", "PUT", "DELETE"):
        response = await bench.ask(path, method=method, json=change)
        assert (response.status, (await response.json())["code"]) == (404, "webhook-not-found")
    assert await (await bench.ask(f"{path}/deliveries")).json() == []


async def test_webhook_of_another_store(bench: Bench) -> None:
    """It is neither listed nor shown, and told of nothing."""
    path = f"/api/v1/stores/{OTHER_STORE_ID}/webhooks"
    response = await bench.ask(path, ALL_STORES_KEY, "POST", {"url": bench.url})
    hook_id = (await response.json())["id"]
    assert await (await bench.ask(HOOKS)).json() == []
    assert (await bench.ask(f"{HOOKS}/{hook_id}")).status == 403
    bench.sell("pay")
    assert await bench.told_types() == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"url": "/hook"}, "Url"),
        ({"url": "nonsense"}, "Url"),
        ({"url": "http://["}, "Url"),
        ({}, "url"),
        ({"url": 7}, "url"),
        ({"url": "http://127.0.0.1/", "enabled": "yes"}, "enabled"),
        ({"url": "http://127.0.0.1/", "authorizedEvents": "all"}, "everything"),
        ([], ""),
    ],
)
async def test_webhooks_that_are_refused(bench: Bench, body: object, path: str) -> None:
    """Only a whole address will do, and values of the right kind."""
    hook = await bench.hook()
    for method, where in (("POST", HOOKS), ("PUT", f"{HOOKS}/{hook.id}")):
        response = await bench.ask(where, method=method, json=body)
        assert response.status == 422
        assert path in [problem["path"] for problem in await response.json()]


def test_contracts_vector() -> None:
    """A delivery is written and signed as in the contract, byte for byte."""
    body = btcpay_webhooks.write(DELIVERED)
    assert len(body) == 300
    assert sign("whsec-demo", body) == SIGNATURE


@pytest.mark.parametrize(
    ("actions", "told"),
    [
        ("pay", "InvoiceCreated ReceivedPayment Processing PaymentSettled Settled"),
        ("process", "InvoiceCreated ReceivedPayment Processing"),
        ("process pay", "InvoiceCreated ReceivedPayment Processing PaymentSettled Settled"),
        ("process fail", "InvoiceCreated ReceivedPayment Processing Invalid"),
        ("partly_pay", "InvoiceCreated ReceivedPayment PaymentSettled"),
        ("expire", "InvoiceCreated Expired"),
        (
            "partly_pay expire",
            "InvoiceCreated ReceivedPayment PaymentSettled Expired ExpiredPaidPartial",
        ),
        (
            "expire pay",
            "InvoiceCreated Expired ReceivedPayment PaidAfterExpiration PaymentSettled",
        ),
        ("mark_invalid", "InvoiceCreated Invalid"),
        ("mark_paid", "InvoiceCreated Settled"),
        ("mark_invalid revert delete", "InvoiceCreated Invalid"),
    ],
)
async def test_what_is_told(bench: Bench, actions: str, told: str) -> None:
    """Each change is told as what it is called, in order, signed, without status or amounts."""
    hook = await bench.hook(secret="whsec-demo")
    invoice = bench.sell(*actions.split(), order_id="HA-1")
    types = await bench.told_types()
    assert [type_.removeprefix("Invoice") for type_ in types] == told.removeprefix(
        "Invoice"
    ).split()
    for fields, body, signature in bench.told:
        assert signature == sign("whsec-demo", body)
        assert body.startswith(b'{\n  "deliveryId": ')
        assert fields["webhookId"] == hook.id
        assert fields["deliveryId"] == fields["originalDeliveryId"]
        assert (fields["isRedelivery"], fields["invoiceId"]) == (False, invoice.id)
        assert fields["metadata"] == {"orderId": "HA-1"}
        assert not {"status", "amount"} & fields.keys()
    last = bench.told[-1][0]
    by_hand = "mark_invalid" in actions or "mark_paid" in actions
    assert last.get("manuallyMarked", by_hand) == by_hand
    assert last.get("partiallyPaid", False) == (
        types[-1] == "InvoiceExpired" and "partly" in actions
    )


async def test_overpaid(bench: Bench) -> None:
    """Too much is told with what is settled."""
    await bench.hook()
    bench.sell("overpay")
    await bench.told_types()
    assert [fields["overPaid"] for fields, _, _ in bench.told if "overPaid" in fields] == [True] * 2


async def test_only_what_was_asked_for(bench: Bench) -> None:
    """A webhook is told of its events, and of none while it is switched off."""
    events = {"everything": False, "specificEvents": ["InvoiceSettled"]}
    hook = await bench.hook(authorizedEvents=events)
    bench.sell("pay")
    assert await bench.told_types() == ["InvoiceSettled"]
    hook.enabled = False
    bench.sell("pay")
    assert await bench.told_types() == ["InvoiceSettled"]


@pytest.mark.parametrize("status", [500, 503, 408, 429])
async def test_tried_again(bench: Bench, status: int) -> None:
    """What may pass is tried again with an ID of its own and the first one's; the rest waits."""
    hook = await bench.hook()
    bench.answers = [status, status, 200]
    bench.sell("expire")
    assert await bench.told_types() == ["InvoiceCreated"] * 3 + ["InvoiceExpired"]
    tries = [fields for fields, _, _ in bench.told[:3]]
    assert len({fields["deliveryId"] for fields in tries}) == 3
    assert {fields["originalDeliveryId"] for fields in tries} == {tries[0]["deliveryId"]}
    assert [fields["isRedelivery"] for fields in tries] == [False, True, True]
    shown = await (await bench.ask(f"{HOOKS}/{hook.id}/deliveries")).json()
    assert [(row["httpCode"], row["status"]) for row in reversed(shown)] == [
        (status, "HttpError"),
        (status, "HttpError"),
        (200, "HttpSuccess"),
        (200, "HttpSuccess"),
    ]


@pytest.mark.parametrize("status", [200, 204, 301, 302, 400, 401, 404, 410, 413])
async def test_not_tried_again(bench: Bench, status: int) -> None:
    """What was taken, leads elsewhere or is refused for good is delivered once."""
    await bench.hook()
    bench.answers = [status]
    bench.sell("expire")
    assert await bench.told_types() == ["InvoiceCreated", "InvoiceExpired"]


async def test_given_up(bench: Bench) -> None:
    """After nine tries a delivery is given up, and the next has its turn."""
    await bench.hook()
    bench.answers = [500] * 9 + [200]
    bench.sell("expire")
    assert await bench.told_types() == ["InvoiceCreated"] * 9 + ["InvoiceExpired"]
    assert list(DELAYS["documented"]) == [10, 60, *[600] * 6]
    assert len(DELAYS["quick"]) == 8


async def test_without_automatic_redelivery(bench: Bench) -> None:
    """Where that is switched off, nothing is tried again."""
    await bench.hook(automaticRedelivery=False)
    bench.answers = [500]
    bench.sell()
    assert await bench.told_types() == ["InvoiceCreated"]


async def test_nobody_there(bench: Bench) -> None:
    """What can't be delivered is tried again too; other machines are never reached."""
    for url in ("http://127.0.0.1:1/", "https://ha.example/hook"):
        hook = await bench.hook(url=url)
        bench.webhooks.test(hook, "InvoiceSettled")
        await bench.told_types()
        assert len(hook.deliveries) == 9
        shown = hook.deliveries[0].shown()
        assert (shown["status"], shown["httpCode"]) == ("Failed", None)
        assert shown["errorMessage"]


async def test_deleted_while_it_waits(bench: Bench) -> None:
    """With the webhook ends what was to be delivered to it."""
    hook = await bench.hook()
    bench.answers = [500]
    bench.sell("expire")
    await bench.arrived(1)
    await bench.ask(f"{HOOKS}/{hook.id}", method="DELETE")
    count = len(bench.told)
    await asyncio.sleep(0.2)
    assert len(bench.told) <= count + 1
    assert not hook.waiting


async def test_one_webhook_does_not_hold_up_another(bench: Bench) -> None:
    """Each has a queue of its own."""
    stuck = await bench.hook(url="http://127.0.0.1:1/")
    await bench.hook()
    bench.sandbox.set(KEY, "retries", "documented")
    bench.sell("pay")
    await bench.arrived(5)
    assert len(stuck.deliveries) <= 1
    assert len(stuck.waiting) >= 4


async def test_redelivered_by_hand(bench: Bench) -> None:
    """A delivery can be made again; what was sent can be read."""
    hook = await bench.hook()
    bench.sell()
    await bench.told_types()
    path = f"{HOOKS}/{hook.id}/deliveries/{bench.told[0][0]['deliveryId']}"
    response = await bench.ask(f"{path}/request")
    assert await response.read() == bench.told[0][1]
    redelivered = await (await bench.ask(f"{path}/redeliver", method="POST")).json()
    await bench.told_types()
    for (first, _, _), (again, _, _) in pairwise(bench.told):
        assert again == {**first, "deliveryId": redelivered, "isRedelivery": True}
    for method, what in (("GET", "request"), ("POST", "redeliver")):
        response = await bench.ask(f"{HOOKS}/{hook.id}/deliveries/x/{what}", method=method)
        payload = await response.json()
        assert (response.status, payload["code"]) == (404, "webhookdelivery-not-found")


async def test_button_for_a_test(bench: Bench) -> None:
    """A test is about an invoice that isn't there."""
    hook = await bench.hook()
    bench.webhooks.test(hook, "InvoiceSettled")
    assert await bench.told_types() == ["InvoiceSettled"]
    assert "__test__" in bench.told[0][0]["invoiceId"]


async def test_expired_unseen(bench: Bench) -> None:
    """Time is told too, where nobody looks."""
    await bench.hook()
    bench.sell(expires_in=timedelta(seconds=0.1))
    await bench.arrived(2)
    assert await bench.told_types() == ["InvoiceCreated", "InvoiceExpired"]


@pytest.mark.parametrize("signature", ["good", "expired"])
async def test_made_by_hand(bench: Bench, signature: str) -> None:
    """What the control API has posted is signed with the secret that the sandbox names."""
    bench.sandbox.postbacks.target(KEY, bench.url, signature=signature)
    invoice = bench.sell("pay")
    await bench.sandbox.postbacks.settled()
    [(fields, body, header)] = bench.told
    assert header == sign(BTCPAY.push_credentials["webhook_secret"], body)
    assert (fields["type"], fields["invoiceId"]) == ("InvoiceSettled", invoice.id)


@pytest.mark.parametrize("signature", ["wrong_secret", "none_algorithm", "other_algorithm"])
async def test_made_by_hand_with_a_wrong_signature(bench: Bench, signature: str) -> None:
    """It can be signed as nobody should accept it, too."""
    bench.sandbox.postbacks.target(KEY, bench.url, signature=signature)
    bench.sell("pay")
    await bench.sandbox.postbacks.settled()
    [(_, body, header)] = bench.told
    assert header != sign(BTCPAY.push_credentials["webhook_secret"], body)


async def test_made_by_hand_without_a_signature(bench: Bench) -> None:
    """Or not at all."""
    bench.sandbox.postbacks.target(KEY, bench.url, signature="missing")
    await bench.sandbox.postbacks.send(KEY, bench.sell())
    [(fields, _, header)] = bench.told
    assert (fields["type"], header) == ("InvoiceCreated", None)


async def test_making(bench: Bench) -> None:
    """A key that may makes an invoice, and it is one like all others."""
    body = {
        "amount": "12.50",
        "currency": "EUR",
        "metadata": {"orderId": 7, "itemDesc": "Two bags"},
        "checkout": {"expirationMinutes": 90, "paymentMethods": ["BTC-LN"]},
    }
    response = await bench.ask(INVOICES, TILL_KEY, "POST", body)
    assert response.status == 200
    row = await response.json()
    assert (row["status"], row["amount"], row["currency"]) == ("New", "12.50", "EUR")
    assert row["metadata"] == {"orderId": "7"}
    assert row["expirationTime"] - row["createdTime"] == 90 * 60
    assert [found["id"] for found in await bench.rows("take=5")] == [row["id"]]
    response = await bench.ask(INVOICES, TILL_KEY, "POST", {"amount": 3})
    row = await response.json()
    assert (row["currency"], row["metadata"]) == ("EUR", {})


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        (None, [""]),
        ([], [""]),
        ({"amount": "5", "checkout": []}, None),
        ({"amount": "5", "checkout": 7}, [""]),
        ({"amount": "much"}, ["amount"]),
        ({"amount": "-1"}, ["Amount"]),
        ({"amount": "5", "checkout": {"expirationMinutes": 0}}, ["checkout.expiration"]),
        ({"amount": "5", "checkout": {"expirationMinutes": 1.5}}, ["checkout.expirationMinutes"]),
        (
            {"amount": "5", "checkout": {"paymentMethods": ["BTC-LN", "USDT"]}},
            ["checkout.paymentMethods[1]"],
        ),
    ],
)
async def test_making_nonsense(bench: Bench, body: object, paths: list[str] | None) -> None:
    """What is wrong is told by its path, and nothing is made."""
    response = await bench.ask(INVOICES, TILL_KEY, "POST", body)
    if paths is None:
        assert response.status == 200
        return
    assert response.status == 422
    assert [problem["path"] for problem in await response.json()] == paths
    assert bench.sandbox.store.all(KEY) == []


async def test_making_what_has_no_rate(bench: Bench) -> None:
    """What the server can't do is told as a whole."""
    response = await bench.ask(INVOICES, TILL_KEY, "POST", {"amount": "5", "currency": "XXX"})
    assert response.status == 400
    assert (await response.json())["code"] == "generic-error"


@pytest.mark.parametrize(
    ("actions", "word", "words"),
    [
        ("", "Invalid", "Invalid Marked"),
        ("process", "Invalid", "Invalid Marked"),
        ("partly_pay", "Invalid", "Invalid Marked"),
        ("expire", "Invalid", "Invalid Marked"),
        ("mark_paid", "Invalid", "Invalid Marked"),
        ("pay", "Invalid", None),
        ("overpay", "Invalid", None),
        ("mark_invalid", "Invalid", None),
        ("", "Settled", "Settled Marked"),
        ("mark_invalid", "Settled", "Settled Marked"),
        ("pay", "Settled", None),
        ("", "Expired", None),
        ("", None, None),
    ],
)
async def test_marking(bench: Bench, actions: str, word: str | None, words: str | None) -> None:
    """An invoice is marked as what it says that it can be, and as nothing else."""
    invoice = bench.sell(*actions.split())
    row = await bench.row(invoice)
    assert (word in row["availableStatusesForManualMarking"]) is (words is not None)
    path = f"{INVOICES}/{invoice.id}/status"
    response = await bench.ask(path, TILL_KEY, "POST", {"status": word})
    if words is None:
        assert response.status == 422
        assert [problem["path"] for problem in await response.json()] == ["Status"]
        assert await bench.row(invoice) == row
    else:
        row = await response.json()
        assert f"{row['status']} {row['additionalStatus']}" == words


async def test_who_may_make_and_mark(bench: Bench) -> None:
    """Each takes a permission of its own, which the key that reads hasn't got."""
    invoice = bench.sell()
    for path, permission in (
        (INVOICES, "btcpay.store.cancreateinvoice"),
        (f"{INVOICES}/{invoice.id}/status", "btcpay.store.canmodifyinvoices"),
    ):
        response = await bench.ask(path, OWN_KEY, "POST", {"amount": "5", "status": "Invalid"})
        assert response.status == 403
        assert (await response.json())["missingPermission"] == permission
        assert (await bench.ask(path, "wrong", "POST", {})).status == 401
    missing = f"{INVOICES}/NothingIsHere123456789/status"
    response = await bench.ask(missing, TILL_KEY, "POST", {"status": "Invalid"})
    assert (response.status, (await response.json())["code"]) == (404, "invoice-not-found")
    assert bench.sandbox.store.all(KEY) == [invoice]
    assert invoice.state == "pending"


async def test_ways_to_pay(bench: Bench) -> None:
    """An invoice can be paid in the ways that were asked for, or in all there are."""
    body = {"amount": "25.00", "currency": "EUR", "checkout": {"paymentMethods": ["BTC-LN"]}}
    made = (await (await bench.ask(INVOICES, TILL_KEY, "POST", body)).json())["id"]
    response = await bench.ask(f"{INVOICES}/{made}/payment-methods")
    [way] = await response.json()
    assert (way["paymentMethodId"], way["due"], way["amount"]) == (
        "BTC-LN",
        "0.00050000",
        "0.00050000",
    )
    assert way["paymentLink"].startswith("lightning:lnbcrt1")
    half = bench.sell("partly_pay", amount=Decimal(1), currency="BTC")
    ways = await (await bench.ask(f"{INVOICES}/{half.id}/payment-methods")).json()
    assert [way["paymentMethodId"] for way in ways] == ["BTC-CHAIN", "BTC-LN"]
    assert [(way["due"], way["totalPaid"]) for way in ways] == [("0.50000000", "0.50000000")] * 2
    assert ways[0]["paymentLink"].endswith("?amount=0.50000000")
    missing = await bench.ask(f"{INVOICES}/NothingIsHere123456789/payment-methods")
    assert missing.status == 404
