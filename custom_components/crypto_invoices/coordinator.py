"""The face of an account's reader to Home Assistant."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable
from contextlib import suppress
import logging
from random import Random
from typing import Any, override

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed

from .book.book import Book
from .const import DOMAIN
from .delivery.account import AccountAnnouncer
from .devices import InvoiceDevices
from .errors import error_key
from .providers.model import (
    AuthError,
    BadResponse,
    Invoice,
    KeyCanSpend,
    ProviderError,
)
from .providers.provider import Provider
from .reading.back_off import BackOff
from .reading.clocks import Clocks
from .reading.intake import Intake
from .reading.news_log import NewsLog
from .reading.problems import Problems, note_problem
from .reading.publisher import Publisher
from .reading.reader import Reader
from .reading.watched import AllWatched, Taken, Watched

_LOGGER = logging.getLogger(__name__)


class CryptoInvoicesCoordinator(DataUpdateCoordinator[AllWatched]):
    """Shows what the reader of one account reads; only the reader makes it refresh."""

    config_entry: ConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        *,
        provider: Provider,
        book: Book,
        clocks: Clocks,
        announcer: AccountAnnouncer,
    ) -> None:
        """Begin with what the book says; nothing is read yet."""
        name = f"{DOMAIN} {entry.title}"
        super().__init__(hass, _LOGGER, config_entry=entry, name=name, always_update=False)
        self.provider = provider
        self.book = book
        self.clocks = clocks
        self._announcer = announcer
        self._news_log = NewsLog()
        self._is_all_new = False
        self._published_version: int | None = None
        self.failures: Counter[str] = Counter()
        self.jobs: set[asyncio.Task[Any]] = set()
        """What begins or ends the watching of invoices, and is under way."""
        self.publisher = Publisher(self.name)
        self.problems = Problems(hass, entry, clocks.monotonic)
        self.devices = InvoiceDevices(hass, entry, book.records)
        rng = Random()
        self.intake = Intake(provider, book, clocks, rng)
        self.data = self.intake.watched
        self.reader = Reader(
            hass,
            self.name,
            provider=provider,
            intake=self.intake,
            clocks=clocks,
            back_off=BackOff(clocks.monotonic, rng),
            poll=self._async_poll,
            done=self._async_follow_up,
            failed=self._note_failure,
        )
        self.reader.is_polling_off = entry.pref_disable_polling

    @callback
    def async_start(self) -> None:
        """Begin to poll and to announce: the entities are there."""
        self._announcer.async_start()
        self.reader.async_start()
        self.config_entry.async_create_task(
            self.hass, self.async_follow_book(), f"{self.name} devices"
        )

    async def _async_poll(self) -> None:
        """Poll as Home Assistant does, which logs and says whether the account can be read."""
        is_first = self.config_entry.state is ConfigEntryState.SETUP_IN_PROGRESS
        if is_first:
            # Home Assistant itself logs a set-up that fails.
            with suppress(ConfigEntryNotReady):
                await self.async_config_entry_first_refresh()
        else:
            await super().async_refresh()
        if is_first and self.config_entry.state is not ConfigEntryState.SETUP_IN_PROGRESS:
            self.log_first_failure()
        if self._is_all_new:
            self._is_all_new = False
            await self.publisher.async_publish_all(self._listeners)
        if not self.last_update_success:
            self.publisher.async_publish_step()

    @callback
    def log_first_failure(self) -> None:
        """Log that the account is set up although its first reading failed, if it did."""
        if not self.last_update_success:
            _LOGGER.error("Error fetching %s data: %s", self.name, self.last_exception)

    @override
    @callback
    def async_update_listeners(self) -> None:
        """Have every entity written once the poll is over, a few at a time."""
        self._is_all_new = True

    @override
    async def async_refresh(self) -> None:
        """Have the reader poll what is due, and wait for it."""
        await self.reader.async_ask()

    @override
    async def async_request_refresh(self) -> None:
        """Have the reader poll what is due, and wait for it."""
        await self.reader.async_ask()

    @callback
    def async_hint(
        self, invoice_ids: Iterable[str], *, is_news: bool = False
    ) -> list[asyncio.Future[ProviderError | None]]:
        """Read these invoices now, if they are watched; return what to wait for.

        Where it ``is_news`` from the provider, it is read again soon if nothing has changed.
        """
        return self.reader.hints.async_add(invoice_ids, is_news=is_news)

    @override
    async def _async_update_data(self) -> AllWatched:
        """Let the reader poll."""
        try:
            await self.reader.async_poll()
        except ProviderError as err:
            raise UpdateFailed(
                translation_domain=DOMAIN,
                translation_key=error_key(err),
                translation_placeholders={"account": self.config_entry.title},
            ) from err
        return self.data

    def async_start_job[T](self, job: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Begin or end the watching of invoices, in a task that the unloading waits for."""
        task = self.config_entry.async_create_task(self.hass, job, name)
        self.jobs.add(task)
        task.add_done_callback(self.jobs.discard)
        return task

    async def async_begin(self, invoices: Iterable[Invoice]) -> None:
        """Watch what the book was just given, with the readings that it was added with.

        Nothing is asked for, and the entities are there immediately.
        """
        self.reader.async_follow_book()
        given = self.intake.take_given(invoices)
        await self._async_follow_up(given)
        self.reader.async_arm()

    async def async_follow_book(self) -> None:
        """Watch no more what the book doesn't."""
        self.reader.async_follow_book()
        await self.devices.async_compare()
        await self._async_follow_up(Taken())

    async def _async_follow_up(self, taken: Taken) -> None:
        """Show what changed, announce it, and write it."""
        self._keep_discovered_settings()
        if self.reader.last_reading is not None:
            self.book.note_read()
            self._close_key_dialog()
        try:
            await self._async_publish_watched()
            await self.devices.async_follow(taken.changed)
            await self.publisher.async_publish(taken.changed)
        finally:
            # Whatever goes wrong with showing it, a payment is announced.
            self._announcer.async_compare()
            await self.book.async_commit()
        self.problems.compare(self.intake.planned)
        self._news_log.log(self.config_entry.title, taken)

    async def _async_publish_watched(self) -> None:
        """Show what is watched now, unless it is shown; whoever is cut leaves the rest to the next."""
        version = self.intake.version
        if version != self._published_version:
            await self.devices.async_name()
            await self.publisher.async_publish_watched()
            self._published_version = version

    @callback
    def _keep_discovered_settings(self) -> None:
        """Store what the provider found out, so that the next start knows it."""
        found = self.provider.discovered_settings
        if not found.items() <= self.config_entry.data.items():
            self.hass.config_entries.async_update_entry(
                self.config_entry, data={**self.config_entry.data, **found}
            )

    @callback
    def _note_failure(self, err: ProviderError, wanted: list[Watched]) -> None:
        """Note that nothing could be read at all."""
        self.failures[error_key(err)] += 1
        if isinstance(err, KeyCanSpend):
            self.problems.note_key_can_spend()
        if isinstance(err, AuthError) and self.reader.standing.is_key_refused:
            self.config_entry.async_start_reauth(self.hass)
        if isinstance(err, BadResponse):
            for one in wanted:
                note_problem(one, err, self.clocks.monotonic())
        self.problems.compare(self.intake.planned)

    @callback
    def _close_key_dialog(self) -> None:
        """Take back that a new key is needed, and what was said of the old one."""
        if self.reader.standing.is_key_doubted:
            return
        self.problems.note_key_is_good()
        for flow in self.config_entry.async_get_active_flows(self.hass, {SOURCE_REAUTH}):
            self.hass.config_entries.flow.async_abort(flow["flow_id"])
