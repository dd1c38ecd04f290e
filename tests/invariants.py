"""Rules that the table must keep, whatever was done to it and whatever failed."""

from collections.abc import Mapping

from enrollment.callers import split_ids
from enrollment.store.actions import as_read
from enrollment.store.attributes import Item, elements
from enrollment.store.items import (
    client_session_pointers,
    stored_acs_credential_pool,
    stored_acs_system,
    stored_acs_user,
    stored_automation,
    stored_client_session,
    stored_event,
    stored_user_identity,
    stored_workspace,
)
from enrollment.store.keys import (
    Key,
    acs_system_key,
    acs_user_key,
    acs_user_link_key,
    client_session_key,
    page_cursor_key,
    token_key,
    user_identity_key,
    workspace_of,
)


def violations(table: Mapping[Key, Item]) -> list[str]:
    """Return what is wrong with a whole table: what is missing, what is left over, what refers to nothing."""
    expected = _of_plain_items(table)
    required: list[tuple[Key, Key]] = []
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
                if item["requested_create_credential_manager_user"]:
                    required.append((key, acs_user_link_key(_of(item), identity_id, system_id)))
                if named := item.get("requested_credential_manager_acs_user_id"):
                    expected[acs_user_link_key(_of(item), identity_id, system_id)] = {"acs_user_id": named}
            case "ACS_CREDENTIAL_POOL":
                expected |= stored_acs_credential_pool(item)
                required.append((key, acs_system_key(_of(item), str(item["acs_system_id"]))))
            case "ACS_USER" if key.sk == "ACS_USER":
                expected |= stored_acs_user(item)
                required.append((key, acs_system_key(_of(item), str(item["acs_system_id"]))))
                if "user_identity_id" in item:
                    expected |= _link(item)
    wrong = _of_client_sessions(table)
    wrong += [f"{key} should be {item}" for key, item in expected.items() if table.get(key) != item]
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
    wrong += [f"{key} belongs to nothing" for key in table if key not in expected and not _stands_alone(key)]
    return wrong


def _of_client_sessions(table: Mapping[Key, Item]) -> list[str]:
    """Return what is wrong with pointers to client sessions, and with the records of their tokens."""
    wrong = []
    for key, item in table.items():
        if key.sk.startswith("CLIENT_SESSION_OF_"):
            workspace_id = workspace_of(key.pk)
            session = table.get(client_session_key(workspace_id, str(item["client_session_id"])))
            if session is None or "revoked_at" in session or key not in client_session_pointers(session):
                wrong.append(f"{key} points to no client session that it is for")
        elif key.sk == "CLIENT_SESSION":
            record = table.get(token_key(str(item["token_id"])), {})
            names = ["client_session_id", "created_at", "expires_at", "revoked_at", "user_identity_ids"]
            if as_read(record, names) != as_read(item, names):
                wrong.append(f"{key} and the record of its token differ")
            wrong += [
                f"{key} sees {identity_id}, which is not there"
                for identity_id in split_ids(str(item["user_identity_ids"]))
                if user_identity_key(_of(item), identity_id) not in table
            ]
        elif key.sk == "TOKEN" and "client_session_id" in item:
            session_id = str(item["client_session_id"])
            if client_session_key(str(item["workspace_ids"]), session_id) not in table:
                wrong.append(f"{key} is the token of a client session that is not there")
    return wrong


# Those whose entries are all that they need.
_PLAIN = {
    "ACS_SYSTEM": stored_acs_system,
    "CLIENT_SESSION": stored_client_session,
    "EVENT": stored_event,
    "WORKSPACE": stored_workspace,
}


def _of_plain_items(table: Mapping[Key, Item]) -> dict[Key, Item]:
    expected: dict[Key, Item] = {}
    for key, item in table.items():
        if key.sk in _PLAIN:
            expected |= _PLAIN[key.sk](item)
    return expected


def _of(item: Item) -> str:
    return str(item["workspace_id"])


def _identity_of(acs_user: Item) -> Key:
    return user_identity_key(_of(acs_user), str(acs_user["user_identity_id"]))


def _link(acs_user: Item) -> dict[Key, Item]:
    key = acs_user_link_key(_of(acs_user), str(acs_user["user_identity_id"]), str(acs_user["acs_system_id"]))
    return {key: {"acs_user_id": acs_user["acs_user_id"]}}


def _stands_alone(key: Key) -> bool:
    if key.sk.startswith("CLIENT_SESSION_OF_"):  # looked at on its own
        return True
    return key == page_cursor_key() or key.pk.startswith("TOKEN") or key.pk.endswith("#WEBHOOKS")
