"""The explorer: a hypothesis machine that does anything to one account, in any order."""

from .rules.account import AccountRules
from .rules.automations import AutomationRules
from .rules.elsewhere import ElsewhereRules
from .rules.machine import MachineRules
from .rules.provider import ProviderRules


class Explorer(ProviderRules, ElsewhereRules, AccountRules, AutomationRules, MachineRules):
    """One account of three invoices and two automations, treated badly."""
