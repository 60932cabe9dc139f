"""What is posted back, and how."""

import ast
import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256, sha512
import hmac
from itertools import pairwise, repeat
import socket
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
import jwt
import orjson
import pytest

from sandbox import postback
from sandbox.app import create_app
from sandbox.core import SANDBOX
from sandbox.egates import flat, message, sign
from sandbox.json_web_token import encode
from sandbox.registry import PROVIDERS
from sandbox.states import SandboxError

from .conftest import Bench

pytestmark = pytest.mark.filterwarnings("ignore:The HMAC key is:Warning")

SECRET = "sandbox-postback-secret"
CRYPTOCLOUD = ("cryptocloud", "cryptocloud_v1")
FIELDS = ["status", "invoice_id", "amount_crypto", "currency", "order_id", "token"]

# The contract's own: secret "demo-secret-key-not-real", five minutes past 2026 began.
EXP = 1767225900
HS256 = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
ID_PAYLOAD = "eyJpZCI6IkFCMTJDRDM0IiwiZXhwIjoxNzY3MjI1OTAwfQ."
TOKENS = [
    (
        {"id": "AB12CD34", "exp": EXP},
        ("demo-secret-key-not-real", "HS256"),
        HS256 + ID_PAYLOAD + "7y2_qI-7e3qswbObTT_EXU2Qu57jV2G0v0CtvHXv-8Y",
    ),
    (
        {"uuid": "INV-AB12CD34", "exp": EXP},
        ("demo-secret-key-not-real", "HS256"),
        HS256
        + "eyJ1dWlkIjoiSU5WLUFCMTJDRDM0IiwiZXhwIjoxNzY3MjI1OTAwfQ."
        + "PKvriJuwFF0ZQD7dnuYurqVWFVnCOIgmbVCedwRrN5k",
    ),
    (
        {"id": "AB12CD34", "exp": EXP},
        ("other-secret", "HS256"),
        HS256 + ID_PAYLOAD + "gT1EgmaSt7dKtoo-X2lWi3-jOCA9kFLCa-3DJI0QIrc",
    ),
    (
        {"id": "AB12CD34", "exp": EXP},
        ("demo-secret-key-not-real", "none"),
        "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + ID_PAYLOAD,
    ),
]
MESSAGE = {
    "timestamp": 1700000000,
    "ticker": "USDT",
    "payment_method": "ETHER",
    "amount": "12.5",
    "order_number": "HA-0001",
}


class Receiver:
    """A merchant's server, and what it was sent."""

    def __init__(self) -> None:
        """Answer at once, and be content."""
        self.answers = [200]
        self.open = asyncio.Event()
        self.open.set()
        self.came: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.transports: set[object] = set()
        app = web.Application()
        app.add_routes([web.post("/hook", self._hook)])
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        """Where to post to."""
        return str(self.server.make_url("/hook"))

    async def _hook(self, request: web.Request) -> web.Response:
        self.transports.add(request.transport)
        self.came.put_nowait((request.content_type, await request.read()))
        await self.open.wait()
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=status, headers={"Location": "/hook"})

    async def next(self) -> dict[str, Any]:
        """Return what is sent next, read as it says it is written."""
        async with asyncio.timeout(5):
            content_type, body = await self.came.get()
        if content_type == "application/json":
            return dict(orjson.loads(body))
        assert content_type == "application/x-www-form-urlencoded"
        return dict(parse_qsl(body.decode(), strict_parsing=True, keep_blank_values=True))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Serve a merchant's server."""
    receiver = Receiver()
    async with receiver.server:
        yield receiver
        receiver.open.set()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize(("payload", "signing", "token"), TOKENS)
def test_token_vectors(payload: dict[str, Any], signing: tuple[str, str], token: str) -> None:
    """Tokens are those of the contract, letter by letter."""
    assert encode(payload, *signing) == token


@pytest.mark.parametrize(
    ("more", "is_sorted", "signature"),
    [
        ({}, True, "a9a92d33c9aed3c85f4dc67792d97b17dcdf54ae98c6b671159d6b31504b0c6d"),
        ({}, False, "4d26348e11cc2a370181607a6bc8f3f6272abc4d69f3fb45e044273b543024cd"),
        (
            {"callback_url": "https://ha.example/api/webhook/abc", "nothing": None},
            True,
            "f67b88f71d5d4c7264632d426d788aff1af2678d88168a24e4076e672023c637",
        ),
        (
            {"meta_data": {"item1": "5", "item2": "12"}},
            True,
            "2e2b9765a65c23bfcc3a2027b56611d017006b3cc2b220109ee34087e273e207",
        ),
    ],
)
def test_message_vectors(*, more: dict[str, Any], is_sorted: bool, signature: str) -> None:
    """Messages are flattened as those of the contract."""
    fields = flat(MESSAGE | more)
    text = message(sorted(fields) if is_sorted else fields)
    assert sign("eg-secret-demo", text) == signature


@pytest.mark.parametrize("provider", CRYPTOCLOUD)
@pytest.mark.parametrize("way", ["json", "form"])
async def test_cryptocloud(bench: Bench, receiver: Receiver, provider: str, way: str) -> None:
    """A payment is posted in the contract's fields, with a token that is valid for minutes."""
    bench.sandbox.postbacks.target(provider, receiver.url, format=way)
    invoice = bench.sandbox.store.create(provider, amount=Decimal(25), order_id="HA & co.")
    bench.sandbox.store.act(provider, invoice.id, "pay")
    fields = await receiver.next()
    info = fields.pop("invoice_info", None)
    assert list(fields) == FIELDS
    invoice_id = invoice.id.removeprefix("INV-")
    amount = "25.04" if way == "form" else 25.04
    assert fields == fields | {
        "status": "success",
        "invoice_id": invoice_id,
        "amount_crypto": amount,
        "currency": "USDT_TRC20",
        "order_id": "HA & co.",
    }
    payload = jwt.decode(fields["token"], SECRET, algorithms=["HS256"])
    assert payload.keys() == {"id", "exp"}
    assert payload["id"] == invoice_id
    assert 290 < payload["exp"] - datetime.now(UTC).timestamp() <= 300
    if provider == "cryptocloud_v1":
        assert info is None
        return
    if way == "form":
        assert info.startswith('b"{')
        info = ast.literal_eval(ast.literal_eval(info).decode())
    assert [info] == (await (await bench.v2(invoice.id)).json())["result"]


@pytest.mark.parametrize("provider", CRYPTOCLOUD)
@pytest.mark.parametrize(
    ("signature", "error"),
    [
        ("wrong_secret", jwt.InvalidSignatureError),
        ("expired", jwt.ExpiredSignatureError),
        ("none_algorithm", jwt.InvalidAlgorithmError),
        ("other_algorithm", jwt.InvalidAlgorithmError),
    ],
)
async def test_tokens_to_be_refused(
    bench: Bench, receiver: Receiver, provider: str, signature: str, error: type[Exception]
) -> None:
    """Each bad token is bad in one way only."""
    bench.sandbox.postbacks.target(provider, receiver.url, signature=signature)
    invoice = bench.sandbox.store.create(provider)
    bench.sandbox.store.act(provider, invoice.id, "pay")
    token = (await receiver.next())["token"]
    with pytest.raises(error):
        jwt.decode(token, SECRET, algorithms=["HS256"], leeway=60)
    payload = jwt.decode(token, options={"verify_signature": False})
    assert payload["id"] == invoice.id.removeprefix("INV-")
    if signature == "other_algorithm":
        assert payload == jwt.decode(token, SECRET, algorithms=["HS512"])


async def test_missing_signatures(bench: Bench, receiver: Receiver) -> None:
    """Without a signature everything else is there."""
    for provider, name in (("cryptocloud", "token"), ("egates", "signature")):
        bench.sandbox.postbacks.target(provider, receiver.url)
        invoice = bench.sandbox.store.create(provider)
        await bench.sandbox.postbacks.send(provider, invoice.id)
        await bench.sandbox.postbacks.send(provider, invoice.id, signature="missing")
        assert (await receiver.next()).keys() - (await receiver.next()).keys() == {name}


@pytest.mark.parametrize("way", ["body_flat", "body_flat_unsorted", "invoice_flat", "missing"])
async def test_egates(bench: Bench, receiver: Receiver, way: str) -> None:
    """A callback has the fields that a GET has, and is signed in the way that is chosen."""
    bench.sandbox.set("egates", "callback_signature", way)
    await bench.control("postbacks/egates", {"url": receiver.url})
    invoice = bench.sandbox.store.create("egates")
    bench.sandbox.store.act("egates", invoice.id, "pay")
    body = await receiver.next()
    asked = await (await bench.egates(invoice.id)).json()
    assert body["invoice"] == asked["response"]
    assert abs(int(body["createdAt"]) - datetime.now(UTC).timestamp()) < 5
    fields = {name: value for name, value in body["invoice"].items() if value is not None}
    pairs = [f"invoice[{name}]={value}" for name, value in fields.items()]
    pairs.append(f"createdAt={body['createdAt']}")
    texts = {
        "body_flat": "&".join(sorted(pairs)),
        "body_flat_unsorted": "&".join(pairs),
        "invoice_flat": "&".join(f"{name}={fields[name]}" for name in sorted(fields)),
    }
    assert body.get("signature") == (
        sign("sandbox-egates-secret", texts[way]) if way in texts else None
    )


async def test_egates_signatures_to_be_refused(bench: Bench, receiver: Receiver) -> None:
    """Each bad signature is bad in one way only."""
    bench.sandbox.postbacks.target("egates", receiver.url)
    invoice = bench.sandbox.store.create("egates")
    secret = b"sandbox-egates-secret"
    for signature, key, digest, age in (
        ("good", secret, sha256, 0),
        ("wrong_secret", b"not-" + secret, sha256, 0),
        ("other_algorithm", secret, sha512, 0),
        ("expired", secret, sha256, 3600),
    ):
        await bench.sandbox.postbacks.send("egates", invoice.id, signature=signature)
        body = await receiver.next()
        given = body.pop("signature")
        text = message(sorted(flat(body))).encode()
        assert given == hmac.new(key, text, digest).hexdigest()
        past = datetime.now(UTC).timestamp() - int(body["createdAt"])
        assert age <= past < age + 5
    await bench.sandbox.postbacks.send("egates", invoice.id, signature="none_algorithm")
    assert (await receiver.next())["signature"] == ""


async def test_cryptocloud_posts_success_only(bench: Bench, receiver: Receiver) -> None:
    """Neither a part payment nor a cancellation is posted, nor that an invoice was made."""
    bench.sandbox.postbacks.target("cryptocloud", receiver.url)
    invoice = bench.sandbox.store.create("cryptocloud")
    steps = ("choose_coin", "partly_pay", "overpay", "revert", "cancel", "pay", "delete")
    for action in steps:
        bench.sandbox.store.act("cryptocloud", invoice.id, action)
    await bench.sandbox.postbacks.settled()
    deliveries = bench.sandbox.postbacks.deliveries["cryptocloud"]
    assert [delivery.state for delivery in deliveries] == ["overpaid", "paid"]


async def test_egates_posts_every_change(bench: Bench, receiver: Receiver) -> None:
    """Each callback tells of the state it was sent for, however fast the next one came."""
    bench.sandbox.postbacks.target("egates", receiver.url)
    invoice = bench.sandbox.store.create("egates")
    for action in ("expire", "pay", "revert", "underpay", "delete"):
        bench.sandbox.store.act("egates", invoice.id, action)
    words = [(await receiver.next())["invoice"]["status"] for _ in range(4)]
    assert sorted(words) == ["CANCEL", "PENDING", "SUCCESS", "SUCCESS_SMALL_AMOUNT"]
    await bench.sandbox.postbacks.settled()
    assert receiver.came.empty()


async def test_which_changes_are_posted_can_be_chosen(bench: Bench, receiver: Receiver) -> None:
    """Nobody knows all that a provider posts."""
    bench.sandbox.postbacks.target("cryptocloud", receiver.url, on=["partially_paid"])
    invoice = bench.sandbox.store.create("cryptocloud")
    for action in ("partly_pay", "pay"):
        bench.sandbox.store.act("cryptocloud", invoice.id, action)
    await bench.sandbox.postbacks.settled()
    [delivery] = bench.sandbox.postbacks.deliveries["cryptocloud"]
    assert delivery.state == "partially_paid"


async def test_expiry_is_posted_though_nobody_looks(bench: Bench, receiver: Receiver) -> None:
    """Time passes while there is somebody to tell, and only then."""
    with patch.object(postback, "AGEING_INTERVAL", 0):
        bench.sandbox.postbacks.target("egates", receiver.url)
        invoice = bench.sandbox.store.create("egates", expires_in=timedelta(0))
        assert (await receiver.next())["invoice"]["invoice"] == invoice.id
    assert bench.sandbox.postbacks._ageing
    bench.sandbox.postbacks.target("egates", None)
    assert not bench.sandbox.postbacks._ageing


async def test_set_over_http(bench: Bench, receiver: Receiver) -> None:
    """A target is set, shown with what was delivered, and taken away again."""
    body = {"url": receiver.url, "format": "form", "signature": "expired", "on": ["paid"]}
    response = await bench.control("postbacks/cryptocloud", body)
    target = body | {"retries": 0, "retry_delay": 0}
    assert await response.json() == {"target": target, "deliveries": []}
    for _ in range(3):
        invoice = bench.sandbox.store.create("cryptocloud")
        paid = await bench.control(f"invoices/cryptocloud/{invoice.id}", {"action": "pay"})
        assert paid.status == 200
    await bench.sandbox.postbacks.settled()
    shown = await (await bench.client.get("/_sandbox/postbacks/cryptocloud?limit=2")).json()
    assert shown["target"] == target
    assert len(shown["deliveries"]) == 2
    last = shown["deliveries"][-1]
    assert (last["invoice_id"], last["state"], last["status"]) == (invoice.id, "paid", 200)
    assert last["error"] is None
    state = await (await bench.client.get("/_sandbox/state")).json()
    assert state["providers"][0]["postback"]["deliveries"][-1] == last
    secret = {"postback_secret": SECRET}
    assert [row["push_credentials"] for row in state["providers"]][:3] == [secret, secret, {}]
    await bench.control("postbacks/cryptocloud", {"url": None})
    shown = await (await bench.client.get("/_sandbox/postbacks/cryptocloud")).json()
    assert (shown["target"], len(shown["deliveries"])) == (None, 3)


@pytest.mark.parametrize(
    "url",
    [
        "http://192.168.1.5/hook",
        "http://example.com/",
        "http://127.0.0.1.example.com/",
        "http://127.0.0.1@example.com/",
        "http://0.0.0.0:8123/",
        "https://127.0.0.1/",
        "ftp://localhost/",
        "http:///hook",
        "http://127.0.0.1:http/",
        "localhost:8123",
        "",
    ],
)
async def test_loopback_only(bench: Bench, url: str) -> None:
    """Nothing is posted to another machine; a refused address leaves the one that is set."""
    target = bench.sandbox.postbacks.target("egates", "http://127.0.0.1:1/")
    response = await bench.control("postbacks/egates", {"url": url})
    assert response.status == 400
    assert "loopback" in (await response.json())["error"]
    assert bench.sandbox.postbacks.targets == {"egates": target}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "[::1]"])
async def test_all_of_loopback(bench: Bench, host: str) -> None:
    """This machine has many names."""
    response = await bench.control("postbacks/egates", {"url": f"http://{host}:8123/api"})
    assert (await response.json())["target"]["url"] == f"http://{host}:8123/api"


LOCAL = {"url": "http://127.0.0.1:1/"}


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("nobody", LOCAL, 404, "nobody"),
        ("egates", {}, 400, "url"),
        ("egates", {"url": 5}, 400, "url"),
        ("egates", LOCAL | {"format": "form"}, 400, "json"),
        ("egates", LOCAL | {"signature": "wax"}, 400, "wrong_secret"),
        ("egates", LOCAL | {"signature": ["good"]}, 400, "signature"),
        ("egates", LOCAL | {"on": ["payday"]}, 400, "underpaid"),
        ("egates", LOCAL | {"on": "paid"}, 400, "list"),
        ("egates", LOCAL | {"retries": -1}, 400, "retries"),
        ("egates", LOCAL | {"retry_delay": "1"}, 400, "retry_delay"),
        ("egates", LOCAL | {"retry_delay": 10**6}, 400, "retry_delay"),
        ("egates", LOCAL | {"method": "PUT"}, 400, "method"),
        ("nobody/send", {"invoice_id": "x"}, 404, "nobody"),
        ("egates/send", {"invoice_id": "x"}, 409, "nowhere"),
        ("cryptocloud/send", {"invoice_id": "x"}, 404, "x"),
        ("cryptocloud/send", {"invoice_id": 5}, 400, "invoice_id"),
        ("cryptocloud/send", {"invoice_id": "x", "order": []}, 400, "either"),
        ("cryptocloud/send", {}, 400, "either"),
        ("cryptocloud/send", {"order": "x"}, 400, "list"),
        ("cryptocloud/send", {"order": ["x", "y"], "times": 9000}, 400, "at most"),
        ("cryptocloud/send", {"order": [], "state": "odd"}, 400, "overpaid"),
        ("cryptocloud/send", {"order": [], "delay": -1}, 400, "delay"),
        ("cryptocloud/send", {"order": [], "at_once": 0}, 400, "at_once"),
        ("cryptocloud/send", {"order": [], "url": "x"}, 400, "url"),
    ],
)
async def test_errors(bench: Bench, path: str, body: object, status: int, word: str) -> None:
    """What makes no sense is answered with what is wrong."""
    bench.sandbox.postbacks.target("cryptocloud", "http://127.0.0.1:1/")
    response = await bench.control(f"postbacks/{path}", body)
    assert response.status == status
    assert word in (await response.json())["error"]


async def test_limit_is_a_number(bench: Bench) -> None:
    """As it is for invoices."""
    assert (await bench.client.get("/_sandbox/postbacks/egates?limit=all")).status == 400
    assert (await bench.client.get("/_sandbox/postbacks/nobody")).status == 404


async def test_on_demand(bench: Bench, receiver: Receiver) -> None:
    """An unpaid invoice is posted twice, late, in a way of its own, and the answers come back."""
    bench.sandbox.postbacks.target("cryptocloud", receiver.url)
    invoice = bench.sandbox.store.create("cryptocloud")
    body = {"invoice_id": invoice.id, "times": 2, "delay": 0.01, "signature": "wrong_secret"}
    report = await (await bench.control("report", {})).json()
    response = await bench.control("postbacks/cryptocloud/send", body | {"format": "form"})
    deliveries = await response.json()
    assert [delivery["status"] for delivery in deliveries] == [200, 200]
    assert report["monotonic"] + 0.01 <= deliveries[0]["sent_at"]
    for delivery in deliveries:
        assert (delivery["state"], delivery["format"]) == ("pending", "form")
        assert delivery["signature"] == "wrong_secret"
        fields = await receiver.next()
        assert fields["invoice_id"] == invoice.id.removeprefix("INV-")
    later = await (await bench.control("report", {})).json()
    moments = [d["sent_at"] + part for d in deliveries for part in (0, d["seconds"])]
    assert all(before <= after for before, after in pairwise([*moments, later["monotonic"]]))
    assert len(receiver.transports) == 1


async def test_reordered(bench: Bench, receiver: Receiver) -> None:
    """Invoices are posted in the order that is asked for, as often as is asked for."""
    bench.sandbox.postbacks.target("cryptocloud_v1", receiver.url)
    ids = [bench.sandbox.store.create("cryptocloud_v1").id for _ in range(3)]
    order = [ids[2], ids[0], ids[1].removeprefix("INV-")]
    response = await bench.control("postbacks/cryptocloud_v1/send", {"order": order, "times": 2})
    sent = [delivery["invoice_id"] for delivery in await response.json()]
    assert sent == [ids[2], ids[0], ids[1]] * 2
    came = [(await receiver.next())["invoice_id"] for _ in sent]
    assert came == [invoice_id.removeprefix("INV-") for invoice_id in sent]


async def test_another_state_than_its_own(bench: Bench, receiver: Receiver) -> None:
    """A callback may tell what was long ago, or what never was; the invoice stays as it is."""
    bench.sandbox.postbacks.target("egates", receiver.url)
    invoice = bench.sandbox.store.create("egates")
    await bench.control("postbacks/egates/send", {"invoice_id": invoice.id, "state": "paid"})
    assert (await receiver.next())["invoice"]["status"] == "SUCCESS"
    assert invoice.state == "pending"


async def test_at_once(bench: Bench, receiver: Receiver) -> None:
    """Many are sent side by side when that is asked for."""
    receiver.open.clear()
    bench.sandbox.postbacks.target("cryptocloud", receiver.url)
    invoice = bench.sandbox.store.create("cryptocloud")
    sending = asyncio.create_task(
        bench.sandbox.postbacks.send("cryptocloud", invoice, times=30, at_once=10)
    )
    for _ in range(10):
        await receiver.next()
    assert len(receiver.transports) == 10
    receiver.open.set()
    deliveries = await sending
    assert len(deliveries) == 30
    assert all(a.sent_at <= b.sent_at for a, b in pairwise(deliveries))


async def test_receiver_down(bench: Bench) -> None:
    """Nobody there is a delivery that failed, and nothing else goes wrong."""
    bench.sandbox.postbacks.target("egates", f"http://127.0.0.1:{free_port()}/hook")
    invoice = bench.sandbox.store.create("egates")
    response = await bench.control(f"invoices/egates/{invoice.id}", {"action": "pay"})
    assert response.status == 200
    await bench.sandbox.postbacks.settled()
    [delivery] = bench.sandbox.postbacks.deliveries["egates"]
    assert delivery.status is None
    assert "Cannot connect" in (delivery.error or "")
    response = await bench.control("postbacks/egates/send", {"invoice_id": invoice.id})
    assert [delivery["status"] for delivery in await response.json()] == [None]


async def test_slow_receiver_blocks_nothing(receiver: Receiver) -> None:
    """Neither the action nor the API waits for the receiver, who has only so much time."""
    receiver.open.clear()
    app = create_app(postback_timeout=0.2)
    async with TestClient(TestServer(app)) as client:
        bench = Bench(app[SANDBOX], client)
        bench.sandbox.postbacks.target("cryptocloud", receiver.url)
        invoice = bench.sandbox.store.create("cryptocloud")
        bench.sandbox.store.act("cryptocloud", invoice.id, "pay")
        await receiver.next()
        assert (await bench.v2(invoice.id)).status == 200
        assert not bench.sandbox.postbacks.deliveries["cryptocloud"]
        await bench.sandbox.postbacks.settled()
        [delivery] = bench.sandbox.postbacks.deliveries["cryptocloud"]
        assert (delivery.status, delivery.error) == (None, "no answer within 0.2 seconds")
        assert delivery.seconds >= 0.2


@pytest.mark.parametrize(
    ("answers", "statuses"),
    [
        ([200], [200]),
        ([500, 429, 200], [500, 429, 200]),
        ([503], [503] * 3),
        ([401], [401]),
        ([307], [307]),
    ],
)
async def test_retries(
    bench: Bench, receiver: Receiver, answers: list[int], statuses: list[int]
) -> None:
    """What may pass is tried again, if that was asked for; redirects are not followed."""
    receiver.answers = answers
    body = {"url": receiver.url, "retries": 2, "retry_delay": 0.001}
    await bench.control("postbacks/cryptocloud", body)
    invoice = bench.sandbox.store.create("cryptocloud")
    bench.sandbox.store.act("cryptocloud", invoice.id, "pay")
    await bench.sandbox.postbacks.settled()
    deliveries = bench.sandbox.postbacks.deliveries["cryptocloud"]
    assert [delivery.status for delivery in deliveries] == statuses
    assert [delivery.attempt for delivery in deliveries] == list(range(1, len(statuses) + 1))


async def test_no_retries_unless_asked_for(bench: Bench, receiver: Receiver) -> None:
    """One failure is all there is."""
    receiver.answers = [500]
    bench.sandbox.postbacks.target("cryptocloud", receiver.url)
    invoice = bench.sandbox.store.create("cryptocloud")
    deliveries = await bench.sandbox.postbacks.send("cryptocloud", invoice.id)
    assert [delivery.status for delivery in deliveries] == [500]


async def test_everything_ends_with_the_server(receiver: Receiver) -> None:
    """Neither a slow receiver nor a long delay holds up the end; nothing is posted after it."""
    receiver.open.clear()
    app = create_app()
    bench = Bench(app[SANDBOX], TestClient(TestServer(app)))
    async with asyncio.timeout(5), bench.client:
        bench.sandbox.postbacks.target("cryptocloud", receiver.url)
        invoice = bench.sandbox.store.create("cryptocloud")
        late = {"invoice_id": invoice.id, "delay": 3600}
        sending = asyncio.create_task(bench.control("postbacks/cryptocloud/send", late))
        bench.sandbox.store.act("cryptocloud", invoice.id, "pay")
        await receiver.next()
        for _ in repeat(None):
            await asyncio.sleep(0)
            if len(bench.sandbox.postbacks._under_way) == 2:
                break
        await bench.client.server.close()
        assert await (await sending).json() == []
    assert not bench.sandbox.postbacks._under_way
    with pytest.raises(SandboxError, match="nowhere"):
        await bench.sandbox.postbacks.send("cryptocloud", invoice.id)
    assert receiver.came.empty()


async def test_set_before_the_server_runs(receiver: Receiver) -> None:
    """A target can be there from the start; what changes before the start is not posted."""
    app = create_app()
    sandbox = app[SANDBOX]
    for provider in PROVIDERS:
        sandbox.postbacks.target(provider, receiver.url)
        invoice = sandbox.store.create(provider)
        sandbox.store.act(provider, invoice.id, "pay")
    async with TestClient(TestServer(app)):
        invoice = sandbox.store.create("egates")
        sandbox.store.act("egates", invoice.id, "pay")
        assert (await receiver.next())["invoice"]["invoice"] == invoice.id
        assert sandbox.postbacks._ageing
    assert receiver.came.empty()
