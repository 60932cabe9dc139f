"""What an account holds, where its provider says so; read rarely."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from decimal import Decimal
import logging
from typing import Any, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from ..const import DOMAIN
from ..delivery.announcement import Announcement
from ..identifiers import SIGNAL_ANNOUNCED_OF
from ..providers.capabilities import CanReadBalance
from ..providers.model import ProviderError
from ..reading.back_off import BackOff
from ..reading.reader import Reader

_LOGGER = logging.getLogger(__name__)

INTERVAL = timedelta(hours=1)


class BalanceCoordinator(DataUpdateCoordinator[dict[str, Decimal] | None]):
    """Reads the balances of one account each hour, and when an invoice is paid.

    Its data is what the account holds, by currency, or None while that isn't known.
    """

    config_entry: ConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        provider: CanReadBalance,
        reader: Reader,
        back_off: BackOff,
    ) -> None:
        """Begin with nothing read."""
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=f"{DOMAIN} {entry.title} balance",
            update_interval=INTERVAL,
            always_update=False,
        )
        self._reader = reader
        self._back_off = back_off
        self._provider = provider
        entry.async_on_unload(
            async_dispatcher_connect(
                hass, SIGNAL_ANNOUNCED_OF.format(entry.entry_id), self._announced
            )
        )

    @callback
    def _announced(self, announcement: Announcement) -> None:
        """Read again when money came in, or was taken back."""
        if announcement.is_payment or announcement.previous.is_paid:
            self.config_entry.async_create_background_task(
                self.hass, self.async_request_refresh(), f"{self.name} after a payment"
            )

    @override
    async def async_refresh(self) -> None:
        """Read now, also if the caller leaves: Home Assistant would take that for a failure."""
        await self._async_shield(super().async_refresh())

    @override
    async def async_request_refresh(self) -> None:
        """Read soon, also if the caller leaves."""
        await self._async_shield(super().async_request_refresh())

    async def _async_shield(self, refresh: Coroutine[Any, Any, None]) -> None:
        """Let a refresh come to its end."""
        await asyncio.shield(
            self.config_entry.async_create_background_task(self.hass, refresh, self.name)
        )

    @override
    async def _async_update_data(self) -> dict[str, Decimal] | None:
        """Read the balances, unless the provider has asked for a pause."""
        if self._reader.is_backing_off or self._back_off.left > 0:
            return self.data
        try:
            balances = await self._provider.async_get_balances()
        except ProviderError as err:
            # An outage is logged once, by whoever reads the invoices, and a key that may only
            # see invoices is good enough. But one answer is nobody's last word.
            self.logger.debug("%s: %r", self.name, err)
            self.update_interval = timedelta(seconds=self._back_off.failed(err) + 1)
            return None
        self._back_off.succeeded()
        self.update_interval = INTERVAL
        return {balance.currency: balance.amount for balance in balances}
