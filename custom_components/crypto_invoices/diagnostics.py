"""Diagnostics: a summary that is made to be shared.

Nothing is dumped and then redacted: what isn't written here isn't in it. No IDs,
amounts, addresses, links or names of what the user has.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import DeviceEntry
from homeassistant.util import dt as dt_util

from .account import tracked_invoices
from .const import CONF_BASELINE, CONF_PROVIDER, DOMAIN
from .coordinator import CryptoInvoicesConfigEntry, CryptoInvoicesCoordinator
from .entity import invoice_identifier
from .providers import PROVIDERS
from .providers.base import Field, FieldKind
from .providers.model import Invoice, InvoiceStatus
from .providers.push import CanPush, CanRegisterWebhook, CanStream
from .troubles import status_word

_SHOWN_AS_IT_IS = (FieldKind.BOOLEAN, FieldKind.TIME_ZONE)


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: CryptoInvoicesConfigEntry
) -> dict[str, Any]:
    """Return the summary of an account."""
    summary: dict[str, Any] = {
        "provider": entry.data[CONF_PROVIDER],
        "config_entry_version": f"{entry.version}.{entry.minor_version}",
        "state": entry.state.value,
        "trouble": entry.error_reason_translation_key,
        "settings": _settings(entry.data),
        "options": {key: _plain(value) for key, value in entry.options.items()},
        "invoices_tracked": len(tracked_invoices(entry)),
    }
    if entry.state is ConfigEntryState.LOADED:
        summary |= _reading(entry.runtime_data)
    return summary


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: CryptoInvoicesConfigEntry, device: DeviceEntry
) -> dict[str, Any]:
    """Return the summary of an invoice, or of the account whose device it is."""
    tracked = tracked_invoices(entry)
    for invoice_id in tracked:
        if (DOMAIN, invoice_identifier(entry.entry_id, invoice_id)) in device.identifiers:
            return _invoice_summary(entry, invoice_id, tracked[invoice_id])
    return await async_get_config_entry_diagnostics(hass, entry)


def _invoice_summary(
    entry: CryptoInvoicesConfigEntry, invoice_id: str, subentry_id: str
) -> dict[str, Any]:
    """Return the summary of an invoice."""
    summary: dict[str, Any] = {
        "provider": entry.data[CONF_PROVIDER],
        "state": entry.state.value,
        "baseline": entry.subentries[subentry_id].data[CONF_BASELINE],
    }
    if entry.state is ConfigEntryState.LOADED:
        coordinator = entry.runtime_data
        summary |= {
            "error": coordinator.data.errors.get(invoice_id),
            "invoice": _invoice(coordinator.data.invoices.get(invoice_id)),
            "schedule": coordinator.diagnostics(invoice_id),
            "ledger": coordinator.ledger.diagnostics_of(subentry_id),
        }
    return summary


def _settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was set up; of what is secret or the user's own, only whether it is there."""
    return {
        field.key: _setting(field, data.get(field.key))
        for field in PROVIDERS[data[CONF_PROVIDER]].fields
    }


def _setting(field: Field, value: object) -> Any:
    """Return what may be shared of one setting."""
    if value is None or field.kind in _SHOWN_AS_IT_IS:
        return value
    if field.kind is FieldKind.URL:
        whose = "default" if value == field.default else "own"
        return f"{whose}, {'encrypted' if str(value).startswith('https://') else 'not encrypted'}"
    return "set"


def _plain(value: object) -> Any:
    """Return an option where it is a number or a choice; a text is the user's own."""
    return value if value is None or isinstance(value, bool | int | float) else "set"


def _reading(coordinator: CryptoInvoicesCoordinator) -> dict[str, Any]:
    """Return how reading an account goes."""
    provider, data, pushes = coordinator.provider, coordinator.data, coordinator.push_diagnostics
    return {
        "is_available": coordinator.last_update_success,
        "last_reading": coordinator.last_reading,
        "how": {
            "batch_size": provider.batch_size,
            "concurrency": provider.concurrency,
            "reports": sorted(provider.reports),
            **provider.diagnostics,
        },
        "invoices": {
            "open": len(data.open),
            "by_status": _counts(invoice.status.value for invoice in data.invoices.values()),
            "unknown_words": _counts(
                status_word(invoice.provider_status)
                for invoice in data.invoices.values()
                if invoice.status is InvoiceStatus.UNKNOWN
            ),
            "by_error": _counts(data.errors.values()),
        },
        "failures": _counts(coordinator.failures.elements()),
        "schedule": coordinator.diagnostics(),
        "pushes": {
            "can_push": isinstance(provider, CanPush),
            "may_register_webhook": (
                provider.may_register_webhook if isinstance(provider, CanRegisterWebhook) else None
            ),
            "can_stream": isinstance(provider, CanStream),
            "webhook": pushes() if pushes else None,
        },
        "ledger": coordinator.ledger.diagnostics(),
    }


def _counts(words: Iterable[str]) -> dict[str, int]:
    """Return how often each word comes."""
    return dict(sorted(Counter(words).items()))


def _invoice(invoice: Invoice | None) -> dict[str, Any] | None:
    """Return what is known of an invoice, without what it says; times as seconds from now."""
    if invoice is None:
        return None
    known = {field.name: getattr(invoice, field.name) for field in fields(invoice)}
    now = dt_util.utcnow()
    return {
        "status": invoice.status.value,
        "provider_status": status_word(invoice.provider_status),
        "is_test": invoice.is_test,
        "tells": sorted(name for name, value in known.items() if value not in (None, {})),
        "seconds_from_now": {
            name: round((value - now).total_seconds())
            for name, value in known.items()
            if isinstance(value, datetime)
        },
    }
