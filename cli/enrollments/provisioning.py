"""``enrollments provisioning``: enrollments that stand still, and how an operator has them go on."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

import click

from enrollment.store.keys import phones_partition
from enrollment.store.table import Table
from enrollment.use_cases.convergence import (
    AskForStatus,
    DeleteCredential,
    DeleteEnrollment,
    DeleteRegistration,
    Deregister,
    Issue,
    Mark,
    Register,
    Revoke,
    Step,
    UpdateParent,
)
from enrollment.use_cases.enrollments import EnrollmentId
from enrollment.use_cases.standing_still import enrollments_of_workspace, have_go_on, retry, step_that_is_due
from enrollments.failure import CommandFailed
from enrollments.target import Uuid, in_workspace

# What stands still, by the step that is due.
_WORK: Mapping[type, str] = {
    Register: "a phone is to be registered",
    AskForStatus: "the credential manager is to be asked how a phone stands",
    Deregister: "a phone is to be removed",
    Issue: "a credential is to be issued",
    Revoke: "a credential is to be revoked",
    Mark: "credentials are to be revoked",
    DeleteCredential: "a revoked credential is to be deleted",
    DeleteRegistration: "a removed phone's registration is to be deleted",
    UpdateParent: "a credential is to show that it is issued",
    DeleteEnrollment: "what is left of a deleted person is to be deleted",
}


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
    """
    due = _due(table, enrollments_of_workspace(table, workspace_id))
    if due:
        click.echo(f"Enrollments with work that is due: {len(due)}. Looking again in {patience} s.", err=True)
        time.sleep(patience)
    still_due = {one: step for one, step in _due(table, list(due)).items() if step == due[one]}
    for enrollment_id, step in still_due.items():
        click.echo(f"{enrollment_id.user_identity_id}  {enrollment_id.manager_id}  {_WORK[type(step)]}")
        if mend:
            have_go_on(table, enrollment_id)
    if not still_due:
        click.echo("No enrollment stands still.", err=True)
    elif mend:
        click.echo(f"Enrollments that go on: {len(still_due)}.", err=True)
    else:
        raise CommandFailed(f"enrollments that stand still: {len(still_due)}; --mend has them go on")


@provisioning.command("retry")
@click.argument("user_identity_id", type=Uuid())
@in_workspace
def retry_(table: Table, workspace_id: str, *, user_identity_id: str) -> None:
    """Ask again for all that has failed for the phones of USER_IDENTITY_ID, at each credential manager."""
    items = table.query(phones_partition(workspace_id, user_identity_id), "ENROLLMENT#", "ENROLLMENT#\uffff")
    if not items:
        raise CommandFailed(f"{user_identity_id} has no enrollment in workspace {workspace_id}")
    for enrollment_id in map(EnrollmentId.from_json, items):
        count = retry(table, enrollment_id)
        click.echo(f"{enrollment_id.manager_id}  {count} to be asked for again")


def _due(table: Table, enrollment_ids: list[EnrollmentId]) -> dict[EnrollmentId, Step]:
    now = datetime.now(UTC)
    steps = ((one, step_that_is_due(table, one, now)) for one in enrollment_ids)
    return {one: step for one, step in steps if step is not None}
