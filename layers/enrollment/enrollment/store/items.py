"""The items of each subject: its own item, and the entries that are derived from it.

An entry makes an item findable: in a list, by an address, or by an id.  Each ``stored_`` function returns an item and
its entries, each with its key; the item comes first.  So every entry can be checked against its item, and made anew.

A transaction that deletes or replaces entries must check the attributes that they were derived from; ``ENTRIES_OF_...``
names these.  Otherwise a change between the read and the transaction leaves an entry without an item.
"""

from collections.abc import Mapping
from typing import TypeGuard

from enrollment.store.attributes import Item, Value
from enrollment.store.keys import (
    Key,
    acs_credential_by_id_key,
    acs_credential_key,
    acs_credential_listing_key,
    acs_credential_of_system_listing_key,
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
    client_session_key,
    client_session_listing_key,
    client_session_of_key_key,
    client_session_of_key_listing_key,
    client_session_of_user_identities_key,
    client_session_of_user_identity_listing_key,
    credential_manager_listing_key,
    enrolled_listing_key,
    event_key,
    event_listing_key,
    event_of_user_identity_listing_key,
    installation_key,
    phone_by_id_key,
    phone_key,
    phone_listing_key,
    unique_key,
    user_identity_key,
    user_identity_listing_key,
    workspace_key,
    workspace_listing_key,
)

# The attributes by which an ACS user is found for a user identity, in this order (contract, "What launching does").
ADDRESSES = ("email_address", "phone_number")

# The attributes whose values are unique among the user identities of a workspace.
UNIQUE = ("user_identity_key", *ADDRESSES)
# An ACS system or a credential pool has this attribute while it is being deleted.  Whoever attaches something
# to it takes it for one that does not exist.
RETIRED = "retired_at"
NOT_RETIRED: Mapping[str, Value | None] = {RETIRED: None}

ENTRIES_OF_USER_IDENTITY_COME_FROM = ("created_at", *UNIQUE)
ENTRIES_OF_CLIENT_SESSION_COME_FROM = ("created_at", "user_identity_ids", "user_identifier_key")
ENTRIES_OF_ACS_USER_COME_FROM = ("acs_system_id", "created_at", *ADDRESSES)
ENTRIES_OF_PHONE_COME_FROM = ("created_at", "custom_sdk_installation_id")
ENTRIES_OF_ACS_CREDENTIAL_COME_FROM = ("acs_system_id", "created_at")


def is_there(found: Item | None) -> TypeGuard[Item]:
    """Return whether an ACS system or a credential pool is there to attach something to it.

    Args:
        found: Its item; ``None`` if there is none.
    """
    return found is not None and RETIRED not in found


def normalized(attribute: str, value: Value) -> str:
    """Return a value in the form in which it is compared: an email address in small letters, any other as it is."""
    return str(value).lower() if attribute == "email_address" else str(value)


def stored_user_identity(user_identity: Item) -> dict[Key, Item]:
    """Return a user identity's own item, its entry in the list, and an item for each of its unique values."""
    workspace_id, user_identity_id = _strings(user_identity, "workspace_id", "user_identity_id")
    return {
        user_identity_key(workspace_id, user_identity_id): user_identity,
        user_identity_listing_key(workspace_id, str(user_identity["created_at"]), user_identity_id): {},
        **{key: {"user_identity_id": user_identity_id} for key in unique_keys(workspace_id, user_identity).values()},
    }


def unique_keys(workspace_id: str, user_identity: Mapping[str, Value | None]) -> dict[str, Key]:
    """Return the keys of the items that reserve a user identity's unique values, by attribute."""
    return {
        name: unique_key(workspace_id, name, normalized(name, value))
        for name in UNIQUE
        if (value := user_identity.get(name)) is not None
    }


def stored_automation(automation: Item) -> dict[Key, Item]:
    """Return an automation's own item, the one that finds it by its id, and its entry in the list of the enrolled."""
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
    """Return an ACS system's own item, and its entries in the lists of all and of the credential managers."""
    workspace_id, acs_system_id, created_at = _strings(acs_system, "workspace_id", "acs_system_id", "created_at")
    stored: dict[Key, Item] = {
        acs_system_key(workspace_id, acs_system_id): acs_system,
        acs_system_listing_key(workspace_id, created_at, acs_system_id): {},
    }
    if acs_system["is_credential_manager"]:
        stored[credential_manager_listing_key(workspace_id, created_at, acs_system_id)] = {}
    return stored


def stored_acs_credential_pool(pool: Item) -> dict[Key, Item]:
    """Return a credential pool's own item, and its entry in the list of its system."""
    workspace_id, acs_system_id, pool_id, created_at = _strings(
        pool, "workspace_id", "acs_system_id", "acs_credential_pool_id", "created_at"
    )
    return {
        acs_credential_pool_key(workspace_id, pool_id): pool,
        acs_credential_pool_listing_key(workspace_id, acs_system_id, created_at, pool_id): {},
    }


def stored_acs_user(acs_user: Item) -> dict[Key, Item]:
    """Return an ACS user's own item, its entries in lists, and those that find it by its addresses."""
    workspace_id, acs_system_id, acs_user_id, created_at = _strings(
        acs_user, "workspace_id", "acs_system_id", "acs_user_id", "created_at"
    )
    matches = [
        acs_user_match_key(workspace_id, acs_system_id, name, normalized(name, acs_user[name]), acs_user_id)
        for name in ADDRESSES
        if name in acs_user
    ]
    return {
        acs_user_key(workspace_id, acs_user_id): acs_user,
        acs_user_listing_key(workspace_id, created_at, acs_user_id): {},
        acs_user_of_system_listing_key(workspace_id, acs_system_id, created_at, acs_user_id): {},
        **{key: {} for key in matches},
    }


def stored_phone(phone: Item) -> dict[Key, Item]:
    """Return a phone's own item, the one that finds it by its id, its entry in the list, and that of its installation.

    A phone never moves to another user identity, so each entry may name its own.

    Args:
        phone: The phone.  It has a ``custom_sdk_installation_id`` if an app's installation registered it.
    """
    workspace_id, identity_id, device_id, created_at = _strings(
        phone, "workspace_id", "user_identity_id", "device_id", "created_at"
    )
    stored: dict[Key, Item] = {
        phone_key(workspace_id, identity_id, device_id): phone,
        phone_by_id_key(workspace_id, device_id): {"user_identity_id": identity_id},
        phone_listing_key(workspace_id, created_at, device_id): {"user_identity_id": identity_id},
    }
    if "custom_sdk_installation_id" in phone:
        installation_id = str(phone["custom_sdk_installation_id"])
        stored[installation_key(workspace_id, identity_id, installation_id)] = {"device_id": device_id}
    return stored


def stored_acs_credential(credential: Item) -> dict[Key, Item]:
    """Return a credential's own item, the one that finds it by its id, and its entries in lists.

    A credential never moves to another user identity, so each entry may name its own.
    """
    workspace_id, identity_id, credential_id, acs_system_id, created_at = _strings(
        credential, "workspace_id", "user_identity_id", "acs_credential_id", "acs_system_id", "created_at"
    )
    at = {"user_identity_id": identity_id}
    return {
        acs_credential_key(workspace_id, identity_id, credential_id): credential,
        acs_credential_by_id_key(workspace_id, credential_id): at,
        acs_credential_listing_key(workspace_id, created_at, credential_id): at,
        acs_credential_of_system_listing_key(workspace_id, acs_system_id, created_at, credential_id): at,
    }


def stored_event(event: Item) -> dict[Key, Item]:
    """Return an event's own item, its entry in the workspace's list, and its entry in that of its user identity.

    An event never changes, so its entries hold all of it, and a list is read without a second look.

    Args:
        event: The event.  ``sequence`` is the sequence number of its stream record, and ``user_identity_id`` the user
            identity that it belongs to, if it belongs to one.
    """
    workspace_id, event_id, created_at, sequence = _strings(event, "workspace_id", "event_id", "created_at", "sequence")
    stored = {
        event_key(workspace_id, event_id): event,
        event_listing_key(workspace_id, created_at, sequence, event_id): event,
    }
    if "user_identity_id" in event:
        identity_id = str(event["user_identity_id"])
        stored[event_of_user_identity_listing_key(workspace_id, identity_id, created_at, sequence, event_id)] = event
    return stored


def stored_workspace(workspace: Item) -> dict[Key, Item]:
    """Return a workspace's own item, and its entry in the operator's list."""
    workspace_id, created_at = _strings(workspace, "workspace_id", "created_at")
    return {
        workspace_key(workspace_id): workspace,
        workspace_listing_key(created_at, workspace_id): {},
    }


def stored_client_session(session: Item) -> dict[Key, Item]:
    """Return a client session's own item, and its entries in lists.

    Not among them: the token's record, which is outside of the workspace, and ``client_session_pointers``.

    Args:
        session: The client session.  ``user_identity_ids`` are its user identities, sorted, with commas between them.
    """
    workspace_id, session_id, created_at, joined = _strings(
        session, "workspace_id", "client_session_id", "created_at", "user_identity_ids"
    )
    entries = [client_session_listing_key(workspace_id, created_at, session_id)]
    entries += [
        client_session_of_user_identity_listing_key(workspace_id, identity_id, created_at, session_id)
        for identity_id in joined.split(",")
        if identity_id
    ]
    if "user_identifier_key" in session:
        user_key = str(session["user_identifier_key"])
        entries.append(client_session_of_key_listing_key(workspace_id, user_key, created_at, session_id))
    return {client_session_key(workspace_id, session_id): session, **{entry: {} for entry in entries}}


def client_session_pointers(session: Item) -> dict[Key, Item]:
    """Return the items by which ``get_or_create`` finds a client session: by its key, and by its user identities.

    Several client sessions can share a key or their user identities.  A pointer names one of them, or is not there.
    """
    workspace_id, session_id = _strings(session, "workspace_id", "client_session_id")
    identity_ids = str(session["user_identity_ids"]).split(",")
    keys = [client_session_of_user_identities_key(workspace_id, identity_ids)]
    if "user_identifier_key" in session:
        keys.append(client_session_of_key_key(workspace_id, str(session["user_identifier_key"])))
    return {key: {"client_session_id": session_id} for key in keys}


def _strings(item: Item, *names: str) -> tuple[str, ...]:
    return tuple(str(item[name]) for name in names)
