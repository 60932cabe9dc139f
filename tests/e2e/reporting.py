"""An automation that reports each of its runs to the sandbox."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from demo.sandbox import REPORTS, Sandbox
from demo.websocket import Json

KEY = "crypto_invoices_e2e_paid"
# How long an automation's action takes before it reports and after it has, in seconds.
DELAYS_BEFORE = (0, 0, 0.4, 1.2)
DELAYS_AFTER = (0, 0, 0.8, 2)
LONGEST_RUN = max(DELAYS_BEFORE) + max(DELAYS_AFTER)


def rest_command(sandbox_url: str) -> str:
    """Return what the automation needs in the configuration."""
    return f"""\
rest_command:
  report:
    url: {sandbox_url}{REPORTS.removesuffix("s")}
    method: post
    content_type: application/json
    payload: "{{{{ report | to_json }}}}"
"""


def automation(
    before: Sequence[float] = DELAYS_BEFORE, after: Sequence[float] = DELAYS_AFTER
) -> Json:
    """Return the automation as its editor would save it, with delays to choose from."""
    # As one template of a mapping: alone, an id of nothing but digits would become a number.
    report = (
        "{{ {'announcement_id': trigger.announcement_id, 'invoice_id': trigger.invoice_id,"
        " 'status': trigger.status, 'amount': trigger.amount} }}"
    )
    return {
        "alias": "Report each run",
        "triggers": [{"trigger": "crypto_invoices.paid"}],
        "actions": [
            *_delays(before),
            {"action": "rest_command.report", "data": {"report": report}},
            *_delays(after),
        ],
        "mode": "parallel",
        "max": 1000,
    }


def _delays(seconds: Sequence[float]) -> list[Json]:
    if not seconds:
        return []
    return [{"delay": {"seconds": f"{{{{ {list(seconds)} | random }}}}"}}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run told of itself, and when."""

    at: float
    announcement_id: str
    invoice_id: str
    status: str
    amount: Decimal | None

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> Self:
        """Take what the sandbox has kept."""
        told = entry["report"]
        amount = told["amount"]
        return cls(
            at=entry["monotonic"],
            announcement_id=str(told["announcement_id"]),
            invoice_id=str(told["invoice_id"]),
            status=str(told["status"]),
            amount=None if amount is None else Decimal(str(amount)),
        )


async def reports(sandbox: Sandbox) -> list[Report]:
    """Return the reports of all runs so far, oldest first."""
    return [Report.parse(entry) for entry in await sandbox.reports()]
