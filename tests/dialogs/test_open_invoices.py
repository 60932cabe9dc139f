"""The dialogs offer the open invoices that the provider lists."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, override

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.crypto_invoices.book.database import StorageError
from custom_components.crypto_invoices.book.storage import Storage
from custom_components.crypto_invoices.dialogs import open_invoices
from custom_components.crypto_invoices.dialogs.open_invoices import async_find_open, async_offer
from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.model import (
    Invoice,
    InvoiceStatus,
    ProviderError,
    RateLimited,
)
from sandbox.faults import Fault
from tests.conftest import (
    AddAccount,
    FlowResult,
    SandboxServer,
    async_delete_device,
    async_later,
    async_open_add_invoices,
    async_open_credentials,
    async_settle,
    async_submit,
    fields_of,
    kept,
    state_of,
    watched,
)
from tests.made_up import MadeUp

CAN_LIST = pytest.mark.parametrize("provider", ["cryptocloud", "btcpay"])
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def offered(result: FlowResult) -> dict[str, str]:
    """Return what a form offers to choose from, with what each is called."""
    field = fields_of(result["data_schema"]).get("open_invoices")
    options = field.config["options"] if field else []
    return {option["value"]: option["label"] for option in options}


async def async_open_set_up(
    hass: HomeAssistant, sandbox: SandboxServer, provider: str
) -> FlowResult:
    """Set up an account, up to its invoices."""
    result = await async_open_credentials(hass, provider)
    return await async_submit(hass, result, sandbox.credentials_form(provider))


@CAN_LIST
async def test_set_up_offers_open_invoices(
    hass: HomeAssistant, sandbox: SandboxServer, provider: str
) -> None:
    """All that is open is chosen at first; the choice and what is pasted become devices."""
    coffee, tea, paid = (
        sandbox.store.create(provider, order_id=name, amount=Decimal("24.90"))
        for name in ("Coffee", "Tea", "Milk")
    )
    sandbox.store.act(provider, paid.id, "pay")
    result = await async_open_set_up(hass, sandbox, provider)
    assert result["step_id"] == "invoices"
    assert list(fields_of(result["data_schema"])) == ["open_invoices", "auto_watch", "invoices"]
    assert result["description_placeholders"]["count"] == "2"
    labels = offered(result)
    assert labels.keys() == {coffee.id, tea.id}
    assert labels[coffee.id] == f"Coffee · {'$' if provider == 'cryptocloud' else '€'}24.90"
    assert kept(result["data_schema"])["open_invoices"] == list(labels)

    form = {"open_invoices": [coffee.id], "auto_watch": False, "invoices": "nothing"}
    result = await async_submit(hass, result, form)
    assert result["errors"] == {"invoices": "ids_malformed"}
    assert result["description_placeholders"]["example"]
    assert kept(result["data_schema"]).items() >= form.items()

    form["invoices"] = f"{paid.id} {coffee.id}"
    result = await async_submit(hass, result, form)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await async_settle(hass)
    assert set(watched(result["result"])) == {coffee.id, paid.id}
    assert not result["result"].options


@CAN_LIST
async def test_paid_while_the_dialog_is_open(
    hass: HomeAssistant, sandbox: SandboxServer, provider: str
) -> None:
    """What is paid after it was listed is paid in Home Assistant, too."""
    invoice = sandbox.store.create(provider)
    result = await async_open_set_up(hass, sandbox, provider)
    sandbox.store.act(provider, invoice.id, "pay")
    form = {"open_invoices": [invoice.id], "auto_watch": False}
    result = await async_submit(hass, result, form)
    await async_settle(hass)
    assert state_of(hass, result["result"], invoice.id, "status").state == "paid"


@CAN_LIST
@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.RATE_LIMITED, Fault.HTML])
async def test_list_that_fails(
    hass: HomeAssistant, sandbox: SandboxServer, provider: str, fault: Fault
) -> None:
    """Without the list, the form says so and takes IDs, in the set-up and later."""
    first, second = (sandbox.store.create(provider) for _ in range(2))
    result = await async_open_credentials(hass, provider)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PROVIDERS[provider], "async_list_invoices", failing_list)
        result = await async_submit(hass, result, sandbox.credentials_form(provider))
    assert result["step_id"] == "invoices_not_listed"
    assert not result["errors"]
    assert list(fields_of(result["data_schema"])) == ["auto_watch", "invoices"]
    result = await async_submit(hass, result, {"auto_watch": False, "invoices": "nothing"})
    assert (result["step_id"], result["errors"]) == (
        "invoices_not_listed",
        {"invoices": "ids_malformed"},
    )
    result = await async_submit(hass, result, {"auto_watch": False, "invoices": first.id})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await async_settle(hass)

    entry = result["result"]
    sandbox.switch(provider, fault)
    result = await async_open_add_invoices(hass, entry)
    sandbox.switch(provider, None)
    assert result["step_id"] == "not_listed"
    configure = hass.config_entries.subentries.async_configure
    result = await configure(result["flow_id"], {"invoices": second.id})
    assert result["reason"] == "invoice_added"
    await async_later(hass, 1)


@CAN_LIST
async def test_add_from_the_list(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """What is watched already isn't offered; another dialog may be faster with the rest."""
    first, second, third = (sandbox.store.create(provider) for _ in range(3))
    entry = await add_account(provider, first.id)
    dialogs = [await async_open_add_invoices(hass, entry) for _ in range(2)]
    assert [offered(dialog).keys() for dialog in dialogs] == [{second.id, third.id}] * 2
    configure = hass.config_entries.subentries.async_configure
    form = {"open_invoices": [], "invoices": ""}
    result = await configure(dialogs[0]["flow_id"], form)
    assert result["errors"] == {"invoices": "ids_missing"}
    ends = [
        await configure(dialog["flow_id"], {"open_invoices": chosen})
        for dialog, chosen in zip(dialogs, ([second.id], [second.id, third.id]), strict=True)
    ]
    assert [end["reason"] for end in ends] == ["invoice_added"] * 2
    assert set(watched(entry)) == {first.id, second.id, third.id}
    await async_later(hass, 1)


async def test_no_list(hass: HomeAssistant, sandbox: SandboxServer) -> None:
    """A provider that can't list its invoices has the field to paste IDs, and no more."""
    sandbox.store.create("egates")
    result = await async_open_set_up(hass, sandbox, "egates")
    assert result["step_id"] == "invoices"
    assert list(fields_of(result["data_schema"])) == ["invoices"]


async def failing_list(self: object, **asked: Any) -> AsyncIterator[Invoice]:
    """List nothing."""
    rows: tuple[Invoice, ...] = ()
    for row in rows:
        yield row
    raise RateLimited


class Listing(MadeUp):
    """A provider with a list."""

    rows: tuple[Invoice, ...] = ()
    trouble: ProviderError | None = None
    slow_after: int | None = None
    given = 0

    @override
    def now(self) -> datetime:
        """Return the time at the provider."""
        return NOW

    async def async_list_invoices(
        self, *, since: datetime, until: datetime | None = None, order_id: str | None = None
    ) -> AsyncIterator[Invoice]:
        """Yield the rows."""
        for row in self.rows:
            if self.given == self.slow_after:
                await asyncio.Event().wait()
            self.given += 1
            yield row
        if self.trouble:
            raise self.trouble


def made(number: int, **fields: Any) -> Invoice:
    """Return an open invoice that was made so many minutes ago."""
    status = fields.pop("status", InvoiceStatus.PENDING)
    return Invoice(
        id=f"made-up-invoice-{number}",
        status=status,
        provider_status="new",
        created_at=NOW - timedelta(minutes=number),
        **fields,
    )


async def test_ten_thousand() -> None:
    """The newest hundred are offered, and nobody waits for the others."""
    shop = Listing()
    shop.rows = tuple(made(number) for number in range(10_000))
    found = await async_find_open(shop, {shop.rows[0].id})
    assert list(found.by_id) == [row.id for row in shop.rows[1:101]]
    assert shop.given == 101


async def test_oldest_first() -> None:
    """The newest are offered in whatever order the list is."""
    shop = Listing()
    shop.rows = tuple(made(number) for number in reversed(range(300)))
    found = await async_find_open(shop)
    assert list(found.by_id) == [made(number).id for number in range(100)]


async def test_many_paid_ones() -> None:
    """A list of what isn't open is not read to its end."""
    shop = Listing()
    paid = replace(made(0), status=InvoiceStatus.PAID)
    shop.rows = (paid,) * 10_000
    found = await async_find_open(shop)
    assert (found.by_id, found.was_listed) == ({}, True)
    assert shop.given < 2_500


@pytest.mark.parametrize(("given", "was_listed"), [(0, False), (3, True)])
async def test_trouble(monkeypatch: pytest.MonkeyPatch, *, given: int, was_listed: bool) -> None:
    """Of a list that is slow or breaks off, what came is offered."""
    monkeypatch.setattr(open_invoices, "LISTING_TIMEOUT", 0)
    rows = tuple(made(number) for number in range(3))
    slow, broken = Listing(), Listing()
    slow.rows, slow.slow_after = rows, given
    broken.rows, broken.trouble = rows[:given], RateLimited()
    for shop in (slow, broken):
        found = await async_find_open(shop)
        assert (list(found.by_id), found.was_listed) == (
            [row.id for row in rows[:given]],
            was_listed,
        )


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        (
            {"order_id": "Kaffee ☕", "amount": Decimal("24.90"), "currency": "EUR"},
            "Kaffee ☕ · 24,90\u00a0€",
        ),
        ({"order_id": "<b>x</b>\n" + "y" * 60}, "<b>x</b> " + "y" * 50 + "…"),
        ({"order_id": "שלום"}, "שלום"),
        ({"order_id": "0f" * 32}, "Rechnung 0f0f0f"),
        ({"order_id": "1042"}, "Rechnung 1042"),
        ({"amount": Decimal("1E-8"), "currency": "BTC"}, "Rechnung oice-7 · 0,00000001\u00a0BTC"),
        ({"memo": "For Alice"}, "Rechnung oice-7"),
        ({}, "Rechnung oice-7"),
    ],
    ids=["emoji", "long", "right to left", "hash", "number", "small", "memo", "nothing"],
)
async def test_labels(hass: HomeAssistant, fields: dict[str, Any], label: str) -> None:
    """An invoice is called as it is everywhere, with its amount, in Home Assistant's language."""
    hass.config.language = "de"
    shop = Listing()
    shop.rows = (made(7, **fields),)
    offer = await async_offer(hass, shop)
    assert list(offer.labels.values()) == [label]


async def test_two_with_the_same_name(hass: HomeAssistant) -> None:
    """Invoices that would be called the same have the ends of their IDs."""
    shop = Listing()
    shop.rows = (made(7, order_id="Tea"), made(8, order_id="Tea"), made(9, order_id="Coffee"))
    offer = await async_offer(hass, shop)
    assert list(offer.labels.values()) == ["Tea · oice-7", "Tea · oice-8", "Coffee"]


@CAN_LIST
async def test_removed(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """What was removed while it is open is offered, but not chosen; also after a restart."""
    stays, goes, new = (sandbox.store.create(provider) for _ in range(3))
    entry = await add_account(provider, stays.id, goes.id)
    await async_delete_device(hass, entry, goes.id)
    for _ in range(2):
        result = await async_open_add_invoices(hass, entry)
        assert offered(result).keys() == {goes.id, new.id}
        assert kept(result["data_schema"])["open_invoices"] == [new.id]
        await hass.config_entries.async_reload(entry.entry_id)
    configure = hass.config_entries.subentries.async_configure
    result = await configure(result["flow_id"], {"open_invoices": [goes.id]})
    assert result["reason"] == "invoice_added"
    assert set(watched(entry)) == {stays.id, goes.id}
    await async_later(hass, 1)


async def test_book_that_cannot_be_read(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where nobody knows what was removed, the dialog says so and ends."""
    first, _ = (sandbox.store.create("cryptocloud") for _ in range(2))
    entry = await add_account("cryptocloud", first.id)

    def fail(self: Storage, ids: object) -> None:
        raise StorageError("disk I/O error")

    monkeypatch.setattr(Storage, "find", fail)
    result = await async_open_add_invoices(hass, entry)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "book_unavailable")
