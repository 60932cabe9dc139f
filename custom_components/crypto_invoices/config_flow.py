"""Where Home Assistant finds the dialogs of an account."""

from collections.abc import Callable
from functools import partial
from typing import Any, override

from homeassistant.config_entries import ConfigEntry, ConfigSubentryFlow, OptionsFlow
from homeassistant.core import callback

from .const import CONF_PROVIDER, DOMAIN, SUBENTRY_TYPE_INVOICE, SUBENTRY_TYPE_MONEY
from .dialogs.add_invoices import AddInvoicesFlow
from .dialogs.ask_for_money import AskForMoneyFlow
from .dialogs.options import AccountOptionsFlow
from .dialogs.preview import PRESET, PreviewFlow
from .dialogs.request_key import KeyRequestFlow
from .providers import PROVIDERS
from .providers.preview import PreviewedProvider


class CryptoInvoicesConfigFlow(PreviewFlow, KeyRequestFlow, domain=DOMAIN):
    """Set up an account with its first invoices, or change it."""

    VERSION = 1
    MINOR_VERSION = 1

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Give every provider a credentials step of its own, named by its key.

        So each has its own texts, and a new provider needs no change here.
        """
        step = name.removeprefix("async_step_")
        if step.startswith(PRESET):
            return partial(self.async_choose_preset, step.removeprefix(PRESET))
        if (provider := PROVIDERS.get(step)) is None:
            raise AttributeError(name)
        if issubclass(provider, PreviewedProvider):
            return partial(self.async_ask_access, provider)
        return partial(self.async_begin, provider)

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Return what can be added to an account."""
        offered: dict[str, type[ConfigSubentryFlow]] = {SUBENTRY_TYPE_INVOICE: AddInvoicesFlow}
        provider = PROVIDERS.get(config_entry.data[CONF_PROVIDER])
        if hasattr(provider, "async_create_invoice"):
            offered[SUBENTRY_TYPE_MONEY] = AskForMoneyFlow
        return offered

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> OptionsFlow:
        """Return the dialog for how an account is kept."""
        return AccountOptionsFlow()
