"""The workspace that a file is imported into: the one that is there, or a new one with the same id."""

from collections.abc import Callable

from enrollment.store.actions import Action, as_read, delete, put_new, require_absent
from enrollment.store.items import stored_workspace
from enrollment.store.keys import deleted_workspace_key
from enrollment.store.table import Table
from enrollment.use_cases.deleted_workspaces import deletions_of, is_not_deleted
from enrollment.use_cases.workspaces import StoredWorkspace, show
from enrollments.failure import CommandFailed
from enrollments.moving.records import Head
from enrollments.reasons import moment

_ROUNDS = 4


def prepare_workspace(
    table: Table,
    head: Head,
    agree: Callable[[StoredWorkspace | None], None],
    *,
    is_deletion_over: bool,
    is_dry_run: bool,
) -> Table:
    """Create the workspace of a file, unless it is there.

    Args:
        table: The table, without a guard.
        head: The file's first line.
        agree: Gets the workspace that is there, or ``None``, before anything is written.  It raises if the operator
            means another one.
        is_deletion_over: Whether the operator wants a workspace back that was deleted.
        is_dry_run: Whether nothing is written.

    Returns:
        The table for the import: if the deletion of the workspace begins, its transactions are refused.

    Raises:
        CommandFailed: The workspace cannot be used; the message says what to do.
        ServiceUnavailable: The database stays out of reach.
    """
    workspace_id = head.workspace_id
    guarded = table.guarded_by(is_not_deleted(workspace_id))
    for _ in range(_ROUNDS):
        mark = deletions_of(table, [workspace_id]).get(workspace_id)
        if mark is not None and "finished_at" not in mark:
            raise CommandFailed(
                f"workspace {workspace_id} is being deleted, since {moment(mark['started_at'])}; finish that first: "
                f"enrollments workspaces delete {workspace_id}"
            )
        if mark is not None and not is_deletion_over:
            raise CommandFailed(
                f"workspace {workspace_id} was deleted, at {moment(mark['finished_at'])}; "
                "--restore-deleted brings it back"
            )
        existing = show(table, workspace_id)
        if existing is not None and existing.is_sandbox != head.is_sandbox:
            kinds = (
                "a sandbox, and that of the file is none"
                if existing.is_sandbox
                else "no sandbox, and that of the file is one"
            )
            raise CommandFailed(f"workspace {workspace_id} is {kinds}")
        agree(existing)
        if is_dry_run or (existing is not None and mark is None):
            return guarded
        mark_key = deleted_workspace_key(workspace_id)
        actions: dict[str, Action] = {
            "mark": require_absent(mark_key) if mark is None else delete(mark_key, as_read(mark, ["finished_at"]))
        }
        item = head.model_dump(include={"workspace_id", "name", "is_sandbox", "created_at"})
        actions |= {f"item_{index}": put_new(*one) for index, one in enumerate(stored_workspace(item).items())}
        if not table.transact(actions):
            return guarded
    raise CommandFailed(f"another client keeps changing workspace {workspace_id}; import the file again")
