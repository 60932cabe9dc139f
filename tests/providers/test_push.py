"""What a push hints at, and what makes one not believed."""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256, sha512
import hmac
import json
import re
import time
from typing import Any, cast
from unittest.mock import Mock
from urllib.parse import urlencode

from freezegun.api import FrozenDateTimeFactory
from hypothesis import HealthCheck, given, settings, strategies as st
from multidict import CIMultiDict
import orjson
import pytest

from custom_components.crypto_invoices.providers import PROVIDERS
from custom_components.crypto_invoices.providers.push import (
    CanPush,
    Hint,
    PushRejected,
    RejectReason,
    flatten,
)

from .conftest import ADDRESS, fixture_bytes
from .test_properties import any_json, any_text

SECRET = "demo-secret-key-not-real"
GATES_SECRET = "eg-secret-demo"
CLOUD_ID = "INV-AB12CD34"
GATES_ID = "11111111-2222-4333-8444-555555555555"
VALID, EXP, EXPIRED, LEEWAY = 1767225800, 1767225900, 1767226200, 60
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

# The figure is of a machine that does nothing else.
SLOW_MACHINE = 3

HS256 = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
ID_CLAIMS = "eyJpZCI6IkFCMTJDRDM0IiwiZXhwIjoxNzY3MjI1OTAwfQ"
BY_ID = f"{HS256}.{ID_CLAIMS}.7y2_qI-7e3qswbObTT_EXU2Qu57jV2G0v0CtvHXv-8Y"
BY_UUID = (
    f"{HS256}.eyJ1dWlkIjoiSU5WLUFCMTJDRDM0IiwiZXhwIjoxNzY3MjI1OTAwfQ."
    "PKvriJuwFF0ZQD7dnuYurqVWFVnCOIgmbVCedwRrN5k"
)
BY_OTHER_SECRET = f"{HS256}.{ID_CLAIMS}.gT1EgmaSt7dKtoo-X2lWi3-jOCA9kFLCa-3DJI0QIrc"
BY_NOBODY = f"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{ID_CLAIMS}."

CLOUD = ("cryptocloud", "cryptocloud_v1")
each_cloud = pytest.mark.parametrize("key", CLOUD)
each_provider = pytest.mark.parametrize("key", [*CLOUD, "egates"])


def provider(key: str, **changed: str | None) -> CanPush:
    """Return a provider that knows its secrets."""
    known = {
        "url": ADDRESS,
        "api_key": "made-up-key",
        "api_secret": GATES_SECRET,
        "postback_secret": SECRET,
    }
    return cast(CanPush, PROVIDERS[key](Mock(), known | changed))


def cloud(token: object, **fields: Any) -> dict[str, Any]:
    """Return a postback's fields."""
    return {"status": "success", "invoice_id": "AB12CD34", "token": token, **fields}


def part(of: Any) -> bytes:
    """Return a part of a token; bytes stay as they are."""
    text = of if isinstance(of, bytes) else json.dumps(of).encode()
    return urlsafe_b64encode(text).rstrip(b"=")


def sign(claims: Any, secret: str = SECRET, header: Any = None, digest: Any = sha256) -> str:
    """Return a token, genuine unless something else is asked for."""
    header = {"alg": "HS256", "typ": "JWT"} if header is None else header
    text = part(header) + b"." + part(claims)
    return (text + b"." + part(hmac.new(secret.encode(), text, digest).digest())).decode()


def refusal(key: str, headers: Mapping[str, str], body: bytes) -> RejectReason:
    """Return why a push is refused."""
    with pytest.raises(PushRejected) as caught:
        provider(key).parse_push(headers, body)
    return caught.value.reason


@pytest.fixture(autouse=True)
def _now(freezer: FrozenDateTimeFactory) -> None:
    """Let it be a moment at which the tokens are valid."""
    freezer.move_to(datetime.fromtimestamp(VALID, UTC))


@each_cloud
@pytest.mark.parametrize("token", [BY_ID, BY_UUID], ids=["id", "uuid"])
def test_genuine(key: str, token: str) -> None:
    """The tokens of the contract are believed, as JSON and as a form."""
    hint = Hint(invoice_ids=frozenset({CLOUD_ID}))
    fields = cloud(token)
    assert provider(key).parse_push(JSON, orjson.dumps(fields)) == hint
    assert provider(key).parse_push(FORM, urlencode(fields).encode()) == hint


@each_cloud
@pytest.mark.parametrize("token", [BY_OTHER_SECRET, BY_NOBODY], ids=["secret", "none"])
def test_forged(key: str, token: str) -> None:
    """The tokens of the contract that must fail do."""
    assert refusal(key, JSON, orjson.dumps(cloud(token))) is RejectReason.SIGNATURE
    assert refusal(key, FORM, urlencode(cloud(token)).encode()) is RejectReason.SIGNATURE


@each_cloud
@pytest.mark.parametrize(
    ("now", "is_valid"),
    [
        (VALID, True),
        (EXP, True),
        (EXP + LEEWAY - 1, True),
        (EXP + LEEWAY, False),
        (EXPIRED, False),
    ],
)
@pytest.mark.parametrize("token", [BY_ID, BY_UUID], ids=["id", "uuid"])
def test_expiry(
    freezer: FrozenDateTimeFactory, key: str, token: str, now: int, *, is_valid: bool
) -> None:
    """A token is good until its time is up, and a minute more for clocks that differ."""
    freezer.move_to(datetime.fromtimestamp(now, UTC))
    body = orjson.dumps(cloud(token))
    if is_valid:
        assert provider(key).parse_push(JSON, body).invoice_ids == {CLOUD_ID}
    else:
        assert refusal(key, JSON, body) is RejectReason.SIGNATURE


@each_cloud
@pytest.mark.parametrize("headers", [JSON, FORM], ids=["json", "form"])
@pytest.mark.parametrize("write", ['b"{}"', "b'{}'"])
def test_python_bytes(key: str, headers: Mapping[str, str], write: str) -> None:
    """A token and an invoice_info that are written as Python prints bytes are no trouble."""
    fields = cloud(write.format(BY_ID), invoice_info=write.format("{'uuid': 'INV-AB12CD34'}"))
    body = orjson.dumps(fields) if headers is JSON else urlencode(fields).encode()
    assert provider(key).parse_push(headers, body).invoice_ids == {CLOUD_ID}


@each_provider
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": ""},
        {"Content-Type": "text/html"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        FORM,
        JSON,
        {"Content-Type": "Application/JSON; charset=utf-8"},
        {"Content-Type": "\udcff\udcfe"},
    ],
)
def test_content_type(key: str, headers: Mapping[str, str]) -> None:
    """What the body is counts, whatever it is called."""
    bodies = [GENUINE[key]]
    if key in CLOUD:
        bodies.append(urlencode(cloud(BY_ID)).encode())
    for body in bodies:
        hint = provider(key).parse_push(CIMultiDict(headers), body)
        assert hint.invoice_ids == {CLOUD_ID if key in CLOUD else GATES_ID}


@each_cloud
@pytest.mark.parametrize(
    ("claims", "named", "found"),
    [
        ({"id": "AB12CD34"}, None, CLOUD_ID),
        ({"id": "INV-AB12CD34"}, None, CLOUD_ID),
        ({"id": "ab12cd34"}, None, CLOUD_ID),
        ({"uuid": "AB12CD34"}, None, CLOUD_ID),
        ({"id": 13}, "AB12CD34", CLOUD_ID),
        ({"id": 13}, "INV-AB12CD34", CLOUD_ID),
        ({"id": 13, "uuid": "AB12CD34"}, 13, CLOUD_ID),
        ({"id": "13"}, "AB12CD34", CLOUD_ID),
        ({"id": None}, "AB12CD34", CLOUD_ID),
        ({}, "AB12CD34", CLOUD_ID),
        ({"jti": 13}, "AB12CD34", CLOUD_ID),
        ({"iss": 1, "sub": 2, "aud": 3}, "AB12CD34", CLOUD_ID),
        ({"id": 13}, 13, None),
        ({"id": 13}, None, None),
        ({"id": ["AB12CD34"]}, {"id": "AB12CD34"}, None),
        ({"id": "AB12CD3"}, "../AB12CD34?", None),
    ],
)
def test_which_invoice(key: str, claims: dict[str, Any], named: object, found: str | None) -> None:
    """Whatever names an invoice in a postback with a good token is a hint at it."""
    body = orjson.dumps(cloud(sign(claims | {"exp": EXP}), invoice_id=named))
    if found is None:
        assert refusal(key, JSON, body) is RejectReason.MALFORMED
    else:
        assert provider(key).parse_push(JSON, body).invoice_ids == {found}


@each_cloud
@pytest.mark.parametrize("claim", ["id", "uuid"])
def test_the_invoice_is_read_though_the_token_has_an_id_of_its_own(key: str, claim: str) -> None:
    """Eight characters in a token may be anything: what the body names is looked up too."""
    token = sign({claim: "QQ77WW88", "exp": EXP})
    hint = provider(key).parse_push(JSON, orjson.dumps(cloud(token)))
    assert hint.invoice_ids == {CLOUD_ID, "INV-QQ77WW88"}


# What a postback may be like around a token that is good.
SLOPPY: Mapping[str, bytes] = {
    "trailing &": urlencode(cloud(BY_ID)).encode() + b"&",
    "empty fields": urlencode(cloud(BY_ID)).replace("&", "&&").encode(),
    "field without =": b"paid&" + urlencode(cloud(BY_ID)).encode(),
    "500 fields": urlencode({**cloud(BY_ID), **{f"f{n}": n for n in range(500)}}).encode(),
    "CR LF after the token": urlencode(cloud(f"{BY_ID}\r\n")).encode(),
    "CR LF after the body": urlencode(cloud(BY_ID)).encode() + b"\r\n",
    "space before the token": orjson.dumps(cloud(f" {BY_ID}")),
    "Windows-1251": urlencode(cloud(BY_ID)).encode() + "&note=Оплачено".encode("cp1251"),
    "Windows-1251 in JSON": json.dumps(cloud(BY_ID, note="Да"), ensure_ascii=False).encode(
        "cp1251"
    ),
    "Windows-1251 in percents": urlencode(cloud(BY_ID, note="Да"), encoding="cp1251").encode(),
    "UTF-16": json.dumps(cloud(BY_ID)).encode("utf-16"),
    "BOM": b"\xef\xbb\xbf" + orjson.dumps(cloud(BY_ID)),
    "BOM before a form": b"\xef\xbb\xbf" + urlencode(cloud(BY_ID)).encode(),
    "NaN": json.dumps(cloud(BY_ID, amount_crypto=float("nan"))).encode(),
    "lone surrogate": json.dumps(cloud(BY_ID, note="\ud800")).encode(),
    "JSON in a text": json.dumps(json.dumps(cloud(BY_ID))).encode(),
    "JSON with = and &": orjson.dumps(cloud(BY_ID, invoice_info={"link": "https://x/?a=b&c=d"})),
    "deep": json.dumps(cloud(BY_ID)).encode()[:-1] + b',"x":' + b"[" * 500 + b"]" * 500 + b"}",
}


@each_cloud
@pytest.mark.parametrize("headers", [{}, JSON, FORM], ids=["none", "json", "form"])
@pytest.mark.parametrize("body", SLOPPY.values(), ids=SLOPPY.keys())
def test_only_the_token_matters(key: str, headers: Mapping[str, str], body: bytes) -> None:
    """However the rest is written, a payment with a good token is noticed at once."""
    assert provider(key).parse_push(headers, body).invoice_ids == {CLOUD_ID}


@each_cloud
@pytest.mark.parametrize("algorithm", ["none", "None", "", "RS256", "ES256", "PS256", "HS512"])
@pytest.mark.parametrize("digest", [sha256, sha512])
def test_other_algorithm(key: str, algorithm: str, digest: Callable[..., Any]) -> None:
    """Nothing but HS256 is accepted, also where the right secret signed it."""
    header = {"alg": algorithm, "typ": "JWT"}
    token = sign({"id": "AB12CD34", "exp": EXP}, header=header, digest=digest)
    assert refusal(key, JSON, orjson.dumps(cloud(token))) is RejectReason.SIGNATURE
    unsigned = token.rpartition(".")[0] + "."
    assert refusal(key, JSON, orjson.dumps(cloud(unsigned))) is RejectReason.SIGNATURE


@each_cloud
@pytest.mark.parametrize("kind", ["PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"])
def test_key_confusion(key: str, kind: str) -> None:
    """What is public is no secret to sign with."""
    pem = f"-----BEGIN {kind}-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END {kind}-----\n"
    body = orjson.dumps(cloud(sign({"id": "AB12CD34", "exp": EXP}, pem)))
    with pytest.raises(PushRejected) as caught:
        provider(key, postback_secret=pem).parse_push(JSON, body)
    assert caught.value.reason is RejectReason.SIGNATURE


BAD_CLAIMS: tuple[Any, ...] = (
    {"id": "AB12CD34"},
    {"id": "AB12CD34", "exp": None},
    {"id": "AB12CD34", "exp": "soon"},
    {"id": "AB12CD34", "exp": [EXP]},
    {"id": "AB12CD34", "exp": -1},
    b'{"id":"AB12CD34","exp":Infinity}',
    b'{"id":"AB12CD34","exp":-Infinity}',
    b'{"id":"AB12CD34","exp":NaN}',
    b'{"id":"AB12CD34","exp":1e999}',
    b'{"id":"AB12CD34","exp":%s}' % (b"9" * 5000),
    {"id": "AB12CD34", "exp": EXP, "nbf": EXP},
    {"id": "AB12CD34", "exp": EXP, "iat": EXP},
    [],
    "AB12CD34",
    b"",
    b"\xff\xfe",
    b'{"exp":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
)


@each_cloud
@pytest.mark.parametrize("claims", BAD_CLAIMS, ids=range(len(BAD_CLAIMS)))
def test_bad_claims(key: str, claims: Any) -> None:
    """A token without a time that can be told is refused, also where it is genuine."""
    assert refusal(key, JSON, orjson.dumps(cloud(sign(claims)))) is RejectReason.SIGNATURE


@each_cloud
@pytest.mark.parametrize("exp", [EXP + 0.5, 1e300, 10**300, 253402300800])
def test_far_expiry(key: str, exp: float) -> None:
    """A time beyond every calendar is a time."""
    body = orjson.dumps(cloud(sign({"id": "AB12CD34", "exp": exp})))
    assert provider(key).parse_push(JSON, body).invoice_ids == {CLOUD_ID}


BAD_HEADERS: tuple[Any, ...] = (
    {},
    [],
    {"alg": None},
    {"alg": ["HS256"]},
    {"alg": "HS256", "kid": 1},
    {"alg": "HS256", "crit": ["exp"]},
    {"alg": "HS256", "b64": False},
    b"\xff",
    b'{"alg":"HS256"',
    b'{"alg":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
)


@each_cloud
@pytest.mark.parametrize("header", BAD_HEADERS, ids=range(len(BAD_HEADERS)))
def test_bad_header(key: str, header: Any) -> None:
    """A token whose header is not what it should be is refused."""
    token = sign({"id": "AB12CD34", "exp": EXP}, header=header)
    assert refusal(key, JSON, orjson.dumps(cloud(token))) is RejectReason.SIGNATURE


@each_cloud
@pytest.mark.parametrize(
    "token",
    [
        None,
        "",
        13,
        [BY_ID],
        {"token": BY_ID},
        "...",
        "b''",
        f"b{BY_ID}",
        f"{BY_ID}.{BY_ID}",
        BY_ID[:-1],
        f"{BY_ID[:9]} {BY_ID[9:]}",
        f"{BY_ID}\u00fc",
    ],
)
def test_no_token(key: str, token: object) -> None:
    """What is not quite a token is none."""
    assert refusal(key, JSON, orjson.dumps(cloud(token))) is RejectReason.SIGNATURE


@each_cloud
@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret(key: str, secret: str | None) -> None:
    """Without the secret nothing is believed, not even what nothing signed."""
    parsing = provider(key, postback_secret=secret)
    assert not parsing.accepts_push
    for token in (BY_ID, sign({"id": "AB12CD34", "exp": EXP}, "")):
        with pytest.raises(PushRejected) as caught:
            parsing.parse_push(JSON, orjson.dumps(cloud(token)))
        assert caught.value.reason is RejectReason.SIGNATURE


BROKEN: Mapping[str, bytes] = {
    "empty": b"",
    "text": b"hello",
    "list": b"[]",
    "number": b"13",
    "null": b"null",
    "invalid UTF-8": b"\xff\xfe\x00",
    "cut off": orjson.dumps(cloud(BY_ID))[:-1],
    "too many fields": urlencode([(f"f{number}", number) for number in range(1001)]).encode(),
    "no value": b"token",
    "null bytes": bytes(1000),
}


@each_provider
@pytest.mark.parametrize("headers", [{}, JSON, FORM], ids=["none", "json", "form"])
@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_broken_body(key: str, headers: Mapping[str, str], body: bytes) -> None:
    """What is neither JSON nor a form is refused as such."""
    assert refusal(key, headers, body) is RejectReason.MALFORMED


HUGE = 256 * 1024
UNREASONABLE: Mapping[str, bytes] = {
    "deep": b'{"invoice":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "deeper": b'{"invoice":' * (HUGE // 11),
    "closed": b'{"a":' + b"[" * (HUGE // 2 - 3) + b"]" * (HUGE // 2 - 3) + b"}",
    "fields": b"&".join(b"f=1" for _ in range(HUGE // 4)),
    "names": orjson.dumps({f"k{n}": n for n in range(HUGE // 15)}),
    "percents": b"a=" + b"%ff" * (HUGE // 3 - 1),
    "digits": b'{"a":' + b"9" * (HUGE - 6) + b"}",
    "NaN": b'{"a":[' + b"NaN," * (HUGE // 4 - 3) + b"1]}",
    "bytes": b"\xff" * HUGE,
}


@each_provider
@pytest.mark.parametrize("body", UNREASONABLE.values(), ids=UNREASONABLE.keys())
def test_nobody_waits_for_an_absurd_body(key: str, body: bytes) -> None:
    """What no provider sends is refused before anybody in the house could notice."""
    begin = time.thread_time()
    with pytest.raises(PushRejected):
        provider(key).parse_push({}, body)
    assert time.thread_time() - begin < 0.05 * SLOW_MACHINE


CALLBACK: Mapping[str, Any] = {
    "invoice": {
        "invoice": GATES_ID,
        "status": "SUCCESS",
        "hash": None,
        "meta_data": {"item1": "5", "item2": "12"},
    },
    "createdAt": "1700000000",
}
NESTED = "invoice[meta_data][item1]=5&invoice[meta_data][item2]=12"
READINGS = {
    "body_flat": (
        f"createdAt=1700000000&invoice[invoice]={GATES_ID}&{NESTED}&invoice[status]=SUCCESS"
    ),
    "body_flat_unsorted": (
        f"invoice[invoice]={GATES_ID}&invoice[status]=SUCCESS&{NESTED}&createdAt=1700000000"
    ),
    "invoice_flat": f"invoice={GATES_ID}&meta_data[item1]=5&meta_data[item2]=12&status=SUCCESS",
}


def gates_sign(message: str, secret: str = GATES_SECRET, digest: Any = sha256) -> str:
    """Return the signature of a message."""
    return hmac.new(secret.encode(), message.encode(), digest).hexdigest()


@pytest.mark.parametrize("message", READINGS.values(), ids=READINGS.keys())
def test_signed_callback(message: str) -> None:
    """A callback that is signed in any reading of the documentation is verified."""
    body = orjson.dumps({**CALLBACK, "signature": gates_sign(message)})
    hint = provider("egates").parse_push(JSON, body)
    assert hint == Hint(invoice_ids=frozenset({GATES_ID}), is_verified=True)


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        13,
        [],
        "\u00fc",
        "0" * 64,
        gates_sign(""),
        gates_sign(READINGS["body_flat"], "other-secret"),
        gates_sign(READINGS["body_flat"], digest=sha512),
        gates_sign(READINGS["body_flat"].replace("SUCCESS", "PENDING")),
    ],
)
def test_unsigned_callback(signature: object) -> None:
    """A callback whose signature says nothing is a hint all the same."""
    hint = Hint(invoice_ids=frozenset({GATES_ID}), is_verified=False)
    body = orjson.dumps({**CALLBACK, "signature": signature})
    assert provider("egates").parse_push(JSON, body) == hint
    assert provider("egates").parse_push(JSON, orjson.dumps(CALLBACK)) == hint


INNER = {**CALLBACK["invoice"], "meta_data": None}
FORMS: Mapping[str, bytes] = {
    "PHP's brackets": urlencode(
        {f"invoice[{name}]": value for name, value in INNER.items() if value} | {"createdAt": "17"}
    ).encode(),
    "JSON in a field": urlencode({"invoice": json.dumps(INNER), "createdAt": "17"}).encode(),
    "JSON in JSON": orjson.dumps({**CALLBACK, "invoice": json.dumps(INNER)}),
    "the answer's envelope": orjson.dumps({"success": True, "response": INNER, "errors": None}),
    "the names of a new invoice": orjson.dumps({"invoice_id": GATES_ID, "status": "SUCCESS"}),
    "the ID alone": orjson.dumps({**CALLBACK, "invoice": GATES_ID}),
    "a signature as well": urlencode({"invoice[invoice]": GATES_ID, "signature": "0"}).encode(),
}


@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("headers", [{}, JSON, FORM], ids=["none", "json", "form"])
def test_callback_in_any_form(headers: Mapping[str, str], body: bytes) -> None:
    """How a callback is written is documented nowhere: whichever way, the invoice is read."""
    hint = provider("egates").parse_push(headers, body)
    assert hint == Hint(invoice_ids=frozenset({GATES_ID}), is_verified=False)


def test_signed_callback_with_brackets() -> None:
    """What is posted in PHP's style is signed as it is written."""
    fields = dict(part.split("=") for part in READINGS["body_flat"].split("&"))
    body = urlencode({**fields, "signature": gates_sign(READINGS["body_flat"])}).encode()
    assert provider("egates").parse_push(FORM, body).is_verified


@pytest.mark.parametrize(
    "invoice",
    [None, "", [GATES_ID], {}, {"invoice": None}, {"invoice": "1-7"}, {"id": GATES_ID}, "{", "[]"],
)
def test_callback_about_nothing(invoice: object) -> None:
    """A callback has to name an invoice."""
    body = orjson.dumps({**CALLBACK, "invoice": invoice})
    assert refusal("egates", JSON, body) is RejectReason.MALFORMED


TOO_MUCH: Mapping[str, Any] = {
    "levels": orjson.Fragment(b"[" * 1000 + b"]" * 1000),
    "nameless levels": orjson.Fragment(b'{"":' * 1000 + b"{}" + b"}" * 1000),
    "fields": [0] * 10_000,
    "names": {"k" * 30_000: [0] * 10_000},
}


@pytest.mark.parametrize("extra", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_callback_with_too_much_in_it(extra: Any) -> None:
    """What would take long to write out for its signature is refused before."""
    body = orjson.dumps({**CALLBACK, "extra": extra, "signature": gates_sign("")})
    assert refusal("egates", JSON, body) is RejectReason.MALFORMED


PARAMETERS: Mapping[str, Any] = {
    "timestamp": 1700000000,
    "ticker": "USDT",
    "payment_method": "ETHER",
    "amount": "12.5",
    "order_number": "HA-0001",
}


@pytest.mark.parametrize(
    ("extra", "message", "signature"),
    [
        ({}, "", "a9a92d33c9aed3c85f4dc67792d97b17dcdf54ae98c6b671159d6b31504b0c6d"),
        (
            {"callback_url": "https://ha.example/api/webhook/abc"},
            "&callback_url=https://ha.example/api/webhook/abc",
            "f67b88f71d5d4c7264632d426d788aff1af2678d88168a24e4076e672023c637",
        ),
        (
            {"meta_data": {"item1": "5", "item2": "12"}},
            "&meta_data[item1]=5&meta_data[item2]=12",
            "2e2b9765a65c23bfcc3a2027b56611d017006b3cc2b220109ee34087e273e207",
        ),
    ],
    ids=["A", "C", "E"],
)
def test_flatten_vectors(extra: dict[str, Any], message: str, signature: str) -> None:
    """Parameters are written as in the vectors of the contract."""
    flat = flatten({**PARAMETERS, **extra})
    text = "&".join(f"{name}={value}" for name, value in sorted(flat.items()))
    rest = "order_number=HA-0001&payment_method=ETHER&ticker=USDT&timestamp=1700000000"
    assert text == f"amount=12.5{message}&{rest}"
    assert gates_sign(text) == signature


def test_flatten_insertion_order() -> None:
    """Vector B: the order is the sender's."""
    text = "&".join(f"{name}={value}" for name, value in flatten(PARAMETERS).items())
    assert gates_sign(text) == "4d26348e11cc2a370181607a6bc8f3f6272abc4d69f3fb45e044273b543024cd"


@pytest.mark.parametrize(
    ("value", "flat"),
    [
        ({"a": {"b": {"c": 1}}}, {"a[b][c]": "1"}),
        ({"a": [1, [2]]}, {"a[0]": "1", "a[1][0]": "2"}),
        ({"a": None, "b": [None, 1], "c": {}, "d": []}, {"b[1]": "1"}),
        ({"a": True, "b": False}, {"a": "1", "b": "0"}),
        ({"": 1, "a": {"": {"": 2}}}, {"": "1", "a[][]": "2"}),
        ({"a b": "c&d=\u00fc"}, {"a b": "c&d=\u00fc"}),
        ({}, {}),
    ],
)
def test_flatten(value: object, flat: dict[str, str]) -> None:
    """Nesting goes into the names, and what is null goes."""
    assert flatten(value) == flat


GENUINE = {
    "cryptocloud": orjson.dumps(
        cloud(BY_ID, invoice_info=orjson.loads(fixture_bytes("cryptocloud_info.json")))
    ),
    "cryptocloud_v1": orjson.dumps(cloud(BY_UUID)),
    "egates": orjson.dumps({**CALLBACK, "signature": gates_sign(READINGS["body_flat"])}),
    "lnbits": orjson.dumps({"checking_id": "ab" * 32, "status": "success"}),
}

# A slow machine is no failure.
many = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
any_headers = st.dictionaries(
    st.sampled_from(["Content-Type", "content-type", "Content-Length", "X-Signature"]) | any_text,
    st.sampled_from([*JSON.values(), *FORM.values(), "multipart/form-data"]) | any_text,
    max_size=4,
)


def dumped(value: Any) -> bytes:
    """Return JSON; what has no place in JSON becomes text that is nearly JSON."""
    return json.dumps(value).encode()


@st.composite
def damaged(draw: st.DrawFn, genuine: bytes) -> bytes:
    """Return a body with some of it cut out, put in, or put elsewhere."""
    body = genuine
    for _ in range(draw(st.integers(1, 3))):
        begin, end = sorted(draw(st.tuples(*[st.integers(0, len(body))] * 2)))
        put_in = draw(st.binary(max_size=20) | st.just(body[begin:end][::-1] * 2) | st.just(body))
        body = body[:begin] + put_in + body[draw(st.sampled_from([begin, end])) :]
    return body


@st.composite
def altered(draw: st.DrawFn, genuine: bytes) -> bytes:
    """Return a genuine body's fields with anything in some of them, as JSON or a form."""
    fields: dict[str, Any] = orjson.loads(genuine)
    names = [*fields, "signature", "id"]
    fields |= draw(st.dictionaries(st.sampled_from(names) | any_text, any_json, max_size=4))
    inner = fields.get("invoice")
    if isinstance(inner, dict):
        named = st.sampled_from([*inner, "id"]) | any_text
        fields["invoice"] = inner | draw(st.dictionaries(named, any_json, max_size=4))
    if draw(st.booleans()):
        return dumped(fields)
    texts = {
        name.encode(errors="replace"): str(value).encode(errors="replace")
        for name, value in fields.items()
    }
    return urlencode(texts).encode()


@st.composite
def signed(draw: st.DrawFn) -> bytes:
    """Return a postback that the secret signed, whatever it claims."""
    names = st.sampled_from(["id", "uuid", "exp", "iat", "nbf", "jti", "sub", "aud", "iss"])
    claims = {"exp": EXP} | draw(st.dictionaries(names | any_text, any_json, max_size=5))
    names = st.sampled_from(["alg", "typ", "kid", "crit", "b64", "cty"])
    header = {"alg": "HS256"} | draw(st.dictionaries(names | any_text, any_json, max_size=2))
    return dumped(cloud(sign(claims, header=header)))


def bodies(key: str) -> st.SearchStrategy[bytes]:
    """Return whatever could be posted to a provider's webhook."""
    genuine = GENUINE[key]
    anything = st.binary(max_size=200) | any_json.map(dumped)
    found = anything | damaged(genuine) | altered(genuine)
    return found if key == "egates" else found | signed()


@each_provider
@many
@given(data=st.data())
def test_anything(key: str, data: st.DataObject) -> None:
    """Whatever is posted is a hint or refused, and never anything else."""
    headers, body = data.draw(any_headers), data.draw(bodies(key))
    try:
        hint = provider(key).parse_push(CIMultiDict(headers), body)
    except PushRejected:
        return
    assert isinstance(hint, Hint)
    assert hint.invoice_ids
    for id_ in hint.invoice_ids:
        assert PROVIDERS[key].parse_invoice_id(id_) == id_


@each_provider
def test_undamaged(key: str) -> None:
    """What the others are made from is genuine."""
    hint = provider(key).parse_push(JSON, GENUINE[key])
    assert hint.is_verified
    assert hint.invoice_ids == {CLOUD_ID if key in CLOUD else GATES_ID}


@each_cloud
@many
@given(data=st.data())
def test_nothing_unsigned_is_believed(key: str, data: st.DataObject) -> None:
    """A token that is anything but the genuine one is refused, whatever else the body says."""
    token = data.draw(damaged(BY_ID.encode())).decode(errors="replace")
    fields = {"invoice_id": "AB12CD34"} | data.draw(st.dictionaries(any_text, any_json, max_size=3))
    if _means_the_same(token):
        return
    body = dumped(fields | {"token": token})
    assert refusal(key, data.draw(any_headers), body) in set(RejectReason)


def _means_the_same(token: str) -> bool:
    """Whether it is the genuine token, however its signature is spelled."""
    claims, _, signature = token.rpartition(".")
    genuine_claims, _, genuine = BY_ID.rpartition(".")
    # A decoder skips other letters, and the last one has bits to spare.
    letters = re.sub("[^A-Za-z0-9_-]", "", signature.replace("+", "-").replace("/", "_"))
    return claims.lstrip("b'\"") == genuine_claims and letters[:42] == genuine[:42]


@pytest.mark.parametrize(
    ("claims", "deposit_id"),
    [
        ({"id": 13}, CLOUD_ID),
        ({"id": "AB12CD34"}, CLOUD_ID),
        ({"id": "ZZ12CD34"}, "INV-ZZ12CD34"),
        ({"id": "ZZ12CD34", "uuid": CLOUD_ID}, "INV-ZZ12CD34"),
    ],
)
def test_deposit_whose_token_names_another(claims: dict[str, Any], deposit_id: str) -> None:
    """A deposit is told by its postback only: it isn't lost where the two names of it differ."""
    fields = cloud(
        sign({"exp": EXP, **claims}), amount_crypto=5, currency="USDT_TRC20", order_id="Table 7"
    )
    hint = provider("cryptocloud").parse_push(JSON, orjson.dumps(fields))
    assert CLOUD_ID in hint.invoice_ids
    assert hint.deposit is not None
    assert (hint.deposit.id, hint.deposit.order_id) == (deposit_id, "Table 7")
