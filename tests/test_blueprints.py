"""Blueprints: imported as Home Assistant does it, and run for real."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
import re
import shutil
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.automation.const import DOMAIN as AUTOMATION_DOMAIN
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict
import pytest
from pytest_homeassistant_custom_component.test_util.aiohttp import AiohttpClientMocker
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.crypto_invoices.const import DOMAIN

from .conftest import (
    CLOCK,
    AddAccount,
    Runs,
    SandboxServer,
    async_add_invoices,
    async_automate,
    async_later,
    device_id,
)

FOLDER = Path(__file__).parent.parent / "blueprints" / "automation" / DOMAIN
REPOSITORY = "crypto-invoices/crypto-invoices"
SOURCE = f"https://github.com/{REPOSITORY}/blob/main/blueprints/automation/{DOMAIN}/"
RAW = f"https://raw.githubusercontent.com/{REPOSITORY}/main/blueprints/automation/{DOMAIN}/"

NOTIFY = "invoice_paid_notify.yaml"
ACTIONS = "invoice_paid_actions.yaml"
REMIND = "invoice_expiry_reminder.yaml"
SHIP = "invoice_paid_ship.yaml"
SWITCH_ON = "invoice_paid_switch_on.yaml"
MQTT = "invoice_paid_mqtt.yaml"
ALL = (NOTIFY, ACTIONS, REMIND, SHIP, SWITCH_ON, MQTT)


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """Have the blueprints where a user has them after the import."""
    shutil.copytree(FOLDER, Path(hass_tmp_config_dir, "blueprints", "automation", DOMAIN))
    return hass_tmp_config_dir


def using(blueprint: str, **inputs: Any) -> dict[str, Any]:
    """Return an automation that is made from a blueprint."""
    return {"use_blueprint": {"path": f"{DOMAIN}/{blueprint}", "input": inputs}}


def report(**data: str) -> list[dict[str, Any]]:
    """Return actions that report; by default whose invoice they were run for."""
    return [{"action": "test.report", "data": data or {"order": "{{ trigger.order_id }}"}}]


def orders(reports: Runs) -> list[str]:
    """Return whose invoices were reported since this was last asked."""
    found = sorted(run["order"] for run in reports)
    reports.clear()
    return found


def test_all_are_tested() -> None:
    """There is no blueprint that nothing here runs."""
    assert {path.name for path in FOLDER.iterdir()} == set(ALL)


@pytest.mark.parametrize("blueprint", ALL)
async def test_import(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    aioclient_mock: AiohttpClientMocker,
    blueprint: str,
) -> None:
    """A my-link imports it, and nothing is in the way of using it."""
    aioclient_mock.get(RAW + blueprint, text=(FOLDER / blueprint).read_text())
    assert await async_setup_component(hass, AUTOMATION_DOMAIN, {})
    client = await hass_ws_client(hass)
    await client.send_json_auto_id({"type": "blueprint/import", "url": SOURCE + blueprint})
    result = (await client.receive_json())["result"]
    assert result["validation_errors"] is None
    metadata = result["blueprint"]["metadata"]
    assert metadata["source_url"] == SOURCE + blueprint
    assert metadata["homeassistant"] == {"min_version": "2026.10.0"}
    for field in metadata["input"].values():
        assert field["name"]
        assert field["description"].endswith(".")
        assert field["selector"]
    await client.send_json_auto_id(
        {
            "type": "blueprint/save",
            "path": result["suggested_filename"],
            "yaml": result["raw_data"],
            "source_url": SOURCE + blueprint,
            "domain": AUTOMATION_DOMAIN,
        }
    )
    assert (await client.receive_json())["success"]
    await client.send_json_auto_id({"type": "blueprint/list", "domain": AUTOMATION_DOMAIN})
    imported = (await client.receive_json())["result"]
    assert "error" not in imported[f"{result['suggested_filename']}.yaml"]


def plain(message: str) -> str:
    """Return what is shown of a message in Markdown that is nothing but text."""
    shown = re.sub(r"\\([!-/:-@\[-`{-~])", "", message)
    assert not re.search(r"[!-/:-@\[-`{-~]", shown), f"Markdown: {message}"
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", message)


type Notifications = Callable[[], Awaitable[list[tuple[str, str]]]]


@pytest.fixture
async def notifications(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> Notifications:
    """Return a way to look at Home Assistant's notifications: titles and messages."""
    assert await async_setup_component(hass, "persistent_notification", {})

    async def shown() -> list[tuple[str, str]]:
        client = await hass_ws_client(hass)
        await client.send_json_auto_id({"type": "persistent_notification/get"})
        answer = await client.receive_json()
        return [(found["title"], plain(found["message"])) for found in answer["result"]]

    return shown


async def test_notify(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    notifications: Notifications,
) -> None:
    """As it comes, it shows one notification for each payment of any invoice, now or later."""
    await async_automate(hass, using(NOTIFY))
    first, second = (sandbox.store.create("cryptocloud", order_id=f"HA-{n}") for n in range(2))
    bare = sandbox.store.create("cryptocloud_v1")
    entry = await add_account("cryptocloud", first.id)
    sandbox.store.act("cryptocloud", first.id, "pay")
    await async_later(hass)
    await async_later(hass)
    expected = [("CryptoCloud", "HA-0 was paid: $25.00")]
    assert await notifications() == expected
    await async_add_invoices(hass, entry, [second.id])
    sandbox.store.act("cryptocloud", second.id, "overpay")
    await async_later(hass)
    expected.append(("CryptoCloud", "HA-1 was overpaid: $30.66 / $25.00"))
    assert await notifications() == expected
    other = await add_account("cryptocloud_v1", bare.id)
    sandbox.store.act("cryptocloud_v1", bare.id, "pay")
    await async_later(hass)
    expected.append((other.title, f"Invoice {bare.id[-6:]} was paid"))
    assert await notifications() == expected


async def test_notify_without_markdown(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    notifications: Notifications,
) -> None:
    """Whoever pays can't show an administrator a picture or a link."""
    await async_automate(hass, using(NOTIFY))
    order = "![x](//evil.example) **Locked.** [in](//evil.example) <b>`|`"
    invoice = sandbox.store.create("cryptocloud", order_id=order)
    await add_account("cryptocloud", invoice.id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    [(_, message)] = await notifications()
    assert message == f"{order} was paid: $25.00"


async def test_notify_inputs(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    reports: Runs,
    notifications: Notifications,
) -> None:
    """The invoice and the way to tell are the user's choice."""
    wanted, other = (sandbox.store.create("cryptocloud", order_id=f"HA-{n}") for n in range(2))
    entry = await add_account("cryptocloud", wanted.id, other.id)
    await async_automate(
        hass,
        using(
            NOTIFY,
            invoices={"device_id": [device_id(hass, entry, wanted.id)]},
            in_home_assistant=False,
            actions=report(message="{{ trigger.text }}"),
        ),
    )
    for invoice in (wanted, other):
        sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    assert reports == [{"message": "HA-0 was paid: $25.00"}]
    assert await notifications() == []


@pytest.mark.parametrize("reaches", [True, False])
async def test_notify_phones(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    reports: Runs,
    notifications: Notifications,
    *,
    reaches: bool,
) -> None:
    """The phones that were chosen are told, and one that can't be reached stops nothing."""
    sent: list[ServiceCall] = []

    async def send(call: ServiceCall) -> None:
        sent.append(call)
        if not reaches:
            raise HomeAssistantError("the phone is off")

    hass.services.async_register("notify", "send_message", send)
    invoice = sandbox.store.create("cryptocloud", order_id="HA-0")
    await add_account("cryptocloud", invoice.id)
    more = report(message="{{ trigger.text }}")
    await async_automate(hass, using(NOTIFY, phones=["phone", "tablet"], actions=more))
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    [call] = sent
    assert call.data == {
        "device_id": ["phone", "tablet"],
        "title": "CryptoCloud",
        "message": "HA-0 was paid: $25.00",
    }
    assert len(reports) == 1
    assert await notifications() == [("CryptoCloud", "HA-0 was paid: $25.00")]


@pytest.mark.parametrize("blueprint", [NOTIFY, ACTIONS, REMIND])
def test_no_templates_to_fill_in(blueprint: str) -> None:
    """Whoever fills in the form sees no template, and phones are picked from a list."""
    inputs = load_yaml_dict(str(FOLDER / blueprint))["blueprint"]["input"]
    assert not re.search(r"[{]|trigger[.]", str([one["description"] for one in inputs.values()]))
    assert all("{" not in str(one.get("default") or "") for one in inputs.values())
    if blueprint != ACTIONS:
        assert inputs["phones"]["selector"]["device"]["filter"] == [{"integration": "mobile_app"}]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        pytest.param({}, ["bare", "large", "rubles", "small"], id="any amount"),
        pytest.param({"minimum": 25}, ["large", "rubles"], id="at least"),
        pytest.param({"minimum": 25.01}, ["rubles"], id="a cent more"),
        pytest.param({"minimum": 1, "currency": "USD"}, ["large", "small"], id="in dollars"),
        pytest.param({"currency": " usd "}, ["large", "small"], id="typed carelessly"),
        pytest.param({"currency": "EUR"}, [], id="in a currency that nobody uses"),
    ],
)
async def test_actions(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    reports: Runs,
    inputs: dict[str, Any],
    expected: list[str],
) -> None:
    """The actions run once for each invoice that is paid and large enough."""
    store, sandbox.sandbox.settings["cryptocloud"]["fiat_currency"] = sandbox.store, "sent"
    invoices = [
        store.create("cryptocloud", order_id="small", amount=Decimal("24.99")),
        store.create("cryptocloud", order_id="large", amount=Decimal(25)),
        store.create("cryptocloud", order_id="rubles", amount=Decimal(900), currency="RUB"),
    ]
    await add_account("cryptocloud", *(invoice.id for invoice in invoices))
    bare = store.create("cryptocloud_v1")
    await add_account("cryptocloud_v1", bare.id)
    unpaid = store.create("egates", order_id="unpaid")
    await add_account("egates", unpaid.id)
    order = "{{ trigger.order_id or 'bare' }}"
    await async_automate(hass, using(ACTIONS, actions=report(order=order), **inputs))
    for invoice in (*invoices, bare):
        store.act(invoice.provider, invoice.id, "pay")
    store.act("egates", unpaid.id, "cancel")
    await async_later(hass)
    await async_later(hass)
    assert orders(reports) == expected


async def test_actions_target(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, reports: Runs
) -> None:
    """An account as target means its invoices."""
    ours = sandbox.store.create("cryptocloud", order_id="ours")
    theirs = sandbox.store.create("egates", order_id="theirs")
    entry = await add_account("cryptocloud", ours.id)
    await add_account("egates", theirs.id)
    await async_automate(
        hass,
        using(ACTIONS, invoices={"device_id": device_id(hass, entry)}, actions=report()),
    )
    for invoice in (ours, theirs):
        sandbox.store.act(invoice.provider, invoice.id, "pay")
    await async_later(hass)
    assert orders(reports) == ["ours"]


NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
REMINDER = report(order="{{ state_attr(invoice, 'order_id') }}")

type Minutes = Callable[[int, int], Awaitable[dict[int, list[str]]]]


@pytest.fixture
async def minutes(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, reports: Runs
) -> AsyncGenerator[Minutes]:
    """Return a way to let minutes pass; it tells what was reported in which."""
    assert await async_setup_component(hass, "persistent_notification", {})
    freezer.move_to(NOON)

    async def passed(first: int, last: int) -> dict[int, list[str]]:
        told = {}
        for minute in range(first, last + 1):
            freezer.move_to(NOON + timedelta(minutes=minute, seconds=1))
            # Both clocks go a minute ahead.
            CLOCK.passed += 58
            await async_later(hass, 2)
            if reports:
                told[minute] = orders(reports)
        return told

    yield passed
    await hass.services.async_call("automation", "turn_off", {"entity_id": "all"}, blocking=True)


async def test_remind(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, minutes: Minutes
) -> None:
    """Each open invoice is told once, so many minutes before its time is up."""
    first, second, also, paid = (
        sandbox.store.create(
            "cryptocloud", order_id=name, expires_in=timedelta(minutes=lifetime, seconds=30)
        )
        for name, lifetime in (("first", 20), ("second", 25), ("also", 25), ("paid", 30))
    )
    entry = await add_account("cryptocloud", first.id, second.id, paid.id)
    await async_automate(hass, using(REMIND, minutes=10, actions=REMINDER))
    assert await minutes(1, 5) == {}
    await async_add_invoices(hass, entry, [also.id])
    sandbox.store.act("cryptocloud", paid.id, "pay")
    assert await minutes(6, 40) == {10: ["first"], 15: ["also", "second"]}


def create(sandbox: SandboxServer, name: str, lifetime: int, provider: str = "cryptocloud") -> str:
    """Create an invoice that lives so many minutes and a bit; return its ID."""
    expires_in = timedelta(minutes=lifetime, seconds=30)
    return sandbox.store.create(provider, order_id=name, expires_in=expires_in).id


@pytest.mark.parametrize(
    ("action", "is_told"),
    [
        (None, True),
        ("choose_coin", True),
        ("partly_pay", True),
        ("pay", False),
        ("overpay", False),
        ("cancel", False),
        ("delete", False),
    ],
)
async def test_remind_of_what_is_unpaid(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    minutes: Minutes,
    action: str | None,
    *,
    is_told: bool,
) -> None:
    """What is paid, canceled or gone needs no reminder."""
    invoice_id = create(sandbox, "HA-1", 10)
    await add_account("cryptocloud", invoice_id)
    await async_automate(hass, using(REMIND, minutes=5, actions=REMINDER))
    if action:
        sandbox.store.act("cryptocloud", invoice_id, action)
    assert await minutes(1, 12) == ({5: ["HA-1"]} if is_told else {})


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        pytest.param([], ["one", "other", "two"], id="all"),
        pytest.param(["one"], ["one"], id="an invoice"),
        pytest.param(["account"], ["one", "two"], id="an account"),
        pytest.param(["account", "two"], ["one", "two"], id="an account and its invoice"),
    ],
)
async def test_remind_of_what_is_chosen(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    minutes: Minutes,
    chosen: list[str],
    expected: list[str],
) -> None:
    """Invoices and accounts can be chosen."""
    ids = {name: create(sandbox, name, 10) for name in ("one", "two")}
    entry = await add_account("cryptocloud", *ids.values())
    other = create(sandbox, "other", 10, "egates")
    await add_account("egates", other, time_zone="Asia/Tashkent")
    devices = [device_id(hass, entry, ids.get(name)) for name in chosen]
    await async_automate(hass, using(REMIND, minutes=5, devices=devices, actions=REMINDER))
    assert await minutes(1, 12) == {5: expected}


async def test_remind_when_nobody_knows_the_time(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, minutes: Minutes
) -> None:
    """A time without a zone is left alone, and so is a provider that tells no time."""
    await add_account("egates", create(sandbox, "no zone", 10, "egates"))
    await add_account("cryptocloud_v1", create(sandbox, "no time", 10, "cryptocloud_v1"))
    await async_automate(hass, using(REMIND, minutes=5, actions=REMINDER))
    assert await minutes(1, 12) == {}


async def test_remind_after_an_outage(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, minutes: Minutes
) -> None:
    """A reminder that was due in an outage comes after it, if there is still time; once."""
    ids = [create(sandbox, "in time", 20), create(sandbox, "too late", 14)]
    await add_account("cryptocloud", *ids)
    await async_automate(hass, using(REMIND, minutes=4, actions=REMINDER))
    assert await minutes(1, 8) == {}
    sandbox.switch("cryptocloud", "server_error")
    assert await minutes(9, 15) == {}
    sandbox.switch("cryptocloud", None)
    # By how much a back-off is cut short is left to chance.
    assert list((await minutes(16, 18)).values()) == [["in time"]]
    sandbox.switch("cryptocloud", "server_error", 3)
    assert await minutes(19, 25) == {}


async def test_remind_after_a_pause(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, minutes: Minutes
) -> None:
    """A reminder that was due while the automation was off comes afterwards; none comes twice."""
    ids = [create(sandbox, "before", 15), create(sandbox, "meanwhile", 20)]
    entry = await add_account("cryptocloud", *ids)
    await async_automate(hass, using(REMIND, minutes=10, actions=REMINDER))
    assert await minutes(1, 8) == {5: ["before"]}
    await hass.services.async_call("automation", "turn_off", {"entity_id": "all"}, blocking=True)
    assert await minutes(9, 11) == {}
    await hass.services.async_call("automation", "turn_on", {"entity_id": "all"}, blocking=True)
    assert await minutes(12, 13) == {12: ["meanwhile"]}
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert await minutes(14, 22) == {}


async def test_remind_as_it_comes(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    minutes: Minutes,
    notifications: Notifications,
) -> None:
    """Without a choice it shows a notification a quarter of an hour before."""
    await hass.config.async_set_time_zone("Europe/Berlin")
    invoice_id = create(sandbox, "HA-1", 20)
    await add_account("cryptocloud", invoice_id)
    await async_automate(hass, using(REMIND))
    sandbox.store.act("cryptocloud", invoice_id, "partly_pay")
    await minutes(1, 4)
    assert await notifications() == []
    await minutes(5, 5)
    expected = ("Invoice expires soon", "HA-1: 13:20 (Partially paid)")
    assert await notifications() == [expected]


async def test_remind_by_hand(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    minutes: Minutes,
    reports: Runs,
) -> None:
    """Running it by hand tells what is due, and does no harm when nothing is."""
    await async_automate(hass, {**using(REMIND, minutes=5, actions=REMINDER), "alias": "Remind"})
    await add_account("cryptocloud", create(sandbox, "HA-1", 10))
    by_hand = ("automation", "trigger", {"entity_id": "automation.remind"})
    await hass.services.async_call(*by_hand, blocking=True)
    assert orders(reports) == []
    assert await minutes(1, 12) == {5: ["HA-1"]}
