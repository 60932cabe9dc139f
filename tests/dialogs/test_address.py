"""What is wrong with an address, and which ways of writing one are the same."""

import pytest

from custom_components.crypto_invoices.dialogs.address import (
    address_problem,
    is_exposed,
    normalize_address,
)


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
        ("pay.example.com", "url_without_scheme"),
        ("pay.example.com:443", "url_without_scheme"),
        ("//pay.example.com", "url_without_scheme"),
        ("ftp://pay.example.com", "url_without_scheme"),
        ("https://", "url_invalid"),
        ("https://user:secret@pay.example.com", "url_invalid"),
        ("https://pay example.com", "url_invalid"),
        ("https://pay.example.com:port", "url_invalid"),
        ("https://pay.example.com:99999", "url_invalid"),
        ("https://[::1", "url_invalid"),
        ("https://pay.example.com\\api", "url_invalid"),
        ("https://pay.example.com/api/v2", "url_with_path"),
        ("https://pay.example.com/?key=1", "url_with_path"),
        ("http://abcdefabcdef.onion", "url_onion"),
        ("https://pay.example.com#part", "url_with_path"),
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
    ],
)
def test_same_address(typed: str) -> None:
    """One place has one address, however it is written."""
    assert normalize_address(typed) == "https://pay.example.com"


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
