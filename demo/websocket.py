"""Home Assistant's WebSocket API: commands, subscriptions, states."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import aiohttp

from . import DemoError

type Json = dict[str, Any]
type States = Mapping[str, Json]

PATIENCE = 60


class Disconnected(DemoError):
    """Home Assistant closed the connection, or went away."""


class CommandFailed(DemoError):
    """Home Assistant refused a command."""

    def __init__(self, command: str, error: Json) -> None:
        """Keep Home Assistant's own code for it."""
        super().__init__(f"{command}: {error.get('message')}")
        self.code: str | None = error.get("code")


class WebSocket:
    """One connection, with any number of commands and subscriptions in flight."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Take a connection that is authenticated."""
        self._socket = socket
        self._last_id = 0
        self._results: dict[int, asyncio.Future[Any]] = {}
        self._events: dict[int, asyncio.Queue[Any]] = {}
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, session: aiohttp.ClientSession, url: str, token: str) -> Self:
        """Connect and authenticate."""
        socket = await session.ws_connect(f"{url}/api/websocket", max_msg_size=0)
        await socket.receive_json(timeout=PATIENCE)
        await socket.send_json({"type": "auth", "access_token": token})
        answer = await socket.receive_json(timeout=PATIENCE)
        if answer["type"] != "auth_ok":
            await socket.close()
            raise DemoError(f"Home Assistant refused the WebSocket: {answer.get('message')}")
        self = cls(socket)
        self._reader = asyncio.create_task(self._read())
        return self

    async def close(self) -> None:
        """Close the connection."""
        await self._socket.close()
        if self._reader:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader

    async def _read(self) -> None:
        """Hand every message to whom it is for."""
        try:
            async for message in self._socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._hand_out(message.json())
        finally:
            lost = Disconnected("Home Assistant closed the connection")
            for future in self._results.values():
                if not future.done():
                    future.set_exception(lost)
            for queue in self._events.values():
                queue.put_nowait(lost)

    def _hand_out(self, message: Json) -> None:
        if message["type"] == "event" and (queue := self._events.get(message["id"])):
            queue.put_nowait(message["event"])
        if message["type"] != "result":
            return
        future = self._results.pop(message["id"], None)
        if future is None or future.done():
            return
        if message["success"]:
            future.set_result(message["result"])
        else:
            future.set_exception(CommandFailed(f"command {message['id']}", message["error"]))

    async def command(self, kind: str, **arguments: Any) -> Any:
        """Send a command and return its result."""
        self._last_id += 1
        return await self._send(self._last_id, kind, arguments)

    async def _send(self, number: int, kind: str, arguments: Json) -> Any:
        if not self._reader or self._reader.done():
            raise Disconnected("Home Assistant closed the connection")
        future = asyncio.get_running_loop().create_future()
        self._results[number] = future
        try:
            await self._socket.send_json({"id": number, "type": kind, **arguments})
            async with asyncio.timeout(PATIENCE):
                return await future
        except CommandFailed as error:
            raise CommandFailed(kind, {"message": error, "code": error.code}) from None
        except TimeoutError:
            raise DemoError(f"{kind}: no answer within {PATIENCE} seconds") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise Disconnected(f"{kind}: {error}") from error
        finally:
            self._results.pop(number, None)

    @asynccontextmanager
    async def subscribe(
        self, kind: str, **arguments: Any
    ) -> AsyncGenerator[Callable[[], Awaitable[Any]]]:
        """Subscribe; each call of what is given waits for the next event."""
        self._last_id += 1
        number = self._last_id
        queue = self._events[number] = asyncio.Queue()

        async def following() -> Any:
            event = await queue.get()
            if isinstance(event, Disconnected):
                raise event
            return event

        try:
            await self._send(number, kind, arguments)
            yield following
        finally:
            self._events.pop(number, None)
            with suppress(DemoError):
                await self.command("unsubscribe_events", subscription=number)

    async def states(self) -> dict[str, Json]:
        """Return all states by entity id."""
        return {state["entity_id"]: state for state in await self.command("get_states")}

    async def wait_for_states(
        self, enough: Callable[[States], bool], what: str, patience: float = PATIENCE
    ) -> States:
        """Wait until the states are as wanted, and return them."""
        try:
            async with (
                asyncio.timeout(patience),
                self.subscribe("subscribe_events", event_type="state_changed") as following,
            ):
                states = await self.states()
                while not enough(states):
                    data = (await following())["data"]
                    if data["new_state"]:
                        states[data["entity_id"]] = data["new_state"]
                    else:
                        states.pop(data["entity_id"], None)
                return states
        except TimeoutError:
            raise DemoError(f"waited {patience:.0f} seconds in vain for {what}") from None

    async def wait_for_state(
        self, entity_id: str, *wanted: str, patience: float = PATIENCE
    ) -> Json:
        """Wait until an entity's state is one of these, and return it."""
        states = await self.wait_for_states(
            lambda states: states.get(entity_id, {}).get("state") in wanted,
            f"{entity_id} to be {' or '.join(wanted)}",
            patience,
        )
        return states[entity_id]

    async def wait_until_started(self, patience: float = PATIENCE) -> None:
        """Wait until Home Assistant has set up everything and runs automations."""
        try:
            async with (
                asyncio.timeout(patience),
                self.subscribe("subscribe_events", event_type="homeassistant_started") as following,
            ):
                if (await self.command("get_config"))["state"] != "RUNNING":
                    await following()
        except TimeoutError:
            raise DemoError(f"not started within {patience:.0f} seconds") from None
