"""Use the till as somebody would: ask for money, look at the code, pay, watch the door."""

from . import DemoError, say
from .client import Client
from .sandbox import Sandbox

AMOUNT = "5.50"
PATIENCE = 30


async def use(client: Client, sandbox: Sandbox) -> list[str]:
    """Ask for money at the till and pay it; return what is wrong."""
    amount = {"entity_id": "input_number.till_amount", "value": AMOUNT}
    try:
        await client.call("input_number.set_value", amount)
        await client.call("script.till_ask")
        states = await client.ws.states()
        shown = states[states["input_text.till_invoice"]["state"]]
        code = states[states["input_text.till_qr"]["state"]]
        if not code["attributes"].get("entity_picture"):
            return ["the till shows no QR code"]
        invoice_id = shown["attributes"]["invoice_id"]
        [invoice] = [
            invoice
            for provider in await sandbox.providers()
            for invoice in provider.invoices
            if invoice.id == invoice_id
        ]
        await sandbox.act(invoice, "pay")
        await client.call("script.till_look")
        await client.ws.wait_for_state("input_boolean.till_door", "on", patience=PATIENCE)
    except (DemoError, KeyError, ValueError) as error:
        return [f"the till: {error!r}"]
    say(f"the till asked for {invoice.amount} {invoice.currency}, and the door opened")
    return []
