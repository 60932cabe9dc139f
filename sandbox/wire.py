"""JSON in and out."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
import hmac
from ipaddress import ip_address
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


def as_amount(value: object) -> Decimal:
    """Return the amount that was sent as text or number."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise SandboxError("amount must be a number, or text that is one")
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise SandboxError(f"amount is not a number: {value}") from error


def whole_number(
    data: Mapping[str, Any], name: str, least: int, most: int | None = None
) -> int | None:
    """Return a whole number from what was sent, or None where it wasn't."""
    value = data.get(name)
    if value is None:
        return None
    if type(value) is not int or value < least or (most is not None and value > most):
        upto = "" if most is None else f" and at most {most}"
        raise SandboxError(f"{name} must be a whole number of at least {least}{upto}")
    return value


def refuse_unknown(data: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raise for names that mean nothing here: a slip should not pass in silence."""
    if unknown := sorted(set(data) - set(names)):
        raise SandboxError(f"unknown: {', '.join(unknown)}; there are {', '.join(names)}")


def is_loopback(host: str) -> bool:
    """Say whether only this machine is reached by that name or address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def number(data: Mapping[str, Any], name: str, most: float) -> float | None:
    """Return a number that isn't negative from what was sent, or None where it wasn't."""
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise SandboxError(f"{name} must be a number from 0 to {most:g}")
    return value
