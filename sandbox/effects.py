"""What each fault does to an answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
import orjson

from .core import SANDBOX
from .faults import Fault, Faults
from .provider import INVOICES, Provider
from .wire import json_response

RETRY_AFTER = 7
DRIPS = 120
OVERSIZED_CHUNK = b'{"padding":"' + b"x" * 65_536 + b'"},'
OVERSIZED_CHUNKS = 256
HTML = "<!doctype html><title>Sandbox</title><h1>One moment, please</h1>"
EXTRA = {"sandbox_extra": {"list": [1, None, {"deep": True}], "text": "not in any contract"}}


@dataclass(frozen=True, slots=True)
class Call:
    """A request that a fault befalls."""

    request: web.Request
    handler: Handler
    provider: Provider
    kind: str
    faults: Faults


type Effect = Callable[[Call], Awaitable[web.StreamResponse]]


def _refuse(status: int, text: str, retry_after: Callable[[], str] | None = None) -> Effect:
    """Refuse with the provider's own kind of error."""

    async def effect(call: Call) -> web.StreamResponse:
        headers = {"Retry-After": retry_after()} if retry_after else None
        return json_response(call.provider.error(text), status=status, headers=headers)

    return effect


def _plain(status: int, content_type: str, text: str) -> Effect:
    """Answer with a fixed text."""

    async def effect(call: Call) -> web.StreamResponse:
        return web.Response(status=status, content_type=content_type, text=text)

    return effect


def _changed(change: Callable[[Call, Any], Any]) -> Effect:
    """Answer rightly, but for what is changed in the payload."""

    async def effect(call: Call) -> web.StreamResponse:
        response = await call.handler(call.request)
        if not isinstance(response, web.Response) or response.status != 200:
            return response
        return json_response(change(call, orjson.loads(_body(response))))

    return effect


def _body(response: web.StreamResponse) -> bytes:
    """Return the body of one of our own answers."""
    body = response.body if isinstance(response, web.Response) else None
    return body if isinstance(body, bytes) else b""


def _retry_date() -> str:
    """Return a moment shortly ahead, as HTTP writes it."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=RETRY_AFTER), usegmt=True)


def _wrong_type(value: object) -> object:
    """Return something of a type that the value's field never has."""
    match value:
        case bool():
            return "yes"
        case int() | float():
            return {"value": value}
        case str():
            return [value]
        case None:
            return 0
        case _:
            return "an object, once"


def _rows(call: Call, payload: Any) -> list[dict[str, Any]]:
    """Return the invoices in an answer; what stands for an unknown one is none."""
    rows = call.provider.rows(payload)
    return [row for row in (rows if isinstance(rows, list) else [rows]) if isinstance(row, dict)]


def _wrong_types(call: Call, payload: Any) -> Any:
    """Keep the rows and their ids, so that a client finds them, and spoil the rest."""
    provider = call.provider
    for row in _rows(call, payload):
        for key, value in row.items():
            if key == provider.row_status:
                row[key] = 7
            elif key != provider.row_id:
                row[key] = _wrong_type(value)
    return payload


def _unknown_status(call: Call, payload: Any) -> Any:
    """Give every invoice a status that no contract has, in the provider's own case."""
    field = call.provider.row_status
    for row in _rows(call, payload):
        if field in row:
            row[field] = "FROZEN" if str(row[field]).isupper() else "frozen"
    return payload


def _extra_fields(call: Call, payload: Any) -> Any:
    """Add fields that no contract has, at every level."""
    match payload:
        case dict():
            return {key: _extra_fields(call, value) for key, value in payload.items()} | EXTRA
        case list():
            return [_extra_fields(call, value) for value in payload]
        case _:
            return payload


async def _missing_rows(call: Call) -> web.StreamResponse:
    """Know none of the invoices."""
    if call.kind != INVOICES:
        return await call.handler(call.request)
    if not call.provider.batched:
        return json_response(call.provider.error("Invoice not found"), status=404)
    return await _changed(_without_rows)(call)


def _without_rows(call: Call, payload: Any) -> Any:
    """Take every row out."""
    call.provider.rows(payload).clear()
    return payload


async def _timeout(call: Call) -> web.StreamResponse:
    """Answer rightly, when nobody waits any more."""
    await call.faults.wait(call.request, call.faults.slow_seconds)
    return await call.handler(call.request)


async def _late_answer(call: Call) -> web.StreamResponse:
    """Do what was asked at once, and answer when nobody waits any more."""
    response = await call.handler(call.request)
    await call.faults.wait(call.request, call.faults.slow_seconds)
    return response


async def _cut_connection(call: Call) -> web.StreamResponse:
    """Do what was asked, and hang up."""
    response = await call.handler(call.request)
    if call.request.transport is not None:
        call.request.transport.abort()
    return response


async def _slow_body(call: Call) -> web.StreamResponse:
    """Promise a body, and let it drip until the time is up."""
    body = _body(await call.handler(call.request))
    stream = web.StreamResponse()
    stream.content_type = "application/json"
    stream.content_length = len(body)
    stream.force_close()
    await stream.prepare(call.request)
    drips = min(len(body), DRIPS)
    for position in range(drips):
        await stream.write(body[position : position + 1])
        if not await call.faults.wait(call.request, call.faults.slow_seconds / drips):
            break
    return stream


async def _truncated(call: Call) -> web.StreamResponse:
    """Send half of the JSON as if it were all of it."""
    body = _body(await call.handler(call.request))
    return web.Response(body=body[: len(body) // 2], content_type="application/json")


async def _redirect(call: Call) -> web.StreamResponse:
    """Send the client, and its credentials with it, elsewhere."""
    elsewhere = call.request.url.origin() / "_sandbox" / "elsewhere" / call.provider.key
    raise web.HTTPFound(elsewhere)


async def _oversized(call: Call) -> web.StreamResponse:
    """Send far more than any invoice needs, without saying how much it will be."""
    stream = web.StreamResponse()
    stream.content_type = "application/json"
    await stream.prepare(call.request)
    await stream.write(b'{"status":"success","result":[')
    for _ in range(OVERSIZED_CHUNKS):
        await stream.write(OVERSIZED_CHUNK)
    await stream.write(b"null]}")
    return stream


EFFECTS: Mapping[Fault, Effect] = {
    Fault.UNAUTHORIZED: _refuse(401, "Unauthenticated."),
    Fault.FORBIDDEN: _refuse(403, "Forbidden."),
    Fault.RATE_LIMITED: _refuse(429, "Too many requests."),
    Fault.RATE_LIMITED_SECONDS: _refuse(429, "Too many requests.", lambda: str(RETRY_AFTER)),
    Fault.RATE_LIMITED_DATE: _refuse(429, "Too many requests.", _retry_date),
    Fault.SERVER_ERROR: _refuse(500, "Server error."),
    Fault.BAD_GATEWAY: _plain(502, "text/html", HTML),
    Fault.TIMEOUT: _timeout,
    Fault.LATE_ANSWER: _late_answer,
    Fault.CUT_CONNECTION: _cut_connection,
    Fault.SLOW_BODY: _slow_body,
    Fault.TRUNCATED: _truncated,
    Fault.WRONG_TYPES: _changed(_wrong_types),
    Fault.MISSING_ROWS: _missing_rows,
    Fault.EXTRA_FIELDS: _changed(_extra_fields),
    Fault.UNKNOWN_STATUS: _changed(_unknown_status),
    Fault.HTML: _plain(200, "text/html", HTML),
    Fault.EMPTY: _plain(200, "application/json", ""),
    Fault.REDIRECT: _redirect,
    Fault.OVERSIZED: _oversized,
}


@web.middleware
async def meddle(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count what providers are asked, and let the present fault have its way."""
    sandbox = request.app[SANDBOX]
    found = sandbox.routes.get(request.match_info.route)
    if found is None:
        return await handler(request)
    provider, kind = found
    sandbox.requests[provider.key, kind] += 1
    fault = sandbox.faults.take(provider.key)
    if fault is None:
        return await handler(request)
    return await EFFECTS[fault](Call(request, handler, provider, kind, sandbox.faults))
