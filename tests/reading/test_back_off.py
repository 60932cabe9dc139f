"""How long a provider is left alone after a failure, and when a refused key is believed."""

from itertools import pairwise
import random

from hypothesis import given, strategies as st
import pytest

from custom_components.crypto_invoices.providers.model import (
    AuthError,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    UnavailableReason,
)
from custom_components.crypto_invoices.providers.status import parse_retry_after
from custom_components.crypto_invoices.reading.back_off import (
    FIRST,
    HINTED_EVERY,
    KEY_DOUBTED_FOR,
    LONGEST,
    BackOff,
    KeyTrust,
)

DOWN = ProviderUnavailable(UnavailableReason.TIMEOUT)
MINUTE, HOUR = 60.0, 3600.0


class Clock:
    """A clock that goes when it is told to."""

    now = 1_000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


@given(seed=st.integers(0, 999), failures=st.integers(1, 2_000))
def test_failures_in_a_row(seed: int, failures: int) -> None:
    """They double the wait, with jitter, up to 15 minutes; a success ends that."""
    back_off = BackOff(Clock(), random.Random(seed))
    for number in range(failures):
        longest = min(FIRST * 2 ** min(number, 20), LONGEST)
        assert 0.7 * longest <= back_off.failed(DOWN) <= longest
    back_off.succeeded()
    assert back_off.left == 0
    assert back_off.failed(DOWN) <= FIRST


def test_jitter() -> None:
    """Not everybody comes back at the same moment."""
    waits = {BackOff(Clock(), random.Random(seed)).failed(DOWN) for seed in range(20)}
    assert len(waits) == 20


RETRY_AFTER = {
    "0": 5.0,
    "-30": 5.0,
    "7": 7.0,
    "2592000": HOUR,
    "9" * 400: HOUR,
    "Thu, 01 Jan 1970 00:00:00 GMT": 5.0,
    "Fri, 31 Dec 9999 23:59:59 GMT": HOUR,
}


@pytest.mark.parametrize("header", RETRY_AFTER)
@pytest.mark.parametrize("is_down", [False, True])
def test_retry_after(header: str, *, is_down: bool) -> None:
    """The provider is left alone for as long as it asks, within reason."""
    seconds = parse_retry_after(header)
    error: ProviderError = RateLimited(seconds)
    if is_down:
        error = ProviderUnavailable(UnavailableReason.SERVER_ERROR, retry_after=seconds)
    clock = Clock()
    back_off = BackOff(clock, random.Random(1))
    assert back_off.failed(error) == back_off.left == RETRY_AFTER[header]
    clock.now += RETRY_AFTER[header]
    assert back_off.left == 0


@pytest.mark.parametrize("header", [None, "", "soon", "1e3", "٣", "Thu, 99 Foo"])
def test_nonsense_in_retry_after(header: str | None) -> None:
    """What is no wait is none: the back-off decides."""
    seconds = BackOff(Clock(), random.Random(1)).failed(RateLimited(parse_retry_after(header)))
    assert 0.7 * FIRST <= seconds <= FIRST


def test_one_refusal_is_nobodys_word() -> None:
    """A key is refused once that was said again two minutes later, and good with any answer."""
    clock = Clock()
    key = KeyTrust(clock)
    waits, believed = [], []
    for wait in (0, KEY_DOUBTED_FOR - 1, 1, 30):
        clock.now += wait
        waits.append(key.refused(AuthError()))
        believed.append(key.is_refused)
    assert waits[:2] == [KEY_DOUBTED_FOR, 1]
    assert believed == [False, False, True, True]
    assert key.accepted()
    assert key.hint_left is None
    # The doubt begins anew.
    assert key.refused(AuthError()) == KEY_DOUBTED_FOR
    assert not key.is_refused
    assert not key.accepted()


def test_how_often_a_refused_key_is_tried() -> None:
    """Every quarter of an hour, after hours every hour; a hint may ask every two minutes."""
    clock = Clock()
    key = KeyTrust(clock)
    asked = []
    while clock.now < 1_000 + 8 * HOUR:
        asked.append(clock.now - 1_000)
        wait = key.refused(AuthError())
        assert key.hint_left == HINTED_EVERY
        clock.now += HINTED_EVERY
        assert key.hint_left == 0
        clock.now += wait - HINTED_EVERY
    gaps = [after - before for before, after in pairwise(asked)]
    assert gaps == [2 * MINUTE] + 16 * [15 * MINUTE] + 3 * [HOUR]
