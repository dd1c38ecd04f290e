"""The deletion of an ACS system or a credential pool, by an operator.

Nothing may depend on it.  But a launch checks neither its credential manager nor its pool in its transaction, because
all launches of a building share them, and a warm process launches with what it has read a while ago.  So:

1. What depends on it is looked for, in all of the workspace.  If there is something, nothing is done.
2. It is retired: whoever attaches something to it takes it for one that does not exist.
3. What a warm process may still know is waited for, and the request that it may still answer.
4. What depends on it is looked for again.  If there is something, it is no longer retired.
5. It is deleted, with its entries and what a simulated manager knows.

An interrupted deletion is finished by calling it again: what was done is found in the table.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import batched

from enrollment.store.actions import as_read, change, delete
from enrollment.store.attributes import Item
from enrollment.store.items import NOT_RETIRED, RETIRED, stored_acs_credential_pool, stored_acs_system
from enrollment.store.keys import (
    Key,
    acs_credential_pool_key,
    acs_system_key,
    connector_key,
    connector_pools_key,
    key_of,
    manager_pause_key,
    simulated_prefix,
    user_identity_key,
    workspace_prefix,
)
from enrollment.store.table import MOST_KEYS, Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.automations import KNOWN_ITEMS_SECONDS
from enrollment.use_cases.links import is_usable
from enrollment.use_cases.waits import LONGEST_REQUEST, Clock

# After this time nobody attaches anything to a retired thing.  At worst a request has read it just before, and
# its process remembers it from the request's end on; another request begins just before that is forgotten.
KNOWN_FOR = LONGEST_REQUEST + timedelta(seconds=KNOWN_ITEMS_SECONDS) + LONGEST_REQUEST

# The attributes that entries of systems and pools come from, besides their ids.
_ENTRIES_COME_FROM = ("created_at", "is_credential_manager", "acs_system_id")
_MOST_NAMED = 5
_ROUNDS = 4


class Kind(StrEnum):
    """What can depend on an ACS system or a credential pool."""

    AUTOMATION = "enrollment automations"
    ACS_USER = "ACS users"
    POOL = "credential pools"
    CREDENTIAL = "credentials"
    REGISTRATION = "registrations of phones"
    ENROLLMENT = "enrollments of deleted user identities"
    EXECUTION = "executions"
    CONNECTOR = "connectors"
    SYSTEM = "ACS systems that name it as their credential manager"
    ENTRY = "other items"


class Step(StrEnum):
    """What a deletion does."""

    LOOK = "look"
    WAIT = "wait"
    LOOK_AGAIN = "look_again"
    DELETE = "delete"


type Tell = Callable[[Step, int], None]


@dataclass
class Dependants:
    """What depends on an ACS system or a credential pool.

    Attributes:
        counts: How much there is of each kind.
        ids: Some of their ids, by kind.
    """

    counts: Counter[Kind] = field(default_factory=Counter)
    ids: dict[Kind, list[str]] = field(default_factory=dict)

    def add(self, kind: Kind, identifier: str) -> None:
        """Add one."""
        self.counts[kind] += 1
        named = self.ids.setdefault(kind, [])
        if len(named) < _MOST_NAMED:
            named.append(identifier)

    def without_entries(self) -> "Dependants":
        """Return this without the entries of what it has: each automation, for example, has entries of its own."""
        if self.counts.keys() - {Kind.ENTRY}:
            self.counts.pop(Kind.ENTRY, None)
            self.ids.pop(Kind.ENTRY, None)
        return self


@dataclass(eq=False)
class HasDependantsError(Exception):
    """Something depends on it, so it was not deleted.

    Attributes:
        dependants: What.
    """

    dependants: Dependants


class NotFoundError(Exception):
    """There is no such ACS system or credential pool.  It may have been deleted by a call that was interrupted."""


class ChangedMeanwhileError(Exception):
    """Others change it, so it was not deleted."""


@dataclass(frozen=True)
class Thing:
    """An ACS system or a credential pool.

    Attributes:
        workspace_id: The workspace.
        id: Its id.
        key: The key of its own item.
        stored: Returns its own item and its entries.
        others: The keys of what else goes with it.
        prefix: How the partition keys of what a simulated manager knows begin; empty without one.
    """

    workspace_id: str
    id: str
    key: Key
    stored: Callable[[Item], dict[Key, Item]]
    others: tuple[Key, ...] = ()
    prefix: str = ""

    @classmethod
    def system(cls, workspace_id: str, acs_system_id: str) -> "Thing":
        """Return an ACS system."""
        key = acs_system_key(workspace_id, acs_system_id)
        others = (manager_pause_key(workspace_id, acs_system_id), connector_pools_key(workspace_id, acs_system_id))
        prefix = simulated_prefix(workspace_id, acs_system_id)
        return cls(workspace_id, acs_system_id, key, stored_acs_system, others, prefix)

    @classmethod
    def pool(cls, workspace_id: str, acs_credential_pool_id: str) -> "Thing":
        """Return a credential pool."""
        key = acs_credential_pool_key(workspace_id, acs_credential_pool_id)
        return cls(workspace_id, acs_credential_pool_id, key, stored_acs_credential_pool)


def delete_unused(table: Table, thing: Thing, tell: Tell, clock: Clock) -> None:
    """Delete an ACS system or a credential pool on which nothing depends.

    Args:
        table: The table.
        thing: What to delete.
        tell: Is told of each step, and of a number: for how many seconds it waits.
        clock: The time.

    Raises:
        NotFoundError: There is none.
        HasDependantsError: Something depends on it.  It can be used as before.
        ChangedMeanwhileError: Others change it.
        ServiceUnavailable: The database stays out of reach.
    """
    item = _require(table, thing)
    tell(Step.LOOK, 0)
    _require_no_dependants(table, thing, item)
    item = _retire(table, thing, clock.now())
    # Also if a call before has waited: another machine may have another time.
    tell(Step.WAIT, round(KNOWN_FOR.total_seconds()))
    clock.sleep(KNOWN_FOR.total_seconds())
    tell(Step.LOOK_AGAIN, 0)
    _require_no_dependants(table, thing, item)
    tell(Step.DELETE, 0)
    _delete(table, thing, str(item[RETIRED]))


def dependants_of(table: Table, thing: Thing, item: Item) -> Dependants:
    """Return what depends on an ACS system or a credential pool.  It reads the whole table.

    The enrollment of a person who is there depends on nothing by itself: it is the number of the last execution, and
    stays, so that no number is given again.  That of a person who was deleted has something at the manager.

    Args:
        table: The table.
        thing: The ACS system or the pool.
        item: Its own item.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    found, own = Dependants(), {*thing.stored(item), *thing.others}

    def others() -> Iterator[tuple[Kind, str]]:
        for other in table.scan(workspace_prefix(thing.workspace_id)):
            key = key_of(other)
            is_own = key in own or (thing.prefix and key.pk.startswith(thing.prefix))
            # What DynamoDB deletes by itself tells what happened: events, and those that are held for a webhook.
            if not is_own and "deleted_after" not in other and _names(other, thing.id):
                yield _named(thing, key, other)

    for some in batched(others(), MOST_KEYS, strict=False):
        people = _people(table, thing, [identifier for kind, identifier in some if kind is Kind.ENROLLMENT])
        for kind, identifier in some:
            if kind is not Kind.EXECUTION and (kind is not Kind.ENROLLMENT or identifier not in people):
                found.add(kind, identifier)
    return found.without_entries()


def _people(table: Table, thing: Thing, user_identity_ids: Iterable[str]) -> set[str]:
    """Return which of some people are there."""
    keys = [user_identity_key(thing.workspace_id, one) for one in user_identity_ids]
    return {str(item["user_identity_id"]) for item in table.get_all(keys).values() if is_usable(item)}


def _require(table: Table, thing: Thing) -> Item:
    item = table.get(thing.key)
    if item is None:
        raise NotFoundError
    return item


def _require_no_dependants(table: Table, thing: Thing, item: Item) -> None:
    """Require that nothing depends on it.  If something does, it is no longer retired.

    Raises:
        HasDependantsError: Something does.
    """
    dependants = dependants_of(table, thing, item)
    if dependants.counts:
        if RETIRED in item:
            where = as_read(item, [RETIRED])
            table.transact({"thing": change(thing.key, remove=[RETIRED], where=where)})
        raise HasDependantsError(dependants)


def _retire(table: Table, thing: Thing, now: datetime) -> Item:
    """Retire it, and return its item.  One that is retired keeps the time of that."""
    retired: Item = {RETIRED: timestamp(now)}
    table.transact({"thing": change(thing.key, assign=retired, where=NOT_RETIRED)})
    item = _require(table, thing)
    if RETIRED not in item:  # another command has found a dependant just now
        raise ChangedMeanwhileError
    return item


def _delete(table: Table, thing: Thing, retired_at: str) -> None:
    if thing.prefix:
        keys = (key_of(item) for item in table.scan(thing.prefix))
        table.delete_all(keys)
    for _ in range(_ROUNDS):
        item = table.get(thing.key)
        if item is None:  # another command has done the same
            return
        if item.get(RETIRED) != retired_at:
            raise ChangedMeanwhileError
        where = as_read(item, [RETIRED, *_ENTRIES_COME_FROM])
        (itself, *entries) = thing.stored(item)
        keys_ = {str(key): delete(key) for key in (*entries, *thing.others)}
        if not table.transact({"thing": delete(itself, where), **keys_}):
            return
    raise ChangedMeanwhileError


def _names(item: Item, identifier: str) -> bool:
    """Return whether an item names an id: in a part of its key, as an attribute, or in a set."""
    return any(identifier in parts for name, value in item.items() for parts in _parts(name, value))


def _parts(name: str, value: object) -> Iterator[list[str] | frozenset[str]]:
    if isinstance(value, frozenset):
        yield value
    elif name in {"pk", "sk"}:
        yield str(value).split("#")
    else:
        yield [str(value)]


def _named(thing: Thing, key: Key, item: Item) -> tuple[Kind, str]:
    """Return the kind of an item, and its id."""
    if key == connector_key(thing.workspace_id, thing.id):
        return Kind.CONNECTOR, thing.id
    # The sort key begins with the kind, and the id is in an attribute.  A link has the id of its ACS user, too.
    subject, sign, _ = key.sk.partition("#")
    kind, id_name = _KINDS.get(subject, (Kind.ENTRY, ""))
    if kind is Kind.ACS_USER and sign:
        kind, id_name = Kind.ENTRY, ""
    return (kind, str(item[id_name])) if id_name in item else (Kind.ENTRY, "")


_KINDS = {
    "ENROLLMENT_AUTOMATION": (Kind.AUTOMATION, "enrollment_automation_id"),
    "ACS_USER": (Kind.ACS_USER, "acs_user_id"),
    "ACS_CREDENTIAL_POOL": (Kind.POOL, "acs_credential_pool_id"),
    "CREDENTIAL": (Kind.CREDENTIAL, "acs_credential_id"),
    "REGISTRATION": (Kind.REGISTRATION, "device_id"),
    "ENROLLMENT": (Kind.ENROLLMENT, "user_identity_id"),
    "EXECUTION": (Kind.EXECUTION, "user_identity_id"),
    "ACS_SYSTEM": (Kind.SYSTEM, "acs_system_id"),
}
