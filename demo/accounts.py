"""Set up an account for each provider, the way a person clicks it together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import DOMAIN, DemoError
from .client import Client
from .sandbox import SandboxInvoice, SandboxProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedInvoice:
    """An invoice at the sandbox, and the entities that show it."""

    invoice: SandboxInvoice
    status: str
    amount: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A config entry, and the invoices that it watches."""

    provider: SandboxProvider
    entry_id: str
    watched: tuple[WatchedInvoice, ...]
    device_id: str = ""
    """Its device, whose activity has a sentence for each change."""


async def add_account(client: Client, provider: SandboxProvider, url: str) -> Account:
    """Click through the config flow and find what came of it."""
    flow = await client.config_flow(DOMAIN)
    await flow.expect("menu", "user").choose(provider.key)
    form = flow.expect("form", provider.key).result["data_schema"]
    keys = provider.credentials | provider.invoicing_credentials
    await flow.submit(**fill_in(form, {**keys, "url": url}))
    ids = "\n".join(invoice.id for invoice in provider.invoices)
    await flow.expect("form", "invoices").submit(invoices=ids)
    entry_id = flow.expect("create_entry").result["result"]["entry_id"]
    return Account(
        provider=provider,
        entry_id=entry_id,
        watched=await find_entities(client, entry_id, provider),
        device_id=await _find_device(client, entry_id),
    )


async def _find_device(client: Client, entry_id: str) -> str:
    """Return the device of an account, whose invoices are others."""
    devices = await client.devices(entry_id)
    return next(str(device["id"]) for device in devices if device["model"] == "Account")


async def add_invoices(client: Client, entry_id: str, ids: Iterable[str]) -> None:
    """Paste more invoices into an account that is there already."""
    flow = await client.subentry_flow(entry_id, "invoice")
    await flow.expect("form", "user").submit(invoices="\n".join(ids))
    flow.expect("abort")


def fill_in(form: Iterable[Mapping[str, Any]], values: Mapping[str, str]) -> dict[str, Any]:
    """Fill in the fields of a form that there are values for, those in sections too."""
    filled: dict[str, Any] = {}
    for field in form:
        if "schema" in field:
            filled[field["name"]] = fill_in(field["schema"], values)
        elif field["name"] in values:
            filled[field["name"]] = values[field["name"]]
    return filled


async def find_entities(
    client: Client, entry_id: str, provider: SandboxProvider
) -> tuple[WatchedInvoice, ...]:
    """Find each invoice's entities by their unique ids: entity ids are the user's to choose."""
    found = await _registered(client, entry_id)
    watched = []
    for invoice in provider.invoices:
        key = f"{entry_id}_{invoice.id}"
        if (status := found.get(f"{key}_status")) is None:
            raise DemoError(f"{provider.name}: there is no status sensor of {invoice.id}")
        watched.append(
            WatchedInvoice(invoice=invoice, status=status, amount=found.get(f"{key}_amount"))
        )
    return tuple(watched)


async def _registered(client: Client, entry_id: str) -> dict[str, str]:
    """Return an account's entities by their unique ids."""
    return {
        entity["unique_id"]: entity["entity_id"]
        for entity in await client.registered_entities(DOMAIN)
        if entity["config_entry_id"] == entry_id
    }
