"""What the cards are sent over the websocket: all of it once, then what changes, to who may see it."""

from base64 import b64decode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from unittest.mock import patch

from homeassistant.auth.models import Group, User
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from PIL import Image
import pytest
from pytest_homeassistant_custom_component.common import MockUser
from pytest_homeassistant_custom_component.typing import (
    MockHAClientWebSocket,
    WebSocketGenerator,
)
import zxingcpp

from custom_components.crypto_invoices.const import CONF_TO_FULFILL, DOMAIN
from sandbox.faults import Fault
from tests.conftest import (
    AddAccount,
    SandboxServer,
    async_act,
    async_add_invoices,
    async_delete_device,
    async_later,
    async_settle,
    find_entity,
    struck,
)


@dataclass
class Card:
    """A card: what it knows from what it was sent."""

    hass: HomeAssistant
    client: MockHAClientWebSocket
    id: int
    accounts: list[dict[str, Any]] = field(default_factory=list)
    invoices: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    is_complete: bool = False
    rows_sent: int = 0
    longest: int = 0

    async def async_hear(self) -> None:
        """Take in all that was sent until now."""
        await async_settle(self.hass)
        await self.client.send_json_auto_id({"type": "ping"})
        await self._async_hear_until("pong")

    async def async_act(self, action: str, **data: Any) -> dict[str, Any]:
        """Run one of our actions, and return what is answered."""
        await self.client.send_json_auto_id(
            {
                "type": "call_service",
                "domain": DOMAIN,
                "service": action,
                "service_data": data,
                "return_response": True,
            }
        )
        return await self._async_hear_until("result")

    async def _async_hear_until(self, kind: str) -> dict[str, Any]:
        """Take in what is sent until an answer comes, and return that."""
        while True:
            message: dict[str, Any] = await self.client.receive_json()
            if message["type"] == kind:
                return message
            assert message["id"] == self.id
            self._take(message["event"])

    def _take(self, event: dict[str, Any]) -> None:
        self.accounts = event.get("accounts", self.accounts)
        self.is_complete |= event.get("is_complete", False)
        rows = event.get("invoices", [])
        self.rows_sent += len(rows)
        self.longest = max(self.longest, len(rows))
        self.invoices |= {(row["account"], row["id"]): row for row in rows}
        for account, id_ in event.get("gone", []):
            del self.invoices[account, id_]

    @property
    def statuses(self) -> dict[str, str]:
        """The statuses by invoice ID."""
        return {id_: row["status"] for (_, id_), row in self.invoices.items()}


type Open = Callable[..., Awaitable[Card]]


@pytest.fixture
async def open_card(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> Open:
    """Return a way to open a card, as a user with a token."""

    async def open_(token: str | None = None, **wanted: str) -> Card:
        client = await (hass_ws_client(hass, token) if token else hass_ws_client(hass))
        await client.send_json_auto_id({"type": f"{DOMAIN}/subscribe", **wanted})
        answer = await client.receive_json()
        assert answer["success"], answer
        card = Card(hass, client, answer["id"])
        await card.async_hear()
        assert card.is_complete
        return card

    return open_


type Token = Callable[[dict[str, Any]], Awaitable[str]]


@pytest.fixture
async def token_for(hass: HomeAssistant) -> Token:
    """Return a way to log a user in who may do nothing but what a policy says."""

    async def make(policy: dict[str, Any]) -> str:
        user: User = MockUser(groups=[Group(name="Some", policy=policy)]).add_to_hass(hass)
        refresh = await hass.auth.async_create_refresh_token(user, "https://example.com/app")
        return hass.auth.async_create_access_token(refresh)

    return make


async def test_all_then_changes(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, open_card: Open
) -> None:
    """A card gets every invoice once, and then only the one that changed."""
    first, second = (
        sandbox.store.create("cryptocloud", order_id=f"Table {number}") for number in (1, 2)
    )
    entry = await add_account("cryptocloud", first.id, second.id)
    card = await open_card()
    assert [account["title"] for account in card.accounts] == [entry.title]
    assert card.accounts[0] | {"can_create": True, "can_untrack": True} == card.accounts[0]
    assert card.statuses == {first.id: "pending", second.id: "pending"}
    row = card.invoices[entry.entry_id, first.id]
    assert row["name"] == "Table 1"
    assert row["amount"] == row["missing_amount"]
    assert row["code"]
    assert card.rows_sent == 2
    sandbox.store.act("cryptocloud", second.id, "pay")
    await async_later(hass)
    await card.async_hear()
    assert card.statuses == {first.id: "pending", second.id: "paid"}
    row = card.invoices[entry.entry_id, second.id]
    assert "code" not in row
    assert row["brought_amount"]
    assert card.rows_sent == 3


async def test_invoices_are_called_as_their_devices(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, open_card: Open
) -> None:
    """Two that would be called the same are told apart, and a hash is no name."""
    made = [sandbox.store.create("lnbits", order_id=None) for _ in range(2)]
    entry = await add_account("lnbits", *(one.id for one in made))
    card = await open_card()
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    names = {row["name"] for row in card.invoices.values()}
    assert len(names) == 2
    assert names <= {device.name for device in devices}
    assert all(len(name) < 32 for name in names)


@pytest.mark.parametrize(
    ("provider", "takes"), [("btcpay", True), ("cryptocloud", False)], ids=["yes", "no"]
)
async def test_description(
    sandbox: SandboxServer, add_account: AddAccount, open_card: Open, provider: str, *, takes: bool
) -> None:
    """A till is told whether the provider has a use for what was bought."""
    await add_account(provider, sandbox.store.create(provider).id)
    card = await open_card()
    assert [account["takes_description"] for account in card.accounts] == [takes]


async def test_added_and_removed(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, open_card: Open
) -> None:
    """An invoice comes when it is watched, and goes when it isn't any more."""
    first, second = (sandbox.store.create("btcpay") for _ in range(2))
    entry = await add_account("btcpay", first.id)
    card = await open_card(config_entry_id=entry.entry_id)
    await async_add_invoices(hass, entry, [second.id])
    await card.async_hear()
    assert card.statuses.keys() == {first.id, second.id}
    await async_delete_device(hass, entry, first.id)
    await card.async_hear()
    assert card.statuses.keys() == {second.id}


async def test_one_order(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, open_card: Open
) -> None:
    """A till hears of its own order alone, from before the invoice is there."""
    asking = sandbox.sandbox.providers["cryptocloud"].invoicing_credentials
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id, **asking)
    mine = await open_card(config_entry_id=entry.entry_id, order_id="Till 1")
    other = await open_card(config_entry_id=entry.entry_id, order_id="Till 2")
    assert not mine.invoices
    asked = {"config_entry_id": entry.entry_id, "amount": "4.25", "currency": "USD"}
    made = await async_act(hass, "create_invoice", **asked, order_id="Till 1")
    await mine.async_hear()
    await other.async_hear()
    assert mine.statuses == {made["invoice_id"]: "pending"}
    assert not other.invoices


async def test_reload_outage_and_removal(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, open_card: Open
) -> None:
    """A card outlives a reload, hears of an outage, and that an account is removed."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    card = await open_card()
    with struck(sandbox, "cryptocloud", Fault.SERVER_ERROR):
        await async_later(hass)
        await card.async_hear()
        assert [account["is_available"] for account in card.accounts] == [False]
    await async_later(hass)
    await card.async_hear()
    assert [account["is_available"] for account in card.accounts] == [True]
    assert await hass.config_entries.async_unload(entry.entry_id)
    await card.async_hear()
    assert [account["is_loaded"] for account in card.accounts] == [False]
    assert card.statuses.keys() == {invoice.id}
    assert await hass.config_entries.async_setup(entry.entry_id)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    await card.async_hear()
    assert card.statuses == {invoice.id: "paid"}
    await hass.config_entries.async_remove(entry.entry_id)
    await card.async_hear()
    assert not card.accounts
    assert not card.invoices


async def test_deleted_at_the_provider(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, open_card: Open
) -> None:
    """A card is told why an invoice can't be read, with what is known of it."""
    invoice = sandbox.store.create("btcpay")
    entry = await add_account("btcpay", invoice.id)
    card = await open_card()
    assert "problem" not in card.invoices[entry.entry_id, invoice.id]
    sandbox.store.act("btcpay", invoice.id, "delete")
    await async_later(hass)
    await card.async_hear()
    row = card.invoices[entry.entry_id, invoice.id]
    assert (row["status"], row["problem"]) == ("pending", "invoice_not_found")
    assert "code" not in row


async def test_permissions(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    open_card: Open,
    token_for: Token,
) -> None:
    """Who may see an account is sent it, who may not hears nothing of it, not even that it is."""
    shown = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    hidden = await add_account("btcpay", sandbox.store.create("btcpay").id)
    entity_id = find_entity(hass, shown, "open_invoices")
    policy = {"entities": {"entity_ids": {entity_id: {"read": True}}}}
    token = await token_for(policy)
    card = await open_card(token)
    [account] = card.accounts
    assert account["title"] == shown.title
    assert not any(account[right] for right in ("can_create", "can_cancel", "can_untrack"))
    assert {entry_id for entry_id, _ in card.invoices} == {shown.entry_id}
    for entry_id in (hidden.entry_id, "gone"):
        other = await open_card(token, config_entry_id=entry_id)
        assert not other.accounts
        assert not other.invoices
    client = card.client
    [invoice_id] = hidden.runtime_data.book.records
    await client.send_json_auto_id(
        {
            "type": f"{DOMAIN}/qr_code",
            "config_entry_id": hidden.entry_id,
            "invoice_id": invoice_id,
        }
    )
    assert (await client.receive_json())["error"]["code"] == "not_found"
    await client.send_json_auto_id({"type": f"{DOMAIN}/accounts"})
    assert (await client.receive_json())["result"]["accounts"] == card.accounts


async def test_owed(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, open_card: Open
) -> None:
    """A card hears what is to be fulfilled, and when it is: of that row alone."""
    ids = [sandbox.store.create("cryptocloud").id for _ in range(3)]
    entry = await add_account("cryptocloud", *ids)
    card = await open_card()

    def owed() -> set[str]:
        return {id_ for (_, id_), row in card.invoices.items() if row.get("is_owed")}

    assert [account["to_fulfill"] for account in card.accounts] == [False]
    hass.config_entries.async_update_entry(entry, options={**entry.options, CONF_TO_FULFILL: True})
    await card.async_hear()
    assert [account["to_fulfill"] for account in card.accounts] == [True]
    for id_ in ids[:2]:
        sandbox.store.act("cryptocloud", id_, "pay")
    await async_later(hass)
    await card.async_hear()
    assert owed() == set(ids[:2])
    before = card.rows_sent
    await async_act(hass, "fulfill", invoice_id=ids[0])
    await card.async_hear()
    assert owed() == {ids[1]}
    assert card.rows_sent == before + 1
    hass.config_entries.async_update_entry(entry, options={**entry.options, CONF_TO_FULFILL: False})
    await card.async_hear()
    # What is open stays to be fulfilled.
    assert [account["to_fulfill"] for account in card.accounts] == [True]
    await async_act(hass, "fulfill", invoice_id=ids[1])
    await card.async_hear()
    assert not owed()
    assert [account["to_fulfill"] for account in card.accounts] == [False]


@pytest.mark.parametrize("may_control", [True, False], ids=["control", "read"])
async def test_owed_by_rights(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    open_card: Open,
    token_for: Token,
    *,
    may_control: bool,
) -> None:
    """Who may see an account sees what is owed; who may control it may fulfill it."""
    invoice, other = (sandbox.store.create(key) for key in ("cryptocloud", "btcpay"))
    entry = await add_account("cryptocloud", invoice.id)
    hidden = await add_account("btcpay", other.id)
    for each in (entry, hidden):
        hass.config_entries.async_update_entry(each, options={CONF_TO_FULFILL: True})
    for one in (invoice, other):
        sandbox.store.act(one.provider, one.id, "pay")
    await async_later(hass)
    rights = {"read": True} | ({"control": True} if may_control else {})
    entity_id = find_entity(hass, entry, "open_invoices")
    card = await open_card(await token_for({"entities": {"entity_ids": {entity_id: rights}}}))
    [account] = card.accounts
    assert account["can_fulfill"] is may_control
    [row] = card.invoices.values()
    assert (row["id"], row["is_owed"]) == (invoice.id, True)
    answer = await card.async_act("fulfill", invoice_id=invoice.id)
    assert answer["success"] is may_control
    await card.async_hear()
    [row] = card.invoices.values()
    assert ("is_owed" in row) is not may_control
    await hass.config_entries.async_unload(entry.entry_id)
    await card.async_hear()
    assert [account["can_fulfill"] for account in card.accounts] == [False]


async def test_disabled_account(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    open_card: Open,
    token_for: Token,
) -> None:
    """An account that is disabled, and its entities with it, isn't loaded: it is there."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    token = await token_for({"entities": True})
    card = await open_card(token)
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    await card.async_hear()
    for each in (card, await open_card(token)):
        [account] = each.accounts
        assert not account["is_loaded"]
        assert not account["can_create"]
    await hass.config_entries.async_set_disabled_by(entry.entry_id, None)
    await card.async_hear()
    assert [account["is_loaded"] for account in card.accounts] == [True]


async def test_many(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, open_card: Open
) -> None:
    """Hundreds of invoices come in slices, and a change of one is one row."""
    ids = [sandbox.store.create("cryptocloud").id for _ in range(300)]
    await add_account("cryptocloud", *ids)
    card = await open_card()
    assert len(card.invoices) == card.rows_sent == 300
    assert card.longest <= 100
    sandbox.store.act("cryptocloud", ids[150], "pay")
    await async_later(hass)
    await card.async_hear()
    assert card.rows_sent == 301
    assert card.statuses[ids[150]] == "paid"


async def test_at_rest(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, open_card: Open
) -> None:
    """What is over and has no device is on disk only, and shown all the same."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    card = await open_card()
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    coordinator = entry.runtime_data.coordinator
    record = coordinator.book.records[invoice.id]
    record.is_over, record.has_device = True, False
    coordinator.book.changed(record)
    await coordinator.book.async_commit()
    assert coordinator.book.rest()
    await coordinator.async_follow_book()
    await card.async_hear()
    assert invoice.id not in coordinator.data
    assert card.statuses == {invoice.id: "paid"}
    later = await open_card()
    assert later.statuses == {invoice.id: "paid"}


async def test_leaving(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, open_card: Open
) -> None:
    """A card that leaves leaves no listener behind."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    publisher = entry.runtime_data.coordinator.publisher
    before = len(publisher._change_listeners), len(publisher._watched_listeners)
    card = await open_card()
    assert len(publisher._change_listeners) == before[0] + 1
    await card.client.send_json_auto_id({"type": "unsubscribe_events", "subscription": card.id})
    assert (await card.client.receive_json())["success"]
    assert (len(publisher._change_listeners), len(publisher._watched_listeners)) == before


type Scan = Callable[[str, str], Awaitable[dict[str, Any]]]


@pytest.fixture
def scan(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> Scan:
    """Return a way to ask for a QR code."""

    async def ask(entry_id: str, invoice_id: str) -> dict[str, Any]:
        client = await hass_ws_client(hass)
        wanted = {"config_entry_id": entry_id, "invoice_id": invoice_id}
        await client.send_json_auto_id({"type": f"{DOMAIN}/qr_code", **wanted})
        answer: dict[str, Any] = await client.receive_json()
        return answer

    return ask


async def test_qr_code(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, scan: Scan
) -> None:
    """The picture says what there is to pay, and there is none once it is paid."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    found = (await scan(entry.entry_id, invoice.id))["result"]
    head, _, picture = found["image"].partition(",")
    assert head == "data:image/png;base64"
    with Image.open(BytesIO(b64decode(picture))) as image:
        [code] = zxingcpp.read_barcodes(image)
    assert code.text == found["text"]
    assert invoice.id.removeprefix("INV-") in code.text
    with patch.dict("sys.modules", segno=None):
        assert (await scan(entry.entry_id, invoice.id))["result"] == found | {"image": None}
    with struck(sandbox, "cryptocloud", Fault.SERVER_ERROR):
        await async_later(hass)
        assert (await scan(entry.entry_id, invoice.id))["error"]["code"] == "not_found"
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    for asked in (invoice.id, "INV-UNKNOWN"):
        assert (await scan(entry.entry_id, asked))["error"]["code"] == "not_found"
    await hass.config_entries.async_unload(entry.entry_id)
    assert (await scan(entry.entry_id, invoice.id))["error"]["code"] == "not_found"
