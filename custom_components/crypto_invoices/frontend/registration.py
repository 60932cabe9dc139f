"""Gives the cards to Home Assistant's frontend, where there is one."""

from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from aiohttp import web
from homeassistant.components.frontend import DOMAIN as FRONTEND_DOMAIN, add_extra_js_url
from homeassistant.core import HomeAssistant
from homeassistant.helpers.http import HomeAssistantView
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN

CARDS = Path(__file__).parent / "cards"
CARDS_VERSION: HassKey[str] = HassKey(f"{DOMAIN}_cards_version")

# What is below a version never changes.
_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable"}


def read_cards() -> dict[str, bytes]:
    """Return the modules by their names. Reads files."""
    return {path.name: path.read_bytes() for path in sorted(CARDS.glob("*.js"))}


def version_of(cards: Mapping[str, bytes]) -> str:
    """Return another text for other modules."""
    content = sha256()
    for name, code in cards.items():
        content.update(name.encode() + b"\0" + code)
    return content.hexdigest()[:12]


async def async_register_cards(hass: HomeAssistant) -> None:
    """Let every page of the frontend load the cards; without a frontend, only know their version."""
    cards = await hass.async_add_executor_job(read_cards)
    version = hass.data[CARDS_VERSION] = version_of(cards)
    if FRONTEND_DOMAIN in hass.config.components:
        hass.http.register_view(CardsView(version, cards))
        add_extra_js_url(hass, f"/{DOMAIN}/{version}/cards.js")


class CardsView(HomeAssistantView):
    """Serves the modules, compressed, as they were when Home Assistant started.

    The version is in the path: the modules import each other, and no browser mixes an old one
    with a new one, also where an update has replaced the files and nobody has restarted yet.
    """

    requires_auth = False
    name = f"{DOMAIN}:cards"

    def __init__(self, version: str, cards: Mapping[str, bytes]) -> None:
        """Keep the modules."""
        self.url = f"/{DOMAIN}/{version}/{{name}}"
        self._cards = cards

    async def get(self, request: web.Request, name: str) -> web.Response:
        """Return a module."""
        if (code := self._cards.get(name)) is None:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        response = web.Response(body=code, content_type="text/javascript", headers=_HEADERS)
        response.enable_compression()
        return response
