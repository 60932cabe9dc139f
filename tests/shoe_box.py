"""A made-up provider, as complete as the one in docs/providers.md, and easier to trouble."""

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar, override

from custom_components.crypto_invoices.providers.model import (
    Account,
    AuthError,
    Invoice,
    InvoiceStatus,
    ProviderError,
)
from custom_components.crypto_invoices.providers.provider import (
    Field,
    FieldKind,
    Provider,
    fingerprint,
)


class ShoeBox(Provider):
    """Invoices on slips of paper: numbers for IDs, and a key with a PIN."""

    key = "shoe_box"
    name = "Shoe Box"
    fields = (
        Field(key="url", kind=FieldKind.URL, default="https://shoe.box", advanced=True),
        Field(key="key", kind=FieldKind.SECRET),
        Field(key="pin", kind=FieldKind.SECRET, required=False),
        Field(key="zone", kind=FieldKind.TIME_ZONE, required=False, advanced=True),
    )
    batch_size: int = 2

    slips: ClassVar[dict[str, Invoice | ProviderError]] = {}
    good_key: ClassVar[str] = "good"
    trouble: ClassVar[ProviderError | None] = None

    @property
    @override
    def reported_fields(self) -> frozenset[str]:
        """Times are not on the slips."""
        return super().reported_fields - {"expires_at"}

    @property
    @override
    def discovered_settings(self) -> Mapping[str, str]:
        """Where the box stands is found out with the first look."""
        return {"shelf": "upper"}

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        """Return the number of a slip."""
        number = text.removeprefix("#")
        return number if number.isdecimal() else None

    @override
    async def async_get_account(self) -> Account:
        """Try the key."""
        if self._settings["key"] != self.good_key:
            raise AuthError
        return Account(unique_id=fingerprint(self._settings["key"]), title="My shoe box")

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Look for at most two slips."""
        assert len(ids) <= self.batch_size
        if self.trouble:
            raise self.trouble
        await self.async_get_account()
        return {id_: self.slips[id_] for id_ in ids if id_ in self.slips}


def slip(number: str, status: InvoiceStatus = InvoiceStatus.PENDING) -> Invoice:
    """Return an invoice over as much as its number."""
    amount = Decimal(number)
    return Invoice(
        id=number,
        status=status,
        provider_status=f"on the {status} pile",
        amount=amount,
        currency="CHF",
        amount_received=amount if status.is_paid else Decimal(0),
        order_id=f"no. {number}",
    )
