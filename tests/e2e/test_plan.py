"""What is left to chance: the same for the same seed, and possible at the sandbox."""

from decimal import Decimal
from pathlib import Path

import pytest

from demo.sandbox import SandboxInvoice
from tests.e2e.kill_plan import Moment, plan
from tests.e2e.payer import PAID, customers
from tests.e2e.reporting import Report
from tests.e2e.story import Dice, Stage


def invoices(number: int, *actions: str) -> list[SandboxInvoice]:
    """Return invoices to which a few things can be done."""
    return [
        SandboxInvoice(
            id=f"INV-{count}",
            provider="cryptocloud",
            state="pending",
            amount=Decimal(1),
            currency="USD",
            order_id=None,
            payment_url="",
            actions=frozenset(actions),
        )
        for count in range(number)
    ]


def test_dice_are_seeded_by_purpose(tmp_path: Path) -> None:
    """Each purpose has dice of its own, which fall the same way again."""
    stage = Stage(name="kill", folder=tmp_path, seed=1, short=True)
    assert stage.dice("kills").random() == stage.dice("kills").random()
    assert stage.dice("kills").random() != stage.dice("payer").random()


@pytest.mark.parametrize(("short", "least"), [(True, 3), (False, 20)])
def test_plan(*, short: bool, least: int) -> None:
    """Kills come in an order of the seed's, enough of them, with a fault where one is wanted."""
    kills = plan(Dice("1"), short=short)
    assert kills == plan(Dice("1"), short=short)
    assert [kill.share for kill in kills] != [kill.share for kill in plan(Dice("2"), short=short)]
    assert len(kills) >= least
    for kill in kills:
        assert 0 <= kill.share < 1
        assert (kill.fault is not None) == (kill.moment is Moment.FAULT)


def test_plan_needs_nobody() -> None:
    """No fault asks for new keys, and none that is slow holds up a start."""
    kills = [kill for seed in range(20) for kill in plan(Dice(str(seed)), short=False)]
    faults = {kill.fault for kill in kills} - {None}
    assert "server_error" in faults
    assert not faults & {"unauthorized", "forbidden"}
    assert not {kill.fault for kill in kills if kill.at_next_start} & {"timeout", "slow_body"}


def test_customers() -> None:
    """So many pay in the end; nobody does what the provider has no way to do."""
    made = invoices(50, "pay", "expire", "cancel")
    found = customers(Dice("1"), made, 40)
    assert sorted(customer.invoice.id for customer in found) == sorted(one.id for one in made)
    paying = [customer for customer in found if customer.actions and customer.actions[-1] in PAID]
    assert len(paying) == 40
    assert {action for customer in found for action in customer.actions} == {
        "pay",
        "expire",
        "cancel",
    }


def test_report() -> None:
    """A report is what the automation sends, amounts without a rounding error."""
    told = {"announcement_id": "a", "invoice_id": "b", "status": "paid", "amount": 24.9}
    assert Report.parse({"monotonic": 1.5, "report": told}) == Report(
        at=1.5, announcement_id="a", invoice_id="b", status="paid", amount=Decimal("24.9")
    )
    assert Report.parse({"monotonic": 1.5, "report": told | {"amount": None}}).amount is None
