"""The cards are given to a frontend, where there is one."""

from http import HTTPStatus
from pathlib import Path

from homeassistant.components.frontend import DATA_EXTRA_MODULE_URL
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.frontend import registration
from custom_components.crypto_invoices.frontend.registration import (
    CARDS_VERSION,
    read_cards,
    version_of,
)


@pytest.fixture
async def frontend(hass: HomeAssistant, tmp_path: Path) -> None:
    """Set up the real frontend, whose own pages nobody asks for."""
    (tmp_path / "hass_frontend" / "static").mkdir(parents=True)
    config = {"frontend": {"development_repo": str(tmp_path)}}
    assert await async_setup_component(hass, "frontend", config)


@pytest.mark.usefixtures("frontend")
async def test_registered(
    hass: HomeAssistant,
    hass_client_no_auth: ClientSessionGenerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each page loads the cards, without a login, below a path that says which these are.

    They are those of the start, whatever an update does to the files, and together they are light.
    """
    assert await async_setup_component(hass, DOMAIN, {})
    [url] = [url for url in hass.data[DATA_EXTRA_MODULE_URL].urls if DOMAIN in url]
    version, cards = hass.data[CARDS_VERSION], read_cards()
    assert url == f"/{DOMAIN}/{version}/cards.js"
    monkeypatch.setattr(registration, "CARDS", tmp_path)
    client = await hass_client_no_auth()
    sent = 0
    for name, code in cards.items():
        answer = await client.get(f"/{DOMAIN}/{version}/{name}")
        assert answer.status is HTTPStatus.OK.value
        assert answer.content_type == "text/javascript"
        assert "immutable" in answer.headers["Cache-Control"]
        assert await answer.read() == code
        sent += int(answer.headers["Content-Length"])
    assert sent < 30_000
    for path in (f"{version}/values.py", "0/cards.js"):
        answer = await client.get(f"/{DOMAIN}/{path}")
        assert answer.status == HTTPStatus.NOT_FOUND


async def test_no_frontend(hass: HomeAssistant) -> None:
    """Without a frontend everything else works."""
    assert await async_setup_component(hass, DOMAIN, {})
    assert DATA_EXTRA_MODULE_URL not in hass.data
    assert hass.data[CARDS_VERSION] == version_of(read_cards())


def test_version() -> None:
    """Whatever changes in whichever file makes another version."""
    all_cards = ({"a.js": b"1"}, {"a.js": b"2"}, {"b.js": b"1"}, {"a.js": b"1", "b.js": b""})
    assert len({version_of(cards) for cards in all_cards}) == len(all_cards)
