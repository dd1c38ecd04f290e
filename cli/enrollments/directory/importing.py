"""Imports rows into a table.  An import can be repeated, can be resumed, and keeps other clients' changes.

All writes of a row are in one transaction.  If an import is killed, a record exists with all its entries or not at all.
A record that already matches its row is not written.  So a second import resumes an interrupted one, and a third one
writes nothing.  A transaction has a condition for everything that its rows' plans depend on: the record and its system.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import batched

from enrollment.errors import AcsSystemIsNotCredentialManager, AcsSystemNotFound
from enrollment.store.actions import Action, change, delete, put, put_new, require
from enrollment.store.attributes import Item, Value
from enrollment.store.items import NOT_RETIRED, is_there
from enrollment.store.keys import Key, acs_system_key
from enrollment.store.table import MOST_ACTIONS, Table
from enrollments.directory.names import trim
from enrollments.directory.rows import KINDS, NAMES, POOL, SYSTEM, BadRow, Problem, Row, problems_of_record
from enrollments.seen_ids import SeenIds

# The most items that one request reads.
_ROWS_AT_ONCE = 100
# A transaction has 4 MB at most.  The largest valid row has 60 kB, and its condition repeats the former values.
_ROWS_TOGETHER = 25
# Another client can change the record between its read and its transaction.  Each further round follows such a change.
_ROUNDS = 4

_DELETION = {
    SYSTEM.name: "enrollments directory delete-system",
    POOL.name: "enrollments directory delete-pool",
}

_KIND_NUMBERS = {kind.name: number for number, kind in enumerate(KINDS.values())}
_ACCEPTED_SYSTEM = len(_KIND_NUMBERS)


class Outcome(StrEnum):
    """The effect of a row."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a row's import.

    Attributes:
        line: Its first line, from 1.
        end: The number of bytes from the file's beginning to the row's end.
        outcome: Its effect.
        problems: The problems of a bad row, at least one; empty for a good row.
        removed: The number of values that it removed from the record.
    """

    line: int
    end: int
    outcome: Outcome
    problems: Sequence[Problem] = ()
    removed: int = 0


def import_rows(
    table: Table, workspace_id: str, rows: Iterable[Row | BadRow], created_at: str, *, dry_run: bool = False
) -> Iterator[Result]:
    """Import rows and yield their results, in their order, as soon as each is certain.

    Args:
        table: The table.
        workspace_id: The workspace to import into.
        rows: The rows.  A system comes before its pools and ACS users.
        created_at: The creation time of new records whose rows do not name one.
        dry_run: Check everything, but write nothing.

    Raises:
        ServiceUnavailable: The database stays out of reach.  The rows whose results were yielded are imported.  To
            resume, import the same rows again.
    """
    with closing(_SeenRows()) as seen:
        importer = _Importer(table, workspace_id, created_at, seen, dry_run=dry_run)
        for batch in batched(rows, _ROWS_AT_ONCE, strict=False):
            yield from importer.add(batch)


@dataclass(frozen=True, slots=True)
class _Plan:
    """The plan of a row's import.

    Attributes:
        outcome: The row's effect once its actions are done.
        problems: The problems of a bad row.
        wanted: The record's item after the import; empty for a bad row.
        removed: The number of values that are removed.
        actions: The actions to write; none if nothing changes.
        system_is: Values that the attributes of the record's system must have; ``None`` if the record is a system.
    """

    outcome: Outcome
    problems: Sequence[Problem] = ()
    wanted: Item = field(default_factory=dict)
    removed: int = 0
    actions: Sequence[Action] = ()
    system_is: Mapping[str, Value | None] | None = None

    def result(self, row: Row | BadRow) -> Result:
        return Result(row.line, row.end, self.outcome, self.problems, self.removed)


@dataclass(slots=True)
class _Group:
    """Consecutive rows with one transaction for all of their actions."""

    planned: list[tuple[Row | BadRow, _Plan]] = field(default_factory=list)
    _rows: int = 0
    _actions: list[Action] = field(default_factory=list)
    _systems: dict[str, Mapping[str, Value | None]] = field(default_factory=dict)
    _written_systems: set[str] = field(default_factory=set)

    def takes(self, row: Row | BadRow, plan: _Plan) -> bool:
        if isinstance(row, BadRow) or not plan.actions:
            return True
        # A transaction can name an item only once.  It cannot require a system for one row and write it for another.
        is_required = row.kind is SYSTEM and row.id in self._systems
        count = len(self._actions) + len(self._systems) + len(plan.actions) + (plan.system_is is not None)
        return not is_required and count <= MOST_ACTIONS and self._rows < _ROWS_TOGETHER

    def add(self, row: Row | BadRow, plan: _Plan) -> None:
        self.planned.append((row, plan))
        if isinstance(row, BadRow) or not plan.actions:
            return
        self._rows += 1
        self._actions += plan.actions
        system_id = str(plan.wanted["acs_system_id"])
        if plan.system_is is None:
            self._written_systems.add(system_id)
        # The plan already assumes a system that the same transaction writes.
        elif system_id not in self._written_systems:
            self._systems[system_id] = {**self._systems.get(system_id, {}), **plan.system_is}

    def actions(self, workspace_id: str) -> dict[str, Action]:
        required = [require(acs_system_key(workspace_id, system), where) for system, where in self._systems.items()]
        return {str(number): action for number, action in enumerate([*required, *self._actions])}


class _Importer:
    def __init__(self, table: Table, workspace_id: str, created_at: str, seen: "_SeenRows", *, dry_run: bool) -> None:
        self._table = table
        self._workspace_id = workspace_id
        self._created_at = created_at
        self._seen = seen
        self._dry_run = dry_run

    def add(self, rows: Sequence[Row | BadRow]) -> Iterator[Result]:
        found = self._read([row for row in rows if isinstance(row, Row)])
        group = _Group()
        for row in rows:
            plan = _Plan(Outcome.BAD, row.problems) if isinstance(row, BadRow) else self._plan_first(row, found)
            if not group.takes(row, plan):
                yield from self._write(group)
                group = _Group()
            group.add(row, plan)
        yield from self._write(group)

    def _write(self, group: _Group) -> Iterator[Result]:
        actions = {} if self._dry_run else group.actions(self._workspace_id)
        is_refused = bool(actions) and bool(self._table.transact(actions))
        for row, plan in group.planned:
            if is_refused and plan.actions and isinstance(row, Row):
                # Another client changed one of the records after they were read.  Each row is now tried alone.
                plan = self._do_alone(row)  # noqa: PLW2901
            yield plan.result(row)

    def _do_alone(self, row: Row) -> _Plan:
        for _ in range(_ROUNDS):
            plan = self._plan(row, self._read([row]))
            group = _Group()
            group.add(row, plan)
            if not plan.actions or not self._table.transact(group.actions(self._workspace_id)):
                return plan
        return _Plan(Outcome.BAD, [(None, "Another client keeps changing it; import it again")])

    def _read(self, rows: Sequence[Row]) -> dict[Key, Item]:
        """Return the existing items of the rows' records, and of the systems that these are in."""
        named = [(self._key(row), row.acs_system_id) for row in rows]
        found = self._table.get_all(
            key
            for itself, system_id in named
            for key in (itself, *([] if system_id is None else [self._system_key(system_id)]))
        )
        existing = [(row, found[self._key(row)]) for row in rows if self._key(row) in found]
        return found | self._table.get_all(
            key
            for row, item in existing
            for key in (
                self._system_key(str(item["acs_system_id"])),
                *row.kind.stored(self._wanted(row, _unkeyed(item))),
            )
            if key not in found
        )

    def _key(self, row: Row) -> Key:
        return row.kind.key(self._workspace_id, row.id)

    def _system_key(self, acs_system_id: str) -> Key:
        return acs_system_key(self._workspace_id, acs_system_id)

    def _wanted(self, row: Row, existing: Item | None) -> Item:
        """Return the record's item after the import.  The row's values replace the existing ones."""
        had = {} if existing is None else existing
        return {
            "workspace_id": self._workspace_id,
            "created_at": self._created_at,
            **row.kind.defaults,
            **{name: value for name, value in had.items() if name not in row.removed},
            **{name: value for name, value in row.attributes.items() if not _is_same(name, value, had.get(name))},
        }

    def _plan_first(self, row: Row, found: Mapping[Key, Item]) -> _Plan:
        """Return the plan of a row whose system may be in an earlier row.

        The earlier row may not be written yet.  In a dry run it never is.
        """
        if earlier := self._seen.note(row):
            return _Plan(Outcome.BAD, [(row.kind.id_name, f"Already in line {earlier}")])
        plan = self._plan(row, found, self._seen.is_credential_manager)
        if row.kind is SYSTEM and plan.outcome is not Outcome.BAD:
            self._seen.accept_system(plan.wanted)
        return plan

    def _plan(
        self, row: Row, found: Mapping[Key, Item], is_manager_by_file: Callable[[str], bool | None] = lambda _: None
    ) -> _Plan:
        """Return the plan of a row.

        Args:
            row: The row.
            found: The result of ``_read``.
            is_manager_by_file: Returns whether a system is a credential manager according to the file.  It returns
                ``None`` if the file does not have the system.  Then the table decides.
        """
        key = self._key(row)
        existing = None if key not in found else _unkeyed(found[key])
        wanted = self._wanted(row, existing)
        problems = list(problems_of_record(row.kind, wanted, existing))
        system_is: Mapping[str, Value | None] | None = None
        if existing is not None and not is_there(existing):
            problems.append((row.kind.id_name, f"It is being deleted; finish that first: {_DELETION[row.kind.name]}"))
        if row.kind is SYSTEM:
            problems += _problems_of_change(existing, wanted)
        elif "acs_system_id" in wanted:
            system_id = str(wanted["acs_system_id"])
            is_manager = is_manager_by_file(system_id)
            if is_manager is None and is_there(system := found.get(self._system_key(system_id))):
                is_manager = bool(system["is_credential_manager"])
            problems += _problems_of_place(row, existing, wanted, is_manager=is_manager)
            system_is = {**NOT_RETIRED, "is_credential_manager": True} if row.kind is POOL else NOT_RETIRED
        if problems:
            return _Plan(Outcome.BAD, problems)

        (_, *entries) = row.kind.stored(wanted).items()
        if existing is None:
            # An entry has only its key, so an existing one is already right.
            actions = [put_new(key, wanted), *(put(*entry) for entry in entries)]
            return _Plan(Outcome.CREATED, wanted=wanted, actions=actions, system_is=system_is)
        missing = [put(*entry) for entry in entries if entry[0] not in found]
        gone = row.kind.stored(existing).keys() - row.kind.stored(wanted).keys()
        if wanted == existing and not missing:
            return _Plan(Outcome.UNCHANGED, wanted=wanted)
        itself = _become(key, existing, wanted, row.kind.attributes)
        actions = [itself, *missing, *(delete(entry) for entry in sorted(gone))]
        removed = len(existing.keys() - wanted.keys())
        return _Plan(Outcome.UPDATED, wanted=wanted, removed=removed, actions=actions, system_is=system_is)


def _is_same(name: str, said: Value, existing: Value | None) -> bool:
    """Return whether a row's value changes nothing.  Added blanks around a name do not change it."""
    return said == existing or (name in NAMES and isinstance(said, str) and trim(said) == existing)


def _problems_of_change(existing: Item | None, wanted: Item) -> list[Problem]:
    # A repeated launch is answered with the existing automation, so its system must stay a credential manager.
    if existing is not None and existing["is_credential_manager"] and not wanted["is_credential_manager"]:
        return [("is_credential_manager", "Cannot change to false: a credential manager stays one")]
    return []


def _problems_of_place(row: Row, existing: Item | None, wanted: Item, *, is_manager: bool | None) -> list[Problem]:
    if existing is not None and existing["acs_system_id"] != wanted["acs_system_id"]:
        return [("acs_system_id", f"Cannot change: it is in the system {existing['acs_system_id']}")]
    if is_manager is None:
        return [("acs_system_id", AcsSystemNotFound.message)]
    if row.kind is POOL and not is_manager:
        return [("acs_system_id", AcsSystemIsNotCredentialManager.message)]
    return []


def _become(key: Key, existing: Item, wanted: Item, attributes: Iterable[str]) -> Action:
    """Return the action that changes an item, on condition that the given attributes are as they were read."""
    where = {name: existing.get(name) for name in sorted(attributes)}
    if wanted == existing:
        return require(key, where)
    assign = {name: value for name, value in wanted.items() if existing.get(name) != value}
    return change(key, assign=assign, remove=sorted(existing.keys() - wanted.keys()), where=where)


def _unkeyed(item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in {"pk", "sk"}}


class _SeenRows:
    """The ids and systems of the file so far."""

    def __init__(self) -> None:
        self._ids = SeenIds()

    def close(self) -> None:
        self._ids.close()

    def note(self, row: Row) -> int | None:
        """Note a row and return the line of an earlier row for the same record; ``None`` if this is the first."""
        return self._ids.note(_KIND_NUMBERS[row.kind.name], row.id, row.line)

    def accept_system(self, system: Item) -> None:
        """Note a system after the import of its good row."""
        self._ids.note(_ACCEPTED_SYSTEM, str(system["acs_system_id"]), int(system["is_credential_manager"] is True))

    def is_credential_manager(self, acs_system_id: str) -> bool | None:
        """Return whether a system is a credential manager after its good row; ``None`` without such a row."""
        number = self._ids.number_of(_ACCEPTED_SYSTEM, acs_system_id)
        return None if number is None else bool(number)
