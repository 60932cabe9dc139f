"""What the demo clicks, shows and checks."""

from decimal import Decimal
import string
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers.template import Template
import pytest

from demo import DOMAIN, DemoError
from demo.accounts import Account, WatchedInvoice, fill_in
from demo.automation import notification_id, paid_automation
from demo.check import Outcome, compare_amounts, table
from demo.client import Client, Flow
from demo.dashboard import dashboard
from demo.sandbox import SandboxInvoice, SandboxProvider

INVOICE = SandboxInvoice(
    id="INV-1",
    provider="cryptocloud",
    state="pending",
    amount=Decimal("24.90"),
    currency="USD",
    order_id=None,
    payment_url="",
    actions=frozenset({"pay"}),
)
WATCHED = WatchedInvoice(invoice=INVOICE, status="sensor.a", amount="sensor.a_amount")
STATUS_ONLY = WatchedInvoice(invoice=INVOICE, status="sensor.b", amount=None)
ACCOUNT = Account(
    provider=SandboxProvider(
        key="cryptocloud", name="CryptoCloud", credentials={}, invoices=(INVOICE,)
    ),
    entry_id="entry",
    watched=(WATCHED, STATUS_ONLY),
    device_id="all",
)


def test_forms_are_filled_in() -> None:
    """Each form gets what it asks for, in its sections too, and no more."""
    values = {"api_key": "key", "api_secret": "secret", "url": "http://sandbox"}
    section = {"name": "advanced", "type": "expandable", "schema": [{"name": "url"}]}
    assert fill_in([{"name": "api_key"}, section], values) == {
        "api_key": "key",
        "advanced": {"url": "http://sandbox"},
    }
    assert fill_in([{"name": "url"}, {"name": "time_zone"}], values) == {"url": "http://sandbox"}


@pytest.mark.parametrize(
    ("shown", "unit", "right", "wrong"),
    [
        ("24.9", "USD", 1, 0),
        ("24.90", None, 1, 0),
        ("25", "USD", 0, 1),
        ("unknown", "USD", 0, 1),
        ("unavailable", None, 0, 1),
        # The provider tells what it reckoned it to be.
        ("26.89", "EUR", 0, 0),
    ],
)
def test_amounts_are_compared(shown: str, unit: str | None, right: int, wrong: int) -> None:
    """An amount has to be right where both tell it in the same currency."""
    state = {"state": shown, "attributes": {"unit_of_measurement": unit} if unit else {}}
    counted, told = compare_amounts({"sensor.a_amount": state}, [ACCOUNT])
    assert (counted, len(told)) == (right, wrong)


def test_table_is_aligned() -> None:
    """Columns are as wide as their widest cell, and no line ends in blanks."""
    paid = Outcome(
        provider="CryptoCloud",
        invoice="INV-1",
        amount="24.90 USD",
        before="pending",
        after="paid",
        notified=True,
    )
    stuck = Outcome(provider="E-Gates", invoice="7", amount="-", before="pending", wrong="oh")
    assert table([paid, stuck]).splitlines() == [
        "provider     invoice  amount     before   after  notified",
        "-----------  -------  ---------  -------  -----  --------",
        "CryptoCloud  INV-1    24.90 USD  pending  paid   yes",
        "E-Gates      7        -          pending  -      no",
    ]


def test_dashboard_shows_every_invoice() -> None:
    """Each account is a section with a tile for what its invoices tell."""
    cards, view, till, overview = dashboard([ACCOUNT], "http://sandbox/")["views"]
    assert "http://sandbox/" in view["header"]["card"]["content"]
    heading, *tiles = view["sections"][0]["cards"]
    assert heading["heading"] == "CryptoCloud"
    assert [tile["entity"] for tile in tiles] == ["sensor.a", "sensor.a_amount", "sensor.b"]
    assert [section["cards"][0]["type"] for section in cards["sections"]] == [
        "custom:crypto-invoices-till",
        "custom:crypto-invoices-list",
    ]
    assert till["path"] == "till"
    assert overview["sections"][-1]["cards"][-1]["target"] == {"device_id": ["all"]}


def test_notification_is_the_invoices_own() -> None:
    """The check looks for what the automation raises."""
    (action,) = paid_automation()["actions"]
    template = action["data"]["notification_id"]
    assert template.replace("{{ trigger.invoice_id }}", "INV-A") == notification_id("INV-A")


async def test_notification_has_no_markdown_of_strangers(hass: HomeAssistant) -> None:
    """What may have been chosen by whoever pays is shown as it is, sign by sign."""
    (action,) = paid_automation()["actions"]
    message = Template(action["data"]["message"], hass)
    text = "![x](http://a.b/c) <b>`y`</b>* was paid: €24.90"
    shown = message.async_render({"trigger": {"text": text}}, parse_result=False)
    assert shown == "".join(f"\\{sign}" if sign in string.punctuation else sign for sign in text)


def test_an_unexpected_dialog_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a flow goes elsewhere, the message says where and why."""
    result: dict[str, Any] = {
        "type": "form",
        "handler": DOMAIN,
        "step_id": "egates",
        "errors": {"api_key": "invalid_auth"},
        "description_placeholders": {"provider": "E-Gates"},
    }
    flow = Flow(Client.__new__(Client), "/flow", result)
    assert flow.expect("form", "egates") is flow
    with pytest.raises(DemoError, match="invalid_auth") as caught:
        flow.expect("form", "invoices")
    assert caught.value.details == ("provider: E-Gates",)
