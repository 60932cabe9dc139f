"""Hints from a provider's pushes: one webhook per account."""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from http import HTTPStatus
import logging
from typing import Any

from aiohttp.hdrs import METH_GET, METH_POST, METH_PUT
from aiohttp.web import Request, Response
from homeassistant.components import webhook
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_WEBHOOK_ID, EVENT_CORE_CONFIG_UPDATE
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers.start import async_at_started
from homeassistant.util import dt as dt_util

from ..book.book import Book
from ..book.database import StorageError
from ..const import CONF_CLOUDHOOK_URL, DOMAIN
from ..issues import WEBHOOK_MOVED, async_create_issue, async_delete_issue
from ..providers.model import Invoice
from ..providers.provider import fingerprint
from ..providers.push import CanPush, Hint, PushRejected, RejectReason
from ..reading.timer import Timer
from .address import webhook_address
from .body import BodyRejected, async_read_body
from .cloudhook import async_ensure_cloudhook, async_follow_cloud
from .registration import Registration

_LOGGER = logging.getLogger(__name__)

# Rejected pushes are logged immediately and then in one line for this many seconds.
LOG_INTERVAL = 15 * 60
# Those that Home Assistant would refuse itself, and log the address with, which is a secret.
_METHODS = frozenset({METH_GET, METH_POST, METH_PUT})
# This many deliveries are remembered, to know one that is made again.
_MOST_DELIVERIES = 1000
_STATUS = {
    RejectReason.MALFORMED: HTTPStatus.BAD_REQUEST,
    RejectReason.SIGNATURE: HTTPStatus.UNAUTHORIZED,
}
# A fingerprint of the address that the last push came to, which somebody entered by hand: the
# address itself may be the only secret there is.
_PUSHED_TO = "pushed_to"


class WebhookManager:
    """Owns the webhook of an account while it is loaded."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        provider: CanPush,
        registration: Registration | None,
        *,
        hint: Callable[[Hint], object],
        deposit: Callable[[Invoice], Awaitable[bool]],
        book: Book,
    ) -> None:
        """Begin unregistered.

        ``hint`` has invoices read that may have changed, ``deposit`` takes what can't be read
        and returns whether it did.
        """
        self._book = book
        self._deposit = deposit
        self._hass = hass
        self._entry = entry
        self._provider = provider
        self._hint = hint
        self._seen_deliveries: dict[str, None] = {}
        self._not_logged: Counter[str] = Counter()
        self._log_timer = Timer(hass, f"{DOMAIN} {entry.title} rejected pushes", self._log_summary)
        self._address: str | None = None
        self.registration = registration
        """None where the address is entered by hand."""
        self.accepted = 0
        self.rejected: Counter[str] = Counter()
        self.last_accepted: datetime | None = None

    def diagnostics(self) -> dict[str, Any]:
        """Return what may be shared of the pushes."""
        return {
            "accepted": self.accepted,
            "rejected": dict(self.rejected),
            "last_accepted": self.last_accepted,
            "registrations_refused": self.registration.refused if self.registration else 0,
            "has_cloudhook": CONF_CLOUDHOOK_URL in self._entry.data,
        }

    @callback
    def async_start(self) -> None:
        """Listen, until the account is unloaded."""
        hass, entry, webhook_id = self._hass, self._entry, self._entry.data[CONF_WEBHOOK_ID]
        webhook.async_register(
            hass,
            DOMAIN,
            entry.title,
            webhook_id,
            self._async_handle,
            allowed_methods=_METHODS,
        )
        entry.async_on_unload(lambda: webhook.async_unregister(hass, webhook_id))
        entry.async_on_unload(self._log_summary)
        if self.registration is not None:
            entry.async_on_unload(self.registration.async_stop)
        entry.async_on_unload(
            hass.bus.async_listen(EVENT_CORE_CONFIG_UPDATE, self._core_config_updated)
        )
        entry.async_on_unload(async_at_started(hass, self._started))

    @callback
    def _started(self, hass: HomeAssistant) -> None:
        """Find out the address: by now, what is loaded is loaded."""
        async_follow_cloud(hass, self._entry, self._async_follow_address)
        self._entry.async_create_background_task(
            hass, self._async_follow_address(), f"{DOMAIN} {self._entry.title} address"
        )

    @callback
    def _core_config_updated(self, event: Event) -> None:
        """Notice that Home Assistant has another address."""
        if webhook_address(self._hass, self._entry.data) != self._address:
            self._entry.async_create_background_task(
                self._hass, self._async_follow_address(), f"{DOMAIN} {self._entry.title} address"
            )

    async def _async_follow_address(self) -> None:
        """Let the provider, or who entered it there, know the present address."""
        await async_ensure_cloudhook(self._hass, self._entry)
        self._address = webhook_address(self._hass, self._entry.data)
        if self.registration is not None:
            await self.registration.async_register()
        elif self._address is not None and self._book.fact(_PUSHED_TO) not in (
            None,
            fingerprint(self._address),
        ):
            async_create_issue(
                self._hass, self._entry, WEBHOOK_MOVED, {"webhook_url": self._address or ""}
            )

    async def async_try_again(self) -> bool:
        """Register now, as a user asks for; return whether all is well."""
        if self.registration is None:
            return True
        await self.registration.async_register()
        return not self.registration.refused

    async def _async_handle(
        self, hass: HomeAssistant, webhook_id: str, request: Request
    ) -> Response:
        """Answer a push; what it hints at is read in the background."""
        if request.method != METH_POST:
            return Response(status=HTTPStatus.METHOD_NOT_ALLOWED)
        try:
            return await self._async_take(request)
        except Exception:
            # A mistake of ours. Home Assistant would log the address with it, which is a secret.
            _LOGGER.exception("%s: a push could not be handled", self._entry.title)
            return Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)

    async def _async_take(self, request: Request) -> Response:
        """Take what somebody posted."""
        try:
            hint = self._provider.parse_push(request.headers, await async_read_body(request))
        except BodyRejected as err:
            return self._reject(err.reason, err.status)
        except PushRejected as err:
            return self._reject(err.reason.value, _STATUS[err.reason])
        self.accepted += 1
        self.last_accepted = dt_util.utcnow()
        if self.registration is None:
            if self._address is not None:
                self._book.set_fact(_PUSHED_TO, fingerprint(self._address))
            async_delete_issue(self._hass, self._entry, WEBHOOK_MOVED)
        try:
            # Nobody else ever reports it: there is no answer before it is on disk.
            is_taken = hint.deposit is not None and await self._deposit(hint.deposit)
        except StorageError:
            return Response(status=HTTPStatus.SERVICE_UNAVAILABLE)
        if not is_taken and not self._is_repeated(hint.delivery_id):
            self._hint(hint)
        return Response()

    def _is_repeated(self, delivery_id: str | None) -> bool:
        """Whether this delivery came before."""
        if delivery_id is None:
            return False
        if delivery_id in self._seen_deliveries:
            return True
        self._seen_deliveries[delivery_id] = None
        if len(self._seen_deliveries) > _MOST_DELIVERIES:
            del self._seen_deliveries[next(iter(self._seen_deliveries))]
        return False

    @callback
    def _reject(self, reason: str, status: HTTPStatus) -> Response:
        """Count a push that is not believed, and log the first of many."""
        self.rejected[reason] += 1
        if not self._log_timer.is_armed:
            _LOGGER.warning(
                "%s: rejected a push (%s); more of them are counted", self._entry.title, reason
            )
            self._log_timer.arm(LOG_INTERVAL)
        else:
            self._not_logged[reason] += 1
        return Response(status=status)

    @callback
    def _log_summary(self) -> None:
        """Log how many pushes were rejected since the last line, and the next one immediately."""
        self._log_timer.disarm()
        if self._not_logged:
            _LOGGER.warning(
                "%s: rejected %s more pushes: %s",
                self._entry.title,
                self._not_logged.total(),
                dict(self._not_logged),
            )
            self._not_logged.clear()
