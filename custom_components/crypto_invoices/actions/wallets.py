"""Create a static wallet: an address that takes any amount, any number of times."""

from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import ServiceCall, ServiceResponse

from ..book.database import StorageError
from ..deposits import async_keep_wallet
from ..providers.capabilities import CanCreateStaticWallet
from ..providers.model import ProviderError
from ..providers.new_invoice import check_text
from ..qr import async_draw_link
from .common import async_get_account, failure, provider_failure, refusal

ATTR_CURRENCY = "currency"
ATTR_IDENTIFY = "identify"
_LONGEST_IDENTIFY = 255


async def async_create_static_wallet(call: ServiceCall) -> ServiceResponse:
    """Create a wallet whose deposits are announced, and return where to pay to."""
    entry = await async_get_account(call)
    account = entry.runtime_data
    provider = account.provider
    if not isinstance(provider, CanCreateStaticWallet):
        raise refusal("no_static_wallets", account=entry.title)
    currency, identify = (call.data[key].strip() for key in (ATTR_CURRENCY, ATTR_IDENTIFY))
    try:
        check_text(ATTR_IDENTIFY, identify, _LONGEST_IDENTIFY)
        provider.check_can_create_static_wallet()
        # First, as a wallet may be there though no answer comes.
        await async_keep_wallet(account.book, identify)
        wallet = await provider.async_create_static_wallet(currency.upper(), identify)
    except ProviderError as err:
        raise provider_failure(call, entry, err) from err
    except StorageError as err:
        raise failure("wallet_not_kept", account=entry.title) from err
    return {
        "account": entry.title,
        ATTR_CONFIG_ENTRY_ID: entry.entry_id,
        "wallet_id": wallet.id,
        "address": wallet.address,
        "currency": wallet.currency,
        "network": wallet.network,
        ATTR_IDENTIFY: wallet.identify,
        "qr_code": await async_draw_link(call.hass, wallet.address),
    }
