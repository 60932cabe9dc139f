"""What another machine heard is compared with what was paid."""

from decimal import Decimal
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from .outside import Shop
from .outside_counts import compare_messages
from .subscriber import Heard, Subscriber


def heard(invoice_id: str, announcement_id: str, amount: float = 9.5, **more: Any) -> Heard:
    """Return a message as the blueprint publishes it."""
    said = {
        "announcement_id": announcement_id,
        "invoice_id": invoice_id,
        "status": "paid",
        "amount": amount,
        **more,
    }
    return Heard(f"crypto_invoices/paid/{announcement_id}", json.dumps(said))


GOOD = [heard("A", "1"), heard("B", "2")]


@pytest.mark.parametrize(
    ("messages", "retained", "wrong"),
    [
        pytest.param(GOOD, GOOD, set(), id="all is well"),
        pytest.param([*GOOD, GOOD[0]], GOOD, set(), id="the same twice"),
        pytest.param(GOOD[:1], GOOD, {"heard", "lost"}, id="one is lost"),
        pytest.param([*GOOD, heard("A", "3")], GOOD, {"with another ID"}, id="another ID"),
        pytest.param([GOOD[0], heard("B", "2", 8)], GOOD, {"untrue"}, id="another amount"),
        pytest.param([*GOOD, heard("C", "3")], GOOD, {"heard", "untrue"}, id="unpaid"),
        pytest.param(
            [*GOOD, heard("A", "1", text="?")], GOOD, {"repeated with another text"}, id="changed"
        ),
        pytest.param(GOOD, GOOD[:1], {"retained for who comes later"}, id="not retained"),
    ],
)
def test_compared(messages: list[Heard], retained: list[Heard], wrong: set[str]) -> None:
    """Whatever is lost, untrue or changed is seen."""
    invoice = SimpleNamespace(amount=Decimal("9.50"))
    shop = cast(Shop, SimpleNamespace(paid={"A": invoice, "B": invoice}))
    figures = compare_messages(shop, Subscriber("", heard=messages), Subscriber("", heard=retained))
    assert {figure.name for figure in figures if figure.is_wrong} == wrong
