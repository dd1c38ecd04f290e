"""Enrollment automations: the use cases.

A launch writes first and explains afterwards.  One transaction checks and writes everything that belongs to the user
identity; if it is refused, the conditions that failed tell the answer.

The credential manager and the pool are read, kept for a while, and never part of the transaction.  All launches of a
building share them, and two transactions on one item cancel each other.
"""

import time
import uuid
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

from cachetools import TTLCache

from enrollment.callers import Caller
from enrollment.errors import (
    AcsCredentialPoolNotFound,
    AcsCredentialPoolNotInAcsSystem,
    AcsSystemIsNotCredentialManager,
    AcsSystemNotFound,
    AcsUserAlreadyLinked,
    AcsUserNotFound,
    AcsUserNotInAcsSystem,
    EnrollmentAutomationAlreadyExists,
    EnrollmentAutomationNotFound,
    EnrollmentError,
    ServiceUnavailable,
    UserIdentityNotFound,
)
from enrollment.resources.automations import (
    DeleteAutomationRequest,
    EnrollmentAutomation,
    GetAutomationRequest,
    LaunchRequest,
    ListAutomationsRequest,
)
from enrollment.store.actions import Action, as_read, put, put_new, require
from enrollment.store.actions import delete as delete_item
from enrollment.store.attributes import Item, Value
from enrollment.store.items import is_there, stored_automation
from enrollment.store.keys import (
    Key,
    acs_credential_pool_key,
    acs_system_key,
    acs_user_link_key,
    automation_by_id_key,
    automation_key,
    enrolled_listing_key,
    user_identity_key,
)
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.links import (
    PERSON,
    claim_acs_user,
    list_at_user_identity,
    new_acs_user,
    put_acs_user,
    put_link,
    require_usable,
    unlinked_match,
    use_user_identity,
)

type KnownItems = MutableMapping[Key, Item]

KNOWN_ITEMS_SECONDS = 60
_KNOWN_ITEMS_MOST = 4096
# A round is repeated when another request has made or undone a link since it looked.
_LAUNCH_ROUNDS = 4
# Before the names of a launch's parameters where they are stored with its automation.
_PARAMETER_PREFIX = "requested_"


class Launched(NamedTuple):
    """The result of a launch.

    Attributes:
        automation: The automation, made by this launch or by an earlier one.
        is_replay: Whether an earlier launch with the same parameters made it.
    """

    automation: EnrollmentAutomation
    is_replay: bool


def known_items(*, timer: Callable[[], float] = time.monotonic) -> KnownItems:
    """Return a cache for the credential managers and pools that a process has read.

    Each entry lives for 60 s.  There are 4,096 at most.

    Args:
        timer: Returns a time in seconds, from whatever moment.
    """
    return TTLCache(maxsize=_KNOWN_ITEMS_MOST, ttl=KNOWN_ITEMS_SECONDS, timer=timer)


def launch(table: Table, known: KnownItems, caller: Caller, request: LaunchRequest) -> Launched:
    """Enrol a user identity with a credential manager (contract, "What launching does").

    Errors about what the ids refer to come first, then the automation that exists already, then a link in the way.
    There is one exception: an automation that exists is answered even if its system has stopped being a credential
    manager.

    Args:
        table: The table.
        known: From ``known_items``.
        caller: Who asks.
        request: The validated body.

    Raises:
        UserIdentityNotFound: No such user identity.  With this error and all others, nothing was written.
        AcsSystemNotFound: No such credential manager.
        AcsSystemIsNotCredentialManager: The system cannot issue mobile credentials.
        AcsCredentialPoolNotFound: No such pool.
        AcsCredentialPoolNotInAcsSystem: The pool is another system's.
        AcsUserNotFound: No such ACS user.
        AcsUserNotInAcsSystem: The ACS user is another system's.
        EnrollmentAutomationAlreadyExists: The pair was launched before, with other parameters.
        AcsUserAlreadyLinked: The ACS user or the identity has another link in that system.
        ServiceUnavailable: The database stays out of reach; repeating the launch is safe.
    """
    workspace_id, system_id = caller.workspace_id, request.credential_manager_acs_system_id
    try:
        person, linked = _look_up(table, known, workspace_id, request)
    except AcsSystemIsNotCredentialManager:
        # Older releases allowed an import to take `is_credential_manager` away from a system that has automations.
        existing = table.get(automation_key(workspace_id, request.user_identity_id, system_id))
        if existing is None:
            raise
        return Launched(_same_launch(existing, request), is_replay=True)
    for _ in range(_LAUNCH_ROUNDS):
        chosen = _choose_acs_user(table, workspace_id, request, person, linked)
        automation = _new_automation(workspace_id, request)
        refused = table.transact(_transaction(automation, request, chosen))
        if not refused:
            return Launched(automation, is_replay=False)
        if "user_identity" in refused:
            # Either it is gone, or its name or an address has changed since the ACS user was chosen by them.
            person = require_usable(refused["user_identity"])
        if request.credential_manager_acs_user_id and "acs_user" in refused:
            _require_in_system(refused["acs_user"], system_id)
        if existing := refused.get("automation"):
            return Launched(_same_launch(existing, request), is_replay=True)
        if request.credential_manager_acs_user_id:
            raise AcsUserAlreadyLinked
        # With create_credential_manager_user: the person, the ACS user or the link has changed since this round began.
        if "link" in refused:
            link = refused["link"]
            linked = None if link is None else str(link["acs_user_id"])
    raise ServiceUnavailable


def get(table: Table, caller: Caller, request: GetAutomationRequest) -> EnrollmentAutomation:
    """Return an automation.  The reads are strongly consistent, so an automation is there once its launch is answered.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        EnrollmentAutomationNotFound: There is none, or it is of a user identity that the caller does not see.
        ServiceUnavailable: The database stays out of reach.
    """
    by_id = table.get(automation_by_id_key(caller.workspace_id, request.enrollment_automation_id))
    if by_id is None or not caller.sees(str(by_id["user_identity_id"])):
        raise EnrollmentAutomationNotFound
    item = table.get(_automation_key_of(caller.workspace_id, by_id))
    # Between the two reads it may have been deleted, and the pair launched anew.
    if item is None or item["enrollment_automation_id"] != request.enrollment_automation_id:
        raise EnrollmentAutomationNotFound
    return EnrollmentAutomation.model_validate(item)


def list_of_user_identity(table: Table, caller: Caller, request: ListAutomationsRequest) -> list[EnrollmentAutomation]:
    """Return a user identity's automations, oldest first, with one strongly consistent Query.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        UserIdentityNotFound: There is none, or the caller does not see it.
        ServiceUnavailable: The database stays out of reach.
    """
    if not caller.sees(request.user_identity_id):
        raise UserIdentityNotFound
    # The identity's own item sorts behind its automations, so the same Query tells whether it exists.
    identity_key = user_identity_key(caller.workspace_id, request.user_identity_id)
    first_sk = automation_key(caller.workspace_id, request.user_identity_id, "").sk
    *automations, last = table.query(identity_key.pk, first_sk, identity_key.sk) or [{}]
    require_usable(last if last.get("sk") == identity_key.sk else None)
    found = [EnrollmentAutomation.model_validate(item) for item in automations]
    return sorted(found, key=lambda automation: (automation.created_at, automation.enrollment_automation_id))


def delete(table: Table, caller: Caller, request: DeleteAutomationRequest) -> None:
    """Delete an automation.  The pair can then be launched again, and gets a new id.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        EnrollmentAutomationNotFound: There is none.
        ServiceUnavailable: The database stays out of reach.
    """
    by_id_key = automation_by_id_key(caller.workspace_id, request.enrollment_automation_id)
    by_id = table.get(by_id_key)
    if by_id is None or not caller.sees(str(by_id["user_identity_id"])):
        raise EnrollmentAutomationNotFound
    refused = table.transact(delete_automation(caller.workspace_id, request.enrollment_automation_id, by_id))
    if refused:  # another request has deleted it meanwhile
        raise EnrollmentAutomationNotFound


def delete_automation(workspace_id: str, enrollment_automation_id: str, pair: Item) -> dict[str, Action]:
    """Return the actions that delete an automation.

    Args:
        workspace_id: The workspace.
        enrollment_automation_id: The automation's id.
        pair: Its own item, or the one that finds it by its id: both name the user identity and the system.
    """
    user_identity_id, acs_system_id = str(pair["user_identity_id"]), str(pair["credential_manager_acs_system_id"])
    return {
        "automation": delete_item(
            _automation_key_of(workspace_id, pair), {"enrollment_automation_id": enrollment_automation_id}
        ),
        "automation_by_id": delete_item(automation_by_id_key(workspace_id, enrollment_automation_id), {}),
        "enrolled": delete_item(enrolled_listing_key(workspace_id, acs_system_id, user_identity_id)),
    }


def _automation_key_of(workspace_id: str, by_id: Item) -> Key:
    return automation_key(workspace_id, str(by_id["user_identity_id"]), str(by_id["credential_manager_acs_system_id"]))


def _look_up(table: Table, known: KnownItems, workspace_id: str, request: LaunchRequest) -> tuple[Item, str | None]:
    """Require that the credential manager and the pool can be used.

    Returns:
        The user identity and the id of its ACS user in that system, if the launch has to choose an ACS user.
    """
    system_key = acs_system_key(workspace_id, request.credential_manager_acs_system_id)
    pool_key = None
    if request.acs_credential_pool_id:
        pool_key = acs_credential_pool_key(workspace_id, request.acs_credential_pool_id)

    is_known = _are_usable(known, system_key, pool_key)
    if is_known and not request.create_credential_manager_user:
        return {}, None
    identity_key = user_identity_key(workspace_id, request.user_identity_id)
    link_key = acs_user_link_key(workspace_id, request.user_identity_id, request.credential_manager_acs_system_id)
    # The same request reads the identity, so a missing identity is reported first, whatever was known.
    keys = [identity_key] if is_known else [identity_key, system_key, *([pool_key] if pool_key else [])]
    read = table.batch_get([*keys, link_key] if request.create_credential_manager_user else keys)
    identity, link = require_usable(read.pop(identity_key, None)), read.pop(link_key, None)
    known.update(read)
    if not is_known:
        _require_usable_manager(read, system_key, pool_key)
    return identity, None if link is None else str(link["acs_user_id"])


def _are_usable(known: Mapping[Key, Item], system_key: Key, pool_key: Key | None) -> bool:
    try:
        _require_usable_manager(known, system_key, pool_key)
    except EnrollmentError:  # it is read again before a client is told so
        return False
    return True


def _require_usable_manager(found: Mapping[Key, Item], system_key: Key, pool_key: Key | None) -> None:
    system = found.get(system_key)
    if not is_there(system):
        raise AcsSystemNotFound
    if not system["is_credential_manager"]:
        raise AcsSystemIsNotCredentialManager
    if pool_key is None:
        return
    pool = found.get(pool_key)
    if not is_there(pool):
        raise AcsCredentialPoolNotFound
    if pool["acs_system_id"] != system["acs_system_id"]:
        raise AcsCredentialPoolNotInAcsSystem


def _new_automation(workspace_id: str, request: LaunchRequest) -> EnrollmentAutomation:
    enrollment_automation_id = str(uuid.uuid4())
    return EnrollmentAutomation(
        user_identity_id=request.user_identity_id,
        enrollment_automation_id=enrollment_automation_id,
        acs_credential_provisioning_automation_id=enrollment_automation_id,
        credential_manager_acs_system_id=request.credential_manager_acs_system_id,
        is_running=True,
        workspace_id=workspace_id,
        created_at=timestamp(datetime.now(UTC)),
    )


def automation_item(automation: EnrollmentAutomation, request: LaunchRequest) -> Item:
    """Return an automation's own item: what the API answers, and the parameters of its launch."""
    parameters = {f"{_PARAMETER_PREFIX}{name}": value for name, value in _parameters_of(request).items()}
    return automation.model_dump() | parameters


class _Chosen(NamedTuple):
    """The ACS user that a launch uses, and what the choice was based on.

    Attributes:
        acs_user_id: Its id.
        is_linked: Whether it is linked to the user identity already.
        new: Its item, if it has to be created.
        acs_user_is: Values that its attributes must still have, because it was found by them.
        person_is: Values that the user identity's attributes must still have: the ACS user was found by them, or is
            made of them.
    """

    acs_user_id: str
    is_linked: bool = False
    new: Item | None = None
    acs_user_is: Mapping[str, Value | None] = MappingProxyType({})
    person_is: Mapping[str, Value | None] = MappingProxyType({})


def _choose_acs_user(
    table: Table, workspace_id: str, request: LaunchRequest, person: Item, linked: str | None
) -> _Chosen | None:
    if named := request.credential_manager_acs_user_id:
        return _Chosen(named)
    if not request.create_credential_manager_user:
        return None
    if linked is not None:
        return _Chosen(linked, is_linked=True)
    system_id, person_is = request.credential_manager_acs_system_id, as_read(person, PERSON)
    if match := unlinked_match(table, workspace_id, system_id, person):
        return _Chosen(match.acs_user_id, acs_user_is=match.address, person_is=person_is)
    new = new_acs_user(workspace_id, system_id, person)
    return _Chosen(str(new["acs_user_id"]), new=new, person_is=person_is)


def _transaction(automation: EnrollmentAutomation, request: LaunchRequest, chosen: _Chosen | None) -> dict[str, Action]:
    """Return the actions of a launch; by their names, ``launch`` knows what a failed condition means."""
    workspace_id, identity_id = automation.workspace_id, automation.user_identity_id
    system_id = automation.credential_manager_acs_system_id
    itself, by_id, enrolled = stored_automation(automation_item(automation, request)).items()

    actions = {
        "user_identity": use_user_identity(workspace_id, identity_id),
        "automation": put_new(*itself),
        "automation_by_id": put_new(*by_id),
        "enrolled": put(*enrolled),
    }
    if chosen is None:
        return actions
    if chosen.is_linked:
        link_key = acs_user_link_key(workspace_id, identity_id, system_id)
        return actions | {"link": require(link_key, {"acs_user_id": chosen.acs_user_id})}
    if chosen.new is None:
        actions["acs_user"] = claim_acs_user(
            workspace_id, chosen.acs_user_id, system_id, identity_id, chosen.acs_user_is
        )
    else:
        actions |= put_acs_user({**chosen.new, "user_identity_id": identity_id})
    return actions | {
        "user_identity": list_at_user_identity(workspace_id, identity_id, chosen.acs_user_id, chosen.person_is),
        "link": put_link(workspace_id, chosen.acs_user_id, system_id, identity_id),
    }


def _parameters_of(request: LaunchRequest) -> dict[str, str | bool]:
    """Return the parameters in which two launches of one pair can differ; an absent flag counts as false."""
    parameters: dict[str, str | bool] = {
        "create_credential_manager_user": bool(request.create_credential_manager_user),
    }
    if request.acs_credential_pool_id:
        parameters["acs_credential_pool_id"] = request.acs_credential_pool_id
    if request.credential_manager_acs_user_id:
        parameters["credential_manager_acs_user_id"] = request.credential_manager_acs_user_id
    return parameters


def _same_launch(existing: Item, request: LaunchRequest) -> EnrollmentAutomation:
    """Return the automation that exists, if its launch had the same parameters."""
    before = {
        name.removeprefix(_PARAMETER_PREFIX): value
        for name, value in existing.items()
        if name.startswith(_PARAMETER_PREFIX)
    }
    automation = EnrollmentAutomation.model_validate(existing)
    if before != _parameters_of(request):
        raise EnrollmentAutomationAlreadyExists(automation.enrollment_automation_id)
    return automation


def _require_in_system(acs_user: Item | None, acs_system_id: str) -> None:
    if acs_user is None:
        raise AcsUserNotFound
    if acs_user["acs_system_id"] != acs_system_id:
        raise AcsUserNotInAcsSystem
