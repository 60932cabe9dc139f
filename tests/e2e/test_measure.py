"""What is measured is what is said."""

import os

import pytest

from tests.e2e.measure import milliseconds, percentile, resident_mib


@pytest.mark.parametrize(
    ("count", "share", "found"),
    [(1, 0.5, 1), (1, 0.99, 1), (2, 0.5, 1), (3, 0.5, 2), (100, 0.99, 99), (200, 0.99, 198)],
)
def test_percentile(count: int, share: float, found: int) -> None:
    """So large a share of the values is not larger, in whatever order they come."""
    assert percentile(range(count, 0, -1), share) == found


def test_milliseconds() -> None:
    """Seconds are printed as milliseconds."""
    assert milliseconds([0.0123, 0.5], 0.5) == "12.3 ms"


def test_resident_memory() -> None:
    """A process has some memory, and not all there is."""
    assert 1 < resident_mib(os.getpid()) < 100_000
