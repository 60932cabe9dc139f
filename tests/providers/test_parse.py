"""Single values of an answer: what is broken is as good as not there, and spoils nothing else."""

from datetime import UTC, datetime, timedelta, timezone

from aiohttp import ClientSession
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import DeviceRegistry
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from yarl import URL

from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.model import Invoice
from custom_components.crypto_invoices.providers.parse import (
    read_iso_time,
    read_link,
    read_local_time,
    read_text,
    read_unix_time,
    read_word,
)
from custom_components.crypto_invoices.providers.status import read_date

from .conftest import Answer, Wire, made_up_settings, read_one


@pytest.mark.parametrize(
    "link",
    [
        "https://pay.example/i/1",
        "http://127.0.0.1:8080/i/1?a=b#c",
        "https://[::1]/i/1",
        "https://пример.example/счёт",
    ],
)
async def test_link(hass: HomeAssistant, device_registry: DeviceRegistry, link: str) -> None:
    """A link that is one stays as it is, and Home Assistant shows it at the device."""
    assert read_link(f" {link}\n") == link
    entry = MockConfigEntry()
    entry.add_to_hass(hass)
    device = device_registry.async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={("made_up", "1")}, configuration_url=link
    )
    assert device.configuration_url == link


@pytest.mark.parametrize(
    "link",
    [
        None,
        7,
        "",
        "https://",
        "https:///i/1",
        "https://:443/i/1",
        "https://?i=1",
        "https://[broken/i/1",
        "https://broken]/i/1",
        "https://[::1/i/1",
        "https://[1.2.3]/i/1",
        "https://pay.example:port/i/1",
        "https://pay.example:99999/i/1",
        "https://pay.example/i 1",
        "https://pay.example/i\t1",
        "https://pay.example/i\n1",
        "https://pay.example/\x001",
        "https://pay.example/\u20281",
        "https://pay.example/\ud800",
        "https://pay example/i/1",
        "javascript:alert(1)",
        "//pay.example/i/1",
        "ftp://pay.example/i/1",
        f"https://pay.example/{'1' * 2000}",
    ],
)
def test_link_that_is_none(link: object) -> None:
    """What Home Assistant or a browser would stumble over is no link."""
    assert read_link(link) is None


async def test_broken_link_costs_only_itself(wire: Wire, session: ClientSession) -> None:
    """An invoice with a payment link that is none has everything else."""
    id_ = "INV-AB12CD34"
    row = {"uuid": id_, "status": "created", "order_id": "A\r\n-1", "link": "https://[broken/i/1"}
    wire.answer(Answer({"status": "success", "result": [row]}))
    provider = PROVIDERS["cryptocloud"](session, made_up_settings("cryptocloud"))
    invoice = await read_one(provider, id_)
    assert isinstance(invoice, Invoice)
    assert invoice.order_id == "A -1"
    assert URL(invoice.payment_url or "").host == "pay.cryptocloud.plus"


@pytest.mark.parametrize(
    "moment",
    [
        read_iso_time("0001-01-01T00:00:00"),
        read_iso_time("0001-01-01T00:00:00+14:00"),
        read_iso_time("9999-12-31T23:59:59-14:00"),
        read_unix_time(-62_135_596_800),
        read_unix_time(253_402_300_799),
        read_unix_time(10**11),
        read_unix_time(10**400),
        read_local_time("0001-01-01 00:00:00", timezone(timedelta(hours=14))),
        read_local_time("9999-12-31 23:59:59", timezone(timedelta(hours=-14))),
        read_date({"Date": "Fri, 31 Dec 9999 23:59:59 -2359"}),
        read_date({"Date": "Mon, 01 Jan 0001 00:00:00 GMT"}),
    ],
)
def test_time_at_an_edge_of_the_calendar(moment: datetime | None) -> None:
    """A time to which nothing can be added is unknown, or none at an edge at all."""
    assert moment is None or 1970 <= moment.year < 9000


def test_times() -> None:
    """Honest times are what they say."""
    noon = datetime(2026, 2, 3, 12, tzinfo=UTC)
    assert read_unix_time("1770120000") == read_iso_time(1770120000) == noon
    assert read_iso_time("2026-02-03T14:00:00+02:00") == noon
    assert read_local_time("2026-02-03 12:00:00", UTC) == noon
    assert read_date({"Date": "Tue, 03 Feb 2026 12:00:00 GMT"}) == noon
    assert read_date({}) is None


def test_text_of_one_line() -> None:
    """What can't be printed, and what begins a new line, is a space."""
    assert read_text(" a\r\n\tb\x00c\x85d\u2028 e ") == "a b c d e"
    assert read_text("two  spaces, \u0430 and \U0001f600") == "two  spaces, \u0430 and \U0001f600"
    assert read_text("\n\x00") is None
    assert read_word("paid\n", "status") == "paid"
