"""The examples of docs/once.md can't be led astray by whoever writes the order ID."""

from decimal import Decimal
import re

from homeassistant.core import HomeAssistant, ServiceCall
import yaml

from tests.conftest import PACKAGE, AddAccount, SandboxServer, async_automate, async_later

ONCE = PACKAGE.parent.parent / "docs" / "once.md"


async def test_path(hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount) -> None:
    """Only a harmless order ID gets into an address, and only where enough was asked for."""
    [example] = (
        block
        for block in re.findall(r"^```yaml\n(.*?)^```$", ONCE.read_text(), re.DOTALL | re.MULTILINE)
        if "open_locker" in block
    )
    paths: list[str] = []

    async def open_locker(call: ServiceCall) -> None:
        paths.append(call.data["path"])

    hass.services.async_register("rest_command", "open_locker", open_locker)
    sandbox.sandbox.settings["cryptocloud"]["fiat_currency"] = "sent"
    made = [
        sandbox.store.create("cryptocloud", order_id=order, amount=amount, currency=currency)
        for order, amount, currency in (
            ("../customers/7/delete?", Decimal(25), "EUR"),
            ("7/../8", Decimal(25), "EUR"),
            ("7%2f8", Decimal(25), "EUR"),
            ("cheap", Decimal("24.99"), "EUR"),
            ("rubles", Decimal(25), "RUB"),
            ("HA-1", Decimal(25), "EUR"),
        )
    ]
    await add_account("cryptocloud", *(invoice.id for invoice in made))
    await async_automate(hass, yaml.safe_load(example))
    for invoice in made:
        sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    assert paths == ["orders/HA-1/paid"]
