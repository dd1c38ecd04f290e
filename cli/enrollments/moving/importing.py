"""Imports a workspace.  An import can be repeated, can be resumed, and keeps what is there.

All writes of a record are in one transaction, with a condition for everything that the choice was based on.  If an
import is killed, a thing is there with all that belongs to it, or not at all.  So a second import resumes an
interrupted one, and a third one writes nothing.

One transaction is sent at a time.  All of them check the same few items, which is a conflict among transactions that
are under way together (DynamoDB developer guide, "Transaction conflict handling").
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import batched, groupby
from typing import Any

from enrollment.store.actions import Action, as_read, change, delete, put, put_new, require, require_absent
from enrollment.store.attributes import Item, Value
from enrollment.store.changes import RESTORED_AT
from enrollment.store.keys import Key, workspace_key
from enrollment.store.table import MOST_ACTIONS, Table
from enrollment.timestamps import timestamp
from enrollments.directory.rows import BadRow, Problem
from enrollments.moving.files import Line
from enrollments.moving.records import AcsUser, DeactivatedPhone, Phone, Record
from enrollments.moving.restoring import BEING_RESTORED, Required, Wanted, parts_of, release_of, wanted_of
from enrollments.seen_ids import SeenIds

# The records whose items are read together, with what they refer to.
_LINES_AT_ONCE = 500
# A transaction has 4 MB at most.  The largest record has 1 MB, and hardly any has more than 2 kB.
_MOST_BYTES = 1_000_000
# Another client can change something between its read and its transaction.  Each further round follows such a change.
_ROUNDS = 4

# What an item has that says nothing of the thing, or that no file has.
_NEVER_SAID = frozenset({"pk", "sk", RESTORED_AT, "app", "app_expires_at"})
# What a replacement does not change: it would be another thing.
_PERSON = "user_identity_id"
_FIXED = ("acs_system_id", "is_credential_manager", _PERSON, "created_at")
_IN_USE: Mapping[str, Value | None] = {"being_deleted_at": None, "retired_at": None}
_LINK = "ACS_USER#"
# For how long nobody is asked for what is not restored yet of a phone, if the import is interrupted.
_HELD_FOR = timedelta(hours=1)
_TOO_LARGE: Sequence[Problem] = [(None, "It has more parts than a transaction takes")]
# Kinds of what was seen: the record of a thing, and an item that a dry run would have made.
_LINE, _WOULD_BE_THERE = 0, 1


class Outcome(StrEnum):
    """The effect of a record."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a record's import.

    Attributes:
        line: Its line, from 1.
        end: The number of bytes from the file's beginning to the line's end.
        outcome: Its effect.
        problems: The problems of a bad record, at least one; empty for a good one.
    """

    line: int
    end: int
    outcome: Outcome
    problems: Sequence[Problem] = ()


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


def import_lines(table: Table, workspace_id: str, lines: Iterable[Line | BadRow], terms: Terms) -> Iterator[Result]:
    """Import records and yield their results, in their order, as soon as each is certain.

    Args:
        table: The table, with a guard against the deletion of the workspace.
        workspace_id: The workspace, which exists.
        lines: The records.  Each comes after those that it refers to.
        terms: How to do it.

    Raises:
        ServiceUnavailable: The database stays out of reach.  The records whose results were yielded are imported.  To
            resume, import the same file again.
        GuardFailedError: Somebody has begun to delete the workspace.
    """
    with closing(SeenIds()) as seen:
        if terms.is_dry_run:
            seen.note(_WOULD_BE_THERE, _place(workspace_key(workspace_id)), 1)
        importer = _Importer(table, workspace_id, terms, seen)
        # A record can refer to one of another kind, so that has to be written before this is read.
        for _, of_kind in groupby(lines, lambda line: None if isinstance(line, BadRow) else line.kind.name):
            for some in batched(of_kind, _LINES_AT_ONCE, strict=False):
                yield from importer.add(some)


@dataclass(frozen=True, slots=True)
class _Plan:
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


@dataclass(slots=True)
class _Group:
    """Consecutive records with one transaction for all of their actions."""

    planned: list[tuple[Line | BadRow, _Plan]] = field(default_factory=list)
    actions: dict[Key, Action] = field(default_factory=dict)
    further: Sequence[Mapping[Key, Action]] = ()
    _bytes: int = 0

    def takes(self, plan: _Plan, size: int) -> bool:
        # A transaction can name an item only once.  Several records can check the same thing with one action.
        differs = any(self.actions.get(key, action) != action for key, action in plan.actions.items())
        count = len(self.actions.keys() | plan.actions.keys())
        if not plan.actions or not self.actions:
            return True
        return (
            not (differs or plan.further or self.further)
            and count <= MOST_ACTIONS
            and self._bytes + size <= _MOST_BYTES
        )

    def add(self, line: Line | BadRow, plan: _Plan, size: int) -> None:
        self.planned.append((line, plan))
        self.actions.update(plan.actions)
        self.further = plan.further or self.further
        self._bytes += size if plan.actions else 0


class _Importer:
    def __init__(self, table: Table, workspace_id: str, terms: Terms, seen: SeenIds) -> None:
        self._table = table
        self._workspace_id = workspace_id
        self._terms = terms
        self._seen = seen
        self._end = 0

    def add(self, lines: Sequence[Line | BadRow]) -> Iterator[Result]:
        wanted = {line.number: wanted_of(self._workspace_id, line.record) for line in lines if isinstance(line, Line)}
        found = self._read(wanted.values())
        group = _Group()
        for line in lines:
            size, self._end = line.end - self._end, line.end
            plan = (
                _Plan(Outcome.BAD, line.problems) if isinstance(line, BadRow) else self._plan_first(line, wanted, found)
            )
            if not group.takes(plan, size):
                yield from self._write(group)
                group = _Group()
            group.add(line, plan, size)
        yield from self._write(group)

    def _read(self, wanted: Iterable[Wanted]) -> dict[Key, Item]:
        return self._table.get_all(key for one in wanted for key in one.keys)

    def _plan_first(self, line: Line, wanted: Mapping[int, Wanted], found: Mapping[Key, Item]) -> _Plan:
        """Return the plan of a record that may have been in the file before."""
        one = wanted[line.number]
        if earlier := self._seen.note(_LINE, _place(one.key), line.number):
            return _Plan(Outcome.BAD, [(None, f"Already in line {earlier}")])
        plan = self._plan(line, one, found)
        if self._terms.is_dry_run and plan.outcome is Outcome.CREATED:
            for key in one.items:
                self._seen.note(_WOULD_BE_THERE, _place(key), line.number)
        return plan

    def _write(self, group: _Group) -> Iterator[Result]:
        is_refused = bool(group.actions) and not self._terms.is_dry_run and not self._transact(group)
        for line, plan in group.planned:
            if is_refused and plan.actions and isinstance(line, Line):
                # Something has changed since it was read.  Each record is now tried alone.
                plan = self._do_alone(line)  # noqa: PLW2901
            yield Result(line.number if isinstance(line, Line) else line.line, line.end, plan.outcome, plan.problems)

    def _do_alone(self, line: Line) -> _Plan:
        wanted = wanted_of(self._workspace_id, line.record)
        for _ in range(_ROUNDS):
            plan = self._plan(line, wanted, self._read([wanted]))
            if not plan.actions or self._transact(plan):
                return plan
        return _Plan(Outcome.BAD, [(None, "Another client keeps changing it; import the file again")])

    def _transact(self, planned: _Plan | _Group) -> bool:
        """Write what is planned.  Return whether it was still right; what is large may then be there in part."""
        return not any(
            self._table.transact({f"{key.pk} {key.sk}": action for key, action in actions.items()})
            for actions in (planned.actions, *planned.further)
        )

    def _plan(self, line: Line, wanted: Wanted, found: Mapping[Key, Item]) -> _Plan:
        existing = found.get(wanted.key)
        if existing is None:
            return self._plan_new(line.record, wanted, found)
        if wanted.is_replaceable and not _IN_USE.keys().isdisjoint(existing):
            return _Plan(Outcome.BAD, [(None, "It is there and is being deleted; import the file again afterwards")])
        if any(BEING_RESTORED in found.get(key, {}) for key in wanted.items):
            return self._plan_in_parts(line.record, found)
        if all(_says_the_same(found.get(key), item, wanted.unsaid) for key, item in wanted.items.items()):
            return _Plan(Outcome.UNCHANGED)
        if not self._terms.is_replacing or not wanted.is_replaceable:
            return _Plan(Outcome.KEPT)
        return self._plan_replacement(line.record, existing, found)

    def _plan_new(self, record: Record, wanted: Wanted, found: Mapping[Key, Item]) -> _Plan:
        problems = [*self._problems_of_required(wanted, found), *_problems_of_others(wanted, found)]
        if problems:
            return _Plan(Outcome.BAD, list(dict.fromkeys(problems)))
        actions = self._actions_of_new(wanted, found)
        if len(actions) > MOST_ACTIONS:
            return self._plan_in_parts(record, found)
        return _Plan(Outcome.CREATED, actions=actions)

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

    def _plan_in_parts(self, record: Record, found: Mapping[Key, Item]) -> _Plan:
        """Return the plan of a phone with more credentials than a transaction takes.

        Until all are there, no execution asks its credential managers for those that are missing.
        """
        if not isinstance(record, Phone | DeactivatedPhone):
            return _Plan(Outcome.BAD, _TOO_LARGE)
        held_until = timestamp(datetime.fromisoformat(self._terms.restored_at) + _HELD_FOR)
        wanted = list(parts_of(self._workspace_id, record, found, held_until))
        problems = [problem for part in wanted for problem in _problems_of_others(part, found)]
        if problems:
            return _Plan(Outcome.BAD, problems)
        parts = [self._actions_of_new(part, found) for part in wanted]
        first, *further = [*parts, release_of(self._workspace_id, record)]
        if any(len(actions) > MOST_ACTIONS for actions in (first, *further)):
            return _Plan(Outcome.BAD, _TOO_LARGE)
        return _Plan(Outcome.CREATED, actions=first, further=further)

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
            if item is None and self._terms.is_dry_run and self._seen.number_of(_WOULD_BE_THERE, _place(key)):
                continue
            if item is None or any(item.get(name) != value for name, value in required.where.items()):
                yield required.problem

    def _plan_replacement(self, record: Record, existing: Item, found: Mapping[Key, Item]) -> _Plan:
        """Return the plan that gives a thing the profile of its record.  What it is linked to stays."""
        before = _unkeyed(existing)
        if isinstance(record, AcsUser) and record.user_identity_id is None:
            record = record.model_copy(update={_PERSON: before.get(_PERSON)})
        wanted = wanted_of(self._workspace_id, record)
        item = wanted.items[wanted.key]
        differing = [name for name in _FIXED if before.get(name) != item.get(name)]
        if differing:
            return _Plan(
                Outcome.BAD, [(name, "Cannot change: the one that is there has another") for name in differing]
            )
        known: dict[str, Any] = {name: value for name, value in before.items() if name in type(record).model_fields}
        entries_before = wanted_of(self._workspace_id, type(record).model_construct(**known)).entries
        new = {key: entry for key, entry in wanted.entries.items() if key not in entries_before}
        taken = [problem for key, problem in wanted.taken.items() if key in new and key in found]
        if taken:
            return _Plan(Outcome.BAD, taken)
        actions = {key: self._entry(key, entry, found) for key, entry in new.items()}
        actions |= {key: delete(key) for key in sorted(entries_before.keys() - wanted.entries.keys())}
        compared = (before.keys() | item.keys()) - wanted.unsaid - _NEVER_SAID
        actions[wanted.key] = change(
            wanted.key,
            assign={name: value for name, value in item.items() if before.get(name) != value},
            remove=sorted((before.keys() & type(record).model_fields.keys()) - item.keys()),
            where={**_IN_USE, **as_read(before, sorted(compared))},
        )
        return _Plan(Outcome.UPDATED, actions=actions)


def _problems_of_others(wanted: Wanted, found: Mapping[Key, Item]) -> Iterator[Problem]:
    for key, problem in wanted.absent.items():
        if key in found:
            yield problem
    for key in list(wanted.items)[1:]:
        if key in found:
            yield None, "A part of it is there already, perhaps until its credential manager has let go of it"
    for key, problem in wanted.taken.items():
        entry = found.get(key)
        if entry is not None and not _says_the_same(entry, wanted.entries[key], frozenset()):
            yield problem


def _check(key: Key, required: Required) -> Action:
    if required.added:
        return change(key, add=required.added, where=required.where)
    return require(key, required.where)


def _says_the_same(existing: Item | None, wanted: Item, unsaid: frozenset[str]) -> bool:
    if existing is None:
        return False
    return {name: value for name, value in existing.items() if name not in unsaid | _NEVER_SAID} == wanted


def _unkeyed(item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in {"pk", "sk"}}


def _place(key: Key) -> str:
    """Return a text of fixed length that stands for a key."""
    return hashlib.blake2b(f"{key.pk} {key.sk}".encode(), digest_size=16).hexdigest()
