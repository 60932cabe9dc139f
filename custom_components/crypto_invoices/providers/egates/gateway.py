"""A merchant's E-Gates gateway."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import tzinfo
import re
import time
from typing import Any, ClassVar, override
from uuid import uuid4

from ..cache import Cache, LastRead
from ..model import (
    Account,
    AuthError,
    ClockWrong,
    Invoice,
    InvoiceNotFound,
    ProviderError,
)
from ..new_invoice import MOST_DECIMALS, NewInvoice
from ..parse import read_object
from ..provider import Field, FieldKind, Provider, fingerprint
from ..push import Hint, PushRejected, RejectReason, parse_body
from .errors import check, read_refusal
from .invoices import find_pushed_id, parse_created, parse_invoice, parse_invoice_id
from .signing import SIGNINGS, is_signed, sign

# Which there are is documented nowhere.
_TICKER = re.compile(r"[A-Z0-9]{2,12}")
# What an answer is late by is less, in seconds.
_CLOCK_OFF = 30


class EGates(Provider):
    """A merchant's E-Gates gateway, one request per invoice."""

    key = "egates"
    name = "E-Gates"
    fields = (
        Field(key="url", kind=FieldKind.URL),
        Field(key="api_key", kind=FieldKind.SECRET, is_proven=True),
        Field(key="api_secret", kind=FieldKind.SECRET, is_proven=True),
        Field(key="time_zone", kind=FieldKind.TIME_ZONE, required=False, advanced=True),
    )
    pages: ClassVar[frozenset[str]] = frozenset({"api"})
    id_shape: ClassVar[re.Pattern[str]] = re.compile(r"\w{4,12}(?:-\w{2,8}){3}-\w{6,16}")
    id_example: ClassVar[str] = "3f2b8c1e-5a47-4d09-9b36-7c1e2d8f4a60"
    needed_fields: ClassVar[frozenset[str]] = frozenset({"order_id", "payment_method"})
    requests_per_minute: ClassVar[int] = 300

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Start with the way of signing that worked last, if there is one."""
        super().__init__(*args, **kwargs)
        self._zone: tzinfo | None = self._settings.get("time_zone")
        # Where an invoice is paid is returned when it is created, and never again.
        self.links: Cache[str] = self._remembers(Cache())
        self._clock_offset = 0.0
        remembered = str(self._settings.get("signing"))
        self._signing = remembered if remembered in SIGNINGS else next(iter(SIGNINGS))
        self._last_answers: LastRead[Invoice] = self._remembers(LastRead())

    @property
    @override
    def reported_fields(self) -> frozenset[str]:
        """The fields of an invoice that this account can ever return."""
        return super().reported_fields - (frozenset() if self._zone else {"expires_at"})

    @property
    @override
    def discovered_settings(self) -> Mapping[str, str]:
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
        return parse_invoice_id(text)

    @override
    async def async_get_account(self) -> Account:
        """Prove the key and find the way of signing with an invoice that isn't there."""
        with suppress(InvoiceNotFound):
            await self._async_get(str(uuid4()), bool, LastRead())
        host = self.http.url.partition("://")[2]
        return Account(
            unique_id=fingerprint(self.http.url, self._settings["api_key"]),
            title=f"{self.name} ({host})",
        )

    @property
    def supported_fields(self) -> frozenset[str]:
        """The optional fields of a new invoice that mean something here."""
        return frozenset({"callback_url", "description", "order_id", "payment_method"})

    async def async_create_invoice(self, new: NewInvoice) -> Invoice:
        """Make an invoice, for which an order ID and a payment method are needed.

        Raises a ProviderError.
        """
        new.check_for(
            supported=self.supported_fields,
            needs=self.needed_fields,
            knows_currency=_TICKER.fullmatch(new.currency) is not None,
            decimals=MOST_DECIMALS,
        )
        now = self._now()
        fields = _fields_of(new)
        return await self._request_once(
            "/api/external/v1/gateway/create-payment-invoice",
            self._read_created,
            headers=self._headers({**fields, "timestamp": str(now)}),
            json={**fields, "timestamp": now},
        )

    def _read_created(self, envelope: object) -> Invoice:
        """Return the invoice that was made."""
        answer = read_object(envelope, "the answer")
        if answer.get("success") is False:
            raise self._refusal(400, {}, answer)
        row = read_object(answer.get("response"), "response")
        invoice = parse_created(row)
        if invoice.payment_url is not None:
            self.links[invoice.id] = invoice.payment_url
        return invoice

    def _now(self) -> int:
        """Return the time by the gateway's clock, as far as it is known: that is what it checks."""
        return int(time.time() + self._clock_offset)

    def _compare_clocks(self) -> bool:
        """Compare the gateway's clock with this machine's; return whether that is news."""
        if self.server_time is None:
            return False
        date, at = self.server_time
        offset = date.timestamp() + self.clock() - at - time.time()
        before, self._clock_offset = self._clock_offset, offset if abs(offset) > _CLOCK_OFF else 0.0
        return abs(self._clock_offset - before) > _CLOCK_OFF

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
        fields = parse_body(body)
        if (known := find_pushed_id(fields)) is None:
            raise PushRejected(RejectReason.MALFORMED, "no invoice is named")
        signature = fields.pop("signature", None)
        return Hint(
            invoice_ids=frozenset({known}),
            is_verified=isinstance(signature, str)
            and is_signed(self._settings["api_secret"], fields, signature),
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
            check(envelope)
            return parse(envelope)

        refused_time = False
        ways = [self._signing, *(way for way in SIGNINGS if way != self._signing)]
        for way in ways:
            parameters = SIGNINGS[way](id_, str(self._now()))
            try:
                answer = await self.http.async_request_again(
                    last_answers,
                    id_,
                    parse_checked,
                    "GET",
                    f"/api/external/v1/gateway/payment-invoice/{id_}",
                    headers=self._headers(parameters),
                    params={key: parameters[key] for key in parameters if key == "timestamp"},
                )
            except AuthError as err:
                has_time = "timestamp" in parameters
                refused_time |= has_time and isinstance(err, ClockWrong)
                if self._compare_clocks() and has_time and len(ways) == len(SIGNINGS):
                    # Now it is known what time it is there.
                    ways.append(way)
                continue
            except InvoiceNotFound:
                self._signing = way
                raise
            self._signing = way
            return answer
        if refused_time:
            raise ClockWrong("the timestamp is refused")
        raise AuthError("no way of signing is accepted")

    @override
    def _error(self, status: int, headers: Mapping[str, str], payload: object) -> ProviderError:
        """Read the envelope that comes with an error, if one does."""
        return read_refusal(status, payload) or super()._error(status, headers, payload)


def _fields_of(new: NewInvoice) -> dict[str, str]:
    """Return what the gateway is asked for an invoice with."""
    # Flat, and all of it text: on how anything else is signed, the pages disagree.
    asked = {
        "ticker": new.currency,
        "payment_method": new.payment_method,
        "amount": f"{new.amount:f}",
        "order_number": new.order_id,
        "purpose_of_payment": new.description,
        "callback_url": new.callback_url,
    }
    return {name: text for name, text in asked.items() if text is not None}
