"""Pushes: hints from a provider that something may have changed, never facts."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable
from urllib.parse import parse_qsl

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
    """A provider that can be told by itself where to post."""

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


def parse_body(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return the fields of a JSON or form body; what it claims to be comes first.

    Lenient, as nothing in it is believed that isn't signed or read again. Raises PushRejected.
    """
    readers = [_read_json, _read_form]
    if "form" in headers.get("Content-Type", "").lower():
        readers.reverse()
    for reader in readers:
        if fields := reader(body):
            return fields
    raise PushRejected(RejectReason.MALFORMED, "the body is neither JSON nor a form")


def _read_json(body: bytes) -> dict[str, Any] | None:
    """Return a JSON object, or None; some servers post a text that holds the JSON."""
    try:
        fields = read_json(body.decode(errors="replace").encode())
        if isinstance(fields, str):
            fields = read_json(fields.encode(errors="replace"))
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def _read_form(body: bytes) -> dict[str, Any] | None:
    """Return a form's fields, or None; in whichever encoding, its names and IDs are ASCII."""
    text = body.decode(errors="replace").removeprefix("\ufeff")
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
