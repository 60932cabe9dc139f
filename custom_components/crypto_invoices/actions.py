"""What the actions have in common: whom they mean, what they answer, and how they fail."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr, entity_registry as er, service
from homeassistant.util.json import JsonObjectType, JsonValueType

from .account import tracked_invoices
from .const import CONF_PROVIDER, DOMAIN
from .coordinator import CryptoInvoicesConfigEntry, CryptoInvoicesCoordinator
from .entity import invoice_identifier
from .invoice_ids import split_ids
from .money import exact
from .providers import PROVIDERS
from .providers.invoicing import (
    Flaw,
    InvalidField,
    NoLongerOpen,
    OutcomeUnknown,
    PermissionMissing,
    Rejected,
)
from .providers.model import Invoice, InvoiceNotFound, InvoiceStatus, ProviderError, SettingNeeded
from .readings import error_key

ATTR_INVOICE_ID = "invoice_id"
ATTR_INVOICE_IDS = "invoice_ids"
ATTR_ORDER_ID = "order_id"
# A reading that takes longer goes on in the background.
READING_TIMEOUT = 30
# What somebody typed is repeated in an error, but not all of it.
_LONGEST_QUOTE = 80
_KEYS: Mapping[type[ProviderError], str] = {
    InvoiceNotFound: "this_invoice_not_found",
    NoLongerOpen: "no_longer_open",
    OutcomeUnknown: "outcome_unknown",
    PermissionMissing: "permission_missing",
    Rejected: "rejected",
    SettingNeeded: "setting_needed",
}
_UNREAD = Invoice(id="", status=InvoiceStatus.UNKNOWN, provider_status="")


class Tracked(NamedTuple):
    """A tracked invoice of an account that is loaded."""

    entry: CryptoInvoicesConfigEntry
    invoice_id: str


def refusal(key: str, **placeholders: str) -> ServiceValidationError:
    """Return the translated error for what the user gave."""
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
    )


def failure(key: str, **placeholders: str) -> HomeAssistantError:
    """Return the translated error for what went wrong on the way."""
    return HomeAssistantError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
    )


def provider_failure(entry: ConfigEntry, err: ProviderError) -> HomeAssistantError:
    """Return the translated error for what a provider said to an action.

    It is about the action alone: whether a key has stopped working is for polling to find out.
    """
    make = refusal if isinstance(err, InvalidField | NoLongerOpen) else failure
    key, details = _explain(err)
    return make(key, account=entry.title, **details)


def _explain(err: ProviderError) -> tuple[str, dict[str, str]]:
    """Return the translation key of a provider's error, and what its text has gaps for."""
    key = next((_KEYS[kind] for kind in type(err).__mro__ if kind in _KEYS), None)
    details: dict[str, str] = {}
    match err:
        case InvalidField():
            # Both a text and a time can be too long.
            is_time = err.field == "lifetime" and err.flaw is Flaw.TOO_LONG
            key = "lifetime_too_long" if is_time else f"field_{err.flaw}"
            details = {"field": err.field, "limit": str(err.limit)}
        case PermissionMissing():
            details = {"permission": err.permission}
        case Rejected():
            details = {"reason": quote(str(err))}
        case SettingNeeded():
            details = {"setting": err.key}
    return key or error_key(err), details


def quote(text: str) -> str:
    """Return a text short enough for an error."""
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


@callback
def async_get_account(call: ServiceCall) -> CryptoInvoicesConfigEntry:
    """Return the account that an action is for. Raises a ServiceValidationError."""
    entry: CryptoInvoicesConfigEntry = service.async_get_config_entry(
        call.hass, DOMAIN, call.data[ATTR_CONFIG_ENTRY_ID]
    )
    return entry


@callback
def async_get_chosen(
    hass: HomeAssistant, device_ids: Iterable[str], invoice_ids: Iterable[str]
) -> list[Tracked]:
    """Return the tracked invoices that devices and IDs stand for, each once.

    Raises a ServiceValidationError if one of them is not tracked, or its account not loaded.
    """
    chosen = [_by_device(hass, device_id) for device_id in device_ids]
    chosen += [_by_id(hass, invoice_id) for invoice_id in invoice_ids]
    return list(dict.fromkeys(chosen))


def _by_device(hass: HomeAssistant, device_id: str) -> Tracked:
    """Return the invoice of a device."""
    device, entry = service.async_get_device_and_config_entry(hass, DOMAIN, device_id)
    for invoice_id in tracked_invoices(entry):
        if (DOMAIN, invoice_identifier(entry.entry_id, invoice_id)) in device.identifiers:
            return Tracked(entry, invoice_id)
    raise refusal("not_an_invoice", device=device.name_by_user or device.name or device_id)


def _by_id(hass: HomeAssistant, typed: str) -> Tracked:
    """Return the invoice with an ID, in whatever way its provider lets it be written."""
    entries = [
        (entry, invoice_id)
        for entry in hass.config_entries.async_entries(DOMAIN, include_disabled=False)
        if (invoice_id := _find_id(entry, typed)) is not None
    ]
    if not entries:
        raise refusal("not_tracked", invoice=quote(typed))
    if len(entries) > 1:
        raise refusal("tracked_by_several", invoice=quote(typed))
    [(entry, invoice_id)] = entries
    loaded: CryptoInvoicesConfigEntry = service.async_get_config_entry(hass, DOMAIN, entry.entry_id)
    return Tracked(loaded, invoice_id)


def _find_id(entry: ConfigEntry, typed: str) -> str | None:
    """Return the tracked invoice that an ID stands for in an account, or None."""
    tracked = tracked_invoices(entry)
    if typed in tracked:
        return typed
    parsed = PROVIDERS[entry.data[CONF_PROVIDER]].parse_invoice_id(typed)
    return parsed if parsed in tracked else None


def read_ids(value: str | list[str]) -> list[str]:
    """Return the IDs in one text or in a list of them."""
    return [
        word for text in ([value] if isinstance(value, str) else value) for word in split_ids(text)
    ]


async def async_read_now(coordinator: CryptoInvoicesCoordinator, invoice_ids: list[str]) -> None:
    """Read invoices within the account's budget. Raises a HomeAssistantError."""
    account, before = coordinator.config_entry.title, coordinator.last_reading
    look = coordinator.async_hint(invoice_ids)
    if look is not None:
        await asyncio.wait((look,), timeout=READING_TIMEOUT)
        if not look.done():
            raise failure("reading_takes_long", account=account)
    if coordinator.last_reading == before:
        raise failure("not_refreshed", account=account) from coordinator.last_exception


@callback
def async_answer_all(hass: HomeAssistant, tracked: Iterable[Tracked]) -> list[JsonValueType]:
    """Return what an action tells of tracked invoices."""
    return [async_answer(hass, entry, invoice_id) for entry, invoice_id in tracked]


@callback
def async_answer(
    hass: HomeAssistant, entry: CryptoInvoicesConfigEntry, invoice_id: str
) -> JsonObjectType:
    """Return what an action tells of a tracked invoice, as it was last read.

    Where it could not be read, ``status`` is None and ``problem`` says why.
    """
    data = entry.runtime_data.data
    if invoice := data.invoices.get(invoice_id):
        return async_describe(hass, entry, invoice)
    return {
        **dict.fromkeys(async_describe(hass, entry, _UNREAD)),
        **_where(hass, entry, invoice_id),
        "problem": data.errors.get(invoice_id, "not_read_yet"),
    }


@callback
def async_describe(hass: HomeAssistant, entry: ConfigEntry, invoice: Invoice) -> JsonObjectType:
    """Return what an action tells of an invoice: amounts exact, as text, and ISO times."""
    return {**_where(hass, entry, invoice.id), "problem": None, **_describe_invoice(invoice)}


def _where(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> JsonObjectType:
    """Return where Home Assistant shows an invoice."""
    identifier = invoice_identifier(entry.entry_id, invoice_id)
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, identifier), entry.entry_id)
    return {
        ATTR_INVOICE_ID: invoice_id,
        "account": entry.title,
        ATTR_CONFIG_ENTRY_ID: entry.entry_id,
        ATTR_DEVICE_ID: device.id if device else None,
        "entity_ids": _entity_ids(hass, device, identifier),
    }


def _describe_invoice(invoice: Invoice) -> JsonObjectType:
    """Return what a provider tells of an invoice; None is what it doesn't say."""
    times = invoice.local_times
    return {
        "status": invoice.status.value,
        "provider_status": invoice.provider_status,
        "amount": _text(invoice.amount),
        "currency": invoice.currency,
        "amount_received": _text(invoice.amount_received),
        "pay_amount": _text(invoice.pay_amount),
        "pay_currency": invoice.pay_currency,
        "network": invoice.network,
        "order_id": invoice.order_id,
        "payment_url": invoice.payment_url,
        "payment_text": invoice.payment_text,
        "created_at": _time(invoice.created_at) or times.get("created_at"),
        "expires_at": _time(invoice.expires_at) or times.get("expires_at"),
        "paid_at": _time(invoice.paid_at),
        "is_test": invoice.is_test,
    }


def _entity_ids(
    hass: HomeAssistant, device: dr.AnyDeviceEntry | None, identifier: str
) -> dict[str, JsonValueType]:
    """Return the entities of an invoice: what each shows to its entity ID."""
    if device is None:
        return {}
    entities = er.async_entries_for_device(er.async_get(hass), device.id)
    return {
        entity.unique_id.removeprefix(f"{identifier}_"): entity.entity_id for entity in entities
    }


def _text(amount: Decimal | None) -> str | None:
    """Return an amount in plain digits."""
    return None if amount is None else exact(amount)


def _time(moment: datetime | None) -> str | None:
    """Return a time as ISO 8601."""
    return moment.isoformat() if moment else None
