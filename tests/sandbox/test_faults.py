"""Every fault's effect on the wire."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from unittest.mock import patch

from aiohttp import ClientConnectionError, ClientError, ClientPayloadError, web
from aiohttp.test_utils import BaseTestServer, TestClient, TestServer
import orjson
import pytest

from sandbox.app import create_app
from sandbox.core import SANDBOX
from sandbox.faults import Fault
from sandbox.registry import PROVIDERS
from sandbox.states import SandboxError

from .conftest import Bench


class Seen(NamedTuple):
    """What a client got."""

    status: int
    content_type: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return orjson.loads(self.body)


async def ask(bench: Bench, provider: str, fault: str | None) -> Seen:
    """Ask for one paid invoice while a fault is on."""
    invoice = bench.sandbox.store.create(provider)
    bench.sandbox.store.act(provider, invoice.id, "pay")
    bench.sandbox.faults.switch(provider, fault)
    response = await bench.asking(provider)(invoice.id)
    return Seen(
        response.status, response.content_type, dict(response.headers), await response.read()
    )


def is_cut(seen: Seen) -> bool:
    """Say whether the body is the beginning of JSON."""
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(seen.body)
    return seen.body.startswith(b"{")


def is_soon(seen: Seen) -> bool:
    """Say whether it may be asked again in a few seconds."""
    date = parsedate_to_datetime(seen.headers["Retry-After"])
    return 4 <= (date - datetime.now(UTC)).total_seconds() <= 8


EFFECTS: dict[Fault, tuple[int, str, Callable[[Seen], bool]]] = {
    Fault.UNAUTHORIZED: (401, "application/json", lambda seen: bool(seen.json)),
    Fault.FORBIDDEN: (403, "application/json", lambda seen: bool(seen.json)),
    Fault.RATE_LIMITED: (429, "application/json", lambda seen: "Retry-After" not in seen.headers),
    Fault.RATE_LIMITED_SECONDS: (
        429,
        "application/json",
        lambda seen: seen.headers["Retry-After"] == "7",
    ),
    Fault.RATE_LIMITED_DATE: (429, "application/json", is_soon),
    Fault.SERVER_ERROR: (500, "application/json", lambda seen: bool(seen.json)),
    Fault.BAD_GATEWAY: (502, "text/html", lambda seen: b"<h1>" in seen.body),
    Fault.TIMEOUT: (200, "application/json", lambda seen: bool(seen.json)),
    Fault.LATE_ANSWER: (200, "application/json", lambda seen: bool(seen.json)),
    Fault.TRUNCATED: (200, "application/json", is_cut),
    Fault.EXTRA_FIELDS: (200, "application/json", lambda seen: "sandbox_extra" in seen.json),
    Fault.HTML: (200, "text/html", lambda seen: b"<h1>" in seen.body),
    Fault.EMPTY: (200, "application/json", lambda seen: seen.body == b""),
    Fault.OVERSIZED: (200, "application/json", lambda seen: len(seen.body) > 8 * 2**20),
}


@pytest.mark.parametrize("fault", EFFECTS)
async def test_effect(bench: Bench, fault: Fault) -> None:
    """Each fault is what it is called; what the providers make of it is tested with them."""
    status, content_type, check = EFFECTS[fault]
    seen = await ask(bench, "cryptocloud_v1", fault)
    assert (seen.status, seen.content_type) == (status, content_type)
    assert check(seen)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_rows_with_faults(bench: Bench, provider: str) -> None:
    """Words, types and fields are spoiled in the invoices themselves; ids stay."""
    row = PROVIDERS[provider]
    right = row.rows((await ask(bench, provider, None)).json)[0]
    [frozen] = row.rows((await ask(bench, provider, Fault.UNKNOWN_STATUS)).json)
    assert frozen[row.row_status].lower() == "frozen"
    assert frozen[row.row_status].isupper() == right[row.row_status].isupper()
    [wrong] = row.rows((await ask(bench, provider, Fault.WRONG_TYPES)).json)
    assert wrong[row.row_status] == 7
    for key in right.keys() - {row.row_id}:
        assert type(wrong[key]) is not type(right[key])
    assert isinstance(wrong.get(row.row_id, ""), str)
    [extra] = row.rows((await ask(bench, provider, Fault.EXTRA_FIELDS)).json)
    assert extra.keys() - right.keys() == {"sandbox_extra"}


async def test_missing_rows(bench: Bench) -> None:
    """A batch comes back without rows, a single invoice as a 404."""
    seen = await ask(bench, "cryptocloud", Fault.MISSING_ROWS)
    assert (seen.status, seen.json) == (200, {"status": "success", "result": []})
    for provider in ("cryptocloud_v1", "egates", "btcpay"):
        assert (await ask(bench, provider, Fault.MISSING_ROWS)).status == 404


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_redirect(bench: Bench, provider: str) -> None:
    """Who follows the redirect is found out."""
    await ask(bench, provider, Fault.REDIRECT)
    assert bench.sandbox.requests[provider, "elsewhere"] == 1


async def test_faults_come_after_the_key(bench: Bench) -> None:
    """A fault in rows leaves a refusal as it is."""
    bench.sandbox.faults.switch("cryptocloud", Fault.UNKNOWN_STATUS)
    assert (await bench.v2("INV-00000000", key="wrong")).status == 400


async def test_every_fault_is_tested() -> None:
    """A fault without a test here would be one that may do nothing."""
    elsewhere = {Fault.WRONG_TYPES, Fault.MISSING_ROWS, Fault.UNKNOWN_STATUS, Fault.REDIRECT}
    assert set(EFFECTS) | elsewhere | {Fault.SLOW_BODY, Fault.CUT_CONNECTION} == set(Fault)


async def test_a_count_ends_by_itself(bench: Bench) -> None:
    """Two requests fail, the third doesn't; other providers never did."""
    uuid = bench.sandbox.store.create("cryptocloud").id
    bench.sandbox.faults.switch("cryptocloud", Fault.SERVER_ERROR, count=2)
    assert [(await bench.v2(uuid)).status for _ in range(3)] == [500, 500, 200]
    bench.sandbox.faults.switch("cryptocloud", Fault.SERVER_ERROR)
    assert [(await bench.v2(uuid)).status for _ in range(3)] == [500] * 3
    assert (await bench.egates("unknown")).status == 404
    bench.sandbox.faults.switch("cryptocloud", None)
    assert (await bench.v2(uuid)).status == 200


def test_switching_what_is_not_there(bench: Bench) -> None:
    """Neither provider, fault nor count can be made up."""
    faults = bench.sandbox.faults
    for provider, fault, count in (
        ("x", "html", None),
        ("egates", "x", None),
        ("egates", "html", 0),
    ):
        with pytest.raises(SandboxError):
            faults.switch(provider, fault, count=count)


class PlainServer(TestServer):
    """A server that, as outside of tests, doesn't cancel a handler whose client has left."""

    async def _make_runner(self, **kwargs: Any) -> web.AppRunner:
        return web.AppRunner(self.app, **kwargs | {"handler_cancellation": False})


class Waiting(NamedTuple):
    """A request under a slow fault, and what came of the server's wait."""

    request: asyncio.Task[bytes]
    outcome: asyncio.Future[bool]


@asynccontextmanager
async def waiting(fault: Fault) -> AsyncIterator[tuple[BaseTestServer, Waiting]]:
    """Send a request, and go on once the server waits before its answer."""
    app = create_app(slow_seconds=3600)
    faults, began = app[SANDBOX].faults, asyncio.Event()
    faults.switch("cryptocloud_v1", fault)
    outcome: asyncio.Future[bool] = asyncio.Future()
    wait = faults.wait

    async def watched(request: web.Request, seconds: float) -> bool:
        began.set()
        outcome.set_result(await wait(request, seconds))
        return outcome.result()

    with patch.object(faults, "wait", watched):
        async with asyncio.timeout(5), TestClient(PlainServer(app)) as client:
            bench = Bench(app[SANDBOX], client)

            async def read() -> bytes:
                return await (await bench.v1("INV-00000000")).read()

            request = asyncio.create_task(read())
            await began.wait()
            yield client.server, Waiting(request, outcome)


@pytest.mark.parametrize("fault", [Fault.TIMEOUT, Fault.LATE_ANSWER, Fault.SLOW_BODY])
async def test_slow_faults_end_with_the_server(fault: Fault) -> None:
    """Nothing slow holds up the end of the server, whoever still waits."""
    async with waiting(fault) as (server, slow):
        await server.close()
        assert await slow.outcome is False
        with suppress(ClientError):
            await slow.request


@pytest.mark.parametrize("fault", [Fault.TIMEOUT, Fault.LATE_ANSWER, Fault.SLOW_BODY])
async def test_slow_faults_end_with_the_client(fault: Fault) -> None:
    """Nothing slow goes on when nobody waits for it."""
    async with waiting(fault) as (_, slow):
        slow.request.cancel()
        assert await slow.outcome is False


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_cut_connection(bench: Bench, provider: str) -> None:
    """Who asks hears nothing at all."""
    with pytest.raises(ClientConnectionError):
        await ask(bench, provider, Fault.CUT_CONNECTION)


@pytest.mark.parametrize("fault", [Fault.LATE_ANSWER, Fault.CUT_CONNECTION])
async def test_done_all_the_same(bench: Bench, fault: Fault) -> None:
    """What is asked for is done before the answer is lost."""
    bench.sandbox.faults.switch("cryptocloud", fault)
    with suppress(ClientConnectionError):
        await bench.client.post(
            "/v2/invoice/create",
            json={"shop_id": "sandbox-shop", "amount": 5},
            headers={"Authorization": "Token sandbox-cryptocloud-key"},
        )
    assert len(bench.sandbox.store.all("cryptocloud")) == 1


async def test_slow_body_is_cut_off(bench: Bench) -> None:
    """What drips too long never becomes whole."""
    bench.sandbox.store.create("egates", invoice_id="11111111-2222-4333-8444-555555555555")
    bench.sandbox.faults.switch("egates", Fault.SLOW_BODY)
    response = await bench.egates("11111111-2222-4333-8444-555555555555")
    assert response.status == 200
    with pytest.raises(ClientPayloadError):
        await response.read()
