"""QR codes: what a wallet reads from them, and when there is one."""

from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Any

from homeassistant.components.image import async_get_image
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, State
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from hypothesis import given, settings, strategies as st
from PIL import Image
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
import zxingcpp

from custom_components.crypto_invoices import qr
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.providers.model import Invoice, InvoiceStatus
from custom_components.crypto_invoices.qr import make_qr, text_to_scan
from sandbox.faults import Fault

from .conftest import (
    AddAccount,
    SandboxServer,
    account_state,
    async_act,
    async_add_invoices,
    async_delete_device,
    async_later,
    async_settle,
)

BOLT11 = "lightning:lnbc10u1" + "qpzry9x8gf2tvdw0s3jn54khce6mua7l" * 11
ON_CHAIN = "bitcoin:bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq?amount=0.0025&label=Caf%C3%A9"
LINK = "https://pay.example.com/i/AB12CD34?lang=uz#pay"


def scanned(picture: bytes) -> str:
    """Return what an independent decoder reads from a picture."""
    with Image.open(BytesIO(picture)) as image:
        assert image.format == "PNG"
        [found] = zxingcpp.read_barcodes(image.convert("L"))
    assert found.format == zxingcpp.BarcodeFormat.QRCode
    text: str = found.text
    return text


def qr_id(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> str | None:
    """Return the entity ID of an invoice's QR code."""
    unique_id = f"{entry.entry_id}_{invoice_id}_payment_qr"
    return er.async_get(hass).async_get_entity_id("image", DOMAIN, unique_id)


def qr_state(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> State:
    """Return the state of an invoice's QR code."""
    entity_id = qr_id(hass, entry, invoice_id)
    assert entity_id
    state = hass.states.get(entity_id)
    assert state
    return state


def invoice_with(**fields: Any) -> Invoice:
    """Return an invoice that can be paid."""
    given: dict[str, Any] = {
        "id": "1",
        "status": InvoiceStatus.PENDING,
        "provider_status": "new",
        **fields,
    }
    return Invoice(**given)


@pytest.mark.parametrize("text", [BOLT11, BOLT11.upper(), ON_CHAIN, LINK, "1", "a" * 2953])
def test_decodes(text: str) -> None:
    """What is scanned is what was issued, to the letter and its case."""
    assert scanned(make_qr(text)) == text


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=200))
def test_decodes_anything(text: str) -> None:
    """Whatever a provider calls its links, none of it is lost on the way."""
    assert scanned(make_qr(text)) == text


def test_size() -> None:
    """A QR code is sharp on a tablet and has its white margin."""
    for text in ("1", BOLT11, "a" * 2953):
        with Image.open(BytesIO(make_qr(text))) as image:
            assert 720 <= image.width == image.height <= 1000
            corners = {image.convert("L").getpixel((x, y)) for x in (0, 10) for y in (0, 10)}
            assert corners == {255}


@pytest.mark.parametrize(
    ("status", "is_shown"),
    [
        (InvoiceStatus.PENDING, True),
        (InvoiceStatus.PARTIALLY_PAID, True),
        *[
            (status, False)
            for status in InvoiceStatus
            if status not in (InvoiceStatus.PENDING, InvoiceStatus.PARTIALLY_PAID)
        ],
    ],
)
def test_statuses(*, status: InvoiceStatus, is_shown: bool) -> None:
    """Nobody is asked to pay what is paid, on its way, over, or not understood."""
    text = text_to_scan(invoice_with(status=status, payment_text=BOLT11))
    assert (text == BOLT11) is is_shown
    assert (text is None) is not is_shown


def test_what_is_scanned() -> None:
    """The text for a wallet goes before the link, but not one that fits into no QR code."""
    assert text_to_scan(invoice_with(payment_text=ON_CHAIN, payment_url=LINK)) == ON_CHAIN
    assert text_to_scan(invoice_with(payment_url=LINK)) == LINK
    assert text_to_scan(invoice_with()) is None
    long = "lightning:" + "a" * 2950
    assert text_to_scan(invoice_with(payment_text=long, payment_url=LINK)) == LINK
    assert text_to_scan(invoice_with(payment_text=long)) is None


async def test_qr_of_an_invoice(
    hass: HomeAssistant,
    hass_client_no_auth: ClientSessionGenerator,
    sandbox: SandboxServer,
    add_account: AddAccount,
) -> None:
    """An invoice's code is there while it can be paid, over HTTP too, and never after."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    state = qr_state(hass, entry, invoice.id)
    assert state.attributes["friendly_name"].endswith("Payment QR code")
    client = await hass_client_no_auth()
    picture = state.attributes["entity_picture"]
    response = await client.get(picture)
    assert response.content_type == "image/png"
    link = f"https://pay.cryptocloud.plus/{invoice.id.removeprefix('INV-')}"
    assert scanned(await response.read()) == link

    # Another look that brings nothing new is not another picture.
    await async_later(hass)
    assert qr_state(hass, entry, invoice.id).state == state.state

    sandbox.store.act("cryptocloud", invoice.id, "partly_pay")
    await async_later(hass)
    image = await async_get_image(hass, state.entity_id)
    assert scanned(image.content) == link

    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    assert qr_id(hass, entry, invoice.id) is None
    assert hass.states.get(state.entity_id) is None
    assert (await client.get(picture)).status == HTTPStatus.UNAUTHORIZED
    with pytest.raises(HomeAssistantError):
        await async_get_image(hass, state.entity_id)

    sandbox.store.act("cryptocloud", invoice.id, "revert")
    await async_later(hass)
    assert qr_id(hass, entry, invoice.id) is None, "one answer may be wrong"
    await async_later(hass)
    assert qr_id(hass, entry, invoice.id) == state.entity_id
    assert scanned((await async_get_image(hass, state.entity_id)).content) == link


@pytest.mark.parametrize("action", ["expire", "cancel"])
async def test_qr_of_an_invoice_that_ends_unpaid(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, action: str
) -> None:
    """What is over can't be scanned any more."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    assert qr_state(hass, entry, invoice.id).state != "unavailable"
    sandbox.store.act("cryptocloud", invoice.id, action)
    await async_later(hass)
    assert qr_id(hass, entry, invoice.id) is None


async def test_qr_in_an_outage(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Nobody is asked to pay what can't be seen to be paid."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    before = qr_state(hass, entry, invoice.id)
    sandbox.switch("cryptocloud", Fault.SERVER_ERROR)
    await async_later(hass)
    assert qr_state(hass, entry, invoice.id).state == "unavailable"
    with pytest.raises(HomeAssistantError):
        await async_get_image(hass, before.entity_id)
    sandbox.switch("cryptocloud", None)
    await async_later(hass)
    assert qr_state(hass, entry, invoice.id).state == before.state


async def test_invoices_without_a_qr(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """What was paid before it was added, or can't be scanned at all, has no QR code."""
    paid = sandbox.store.create("cryptocloud")
    sandbox.store.act("cryptocloud", paid.id, "pay")
    entry = await add_account("cryptocloud", paid.id)
    assert qr_id(hass, entry, paid.id) is None

    unscannable = sandbox.store.create("egates")
    other = await add_account("egates", unscannable.id)
    assert qr_id(hass, other, unscannable.id) is None

    added = sandbox.store.create("cryptocloud")
    await async_add_invoices(hass, entry, [added.id])
    assert qr_state(hass, entry, added.id).state != "unavailable"


async def test_qr_of_an_invoice_that_is_paid_while_nobody_looks(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """A code that a restart finds is gone as soon as the invoice is known to be paid."""
    invoice, other = (sandbox.store.create("cryptocloud") for _ in range(2))
    entry = await add_account("cryptocloud", invoice.id, other.id)
    await hass.config_entries.async_unload(entry.entry_id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await hass.config_entries.async_setup(entry.entry_id)
    await async_later(hass)
    assert qr_id(hass, entry, invoice.id) is None
    assert qr_state(hass, entry, other.id).state != "unavailable"


async def test_qr_of_an_invoice_that_is_removed(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """A QR code goes with its invoice, and comes back with it."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    entity_id = qr_state(hass, entry, invoice.id).entity_id
    await async_delete_device(hass, entry, invoice.id)
    await async_later(hass, 1)
    assert hass.states.get(entity_id) is None
    await async_add_invoices(hass, entry, [invoice.id])
    assert qr_state(hass, entry, invoice.id).state != "unavailable"


async def test_qr_after_a_reload(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """A reload shows the codes of what is open, and only those."""
    ids = [sandbox.store.create("cryptocloud").id for _ in range(2)]
    entry = await add_account("cryptocloud", *ids)
    sandbox.store.act("cryptocloud", ids[0], "pay")
    await async_later(hass)
    await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    assert qr_id(hass, entry, ids[0]) is None
    assert qr_state(hass, entry, ids[1]).state != "unavailable"


def test_the_library_is_the_one_of_the_users() -> None:
    """What is tested is what users get."""
    wanted = qr.REQUIREMENTS
    tested = (Path(__file__).parents[1] / "requirements_test.txt").read_text().splitlines()
    assert set(wanted) <= set(tested)


async def test_qr_of_an_invoice_that_an_action_added(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """What is tracked by an action can be scanned at once, and adds to what is outstanding."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    added = sandbox.store.create("cryptocloud")
    await async_act(hass, "track_invoices", config_entry_id=entry.entry_id, invoice_ids=[added.id])
    await async_settle(hass)
    assert qr_state(hass, entry, added.id).state != "unavailable"
    assert account_state(hass, entry, "outstanding_USD").state == "50"
