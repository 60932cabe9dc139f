"""What customers, staff and strangers do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry, ConfigEntryState
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr

from custom_components.crypto_invoices import async_remove_config_entry_device
from custom_components.crypto_invoices.book.record import Record
from custom_components.crypto_invoices.const import (
    CONF_CLEANUP_AFTER,
    CONF_EVERY_DEVICE,
    DOMAIN,
    SUBENTRY_TYPE_INVOICE,
)
from custom_components.crypto_invoices.identifiers import invoice_device
from sandbox.core import SANDBOX
from sandbox.letter import Signature
from sandbox.lnbits import LISTENERS
from sandbox.store import Change

from .bills import PAID, Bill, order_of
from .home import fill_in
from .plan import MINUTE, Event

if TYPE_CHECKING:
    from .shop import Shop

_LATER = 10 * MINUTE
_KNOWN = {"invoices": "ids_tracked"}
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "cleanup after a day": {CONF_CLEANUP_AFTER: 1},
    "cleanup after a week": {CONF_CLEANUP_AFTER: 7},
    "every device": {CONF_EVERY_DEVICE: True},
}


class People:
    """Customers who pay, and staff who do what is to be done."""

    def __init__(self, shop: Shop) -> None:
        """Begin with a shop that is closed."""
        self._shop = shop
        self._home = shop.home
        self._bills = shop.bills
        self._bills.made = self._expire_in_time
        self._log = shop.log
        self._sandbox = shop.app[SANDBOX]
        self._does: dict[str, Callable[[Event], None]] = {
            "made": self._made,
            "created": self._created,
            "added": self._added,
            "act": self._act,
            "deleted": self._deleted,
            "forged": self._forged,
            "weather": self._weather,
            "hung up": self._hung_up,
            "new key": self._new_key,
            "options": self._options,
            "reloaded": self._reloaded,
            "saved": self._saved,
            "switched": self._switched,
        }

    def do(self, event: Event) -> None:
        """Let an event happen."""
        self._does[event.kind](event)

    def calm(self) -> None:
        """Let what was put off be done."""
        for bill in self._bills:
            if not bill.is_promised and not bill.is_deleted:
                self._add(bill)

    def fulfill_the_rest(self) -> None:
        """Staff fulfill in the evening what no automation has."""
        for _, account in self._home.loaded():
            for id_ in tuple(account.book.items.owed):
                record = account.book.records[id_]
                found = record.item and self._home.heard.by_id.get(record.item.announcement_id)
                if found:
                    self._home.start(self._home.async_fulfill(found))

    def _made(self, event: Event) -> None:
        """An invoice is made at its provider."""
        self._bills.make(event)

    def _expire_in_time(self, bill: Bill) -> None:
        """Let an invoice expire at its time, though nobody looks at it."""
        store, invoice = self._sandbox.store, bill.invoice
        left = (invoice.expires_at - store.clock()).total_seconds()

        def look() -> None:
            store.find(invoice.provider, invoice.id)
            self._shop.session.note_time()

        self._shop.later(left + 0.001, look)

    def _created(self, event: Event) -> None:
        """Staff make an invoice with an action; without Home Assistant, at the provider."""
        if self._home.account(event.account) is None:
            self._made(event)
            if event.account not in self._shop.plan.auto_watched:
                self._shop.later(_LATER, lambda: self._added(event))
            return
        self._home.start(self._async_create(event))

    async def _async_create(self, event: Event) -> None:
        """Make an invoice with an action."""
        is_known = False
        try:
            await self._home.hass.services.async_call(
                DOMAIN,
                "create_invoice",
                {
                    "config_entry_id": self._home.entry_ids[event.account],
                    "amount": str(event.amount),
                    "currency": event.what,
                    "order_id": order_of(event),
                },
                blocking=True,
                return_response=True,
            )
            is_known = self._home.is_written(event.account)
        except HomeAssistantError as err:
            self._log.write(f"it is not made: {err.translation_key}")
        finally:
            # Also where the answer was lost, or whoever waited for it.
            self._shop.later(0, lambda: self._note_created(event, is_known=is_known))

    def _note_created(self, event: Event, *, is_known: bool) -> None:
        """Note whether staff know the invoice that they made, if it was made."""
        bill = self._bills.get(event.invoice)
        if bill is not None and is_known:
            bill.is_promised = True
        elif bill is not None and not bill.is_promised:
            self._add(bill)

    def _added(self, event: Event) -> None:
        """Staff add an invoice by its ID."""
        bill = self._bills.get(event.invoice)
        if bill is not None and not bill.is_promised and not bill.is_deleted:
            self._add(bill, leave_after=event.seconds)

    def _add_again(self, bill: Bill) -> None:
        """Staff add an invoice again that they deleted: its money counts once."""
        self._log.write(f"--- staff add invoice {bill.number} again")
        bill.is_deleted = bill.has_left = bill.is_promised = False
        self._add(bill)

    def _add(self, bill: Bill, *, leave_after: float = 0.0) -> None:
        """Add an invoice; if that fails, or staff leave before it is done, try again later."""
        if bill.is_being_added:
            return
        bill.is_being_added = True
        bill.was_paid_before |= bill.invoice.state in PAID
        if self._home.account(bill.account) is None:
            self._add_later(bill)
            return
        adding = self._home.start(self._async_add(bill))
        if leave_after:
            self._shop.later(leave_after, partial(self._leave, adding))

    def _leave(self, adding: asyncio.Task[None]) -> None:
        """Close the page of the dialog."""
        adding.cancel()

    def _add_later(self, bill: Bill) -> None:
        """Try again later."""
        bill.is_being_added = False
        self._shop.later(_LATER, lambda: None if bill.is_deleted else self._add(bill))

    async def _async_add(self, bill: Bill) -> None:
        """Add an invoice in the dialog."""
        flows = self._home.hass.config_entries.subentries
        is_added = False
        self._shop.weather.excuse(bill.account)
        try:
            handler = self._home.entry_ids[bill.account], SUBENTRY_TYPE_INVOICE
            result: Any = await flows.async_init(handler, context={"source": "user"})
            if result["type"] is FlowResultType.FORM:
                result = await flows.async_configure(
                    result["flow_id"], {"invoices": bill.invoice.id}
                )
            reason = result.get("reason") or result.get("errors")
            self._log.write(f"{bill.number} is added: {reason}")
            is_added = reason in ("invoice_added", "already_configured", _KNOWN)
            # Until it is on disk, a kill takes it along: the log says that the disk is full.
            is_added = is_added and self._home.is_written(bill.account)
            if result["type"] is FlowResultType.FORM:
                flows.async_abort(result["flow_id"])
        finally:
            self._shop.later(0, lambda: self._note_added(bill, is_added=is_added))

    def _note_added(self, bill: Bill, *, is_added: bool) -> None:
        """Note what became of it."""
        # Between the answer and the end of the dialog, somebody may have paid.
        bill.was_paid_before |= bill.payments > 0
        if is_added:
            bill.is_promised, bill.is_being_added = True, False
        else:
            self._add_later(bill)

    def _act(self, event: Event) -> None:
        """A customer does something, or doesn't succeed."""
        if (bill := self._bills.get(event.invoice)) is not None:
            self._bills.act(bill, event.what)
            self._shop.session.note_time()

    def _deleted(self, event: Event) -> None:
        """Staff delete an invoice's device, if it has one."""
        bill, entry = self._bills.get(event.invoice), self._home.entry(event.account)
        account = self._home.account(event.account)
        if bill is None or entry is None or account is None:
            return
        device = dr.async_get(self._home.hass).async_get_device_by_identifier(
            invoice_device(entry.entry_id, bill.invoice.id), entry.entry_id
        )
        record = account.book.records.get(bill.invoice.id)
        if device is None or record is None:
            return
        bill.is_deleted = bill.was_deleted = True
        self._home.start(self._async_delete(bill, entry, device, record, event.seconds))

    async def _async_delete(
        self,
        bill: Bill,
        entry: ConfigEntry,
        device: dr.DeviceEntry,
        record: Record,
        add_again_after: float,
    ) -> None:
        """Delete an invoice, and note what it leaves: that is what it had brought by then."""
        await async_remove_config_entry_device(self._home.hass, entry, device)
        if self._home.is_written(bill.account):
            brought = record.brought
            bill.left = brought and (brought.currency, brought.amount)
            bill.has_left = True
            if add_again_after:
                self._shop.later(add_again_after, partial(self._add_again, bill))

    def _forged(self, event: Event) -> None:
        """Somebody posts what nobody signed."""
        bill = self._bills.get(event.invoice)
        if bill is not None and event.account in self._shop.mail.webhook_ids:
            provider = self._sandbox.providers[event.account]
            change = Change(bill.invoice, None, bill.invoice.state)
            self._shop.mail.send(provider, change, Signature.WRONG_SECRET)

    def _weather(self, event: Event) -> None:
        """Something goes wrong at a provider for a while."""
        self._shop.weather.begin(event.account, event.what, event.seconds, event.number)

    def _hung_up(self, event: Event) -> None:
        """LNbits ends its connections."""
        for listener in tuple(self._shop.app[LISTENERS]._all):
            listener.waiting.put_nowait("")

    def _new_key(self, event: Event) -> None:
        """A provider accepts another key from now on; staff enter it later."""
        credentials: Any = self._sandbox.providers[event.account].credentials
        for name, key in credentials.items():
            credentials[name] = f"{key}-{event.at:.0f}"
        self._shop.session.note_time()
        self._shop.later(event.seconds, lambda: self._enter_key(event))

    def _enter_key(self, event: Event) -> None:
        """Staff enter the key, again later if that fails."""
        if self._home.account(event.account) is None:
            self._shop.later(_LATER, lambda: self._enter_key(event))
        else:
            self._home.start(self._async_enter_key(event))

    async def _async_enter_key(self, event: Event) -> None:
        """Enter the key in the dialog for it."""
        flows = self._home.hass.config_entries.flow
        entry, is_entered = self._home.entry(event.account), False
        try:
            assert entry is not None
            context: Any = {
                "source": SOURCE_REAUTH,
                "entry_id": entry.entry_id,
                "unique_id": entry.unique_id,
                "title_placeholders": {"name": entry.title},
            }
            result: Any = await flows.async_init(DOMAIN, context=context, data=dict(entry.data))
            if result["type"] is FlowResultType.FORM:
                credentials = self._sandbox.providers[event.account].credentials
                form = fill_in(result, credentials)
                result = await flows.async_configure(result["flow_id"], form)
            is_entered = result.get("reason") == "reauth_successful"
            self._log.write(f"a key: {result.get('reason') or result.get('errors')}")
        finally:
            again = self._see_key if is_entered else self._enter_key
            self._shop.later(_LATER, lambda: again(event))

    def _see_key(self, event: Event) -> None:
        """Staff see whether the key is still there: a kill just after it was entered takes it."""
        entry = self._home.entry(event.account)
        key = self._sandbox.providers[event.account].credentials["api_key"]
        if entry is None:
            self._shop.later(_LATER, lambda: self._see_key(event))
        elif entry.data["api_key"] != key:
            self._enter_key(event)

    def _options(self, event: Event) -> None:
        """Staff change an account's options."""
        if (entry := self._home.entry(event.account)) is not None:
            self._home.hass.config_entries.async_update_entry(
                entry, options={**entry.options, **_OPTIONS[event.what]}
            )

    def _reloaded(self, event: Event) -> None:
        """Staff reload an account."""
        entry = self._home.entry(event.account)
        if entry is not None and entry.state is ConfigEntryState.LOADED:
            self._home.start(self._home.hass.config_entries.async_reload(entry.entry_id))

    def _saved(self, event: Event) -> None:
        """Staff save an automation."""
        self._home.versions[event.what] += 1
        if not self._home.is_running:
            return
        self._home.heard.cuts[event.what] += 1
        if event.seconds:
            self._home.arming.is_held = True
            self._shop.later(event.seconds, self._arm)
        self._call("reload", {"id": event.what})

    def _arm(self) -> None:
        """Let automations that were saved be armed."""
        self._home.arming.is_held = False
        while self._home.arming.waiting:
            self._home.arming.release()

    def _switched(self, event: Event) -> None:
        """Staff switch an automation off, and on again later."""
        if not self._home.is_running:
            return
        data, life = {"entity_id": f"automation.{event.what}"}, self._home.life
        self._home.heard.note_off(event.what)
        self._call("turn_off", data)

        def switch_on() -> None:
            if self._home.life == life and self._home.is_running:
                self._call("turn_on", data)

        self._shop.later(event.seconds, switch_on)

    def _call(self, service: str, data: dict[str, Any]) -> None:
        """Run an action of the automations."""
        self._home.start(
            self._home.hass.services.async_call("automation", service, data, blocking=True)
        )
