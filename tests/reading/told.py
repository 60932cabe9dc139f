"""A provider that answers when a test tells it to: late, never, in another order, with old news."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, override

from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.crypto_invoices.book.loading import looked_up
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.providers.model import Invoice, ProviderError
from tests.made_up import TakesAnything

from .world import invoice


@dataclass(eq=False)
class Question:
    """A request that is not answered yet, and what was so when it was made."""

    then: Mapping[str, Invoice | ProviderError]
    answered: asyncio.Future[Mapping[str, Invoice | ProviderError]]

    def answer(self, rows: Mapping[str, Invoice | ProviderError] | None = None) -> None:
        """Answer with what was so then, or with these."""
        if not self.answered.done():
            self.answered.set_result({**self.then, **(rows or {})})


class Told(TakesAnything):
    """Answers immediately, unless it is told to wait."""

    batch_size: int = 100
    can_revert: ClassVar[bool] = True
    truth: ClassVar[dict[str, Invoice | ProviderError]]
    down: ClassVar[ProviderError | None]
    waits: ClassVar[bool]
    questions: ClassVar[list[Question]]
    asked: ClassVar[int]

    @classmethod
    def begin(cls) -> None:
        """Forget the test before."""
        cls.truth, cls.questions, cls.down, cls.waits, cls.asked = {}, [], None, False, 0

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        cls = type(self)
        cls.asked += 1
        if self.down is not None:
            raise self.down
        then = {id_: self.truth[id_] for id_ in ids}
        if not self.waits:
            return then
        question = Question(then, asyncio.get_running_loop().create_future())
        self.questions.append(question)
        return await question.answered


async def async_add_told(hass: HomeAssistant, *ids: str) -> MockConfigEntry:
    """Set up an account at the made-up provider, as its dialog does."""
    Told.truth.update({id_: invoice(id_) for id_ in ids})
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Shop",
        data={
            "provider": Told.key,
            "url": "http://made.up",
            "webhook_id": "hook",
            "invoices": [looked_up(invoice(id_)) for id_ in ids],
        },
    )
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return entry
