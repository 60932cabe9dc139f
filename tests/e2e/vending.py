"""A vending machine behind HTTP that is off, breaks or is late at random, and counts what it gave."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from aiohttp import web

from demo import DOMAIN, HOST

from .story import Dice

# How long Home Assistant waits for an answer, in seconds, and how late one can be.
PATIENCE = 4
LATE, TOO_LATE = 1.5, 6.0
# What becomes of a request, out of ten.
LUCK = ("off", "breaks", "late", "too late", *("works",) * 6)


def commands(port: int) -> str:
    """Return what Home Assistant's configuration needs, to be put below `rest_command:`."""
    return f"""\
  give:
    url: http://{HOST}:{port}/give
    method: post
    timeout: {PATIENCE}
    content_type: application/json
    payload: "{{{{ payment | to_json }}}}"
  look:
    url: "http://{HOST}:{port}/given/{{{{ key }}}}"
    timeout: {PATIENCE}
"""


@dataclass(frozen=True, slots=True)
class Given:
    """Something that the machine gave: when, for which payment and invoice, at which attempt."""

    at: float
    key: str
    invoice_id: str
    attempt: int
    has_state: bool
    """Whether the automation looks before it asks."""


@dataclass(slots=True)
class VendingMachine:
    """Gives what it is asked for, each time that it is asked."""

    dice: Dice
    given: list[Given] = field(default_factory=list)
    refused: int = 0

    @property
    def invoices(self) -> set[str]:
        """The invoices that something was given for."""
        return {one.invoice_id for one in self.given}

    @asynccontextmanager
    async def serve(self, port: int) -> AsyncGenerator[None]:
        """Answer on loopback."""
        app = web.Application()
        app.add_routes([web.post("/give", self._give), web.get("/given/{key}", self._look)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, HOST, port).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def _look(self, request: web.Request) -> web.Response:
        """Say whether something was given for a payment."""
        if self.dice.choice(LUCK) == "off":
            raise web.HTTPServiceUnavailable
        key = request.match_info["key"]
        return web.json_response({"given": any(one.key == key for one in self.given)})

    async def _give(self, request: web.Request) -> web.Response:
        """Give something, or not; an answer may come when nobody waits for it any more."""
        asked: dict[str, Any] = await request.json()
        luck = self.dice.choice(LUCK)
        if luck in ("off", "breaks"):
            self.refused += 1
            if luck == "breaks" and request.transport is not None:
                request.transport.close()
            raise web.HTTPServiceUnavailable
        has_state = bool(asked["has_state"])
        self.given.append(
            Given(monotonic(), asked["key"], asked["invoice_id"], int(asked["attempt"]), has_state)
        )
        if luck == "late":
            await asyncio.sleep(LATE)
        # One without a state has to be there in time: nobody could tell otherwise.
        if luck == "too late" and has_state:
            await asyncio.sleep(TOO_LATE)
        return web.json_response({})


_LOOK = (
    {
        "action": "rest_command.look",
        "data": {"key": "{{ trigger.announcement_id }}"},
        "response_variable": "seen",
    },
    {"condition": "template", "value_template": "{{ seen.status == 200 }}"},
)


def automation(provider: str, *, has_state: bool) -> dict[str, Any]:
    """Return an automation that gives something for each payment at a provider."""
    payment = (
        "{{ {'key': trigger.announcement_id, 'invoice_id': trigger.invoice_id,"
        f" 'attempt': trigger.attempt, 'has_state': {has_state}}} }}}}"
    )
    give: list[dict[str, Any]] = [
        {
            "action": "rest_command.give",
            "data": {"payment": payment},
            "response_variable": "answer",
        },
    ]
    if has_state:
        give = [
            *_LOOK,
            {"if": "{{ not seen.content.given }}", "then": give},
            *_LOOK,
            {"condition": "template", "value_template": "{{ seen.content.given }}"},
        ]
    else:
        give.append({"condition": "template", "value_template": "{{ answer.status == 200 }}"})
    return {
        "alias": f"Vend for {provider}",
        "triggers": [{"trigger": f"{DOMAIN}.any_paid", "options": {"repeat": True}}],
        "conditions": [
            {
                "condition": "template",
                "value_template": f"{{{{ trigger.provider == '{provider}' }}}}",
            }
        ],
        "actions": [
            *give,
            {
                "action": f"{DOMAIN}.fulfill",
                "data": {"announcement_id": "{{ trigger.announcement_id }}"},
            },
        ],
        "mode": "parallel",
        "max": 1000,
    }
