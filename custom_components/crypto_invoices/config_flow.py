"""Config flow: provider, credentials, invoices; and new keys when the old ones stop working."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, override

from homeassistant.components import webhook
from homeassistant.config_entries import (
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    OptionsFlow,
)
from homeassistant.const import CONF_URL, CONF_WEBHOOK_ID
from homeassistant.core import HomeAssistant, callback

from .account import async_create_provider, invoice_subentry, tracked_invoices
from .address import address_problem
from .const import CONF_INVOICES, CONF_PROVIDER, DOMAIN, SUBENTRY_TYPE_INVOICE
from .coordinator import CryptoInvoicesConfigEntry
from .credentials import (
    async_credentials_schema,
    changed_settings,
    provider_errors,
    read_settings,
    settings_errors,
    settings_to_change,
)
from .invoice_ids import CheckedIds, async_check_ids, invoices_schema
from .options_flow import AccountOptionsFlow
from .providers import PROVIDERS
from .providers.base import Field, FieldKind, Provider
from .providers.model import Account, InvoiceNotFound, ProviderError
from .providers.push import CanPush, CanRegisterWebhook
from .subentry_flow import InvoiceSubentryFlow
from .webhook import webhook_address

# So many of the newest invoices are looked for with a new key.
_LOOKED_FOR = 20


class CryptoInvoicesConfigFlow(ConfigFlow, domain=DOMAIN):
    """Set up an account, with its first invoices."""

    VERSION = 1
    MINOR_VERSION = 1

    _provider: Provider
    _account: Account
    _data: dict[str, Any]
    _exposed_address: str | None = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Give every provider a credentials step of its own, named by its key.

        So each has its own texts, and a new provider needs no change here.
        """
        provider = PROVIDERS.get(name.removeprefix("async_step_"))
        if provider is None:
            raise AttributeError(name)
        return partial(self._async_step_credentials, provider)

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return what can be added to an account."""
        return {SUBENTRY_TYPE_INVOICE: InvoiceSubentryFlow}

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        """Return the dialog for how an account is kept."""
        return AccountOptionsFlow()

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the provider."""
        return self.async_show_menu(step_id="user", menu_options=list(PROVIDERS))

    async def _async_step_credentials(
        self, provider: type[Provider], user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the provider's credentials and prove them."""
        errors: dict[str, str] = {}
        settings: dict[str, Any] = {}
        # Who has no key yet submits without one, and gets the link to make it.
        fields = _with_optional_keys(provider.fields) if provider.key_path else provider.fields
        if user_input is not None:
            settings = read_settings(provider, provider.fields, user_input)
            data = {CONF_PROVIDER: provider.key, **settings}
            errors = await self._async_prove(provider, provider.fields, data)
            if not errors:
                # A dialog that somebody left open must not keep everybody out.
                await self.async_set_unique_id(
                    f"{provider.key}_{self._account.unique_id}", raise_on_progress=False
                )
                self._abort_if_unique_id_configured()
                return await self.async_step_invoices()
        return self.async_show_form(
            step_id=provider.key,
            data_schema=await async_credentials_schema(self.hass, fields, settings, errors),
            errors=errors,
            description_placeholders={
                "provider": provider.name,
                "key_page": _key_page(provider, settings.get(CONF_URL, "")),
            },
        )

    async def async_step_invoices(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the invoices to watch and look them up; a till begins without any."""
        checked = CheckedIds()
        if user_input is not None:
            checked = await async_check_ids(self._provider, user_input, (), needed=False)
            if not checked.errors:
                # A new key of another account may have become this one meanwhile.
                self._abort_if_unique_id_configured()
                data = {
                    **self._data,
                    **self._provider.learned,
                    CONF_WEBHOOK_ID: webhook.async_generate_id(),
                }
                return self.async_create_entry(
                    title=self._account.title,
                    data=data,
                    **_how_to_push(self.hass, self._provider, data),
                    subentries=[invoice_subentry(invoice) for invoice in checked.invoices],
                )
        return self.async_show_form(
            step_id="invoices",
            data_schema=invoices_schema((user_input or {}).get(CONF_INVOICES, "")),
            errors=checked.errors,
            description_placeholders={"provider": self._provider.name, **checked.placeholders},
        )

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Start when the provider no longer accepts the keys."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for new keys; everything else stays."""
        entry = self._get_reauth_entry()
        provider = PROVIDERS[entry.data[CONF_PROVIDER]]
        secrets = [
            field for field in provider.fields if field.kind is FieldKind.SECRET and field.required
        ]
        errors: dict[str, str] = {}
        settings: dict[str, Any] = {}
        if user_input is not None:
            settings = read_settings(provider, secrets, user_input)
            asked = {field.key for field in secrets}
            kept = {key: value for key, value in entry.data.items() if key not in asked}
            data = {**kept, **settings}
            errors = await self._async_prove(provider, secrets, data, entry)
            if not errors:
                return await self._async_update(entry, data, "reauth_successful")
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=await async_credentials_schema(self.hass, secrets, settings, errors),
            errors=errors,
            description_placeholders={"provider": provider.name, "account": entry.title},
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change the address or the keys.

        A key that is needed stays if it is left empty; one that isn't can be taken away.
        """
        entry = self._get_reconfigure_entry()
        provider = PROVIDERS[entry.data[CONF_PROVIDER]]
        fields = _with_optional_keys(provider.fields)
        errors: dict[str, str] = {}
        settings = settings_to_change(provider, entry.data)
        if user_input is not None:
            settings = read_settings(provider, fields, user_input)
            data = changed_settings(provider, entry.data, settings)
            errors = await self._async_prove(provider, fields, data, entry)
            if not errors:
                return await self._async_update(entry, data, "reconfigure_successful")
        address = webhook_address(self.hass, entry.data)
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=await async_credentials_schema(self.hass, fields, settings, errors),
            errors=errors,
            description_placeholders={
                "provider": provider.name,
                "account": entry.title,
                "webhook_url": address or "-",
            },
        )

    async def _async_update(
        self, entry: ConfigEntry, data: dict[str, Any], reason: str
    ) -> ConfigFlowResult:
        """Store what was proven to work, and load the account with it."""
        unique_id = f"{data[CONF_PROVIDER]}_{self._account.unique_id}"
        await self.async_set_unique_id(unique_id, raise_on_progress=False)
        if unique_id != entry.unique_id:
            self._abort_if_unique_id_configured()
        result = self.async_update_and_abort(
            entry, unique_id=unique_id, data={**data, **self._provider.learned}, reason=reason
        )
        # An entry that failed to load has no listener that would notice.
        self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return result

    async def _async_prove(
        self,
        provider: type[Provider],
        fields: Sequence[Field],
        data: dict[str, Any],
        entry: ConfigEntry | None = None,
    ) -> dict[str, str]:
        """Check the settings and ask the provider; return the form's errors.

        They have to be of the same account as ``entry``, as far as that can be told.
        """
        if errors := settings_errors(provider, fields, data, self._exposed_address):
            if "url_not_encrypted" in errors.values():
                self._exposed_address = data["url"]
            return errors
        self._data = data
        self._provider = await async_create_provider(self.hass, data)
        try:
            self._account = await self._provider.async_get_account()
            is_another = entry is not None and await self._async_is_another(entry)
        except ProviderError as err:
            return provider_errors(fields, err)
        return {"base": "another_account"} if is_another else {}

    async def _async_is_another(self, entry: CryptoInvoicesConfigEntry) -> bool:
        """Whether the account is another one than the entry's.

        A new key has a new unique ID where the provider doesn't name its
        accounts. What tells then is that none of the invoices can be found.
        """
        if f"{self._provider.key}_{self._account.unique_id}" == entry.unique_id:
            return False
        lost = entry.runtime_data.data.errors if entry.state is ConfigEntryState.LOADED else {}
        known = [invoice_id for invoice_id in tracked_invoices(entry) if invoice_id not in lost]
        found = await self._provider.async_get_invoices(known[-_LOOKED_FOR:])
        return bool(found) and all(isinstance(each, InvoiceNotFound) for each in found.values())


def _with_optional_keys(fields: Iterable[Field]) -> list[Field]:
    """Return the fields for a form that can be submitted without keys."""
    return [
        replace(field, required=False) if field.kind is FieldKind.SECRET else field
        for field in fields
    ]


def _key_page(provider: type[Provider], address: str) -> str:
    """Return the link to where a key is made, or what it looks like before there is an address."""
    if address and not address_problem(address, allows_path=provider.allows_path):
        return f"{address}{provider.key_path}"
    return f"`https://…{provider.key_path}`"


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
        "description": provider.key,
        "description_placeholders": {"provider": provider.name, "webhook_url": address},
    }
