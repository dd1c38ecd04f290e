"""Rows of directory files."""

from experiments.reliability.model.calls import Caller, Json, Refusal
from experiments.reliability.model.records import AcsUser, Pool, System
from experiments.reliability.model.state import State


def import_row(state: State, workspace: str, row: Json, now: str) -> str:
    """Import a row of a directory file, and return the result.

    Args:
        workspace: The workspace.
        row: Names a record by its id; what is absent stays, what is null goes.
        now: When a record that is new was created, unless the row says so.
    """
    caller = Caller(workspace)
    try:
        if "acs_user_id" in row:
            return _import_acs_user(state, caller, row, now)
        if "acs_credential_pool_id" in row:
            return _import_pool(state, caller, row, now)
        return _import_system(state, caller, row, now)
    except Refusal:
        return "bad"


def _import_acs_user(state: State, caller: Caller, row: Json, now: str) -> str:
    system = state.system(caller, row["acs_system_id"])
    found = [one for one in state.acs_users if (one.workspace, one.id) == (caller.workspace, row["acs_user_id"])]
    if found and found[0].system is not system:
        return "bad"
    acs_user = found[0] if found else AcsUser(caller.workspace, system, id=row["acs_user_id"], created_at=now)
    before = _imported(acs_user)
    acs_user.name = row.get("full_name", acs_user.name)
    acs_user.email = row.get("email_address", acs_user.email)
    acs_user.phone = row.get("phone_number", acs_user.phone)
    acs_user.created_at = row.get("created_at", acs_user.created_at)
    if not found:
        state.acs_users.append(acs_user)
        return "created"
    return "unchanged" if _imported(acs_user) == before else "updated"


def _imported(one: AcsUser) -> tuple[str | None, ...]:
    return one.name, one.email, one.phone, one.created_at


def _import_pool(state: State, caller: Caller, row: Json, now: str) -> str:
    system = state.system(caller, row["acs_system_id"])
    pool_id = row["acs_credential_pool_id"]
    found = [one for one in state.pools if (one.workspace, one.id) == (caller.workspace, pool_id)]
    if not system.is_manager or (found and found[0].system is not system):
        return "bad"
    if not found:
        if "display_name" not in row:
            return "bad"
        new = Pool(caller.workspace, system, pool_id, now, row["display_name"], "HID part number")
        state.pools.append(new)
        return "created"
    is_same = row.get("display_name", found[0].name) == found[0].name
    found[0].name = row.get("display_name", found[0].name)
    return "unchanged" if is_same else "updated"


def _import_system(state: State, caller: Caller, row: Json, now: str) -> str:
    found = [one for one in state.systems if (one.workspace, one.id) == (caller.workspace, row["acs_system_id"])]
    if not found:
        if not {"name", "is_credential_manager", "connected_account_id"} <= row.keys():
            return "bad"
        account = row["connected_account_id"]
        new = System(caller.workspace, row["name"], row["is_credential_manager"], account, row["acs_system_id"], now)
        state.systems.append(new)
        return "created"
    (system,) = found
    wanted = (row.get("name", system.name), row.get("is_credential_manager", system.is_manager))
    if system.is_manager and not wanted[1]:
        return "bad"
    if wanted == (system.name, system.is_manager):
        return "unchanged"
    system.name, system.is_manager = wanted
    return "updated"
