"""What the cards ask for over Home Assistant's websocket."""

from typing import Any

from homeassistant.components.websocket_api import async_register_command
from homeassistant.components.websocket_api.connection import ActiveConnection
from homeassistant.components.websocket_api.const import ERR_NOT_FOUND
from homeassistant.components.websocket_api.decorators import async_response, websocket_command
from homeassistant.components.websocket_api.messages import event_message
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback
import voluptuous as vol

from .const import DOMAIN
from .frontend.feed import async_readable_accounts, async_start_feed
from .frontend.values import Values, async_account_values
from .qr import async_draw_link, text_to_scan
from .runtime import CryptoInvoicesConfigEntry

_CONFIG_ENTRY_ID = "config_entry_id"


@callback
def async_setup_websocket_api(hass: HomeAssistant) -> None:
    """Register the commands; they are there whether an account is loaded or not."""
    for command in (list_accounts, subscribe, qr_code):
        async_register_command(hass, command)


@websocket_command({vol.Required("type"): f"{DOMAIN}/accounts"})
@callback
def list_accounts(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """Answer which accounts there are for the user."""
    connection.send_result(
        msg["id"],
        {
            "accounts": [
                async_account_values(hass, connection.user, entry)
                for entry in async_readable_accounts(hass, connection.user, None)
            ]
        },
    )


@websocket_command(
    {
        vol.Required("type"): f"{DOMAIN}/subscribe",
        vol.Optional(_CONFIG_ENTRY_ID): str,
        vol.Optional("order_id"): str,
    }
)
@callback
def subscribe(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """Send accounts and invoices, in slices, and from then on what changes."""
    id_ = msg["id"]

    def send(values: Values) -> None:
        connection.send_message(event_message(id_, values))

    connection.send_result(id_)
    connection.subscriptions[id_] = async_start_feed(
        hass,
        connection.user,
        send,
        entry_id=msg.get(_CONFIG_ENTRY_ID),
        order_id=msg.get("order_id"),
    )


@websocket_command(
    {
        vol.Required("type"): f"{DOMAIN}/qr_code",
        vol.Required(_CONFIG_ENTRY_ID): str,
        vol.Required("invoice_id"): str,
    }
)
@async_response
async def qr_code(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """Answer what there is to scan of an invoice that can be paid now, as a text and a picture.

    The picture is None where none can be drawn.
    """
    accounts = async_readable_accounts(hass, connection.user, msg[_CONFIG_ENTRY_ID])
    text = next((_text_to_scan(entry, msg["invoice_id"]) for entry in accounts), None)
    if text is None:
        connection.send_error(msg["id"], ERR_NOT_FOUND, "There is nothing to pay")
        return
    connection.send_result(msg["id"], {"text": text, "image": await async_draw_link(hass, text)})


def _text_to_scan(entry: CryptoInvoicesConfigEntry, invoice_id: str) -> str | None:
    """Return what there is to scan of an invoice, nothing while nobody would see it be paid."""
    if entry.state is not ConfigEntryState.LOADED:
        return None
    coordinator = entry.runtime_data.coordinator
    one = coordinator.data.get(invoice_id)
    if one is None or one.invoice is None or not coordinator.last_update_success:
        return None
    return text_to_scan(one.invoice)
