"""Links between ACS users and user identities, and how an ACS user is found by a person's addresses.

A link is three things that change together: the ACS user names its user identity, the user identity lists the ACS
user, and the link item makes it the identity's only ACS user in its system.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import batched
from types import MappingProxyType
from typing import NamedTuple

from enrollment.errors import UserIdentityNotFound
from enrollment.store.actions import (
    Action,
    as_read,
    change,
    claim,
    delete,
    put_new,
    put_new_or_same,
    require,
)
from enrollment.store.attributes import Item, Value
from enrollment.store.items import ADDRESSES, ENTRIES_OF_ACS_USER_COME_FROM, normalized, stored_acs_user
from enrollment.store.keys import acs_user_key, acs_user_link_key, acs_user_match_key, user_identity_key
from enrollment.store.table import MOST_KEYS, Table
from enrollment.timestamps import timestamp

# What a new ACS user takes over from a person, and what an existing one is found by.
PERSON = ("full_name", *ADDRESSES)

# The condition of whatever is attached to a user identity: nothing is, once its deletion has begun.
NOT_BEING_DELETED: Mapping[str, Value | None] = {"being_deleted_at": None}

# The condition of whatever ends an ACS user or its link.  Each credential is listed at its ACS user when it is made.
HAS_NO_CREDENTIALS: Mapping[str, Value | None] = {"acs_credential_ids": None}


def new_acs_user(workspace_id: str, acs_system_id: str, person: Item) -> Item:
    """Return the item of an ACS user that does not exist yet, with a new id.

    Args:
        workspace_id: The workspace.
        acs_system_id: The system that it is in.
        person: Has any of ``full_name``, ``email_address`` and ``phone_number``.
    """
    profile = {name: person[name] for name in PERSON if name in person}
    return {
        "acs_user_id": str(uuid.uuid4()),
        "acs_system_id": acs_system_id,
        "workspace_id": workspace_id,
        "created_at": timestamp(datetime.now(UTC)),
        **profile,
    }


def put_acs_user(acs_user: Item, name: str = "new_acs_user") -> dict[str, Action]:
    """Return the actions that store a new ACS user; ``name`` is the name of the action for its own item."""
    (itself, *entries) = stored_acs_user(acs_user).items()
    return {name: put_new(*itself)} | {f"{name}_entry_{index}": put_new(*entry) for index, entry in enumerate(entries)}


def delete_acs_user(acs_user: Item) -> dict[str, Action]:
    """Return the actions that delete an unchanged ACS user that has no credentials.

    Args:
        acs_user: The ACS user.  The action on its own item is called ``acs_user``, too.
    """
    (itself, *entries) = stored_acs_user(acs_user)
    where = as_read(acs_user, [*ENTRIES_OF_ACS_USER_COME_FROM, "user_identity_id"])
    return {"acs_user": delete(itself, {**where, **HAS_NO_CREDENTIALS})} | {
        f"acs_user_entry_{index}": delete(entry) for index, entry in enumerate(entries)
    }


def is_usable(user_identity: Item) -> bool:
    """Return whether a user identity is there for requests.  One that is being deleted is not."""
    return "being_deleted_at" not in user_identity


def require_usable(user_identity: Item | None) -> Item:
    """Return a user identity that is there for requests.

    Raises:
        UserIdentityNotFound: There is none, or it is being deleted.
    """
    if user_identity is None or not is_usable(user_identity):
        raise UserIdentityNotFound
    return user_identity


def use_user_identity(workspace_id: str, user_identity_id: str) -> Action:
    """Require that a user identity exists and is not being deleted."""
    return require(user_identity_key(workspace_id, user_identity_id), NOT_BEING_DELETED)


def list_at_user_identity(
    workspace_id: str, user_identity_id: str, acs_user_id: str, where: Mapping[str, Value | None] = MappingProxyType({})
) -> Action:
    """List an ACS user at a user identity that exists and is not being deleted.

    Args:
        workspace_id: The workspace.
        user_identity_id: The user identity.
        acs_user_id: The ACS user.
        where: Values that the user identity's attributes must have, because the ACS user was chosen by them.
    """
    return change(
        user_identity_key(workspace_id, user_identity_id),
        add={"acs_user_ids": frozenset({acs_user_id})},
        where={**NOT_BEING_DELETED, **where},
    )


def claim_acs_user(
    workspace_id: str,
    acs_user_id: str,
    acs_system_id: str,
    user_identity_id: str,
    where: Mapping[str, Value | None] = MappingProxyType({}),
) -> Action:
    """Set an ACS user's user identity, unless it has another one.

    Args:
        workspace_id: The workspace.
        acs_user_id: The ACS user.
        acs_system_id: The system that it must be in.
        user_identity_id: The user identity.
        where: Values that the ACS user's attributes must have, because it was chosen by them.
    """
    key = acs_user_key(workspace_id, acs_user_id)
    return claim(key, "user_identity_id", user_identity_id, where={"acs_system_id": acs_system_id, **where})


def put_link(workspace_id: str, acs_user_id: str, acs_system_id: str, user_identity_id: str) -> Action:
    """Make an ACS user the only one of its system that a user identity has, which it may be already."""
    key = acs_user_link_key(workspace_id, user_identity_id, acs_system_id)
    return put_new_or_same(key, {"acs_user_id": acs_user_id}, "acs_user_id")


def unlink(workspace_id: str, acs_user_id: str, acs_system_id: str, user_identity_id: str) -> dict[str, Action]:
    """Return the actions that undo a link, but for the one on the ACS user itself."""
    return {
        "link": delete(acs_user_link_key(workspace_id, user_identity_id, acs_system_id), {"acs_user_id": acs_user_id}),
        "user_identity": change(
            user_identity_key(workspace_id, user_identity_id), discard={"acs_user_ids": frozenset({acs_user_id})}
        ),
    }


class Match(NamedTuple):
    """An unlinked ACS user that has a person's address.

    Attributes:
        acs_user_id: Its id.
        address: The address that it was found by, as it is stored.  The transaction that links the ACS user must
            check that it is unchanged.
    """

    acs_user_id: str
    address: dict[str, Value | None]


def unlinked_match(table: Table, workspace_id: str, acs_system_id: str, person: Item) -> Match | None:
    """Return a system's unlinked ACS user with a person's email address, else with the person's phone number.

    The ACS user itself must have the address: an entry that is out of date does not count.

    Args:
        table: The table.
        workspace_id: The workspace.
        acs_system_id: The system.
        person: Has an ``email_address``, a ``phone_number``, both or neither.
    """
    for attribute in ADDRESSES:
        if attribute not in person:
            continue
        value = normalized(attribute, person[attribute])
        entries = table.walk(
            acs_user_match_key(workspace_id, acs_system_id, attribute, value, "").pk, at_once=MOST_KEYS
        )
        for some in batched(entries, MOST_KEYS, strict=False):
            keys = [acs_user_key(workspace_id, str(entry["sk"])) for entry in some]
            found = table.batch_get(keys)
            for acs_user in (found[key] for key in keys if key in found):
                has_address = attribute in acs_user and normalized(attribute, acs_user[attribute]) == value
                if has_address and "user_identity_id" not in acs_user:
                    return Match(str(acs_user["acs_user_id"]), as_read(acs_user, [attribute]))
    return None
