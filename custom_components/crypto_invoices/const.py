"""Constants of the Crypto Invoices integration."""

from typing import Final

DOMAIN: Final = "crypto_invoices"

CONF_CLOUDHOOK_URL: Final = "cloudhook_url"
CONF_BASELINE: Final = "baseline"
CONF_FOLLOW: Final = "follow"
CONF_FOLLOWED: Final = "followed"
CONF_INVOICE_ID: Final = "invoice_id"
CONF_INVOICES: Final = "invoices"
CONF_PAYMENT_URL: Final = "payment_url"
CONF_PROVIDER: Final = "provider"
CONF_TIDY_AFTER: Final = "tidy_after"
DEFAULT_TIDY_AFTER: Final = 7
SECTION_ADVANCED: Final = "advanced"
SUBENTRY_TYPE_INVOICE: Final = "invoice"
