"""What is wrong with settings, before anything is asked."""

from collections import defaultdict
from collections.abc import Mapping
import re
from typing import Any
from urllib.parse import unquote

from yarl import URL

from ..preview import Preset, SettingFlaw
from ..provider import FieldKind
from .amounts import MINOR, read_currency, read_factor
from .fields import ACCESS, GAP, MOST_REQUESTS_PER_MINUTE, PATHS, READING, WORDS
from .keys import is_form, is_header, is_name_of_key
from .paths import Path
from .reading import split_words

# No space, nothing that leads to another place, and no mark that only an address has.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:=+@-]{0,199}")


def parse_id(text: str) -> str | None:
    """Return the ID that a user typed, or None."""
    text = text.strip()
    return text if _ID.fullmatch(text) and ".." not in text else None


def find_flaws(settings: Mapping[str, Any], preset: Preset | None) -> dict[str, SettingFlaw]:
    """Return what is wrong with which settings, the first of several where there are."""
    flaws = {
        **_reading_flaws(settings),
        **_word_flaws(settings),
        **_push_flaws(settings),
        **_key_flaws(settings),
        **_address_flaws(settings, preset),
    }
    for field in (*ACCESS, *READING):
        needs_key = field.key != "api_key" or settings.get("key_form")
        is_asked = field.required and field.kind is not FieldKind.BOOLEAN and needs_key
        if is_asked and not settings.get(field.key):
            flaws[field.key] = SettingFlaw.REQUIRED
    return flaws


def _address_flaws(settings: Mapping[str, Any], preset: Preset | None) -> dict[str, SettingFlaw]:
    """Return what is wrong with whom the key would be sent to, or where it would be seen."""
    url = settings.get("url") or ""
    try:
        address = URL(url)
    except ValueError:
        return {}
    key = settings.get("api_key")
    names_key = any(
        is_name_of_key(name) and value not in ("", GAP) for name, value in address.query.items()
    )
    if names_key or (key and key in unquote(url)):
        return {"url": SettingFlaw.KEY_IN_ADDRESS}
    if preset is not None and preset.hosts and address.host not in preset.hosts:
        return {"url": SettingFlaw.WRONG_HOST}
    return {}


def _key_flaws(settings: Mapping[str, Any]) -> dict[str, SettingFlaw]:
    """Return what is wrong with how the key is sent, and how often."""
    flaws: dict[str, SettingFlaw] = {}
    header, form = settings.get("key_header"), settings.get("key_form")
    if header and not is_header(header):
        flaws["key_header"] = SettingFlaw.HEADER_INVALID
    if form and not header:
        flaws["key_header"] = SettingFlaw.REQUIRED
    if form and not is_form(form):
        flaws["key_form"] = SettingFlaw.KEY_FORM_INVALID
    if settings.get("api_key") and not form:
        flaws["key_form"] = SettingFlaw.REQUIRED
    number = settings.get("requests_per_minute") or "1"
    if not (number.isascii() and number.isdecimal() and len(number) < 10) or not (
        1 <= int(number) <= MOST_REQUESTS_PER_MINUTE
    ):
        flaws["requests_per_minute"] = SettingFlaw.NUMBER_INVALID
    return flaws


def _push_flaws(settings: Mapping[str, Any]) -> dict[str, SettingFlaw]:
    """Return what is wrong with how pushes are checked."""
    flaws: dict[str, SettingFlaw] = {}
    path, header = settings.get("push_id_path"), settings.get("push_header")
    if path and Path.parse(path) is None:
        flaws["push_id_path"] = SettingFlaw.PATH_INVALID
    if header and not is_header(header):
        flaws["push_header"] = SettingFlaw.HEADER_INVALID
    given = [bool(settings.get(key)) for key in ("push_header", "push_secret")]
    if any(given) and not all(given):
        flaws["push_header"] = SettingFlaw.PUSH_INCOMPLETE
    return flaws


def _reading_flaws(settings: Mapping[str, Any]) -> dict[str, SettingFlaw]:
    """Return what is wrong with how an answer is read."""
    flaws: dict[str, SettingFlaw] = {}
    if (sample := settings.get("sample_id")) and parse_id(sample) is None:
        flaws["sample_id"] = SettingFlaw.ID_INVALID
    for key in PATHS:
        if (path := settings.get(key)) and Path.parse(path) is None:
            flaws[key] = SettingFlaw.PATH_INVALID
    factor = settings.get("amount_factor")
    if factor != MINOR and read_factor(factor) is None:
        flaws["amount_factor"] = SettingFlaw.FACTOR_INVALID
    if factor == MINOR and not (settings.get("currency_path") or settings.get("currency")):
        flaws["currency"] = SettingFlaw.REQUIRED
    if (currency := settings.get("currency")) and read_currency(currency) is None:
        flaws["currency"] = SettingFlaw.CURRENCY_INVALID
    return flaws


def _word_flaws(settings: Mapping[str, Any]) -> dict[str, SettingFlaw]:
    """Return which lists have a word that another has too."""
    flaws: dict[str, SettingFlaw] = {}
    lists: defaultdict[str, set[str]] = defaultdict(set)
    for key in WORDS:
        for word in split_words(settings.get(key)):
            lists[word].add(key)
    for keys in lists.values():
        if len(keys) > 1:
            flaws |= dict.fromkeys(keys, SettingFlaw.WORD_TWICE)
    return flaws
