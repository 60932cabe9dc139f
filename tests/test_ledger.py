"""What is remembered of announcements: from readings to transitions, and what disks do to it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.util.file import WriteError
import pytest

from custom_components.crypto_invoices.const import DOMAIN
from custom_components.crypto_invoices.ledger import Ledger, Transition
from custom_components.crypto_invoices.providers.model import Invoice, InvoiceStatus as S

from .conftest import AddAccount, Runs, SandboxServer, async_later, state_of

A = "01SUBENTRYA"
B = "01SUBENTRYB"


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Let Home Assistant use the disk: these tests are about what is on it."""
    return {}


@pytest.fixture
def hass_config_dir(tmp_path: Path) -> str:
    """Give each test a disk of its own."""
    return str(tmp_path)


def reading(status: S) -> Invoice:
    """Return an invoice that was read."""
    return Invoice(id="INV-1", status=status, provider_status=status.value)


async def loaded(hass: HomeAssistant, status: S = S.PENDING, subentry_id: str = A) -> Ledger:
    """Return a ledger as it is after a start, of one invoice that was added with a status."""
    ledger = Ledger(hass, "entry")
    await ledger.async_load({subentry_id: status}, is_new=True)
    return ledger


def seen(ledger: Ledger, statuses: Sequence[S], subentry_id: str = A) -> list[Transition]:
    """Return the transitions that readings one after the other bring."""
    return [
        transition
        for status in statuses
        for transition in ledger.observe({subentry_id: reading(status)})
    ]


@pytest.mark.parametrize(
    ("statuses", "kinds"),
    [
        ([S.PENDING, S.PENDING], []),
        ([S.PAID], ["paid"]),
        ([S.PAID, S.PAID, S.PAID], ["paid"]),
        ([S.OVERPAID], ["overpaid"]),
        ([S.PARTIALLY_PAID, S.PAID], ["partially_paid", "paid"]),
        ([S.PAID, S.OVERPAID], ["paid", "overpaid"]),
        ([S.PROCESSING, S.PAID], ["status_changed", "paid"]),
        ([S.EXPIRED, S.PAID], ["expired", "paid"]),
        ([S.CANCELED], ["canceled"]),
        ([S.UNDERPAID], ["underpaid"]),
        ([S.FAILED], ["status_changed"]),
        # A replica that lags says it once; who means it says it twice.
        ([S.PAID, S.PENDING, S.PAID], ["paid"]),
        ([S.PAID, S.PENDING, S.PAID, S.PENDING, S.PAID], ["paid"]),
        ([S.PAID, S.PENDING, S.PENDING], ["paid", "payment_reverted"]),
        ([S.PAID, S.PENDING, S.PROCESSING], ["paid", "payment_reverted"]),
        ([S.PAID, S.PENDING, S.PENDING, S.PAID], ["paid", "payment_reverted", "paid"]),
        ([S.PAID, S.CANCELED, S.CANCELED], ["paid", "payment_reverted"]),
        ([S.PAID, S.REFUNDED, S.REFUNDED], ["paid", "payment_reverted"]),
        ([S.OVERPAID, S.PAID, S.PAID], ["overpaid", "status_changed"]),
        ([S.EXPIRED, S.PENDING, S.EXPIRED], ["expired"]),
        ([S.EXPIRED, S.PENDING, S.PENDING], ["expired", "status_changed"]),
        ([S.PARTIALLY_PAID, S.PENDING, S.PENDING], ["partially_paid", "status_changed"]),
        # A word that nobody knows says nothing.
        ([S.UNKNOWN, S.UNKNOWN], []),
        ([S.UNKNOWN, S.PAID], ["paid"]),
        ([S.PAID, S.UNKNOWN, S.UNKNOWN, S.PAID], ["paid"]),
        ([S.PAID, S.PENDING, S.UNKNOWN, S.PENDING], ["paid", "payment_reverted"]),
    ],
)
async def test_transitions(hass: HomeAssistant, statuses: list[S], kinds: list[str]) -> None:
    """Readings become transitions; a step back is believed when two in a row say it."""
    ledger = await loaded(hass)
    transitions = seen(ledger, statuses)
    assert [transition.kind for transition in transitions] == kinds
    assert len({transition.id for transition in transitions}) == len(kinds)


async def test_first_sight(hass: HomeAssistant) -> None:
    """An invoice that is already paid when it is added announces nothing."""
    ledger = await loaded(hass, S.PAID)
    assert not seen(ledger, [S.PAID])
    ledger = Ledger(hass, "other")
    await ledger.async_load({}, is_new=True)
    assert not seen(ledger, [S.PAID])


async def test_paid_before_the_first_reading(hass: HomeAssistant) -> None:
    """What counts is the status when the invoice was added, not when it was first polled."""
    ledger = await loaded(hass, S.PENDING)
    assert [t.kind for t in seen(ledger, [S.PAID])] == ["paid"]


async def test_settled_survives(hass: HomeAssistant) -> None:
    """After a restart, what was announced is not announced again."""
    ledger = await loaded(hass)
    ledger.settle(seen(ledger, [S.PAID]))
    await ledger.async_save()
    ledger = await loaded(hass)
    assert not seen(ledger, [S.PAID])
    # Believed on the second reading here too; the next payment is another one.
    assert [t.kind for t in seen(ledger, [S.PENDING, S.PENDING, S.PAID])] == [
        "payment_reverted",
        "paid",
    ]


@pytest.mark.parametrize("found", [S.PAID, S.OVERPAID])
async def test_killed_before_it_was_saved(hass: HomeAssistant, found: S) -> None:
    """The payment comes again with the same ID, even if more has arrived meanwhile."""
    ledger = await loaded(hass)
    (before,) = seen(ledger, [S.PAID])
    (after,) = seen(await loaded(hass), [found])
    assert before.id == after.id
    assert after.is_payment


async def test_killed_between_two(hass: HomeAssistant) -> None:
    """What is saved is what was done, in order, even if a later one was done first."""
    ledger = await loaded(hass)
    partly, paid = seen(ledger, [S.PARTIALLY_PAID, S.PAID])
    ledger.settle([paid])
    await ledger.async_save()
    again = seen(await loaded(hass), [S.PARTIALLY_PAID, S.PAID])
    assert [t.id for t in again] == [partly.id, paid.id]
    ledger.settle([partly])
    await ledger.async_save()
    assert not seen(await loaded(hass), [S.PAID])


async def test_removed_and_added_again(hass: HomeAssistant) -> None:
    """An invoice that is added again is another one: its own start, its own IDs."""
    ledger = await loaded(hass)
    (first,) = seen(ledger, [S.PAID])
    ledger.settle([first])
    ledger.forget([A])
    ledger.begin({B: S.PENDING})
    (second,) = seen(ledger, [S.PAID], B)
    assert first.id != second.id
    ledger.settle([first])
    await ledger.async_save()
    assert not await ledger.async_load({B: S.PENDING}, is_new=False)
    assert not ledger.observe({A: reading(S.PAID)})


def storage(hass: HomeAssistant) -> Path:
    """Return the folder of the ledgers."""
    return Path(hass.config.path(".storage"))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:-20]), id="truncated"),
        pytest.param(lambda file: file.write_text("{}"), id="an empty object"),
        pytest.param(lambda file: file.write_text("[1]"), id="a list"),
        pytest.param(lambda file: file.write_bytes(b"\xff\xfe\x00"), id="not text"),
        pytest.param(
            lambda file: file.write_text(
                file.read_text()
                .replace('"version":1', '"version":99')
                .replace('"version": 1', '"version": 99')
            ),
            id="newer",
        ),
        pytest.param(
            lambda file: file.write_text(file.read_text().replace("pending", "gone")),
            id="unknown status",
        ),
        pytest.param(
            lambda file: file.write_text(file.read_text().replace("invoices", "others")),
            id="other shape",
        ),
        pytest.param(lambda file: file.unlink(), id="missing"),
    ],
)
async def test_lost(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    runs: Runs,
    damage: Callable[[Path], None],
) -> None:
    """A file that can't be read: set aside, said, and no payment is announced falsely."""
    invoices = [sandbox.store.create("cryptocloud") for _ in range(2)]
    entry = await add_account("cryptocloud", *(invoice.id for invoice in invoices))
    await hass.config_entries.async_unload(entry.entry_id)
    file = storage(hass) / f"{DOMAIN}.{entry.entry_id}"
    damage(file)
    damaged = file.read_bytes() if file.exists() else None
    sandbox.store.act("cryptocloud", invoices[0].id, "pay")

    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, entry, invoices[0].id, "status").state == "paid"
    assert runs == []
    aside = [path for path in storage(hass).iterdir() if path.name.startswith(f"{file.name}.")]
    if damaged not in (None, b"{}"):
        assert [path.read_bytes() for path in aside] == [damaged]
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"ledger_lost_{entry.entry_id}")
    assert issue
    assert issue.translation_placeholders == {"account": entry.title}

    sandbox.store.act("cryptocloud", invoices[1].id, "pay")
    await async_later(hass)
    assert [run["invoice"] for run in runs] == [invoices[1].id]
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(runs) == 1


async def test_lost_and_unreadable(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, runs: Runs
) -> None:
    """What could not be read since the file was lost starts anew too, whatever is added meanwhile."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id, sandbox.store.create("cryptocloud").id)
    await hass.config_entries.async_unload(entry.entry_id)
    (storage(hass) / f"{DOMAIN}.{entry.entry_id}").unlink()
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    sandbox.switch("cryptocloud", "missing_rows")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    last = next(iter(reversed(entry.subentries)))
    hass.config_entries.async_remove_subentry(entry, last)
    sandbox.switch("cryptocloud", None)
    await async_later(hass)
    assert state_of(hass, entry, invoice.id, "status").state == "paid"
    assert runs == []


async def test_removed_for_good(hass: HomeAssistant) -> None:
    """What is saved after an account was removed leaves no file behind."""
    ledger = Ledger(hass, "entry")
    await ledger.async_load({"1": S.PENDING}, is_new=True)
    file = storage(hass) / f"{DOMAIN}.entry"
    assert file.exists()
    ledger.forget(["1"])
    await ledger.async_remove()
    await ledger.async_save()
    assert not file.exists()


async def test_full_disk(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    runs: Runs,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While a save fails the payment is announced once; it is saved when there is room again."""
    invoice = sandbox.store.create("cryptocloud")
    entry = await add_account("cryptocloud", invoice.id)
    file = storage(hass) / f"{DOMAIN}.{entry.entry_id}"
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    with patch(
        "homeassistant.helpers.storage.write_utf8_file_atomic", side_effect=WriteError("full")
    ) as write:
        for _ in range(3):
            await async_later(hass)
        assert [str(call.args[0]) for call in write.mock_calls].count(str(file)) == 3
    assert "full" in caplog.text
    assert '"paid"' not in file.read_text()
    await async_later(hass)
    assert '"paid"' in file.read_text()
    assert len(runs) == 1


async def test_one_write(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount, runs: Runs
) -> None:
    """A refresh writes once, however many transitions it brings, and not at all without."""
    invoices = [sandbox.store.create("cryptocloud") for _ in range(20)]
    await add_account("cryptocloud", *(invoice.id for invoice in invoices))
    for invoice in invoices:
        sandbox.store.act("cryptocloud", invoice.id, "pay")
    with patch("custom_components.crypto_invoices.ledger._LedgerStore._async_write_data") as write:
        await async_later(hass)
        assert len(runs) == 20
        assert write.call_count == 1
        await async_later(hass)
        assert write.call_count == 1


async def test_removed_with_the_account(
    hass: HomeAssistant, sandbox: SandboxServer, add_account: AddAccount
) -> None:
    """Nothing is left on the disk of an account that is removed."""
    entry = await add_account("cryptocloud", sandbox.store.create("cryptocloud").id)
    file = storage(hass) / f"{DOMAIN}.{entry.entry_id}"
    assert file.exists()
    await hass.config_entries.async_remove(entry.entry_id)
    assert not file.exists()
