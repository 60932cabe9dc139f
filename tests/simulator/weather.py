"""What goes wrong at the providers, and until when."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from .chance import Chance

_HOUR = 3600.0
# Faults of the sandbox's own: what it answers then.
ANSWERED = (
    "unauthorized",
    "forbidden",
    "rate_limited_seconds",
    "server_error",
    "bad_gateway",
    "html",
    "empty",
    "redirect",
    "missing_rows",
    "unknown_status",
    "wrong_types",
    "extra_fields",
)
# Faults on the way: no connection, an answer that comes late, half, twice or never, old news.
ON_THE_WAY = ("no connection", "no answer", "late", "cut", "slow", "half", "doubled", "lag")


@dataclass(slots=True)
class Spell:
    """Bad weather at one provider."""

    fault: str
    since: float
    until: float
    share: float
    """Of how many requests something becomes of it."""


class Weather:
    """Which provider has which fault at present."""

    def __init__(self, chance: Chance, clock: Callable[[], float]) -> None:
        """Begin with none."""
        self._dice = chance.of("weather")
        self._clock = clock
        self._spells: dict[str, Spell] = {}
        self.requests_when_down = Counter[tuple[str, int]]()
        """By provider and hour, of those hours in which it was down all along."""

    def begin(self, provider: str, fault: str, seconds: float, share: float) -> None:
        """Let it be bad for a while."""
        now = self._clock()
        self._spells[provider] = Spell(fault, now, now + seconds, share)

    def of(self, provider: str) -> str | None:
        """Return what becomes of a request, None where nothing does."""
        spell = self._spells.get(provider)
        if spell is None:
            return None
        if spell.until <= self._clock():
            del self._spells[provider]
            return None
        if (hour := self.hour_down(provider)) is not None:
            self.requests_when_down[provider, hour] += 1
        return spell.fault if self._dice.random() < spell.share else None

    def hour_down(self, provider: str) -> int | None:
        """Return for how many hours a provider has been down, if that goes on for an hour."""
        spell, now = self._spells.get(provider), self._clock()
        if spell is None or spell.fault != "no connection" or spell.share < 1:
            return None
        hours, rest = divmod(now - spell.since, _HOUR)
        return int(hours) if hours and spell.until - now + rest >= _HOUR else None

    def calm(self) -> None:
        """Let all be well."""
        self._spells.clear()
