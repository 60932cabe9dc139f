"""Accounts and invoices as the cards show them: plain values, and only what is known."""

from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

from homeassistant.auth.models import User
from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback

from ..book.record import Money, Record, as_asked
from ..clients import provider_name
from ..errors import error_key
from ..money import exact
from ..permissions import async_is_allowed
from ..providers.capabilities import CanCancelInvoice, CanCreateInvoice
from ..providers.model import Invoice
from ..qr import text_to_scan
from ..reading.watched import Watched
from ..runtime import CryptoInvoicesConfigEntry

type Values = dict[str, Any]


@callback
def async_account_values(
    hass: HomeAssistant, user: User, entry: CryptoInvoicesConfigEntry
) -> Values:
    """Return what a user may know of an account, and do with it."""
    is_loaded = entry.state is ConfigEntryState.LOADED
    provider = entry.runtime_data.provider if is_loaded else None
    may_control = async_is_allowed(hass, user, entry, POLICY_CONTROL)
    return {
        "config_entry_id": entry.entry_id,
        "title": entry.title,
        "provider": provider_name(entry.data),
        "is_loaded": is_loaded,
        "is_available": is_loaded and entry.runtime_data.coordinator.last_update_success,
        "can_create": may_control and isinstance(provider, CanCreateInvoice),
        "takes_description": "description" in getattr(provider, "supported_fields", ()),
        "can_cancel": may_control and isinstance(provider, CanCancelInvoice),
        "can_fulfill": may_control and is_loaded,
        "to_fulfill": is_loaded and entry.runtime_data.fulfillment.is_shown,
        "can_untrack": user.is_admin,
    }


def watched_values(entry_id: str, name: str, one: Watched) -> Values:
    """Return a watched invoice: what the book says, and what was last read of it."""
    invoice = as_asked(one.record, one.invoice) if one.invoice is not None else None
    problem = error_key(one.error) if one.error is not None else None
    return _values(entry_id, name, one.record, invoice) | _told({"problem": problem})


def record_values(entry_id: str, name: str, record: Record) -> Values:
    """Return an invoice that is no longer read."""
    return _values(entry_id, name, record, None)


def _values(entry_id: str, name: str, record: Record, invoice: Invoice | None) -> Values:
    """Return a record, and what its provider says beyond it."""
    values = {
        "account": entry_id,
        "id": record.id,
        "name": name,
        "status": record.status.value,
        **_amount("", record.asked),
        **_amount("received_", record.received),
        **_amount("missing_", record.missing),
        **_amount("brought_", record.brought),
        "created_at": record.created_at or record.paid_at or record.ended_at,
        "expires_at": record.expires_at,
        "paid_at": record.paid_at,
        "payment_url": record.payment_url,
        "is_test": record.is_test or None,
        "is_owed": record.is_owed or None,
    }
    if invoice is not None:
        values |= {
            "pay_amount": invoice.pay_amount,
            "pay_currency": invoice.pay_currency,
            "network": invoice.network,
            "payment_url": invoice.payment_url or record.payment_url,
            "code": _mark(text_to_scan(invoice)),
        }
    return _told(values)


def _amount(prefix: str, money: Money | None) -> Values:
    """Return an amount with its currency."""
    if money is None:
        return {}
    return {f"{prefix}amount": money.amount, f"{prefix}currency": money.currency}


def _mark(text: str | None) -> str | None:
    """Return another mark for another QR code."""
    return sha256(text.encode()).hexdigest()[:8] if text else None


def _told(values: Values) -> Values:
    """Return what is known: amounts exact, as text, and ISO times."""
    told: Values = {}
    for key, value in values.items():
        match value:
            case None:
                continue
            case Decimal():
                told[key] = exact(value)
            case datetime():
                told[key] = value.isoformat()
            case _:
                told[key] = value
    return told
