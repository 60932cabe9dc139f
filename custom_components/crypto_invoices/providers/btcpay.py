"""BTCPay Server, a payment server that people host themselves.

Facts: the Greenfield API at docs.btcpayserver.org/API/Greenfield and the
server's source (github.com/btcpayserver/btcpayserver, 2.4.1), which is right
where the two differ.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
import hashlib
import hmac
import re
import secrets
from typing import Any, ClassVar, Literal, override
from urllib.parse import urlencode

from aiohttp import ClientResponse
import orjson

from .base import Field, FieldKind, Provider, ReadError, fingerprint
from .model import (
    Account,
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    KeyCanSpend,
    ProviderError,
    SettingNeeded,
)
from .parse import read_amount, read_link, read_object, read_text, read_unix_time, read_word
from .push import Hint, PushRefused, Refusal

STATUSES: Mapping[str, InvoiceStatus] = {
    "New": InvoiceStatus.PENDING,
    "Processing": InvoiceStatus.PROCESSING,
    "Settled": InvoiceStatus.PAID,
    "Expired": InvoiceStatus.EXPIRED,
    "Invalid": InvoiceStatus.FAILED,
}
# What the additional status changes. An expired invoice stays "Expired", also
# when all of the money comes late.
ADDITIONAL_STATUSES: Mapping[tuple[str, str], InvoiceStatus] = {
    ("New", "PaidPartial"): InvoiceStatus.PARTIALLY_PAID,
    ("Settled", "PaidOver"): InvoiceStatus.OVERPAID,
    ("Expired", "PaidPartial"): InvoiceStatus.UNDERPAID,
    ("Expired", "PaidLate"): InvoiceStatus.PAID,
    ("Expired", "PaidOver"): InvoiceStatus.OVERPAID,
    ("Invalid", "Marked"): InvoiceStatus.CANCELED,
    ("Invalid", "Invalid"): InvoiceStatus.FAILED,
}
_NO_MORE = "None"
_ADDITIONAL_WORDS = frozenset({_NO_MORE, "Marked", "PaidLate", "PaidOver", "PaidPartial"})

# Any of these lets a key read invoices, and one of them stores too.
VIEW_INVOICES = "btcpay.store.canviewinvoices"
VIEW_STORES = "btcpay.store.canviewstoresettings"
_READ = frozenset({VIEW_INVOICES, VIEW_STORES, "btcpay.store.canmodifyinvoices"})
MODIFY_WEBHOOKS = "btcpay.store.webhooks.canmodifywebhooks"
CAN_SPEND = frozenset(
    {
        "unrestricted",
        "btcpay.server.canmanageusers",
        "btcpay.server.canmodifyserversettings",
        "btcpay.server.canuseinternallightningnode",
        "btcpay.store.canbroadcasttransactions",
        "btcpay.store.cancanceltransactions",
        "btcpay.store.cancreatepullpayments",
        "btcpay.store.cancreatetransactions",
        "btcpay.store.canmanagepayouts",
        "btcpay.store.canmanagepullpayments",
        "btcpay.store.canmanagewallets",
        "btcpay.store.canmanagewalletsettings",
        "btcpay.store.canmanagewallettransactions",
        "btcpay.store.canmodifystoresettings",
        "btcpay.store.cansigntransactions",
        "btcpay.store.canuselightningnode",
        "btcpay.user.canimpersonateuser",
    }
)

# What a webhook of ours is told of. Older servers don't know the last two, and
# tell of late money with the second.
EVENTS = (
    "InvoiceExpired",
    "InvoiceReceivedPayment",
    "InvoicePaymentSettled",
    "InvoiceProcessing",
    "InvoiceSettled",
    "InvoiceInvalid",
    "InvoiceExpiredPaidPartial",
    "InvoicePaidAfterExpiration",
)

_OPEN = ("New", "Processing")
_ENDED = ("Settled", "Expired", "Invalid")
# A page of so many rows is far from what one answer may hold. It costs one
# request, and is worth it for so many invoices at least.
PAGE = 200
WORTH_A_PAGE = 4

# IDs are Base58; an invoice's has 22 characters, seldom fewer.
_ID = re.compile(r"[0-9A-Za-z]{16,32}")
_PLAIN = re.compile(r"[0-9A-Za-z]{1,64}")
_LINK = re.compile(r"(?:https?://)?[^?#\s]+/(?:i|invoices)/([^/?#\s]+)(?:[/?#]\S*)?", re.IGNORECASE)

type _Method = Literal["DELETE", "GET", "POST", "PUT"]
type _Scopes = Mapping[str, set[str | None]]


class BTCPay(Provider):
    """A store at a BTCPay Server.

    A key that could send money is refused: one that may do everything, use a
    Lightning node, work with a wallet, approve refunds, pull payments or
    payouts, or change where a store's money goes (``canmodifystoresettings``
    holds all of these). So is one that could help itself to such a key: that of
    a server's administrator, a manager of users, or someone who can act as
    another user. Creating and modifying invoices moves no money.
    """

    key = "btcpay"
    name = "BTCPay Server"
    fields = (
        Field(key="url", kind=FieldKind.URL),
        Field(key="api_key", kind=FieldKind.SECRET),
        Field(key="store_id", kind=FieldKind.TEXT, required=False),
        Field(key="webhook_secret", kind=FieldKind.SECRET, required=False, advanced=True),
        Field(
            key="verify_ssl", kind=FieldKind.BOOLEAN, required=False, default=True, advanced=True
        ),
    )
    allows_path: ClassVar[bool] = True
    key_path: ClassVar[str] = "/api-keys/authorize?" + urlencode(
        [
            ("applicationName", "Home Assistant"),
            ("permissions", VIEW_INVOICES),
            ("permissions", MODIFY_WEBHOOKS),
            ("strict", "true"),
            ("selectiveStores", "true"),
        ]
    )
    # Not a limit of the API: about what a request brings, pages and single invoices together.
    batch_size: ClassVar[int] = 20
    concurrency: ClassVar[int] = 4
    requests_per_minute: ClassVar[int] = 300
    # Late money counts as soon as it is seen, and what was marked by hand can be marked otherwise.
    can_revert: ClassVar[bool] = True

    def __init__(self, *args: Any) -> None:
        """Start with what is known of the key, if it was proven before."""
        super().__init__(*args)
        self._headers = {"Authorization": f"token {self._settings['api_key']}"}
        self._store_id: str | None = self._settings.get("store_id")
        self._may_register: str | None = self._settings.get("may_register_webhook")
        self._webhook_secret: str | None = self._settings.get("webhook_secret")
        self._webhook_id: str | None = self._settings.get("btcpay_webhook_id")
        self._has_put_webhook = False
        self._ended: set[str] = set()

    @property
    @override
    def learned(self) -> Mapping[str, str]:
        """The store, and whether the key may register a webhook there."""
        learned = {"store_id": self._store_id, "may_register_webhook": self._may_register}
        return {key: value for key, value in learned.items() if value is not None}

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        """Return the ID in what a user typed or pasted: upper and lower case differ."""
        text = text.strip()
        if link := _LINK.fullmatch(text):
            text = link.group(1)
        return text if _ID.fullmatch(text) else None

    @override
    async def async_get_account(self) -> Account:
        """Prove the key, refuse one that can spend, and find the store."""
        scopes = read_scopes(
            await self._request("GET", "/api/v1/api-keys/current", headers=self._headers)
        )
        if spends := CAN_SPEND & scopes.keys():
            raise KeyCanSpend(", ".join(sorted(spends)))
        names = await self._async_store_names() if VIEW_STORES in scopes else {}
        chosen = self._settings.get("store_id")
        self._store_id = store_id = _choose_store(chosen, scopes, names)
        try:
            await self._async_prove_store()
        except AuthError as err:
            if chosen:
                raise SettingNeeded("store_id") from err
            raise
        may_register = _may(scopes, MODIFY_WEBHOOKS, store_id)
        self._may_register = "yes" if may_register else "no"
        host = self._url.partition("://")[2]
        return Account(
            unique_id=fingerprint(host, store_id),
            title=names.get(store_id) or f"{self.name} ({host})",
        )

    async def _async_store_names(self) -> Mapping[str, str | None]:
        """Return the names of the stores that the key may know of."""
        rows = read_list(await self._request("GET", "/api/v1/stores", headers=self._headers))
        return {
            row["id"]: read_text(row.get("name"))
            for row in rows
            if isinstance(row, dict) and isinstance(row.get("id"), str)
        }

    async def _async_prove_store(self) -> None:
        """Read what only a key for this store can read. Raises a ProviderError."""
        with suppress(InvoiceNotFound):
            read_list(await self._async_at_store("GET", "/invoices?take=1"))

    async def _async_at_store(self, method: _Method, path: str, json: object = None) -> Any:
        """Make a request about the store."""
        if self._store_id is None or not _is_plain(self._store_id):
            raise SettingNeeded("store_id")
        return await self._request(
            method, f"/api/v1/stores/{self._store_id}{path}", headers=self._headers, json=json
        )

    @override
    def _decode(self, response: ClientResponse, content: bytes, error: ReadError) -> Any:
        """Return the JSON of a good answer: that to a deletion is empty."""
        if not content and 200 <= response.status < 300:
            return None
        return super()._decode(response, content, error)

    @override
    async def async_get_invoices(self, ids: Iterable[str]) -> dict[str, Invoice | ProviderError]:
        """Read invoices: many in pages of the store's, the rest of them one by one."""
        asked = dict.fromkeys(ids)
        found: dict[str, Invoice | ProviderError] = {}
        if asked and self._store_id is None:
            await self.async_get_account()
        try:
            await self._async_read_pages(_OPEN, asked.keys() - self._ended, found)
            await self._async_read_pages(_ENDED, asked.keys() - found.keys(), found)
            found |= await super().async_get_invoices(id_ for id_ in asked if id_ not in found)
        except ProviderError as err:
            if not found or isinstance(err, AuthError):
                raise
            found |= dict.fromkeys(asked.keys() - found.keys(), err)
        errors = [entry for entry in found.values() if isinstance(entry, BadResponse)]
        if errors and len(errors) == len(found):
            raise errors[0]
        for id_, entry in found.items():
            if isinstance(entry, Invoice):
                (self._ended.discard if entry.status.is_open else self._ended.add)(id_)
        return found

    async def _async_read_pages(
        self, words: tuple[str, ...], wanted: set[str], found: dict[str, Invoice | ProviderError]
    ) -> None:
        """Read the newest invoices of these statuses, for as long as there are enough of ours.

        What is not found there, or can't be read there, is left out.
        """
        missing, skip = set(wanted), 0
        while len(missing) >= WORTH_A_PAGE:
            # Without ``take``, all the invoices there ever were would come.
            query = [*(("status", word) for word in words), ("skip", skip), ("take", PAGE)]
            try:
                rows = read_list(await self._async_at_store("GET", f"/invoices?{urlencode(query)}"))
            except BadResponse, InvoiceNotFound:
                return
            page = parse_rows(rows, missing)
            found |= page
            missing -= page.keys()
            skip += PAGE
            if len(rows) < PAGE or len(page) < WORTH_A_PAGE:
                return

    @override
    def _batches(self, ids: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """Read what is in no page one by one."""
        return ((id_,) for id_ in ids)

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Read one invoice."""
        try:
            row = await self._async_at_store("GET", f"/invoices/{ids[0]}")
        except InvoiceNotFound:
            return {}
        except AuthError:
            # So is an invoice of another store refused, with a key that is good.
            await self._async_prove_store()
            return {}
        return {ids[0]: parse_invoice(ids[0], row)}

    @property
    def accepts_push(self) -> bool:
        """Whether what is needed to believe a push is known."""
        return bool(self._webhook_secret)

    def parse_push(self, headers: Mapping[str, str], body: bytes) -> Hint:
        """Return the hint in a webhook's delivery, signed as a whole.

        Every signed delivery is taken, one about something else too: what is
        refused would hold up those behind it. It hints at what isn't tracked.
        """
        if not self._webhook_secret:
            raise PushRefused(Refusal.SIGNATURE, "there is no secret")
        signature = headers.get("BTCPay-Sig", "").encode(errors="replace")
        if not hmac.compare_digest(signature, sign(self._webhook_secret, body).encode()):
            raise PushRefused(Refusal.SIGNATURE, "the signature is wrong")
        try:
            fields = read_object(orjson.loads(body), "the body")
        except (orjson.JSONDecodeError, BadResponse) as err:
            raise PushRefused(Refusal.MALFORMED, type(err).__name__) from None
        # The second is how old servers write the first.
        names = ("originalDeliveryId", "orignalDeliveryId", "deliveryId")
        deliveries = (read_text(fields.get(name)) for name in names)
        return Hint(
            invoice_ids=frozenset({read_text(fields.get("invoiceId")) or ""}),
            delivery_id=next(filter(None, deliveries), None),
        )

    @property
    def may_register_webhook(self) -> bool:
        """Whether the key may change the store's webhooks."""
        return self._may_register == "yes"

    async def async_register_webhook(self, url: str) -> Mapping[str, str]:
        """See to it that the store posts to ``url``; return its secret and ID to keep.

        The secret is ours, as the server tells its own only once.
        """
        if not self.may_register_webhook:
            return {}
        ours = await self._async_own_webhooks(url)
        secret = self._webhook_secret or secrets.token_hex(32)
        wanted = {
            "enabled": True,
            "automaticRedelivery": True,
            "url": url,
            "secret": secret,
            "authorizedEvents": {"everything": False, "specificEvents": EVENTS},
        }
        if not ours:
            row = await self._async_at_store("POST", "/webhooks", wanted)
            webhook_id = read_word(read_object(row, "the webhook").get("id"), "id")
        else:
            webhook_id, *doubles = ours
            # The secret there can't be compared: it is set once by each of us.
            if not (self._has_put_webhook and _is_as_wanted(ours[webhook_id], url)):
                await self._async_at_store("PUT", f"/webhooks/{webhook_id}", wanted)
            for double in doubles:
                await self._async_delete_webhook(double)
        self._webhook_secret, self._webhook_id = secret, webhook_id
        self._has_put_webhook = True
        return {"webhook_secret": secret, "btcpay_webhook_id": webhook_id}

    async def _async_own_webhooks(self, url: str) -> dict[str, Mapping[str, Any]]:
        """Return the webhooks that are ours, by ID, the one we know of first.

        The address is known to nobody else.
        """
        rows = read_list(await self._async_at_store("GET", "/webhooks"))
        by_id = {
            row["id"]: row
            for row in rows
            if isinstance(row, dict) and isinstance(row.get("id"), str) and _is_plain(row["id"])
        }
        known = self._webhook_id or ""
        ours = {known: by_id[known]} if known in by_id else {}
        return ours | {id_: row for id_, row in by_id.items() if row.get("url") == url}

    async def _async_delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook, unless somebody else did."""
        with suppress(InvoiceNotFound):
            await self._async_at_store("DELETE", f"/webhooks/{webhook_id}")

    async def async_remove_webhook(self) -> None:
        """Take back what was registered. Raises a ProviderError."""
        if self._webhook_id is None or not _is_plain(self._webhook_id):
            return
        await self._async_delete_webhook(self._webhook_id)
        self._webhook_id = None
        self._has_put_webhook = False


def sign(secret: str, body: bytes) -> str:
    """Return the signature of a delivery, as its header has it."""
    key = secret.encode(errors="surrogatepass")
    return f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"


def read_list(payload: object) -> list[Any]:
    """Return a JSON array, or raise BadResponse."""
    if not isinstance(payload, list):
        raise BadResponse("the answer is not a list")
    return payload


def read_scopes(payload: object) -> _Scopes:
    """Return a key's permissions, each with the stores it is for; None is all of them."""
    permissions = read_object(payload, "the key").get("permissions")
    if not isinstance(permissions, list):
        raise BadResponse("the key has no permissions")
    scopes: dict[str, set[str | None]] = {}
    for permission in permissions:
        if isinstance(permission, str):
            policy, colon, store_id = permission.strip().partition(":")
            scopes.setdefault(policy.lower(), set()).add(store_id if colon else None)
    return scopes


def _may(scopes: _Scopes, policy: str, store_id: str) -> bool:
    """Whether a permission covers a store."""
    return not scopes.get(policy, set()).isdisjoint({None, store_id})


def _choose_store(chosen: str | None, scopes: _Scopes, names: Iterable[str]) -> str:
    """Return the store to read. Raises SettingNeeded unless there is exactly one."""
    stores: set[str | None] = set().union(*(scopes.get(policy, set()) for policy in _READ))
    if not stores:
        raise AuthError("the key may not read invoices")
    if chosen and not {None, chosen}.isdisjoint(stores):
        return chosen
    if None in stores:
        stores = set(names)
    if chosen or len(stores) != 1 or not (store_id := stores.pop()):
        raise SettingNeeded("store_id")
    return store_id


def _is_plain(id_: str) -> bool:
    """Whether an ID can be part of an address as it is."""
    return bool(_PLAIN.fullmatch(id_))


def _is_as_wanted(row: Mapping[str, Any], url: str) -> bool:
    """Whether a webhook is still as we made it, as far as it shows."""
    events = row.get("authorizedEvents")
    told = events.get("specificEvents") if isinstance(events, dict) else None
    return (
        row.get("url") == url
        and row.get("enabled") is True
        and row.get("automaticRedelivery") is True
        and isinstance(told, list)
        and all(event in told for event in EVENTS)
    )


def parse_rows(rows: Iterable[Any], wanted: set[str]) -> dict[str, Invoice | ProviderError]:
    """Return the invoices of a page that are wanted; a broken row costs only itself."""
    found: dict[str, Invoice | ProviderError] = {}
    for row in rows:
        id_ = row.get("id") if isinstance(row, dict) else None
        if not isinstance(id_, str) or id_ not in wanted:
            continue
        try:
            found[id_] = parse_invoice(id_, row)
        except BadResponse as err:
            found[id_] = err
    return found


def parse_invoice(id_: str, payload: object) -> Invoice:
    """Return the invoice of one row."""
    row = read_object(payload, "the answer")
    if row.get("id") != id_:
        raise BadResponse("the answer is about another invoice")
    word = read_word(row.get("status"), "status")
    more = row.get("additionalStatus")
    more = more.strip() if isinstance(more, str) and more.strip() else _NO_MORE
    metadata = row.get("metadata")
    amount = read_amount(row.get("amount"))
    # A top-up invoice has no amount before it is paid.
    is_unset = row.get("type") == "TopUp" and not amount
    return Invoice(
        id=id_,
        status=_status(word, more),
        provider_status=word if more == _NO_MORE else f"{word} ({more})",
        amount=None if is_unset else amount,
        currency=read_text(row.get("currency")),
        # Servers before 2.1.2 don't say.
        amount_received=read_amount(row.get("paidAmount")),
        order_id=read_text(metadata.get("orderId")) if isinstance(metadata, dict) else None,
        payment_url=read_link(row.get("checkoutLink")),
        created_at=read_unix_time(row.get("createdTime")),
        expires_at=read_unix_time(row.get("expirationTime")),
        monitored_until=read_unix_time(row.get("monitoringExpiration")),
    )


def _status(word: str, more: str) -> InvoiceStatus:
    """Return what a status with its additional one means; of either, an unknown word is unknown."""
    if status := ADDITIONAL_STATUSES.get((word, more)):
        return status
    if more not in _ADDITIONAL_WORDS:
        return InvoiceStatus.UNKNOWN
    return STATUSES.get(word, InvoiceStatus.UNKNOWN)
