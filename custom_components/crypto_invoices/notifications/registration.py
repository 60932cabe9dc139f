"""Registers our address at a provider, and restores what was deleted there."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
import logging

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from ..const import DOMAIN
from ..issues import WEBHOOK_REFUSED, async_create_issue, async_delete_issue
from ..providers.model import ProviderError, ProviderUnavailable, RateLimited
from ..providers.push import CanRegisterWebhook
from ..reading.back_off import KEY_DOUBTED_FOR, BackOff
from ..reading.timer import Timer
from .address import webhook_address

_LOGGER = logging.getLogger(__name__)

# How often to check that what was registered is still there.
INTERVAL = timedelta(hours=6)
# After this many refusals in a row somebody has to look after it.
REFUSED_FOR_LONG = 2


class Registration:
    """The webhook that an account has at its provider, while the account is loaded."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        provider: CanRegisterWebhook,
        back_off: BackOff,
    ) -> None:
        """Begin with nothing registered."""
        self._hass = hass
        self._entry = entry
        self._provider = provider
        self._back_off = back_off
        self._timer = Timer(hass, f"{DOMAIN} {entry.title} registration", self.async_start)
        self._registered: str | None = None
        self._turn = asyncio.Lock()
        self._stopped = asyncio.Event()
        self.refused = 0
        """How many registrations in a row the provider refused."""

    @callback
    def async_start(self) -> None:
        """Register, in a task that ends with the account."""
        self._timer.disarm()
        self._entry.async_create_background_task(
            self._hass, self.async_register(), f"{DOMAIN} {self._entry.title} registration"
        )

    @callback
    def async_stop(self) -> None:
        """Register no more."""
        self._stopped.set()
        self._timer.disarm()

    async def async_register(self) -> None:
        """Register our address at the provider, where there is an address that it can reach."""
        # Two at the same time would make two webhooks.
        async with self._turn:
            await self._async_register()

    async def _async_register(self) -> None:
        """Register our address at the provider."""
        if self._stopped.is_set():
            return
        data = self._entry.data
        if (address := webhook_address(self._hass, data)) is None:
            self._note(None)
            return
        wait = INTERVAL.total_seconds()
        # Whatever becomes of this, it comes again.
        self._timer.arm(wait)
        error: ProviderError | None = None
        settings: Mapping[str, str] = {}
        try:
            settings = await self._provider.async_register_webhook(address, self._registered)
        except ProviderError as err:
            _LOGGER.debug("%s: can't register the webhook: %r", self._entry.title, err)
            error = err
            if isinstance(err, ProviderUnavailable | RateLimited):
                wait = self._back_off.failed(err)
            elif not self.refused:
                # One answer is nobody's word.
                wait = KEY_DOUBTED_FOR
        if self._stopped.is_set():
            # Whoever waited for this outlived the account.
            return
        if error is None:
            self._back_off.succeeded()
            self._registered = address
            # What was changed meanwhile is no longer ours: the account is reloaded.
            if self._entry.data == data and not settings.items() <= data.items():
                self._hass.config_entries.async_update_entry(self._entry, data={**data, **settings})
        self._note(error)
        self._timer.arm(wait)

    @callback
    def _note(self, error: ProviderError | None) -> None:
        """Show it when the provider, which is there, refuses to post to us for long."""
        if isinstance(error, ProviderUnavailable | RateLimited):
            return
        self.refused = 0 if error is None else self.refused + 1
        if error is None:
            async_delete_issue(self._hass, self._entry, WEBHOOK_REFUSED)
        elif self.refused >= REFUSED_FOR_LONG:
            async_create_issue(self._hass, self._entry, WEBHOOK_REFUSED)
