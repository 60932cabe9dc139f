"""CryptoCloud's static wallets: each deposit is posted, and nothing else tells of it."""

from hashlib import sha256
import secrets

from aiohttp import web

from .core import SANDBOX
from .cryptocloud_row import COIN, new_id, v2_error, with_v2_key
from .invoice import SandboxInvoice
from .postback_control import given
from .states import SandboxError, State, UnknownError
from .wire import as_amount, json_object, json_response, refuse_unknown, same, whole_number

KEY = "cryptocloud"
WALLETS = web.AppKey("cryptocloud_wallets", dict[str, str])
"""The wallets' references, by their addresses."""

MOST_TIMES = 100


@with_v2_key
async def v2_static(request: web.Request) -> web.Response:
    """Make a wallet for one coin."""
    try:
        data = await json_object(request)
    except SandboxError as error:
        return v2_error(validate_error=str(error))
    shop_id = request.app[SANDBOX].providers[KEY].invoicing_credentials["shop_id"]
    if not same(str(data.get("shop_id")), shop_id):
        return v2_error(shop_id="Shop is not found")
    if data.get("currency") != COIN["fullcode"]:
        return v2_error(currency="Currency is not supported")
    identify = data.get("identify")
    if not isinstance(identify, str) or not identify:
        return v2_error(identify="This field is required")
    uuid = secrets.token_hex(16)
    address = f"T{sha256(uuid.encode()).hexdigest()[:33]}"
    request.app[WALLETS][address] = identify
    result = {
        "currency": {**COIN, "obj_network": COIN["network"]},
        "address": address,
        "uuid": uuid,
    }
    return json_response({"status": "success", "result": result})


async def post_deposit(request: web.Request) -> web.Response:
    """Pay to a wallet, and post that; `invoice_id` says which deposit is posted again."""
    data = await json_object(request)
    refuse_unknown(data, ("address", "amount", "invoice_id", "times", "format", "signature"))
    sandbox = request.app[SANDBOX]
    identify = request.app[WALLETS].get(str(data.get("address")))
    if identify is None:
        raise UnknownError(f"no wallet has the address {data.get('address')}")
    now = sandbox.store.clock()
    amount = as_amount(data.get("amount", 5))
    deposit = SandboxInvoice(
        id=str(data.get("invoice_id") or new_id()),
        provider=KEY,
        number=0,
        amount=amount,
        currency=str(COIN["fullcode"]),
        order_id=identify,
        created_at=now,
        updated_at=now,
        expires_at=now,
        lifetime=now - now,
        state=State.PAID,
        received=amount,
        coin_chosen=True,
        paid_at=now,
    )
    times = whole_number(data, "times", 1, MOST_TIMES) or 1
    deliveries = await sandbox.postbacks.send(KEY, deposit, times=times, **given(data))
    return json_response({"invoice_id": deposit.id, "deliveries": deliveries})


def set_up(app: web.Application) -> None:
    """Have wallets, and a way to pay to them."""
    app[WALLETS] = {}
    app.router.add_post(f"/_sandbox/deposits/{KEY}", post_deposit)
