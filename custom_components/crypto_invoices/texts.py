"""Texts that somebody else wrote, made short enough to show and to keep."""

import re

# What the recorder keeps with a state: beside a longer one, it drops all the others too.
_LONGEST_ATTRIBUTE = 255
_GAPS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def one_line(text: str, longest: int) -> str:
    """Return a text as one line of at most this many characters."""
    line = _GAPS.sub(" ", text).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def attribute_text(text: str | None) -> str | None:
    """Return a text as an attribute or a variable holds it."""
    return None if text is None else one_line(text, _LONGEST_ATTRIBUTE)
