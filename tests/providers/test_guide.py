"""The provider in docs/providers.md works as it stands there."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
import json
from pathlib import Path
import re
from typing import Any

from aiohttp import ClientSession
import pytest

from custom_components.crypto_invoices import providers
from custom_components.crypto_invoices.providers.model import (
    AuthError,
    BadResponse,
    Invoice,
    InvoiceNotFound,
    InvoiceStatus,
)
from custom_components.crypto_invoices.providers.provider import Provider

from .conftest import ADDRESS, Answer, Wire, read_one

GUIDE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text()
ID = "ck_0123456789ab"
ORDER = {
    "state": "new",
    "total": "24.90",
    "currency": "EUR",
    "reference": "Coffee",
    "page": f"https://coin.kiosk/o/{ID}",
    "until": 1800000000,
}


def blocks(language: str) -> list[str]:
    """Return the blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def kiosk(tmp_path: Path) -> type[Provider]:
    """Return the guide's provider, as if its file were among the others."""
    [_, code] = blocks("python")
    file = tmp_path / "coinkiosk.py"
    file.write_text(code)
    spec = spec_from_file_location(f"{providers.__name__}.coinkiosk", file)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    found: type[Provider] = module.CoinKiosk
    return found


async def test_account(kiosk: type[Provider], wire: Wire, session: ClientSession) -> None:
    """The key is proven, and names the account."""
    provider = kiosk(session, {"url": ADDRESS, "api_key": "made-up"})
    wire.answer(Answer({"kiosk": "k1", "name": "My kiosk"}))
    assert (await provider.async_get_account()).title == "My kiosk"
    assert wire.asked[0].headers["X-Key"] == "made-up"
    wire.answer(Answer({}, 401))
    with pytest.raises(AuthError):
        await provider.async_get_account()


async def test_invoice(kiosk: type[Provider], wire: Wire, session: ClientSession) -> None:
    """An order is read; one that isn't there or makes no sense is an error of its own."""
    provider = kiosk(session, {"url": ADDRESS, "api_key": "made-up"})
    wire.answer(Answer(ORDER))
    assert await read_one(provider, ID) == Invoice(
        id=ID,
        status=InvoiceStatus.PENDING,
        provider_status="new",
        amount=Decimal("24.90"),
        currency="EUR",
        order_id="Coffee",
        payment_url=f"https://coin.kiosk/o/{ID}",
        expires_at=datetime.fromtimestamp(1800000000, UTC),
    )
    wire.answer(Answer({**ORDER, "state": "odd", "total": "a lot"}))
    odd = await read_one(provider, ID)
    assert isinstance(odd, Invoice)
    assert (odd.status, odd.amount) == (InvoiceStatus.UNKNOWN, None)
    wire.answer(Answer({}, 404))
    assert isinstance(await read_one(provider, ID), InvoiceNotFound)
    wire.answer(Answer([]))
    assert isinstance(await read_one(provider, ID), BadResponse)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ID, ID),
        (f" {ID.upper()}\n", ID),
        (f"https://coin.kiosk/o/{ID}", ID),
        ("ck_1", None),
        ("", None),
    ],
)
def test_id(kiosk: type[Provider], text: str, found: str | None) -> None:
    """A link or an ID is understood."""
    assert kiosk.parse_invoice_id(text) == found


def test_texts(kiosk: type[Provider]) -> None:
    """The texts are those of the fields, in the shape of the other providers'."""
    steps, health = map(json.loads, blocks("json"))
    english = json.loads((Path(providers.__file__).parents[1] / "translations/en.json").read_text())
    like = english["config"]["step"]["cryptocloud"]

    def shape(step: Mapping[str, Any]) -> list[str]:
        return sorted([*step, *step["sections"]["advanced"]])

    step = steps[kiosk.key]
    assert shape(step) == shape(like)
    advanced = step["sections"]["advanced"]
    for texts, is_advanced in ((step, False), (advanced, True)):
        keys = {field.key for field in kiosk.fields if field.advanced is is_advanced}
        assert texts["data"].keys() == texts["data_description"].keys() == keys
    assert set(steps["user"]) <= set(english["config"]["step"]["user"])
    named = {
        name.replace("cryptocloud_", "coinkiosk_") for name in english["system_health"]["info"]
    }
    assert health.keys() <= named
    assert len(health) == 4
