"""QR codes: what there is to scan of an invoice, and the picture of it."""

from base64 import b64encode
from io import BytesIO
import logging

from homeassistant.core import HomeAssistant
from homeassistant.requirements import RequirementsNotFound, async_process_requirements

from .const import DOMAIN
from .providers.model import Invoice, InvoiceStatus

_LOGGER = logging.getLogger(__name__)

REQUIREMENTS = ["segno==1.6.6"]

# Nobody should pay twice: not what was seen already, nor what nobody understands.
_TO_PAY = frozenset({InvoiceStatus.PENDING, InvoiceStatus.PARTIALLY_PAID})
# More bytes than that are in no QR code.
_MOST_BYTES = 2953
# Sharp on a tablet, and scaled down for a phone.
_LEAST_PIXELS = 720


async def async_can_draw(hass: HomeAssistant) -> bool:
    """Return whether QR codes can be drawn, after installing what that takes if need be."""
    try:
        # Not in the manifest: where it can't be installed, that costs the pictures and no more.
        await async_process_requirements(hass, DOMAIN, REQUIREMENTS)
    except RequirementsNotFound as err:
        _LOGGER.warning("QR codes can't be drawn: %s", err)
        return False
    return True


async def async_draw_link(hass: HomeAssistant, text: str) -> str | None:
    """Return a link with the QR code of a text in it, None where none can be drawn."""
    if not await async_can_draw(hass):
        return None
    try:
        # A long text takes its time.
        picture = await hass.async_add_executor_job(make_qr, text)
    except ImportError:
        return None
    return f"data:image/png;base64,{b64encode(picture).decode()}"


def text_to_scan(invoice: Invoice) -> str | None:
    """Return what there is to scan while an invoice can be paid, as its provider returned it.

    None where there is nothing, and of what is too long for a QR code.
    """
    if invoice.status not in _TO_PAY:
        return None
    for text in (invoice.payment_text, invoice.payment_url):
        if text and len(text.encode()) <= _MOST_BYTES:
            return text
    return None


def make_qr(text: str) -> bytes:
    """Return a text as a QR code, in the PNG format.

    As small as it gets, and with as much error correction as fits into that. Raises ImportError
    where segno is not installed.
    """
    import segno

    code = segno.make_qr(text, encoding="utf-8")
    scale = -(-_LEAST_PIXELS // code.symbol_size()[0])
    file = BytesIO()
    code.save(file, kind="png", scale=scale)
    return file.getvalue()
