"""Actions: which there are, and who may run them."""

from collections.abc import Callable, Coroutine
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
from homeassistant.helpers.service import async_register_admin_service
import voluptuous as vol

from .actions.common import ATTR_INVOICE_ID, ATTR_INVOICE_IDS, ATTR_ORDER_ID
from .actions.fulfilling import ATTR_ANNOUNCEMENT_ID, async_fulfill
from .actions.ready import ATTR_READY
from .actions.till import (
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
from .actions.wallets import ATTR_IDENTIFY, async_create_static_wallet
from .actions.watching import (
    ATTR_STATUS,
    async_get_invoices,
    async_refresh,
    async_track_invoices,
    async_untrack_invoices,
)
from .const import DOMAIN

_TEXTS = vol.All(cv.ensure_list, [cv.string])
_ACCOUNT: dict[vol.Marker, object] = {vol.Required(ATTR_CONFIG_ENTRY_ID): cv.string}


class Action(NamedTuple):
    """An action as it is registered."""

    handler: Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]
    schema: dict[vol.Marker, object]
    supports_response: SupportsResponse = SupportsResponse.OPTIONAL
    is_for_admins: bool = False
    """Others have to be allowed to control the account's entities."""


ACTIONS = {
    "track_invoices": Action(
        async_track_invoices,
        {**_ACCOUNT, vol.Required(ATTR_INVOICE_IDS): _TEXTS},
        is_for_admins=True,
    ),
    "untrack_invoices": Action(
        async_untrack_invoices,
        {vol.Optional(ATTR_DEVICE_ID): _TEXTS, vol.Optional(ATTR_INVOICE_IDS): _TEXTS},
        is_for_admins=True,
    ),
    "get_invoices": Action(
        async_get_invoices,
        {
            vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
            vol.Optional(ATTR_STATUS): _TEXTS,
            vol.Optional(ATTR_ORDER_ID): cv.string,
        },
        SupportsResponse.ONLY,
    ),
    "refresh": Action(async_refresh, _ACCOUNT),
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
            vol.Optional(ATTR_READY): cv.entity_ids,
        },
    ),
    "fulfill": Action(
        async_fulfill,
        {
            vol.Optional(ATTR_ANNOUNCEMENT_ID): cv.string,
            vol.Optional(ATTR_DEVICE_ID): cv.string,
            vol.Optional(ATTR_INVOICE_ID): cv.string,
        },
    ),
    "cancel_invoice": Action(
        async_cancel_invoice,
        {vol.Optional(ATTR_DEVICE_ID): cv.string, vol.Optional(ATTR_INVOICE_ID): cv.string},
    ),
    "create_static_wallet": Action(
        async_create_static_wallet,
        {
            **_ACCOUNT,
            vol.Required(ATTR_CURRENCY): cv.string,
            vol.Required(ATTR_IDENTIFY): cv.string,
        },
        SupportsResponse.ONLY,
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
        schema = vol.Schema(action.schema)
        if action.is_for_admins:
            async_register_admin_service(
                hass, DOMAIN, name, action.handler, schema, action.supports_response
            )
        else:
            hass.services.async_register(
                DOMAIN, name, action.handler, schema, action.supports_response
            )
