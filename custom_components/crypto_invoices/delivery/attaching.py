"""From a trigger that Home Assistant attaches to a subscriber."""

import asyncio
from collections.abc import Callable
from typing import Any

from homeassistant.core import CALLBACK_TYPE, HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.trigger import (
    TriggerAction,
    TriggerActionPayloadBuilder,
    TriggerActionRunner,
)

from ..identifiers import invoice_device
from .announcement import Announcement
from .deliveries import async_get_deliveries
from .owners import owner_of
from .subscribers import Subscriber


def attach(
    hass: HomeAssistant,
    matches: Callable[[Announcement], bool],
    action: TriggerAction,
    build_payload: TriggerActionPayloadBuilder,
) -> CALLBACK_TYPE:
    """Let an action hear announcements; its automation is waited for. Return how to end that."""

    def run(announcement: Announcement, attempt: int) -> asyncio.Task[Any]:
        payload = build_payload(_variables(hass, announcement, attempt), _describe(announcement))
        return hass.async_create_task(action(payload, None))

    return async_get_deliveries(hass).subscribe(
        Subscriber(matches, run, owner_of(action, build_payload))
    )


def attach_runner(
    hass: HomeAssistant,
    matches: Callable[[Announcement], bool],
    run_action: TriggerActionRunner,
) -> CALLBACK_TYPE:
    """Let somebody hear announcements whom nobody waits for. Return how to end that."""

    def run(announcement: Announcement, attempt: int) -> asyncio.Task[Any]:
        return run_action(_variables(hass, announcement, attempt), _describe(announcement))

    return async_get_deliveries(hass).subscribe(Subscriber(matches, run))


def _variables(hass: HomeAssistant, announcement: Announcement, attempt: int) -> dict[str, Any]:
    """Return what a run is told beside what Home Assistant tells it."""
    device = dr.async_get(hass).async_get_device_by_identifier(
        invoice_device(announcement.entry_id, announcement.invoice_id), announcement.entry_id
    )
    return {
        **announcement.as_dict(),
        "attempt": attempt,
        "device_id": device.id if device else None,
    }


def _describe(announcement: Announcement) -> str:
    """Return what traces and the logbook say of a run's cause."""
    name = announcement.record.order_id or announcement.invoice_id
    return f"invoice {name} is {announcement.transition.status.value}"
