"""A shop's month: the requests it takes are the same on every machine, so they are held here."""

from datetime import timedelta
from unittest.mock import Mock

from bench.month import BEGIN, HOUR, TIMER, Life, rest_requests_per_hour, simulate
from custom_components.crypto_invoices.providers.model import InvoiceStatus
from custom_components.crypto_invoices.reading.schedule import YOUNG_INTERVAL
from custom_components.crypto_invoices.upkeep.lister import EVERY


def test_life() -> None:
    """An invoice is open until it is paid, or until its day is over."""
    paid, never = Life("1", 0.0, 60.0), Life("2", 0.0, None)
    assert paid.at(59).status is InvoiceStatus.PENDING
    assert paid.at(60).status is InvoiceStatus.PAID
    assert never.at(86_399).status is InvoiceStatus.PENDING
    assert never.at(86_400).status is InvoiceStatus.CANCELED
    assert never.at(0).expires_at == BEGIN + timedelta(days=1)


def test_requests_of_a_month() -> None:
    """A twentieth of what `rest` asks, and young invoices are seen as soon."""
    outcome = simulate(Mock(), 1_000, 2)
    assert 900 < outcome.tracked[0] < 1_100
    assert outcome.requests / 48 <= rest_requests_per_hour(outcome) / 20
    assert max(outcome.waits) <= YOUNG_INTERVAL
    assert sum(outcome.waits) / len(outcome.waits) <= YOUNG_INTERVAL / 2


def test_requests_of_a_month_watched_automatically() -> None:
    """The list is asked for twice a minute, and little more: a sixth of what `rest` asks."""
    outcome = simulate(Mock(), 1_000, 1, is_auto_watched=True)
    assert outcome.requests / 24 <= rest_requests_per_hour(outcome, is_listing=True) / 6
    assert HOUR / EVERY * 0.95 < outcome.lists / 24 < HOUR / EVERY * 1.15
    assert len(outcome.waits) > 10
    assert max(outcome.waits) <= EVERY + 2 * TIMER
