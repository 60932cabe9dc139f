"""Amounts of money as plain digits, exactly."""

from decimal import Decimal
import re

# More than any currency needs, and what fits into one line.
MOST_WHOLE_DIGITS = 15
MOST_DECIMALS = 18

_PLAIN = re.compile(r"(\d+)(?:\.(\d+))?", re.ASCII)
_SIGNED = re.compile(r"[+-]\d+(?:\.\d+)?", re.ASCII)
_EXPONENT = re.compile(r"[+-]?\d+(?:\.\d*)?[eE][+-]?\d+", re.ASCII)


class NotAnAmount(Exception):
    """Something that is no amount to ask for."""

    def __init__(self, reason: str) -> None:
        """Keep the translation key of what is wrong."""
        super().__init__(reason)
        self.reason = reason


def exact(amount: Decimal) -> str:
    """Return an amount in plain digits: 25.10 is 25.1, and 1E-8 is 0.00000001."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def read_amount(value: object) -> Decimal:
    """Return an amount that can be asked for. Raises NotAnAmount.

    A number has one meaning however its language writes it; text has to be plain digits.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{Decimal(repr(value)):f}"
    text = value.strip() if isinstance(value, str) else ""
    if "," in text:
        raise NotAnAmount("amount_comma")
    if _EXPONENT.fullmatch(text):
        raise NotAnAmount("amount_exponent")
    if _SIGNED.fullmatch(text):
        raise NotAnAmount("amount_not_positive")
    if not (digits := _PLAIN.fullmatch(text)):
        raise NotAnAmount("amount_not_a_number")
    whole, decimals = digits.group(1).lstrip("0"), (digits.group(2) or "").rstrip("0")
    if len(whole) > MOST_WHOLE_DIGITS or len(decimals) > MOST_DECIMALS:
        raise NotAnAmount("amount_too_long")
    if not whole and not decimals:
        raise NotAnAmount("amount_not_positive")
    return Decimal(text)
