"""What goes wrong at the providers, and until when."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

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
ON_THE_WAY = (
    "no connection",
    "no answer",
    "late",
    "cut",
    "slow",
    "half",
    "doubled",
    "too large",
    "lag",
    "listed late",
)


@dataclass(slots=True)
class Spell:
    """Bad weather at one provider."""

    fault: str
    since: float
    until: float
    share: float
    """Of how many requests something becomes of it."""


class HourDown(NamedTuple):
    """An hour in which a provider was down, or the part of it that one Home Assistant lived."""

    since: int
    """For how many hours the provider had been down."""
    life: int


class Weather:
    """Which provider has which fault at present."""

    def __init__(self, chance: Chance, clock: Callable[[], float], life: Callable[[], int]) -> None:
        """Begin with none."""
        self._dice = chance.of("weather")
        self._clock = clock
        self._life = life
        self._spells: dict[str, Spell] = {}
        self.requests_when_down = Counter[tuple[str, HourDown]]()
        """By provider and hour."""

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

    def excuse(self, provider: str) -> None:
        """Don't count a request that somebody makes by hand while it is down."""
        if (hour := self.hour_down(provider)) is not None:
            self.requests_when_down[provider, hour] -= 1

    def hour_down(self, provider: str) -> HourDown | None:
        """Return which hour this is of those in which a provider is down all along."""
        spell, now = self._spells.get(provider), self._clock()
        if spell is None or spell.fault != "no connection" or spell.share < 1:
            return None
        hours, rest = divmod(now - spell.since, _HOUR)
        is_whole = hours and spell.until - now + rest >= _HOUR
        return HourDown(int(hours), self._life()) if is_whole else None

    def bad_until(self, provider: str) -> float:
        """Return until when the weather is bad at a provider, or was; 0 where it is not."""
        spell = self._spells.get(provider)
        return 0.0 if spell is None else spell.until

    def calm(self) -> None:
        """Let all be well."""
        self._spells.clear()
