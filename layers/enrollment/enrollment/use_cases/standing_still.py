"""Enrollments that stand still: something is to be done for them, and no execution does it.

An execution can be lost: its start, before Lambda had it; or itself, because it failed.  The table shows what is to be
done, so it is found there.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import batched

from enrollment.managers.protocol import State
from enrollment.store.attributes import Item
from enrollment.store.keys import user_identity_of, workspace_prefix
from enrollment.store.table import MOST_ACTIONS, Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.convergence import Nothing, Step, Wait, next_step
from enrollment.use_cases.enrollments import EnrollmentId, View, ask_to_look, raise_revision, read_view


def enrollments_of_workspace(table: Table, workspace_id: str) -> list[EnrollmentId]:
    """Return the enrollments of a workspace: those that are stored, and those of people with an automation and a phone.

    It reads the whole table, so only an operator's command may use it.

    Args:
        table: The table.
        workspace_id: The workspace.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    stored, launched = set(), set()
    with_phone = set()
    for item in table.scan(workspace_prefix(workspace_id)):
        kind, sign, rest = str(item["sk"]).partition("#")
        try:
            _, identity_id = user_identity_of(str(item["pk"]))
        except ValueError:
            continue
        match kind + sign:
            case "ENROLLMENT#":
                stored.add(EnrollmentId(workspace_id, identity_id, rest))
            case "ENROLLMENT_AUTOMATION#":
                launched.add(EnrollmentId(workspace_id, identity_id, rest))
            case "PHONE#":
                with_phone.add(identity_id)
    return sorted(stored | {one for one in launched if one.user_identity_id in with_phone})


def step_that_is_due(table: Table, enrollment_id: EnrollmentId, now: datetime) -> Step | None:
    """Return what is to be done for an enrollment now; ``None`` if that is nothing.

    Args:
        table: The table.
        enrollment_id: The enrollment.
        now: The time.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    view = read_view(table, enrollment_id)
    step = next_step(view, timestamp(now))
    return None if isinstance(step, Wait | Nothing) else step


def have_go_on(table: Table, enrollment_id: EnrollmentId) -> None:
    """Have a new execution work for an enrollment.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    raise_revision(table, enrollment_id, may_be_new=True)


def retry(table: Table, enrollment_id: EnrollmentId) -> int:
    """Have what failed at a manager, or was invalidated there, asked for again.  Return how many things these are.

    Args:
        table: The table.
        enrollment_id: The enrollment.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    things = list(_failed(read_view(table, enrollment_id)))
    for some in batched(things, MOST_ACTIONS - 1, strict=False):
        ask_to_look(table, enrollment_id, some)
    return len(things)


def _failed(view: View) -> Iterator[Item]:
    for thing in [*view.registrations.values(), *view.children.values()]:
        if thing.get("state") in {State.FAILED, State.GONE} or "retry_at" in thing:
            yield thing
