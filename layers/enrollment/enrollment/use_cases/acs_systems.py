"""ACS systems and their credential pools: the use cases."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from enrollment.callers import Caller
from enrollment.errors import AcsSystemNotFound, UserIdentityNotFound
from enrollment.resources.acs_systems import (
    AcsCredentialPool,
    AcsSystem,
    AcsSystemError,
    AcsSystemRequest,
    AcsSystemWarning,
    ListAcsCredentialPoolsRequest,
    ListAcsSystemsRequest,
)
from enrollment.store.attributes import Item
from enrollment.store.items import is_there
from enrollment.store.keys import (
    Key,
    acs_credential_pool_key,
    acs_credential_pool_listing_key,
    acs_system_key,
    acs_system_listing_key,
    connector_key,
    credential_manager_listing_key,
    listed_id,
    manager_pause_key,
    user_identity_key,
    workspace_key,
)
from enrollment.store.listings import MOST_RECORDS, Page, is_found, newest_first, positions_of, read_page
from enrollment.store.table import Table
from enrollment.use_cases.acs_users import acs_users_of, user_identity_items
from enrollment.use_cases.compatibility import named_credential_managers
from enrollment.use_cases.links import require_usable

# `PauseReason.DISCONNECTED`.  Its module would make each start slower, because it imports the managers' protocol.
_REASON_OF_NO_ACCESS = "disconnected"
_DISCONNECTED = "The credential manager's connector refuses requests. Its owner has to give access again."
_SETUP_REQUIRED = "The credential manager has no connector yet. Phones and credentials wait until it has one."


def get_system(table: Table, caller: Caller, request: AcsSystemRequest) -> AcsSystem:
    """Return an ACS system.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        AcsSystemNotFound: There is none.
        ServiceUnavailable: The database stays out of reach.
    """
    workspace_id, key = caller.workspace_id, acs_system_key(caller.workspace_id, request.acs_system_id)
    found = table.batch_get([key, *_state_keys(workspace_id, [request.acs_system_id])])
    if key not in found:
        raise AcsSystemNotFound
    return _with_state(found[key], found)


def list_systems(
    table: Table, caller: Caller, request: ListAcsSystemsRequest, after: str | None = None
) -> Page[AcsSystem]:
    """Return a page of the workspace's ACS systems, newest first; a client session sees those of its user identities.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.
        after: The position behind which the page begins.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    if caller.user_identity_ids is not None:
        identities = user_identity_items(table, caller.workspace_id, caller.user_identity_ids)
        systems = _systems_of(table, caller.workspace_id, identities)
        positions = positions_of(systems, "acs_system_id", after=after)
    else:
        listing = acs_system_listing_key(caller.workspace_id, "", "").pk
        positions = newest_first(table, listing, after=after, limit=request.limit)

    def keep(item: Item) -> bool:
        return (
            (request.connected_account_id is None or request.connected_account_id == item["connected_account_id"])
            and (request.customer_key is None or request.customer_key == item.get("customer_key"))
            and is_found(request.search, [item["name"], item["acs_system_id"]])
        )

    load = _loader(
        table,
        lambda system_id: acs_system_key(caller.workspace_id, system_id),
        keep,
        lambda items: _answered(table, caller.workspace_id, items),
    )
    return read_page(positions, load, lambda _: True, request.limit)


def list_compatible_credential_managers(table: Table, caller: Caller, request: AcsSystemRequest) -> list[AcsSystem]:
    """Return the credential managers that can issue credentials for an ACS system.

    They are those that it names, ``default_credential_manager_acs_system_id`` among them.  If it names none, they are
    all of the workspace.  There are at most 1,000, newest first.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        AcsSystemNotFound: There is no such system.
        ServiceUnavailable: The database stays out of reach.
    """
    system = _require_system(table, caller, request.acs_system_id)
    if named := named_credential_managers(system):
        items = table.get_all(acs_system_key(caller.workspace_id, system_id) for system_id in named).values()
        positions = positions_of(items, "acs_system_id")
    else:
        listing = credential_manager_listing_key(caller.workspace_id, "", "").pk
        positions = newest_first(table, listing, limit=MOST_RECORDS)
    load = _loader(
        table,
        lambda system_id: acs_system_key(caller.workspace_id, system_id),
        lambda item: item["is_credential_manager"] is True and is_there(item),
        lambda items: _answered(table, caller.workspace_id, items),
    )
    return read_page(positions, load, lambda _: True, MOST_RECORDS).records


def systems_of_user_identity(table: Table, caller: Caller, user_identity_id: str) -> list[AcsSystem]:
    """Return the ACS systems in which a user identity has an ACS user, newest first.

    Raises:
        UserIdentityNotFound: There is no such user identity, or the caller does not see it.
        ServiceUnavailable: The database stays out of reach.
    """
    if not caller.sees(user_identity_id):
        raise UserIdentityNotFound
    identity = require_usable(table.get(user_identity_key(caller.workspace_id, user_identity_id)))
    systems = _systems_of(table, caller.workspace_id, [identity])
    systems.sort(key=lambda item: (str(item["created_at"]), str(item["acs_system_id"])), reverse=True)
    return _answered(table, caller.workspace_id, systems)


def list_credential_pools(
    table: Table, caller: Caller, request: ListAcsCredentialPoolsRequest, after: str | None = None
) -> Page[AcsCredentialPool]:
    """Return a page of an ACS system's credential pools, newest first.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.
        after: The position behind which the page begins.

    Raises:
        AcsSystemNotFound: There is no such system.
        ServiceUnavailable: The database stays out of reach.
    """
    _require_system(table, caller, request.acs_system_id)
    listing = acs_credential_pool_listing_key(caller.workspace_id, request.acs_system_id, "", "").pk
    positions = newest_first(table, listing, after=after, limit=request.limit)
    load = _loader(
        table,
        lambda pool_id: acs_credential_pool_key(caller.workspace_id, pool_id),
        lambda _: True,
        lambda items: list(map(AcsCredentialPool.model_validate, items)),
    )
    return read_page(positions, load, lambda _: True, request.limit)


def _loader[Record](
    table: Table,
    key: Callable[[str], Key],
    keep: Callable[[Item], bool],
    make: Callable[[Sequence[Item]], Sequence[Record]],
) -> Callable[[Sequence[str]], list[Record | None]]:
    def load(positions: Sequence[str]) -> list[Record | None]:
        keys = [key(listed_id(position)) for position in positions]
        kept = {key: item for key, item in table.get_all(keys).items() if keep(item)}
        made = dict(zip(kept, make(list(kept.values())), strict=True))
        return [made.get(key) for key in keys]

    return load


def _require_system(table: Table, caller: Caller, acs_system_id: str) -> Item:
    system = table.get(acs_system_key(caller.workspace_id, acs_system_id))
    if system is None:
        raise AcsSystemNotFound
    return system


def _systems_of(table: Table, workspace_id: str, user_identities: Iterable[Item]) -> list[Item]:
    users = acs_users_of(table, workspace_id, user_identities)
    systems = table.get_all(acs_system_key(workspace_id, str(user["acs_system_id"])) for user in users)
    return list(systems.values())


def _answered(table: Table, workspace_id: str, systems: Sequence[Item]) -> list[AcsSystem]:
    """Return ACS systems as the API answers them; what credential managers are warned of takes one more request."""
    managers = [str(system["acs_system_id"]) for system in systems if system["is_credential_manager"]]
    state = table.get_all(_state_keys(workspace_id, managers)) if managers else {}
    return [_with_state(system, state) for system in systems]


def _state_keys(workspace_id: str, manager_ids: Iterable[str]) -> list[Key]:
    """Return the keys of what is known of credential managers beside their own items."""
    of_managers = (key(workspace_id, one) for one in manager_ids for key in (connector_key, manager_pause_key))
    return [workspace_key(workspace_id), *of_managers]


def _with_state(system: Item, state: Mapping[Key, Item]) -> AcsSystem:
    """Return an ACS system as the API answers it.

    Args:
        system: Its item.
        state: The items of ``_state_keys``, as far as they exist.
    """
    if not system["is_credential_manager"]:
        return acs_system_of(system)
    workspace_id, system_id = str(system["workspace_id"]), str(system["acs_system_id"])
    # A workspace that an older release has made has no item, and is no sandbox.
    is_simulated = state.get(workspace_key(workspace_id), {}).get("is_sandbox") is True
    is_set_up = is_simulated or connector_key(workspace_id, system_id) in state
    pause = state.get(manager_pause_key(workspace_id, system_id))
    return acs_system_of(
        system,
        errors=[] if pause is None else _errors_of(pause),
        warnings=[] if is_set_up else [_setup_required(system)],
    )


def _errors_of(pause: Item) -> list[AcsSystemError]:
    """Return what a credential manager's pause says is wrong with it.

    After a pause it is asked again.  If it lets the service in, the pause's item is deleted.
    """
    if pause["reason"] != _REASON_OF_NO_ACCESS:
        return []
    paused_at = str(pause["paused_at"])
    return [AcsSystemError(error_code="account_disconnected", message=_DISCONNECTED, created_at=paused_at)]


def _setup_required(manager: Item) -> AcsSystemWarning:
    """Return the warning about a credential manager that is not simulated and has no connector."""
    created_at = str(manager["created_at"])
    return AcsSystemWarning(warning_code="setup_required", message=_SETUP_REQUIRED, created_at=created_at)


def acs_system_of(
    item: Item, *, errors: Sequence[AcsSystemError] = (), warnings: Sequence[AcsSystemWarning] = ()
) -> AcsSystem:
    """Return an ACS system as the API answers it.

    Args:
        item: Its item.
        errors: What is wrong with it.
        warnings: The warnings about it.
    """
    return AcsSystem.model_validate(
        {
            "default_credential_manager_acs_system_id": None,
            "image_url": "",
            "image_alt_text": "",
            **item,
            "connected_account_ids": [item["connected_account_id"]],
            "location": {"time_zone": item.get("time_zone")},
            "errors": errors,
            "warnings": warnings,
        }
    )
