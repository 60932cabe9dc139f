"""Tells Home Assistant of transitions: event entities fire, triggers run."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.start import async_at_started

from .const import CONF_PROVIDER, DOMAIN
from .ledger import Ledger, Transition
from .providers.model import Invoice

# Sent with an Announcement: for every one, for those of an account (by entry
# ID), and for those of an invoice (by subentry ID).
SIGNAL_ANNOUNCED = f"{DOMAIN}_announced"
SIGNAL_ANNOUNCED_OF = f"{DOMAIN}_announced_{{}}"

# A transition is saved as announced when the actions it started are done, or
# after so many seconds: they may run longer.
ACTION_TIMEOUT = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A transition told to Home Assistant."""

    entry_id: str
    account: str
    provider: str
    transition: Transition
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    """Where a trigger leaves the run that it started."""

    @property
    def invoice(self) -> Invoice:
        """The invoice as it was read."""
        return self.transition.invoice

    def as_dict(self) -> dict[str, Any]:
        """Return what an event's attributes and a trigger's variables say, as plain values."""
        invoice = self.invoice
        return {
            "announcement_id": self.transition.id,
            "invoice_id": invoice.id,
            "provider": self.provider,
            "account": self.account,
            "status": invoice.status.value,
            "previous_status": self.transition.previous.value,
            "amount": None if invoice.amount is None else float(invoice.amount),
            "currency": invoice.currency,
            "amount_received": (
                None if invoice.amount_received is None else float(invoice.amount_received)
            ),
            "order_id": invoice.order_id,
            "paid_at": invoice.paid_at.isoformat() if invoice.paid_at else None,
        }


class Announcer:
    """Announces the transitions of one account, in order, once Home Assistant has started."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, ledger: Ledger) -> None:
        """Hold back everything until ``async_start``."""
        self._hass = hass
        self._entry = entry
        self._ledger = ledger
        self._waiting: list[Transition] = []
        self._is_started = False
        self.is_stopped = False
        self._runs: set[asyncio.Task[None]] = set()

    @callback
    def async_start(self) -> CALLBACK_TYPE:
        """Announce from when Home Assistant has started: automations arm late."""

        @callback
        def started(_: HomeAssistant) -> None:
            self._is_started = True
            self._announce_waiting()

        return async_at_started(self._hass, started)

    @callback
    def async_queue(self, transitions: Iterable[Transition]) -> None:
        """Take transitions over from the reading that found them, so that none can get lost."""
        self._waiting.extend(transitions)
        if self.is_stopped:
            self._take_back()

    @callback
    def async_announce(self) -> None:
        """Announce what is queued: its readings are published."""
        if self._is_started:
            self._announce_waiting()

    @callback
    def async_stop(self) -> None:
        """Announce nothing more; what was announced is still waited for, and saved."""
        self._is_started = False
        self.is_stopped = True
        self._take_back()

    @callback
    def _take_back(self) -> None:
        """Let what was not told be found again by whoever reads next."""
        self._ledger.withdraw(self._waiting)
        self._waiting = []

    @callback
    def _announce_waiting(self) -> None:
        """Start a run that announces what waits."""
        if not self._waiting:
            return
        # Not eager: the coordinator publishes first, so that actions see the new states.
        run = self._hass.async_create_background_task(
            self._async_run(), f"{DOMAIN} announcements", eager_start=False
        )
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)

    async def _async_run(self) -> None:
        """Announce, wait for the actions that this started, and save."""
        transitions, self._waiting = self._waiting, []
        started = {transition.id: self._tell(transition) for transition in transitions}
        try:
            if tasks := [task for tasks in started.values() for task in tasks]:
                await asyncio.wait(tasks, timeout=ACTION_TIMEOUT)
        except asyncio.CancelledError:
            # Home Assistant stops, and its actions with it: what is cut short comes again.
            self._ledger.settle(
                transition
                for transition in transitions
                if all(task.done() for task in started[transition.id])
            )
            self._ledger.save_at_stop()
            raise
        self._ledger.settle(transitions)
        await self._ledger.async_save()

    @callback
    def _tell(self, transition: Transition) -> list[asyncio.Task[Any]]:
        """Fire the event entities and run the triggers; return the runs."""
        announcement = Announcement(
            entry_id=self._entry.entry_id,
            account=self._entry.title,
            provider=self._entry.data[CONF_PROVIDER],
            transition=transition,
        )
        for signal in (
            SIGNAL_ANNOUNCED_OF.format(transition.subentry_id),
            SIGNAL_ANNOUNCED_OF.format(announcement.entry_id),
            SIGNAL_ANNOUNCED,
        ):
            async_dispatcher_send(self._hass, signal, announcement)
        return announcement.tasks
