"""Actions of a till: create, cancel, statistics; with a provider that is made up here."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util
import pytest

from custom_components.crypto_invoices import account
from custom_components.crypto_invoices.actions import creation
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.capabilities import (
    NoLongerOpen,
    OutcomeUnknown,
    PermissionMissing,
    Rejected,
    Statistics,
    Total,
)
from custom_components.crypto_invoices.providers.model import (
    Account,
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SettingNeeded,
    UnavailableReason,
)
from custom_components.crypto_invoices.providers.new_invoice import Flaw, NewInvoice
from custom_components.crypto_invoices.providers.provider import Field, FieldKind, Provider
from custom_components.crypto_invoices.providers.push import Hint
from tests.conftest import (
    ENGLISH,
    Runs,
    async_act,
    async_later,
    async_open_credentials,
    async_refused,
    async_settle,
    async_submit,
    device_id,
    state_of,
    watched,
    watched_name,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Kiosk(Provider):
    """A provider that can only be looked at."""

    key = "kiosk"
    name = "Kiosk"
    fields = (Field(key="url", kind=FieldKind.URL, default="https://kiosk.test", advanced=True),)

    made: ClassVar[dict[str, Invoice]] = {}
    readings: ClassVar[int] = 0

    @classmethod
    @override
    def parse_invoice_id(cls, text: str) -> str | None:
        """Return the ID of an invoice."""
        return text.upper() if text.upper().startswith("K") else None

    @override
    async def async_get_account(self) -> Account:
        """There is only one."""
        return Account(unique_id=self.key, title=f"My {self.name}")

    @override
    async def _async_read(self, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        """Look the invoice up."""
        Kiosk.readings += 1
        return {id_: self.made[id_] for id_ in ids if id_ in self.made}


class Till(Kiosk):
    """A provider that can do everything."""

    key = "till"
    name = "Till"

    supported_fields: ClassVar[frozenset[str]] = frozenset(
        {"order_id", "description", "lifetime", "callback_url"}
    )
    accepts_push: ClassVar[bool] = True
    asked: ClassVar[list[NewInvoice]] = []
    trouble: ClassVar[ProviderError | None] = None
    is_made_all_the_same: ClassVar[bool] = False
    behind: ClassVar[timedelta] = timedelta(0)
    """How far its clock is behind."""
    looks: ClassVar[int] = 0
    appears_at_look: ClassVar[int] = 1
    list_trouble: ClassVar[ProviderError | None] = None
    waiting: ClassVar[asyncio.Event | None] = None
    canceled: ClassVar[list[str]] = []

    def parse_push(self, headers: Mapping[str, str], body: bytes) -> Hint:
        """Believe everything."""
        return Hint(invoice_ids=frozenset())

    async def async_create_invoice(self, new: NewInvoice) -> Invoice:
        """Make an invoice with the next number."""
        new.check_for(
            supported=self.supported_fields,
            knows_currency=new.currency in {"EUR", "BTC"},
            decimals=2,
        )
        self.asked.append(new)
        if self.waiting:
            await self.waiting.wait()
        if self.trouble and not self.is_made_all_the_same:
            raise self.trouble
        number = f"K{len(self.made) + 1}"
        invoice = self.made[number] = Invoice(
            id=number,
            status=InvoiceStatus.PENDING,
            provider_status="new",
            amount=new.amount,
            currency=new.currency,
            order_id=new.order_id,
            payment_url=f"https://till.test/{number}",
            payment_text=f"coin:{number}",
            created_at=dt_util.utcnow() - self.behind,
            expires_at=NOW + (new.lifetime or timedelta(hours=1)),
        )
        if self.trouble:
            raise self.trouble
        return invoice

    async def async_cancel_invoice(self, invoice_id: str) -> None:
        """Cancel an invoice."""
        if self.trouble:
            raise self.trouble
        self.canceled.append(invoice_id)
        self.made[invoice_id] = replace(self.made[invoice_id], status=InvoiceStatus.CANCELED)

    async def async_list_invoices(
        self, *, since: datetime, order_id: str | None = None
    ) -> AsyncIterator[Invoice]:
        """Yield the invoices, the newest first, without looking at the order."""
        Till.looks += 1
        if self.list_trouble:
            raise self.list_trouble
        if self.looks < self.appears_at_look:
            return
        for invoice in reversed(self.made.values()):
            if invoice.created_at and invoice.created_at >= since:
                yield invoice

    async def async_get_statistics(self, start: date, end: date) -> Statistics:
        """Return the same for every period."""
        if self.trouble:
            raise self.trouble
        totals = {
            "new": Total(count=2, amount=Decimal("25.10")),
            "done": Total(count=1, amount=Decimal("1E-8")),
        }
        return Statistics(currency="EUR", totals=totals)


class ForgetfulTill(Till):
    """A till that has no list."""

    key = "forgetful"
    name = "Forgetful"
    async_list_invoices: Any = None


@pytest.fixture
def untranslated() -> set[str]:
    """Return the providers that are made up."""
    return {Kiosk.key, Till.key, ForgetfulTill.key}


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in (Kiosk, Till, ForgetfulTill):
        monkeypatch.setitem(PROVIDERS, provider.key, provider)
    monkeypatch.setattr(Kiosk, "made", {"K1": first_invoice()})
    monkeypatch.setattr(Kiosk, "readings", 0)
    monkeypatch.setattr(creation, "LOOK_AFTER", (0, 0, 0))
    for name in ("asked", "canceled"):
        monkeypatch.setattr(Till, name, [])
    for name in ("trouble", "list_trouble", "is_made_all_the_same", "looks", "appears_at_look"):
        monkeypatch.setattr(Till, name, getattr(Till, name))
    monkeypatch.setattr(Till, "waiting", None)


def first_invoice(status: InvoiceStatus = InvoiceStatus.PENDING) -> Invoice:
    """Return the invoice that is there from the beginning."""
    return Invoice(
        id="K1",
        status=status,
        provider_status="new",
        amount=Decimal(1),
        currency="EUR",
        order_id="first",
        created_at=dt_util.utcnow(),
    )


async def async_add(hass: HomeAssistant, key: str = "till") -> ConfigEntry:
    """Set up an account that watches the first invoice."""
    result = await async_open_credentials(hass, key)
    result = await async_submit(hass, result, {"advanced": {"url": "https://kiosk.test"}})
    result = await async_submit(hass, result, {"invoices": "K1"})
    await async_settle(hass)
    # The dialog has listed what is open.
    Till.looks = 0
    entry: ConfigEntry = result["result"]
    return entry


@pytest.fixture
async def till(hass: HomeAssistant) -> ConfigEntry:
    """Return an account that can do everything."""
    return await async_add(hass)


def asked(entry: ConfigEntry, **given: Any) -> dict[str, Any]:
    """Return what is enough to create an invoice, and what is given beside."""
    return {"config_entry_id": entry.entry_id, "amount": 5, "currency": "EUR", **given}


async def test_create(hass: HomeAssistant, till: ConfigEntry, runs: Runs) -> None:
    """A new invoice is there when the action answers, without a reading; its payment is told."""
    answer = await async_act(
        hass,
        "create_invoice",
        **asked(
            till,
            amount="12.50",
            currency=" eur ",
            order_id=" Table 7 ",
            description="Two coffees\nand a cake",
            lifetime={"minutes": 15},
            payment_method="",
        ),
    )
    [new] = Till.asked
    assert new == NewInvoice(
        amount=Decimal("12.50"),
        currency="EUR",
        order_id="Table 7",
        description="Two coffees\nand a cake",
        lifetime=timedelta(minutes=15),
    )
    entities = answer.pop("entity_ids")
    assert answer == {
        "invoice_id": "K2",
        "account": "My Till",
        "config_entry_id": till.entry_id,
        "device_id": device_id(hass, till, "K2"),
        "problem": None,
        "status": "pending",
        "provider_status": "new",
        "amount": "12.5",
        "currency": "EUR",
        "amount_received": None,
        "pay_amount": None,
        "pay_currency": None,
        "network": None,
        "order_id": "Table 7",
        "payment_url": "https://till.test/K2",
        "payment_text": "coin:K2",
        "created_at": answer["created_at"],
        "expires_at": "2026-11-20T12:15:00+00:00",
        "paid_at": None,
        "is_test": None,
    }
    assert {"status", "amount", "payment_qr"} <= entities.keys()
    registry = er.async_get(hass)
    for entity_id in entities.values():
        assert registry.async_get(entity_id)
    shown = {key: hass.states.get(entity_id) for key, entity_id in entities.items()}
    assert all(shown.values())
    states = {key: state.state for key, state in shown.items() if state}
    assert states["status"] == "pending"
    assert states["payment_qr"] not in {"unavailable", "unknown"}
    assert [watched_name(hass, till, id_) for id_ in watched(till)] == [
        "first",
        "Table 7",
    ]

    Kiosk.made["K2"] = replace(Kiosk.made["K2"], status=InvoiceStatus.PAID)
    await async_later(hass)
    await async_later(hass)
    assert [run["invoice"] for run in runs] == ["K2"]


@pytest.mark.parametrize("state", [None, "unavailable", "unknown"])
async def test_create_needs_what_is_sold(
    hass: HomeAssistant, till: ConfigEntry, state: str | None
) -> None:
    """What isn't ready is named, and no invoice is created; once it is ready, it is."""
    hass.states.async_set("switch.wash", "off")
    if state is not None:
        hass.states.async_set("switch.door", state)
    given = asked(till, ready=["switch.wash", "switch.door"])
    error = await async_refused(hass, "create_invoice", **given)
    assert error.translation_key == "not_ready"
    assert error.translation_placeholders == {"entities": "switch.door"}
    assert not Till.asked
    hass.states.async_set("switch.door", "off")
    assert (await async_act(hass, "create_invoice", **given))["status"] == "pending"


async def test_create_needs_no_reading(hass: HomeAssistant, till: ConfigEntry) -> None:
    """What is told of a new invoice comes from the answer that made it."""
    before = Kiosk.readings
    await async_act(hass, "create_invoice", **asked(till))
    await async_settle(hass)
    assert Kiosk.readings == before
    assert state_of(hass, till, "K2", "amount").state == "5"


async def test_create_tells_the_webhook(hass: HomeAssistant, till: ConfigEntry) -> None:
    """The provider is told where to post, if it could reach that."""
    await async_act(hass, "create_invoice", **asked(till))
    hass.config.external_url = "https://home.test"
    await async_act(hass, "create_invoice", **asked(till))
    await async_act(hass, "create_invoice", **asked(till))
    first, second, third = (new.callback_url for new in Till.asked)
    assert first is None
    assert second == third == f"https://home.test/api/webhook/{till.data['webhook_id']}"


async def test_create_tells_no_webhook_that_nobody_listens_to(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider whose posts could not be believed isn't asked to post."""
    monkeypatch.setattr(Till, "accepts_push", False)
    entry = await async_add(hass)
    hass.config.external_url = "https://home.test"
    await async_act(hass, "create_invoice", **asked(entry))
    assert Till.asked[0].callback_url is None


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (5, "5"),
        (5.0, "5"),
        (5.1, "5.1"),
        ("5", "5"),
        (" 5.10 ", "5.1"),
        ("0.01", "0.01"),
    ],
)
async def test_amounts(hass: HomeAssistant, till: ConfigEntry, value: Any, amount: str) -> None:
    """An amount is taken exactly as it is written, whether as a number or as text."""
    answer = await async_act(hass, "create_invoice", **asked(till, amount=value))
    assert answer["amount"] == amount


async def test_small_number(hass: HomeAssistant, till: ConfigEntry) -> None:
    """A template that makes a small number of text can't help its exponent."""
    given = asked(till, amount=0.00000001, currency="btc")
    answer = await async_act(hass, "create_invoice", **given)
    assert (answer["amount"], answer["currency"]) == ("0.00000001", "BTC")


@pytest.mark.parametrize(
    ("given", "field", "key"),
    [
        ({"amount": value}, "amount", f"field_{flaw}")
        for value, flaw in (
            ("-5", Flaw.NOT_POSITIVE),
            (-5, Flaw.NOT_POSITIVE),
            ("0", Flaw.NOT_POSITIVE),
            ("0.00", Flaw.NOT_POSITIVE),
            (0, Flaw.NOT_POSITIVE),
            ("NaN", Flaw.NOT_A_NUMBER),
            (float("nan"), Flaw.NOT_A_NUMBER),
            (float("inf"), Flaw.NOT_A_NUMBER),
            ("1e3", Flaw.NOT_A_NUMBER),
            ("1E-8", Flaw.NOT_A_NUMBER),
            ("5,50", Flaw.NOT_A_NUMBER),
            ("1.000,50", Flaw.NOT_A_NUMBER),
            ("", Flaw.NOT_A_NUMBER),
            ("five", Flaw.NOT_A_NUMBER),
            ("\u0665", Flaw.NOT_A_NUMBER),
            (None, Flaw.NOT_A_NUMBER),
            (True, Flaw.NOT_A_NUMBER),
            ([5], Flaw.NOT_A_NUMBER),
            ("0." + "3" * 30, Flaw.TOO_MANY_DECIMALS),
            ("5.001", Flaw.TOO_MANY_DECIMALS),
            (0.1 + 0.2, Flaw.TOO_MANY_DECIMALS),
            (1e300, Flaw.NOT_A_NUMBER),
            ("8" * 20, Flaw.TOO_LARGE),
        )
    ]
    + [
        ({"currency": "XYZ"}, "currency", "field_unknown"),
        ({"currency": "  "}, "currency", "field_empty"),
        ({"currency": "EUR" * 100}, "currency", "field_too_long"),
        ({"order_id": "x" * 10_000}, "order_id", "field_too_long"),
        ({"order_id": "a\nb"}, "order_id", "field_unprintable"),
        ({"description": "x" * 10_000}, "description", "field_too_long"),
        ({"payment_method": "BTC"}, "payment_method", "field_not_taken"),
        ({"lifetime": 0}, "lifetime", "field_not_positive"),
        ({"lifetime": -60}, "lifetime", "field_not_positive"),
        ({"lifetime": {"days": 400}}, "lifetime", "lifetime_too_long"),
        ({"lifetime": {"days": 1e12}}, "lifetime", "lifetime_invalid"),
        ({"lifetime": "soon"}, "lifetime", "lifetime_invalid"),
        ({"lifetime": []}, "lifetime", "lifetime_invalid"),
    ],
)
async def test_bad_input(
    hass: HomeAssistant, till: ConfigEntry, given: dict[str, Any], field: str, key: str
) -> None:
    """The error names the field by its label; nothing is asked of the provider or watched."""
    error = await async_refused(hass, "create_invoice", **asked(till, **given))
    assert isinstance(error, ServiceValidationError)
    assert error.translation_key == key
    label = ENGLISH["services"]["create_invoice"]["fields"][field]["name"]
    assert str(error).startswith(f"{label}: ")
    assert len(str(error)) < 200
    assert not Till.asked
    assert len(watched(till)) == 1


async def test_labels_in_another_language(hass: HomeAssistant, till: ConfigEntry) -> None:
    """A field is called what it is called in Home Assistant's language."""
    hass.config.language = "de"
    await async_get_translations(hass, "de", "services", {DOMAIN})
    error = await async_refused(hass, "create_invoice", **asked(till, order_id="a\nb"))
    assert (error.translation_placeholders or {})["field"] == "Bestellnummer"


@pytest.mark.parametrize(
    ("trouble", "key", "part"),
    [
        (PermissionMissing("invoices.write"), "permission_missing", "invoices.write"),
        (Rejected("the shop is closed"), "rejected", "the shop is closed"),
        (Rejected("x" * 10_000), "rejected", "x" * 80),
        (SettingNeeded("shop_id"), "setting_needed", "Shop ID"),
        (SettingNeeded("store_id"), "setting_needed", "Store ID"),
        (SettingNeeded("postback_secret"), "setting_needed", "Secret key"),
        (AuthError(), "invalid_auth", "key"),
        (RateLimited(60), "rate_limited", "limits the number of requests"),
        (BadResponse(), "bad_response", "invalid response"),
        (
            ProviderUnavailable(UnavailableReason.CANNOT_CONNECT),
            "cannot_connect",
            "failed to connect",
        ),
        (OutcomeUnknown(), "outcome_unknown", "before you try again"),
    ],
)
async def test_create_fails(
    hass: HomeAssistant, till: ConfigEntry, trouble: ProviderError, key: str, part: str
) -> None:
    """It is tried once, the error says why, nothing is watched, and watching goes on."""
    Till.trouble = trouble
    error = await async_refused(hass, "create_invoice", **asked(till))
    assert not isinstance(error, ServiceValidationError)
    assert error.translation_key == key
    assert part in str(error)
    assert "My Till" in str(error)
    assert len(str(error)) < 250
    assert len(Till.asked) == 1
    assert Till.looks == 0
    assert len(watched(till)) == 1
    await async_later(hass)
    assert state_of(hass, till, "K1", "status").state == "pending"
    assert not hass.config_entries.flow.async_progress(), "a key may be good for watching"


@pytest.mark.parametrize("look", [1, 3])
async def test_outcome_unknown_but_made(
    hass: HomeAssistant, till: ConfigEntry, look: int, runs: Runs
) -> None:
    """An invoice that was made though no answer came is found by its order, and watched.

    Even one that was paid by then is told.
    """
    await async_act(hass, "create_invoice", **asked(till, order_id="Table 7"))
    Till.trouble, Till.is_made_all_the_same = OutcomeUnknown(), True
    Till.appears_at_look = look
    await async_act(hass, "create_invoice", **asked(till, order_id="Table 7"))
    answer = (await async_act(hass, "get_invoices", order_id="Table 7"))["invoices"]
    assert [row["invoice_id"] for row in answer] == ["K2", "K3"]
    assert len(Till.asked) == 2, "nobody tries it again"
    assert Till.looks == look

    Till.trouble = None
    Kiosk.made["K3"] = replace(Kiosk.made["K3"], status=InvoiceStatus.PAID)
    await async_later(hass)
    assert [run["invoice"] for run in runs] == ["K3"]


async def test_outcome_unknown_and_a_wrong_clock(
    hass: HomeAssistant, till: ConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found by when it was made, also where this machine's clock is a day ahead."""
    monkeypatch.setattr(Till, "behind", timedelta(days=1))
    clocks = till.runtime_data.clocks
    clocks.note_server_time(dt_util.utcnow() - Till.behind, clocks.monotonic())
    Till.trouble, Till.is_made_all_the_same = OutcomeUnknown(), True
    answer = await async_act(hass, "create_invoice", **asked(till, order_id="Table 7"))
    assert answer["invoice_id"] == "K2"
    assert watched(till) == ["K1", "K2"]


async def test_found_paid(
    hass: HomeAssistant, till: ConfigEntry, monkeypatch: pytest.MonkeyPatch, runs: Runs
) -> None:
    """An invoice that was paid before it could be found is announced as paid."""
    Till.trouble, Till.is_made_all_the_same = OutcomeUnknown(), True
    list_invoices = Till.async_list_invoices

    async def paid_meanwhile(self: Till, **only: Any) -> AsyncIterator[Invoice]:
        async for invoice in list_invoices(self, **only):
            yield replace(invoice, status=InvoiceStatus.PAID)

    monkeypatch.setattr(Till, "async_list_invoices", paid_meanwhile)
    answer = await async_act(hass, "create_invoice", **asked(till, order_id="Table 7"))
    assert answer["status"] == "paid"
    await async_settle(hass)
    assert [run["invoice"] for run in runs] == ["K2"]


@pytest.mark.parametrize(
    "list_trouble", [None, RateLimited(), ProviderUnavailable(UnavailableReason.TIMEOUT)]
)
async def test_outcome_stays_unknown(
    hass: HomeAssistant, till: ConfigEntry, list_trouble: ProviderError | None
) -> None:
    """Where no new invoice is found, the error says that there may be one."""
    await async_act(hass, "create_invoice", **asked(till, order_id="Table 7"))
    Till.trouble, Till.list_trouble = OutcomeUnknown(), list_trouble
    error = await async_refused(hass, "create_invoice", **asked(till, order_id="Table 7"))
    assert error.translation_key == "outcome_unknown_order"
    assert "Table 7" in str(error)
    assert Till.looks == 3
    assert len(Till.asked) == len(watched(till)) == 2


async def test_outcome_unknown_without_a_list(hass: HomeAssistant) -> None:
    """A provider that has no list can't be looked through."""
    entry = await async_add(hass, "forgetful")
    Till.trouble = OutcomeUnknown()
    error = await async_refused(hass, "create_invoice", **asked(entry, order_id="Table 7"))
    assert error.translation_key == "outcome_unknown"
    assert Till.looks == 0


async def test_stopped_while_creating(hass: HomeAssistant, till: ConfigEntry) -> None:
    """An invoice is watched though the script that asked for it was stopped meanwhile."""
    Till.waiting = asyncio.Event()
    script = hass.async_create_task(async_act(hass, "create_invoice", **asked(till)))
    await asyncio.sleep(0)
    assert len(Till.asked) == 1
    script.cancel()
    with pytest.raises(asyncio.CancelledError):
        await script
    Till.waiting.set()
    await async_settle(hass)
    assert state_of(hass, till, "K2", "status").state == "pending"


@pytest.mark.parametrize("is_removed", [False, True])
async def test_unloaded_while_creating(
    hass: HomeAssistant, till: ConfigEntry, *, is_removed: bool
) -> None:
    """An invoice of an account that is unloaded meanwhile is answered, and watched if it can be."""
    Till.waiting = asyncio.Event()
    script = hass.async_create_task(async_act(hass, "create_invoice", **asked(till)))
    await asyncio.sleep(0)
    if is_removed:
        await hass.config_entries.async_remove(till.entry_id)
    else:
        await hass.config_entries.async_unload(till.entry_id)
    Till.waiting.set()
    answer = await script
    assert (answer["invoice_id"], answer["device_id"]) == ("K2", None)
    if not is_removed:
        assert await hass.config_entries.async_setup(till.entry_id)
        await async_settle(hass)
        assert state_of(hass, till, "K2", "status").state == "pending"


@pytest.mark.parametrize("turns", [0, 2, 5, 10, 20, 40])
async def test_reloaded_while_creating(hass: HomeAssistant, till: ConfigEntry, turns: int) -> None:
    """Whenever the account is loaded anew meanwhile, the invoice is watched, and on disk."""
    Till.waiting = asyncio.Event()
    script = hass.async_create_task(async_act(hass, "create_invoice", **asked(till)))
    await asyncio.sleep(0)
    Till.waiting.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    assert await hass.config_entries.async_reload(till.entry_id)
    answer = await script
    assert answer["invoice_id"] == "K2"
    await async_settle(hass)
    assert watched(till) == ["K1", "K2"]
    assert await hass.config_entries.async_reload(till.entry_id)
    await async_settle(hass)
    assert watched(till) == ["K1", "K2"]


async def test_created_during_a_long_set_up(
    hass: HomeAssistant, till: ConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is created while an account is being set up is watched when that is done."""
    monkeypatch.setattr(creation, "_LOADING_TIMEOUT", 0)
    Till.waiting = asyncio.Event()
    script = hass.async_create_task(async_act(hass, "create_invoice", **asked(till)))
    await asyncio.sleep(0)
    began, may_end = asyncio.Event(), asyncio.Event()

    async def wait(*_: object) -> None:
        began.set()
        await may_end.wait()

    # By then, the book is loaded.
    monkeypatch.setattr(account, "async_read_first", wait)
    loading = hass.async_create_task(hass.config_entries.async_reload(till.entry_id))
    await began.wait()
    Till.waiting.set()
    assert (await script)["invoice_id"] == "K2"
    may_end.set()
    assert await loading
    await async_settle(hass)
    assert state_of(hass, till, "K2", "status").state == "pending"
    assert "invoices" not in till.data


async def test_create_during_an_outage(
    hass: HomeAssistant, till: ConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is created while the account can't be read is watched when it can."""

    async def down(self: Till, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        raise ProviderUnavailable(UnavailableReason.SERVER_ERROR)

    with monkeypatch.context() as patch:
        patch.setattr(Till, "_async_read", down)
        await async_later(hass)
        assert state_of(hass, till, "K1", "status").state == "unavailable"
        await async_act(hass, "create_invoice", **asked(till))
    await async_later(hass)
    assert state_of(hass, till, "K2", "status").state == "pending"


async def test_create_where_it_cannot_be(hass: HomeAssistant) -> None:
    """A provider that can only be looked at says so, to each of the actions."""
    entry = await async_add(hass, "kiosk")
    account = {"config_entry_id": entry.entry_id}
    days = {"start_date": "2026-11-01", "end_date": "2026-11-30"}
    ways: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("create_invoice", asked(entry), "cannot_create"),
        ("cancel_invoice", {"invoice_id": "K1"}, "cannot_cancel"),
        ("get_statistics", {**account, **days}, "no_statistics"),
    )
    for action, given, key in ways:
        error = await async_refused(hass, action, **given)
        assert isinstance(error, ServiceValidationError)
        assert error.translation_key == key
        assert "My Kiosk" in str(error)


@pytest.mark.parametrize("by_device", [True, False])
async def test_cancel(hass: HomeAssistant, till: ConfigEntry, *, by_device: bool) -> None:
    """A canceled invoice is read at once."""
    chosen = {"device_id": device_id(hass, till, "K1")} if by_device else {"invoice_id": " k1 "}
    answer = await async_act(hass, "cancel_invoice", **chosen)
    assert Till.canceled == ["K1"]
    assert (answer["invoice_id"], answer["status"]) == ("K1", "canceled")
    assert state_of(hass, till, "K1", "status").state == "canceled"

    error = await async_refused(hass, "cancel_invoice", **chosen)
    assert isinstance(error, ServiceValidationError)
    assert error.translation_key == "no_longer_open"
    assert Till.canceled == ["K1"]


@pytest.mark.parametrize(
    ("trouble", "key"),
    [
        (NoLongerOpen("it is paid"), "no_longer_open"),
        (Rejected("not today"), "rejected"),
        (PermissionMissing("invoices.write"), "permission_missing"),
        (InvoiceNotFound(), "this_invoice_not_found"),
        (ProviderUnavailable(UnavailableReason.TIMEOUT), "timeout"),
    ],
)
async def test_cancel_fails(
    hass: HomeAssistant, till: ConfigEntry, trouble: ProviderError, key: str
) -> None:
    """The error says why; and what happened to the invoice meanwhile is looked at."""
    Till.trouble = trouble
    Kiosk.made["K1"] = first_invoice(InvoiceStatus.PAID)
    error = await async_refused(hass, "cancel_invoice", invoice_id="K1")
    assert error.translation_key == key
    await async_settle(hass)
    assert state_of(hass, till, "K1", "status").state == "paid"


async def test_cancel_nothing_or_too_much(hass: HomeAssistant, till: ConfigEntry) -> None:
    """One invoice of ours has to be chosen."""
    await async_act(hass, "create_invoice", **asked(till))
    ways: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "choose_one"),
        ({"device_id": device_id(hass, till, "K1"), "invoice_id": "K2"}, "choose_one"),
        ({"invoice_id": "K9"}, "not_tracked"),
        ({"invoice_id": " ", "device_id": ""}, "choose_one"),
        ({"device_id": device_id(hass, till)}, "not_an_invoice"),
    )
    for chosen, key in ways:
        error = await async_refused(hass, "cancel_invoice", **chosen)
        assert isinstance(error, ServiceValidationError)
        assert error.translation_key == key
    assert not Till.canceled


async def test_canceled_but_not_read(
    hass: HomeAssistant, till: ConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is canceled is canceled, though it can't be read at the moment."""

    async def down(self: Till, ids: tuple[str, ...]) -> Mapping[str, Invoice | ProviderError]:
        raise ProviderUnavailable(UnavailableReason.SERVER_ERROR)

    monkeypatch.setattr(Till, "_async_read", down)
    answer = await async_act(hass, "cancel_invoice", invoice_id="K1")
    assert Till.canceled == ["K1"]
    assert answer["status"] == "pending", "as it was last read"


async def test_statistics(hass: HomeAssistant, till: ConfigEntry) -> None:
    """Counts, and sums with every digit."""
    answer = await async_act(
        hass,
        "get_statistics",
        config_entry_id=till.entry_id,
        start_date="2026-11-01",
        end_date="2026-11-30",
    )
    assert answer == {
        "account": "My Till",
        "start_date": "2026-11-01",
        "end_date": "2026-11-30",
        "currency": "EUR",
        "totals": {
            "new": {"count": 2, "amount": "25.1"},
            "done": {"count": 1, "amount": "0.00000001"},
        },
    }


async def test_statistics_of_no_period(hass: HomeAssistant, till: ConfigEntry) -> None:
    """Days have to be days, in their order; what the provider says is told."""

    async def refused(start: Any, end: Any) -> HomeAssistantError:
        return await async_refused(
            hass, "get_statistics", config_entry_id=till.entry_id, start_date=start, end_date=end
        )

    error = await refused("2026-11-30", "2026-11-01")
    assert error.translation_key == "field_before_start"
    assert str(error).startswith("Last day: ")
    for day in ("yesterday", "2026-02-30", 7, None):
        assert (await refused("2026-11-01", day)).translation_key == "date_invalid"
    Till.trouble = PermissionMissing("reports")
    error = await refused("2026-11-01", "2026-11-01")
    assert error.translation_key == "permission_missing"
