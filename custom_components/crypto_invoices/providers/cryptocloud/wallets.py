"""CryptoCloud's static wallets: an address that takes any amount, any number of times.

Facts: "Static wallets" at docs.cryptocloud.plus. What a list says of their deposits is not
documented: the signed postback is all there is.
"""

from collections.abc import Mapping
import re
from typing import Any, override

from ..capabilities import StaticWallet
from ..model import BadResponse, Invoice, InvoiceStatus, SettingNeeded
from ..new_invoice import Flaw, InvalidField
from ..parse import read_amount, read_object, read_text, read_word
from .project import CryptoCloudProject

_COIN = re.compile(r"[A-Z0-9]{2,10}(?:_[A-Z0-9]{2,10})?")


class CryptoCloudWallets(CryptoCloudProject):
    """A project with static wallets."""

    async def async_create_static_wallet(self, currency: str, identify: str) -> StaticWallet:
        """Create a wallet for one coin, like USDT_TRC20. Raises a ProviderError."""
        if not _COIN.fullmatch(currency):
            raise InvalidField("currency", Flaw.UNKNOWN)
        payload = await self.http.async_request(
            "POST",
            "/v2/invoice/static/create",
            headers=self._headers,
            json={"shop_id": self._settings["shop_id"], "currency": currency, "identify": identify},
            error=self._refusal,
        )
        result = read_object(self._read_result(payload).get("result"), "result")
        coin, network = _split(currency)
        return StaticWallet(
            id=read_text(result.get("uuid")),
            address=read_word(result.get("address"), "address"),
            currency=coin,
            network=network,
            identify=identify,
        )

    def check_can_create_static_wallet(self) -> None:
        """Raise SettingNeeded where the shop isn't known, or no deposit could be believed."""
        for key in ("shop_id", "postback_secret"):
            if not self._settings.get(key):
                raise SettingNeeded(key)

    @override
    def _read_deposit(self, id_: str, fields: Mapping[str, Any]) -> Invoice | None:
        """Return what a postback says if it is about a deposit, whatever the amount."""
        try:
            amount = read_amount(fields.get("amount_crypto"))
        except BadResponse:
            return None
        code = read_text(fields.get("currency"))
        identify, word = read_text(fields.get("order_id")), read_text(fields.get("status"))
        if word != "success" or identify is None or code is None or not amount or amount < 0:
            return None
        coin, network = _split(code)
        info = fields.get("invoice_info")
        return Invoice(
            id=id_,
            status=InvoiceStatus.PAID,
            provider_status=word,
            amount=amount,
            currency=coin,
            amount_received=amount,
            pay_amount=amount,
            pay_currency=coin,
            network=network,
            order_id=identify,
            is_test=isinstance(info, dict) and info.get("test_mode") is True,
            is_final=True,
        )


def _split(code: str) -> tuple[str, str | None]:
    """Return the coin and the network in a code like USDT_TRC20."""
    coin, _, network = code.partition("_")
    return coin, network or None
