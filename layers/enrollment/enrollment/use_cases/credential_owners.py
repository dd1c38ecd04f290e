"""The ACS user that a new credential belongs to, and the credential manager that issues it.

Both are chosen by what is read, so the actions that come with a choice check that this is still so.  The ACS system is
an exception: all credentials of a building share its item, and two transactions on one item cancel each other.  Its
default credential manager may be another one a moment later, as if the credential had been created a moment before.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from enrollment.errors import (
    AcsSystemIsNotCredentialManager,
    AcsSystemNotFound,
    AcsUserHasNoUserIdentity,
    AcsUserNotFound,
    AcsUserNotInAcsSystem,
    CredentialManagerNotCompatible,
    NoCredentialManager,
    TooManyAcsCredentials,
)
from enrollment.resources.acs_credentials import CreateAcsCredentialRequest
from enrollment.store.actions import Action, as_read, change, require
from enrollment.store.attributes import Item, elements
from enrollment.store.items import is_there
from enrollment.store.keys import acs_system_key, acs_user_key, acs_user_link_key, automation_key, user_identity_key
from enrollment.store.table import Table
from enrollment.use_cases.compatibility import can_issue_for
from enrollment.use_cases.links import (
    PERSON,
    list_at_user_identity,
    new_acs_user,
    put_acs_user,
    put_link,
    require_usable,
    unlinked_match,
    use_user_identity,
)

# An ACS user's item names its credentials, and DynamoDB allows an item 400 kB.
_MOST_CREDENTIALS = 1000


class Owner(NamedTuple):
    """The ACS user that a new credential belongs to.

    Attributes:
        acs_user_id: Its id.
        user_identity_id: The user identity that it is linked to.
        system: The item of its ACS system.
        actions: The actions that give it the credential, and link or create it if that is needed.
    """

    acs_user_id: str
    user_identity_id: str
    system: Item
    actions: Mapping[str, Action]


class Manager(NamedTuple):
    """The credential manager that issues a new credential.

    Attributes:
        acs_system_id: Its id.
        actions: The actions that check what it was chosen by.
    """

    acs_system_id: str
    actions: Mapping[str, Action] = MappingProxyType({})


def choose_owner(table: Table, workspace_id: str, request: CreateAcsCredentialRequest, credential_id: str) -> Owner:
    """Return the ACS user that a new credential belongs to.

    A user identity's ACS user in a system is the linked one, else an unlinked one with its email address or phone
    number, else a new one (published description of ``user_identity_id``).

    Args:
        table: The table.
        workspace_id: The workspace.
        request: The validated body.
        credential_id: The new credential's id.

    Raises:
        UserIdentityNotFound: There is no such user identity, or it is being deleted.
        AcsSystemNotFound: There is no such ACS system.
        AcsUserNotFound: There is no such ACS user.
        AcsUserNotInAcsSystem: The ACS user is another system's.
        AcsUserHasNoUserIdentity: It is not linked to a user identity.
        TooManyAcsCredentials: It has as many credentials as it may have.
        ServiceUnavailable: The database stays out of reach.
    """
    if request.acs_user_id is not None:
        acs_user = table.get(acs_user_key(workspace_id, request.acs_user_id))
        if acs_user is None:
            raise AcsUserNotFound
        if request.acs_system_id is not None and request.acs_system_id != acs_user["acs_system_id"]:
            raise AcsUserNotInAcsSystem
        if "user_identity_id" not in acs_user:
            raise AcsUserHasNoUserIdentity
        return _existing(table, acs_user, credential_id)
    identity_id, system_id = str(request.user_identity_id), str(request.acs_system_id)
    identity_key, system_key = user_identity_key(workspace_id, identity_id), acs_system_key(workspace_id, system_id)
    link_key = acs_user_link_key(workspace_id, identity_id, system_id)
    found = table.batch_get([identity_key, system_key, link_key])
    identity = require_usable(found.get(identity_key))
    if not is_there(found.get(system_key)):
        raise AcsSystemNotFound
    if link_key in found:
        acs_user = table.get(acs_user_key(workspace_id, str(found[link_key]["acs_user_id"])))
        if acs_user is not None and acs_user.get("user_identity_id") == identity_id:
            return _existing(table, acs_user, credential_id)
        # It was unlinked between the two reads.  The transaction finds the link gone, or refuses.
    return _linked_or_created(table, identity, found[system_key], credential_id)


def choose_manager(table: Table, request: CreateAcsCredentialRequest, owner: Owner) -> Manager:
    """Return the credential manager that issues a new credential (contract, "Credentials").

    Raises:
        AcsSystemNotFound: There is no such credential manager.
        AcsSystemIsNotCredentialManager: The system cannot issue credentials.
        CredentialManagerNotCompatible: It cannot issue credentials for the ACS user's system.
        NoCredentialManager: None is named, and nothing speaks for one.
        ServiceUnavailable: The database stays out of reach.
    """
    system, workspace_id = owner.system, str(owner.system["workspace_id"])
    if named := request.credential_manager_acs_system_id:
        manager = table.get(acs_system_key(workspace_id, named))
        if not is_there(manager):
            raise AcsSystemNotFound
        if not manager["is_credential_manager"]:
            raise AcsSystemIsNotCredentialManager
        if not can_issue_for(manager, system):
            raise CredentialManagerNotCompatible
        return Manager(named)
    if default := system.get("default_credential_manager_acs_system_id"):
        manager = table.get(acs_system_key(workspace_id, str(default)))
        if manager is not None and can_issue_for(manager, system):
            return Manager(str(default))
    return _manager_of_automations(table, owner)


def _manager_of_automations(table: Table, owner: Owner) -> Manager:
    """Return the credential manager of the oldest automation of the owner whose manager is compatible."""
    workspace_id = str(owner.system["workspace_id"])
    first = automation_key(workspace_id, owner.user_identity_id, "")
    automations = table.query(first.pk, first.sk, f"{first.sk}\uffff")
    automations.sort(key=lambda item: (str(item["created_at"]), str(item["enrollment_automation_id"])))
    manager_ids = [str(item["credential_manager_acs_system_id"]) for item in automations]
    managers = table.get_all(acs_system_key(workspace_id, manager_id) for manager_id in manager_ids)
    for automation, manager_id in zip(automations, manager_ids, strict=True):
        manager = managers.get(acs_system_key(workspace_id, manager_id))
        if manager is not None and can_issue_for(manager, owner.system):
            key = automation_key(workspace_id, owner.user_identity_id, manager_id)
            is_there = require(key, {"enrollment_automation_id": automation["enrollment_automation_id"]})
            return Manager(manager_id, {"automation": is_there})
    raise NoCredentialManager


def _existing(table: Table, acs_user: Item, credential_id: str) -> Owner:
    """Return an ACS user that is linked to a user identity."""
    workspace_id, identity_id = str(acs_user["workspace_id"]), str(acs_user["user_identity_id"])
    identity_key = user_identity_key(workspace_id, identity_id)
    system_key = acs_system_key(workspace_id, str(acs_user["acs_system_id"]))
    found = table.batch_get([identity_key, system_key])
    require_usable(found.get(identity_key))
    if not is_there(found.get(system_key)):
        raise AcsSystemNotFound
    if len(elements(acs_user.get("acs_credential_ids"))) >= _MOST_CREDENTIALS:
        raise TooManyAcsCredentials
    acs_user_id = str(acs_user["acs_user_id"])
    given = change(
        acs_user_key(workspace_id, acs_user_id),
        add={"acs_credential_ids": frozenset({credential_id})},
        where=as_read(acs_user, ["user_identity_id", "acs_system_id"]),
    )
    actions = {"user_identity": use_user_identity(workspace_id, identity_id), "acs_user": given}
    return Owner(acs_user_id, identity_id, found[system_key], actions)


def _linked_or_created(table: Table, identity: Item, system: Item, credential_id: str) -> Owner:
    """Return the ACS user that a user identity without one in a system gets there."""
    workspace_id, identity_id = str(identity["workspace_id"]), str(identity["user_identity_id"])
    system_id, credential_ids = str(system["acs_system_id"]), frozenset({credential_id})
    match = unlinked_match(table, workspace_id, system_id, identity)
    actions: dict[str, Action]
    if match is not None:
        acs_user_id = match.acs_user_id
        claimed = change(
            acs_user_key(workspace_id, acs_user_id),
            assign={"user_identity_id": identity_id},
            add={"acs_credential_ids": credential_ids},
            where={"acs_system_id": system_id, "user_identity_id": None, **match.address},
        )
        actions = {"acs_user": claimed}
    else:
        new = new_acs_user(workspace_id, system_id, identity)
        acs_user_id = str(new["acs_user_id"])
        actions = put_acs_user({**new, "user_identity_id": identity_id, "acs_credential_ids": credential_ids})
    actions |= {
        "user_identity": list_at_user_identity(workspace_id, identity_id, acs_user_id, as_read(identity, PERSON)),
        "link": put_link(workspace_id, acs_user_id, system_id, identity_id),
    }
    return Owner(acs_user_id, identity_id, system, actions)
