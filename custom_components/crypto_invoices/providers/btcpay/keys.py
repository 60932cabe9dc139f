"""What a key of BTCPay Server may do, and at which stores."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlencode

from ..model import AuthError, BadResponse, SettingNeeded
from ..parse import read_object

VIEW_INVOICES = "btcpay.store.canviewinvoices"
VIEW_STORES = "btcpay.store.canviewstoresettings"
MODIFY_INVOICES = "btcpay.store.canmodifyinvoices"
MODIFY_WEBHOOKS = "btcpay.store.webhooks.canmodifywebhooks"
CREATE_INVOICES = "btcpay.store.cancreateinvoice"
# Any of these lets a key read invoices, and one of them stores too.
_READ = frozenset({VIEW_INVOICES, VIEW_STORES, MODIFY_INVOICES})
CAN_SPEND = frozenset(
    {
        "unrestricted",
        "btcpay.impersonation.canimpersonate",
        "btcpay.server.canmanageusers",
        "btcpay.server.canmodifyserversettings",
        "btcpay.server.canuseinternallightningnode",
        "btcpay.store.canbroadcasttransactions",
        "btcpay.store.cancanceltransactions",
        "btcpay.store.cancreatepullpayments",
        "btcpay.store.cancreatetransactions",
        "btcpay.store.canmanagepayouts",
        "btcpay.store.canmanagepullpayments",
        "btcpay.store.canmanagewallets",
        "btcpay.store.canmanagewalletsettings",
        "btcpay.store.canmanagewallettransactions",
        "btcpay.store.canmodifystoresettings",
        "btcpay.store.cansigntransactions",
        "btcpay.store.canuselightningnode",
    }
)


def authorize_path(*more: str, redirect: str | None = None) -> str:
    """Return where a person makes a key that may read invoices and see to webhooks, and ``more``.

    Where there is a ``redirect``, the page posts the key there as ``apiKey`` in a form.
    """
    asked = [("applicationName", "Home Assistant")]
    asked += [("permissions", policy) for policy in (VIEW_INVOICES, MODIFY_WEBHOOKS, *more)]
    asked += [("strict", "true"), ("selectiveStores", "true")]
    asked += [("redirect", redirect)] if redirect else []
    return f"/api-keys/authorize?{urlencode(asked)}"


def request_path(redirect: str, *, may_create: bool, may_cancel: bool) -> str:
    """Return where the page is that makes such a key and posts it to ``redirect``."""
    more = {CREATE_INVOICES: may_create, MODIFY_INVOICES: may_cancel}
    return authorize_path(*(name for name, is_asked in more.items() if is_asked), redirect=redirect)


type Scopes = Mapping[str, set[str | None]]


def read_scopes(payload: object) -> Scopes:
    """Return a key's permissions, each with the stores it is for; None is all of them."""
    permissions = read_object(payload, "the key").get("permissions")
    if not isinstance(permissions, list):
        raise BadResponse("the key has no permissions")
    scopes: dict[str, set[str | None]] = {}
    for permission in permissions:
        if isinstance(permission, str):
            policy, colon, store_id = permission.strip().partition(":")
            scopes.setdefault(policy.lower(), set()).add(store_id if colon else None)
    return scopes


def may(scopes: Scopes, policy: str, store_id: str) -> bool:
    """Whether a permission covers a store."""
    return not scopes.get(policy, set()).isdisjoint({None, store_id})


def choose_store(chosen: str | None, scopes: Scopes, names: Iterable[str]) -> str:
    """Return the store to read. Raises SettingNeeded unless there is exactly one."""
    stores: set[str | None] = set().union(*(scopes.get(policy, set()) for policy in _READ))
    if not stores:
        raise AuthError("the key may not read invoices")
    if chosen and not {None, chosen}.isdisjoint(stores):
        return chosen
    if None in stores:
        stores = set(names)
    if chosen or len(stores) != 1 or not (store_id := stores.pop()):
        raise SettingNeeded("store_id")
    return store_id
