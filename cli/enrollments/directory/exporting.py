"""Export a workspace's directory as resources that can be imported as they are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import batched
from typing import Any

from enrollment.resources.acs_systems import AcsCredentialPool
from enrollment.store.attributes import Item, elements
from enrollment.store.keys import (
    Key,
    acs_credential_pool_listing_key,
    acs_system_key,
    acs_system_listing_key,
    acs_user_listing_key,
    listed_id,
)
from enrollment.store.table import MOST_KEYS, Table
from enrollment.use_cases.acs_systems import acs_system_of
from enrollment.use_cases.acs_users import acs_user_of
from enrollments.directory.rows import KINDS, POOL, SYSTEM, USER, Kind

type _Resource = dict[str, Any]

# Without a limit, a request reads 1 MB of entries, which need 20 MB as Python objects.
_ENTRIES_AT_ONCE = 1000


def export_resources(table: Table, workspace_id: str, kinds: Sequence[Kind]) -> Iterator[tuple[Kind, _Resource]]:
    """Yield a workspace's systems, then their pools, then its ACS users, each oldest first.

    The table is read page by page.  The resources are those of the API, with three differences.  A system also has the
    properties that only an import sets.  An ACS user does not name its user identity, because an import makes no links.
    A missing property is null, so that importing the file later removes a value that was added meanwhile.

    Args:
        table: The table.
        workspace_id: The workspace.
        kinds: The kinds to export.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    export: Mapping[str, Callable[[Table, str], Iterator[_Resource]]] = {
        SYSTEM.name: _systems,
        POOL.name: _pools,
        USER.name: _users,
    }
    for kind in KINDS.values():
        if kind in kinds:
            all_null = dict.fromkeys(column.partition(".")[0] for column in kind.columns)
            yield from ((kind, all_null | resource) for resource in export[kind.name](table, workspace_id))


def _systems(table: Table, workspace_id: str) -> Iterator[_Resource]:
    for item in _listed(table, workspace_id, SYSTEM, acs_system_listing_key(workspace_id, "", "").pk):
        resource = acs_system_of(item).model_dump(mode="json")
        if compatible := elements(item.get("compatible_credential_manager_acs_system_ids")):
            resource["compatible_credential_manager_acs_system_ids"] = compatible
        if "customer_key" in item:
            resource["customer_key"] = item["customer_key"]
        yield resource


def _pools(table: Table, workspace_id: str) -> Iterator[_Resource]:
    for acs_system_id in listed_ids(table, acs_system_listing_key(workspace_id, "", "").pk):
        listing = acs_credential_pool_listing_key(workspace_id, acs_system_id, "", "").pk
        for item in _listed(table, workspace_id, POOL, listing):
            yield AcsCredentialPool.model_validate(item).model_dump(mode="json")


def _users(table: Table, workspace_id: str) -> Iterator[_Resource]:
    items = _listed(table, workspace_id, USER, acs_user_listing_key(workspace_id, "", "").pk)
    for users in batched(items, MOST_KEYS, strict=False):
        systems = table.get_all(acs_system_key(workspace_id, str(item["acs_system_id"])) for item in users)
        for item in users:
            unlinked = {name: value for name, value in item.items() if name != "user_identity_id"}
            yield acs_user_of(unlinked, systems).model_dump(mode="json")


def _listed(table: Table, workspace_id: str, kind: Kind, listing: str) -> Iterator[Item]:
    return listed_items(table, listing, lambda one: kind.key(workspace_id, one))


def listed_items(table: Table, listing: str, key: Callable[[str], Key]) -> Iterator[Item]:
    """Yield the things that a list has entries of, in the list's order; those that are deleted meanwhile are left out.

    Args:
        table: The table.
        listing: The listing's partition.
        key: Returns the key of the thing with an id.
    """
    for ids in batched(listed_ids(table, listing), MOST_KEYS, strict=False):
        found = table.get_all(map(key, ids))
        yield from (found[key(one)] for one in ids if key(one) in found)


def listed_ids(table: Table, listing: str) -> Iterator[str]:
    """Yield the ids of the things that a list has entries of, in the list's order."""
    return (listed_id(str(entry["sk"])) for entry in table.walk(listing, at_once=_ENTRIES_AT_ONCE))
