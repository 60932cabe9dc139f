"""The providers, by their keys. Knows nothing of Home Assistant."""

from .another_api import AnotherApi
from .btcpay import BTCPay
from .cryptocloud import CryptoCloud, CryptoCloudV1
from .egates import EGates
from .lnbits import LNbits
from .provider import Provider

# Counted up whenever a provider that fitted before no longer does.
INTERFACE_VERSION = 1

PROVIDERS: dict[str, type[Provider]] = {
    provider.key: provider
    for provider in (CryptoCloud, BTCPay, EGates, LNbits, AnotherApi, CryptoCloudV1)
}
