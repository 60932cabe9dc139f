"""Amounts of money as plain digits, exactly."""

from decimal import Decimal


def exact(amount: Decimal) -> str:
    """Return an amount in plain digits: 25.10 is 25.1, and 1E-8 is 0.00000001."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def plain_digits(number: float) -> str:
    """Return a number as it was written, without the exponent that a small one gets."""
    return f"{Decimal(repr(number)):f}"
