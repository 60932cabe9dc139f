"""A store at a BTCPay Server: which one it is, and how its invoices are read."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
import re
from typing import Any, ClassVar, Literal, override

from ..batches import raise_if_nothing_was_read
from ..cache import Cache
from ..http import ReadError
from ..model import (
    Account,
    Answer,
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    KeyCanSpend,
    ProviderError,
    SettingNeeded,
)
from ..parse import read_text
from ..provider import Field, FieldKind, Provider, fingerprint
from .invoices import ID_SHAPE, parse_invoice, parse_invoice_id
from .keys import (
    CAN_SPEND,
    MODIFY_WEBHOOKS,
    VIEW_STORES,
    authorize_path,
    choose_store,
    may,
    read_scopes,
    request_path,
)
from .late import LatePayments
from .pages import InvoicePages

_OPEN = ("New", "Processing")
_ENDED = ("Settled", "Expired", "Invalid")
_PLAIN = re.compile(r"[0-9A-Za-z]{1,64}")

type _Method = Literal["DELETE", "GET", "POST", "PUT"]


class BTCPayStore(Provider):
    """A store at a BTCPay Server, and its invoices to be read.

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
    pages: ClassVar[frozenset[str]] = frozenset(
        {"account", "api", "api-keys", "apps", "i", "invoice", "invoices", "login", "register"}
        | {"server", "stores", "wallets"}
    )
    id_shape: ClassVar[re.Pattern[str]] = ID_SHAPE
    id_example: ClassVar[str] = "7hXtK2mPq9RbVw4sZcYd3N"
    key_path: ClassVar[str] = authorize_path()
    key_request = staticmethod(request_path)
    # Not a limit of the API: about what a request brings, pages and single invoices together.
    batch_size: int = 20
    concurrency: ClassVar[int] = 4
    requests_per_minute: ClassVar[int] = 300
    # What was marked by hand can be marked otherwise.
    can_revert: ClassVar[bool] = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Start with what is known of the key, if it was proven before."""
        super().__init__(*args, **kwargs)
        self._headers = {"Authorization": f"token {self._settings['api_key']}"}
        self._store_id: str | None = self._settings.get("store_id")
        self._may_register: str | None = self._settings.get("may_register_webhook")
        self._ended: Cache[bool] = self._remembers(Cache())
        self._late = LatePayments(self._async_payment_methods)
        self._remembers(self._late.settled)
        self._pages = InvoicePages(self._async_get_page, self._late, self.clock)

    @property
    @override
    def discovered_settings(self) -> Mapping[str, str]:
        """The store, and whether the key may register a webhook there."""
        settings = {"store_id": self._store_id, "may_register_webhook": self._may_register}
        return {key: value for key, value in settings.items() if value is not None}

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        """Return the ID in what a user typed or pasted: upper and lower case differ."""
        return parse_invoice_id(text)

    @override
    async def async_get_account(self) -> Account:
        """Prove the key, refuse one that can spend, and find the store."""
        scopes = read_scopes(
            await self.http.async_request("GET", "/api/v1/api-keys/current", headers=self._headers)
        )
        if spends := CAN_SPEND & scopes.keys():
            raise KeyCanSpend(", ".join(sorted(spends)))
        names = await self._async_store_names() if VIEW_STORES in scopes else {}
        chosen = self._settings.get("store_id")
        self._store_id = store_id = choose_store(chosen, scopes, names)
        try:
            await self._async_prove_store()
        except AuthError as err:
            if chosen:
                raise SettingNeeded("store_id") from err
            raise
        may_register = may(scopes, MODIFY_WEBHOOKS, store_id)
        self._may_register = "yes" if may_register else "no"
        host = self.http.url.partition("://")[2]
        return Account(
            unique_id=fingerprint(host, store_id),
            title=names.get(store_id) or f"{self.name} ({host})",
        )

    async def _async_store_names(self) -> Mapping[str, str | None]:
        """Return the names of the stores that the key may know of."""
        rows = read_list(
            await self.http.async_request("GET", "/api/v1/stores", headers=self._headers)
        )
        return {
            row["id"]: read_text(row.get("name"))
            for row in rows
            if isinstance(row, dict) and isinstance(row.get("id"), str)
        }

    async def _async_prove_store(self) -> None:
        """Read what only a key for this store can read. Raises a ProviderError."""
        with suppress(InvoiceNotFound):
            await self._async_get_page("take=1")

    async def _async_find_store(self) -> None:
        """See to it that the store is known. Raises a ProviderError."""
        if self._store_id is None:
            await self.async_get_account()

    def _at_store(self, path: str) -> str:
        """Return where something of the store's is."""
        if self._store_id is None or not is_plain(self._store_id):
            raise SettingNeeded("store_id")
        return f"/api/v1/stores/{self._store_id}{path}"

    async def _async_at_store(
        self, method: _Method, path: str, json: object = None, error: ReadError | None = None
    ) -> Any:
        """Make a request about the store."""
        return await self.http.async_request(
            method, self._at_store(path), headers=self._headers, json=json, error=error
        )

    @override
    async def async_get_answers(self, ids: Iterable[str]) -> list[Answer]:
        """Read invoices: many in pages of the store's, the rest of them one by one."""
        asked = dict.fromkeys(ids)
        if not asked:
            return []
        await self._async_find_store()
        answers: list[Answer] = []
        missing = set(asked)
        try:
            for words, wanted in ((_OPEN, missing - self._ended.keys()), (_ENDED, missing)):
                pages = await self._pages.async_read(words, wanted)
                answers += pages
                missing -= {id_ for page in pages for id_ in page.rows}
            if missing:
                left = [id_ for id_ in asked if id_ in missing]
                answers += await self._batches.async_read(left, 1, self.concurrency)
        except ProviderError as err:
            if not answers or isinstance(err, AuthError):
                raise
            now = self.clock()
            answers.append(Answer(now, now, dict.fromkeys(missing, err)))
        raise_if_nothing_was_read(row for answer in answers for row in answer.rows.values())
        for answer in answers:
            for id_, row in answer.rows.items():
                if isinstance(row, Invoice) and not row.status.is_open:
                    self._ended[id_] = True
                elif isinstance(row, Invoice):
                    self._ended.pop(id_, None)
        return answers

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
        return await self._late.async_check({ids[0]: parse_invoice(ids[0], row)})

    async def _async_get_page(self, query: str) -> list[Any]:
        """Get a page of the store's invoices. Raises a ProviderError."""
        return read_list(await self._async_at_store("GET", f"/invoices?{query}"))

    async def _async_payment_methods(self, invoice_id: str) -> Any:
        """Get in which ways an invoice can be paid, with what was paid. Raises a ProviderError."""
        return await self._async_at_store("GET", f"/invoices/{invoice_id}/payment-methods")


def read_list(payload: object) -> list[Any]:
    """Return a JSON array, or raise BadResponse."""
    if not isinstance(payload, list):
        raise BadResponse("the answer is not a list")
    return payload


def is_plain(id_: str) -> bool:
    """Whether an ID can be part of an address as it is."""
    return bool(_PLAIN.fullmatch(id_))
