"""Which pushes are believed to come from the API, and which invoice each is about."""

from base64 import b64encode
from collections.abc import Mapping
import hmac
import re
from typing import Any

from ..push import Hint, PushRejected, RejectReason, parse_body
from .checks import parse_id
from .fields import HMACS, PLAIN
from .paths import Missing, Path
from .reading import read_status_word

# What stands before a signature, as in ``sha256=…``.
_PREFIX = re.compile(r"(?:hmac-?)?sha-?(?:1|256|512)[=: ]", re.IGNORECASE)


class Pushes:
    """How the settings of an account say that a push is checked and read."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        """Keep what can be used of them."""
        self._header: str | None = settings.get("push_header")
        self._secret: str | None = settings.get("push_secret")
        self._check: str = settings.get("push_check") or PLAIN
        self._path = Path.parse(settings.get("push_id_path") or "")

    def parse(self, headers: Mapping[str, str], body: bytes) -> Hint:
        """Return the hint in a request, about all open invoices where it names none.

        Raises PushRejected.
        """
        is_signed = self._verify(headers, body)
        if self._path is None:
            return Hint(invoice_ids=frozenset(), is_verified=is_signed)
        try:
            named = read_status_word(self._path.find(parse_body(body)))
        except Missing, ValueError:
            named = ""
        except Exception as err:
            raise PushRejected(RejectReason.MALFORMED, "no invoice is named") from err
        if (id_ := parse_id(named)) is None:
            raise PushRejected(RejectReason.MALFORMED, "no invoice is named")
        return Hint(invoice_ids=frozenset({id_}), is_verified=is_signed)

    def _verify(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Check the secret, and return whether there is one. Raises PushRejected."""
        if not self._header or not self._secret:
            return False
        given = next(
            (text for name, text in headers.items() if name.lower() == self._header.lower()), ""
        ).strip()
        if self._check in HMACS:
            digest = hmac.digest(
                self._secret.encode(), body, self._check.removeprefix("hmac-").replace("-", "")
            )
            given = _PREFIX.sub("", given, count=1)
            expected = (digest.hex(), b64encode(digest).decode())
            is_hex = len(given) == len(expected[0])
            is_right = (
                _is_same(given.lower(), expected[0]) if is_hex else _is_same(given, expected[1])
            )
        else:
            is_right = _is_same(given.removeprefix("Bearer "), self._secret.removeprefix("Bearer "))
        if not is_right:
            raise PushRejected(RejectReason.SIGNATURE, "the secret or signature is not ours")
        return True


def _is_same(given: str, expected: str) -> bool:
    """Compare without saying, by the time it takes, how much is right."""
    return hmac.compare_digest(
        given.encode(errors="surrogatepass"), expected.encode(errors="surrogatepass")
    )
