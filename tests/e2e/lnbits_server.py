"""A real LNbits with wallets in it, and money that is made up."""

from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from demo import CHECKOUT, HOST, DemoError
from demo.server import Server

# The oldest one that is supported, and the newest one tried.
VERSIONS = OLDEST, NEWEST = "1.0.0", "1.6.2"
USER, PASSWORD = "demouser", "demo-password"
EXPIRY = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class LNbitsWallet:
    """A wallet with its keys: one that may only look, and one that may spend."""

    id: str
    inkey: str
    adminkey: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LNbitsInvoice:
    """An invoice, by its payment hash, and as it is pasted into a wallet."""

    id: str
    bolt11: str
    amount: Decimal


class LNbitsServer(Server):
    """LNbits with no node behind it: invoices are paid from one wallet to another.

    What stands in for the node has no memory: a restart makes pending invoices failed.
    """

    def __init__(self, folder: Path, port: int, version: str = NEWEST) -> None:
        """Take the folder for its data, the port, and which LNbits."""
        environment = CHECKOUT / f".cache/lnbits-{version}"
        settings = {
            "HOST": HOST,
            "PORT": str(port),
            "LNBITS_ADMIN_UI": "true",
            "LNBITS_BACKEND_WALLET_CLASS": "FakeWallet",
            "LNBITS_DATA_FOLDER": str(folder),
            "LNBITS_EXTENSIONS_MANIFESTS": "",
        }
        super().__init__(
            "LNbits",
            *("env", *(f"{name}={value}" for name, value in settings.items())),
            environment / "bin/lnbits",
            url=f"http://{HOST}:{port}",
            ready_path="/api/v1/health",
            output=folder.with_suffix(".log"),
            patience=90,
            # Its pages' files are looked for where it is started.
            folder=next(environment.glob("lib/python3*/site-packages"), environment),
        )
        self._token = self._user = ""
        self._visitors = count()

    async def open(self) -> None:
        """Become the one who may make wallets and money."""
        login = {"username": USER, "password": PASSWORD}
        await self._call(
            "PUT", "/api/v1/auth/first_install", {**login, "password_repeat": PASSWORD}
        )
        self._token = (await self._call("POST", "/api/v1/auth", login))["access_token"]
        self._user = (await self._call("GET", "/api/v1/auth"))["id"]

    async def create_wallet(self, name: str, satoshi: int = 0) -> LNbitsWallet:
        """Make a wallet with money in it."""
        # Where users make their own, the oldest version asks for the key of another wallet.
        path = f"/users/api/v1/user/{self._user}/wallet"
        wallet = _wallet(await self._call("POST", path, {"name": name}))
        # With one, each payment asks the internet for its price.
        await self._call("PATCH", "/api/v1/wallet", {"currency": ""}, wallet.adminkey)
        if satoshi:
            credit = {"id": wallet.id, "amount": str(satoshi)}
            await self._call("PUT", "/users/api/v1/balance", credit)
        return wallet

    async def reset_keys(self, wallet: LNbitsWallet) -> LNbitsWallet:
        """Give a wallet new keys: the old ones no longer work."""
        return _wallet(await self._call("PUT", f"/api/v1/wallet/reset/{wallet.id}"))

    async def create(
        self, wallet: LNbitsWallet, satoshi: int, *, expiry: int = EXPIRY
    ) -> LNbitsInvoice:
        """Make an invoice that expires so many seconds later."""
        what = {"out": False, "amount": satoshi, "memo": "Coffee", "expiry": expiry}
        made = await self._call("POST", "/api/v1/payments", what, wallet.inkey)
        return LNbitsInvoice(
            id=made["payment_hash"], bolt11=made["bolt11"], amount=Decimal(satoshi)
        )

    async def read(self, wallet: LNbitsWallet, id_: str) -> LNbitsInvoice:
        """Return an invoice of a wallet."""
        found = await self._call("GET", f"/api/v1/payments/{id_}", key=wallet.inkey)
        details = found["details"]
        amount = Decimal(details["amount"]) / 1000
        return LNbitsInvoice(id=id_, bolt11=details["bolt11"], amount=amount)

    async def pay(self, wallet: LNbitsWallet, invoice: LNbitsInvoice) -> None:
        """Pay an invoice of another wallet."""
        what = {"out": True, "bolt11": invoice.bolt11}
        await self._call("POST", "/api/v1/payments", what, wallet.adminkey)

    async def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, key: str | None = None
    ) -> Any:
        """Make a request, each as another visitor: the limit for one of them is for others."""
        headers = {"X-Forwarded-For": f"192.0.2.{next(self._visitors) % 250 + 1}"}
        if key:
            headers["X-Api-Key"] = key
        elif self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        timeout = aiohttp.ClientTimeout(total=30)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(method, self.url + path, json=body, headers=headers) as answer,
            ):
                if not answer.ok:
                    raise DemoError(f"LNbits: {method} {path}: {await answer.text()}")
                return await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DemoError(f"LNbits: {method} {path}: {error or 'no answer'}") from error


def _wallet(data: dict[str, Any]) -> LNbitsWallet:
    return LNbitsWallet(id=data["id"], inkey=data["inkey"], adminkey=data["adminkey"])
