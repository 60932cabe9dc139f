"""The button that reads an account's invoices now."""

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest

from sandbox.faults import Fault

from .conftest import (
    AddAccount,
    SandboxServer,
    account_state,
    async_later,
    async_settle,
    state_of,
)


async def test_check_now(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """A payment is seen when somebody presses it, not at the next poll."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    button = {"entity_id": account_state(hass, entry, "check_now").entity_id}
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await hass.services.async_call("button", "press", button, blocking=True)
    await async_settle(hass)
    assert state_of(hass, entry, invoice.id, "status").state == "paid"
    # Nothing is open any more.
    await hass.services.async_call("button", "press", button, blocking=True)


async def test_in_an_outage(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """It can be pressed, and says that it didn't help."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    sandbox.switch("cryptocloud", Fault.SERVER_ERROR)
    await async_later(hass)
    button = {"entity_id": account_state(hass, entry, "check_now").entity_id}
    with pytest.raises(HomeAssistantError) as raised:
        await hass.services.async_call("button", "press", button, blocking=True)
    assert raised.value.translation_key == "not_refreshed"
