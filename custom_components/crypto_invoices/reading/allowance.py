"""How many requests a reading may make now."""

from collections.abc import Callable
import math

from ..providers.budget import Budget
from ..providers.provider import Provider

# Requests that polling leaves for hints and actions, and those that it makes however
# many these make: it waits in line with them then.
_RESERVED = 0.2
_POLLING = 0.5
# Where requests are slow, what was read is published after this many seconds, not at the end.
_LONGEST_READING = 10.0
# As long as nobody knows whether they are slow, this many rounds show it.
_FIRST_ROUNDS = 2


class Allowance:
    """The account's budget of requests, shared between polls and hints."""

    def __init__(self, provider: Provider, clock: Callable[[], float]) -> None:
        """Begin with nothing spent."""
        self._provider = provider
        self._polled = Budget(max(1, int(provider.budget.per_minute * _POLLING)), clock)

    def for_poll(self, *, is_failing: bool) -> int:
        """Return how many invoices a poll may read now."""
        left, owed = self._provider.budget.left, self._polled.left
        if left > 0:
            # What can be read now doesn't wait for what has to wait in line.
            owed = min(owed, left)
        requests = min(max(left - self._reserved, owed), self._requests_in_time())
        # Whether a provider is back shows only when it is asked.
        requests = max(requests, 1 if is_failing else 0)
        return requests * self._provider.batch_size

    def count_poll(self, invoices: int) -> None:
        """Count the requests of a poll."""
        self._polled.count(math.ceil(invoices / self._provider.batch_size))

    def for_hints(self) -> int:
        """Return how many invoices may be read now because of hints."""
        left = self._provider.budget.left
        requests = left if left > 0 else max(1, self._reserved)
        return min(requests, self._requests_in_time()) * self._provider.batch_size

    def seconds_until_poll(self) -> float:
        """Return in how many seconds a poll may make a request."""
        budget = self._provider.budget
        return min(budget.seconds_until(self._reserved + 1), self._polled.seconds_until(1))

    def seconds_in_line(self, invoices: int) -> float:
        """Return how long the requests for some invoices have to wait for their turn."""
        return self._provider.budget.seconds_until(math.ceil(invoices / self._provider.batch_size))

    @property
    def _reserved(self) -> int:
        """How many requests per minute polling leaves for hints and actions."""
        return int(self._provider.budget.per_minute * _RESERVED)

    def _requests_in_time(self) -> int:
        """Return how many requests a reading may make without taking too long."""
        seconds = self._provider.answer_seconds
        rounds = (
            _FIRST_ROUNDS
            if seconds is None
            else max(1, int(_LONGEST_READING / max(seconds, 0.001)))
        )
        return rounds * self._provider.concurrency
