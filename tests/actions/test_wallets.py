"""Static wallets, over HTTP: created by an action, and each deposit announced once."""

from base64 import b64decode
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from aiohttp import ClientSession
from aiohttp.test_utils import TestClient
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.crypto_invoices.book.database import StorageError
from custom_components.crypto_invoices.book.writer import Writer
from sandbox.faults import Fault
from tests.conftest import (
    AddAccount,
    Runs,
    SandboxServer,
    account_state,
    async_act,
    async_later,
    async_refused,
    async_settle,
    async_setup_views,
    pass_time,
)

PROVIDER = "cryptocloud"

type Deposit = Callable[..., Awaitable[list[int]]]


@pytest.fixture
async def client(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator
) -> TestClient[Any, Any]:
    """Return a client of Home Assistant's web server."""
    await async_setup_views(hass)
    return await hass_client_no_auth()


@pytest.fixture
async def account(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    client: TestClient[Any, Any],
    add_account: AddAccount,
) -> ConfigEntry:
    """Set up an account that the sandbox posts to."""
    sandbox.with_postback_secret = True
    shop = sandbox.sandbox.providers[PROVIDER].invoicing_credentials
    entry = await add_account(PROVIDER, **shop)
    url = client.make_url(f"/api/webhook/{entry.data['webhook_id']}")
    sandbox.sandbox.postbacks.target(PROVIDER, str(url))
    return entry


async def create(
    hass: HomeAssistant, entry: ConfigEntry, identify: str = "Box 1"
) -> dict[str, Any]:
    """Create a wallet."""
    return await async_act(
        hass,
        "create_static_wallet",
        config_entry_id=entry.entry_id,
        currency="usdt_trc20",
        identify=identify,
    )


@pytest.fixture
def deposit(hass: HomeAssistant, sandbox: SandboxServer) -> Deposit:
    """Return a way to pay to a wallet; it returns how each postback was answered."""

    async def pay(**asked: Any) -> list[int]:
        url = f"{sandbox.url}/_sandbox/deposits/{PROVIDER}"
        async with ClientSession() as session, session.post(url, json=asked) as answer:
            assert answer.status == 200, await answer.text()
            told = await answer.json()
        await async_settle(hass)
        return [delivery["status"] for delivery in told["deliveries"]]

    return pay


def asked_at(account: ConfigEntry) -> dict[str, str]:
    """Return what a wallet is asked for with."""
    return {
        "config_entry_id": account.entry_id,
        "currency": "USDT_TRC20",
        "identify": "Box 1",
    }


async def test_create(hass: HomeAssistant, account: ConfigEntry) -> None:
    """The answer says where to pay to, also as a picture."""
    wallet = await create(hass, account)
    picture = b64decode(wallet.pop("qr_code").removeprefix("data:image/png;base64,"))
    assert picture.startswith(b"\x89PNG")
    assert wallet.pop("address").startswith("T")
    assert len(wallet.pop("wallet_id")) == 32
    assert wallet == {
        "account": account.title,
        "config_entry_id": account.entry_id,
        "currency": "USDT",
        "network": "TRC20",
        "identify": "Box 1",
    }


@pytest.mark.parametrize("form", ["json", "form"])
async def test_deposits(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    account: ConfigEntry,
    deposit: Deposit,
    runs: Runs,
    form: str,
) -> None:
    """Each is announced once with its own amount, however often it is posted, and never polled."""
    address = (await create(hass, account))["address"]
    first, second = "INV-DEPOSIT1", "INV-DEPOSIT2"
    asked = sandbox.requests(PROVIDER)
    for id_, amount in ((first, "5"), (second, "0.25")):
        answers = await deposit(
            address=address, amount=amount, invoice_id=id_, times=3, format=form
        )
        assert answers == [200, 200, 200]
    assert [(run["invoice"], run["status"], float(run["amount"])) for run in runs] == [
        (first, "paid", 5.0),
        (second, "paid", 0.25),
    ]
    assert Decimal(account_state(hass, account, "received_USDT").state) == Decimal("5.25")
    pass_time(hass, 12 * 3600)
    await async_settle(hass)
    assert await hass.config_entries.async_reload(account.entry_id)
    await async_settle(hass)
    assert await deposit(address=address, amount="5", invoice_id=first, format=form) == [200]
    pass_time(hass, 12 * 3600)
    await async_settle(hass)
    assert len(runs) == 2
    assert sandbox.requests(PROVIDER) == asked


async def test_written_before_it_is_confirmed(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    account: ConfigEntry,
    deposit: Deposit,
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What can't be written isn't confirmed, so that it is posted again, and then announced."""
    address = (await create(hass, account))["address"]

    async def fail(self: Writer, *args: Any) -> Any:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "async_ask_then", fail)
        assert await deposit(address=address, invoice_id="INV-DEPOSIT1") == [503]
        assert not runs
    assert await deposit(address=address, invoice_id="INV-DEPOSIT1") == [200]
    assert [run["invoice"] for run in runs] == ["INV-DEPOSIT1"]


@pytest.mark.parametrize(
    "signature", ["wrong_secret", "expired", "none_algorithm", "other_algorithm", "missing"]
)
async def test_forged(
    hass: HomeAssistant, account: ConfigEntry, deposit: Deposit, runs: Runs, signature: str
) -> None:
    """What the secret key didn't sign is nothing."""
    address = (await create(hass, account))["address"]
    assert await deposit(address=address, signature=signature) == [401]
    await async_later(hass)
    assert not runs
    assert not account.runtime_data.book.records


async def test_wallet_of_somebody_else(
    hass: HomeAssistant, account: ConfigEntry, deposit: Deposit, sandbox: SandboxServer, runs: Runs
) -> None:
    """A signed postback about what is no deposit of ours is a hint, as ever."""
    url = f"{sandbox.url}/v2/invoice/static/create"
    asked = {"shop_id": "sandbox-shop", "currency": "USDT_TRC20", "identify": "Elsewhere"}
    headers = {"Authorization": "Token sandbox-cryptocloud-key"}
    async with ClientSession() as session, session.post(url, json=asked, headers=headers) as answer:
        address = (await answer.json())["result"]["address"]
    assert await deposit(address=address) == [200]
    assert not runs


async def test_created_again(
    hass: HomeAssistant, account: ConfigEntry, deposit: Deposit, runs: Runs
) -> None:
    """A wallet is created again under its reference, and goes on being announced."""
    for _ in range(2):
        address = (await create(hass, account))["address"]
    assert await deposit(address=address) == [200]
    assert len(runs) == 1


@pytest.mark.parametrize(
    ("changes", "key", "details"),
    [
        ({"identify": "  "}, "field_empty", {"field": "Reference"}),
        ({"identify": "a\nb"}, "field_unprintable", {"field": "Reference"}),
        ({"identify": "x" * 300}, "field_too_long", {"limit": "255"}),
        ({"currency": "a coin"}, "field_unknown", {"field": "Coin"}),
        ({"currency": "DOGE"}, "rejected", {}),
    ],
)
async def test_bad_input(
    hass: HomeAssistant,
    account: ConfigEntry,
    changes: dict[str, str],
    key: str,
    details: dict[str, str],
) -> None:
    """What can't be is said at its field."""
    asked = {"currency": "USDT_TRC20", "identify": "Box 1", **changes}
    error = await async_refused(
        hass, "create_static_wallet", config_entry_id=account.entry_id, **asked
    )
    assert error.translation_key == key
    assert details.items() <= (error.translation_placeholders or {}).items()


@pytest.mark.parametrize(
    ("missing", "label"), [("postback_secret", "Secret key"), ("shop_id", "Shop ID")]
)
async def test_setting_missing(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, missing: str, label: str
) -> None:
    """Without the key that signs, or the shop, the action says what to enter, and asks nobody."""
    provider = sandbox.sandbox.providers[PROVIDER]
    given = {**provider.push_credentials, **provider.invoicing_credentials}
    del given[missing]
    entry = await add_account(PROVIDER, **given)
    error = await async_refused(hass, "create_static_wallet", **asked_at(entry))
    assert error.translation_key == "setting_needed"
    assert (error.translation_placeholders or {})["setting"] == label
    assert not sandbox.sandbox.requests[PROVIDER, "wallet"]


async def test_provider_without_wallets(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Where there are none, the action says so."""
    entry = await add_account("btcpay")
    error = await async_refused(hass, "create_static_wallet", **asked_at(entry))
    assert error.translation_key == "no_static_wallets"


async def test_trouble(
    hass: HomeAssistant, account: ConfigEntry, sandbox: SandboxServer, deposit: Deposit, runs: Runs
) -> None:
    """A wallet that was created though no answer came has its deposits announced, too."""
    sandbox.switch(PROVIDER, Fault.CUT_CONNECTION, count=1)
    error = await async_refused(hass, "create_static_wallet", **asked_at(account))
    assert error.translation_key == "cannot_connect"
    [address] = sandbox.wallets
    assert await deposit(address=address) == [200]
    assert len(runs) == 1


async def test_disk_is_full(
    hass: HomeAssistant,
    account: ConfigEntry,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reference that can't be kept makes no wallet."""

    async def fail(self: Writer) -> bool:
        return False

    monkeypatch.setattr(Writer, "async_commit", fail)
    error = await async_refused(hass, "create_static_wallet", **asked_at(account))
    assert error.translation_key == "wallet_not_kept"
    assert not sandbox.sandbox.requests[PROVIDER, "wallet"]
