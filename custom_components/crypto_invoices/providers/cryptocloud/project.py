"""What both versions of CryptoCloud's API have in common.

Facts: the provider's documentation at docs.cryptocloud.plus.
"""

from abc import abstractmethod
from collections.abc import Mapping
import re
from typing import Any, ClassVar, override

import jwt

from ..model import (
    Account,
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    ProviderError,
    SettingNeeded,
)
from ..new_invoice import NewInvoice
from ..parse import read_object
from ..provider import Field, FieldKind, Provider, fingerprint
from ..push import Hint, PushRejected, RejectReason, parse_body

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


def payment_page(id_: str) -> str:
    """Return where an invoice is paid."""
    return f"https://pay.cryptocloud.plus/{id_.removeprefix('INV-')}"


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
        Field(key="shop_id", kind=FieldKind.TEXT, required=False),
        Field(key="url", kind=FieldKind.URL, default="https://api.cryptocloud.plus", advanced=True),
    )
    pages: ClassVar[frozenset[str]] = frozenset({"v1", "v2"})
    id_shape: ClassVar[re.Pattern[str]] = re.compile(
        r"^INV-(?:\w{4,}|\w*\d)|^INV(?=[A-Z]*\d)[0-9A-Z]{4,}$|cryptocloud[^/]*/.", re.IGNORECASE
    )
    id_example: ClassVar[str] = "INV-AB12CD34"
    # Theirs begin with INV- as well.
    has_withdrawals: ClassVar[bool] = True
    # In test mode a payment goes back when its notification fails ("Integration testing").
    can_revert: ClassVar[bool] = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Prepare the header that every request carries."""
        super().__init__(*args, **kwargs)
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
        return Account(
            unique_id=fingerprint(self.http.url, self._settings["api_key"]), title=self.name
        )

    @abstractmethod
    async def _async_prove_key(self) -> None:
        """Make a request that only the right key can make. Raises a ProviderError."""

    @override
    def _error(self, status: int, headers: Mapping[str, str], payload: object) -> ProviderError:
        """Distinguish a bad key from what the provider refuses, both of which can be a 400."""
        if is_auth_failure(status, payload):
            return AuthError(f"HTTP {status}")
        if status in (400, 422) and payload is not None:
            return InvoiceNotFound(f"HTTP {status}")
        return super()._error(status, headers, payload)

    def _asked_for(self, new: NewInvoice) -> dict[str, str]:
        """Return what both versions are asked for an invoice with. Raises SettingNeeded."""
        if not (shop_id := self._settings.get("shop_id")):
            raise SettingNeeded("shop_id")
        asked = {"shop_id": shop_id, "amount": f"{new.amount:f}", "currency": new.currency}
        return asked if new.order_id is None else {**asked, "order_id": new.order_id}

    def _read_result(self, payload: object) -> Any:
        """Return the answer to what had to be done, or raise why it was not.

        Which status code comes with an error stands nowhere.
        """
        if isinstance(payload, dict) and payload.get("status") == "error":
            raise self._refusal(400, {}, payload)
        return read_success(payload, "the answer")

    @property
    def accepts_push(self) -> bool:
        """Whether what is needed to believe a push is known."""
        return bool(self._postback_secret)

    def parse_push(self, headers: Mapping[str, str], body: bytes) -> Hint:
        """Return the hint in a postback ("Automatic POSTBACK"): only the token is signed."""
        fields = parse_body(body)
        claims = _verified_claims(fields.get("token"), self._postback_secret)
        # Which of them means the invoice differs: each is looked up before it is believed.
        names = (claims.get("id"), claims.get("uuid"), fields.get("invoice_id"))
        parsed = (parse_invoice_id(name) for name in names if isinstance(name, str))
        if not (ids := [id_ for id_ in parsed if id_ is not None]):
            raise PushRejected(RejectReason.MALFORMED, "no invoice is named")
        # Where they differ, a deposit is known again by the one that is signed.
        deposit = self._read_deposit(ids[0], fields)
        return Hint(invoice_ids=frozenset(ids), deposit=deposit)

    def _read_deposit(self, id_: str, fields: Mapping[str, Any]) -> Invoice | None:
        """Return what a signed postback says if it is about a deposit to a static wallet."""
        return None


def _verified_claims(token: object, secret: str | None) -> dict[str, Any]:
    """Return what a postback's token claims. Raises PushRejected unless the secret signed it."""
    if not isinstance(token, str) or not secret:
        raise PushRejected(RejectReason.SIGNATURE, "there is no token")
    token = token.strip()
    # The provider's sample shows it the way Python prints bytes.
    if wrapped := _PYTHON_BYTES.fullmatch(token):
        token = wrapped.group(1) or wrapped.group(2) or ""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            leeway=_LEEWAY,
            # Of other claims, only what is in them is used, and read again.
            options={
                "require": ["exp"],
                "verify_aud": False,
                "verify_iss": False,
                "verify_jti": False,
                "verify_sub": False,
            },
        )
    except (jwt.PyJWTError, TypeError, ValueError) as err:
        raise PushRejected(RejectReason.SIGNATURE, type(err).__name__) from None
    return claims


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
