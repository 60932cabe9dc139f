"""What the frontend and the integration are called on the screen, in one language."""

from collections.abc import Iterator, Mapping
import json
from pathlib import Path
import re
from typing import Any

import hass_frontend

from demo import CHECKOUT, DOMAIN, DemoError

OURS = CHECKOUT / "custom_components" / DOMAIN / "translations"
_PLACEHOLDER = re.compile(r"\\\{\w+\\\}")
# Outside of placeholders.
_LETTER = re.compile(r"[^\W\d_](?![^{]*\})")
_MARKUP = re.compile(r"\*\*|`|^#+ ")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


class Words:
    """The texts of one language, the frontend's and the integration's, by their keys."""

    def __init__(self, language: str) -> None:
        """Read the frontend's texts and the integration's."""
        self.language = language
        self.tree: dict[str, Any] = json.loads((OURS / f"{language}.json").read_text())
        self.ours = dict(_flat(self.tree))
        self._paragraphs: dict[str, list[re.Pattern[str]]] = {}
        self._all = self.ours | dict(_frontend_texts(language))

    @staticmethod
    def are_there(language: str) -> bool:
        """Whether the integration speaks a language."""
        return (OURS / f"{language}.json").exists()

    def __call__(self, key: str) -> str:
        """Return a text."""
        if key not in self._all:
            raise DemoError(f"there is no text {key} in the language {self.language}")
        return self._all[key]

    def paragraphs(self, key: str) -> list[re.Pattern[str]]:
        """Return what matches the paragraphs of a text as they are shown.

        What consists of a placeholder alone would match anything, and is left out.
        """
        if key not in self._paragraphs:
            parts = self(key).split("\n\n")
            self._paragraphs[key] = [_as_shown(part) for part in parts if _LETTER.search(part)]
        return self._paragraphs[key]


def _as_shown(text: str) -> re.Pattern[str]:
    """Return what matches a text without its markup, with anything for its placeholders."""
    return re.compile(_PLACEHOLDER.sub(".+?", re.escape(_MARKUP.sub("", _LINK.sub(r"\1", text)))))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, str):
            yield prefix + name, value
        else:
            yield from _flat(value, f"{prefix}{name}.")


def _frontend_texts(language: str) -> Iterator[tuple[str, str]]:
    """Read the files of the frontend's own texts that the settings' pages use."""
    folder: Path = hass_frontend.where() / "static/translations"
    for part in (".", "config", "page-authorize"):
        # The name goes on with a hash: no other language begins the same way.
        for file in (folder / part).glob(f"{language}-{'[0-9a-f]' * 32}.json"):
            yield from json.loads(file.read_text()).items()
