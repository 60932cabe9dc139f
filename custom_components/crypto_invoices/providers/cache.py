"""What a provider remembers of invoices: bounded, and gone when an invoice is."""

from collections.abc import Callable, Hashable, Set as AbstractSet
from typing import Protocol

# A bound for whoever reads invoices and never says which of them are kept.
_MOST = 50_000


class Forgetful(Protocol):
    """A cache by invoice ID."""

    def keep_only(self, ids: AbstractSet[str]) -> None:
        """Forget all other invoices."""


class Cache[T](dict[str, T]):
    """Something that is remembered by invoice ID."""

    def keep_only(self, ids: AbstractSet[str]) -> None:
        """Forget all other invoices."""
        for id_ in [id_ for id_ in self if id_ not in ids]:
            del self[id_]


class LastRead[T]:
    """What was read last, by invoice ID: the same answer again needs no work."""

    def __init__(self, most: int = _MOST) -> None:
        """Remember nothing yet; begin again when there are more than ``most`` keys."""
        self._most = most
        self._last: Cache[tuple[int, T]] = Cache()

    def __len__(self) -> int:
        """Return how many answers are remembered."""
        return len(self._last)

    def read(self, key: str, answer: Hashable, parse: Callable[[], T]) -> T:
        """Return what an answer is parsed to, the identical object while it stays the same."""
        # The hash takes little memory; its secret seed lets nobody aim at another's.
        mark = hash(answer)
        last = self._last.get(key)
        if last is not None and last[0] == mark:
            return last[1]
        value = parse()
        if len(self._last) >= self._most:
            self._last.clear()
        self._last[key] = (mark, value)
        return value

    def keep_only(self, ids: AbstractSet[str]) -> None:
        """Forget all other invoices, also where an answer has them among others."""
        self._last.keep_only(ids)
        for key, (_, value) in list(self._last.items()):
            if isinstance(value, dict) and not value.keys() <= ids:
                del self._last[key]
