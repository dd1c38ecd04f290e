"""Plans what an import does with a record: its effect, and the actions with all that it is based on.

A plan is a decision about what was read, without any request.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from enrollment.store.actions import Action, as_read, change, delete, put, put_new, require, require_absent
from enrollment.store.attributes import Item, Value
from enrollment.store.changes import RESTORED_AT
from enrollment.store.items import NOT_RETIRED
from enrollment.store.keys import Key, workspace_key
from enrollment.store.table import MOST_ACTIONS
from enrollment.timestamps import timestamp
from enrollment.use_cases.links import NOT_BEING_DELETED
from enrollments.directory.rows import Problem
from enrollments.moving.records import AcsUser, DeactivatedPhone, Phone, Record
from enrollments.moving.restoring import BEING_RESTORED, Required, Wanted, parts_of, release_of, wanted_of
from enrollments.seen_ids import SeenIds

# What an item has that says nothing of the thing, or that no file has.
_NOT_COMPARED = frozenset({"pk", "sk", RESTORED_AT, "app", "app_expires_at"})
# What a replacement does not change: it would be another thing.
_PERSON = "user_identity_id"
_FIXED = ("acs_system_id", "is_credential_manager", _PERSON, "created_at")
_IN_USE = {**NOT_BEING_DELETED, **NOT_RETIRED}
_LINK = "ACS_USER#"
# For how long nobody is asked for what is not restored yet of a phone, if the import is interrupted.
_HELD_FOR = timedelta(hours=1)
_TOO_LARGE: Sequence[Problem] = [(None, "It has more parts than a transaction takes")]
# The kind of id by which the items are seen that a dry run would have made.
_WOULD_BE_THERE = 1


class Outcome(StrEnum):
    """The effect of a record."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Terms:
    """How an import is done.

    Attributes:
        restored_at: The time, which each created item has.
        is_replacing: Whether the profiles of systems, pools, user identities and ACS users are replaced.
        is_dry_run: Whether everything is checked and nothing is written.
    """

    restored_at: str
    is_replacing: bool = False
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a record's import.

    Attributes:
        outcome: The effect once its actions are done.
        problems: The problems of a bad record.
        actions: The actions to write, by the keys of their items; none if nothing changes.
        further: The actions of the transactions after that, for what is too large for one.
    """

    outcome: Outcome
    problems: Sequence[Problem] = ()
    actions: Mapping[Key, Action] = field(default_factory=dict)
    further: Sequence[Mapping[Key, Action]] = ()


class Planner:
    """Plans the import of one record after the other.

    Args:
        workspace_id: The workspace.
        terms: How the import is done.
        seen: Where a dry run notes what it would have made.
    """

    def __init__(self, workspace_id: str, terms: Terms, seen: SeenIds) -> None:
        self._workspace_id = workspace_id
        self._terms = terms
        self._seen = seen
        if terms.is_dry_run:
            seen.note(_WOULD_BE_THERE, place_of(workspace_key(workspace_id)), 1)

    def plan(self, record: Record, wanted: Wanted, found: Mapping[Key, Item]) -> Plan:
        """Return the plan of a record.

        Args:
            record: The record.
            wanted: What is wanted of it.
            found: The items of ``wanted.keys`` that exist.
        """
        plan = self._plan(record, wanted, found)
        if self._terms.is_dry_run and plan.outcome is Outcome.CREATED:
            for key in wanted.items:
                self._seen.note(_WOULD_BE_THERE, place_of(key), 1)
        return plan

    def _plan(self, record: Record, wanted: Wanted, found: Mapping[Key, Item]) -> Plan:
        existing = found.get(wanted.key)
        if existing is None:
            return self._plan_new(record, wanted, found)
        if wanted.is_replaceable and not _IN_USE.keys().isdisjoint(existing):
            return Plan(Outcome.BAD, [(None, "It is there and is being deleted; import the file again afterwards")])
        if any(BEING_RESTORED in found.get(key, {}) for key in wanted.items):
            return self._plan_in_parts(record, found)
        if all(_says_the_same(found.get(key), item, wanted.not_in_record) for key, item in wanted.items.items()):
            return Plan(Outcome.UNCHANGED)
        if not self._terms.is_replacing or not wanted.is_replaceable:
            return Plan(Outcome.KEPT)
        return self._plan_replacement(record, existing, found)

    def _plan_new(self, record: Record, wanted: Wanted, found: Mapping[Key, Item]) -> Plan:
        problems = [*self._problems_of_required(wanted, found), *_problems_of_others(wanted, found)]
        if problems:
            return Plan(Outcome.BAD, list(dict.fromkeys(problems)))
        actions = self._actions_of_new(wanted, found)
        if len(actions) > MOST_ACTIONS:
            return self._plan_in_parts(record, found)
        return Plan(Outcome.CREATED, actions=actions)

    def _actions_of_new(self, wanted: Wanted, found: Mapping[Key, Item]) -> dict[Key, Action]:
        actions = {key: put_new(key, {**item, **self._mark}) for key, item in wanted.items.items()}
        for key, item in wanted.entries.items():
            actions[key] = self._entry(key, item, found)
        for key, required in wanted.required.items():
            actions[key] = _check(key, required)
        actions |= {key: require_absent(key) for key in wanted.absent}
        for key, enrollment_id in wanted.enrollments.items():
            # Executions are named by the revision.  A higher one than ever before is a name that no execution had.
            new: Item = {**enrollment_id.to_json(), "revision": int(time.time()), **self._mark}
            actions[key] = require(key) if key in found else put_new(key, new)
        return actions

    def _plan_in_parts(self, record: Record, found: Mapping[Key, Item]) -> Plan:
        """Return the plan of a phone with more credentials than a transaction takes.

        Until all are there, no execution asks its credential managers for those that are missing.
        """
        if not isinstance(record, Phone | DeactivatedPhone):
            return Plan(Outcome.BAD, _TOO_LARGE)
        held_until = timestamp(datetime.fromisoformat(self._terms.restored_at) + _HELD_FOR)
        wanted = list(parts_of(self._workspace_id, record, found, held_until))
        problems = [problem for part in wanted for problem in _problems_of_others(part, found)]
        if problems:
            return Plan(Outcome.BAD, problems)
        parts = [self._actions_of_new(part, found) for part in wanted]
        first, *further = [*parts, release_of(self._workspace_id, record)]
        if any(len(actions) > MOST_ACTIONS for actions in (first, *further)):
            return Plan(Outcome.BAD, _TOO_LARGE)
        return Plan(Outcome.CREATED, actions=first, further=further)

    def _entry(self, key: Key, item: Item, found: Mapping[Key, Item]) -> Action:
        if not item:  # it has only its key, so an existing one is already right
            return put(key, item)
        if key in found:
            return require(key, item)
        return put_new(key, {**item, **self._mark} if key.sk.startswith(_LINK) else item)

    @property
    def _mark(self) -> dict[str, Value]:
        return {RESTORED_AT: self._terms.restored_at}

    def _problems_of_required(self, wanted: Wanted, found: Mapping[Key, Item]) -> Iterator[Problem]:
        for key, required in wanted.required.items():
            item = found.get(key)
            if item is None and self._terms.is_dry_run and self._seen.number_of(_WOULD_BE_THERE, place_of(key)):
                continue
            if item is None or any(item.get(name) != value for name, value in required.where.items()):
                yield required.problem

    def _plan_replacement(self, record: Record, existing: Item, found: Mapping[Key, Item]) -> Plan:
        """Return the plan that gives a thing the profile of its record.  What it is linked to stays."""
        before = _unkeyed(existing)
        if isinstance(record, AcsUser) and record.user_identity_id is None:
            record = record.model_copy(update={_PERSON: before.get(_PERSON)})
        wanted = wanted_of(self._workspace_id, record)
        item = wanted.items[wanted.key]
        differing = [name for name in _FIXED if before.get(name) != item.get(name)]
        if differing:
            return Plan(Outcome.BAD, [(name, "Cannot change: the one that is there has another") for name in differing])
        known: dict[str, Any] = {name: value for name, value in before.items() if name in type(record).model_fields}
        entries_before = wanted_of(self._workspace_id, type(record).model_construct(**known)).entries
        new = {key: entry for key, entry in wanted.entries.items() if key not in entries_before}
        conflicts = [problem for key, problem in wanted.conflicts.items() if key in new and key in found]
        if conflicts:
            return Plan(Outcome.BAD, conflicts)
        actions = {key: self._entry(key, entry, found) for key, entry in new.items()}
        actions |= {key: delete(key) for key in sorted(entries_before.keys() - wanted.entries.keys())}
        compared = (before.keys() | item.keys()) - wanted.not_in_record - _NOT_COMPARED
        actions[wanted.key] = change(
            wanted.key,
            assign={name: value for name, value in item.items() if before.get(name) != value},
            remove=sorted((before.keys() & type(record).model_fields.keys()) - item.keys()),
            where={**_IN_USE, **as_read(before, sorted(compared))},
        )
        return Plan(Outcome.UPDATED, actions=actions)


def _problems_of_others(wanted: Wanted, found: Mapping[Key, Item]) -> Iterator[Problem]:
    for key, problem in wanted.absent.items():
        if key in found:
            yield problem
    for key in list(wanted.items)[1:]:
        if key in found:
            yield None, "A part of it still exists; its manager may be removing it. Import again later"
    for key, problem in wanted.conflicts.items():
        entry = found.get(key)
        if entry is not None and not _says_the_same(entry, wanted.entries[key], frozenset()):
            yield problem


def _check(key: Key, required: Required) -> Action:
    if required.added:
        return change(key, add=required.added, where=required.where)
    return require(key, required.where)


def _says_the_same(existing: Item | None, wanted: Item, not_in_record: frozenset[str]) -> bool:
    if existing is None:
        return False
    return {name: value for name, value in existing.items() if name not in not_in_record | _NOT_COMPARED} == wanted


def _unkeyed(item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in {"pk", "sk"}}


def place_of(key: Key) -> str:
    """Return a text of fixed length that stands for a key."""
    return hashlib.blake2b(f"{key.pk} {key.sk}".encode(), digest_size=16).hexdigest()
