"""A running sandbox, and a client that talks to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
import pytest

from sandbox.app import create_app
from sandbox.btcpay_webhooks import STORE_ID
from sandbox.core import SANDBOX, Sandbox
from sandbox.egates import sign

EGATES_PATH = "/api/external/v1/gateway/payment-invoice/"


class Bench(NamedTuple):
    """The sandbox from inside, and from outside."""

    sandbox: Sandbox
    client: TestClient[Any, Any]

    async def v2(self, *uuids: str, key: str = "sandbox-cryptocloud-key") -> ClientResponse:
        """Ask CryptoCloud for some invoices."""
        headers = {"Authorization": f"Token {key}"}
        body = {"uuids": uuids}
        return await self.client.post("/v2/invoice/merchant/info", json=body, headers=headers)

    async def v1(self, uuid: str, key: str = "sandbox-cryptocloud-v1-key") -> ClientResponse:
        """Ask CryptoCloud's old API for one invoice."""
        headers = {"Authorization": f"Token {key}"}
        return await self.client.get("/v1/invoice/info", params={"uuid": uuid}, headers=headers)

    async def egates(self, invoice_id: str, message: str = "", **query: str) -> ClientResponse:
        """Ask E-Gates for one invoice, with the message signed."""
        headers = {
            "API-KEY": "sandbox-egates-key",
            "SIGNATURE": sign("sandbox-egates-secret", message),
        }
        return await self.client.get(EGATES_PATH + invoice_id, params=query, headers=headers)

    async def btcpay(self, invoice_id: str) -> ClientResponse:
        """Ask BTCPay Server for one invoice."""
        headers = {"Authorization": "token sandbox-btcpay-key"}
        return await self.client.get(
            f"/api/v1/stores/{STORE_ID}/invoices/{invoice_id}", headers=headers
        )

    async def lnbits(self, payment_hash: str, **query: str) -> ClientResponse:
        """Ask LNbits for a page with one payment in it."""
        headers = {"X-Api-Key": "sandbox-lnbits-invoice-key"}
        params = {"payment_hash[in]": payment_hash, **query}
        return await self.client.get("/api/v1/payments/paginated", params=params, headers=headers)

    def asking(self, provider: str) -> Callable[[str], Awaitable[ClientResponse]]:
        """Return the way to ask a provider for one invoice."""
        ways: dict[str, Callable[[str], Awaitable[ClientResponse]]] = {
            "cryptocloud": self.v2,
            "cryptocloud_v1": self.v1,
            "egates": self.egates,
            "btcpay": self.btcpay,
            "lnbits": self.lnbits,
        }
        return ways[provider]

    async def control(self, path: str, body: object) -> ClientResponse:
        """Post to the control API."""
        return await self.client.post(f"/_sandbox/{path}", json=body)


@pytest.fixture(autouse=True)
def _loopback(socket_enabled: None) -> None:
    """Let tests talk to this machine, and to no other."""


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Serve a sandbox whose slow faults are quick."""
    app = create_app(slow_seconds=0.05)
    async with TestClient(TestServer(app)) as client:
        yield Bench(app[SANDBOX], client)
