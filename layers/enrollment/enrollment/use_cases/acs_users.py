"""ACS users: the use cases."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from enrollment.callers import Caller
from enrollment.errors import (
    AcsAccessGroupNotFound,
    AcsSystemNotFound,
    AcsUserAlreadyLinked,
    AcsUserNotFound,
    AcsUserNotInAcsSystem,
    InvalidInput,
    ServiceUnavailable,
    UserIdentityNotFound,
)
from enrollment.resources.acs_users import (
    AccessScheduleRequest,
    AcsUser,
    AcsUserRequest,
    CreateAcsUserRequest,
    ListAcsUsersRequest,
)
from enrollment.store.attributes import Item, Value, elements
from enrollment.store.items import is_there, normalized
from enrollment.store.keys import (
    Key,
    acs_system_key,
    acs_user_key,
    acs_user_link_key,
    acs_user_listing_key,
    acs_user_of_system_listing_key,
    listed_id,
    unique_key,
    user_identity_key,
)
from enrollment.store.listings import Page, is_found, newest_first, positions_of, read_page
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.credential_items import delete_credentials_of_acs_user
from enrollment.use_cases.links import (
    delete_acs_user,
    is_usable,
    list_at_user_identity,
    new_acs_user,
    put_acs_user,
    put_link,
    require_usable,
    unlink,
)

# A round is repeated when another request has made or undone a link since it looked.
_ROUNDS = 4


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
    related = table.batch_get([system_key, *identity_keys])
    for identity_key in identity_keys:
        require_usable(related.get(identity_key))
    if request.acs_access_group_ids:
        raise AcsAccessGroupNotFound
    if not is_there(related.get(system_key)):
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
    return acs_user_of(acs_user, related)


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
    if request.acs_system_id is not None and request.acs_system_id != found.acs_system_id:
        raise AcsUserNotInAcsSystem
    return found


def list_users(table: Table, caller: Caller, request: ListAcsUsersRequest, after: str | None = None) -> Page[AcsUser]:
    """Return a page of ACS users, newest first; a client session sees those of its user identities.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.
        after: The position behind which the page begins.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    workspace_id = caller.workspace_id
    identity_ids = _named_user_identities(table, caller, request)
    if identity_ids is not None:
        items = acs_users_of(table, workspace_id, user_identity_items(table, workspace_id, identity_ids))
        positions = positions_of(items, "acs_user_id", before=request.created_before, after=after)
    else:
        listing = acs_user_listing_key(workspace_id, "", "").pk
        if request.acs_system_id is not None:
            listing = acs_user_of_system_listing_key(workspace_id, request.acs_system_id, "", "").pk
        positions = newest_first(table, listing, before=request.created_before, after=after, limit=request.limit)

    def keep(acs_user: AcsUser) -> bool:
        return (
            (request.acs_system_id is None or request.acs_system_id == acs_user.acs_system_id)
            and (request.user_identity_id is None or request.user_identity_id == acs_user.user_identity_id)
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
    """Delete an ACS user with its credentials, and unlink it.  An automation that uses it goes on without one.

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
    workspace_id = caller.workspace_id
    for _ in range(_ROUNDS):
        acs_user_id = _acs_user_id(table, caller, request)
        acs_user = table.get(acs_user_key(workspace_id, acs_user_id))
        if acs_user is None and request.acs_user_id is not None:
            raise AcsUserNotFound
        if acs_user is None or not _is_named_one(request, acs_user.get("user_identity_id")):
            continue  # it was unlinked or deleted between the two reads
        system_id = str(acs_user["acs_system_id"])
        if request.acs_system_id is not None and request.acs_system_id != system_id:
            raise AcsUserNotInAcsSystem
        delete_credentials_of_acs_user(table, acs_user)
        actions = delete_acs_user(acs_user)
        if "user_identity_id" in acs_user:
            identity_id = str(acs_user["user_identity_id"])
            actions |= unlink(workspace_id, acs_user_id, system_id, identity_id)
        refused = table.transact(actions)
        if not refused:
            return
    raise ServiceUnavailable


def load_acs_users(table: Table, workspace_id: str, acs_user_ids: Sequence[str]) -> list[AcsUser | None]:
    """Return ACS users, with attributes of their systems and user identities; ``None`` for each that does not exist."""
    keys = [acs_user_key(workspace_id, acs_user_id) for acs_user_id in acs_user_ids]
    found = table.get_all(keys)
    related = table.get_all(
        [
            *(acs_system_key(workspace_id, str(item["acs_system_id"])) for item in found.values()),
            *(
                user_identity_key(workspace_id, str(item["user_identity_id"]))
                for item in found.values()
                if "user_identity_id" in item
            ),
        ]
    )
    return [None if key not in found else acs_user_of(found[key], related) for key in keys]


def user_identity_items(table: Table, workspace_id: str, user_identity_ids: Iterable[str]) -> Iterable[Item]:
    """Return the items of those user identities that are there for requests."""
    found = table.get_all(user_identity_key(workspace_id, identity_id) for identity_id in user_identity_ids)
    return filter(is_usable, found.values())


def acs_users_of(table: Table, workspace_id: str, user_identities: Iterable[Item]) -> Iterable[Item]:
    """Return the items of the ACS users that are linked to user identities."""
    return table.get_all(
        acs_user_key(workspace_id, acs_user_id)
        for identity in user_identities
        for acs_user_id in elements(identity.get("acs_user_ids"))
    ).values()


def _acs_user_id(table: Table, caller: Caller, request: AcsUserRequest) -> str:
    if request.acs_user_id is not None:
        return request.acs_user_id
    identity_id, system_id = str(request.user_identity_id), str(request.acs_system_id)
    identity_key = user_identity_key(caller.workspace_id, identity_id)
    link_key = acs_user_link_key(caller.workspace_id, identity_id, system_id)
    found = table.batch_get([identity_key, link_key])
    require_usable(found.get(identity_key))
    if link_key not in found:
        raise AcsUserNotFound
    return str(found[link_key]["acs_user_id"])


def _is_named_one(request: AcsUserRequest, user_identity_id: Value | None) -> bool:
    """Return whether an ACS user that was found by its user identity is still linked to it."""
    return request.user_identity_id is None or request.user_identity_id == user_identity_id


def acs_user_of(item: Item, related: Mapping[Key, Item]) -> AcsUser:
    """Return an ACS user as the API answers it.

    Args:
        item: The ACS user.
        related: Its system's item, and that of the user identity that it is linked to, if it is linked.
    """
    workspace_id = str(item["workspace_id"])
    system = related[acs_system_key(workspace_id, str(item["acs_system_id"]))]
    person: Item = {}
    if "user_identity_id" in item:
        person = related.get(user_identity_key(workspace_id, str(item["user_identity_id"])), {})
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
    # They are compared as they are stored: two moments within one millisecond are equal.
    starts_at = timestamp(request.starts_at or now)
    if request.ends_at is None:
        return {"access_starts_at": starts_at}
    ends_at = timestamp(request.ends_at)
    if ends_at <= max(starts_at, timestamp(now)):
        raise InvalidInput([("access_schedule.ends_at", "Must be in the future and after starts_at")])
    return {"access_starts_at": starts_at, "access_ends_at": ends_at}


def _named_user_identities(table: Table, caller: Caller, request: ListAcsUsersRequest) -> set[str] | None:
    """Return the ids of user identities that the request or the caller restricts the list to; ``None`` is all."""
    named = None if caller.user_identity_ids is None else set(caller.user_identity_ids)
    wanted: list[str | None] = [request.user_identity_id] if request.user_identity_id else []
    for attribute in ("email_address", "phone_number"):
        if value := getattr(request, f"user_identity_{attribute}"):
            owner = table.get(unique_key(caller.workspace_id, attribute, normalized(attribute, value)))
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
    return value is not None and normalized(attribute, wanted) == normalized(attribute, value)
