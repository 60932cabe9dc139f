"""Texts: our own in Home Assistant's language, and others', short enough to show and to keep."""

import re
import unicodedata

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_cached_translations

from .const import DOMAIN

# What the recorder keeps with a state: beside a longer one, it drops all the others too.
_LONGEST_ATTRIBUTE = 255
# What turns the direction of everything around it, and what can't be seen.
_UNSEEN = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_GAPS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def one_line(text: str, longest: int) -> str:
    """Return a text as one line of at most this many characters."""
    line = _GAPS.sub(" ", _UNSEEN.sub("", text)).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def attribute_text(text: str | None) -> str | None:
    """Return a text as an attribute or a variable holds it."""
    return None if text is None else one_line(text, _LONGEST_ATTRIBUTE)


def translated(hass: HomeAssistant, path: str) -> str:
    """Return one of our texts in Home Assistant's language, in English where there is none."""
    category = path.partition(".")[0]
    found = async_get_cached_translations(hass, hass.config.language, category, DOMAIN)
    return found.get(f"component.{DOMAIN}.{path}", path)


def isolated(text: str) -> str:
    """Return a text that leaves the direction of the sentence around it as it is."""
    is_turned = any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)
    return f"\u2068{text}\u2069" if is_turned else text
