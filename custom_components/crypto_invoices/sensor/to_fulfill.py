"""The sensor that counts what has to be fulfilled."""

from typing import override

from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from ..fulfillment.presence import async_add_while_shown
from ..runtime import AccountRuntime
from .account import AccountSensor, AccountSensorDescription

TO_FULFILL = AccountSensorDescription(
    key="to_fulfill",
    translation_key="to_fulfill",
    value_fn=lambda account: len(account.book.items.owed),
)


@callback
def async_add_to_fulfill(
    account: AccountRuntime, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensor while the account keeps what has to be fulfilled."""
    async_add_while_shown(
        account.fulfillment,
        Platform.SENSOR,
        TO_FULFILL.key,
        lambda: ToFulfillSensor(account, TO_FULFILL),
        async_add_entities,
    )


class ToFulfillSensor(AccountSensor):
    """How many payments have to be fulfilled."""

    @override
    async def async_added_to_hass(self) -> None:
        """Follow what is owed."""
        await super().async_added_to_hass()
        self.async_on_remove(self._account.fulfillment.async_add_listener(self._reading_done))
