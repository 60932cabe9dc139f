"""Carries requests to the sandbox's handlers and pushes to the webhooks, without a socket."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Set as AbstractSet
from email.utils import format_datetime
from typing import Any, Self

from aiohttp import ServerDisconnectedError, WSMessage, WSMsgType, web
from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.streams import StreamReader
from multidict import CIMultiDict, CIMultiDictProxy
import orjson
from yarl import URL

from custom_components.crypto_invoices.providers.http import MAX_ANSWER_BYTES
from sandbox.core import SANDBOX
from sandbox.lnbits import LISTENERS
from sandbox.lnbits_row import CHECKED
from sandbox.lnbits_socket import _Listener

from .chance import Chance
from .log import Log
from .weather import ANSWERED, Weather

ADDRESS = "http://127.0.0.1:8124"
# Kinds of requests that change nothing: their answer is the same until something changes.
_READING = frozenset(
    {"invoices", "list", "payments", "balance", "wallet", "payment methods", "key"}
)
_MOST_REMEMBERED = 200
# What the addresses of lists have, and others haven't.
_LISTS = ("startDate=", "/merchant/list", "time%5Bge%5D")
# Where news take a while, they take no longer: what is old for longer has to be believed.
_LAG = 100.0
# So many of the answers there come from a machine that has not heard them yet.
_OLD_NEWS = 0.5
# How often an invoice is listed late, and how late, in seconds.
_LISTED_LATE, _LATEST = 0.5, 300.0
# So many answers are slow in any weather.
_SLOW = 0.02


class _Transport:
    """What a handler looks at to see whether somebody is still there."""

    def abort(self) -> None:
        """Hang up."""


class _Protocol:
    """The server's side of a connection that isn't there."""

    ssl_context = peername = sockname = None
    transport = _Transport()
    _reading_paused = False

    def resume_reading(self, **how: object) -> None:
        """Go on, as it always does."""


class Content:
    """The body of an answer."""

    def __init__(self, body: bytes, padding: int) -> None:
        """Keep it, and how many bytes follow that say nothing."""
        self._body = body
        self._padding = padding

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Yield all of it."""
        yield self._body
        if self._padding:
            yield bytes(self._padding)


class Answer:
    """An answer as a client sees it."""

    def __init__(
        self, status: int, headers: Mapping[str, str], body: bytes, padding: int = 0
    ) -> None:
        """Keep it."""
        self.status = status
        self.headers = headers
        self.body = body
        self.content = Content(body, padding)


class Exchange:
    """A request that is answered within ``async with``."""

    def __init__(self, answering: Callable[[], Any]) -> None:
        """Keep what answers."""
        self._answering = answering

    async def __aenter__(self) -> Any:
        """Return the answer, or raise what a client would see."""
        return await self._answering()

    async def __aexit__(self, *args: object) -> None:
        """Hang up."""


class Session:
    """Stands in for Home Assistant's client session: requests go to the sandbox's handlers."""

    closed = False

    def __init__(
        self,
        app: web.Application,
        chance: Chance,
        dated: AbstractSet[str],
        late: AbstractSet[str],
        weather: Weather,
        log: Log,
    ) -> None:
        """Keep whom to ask."""
        self._dates, self._late = dated, late
        self._app = app
        self._sandbox = app[SANDBOX]
        self._loop = asyncio.get_event_loop()
        self._chance = chance.of("wire")
        self._weather = weather
        self._log = log
        self._remembered: dict[tuple[Any, ...], Answer] = {}
        self._old: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}
        """What was said of an invoice where news take a while, and when that was."""
        self._listed_from: dict[tuple[str, str], float] = {}
        """From when on an invoice is listed where that takes a while."""
        self._valid_for: tuple[int, ...] = ()
        self._generation = 0
        self.requests = 0
        self._sandbox.store.subscribe(self._changed)

    def _changed(self, change: object) -> None:
        """Note that answers are other ones from now on."""
        self.note_time()

    def note_time(self) -> None:
        """Note that answers may be other ones from now on."""
        self._generation += 1

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str],
        timeout: Any,
        allow_redirects: bool,
    ) -> Exchange:
        """Make a request."""
        assert not allow_redirects
        return Exchange(
            lambda: self._async_answer(method, url, params, data, headers, timeout.total)
        )

    async def _async_answer(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        data: bytes | None,
        headers: Mapping[str, str],
        longest: float,
    ) -> Answer:
        """Answer as the provider does in the present weather, after a while."""
        self.requests += 1
        address = URL(url) if params is None else URL(url).update_query(params)
        provider = self._provider_of(address.path)
        weather = self._weather.of(provider)
        if weather is None and self._chance.random() < _SLOW:
            weather = "slow"
        self._log.write(f"{provider} {method} {address.raw_path_qs} {weather or ''}")
        await asyncio.sleep(self._chance.uniform(0.02, 0.4))
        match weather:
            case "no connection":
                raise ServerDisconnectedError
            case "no answer":
                await asyncio.sleep(longest)
                raise TimeoutError
        answer = await self._async_ask(method, address, data, headers, weather)
        match weather:
            case "late":
                await asyncio.sleep(longest)
                raise TimeoutError
            case "cut":
                raise ServerDisconnectedError
            case "slow":
                await asyncio.sleep(self._chance.uniform(1, 13))
        if provider in self._late and any(name in str(address) for name in _LISTS):
            answer = self._spoiled(provider, answer, "listed late")
        return self._spoiled(provider, answer, weather)

    def _spoiled(self, provider: str, answer: Answer, weather: str | None) -> Answer:
        """Return what the weather leaves of an answer."""
        body, padding = answer.body, 0
        match weather:
            case "half":
                body = body[: len(body) // 2]
            case "doubled":
                body = _doubled(body)
            case "lag":
                body = self._aged(provider, body)
            case "listed late":
                body = self._without_new(provider, body)
            case "too large" if _rows(body) > 1:
                padding = MAX_ANSWER_BYTES
            case _:
                return answer
        return Answer(answer.status, answer.headers, body, padding)

    def _provider_of(self, path: str) -> str:
        """Return whose address it is."""
        for start, key in _PATHS:
            if path.startswith(start):
                return key
        raise AssertionError(f"nobody has the address {path}")

    async def _async_ask(
        self,
        method: str,
        address: URL,
        data: bytes | None,
        headers: Mapping[str, str],
        weather: str | None,
    ) -> Answer:
        """Ask the handler, unless nothing has changed since it was asked that."""
        provider = self._provider_of(address.path)
        if weather in ANSWERED:
            self._sandbox.faults.switch(provider, weather, count=1)
            return await self._async_handle(method, address, data, headers)
        key = (method, address, data, headers.get("Authorization"), headers.get("X-Api-Key"))
        valid_for = (self._generation, len(self._app[CHECKED]))
        if valid_for != self._valid_for:
            self._valid_for = valid_for
            self._remembered.clear()
        answer = self._remembered.get(key)
        if answer is None:
            before = self._sandbox.requests.copy()
            answer = await self._async_handle(method, address, data, headers)
            kinds = {kind for _, kind in self._sandbox.requests - before}
            if kinds <= _READING and len(self._remembered) < _MOST_REMEMBERED:
                self._remembered[key] = answer
        return Answer(answer.status, self._dated(provider, answer.headers), answer.body)

    def _aged(self, provider: str, body: bytes) -> bytes:
        """Return an answer of a machine that may not have heard the latest of each invoice yet."""
        payload, _ = _lists(body)
        if len(self._old) > _MOST_REMEMBERED:
            self._old.clear()
        name, now = self._sandbox.providers[provider].row_id, self._loop.time()
        for row in _dicts_with(name, payload):
            invoice = provider, str(row[name])
            said_at, old = self._old.get(invoice, (-_LAG, row))
            if now >= said_at + _LAG:
                self._old[invoice] = now, dict(row)
            elif self._chance.random() < _OLD_NEWS:
                row.clear()
                row.update(old)
        return body if payload is None else orjson.dumps(payload)

    def _without_new(self, provider: str, body: bytes) -> bytes:
        """Return an answer without invoices that are not listed yet, though others are."""
        payload, lists = _lists(body)
        if len(self._listed_from) > _MOST_REMEMBERED:
            self._listed_from.clear()
        name, now = self._sandbox.providers[provider].row_id, self._loop.time()
        for rows in lists:
            for row in _dicts_with(name, rows):
                if (invoice := (provider, str(row[name]))) not in self._listed_from:
                    is_late = self._chance.random() < _LISTED_LATE
                    late = self._chance.uniform(0, _LATEST) if is_late else 0.0
                    self._listed_from[invoice] = now + late
            rows[:] = [
                row
                for row in rows
                if not isinstance(row, dict)
                or self._listed_from.get((provider, str(row.get(name))), now) <= now
            ]
        return orjson.dumps(payload) if lists else body

    def _dated(self, provider: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return an answer's headers with the time at the server, if that says it."""
        if provider not in self._dates:
            return headers
        now = self._sandbox.store.clock()
        return {**headers, "Date": format_datetime(now, usegmt=True)}

    async def _async_handle(
        self, method: str, address: URL, data: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        """Let the sandbox's handler answer."""
        protocol: Any = _Protocol()
        sent = CIMultiDict(headers)
        sent["Host"] = f"{address.host}:{address.port}"
        body = StreamReader(protocol, 2**20, loop=self._loop)
        if data:
            sent["Content-Length"] = str(len(data))
            body.feed_data(data)
        body.feed_eof()
        message = RawRequestMessage(
            method,
            address.raw_path_qs,
            HttpVersion11,
            CIMultiDictProxy(sent),
            (),
            should_close=False,
            compression=None,
            upgrade=False,
            chunked=False,
            url=URL(address.raw_path_qs, encoded=True),
        )
        task: Any = asyncio.current_task()
        writer: Any = None
        request = web.Request(message, body, protocol, writer, task, self._loop)
        try:
            response = await self._app._handle(request)
        except web.HTTPException as err:
            response = err
        assert isinstance(response, web.Response)
        content = response.body if isinstance(response.body, bytes) else b""
        return Answer(
            response.status, self._dated(self._provider_of(address.path), response.headers), content
        )


def _doubled(body: bytes) -> bytes:
    """Return an answer with each of its invoices twice, if it has several."""
    payload, lists = _lists(body)
    for rows in lists:
        rows.extend(rows[:])
    return orjson.dumps(payload) if lists else body


def _rows(body: bytes) -> int:
    """Return how many invoices an answer has."""
    _, lists = _lists(body)
    return max(map(len, lists), default=0)


def _dicts_with(name: str, payload: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects in an answer that have a value of this name."""
    if isinstance(payload, dict):
        if name in payload:
            yield payload
            return
        payload = list(payload.values())
    if isinstance(payload, list):
        for value in payload:
            yield from _dicts_with(name, value)


def _lists(body: bytes) -> tuple[Any, list[list[Any]]]:
    """Return what an answer says, and the lists in it."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None, []
    places = [payload, *(payload.values() if isinstance(payload, dict) else ())]
    return payload, [rows for rows in places if isinstance(rows, list)]


_PATHS = (
    ("/v2/", "cryptocloud"),
    ("/api/v1/stores", "btcpay"),
    ("/api/v1/api-keys", "btcpay"),
    ("/api/v1/health", "btcpay"),
    ("/api/v1/invoices", "btcpay"),
    ("/api/external", "egates"),
    ("/api/v1/", "lnbits"),
    ("/openapi.json", "lnbits"),
    ("/orders/", "own_api"),
)


class Socket:
    """Both ends of a connection to LNbits that isn't there."""

    def __init__(self, session: Session, item: str) -> None:
        """Connect."""
        self._messages: asyncio.Queue[str] = asyncio.Queue()
        server: Any = self
        self._listener = _Listener(server, item)
        self._listeners = session._app[LISTENERS]
        self._listeners._all[self._listener] = None
        self._writer = asyncio.get_running_loop().create_task(self._listener.write())

    async def send_str(self, text: str) -> None:
        """Send something to the client."""
        self._messages.put_nowait(text)

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        return self

    async def __aexit__(self, *args: object) -> None:
        """Hang up."""
        self._listeners._all.pop(self._listener, None)
        self._writer.cancel()

    def __aiter__(self) -> Socket:
        """Listen."""
        return self

    async def __anext__(self) -> WSMessage:
        """Return the next message; an empty one ends the connection."""
        if not (text := await self._messages.get()):
            raise StopAsyncIteration
        return WSMessage(WSMsgType.TEXT, text, None)
