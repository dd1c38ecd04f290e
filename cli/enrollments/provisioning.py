"""``enrollments provisioning``: enrollments that stand still, and how an operator has them go on."""

import time
from datetime import UTC, datetime

import click

from enrollment.store.keys import connector_key, manager_pause_key
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.convergence import Step
from enrollment.use_cases.enrollments import EnrollmentId
from enrollment.use_cases.manager_checks import raise_connector
from enrollment.use_cases.standing_still import (
    enrollments_of_workspace,
    have_go_on,
    people_of_one,
    retry,
    step_that_is_due,
    watches_that_stand_still,
)
from enrollments.failure import CommandFailed
from enrollments.reasons import moment, what_is_due, why_paused
from enrollments.target import Uuid, in_workspace


@click.group()
def provisioning() -> None:
    """What is done for phones after a launch."""


@provisioning.command()
@click.option("--mend", is_flag=True, help="Start what stands still again.")
@click.option(
    "--patience",
    type=click.IntRange(0, 3600),
    default=60,
    show_default=True,
    help="Seconds after which work that is still due counts as standing still.",
)
@in_workspace
def check(table: Table, workspace_id: str, *, mend: bool, patience: int) -> None:
    """Find enrollments of a workspace for which something is to be done and nobody does it.

    It looks twice, because work that is due is usually under way. To start what is under way once more does no harm. It
    reads the whole table.

    It also finds connectors that nobody asks how they are, though that is done every hour.
    """
    watches = watches_that_stand_still(table, workspace_id, datetime.now(UTC))
    due = _due(table, enrollments_of_workspace(table, workspace_id))
    if due:
        click.echo(f"Enrollments with work that is due: {len(due)}. Looking again in {patience} s.", err=True)
        time.sleep(patience)
    still_due = {one: step for one, step in _due(table, list(due)).items() if step == due[one]}
    for enrollment_id, step in still_due.items():
        click.echo(f"{enrollment_id.user_identity_id}  {enrollment_id.manager_id}  {what_is_due(step)}")
        if mend:
            have_go_on(table, enrollment_id)
    for watch in watches:
        since = moment(watch.connector.get("asked_at", watch.connector["set_at"]))
        click.echo(f"{watch.id.manager_id}  its connector is not asked manager.check since {since}")
        if mend:
            raise_connector(table, watch.id, datetime.now(UTC))
    _tell_what_stood_still(len(still_due), len(watches), mend=mend)


def _tell_what_stood_still(enrollments: int, watches: int, *, mend: bool) -> None:
    """Say in a line what was found; it is an error if that is left.

    Raises:
        CommandFailed: Something stands still.
    """
    if not (enrollments or watches):
        click.echo("No enrollment stands still.", err=True)
    if mend:
        went_on = {"Enrollments that go on": enrollments, "Connectors that are asked again": watches}
        for text, count in went_on.items():
            if count:
                click.echo(f"{text}: {count}.", err=True)
        return
    left = {"enrollments that stand still": enrollments, "connectors that nobody asks": watches}
    if counts := [f"{text}: {count}" for text, count in left.items() if count]:
        raise CommandFailed(f"{', '.join(counts)}; --mend has them go on")


@provisioning.command("retry")
@click.argument("user_identity_id", type=Uuid(), required=False)
@click.option("--acs-system-id", type=Uuid(), help="All people at this credential manager, instead of one person.")
@in_workspace
def retry_(table: Table, workspace_id: str, *, user_identity_id: str | None, acs_system_id: str | None) -> None:
    """Ask again for all that has failed for the phones of USER_IDENTITY_ID, at each credential manager.

    With --acs-system-id, ask again for all that has failed at that credential manager. That reads the whole table.

    A credential manager that is paused is asked when its pause ends.
    """
    if (user_identity_id is None) == (acs_system_id is None):
        raise click.UsageError("name a person, USER_IDENTITY_ID, or a credential manager: --acs-system-id ID")
    if acs_system_id is not None:
        _retry_at_manager(table, workspace_id, acs_system_id)
        return
    found = people_of_one(table, workspace_id, str(user_identity_id)).enrollments
    stored = [one for one in found if table.get(one.key) is not None]
    if not stored:
        raise CommandFailed(f"{user_identity_id} has no enrollment in workspace {workspace_id}")
    for enrollment_id in stored:
        count = retry(table, enrollment_id)
        click.echo(f"{enrollment_id.manager_id}  {count} to be asked for again")
        _tell_if_paused(table, workspace_id, enrollment_id.manager_id)


def _retry_at_manager(table: Table, workspace_id: str, acs_system_id: str) -> None:
    enrollment_ids = [one for one in enrollments_of_workspace(table, workspace_id) if one.manager_id == acs_system_id]
    all_ = 0
    for enrollment_id in enrollment_ids:
        count = retry(table, enrollment_id)
        if count:
            click.echo(f"{enrollment_id.user_identity_id}  {count} to be asked for again")
        all_ += count
    click.echo(f"To be asked for again: {all_}.", err=True)
    _tell_if_paused(table, workspace_id, acs_system_id)


def _tell_if_paused(table: Table, workspace_id: str, acs_system_id: str) -> None:
    """Say that a credential manager is not asked now, if it is so."""
    pause_key, key = manager_pause_key(workspace_id, acs_system_id), connector_key(workspace_id, acs_system_id)
    found = table.batch_get([pause_key, key])
    pause, connector = found.get(pause_key), found.get(key)
    if connector is not None and "paused_at" in connector:
        click.echo(f"{acs_system_id} is paused by an operator, until: enrollments connectors resume", err=True)
    if pause is not None and str(pause["paused_until"]) > timestamp(datetime.now(UTC)):
        why, until = why_paused(str(pause["reason"])), moment(pause["paused_until"])
        click.echo(f"{acs_system_id} is paused until {until}, and asked then: {why}.", err=True)


def _due(table: Table, enrollment_ids: list[EnrollmentId]) -> dict[EnrollmentId, Step]:
    now = datetime.now(UTC)
    steps = ((one, step_that_is_due(table, one, now)) for one in enrollment_ids)
    return {one: step for one, step in steps if step is not None}
