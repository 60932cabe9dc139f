"""What an answer's status and headers say: the errors of status codes, and times."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
import re

from .model import (
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
from .parse import to_utc

_LONGEST_RETRY_AFTER = 24 * 60 * 60
_SECONDS = re.compile(r"[+-]?\d+(?:\.\d*)?", re.ASCII)


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
