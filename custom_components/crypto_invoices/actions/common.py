"""What the actions have in common: whom they mean, what they answer, and how they fail."""

import asyncio
from collections.abc import Iterable
from itertools import batched
from typing import NamedTuple

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.exceptions import (
    HomeAssistantError,
    ServiceValidationError,
    Unauthorized,
    UnknownUser,
)
from homeassistant.helpers import device_registry as dr, entity_registry as er, service
from homeassistant.util.json import JsonObjectType, JsonValueType

from ..book.record import as_asked
from ..const import CONF_PROVIDER, DOMAIN
from ..coordinator import CryptoInvoicesCoordinator
from ..errors import action_error, error_key, quote
from ..identifiers import (
    invoice_device,
    invoice_identifier,
    invoice_of_device,
    part_after,
)
from ..invoice_values import answer_values
from ..lookup import split_ids
from ..permissions import async_is_allowed
from ..providers import PROVIDERS
from ..providers.capabilities import NoLongerOpen
from ..providers.model import Invoice, InvoiceStatus, ProviderError, SettingNeeded
from ..providers.new_invoice import InvalidField
from ..runtime import CryptoInvoicesConfigEntry
from ..texts import translated

ATTR_INVOICE_ID = "invoice_id"
ATTR_INVOICE_IDS = "invoice_ids"
ATTR_ORDER_ID = "order_id"
# A reading that takes longer continues in the background.
READING_TIMEOUT = 30
_ANSWERED_AT_ONCE = 100
_UNREAD = Invoice(id="", status=InvoiceStatus.UNKNOWN, provider_status="")


class Chosen(NamedTuple):
    """A watched invoice of an account that is loaded."""

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


def provider_failure(
    call: ServiceCall, entry: ConfigEntry, err: ProviderError
) -> HomeAssistantError:
    """Return the translated error for what a provider said to an action.

    It is about the action alone: whether a key has stopped working is for polling to find out.
    """
    make = refusal if isinstance(err, InvalidField | NoLongerOpen) else failure
    key, details = action_error(err)
    if isinstance(err, InvalidField):
        details["field"] = field_label(call, err.field)
    if isinstance(err, SettingNeeded):
        details["setting"] = setting_label(call.hass, err.key)
    return make(key, account=entry.title, **details)


def field_label(call: ServiceCall, field: str) -> str:
    """Return what a field of an action is called where it is filled in."""
    return translated(call.hass, f"services.{call.service}.fields.{field}.name")


def setting_label(hass: HomeAssistant, key: str) -> str:
    """Return what a setting of an account is called where it is changed."""
    return translated(hass, f"config.step.reconfigure.data.{key}")


async def async_get_account(call: ServiceCall) -> CryptoInvoicesConfigEntry:
    """Return the account that an action is for.

    Raises a ServiceValidationError, or Unauthorized for who may not control the account.
    """
    entry: CryptoInvoicesConfigEntry = service.async_get_config_entry(
        call.hass, DOMAIN, call.data[ATTR_CONFIG_ENTRY_ID]
    )
    if not await async_may_control(call, entry):
        raise Unauthorized(context=call.context, permission=POLICY_CONTROL)
    return entry


async def async_may_control(call: ServiceCall, entry: ConfigEntry) -> bool:
    """Whether whoever runs an action may control an entity of the account's device."""
    if call.context.user_id is None:
        return True
    if (user := await call.hass.auth.async_get_user(call.context.user_id)) is None:
        raise UnknownUser(context=call.context, permission=POLICY_CONTROL)
    return async_is_allowed(call.hass, user, entry, POLICY_CONTROL)


@callback
def async_get_chosen(
    hass: HomeAssistant, device_ids: Iterable[str], invoice_ids: Iterable[str]
) -> list[Chosen]:
    """Return the watched invoices that devices and IDs stand for, each once.

    Raises a ServiceValidationError if one of them is not watched, or its account not loaded.
    """
    chosen = [_by_device(hass, device_id) for device_id in device_ids]
    chosen += [_by_id(hass, invoice_id) for invoice_id in invoice_ids]
    return list(dict.fromkeys(chosen))


def _by_device(hass: HomeAssistant, device_id: str) -> Chosen:
    """Return the invoice of a device."""
    device, entry = service.async_get_device_and_config_entry(hass, DOMAIN, device_id)
    invoice_id = invoice_of_device(entry.entry_id, device.identifiers)
    if invoice_id is not None and invoice_id in entry.runtime_data.book.records:
        return Chosen(entry, invoice_id)
    raise refusal("not_an_invoice", device=device.name_by_user or device.name or device_id)


def _by_id(hass: HomeAssistant, typed: str) -> Chosen:
    """Return the invoice with an ID, in whatever way its provider lets it be written."""
    entries = [
        (entry, invoice_id)
        for entry in hass.config_entries.async_entries(DOMAIN, include_disabled=False)
        if (invoice_id := _find_id(hass, entry, typed)) is not None
    ]
    if not entries:
        raise refusal("not_tracked", invoice=quote(typed))
    if len(entries) > 1:
        raise refusal("tracked_by_several", invoice=quote(typed))
    [(entry, invoice_id)] = entries
    loaded: CryptoInvoicesConfigEntry = service.async_get_config_entry(hass, DOMAIN, entry.entry_id)
    return Chosen(loaded, invoice_id)


def _find_id(hass: HomeAssistant, entry: ConfigEntry, typed: str) -> str | None:
    """Return the watched invoice that an ID stands for in an account, or None."""
    provider = PROVIDERS.get(entry.data[CONF_PROVIDER])
    parsed = provider.parse_invoice_id(typed) if provider else None
    for invoice_id in (typed, parsed):
        if invoice_id is not None and _is_watched(hass, entry, invoice_id):
            return invoice_id
    return None


def _is_watched(hass: HomeAssistant, entry: CryptoInvoicesConfigEntry, invoice_id: str) -> bool:
    """Whether an invoice is watched, as far as that is known of an account that isn't loaded."""
    if entry.state is ConfigEntryState.LOADED:
        return invoice_id in entry.runtime_data.book.records
    device = dr.async_get(hass).async_get_device_by_identifier(
        invoice_device(entry.entry_id, invoice_id), entry.entry_id
    )
    return device is not None


def read_ids(value: str | list[str]) -> list[str]:
    """Return the IDs in one text or in a list of them."""
    return [
        word for text in ([value] if isinstance(value, str) else value) for word in split_ids(text)
    ]


async def async_read_now(coordinator: CryptoInvoicesCoordinator, invoice_ids: list[str]) -> None:
    """Read invoices within the account's budget. Raises a HomeAssistantError."""
    account = coordinator.config_entry.title
    if not (readings := coordinator.async_hint(invoice_ids)):
        return
    await asyncio.wait(readings, timeout=READING_TIMEOUT)
    if not all(reading.done() for reading in readings):
        raise failure("reading_takes_long", account=account)
    errors = [reading.result() for reading in readings]
    if all(errors):
        raise failure("not_refreshed", account=account) from errors[0]


async def async_read_open(coordinator: CryptoInvoicesCoordinator) -> list[str]:
    """Read an account's open invoices now, and those that could not be read; return their IDs.

    Raises a HomeAssistantError.
    """
    wanted = [
        id_
        for id_, one in coordinator.data.items()
        if one.record.status.is_open or one.invoice is None
    ]
    if wanted:
        await async_read_now(coordinator, wanted)
    return wanted


async def async_answer_all(hass: HomeAssistant, chosen: Iterable[Chosen]) -> list[JsonValueType]:
    """Return what an action answers of watched invoices, a few at a time."""
    answers: list[JsonValueType] = []
    for some in batched(chosen, _ANSWERED_AT_ONCE, strict=False):
        answers += [async_answer(hass, entry, invoice_id) for entry, invoice_id in some]
        await asyncio.sleep(0)
    return answers


@callback
def async_answer(
    hass: HomeAssistant, entry: CryptoInvoicesConfigEntry, invoice_id: str
) -> JsonObjectType:
    """Return what an action answers of a watched invoice, as it was last read.

    Where it could not be read, ``status`` is None and ``problem`` says why.
    """
    # While others had their turn, the account may have been unloaded.
    is_loaded = entry.state is ConfigEntryState.LOADED
    one = entry.runtime_data.coordinator.data.get(invoice_id) if is_loaded else None
    if one is not None and one.invoice is not None:
        return async_describe(hass, entry, as_asked(one.record, one.invoice))
    return {
        **dict.fromkeys(async_describe(hass, entry, _UNREAD)),
        **_where(hass, entry, invoice_id),
        "problem": error_key(one.error) if one is not None and one.error else "not_read_yet",
    }


@callback
def async_describe(hass: HomeAssistant, entry: ConfigEntry, invoice: Invoice) -> JsonObjectType:
    """Return what an action answers of an invoice: amounts exact, as text, and ISO times."""
    return {**_where(hass, entry, invoice.id), "problem": None, **answer_values(invoice)}


def _where(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> JsonObjectType:
    """Return where Home Assistant shows an invoice."""
    device = dr.async_get(hass).async_get_device_by_identifier(
        invoice_device(entry.entry_id, invoice_id), entry.entry_id
    )
    return {
        ATTR_INVOICE_ID: invoice_id,
        "account": entry.title,
        ATTR_CONFIG_ENTRY_ID: entry.entry_id,
        ATTR_DEVICE_ID: device.id if device else None,
        "entity_ids": _entity_ids(hass, device, invoice_identifier(entry.entry_id, invoice_id)),
    }


def _entity_ids(
    hass: HomeAssistant, device: dr.AnyDeviceEntry | None, identifier: str
) -> dict[str, JsonValueType]:
    """Return the entities of an invoice: what each shows to its entity ID."""
    if device is None:
        return {}
    entities = er.async_entries_for_device(er.async_get(hass), device.id)
    return {
        key: entity.entity_id
        for entity in entities
        if (key := part_after(identifier, entity.unique_id)) is not None
    }
