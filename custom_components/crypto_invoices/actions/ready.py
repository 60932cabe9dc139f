"""Ready before money is asked for: what is sold has to be there."""

from collections.abc import Iterable

from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant, callback

from ..errors import quote
from .common import refusal

ATTR_READY = "ready"


@callback
def check_ready(hass: HomeAssistant, entity_ids: Iterable[str]) -> None:
    """Raise a ServiceValidationError that names the entities that are not ready."""
    missing = [
        entity_id
        for entity_id in entity_ids
        if (state := hass.states.get(entity_id)) is None
        or state.state in (STATE_UNAVAILABLE, STATE_UNKNOWN)
    ]
    if missing:
        raise refusal("not_ready", entities=quote(", ".join(missing)))
