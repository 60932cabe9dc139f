"""A QR code for each invoice that somebody can pay: what a wallet scans, or the payment page."""

import asyncio
from collections.abc import Iterable
from itertools import batched
import logging
from typing import override

from homeassistant.components.image import ImageEntity, ImageEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.requirements import RequirementsNotFound, async_process_requirements
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import CryptoInvoicesCoordinator
from .entity import InvoiceEntity
from .qr import make_qr, text_to_scan
from .runtime import CryptoInvoicesConfigEntry

_LOGGER = logging.getLogger(__name__)

PARALLEL_UPDATES = 0
REQUIREMENTS = ["segno==1.6.6"]

PAYMENT_QR = ImageEntityDescription(key="payment_qr", translation_key="payment_qr")

# So many pictures are added before others get their turn.
_ADDED_AT_ONCE = 20


async def async_setup_entry(
    hass: HomeAssistant,
    entry: CryptoInvoicesConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up a QR code for each invoice as there gets something to pay.

    Home Assistant renews the token of each image every five minutes, so that one
    is there only while it shows something.
    """
    try:
        # Not in the manifest: where it can't be installed, that costs the pictures and no more.
        await async_process_requirements(hass, DOMAIN, REQUIREMENTS)
    except RequirementsNotFound as err:
        _LOGGER.warning("QR codes can't be drawn: %s", err)
        return
    coordinator = entry.runtime_data.coordinator
    shown: set[str] = set()

    @callback
    def add_payable(invoice_ids: Iterable[str]) -> None:
        for invoice_id in invoice_ids:
            one = coordinator.data.get(invoice_id)
            if one is None or one.invoice is None or not one.record.has_device:
                continue
            if text_to_scan(one.invoice) is None:
                continue
            if invoice_id not in shown:
                shown.add(invoice_id)
                async_add_entities([PaymentQR(coordinator, invoice_id, shown)])

    entry.async_on_unload(coordinator.publisher.async_add_change_listener(add_payable))
    for some in batched(tuple(coordinator.data), _ADDED_AT_ONCE, strict=False):
        add_payable(some)
        await asyncio.sleep(0)


class PaymentQR(InvoiceEntity, ImageEntity):
    """The QR code of an invoice that can be paid; it leaves when that is over."""

    # Messages to phones and casting can't show SVG.
    _attr_content_type = "image/png"

    def __init__(
        self, coordinator: CryptoInvoicesCoordinator, invoice_id: str, shown: set[str]
    ) -> None:
        """Show what there is to scan now; ``shown`` are the invoices with a QR code."""
        super().__init__(coordinator, invoice_id, PAYMENT_QR)
        ImageEntity.__init__(self, coordinator.hass)
        self._with_code = shown
        self._text = self.text
        self._code: tuple[str, bytes] | None = None
        self._attr_image_last_updated = dt_util.utcnow()

    @property
    def text(self) -> str | None:
        """What there is to scan now."""
        return text_to_scan(self.invoice) if self.invoice else None

    @property
    @override
    def available(self) -> bool:
        """Whether there is something to scan, and it is known to be unpaid."""
        return super().available and self.text is not None

    @override
    async def async_will_remove_from_hass(self) -> None:
        """Let another one come, should there be something to pay again."""
        await super().async_will_remove_from_hass()
        self._with_code.discard(self.invoice_id)

    @override
    def image(self) -> bytes | None:
        """Return the picture; called in the executor, because a long text takes its time."""
        text = self.text
        if text is None or not self.available:
            return None
        if self._code is None or self._code[0] != text:
            self._code = (text, make_qr(text))
        return self._code[1]

    @override
    @callback
    def _handle_coordinator_update(self) -> None:
        """Show what there is to scan now, or leave when there is nothing to pay any more."""
        if self.invoice is not None:
            if (text := self.text) is None:
                self.coordinator.config_entry.async_create_task(
                    self.hass, self.async_remove(), f"{self.entity_id} leaves"
                )
                return
            if text != self._text:
                self._text = text
                self._attr_image_last_updated = dt_util.utcnow()
        super()._handle_coordinator_update()
