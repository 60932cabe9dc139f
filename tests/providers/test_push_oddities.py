"""Whatever is in a push, signed or not, it is a hint or it is rejected: no other error escapes."""

from collections.abc import Iterator, Mapping
import hmac
import re
from typing import cast
from unittest.mock import Mock
from urllib.parse import quote

import jwt
import pytest

from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.push import CanPush, Hint, PushRejected

from .conftest import ADDRESS, IDS

SECRET = "made-up-secret-of-thirty-two-bytes"
# What JSON can hold that no honest push does, as it is written.
ODD = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "1e-400",
    "-1",
    "0",
    "null",
    "true",
    "[]",
    '["a", {"b": NaN}]',
    "{}",
    '{"a": {"b": [null, Infinity]}}',
    '""',
    '" "',
    r'"\ud800"',
    r'"\u0000"',
    '"NaN"',
    '"1e999999999"',
    f'"{"x" * 10_000}"',
)
# Of a body with one of these, nothing can be read.
UNREADABLE = (
    "1" + "0" * 5000,
    "[" * 30_000 + "]" * 30_000,
    '{"a":' * 20_000 + "1" + "}" * 20_000,
)
ALL = ODD + UNREADABLE
POSTBACK = {
    "status": '"success"',
    "invoice_id": '"AB12CD34"',
    "amount_crypto": "5.1",
    "currency": '"USDT_TRC20"',
    "order_id": '"Table 7"',
    "invoice_info": '{"test_mode": true}',
    "token": f'"{jwt.encode({"id": "AB12CD34", "exp": 4_000_000_000}, SECRET)}"',
}
GENUINE: Mapping[str, Mapping[str, str]] = {
    "btcpay": {"invoiceId": f'"{IDS["btcpay"]}"', "deliveryId": '"D1"', "originalDeliveryId": "0"},
    "lnbits": {"payment_hash": f'"{IDS["lnbits"]}"', "checking_id": '"x"', "status": '"success"'},
    "egates": {
        "invoice": f'"{IDS["egates"]}"',
        "response": "{}",
        "amount": "5",
        "signature": '"x"',
    },
    "cryptocloud": POSTBACK,
    "cryptocloud_v1": POSTBACK,
}
# Without them, nothing says what it is about or that it is genuine.
NEEDED = {
    "btcpay": {"invoiceId"},
    "lnbits": {"payment_hash"},
    "egates": {"invoice"},
    "cryptocloud": {"token"},
    "cryptocloud_v1": {"token"},
}
each_provider = pytest.mark.parametrize("key", list(GENUINE))


def parse(key: str, body: str) -> Hint | None:
    """Return the hint in a push that is signed where it can be, None where it is rejected."""
    settings = {
        "url": ADDRESS,
        **dict.fromkeys(("api_key", "api_secret", "postback_secret", "webhook_secret"), SECRET),
    }
    provider = cast(CanPush, PROVIDERS[key](Mock(), settings))
    content = body.encode()
    digest = hmac.new(SECRET.encode(), content, "sha256").hexdigest()
    try:
        return provider.parse_push({"BTCPay-Sig": f"sha256={digest}"}, content)
    except PushRejected:
        return None


def write(fields: Mapping[str, str]) -> str:
    """Return an object of values that are written already."""
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}"


def test_genuine() -> None:
    """Without anything odd, each is a hint at its invoice."""
    for key, fields in GENUINE.items():
        hint = parse(key, write(fields))
        assert hint is not None
        assert hint.invoice_ids == {IDS[key]}


@each_provider
def test_odd_value(key: str) -> None:
    """One value that makes no sense costs the push where it is needed, and nothing elsewhere."""
    for name in GENUINE[key]:
        for value in ODD:
            hint = parse(key, write({**GENUINE[key], name: value}))
            if name not in NEEDED[key]:
                assert hint is not None, (name, value[:40])
                assert IDS[key] in hint.invoice_ids, (name, value[:40])
            if hint is not None and name == "amount_crypto":
                assert hint.deposit is None, value[:40]
        for value in UNREADABLE:
            parse(key, write({**GENUINE[key], name: value}))


@each_provider
def test_odd_body(key: str) -> None:
    """A body that is one such value, or a form of them, is rejected or hints at nothing."""
    for body in (*ALL, *_forms(key)):
        hint = parse(key, body)
        # What is named is part of an address when it is read.
        for id_ in frozenset() if hint is None else hint.invoice_ids:
            assert not id_ or re.fullmatch(r"[\w-]{1,64}", id_, re.ASCII), body[:40]


def _forms(key: str) -> Iterator[str]:
    """Yield forms with one odd value each."""
    for name in GENUINE[key]:
        for value in ALL:
            fields = {
                **{other: text.strip('"') for other, text in GENUINE[key].items()},
                name: value,
            }
            yield "&".join(f"{name}={quote(text)}" for name, text in fields.items())


@pytest.mark.parametrize("key", ["cryptocloud", "cryptocloud_v1"])
@pytest.mark.parametrize("claim", ["exp", "iat", "nbf", "id", "uuid", "aud", "jti"])
def test_odd_claim(key: str, claim: str) -> None:
    """A token that the secret signed, with a claim that makes no sense, is rejected or a hint."""
    for value in ALL:
        payload = write({"id": '"AB12CD34"', "exp": "4000000000", claim: value})
        token = jwt.api_jws.encode(payload.encode(), SECRET)
        hint = parse(key, write({"token": f'"{token}"'}))
        if claim == "exp":
            assert hint is None, value[:40]


@pytest.mark.parametrize("key", ["cryptocloud", "cryptocloud_v1"])
def test_odd_payload(key: str) -> None:
    """A signed token whose payload is no object is rejected."""
    for value in ALL:
        token = jwt.api_jws.encode(value.encode(), SECRET)
        assert parse(key, write({"token": f'"{token}"'})) is None, value[:40]
