"""JSON in and out."""

from collections.abc import Mapping
import hmac
from typing import Any

from aiohttp import web
import orjson

from .states import SandboxError


def json_response(
    data: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer with JSON."""
    return web.Response(
        body=orjson.dumps(data), status=status, headers=headers, content_type="application/json"
    )


async def json_object(request: web.Request) -> dict[str, Any]:
    """Return the JSON object that was sent, or raise."""
    if request.content_type != "application/json":
        raise SandboxError("the body must be application/json")
    try:
        data = orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise SandboxError(f"the body is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise SandboxError("the body must be a JSON object")
    return data


def same(given: str, wanted: str) -> bool:
    """Compare in constant time, whatever bytes a header may carry."""
    return hmac.compare_digest(
        given.encode(errors="surrogateescape"), wanted.encode(errors="surrogateescape")
    )
