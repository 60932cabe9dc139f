"""What a user sees of an answer before anything is saved: short, masked, beside what is read."""

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
import json
from typing import Any

from ..model import BadResponse, InvoiceStatus
from ..parse import UNPRINTABLE, read_link, read_text
from ..preview import Preview, PreviewRow, SettingFlaw
from .amounts import CommaUnclear, read_currency, read_written
from .fields import PATHS
from .keys import is_name_of_key
from .paths import Missing, inside
from .reading import HasHtml, Reading, read_status_word, read_time

MASK = "***"
_LONGEST_TEXT = 120
_MOST_ENTRIES = 5
_MOST_FIELDS = 60
_DEEPEST = 8
_LONGEST_ANSWER = 6000
_ELLIPSIS = "…"
_UNKNOWN = "?"
_NOT_READ = {
    "amount_path": SettingFlaw.NO_AMOUNT,
    "received_path": SettingFlaw.NO_AMOUNT,
    "currency_path": SettingFlaw.CURRENCY_INVALID,
    "expiry_path": SettingFlaw.NO_TIME,
    "page_path": SettingFlaw.NO_LINK,
}


def make_preview(reading: Reading, payload: object, secrets: Iterable[str]) -> Preview:
    """Return what is read from an answer, or why it isn't."""
    secrets = [secret for secret in secrets if secret]
    shown = _shorten(payload, secrets, 0)
    rows: list[PreviewRow] = []
    flaws: dict[str, SettingFlaw] = {}
    missing: set[str] = set()
    there: dict[str, None] = {}
    for key in PATHS:
        if (path := reading.paths.get(key)) is None:
            continue
        found: Any = None
        try:
            found = path.find(payload)
        except Missing as err:
            there |= dict.fromkeys(err.there)
        value, flaw = (None, None) if found is None else _read(reading, key, found, payload)
        if found is None:
            _add_nothing(key, flaws, missing)
        elif flaw is not None:
            flaws[key] = flaw
            there |= dict.fromkeys(inside(found, path.steps))
        is_leaf = found is not None and not isinstance(found, dict | list)
        is_secret = is_name_of_key(path.steps[-1])
        shown_as = MASK if is_secret else _text(found, secrets)
        rows.append(
            PreviewRow(
                path=path.text,
                found=shown_as if is_leaf else None,
                value=_masked(value, secrets, is_secret=is_secret),
            )
        )
    return Preview(
        answer=_dump(shown),
        rows=tuple(rows),
        flaws=flaws,
        missing=frozenset(missing),
        there=tuple(there),
    )


def _masked(
    value: str | InvoiceStatus | None, secrets: list[str], *, is_secret: bool
) -> str | InvoiceStatus | None:
    """Return what is read as it is shown."""
    if value is None or isinstance(value, InvoiceStatus):
        return value
    return MASK if is_secret else _text(value, secrets)


def _add_nothing(key: str, flaws: dict[str, SettingFlaw], missing: set[str]) -> None:
    """Note that a path leads to nothing, which only the status can't do."""
    if key == "status_path":
        flaws[key] = SettingFlaw.PATH_TO_NOTHING
    else:
        missing.add(key)


def _read(
    reading: Reading, key: str, found: object, payload: object
) -> tuple[str | InvoiceStatus | None, SettingFlaw | None]:
    """Return what is read at a path as a text, or what keeps it from being read."""
    if isinstance(found, dict | list):
        is_list = isinstance(found, list)
        return None, SettingFlaw.PATH_TO_LIST if is_list else SettingFlaw.PATH_TO_OBJECT
    readers: dict[str, Callable[[], object]] = {
        "status_path": lambda: reading.status(read_status_word(found)),
        "currency_path": lambda: read_currency(found),
        "order_path": lambda: read_text(found),
        "expiry_path": lambda: read_time(found),
        "page_path": lambda: read_link(found),
    }
    try:
        value = readers.get(key, lambda: _amount(reading, key, found, payload))()
    except BadResponse as err:
        return None, _flaw(key, err)
    if value is None:
        return None, _NOT_READ.get(key)
    if isinstance(value, InvoiceStatus):
        return value, None
    return value.isoformat() if isinstance(value, datetime) else str(value), None


def _flaw(key: str, err: BadResponse) -> SettingFlaw:
    """Return what keeps a value from being read."""
    match err:
        case CommaUnclear():
            return SettingFlaw.COMMA_UNCLEAR
        case HasHtml():
            return SettingFlaw.ANSWER_HAS_HTML
    return _NOT_READ.get(key, SettingFlaw.PATH_TO_NOTHING)


def _amount(reading: Reading, key: str, found: object, payload: object) -> str | None:
    """Return an amount with its currency, nothing for what is none."""
    if read_written(found) is None:
        return None
    if (amount := reading.amount(key, payload)) is None:
        # It is one, but its unit isn't known.
        return _UNKNOWN
    return f"{amount:f} {reading.currency(payload) or ''}".strip()


def _shorten(value: object, secrets: list[str], depth: int) -> Any:
    """Return a value as it is shown: not all of it, and nothing secret."""
    if isinstance(value, dict):
        if depth >= _DEEPEST:
            return {}
        fields = list(value.items())[:_MOST_FIELDS]
        return {
            _text(name, secrets): MASK
            if is_name_of_key(name) and isinstance(inner, str | int) and inner
            else _shorten(inner, secrets, depth + 1)
            for name, inner in fields
        }
    if isinstance(value, list):
        return [_shorten(inner, secrets, depth + 1) for inner in value[:_MOST_ENTRIES]]
    return _text(value, secrets) if isinstance(value, str) else value


def _text(value: object, secrets: list[str]) -> str:
    """Return a value as a short text without secrets."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    for secret in secrets:
        text = text.replace(secret, MASK)
    text = UNPRINTABLE.sub(" ", text)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}{_ELLIPSIS}"


def _dump(shown: object) -> str:
    """Return JSON without any sign that could end a block of code or begin a tag."""
    text = json.dumps(shown, indent=2, ensure_ascii=False, default=_plain)
    for sign in "`<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    if len(text) <= _LONGEST_ANSWER:
        return text
    return f"{text[:_LONGEST_ANSWER]}\n{_ELLIPSIS}"


def _plain(value: object) -> object:
    """Return a number as JSON shows it."""
    return float(value) if isinstance(value, Decimal) else str(value)
