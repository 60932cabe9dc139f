"""Constants of the Crypto Invoices integration."""

from typing import Final

DOMAIN: Final = "crypto_invoices"

CONF_AUTO_WATCH: Final = "auto_watch"
CONF_CLEANUP_AFTER: Final = "cleanup_after"
CONF_CLOUDHOOK_URL: Final = "cloudhook_url"
CONF_EVERY_DEVICE: Final = "every_device"
CONF_INVOICES: Final = "invoices"
CONF_NAME_FROM_MEMO: Final = "name_from_memo"
CONF_ONLY_CURRENCY: Final = "only_currency"
CONF_ONLY_FROM_AMOUNT: Final = "only_from_amount"
CONF_ONLY_ORDER_ID: Final = "only_order_id"
CONF_PROVIDER: Final = "provider"
CONF_TO_FULFILL: Final = "to_fulfill"
CONF_TO_FULFILL_ISSUE: Final = "to_fulfill_issue"
DEFAULT_CLEANUP_AFTER: Final = 7
SECTION_ADVANCED: Final = "advanced"
SUBENTRY_TYPE_INVOICE: Final = "invoice"
SUBENTRY_TYPE_MONEY: Final = "ask_for_money"
