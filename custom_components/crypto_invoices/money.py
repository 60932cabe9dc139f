"""Amounts of money: as plain digits, exactly, and as people write them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from homeassistant.generated.currencies import ACTIVE_CURRENCIES

_NO_BREAK: Final = "\u00a0"
# How many decimals people write these with; other ISO 4217 currencies have two, other coins any.
_DECIMALS: Mapping[str, int] = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    "BTC": 8,
    "SAT": 0,
    "USDC": 2,
    "USDT": 2,
}
# Coins that are written with all these decimals only where there is something in them.
_WITHOUT_ZEROS = frozenset({"BTC"})
_SYMBOLS: Mapping[str, str] = {
    "CZK": "Kč",
    "EUR": "€",
    "GBP": "£",
    "INR": "₹",
    "JPY": "¥",
    "KRW": "₩",
    "PLN": "zł",
    "RUB": "₽",
    "TRY": "₺",
    "UAH": "₴",
    "USD": "$",
}


@dataclass(frozen=True, slots=True)
class _Format:
    """How numbers and amounts are written in a language."""

    group: str
    point: str
    before: str | None = None
    """What is between a currency's sign and the number after it; None where the sign comes last."""
    least_grouped: int = 4
    """How many digits a number has at least that is written in groups."""


_ENGLISH = _Format(",", ".", before="")
_FORMATS: Mapping[str, _Format] = {
    "de": _Format(".", ","),
    "en": _ENGLISH,
    "es": _Format(".", ",", least_grouped=5),
    "fr": _Format("\u202f", ","),
    "it": _Format(".", ","),
    "ja": _ENGLISH,
    "nl": _Format(".", ",", before=_NO_BREAK),
    "pl": _Format(_NO_BREAK, ",", least_grouped=5),
    "pt": _Format(_NO_BREAK, ",", least_grouped=5),
    "ru": _Format(_NO_BREAK, ","),
    "uk": _Format(_NO_BREAK, ","),
}


def exact(amount: Decimal) -> str:
    """Return an amount in plain digits: 25.10 is 25.1, and 1E-8 is 0.00000001."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def plain_digits(number: float) -> str:
    """Return a number as it was written, without the exponent that a small one gets."""
    return f"{Decimal(repr(number)):f}"


def usual_decimals(currency: str) -> int | None:
    """Return how many decimals a currency is usually written with, None where nobody knows."""
    usual = 2 if currency in ACTIVE_CURRENCIES else None
    return _DECIMALS.get(currency.upper(), usual)


def written(amount: Decimal, currency: str | None, language: str) -> str:
    """Return an amount as people write it: $24.90, or 24,90 € in German. No digit is lost.

    Languages without texts of their own get English ones, and English numbers with them.
    """
    form = _FORMATS.get(language, _ENGLISH)
    whole, _, decimals = exact(amount).partition(".")
    usual = usual_decimals(currency) if currency else None
    if usual and currency and currency.upper() not in _WITHOUT_ZEROS:
        decimals = decimals.ljust(usual, "0")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    if len(digits) >= form.least_grouped:
        digits = f"{int(digits):,}".replace(",", form.group)
    number = digits + (form.point + decimals if decimals else "")
    if not currency:
        return sign + number
    symbol = _SYMBOLS.get(currency, currency)
    if form.before is not None and not symbol[-1].isalnum():
        return f"{sign}{symbol}{form.before}{number}"
    return f"{sign}{number}{_NO_BREAK}{symbol}"
