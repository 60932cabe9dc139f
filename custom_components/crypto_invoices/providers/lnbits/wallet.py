"""A wallet at an LNbits server: which one it is, and how its invoices are read."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
import math
import re
from typing import Any, ClassVar, override

from ..cache import Cache
from ..model import (
    Account,
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    KeyCanSpend,
    ProviderError,
    ProviderUnavailable,
    UnavailableReason,
)
from ..parse import read_object, read_text, read_word
from ..provider import Field, FieldKind, Provider, fingerprint
from .rows import BOLT11, PENDING, has_expired, parse_rows
from .server import async_can_filter_by_list, async_prove_version

# The server asks its node about every pending invoice, so that it is asked to
# only so often; one that has just expired stays pending until then.
RECHECK_EVERY = 4
# The hashes are in the address, which proxies cap at 8 kB.
_BATCH = 100
# How often a server that can't do something is asked whether it learned to.
PROBED_EVERY = 24 * 60 * 60.0
_HASH = re.compile(r"[0-9a-f]{64}")
_SCHEME = re.compile(r"lightning:(?://)?", re.IGNORECASE)
_WRONG_KEY = re.compile(r"wallet (?:not found|does not exist)", re.IGNORECASE)
_WRONG_BOLT11 = re.compile(r"failed to decode", re.IGNORECASE)


@dataclass(slots=True)
class _Known:
    """What was last read of an invoice, and how many readings ago it was checked."""

    invoice: Invoice
    unchecked: int

    def wants_check(self, now: datetime) -> bool:
        """Whether the server should ask its node before it answers."""
        is_open = self.invoice.status.is_open
        if is_open and has_expired(self.invoice, now):
            return True
        # What the server still calls pending may have been paid at the last moment.
        is_undecided = is_open or self.invoice.provider_status == PENDING
        return is_undecided and self.unchecked + 1 >= RECHECK_EVERY


class LNbitsWallet(Provider):
    """A wallet at an LNbits server, and its invoices to be read."""

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
    allows_path: ClassVar[bool] = True
    has_memos: ClassVar[bool] = True
    pages: ClassVar[frozenset[str]] = frozenset(
        {"account", "admin", "api", "docs", "extensions", "first_install", "node", "payments"}
        | {"users", "wallet", "wallets"}
    )
    id_shape: ClassVar[re.Pattern[str]] = re.compile(
        r"^[0-9a-f]{50,}$|^(?=\D*\d)\w{50,}$|^(?:lightning:)?(?:ln[a-z]{2,5}\d\w{40,})",
        re.IGNORECASE,
    )
    id_example: ClassVar[str] = "9c1f0e77b2a84d53c6e1f8a0d4b97e2565c3a1d08f4e7b92a6d05c8e1f3b7a94"
    currencies: ClassVar[Collection[str]] = ("SAT",)
    concurrency: ClassVar[int] = 2
    # The server lets 200 through, from one address.
    requests_per_minute: ClassVar[int] = 150

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Start with nothing read."""
        super().__init__(*args, **kwargs)
        self._known: Cache[_Known] = self._remembers(Cache())
        self._headers = {"X-Api-Key": self._settings["api_key"]}
        self._probe_at = -math.inf
        self._knows_lists = False
        self._read_by_list(possible=self._settings.get("reads_by_list") != "no")

    def _read_by_list(self, *, possible: bool) -> None:
        """Read many invoices with one request where the server can, else one by one."""
        self.batch_size = _BATCH if possible else 1

    @property
    @override
    def discovered_settings(self) -> Mapping[str, str]:
        """Whether many invoices can be read with one request."""
        return {"reads_by_list": "yes" if self.batch_size > 1 else "no"}

    @property
    @override
    def diagnostics(self) -> Mapping[str, str | int | bool]:
        """How many invoices are read with one request."""
        return {"batch_size": self.batch_size}

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
        """Prove the key with the wallet, as other answers don't reveal a wrong one."""
        wallet = await self._async_wallet()
        # Only a key that can spend gets the wallet's id.
        if wallet.get("id") is not None:
            raise KeyCanSpend("an admin key")
        self._read_by_list(
            possible=await async_prove_version(self._async_page, self._async_description)
        )
        host = self.http.url.partition("://")[2]
        return Account(
            unique_id=fingerprint(self.http.url, self._settings["api_key"]),
            title=f"{self.name} ({read_text(wallet.get('name')) or host})",
        )

    def _read_hash(self, payment: Mapping[str, Any]) -> str:
        """Return the payment hash of a payment that the server answered with."""
        id_ = self.parse_invoice_id(read_word(payment.get("payment_hash"), "payment_hash"))
        if id_ is None:
            raise BadResponse("payment_hash is no hash")
        return id_

    async def _async_wallet(self) -> Mapping[str, Any]:
        """Get the wallet that the key belongs to."""
        wallet = read_object(await self._async_call("GET", "wallet"), "the answer")
        if "name" not in wallet or "balance" not in wallet:
            raise BadResponse("the answer is not a wallet")
        return wallet

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Read a batch of invoices with one request, or one by one at an older server."""
        if self.batch_size == 1 and self.clock() >= self._probe_at:
            # It may have been upgraded since.
            self._probe_at = self.clock() + PROBED_EVERY
            self._read_by_list(possible=await async_can_filter_by_list(self._async_page))
        if self.batch_size > 1:
            try:
                found = await self._async_read_filtered("in", ids)
            except ProviderUnavailable as err:
                if err.reason is not UnavailableReason.SERVER_ERROR or await self._async_lists():
                    raise
            else:
                self._knows_lists = True
                return found
        alone: dict[str, Invoice | ProviderError] = {}
        for id_ in ids:
            alone |= await self._async_read_filtered("eq", (id_,))
        return alone

    async def _async_lists(self) -> bool:
        """Whether the server can read a list of invoices, found out when it first fails to."""
        if not self._knows_lists:
            self._knows_lists = await async_prove_version(self._async_page, self._async_description)
            self._read_by_list(possible=self._knows_lists)
        return self._knows_lists

    async def _async_read_filtered(
        self, operator: str, ids: tuple[str, ...]
    ) -> Mapping[str, Invoice | ProviderError]:
        """Read some invoices with one request."""
        now = self.now()
        known = [self._known.get(id_) for id_ in ids]
        checks = any(one is None or one.wants_check(now) for one in known)
        params = {
            f"payment_hash[{operator}]": ",".join(ids),
            # A wallet that pays itself has two payments of one hash.
            "amount[ge]": "0",
            "limit": str(2 * len(ids)),
        }
        if checks:
            params["recheck_pending"] = "true"
        rows = parse_rows(await self._async_page(params), now)
        return {id_: self._learn(id_, rows.get(id_), checked=checks, now=now) for id_ in ids}

    async def _async_page(self, params: Mapping[str, str]) -> Any:
        """Get a page of the wallet's payments."""
        return await self._async_call("GET", "payments/paginated", params=params)

    async def _async_description(self) -> Any:
        """Get what the server says of its API, with its version."""
        return await self.http.async_request("GET", "/openapi.json", headers={})

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
        return await self.http.async_request(
            method, f"/api/v1/{path}", headers=self._headers, **kwargs
        )

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
