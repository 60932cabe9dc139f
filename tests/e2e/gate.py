"""What stands before a server: it lets requests through, and websockets unless they are cut."""

import asyncio
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL

from demo import HOST

PATH = "/behind/a/path"
_PASSED_ON = ("Content-Type", "X-Api-Key")


class Gate:
    """A proxy on loopback that puts a server under a path, and counts what goes through."""

    def __init__(self, server: str, port: int) -> None:
        """Take the server's address and the port to listen on."""
        self.url = f"http://{HOST}:{port}{PATH}"
        self.requests = 0
        self._server = server
        self._port = port
        self._sockets: set[web.WebSocketResponse] = set()
        self._is_cut = self._is_shut = False

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._session = aiohttp.ClientSession()
        app = web.Application()
        app.router.add_route("*", PATH + "/{rest:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let nothing through any more."""
        await self.shut()
        await self._runner.cleanup()
        await self._session.close()

    async def is_listened_at(self) -> bool:
        """Return whether somebody listens to the server."""
        return bool(self._sockets)

    async def shut(self) -> None:
        """Let nothing through."""
        self._is_shut = True
        await self.cut()

    async def cut(self) -> None:
        """Close the websockets and let no new ones through."""
        self._is_cut = True
        for socket in tuple(self._sockets):
            await socket.close()

    def mend(self) -> None:
        """Let everything through again."""
        self._is_cut = self._is_shut = False

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self._is_shut:
            return web.Response(status=502)
        target = URL(self._server + request.raw_path.removeprefix(PATH), encoded=True)
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._pass_socket(request, target)
            self.requests += 1
            headers = {key: request.headers[key] for key in _PASSED_ON if key in request.headers}
            async with self._session.request(
                request.method, target, data=await request.read(), headers=headers
            ) as answer:
                return web.Response(
                    status=answer.status,
                    body=await answer.read(),
                    content_type=answer.content_type,
                )
        except aiohttp.ClientError:
            return web.Response(status=502)

    async def _pass_socket(self, request: web.Request, target: URL) -> web.StreamResponse:
        if self._is_cut:
            return web.Response(status=503)
        async with self._session.ws_connect(target) as far:
            near = web.WebSocketResponse()
            await near.prepare(request)
            self._sockets.add(near)
            leaving = asyncio.create_task(_close_after(near, far))
            try:
                async for message in far:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        await near.send_str(message.data)
            finally:
                self._sockets.discard(near)
                leaving.cancel()
                await near.close()
        return near


async def _close_after(near: web.WebSocketResponse, far: aiohttp.ClientWebSocketResponse) -> None:
    """Leave the server when the one who listened has left."""
    async for _ in near:
        pass
    await far.close()
