"""What is announced, as a sentence in Home Assistant's language."""

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

from ..book import naming
from ..book.record import Money, Record
from ..const import CONF_NAME_FROM_MEMO
from ..money import written
from ..providers.model import InvoiceStatus
from ..texts import isolated, one_line, translated

# Of these, what has arrived says more than what was asked for.
_IN_PART = frozenset({"overpaid", "partially_paid", "underpaid"})


def base_name(hass: HomeAssistant, entry: ConfigEntry | None, record: Record) -> str:
    """Return what an invoice is called as long as no other is called the same."""
    return naming.base_name(
        record,
        translated(hass, "common.invoice"),
        may_use_memo=bool(entry and entry.options.get(CONF_NAME_FROM_MEMO)),
    )


def written_money(hass: HomeAssistant, money: Money) -> str:
    """Return an amount as people write it in Home Assistant's language."""
    return written(*money, hass.config.language)


def name_with_amount(
    hass: HomeAssistant, entry: ConfigEntry | None, record: Record, longest: int
) -> str:
    """Return what an invoice is called, shortened if need be, and what it asks for."""
    amount = f" · {written_money(hass, record.asked)}" if record.asked else ""
    return one_line(base_name(hass, entry, record), longest - len(amount)) + amount


def announcement_text(
    hass: HomeAssistant,
    entry: ConfigEntry | None,
    record: Record,
    kind: str,
    status: InvoiceStatus,
) -> str:
    """Return the sentence for what happened: "Coffee beans, 2 kg was paid: $24.90"."""
    text = translated(hass, f"common.text_{kind}").format(
        invoice=isolated(base_name(hass, entry, record)),
        status=translated(hass, f"selector.status.options.{status}"),
    )
    received = record.received if kind in _IN_PART else None
    if amounts := [written_money(hass, money) for money in (received, record.asked) if money]:
        text = translated(hass, "common.text_with_amount").format(
            text=text, amount=" / ".join(amounts)
        )
    return translated(hass, "common.text_of_test").format(text=text) if record.is_test else text
