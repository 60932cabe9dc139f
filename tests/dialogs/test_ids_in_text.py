"""Invoice IDs are found in whatever was pasted, and mistyped ones are named."""

from unittest.mock import Mock

import pytest

from custom_components.crypto_invoices.lookup import async_find_ids
from custom_components.crypto_invoices.providers import PROVIDERS
from tests.providers.conftest import IDS, made_up_settings

OTHERS = {
    "cryptocloud": "INV-K442BTNG",
    "cryptocloud_v1": "INV-K442BTNG",
    "egates": "11111111-2222-4333-8444-555555555555",
    "btcpay": "AbCdEfGhIjKlMnOpQrStUv",
    "lnbits": "0123456789abcdef" * 4,
}
MISTYPED = {
    "cryptocloud": ["INV-K442BTN", "INV-K442BTNGG", "INV-K442-BTNG", "INVK442BTNG", "inv-k4"],
    "egates": ["11111111-2222-4333-8444-55555555555", "1111111g-2222-4333-8444-555555555555"],
    "btcpay": [
        "4r3DemoInvoice1",
        "4r3DemoInvoice1aBcDeFg4r3DemoInvoice1",
        "4r3DemoInvöice1aBcDeFg",
    ],
    "lnbits": ["ab" * 31, "a1" * 33, "g1" * 32],
}
MISTYPED["cryptocloud_v1"] = MISTYPED["cryptocloud"]
# Of an API that nobody knows, any word may be an ID.
KEYS = sorted(PROVIDERS.keys() - {"another_api"})
each_provider = pytest.mark.parametrize("key", KEYS)


async def find(key: str, text: str) -> tuple[list[str], list[str]]:
    """Return the IDs in a text, and what in it is an error."""
    found = await async_find_ids(PROVIDERS[key](Mock(), made_up_settings(key)), text)
    return list(dict.fromkeys(found.ids.values())), found.malformed


TEXTS = (
    "{id}",
    "1. {id}",
    "1) {id}",
    "1.{id}",
    "- {id}",
    "* {id}",
    "• {id}",
    "#1: {id}",
    '"{id}"',
    "'{id}'",
    "„{id}“",
    "«{id}»",
    "`{id}`",
    "**{id}**",
    "({id})",
    "[{id}]",
    "<{id}>",
    "{id}.",
    "{id}!",
    "{id}:",
    "{id}…",
    "{id} —",
    "ID: {id}",
    "ID:{id}",
    "id={id}",
    "Invoice ID: {id}, please.",
    "Rechnung Nr. 12 vom 3.2.2026: {id} (offen)",
    "Dear customer, your invoice {id} of 25.00 EUR is due on 2026-11-20.",
    "| {id} | 25.00 | EUR | HA-0001 | created | 2026-02-03 10:11:12 |",
    "{id}\t25,00 €\tHA-0001\tpaid\t2026-02-03T10:11:12+00:00",
    "{id};25.00;EUR;ORDER-0001;created",
    "| ID | Amount |\n|----|--------|\n| {id} | 25.00 |",
    "Hello,\n\nthese invoices are still open:\n\n  {id}\n\nKind regards\nAnna, 20 November 2026",
    "[Invoice](https://shop.example/orders/12?x=1) {id}",
    '{{"invoices": ["{id}"]}}',
    "{id} {id}",
)


@each_provider
async def test_found(key: str) -> None:
    """One ID is found, whatever stands around it, and nothing of that is an error."""
    for text in TEXTS:
        assert await find(key, text.format(id=IDS[key])) == ([IDS[key]], []), text


@each_provider
async def test_several(key: str) -> None:
    """All IDs of a text are found, in their order."""
    both = [IDS[key], OTHERS[key]]
    for text in ("1. {0}\n2. {1}", "{0} und {1}", "({0}, {1})", "| {0} | {1} |", "{0}\r\n{1}"):
        assert await find(key, text.format(*both)) == (both, []), text


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("cryptocloud", "https://pay.cryptocloud.plus/{bare}"),
        ("cryptocloud", "[pay](https://pay.cryptocloud.plus/{bare}?lang=en)."),
        ("cryptocloud", "Pay here: <https://pay.cryptocloud.plus/{bare}>"),
        ("cryptocloud", "1. {bare}"),
        ("cryptocloud", "Customer: {bare}"),
        ("cryptocloud", "INV {bare} for the customer"),
        ("btcpay", "https://btcpay.example/invoice?id={id}"),
        ("btcpay", "https://btcpay.example/invoice?lang=de&id={id}&x=1."),
        ("btcpay", "Open https://btcpay.example/i/{id}, please"),
        ("btcpay", "(https://btcpay.example/invoices/{id})"),
        ("egates", "https://pay.example/invoice/{id}?lang=en."),
        ("lnbits", "payment_hash: {id}"),
    ],
)
async def test_found_in_a_link(key: str, text: str) -> None:
    """A link to an invoice is as good as its ID, and so is what a provider leaves of it."""
    id_ = IDS[key]
    text = text.format(id=id_, bare=id_.removeprefix("INV-"))
    assert await find(key, text) == ([id_], [])


@each_provider
async def test_mistyped(key: str) -> None:
    """What was meant as an ID and is none is named, beside IDs and in a line of its own."""
    for typed in MISTYPED[key]:
        for text in ("{good} {typed}", "{good}\n{typed}", "1. {typed}\n2. {good}"):
            found = await find(key, text.format(good=IDS[key], typed=typed))
            assert found == ([IDS[key]], [typed]), text


@each_provider
async def test_of_another_provider(key: str) -> None:
    """What is another provider's ID is not dropped silently."""
    foreign = OTHERS["lnbits" if key != "lnbits" else "egates"]
    assert await find(key, f"{IDS[key]}\n{foreign}") == ([IDS[key]], [foreign])


@each_provider
async def test_nothing_but_prose(key: str) -> None:
    """Where there is no ID at all, everything that was typed is named."""
    assert await find(key, "nope, not this\nnor-that") == ([], ["nope", "not", "this", "nor-that"])
    assert await find(key, " .,;\n()") == ([], [])


async def test_eight_letters() -> None:
    """A word of eight letters could be an ID of CryptoCloud: it is one where nothing else is."""
    assert await find("cryptocloud", "abcdefgh") == (["INV-ABCDEFGH"], [])
    assert await find("cryptocloud", "customer\nK442BTNG") == ([OTHERS["cryptocloud"]], [])
    assert await find("cryptocloud", "customer INV-K442BTNG 20261120") == (
        [OTHERS["cryptocloud"]],
        [],
    )


async def test_a_long_text_is_read_quickly() -> None:
    """Nobody waits for a text without end."""
    for key in KEYS:
        for text in ("a" * 200_000, "word " * 40_000, "1-" * 100_000, "/invoices/" * 20_000):
            assert (await find(key, text))[0] == []
