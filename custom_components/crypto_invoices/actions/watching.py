"""Actions that see to what is watched."""

from dataclasses import replace

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import ServiceCall, ServiceResponse

from ..book.database import StorageError
from ..const import DOMAIN
from ..errors import quote
from ..lookup import NotAccepted, async_look_up
from ..providers.model import InvoiceStatus, ProviderError
from ..watching import async_unwatch, async_watch, with_devices
from .common import (
    ATTR_INVOICE_IDS,
    ATTR_ORDER_ID,
    Chosen,
    async_answer_all,
    async_get_account,
    async_get_chosen,
    async_may_control,
    async_read_open,
    failure,
    provider_failure,
    read_ids,
    refusal,
)

ATTR_STATUS = "status"


async def async_track_invoices(call: ServiceCall) -> ServiceResponse:
    """Watch invoices that exist at the provider; those that are watched already stay so."""
    entry = await async_get_account(call)
    account = entry.runtime_data
    words = read_ids(call.data[ATTR_INVOICE_IDS])
    if not words:
        raise refusal("nothing_chosen")
    try:
        found = await async_look_up(account.provider, words, with_devices(account.book))
    except ProviderError as err:
        raise provider_failure(call, entry, err) from err
    not_accepted = {
        quote(word): why
        for word, why in found.not_accepted.items()
        if why is not NotAccepted.TRACKED
    }
    if not_accepted:
        # One reason at a time: the others are said when these IDs are right.
        key, gaps = replace(found, not_accepted=not_accepted).errors()[0]
        provider = account.provider
        raise refusal(key, provider=provider.name, example=provider.id_example, **gaps)
    # The account may have been reloaded meanwhile.
    coordinator = (await async_get_account(call)).runtime_data.coordinator
    try:
        new = await async_watch(coordinator, found.invoices)
    except StorageError as err:
        raise failure("book_unavailable", account=entry.title, reason=str(err)) from err
    all_ids = [*(invoice.id for invoice in found.invoices), *found.tracked]
    added = {invoice.id for invoice in new}
    return {
        "invoices": await async_answer_all(call.hass, (Chosen(entry, id_) for id_ in all_ids)),
        "already_tracked": [id_ for id_ in all_ids if id_ not in added],
    }


async def async_untrack_invoices(call: ServiceCall) -> ServiceResponse:
    """Stop watching invoices; at the provider nothing changes."""
    chosen = async_get_chosen(
        call.hass,
        call.data.get(ATTR_DEVICE_ID, ()),
        read_ids(call.data.get(ATTR_INVOICE_IDS, [])),
    )
    if not chosen:
        raise refusal("nothing_chosen")
    answer = await async_answer_all(call.hass, chosen)
    for entry in dict.fromkeys(entry for entry, _ in chosen):
        if entry.state is not ConfigEntryState.LOADED:
            raise failure("account_not_loaded", account=entry.title)
        await async_unwatch(
            entry.runtime_data.coordinator, [id_ for other, id_ in chosen if other is entry]
        )
    return {"invoices": answer}


async def async_get_invoices(call: ServiceCall) -> ServiceResponse:
    """Return watched invoices as they were last read; nothing is asked for."""
    if ATTR_CONFIG_ENTRY_ID in call.data:
        entries = [await async_get_account(call)]
    else:
        loaded = call.hass.config_entries.async_loaded_entries(DOMAIN)
        entries = [entry for entry in loaded if await async_may_control(call, entry)]
    statuses = call.data.get(ATTR_STATUS)
    if wrong := set(statuses or ()).difference(InvoiceStatus):
        raise refusal("status_invalid", status=quote(", ".join(sorted(wrong))))
    order_id = call.data.get(ATTR_ORDER_ID)
    chosen = []
    for entry in entries:
        for invoice_id, one in entry.runtime_data.coordinator.data.items():
            invoice = one.invoice
            if statuses is not None and (invoice is None or invoice.status not in statuses):
                continue
            if order_id is not None and (invoice is None or invoice.order_id != order_id):
                continue
            chosen.append(Chosen(entry, invoice_id))
    return {"invoices": await async_answer_all(call.hass, chosen)}


async def async_refresh(call: ServiceCall) -> ServiceResponse:
    """Read an account's open invoices now, and those that could not be read."""
    entry = await async_get_account(call)
    coordinator = entry.runtime_data.coordinator
    wanted = await async_read_open(coordinator)
    still_watched = [Chosen(entry, id_) for id_ in wanted if id_ in coordinator.data]
    return {"invoices": await async_answer_all(call.hass, still_watched)}
