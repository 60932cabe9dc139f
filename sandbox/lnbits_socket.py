"""Who listens to an LNbits server, and what is sent to them."""

import asyncio
from dataclasses import dataclass, field

from aiohttp import WSCloseCode, web
import orjson

from .core import SANDBOX
from .lnbits_row import KEY, balance, is_at_least, row
from .states import State
from .store import Change
from .wire import json_response


@dataclass(frozen=True, slots=True, eq=False)
class _Listener:
    """A connection, what it listens to, and what is still to be sent."""

    socket: web.WebSocketResponse
    item: str
    waiting: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def write(self) -> None:
        """Send what waits, until the connection ends."""
        while True:
            await self.socket.send_str(await self.waiting.get())


class Listeners:
    """The connections: each listens to a key, or to a payment hash."""

    def __init__(self, app: web.Application) -> None:
        """Begin with none, and hear of every change."""
        self._app = app
        # In the order in which they came.
        self._all: dict[_Listener, None] = {}
        app[SANDBOX].store.subscribe(self._heard)
        app.on_shutdown.append(self._stop)

    @property
    def count(self) -> int:
        """How many listen."""
        return len(self._all)

    async def listen(self, request: web.Request) -> web.StreamResponse:
        """Keep a connection until it ends; nobody is asked for a key.

        While a fault is on, there is no connection to be had.
        """
        if request.app[SANDBOX].faults.active[KEY]:
            return web.Response(status=503)
        listener = _Listener(web.WebSocketResponse(), request.match_info["item"])
        await listener.socket.prepare(request)
        writer = asyncio.create_task(listener.write())
        self._all[listener] = None
        try:
            async for _ in listener.socket:
                pass
        finally:
            self._all.pop(listener, None)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return listener.socket

    async def forge(self, request: web.Request) -> web.Response:
        """Send what anybody likes to whoever listens to something."""
        text = request.match_info["text"]
        self._send(request.match_info["item"], text)
        return json_response({"sent": True, "data": text})

    async def hang_up(self) -> None:
        """End every connection."""
        for listener in tuple(self._all):
            await listener.socket.close(code=WSCloseCode.GOING_AWAY)

    async def _stop(self, app: web.Application) -> None:
        """End with the server."""
        await self.hang_up()

    def _heard(self, change: Change) -> None:
        """Announce a payment; newer releases do it twice."""
        invoice, app = change.invoice, self._app
        if invoice.provider != KEY or change.after is not State.PAID:
            return
        # Here it is satoshi, everywhere else it is a thousand times as many.
        told = {"wallet_balance": balance(app) // 1000, "payment": row(app, invoice)}
        key = app[SANDBOX].providers[KEY].credentials["api_key"]
        for _ in range(2 if is_at_least(app, 1, 5) else 1):
            self._send(key, orjson.dumps(told).decode())
            self._send(invoice.id, '{"pending":false,"status":"success"}')

    def _send(self, item: str, text: str) -> None:
        """Send a text to those who listen to something."""
        for listener in self._all:
            if listener.item == item:
                listener.waiting.put_nowait(text)
