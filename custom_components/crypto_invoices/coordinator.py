"""One coordinator per account: reads the invoices that are due and publishes them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from datetime import datetime, timedelta
import logging
from time import monotonic
from typing import Any, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .account import baseline, baselines, tracked_invoices
from .announcer import Announcer
from .books import Books, Reading
from .const import DOMAIN
from .hints import Hints
from .issues import LEDGER_LOST, async_create_issue
from .ledger import async_get_ledger
from .pace import Pace
from .providers.base import Provider
from .providers.model import (
    AuthError,
    Invoice,
    InvoiceStatus,
    ProviderError,
)
from .publisher import Publisher
from .readings import AccountData, error_key
from .troubles import Troubles, status_word

_LOGGER = logging.getLogger(__name__)

# Invoices that are added together, however many, become one refresh.
SYNC_COOLDOWN = 0.1

type CryptoInvoicesConfigEntry = ConfigEntry[CryptoInvoicesCoordinator]


class CryptoInvoicesCoordinator(DataUpdateCoordinator[AccountData]):
    """Reads the tracked invoices of one account."""

    config_entry: CryptoInvoicesConfigEntry
    account_device_id: str

    def __init__(
        self, hass: HomeAssistant, entry: CryptoInvoicesConfigEntry, provider: Provider
    ) -> None:
        """Start with what the entry tracks and nothing read."""
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=f"{DOMAIN} {entry.title}",
            always_update=False,
        )
        self.provider = provider
        self.tracked = tracked_invoices(entry)
        self.ledger = async_get_ledger(hass, entry.entry_id)
        self.announcer = Announcer(hass, entry, self.ledger)
        self.books = Books(hass, entry.entry_id)
        self.last_reading: datetime | None = None
        self.push_diagnostics: Callable[[], dict[str, Any]] | None = None
        self.failures: Counter[str] = Counter()
        self.async_register_webhook: Callable[[], Awaitable[bool]] | None = None
        self.publisher = Publisher(self.name)
        self.troubles = Troubles(hass, entry, monotonic)
        self._account = AccountData()
        self._pace = Pace(monotonic, provider)
        self._reading_number = 0
        self._read_in: dict[str, int] = {}
        self._unknown_words: set[str] = set()
        self._hints = Hints(hass, entry, self._pace, self._async_read_hinted)
        self._sync = Debouncer(
            hass, _LOGGER, cooldown=SYNC_COOLDOWN, immediate=False, function=self._async_sync
        )
        entry.async_on_unload(self._sync.async_shutdown)
        # A set-up that breaks off hands back what it has read, as an unloading does.
        entry.async_on_unload(self.announcer.async_stop)
        entry.async_on_unload(self.troubles.stop)
        # Invoices are watched even where every entity is disabled.
        entry.async_on_unload(self.async_add_listener(lambda: None))

    @property
    def is_backing_off(self) -> bool:
        """Whether the provider wants to be left alone for a while."""
        return self._pace.is_backing_off

    def is_worth_a_look(self, invoice_id: str) -> bool:
        """Whether an invoice is still worth looking at, as one that is gone is not."""
        return invoice_id not in self._account.errors and self._pace.is_worth_a_look(invoice_id)

    @callback
    def async_schedule_sync(self) -> None:
        """Look soon at which invoices the entry tracks now."""
        self._sync.async_schedule_call()

    @callback
    def async_hint(self, invoice_ids: Iterable[str]) -> asyncio.Task[None] | None:
        """Read these invoices at once, if they are tracked; return what to wait for."""
        return self._hints.async_add(id_ for id_ in invoice_ids if id_ in self.tracked)

    async def _async_read_hinted(self, invoice_ids: list[str]) -> None:
        """Read what was hinted at; what can't be read is polled."""
        try:
            await self._async_read(invoice_ids)
        except ProviderError as err:
            self.failures[error_key(err)] += 1
            self.logger.debug("%s: could not follow a hint: %r", self.name, err)
        except Exception:
            # A mistake of ours, which must not end the watching.
            self.logger.exception("%s: could not follow a hint", self.name)
        if self.last_update_success:
            self._set_interval()
            self._schedule_refresh()

    async def async_begin(self, invoices: Iterable[Invoice]) -> None:
        """Watch invoices that were just added, with the reading that they were added with.

        Nothing is asked for, and their entities are there at once.
        """
        if self.announcer.is_stopped:
            # The account was unloaded meanwhile; it finds them when it is loaded again.
            return
        self._follow_entry()
        read: dict[str, Invoice | ProviderError] = {
            invoice.id: invoice for invoice in invoices if invoice.id in self.tracked
        }
        # Entities are born with what was read.
        for invoice_id, invoice in read.items():
            self._account.take(invoice_id, invoice)
        self.publisher.async_tell_tracked()
        self._reading_number += 1
        await self._async_take(read, self._reading_number, news=list(read))
        if self.last_update_success:
            self._set_interval()
            self._schedule_refresh()

    async def _async_sync(self) -> None:
        """Read invoices that were added and forget those that were removed."""
        if self._follow_entry() and not self._pace.is_backing_off:
            await self.async_refresh()
        self.publisher.async_tell_tracked()

    def _follow_entry(self) -> list[str]:
        """Forget the invoices that the entry no longer tracks; return those that are new."""
        before, self.tracked = self.tracked, tracked_invoices(self.config_entry)
        # One that was removed and added again meanwhile is another one.
        removed = [id_ for id_ in before if self.tracked.get(id_) != before[id_]]
        added = [id_ for id_ in self.tracked if self.tracked[id_] != before.get(id_)]
        first = baselines(self.config_entry)
        self.ledger.forget(before[id_] for id_ in removed)
        self.ledger.begin({self.tracked[id_]: first[self.tracked[id_]] for id_ in added})
        self.books.follow(self.tracked)
        self._account.forget(removed)
        self.troubles.forget(removed)
        self._hints.drop(id_ for id_ in removed if id_ not in self.tracked)
        for invoice_id in removed:
            self._pace.forget(invoice_id)
            self._read_in.pop(invoice_id, None)
        self._pace.add(added)
        return added

    @override
    async def _async_setup(self) -> None:
        """Load what was announced before the first reading is compared with it."""
        entities = er.async_entries_for_config_entry(
            er.async_get(self.hass), self.config_entry.entry_id
        )
        if await self.ledger.async_load(baselines(self.config_entry), is_new=not entities):
            async_create_issue(self.hass, self.config_entry, LEDGER_LOST)
        await self.books.async_load(self.tracked)
        statuses = self.ledger.statuses()
        self._pace.start(
            {id_: statuses.get(subentry_id) for id_, subentry_id in self.tracked.items()}
        )

    @override
    async def _async_update_data(self) -> AccountData:
        """Read the invoices that are due."""
        is_first = self.last_reading is None
        await self._async_poll()
        if is_first and not self._pace.is_backing_off:
            # By now it is known how many can be read before somebody gets impatient.
            await self._async_poll()
        self._set_interval()
        return self._account

    async def _async_poll(self) -> None:
        """Read what is due and may be read now."""
        due = self._pace.take_due()
        self._hints.drop(due)
        try:
            await self._async_read(due)
        except ProviderError as err:
            self.troubles.failed(due, err)
            raise self._failure(err) from err
        except Exception as err:
            # A mistake of ours, which must not end the watching.
            self.update_interval = timedelta(seconds=self._pace.back_off(err))
            raise
        if not due:
            self._pace.recovered()

    def _failure(self, err: ProviderError) -> ConfigEntryAuthFailed | UpdateFailed:
        """Return the translated error, and leave the provider alone for a while."""
        self.failures[error_key(err)] += 1
        placeholders = {"account": self.config_entry.title}
        if isinstance(err, AuthError):
            self._pace.stop()
            return ConfigEntryAuthFailed(
                translation_domain=DOMAIN,
                translation_key=error_key(err),
                translation_placeholders=placeholders,
            )
        seconds = self._pace.back_off(err)
        # Without an interval nothing would be read again.
        self.update_interval = timedelta(seconds=seconds)
        return UpdateFailed(
            retry_after=seconds,
            translation_domain=DOMAIN,
            translation_key=error_key(err),
            translation_placeholders=placeholders,
        )

    def diagnostics(self, invoice_id: str | None = None) -> dict[str, Any]:
        """Return what may be shared of the looks at the account, or at one of its invoices."""
        return self._pace.diagnostics_of(invoice_id) if invoice_id else self._pace.diagnostics()

    @callback
    def _set_interval(self) -> None:
        """Poll when the next invoice is due, and not at all while none is."""
        seconds = self._pace.seconds_until_due()
        self.update_interval = None if seconds is None else timedelta(seconds=seconds)

    async def _async_read(self, invoice_ids: list[str]) -> None:
        """Read invoices, publish what changed, and announce it. Raises a ProviderError."""
        if not invoice_ids:
            return
        self._reading_number += 1
        number = self._reading_number
        try:
            found = await self.provider.async_get_invoices(invoice_ids)
        except Exception:
            self._pace.stay_due(invoice_ids)
            raise
        if self.announcer.is_stopped:
            # The account was unloaded meanwhile: its ledger is somebody else's by now.
            return
        self._keep_what_was_learned()
        await self._async_take(found, number)

    async def _async_take(
        self,
        found: Mapping[str, Invoice | ProviderError],
        number: int,
        news: Iterable[str] = (),
    ) -> None:
        """Keep a reading: publish what changed, which ``news`` did already, and announce it."""
        self.last_reading = dt_util.utcnow()
        # What was removed meanwhile is gone; what was asked for later but came first is newer.
        fresh = {
            id_: entry
            for id_, entry in found.items()
            if id_ in self.tracked and self._read_in.get(id_, 0) < number
        }
        self._read_in.update(dict.fromkeys(fresh, number))
        errors_before = set(self._account.errors)
        known = self._account.invoices
        changed = [
            *news,
            *(
                id_
                for id_, entry in fresh.items()
                if known.get(id_) is not entry and self._account.take(id_, entry)
            ),
        ]
        self._pace.plan(fresh, self.last_reading)
        transitions = self.ledger.observe(
            {self.tracked[id_]: entry for id_, entry in fresh.items() if isinstance(entry, Invoice)}
        )
        self.announcer.async_queue(transitions)
        try:
            # A step back is believed without anything new in the reading.
            self._add_up({*changed, *(transition.invoice.id for transition in transitions)})
            await self.publisher.async_publish(changed)
        finally:
            # Whatever goes wrong with showing it, a payment is told.
            self.announcer.async_announce()
            await self.ledger.async_save()
        self._log_news(changed, errors_before)
        self.troubles.observe(fresh)

    def _add_up(self, invoice_ids: Iterable[str]) -> None:
        """Enter into the books what was read of invoices, and what the ledger makes of it."""
        for invoice_id in invoice_ids:
            reading, subentry_id = None, self.tracked[invoice_id]
            if (invoice := self._account.invoices.get(invoice_id)) is not None:
                first = baseline(self.config_entry, subentry_id)
                reading = Reading(
                    invoice,
                    is_believed=self.ledger.status_of(subentry_id) is invoice.status,
                    was_paid_before=first is not None and first.is_paid,
                )
            self.books.observe(invoice_id, reading)

    @callback
    def _keep_what_was_learned(self) -> None:
        """Store what the provider found out, so that the next start knows it."""
        learned = self.provider.learned
        if not learned.items() <= self.config_entry.data.items():
            self.hass.config_entries.async_update_entry(
                self.config_entry, data={**self.config_entry.data, **learned}
            )

    @callback
    def _log_news(self, changed: Iterable[str], errors_before: Container[str]) -> None:
        """Log, once each, what a user may have to look at."""
        account, data = self.config_entry.title, self._account
        lost = [f"{id_} ({data.errors[id_]})" for id_ in changed if id_ in data.errors]
        if lost:
            _LOGGER.warning("%s: can't read invoice %s", account, ", ".join(lost))
        found = [id_ for id_ in changed if id_ in errors_before and id_ in data.invoices]
        if found:
            _LOGGER.info("%s: can read invoice %s again", account, ", ".join(found))
        for id_ in changed:
            invoice = data.invoices.get(id_)
            if invoice is None or invoice.status is not InvoiceStatus.UNKNOWN:
                continue
            word = status_word(invoice.provider_status)
            if word not in self._unknown_words:
                self._unknown_words.add(word)
                _LOGGER.warning("%s: unknown invoice status %r", account, word)
