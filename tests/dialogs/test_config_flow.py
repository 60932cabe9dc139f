"""Setting up an account: what is typed, what is refused, and what comes of it."""

from collections.abc import Callable, Mapping
from pathlib import Path
import socket
from typing import Any

from aiohttp.resolver import AsyncResolver
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, UnknownStep
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.lookup import NotAccepted
from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.provider import FieldKind
from sandbox.btcpay_webhooks import STORE_ID
from sandbox.faults import Fault
from tests.conftest import (
    BATCHED,
    EACH,
    STREAMING,
    AddAccount,
    FlowResult,
    SandboxServer,
    async_later,
    async_open_credentials,
    async_settle,
    async_submit,
    each_provider,
    fields_of,
    fill,
    give_word,
    kept,
    load_state,
    not_found_error,
    open_dialog,
    refused_key,
    state_of,
    struck,
    watched,
    watched_name,
)
from tests.servers import closed_port, untrusted_site, web_site

# Where each form shows what is wrong with the address: a section shows it for its fields.
URL_FIELD = {
    key: "advanced"
    if any(field.advanced for field in PROVIDERS[key].fields if field.kind is FieldKind.URL)
    else "url"
    for key in EACH
}
FOREIGN = {
    "cryptocloud": "3c3a4b9c-7a51-4d59-9a62-3f6d6f0c8f11",
    "cryptocloud_v1": "3c3a4b9c-7a51-4d59-9a62-3f6d6f0c8f11",
    "egates": "INV-ABCD1234",
    "btcpay": "INV-ABCD1234",
    "lnbits": "INV-ABCD1234",
}
UNKNOWN = {
    "cryptocloud": "INV-ZZZZZZZZ",
    "cryptocloud_v1": "INV-ZZZZZZZZ",
    "egates": "00000000-0000-4000-8000-000000000000",
    "btcpay": "NothingIsHere123456789",
    "lnbits": "0" * 64,
}

LEARNED: Mapping[str, Mapping[str, object]] = {
    "egates": {"signing": "empty"},
    "btcpay": {"store_id": STORE_ID, "may_register_webhook": "yes", "verify_ssl": True},
}


def no_entries(hass: HomeAssistant) -> bool:
    """Whether nothing was created."""
    return not hass.config_entries.async_entries(DOMAIN)


async def async_open_invoices(
    hass: HomeAssistant, sandbox: SandboxServer, provider: str
) -> FlowResult:
    """Go through a new account's dialogs up to the form for its invoices."""
    result = await async_open_credentials(hass, provider)
    result = await async_submit(hass, result, sandbox.credentials_form(provider))
    assert result["step_id"] == "invoices", result
    return result


def assert_typed(result: FlowResult, form: dict[str, Any]) -> None:
    """Check that a form still holds what was typed, but for what pasting brings."""
    expected = {
        name: {key: value.strip() for key, value in typed.items()}
        if isinstance(typed, dict)
        else typed.strip()
        for name, typed in form.items()
    }
    shown = kept(result["data_schema"])
    # A switch is shown as it stands, also before anybody touched it.
    shown["advanced"] = {
        key: value for key, value in shown["advanced"].items() if not isinstance(value, bool)
    }
    assert shown == expected


async def test_every_provider_is_offered(hass: HomeAssistant) -> None:
    """The first dialog is a menu of the providers."""
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert result["type"] is FlowResultType.MENU
    assert result["menu_options"] == list(PROVIDERS)
    assert result["menu_options"][-1] == "cryptocloud_v1", "the legacy API is nobody's first choice"


@pytest.mark.parametrize(
    ("provider", "title", "plain", "advanced"),
    [
        ("cryptocloud", "CryptoCloud", {"api_key", "postback_secret", "shop_id"}, {"url"}),
        (
            "cryptocloud_v1",
            "CryptoCloud (legacy API)",
            {"api_key", "postback_secret", "shop_id"},
            {"url"},
        ),
        ("egates", "E-Gates ({host})", {"url", "api_key", "api_secret"}, {"time_zone"}),
        (
            "btcpay",
            "BTCPay Server ({host})",
            {"url", "api_key", "store_id"},
            {"verify_ssl", "webhook_secret"},
        ),
    ],
)
async def test_set_up(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    *,
    provider: str,
    title: str,
    plain: set[str],
    advanced: set[str],
) -> None:
    """Credentials and two invoices become an account with a subentry for each."""
    first = sandbox.store.create(provider, order_id="Coffee")
    second = sandbox.store.create(provider, order_id="Tea")
    result = await async_open_credentials(hass, provider)
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == provider
    assert not result["errors"]
    fields = fields_of(result["data_schema"])
    assert fields.keys() == plain | {"advanced"}
    assert fields_of(fields["advanced"].schema).keys() == advanced
    assert fields["advanced"].options["collapsed"]
    prefilled: dict[str, dict[str, object]] = {"egates": {}, "btcpay": {"verify_ssl": True}}
    cloud = {"url": "https://api.cryptocloud.plus"}
    assert kept(result["data_schema"]) == {"advanced": prefilled.get(provider, cloud)}

    result = await async_submit(hass, result, sandbox.credentials_form(provider))
    assert result["step_id"] == "invoices"
    assert no_entries(hass)

    result = await async_submit(hass, result, {"invoices": f"{first.id}\n{second.id}"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == title.format(host=sandbox.url.removeprefix("http://"))
    await async_settle(hass)
    entry = result["result"]
    assert entry.state is ConfigEntryState.LOADED
    learned = LEARNED.get(provider, {})
    stored = dict(entry.data)
    assert len(stored.pop("webhook_id")) == 64
    if provider == "btcpay":
        assert stored.pop("webhook_secret")
        assert stored.pop("btcpay_webhook_id")
    assert stored == {"provider": provider, **sandbox.settings(provider), **learned}
    assert entry.unique_id.startswith(f"{provider}_")
    names = ["Coffee", "Tea"]
    if provider == "cryptocloud_v1":
        names = [f"Invoice {one.id[-6:]}" for one in (first, second)]
    assert [watched_name(hass, entry, id_) for id_ in watched(entry)] == names
    assert not any(key in entry.unique_id for key in sandbox.settings(provider).values())


WRITINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "white space around": lambda id_: f"  \t{id_}\n\n",
    "lower case": str.lower,
    "upper case": str.upper,
}
AS_IT_IS = dict(list(WRITINGS.items())[:2])
BTCPAY_WRITINGS: dict[str, Callable[[str], str]] = {
    "payment link": lambda id_: f"https://btcpay.example.com/i/{id_}",
    "link to the merchant's page": lambda id_: f"btcpay.example.com/path/invoices/{id_}?x#y",
}
CRYPTOCLOUD_WRITINGS: dict[str, Callable[[str], str]] = {
    "no prefix": lambda id_: id_.removeprefix("INV-"),
    "payment link": lambda id_: f"https://pay.cryptocloud.plus/{id_.removeprefix('INV-')}?lang=en",
}


@pytest.mark.parametrize(
    ("provider", "write"),
    [
        pytest.param(provider, write, id=f"{provider}-{name}")
        for provider, writings in (
            ("cryptocloud", WRITINGS | CRYPTOCLOUD_WRITINGS),
            ("cryptocloud_v1", WRITINGS | CRYPTOCLOUD_WRITINGS),
            ("egates", WRITINGS),
            ("btcpay", AS_IT_IS | BTCPAY_WRITINGS),
        )
        for name, write in writings.items()
    ],
)
async def test_forgiving_ids(
    hass: HomeAssistant, sandbox: SandboxServer, provider: str, write: Callable[[str], str]
) -> None:
    """An ID is taken in each way that it can be pasted in."""
    invoice = sandbox.store.create(provider)
    result = await async_open_invoices(hass, sandbox, provider)
    result = await async_submit(hass, result, {"invoices": write(invoice.id)})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert watched(result["result"]) == [invoice.id]
    await async_settle(hass)


@each_provider
@pytest.mark.parametrize("between", [" ", ",", "\n", "\r\n", ", ", " ;\t\n"])
async def test_separators_and_repetitions(
    hass: HomeAssistant, sandbox: SandboxServer, provider: str, between: str
) -> None:
    """IDs may be parted in many ways, and one given twice counts once."""
    ids = [sandbox.store.create(provider).id for _ in range(3)]
    result = await async_open_invoices(hass, sandbox, provider)
    before = sandbox.requests(provider)
    again = ids[1] if provider == "btcpay" else ids[1].lower()
    typed = between.join([*ids, ids[0], again])
    result = await async_submit(hass, result, {"invoices": typed})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert watched(result["result"]) == ids
    lookups = 1 if provider in BATCHED else 3
    await async_settle(hass)
    asked = sandbox.requests(provider) - before
    assert 2 * lookups <= asked <= 2 * lookups + (provider in STREAMING)


@each_provider
@pytest.mark.parametrize(
    ("typed", "error", "said"),
    [
        ("{good}\n{foreign}", "ids_malformed", {"malformed": "{foreign}"}),
        ("{foreign}", "ids_malformed", {"malformed": "{foreign}"}),
        ("{unknown} {good}", "ids_not_found", {"not_found": "{unknown}"}),
        (
            "These: {good}\n{unknown}, please\n{foreign}",
            "ids_malformed",
            {"malformed": "{foreign}", "not_found": "{unknown}"},
        ),
    ],
    ids=["malformed", "foreign", "unknown", "mixed"],
)
async def test_refused_ids(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    *,
    provider: str,
    typed: str,
    error: str,
    said: dict[str, str],
) -> None:
    """The form says which IDs were refused and why, keeps them all, and creates nothing."""
    good = sandbox.store.create(provider).id
    if error == "ids_not_found":
        error = not_found_error(provider)
    words = {"good": good, "foreign": FOREIGN[provider], "unknown": UNKNOWN[provider]}
    typed = typed.format(**words)
    result = await async_open_invoices(hass, sandbox, provider)
    result = await async_submit(hass, result, {"invoices": typed})
    assert result["type"] is FlowResultType.FORM
    also = {"base": not_found_error(provider)} if len(said) == 2 else {}
    assert result["errors"] == {"invoices": error, **also}
    given = result["description_placeholders"]
    assert {reason: given.get(reason) for reason in NotAccepted} == {
        reason: text.format(**words) if (text := said.get(reason)) else None
        for reason in NotAccepted
    }
    assert kept(result["data_schema"])["invoices"] == typed
    assert no_entries(hass)

    result = await async_submit(hass, result, {"invoices": good})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert len(watched(result["result"])) == 1
    await async_settle(hass)


@each_provider
@pytest.mark.parametrize("typed", [{}, {"invoices": ""}, {"invoices": " ,\n; "}])
async def test_no_invoices(
    hass: HomeAssistant, sandbox: SandboxServer, provider: str, typed: dict[str, str]
) -> None:
    """A till begins without invoices, comes up again, and takes those that are added later."""
    result = await async_open_invoices(hass, sandbox, provider)
    result = await async_submit(hass, result, typed)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    entry = result["result"]
    assert not watched(entry)
    await async_settle(hass)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await async_settle(hass)
    assert entry.state is ConfigEntryState.LOADED
    assert not ir.async_get(hass).issues

    invoice = sandbox.store.create(provider)
    chosen = {"config_entry_id": entry.entry_id, "invoice_ids": [invoice.id]}
    await hass.services.async_call(DOMAIN, "track_invoices", chosen, blocking=True)
    await async_settle(hass)
    assert state_of(hass, entry, invoice.id, "status").state == "pending"


@each_provider
async def test_one_unreadable_invoice(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
) -> None:
    """An invoice that the provider describes in a way nobody understands is named."""
    good, broken = (sandbox.store.create(provider).id for _ in range(2))
    give_word(sandbox, monkeypatch, provider, broken, 7)
    result = await async_open_invoices(hass, sandbox, provider)
    result = await async_submit(hass, result, {"invoices": f"{good} {broken}\n{FOREIGN[provider]}"})
    assert result["errors"] == {"invoices": "ids_malformed", "base": "ids_unreadable"}
    given = result["description_placeholders"]
    assert (given["unreadable"], given["malformed"]) == (broken, FOREIGN[provider])
    result = await async_submit(hass, result, {"invoices": f"{good} {broken}"})
    assert result["errors"] == {"invoices": "ids_unreadable"}
    assert no_entries(hass)


@pytest.mark.parametrize("provider", ["cryptocloud_v1", "egates", "btcpay"])
async def test_provider_stops_in_the_middle(
    hass: HomeAssistant, sandbox: SandboxServer, provider: str
) -> None:
    """What could not be asked for is not said to be unknown."""
    ids = [sandbox.store.create(provider).id for _ in range(2)]
    result = await async_open_invoices(hass, sandbox, provider)
    sandbox.switch(provider, Fault.RATE_LIMITED, count=1)
    result = await async_submit(hass, result, {"invoices": " ".join(ids)})
    assert result["errors"] == {"base": "rate_limited"}
    result = await async_submit(hass, result, {"invoices": " ".join(ids)})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await async_settle(hass)


@pytest.mark.parametrize("unknown", ["drop", "error", "null"])
async def test_unknown_id_among_many(
    hass: HomeAssistant, sandbox: SandboxServer, unknown: str
) -> None:
    """However the provider answers to an unknown ID, only that ID is refused."""
    sandbox.sandbox.set("cryptocloud", "unknown_uuid", unknown)
    ids = [sandbox.store.create("cryptocloud").id for _ in range(30)]
    result = await async_open_invoices(hass, sandbox, "cryptocloud")
    before = sandbox.requests("cryptocloud")
    result = await async_submit(
        hass, result, {"invoices": "\n".join([*ids[:13], "INV-ZZZZZZZZ", *ids[13:]])}
    )
    assert result["errors"] == {"invoices": "ids_not_found_or_withdrawal"}
    assert result["description_placeholders"]["not_found"] == "INV-ZZZZZZZZ"
    assert sandbox.requests("cryptocloud") - before <= 12


@each_provider
@pytest.mark.parametrize(
    ("mangle", "error"),
    [
        (lambda key: key[:-1], "invalid_auth"),
        (lambda key: f"{key}x", "invalid_auth"),
        (lambda key: "x", "invalid_auth"),
        (lambda key: f"{key[:5]} {key[5:]}", "invalid_key"),
        (lambda key: f"{key[:5]}\n{key[5:]}", "invalid_key"),
        (lambda key: f"{key}\u200b", "invalid_key"),
        (lambda key: "ключ", "invalid_key"),
        (lambda key: "   ", "required"),
    ],
    ids=["truncated", "longer", "wrong", "space", "line break", "invisible", "script", "blank"],
)
async def test_bad_key(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    provider: str,
    mangle: Callable[[str], str],
    error: str,
) -> None:
    """A key that doesn't work is said at its field; the right one then goes on."""
    result = await async_open_credentials(hass, provider)
    key = mangle(sandbox.settings(provider)["api_key"])
    form = sandbox.credentials_form(provider, api_key=key)
    result = await async_submit(hass, result, form)
    assert result["type"] is FlowResultType.FORM
    expected = {"api_key": error}
    assert result["errors"] == (refused_key(provider) if error == "invalid_auth" else expected)
    assert fields_of(result["data_schema"])["advanced"].options["collapsed"]
    if key.strip():
        assert_typed(result, form)
    result = await async_submit(hass, result, sandbox.credentials_form(provider))
    assert result["step_id"] == "invoices"
    assert no_entries(hass)


@each_provider
async def test_padded_credentials(
    hass: HomeAssistant, sandbox: SandboxServer, provider: str
) -> None:
    """White space around what was pasted is neither sent nor stored."""
    invoice = sandbox.store.create(provider)
    settings = {key: f" {value}\n" for key, value in sandbox.settings(provider).items()}
    result = await async_open_credentials(hass, provider)
    result = await async_submit(hass, result, fill(provider, settings))
    result = await async_submit(hass, result, {"invoices": invoice.id})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"].items() >= sandbox.settings(provider).items()
    await async_settle(hass)


async def test_wrong_secret(hass: HomeAssistant, sandbox: SandboxServer) -> None:
    """Nobody knows which of the two is wrong, so both are marked."""
    result = await async_open_credentials(hass, "egates")
    form = sandbox.credentials_form("egates", api_secret="sandbox-egates-secre")
    result = await async_submit(hass, result, form)
    assert result["errors"] == {"api_key": "key_or_secret", "api_secret": "key_or_secret"}
    assert_typed(result, form)


async def test_several_errors_at_once(hass: HomeAssistant, sandbox: SandboxServer) -> None:
    """Everything that can be told without asking the provider is told at once."""
    result = await async_open_credentials(hass, "egates")
    form = {"url": "ftp://pay.example.com", "api_key": "a b", "api_secret": " ", "advanced": {}}
    result = await async_submit(hass, result, form)
    assert result["errors"] == {
        "url": "url_without_scheme",
        "api_key": "invalid_key",
        "api_secret": "required",
    }
    assert sandbox.requests("egates") == 0


@each_provider
@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("{url}/pay/v3", "url_with_path"),
        ("ftp://{host}", "url_without_scheme"),
        ("made-up-key", "url_without_scheme"),
        ("https://", "url_invalid"),
        ("https://exa mple.com", "url_invalid"),
        ("https://user:pass@pay.example.com", "url_invalid"),
        ("https://pay.example.com:http", "url_invalid"),
        ("  ", "required"),
        ("http://pay.example.com", "url_not_encrypted"),
        ("{closed}", "cannot_connect"),
        ("{web_site}", "unexpected_answer"),
    ],
)
async def test_bad_address(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    provider: str,
    typed: str,
    error: str,
) -> None:
    """An address that can't be right is said at its field; the right one then goes on."""
    async with web_site() as page:
        typed = typed.format(
            url=sandbox.url,
            host=sandbox.url.removeprefix("http://"),
            closed=closed_port(),
            web_site=page,
        )
        result = await async_open_credentials(hass, provider)
        form = sandbox.credentials_form(provider, url=typed)
        result = await async_submit(hass, result, form)
    field = URL_FIELD[provider]
    if PROVIDERS[provider].allows_path and error == "url_with_path":
        # It may be below a path, but isn't below this one.
        error = "unexpected_answer"
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {field: error}
    # What is wrong in a section would stay unseen in a closed one.
    closed = fields_of(result["data_schema"])["advanced"].options["collapsed"]
    assert closed is (field != "advanced")
    if typed.strip():
        assert_typed(result, form)

    result = await async_submit(hass, result, sandbox.credentials_form(provider))
    assert result["step_id"] == "invoices"
    assert no_entries(hass)


@each_provider
async def test_untrusted_certificate(
    hass: HomeAssistant, sandbox: SandboxServer, tmp_path: Path, provider: str
) -> None:
    """A self-signed certificate is refused, and nothing sent there."""
    result = await async_open_credentials(hass, provider)
    async with untrusted_site(tmp_path) as untrusted:
        form = sandbox.credentials_form(provider, url=untrusted)
        result = await async_submit(hass, result, form)
    assert result["errors"] == {URL_FIELD[provider]: "certificate"}
    assert_typed(result, form)
    result = await async_submit(hass, result, sandbox.credentials_form(provider))
    assert result["step_id"] == "invoices"


@pytest.fixture
def everything_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every name lead to this machine."""

    async def resolve(
        self: AsyncResolver, host: str, port: int = 0, family: int = 0
    ) -> list[dict[str, Any]]:
        here = {"host": "127.0.0.1", "family": socket.AF_INET, "proto": 0, "flags": 0}
        return [{"hostname": host, "port": port, **here}]

    monkeypatch.setattr(AsyncResolver, "resolve", resolve)


@each_provider
async def test_address_without_encryption(
    hass: HomeAssistant, sandbox: SandboxServer, everything_is_here: None, provider: str
) -> None:
    """An address that shows the key to everyone is refused once, and taken when meant."""
    port = sandbox.url.rpartition(":")[2]
    field = URL_FIELD[provider]
    invoice = sandbox.store.create(provider)
    result = await async_open_credentials(hass, provider)
    form = sandbox.credentials_form(provider, url=f"http://pay.example.com:{port}")
    result = await async_submit(hass, result, form)
    assert result["errors"] == {field: "url_not_encrypted"}
    assert sandbox.requests(provider) == 0

    other = sandbox.credentials_form(provider, url=f"http://pay.example.org:{port}")
    result = await async_submit(hass, result, other)
    assert result["errors"] == {field: "url_not_encrypted"}, "another address, another warning"

    wrong = sandbox.credentials_form(
        provider, url=f"http://pay.example.org:{port}", api_key="wrong"
    )
    result = await async_submit(hass, result, wrong)
    assert result["errors"] == refused_key(provider)

    result = await async_submit(hass, result, other)
    assert result["step_id"] == "invoices"
    result = await async_submit(hass, result, {"invoices": invoice.id})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"]["url"] == f"http://pay.example.org:{port}"
    await async_settle(hass)


# One of each kind: which fault is which error is the business of tests/providers.
ACCOUNT_FAULTS: dict[Fault, tuple[str, str]] = {
    Fault.UNAUTHORIZED: ("api_key", "invalid_auth"),
    Fault.RATE_LIMITED_SECONDS: ("base", "rate_limited"),
    Fault.SERVER_ERROR: ("url", "server_error"),
    Fault.TIMEOUT: ("url", "timeout"),
    Fault.CUT_CONNECTION: ("url", "cannot_connect"),
    Fault.HTML: ("url", "unexpected_answer"),
}
IDS_FAULTS: dict[Fault, tuple[str, str]] = {
    **{fault: ("base", error) for fault, (_, error) in ACCOUNT_FAULTS.items()},
    Fault.HTML: ("invoices", "ids_unreadable"),
    Fault.WRONG_TYPES: ("invoices", "ids_unreadable"),
    Fault.MISSING_ROWS: ("invoices", "ids_not_found"),
}


@each_provider
async def test_fault_at_credentials(
    hass: HomeAssistant, sandbox: SandboxServer, provider: str
) -> None:
    """A provider in trouble is said at the right field, and trying again goes on."""
    result = await async_open_credentials(hass, provider)
    form = sandbox.credentials_form(provider)
    for fault, (field, error) in ACCOUNT_FAULTS.items():
        with struck(sandbox, provider, fault):
            result = await async_submit(hass, result, form)
        assert result["type"] is FlowResultType.FORM
        expected = {URL_FIELD[provider] if field == "url" else field: error}
        assert result["errors"] == (refused_key(provider) if error == "invalid_auth" else expected)
        assert_typed(result, form)
    result = await async_submit(hass, result, form)
    assert result["step_id"] == "invoices"
    assert no_entries(hass)


@each_provider
async def test_fault_at_invoices(
    hass: HomeAssistant, sandbox: SandboxServer, provider: str
) -> None:
    """A provider in trouble costs no typing, and trying again creates the account."""
    invoices = [sandbox.store.create(provider) for _ in range(2)]
    typed = {"invoices": " ".join(invoice.id for invoice in invoices)}
    result = await async_open_invoices(hass, sandbox, provider)
    for fault, (field, error) in IDS_FAULTS.items():
        with struck(sandbox, provider, fault):
            result = await async_submit(hass, result, typed)
        assert result["type"] is FlowResultType.FORM
        expected = not_found_error(provider) if error == "ids_not_found" else error
        assert result["errors"] == {field: expected}
        assert kept(result["data_schema"]).items() >= typed.items()
        assert no_entries(hass)
    result = await async_submit(hass, result, typed)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert len(watched(result["result"])) == 2
    await async_settle(hass)


@each_provider
@pytest.mark.parametrize("fault", [Fault.EXTRA_FIELDS, Fault.UNKNOWN_STATUS])
async def test_fault_that_keeps_nobody_out(
    hass: HomeAssistant, sandbox: SandboxServer, provider: str, fault: Fault
) -> None:
    """What only adds something new to an answer doesn't matter in the dialog."""
    invoice = sandbox.store.create(provider)
    sandbox.switch(provider, fault)
    result = await async_open_invoices(hass, sandbox, provider)
    result = await async_submit(hass, result, {"invoices": invoice.id})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await async_settle(hass)


@each_provider
@pytest.mark.parametrize(
    "write",
    [str, lambda url: f"{url}/", lambda url: url.replace("http", "HTTP")],
    ids=["same", "slash", "capitals"],
)
async def test_same_account_twice(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    provider: str,
    write: Callable[[str], str],
) -> None:
    """An account is set up once, however its address is written."""
    await add_account(provider, sandbox.store.create(provider).id)
    result = await async_open_credentials(hass, provider)
    form = sandbox.credentials_form(provider, url=write(sandbox.url))
    result = await async_submit(hass, result, form)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"
    assert len(hass.config_entries.async_entries(DOMAIN)) == 1


async def test_dialog_left_open(hass: HomeAssistant, sandbox: SandboxServer) -> None:
    """A dialog that was left open keeps nobody out, and can't make the account twice."""
    invoice = sandbox.store.create("cryptocloud")
    left_open = await async_open_invoices(hass, sandbox, "cryptocloud")
    result = await async_open_invoices(hass, sandbox, "cryptocloud")
    result = await async_submit(hass, result, {"invoices": invoice.id})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await async_settle(hass)
    flows = hass.config_entries.flow.async_progress()
    assert left_open["flow_id"] not in {flow["flow_id"] for flow in flows}
    assert len(hass.config_entries.async_entries(DOMAIN)) == 1


async def test_accounts_of_several_providers(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Accounts stand beside each other, also those with the same address."""
    for provider in URL_FIELD:
        invoice = sandbox.store.create(provider)
        entry = await add_account(provider, invoice.id)
        assert state_of(hass, entry, invoice.id, "status").state == "pending"
    assert len(hass.config_entries.async_entries(DOMAIN)) == len(URL_FIELD)


@each_provider
async def test_reauth_after_polling(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
) -> None:
    """When a key stops working, new ones are asked for, and everything goes on with them."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    unique_id, records = entry.unique_id, watched(entry)
    old = sandbox.settings(provider)
    sandbox.rotate_keys(provider, monkeypatch)
    for _ in range(2):
        await async_later(hass)
    result = open_dialog(hass)
    assert result["step_id"] == "reauth_confirm"
    assert state_of(hass, entry, invoice.id, "status").state == "unavailable"
    asked = sandbox.requests(provider)
    await async_later(hass, 600)
    assert sandbox.requests(provider) == asked, "a refused key is not tried again and again"

    secrets = {key: old[key] for key in old if key != "url"}
    result = await async_submit(hass, result, secrets)
    assert result["errors"] == refused_key(provider)
    assert kept(result["data_schema"]) == secrets
    result = await async_submit(hass, result, dict.fromkeys(secrets, "  "))
    assert result["errors"] == dict.fromkeys(secrets, "required")
    sandbox.switch(provider, Fault.SERVER_ERROR)
    new = {key: sandbox.settings(provider)[key] for key in secrets}
    result = await async_submit(hass, result, new)
    assert result["errors"] == {"base": "server_error"}
    sandbox.switch(provider, None)

    runtime = entry.runtime_data
    result = await async_submit(hass, result, new)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reauth_successful"
    await async_settle(hass)
    assert entry.state is ConfigEntryState.LOADED
    assert entry.runtime_data is not runtime
    assert entry.data.items() >= sandbox.settings(provider).items()
    # Here the store is the account, whichever key opens it.
    assert (entry.unique_id == unique_id) is (provider == "btcpay")
    assert watched(entry) == records == [invoice.id]
    assert state_of(hass, entry, invoice.id, "status").state == "pending"
    assert not hass.config_entries.flow.async_progress()
    await async_later(hass)
    assert state_of(hass, entry, invoice.id, "status").state == "pending"


@each_provider
async def test_reauth_at_set_up(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
) -> None:
    """A key that stopped working while Home Assistant was off is noticed at its start."""
    invoice = sandbox.store.create(provider)
    entry = await add_account(provider, invoice.id)
    await hass.config_entries.async_unload(entry.entry_id)
    sandbox.rotate_keys(provider, monkeypatch)
    await hass.config_entries.async_setup(entry.entry_id)
    await async_settle(hass)
    assert load_state(entry) is ConfigEntryState.LOADED
    await async_later(hass)
    result = open_dialog(hass)
    new = {key: value for key, value in sandbox.settings(provider).items() if key != "url"}
    result = await async_submit(hass, result, new)
    assert result["reason"] == "reauth_successful"
    await async_settle(hass)
    assert entry.state is ConfigEntryState.LOADED
    assert state_of(hass, entry, invoice.id, "status").state == "pending"
    assert not hass.config_entries.flow.async_progress()


async def test_reauth_with_the_same_key(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """A provider that refused a good key for a while is believed again."""
    invoice = sandbox.store.create("egates")
    entry = await add_account("egates", invoice.id)
    unique_id, data = entry.unique_id, entry.data
    sandbox.switch("egates", Fault.FORBIDDEN)
    for _ in range(2):
        await async_later(hass)
    sandbox.switch("egates", None)
    result = open_dialog(hass)
    same = {key: value for key, value in sandbox.settings("egates").items() if key != "url"}
    result = await async_submit(hass, result, same)
    assert result["reason"] == "reauth_successful"
    await async_settle(hass)
    assert (entry.unique_id, entry.data) == (unique_id, data)
    assert state_of(hass, entry, invoice.id, "status").state == "pending"


async def test_new_key_becomes_an_account_meanwhile(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An account that a reauthentication took while its invoices were typed isn't made twice."""
    invoice = sandbox.store.create("cryptocloud")
    await add_account("cryptocloud", invoice.id)
    sandbox.rotate_keys("cryptocloud", monkeypatch)
    new = await async_open_invoices(hass, sandbox, "cryptocloud")
    for _ in range(2):
        await async_later(hass)
    [reauth] = hass.config_entries.flow.async_progress_by_handler(
        DOMAIN, match_context={"source": "reauth"}
    )
    key = sandbox.settings("cryptocloud")["api_key"]
    result = await async_submit(hass, reauth, {"api_key": key})
    assert result["reason"] == "reauth_successful"
    new = await async_submit(hass, new, {"invoices": invoice.id})
    assert new["reason"] == "already_configured"
    await async_settle(hass)
    assert len(hass.config_entries.async_entries(DOMAIN)) == 1


async def test_no_other_steps(hass: HomeAssistant) -> None:
    """There are no steps but those of the dialogs and the providers."""
    with pytest.raises(UnknownStep):
        await hass.config_entries.flow.async_init(DOMAIN, context={"source": "nowhere"})
