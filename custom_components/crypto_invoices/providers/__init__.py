"""The providers, by their keys. Knows nothing of Home Assistant."""

from .btcpay import BTCPay
from .cryptocloud import CryptoCloud, CryptoCloudV1
from .egates import EGates
from .lnbits import LNbits
from .provider import Provider

PROVIDERS: dict[str, type[Provider]] = {
    provider.key: provider for provider in (CryptoCloud, BTCPay, EGates, LNbits, CryptoCloudV1)
}
