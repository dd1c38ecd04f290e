"""Imports a workspace.  An import can be repeated, can be resumed, and keeps what is there.

All writes of a record are in one transaction, with a condition for everything that the choice was based on.  If an
import is killed, a thing is there with all that belongs to it, or not at all.  So a second import resumes an
interrupted one, and a third one writes nothing.

One transaction is sent at a time.  All of them check the same few items, which is a conflict among transactions that
are under way together (DynamoDB developer guide, "Transaction conflict handling").
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby

from enrollment.store.actions import Action
from enrollment.store.attributes import Item
from enrollment.store.keys import Key
from enrollment.store.table import MOST_ACTIONS, Table
from enrollments.directory.rows import BadRow, Problem
from enrollments.moving.files import Line
from enrollments.moving.planning import Outcome, Plan, Planner, Terms, place_of
from enrollments.moving.restoring import Wanted, wanted_of
from enrollments.seen_ids import SeenIds

# The kind of id by which the records of a file are seen.
_LINE = 0
# The records whose items are read together, with what they refer to.
_LINES_AT_ONCE = 500
# A transaction has 4 MB at most.  The largest record has 1 MB, and hardly any has more than 2 kB.
_MOST_BYTES = 1_000_000
# Another client can change something between its read and its transaction.  Each further round follows such a change.
_ROUNDS = 4


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
        importer = _Importer(table, workspace_id, terms, seen)
        # A record can refer to one of another kind, so that has to be written before this is read.
        for _, of_kind in groupby(lines, lambda line: None if isinstance(line, BadRow) else line.kind.name):
            for some in _portions(of_kind):
                yield from importer.add(some)


def _portions(lines: Iterable[Line | BadRow]) -> Iterator[Sequence[Line | BadRow]]:
    """Yield lines in portions that fit into little memory."""
    portion: list[Line | BadRow] = []
    for line in lines:
        portion.append(line)
        if len(portion) == _LINES_AT_ONCE or line.end - portion[0].end >= _MOST_BYTES:
            yield portion
            portion = []
    if portion:
        yield portion


@dataclass(slots=True)
class _Group:
    """Consecutive records with one transaction for all of their actions."""

    planned: list[tuple[Line | BadRow, Plan]] = field(default_factory=list)
    actions: dict[Key, Action] = field(default_factory=dict)
    further: Sequence[Mapping[Key, Action]] = ()
    _bytes: int = 0

    def takes(self, plan: Plan, size: int) -> bool:
        if not plan.actions or not self.actions:
            return True
        # A transaction can name an item only once.  Several records can check the same thing with one action.
        differs = any(self.actions.get(key, action) != action for key, action in plan.actions.items())
        count = len(self.actions.keys() | plan.actions.keys())
        is_large = count > MOST_ACTIONS or self._bytes + size > _MOST_BYTES
        return not (differs or is_large or plan.further or self.further)

    def add(self, line: Line | BadRow, plan: Plan, size: int) -> None:
        self.planned.append((line, plan))
        self.actions.update(plan.actions)
        self.further = plan.further or self.further
        self._bytes += size if plan.actions else 0


class _Importer:
    def __init__(self, table: Table, workspace_id: str, terms: Terms, seen: SeenIds) -> None:
        self._table = table
        self._workspace_id = workspace_id
        self._planner = Planner(workspace_id, terms, seen)
        self._seen = seen
        self._is_dry_run = terms.is_dry_run
        self._end = 0

    def add(self, lines: Sequence[Line | BadRow]) -> Iterator[Result]:
        wanted = {line.line: wanted_of(self._workspace_id, line.record) for line in lines if isinstance(line, Line)}
        found = self._read(wanted.values())
        group = _Group()
        for line in lines:
            size, self._end = line.end - self._end, line.end
            if isinstance(line, BadRow):
                plan = Plan(Outcome.BAD, line.problems)
            else:
                plan = self._plan_first(line, wanted[line.line], found)
            if not group.takes(plan, size):
                yield from self._write(group)
                group = _Group()
            group.add(line, plan, size)
        yield from self._write(group)

    def _read(self, wanted: Iterable[Wanted]) -> dict[Key, Item]:
        return self._table.get_all(key for one in wanted for key in one.keys)

    def _plan_first(self, line: Line, wanted: Wanted, found: Mapping[Key, Item]) -> Plan:
        """Return the plan of a record that may have been in the file before."""
        if earlier := self._seen.note(_LINE, place_of(wanted.key), line.line):
            return Plan(Outcome.BAD, [(None, f"Already in line {earlier}")])
        return self._planner.plan(line.record, wanted, found)

    def _write(self, group: _Group) -> Iterator[Result]:
        is_refused = bool(group.actions) and not self._is_dry_run and not self._transact(group)
        for line, plan in group.planned:
            if is_refused and plan.actions and isinstance(line, Line):
                # Something has changed since it was read.  Each record is now tried alone.
                plan = self._do_alone(line)  # noqa: PLW2901
            yield Result(line.line, line.end, plan.outcome, plan.problems)

    def _do_alone(self, line: Line) -> Plan:
        wanted = wanted_of(self._workspace_id, line.record)
        for _ in range(_ROUNDS):
            plan = self._planner.plan(line.record, wanted, self._read([wanted]))
            if not plan.actions or self._transact(plan):
                return plan
        return Plan(Outcome.BAD, [(None, "Another client keeps changing it; import the file again")])

    def _transact(self, planned: Plan | _Group) -> bool:
        """Write what is planned.  Return whether it was still right; what is large may then be there in part."""
        return not any(
            self._table.transact({f"{key.pk} {key.sk}": action for key, action in actions.items()})
            for actions in (planned.actions, *planned.further)
        )
