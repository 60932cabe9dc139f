"""Actions: which there are, and those that see to what is watched."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, NamedTuple

from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.helpers import config_validation as cv
import voluptuous as vol

from .account import async_add_invoices, tracked_invoices
from .actions import (
    ATTR_INVOICE_ID,
    ATTR_INVOICE_IDS,
    ATTR_ORDER_ID,
    Tracked,
    async_answer_all,
    async_get_account,
    async_get_chosen,
    async_read_now,
    provider_failure,
    quote,
    read_ids,
    refusal,
)
from .const import DOMAIN
from .invoice_ids import Refusal, async_look_up
from .invoicing import (
    ATTR_AMOUNT,
    ATTR_CURRENCY,
    ATTR_DESCRIPTION,
    ATTR_END_DATE,
    ATTR_LIFETIME,
    ATTR_PAYMENT_METHOD,
    ATTR_START_DATE,
    async_cancel_invoice,
    async_create_invoice,
    async_get_statistics,
)
from .providers.model import InvoiceStatus, ProviderError

ATTR_STATUS = "status"

_TEXTS = vol.All(cv.ensure_list, [cv.string])
_ACCOUNT: dict[vol.Marker, object] = {vol.Required(ATTR_CONFIG_ENTRY_ID): cv.string}


async def _async_track_invoices(call: ServiceCall) -> ServiceResponse:
    """Watch invoices that exist at the provider; those that are watched already stay so."""
    entry = async_get_account(call)
    coordinator = entry.runtime_data
    words = read_ids(call.data[ATTR_INVOICE_IDS])
    if not words:
        raise refusal("nothing_chosen")
    try:
        found = await async_look_up(coordinator.provider, words, tracked_invoices(entry))
    except ProviderError as err:
        raise provider_failure(entry, err) from err
    refused = {
        quote(word): why for word, why in found.refused.items() if why is not Refusal.TRACKED
    }
    if refused:
        key, gaps = replace(found, refused=refused).refusal()
        raise refusal(key, provider=coordinator.provider.name, **gaps)
    # The account may have been unloaded meanwhile.
    async_get_account(call)
    new = async_add_invoices(call.hass, entry, found.invoices)
    await coordinator.async_begin(new)
    all_ids = [*(invoice.id for invoice in found.invoices), *found.tracked]
    added = {invoice.id for invoice in new}
    return {
        "invoices": async_answer_all(call.hass, (Tracked(entry, id_) for id_ in all_ids)),
        "already_tracked": [id_ for id_ in all_ids if id_ not in added],
    }


async def _async_untrack_invoices(call: ServiceCall) -> ServiceResponse:
    """Stop watching invoices; at the provider nothing changes."""
    chosen = async_get_chosen(
        call.hass,
        call.data.get(ATTR_DEVICE_ID, ()),
        read_ids(call.data.get(ATTR_INVOICE_IDS, [])),
    )
    if not chosen:
        raise refusal("nothing_chosen")
    answer = async_answer_all(call.hass, chosen)
    for entry, invoice_id in chosen:
        call.hass.config_entries.async_remove_subentry(entry, tracked_invoices(entry)[invoice_id])
    return {"invoices": answer}


async def _async_get_invoices(call: ServiceCall) -> ServiceResponse:
    """Tell of watched invoices as they were last read; nothing is asked for."""
    if ATTR_CONFIG_ENTRY_ID in call.data:
        entries = [async_get_account(call)]
    else:
        entries = call.hass.config_entries.async_loaded_entries(DOMAIN)
    statuses = call.data.get(ATTR_STATUS)
    if wrong := set(statuses or ()).difference(InvoiceStatus):
        raise refusal("status_invalid", status=quote(", ".join(sorted(wrong))))
    order_id = call.data.get(ATTR_ORDER_ID)
    chosen = []
    for entry in entries:
        known = entry.runtime_data.data.invoices
        for invoice_id in tracked_invoices(entry):
            invoice = known.get(invoice_id)
            if statuses is not None and (invoice is None or invoice.status not in statuses):
                continue
            if order_id is not None and (invoice is None or invoice.order_id != order_id):
                continue
            chosen.append(Tracked(entry, invoice_id))
    return {"invoices": async_answer_all(call.hass, chosen)}


async def _async_refresh(call: ServiceCall) -> ServiceResponse:
    """Read an account's open invoices now, and those that could not be read."""
    entry = async_get_account(call)
    coordinator = entry.runtime_data
    wanted = [
        id_
        for id_ in coordinator.tracked
        if id_ in coordinator.data.open or id_ not in coordinator.data.invoices
    ]
    if wanted:
        await async_read_now(coordinator, wanted)
    still_tracked = (id_ for id_ in wanted if id_ in coordinator.tracked)
    return {"invoices": async_answer_all(call.hass, (Tracked(entry, id_) for id_ in still_tracked))}


class Action(NamedTuple):
    """An action as it is registered."""

    handler: Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]
    schema: dict[vol.Marker, object]
    supports_response: SupportsResponse = SupportsResponse.OPTIONAL


ACTIONS = {
    "track_invoices": Action(
        _async_track_invoices, {**_ACCOUNT, vol.Required(ATTR_INVOICE_IDS): _TEXTS}
    ),
    "untrack_invoices": Action(
        _async_untrack_invoices,
        {vol.Optional(ATTR_DEVICE_ID): _TEXTS, vol.Optional(ATTR_INVOICE_IDS): _TEXTS},
    ),
    "get_invoices": Action(
        _async_get_invoices,
        {
            vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
            vol.Optional(ATTR_STATUS): _TEXTS,
            vol.Optional(ATTR_ORDER_ID): cv.string,
        },
        SupportsResponse.ONLY,
    ),
    "refresh": Action(_async_refresh, _ACCOUNT),
    "create_invoice": Action(
        async_create_invoice,
        {
            **_ACCOUNT,
            vol.Required(ATTR_AMOUNT): object,
            vol.Required(ATTR_CURRENCY): cv.string,
            vol.Optional(ATTR_ORDER_ID): cv.string,
            vol.Optional(ATTR_DESCRIPTION): cv.string,
            vol.Optional(ATTR_LIFETIME): object,
            vol.Optional(ATTR_PAYMENT_METHOD): cv.string,
        },
    ),
    "cancel_invoice": Action(
        async_cancel_invoice,
        {vol.Optional(ATTR_DEVICE_ID): cv.string, vol.Optional(ATTR_INVOICE_ID): cv.string},
    ),
    "get_statistics": Action(
        async_get_statistics,
        {
            **_ACCOUNT,
            vol.Required(ATTR_START_DATE): object,
            vol.Required(ATTR_END_DATE): object,
        },
        SupportsResponse.ONLY,
    ),
}


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions; they are there whether an account is loaded or not."""
    for name, action in ACTIONS.items():
        hass.services.async_register(
            DOMAIN,
            name,
            action.handler,
            schema=vol.Schema(action.schema),
            supports_response=action.supports_response,
        )
