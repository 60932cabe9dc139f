"""What is known of some APIs. docs/providers.md says which of it nobody could verify.

Each has its source beside it; the words are all that the source names.
"""

from collections.abc import Mapping

from ..preview import Preset

_KEY_ALONE = "{key}"
_BEARER = "Bearer {key}"
_AUTHORIZATION = "Authorization"

PRESETS: Mapping[str, Preset] = {
    # "Get payment status" and "Payment statuses" of its API documentation. What was received is
    # returned in the coin, not in the currency asked for. "confirmed" and "sending": the money is on
    # its way to the merchant.
    "nowpayments": Preset(
        name="NOWPayments",
        hosts=frozenset({"api.nowpayments.io", "api-sandbox.nowpayments.io"}),
        settings={
            "url": "https://api.nowpayments.io/v1/payment/{id}",
            "key_header": "x-api-key",
            "key_form": _KEY_ALONE,
            "status_path": "payment_status",
            "words_paid": "finished",
            "words_pending": "waiting",
            "words_processing": "confirming, confirmed, sending",
            "words_partially_paid": "partially_paid",
            "words_expired": "expired",
            "words_failed": "failed",
            "words_refunded": "refunded",
            "amount_path": "price_amount",
            "currency_path": "price_currency",
            "order_path": "order_id",
            "push_id_path": "payment_id",
        },
    ),
    # "Charge info", "Charge lifecycle" and "Charges webhooks" at developers.opennode.com. The
    # amount is in satoshi, also where it was asked for in another currency.
    "opennode": Preset(
        name="OpenNode",
        hosts=frozenset({"api.opennode.com", "dev-api.opennode.com"}),
        settings={
            "url": "https://api.opennode.com/v1/charge/{id}",
            "key_header": _AUTHORIZATION,
            "key_form": _KEY_ALONE,
            "status_path": "data.status",
            "words_paid": "paid",
            "words_pending": "unpaid",
            "words_processing": "processing",
            "words_partially_paid": "underpaid",
            "words_expired": "expired",
            "words_refunded": "refunded",
            "amount_path": "data.amount",
            "currency": "sat",
            "order_path": "data.order_id",
            "push_id_path": "id",
        },
    ),
    # "Get order" and "Order statuses" at developer.coingate.com. A part that was paid back leaves
    # the order paid.
    "coingate": Preset(
        name="CoinGate",
        hosts=frozenset({"api.coingate.com", "api-sandbox.coingate.com"}),
        settings={
            "url": "https://api.coingate.com/v2/orders/{id}",
            "key_header": _AUTHORIZATION,
            "key_form": "Token {key}",
            "status_path": "status",
            "words_paid": "paid, partially_refunded",
            "words_pending": "new, pending",
            "words_processing": "confirming",
            "words_expired": "expired",
            "words_canceled": "canceled",
            "words_failed": "invalid",
            "words_refunded": "refunded",
            "amount_path": "price_amount",
            "currency_path": "price_currency",
            "order_path": "order_id",
            "expiry_path": "expire_at",
            "page_path": "payment_url",
            "push_id_path": "id",
        },
    ),
    # "Get payment" and "Handling payment status" at docs.mollie.com. It has no word for a refund.
    "mollie": Preset(
        name="Mollie",
        hosts=frozenset({"api.mollie.com"}),
        settings={
            "url": "https://api.mollie.com/v2/payments/{id}",
            "key_header": _AUTHORIZATION,
            "key_form": _BEARER,
            "status_path": "status",
            "words_paid": "paid",
            "words_pending": "open",
            "words_processing": "pending, authorized",
            "words_expired": "expired",
            "words_canceled": "canceled",
            "words_failed": "failed",
            "amount_path": "amount.value",
            "currency_path": "amount.currency",
            "expiry_path": "expiresAt",
            "page_path": "_links.checkout.href",
            "push_id_path": "id",
        },
    ),
    # "The PaymentIntent object" at docs.stripe.com. It has no word for a refund.
    "stripe": Preset(
        name="Stripe",
        hosts=frozenset({"api.stripe.com"}),
        settings={
            "url": "https://api.stripe.com/v1/payment_intents/{id}",
            "key_header": _AUTHORIZATION,
            "key_form": _BEARER,
            "status_path": "status",
            "words_paid": "succeeded",
            "words_pending": "requires_payment_method, requires_confirmation, requires_action",
            "words_processing": "processing, requires_capture",
            "words_canceled": "canceled",
            "amount_path": "amount",
            "amount_factor": "minor",
            "currency_path": "currency",
            "received_path": "amount_received",
            "push_id_path": "data.object.id",
        },
    ),
    # "Get incoming payment", "Security" and "Webhook authentication" of phoenixd's API reference.
    "phoenixd": Preset(
        name="phoenixd",
        settings={
            "url": "http://phoenixd.local:9740/payments/incoming/{id}",
            "key_header": _AUTHORIZATION,
            "key_form": "Basic :{key}",
            "status_path": "isPaid",
            "words_paid": "true",
            "words_pending": "false",
            "amount_path": "requestedSat",
            "currency": "sat",
            "received_path": "receivedSat",
            "order_path": "externalId",
            "push_id_path": "paymentHash",
            "push_header": "X-Phoenix-Signature",
            "push_check": "hmac-sha256",
        },
    ),
    # "GET /receive/:address" and "Callback payload" at moneropay.eu: complete is what is unlocked.
    # A callback doesn't name the address that it is about.
    "moneropay": Preset(
        name="MoneroPay",
        settings={
            "url": "http://moneropay.local:5000/receive/{id}",
            "status_path": "complete",
            "words_paid": "true",
            "words_pending": "false",
            "amount_path": "amount.expected",
            "amount_factor": "0.000000000001",
            "currency": "XMR",
            "received_path": "amount.covered.unlocked",
            "order_path": "description",
        },
    ),
    # "Find invoice by ID" and "Webhooks" at docs.strike.me.
    "strike": Preset(
        name="Strike",
        hosts=frozenset({"api.strike.me"}),
        settings={
            "url": "https://api.strike.me/v1/invoices/{id}",
            "key_header": _AUTHORIZATION,
            "key_form": _BEARER,
            "status_path": "state",
            "words_paid": "PAID",
            "words_pending": "UNPAID",
            "words_processing": "PENDING",
            "words_canceled": "CANCELLED",
            "amount_path": "amount.amount",
            "currency_path": "amount.currency",
            "order_path": "correlationId",
            "push_id_path": "data.entityId",
            "push_header": "X-Webhook-Signature",
            "push_check": "hmac-sha256",
        },
    ),
    # "Fetch an order with ID" and "Validate webhooks" at razorpay.com/docs. The key is the key's
    # ID, a colon and its secret. An order stays paid when its payment is refunded.
    "razorpay": Preset(
        name="Razorpay",
        hosts=frozenset({"api.razorpay.com"}),
        settings={
            "url": "https://api.razorpay.com/v1/orders/{id}",
            "key_header": _AUTHORIZATION,
            "key_form": "Basic {key}",
            "status_path": "status",
            "words_paid": "paid",
            "words_pending": "created, attempted",
            "amount_path": "amount",
            "amount_factor": "minor",
            "currency_path": "currency",
            "received_path": "amount_paid",
            "order_path": "receipt",
            "push_id_path": "payload.order.entity.id",
            "push_header": "X-Razorpay-Signature",
            "push_check": "hmac-sha256",
        },
    ),
}
