"""System health: what is used of each provider, and nothing that is the user's own."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import ClientError
from homeassistant.components.system_health import DOMAIN as SYSTEM_HEALTH_DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    get_system_health_info,
)
from pytest_homeassistant_custom_component.test_util.aiohttp import AiohttpClientMocker

from custom_components.crypto_invoices.const import DOMAIN
from sandbox.faults import Fault

from .conftest import AddAccount, SandboxServer, async_later

PUBLIC = "https://api.cryptocloud.plus"


async def shown(hass: HomeAssistant) -> Mapping[str, Any]:
    """Return what the page shows, with the answers that it waits for."""
    info: dict[str, Any] = await get_system_health_info(hass, DOMAIN)
    return {
        key: await value if key.endswith("_reachable") else value for key, value in info.items()
    }


@pytest.fixture(autouse=True)
async def _system_health(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, SYSTEM_HEALTH_DOMAIN, {})
    assert await async_setup_component(hass, DOMAIN, {})


async def test_own_servers(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Of servers that are the user's own, it is told how reading goes, not where they are."""
    assert await shown(hass) == {}
    ids = [sandbox.store.create("egates").id for _ in range(3)]
    await add_account("egates", *ids)
    await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    sandbox.store.act("egates", ids[0], "pay")
    sandbox.switch("cryptocloud", Fault.SERVER_ERROR)
    await async_later(hass)
    found = dict(await shown(hass))
    for key in ("egates_last_reading", "cryptocloud_last_reading"):
        assert isinstance(found[key], datetime)
        assert found.pop(key) <= datetime.now(UTC)
    assert found == {
        "cryptocloud_accounts": "0/1",
        "cryptocloud_invoices": "1/1",
        "egates_accounts": "1/1",
        "egates_invoices": "2/3",
    }


@pytest.mark.parametrize("is_there", [True, False])
async def test_public_server(
    hass: HomeAssistant, aioclient_mock: AiohttpClientMocker, *, is_there: bool
) -> None:
    """A server that is everybody's is looked for, also while the account isn't loaded."""
    data = {"provider": "cryptocloud", "url": PUBLIC, "api_key": "k"}
    MockConfigEntry(domain=DOMAIN, data=data).add_to_hass(hass)
    aioclient_mock.get(PUBLIC, exc=None if is_there else ClientError())
    reached = "ok" if is_there else {"type": "failed", "error": "unreachable"}
    assert await shown(hass) == {
        "cryptocloud_reachable": reached,
        "cryptocloud_accounts": "0/1",
        "cryptocloud_invoices": "0/0",
    }
