"""Enrollments: all that is wanted of a person at one credential manager, and what is known of it.

Three kinds of writers meet here.  Requests write what is wanted: phones, credentials, automations, links.  Each such
change raises the revision of the enrollment, which starts an execution (``enrollment_starts``).  Executions write what
they learn from the manager: registrations, and the credentials of phones.

An execution notes itself in an item of its own, and ends when another one has done so later.  So one execution works
for an enrollment, however often it was started.  Around a request to the manager it also holds a lease, since an
execution that is being replaced may just have sent one.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from enrollment.errors import ServiceUnavailable
from enrollment.managers.protocol import Reason, State
from enrollment.store.actions import as_read, change, put_new, raise_number, require
from enrollment.store.attributes import Item, elements
from enrollment.store.keys import (
    Key,
    acs_credential_pool_key,
    acs_system_key,
    acs_user_link_key,
    automation_key,
    connector_key,
    enrollment_key,
    execution_key,
    key_of,
    manager_pause_key,
    phones_partition,
    user_identity_key,
    workspace_key,
)
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.credential_items import is_of_one_phone
from enrollment.use_cases.links import is_usable, use_user_identity

_ROUNDS = 4
_ACTIVE_PHONES_ARE_ASKED_ABOUT_AFTER = timedelta(days=1)
# Names the registrations' ids; it was made up once and never changes.
_REGISTRATION_IDS = uuid.UUID("6f0b7c1e-9d0a-4c55-8a54-2f3c1d7b9e60")


class EnrollmentId(NamedTuple):
    """Names an enrollment.

    Attributes:
        workspace_id: The workspace.
        user_identity_id: The person.
        manager_id: The credential manager, which is an ACS system.
    """

    workspace_id: str
    user_identity_id: str
    manager_id: str

    @property
    def key(self) -> Key:
        """The key of the enrollment's item."""
        return enrollment_key(*self)

    @property
    def execution_key(self) -> Key:
        """The key of the item by which its executions know of each other."""
        return execution_key(*self)

    def to_json(self) -> dict[str, str]:
        """Return this as it is in an execution's input and in log lines."""
        return {
            "workspace_id": self.workspace_id,
            "user_identity_id": self.user_identity_id,
            "credential_manager_acs_system_id": self.manager_id,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "EnrollmentId":
        """Read what ``to_json`` has written; an item of an enrollment has the same attributes."""
        names = ("workspace_id", "user_identity_id", "credential_manager_acs_system_id")
        return cls(*(str(content[name]) for name in names))


class Abilities(NamedTuple):
    """What a credential manager can do (contract, ``manager.check``).

    Attributes:
        keeps_validity: Whether it issues credentials now that become valid later, and ends them itself.
        one_step: Whether registering a phone issues its credential, too.
    """

    keeps_validity: bool
    one_step: bool


@dataclass(frozen=True, slots=True)
class View:
    """An enrollment as it was read, a moment ago.

    Attributes:
        id: Which one.
        enrollment: Its item; ``None`` if there is none any more.
        execution: The item by which its executions know of each other, without attributes if there is none.
        user_identity: The person; ``None`` if the person was deleted.
        automation: The person's automation with this manager, if there is one.
        acs_user_id: The person's ACS user in the manager, if there is one.
        manager: The manager's item; ``None`` if there is none.
        connector: The manager's connector; ``None`` if there is none.
        pause: The item that is there while nobody sends requests to the manager.
        is_sandbox: Whether the workspace is a sandbox.
        phones: The person's phones, by id.
        registrations: The phones' registrations with this manager, by the phone's id.
        parents: The credentials that stand for the person's access, by id.
        children: The credentials of phones at this manager, by id.
        names_of_pools: The manager's names of the pools that matter here, by id, as far as they have one.
    """

    id: EnrollmentId
    enrollment: Item | None
    execution: Item
    user_identity: Item | None
    automation: Item | None
    acs_user_id: str | None
    manager: Item | None
    connector: Item | None
    pause: Item | None
    is_sandbox: bool
    phones: Mapping[str, Item]
    registrations: Mapping[str, Item]
    parents: Mapping[str, Item]
    children: Mapping[str, Item]
    names_of_pools: Mapping[str, str]

    def children_of(self, registration: Item) -> list[Item]:
        """Return the credentials of a phone at this manager, in the order of their ids."""
        return [self.children[one] for one in elements(registration.get("acs_credential_ids"))]

    @property
    def is_simulated(self) -> bool:
        """Whether the manager is a simulated one, as every one of a sandbox workspace is."""
        return self.is_sandbox and self.manager is not None

    @property
    def is_served(self) -> bool:
        """Whether somebody can be asked: a simulated manager, or a connector that the operator has not paused."""
        return self.is_simulated or (self._has_connector and "paused_at" not in (self.connector or {}))

    @property
    def abilities(self) -> Abilities | None:
        """What the manager can do; ``None`` as long as its connector has not told that."""
        if self.is_simulated:
            return Abilities(keeps_validity=True, one_step=False)
        if self.connector is None or "checked_at" not in self.connector:
            return None
        return Abilities(self.connector["keeps_validity"] is True, self.connector["one_step"] is True)

    @property
    def _has_connector(self) -> bool:
        return not self.is_sandbox and self.manager is not None and self.connector is not None

    @property
    def is_wanted(self) -> bool:
        """Whether the person is there for new registrations and credentials."""
        return self.user_identity is not None and is_usable(self.user_identity)


def read_view(table: Table, enrollment_id: EnrollmentId) -> View:
    """Read an enrollment, by two strongly consistent requests, or three if a connector knows its pools by other names.

    Args:
        table: The table.
        enrollment_id: Which one.

    Raises:
        ServiceUnavailable: The database stays out of reach, or the enrollment changes again and again.
    """
    for _ in range(_ROUNDS):
        view = _read_once(table, enrollment_id)
        # A Query may see one half of a transaction.  Then it is read again.
        listed = {one for item in view.registrations.values() for one in elements(item.get("acs_credential_ids"))}
        if listed == view.children.keys():
            return view
    raise ServiceUnavailable


def _by_id(items: Sequence[Item], kind: str, id_name: str) -> dict[str, Item]:
    return {str(item[id_name]): item for item in items if str(item["sk"]).startswith(kind)}


def _read_once(table: Table, enrollment_id: EnrollmentId) -> View:
    workspace_id, identity_id, manager_id = enrollment_id
    items = table.query(phones_partition(workspace_id, identity_id))
    keys = {
        "user_identity": user_identity_key(workspace_id, identity_id),
        "automation": automation_key(workspace_id, identity_id, manager_id),
        "link": acs_user_link_key(workspace_id, identity_id, manager_id),
        "manager": acs_system_key(workspace_id, manager_id),
        "connector": connector_key(workspace_id, manager_id),
        "pause": manager_pause_key(workspace_id, manager_id),
        "workspace": workspace_key(workspace_id),
    }
    found = table.batch_get(list(keys.values()))
    related = {name: found.get(key) for name, key in keys.items()}
    link, workspace = related["link"], related["workspace"]
    here = [item for item in items if item.get("credential_manager_acs_system_id") == manager_id]
    credentials = _by_id(here, "CREDENTIAL#", "acs_credential_id")
    by_key = {str(item["sk"]): item for item in items}
    children = {one: item for one, item in credentials.items() if is_of_one_phone(item)}
    has_names = related["connector"] is not None
    pool_ids = _pools(related["automation"], children.values()) if has_names else set()
    return View(
        id=enrollment_id,
        enrollment=by_key.get(enrollment_id.key.sk),
        execution=by_key.get(enrollment_id.execution_key.sk, {}),
        user_identity=related["user_identity"],
        automation=related["automation"],
        acs_user_id=None if link is None else str(link["acs_user_id"]),
        manager=related["manager"],
        connector=related["connector"],
        pause=related["pause"],
        is_sandbox=workspace is not None and workspace["is_sandbox"] is True,
        phones=_by_id(items, "PHONE#", "device_id"),
        registrations=_by_id(here, "REGISTRATION#", "device_id"),
        parents={one: item for one, item in credentials.items() if not is_of_one_phone(item)},
        children=children,
        names_of_pools=_names_of_pools(table, workspace_id, pool_ids) if pool_ids else {},
    )


def _pools(automation: Item | None, children: Iterable[Item]) -> set[str]:
    requested = [*children] if automation is None else [*children, automation]
    names = ("acs_credential_pool_id", "requested_acs_credential_pool_id")
    return {str(item[name]) for item in requested for name in names if name in item}


def _names_of_pools(table: Table, workspace_id: str, pool_ids: Iterable[str]) -> dict[str, str]:
    pools = table.get_all(acs_credential_pool_key(workspace_id, pool_id) for pool_id in sorted(pool_ids))
    return {str(pool["acs_credential_pool_id"]): str(pool["pool"]) for pool in pools.values() if "pool" in pool}


def note_execution(table: Table, enrollment_id: EnrollmentId, revision: int, executor: str) -> bool:
    """Note that an execution works for an enrollment from now on.

    Args:
        table: The table.
        enrollment_id: The enrollment.
        revision: The revision that the execution was started for.
        executor: Names the execution.

    Returns:
        Whether it does.  It does not if an execution for a later revision does, or if there is no such enrollment.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    key = enrollment_id.execution_key
    noted: Item = {**enrollment_id.to_json(), "noted": revision, "executor": executor}
    for _ in range(_ROUNDS):
        known = table.get(key)
        if known is None:
            action = put_new(key, noted)
        elif int(str(known["noted"])) > revision:
            return False
        else:
            action = change(key, assign=noted, where=as_read(known, ["noted", "executor"]))
        refused = table.transact({"execution": action, "enrollment": require(enrollment_id.key)})
        if not refused:
            return True
        if "enrollment" in refused:
            return False
    raise ServiceUnavailable


def raise_revision(table: Table, enrollment_id: EnrollmentId, *, may_be_new: bool) -> None:
    """Raise the revision of an enrollment, so that an execution is started for it.

    Args:
        table: The table.
        enrollment_id: The enrollment.
        may_be_new: Whether to make it if there is none.  None is made of a person who is deleted or being deleted.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    raised = raise_number(enrollment_id.key, "revision", enrollment_id.to_json(), must_exist=not may_be_new)
    guard = (
        {"user_identity": use_user_identity(enrollment_id.workspace_id, enrollment_id.user_identity_id)}
        if may_be_new
        else {}
    )
    table.transact({"enrollment": raised, **guard})


def is_worth_a_look(registration: Item, now: datetime) -> bool:
    """Return whether a manager is asked about a phone when the app on it opens a session.

    The person may have accepted an invitation, or wants another one (contract, "Credential managers").  An active phone
    is asked about once a day at most, so that a credential which the manager has invalidated is noticed.

    Args:
        registration: The phone's registration.
        now: The time.
    """
    match registration.get("state"):
        case State.INVITED | State.GONE:
            return True
        case State.FAILED:
            return registration.get("reason") == Reason.INVITATION_EXPIRED
        case State.ACTIVE:
            return str(registration.get("asked_at", "")) < timestamp(now - _ACTIVE_PHONES_ARE_ASKED_ABOUT_AFTER)
    return False


def ask_to_look(table: Table, enrollment_id: EnrollmentId, things: Sequence[Item]) -> bool:
    """Have an execution look at some things, also if they failed.

    Args:
        table: The table.
        enrollment_id: The enrollment.
        things: Registrations and credentials of phones, 99 at most.

    Returns:
        Whether they are all still there.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    asked = {"nudged_at": timestamp(datetime.now(UTC))}
    keys = [key_of(thing) for thing in things]
    raised = raise_number(enrollment_id.key, "revision", enrollment_id.to_json(), must_exist=True)
    return not table.transact({"enrollment": raised, **{key.sk: change(key, assign=asked) for key in keys}})


def registration_id_of(device_id: str, manager_id: str) -> str:
    """Return the id of a phone's registration with a credential manager: the same whenever it registers."""
    return str(uuid.uuid5(_REGISTRATION_IDS, f"{device_id} {manager_id}"))
