"""CryptoCloud, API version 2.

Facts: the provider's documentation at docs.cryptocloud.plus (API reference V2).
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
import logging
import re
from typing import Any, ClassVar, override

from ..cache import LastRead
from ..capabilities import NoLongerOpen, Rejected, Statistics
from ..model import BadResponse, Balance, Invoice, InvoiceNotFound, ProviderError
from ..new_invoice import Flaw, InvalidField, NewInvoice
from ..pages import Page, each_once
from ..parse import read_object
from .invoices import parse_created, parse_rows
from .project import read_success
from .totals import parse_balances, parse_statistics
from .wallets import CryptoCloudWallets

_LOGGER = logging.getLogger(__name__)

# "Creating an invoice": what it can be issued in.
CURRENCIES = frozenset(
    {"AED", "AMD", "AUD", "AZN", "BYN", "CAD", "CNY", "EUR", "GBP", "HKD", "IDR", "INR", "JPY"}
    | {"KGS", "KZT", "MYR", "PHP", "RUB", "SGD", "THB", "TRY", "UAH", "USD", "UZS", "VND"}
)

_BALANCE = "/v2/merchant/wallet/balance/all"
_REQUESTS_PER_BATCH = 40
# Each is of a batch, and so more than anybody reads again and again.
_ANSWERS_REMEMBERED = 500
# The first is asked for every few seconds; those after an outage are read once.
_PAGES_REMEMBERED = 4
_DAY = timedelta(days=1)
_NOT_CREATED = re.compile(r"not created", re.IGNORECASE)
_NOT_FOUND = re.compile(r"not.?found|not.?exist|no such", re.IGNORECASE)


class CryptoCloud(CryptoCloudWallets):
    """A CryptoCloud project, read in batches of up to 100 invoices."""

    key = "cryptocloud"
    name = "CryptoCloud"
    batch_size: int = 100
    currencies: ClassVar[Collection[str]] = CURRENCIES
    concurrency: ClassVar[int] = 2

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Start with no invoice suspected of spoiling a batch."""
        super().__init__(*args, **kwargs)
        self._said_incomplete = False
        self._last_rows: LastRead[Invoice] = self._remembers(LastRead())
        self._last_answers: LastRead[Mapping[str, Invoice | ProviderError]] = self._remembers(
            LastRead(_ANSWERS_REMEMBERED)
        )
        self._last_pages: LastRead[Page] = self._remembers(LastRead(_PAGES_REMEMBERED))

    @override
    async def _async_prove_key(self) -> None:
        """Ask for the balance, the only call that needs nothing else."""
        payload = await self.http.async_request("POST", _BALANCE, headers=self._headers)
        read_success(payload, "the balance")

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Read up to 100 invoices; halve the batch where one spoils it."""
        found: dict[str, Invoice | ProviderError] = {}
        parts = [ids]
        # Enough for three bad IDs in a full batch. What is left over is read
        # next time, when those are out of the way.
        for _ in range(_REQUESTS_PER_BATCH):
            part = parts.pop()
            try:
                rows = await self._async_info(part)
            except InvoiceNotFound as err:
                if len(part) == 1:
                    self._batches.alone[part[0]] = True
                    found[part[0]] = err
                else:
                    middle = len(part) // 2
                    parts += [part[:middle], part[middle:]]
            except ProviderError as err:
                if part == ids:
                    raise
                # What was read stays read.
                unread = (id_ for rest in (*parts, part) for id_ in rest)
                return found | dict.fromkeys(unread, err)
            else:
                for id_ in part:
                    self._batches.alone.pop(id_, None)
                found.update(rows)
            if not parts:
                break
        for part in parts:
            found.update(dict.fromkeys(part, BadResponse("the batch is refused")))
        return found

    async def _async_info(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Ask for these invoices. Raises InvoiceNotFound if the provider refuses the list."""
        return await self.http.async_request_again(
            self._last_answers,
            ids[0],
            lambda payload: parse_rows(payload, self._last_rows),
            "POST",
            "/v2/invoice/merchant/info",
            headers=self._headers,
            json={"uuids": ids},
        )

    @property
    def supported_fields(self) -> frozenset[str]:
        """The optional fields of a new invoice that mean something here."""
        return frozenset({"lifetime", "order_id", "payment_method"})

    async def async_create_invoice(self, new: NewInvoice) -> Invoice:
        """Make an invoice ("Creating an invoice"). Raises a ProviderError.

        It can be paid for whole minutes; ``payment_method`` is a coin like USDT_TRC20, which
        the payer can no longer choose then.
        """
        new.check_for(
            supported=self.supported_fields, knows_currency=new.currency in CURRENCIES, decimals=2
        )
        asked: dict[str, Any] = self._asked_for(new)
        more: dict[str, Any] = {}
        if new.lifetime is not None:
            minutes = -(-new.lifetime // timedelta(minutes=1))
            more["time_to_pay"] = {"hours": minutes // 60, "minutes": minutes % 60}
        if new.payment_method is not None:
            more["cryptocurrency"] = new.payment_method
        if more:
            asked["add_fields"] = more
        return await self._request_once(
            "/v2/invoice/create", self._read_created, headers=self._headers, json=asked
        )

    def _read_created(self, payload: object) -> Invoice:
        """Return the invoice that was made."""
        return parse_created(read_object(self._read_result(payload).get("result"), "result"))

    async def async_cancel_invoice(self, invoice_id: str) -> None:
        """Cancel an invoice for which nothing was paid ("Canceling an invoice").

        Raises NoLongerOpen, Rejected or another ProviderError.
        """
        try:
            payload = await self.http.async_request(
                "POST",
                "/v2/invoice/merchant/canceled",
                headers=self._headers,
                json={"uuid": invoice_id},
                error=self._refusal,
            )
            result = self._read_result(payload).get("result")
        except Rejected as err:
            if _NOT_CREATED.search(str(err)):
                raise NoLongerOpen(str(err)) from err
            if _NOT_FOUND.search(str(err)):
                raise InvoiceNotFound(str(err)) from err
            raise
        if result not in ("ok", ["ok"]):
            raise BadResponse("the answer doesn't say that it is canceled")

    async def async_list_invoices(
        self, *, since: datetime, until: datetime | None = None, order_id: str | None = None
    ) -> AsyncIterator[Invoice]:
        """Yield the invoices made since then, each once ("Invoice list").

        At most the 10,000 that come first. Raises a ProviderError.
        """
        # In whose days the provider counts isn't said, and either clock may be wrong.
        end = (until or max(datetime.now(UTC), self.now())) + 2 * _DAY
        asked = _period(since.astimezone(UTC) - _DAY, end)

        async def read(offset: int, size: int) -> Page:
            page = await self._async_list(asked, offset, limit=size)
            if offset and page.is_short(offset, size):
                # The documentation's words for it are "the number of the last record". Where
                # they mean what others mean by it, so much is refused.
                with suppress(Rejected):
                    page = await self._async_list(asked, offset, limit=offset + size)
            if page.is_short(offset, size) and not self._said_incomplete:
                self._said_incomplete = True
                _LOGGER.warning(
                    "CryptoCloud's list of invoices ends at %s of %s",
                    offset + page.rows,
                    page.total,
                )
            return page

        async for invoice in each_once(read, since=since, until=until, order_id=order_id):
            yield invoice

    async def _async_list(self, period: Mapping[str, str], offset: int, *, limit: int) -> Page:
        """Get a page of the list."""

        def parse(payload: object) -> Page:
            fields, found = self._read_result(payload), parse_rows(payload)
            return Page(len(fields["result"]), found, fields.get("all_count"))

        return await self.http.async_request_again(
            self._last_pages,
            f"{offset} {limit}",
            parse,
            "POST",
            "/v2/invoice/merchant/list",
            headers=self._headers,
            json={**period, "offset": offset, "limit": limit},
            error=self._refusal,
        )

    async def async_get_balances(self) -> tuple[Balance, ...]:
        """Return what the project holds, by coin ("Balance"). Raises a ProviderError."""
        return parse_balances(await self._async_ask(_BALANCE))

    async def async_get_statistics(self, start: date, end: date) -> Statistics:
        """Return the totals from the first to the last day ("Statistics"), in dollars.

        Raises a ProviderError.
        """
        if end < start:
            raise InvalidField("end", Flaw.BEFORE_START)
        return parse_statistics(
            await self._async_ask("/v2/invoice/merchant/statistics", _period(start, end))
        )

    async def _async_ask(self, path: str, asked: object = None) -> Any:
        """Ask for something that is about more than one invoice."""
        payload = await self.http.async_request(
            "POST", path, headers=self._headers, json=asked, error=self._refusal
        )
        return self._read_result(payload)


def _period(start: date, end: date) -> dict[str, str]:
    """Return two days as the API writes them."""
    return {"start": f"{start:%d.%m.%Y}", "end": f"{end:%d.%m.%Y}"}
