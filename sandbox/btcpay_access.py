"""BTCPay Server's doors: which key may do what, and how what it may not is refused."""

from collections.abc import Callable, Mapping
from functools import wraps

from aiohttp import web
from aiohttp.typedefs import Handler

from .btcpay_webhooks import KEY, STORE_ID, Webhooks
from .core import SANDBOX
from .invoice import SandboxInvoice
from .wire import json_response, same

WEBHOOKS = web.AppKey("btcpay_webhooks", Webhooks)
ISSUED = web.AppKey("btcpay_issued_keys", dict[str, tuple[str, ...]])
OTHER_STORE_ID = "8BhSandboxOtherAbCdEfGhJkLmNpQrStUvWxYz23456"
STORES = {STORE_ID: "Sandbox shop", OTHER_STORE_ID: "Another sandbox shop"}

VIEW = "btcpay.store.canviewinvoices"
CREATE_INVOICES = "btcpay.store.cancreateinvoice"
MODIFY_INVOICES = "btcpay.store.canmodifyinvoices"
VIEW_STORES = "btcpay.store.canviewstoresettings"
MODIFY_STORES = "btcpay.store.canmodifystoresettings"
MODIFY_WEBHOOKS = "btcpay.store.webhooks.canmodifywebhooks"
# Which permission holds which others.
_OF_INVOICES = frozenset({VIEW, CREATE_INVOICES, MODIFY_INVOICES})
_OF_STORES = _OF_INVOICES | {VIEW_STORES, MODIFY_WEBHOOKS}
INCLUDED: Mapping[str, frozenset[str]] = {
    "unrestricted": _OF_STORES | {MODIFY_STORES},
    MODIFY_STORES: _OF_STORES,
    VIEW_STORES: frozenset({VIEW}),
    MODIFY_INVOICES: _OF_INVOICES,
}
# What the key that the sandbox names may do, and what other keys may.
PERMISSIONS = (f"{VIEW}:{STORE_ID}", f"{MODIFY_WEBHOOKS}:{STORE_ID}")
TILL_KEY = "sandbox-btcpay-till-key"
READ_ONLY_KEY = "sandbox-btcpay-read-only-key"
ALL_STORES_KEY = "sandbox-btcpay-all-stores-key"
TWO_STORES_KEY = "sandbox-btcpay-two-stores-key"
OTHER_STORE_KEY = "sandbox-btcpay-other-store-key"
SPENDING_KEY = "sandbox-btcpay-spending-key"
UNRESTRICTED_KEY = "sandbox-btcpay-unrestricted-key"
USELESS_KEY = "sandbox-btcpay-useless-key"
KEYS: Mapping[str, tuple[str, ...]] = {
    TILL_KEY: (*PERMISSIONS, f"{CREATE_INVOICES}:{STORE_ID}", f"{MODIFY_INVOICES}:{STORE_ID}"),
    READ_ONLY_KEY: (f"{VIEW}:{STORE_ID}",),
    ALL_STORES_KEY: (VIEW, VIEW_STORES, MODIFY_WEBHOOKS),
    TWO_STORES_KEY: (f"{VIEW}:{STORE_ID}", f"{VIEW}:{OTHER_STORE_ID}"),
    OTHER_STORE_KEY: (f"{VIEW}:{OTHER_STORE_ID}",),
    SPENDING_KEY: (f"{VIEW}:{STORE_ID}", f"btcpay.store.canuselightningnode:{STORE_ID}"),
    UNRESTRICTED_KEY: ("unrestricted",),
    USELESS_KEY: ("btcpay.user.canviewprofile",),
}


def error(status: int, code: str, message: str, **more: str) -> web.Response:
    """Answer with an error that is about the request as a whole."""
    return json_response({"code": code, "message": message, **more}, status=status)


def invalid(**problems: str) -> web.Response:
    """Answer with what is wrong with single values: a list, not an object."""
    rows = [{"path": path, "message": message} for path, message in problems.items()]
    return json_response(rows, status=422)


def held_by(request: web.Request) -> tuple[str, ...] | None:
    """Return what the request's key may do, or None if it is no key."""
    given = request.headers.get("Authorization", "")
    own = request.app[SANDBOX].providers[KEY].credentials["api_key"]
    issued = request.app[ISSUED]
    for key, permissions in {**KEYS, **issued, own: PERMISSIONS}.items():
        if same(given, f"token {key}"):
            return permissions
    return None


def may(held: tuple[str, ...], policy: str, store_id: str | None) -> bool:
    """Say whether permissions allow something at a store, or at any, where that is None."""
    for permission in held:
        name, _, scope = permission.partition(":")
        allows = name == policy or policy in INCLUDED.get(name, ())
        if allows and (store_id is None or scope in ("", store_id)):
            return True
    return False


def _is_there(request: web.Request) -> bool:
    """Say whether the store is there, and what else is named is that store's."""
    named = request.match_info
    store_id, webhook = named.get("store_id"), None
    if "webhook_id" in named:
        webhook = request.app[WEBHOOKS].all.get(named["webhook_id"])
    if store_id is None:
        return "invoice_id" not in named or find_invoice(request) is not None
    is_elsewhere = (webhook is not None and webhook.store_id != store_id) or (
        "invoice_id" in named and store_id != STORE_ID and find_invoice(request) is not None
    )
    return store_id in STORES and not is_elsewhere


def needs(policy: str | None) -> Callable[[Handler], Handler]:
    """Let only those in whose key allows it; a store that isn't there is forbidden, not missing."""

    def wrap(handler: Handler) -> Handler:
        @wraps(handler)
        async def guarded(request: web.Request) -> web.StreamResponse:
            held = held_by(request)
            if held is None:
                message = "Authentication is required for accessing this endpoint"
                return error(401, "unauthenticated", message)
            store_id = request.match_info.get("store_id")
            if store_id is None and "invoice_id" in request.match_info:
                store_id = STORE_ID
            if policy and not (may(held, policy, store_id) and _is_there(request)):
                message = f'Insufficient API Permissions. Please use an API key with "{policy}".'
                return error(403, "missing-permission", message, missingPermission=policy)
            return await handler(request)

        return guarded

    return wrap


def find_invoice(request: web.Request) -> SandboxInvoice | None:
    """Return the invoice that is asked for."""
    return request.app[SANDBOX].store.find(KEY, request.match_info["invoice_id"])
