"""Every text that is asked for exists, and every text that exists is asked for."""

import ast
from collections.abc import Iterator, Mapping
from decimal import Decimal
import re
from string import Formatter
from typing import Any

from homeassistant.util.yaml import load_yaml_dict
import pytest

from custom_components.crypto_invoices import PLATFORMS, issues
from custom_components.crypto_invoices.const import (
    CONF_AUTO_WATCH,
    CONF_CLEANUP_AFTER,
    CONF_EVERY_DEVICE,
    CONF_NAME_FROM_MEMO,
    CONF_ONLY_CURRENCY,
    CONF_ONLY_FROM_AMOUNT,
    CONF_ONLY_ORDER_ID,
    CONF_TO_FULFILL,
    CONF_TO_FULFILL_ISSUE,
    SECTION_ADVANCED,
)
from custom_components.crypto_invoices.dialogs.credentials import provider_errors
from custom_components.crypto_invoices.errors import action_error, error_key
from custom_components.crypto_invoices.invoice_values import invoice_attributes
from custom_components.crypto_invoices.lookup import NotAccepted
from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.another_api import AnotherApi
from custom_components.crypto_invoices.providers.capabilities import (
    NoLongerOpen,
    OutcomeUnknown,
    PermissionMissing,
    Rejected,
)
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    BadResponse,
    ClockWrong,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
    KeyCanSpend,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SettingNeeded,
    UnavailableReason,
)
from custom_components.crypto_invoices.providers.new_invoice import Flaw
from custom_components.crypto_invoices.providers.preview import SettingFlaw
from custom_components.crypto_invoices.providers.provider import Field, FieldKind
from custom_components.crypto_invoices.sensor import account, balance, invoice, to_fulfill
from custom_components.crypto_invoices.system_health import public_address

from .conftest import ENGLISH, ICONS, PACKAGE

CONFIG = ENGLISH["config"]
SUBENTRY = ENGLISH["config_subentries"]["invoice"]

ERRORS: list[ProviderError] = [
    AuthError(),
    BadResponse(),
    ClockWrong(),
    InvoiceNotFound(),
    KeyCanSpend(),
    RateLimited(),
    *map(ProviderUnavailable, UnavailableReason),
]
# The other settings that can be needed are so only later, when an invoice is made.
SETTINGS_NEEDED = set(provider_errors((), SettingNeeded("store_id")).by_field.values())
FROM_PROVIDERS = {key for error in ERRORS for key in provider_errors((), error).by_field.values()}
ABOUT_IDS = {f"ids_{reason}" for reason in NotAccepted} | {
    "ids_not_found_or_withdrawal",
}
# What only the set-up of an account can meet: later, it is what the account's reading says.
AT_SET_UP = {
    "answer_too_large",
    "clock_wrong",
    "forbidden",
    "key_or_secret",
    "moved",
    "moved_to_https",
    "server_too_old",
}


def texts(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text with its path."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from texts(value, f"{path}.{key}")
    else:
        yield path, node


def words_in_code(*names: str) -> set[str]:
    """Return the texts that are constants in modules of the package."""
    return {
        node.value
        for name in names
        for node in ast.walk(ast.parse((PACKAGE / name).read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.parametrize("key", list(PROVIDERS))
def test_provider_step(key: str) -> None:
    """A provider's form has a text for each of its fields, and for nothing else."""
    step = CONFIG["step"][key]
    fields = [field for field in PROVIDERS[key].fields if not field.is_previewed]
    plain = {field.key for field in fields if not field.advanced}
    advanced = {field.key for field in fields if field.advanced}
    assert step["data"].keys() == step["data_description"].keys() == plain
    assert step["sections"].keys() == {SECTION_ADVANCED}
    section = step["sections"][SECTION_ADVANCED]
    assert section["data"].keys() == section["data_description"].keys() == advanced


def test_steps() -> None:
    """There is a form for each provider, and the menu names them all."""
    others = {"user", "invoices", "invoices_not_listed", "reauth_confirm", "reconfigure"}
    others |= {"user_key", "reauth_key", "reconfigure_key", "request_key", "key_page"}
    of_previews = {"preset", "preview", "read"}
    of_integrations = {"integration", "more"}
    assert CONFIG["step"].keys() == PROVIDERS.keys() | others | of_previews | of_integrations
    menu = CONFIG["step"]["user"]
    assert menu["menu_options"].keys() == PROVIDERS.keys() | {"more"}
    assert menu["menu_option_descriptions"].keys() == PROVIDERS.keys() | {"more"}
    assert SUBENTRY["step"].keys() == {"user", "not_listed"}
    assert SUBENTRY["initiate_flow"].keys() == {"user"}


def test_preview() -> None:
    """The form beside an answer has a text for each field, and each choice that has no name."""
    step = CONFIG["step"]["preview"]
    fields = [field for field in AnotherApi.fields if field.is_previewed]
    assert list(step["data"]) == list(step["data_description"]) == [field.key for field in fields]
    options = CONFIG["step"]["preset"]["menu_options"]
    assert options.keys() == {f"preset_{key}" for key in (*AnotherApi.presets, "none")}
    for key, preset in AnotherApi.presets.items():
        assert options[f"preset_{key}"] == preset.name
    for field in AnotherApi.fields:
        named = ENGLISH["selector"].get(field.key, {}).get("options", {})
        assert named.keys() <= set(field.options)
        words = {option for option in field.options if option.isalpha()}
        assert words == named.keys()


def test_ask_for_money() -> None:
    """Whatever can go wrong has a text, and so has all that is shown meanwhile."""
    texts = ENGLISH["config_subentries"]["ask_for_money"]
    code = words_in_code("dialogs/ask_for_money.py")
    assert {*texts["progress"], *texts["abort"], *texts["step"]} <= code
    fields = texts["step"]["user"]
    assert fields["data"].keys() == fields["data_description"].keys()
    assert fields["data"].keys() <= code
    flaws = {f"field_{flaw}" for flaw in Flaw} - {"field_before_start", "field_not_taken"}
    acting = (NoLongerOpen(), OutcomeUnknown(), PermissionMissing("x"), Rejected("x"))
    others = {action_error(error)[0] for error in (*ERRORS, *acting, SettingNeeded("shop_id"))}
    others |= {"created_not_watched", "outcome_unknown_order"}
    # What is about an invoice that is there already.
    others -= {"no_longer_open", "this_invoice_not_found"}
    assert texts["error"].keys() == flaws | others


def test_reauth_fields() -> None:
    """Every secret that can be asked for again has a text."""
    secrets = {
        field.key
        for provider in PROVIDERS.values()
        for field in provider.fields
        if field.kind is FieldKind.SECRET and field.required
    }
    step = CONFIG["step"]["reauth_confirm"]
    assert step["data"].keys() == step["data_description"].keys() == secrets


def test_errors() -> None:
    """Every error of a form has a text, and every text is of an error that there is."""
    files = ("address", "credentials", "proof", "request_key")
    code = words_in_code(*(f"dialogs/{name}.py" for name in files))
    typed = {word for word in code if word.startswith("url_")} | {
        "required",
        "invalid_key",
        "another_account",
        "key_page_not_encrypted",
    }
    assert typed <= code
    assert CONFIG[
        "error"
    ].keys() == typed | FROM_PROVIDERS | SETTINGS_NEEDED | ABOUT_IDS | AT_SET_UP | set(SettingFlaw)
    assert SUBENTRY["error"].keys() == FROM_PROVIDERS | ABOUT_IDS | {"ids_missing"}
    for key, text in SUBENTRY["error"].items():
        assert CONFIG["error"].get(key, text) == text, "one error, one text"


def test_pages() -> None:
    """Every text of the page that takes a key is used."""
    code = words_in_code("notifications/new_key.py")
    texts = {key for key in ENGLISH["common"] if key.startswith("key_")}
    assert texts == {word for word in code if re.fullmatch("key_[a-z_]+", word)}


def test_aborts() -> None:
    """Every reason to end a dialog has a text, and every text is of one that there is."""
    for aborts, file in (
        (CONFIG["abort"], "dialogs/change.py"),
        (SUBENTRY["abort"], "dialogs/add_invoices.py"),
    ):
        # Home Assistant raises this one, with our text.
        assert aborts.keys() - {"already_configured"} <= words_in_code(file)
        assert "already_configured" in aborts
    assert "reauth_successful" in CONFIG["abort"]


def test_error_fields() -> None:
    """What a provider says is shown at a field of the form, or above all of them."""
    for provider in PROVIDERS.values():
        plain = {field.key for field in provider.fields if not field.advanced}
        for error in ERRORS:
            assert provider_errors(provider.fields, error).by_field.keys() <= plain | {
                "base",
                "advanced",
            }
    secret = Field(key="key", kind=FieldKind.SECRET)
    assert provider_errors([secret], AuthError()).by_field == {"key": "invalid_auth"}
    assert provider_errors([secret], BadResponse()).by_field == {"base": "unexpected_answer"}


def test_exceptions() -> None:
    """Whatever goes wrong with a reading has a text that names the account."""
    for error in ERRORS:
        message = ENGLISH["exceptions"][error_key(error)]["message"]
        assert {name for _, name, _, _ in Formatter().parse(message) if name} == {"account"}


def test_exceptions_are_raised() -> None:
    """Every text of an exception is of one that there is."""
    from_readings = {error_key(error) for error in ERRORS}
    of_actions = ENGLISH["exceptions"].keys() - from_readings - ABOUT_IDS
    of_fields = {f"field_{flaw}" for flaw in Flaw}
    assert of_fields <= of_actions
    raised = {key for key, _ in named_texts()} | words_in_code(
        "errors.py",
        *(
            f"actions/{name}.py"
            for name in ("common", "creation", "fulfilling", "ready", "till", "watching")
        ),
    )
    assert of_actions - of_fields <= raised


def named_texts() -> Iterator[tuple[str, set[str | None]]]:
    """Yield the text of each exception that names it, with the gaps that are filled."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Name(id="refusal" | "failure"), args=[ast.Constant(value=str(key))]
                ):
                    yield key, {keyword.arg for keyword in node.keywords}
                case ast.Call(func=ast.Name(id=name)) if name.endswith(("Error", "NotReady")):
                    given = {keyword.arg: keyword.value for keyword in node.keywords}
                    match given:
                        case {
                            "translation_key": ast.Constant(value=str(key)),
                            "translation_placeholders": ast.Dict(keys=gaps),
                        }:
                            yield key, {ast.literal_eval(gap) for gap in gaps if gap}


def test_gaps_of_exceptions() -> None:
    """What is refused or fails fills the gaps of its text, and gives no more."""
    checked = set()
    for key, given in named_texts():
        message = ENGLISH["exceptions"][key]["message"]
        gaps = {name for _, name, _, _ in Formatter().parse(message) if name}
        assert given == gaps, key
        checked.add(key)
    assert {"account_not_loaded", "book_unavailable", "not_tracked"} <= checked


def test_entities() -> None:
    """Every sensor has a name and an icon, and every state of a status both."""
    described = [
        description
        for value in (
            *vars(invoice).values(),
            *vars(account).values(),
            *vars(balance).values(),
            *vars(to_fulfill).values(),
        )
        for description in (value if isinstance(value, tuple) else [value])
    ]
    # Home Assistant's own descriptions are no instances of their class.
    found = {getattr(one, "translation_key", None) for one in described}
    keys = {key for key in found if isinstance(key, str)}
    assert ENGLISH["entity"]["sensor"].keys() == ICONS["entity"]["sensor"].keys() == keys
    statuses = {status.value for status in InvoiceStatus}
    status = ENGLISH["entity"]["sensor"]["status"]
    shown = statuses | {invoice.NOT_FOUND}
    assert status["state"].keys() == shown
    assert ICONS["entity"]["sensor"]["status"]["state"].keys() == shown


def selector_texts(node: Any) -> Iterator[str]:
    """Yield the keys of the texts that fields of triggers, conditions and actions ask for."""
    if isinstance(node, dict):
        if "translation_key" in node:
            yield node["translation_key"]
        for value in node.values():
            yield from selector_texts(value)


def test_selectors() -> None:
    """Every choice has a text, and every text is of a choice that there is."""
    files = ("triggers", "conditions", "services")
    described = [load_yaml_dict(PACKAGE / f"{name}.yaml") for name in files]
    asked = {key for file in described for key in selector_texts(file)}
    asked |= {
        field.key
        for field in AnotherApi.fields
        if any(option.isalpha() for option in field.options)
    }
    assert ENGLISH["selector"].keys() == asked


def test_options() -> None:
    """Every option has a text, and every text is of an option that there is."""
    filters = {CONF_ONLY_CURRENCY, CONF_ONLY_FROM_AMOUNT, CONF_ONLY_ORDER_ID}
    switches = {CONF_AUTO_WATCH, CONF_EVERY_DEVICE, CONF_NAME_FROM_MEMO}
    fulfillment = {CONF_TO_FULFILL, CONF_TO_FULFILL_ISSUE}
    options = {CONF_CLEANUP_AFTER, *switches, *filters, *fulfillment}
    step = ENGLISH["options"]["step"]["init"]
    assert step["data"].keys() == step["data_description"].keys() == options
    assert ENGLISH["options"]["step"].keys() == {"init"}


def test_platforms() -> None:
    """Every platform has texts, and every text is of a platform and an entity that there are."""
    assert ENGLISH["entity"].keys() == ICONS["entity"].keys() == set(PLATFORMS)
    for platform in set(PLATFORMS) - {"sensor"}:
        assert ENGLISH["entity"][platform].keys() <= words_in_code(f"{platform}.py")


def test_attributes() -> None:
    """Every attribute of a status has a name."""
    invoice = Invoice(
        id="1",
        status=InvoiceStatus.PENDING,
        provider_status="new",
        order_id="x",
        pay_amount=Decimal(1),
        pay_currency="x",
        network="x",
        payment_url="x",
        is_test=True,
        local_times=dict.fromkeys(("created_at", "updated_at", "expires_at"), "x"),
    )
    named = ENGLISH["entity"]["sensor"]["status"]["state_attributes"]
    assert named.keys() == {*invoice_attributes(invoice), "paid_at"}


def test_issues() -> None:
    """Every issue says what is wrong, and those that can be fixed have a dialog."""
    of_automations = "automation_busy"
    assert of_automations in words_in_code("delivery/busy.py")
    of_integrations = "provider_interface"
    assert of_integrations in words_in_code("integrations.py")
    assert ENGLISH["issues"].keys() == {*issues.ISSUES, of_automations, of_integrations}
    for key, texts in ENGLISH["issues"].items():
        assert texts["title"]
        assert ("fix_flow" in texts) is (key in issues._FIXABLE)
        assert ("description" in texts) is (key not in issues._FIXABLE)
    code = words_in_code("repairs.py")
    for key in issues._FIXABLE:
        texts = ENGLISH["issues"][key]["fix_flow"]
        assert {*texts.get("abort", ()), *texts.get("error", ())} <= code


def test_system_health() -> None:
    """What is shown of each provider has a text."""
    shown = set()
    for key, provider in PROVIDERS.items():
        shown |= {f"{key}_accounts", f"{key}_invoices", f"{key}_last_reading"}
        if public_address(provider):
            shown.add(f"{key}_reachable")
    assert ENGLISH["system_health"]["info"].keys() == shown


def test_icons_and_texts_agree() -> None:
    """What has an icon has a text: an icon of something that isn't there is a slip."""
    for group in ("triggers", "conditions", "services"):
        assert ICONS.get(group, {}).keys() == ENGLISH.get(group, {}).keys()
    for platform, entities in ICONS["entity"].items():
        assert entities.keys() == ENGLISH["entity"][platform].keys()
        for key, icons in entities.items():
            states: Mapping[str, Any] = ENGLISH["entity"][platform][key].get("state", {})
            assert icons.get("state", {}).keys() <= states.keys()


def test_texts_are_written_with_care() -> None:
    """Texts have no white space around them, no empty ones, and no gaps without a name."""
    for path, text in texts(ENGLISH):
        assert text, path
        assert text == text.strip(), path
        # Home Assistant's hassfest wants neither of these.
        assert not re.search(r"(://|www\.)[a-z0-9]", text, re.IGNORECASE), f"{path}: an address"
        assert not re.search(r"'{\w+}'", text), f"{path}: a gap in single quotes"
        assert not re.search(r"<[a-z/]", text, re.IGNORECASE), f"{path}: HTML"
        for _, name, _, _ in Formatter().parse(text):
            assert name is None or name.isidentifier(), path
