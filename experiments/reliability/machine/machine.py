"""All rules together."""

from experiments.reliability.machine.acs import AcsRules
from experiments.reliability.machine.automations import AutomationRules
from experiments.reliability.machine.client_sessions import ClientSessionRules
from experiments.reliability.machine.credentials import CredentialRules
from experiments.reliability.machine.imports import ImportRules
from experiments.reliability.machine.odd_requests import OddRequestRules
from experiments.reliability.machine.pages import PageRules
from experiments.reliability.machine.phones import PhoneRules
from experiments.reliability.machine.table import TableRules
from experiments.reliability.machine.tokens import TokenRules
from experiments.reliability.machine.user_identities import UserIdentityRules
from experiments.reliability.machine.workspaces import WorkspaceRules


class Machine(
    AutomationRules,
    UserIdentityRules,
    AcsRules,
    WorkspaceRules,
    ClientSessionRules,
    PhoneRules,
    CredentialRules,
    ImportRules,
    PageRules,
    OddRequestRules,
    TokenRules,
    TableRules,
):
    """Requests of every kind in any order."""
