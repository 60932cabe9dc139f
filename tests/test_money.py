"""Amounts as people write them, in each language."""

from decimal import Decimal

import pytest

from custom_components.crypto_invoices.money import usual_decimals, written

from .test_languages import PLANNED

WRITTEN = {
    "de": ("24,90 $", "1.234.567,50 €", "0,0005 BTC", "-5,00 €"),
    "en": ("$24.90", "€1,234,567.50", "0.0005 BTC", "-€5.00"),
    "es": ("24,90 $", "1.234.567,50 €", "0,0005 BTC", "-5,00 €"),
    "fr": ("24,90 $", "1 234 567,50 €", "0,0005 BTC", "-5,00 €"),
    "it": ("24,90 $", "1.234.567,50 €", "0,0005 BTC", "-5,00 €"),
    "ja": ("$24.90", "€1,234,567.50", "0.0005 BTC", "-€5.00"),
    "nl": ("$ 24,90", "€ 1.234.567,50", "0,0005 BTC", "-€ 5,00"),
    "pl": ("24,90 $", "1 234 567,50 €", "0,0005 BTC", "-5,00 €"),
    "pt": ("24,90 $", "1 234 567,50 €", "0,0005 BTC", "-5,00 €"),
    "ru": ("24,90 $", "1 234 567,50 €", "0,0005 BTC", "-5,00 €"),
    "uk": ("24,90 $", "1 234 567,50 €", "0,0005 BTC", "-5,00 €"),
    "sv": ("$24.90", "€1,234,567.50", "0.0005 BTC", "-€5.00"),
}
AMOUNTS = (("24.9", "USD"), ("1234567.5", "EUR"), ("0.0005", "BTC"), ("-5", "EUR"))


def plainly(text: str) -> str:
    """Return a text with plain spaces."""
    return text.replace("\u00a0", " ").replace("\u202f", " ")


@pytest.mark.parametrize("language", WRITTEN)
def test_languages(language: str) -> None:
    """Each language has its own signs and places; one without our texts gets English numbers."""
    assert {"en", *PLANNED} == WRITTEN.keys() - {"sv"}
    texts = [written(Decimal(amount), currency, language) for amount, currency in AMOUNTS]
    assert tuple(map(plainly, texts)) == WRITTEN[language]
    assert " " not in "".join(texts), "no line may break between a number and its sign"


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1500", "JPY", "¥1,500"),
        ("1.5", "KWD", "1.500 KWD"),
        ("21000", "sat", "21,000 sat"),
        ("24.9", "USDT", "24.90 USDT"),
        ("24.9", "PLN", "24.90 zł"),
        ("24.905", "USD", "$24.905"),
        ("0.00000001", "BTC", "0.00000001 BTC"),
        ("1E+6", "DOGE", "1,000,000 DOGE"),
        ("3", "NOBODY", "3 NOBODY"),
        ("3.10", None, "3.1"),
        ("0", "EUR", "€0.00"),
    ],
)
def test_currencies(amount: str, currency: str | None, text: str) -> None:
    """An amount has the decimals that are usual, and never fewer than there are."""
    assert plainly(written(Decimal(amount), currency, "en")) == text


@pytest.mark.parametrize(
    ("language", "text"), [("es", "1234,50 €"), ("pl", "1234,50 €"), ("de", "1.234,50 €")]
)
def test_four_digits(language: str, text: str) -> None:
    """Some languages group from five digits on only."""
    assert plainly(written(Decimal("1234.5"), "EUR", language)) == text


def test_usual_decimals() -> None:
    """Nobody knows how many decimals a coin has that nobody knows."""
    assert [usual_decimals(one) for one in ("EUR", "JPY", "SAT", "sat", "DOGE")] == [
        2,
        0,
        0,
        0,
        None,
    ]
