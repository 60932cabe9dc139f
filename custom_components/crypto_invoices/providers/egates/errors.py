"""What E-Gates' answers say went wrong."""

import re

from ..model import AuthError, BadResponse, ClockWrong, InvoiceNotFound, ProviderError
from ..parse import read_object

# A missing timestamp is one that should have been signed.
_ABOUT_THE_TIME = re.compile(r"(?:timestamp|clock)(?!.*(?:required|missing))", re.IGNORECASE)
_ABOUT_THE_KEY = re.compile(
    r"signature|api.?key|(?:bad|invalid|wrong) key|unauthori[sz]ed|timestamp", re.IGNORECASE
)
_ABOUT_THE_INVOICE = re.compile(r"not.?found|not.?exist|no such", re.IGNORECASE)
# The first that fits says what it is about.
_ABOUT = (
    (_ABOUT_THE_TIME, ClockWrong),
    (_ABOUT_THE_KEY, AuthError),
    (_ABOUT_THE_INVOICE, InvoiceNotFound),
)


def read_refusal(status: int, payload: object) -> ProviderError | None:
    """Return what an answer with an error's status means, if it is E-Gates' own."""
    errors = str(payload.get("errors")) if isinstance(payload, dict) else ""
    if status in (400, 401, 403, 404, 422) and _ABOUT_THE_TIME.search(errors):
        return ClockWrong(f"HTTP {status}")
    if status not in (400, 404, 422):
        return None
    if not isinstance(payload, dict) or "success" not in payload:
        return BadResponse(f"HTTP {status}")
    return (AuthError if _ABOUT_THE_KEY.search(errors) else InvoiceNotFound)(f"HTTP {status}")


def check(envelope: object) -> None:
    """Raise what an envelope that came with a 200 says went wrong."""
    answer = read_object(envelope, "the answer")
    if "success" not in answer:
        raise BadResponse("the answer has no success")
    if answer["success"] is True:
        return
    errors = str(answer.get("errors"))
    for texts, error in _ABOUT:
        if texts.search(errors):
            raise error("refused by the gateway")
    raise BadResponse("the gateway answers without success")
