"""An API of which a user says how to read it. One request per invoice."""

from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
import json
import re
from typing import Any, ClassVar, override
from urllib.parse import quote, urlsplit

from ..cache import LastRead
from ..http import Response, decode
from ..model import (
    Account,
    AnswerTooLarge,
    AuthError,
    Forbidden,
    Invoice,
    InvoiceNotFound,
    ProviderError,
)
from ..preview import Preset, Preview, PreviewedProvider, SettingFlaw
from ..provider import Field, FieldKind, fingerprint
from ..push import Hint
from .checks import find_flaws, parse_id
from .fields import ACCESS, DEFAULT_REQUESTS_PER_MINUTE, GAP, READING
from .keys import KEY, key_headers
from .presets import PRESETS
from .preview import make_preview
from .pushes import Pushes
from .reading import Reading

# One invoice is never that large; decoding more would hold everybody up.
MOST_BYTES = 512 * 1024
_HTML = "html"
_ORIGIN = re.compile(r"(https?://[^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class AnotherApi(PreviewedProvider):
    """An account at any API, read by paths and words."""

    key = "another_api"
    name = "Another API"
    fields: ClassVar[tuple[Field, ...]] = (*ACCESS, *READING)
    presets: ClassVar[Mapping[str, Preset]] = PRESETS
    address_gap: ClassVar[str] = GAP
    key_gap: ClassVar[str] = KEY
    # Nobody knows of whom a refund is returned as another word.
    can_revert: ClassVar[bool] = True

    def __init__(self, session: Any, settings: Mapping[str, Any], *args: Any) -> None:
        """Take the address apart: requests go to its origin, and nowhere else."""
        address = _ORIGIN.fullmatch(settings["url"])
        origin, self._path = (address[1], address[2]) if address else (settings["url"], "")
        super().__init__(session, {**settings, "url": origin}, *args)
        self._address: str = settings["url"]
        number = str(settings.get("requests_per_minute") or DEFAULT_REQUESTS_PER_MINUTE)
        self.budget.per_minute = max(1, int(number)) if number.isdecimal() else 1
        self._headers = key_headers(settings)
        self._reading = Reading(settings)
        self._pushes = Pushes(settings)
        self._last: LastRead[Invoice] = self._remembers(LastRead())

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        """Return the ID in what a user typed, or None."""
        return parse_id(text)

    @override
    async def async_resolve_id(self, text: str) -> str | None:
        """Return the ID in what a user typed, which may be the address of an invoice."""
        before, gap, after = self._address.partition(GAP)
        text = text.strip()
        if gap and text.startswith(before) and text.endswith(after):
            text = text[len(before) : len(text) - len(after)]
        return parse_id(text)

    @classmethod
    @override
    def find_flaws(cls, settings: Mapping[str, Any]) -> Mapping[str, SettingFlaw]:
        """Return what is wrong with settings."""
        return find_flaws(settings, PRESETS.get(settings.get("preset", "")))

    @property
    @override
    def reported_fields(self) -> frozenset[str]:
        """The fields of an invoice that this account can ever return."""
        return self._reading.tells

    @property
    @override
    def diagnostics(self) -> Mapping[str, str | int | bool]:
        """What may be shared of how this account is read."""
        return {
            "preset": self._settings.get("preset", "none"),
            "words": len(self._reading.words),
            "checks_pushes": bool(self._settings.get("push_secret")),
        }

    @override
    async def async_get_account(self) -> Account:
        """Prove the key with the invoice that the settings were tried with.

        That one may be gone: then the answer was about it, and not about the key.
        """
        with suppress(InvoiceNotFound):
            decode(await self._async_ask(self._settings["sample_id"]), self._error, read_exactly)
        preset = PRESETS.get(self._settings.get("preset", ""))
        return Account(
            unique_id=fingerprint(self._address, self._settings.get("api_key") or ""),
            title=preset.name if preset else urlsplit(self._address).hostname or self.name,
        )

    @override
    async def async_preview(self) -> Preview:
        """Ask for the invoice that the settings are tried with. Raises a ProviderError."""
        response = await self._async_ask(self._settings["sample_id"])
        payload = decode(response, self._error, read_exactly)
        secrets = [self._settings.get(f.key) for f in self.fields if f.kind is FieldKind.SECRET]
        return make_preview(self._reading, payload, [secret or "" for secret in secrets])

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Read one invoice; the same answer again isn't decoded."""
        [id_] = ids
        response = await self._async_ask(id_)
        try:
            invoice = self._last.read(
                id_,
                (response.status, response.content_type, response.content),
                lambda: self._reading.read(id_, decode(response, self._error, read_exactly)),
            )
        except InvoiceNotFound:
            return {}
        return {id_: invoice}

    async def _async_ask(self, id_: str) -> Response:
        """Ask for one invoice."""
        if parse_id(id_) is None:
            raise InvoiceNotFound("not an ID")
        path = self._path.replace(GAP, quote(id_, safe=""))
        return await self.http.async_send("GET", path, headers=self._headers)

    @override
    def _error(self, status: int, headers: Mapping[str, str], payload: object) -> ProviderError:
        """Know an invoice that is not there, and that no key was refused where none was sent."""
        if status in (404, 410) and _HTML not in headers.get("Content-Type", "").lower():
            return InvoiceNotFound(f"HTTP {status}")
        error = super()._error(status, headers, payload)
        is_refusal = isinstance(error, AuthError) and not self._settings.get("key_form")
        return Forbidden(str(error)) if is_refusal else error

    @property
    def accepts_push(self) -> bool:
        """Whether what is needed to believe a push is known: what it says is read again anyway."""
        return True

    def parse_push(self, headers: Mapping[str, str], body: bytes) -> Hint:
        """Return the hint in a request. Raises PushRejected and nothing else."""
        return self._pushes.parse(headers, body)


def read_exactly(content: bytes) -> Any:
    """Return the JSON in a body with its numbers as they are written.

    Raises ValueError, and AnswerTooLarge for more than an invoice can be.
    """
    if len(content) > MOST_BYTES:
        raise AnswerTooLarge("the answer is too large")
    try:
        return json.loads(content.removeprefix(_BYTE_ORDER_MARK), parse_float=_read_float)
    except RecursionError as err:
        raise ValueError("nested too deep") from err


def _read_float(text: str) -> Decimal | float:
    """Return a number with all its digits, unless it is too long to be an amount."""
    return Decimal(text) if len(text) <= 120 else float(text)
