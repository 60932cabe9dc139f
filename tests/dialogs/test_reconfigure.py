"""Changing the keys or the address of an account that is set up."""

from typing import Any

from aiohttp.test_utils import TestClient
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.crypto_invoices.const import DOMAIN
from sandbox.faults import Fault
from tests.conftest import (
    AddAccount,
    FlowResult,
    SandboxServer,
    async_later,
    async_settle,
    async_setup_views,
    async_submit,
    each_provider,
    fill,
    kept,
    refused_key,
    state_of,
    watched,
)

SECRETS = {
    "cryptocloud": ("api_key", "postback_secret"),
    "cryptocloud_v1": ("api_key", "postback_secret"),
    "egates": ("api_key", "api_secret"),
    "btcpay": ("api_key",),
    "lnbits": ("api_key",),
}
each_cloud = pytest.mark.parametrize("provider", ["cryptocloud", "cryptocloud_v1"])


@pytest.fixture
async def client(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator
) -> TestClient[Any, Any]:
    """Return a client of Home Assistant's web server, which nobody outside can reach."""
    await async_setup_views(hass)
    return await hass_client_no_auth()


async def open_dialog(hass: HomeAssistant, entry: ConfigEntry) -> FlowResult:
    """Start to change an account."""
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )


async def listens(client: TestClient[Any, Any], entry: ConfigEntry) -> bool:
    """Whether anybody minds nonsense at the address of an account's webhook."""
    response = await client.post(f"/api/webhook/{entry.data['webhook_id']}", data=b"")
    return response.status in (400, 401)


@each_provider
async def test_nothing_typed(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    client: TestClient[Any, Any],
    add_account: AddAccount,
    provider: str,
) -> None:
    """Keys that are left empty stay, and so does everything else."""
    sandbox.with_postback_secret = True
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    data, unique_id = entry.data, entry.unique_id
    result = await open_dialog(hass, entry)
    # The server is in the same network, and reaches us there.
    address = f"http://10.10.10.10:8123/api/webhook/{data['webhook_id']}"
    assert result["description_placeholders"]["webhook_url"] == address
    shown = kept(result["data_schema"])
    assert str(shown).count(sandbox.url) == 1
    for key in SECRETS[provider]:
        assert data[key] not in str(shown)
    needed = [key for key in SECRETS[provider] if key != "postback_secret"]
    if "postback_secret" in SECRETS[provider]:
        assert shown["postback_secret"]
    result = await async_submit(hass, result, shown | dict.fromkeys(needed, "  "))
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reconfigure_successful"
    await async_settle(hass)
    assert (entry.data, entry.unique_id) == (data, unique_id)
    assert watched(entry) == [invoice.id]
    assert entry.state is ConfigEntryState.LOADED
    assert state_of(hass, entry, invoice.id, "status").state == "pending"
    assert await listens(client, entry)


@each_cloud
async def test_secret_added_later(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    client: TestClient[Any, Any],
    add_account: AddAccount,
    provider: str,
) -> None:
    """An account that is given the secret later listens from then on, at the same address."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id, postback_secret="  ")
    assert "postback_secret" not in entry.data
    assert not await listens(client, entry)
    webhook_id = entry.data["webhook_id"]

    result = await async_submit(
        hass, await open_dialog(hass, entry), fill(provider, {"url": sandbox.url})
    )
    assert result["reason"] == "reconfigure_successful"
    await async_settle(hass)
    assert "postback_secret" not in entry.data
    assert not await listens(client, entry)

    secret = sandbox.sandbox.providers[provider].push_credentials
    form = fill(provider, {"url": sandbox.url, **secret})
    result = await async_submit(hass, await open_dialog(hass, entry), form)
    assert result["reason"] == "reconfigure_successful"
    await async_settle(hass)
    assert entry.data["postback_secret"] == secret["postback_secret"]
    assert entry.data["webhook_id"] == webhook_id
    assert await listens(client, entry)
    url = client.make_url(f"/api/webhook/{webhook_id}")
    sandbox.sandbox.postbacks.target(provider, str(url))
    [delivery] = await sandbox.sandbox.postbacks.send(provider, invoice.id)
    assert delivery.status == 200


@each_cloud
async def test_secret_taken_away(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    client: TestClient[Any, Any],
    add_account: AddAccount,
    provider: str,
) -> None:
    """A secret that is cleared is gone, and nobody listens any more."""
    sandbox.with_postback_secret = True
    entry = await add_account(provider, sandbox.store.create(provider).id)
    assert await listens(client, entry)
    result = await open_dialog(hass, entry)
    form = kept(result["data_schema"])
    result = await async_submit(hass, result, form | {"api_key": "wrong-key"})
    assert kept(result["data_schema"])["postback_secret"] == form["postback_secret"]
    result = await async_submit(hass, result, {**form, "postback_secret": " "})
    assert result["reason"] == "reconfigure_successful"
    await async_settle(hass)
    assert "postback_secret" not in entry.data
    assert not await listens(client, entry)


async def test_deleted_before(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Invoices that were gone with the old key say nothing about the new one."""
    invoice = sandbox.store.create("egates")
    entry = await add_account("egates", invoice.id)
    sandbox.store.act("egates", invoice.id, "delete")
    await async_later(hass)
    sandbox.rotate_keys("egates", monkeypatch)
    form = fill("egates", sandbox.settings("egates"))
    result = await async_submit(hass, await open_dialog(hass, entry), form)
    assert result["reason"] == "reconfigure_successful"
    await async_settle(hass)


@each_provider
async def test_wrong_key(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """A key that doesn't work is refused, and changes nothing."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    data, runtime = entry.data, entry.runtime_data
    result = await open_dialog(hass, entry)
    same = kept(result["data_schema"])
    result = await async_submit(hass, result, same | {"api_key": "wrong-key"})
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == refused_key(provider)
    assert entry.data == data
    assert entry.runtime_data is runtime

    result = await async_submit(hass, result, same | {"api_key": "not a key"})
    assert result["errors"] == {"api_key": "invalid_key"}
    sandbox.switch(provider, Fault.SERVER_ERROR)
    result = await async_submit(hass, result, same)
    assert "server_error" in result["errors"].values()
    assert entry.data == data
    sandbox.switch(provider, None)
    result = await async_submit(hass, result, same)
    assert result["reason"] == "reconfigure_successful"
    await async_settle(hass)
    assert entry.data == data
    assert state_of(hass, entry, invoice.id, "status").state == "pending"


@each_provider
async def test_new_key(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
) -> None:
    """A new key is stored once it works, and the account goes on with it."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    unique_id, webhook_id = entry.unique_id, entry.data["webhook_id"]
    sandbox.rotate_keys(provider, monkeypatch)
    form = fill(provider, sandbox.settings(provider))
    result = await async_submit(hass, await open_dialog(hass, entry), form)
    assert result["reason"] == "reconfigure_successful"
    await async_settle(hass)
    assert entry.data.items() >= sandbox.settings(provider).items()
    assert entry.data["webhook_id"] == webhook_id
    # Here the store is the account, whichever key opens it.
    assert (entry.unique_id == unique_id) is (provider == "btcpay")
    assert watched(entry) == [invoice.id]
    assert state_of(hass, entry, invoice.id, "status").state == "pending"
