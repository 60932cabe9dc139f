"""The quality scale: no rule is forgotten, and none is called done that isn't."""

import ast
from collections.abc import Callable, Iterator
from importlib import import_module
import inspect
import re
import tomllib

from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity import Entity
import pytest
import yaml

from custom_components import crypto_invoices
from custom_components.crypto_invoices import config_flow, diagnostics, qr
from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.preview import PreviewedProvider

from .conftest import ENGLISH, ICONS, PACKAGE
from .test_metadata import MANIFEST, ROOT

TIERS = {
    "bronze": """
        action-setup appropriate-polling brands common-modules config-flow-test-coverage
        config-flow dependency-transparency docs-actions docs-conditions
        docs-high-level-description docs-installation-instructions docs-removal-instructions
        docs-triggers entity-event-setup entity-unique-id has-entity-name runtime-data
        test-before-configure test-before-setup unique-config-entry
    """,
    "silver": """
        action-exceptions config-entry-unloading docs-configuration-parameters
        docs-installation-parameters entity-unavailable integration-owner log-when-unavailable
        parallel-updates reauthentication-flow test-coverage
    """,
    "gold": """
        devices diagnostics discovery-update-info discovery docs-data-update docs-examples
        docs-known-limitations docs-supported-devices docs-supported-functions
        docs-troubleshooting docs-use-cases dynamic-devices entity-category entity-device-class
        entity-disabled-by-default entity-translations exception-translations icon-translations
        reconfiguration-flow repair-issues stale-devices
    """,
    "platinum": "async-dependency inject-websession strict-typing",
}
TEXT = (PACKAGE / "quality_scale.yaml").read_text()
RULES = yaml.safe_load(TEXT)["rules"]
README = (ROOT / "README.md").read_text()
MODULES = {
    str(path.relative_to(PACKAGE).with_suffix("")).replace("/", ".").removesuffix(".__init__"): (
        path.read_text()
    )
    for path in sorted(PACKAGE.rglob("*.py"))
}
CODE = "\n".join(MODULES.values())


def test_every_rule() -> None:
    """The rules are those of the scale, tier by tier; each is met, or says why it need not be."""
    headed = re.findall(r"^  # (\w+)\n(.*?)(?=^  # |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert [(tier.lower(), set(yaml.safe_load(text))) for tier, text in headed] == [
        (tier, set(rules.split())) for tier, rules in TIERS.items()
    ]
    assert len(RULES) == 54
    for rule, said in RULES.items():
        assert said["status"] in ("done", "exempt"), rule
        assert len(said["comment"]) > 10, rule


def names(tree: ast.AST) -> set[str]:
    """Return what a piece of code refers to."""
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return found | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def function(module: str, name: str) -> ast.AST:
    """Return a function or method of a module."""
    for node in ast.walk(ast.parse(MODULES[module])):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return node
    raise AssertionError(f"{module} has no {name}")


def has_section(title: str) -> Callable[[], bool]:
    """Return whether the README has something under a heading."""
    return lambda: bool(re.search(rf"^##+ {re.escape(title)}\n\n.", README, re.MULTILINE))


def platforms() -> list[str]:
    """Return the platforms by the name of their module."""
    return [platform.value for platform in crypto_invoices.PLATFORMS]


def entity_classes() -> Iterator[type[Entity]]:
    """Yield the classes of the entities."""
    for name in MODULES:
        if name.partition(".")[0] not in platforms():
            continue
        module = import_module(f"{crypto_invoices.__name__}.{name}")
        for _, found in inspect.getmembers(module, inspect.isclass):
            if found.__module__.startswith(crypto_invoices.__name__) and issubclass(found, Entity):
                yield found


def test_entities_are_found() -> None:
    """Each platform has entities: what is said of all of them is said of something."""
    assert len(platforms()) >= 3
    modules = {
        found.__module__.removeprefix(f"{crypto_invoices.__name__}.") for found in entity_classes()
    }
    assert set(platforms()) <= {module.partition(".")[0] for module in modules}


def subscribes_in_time() -> bool:
    """Whether entities wait until they are there before they listen."""
    listeners = re.compile("async_(dispatcher_connect|listen|track_.*|add_.*listener)")
    for module in {found.__module__ for found in entity_classes()}:
        for node in ast.walk(ast.parse(MODULES[module.partition("crypto_invoices.")[2]])):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                assert not [name for name in names(node) if listeners.fullmatch(name)]
    return True


def is_documented(group: str) -> bool:
    """Whether what a group has is in the README; tests/test_docs.py looks at each entry."""
    return all(f"`crypto_invoices.{key}`" in README for key in ENGLISH[group])


def fields_are_documented() -> bool:
    """Whether the README has every field that is asked for."""
    for key, provider in PROVIDERS.items():
        step = ENGLISH["config"]["step"][key]
        labels = {**step["data"], **step["sections"]["advanced"]["data"]}
        where = README
        if issubclass(provider, PreviewedProvider):
            labels |= ENGLISH["config"]["step"]["preview"]["data"]
            where = (ROOT / "docs" / "providers.md").read_text()
        for field in provider.fields:
            assert f"**{labels[field.key].partition(' (')[0]}**" in where, field.key
    return True


def options_are_documented() -> bool:
    """Whether the README has every option."""
    steps = ENGLISH["options"]["step"].values()
    return all(f"**{label}**" in README for step in steps for label in step["data"].values())


def exceptions_are_translated() -> bool:
    """Whether every exception that Home Assistant shows names its text."""
    homeassistant_errors = set()
    for module in MODULES:
        for name, found in vars(import_module(f"{crypto_invoices.__name__}.{module}")).items():
            if inspect.isclass(found) and issubclass(found, HomeAssistantError):
                homeassistant_errors.add(name)
    assert {"ServiceValidationError", "UpdateFailed"} <= homeassistant_errors
    # Home Assistant has words of its own for these, and takes no others.
    homeassistant_errors -= {"Unauthorized", "UnknownUser"}
    for node in ast.walk(ast.parse(CODE)):
        if isinstance(node, ast.Raise):
            assert not (isinstance(node.exc, ast.Name) and node.exc.id in homeassistant_errors)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in homeassistant_errors
        ):
            said = {keyword.arg for keyword in node.keywords}
            assert {"translation_domain", "translation_key"} <= said, ast.unparse(node)
    return True


def imports() -> set[str]:
    """Return the packages that the integration imports."""
    found = set()
    for node in ast.walk(ast.parse(CODE)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def sessions_are_injected() -> bool:
    """Whether Home Assistant's session is used, or at least its connections are."""
    own = [
        {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        for node in ast.walk(ast.parse(CODE))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "ClientSession"
    ]
    assert all(given["connector"] == "shared.connector" for given in own)
    assert all(given["connector_owner"] == "False" for given in own)
    return "async_get_clientsession" in MODULES["clients"]


def flow_has(*steps: str) -> bool:
    """Whether the config flow has steps, with their texts where they show something."""
    return all(hasattr(config_flow.CryptoInvoicesConfigFlow, f"async_step_{s}") for s in steps)


def coverage() -> int:
    """Return the percentage below which the tests fail."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]
    assert settings["run"]["source"] == [str(PACKAGE.relative_to(ROOT))]
    assert "omit" not in settings["run"] | settings["report"]
    assert not settings["report"].get("skip_covered")
    return int(settings["report"]["fail_under"])


# Whether what a rule wants is there, where a machine can see it.
COUNTERPARTS: dict[str, Callable[[], object]] = {
    "action-setup": lambda: "async_setup_services" in names(function("__init__", "async_setup")),
    "appropriate-polling": lambda: (
        MANIFEST["iot_class"] == "cloud_polling" and "scan_interval" not in CODE
    ),
    "brands": (PACKAGE / "brand" / "icon.png").is_file,
    "common-modules": lambda: {"coordinator", "entity"} <= MODULES.keys(),
    "config-flow-test-coverage": (ROOT / "tests" / "dialogs" / "test_config_flow.py").is_file,
    "config-flow": lambda: MANIFEST["config_flow"],
    "dependency-transparency": lambda: all("==" in name for name in qr.REQUIREMENTS),
    "docs-actions": lambda: is_documented("services"),
    "docs-conditions": lambda: is_documented("conditions"),
    "docs-high-level-description": lambda: all(
        provider.name.partition(" (")[0] in README.partition("##")[0]
        for provider in PROVIDERS.values()
    ),
    "docs-installation-instructions": has_section("Install"),
    "docs-removal-instructions": has_section("Remove it"),
    "docs-triggers": lambda: is_documented("triggers"),
    "entity-event-setup": subscribes_in_time,
    "has-entity-name": lambda: all(found._attr_has_entity_name for found in entity_classes()),
    "runtime-data": lambda: (
        re.search(r"entry\.runtime_data = ", MODULES["__init__"])
        and "hass.data[DOMAIN]" not in CODE
    ),
    "test-before-configure": lambda: "async_get_account" in MODULES["dialogs.proof"],
    "test-before-setup": lambda: (
        "ConfigEntryNotReady" in names(function("setting_up", "_not_ready"))
    ),
    "unique-config-entry": lambda: "_abort_if_unique_id_configured" in MODULES["dialogs.set_up"],
    "action-exceptions": lambda: (
        {"HomeAssistantError", "ServiceValidationError"}
        <= names(ast.parse(MODULES["actions.common"]))
    ),
    "config-entry-unloading": lambda: function("__init__", "async_unload_entry"),
    "docs-configuration-parameters": lambda: (
        "async_get_options_flow" in MODULES["config_flow"] and options_are_documented()
    ),
    "docs-installation-parameters": fields_are_documented,
    "entity-unavailable": lambda: function("entity", "available"),
    "integration-owner": lambda: MANIFEST["codeowners"],
    "parallel-updates": lambda: all(
        re.search(r"^PARALLEL_UPDATES = \d+$", MODULES[platform], re.MULTILINE)
        for platform in platforms()
    ),
    "reauthentication-flow": lambda: flow_has("reauth", "reauth_confirm"),
    "test-coverage": lambda: coverage() >= 95,
    "devices": lambda: "DeviceInfo" in names(ast.parse(MODULES["devices"])),
    "diagnostics": lambda: diagnostics.async_get_config_entry_diagnostics,
    "discovery-update-info": lambda: MANIFEST.keys() & {"bluetooth", "dhcp", "ssdp", "zeroconf"},
    "discovery": lambda: MANIFEST.keys() & {"bluetooth", "dhcp", "ssdp", "zeroconf"},
    "docs-data-update": has_section("How often it polls"),
    "docs-examples": lambda: "```yaml" in README,
    "docs-known-limitations": has_section("Known limitations"),
    "docs-supported-functions": has_section("What you see"),
    "docs-troubleshooting": has_section("Troubleshooting"),
    "docs-use-cases": has_section("What it is good for"),
    "dynamic-devices": lambda: function("entity", "async_add_invoice_entities"),
    "entity-category": lambda: "EntityCategory.DIAGNOSTIC" in CODE,
    "entity-device-class": lambda: all(
        f"SensorDeviceClass.{kind}" in CODE for kind in ("ENUM", "MONETARY", "TIMESTAMP")
    ),
    "entity-disabled-by-default": lambda: "entity_registry_enabled_default=False" in CODE,
    "entity-translations": lambda: set(platforms()) <= ENGLISH["entity"].keys(),
    "exception-translations": exceptions_are_translated,
    "icon-translations": lambda: (
        set(platforms()) <= ICONS["entity"].keys() and not re.search(r"\bicon=|_attr_icon", CODE)
    ),
    "reconfiguration-flow": lambda: flow_has("reconfigure"),
    "repair-issues": lambda: function("repairs", "async_create_fix_flow"),
    "stale-devices": lambda: function("__init__", "async_remove_config_entry_device"),
    "async-dependency": lambda: not imports() & {"httpx", "requests", "urllib3"},
    "inject-websession": sessions_are_injected,
    "strict-typing": lambda: (
        (PACKAGE / "py.typed").is_file()
        and tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["strict"]
        and not re.search(r"type: ignore|\bcast\(", CODE)
    ),
}
# What a machine can't see: a person, or the tests of behavior that the comment names.
BY_EYE = {"docs-supported-devices", "entity-unique-id", "log-when-unavailable"}


def test_every_rule_is_looked_at() -> None:
    """A rule has a counterpart that is looked for, or is known to need a person."""
    assert COUNTERPARTS.keys() | BY_EYE == RULES.keys()
    assert not COUNTERPARTS.keys() & BY_EYE


@pytest.mark.parametrize("rule", COUNTERPARTS)
def test_counterpart(rule: str) -> None:
    """What a rule wants is there if it is done, and isn't if there is nothing to do it to."""
    assert bool(COUNTERPARTS[rule]()) is (RULES[rule]["status"] == "done")
