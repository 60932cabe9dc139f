"""A server that people host themselves: its address, keys and stores, and a webhook of our own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.notifications.registration import INTERVAL
from custom_components.crypto_invoices.providers.btcpay import BTCPay
from custom_components.crypto_invoices.reading.hints import HINT_INTERVAL
from sandbox.app import create_app
from sandbox.btcpay_access import (
    ALL_STORES_KEY,
    OTHER_STORE_ID,
    OTHER_STORE_KEY,
    READ_ONLY_KEY,
    SPENDING_KEY,
    TWO_STORES_KEY,
)
from sandbox.btcpay_webhooks import STORE_ID, Webhook, Webhooks
from sandbox.core import SANDBOX
from sandbox.faults import Fault

from .conftest import (
    CLOCK,
    AddAccount,
    FlowResult,
    Runs,
    SandboxServer,
    async_later,
    async_open_credentials,
    async_settle,
    async_setup_views,
    async_submit,
    fields_of,
    kept,
    open_dialog,
    pass_time,
    state_of,
)
from .servers import self_signed

PROVIDER = "btcpay"
PAGE = (
    "/api-keys/authorize?applicationName=Home+Assistant"
    "&permissions=btcpay.store.canviewinvoices"
    "&permissions=btcpay.store.webhooks.canmodifywebhooks"
    "&strict=true&selectiveStores=true"
)


@pytest.fixture
async def client(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator
) -> TestClient[Any, Any]:
    """Return a client of Home Assistant's web server, which the sandbox reaches too."""
    await async_setup_views(hass)
    client = await hass_client_no_auth()
    await hass.config.async_update(external_url=str(client.make_url("")).rstrip("/"))
    return client


@pytest.fixture
def hooks(sandbox: SandboxServer) -> Webhooks:
    """Return the webhooks at the server, which is in a hurry."""
    sandbox.sandbox.set(PROVIDER, "retries", "quick")
    return sandbox.webhooks


type Told = Callable[[], Awaitable[list[int | None]]]


@pytest.fixture
def told(hass: HomeAssistant, hooks: Webhooks) -> Told:
    """Return a way to wait until all is delivered and read, and to see how it was answered."""

    async def wait() -> list[int | None]:
        await hooks.settled()
        await async_settle(hass)
        return [delivery.http_code for hook in hooks.all.values() for delivery in hook.deliveries]

    return wait


async def test_from_the_payment_to_the_automation(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    client: TestClient[Any, Any],
    add_account: AddAccount,
    runs: Runs,
    hooks: Webhooks,
    told: Told,
) -> None:
    """The webhook is made with the account; a payment is announced at once, and once."""
    invoice = sandbox.store.create(PROVIDER)
    entry = await add_account(PROVIDER, invoice.id)
    [hook] = hooks.all.values()
    assert hook.url == str(client.make_url(f"/api/webhook/{entry.data['webhook_id']}"))
    assert hook.store_id == STORE_ID
    assert hook.secret == entry.data["webhook_secret"]
    CLOCK.passed += HINT_INTERVAL

    sandbox.store.act(PROVIDER, invoice.id, "pay")
    assert set(await told()) == {200}
    assert state_of(hass, entry, invoice.id, "status").state == "paid"
    assert [run["invoice"] for run in runs] == [invoice.id]

    before = sandbox.requests(PROVIDER)
    CLOCK.passed += HINT_INTERVAL
    hooks.redeliver(hook, hook.deliveries[0])
    hooks.test(hook, "InvoiceSettled")
    assert set(await told()) == {200}
    assert sandbox.requests(PROVIDER) == before, "what came before, or is a test, is not read"
    await async_later(hass)
    assert len(runs) == 1


@pytest.mark.usefixtures("client")
async def test_deleted_at_the_server(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    runs: Runs,
    hooks: Webhooks,
    told: Told,
) -> None:
    """A webhook that somebody deleted or switched off is there again after some hours."""
    invoice = sandbox.store.create(PROVIDER)
    entry = await add_account(PROVIDER, invoice.id)
    for spoil in (hooks.all.clear, lambda: setattr(only(hooks), "enabled", False)):
        spoil()
        pass_time(hass, INTERVAL.total_seconds() + 1)
        await async_settle(hass)
        assert only(hooks).enabled
        assert only(hooks).secret == entry.data["webhook_secret"]
        assert only(hooks).id == entry.data["btcpay_webhook_id"]
    CLOCK.passed += HINT_INTERVAL
    sandbox.store.act(PROVIDER, invoice.id, "pay")
    assert set(await told()) == {200}
    assert len(runs) == 1


def only(hooks: Webhooks) -> Webhook:
    """Return the only webhook there is."""
    [hook] = hooks.all.values()
    return hook


@pytest.mark.usefixtures("client")
async def test_life_of_an_account(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, hooks: Webhooks
) -> None:
    """Reloads leave the one webhook as it is; it goes with the account."""
    entry = await add_account(PROVIDER, sandbox.store.create(PROVIDER).id)
    hook, data = only(hooks), entry.data
    for _ in range(2):
        assert await hass.config_entries.async_reload(entry.entry_id)
        await async_settle(hass)
        assert only(hooks) is hook
        assert entry.data == data
    await hass.config_entries.async_remove(entry.entry_id)
    assert not hooks.all


@pytest.mark.usefixtures("client")
async def test_removed_during_an_outage(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, hooks: Webhooks
) -> None:
    """An account can be removed while its server is down; nobody listens to what it posts then."""
    entry = await add_account(PROVIDER, sandbox.store.create(PROVIDER).id)
    sandbox.switch(PROVIDER, Fault.SERVER_ERROR)
    await hass.config_entries.async_remove(entry.entry_id)
    assert not hass.config_entries.async_entries(DOMAIN)
    assert only(hooks)


@pytest.mark.usefixtures("client")
async def test_new_address_of_home_assistant(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, hooks: Webhooks
) -> None:
    """The webhook follows Home Assistant to another address at once."""
    entry = await add_account(PROVIDER, sandbox.store.create(PROVIDER).id)
    before = only(hooks).id
    for name in ("first", "second"):
        await hass.config.async_update(external_url=f"https://{name}.example")
        await async_settle(hass)
        assert only(hooks).id == before
        assert only(hooks).url == f"https://{name}.example/api/webhook/{entry.data['webhook_id']}"
    await hass.config.async_update(external_url=None)
    await async_settle(hass)
    assert only(hooks).id == before


@pytest.mark.usefixtures("client")
async def test_copy_of_home_assistant(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    runs: Runs,
    hooks: Webhooks,
    told: Told,
) -> None:
    """A copy with another address has a webhook of its own; the shop's is not its to change."""
    invoice = sandbox.store.create(PROVIDER)
    entry = await add_account(PROVIDER, invoice.id)
    original = only(hooks)
    kept = (original.url, original.secret, original.enabled)
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.config.async_update(external_url="https://copy.example")
    await hass.config_entries.async_setup(entry.entry_id)
    await async_settle(hass)
    assert len(hooks.all) == 2
    assert hooks.all[original.id] is original
    assert (original.url, original.secret, original.enabled) == kept
    # Both hear of what happens.
    CLOCK.passed += HINT_INTERVAL
    sandbox.store.act(PROVIDER, invoice.id, "pay")
    await told()
    assert [run["invoice"] for run in runs] == [invoice.id]
    await hass.config_entries.async_remove(entry.entry_id)
    assert only(hooks) is original


@dataclass
class Gate:
    """A registration that the server has done with, and Home Assistant doesn't know yet."""

    is_closed: bool = False
    done: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Return what holds the answers to registrations while it is closed."""
    found = Gate()
    register = BTCPay.async_register_webhook

    async def wait(provider: BTCPay, url: str, replaces: str | None = None) -> Mapping[str, str]:
        kept = await register(provider, url, replaces)
        if found.is_closed:
            found.is_closed = False
            found.done.set()
            await found.opened.wait()
        return kept

    monkeypatch.setattr(BTCPay, "async_register_webhook", wait)
    return found


async def async_add_and_hold(
    hass: HomeAssistant, sandbox: SandboxServer, gate: Gate
) -> ConfigEntry:
    """Set up an account whose first registration is under way."""
    gate.is_closed = True
    result = await async_open_credentials(hass, PROVIDER)
    result = await async_submit(hass, result, sandbox.credentials_form(PROVIDER))
    invoice = sandbox.store.create(PROVIDER)
    result = await async_submit(hass, result, {"invoices": invoice.id})
    async with asyncio.timeout(5):
        await gate.done.wait()
    entry: ConfigEntry = result["result"]
    return entry


@pytest.mark.usefixtures("client")
async def test_new_secret_during_a_registration(
    hass: HomeAssistant, sandbox: SandboxServer, hooks: Webhooks, gate: Gate
) -> None:
    """The secret that was typed last is the one that counts, here and at the server."""
    entry = await async_add_and_hold(hass, sandbox, gate)
    hass.config_entries.async_update_entry(entry, data={**entry.data, "webhook_secret": "new"})
    gate.opened.set()
    await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    assert entry.data["webhook_secret"] == "new"
    assert only(hooks).secret == "new"


@pytest.mark.usefixtures("client")
async def test_removed_during_a_registration(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    hooks: Webhooks,
    gate: Gate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A registration ends with its account; what it left at the server is removed too."""
    entry = await async_add_and_hold(hass, sandbox, gate)
    assert only(hooks)
    await hass.config_entries.async_remove(entry.entry_id)
    gate.opened.set()
    await async_settle(hass)
    assert not hooks.all
    assert "UnknownEntry" not in caplog.text


@pytest.mark.usefixtures("client")
async def test_repair_that_outlives_the_account(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    gate: Gate,
    hooks: Webhooks,
) -> None:
    """Who tries again in a dialog while the account is unloaded changes nothing any more."""
    entry = await add_account(PROVIDER, sandbox.store.create(PROVIDER).id)
    manager = entry.runtime_data.webhook
    gate.is_closed = True
    trying = hass.async_create_task(manager.async_try_again())
    again = hass.async_create_task(manager.async_try_again())
    async with asyncio.timeout(5):
        await gate.done.wait()
    await hass.config_entries.async_unload(entry.entry_id)
    data = {key: value for key, value in entry.data.items() if key != "webhook_secret"}
    hass.config_entries.async_update_entry(entry, data=data)
    hooks.all.clear()
    gate.opened.set()
    await asyncio.gather(trying, again)
    assert entry.data == data
    pass_time(hass, INTERVAL.total_seconds() + 1)
    await async_settle(hass)
    assert not hooks.all


async def test_in_the_same_network(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    hass_client_no_auth: ClientSessionGenerator,
    add_account: AddAccount,
    runs: Runs,
    hooks: Webhooks,
    told: Told,
) -> None:
    """A server in the own network posts to the internal address, if there is no other."""
    await async_setup_views(hass)
    home = str((await hass_client_no_auth()).make_url("")).rstrip("/")
    await hass.config.async_update(internal_url=home)
    invoice = sandbox.store.create(PROVIDER)
    await add_account(PROVIDER, invoice.id)
    assert only(hooks).url.startswith(f"{home}/api/webhook/")
    CLOCK.passed += HINT_INTERVAL
    sandbox.store.act(PROVIDER, invoice.id, "pay")
    assert set(await told()) == {200}
    assert [run["invoice"] for run in runs] == [invoice.id]


async def test_key_that_may_not_make_one(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    client: TestClient[Any, Any],
    runs: Runs,
    hooks: Webhooks,
) -> None:
    """Polling works; the address is shown for pasting, and with the secret pushes work too."""
    first, second = (sandbox.store.create(PROVIDER) for _ in range(2))
    result = await async_open_credentials(hass, PROVIDER)
    form = sandbox.credentials_form(PROVIDER, api_key=READ_ONLY_KEY)
    result = await async_submit(hass, result, form)
    result = await async_submit(hass, result, {"invoices": f"{first.id} {second.id}"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await async_settle(hass)
    entry: ConfigEntry = result["result"]
    address = str(client.make_url(f"/api/webhook/{entry.data['webhook_id']}"))
    assert result["description"] == PROVIDER
    assert result["description_placeholders"]["webhook_url"] == address
    assert not hooks.all
    sandbox.store.act(PROVIDER, first.id, "pay")
    await async_later(hass)
    assert [run["invoice"] for run in runs] == [first.id]

    made_by_hand = sandbox.sandbox.providers[PROVIDER].push_credentials["webhook_secret"]
    sandbox.sandbox.postbacks.target(PROVIDER, address)
    # Without the secret nobody listens there.
    assert entry.runtime_data.webhook is None
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )
    assert result["description_placeholders"] is not None
    assert result["description_placeholders"]["webhook_url"] == address
    form = kept(result["data_schema"])
    form["advanced"]["webhook_secret"] = made_by_hand
    result = await async_submit(hass, result, form)
    assert result["reason"] == "reconfigure_successful"
    await async_settle(hass)
    CLOCK.passed += HINT_INTERVAL
    sandbox.store.act(PROVIDER, second.id, "pay")
    await sandbox.sandbox.postbacks.settled()
    await async_settle(hass)
    assert [run["invoice"] for run in runs] == [first.id, second.id]


@pytest.mark.usefixtures("client")
async def test_made_by_itself_is_not_told(hass: HomeAssistant, sandbox: SandboxServer) -> None:
    """Where there is nothing to paste, no address is shown at the end."""
    result = await async_open_credentials(hass, PROVIDER)
    result = await async_submit(hass, result, sandbox.credentials_form(PROVIDER))
    invoice = sandbox.store.create(PROVIDER)
    result = await async_submit(hass, result, {"invoices": invoice.id})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["description"] is None
    await async_settle(hass)


async def test_page_that_makes_a_key(hass: HomeAssistant, sandbox: SandboxServer) -> None:
    """Without a key the form links to where the server of that address makes one."""
    result = await async_open_credentials(hass, PROVIDER)
    assert link(result) == f"`https://…{PAGE}`"
    markers = {str(marker): marker for marker in result["data_schema"].schema}
    assert markers["url"].__class__.__name__ == "Required"
    assert markers["api_key"].__class__.__name__ == "Optional", "or the form can't be submitted"
    typed: dict[str, Any] = {"url": f"{sandbox.url}/", "advanced": {}}
    result = await async_submit(hass, result, typed)
    assert result["errors"] == {"api_key": "required"}
    assert link(result) == f"{sandbox.url}{PAGE}"
    result = await async_submit(hass, result, {**typed, "url": "btcpay", "api_key": "x"})
    assert result["errors"] == {"url": "url_without_scheme"}
    assert link(result) == f"`https://…{PAGE}`"
    result = await async_submit(hass, result, {**typed, "api_key": "wrong"})
    assert result["errors"] == {"api_key": "invalid_auth"}
    assert link(result) == f"{sandbox.url}{PAGE}"


def link(result: FlowResult) -> str:
    """Return the link to where a key is made."""
    return str(result["description_placeholders"]["key_page"])


@pytest.mark.parametrize("key", [TWO_STORES_KEY, ALL_STORES_KEY])
async def test_key_for_several_stores(
    hass: HomeAssistant, sandbox: SandboxServer, key: str
) -> None:
    """The store is asked for where the key doesn't say which; each store is an account."""
    result = await async_open_credentials(hass, PROVIDER)
    form = sandbox.credentials_form(PROVIDER, api_key=key)
    for store_id in ("", "nowhere"):
        result = await async_submit(hass, result, {**form, "store_id": store_id})
        assert result["errors"] == {"store_id": "store_id_needed"}
    result = await async_submit(hass, result, {**form, "store_id": STORE_ID})
    invoice = sandbox.store.create(PROVIDER)
    result = await async_submit(hass, result, {"invoices": invoice.id})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].data["store_id"] == STORE_ID
    await async_settle(hass)

    result = await async_open_credentials(hass, PROVIDER)
    result = await async_submit(hass, result, {**form, "store_id": OTHER_STORE_ID})
    assert result["step_id"] == "invoices"
    result = await async_open_credentials(hass, PROVIDER)
    result = await async_submit(hass, result, {**form, "store_id": STORE_ID})
    assert result["reason"] == "already_configured"


async def test_key_that_can_spend(hass: HomeAssistant, sandbox: SandboxServer) -> None:
    """A key that could send money is refused; a weaker one then goes on."""
    result = await async_open_credentials(hass, PROVIDER)
    form = sandbox.credentials_form(PROVIDER, api_key=SPENDING_KEY)
    result = await async_submit(hass, result, form)
    assert result["errors"] == {"api_key": "key_can_spend"}
    result = await async_submit(hass, result, sandbox.credentials_form(PROVIDER))
    assert result["step_id"] == "invoices"
    assert fields_of(result["data_schema"]).keys() == {"auto_watch", "invoices"}


async def test_certificate_of_its_own(
    hass: HomeAssistant, socket_enabled: None, tmp_path: Path, runs: Runs
) -> None:
    """A server with a self-signed certificate, below a path, works for who says that it may."""
    app, outer = create_app(), web.Application()
    outer.add_subapp("/btcpay", app)
    server = TestServer(outer, host="127.0.0.1", scheme="https")
    await server.start_server(ssl=self_signed(tmp_path))
    store = app[SANDBOX].store
    invoice = store.create(PROVIDER)
    result = await async_open_credentials(hass, PROVIDER)
    key = app[SANDBOX].providers[PROVIDER].credentials["api_key"]
    form: dict[str, Any] = {"url": str(server.make_url("/btcpay/")), "api_key": key}
    result = await async_submit(hass, result, {**form, "advanced": {"verify_ssl": False}})
    result = await async_submit(hass, result, {"invoices": invoice.id})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await async_settle(hass)
    entry = result["result"]
    assert (entry.data["url"], entry.data["verify_ssl"]) == (form["url"].rstrip("/"), False)
    store.act(PROVIDER, invoice.id, "pay")
    await async_later(hass)
    assert [run["invoice"] for run in runs] == [invoice.id]
    await server.close()


async def test_onion(hass: HomeAssistant) -> None:
    """An address in Tor is refused with what to do instead, before anything is asked."""
    result = await async_open_credentials(hass, PROVIDER)
    form = {"url": "http://abcdefghij234567.onion", "api_key": "x", "advanced": {}}
    result = await async_submit(hass, result, form)
    assert result["errors"] == {"url": "url_onion"}


async def test_reauth_with_the_key_of_another_store(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new key has to open the store that is watched."""
    invoice = sandbox.store.create(PROVIDER)
    entry = await add_account(PROVIDER, invoice.id)
    sandbox.rotate_keys(PROVIDER, monkeypatch)
    for _ in range(2):
        await async_later(hass)
    result = open_dialog(hass)
    result = await async_submit(hass, result, {"api_key": OTHER_STORE_KEY})
    assert result["errors"] == {"base": "store_id_needed"}
    result = await async_submit(hass, result, {"api_key": TWO_STORES_KEY})
    assert result["reason"] == "reauth_successful"
    await async_settle(hass)
    assert entry.data["store_id"] == STORE_ID
    assert state_of(hass, entry, invoice.id, "status").state == "pending"
