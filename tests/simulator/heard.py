"""What was announced, who was to hear it, and who has."""

from collections.abc import Callable
from dataclasses import dataclass, field

from custom_components.crypto_invoices.delivery.announcement import Announcement
from custom_components.crypto_invoices.delivery.deliveries import RUN_TIMEOUT

from .plan import AUTOMATIONS


@dataclass(slots=True)
class Run:
    """The last run of an automation for an announcement."""

    life: int
    began: float
    cuts: int
    """How often its automation had been cut when it began."""
    is_heard: bool = False
    """Whether it ended, or had its time."""


@dataclass(slots=True)
class Announced:
    """An announcement, as it was made last."""

    id: str
    entry_id: str
    invoice: str
    status: str
    is_payment: bool
    is_revert: bool
    at: float
    """When it was announced last: what a kill took along is dated anew."""
    runs: dict[str, Run] = field(default_factory=dict)
    """By automation."""
    excused: set[str] = field(default_factory=set)
    """Automations that need not hear it."""


class Heard:
    """Everything that automations were told."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin with nothing."""
        self._clock = clock
        self.by_id: dict[str, Announced] = {}
        self.by_invoice: dict[tuple[str, str], list[Announced]] = {}
        self.off: set[str] = set()
        """Automations that are off, or not armed again since."""
        self.cuts = dict.fromkeys(AUTOMATIONS, 0)
        self.number_of_runs = 0
        self.fulfilled: set[str] = set()
        """The payments of which somebody was told that they are fulfilled."""

    def note(self, announcement: Announcement, entry_id: str) -> None:
        """Note that something is announced."""
        announced = self.by_id.get(announcement.id)
        if announced is None:
            announced = self.by_id[announcement.id] = Announced(
                announcement.id,
                entry_id,
                announcement.invoice_id,
                announcement.status.value,
                announcement.is_payment,
                announcement.kind == "payment_reverted",
                self._clock(),
            )
            key = entry_id, announcement.invoice_id
            self.by_invoice.setdefault(key, []).append(announced)
        announced.at = self._clock()
        announced.excused |= self.off

    def begin(self, automation: str, id_: str, life: int) -> Run:
        """Note that an automation runs, which it must not do twice without a reason."""
        announced, cuts = self.by_id[id_], self.cuts[automation]
        self.number_of_runs += 1
        before = announced.runs.get(automation)
        if before is not None and before.life == life and before.cuts == cuts:
            raise AssertionError(
                f"the automation for {automation} hears twice that {announced.invoice}"
                f" is {announced.status}"
            )
        run = announced.runs[automation] = Run(life, self._clock(), cuts)
        return run

    def end(self, run: Run, *, is_cut: bool) -> None:
        """Note how a run ended: one that had its time counts, whatever becomes of it then."""
        run.is_heard = not is_cut or self._clock() >= run.began + RUN_TIMEOUT - 0.1

    def note_off(self, automation: str) -> None:
        """Note that an automation is switched off: what it has not heard, it need not."""
        self.off.add(automation)
        self.cuts[automation] += 1
        for announced in self.by_id.values():
            run = announced.runs.get(automation)
            if run is None or not run.is_heard:
                announced.excused.add(automation)

    def unheard(self, announced: Announced) -> list[str]:
        """Return which automations have not heard an announcement to the end, and should have."""
        missing = []
        for automation in AUTOMATIONS:
            if automation in announced.excused:
                continue
            if automation == "payments" and not announced.is_payment:
                continue
            run = announced.runs.get(automation)
            if run is None or not run.is_heard:
                missing.append(automation)
        return missing
