"""Sentences: what automations, the activity and traces say, in each language."""

from decimal import Decimal

from homeassistant.core import HomeAssistant
import pytest

from custom_components.crypto_invoices.const import DOMAIN
from tests.conftest import AddAccount, Runs, SandboxServer, async_automate, async_later
from tests.test_money import plainly

PAID = {
    "de": "Coffee beans, 2 kg wurde bezahlt: 24,90 $",
    "en": "Coffee beans, 2 kg was paid: $24.90",
    "es": "Se ha pagado Coffee beans, 2 kg: 24,90 $",
    "fr": "Paiement reçu pour Coffee beans, 2 kg : 24,90 $",
    "it": "Pagamento ricevuto per Coffee beans, 2 kg: 24,90 $",
    "ja": "Coffee beans, 2 kg が支払われました\uff1a$24.90",
    "nl": "Coffee beans, 2 kg is betaald: $ 24,90",
    "pl": "Opłacono: Coffee beans, 2 kg, 24,90 $",
    "pt": "Pagamento recebido: Coffee beans, 2 kg, 24,90 $",
    "ru": "Coffee beans, 2 kg — оплачено: 24,90 $",
    "uk": "Coffee beans, 2 kg — сплачено: 24,90 $",
    # There are no texts in Swedish.
    "sv": "Coffee beans, 2 kg was paid: $24.90",
}
TELL = {
    "triggers": {"trigger": f"{DOMAIN}.status_changed"},
    "actions": {
        "action": "test.report",
        "data": {"text": "{{ trigger.text }}", "amount": "{{ trigger.amount_text }}"},
    },
    "mode": "parallel",
}


@pytest.mark.parametrize("language", PAID)
async def test_every_language(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    reports: Runs,
    language: str,
) -> None:
    """An automation can say what happened in Home Assistant's language, without a template."""
    hass.config.language = language
    invoice = sandbox.store.create(
        "cryptocloud", amount=Decimal("24.90"), order_id="Coffee beans, 2 kg"
    )
    await add_account("cryptocloud", invoice.id)
    await async_automate(hass, TELL)
    sandbox.store.act("cryptocloud", invoice.id, "pay")
    await async_later(hass)
    [told] = reports
    assert plainly(told["text"]) == PAID[language]
    assert plainly(told["amount"]) in plainly(told["text"])


@pytest.mark.parametrize(
    ("provider", "order_id", "actions", "text"),
    [
        ("cryptocloud", "Order", ["partly_pay"], "Order was partially paid: $12.21 / $24.90"),
        ("cryptocloud", "Order", ["overpay"], "Order was overpaid: $30.54 / $24.90"),
        ("egates", "Order", ["underpay"], "Order was underpaid: 19.92 USDT / 24.90 USDT"),
        ("cryptocloud", "Order", ["cancel"], "Order was canceled: $24.90"),
        ("btcpay", "Order", ["process"], "Order is now “Processing”: €24.90"),
        ("cryptocloud_v1", None, ["pay"], "Invoice {tail} was paid"),
        ("cryptocloud", "{evil} <b>", ["pay"], "{evil} <b> was paid: $24.90"),
        (
            "cryptocloud",
            "\u0642\u0647\u0648\u0629",
            ["pay"],
            "\u2068\u0642\u0647\u0648\u0629\u2069 was paid: $24.90",
        ),
    ],
)
async def test_every_kind(
    hass: HomeAssistant,
    sandbox: SandboxServer,
    add_account: AddAccount,
    reports: Runs,
    provider: str,
    order_id: str | None,
    actions: list[str],
    text: str,
) -> None:
    """Each kind has its sentence, with what has arrived where that is not what was asked for."""
    invoice = sandbox.store.create(provider, amount=Decimal("24.90"), order_id=order_id)
    await add_account(provider, invoice.id)
    await async_automate(hass, TELL)
    for action in actions:
        sandbox.store.act(provider, invoice.id, action)
        await async_later(hass)
    assert plainly(reports[-1]["text"]) == text.replace("{tail}", invoice.id[-6:])
