"""What is wrong with an address, and which ways of writing one are the same."""

import pytest

from custom_components.crypto_invoices.dialogs.address import (
    address_problem,
    is_exposed,
    normalize_address,
)
from custom_components.crypto_invoices.providers import PROVIDERS


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("https://pay.example.com", None),
        ("https://pay.example.com/", None),
        ("https://pay.example.com:8443", None),
        ("http://192.168.1.5:23000", None),
        ("http://[fd00::1]:3000", None),
        ("https://bezahlen.bücher.example", None),
        ("", "url_without_scheme"),
        ("made-up-key", "url_without_scheme"),
        ("0123456789abcdef0123456789abcdef01234567", "url_without_scheme"),
        ("mailto:shop@pay.example.com", "url_without_scheme"),
        ("ftp://pay.example.com", "url_without_scheme"),
        ("https://", "url_invalid"),
        ("https://user:secret@pay.example.com", "url_invalid"),
        ("https://pay example.com", "url_invalid"),
        ("https://pay.example.com:port", "url_invalid"),
        ("https://pay.example.com:99999", "url_invalid"),
        ("https://[::1", "url_invalid"),
        ("https://pay.example.com\\api", "url_invalid"),
        ("https://pay.example.com/api/v2", "url_with_path"),
        ("http://abcdefabcdef.onion", "url_onion"),
    ],
)
def test_address_problem(typed: str, problem: str | None) -> None:
    """What can't be an address is told apart from what is more than one."""
    assert address_problem(normalize_address(typed)) == problem


@pytest.mark.parametrize(
    "typed",
    [
        "https://pay.example.com",
        "  https://pay.example.com/\n",
        "https://pay.example.com//",
        "HTTPS://Pay.Example.COM",
        "https://pay.example.com:443/",
        "https://pay.example.com?",
        "pay.example.com",
        "Pay.Example.com/",
        "pay.example.com:443",
        "//pay.example.com",
        "https://pay.example.com/?key=1",
        "https://pay.example.com#part",
        "https://pay.example.com?usr=0123456789abcdef&wal=fedcba9876543210",
    ],
)
def test_same_address(typed: str) -> None:
    """One place has one address, however it is written."""
    assert normalize_address(typed) == "https://pay.example.com"


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("192.168.1.5:5000", "http://192.168.1.5:5000"),
        ("umbrel.local:3007/", "http://umbrel.local:3007"),
        ("localhost", "http://localhost"),
        ("lnbits:5000", "http://lnbits:5000"),
        ("[fd00::1]:3000", "http://[fd00::1]:3000"),
        ("8.8.8.8:8443", "https://8.8.8.8:8443"),
        ("https://192.168.1.5", "https://192.168.1.5"),
    ],
)
def test_address_in_own_network(typed: str, stored: str) -> None:
    """Without a scheme, one's own network is spoken to as most servers there do."""
    assert normalize_address(typed) == stored


@pytest.mark.parametrize(
    ("key", "typed", "stored"),
    [
        ("lnbits", "{0}/wallet?usr=0123456789abcdef&wal=fedcba9876543210", "{0}"),
        ("lnbits", "{0}/lnbits/wallet?usr=0123456789abcdef", "{0}/lnbits"),
        ("lnbits", "{0}/wallet/fedcba9876543210", "{0}"),
        ("lnbits", "{0}/api/v1/payments", "{0}"),
        ("lnbits", "{0}/lnbits/", "{0}/lnbits"),
        ("btcpay", "{0}/stores/9CiDemoStore/invoices", "{0}"),
        ("btcpay", "{0}/btcpay/account/apikeys", "{0}/btcpay"),
        ("btcpay", "{0}/login?ReturnUrl=%2F", "{0}"),
        ("btcpay", "{0}/i/4r3DemoInvoice1aBcDeFg", "{0}"),
        ("egates", "{0}/api/external/v1/gateway", "{0}"),
        ("cryptocloud", "{0}/v2/invoice/create", "{0}"),
    ],
)
def test_page_of_the_server(key: str, typed: str, stored: str) -> None:
    """The address of a page is enough, and of the secrets in it nothing is stored."""
    provider = PROVIDERS[key]
    for server in ("https://pay.example.com", "pay.example.com"):
        address = normalize_address(
            typed.format(server), allows_path=provider.allows_path, pages=provider.pages
        )
        assert address == stored.format("https://pay.example.com")


def test_what_is_no_address_stays_as_typed() -> None:
    """A user corrects what they typed, not what became of it."""
    assert normalize_address(" Https://Pay.Example.com/API/ ") == "Https://Pay.Example.com/API/"


@pytest.mark.parametrize(
    ("address", "exposed"),
    [
        ("https://pay.example.com", False),
        ("http://pay.example.com", True),
        ("http://8.8.8.8", True),
        ("http://[2606:4700::1111]", True),
        ("http://127.0.0.1:8080", False),
        ("http://192.168.1.5", False),
        ("http://10.0.0.5:3000", False),
        ("http://[fd00::1]", False),
        ("http://localhost:5000", False),
        ("http://btcpay", False),
        ("http://btcpay.local", False),
        ("http://btcpay.fritz.lan", False),
        ("http://local.example", True),
    ],
)
def test_is_exposed(address: str, *, exposed: bool) -> None:
    """Only what leaves the local network without encryption is exposed."""
    assert is_exposed(address) is exposed
