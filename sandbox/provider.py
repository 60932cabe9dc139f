"""What the sandbox has to know about a provider: one row of data and its handlers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from aiohttp import web

from .letter import Postback
from .states import Action, State

INVOICES = "invoices"
"""The kind of request that reads invoices; faults in rows touch no other."""


class Route(NamedTuple):
    """One address of a provider's API; its kind is what requests are counted by."""

    method: str
    path: str
    kind: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider the sandbox can play."""

    key: str
    name: str
    words: Mapping[State, str]
    actions: tuple[Action, ...]
    currencies: tuple[str, ...]
    lifetime: timedelta
    credentials: Mapping[str, str]
    push_credentials: Mapping[str, str] = field(default_factory=dict)
    """What more it takes to believe a postback."""

    invoicing_credentials: Mapping[str, str] = field(default_factory=dict)
    """What more it takes to make invoices."""

    routes: tuple[Route, ...]
    new_id: Callable[[], str]
    canonical_id: Callable[[str], str] = str
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The choices for each setting, the first of them being the default."""

    rows: Callable[[Any], list[dict[str, Any]]]
    """The invoices inside an answer's payload."""

    row_id: str
    row_status: str
    batched: bool = False
    takes_slashes: bool = False
    """Whether an address means the same with a slash at its end."""

    error: Callable[[str], dict[str, Any]]
    """An error's payload, in the provider's shape."""

    postback: Postback
    set_up: Callable[[web.Application], None] | None = None
    """What it takes beyond that, done once the sandbox is in the application."""
