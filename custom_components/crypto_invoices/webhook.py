"""Hints in: from a provider's push to the coordinator, one webhook per account."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from http import HTTPStatus
import logging
from types import ModuleType
from typing import TYPE_CHECKING, Any

from aiohttp.hdrs import METH_POST
from aiohttp.web import Request, RequestPayloadError, Response
from homeassistant.components import webhook
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_URL, CONF_WEBHOOK_ID
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later, async_track_time_interval
from homeassistant.helpers.network import NoURLAvailableError
from homeassistant.helpers.start import async_at_started
from homeassistant.util import dt as dt_util

from .account import async_create_provider
from .address import is_in_own_network
from .const import CONF_CLOUDHOOK_URL, DOMAIN
from .coordinator import CryptoInvoicesConfigEntry, CryptoInvoicesCoordinator
from .issues import WEBHOOK_REFUSED, async_create_issue, async_delete_issue
from .providers.model import ProviderError, ProviderUnavailable, RateLimited
from .providers.push import CanPush, CanRegisterWebhook, PushRefused, Refusal

if TYPE_CHECKING:
    from homeassistant.components.cloud import CloudConnectionState

_LOGGER = logging.getLogger(__name__)

# No honest push is larger, or takes longer to arrive.
MAX_BODY_BYTES = 64 * 1024
BODY_TIMEOUT = 10
# Refused pushes are logged at once and then in one line for so many seconds.
LOG_INTERVAL = 15 * 60

# How often to look whether what was registered at a provider is still there.
REGISTER_INTERVAL = timedelta(hours=6)
# After so many refusals in a row somebody has to look after it.
REFUSED_FOR_LONG = 2

_STATUS = {
    Refusal.MALFORMED: HTTPStatus.BAD_REQUEST,
    Refusal.SIGNATURE: HTTPStatus.UNAUTHORIZED,
}


async def async_setup_webhook(hass: HomeAssistant, coordinator: CryptoInvoicesCoordinator) -> None:
    """Listen for an account's pushes, if its provider makes any that can be believed."""
    provider = coordinator.provider
    if not isinstance(provider, CanPush):
        return
    if not provider.accepts_push and not isinstance(provider, CanRegisterWebhook):
        return
    manager = WebhookManager(hass, coordinator, provider)
    coordinator.push_diagnostics = manager.diagnostics
    coordinator.async_register_webhook = manager.async_try_again
    await manager.async_setup()


class WebhookManager:
    """Owns the webhook of an account, from its set-up to its unloading."""

    def __init__(
        self, hass: HomeAssistant, coordinator: CryptoInvoicesCoordinator, provider: CanPush
    ) -> None:
        """Count from nothing."""
        self._hass = hass
        self._coordinator = coordinator
        self._entry: CryptoInvoicesConfigEntry = coordinator.config_entry
        self._provider = provider
        self._seen_deliveries: dict[str, None] = {}
        self._not_logged: Counter[str] = Counter()
        self._stop_logging: CALLBACK_TYPE | None = None
        self.registrations_refused = 0
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self.last_accepted: datetime | None = None

    def diagnostics(self) -> dict[str, Any]:
        """Return what may be shared of the pushes."""
        return {
            "accepted": self.accepted,
            "refused": dict(self.refused),
            "last_accepted": self.last_accepted,
            "registrations_refused": self.registrations_refused,
            "has_cloudhook": CONF_CLOUDHOOK_URL in self._entry.data,
        }

    async def async_setup(self) -> None:
        """Listen, until the account is unloaded."""
        webhook_id = self._entry.data[CONF_WEBHOOK_ID]
        webhook.async_register(
            self._hass,
            DOMAIN,
            self._entry.title,
            webhook_id,
            self._async_handle,
            allowed_methods=[METH_POST],
        )
        self._entry.async_on_unload(lambda: webhook.async_unregister(self._hass, webhook_id))
        self._entry.async_on_unload(self._log_summary)
        self._entry.async_on_unload(async_at_started(self._hass, self._async_started))
        self._entry.async_on_unload(
            async_track_time_interval(self._hass, self._async_register, REGISTER_INTERVAL)
        )

    async def _async_started(self, hass: HomeAssistant) -> None:
        """Get a cloudhook now or when there is a connection: by now, what is loaded is loaded."""
        if cloud := _loaded_cloud(hass):
            self._entry.async_on_unload(
                cloud.async_listen_connection_change(hass, self._cloud_connection_changed)
            )
            await async_ensure_cloudhook(hass, self._entry)
        await self._async_register()

    async def _async_register(self, now: datetime | None = None) -> None:
        """Tell the provider where to post, where it can be told; put back what was deleted."""
        address = webhook_address(self._hass, self._entry.data)
        if address is None or not isinstance(self._provider, CanRegisterWebhook):
            self._note_registration(None)
            return
        try:
            settings = await self._provider.async_register_webhook(address)
        except ProviderError as err:
            _LOGGER.debug("%s: can't register the webhook: %r", self._entry.title, err)
            self._note_registration(err)
            return
        self._note_registration(None)
        if not settings.items() <= self._entry.data.items():
            self._hass.config_entries.async_update_entry(
                self._entry, data={**self._entry.data, **settings}
            )

    @callback
    def _note_registration(self, error: ProviderError | None) -> None:
        """Say it when the provider, which is there, will not post to us for long."""
        if isinstance(error, ProviderUnavailable | RateLimited):
            return
        self.registrations_refused = 0 if error is None else self.registrations_refused + 1
        if self._coordinator.announcer.is_stopped:
            return
        if error is None:
            async_delete_issue(self._hass, self._entry, WEBHOOK_REFUSED)
        elif self.registrations_refused >= REFUSED_FOR_LONG:
            async_create_issue(self._hass, self._entry, WEBHOOK_REFUSED)

    async def async_try_again(self) -> bool:
        """Register now, as a user asks for; return whether all is well."""
        await self._async_register()
        return not self.registrations_refused

    async def _async_handle(
        self, hass: HomeAssistant, webhook_id: str, request: Request
    ) -> Response:
        """Answer a push; what it hints at is read in the background."""
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                body = await _async_read_body(request)
        except TimeoutError:
            return self._refuse("slow", HTTPStatus.REQUEST_TIMEOUT)
        except RequestPayloadError:
            # It isn't compressed the way it claims to be.
            return self._refuse(Refusal.MALFORMED.value, HTTPStatus.BAD_REQUEST)
        if body is None:
            return self._refuse("too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            hint = self._provider.parse_push(request.headers, body)
        except PushRefused as err:
            return self._refuse(err.reason.value, _STATUS[err.reason])
        self.accepted += 1
        self.last_accepted = dt_util.utcnow()
        if not self._is_repeated(hint.delivery_id):
            self._coordinator.async_hint(hint.invoice_ids)
        return Response()

    def _is_repeated(self, delivery_id: str | None) -> bool:
        """Whether this delivery came before."""
        if delivery_id is None:
            return False
        if delivery_id in self._seen_deliveries:
            return True
        self._seen_deliveries[delivery_id] = None
        if len(self._seen_deliveries) > 1000:
            del self._seen_deliveries[next(iter(self._seen_deliveries))]
        return False

    @callback
    def _refuse(self, reason: str, status: HTTPStatus) -> Response:
        """Count a push that is not believed, and log the first of many."""
        self.refused[reason] += 1
        if self._stop_logging is None:
            _LOGGER.warning(
                "%s: refused a push (%s); more of them are counted", self._entry.title, reason
            )
            self._stop_logging = async_call_later(self._hass, LOG_INTERVAL, self._log_interval_over)
        else:
            self._not_logged[reason] += 1
        return Response(status=status)

    @callback
    def _log_interval_over(self, now: datetime) -> None:
        """Log what came in the interval, and the next refusal at once."""
        self._log_summary()

    @callback
    def _log_summary(self) -> None:
        """Log how many pushes were refused since the last line."""
        if self._stop_logging is not None:
            self._stop_logging()
            self._stop_logging = None
        if self._not_logged:
            _LOGGER.warning(
                "%s: refused %s more pushes: %s",
                self._entry.title,
                self._not_logged.total(),
                dict(self._not_logged),
            )
            self._not_logged.clear()

    @callback
    def _cloud_connection_changed(self, state: CloudConnectionState) -> None:
        """Get a cloudhook once there is a connection."""
        self._entry.async_create_task(
            self._hass, async_ensure_cloudhook(self._hass, self._entry), "cloudhook"
        )


async def _async_read_body(request: Request) -> bytes | None:
    """Return the body, or None if it is too large; cloudhooks have only ``read`` to offer."""
    content, body = request.content, bytearray()
    while chunk := await content.read(MAX_BODY_BYTES):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


@callback
def _loaded_cloud(hass: HomeAssistant) -> ModuleType | None:
    """Return Home Assistant Cloud where it is loaded; importing it elsewhere needs a lot."""
    if "cloud" not in hass.config.components:
        return None
    from homeassistant.components import cloud

    return cloud


async def async_ensure_cloudhook(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Make and keep a cloudhook where Home Assistant Cloud is there."""
    cloud = _loaded_cloud(hass)
    if CONF_CLOUDHOOK_URL in entry.data or not (
        cloud and cloud.async_active_subscription(hass) and cloud.async_is_connected(hass)
    ):
        return
    with suppress(cloud.CloudNotAvailable):
        url = await cloud.async_get_or_create_cloudhook(hass, entry.data[CONF_WEBHOOK_ID])
        hass.config_entries.async_update_entry(entry, data={**entry.data, CONF_CLOUDHOOK_URL: url})


async def async_remove_webhook(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Take back what was made for the webhook of an account that is removed."""
    provider = await async_create_provider(hass, entry.data)
    if isinstance(provider, CanRegisterWebhook):
        with suppress(ProviderError):
            await provider.async_remove_webhook()
    cloud = _loaded_cloud(hass)
    if cloud and CONF_CLOUDHOOK_URL in entry.data:
        with suppress(cloud.CloudNotAvailable, ValueError):
            await cloud.async_delete_cloudhook(hass, entry.data[CONF_WEBHOOK_ID])


@callback
def webhook_address(hass: HomeAssistant, data: Mapping[str, Any]) -> str | None:
    """Return the address that the provider can reach, or None: that is normal."""
    if url := data.get(CONF_CLOUDHOOK_URL):
        return str(url)
    with suppress(NoURLAvailableError):
        return webhook.async_generate_url(
            hass,
            data[CONF_WEBHOOK_ID],
            allow_internal=is_in_own_network(data[CONF_URL]),
            prefer_external=True,
        )
    return None
