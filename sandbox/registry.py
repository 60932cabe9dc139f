"""The providers there are."""

from collections.abc import Mapping

from .btcpay import BTCPAY
from .cryptocloud import CRYPTOCLOUD, CRYPTOCLOUD_V1
from .egates import EGATES
from .lnbits import LNBITS
from .provider import Provider

PROVIDERS: Mapping[str, Provider] = {
    provider.key: provider for provider in (CRYPTOCLOUD, CRYPTOCLOUD_V1, EGATES, BTCPAY, LNBITS)
}
