"""Chance from a seed: the same each time, whoever draws."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, tzinfo
from itertools import count
import os
import random
import sys
import time
from typing import Any
from unittest.mock import patch

from homeassistant.util import dt as dt_util, ulid as ulid_util

from tests.explorer.virtual import VirtualLoop

# Whose clocks are ours.
_OURS = ("custom_components.crypto_invoices", "sandbox")


class Chance:
    """Draws by name, so that one who draws more changes nothing for the others."""

    def __init__(self, seed: int) -> None:
        """Keep the seed."""
        self.seed = seed

    def of(self, *name: object) -> random.Random:
        """Return the dice of somebody."""
        return random.Random("/".join(map(str, (self.seed, *name))))

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Let all that is drawn anywhere come from the seed."""
        dice = self.of("everything else")
        numbers = count(1)
        state = random.getstate()
        random.seed(self.seed)
        try:
            with (
                patch.object(os, "urandom", dice.randbytes),
                patch.object(random, "_urandom", dice.randbytes),
                patch.object(ulid_util, "ulid_now", lambda: f"{next(numbers):026}"),
                patch.object(ulid_util, "ulid_at_time", lambda _: f"{next(numbers):026}"),
            ):
                yield
        finally:
            random.setstate(state)


class _Kind(type):
    """Lets a moment be one of the real class."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


@contextmanager
def clocks_of(loop: VirtualLoop) -> Iterator[None]:
    """Let every clock be the loop's: those on the wall, those in modules, the sandbox's."""

    class Moment(datetime, metaclass=_Kind):
        """The real class, but for what time it is."""

        def __new__(cls, *args: Any, **more: Any) -> Any:
            return datetime.__new__(datetime, *args, **more)

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return loop.wall().astimezone(tz)

        fromisoformat: Any = datetime.fromisoformat
        fromtimestamp: Any = datetime.fromtimestamp
        strptime: Any = datetime.strptime
        combine: Any = datetime.combine

    def stamp() -> float:
        return loop.wall().timestamp()

    with ExitStack() as stack:
        for name, module in sorted(sys.modules.items()):
            if name.startswith(_OURS) and getattr(module, "datetime", None) is datetime:
                stack.enter_context(patch.object(module, "datetime", Moment))
        stack.enter_context(patch.object(time, "time", stamp))
        stack.enter_context(
            patch.object(
                dt_util,
                "now",
                lambda zone=None: loop.wall().astimezone(zone or dt_util.get_default_time_zone()),
            )
        )
        stack.enter_context(
            patch.multiple(
                "homeassistant.helpers.event",
                time_tracker_utcnow=loop.wall,
                time_tracker_timestamp=stamp,
            )
        )
        yield
