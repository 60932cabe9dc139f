"""The address that a provider's own page posts a new key to, with the browser of whoever asked."""

from collections.abc import Mapping
from html import escape
from http import HTTPStatus
import secrets
from urllib.parse import parse_qs

from aiohttp import web
from homeassistant.const import CONF_API_KEY
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import UnknownFlow
from homeassistant.helpers.http import KEY_HASS, HomeAssistantView
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from .body import BodyRejected, async_read_body

_WAITING: HassKey[dict[str, str]] = HassKey(f"{DOMAIN}_waiting_for_key")
_LONGEST_KEY = 500
_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>Home Assistant</title>
<meta name="viewport" content="width=device-width">
<style>body {{font: 1.1rem/1.5 sans-serif; max-width: 32rem; margin: 4rem auto; padding: 0 1rem}}
:root {{color-scheme: light dark}}</style>
</head><body><p>{text}</p>{script}</body></html>
"""
_CLOSE = "<script>window.close()</script>"
_HEADERS: Mapping[str, str] = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


@callback
def async_expect_key(hass: HomeAssistant, flow_id: str) -> str:
    """Return the path to which a new key for a dialog may be posted, once."""
    if _WAITING not in hass.data:
        hass.data[_WAITING] = {}
        hass.http.register_view(NewKeyView)
    async_expect_no_key(hass, flow_id)
    state = secrets.token_urlsafe(32)
    hass.data[_WAITING][state] = flow_id
    return f"/auth/{DOMAIN}/{state}"


@callback
def async_expect_no_key(hass: HomeAssistant, flow_id: str) -> None:
    """Take back the path of a dialog."""
    waiting = hass.data.get(_WAITING, {})
    for state in [state for state, other in waiting.items() if other == flow_id]:
        del waiting[state]


class NewKeyView(HomeAssistantView):
    """Takes a key for the dialog that waits for it. Whoever knows the path may post one."""

    url = f"/auth/{DOMAIN}/{{state}}"
    name = f"auth:{DOMAIN}"
    requires_auth = False

    async def get(self, request: web.Request, state: str) -> web.Response:
        """Say what to do, to somebody who comes back to the page."""
        return await _async_page(request, "key_not_expected", HTTPStatus.BAD_REQUEST)

    async def post(self, request: web.Request, state: str) -> web.Response:
        """Hand the key over to its dialog."""
        hass = request.app[KEY_HASS]
        try:
            key = _read_key(await async_read_body(request))
        except BodyRejected as err:
            return await _async_page(request, "key_missing", err.status)
        if state not in hass.data[_WAITING]:
            return await _async_page(request, "key_not_expected", HTTPStatus.BAD_REQUEST)
        if not key:
            return await _async_page(request, "key_missing", HTTPStatus.BAD_REQUEST)
        flow_id = hass.data[_WAITING].pop(state)
        try:
            await hass.config_entries.flow.async_configure(flow_id, {CONF_API_KEY: key})
        except UnknownFlow:
            return await _async_page(request, "key_not_expected", HTTPStatus.BAD_REQUEST)
        return await _async_page(request, "key_received", HTTPStatus.OK)


def _read_key(body: bytes) -> str:
    """Return the key in a form that was posted, or an empty text."""
    form = parse_qs(body.decode(errors="replace"), max_num_fields=None)
    key = form.get("apiKey", [""])[0].strip()
    return key if key.isascii() and key.isprintable() and len(key) <= _LONGEST_KEY else ""


async def _async_page(request: web.Request, key: str, status: HTTPStatus) -> web.Response:
    """Return a page with a text of ours, in Home Assistant's language."""
    hass = request.app[KEY_HASS]
    language = hass.config.language
    texts = await async_get_translations(hass, language, "common", {DOMAIN})
    text = escape(texts[f"component.{DOMAIN}.common.{key}"])
    script = _CLOSE if status is HTTPStatus.OK else ""
    page = _PAGE.format(language=escape(language), text=text, script=script)
    return web.Response(text=page, content_type="text/html", status=status, headers=_HEADERS)
