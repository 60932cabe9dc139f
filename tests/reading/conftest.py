"""What the tests of reading need."""

from collections.abc import Generator

import pytest

from custom_components.crypto_invoices.providers import PROVIDERS

from .told import Told
from .world import World


@pytest.fixture(autouse=True)
def _ended_worlds() -> Generator[None]:
    """Let nothing go on after its test."""
    yield
    while World.begun:
        World.begun.pop().end()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> type[Told]:
    """Let there be a provider that answers when it is told to."""
    Told.begin()
    monkeypatch.setitem(PROVIDERS, Told.key, Told)
    return Told
