"""What is stored of each subject: the item itself, and the entries that are derived from it.

An entry makes an item findable: in a list, by an address, by an id.  Each function returns the item first and then its
entries, each with its key.  So an entry is right if the function of its item returns it, and can always be made anew.

Whoever deletes or replaces entries must have the transaction check the attributes that they were derived from:
``ENTRIES_OF_...`` names them.  Otherwise a change in between leaves an entry that stands for nothing.
"""

from collections.abc import Mapping

from enrollment.store.attributes import Item, Value
from enrollment.store.keys import (
    Key,
    acs_credential_pool_key,
    acs_credential_pool_listing_key,
    acs_system_key,
    acs_system_listing_key,
    acs_user_key,
    acs_user_listing_key,
    acs_user_match_key,
    acs_user_of_system_listing_key,
    automation_by_id_key,
    automation_key,
    credential_manager_listing_key,
    enrolled_listing_key,
    unique_key,
    user_identity_key,
    user_identity_listing_key,
)

# What finds an ACS user for a user identity, in this order (contract, "What launching does").
ADDRESSES = ("email_address", "phone_number")


# What at most one user identity of a workspace has.
UNIQUE = ("user_identity_key", *ADDRESSES)


ENTRIES_OF_USER_IDENTITY_COME_FROM = ("created_at", *UNIQUE)


ENTRIES_OF_ACS_USER_COME_FROM = ("acs_system_id", "created_at", *ADDRESSES)


def comparable(attribute: str, value: Value) -> str:
    """Return a value in the one way in which equal values are written: email addresses without regard to case."""
    return str(value).lower() if attribute == "email_address" else str(value)


def stored_user_identity(user_identity: Item) -> dict[Key, Item]:
    """Return the items of a user identity: itself, its entry among all, and one that keeps each unique value for it."""
    workspace_id, user_identity_id = _strings(user_identity, "workspace_id", "user_identity_id")
    return {
        user_identity_key(workspace_id, user_identity_id): user_identity,
        user_identity_listing_key(workspace_id, str(user_identity["created_at"]), user_identity_id): {},
        **{key: {"user_identity_id": user_identity_id} for key in unique_keys(workspace_id, user_identity).values()},
    }


def unique_keys(workspace_id: str, user_identity: Mapping[str, Value | None]) -> dict[str, Key]:
    """Return the keys of the items that keep a user identity's unique values for it, by attribute."""
    return {
        name: unique_key(workspace_id, name, comparable(name, value))
        for name in UNIQUE
        if (value := user_identity.get(name)) is not None
    }


def stored_automation(automation: Item) -> dict[Key, Item]:
    """Return the items of an automation: itself, the one that finds it by its id, its entry among the enrolled."""
    workspace_id, automation_id, identity_id, system_id = _strings(
        automation,
        "workspace_id",
        "enrollment_automation_id",
        "user_identity_id",
        "credential_manager_acs_system_id",
    )
    return {
        automation_key(workspace_id, identity_id, system_id): automation,
        automation_by_id_key(workspace_id, automation_id): {
            "user_identity_id": identity_id,
            "credential_manager_acs_system_id": system_id,
        },
        enrolled_listing_key(workspace_id, system_id, identity_id): {},
    }


def stored_acs_system(acs_system: Item) -> dict[Key, Item]:
    """Return the items of an ACS system: itself, and its entries among all and among the credential managers."""
    workspace_id, acs_system_id, created_at = _strings(acs_system, "workspace_id", "acs_system_id", "created_at")
    stored: dict[Key, Item] = {
        acs_system_key(workspace_id, acs_system_id): acs_system,
        acs_system_listing_key(workspace_id, created_at, acs_system_id): {},
    }
    if acs_system["is_credential_manager"]:
        stored[credential_manager_listing_key(workspace_id, created_at, acs_system_id)] = {}
    return stored


def stored_acs_credential_pool(pool: Item) -> dict[Key, Item]:
    """Return the items of a credential pool: itself, and its entry among those of its system."""
    workspace_id, acs_system_id, pool_id, created_at = _strings(
        pool, "workspace_id", "acs_system_id", "acs_credential_pool_id", "created_at"
    )
    return {
        acs_credential_pool_key(workspace_id, pool_id): pool,
        acs_credential_pool_listing_key(workspace_id, acs_system_id, created_at, pool_id): {},
    }


def stored_acs_user(acs_user: Item) -> dict[Key, Item]:
    """Return the items of an ACS user: itself, its entries in lists, and those that find it by its addresses."""
    workspace_id, acs_system_id, acs_user_id, created_at = _strings(
        acs_user, "workspace_id", "acs_system_id", "acs_user_id", "created_at"
    )
    matches = [
        acs_user_match_key(workspace_id, acs_system_id, name, comparable(name, acs_user[name]), acs_user_id)
        for name in ADDRESSES
        if name in acs_user
    ]
    return {
        acs_user_key(workspace_id, acs_user_id): acs_user,
        acs_user_listing_key(workspace_id, created_at, acs_user_id): {},
        acs_user_of_system_listing_key(workspace_id, acs_system_id, created_at, acs_user_id): {},
        **{key: {} for key in matches},
    }


def _strings(item: Item, *names: str) -> tuple[str, ...]:
    return tuple(str(item[name]) for name in names)
