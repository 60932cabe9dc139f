"""How requests to E-Gates are signed."""

from collections.abc import Callable, Iterable, Mapping
import hashlib
import hmac
from typing import Any

from ..push import flatten

# Which parameters a GET signs is documented nowhere: tried in this order, and
# the one that works is kept.
SIGNINGS: Mapping[str, Callable[[str, str], dict[str, str]]] = {
    "empty": lambda id_, now: {},
    "invoice_id": lambda id_, now: {"invoiceId": id_},
    "invoice_id_timestamp": lambda id_, now: {"invoiceId": id_, "timestamp": now},
    "timestamp": lambda id_, now: {"timestamp": now},
}


def sign(secret: str, parameters: Mapping[str, str]) -> str:
    """Return the lower-case hex HMAC-SHA256 of the sorted, unencoded query string."""
    return _hmac(secret, sorted(parameters.items())).decode()


def _hmac(secret: str, parameters: Iterable[tuple[str, str]]) -> bytes:
    """Return the signature of parameters in the order given."""
    message = "&".join(f"{key}={value}" for key, value in parameters)
    key = secret.encode(errors="surrogatepass")
    digest = hmac.new(key, message.encode(errors="surrogatepass"), hashlib.sha256)
    return digest.hexdigest().encode()


def is_signed(secret: str, fields: Mapping[str, Any], signature: str) -> bool:
    """Whether a secret signed a callback's fields, in any of the readings of the documentation."""
    body, invoice = flatten(fields), fields.get("invoice")
    messages = [sorted(body.items()), body.items()]
    if isinstance(invoice, dict):
        messages.append(sorted(flatten(invoice).items()))
    sent = signature.encode(errors="replace")
    return any(hmac.compare_digest(_hmac(secret, message), sent) for message in messages)
