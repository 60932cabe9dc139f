"""What a person does in the frontend, over the same public API."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Self

import aiohttp

from . import DemoError
from .config_dir import PASSWORD, USER
from .websocket import Json, WebSocket

ENTRIES = "/api/config/config_entries"
PATIENCE = aiohttp.ClientTimeout(total=60)


class ApiError(DemoError):
    """Home Assistant refused a request."""

    def __init__(self, method: str, url: str, status: int, text: str) -> None:
        """Keep the status beside the message."""
        super().__init__(f"{method} {url}: {status} {text[:500]}")
        self.status = status


class Client:
    """A logged-in user of a running Home Assistant."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str, ws: WebSocket) -> None:
        """Take what a login gave."""
        self._session = session
        self.url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self.ws = ws

    @classmethod
    @asynccontextmanager
    async def login(
        cls, url: str, user: str = USER, password: str = PASSWORD
    ) -> AsyncGenerator[Self]:
        """Log in as the login page does."""
        async with aiohttp.ClientSession(timeout=PATIENCE) as session:
            token = (await log_in(session, url, user, password))["access_token"]
            ws = await WebSocket.connect(session, url, token)
            try:
                yield cls(session, url, token, ws)
            finally:
                await ws.close()

    async def request(self, method: str, path: str, body: Json | None = None) -> Any:
        """Make a request and return what its JSON says."""
        return await _request(self._session, method, self.url + path, body, self._headers)

    async def download(self, path: str) -> bytes:
        """Return a file, such as a picture."""
        async with self._session.get(self.url + path, headers=self._headers) as answer:
            if answer.status != HTTPStatus.OK:
                raise ApiError("GET", path, answer.status, await answer.text())
            return await answer.read()

    async def config_entries(self, domain: str) -> list[Json]:
        """Return an integration's config entries."""
        entries: list[Json] = await self.request("GET", f"{ENTRIES}/entry?domain={domain}")
        return entries

    async def delete_config_entry(self, entry_id: str) -> None:
        """Remove a config entry with its devices and entities."""
        await self.request("DELETE", f"{ENTRIES}/entry/{entry_id}")

    async def config_flow(self, domain: str) -> Flow:
        """Start to add an integration."""
        return await Flow.start(self, f"{ENTRIES}/flow", domain)

    async def subentry_flow(self, entry_id: str, kind: str) -> Flow:
        """Start to add a subentry to a config entry."""
        return await Flow.start(self, f"{ENTRIES}/subentries/flow", [entry_id, kind])

    async def call(self, action: str, data: Json | None = None, *, answers: bool = False) -> Any:
        """Run an action, wait for its end and return its response if it has one."""
        domain, service = action.split(".")
        result = await self.ws.command(
            "call_service",
            domain=domain,
            service=service,
            service_data=data or {},
            return_response=answers,
        )
        return result["response"] if answers else None

    async def save_automation(self, key: str, automation: Json) -> None:
        """Create or replace an automation; it is active when this returns."""
        await self.request("POST", f"/api/config/automation/config/{key}", automation)

    async def registered_entities(self, platform: str) -> list[Json]:
        """Return an integration's entries in the entity registry."""
        entries = await self.ws.command("config/entity_registry/list")
        return [entry for entry in entries if entry["platform"] == platform]

    async def devices(self, config_entry_id: str) -> list[Json]:
        """Return a config entry's devices."""
        devices = await self.ws.command("config/device_registry/list")
        return [device for device in devices if config_entry_id in device["config_entries"]]

    async def notifications(self) -> dict[str, Json]:
        """Return the persistent notifications by their ids."""
        shown = await self.ws.command("persistent_notification/get")
        return {notification["notification_id"]: notification for notification in shown}

    async def wait_for_notification(self, key: str, patience: float) -> Json:
        """Wait until a persistent notification is shown, and return it."""
        try:
            async with (
                asyncio.timeout(patience),
                self.ws.subscribe("persistent_notification/subscribe") as following,
            ):
                shown: dict[str, Json] = {}
                while key not in shown:
                    shown = (await following())["notifications"]
                return shown[key]
        except TimeoutError:
            raise DemoError(f"no notification within {patience:.0f} seconds") from None


class Flow:
    """A dialog that is being clicked through."""

    def __init__(self, client: Client, path: str, result: Json) -> None:
        """Take what the first request answered."""
        self._client = client
        self._path = path
        self.result = result

    @classmethod
    async def start(cls, client: Client, path: str, handler: str | list[str]) -> Self:
        """Open the dialog."""
        body = {"handler": handler, "show_advanced_options": False}
        return cls(client, path, await client.request("POST", path, body))

    async def submit(self, **fields: Any) -> Self:
        """Fill in the form and press the button."""
        path = f"{self._path}/{self.result['flow_id']}"
        self.result = await self._client.request("POST", path, fields)
        return self

    async def choose(self, option: str) -> Self:
        """Choose from the menu."""
        return await self.submit(next_step_id=option)

    def expect(self, kind: str, step: str | None = None) -> Self:
        """Say plainly when the dialog shows something else than it should."""
        got = self.result
        if got["type"] != kind or (step and got.get("step_id") != step):
            told = got.get("errors") or got.get("reason") or got.get("step_id")
            hints = got.get("description_placeholders") or {}
            raise DemoError(
                f"set-up of {got.get('handler')} came to {got['type']} ({told}) "
                f"instead of {kind}{f' {step}' if step else ''}",
                *(f"{name}: {text}" for name, text in hints.items()),
            )
        return self


async def log_in(
    session: aiohttp.ClientSession, url: str, user: str = USER, password: str = PASSWORD
) -> Json:
    """Log in as the login page does, and return the tokens of it."""
    client_id = f"{url}/"
    handler = {"client_id": client_id, "handler": ["homeassistant", None], "redirect_uri": url}
    flow = await _request(session, "POST", f"{url}/auth/login_flow", handler)
    credentials = {"client_id": client_id, "username": user, "password": password}
    step = f"{url}/auth/login_flow/{flow['flow_id']}"
    result = await _request(session, "POST", step, credentials)
    if result["type"] != "create_entry":
        raise DemoError(f"the login as {user} was refused: {result.get('errors')}")
    form = {"client_id": client_id, "grant_type": "authorization_code", "code": result["result"]}
    async with session.post(f"{url}/auth/token", data=form) as answer:
        if answer.status != HTTPStatus.OK:
            raise ApiError("POST", str(answer.url), answer.status, await answer.text())
        tokens: Json = await answer.json()
        return tokens


async def _request(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    body: Json | None = None,
    headers: dict[str, str] | None = None,
) -> Any:
    try:
        async with session.request(method, url, json=body, headers=headers) as answer:
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise ApiError(method, url, answer.status, await answer.text())
            return await answer.json()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise DemoError(f"{method} {url}: {error or type(error).__name__}") from error
