"""Conditions: the present status of one, any or all of the targeted invoices."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from homeassistant.components.automation.const import DOMAIN as AUTOMATION_DOMAIN
from homeassistant.config_entries import ConfigEntry, ConfigEntryDisabler
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict
import pytest
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.crypto_invoices.condition import CONDITIONS
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.providers.model import InvoiceStatus

from .conftest import (
    ENGLISH,
    ICONS,
    PACKAGE,
    AddAccount,
    Runs,
    SandboxServer,
    async_add_invoices,
    async_automate,
    async_later,
    device_id,
)
from .test_trigger import (
    ALL_INVOICES,
    ONE_INVOICE,
    Target,
    on_account,
    on_device,
    on_entity,
    on_label_of_device,
)

IS_PAID = {"condition": f"{DOMAIN}.is_paid"}
IS_OPEN = {"condition": f"{DOMAIN}.is_open"}
ALL = {"options": {"behavior": "all"}}


def is_status(*statuses: str, **options: str) -> dict[str, Any]:
    """Return the condition that the status is one of those given."""
    return {"condition": f"{DOMAIN}.is_status", "options": {"status": list(statuses), **options}}


type Ask = Callable[[Mapping[str, Any]], Awaitable[bool]]


@pytest.fixture
async def ask(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> Ask:
    """Return the editor's button that tests a condition."""
    assert await async_setup_component(hass, AUTOMATION_DOMAIN, {})
    # The client starts the web server, to which nothing can be added then.
    assert await async_setup_component(hass, DOMAIN, {})
    client = await hass_ws_client(hass)

    async def holds(condition: Mapping[str, Any]) -> bool:
        await client.send_json_auto_id({"type": "test_condition", "condition": condition})
        answer = await client.receive_json()
        assert answer["success"], answer
        return bool(answer["result"]["result"])

    return holds


@pytest.mark.parametrize(
    ("provider", "action", "expected"),
    [
        pytest.param("cryptocloud", None, "pending", id="pending"),
        pytest.param("cryptocloud", "partly_pay", "partially_paid", id="partially paid"),
        pytest.param("cryptocloud", "pay", "paid", id="paid"),
        pytest.param("cryptocloud", "overpay", "overpaid", id="overpaid"),
        pytest.param("cryptocloud", "cancel", "canceled", id="canceled"),
        pytest.param("egates", "underpay", "underpaid", id="underpaid"),
    ],
)
async def test_each_status(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    ask: Ask,
    provider: str,
    action: str | None,
    expected: str,
) -> None:
    """Each status is itself, and paid, open or neither."""
    invoice = sandbox.store.create(provider)
    await add_account(provider, invoice.id)
    if action:
        sandbox.store.act(provider, invoice.id, action)
        await async_later(hass)
    status = InvoiceStatus(expected)
    assert [other for other in InvoiceStatus if await ask(is_status(other))] == [status]
    assert await ask(is_status("failed", status))
    assert await ask(IS_PAID) == (expected in ("paid", "overpaid"))
    assert await ask(IS_OPEN) == (expected in ("pending", "partially_paid"))


@pytest.mark.parametrize(
    ("condition", "none_paid", "one_paid", "both_paid"),
    [
        (IS_PAID, False, True, True),
        ({**IS_PAID, "options": {}}, False, True, True),
        ({**IS_PAID, "options": {"behavior": "any"}}, False, True, True),
        (IS_PAID | ALL, False, False, True),
        (IS_OPEN, True, True, False),
        (IS_OPEN | ALL, True, False, False),
        (is_status("paid"), False, True, True),
        (is_status("paid", behavior="all"), False, False, True),
        (is_status("paid", "pending", behavior="all"), True, True, True),
    ],
    ids=str,
)
async def test_any_and_all(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    ask: Ask,
    condition: dict[str, Any],
    *,
    none_paid: bool,
    one_paid: bool,
    both_paid: bool,
) -> None:
    """One matching invoice is enough, or all have to match."""
    invoices = [sandbox.store.create("cryptocloud") for _ in range(2)]
    await add_account("cryptocloud", *(invoice.id for invoice in invoices))
    answers = [await ask(condition)]
    for invoice in invoices:
        sandbox.store.act("cryptocloud", invoice.id, "pay")
        await async_later(hass)
        answers.append(await ask(condition))
    assert answers == [none_paid, one_paid, both_paid]


@pytest.mark.parametrize(
    ("target", "reaches_both"),
    [(target, False) for target in ONE_INVOICE] + [(target, True) for target in ALL_INVOICES],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_targets(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    ask: Ask,
    target: Target,
    *,
    reaches_both: bool,
) -> None:
    """The invoices that the target reaches are looked at, and no others."""
    meant, other = (sandbox.store.create("cryptocloud") for _ in range(2))
    entry = await add_account("cryptocloud", meant.id, other.id)
    targeted = IS_PAID | {"target": target(hass, entry, meant.id)}
    sandbox.store.act("cryptocloud", meant.id, "pay")
    await async_later(hass)
    assert await ask(targeted)
    assert await ask(targeted | ALL) != reaches_both


async def test_nothing_to_look_at(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, ask: Ask
) -> None:
    """No condition holds of no invoices, "all" included."""
    assert not await ask(IS_PAID | ALL)
    assert not await ask(IS_OPEN)
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    target = on_label_of_device(hass, entry, invoice.id)
    assert await ask(IS_OPEN | ALL | {"target": target})
    device = device_id(hass, entry, invoice.id)
    dr.async_get(hass).async_update_device(device, labels=set())
    assert not await ask(IS_OPEN | ALL | {"target": target})


type Outage = Callable[[HomeAssistant, SandboxServer, ConfigEntry], Awaitable[None]]


async def no_answer(hass: HomeAssistant, sandbox: SandboxServer, entry: ConfigEntry) -> None:
    """Let the provider fail."""
    sandbox.switch(entry.data["provider"], "server_error")
    await async_later(hass)


async def row_missing(hass: HomeAssistant, sandbox: SandboxServer, entry: ConfigEntry) -> None:
    """Let the provider know nothing of the invoice."""
    for invoice in sandbox.store.all(entry.data["provider"]):
        sandbox.store.act(invoice.provider, invoice.id, "delete")
    await async_later(hass)


async def not_set_up(hass: HomeAssistant, sandbox: SandboxServer, entry: ConfigEntry) -> None:
    """Let the provider fail while the account is loaded."""
    sandbox.switch(entry.data["provider"], "server_error")
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("outage", [no_answer, row_missing, not_set_up])
async def test_unreadable(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, ask: Ask, outage: Outage
) -> None:
    """An invoice that can't be read is neither paid nor open, so "all" doesn't hold either."""
    readable, unreadable = (sandbox.store.create(key) for key in ("cryptocloud", "egates"))
    await add_account("cryptocloud", readable.id)
    entry = await add_account("egates", unreadable.id)
    target = {"target": on_device(hass, entry, unreadable.id)}
    assert await ask(IS_OPEN | ALL)
    await outage(hass, sandbox, entry)
    assert await ask(IS_OPEN)
    assert not await ask(IS_OPEN | ALL)
    assert not await ask(IS_OPEN | target)
    assert not await ask(IS_PAID | target)
    assert not await ask(is_status(*InvoiceStatus) | target)


async def test_disabled_account(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, ask: Ask
) -> None:
    """The invoices of an account that is disabled don't count."""
    watched, ignored = (sandbox.store.create(key) for key in ("cryptocloud", "egates"))
    await add_account("cryptocloud", watched.id)
    entry = await add_account("egates", ignored.id)
    sandbox.store.act("cryptocloud", watched.id, "pay")
    await async_later(hass)
    assert not await ask(IS_PAID | ALL)
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    assert await ask(IS_PAID | ALL)


async def test_gates_an_automation(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, reports: Runs
) -> None:
    """An automation tells when the last invoice of an account is paid, and not before."""
    invoices = [sandbox.store.create("cryptocloud") for _ in range(3)]
    entry = await add_account("cryptocloud", invoices[0].id)
    target = {"target": on_account(hass, entry, invoices[0].id)}
    await async_automate(
        hass,
        {
            "triggers": {"trigger": f"{DOMAIN}.paid", **target},
            "conditions": IS_PAID | ALL | target,
            "actions": {"action": "test.report", "data": {"run": "{{ trigger.invoice_id }}"}},
        },
    )
    await async_add_invoices(hass, entry, [invoice.id for invoice in invoices[1:]])
    for invoice in invoices:
        assert reports == []
        sandbox.store.act("cryptocloud", invoice.id, "pay")
        await async_later(hass)
    assert reports == [{"run": invoices[-1].id}]


@pytest.mark.parametrize(
    "condition",
    [
        {"condition": f"{DOMAIN}.is_settled"},
        is_status(),
        is_status("settled"),
        {"condition": f"{DOMAIN}.is_status"},
        {"condition": f"{DOMAIN}.is_status", "options": {"behavior": "any"}},
        is_status("paid", behavior="each"),
        IS_PAID | {"options": {"status": ["paid"]}},
        IS_PAID | {"target": {"invoice_id": "INV-12345678"}},
        IS_PAID | {"target": {"device_id": "gone"}},
    ],
    ids=str,
)
async def test_nonsense_is_refused(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, condition: dict[str, Any]
) -> None:
    """The editor refuses a condition that could never hold."""
    assert await async_setup_component(hass, AUTOMATION_DOMAIN, {})
    client = await hass_ws_client(hass)
    await client.send_json_auto_id({"type": "validate_config", "conditions": [condition]})
    answer = await client.receive_json()
    assert answer["success"], answer
    assert not answer["result"]["conditions"]["valid"]
    assert answer["result"]["conditions"]["error"]


async def test_device_is_gone(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    ask: Ask,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A warning names the one device of several that is gone; the others are looked at."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    target = {"device_id": [device_id(hass, entry, invoice.id), "gone"]}
    assert await ask(IS_OPEN | ALL | {"target": target})
    assert "gone is not a device of Crypto Invoices" in caplog.text


async def test_offered_in_the_editor(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """The editor shows each condition for an invoice, an account and their entities."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    assert await async_setup_component(hass, AUTOMATION_DOMAIN, {})
    client = await hass_ws_client(hass)
    await client.send_json_auto_id({"type": "condition_platforms/subscribe"})
    assert (await client.receive_json())["success"]
    described = (await client.receive_json())["event"]
    names = {f"{DOMAIN}.{key}" for key in CONDITIONS}
    assert names <= described.keys()
    for name in names:
        assert described[name]["target"]["entity"] == [{"integration": DOMAIN}]
        assert described[name]["fields"]["behavior"]["required"]
    status = described[f"{DOMAIN}.is_status"]["fields"]["status"]
    assert status["required"]
    assert status["selector"]["select"]["options"] == [*InvoiceStatus]
    for target in (
        on_device(hass, entry, invoice.id),
        on_account(hass, entry, invoice.id),
        on_entity(hass, entry, invoice.id),
    ):
        await client.send_json_auto_id(
            {
                "type": "get_conditions_for_target",
                "target": {
                    key: [ids] if isinstance(ids, str) else ids for key, ids in target.items()
                },
            }
        )
        answer = await client.receive_json()
        assert names <= set(answer["result"]), target


def test_texts() -> None:
    """Each condition and field that the editor shows has its text, and each an icon."""
    described = load_yaml_dict(PACKAGE / "conditions.yaml")
    assert described.keys() == CONDITIONS.keys() == ENGLISH["conditions"].keys()
    assert ICONS["conditions"].keys() == CONDITIONS.keys()
    for key, description in described.items():
        texts = ENGLISH["conditions"][key]
        assert texts["name"]
        assert texts["description"].endswith(".")
        assert ICONS["conditions"][key]["condition"].startswith("mdi:")
        assert description["fields"].keys() == texts["fields"].keys()
        for field in texts["fields"].values():
            assert field["name"]
            assert field["description"].endswith(".")
    select = described["is_status"]["fields"]["status"]["selector"]["select"]
    options = ENGLISH["selector"][select["translation_key"]]["options"]
    assert set(select["options"]) == options.keys() == set(InvoiceStatus)
