"""The deletion of a workspace with all that belongs to it, by an operator.

A launch checks no workspace, because all launches of a tenant would share an item.  So the order matters:

1. The workspace is marked, outside of its own keys.  From then on no command writes into it, and it has no events.
2. Its tokens, client sessions and webhooks end.
3. What was let in before may still write, and can make another session: API Gateway keeps a decision about a token, and
   a request takes up to 28 s.  So both are repeated until nothing is left to end.
4. The people who have phones or credentials are deleted, and executions take back what credential managers have.
5. Everything else is deleted.  An invocation may still be under way, so the keys are looked at again after its time.
   What a manager could still have is never deleted here: it leads back to step 4.
6. A last scan proves that nothing is left.  The mark stays: changes that the stream delivers late make no events.

Each step can be repeated, and finds in the table what is left to do.  So an interrupted deletion is finished by calling
it again.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import batched

from enrollment.callers import Caller, split_ids
from enrollment.errors import UserIdentityNotFound
from enrollment.resources.user_identities import UserIdentityRequest
from enrollment.store.actions import as_read, change, delete, put_new, require
from enrollment.store.attributes import Item, Value
from enrollment.store.keys import (
    Key,
    deleted_workspace_key,
    key_of,
    listed_id,
    phones_partition,
    token_key,
    token_listing_key,
    user_identity_of,
    workspace_key,
    workspace_listing_key,
    workspace_prefix,
)
from enrollment.store.table import MOST_DELETIONS, GuardFailedError, Table
from enrollment.timestamps import timestamp
from enrollment.use_cases import user_identities
from enrollment.use_cases.connectors import connectors_of_workspace
from enrollment.use_cases.enrollments import EnrollmentId, read_view
from enrollment.use_cases.pending_removals import pending_removals
from enrollment.use_cases.standing_still import have_go_on
from enrollment.use_cases.waiting import Why, waiting_phones
from enrollment.use_cases.waits import LONGEST_DECISION, LONGEST_INVOCATION, LONGEST_REQUEST, Clock
from enrollment.use_cases.workspace_access import end_access

# The stream and the executions need seconds.  After this time one may have been lost, so another one is started.
_ANOTHER_EXECUTION_AFTER = timedelta(minutes=1)
_SHORTEST_LOOK, _LONGEST_LOOK = timedelta(seconds=1), timedelta(seconds=15)
# Requests to DynamoDB at the same moment.
_AT_ONCE = 8


class Step(StrEnum):
    """What a deletion does."""

    MARK = "mark"
    END_ACCESS = "end_access"
    WAIT_FOR_REQUESTS = "wait_for_requests"
    DELETE_PEOPLE = "delete_people"
    WAIT_FOR_MANAGERS = "wait_for_managers"
    DELETE_REST = "delete_rest"
    WAIT_FOR_INVOCATIONS = "wait_for_invocations"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a deletion is.

    Attributes:
        step: What it does.
        number: How much of that is done; for a wait, how many seconds it takes.
    """

    step: Step
    number: int = 0


type Tell = Callable[[Progress], None]


class WorkspaceNotFoundError(Exception):
    """There is no such workspace, and none was deleted."""


@dataclass(eq=False)
class StillAtManagersError(Exception):
    """Credential managers have not given back everything in the time that they were given.

    Attributes:
        people: How many people have something there, by credential manager and why they wait.
    """

    people: Mapping[tuple[str, Why | None], int]


@dataclass(eq=False)
class RemovalsPendingError(Exception):
    """Credential managers have not removed what they have of deleted people, and nobody would ask for that again.

    Attributes:
        people: How many people have something there, by credential manager.
    """

    people: Mapping[str, int]


class OtherTermsError(Exception):
    """An earlier call has chosen that phones and credentials stay at their managers, and this one has not."""


class DeletionOverError(Exception):
    """The mark of the deletion is gone, or is another one: somebody has brought the workspace back meanwhile."""


class _NotGivenBackError(Exception):
    """There is something that a credential manager may have, so it is not to be deleted here."""


@dataclass(frozen=True)
class Terms:
    """How a workspace is deleted.

    Attributes:
        decisions_kept: For how long API Gateway keeps a decision about a token.
        patience: For how long to wait for credential managers.
        is_left_at_managers: Whether phones and credentials stay at their managers, because the workspace has moved to
            another table.
        is_without_removals: Whether that also holds for what managers have of deleted people: nobody removes it then.
        longest_decision: How long the authorizer can take.
        longest_request: How long a request can take that was let in.
        longest_invocation: How long an invocation can take that follows the stream or asks managers.
        at_once: How many requests to DynamoDB to send at the same moment.
    """

    decisions_kept: timedelta
    patience: timedelta
    is_left_at_managers: bool = False
    is_without_removals: bool = False
    longest_decision: timedelta = LONGEST_DECISION
    longest_request: timedelta = LONGEST_REQUEST
    longest_invocation: timedelta = LONGEST_INVOCATION
    at_once: int = _AT_ONCE


def delete_workspace(table: Table, workspace_id: str, terms: Terms, tell: Tell, clock: Clock) -> int:
    """Delete a workspace with all that belongs to it.  To finish an interrupted deletion, call it again.

    Args:
        table: The table, without a guard.
        workspace_id: The workspace.
        terms: How it is deleted.
        tell: Is told of each step, and often while it lasts.
        clock: The time.

    Returns:
        How many items were deleted by this call.

    Raises:
        WorkspaceNotFoundError: There is no such workspace, and none was deleted.
        RemovalsPendingError: What managers have would be left there, and some is of deleted people.  Nothing has
            changed.
        OtherTermsError: An earlier call has chosen to leave phones and credentials at their managers.
        StillAtManagersError: Credential managers have not given back everything.  Nothing else is deleted, so that an
            operator can look into it.
        DeletionOverError: Somebody has brought the workspace back meanwhile.
        ServiceUnavailable: The database stays out of reach.
    """
    if terms.is_left_at_managers and not terms.is_without_removals:
        _require_no_removals(table, workspace_id)
    mark = mark_deleted(table, workspace_id, terms, clock.now())
    tell(Progress(Step.MARK))
    deletion = _Deletion(table, mark, terms, tell, clock)
    try:
        if "finished_at" in mark:
            end_access(deletion.table, workspace_id, clock.now())
            return _delete_rest(deletion)
        _end_all_access(deletion)
        deleted = _leave_managers_and_delete(deletion) if deletion.leaves else _take_back_and_delete(deletion)
    except GuardFailedError as error:
        raise DeletionOverError from error
    deletion.note({"finished_at": timestamp(clock.now())})
    return deleted


@dataclass(frozen=True)
class _Deletion:
    """A deletion at work.

    Attributes:
        unguarded: The table.
        mark: The mark with which it began.
        terms: How the workspace is deleted.
        tell: Is told of each step.
        clock: The time.
    """

    unguarded: Table
    mark: Item
    terms: Terms
    tell: Tell
    clock: Clock

    @property
    def workspace_id(self) -> str:
        """The workspace."""
        return str(self.mark["workspace_id"])

    @property
    def leaves(self) -> bool:
        """Whether phones and credentials stay at their managers."""
        return self.mark["is_left_at_managers"] is True

    @property
    def is_over(self) -> bool:
        """Whether an earlier call has finished the deletion."""
        return "finished_at" in self.mark

    @property
    def table(self) -> Table:
        """The table for all but the mark: nothing is written once another operator has brought the workspace back."""
        return self.unguarded.guarded_by({"mark of the deletion": require(self._key, self._as_begun)})

    def require_mark(self) -> Item:
        """Return the mark as it is now.

        Raises:
            DeletionOverError: It is gone, or another one.
        """
        found = self.unguarded.get(self._key)
        if found is None or any(found.get(name) != value for name, value in self._as_begun.items()):
            raise DeletionOverError
        return found

    def note(self, noted: Item) -> None:
        """Note something at the mark.

        Raises:
            DeletionOverError: The mark is gone, or another one.
        """
        if self.unguarded.transact({"mark": change(self._key, assign=noted, where=self._as_begun)}):
            raise DeletionOverError

    @property
    def _key(self) -> Key:
        return deleted_workspace_key(self.workspace_id)

    @property
    def _as_begun(self) -> dict[str, Value | None]:
        return as_read(self.mark, ["started_at", "is_left_at_managers"])


def _take_back_and_delete(deletion: _Deletion) -> int:
    """Have managers give back what they have, and delete the rest.  Return how many items of the rest there were."""
    if "taken_back_since" not in deletion.require_mark():
        # Afterwards, nobody can tell whom a request has deleted and whom this deletion.
        is_pending = bool(pending_removals(deletion.table, deletion.workspace_id))
        begun: Item = {"taken_back_since": timestamp(deletion.clock.now()), "removals_pending": is_pending}
        deletion.note(begun)
    while True:
        _delete_people(deletion)
        _wait_for_managers(deletion)
        try:
            return _delete_rest(deletion)
        except _NotGivenBackError:
            continue


def _leave_managers_and_delete(deletion: _Deletion) -> int:
    """Have no execution ask a manager any more, and delete everything.  Return how many items there were.

    Raises:
        RemovalsPendingError: Managers have something of people who were deleted before.
    """
    mark = deletion.require_mark()
    if not deletion.terms.is_without_removals and "managers_left_at" not in mark:
        # Since a deletion has begun to delete people itself, the mark knows whether there were others before.
        may_be_pending = mark.get("removals_pending", True) is True
        if may_be_pending and (people := pending_removals(deletion.table, deletion.workspace_id)):
            raise RemovalsPendingError(people)
    # From now on people are deleted as items, so whoever is gone tells nothing.
    deletion.note({"managers_left_at": timestamp(deletion.clock.now())})
    for connector in connectors_of_workspace(deletion.table, deletion.workspace_id):
        deletion.table.transact({"connector": delete(connector.id.key)})
    return _delete_rest(deletion)


def _require_no_removals(table: Table, workspace_id: str) -> None:
    """Require that managers have nothing of deleted people, unless the deletion itself has deleted them."""
    if table.get(deleted_workspace_key(workspace_id)) is not None:
        return
    if people := pending_removals(table, workspace_id):
        raise RemovalsPendingError(people)


def mark_deleted(table: Table, workspace_id: str, terms: Terms, now: datetime) -> Item:
    """Mark that a workspace is being deleted, and return the mark.  A mark that is there stays as it is.

    Raises:
        WorkspaceNotFoundError: There is no such workspace, and none was deleted.
        OtherTermsError: The mark says that phones and credentials stay at their managers.
        DeletionOverError: The deletion has just ended, or the workspace was brought back.
        ServiceUnavailable: The database stays out of reach.
    """
    key = deleted_workspace_key(workspace_id)
    mark: Item = {
        "workspace_id": workspace_id,
        "started_at": timestamp(now),
        "is_left_at_managers": terms.is_left_at_managers,
    }
    refused = table.transact({"mark": put_new(key, mark), "workspace": require(workspace_key(workspace_id))})
    if not refused:
        return mark
    found = refused.get("mark")
    if found is None:
        raise WorkspaceNotFoundError
    if "finished_at" in found or found["is_left_at_managers"] is terms.is_left_at_managers:
        return found
    if not terms.is_left_at_managers:
        raise OtherTermsError
    left: Item = {"is_left_at_managers": True}
    where = {**as_read(found, ["started_at"]), "finished_at": None}
    if table.transact({"mark": change(key, assign=left, where=where)}):
        raise DeletionOverError
    return {**found, **left}


def left_of_workspace(table: Table, workspace_id: str) -> Iterator[Key]:
    """Yield the keys of what the table has of a workspace, and of tokens that name it.  It reads the whole table.

    The mark of its deletion is not among them: it has the workspace's id, and when it was deleted.

    Args:
        table: The table.
        workspace_id: The workspace.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    yield from _entries_in_list(table, workspace_id)
    for item in table.scan(workspace_prefix(workspace_id), token_key("").pk):
        if "workspace_ids" not in item or workspace_id in split_ids(str(item["workspace_ids"])):
            yield key_of(item)


def _end_all_access(deletion: _Deletion) -> None:
    """End all access, and wait until no request is under way that was let in before.

    Such a request can make another client session.  So this is repeated until there was nothing more to end.
    """
    terms, clock = deletion.terms, deletion.clock
    longest = terms.longest_decision + terms.decisions_kept + terms.longest_request
    ended = sum(end_access(deletion.table, deletion.workspace_id, clock.now()))
    while True:
        deletion.tell(Progress(Step.END_ACCESS, ended))
        _wait(deletion, Step.WAIT_FOR_REQUESTS, longest)
        deletion.require_mark()
        ended = sum(end_access(deletion.table, deletion.workspace_id, clock.now()))
        if not ended:
            return


def _delete_people(deletion: _Deletion) -> None:
    """Delete the people who have phones or credentials, so that executions take these back.

    One after the other: their transactions all check the mark, so they would be in each other's way.
    """
    for number, user_identity_id in enumerate(_people_with_phones(deletion), 1):
        _delete_person(deletion, user_identity_id)
        deletion.tell(Progress(Step.DELETE_PEOPLE, number))


def _delete_person(deletion: _Deletion, user_identity_id: str) -> None:
    """Delete a person, unless that is done."""
    with suppress(UserIdentityNotFound):
        request = UserIdentityRequest(user_identity_id=user_identity_id)
        user_identities.delete(deletion.table, Caller(deletion.workspace_id), request)


def _people_with_phones(deletion: _Deletion) -> Iterator[str]:
    """Yield the ids of people who have something to do with phones, or had; each once, as a scan has them together."""
    last, workspace_id = None, deletion.workspace_id
    for item in deletion.table.scan(f"{workspace_prefix(workspace_id)}USER_IDENTITY#"):
        _, identity_id = user_identity_of(str(item["pk"]))
        if identity_id != last and item["pk"] == phones_partition(workspace_id, identity_id):
            yield identity_id
            last = identity_id


def _wait_for_managers(deletion: _Deletion) -> None:
    """Wait until executions have taken back what managers have of deleted people.

    All of them are at work at the same moment, so waiting for one after the other takes as long as for the slowest.

    Raises:
        StillAtManagersError: It has taken too long.
        DeletionOverError: Somebody has brought the workspace back meanwhile, or leaves everything at its managers.
    """
    began = deletion.clock.now()
    waiting: Counter[tuple[str, Why | None]] = Counter()
    for number, user_identity_id in enumerate(_people_with_phones(deletion), 1):
        deletion.tell(Progress(Step.WAIT_FOR_MANAGERS, number))
        _delete_person(deletion, user_identity_id)  # one who came while the others were deleted
        waiting.update(_wait_for_person(deletion, user_identity_id, began))
    if waiting:
        raise StillAtManagersError(waiting)


def _wait_for_person(deletion: _Deletion, user_identity_id: str, began: datetime) -> set[tuple[str, Why | None]]:
    """Wait until no manager has anything of a person.  Return which managers still have, and why, if that is too long.

    Args:
        deletion: The deletion.
        user_identity_id: The person.
        began: When the wait for all people began.
    """
    table, clock, patience = deletion.table, deletion.clock, deletion.terms.patience
    look, is_started_again = _SHORTEST_LOOK, False
    while enrollments := _at_managers(table, (deletion.workspace_id, user_identity_id)):
        now = clock.now()
        if now - began >= min(_ANOTHER_EXECUTION_AFTER, patience) and not is_started_again:
            is_started_again = True
            for one in enrollments:
                have_go_on(table, one)
        left = began + patience - now
        if left <= timedelta(0):
            return {reason for one in enrollments for reason in _reasons(table, one, now)}
        clock.sleep(min(look, left).total_seconds())
        deletion.require_mark()
        look = min(2 * look, _LONGEST_LOOK)
    return set()


def _at_managers(table: Table, where: tuple[str, str]) -> list[EnrollmentId]:
    """Return the enrollments of a deleted person: each is there until its manager has given everything back."""
    items = table.query(phones_partition(*where), "ENROLLMENT#", "ENROLLMENT#\uffff")
    return [EnrollmentId.from_json(item) for item in items]


def _reasons(table: Table, enrollment_id: EnrollmentId, now: datetime) -> set[tuple[str, Why | None]]:
    waiting = waiting_phones(read_view(table, enrollment_id), timestamp(now))
    return {(enrollment_id.manager_id, one.why) for one in waiting} or {(enrollment_id.manager_id, None)}


def _delete_rest(deletion: _Deletion) -> int:
    """Delete what is left, until nothing is found after the longest invocation.  Return how many items that were.

    Raises:
        _NotGivenBackError: There is an enrollment, and managers are to give back what they have.
        DeletionOverError: Somebody has brought the workspace back meanwhile.
    """
    table, workspace_id = deletion.table, deletion.workspace_id
    deleted, is_waited_for = 0, deletion.is_over
    while True:
        before = deleted
        for key in _tokens_left(table, workspace_id):
            table.transact({"record": delete(key), "listing": delete(token_listing_key(listed_id(key.pk)))})
            deleted += 1
        keys = _keys_of_rest(table, workspace_id, may_be_at_manager=deletion.is_over or deletion.leaves)
        for count in _delete_all(deletion, keys):
            deleted += count
            deletion.tell(Progress(Step.DELETE_REST, deleted))
        if deleted == before and is_waited_for:
            break
        _wait(deletion, Step.WAIT_FOR_INVOCATIONS, deletion.terms.longest_invocation)
        is_waited_for = True
    for key in [*_entries_in_list(table, workspace_id)]:
        table.transact({"entry": delete(key)})
        deleted += 1
    if table.get(workspace_key(workspace_id)) is not None:
        table.transact({"workspace": delete(workspace_key(workspace_id))})
        deleted += 1
    return deleted


def _entries_in_list(table: Table, workspace_id: str) -> Iterator[Key]:
    """Yield the keys of a workspace's entries in the operator's list: one, while it is there."""
    for entry in table.walk(workspace_listing_key("", "").pk):
        if listed_id(str(entry["sk"])) == workspace_id:
            yield key_of(entry)


def _delete_all(deletion: _Deletion, keys: Iterable[Key]) -> Iterator[int]:
    """Delete items in portions, some requests of each at the same moment.  Yield how many items were deleted.

    These requests can have no condition.  So the mark is looked at just before each portion.
    """
    at_once = deletion.terms.at_once
    with ThreadPoolExecutor(at_once) as pool:
        for portion in batched(batched(keys, MOST_DELETIONS, strict=False), 4 * at_once, strict=False):
            deletion.require_mark()
            list(pool.map(deletion.unguarded.delete_all, portion))
            yield sum(map(len, portion))


def _tokens_left(table: Table, workspace_id: str) -> Iterator[Key]:
    """Yield the keys of the records of tokens that could enter this workspace only, client sessions' included."""
    for record in table.scan(token_key("").pk):
        if split_ids(str(record["workspace_ids"])) == (workspace_id,):
            yield key_of(record)


def _keys_of_rest(table: Table, workspace_id: str, *, may_be_at_manager: bool) -> Iterator[Key]:
    """Yield the keys of all that a workspace has, but for its own item."""
    for item in table.scan(workspace_prefix(workspace_id)):
        if str(item["sk"]).startswith("ENROLLMENT#") and not may_be_at_manager:
            raise _NotGivenBackError
        if (key := key_of(item)) != workspace_key(workspace_id):
            yield key


def _wait(deletion: _Deletion, step: Step, duration: timedelta) -> None:
    seconds = duration.total_seconds()
    if seconds > 0:
        deletion.tell(Progress(step, round(seconds)))
        deletion.clock.sleep(seconds)
