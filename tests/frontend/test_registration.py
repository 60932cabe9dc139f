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
    CARDS,
    CARDS_VERSION,
    cards_version,
)


@pytest.fixture
async def frontend(hass: HomeAssistant, tmp_path: Path) -> None:
    """Set up the real frontend, whose own pages nobody asks for."""
    (tmp_path / "hass_frontend" / "static").mkdir(parents=True)
    config = {"frontend": {"development_repo": str(tmp_path)}}
    assert await async_setup_component(hass, "frontend", config)


@pytest.mark.usefixtures("frontend")
async def test_registered(hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator) -> None:
    """Each page loads the cards, without a login, below a path that says which these are."""
    assert await async_setup_component(hass, DOMAIN, {})
    [url] = [url for url in hass.data[DATA_EXTRA_MODULE_URL].urls if DOMAIN in url]
    version = hass.data[CARDS_VERSION]
    assert url == f"/{DOMAIN}/{version}/cards.js"
    client = await hass_client_no_auth()
    for path in CARDS.glob("*.js"):
        answer = await client.get(f"/{DOMAIN}/{version}/{path.name}")
        assert answer.status is HTTPStatus.OK.value
        assert "javascript" in answer.content_type
        assert await answer.read() == path.read_bytes()


async def test_no_frontend(hass: HomeAssistant) -> None:
    """Without a frontend everything else works."""
    assert await async_setup_component(hass, DOMAIN, {})
    assert DATA_EXTRA_MODULE_URL not in hass.data
    assert hass.data[CARDS_VERSION] == cards_version()


def test_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever changes in whichever file makes another version."""
    monkeypatch.setattr(registration, "CARDS", tmp_path)
    seen = set()
    for name, text in (("a.js", "1"), ("a.js", "2"), ("b.js", "1")):
        (tmp_path / name).write_text(text)
        seen.add(cards_version())
    assert len(seen) == 3
