"""The till and the overview of docs/dashboards.md work as they stand there."""

import asyncio
import re
from typing import Any

from homeassistant.components.automation.const import DOMAIN as AUTOMATION_DOMAIN
from homeassistant.components.script.const import DOMAIN as SCRIPT_DOMAIN
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.helpers.template import Template
from homeassistant.setup import async_setup_component
import pytest
import yaml

from custom_components.crypto_invoices.const import DOMAIN
from demo import pages

from .conftest import AddAccount, SandboxServer, async_act, async_later, async_settle


def card(view: dict[str, Any]) -> str:
    """Return the text of a view's markdown card."""
    [content] = [
        card["content"]
        for section in view["sections"]
        for card in section["cards"]
        if card["type"] == "markdown"
    ]
    return str(content)


def entities_in(node: Any) -> set[str]:
    """Return the entities that a view names."""
    if isinstance(node, dict):
        named = {node["entity"]} if "entity" in node else set()
        node = list(node.values())
    else:
        named = set()
    if isinstance(node, list):
        for item in node:
            named |= entities_in(item)
    return named


@pytest.fixture
async def till(hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount) -> str:
    """Set up the till, and return what its card is made of."""
    shop = sandbox.sandbox.providers["cryptocloud"].invoicing_credentials
    await add_account("cryptocloud", sandbox.store.create("cryptocloud").id, **shop)
    assert await async_setup_component(hass, "homeassistant", {})
    # The door doesn't stay open for as long as elsewhere.
    package = yaml.safe_load(pages.till_package().replace('"00:00:10"', '"00:00:00"'))
    for domain, config in package.items():
        assert await async_setup_component(hass, domain, {domain: config})
    await async_settle(hass)
    assert entities_in(pages.till_view()) <= set(hass.states.async_entity_ids())
    assert len(hass.states.async_entity_ids(SCRIPT_DOMAIN)) == 3
    assert len(hass.states.async_entity_ids(AUTOMATION_DOMAIN)) == 1
    return card(pages.till_view())


async def ask(hass: HomeAssistant, sandbox: SandboxServer) -> Any:
    """Ask for five euros; return the invoice at the provider."""
    await hass.services.async_call(
        "input_number", "set_value", {"entity_id": "input_number.till_amount", "value": 5}
    )
    await hass.services.async_call("script", "till_ask", blocking=True)
    [made] = [one for one in sandbox.store.all("cryptocloud") if "Till" in (one.order_id or "")]
    return made


async def test_till(hass: HomeAssistant, sandbox: SandboxServer, till: str) -> None:
    """It shows the QR code, looks when it is told to, says thanks, and the door opens and closes."""

    def shown() -> str:
        return str(Template(till, hass).async_render(parse_result=False))

    assert "Enter an amount" in shown()
    made = await ask(hass, sandbox)
    assert (made.amount, made.currency) == (5, "EUR")
    assert "## 5.00 EUR" in shown()
    assert 'src="/api/image_proxy/image.' in shown()
    assert f"/{made.id}>)" in shown(), "where to pay"

    door: list[Event[EventStateChangedData]] = []

    # The list's own method would be called by other threads.
    @callback
    def note(change: Event[EventStateChangedData]) -> None:
        door.append(change)

    async_track_state_change_event(hass, "input_boolean.till_door", note)
    sandbox.store.act("cryptocloud", made.id, "pay")
    await hass.services.async_call("script", "till_look", blocking=True)
    await async_settle(hass)
    assert shown().strip() == "## Thank you!"
    states = [change.data["new_state"] for change in door]
    assert [state and state.state for state in states] == ["on", "off"]


async def test_till_when_it_fails(hass: HomeAssistant, sandbox: SandboxServer, till: str) -> None:
    """What goes wrong is said, and the invoice before can't be paid by mistake."""
    await ask(hass, sandbox)
    sandbox.switch("cryptocloud", "unauthorized")
    with pytest.raises(HomeAssistantError):
        await ask(hass, sandbox)
    assert "Enter an amount" in Template(till, hass).async_render()
    taps = [
        card["tap_action"]
        for section in pages.till_view()["sections"]
        for card in section["cards"]
        if card.get("entity", "").startswith("script.")
    ]
    # Toggle runs it in the background, where nobody sees an error.
    assert {tap["action"] for tap in taps} == {"perform-action"}


async def test_till_in_an_outage(hass: HomeAssistant, sandbox: SandboxServer, till: str) -> None:
    """Nobody is asked to pay what can't be seen to be paid."""
    await ask(hass, sandbox)
    sandbox.switch("cryptocloud", "server_error")
    await async_later(hass)
    text = str(Template(till, hass).async_render())
    assert "Please don't pay now." in text
    assert "<img" not in text


async def test_till_takes_one_tap_at_a_time(
    hass: HomeAssistant, sandbox: SandboxServer, till: str
) -> None:
    """A second tap while the first one is under way asks for nothing."""
    taps = [hass.services.async_call("script", "till_ask", blocking=True) for _ in range(2)]
    await asyncio.gather(*taps)
    made = [one for one in sandbox.store.all("cryptocloud") if "Till" in (one.order_id or "")]
    assert len(made) == 1


async def test_till_of_a_second_tablet(
    hass: HomeAssistant, sandbox: SandboxServer, till: str
) -> None:
    """With another word in place of till_, a second tablet has its own invoice."""
    package = yaml.safe_load(pages.till_package().replace("till_", "bar_"))
    for domain in ("input_number", "input_text", "input_boolean", "script"):
        hass.config.components.remove(domain)
        assert await async_setup_component(hass, domain, {domain: package[domain]})
    await async_settle(hass)
    await hass.services.async_call("script", "bar_ask", blocking=True)
    assert "Enter an amount" in Template(till, hass).async_render()
    assert "<img" in str(Template(till.replace("till_", "bar_"), hass).async_render())


async def test_till_cancels(hass: HomeAssistant, sandbox: SandboxServer, till: str) -> None:
    """What nobody wants to pay is taken back, and the door stays shut."""
    made = await ask(hass, sandbox)
    await hass.services.async_call("script", "till_cancel", blocking=True)
    assert sandbox.store.get("cryptocloud", made.id).state == "canceled"
    assert "This is over" in Template(till, hass).async_render()
    assert hass.states.is_state("input_boolean.till_door", "off")


async def test_overview(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Every open invoice has its row, and no other has one."""
    content = card(pages.overview_view([]))
    shop = {"A 1": "cryptocloud", "A 2": "cryptocloud", "A 3": "egates"}
    ids = {order: sandbox.store.create(key, order_id=order).id for order, key in shop.items()}
    await add_account("cryptocloud", ids["A 1"], ids["A 2"])
    await add_account("egates", ids["A 3"])
    sandbox.store.act("cryptocloud", ids["A 2"], "pay")
    await async_later(hass)
    text = str(Template(content, hass).async_render(parse_result=False))
    rows = [line for line in text.splitlines() if line.startswith("| A ")]
    assert [row.split("|")[1].strip() for row in sorted(rows)] == ["A 1", "A 3"]
    lines = [line for line in text.splitlines() if line.strip()]
    assert all(line.startswith("|") for line in lines), "nothing comes between the rows"

    nasty = sandbox.store.create("cryptocloud", order_id="![x](//evil) | <b> " + "long " * 20)
    await async_act(
        hass,
        "track_invoices",
        config_entry_id=hass.config_entries.async_entries(DOMAIN)[0].entry_id,
        invoice_ids=[nasty.id],
    )
    await async_settle(hass)
    text = str(Template(content, hass).async_render(parse_result=False))
    [row] = [line for line in text.splitlines() if "evil" in line]
    assert len(re.findall(r"(?<!\\)\|", row)) == 5, "four columns"
    assert r"\!\[x\]\(\/\/evil\) \| \<b\>" in row
    assert "…" in row

    sandbox.store.act("cryptocloud", nasty.id, "pay")
    sandbox.store.act("cryptocloud", ids["A 1"], "pay")
    sandbox.store.act("egates", ids["A 3"], "pay")
    await async_later(hass)
    assert "Nothing is open." in Template(content, hass).async_render()
