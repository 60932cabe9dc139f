"""CryptoCloud, legacy API version 1: makes invoices, and returns the status of one at a time.

Facts: docs.cryptocloud.plus, "API reference V1 (old)", "Invoice Status Check" and
"Create Invoice".
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
import re
from typing import Any, ClassVar, override

from ..model import AuthError, BadResponse, Invoice, InvoiceNotFound, InvoiceStatus, ProviderError
from ..new_invoice import NewInvoice
from ..parse import read_link, read_word
from .project import (
    STATUSES,
    CryptoCloudProject,
    is_auth_failure,
    parse_invoice_id,
    payment_page,
    read_success,
)

CURRENCIES = frozenset({"EUR", "GBP", "RUB", "UAH", "USD"})
# What an invoice is at first; the answer to its making doesn't say.
_FIRST_STATUS = "created"
_MEAN_EITHER = frozenset({400, 406, 422})
_ABOUT_THE_KEY = re.compile(
    r"api.?key|auth|credential|forbidden|permission|token|ключ|токен", re.IGNORECASE
)

# Shaped like an invoice's ID and never one of the user's.
_NO_INVOICE = "INV-00000000"


class CryptoCloudV1(CryptoCloudProject):
    """A CryptoCloud project through the legacy API, one request per invoice."""

    key = "cryptocloud_v1"
    name = "CryptoCloud (legacy API)"
    currencies: ClassVar[Collection[str]] = CURRENCIES
    concurrency: ClassVar[int] = 4
    requests_per_minute: ClassVar[int] = 300

    @property
    @override
    def reported_fields(self) -> frozenset[str]:
        """The fields of an invoice that this account can ever return."""
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
        payload = await self.http.async_request(
            "GET", "/v1/invoice/info", headers=self._headers, params={"uuid": id_}
        )
        if isinstance(payload, dict) and payload.get("status") == "error":
            # Which status code comes with an error stands nowhere.
            raise self._error(400, {}, payload)
        return read_success(payload, "the answer")

    @property
    def supported_fields(self) -> frozenset[str]:
        """The optional fields of a new invoice that mean something here."""
        return frozenset({"order_id"})

    async def async_create_invoice(self, new: NewInvoice) -> Invoice:
        """Make an invoice. Raises a ProviderError."""
        new.check_for(
            supported=self.supported_fields, knows_currency=new.currency in CURRENCIES, decimals=2
        )
        made = await self._request_once(
            "/v1/invoice/create",
            self._read_created,
            headers=self._headers,
            json=self._asked_for(new),
        )
        return replace(made, order_id=new.order_id)

    def _read_created(self, payload: object) -> Invoice:
        """Return the invoice that was made; its ID comes without the prefix it is asked for by."""
        answer = self._read_result(payload)
        if (id_ := parse_invoice_id(read_word(answer.get("invoice_id"), "invoice_id"))) is None:
            raise BadResponse("the answer names no invoice")
        return Invoice(
            id=id_,
            status=STATUSES[_FIRST_STATUS],
            provider_status=_FIRST_STATUS,
            payment_url=read_link(answer.get("pay_url")) or payment_page(id_),
        )

    @override
    def _error(self, status: int, headers: Mapping[str, str], payload: object) -> ProviderError:
        """Know status codes that stand for a refused key as well as for an unknown invoice."""
        if status in _MEAN_EITHER and payload is not None:
            is_about_key = is_auth_failure(status, payload) or _ABOUT_THE_KEY.search(
                self._reason(payload)
            )
            return (AuthError if is_about_key else InvoiceNotFound)(f"HTTP {status}")
        return super()._error(status, headers, payload)


def parse_invoice(id_: str, payload: object) -> Invoice:
    """Return the invoice of an answer: ``status`` is the request's, ``status_invoice`` its own."""
    answer = read_success(payload, "the answer")
    word = read_word(answer.get("status_invoice"), "status_invoice")
    return Invoice(
        id=id_,
        status=STATUSES.get(word, InvoiceStatus.UNKNOWN),
        provider_status=word,
        payment_url=payment_page(id_),
    )
