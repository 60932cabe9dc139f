"""The tour through everything that a user clicks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain

from demo import DOMAIN
from demo.client import Client
from demo.sandbox import SandboxInvoice, SandboxProvider
from tests.e2e.story import Figure, Outcome, Stage
from tests.e2e.world import World, world

from . import automations, everyday, many, newcomer, phone, setting_up, upkeep
from .chromium import chromium, visitor
from .dialog import Dialog
from .encrypted import encrypted
from .eyes import Eyes
from .eyesight import try_eyes
from .frontend import Frontend
from .words import Words

ENGLISH = "en"
# One whose words are long, and whole others for those who have the time.
OTHERS, OTHERS_SHORT = ("de", "fr", "ja", "pl"), ("de",)
# What is logged of a key that is refused, of a book that is taken away while it is open, and of
# an automation for an invoice that was deleted.
EXPECTED_ERRORS = ("Error fetching", "attempt to write a readonly database", "is not a device")


async def run(stage: Stage, languages: Collection[str] = ()) -> Outcome:
    """Click through everything, and through the dialogs in other languages."""
    languages = languages or (ENGLISH, *(OTHERS_SHORT if stage.short else OTHERS))
    pictures = stage.folder / "pictures"
    pictures.mkdir()
    outcomes = []
    async with (
        world(stage, demo_invoices=True, more=phone.CONFIGURATION) as running,
        chromium() as browser,
    ):
        stage.step("Home Assistant and Chromium have started")
        await try_eyes(browser, pictures)
        async with Client.login(running.hass.url) as client:
            # Those that are made on the way are not for those who come later.
            providers = await running.sandbox.providers()
            for language in languages:
                if not Words.are_there(language):
                    stage.step(f"not seen in the language {language}: there is no translation")
                    continue
                eyes = Eyes(pictures, Words(language), Words(ENGLISH))
                async with visitor(browser, stage.folder, language, eyes.wrong) as page:
                    frontend = Frontend(page=page, url=running.hass.url, eyes=eyes)
                    left = await Tour(stage, running, client, frontend, providers).take()
                async with (
                    encrypted(running.hass.url, stage.folder) as url,
                    visitor(browser, stage.folder, language, eyes.wrong) as page,
                ):
                    frontend = Frontend(page=page, url=running.hass.url, eyes=eyes)
                    clicks = await everyday.run(frontend, url, client, running.sandbox)
                    stage.step("an account without pasted IDs, one without a pasted key, and money")
                outcomes.append(_outcome(eyes, left, clicks))
            words = Words(ENGLISH)
            eyes = Eyes(pictures, words, words)
            async with visitor(browser, stage.folder, ENGLISH, eyes.wrong) as page:
                frontend = Frontend(page=page, url=running.hass.url, eyes=eyes)
                outcomes.append(await phone.run(stage, running, client, frontend))
        complaints = [
            each
            for each in running.hass.complaints()
            if not any(expected in each for expected in EXPECTED_ERRORS)
        ]
    return Outcome(
        figures=(
            *chain.from_iterable(outcome.figures for outcome in outcomes),
            Figure("errors in the log", len(complaints), must_be=0),
        ),
        wrong=(*chain.from_iterable(outcome.wrong for outcome in outcomes), *complaints),
    )


def _outcome(eyes: Eyes, left: Sequence[str], clicks: tuple[Figure, ...]) -> Outcome:
    """Return what was seen in one language."""
    language = eyes.words.language
    return Outcome(
        figures=(
            Figure(f"{language}, pictures", eyes.pictures),
            Figure(f"{language}, texts of ours seen", len(eyes.seen)),
            Figure(f"{language}, texts that are wrong", len(eyes.wrong), must_be=0),
            Figure(f"{language}, left behind by deleted accounts", len(left), must_be=0),
            *clicks,
        ),
        wrong=(*eyes.wrong, *left),
    )


@dataclass(frozen=True, slots=True)
class Tour:
    """A way through the frontend, from the set-up of all accounts to their end."""

    stage: Stage
    running: World
    client: Client
    frontend: Frontend
    providers: Sequence[SandboxProvider]

    @property
    def _is_whole(self) -> bool:
        """Whether it goes beyond the dialogs."""
        return self.frontend.words.language == ENGLISH

    async def take(self) -> Sequence[str]:
        """Take it, and return what is left behind at its end."""
        await self.frontend.log_in()
        self.stage.step(f"logged in, in the language {self.frontend.words.language}")
        first, *others = self.providers
        if self.stage.short and not self._is_whole:
            others = []
        await self._set_up(first, await setting_up.begin(self.frontend), wrongly=True)
        await self._change_invoices(first)
        if self._is_whole:
            await self._keep_many(first)
            await self._pay(next(each for each in first.invoices if "pay" in each.actions))
        else:
            await automations.look_at_triggers(self.frontend)
        await self._keep_up(first)
        # In short, nobody waits in every language until a key is believed to be refused.
        if asks_for_key := self._is_whole or not self.stage.short:
            await upkeep.refuse_key(self.frontend, first, self.running.sandbox)
        for provider in others:
            dialog = await self.frontend.add_account()
            # What is said of wrong keys is the same for all of them.
            await self._set_up(provider, dialog, wrongly=not self.stage.short)
        if asks_for_key:
            await upkeep.reauthenticate(self.frontend, first, self.running.sandbox)
            self.stage.step("a new key is entered where Home Assistant asks for it")
        await upkeep.repair(self.frontend, self.running.hass.folder / ".storage")
        self.stage.step("the repair is read")
        for remaining in range(len(others), -1, -1):
            await upkeep.delete(self.frontend, remaining=remaining)
        if self._is_whole:
            self.frontend.eyes.wrong += await newcomer.describe(self.frontend)
            self.stage.step("a newcomer describes an API that is in no preset")
            await upkeep.delete(self.frontend, remaining=0)
            await many.end(self.running.sandbox)
        storage = self.running.hass.folder / ".storage"
        left = await upkeep.left_behind(self.client, storage)
        self.stage.step("all accounts are deleted")
        return left

    async def _set_up(self, provider: SandboxProvider, dialog: Dialog, *, wrongly: bool) -> None:
        """Add an account."""
        url = self.running.sandbox.url
        await setting_up.set_up(self.frontend, dialog, provider, url, wrongly=wrongly)
        before = "wrong keys, wrong invoices, then " if wrongly else ""
        self.stage.step(f"{provider.name}: {before}it is set up")

    async def _change_invoices(self, provider: SandboxProvider) -> None:
        """Add an invoice to the first account, and remove one."""
        order = f"Tomato seeds, {self.frontend.words.language}"
        (later,) = await self.running.sandbox.create(provider.key, order_id=order)
        await setting_up.add_later(self.frontend, later)
        self.stage.step("an invoice is added later")
        await setting_up.remove(self.frontend, later)
        self.stage.step("and removed")

    async def _keep_many(self, provider: SandboxProvider) -> None:
        """Add many invoices to the first account, and delete some."""
        await many.add(self.frontend, provider, self.running.sandbox)
        self.stage.step(f"{sum(many.NUMBERS.values())} invoices are added at once")
        await many.delete_one_on_its_page(self.frontend)
        self.stage.step("one is deleted on its page")
        await many.delete_some_in_table(self.frontend)
        self.stage.step("and some in the table of devices")

    async def _pay(self, invoice: SandboxInvoice) -> None:
        """Build automations, pay, and see both run."""
        device = str(invoice.order_id)
        mine = await automations.build(self.frontend, f"{device} is paid", device)
        self.stage.step("an automation for one invoice is built")
        every = await automations.build(self.frontend, "Any invoice is paid", None)
        self.stage.step("an automation for all invoices is built")
        await automations.pay(self.frontend, invoice, self.running.sandbox.url)
        await self._look_again()
        await automations.expect_notifications(self.frontend, invoice, 2)
        self.stage.step("paid at the sandbox, and both have told it")
        for automation in (mine, every):
            await automations.expect_trace(self.frontend, automation, invoice)
        self.stage.step("the runs are in the traces")
        await automations.look_at_device(self.frontend, device)
        self.stage.step("the device shows it")

    async def _look_again(self) -> None:
        """Let Home Assistant look at once: by itself it would within half a minute."""
        entities = await self.client.registered_entities(DOMAIN)
        statuses = [each["entity_id"] for each in entities if each["unique_id"].endswith("_status")]
        await self.client.call("homeassistant.update_entity", {"entity_id": statuses})

    async def _keep_up(self, provider: SandboxProvider) -> None:
        """Do with the first account what is done later."""
        await upkeep.reconfigure(self.frontend, provider)
        self.stage.step("reconfigured")
        await upkeep.set_options(self.frontend)
        self.stage.step("options are set")
        await upkeep.download_diagnostics(self.frontend, provider)
        self.stage.step("diagnostics are downloaded")
