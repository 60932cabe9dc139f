"""BTCPay Server's page on which a person makes a key for a program, which a form then posts to it."""

from html import escape
import secrets

from aiohttp import web

from .btcpay_access import ISSUED, STORES
from .provider import Route

PATH = "/api-keys/authorize"
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Authorize</title>
<link rel="stylesheet" href="/_sandbox/static/style.css"></head><body>{body}</body></html>"""


def _page(body: str, status: int = 200) -> web.Response:
    """Return a page."""
    return web.Response(text=_PAGE.format(body=body), content_type="text/html", status=status)


def _hidden(name: str, value: str) -> str:
    """Return a field of a form that nobody sees."""
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'


async def _get_page(request: web.Request) -> web.Response:
    """Show who asks for what, with the stores to choose from."""
    asked = request.query
    permissions = asked.getall("permissions", [])
    if not permissions:
        return _page("<h1>No permissions were asked for</h1>", 400)
    stores = "".join(
        f'<label><input type="radio" name="store" value="{id_}"{" checked" * (not at)}> '
        f"{escape(name)}</label><br>"
        for at, (id_, name) in enumerate(STORES.items())
    )
    kept = [_hidden("permissions", policy) for policy in permissions]
    kept.append(_hidden("redirect", asked.get("redirect", "")))
    return _page(
        f"<h1>{escape(asked.get('applicationName', 'Unknown'))}</h1>"
        f"<ul>{''.join(f'<li>{escape(policy)}</li>' for policy in permissions)}</ul>"
        f'<form method="post">{stores}{"".join(kept)}'
        '<button name="command" value="Authorize">Authorize app</button> '
        '<button name="command" value="Cancel">Cancel</button></form>'
    )


async def _post_page(request: web.Request) -> web.Response:
    """Make the key and have the browser post it to where the program wants it."""
    form = await request.post()
    if form.get("command") != "Authorize":
        return _page("<h1>API keys</h1><p>No key was made.</p>")
    store_id = str(form.get("store", next(iter(STORES))))
    permissions = tuple(f"{policy}:{store_id}" for policy in map(str, form.getall("permissions")))
    key = secrets.token_hex(20)
    request.app[ISSUED][key] = permissions
    if not (redirect := str(form.get("redirect", ""))):
        return _page(f"<h1>API key</h1><code>{key}</code>")
    fields = [("apiKey", key), ("userId", "sandbox-user")]
    fields += [("permissions[]", permission) for permission in permissions]
    inputs = "".join(_hidden(name, value) for name, value in fields)
    return _page(
        f'<form id="key" method="post" action="{escape(redirect)}">{inputs}</form>'
        '<script>document.getElementById("key").submit()</script>'
    )


ROUTES = (
    Route("GET", PATH, "authorize", _get_page),
    Route("POST", PATH, "authorize", _post_page),
)
