"""The providers, by their keys. Knows nothing of Home Assistant."""

from .base import Provider
from .btcpay import BTCPay
from .cryptocloud import CryptoCloud
from .cryptocloud_v1 import CryptoCloudV1
from .egates import EGates
from .lnbits import LNbits

PROVIDERS: dict[str, type[Provider]] = {
    provider.key: provider for provider in (CryptoCloud, CryptoCloudV1, EGates, BTCPay, LNbits)
}
