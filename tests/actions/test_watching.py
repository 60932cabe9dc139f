"""Actions on what is watched: track, untrack, get, refresh; and what all actions share."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from homeassistant.core import HomeAssistant, Service, SupportsResponse
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
import pytest
import voluptuous as vol
import yaml

from custom_components.crypto_invoices.const import DOMAIN
from sandbox.faults import Fault
from tests.conftest import (
    BATCHED,
    ENGLISH,
    ICONS,
    PACKAGE,
    AddAccount,
    Runs,
    SandboxServer,
    account_state,
    async_act,
    async_later,
    async_refused,
    async_settle,
    device_id,
    each_provider,
    find_entity,
    state_of,
    struck,
    watched,
)

SERVICES = yaml.safe_load((PACKAGE / "services.yaml").read_text())


def markers(service: Service) -> list[Any]:
    """Return the fields of an action, as its schema marks them."""
    assert isinstance(service.schema, vol.Schema)
    return list(service.schema.schema)


async def test_actions_are_described(hass: HomeAssistant) -> None:
    """What is registered, described, named and drawn is the same, and all of it can answer."""
    assert await async_setup_component(hass, DOMAIN, {})
    registered = hass.services.async_services_for_domain(DOMAIN)
    texts = ENGLISH["services"]
    assert registered.keys() == SERVICES.keys() == texts.keys() == ICONS["services"].keys()
    for name, service in registered.items():
        assert service.supports_response is not SupportsResponse.NONE
        assert ICONS["services"][name].keys() == {"service"}
        assert texts[name]["name"]
        assert texts[name]["description"]
        fields = SERVICES[name]["fields"]
        assert list(fields) == [str(marker) for marker in markers(service)]
        assert fields.keys() == texts[name]["fields"].keys()
        for marker in markers(service):
            is_required = fields[str(marker)].get("required", False)
            assert is_required == (type(marker).__name__ == "Required"), (name, marker)
            assert texts[name]["fields"][str(marker)].keys() == {"name", "description"}


@each_provider
async def test_track(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """Invoices are looked up once, and are there when the action answers; nothing reloads."""
    entry = await add_account(provider, sandbox.store.create(provider).id)
    coordinator = entry.runtime_data.coordinator
    invoices = [sandbox.store.create(provider, order_id=f"No. {number}") for number in range(3)]
    sandbox.store.act(provider, invoices[1].id, "pay")
    before = sandbox.requests(provider)
    ids = [invoice.id for invoice in invoices]
    answer = await async_act(
        hass, "track_invoices", config_entry_id=entry.entry_id, invoice_ids=[*ids, ids[0]]
    )
    assert sandbox.requests(provider) - before == (1 if provider in BATCHED else 3)
    assert [row["invoice_id"] for row in answer["invoices"]] == ids
    assert [row["status"] for row in answer["invoices"]] == ["pending", "paid", "pending"]
    assert answer["already_tracked"] == []
    for row in answer["invoices"]:
        assert row["device_id"] == device_id(hass, entry, row["invoice_id"])
        assert row["config_entry_id"] == entry.entry_id
        for key, state in (("status", row["status"]),):
            shown = hass.states.get(row["entity_ids"][key])
            assert shown
            assert shown.state == state
    assert account_state(hass, entry, "open_invoices").state == "3"
    await async_settle(hass)
    assert entry.runtime_data.coordinator is coordinator

    sandbox.store.act(provider, ids[0], "pay")
    await async_later(hass)
    assert state_of(hass, entry, ids[0], "status").state == "paid"


async def test_track_announces_what_comes_after(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, runs: Runs
) -> None:
    """An invoice that was paid when it was added is not told, one that is paid later is, once."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    paid, later = (sandbox.store.create("cryptocloud") for _ in range(2))
    sandbox.store.act("cryptocloud", paid.id, "pay")
    await async_act(
        hass,
        "track_invoices",
        config_entry_id=entry.entry_id,
        invoice_ids=f"{paid.id}, {later.id.lower()}",
    )
    await async_later(hass)
    assert not runs
    sandbox.store.act("cryptocloud", later.id, "pay")
    await async_later(hass)
    await async_later(hass)
    assert [run["invoice"] for run in runs] == [later.id]


async def test_track_again(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """What is watched already stays as it is, costs no request, and the answer says so."""
    known, new = (sandbox.store.create("egates") for _ in range(2))
    entry = await add_account("egates", known.id)
    before = sandbox.requests("egates")
    answer = await async_act(
        hass,
        "track_invoices",
        config_entry_id=entry.entry_id,
        invoice_ids=[known.id, new.id],
    )
    assert sandbox.requests("egates") == before + 1
    assert {row["invoice_id"] for row in answer["invoices"]} == {known.id, new.id}
    assert answer["already_tracked"] == [known.id]
    assert len(watched(entry)) == 2


async def test_track_bad_ids(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """If one of them is refused, none is added, and the error says which and why."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    good = sandbox.store.create("cryptocloud").id
    account = {"config_entry_id": entry.entry_id}
    for ids, key, quoted in (
        (["  ", ""], "nothing_chosen", ""),
        ([good, "INV-00000000"], "ids_not_found_or_withdrawal", "INV-00000000"),
        ([good, "x" * 10_000], "ids_malformed", "x" * 80 + "…"),
        ([good, "no", "INV-00000000"], "ids_malformed", "no"),
    ):
        error = await async_refused(hass, "track_invoices", **account, invoice_ids=ids)
        assert isinstance(error, ServiceValidationError)
        assert error.translation_key == key
        assert quoted in str(error)
        assert "x" * 100 not in str(error)
    assert len(watched(entry)) == 1


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        (Fault.UNAUTHORIZED, "invalid_auth"),
        (Fault.RATE_LIMITED, "rate_limited"),
        (Fault.SERVER_ERROR, "server_error"),
        (Fault.TIMEOUT, "timeout"),
        (Fault.HTML, "ids_unreadable"),
    ],
)
async def test_track_in_trouble(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    fault: Fault,
    key: str,
) -> None:
    """What the provider has to say is told, and adds nothing; nobody is asked for a new key."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    new = sandbox.store.create("cryptocloud").id
    with struck(sandbox, "cryptocloud", fault):
        error = await async_refused(
            hass, "track_invoices", config_entry_id=entry.entry_id, invoice_ids=new
        )
    assert error.translation_key == key
    assert len(watched(entry)) == 1
    await async_settle(hass)
    assert not hass.config_entries.flow.async_progress()


async def test_untrack(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Invoices go with their devices and entities, chosen by device or by ID."""
    kept, by_device, by_id = (sandbox.store.create("egates").id for _ in range(3))
    entry = await add_account("egates", kept, by_device, by_id)
    answer = await async_act(
        hass,
        "untrack_invoices",
        device_id=[device_id(hass, entry, by_device)],
        invoice_ids=[by_id, by_device, by_id.upper()],
    )
    assert [row["invoice_id"] for row in answer["invoices"]] == [by_device, by_id]
    assert watched(entry) == [kept]
    for gone in (by_device, by_id):
        assert find_entity(hass, entry, gone, "status") is None
    await async_later(hass, 1)
    assert account_state(hass, entry, "open_invoices").state == "1"
    before = sandbox.requests("egates")
    await async_later(hass)
    assert sandbox.requests("egates") == before + 1


async def test_track_what_was_untracked(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, runs: Runs
) -> None:
    """An invoice that comes back at once starts anew, and is announced when it is paid."""
    invoice = sandbox.store.create("egates").id
    entry = await add_account("egates", invoice)
    await async_act(hass, "untrack_invoices", invoice_ids=invoice)
    await async_act(hass, "track_invoices", config_entry_id=entry.entry_id, invoice_ids=invoice)
    await async_later(hass, 1)
    assert state_of(hass, entry, invoice, "status").state == "pending"
    sandbox.store.act("egates", invoice, "pay")
    await async_later(hass)
    assert [run["invoice"] for run in runs] == [invoice]


async def test_untrack_what_is_not_watched(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """If one of them is wrong, none is removed."""
    invoice = sandbox.store.create("cryptocloud").id
    entry = await add_account("cryptocloud", invoice)
    sandbox.store.create("cryptocloud_v1", invoice_id=invoice)
    other = await add_account("cryptocloud_v1", invoice)
    stranger = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={("other", "thing")}, name="Thing"
    )
    ours = device_id(hass, entry, invoice)
    for chosen, key in (
        ({}, "nothing_chosen"),
        ({"device_id": [ours], "invoice_ids": ["INV-00000000"]}, "not_tracked"),
        ({"device_id": [ours], "invoice_ids": ["x" * 10_000]}, "not_tracked"),
        ({"device_id": [ours], "invoice_ids": [invoice]}, "tracked_by_several"),
        ({"device_id": [ours, device_id(hass, entry)]}, "not_an_invoice"),
        ({"device_id": [ours, stranger.id]}, "not_an_invoice"),
        ({"device_id": [ours, "gone"]}, "service_device_not_found"),
    ):
        error = await async_refused(hass, "untrack_invoices", **chosen)
        assert isinstance(error, ServiceValidationError)
        assert error.translation_key == key
    assert len(watched(entry)) == len(watched(other)) == 1


async def test_get_invoices(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Invoices are told as they were last read, exactly, without a request."""
    pending = sandbox.store.create(
        "cryptocloud", amount=Decimal("25.10"), currency="USD", order_id="A 1"
    )
    paid = sandbox.store.create(
        "cryptocloud", amount=Decimal("0.3"), currency="USD", order_id="A 2"
    )
    lost = sandbox.store.create("cryptocloud")
    sandbox.store.act("cryptocloud", paid.id, "pay")
    entry = await add_account("cryptocloud", pending.id, paid.id, lost.id)
    other = await add_account("egates", sandbox.store.create("egates", order_id="A 1").id)
    sandbox.store.act("cryptocloud", lost.id, "delete")
    await async_later(hass)
    before = sandbox.requests("cryptocloud")

    async def ids(**only: Any) -> list[str]:
        answer = await async_act(hass, "get_invoices", **only)
        return [row["invoice_id"] for row in answer["invoices"]]

    account = {"config_entry_id": entry.entry_id}
    assert len(await ids()) == 4
    assert await ids(**account) == [pending.id, paid.id, lost.id]
    assert await ids(**account, status="paid") == [paid.id]
    assert await ids(**account, status=["paid", "pending"]) == [pending.id, paid.id]
    assert await ids(**account, order_id="A 1") == [pending.id]
    assert len(await ids(order_id="A 1")) == 2
    assert await ids(status=["refunded"]) == []
    assert await ids(config_entry_id=other.entry_id, status="paid") == []

    first, _, unread = (await async_act(hass, "get_invoices", **account))["invoices"]
    assert first["account"] == entry.title
    assert (first["amount"], first["currency"]) == ("25.1", "USD")
    assert first["amount_received"] == "0"
    assert first["expires_at"].endswith("+00:00")
    assert first["payment_url"].startswith(("http://", "https://"))
    assert first["problem"] is None
    assert (unread["status"], unread["amount"]) == (None, None)
    assert unread["problem"] == "invoice_not_found"
    assert unread.keys() == first.keys()
    assert sandbox.requests("cryptocloud") == before

    error = await async_refused(hass, "get_invoices", status=["paid", "settled"])
    assert error.translation_key == "status_invalid"
    assert "settled" in str(error)


async def test_get_invoices_of_what_is_loaded(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """An account that isn't loaded is left out, unless it was asked for."""
    loaded, unloaded = [
        await add_account(provider, sandbox.store.create(provider).id)
        for provider in ("egates", "cryptocloud")
    ]
    assert await hass.config_entries.async_unload(unloaded.entry_id)
    answer = await async_act(hass, "get_invoices")
    assert {row["config_entry_id"] for row in answer["invoices"]} == {loaded.entry_id}


async def test_account_not_loaded(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Every action says so, whichever way the account is named."""
    invoice = sandbox.store.create("cryptocloud").id
    entry = await add_account("cryptocloud", invoice)
    device = device_id(hass, entry, invoice)
    assert await hass.config_entries.async_unload(entry.entry_id)
    given: dict[str, Any] = {
        "config_entry_id": entry.entry_id,
        "device_id": device,
        "invoice_id": invoice,
        "invoice_ids": [invoice],
    }
    for name, service in hass.services.async_services_for_domain(DOMAIN).items():
        fields = {str(marker) for marker in markers(service)}
        ways: list[Mapping[str, Any]] = [
            {key: value for key, value in given.items() if key in fields}
        ]
        if "config_entry_id" not in fields:
            ways = [{key: value} for key, value in ways[0].items()]
        for way in ways:
            error = await async_refused(hass, name, **{**FILLED.get(name, {}), **way})
            assert isinstance(error, ServiceValidationError)
            assert error.translation_key == "service_config_entry_not_loaded", (name, way)


# What the actions need beside their account.
FILLED: dict[str, dict[str, Any]] = {
    "create_invoice": {"amount": 1, "currency": "USD"},
    "create_static_wallet": {"currency": "USDT_TRC20", "identify": "till"},
    "get_statistics": {"start_date": "2026-11-01", "end_date": "2026-11-30"},
}


async def test_no_such_account(hass: HomeAssistant) -> None:
    """An account that was removed, or is another integration's, is refused."""
    assert await async_setup_component(hass, DOMAIN, {})
    error = await async_refused(hass, "refresh", config_entry_id="gone")
    assert error.translation_key == "service_config_entry_not_found"


@each_provider
async def test_refresh(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, provider: str
) -> None:
    """What is open is read at once, and the action answers with what was found."""
    done, was_open, still_open = (sandbox.store.create(provider).id for _ in range(3))
    sandbox.store.act(provider, done, "pay")
    entry = await add_account(provider, done, was_open, still_open)
    sandbox.store.act(provider, was_open, "pay")
    before = sandbox.requests(provider)
    answer = await async_act(hass, "refresh", config_entry_id=entry.entry_id)
    assert {row["invoice_id"]: row["status"] for row in answer["invoices"]} == {
        was_open: "paid",
        still_open: "pending",
    }
    assert state_of(hass, entry, was_open, "status").state == "paid"
    assert sandbox.requests(provider) - before == (1 if provider in BATCHED else 2)


async def test_refresh_nothing(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Where nothing is open, nothing is asked for."""
    done = sandbox.store.create("egates").id
    sandbox.store.act("egates", done, "pay")
    entry = await add_account("egates", done)
    before = sandbox.requests("egates")
    answer = await async_act(hass, "refresh", config_entry_id=entry.entry_id)
    assert answer == {"invoices": []}
    assert sandbox.requests("egates") == before


async def test_refresh_in_trouble(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """A provider that doesn't answer, or wants to be left alone, makes the action fail."""
    entry = await add_account("egates", sandbox.store.create("egates").id)
    account = {"config_entry_id": entry.entry_id}
    with struck(sandbox, "egates", Fault.SERVER_ERROR):
        error = await async_refused(hass, "refresh", **account)
        assert error.translation_key == "not_refreshed"
        assert not isinstance(error, ServiceValidationError)
        await async_later(hass)
        before = sandbox.requests("egates")
        assert await async_refused(hass, "refresh", **account)
        assert sandbox.requests("egates") == before
    await async_later(hass)
    assert await async_act(hass, "refresh", **account)


async def test_refresh_takes_long(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reading that takes longer than anybody waits for goes on by itself."""
    entry = await add_account("egates", sandbox.store.create("egates").id)
    monkeypatch.setattr("custom_components.crypto_invoices.actions.common.READING_TIMEOUT", 0)
    error = await async_refused(hass, "refresh", config_entry_id=entry.entry_id)
    assert error.translation_key == "reading_takes_long"
    before = sandbox.requests("egates")
    await async_settle(hass)
    assert sandbox.requests("egates") == before + 1


async def test_unloaded_while_looked_up(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An account that is unloaded while invoices are looked up tracks none of them."""
    entry = await add_account("egates", sandbox.store.create("egates").id)
    provider = entry.runtime_data.provider
    get_invoices = provider.async_get_invoices

    async def unload_then_get(ids: Any) -> Any:
        found = await get_invoices(ids)
        await hass.config_entries.async_unload(entry.entry_id)
        return found

    monkeypatch.setattr(provider, "async_get_invoices", unload_then_get)
    error = await async_refused(
        hass,
        "track_invoices",
        config_entry_id=entry.entry_id,
        invoice_ids=sandbox.store.create("egates").id,
    )
    assert error.translation_key == "service_config_entry_not_loaded"
    await hass.config_entries.async_setup(entry.entry_id)
    assert len(watched(entry)) == 1


async def test_track_many(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Two hundred at once cost two requests, and are all there."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    ids = [sandbox.store.create("cryptocloud").id for _ in range(200)]
    before = sandbox.requests("cryptocloud")
    answer = await async_act(
        hass, "track_invoices", config_entry_id=entry.entry_id, invoice_ids=ids
    )
    assert sandbox.requests("cryptocloud") == before + 2
    assert all(row["entity_ids"]["status"] for row in answer["invoices"])
    assert account_state(hass, entry, "open_invoices").state == "201"
