"""ACS systems and their credential pools: the use cases."""

from collections.abc import Callable, Iterable, Sequence

from enrollment.callers import Caller
from enrollment.errors import AcsSystemNotFound, UserIdentityNotFound
from enrollment.resources.acs_systems import (
    AcsCredentialPool,
    AcsSystem,
    AcsSystemRequest,
    ListAcsCredentialPoolsRequest,
    ListAcsSystemsRequest,
)
from enrollment.store.attributes import Item
from enrollment.store.keys import (
    Key,
    acs_credential_pool_key,
    acs_credential_pool_listing_key,
    acs_system_key,
    acs_system_listing_key,
    credential_manager_listing_key,
    listed_id,
    user_identity_key,
)
from enrollment.store.listings import MOST_RECORDS, Page, is_found, newest_first, positions_of, read_page
from enrollment.store.table import Table
from enrollment.use_cases.acs_users import acs_users_of, user_identity_items
from enrollment.use_cases.compatibility import named_credential_managers
from enrollment.use_cases.links import require_usable


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
    return acs_system_of(_require_system(table, caller, request.acs_system_id))


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

    load = _loader(table, lambda system_id: acs_system_key(caller.workspace_id, system_id), keep, acs_system_of)
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
        lambda item: item["is_credential_manager"] is True,
        acs_system_of,
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
    return [acs_system_of(item) for item in systems]


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
        AcsCredentialPool.model_validate,
    )
    return read_page(positions, load, lambda _: True, request.limit)


def _loader[Record](
    table: Table, key: Callable[[str], Key], keep: Callable[[Item], bool], make: Callable[[Item], Record]
) -> Callable[[Sequence[str]], list[Record | None]]:
    def load(positions: Sequence[str]) -> list[Record | None]:
        keys = [key(listed_id(position)) for position in positions]
        found = table.get_all(keys)
        return [make(found[key]) if key in found and keep(found[key]) else None for key in keys]

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


def acs_system_of(item: Item) -> AcsSystem:
    """Return an ACS system as the API answers it."""
    return AcsSystem.model_validate(
        {
            "default_credential_manager_acs_system_id": None,
            "image_url": "",
            "image_alt_text": "",
            **item,
            "connected_account_ids": [item["connected_account_id"]],
            "location": {"time_zone": item.get("time_zone")},
        }
    )
