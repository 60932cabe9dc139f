"""From the target of a trigger or condition to the accounts and invoices it means."""

from collections.abc import Mapping
from dataclasses import dataclass
import logging
from typing import Any, ClassVar

from homeassistant.const import (
    ATTR_AREA_ID,
    ATTR_DEVICE_ID,
    ATTR_ENTITY_ID,
    ATTR_FLOOR_ID,
    ATTR_LABEL_ID,
    CONF_OPTIONS,
    CONF_TARGET,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.target import TargetSelection, async_extract_referenced_entity_ids
from homeassistant.helpers.typing import ConfigType
import voluptuous as vol

from ..const import DOMAIN
from ..identifiers import invoice_identifier, our_identifiers

_LOGGER = logging.getLogger(__name__)

CONF_ACCOUNTS = "accounts"

_OTHER_TARGETS = (ATTR_ENTITY_ID, ATTR_AREA_ID, ATTR_FLOOR_ID, ATTR_LABEL_ID)


@dataclass(frozen=True, slots=True)
class Targeted:
    """The devices that a target means; without a target, every present and future one."""

    identifiers: frozenset[str] | None
    excluded: frozenset[str] = frozenset()

    def includes(self, entry_id: str, invoice_id: str) -> bool:
        """Whether an invoice is meant, directly or through its account."""
        devices = {entry_id, invoice_identifier(entry_id, invoice_id)}
        if not self.excluded.isdisjoint(devices):
            return False
        return self.identifiers is None or not self.identifiers.isdisjoint(devices)


def target_of(
    target: dict[str, Any] | None, options: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Return what is meant: the accounts that the options choose, or else the target."""
    accounts = (options or {}).get(CONF_ACCOUNTS)
    return {ATTR_DEVICE_ID: accounts} if accounts else target


def resolve_target(hass: HomeAssistant, target: dict[str, Any] | None) -> Targeted:
    """Return what a target means now: areas and labels change."""
    if not target or not (selection := TargetSelection(target)).has_any_target:
        return Targeted(None)
    # Excluding came with Home Assistant 2026.11.
    exclude: TargetSelection | None = getattr(selection, "exclude", None)
    return Targeted(
        _identifiers(hass, selection), _identifiers(hass, exclude) if exclude else frozenset()
    )


def _identifiers(hass: HomeAssistant, selection: TargetSelection) -> frozenset[str]:
    """Return what identifies our devices among those selected, also through their entities."""
    selected = async_extract_referenced_entity_ids(hass, selection, primary_entities_only=False)
    entities = er.async_get(hass)
    device_ids = set(selected.referenced_devices)
    for entity_id in selected.referenced | selected.indirectly_referenced:
        entity = entities.async_get(entity_id)
        if entity and entity.platform == DOMAIN and entity.device_id:
            device_ids.add(entity.device_id)
    devices = dr.async_get(hass)
    return frozenset(
        identifier
        for device_id in device_ids
        if (device := devices.async_get(device_id))
        for identifier in our_identifiers(device.identifiers)
    )


class ForInvoices:
    """What triggers and conditions of invoices have in common: options and a target."""

    schema: ClassVar[vol.Schema]

    @classmethod
    async def async_validate_config(cls, hass: HomeAssistant, config: ConfigType) -> ConfigType:
        """Validate the options, and that something of the target is still there."""
        valid: ConfigType = cls.schema(config)
        _check_target(hass, target_of(valid.get(CONF_TARGET), valid.get(CONF_OPTIONS)))
        return valid


def _check_target(hass: HomeAssistant, target: dict[str, Any] | None) -> None:
    """Raise Invalid if nothing of a target is left, warn of single devices that are gone.

    One of several must not take the others' automation with it.
    """
    if not target:
        return
    devices = dr.async_get(hass)
    device_ids = target.get(ATTR_DEVICE_ID, ())
    gone = [
        device_id
        for device_id in device_ids
        if (device := devices.async_get(device_id)) is None
        or not our_identifiers(device.identifiers)
    ]
    if not gone:
        return
    if len(gone) == len(device_ids) and not any(target.get(key) for key in _OTHER_TARGETS):
        raise vol.Invalid(
            f"{', '.join(gone)} is not a device of Crypto Invoices: the invoice or account"
            " was removed, so choose another one"
        )
    _LOGGER.warning(
        "%s is not a device of Crypto Invoices: the invoice or account was removed."
        " The automation goes on with its other targets",
        ", ".join(gone),
    )
