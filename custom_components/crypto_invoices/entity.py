"""What all entities share: whose they are, and when they are written."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import batched
from typing import override

from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity, EntityDescription
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .book.record import as_asked
from .const import DOMAIN
from .coordinator import CryptoInvoicesCoordinator
from .devices import account_device_info, invoice_device_info
from .identifiers import entity_unique_id, invoice_identifier
from .providers.model import Invoice, InvoiceNotFound

# The entities of this many invoices are added before others get their turn.
_ADDED_AT_ONCE = 10


async def async_add_invoice_entities(
    coordinator: CryptoInvoicesCoordinator,
    async_add_entities: AddConfigEntryEntitiesCallback,
    make_entities: Callable[[str], Iterable[Entity]],
) -> None:
    """Add the entities of each watched invoice, now and as invoices get watched."""
    added: set[str] = set()

    def add_new_invoices() -> Iterator[bool]:
        """Add those that are not there, a few at each step."""
        added.intersection_update(coordinator.data)
        new = [
            id_
            for id_, one in coordinator.data.items()
            if id_ not in added and one.record.has_device
        ]
        for some in batched(new, _ADDED_AT_ONCE, strict=False):
            # Somebody else may have been faster, or watches one of them no more.
            ids = [id_ for id_ in some if id_ in coordinator.data and id_ not in added]
            added.update(ids)
            async_add_entities(entity for id_ in ids for entity in make_entities(id_))
            yield True

    coordinator.config_entry.async_on_unload(
        coordinator.publisher.async_add_watched_listener(add_new_invoices)
    )
    for _ in add_new_invoices():
        await asyncio.sleep(0)


async def async_add_passing_entities(
    coordinator: CryptoInvoicesCoordinator,
    async_add_entities: AddConfigEntryEntitiesCallback,
    make_entity: Callable[[str], InvoiceEntity],
    *,
    domain: str,
    key: str,
    exists: Callable[[Invoice], bool],
) -> None:
    """Add an entity of each invoice for as long as there is something for it to show.

    After that it is gone, from the registry too: an unavailable one would say nothing.
    """
    registry, entry = er.async_get(coordinator.hass), coordinator.config_entry
    shown: set[str] = set()

    @callback
    def follow(invoice_ids: Iterable[str]) -> None:
        for invoice_id in invoice_ids:
            one = coordinator.data.get(invoice_id)
            if one is None or one.invoice is None or not one.record.has_device:
                continue
            if not exists(one.invoice):
                shown.discard(invoice_id)
                identifier = invoice_identifier(entry.entry_id, invoice_id)
                unique_id = entity_unique_id(identifier, key)
                if entity_id := registry.async_get_entity_id(domain, DOMAIN, unique_id):
                    registry.async_remove(entity_id)
            elif invoice_id not in shown:
                shown.add(invoice_id)
                async_add_entities([make_entity(invoice_id)])

    def forget_gone() -> Iterator[bool]:
        shown.intersection_update(coordinator.data)
        return iter(())

    entry.async_on_unload(coordinator.publisher.async_add_change_listener(follow))
    entry.async_on_unload(coordinator.publisher.async_add_watched_listener(forget_gone))
    for some in batched(tuple(coordinator.data), _ADDED_AT_ONCE, strict=False):
        follow(some)
        await asyncio.sleep(0)


def device_of(coordinator: CryptoInvoicesCoordinator, invoice_id: str) -> DeviceInfo | None:
    """Return the device of an invoice, None once it is no longer watched."""
    if (one := coordinator.data.get(invoice_id)) is None:
        return None
    name = coordinator.devices.names.name(one.record)
    return invoice_device_info(coordinator.hass, coordinator.config_entry, one, name)


class AccountEntity(CoordinatorEntity[CryptoInvoicesCoordinator]):
    """An entity of an account."""

    _attr_has_entity_name = True

    def __init__(
        self, coordinator: CryptoInvoicesCoordinator, description: EntityDescription
    ) -> None:
        """Belong to the account's device."""
        super().__init__(coordinator)
        self.entity_description = description
        entry = coordinator.config_entry
        self._attr_unique_id = entity_unique_id(entry.entry_id, description.key)
        self._attr_device_info = account_device_info(entry)


class InvoiceEntity(CoordinatorEntity[CryptoInvoicesCoordinator]):
    """An entity of a watched invoice, available while the invoice can be read."""

    _attr_has_entity_name = True

    def __init__(
        self,
        coordinator: CryptoInvoicesCoordinator,
        invoice_id: str,
        description: EntityDescription,
    ) -> None:
        """Belong to the invoice's device."""
        super().__init__(coordinator, context=invoice_id)
        self.entity_description = description
        self.invoice_id = invoice_id
        self._shown = self._now
        identifier = invoice_identifier(coordinator.config_entry.entry_id, invoice_id)
        self._attr_unique_id = entity_unique_id(identifier, description.key)

    @property
    @override
    def device_info(self) -> DeviceInfo | None:
        """The invoice's device; only asked for while the entity is added, so not kept."""
        return device_of(self.coordinator, self.invoice_id)

    @property
    def _now(self) -> tuple[bool, bool, Invoice | None]:
        """What decides what is shown."""
        return self.coordinator.last_update_success, self.is_gone, self.row

    @property
    def is_gone(self) -> bool:
        """Whether the provider answers, but no longer knows the invoice."""
        one = self.coordinator.data.get(self.invoice_id)
        return super().available and one is not None and isinstance(one.error, InvoiceNotFound)

    @property
    def row(self) -> Invoice | None:
        """The invoice as its provider last described it, or None while it can't be read."""
        one = self.coordinator.data.get(self.invoice_id)
        return one.invoice if one else None

    @property
    def invoice(self) -> Invoice | None:
        """The invoice as last read and believed, over what was asked for at first."""
        one = self.coordinator.data.get(self.invoice_id)
        return as_asked(one.record, one.invoice) if one and one.invoice else None

    @property
    @override
    def available(self) -> bool:
        """Whether the last reading of this invoice succeeded."""
        return super().available and self.invoice is not None

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the invoice, beside the account as a whole."""
        await super().async_added_to_hass()
        self.async_on_remove(
            self.coordinator.publisher.async_add_invoice_listener(
                self.invoice_id, self._handle_coordinator_update
            )
        )

    @override
    async def async_update(self) -> None:
        """Read the invoice now, as a user may ask for; several together."""
        if futures := self.coordinator.async_hint((self.invoice_id,)):
            await asyncio.wait(futures)

    @override
    @callback
    def _handle_coordinator_update(self) -> None:
        """Write the state only where this invoice is what changed."""
        now = self._now
        if now != self._shown:
            self._shown = now
            self.async_write_ha_state()
