"""The sandbox as one aiohttp application."""

from collections.abc import Callable, Mapping
from datetime import datetime

from aiohttp import web

from . import control, page, postback_control
from .core import SANDBOX, Sandbox
from .effects import meddle
from .faults import Faults
from .postback import Postbacks
from .provider import Provider
from .registry import PROVIDERS
from .store import Store, utcnow


def create_app(
    *,
    slow_seconds: float = 60,
    postback_timeout: float = 10,
    clock: Callable[[], datetime] = utcnow,
    providers: Mapping[str, Provider] = PROVIDERS,
) -> web.Application:
    """Build a sandbox with no invoices and no faults; `app[SANDBOX]` is it."""
    app = web.Application(middlewares=[postback_control.note_origin, control.explain, meddle])
    store = Store(providers, clock=clock)
    settings = {
        provider.key: {name: choices[0] for name, choices in provider.settings.items()}
        for provider in providers.values()
    }
    sandbox = Sandbox(
        providers=providers,
        store=store,
        faults=Faults(providers, slow_seconds=slow_seconds),
        postbacks=Postbacks(providers, store, settings, timeout=postback_timeout),
        settings=settings,
    )
    app[SANDBOX] = sandbox
    app.cleanup_ctx.append(sandbox.postbacks.run)
    app.on_shutdown.extend((sandbox.faults.stop, sandbox.postbacks.stop))
    app.add_routes([*control.ROUTES, *postback_control.ROUTES, *page.ROUTES])
    for provider in providers.values():
        if provider.set_up:
            provider.set_up(app)
        for route in provider.routes:
            # Who is lenient with slashes at the end is so everywhere.
            for end in ("", "/") if provider.takes_slashes else ("",):
                added = app.router.add_route(route.method, route.path + end, route.handler)
                sandbox.routes[added] = (provider, route.kind)
    return app
