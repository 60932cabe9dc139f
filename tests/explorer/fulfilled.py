"""What is promised of payments that are to be fulfilled (docs/fulfillment.md)."""

from dataclasses import dataclass, field
from uuid import uuid5

from custom_components.crypto_invoices.book.record import Record
from custom_components.crypto_invoices.book.transitions import _IDS
from custom_components.crypto_invoices.book.writer import HELD
from custom_components.crypto_invoices.runtime import AccountRuntime

from .home import Home


@dataclass
class Fulfilled:
    """What was fulfilled, and what that may lead to."""

    home: Home
    given: set[str] = field(default_factory=set)
    """The payments of which somebody was told that they are fulfilled."""

    async def async_fulfill(self, id_: str) -> None:
        """Fulfill what is owed for an invoice, and note it once that is said to be so."""
        account, hass = self.home.entry.runtime_data, self.home.hass
        payment = account.book.records[id_].item.announcement_id
        await account.fulfillment.async_fulfill(id_)
        # While a backup is made, nothing is written.
        if HELD not in hass.data:
            self.given.add(payment)

    def note_forgotten(self, record: Record | None) -> None:
        """Note that an invoice is no longer watched."""
        if record is not None and record.item is not None:
            self.given.discard(record.item.announcement_id)

    def note_loss(self) -> None:
        """Note that the file is lost."""
        self.given.clear()

    def after_step(self, account: AccountRuntime) -> None:
        """Check that each payment that was announced is owed or fulfilled, once."""
        for id_, record in account.book.records.items():
            item = record.item
            is_paid = record.status.is_paid and record.announced and record.announced.is_paid
            if is_paid and record.counts["payment"]:
                assert item is not None, f"nothing is owed for the payment of {id_}"
                number = record.counts["payment"] - 1
                last = f"account/{id_}/{record.times_watched}/payment/{number}"
                assert item.announcement_id == uuid5(_IDS, last).hex, f"another is owed for {id_}"
            if item is not None and item.announcement_id in self.given:
                assert not item.is_open, f"{id_} is owed again, and was fulfilled"
        items = account.book.items
        owed = {id_ for id_, record in account.book.records.items() if record.is_owed}
        assert items.owed.keys() == owed, "other invoices are listed than are owed"
        shown = self.home.state("account_to_fulfill")
        assert shown == str(len(owed)), f"{shown} are shown as owed, not {len(owed)}"
