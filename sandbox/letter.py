"""What is posted back, and what it is written from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson

from .invoice import SandboxInvoice
from .states import State


class Format(StrEnum):
    """How the body is written."""

    JSON = "json"
    FORM = "form"


class Signature(StrEnum):
    """How it is signed: rightly, or in one of the ways that have to be refused."""

    GOOD = "good"
    WRONG_SECRET = "wrong_secret"
    EXPIRED = "expired"
    NONE_ALGORITHM = "none_algorithm"
    OTHER_ALGORITHM = "other_algorithm"
    MISSING = "missing"


class Letter(NamedTuple):
    """A request's body, and the headers that go with it."""

    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a postback is written from."""

    invoice: SandboxInvoice
    format: Format
    signature: Signature
    secrets: Mapping[str, str]
    settings: Mapping[str, str]
    origin: str
    """The sandbox's own address, for links."""

    now: datetime
    """The moment of signing, which is long ago where the signature is to be expired."""

    def secret(self, name: str) -> str:
        """Return the secret to sign with, or another one where that is asked for."""
        secret = self.secrets[name]
        return f"not-{secret}" if self.signature is Signature.WRONG_SECRET else secret

    def letter(self, fields: Mapping[str, Any]) -> Letter:
        """Write the fields in the format that was asked for."""
        if self.format is Format.FORM:
            body = urlencode(fields).encode()
            return Letter(body, {"Content-Type": "application/x-www-form-urlencoded"})
        return Letter(orjson.dumps(fields), {"Content-Type": "application/json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Postback:
    """A provider's way to post back: on reaching which states, in which formats, and what."""

    sent_on: tuple[State, ...]
    formats: tuple[Format, ...]
    write: Callable[[Draft], Letter]
