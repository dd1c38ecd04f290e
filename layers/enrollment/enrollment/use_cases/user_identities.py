"""User identities: the use cases.

Keys, email addresses and phone numbers are unique in a workspace.  Each value has an item of its own, which is written
together with the user identity.  Two creations at once put the same item, so one of them is refused.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import batched

from enrollment.callers import Caller
from enrollment.errors import (
    AcsSystemNotFound,
    AcsUserAlreadyLinked,
    AcsUserNotFound,
    ServiceUnavailable,
    UserIdentityAlreadyExists,
    UserIdentityNotFound,
)
from enrollment.resources.acs_users import AcsUser
from enrollment.resources.user_identities import (
    AddAcsUserRequest,
    CreateUserIdentityRequest,
    GetUserIdentityRequest,
    ListUserIdentitiesRequest,
    RemoveAcsUserRequest,
    UpdateUserIdentityRequest,
    UserIdentity,
    UserIdentityRequest,
)
from enrollment.store.actions import Action, as_read, change, put_new
from enrollment.store.actions import delete as delete_item
from enrollment.store.attributes import Item, Value, elements
from enrollment.store.items import (
    ENTRIES_OF_USER_IDENTITY_COME_FROM,
    UNIQUE,
    is_there,
    stored_user_identity,
    unique_keys,
)
from enrollment.store.keys import (
    Key,
    acs_system_key,
    acs_user_key,
    acs_user_link_key,
    automation_key,
    enrolled_listing_key,
    listed_id,
    unique_key,
    user_identity_key,
    user_identity_listing_key,
)
from enrollment.store.listings import Page, entries_at_once, is_found, newest_first, positions_of, read_page
from enrollment.store.table import MOST_ACTIONS, Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.acs_users import load_acs_users
from enrollment.use_cases.automations import delete_automation
from enrollment.use_cases.client_session_items import end_sessions_of_user_identity
from enrollment.use_cases.credential_items import delete_credentials_of_acs_user
from enrollment.use_cases.links import (
    HAS_NO_CREDENTIALS,
    NOT_BEING_DELETED,
    PERSON,
    claim_acs_user,
    delete_acs_user,
    is_usable,
    list_at_user_identity,
    new_acs_user,
    put_acs_user,
    put_link,
    require_usable,
    unlink,
    unlinked_match,
)
from enrollment.use_cases.phone_items import delete_all_of_user_identity

_PROFILE = (*UNIQUE, "full_name")

# A round is repeated when another request has changed what it was based on.
_ROUNDS = 4
# To delete an ACS user with its link takes six actions at most, and to take it from the user identity takes one.
_DETACHED_AT_ONCE = (MOST_ACTIONS - 1) // 6


def create(table: Table, caller: Caller, request: CreateUserIdentityRequest) -> UserIdentity:
    """Create a user identity, with an ACS user in each system that is named: one that matches, or a new one.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated body.

    Raises:
        AcsSystemNotFound: No such system.  With this error and all others, nothing was written.
        UserIdentityAlreadyExists: Another one has the key, email address or phone number.
        ServiceUnavailable: The database stays out of reach.
    """
    system_ids = list(dict.fromkeys(request.acs_system_ids or []))
    systems = [acs_system_key(caller.workspace_id, system_id) for system_id in system_ids]
    found = table.get_all(systems)
    if not all(is_there(found.get(key)) for key in systems):
        raise AcsSystemNotFound
    profile = {name: value for name in _PROFILE if (value := getattr(request, name)) is not None}
    for _ in range(_ROUNDS):
        item = _new_user_identity(caller.workspace_id, profile)
        links: dict[str, Action] = {}
        acs_user_ids = set()
        for system_id in system_ids:
            acs_user_id, actions = _link_or_create(table, item, system_id)
            acs_user_ids.add(acs_user_id)
            links |= actions
        if acs_user_ids:
            item = {**item, "acs_user_ids": frozenset(acs_user_ids)}
        refused = table.transact(_put_user_identity(item) | links)
        if not refused:
            return _user_identity(item)
        _raise_if_taken(refused)  # else an ACS user has been linked or deleted meanwhile
    raise ServiceUnavailable


def get(table: Table, caller: Caller, request: GetUserIdentityRequest) -> UserIdentity:
    """Return a user identity by its id or key.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        UserIdentityNotFound: There is none.
        ServiceUnavailable: The database stays out of reach.
    """
    user_identity_id = request.user_identity_id
    if user_identity_id is None:
        user_identity_id = _id_by_key(table, caller.workspace_id, str(request.user_identity_key))
    if user_identity_id is None:
        raise UserIdentityNotFound
    item = _require(table, caller, user_identity_id)
    # The key may have been given to another identity between the two reads.
    if request.user_identity_key is not None and item.get("user_identity_key") != request.user_identity_key:
        raise UserIdentityNotFound
    return _user_identity(item)


def list_page(
    table: Table, caller: Caller, request: ListUserIdentitiesRequest, after: str | None = None
) -> Page[UserIdentity]:
    """Return a page of user identities, newest first; the list of a credential manager's enrolled has no order.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.
        after: The position behind which the page begins.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    workspace_id, manager_id = caller.workspace_id, request.credential_manager_acs_system_id
    named = _named(caller, request)
    positions: Iterator[str]
    if named is not None:
        items = table.get_all(user_identity_key(workspace_id, identity_id) for identity_id in named).values()
        positions = positions_of(items, "user_identity_id", before=request.created_before, after=after)
    elif manager_id is not None:
        listing = enrolled_listing_key(workspace_id, manager_id, "").pk
        entries = table.walk(listing, after=after, at_once=entries_at_once(request.limit))
        positions = (str(entry["sk"]) for entry in entries)
    else:
        listing = user_identity_listing_key(workspace_id, "", "").pk
        positions = newest_first(table, listing, before=request.created_before, after=after, limit=request.limit)

    def load(some: Sequence[str]) -> list[UserIdentity | None]:
        ids = [listed_id(position) for position in some]
        keys = [user_identity_key(workspace_id, identity_id) for identity_id in ids]
        found = table.get_all(keys)
        items = [found.get(key) for key in keys]
        if named is not None and manager_id is not None:
            automations = [automation_key(workspace_id, identity_id, manager_id) for identity_id in ids]
            enrolled = table.get_all(automations)
            items = [item if key in enrolled else None for item, key in zip(items, automations, strict=True)]
        return [None if item is None or not is_usable(item) else _user_identity(item) for item in items]

    def keep(identity: UserIdentity) -> bool:
        is_in_time = request.created_before is None or (
            datetime.fromisoformat(identity.created_at) < request.created_before
        )
        return is_in_time and is_found(
            request.search,
            [identity.full_name, identity.phone_number, identity.email_address, identity.user_identity_id],
        )

    return read_page(positions, load, keep, request.limit)


def update(table: Table, caller: Caller, request: UpdateUserIdentityRequest) -> None:
    """Change a user identity's profile.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated body.  An absent parameter leaves its attribute as it is; null removes it.

    Raises:
        UserIdentityNotFound: There is none, or it is being deleted.
        UserIdentityAlreadyExists: Another one has the key, email address or phone number.
        ServiceUnavailable: The database stays out of reach.
    """
    wanted = {name: getattr(request, name) for name in _PROFILE if name in request.model_fields_set}
    for _ in range(_ROUNDS):
        item = _require(table, caller, request.user_identity_id)
        changed = {name: value for name, value in wanted.items() if value != item.get(name)}
        if not changed:
            return
        refused = table.transact(_change(item, changed))
        if not refused:
            return
        if refused.get("user_identity", item) is None:
            raise UserIdentityNotFound
        _raise_if_taken(refused, but_by=request.user_identity_id)  # else the identity has been changed meanwhile
    raise ServiceUnavailable


def delete(table: Table, caller: Caller, request: UserIdentityRequest) -> None:
    """Delete a user identity with all that belongs to it, however much it is.

    The identity is marked first.  From then on nothing can be attached to it, and it is there for no other request.  To
    finish an interrupted deletion, call it again.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        UserIdentityNotFound: There is none.
        ServiceUnavailable: The database stays out of reach, or the invocation's time ends before all is done.  Outside
            an invocation there is no such limit.
    """
    workspace_id = caller.workspace_id
    key = user_identity_key(workspace_id, request.user_identity_id)
    mark = change(key, assign={"being_deleted_at": timestamp(datetime.now(UTC))}, where=NOT_BEING_DELETED)
    refused = table.transact({"user_identity": mark})
    if refused and refused["user_identity"] is None:
        raise UserIdentityNotFound
    end_sessions_of_user_identity(table, workspace_id, request.user_identity_id)
    delete_all_of_user_identity(table, workspace_id, request.user_identity_id)
    while True:
        # Read backwards: the identity's own item comes first, and automations come before the ACS users that they use.
        item, *attached = list(table.walk(key.pk, backwards=True)) or [{}]
        if item.get("sk") != key.sk:  # another request has finished the deletion
            return
        if not attached:
            where = as_read(item, ["being_deleted_at", *ENTRIES_OF_USER_IDENTITY_COME_FROM])
            entries = {
                f"entry_{index}": delete_item(entry)
                for index, entry in enumerate(stored_user_identity(item))
                if entry != key
            }
            if not table.transact({"user_identity": delete_item(key, where), **entries}):
                return
            continue
        acs_users = table.get_all(
            acs_user_key(workspace_id, str(one["acs_user_id"])) for one in attached if "acs_user_id" in one
        )
        for some in batched(attached, _DETACHED_AT_ONCE, strict=False):
            if table.transact(_detach(item, some, acs_users)):  # another request has changed or deleted some of it
                break


def add_acs_user(table: Table, caller: Caller, request: AddAcsUserRequest) -> None:
    """Link an ACS user to a user identity; if it is linked to that one already, do nothing.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated body.

    Raises:
        UserIdentityNotFound: No user identity has that id.
        AcsUserNotFound: No such ACS user.
        AcsUserAlreadyLinked: The ACS user is another identity's, or the identity has another one in that system.
        UserIdentityAlreadyExists: No identity has that key, and another one has the ACS user's email address or phone
            number, so none can be created.
        ServiceUnavailable: The database stays out of reach.
    """
    workspace_id = caller.workspace_id
    for _ in range(_ROUNDS):
        user_identity_id = request.user_identity_id
        if request.user_identity_key is not None:
            user_identity_id = _id_by_key(table, workspace_id, request.user_identity_key)
        if user_identity_id is not None:
            _require(table, caller, user_identity_id)
        acs_user = table.get(acs_user_key(workspace_id, request.acs_user_id))
        if acs_user is None:
            raise AcsUserNotFound
        system_id = str(acs_user["acs_system_id"])
        acs_user_is: Mapping[str, Value | None] = {}
        if user_identity_id is None:
            profile = {name: acs_user[name] for name in PERSON if name in acs_user}
            acs_user_is = as_read(acs_user, PERSON)
            item = _new_user_identity(workspace_id, {**profile, "user_identity_key": str(request.user_identity_key)})
            user_identity_id = str(item["user_identity_id"])
            actions = _put_user_identity({**item, "acs_user_ids": frozenset({request.acs_user_id})})
        else:
            named_by = {} if request.user_identity_key is None else {"user_identity_key": request.user_identity_key}
            listed = list_at_user_identity(workspace_id, user_identity_id, request.acs_user_id, named_by)
            actions = {"user_identity": listed}
        refused = table.transact(
            {
                **actions,
                "acs_user": claim_acs_user(workspace_id, request.acs_user_id, system_id, user_identity_id, acs_user_is),
                "link": put_link(workspace_id, request.acs_user_id, system_id, user_identity_id),
            }
        )
        if not refused:
            return
        claimed = refused.get("acs_user") or {}
        if claimed.get("user_identity_id", user_identity_id) != user_identity_id or refused.get("link"):
            raise AcsUserAlreadyLinked
        if "unique_user_identity_key" not in refused:  # else another request has just created it
            _raise_if_taken(refused)
    raise ServiceUnavailable


def remove_acs_user(table: Table, caller: Caller, request: RemoveAcsUserRequest) -> None:
    """Unlink an ACS user from its user identity, and delete its credentials: who is not linked keeps no key.

    An automation that uses the ACS user goes on without one.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        UserIdentityNotFound: There is none.
        AcsUserNotFound: There is no such ACS user, or it is not that user identity's.
        ServiceUnavailable: The database stays out of reach.
    """
    workspace_id, identity_id = caller.workspace_id, request.user_identity_id
    key = acs_user_key(workspace_id, request.acs_user_id)
    for _ in range(_ROUNDS):
        found = table.batch_get([user_identity_key(workspace_id, identity_id), key])
        require_usable(found.get(user_identity_key(workspace_id, identity_id)))
        acs_user = found.get(key, {})
        if acs_user.get("user_identity_id") != identity_id:
            raise AcsUserNotFound
        delete_credentials_of_acs_user(table, acs_user)
        refused = table.transact(
            {
                **unlink(workspace_id, request.acs_user_id, str(acs_user["acs_system_id"]), identity_id),
                "acs_user": change(
                    key, remove=["user_identity_id"], where={"user_identity_id": identity_id, **HAS_NO_CREDENTIALS}
                ),
            }
        )
        if not refused:
            return
    raise ServiceUnavailable


def list_acs_users(table: Table, caller: Caller, request: UserIdentityRequest) -> list[AcsUser]:
    """Return a user identity's ACS users, newest first.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        UserIdentityNotFound: There is none.
        ServiceUnavailable: The database stays out of reach.
    """
    item = _require(table, caller, request.user_identity_id)
    found = load_acs_users(table, caller.workspace_id, elements(item.get("acs_user_ids")))
    acs_users = [acs_user for acs_user in found if acs_user is not None]
    return sorted(acs_users, key=lambda acs_user: (acs_user.created_at, acs_user.acs_user_id), reverse=True)


def _new_user_identity(workspace_id: str, profile: Item) -> Item:
    return {
        "user_identity_id": str(uuid.uuid4()),
        "workspace_id": workspace_id,
        "created_at": timestamp(datetime.now(UTC)),
        **profile,
    }


def _put_user_identity(item: Item) -> dict[str, Action]:
    names = ["user_identity", "listing", *(f"unique_{name}" for name in unique_keys(str(item["workspace_id"]), item))]
    stored = stored_user_identity(item).items()
    return {name: put_new(key, stored_item) for name, (key, stored_item) in zip(names, stored, strict=True)}


def _raise_if_taken(refused: Mapping[str, Item | None], *, but_by: str | None = None) -> None:
    for name in UNIQUE:
        owner = refused.get(f"unique_{name}")
        if owner is not None and owner["user_identity_id"] != but_by:
            raise UserIdentityAlreadyExists(name, str(owner["user_identity_id"]))


def _change(item: Item, changed: Mapping[str, str | None]) -> dict[str, Action]:
    workspace_id, identity_id = str(item["workspace_id"]), str(item["user_identity_id"])
    actions = {
        "user_identity": change(
            user_identity_key(workspace_id, identity_id),
            assign={name: value for name, value in changed.items() if value is not None},
            remove=[name for name, value in changed.items() if value is None],
            # Which items of unique values are put and deleted was derived from the values that were read.
            where={**NOT_BEING_DELETED, **{name: item.get(name) for name in changed}},
        )
    }
    before, after = unique_keys(workspace_id, item), unique_keys(workspace_id, {**item, **changed})
    for name in changed:
        if before.get(name) == after.get(name):
            continue
        if name in after:
            actions[f"unique_{name}"] = put_new(after[name], {"user_identity_id": identity_id})
        if name in before:
            actions[f"no_longer_{name}"] = delete_item(before[name])
    return actions


def _link_or_create(table: Table, identity: Item, acs_system_id: str) -> tuple[str, dict[str, Action]]:
    """Return the id of the ACS user that a new user identity gets in a system, and the actions that link it."""
    workspace_id, identity_id = str(identity["workspace_id"]), str(identity["user_identity_id"])
    match = unlinked_match(table, workspace_id, acs_system_id, identity)
    if match is not None:
        acs_user_id = match.acs_user_id
        claimed = claim_acs_user(workspace_id, acs_user_id, acs_system_id, identity_id, match.address)
        actions = {f"acs_user_{acs_system_id}": claimed}
    else:
        acs_user = {**new_acs_user(workspace_id, acs_system_id, identity), "user_identity_id": identity_id}
        acs_user_id = str(acs_user["acs_user_id"])
        actions = put_acs_user(acs_user, f"acs_user_{acs_system_id}")
    link = put_link(workspace_id, acs_user_id, acs_system_id, identity_id)
    return acs_user_id, {**actions, f"link_{acs_system_id}": link}


def _detach(identity: Item, attached: Sequence[Item], acs_users: Mapping[Key, Item]) -> dict[str, Action]:
    """Return the actions that delete some automations and ACS users of a user identity.

    Args:
        identity: The user identity.
        attached: Its automations, and its links to ACS users.
        acs_users: The ACS users by their keys.
    """
    workspace_id, identity_id = str(identity["workspace_id"]), str(identity["user_identity_id"])
    actions: dict[str, Action] = {}
    listed = set()
    for item in attached:
        sk = str(item["sk"])
        if "enrollment_automation_id" in item:
            ending = delete_automation(workspace_id, str(item["enrollment_automation_id"]), item)
        else:
            acs_user_id = str(item["acs_user_id"])
            listed.add(acs_user_id)
            link = acs_user_link_key(workspace_id, identity_id, listed_id(sk))
            ending = {"link": delete_item(link, {"acs_user_id": acs_user_id})}
            acs_user = acs_users.get(acs_user_key(workspace_id, acs_user_id))
            if acs_user is not None and acs_user.get("user_identity_id") == identity_id:
                ending |= delete_acs_user(acs_user)
        actions |= {f"{sk}_{name}": action for name, action in ending.items()}
    if listed:
        key = user_identity_key(workspace_id, identity_id)
        actions["user_identity"] = change(key, discard={"acs_user_ids": frozenset(listed)})
    return actions


def _id_by_key(table: Table, workspace_id: str, key: str) -> str | None:
    owner = table.get(unique_key(workspace_id, "user_identity_key", key))
    return None if owner is None else str(owner["user_identity_id"])


def _require(table: Table, caller: Caller, user_identity_id: str) -> Item:
    return require_usable(table.get(user_identity_key(caller.workspace_id, user_identity_id)))


def _named(caller: Caller, request: ListUserIdentitiesRequest) -> set[str] | None:
    """Return the ids that the request or the caller restricts the list to; ``None`` is all of the workspace."""
    if request.user_identity_ids is None:
        return None if caller.user_identity_ids is None else set(caller.user_identity_ids)
    return {identity_id for identity_id in request.user_identity_ids if caller.sees(identity_id)}


def _user_identity(item: Item) -> UserIdentity:
    names = [
        item.get(name)
        for name in ("full_name", "email_address", "phone_number", "user_identity_key", "user_identity_id")
    ]
    return UserIdentity.model_validate(
        {
            **dict.fromkeys(_PROFILE),
            **item,
            "display_name": next(filter(None, names)),
            "acs_user_ids": elements(item.get("acs_user_ids")),
        }
    )
