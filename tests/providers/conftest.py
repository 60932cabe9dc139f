"""What the providers' tests need: answers on the wire, and what was asked for them."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from inspect import isawaitable
from pathlib import Path
import re
from typing import Any
from unittest.mock import Mock

from aiohttp import ClientResponse, ClientSession
from aioresponses import CallbackResult, aioresponses
import orjson
import pytest
from yarl import URL

from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.capabilities import CanListInvoices
from custom_components.crypto_invoices.providers.model import Invoice, ListIncomplete, ProviderError
from custom_components.crypto_invoices.providers.provider import FieldKind, Provider

FIXTURES = Path(__file__).parent / "fixtures"
ADDRESS = "https://api.example"

# An invoice ID of each provider, in its canonical form: a provider that has its row here goes
# through all the tests of test_base.py and test_properties.py that need no sandbox.
IDS = {
    "cryptocloud": "INV-AB12CD34",
    "cryptocloud_v1": "INV-AB12CD34",
    "egates": "2794c4d4-6feb-4b46-9334-1849af7b1a0f",
    "btcpay": "4r3DemoInvoice1aBcDeFg",
    "lnbits": "ab" * 32,
    "another_api": "pi_made-up.1",
}


def made_up_settings(key: str, **changes: str) -> dict[str, str]:
    """Return values for the fields of a provider that have to be filled in."""
    texts = (FieldKind.SECRET, FieldKind.TEXT, FieldKind.CHOICE)
    made_up = {
        field.key: str(field.default or f"made-up-{field.key}")
        for field in PROVIDERS[key].fields
        if (field.required or field.default) and field.kind in texts
    }
    return {**made_up, "url": ADDRESS, **changes}


def fixture_bytes(name: str) -> bytes:
    """Return a sample answer, byte for byte."""
    return (FIXTURES / name).read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it was made."""

    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None
    follows_redirects: bool

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return orjson.loads(self.body or b"")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to give: a body as it is, or something to make JSON of."""

    body: Any = b""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)


type Handler = Callable[[Asked], Answer | Awaitable[Answer]]


class _Response(ClientResponse):
    """A response of nowhere: newer aiohttp wants one thing more than aioresponses gives."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", Mock())
        super().__init__(*args, **kwargs)


class Wire:
    """Answers every request, in whichever provider's place, and keeps what was asked."""

    def __init__(self, mock: aioresponses) -> None:
        """Answer nothing yet."""
        self.asked: list[Asked] = []
        self._handler: Handler = lambda _: Answer({})
        for method in ("GET", "POST"):
            mock.add(
                re.compile(""), method, callback=partial(self._async_answer, method), repeat=True
            )

    def answer(self, answer: Answer | Handler) -> None:
        """Give this answer from now on, or what the handler returns."""
        self._handler = (lambda _: answer) if isinstance(answer, Answer) else answer

    async def _async_answer(self, method: str, url: URL, **kwargs: Any) -> CallbackResult:
        """Keep the request and answer it."""
        asked = Asked(
            method=method,
            url=url,
            headers=kwargs.get("headers") or {},
            body=kwargs.get("data"),
            follows_redirects=kwargs["allow_redirects"],
        )
        self.asked.append(asked)
        answer = self._handler(asked)
        if isawaitable(answer):
            answer = await answer
        return CallbackResult(
            method=method,
            status=answer.status,
            body=answer.content,
            content_type=answer.content_type,
            headers=dict(answer.headers),
            response_class=_Response,
        )


@pytest.fixture
def wire() -> Generator[Wire]:
    """Keep every request off the network."""
    with aioresponses() as mock:
        yield Wire(mock)


@pytest.fixture
async def session() -> AsyncGenerator[ClientSession]:
    """Open a session as Home Assistant would hand one in."""
    async with ClientSession() as opened:
        yield opened


async def read_one(provider: Provider, id_: str) -> Invoice | ProviderError:
    """Return what becomes of one invoice, also where it takes the account with it."""
    try:
        return (await provider.async_get_invoices([id_]))[id_]
    except ProviderError as err:
        return err


async def read_account(provider: Provider) -> type[ProviderError] | None:
    """Return the kind of error that keeps an account from being set up, or None."""
    try:
        await provider.async_get_account()
    except ProviderError as err:
        return type(err)
    return None


async def listed_in_part(provider: CanListInvoices, **wanted: Any) -> list[str]:
    """Return the IDs that come before the list says that it is not whole."""
    found: list[str] = []

    async def read() -> None:
        async for invoice in provider.async_list_invoices(**wanted):
            found.extend([invoice.id])

    with pytest.raises(ListIncomplete):
        await read()
    return found
