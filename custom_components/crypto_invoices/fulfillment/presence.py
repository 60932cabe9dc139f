"""Entities of what has to be fulfilled: there while the account does that."""

from collections.abc import Callable

from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from ..const import DOMAIN
from ..identifiers import entity_unique_id
from .account import Fulfillment


@callback
def async_add_while_shown(
    fulfillment: Fulfillment,
    platform: Platform,
    key: str,
    make_entity: Callable[[], Entity],
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add an entity of an account while there is something to show, and remove it after that."""
    hass, entry = fulfillment.hass, fulfillment.entry
    is_there = False

    @callback
    def compare() -> None:
        nonlocal is_there
        if fulfillment.is_shown is is_there:
            return
        is_there = not is_there
        if is_there:
            async_add_entities([make_entity()])
        else:
            remove()

    @callback
    def remove() -> None:
        entities = er.async_get(hass)
        unique_id = entity_unique_id(entry.entry_id, key)
        if entity_id := entities.async_get_entity_id(platform, DOMAIN, unique_id):
            entities.async_remove(entity_id)

    entry.async_on_unload(fulfillment.async_add_listener(compare))
    compare()
    if not is_there:
        remove()
