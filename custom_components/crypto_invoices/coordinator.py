"""One coordinator per account: reads its tracked invoices and publishes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
import logging
from typing import override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .account import baselines, tracked_invoices
from .announcer import Announcer
from .const import DOMAIN
from .issues import async_create_ledger_issue
from .ledger import Ledger
from .providers.base import Provider
from .providers.model import (
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)

_LOGGER = logging.getLogger(__name__)

UPDATE_INTERVAL = timedelta(seconds=60)
_ERROR_KEYS: Mapping[type[ProviderError], str] = {
    AuthError: "invalid_auth",
    BadResponse: "bad_response",
    InvoiceNotFound: "invoice_not_found",
    RateLimited: "rate_limited",
}
# Invoices that are added together, however many, become one refresh.
SYNC_COOLDOWN = 0.1

type CryptoInvoicesConfigEntry = ConfigEntry[CryptoInvoicesCoordinator]


@dataclass(frozen=True, slots=True)
class AccountData:
    """The latest reading of an account: of each tracked invoice, or why there is none."""

    invoices: Mapping[str, Invoice] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


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
            update_interval=UPDATE_INTERVAL,
            always_update=False,
        )
        self.provider = provider
        self.tracked = tracked_invoices(entry)
        self.ledger = Ledger(hass, entry.entry_id)
        self.announcer = Announcer(hass, entry, self.ledger)
        self.last_reading: datetime | None = None
        self._reading_listeners: set[CALLBACK_TYPE] = set()
        self._unknown_words: set[str] = set()
        self._sync = Debouncer(
            hass, _LOGGER, cooldown=SYNC_COOLDOWN, immediate=False, function=self._async_sync
        )
        entry.async_on_unload(self._sync.async_shutdown)
        # Invoices are watched even where every entity is disabled.
        entry.async_on_unload(self.async_add_listener(lambda: None))

    @callback
    def async_add_reading_listener(self, listener: CALLBACK_TYPE) -> Callable[[], None]:
        """Call ``listener`` after each successful reading, also one that changed nothing."""
        self._reading_listeners.add(listener)
        return lambda: self._reading_listeners.discard(listener)

    @callback
    def async_schedule_sync(self) -> None:
        """Look soon at which invoices the entry tracks now."""
        self._sync.async_schedule_call()

    async def _async_sync(self) -> None:
        """Read invoices that were added and forget those that were removed."""
        before, self.tracked = self.tracked, tracked_invoices(self.config_entry)
        self.ledger.follow(baselines(self.config_entry))
        if self.tracked.keys() - before.keys():
            await self.async_refresh()
        elif before.keys() - self.tracked.keys():
            self.data = AccountData(
                {id_: self.data.invoices[id_] for id_ in self.tracked & self.data.invoices.keys()},
                {id_: self.data.errors[id_] for id_ in self.tracked & self.data.errors.keys()},
            )
        self.async_update_listeners()

    @override
    async def _async_setup(self) -> None:
        """Load what was announced before the first reading is compared with it."""
        entities = er.async_entries_for_config_entry(
            er.async_get(self.hass), self.config_entry.entry_id
        )
        if await self.ledger.async_load(baselines(self.config_entry), is_new=not entities):
            async_create_ledger_issue(self.hass, self.config_entry)

    @override
    async def _async_update_data(self) -> AccountData:
        """Read every tracked invoice."""
        try:
            found = await self.provider.async_get_invoices(self.tracked)
        except AuthError as err:
            raise ConfigEntryAuthFailed(
                translation_domain=DOMAIN,
                translation_key="invalid_auth",
                translation_placeholders={"account": self.config_entry.title},
            ) from err
        except ProviderError as err:
            raise self._update_failed(err) from err
        self._keep_what_was_learned()
        data = AccountData(
            {id_: entry for id_, entry in found.items() if isinstance(entry, Invoice)},
            {
                id_: error_key(entry)
                for id_, entry in found.items()
                if not isinstance(entry, Invoice)
            },
        )
        self._log_news(data)
        self.announcer.async_announce(
            self.ledger.observe(
                {
                    self.tracked[id_]: data.invoices[id_]
                    for id_ in data.invoices.keys() & self.tracked
                }
            )
        )
        await self.ledger.async_save()
        self.last_reading = dt_util.utcnow()
        for listener in tuple(self._reading_listeners):
            listener()
        return data

    def _update_failed(self, err: ProviderError) -> UpdateFailed:
        """Return the translated error, with the wait that the provider asked for."""
        retry_after = None
        if isinstance(err, RateLimited | ProviderUnavailable):
            retry_after = err.retry_after
        if retry_after is not None:
            retry_after = max(retry_after, UPDATE_INTERVAL.total_seconds())
        return UpdateFailed(
            retry_after=retry_after,
            translation_domain=DOMAIN,
            translation_key=error_key(err),
            translation_placeholders={"account": self.config_entry.title},
        )

    @callback
    def _keep_what_was_learned(self) -> None:
        """Store what the provider found out, so that the next start knows it."""
        learned = self.provider.learned
        if not learned.items() <= self.config_entry.data.items():
            self.hass.config_entries.async_update_entry(
                self.config_entry, data={**self.config_entry.data, **learned}
            )

    @callback
    def _log_news(self, data: AccountData) -> None:
        """Log, once each, what a user may have to look at."""
        known = {} if self.data is None else self.data.errors
        for id_, reason in data.errors.items():
            if known.get(id_) != reason:
                _LOGGER.warning(
                    "%s: invoice %s can't be read: %s", self.config_entry.title, id_, reason
                )
        for id_ in known.keys() & data.invoices.keys():
            _LOGGER.info("%s: invoice %s can be read again", self.config_entry.title, id_)
        words = {
            invoice.provider_status
            for invoice in data.invoices.values()
            if invoice.status is InvoiceStatus.UNKNOWN
        }
        for word in words - self._unknown_words:
            _LOGGER.warning("%s: unknown invoice status %.40r", self.config_entry.title, word)
        self._unknown_words |= words


def error_key(err: ProviderError) -> str:
    """Return the translation key of a provider's error."""
    if isinstance(err, ProviderUnavailable):
        return err.reason.value
    return _ERROR_KEYS[type(err)]
