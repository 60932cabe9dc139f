"""Providers that can be listened to: a stream is a hint, and comes back when it is cut."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import repeat
from random import Random

from homeassistant.core import HomeAssistant
import pytest

from custom_components.crypto_invoices.notifications import stream
from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.cryptocloud.v2 import CryptoCloud
from custom_components.crypto_invoices.providers.model import ProviderUnavailable, UnavailableReason
from custom_components.crypto_invoices.providers.push import Hint
from custom_components.crypto_invoices.reading.back_off import BackOff
from tests.conftest import AddAccount, Runs, SandboxServer, pass_time
from tests.explorer.virtual import VirtualLoop


class Streaming(CryptoCloud):
    """CryptoCloud as it would be with a stream."""

    connections: list[asyncio.Queue[frozenset[str] | None]]

    async def async_stream(self) -> AsyncIterator[Hint]:
        """Yield what the test puts in, until it puts in None."""
        queue = asyncio.Queue[frozenset[str] | None]()
        self.connections.append(queue)
        yield Hint(invoice_ids=frozenset())
        while (ids := await queue.get()) is not None:
            yield Hint(invoice_ids=ids)
        raise ProviderUnavailable(UnavailableReason.CANNOT_CONNECT)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.Queue[frozenset[str] | None]]:
    """Let CryptoCloud have a stream; return its connections."""
    made: list[asyncio.Queue[frozenset[str] | None]] = []
    monkeypatch.setattr(Streaming, "connections", made, raising=False)
    monkeypatch.setitem(PROVIDERS, "cryptocloud", Streaming)
    monkeypatch.setattr(stream, "FIRST_DELAY", 0.0)
    return made


async def async_until(holds: Callable[[], bool]) -> None:
    """Let happen what is under way: waiting for everything would wait for the stream too."""
    async with asyncio.timeout(5):
        for _ in repeat(None):
            if holds():
                return
            await asyncio.sleep(0)


async def test_stream(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    runs: Runs,
    connections: list[asyncio.Queue[frozenset[str] | None]],
) -> None:
    """A message has its invoice read; a connection that is made again, all that are open."""
    paid, missed = (sandbox.store.create("cryptocloud") for _ in range(2))
    entry = await add_account("cryptocloud", paid.id, missed.id)
    await async_until(lambda: len(connections) == 1)
    pass_time(hass, 3)

    sandbox.store.act("cryptocloud", paid.id, "pay")
    connections[0].put_nowait(frozenset({paid.id}))
    await async_until(lambda: [run["invoice"] for run in runs] == [paid.id])
    pass_time(hass, 3)

    sandbox.store.act("cryptocloud", missed.id, "pay")
    connections[0].put_nowait(None)
    await async_until(lambda: [run["invoice"] for run in runs] == [paid.id, missed.id])
    assert len(connections) == 2

    await hass.config_entries.async_unload(entry.entry_id)
    assert len(connections) == 2


class UpAndDown:
    """A provider whose connections last, or can't be made."""

    def __init__(self, loop: VirtualLoop, *connections: float | Exception | None) -> None:
        """Keep how long each connection lasts; None is one that can't be made."""
        self._loop = loop
        self._connections = list(connections)

    async def async_stream(self) -> AsyncIterator[Hint]:
        """Yield that there is a connection, if there is one."""
        if not self._connections:
            await self._loop.create_future()
        if (lasts := self._connections.pop(0)) is None:
            raise ProviderUnavailable(UnavailableReason.CANNOT_CONNECT)
        if isinstance(lasts, Exception):
            raise lasts
        yield Hint(invoice_ids=frozenset())
        await asyncio.sleep(lasts)


@pytest.mark.parametrize(
    ("connections", "readings"),
    [
        ((100.0, None, None, 100.0), 2),
        ((None, 100.0), 1),
        # A mistake of ours doesn't end the listening.
        ((LookupError("made up"), 100.0), 1),
        # One that hangs up on everybody has been asked once.
        ((1.0, 1.0, 1.0), 1),
        ((1.0, 1.0, 100.0, 1.0), 2),
    ],
)
def test_what_may_have_been_missed(
    connections: tuple[float | Exception | None, ...], readings: int
) -> None:
    """All that is open is read once a connection is there again, however often it failed."""
    loop = VirtualLoop()
    hints: list[Hint] = []
    listening = loop.create_task(
        stream.async_listen(
            "account",
            UpAndDown(loop, *connections),
            hint=hints.append,
            open_invoices=lambda: ["1"],
            clock=loop.time,
            back_off=BackOff(loop.time, Random(1)),
        )
    )
    loop.advance(4000)
    listening.cancel()
    loop.settle()
    loop.close()
    assert [hint.invoice_ids for hint in hints] == [frozenset({"1"})] * readings
