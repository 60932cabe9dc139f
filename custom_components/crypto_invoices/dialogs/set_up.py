"""Set up an account: its provider, its credentials, its first invoices."""

from collections.abc import Mapping
from typing import Any, override

from homeassistant.components import webhook
from homeassistant.config_entries import ConfigFlowResult
from homeassistant.const import CONF_URL, CONF_WEBHOOK_ID
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import BooleanSelector
import voluptuous as vol

from ..book.loading import looked_up
from ..const import CONF_AUTO_WATCH, CONF_INVOICES
from ..integrations import async_get_origin
from ..notifications.address import webhook_address
from ..providers import PROVIDERS
from ..providers.capabilities import CanListInvoices
from ..providers.provider import Provider
from ..providers.push import CanPush, CanRegisterWebhook
from .credentials import (
    FormErrors,
    async_credentials_schema,
    key_page,
    read_settings,
    with_optional_keys,
)
from .invoice_ids import CheckedIds, async_check_ids, invoices_schema
from .labels import FOREIGN_STEP, async_form
from .open_invoices import OpenInvoices, async_offer
from .proof import Proven, ProvingFlow


class SetUpFlow(ProvingFlow):
    """The steps that set up an account."""

    _asked: type[Provider]
    _proven: Proven
    _offered: OpenInvoices
    _suggested: Mapping[str, Any] | None = None
    """What the form for the first invoices begins with."""

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the provider."""
        own = [key for key in PROVIDERS if async_get_origin(self.hass, key) is None]
        more = ["more"] if len(own) < len(PROVIDERS) else []
        return self.async_show_menu(step_id="user", menu_options=[*own, *more])

    async def async_step_more(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for a provider of another integration, by its name."""
        names = {
            key: provider.name
            for key, provider in PROVIDERS.items()
            if async_get_origin(self.hass, key) is not None
        }
        return self.async_show_menu(step_id="more", menu_options=names)

    async def async_step_integration(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the credentials of a provider of another integration."""
        return await self.async_ask_credentials(self._asked, user_input)

    async def async_ask_credentials(
        self, provider: type[Provider], user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the provider's credentials and prove them."""
        wrong = FormErrors({})
        settings: dict[str, Any] = {}
        form = await async_form(self.hass, provider)
        self._asked = provider
        # Who has no key yet submits without one, and gets the link to make it.
        fields = with_optional_keys(form.fields) if provider.key_path else form.fields
        if user_input is not None:
            settings = read_settings(provider, form.fields, user_input)
            proven = await self.async_prove(provider, form.fields, settings)
            if isinstance(proven, Proven):
                self._proven = proven
                # A dialog that somebody left open must not keep everybody out.
                await self.async_set_unique_id(proven.unique_id, raise_on_progress=False)
                self._abort_if_unique_id_configured()
                return await self._async_offer_invoices()
            wrong = proven
        return self.async_show_form(
            step_id=form.step_id,
            data_schema=await async_credentials_schema(self.hass, fields, settings, wrong.by_field),
            errors=dict(wrong.by_field),
            description_placeholders={
                "provider": provider.name,
                "key_page": key_page(provider, settings.get(CONF_URL, "")),
                **form.placeholders,
                **wrong.placeholders,
            },
        )

    async def _async_offer_invoices(self) -> ConfigFlowResult:
        """List what is open, and ask which of it to watch."""
        self._offered = await async_offer(self.hass, self._proven.provider)
        if self._offered.was_listed:
            return await self.async_step_invoices()
        return await self.async_step_invoices_not_listed()

    async def async_step_invoices(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the invoices to watch and look them up; a till begins without any."""
        return await self._async_ask_invoices("invoices", user_input)

    async def async_step_invoices_not_listed(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for IDs, as the provider can't list what is open now."""
        return await self._async_ask_invoices("invoices_not_listed", user_input)

    async def _async_ask_invoices(
        self, step_id: str, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        """Ask for the invoices to watch, look them up, and set up the account with them."""
        checked = CheckedIds()
        provider = self._proven.provider
        if user_input is not None:
            checked = await async_check_ids(provider, self._offered, user_input, (), needed=False)
            if not checked.errors:
                return self._create_account(checked, user_input)
        return self.async_show_form(
            step_id=step_id,
            data_schema=invoices_schema(
                self._offered,
                user_input or self._suggested,
                _auto_watch_field(provider, user_input or {}),
            ),
            errors=checked.errors,
            description_placeholders={
                "provider": provider.name,
                "count": str(len(self._offered.by_id)),
                **checked.placeholders,
            },
        )

    def _create_account(
        self, checked: CheckedIds, user_input: Mapping[str, Any]
    ) -> ConfigFlowResult:
        """Store the account with its first invoices."""
        # A new key of another account may have become this one meanwhile.
        self._abort_if_unique_id_configured()
        provider = self._proven.provider
        data = {
            **self._proven.data,
            CONF_WEBHOOK_ID: webhook.async_generate_id(),
            # The account's book takes them over.
            CONF_INVOICES: [looked_up(invoice) for invoice in checked.invoices],
        }
        # Who enters no IDs wants all of them.
        is_auto_watched = isinstance(provider, CanListInvoices) and user_input.get(
            CONF_AUTO_WATCH, not checked.invoices
        )
        return self.async_create_entry(
            title=self._proven.account.title,
            data=data,
            options={CONF_AUTO_WATCH: True} if is_auto_watched else {},
            **_how_to_push(self.hass, provider, data),
        )


def _auto_watch_field(provider: Provider, typed: Mapping[str, Any]) -> dict[vol.Marker, Any]:
    """Return the switch for all that is made from now on, where the provider lists invoices."""
    if not isinstance(provider, CanListInvoices):
        return {}
    suggested = {"suggested_value": typed.get(CONF_AUTO_WATCH, True)}
    return {vol.Optional(CONF_AUTO_WATCH, description=suggested): BooleanSelector()}


def _how_to_push(
    hass: HomeAssistant, provider: Provider, data: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the last dialog says of pushes: nothing where there can't be any."""
    is_up_to_user = (
        not provider.may_register_webhook
        if isinstance(provider, CanRegisterWebhook)
        else isinstance(provider, CanPush) and provider.accepts_push
    )
    address = webhook_address(hass, data) if is_up_to_user else None
    if address is None:
        return {}
    return {
        "description": FOREIGN_STEP if async_get_origin(hass, provider.key) else provider.key,
        "description_placeholders": {"provider": provider.name, "webhook_url": address},
    }
