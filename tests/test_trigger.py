"""Triggers: which transitions run which automation, for which targets, and what it is told."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from homeassistant.components.automation.const import DOMAIN as AUTOMATION_DOMAIN
from homeassistant.config_entries import ConfigEntry, ConfigEntryDisabler
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    floor_registry as fr,
    issue_registry as ir,
    label_registry as lr,
)
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.crypto_invoices.book.transitions import KINDS
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.providers.cryptocloud import project as cryptocloud_project
from custom_components.crypto_invoices.providers.model import InvoiceStatus
from custom_components.crypto_invoices.trigger import TRIGGERS
from sandbox import cryptocloud, cryptocloud_row

from .conftest import (
    ENGLISH,
    ICONS,
    PACKAGE,
    AddAccount,
    Runs,
    SandboxServer,
    async_add_invoices,
    async_automate,
    async_delete_device,
    async_later,
    async_settle,
    device_id,
    find_entity,
    watched,
)

# These have no target, but a choice of accounts.
REPORT = {"action": "test.report", "data": {"run": "{{ trigger.id }}"}}


def reporting(*triggers: dict[str, Any]) -> dict[str, Any]:
    """Return an automation that reports which of its triggers ran it."""
    return {"triggers": list(triggers), "actions": REPORT, "mode": "parallel", "max": 1000}


def every_kind() -> dict[str, Any]:
    """Return an automation with each trigger, for everything."""
    return reporting(*({"trigger": f"{DOMAIN}.{kind}", "id": kind} for kind in KINDS))


def ran(reports: Runs) -> list[str]:
    """Return which triggers have run since this was last asked."""
    names = sorted(report["run"] for report in reports)
    reports.clear()
    return names


@pytest.fixture
def expiring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let CryptoCloud have a word for expired, as other providers do."""
    monkeypatch.setitem(cryptocloud_project.STATUSES, "canceled", InvoiceStatus.EXPIRED)


@pytest.mark.usefixtures("expiring")
@pytest.mark.parametrize(
    ("provider", "steps"),
    [
        pytest.param("cryptocloud", [("pay", ["paid"])], id="paid"),
        pytest.param("cryptocloud", [("overpay", ["overpaid", "paid"])], id="overpaid is paid too"),
        pytest.param(
            "cryptocloud",
            [("partly_pay", ["partially_paid"]), ("pay", ["paid"]), (None, [])],
            id="in two parts",
        ),
        pytest.param(
            "cryptocloud",
            [("partly_pay", ["partially_paid"]), ("overpay", ["overpaid", "paid"])],
            id="in two parts, too much",
        ),
        pytest.param("cryptocloud", [("expire", ["expired"])], id="expired"),
        pytest.param(
            "cryptocloud", [("expire", ["expired"]), ("pay", ["paid"])], id="paid after all"
        ),
        pytest.param(
            "cryptocloud",
            [("pay", ["paid"]), ("revert", []), (None, ["payment_reverted"]), (None, [])],
            id="reverted",
        ),
        pytest.param(
            "cryptocloud",
            [("pay", ["paid"]), ("revert", []), ("pay", []), ("revert", [])],
            id="a replica lags behind now and then",
        ),
        pytest.param(
            "cryptocloud",
            [("pay", ["paid"]), ("revert", []), (None, ["payment_reverted"]), ("pay", ["paid"])],
            id="paid, reverted, paid again",
        ),
        pytest.param(
            "cryptocloud",
            [("partly_pay", ["partially_paid"]), ("revert", []), (None, [])],
            id="a part is taken back",
        ),
        pytest.param("egates", [("underpay", ["underpaid"])], id="underpaid"),
        pytest.param("egates", [("cancel", ["canceled"])], id="canceled"),
        pytest.param("cryptocloud_v1", [("pay", ["paid"]), (None, [])], id="status is all it says"),
    ],
)
async def test_kinds(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    reports: Runs,
    provider: str,
    steps: list[tuple[str | None, list[str]]],
) -> None:
    """Each kind of trigger runs at its transitions and at no other, ``status_changed`` aside."""
    await async_automate(hass, every_kind())
    invoice = sandbox.store.create(provider)
    await add_account(provider, invoice.id)
    assert not ran(reports)
    for action, expected in steps:
        if action:
            sandbox.store.act(provider, invoice.id, action)
        await async_later(hass)
        assert [name for name in ran(reports) if name != "status_changed"] == expected, action


async def test_overpaid_later(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, reports: Runs
) -> None:
    """An invoice that is paid, and then with more, was paid once."""
    await async_automate(hass, every_kind())
    invoice = sandbox.store.create("cryptocloud")
    await add_account("cryptocloud", invoice.id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    assert ran(reports) == ["paid", "status_changed"]
    # No payer can do this in the sandbox: what comes on top is a second transaction.
    invoice.state = invoice.state.OVERPAID
    await async_later(hass)
    assert ran(reports) == ["overpaid", "status_changed"]
    invoice.state = invoice.state.PAID
    await async_later(hass)
    await async_later(hass)
    assert ran(reports) == ["status_changed"]


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({}, ["partly_pay", "pay"]),
        ({"from": [], "to": []}, ["partly_pay", "pay"]),
        ({"to": "paid"}, ["pay"]),
        ({"to": ["paid", "partially_paid"]}, ["partly_pay", "pay"]),
        ({"from": "pending"}, ["partly_pay"]),
        ({"from": ["partially_paid"], "to": ["paid", "overpaid"]}, ["pay"]),
        ({"from": "pending", "to": "paid"}, []),
        ({"from": "paid"}, []),
    ],
    ids=str,
)
async def test_status_changed(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    reports: Runs,
    options: dict[str, Any],
    steps: list[str],
) -> None:
    """It runs at the transitions between the statuses that were chosen; none is any."""
    trigger = {"trigger": f"{DOMAIN}.status_changed", "id": "now", "options": options}
    await async_automate(hass, reporting(trigger))
    invoice = sandbox.store.create("cryptocloud")
    await add_account("cryptocloud", invoice.id)
    for action in ("partly_pay", "pay"):
        sandbox.store.act("cryptocloud", invoice.id, action)
        await async_later(hass)
        assert ran(reports) == ["now"] * (action in steps), action


async def test_test_payments(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    reports: Runs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A trigger that wants no test payments runs for real ones only; any other says which."""
    real, test = (sandbox.store.create("cryptocloud") for _ in range(2))
    row = cryptocloud_row.row

    def marked(settings: Any, invoice: Any, link: str) -> dict[str, Any]:
        return {**row(settings, invoice, link), "test_mode": invoice.id == test.id}

    monkeypatch.setattr(cryptocloud, "row", marked)
    await add_account("cryptocloud", real.id, test.id)
    trigger = {"trigger": f"{DOMAIN}.paid"}
    report = {"action": "test.report", "data": {"run": "{{ trigger.id, trigger.is_test }}"}}
    triggers: list[dict[str, Any]] = [
        {**trigger, "id": "all"},
        {**trigger, "id": "real", "options": {"include_tests": False}},
    ]
    await async_automate(hass, {**reporting(*triggers), "actions": report})
    for invoice in (real, test):
        sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    runs = sorted(tuple(report["run"]) for report in reports)
    assert runs == [("all", False), ("all", True), ("real", False)]


type Target = Callable[[HomeAssistant, ConfigEntry, str], dict[str, Any]]


def _entity_id(hass: HomeAssistant, entry: ConfigEntry, *unique_id: str) -> str:
    entity_id = find_entity(hass, entry, *unique_id)
    assert entity_id, unique_id
    return entity_id


def _invoice_entity(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> str:
    return _entity_id(hass, entry, invoice_id, "amount")


def on_device(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> dict[str, Any]:
    """Target the invoice's device."""
    return {"device_id": device_id(hass, entry, invoice_id)}


def on_account(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> dict[str, Any]:
    """Target the account's device."""
    return {"device_id": [device_id(hass, entry)]}


def on_entity(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> dict[str, Any]:
    """Target an entity of the invoice."""
    return {"entity_id": _invoice_entity(hass, entry, invoice_id)}


def on_account_entity(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> dict[str, Any]:
    """Target an entity of the account."""
    return {"entity_id": _entity_id(hass, entry, "open_invoices")}


def _area(hass: HomeAssistant) -> str:
    return ar.async_get(hass).async_get_or_create("Shop").id


def on_area_of_device(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> dict[str, Any]:
    """Target the area that the invoice's device is in."""
    dr.async_get(hass).async_update_device(device_id(hass, entry, invoice_id), area_id=_area(hass))
    return {"area_id": _area(hass)}


def on_area_of_entity(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> dict[str, Any]:
    """Target the area that one entity of the invoice is in."""
    er.async_get(hass).async_update_entity(
        _invoice_entity(hass, entry, invoice_id), area_id=_area(hass)
    )
    return {"area_id": _area(hass)}


def on_area_of_account(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> dict[str, Any]:
    """Target the area that the account's device is in."""
    dr.async_get(hass).async_update_device(device_id(hass, entry), area_id=_area(hass))
    return {"area_id": _area(hass)}


def on_floor(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> dict[str, Any]:
    """Target the floor of the invoice's area."""
    floor = fr.async_get(hass).async_create("Ground floor")
    ar.async_get(hass).async_update(_area(hass), floor_id=floor.floor_id)
    on_area_of_device(hass, entry, invoice_id)
    return {"floor_id": floor.floor_id}


def _label(hass: HomeAssistant) -> str:
    labels = lr.async_get(hass)
    return (labels.async_get_label_by_name("VIP") or labels.async_create("VIP")).label_id


def on_label_of_device(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> dict[str, Any]:
    """Target a label that the invoice's device has."""
    dr.async_get(hass).async_update_device(
        device_id(hass, entry, invoice_id), labels={_label(hass)}
    )
    return {"label_id": _label(hass)}


def on_label_of_entity(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> dict[str, Any]:
    """Target a label that one entity of the invoice has."""
    er.async_get(hass).async_update_entity(
        _invoice_entity(hass, entry, invoice_id), labels={_label(hass)}
    )
    return {"label_id": _label(hass)}


def on_all_at_once(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> dict[str, Any]:
    """Target the invoice in every way there is."""
    device = on_device(hass, entry, invoice_id)["device_id"]
    account = device_id(hass, entry)
    return {
        **on_entity(hass, entry, invoice_id),
        **on_floor(hass, entry, invoice_id),
        **on_area_of_account(hass, entry, invoice_id),
        **on_label_of_device(hass, entry, invoice_id),
        "device_id": [device, account],
    }


def on_nothing(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> dict[str, Any]:
    """Leave the target empty, as a blueprint does."""
    return {}


def on_emptied(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> dict[str, Any]:
    """Target an empty list of devices, as a blueprint does."""
    return {"device_id": []}


ONE_INVOICE: tuple[Target, ...] = (
    on_device,
    on_entity,
    on_area_of_device,
    on_area_of_entity,
    on_floor,
    on_label_of_device,
    on_label_of_entity,
)
ALL_INVOICES: tuple[Target, ...] = (
    on_account,
    on_account_entity,
    on_area_of_account,
    on_all_at_once,
    on_nothing,
    on_emptied,
)


@pytest.mark.parametrize(
    ("target", "reaches_both"),
    [(target, False) for target in ONE_INVOICE] + [(target, True) for target in ALL_INVOICES],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_targets(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    reports: Runs,
    target: Target,
    *,
    reaches_both: bool,
) -> None:
    """A payment runs the automation once if the target reaches the invoice, however often."""
    meant, other = (sandbox.store.create("cryptocloud") for _ in range(2))
    entry = await add_account("cryptocloud", meant.id, other.id)
    trigger = {
        "trigger": f"{DOMAIN}.paid",
        "id": "paid",
        "target": target(hass, entry, meant.id),
    }
    await async_automate(hass, reporting(trigger))
    sandbox.store.act("cryptocloud", meant.id, "pay")
    await async_later(hass)
    assert ran(reports) == ["paid"]
    sandbox.store.act("cryptocloud", other.id, "pay")
    await async_later(hass)
    assert ran(reports) == ["paid"] * reaches_both


@pytest.mark.parametrize("kind", ["any_paid", "any_status_changed"])
async def test_any_invoice_of_some_accounts(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, reports: Runs, kind: str
) -> None:
    """Without a choice, every account is meant; a chosen one is meant with all its invoices."""
    first, second = sandbox.store.create("cryptocloud"), sandbox.store.create("egates")
    entry = await add_account("cryptocloud", first.id)
    await add_account("egates", second.id)
    accounts = [device_id(hass, entry)]
    trigger = {"trigger": f"{DOMAIN}.{kind}"}
    await async_automate(
        hass,
        reporting(
            {**trigger, "id": "any"},
            {**trigger, "id": "none chosen", "options": {"accounts": []}},
            {**trigger, "id": "of one", "options": {"accounts": accounts}},
        ),
    )
    sandbox.store.act("cryptocloud", first.id, "pay")
    await async_later(hass)
    assert ran(reports) == ["any", "none chosen", "of one"]
    sandbox.store.act("egates", second.id, "pay")
    await async_later(hass)
    assert ran(reports) == ["any", "none chosen"]


@pytest.mark.parametrize("kind", ["any_paid", "paid"])
@pytest.mark.parametrize(
    ("provider", "options", "runs"),
    [
        ("cryptocloud", {}, True),
        ("cryptocloud", {"at_least": 25}, True),
        ("cryptocloud", {"at_least": 25.01}, False),
        ("cryptocloud", {"currency": "USD"}, True),
        ("cryptocloud", {"currency": " usd "}, True),
        ("cryptocloud", {"currency": ""}, True),
        ("cryptocloud", {"currency": "EUR"}, False),
        ("cryptocloud", {"currency": "money that nobody knows"}, False),
        ("cryptocloud", {"at_least": 1, "currency": "EUR"}, False),
        # Nobody knows what these were made for.
        ("cryptocloud_v1", {"at_least": 0}, True),
        ("cryptocloud_v1", {"at_least": 1}, False),
        ("cryptocloud_v1", {"currency": "USD"}, False),
    ],
)
async def test_amounts(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    reports: Runs,
    kind: str,
    provider: str,
    options: dict[str, Any],
    *,
    runs: bool,
) -> None:
    """Only invoices for enough, in the right currency, run an automation that wants that."""
    invoice = sandbox.store.create(provider, amount=Decimal(25))
    await add_account(provider, invoice.id)
    trigger = {"trigger": f"{DOMAIN}.{kind}", "id": kind, "options": options}
    await async_automate(hass, reporting(trigger))
    sandbox.store.act(provider, invoice.id, "pay")
    await async_later(hass)
    assert ran(reports) == [kind] * runs


async def test_target_without_members(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, reports: Runs
) -> None:
    """A label that nothing has means nothing, until something gets it."""
    first, second = (sandbox.store.create("cryptocloud") for _ in range(2))
    entry = await add_account("cryptocloud", first.id, second.id)
    target = {"label_id": _label(hass)}
    await async_automate(
        hass, reporting({"trigger": f"{DOMAIN}.paid", "id": "paid", "target": target})
    )
    sandbox.store.act("cryptocloud", first.id, "pay")
    await async_later(hass)
    assert ran(reports) == []
    on_label_of_device(hass, entry, second.id)
    sandbox.store.act("cryptocloud", second.id, "pay")
    await async_later(hass)
    assert ran(reports) == ["paid"]


async def test_target_with_strangers(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, reports: Runs
) -> None:
    """What else is in an area doesn't matter, however other integrations name their devices."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    target = on_area_of_device(hass, entry, invoice.id)
    odd: Any = {("lamps", "house", "3")}
    lamps = MockConfigEntry(domain="lamps")
    lamps.add_to_hass(hass)
    devices = dr.async_get(hass)
    lamp = devices.async_get_or_create(config_entry_id=lamps.entry_id, identifiers=odd)
    devices.async_update_device(lamp.id, area_id=target["area_id"])
    await async_automate(
        hass, reporting({"trigger": f"{DOMAIN}.paid", "id": "paid", "target": target})
    )
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    assert ran(reports) == ["paid"]


async def test_everything_to_come(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, reports: Runs
) -> None:
    """Without a target, accounts and invoices that are added later are meant too."""
    await async_automate(hass, reporting({"trigger": f"{DOMAIN}.paid", "id": "paid"}))
    first, second = (sandbox.store.create("cryptocloud") for _ in range(2))
    entry = await add_account("cryptocloud", first.id)
    await async_add_invoices(hass, entry, [second.id])
    elsewhere = sandbox.store.create("egates")
    await add_account("egates", elsewhere.id)
    for invoice in (first, second, elsewhere):
        sandbox.store.act(invoice.provider, invoice.id, "pay")
        await async_later(hass)
        assert ran(reports) == ["paid"], invoice


async def test_account_target_covers_invoices_to_come(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, reports: Runs
) -> None:
    """An account as target means the invoices that it gets later, and no other account's."""
    first, second = (sandbox.store.create("cryptocloud") for _ in range(2))
    elsewhere = sandbox.store.create("egates")
    entry = await add_account("cryptocloud", first.id)
    await add_account("egates", elsewhere.id)
    target = on_account(hass, entry, first.id)
    await async_automate(
        hass, reporting({"trigger": f"{DOMAIN}.paid", "id": "paid", "target": target})
    )
    await async_add_invoices(hass, entry, [second.id])
    for invoice in (second, elsewhere):
        sandbox.store.act(invoice.provider, invoice.id, "pay")
    await async_later(hass)
    assert ran(reports) == ["paid"]


async def test_reload(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, reports: Runs
) -> None:
    """An automation outlives the reload of the account that it watches."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    target = on_device(hass, entry, invoice.id)
    await async_automate(
        hass, reporting({"trigger": f"{DOMAIN}.paid", "id": "paid", "target": target})
    )
    for _ in range(2):
        assert await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    assert ran(reports) == ["paid"]


async def test_entities_disabled(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, reports: Runs
) -> None:
    """A device as target works with every entity disabled."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    entities = er.async_get(hass)
    for entity in er.async_entries_for_config_entry(entities, entry.entry_id):
        entities.async_update_entity(entity.entity_id, disabled_by=er.RegistryEntryDisabler.USER)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    assert not hass.states.async_all(("event", "sensor"))
    target = on_device(hass, entry, invoice.id)
    await async_automate(
        hass, reporting({"trigger": f"{DOMAIN}.paid", "id": "paid", "target": target})
    )
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    assert ran(reports) == ["paid"]


TELL = {
    "triggers": {"trigger": f"{DOMAIN}.paid"},
    "actions": {"action": "test.report", "data": {"told": "{{ trigger }}"}},
    "mode": "parallel",
}


async def test_variables(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, reports: Runs
) -> None:
    """What a template gets is plain: text, numbers and none."""
    invoice = sandbox.store.create("cryptocloud", amount=Decimal("25.10"), order_id="HA-1")
    entry = await add_account("cryptocloud", invoice.id)
    await async_automate(hass, TELL)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    # Rendered to text and read back: anything that isn't plain would stay text.
    [told] = [report["told"] for report in reports]
    assert len(told.pop("announcement_id")) == 32
    assert told == {
        "id": "0",
        "idx": "0",
        "alias": None,
        "platform": f"{DOMAIN}.paid",
        "description": "HA-1 was paid: $25.10",
        "text": "HA-1 was paid: $25.10",
        "amount_text": "$25.10",
        "attempt": 1,
        "fulfilled_at": None,
        "created_at": invoice.created_at.isoformat(),
        "is_late": False,
        "is_test": False,
        "invoice_id": invoice.id,
        "provider": "cryptocloud",
        "account": entry.title,
        "status": "paid",
        "previous_status": "pending",
        "amount": 25.1,
        "currency": "USD",
        "amount_received": 24.62,
        "order_id": "HA-1",
        "paid_at": None,
        "device_id": device_id(hass, entry, invoice.id),
    }


@pytest.mark.parametrize(
    ("template", "holds"),
    [
        ("{{ trigger.amount > 5 }}", True),
        ("{{ trigger.amount > 25 }}", False),
        ("{{ trigger.currency == 'USD' and trigger.status in ('paid', 'overpaid') }}", True),
        ("{{ trigger.previous_status == 'pending' }}", True),
        ("{{ trigger.paid_at is none }}", True),
        ("{{ device_attr(trigger.device_id, 'model') == 'Invoice' }}", True),
        ("{{ trigger.order_id.startswith('HA-') }}", True),
    ],
)
async def test_template_conditions(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    reports: Runs,
    template: str,
    *,
    holds: bool,
) -> None:
    """Templates use the variables without converting anything."""
    invoice = sandbox.store.create("cryptocloud", amount=Decimal(25), order_id="HA-1")
    await add_account("cryptocloud", invoice.id)
    gated = reporting({"trigger": f"{DOMAIN}.paid", "id": "paid"})
    await async_automate(
        hass, {**gated, "conditions": {"condition": "template", "value_template": template}}
    )
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    assert ran(reports) == ["paid"] * holds


async def test_two_accounts_track_the_same_invoice(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    reports: Runs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each account announces the payment, and the two can be told apart."""
    invoice = sandbox.store.create("cryptocloud")
    # Two keys of one project are two accounts.
    monkeypatch.setattr("sandbox.cryptocloud_row.same", lambda given, wanted: True)
    first = await add_account("cryptocloud", invoice.id)
    second = await add_account("cryptocloud", invoice.id, api_key="another-key")
    hass.config_entries.async_update_entry(second, title="The other one")
    target = on_device(hass, second, invoice.id)
    await async_automate(
        hass,
        TELL,
        reporting({"trigger": f"{DOMAIN}.paid", "id": "of the other", "target": target}),
    )
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    told = [report["told"] for report in reports if "told" in report]
    assert {run["account"] for run in told} == {first.title, "The other one"}
    assert {run["invoice_id"] for run in told} == {invoice.id}
    assert len({run["announcement_id"] for run in told}) == 2
    assert len({run["device_id"] for run in told}) == 2
    assert len(reports) == 3, "the target is of one account only"


async def test_removed_and_added_again(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, reports: Runs
) -> None:
    """An invoice that is added again starts from the status it has then."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    await async_automate(hass, TELL)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    await async_delete_device(hass, entry, invoice.id)
    await async_later(hass, 1)
    await async_add_invoices(hass, entry, [invoice.id])
    await async_later(hass)
    assert len(reports) == 1
    sandbox.store.act("cryptocloud", invoice.id, "revert")
    await async_later(hass)
    await async_later(hass)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    before, after = (report["told"]["announcement_id"] for report in reports)
    assert before != after


async def test_removed_in_the_last_moment(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, reports: Runs
) -> None:
    """An invoice that is no longer tracked is no longer announced."""
    invoice, other = (sandbox.store.create("cryptocloud") for _ in range(2))
    entry = await add_account("cryptocloud", invoice.id, other.id)
    await async_automate(hass, every_kind())
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_delete_device(hass, entry, watched(entry)[0])
    await async_later(hass)
    assert ran(reports) == []


async def test_disabled_account(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, reports: Runs
) -> None:
    """What happens while an account is disabled is told when it is enabled."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    await async_automate(hass, reporting({"trigger": f"{DOMAIN}.paid", "id": "paid"}))
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    assert ran(reports) == []
    await hass.config_entries.async_set_disabled_by(entry.entry_id, None)
    await async_later(hass)
    assert ran(reports) == ["paid"]


def _other_device(hass: HomeAssistant, entry: ConfigEntry) -> str:
    return (
        dr.async_get(hass)
        .async_get_or_create(config_entry_id=entry.entry_id, identifiers={("other", "lamp")})
        .id
    )


@pytest.mark.parametrize("kind", ["gone", "another integration's"])
async def test_only_device_is_gone(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    """The automation's editor, the repairs and the log say what is wrong, and with what."""
    invoice, other = (sandbox.store.create("cryptocloud") for _ in range(2))
    entry = await add_account("cryptocloud", invoice.id, other.id)
    if kind == "gone":
        gone = device_id(hass, entry, invoice.id)
        await async_delete_device(hass, entry, watched(entry)[0])
        await async_later(hass, 1)
    else:
        gone = _other_device(hass, entry)
    trigger = {"trigger": f"{DOMAIN}.paid", "target": {"device_id": gone}}
    await async_automate(hass, {**reporting(trigger), "alias": "Ring the bell"})
    message = f"{gone} is not a device of Crypto Invoices: the invoice or account was removed,"
    assert f"'Ring the bell' failed to setup triggers and has been disabled: {message}" in (
        caplog.text
    )
    state = hass.states.get("automation.ring_the_bell")
    assert state
    assert state.state == "unavailable"
    [issue] = (
        issue for issue in ir.async_get(hass).issues.values() if issue.domain == AUTOMATION_DOMAIN
    )
    assert issue.translation_placeholders
    assert message in issue.translation_placeholders["error"]


async def test_one_of_several_devices_is_gone(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    reports: Runs,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A warning names the device; the others go on."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    target = {"device_id": [device_id(hass, entry, invoice.id), "gone"]}
    await async_automate(
        hass, reporting({"trigger": f"{DOMAIN}.paid", "id": "paid", "target": target})
    )
    assert "gone is not a device of Crypto Invoices" in caplog.text
    assert "goes on with its other targets" in caplog.text
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    assert ran(reports) == ["paid"]


async def test_device_is_gone_beside_a_label(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    reports: Runs,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A target that isn't a device is a target left."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    target = {"device_id": ["gone"], **on_label_of_device(hass, entry, invoice.id)}
    await async_automate(
        hass, reporting({"trigger": f"{DOMAIN}.paid", "id": "paid", "target": target})
    )
    assert "goes on with its other targets" in caplog.text
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    assert ran(reports) == ["paid"]


@pytest.mark.parametrize(
    "trigger",
    [
        {"trigger": f"{DOMAIN}.settled"},
        {"trigger": f"{DOMAIN}.paid", "options": {"to": "paid"}},
        {"trigger": f"{DOMAIN}.paid", "target": {"device_id": [], "entity_id": "nonsense"}},
        {"trigger": f"{DOMAIN}.paid", "target": {"invoice_id": "INV-12345678"}},
        {"trigger": f"{DOMAIN}.paid", "target": "everything"},
        {"trigger": f"{DOMAIN}.paid", "target": {"device_id": ["gone", "too"]}},
        {"trigger": f"{DOMAIN}.paid", "options": {"accounts": []}},
        {"trigger": f"{DOMAIN}.paid", "options": {"at_least": -1}},
        {"trigger": f"{DOMAIN}.paid", "options": {"at_least": "a lot"}},
        {"trigger": f"{DOMAIN}.paid", "options": {"at_least": "nan"}},
        {"trigger": f"{DOMAIN}.any_paid", "options": {"at_least": "inf"}},
        {"trigger": f"{DOMAIN}.any_paid", "options": {"currency": ["EUR"]}},
        {"trigger": f"{DOMAIN}.any_paid", "options": {"accounts": ["gone"]}},
        {"trigger": f"{DOMAIN}.any_paid", "target": {"device_id": []}},
        {"trigger": f"{DOMAIN}.any_status_changed", "options": {"to": "settled"}},
        {"trigger": f"{DOMAIN}.status_changed", "options": {"to": "settled"}},
        {"trigger": f"{DOMAIN}.status_changed", "options": {"from": ["paid", "PAID"]}},
        {"trigger": f"{DOMAIN}.status_changed", "options": {"status": "paid"}},
        {"trigger": f"{DOMAIN}.status_changed", "options": ["paid"]},
    ],
    ids=str,
)
async def test_nonsense_is_refused(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, trigger: dict[str, Any]
) -> None:
    """The editor refuses a trigger that could never run."""
    await async_automate(hass)
    client = await hass_ws_client(hass)
    await client.send_json_auto_id({"type": "validate_config", "triggers": [trigger]})
    answer = await client.receive_json()
    assert answer["success"], answer
    assert not answer["result"]["triggers"]["valid"]
    assert answer["result"]["triggers"]["error"]


async def test_offered_in_the_editor(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """The editor shows each trigger for an invoice, an account and their entities."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    assert await async_setup_component(hass, AUTOMATION_DOMAIN, {})
    client = await hass_ws_client(hass)
    await client.send_json_auto_id({"type": "trigger_platforms/subscribe"})
    assert (await client.receive_json())["success"]
    described = (await client.receive_json())["event"]
    names = {f"{DOMAIN}.{key}" for key in TRIGGERS}
    assert names <= described.keys()
    # One that can have a target is marked red while it has none.
    without_target = {f"{DOMAIN}.{key}" for key in ("any_paid", "any_status_changed")}
    for name in names:
        target = described[name].get("target")
        assert target == (None if name in without_target else {"entity": [{"integration": DOMAIN}]})
    fields = described[f"{DOMAIN}.status_changed"]["fields"]
    for field in ("from", "to"):
        assert fields[field]["selector"]["select"]["options"] == [
            status for status in InvoiceStatus if status is not InvoiceStatus.UNKNOWN
        ]
    for target in (
        on_device(hass, entry, invoice.id),
        on_account(hass, entry, invoice.id),
        on_entity(hass, entry, invoice.id),
        on_label_of_device(hass, entry, invoice.id),
    ):
        await client.send_json_auto_id(
            {
                "type": "get_triggers_for_target",
                "target": {
                    key: [ids] if isinstance(ids, str) else ids for key, ids in target.items()
                },
            }
        )
        answer = await client.receive_json()
        assert names - without_target <= set(answer["result"]), target


def test_texts() -> None:
    """Each trigger, field and status that the editor shows has its text, and each an icon."""
    described = load_yaml_dict(PACKAGE / "triggers.yaml")
    assert described.keys() == TRIGGERS.keys() == ENGLISH["triggers"].keys()
    assert ICONS["triggers"].keys() == TRIGGERS.keys()
    for key, description in described.items():
        texts = ENGLISH["triggers"][key]
        assert texts["name"]
        assert texts["description"].endswith(".")
        assert ICONS["triggers"][key]["trigger"].startswith("mdi:")
        fields = description.get("fields", {})
        assert fields.keys() == texts.get("fields", {}).keys()
        for field, settings in fields.items():
            assert texts["fields"][field]["name"]
            assert texts["fields"][field]["description"].endswith(".")
            select = settings["selector"].get("select", {})
            if "translation_key" not in select:
                continue
            options = ENGLISH["selector"][select["translation_key"]]["options"]
            assert set(select["options"]) == options.keys() - {InvoiceStatus.UNKNOWN}
            assert options.keys() == set(InvoiceStatus)
    shown = ENGLISH["entity"]["sensor"]["status"]["state"]
    assert ENGLISH["selector"]["status"]["options"].items() <= shown.items()
