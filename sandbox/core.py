"""The sandbox as one object: what handlers find in the app, and tests take into their hands."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from .faults import Faults
from .postback import Postbacks
from .provider import Provider
from .states import SandboxError, known
from .store import Store


@dataclass(slots=True, kw_only=True)
class Sandbox:
    """Everything one running sandbox holds."""

    providers: Mapping[str, Provider]
    store: Store
    faults: Faults
    postbacks: Postbacks
    settings: dict[str, dict[str, str]]
    routes: dict[web.AbstractRoute, tuple[Provider, str]] = field(default_factory=dict)
    """Which provider's address a route is, and of which kind."""

    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many requests came, by provider and kind."""

    reports: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=10_000))
    """What an automation told of its runs, oldest first."""

    def set(self, provider: str, name: str, value: str) -> None:
        """Choose a provider's setting."""
        row = known(self.providers, provider)
        choices = row.settings.get(name)
        if choices is None:
            raise SandboxError(f"{row.name} has no setting {name}")
        if value not in choices:
            raise SandboxError(f"{name} can be {', '.join(choices)}")
        self.settings[provider][name] = value


SANDBOX = web.AppKey("sandbox", Sandbox)
