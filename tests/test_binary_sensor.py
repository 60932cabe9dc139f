"""Whether an account can be read, and what a user is told if not."""

from homeassistant.core import HomeAssistant
import pytest

from custom_components.crypto_invoices.binary_sensor import WHAT_TO_DO
from sandbox.faults import Fault

from .conftest import ENGLISH, AddAccount, SandboxServer, account_state, async_later

TEXTS = ENGLISH["entity"]["binary_sensor"]["connected"]["state_attributes"]


@pytest.mark.parametrize(
    ("fault", "problem", "what_to_do"),
    [
        (Fault.SERVER_ERROR, "server_error", "wait"),
        (Fault.UNAUTHORIZED, "invalid_auth", "enter_key"),
        (Fault.HTML, "bad_response", "check_address"),
    ],
)
async def test_connected(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    fault: Fault,
    problem: str,
    what_to_do: str,
) -> None:
    """An outage says what is wrong, since when, and what to do; after it there is nothing to say."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    state = account_state(hass, entry, "connected")
    assert (state.state, state.attributes["device_class"]) == ("on", "connectivity")
    assert "problem" not in state.attributes
    sandbox.switch("cryptocloud", fault)
    await async_later(hass)
    state = account_state(hass, entry, "connected")
    since = state.attributes["since"]
    assert state.state == "off"
    assert state.attributes["problem"] == problem
    assert state.attributes["what_to_do"] == what_to_do
    # It is another problem now, of the same outage.
    sandbox.switch("cryptocloud", Fault.RATE_LIMITED)
    for _ in range(6):
        await async_later(hass)
    state = account_state(hass, entry, "connected")
    assert state.attributes["problem"] == "rate_limited"
    assert state.attributes["since"] == since
    sandbox.switch("cryptocloud", None)
    for _ in range(6):
        await async_later(hass)
    state = account_state(hass, entry, "connected")
    assert state.state == "on"
    assert state.attributes.keys().isdisjoint(TEXTS)


async def test_set_up_during_an_outage(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Nobody says that an account is connected before it was read."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    await async_later(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    sandbox.switch("cryptocloud", Fault.SERVER_ERROR)
    await hass.config_entries.async_setup(entry.entry_id)
    assert account_state(hass, entry, "connected").state in ("unknown", "off")
    await async_later(hass)
    assert account_state(hass, entry, "connected").state == "off"


def test_texts() -> None:
    """Each problem and each advice has a text, and each text is of one that there is."""
    assert TEXTS["problem"]["state"].keys() == WHAT_TO_DO.keys()
    assert TEXTS["what_to_do"]["state"].keys() == set(WHAT_TO_DO.values())
    assert TEXTS.keys() == {"problem", "since", "what_to_do"}
