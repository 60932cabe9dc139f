"""Pushes: hints from a provider that something may have changed, never facts."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from json import detect_encoding
from typing import Any, Protocol, runtime_checkable
from urllib.parse import parse_qsl

from .model import Invoice
from .parse import read_json

# No honest push has more, nested ones written out.
_MOST_FIELDS = 1000
_LONGEST_NAME = 200


class RejectReason(StrEnum):
    """Why a push is not believed to come from the provider."""

    MALFORMED = "malformed"
    SIGNATURE = "signature"


class PushRejected(Exception):
    """A push that is no hint; the text says why, never what was in it."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        """Keep the reason, for the answer and for counting."""
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Something may have changed of these invoices, or without any, of all open ones."""

    invoice_ids: frozenset[str]
    is_verified: bool = True
    """Whether it was signed by the provider, as far as that can be told."""
    delivery_id: str | None = None
    """The same for a delivery that is made again."""
    deposit: Invoice | None = None
    """What it is about, if that is a deposit to a static wallet: then no API tells more of it."""


@runtime_checkable
class CanStream(Protocol):
    """A provider that can be listened to."""

    def async_stream(self) -> AsyncIterator[Hint]:
        """Yield hints for as long as the connection lasts, the first once it is there.

        A hint without invoices is about all that are open. Raises a
        ProviderError when the connection ends or can't be made.
        """


@runtime_checkable
class CanRegisterWebhook(Protocol):
    """A provider that accepts the address to post to."""

    @property
    def may_register_webhook(self) -> bool:
        """Whether the key may do that; otherwise it is done by hand."""

    async def async_register_webhook(
        self, url: str, replaces: str | None = None
    ) -> Mapping[str, str]:
        """See to it that the provider posts to ``url``; return settings to keep.

        ``replaces`` is the address that was registered before, by the same Home Assistant. A
        webhook with any other address isn't ours to change or to delete. Raises a ProviderError.
        Called again later, it puts back what was deleted.
        """

    async def async_remove_webhook(self, url: str) -> None:
        """Delete the webhook that posts to ``url``. Raises a ProviderError."""


@runtime_checkable
class CanPush(Protocol):
    """A provider that posts to a webhook."""

    @property
    def accepts_push(self) -> bool:
        """Whether what is needed to believe a push is known."""

    def parse_push(self, headers: Mapping[str, str], body: bytes) -> Hint:
        """Return the hint in a request. Raises PushRejected and nothing else."""


def parse_body(body: bytes) -> dict[str, Any]:
    """Return the fields of a JSON or form body, whatever its headers call it.

    Lenient, as nothing in it is believed that isn't signed or read again: names and IDs are
    ASCII, so that in another encoding than it seems only other things are lost. Raises
    PushRejected.
    """
    text = body.decode(detect_encoding(body), errors="replace").removeprefix("\ufeff").strip()
    # No form begins like this. Some servers post a text that holds the JSON.
    fields = _read_json(text) if text.startswith(("{", '"')) else _read_form(text)
    if fields is None:
        raise PushRejected(RejectReason.MALFORMED, "the body is neither JSON nor a form")
    return fields


def _read_json(text: str) -> dict[str, Any] | None:
    """Return a JSON object, also one in a text, or None."""
    try:
        fields = read_json(text.encode(errors="replace"))
        if isinstance(fields, str):
            fields = read_json(fields.encode(errors="replace"))
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def _read_form(text: str) -> dict[str, Any] | None:
    """Return a form's fields, or None where it has none or too many."""
    try:
        return dict(parse_qsl(text, errors="replace", max_num_fields=_MOST_FIELDS)) or None
    except ValueError:
        return None


def flatten(value: Any) -> dict[str, str]:
    """Return nested parameters as PHP's ``http_build_query`` names and writes them, unencoded.

    Raises PushRejected where they are more than a push can have.
    """
    flat: dict[str, str] = {}
    _flatten_into(flat, value, None)
    return flat


def _flatten_into(flat: dict[str, str], value: Any, name: str | None) -> None:
    """Add what is in a value; each level makes the names longer."""
    if len(name or "") > _LONGEST_NAME or len(flat) > _MOST_FIELDS:
        raise PushRejected(RejectReason.MALFORMED, "the body has too much in it")
    match value:
        case dict():
            items = value.items()
        case list():
            items = dict(enumerate(value)).items()
        case None:
            return
        case bool():
            flat[name or ""] = str(int(value))
            return
        case _:
            flat[name or ""] = str(value)
            return
    for key, inner in items:
        _flatten_into(flat, inner, str(key) if name is None else f"{name}[{key}]")
