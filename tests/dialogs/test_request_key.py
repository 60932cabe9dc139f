"""A key that the provider's own page makes and posts to us, over HTTP as a browser does it."""

from html.parser import HTMLParser
from http import HTTPStatus
import logging
import re
from typing import Any

from aiohttp import ClientSession
from aiohttp.test_utils import TestClient
from homeassistant.config_entries import SOURCE_REAUTH, SOURCE_RECONFIGURE
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from yarl import URL

from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.notifications.new_key import async_expect_key
from tests.conftest import AddAccount, SandboxServer, async_settle, async_setup_views, watched

FLOWS = "/api/config/config_entries/flow"
HTTPS = {"HA-Frontend-Base": "https://ha.example.com"}
HTTP = {"HA-Frontend-Base": "http://ha.local:8123"}

type Json = dict[str, Any]


class Form(HTMLParser):
    """The hidden fields of a form, and where it goes."""

    def __init__(self, page: str) -> None:
        """Read a page."""
        super().__init__()
        self.action = ""
        self.fields: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what matters."""
        given = dict(attrs)
        if tag == "form":
            self.action = given.get("action") or ""
        if tag == "input" and given.get("type") == "hidden":
            self.fields.append((given["name"] or "", given.get("value") or ""))


class Browser:
    """A user's browser: the frontend, the provider's page, and our page for the key."""

    def __init__(
        self, home: TestClient[Any, Any], anybody: TestClient[Any, Any], headers: dict[str, str]
    ) -> None:
        """Open Home Assistant, as its user and as anybody."""
        self.home = home
        self.anybody = anybody
        self.headers = headers

    async def begin(self, entry_id: str | None = None) -> Json:
        """Begin to add an account, or to change one."""
        body: Json = {"handler": DOMAIN}
        if entry_id:
            body["entry_id"] = entry_id
        async with self.home.post(FLOWS, json=body, headers=self.headers) as answer:
            result: Json = await answer.json()
            return result

    async def submit(self, dialog: Json, form: Json | None = None) -> Json:
        """Submit a form, or have the dialog go on."""
        path = f"{FLOWS}/{dialog['flow_id']}"
        async with self.home.post(path, json=form or {}, headers=self.headers) as answer:
            assert answer.status == HTTPStatus.OK, await answer.text()
            result: Json = await answer.json()
            return result

    async def choose(self, dialog: Json, option: str) -> Json:
        """Choose from a menu."""
        return await self.submit(dialog, {"next_step_id": option})

    async def close(self, dialog: Json) -> None:
        """Close a dialog."""
        async with self.home.delete(f"{FLOWS}/{dialog['flow_id']}") as answer:
            assert answer.status == HTTPStatus.OK

    async def confirm(self, page: str, command: str = "Authorize") -> Form:
        """Confirm on the provider's page, and return the form that its answer posts."""
        async with ClientSession() as session:
            async with session.get(page) as answer:
                assert answer.status == HTTPStatus.OK
                asked = Form(await answer.text())
            form = [*asked.fields, ("command", command)]
            async with session.post(page, data=form) as answer:
                return Form(await answer.text())

    async def post(self, form: Form) -> tuple[int, str]:
        """Post the key, and return what is shown."""
        path = URL(form.action).path
        async with self.anybody.post(path, data=form.fields) as answer:
            assert answer.content_type == "text/html"
            assert answer.headers["Cache-Control"] == "no-store"
            return answer.status, await answer.text()


@pytest.fixture
async def browser(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    hass_client_no_auth: ClientSessionGenerator,
) -> Browser:
    """Open Home Assistant at an https address."""
    assert await async_setup_component(hass, "config", {})
    await async_setup_views(hass)
    async_expect_key(hass, "nobody's")
    return Browser(await hass_client(), await hass_client_no_auth(), dict(HTTPS))


async def async_open_page(browser: Browser, sandbox: SandboxServer, **may: bool) -> Json:
    """Go on until the provider's page opens."""
    dialog = await browser.choose(await browser.begin(), "btcpay")
    assert dialog["menu_options"] == ["request_key", "enter_key"]
    dialog = await browser.choose(dialog, "request_key")
    assert [field["name"] for field in dialog["data_schema"]] == ["url", "may_create", "may_cancel"]
    dialog = await browser.submit(dialog, {"url": sandbox.url, **may})
    assert dialog["type"] == "external", dialog
    return dialog


@pytest.mark.parametrize(
    ("may", "more"),
    [
        ({}, set()),
        ({"may_create": True}, {"btcpay.store.cancreateinvoice"}),
        (
            {"may_create": True, "may_cancel": True},
            {"btcpay.store.cancreateinvoice", "btcpay.store.canmodifyinvoices"},
        ),
    ],
    ids=["watch", "create", "cancel"],
)
async def test_set_up(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    browser: Browser,
    caplog: pytest.LogCaptureFixture,
    may: dict[str, bool],
    more: set[str],
) -> None:
    """Nothing is copied, the key may do what was chosen, and it is in no log."""
    caplog.set_level(logging.DEBUG)
    invoice = sandbox.store.create("btcpay")
    dialog = await async_open_page(browser, sandbox, **may)
    page = URL(dialog["url"])
    assert page.origin() == URL(sandbox.url)
    assert set(page.query.getall("permissions")) == more | {
        "btcpay.store.canviewinvoices",
        "btcpay.store.webhooks.canmodifywebhooks",
    }
    assert page.query["redirect"].startswith(f"https://ha.example.com/auth/{DOMAIN}/")
    form = await browser.confirm(dialog["url"])
    status, text = await browser.post(form)
    assert status == HTTPStatus.OK
    assert "You can close this page." in text

    dialog = await browser.submit(dialog)
    assert dialog["step_id"] == "invoices"
    dialog = await browser.submit(
        dialog, {"open_invoices": [invoice.id], "auto_watch": False, "invoices": ""}
    )
    assert dialog["type"] == "create_entry"
    await async_settle(hass)
    [entry] = hass.config_entries.async_entries(DOMAIN)
    [(key, permissions)] = sandbox.issued_keys.items()
    assert entry.data["api_key"] == key
    assert {policy.partition(":")[0] for policy in permissions} >= more
    assert watched(entry) == [invoice.id]
    assert key not in caplog.text


async def test_used_twice(sandbox: SandboxServer, browser: Browser) -> None:
    """A second post, a made-up path and a look at the page change nothing and say what to do."""
    dialog = await async_open_page(browser, sandbox)
    form = await browser.confirm(dialog["url"])
    assert (await browser.post(form))[0] == HTTPStatus.OK
    made_up = Form("")
    made_up.action, made_up.fields = f"/auth/{DOMAIN}/made-up", form.fields
    for again in (form, made_up):
        status, text = await browser.post(again)
        assert status == HTTPStatus.BAD_REQUEST
        assert "start again in Home Assistant" in text
        assert "<script>" not in text
    async with browser.anybody.get(URL(form.action).path) as answer:
        assert answer.status == HTTPStatus.BAD_REQUEST
    assert (await browser.submit(dialog))["step_id"] == "invoices"


async def test_closed_dialog(hass: HomeAssistant, sandbox: SandboxServer, browser: Browser) -> None:
    """A key for a dialog that is closed goes nowhere, and the page says so."""
    dialog = await async_open_page(browser, sandbox)
    form = await browser.confirm(dialog["url"])
    await browser.close(dialog)
    status, text = await browser.post(form)
    assert status == HTTPStatus.BAD_REQUEST
    assert "its dialog was closed" in text
    assert not hass.config_entries.async_entries(DOMAIN)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("apiKey", "")],
        [("apiKey", "ключ")],
        [("apiKey", "a\nb")],
        [("apiKey", "x" * 10_000)],
        [("apiKey", "x" * 1_000_000)],
        [("key", "x")],
    ],
    ids=["nothing", "empty", "script", "lines", "long", "huge", "other name"],
)
async def test_no_key(
    sandbox: SandboxServer, browser: Browser, fields: list[tuple[str, str]]
) -> None:
    """What is no key is not taken, and the right one still is."""
    dialog = await async_open_page(browser, sandbox)
    right = await browser.confirm(dialog["url"])
    wrong = Form("")
    wrong.action, wrong.fields = right.action, fields
    status, text = await browser.post(wrong)
    assert status in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    assert "pass on a key" in text
    assert (await browser.post(right))[0] == HTTPStatus.OK
    assert (await browser.submit(dialog))["step_id"] == "invoices"


async def test_page_refused(sandbox: SandboxServer, browser: Browser) -> None:
    """Whoever cancels at the provider finds the dialog as it was, and may open the page again."""
    dialog = await async_open_page(browser, sandbox)
    assert not (await browser.confirm(dialog["url"], "Cancel")).action
    again = await browser.submit(dialog)
    assert (again["type"], again["url"]) == ("external", dialog["url"])
    assert (await browser.post(await browser.confirm(again["url"])))[0] == HTTPStatus.OK


async def test_key_that_does_not_work(sandbox: SandboxServer, browser: Browser) -> None:
    """A key that is refused is in the form that asks for one, with what is wrong."""
    dialog = await async_open_page(browser, sandbox)
    form = await browser.confirm(dialog["url"])
    sandbox.issued_keys.clear()
    await browser.post(form)
    dialog = await browser.submit(dialog)
    assert dialog["step_id"] == "btcpay"
    assert dialog["errors"] == {"api_key": "invalid_auth"}


async def test_bad_address(sandbox: SandboxServer, browser: Browser) -> None:
    """No page is opened at what is no address."""
    dialog = await browser.choose(await browser.begin(), "btcpay")
    dialog = await browser.choose(dialog, "request_key")
    for typed, error in (
        ("  ", "required"),
        ("javascript:alert(1)", "url_without_scheme"),
        ("http://pay.example.com", "url_not_encrypted"),
    ):
        dialog = await browser.submit(dialog, {"url": typed, "may_create": True})
        assert dialog["errors"] == {"url": error}
    chosen = {field["name"]: field.get("default") for field in dialog["data_schema"]}
    assert chosen == {"url": None, "may_create": True, "may_cancel": False}


async def test_not_encrypted(sandbox: SandboxServer, browser: Browser) -> None:
    """Where Home Assistant's page isn't encrypted, a key is entered as ever."""
    browser.headers = dict(HTTP)
    dialog = await browser.choose(await browser.begin(), "btcpay")
    assert (dialog["type"], dialog["step_id"]) == ("form", "btcpay")


async def test_enter_a_key(sandbox: SandboxServer, browser: Browser) -> None:
    """The form to paste a key is beside it."""
    dialog = await browser.choose(await browser.begin(), "btcpay")
    dialog = await browser.choose(dialog, "enter_key")
    assert dialog["step_id"] == "btcpay"
    dialog = await browser.submit(dialog, sandbox.credentials_form("btcpay"))
    assert dialog["step_id"] == "invoices"


@pytest.mark.parametrize("source", [SOURCE_REAUTH, SOURCE_RECONFIGURE])
async def test_new_key(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    browser: Browser,
    source: str,
) -> None:
    """An account gets its new key in the same way; everything else of it stays."""
    await hass.config.async_update(external_url="https://ha.example.com")
    invoice = sandbox.store.create("btcpay")
    entry = await add_account("btcpay", invoice.id)
    before = dict(entry.data)
    if source == SOURCE_REAUTH:
        entry.async_start_reauth(hass)
        await hass.async_block_till_done()
        [flow] = hass.config_entries.flow.async_progress()
        dialog: Json = dict(flow)
    else:
        dialog = await browser.begin(entry.entry_id)
    assert dialog["step_id"] == f"{source}_key"
    dialog = await browser.choose(dialog, "request_key")
    assert [field["name"] for field in dialog["data_schema"]] == ["may_create", "may_cancel"]
    dialog = await browser.submit(dialog, {"may_create": True, "may_cancel": False})
    form = await browser.confirm(dialog["url"])
    assert (await browser.post(form))[0] == HTTPStatus.OK
    dialog = await browser.submit(dialog)
    ends = {SOURCE_REAUTH: "reauth_successful", SOURCE_RECONFIGURE: "reconfigure_successful"}
    assert dialog["reason"] == ends[source]
    await async_settle(hass)
    [key] = sandbox.issued_keys
    assert dict(entry.data) == before | {"api_key": key}
    assert watched(entry) == [invoice.id]


async def test_new_key_where_nothing_is_encrypted(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, browser: Browser
) -> None:
    """A page that turns out not to be encrypted says so, and the form for a key is there."""
    entry = await add_account("btcpay", sandbox.store.create("btcpay").id)
    for url, step_id in ((None, "reauth_confirm"), ("https://ha.example.com", "reauth_key")):
        await hass.config.async_update(external_url=url)
        entry.async_start_reauth(hass)
        await hass.async_block_till_done()
        [flow] = hass.config_entries.flow.async_progress()
        assert flow["step_id"] == step_id
        if url is None:
            hass.config_entries.flow.async_abort(flow["flow_id"])
    browser.headers = dict(HTTP)
    dialog = await browser.choose(dict(flow), "request_key")
    dialog = await browser.submit(dialog, {"may_create": False, "may_cancel": False})
    assert dialog["errors"] == {"base": "key_page_not_encrypted"}
    hass.config_entries.flow.async_abort(flow["flow_id"])


async def test_path_is_not_guessed(hass: HomeAssistant, browser: Browser) -> None:
    """Each path is its own, and long."""
    paths = {async_expect_key(hass, f"dialog {number}") for number in range(50)}
    assert len(paths) == 50
    assert all(re.fullmatch(rf"/auth/{DOMAIN}/[\w-]{{43}}", path) for path in paths)
