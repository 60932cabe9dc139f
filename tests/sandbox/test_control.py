"""The control API, and the pages that use it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from sandbox.btcpay import BTCPAY
from sandbox.registry import PROVIDERS
from sandbox.states import STEPS, Action, ConflictError, State
from sandbox.store import Change, Store

from .conftest import Bench


async def test_make_and_pay(bench: Bench) -> None:
    """An invoice that was made can be paid, once."""
    body = {"provider": "egates", "amount": "12.50", "currency": "ETH", "order_id": "A-1"}
    response = await bench.control("invoices", body | {"expires_in": 60})
    assert response.status == 201
    [made] = await response.json()
    assert (made["state"], made["amount"], made["order_id"]) == ("pending", "12.50", "A-1")
    path = f"invoices/egates/{made['id']}"
    paid = await (await bench.control(path, {"action": "pay"})).json()
    assert (paid["state"], paid["provider_status"]) == ("paid", "SUCCESS")
    assert paid["received"] == "12.50"
    assert paid == await (await bench.client.get(f"/_sandbox/{path}")).json()
    assert (await bench.control(path, {"action": "pay"})).status == 409


async def test_make_many(bench: Bench) -> None:
    """Many invoices are made at once; the state shows as many as it is asked for."""
    response = await bench.control("invoices", {"provider": "cryptocloud", "count": 300})
    assert len({invoice["id"] for invoice in await response.json()}) == 300
    state = await (await bench.client.get("/_sandbox/state?limit=10")).json()
    provider = state["providers"][0]
    assert (provider["invoice_count"], len(provider["invoices"])) == (300, 10)
    assert provider["credentials"] == {"api_key": "sandbox-cryptocloud-key"}
    assert "timeout" in state["faults"]


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("invoices", {"provider": "nobody"}, 404, "nobody"),
        ("invoices", {"provider": ["egates"]}, 400, "provider"),
        ("invoices", {"provider": "egates", "amount": "much"}, 400, "much"),
        ("invoices", {"provider": "egates", "amount": "NaN"}, 400, "amount"),
        ("invoices", {"provider": "egates", "amount": -1}, 400, "amount"),
        ("invoices", {"provider": "egates", "amount": True}, 400, "amount"),
        ("invoices", {"provider": "egates", "amount": "1e99"}, 400, "amount"),
        ("invoices", {"provider": "egates", "currency": "EUR"}, 400, "EUR"),
        ("invoices", {"provider": "egates", "count": 0}, 400, "count"),
        ("invoices", {"provider": "egates", "count": 10**6}, 400, "count"),
        ("invoices", {"provider": "egates", "expires_in": "1"}, 400, "expires_in"),
        ("invoices", {"provider": "egates", "expires": 1}, 400, "expires"),
        ("invoices", [], 400, "object"),
        ("invoices/egates/x", {"action": "pay"}, 404, "x"),
        ("invoices/nobody/x", {"action": "pay"}, 404, "nobody"),
        ("faults/nobody", {"fault": "html"}, 404, "nobody"),
        ("faults/egates", {"fault": "fire"}, 400, "fire"),
        ("faults/egates", {"fault": "html", "count": 0}, 400, "count"),
        ("settings/nobody", {"signing": "empty"}, 404, "nobody"),
        ("settings/nobody", {}, 404, "nobody"),
        ("settings/egates", {"signing": "wax"}, 400, "signing"),
        ("settings/egates", {"colour": "red"}, 400, "colour"),
        ("report", "a text", 400, "object"),
    ],
)
async def test_errors(bench: Bench, path: str, body: object, status: int, word: str) -> None:
    """What makes no sense is answered with what is wrong."""
    response = await bench.control(path, body)
    assert response.status == status
    assert word in (await response.json())["error"]


async def test_an_action_the_provider_has_not(bench: Bench) -> None:
    """E-Gates knows no part payments."""
    invoice = bench.sandbox.store.create("egates")
    response = await bench.control(f"invoices/egates/{invoice.id}", {"action": "partly_pay"})
    assert response.status == 400


async def test_faults_and_settings(bench: Bench) -> None:
    """Both are switched, and shown."""
    response = await bench.control("faults/egates", {"fault": "html", "count": 2})
    assert await response.json() == {"fault": {"fault": "html", "left": 2}}
    await bench.control("settings/egates", {"signing": "timestamp"})
    state = await (await bench.client.get("/_sandbox/state")).json()
    egates = state["providers"][2]
    assert egates["fault"] == {"fault": "html", "left": 2}
    assert egates["settings"]["signing"]["value"] == "timestamp"
    response = await bench.control("faults/egates", {"fault": None})
    assert await response.json() == {"fault": None}


async def test_requests_are_counted(bench: Bench) -> None:
    """By provider and kind, whatever was answered, until forgotten."""
    await bench.v2("INV-00000000")
    await bench.v2("INV-00000000", key="wrong")
    await bench.client.post("/v2/merchant/wallet/balance/all")
    counts = await (await bench.client.get("/_sandbox/requests")).json()
    assert counts == {"cryptocloud": {"invoices": 2, "balance": 1}}
    await bench.client.delete("/_sandbox/requests")
    assert await (await bench.client.get("/_sandbox/requests")).json() == {}


async def test_reports(bench: Bench) -> None:
    """Reports come back in order, stamped, until forgotten."""
    for number in range(2):
        assert (await bench.control("report", {"run": number})).status == 201
    first, second = await (await bench.client.get("/_sandbox/reports")).json()
    assert [first["report"], second["report"]] == [{"run": 0}, {"run": 1}]
    assert first["monotonic"] <= second["monotonic"]
    assert datetime.fromisoformat(first["received_at"]).tzinfo is not None
    await bench.client.delete("/_sandbox/reports")
    assert await (await bench.client.get("/_sandbox/reports")).json() == []


async def test_pages(bench: Bench) -> None:
    """The pages and all they load come from here; an unknown invoice's page says so."""
    invoice = bench.sandbox.store.create("egates")
    for path in ("/", f"/pay/egates/{invoice.id}"):
        response = await bench.client.get(path)
        assert (response.status, response.content_type) == (200, "text/html")
        assert "//" not in (await response.text()).replace("data:,", "")
    for name in ("style.css", "common.js", "list.js", "pay.js"):
        assert (await bench.client.get(f"/_sandbox/static/{name}")).status == 200
    for path in ("/pay/egates/x", "/pay/nobody/x", "/_sandbox/static/list.html"):
        assert (await bench.client.get(path)).status == 404


@pytest.mark.parametrize("action", Action)
def test_actions_start_where_they_say(action: Action) -> None:
    """From any other state an action is refused, and what is offered can be done."""
    providers = {**PROVIDERS, BTCPAY.key: BTCPAY}
    provider = next(key for key, row in providers.items() if action in row.actions)
    for state in State:
        store = Store(providers)
        invoice = store.create(provider)
        invoice.state = state
        if state in STEPS[action].starts:
            assert action in store.actions(invoice)
            store.act(provider, invoice.id, action)
        else:
            with pytest.raises(ConflictError):
                store.act(provider, invoice.id, action)


def test_listeners_hear_of_every_change() -> None:
    """From the beginning over expiry and late money to the end, until they have heard enough."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    store = Store(PROVIDERS, clock=lambda: now)
    heard: list[Change] = []
    leave = store.subscribe(heard.append)
    invoice = store.create("egates", amount=Decimal(8), expires_in=timedelta(minutes=1))
    now += timedelta(minutes=2)
    assert store.find("egates", invoice.id) is invoice
    for action in ("pay", "revert", "delete"):
        store.act("egates", invoice.id, action)
    leave()
    store.create("egates")
    states = [None, "pending", "expired", "paid", "pending", None]
    assert [(change.before, change.after) for change in heard] == list(pairwise(states))
    assert invoice.expires_at > now
    assert store.find("egates", invoice.id) is None
