"""The action that says that what was paid for is fulfilled."""

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.const import ATTR_CONFIG_ENTRY_ID, ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, callback
from homeassistant.exceptions import Unauthorized

from ..const import DOMAIN
from ..errors import quote
from .common import ATTR_INVOICE_ID, Chosen, async_get_chosen, async_may_control, refusal

ATTR_ANNOUNCEMENT_ID = "announcement_id"


async def async_fulfill(call: ServiceCall) -> ServiceResponse:
    """Fulfill what an invoice was paid for, or say that it was."""
    entry, invoice_id = _get_chosen(call)
    if not await async_may_control(call, entry):
        raise Unauthorized(context=call.context, permission=POLICY_CONTROL)
    account = entry.runtime_data
    record = account.book.records[invoice_id]
    if not record.status.is_paid and not record.item:
        raise refusal("not_paid", account=entry.title)
    is_news = await account.fulfillment.async_fulfill(invoice_id)
    item = record.item
    return {
        "account": entry.title,
        ATTR_CONFIG_ENTRY_ID: entry.entry_id,
        ATTR_INVOICE_ID: invoice_id,
        ATTR_ANNOUNCEMENT_ID: item.announcement_id if item else None,
        "fulfilled_at": item.fulfilled_at.isoformat() if item and item.fulfilled_at else None,
        "was_open": is_news,
    }


@callback
def _get_chosen(call: ServiceCall) -> Chosen:
    """Return the invoice that is meant. Raises a ServiceValidationError."""
    given = {key: text for key, value in call.data.items() if (text := value.strip())}
    if len(given) != 1:
        raise refusal("choose_one_payment")
    if announcement_id := given.get(ATTR_ANNOUNCEMENT_ID):
        return _by_announcement(call.hass, announcement_id)
    device_ids, invoice_ids = (
        [given[key]] if key in given else [] for key in (ATTR_DEVICE_ID, ATTR_INVOICE_ID)
    )
    [chosen] = async_get_chosen(call.hass, device_ids, invoice_ids)
    return chosen


def _by_announcement(hass: HomeAssistant, announcement_id: str) -> Chosen:
    """Return the invoice whose payment has an announcement ID."""
    for entry in hass.config_entries.async_loaded_entries(DOMAIN):
        if record := entry.runtime_data.book.items.find(announcement_id):
            return Chosen(entry, record.id)
    raise refusal("payment_unknown", payment=quote(announcement_id))
