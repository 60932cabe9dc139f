"""The dialog of a flow, step by step."""

from collections.abc import Mapping
from dataclasses import dataclass
import re
from typing import Any

from playwright.async_api import Locator, expect

from .eyes import Eyes
from .pressing import press_until
from .words import Words

FLOW = "ui.panel.config.integrations.config_flow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialog:
    """What a person does in the dialog."""

    root: Locator
    eyes: Eyes

    @property
    def words(self) -> Words:
        """Return what everything is called."""
        return self.eyes.words

    async def expect(self, key: str) -> None:
        """Wait until a text of ours is shown: the first paragraph of it."""
        shown = self.root.get_by_text(self.words.paragraphs(key)[0])
        await expect(shown.first).to_be_visible()

    async def look(self, name: str) -> None:
        """Look at it."""
        await self.eyes.look(self.root, name)

    async def choose(self, key: str) -> None:
        """Choose from a menu."""
        await self.root.get_by_text(self.words(key), exact=True).click()

    async def fill_in(self, step: Mapping[str, Any], values: Mapping[str, str]) -> None:
        """Fill in the fields of a step that there are values for, those in sections too."""
        for key, label in step.get("data", {}).items():
            if key in values:
                await self.field(label).fill(values[key])
        for section in step.get("sections", {}).values():
            if any(key in values for key in section["data"]):
                await self.unfold(section)
                await self.fill_in(section, values)

    async def unfold_all(self, step: Mapping[str, Any]) -> None:
        """Unfold all sections of a step."""
        for section in step.get("sections", {}).values():
            await self.unfold(section)

    async def unfold(self, section: Mapping[str, Any]) -> None:
        """Unfold a section, unless it is."""
        button = self.root.get_by_role("button", name=section["name"], exact=True)
        if await button.get_attribute("aria-expanded") != "true":
            await button.click()

    def field(self, label: str) -> Locator:
        """Return the field with a label, which a star may follow."""
        # It ends up between slashes.
        name = re.escape(label).replace("/", r"\/")
        return self.root.get_by_role("textbox", name=re.compile(rf"^{name}\*?$"))

    async def turn(self, label: str) -> None:
        """Turn a switch on that is off, or off that is on."""
        switch = (
            self.root.locator("ha-selector-boolean").filter(has_text=label).locator("ha-switch")
        )
        await switch.click()

    async def submit(self) -> None:
        """Press the button that goes on."""
        await self.root.get_by_role("button", name=self._names("submit")).click()

    async def finish(self) -> None:
        """Press the last button of the dialog, and so leave the names of devices as they are."""
        last = self.root.get_by_role("button", name=self._names("finish_skip", "finish", "close"))
        # Devices that are still coming draw it anew.
        await press_until(last.last.click, last.last, "hidden")

    async def end(self, key: str, name: str) -> None:
        """Wait for the text that the dialog ends with, look at it, and close the dialog."""
        await self.expect(key)
        await self.look(name)
        await self.finish()

    def _names(self, *keys: str) -> re.Pattern[str]:
        """Return what matches the name of one of the frontend's own buttons."""
        names = (re.escape(self.words(f"{FLOW}.{key}")) for key in keys)
        return re.compile(rf"^({'|'.join(names)})$")
