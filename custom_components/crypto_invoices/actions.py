"""What the actions have in common: whom they mean, what they answer, and how they fail."""

from collections.abc import Iterable
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
from .coordinator import CryptoInvoicesConfigEntry, error_key
from .entity import invoice_identifier
from .invoice_ids import split_ids
from .money import exact
from .providers import PROVIDERS
from .providers.invoicing import OutcomeUnknown, PermissionMissing, Rejected
from .providers.model import Invoice, InvoiceNotFound, InvoiceStatus, ProviderError, SettingNeeded

ATTR_INVOICE_ID = "invoice_id"
ATTR_INVOICE_IDS = "invoice_ids"
# What somebody typed is repeated in an error, but not all of it.
_LONGEST_QUOTE = 80
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
    account = entry.title
    match err:
        case PermissionMissing():
            return failure("permission_missing", account=account, permission=err.permission)
        case Rejected():
            return failure("rejected", account=account, reason=quote(str(err)))
        case OutcomeUnknown():
            return failure("outcome_unknown", account=account)
        case SettingNeeded():
            return failure("setting_needed", account=account, setting=err.key)
        case InvoiceNotFound():
            return failure("this_invoice_not_found", account=account)
        case _:
            return failure(error_key(err), account=account)


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


@callback
def async_answer(hass: HomeAssistant, tracked: Iterable[Tracked]) -> list[JsonValueType]:
    """Return what an action tells of invoices."""
    return [async_describe(hass, entry, invoice_id) for entry, invoice_id in tracked]


@callback
def async_describe(
    hass: HomeAssistant, entry: CryptoInvoicesConfigEntry, invoice_id: str
) -> JsonObjectType:
    """Return a tracked invoice as it was last read: amounts exact, as text, and ISO times.

    Where it could not be read, ``status`` is None and ``problem`` says why.
    """
    data = entry.runtime_data.data
    identifier = invoice_identifier(entry.entry_id, invoice_id)
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, identifier), entry.entry_id)
    invoice = data.invoices.get(invoice_id)
    return {
        ATTR_INVOICE_ID: invoice_id,
        "account": entry.title,
        ATTR_CONFIG_ENTRY_ID: entry.entry_id,
        ATTR_DEVICE_ID: device.id if device else None,
        "entity_ids": _entity_ids(hass, device, identifier),
        "problem": None if invoice else data.errors.get(invoice_id, "not_read_yet"),
        **(_describe_invoice(invoice) if invoice else dict.fromkeys(_describe_invoice(_UNREAD))),
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
