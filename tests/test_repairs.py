"""Repairs: what is wrong for long is said, can be fixed, and is taken back when it is cured."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, override

from aiohttp.test_utils import TestClient
from homeassistant.components.repairs import DOMAIN as REPAIRS_DOMAIN
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.crypto_invoices.book.loading import book_storage
from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.notifications.registration import INTERVAL
from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.model import (
    Account,
    AuthError,
    BadResponse,
    KeyCanSpend,
    ProviderError,
    ProviderUnavailable,
    UnavailableReason,
)
from custom_components.crypto_invoices.providers.push import Hint
from sandbox.faults import Fault

from .conftest import (
    ENGLISH,
    AddAccount,
    SandboxServer,
    async_delete_device,
    async_later,
    async_open_credentials,
    async_settle,
    async_setup_views,
    async_submit,
    each_provider,
    give_word,
    state_of,
    watched,
    watched_name,
)
from .shoe_box import ShoeBox, slip

HOUR = 3600

type Client = TestClient[Any, Any]


@pytest.fixture
async def client(hass: HomeAssistant, hass_client: ClientSessionGenerator) -> Client:
    """Return a client of Home Assistant's web server."""
    assert await async_setup_component(hass, REPAIRS_DOMAIN, {})
    await async_setup_views(hass)
    return await hass_client()


def issues(hass: HomeAssistant) -> dict[str, str]:
    """Return what a user reads in the list of issues: the key of each, and its text."""
    found = {}
    for issue in ir.async_get(hass).issues.values():
        if issue.domain == DOMAIN and issue.active:
            assert issue.translation_key
            texts = ENGLISH["issues"][issue.translation_key]
            text = f"{texts['title']} {texts.get('description', '')}"
            found[issue.translation_key] = text.format(**(issue.translation_placeholders or {}))
    return found


async def open_dialog(client: Client, entry: ConfigEntry, key: str) -> Mapping[str, Any]:
    """Open the dialog of an issue."""
    return await _post(client, "", {"handler": DOMAIN, "issue_id": f"{key}_{entry.entry_id}"})


async def submit(
    client: Client, form: Mapping[str, Any], answers: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Fill in the dialog of an issue."""
    return await _post(client, f"/{form['flow_id']}", answers)


async def _post(client: Client, path: str, sent: Mapping[str, Any]) -> Mapping[str, Any]:
    response = await client.post(f"/api/repairs/issues/fix{path}", json=dict(sent))
    found: Mapping[str, Any] = await response.json()
    assert response.status == 200, found
    return found


async def look_for(hass: HomeAssistant, hours: int) -> None:
    """Let so many hours pass, with a look at each invoice every quarter of the time."""
    for _ in range(4):
        await async_later(hass, hours * HOUR / 4)


@each_provider
async def test_invoices_gone(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    client: Client,
    add_account: AddAccount,
    provider: str,
) -> None:
    """Invoices that the provider hasn't known for a day can be let go of, all or some."""
    lasting = timedelta(days=30)
    here, back, kept_on, unwanted = (
        sandbox.store.create(provider, expires_in=lasting).id for _ in range(4)
    )
    entry = await add_account(provider, here, back, kept_on, unwanted)
    for id_ in (back, kept_on, unwanted):
        sandbox.store.act(provider, id_, "delete")
    await look_for(hass, 20)
    assert not issues(hass)
    await look_for(hass, 12)
    assert issues(hass).keys() == {"invoices_gone"}
    sandbox.store.create(provider, invoice_id=back)
    await async_later(hass)

    form = await open_dialog(client, entry, "invoices_gone")
    assert form["type"] == FlowResultType.FORM
    [field] = form["data_schema"]
    options = {
        option["label"]: option["value"] for option in field["selector"]["select"]["options"]
    }
    assert field["default"] == list(options.values())
    titles = {id_: watched_name(hass, entry, id_) for id_ in watched(entry)}
    assert options.keys() == {titles[kept_on], titles[unwanted]}
    chosen = {"invoices": [options[titles[unwanted]]]}
    done = await submit(client, form, chosen)
    assert done["type"] == FlowResultType.CREATE_ENTRY
    await async_later(hass)
    assert set(watched(entry)) == {here, back, kept_on}
    await look_for(hass, 20)
    assert not issues(hass), "what is kept is left alone for another day"
    await look_for(hass, 12)
    assert issues(hass).keys() == {"invoices_gone"}
    sandbox.store.create(provider, invoice_id=kept_on)
    await async_later(hass)
    assert not issues(hass)


async def test_gone_and_removed_by_hand(
    hass: HomeAssistant, sandbox: SandboxServer, client: Client, add_account: AddAccount
) -> None:
    """An issue goes with its invoices, and with its account."""
    ids = [sandbox.store.create("cryptocloud").id for _ in range(3)]
    entry = await add_account("cryptocloud", *ids)
    for id_ in ids[1:]:
        sandbox.store.act("cryptocloud", id_, "delete")
    await look_for(hass, 40)
    assert issues(hass)
    form = await open_dialog(client, entry, "invoices_gone")
    for id_ in ids[1:]:
        assert issues(hass)
        await async_delete_device(hass, entry, id_)
        await async_later(hass)
    assert not issues(hass)

    sandbox.store.act("cryptocloud", ids[0], "delete")
    await look_for(hass, 40)
    assert issues(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    assert not issues(hass)
    done = await submit(client, form, {"invoices": []})
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "not_loaded")


async def test_outage_is_no_loss(
    hass: HomeAssistant, sandbox: SandboxServer, client: Client, add_account: AddAccount
) -> None:
    """An invoice is not gone while nobody can ask for it."""
    invoice = sandbox.store.create("egates")
    await add_account("egates", invoice.id)
    sandbox.store.act("egates", invoice.id, "delete")
    await async_later(hass)
    sandbox.switch("egates", Fault.SERVER_ERROR)
    await look_for(hass, 40)
    sandbox.switch("egates", None)
    await async_later(hass)
    assert not issues(hass), "two looks are not enough"
    await async_later(hass)
    assert issues(hass).keys() == {"invoices_gone"}


@each_provider
async def test_unknown_status(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    client: Client,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
) -> None:
    """A word that nobody knows is to be reported, with where, until it is gone."""
    invoice, other = (sandbox.store.create(provider) for _ in range(2))
    entry = await add_account(provider, invoice.id, other.id)
    give_word(sandbox, monkeypatch, provider, invoice.id, "On hold")
    await async_later(hass)
    await async_later(hass)
    assert not issues(hass)
    await look_for(hass, 2)
    text = issues(hass)["unknown_status"]
    assert "Number of invoices: 1" in text
    assert "**On hold**" in text
    assert invoice.id not in text
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"unknown_status_{entry.entry_id}")
    assert issue
    assert str(issue.learn_more_url).endswith("/issues")
    assert not issue.is_fixable
    give_word(sandbox, monkeypatch, provider, invoice.id, "bc1qsomebodysaddress")
    await async_later(hass)
    assert "**(not a word)**" in issues(hass)["unknown_status"]
    give_word(
        sandbox,
        monkeypatch,
        provider,
        invoice.id,
        sandbox.sandbox.providers[provider].words[other.state],
    )
    await async_later(hass)
    assert not issues(hass)


@each_provider
@pytest.mark.parametrize(
    ("fault", "where"),
    [
        (Fault.HTML, "**the answer is a web page**"),
        (Fault.TRUNCATED, "**the answer is not JSON**"),
    ],
)
async def test_unreadable_answer(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    client: Client,
    add_account: AddAccount,
    *,
    provider: str,
    fault: Fault,
    where: str,
) -> None:
    """An answer that the contract doesn't know is to be reported, by where it is odd."""
    ids = [sandbox.store.create(provider).id for _ in range(2)]
    await add_account(provider, *ids)
    sandbox.switch(provider, fault)
    await async_later(hass)
    await async_later(hass)
    assert not issues(hass)
    await look_for(hass, 3)
    text = issues(hass)["unreadable_answer"]
    assert "Number of invoices: 2" in text
    assert where in text
    sandbox.switch(provider, None)
    await async_later(hass)
    assert not issues(hass)


async def test_ledger_lost_is_read(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    client: Client,
    add_account: AddAccount,
) -> None:
    """What was lost is said until somebody has read it, through a reload."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    await hass.config_entries.async_unload(entry.entry_id)
    book_storage(hass, entry.entry_id).path.unlink()
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    assert issues(hass).keys() == {"book_lost"}
    form = await open_dialog(client, entry, "book_lost")
    await submit(client, form, {})
    assert not issues(hass)


class Registrar(ShoeBox):
    """A shoe box whose keeper can be told where to call, and may refuse."""

    key = "registrar"
    refusal: ClassVar[ProviderError | None] = None
    tries: ClassVar[int] = 0
    can_spend: ClassVar[bool] = False

    @property
    def accepts_push(self) -> bool:
        """Whether calls are believed."""
        return True

    def parse_push(self, headers: Mapping[str, str], body: bytes) -> Hint:
        """Return the hint in a call."""
        return Hint(invoice_ids=frozenset())

    @property
    def may_register_webhook(self) -> bool:
        """Whether the keeper listens to that."""
        return True

    async def async_register_webhook(
        self, url: str, replaces: str | None = None
    ) -> Mapping[str, str]:
        """Note where to call."""
        type(self).tries += 1
        if self.refusal:
            raise self.refusal
        return {}

    async def async_remove_webhook(self, url: str) -> None:
        """Forget where to call."""

    @override
    async def async_get_account(self) -> Account:
        """Try the key, which may have become a better one than it should be."""
        if self.can_spend:
            raise KeyCanSpend("a grown key")
        return await super().async_get_account()


@pytest.fixture
def untranslated() -> set[str]:
    """What is made up needs no texts."""
    return {Registrar.key, "reauth_confirm"}


@pytest.fixture
async def keeper(
    hass: HomeAssistant, client: Client, monkeypatch: pytest.MonkeyPatch
) -> ConfigEntry:
    """Set up an account at a provider that can be told where to post."""
    monkeypatch.setitem(PROVIDERS, Registrar.key, Registrar)
    monkeypatch.setattr(ShoeBox, "slips", {number: slip(number) for number in "12"})
    monkeypatch.setattr(Registrar, "refusal", None)
    monkeypatch.setattr(Registrar, "tries", 0)
    await hass.config.async_update(external_url="https://ha.example")
    result = await async_open_credentials(hass, Registrar.key)
    form = {"key": "good", "advanced": {"url": "https://shoe.box"}}
    result = await async_submit(hass, result, form)
    result = await async_submit(hass, result, {"invoices": "1 2"})
    await async_settle(hass)
    entry: ConfigEntry = result["result"]
    return entry


async def test_webhook_refused_once(hass: HomeAssistant, keeper: ConfigEntry) -> None:
    """One refusal is nobody's word: it is tried again soon."""
    Registrar.refusal = AuthError()
    await async_later(hass, INTERVAL.total_seconds() + 1)
    tries, Registrar.refusal = Registrar.tries, None
    await async_later(hass, 125)
    assert Registrar.tries == tries + 1
    assert not issues(hass)


async def test_webhook_refused(hass: HomeAssistant, client: Client, keeper: ConfigEntry) -> None:
    """A provider that refuses to post for long is said, and can be tried again."""
    hours = INTERVAL.total_seconds()
    Registrar.refusal = AuthError()
    await async_later(hass, hours + 1)
    assert not issues(hass)
    Registrar.refusal = ProviderUnavailable(UnavailableReason.TIMEOUT)
    await async_later(hass, hours + 1)
    assert not issues(hass), "an outage is no refusal"
    Registrar.refusal = AuthError()
    await async_later(hass, hours + 1)
    assert issues(hass).keys() == {"webhook_refused"}

    form = await open_dialog(client, keeper, "webhook_refused")
    form = await submit(client, form, {})
    assert form["errors"] == {"base": "still_refused"}
    Registrar.refusal = None
    done = await submit(client, form, {})
    assert done["type"] == FlowResultType.CREATE_ENTRY
    assert not issues(hass)

    Registrar.refusal = AuthError()
    for _ in range(2):
        await async_later(hass, hours + 1)
    assert issues(hass)
    Registrar.refusal = None
    await async_later(hass, hours + 1)
    assert not issues(hass), "it cured itself"
    assert Registrar.tries >= 9


async def test_key_can_spend(
    hass: HomeAssistant, keeper: ConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that turns out to be able to spend is not used, and it is said why."""
    monkeypatch.setattr(Registrar, "can_spend", True)
    await async_later(hass)
    assert issues(hass).keys() == {"key_can_spend"}
    assert state_of(hass, keeper, "1", "status").state == "unavailable"
    assert not hass.config_entries.flow.async_progress(), "one answer may be wrong"
    # Neither what happens meanwhile, nor an answer that says nothing of the key, cures it.
    await async_delete_device(hass, keeper, "2")
    await async_settle(hass)
    assert issues(hass).keys() == {"key_can_spend"}
    monkeypatch.setattr(ShoeBox, "trouble", BadResponse("smudged"))
    await async_later(hass)
    await hass.config_entries.async_reload(keeper.entry_id)
    await async_settle(hass)
    assert issues(hass).keys() == {"key_can_spend"}
    monkeypatch.setattr(ShoeBox, "trouble", None)
    for _ in range(2):
        await async_later(hass)
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    monkeypatch.setattr(Registrar, "can_spend", False)
    result = await async_submit(hass, flow, {"key": "good"})
    assert result["reason"] == "reauth_successful"
    await async_settle(hass)
    assert keeper.state is ConfigEntryState.LOADED
    assert not issues(hass)


async def test_removed_account(
    hass: HomeAssistant, keeper: ConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account that is removed takes its issues along."""
    monkeypatch.setattr(Registrar, "can_spend", True)
    await async_later(hass)
    assert issues(hass)
    await hass.config_entries.async_remove(keeper.entry_id)
    assert not issues(hass)
