"""The explorer: a hypothesis machine that does anything to one account, in any order."""

from .rules.account import AccountRules
from .rules.automations import AutomationRules
from .rules.elsewhere import ElsewhereRules
from .rules.fulfillment import FulfillmentRules
from .rules.machine import MachineRules
from .rules.provider import ProviderRules


class Explorer(
    ProviderRules, ElsewhereRules, AccountRules, AutomationRules, FulfillmentRules, MachineRules
):
    """One account of three invoices and two automations, treated badly."""
