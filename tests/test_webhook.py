"""Pushes: a genuine one is read at once, and a forged one changes nothing."""

from collections.abc import Awaitable, Callable
import logging
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock

from aiohttp import StreamReader
from aiohttp.test_utils import TestClient
from homeassistant.components.webhook import async_handle_webhook
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util.aiohttp import MockRequest
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.crypto_invoices import webhook
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.coordinator import HINT_INTERVAL

from .conftest import CLOCK, AddAccount, Runs, SandboxServer, async_later, pass_time, state_of

PUSHING = ("cryptocloud", "cryptocloud_v1", "egates")
each_provider = pytest.mark.parametrize("provider", PUSHING)


type Post = Callable[..., Awaitable[int]]


@pytest.fixture
async def client(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator
) -> TestClient[Any, Any]:
    """Return a client of Home Assistant's web server."""
    assert await async_setup_component(hass, DOMAIN, {})
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
        return entry

    return add


async def settled(hass: HomeAssistant, sandbox: SandboxServer) -> list[int | None]:
    """Wait until everything that was posted is answered and read; return the answers."""
    await sandbox.sandbox.postbacks.settled()
    await hass.async_block_till_done(wait_background_tasks=True)
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
    assert entry.runtime_data.push_diagnostics()["accepted"] == 1


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
    await hass.async_block_till_done()
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
    assert entry.runtime_data.push_diagnostics()["refused"] == {"signature": 1}


async def test_unsigned_callback(
    hass: HomeAssistant, sandbox: SandboxServer, pushing: Any, runs: Runs
) -> None:
    """A callback whose signature says nothing is a hint: the gateway's own word counts."""
    invoice = sandbox.store.create("egates")
    await pushing("egates", invoice.id, signature="wrong_secret")
    CLOCK.passed += HINT_INTERVAL
    before = sandbox.requests("egates")
    await sandbox.sandbox.postbacks.send("egates", invoice.id, state="paid", times=20)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert runs == []
    assert sandbox.requests("egates") == before + 1


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
    ):
        response = await client.request(
            method, path, data=body, headers={"Content-Type": content_type}
        )
        assert response.status == status, (method, body and body[:20], status)
    await hass.async_block_till_done()
    assert sandbox.requests("cryptocloud") == before
    ours = [
        record
        for record in caplog.records
        if record.name.startswith("custom_components") and record.levelno >= logging.WARNING
    ]
    assert len(ours) == 1
    pass_time(hass, webhook.LOG_INTERVAL + 1)
    await hass.async_block_till_done()
    assert "refused 5 more pushes" in caplog.text


async def test_slow_body(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    pushing: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A body that never ends is given up."""
    entry = await pushing("cryptocloud", sandbox.store.create("cryptocloud").id)
    monkeypatch.setattr(webhook, "BODY_TIMEOUT", 0.01)
    request = SimpleNamespace(
        content=StreamReader(Mock(), 2**16), method="POST", headers={}, remote="127.0.0.1"
    )
    answer = await async_handle_webhook(hass, entry.data["webhook_id"], request)  # type: ignore[arg-type]
    assert answer.status == 408


async def test_cloud(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    pushing: Any,
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With Home Assistant Cloud a cloudhook is made, kept, used, and deleted with the account."""
    cloud = Mock(
        CloudNotAvailable=ValueError,
        async_active_subscription=Mock(return_value=True),
        async_is_connected=Mock(return_value=True),
        async_get_or_create_cloudhook=AsyncMock(return_value="https://hooks.example/1"),
        async_delete_cloudhook=AsyncMock(),
    )
    monkeypatch.setattr(webhook, "_loaded_cloud", lambda _: cloud)
    invoice = sandbox.store.create("cryptocloud")
    entry = await pushing("cryptocloud", invoice.id)
    assert entry.data["cloudhook_url"] == "https://hooks.example/1"
    assert webhook.webhook_address(hass, entry.data) == "https://hooks.example/1"

    sandbox.sandbox.postbacks.target("cryptocloud", None)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    body = (await _written(sandbox, invoice.id)).encode()
    request = MockRequest(body, "cloud", "POST", headers={"Content-Type": "application/json"})
    answer = await async_handle_webhook(hass, entry.data["webhook_id"], request)
    assert answer.status == 200
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(runs) == 1

    await hass.config_entries.async_reload(entry.entry_id)
    assert cloud.async_get_or_create_cloudhook.await_count == 1
    await hass.config_entries.async_remove(entry.entry_id)
    cloud.async_delete_cloudhook.assert_awaited_once()


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
    assert entry.runtime_data.push_diagnostics is None
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
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(runs) == 1


async def test_address_is_shown(
    hass: HomeAssistant, sandbox: SandboxServer, client: TestClient[Any, Any]
) -> None:
    """After the set-up, and when the account is changed, the address for pushes is told."""
    from .conftest import async_open_credentials, async_submit

    sandbox.with_postback_secret = True
    result = await async_open_credentials(hass, "cryptocloud")
    result = await async_submit(hass, result, sandbox.credentials_form("cryptocloud"))
    id_ = sandbox.store.create("cryptocloud").id
    result = await async_submit(hass, result, {"invoices": id_})
    entry = result["result"]
    address = f"https://ha.example/api/webhook/{entry.data['webhook_id']}"
    assert result["description"] == "cryptocloud"
    assert result["description_placeholders"]["webhook_url"] == address
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": "reconfigure", "entry_id": entry.entry_id}
    )
    assert result["description_placeholders"]["webhook_url"] == address
