"""Starts executions for enrollments: what follows a change of the table, besides its event.

Each change of what is wanted raises the revision of an enrollment.  Requests that change credentials do so themselves.
For the others it is done here, from the table's stream: a launch stays one request, and an import of the directory is
covered.  What the import of a workspace restores is at its managers already, so nothing follows it.  A raised
revision comes by the stream, too, and starts an execution whose name has the revision.  So a record that is delivered
again starts nothing, or an execution that finds nothing to do.

A connector has a revision, too.  It starts the connector's watch (``manager_checks``).
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from enrollment.store.attributes import Item
from enrollment.store.changes import Change
from enrollment.store.keys import automation_key, listed_id, phones_partition, user_identity_key, user_identity_of
from enrollment.store.table import Table
from enrollment.use_cases.connector_items import ConnectorId
from enrollment.use_cases.enrollments import EnrollmentId, raise_revision
from enrollment.use_cases.links import PERSON

type Start = Callable[[str, Mapping[str, Any]], None]


class Wanted(NamedTuple):
    """A change of what is wanted of a person.

    Attributes:
        workspace_id: The workspace.
        user_identity_id: The person.
        manager_id: The only credential manager that it matters to; ``None`` is all of the person's.
        revision: The enrollment's revision, if that is what changed.
    """

    workspace_id: str
    user_identity_id: str
    manager_id: str | None = None
    revision: int | None = None


class Watched(NamedTuple):
    """A connector that is to be watched from now on.

    Attributes:
        connector_id: The connector.
        revision: Its revision.
    """

    connector_id: ConnectorId
    revision: int


def wanted_of_change(change: Change) -> Wanted | Watched | None:
    """Return what a change of an item changes of what is wanted; ``None`` if that is nothing.

    Args:
        change: A change of any item.
    """
    if change.is_restored:
        return None
    if change.key.sk == "CONNECTOR":
        return _watched_of_change(change)
    try:
        where = user_identity_of(change.key.pk)
    except ValueError:
        return None
    kind, sign, rest = change.key.sk.partition("#")
    is_new_or_gone = (change.before is None) != (change.after is None)
    wanted = None
    match kind + sign:
        case "ENROLLMENT#" if (revision := _raised_revision(change)) is not None:
            wanted = Wanted(*where, rest, revision)
        case "ENROLLMENT_AUTOMATION#" | "ACS_USER#" if is_new_or_gone:
            wanted = Wanted(*where, rest)
        case "PHONE#" if is_new_or_gone:
            wanted = Wanted(*where)
        case "USER_IDENTITY" if change.before is not None and _is_another_person(change.before, change.after):
            wanted = Wanted(*where)
    return wanted


class Starter:
    """Starts executions.

    Args:
        table: The table.
        start: Starts an execution, by its name and its input.
    """

    def __init__(self, table: Table, start: Start) -> None:
        self._table = table
        self._start = start

    def follow(self, changes: Sequence[Wanted | Watched]) -> int:
        """Raise revisions and start executions for some changes.  Return how many executions were started.

        Args:
            changes: The changes, in the order of the stream.

        Raises:
            ServiceUnavailable: AWS stays out of reach.  What was done may be done again.
            RefusedError: Lambda refuses an execution for good.
        """
        revisions: dict[EnrollmentId, int] = {}
        raised: set[EnrollmentId] = set()
        people: dict[tuple[str, str], _Person] = {}
        connectors: dict[ConnectorId, int] = {}
        for wanted in changes:
            if isinstance(wanted, Watched):
                connectors[wanted.connector_id] = max(wanted.revision, connectors.get(wanted.connector_id, 0))
                continue
            where = (wanted.workspace_id, wanted.user_identity_id)
            if where not in people:
                people[where] = _Person(self._table, *where)
            person = people[where]
            if not person.can_need_something:
                continue
            if wanted.revision is not None and wanted.manager_id is not None:
                enrollment_id = EnrollmentId(*where, wanted.manager_id)
                revisions[enrollment_id] = max(wanted.revision, revisions.get(enrollment_id, 0))
            else:
                raised |= {one for one in person.enrollments() if wanted.manager_id in {None, one.manager_id}}
        for enrollment_id in sorted(raised):
            is_new = not people[enrollment_id[:2]].has(enrollment_id)
            raise_revision(self._table, enrollment_id, may_be_new=is_new)
        for begun in (revisions, connectors):
            for its_id, revision in begun.items():
                self._start(execution_name(its_id, revision), {**its_id.to_json(), "revision": revision})
        return len(revisions) + len(connectors)


def execution_name(of: EnrollmentId | ConnectorId, revision: int) -> str:
    """Return the name of the execution for a revision: 64 characters at most, and the same each time.

    Args:
        of: What it works for: an enrollment, or the connector that it watches.
        revision: The revision.
    """
    return f"{hashlib.sha256('#'.join(of).encode()).hexdigest()[:40]}-{revision}"


class _Person:
    """What a person has, read when it is first needed."""

    def __init__(self, table: Table, workspace_id: str, user_identity_id: str) -> None:
        self._table = table
        self._where = (workspace_id, user_identity_id)
        items = table.query(phones_partition(workspace_id, user_identity_id))
        self._existing = {listed_id(sk) for sk in _sort_keys(items, "ENROLLMENT#")}
        has_phone = any(_sort_keys(items, "PHONE#")) or any(_sort_keys(items, "REGISTRATION#"))
        # What is left of a person who was deleted is deleted by an execution.
        self.can_need_something = has_phone or (
            bool(self._existing) and table.get(user_identity_key(workspace_id, user_identity_id)) is None
        )
        self._enrollments: set[EnrollmentId] | None = None

    def enrollments(self) -> set[EnrollmentId]:
        """Return the enrollments that the person has, or should have because of an automation."""
        if self._enrollments is None:
            first = automation_key(*self._where, "")
            automations = self._table.query(first.pk, first.sk, f"{first.sk}\uffff")
            managers = {str(item["credential_manager_acs_system_id"]) for item in automations}
            self._enrollments = {EnrollmentId(*self._where, one) for one in managers | self._existing}
        return self._enrollments

    def has(self, enrollment_id: EnrollmentId) -> bool:
        """Return whether there is an item of an enrollment."""
        return enrollment_id.manager_id in self._existing


def _sort_keys(items: Sequence[Item], kind: str) -> Iterator[str]:
    return (str(item["sk"]) for item in items if str(item["sk"]).startswith(kind))


def _watched_of_change(change: Change) -> Watched | None:
    revision, item = _raised_revision(change), change.after
    if revision is None or item is None:
        return None
    return Watched(ConnectorId(str(item["workspace_id"]), str(item["acs_system_id"])), revision)


def _raised_revision(change: Change) -> int | None:
    """Return the new revision of an enrollment or a connector; ``None`` if it has no other one than before."""
    if change.after is None:
        return None
    revision = int(str(change.after["revision"]))
    return revision if change.before is None or change.before["revision"] != revision else None


def _is_another_person(before: Item, after: Item | None) -> bool:
    """Return whether a person was deleted, or managers would be told something else of the person."""
    return after is None or any(before.get(name) != after.get(name) for name in PERSON)
