"""Which credential managers can issue credentials for the users of an ACS system."""

from enrollment.store.attributes import Item, elements
from enrollment.store.items import is_there


def named_credential_managers(system: Item) -> set[str]:
    """Return the ids of the credential managers that a system names.  If it names none, each one is compatible."""
    named = set(elements(system.get("compatible_credential_manager_acs_system_ids")))
    if default := system.get("default_credential_manager_acs_system_id"):
        named.add(str(default))
    return named


def can_issue_for(manager: Item, system: Item) -> bool:
    """Return whether a system is a credential manager that can issue credentials for the users of another system.

    Args:
        manager: The item of the system that would issue them.
        system: The item of the system that the ACS users are in.
    """
    named = named_credential_managers(system)
    can_issue = manager["is_credential_manager"] is True and is_there(manager)
    return can_issue and (not named or manager["acs_system_id"] in named)
