"""The sandbox in a process of its own, and what can be asked of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
import sys
from typing import Any

import aiohttp

from . import HOST, DemoError
from .server import Server

STATE = "/_sandbox/state"
INVOICES = "/_sandbox/invoices"
FAULTS = "/_sandbox/faults"
REPORTS = "/_sandbox/reports"
REQUESTS = "/_sandbox/requests"
POSTBACKS = "/_sandbox/postbacks"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxInvoice:
    """An invoice as the sandbox knows it."""

    id: str
    provider: str
    state: str
    amount: Decimal
    currency: str
    order_id: str | None
    payment_url: str
    actions: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxProvider:
    """A provider as the sandbox plays it, its invoices oldest first."""

    key: str
    name: str
    credentials: dict[str, str]
    invoices: tuple[SandboxInvoice, ...]
    push_credentials: dict[str, str] = field(default_factory=dict)
    """What more an account needs to believe a push."""
    invoicing_credentials: dict[str, str] = field(default_factory=dict)
    """What more an account needs to create invoices."""


class Sandbox(Server):
    """The sandbox, with a few invoices in it from the start or none."""

    def __init__(self, port: int, output: Path, *, demo_invoices: bool = True) -> None:
        """Take the port, and the file for what it prints."""
        filled = ("--with-demo-invoices",) if demo_invoices else ()
        module = (sys.executable, "-m", "sandbox", *filled)
        super().__init__(
            "the sandbox",
            *(*module, "--host", HOST, "--port", str(port)),
            url=f"http://{HOST}:{port}",
            ready_path=STATE,
            output=output,
            patience=30,
        )

    async def providers(self) -> list[SandboxProvider]:
        """Return the providers with their credentials and invoices."""
        state = await self.request("GET", STATE)
        return [
            SandboxProvider(
                key=provider["key"],
                name=provider["name"],
                credentials=provider["credentials"],
                invoices=tuple(map(_invoice, reversed(provider["invoices"]))),
                push_credentials=provider["push_credentials"],
                invoicing_credentials=provider["invoicing_credentials"],
            )
            for provider in state["providers"]
        ]

    async def create(self, provider: str, **what: Any) -> list[SandboxInvoice]:
        """Make invoices."""
        created = await self.request("POST", INVOICES, {"provider": provider, **what})
        return [_invoice(data) for data in created]

    async def act(self, invoice: SandboxInvoice, action: str) -> SandboxInvoice:
        """Pay an invoice, let it expire, and so on; return it as it is then."""
        path = f"{INVOICES}/{invoice.provider}/{invoice.id}"
        return _invoice(await self.request("POST", path, {"action": action}))

    async def switch_fault(
        self, provider: str, fault: str | None, count: int | None = None
    ) -> None:
        """Switch a provider's fault on, for so many requests or until further notice, or off."""
        body = {"fault": fault, "count": count}
        await self.request("POST", f"{FAULTS}/{provider}", body)

    async def reports(self) -> list[dict[str, Any]]:
        """Return what automations told of their runs, oldest first."""
        reports: list[dict[str, Any]] = await self.request("GET", REPORTS)
        return reports

    async def reading_count(self, provider: str) -> int:
        """Return how often a provider was asked for invoices."""
        counts = await self.request("GET", REQUESTS)
        readings: int = counts.get(provider, {}).get("invoices", 0)
        return readings

    async def post_to(self, provider: str, url: str) -> None:
        """Let a provider post to an address from now on, as it would."""
        await self.request("POST", f"{POSTBACKS}/{provider}", {"url": url})

    async def post(
        self, provider: str, invoice_ids: Sequence[str], **how: Any
    ) -> list[dict[str, Any]]:
        """Let a provider post about invoices, rightly or not; return what came of each."""
        body = {"order": list(invoice_ids), **how}
        path = f"{POSTBACKS}/{provider}/send"
        deliveries: list[dict[str, Any]] = await self.request("POST", path, body)
        return deliveries

    async def deliveries(self, provider: str, limit: int) -> list[dict[str, Any]]:
        """Return what a provider posted last, oldest first."""
        answer = await self.request("GET", f"{POSTBACKS}/{provider}?limit={limit}")
        deliveries: list[dict[str, Any]] = answer["deliveries"]
        return deliveries

    async def leads_to(self, link: str) -> str:
        """Return the page that a payer sees at last."""
        async with aiohttp.ClientSession() as session, session.get(link) as answer:
            if not answer.ok:
                raise DemoError(f"sandbox: {link}: {answer.status}")
            return str(answer.url)

    async def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Make a request of the control API."""
        timeout = aiohttp.ClientTimeout(total=30)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(method, self.url + path, json=body) as answer,
            ):
                if not answer.ok:
                    raise DemoError(f"sandbox: {method} {path}: {await answer.text()}")
                return await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DemoError(f"sandbox: {method} {path}: {error or 'no answer'}") from error


def _invoice(data: dict[str, Any]) -> SandboxInvoice:
    return SandboxInvoice(
        id=data["id"],
        provider=data["provider"],
        state=data["state"],
        amount=Decimal(data["amount"]),
        currency=data["currency"],
        order_id=data["order_id"],
        payment_url=data["payment_url"],
        actions=frozenset(action["action"] for action in data["actions"]),
    )
