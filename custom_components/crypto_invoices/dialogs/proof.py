"""Proves that settings work, before anything of them is stored."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from homeassistant.config_entries import ConfigEntryState, ConfigFlow
from homeassistant.const import CONF_URL

from ..book.database import StorageError
from ..clients import async_create_provider
from ..const import CONF_PROVIDER
from ..identifiers import account_unique_id
from ..providers.model import Account, InvoiceNotFound, ProviderError
from ..providers.provider import Field, Provider
from ..runtime import CryptoInvoicesConfigEntry
from .credentials import FormErrors, provider_errors, settings_errors

# This many of the newest invoices are looked for with a new key.
_LOOKED_FOR = 20


@dataclass(frozen=True, slots=True)
class Proven:
    """Settings that work, and what was found with them."""

    settings: dict[str, Any]
    provider: Provider
    account: Account

    @property
    def unique_id(self) -> str:
        """The unique ID of the account's entry."""
        return account_unique_id(self.provider.key, self.account.unique_id)

    @property
    def data(self) -> dict[str, Any]:
        """What is stored: the settings, and what the provider found out beside them."""
        return {**self.settings, **self.provider.discovered_settings}


class ProvingFlow(ConfigFlow):
    """A dialog that proves what is typed, as often as it is submitted."""

    _exposed_address: str | None = None

    def check(
        self, provider: type[Provider], fields: Sequence[Field], settings: Mapping[str, Any]
    ) -> dict[str, str]:
        """Return what is wrong with settings without asking the provider, by field.

        An address that everyone on the way can listen to is refused once.
        """
        errors = settings_errors(provider, fields, settings, self._exposed_address)
        if "url_not_encrypted" in errors.values():
            self._exposed_address = settings[CONF_URL]
        return errors

    async def async_prove(
        self,
        provider: type[Provider],
        fields: Sequence[Field],
        settings: dict[str, Any],
        entry: CryptoInvoicesConfigEntry | None = None,
    ) -> Proven | FormErrors:
        """Check the settings and ask the provider; return what works, or what is wrong.

        They have to be of the same account as ``entry``, as far as that is known.
        """
        data = {**settings, CONF_PROVIDER: provider.key}
        if errors := self.check(provider, fields, data):
            return FormErrors(errors)
        client = await async_create_provider(self.hass, data)
        try:
            proven = Proven(data, client, await client.async_get_account())
            is_another = entry is not None and await _async_is_another(proven, entry)
        except ProviderError as err:
            return provider_errors(fields, err)
        return FormErrors({"base": "another_account"}) if is_another else proven


async def _async_is_another(proven: Proven, entry: CryptoInvoicesConfigEntry) -> bool:
    """Whether the account is another one than the entry's.

    A new key has a new unique ID where the provider doesn't name its
    accounts. What shows it then is that none of the invoices can be found.
    """
    if proven.unique_id == entry.unique_id or entry.state is not ConfigEntryState.LOADED:
        return False
    account = entry.runtime_data
    known = [id_ for id_, one in account.coordinator.data.items() if one.error is None]
    with suppress(StorageError):
        known = known[-_LOOKED_FOR:] or await account.book.async_recent(_LOOKED_FOR)
    found = await proven.provider.async_get_invoices(known)
    return bool(found) and all(isinstance(each, InvoiceNotFound) for each in found.values())
