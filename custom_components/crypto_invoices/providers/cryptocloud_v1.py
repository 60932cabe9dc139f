"""CryptoCloud, legacy API version 1: the status of one invoice, and nothing else.

Facts: docs.cryptocloud.plus, "API reference V1 (old)", "Invoice Status Check".
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar, override

from .cryptocloud import (
    STATUSES,
    CryptoCloudProject,
    is_auth_failure,
    read_success,
)
from .model import (
    AuthError,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    ProviderError,
)
from .parse import read_word

# Shaped like an invoice's ID and never one of the user's.
_NO_INVOICE = "INV-00000000"


class CryptoCloudV1(CryptoCloudProject):
    """A CryptoCloud project through the legacy API, one request per invoice."""

    key = "cryptocloud_v1"
    name = "CryptoCloud (legacy API)"
    concurrency: ClassVar[int] = 4
    requests_per_minute: ClassVar[int] = 300

    @property
    @override
    def reports(self) -> frozenset[str]:
        """The fields of an invoice that this account can ever tell."""
        return frozenset({"status"})

    @override
    async def _async_prove_key(self) -> None:
        """Ask for an invoice that isn't there."""
        with suppress(InvoiceNotFound):
            await self._async_info(_NO_INVOICE)

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Read one invoice."""
        try:
            return {ids[0]: parse_invoice(ids[0], await self._async_info(ids[0]))}
        except InvoiceNotFound:
            return {}

    async def _async_info(self, id_: str) -> Any:
        """Ask for the status; the page's "Request Body" of a GET is its query."""
        payload = await self._request(
            "GET", "/v1/invoice/info", headers=self._headers, params={"uuid": id_}
        )
        if isinstance(payload, dict) and payload.get("status") == "error":
            # Which status code comes with an error stands nowhere.
            raise self._error(400, {}, payload)
        return read_success(payload, "the answer")

    @override
    def _error(self, status: int, headers: Mapping[str, str], payload: object) -> ProviderError:
        """Tell a bad key from an invoice the provider refuses, both of which can be a 400."""
        if is_auth_failure(status, payload) or status == 406:
            return AuthError(f"HTTP {status}")
        if status in (400, 422) and payload is not None:
            return InvoiceNotFound(f"HTTP {status}")
        return super()._error(status, headers, payload)


def parse_invoice(id_: str, payload: object) -> Invoice:
    """Return the invoice of an answer: ``status`` is the request's, ``status_invoice`` its own."""
    answer = read_success(payload, "the answer")
    word = read_word(answer.get("status_invoice"), "status_invoice")
    return Invoice(
        id=id_,
        status=STATUSES.get(word, InvoiceStatus.UNKNOWN),
        provider_status=word,
        payment_url=f"https://pay.cryptocloud.plus/{id_.removeprefix('INV-')}",
    )
