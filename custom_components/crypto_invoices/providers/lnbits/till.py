"""Makes and lists invoices at an LNbits server."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
import math
import re
from typing import Any, override

from ..capabilities import Rejected
from ..model import (
    BadResponse,
    Balance,
    Invoice,
    ProviderError,
    ProviderUnavailable,
    UnavailableReason,
)
from ..new_invoice import NewInvoice
from ..pages import Page, each_once
from ..parse import read_object
from .hints import LNbitsHints
from .rows import SATOSHI, parse_row, parse_rows, to_satoshi
from .wallet import PROBED_EVERY

_FIAT = re.compile(r"[A-Z]{3}")
_SATOSHI = frozenset({"SAT", "SATS"})
# What a server posts to unless its admin says otherwise. It refuses an invoice that
# names another address, and is heard by its websocket anyway.
_CALLBACK = re.compile(r"https?://[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}(?::\d+)?(?:/.*)?")
# What a server takes for one; it keeps others only beside it.
_EXTERNAL_ID = re.compile(r"\S+")


class LNbits(LNbitsHints):
    """A wallet at an LNbits server, with all that can be done there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Start with a server of which nothing is known."""
        super().__init__(*args, **kwargs)
        self._timeless_until = -math.inf

    @property
    def supported_fields(self) -> frozenset[str]:
        """The optional fields of a new invoice that mean something here."""
        return frozenset({"callback_url", "description", "lifetime", "order_id"})

    async def async_create_invoice(self, new: NewInvoice) -> Invoice:
        """Make an invoice over whole satoshi, or a currency that the server allows.

        Raises a ProviderError.
        """
        in_satoshi = new.currency.upper() in _SATOSHI
        new.check_for(
            supported=self.supported_fields,
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
        row, now = read_object(payload, "the answer"), self.now()
        id_, invoice = self._read_hash(row), parse_row(row, now)
        self._learn(id_, invoice, checked=True, now=now)
        return invoice

    async def async_list_invoices(
        self, *, since: datetime, until: datetime | None = None, order_id: str | None = None
    ) -> AsyncIterator[Invoice]:
        """Yield the incoming payments made since then, each once, the newest first.

        At most 10,000. Raises a ProviderError.
        """
        asked = {
            "amount[gt]": "0",
            "time[ge]": str(int(since.timestamp())),
            "sortby": "time",
            "direction": "desc",
        }
        if until is not None:
            asked["time[le]"] = str(int(until.timestamp()) + 1)

        async def read(offset: int, size: int) -> Page:
            params = {**asked, "limit": str(size), "offset": str(offset)}
            payload = await self._async_listed(params, is_first=not offset)
            rows = parse_rows(payload, self.now())
            found = {id_: entry for id_, entry in rows.items() if self.parse_invoice_id(id_)}
            return Page(len(payload["data"]), found, payload.get("total"))

        async for invoice in each_once(read, since=since, until=until, order_id=order_id):
            yield invoice

    async def _async_listed(self, params: Mapping[str, str], *, is_first: bool) -> Any:
        """Get a page of a list, without a limit in time where the server can't compare times.

        Some 1.5 with PostgreSQL can't, and answer with an error of their own. Which way it is
        belongs to the whole list, as offsets differ.
        """
        timeless = {name: value for name, value in params.items() if not name.startswith("time[")}
        if self.clock() < self._timeless_until:
            return await self._async_page(timeless)
        try:
            return await self._async_page(params)
        except ProviderUnavailable as err:
            is_own = err.reason is UnavailableReason.SERVER_ERROR and err.retry_after is None
            if not is_first or not is_own:
                raise
        payload = await self._async_page(timeless)
        self._timeless_until = self.clock() + PROBED_EVERY
        return payload

    async def async_get_balances(self) -> tuple[Balance, ...]:
        """Return what the wallet holds. Raises a ProviderError."""
        balance = to_satoshi((await self._async_wallet())["balance"])
        if balance is None:
            raise BadResponse("balance is not an amount")
        return (Balance(amount=balance, currency=SATOSHI),)

    @override
    def _refusal(self, status: int, headers: Mapping[str, str], payload: object) -> ProviderError:
        """Know the answer of a server whose wallet or node refuses to make an invoice."""
        if status == 520 and isinstance(payload, dict) and payload.get("status") == "failed":
            return Rejected(self._reason(payload) or "HTTP 520")
        return super()._refusal(status, headers, payload)
