"""What an import needs for each record: the items that it makes, and what has to be so for that.

It is derived from the record alone.  ``importing`` compares it with what is stored, and puts all of it into the
conditions of the transaction that writes it.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import batched

from enrollment.store.actions import Action, change
from enrollment.store.attributes import Item, Value
from enrollment.store.items import (
    NOT_RETIRED,
    stored_acs_credential,
    stored_acs_credential_pool,
    stored_acs_system,
    stored_acs_user,
    stored_automation,
    stored_phone,
    stored_user_identity,
    unique_keys,
)
from enrollment.store.keys import (
    Key,
    acs_credential_key,
    acs_credential_pool_key,
    acs_system_key,
    acs_user_key,
    acs_user_link_key,
    enrollment_key,
    phone_key,
    registration_key,
    simulated_credential_key,
    simulated_phone_key,
    user_identity_key,
    workspace_key,
)
from enrollment.use_cases.enrollments import EnrollmentId
from enrollment.use_cases.links import NOT_BEING_DELETED
from enrollments.directory.rows import Problem
from enrollments.moving.records import (
    AcsUser,
    Automation,
    Credential,
    CredentialOfPhone,
    DeactivatedPhone,
    Phone,
    Pool,
    Record,
    Registration,
    SimulatedCredential,
    SimulatedPhone,
    System,
    UserIdentity,
)

# Attributes of items that no record has: other records say the same, or nobody needs them after a move.
_LINKED = frozenset({"acs_user_ids"})
_OWNED = frozenset({"acs_credential_ids"})

# The mark of a registration of which not all credentials are restored yet.
BEING_RESTORED = "is_being_restored"
_IS_BEING_RESTORED: Mapping[str, Value | None] = {BEING_RESTORED: True}
# A credential takes six actions, with those on its ACS user and on what it stands under.
_CREDENTIALS_AT_ONCE = 15

_IS_MANAGER: Mapping[str, Value | None] = {"is_credential_manager": True, **NOT_RETIRED}


@dataclass(frozen=True, slots=True)
class Required:
    """An item that has to be there.

    Attributes:
        where: The values that its attributes must have.
        problem: What is told if it is not so.
        added: What is added to its sets.
    """

    where: Mapping[str, Value | None]
    problem: Problem
    added: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an import needs for a record.

    Attributes:
        items: The items that it makes, each with its key.  If the first one is there, the thing is there.
        entries: The items that are derived from them.
        conflicts: What is told if an entry is there that belongs to another thing, by the entry's key.
        required: The other items that have to be there.
        absent: The items that may not be there, and what is told if they are.
        enrollments: The enrollments that it needs.
        not_in_record: Attributes of the first item that the record does not have.
        is_replaceable: Whether the record can take the place of what is there.
    """

    items: dict[Key, Item]
    entries: dict[Key, Item] = field(default_factory=dict)
    conflicts: dict[Key, Problem] = field(default_factory=dict)
    required: dict[Key, Required] = field(default_factory=dict)
    absent: dict[Key, Problem] = field(default_factory=dict)
    enrollments: dict[Key, EnrollmentId] = field(default_factory=dict)
    not_in_record: frozenset[str] = frozenset()
    is_replaceable: bool = False

    @property
    def key(self) -> Key:
        """The key of the thing's own item."""
        return next(iter(self.items))

    @property
    def keys(self) -> list[Key]:
        """The keys of all items that decide what becomes of the record."""
        with_content = [key for key, item in self.entries.items() if item]
        return [*self.items, *with_content, *self.required, *self.absent, *self.enrollments]


def wanted_of(workspace_id: str, record: Record) -> Wanted:  # noqa: C901, PLR0911 - one case for each kind
    """Return what an import needs for a record.

    Args:
        workspace_id: The workspace.
        record: A record of any kind.
    """
    match record:
        case System():
            return _with_entries(stored_acs_system(_item(workspace_id, record)), is_replaceable=True)
        case Pool():
            stored = stored_acs_credential_pool(_item(workspace_id, record))
            wanted = _with_entries(stored, is_replaceable=True)
            wanted.required.update(_manager(workspace_id, record.acs_system_id, "acs_system_id"))
            return wanted
        case UserIdentity():
            return _user_identity(workspace_id, record)
        case AcsUser():
            return _acs_user(workspace_id, record)
        case Credential():
            return _credential(workspace_id, record)
        case Phone():
            return _phone(workspace_id, record)
        case DeactivatedPhone():
            return _deactivated_phone(workspace_id, record)
        case Automation():
            return _automation(workspace_id, record)
        case SimulatedPhone():
            key = simulated_phone_key(workspace_id, record.acs_system_id, record.phone_registration_id)
            return _simulated(workspace_id, record, key)
        case SimulatedCredential():
            key = simulated_credential_key(
                workspace_id, record.acs_system_id, record.phone_registration_id, record.acs_credential_id
            )
            return _simulated(workspace_id, record, key)
    raise TypeError("no kind of record that a file has")


def _item(workspace_id: str, record: Record) -> Item:
    return {"workspace_id": workspace_id, **record.attributes()}


def _with_entries(
    stored: Mapping[Key, Item], *, is_replaceable: bool = False, not_in_record: frozenset[str] = frozenset()
) -> Wanted:
    (key, item), *entries = stored.items()
    conflicts: dict[Key, Problem] = {
        entry: (None, "Its id belongs to another person") for entry, content in entries if content
    }
    return Wanted({key: item}, dict(entries), conflicts, is_replaceable=is_replaceable, not_in_record=not_in_record)


def _user_identity(workspace_id: str, record: UserIdentity) -> Wanted:
    item = _item(workspace_id, record)
    wanted = _with_entries(stored_user_identity(item), is_replaceable=True, not_in_record=_LINKED)
    for name, key in unique_keys(workspace_id, item).items():
        wanted.conflicts[key] = (name, "Another user identity has it")
    return wanted


def _acs_user(workspace_id: str, record: AcsUser) -> Wanted:
    wanted = _with_entries(stored_acs_user(_item(workspace_id, record)), is_replaceable=True, not_in_record=_OWNED)
    wanted.required.update(_system(workspace_id, record.acs_system_id, "acs_system_id"))
    if record.user_identity_id is not None:
        added = {"acs_user_ids": frozenset({record.acs_user_id})}
        wanted.required.update(_person(workspace_id, record.user_identity_id, added))
        link = acs_user_link_key(workspace_id, record.user_identity_id, record.acs_system_id)
        wanted.entries[link] = {"acs_user_id": record.acs_user_id}
        wanted.conflicts[link] = ("user_identity_id", "It has another ACS user in that system")
    return wanted


def _credential(workspace_id: str, record: Credential) -> Wanted:
    wanted = _with_entries(stored_acs_credential(_item(workspace_id, record)))
    manager_id = record.credential_manager_acs_system_id
    wanted.required.update(_person(workspace_id, record.user_identity_id))
    wanted.required.update(_system(workspace_id, record.acs_system_id, "acs_system_id"))
    wanted.required.update(_manager(workspace_id, manager_id, "credential_manager_acs_system_id"))
    wanted.required.update(
        _owner(
            workspace_id, record.user_identity_id, record.acs_user_id, record.acs_system_id, {record.acs_credential_id}
        )
    )
    _want_enrollment(wanted, workspace_id, record.user_identity_id, manager_id)
    return wanted


def _phone(workspace_id: str, record: Phone) -> Wanted:
    managers = frozenset(one.credential_manager_acs_system_id for one in record.registrations)
    item = {**_item(workspace_id, record), **({"registered_with": managers} if managers else {})}
    wanted = _with_entries(stored_phone(item))
    wanted.required.update(_person(workspace_id, record.user_identity_id))
    for key in wanted.conflicts:
        if key.sk.startswith("INSTALLATION#"):
            wanted.conflicts[key] = ("custom_sdk_installation_id", "Another phone of the person has it")
    _want_registrations(wanted, workspace_id, record)
    return wanted


def _deactivated_phone(workspace_id: str, record: DeactivatedPhone) -> Wanted:
    wanted = Wanted({})
    wanted.required.update(_person(workspace_id, record.user_identity_id))
    wanted.absent[phone_key(workspace_id, record.user_identity_id, record.device_id)] = (
        "device_id",
        "The phone is there, and was not deactivated",
    )
    _want_registrations(wanted, workspace_id, record)
    return wanted


def _want_registrations(wanted: Wanted, workspace_id: str, phone: Phone | DeactivatedPhone) -> None:
    for registration in phone.registrations:
        manager_id = registration.credential_manager_acs_system_id
        key = registration_key(workspace_id, phone.user_identity_id, phone.device_id, manager_id)
        at = {
            "user_identity_id": phone.user_identity_id,
            "device_id": phone.device_id,
            "credential_manager_acs_system_id": manager_id,
        }
        wanted.items[key] = {**_item(workspace_id, registration), **at, **_lists_of(registration)}
        wanted.required.update(_manager(workspace_id, manager_id, "registrations"))
        _want_enrollment(wanted, workspace_id, phone.user_identity_id, manager_id)
        for child in registration.credentials:
            _want_child(wanted, workspace_id, phone.user_identity_id, child, at)


def _lists_of(registration: Registration) -> dict[str, frozenset[str]]:
    """Return what a registration says of its credentials: which they are, and which of them failed."""
    lists = {
        "acs_credential_ids": frozenset(one.acs_credential_id for one in registration.credentials),
        "failed_acs_credential_ids": frozenset(
            one.acs_credential_id for one in registration.credentials if one.is_failed
        ),
    }
    return {name: ids for name, ids in lists.items() if ids}


def _want_child(
    wanted: Wanted, workspace_id: str, person_id: str, child: CredentialOfPhone, at: Mapping[str, str]
) -> None:
    (key, item), *entries = stored_acs_credential({**_item(workspace_id, child), **at}).items()
    wanted.items[key] = item
    wanted.entries.update(entries)
    wanted.conflicts.update(
        {entry: ("registrations", "The id of a credential belongs to another person") for entry, _ in entries}
    )
    if child.being_deleted_at is not None:  # it only waits to be revoked
        return
    owner = acs_user_key(workspace_id, child.acs_user_id)
    known = wanted.required[owner].added["acs_credential_ids"] if owner in wanted.required else frozenset()
    ids = known | {child.acs_credential_id}
    wanted.required.update(_owner(workspace_id, person_id, child.acs_user_id, child.acs_system_id, ids))
    if child.parent_acs_credential_id is not None:
        parent = acs_credential_key(workspace_id, person_id, child.parent_acs_credential_id)
        wanted.required[parent] = Required(
            {"device_id": None}, ("registrations", "A credential's parent does not exist")
        )
    else:
        pool = acs_credential_pool_key(workspace_id, str(child.acs_credential_pool_id))
        wanted.required[pool] = Required(NOT_RETIRED, ("registrations", "A credential's pool does not exist"))


def _automation(workspace_id: str, record: Automation) -> Wanted:
    manager_id = record.credential_manager_acs_system_id
    wanted = _with_entries(stored_automation(_item(workspace_id, record)))
    wanted.required.update(_person(workspace_id, record.user_identity_id))
    wanted.required.update(_manager(workspace_id, manager_id, "credential_manager_acs_system_id"))
    if record.requested_acs_credential_pool_id is not None:
        pool = acs_credential_pool_key(workspace_id, record.requested_acs_credential_pool_id)
        in_manager: Mapping[str, Value | None] = {"acs_system_id": manager_id, **NOT_RETIRED}
        wanted.required[pool] = Required(
            in_manager, ("requested_acs_credential_pool_id", "The credential manager has no such pool")
        )
    return wanted


def _simulated(workspace_id: str, record: SimulatedPhone | SimulatedCredential, key: Key) -> Wanted:
    at = ("acs_system_id", "phone_registration_id", "acs_credential_id")
    wanted = Wanted({key: {name: value for name, value in record.attributes().items() if name not in at}})
    wanted.required.update(_manager(workspace_id, record.acs_system_id, "acs_system_id"))
    wanted.required[workspace_key(workspace_id)] = Required(
        {"is_sandbox": True}, (None, "Only a sandbox has simulated credential managers")
    )
    return wanted


def _want_enrollment(wanted: Wanted, workspace_id: str, user_identity_id: str, manager_id: str) -> None:
    key = enrollment_key(workspace_id, user_identity_id, manager_id)
    wanted.enrollments[key] = EnrollmentId(workspace_id, user_identity_id, manager_id)


def _system(workspace_id: str, acs_system_id: str, name: str) -> dict[Key, Required]:
    key = acs_system_key(workspace_id, acs_system_id)
    return {key: Required(NOT_RETIRED, (name, "The ACS system does not exist"))}


def _manager(workspace_id: str, acs_system_id: str, name: str) -> dict[Key, Required]:
    key = acs_system_key(workspace_id, acs_system_id)
    return {key: Required(_IS_MANAGER, (name, "The credential manager does not exist"))}


def _person(
    workspace_id: str, user_identity_id: str, added: Mapping[str, frozenset[str]] | None = None
) -> dict[Key, Required]:
    problem = ("user_identity_id", "The user identity does not exist, or is being deleted")
    return {user_identity_key(workspace_id, user_identity_id): Required(NOT_BEING_DELETED, problem, added or {})}


def _owner(
    workspace_id: str, user_identity_id: str, acs_user_id: str, acs_system_id: str, ids: frozenset[str] | set[str]
) -> dict[Key, Required]:
    where: Mapping[str, Value | None] = {"user_identity_id": user_identity_id, "acs_system_id": acs_system_id}
    problem = ("acs_user_id", "The ACS user does not exist, or is not linked to the user identity")
    added = {"acs_credential_ids": frozenset(ids)}
    return {acs_user_key(workspace_id, acs_user_id): Required(where, problem, added)}


def parts_of(
    workspace_id: str, phone: Phone | DeactivatedPhone, there: Container[Key], held_until: str
) -> Iterator[Wanted]:
    """Yield what is missing of a phone, in parts that a transaction takes: the phone, then some credentials each.

    Until ``release_of`` is done, its registrations wait, as after a request without an answer.  So no execution asks a
    credential manager for a credential that is not restored yet.

    Args:
        workspace_id: The workspace.
        phone: The phone.
        there: The keys of what is there.
        held_until: When executions go on if the import does not.
    """
    bare = [one.model_copy(update={"credentials": [], "retry_at": held_until}) for one in phone.registrations]
    first = wanted_of(workspace_id, phone.model_copy(update={"registrations": bare}))
    for key in _registration_keys(workspace_id, phone):
        first.items[key] = {**first.items[key], BEING_RESTORED: True}
    if first.key not in there:
        yield first
    for registration, key in zip(phone.registrations, _registration_keys(workspace_id, phone), strict=True):
        at = {
            "user_identity_id": phone.user_identity_id,
            "device_id": phone.device_id,
            "credential_manager_acs_system_id": registration.credential_manager_acs_system_id,
        }
        missing = [
            one
            for one in registration.credentials
            if acs_credential_key(workspace_id, phone.user_identity_id, one.acs_credential_id) not in there
        ]
        for some in batched(missing, _CREDENTIALS_AT_ONCE, strict=False):
            part = Wanted({})
            part.required.update(_person(workspace_id, phone.user_identity_id))
            lists = _lists_of(registration.model_copy(update={"credentials": [*some]}))
            part.required[key] = Required(_IS_BEING_RESTORED, ("registrations", "Somebody has changed it"), lists)
            for child in some:
                _want_child(part, workspace_id, phone.user_identity_id, child, at)
            yield part


def release_of(workspace_id: str, phone: Phone | DeactivatedPhone) -> dict[Key, Action]:
    """Return the actions after which executions go on with a phone that was restored in parts."""
    return {
        key: change(
            key,
            assign={} if registration.retry_at is None else {"retry_at": registration.retry_at},
            remove=[BEING_RESTORED, *(["retry_at"] if registration.retry_at is None else [])],
            where=_IS_BEING_RESTORED,
        )
        for registration, key in zip(phone.registrations, _registration_keys(workspace_id, phone), strict=True)
    }


def _registration_keys(workspace_id: str, phone: Phone | DeactivatedPhone) -> list[Key]:
    managers = [one.credential_manager_acs_system_id for one in phone.registrations]
    return [registration_key(workspace_id, phone.user_identity_id, phone.device_id, one) for one in managers]
