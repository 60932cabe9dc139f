"""The provider every provider derives from, and the one place that makes a request."""

from abc import ABC, abstractmethod
import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum, auto
import hashlib
from itertools import batched
import re
import time
from typing import Any, ClassVar

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    InvalidURL,
)
import orjson

from .budget import Budget
from .invoicing import OutcomeUnknown, Rejected
from .model import (
    Account,
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    Trouble,
)
from .parse import LastRead, read_reason

# Shorter for the connection: what was cut off then was never asked.
REQUEST_TIMEOUT = ClientTimeout(total=15, connect=10)
MAX_ANSWER_BYTES = 4 * 1024 * 1024
_LONGEST_RETRY_AFTER = 24 * 60 * 60
_SECONDS = re.compile(r"[+-]?\d+(?:\.\d*)?", re.ASCII)
# A server that is down costs this many time-outs, however many invoices there are.
_FAILURES_IN_A_ROW = 3

type ReadError = Callable[[int, Mapping[str, str], object], ProviderError]
"""Makes an error of a status code, the headers and the JSON, if there is any."""


class FieldKind(StrEnum):
    """What a credential field holds, and so how it is asked for."""

    BOOLEAN = auto()
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


class Provider(ABC):
    """One account at a payment service.

    A subclass says what it needs (``fields``), reads at most ``batch_size``
    invoices with one call of ``_async_read``, and raises nothing but the five
    errors of ``model``.
    """

    key: ClassVar[str]
    name: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]]
    batch_size: ClassVar[int] = 1
    allows_path: ClassVar[bool] = False
    """Whether the address may have a path, as of a server behind a proxy."""
    key_path: ClassVar[str] = ""
    """Where below the address a person makes a key that may do what is needed and no more."""
    concurrency: ClassVar[int] = 4
    requests_per_minute: ClassVar[int] = 120
    can_revert: ClassVar[bool] = False
    """Whether a payment can be taken back after it was final."""

    def __init__(self, session: ClientSession, settings: Mapping[str, Any]) -> None:
        """Keep the session, which stays the caller's, and the values of ``fields``.

        A time zone comes as a ``tzinfo``, a choice as a ``bool``, everything else as text. What
        ``learned`` gave earlier is among the settings too.
        """
        self._session = session
        self._settings = settings
        self._url = settings["url"].rstrip("/")
        self.budget = Budget(self.requests_per_minute)
        self.answer_seconds: float | None = None
        """How long answers take at present, or None before the first."""

    @property
    def reports(self) -> frozenset[str]:
        """The fields of an invoice that this account can ever tell."""
        return frozenset({"status", "amount", "amount_received", "expires_at"})

    @property
    def learned(self) -> Mapping[str, str]:
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

    async def async_get_invoices(self, ids: Iterable[str]) -> dict[str, Invoice | ProviderError]:
        """Read invoices: one entry per ID, however many requests it takes.

        Raises an error only if it concerns the whole account: the credentials,
        or a provider that answered for none of them.
        """
        found: dict[str, Invoice | ProviderError] = {}
        batches = self._batches(tuple(dict.fromkeys(ids)))
        stopped_by: ProviderError | None = None
        in_a_row = 0

        async def async_read_batches() -> None:
            nonlocal stopped_by, in_a_row
            for batch in batches:
                error = stopped_by
                if error is None:
                    try:
                        rows = await self._async_read(batch)
                    except ProviderError as err:
                        error = err
                if error is None:
                    found.update({id_: rows.get(id_) or InvoiceNotFound(id_) for id_ in batch})
                    error = _what_stopped(rows)
                else:
                    found.update(dict.fromkeys(batch, error))
                in_a_row = in_a_row + 1 if isinstance(error, ProviderUnavailable) else 0
                if isinstance(error, AuthError | RateLimited) or in_a_row >= _FAILURES_IN_A_ROW:
                    stopped_by = error

        await asyncio.gather(*(async_read_batches() for _ in range(self.concurrency)))
        return _unless_nothing_was_read(found)

    def _batches(self, ids: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """Split the IDs into what goes into one ``_async_read``."""
        return batched(ids, self.batch_size, strict=False)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        json: object = None,
        error: ReadError | None = None,
    ) -> Any:
        """Make one request and return the decoded JSON of a 2xx answer.

        ``error`` reads another answer in place of ``_error``.
        """
        response, content = await self._send(
            method, path, headers=headers, params=params, json=json
        )
        return self._decode(response, content, error or self._error)

    async def _request_again[T](
        self,
        last: LastRead[T],
        key: str,
        parse: Callable[[Any], T],
        method: str,
        path: str,
        **request: Any,
    ) -> T:
        """Make a request that is made again and again, and return what its answer is parsed to.

        An answer that is byte for byte the last one with this ``key`` is not even decoded.
        """
        response, content = await self._send(method, path, **request)
        return last.read(
            key,
            (response.status, response.content_type, content),
            lambda: parse(self._decode(response, content, self._error)),
        )

    async def _send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        json: object = None,
    ) -> tuple[ClientResponse, bytes]:
        """Make one request and return whatever is answered.

        Redirects are not followed: the credentials are for this address only.
        """
        if not self._url.lower().startswith(("http://", "https://")):
            # To an address of another kind, aiohttp answers with an AssertionError.
            raise ProviderUnavailable(
                Trouble.CANNOT_CONNECT, "not a web address", was_reached=False
            )
        await self.budget.async_spend()
        if self._session.closed:
            raise ProviderUnavailable(
                Trouble.CANNOT_CONNECT, "the session is closed", was_reached=False
            )
        begin = time.monotonic()
        body = None if json is None else orjson.dumps(json)
        if body is not None:
            headers = {**headers, "Content-Type": "application/json"}
        try:
            async with self._session.request(
                method,
                f"{self._url}{path}",
                params=params,
                data=body,
                headers=headers,
                timeout=REQUEST_TIMEOUT,
                allow_redirects=False,
            ) as response:
                content = await _read_limited(response)
        except TimeoutError as err:
            was_reached = not isinstance(err, ConnectionTimeoutError)
            raise ProviderUnavailable(Trouble.TIMEOUT, was_reached=was_reached) from err
        except ClientConnectorCertificateError as err:
            # Other troubles with TLS are mostly a server that doesn't speak it.
            raise ProviderUnavailable(Trouble.CERTIFICATE, was_reached=False) from err
        except (ClientError, OSError, ValueError) as err:
            # A ValueError is an address or a key that no HTTP request can carry.
            raise ProviderUnavailable(
                Trouble.CANNOT_CONNECT,
                type(err).__name__,
                was_reached=not isinstance(err, ClientConnectorError | InvalidURL),
            ) from err
        finally:
            seconds = time.monotonic() - begin
            before = seconds if self.answer_seconds is None else self.answer_seconds
            self.answer_seconds = (before + seconds) / 2
        return response, content

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
                await self._request("POST", path, headers=headers, json=json, error=self._refusal)
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

    def _decode(self, response: ClientResponse, content: bytes, error: ReadError) -> Any:
        """Return the JSON of a good answer, or raise what a bad one means."""
        is_html = response.content_type in ("text/html", "application/xhtml+xml")
        try:
            payload = None if is_html else orjson.loads(content)
        except orjson.JSONDecodeError:
            payload = None
            if response.ok:
                raise BadResponse("the answer is not JSON") from None
        if response.status >= 300:
            raise error(response.status, response.headers, payload)
        if is_html:
            raise BadResponse("the answer is a web page")
        return payload

    def _error(self, status: int, headers: Mapping[str, str], payload: object) -> ProviderError:
        """Return the error that a status code of 300 or more stands for.

        ``payload`` is the decoded JSON, or None where there is none.
        """
        retry_after = parse_retry_after(headers.get("Retry-After"))
        if status == 429:
            return RateLimited(retry_after)
        if status >= 500:
            return ProviderUnavailable(Trouble.SERVER_ERROR, f"HTTP {status}", retry_after)
        if status == 408:
            return ProviderUnavailable(Trouble.TIMEOUT, "HTTP 408")
        # Without JSON, a 403 or 404 is the word of a proxy or of some other server.
        if status == 401 or (status == 403 and payload is not None):
            return AuthError(f"HTTP {status}")
        if status == 404 and payload is not None:
            return InvoiceNotFound(f"HTTP {status}")
        return BadResponse(f"HTTP {status}")


def parse_retry_after(value: str | None) -> float | None:
    """Return the seconds a Retry-After header asks for, in either of its forms."""
    if value is None:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        seconds = float(value)
    else:
        try:
            moment = parsedate_to_datetime(value)
        except OverflowError, TypeError, ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


def fingerprint(*parts: str) -> str:
    """Return a short stable stand-in for secrets, safe to keep and to compare."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:16]


async def _read_limited(response: ClientResponse) -> bytes:
    """Read an answer's body, up to a size no honest answer reaches.

    Of an answer that is an error anyway, what is too large is left unread.
    """
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            if response.status >= 300:
                return b""
            raise BadResponse("the answer is too large")
    return bytes(content)


def _what_stopped(rows: Mapping[str, Invoice | ProviderError]) -> ProviderError | None:
    """Return the error in a batch that keeps the next ones from being asked for."""
    for row in rows.values():
        if isinstance(row, Invoice):
            continue
        if isinstance(row, AuthError | ProviderUnavailable | RateLimited):
            return row
    return None


def _unless_nothing_was_read(
    found: dict[str, Invoice | ProviderError],
) -> dict[str, Invoice | ProviderError]:
    """Return what was found, or raise the error that kept everything from being read."""
    errors = [entry for entry in found.values() if isinstance(entry, ProviderError)]
    for error in errors:
        if isinstance(error, AuthError):
            raise error
    if errors and len(errors) == len(found):
        for error in errors:
            if isinstance(error, ProviderUnavailable | RateLimited):
                raise error
        # Where nothing makes sense, it is the provider that is broken, not each invoice.
        if all(isinstance(error, BadResponse) for error in errors):
            # Not that one itself: who remembers it would gather a traceback with each reading.
            raise BadResponse(str(errors[0])) from errors[0]
    return found
