"""The declaration of a provider: what each one has to bring, and what it gets for it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum, auto
import hashlib
import re
import time
from typing import Any, ClassVar, Protocol

from aiohttp import ClientSession

from .batches import Batches
from .budget import Budget
from .cache import Forgetful
from .capabilities import OutcomeUnknown, Rejected
from .http import HttpClient
from .model import (
    Account,
    Answer,
    AuthError,
    BadResponse,
    Invoice,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from .parse import read_reason
from .status import read_status


class FieldKind(StrEnum):
    """What a credential field holds, and so how it is asked for."""

    BOOLEAN = auto()
    CHOICE = auto()
    """One of some texts, or any other."""
    SECRET = auto()
    TEXT = auto()
    TIME_ZONE = auto()
    URL = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One thing to ask the user for."""

    key: str
    kind: FieldKind
    required: bool = True
    default: str | bool | None = None
    advanced: bool = False
    is_proven: bool = False
    """Whether a refusal may be about this one, where it takes several secrets to be let in."""
    label: str | None = None
    """What a form calls it, where that isn't up to its key."""
    is_previewed: bool = False
    """Whether it is asked for beside an answer, and what is read of that."""
    options: tuple[str, ...] = ()
    """What a choice begins with."""

    @property
    def name(self) -> str:
        """The name that it has in a form."""
        return self.label or self.key


class KeyRequest(Protocol):
    """Says where below the address the page is that posts a new key to ``redirect``."""

    def __call__(self, redirect: str, *, may_create: bool, may_cancel: bool) -> str:
        """Return the path. The key may read; what else it may is chosen."""


class Provider(ABC):
    """One account at a payment service.

    A subclass says what it needs (``fields``), reads at most ``batch_size``
    invoices with one call of ``_async_read``, and raises nothing but the five
    errors of ``model``.
    """

    key: ClassVar[str]
    name: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]]
    batch_size: int = 1
    allows_path: ClassVar[bool] = False
    """Whether the address may have a path, as of a server behind a proxy."""
    pages: ClassVar[frozenset[str]] = frozenset()
    """With what the paths of the server's own pages begin, whose addresses people paste."""
    id_shape: ClassVar[re.Pattern[str]] = re.compile(r"^(?=\D*\d)[\w-]{16,}$")
    """What is in a word that is surely meant as an ID, also in one that is mistyped."""
    id_example: ClassVar[str] = "1042"
    """What an ID looks like."""
    address_gap: ClassVar[str] = ""
    """What stands for an invoice's ID, where the address is that of one invoice."""
    has_withdrawals: ClassVar[bool] = False
    """Whether what isn't found under an ID may be a withdrawal."""
    has_memos: ClassVar[bool] = False
    """Whether an invoice has a text that its payer reads."""
    key_path: ClassVar[str] = ""
    """Where below the address a person makes a key that may do what is needed and no more."""
    key_request: ClassVar[KeyRequest | None] = None
    """What leads to the page that makes a key and posts it to us, if the server has that."""
    currencies: ClassVar[Collection[str]] = ()
    """Those that invoices can be made in, where that is known."""
    needed_fields: ClassVar[frozenset[str]] = frozenset()
    """The optional fields of a new invoice without which none can be made."""
    concurrency: ClassVar[int] = 4
    requests_per_minute: ClassVar[int] = 120
    can_revert: ClassVar[bool] = False
    """Whether a payment can be taken back after it was final."""

    def __init__(
        self,
        session: ClientSession,
        settings: Mapping[str, Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep the session, which stays the caller's, and the values of ``fields``.

        A time zone comes as a ``tzinfo``, a choice as a ``bool``, everything else as text. What
        ``discovered_settings`` gave earlier is among the settings too.
        """
        self._settings = settings
        self.clock = clock
        budget = Budget(self.requests_per_minute, clock)
        self.http = HttpClient(session, settings["url"], budget, self._error, clock)
        self._caches: list[Forgetful] = []
        self._batches = Batches(self._async_read_batch, lambda: self.budget.left > 0, clock)
        self._remembers(self._batches.failed)
        self._remembers(self._batches.alone)

    @property
    def budget(self) -> Budget:
        """How many requests may be made."""
        return self.http.budget

    def now(self) -> datetime:
        """Return the time: the provider's, once it has said it, else this machine's."""
        if self.server_time is None:
            return datetime.now(UTC)
        date, at = self.server_time
        return date + timedelta(seconds=self.clock() - at)

    @property
    def answer_seconds(self) -> float | None:
        """How long answers take at present, or None before the first."""
        return self.http.answer_seconds

    @property
    def server_time(self) -> tuple[datetime, float] | None:
        """What time it is at the provider, and when it said so by ``clock``, if it does."""
        return self.http.server_time

    @property
    def reported_fields(self) -> frozenset[str]:
        """The fields of an invoice that this account can ever return."""
        return frozenset({"status", "amount", "amount_received", "expires_at"})

    @property
    def discovered_settings(self) -> Mapping[str, str]:
        """Settings found out since, worth keeping for the next start."""
        return {}

    @property
    def diagnostics(self) -> Mapping[str, str | int | bool]:
        """What may be shared of how this account is read, for finding faults: no secrets."""
        return {}

    @classmethod
    @abstractmethod
    def parse_invoice_id(cls, text: str) -> str | None:
        """Return the canonical ID in what a user typed or pasted, or None."""

    async def async_resolve_id(self, text: str) -> str | None:
        """Return the canonical ID in what a user typed, asking the provider if need be.

        Raises a ProviderError.
        """
        return self.parse_invoice_id(text)

    @abstractmethod
    async def async_get_account(self) -> Account:
        """Prove the credentials. Raises a ProviderError."""

    @abstractmethod
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Read at most ``batch_size`` invoices; one left out was not found."""

    async def _async_read_batch(
        self, ids: tuple[str, ...]
    ) -> Mapping[str, Invoice | ProviderError]:
        """Read a batch the way that the account reads one now."""
        return await self._async_read(ids)

    async def async_get_answers(self, ids: Iterable[str]) -> list[Answer]:
        """Read invoices: each is in one answer, however many requests it takes.

        Raises an error only if it concerns the whole account: the credentials,
        or a provider that answered for none of them.
        """
        return await self._batches.async_read(ids, self.batch_size, self.concurrency)

    async def async_get_invoices(self, ids: Iterable[str]) -> dict[str, Invoice | ProviderError]:
        """Read invoices, for whoever doesn't need to know when. Raises as above."""
        found: dict[str, Invoice | ProviderError] = {}
        for answer in await self.async_get_answers(ids):
            found.update(answer.rows)
        return found

    def _remembers[C: Forgetful](self, cache: C) -> C:
        """Add a cache to those that ``keep_only`` goes through, and return it."""
        self._caches.append(cache)
        return cache

    def keep_only(self, ids: Collection[str]) -> None:
        """Forget what is remembered of all other invoices."""
        kept = ids if isinstance(ids, AbstractSet) else frozenset(ids)
        for cache in self._caches:
            cache.keep_only(kept)

    async def _request_once[T](
        self,
        path: str,
        parse: Callable[[Any], T],
        *,
        headers: Mapping[str, str],
        json: object,
    ) -> T:
        """Post what makes something, and return what is read in the answer.

        Raises Rejected or another ProviderError where nothing was made, and
        OutcomeUnknown where that isn't known.
        """
        try:
            return parse(
                await self.http.async_request(
                    "POST", path, headers=headers, json=json, error=self._refusal
                )
            )
        except ProviderUnavailable as err:
            if not err.was_reached:
                raise
            raise OutcomeUnknown(str(err)) from err
        except BadResponse as err:
            raise OutcomeUnknown(str(err)) from err

    def _refusal(self, status: int, headers: Mapping[str, str], payload: object) -> ProviderError:
        """Return the error that a status code of 300 or more stands for where one acts.

        With a 4xx nothing was done, whatever else it means.
        """
        error = self._error(status, headers, payload)
        if isinstance(error, AuthError | ProviderUnavailable | RateLimited) or status < 400:
            return error
        return Rejected(self._reason(payload) or f"HTTP {status}")

    def _reason(self, payload: object) -> str:
        """Return what an answer gives as its reason, but none of our secrets."""
        secrets = [field.key for field in self.fields if field.kind is FieldKind.SECRET]
        return read_reason(payload, [self._settings.get(key) for key in secrets])

    def _error(self, status: int, headers: Mapping[str, str], payload: object) -> ProviderError:
        """Return the error that a status code other than 2xx stands for.

        ``payload`` is the decoded JSON, or None where there is none.
        """
        return read_status(status, headers, payload, self.http.url)


def fingerprint(*parts: str) -> str:
    """Return a short stable stand-in for secrets, safe to keep and to compare."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:16]
