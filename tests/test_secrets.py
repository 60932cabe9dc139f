"""Secrets stay where they are needed: a mark is planted in each, and looked for everywhere else."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
import logging
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.typedefs import Handler
from homeassistant.components import webhook
from homeassistant.components.automation.const import DOMAIN as AUTOMATION_DOMAIN
from homeassistant.components.diagnostics.const import DOMAIN as DIAGNOSTICS_DOMAIN
from homeassistant.components.recorder.core import Recorder
from homeassistant.components.repairs import DOMAIN as REPAIRS_DOMAIN
from homeassistant.components.system_health import DOMAIN as SYSTEM_HEALTH_DOMAIN
from homeassistant.components.trace.const import DATA_TRACE
from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
)
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE, MATCH_ALL
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.recorder import session_scope
from homeassistant.setup import async_setup_component
import orjson
import pytest
from pytest_homeassistant_custom_component.common import (
    get_system_health_info,
)
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
    get_diagnostics_for_device,
)
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from sqlalchemy import MetaData, select

from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.diagnostics import async_get_config_entry_diagnostics
from custom_components.crypto_invoices.notifications import stream
from sandbox.effects import meddle
from sandbox.faults import Fault
from sandbox.letter import Signature
from sandbox.registry import PROVIDERS
from sandbox.states import Action
from sandbox.wire import json_response

from .conftest import (
    CLOCK,
    AddAccount,
    FlowResult,
    SandboxServer,
    async_later,
    async_open_credentials,
    async_settle,
    async_submit,
    device_id,
    each_provider,
    find_entity,
    kept,
    make_due,
    struck,
    watched,
)

# Hexadecimal, and valid in Base58 and Bech32 too: it fits in whatever is secret.
MARK = "5ec4e75ec4e7"
HEXADECIMAL = f"{MARK}{'0' * 52}"
# What a provider's answer may have of a payer or a payment, wherever it has it.
PRIVATE = {
    "address": f"address-{MARK}",
    "bolt11_memo": f"bolt11-{MARK}",
    "buyerEmail": f"buyer-{MARK}@example.org",
    "buyerName": f"Buyer {MARK}",
    "destination": f"destination-{MARK}",
    "memo": f"memo-{MARK}",
    "payer_email": f"payer-{MARK}@example.org",
    "payer_name": f"Payer {MARK}",
    "preimage": HEXADECIMAL,
    "purpose_of_payment": f"Purpose {MARK}",
    "sender_name": f"Sender {MARK}",
    "sender_requisites": f"Requisites {MARK}",
    "user_email": f"user-{MARK}@example.org",
    "wallet_id": f"wallet-{MARK}",
}
# They say which address they serve, as any web server's log does.
ABOUT_REQUESTS = (
    "aiohttp.access",
    "homeassistant.components.http",
    "homeassistant.components.webhook",
    "homeassistant.helpers.http",
)
# What becomes an issue, or the dialog for a new key, if it lasts.
LASTING = (
    *(Fault.UNAUTHORIZED, Fault.FORBIDDEN, Fault.HTML, Fault.MISSING_ROWS),
    *(Fault.UNKNOWN_STATUS, Fault.WRONG_TYPES),
)


def planted(value: Any) -> Any:
    """Return an answer with something private in each of its objects."""
    match value:
        case dict():
            return {key: planted(inner) for key, inner in value.items()} | PRIVATE
        case list():
            return [planted(inner) for inner in value]
        case _:
            return value


def plant(response: web.StreamResponse, **more: str) -> web.StreamResponse:
    """Plant something private in an answer, if it is JSON."""
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    try:
        payload = planted(orjson.loads(response.body))
    except orjson.JSONDecodeError:
        return response
    if isinstance(payload, dict):
        payload |= more
    waits = {"Retry-After": response.headers.get("Retry-After", "")}
    return json_response(
        payload, status=response.status, headers=waits if all(waits.values()) else None
    )


@web.middleware
async def meddle_and_plant(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let faults befall answers in which something is planted; errors repeat what was asked."""
    if request.path.startswith("/_sandbox"):
        return await handler(request)

    async def planting(request: web.Request) -> web.StreamResponse:
        return plant(await handler(request))

    response = await meddle(request, planting)
    return plant(response, echo=str(dict(request.headers))) if response.status >= 400 else response


@pytest.fixture(autouse=True)
def _plant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant the mark in every secret of every provider, before the sandbox is made."""
    monkeypatch.setattr("sandbox.app.meddle", meddle_and_plant)
    for provider in PROVIDERS.values():
        for secrets in (provider.credentials, provider.push_credentials):
            changed: Any = secrets
            for key in secrets:
                if MARK not in changed[key]:
                    monkeypatch.setitem(changed, key, f"{MARK}-{provider.key}-{key}")
    monkeypatch.setattr(webhook, "async_generate_id", lambda: HEXADECIMAL)


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Let Home Assistant use the disk."""
    return {}


@pytest.fixture(autouse=True)
def _custom_integrations(recorder_mock: Recorder, enable_custom_integrations: None) -> None:
    """Begin with the recorder, which wants to be first."""


@dataclass
class Seen:
    """Everything that Home Assistant lets out, by where it was seen."""

    hass: HomeAssistant
    caplog: pytest.LogCaptureFixture
    texts: dict[str, set[str]] = field(default_factory=dict)

    def note(self, where: str, *values: object) -> None:
        """Keep what was seen somewhere."""
        self.texts.setdefault(where, set()).update(
            value if isinstance(value, str) else repr(value) for value in values
        )

    @callback
    def on_event(self, event: Event) -> None:
        """Keep what goes over the bus."""
        self.note("events", event.as_dict())

    def note_present(self, entry: ConfigEntry) -> None:
        """Keep what can be seen now: states, issues, registries, exceptions."""
        hass = self.hass
        self.note("states", *(state.as_dict() for state in hass.states.async_all()))
        self.note("issues", *(repr(issue) for issue in ir.async_get(hass).issues.values()))
        self.note("devices", *dr.async_get(hass)._data_to_save()["devices"])
        self.note("entities", *er.async_get(hass)._data_to_save()["entities"])
        self.note("entry", str(entry.reason), str(entry.error_reason_translation_placeholders))
        if entry.state is ConfigEntryState.LOADED and entry.runtime_data.coordinator.last_exception:
            self.note("exceptions", *in_chain(entry.runtime_data.coordinator.last_exception))

    def note_logs(self) -> None:
        """Keep what was logged, with the exceptions that came along."""
        formatter = logging.Formatter("%(name)s %(message)s")
        for record in self.caplog.records:
            if not record.name.startswith(ABOUT_REQUESTS):
                self.note("logs", formatter.format(record))

    def leaks(self) -> Iterator[str]:
        """Yield where the mark is, with what is around the first of each."""
        for where, texts in self.texts.items():
            for text in texts:
                if (at := text.lower().find(MARK)) >= 0:
                    yield f"{where}: …{text[max(0, at - 200) : at + 80]}…"
                    break


def in_chain(error: BaseException | None) -> Iterator[str]:
    """Yield what an exception says, and each of those that led to it."""
    while error is not None:
        yield f"{error!r} {error}"
        error = error.__cause__ or error.__context__


def stored_rows(hass: HomeAssistant) -> list[str]:
    """Return all that the recorder stored, of every table."""
    with session_scope(hass=hass, read_only=True) as session:
        tables = MetaData()
        tables.reflect(session.connection())
        assert {"states", "state_attributes", "events", "statistics"} <= tables.tables.keys()
        return [
            repr(tuple(row))
            for table in tables.sorted_tables
            for row in session.execute(select(table))
        ]


def stored_files(folder: Path) -> dict[str, str]:
    """Return every file, but for the one in which Home Assistant itself keeps entries."""
    return {
        str(path.relative_to(folder)): path.read_bytes().decode(errors="replace")
        for path in folder.rglob("*")
        if path.is_file() and path.name != "core.config_entries"
    }


@pytest.fixture
async def client(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator
) -> TestClient[Any, Any]:
    """Return a client of Home Assistant's web server, as the world knows it."""
    for domain in (DIAGNOSTICS_DOMAIN, REPAIRS_DOMAIN, SYSTEM_HEALTH_DOMAIN, "image", DOMAIN):
        assert await async_setup_component(hass, domain, {})
    await hass.config.async_update(external_url="https://ha.example")
    config = {
        "id": "tell",
        "alias": "Tell",
        "mode": "parallel",
        "triggers": [
            {"trigger": "crypto_invoices.paid"},
            {"trigger": "crypto_invoices.status_changed"},
        ],
        "actions": [
            {"variables": {"all": "{{ trigger }}"}},
            {"event": "told", "event_data": {"all": "{{ trigger }}"}},
        ],
    }
    assert await async_setup_component(hass, AUTOMATION_DOMAIN, {AUTOMATION_DOMAIN: config})
    return await hass_client_no_auth()


@pytest.fixture
def seen(hass: HomeAssistant, caplog: pytest.LogCaptureFixture) -> Seen:
    """Listen to everything from now on."""
    caplog.set_level(logging.DEBUG)
    for name in (DOMAIN, f"custom_components.{DOMAIN}", "homeassistant", "aiohttp"):
        caplog.set_level(logging.DEBUG, name)
    found = Seen(hass, caplog)
    hass.bus.async_listen(MATCH_ALL, found.on_event)
    return found


async def async_push(
    sandbox: SandboxServer, client: TestClient[Any, Any], entry: ConfigEntry, invoice_id: str
) -> None:
    """Push what is genuine, what is forged in each way, and nonsense with something private."""
    provider, path = entry.data["provider"], f"/api/webhook/{entry.data['webhook_id']}"
    postbacks = sandbox.sandbox.postbacks
    postbacks.target(provider, str(client.make_url(path)))
    for signature in Signature:
        await postbacks.send(provider, invoice_id, signature=signature)
    postbacks.target(provider, None)
    for body in (orjson.dumps(PRIVATE), orjson.dumps(PRIVATE)[:-9], b"memo=" + MARK.encode()):
        for kind in ("application/json", "application/x-www-form-urlencoded"):
            headers = {"Content-Type": kind, "BTCPay-Sig": f"sha256={HEXADECIMAL}"}
            await client.post(path, data=body, headers=headers)


async def async_enter_keys(
    hass: HomeAssistant, sandbox: SandboxServer, seen: Seen, entry: ConfigEntry
) -> None:
    """Enter wrong keys and then the right ones, if new ones are asked for."""
    for flow in hass.config_entries.flow.async_progress_by_handler(
        DOMAIN, match_context={"source": SOURCE_REAUTH}
    ):
        seen.note("dialogs", flow["context"])
        settings = sandbox.settings(entry.data["provider"])
        asked = {key: settings[key] for key in settings if key in ("api_key", "api_secret")}
        result: FlowResult = flow
        if result["step_id"] == "reauth_key":
            result = await async_submit(hass, result, {"next_step_id": "enter_key"})
        result = await async_submit(hass, result, dict.fromkeys(asked, f"wrong-{MARK}"))
        assert result["errors"]
        result = await async_submit(hass, result, asked)
        assert result["reason"] == "reauth_successful"
        await async_settle(hass)


@dataclass
class Life:
    """An account, and what it goes through."""

    hass: HomeAssistant
    sandbox: SandboxServer
    client: TestClient[Any, Any]
    hass_client: ClientSessionGenerator
    seen: Seen
    entry: ConfigEntry
    invoice_ids: list[str]

    @property
    def provider(self) -> str:
        """The key of its provider."""
        return str(self.entry.data["provider"])

    async def async_go_through_payments(self) -> None:
        """Pay, and tell by polls and pushes."""
        steps = zip(self.invoice_ids, (Action.PAY, Action.OVERPAY, Action.CANCEL), strict=False)
        for invoice_id, action in steps:
            if action in PROVIDERS[self.provider].actions:
                self.sandbox.store.act(self.provider, invoice_id, action)
            await async_later(self.hass)
            await async_push(self.sandbox, self.client, self.entry, invoice_id)
            await async_settle(self.hass)
            self.seen.note_present(self.entry)

    async def async_go_through_faults(self) -> None:
        """Have every trouble, for so long that it is told in repairs, and at a start."""
        for fault in Fault:
            with struck(self.sandbox, self.provider, fault):
                for _ in range(3 if fault in LASTING else 1):
                    await async_later(self.hass, 13 * 3600)
                    self.seen.note_present(self.entry)
                await async_push(self.sandbox, self.client, self.entry, self.invoice_ids[-1])
            await async_enter_keys(self.hass, self.sandbox, self.seen, self.entry)
            with struck(self.sandbox, self.provider, fault):
                await self.async_reload()
                self.seen.note(
                    "diagnostics", await async_get_config_entry_diagnostics(self.hass, self.entry)
                )
            await async_later(self.hass)
            await self.async_reload()
            assert self.entry.state is ConfigEntryState.LOADED, fault

    async def async_reload(self) -> None:
        """Begin anew, and read; keep what can be seen then."""
        await self.hass.config_entries.async_reload(self.entry.entry_id)
        await async_settle(self.hass)
        self.seen.note_present(self.entry)

    async def async_go_through_changes(self) -> None:
        """Change the keys: to wrong ones, and to what they were."""
        result: FlowResult = await self.hass.config_entries.flow.async_init(
            DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": self.entry.entry_id}
        )
        form = kept(result["data_schema"])
        self.seen.note("forms", form)
        result = await async_submit(self.hass, result, form | {"api_key": f"wrong-{MARK}"})
        assert result["errors"]
        result = await async_submit(self.hass, result, form)
        assert result["reason"] == "reconfigure_successful"
        await self.hass.async_block_till_done()

    async def async_ask_for_help(self) -> None:
        """Download what people share when they ask for help."""
        hass, entry, get = self.hass, self.entry, self.hass_client
        self.seen.note("diagnostics", await get_diagnostics_for_config_entry(hass, get, entry))
        for invoice_id in (None, *watched(entry)):
            device = dr.async_get(hass).async_get(device_id(hass, entry, invoice_id))
            assert isinstance(device, dr.DeviceEntry)
            self.seen.note(
                "diagnostics", await get_diagnostics_for_device(hass, get, entry, device)
            )
        self.seen.note("system health", await get_system_health_info(hass, DOMAIN))

    async def async_end(self, folder: Path) -> None:
        """Keep what was stored, and be removed."""
        hass = self.hass
        await async_wait_recording_done(hass)
        self.seen.note("recorder", *await hass.async_add_executor_job(stored_rows, hass))
        for buckets in hass.data[DATA_TRACE].values():
            self.seen.note("traces", *(trace.as_dict() for trace in buckets.all_traces()))
        hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
        await async_settle(hass)
        files = await hass.async_add_executor_job(stored_files, folder)
        book = f".storage/{DOMAIN}.{self.entry.entry_id}.db"
        # It has what an invoice may be named after, once somebody allows that: shown it isn't.
        files[book] = files[book].replace(PRIVATE["memo"], "")
        self.seen.note("files", *files.values())
        await hass.config_entries.async_remove(self.entry.entry_id)
        await async_settle(hass)
        self.seen.note_logs()


@each_provider
async def test_secrets_stay_secret(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    sandbox: SandboxServer,
    client: TestClient[Any, Any],
    add_account: AddAccount,
    seen: Seen,
    *,
    tmp_path: Path,
    provider: str,
) -> None:
    """Through a life with every trouble there is, no secret is seen anywhere."""
    sandbox.with_postback_secret = True
    result = await async_open_credentials(hass, provider)
    wrong = sandbox.credentials_form(provider, api_key=f"wrong-{MARK}")
    assert (await async_submit(hass, result, wrong))["errors"]
    lasting = timedelta(days=30)
    ids = [
        sandbox.store.create(provider, coin_chosen=True, expires_in=lasting).id for _ in range(4)
    ]
    entry = await add_account(provider, *ids)
    assert MARK in str(entry.data["api_key"])
    assert MARK in entry.data["webhook_id"]

    life = Life(hass, sandbox, client, hass_client, seen, entry, ids)
    await life.async_go_through_payments()
    await life.async_go_through_faults()
    await life.async_go_through_changes()
    await life.async_ask_for_help()
    await life.async_end(tmp_path)

    for where in ("events", "states", "issues", "exceptions", "logs", "recorder", "traces"):
        assert seen.texts[where], f"nothing was looked at: {where}"
    assert "invoices_gone" in str(seen.texts["issues"])
    assert "unreadable_answer" in str(seen.texts["issues"])
    assert "unknown_status" in str(seen.texts["issues"])
    assert seen.texts["dialogs"], "no new key was ever asked for"
    leaks = list(seen.leaks())
    assert not leaks, "\n".join(leaks)


class Wallet:
    """A Lightning server with one wallet, which repeats its key wherever it can."""

    key = f"{MARK}walletkey"
    invoice_id = "ab" * 32

    def __init__(self) -> None:
        """Begin with one invoice, well."""
        self.status = "pending"
        self.trouble: web.Response | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for the wallet or its payments."""
        key = request.headers.get("X-Api-Key")
        if self.trouble is not None:
            body, kind = self.trouble.body, self.trouble.content_type
            again = web.Response(body=body, status=self.trouble.status, content_type=kind)
            return plant(again, echo=str(dict(request.headers)))
        if key != self.key:
            return json_response({"detail": "Wallet not found.", "key": key}, status=404)
        if request.path.endswith("/wallet"):
            return json_response({"name": "till", "balance": 21_000})
        row = {
            "payment_hash": self.invoice_id,
            "checking_id": self.invoice_id,
            "amount": 21_000,
            "status": self.status,
            "bolt11": f"lnbc210n1{MARK}{'q' * 60}",
            "extra": PRIVATE,
        }
        return plant(json_response({"data": [row], "total": 1}))

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Tell of one payment, and hang up."""
        if self.trouble is not None:
            return json_response({"detail": str(request.url)}, status=500)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"payment": {"payment_hash": self.invoice_id} | PRIVATE})
        await socket.close()
        return socket


@pytest.fixture
async def wallet(socket_enabled: None) -> AsyncGenerator[tuple[Wallet, str]]:
    """Serve a wallet on loopback; give it and its address."""
    served, app = Wallet(), web.Application()
    app.router.add_get("/api/v1/ws/{key}", served.stream)
    app.router.add_route("*", "/api/v1/{path:.*}", served.answer)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    yield served, str(server.make_url("")).rstrip("/")
    await server.close()


TROUBLES = (
    json_response({"detail": "Wallet not found."}, status=404),
    json_response({"detail": "Wallet not found."}, status=401),
    json_response({"detail": "No."}, status=429),
    json_response({"detail": "No."}, status=500),
    json_response({"data": [{"payment_hash": Wallet.invoice_id, "status": "frozen"}]}),
    json_response({"data": [{"payment_hash": Wallet.invoice_id, "status": 7}]}),
    json_response({"data": []}),
    web.Response(body=PRIVATE["memo"].encode(), content_type="application/json"),
    web.Response(body=PRIVATE["memo"].encode(), content_type="text/html"),
)


async def test_wallet_stays_secret(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    sandbox: SandboxServer,
    client: TestClient[Any, Any],
    seen: Seen,
    wallet: tuple[Wallet, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key that is in the address of a stream, and what stands in a Lightning invoice, too."""
    monkeypatch.setattr(stream, "FIRST_DELAY", 0.0)
    served, url = wallet
    result = await async_open_credentials(hass, "lnbits")
    form = {"url": url, "api_key": f"wrong-{MARK}", "advanced": {"verify_ssl": True}}
    result = await async_submit(hass, result, form)
    result = await async_submit(hass, result, form | {"api_key": served.key})
    while result["type"] is FlowResultType.FORM and result["step_id"] == "lnbits":
        assert not result["errors"].keys() - {"url"}, result
        result = await async_submit(hass, result, form | {"api_key": served.key})
    result = await async_submit(hass, result, {"invoices": served.invoice_id})
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await async_settle(hass)
    entry = result["result"]
    life = Life(hass, sandbox, client, hass_client, seen, entry, [served.invoice_id])
    path = f"/api/webhook/{entry.data['webhook_id']}"

    async def look() -> None:
        if entry.state is ConfigEntryState.LOADED:
            CLOCK.passed += 13 * 3600
            make_due(entry)
            await entry.runtime_data.coordinator.async_refresh()
            await async_settle(hass)
        seen.note_present(entry)

    for trouble in TROUBLES:
        served.trouble = trouble
        for _ in range(3):
            await look()
        await client.post(path, json=PRIVATE | {"payment_hash": served.invoice_id})
        await client.post(path, data=orjson.dumps(PRIVATE))
        await hass.config_entries.async_reload(entry.entry_id)
        seen.note_present(entry)
        served.trouble = None
        for flow in hass.config_entries.flow.async_progress_by_handler(
            DOMAIN, match_context={"source": SOURCE_REAUTH}
        ):
            done = await async_submit(hass, flow, {"api_key": served.key})
            assert done["reason"] == "reauth_successful"
        await async_settle(hass)
        await hass.config_entries.async_reload(entry.entry_id)
        await async_settle(hass)
        assert entry.state is ConfigEntryState.LOADED
        await look()
    served.status = "success"
    await look()
    await look()
    status = find_entity(hass, entry, served.invoice_id, "status")
    assert status
    assert hass.states.is_state(status, "paid")
    await life.async_ask_for_help()
    await life.async_end(tmp_path)
    for where in ("events", "states", "exceptions", "logs", "recorder", "traces"):
        assert seen.texts[where], f"nothing was looked at: {where}"
    leaks = list(seen.leaks())
    assert not leaks, "\n".join(leaks)
