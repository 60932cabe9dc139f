"""How an account stands with its provider: may it be asked, and is its key good?"""

from collections.abc import Callable, Iterable
from typing import TypeGuard

from ..providers.model import (
    AuthError,
    ClockWrong,
    Invoice,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from .back_off import BackOff, KeyTrust


class Standing:
    """What the latest answers and failures mean for the next request."""

    def __init__(self, clock: Callable[[], float], back_off: BackOff) -> None:
        """Begin with a provider that answers and a key that is good."""
        self._back_off = back_off
        self._key = KeyTrust(clock)

    @property
    def left(self) -> float:
        """For how many seconds the provider has asked for a pause."""
        return self._back_off.left

    @property
    def is_backing_off(self) -> bool:
        """Whether the provider has asked for a pause."""
        return self.left > 0

    @property
    def failures(self) -> int:
        """How many readings failed in a row."""
        return self._back_off.failures

    @property
    def is_failing(self) -> bool:
        """Whether nothing could be read the last time."""
        return bool(self.failures) or self.is_key_doubted

    @property
    def is_key_doubted(self) -> bool:
        """Whether the key was refused, believed or not."""
        return self._key.hint_left is not None

    @property
    def is_key_refused(self) -> bool:
        """Whether the key was refused, and that is believed."""
        return self._key.is_refused

    def refuse_hint(self) -> ProviderError | None:
        """Return why no hint may be followed now, if that is so."""
        left = self._key.hint_left
        if left is None:
            return RateLimited() if self.is_backing_off else None
        return AuthError("the key is refused") if left > 0 else None

    def failed(self, err: Exception) -> None:
        """Note that nothing could be read."""
        # What is wrong with the clock is not wrong with the key.
        if isinstance(err, AuthError) and not isinstance(err, ClockWrong):
            self._back_off.wait(self._key.refused(err))
        else:
            self._back_off.failed(err)

    def answered(self, rows: Iterable[Invoice | ProviderError]) -> None:
        """Note that the provider answered; it may ask for a pause anyway."""
        self._key.accepted()
        if (wait := next(filter(_asks_to_wait, rows), None)) is not None:
            self._back_off.failed(wait)
        else:
            self._back_off.succeeded()


def _asks_to_wait(
    row: Invoice | ProviderError,
) -> TypeGuard[RateLimited | ProviderUnavailable]:
    """Whether a provider says of an invoice that it wants a pause."""
    return isinstance(row, RateLimited) or (
        isinstance(row, ProviderUnavailable) and row.retry_after is not None
    )
