"""``enrollments workspaces delete`` and ``prove-deleted``: the end of a workspace, and the proof of it."""

import json
import re
import sys
from collections.abc import Mapping
from datetime import timedelta
from itertools import islice

import click

from enrollment.store.keys import Key, deleted_workspace_key
from enrollment.store.table import Table
from enrollment.use_cases import waits
from enrollment.use_cases import workspaces as use_cases
from enrollment.use_cases.deleted_workspaces import deletions_of
from enrollment.use_cases.waiting import Why
from enrollment.use_cases.workspace_deletion import (
    DeletionOverError,
    OtherTermsError,
    Progress,
    RemovalsPendingError,
    Step,
    StillAtManagersError,
    Terms,
    WorkspaceNotFoundError,
    delete_workspace,
    left_of_workspace,
)
from enrollments.failure import CommandFailed
from enrollments.reasons import people_of, words_of, words_of_removals
from enrollments.target import Uuid, in_table, require_workspaces, stack_of_command
from enrollments.texts import ERASE_LINE, is_at_terminal

_CACHE_PARAMETER, _USUAL_CACHE_SECONDS = "AuthorizerCacheSeconds", 60
_LOGS_PARAMETER, _USUAL_LOG_DAYS = "LogRetentionDays", "as many as LogRetentionDays says, by default 30,"
_MOST_SHOWN = 20

_BEGINS = {
    Step.MARK: "The workspace is marked: commands refuse it, and it has no more events.",
    Step.END_ACCESS: "Tokens, client sessions and webhooks that ended: {}.",
    Step.WAIT_FOR_REQUESTS: "Waiting {} s for requests that were let in before.",
    Step.DELETE_PEOPLE: "People with phones or credentials that are deleted: {}.",
    Step.WAIT_FOR_MANAGERS: "Waiting for credential managers to give back what they have: person {}.",
    Step.DELETE_REST: "Other items that are deleted: {}.",
    Step.WAIT_FOR_INVOCATIONS: "Waiting {} s for invocations of functions that had begun.",
}
# The kinds of partitions that are named by what people are called: what follows them is not printed.
_OF_PEOPLE = re.compile(r"(#(?:UNIQUE_\w+|ACS_USERS_BY_\w+|CLIENT_SESSIONS?_OF_KEY)#).*")
_COUNTS = {Step.DELETE_PEOPLE, Step.WAIT_FOR_MANAGERS, Step.DELETE_REST}


@click.command("delete")
@click.argument("workspace_id", type=Uuid())
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.option(
    "--leave-at-managers",
    is_flag=True,
    help="Leave phones and credentials at their credential managers, because the workspace has moved to another table.",
)
@click.option(
    "--without-removals",
    is_flag=True,
    help="With --leave-at-managers: go on although managers still have something of deleted people, which nobody will "
    "remove then.",
)
@click.option(
    "--patience",
    type=click.IntRange(0, 7 * 24 * 3600),
    default=900,
    show_default=True,
    help="Seconds to wait for credential managers.",
)
@click.option(
    "--authorizer-cache-seconds",
    type=click.IntRange(0, 3600),
    help="For how long API Gateway keeps a decision about a token. The default is the stack's, or 60 without a stack.",
)
@in_table
def delete(  # noqa: PLR0913 - options
    table: Table,
    workspace_id: str,
    *,
    yes: bool,
    leave_at_managers: bool,
    without_removals: bool,
    patience: int,
    authorizer_cache_seconds: int | None,
) -> None:
    """Delete the workspace WORKSPACE_ID with all that belongs to it, for good.

    Its tokens and client sessions end first. Then phones and credentials are taken back from their credential managers,
    and everything is deleted. At the end a scan of the whole table proves that nothing is left. To finish an
    interrupted deletion, run the command again.
    """
    if without_removals and not leave_at_managers:
        raise click.UsageError("--without-removals goes with --leave-at-managers")
    if not yes:
        _confirm(table, workspace_id)
    cache_seconds = authorizer_cache_seconds
    if cache_seconds is None:
        cache_seconds = int(parameters_of_command().get(_CACHE_PARAMETER, _USUAL_CACHE_SECONDS))
    terms = Terms(timedelta(seconds=cache_seconds), timedelta(seconds=patience), leave_at_managers, without_removals)
    telling = _Telling()
    try:
        delete_workspace(table, workspace_id, terms, telling.tell, waits.CLOCK)
    except WorkspaceNotFoundError as error:
        require_workspaces(table, [workspace_id])
        raise CommandFailed("the workspace was created just now; run the command again") from error
    except RemovalsPendingError as error:
        telling.end_line()
        raise CommandFailed(
            f"{words_of_removals(error.people)}; `enrollments phones --workspace-id {workspace_id}` shows them. Wait "
            "until they are removed, or add --without-removals, and nobody removes them"
        ) from error
    except OtherTermsError as error:
        raise CommandFailed(
            "an earlier call has chosen that phones and credentials stay at their managers; add --leave-at-managers to "
            "go on"
        ) from error
    except DeletionOverError as error:
        telling.end_line()
        raise CommandFailed(
            "another operator has brought the workspace back meanwhile, or leaves it at its managers. Nothing more is "
            "deleted; if it was brought back, have its file imported again"
        ) from error
    except StillAtManagersError as error:
        telling.end_line()
        raise CommandFailed(_what_is_still_there(error.people)) from error
    except KeyboardInterrupt as error:
        telling.end_line()
        raise CommandFailed("interrupted; to finish the deletion, run the command again") from error
    telling.end_line()
    _prove(table, workspace_id)


@click.command("prove-deleted")
@click.argument("workspace_id", type=Uuid())
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@in_table
def prove_deleted(table: Table, workspace_id: str, *, as_json: bool) -> None:
    """Prove that nothing is left of the deleted workspace WORKSPACE_ID.

    The command reads the whole table. If something is left, its keys are printed, and the exit status is 1.
    """
    mark = table.get(deleted_workspace_key(workspace_id))
    if mark is None or "finished_at" not in mark:
        require_workspaces(table, [workspace_id])
        raise CommandFailed(
            f"workspace {workspace_id} is not deleted; `enrollments workspaces delete {workspace_id}` does that"
        )
    if not as_json:
        _prove(table, workspace_id)
        return
    left = sum(1 for _ in left_of_workspace(table, workspace_id))
    click.echo(json.dumps({"workspace_id": workspace_id, "deleted_at": mark["finished_at"], "items_left": left}))
    if left:
        click.get_current_context().exit(1)


class _Telling:
    """Tells of a deletion: a line for each step, and on a terminal a line that counts."""

    def __init__(self) -> None:
        self._last: Progress | None = None
        self._counts_on_terminal = sys.stderr.isatty()

    def tell(self, progress: Progress) -> None:
        is_same_step = self._last is not None and self._last.step is progress.step
        if self._last is not None and not is_same_step:
            self.end_line()
        self._last = progress
        if progress.step not in _COUNTS:
            click.echo(_line_of(progress), err=True)
        elif self._counts_on_terminal:
            click.echo(f"{ERASE_LINE}{_line_of(progress)}", nl=False, err=True)

    def end_line(self) -> None:
        """End the line that counts, if there is one."""
        if self._last is not None and self._last.step in _COUNTS:
            click.echo(f"{ERASE_LINE if self._counts_on_terminal else ''}{_line_of(self._last)}", err=True)
        self._last = None


def _line_of(progress: Progress) -> str:
    return _BEGINS[progress.step].format(f"{progress.number:,}")


def _confirm(table: Table, workspace_id: str) -> None:
    """Ask for the name of a workspace that is not yet being deleted."""
    if deletions_of(table, [workspace_id]):
        return
    require_workspaces(table, [workspace_id])
    found = use_cases.show(table, workspace_id)
    if found is None:
        return
    if not is_at_terminal():
        raise click.UsageError("there is no terminal to ask at; add --yes to delete the workspace without a question")
    kind = "sandbox" if found.is_sandbox else "production"
    click.echo(f"This deletes all of the {kind} workspace {workspace_id} for good, and ends its tokens now.", err=True)
    if click.prompt(f"To go on, type its name, {found.name}", err=True) != found.name:
        raise CommandFailed("that is another name, so nothing was deleted")


def _prove(table: Table, workspace_id: str) -> None:
    """Print the proof that nothing is left.

    Raises:
        CommandFailed: Something is left.
    """
    left = left_of_workspace(table, workspace_id)
    shown = list(islice(left, _MOST_SHOWN))
    if shown:
        for key in shown:
            click.echo(f"left: {shown_key(key)}", err=True)
        count = len(shown) + sum(1 for _ in left)
        raise CommandFailed(
            f"items that are left: {count:,}; to delete them, run: enrollments workspaces delete {workspace_id}"
        )
    click.echo(f"Workspace {workspace_id} is deleted: a scan of the whole table finds nothing of it.")
    click.echo(what_stays(parameters_of_command()))


def shown_key(key: Key) -> str:
    """Return a key as commands print it: without the addresses, names and keys of people that some have."""
    pk = _OF_PEOPLE.sub(r"\1…", key.pk)
    return f"{pk}  {key.sk}"


def what_stays(parameters: Mapping[str, str]) -> str:
    """Return where something of what was deleted stays, and for how long.

    Args:
        parameters: The parameters of the stack; empty without a stack.
    """
    days = parameters.get(_LOGS_PARAMETER, _USUAL_LOG_DAYS)
    return (
        "Elsewhere there is still: what point-in-time recovery keeps, for 35 days; backups and exports that you made, "
        "until you delete them; the table's stream, for a day; messages in queues, for 14 days at most, and durable "
        f"executions, for 7 days after they end, with ids only; logs, with ids only, for {days} days; traces, for 30 "
        "days; and what webhooks and the event bus have got."
    )


def _what_is_still_there(people: Mapping[tuple[str, Why | None], int]) -> str:
    parts = [
        f"{manager_id} ({count:,} {people_of(count)}): {words_of(why)}"
        for (manager_id, why), count in sorted(people.items(), key=str)
    ]
    return (
        f"credential managers still have phones or credentials: {'; '.join(parts)}. Mend that and run the command "
        "again. Or add --leave-at-managers: then phones keep what they have there"
    )


def parameters_of_command() -> dict[str, str]:
    """Return the parameters of the stack that the running command names; empty if it names a table."""
    stack = stack_of_command()
    return {} if stack is None else stack.parameters
