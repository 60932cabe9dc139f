"""E-Gates Crypto Payments.

Facts: "API Documentation for Retrieving Invoice Data via API", "Creating an
Invoice Using the API" and "Generating Signature and Making API Requests" at
e-gates.gitbook.io. Every merchant has an address of its own.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import tzinfo
import hashlib
import hmac
import re
import time
from typing import Any, ClassVar, override
from uuid import uuid4

from .base import Field, FieldKind, Provider, fingerprint
from .invoicing import MOST_DECIMALS, NewInvoice
from .model import (
    Account,
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    ProviderError,
)
from .parse import (
    LastRead,
    read_amount,
    read_link,
    read_local_time,
    read_object,
    read_text,
    read_unix_time,
    read_word,
)
from .push import Hint, PushRefused, Refusal, flatten, parse_body

# SUCCESS and PENDING stand on the provider's pages, SUCCESS_SMALL_AMOUNT by its
# name only; the last two are those of a sibling API with the same fields.
STATUSES: Mapping[str, InvoiceStatus] = {
    "PENDING": InvoiceStatus.PENDING,
    "SUCCESS": InvoiceStatus.PAID,
    "SUCCESS_SMALL_AMOUNT": InvoiceStatus.UNDERPAID,
    "INITIALIZATION": InvoiceStatus.PENDING,
    "CANCEL": InvoiceStatus.CANCELED,
}

# Which parameters a GET signs is documented nowhere: tried in this order, and
# the one that works is kept.
SIGNINGS: Mapping[str, Callable[[str, str], dict[str, str]]] = {
    "empty": lambda id_, now: {},
    "invoice_id": lambda id_, now: {"invoiceId": id_},
    "invoice_id_timestamp": lambda id_, now: {"invoiceId": id_, "timestamp": now},
    "timestamp": lambda id_, now: {"timestamp": now},
}

# Which there are is documented nowhere.
_TICKER = re.compile(r"[A-Z0-9]{2,12}")
_UUID = re.compile(r"(?<![0-9a-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-z])")
# A missing timestamp is one that should have been signed.
_ABOUT_THE_KEY = re.compile(
    r"signature|api.?key|(?:bad|invalid|wrong) key|unauthori[sz]ed|timestamp", re.IGNORECASE
)
_ABOUT_THE_INVOICE = re.compile(r"not.?found|not.?exist|no such", re.IGNORECASE)
_TIMES = {"created_at": "createdAt", "updated_at": "updatedAt", "expires_at": "expireAt"}


def sign(secret: str, parameters: Mapping[str, str]) -> str:
    """Return the lower-case hex HMAC-SHA256 of the sorted, unencoded query string."""
    return _hmac(secret, sorted(parameters.items())).decode()


def _hmac(secret: str, parameters: Iterable[tuple[str, str]]) -> bytes:
    """Return the signature of parameters in the order given."""
    message = "&".join(f"{key}={value}" for key, value in parameters)
    key = secret.encode(errors="surrogatepass")
    digest = hmac.new(key, message.encode(errors="surrogatepass"), hashlib.sha256)
    return digest.hexdigest().encode()


class EGates(Provider):
    """A merchant's E-Gates gateway, one request per invoice."""

    key = "egates"
    name = "E-Gates"
    fields = (
        Field(key="url", kind=FieldKind.URL),
        Field(key="api_key", kind=FieldKind.SECRET),
        Field(key="api_secret", kind=FieldKind.SECRET),
        Field(key="time_zone", kind=FieldKind.TIME_ZONE, required=False, advanced=True),
    )
    concurrency: ClassVar[int] = 4
    requests_per_minute: ClassVar[int] = 300

    def __init__(self, *args: Any) -> None:
        """Start with the way of signing that worked last, if there is one."""
        super().__init__(*args)
        self._zone: tzinfo | None = self._settings.get("time_zone")
        # Where an invoice is paid is told when it is made, and never again.
        self.links: dict[str, str] = {}
        remembered = str(self._settings.get("signing"))
        self._signing = remembered if remembered in SIGNINGS else next(iter(SIGNINGS))
        self._last_answers: LastRead[Invoice] = LastRead()

    @property
    @override
    def reports(self) -> frozenset[str]:
        """The fields of an invoice that this account can ever tell."""
        return super().reports - (frozenset() if self._zone else {"expires_at"})

    @property
    @override
    def learned(self) -> Mapping[str, str]:
        """The way of signing that the gateway accepted."""
        return {"signing": self._signing}

    @property
    @override
    def diagnostics(self) -> Mapping[str, str | int | bool]:
        """Which parameters a signature covers."""
        return {"signing": self._signing}

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        """Return the UUID in what a user typed or pasted, or None."""
        found = set(_UUID.findall(text.lower()))
        return found.pop() if len(found) == 1 else None

    @override
    async def async_get_account(self) -> Account:
        """Prove the key and find the way of signing with an invoice that isn't there."""
        with suppress(InvoiceNotFound):
            await self._async_get(str(uuid4()), bool, LastRead())
        host = self._url.partition("://")[2]
        return Account(
            unique_id=fingerprint(self._url, self._settings["api_key"]),
            title=f"{self.name} ({host})",
        )

    @property
    def takes(self) -> frozenset[str]:
        """The optional fields of a new invoice that mean something here."""
        return frozenset({"callback_url", "description", "order_id", "payment_method"})

    async def async_create_invoice(self, new: NewInvoice) -> Invoice:
        """Make an invoice, for which an order ID and a payment method are needed.

        Raises a ProviderError.
        """
        new.check_for(
            takes=self.takes,
            needs=("order_id", "payment_method"),
            knows_currency=_TICKER.fullmatch(new.currency) is not None,
            decimals=MOST_DECIMALS,
        )
        now = int(time.time())
        # Flat, and all of it text: on how anything else is signed, the pages disagree.
        asked = {
            "ticker": new.currency,
            "payment_method": new.payment_method,
            "amount": f"{new.amount:f}",
            "order_number": new.order_id,
            "purpose_of_payment": new.description,
            "callback_url": new.callback_url,
        }
        fields = {name: text for name, text in asked.items() if text is not None}
        return await self._request_once(
            "/api/external/v1/gateway/create-payment-invoice",
            self._read_created,
            headers=self._headers({**fields, "timestamp": str(now)}),
            json={**fields, "timestamp": now},
        )

    def _read_created(self, envelope: object) -> Invoice:
        """Return the invoice that was made: its fields have other names than when it is read."""
        answer = read_object(envelope, "the answer")
        if answer.get("success") is False:
            raise self._refusal(400, {}, answer)
        row = read_object(answer.get("response"), "response")
        if (id_ := self.parse_invoice_id(read_word(row.get("invoice_id"), "invoice_id"))) is None:
            raise BadResponse("invoice_id is no ID")
        if link := read_link(row.get("redirect_link")):
            self.links[id_] = link
        word = read_word(row.get("status"), "status")
        amount, currency = read_amount(row.get("amount")), read_text(row.get("currency"))
        return Invoice(
            id=id_,
            status=STATUSES.get(word.upper(), InvoiceStatus.UNKNOWN),
            provider_status=word,
            amount=amount,
            currency=currency,
            pay_amount=amount,
            pay_currency=currency,
            order_id=read_text(row.get("order_number")),
            address=read_text(row.get("address")),
            payment_url=link,
            created_at=read_unix_time(row.get("created_at")),
        )

    def _headers(self, parameters: Mapping[str, str]) -> dict[str, str]:
        """Return what says who asks, and proves it."""
        return {
            "API-KEY": self._settings["api_key"],
            "SIGNATURE": sign(self._settings["api_secret"], parameters),
        }

    @property
    def accepts_push(self) -> bool:
        """Whether what is needed to believe a push is known; an unsigned one is a hint too."""
        return True

    def parse_push(self, headers: Mapping[str, str], body: bytes) -> Hint:
        """Return the hint in a callback ("Receipt Invoice Callback").

        Which message its signature signs is documented nowhere, so that one
        that doesn't verify proves nothing: the address of the webhook is the
        secret, and the API is read before anything is believed.
        """
        fields = parse_body(headers, body)
        invoice = fields.get("invoice")
        id_ = invoice.get("invoice") if isinstance(invoice, dict) else None
        if not isinstance(id_, str) or (known := self.parse_invoice_id(id_)) is None:
            raise PushRefused(Refusal.MALFORMED, "no invoice is named")
        signature = fields.pop("signature", None)
        return Hint(
            invoice_ids=frozenset({known}),
            is_verified=isinstance(signature, str) and self._has_signed(fields, signature),
        )

    def _has_signed(self, fields: Mapping[str, Any], signature: str) -> bool:
        """Whether the secret signed these fields, in any of the readings of the documentation."""
        body, invoice = flatten(fields), flatten(fields["invoice"])
        return any(
            hmac.compare_digest(_hmac(self._settings["api_secret"], message), signature.encode())
            for message in (sorted(body.items()), body.items(), sorted(invoice.items()))
        )

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Read one invoice."""
        try:
            invoice = await self._async_get(
                ids[0],
                lambda envelope: replace(
                    parse_invoice(ids[0], envelope, self._zone),
                    payment_url=self.links.get(ids[0]),
                ),
                self._last_answers,
            )
        except InvoiceNotFound:
            return {}
        return {ids[0]: invoice}

    async def _async_get[T](
        self, id_: str, parse: Callable[[Any], T], last_answers: LastRead[T]
    ) -> T:
        """Return what one invoice's envelope is parsed to, trying the ways of signing in turn."""

        def parse_checked(envelope: Any) -> T:
            _check(envelope)
            return parse(envelope)

        ways = [self._signing, *(way for way in SIGNINGS if way != self._signing)]
        for way in ways:
            parameters = SIGNINGS[way](id_, str(int(time.time())))
            try:
                answer = await self._request_again(
                    last_answers,
                    id_,
                    parse_checked,
                    "GET",
                    f"/api/external/v1/gateway/payment-invoice/{id_}",
                    headers=self._headers(parameters),
                    params={key: parameters[key] for key in parameters if key == "timestamp"},
                )
            except AuthError:
                continue
            except InvoiceNotFound:
                self._signing = way
                raise
            self._signing = way
            return answer
        raise AuthError("no way of signing is accepted")

    @override
    def _error(self, status: int, headers: Mapping[str, str], payload: object) -> ProviderError:
        """Read the envelope that comes with an error, if one does."""
        if status in (400, 404, 422):
            if not isinstance(payload, dict) or "success" not in payload:
                return BadResponse(f"HTTP {status}")
            if _ABOUT_THE_KEY.search(str(payload.get("errors"))):
                return AuthError(f"HTTP {status}")
            return InvoiceNotFound(f"HTTP {status}")
        return super()._error(status, headers, payload)


def _check(envelope: object) -> None:
    """Raise what an envelope that came with a 200 says went wrong."""
    answer = read_object(envelope, "the answer")
    if "success" not in answer:
        raise BadResponse("the answer has no success")
    if answer["success"] is True:
        return
    errors = str(answer.get("errors"))
    if _ABOUT_THE_KEY.search(errors):
        raise AuthError("refused by the gateway")
    if _ABOUT_THE_INVOICE.search(errors):
        raise InvoiceNotFound("refused by the gateway")
    raise BadResponse("the gateway answers without success")


def parse_invoice(id_: str, envelope: object, zone: tzinfo | None) -> Invoice:
    """Return the invoice in an envelope.

    The times name no zone, and ``updatedAt`` is in another one than the rest
    (the provider's own sample shows it): they are read only in a zone that the
    user named, ``updatedAt`` never.
    """
    row = read_object(read_object(envelope, "the answer").get("response"), "response")
    if row.get("invoice") is not None and str(row["invoice"]).lower() != id_:
        raise BadResponse("the answer is about another invoice")
    word = read_word(row.get("status"), "status")
    currency = read_text(row.get("ticker"))
    texts = {key: read_text(row.get(name)) for key, name in _TIMES.items()}
    return Invoice(
        id=id_,
        status=STATUSES.get(word.upper(), InvoiceStatus.UNKNOWN),
        provider_status=word,
        amount=read_amount(row.get("invoiceAmount")),
        currency=currency,
        amount_received=read_amount(row.get("actualAmount")),
        pay_amount=read_amount(row.get("invoiceAmount")),
        pay_currency=currency,
        network=read_text(row.get("networkName")),
        order_id=read_text(row.get("order_number")),
        address=read_text(row.get("address")),
        transaction_id=read_text(row.get("hash")),
        created_at=read_local_time(texts["created_at"], zone) if zone else None,
        expires_at=read_local_time(texts["expires_at"], zone) if zone else None,
        local_times={key: text for key, text in texts.items() if text is not None},
    )
