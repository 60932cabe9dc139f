"""The documentation is true where a machine can see it."""

import ast
from collections.abc import Iterator
import io
import json
from pathlib import Path
import re
import tokenize
from typing import Any

from homeassistant.components.automation.const import DOMAIN as AUTOMATION_DOMAIN
from homeassistant.core import HomeAssistant, SupportsResponse
from homeassistant.setup import async_setup_component
from PIL import Image
import pytest
import yaml

from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.providers import PROVIDERS
from sandbox import registry
from sandbox.faults import Fault
from sandbox.states import Action

from .conftest import ENGLISH, PACKAGE, async_automate
from .test_translations import texts

ROOT = PACKAGE.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
DESCRIBED = {"triggers": "automations", "conditions": "automations", "services": "actions"}

# How nobody speaks, and what to write instead.
HABITS = {
    r"shall": "should, or will",
    r"by (?:itself|themselves)": "automatically",
    r"tells?|told": "report, return, show, or notify",
    r"(?:a|each|next|another|more|later) looks?|looks? (?:at|again)": "poll, read, or check",
    r"at once": "immediately, or together",
    r"so many": "a number",
    r"(?:is|are|was|were) to be": "a noun, or an active verb",
    r"all the same": "still, or anyway",
    r"any more": "no longer",
    r"watched on|watching goes on|goes on": "is still watched, continues",
    r"something unreadable": "an invalid response",
    r"have a look": "check",
    r"whichever (?:it is|they are)": "any",
    r"befalls?|meddles?|ordeals?": "what happens",
    r"what (?:it|they) brought": "its money, the total",
    r"has trouble of its own": "reports an error",
    r"own making|made by hand": "self-signed, that you create",
    r"(?:isn't|aren't|doesn't|don't|can't|won't|(?<!or )not)(?=[.;!])": "a sentence that says what is",
}
HABIT = re.compile(rf"\b(?:{'|'.join(HABITS)})(?!\w)", re.IGNORECASE)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Return what can be linked to on a page, as GitHub names it."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


def section(page: Path, title: str) -> str:
    """Return what is under a heading, up to the next."""
    found = re.search(
        rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", page.read_text(), re.MULTILINE | re.DOTALL
    )
    assert found, f"{page.name} has no {title!r}"
    return found[1]


@each_page
def test_links(page: Path) -> None:
    """A link within the repository leads to a page that is there, and to a heading on it."""
    for link in LINK.findall(prose(page)):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def habits(text: str) -> list[str]:
    """Return what nobody would say in a text; what is quoted as code may say anything."""
    return HABIT.findall(re.sub(r"`[^`]*`|\{\w+\}", "", text))


@pytest.mark.parametrize(
    "page",
    [*PAGES, ROOT / "CHANGELOG.md", ROOT / ".github" / "SECURITY.md"],
    ids=lambda page: page.name,
)
def test_plain_words_of_pages(page: Path) -> None:
    """A page is written as people speak."""
    assert habits(prose(page)) == [], HABITS


@pytest.mark.parametrize(
    ("path", "text"), [pytest.param(path, text, id=path) for path, text in texts(ENGLISH)]
)
def test_plain_words_of_texts(path: str, text: str) -> None:
    """A text on the screen is written as people speak."""
    assert habits(text) == [], f"{path}: {HABITS}"


def comments(source: str) -> Iterator[str]:
    """Yield the comments and docstrings of a module."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda module: module.stem)
def test_plain_words_of_code(module: Path) -> None:
    """Comments and docstrings use the field's words; they may end with a negation."""
    found = [habit for text in comments(module.read_text()) for habit in habits(text)]
    assert [
        habit for habit in found if not re.fullmatch(r"\w+n't|not", habit, re.IGNORECASE)
    ] == [], HABITS


@pytest.mark.parametrize(
    "text",
    [
        "Watch new invoices by themselves",
        "The account doesn't tell when something is paid.",
        "It works, and there is none that doesn't.",
        "It is read at the next look.",
    ],
)
def test_a_habit_is_found(text: str) -> None:
    """These tests find what they are for."""
    assert habits(text)
    assert not habits(f"As it was called: `{text}`")


def test_every_page_is_linked() -> None:
    """Whoever starts at the README finds everything."""
    seen, new = set[Path](), {ROOT / "README.md"}
    while new:
        page = new.pop()
        seen.add(page)
        links = (link.partition("#")[0] for link in LINK.findall(prose(page)))
        new |= {page.parent.joinpath(link).resolve() for link in links if link.endswith(".md")}
        new -= seen
    assert set(PAGES) <= seen


@pytest.mark.parametrize(
    ("group", "key"), [(group, key) for group in DESCRIBED for key in ENGLISH.get(group, {})]
)
def test_described(group: str, key: str) -> None:
    """Each trigger, condition and action has its section, with its options and an example."""
    described = ENGLISH[group][key]
    page = ROOT / "docs" / f"{DESCRIBED[group]}.md"
    text = section(page, described["name"])
    assert f"crypto_invoices.{key}" in text
    assert f"`crypto_invoices.{key}`" in (ROOT / "README.md").read_text()
    shared = section(page, group.title()) if group != "services" else ""
    for field in described.get("fields", {}):
        assert f"`{field}`" in text + shared, field


@pytest.mark.parametrize(
    "picture", sorted((ROOT / "docs" / "images").iterdir()), ids=lambda p: p.name
)
def test_pictures(picture: Path) -> None:
    """A picture shows today's texts: script/screenshots notes in it which it shows."""
    with Image.open(picture) as image:
        comment = image.info["comment"]
    shown = json.loads(comment)
    today = {path.removeprefix("."): text for path, text in texts(ENGLISH)}
    assert shown
    assert shown == {key: today.get(key) for key in shown}, "run script/screenshots"


def test_sandbox() -> None:
    """Whoever uses the sandbox finds all that it can do: its actions, faults and settings."""
    text = section(ROOT / "CONTRIBUTING.md", "The sandbox")
    words = {*Action, *Fault}
    for provider in registry.PROVIDERS.values():
        for setting, choices in provider.settings.items():
            assert re.search(rf"\| `{provider.key}` \| `{setting}`", text), setting
            words |= set(choices)
    assert {word for word in words if f"`{word}`" not in text} == set()


def test_report() -> None:
    """Whoever reports a problem can say at which provider."""
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text())
    [field] = [field for field in form["body"] if field.get("id") == "provider"]
    assert {provider.name for provider in PROVIDERS.values()} <= set(field["attributes"]["options"])


def examples() -> Iterator[tuple[str, Any]]:
    """Yield the examples of automations, with where they are."""
    for page in PAGES:
        for number, (language, code) in enumerate(FENCE.findall(page.read_text())):
            if language == "yaml":
                yield f"{page.name}-{number}", yaml.safe_load(code)


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(found, id=id_)
        for id_, found in examples()
        if isinstance(found, dict) and found.keys() & {"triggers", "conditions", "actions"}
    ],
)
async def test_automations(
    hass: HomeAssistant, example: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """What is shown can be pasted: Home Assistant takes it, and it listens."""
    rest = {"triggers": [{"trigger": "event", "event_type": "test"}], "actions": []}
    await async_automate(hass, {**rest, **example})
    [state] = hass.states.async_all(AUTOMATION_DOMAIN)
    assert state.state == "on", caplog.text
    await hass.services.async_call("automation", "turn_off", {"entity_id": "all"}, blocking=True)


def our_actions(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the steps of an example that run one of our actions."""
    if isinstance(node, dict):
        if str(node.get("action", "")).startswith(f"{DOMAIN}."):
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from our_actions(item)


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(step, id=f"{id_}-{step['action']}")
        for id_, found in examples()
        for step in our_actions(found)
    ],
)
async def test_actions(hass: HomeAssistant, step: dict[str, Any]) -> None:
    """What is shown of an action is what it takes."""
    assert await async_setup_component(hass, DOMAIN, {})
    action = hass.services.async_services_for_domain(DOMAIN)[step["action"].partition(".")[2]]
    assert action.schema
    action.schema(step.get("data", {}))
    if "response_variable" in step:
        assert action.supports_response is not SupportsResponse.NONE
