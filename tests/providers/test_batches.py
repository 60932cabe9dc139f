"""Many invoices at a time: what one can do to the others, and when each was asked for."""

import asyncio
from collections.abc import Mapping

from aiohttp import ClientSession
from hypothesis import given, settings, strategies as st
import pytest

from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.budget import WINDOW
from custom_components.crypto_invoices.providers.cache import LastRead
from custom_components.crypto_invoices.providers.capabilities import KeepsPaymentLinks
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    Invoice,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    UnavailableReason,
)
from custom_components.crypto_invoices.providers.provider import Provider
from sandbox import registry
from tests.conftest import SandboxServer
from tests.made_up import MadeUp, Time

from .conftest import Answer, Asked, Wire, made_up_settings
from .test_lnbits import Wallet, payment

THREE = ("a", "b", "c")
MANY = tuple(f"{number:03}" for number in range(500))


def readable(found: Mapping[str, Invoice | ProviderError]) -> set[str]:
    """Return the invoices that were read."""
    return {id_ for id_, row in found.items() if isinstance(row, Invoice)}


async def test_one_spoils_the_batch() -> None:
    """Of three, two are read and one has a problem; from then on at the price of one request."""
    provider = MadeUp()
    provider.spoilers = frozenset("b")
    assert not readable(await provider.read(THREE))
    assert len(provider.requests) == 1
    found = await provider.read(THREE)
    assert readable(found) == {"a", "c"}
    assert isinstance(found["b"], ProviderUnavailable)
    assert readable(await provider.read(THREE)) == {"a", "c"}
    assert provider.requests == [("a", "c"), ("b",)]
    # Beside others, it is still read behind them and alone.
    await provider.read("dbea")
    assert provider.requests == [("d", "e", "a"), ("b",)]
    provider.spoilers = frozenset()
    assert readable(await provider.read(THREE)) == set(THREE)
    await provider.read(THREE)
    assert provider.requests == [THREE]


@pytest.mark.parametrize("key", ["cryptocloud", "lnbits"])
async def test_one_spoils_the_batch_over_http(wire: Wire, session: ClientSession, key: str) -> None:
    """So it is at those who read in batches."""
    ids = [f"INV-{n:08}" if key == "cryptocloud" else f"{n:064}" for n in range(3)]
    wallet = Wallet()
    wallet.rows = {id_: payment(id_) for id_ in ids}

    def serve(asked: Asked) -> Answer:
        if ids[1] in (f"{asked.url} {asked.body!r}"):
            return Answer({"detail": "a broken row"}, 500)
        if key == "lnbits":
            return wallet(asked)
        rows = [{"uuid": uuid, "status": "created"} for uuid in asked.json["uuids"]]
        return Answer({"status": "success", "result": rows})

    wire.answer(serve)
    provider = PROVIDERS[key](session, made_up_settings(key))
    with pytest.raises(ProviderUnavailable):
        await provider.async_get_invoices(ids)
    for _ in range(2):
        assert readable(await provider.async_get_invoices(ids)) == {ids[0], ids[2]}


async def test_down() -> None:
    """A provider that is wholly down costs few requests each time, and few when it is back."""
    provider = MadeUp()
    provider.is_down = True
    for _ in range(30):
        assert not readable(await provider.read(MANY))
        assert len(provider.requests) <= 8
    provider.is_down = False
    assert readable(await provider.read(MANY)) == set(MANY)
    assert len(provider.requests) <= 8
    await provider.read(MANY)
    assert len(provider.requests) == 5


@settings(max_examples=50, deadline=None)
@given(spoilers=st.sets(st.sampled_from(MANY[:120]), max_size=6))
async def test_any_spoilers(spoilers: set[str]) -> None:
    """Whichever spoil it, soon all others are read, with a bounded number of requests."""
    ids = MANY[:120]
    provider = MadeUp()
    provider.spoilers = frozenset(spoilers)
    for _ in range(15):
        answers = await provider.read(ids)
        assert answers.keys() == set(ids)
        assert len(provider.requests) <= 50
    # Three failures in a row end a reading, so that a few take turns.
    assert readable(answers) == set(ids) - spoilers
    assert len(provider.requests) <= 2 + len(spoilers)


async def test_slow_spoiler() -> None:
    """A spoiler that lets requests time out is found over several readings, none of them long."""
    provider = MadeUp()
    provider.spoilers = frozenset({"007"})
    provider.failure = ProviderUnavailable(UnavailableReason.TIMEOUT)
    provider.failure_seconds = 15.0
    for _ in range(10):
        begin = provider.time.now
        found = await provider.read(MANY[:100])
        assert provider.time.now - begin <= 60
    assert readable(found) == set(MANY[:100]) - {"007"}


@pytest.mark.parametrize("error", [AuthError(), RateLimited(7)])
async def test_refused_while_splitting(error: ProviderError) -> None:
    """Where the provider refuses more requests, nothing is split any more."""
    provider = MadeUp()
    provider.is_down = True
    await provider.read(MANY[:100])
    failures = iter([ProviderUnavailable(UnavailableReason.SERVER_ERROR), error])
    read = provider._batches.read

    async def refuse(ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        provider.failure = next(failures)
        return await read(ids)

    provider._batches.read = refuse
    found = await provider.read(MANY[:100])
    assert set(found.values()) == {error}
    assert len(provider.requests) == 2


async def test_splits_within_the_budget() -> None:
    """What is left of the budget is not spent on looking for a spoiler."""
    provider = MadeUp()
    provider.budget.per_minute = 4
    provider.spoilers = frozenset({"099"})
    await provider.read(MANY[:100])
    await provider.read(MANY[:100])
    assert len(provider.requests) == 3
    assert not provider.budget.left


@pytest.mark.parametrize("key", registry.PROVIDERS)
async def test_forgets(sandbox: SandboxServer, session: ClientSession, key: str) -> None:
    """What is remembered of an invoice is gone with it."""
    ids = [sandbox.store.create(key).id for _ in range(50)]
    await check_forgets(PROVIDERS[key](session, sandbox.settings(key)), ids)


@pytest.mark.parametrize("key", sorted(PROVIDERS.keys() - registry.PROVIDERS.keys()))
async def test_forgets_outside_the_sandbox(wire: Wire, session: ClientSession, key: str) -> None:
    """So it is with a provider that isn't in the sandbox."""
    wallet = Wallet()
    ids = [f"{number:064}" for number in range(50)]
    wallet.rows = {id_: payment(id_) for id_ in ids}
    wire.answer(wallet if key == "lnbits" else Answer({"made-up-status_path": "paid"}))
    await check_forgets(PROVIDERS[key](session, made_up_settings(key)), ids)


async def check_forgets(provider: Provider, ids: list[str]) -> None:
    """Read many invoices, keep three, then none."""
    if isinstance(provider, KeepsPaymentLinks):
        provider.links.update(dict.fromkeys(ids, "https://made.up"))
    assert len(readable(await provider.async_get_invoices(ids))) == 50
    provider.keep_only(ids[:3])
    assert all(size <= 3 for size in sizes(provider))
    assert len(readable(await provider.async_get_invoices(ids[:3]))) == 3
    provider.keep_only([])
    assert not any(sizes(provider))


def sizes(provider: Provider) -> list[int]:
    """Return how much there is in all that can grow, whether the provider registered it or not."""
    fixed = (provider._settings, vars(provider).get("_headers"))
    things = [*vars(provider).values(), *vars(provider._batches).values()]
    return [
        len(thing)
        for thing in things
        if isinstance(thing, dict | set | LastRead) and all(thing is not one for one in fixed)
    ]


async def test_forgets_failures() -> None:
    """Which batches failed is forgotten with their invoices, too."""
    provider = MadeUp()
    provider.is_down = True
    await provider.read(MANY)
    assert max(sizes(provider)) > 3
    provider.keep_only(MANY[:3])
    assert max(sizes(provider)) == 3


async def test_when_it_was_asked(
    wire: Wire, session: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invoice was asked for when its request was sent: the wait for the budget is over then."""
    time = Time()
    monkeypatch.setattr(asyncio, "sleep", time.sleep)

    def serve(_: Asked) -> Answer:
        time.now += 2
        return Answer({"status": "success", "status_invoice": "paid"})

    wire.answer(serve)
    key = "cryptocloud_v1"
    provider = PROVIDERS[key](session, made_up_settings(key), time)
    provider.budget.count(provider.budget.per_minute)
    begin = time.now
    [answer] = await provider.async_get_answers(["INV-00000001"])
    assert (answer.asked - begin, answer.received - begin) == (WINDOW, WINDOW + 2)


async def test_asked_in_several_requests(wire: Wire, session: ClientSession) -> None:
    """What took several requests was asked for with the first: too old is safe, too new isn't."""
    time = Time()
    ids = [f"INV-{number:08}" for number in range(4)]

    def serve(asked: Asked) -> Answer:
        time.now += 1
        uuids = asked.json["uuids"]
        if ids[0] in uuids:
            return Answer({"status": "error", "result": "unknown"}, 400)
        return Answer(
            {"status": "success", "result": [{"uuid": id_, "status": "paid"} for id_ in uuids]}
        )

    wire.answer(serve)
    provider = PROVIDERS["cryptocloud"](session, made_up_settings("cryptocloud"), time)
    begin = time.now
    [answer] = await provider.async_get_answers(ids)
    assert len(wire.asked) > 1
    assert (answer.asked, answer.received) == (begin, begin + len(wire.asked))
    assert readable(answer.rows) == set(ids[1:])
