"""ACS users: how one is stored, found by its addresses, and linked to a user identity.

A link is three things that change together: the ACS user names its user identity, the user identity lists the ACS
user, and the link item makes it the only one of its system.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import batched

from enrollment.errors import UserIdentityNotFound
from enrollment.table import (
    MOST_KEYS,
    Action,
    Item,
    Key,
    Table,
    Value,
    acs_user_key,
    acs_user_link_key,
    acs_user_listing_key,
    acs_user_match_key,
    acs_user_of_system_listing_key,
    automation_key,
    change,
    claim,
    delete,
    put_new,
    put_new_or_same,
    require,
    require_absent,
    user_identity_key,
)
from enrollment.timestamps import timestamp

# What finds an ACS user for a user identity, in this order (contract, "What launching does").
_ADDRESSES = ("email_address", "phone_number")

# Nothing new is attached to a user identity that is being deleted.
NOT_BEING_DELETED: Mapping[str, Value | None] = {"being_deleted_at": None}


def comparable(attribute: str, value: Value | None) -> str:
    """Return a value in the one way in which equal values are written: email addresses without regard to case."""
    return str(value).lower() if attribute == "email_address" else str(value)


def new_acs_user(workspace_id: str, acs_system_id: str, person: Item) -> Item:
    """Return an ACS user to be created, with a new id.

    Args:
        workspace_id: The workspace.
        acs_system_id: The system that it is in.
        person: Where ``full_name``, ``email_address`` and ``phone_number`` come from, as far as they are known.
    """
    profile = {name: person[name] for name in ("full_name", *_ADDRESSES) if name in person}
    return {
        "acs_user_id": str(uuid.uuid4()),
        "acs_system_id": acs_system_id,
        "workspace_id": workspace_id,
        "created_at": timestamp(datetime.now(UTC)),
        **profile,
    }


def stored_acs_user(acs_user: Item) -> dict[Key, Item]:
    """Return the items of an ACS user, each with its key: itself, its entries in listings, and those that find it."""
    workspace_id, acs_system_id, acs_user_id, created_at = (
        str(acs_user[name]) for name in ("workspace_id", "acs_system_id", "acs_user_id", "created_at")
    )
    matches = [
        acs_user_match_key(workspace_id, acs_system_id, name, comparable(name, acs_user[name]), acs_user_id)
        for name in _ADDRESSES
        if name in acs_user
    ]
    return {
        acs_user_key(workspace_id, acs_user_id): acs_user,
        acs_user_listing_key(workspace_id, created_at, acs_user_id): {},
        acs_user_of_system_listing_key(workspace_id, acs_system_id, created_at, acs_user_id): {},
        **{key: {} for key in matches},
    }


def put_acs_user(acs_user: Item, name: str = "new_acs_user") -> dict[str, Action]:
    """Return the actions that store a new ACS user, its own under the given name."""
    (itself, *entries) = stored_acs_user(acs_user).items()
    return {name: put_new(*itself)} | {f"{name}_entry_{index}": put_new(*entry) for index, entry in enumerate(entries)}


def delete_acs_user(acs_user: Item) -> dict[str, Action]:
    """Return the actions that delete an ACS user as long as it is linked as it was read: its own is ``acs_user``."""
    (itself, *entries) = stored_acs_user(acs_user)
    return {"acs_user": delete(itself, {"user_identity_id": acs_user.get("user_identity_id")})} | {
        f"acs_user_entry_{index}": delete(entry) for index, entry in enumerate(entries)
    }


def require_usable(user_identity: Item | None) -> Item:
    """Return a user identity as it was read, to which something can be attached.

    Raises:
        UserIdentityNotFound: There is none, or it is being deleted.
    """
    if user_identity is None or "being_deleted_at" in user_identity:
        raise UserIdentityNotFound
    return user_identity


def use_user_identity(workspace_id: str, user_identity_id: str) -> Action:
    """Require a user identity that is there, and not being deleted."""
    return require(user_identity_key(workspace_id, user_identity_id), NOT_BEING_DELETED)


def list_at_user_identity(workspace_id: str, user_identity_id: str, acs_user_id: str) -> Action:
    """List an ACS user at a user identity that is there, and not being deleted."""
    return change(
        user_identity_key(workspace_id, user_identity_id),
        add={"acs_user_ids": frozenset({acs_user_id})},
        where=NOT_BEING_DELETED,
    )


def claim_acs_user(workspace_id: str, acs_user_id: str, acs_system_id: str, user_identity_id: str) -> Action:
    """Name the user identity in an ACS user of a system that names none or this one."""
    key = acs_user_key(workspace_id, acs_user_id)
    return claim(key, "user_identity_id", user_identity_id, where=("acs_system_id", acs_system_id))


def put_link(workspace_id: str, acs_user_id: str, acs_system_id: str, user_identity_id: str) -> Action:
    """Make an ACS user the only one of its system that a user identity has; it can be that already."""
    key = acs_user_link_key(workspace_id, user_identity_id, acs_system_id)
    return put_new_or_same(key, {"acs_user_id": acs_user_id}, "acs_user_id")


def unlink(workspace_id: str, acs_user_id: str, acs_system_id: str, user_identity_id: str) -> dict[str, Action]:
    """Return the actions that undo a link but for the ACS user's own part; ``automation`` fails if one uses it."""
    return {
        "automation": require_absent(automation_key(workspace_id, user_identity_id, acs_system_id)),
        "link": delete(acs_user_link_key(workspace_id, user_identity_id, acs_system_id), {"acs_user_id": acs_user_id}),
        "user_identity": change(
            user_identity_key(workspace_id, user_identity_id), discard={"acs_user_ids": frozenset({acs_user_id})}
        ),
    }


def unlinked_match(table: Table, workspace_id: str, acs_system_id: str, person: Item) -> str | None:
    """Return the id of a system's unlinked ACS user with a person's email address, else with her phone number.

    Args:
        table: The table.
        workspace_id: The workspace.
        acs_system_id: The system.
        person: Has an ``email_address``, a ``phone_number``, both or neither.
    """
    for attribute in _ADDRESSES:
        if attribute not in person:
            continue
        value = comparable(attribute, person[attribute])
        entries = table.walk(
            acs_user_match_key(workspace_id, acs_system_id, attribute, value, "").pk, at_once=MOST_KEYS
        )
        for some in batched(entries, MOST_KEYS, strict=False):
            keys = [acs_user_key(workspace_id, str(entry["sk"])) for entry in some]
            found = table.batch_get(keys)
            for key in keys:
                if key in found and "user_identity_id" not in found[key]:
                    return str(found[key]["acs_user_id"])
    return None
