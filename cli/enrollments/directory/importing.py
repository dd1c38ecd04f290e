"""Import rows into a table: idempotent, resumable, and with what others do meanwhile left whole.

Each row is one transaction or a part of one, never of two: whenever an import is killed, a record is there with all its
entries, or not at all.  What is there already as the row says is not written, so a second import goes on where the
first one ended, and a third writes nothing.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import batched
from uuid import UUID

from enrollment.errors import AcsSystemIsNotCredentialManager, AcsSystemNotFound
from enrollment.table import (
    MOST_ACTIONS,
    Action,
    Item,
    Key,
    Table,
    Value,
    acs_credential_pool_listing_key,
    acs_system_key,
    change,
    delete,
    enrolled_listing_key,
    put,
    put_new,
    require,
)
from enrollments.directory.rows import KINDS, POOL, SYSTEM, BadRow, Problem, Row

# What a request reads at once is 100 items.
_ROWS_AT_ONCE = 100
# A transaction has 4 MB; the largest row that is right has 60 kB, and its change names what was there, too.
_ROWS_TOGETHER = 25
# Each round but the first answers what somebody else has done to the record in between.
_ROUNDS = 4

_KIND_NUMBERS = {kind.name: number for number, kind in enumerate(KINDS.values())}


class Outcome(StrEnum):
    """What has become of a row."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Result:
    """What has become of a row.

    Attributes:
        line: Its first line, from 1.
        end: How many bytes of the file it ends after.
        outcome: What has become of it.
        problems: Why it is bad, at least one; else none.
    """

    line: int
    end: int
    outcome: Outcome
    problems: Sequence[Problem] = ()


def import_rows(
    table: Table, workspace_id: str, rows: Iterable[Row | BadRow], created_at: str, *, dry_run: bool = False
) -> Iterator[Result]:
    """Import rows and yield what becomes of each, in their order, as soon as it is certain.

    Args:
        table: The table.
        workspace_id: The workspace that they go into.
        rows: Systems before what is in them.
        created_at: When new records were created whose rows do not say so.
        dry_run: Do everything but writing.

    Raises:
        ServiceUnavailable: The database stays out of reach.  What was yielded is done; importing the same rows again
            goes on.
    """
    with closing(_SeenRows()) as seen:
        importer = _Importer(table, workspace_id, created_at, seen, dry_run=dry_run)
        for some in batched(rows, _ROWS_AT_ONCE, strict=False):
            yield from importer.add(some)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a row needs.

    Attributes:
        outcome: What becomes of it when that is done.
        problems: Why it is bad.
        actions: What is to be done, if anything is.
        system_is: What its system must be, where it is another record's.
    """

    outcome: Outcome
    problems: Sequence[Problem] = ()
    actions: Sequence[Action] = ()
    system_is: Mapping[str, Value | None] | None = None

    def result(self, row: Row | BadRow) -> Result:
        return Result(row.line, row.end, self.outcome, self.problems)


@dataclass(slots=True)
class _Group:
    """Rows in their order, whose actions go into one transaction."""

    planned: list[tuple[Row | BadRow, _Plan]] = field(default_factory=list)
    _rows: int = 0
    _actions: list[Action] = field(default_factory=list)
    _systems: dict[str, Mapping[str, Value | None]] = field(default_factory=dict)
    _written_systems: set[str] = field(default_factory=set)

    def takes(self, row: Row | BadRow, plan: _Plan) -> bool:
        if isinstance(row, BadRow) or not plan.actions:
            return True
        # A transaction has each item once, so a system cannot be both required by one row and written by a later one.
        is_required = row.kind is SYSTEM and row.id in self._systems
        count = len(self._actions) + len(self._systems) + len(plan.actions) + (plan.system_is is not None)
        return not is_required and count <= MOST_ACTIONS and self._rows < _ROWS_TOGETHER

    def add(self, row: Row | BadRow, plan: _Plan) -> None:
        self.planned.append((row, plan))
        if isinstance(row, BadRow) or not plan.actions:
            return
        self._rows += 1
        self._actions += plan.actions
        if plan.system_is is None:
            self._written_systems.add(row.id)
        # What is written in the same transaction is what the plan took for granted.
        elif row.acs_system_id not in self._written_systems:
            self._systems[row.acs_system_id] = {**self._systems.get(row.acs_system_id, {}), **plan.system_is}

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
        refused = actions and self._table.transact(actions)
        for row, plan in group.planned:
            if refused and plan.actions and isinstance(row, Row):
                # Somebody else has changed one of them since it was read; which one does not matter.
                plan = self._do_alone(row)  # noqa: PLW2901
            yield plan.result(row)

    def _do_alone(self, row: Row) -> _Plan:
        for _ in range(_ROUNDS):
            plan = self._plan(row, self._read([row]))
            group = _Group()
            group.add(row, plan)
            if not plan.actions or not self._table.transact(group.actions(self._workspace_id)):
                return plan
        return _Plan(Outcome.BAD, [(None, "Is being changed by somebody else; import it again")])

    def _read(self, rows: Sequence[Row]) -> dict[Key, Item]:
        """Return what is there of the rows' records, and of the systems that they are in."""
        found = self._table.get_all(
            key for row in rows for key in (self._key(row), acs_system_key(self._workspace_id, row.acs_system_id))
        )
        existing = [(row, found[self._key(row)]) for row in rows if self._key(row) in found]
        return found | self._table.get_all(
            key for row, item in existing for key in row.kind.stored(self._wanted(row, item)) if key not in found
        )

    def _key(self, row: Row) -> Key:
        return row.kind.key(self._workspace_id, row.id)

    def _wanted(self, row: Row, existing: Item | None) -> Item:
        """Return the record's item as it is to be; of an existing one stays what an import does not decide on."""
        kept = {} if existing is None else _without(row.kind.attributes, existing)
        created_at = row.created_at or str((existing or {}).get("created_at", self._created_at))
        return {"workspace_id": self._workspace_id, **kept, **row.attributes, "created_at": created_at}

    def _plan_first(self, row: Row, found: Mapping[Key, Item]) -> _Plan:
        """Return the plan of a row that may follow rows that are not written yet, in a dry run for good."""
        if earlier := self._seen.line_of_first(row):
            return _Plan(Outcome.BAD, [(row.kind.id_name, f"Is in line {earlier} already")])
        is_manager = self._seen.is_credential_manager(row.acs_system_id)
        plan = self._plan(row, found, is_manager=is_manager)
        if plan.outcome is not Outcome.BAD:
            self._seen.accept(row)
        return plan

    def _plan(self, row: Row, found: Mapping[Key, Item], *, is_manager: bool | None = None) -> _Plan:
        """Return what a row needs.

        Args:
            row: The row.
            found: From ``_read``.
            is_manager: Whether its system is a credential manager, if the file says so; else the table does.
        """
        key = self._key(row)
        existing = None if key not in found else _unkeyed(found[key])
        system = found.get(acs_system_key(self._workspace_id, row.acs_system_id))
        if is_manager is None and system is not None:
            is_manager = bool(system["is_credential_manager"])
        if row.kind is SYSTEM:
            problem = self._problem_of_system(row, existing)
        else:
            problem = _problem(row, existing, is_manager=is_manager)
        if problem:
            return _Plan(Outcome.BAD, [problem])

        system_is: Mapping[str, Value | None] | None = None
        if row.kind is not SYSTEM:
            system_is = {"is_credential_manager": True} if row.kind is POOL else {}
        wanted = self._wanted(row, existing)
        (_, *entries) = row.kind.stored(wanted).items()
        if existing is None:
            # An entry is nothing but its key: whoever has put it there, it is right.
            actions = [put_new(key, wanted), *(put(*entry) for entry in entries)]
            return _Plan(Outcome.CREATED, actions=actions, system_is=system_is)
        missing = [put(*entry) for entry in entries if entry[0] not in found]
        gone = row.kind.stored(existing).keys() - row.kind.stored(wanted).keys()
        if wanted == existing and not missing:
            return _Plan(Outcome.UNCHANGED)
        itself = _become(key, existing, wanted, row.kind.attributes)
        actions = [itself, *missing, *(delete(entry) for entry in sorted(gone))]
        return _Plan(Outcome.UPDATED, actions=actions, system_is=system_is)

    def _problem_of_system(self, row: Row, existing: Item | None) -> Problem | None:
        if existing is None or not existing["is_credential_manager"] or row.attributes["is_credential_manager"]:
            return None
        pools = acs_credential_pool_listing_key(self._workspace_id, row.id, "", "").pk
        if self._seen.has_pools(row.id) or self._is_any(pools):
            return "is_credential_manager", "Expected true, because the system has credential pools"
        if self._is_any(enrolled_listing_key(self._workspace_id, row.id, "").pk):
            return "is_credential_manager", "Expected true, because user identities are enrolled with the system"
        return None

    def _is_any(self, listing: str) -> bool:
        return next(self._table.walk(listing, at_once=1), None) is not None


def _problem(row: Row, existing: Item | None, *, is_manager: bool | None) -> Problem | None:
    if existing is not None and existing["acs_system_id"] != row.acs_system_id:
        return "acs_system_id", f"Cannot change: it is in the system {existing['acs_system_id']}"
    if is_manager is None:
        return "acs_system_id", AcsSystemNotFound.message
    if row.kind is POOL and not is_manager:
        return "acs_system_id", AcsSystemIsNotCredentialManager.message
    return None


def _become(key: Key, existing: Item, wanted: Item, attributes: Iterable[str]) -> Action:
    """Return the action that changes an item as it was read into another; what is not imported may change meanwhile."""
    where = {name: existing.get(name) for name in sorted(attributes)}
    if wanted == existing:
        return require(key, where)
    assign = {name: value for name, value in wanted.items() if existing.get(name) != value}
    return change(key, assign=assign, remove=sorted(existing.keys() - wanted.keys()), where=where)


def _unkeyed(item: Item) -> Item:
    return _without({"pk", "sk"}, item)


def _without(names: Iterable[str], item: Item) -> Item:
    excluded = {"pk", "sk", *names}
    return {name: value for name, value in item.items() if name not in excluded}


class _SeenRows:
    """What the file has said so far: on disk, so that its length does not matter.

    SQLite keeps a database without a name in a temporary file, which is gone with the process.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(
            """
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            CREATE TABLE seen (kind INTEGER, id BLOB, line INTEGER, PRIMARY KEY (kind, id)) WITHOUT ROWID;
            CREATE TABLE systems (id BLOB PRIMARY KEY, is_manager INTEGER) WITHOUT ROWID;
            CREATE TABLE systems_with_pools (id BLOB PRIMARY KEY) WITHOUT ROWID;
            BEGIN;
            """
        )

    def close(self) -> None:
        self._database.close()

    def line_of_first(self, row: Row) -> int | None:
        """Return the line of the first row about the same record, if it is not this one."""
        place = (_KIND_NUMBERS[row.kind.name], UUID(row.id).bytes)
        new = self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", (*place, row.line)).rowcount
        if new:
            return None
        ((line,),) = self._database.execute("SELECT line FROM seen WHERE kind = ? AND id = ?", place)
        return int(line)

    def accept(self, row: Row) -> None:
        """Note what a row that is good means for those after it."""
        system = UUID(row.acs_system_id).bytes
        if row.kind is SYSTEM:
            is_manager = row.attributes["is_credential_manager"]
            self._database.execute("INSERT INTO systems VALUES (?, ?)", (system, is_manager))
        elif row.kind is POOL:
            self._database.execute("INSERT OR IGNORE INTO systems_with_pools VALUES (?)", (system,))

    def is_credential_manager(self, acs_system_id: str) -> bool | None:
        """Return whether a good row has said that a system is a credential manager; ``None`` if none is about it."""
        wanted = (UUID(acs_system_id).bytes,)
        row = self._database.execute("SELECT is_manager FROM systems WHERE id = ?", wanted).fetchone()
        return None if row is None else bool(row[0])

    def has_pools(self, acs_system_id: str) -> bool:
        """Return whether a good row was about a pool of a system."""
        wanted = (UUID(acs_system_id).bytes,)
        return self._database.execute("SELECT 1 FROM systems_with_pools WHERE id = ?", wanted).fetchone() is not None
