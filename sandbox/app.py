"""The sandbox as one aiohttp application."""

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from . import control, page
from .core import SANDBOX, Sandbox
from .effects import meddle
from .faults import Faults
from .registry import PROVIDERS
from .store import Store, utcnow


def create_app(
    *, slow_seconds: float = 60, clock: Callable[[], datetime] = utcnow
) -> web.Application:
    """Build a sandbox with no invoices and no faults; `app[SANDBOX]` is it."""
    app = web.Application(middlewares=[control.explain, meddle])
    sandbox = Sandbox(
        providers=PROVIDERS,
        store=Store(PROVIDERS, clock=clock),
        faults=Faults(PROVIDERS, slow_seconds=slow_seconds),
        settings={
            provider.key: {name: choices[0] for name, choices in provider.settings.items()}
            for provider in PROVIDERS.values()
        },
    )
    app[SANDBOX] = sandbox
    app.on_shutdown.append(sandbox.faults.stop)
    app.add_routes([*control.ROUTES, *page.ROUTES])
    for provider in PROVIDERS.values():
        for route in provider.routes:
            added = app.router.add_route(route.method, route.path, route.handler)
            sandbox.routes[added] = (provider, route.kind)
    return app
