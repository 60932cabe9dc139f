"""The open invoices that a dialog offers to choose from: those that the provider lists."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
import logging

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
from homeassistant.helpers.translation import async_get_translations
import voluptuous as vol

from ..book.naming import id_tail
from ..book.record import Record, Tombstone
from ..const import DOMAIN
from ..delivery.wording import name_with_amount
from ..providers.capabilities import CanListInvoices
from ..providers.model import Invoice, ProviderError
from ..providers.provider import Provider
from ..runtime import CryptoInvoicesConfigEntry
from ..watching import with_devices

_LOGGER = logging.getLogger(__name__)

CONF_OPEN_INVOICES = "open_invoices"
MOST_OFFERED = 100
# Whoever has more than that may paste the others.
_MOST_LISTED = 2000
# How long a dialog waits for the list, in seconds.
LISTING_TIMEOUT = 10
_MADE_SINCE = timedelta(days=90)
_LONGEST_LABEL = 60
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OpenInvoices:
    """What is offered, the newest first, and whether the provider could be asked for it."""

    by_id: Mapping[str, Invoice] = field(default_factory=dict)
    was_listed: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    removed: Collection[str] = ()
    """Those that a user stopped watching lately: they are offered, but not chosen at first."""

    def schema(self, chosen: Collection[str] | None = None) -> dict[vol.Marker, SelectSelector]:
        """Return the field to choose with, none where nothing is offered."""
        if not self.by_id:
            return {}
        options = [SelectOptionDict(value=id_, label=self.labels[id_]) for id_ in self.by_id]
        selector = SelectSelector(
            SelectSelectorConfig(options=options, multiple=True, mode=SelectSelectorMode.LIST)
        )
        if chosen is None:
            chosen = [id_ for id_ in self.by_id if id_ not in self.removed]
        suggested = {"suggested_value": list(chosen)}
        return {vol.Optional(CONF_OPEN_INVOICES, description=suggested): selector}


async def async_offer(
    hass: HomeAssistant, provider: Provider, entry: CryptoInvoicesConfigEntry | None = None
) -> OpenInvoices:
    """Return what is open; of an account that is loaded, what has no device there yet.

    Raises StorageError where what was removed can't be read.
    """
    if entry is None:
        found, removed = await async_find_open(provider), frozenset[str]()
    else:
        book = entry.runtime_data.book
        found = await async_find_open(provider, with_devices(book))
        known = await book.async_find(found.by_id) if found.by_id else {}
        removed = frozenset(id_ for id_, one in known.items() if isinstance(one, Tombstone))
    # While the first account is set up, nobody else has loaded our texts.
    await async_get_translations(hass, hass.config.language, "common", [DOMAIN])
    return replace(found, labels=labels(hass, entry, found.by_id.values()), removed=removed)


async def async_find_open(provider: Provider, watched: Collection[str] = ()) -> OpenInvoices:
    """List the newest open invoices that are not watched yet, for as long as a user waits."""
    if not isinstance(provider, CanListInvoices):
        return OpenInvoices()
    found: list[Invoice] = []
    is_newest_first, last, listed, was_listed = True, None, 0, True
    try:
        async with asyncio.timeout(LISTING_TIMEOUT):
            async for invoice in provider.async_list_invoices(since=provider.now() - _MADE_SINCE):
                made, listed = invoice.created_at, listed + 1
                is_newest_first &= not (made and last and made > last)
                last = made or last
                if invoice.status.is_open and invoice.id not in watched:
                    found.append(invoice)
                if listed >= _MOST_LISTED or (is_newest_first and len(found) >= MOST_OFFERED):
                    break
    except (ProviderError, TimeoutError) as err:
        _LOGGER.debug("%s: can't list open invoices: %r", provider.name, err)
        was_listed = bool(found)
    found.sort(key=lambda one: one.created_at or _LONG_AGO, reverse=True)
    return OpenInvoices({one.id: one for one in found[:MOST_OFFERED]}, was_listed)


def labels(
    hass: HomeAssistant, entry: ConfigEntry | None, invoices: Iterable[Invoice]
) -> dict[str, str]:
    """Return what invoices are called in a list: no two the same."""
    names = {
        one.id: name_with_amount(hass, entry, Record.begin(one), _LONGEST_LABEL) for one in invoices
    }
    count = Counter(names.values())
    return {
        id_: name if count[name] == 1 else f"{name} · {id_tail(id_)}" for id_, name in names.items()
    }
