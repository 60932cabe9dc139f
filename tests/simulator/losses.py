"""Accounts whose file was lost: what has to be there again, and what need not."""

from dataclasses import dataclass
from datetime import datetime

from homeassistant.helpers import entity_registry as er

from custom_components.crypto_invoices.runtime import AccountRuntime
from custom_components.crypto_invoices.upkeep.horizon import _SINCE
from tests.explorer.promises import check_devices

from .bills import Bills
from .home import ShopHome


@dataclass(frozen=True, slots=True)
class _Lost:
    """What there was of an account."""

    shown: frozenset[str]
    """The IDs of the invoices that had a device."""
    sums: frozenset[str]
    """The entity IDs of what was known of its money."""


class Losses:
    """Sees whether an account is rebuilt from what Home Assistant knows of it."""

    def __init__(self, home: ShopHome, bills: Bills) -> None:
        """Begin with none."""
        self._home = home
        self._bills = bills
        self._lost: dict[str, _Lost] = {}
        """By the account's key, until it is loaded again."""
        self._recovering: set[str] = set()
        """Accounts that don't know yet since when an invoice is new."""
        self.accounts: dict[str, datetime] = {}
        """When each was last lost: what it received before is unknown."""

    def note(self, key: str, account: AccountRuntime) -> None:
        """Note what there is of an account whose file is about to be lost."""
        entry_id = self._home.entry_ids[key]
        shown = check_devices(self._home.hass, entry_id, account)
        deleted = {bill.invoice.id for bill in self._bills.of(key) if bill.is_deleted}
        registry, states = er.async_get(self._home.hass), self._home.hass.states
        sums = {
            entity.entity_id
            for entity in er.async_entries_for_config_entry(registry, entry_id)
            if f"{entry_id}_received_" in entity.unique_id and states.get(entity.entity_id)
        }
        self._lost[key] = _Lost(frozenset(shown - deleted), frozenset(sums))
        self._recovering.add(key)
        self.accounts[key] = self._home.loop.right()

    def after_step(self) -> None:
        """Check an account that is loaded again; what it had before is announced to nobody."""
        for key in tuple(self._recovering):
            for bill in self._bills.of(key):
                bill.was_paid_before = True
            account = self._home.account(key)
            if account is None:
                continue
            if (lost := self._lost.pop(key, None)) is not None:
                self._check(key, account, lost)
            if account.auto_watch is None or account.book.fact(_SINCE) is not None:
                self._recovering.discard(key)

    def _check(self, key: str, account: AccountRuntime, lost: _Lost) -> None:
        """Check that nothing is missing that was shown."""
        missing = lost.shown - account.book.records.keys()
        assert not missing, f"{key}: {missing} had a device, and is watched no more"
        for entity_id in lost.sums:
            state = self._home.hass.states.get(entity_id)
            is_there = state is not None and not state.attributes.get("restored")
            assert is_there, f"{key}: {entity_id} was known, and is shown no more"
