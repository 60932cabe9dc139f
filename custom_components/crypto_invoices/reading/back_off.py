"""How long to leave a provider alone after a failure: for polls, streams, lists, registrations."""

from collections.abc import Callable
import math
import random

from ..providers.model import AuthError, ProviderUnavailable, RateLimited

# The first wait after a failure, in seconds; each further one is twice as long.
FIRST = 30.0
LONGEST = 15 * 60.0
# A provider that asks for a month is asked again after an hour anyway.
_LONGEST_RETRY_AFTER = 60 * 60.0
_SHORTEST_RETRY_AFTER = 5.0
_SPREAD = 0.3
_MOST_DOUBLINGS = 10


class BackOff:
    """Failures in a row, and until when to wait."""

    def __init__(
        self,
        clock: Callable[[], float],
        rng: random.Random,
        *,
        first: float = FIRST,
        longest: float = LONGEST,
    ) -> None:
        """Begin without a failure; ``clock`` is in seconds and never goes back."""
        self._clock = clock
        self._random = rng
        self._first = first
        self._longest = longest
        self.failures = 0
        self._until = -math.inf

    def failed(self, err: Exception) -> float:
        """Return how many seconds to wait after a failure."""
        retry_after = (
            err.retry_after if isinstance(err, RateLimited | ProviderUnavailable) else None
        )
        if retry_after is None:
            longest = min(self._first * 2.0**self.failures, self._longest)
            seconds = longest * (1 - _SPREAD * self._random.random())
        else:
            seconds = min(max(retry_after, _SHORTEST_RETRY_AFTER), _LONGEST_RETRY_AFTER)
        self.failures = min(self.failures + 1, _MOST_DOUBLINGS)
        self._until = self._clock() + seconds
        return seconds

    def wait(self, seconds: float) -> None:
        """Wait so long, without a failure."""
        self._until = self._clock() + seconds

    def succeeded(self) -> None:
        """Forget the failures."""
        self.failures = 0
        self._until = -math.inf

    @property
    def left(self) -> float:
        """How many seconds there are still to wait."""
        return max(0.0, self._until - self._clock())


# A refusal has to be said again this many seconds after the first: one answer is nobody's word.
KEY_DOUBTED_FOR = 120.0
# How often an account is asked whose key is refused: at first, and after some hours.
_ASKED_EVERY = 15 * 60.0
_ASKED_RARELY = 60 * 60.0
_OFTEN_FOR = 4 * 60 * 60.0
# A hint may ask sooner.
HINTED_EVERY = 120.0


class KeyTrust:
    """Whether the account's key is refused, and when to try it again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with a key that is good."""
        self._clock = clock
        self._refused_since: float | None = None
        self._asked_at = -math.inf
        self.is_refused = False
        """Whether a second answer said so, so that it is believed."""

    def refused(self, err: AuthError) -> float:
        """Note a refusal; return in how many seconds to ask again."""
        now = self._asked_at = self._clock()
        if self._refused_since is None:
            self._refused_since = now
        refused_for = now - self._refused_since
        self.is_refused = self.is_refused or refused_for >= KEY_DOUBTED_FOR
        if not self.is_refused:
            return max(1.0, KEY_DOUBTED_FOR - refused_for)
        return _ASKED_EVERY if refused_for < _OFTEN_FOR else _ASKED_RARELY

    def accepted(self) -> bool:
        """Note an answer; return whether the key was refused before."""
        was_refused, self.is_refused, self._refused_since = self.is_refused, False, None
        return was_refused

    @property
    def hint_left(self) -> float | None:
        """In how many seconds a hint may ask again, or None while the key is good."""
        if self._refused_since is None:
            return None
        return max(0.0, self._asked_at + HINTED_EVERY - self._clock())
