"""Reads the values in a provider's answer: lenient where a value is optional."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
import json
import math
import re
from typing import Any
from urllib.parse import urlsplit

import orjson
from yarl import URL

from .model import BadResponse

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONGEST_LINK = 2000
# More digits than any currency has: what is longer is not an amount.
_MAX_DIGITS = 60
# From here on, a float has no digit behind the point, and soon not all of those before it.
_EXACT_BELOW = 2.0**53
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_LOCAL_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?")

# No invoice is from before or for after. Whoever adds to a time at an edge of the calendar fails.
_YEARS = range(1970, 9000)
# Control characters, and halves of characters that no text can be encoded with.
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# Where the providers write why they refuse something.
_SAYS_WHY = ("result", "errors", "detail", "message", "error")
_LONGEST_REASON = 200
_DEEPEST_REASON = 3


def read_json(content: bytes) -> Any:
    """Return the JSON in a body, which may begin with a byte order mark.

    Raises ValueError. NaN and Infinity, which some servers write, become floats: whoever reads
    an amount refuses them, and nothing else in the answer is lost.
    """
    content = content.removeprefix(_BYTE_ORDER_MARK)
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        # Slower, and knows more than JSON has.
        try:
            return json.loads(content)
        except RecursionError as err:
            raise ValueError("nested too deep") from err


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
    if not isinstance(value, str) or not (word := _one_line(value)):
        raise BadResponse(f"{where} is {_kind(value)}, not a text")
    return word


def _one_line(text: str) -> str:
    """Return a text as one line that can be printed."""
    if UNPRINTABLE.search(text):
        text = " ".join(UNPRINTABLE.sub(" ", text).split())
    return text.strip()


def read_text(value: object) -> str | None:
    """Return an optional text; a number is a text too (order IDs often are), if it is exact."""
    if isinstance(value, str):
        return _one_line(value) or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not abs(value) < _EXACT_BELOW:
        # Its last digits were lost when it was decoded.
        return None
    try:
        return str(value)
    except ValueError:
        # An int with more digits than Python is willing to write.
        return None


def read_link(value: object) -> str | None:
    """Return an optional http(s) link; a browser should never be sent anywhere else."""
    link = value.strip() if isinstance(value, str) else ""
    if len(link) > _LONGEST_LINK or not link.startswith(("https://", "http://")):
        return None
    try:
        # Both, as one takes what the other doesn't.
        is_whole = bool(URL(link).host) and bool(urlsplit(link).hostname)
    except ValueError:
        return None
    return link if is_whole and link.isprintable() and " " not in link else None


def read_amount(value: object) -> Decimal | None:
    """Return an optional amount exactly as it was written, or None.

    JSON floats become the shortest decimal that they print as, so that 0.1
    stays 0.1. Raises BadResponse for what JSON has no number for: NaN and Infinity.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise BadResponse("an amount is not a number")
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
        moment = datetime.fromtimestamp(int(value) if isinstance(value, str) else value, UTC)
    except OverflowError, OSError, ValueError:
        # Also what is no number at all, and an int of thousands of digits.
        return None
    return moment if moment.year in _YEARS else None


def read_iso_time(value: object) -> datetime | None:
    """Return an optional time in ISO 8601, in UTC where it names no zone, or as unix time."""
    if not isinstance(value, str) or value.strip().isdecimal():
        return read_unix_time(value)
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return to_utc(moment, UTC)


def read_local_time(value: object, zone: tzinfo) -> datetime | None:
    """Return an optional time written without a zone, in the given zone."""
    if not isinstance(value, str) or not (match := _LOCAL_TIME.fullmatch(value.strip())):
        return None
    day, clock, fraction = match.groups()
    try:
        naive = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}")
    except ValueError:
        return None
    return to_utc(naive, zone)


def to_utc(moment: datetime, zone: tzinfo) -> datetime | None:
    """Return a time in UTC, written in the given zone where it has none of its own."""
    if moment.year not in _YEARS:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _without_trailing_zeros(digits: tuple[int, ...], exponent: int) -> tuple[tuple[int, ...], int]:
    """Drop the zeros behind the decimal point, but not those before it."""
    while exponent < 0 and len(digits) > 1 and digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    return ((0,), 0) if digits == (0,) else (digits, exponent)


def _kind(value: object) -> str:
    """Name a value's type, never the value: it may be private."""
    return "missing" if value is None else f"of type {type(value).__name__}"
