"""A provider without a network, for tests that need one that can be made to fail."""

from collections.abc import Iterable, Mapping
from typing import ClassVar, override
from unittest.mock import Mock

from custom_components.crypto_invoices.providers.model import (
    Account,
    Invoice,
    InvoiceStatus,
    ProviderError,
    ProviderUnavailable,
    UnavailableReason,
)
from custom_components.crypto_invoices.providers.provider import Field, FieldKind, Provider


def pending(id_: str) -> Invoice:
    """Return an invoice that is waiting for its payment."""
    return Invoice(id=id_, status=InvoiceStatus.PENDING, provider_status="made up")


class Time:
    """A clock that goes on only when a test or a request says so."""

    def __init__(self) -> None:
        """Begin anywhere."""
        self.now = 1_000.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class TakesAnything(Provider):
    """A provider that takes any key and any ID: what else it does is up to those made from it."""

    key = "made_up"
    name = "Made up"
    fields: ClassVar[tuple[Field, ...]] = ()

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        """Accept anything."""
        return text

    @override
    async def async_get_account(self) -> Account:
        """Accept any key."""
        return Account(unique_id="made up", title=self.name)


class MadeUp(TakesAnything):
    """A provider that knows every invoice, unless it is down or one of them spoils its answer."""

    fields = (
        Field(key="url", kind=FieldKind.URL),
        Field(key="api_key", kind=FieldKind.SECRET),
    )
    batch_size: int = 100
    concurrency: ClassVar[int] = 2
    requests_per_minute: ClassVar[int] = 1_000_000

    def __init__(self, time: Time | None = None) -> None:
        """Begin in good health."""
        self.time = time or Time()
        super().__init__(Mock(), {"url": "https://made.up", "api_key": "made-up"}, self.time)
        self.requests: list[tuple[str, ...]] = []
        self.spoilers: frozenset[str] = frozenset()
        """Invoices that make a request fail which asks for any of them."""
        self.failure: ProviderError = ProviderUnavailable(UnavailableReason.SERVER_ERROR)
        self.failure_seconds = 0.0
        self.is_down = False

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Make a request."""
        await self.budget.async_spend()
        self.requests.append(ids)
        if self.is_down or not self.spoilers.isdisjoint(ids):
            self.time.now += self.failure_seconds
            raise self.failure
        return {id_: pending(id_) for id_ in ids}

    async def read(self, ids: Iterable[str]) -> Mapping[str, Invoice | ProviderError]:
        """Read once, from a new count of requests; an error is that of all invoices."""
        self.requests.clear()
        ids = tuple(ids)
        try:
            return await self.async_get_invoices(ids)
        except ProviderError as err:
            return dict.fromkeys(ids, err)
