"""From an answer to an invoice, by the paths and words of the settings."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
import re
from typing import Any

from ..model import BadResponse, Invoice, InvoiceStatus
from ..parse import read_iso_time, read_link, read_text, read_unix_time
from .amounts import CommaUnclear, in_currency, read_currency, read_written
from .fields import PATHS, WORDS
from .paths import Missing, Path

# From here on, a number of seconds is beyond the year 5000: it counts milliseconds.
_MILLISECONDS = 10**11
_BETWEEN_WORDS = re.compile(r"[,;\n]")
_LONGEST_WORD = 100
_TAG = re.compile(r"<[a-z!/]", re.IGNORECASE)


class HasHtml(BadResponse):
    """A part of a web page is no word and no value."""


def split_words(text: str | None) -> Iterator[str]:
    """Yield the words of a list as they are compared."""
    for word in _BETWEEN_WORDS.split(text or ""):
        if folded := " ".join(word.split()).casefold():
            yield folded


def read_status_word(value: object) -> str:
    """Return the word for a status, also of a number, or of a yes and no. Raises BadResponse."""
    if isinstance(value, bool):
        return str(value).lower()
    word = read_text(str(value) if isinstance(value, Decimal) else value)
    if word is None or len(word) > _LONGEST_WORD:
        raise BadResponse("the status is not a word")
    if _TAG.search(word):
        raise HasHtml("the status is a part of a web page")
    return word


def read_time(value: object) -> datetime | None:
    """Return a time in ISO 8601, or in seconds or milliseconds since 1970."""
    if isinstance(value, str) and value.strip().isdecimal() and len(value.strip()) < 20:
        value = int(value)
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, int | float) and _MILLISECONDS < value < _MILLISECONDS**2:
        return read_unix_time(value / 1000)
    return read_iso_time(value)


class Reading:
    """How the settings of an account say that an answer is read."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Keep what can be used of them."""
        self.paths = {key: path for key in PATHS if (path := Path.parse(settings.get(key) or ""))}
        self._factor: str | None = settings.get("amount_factor")
        self._currency: str | None = settings.get("currency")
        self.words = {
            word: status for key, status in WORDS.items() for word in split_words(settings.get(key))
        }

    @property
    def tells(self) -> frozenset[str]:
        """The fields of an invoice that can ever be returned, of those that may be missing."""
        told = {
            "amount": "amount_path",
            "amount_received": "received_path",
            "expires_at": "expiry_path",
        }
        return frozenset({"status", *(name for name, key in told.items() if key in self.paths)})

    def find(self, key: str, payload: object) -> Any:
        """Return what a setting's path leads to, None where that is nothing."""
        if (path := self.paths.get(key)) is None:
            return None
        with suppress(Missing):
            return path.find(payload)
        return None

    def status(self, word: str) -> InvoiceStatus:
        """Return what a word means."""
        return self.words.get(" ".join(word.split()).casefold(), InvoiceStatus.UNKNOWN)

    def currency(self, payload: object) -> str | None:
        """Return the currency of an answer, or the one that is set where it names none."""
        return read_currency(self.find("currency_path", payload)) or read_currency(self._currency)

    def amount(self, key: str, payload: object) -> Decimal | None:
        """Return an amount in its currency, None where it isn't clear.

        Raises BadResponse for what is no number in JSON.
        """
        written = None
        with suppress(CommaUnclear):
            written = read_written(self.find(key, payload))
        if written is None:
            return None
        return in_currency(written, self._factor, self.currency(payload))

    def read(self, id_: str, payload: object) -> Invoice:
        """Return the invoice of an answer. Raises BadResponse where it has no status."""
        if "status_path" not in self.paths:
            raise BadResponse("there is no path to the status")
        word = read_status_word(self.find("status_path", payload))
        return Invoice(
            id=id_,
            status=self.status(word),
            provider_status=word,
            amount=self.amount("amount_path", payload),
            currency=self.currency(payload),
            amount_received=self.amount("received_path", payload),
            order_id=read_text(self.find("order_path", payload)),
            payment_url=read_link(self.find("page_path", payload)),
            expires_at=read_time(self.find("expiry_path", payload)),
        )
