"""Puts an account together from its entry and its book, and takes it apart."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from random import Random
from time import monotonic

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import (
    EVENT_HOMEASSISTANT_CLOSE,
    EVENT_HOMEASSISTANT_FINAL_WRITE,
    EVENT_HOMEASSISTANT_STOP,
)
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.util import dt as dt_util

from .book.book import Book
from .book.database import StorageError
from .book.loading import (
    async_close_book,
    async_delete_book,
    async_load_book,
    async_take_over,
)
from .clients import ProviderGone, async_create_provider
from .const import CONF_INVOICES, DOMAIN
from .coordinator import CryptoInvoicesCoordinator
from .delivery.account import AccountAnnouncer, async_forget_deliveries
from .deposits import async_take_deposit
from .devices import async_register_account_device
from .fulfillment.account import Fulfillment
from .issues import BOOK_LOST, async_create_issue, async_delete_issues
from .notifications.address import webhook_address
from .notifications.cloudhook import async_delete_cloudhook
from .notifications.nameless import NamelessHints
from .notifications.registration import Registration
from .notifications.stream import FIRST_DELAY, LONGEST_DELAY, async_listen
from .notifications.webhook import WebhookManager
from .providers.capabilities import CanListInvoices, CanReadBalance, KeepsPaymentLinks
from .providers.model import ProviderError
from .providers.provider import Provider
from .providers.push import CanPush, CanRegisterWebhook, CanStream, Hint
from .reading.back_off import BackOff
from .reading.clocks import Clocks
from .reading.reader import Reader
from .runtime import AccountRuntime, CryptoInvoicesConfigEntry
from .setting_up import async_read_first
from .upkeep.auto_watch import AutoWatch
from .upkeep.balances import BalanceCoordinator
from .upkeep.cleanup import async_setup_cleanup
from .upkeep.lister import Lister


async def async_build_account(hass: HomeAssistant, entry: ConfigEntry) -> AccountRuntime:
    """Return the parts of an account, with its book loaded.

    Raises ConfigEntryNotReady where the book can't be read, the account never could be, or its
    provider is gone.
    """
    try:
        provider = await async_create_provider(hass, entry.data)
    except ProviderGone as err:
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key="provider_gone",
            translation_placeholders={"account": entry.title, "provider": str(err)},
        ) from err
    loaded = await async_load_book(hass, entry)
    book, clocks = loaded.book, Clocks(monotonic, dt_util.utcnow)
    if isinstance(provider, KeepsPaymentLinks):
        provider.links.update(
            {
                record.id: record.payment_url
                for record in book.records.values()
                if record.payment_url
            }
        )
    fulfillment = Fulfillment(hass, entry, book, clocks.now)
    coordinator = CryptoInvoicesCoordinator(
        hass,
        entry,
        provider=provider,
        book=book,
        clocks=clocks,
        announcer=AccountAnnouncer(hass, entry, book, clocks.now, fulfillment.follow),
    )
    auto_watch = None
    if isinstance(provider, CanListInvoices):
        back_off = BackOff(monotonic, Random())
        make_lister = partial(Lister, hass, entry, provider, coordinator, back_off)
        auto_watch = AutoWatch(hass, entry, coordinator, make_lister)
    # From here on, whatever fails: Home Assistant calls this after a set-up that breaks off, too.
    stop_reading = partial(_async_stop_reading, coordinator.reader, auto_watch)
    entry.async_on_unload(partial(_async_close, hass, entry, stop_reading, coordinator))
    _end_with_home_assistant(hass, entry, stop_reading, book)
    if loaded.is_rebuilt:
        async_create_issue(hass, entry, BOOK_LOST)
    await async_read_first(entry, book, coordinator)
    balances = None
    if isinstance(provider, CanReadBalance):
        balances = BalanceCoordinator(
            hass, entry, provider, coordinator.reader, BackOff(monotonic, Random())
        )
    return AccountRuntime(
        provider=provider,
        book=book,
        clocks=clocks,
        coordinator=coordinator,
        fulfillment=fulfillment,
        auto_watch=auto_watch,
        balances=balances,
        webhook=_make_webhook(hass, entry, provider, coordinator, auto_watch),
    )


def _open_invoices(coordinator: CryptoInvoicesCoordinator) -> list[str]:
    """Return the IDs of the invoices that can still be paid."""
    return [id_ for id_, one in coordinator.data.items() if one.record.status.is_open]


@callback
def _pass_hint_on(
    coordinator: CryptoInvoicesCoordinator, auto_watch: AutoWatch | None, hint: Hint
) -> None:
    """Read what a hint names, watched or new."""
    coordinator.async_hint(hint.invoice_ids, is_news=hint.is_verified)
    if auto_watch is not None:
        auto_watch.async_hint(hint.invoice_ids, is_trusted=hint.is_verified)


def _make_webhook(
    hass: HomeAssistant,
    entry: ConfigEntry,
    provider: Provider,
    coordinator: CryptoInvoicesCoordinator,
    auto_watch: AutoWatch | None,
) -> WebhookManager | None:
    """Return what listens for an account's pushes, if its provider makes any."""
    if not isinstance(provider, CanPush):
        return None
    registration = None
    if isinstance(provider, CanRegisterWebhook) and provider.may_register_webhook:
        registration = Registration(hass, entry, provider, BackOff(monotonic, Random()))
    elif not provider.accepts_push:
        return None
    hints = NamelessHints(
        hass,
        entry,
        hint=partial(_pass_hint_on, coordinator, auto_watch),
        open_invoices=partial(_open_invoices, coordinator),
    )
    return WebhookManager(
        hass,
        entry,
        provider,
        registration,
        hint=hints.async_pass_on,
        deposit=partial(async_take_deposit, coordinator),
        book=coordinator.book,
    )


async def _async_follow_entry(hass: HomeAssistant, entry: CryptoInvoicesConfigEntry) -> None:
    """Call the devices what the account is called now, and its invoices by its options."""
    account = entry.runtime_data
    await _async_take_over_left(hass, entry)
    # An account that was unloaded meanwhile does the rest when it is loaded again.
    if getattr(entry, "runtime_data", None) is account:
        async_register_account_device(hass, entry)
        await account.coordinator.devices.async_follow(account.book.records)


async def _async_take_over_left(hass: HomeAssistant, entry: CryptoInvoicesConfigEntry) -> None:
    """Watch what was left in the data of an account while it was being set up."""
    if CONF_INVOICES not in entry.data:
        return
    coordinator = entry.runtime_data.coordinator
    with suppress(StorageError):
        # It stays there, and is taken over when the account is loaded next.
        await async_take_over(hass, entry, coordinator.book)
    await coordinator.async_follow_book()


async def async_start_account(hass: HomeAssistant, entry: CryptoInvoicesConfigEntry) -> None:
    """Begin to poll, to announce and to listen: the entities are there."""
    entry.async_on_unload(entry.add_update_listener(_async_follow_entry))
    await _async_take_over_left(hass, entry)
    account = entry.runtime_data
    coordinator, provider = account.coordinator, account.provider
    coordinator.async_start()
    account.fulfillment.async_start()
    entry.async_on_unload(
        coordinator.publisher.async_add_reading_listener(account.fulfillment.async_compare)
    )
    if account.webhook is not None:
        account.webhook.async_start()
    if isinstance(provider, CanStream):
        listening = async_listen(
            coordinator.name,
            provider,
            hint=partial(_pass_hint_on, coordinator, account.auto_watch),
            open_invoices=partial(_open_invoices, coordinator),
            clock=monotonic,
            back_off=BackOff(monotonic, Random(), first=FIRST_DELAY, longest=LONGEST_DELAY),
        )
        entry.async_create_background_task(hass, listening, f"{coordinator.name} stream")
    if account.auto_watch is not None:
        account.auto_watch.async_start()
    async_setup_cleanup(hass, entry, coordinator)


async def _async_stop_reading(reader: Reader, auto_watch: AutoWatch | None) -> None:
    """Stop reading, and wait until what is being read has ended."""
    if auto_watch is not None:
        await auto_watch.async_stop()
    await reader.async_stop()


async def _async_close(
    hass: HomeAssistant,
    entry: ConfigEntry,
    stop_reading: Callable[[], Awaitable[None]],
    coordinator: CryptoInvoicesCoordinator,
) -> None:
    """Stop reading, then write what is not on disk yet, and close the book."""

    async def async_close() -> None:
        await stop_reading()
        # Whoever begins or ends the watching comes to the end of it.
        if coordinator.jobs:
            await asyncio.wait(coordinator.jobs)
        await coordinator.book.async_close()

    # Home Assistant waits for ten seconds, a disk may take longer.
    await asyncio.shield(async_close_book(hass, entry, async_close()))
    async_delete_issues(hass, entry, is_removed=False)


def _end_with_home_assistant(
    hass: HomeAssistant,
    entry: ConfigEntry,
    stop_reading: Callable[[], Awaitable[None]],
    book: Book,
) -> None:
    """Stop, write and close when Home Assistant does: its accounts are not unloaded then."""
    for event_type, step in (
        (EVENT_HOMEASSISTANT_STOP, stop_reading),
        (EVENT_HOMEASSISTANT_FINAL_WRITE, book.async_commit),
        (EVENT_HOMEASSISTANT_CLOSE, book.async_close),
    ):

        async def async_take_step(_: Event, step: Callable[[], Awaitable[object]] = step) -> None:
            await step()

        entry.async_on_unload(hass.bus.async_listen(event_type, async_take_step))


async def async_remove_account(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Delete all that was made or kept for an account that is removed."""
    address = webhook_address(hass, entry.data)
    with suppress(ProviderError, ProviderGone):
        provider = await async_create_provider(hass, entry.data)
        if isinstance(provider, CanRegisterWebhook) and address is not None:
            await provider.async_remove_webhook(address)
    await async_delete_cloudhook(hass, entry)
    await async_delete_book(hass, entry)
    async_forget_deliveries(hass, entry.entry_id)
    async_delete_issues(hass, entry, is_removed=True)
