"""A new invoice, and what is wrong with it before the provider is asked."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum, auto
import re

from .model import ProviderError
from .parse import UNPRINTABLE

# No currency has more decimals, and nobody asks for more.
MOST_DECIMALS = 18
_MOST = Decimal(10) ** 16
# What is not in here has as many decimals as its provider says.
_DECIMALS: Mapping[str, int] = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("BCH", "BTC", "DOGE", "LTC"), 8),
}
_LONGEST_LIFETIME = timedelta(days=365)
_MOST_CHARACTERS = {
    "currency": 20,
    "order_id": 255,
    # As much as a Lightning invoice can carry.
    "description": 639,
    "payment_method": 50,
    "callback_url": 2000,
}
_PLAIN_NUMBER = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?", re.ASCII)
_MAY_HAVE_LINES = frozenset({"description"})


class Flaw(StrEnum):
    """What is wrong with a value that was asked for."""

    BEFORE_START = auto()
    EMPTY = auto()
    NEEDED = auto()
    NOT_A_NUMBER = auto()
    """Nothing like 12.50: also NaN, an exponent, or a comma."""
    NOT_POSITIVE = auto()
    NOT_TAKEN = auto()
    """The provider has no use for it."""
    TOO_LARGE = auto()
    TOO_LONG = auto()
    TOO_MANY_DECIMALS = auto()
    UNKNOWN = auto()
    """Not a currency of the provider, or not written the way it writes it."""
    UNPRINTABLE = auto()


class InvalidField(ProviderError):
    """A value that can't be asked for, found before any request was made."""

    def __init__(self, field: str, flaw: Flaw, limit: int | None = None) -> None:
        """Keep the field's name, and how many decimals, characters or days it may have at most."""
        super().__init__(f"{field}: {flaw}")
        self.field = field
        self.flaw = flaw
        self.limit = limit


def read_asked_amount(text: str) -> Decimal:
    """Return the amount in what a user wrote, like 12.50. Raises InvalidField."""
    if not _PLAIN_NUMBER.fullmatch(text.strip()):
        raise InvalidField("amount", Flaw.NOT_A_NUMBER)
    return Decimal(text.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInvoice:
    """A request for payment to be made; ``None`` leaves it to the provider.

    Raises InvalidField for what no provider could make.
    """

    amount: Decimal
    """More than zero, in ``currency``."""
    currency: str
    """As its provider writes it; its code in upper case will always do."""
    order_id: str | None = None
    description: str | None = None
    lifetime: timedelta | None = None
    """How long it can be paid."""
    payment_method: str | None = None
    """The coin or network to pay with, in the provider's own word."""
    callback_url: str | None = None
    """Where the provider may post to, if there is such an address."""

    def __post_init__(self) -> None:
        """Check what needs no provider."""
        _check_amount(self.amount)
        for name, most in _MOST_CHARACTERS.items():
            check_text(name, getattr(self, name), most)
        if self.lifetime is None:
            return
        if self.lifetime <= timedelta(0):
            raise InvalidField("lifetime", Flaw.NOT_POSITIVE)
        if self.lifetime > _LONGEST_LIFETIME:
            raise InvalidField("lifetime", Flaw.TOO_LONG, _LONGEST_LIFETIME.days)

    def check_for(
        self,
        *,
        supported: Collection[str],
        needs: Collection[str] = (),
        knows_currency: bool,
        decimals: int,
    ) -> None:
        """Check what a provider can make; ``decimals`` are those of most of its currencies.

        Raises InvalidField.
        """
        for name in ("order_id", "description", "lifetime", "payment_method"):
            given = getattr(self, name) is not None
            if given and name not in supported:
                raise InvalidField(name, Flaw.NOT_TAKEN)
            if not given and name in needs:
                raise InvalidField(name, Flaw.NEEDED)
        if not knows_currency:
            raise InvalidField("currency", Flaw.UNKNOWN)
        decimals = _DECIMALS.get(self.currency, decimals)
        if _decimals(self.amount) > decimals:
            raise InvalidField("amount", Flaw.TOO_MANY_DECIMALS, decimals)


def _check_amount(amount: Decimal) -> None:
    """Raise InvalidField for what can't be paid."""
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent > 0:
        raise InvalidField("amount", Flaw.NOT_A_NUMBER)
    if amount <= 0:
        raise InvalidField("amount", Flaw.NOT_POSITIVE)
    if amount > _MOST:
        raise InvalidField("amount", Flaw.TOO_LARGE)
    if _decimals(amount) > MOST_DECIMALS:
        raise InvalidField("amount", Flaw.TOO_MANY_DECIMALS, MOST_DECIMALS)


def _decimals(amount: Decimal) -> int:
    """Return with how many decimals an amount is written.

    5.000 has three, as it may well mean five thousand; 5.0 is what becomes of a 5.
    """
    decimals = -int(amount.as_tuple().exponent)
    return 0 if decimals == 1 and amount == amount.to_integral_value() else decimals


def check_text(name: str, text: str | None, most: int) -> None:
    """Raise InvalidField for a text that can't be sent, or that is longer than anybody's."""
    if text is None:
        return
    if not text.strip():
        raise InvalidField(name, Flaw.EMPTY)
    # In bytes, as some count.
    if len(text.encode(errors="surrogatepass")) > most:
        raise InvalidField(name, Flaw.TOO_LONG, most)
    if name in _MAY_HAVE_LINES:
        text = text.replace("\n", "")
    if UNPRINTABLE.search(text):
        raise InvalidField(name, Flaw.UNPRINTABLE)
