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

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import batched
from typing import NamedTuple

from enrollment.callers import Caller, split_ids
from enrollment.errors import UserIdentityNotFound
from enrollment.resources.user_identities import UserIdentityRequest
from enrollment.store.actions import as_read, change, delete, put_new, require
from enrollment.store.attributes import Item
from enrollment.store.items import stored_workspace
from enrollment.store.keys import (
    Key,
    deleted_workspace_key,
    listed_id,
    phones_partition,
    token_key,
    token_listing_key,
    user_identity_of,
    workspace_key,
    workspace_listing_key,
    workspace_prefix,
)
from enrollment.store.table import MOST_DELETIONS, Table
from enrollment.timestamps import timestamp
from enrollment.use_cases import user_identities
from enrollment.use_cases.connectors import connectors_of_workspace
from enrollment.use_cases.enrollments import EnrollmentId, read_view
from enrollment.use_cases.pending_removals import pending_removals
from enrollment.use_cases.standing_still import have_go_on
from enrollment.use_cases.waiting import Waiting, Why, waiting_phones
from enrollment.use_cases.workspace_access import end_access

# The time-outs of the functions in template.yaml.  The authorizer decides within the first.  A request is answered
# within the second.  What follows the table's stream, and what asks credential managers, ends within the third.
LONGEST_DECISION = timedelta(seconds=10)
LONGEST_REQUEST = timedelta(seconds=28)
LONGEST_INVOCATION = timedelta(seconds=60)

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


class Clock(NamedTuple):
    """The time, as a deletion sees it.

    Attributes:
        now: Returns the time.
        sleep: Waits for a number of seconds.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep


# The real time.
CLOCK = Clock()


def delete_workspace(table: Table, workspace_id: str, terms: Terms, tell: Tell, clock: Clock = CLOCK) -> int:
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
    if "finished_at" in mark:
        return _delete_rest(table, mark, terms, tell, clock)
    _end_all_access(table, workspace_id, terms, tell, clock)
    mark = _require_mark(table, mark)
    if mark["is_left_at_managers"]:
        _leave_managers(table, mark, terms, clock.now())
        deleted = _delete_rest(table, mark, terms, tell, clock)
    else:
        deleted = _take_back_and_delete(table, mark, terms, tell, clock)
    finished: Item = {"finished_at": timestamp(clock.now())}
    where = as_read(mark, ["started_at"])
    if table.transact({"mark": change(deleted_workspace_key(workspace_id), assign=finished, where=where)}):
        raise DeletionOverError
    return deleted


def _take_back_and_delete(table: Table, mark: Item, terms: Terms, tell: Tell, clock: Clock) -> int:
    """Have managers give back what they have, and delete the rest.  Return how many items of the rest there were."""
    workspace_id, key = str(mark["workspace_id"]), deleted_workspace_key(str(mark["workspace_id"]))
    begun: Item = {"taken_back_since": timestamp(clock.now())}
    table.transact({"mark": change(key, assign=begun, where={"taken_back_since": None})})
    while True:
        _delete_people(table, workspace_id, terms, tell)
        _wait_for_managers(table, workspace_id, terms, tell, clock)
        try:
            return _delete_rest(table, mark, terms, tell, clock)
        except _NotGivenBackError:
            continue


def _require_mark(table: Table, mark: Item) -> Item:
    """Return the mark of this deletion as it is now.

    Raises:
        DeletionOverError: It is gone, or another deletion has begun.
    """
    found = table.get(deleted_workspace_key(str(mark["workspace_id"])))
    if found is None or found["started_at"] != mark["started_at"]:
        raise DeletionOverError
    return found


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
    if found["is_left_at_managers"] and not terms.is_left_at_managers and "finished_at" not in found:
        raise OtherTermsError
    if terms.is_left_at_managers and not found["is_left_at_managers"]:
        left: Item = {"is_left_at_managers": True}
        table.transact({"mark": change(key, assign=left)})
        return {**found, **left}
    return found


def left_of_workspace(table: Table, workspace_id: str) -> Iterator[Key]:
    """Yield the keys of what the table has of a workspace, and of tokens that name it.  It reads the whole table.

    The mark of its deletion is not among them: it has the workspace's id, and when it was deleted.

    Args:
        table: The table.
        workspace_id: The workspace.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    for entry in table.walk(workspace_listing_key("", "").pk):
        if listed_id(str(entry["sk"])) == workspace_id:
            yield _key_of(entry)
    for item in table.scan(workspace_prefix(workspace_id), token_key("").pk):
        if "workspace_ids" not in item or workspace_id in split_ids(str(item["workspace_ids"])):
            yield _key_of(item)


def _end_all_access(table: Table, workspace_id: str, terms: Terms, tell: Tell, clock: Clock) -> None:
    """End all access, and wait until no request is under way that was let in before.

    Such a request can make another client session.  So this is repeated until there was nothing more to end.
    """
    longest = terms.longest_decision + terms.decisions_kept + terms.longest_request
    ended = sum(end_access(table, workspace_id, clock.now()))
    while True:
        tell(Progress(Step.END_ACCESS, ended))
        _wait(clock, tell, Step.WAIT_FOR_REQUESTS, longest)
        ended = sum(end_access(table, workspace_id, clock.now()))
        if not ended:
            return


def _leave_managers(table: Table, mark: Item, terms: Terms, now: datetime) -> None:
    """Have no execution ask a manager any more, so that phones and credentials stay where they are.

    Raises:
        RemovalsPendingError: Managers have something of people whom a request has deleted meanwhile.
    """
    workspace_id = str(mark["workspace_id"])
    # Whom this deletion has deleted tells nothing of pending removals: one by one, or as items.
    if not mark.keys() & {"managers_left_at", "taken_back_since"}:
        if not terms.is_without_removals and (people := pending_removals(table, workspace_id)):
            raise RemovalsPendingError(people)
        left: Item = {"managers_left_at": timestamp(now)}
        table.transact({"mark": change(deleted_workspace_key(workspace_id), assign=left)})
    for connector in connectors_of_workspace(table, workspace_id):
        table.transact({"connector": delete(connector.id.key)})


def _delete_people(table: Table, workspace_id: str, terms: Terms, tell: Tell) -> None:
    """Delete the people who have phones or credentials, so that executions take these back."""
    deleted, people = 0, _people_with_phones(table, workspace_id)
    for some in _each(lambda one: _delete_person(table, workspace_id, one), people, terms.at_once):
        deleted += len(some)
        tell(Progress(Step.DELETE_PEOPLE, deleted))


def _delete_person(table: Table, workspace_id: str, user_identity_id: str) -> None:
    """Delete a person, unless that is done."""
    with suppress(UserIdentityNotFound):
        request = UserIdentityRequest(user_identity_id=user_identity_id)
        user_identities.delete(table, Caller(workspace_id), request)


def _people_with_phones(table: Table, workspace_id: str) -> Iterator[str]:
    """Yield the ids of people who have something to do with phones, or had; each once, as a scan has them together."""
    last = None
    for item in table.scan(f"{workspace_prefix(workspace_id)}USER_IDENTITY#"):
        _, identity_id = user_identity_of(str(item["pk"]))
        if identity_id != last and item["pk"] == phones_partition(workspace_id, identity_id):
            yield identity_id
            last = identity_id


def _wait_for_managers(table: Table, workspace_id: str, terms: Terms, tell: Tell, clock: Clock) -> None:
    """Wait until executions have taken back what managers have of deleted people.

    All of them are at work at the same moment, so waiting for one after the other takes as long as for the slowest.

    Raises:
        StillAtManagersError: It has taken too long.
    """
    began = clock.now()
    waiting: Counter[tuple[str, Why | None]] = Counter()
    for count, user_identity_id in enumerate(_people_with_phones(table, workspace_id), 1):
        tell(Progress(Step.WAIT_FOR_MANAGERS, count))
        _delete_person(table, workspace_id, user_identity_id)  # one who came while the others were deleted
        waiting.update(_wait_for_person(table, (workspace_id, user_identity_id), began, terms.patience, clock))
    if waiting:
        raise StillAtManagersError(waiting)


def _wait_for_person(
    table: Table, where: tuple[str, str], began: datetime, patience: timedelta, clock: Clock
) -> set[tuple[str, Why | None]]:
    """Wait until no manager has anything of a person.  Return which managers still have, and why, if that is too long.

    Args:
        table: The table.
        where: The ids of the workspace and of the person.
        began: When the wait for all people began.
        patience: For how long to wait for all of them.
        clock: The time.
    """
    look, is_started_again = _SHORTEST_LOOK, False
    while enrollments := _at_managers(table, where):
        now = clock.now()
        if now - began >= min(_ANOTHER_EXECUTION_AFTER, patience) and not is_started_again:
            is_started_again = True
            for one in enrollments:
                have_go_on(table, one)
        left = began + patience - now
        if left <= timedelta(0):
            return {reason for one in enrollments for reason in _reasons(table, one, now)}
        clock.sleep(min(look, left).total_seconds())
        look = min(2 * look, _LONGEST_LOOK)
    return set()


def _at_managers(table: Table, where: tuple[str, str]) -> list[EnrollmentId]:
    """Return the enrollments of a deleted person: each is there until its manager has given everything back."""
    items = table.query(phones_partition(*where), "ENROLLMENT#", "ENROLLMENT#\uffff")
    return [EnrollmentId.from_json(item) for item in items]


def _reasons(table: Table, enrollment_id: EnrollmentId, now: datetime) -> set[tuple[str, Why | None]]:
    waiting: Iterable[Waiting] = waiting_phones(read_view(table, enrollment_id), timestamp(now))
    return {(enrollment_id.manager_id, one.why) for one in waiting} or {(enrollment_id.manager_id, None)}


def _delete_rest(table: Table, mark: Item, terms: Terms, tell: Tell, clock: Clock) -> int:
    """Delete what is left, until nothing is found after the longest invocation.  Return how many items that were.

    Raises:
        _NotGivenBackError: There is an enrollment, and managers are to give back what they have.
        DeletionOverError: Somebody has brought the workspace back meanwhile.
    """
    workspace_id, is_over = str(mark["workspace_id"]), "finished_at" in mark
    deleted, is_waited_for = 0, is_over
    while True:
        _require_mark(table, mark)
        before = deleted
        for key in _tokens_left(table, workspace_id):
            table.transact({"record": delete(key), "listing": delete(token_listing_key(listed_id(key.pk)))})
            deleted += 1
        keys = _keys_of_rest(table, workspace_id, may_be_at_manager=is_over or mark["is_left_at_managers"] is True)
        for some in _each(table.delete_all, batched(keys, MOST_DELETIONS, strict=False), terms.at_once):
            deleted += sum(map(len, some))
            tell(Progress(Step.DELETE_REST, deleted))
            _require_mark(table, mark)
        if deleted == before and is_waited_for:
            break
        _wait(clock, tell, Step.WAIT_FOR_INVOCATIONS, terms.longest_invocation)
        is_waited_for = True
    workspace = table.get(workspace_key(workspace_id))
    if workspace is None:
        return deleted
    (itself, entry) = stored_workspace(workspace)
    marked = require(deleted_workspace_key(workspace_id), as_read(mark, ["started_at"]))
    if table.transact({"entry": delete(entry), "workspace": delete(itself), "mark": marked}):
        raise DeletionOverError
    return deleted + 2


def _tokens_left(table: Table, workspace_id: str) -> Iterator[Key]:
    """Yield the keys of the records of tokens that could enter this workspace only, client sessions' included."""
    for record in table.scan(token_key("").pk):
        if split_ids(str(record["workspace_ids"])) == (workspace_id,):
            yield _key_of(record)


def _keys_of_rest(table: Table, workspace_id: str, *, may_be_at_manager: bool) -> Iterator[Key]:
    """Yield the keys of all that a workspace has, but for its own item."""
    for item in table.scan(workspace_prefix(workspace_id)):
        if str(item["sk"]).startswith("ENROLLMENT#") and not may_be_at_manager:
            raise _NotGivenBackError
        if (key := _key_of(item)) != workspace_key(workspace_id):
            yield key


def _each[T](work: Callable[[T], None], things: Iterable[T], at_once: int) -> Iterator[Sequence[T]]:
    """Do something for each of any number of things, some at the same moment; yield the things that are done."""
    with ThreadPoolExecutor(at_once) as pool:
        for some in batched(things, 4 * at_once, strict=False):
            list(pool.map(work, some))
            yield some


def _wait(clock: Clock, tell: Tell, step: Step, duration: timedelta) -> None:
    seconds = duration.total_seconds()
    if seconds > 0:
        tell(Progress(step, round(seconds)))
        clock.sleep(seconds)


def _key_of(item: Item) -> Key:
    return Key(str(item["pk"]), str(item["sk"]))
