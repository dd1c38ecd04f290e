"""``enrollments workspaces export`` and ``import``: a whole workspace out of a table, and into one."""

import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import click

from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.pending_removals import pending_removals
from enrollment.use_cases.workspaces import StoredWorkspace, show
from enrollments.failure import CommandFailed
from enrollments.files import STANDARD_STREAM, opened_twice, printable, progress_of, replacing
from enrollments.imports import Messages, Summary
from enrollments.moving.exporting import NotExportableError, export_records
from enrollments.moving.files import check_file, read_lines, write_file
from enrollments.moving.importing import import_lines
from enrollments.moving.planning import Outcome, Terms
from enrollments.moving.records import FORMAT, Head
from enrollments.moving.workspace import prepare_workspace
from enrollments.reasons import words_of_removals
from enrollments.stacks import RELEASE_OUTPUT, DeployedStack
from enrollments.target import Uuid, in_table, require_workspaces, stack_of_command
from enrollments.texts import ERASE_LINE, counted, is_at_terminal

_TOLD_EVERY = 500
# The first release whose functions know what an import restores.
_FIRST_RELEASE = (0, 3, 0)
_NOT_IN_THE_FILE = "Not in the file: tokens, client sessions, webhooks, connectors with their secrets, and events."
_SET_AGAIN = (
    "Not in any file, so set them again: tokens (enrollments tokens create), webhooks (/webhooks/create) and "
    "connectors (enrollments connectors set)."
)
_GO_ON = "Start the pending work: enrollments provisioning check --mend --workspace-id {workspace_id}{connectors}"


@click.command("export")
@click.argument("workspace_id", type=Uuid())
@click.option(
    "-o", "--output", default=STANDARD_STREAM, type=click.Path(dir_okay=False, allow_dash=True), help="The file."
)
@click.option(
    "--without-removals",
    is_flag=True,
    help="Export also if managers still have something of deleted people. The file does not have that, so the stack "
    "that it is imported into never removes it.",
)
@in_table
def export_workspace(table: Table, workspace_id: str, output: str, *, without_removals: bool) -> None:
    """Export the workspace WORKSPACE_ID as JSON Lines that `enrollments workspaces import` takes.

    The file has ACS systems, credential pools, user identities, ACS users, credentials, phones and automations, with
    names and addresses of people, and no secrets. The workspace may be in use meanwhile. A file is replaced only when
    it is complete.
    """
    require_workspaces(table, [workspace_id])
    workspace = show(table, workspace_id)
    if workspace is None:  # it was deleted between the two reads
        require_workspaces(table, [workspace_id])
        return
    if not without_removals and (people := pending_removals(table, workspace_id)):
        raise CommandFailed(
            f"{words_of_removals(people)}; `enrollments phones --workspace-id {workspace_id}` shows them. Wait until "
            "they are removed, or add --without-removals: the file does not have them"
        )
    head = Head(format=FORMAT, exported_at=timestamp(datetime.now(UTC)), **workspace._asdict())
    try:
        with replacing(output) as stream, _counting() as tell:
            records = export_records(table, workspace_id, is_sandbox=workspace.is_sandbox)
            counts = write_file(stream, head, records, tell)
    except sqlite3.Error as error:
        raise CommandFailed(f"{error}, and no file was written; make room for temporary files") from error
    except NotExportableError as error:
        raise CommandFailed(printable(str(error))) from error
    except KeyboardInterrupt as error:
        raise CommandFailed("interrupted, and no file was written; run the command again") from error
    for name, count in counts.items():
        click.echo(f"{count:,} {name}", err=True)
    click.echo(_NOT_IN_THE_FILE, err=True)


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--workspace-id", type=Uuid(), help="The file's workspace. It is required if the workspace is there.")
@click.option("--dry-run", is_flag=True, help="Check everything, write nothing.")
@click.option("--replace", is_flag=True, help="Replace the profiles of systems, pools, user identities and ACS users.")
@click.option("--restore-deleted", is_flag=True, help="Bring a workspace back that was deleted.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, for scripts.")
@in_table
def import_workspace(  # noqa: PLR0913 - options
    table: Table,
    file: str,
    *,
    workspace_id: str | None,
    dry_run: bool,
    replace: bool,
    restore_deleted: bool,
    as_json: bool,
) -> None:
    """Import FILE, which `enrollments workspaces export` has written, into this table.  `-` is standard input.

    Ids and times stay the same. The workspace is created if it is not there. If it is there, --workspace-id has to name
    it, and what is there already is kept as it is. Nothing that the import creates makes an event, and no credential
    manager is asked for it. With --replace, managers are told of changed names, as after any change. Each bad line gets
    a line on standard error (FILE:LINE: FIELD: REASON), and the exit status is then 1. To resume an interrupted
    import, run it again.
    """
    _require_release(stack_of_command())
    summary = Summary("record", Outcome, is_dry_run=dry_run)
    terms = Terms(timestamp(datetime.now(UTC)), is_replacing=replace, is_dry_run=dry_run)
    with (
        summary.of_import(file, "import the file again, with --workspace-id", as_json=as_json),
        opened_twice(file) as stream,
    ):
        head = check_file(stream)
        stream.seek(0)
        if workspace_id not in (None, head.workspace_id):
            raise CommandFailed(f"the file is of workspace {head.workspace_id}, and not of {workspace_id}")
        agree = partial(_agree, head, is_named=workspace_id is not None or dry_run)
        guarded = prepare_workspace(table, head, agree, is_deletion_over=restore_deleted, is_dry_run=dry_run)
        with progress_of(stream) as advance:
            messages = Messages(file, advance)
            for result in import_lines(guarded, head.workspace_id, read_lines(stream), terms):
                summary.add(result.outcome)
                messages.show(result)
    _tell_end(summary, head, as_json=as_json)
    if summary.counts[Outcome.BAD]:
        click.get_current_context().exit(1)


def _require_release(stack: DeployedStack | None) -> None:
    """Require that a stack's functions know what an import restores.

    Raises:
        CommandFailed: They would make events of it, and start executions.
    """
    if stack is None:
        return
    release = stack.outputs.get(RELEASE_OUTPUT, "")
    numbers = tuple(map(int, re.findall(r"\d+", release)))
    if numbers < _FIRST_RELEASE:
        told = f"release {release}" if release else "an older release"
        raise CommandFailed(
            f"stack {stack.name} is of {told}, which would make "
            "events of what an import restores and ask credential managers again; deploy this release there first"
        )


def _agree(head: Head, existing: StoredWorkspace | None, *, is_named: bool) -> None:
    """Say into which workspace a file is imported.  If it is there, and nobody has named it, ask.

    Raises:
        CommandFailed: The operator means another one, or cannot be asked.
    """
    name = head.name if existing is None else existing.name
    state = "new" if existing is None else "there already"
    click.echo(printable(f"Importing into workspace {head.workspace_id}, {name}, which is {state}."), err=True)
    if existing is None or is_named:
        return
    if not is_at_terminal():
        raise CommandFailed(f"to import into a workspace that is there, name it: --workspace-id {head.workspace_id}")
    if not click.confirm("Is this the one?", err=True):
        raise CommandFailed("nothing was imported")


def _tell_end(summary: Summary, head: Head, *, as_json: bool) -> None:
    summary.print(as_json=as_json)
    if not summary.is_dry_run:
        click.echo(_SET_AGAIN, err=True)
        connectors = "" if head.is_sandbox else " (after the connectors are set)"
        click.echo(_GO_ON.format(workspace_id=head.workspace_id, connectors=connectors), err=True)


@contextmanager
def _counting() -> Iterator[Callable[[int], None]]:
    """Show on a terminal how many records were exported.  Yield a function that takes that number."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return

    def tell(number: int) -> None:
        if number % _TOLD_EVERY == 0:
            click.echo(f"{ERASE_LINE}Exporting: {counted(number, 'record')}", nl=False, err=True)

    yield tell
    click.echo(ERASE_LINE, nl=False, err=True)
