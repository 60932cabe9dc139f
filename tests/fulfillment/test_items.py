"""What was paid for is owed: on a list, until it is fulfilled or taken back."""

from time import monotonic

from homeassistant.components.todo.const import DOMAIN as TODO
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import config_validation as cv, issue_registry as ir
from homeassistant.helpers.condition import async_from_config, async_validate_condition_config
import pytest
from pytest_homeassistant_custom_component.common import MockUser

from custom_components.crypto_invoices import backup
from custom_components.crypto_invoices.book.database import StorageError
from custom_components.crypto_invoices.book.storage import Storage
from custom_components.crypto_invoices.const import (
    CONF_TO_FULFILL,
    CONF_TO_FULFILL_ISSUE,
    DOMAIN,
)
from tests.conftest import async_delete_device, async_refused, async_settle, device_id
from tests.delivery.conftest import LONG, reporting, turns

from .conftest import FULFILL, Shop


async def test_a_payment_is_an_item(shop: Shop) -> None:
    """It says what was sold, for how much and since when, and where it was paid."""
    assert await shop.items() == {}
    paid = await shop.pay()
    [item] = (await shop.items()).values()
    assert item["summary"].startswith(f"{shop.home.order(paid)} · ")
    assert item["status"] == "needs_action"
    since, page = item["description"].split("\n")
    assert since.startswith("20")
    assert page.startswith("http")
    sensor = shop.hass.states.get(shop.entity_id("sensor") or "")
    assert sensor
    assert sensor.state == "1"


async def test_ticked(shop: Shop) -> None:
    """A tick fulfills it, and a tick that is taken back makes it owed again."""
    first, second = await shop.pay(), await shop.pay()
    assert await shop.open() == [shop.home.order(first), shop.home.order(second)]
    await shop.tick(first)
    assert await shop.open() == [shop.home.order(second)]
    assert (await shop.items())[first]["status"] == "completed"
    await shop.tick(first)
    await shop.tick(first, status="needs_action")
    assert await shop.open() == [shop.home.order(first), shop.home.order(second)]


async def test_what_an_item_says_is_ours(shop: Shop) -> None:
    """Nobody renames an item, adds one or deletes one."""
    paid = await shop.pay()
    before = await shop.items()
    entity_id = shop.entity_id(TODO)
    await shop.hass.services.async_call(
        TODO,
        "update_item",
        {"entity_id": entity_id, "item": paid, "rename": "Nothing"},
        blocking=True,
    )
    assert await shop.items() == before
    for action, data in (("add_item", {"item": "x"}), ("remove_item", {"item": [paid]})):
        with pytest.raises(HomeAssistantError):
            await shop.hass.services.async_call(
                TODO, action, {"entity_id": entity_id, **data}, blocking=True
            )
    assert await shop.items() == before


async def test_fulfilled_by_its_automation(shop: Shop) -> None:
    """The payment is there while automations hear of it; two of them fulfill it once."""
    await shop.home.save("a", FULFILL)
    await shop.home.save("b", FULFILL, reporting("b"))
    paid = await shop.pay()
    await turns()
    assert shop.home.orders("b") == [shop.home.order(paid)]
    assert (await shop.items())[paid]["status"] == "completed"


@pytest.mark.parametrize("by", ["announcement_id", "invoice_id", "device_id"])
async def test_fulfilled_by_the_action(shop: Shop, by: str) -> None:
    """By whichever of its names; a second time changes nothing and says so."""
    paid = await shop.pay()
    names = {
        "announcement_id": shop.records[paid].item.announcement_id,
        "invoice_id": paid,
        "device_id": device_id(shop.hass, shop.entry, paid),
    }
    first = await shop.fulfill(**{by: names[by]})
    assert first["was_open"] is True
    assert first["invoice_id"] == paid
    assert first["announcement_id"] == names["announcement_id"]
    again = await shop.fulfill(**{by: names[by]})
    assert again == {**first, "was_open": False}
    assert await shop.open() == []


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({}, "choose_one_payment"),
        ({"announcement_id": "1", "invoice_id": "2"}, "choose_one_payment"),
        ({"announcement_id": " "}, "choose_one_payment"),
        ({"announcement_id": "e" * 32}, "payment_unknown"),
        ({"announcement_id": "x" * 500}, "payment_unknown"),
        ({"invoice_id": "INV-00000000"}, "not_tracked"),
    ],
    ids=["nothing", "two", "empty", "foreign payment", "no ID", "foreign invoice"],
)
async def test_fulfilling_what_is_not_there(shop: Shop, data: dict[str, str], key: str) -> None:
    """It is said, and nothing changes."""
    paid = await shop.pay()
    assert (await async_refused(shop.hass, "fulfill", **data)).translation_key == key
    assert list(await shop.items("needs_action")) == [paid]


async def test_fulfilling_what_nothing_is_owed_for(shop: Shop) -> None:
    """Unpaid; paid before the option was on; taken back; cleaned up."""
    unpaid = list(shop.records)[-1]
    error = await async_refused(shop.hass, "fulfill", invoice_id=unpaid)
    assert error.translation_key == "not_paid"
    await shop.switch(**{CONF_TO_FULFILL: False})
    early = await shop.pay()
    await shop.switch(**{CONF_TO_FULFILL: True})
    error = await async_refused(shop.hass, "fulfill", invoice_id=early)
    assert error.translation_key == "nothing_to_fulfill"
    paid = await shop.pay()
    payment = shop.records[paid].item.announcement_id
    await shop.revert(paid)
    error = await async_refused(shop.hass, "fulfill", announcement_id=payment)
    assert error.translation_key == "payment_unknown"
    await async_delete_device(shop.hass, shop.entry, early)
    error = await async_refused(shop.hass, "fulfill", invoice_id=early)
    assert error.translation_key == "not_tracked"
    assert await shop.items() == {}


async def test_taken_back(shop: Shop, issue_registry: ir.IssueRegistry) -> None:
    """A reverted payment owes nothing; one that is fulfilled by then is said to be."""
    first, second = await shop.pay(), await shop.pay()
    await shop.fulfill(invoice_id=second)
    await shop.revert(first)
    assert list(await shop.items()) == [second]
    key = f"reverted_after_fulfilled_{shop.entry.entry_id}"
    assert issue_registry.async_get_issue(DOMAIN, key) is None
    await shop.revert(second)
    [item] = (await shop.items()).values()
    assert item["description"].startswith("Payment reverted\n")
    assert issue_registry.async_get_issue(DOMAIN, key)
    with pytest.raises(HomeAssistantError):
        await shop.tick(second, status="needs_action")
    # Paid again, it is another payment.
    await shop.home.pay_these([first, second])
    await shop.wait(seconds=1)
    assert set(await shop.items("needs_action")) == {first, second}
    assert issue_registry.async_get_issue(DOMAIN, key) is None


async def test_taken_back_when_that_is_heard(shop: Shop) -> None:
    """A stop in between must not forget what is owed: the payment may stand after all."""
    reverted = {"trigger": "crypto_invoices.payment_reverted"}
    await shop.home.save("a", LONG, triggers=[reverted])
    paid = await shop.pay()
    payment = shop.records[paid].item.announcement_id
    shop.home.sandbox.store.act("cryptocloud", paid, "revert")
    await shop.home.pay_these([])
    await shop.wait(seconds=130)
    await shop.home.pay_these([])
    assert shop.home.begun == 1
    assert list(await shop.items("needs_action")) == [paid]
    await shop.home.pay_these([paid])
    shop.home.may_end.set()
    await turns()
    await shop.wait(seconds=1)
    # It was announced as taken back, and so it is another payment.
    assert list(await shop.items("needs_action")) == [paid]
    assert shop.records[paid].item.announcement_id != payment


async def test_switched_off_with_open_items(shop: Shop) -> None:
    """What is open stays until it is fulfilled; nothing new is owed; then the list goes."""
    paid = await shop.pay()
    await shop.switch(**{CONF_TO_FULFILL: False})
    await shop.pay()
    assert list(await shop.items("needs_action")) == [paid]
    await shop.tick(paid)
    assert shop.entity_id(TODO) is None
    assert shop.entity_id("sensor") is None
    await shop.switch(**{CONF_TO_FULFILL: True})
    assert list(await shop.items()) == [paid]


async def test_off_at_first(plain_shop: Shop) -> None:
    """Nobody who doesn't want it sees anything of it."""
    shop = plain_shop
    paid = await shop.pay()
    assert shop.records[paid].item is None
    assert shop.entity_id(TODO) is None
    assert shop.entity_id("sensor") is None


async def test_over_a_reload(shop: Shop) -> None:
    """It is in the book; while the account is unloaded, a tick changes nothing."""
    first, second = await shop.pay(), await shop.pay()
    await shop.fulfill(invoice_id=first)
    before = await shop.items()
    await shop.hass.config_entries.async_unload(shop.entry.entry_id)
    await shop.hass.services.async_call(
        TODO,
        "update_item",
        {"entity_id": shop.entity_id(TODO), "item": second, "status": "completed"},
        blocking=True,
    )
    payment = "payment_unknown"
    assert (
        await async_refused(shop.hass, "fulfill", announcement_id="1")
    ).translation_key == payment
    await shop.hass.config_entries.async_setup(shop.entry.entry_id)
    await async_settle(shop.hass)
    assert await shop.items() == before
    await shop.fulfill(invoice_id=second)
    assert await shop.open() == []


async def test_open_items_are_never_cleaned_up(shop: Shop) -> None:
    """What is done stays for the days that were set, and then goes with its invoice."""
    owed, done = await shop.pay(), await shop.pay()
    await shop.fulfill(invoice_id=done)
    await shop.wait(days=6)
    await shop.home.pay_these([])
    assert {owed, done} <= set(await shop.items())
    for _ in range(3):
        await shop.wait(days=1)
        await shop.home.pay_these([])
        await shop.wait(hours=1.1)
        await async_settle(shop.hass)
    assert list(await shop.items()) == [owed]
    assert done not in shop.records


async def test_open_for_a_day(shop: Shop, issue_registry: ir.IssueRegistry) -> None:
    """It is said in the repairs until it is fulfilled, unless that is switched off."""
    key = f"not_fulfilled_{shop.entry.entry_id}"
    paid = await shop.pay()
    await shop.wait(hours=23)
    assert issue_registry.async_get_issue(DOMAIN, key) is None
    await shop.wait(hours=1)
    issue = issue_registry.async_get_issue(DOMAIN, key)
    assert issue
    assert issue.translation_placeholders == {"account": shop.entry.title, "count": "1"}
    await shop.switch(**{CONF_TO_FULFILL_ISSUE: False})
    assert issue_registry.async_get_issue(DOMAIN, key) is None
    await shop.switch(**{CONF_TO_FULFILL_ISSUE: True})
    assert issue_registry.async_get_issue(DOMAIN, key)
    await shop.tick(paid)
    assert issue_registry.async_get_issue(DOMAIN, key) is None


async def test_a_full_disk(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be written is said, and written as soon as that is possible."""
    paid = await shop.pay()

    def write(*_: object) -> None:
        raise StorageError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "write", write)
        error = await async_refused(shop.hass, "fulfill", invoice_id=paid)
    assert error.translation_key == "fulfillment_not_written"
    assert (await shop.fulfill(invoice_id=paid))["was_open"] is False
    await shop.reload()
    assert await shop.open() == []


async def test_during_a_backup(shop: Shop) -> None:
    """What is fulfilled while a backup is made is written when that is done."""
    paid = await shop.pay()
    await backup.async_pre_backup(shop.hass)
    assert (await shop.fulfill(invoice_id=paid))["was_open"] is True
    await backup.async_post_backup(shop.hass)
    await shop.reload()
    assert await shop.open() == []


async def test_users_need_the_right_to_control(shop: Shop, hass_read_only_user: MockUser) -> None:
    """Who may only look can't fulfill."""
    paid = await shop.pay()
    with pytest.raises(Unauthorized):
        await shop.hass.services.async_call(
            DOMAIN,
            "fulfill",
            {"invoice_id": paid},
            blocking=True,
            context=Context(user_id=hass_read_only_user.id),
        )
    assert await shop.open() == [shop.home.order(paid)]


@pytest.mark.parametrize("number_of_invoices", [500])
async def test_many(shop: Shop) -> None:
    """500 payments are 500 items, and fulfilling one of them doesn't take long."""
    ids = list(shop.records)
    await shop.home.pay_these(ids)
    await turns(3000)
    await async_settle(shop.hass)
    assert set(await shop.items("needs_action")) == set(ids)
    began = monotonic()
    for invoice_id in ids[:20]:
        await shop.fulfill(invoice_id=invoice_id)
    assert monotonic() - began < 5
    assert len(await shop.items("needs_action")) == 480


async def test_is_fulfilled(shop: Shop) -> None:
    """The condition asks for what was paid for; what nothing is owed for doesn't count."""

    async def holds(behavior: str, *device_ids: str) -> bool:
        config = {
            "condition": "crypto_invoices.is_fulfilled",
            "options": {"behavior": behavior},
            **({"target": {"device_id": [*device_ids]}} if device_ids else {}),
        }
        valid = await async_validate_condition_config(shop.hass, cv.CONDITION_SCHEMA(config))
        checker = await async_from_config(shop.hass, valid)
        return bool(checker.async_check())

    assert not await holds("any")
    assert not await holds("all")
    first, second = await shop.pay(), await shop.pay()
    await shop.fulfill(invoice_id=first)
    assert await holds("any")
    assert not await holds("all")
    assert await holds("all", device_id(shop.hass, shop.entry, first))
    assert not await holds("any", device_id(shop.hass, shop.entry, second))
    await shop.fulfill(invoice_id=second)
    assert await holds("all")
    await shop.hass.config_entries.async_unload(shop.entry.entry_id)
    assert not await holds("any")
