"""The pages: all invoices, and a till for one of them."""

from pathlib import Path

from aiohttp import web

from .core import SANDBOX

_FILES = Path(__file__).parent / "static"
_HEADERS = {"Cache-Control": "no-cache"}


async def _list(request: web.Request) -> web.FileResponse:
    """Show all invoices."""
    return web.FileResponse(_FILES / "list.html", headers=_HEADERS)


async def _pay(request: web.Request) -> web.FileResponse:
    """Show one invoice, to be paid."""
    names = request.match_info
    known = names["provider"] in request.app[SANDBOX].providers
    found = known and request.app[SANDBOX].store.find(names["provider"], names["id"])
    return web.FileResponse(_FILES / "pay.html", status=200 if found else 404, headers=_HEADERS)


async def _file(request: web.Request) -> web.FileResponse:
    """Send a page's style or script."""
    return web.FileResponse(_FILES / request.match_info["name"], headers=_HEADERS)


ROUTES = (
    web.get("/", _list),
    web.get("/pay/{provider}/{id}", _pay),
    web.get("/_sandbox/static/{name:style.css|common.js|list.js|pay.js}", _file),
)
