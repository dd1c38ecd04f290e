"""Access control systems, their credential pools and their users: the use cases."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from enrollment.acs_users import (
    delete_acs_user,
    list_at_user_identity,
    new_acs_user,
    put_acs_user,
    put_link,
    require_usable,
    unlink,
)
from enrollment.callers import Caller
from enrollment.directory_model import (
    AccessScheduleRequest,
    AcsCredentialPool,
    AcsSystem,
    AcsSystemRequest,
    AcsUser,
    AcsUserRequest,
    CreateAcsUserRequest,
    ListAcsCredentialPoolsRequest,
    ListAcsSystemsRequest,
    ListAcsUsersRequest,
)
from enrollment.errors import (
    AcsAccessGroupNotFound,
    AcsSystemNotFound,
    AcsUserAlreadyLinked,
    AcsUserInUse,
    AcsUserNotFound,
    AcsUserNotInAcsSystem,
    InvalidInput,
    ServiceUnavailable,
    UserIdentityNotFound,
)
from enrollment.items import comparable
from enrollment.paging import MOST_RECORDS, Page, is_found, newest_first, positions_of, read_page
from enrollment.table import (
    Item,
    Key,
    Table,
    Value,
    acs_credential_pool_key,
    acs_credential_pool_listing_key,
    acs_system_key,
    acs_system_listing_key,
    acs_user_key,
    acs_user_link_key,
    acs_user_listing_key,
    acs_user_of_system_listing_key,
    credential_manager_listing_key,
    elements,
    listed_id,
    unique_key,
    user_identity_key,
)
from enrollment.timestamps import timestamp

# Each round but the first answers a link that somebody else has made or undone in between.
_ROUNDS = 4

# ---------------------------------------------------------------------------------------------- Systems and their pools


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
        after: Behind which position the page begins.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    if caller.user_identity_ids is not None:
        identities = _user_identities(table, caller.workspace_id, caller.user_identity_ids)
        systems = _systems_of(table, caller.workspace_id, identities)
        positions = positions_of(systems, "acs_system_id", after=after)
    else:
        listing = acs_system_listing_key(caller.workspace_id, "", "").pk
        positions = newest_first(table, listing, after=after, limit=request.limit)

    def keep(item: Item) -> bool:
        return (
            request.connected_account_id in {None, item["connected_account_id"]}
            and request.customer_key in {None, item.get("customer_key")}
            and is_found(request.search, [item["name"], item["acs_system_id"]])
        )

    load = _loader(table, lambda system_id: acs_system_key(caller.workspace_id, system_id), keep, acs_system_of)
    return read_page(positions, load, lambda _: True, request.limit)


def list_compatible_credential_managers(table: Table, caller: Caller, request: AcsSystemRequest) -> list[AcsSystem]:
    """Return the credential managers that can issue credentials for an ACS system.

    Those that it names (``default_credential_manager_acs_system_id`` among them); if it names none, all of the
    workspace, as nothing speaks against one.  At most 1,000, newest first.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        AcsSystemNotFound: There is no such system.
        ServiceUnavailable: The database stays out of reach.
    """
    system = _require_system(table, caller, request.acs_system_id)
    named = set(elements(system.get("compatible_credential_manager_acs_system_ids")))
    if default := system.get("default_credential_manager_acs_system_id"):
        named.add(str(default))
    if named:
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
    identity = table.get(user_identity_key(caller.workspace_id, user_identity_id))
    if identity is None:
        raise UserIdentityNotFound
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
        after: Behind which position the page begins.

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


# ---------------------------------------------------------------------------------------------------------- Their users


def create_user(table: Table, caller: Caller, request: CreateAcsUserRequest) -> AcsUser:
    """Create an ACS user, linked to a user identity if one is named.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated body.

    Raises:
        InvalidInput: The access schedule has ended, or ends before it starts.
        AcsAccessGroupNotFound: An access group is named.
        AcsSystemNotFound: There is no such system.
        UserIdentityNotFound: There is no such user identity.
        AcsUserAlreadyLinked: The user identity has an ACS user in that system.
        ServiceUnavailable: The database stays out of reach.
    """
    schedule = _access_schedule(request.access_schedule, datetime.now(UTC))
    workspace_id, identity_id = caller.workspace_id, request.user_identity_id
    system_key = acs_system_key(workspace_id, request.acs_system_id)
    identity_keys = [user_identity_key(workspace_id, identity_id)] if identity_id else []
    around = table.batch_get([system_key, *identity_keys])
    for identity_key in identity_keys:
        require_usable(around.get(identity_key))
    if request.acs_access_group_ids:
        raise AcsAccessGroupNotFound
    if system_key not in around:
        raise AcsSystemNotFound

    given = {
        "full_name": request.full_name,
        "email_address": request.email_address or request.email,
        "phone_number": request.phone_number,
    }
    person = {name: value for name, value in given.items() if value}
    acs_user = {**new_acs_user(workspace_id, request.acs_system_id, person), **schedule}
    actions = {}
    if identity_id is not None:
        acs_user["user_identity_id"] = identity_id
        acs_user_id = str(acs_user["acs_user_id"])
        actions = {
            "user_identity": list_at_user_identity(workspace_id, identity_id, acs_user_id),
            "link": put_link(workspace_id, acs_user_id, request.acs_system_id, identity_id),
        }
    refused = table.transact(actions | put_acs_user(acs_user))
    if "user_identity" in refused:
        raise UserIdentityNotFound
    if refused:
        raise AcsUserAlreadyLinked
    return acs_user_of(acs_user, around)


def get_user(table: Table, caller: Caller, request: AcsUserRequest) -> AcsUser:
    """Return an ACS user, by its id or by user identity and system.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        AcsUserNotFound: There is none.
        AcsUserNotInAcsSystem: It is another system's.
        UserIdentityNotFound: There is no such user identity.
        ServiceUnavailable: The database stays out of reach.
    """
    (found,) = load_acs_users(table, caller.workspace_id, [_acs_user_id(table, caller, request)])
    if found is None or not _is_named_one(request, found.user_identity_id):
        raise AcsUserNotFound
    if request.acs_system_id not in {None, found.acs_system_id}:
        raise AcsUserNotInAcsSystem
    return found


def list_users(table: Table, caller: Caller, request: ListAcsUsersRequest, after: str | None = None) -> Page[AcsUser]:
    """Return a page of ACS users, newest first; a client session sees those of its user identities.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.
        after: Behind which position the page begins.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    workspace_id = caller.workspace_id
    identity_ids = _named_user_identities(table, caller, request)
    if identity_ids is not None:
        items = _users_of(table, workspace_id, _user_identities(table, workspace_id, identity_ids))
        positions = positions_of(items, "acs_user_id", before=request.created_before, after=after)
    else:
        listing = acs_user_listing_key(workspace_id, "", "").pk
        if request.acs_system_id is not None:
            listing = acs_user_of_system_listing_key(workspace_id, request.acs_system_id, "", "").pk
        positions = newest_first(table, listing, before=request.created_before, after=after, limit=request.limit)

    def keep(acs_user: AcsUser) -> bool:
        return (
            request.acs_system_id in {None, acs_user.acs_system_id}
            and request.user_identity_id in {None, acs_user.user_identity_id}
            and _is_of_a_person_with(request, acs_user, "email_address")
            and _is_of_a_person_with(request, acs_user, "phone_number")
            and is_found(
                request.search,
                [
                    acs_user.full_name,
                    acs_user.phone_number,
                    acs_user.email_address,
                    acs_user.acs_user_id,
                    acs_user.user_identity_id,
                    acs_user.user_identity_full_name,
                    acs_user.user_identity_phone_number,
                ],
            )
        )

    return read_page(
        positions,
        lambda some: load_acs_users(table, workspace_id, list(map(listed_id, some))),
        keep,
        request.limit,
    )


def delete_user(table: Table, caller: Caller, request: AcsUserRequest) -> None:
    """Delete an ACS user that no automation uses, and unlink it.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        AcsUserNotFound: There is none.
        AcsUserNotInAcsSystem: It is another system's.
        UserIdentityNotFound: There is no such user identity.
        AcsUserInUse: An automation uses it.
        ServiceUnavailable: The database stays out of reach.
    """
    workspace_id = caller.workspace_id
    for _ in range(_ROUNDS):
        acs_user_id = _acs_user_id(table, caller, request)
        acs_user = table.get(acs_user_key(workspace_id, acs_user_id))
        if acs_user is None and request.acs_user_id is not None:
            raise AcsUserNotFound
        if acs_user is None or not _is_named_one(request, acs_user.get("user_identity_id")):
            continue  # it was unlinked or deleted between the two reads
        system_id = str(acs_user["acs_system_id"])
        if request.acs_system_id not in {None, system_id}:
            raise AcsUserNotInAcsSystem
        actions = delete_acs_user(acs_user)
        if "user_identity_id" in acs_user:
            identity_id = str(acs_user["user_identity_id"])
            actions |= unlink(workspace_id, acs_user_id, system_id, identity_id)
        refused = table.transact(actions)
        if not refused:
            return
        if automation := refused.get("automation"):
            raise AcsUserInUse(str(automation["enrollment_automation_id"]))
    raise ServiceUnavailable


def load_acs_users(table: Table, workspace_id: str, acs_user_ids: Sequence[str]) -> list[AcsUser | None]:
    """Return ACS users with what their systems and user identities say; ``None`` for one that is not there."""
    keys = [acs_user_key(workspace_id, acs_user_id) for acs_user_id in acs_user_ids]
    found = table.get_all(keys)
    around = table.get_all(
        [
            *(acs_system_key(workspace_id, str(item["acs_system_id"])) for item in found.values()),
            *(
                user_identity_key(workspace_id, str(item["user_identity_id"]))
                for item in found.values()
                if "user_identity_id" in item
            ),
        ]
    )
    return [None if key not in found else acs_user_of(found[key], around) for key in keys]


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


def _user_identities(table: Table, workspace_id: str, user_identity_ids: Iterable[str]) -> Iterable[Item]:
    return table.get_all(user_identity_key(workspace_id, identity_id) for identity_id in user_identity_ids).values()


def _users_of(table: Table, workspace_id: str, user_identities: Iterable[Item]) -> Iterable[Item]:
    return table.get_all(
        acs_user_key(workspace_id, acs_user_id)
        for identity in user_identities
        for acs_user_id in elements(identity.get("acs_user_ids"))
    ).values()


def _systems_of(table: Table, workspace_id: str, user_identities: Iterable[Item]) -> list[Item]:
    users = _users_of(table, workspace_id, user_identities)
    systems = table.get_all(acs_system_key(workspace_id, str(user["acs_system_id"])) for user in users)
    return list(systems.values())


def acs_system_of(item: Item) -> AcsSystem:
    """Return the resource of an ACS system."""
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


def _acs_user_id(table: Table, caller: Caller, request: AcsUserRequest) -> str:
    if request.acs_user_id is not None:
        return request.acs_user_id
    identity_id, system_id = str(request.user_identity_id), str(request.acs_system_id)
    identity_key = user_identity_key(caller.workspace_id, identity_id)
    link_key = acs_user_link_key(caller.workspace_id, identity_id, system_id)
    found = table.batch_get([identity_key, link_key])
    if identity_key not in found:
        raise UserIdentityNotFound
    if link_key not in found:
        raise AcsUserNotFound
    return str(found[link_key]["acs_user_id"])


def _is_named_one(request: AcsUserRequest, user_identity_id: Value | None) -> bool:
    """Return whether an ACS user that was found by its user identity is still linked to it."""
    return request.user_identity_id is None or request.user_identity_id == user_identity_id


def acs_user_of(item: Item, around: Mapping[Key, Item]) -> AcsUser:
    """Return the resource of an ACS user.

    Args:
        item: The ACS user.
        around: Its system, and the user identity that it is linked to, as far as there is one.
    """
    workspace_id = str(item["workspace_id"])
    system = around[acs_system_key(workspace_id, str(item["acs_system_id"]))]
    person: Item = {}
    if "user_identity_id" in item:
        person = around.get(user_identity_key(workspace_id, str(item["user_identity_id"])), {})
    schedule = None
    if "access_starts_at" in item:
        schedule = {"starts_at": item["access_starts_at"], "ends_at": item.get("access_ends_at")}
    names = [item.get(name) for name in ("full_name", "email_address", "phone_number", "acs_user_id")]
    return AcsUser.model_validate(
        {
            **item,
            "display_name": next(filter(None, names)),
            "connected_account_id": system["connected_account_id"],
            "access_schedule": schedule,
            "user_identity_full_name": person.get("full_name"),
            "user_identity_email_address": person.get("email_address"),
            "user_identity_phone_number": person.get("phone_number"),
        }
    )


def _access_schedule(request: AccessScheduleRequest | None, now: datetime) -> Item:
    if request is None:
        return {}
    # Compared as they are stored, in milliseconds: two moments within one are the same.
    starts_at = timestamp(request.starts_at or now)
    if request.ends_at is None:
        return {"access_starts_at": starts_at}
    ends_at = timestamp(request.ends_at)
    if ends_at <= max(starts_at, timestamp(now)):
        raise InvalidInput([("access_schedule.ends_at", "Must be in the future and after starts_at")])
    return {"access_starts_at": starts_at, "access_ends_at": ends_at}


def _named_user_identities(table: Table, caller: Caller, request: ListAcsUsersRequest) -> set[str] | None:
    """Return the user identities that the request or the caller restricts the list to; ``None`` is all."""
    named = None if caller.user_identity_ids is None else set(caller.user_identity_ids)
    wanted: list[str | None] = [request.user_identity_id] if request.user_identity_id else []
    for attribute in ("email_address", "phone_number"):
        if value := getattr(request, f"user_identity_{attribute}"):
            owner = table.get(unique_key(caller.workspace_id, attribute, comparable(attribute, value)))
            wanted.append(None if owner is None else str(owner["user_identity_id"]))
    for identity_id in wanted:
        named = {str(identity_id)} if named is None else named & {str(identity_id)}
    return named


def _is_of_a_person_with(request: ListAcsUsersRequest, acs_user: AcsUser, attribute: str) -> bool:
    name = f"user_identity_{attribute}"
    if name not in request.model_fields_set:
        return True
    wanted, value = getattr(request, name), getattr(acs_user, name)
    if wanted is None:
        return acs_user.user_identity_id is not None and value is None
    return value is not None and comparable(attribute, wanted) == comparable(attribute, value)
