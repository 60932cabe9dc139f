"""Which servers are near enough to reach us in our own network."""

import pytest

from custom_components.crypto_invoices.networks import is_in_own_network


@pytest.mark.parametrize(
    ("address", "is_near"),
    [
        ("http://192.168.1.5:23000/btcpay", True),
        ("https://192.168.1.5", True),
        ("http://127.0.0.1:8124", True),
        ("http://[fe80::1]", True),
        ("http://umbrel.local", True),
        ("https://btcpay", True),
        ("https://btcpay.example.com", False),
        ("https://203.0.113.9", False),
        ("https://local.example.com", False),
    ],
)
def test_own_network(address: str, *, is_near: bool) -> None:
    """A server in the own network is one that can reach us there."""
    assert is_in_own_network(address) is is_near
