"""Reads the values in a provider's answer: lenient where a value is optional."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
import re
from typing import Any

import orjson

from .model import BadResponse

# More digits than any currency has: what is longer is not an amount.
_MAX_DIGITS = 60
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_LOCAL_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?")
# How many keys something is remembered for.
_MORE_THAN_ANYBODY_TRACKS = 50_000


# Where the providers write why they refuse something.
_SAYS_WHY = ("result", "errors", "detail", "message", "error")
_LONGEST_REASON = 200
_DEEPEST_REASON = 3


class LastRead[T]:
    """What was read last: what comes as it came last time needs no work."""

    def __init__(self, most: int = _MORE_THAN_ANYBODY_TRACKS) -> None:
        """Remember nothing yet; begin anew when there are more than so many keys."""
        self._most = most
        self._last: dict[str, tuple[int, T]] = {}

    def read(self, key: str, came: Hashable, parse: Callable[[], T]) -> T:
        """Return what it is parsed to, the identical object while the same comes again."""
        # The hash takes little memory; its secret seed lets nobody aim at another's.
        mark = hash(came)
        last = self._last.get(key)
        if last is not None and last[0] == mark:
            return last[1]
        value = parse()
        if len(self._last) >= self._most:
            self._last.clear()
        self._last[key] = (mark, value)
        return value


def as_it_came(row: object) -> bytes | None:
    """Return a row of an answer as bytes to compare, or None if it can't be written again."""
    try:
        return orjson.dumps(row)
    except TypeError:
        # Nested deeper than is written.
        return None


def read_object(value: object, where: str) -> Mapping[str, Any]:
    """Return a JSON object, or raise BadResponse."""
    if not isinstance(value, dict):
        raise BadResponse(f"{where} is {_kind(value)}, not an object")
    return value


def read_word(value: object, where: str) -> str:
    """Return a text that isn't empty, or raise BadResponse."""
    if not isinstance(value, str) or not value.strip():
        raise BadResponse(f"{where} is {_kind(value)}, not a text")
    return value.strip()


def read_text(value: object) -> str | None:
    """Return an optional text; a number is a text too (order ids often are)."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return str(value)
    except ValueError:
        # An int with more digits than Python is willing to write.
        return None


def read_link(value: object) -> str | None:
    """Return an optional http(s) link; a browser should never be sent anywhere else."""
    link = read_text(value)
    return link if link and link.startswith(("https://", "http://")) else None


def read_amount(value: object) -> Decimal | None:
    """Return an optional amount exactly as it was written, or None.

    JSON floats become the shortest decimal that they print as, so that 0.1
    stays 0.1.
    """
    text = str(value) if isinstance(value, Decimal) else read_text(value)
    # Decimal itself is more lenient: it takes 1_000 and the digits of any script.
    if text is None or len(text) > 2 * _MAX_DIGITS or not _NUMBER.fullmatch(text):
        return None
    amount = Decimal(text)
    sign, digits, exponent = amount.as_tuple()
    if len(digits) > _MAX_DIGITS or abs(int(exponent)) > _MAX_DIGITS:
        return None
    if exponent == 0 or not isinstance(value, float):
        return amount
    # A float has no trailing zeros of its own: 25.0 was written as 25.
    digits, exponent = _without_trailing_zeros(digits, int(exponent))
    return Decimal((sign if any(digits) else 0, digits, exponent))


def read_reason(payload: object, secrets: Iterable[str | None] = ()) -> str:
    """Return the reason that an answer gives for a refusal, in one short line, or nothing.

    An answer may repeat what it was asked with: secrets in it are blanked.
    """
    if isinstance(payload, dict):
        payload = _first(payload, *_SAYS_WHY)
    line = " ".join("; ".join(_reasons(payload)).split())
    for secret in filter(None, secrets):
        line = line.replace(secret, "***")
    return "".join(filter(str.isprintable, line))[:_LONGEST_REASON]


def _reasons(value: object, name: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the texts in a reason, with the names of the fields that they are about."""
    if isinstance(value, str) and value.strip():
        yield f"{name}: {value}" if name else value
    elif depth > _DEEPEST_REASON:
        return
    elif isinstance(value, dict) and isinstance(text := _first(value, "msg", "message"), str):
        where = _first(value, "loc", "path")
        where = where[-1] if isinstance(where, list) else where
        yield from _reasons(text, where if isinstance(where, str) else name, depth + 1)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _reasons(inner, str(key), depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _reasons(inner, name, depth + 1)


def _first(fields: Mapping[str, Any], *names: str) -> object:
    """Return the first of these fields that says something."""
    return next((fields[name] for name in names if fields.get(name)), None)


def read_unix_time(value: object) -> datetime | None:
    """Return an optional time given in seconds since 1970 (UTC)."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and not value.strip().isdecimal():
        return None
    try:
        return datetime.fromtimestamp(int(value) if isinstance(value, str) else value, UTC)
    except OverflowError, OSError, ValueError:
        # Also what is no number at all, and an int of thousands of digits.
        return None


def read_local_time(value: object, zone: tzinfo) -> datetime | None:
    """Return an optional time written without a zone, in the given zone."""
    if not isinstance(value, str) or not (match := _LOCAL_TIME.fullmatch(value.strip())):
        return None
    day, clock, fraction = match.groups()
    try:
        naive = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}")
        return naive.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError, ValueError:
        return None


def _without_trailing_zeros(digits: tuple[int, ...], exponent: int) -> tuple[tuple[int, ...], int]:
    """Drop the zeros behind the decimal point, but not those before it."""
    while exponent < 0 and len(digits) > 1 and digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    return ((0,), 0) if digits == (0,) else (digits, exponent)


def _kind(value: object) -> str:
    """Name a value's type, never the value: it may be private."""
    return "missing" if value is None else f"of type {type(value).__name__}"
