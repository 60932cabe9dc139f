"""Sensors of accounts and their invoices."""

from functools import partial

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from ..entity import async_add_invoice_entities, async_add_passing_entities
from ..runtime import CryptoInvoicesConfigEntry
from .account import async_add_account_sensors
from .balance import async_add_balances
from .invoice import EXPIRES, InvoiceSensor, expires, invoice_sensors
from .to_fulfill import async_add_to_fulfill

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: CryptoInvoicesConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the account's sensors, and those of each invoice as it gets watched."""
    account = entry.runtime_data
    async_add_account_sensors(hass, account, async_add_entities)
    async_add_to_fulfill(account, async_add_entities)
    if account.balances is not None:
        async_add_balances(hass, account.balances, async_add_entities)
    await async_add_invoice_entities(
        account.coordinator,
        async_add_entities,
        partial(invoice_sensors, account.coordinator, account.provider.reported_fields),
    )
    if EXPIRES.key in account.provider.reported_fields:
        await async_add_passing_entities(
            account.coordinator,
            async_add_entities,
            lambda invoice_id: InvoiceSensor(account.coordinator, invoice_id, EXPIRES),
            domain=Platform.SENSOR,
            key=EXPIRES.key,
            exists=expires,
        )
