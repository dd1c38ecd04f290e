"""Enrollments that stand still: something is to be done for them, and no execution does it.

An execution can be lost: its start, before Lambda had it; or itself, because it failed.  The table shows what is to be
done, so it is found there.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import batched
from typing import NamedTuple

from enrollment.managers.protocol import State
from enrollment.store.attributes import Item
from enrollment.store.keys import automation_key, phones_partition, user_identity_of, workspace_prefix
from enrollment.store.table import MOST_ACTIONS, Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.connector_items import ConnectorId
from enrollment.use_cases.connectors import StoredConnector, connectors_of_workspace
from enrollment.use_cases.convergence import Nothing, Step, Wait, next_step
from enrollment.use_cases.enrollments import EnrollmentId, View, ask_to_look, raise_revision, read_view

# A connector is asked every hour, but not while its manager is paused.
_WATCH_STANDS_STILL_AFTER = timedelta(hours=2)
_WATCH_STANDS_STILL_AFTER_A_PAUSE = timedelta(hours=1)


class People(NamedTuple):
    """The people of a workspace who have something to do with phones.

    Attributes:
        enrollments: The enrollments that are stored, and those of people with an automation and a phone.
        without_enrollment: The ids of the people who have a phone and no enrollment.
    """

    enrollments: list[EnrollmentId]
    without_enrollment: list[str]


def enrollments_of_workspace(table: Table, workspace_id: str) -> list[EnrollmentId]:
    """Return the enrollments of a workspace: those that are stored, and those of people with an automation and a phone.

    It reads the whole table, so only an operator's command may use it.

    Args:
        table: The table.
        workspace_id: The workspace.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    return people_of_workspace(table, workspace_id).enrollments


def people_of_workspace(table: Table, workspace_id: str) -> People:
    """Return the people of a workspace who have something to do with phones.

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
    found = stored | {one for one in launched if one.user_identity_id in with_phone}
    return People(sorted(found), sorted(with_phone - {one.user_identity_id for one in found}))


def people_of_one(table: Table, workspace_id: str, user_identity_id: str) -> People:
    """Return the same of one person, without reading the whole table.

    Args:
        table: The table.
        workspace_id: The workspace.
        user_identity_id: The person.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    where = (workspace_id, user_identity_id)
    items = table.query(phones_partition(*where))
    has_phone = any(str(item["sk"]).startswith("PHONE#") for item in items)
    stored = {EnrollmentId.from_json(item) for item in items if str(item["sk"]).startswith("ENROLLMENT#")}
    first = automation_key(*where, "")
    automations = table.query(first.pk, first.sk, f"{first.sk}\uffff") if has_phone else []
    found = stored | {EnrollmentId(*where, str(one["credential_manager_acs_system_id"])) for one in automations}
    return People(sorted(found), [user_identity_id] if has_phone and not found else [])


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
    # One that is there goes on also after the person was deleted: what the manager has is taken back.
    is_new = table.get(enrollment_id.key) is None
    raise_revision(table, enrollment_id, may_be_new=is_new)


def have_all_go_on(
    table: Table, connector_id: ConnectorId, now: datetime, tell: Callable[[int, int], None] = lambda *_: None
) -> int:
    """Have the enrollments with a credential manager go on that have something to do or to wait for.

    It reads the whole table, so only an operator's command may use it.  To finish an interrupted call, make it again.

    Args:
        table: The table.
        connector_id: The manager's connector, which was set or resumed.
        now: The time.
        tell: Gets how many enrollments were looked at, and how many there are, after each.

    Returns:
        How many have a new execution, which looks at them again.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    found = enrollments_of_workspace(table, connector_id.workspace_id)
    of_manager = [one for one in found if one.manager_id == connector_id.manager_id]
    looked_at_again = 0
    for looked_at, enrollment_id in enumerate(of_manager, 1):
        if not isinstance(next_step(read_view(table, enrollment_id), timestamp(now)), Nothing):
            have_go_on(table, enrollment_id)
            looked_at_again += 1
        tell(looked_at, len(of_manager))
    return looked_at_again


def watches_that_stand_still(table: Table, workspace_id: str, now: datetime) -> list[StoredConnector]:
    """Return the connectors of a workspace that nobody asks how they are, though they are asked every hour.

    Args:
        table: The table.
        workspace_id: The workspace.
        now: The time.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    return [found for found in connectors_of_workspace(table, workspace_id) if _is_watch_overdue(found, now)]


def _is_watch_overdue(found: StoredConnector, now: datetime) -> bool:
    """Return whether a connector should have been asked since."""
    if "paused_at" in found.connector:
        return False
    paused_until = str((found.pause or {}).get("paused_until", ""))
    if paused_until > timestamp(now - _WATCH_STANDS_STILL_AFTER_A_PAUSE):
        return False
    asked_at = str(found.connector.get("asked_at", found.connector["set_at"]))
    return asked_at < timestamp(now - _WATCH_STANDS_STILL_AFTER)


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
