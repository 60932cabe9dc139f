"""Gives the cards to Home Assistant's frontend, where there is one."""

from hashlib import sha256
from pathlib import Path

from homeassistant.components.frontend import DOMAIN as FRONTEND_DOMAIN, add_extra_js_url
from homeassistant.components.http.server import StaticPathConfig
from homeassistant.core import HomeAssistant
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN

CARDS = Path(__file__).parent / "cards"
CARDS_VERSION: HassKey[str] = HassKey(f"{DOMAIN}_cards_version")


def cards_version() -> str:
    """Return another text for other cards. Reads files."""
    content = sha256()
    for path in sorted(CARDS.glob("*.js")):
        content.update(path.read_bytes())
    return content.hexdigest()[:12]


async def async_register_cards(hass: HomeAssistant) -> None:
    """Let every page of the frontend load the cards; without a frontend, only know their version.

    The version is in the path: the modules import each other, and a browser must not mix an old
    one with a new one.
    """
    version = await hass.async_add_executor_job(cards_version)
    hass.data[CARDS_VERSION] = version
    if FRONTEND_DOMAIN not in hass.config.components:
        return
    url = f"/{DOMAIN}/{version}"
    await hass.http.async_register_static_paths([StaticPathConfig(url, str(CARDS))])
    add_extra_js_url(hass, f"{url}/cards.js")
