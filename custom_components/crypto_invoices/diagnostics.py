"""Diagnostics: a summary that is made to be shared.

Nothing is dumped and then redacted: what isn't written here isn't in it. No IDs,
amounts, addresses, links or names of what the user has.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import DeviceEntry
from homeassistant.util import dt as dt_util

from .book.book import Book
from .const import CONF_PROVIDER
from .delivery.deliveries import async_get_deliveries
from .delivery.listeners import async_get_listeners
from .errors import error_key, status_word
from .identifiers import invoice_of_device
from .providers import PROVIDERS
from .providers.model import Invoice, InvoiceStatus
from .providers.provider import Field, FieldKind
from .providers.push import CanPush, CanRegisterWebhook, CanStream
from .reading.watched import Problem
from .runtime import AccountRuntime, CryptoInvoicesConfigEntry

_SHOWN_AS_IT_IS = (FieldKind.BOOLEAN, FieldKind.TIME_ZONE)


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: CryptoInvoicesConfigEntry
) -> dict[str, Any]:
    """Return the summary of an account."""
    summary: dict[str, Any] = {
        "provider": entry.data[CONF_PROVIDER],
        "config_entry_version": f"{entry.version}.{entry.minor_version}",
        "state": entry.state.value,
        "problem": entry.error_reason_translation_key,
        "settings": _settings(entry.data),
        "options": {key: _plain(value) for key, value in entry.options.items()},
    }
    if entry.state is ConfigEntryState.LOADED:
        summary |= _reading(entry.runtime_data)
        summary |= {
            "book": _book(entry.runtime_data.book),
            "deliveries": _deliveries(hass, entry),
        }
    return summary


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: CryptoInvoicesConfigEntry, device: DeviceEntry
) -> dict[str, Any]:
    """Return the summary of an invoice, or of the account whose device it is."""
    invoice_id = invoice_of_device(entry.entry_id, device.identifiers)
    if invoice_id is None:
        return await async_get_config_entry_diagnostics(hass, entry)
    summary: dict[str, Any] = {
        "provider": entry.data[CONF_PROVIDER],
        "state": entry.state.value,
    }
    if entry.state is ConfigEntryState.LOADED:
        summary |= _invoice_summary(entry.runtime_data, invoice_id)
    return summary


def _invoice_summary(account: AccountRuntime, invoice_id: str) -> dict[str, Any]:
    """Return the summary of an invoice."""
    if (one := account.coordinator.data.get(invoice_id)) is None:
        return {"is_watched": False}
    now, record = account.clocks.monotonic(), one.record
    return {
        "is_watched": True,
        "error": error_key(one.error) if one.error else None,
        "problem": None
        if (problem := one.problem) is None
        else {
            "what": problem.key,
            "detail": problem.detail,
            "seconds": round(now - problem.since),
            "readings": problem.readings,
        },
        "invoice": _invoice(one.invoice),
        "schedule": {
            "next_poll_in": None if one.due is None else round(one.due - now),
            "misses_in_a_row": one.misses,
            "is_doubted": one.doubt is not None,
        },
        "book": {
            "status": record.status.value,
            "announced": None if record.announced is None else record.announced.value,
            "announcements": _counts(record.counts.elements()),
            "is_over": record.is_over,
            "is_automatic": record.is_automatic,
            "has_device": record.has_device,
            "times_watched_before": record.times_watched,
        },
    }


def _settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was set up; of what is secret or the user's own, only whether it is there."""
    provider = PROVIDERS.get(data[CONF_PROVIDER])
    return {
        field.key: _setting(field, data.get(field.key))
        for field in (provider.fields if provider else ())
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


def _reading(account: AccountRuntime) -> dict[str, Any]:
    """Return how reading an account goes."""
    provider, coordinator, book = account.provider, account.coordinator, account.book
    reader = coordinator.reader
    watched = coordinator.data.values()
    invoices = [one.invoice for one in watched if one.invoice is not None]
    return {
        "is_available": coordinator.last_update_success,
        "last_reading": reader.last_reading,
        "how": {
            "batch_size": provider.batch_size,
            "concurrency": provider.concurrency,
            "reported_fields": sorted(provider.reported_fields),
            **provider.diagnostics,
        },
        "invoices": {
            "watched": len(watched),
            "open": book.sums.open_count,
            "by_status": _counts(invoice.status.value for invoice in invoices),
            "unknown_words": _counts(
                status_word(invoice.provider_status)
                for invoice in invoices
                if invoice.status is InvoiceStatus.UNKNOWN
            ),
            "by_error": _counts(error_key(one.error) for one in watched if one.error is not None),
            "doubted": sum(one.doubt is not None for one in watched),
        },
        "problems": _problems(account),
        "failures": _counts(coordinator.failures.elements()),
        "schedule": reader.diagnostics()
        | {
            "is_key_doubted": reader.standing.is_key_doubted,
            "is_polling_off": reader.is_polling_off,
            "is_timer_armed": reader.is_timer_armed,
        },
        "clock": {
            "is_providers": account.clocks.is_server_known,
            "ahead_of_providers": round((dt_util.utcnow() - account.clocks.now()).total_seconds()),
            "steady_for": round(account.clocks.steady_for),
        },
        "pushes": {
            "can_push": isinstance(provider, CanPush),
            "may_register_webhook": (
                provider.may_register_webhook if isinstance(provider, CanRegisterWebhook) else None
            ),
            "can_stream": isinstance(provider, CanStream),
            "webhook": account.webhook.diagnostics() if account.webhook else None,
        },
    }


def _problems(account: AccountRuntime) -> dict[str, Any]:
    """Return what is wrong with how many invoices, whether a user sees it already or not."""
    now, found = account.clocks.monotonic(), defaultdict[str, list[Problem]](list)
    for one in account.coordinator.data.values():
        if one.problem is not None:
            found[one.problem.key].append(one.problem)
    return {
        key: {
            "invoices": len(problems),
            "details": _counts(problem.detail for problem in problems if problem.detail),
            "longest_for": round(now - min(problem.since for problem in problems)),
            "most_readings": max(problem.readings for problem in problems),
        }
        for key, problems in sorted(found.items())
    }


def _book(book: Book) -> dict[str, Any]:
    """Return what is in the book of an account, and whether it is on the disk."""
    records = book.records.values()
    return book.diagnostics() | {
        "was_read": book.was_read,
        "by_status": _counts(record.status.value for record in records),
        "over": sum(record.is_over for record in records),
        "automatic": sum(record.is_automatic for record in records),
        "with_device": sum(record.has_device for record in records),
        "paid_today": book.sums.paid_since(dt_util.start_of_local_day()),
        "currencies": len(book.sums.currencies),
    }


def _deliveries(hass: HomeAssistant, entry: CryptoInvoicesConfigEntry) -> dict[str, int]:
    """Return what is being announced, and who listens, in all of Home Assistant."""
    deliveries = async_get_deliveries(hass)
    return async_get_listeners(hass).diagnostics() | {
        "under_way": sum(
            deliveries.is_under_way(entry.entry_id, invoice_id)
            for invoice_id in entry.runtime_data.book.records
        )
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
