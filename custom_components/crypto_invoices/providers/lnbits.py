"""LNbits, a Lightning wallet that people host themselves.

Facts: LNbits 1.6.2, by its own answers and its source (github.com/lnbits/lnbits);
the shapes of older releases too. An invoice is named by its payment hash, in
lower-case hex.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
import re
from typing import Any, ClassVar, override
from urllib.parse import quote

from aiohttp import (
    ClientConnectorCertificateError,
    ClientError,
    ClientWebSocketResponse,
    ClientWSTimeout,
    WSMessage,
    WSMsgType,
    WSServerHandshakeError,
)
import orjson

from .base import REQUEST_TIMEOUT, Field, FieldKind, Provider, fingerprint
from .model import (
    Account,
    AuthError,
    BadResponse,
    Balance,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    KeyCanSpend,
    ProviderError,
    ProviderUnavailable,
    Trouble,
)
from .parse import read_amount, read_link, read_object, read_text, read_unix_time, read_word
from .push import Hint, PushRefused, Refusal

SATOSHI = "sat"
STATUSES: Mapping[str, InvoiceStatus] = {
    "pending": InvoiceStatus.PENDING,
    "success": InvoiceStatus.PAID,
    "failed": InvoiceStatus.FAILED,
}
# The server asks its node about every pending invoice, so that it is asked to
# only so often; one that has just expired stays pending until then.
RECHECK_EVERY = 4
HEARTBEAT = 30.0
LARGEST_MESSAGE = 256 * 1024

_CONNECT_TIMEOUT = ClientWSTimeout(ws_close=5)
# As much as the two clocks may differ.
_CLOCK_SKEW = timedelta(minutes=1)
# More than there will ever be: 21 million bitcoins are 2.1e18 millisatoshi.
_MOST_MILLISATOSHI = Decimal(10) ** 20
_HASH = re.compile(r"[0-9a-f]{64}")
# A bech32 text, which an LNURL is too.
_BOLT11 = re.compile(r"ln(?!url)[a-z]{2,4}[0-9a-z]{50,8000}", re.ASCII | re.IGNORECASE)
_SCHEME = re.compile(r"lightning:(?://)?", re.IGNORECASE)
_WRONG_KEY = re.compile(r"wallet not found", re.IGNORECASE)
_WRONG_BOLT11 = re.compile(r"failed to decode", re.IGNORECASE)


@dataclass(slots=True)
class _Known:
    """What was last read of an invoice, and how many readings ago it was checked."""

    invoice: Invoice
    unchecked: int

    def wants_check(self, now: datetime) -> bool:
        """Whether the server should ask its node before it answers."""
        if not self.invoice.status.is_open:
            return False
        return self.unchecked + 1 >= RECHECK_EVERY or _has_expired(self.invoice, now)


class LNbits(Provider):
    """A wallet at an LNbits server."""

    key = "lnbits"
    name = "LNbits"
    fields = (
        Field(key="url", kind=FieldKind.URL),
        Field(key="api_key", kind=FieldKind.SECRET),
        Field(
            key="verify_ssl",
            kind=FieldKind.BOOLEAN,
            required=False,
            default=True,
            advanced=True,
        ),
    )
    # The hashes are in the address, which proxies cap at 8 kB.
    batch_size: ClassVar[int] = 100
    allows_path: ClassVar[bool] = True
    concurrency: ClassVar[int] = 2
    # The server lets 200 through, from one address.
    requests_per_minute: ClassVar[int] = 150

    def __init__(self, *args: Any) -> None:
        """Start with nothing read."""
        super().__init__(*args)
        self._known: dict[str, _Known] = {}

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        """Return the payment hash in what a user typed, or None."""
        hash_ = text.strip().lower()
        return hash_ if _HASH.fullmatch(hash_) else None

    @override
    async def async_resolve_id(self, text: str) -> str | None:
        """Return the payment hash, which the server reads out of a pasted invoice."""
        bolt11 = _SCHEME.sub("", text.strip(), count=1)
        if not _BOLT11.fullmatch(bolt11):
            return self.parse_invoice_id(text)
        try:
            decoded = read_object(
                await self._async_call("POST", "payments/decode", json={"data": bolt11.lower()}),
                "the answer",
            )
        except InvoiceNotFound:
            return None
        id_ = self.parse_invoice_id(read_word(decoded.get("payment_hash"), "payment_hash"))
        if id_ is None:
            raise BadResponse("payment_hash is no hash")
        return id_

    @override
    async def async_get_account(self) -> Account:
        """Prove the key with the wallet, as other answers don't tell a wrong one."""
        wallet = await self._async_wallet()
        # Only a key that can spend is told the wallet's id.
        if wallet.get("id") is not None:
            raise KeyCanSpend("an admin key")
        host = self._url.partition("://")[2]
        return Account(
            unique_id=fingerprint(self._url, self._settings["api_key"]),
            title=f"{self.name} ({read_text(wallet.get('name')) or host})",
        )

    async def async_get_balance(self) -> Balance:
        """Return what the wallet holds. Raises a ProviderError."""
        balance = _to_satoshi((await self._async_wallet())["balance"])
        if balance is None:
            raise BadResponse("balance is not an amount")
        return Balance(amount=balance, currency=SATOSHI)

    async def _async_wallet(self) -> Mapping[str, Any]:
        """Get the wallet that the key belongs to."""
        wallet = read_object(await self._async_call("GET", "wallet"), "the answer")
        if "name" not in wallet or "balance" not in wallet:
            raise BadResponse("the answer is not a wallet")
        return wallet

    async def async_stream(self) -> AsyncIterator[Hint]:
        """Yield a hint for each payment of the wallet, the first once it is connected.

        Whoever knows the key can send what they like there, and nothing is sent
        again later: a message is a hint and no more. Raises ProviderUnavailable
        when the connection ends.
        """
        await self.budget.async_spend()
        trouble, detail = Trouble.CANNOT_CONNECT, "the connection ended"
        try:
            async with await self._async_connect() as socket:
                yield Hint(invoice_ids=frozenset())
                async for message in socket:
                    if id_ := self._named_in(message):
                        yield Hint(invoice_ids=frozenset({id_}), is_verified=False)
        except TimeoutError:
            trouble, detail = Trouble.TIMEOUT, ""
        except ClientConnectorCertificateError:
            trouble, detail = Trouble.CERTIFICATE, ""
        except WSServerHandshakeError as err:
            detail = f"HTTP {err.status}"
        except (ClientError, OSError, ValueError) as err:
            detail = type(err).__name__
        # Not from those errors: they tell the address, and the key is in it.
        raise ProviderUnavailable(trouble, detail)

    async def _async_connect(self) -> ClientWebSocketResponse:
        """Open the connection on which the server tells of the wallet's payments."""
        async with asyncio.timeout(REQUEST_TIMEOUT.total):
            return await self._session.ws_connect(
                f"{self._url}/api/v1/ws/{quote(self._settings['api_key'], safe='')}",
                heartbeat=HEARTBEAT,
                max_msg_size=LARGEST_MESSAGE,
                timeout=_CONNECT_TIMEOUT,
            )

    def _named_in(self, message: WSMessage) -> str | None:
        """Return the payment hash in a message, or None where it is none of a payment."""
        if message.type is not WSMsgType.TEXT:
            return None
        try:
            payload = orjson.loads(message.data)
        except ValueError:
            return None
        payment = payload.get("payment") if isinstance(payload, dict) else None
        return self._hash_in(payment) if isinstance(payment, dict) else None

    def _hash_in(self, payment: Mapping[str, Any]) -> str | None:
        """Return the payment hash of a payment that somebody told of, or None."""
        id_ = payment.get("payment_hash")
        return self.parse_invoice_id(id_) if isinstance(id_, str) else None

    @property
    def accepts_push(self) -> bool:
        """Whether what is needed to believe a push is known: nothing is, and nothing is believed."""
        return True

    def parse_push(self, headers: Mapping[str, str], body: bytes) -> Hint:
        """Return the hint in what LNbits posts to an invoice's ``webhook``.

        Nothing signs it. Releases since April 2025 post a text that holds the JSON, older
        ones the JSON itself.
        """
        try:
            payment = orjson.loads(body)
            if isinstance(payment, str):
                payment = orjson.loads(payment)
        except orjson.JSONDecodeError:
            raise PushRefused(Refusal.MALFORMED, "the body is not JSON") from None
        fields = payment if isinstance(payment, dict) else {}
        # What a wallet pays to another of the same server has a prefix there.
        checking_id = str(fields.get("checking_id")).removeprefix("internal_")
        if (id_ := self._hash_in(fields) or self.parse_invoice_id(checking_id)) is None:
            raise PushRefused(Refusal.MALFORMED, "no invoice is named")
        return Hint(invoice_ids=frozenset({id_}), is_verified=False)

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Read a batch of invoices with one request."""
        now = datetime.now(UTC)
        known = [self._known.get(id_) for id_ in ids]
        checks = any(one is None or one.wants_check(now) for one in known)
        params = {
            "payment_hash[in]": ",".join(ids),
            # A wallet that pays itself has two payments of one hash.
            "amount[ge]": "0",
            "limit": str(2 * len(ids)),
        }
        if checks:
            params["recheck_pending"] = "true"
        rows = parse_rows(await self._async_call("GET", "payments/paginated", params=params), now)
        return {id_: self._learn(id_, rows.get(id_), checked=checks, now=now) for id_ in ids}

    def _learn(
        self, id_: str, entry: Invoice | ProviderError | None, *, checked: bool, now: datetime
    ) -> Invoice | ProviderError:
        """Keep what was read of an invoice; one that was deleted after its expiry has expired."""
        known = self._known.get(id_)
        if entry is None:
            if (
                known is None
                or known.invoice.status.is_paid
                or not _has_expired(known.invoice, now)
            ):
                return InvoiceNotFound(id_)
            entry = replace(known.invoice, status=InvoiceStatus.EXPIRED, provider_status="deleted")
        if isinstance(entry, Invoice):
            unchecked = 0 if checked or known is None else known.unchecked + 1
            self._known[id_] = _Known(entry, unchecked)
        return entry

    async def _async_call(self, method: str, path: str, **kwargs: Any) -> Any:
        """Make a request with the key."""
        headers = {"X-Api-Key": self._settings["api_key"]}
        return await self._request(method, f"/api/v1/{path}", headers=headers, **kwargs)

    @override
    def _error(self, status: int, headers: Mapping[str, str], payload: object) -> ProviderError:
        """Read the text that comes with an error: the wrong key is a 404."""
        fields = payload if isinstance(payload, dict) else {}
        if status == 404:
            is_wrong_key = _WRONG_KEY.search(str(fields.get("detail")))
            return (AuthError if is_wrong_key else BadResponse)("HTTP 404")
        if status == 400 and _WRONG_BOLT11.search(str(fields.get("message"))):
            return InvoiceNotFound("HTTP 400")
        return super()._error(status, headers, payload)


def parse_rows(payload: object, now: datetime) -> dict[str, Invoice | ProviderError]:
    """Return the incoming payments in a page, by their hashes; one that is broken is an error."""
    rows = read_object(payload, "the answer").get("data")
    if not isinstance(rows, list):
        raise BadResponse("data is not a list")
    found: dict[str, Invoice | ProviderError] = {}
    for row in rows:
        id_ = row.get("payment_hash") if isinstance(row, dict) else None
        if not isinstance(id_, str) or (_to_satoshi(row.get("amount")) or 0) < 0:
            continue
        try:
            found[id_.lower()] = _parse_row(row, now)
        except BadResponse as err:
            found[id_.lower()] = err
    return found


def _parse_row(row: Mapping[str, Any], now: datetime) -> Invoice:
    """Return the invoice in a payment.

    The preimage proves a payment, and the memo is between payer and payee:
    neither is read.
    """
    word = _read_status(row)
    extra = row.get("extra")
    extra = extra if isinstance(extra, dict) else {}
    satoshi = _to_satoshi(row.get("amount"))
    amount, currency = read_amount(extra.get("fiat_amount")), read_text(extra.get("fiat_currency"))
    if amount is None or currency is None:
        amount, currency = satoshi, SATOSHI
    # Such an invoice is paid at a card processor, by a link.
    by_link = bool(read_text(row.get("fiat_provider")))
    invoice = Invoice(
        id=str(row["payment_hash"]).lower(),
        status=STATUSES.get(word.lower(), InvoiceStatus.UNKNOWN),
        provider_status=word,
        amount=amount,
        currency=currency,
        pay_amount=None if by_link else satoshi,
        pay_currency=None if by_link else SATOSHI,
        network=None if by_link else "Lightning",
        order_id=read_text(row.get("external_id")),
        payment_url=read_link(extra.get("fiat_payment_request")) if by_link else None,
        payment_text=None if by_link else _to_scan(row.get("bolt11")),
        created_at=_read_time(row.get("created_at")) or _read_time(row.get("time")),
        expires_at=_read_time(row.get("expiry")),
    )
    if invoice.status.is_paid:
        # Lightning knows no other amount than the one that was asked for.
        return replace(invoice, amount_received=amount)
    if invoice.status is InvoiceStatus.FAILED and _is_expired(row, invoice, now):
        return replace(invoice, status=InvoiceStatus.EXPIRED)
    return invoice


def _read_status(row: Mapping[str, Any]) -> str:
    """Return the word for a payment's status; older releases only told whether it is pending."""
    pending = row.get("pending")
    if row.get("status") is None and isinstance(pending, bool):
        return "pending" if pending else "success"
    return read_word(row.get("status"), "status")


def _is_expired(row: Mapping[str, Any], invoice: Invoice, now: datetime) -> bool:
    """Whether a payment failed because nobody paid in time."""
    labels = row.get("labels")
    if isinstance(labels, list) and "expired" in labels:
        return True
    return _has_expired(invoice, now + _CLOCK_SKEW)


def _has_expired(invoice: Invoice, now: datetime) -> bool:
    """Whether an invoice is past its expiry, as far as that is known."""
    return invoice.expires_at is not None and invoice.expires_at <= now


def _to_satoshi(value: object) -> Decimal | None:
    """Return an amount of millisatoshi in satoshi, exactly, or None."""
    amount = read_amount(value)
    if amount is None or abs(amount) > _MOST_MILLISATOSHI:
        return None
    satoshi = amount.scaleb(-3)
    whole = satoshi.to_integral_value()
    return whole if satoshi == whole else satoshi.normalize()


def _to_scan(value: object) -> str | None:
    """Return what a wallet scans to pay an invoice."""
    bolt11 = read_text(value)
    return f"lightning:{bolt11}" if bolt11 and _BOLT11.fullmatch(bolt11) else None


def _read_time(value: object) -> datetime | None:
    """Return an optional time: in seconds since 1970, or ISO 8601, in UTC where it names no zone."""
    if not isinstance(value, str) or value.strip().isdecimal():
        return read_unix_time(value)
    try:
        moment = datetime.fromisoformat(value.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError, ValueError:
        return None
