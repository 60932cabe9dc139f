"""What an LNbits server can do, which is found out by asking it.

Measured on 0.12.6 to 1.6.2: a page can be filtered by a list of hashes since 1.4.0, by a single
one since 1.0.0. A filter that a server doesn't know is answered with an error of its own, 500.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ..model import ProviderError, ProviderUnavailable, ServerTooOld, UnavailableReason
from ..parse import read_object, read_text

LEAST_VERSION = "1.0.0"
# Shaped like a payment hash, and nobody's.
_NO_HASH = "0" * 64

type ReadPage = Callable[[Mapping[str, str]], Awaitable[Any]]
"""Asks for a page of payments with these parameters."""


async def async_can_filter_by_list(read_page: ReadPage) -> bool:
    """Return whether payments can be read by a list of hashes. Raises a ProviderError."""
    return await _async_can_filter(read_page, "in")


async def async_prove_version(
    read_page: ReadPage, read_description: Callable[[], Awaitable[Any]]
) -> bool:
    """Return whether payments can be read by a list of hashes, of a server that is new enough.

    Raises ServerTooOld where they can't be read by a single one either.
    """
    if await async_can_filter_by_list(read_page):
        return True
    if await _async_can_filter(read_page, "eq"):
        return False
    version = _read_version(await read_description())
    if version is None or _is_new_enough(version):
        raise ProviderUnavailable(UnavailableReason.SERVER_ERROR, "payments can't be read")
    raise ServerTooOld(version, LEAST_VERSION)


async def _async_can_filter(read_page: ReadPage, operator: str) -> bool:
    """Return whether a page can be filtered by hash in this way."""
    try:
        await read_page({f"payment_hash[{operator}]": _NO_HASH, "limit": "1"})
    except ProviderUnavailable as err:
        if err.reason is not UnavailableReason.SERVER_ERROR or err.retry_after is not None:
            raise
        return False
    return True


def _read_version(description: object) -> str | None:
    """Return the version in a server's OpenAPI description."""
    try:
        return read_text(
            read_object(read_object(description, "it").get("info"), "info").get("version")
        )
    except ProviderError:
        return None


def _is_new_enough(version: str) -> bool:
    """Whether this is the least version or a later one; one that isn't a number may be."""
    major = version.partition(".")[0]
    return not major.isdecimal() or int(major) >= int(LEAST_VERSION.partition(".")[0])
