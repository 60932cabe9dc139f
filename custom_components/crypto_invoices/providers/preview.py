"""Providers whose answers are read the way that a user says: presets, what is wrong, a preview."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

from .model import InvoiceStatus
from .provider import Provider


class SettingFlaw(StrEnum):
    """What is wrong with a setting."""

    ANSWER_HAS_HTML = "answer_has_html"
    COMMA_UNCLEAR = "comma_unclear"
    CURRENCY_INVALID = "currency_invalid"
    FACTOR_INVALID = "factor_invalid"
    HEADER_INVALID = "header_invalid"
    ID_INVALID = "id_invalid"
    ID_NOT_FOUND = "id_not_found"
    KEY_FORM_INVALID = "key_form_invalid"
    KEY_IN_ADDRESS = "url_with_key"
    KEY_OF_OTHER_HOST = "key_of_other_host"
    NO_AMOUNT = "no_amount"
    NO_LINK = "no_link"
    NO_TIME = "no_time"
    NUMBER_INVALID = "number_invalid"
    PATH_INVALID = "path_invalid"
    PATH_TO_LIST = "path_to_list"
    PATH_TO_NOTHING = "path_to_nothing"
    PATH_TO_OBJECT = "path_to_object"
    PUSH_INCOMPLETE = "push_incomplete"
    REQUIRED = "required"
    WORD_TWICE = "word_twice"
    WRONG_HOST = "url_of_other_host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Settings that are known for an API, all but the key."""

    name: str
    settings: Mapping[str, str]
    hosts: frozenset[str] = frozenset()
    """Whom a key of this API is for; none where everybody has a server of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRow:
    """What a path leads to, and what is read there; secrets are masked."""

    path: str
    found: str | None
    value: str | InvoiceStatus | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """An answer, and what is read from it."""

    answer: str
    """JSON that is safe in Markdown: short, masked, and without what Markdown gives a meaning."""
    rows: tuple[PreviewRow, ...]
    flaws: Mapping[str, SettingFlaw] = field(default_factory=lambda: MappingProxyType({}))
    """By setting, what keeps it from being read."""
    missing: frozenset[str] = frozenset()
    """Optional settings that lead to nothing in this answer, which may be right for others."""
    there: tuple[str, ...] = ()
    """Paths that there are where others lead to nothing, or to more than a value."""


class PreviewedProvider(Provider):
    """A provider that shows what its settings make of an invoice, before they are saved."""

    presets: ClassVar[Mapping[str, Preset]] = {}
    """Settings to begin with, by a short name."""
    key_gap: ClassVar[str]
    """What stands for the key in what is sent."""

    @classmethod
    @abstractmethod
    def find_flaws(cls, settings: Mapping[str, Any]) -> Mapping[str, SettingFlaw]:
        """Return what is wrong with which settings, before anything is asked."""

    @abstractmethod
    async def async_preview(self) -> Preview:
        """Ask for the invoice that settings are tried with. Raises a ProviderError."""
