"""Another machine that hears what is published at a broker."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import json
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from demo import HOST


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that came."""

    topic: str
    payload: str

    @property
    def announcement(self) -> dict[str, Any]:
        """What it says."""
        said: dict[str, Any] = json.loads(self.payload)
        return said


@dataclass(slots=True)
class Subscriber:
    """Hears everything below a topic; with a name, also what came while it wasn't connected."""

    topic: str
    name: str = ""
    heard: list[Heard] = field(default_factory=list)
    """Filled by a thread of the client's own."""

    @asynccontextmanager
    async def listen(self, port: int) -> AsyncGenerator[None]:
        """Connect, and again when the broker comes back."""
        client = Client(
            CallbackAPIVersion.VERSION2, client_id=self.name, clean_session=not self.name
        )
        client.on_connect = self._subscribe
        client.on_message = self._keep
        client.reconnect_delay_set(1, 1)
        client.connect(HOST, port)
        client.loop_start()
        try:
            yield
        finally:
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)

    def _subscribe(
        self,
        client: Client,
        _userdata: object,
        flags: ConnectFlags,
        _reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        """Subscribe, unless the broker remembers it: it would send all that it retains again."""
        if not flags.session_present:
            client.subscribe(self.topic, qos=1)

    def _keep(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self.heard.append(Heard(message.topic, message.payload.decode()))
