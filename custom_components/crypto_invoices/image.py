"""A QR code for each invoice that somebody can pay: what a wallet scans, or the payment page."""

from functools import partial
from typing import override

from homeassistant.components.image import ImageEntity, ImageEntityDescription
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .coordinator import CryptoInvoicesCoordinator
from .entity import InvoiceEntity, async_add_passing_entities
from .qr import async_can_draw, make_qr, text_to_scan
from .runtime import CryptoInvoicesConfigEntry

PARALLEL_UPDATES = 0

PAYMENT_QR = ImageEntityDescription(key="payment_qr", translation_key="payment_qr")


async def async_setup_entry(
    hass: HomeAssistant,
    entry: CryptoInvoicesConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up a QR code for each invoice as there gets something to pay.

    Home Assistant renews the token of each image every five minutes, so that one
    is there only while it shows something.
    """
    if not await async_can_draw(hass):
        return
    coordinator = entry.runtime_data.coordinator
    await async_add_passing_entities(
        coordinator,
        async_add_entities,
        partial(PaymentQR, coordinator),
        domain=Platform.IMAGE,
        key=PAYMENT_QR.key,
        exists=lambda invoice: text_to_scan(invoice) is not None,
    )


class PaymentQR(InvoiceEntity, ImageEntity):
    """The QR code of an invoice that can be paid; it leaves when that is over."""

    # Messages to phones and casting can't show SVG.
    _attr_content_type = "image/png"

    def __init__(self, coordinator: CryptoInvoicesCoordinator, invoice_id: str) -> None:
        """Show what there is to scan now."""
        super().__init__(coordinator, invoice_id, PAYMENT_QR)
        ImageEntity.__init__(self, coordinator.hass)
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
        """Show what there is to scan now."""
        if (text := self.text) is not None and text != self._text:
            self._text = text
            self._attr_image_last_updated = dt_util.utcnow()
        super()._handle_coordinator_update()
