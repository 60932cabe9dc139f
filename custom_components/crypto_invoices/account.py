"""From what a config entry stores to a provider and its tracked invoices, and back."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import ConfigEntry, ConfigSubentry, ConfigSubentryData
from homeassistant.const import CONF_VERIFY_SSL
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.util import dt as dt_util

from .const import (
    CONF_BASELINE,
    CONF_FOLLOWED,
    CONF_INVOICE_ID,
    CONF_PAYMENT_URL,
    CONF_PROVIDER,
    SUBENTRY_TYPE_INVOICE,
)
from .providers import PROVIDERS
from .providers.base import FieldKind, Provider
from .providers.model import Invoice, InvoiceStatus

_NO_LINKS: Mapping[str, str] = MappingProxyType({})


async def async_create_provider(hass: HomeAssistant, data: Mapping[str, Any]) -> Provider:
    """Return the provider that a config entry's data describes."""
    provider_class = PROVIDERS[data[CONF_PROVIDER]]
    settings = dict(data)
    for field in provider_class.fields:
        if field.kind is FieldKind.TIME_ZONE and settings.get(field.key):
            settings[field.key] = await dt_util.async_get_time_zone(settings[field.key])
    session = async_get_clientsession(hass, verify_ssl=settings.get(CONF_VERIFY_SSL, True))
    return provider_class(session, settings)


def tracked_invoices(entry: ConfigEntry) -> dict[str, str]:
    """Return the tracked invoices of an account: invoice ID to subentry ID."""
    return {
        subentry.data[CONF_INVOICE_ID]: subentry.subentry_id
        for subentry in entry.subentries.values()
        if subentry.subentry_type == SUBENTRY_TYPE_INVOICE
    }


def followed_invoices(entry: ConfigEntry) -> set[str]:
    """Return the subentry IDs of the invoices that are tracked because the account is followed."""
    return {
        subentry.subentry_id
        for subentry in entry.subentries.values()
        if subentry.data.get(CONF_FOLLOWED)
    }


def baseline(entry: ConfigEntry, subentry_id: str) -> InvoiceStatus | None:
    """Return the status that an invoice had when it was added, if it is still tracked."""
    subentry = entry.subentries.get(subentry_id)
    return None if subentry is None else InvoiceStatus(subentry.data[CONF_BASELINE])


def baselines(entry: ConfigEntry) -> dict[str, InvoiceStatus]:
    """Return the status that each tracked invoice had when it was added, by subentry ID."""
    return {
        subentry.subentry_id: InvoiceStatus(subentry.data[CONF_BASELINE])
        for subentry in entry.subentries.values()
        if subentry.subentry_type == SUBENTRY_TYPE_INVOICE
    }


def payment_links(entry: ConfigEntry) -> dict[str, str]:
    """Return where tracked invoices are paid, as far as it was told only once."""
    return {
        subentry.data[CONF_INVOICE_ID]: subentry.data[CONF_PAYMENT_URL]
        for subentry in entry.subentries.values()
        if CONF_PAYMENT_URL in subentry.data
    }


def invoice_subentry(
    invoice: Invoice, baseline: InvoiceStatus | None = None, link: str | None = None
) -> ConfigSubentryData:
    """Return what is stored of a tracked invoice.

    ``baseline`` is the status that announces nothing, by default the one that it has;
    ``link`` is where it is paid, if nobody tells that again.
    """
    kept = {} if link is None else {CONF_PAYMENT_URL: link}
    status = (baseline or invoice.status).value
    return ConfigSubentryData(
        data={CONF_INVOICE_ID: invoice.id, CONF_BASELINE: status, **kept},
        subentry_type=SUBENTRY_TYPE_INVOICE,
        title=f"Invoice {invoice.order_id or invoice.id}",
        unique_id=invoice.id,
    )


@callback
def async_add_invoices(
    hass: HomeAssistant,
    entry: ConfigEntry,
    invoices: Iterable[Invoice],
    baseline: InvoiceStatus | None = None,
    links: Mapping[str, str] = _NO_LINKS,
    *,
    is_followed: bool = False,
) -> list[Invoice]:
    """Track invoices; return those that were not tracked before.

    ``baseline`` and ``links``, by invoice ID, are what ``invoice_subentry`` takes.
    Those that nobody asked for are marked as followed.
    """
    mark = {CONF_FOLLOWED: True} if is_followed else {}
    tracked = tracked_invoices(entry)
    new = {invoice.id: invoice for invoice in invoices if invoice.id not in tracked}
    for subentry in (
        invoice_subentry(invoice, baseline, links.get(invoice.id)) for invoice in new.values()
    ):
        hass.config_entries.async_add_subentry(
            entry,
            ConfigSubentry(
                data=MappingProxyType({**subentry["data"], **mark}),
                subentry_type=subentry["subentry_type"],
                title=subentry["title"],
                unique_id=subentry["unique_id"],
            ),
        )
    return list(new.values())
