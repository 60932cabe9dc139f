"""How the key is sent: a header, never the address."""

from base64 import b64encode
from collections.abc import Mapping
import re

KEY = "{key}"
BASIC = "Basic "

_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]{0,79}")
# What says how a request is sent, and to whom.
_NOT_OURS = frozenset(
    {
        *("accept-encoding", "connection", "content-encoding", "content-length", "content-type"),
        *("expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
# What a name ends with, however its words are put together, and what only a whole word means.
_NAMES_OF_KEYS = re.compile(
    r".*(?:api[_-]?key|mnemonic|passw(?:or)?d|preimage|private[_-]?key|pwd|secret|signature|token)"
    r"|(?:.*[_-])?(?:auth|key|seed|sig)",
    re.IGNORECASE,
)


def is_header(name: str) -> bool:
    """Whether a header's name can be used for a key."""
    return bool(_HEADER.fullmatch(name)) and name.lower() not in _NOT_OURS


def is_form(form: str) -> bool:
    """Whether a header's value can be made of it."""
    return KEY in form and form.isascii() and form.isprintable()


def is_name_of_key(name: str) -> bool:
    """Whether what has this name is likely to be a secret."""
    return bool(_NAMES_OF_KEYS.fullmatch(name))


def key_headers(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a request; without a form, the API asks for no key."""
    headers = {"Accept": "application/json"}
    form, key = settings.get("key_form"), settings.get("api_key")
    if form and key:
        value = form.replace(KEY, key)
        if value.startswith(BASIC) and ":" in value:
            # Name and password, which base64 has no colon for.
            value = BASIC + b64encode(value.removeprefix(BASIC).encode()).decode()
        headers[settings.get("key_header") or "Authorization"] = value
    return headers
