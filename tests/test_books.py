"""What an account's invoices add up to: exact, each payment once, and still there afterwards."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar, override

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
from hypothesis import given, settings, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.crypto_invoices import books
from custom_components.crypto_invoices.books import Books, Sums
from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.base import Field, FieldKind, Provider
from custom_components.crypto_invoices.providers.invoicing import PermissionMissing
from custom_components.crypto_invoices.providers.model import (
    Account,
    Balance,
    Invoice,
    InvoiceStatus,
    ProviderError,
    ProviderUnavailable,
    Trouble,
)
from sandbox.faults import Fault

from .conftest import (
    AddAccount,
    SandboxServer,
    account_state,
    async_add_invoices,
    async_later,
    async_open_credentials,
    async_submit,
    find_entity,
    pass_time,
)


def total(hass: HomeAssistant, entry: ConfigEntry, key: str, currency: str = "USD") -> str:
    """Return a sum of an account as its sensor shows it."""
    return account_state(hass, entry, f"{key}_{currency}").state


async def async_untrack(hass: HomeAssistant, entry: ConfigEntry, invoice_id: str) -> None:
    """Stop watching an invoice."""
    hass.config_entries.async_remove_subentry(entry, entry.runtime_data.tracked[invoice_id])
    await async_later(hass, 1)


async def async_reload(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Begin anew with what is on disk."""
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


money = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=18
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.none() | st.tuples(st.sampled_from(["USD", "BTC"]), money),
            st.booleans(),
        )
    )
)
def test_sums(puts: list[tuple[str, tuple[str, Decimal] | None, bool]]) -> None:
    """However parts come and go, the sums are those of the parts, to the last digit."""
    sums = Sums()
    parts: dict[str, tuple[str, Decimal] | None] = {}
    kept: list[tuple[str, Decimal] | None] = []
    for invoice_id, part, is_settled in puts:
        assert sums.put(invoice_id, part) is (parts.get(invoice_id) != part)
        parts[invoice_id] = part
        if is_settled:
            sums.settle(invoice_id)
            kept.append(parts.pop(invoice_id))
    for currency in ("USD", "BTC"):
        expected, settled = (
            sum(Fraction(part[1]) for part in among if part and part[0] == currency)
            for among in ((*parts.values(), *kept), kept)
        )
        assert Fraction(sums.totals.get(currency, Decimal(0))) == expected
        assert Fraction(sums.settled().get(currency, Decimal(0))) == settled


async def test_outstanding_and_received(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """What is asked for becomes what was brought, and goes back with a payment."""
    ids = [sandbox.store.create("cryptocloud", amount=Decimal("25.10")).id for _ in range(3)]
    entry = await add_account("cryptocloud", *ids)
    assert total(hass, entry, "outstanding") == "75.3"
    assert total(hass, entry, "received") == "0"
    assert account_state(hass, entry, "paid_today").state == "0"

    sandbox.store.act("cryptocloud", ids[0], "pay")
    await async_later(hass)
    brought = sandbox.store.get("cryptocloud", ids[0])
    assert total(hass, entry, "outstanding") == "50.2"
    received = Decimal(total(hass, entry, "received"))
    assert 0 < received <= brought.amount
    assert account_state(hass, entry, "paid_today").state == "1"

    sandbox.store.act("cryptocloud", ids[1], "overpay")
    sandbox.store.act("cryptocloud", ids[2], "cancel")
    await async_later(hass)
    assert total(hass, entry, "outstanding") == "0"
    assert Decimal(total(hass, entry, "received")) > 2 * received
    assert account_state(hass, entry, "paid_today").state == "2"

    sandbox.store.act("cryptocloud", ids[1], "revert")
    await async_later(hass)
    # Once is not believed: what came stays, until two readings say the same.
    assert Decimal(total(hass, entry, "received")) > 2 * received
    assert account_state(hass, entry, "paid_today").state == "2"
    await async_later(hass)
    assert total(hass, entry, "outstanding") == "25.1"
    assert Decimal(total(hass, entry, "received")) == received
    assert account_state(hass, entry, "paid_today").state == "1"


async def test_statistics(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Money has what long-term statistics need, and looks like money where it can."""
    fiat = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", fiat.id)
    coin = sandbox.store.create("egates", amount=Decimal("0.00000001"), currency="BTC")
    other = await add_account("egates", coin.id)
    for key in ("outstanding", "received"):
        attributes = account_state(hass, entry, f"{key}_USD").attributes
        assert attributes["state_class"] == "total"
        assert attributes["device_class"] == "monetary"
        assert attributes["unit_of_measurement"] == "USD"
        assert attributes["friendly_name"] == f"{entry.title} {key.capitalize()} USD"
        attributes = account_state(hass, other, f"{key}_BTC").attributes
        assert attributes["state_class"] == "total"
        assert "device_class" not in attributes
        assert attributes["unit_of_measurement"] == "BTC"
    assert total(hass, other, "outstanding", "BTC") == "0.00000001"
    paid_today = account_state(hass, entry, "paid_today").attributes
    assert paid_today["state_class"] == "total"
    assert paid_today["last_reset"] == dt_util.start_of_local_day().isoformat()


async def test_currencies(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """A currency has its sums from its first invoice on, and keeps them."""
    sandbox.sandbox.set("cryptocloud", "fiat_currency", "sent")
    euro = sandbox.store.create("cryptocloud", amount=Decimal(7), currency="EUR")
    entry = await add_account("cryptocloud", euro.id)
    assert total(hass, entry, "outstanding", "EUR") == "7"
    assert find_entity(hass, entry, "outstanding_RUB") is None
    ruble = sandbox.store.create("cryptocloud", amount=Decimal(900), currency="RUB")
    await async_add_invoices(hass, entry, [ruble.id])
    assert total(hass, entry, "outstanding", "RUB") == "900"
    await async_untrack(hass, entry, ruble.id)
    await async_reload(hass, entry)
    assert total(hass, entry, "outstanding", "RUB") == "0"
    assert total(hass, entry, "outstanding", "EUR") == "7"


async def test_writes_only_what_changed(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """What is open is read again after a restart: it is not worth a write."""
    first = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", first.id)
    account = entry.runtime_data.books
    await account.async_close()
    assert not account._is_dirty
    added = sandbox.store.create("cryptocloud")
    await async_add_invoices(hass, entry, [added.id])
    await async_reload(hass, entry)
    assert total(hass, entry, "outstanding") == "50"
    assert not entry.runtime_data.books._is_dirty
    sandbox.store.act("cryptocloud", added.id, "pay")
    pass_time(hass, 61)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.runtime_data.books._is_dirty
    pass_time(hass, 70)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not entry.runtime_data.books._is_dirty


async def test_a_status_without_amounts_adds_up_to_nothing(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """The legacy API says no amounts: there are no sums, and payments are counted all the same."""
    invoice = sandbox.store.create("cryptocloud_v1")
    entry = await add_account("cryptocloud_v1", invoice.id)
    sandbox.store.act("cryptocloud_v1", invoice.id, "pay")
    await async_later(hass)
    assert entry.runtime_data.books.currencies == set()
    assert account_state(hass, entry, "paid_today").state == "1"


async def test_totals_outlive_invoices(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """What was paid stays counted, once: over reloads, removal, and being added again."""
    ids = [sandbox.store.create("cryptocloud").id for _ in range(2)]
    entry = await add_account("cryptocloud", *ids)
    sandbox.store.act("cryptocloud", ids[0], "pay")
    await async_later(hass)
    received = total(hass, entry, "received")
    assert received != "0"
    for _ in range(2):
        await async_reload(hass, entry)
        assert total(hass, entry, "received") == received
        assert account_state(hass, entry, "paid_today").state == "1"
    await async_untrack(hass, entry, ids[0])
    assert total(hass, entry, "received") == received
    await async_untrack(hass, entry, ids[1])
    assert total(hass, entry, "outstanding") == "0"
    await async_reload(hass, entry)
    assert total(hass, entry, "received") == received
    assert account_state(hass, entry, "paid_today").state == "1"
    await async_add_invoices(hass, entry, ids)
    assert total(hass, entry, "received") == received
    assert account_state(hass, entry, "paid_today").state == "1"


async def test_what_is_long_gone_is_forgotten_but_not_what_it_brought(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Invoices are remembered by their IDs for a month, their money for ever."""
    ids = [sandbox.store.create("cryptocloud").id for _ in range(2)]
    entry = await add_account("cryptocloud", *ids)
    sandbox.store.act("cryptocloud", ids[0], "pay")
    await async_later(hass)
    received = total(hass, entry, "received")
    await async_untrack(hass, entry, ids[0])
    freezer.tick(timedelta(days=29))
    await async_reload(hass, entry)
    assert ids[0] in entry.runtime_data.books.records
    freezer.tick(timedelta(days=2))
    await async_reload(hass, entry)
    assert ids[0] not in entry.runtime_data.books.records
    for _ in range(2):
        assert total(hass, entry, "received") == received
        await async_reload(hass, entry)


async def test_memory_is_bounded(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many invoices come and go, only so many are remembered; all money is."""
    monkeypatch.setattr(books, "MOST_REMEMBERED", 2)
    ids = [sandbox.store.create("cryptocloud").id for _ in range(5)]
    for invoice_id in ids:
        sandbox.store.act("cryptocloud", invoice_id, "pay")
    entry = await add_account("cryptocloud", *ids)
    received = total(hass, entry, "received")
    for invoice_id in ids:
        await async_untrack(hass, entry, invoice_id)
    await async_reload(hass, entry)
    assert set(entry.runtime_data.books.records) == set(ids[-2:])
    assert total(hass, entry, "received") == received


async def test_paid_before_it_was_added(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Its money is counted; that it came today isn't, unless the provider says so."""
    invoice = sandbox.store.create("cryptocloud_v1")
    sandbox.store.act("cryptocloud_v1", invoice.id, "pay")
    entry = await add_account("cryptocloud_v1", invoice.id)
    assert account_state(hass, entry, "paid_today").state == "0"
    await async_reload(hass, entry)
    assert account_state(hass, entry, "paid_today").state == "0"


async def test_midnight(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Today ends at midnight, where Home Assistant is."""
    await hass.config.async_set_time_zone("Asia/Tashkent")
    freezer.move_to("2026-11-20 18:50:00+00:00")
    ids = [sandbox.store.create("cryptocloud_v1").id for _ in range(2)]
    entry = await add_account("cryptocloud_v1", *ids)
    sandbox.store.act("cryptocloud_v1", ids[0], "pay")
    await async_later(hass, 60)
    assert account_state(hass, entry, "paid_today").state == "1"
    freezer.move_to("2026-11-20 19:00:00.5+00:00")
    async_fire_time_changed(hass, dt_util.utcnow())
    await hass.async_block_till_done()
    state = account_state(hass, entry, "paid_today")
    assert state.state == "0"
    assert state.attributes["last_reset"] == "2026-11-21T00:00:00+05:00"
    sandbox.store.act("cryptocloud_v1", ids[1], "pay")
    await async_later(hass, 60)
    assert account_state(hass, entry, "paid_today").state == "1"


async def test_outage(hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount) -> None:
    """What came in stays known in an outage; what is still asked for isn't known then."""
    ids = [sandbox.store.create("cryptocloud").id for _ in range(2)]
    entry = await add_account("cryptocloud", *ids)
    sandbox.store.act("cryptocloud", ids[0], "pay")
    await async_later(hass)
    received = total(hass, entry, "received")
    sandbox.switch("cryptocloud", Fault.SERVER_ERROR)
    await async_later(hass)
    assert total(hass, entry, "received") == received
    assert total(hass, entry, "outstanding") == "unavailable"
    sandbox.switch("cryptocloud", None)
    await async_later(hass)
    assert total(hass, entry, "outstanding") == "25"


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"received": [], "invoices": {}},
        {"received": {"USD": "much"}, "invoices": {}},
        {"received": {}, "invoices": {"INV-ABCD1234": {"final_since": "yesterday"}}},
        {"received": {}, "invoices": {"INV-ABCD1234": {"amount": "1"}}},
        {"received": {"USD": "NaN"}, "invoices": {}},
    ],
)
async def test_spoiled_file(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    data: dict[str, Any],
) -> None:
    """Books that make no sense start anew, and say so."""
    hass_storage["crypto_invoices.books.1"] = {
        "version": 1,
        "minor_version": 1,
        "key": "crypto_invoices.books.1",
        "data": data,
    }
    account = Books(hass, "1")
    await account.async_load(())
    assert "The books" in caplog.text
    assert account.currencies == set()
    assert account.paid_today == 0


async def test_removed_account_leaves_no_books(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    hass_storage: dict[str, Any],
) -> None:
    """What is kept of an account goes with it."""
    invoice = sandbox.store.create("cryptocloud")
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    entry = await add_account("cryptocloud", invoice.id)
    await async_reload(hass, entry)
    assert f"crypto_invoices.books.{entry.entry_id}" in hass_storage
    await hass.config_entries.async_remove(entry.entry_id)
    assert f"crypto_invoices.books.{entry.entry_id}" not in hass_storage


class MoneyBox(Provider):
    """One invoice, and a balance."""

    key = "money_box"
    name = "Money Box"
    fields = (Field(key="url", kind=FieldKind.URL, default="https://money.box"),)

    balances: ClassVar[dict[str, str]] = {}
    trouble: ClassVar[ProviderError | None] = None
    status: ClassVar[InvoiceStatus] = InvoiceStatus.PENDING
    looks: ClassVar[int] = 0

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        """Take any."""
        return text

    @override
    async def async_get_account(self) -> Account:
        """Need no key."""
        return Account(unique_id="box", title="My money box")

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Tell the same status of all."""
        return {
            id_: Invoice(id=id_, status=self.status, provider_status=self.status) for id_ in ids
        }

    async def async_get_balances(self) -> tuple[Balance, ...]:
        """Look into the box."""
        type(self).looks += 1
        if self.trouble:
            raise self.trouble
        return tuple(
            Balance(currency=currency, amount=Decimal(amount))
            for currency, amount in self.balances.items()
        )


@pytest.fixture
def untranslated() -> set[str]:
    """Its texts are of no interest here."""
    return {MoneyBox.key}


@pytest.fixture
async def money_box(hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch) -> ConfigEntry:
    """Set up an account with a balance."""
    monkeypatch.setitem(PROVIDERS, MoneyBox.key, MoneyBox)
    monkeypatch.setattr(MoneyBox, "balances", {"BTC": "0.10", "USD": "1234567890.12"})
    for name in ("trouble", "status", "looks"):
        monkeypatch.setattr(MoneyBox, name, getattr(MoneyBox, name))
    result = await async_open_credentials(hass, MoneyBox.key)
    result = await async_submit(hass, result, {"url": "https://money.box"})
    result = await async_submit(hass, result, {"invoices": "1"})
    await hass.async_block_till_done(wait_background_tasks=True)
    entry: ConfigEntry = result["result"]
    return entry


async def test_balance(hass: HomeAssistant, money_box: ConfigEntry) -> None:
    """A balance is told for each currency, exactly, and looked at each hour."""
    bitcoin, dollar = (account_state(hass, money_box, f"balance_{c}") for c in ("BTC", "USD"))
    assert (bitcoin.state, dollar.state) == ("0.1", "1234567890.12")
    assert dollar.attributes["device_class"] == "monetary"
    assert dollar.attributes["state_class"] == bitcoin.attributes["state_class"] == "total"
    assert "device_class" not in bitcoin.attributes
    assert MoneyBox.looks == 1

    MoneyBox.balances["USDT"] = "5"
    del MoneyBox.balances["BTC"]
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=55))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert MoneyBox.looks == 1
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=61))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert MoneyBox.looks == 2
    assert account_state(hass, money_box, "balance_USDT").state == "5"
    assert account_state(hass, money_box, "balance_BTC").state == "0"


async def test_coins_of_which_there_is_nothing(hass: HomeAssistant, money_box: ConfigEntry) -> None:
    """A provider lists all its coins: shown are those that were held, emptied ones over a restart."""
    MoneyBox.balances.update({"USD": "0", "ETH": "0", "DOGE": "0"})
    await hass.config_entries.async_reload(money_box.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    shown = {state.name.split()[-1]: state.state for state in _balances(hass)}
    assert shown == {"BTC": "0.1", "USD": "0"}
    MoneyBox.balances["ETH"] = "2"
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=61))
    await hass.async_block_till_done(wait_background_tasks=True)
    shown = {state.name.split()[-1]: state.state for state in _balances(hass)}
    assert shown == {"BTC": "0.1", "USD": "0", "ETH": "2"}


def _balances(hass: HomeAssistant) -> list[State]:
    return [state for state in hass.states.async_all("sensor") if "Balance" in state.name]


async def test_empty_wallet(
    hass: HomeAssistant, money_box: ConfigEntry, entity_registry: er.EntityRegistry
) -> None:
    """A wallet that has one currency and nothing in it shows that."""
    MoneyBox.balances.clear()
    MoneyBox.balances["sat"] = "0"
    for entity in er.async_entries_for_config_entry(entity_registry, money_box.entry_id):
        if "_balance_" in entity.unique_id:
            entity_registry.async_remove(entity.entity_id)
    await hass.config_entries.async_reload(money_box.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert [state.state for state in _balances(hass)] == ["0"]


async def test_balance_after_a_payment(hass: HomeAssistant, money_box: ConfigEntry) -> None:
    """A payment is worth a look at the balance; another reading is not."""
    await async_later(hass, 60)
    assert MoneyBox.looks == 1
    MoneyBox.status = InvoiceStatus.PAID
    MoneyBox.balances["BTC"] = "0.2"
    await async_later(hass, 60)
    assert MoneyBox.looks == 2
    assert account_state(hass, money_box, "balance_BTC").state == "0.2"


async def test_balance_in_trouble(hass: HomeAssistant, money_box: ConfigEntry) -> None:
    """A balance that can't be read is unavailable, and the invoices are none the worse."""
    MoneyBox.trouble = ProviderUnavailable(Trouble.TIMEOUT)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=61))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert account_state(hass, money_box, "balance_USD").state == "unavailable"
    assert account_state(hass, money_box, "open_invoices").state == "1"
    MoneyBox.trouble = None
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=122))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert account_state(hass, money_box, "balance_USD").state == "1234567890.12"


async def test_key_that_may_not_see_the_balance(
    hass: HomeAssistant, money_box: ConfigEntry
) -> None:
    """A key that may only see invoices is enough: there is no balance, and no more asking."""
    MoneyBox.trouble = PermissionMissing("balance")
    await async_reload(hass, money_box)
    assert account_state(hass, money_box, "balance_USD").state == "unavailable"
    looks = MoneyBox.looks
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=61))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert MoneyBox.looks == looks
    assert account_state(hass, money_box, "open_invoices").state == "1"
