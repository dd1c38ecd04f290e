"""The keys of the one table.

The partition key of everything in a workspace begins with ``WORKSPACE#<workspace_id>#``, so another workspace's ids
lead nowhere.

No list is a scan.  Each list has a partition with an entry for each of its things, and the sort keys are in the list's
order.  An entry holds nothing but its key and what never changes, so it is written once and never out of date.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

# The beginning of the partition keys of everything in any workspace.
EVERY_WORKSPACE = "WORKSPACE#"


class Key(NamedTuple):
    """A primary key."""

    pk: str
    sk: str


def key_of(item: Mapping[str, object]) -> Key:
    """Return the key of an item that was read."""
    return Key(str(item["pk"]), str(item["sk"]))


def workspace_key(workspace_id: str) -> Key:
    """Return the key of a workspace."""
    return Key(f"{workspace_prefix(workspace_id)}WORKSPACE", "WORKSPACE")


def user_identity_key(workspace_id: str, user_identity_id: str) -> Key:
    """Return the key of a user identity."""
    return Key(_partition(workspace_id, "USER_IDENTITY", user_identity_id), "USER_IDENTITY")


def automation_key(workspace_id: str, user_identity_id: str, acs_system_id: str) -> Key:
    """Return the key of an identity's automation with one credential manager; there is at most one."""
    partition = user_identity_key(workspace_id, user_identity_id).pk
    return Key(partition, f"ENROLLMENT_AUTOMATION#{acs_system_id}")


def acs_user_link_key(workspace_id: str, user_identity_id: str, acs_system_id: str) -> Key:
    """Return the key of an identity's link to its ACS user in one system; there is at most one."""
    return Key(user_identity_key(workspace_id, user_identity_id).pk, f"ACS_USER#{acs_system_id}")


def automation_by_id_key(workspace_id: str, enrollment_automation_id: str) -> Key:
    """Return the key of the item that finds an automation by its id."""
    partition = _partition(workspace_id, "ENROLLMENT_AUTOMATION", enrollment_automation_id)
    return Key(partition, "ENROLLMENT_AUTOMATION")


def acs_system_key(workspace_id: str, acs_system_id: str) -> Key:
    """Return the key of an ACS system."""
    return Key(_partition(workspace_id, "ACS_SYSTEM", acs_system_id), "ACS_SYSTEM")


def acs_credential_pool_key(workspace_id: str, acs_credential_pool_id: str) -> Key:
    """Return the key of a credential pool."""
    return Key(_partition(workspace_id, "ACS_CREDENTIAL_POOL", acs_credential_pool_id), "ACS_CREDENTIAL_POOL")


def acs_user_key(workspace_id: str, acs_user_id: str) -> Key:
    """Return the key of an ACS user."""
    return Key(_partition(workspace_id, "ACS_USER", acs_user_id), "ACS_USER")


def unique_key(workspace_id: str, attribute: str, value: str) -> Key:
    """Return the key of the item that reserves a unique value for one user identity of the workspace.

    Args:
        workspace_id: The workspace.
        attribute: The attribute, for instance ``email_address``.
        value: Its value, as ``items.normalized`` returns it.
    """
    return Key(_partition(workspace_id, f"UNIQUE_{attribute.upper()}", value), f"UNIQUE_{attribute.upper()}")


def acs_user_match_key(workspace_id: str, acs_system_id: str, attribute: str, value: str, acs_user_id: str) -> Key:
    """Return the key of the entry that finds a system's ACS user by an email address or a phone number."""
    system = acs_system_key(workspace_id, acs_system_id).pk
    return Key(f"{system}#ACS_USERS_BY_{attribute.upper()}#{value}", acs_user_id)


def user_identity_listing_key(workspace_id: str, created_at: str, user_identity_id: str) -> Key:
    """Return the key of a user identity's entry among all of the workspace, by age."""
    return Key(f"WORKSPACE#{workspace_id}#USER_IDENTITIES", f"{created_at}#{user_identity_id}")


def enrolled_listing_key(workspace_id: str, acs_system_id: str, user_identity_id: str) -> Key:
    """Return the key of a user identity's entry among those enrolled with a credential manager.

    The entries are in the order of ids.  Ids are random, so DynamoDB can split the partition when a whole building is
    enrolled at once.
    """
    return Key(f"{acs_system_key(workspace_id, acs_system_id).pk}#USER_IDENTITIES", user_identity_id)


def acs_user_listing_key(workspace_id: str, created_at: str, acs_user_id: str) -> Key:
    """Return the key of an ACS user's entry among all of the workspace, by age."""
    return Key(f"WORKSPACE#{workspace_id}#ACS_USERS", f"{created_at}#{acs_user_id}")


def acs_user_of_system_listing_key(workspace_id: str, acs_system_id: str, created_at: str, acs_user_id: str) -> Key:
    """Return the key of an ACS user's entry among those of its system, by age."""
    return Key(f"{acs_system_key(workspace_id, acs_system_id).pk}#ACS_USERS", f"{created_at}#{acs_user_id}")


def acs_system_listing_key(workspace_id: str, created_at: str, acs_system_id: str) -> Key:
    """Return the key of an ACS system's entry among all of the workspace, by age."""
    return Key(f"WORKSPACE#{workspace_id}#ACS_SYSTEMS", f"{created_at}#{acs_system_id}")


def credential_manager_listing_key(workspace_id: str, created_at: str, acs_system_id: str) -> Key:
    """Return the key of a credential manager's entry among all of the workspace, by age."""
    return Key(f"WORKSPACE#{workspace_id}#CREDENTIAL_MANAGERS", f"{created_at}#{acs_system_id}")


def acs_credential_pool_listing_key(
    workspace_id: str, acs_system_id: str, created_at: str, acs_credential_pool_id: str
) -> Key:
    """Return the key of a credential pool's entry among those of its system, by age."""
    system = acs_system_key(workspace_id, acs_system_id).pk
    return Key(f"{system}#ACS_CREDENTIAL_POOLS", f"{created_at}#{acs_credential_pool_id}")


def phone_key(workspace_id: str, user_identity_id: str, device_id: str) -> Key:
    """Return the key of a phone.

    What follows a launch is in a partition of its own, and not in that of the user identity: older releases list
    automations and delete user identities by reading all of the latter.
    """
    return Key(phones_partition(workspace_id, user_identity_id), f"PHONE#{device_id}")


def installation_key(workspace_id: str, user_identity_id: str, custom_sdk_installation_id: str) -> Key:
    """Return the key of the item that finds a user identity's phone by the installation of the app on it."""
    partition = phones_partition(workspace_id, user_identity_id)
    return Key(partition, f"INSTALLATION#{custom_sdk_installation_id}")


def acs_credential_key(workspace_id: str, user_identity_id: str, acs_credential_id: str) -> Key:
    """Return the key of a credential."""
    return Key(phones_partition(workspace_id, user_identity_id), f"CREDENTIAL#{acs_credential_id}")


def enrollment_key(workspace_id: str, user_identity_id: str, credential_manager_acs_system_id: str) -> Key:
    """Return the key of an enrollment: what is wanted of a user identity at one credential manager."""
    partition = phones_partition(workspace_id, user_identity_id)
    return Key(partition, f"ENROLLMENT#{credential_manager_acs_system_id}")


def registration_key(
    workspace_id: str, user_identity_id: str, device_id: str, credential_manager_acs_system_id: str
) -> Key:
    """Return the key of a phone's registration with a credential manager."""
    partition = phones_partition(workspace_id, user_identity_id)
    return Key(partition, f"REGISTRATION#{device_id}#{credential_manager_acs_system_id}")


def execution_key(workspace_id: str, user_identity_id: str, credential_manager_acs_system_id: str) -> Key:
    """Return the key of the item by which the executions of an enrollment know of each other."""
    partition = phones_partition(workspace_id, user_identity_id)
    return Key(partition, f"EXECUTION#{credential_manager_acs_system_id}")


def manager_pause_key(workspace_id: str, acs_system_id: str) -> Key:
    """Return the key of the item that is there while nobody sends requests to a credential manager."""
    return Key(f"{acs_system_key(workspace_id, acs_system_id).pk}#PAUSE", "PAUSE")


def simulated_phone_key(workspace_id: str, acs_system_id: str, phone_registration_id: str) -> Key:
    """Return the key of what a simulated credential manager knows of a phone."""
    return Key(_simulated(workspace_id, acs_system_id, phone_registration_id), "SIMULATED_PHONE")


def simulated_credential_key(
    workspace_id: str, acs_system_id: str, phone_registration_id: str, acs_credential_id: str
) -> Key:
    """Return the key of what a simulated credential manager knows of a credential."""
    partition = _simulated(workspace_id, acs_system_id, phone_registration_id)
    return Key(partition, f"SIMULATED_CREDENTIAL#{acs_credential_id}")


def simulated_prefix(workspace_id: str, acs_system_id: str) -> str:
    """Return the beginning of the partition keys of all that a simulated credential manager knows."""
    return _simulated(workspace_id, acs_system_id, "")


def connector_key(workspace_id: str, acs_system_id: str) -> Key:
    """Return the key of a credential manager's connector."""
    return Key(f"{acs_system_key(workspace_id, acs_system_id).pk}#CONNECTOR", "CONNECTOR")


def connector_pools_key(workspace_id: str, acs_system_id: str) -> Key:
    """Return the key of the item with the pools that a connector last told of.  Only operators read it."""
    return Key(connector_key(workspace_id, acs_system_id).pk, "POOLS")


def phones_partition(workspace_id: str, user_identity_id: str) -> str:
    """Return the partition key of a user identity's phones, credentials and enrollments."""
    return f"{user_identity_key(workspace_id, user_identity_id).pk}#PHONES"


def phone_by_id_key(workspace_id: str, device_id: str) -> Key:
    """Return the key of the item that finds a phone by its id."""
    return Key(_partition(workspace_id, "PHONE", device_id), "PHONE")


def phone_listing_key(workspace_id: str, created_at: str, device_id: str) -> Key:
    """Return the key of a phone's entry among all of the workspace, by age."""
    return Key(f"WORKSPACE#{workspace_id}#PHONES", f"{created_at}#{device_id}")


def acs_credential_by_id_key(workspace_id: str, acs_credential_id: str) -> Key:
    """Return the key of the item that finds a credential by its id."""
    return Key(_partition(workspace_id, "ACS_CREDENTIAL", acs_credential_id), "ACS_CREDENTIAL")


def acs_credential_listing_key(workspace_id: str, created_at: str, acs_credential_id: str) -> Key:
    """Return the key of a credential's entry among all of the workspace, by age."""
    return Key(f"WORKSPACE#{workspace_id}#ACS_CREDENTIALS", f"{created_at}#{acs_credential_id}")


def acs_credential_of_system_listing_key(
    workspace_id: str, acs_system_id: str, created_at: str, acs_credential_id: str
) -> Key:
    """Return the key of a credential's entry among those of its system, by age."""
    system = acs_system_key(workspace_id, acs_system_id).pk
    return Key(f"{system}#ACS_CREDENTIALS", f"{created_at}#{acs_credential_id}")


def event_key(workspace_id: str, event_id: str) -> Key:
    """Return the key of an event."""
    return Key(_partition(workspace_id, "EVENT", event_id), "EVENT")


def event_listing_key(workspace_id: str, created_at: str, sequence: str, event_id: str) -> Key:
    """Return the key of an event's entry among all of the workspace, in the order of the list.

    Args:
        workspace_id: The workspace.
        created_at: When the event was first listed.
        sequence: Where its change stands in the table's stream; see ``items.stored_event``.
        event_id: The event.
    """
    return Key(f"WORKSPACE#{workspace_id}#EVENTS", f"{created_at}#{sequence}#{event_id}")


def event_of_user_identity_listing_key(
    workspace_id: str, user_identity_id: str, created_at: str, sequence: str, event_id: str
) -> Key:
    """Return the key of an event's entry among those of its user identity, in the order of the list."""
    identity = user_identity_key(workspace_id, user_identity_id).pk
    return Key(f"{identity}#EVENTS", f"{created_at}#{sequence}#{event_id}")


def webhook_key(workspace_id: str, webhook_id: str) -> Key:
    """Return the key of a webhook.  All of a workspace's are in one partition, since events are checked against all."""
    return Key(f"WORKSPACE#{workspace_id}#WEBHOOKS", webhook_id)


def held_delivery_key(workspace_id: str, webhook_id: str, created_at: str, event_id: str) -> Key:
    """Return the key of an event that is held for a webhook until its address answers again; the oldest is first."""
    return Key(_partition(workspace_id, "WEBHOOK", webhook_id), f"{created_at}#{event_id}")


def client_session_key(workspace_id: str, client_session_id: str) -> Key:
    """Return the key of a client session."""
    return Key(_partition(workspace_id, "CLIENT_SESSION", client_session_id), "CLIENT_SESSION")


def client_session_listing_key(workspace_id: str, created_at: str, client_session_id: str) -> Key:
    """Return the key of a client session's entry among all of the workspace, by age."""
    return Key(f"{workspace_prefix(workspace_id)}CLIENT_SESSIONS", f"{created_at}#{client_session_id}")


def client_session_of_user_identity_listing_key(
    workspace_id: str, user_identity_id: str, created_at: str, client_session_id: str
) -> Key:
    """Return the key of a client session's entry among those of one of its user identities, by age."""
    identity = user_identity_key(workspace_id, user_identity_id).pk
    return Key(f"{identity}#CLIENT_SESSIONS", f"{created_at}#{client_session_id}")


def client_session_of_key_listing_key(
    workspace_id: str, user_identifier_key: str, created_at: str, client_session_id: str
) -> Key:
    """Return the key of a client session's entry among those with the same ``user_identifier_key``, by age."""
    partition = _partition(workspace_id, "CLIENT_SESSIONS_OF_KEY", user_identifier_key)
    return Key(partition, f"{created_at}#{client_session_id}")


def client_session_of_key_key(workspace_id: str, user_identifier_key: str) -> Key:
    """Return the key of the item that names the client session which ``get_or_create`` finds by its key."""
    return Key(_partition(workspace_id, "CLIENT_SESSION_OF_KEY", user_identifier_key), "CLIENT_SESSION_OF_KEY")


def client_session_of_user_identities_key(workspace_id: str, user_identity_ids: Iterable[str]) -> Key:
    """Return the key of the item that names the client session of exactly these user identities.

    A partition key has 2 kB at most, so it has a hash of the ids.
    """
    digest = hashlib.sha256(",".join(sorted(user_identity_ids)).encode()).hexdigest()
    kind = "CLIENT_SESSION_OF_USER_IDENTITIES"
    return Key(_partition(workspace_id, kind, digest), kind)


def workspace_listing_key(created_at: str, workspace_id: str) -> Key:
    """Return the key of a workspace's entry in the operator's list, by age."""
    return Key("WORKSPACES", f"{created_at}#{workspace_id}")


def deleted_workspace_key(workspace_id: str) -> Key:
    """Return the key of the mark that a workspace is being deleted, or was.

    It is outside of the workspace's keys, because it outlives them: what comes late must not begin the workspace anew.
    """
    return Key(f"DELETED_WORKSPACE#{workspace_id}", "DELETED_WORKSPACE")


def doctors_workspace_key(workspace_id: str) -> Key:
    """Return the key of the note that a workspace was made by ``enrollments doctor``, which removes it again."""
    return Key("DOCTORS_WORKSPACES", workspace_id)


def listed_id(sk: str) -> str:
    """Return the id of the thing that an entry of a list stands for."""
    return sk.rpartition("#")[2]


def token_key(short: str) -> Key:
    """Return the key of a token's record."""
    return Key(f"TOKEN#{short}", "TOKEN")


def token_listing_key(short: str) -> Key:
    """Return the key of a token's entry in the list of all tokens."""
    return Key("TOKENS", short)


def page_cursor_key() -> Key:
    """Return the key of the item with the secret that seals page cursors."""
    return Key("SECRET#PAGE_CURSOR", "SECRET")


def workspace_prefix(workspace_id: str) -> str:
    """Return the beginning of the partition keys of everything in a workspace."""
    return f"{EVERY_WORKSPACE}{workspace_id}#"


def user_identity_of(pk: str) -> tuple[str, str]:
    """Return the ids of the workspace and the user identity that a user identity's partition key names.

    Raises:
        ValueError: It is another thing's partition key.
    """
    kind, workspace_id, subject, identity_id, *_ = [*pk.split("#"), "", "", ""]
    if kind != "WORKSPACE" or subject != "USER_IDENTITY" or not identity_id:
        raise ValueError("this is no partition of a user identity")
    return workspace_id, identity_id


def workspace_of(pk: str) -> str:
    """Return the id of the workspace whose partition key begins with ``EVERY_WORKSPACE``."""
    return pk.removeprefix(EVERY_WORKSPACE).partition("#")[0]


def _simulated(workspace_id: str, acs_system_id: str, phone_registration_id: str) -> str:
    return f"{acs_system_key(workspace_id, acs_system_id).pk}#SIMULATED#{phone_registration_id}"


def _partition(workspace_id: str, kind: str, identifier: str) -> str:
    return f"{workspace_prefix(workspace_id)}{kind}#{identifier}"
