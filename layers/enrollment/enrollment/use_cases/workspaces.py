"""Workspaces: what a token sees of them, and what an operator does with them.

A workspace that an older release used has no item until an operator adopts it.  For its tokens it is there all the
same, under its id and as no sandbox.
"""

import uuid
from datetime import UTC, datetime
from typing import NamedTuple

from enrollment.callers import Caller, Principal, split_ids
from enrollment.errors import ServiceUnavailable
from enrollment.resources.workspaces import Workspace
from enrollment.store.actions import change, put_new
from enrollment.store.attributes import Item
from enrollment.store.items import stored_workspace
from enrollment.store.keys import (
    EVERY_WORKSPACE,
    listed_id,
    token_key,
    token_listing_key,
    workspace_key,
    workspace_listing_key,
    workspace_of,
)
from enrollment.store.table import Table
from enrollment.timestamps import timestamp

LONGEST_NAME = 100


class StoredWorkspace(NamedTuple):
    """A workspace as an operator sees it.

    Attributes:
        workspace_id: Its id.
        name: Its name.
        is_sandbox: Whether it is a sandbox.
        created_at: When it was created or adopted.
    """

    workspace_id: str
    name: str
    is_sandbox: bool
    created_at: str


def get(table: Table, caller: Caller) -> Workspace:
    """Return the workspace of a request.

    Args:
        table: The table.
        caller: Who asks.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    return _workspace(caller.workspace_id, table.get(workspace_key(caller.workspace_id)))


def list_of_token(table: Table, principal: Principal) -> list[Workspace]:
    """Return the workspaces that a token may enter, in the order in which the token names them.

    Args:
        table: The table.
        principal: Whom the token speaks for.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    found = table.get_all(map(workspace_key, principal.workspace_ids))
    return [_workspace(one, found.get(workspace_key(one))) for one in principal.workspace_ids]


def create(table: Table, name: str, *, is_sandbox: bool) -> StoredWorkspace:
    """Create a workspace with a new id.

    Args:
        table: The table.
        name: What people call it.
        is_sandbox: Whether it is a sandbox.

    Raises:
        ValueError: It cannot have that name.
        ServiceUnavailable: The database stays out of reach.
    """
    created = _new(str(uuid.uuid4()), name, is_sandbox=is_sandbox)
    if not _put(table, created):
        raise ServiceUnavailable  # the same random id twice
    return created


def adopt(table: Table, workspace_id: str, *, is_sandbox: bool) -> bool:
    """Create the item of a workspace that an older release used.  Its name is its id, until it is renamed.

    Args:
        table: The table.
        workspace_id: The workspace.
        is_sandbox: Whether it is a sandbox.

    Returns:
        Whether it had none.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    return _put(table, _new(workspace_id, workspace_id, is_sandbox=is_sandbox))


def rename(table: Table, workspace_id: str, name: str) -> bool:
    """Rename a workspace.

    Args:
        table: The table.
        workspace_id: The workspace.
        name: Its new name.

    Returns:
        Whether it exists.

    Raises:
        ValueError: It cannot have that name.
        ServiceUnavailable: The database stays out of reach.
    """
    require_name(name)
    return not table.transact({"workspace": change(workspace_key(workspace_id), assign={"name": name})})


def show(table: Table, workspace_id: str) -> StoredWorkspace | None:
    """Return a workspace; ``None`` if it has no item.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    item = table.get(workspace_key(workspace_id))
    return None if item is None else _stored(item)


def list_all(table: Table) -> list[StoredWorkspace]:
    """Return all workspaces that have an item, oldest first.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    entries = table.query(workspace_listing_key("", "").pk)
    keys = [workspace_key(listed_id(str(entry["sk"]))) for entry in entries]
    found = table.get_all(keys)
    return [_stored(found[key]) for key in keys if key in found]


def find_unadopted(table: Table) -> list[str]:
    """Return the ids of the workspaces that tokens or items name and that have no item of their own.

    It reads the whole table.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    shorts = [str(entry["sk"]) for entry in table.query(token_listing_key("").pk)]
    records = table.get_all(map(token_key, shorts)).values()
    named = {one for record in records for one in split_ids(str(record["workspace_ids"]))}
    named |= {workspace_of(str(item["pk"])) for item in table.scan(EVERY_WORKSPACE)}
    found = table.get_all(map(workspace_key, named))
    return sorted(one for one in named if workspace_key(one) not in found)


def require_name(name: str) -> None:
    """Require that a workspace can have a name.

    Raises:
        ValueError: It cannot.
    """
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise ValueError(f"a workspace's name has 1 to {LONGEST_NAME} printable characters")


def _new(workspace_id: str, name: str, *, is_sandbox: bool) -> StoredWorkspace:
    require_name(name)
    return StoredWorkspace(workspace_id, name, is_sandbox, timestamp(datetime.now(UTC)))


def _put(table: Table, workspace: StoredWorkspace) -> bool:
    stored = stored_workspace(workspace._asdict())
    return not table.transact({f"item_{index}": put_new(*item) for index, item in enumerate(stored.items())})


def _stored(item: Item) -> StoredWorkspace:
    return StoredWorkspace(
        str(item["workspace_id"]), str(item["name"]), bool(item["is_sandbox"]), str(item["created_at"])
    )


def _workspace(workspace_id: str, item: Item | None) -> Workspace:
    name = workspace_id if item is None else str(item["name"])
    is_sandbox = item is not None and bool(item["is_sandbox"])
    return Workspace(workspace_id=workspace_id, name=name, company_name=name, is_sandbox=is_sandbox)
