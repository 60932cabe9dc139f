"""CryptoCloud, API version 2.

Facts: the provider's documentation at docs.cryptocloud.plus (API reference V2).
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from itertools import batched, chain
import re
from typing import Any, ClassVar, override

from .cryptocloud_project import (
    STATUSES,
    CryptoCloudProject,
    parse_invoice_id,
    payment_page,
    read_success,
)
from .invoicing import Flaw, InvalidField, NewInvoice, NoLongerOpen, Rejected, Statistics, Total
from .model import BadResponse, Balance, Invoice, InvoiceNotFound, InvoiceStatus, ProviderError
from .pages import PAGE, Page, each_once
from .parse import (
    LastRead,
    as_it_came,
    read_amount,
    read_link,
    read_local_time,
    read_object,
    read_text,
    read_word,
)

# "Creating an invoice": what it can be issued in.
CURRENCIES = frozenset(
    {"AED", "AMD", "AUD", "AZN", "BYN", "CAD", "CNY", "EUR", "GBP", "HKD", "IDR", "INR", "JPY"}
    | {"KGS", "KZT", "MYR", "PHP", "RUB", "SGD", "THB", "TRY", "UAH", "USD", "UZS", "VND"}
)

_BALANCE = "/v2/merchant/wallet/balance/all"
_REQUESTS_PER_BATCH = 40
# Each is of a batch, and so more than anybody reads again and again.
_ANSWERS_REMEMBERED = 500
_DAY = timedelta(days=1)
# Twice the digits of the longest amount that is read.
_EXACT = Context(prec=130)
_NOT_CREATED = re.compile(r"not created", re.IGNORECASE)
_NOT_FOUND = re.compile(r"not.?found|not.?exist|no such", re.IGNORECASE)


class CryptoCloud(CryptoCloudProject):
    """A CryptoCloud project, read in batches of up to 100 invoices."""

    key = "cryptocloud"
    name = "CryptoCloud"
    batch_size: ClassVar[int] = 100
    concurrency: ClassVar[int] = 2

    def __init__(self, *args: Any) -> None:
        """Start with no invoice suspected of spoiling a batch."""
        super().__init__(*args)
        self._refused: set[str] = set()
        self._last_rows: LastRead[Invoice] = LastRead()
        self._last_answers: LastRead[Mapping[str, Invoice | ProviderError]] = LastRead(
            _ANSWERS_REMEMBERED
        )

    @override
    async def _async_prove_key(self) -> None:
        """Ask for the balance, the only call that needs nothing else."""
        payload = await self._request("POST", _BALANCE, headers=self._headers)
        read_success(payload, "the balance")

    @override
    def _batches(self, ids: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """Keep the IDs that spoiled a batch before out of the others' batches."""
        # Told apart now, not on the way: what spoils a batch in this reading
        # has been asked for alone by then.
        alone = [(id_,) for id_ in ids if id_ in self._refused]
        others = [id_ for id_ in ids if id_ not in self._refused]
        return chain(batched(others, self.batch_size, strict=False), alone)

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
                    self._refused.add(part[0])
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
                self._refused.difference_update(part)
                found.update(rows)
            if not parts:
                break
        for part in parts:
            found.update(dict.fromkeys(part, BadResponse("the batch is refused")))
        return found

    async def _async_info(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Ask for these invoices. Raises InvoiceNotFound if the provider refuses the list."""
        return await self._request_again(
            self._last_answers,
            ids[0],
            lambda payload: parse_rows(payload, self._last_rows),
            "POST",
            "/v2/invoice/merchant/info",
            headers=self._headers,
            json={"uuids": ids},
        )

    @property
    def takes(self) -> frozenset[str]:
        """The optional fields of a new invoice that mean something here."""
        return frozenset({"lifetime", "order_id", "payment_method"})

    async def async_create_invoice(self, new: NewInvoice) -> Invoice:
        """Make an invoice ("Creating an invoice"). Raises a ProviderError.

        It can be paid for whole minutes; ``payment_method`` is a coin like USDT_TRC20, which
        the payer can't choose any more then.
        """
        new.check_for(takes=self.takes, knows_currency=new.currency in CURRENCIES, decimals=2)
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
        return _parse_row(read_object(self._read_result(payload).get("result"), "result"))

    async def async_cancel_invoice(self, invoice_id: str) -> None:
        """Cancel an invoice for which nothing was paid ("Canceling an invoice").

        Raises NoLongerOpen, Rejected or another ProviderError.
        """
        try:
            payload = await self._request(
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
        self, *, since: datetime, order_id: str | None = None
    ) -> AsyncIterator[Invoice]:
        """Yield the invoices made since then, each once ("Invoice list").

        At most the 10,000 that come first. Raises a ProviderError.
        """
        # In whose days the provider counts isn't said.
        asked = _period(since.astimezone(UTC) - _DAY, datetime.now(UTC) + _DAY)

        async def read(offset: int) -> Page:
            payload = await self._async_ask(
                "/v2/invoice/merchant/list", {**asked, "offset": offset, "limit": PAGE}
            )
            found = parse_rows(payload)
            return Page(len(payload["result"]), found, payload.get("all_count"))

        async for invoice in each_once(read, since=since, order_id=order_id):
            yield invoice

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
        payload = await self._request(
            "POST", path, headers=self._headers, json=asked, error=self._refusal
        )
        return self._read_result(payload)


def _period(start: date, end: date) -> dict[str, str]:
    """Return two days as the API writes them."""
    return {"start": f"{start:%d.%m.%Y}", "end": f"{end:%d.%m.%Y}"}


def parse_rows(
    payload: object, last_rows: LastRead[Invoice] | None = None
) -> dict[str, Invoice | ProviderError]:
    """Return the invoices of an answer by ID; a broken row costs only itself."""
    rows = read_success(payload, "the answer").get("result")
    if not isinstance(rows, list):
        raise BadResponse("the answer has no list of invoices")
    found: dict[str, Invoice | ProviderError] = {}
    for row in rows:
        if not isinstance(row, dict) or not isinstance(name := row.get("uuid"), str):
            continue
        try:
            invoice = _read_row(name, row, last_rows)
        except BadResponse as err:
            if (id_ := parse_invoice_id(name)) is not None:
                found[id_] = err
        else:
            found[invoice.id] = invoice
    return found


def _read_row(name: str, row: Mapping[str, Any], last_rows: LastRead[Invoice] | None) -> Invoice:
    """Return the invoice of a row, parsed only if the row is not as it came last time."""
    if last_rows is None or (came := as_it_came(row)) is None:
        return _parse_row(row)
    return last_rows.read(name, came, lambda: _parse_row(row))


def _parse_row(row: Mapping[str, Any]) -> Invoice:
    """Return the invoice of a row that names one."""
    if (id_ := parse_invoice_id(read_word(row.get("uuid"), "uuid"))) is None:
        raise BadResponse("the row names no invoice")
    return parse_invoice(id_, row)


def parse_invoice(id_: str, row: Mapping[str, Any]) -> Invoice:
    """Return the invoice of one row ("Invoice information"). Times are UTC."""
    word = read_word(row.get("status"), "status")
    coin = row.get("currency")
    coin = coin if isinstance(coin, dict) else {}
    network = coin.get("network")
    amount, currency = _issued_in(row)
    return Invoice(
        id=id_,
        status=STATUSES.get(word, InvoiceStatus.UNKNOWN),
        provider_status=word,
        amount=amount,
        currency=currency,
        # What is credited after fees; only its value in USD is in a currency we show.
        amount_received=read_amount(row.get("received_usd")) if currency == "USD" else None,
        # Before the payer has picked a coin, its amount is of none.
        pay_amount=read_amount(row.get("amount")) if coin else None,
        pay_currency=read_text(coin.get("code")),
        network=read_text(network.get("code")) if isinstance(network, dict) else None,
        order_id=read_text(row.get("order_id")),
        address=read_text(row.get("address")),
        payment_url=read_link(row.get("link")) or payment_page(id_),
        created_at=read_local_time(row.get("created"), UTC),
        expires_at=read_local_time(row.get("expiry_date"), UTC),
        paid_at=read_local_time(row.get("date_finished"), UTC),
        is_test=row["test_mode"] if isinstance(row.get("test_mode"), bool) else None,
    )


def _issued_in(row: Mapping[str, Any]) -> tuple[Any, str | None]:
    """Return the amount asked for and its currency: fiat where both are told, else USD."""
    fiat = row.get("fiat_currency")
    if isinstance(fiat, dict):
        fiat = fiat.get("code")
    amount = read_amount(row.get("amount_in_fiat"))
    if amount is not None and isinstance(fiat, str) and fiat.strip():
        return amount, fiat.strip().upper()
    amount = read_amount(row.get("amount_usd"))
    return amount, None if amount is None else "USD"


def parse_balances(payload: object) -> tuple[Balance, ...]:
    """Return the balances of an answer, those of one coin in several networks as one."""
    rows = read_success(payload, "the balance").get("result")
    if not isinstance(rows, list):
        raise BadResponse("the answer has no list of balances")
    held: dict[str, Decimal] = {}
    for row in rows:
        coin = row.get("currency") if isinstance(row, dict) else None
        if not isinstance(coin, dict):
            continue
        code = read_text(coin.get("short_code")) or read_text(coin.get("code"))
        amount = read_amount(row.get("balance_crypto"))
        if code is not None and amount is not None:
            held[code] = _EXACT.add(held.get(code, Decimal(0)), amount)
    return tuple(Balance(amount=amount, currency=code) for code, amount in held.items())


def parse_statistics(payload: object) -> Statistics:
    """Return the counts and sums of an answer, in dollars."""
    result = read_object(read_success(payload, "the statistics").get("result"), "result")
    counts = read_object(result.get("count"), "count")
    amounts = read_object(result.get("amount"), "amount")
    totals: dict[str, Total] = {}
    for word, count in counts.items():
        amount = read_amount(amounts.get(word))
        if isinstance(count, bool) or not isinstance(count, int) or amount is None:
            raise BadResponse("a total is not a number")
        totals[word] = Total(count=count, amount=amount)
    return Statistics(currency="USD", totals=totals)
