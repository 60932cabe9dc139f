"""The automation that tells when an invoice is paid."""

from .websocket import Json

KEY = "crypto_invoices_demo_paid"

# As the blueprints do: whoever pays may have chosen the order ID, and gets no Markdown of theirs.
MESSAGE = r"{{ trigger.text | regex_replace('([!-/:-@\\[-`{-~])', '\\\\\\1') }}"


def notification_id(invoice_id: str) -> str:
    """Return the id of the notification that a paid invoice raises."""
    return f"paid_{invoice_id}"


def paid_automation() -> Json:
    """Return the automation as its editor would save it."""
    return {
        "alias": "Tell me when an invoice is paid",
        "description": "Raises a notification, once for each invoice that is paid.",
        "triggers": [{"trigger": "crypto_invoices.any_paid"}],
        "actions": [
            {
                "action": "persistent_notification.create",
                "data": {
                    "notification_id": notification_id("{{ trigger.invoice_id }}"),
                    "title": "An invoice is paid",
                    "message": MESSAGE,
                },
            }
        ],
        # Several can be paid at the same moment.
        "mode": "parallel",
        "max": 100,
    }
