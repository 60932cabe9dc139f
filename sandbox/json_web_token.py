"""Tokens, signed as they should be, and as nobody should accept them."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256, sha512
import hmac
from typing import Any

import orjson

_DIGESTS = {"HS256": sha256, "HS512": sha512}


def encode(payload: Mapping[str, Any], secret: str, algorithm: str = "HS256") -> str:
    """Return the payload as a token; with the algorithm "none" its signature is empty."""
    header = {"alg": algorithm, "typ": "JWT"}
    text = b".".join(_base64(orjson.dumps(part)) for part in (header, payload))
    digest = _DIGESTS.get(algorithm)
    signature = hmac.new(secret.encode(), text, digest).digest() if digest else b""
    return (text + b"." + _base64(signature)).decode()


def _base64(data: bytes) -> bytes:
    """Return the data in the letters a token is made of."""
    return urlsafe_b64encode(data).rstrip(b"=")
