"""The control API: make invoices, pay them, switch faults on, read what was asked and reported."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
import time
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from .core import SANDBOX, Sandbox
from .faults import Fault
from .invoice import SandboxInvoice
from .postback_control import describe
from .provider import Provider
from .states import STEPS, SandboxError, known
from .wire import as_amount, json_object, json_response, refuse_unknown, whole_number

MOST_AT_ONCE = 10_000
DELIVERIES_SHOWN = 5


@web.middleware
async def explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what makes no sense into an answer that says so."""
    try:
        return await handler(request)
    except SandboxError as error:
        return json_response({"error": str(error)}, status=error.status)


def _invoice(request: web.Request, invoice: SandboxInvoice) -> dict[str, Any]:
    """Describe an invoice."""
    sandbox = request.app[SANDBOX]
    return {
        "id": invoice.id,
        "provider": invoice.provider,
        "state": invoice.state,
        "provider_status": sandbox.providers[invoice.provider].words[invoice.state],
        "amount": f"{invoice.amount:f}",
        "received": f"{invoice.received:f}",
        "currency": invoice.currency,
        "order_id": invoice.order_id,
        "coin_chosen": invoice.coin_chosen,
        "created_at": invoice.created_at,
        "updated_at": invoice.updated_at,
        "expires_at": invoice.expires_at,
        "payment_url": f"{request.url.origin()}/pay/{invoice.provider}/{invoice.id}",
        "actions": [
            {"action": action, "label": STEPS[action].label}
            for action in sandbox.store.actions(invoice)
        ],
    }


def _provider(request: web.Request, provider: Provider, limit: int | None) -> dict[str, Any]:
    """Describe a provider and its invoices, newest first."""
    sandbox = request.app[SANDBOX]
    invoices = sandbox.store.all(provider.key)[::-1]
    return {
        "key": provider.key,
        "name": provider.name,
        "credentials": provider.credentials,
        "push_credentials": provider.push_credentials,
        "invoicing_credentials": provider.invoicing_credentials,
        "currencies": provider.currencies,
        "settings": {
            name: {"value": sandbox.settings[provider.key][name], "choices": choices}
            for name, choices in provider.settings.items()
        },
        "fault": sandbox.faults.active[provider.key],
        "postback": describe(sandbox.postbacks, provider.key, DELIVERIES_SHOWN),
        "requests": _requests(sandbox).get(provider.key, {}),
        "invoice_count": len(invoices),
        "invoices": [_invoice(request, invoice) for invoice in invoices[:limit]],
    }


def _requests(sandbox: Sandbox) -> dict[str, dict[str, int]]:
    """Return the counts by provider, then kind."""
    counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (provider, kind), count in sandbox.requests.items():
        counts[provider][kind] = count
    return counts


async def _get_state(request: web.Request) -> web.Response:
    """Tell everything; `?limit=` keeps the lists of invoices short."""
    limit = request.query.get("limit")
    if limit is not None and not (limit.isascii() and limit.isdigit()):
        raise SandboxError("limit must be a whole number")
    providers = request.app[SANDBOX].providers.values()
    return json_response(
        {
            "providers": [
                _provider(request, provider, None if limit is None else int(limit))
                for provider in providers
            ],
            "faults": list(Fault),
        }
    )


async def _post_invoices(request: web.Request) -> web.Response:
    """Make one invoice, or many alike."""
    data = await json_object(request)
    refuse_unknown(
        data,
        ("provider", "amount", "currency", "order_id", "expires_in", "coin_chosen", "count"),
    )
    for name in ("provider", "currency", "order_id"):
        if not isinstance(data.get(name, ""), str):
            raise SandboxError(f"{name} must be text")
    expires_in = whole_number(data, "expires_in", 0, 10 * 365 * 86_400)
    store = request.app[SANDBOX].store
    invoices = [
        store.create(
            data.get("provider", ""),
            amount=as_amount(data.get("amount", 25)),
            currency=data.get("currency"),
            order_id=data.get("order_id"),
            expires_in=None if expires_in is None else timedelta(seconds=expires_in),
            coin_chosen=data.get("coin_chosen") is True,
        )
        for _ in range(whole_number(data, "count", 1, MOST_AT_ONCE) or 1)
    ]
    return json_response([_invoice(request, invoice) for invoice in invoices], status=201)


async def _get_invoice(request: web.Request) -> web.Response:
    """Tell about one invoice."""
    names = request.match_info
    return json_response(
        _invoice(request, request.app[SANDBOX].store.get(names["provider"], names["id"]))
    )


async def _post_invoice(request: web.Request) -> web.Response:
    """Do something to an invoice."""
    data, names = await json_object(request), request.match_info
    refuse_unknown(data, ("action",))
    store = request.app[SANDBOX].store
    invoice = store.act(names["provider"], names["id"], str(data.get("action")))
    return json_response(_invoice(request, invoice))


async def _post_fault(request: web.Request) -> web.Response:
    """Switch a fault on or off."""
    data, provider = await json_object(request), request.match_info["provider"]
    refuse_unknown(data, ("fault", "count"))
    fault = data.get("fault")
    faults = request.app[SANDBOX].faults
    count = whole_number(data, "count", 1)
    faults.switch(provider, None if fault is None else str(fault), count=count)
    return json_response({"fault": faults.active[provider]})


async def _post_settings(request: web.Request) -> web.Response:
    """Choose settings."""
    data, provider = await json_object(request), request.match_info["provider"]
    sandbox = request.app[SANDBOX]
    settings = known(sandbox.settings, provider)
    for name, value in data.items():
        sandbox.set(provider, name, str(value))
    return json_response(settings)


async def _post_report(request: web.Request) -> web.Response:
    """Keep what an automation tells of its run."""
    stamps = {"monotonic": time.monotonic(), "received_at": datetime.now(UTC)}
    entry = stamps | {"report": await json_object(request)}
    request.app[SANDBOX].reports.append(entry)
    return json_response(entry, status=201)


async def _get_reports(request: web.Request) -> web.Response:
    """Tell what was reported."""
    return json_response(list(request.app[SANDBOX].reports))


async def _delete_reports(request: web.Request) -> web.Response:
    """Forget what was reported."""
    request.app[SANDBOX].reports.clear()
    return json_response([])


async def _get_requests(request: web.Request) -> web.Response:
    """Tell how often each provider was asked, and for what."""
    return json_response(_requests(request.app[SANDBOX]))


async def _delete_requests(request: web.Request) -> web.Response:
    """Count from zero again."""
    request.app[SANDBOX].requests.clear()
    return json_response({})


async def _elsewhere(request: web.Request) -> web.Response:
    """Be where the redirect fault leads, and count who follows it."""
    request.app[SANDBOX].requests[request.match_info["provider"], "elsewhere"] += 1
    return json_response({})


ROUTES = (
    web.get("/_sandbox/state", _get_state),
    web.post("/_sandbox/invoices", _post_invoices),
    web.get("/_sandbox/invoices/{provider}/{id}", _get_invoice),
    web.post("/_sandbox/invoices/{provider}/{id}", _post_invoice),
    web.post("/_sandbox/faults/{provider}", _post_fault),
    web.post("/_sandbox/settings/{provider}", _post_settings),
    web.post("/_sandbox/report", _post_report),
    web.get("/_sandbox/reports", _get_reports),
    web.delete("/_sandbox/reports", _delete_reports),
    web.get("/_sandbox/requests", _get_requests),
    web.delete("/_sandbox/requests", _delete_requests),
    web.route("*", "/_sandbox/elsewhere/{provider}", _elsewhere),
)
