"""The texts of errors and unknown words: one table from what providers raise."""

from collections.abc import Mapping
import re
from typing import NamedTuple

from .providers.capabilities import (
    NoLongerOpen,
    OutcomeUnknown,
    PermissionMissing,
    Rejected,
)
from .providers.model import (
    AnswerTooLarge,
    AuthError,
    BadResponse,
    ClockWrong,
    Forbidden,
    InvoiceNotFound,
    KeyCanSpend,
    Moved,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    ServerTooOld,
    SettingNeeded,
)
from .providers.new_invoice import Flaw, InvalidField

# What somebody typed is repeated in an error, but not all of it.
_LONGEST_QUOTE = 80
# What a provider could call a status. Anything else might be private.
_WORD = re.compile(r"[A-Za-z][A-Za-z _-]{0,39}")


class _Keys(NamedTuple):
    """The translation keys of an error; an action and a form differ only where it is said."""

    reading: str
    action: str | None = None
    form: str | None = None


_UNREADABLE = _Keys("bad_response", form="unexpected_answer")
# The first class that an error is of, from its own to the most general, counts.
_KEYS: Mapping[type, _Keys] = {
    AnswerTooLarge: _UNREADABLE._replace(form="answer_too_large"),
    AuthError: _Keys("invalid_auth"),
    BadResponse: _UNREADABLE,
    ClockWrong: _Keys("clock_wrong"),
    Forbidden: _UNREADABLE._replace(form="forbidden"),
    InvoiceNotFound: _Keys(
        "invoice_not_found", action="this_invoice_not_found", form="unexpected_answer"
    ),
    KeyCanSpend: _Keys("key_can_spend"),
    Moved: _UNREADABLE._replace(form="moved"),
    RateLimited: _Keys("rate_limited"),
    ServerTooOld: _UNREADABLE._replace(form="server_too_old"),
    SettingNeeded: _Keys("invalid_auth", action="setting_needed"),
    # What only actions and lists lead to.
    NoLongerOpen: _UNREADABLE._replace(action="no_longer_open"),
    OutcomeUnknown: _UNREADABLE._replace(action="outcome_unknown"),
    PermissionMissing: _UNREADABLE._replace(action="permission_missing"),
    Rejected: _UNREADABLE._replace(action="rejected"),
}


def _keys(err: ProviderError) -> _Keys:
    """Return what an error is called."""
    if isinstance(err, ProviderUnavailable):
        return _Keys(err.reason.value)
    return next((_KEYS[kind] for kind in type(err).__mro__ if kind in _KEYS), _UNREADABLE)


def error_key(err: ProviderError) -> str:
    """Return the translation key of a provider's error where invoices are read."""
    return _keys(err).reading


def form_error(err: ProviderError) -> tuple[str, dict[str, str]]:
    """Return the translation key of a provider's error in a form, and what fills its gaps."""
    keys = _keys(err)
    key = keys.form or keys.reading
    match err:
        case Moved(to_https=True):
            return f"{key}_to_https", {}
        case ServerTooOld():
            return key, {"version": quote(err.version), "least": err.least}
        case SettingNeeded():
            return f"{err.key}_needed", {}
    return key, {}


def action_error(err: ProviderError) -> tuple[str, dict[str, str]]:
    """Return the translation key of a provider's error to an action, and what fills its gaps."""
    keys = _keys(err)
    key = keys.action or keys.reading
    match err:
        case InvalidField():
            # Both a text and a time can be too long.
            is_time = err.field == "lifetime" and err.flaw is Flaw.TOO_LONG
            key = "lifetime_too_long" if is_time else f"field_{err.flaw}"
            return key, {"field": err.field, "limit": str(err.limit)}
        case PermissionMissing():
            return key, {"permission": err.permission}
        case Rejected():
            return key, {"reason": quote(str(err))}
        case SettingNeeded():
            return key, {"setting": err.key}
    return key, {}


def quote(text: str) -> str:
    """Return a text short enough for an error."""
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


def status_word(provider_status: str) -> str:
    """Return the provider's word for a status, unless it could be something private."""
    return provider_status if _WORD.fullmatch(provider_status) else "(not a word)"
