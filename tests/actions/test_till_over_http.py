"""A till from end to end: the actions, at the sandbox over HTTP."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util
import pytest

from custom_components.crypto_invoices.actions import creation
from sandbox.faults import Fault
from tests.conftest import (
    ENGLISH,
    AddAccount,
    Runs,
    SandboxServer,
    async_act,
    async_later,
    async_refused,
    async_settle,
    state_of,
    struck,
    watched,
)

PROVIDERS = ["cryptocloud", "cryptocloud_v1", "btcpay", "lnbits"]
each_provider = pytest.mark.parametrize("provider", PROVIDERS)
# What each takes beside the amount.
GIVEN: dict[str, dict[str, Any]] = {
    "cryptocloud": {"lifetime": {"minutes": 30}, "currency": "eur"},
    "cryptocloud_v1": {"currency": "usd"},
    "btcpay": {"lifetime": {"minutes": 30}, "currency": "eur", "payment_method": "BTC-LN"},
    "egates": {"currency": "eth", "payment_method": "ETHER", "description": "Two coffees"},
    "lnbits": {"lifetime": {"minutes": 30}, "currency": "eur", "description": "Two coffees"},
}


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut short the waiting for what may come."""
    monkeypatch.setattr(creation, "LOOK_AFTER", (0, 0.2))


def label(field: str) -> str:
    """Return what a field of the action is called."""
    name: str = ENGLISH["services"]["create_invoice"]["fields"][field]["name"]
    return name


async def async_open_till(
    add_account: AddAccount, sandbox: SandboxServer, provider: str
) -> ConfigEntry:
    """Set up an account that may create invoices."""
    may_create = sandbox.sandbox.providers[provider].invoicing_credentials
    return await add_account(provider, sandbox.store.create(provider).id, **may_create)


async def test_what_was_asked_for_stays_what_it_was(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """An invoice over euros that its provider later describes in dollars stays one over euros."""
    entry = await async_open_till(add_account, sandbox, "cryptocloud")
    assert sandbox.sandbox.settings["cryptocloud"]["fiat_currency"] == "omitted"
    asked = {"config_entry_id": entry.entry_id, "amount": "12.50", "currency": "EUR"}
    sandbox.sandbox.set("cryptocloud", "fiat_currency", "sent")
    id_ = (await async_act(hass, "create_invoice", **asked))["invoice_id"]
    sandbox.sandbox.set("cryptocloud", "fiat_currency", "omitted")
    sandbox.store.act("cryptocloud", id_, "pay")
    await async_later(hass)
    await async_later(hass)
    status = state_of(hass, entry, id_, "status")
    assert (status.state, status.attributes["amount"]) == ("paid", 12.5)
    assert (status.attributes["currency"], status.attributes["amount_received"]) == ("EUR", None)
    amount, received = (state_of(hass, entry, id_, key) for key in ("amount", "amount_received"))
    assert (amount.state, amount.attributes["unit_of_measurement"]) == ("12.5", "EUR")
    assert received.attributes["unit_of_measurement"] == "USD"
    assert Decimal(13) < Decimal(received.state) < Decimal("13.5")
    answer = await async_act(hass, "get_invoices", config_entry_id=entry.entry_id)
    [row] = [row for row in answer["invoices"] if row["invoice_id"] == id_]
    assert (row["amount"], row["currency"], row["amount_received"]) == ("12.5", "EUR", None)


@pytest.mark.parametrize("provider", list(GIVEN))
async def test_create_and_pay(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    runs: Runs,
    provider: str,
) -> None:
    """What is asked for is at the provider, is watched, and its payment is told once."""
    entry = await async_open_till(add_account, sandbox, provider)
    readings = sandbox.requests(provider)
    answer = await async_act(
        hass,
        "create_invoice",
        config_entry_id=entry.entry_id,
        amount="12.50",
        order_id="Table 7",
        **GIVEN[provider],
    )
    assert sandbox.requests(provider) == readings
    made = sandbox.store.get(provider, answer["invoice_id"])
    currency = GIVEN[provider]["currency"].upper()
    assert (made.amount, made.currency, made.order_id) == (Decimal("12.50"), currency, "Table 7")
    if provider == "lnbits":
        assert answer["payment_url"] is None
    else:
        assert answer["payment_url"].endswith(made.id.removeprefix("INV-"))
    if provider in ("btcpay", "lnbits"):
        assert answer["payment_text"].startswith("lightning:")
    code = hass.states.get(answer["entity_ids"]["payment_qr"])
    assert code
    assert code.state != "unavailable"
    if "lifetime" in GIVEN[provider]:
        assert made.expires_at - made.created_at == timedelta(minutes=30)
        told = dt_util.parse_datetime(answer["expires_at"])
        assert told is not None
        # Some tell whole seconds.
        assert timedelta(0) <= made.expires_at - told < timedelta(seconds=1)

    sandbox.store.act(provider, made.id, "pay")
    await async_later(hass)
    await async_later(hass)
    assert [run["invoice"] for run in runs] == [made.id]
    assert state_of(hass, entry, made.id, "status").state == "paid"


@each_provider
async def test_bad_input(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """What the provider can't make is refused before it is asked, by the field's name."""
    entry = await async_open_till(add_account, sandbox, provider)
    enough = {"config_entry_id": entry.entry_id, "amount": "5", "currency": "USD"}
    ways: tuple[tuple[dict[str, Any], str], ...] = (
        ({"amount": "5.001"}, "amount"),
        ({"amount": "0.000000001"}, "amount"),
        ({"currency": "XX"}, "currency"),
        ({"order_id": "x" * 10_000}, "order_id"),
        (
            {"description": "Coffee" * (1000 if provider in ("btcpay", "lnbits") else 1)},
            "description",
        ),
    )
    for given, field in ways:
        error = await async_refused(hass, "create_invoice", **enough | given)
        assert isinstance(error, ServiceValidationError)
        assert str(error).startswith(f"{label(field)}: ")
    assert sandbox.sandbox.requests[provider, "create"] == 0
    assert len(watched(entry)) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", "0." + "3" * 30),
        ("currency", "?!"),
        ("order_id", ""),
        ("payment_method", ""),
        ("lifetime", 60),
    ],
)
async def test_bad_input_where_more_is_needed(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, field: str, value: Any
) -> None:
    """What the provider needs has to be given, and what it has no use for has not."""
    entry = await async_open_till(add_account, sandbox, "egates")
    given = {"config_entry_id": entry.entry_id, "amount": 5, "order_id": "1", **GIVEN["egates"]}
    error = await async_refused(hass, "create_invoice", **given | {field: value})
    assert isinstance(error, ServiceValidationError)
    assert str(error).startswith(f"{label(field)}: ")
    assert sandbox.sandbox.requests["egates", "create"] == 0


async def test_link_is_kept(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Where an invoice is paid may be told only when it is made: a restart doesn't forget it."""
    entry = await async_open_till(add_account, sandbox, "egates")
    given = {"config_entry_id": entry.entry_id, "amount": 5, "order_id": "1", **GIVEN["egates"]}
    made = await async_act(hass, "create_invoice", **given)
    assert made["payment_url"].startswith(sandbox.url)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    answer = await async_act(hass, "get_invoices", order_id="1")
    assert [row["payment_url"] for row in answer["invoices"]] == [made["payment_url"]]
    qr = hass.states.get(made["entity_ids"]["payment_qr"])
    assert qr is not None
    assert qr.state != "unavailable"


@pytest.mark.parametrize("provider", ["cryptocloud", "cryptocloud_v1", "btcpay"])
async def test_key_that_may_not(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """Without what is needed to create, the error says what, and watching goes on."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    given = {"config_entry_id": entry.entry_id, "amount": 5, "currency": "USD"}
    error = await async_refused(hass, "create_invoice", **given)
    is_permission = provider == "btcpay"
    assert error.translation_key == ("permission_missing" if is_permission else "setting_needed")
    assert ("btcpay.store.cancreateinvoice" if is_permission else "Shop ID") in str(error)
    sandbox.store.act(provider, invoice.id, "pay")
    await async_later(hass)
    assert state_of(hass, entry, invoice.id, "status").state == "paid"


@pytest.mark.parametrize("provider", ["cryptocloud", "btcpay", "lnbits"])
@pytest.mark.parametrize("fault", [Fault.LATE_ANSWER, Fault.CUT_CONNECTION, Fault.TRUNCATED])
async def test_no_answer_but_made(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    runs: Runs,
    *,
    provider: str,
    fault: Fault,
) -> None:
    """An invoice that was made, though the answer got lost, is found by its order ID."""
    entry = await async_open_till(add_account, sandbox, provider)
    with struck(sandbox, provider, fault):
        sandbox.switch(provider, fault, 1)
        answer = await async_act(
            hass,
            "create_invoice",
            config_entry_id=entry.entry_id,
            amount=5,
            currency="USD",
            order_id="Table 7",
        )
    assert sandbox.sandbox.requests[provider, "create"] == 1
    [made] = [one for one in sandbox.store.all(provider) if one.order_id == "Table 7"]
    assert answer["invoice_id"] == made.id
    sandbox.store.act(provider, made.id, "pay")
    await async_later(hass)
    assert [run["invoice"] for run in runs] == [made.id]


@pytest.mark.parametrize(
    ("provider", "key"),
    [
        ("cryptocloud", "outcome_unknown_order"),
        ("cryptocloud_v1", "outcome_unknown"),
        ("btcpay", "outcome_unknown_order"),
        ("lnbits", "outcome_unknown_order"),
    ],
)
async def test_no_answer(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str, key: str
) -> None:
    """Where nothing is found, nothing is tried again, and the error says what may be."""
    entry = await async_open_till(add_account, sandbox, provider)
    with struck(sandbox, provider, Fault.TIMEOUT):
        error = await async_refused(
            hass,
            "create_invoice",
            config_entry_id=entry.entry_id,
            amount=5,
            currency="USD",
            order_id="Table 7",
        )
    assert error.translation_key == key
    assert sandbox.sandbox.requests[provider, "create"] == 1
    assert len(watched(entry)) == 1


@pytest.mark.parametrize(("provider", "kind"), [("cryptocloud", "cancel"), ("btcpay", "mark")])
async def test_cancel(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    provider: str,
    kind: str,
) -> None:
    """What is unpaid can be canceled once; what was paid a moment ago can't, and is seen."""
    entry = await async_open_till(add_account, sandbox, provider)
    given = {"config_entry_id": entry.entry_id, "amount": 5, "currency": "USD"}
    unpaid, paid = [
        (await async_act(hass, "create_invoice", **given))["invoice_id"] for _ in range(2)
    ]
    answer = await async_act(hass, "cancel_invoice", invoice_id=unpaid)
    assert answer["status"] == "canceled"
    assert sandbox.store.get(provider, unpaid).state == "canceled"
    error = await async_refused(hass, "cancel_invoice", invoice_id=unpaid)
    assert error.translation_key == "no_longer_open"
    assert sandbox.sandbox.requests[provider, kind] == 1

    sandbox.store.act(provider, paid, "pay")
    error = await async_refused(hass, "cancel_invoice", invoice_id=paid)
    assert error.translation_key == "no_longer_open"
    await async_settle(hass)
    assert state_of(hass, entry, paid, "status").state == "paid"


@pytest.mark.parametrize("provider", ["cryptocloud_v1", "lnbits"])
async def test_cancel_where_nobody_can(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """A provider without a way to cancel says so."""
    invoice = sandbox.store.create(provider).id
    await add_account(provider, invoice)
    error = await async_refused(hass, "cancel_invoice", invoice_id=invoice)
    assert error.translation_key == "cannot_cancel"


async def test_statistics(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """What the provider counts and adds up is told exactly."""
    entry = await async_open_till(add_account, sandbox, "cryptocloud")
    given = {"config_entry_id": entry.entry_id, "amount": "0.10", "currency": "USD"}
    for _ in range(3):
        made = await async_act(hass, "create_invoice", **given)
        sandbox.store.act("cryptocloud", made["invoice_id"], "pay")
    today = dt_util.utcnow().date()
    answer = await async_act(
        hass,
        "get_statistics",
        config_entry_id=entry.entry_id,
        start_date=str(today - timedelta(days=1)),
        end_date=str(today + timedelta(days=1)),
    )
    assert answer["currency"] == "USD"
    assert answer["totals"]["paid"] == {"count": 3, "amount": "0.3"}
    assert answer["totals"]["created"]["count"] == 1
