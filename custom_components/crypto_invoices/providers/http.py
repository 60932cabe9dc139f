"""Sends a request and decodes its answer: the one place where providers use HTTP."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
import re
from typing import Any

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
from .cache import LastRead
from .model import (
    AnswerTooLarge,
    AuthError,
    BadResponse,
    Forbidden,
    InvoiceNotFound,
    Moved,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    UnavailableReason,
)
from .parse import read_json, to_utc

# Shorter for the connection: a request that fails by then was never sent.
REQUEST_TIMEOUT = ClientTimeout(total=15, connect=10)
MAX_ANSWER_BYTES = 4 * 1024 * 1024
_LONGEST_RETRY_AFTER = 24 * 60 * 60
_SECONDS = re.compile(r"[+-]?\d+(?:\.\d*)?", re.ASCII)
_HTML = frozenset({"text/html", "application/xhtml+xml"})

type ReadError = Callable[[int, Mapping[str, str], object], ProviderError]
"""Makes an error of a status code, the headers and the JSON, if there is any."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def content_type(self) -> str:
        """The type without its parameters; aiohttp's own reader fails on some that are broken."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


@dataclass(slots=True)
class RequestTimes:
    """When the first of some requests was sent, and when the last answer was complete."""

    asked: float | None = None
    received: float | None = None


_times: ContextVar[RequestTimes | None] = ContextVar("request_times", default=None)


@contextmanager
def request_times() -> Iterator[RequestTimes]:
    """Note the times of all requests that are made within."""
    times = RequestTimes()
    token = _times.set(times)
    try:
        yield times
    finally:
        _times.reset(token)


class HttpClient:
    """Sends an account's requests, all to one address and within one budget.

    Redirects are not followed: the credentials are for this address only.
    """

    def __init__(
        self,
        session: ClientSession,
        url: str,
        budget: Budget,
        read_error: ReadError,
        clock: Callable[[], float],
    ) -> None:
        """Keep the session, which stays the caller's."""
        self.session = session
        self.url = url.rstrip("/")
        self.budget = budget
        self.answer_seconds: float | None = None
        """How long answers take at present, or None before the first."""
        self.server_time: tuple[datetime, float] | None = None
        """What time the server last said it is, and when that was by the clock."""
        self._read_error = read_error
        self._clock = clock

    async def async_request(
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

        ``error`` reads another answer in place of the account's own reader.
        """
        response = await self.async_send(method, path, headers=headers, params=params, json=json)
        return decode(response, error or self._read_error)

    async def async_request_again[T](
        self,
        last: LastRead[T],
        key: str,
        parse: Callable[[Any], T],
        method: str,
        path: str,
        **request: Any,
    ) -> T:
        """Make a request that is made regularly, and return what its answer is parsed to.

        An answer that is byte for byte the last one with this ``key`` is not even decoded.
        """
        response = await self.async_send(method, path, **request)
        return last.read(
            key,
            (response.status, response.content_type, response.content),
            lambda: parse(decode(response, self._read_error)),
        )

    async def async_send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        json: object = None,
    ) -> Response:
        """Make one request and return whatever is answered. Raises a ProviderError."""
        if not self.url.lower().startswith(("http://", "https://")):
            # To an address of another kind, aiohttp answers with an AssertionError.
            raise ProviderUnavailable(
                UnavailableReason.CANNOT_CONNECT, "not a web address", was_reached=False
            )
        await self.budget.async_spend()
        if self.session.closed:
            raise ProviderUnavailable(
                UnavailableReason.CANNOT_CONNECT, "the session is closed", was_reached=False
            )
        body = None if json is None else orjson.dumps(json)
        if body is not None:
            headers = {**headers, "Content-Type": "application/json"}
        asked = self._clock()
        try:
            async with self.session.request(
                method,
                f"{self.url}{path}",
                params=params,
                data=body,
                headers=headers,
                timeout=REQUEST_TIMEOUT,
                allow_redirects=False,
            ) as response:
                content = await _read_limited(response)
        except TimeoutError as err:
            was_reached = not isinstance(err, ConnectionTimeoutError)
            raise ProviderUnavailable(UnavailableReason.TIMEOUT, was_reached=was_reached) from err
        except ClientConnectorCertificateError as err:
            # Other problems with TLS are mostly a server that doesn't speak it.
            raise ProviderUnavailable(UnavailableReason.CERTIFICATE, was_reached=False) from err
        except (ClientError, OSError, ValueError) as err:
            # A ValueError is an address or a key that no HTTP request can carry.
            raise ProviderUnavailable(
                UnavailableReason.CANNOT_CONNECT,
                type(err).__name__,
                was_reached=not isinstance(err, ClientConnectorError | InvalidURL),
            ) from err
        finally:
            self._note_times(asked, self._clock())
        if (date := read_date(response.headers)) is not None:
            self.server_time = (date, self._clock())
        return Response(response.status, response.headers, content)

    def _note_times(self, asked: float, received: float) -> None:
        """Keep how long a request took, and when it was, for whoever wants to know."""
        seconds = received - asked
        before = seconds if self.answer_seconds is None else self.answer_seconds
        self.answer_seconds = (before + seconds) / 2
        if (times := _times.get()) is not None:
            times.asked = asked if times.asked is None else min(times.asked, asked)
            times.received = received


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
            raise AnswerTooLarge("the answer is too large")
    return bytes(content)


def decode(response: Response, read_error: ReadError) -> Any:
    """Return the JSON of a good answer, None if it is empty, or raise what a bad one means."""
    is_good = 200 <= response.status < 300
    if is_good and not response.content:
        return None
    is_html = response.content_type in _HTML
    try:
        payload = None if is_html else read_json(response.content)
    except ValueError:
        payload = None
        if is_good:
            raise BadResponse("the answer is not JSON") from None
    if not is_good:
        raise read_error(response.status, response.headers, payload)
    if is_html:
        raise BadResponse("the answer is a web page")
    return payload


def read_status(
    status: int, headers: Mapping[str, str], payload: object, address: str = ""
) -> ProviderError:
    """Return the error that a status code other than 2xx stands for, at most providers.

    ``payload`` is the decoded JSON, or None where there is none; ``address`` is who was asked.
    """
    if (error := _read_wait(status, headers)) is not None:
        return error
    if 300 <= status < 400:
        return Moved(f"HTTP {status}", to_https=_is_safer(headers.get("Location"), address))
    # Without JSON, a 403 or 404 is the word of a proxy or of some other server.
    if status == 401 or (status == 403 and payload is not None):
        return AuthError(f"HTTP {status}")
    if status == 404 and payload is not None:
        return InvoiceNotFound(f"HTTP {status}")
    return (Forbidden if status == 403 else BadResponse)(f"HTTP {status}")


def _read_wait(status: int, headers: Mapping[str, str]) -> ProviderError | None:
    """Return the error of a server that can't answer now, None where it can."""
    retry_after = parse_retry_after(headers.get("Retry-After"), read_date(headers))
    if status == 429:
        return RateLimited(retry_after)
    if status >= 500:
        return ProviderUnavailable(UnavailableReason.SERVER_ERROR, f"HTTP {status}", retry_after)
    if status == 408:
        return ProviderUnavailable(UnavailableReason.TIMEOUT, "HTTP 408")
    return None


def _is_safer(location: str | None, address: str) -> bool:
    """Whether a redirect is to an encrypted address from one that isn't."""
    is_secure = (location or "").strip().lower().startswith("https://")
    return is_secure and not address.lower().startswith("https://")


def read_date(headers: Mapping[str, str]) -> datetime | None:
    """Return what time it is at the server, as far as it says so."""
    moment = _read_http_date(headers.get("Date"))
    return None if moment is None else to_utc(moment, UTC)


@lru_cache(maxsize=64)
def _read_http_date(value: str | None) -> datetime | None:
    """Return a time as HTTP writes it, or None; many answers come in the same second."""
    try:
        moment = parsedate_to_datetime(value or "")
    except OverflowError, TypeError, ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds a Retry-After header asks for, in either of its forms.

    ``now`` is by the clock of who asks for it, by default this machine's.
    """
    if value is None:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        seconds = float(value)
    else:
        if (moment := _read_http_date(value)) is None:
            return None
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)
