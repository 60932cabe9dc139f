"""Sends a request and decodes its answer: the one place where providers use HTTP."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
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

from .budget import Budget, async_keep_pace
from .cache import LastRead
from .model import (
    AnswerTooLarge,
    BadResponse,
    ProviderError,
    ProviderUnavailable,
    UnavailableReason,
)
from .parse import read_json
from .status import read_date

# Shorter for the connection: a request that fails by then was never sent.
REQUEST_TIMEOUT = ClientTimeout(total=15, connect=10)
MAX_ANSWER_BYTES = 4 * 1024 * 1024
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
        *,
        error: ReadError | None = None,
        **request: Any,
    ) -> T:
        """Make a request that is made regularly, and return what its answer is parsed to.

        An answer that is byte for byte the last one with this ``key`` is not even decoded.
        ``error`` reads another answer in place of the account's own reader.
        """
        response = await self.async_send(method, path, **request)
        return last.read(
            key,
            (response.status, response.content_type, response.content),
            lambda: parse(decode(response, error or self._read_error)),
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
        await async_keep_pace()
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


def decode(
    response: Response, read_error: ReadError, read: Callable[[bytes], Any] = read_json
) -> Any:
    """Return the JSON of a good answer, None if it is empty, or raise what a bad one means."""
    is_good = 200 <= response.status < 300
    if is_good and not response.content:
        return None
    is_html = response.content_type in _HTML
    try:
        payload = None if is_html else read(response.content)
    except ValueError:
        payload = None
        if is_good:
            raise BadResponse("the answer is not JSON") from None
    if not is_good:
        raise read_error(response.status, response.headers, payload)
    if is_html:
        raise BadResponse("the answer is a web page")
    return payload
