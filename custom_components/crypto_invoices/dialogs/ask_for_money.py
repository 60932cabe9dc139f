"""Subentry flow: ask for money, show what a wallet scans, and say when it is paid."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from homeassistant.config_entries import ConfigEntryState, ConfigSubentryFlow, SubentryFlowResult
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.selector import (
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
from homeassistant.util import dt as dt_util
import voluptuous as vol

from ..actions.common import setting_label
from ..actions.creation import async_create_and_watch, callback_url
from ..errors import action_error
from ..money import written
from ..providers.capabilities import CanCreateInvoice
from ..providers.model import Invoice, InvoiceStatus, ProviderError, SettingNeeded
from ..providers.new_invoice import InvalidField, NewInvoice, read_asked_amount
from ..providers.provider import Provider
from ..qr import async_draw_link, text_to_scan
from ..runtime import CryptoInvoicesConfigEntry

CONF_AMOUNT = "amount"
CONF_CURRENCY = "currency"
CONF_PAYMENT_METHOD = "payment_method"
CONF_PURPOSE = "purpose"
# Where the form shows what is wrong with a field of a new invoice.
_SHOWN_AT: Mapping[str, str] = {
    **{key: key for key in (CONF_AMOUNT, CONF_CURRENCY, CONF_PAYMENT_METHOD)},
    **dict.fromkeys(("description", "order_id"), CONF_PURPOSE),
}
_TO_PAY = frozenset({InvoiceStatus.PENDING, InvoiceStatus.PARTIALLY_PAID})
_ENDS: Mapping[InvoiceStatus | None, str] = {
    InvoiceStatus.PAID: "paid",
    InvoiceStatus.OVERPAID: "paid",
    InvoiceStatus.EXPIRED: "expired",
}
# How often the countdown moves, in seconds.
TICK = 1.0
_TEXT = TextSelector()


class AskForMoneyFlow(ConfigSubentryFlow):
    """Ask for money. It adds no subentry; the invoice is watched also when the dialog is closed."""

    _invoice: Invoice
    _began: datetime
    _picture: str | None = None
    _status: InvoiceStatus | None = InvoiceStatus.PENDING
    _waiting: asyncio.Task[None] | None = None

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask how much and what for, and create the invoice: in one attempt."""
        entry: CryptoInvoicesConfigEntry = self._get_entry()
        gaps: dict[str, str] = {"account": entry.title}
        if entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="account_not_loaded", description_placeholders=gaps)
        provider = entry.runtime_data.provider
        if not isinstance(provider, CanCreateInvoice):
            return self.async_abort(reason="cannot_create", description_placeholders=gaps)
        errors: dict[str, str] = {}
        if user_input is not None:
            try:
                new = self._read(entry, provider, user_input)
                self._invoice = await async_create_and_watch(self.hass, entry, provider, new)
            except ProviderError as err:
                key, details = action_error(err)
                field = (
                    _SHOWN_AT.get(err.field, "base") if isinstance(err, InvalidField) else "base"
                )
                if isinstance(err, SettingNeeded):
                    details["setting"] = setting_label(self.hass, err.key)
                errors, gaps = {field: key}, gaps | details
            except HomeAssistantError as err:
                errors = {"base": err.translation_key or "outcome_unknown"}
                gaps |= err.translation_placeholders or {}
            else:
                self._began = dt_util.utcnow()
                return await self._async_begin_to_wait()
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(
                self._schema(entry, provider), user_input
            ),
            errors=errors,
            description_placeholders=gaps,
        )

    def _schema(self, entry: CryptoInvoicesConfigEntry, provider: Provider) -> vol.Schema:
        """Return the form."""
        currencies = self._currencies(entry, provider)
        choice = SelectSelectorConfig(
            options=currencies, custom_value=True, mode=SelectSelectorMode.DROPDOWN
        )
        suggested = {"suggested_value": currencies[0]}
        fields: dict[vol.Marker, Any] = {
            vol.Required(CONF_AMOUNT): _TEXT,
            vol.Required(CONF_CURRENCY, description=suggested): SelectSelector(choice),
            vol.Optional(CONF_PURPOSE): _TEXT,
        }
        if CONF_PAYMENT_METHOD in provider.needed_fields:
            fields[vol.Required(CONF_PAYMENT_METHOD)] = _TEXT
        return vol.Schema(fields)

    def _currencies(self, entry: CryptoInvoicesConfigEntry, provider: Provider) -> list[str]:
        """Return those that the account has had, the usual ones first, and that are known."""
        book = entry.runtime_data.book
        had = Counter(record.asked.currency for record in book.records.values() if record.asked)
        known = sorted(provider.currencies, key=lambda code: code != self.hass.config.currency)
        listed = [code for code, _ in had.most_common()] + sorted(book.sums.currencies) + known
        return list(dict.fromkeys(code.upper() for code in listed)) or [self.hass.config.currency]

    def _read(
        self, entry: CryptoInvoicesConfigEntry, provider: CanCreateInvoice, typed: dict[str, Any]
    ) -> NewInvoice:
        """Return what was asked for. Raises InvalidField."""
        purpose = typed.get(CONF_PURPOSE, "").strip()
        reference = purpose or f"{dt_util.now():%Y-%m-%d %H:%M:%S}"
        supported = provider.supported_fields
        return NewInvoice(
            amount=read_asked_amount(typed[CONF_AMOUNT]),
            currency=typed[CONF_CURRENCY].strip().upper(),
            # With it, an invoice is found again if no answer came.
            order_id=reference if "order_id" in supported else None,
            description=purpose or None if "description" in supported else None,
            payment_method=typed.get(CONF_PAYMENT_METHOD, "").strip() or None,
            callback_url=callback_url(self.hass, entry),
        )

    async def _async_begin_to_wait(self) -> SubentryFlowResult:
        """Draw what there is to scan, and show it."""
        text = text_to_scan(self._invoice)
        self._picture = await async_draw_link(self.hass, text) if text else None
        return await self.async_step_pay()

    async def async_step_pay(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Show what there is to pay until that changes."""
        self._status = self._read_status()
        if self._status is None or not self._status.is_open:
            return self.async_show_progress_done(next_step_id="end")
        if self._waiting is None or self._waiting.done():
            # The invoice is watched by its account: this only looks what became of it.
            self._waiting = self.hass.async_create_background_task(
                self._async_wait(), f"{self._invoice.id} dialog"
            )
        return self.async_show_progress(
            step_id="pay",
            progress_action=self._action,
            progress_task=self._waiting,
            description_placeholders={
                "amount": self._amount,
                "picture": self._picture or "",
                "link": self._link or "",
            },
        )

    async def async_step_end(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Say how it ended."""
        return self.async_abort(
            reason=_ENDS.get(self._status, "ended"),
            description_placeholders={"amount": self._amount},
        )

    @property
    def _action(self) -> str:
        """What the user is shown meanwhile."""
        if self._status not in _TO_PAY:
            return "arriving"
        if self._picture:
            return "scan" if self._link else "scan_only"
        return "open_page" if self._link else "wait"

    @property
    def _link(self) -> str | None:
        """Where the invoice is paid in a browser."""
        return self._invoice.payment_url

    @property
    def _amount(self) -> str:
        """The amount that was asked for, as people write it."""
        invoice = self._invoice
        if invoice.amount is None:
            return invoice.id
        return written(invoice.amount, invoice.currency, self.hass.config.language)

    def _read_status(self) -> InvoiceStatus | None:
        """Return the status of the invoice, None where it is watched no more."""
        entry: CryptoInvoicesConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return self._status
        record = entry.runtime_data.book.records.get(self._invoice.id)
        return record.status if record else None

    async def _async_wait(self) -> None:
        """Count down until the status of the invoice changes."""
        ends, starts = self._invoice.expires_at, self._invoice.created_at or self._began
        while self._read_status() is self._status:
            if ends is not None and ends > starts:
                left = (ends - dt_util.utcnow()) / (ends - starts)
                self.async_update_progress(min(max(left, 0.0), 1.0))
            await asyncio.sleep(TICK)
