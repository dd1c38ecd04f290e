"""Rules that the table must keep, whatever was done to it and whatever failed."""

from collections.abc import Mapping

from enrollment.callers import split_ids
from enrollment.store.attributes import Item, elements
from enrollment.store.items import (
    client_session_pointers,
    stored_acs_credential,
    stored_acs_credential_pool,
    stored_acs_system,
    stored_acs_user,
    stored_automation,
    stored_client_session,
    stored_event,
    stored_phone,
    stored_user_identity,
    stored_workspace,
)
from enrollment.store.keys import (
    Key,
    acs_credential_key,
    acs_system_key,
    acs_user_key,
    acs_user_link_key,
    enrollment_key,
    execution_key,
    page_cursor_key,
    phone_key,
    registration_key,
    token_key,
    user_identity_key,
)


def violations(table: Mapping[Key, Item]) -> list[str]:
    """Return what is wrong with a whole table: what is missing, what is left over, what refers to nothing."""
    expected = _of_events(table)
    required: list[tuple[Key, Key]] = []
    _note_phones(table, expected, required)
    _note_client_sessions(table, expected, required)
    for key, item in table.items():
        match key.sk.partition("#")[0]:
            case "USER_IDENTITY":
                expected |= stored_user_identity(item)
                required += [
                    (key, acs_user_key(_of(item), acs_user_id)) for acs_user_id in elements(item.get("acs_user_ids"))
                ]
            case "ENROLLMENT_AUTOMATION" if key.pk.count("#USER_IDENTITY#"):
                expected |= stored_automation(item)
                system_id, identity_id = str(item["credential_manager_acs_system_id"]), str(item["user_identity_id"])
                required += [
                    (key, acs_system_key(_of(item), system_id)),
                    (key, user_identity_key(_of(item), identity_id)),
                ]
            case "ACS_SYSTEM":
                expected |= stored_acs_system(item)
            case "ACS_CREDENTIAL_POOL":
                expected |= stored_acs_credential_pool(item)
                required.append((key, acs_system_key(_of(item), str(item["acs_system_id"]))))
            case "ACS_USER" if key.sk == "ACS_USER":
                expected |= stored_acs_user(item)
                required.append((key, acs_system_key(_of(item), str(item["acs_system_id"]))))
                if "user_identity_id" in item:
                    expected |= _link(item)
    wrong = [f"{key} should be {item}" for key, item in expected.items() if _as_if_new(key, table) != item]
    wrong += [f"{key} refers to {other}, which is not there" for key, other in required if other not in table]
    wrong += [
        f"{_identity_of(item)} does not list {key}"
        for key, item in table.items()
        if key.sk == "ACS_USER"
        and "user_identity_id" in item
        and item["acs_user_id"] not in elements(table.get(_identity_of(item), {}).get("acs_user_ids"))
    ]
    wrong += [
        f"{key} lists {acs_user_id}, which is not linked to it"
        for key, item in table.items()
        if key.sk == "USER_IDENTITY"
        for acs_user_id in elements(item.get("acs_user_ids"))
        if table.get(acs_user_key(_of(item), acs_user_id), {}).get("user_identity_id") != item["user_identity_id"]
    ]
    wrong += _credentials_and_acs_users(table)
    wrong += _registrations_and_their_own(table)
    wrong += _tokens_of_client_sessions(table)
    wrong += [f"{key} belongs to nothing" for key in table if key not in expected and not _stands_alone(key)]
    return wrong


def _note_phones(table: Mapping[Key, Item], expected: dict[Key, Item], required: list[tuple[Key, Key]]) -> None:
    """Add what phones, credentials, registrations and enrollments make expected and required.

    What is at a credential manager outlives its user identity, until an execution has taken it back.
    """
    for key, item in table.items():
        match key.sk.partition("#")[0]:
            case "PHONE" if key.sk != "PHONE":
                expected |= stored_phone(item)
                required.append((key, _identity_of(item)))
                required += [
                    (
                        key,
                        registration_key(_of(item), str(item["user_identity_id"]), str(item["device_id"]), manager_id),
                    )
                    for manager_id in elements(item.get("registered_with"))
                ]
            case "CREDENTIAL":
                expected |= stored_acs_credential(item)
                required.append((key, _enrollment_of(item)))
                if "being_deleted_at" not in item:
                    required += [(key, _identity_of(item)), (key, acs_user_key(_of(item), str(item["acs_user_id"])))]
                if "device_id" in item:
                    required.append((key, _registration_of(item)))
            case "REGISTRATION":
                expected[key] = item
                required.append((key, _enrollment_of(item)))
                required.append((key, acs_system_key(_of(item), str(item["credential_manager_acs_system_id"]))))
                required += [
                    (key, acs_credential_key(_of(item), str(item["user_identity_id"]), credential_id))
                    for credential_id in elements(item.get("acs_credential_ids"))
                ]
            case "EXECUTION":
                expected[key] = item
                required.append((key, _enrollment_of(item)))
            case "ENROLLMENT":
                expected[key] = item
                # It stays when its system is deleted, so that its revision does not begin anew.
                if _execution_of(item) not in table:
                    required.append((key, _identity_of(item)))


def _note_client_sessions(
    table: Mapping[Key, Item], expected: dict[Key, Item], required: list[tuple[Key, Key]]
) -> None:
    """Add what workspaces and client sessions make expected and required.

    A pointer by which a session is found may be missing: the next request that looks for it puts it.  One that is there
    names a session that is not revoked, and that it is for.
    """
    for key, item in table.items():
        match key.sk:
            case "WORKSPACE":
                expected |= stored_workspace(item)
            case "CLIENT_SESSION":
                expected |= stored_client_session(item)
                required.append((key, token_key(str(item["token_id"]))))
                required += [
                    (key, user_identity_key(_of(item), identity_id))
                    for identity_id in split_ids(str(item["user_identity_ids"]))
                ]
                if "revoked_at" not in item:
                    pointers = client_session_pointers(item)
                    expected |= {one: pointer for one, pointer in pointers.items() if table.get(one) == pointer}


def _tokens_of_client_sessions(table: Mapping[Key, Item]) -> list[str]:
    """Return which records of tokens do not say what their client session says."""
    sessions = {str(item["client_session_id"]): item for key, item in table.items() if key.sk == "CLIENT_SESSION"}
    return [
        f"{key} is not what its client session says"
        for key, item in table.items()
        if key.pk.startswith("TOKEN#")
        and "client_session_id" in item
        and not _says_the_same(key, item, sessions.get(str(item["client_session_id"]), {}))
    ]


def _says_the_same(key: Key, token: Item, session: Item) -> bool:
    names = ("user_identity_ids", "expires_at", "revoked_at")
    return key.pk == f"TOKEN#{session.get('token_id')}" and all(token.get(one) == session.get(one) for one in names)


def _credentials_and_acs_users(table: Mapping[Key, Item]) -> list[str]:
    """Return where a credential and its ACS user do not name each other, or name two user identities."""
    owned = {
        (item["acs_user_id"], item["acs_credential_id"], item["user_identity_id"])
        for key, item in table.items()
        if key.sk.startswith("CREDENTIAL#") and "being_deleted_at" not in item
    }
    named = {
        (item["acs_user_id"], credential_id, item.get("user_identity_id"))
        for key, item in table.items()
        if key.sk == "ACS_USER"
        for credential_id in elements(item.get("acs_credential_ids"))
    }
    return [
        f"credential {credential_id} and ACS user {acs_user_id} do not belong to each other"
        for acs_user_id, credential_id, _ in owned ^ named
    ]


def _registrations_and_their_own(table: Mapping[Key, Item]) -> list[str]:
    """Return where a registration and its phone or its credentials do not name each other."""
    wrong = []
    for key, item in table.items():
        if key.sk.startswith("CREDENTIAL#") and "device_id" in item:
            registration = table.get(_registration_of(item), {})
            if item["acs_credential_id"] not in elements(registration.get("acs_credential_ids")):
                wrong.append(f"{_registration_of(item)} does not list {key}")
        if key.sk.startswith("REGISTRATION#"):
            phone = table.get(phone_key(_of(item), str(item["user_identity_id"]), str(item["device_id"])))
            if phone and item["credential_manager_acs_system_id"] not in elements(phone.get("registered_with")):
                wrong.append(f"its phone does not know {key}")
    return wrong


def _of_events(table: Mapping[Key, Item]) -> dict[Key, Item]:
    expected: dict[Key, Item] = {}
    for key, item in table.items():
        if key.sk == "EVENT":
            expected |= stored_event(item)
    return expected


def _of(item: Item) -> str:
    return str(item["workspace_id"])


def _identity_of(item: Item) -> Key:
    return user_identity_key(_of(item), str(item["user_identity_id"]))


def _enrollment_of(credential: Item) -> Key:
    identity_id, manager_id = str(credential["user_identity_id"]), str(credential["credential_manager_acs_system_id"])
    return enrollment_key(_of(credential), identity_id, manager_id)


def _execution_of(enrollment: Item) -> Key:
    manager_id = str(enrollment["credential_manager_acs_system_id"])
    return execution_key(_of(enrollment), str(enrollment["user_identity_id"]), manager_id)


def _registration_of(credential: Item) -> Key:
    manager_id = str(credential["credential_manager_acs_system_id"])
    identity_id, device_id = str(credential["user_identity_id"]), str(credential["device_id"])
    return registration_key(_of(credential), identity_id, device_id, manager_id)


def _as_if_new(key: Key, table: Mapping[Key, Item]) -> Item | None:
    """Return an item; a link that an import has restored says so, and says the same beside that."""
    item = table.get(key)
    if item is None or not key.sk.startswith("ACS_USER#"):
        return item
    return {name: value for name, value in item.items() if name != "restored_at"}


def _link(acs_user: Item) -> dict[Key, Item]:
    key = acs_user_link_key(_of(acs_user), str(acs_user["user_identity_id"]), str(acs_user["acs_system_id"]))
    return {key: {"acs_user_id": acs_user["acs_user_id"]}}


def _stands_alone(key: Key) -> bool:
    return (
        key == page_cursor_key()
        or key.pk.startswith(("TOKEN", "DELETED_WORKSPACE#"))
        or key.pk.endswith(("#WEBHOOKS", "#WORKSPACE", "#PAUSE", "#CONNECTOR"))
        or "#SIMULATED#" in key.pk
    )
