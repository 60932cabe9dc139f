"""Amounts, exactly as an API writes them: as numbers, as text, in cents."""

from decimal import Decimal
import re

from ..model import BadResponse
from ..parse import read_amount, read_text

MINOR = "minor"
"""In place of a factor: amounts are in the smallest unit of their currency."""

# ISO 4217. All other currencies have two.
_DECIMALS = {
    **dict.fromkeys(
        (
            *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX"),
            *("UYI", "VND", "VUV", "XAF", "XOF", "XPF"),
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_SMALL_CASE = frozenset({"msat", "sat", "sats"})
_CURRENCY = re.compile(r"[A-Za-z][A-Za-z0-9]{1,11}")
_MOST_DIGITS = 60

_DECIMAL_COMMA = re.compile(r"[+-]?(?:0|[1-9]\d*),(?:\d{1,2}|\d{4,})|[+-]?0,\d+")
_COMMA_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,})")
_POINT_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(?:(?:\.\d{3})+,\d+|(?:\.\d{3}){2,})")
_UNCLEAR = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


class CommaUnclear(BadResponse):
    """Nobody can say whether a comma separates thousands or decimals."""


def read_written(value: object) -> Decimal | None:
    """Return an amount as it was written, or None where it is none.

    A comma is read where it can mean one thing only: 12,50 and 1,234.50, but not 1,234.
    Raises CommaUnclear, or BadResponse for what is no number in JSON.
    """
    if not isinstance(value, str):
        return read_amount(value)
    text = value.strip()
    if _UNCLEAR.fullmatch(text):
        raise CommaUnclear("an amount has a comma that may mean two things")
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    elif _COMMA_GROUPS.fullmatch(text):
        text = text.replace(",", "")
    elif _POINT_GROUPS.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    return read_amount(text)


def read_factor(text: str | None) -> Decimal | None:
    """Return the factor that a user typed, 1 where there is none, None where it can't be one."""
    try:
        factor = read_written(text) if text else Decimal(1)
    except BadResponse:
        return None
    return factor if factor is not None and 0 < factor <= 10**18 else None


def in_currency(amount: Decimal, factor: str | None, currency: str | None) -> Decimal | None:
    """Return an amount in units of its currency, every digit of it, or None if that isn't known."""
    if factor == MINOR:
        if currency is None:
            return None
        return _shifted(amount, -_DECIMALS.get(currency.upper(), 2))
    by = read_factor(factor)
    return None if by is None else _product(amount, by)


def _product(amount: Decimal, factor: Decimal) -> Decimal | None:
    """Multiply without rounding: whole numbers, then the decimal point."""
    sign, digits, exponent = amount.as_tuple()
    _, by, shift = factor.as_tuple()
    whole = int("".join(map(str, digits))) * int("".join(map(str, by)))
    places = int(exponent) + int(shift)
    if len(text := str(whole)) > _MOST_DIGITS or abs(places) > _MOST_DIGITS:
        return None
    return Decimal((sign if whole else 0, tuple(map(int, text)), places))


def _shifted(amount: Decimal, places: int) -> Decimal | None:
    """Move the decimal point."""
    return _product(amount, Decimal((0, (1,), places)))


def read_currency(value: object) -> str | None:
    """Return a currency's code the way that it is written, or None."""
    text = read_text(value)
    if text is None or not _CURRENCY.fullmatch(text):
        return None
    return text.lower() if text.lower() in _SMALL_CASE else text.upper()
