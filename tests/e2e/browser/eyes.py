"""Look at what is on the screen: take a picture, and read every text of it."""

from dataclasses import dataclass, field
from pathlib import Path
import re
from typing import Any

from playwright.async_api import Locator, Page, ViewportSize

from .words import Words

READ = Path(__file__).with_name("texts.js").read_text()
DESKTOP = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=390, height=844)
# Keys where texts should be, and placeholders that nothing was put in for.
_RAW = re.compile(r"component\.|ui\.panel|\b[a-z]+_[a-z_]+\b|\{\w+\}")

# What a user types where an ID or a key goes.
_GAPS = ("{id}", "{key}")
# What also matches the model of a device or the name of an account, which are in no language.
_AMBIGUOUS = frozenset({"common.invoice", "config.step.cryptocloud_v1.title"})


@dataclass(slots=True)
class Eyes:
    """What has been seen so far of the texts of one language, and what is wrong with it."""

    folder: Path
    words: Words
    english: Words
    seen: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    pictures: int = 0

    async def look(self, scope: Locator, name: str, *, fits: bool = True) -> None:
        """Look at a part of the page as on a desktop by day, then as on a phone by night.

        Unless it ``fits``, the frontend shortens long texts there, and may.
        """
        page = scope.page
        await self._look_once(scope, f"{name}-desktop", fits=fits)
        await page.set_viewport_size(PHONE)
        await page.emulate_media(color_scheme="dark")
        await self._look_once(scope, f"{name}-phone", fits=fits)
        await page.emulate_media(color_scheme="light")
        await page.set_viewport_size(DESKTOP)

    async def _look_once(self, scope: Locator, name: str, *, fits: bool) -> None:
        """Read every text as the screen is now, and take a picture."""
        texts: list[dict[str, Any]] = await scope.evaluate(READ)
        await self.picture(scope.page, name)
        for found in texts:
            where = f"{name}: {found['text']!r}"
            self._read(found, where)
            if fits and found["cut"]:
                self.wrong.append(f"{where} is cut off by {found['cut']}")
            if fits and found["over"]:
                self.wrong.append(f"{where} lies over {found['over']!r}")
        self._remember([found["text"] for found in texts])

    async def picture(self, page: Page, name: str) -> Path:
        """Take a picture of the whole screen."""
        self.pictures += 1
        file = self.folder / f"{self.pictures:02}-{name}-{self.words.language}.png"
        await page.screenshot(path=file, animations="disabled")
        return file

    def _read(self, found: dict[str, Any], where: str) -> None:
        """Say what is wrong with a text."""
        text = found["text"]
        for code in (*found["code"], *_GAPS):
            text = text.replace(code, "")
        if raw := _RAW.search(text):
            self.wrong.append(f"{where} shows a raw {raw[0]}")
        if self._is_english(text):
            self.wrong.append(f"{where} is not in the language {self.words.language}")

    def _is_english(self, text: str) -> bool:
        """Whether a text of ours is shown in English though there is another in this language."""
        if self.words.language == self.english.language:
            return False
        return any(
            paragraph.fullmatch(text)
            for key, english in self.english.ours.items()
            if key not in _AMBIGUOUS and self.words.ours.get(key, "") != english
            for paragraph in self.english.paragraphs(key)
        )

    def _remember(self, texts: list[str]) -> None:
        """Keep which of our texts were seen."""
        for key in self.words.ours.keys() - self.seen:
            paragraphs = self.words.paragraphs(key)
            if paragraphs and all(any(map(each.fullmatch, texts)) for each in paragraphs):
                self.seen.add(key)
