"""The to-do list of an account: what was paid for, and has to be fulfilled."""

from collections.abc import Iterable, Iterator
from typing import override

from homeassistant.components.todo.const import TodoItemStatus, TodoListEntityFeature
from homeassistant.components.todo.entity import TodoItem, TodoListEntity
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity import EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .book.item import Item
from .book.record import Record
from .delivery.wording import name_with_amount
from .devices import account_device_info
from .fulfillment.presence import async_add_while_shown
from .identifiers import entity_unique_id
from .runtime import AccountRuntime, CryptoInvoicesConfigEntry
from .texts import translated

PARALLEL_UPDATES = 0

TO_FULFILL = EntityDescription(key="to_fulfill", translation_key="to_fulfill")
_LONGEST_SUMMARY = 120

type _Known = tuple[Item, str, str]
"""What an item of the list is made of."""


async def async_setup_entry(
    hass: HomeAssistant,
    entry: CryptoInvoicesConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the list while the account keeps what has to be fulfilled."""
    account = entry.runtime_data
    async_add_while_shown(
        account.fulfillment,
        Platform.TODO,
        TO_FULFILL.key,
        lambda: ToFulfillList(entry, account),
        async_add_entities,
    )


class ToFulfillList(TodoListEntity):
    """An item for each payment: ticking it fulfills it. Nothing is added or deleted by hand."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    _attr_supported_features = TodoListEntityFeature.UPDATE_TODO_ITEM
    entity_description = TO_FULFILL

    def __init__(self, entry: CryptoInvoicesConfigEntry, account: AccountRuntime) -> None:
        """Belong to the account's device."""
        self._entry = entry
        self._account = account
        self._written: dict[str, tuple[_Known, TodoItem]] = {}
        self._attr_unique_id = entity_unique_id(entry.entry_id, TO_FULFILL.key)
        self._attr_device_info = account_device_info(entry)

    @override
    async def async_added_to_hass(self) -> None:
        """Follow what is owed."""
        await super().async_added_to_hass()
        self._attr_todo_items = self._items()
        account = self._account
        self.async_on_remove(account.fulfillment.async_add_listener(self._changed))
        self.async_on_remove(
            account.coordinator.publisher.async_add_change_listener(self._invoices_changed)
        )

    @callback
    def _invoices_changed(self, invoice_ids: list[str]) -> None:
        """Write what a reading changed of what is listed."""
        if not self._written.keys().isdisjoint(invoice_ids):
            self._changed()

    @callback
    def _changed(self) -> None:
        """Write what is owed now."""
        self._attr_todo_items = self._items()
        self.async_write_ha_state()

    @override
    async def async_update_todo_item(self, item: TodoItem) -> None:
        """Fulfill what is ticked, and owe it again where the tick is taken back.

        What an item says is ours: nobody writes it by hand.
        """
        await self._account.fulfillment.async_fulfill(
            item.uid or "", is_done=item.status == TodoItemStatus.COMPLETED
        )

    def _items(self) -> list[TodoItem]:
        """Return what is owed, the oldest first, and then what was, the latest first."""
        items, before = self._account.book.items, self._written
        self._written = {}
        owed = self._write(items.owed.values(), before)
        done = self._write(items.done.values(), before)
        owed.sort(key=lambda one: one[0].since)
        done.sort(key=lambda one: one[0].fulfilled_at or one[0].since, reverse=True)
        return [written for _, written in (*owed, *done)]

    def _write(
        self,
        records: Iterable[Record],
        before: dict[str, tuple[_Known, TodoItem]],
    ) -> list[tuple[Item, TodoItem]]:
        """Return records as items of the list; most of them are as they were before."""
        found = []
        for record in records:
            if (item := record.item) is None:
                continue
            key = record.id
            summary = name_with_amount(self.hass, self._entry, record, _LONGEST_SUMMARY)
            known = before.get(key)
            lines = "\n".join(text for text in self._lines(record, item) if text)
            known_as = (item, summary, lines)
            if known is None or known[0] != known_as:
                known = (known_as, _todo_item(record, item, summary, lines))
            self._written[key] = known
            found.append((item, known[1]))
        return found

    def _lines(self, record: Record, item: Item) -> Iterator[str | None]:
        """Yield what has to be known of a payment, line by line. Nothing that a payer wrote."""
        if record.is_test:
            yield translated(self.hass, "entity.event.activity.state_attributes.is_test.name")
        if not record.status.is_paid:
            yield translated(self.hass, "triggers.payment_reverted.name")
        yield dt_util.as_local(item.since).strftime("%Y-%m-%d %H:%M")
        one = self._account.coordinator.data.get(record.id)
        yield record.payment_url or (one.invoice.payment_url if one and one.invoice else None)


def _todo_item(record: Record, item: Item, summary: str, lines: str) -> TodoItem:
    """Return what the list shows of a payment."""
    return TodoItem(
        summary=summary,
        uid=record.id,
        status=TodoItemStatus.NEEDS_ACTION if item.is_open else TodoItemStatus.COMPLETED,
        description=lines,
        completed=item.fulfilled_at,
    )
