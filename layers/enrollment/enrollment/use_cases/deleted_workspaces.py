"""The marks of workspaces that are being deleted, or were (``workspace_deletion``)."""

from collections.abc import Iterable

from enrollment.store.actions import Action, require_absent
from enrollment.store.attributes import Item
from enrollment.store.keys import deleted_workspace_key
from enrollment.store.table import Table


def deletions_of(table: Table, workspace_ids: Iterable[str]) -> dict[str, Item]:
    """Return the marks of workspaces that are being deleted, or were, by the workspaces' ids.

    Args:
        table: The table.
        workspace_ids: The workspaces.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    marks = table.get_all(map(deleted_workspace_key, workspace_ids)).values()
    return {str(mark["workspace_id"]): mark for mark in marks}


def is_not_deleted(workspace_id: str) -> dict[str, Action]:
    """Return the guard of a table whose transactions do nothing in a workspace that is being deleted, or was."""
    return {f"{workspace_id} is not deleted": require_absent(deleted_workspace_key(workspace_id))}
