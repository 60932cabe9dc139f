"""LNbits, a Lightning wallet that people host themselves.

Facts: LNbits 1.6.2, by its own answers and its source (github.com/lnbits/lnbits);
the shapes of older releases too. An invoice is named by its payment hash, in
lower-case hex.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
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
from .invoicing import NewInvoice, Rejected
from .lnbits_rows import BOLT11, SATOSHI, has_expired, parse_row, parse_rows, to_satoshi
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
from .pages import PAGE, Page, each_once
from .parse import read_object, read_text, read_word
from .push import Hint, PushRefused, Refusal

# The server asks its node about every pending invoice, so that it is asked to
# only so often; one that has just expired stays pending until then.
RECHECK_EVERY = 4
HEARTBEAT = 30.0
LARGEST_MESSAGE = 256 * 1024

_CONNECT_TIMEOUT = ClientWSTimeout(ws_close=5)
_HASH = re.compile(r"[0-9a-f]{64}")
_FIAT = re.compile(r"[A-Z]{3}")
_SATOSHI = frozenset({"SAT", "SATS"})
# What a server posts to unless its admin says otherwise. It refuses an invoice that
# names another address, and is heard by its websocket anyway.
_CALLBACK = re.compile(r"https?://[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}(?::\d+)?(?:/.*)?")
# What a server takes for one; it keeps others only beside it.
_EXTERNAL_ID = re.compile(r"\S+")
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
        return self.unchecked + 1 >= RECHECK_EVERY or has_expired(self.invoice, now)


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
        self._headers = {"X-Api-Key": self._settings["api_key"]}

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
        if not BOLT11.fullmatch(bolt11):
            return self.parse_invoice_id(text)
        try:
            decoded = read_object(
                await self._async_call("POST", "payments/decode", json={"data": bolt11.lower()}),
                "the answer",
            )
        except InvoiceNotFound:
            return None
        return self._read_hash(decoded)

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

    @property
    def takes(self) -> frozenset[str]:
        """The optional fields of a new invoice that mean something here."""
        return frozenset({"callback_url", "description", "lifetime", "order_id"})

    async def async_create_invoice(self, new: NewInvoice) -> Invoice:
        """Make an invoice over whole satoshi, or a currency that the server allows.

        Raises a ProviderError.
        """
        in_satoshi = new.currency.upper() in _SATOSHI
        new.check_for(
            takes=self.takes,
            knows_currency=in_satoshi or _FIAT.fullmatch(new.currency) is not None,
            decimals=0 if in_satoshi else 2,
        )
        asked: dict[str, Any] = {
            # Without it, the server would want to pay.
            "out": False,
            "amount": int(new.amount) if in_satoshi else float(new.amount),
            "unit": SATOSHI if in_satoshi else new.currency,
        }
        if new.description is not None:
            asked["memo"] = new.description
        if new.lifetime is not None:
            asked["expiry"] = -(-new.lifetime // timedelta(seconds=1))
        if new.callback_url is not None and _CALLBACK.fullmatch(new.callback_url):
            asked["webhook"] = new.callback_url
        if new.order_id is not None:
            asked["extra"] = {"order_id": new.order_id}
            if _EXTERNAL_ID.fullmatch(new.order_id):
                asked["external_id"] = new.order_id
        return await self._request_once(
            "/api/v1/payments", self._read_created, headers=self._headers, json=asked
        )

    def _read_created(self, payload: object) -> Invoice:
        """Return the invoice that was made."""
        row, now = read_object(payload, "the answer"), datetime.now(UTC)
        id_, invoice = self._read_hash(row), parse_row(row, now)
        self._learn(id_, invoice, checked=True, now=now)
        return invoice

    def _read_hash(self, payment: Mapping[str, Any]) -> str:
        """Return the payment hash of a payment that the server answered with."""
        id_ = self.parse_invoice_id(read_word(payment.get("payment_hash"), "payment_hash"))
        if id_ is None:
            raise BadResponse("payment_hash is no hash")
        return id_

    async def async_list_invoices(
        self, *, since: datetime, order_id: str | None = None
    ) -> AsyncIterator[Invoice]:
        """Yield the incoming payments made since then, each once, the newest first.

        At most 10,000. Raises a ProviderError.
        """
        asked = {
            "amount[gt]": "0",
            "time[ge]": str(int(since.timestamp())),
            "sortby": "time",
            "direction": "desc",
            "limit": str(PAGE),
        }

        async def read(offset: int) -> Page:
            params = {**asked, "offset": str(offset)}
            payload = await self._async_call("GET", "payments/paginated", params=params)
            rows = parse_rows(payload, datetime.now(UTC))
            found = {id_: entry for id_, entry in rows.items() if _HASH.fullmatch(id_)}
            return Page(len(payload["data"]), found, payload.get("total"))

        async for invoice in each_once(read, since=since, order_id=order_id):
            yield invoice

    async def async_get_balances(self) -> tuple[Balance, ...]:
        """Return what the wallet holds. Raises a ProviderError."""
        balance = to_satoshi((await self._async_wallet())["balance"])
        if balance is None:
            raise BadResponse("balance is not an amount")
        return (Balance(amount=balance, currency=SATOSHI),)

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
            if known is None or known.invoice.status.is_paid or not has_expired(known.invoice, now):
                return InvoiceNotFound(id_)
            entry = replace(known.invoice, status=InvoiceStatus.EXPIRED, provider_status="deleted")
        if isinstance(entry, Invoice):
            unchecked = 0 if checked or known is None else known.unchecked + 1
            self._known[id_] = _Known(entry, unchecked)
        return entry

    async def _async_call(self, method: str, path: str, **kwargs: Any) -> Any:
        """Make a request with the key."""
        return await self._request(method, f"/api/v1/{path}", headers=self._headers, **kwargs)

    @override
    def _refusal(self, status: int, headers: Mapping[str, str], payload: object) -> ProviderError:
        """Know the answer of a server whose wallet or node refuses to make an invoice."""
        if status == 520 and isinstance(payload, dict) and payload.get("status") == "failed":
            return Rejected(self._reason(payload) or "HTTP 520")
        return super()._refusal(status, headers, payload)

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
