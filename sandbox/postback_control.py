"""The control API for what is posted back: where to, how, and on demand."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from .core import SANDBOX
from .postback import Postbacks
from .states import SandboxError, known
from .wire import json_object, json_response, number, refuse_unknown, whole_number

MOST_AT_ONCE = 100
MOST_TIMES = 10_000
MOST_RETRIES = 100
LONGEST = 3600
SHOWN = 100
TARGET = ("url", "format", "signature", "on", "retries", "retry_delay")
SENDING = (
    "invoice_id",
    "order",
    "times",
    "delay",
    "at_once",
    "format",
    "signature",
    "state",
)


@web.middleware
async def note_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Remember under which address the sandbox is known, for the links in what is posted."""
    request.app[SANDBOX].postbacks.origin = str(request.url.origin())
    return await handler(request)


def describe(postbacks: Postbacks, provider: str, limit: int) -> dict[str, Any]:
    """Describe where a provider posts to, and the last deliveries, oldest first."""
    newest = islice(reversed(known(postbacks.deliveries, provider)), limit)
    return {
        "target": postbacks.targets.get(provider),
        "deliveries": list(newest)[::-1],
    }


def given(data: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """Return the options that were sent, and of these values those that are any."""
    words = {name: data.get(name) for name in ("format", "signature", "state")}
    return {name: value for name, value in (words | values).items() if value is not None}


def _texts(name: str, value: object) -> list[str]:
    """Return the list of texts that was sent."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    raise SandboxError(f"{name} must be a list of texts")


def _invoice_ids(data: Mapping[str, Any]) -> list[str]:
    """Return the ids that were sent: one, or some in their order."""
    match data:
        case {"order": order} if "invoice_id" not in data:
            return _texts("order", order)
        case {"invoice_id": str(invoice_id)} if "order" not in data:
            return [invoice_id]
    raise SandboxError("there must be either an invoice_id, which is text, or an order")


async def _get_postbacks(request: web.Request) -> web.Response:
    """Tell where a provider posts to, and what came of it; `?limit=` says how much of that."""
    limit = request.query.get("limit", str(SHOWN))
    if not (limit.isascii() and limit.isdigit()):
        raise SandboxError("limit must be a whole number")
    provider = request.match_info["provider"]
    return json_response(describe(request.app[SANDBOX].postbacks, provider, int(limit)))


async def _post_postbacks(request: web.Request) -> web.Response:
    """Choose where a provider posts to, and how."""
    data, provider = await json_object(request), request.match_info["provider"]
    refuse_unknown(data, TARGET)
    if "url" not in data or not isinstance(data["url"], str | None):
        raise SandboxError("url must be text, or null for nowhere")
    postbacks = request.app[SANDBOX].postbacks
    options = given(
        data,
        on=None if data.get("on") is None else _texts("on", data["on"]),
        retries=whole_number(data, "retries", 0, MOST_RETRIES),
        retry_delay=number(data, "retry_delay", LONGEST),
    )
    postbacks.target(provider, data["url"], **options)
    return json_response(describe(postbacks, provider, SHOWN))


async def _post_send(request: web.Request) -> web.Response:
    """Post about one invoice or some, now or later, and tell what came of it."""
    data, provider = await json_object(request), request.match_info["provider"]
    refuse_unknown(data, SENDING)
    invoice_ids = _invoice_ids(data)
    times = whole_number(data, "times", 1, MOST_TIMES) or 1
    if len(invoice_ids) * times > MOST_TIMES:
        raise SandboxError(f"at most {MOST_TIMES} can be sent")
    deliveries = await request.app[SANDBOX].postbacks.send(
        provider,
        *invoice_ids,
        times=times,
        delay=number(data, "delay", LONGEST) or 0,
        at_once=whole_number(data, "at_once", 1, MOST_AT_ONCE) or 1,
        **given(data),
    )
    return json_response(deliveries)


ROUTES = (
    web.get("/_sandbox/postbacks/{provider}", _get_postbacks),
    web.post("/_sandbox/postbacks/{provider}", _post_postbacks),
    web.post("/_sandbox/postbacks/{provider}/send", _post_send),
)
