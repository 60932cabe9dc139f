"""The open invoices that a dialog offers to choose from: those that the provider lists."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
import logging

from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
import voluptuous as vol

from ..money import written
from ..providers.capabilities import CanListInvoices
from ..providers.model import Invoice, ProviderError
from ..providers.provider import Provider
from ..texts import one_line

_LOGGER = logging.getLogger(__name__)

CONF_OPEN_INVOICES = "open_invoices"
MOST_OFFERED = 100
# Whoever has more than that may paste the others.
_MOST_LISTED = 2000
# How long a dialog waits for the list, in seconds.
LISTING_TIMEOUT = 10
_MADE_SINCE = timedelta(days=90)
_LONGEST_ORDER_ID = 40
_END_OF_ID = 6
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OpenInvoices:
    """What is offered, the newest first, and whether the provider could be asked for it."""

    by_id: Mapping[str, Invoice] = field(default_factory=dict)
    was_listed: bool = True

    def schema(
        self, language: str, chosen: Collection[str] | None = None
    ) -> dict[vol.Marker, SelectSelector]:
        """Return the field to choose with, none where nothing is offered; all are chosen at first."""
        if not self.by_id:
            return {}
        options = [
            SelectOptionDict(value=id_, label=_label(one, language))
            for id_, one in self.by_id.items()
        ]
        selector = SelectSelector(
            SelectSelectorConfig(options=options, multiple=True, mode=SelectSelectorMode.LIST)
        )
        suggested = list(self.by_id) if chosen is None else list(chosen)
        marker = vol.Optional(CONF_OPEN_INVOICES, description={"suggested_value": suggested})
        return {marker: selector}


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


def _label(invoice: Invoice, language: str) -> str:
    """Return what tells an invoice from the others in the list."""
    parts = [one_line(invoice.order_id, _LONGEST_ORDER_ID)] if invoice.order_id else []
    if invoice.amount is not None:
        parts.append(written(invoice.amount, invoice.currency, language))
    short = invoice.id if len(invoice.id) <= 2 * _END_OF_ID else f"…{invoice.id[-_END_OF_ID:]}"
    return " · ".join((*parts, short))
