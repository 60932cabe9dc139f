"""Pushes: a genuine one is read at once, and a forged one changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
import gzip
import logging
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock

from aiohttp import StreamReader
from aiohttp.test_utils import TestClient
from homeassistant.components.webhook import async_handle_webhook
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.util.aiohttp import MockRequest
from hypothesis import given, settings
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.notifications import body as body_module, cloudhook, webhook
from custom_components.crypto_invoices.notifications.address import webhook_address
from custom_components.crypto_invoices.providers.cryptocloud import project as cryptocloud_project
from custom_components.crypto_invoices.reading.hints import HINT_INTERVAL
from sandbox import effects
from sandbox.effects import Call
from sandbox.faults import Fault
from tests.conftest import (
    CLOCK,
    EACH,
    AddAccount,
    Clock,
    Runs,
    SandboxServer,
    account_state,
    async_delete_device,
    async_later,
    async_settle,
    async_setup_views,
    async_until,
    make_due,
    pass_time,
    state_of,
    watched,
)
from tests.providers.test_push import GENUINE, SECRET, any_headers, bodies, many

# A webhook at BTCPay Server is made automatically: see tests/test_self_hosted.py.
PUSHING = [key for key in EACH if key != "btcpay"]
PROVIDER = "cryptocloud"
each_provider = pytest.mark.parametrize("provider", PUSHING)


type Post = Callable[..., Awaitable[int]]


@pytest.fixture
async def client(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator
) -> TestClient[Any, Any]:
    """Return a client of Home Assistant's web server."""
    await async_setup_views(hass)
    await hass.config.async_update(external_url="https://ha.example")
    return await hass_client_no_auth()


@pytest.fixture
async def pushing(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    client: TestClient[Any, Any],
    add_account: AddAccount,
) -> Callable[..., Awaitable[ConfigEntry]]:
    """Return a way to set up an account to which the sandbox posts."""

    async def add(provider: str, *ids: str, **target: Any) -> ConfigEntry:
        sandbox.with_postback_secret = True
        entry = await add_account(provider, *ids)
        url = client.make_url(f"/api/webhook/{entry.data['webhook_id']}")
        sandbox.sandbox.postbacks.target(provider, str(url), **target)
        # Nothing was just read.
        CLOCK.passed += HINT_INTERVAL
        return entry

    return add


@pytest.fixture
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass only when a test says so."""
    began = CLOCK()
    monkeypatch.setattr(Clock, "__call__", lambda *_: began + CLOCK.passed)


class Held:
    """An answer of a provider's that is on its way for as long as a test wants."""

    def __init__(self, *, is_stale: bool) -> None:
        """Take whether it is written at once, or only when it is released."""
        self._is_stale = is_stale
        self.asked = asyncio.Event()
        self.released = asyncio.Event()

    async def effect(self, call: Call) -> Any:
        """Answer late."""
        written = await call.handler(call.request) if self._is_stale else None
        self.asked.set()
        async with asyncio.timeout(10):
            await self.released.wait()
        return written or await call.handler(call.request)


type Hold = Callable[..., Held]


@pytest.fixture
def hold(sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> Hold:
    """Return a way to hold the next answer of a provider."""

    def hold(provider: str, *, is_stale: bool) -> Held:
        held = Held(is_stale=is_stale)
        changed: Any = effects.EFFECTS
        monkeypatch.setitem(changed, Fault.TIMEOUT, held.effect)
        sandbox.switch(provider, Fault.TIMEOUT, count=1)
        return held

    return hold


def told(entry: ConfigEntry) -> dict[str, Any]:
    """Return what is known of an account's pushes."""
    manager = entry.runtime_data.webhook
    assert manager
    found: dict[str, Any] = manager.diagnostics()
    return found


async def settled(hass: HomeAssistant, sandbox: SandboxServer) -> list[int | None]:
    """Wait until everything that was posted is answered and read; return the answers."""
    await sandbox.sandbox.postbacks.settled()
    await async_settle(hass)
    return [
        delivery.status
        for provider in PUSHING
        for delivery in sandbox.sandbox.postbacks.deliveries[provider]
    ]


@pytest.mark.parametrize(
    ("provider", "format_"),
    [
        ("cryptocloud", "json"),
        ("cryptocloud", "form"),
        ("cryptocloud_v1", "json"),
        ("cryptocloud_v1", "form"),
        ("egates", "json"),
    ],
)
async def test_push_is_read_at_once(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    pushing: Any,
    runs: Runs,
    provider: str,
    format_: str,
) -> None:
    """A payment is announced when it is pushed, long before the next poll, and once."""
    invoice = sandbox.store.create(provider)
    entry = await pushing(provider, invoice.id, format=format_)
    sandbox.store.act(provider, invoice.id, "pay")
    assert await settled(hass, sandbox) == [200]
    assert state_of(hass, entry, invoice.id, "status").state == "paid"
    assert [run["invoice"] for run in runs] == [invoice.id]
    await async_later(hass)
    assert len(runs) == 1
    assert told(entry)["accepted"] == 1


async def test_bare_token(
    hass: HomeAssistant, sandbox: SandboxServer, pushing: Any, runs: Runs
) -> None:
    """A postback that has nothing but its token is read and announced as any other."""
    invoice = sandbox.store.create("cryptocloud")
    sandbox.sandbox.set("cryptocloud", "postback", "token")
    await pushing("cryptocloud", invoice.id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    assert await settled(hass, sandbox) == [200]
    assert [run["invoice"] for run in runs] == [invoice.id]


@each_provider
async def test_repeated_late_reordered(
    hass: HomeAssistant, sandbox: SandboxServer, pushing: Any, runs: Runs, provider: str
) -> None:
    """Duplicates and a wrong order announce once and are read once."""
    ids = [sandbox.store.create(provider).id for _ in range(3)]
    await pushing(provider, *ids)
    for id_ in ids:
        sandbox.store.act(provider, id_, "pay")
    await settled(hass, sandbox)
    before = sandbox.requests(provider)
    await sandbox.sandbox.postbacks.send(provider, *reversed(ids), times=5, at_once=5)
    await async_settle(hass)
    assert sandbox.requests(provider) <= before + len(ids)
    assert sorted(run["invoice"] for run in runs) == sorted(ids)


@pytest.mark.parametrize("provider", ["cryptocloud", "cryptocloud_v1"])
@pytest.mark.parametrize(
    "signature", ["wrong_secret", "expired", "none_algorithm", "other_algorithm", "missing"]
)
async def test_forged(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    pushing: Any,
    runs: Runs,
    provider: str,
    signature: str,
) -> None:
    """What the secret didn't sign is refused, and the provider isn't even asked."""
    invoice = sandbox.store.create(provider)
    entry = await pushing(provider, invoice.id, signature=signature)
    before = sandbox.requests(provider)
    sandbox.store.act(provider, invoice.id, "pay")
    assert await settled(hass, sandbox) == [401]
    assert sandbox.requests(provider) == before
    assert state_of(hass, entry, invoice.id, "status").state == "pending"
    assert runs == []
    assert told(entry)["rejected"] == {"signature": 1}


@pytest.mark.usefixtures("standing_clock")
async def test_unsigned_callback(sandbox: SandboxServer, pushing: Any, runs: Runs) -> None:
    """A callback whose signature says nothing is a hint: the gateway's own word counts."""
    invoice = sandbox.store.create("egates")
    entry = await pushing("egates", invoice.id, signature="wrong_secret")
    before = sandbox.requests("egates")
    await sandbox.sandbox.postbacks.send("egates", invoice.id, state="paid", times=20)
    await async_until(lambda: told(entry)["accepted"] == 20)
    assert sandbox.requests("egates") == before + 1
    assert runs == []


@each_provider
@pytest.mark.usefixtures("standing_clock")
async def test_flood(sandbox: SandboxServer, pushing: Any, runs: Runs, provider: str) -> None:
    """However many genuine pushes come, an invoice is read every two seconds at most."""
    ids = [sandbox.store.create(provider).id for _ in range(2)]
    entry = await pushing(provider, *ids)
    before = sandbox.requests(provider)
    for rounds in (1, 1, 2, 2, 3, 3):
        await sandbox.sandbox.postbacks.send(provider, *ids, state="paid", times=15, at_once=10)
        # Some read both together.
        least = before + rounds * len(ids) // 2
        await async_until(partial(lambda least: sandbox.requests(provider) >= least, least))
        assert sandbox.requests(provider) <= before + rounds * len(ids)
        CLOCK.passed += HINT_INTERVAL / 2
    assert told(entry)["accepted"] == 6 * 15 * len(ids)
    assert runs == []


@each_provider
@pytest.mark.usefixtures("standing_clock")
async def test_removed_before_the_reading(
    hass: HomeAssistant, sandbox: SandboxServer, pushing: Any, provider: str
) -> None:
    """An invoice that is removed after its push is not read any more."""
    stays, goes = (sandbox.store.create(provider).id for _ in range(2))
    entry = await pushing(provider, stays, goes)
    before = sandbox.requests(provider)
    # The second has to wait.
    await sandbox.sandbox.postbacks.send(provider, goes, times=2)
    await async_until(lambda: sandbox.requests(provider) == before + 1)
    await async_delete_device(hass, entry, goes)
    CLOCK.passed += HINT_INTERVAL
    await sandbox.sandbox.postbacks.send(provider, goes)
    await sandbox.sandbox.postbacks.send(provider, stays)
    await async_settle(hass)
    assert sandbox.requests(provider) == before + 2
    assert watched(entry) == [stays]


@each_provider
async def test_removed_during_the_reading(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    pushing: Any,
    runs: Runs,
    hold: Hold,
    provider: str,
) -> None:
    """An answer to a push about an invoice that was removed meanwhile is left aside."""
    stays, goes = (sandbox.store.create(provider).id for _ in range(2))
    entry = await pushing(provider, stays, goes)
    held = hold(provider, is_stale=True)
    sandbox.store.act(provider, goes, "pay")
    async with asyncio.timeout(5):
        await held.asked.wait()
    await async_delete_device(hass, entry, goes)
    held.released.set()
    await settled(hass, sandbox)
    assert runs == []
    assert watched(entry) == [stays]
    assert account_state(hass, entry, "open_invoices").state == "1"


@pytest.mark.parametrize("is_stale", [True, False])
@pytest.mark.parametrize("overtaken", ["poll", "push"])
async def test_one_reading_overtakes_another(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    pushing: Any,
    runs: Runs,
    hold: Hold,
    *,
    overtaken: str,
    is_stale: bool,
) -> None:
    """A reading that began before another and ends after it takes nothing back, nor repeats it."""
    invoice = sandbox.store.create(PROVIDER)
    entry = await pushing(PROVIDER, invoice.id)
    held = hold(PROVIDER, is_stale=is_stale)
    if overtaken == "poll":
        pass_time(hass)
    else:
        await sandbox.sandbox.postbacks.send(PROVIDER, invoice.id)
    async with asyncio.timeout(5):
        await held.asked.wait()
    if overtaken == "poll":
        CLOCK.passed += HINT_INTERVAL
        sandbox.store.act(PROVIDER, invoice.id, "pay")
        await sandbox.sandbox.postbacks.settled()
        await async_until(lambda: bool(runs))
    else:
        sandbox.sandbox.postbacks.target(PROVIDER, None)
        sandbox.store.act(PROVIDER, invoice.id, "pay")
        make_due(entry)
        await entry.runtime_data.coordinator.async_refresh()
    assert state_of(hass, entry, invoice.id, "status").state == "paid"
    held.released.set()
    await settled(hass, sandbox)
    assert state_of(hass, entry, invoice.id, "status").state == "paid"
    await async_later(hass)
    assert state_of(hass, entry, invoice.id, "status").state == "paid"
    assert len(runs) == 1


@each_provider
async def test_anything_posted(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    client: TestClient[Any, Any],
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    provider: str,
) -> None:
    """Whatever is posted is answered, and nothing is read that isn't tracked."""
    # What the tokens claim was long ago.
    monkeypatch.setattr(cryptocloud_project, "_LEEWAY", 10**9)
    known = sandbox.sandbox.providers[provider].push_credentials
    secrets = dict.fromkeys(known, SECRET)
    entry = await add_account(provider, sandbox.store.create(provider).id, **secrets)
    before = sandbox.requests(provider)
    posted: list[tuple[Mapping[str, str], bytes]] = [({}, GENUINE[provider])]

    @settings(many, max_examples=40)
    @given(any_headers, bodies(provider))
    def gather(headers: Mapping[str, str], body: bytes) -> None:
        posted.append((headers, body))

    gather()
    answers = set()
    for headers, body in posted:
        request = MockRequest(body, "cloud", "POST", headers=dict(headers))
        answer = await async_handle_webhook(hass, entry.data["webhook_id"], request)
        answers.add(answer.status)
    assert answers >= {200, 400}
    assert answers <= {200, 400, 401}
    pushes = told(entry)
    assert pushes["accepted"] + sum(pushes["rejected"].values()) == len(posted)
    await async_settle(hass)
    assert sandbox.requests(provider) == before
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(_warnings(caplog)) == 1


async def test_untracked(hass: HomeAssistant, sandbox: SandboxServer, pushing: Any) -> None:
    """An invoice that nobody watches is answered and not asked about."""
    watched, other = (sandbox.store.create("cryptocloud") for _ in range(2))
    await pushing("cryptocloud", watched.id)
    before = sandbox.requests("cryptocloud")
    sandbox.store.act("cryptocloud", other.id, "pay")
    assert await settled(hass, sandbox) == [200]
    assert sandbox.requests("cryptocloud") == before


async def test_one_reading_for_many(
    hass: HomeAssistant, sandbox: SandboxServer, pushing: Any, runs: Runs
) -> None:
    """Pushes that come together are read together."""
    ids = [sandbox.store.create("cryptocloud").id for _ in range(50)]
    await pushing("cryptocloud", *ids)
    before = sandbox.requests("cryptocloud")
    for id_ in ids:
        sandbox.store.act("cryptocloud", id_, "pay")
    await settled(hass, sandbox)
    assert len(runs) == 50
    assert sandbox.requests("cryptocloud") - before <= 10


async def test_push_during_a_wait(
    hass: HomeAssistant, sandbox: SandboxServer, pushing: Any, runs: Runs
) -> None:
    """A hint doesn't break the wait that the provider asked for, and is not forgotten."""
    invoice = sandbox.store.create("cryptocloud")
    await pushing("cryptocloud", invoice.id)
    sandbox.switch("cryptocloud", "rate_limited_seconds")
    await async_later(hass)
    before = sandbox.requests("cryptocloud")
    sandbox.switch("cryptocloud", None)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    assert await settled(hass, sandbox) == [200]
    assert sandbox.requests("cryptocloud") == before
    assert runs == []
    await async_later(hass, 10)
    assert len(runs) == 1


async def test_bad_requests(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    pushing: Any,
    client: TestClient[Any, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nonsense is refused with the right word, and logged in one line."""
    entry = await pushing("cryptocloud", sandbox.store.create("cryptocloud").id)
    path = f"/api/webhook/{entry.data['webhook_id']}"
    before = sandbox.requests("cryptocloud")
    deep = b"[" * 5000 + b"]" * 5000
    for method, body, content_type, status in (
        ("POST", b"x" * 10_000_000, "application/json", 413),
        ("POST", deep, "application/json", 400),
        ("POST", b"\xff\xfe", "application/json", 400),
        ("POST", b"", "text/html", 400),
        ("POST", b"{}", "application/json", 401),
        ("POST", b"a=b", "application/x-www-form-urlencoded", 401),
        ("GET", None, "text/plain", 405),
        ("PUT", b"{}", "application/json", 405),
        ("HEAD", None, "text/plain", 200),
    ):
        response = await client.request(
            method, path, data=body, headers={"Content-Type": content_type}
        )
        assert response.status == status, (method, body and body[:20], status)
    await async_settle(hass)
    assert sandbox.requests("cryptocloud") == before
    assert len(_warnings(caplog)) == 1
    pass_time(hass, webhook.LOG_INTERVAL + 1)
    await async_settle(hass)
    [_, summary] = _warnings(caplog)
    assert summary.getMessage() == (
        "CryptoCloud: rejected 5 more pushes: {'malformed': 3, 'signature': 2}"
    )
    assert summary.threadName == "MainThread"
    response = await client.post(path, data=b"")
    assert response.status == 400
    assert len(_warnings(caplog)) == 3
    assert not _with_address(entry, caplog)


async def test_compressed(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    pushing: Any,
    client: TestClient[Any, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A body may be compressed, but what it is then counts."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await pushing("cryptocloud", invoice.id)
    path = f"/api/webhook/{entry.data['webhook_id']}"
    genuine = gzip.compress((await _written(sandbox, invoice.id)).encode())
    for encoding, body, status in (
        ("gzip", genuine, 200),
        ("gzip", b"not compressed", 400),
        ("deflate", genuine, 400),
        ("gzip", gzip.compress(bytes(10_000_000)), 413),
    ):
        headers = {"Content-Encoding": encoding, "Connection": "close"}
        response = await client.post(path, data=body, headers=headers)
        assert response.status == status, (encoding, body[:20], status)
    assert "Error processing webhook" not in caplog.text
    assert told(entry)["accepted"] == 1


def _warnings(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what the integration found worth a warning."""
    return [
        record
        for record in caplog.records
        if record.name.startswith("custom_components") and record.levelno >= logging.WARNING
    ]


async def test_slow_body(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    pushing: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A body that never ends is given up."""
    entry = await pushing("cryptocloud", sandbox.store.create("cryptocloud").id)
    monkeypatch.setattr(body_module, "BODY_TIMEOUT", 0.01)
    request: Any = SimpleNamespace(
        content=StreamReader(Mock(), 2**16), method="POST", headers={}, remote="127.0.0.1"
    )
    answer = await async_handle_webhook(hass, entry.data["webhook_id"], request)
    assert answer.status == 408


async def test_a_mistake_of_ours(
    sandbox: SandboxServer,
    pushing: Any,
    client: TestClient[Any, Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A push that can't be handled is logged by us, as Home Assistant would log the address."""
    entry = await pushing("cryptocloud", sandbox.store.create("cryptocloud").id)
    provider = entry.runtime_data.provider
    monkeypatch.setattr(provider, "parse_push", Mock(side_effect=LookupError("made up")))
    response = await client.post(f"/api/webhook/{entry.data['webhook_id']}", data=b"{}")
    assert response.status == 500
    assert "CryptoCloud: a push could not be handled" in caplog.text
    assert not _with_address(entry, caplog)


def _with_address(entry: ConfigEntry, caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what was logged with the address, which is a secret: whoever knows it can post."""
    return [
        record
        for record in caplog.records
        if record.levelno >= logging.INFO
        and record.name != "aiohttp.access"
        and entry.data["webhook_id"] in record.getMessage()
    ]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Return Home Assistant Cloud, to which somebody is logged in."""
    found = Mock(
        async_is_logged_in=Mock(return_value=True),
        async_active_subscription=Mock(return_value=True),
        async_is_connected=Mock(return_value=True),
        async_get_or_create_cloudhook=AsyncMock(return_value="https://hooks.example/1"),
        async_delete_cloudhook=AsyncMock(),
    )
    monkeypatch.setattr(cloudhook, "_loaded_cloud", lambda _: found)
    return found


async def test_cloud(
    hass: HomeAssistant, sandbox: SandboxServer, pushing: Any, runs: Runs, cloud: Mock
) -> None:
    """With Home Assistant Cloud a cloudhook is made, kept, used, and deleted with the account."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await pushing("cryptocloud", invoice.id)
    assert entry.data["cloudhook_url"] == "https://hooks.example/1"
    assert webhook_address(hass, entry.data) == "https://hooks.example/1"

    sandbox.sandbox.postbacks.target("cryptocloud", None)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    body = (await _written(sandbox, invoice.id)).encode()
    request = MockRequest(body, "cloud", "POST", headers={"Content-Type": "application/json"})
    answer = await async_handle_webhook(hass, entry.data["webhook_id"], request)
    assert answer.status == 200
    await async_settle(hass)
    assert len(runs) == 1
    too_large = MockRequest(bytes(10_000_000), "cloud", "POST")
    answer = await async_handle_webhook(hass, entry.data["webhook_id"], too_large)
    assert answer.status == 413

    # An outage of the cloud's changes nothing, another account there does, and so does none.
    [listener] = [call.args[1] for call in cloud.async_listen_connection_change.mock_calls]
    cloud.async_is_connected.return_value = False
    listener("disconnected")
    await async_settle(hass)
    assert entry.data["cloudhook_url"] == "https://hooks.example/1"
    cloud.async_is_connected.return_value = True
    cloud.async_get_or_create_cloudhook.return_value = "https://hooks.example/2"
    listener("connected")
    await async_settle(hass)
    assert entry.data["cloudhook_url"] == "https://hooks.example/2"
    await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    assert entry.data["cloudhook_url"] == "https://hooks.example/2"
    await hass.config_entries.async_remove(entry.entry_id)
    cloud.async_delete_cloudhook.assert_awaited_once()


@pytest.mark.parametrize("error", [TimeoutError(), ValueError("cloud"), RuntimeError()])
async def test_cloud_that_fails(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    pushing: Any,
    cloud: Mock,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    """Whatever the cloud raises is worth one line of debug; the external URL is the address."""
    cloud.async_get_or_create_cloudhook.side_effect = error
    entry = await pushing("cryptocloud", sandbox.store.create("cryptocloud").id)
    await async_settle(hass)
    assert "cloudhook_url" not in entry.data
    assert webhook_address(hass, entry.data) == (
        f"https://ha.example/api/webhook/{entry.data['webhook_id']}"
    )
    assert _warnings(caplog) == []
    assert caplog.text.count("no cloudhook") == 1
    cloud.async_get_or_create_cloudhook.side_effect = None
    await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    assert entry.data["cloudhook_url"]
    cloud.async_delete_cloudhook.side_effect = error
    await hass.config_entries.async_remove(entry.entry_id)
    assert _warnings(caplog) == []


async def test_moved(hass: HomeAssistant, sandbox: SandboxServer, pushing: Any, runs: Runs) -> None:
    """An address that somebody entered by hand has to be entered anew: a repair issue says so."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await pushing("cryptocloud", invoice.id)
    issues, issue = ir.async_get(hass), f"webhook_moved_{entry.entry_id}"
    await hass.config.async_update(external_url="https://first.example")
    await async_settle(hass)
    assert not issues.async_get_issue(DOMAIN, issue), "nobody ever posted there"

    await sandbox.sandbox.postbacks.send("cryptocloud", invoice.id)
    await hass.config.async_update(latitude=1)
    await async_settle(hass)
    assert not issues.async_get_issue(DOMAIN, issue), "it is where it was"
    await hass.config.async_update(external_url="https://second.example")
    await async_settle(hass)
    found = issues.async_get_issue(DOMAIN, issue)
    assert found
    assert found.translation_placeholders == {
        "account": entry.title,
        "webhook_url": f"https://second.example/api/webhook/{entry.data['webhook_id']}",
    }
    # Somebody did it.
    CLOCK.passed += HINT_INTERVAL
    await sandbox.sandbox.postbacks.send("cryptocloud", invoice.id)
    assert not issues.async_get_issue(DOMAIN, issue)
    # It moves while nobody listens.
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.config.async_update(external_url="https://third.example")
    await hass.config_entries.async_setup(entry.entry_id)
    await async_settle(hass)
    assert issues.async_get_issue(DOMAIN, issue)


async def _written(sandbox: SandboxServer, invoice_id: str) -> str:
    """Return a genuine postback's body."""
    import time

    import jwt
    import orjson

    secret = sandbox.sandbox.providers["cryptocloud"].push_credentials["postback_secret"]
    token = jwt.encode({"id": invoice_id, "exp": time.time() + 300}, secret, "HS256")
    return orjson.dumps({"status": "success", "invoice_id": invoice_id, "token": token}).decode()


async def test_without_a_secret(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    client: TestClient[Any, Any],
    add_account: AddAccount,
) -> None:
    """Without the secret no push can be believed: nothing listens, and polling goes on."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    assert entry.runtime_data.webhook is None
    response = await client.post(f"/api/webhook/{entry.data['webhook_id']}", data=b"x")
    assert response.status == 200  # as for any address that nobody listens at


async def test_unloaded(
    hass: HomeAssistant, sandbox: SandboxServer, pushing: Any, runs: Runs
) -> None:
    """Nothing listens for an account that is unloaded; it does again when it is loaded."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await pushing("cryptocloud", invoice.id)
    await hass.config_entries.async_unload(entry.entry_id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await settled(hass, sandbox)
    assert runs == []
    await hass.config_entries.async_setup(entry.entry_id)
    await async_settle(hass)
    assert len(runs) == 1


async def test_address_is_shown(
    hass: HomeAssistant, sandbox: SandboxServer, client: TestClient[Any, Any]
) -> None:
    """After the set-up, and when the account is changed, the address for pushes is told."""
    from tests.conftest import async_open_credentials, async_submit

    sandbox.with_postback_secret = True
    result = await async_open_credentials(hass, "cryptocloud")
    result = await async_submit(hass, result, sandbox.credentials_form("cryptocloud"))
    id_ = sandbox.store.create("cryptocloud").id
    result = await async_submit(hass, result, {"invoices": id_})
    entry = result["result"]
    address = f"https://ha.example/api/webhook/{entry.data['webhook_id']}"
    assert result["description"] == "cryptocloud"
    assert result["description_placeholders"] is not None
    assert result["description_placeholders"]["webhook_url"] == address
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
    )
    assert result["description_placeholders"] is not None
    assert result["description_placeholders"]["webhook_url"] == address
