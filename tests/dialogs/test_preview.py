"""An API of the user's own: described in a dialog, seen before it is saved, then watched."""

from collections import Counter
from collections.abc import AsyncGenerator
from decimal import Decimal
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from homeassistant.components.webhook import async_handle_webhook
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.util.aiohttp import MockRequest
import pytest

from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.diagnostics import async_get_config_entry_diagnostics
from custom_components.crypto_invoices.notifications import nameless
from tests.conftest import (
    FlowResult,
    async_later,
    async_open_credentials,
    async_settle,
    async_submit,
    fields_of,
    kept,
    open_dialog,
    pass_time,
    state_of,
    watched,
    watched_name,
)

PROVIDER = "another_api"
KEY = "shop-key-42"
PATHS = {
    "status_path": "order.payments.0.state",
    "words_paid": "settled",
    "words_pending": "new",
    "amount_path": "order.cents",
    "amount_factor": "0.01",
    "currency_path": "order.currency",
    "order_path": "order.reference",
}


class Shop:
    """A shop's own API, in no preset."""

    def __init__(self) -> None:
        """Open without orders."""
        self.url = ""
        self.key = KEY
        self.orders: dict[str, dict[str, Any]] = {}
        self.asked: Counter[str] = Counter()
        self.answer: web.Response | None = None
        self.answers_large = False

    def order(self, id_: str, state: str = "new", **more: Any) -> str:
        """Take an order."""
        self.orders[id_] = {
            "payments": [{"state": state}],
            "cents": 2490,
            "currency": "EUR",
            "reference": f"Coffee {id_}",
            "client_secret": "made-up-secret",
            **more,
        }
        return id_

    async def async_answer(self, request: web.Request) -> web.StreamResponse:
        """Answer as the shop does."""
        id_ = request.match_info["id"]
        self.asked[id_] += 1
        if self.answers_large:
            return web.Response(body=b" " * (4 * 1024 * 1024 + 1), content_type="application/json")
        if self.answer is not None:
            return web.Response(
                body=self.answer.body,
                status=self.answer.status,
                headers=self.answer.headers,
            )
        if request.headers.get("X-Key") != self.key:
            return web.json_response({"error": "key"}, status=HTTPStatus.UNAUTHORIZED)
        if id_ not in self.orders:
            return web.json_response({"error": "order"}, status=HTTPStatus.NOT_FOUND)
        return web.json_response({"order": self.orders[id_]})

    @property
    def access(self) -> dict[str, Any]:
        """What the first form wants."""
        return {
            "url": f"{self.url}/orders/{{id}}",
            "api_key": self.key,
            "key_header": "X-Key",
            "key_form": "{key}",
            "advanced": {"requests_per_minute": "600", "verify_ssl": True},
        }


@pytest.fixture
async def shop(socket_enabled: None) -> AsyncGenerator[Shop]:
    """Serve a shop on loopback."""
    shop = Shop()
    app = web.Application()
    app.router.add_get("/orders/{id}", shop.async_answer)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    shop.url = str(server.make_url("")).rstrip("/")
    yield shop
    await server.close()


async def async_open(hass: HomeAssistant, preset: str = "none") -> FlowResult:
    """Open the first form."""
    result = await async_open_credentials(hass, PROVIDER)
    assert result["type"] is FlowResultType.MENU
    return await async_submit(hass, result, {"next_step_id": f"preset_{preset}"})


async def async_open_preview(hass: HomeAssistant, shop: Shop, **changes: Any) -> FlowResult:
    """Open the second form."""
    form = {**shop.access, **changes}
    form["advanced"] = {**shop.access["advanced"], **form["advanced"]}
    result = await async_submit(hass, await async_open(hass), form)
    assert result["step_id"] == "preview", result["errors"]
    return result


async def async_open_change(hass: HomeAssistant, entry: ConfigEntry) -> FlowResult:
    """Open the first form for an account that there is."""
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )


async def async_accept(hass: HomeAssistant, result: FlowResult) -> FlowResult:
    """Say that what is read is right."""
    assert result["step_id"] == "read", result["errors"]
    return await async_submit(hass, result, {"next_step_id": "accept"})


async def async_set_up(hass: HomeAssistant, shop: Shop, *ids: str, **changes: Any) -> ConfigEntry:
    """Set up an account with orders."""
    shown = await async_open_preview(hass, shop, **changes)
    shown = await async_submit(hass, shown, {"sample_id": ids[0], **PATHS})
    shown = await async_accept(hass, shown)
    assert shown["step_id"] == "invoices", shown["errors"]
    shown = await async_submit(hass, shown, {"invoices": " ".join(ids)})
    assert shown["type"] is FlowResultType.CREATE_ENTRY
    await async_settle(hass)
    entry: ConfigEntry = shown["result"]
    return entry


async def test_newcomer(hass: HomeAssistant, shop: Shop) -> None:
    """From the menu to a watched order: the answer is shown, then what is read, then it is saved."""
    shop.order("a-1")
    result = await async_open_preview(hass, shop)
    assert not shop.asked
    assert result["description_placeholders"]["answer"] == "-"

    result = await async_submit(hass, result, {"sample_id": "a-1"})
    assert result["errors"] == {"status_path": "required", "words_paid": "required"}
    answer = result["description_placeholders"]["answer"]
    assert '"state": "new"' in answer
    assert "made-up-secret" not in answer
    assert kept(result["data_schema"])["sample_id"] == "a-1"

    result = await async_submit(hass, result, {"sample_id": "a-1", **PATHS})
    assert result["step_id"] == "read"
    assert '"state": "new"' in result["description_placeholders"]["answer"]
    read = result["description_placeholders"]["read"].splitlines()
    assert read[2:] == [
        "| `order.payments.0.state` | `new` | **Pending** |",
        "| `order.cents` | `2490` | `24.90 EUR` |",
        "| `order.currency` | `EUR` | `EUR` |",
        "| `order.reference` | `Coffee a-1` | `Coffee a-1` |",
    ]
    assert not hass.config_entries.async_entries(DOMAIN)

    result = await async_submit(hass, result, {"next_step_id": "preview"})
    assert kept(result["data_schema"]) == {"sample_id": "a-1", **PATHS}
    result = await async_submit(hass, result, {"sample_id": "a-1", **PATHS})
    result = await async_accept(hass, result)
    assert result["step_id"] == "invoices"
    assert kept(result["data_schema"]) == {"invoices": "a-1"}
    for wrong in ("a/../b", "b-2"):
        result = await async_submit(hass, result, {"invoices": wrong})
        assert result["type"] is FlowResultType.FORM
        assert wrong in result["description_placeholders"].values()
    result = await async_submit(hass, result, {"invoices": "a-1"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["description"] == PROVIDER
    await async_settle(hass)
    entry = result["result"]
    assert entry.title == "127.0.0.1"
    assert watched_name(hass, entry, "a-1") == "Coffee a-1"
    assert state_of(hass, entry, "a-1", "status").state == "pending"
    amount = state_of(hass, entry, "a-1", "amount")
    assert (Decimal(amount.state), amount.attributes["unit_of_measurement"]) == (
        Decimal("24.90"),
        "EUR",
    )
    shop.order("a-1", "settled")
    await async_later(hass)
    assert state_of(hass, entry, "a-1", "status").state == "paid"


async def test_unknown_word(
    hass: HomeAssistant, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """A word in no list is said once, and the order is watched on."""
    entry = await async_set_up(hass, shop, shop.order("a-1"))
    shop.order("a-1", "packing")
    for _ in range(3):
        await async_later(hass)
    assert state_of(hass, entry, "a-1", "status").state == "unknown"
    assert caplog.text.count("unknown invoice status 'packing'") == 1
    shop.order("a-1", "settled")
    await async_later(hass)
    assert state_of(hass, entry, "a-1", "status").state == "paid"


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"url": ""}, {"url": "required"}),
        ({"url": "{url}/orders"}, {"url": "url_without_id"}),
        ({"url": "{url}/orders/{{id}}/{{x}}"}, {"url": "url_without_id"}),
        ({"url": "https://{{id}}.shop.example/orders"}, {"url": "url_id_in_host"}),
        ({"url": "https://me:secret@shop.example/{{id}}"}, {"url": "url_with_key"}),
        ({"url": "{url}/orders/{{id}}?key=" + KEY}, {"url": "url_with_key"}),
        ({"url": "{url}/orders/{{id}}?api_key=abc"}, {"url": "url_with_key"}),
        ({"url": "{url}/" + KEY + "/{{id}}"}, {"url": "url_with_key"}),
        ({"url": "{url}/../orders/{{id}}"}, {"url": "url_invalid"}),
        ({"url": "{url}/or ders/{{id}}"}, {"url": "url_invalid"}),
        ({"url": "ftp://shop.example/{{id}}"}, {"url": "url_without_scheme"}),
        ({"url": "http://shop.example/{{id}}"}, {"url": "url_not_encrypted"}),
        ({"url": "http://shop.onion/{{id}}"}, {"url": "url_onion"}),
        ({"api_key": ""}, {"api_key": "required"}),
        ({"api_key": "two words"}, {"api_key": "invalid_key"}),
        ({"key_header": "Content-Length"}, {"key_header": "header_invalid"}),
        ({"key_header": ""}, {"key_header": "required"}),
        ({"key_form": "Bearer"}, {"key_form": "key_form_invalid"}),
        ({"advanced": {"requests_per_minute": "0"}}, {"advanced": "number_invalid"}),
        ({"advanced": {"push_header": "X-Sig"}}, {"advanced": "push_incomplete"}),
        ({"advanced": {"push_id_path": "a..b"}}, {"advanced": "path_invalid"}),
    ],
)
async def test_bad_access(
    hass: HomeAssistant, shop: Shop, changes: dict[str, Any], errors: dict[str, str]
) -> None:
    """What can't work is said at its field, what was typed stays, and nothing is asked."""
    if "url" in changes:
        changes = {**changes, "url": changes["url"].format(url=shop.url)}
    form = {**shop.access, **changes}
    form["advanced"] = {**shop.access["advanced"], **form["advanced"]}
    result = await async_submit(hass, await async_open(hass), form)
    assert result["step_id"] == PROVIDER
    assert result["errors"] == errors
    still = kept(result["data_schema"])
    assert all(still[key] == value for key, value in form.items() if value and key != "advanced")
    assert not shop.asked
    assert not hass.config_entries.async_entries(DOMAIN)
    result = await async_submit(hass, result, shop.access)
    assert result["step_id"] == "preview"


@pytest.mark.parametrize(
    ("changes", "errors", "there"),
    [
        ({"sample_id": "a/../b"}, {"sample_id": "id_invalid"}, ""),
        ({"sample_id": "a b"}, {"sample_id": "id_invalid"}, ""),
        ({"sample_id": ""}, {"sample_id": "required"}, ""),
        ({"sample_id": "b-2"}, {"sample_id": "id_not_found"}, ""),
        ({"status_path": "order.payments"}, {"status_path": "path_to_list"}, "order.payments.0"),
        ({"status_path": "order"}, {"status_path": "path_to_object"}, "order.cents"),
        ({"status_path": "order.state"}, {"status_path": "path_to_nothing"}, "order.payments"),
        ({"status_path": "order.page"}, {"status_path": "answer_has_html"}, ""),
        ({"status_path": "a b"}, {"status_path": "path_invalid"}, ""),
        ({"amount_path": "order.reference"}, {"amount_path": "no_amount"}, ""),
        ({"amount_path": "order.unclear"}, {"amount_path": "comma_unclear"}, ""),
        ({"currency_path": "order.page"}, {"currency_path": "currency_invalid"}, ""),
        ({"amount_factor": "cents"}, {"amount_factor": "factor_invalid"}, ""),
        (
            {"words_expired": "late, SETTLED"},
            {"words_paid": "word_twice", "words_expired": "word_twice"},
            "",
        ),
    ],
)
async def test_bad_reading(
    hass: HomeAssistant,
    shop: Shop,
    changes: dict[str, str],
    errors: dict[str, str],
    there: str,
) -> None:
    """A wrong path, word or ID is said at its field, with what is there instead."""
    shop.order("a-1", page="<div>x</div>", unclear="1,234")
    result = await async_open_preview(hass, shop)
    form = {"sample_id": "a-1", **PATHS, **changes}
    for _ in range(2):
        result = await async_submit(hass, result, form)
        assert result["step_id"] == "preview"
        assert result["errors"] == errors
        assert there in result["description_placeholders"]["there"]
        still = kept(result["data_schema"])
        assert all(still[key] == value for key, value in form.items() if value)
    assert not hass.config_entries.async_entries(DOMAIN)


async def test_path_to_nothing_yet(hass: HomeAssistant, shop: Shop) -> None:
    """An optional value that this order lacks is pointed out once; who submits again knows."""
    shop.order("a-1")
    result = await async_open_preview(hass, shop)
    form = {"sample_id": "a-1", **PATHS, "received_path": "order.received"}
    result = await async_submit(hass, result, form)
    assert result["errors"] == {"received_path": "path_to_nothing"}
    assert "`order.cents`" in result["description_placeholders"]["there"]
    result = await async_submit(hass, result, form)
    assert result["step_id"] == "read"


@pytest.mark.parametrize(
    ("answer", "step", "errors"),
    [
        (
            web.Response(body=b"<p>", content_type="text/html"),
            PROVIDER,
            {"url": "unexpected_answer"},
        ),
        (web.Response(body=b"nonsense"), PROVIDER, {"url": "unexpected_answer"}),
        (
            web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
            PROVIDER,
            {"url": "moved"},
        ),
        (web.Response(status=401), PROVIDER, {"api_key": "invalid_auth"}),
        (web.Response(status=429), "preview", {"base": "rate_limited"}),
        (web.Response(status=500), PROVIDER, {"url": "server_error"}),
        (None, PROVIDER, {"url": "answer_too_large"}),
    ],
)
async def test_bad_answer(
    hass: HomeAssistant,
    shop: Shop,
    answer: web.Response | None,
    step: str,
    errors: dict[str, str],
) -> None:
    """An answer that is none is said at the field that it is about; all that was typed stays."""
    shop.order("a-1")
    shop.answer, shop.answers_large = answer, answer is None
    result = await async_open_preview(hass, shop)
    result = await async_submit(hass, result, {"sample_id": "a-1", **PATHS})
    assert (result["step_id"], result["errors"]) == (step, errors)
    shop.answer, shop.answers_large = None, False
    if step == PROVIDER:
        result = await async_submit(hass, result, shop.access)
    assert result["step_id"] == "preview"
    assert kept(result["data_schema"]) == {"sample_id": "a-1", **PATHS}
    result = await async_submit(hass, result, {"sample_id": "a-1", **PATHS})
    assert result["step_id"] == "read"
    assert shop.asked.keys() == {"a-1"}


async def test_no_key(hass: HomeAssistant, shop: Shop) -> None:
    """An API without keys is asked without one."""
    shop.order("a-1")
    shop.key = ""
    form = {**shop.access, "key_form": "", "key_header": "", "api_key": ""}
    result = await async_submit(hass, await async_open(hass), form)
    assert result["step_id"] == "preview"
    shop.answer = web.json_response({"order": shop.orders["a-1"]})
    result = await async_submit(hass, result, {"sample_id": "a-1", **PATHS})
    assert result["step_id"] == "read"


async def test_preset(hass: HomeAssistant, shop: Shop) -> None:
    """A preset asks for a key and an ID; its key is sent to no other server."""
    result = await async_open(hass, "stripe")
    form = kept(result["data_schema"])
    assert form["url"] == "https://api.stripe.com/v1/payment_intents/{id}"
    assert "api_key" not in form
    wrong = {**form, "api_key": "rk_made_up", "url": f"{shop.url}/{{id}}"}
    result = await async_submit(hass, result, wrong)
    assert result["errors"] == {"url": "url_of_other_host"}
    result = await async_submit(hass, result, {**form, "api_key": "rk_made_up"})
    assert result["step_id"] == "preview"
    filled = kept(result["data_schema"])
    assert filled["status_path"] == "status"
    assert filled["amount_factor"] == "minor"
    assert "sample_id" not in filled
    assert not shop.asked


async def test_twice(hass: HomeAssistant, shop: Shop) -> None:
    """The same API with the same key is set up once."""
    await async_set_up(hass, shop, shop.order("a-1"))
    result = await async_open_preview(hass, shop)
    result = await async_submit(hass, result, {"sample_id": "a-1", **PATHS})
    result = await async_accept(hass, result)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_change(hass: HomeAssistant, shop: Shop) -> None:
    """The same two forms change it; a saved key goes to no other server."""
    entry = await async_set_up(
        hass, shop, shop.order("a-1"), advanced={"push_header": "X-S", "push_secret": "made-up"}
    )
    stored = dict(entry.data)
    result = await async_open_change(hass, entry)
    assert result["step_id"] == PROVIDER
    form = kept(result["data_schema"])
    assert "api_key" not in form
    assert form["advanced"]["push_secret"] == "__unchanged__"

    elsewhere = {**form, "url": "https://elsewhere.example/{id}"}
    result = await async_submit(hass, result, elsewhere)
    assert result["errors"] == {"api_key": "key_of_other_host"}
    result = await async_submit(hass, result, form)
    reading = kept(result["data_schema"])
    assert reading == {"sample_id": "a-1", **PATHS}
    changed = {**reading, "words_processing": "packing"}
    result = await async_accept(hass, await async_submit(hass, result, changed))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    await async_settle(hass)
    assert dict(entry.data) == {**stored, "words_processing": "packing"}
    shop.order("a-1", "packing")
    await async_later(hass)
    assert state_of(hass, entry, "a-1", "status").state == "processing"

    without = {key: value for key, value in changed.items() if key != "amount_factor"}
    result = await async_open_change(hass, entry)
    result = await async_submit(hass, result, form)
    result = await async_accept(hass, await async_submit(hass, result, without))
    await async_settle(hass)
    assert "amount_factor" not in entry.data


async def test_new_key(hass: HomeAssistant, shop: Shop) -> None:
    """A refused key opens the dialog for a new one, which is proven with the same order."""
    entry = await async_set_up(hass, shop, shop.order("a-1"))
    shop.key = "new-key"
    for _ in range(2):
        await async_later(hass)
    result = await async_submit(hass, open_dialog(hass), {"api_key": "wrong"})
    assert result["errors"] == {"api_key": "invalid_auth"}
    assert fields_of(result["data_schema"]).keys() == {"api_key"}
    del shop.orders["a-1"]
    shop.order("b-2")
    result = await async_submit(hass, result, {"api_key": "new-key"})
    assert result["errors"] == {"base": "another_account"}
    shop.order("a-1")
    result = await async_submit(hass, result, {"api_key": "new-key"})
    assert result["reason"] == "reauth_successful"
    await async_settle(hass)
    assert watched(entry) == ["a-1"]


async def test_nothing_is_told(
    hass: HomeAssistant, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither diagnostics nor the log tell the key, the address or what an order says."""
    caplog.set_level("DEBUG", "custom_components")
    advanced = {"push_header": "X-S", "push_secret": "made-up-push"}
    entry = await async_set_up(hass, shop, shop.order("a-1"), advanced=advanced)
    shop.order("a-1", "settled")
    await async_later(hass)
    summary = repr(await async_get_config_entry_diagnostics(hass, entry))
    assert "'api_key': 'set'" in summary
    for told in (summary, caplog.text):
        for secret in (KEY, "made-up-push", "made-up-secret"):
            assert secret not in told
    for private in (shop.url, "a-1", "Coffee", "24.9", "order.payments"):
        assert private not in summary


async def async_push(hass: HomeAssistant, entry: ConfigEntry, body: bytes, **headers: str) -> int:
    """Post to the account's webhook."""
    request = MockRequest(
        content=body, headers=headers, method="POST", mock_source="test", remote="127.0.0.1"
    )
    response = await async_handle_webhook(hass, entry.data["webhook_id"], request)
    await async_settle(hass)
    return response.status


async def test_push_with_an_id(hass: HomeAssistant, shop: Shop) -> None:
    """A push reads the order that it names, if it has the secret."""
    advanced = {"push_id_path": "order", "push_header": "X-Secret", "push_secret": "made-up"}
    entry = await async_set_up(hass, shop, shop.order("a-1"), shop.order("b-2"), advanced=advanced)
    pass_time(hass, 3)
    shop.asked.clear()
    assert await async_push(hass, entry, b'{"order": "b-2"}') == HTTPStatus.UNAUTHORIZED
    assert not shop.asked
    shop.order("b-2", "settled")
    answer = await async_push(hass, entry, b'{"order": "b-2"}', **{"X-Secret": "made-up"})
    assert answer == HTTPStatus.OK
    assert shop.asked == {"b-2": 1}
    assert state_of(hass, entry, "b-2", "status").state == "paid"


async def test_push_without_an_id(hass: HomeAssistant, shop: Shop) -> None:
    """Where none is named, all open orders are read, at most every ten seconds, none forgotten."""
    entry = await async_set_up(hass, shop, *(shop.order(id_) for id_ in ("a-1", "b-2", "c-3")))
    shop.order("c-3", "settled")
    await async_later(hass)
    pass_time(hass, 3)
    shop.asked.clear()
    for _ in range(5):
        assert await async_push(hass, entry, b"paid=1") == HTTPStatus.OK
    assert shop.asked == {"a-1": 1, "b-2": 1}
    shop.order("b-2", "settled")
    await async_later(hass, nameless.INTERVAL + 1)
    assert shop.asked["b-2"] >= 2
    assert state_of(hass, entry, "b-2", "status").state == "paid"
