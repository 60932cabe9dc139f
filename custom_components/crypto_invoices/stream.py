"""Hints in: listens to providers that can be listened to."""

import asyncio
import logging
import random

from homeassistant.core import HomeAssistant, callback

from .coordinator import CryptoInvoicesCoordinator
from .providers.model import ProviderError
from .providers.push import CanStream

_LOGGER = logging.getLogger(__name__)

FIRST_DELAY = 5.0
LONGEST_DELAY = 5 * 60.0


@callback
def async_setup_stream(hass: HomeAssistant, coordinator: CryptoInvoicesCoordinator) -> None:
    """Listen, until the account is unloaded, if its provider can be listened to."""
    if isinstance(coordinator.provider, CanStream):
        coordinator.config_entry.async_create_background_task(
            hass, _async_listen(coordinator, coordinator.provider), f"{coordinator.name} stream"
        )


async def _async_listen(coordinator: CryptoInvoicesCoordinator, provider: CanStream) -> None:
    """Connect again whenever the connection ends, each time later if nothing comes of it."""
    failures = 0
    while True:
        try:
            async for hint in provider.async_stream():
                # What was missed in between is made up for by the first hint: everything open.
                failures = 0
                coordinator.async_hint(hint.invoice_ids or coordinator.data.open)
        except ProviderError as err:
            _LOGGER.debug("%s: the stream ended: %r", coordinator.name, err)
        delay = min(FIRST_DELAY * 2.0**failures, LONGEST_DELAY)
        failures = min(failures + 1, 10)
        await asyncio.sleep(delay * (1 - 0.3 * random.random()))
