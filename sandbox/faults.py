"""Faults: which one a provider has at present, and for how many requests."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from aiohttp import web

from .states import SandboxError, known

_SLICE = 0.1


class Fault(StrEnum):
    """A way in which a provider can go wrong."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    RATE_LIMITED_SECONDS = "rate_limited_seconds"
    RATE_LIMITED_DATE = "rate_limited_date"
    SERVER_ERROR = "server_error"
    BAD_GATEWAY = "bad_gateway"
    TIMEOUT = "timeout"
    LATE_ANSWER = "late_answer"
    CUT_CONNECTION = "cut_connection"
    SLOW_BODY = "slow_body"
    TRUNCATED = "truncated"
    WRONG_TYPES = "wrong_types"
    MISSING_ROWS = "missing_rows"
    EXTRA_FIELDS = "extra_fields"
    UNKNOWN_STATUS = "unknown_status"
    HTML = "html"
    EMPTY = "empty"
    REDIRECT = "redirect"
    OVERSIZED = "oversized"


@dataclass(slots=True)
class Active:
    """A fault that is on, and how many requests it has left; None is until switched off."""

    fault: Fault
    left: int | None


class Faults:
    """The switchboard."""

    def __init__(self, providers: Iterable[str], *, slow_seconds: float) -> None:
        """Begin with every fault off; nothing slow lasts longer than is said here."""
        self.slow_seconds = slow_seconds
        self.active: dict[str, Active | None] = dict.fromkeys(providers)
        self._stopping = asyncio.Event()

    def switch(self, provider: str, fault: str | None, *, count: int | None = None) -> None:
        """Switch a provider's fault on, for some requests or until further notice, or off."""
        known(self.active, provider)
        if fault is not None and fault not in set(Fault):
            raise SandboxError(f"no fault {fault}; there are {', '.join(Fault)}")
        if count is not None and count < 1:
            raise SandboxError("count must be at least 1")
        self.active[provider] = None if fault is None else Active(Fault(fault), count)

    def take(self, provider: str) -> Fault | None:
        """Return the fault for one request, using it up."""
        active = self.active[provider]
        if active is None:
            return None
        if active.left is not None:
            active.left -= 1
            if active.left == 0:
                self.active[provider] = None
        return active.fault

    async def wait(self, request: web.Request, seconds: float) -> bool:
        """Wait; say whether anyone is still there for the answer."""
        slices = ceil(seconds / _SLICE)
        for _ in range(slices):
            # A handler isn't told that its client has left: it has to look.
            if request.transport is None or self._stopping.is_set():
                return False
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds / slices)
        return not self._stopping.is_set()

    async def stop(self, app: web.Application) -> None:
        """Let everything slow end now: the server stops."""
        self._stopping.set()
