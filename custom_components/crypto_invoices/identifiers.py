"""What we call things in Home Assistant: built here, and taken apart here.

An account's device is identified by its entry's ID, an invoice's by
`<entry ID>_<invoice ID>`. An entity's unique ID is its device's identifier with a key.
"""

from collections.abc import Iterable
from typing import Final

from .const import DOMAIN

# Sent with an Announcement, to an account by its entry's ID, and to an invoice by its identifier.
SIGNAL_ANNOUNCED_OF: Final = f"{DOMAIN}_announced_{{}}"


def account_unique_id(provider: str, unique_id: str) -> str:
    """Return the unique ID of an account's entry: what its provider calls it, and which that is."""
    return f"{provider}_{unique_id}"


def invoice_identifier(entry_id: str, invoice_id: str) -> str:
    """Return what identifies an invoice's device."""
    return f"{entry_id}_{invoice_id}"


def account_device(entry_id: str) -> tuple[str, str]:
    """Return the identifier of an account's device, as the device registry has it."""
    return DOMAIN, entry_id


def invoice_device(entry_id: str, invoice_id: str) -> tuple[str, str]:
    """Return the identifier of an invoice's device, as the device registry has it."""
    return DOMAIN, invoice_identifier(entry_id, invoice_id)


def our_identifiers(identifiers: Iterable[tuple[str, ...]]) -> list[str]:
    """Return what we call a device, nothing if it isn't ours."""
    # Other integrations' identifiers are not always pairs.
    return [identifier[1] for identifier in identifiers if identifier[0] == DOMAIN]


def invoice_of_device(entry_id: str, identifiers: Iterable[tuple[str, ...]]) -> str | None:
    """Return the invoice ID of a device of an account, None of its own device and of others'."""
    found = (part_after(entry_id, identifier) for identifier in our_identifiers(identifiers))
    return next((invoice_id for invoice_id in found if invoice_id), None)


def entity_unique_id(identifier: str, *keys: str) -> str:
    """Return the unique ID of an entity of a device; a sum has a currency as a second key."""
    return "_".join((identifier, *keys))


def part_after(beginning: str, name: str) -> str | None:
    """Return what comes after the beginning of an identifier or unique ID, None if it has another."""
    prefix = f"{beginning}_"
    return name.removeprefix(prefix) if name.startswith(prefix) else None


def issue_id(key: str, entry_id: str) -> str:
    """Return what an issue of an account is stored under."""
    return f"{key}_{entry_id}"
