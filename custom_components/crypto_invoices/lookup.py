"""From IDs that somebody typed or pasted to invoices that exist."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
import re

from .providers import PROVIDERS
from .providers.model import BadResponse, Invoice, InvoiceNotFound, ProviderError
from .providers.provider import Provider

_UNREADABLE = ""
# An error names this many IDs, and no more.
_MOST_NAMED = 20
# No ID has any of these, nor has a link to an invoice.
_SEPARATORS = re.compile(
    r"[\s,;|()\[\]{}<>\"'`\u00b4\u2018-\u201f\u00ab\u00bb\u2039\u203a*\u2022]+"
)
# What stands around a word in a text or a list.
_AROUND = ".:!?#=~_-\u2013\u2014\u2026"
# "ID:" or "1." right before an ID.
_LABEL = re.compile(r"[^\W_]{1,20}[:=.)]+(?=\S)")
_PROSE = re.compile(r"[^\W\d_]?[^\W\d_A-Z]{1,30}|.{1,2}")
# Too long for a word, a number or a date.
_LOOKS_LIKE_AN_ID = re.compile(r"(?=\D*\d)[\w-]{16,}")


class NotAccepted(StrEnum):
    """Why an ID was not accepted."""

    MALFORMED = "malformed"
    TRACKED = "tracked"
    NOT_FOUND = "not_found"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class FoundInvoices:
    """What was found under IDs, in the order typed, and why the others were not accepted."""

    invoices: tuple[Invoice, ...]
    not_accepted: Mapping[str, NotAccepted]
    tracked: tuple[str, ...] = ()
    """The canonical IDs of those that are tracked already; they are among the others."""
    has_withdrawals: bool = False
    """Whether what was not found may be a withdrawal."""

    def errors(self) -> list[tuple[str, dict[str, str]]]:
        """Return the translation key of each reason that there is, and which IDs it is about."""
        errors = []
        for reason in NotAccepted:
            words = [word for word, why in self.not_accepted.items() if why is reason]
            if not words:
                continue
            is_doubtful = reason is NotAccepted.NOT_FOUND and self.has_withdrawals
            key = f"ids_{reason}_or_withdrawal" if is_doubtful else f"ids_{reason}"
            named = [*words[:_MOST_NAMED], *(["…"] if len(words) > _MOST_NAMED else [])]
            errors.append((key, {reason.value: ", ".join(named)}))
        return errors


def split_ids(typed: str) -> list[str]:
    """Return the words of what a user typed or pasted, without what stands around them."""
    words = (word.strip(_AROUND) for word in _SEPARATORS.split(typed))
    return [word for word in words if word]


@dataclass(slots=True)
class IdsInText:
    """The words of a text that are IDs, with what each stands for, and that were meant as one.

    Where nobody could say what one stands for, that is nothing, ``_UNREADABLE``.
    """

    ids: dict[str, str]
    malformed: list[str]


async def async_find_ids(provider: Provider, text: str) -> IdsInText:
    """Find the IDs in any text. Raises a ProviderError.

    Beside an ID in the same line, only what looks like a mistyped one is an error; so it is in
    a text with IDs, where other lines are prose. Without any, every word is.
    """
    found = IdsInText({}, [])
    doubtful: dict[str, str | None] = {}
    for line in text.splitlines():
        words = {word: await _async_read(provider, word) for word in split_ids(line)}
        shaped = {word for word in words if provider.id_shape.search(word)}
        ids = {word: id_ for word, id_ in words.items() if id_ is not None}
        # Where some are beyond doubt, a word or a date isn't one that could be.
        certain = {word: id_ for word, id_ in ids.items() if word in shaped} or {
            word: id_ for word, id_ in ids.items() if not _PROSE.fullmatch(word)
        }
        found.ids.update(certain)
        if certain:
            found.malformed += [word for word in words if word in shaped and word not in ids]
        else:
            doubtful.update(words)
    if found.ids:
        found.malformed += [word for word in doubtful if _looks_like_an_id(word)]
    else:
        found.ids = {word: id_ for word, id_ in doubtful.items() if id_ is not None}
        found.malformed += [word for word, id_ in doubtful.items() if id_ is None]
    return found


def _looks_like_an_id(word: str) -> bool:
    """Whether a word may have been meant as an ID, of whichever provider."""
    shapes = (provider.id_shape for provider in PROVIDERS.values())
    return bool(_LOOKS_LIKE_AN_ID.fullmatch(word)) or any(shape.search(word) for shape in shapes)


async def _async_read(provider: Provider, word: str) -> str | None:
    """Return the ID in a word, also behind a label. Raises a ProviderError."""
    try:
        id_ = await provider.async_resolve_id(word)
        if id_ is None and (label := _LABEL.match(word)):
            id_ = await provider.async_resolve_id(word[label.end() :])
    except BadResponse:
        return _UNREADABLE
    return id_


async def async_look_up_text(
    provider: Provider, text: str, tracked: Container[str]
) -> FoundInvoices:
    """Look up the IDs in a text, except those that are tracked. Raises a ProviderError."""
    words = await async_find_ids(provider, text)
    return await _async_look_up(provider, words, tracked)


async def async_look_up(
    provider: Provider, words: Iterable[str], tracked: Container[str]
) -> FoundInvoices:
    """Look IDs up, each of which is meant as one, except those that are tracked.

    Raises a ProviderError.
    """
    read = {word: await _async_read(provider, word) for word in words}
    ids = {word: id_ for word, id_ in read.items() if id_ is not None}
    return await _async_look_up(provider, IdsInText(ids, [*(read.keys() - ids.keys())]), tracked)


async def _async_look_up(
    provider: Provider, words: IdsInText, tracked: Container[str]
) -> FoundInvoices:
    """Ask the provider for what is not tracked yet. Raises a ProviderError."""
    not_accepted = dict.fromkeys(words.malformed, NotAccepted.MALFORMED)
    typed: dict[str, str] = {}
    known: dict[str, None] = {}
    for word, id_ in words.ids.items():
        if id_ == _UNREADABLE:
            not_accepted[word] = NotAccepted.UNREADABLE
        elif id_ in tracked:
            not_accepted[word] = NotAccepted.TRACKED
            known[id_] = None
        else:
            typed.setdefault(id_, word)
    try:
        found = await provider.async_get_invoices(typed)
        invoices = _sort_out(((typed[id_], found[id_]) for id_ in typed), not_accepted)
    except BadResponse:
        invoices = ()
        not_accepted.update(dict.fromkeys(typed.values(), NotAccepted.UNREADABLE))
    return FoundInvoices(invoices, not_accepted, tuple(known), provider.has_withdrawals)


def _sort_out(
    found: Iterable[tuple[str, Invoice | ProviderError]], not_accepted: dict[str, NotAccepted]
) -> tuple[Invoice, ...]:
    """Return the invoices and add the others to ``not_accepted``; raise what concerns all of them."""
    invoices = []
    for word, entry in found:
        match entry:
            case Invoice():
                invoices.append(entry)
            case InvoiceNotFound():
                not_accepted[word] = NotAccepted.NOT_FOUND
            case BadResponse():
                not_accepted[word] = NotAccepted.UNREADABLE
            case ProviderError():
                raise entry
    return tuple(invoices)
