"""CryptoCloud, API version 2.

Facts: the provider's documentation at docs.cryptocloud.plus (API reference V2).
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from datetime import UTC
from itertools import batched, chain
import re
from typing import Any, ClassVar, override

import jwt

from .base import Field, FieldKind, Provider, fingerprint
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
    LastRows,
    read_amount,
    read_link,
    read_local_time,
    read_object,
    read_text,
    read_word,
)
from .push import Hint, PushRefused, Refusal, parse_body

# How far the clocks may be apart, in seconds, when a token's five minutes are over.
_LEEWAY = 60
_PYTHON_BYTES = re.compile(r"""b(?:"(.*)"|'(.*)')""")

# "Invoice statuses" at support.cryptocloud.plus. An unpaid invoice is canceled
# by the provider when its time is up: there is no word for expired.
STATUSES: Mapping[str, InvoiceStatus] = {
    "created": InvoiceStatus.PENDING,
    "partial": InvoiceStatus.PARTIALLY_PAID,
    "paid": InvoiceStatus.PAID,
    "overpaid": InvoiceStatus.OVERPAID,
    "canceled": InvoiceStatus.CANCELED,
}

_REQUESTS_PER_BATCH = 40

_ID = re.compile(r"(?:INV-)?([A-Z0-9]{8})")
_LINK = re.compile(
    r"(?:https?://)?[^/]*cryptocloud[^/]*/(?:[^?#]*/)?([^/?#]+)/?(?:[?#].*)?", re.IGNORECASE
)


def parse_invoice_id(text: str) -> str | None:
    """Return ``INV-`` and eight characters, from that, the bare eight or a payment link."""
    text = text.strip()
    if link := _LINK.fullmatch(text):
        text = link.group(1)
    match = _ID.fullmatch(text.upper())
    return f"INV-{match.group(1)}" if match else None


def is_auth_failure(status: int, payload: object) -> bool:
    """Whether an error answer means the key.

    The sources disagree on the status code: 400 is a bad key only with
    ``detail`` or ``result.authorization``.
    """
    if status in (401, 403):
        return payload is not None or status == 401
    if status != 400 or not isinstance(payload, dict):
        return False
    result = payload.get("result")
    return "detail" in payload or (isinstance(result, dict) and "authorization" in result)


class CryptoCloudProject(Provider):
    """What both versions of the API have in common: a project's keys and its postback."""

    fields = (
        Field(key="api_key", kind=FieldKind.SECRET),
        Field(key="postback_secret", kind=FieldKind.SECRET, required=False),
        Field(key="url", kind=FieldKind.URL, default="https://api.cryptocloud.plus", advanced=True),
    )
    # In test mode a payment goes back when its notification fails ("Integration testing").
    can_revert: ClassVar[bool] = True

    def __init__(self, *args: Any) -> None:
        """Prepare the header that every request carries."""
        super().__init__(*args)
        self._headers = {"Authorization": f"Token {self._settings['api_key']}"}
        self._postback_secret: str | None = self._settings.get("postback_secret")

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        """Return the canonical ID in what a user typed or pasted, or None."""
        return parse_invoice_id(text)

    @override
    async def async_get_account(self) -> Account:
        """Prove the key."""
        await self._async_prove_key()
        return Account(unique_id=fingerprint(self._url, self._settings["api_key"]), title=self.name)

    @abstractmethod
    async def _async_prove_key(self) -> None:
        """Make a request that only the right key can make. Raises a ProviderError."""

    @property
    def accepts_push(self) -> bool:
        """Whether what is needed to believe a push is known."""
        return bool(self._postback_secret)

    def parse_push(self, headers: Mapping[str, str], body: bytes) -> Hint:
        """Return the hint in a postback ("Automatic POSTBACK"): only the token is signed."""
        fields = parse_body(headers, body)
        claims = _verified_claims(fields.get("token"), self._postback_secret)
        for name in (claims.get("id"), claims.get("uuid"), fields.get("invoice_id")):
            if isinstance(name, str) and (id_ := parse_invoice_id(name)):
                return Hint(invoice_ids=frozenset({id_}))
        raise PushRefused(Refusal.MALFORMED, "no invoice is named")


def _verified_claims(token: object, secret: str | None) -> dict[str, Any]:
    """Return what a postback's token claims. Raises PushRefused unless the secret signed it."""
    if not isinstance(token, str) or not secret:
        raise PushRefused(Refusal.SIGNATURE, "there is no token")
    # The provider's sample shows it the way Python prints bytes.
    if wrapped := _PYTHON_BYTES.fullmatch(token):
        token = wrapped.group(1) or wrapped.group(2) or ""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            leeway=_LEEWAY,
            options={"require": ["exp"], "verify_aud": False, "verify_sub": False},
        )
    except (jwt.PyJWTError, TypeError, ValueError) as err:
        raise PushRefused(Refusal.SIGNATURE, type(err).__name__) from None
    return claims


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
        self._last_rows: LastRows[Invoice] = LastRows()

    @override
    async def _async_prove_key(self) -> None:
        """Ask for the balance, the only call that needs nothing else."""
        payload = await self._request(
            "POST", "/v2/merchant/wallet/balance/all", headers=self._headers
        )
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
        payload = await self._request(
            "POST", "/v2/invoice/merchant/info", headers=self._headers, json={"uuids": ids}
        )
        return parse_rows(payload, self._last_rows)

    @override
    def _error(self, status: int, headers: Mapping[str, str], payload: object) -> ProviderError:
        """Tell a bad key from IDs the provider refuses, both of which can be a 400."""
        if is_auth_failure(status, payload):
            return AuthError(f"HTTP {status}")
        if status in (400, 422) and payload is not None:
            return InvoiceNotFound(f"HTTP {status}")
        return super()._error(status, headers, payload)


def read_success(payload: object, where: str) -> Mapping[str, Any]:
    """Return the answer to a request that succeeded, or raise what its text says.

    The pages print some answers to a bad key without their status code: a 200
    alone proves nothing.
    """
    answer = read_object(payload, where)
    if answer.get("status") != "success":
        if is_auth_failure(400, answer):
            raise AuthError(f"{where} is a refusal of the key")
        raise BadResponse(f"{where} is not a success")
    return answer


def parse_rows(
    payload: object, last_rows: LastRows[Invoice] | None = None
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
            invoice = last_rows.read(name, row, _parse_row) if last_rows else _parse_row(row)
        except BadResponse as err:
            if (id_ := parse_invoice_id(name)) is not None:
                found[id_] = err
        else:
            found[invoice.id] = invoice
    return found


def _parse_row(row: Mapping[str, Any]) -> Invoice:
    """Return the invoice of a row that names one."""
    if (id_ := parse_invoice_id(row["uuid"])) is None:
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
        payment_url=read_link(row.get("link"))
        or f"https://pay.cryptocloud.plus/{id_.removeprefix('INV-')}",
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
