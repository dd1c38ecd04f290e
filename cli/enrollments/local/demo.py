"""A demo workspace, and a second one that clients of the first must not see.

Ids and tokens are constants, so that the files in ``events/`` and the examples in the documents work unchanged.
This makes the tokens public, so they are written to local tables only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched

from enrollment.callers import TokenKind
from enrollment.resources.automations import EnrollmentAutomation, LaunchRequest
from enrollment.store.actions import delete, put_new
from enrollment.store.attributes import Item
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
    acs_user_link_key,
    deleted_workspace_key,
    enrollment_key,
    page_cursor_key,
    token_key,
    token_listing_key,
    webhook_key,
    workspace_key,
)
from enrollment.store.table import MOST_ACTIONS, Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.automations import automation_item
from enrollment.use_cases.client_session_items import joined
from enrollment.use_cases.client_sessions import FIRST_VERSION as FIRST_CLIENT_SESSION_VERSION
from enrollment.use_cases.client_sessions import client_session_of, token_record
from enrollment.use_cases.tokens import NewToken
from enrollment.use_cases.webhooks import FIRST_VERSION

CREATED_AT = "2026-01-09T05:45:33.068Z"
_NEVER_DELETED = 4102444800  # the year 2100, in seconds: the demo's event is always listed
# Public, too: each client session's token is derived from it.
CLIENT_SESSIONS_SECRET = "demo-secret-of-client-sessions"  # noqa: S105 - see above  # pragma: allowlist secret
# Public, too: each connector's signing secret is derived from it.
CONNECTORS_SECRET = "demo-secret-of-connectors"  # noqa: S105 - see above  # pragma: allowlist secret
_SECRET = "PubLicDemoKeyForLocaLUse"  # noqa: S105 - public, see above
_CURSOR_SECRET = "de30" * 16  # in hex; a constant, so that page cursors in events and examples stay valid


def _id(number: int) -> str:
    return f"de300000-0000-4000-8000-{number:012x}"


# The demo workspaces that one transaction puts, at most.
_MOST_MARKS = 5


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo workspaces.

    Attributes:
        variables: Ids and tokens, by their names in the output of ``make run``.
        automation: The automation that the demo has already launched.
        items: All items of the table, by key.
    """

    variables: Mapping[str, str]
    automation: EnrollmentAutomation
    items: Mapping[Key, Item]


def demo() -> Demo:
    """Return the demo workspaces."""
    workspace_id, other_workspace_id = _id(0x01), _id(0x02)
    session = _client_session(workspace_id, _id(0x91), _id(0x11))
    variables = {
        "SEAM_API_KEY": _token("testDemo"),
        "SEAM_PERSONAL_ACCESS_TOKEN": _token("at1testDemo"),
        "SEAM_CLIENT_SESSION_TOKEN": client_session_of(session, CLIENT_SESSIONS_SECRET.encode()).token,
        "SEAM_WORKSPACE_ID": workspace_id,
        "USER_IDENTITY_ID": _id(0x11),
        "OTHER_USER_IDENTITY_ID": _id(0x12),
        "CREDENTIAL_MANAGER_ACS_SYSTEM_ID": _id(0x21),
        "OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID": _id(0x22),
        "ACS_SYSTEM_ID": _id(0x23),
        "ACS_CREDENTIAL_POOL_ID": _id(0x31),
        "OTHER_ACS_CREDENTIAL_POOL_ID": _id(0x32),
        "CREDENTIAL_MANAGER_ACS_USER_ID": _id(0x41),
        "OTHER_CREDENTIAL_MANAGER_ACS_USER_ID": _id(0x42),
        "ENROLLED_USER_IDENTITY_ID": _id(0x14),
        "ENROLLMENT_AUTOMATION_ID": _id(0x51),
        "ACS_USER_ID": _id(0x44),
        "ENROLLED_ACS_USER_ID": _id(0x45),
        "EVENT_ID": _id(0x71),
        "WEBHOOK_ID": _id(0x81),
        "CLIENT_SESSION_ID": str(session["client_session_id"]),
        "DEVICE_ID": _id(0x91),
        "ACS_CREDENTIAL_ID": _id(0xA1),
        "EXPIRED_SEAM_API_KEY": _token("testDxpd"),
        "REVOKED_SEAM_API_KEY": _token("testDrev"),
        "OTHER_SEAM_API_KEY": _token("testDtwo"),
        "OTHER_SEAM_WORKSPACE_ID": other_workspace_id,
        "OTHER_WORKSPACE_USER_IDENTITY_ID": _id(0x13),
        "OTHER_WORKSPACE_ACS_SYSTEM_ID": _id(0x24),
        "OTHER_WORKSPACE_ACS_CREDENTIAL_POOL_ID": _id(0x33),
        "OTHER_WORKSPACE_ACS_USER_ID": _id(0x43),
    }
    v = variables
    launched = LaunchRequest(
        user_identity_id=v["ENROLLED_USER_IDENTITY_ID"],
        credential_manager_acs_system_id=v["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
    )
    automation = EnrollmentAutomation(
        user_identity_id=launched.user_identity_id,
        enrollment_automation_id=v["ENROLLMENT_AUTOMATION_ID"],
        acs_credential_provisioning_automation_id=v["ENROLLMENT_AUTOMATION_ID"],
        credential_manager_acs_system_id=launched.credential_manager_acs_system_id,
        is_running=True,
        workspace_id=workspace_id,
        created_at=CREATED_AT,
    )
    past = datetime.now(UTC) - timedelta(days=1)
    workspaces = (workspace_id, other_workspace_id)
    items: dict[Key, Item] = {
        page_cursor_key(): {"secret": _CURSOR_SECRET},
        **_token_items("testDemo", NewToken(TokenKind.API_KEY, [workspace_id], name="Demo")),
        **_token_items("testDtwo", NewToken(TokenKind.API_KEY, [other_workspace_id], name="Other workspace")),
        **_token_items("testDxpd", NewToken(TokenKind.API_KEY, [workspace_id], name="Expired", expires_at=past)),
        **_token_items("testDrev", NewToken(TokenKind.API_KEY, [workspace_id], name="Revoked"), revoked_at=past),
        **_token_items("at1testDemo", NewToken(TokenKind.PERSONAL_ACCESS_TOKEN, workspaces, name="Demo person")),
        **stored_client_session(session),
        **client_session_pointers(session),
        token_key(str(session["token_id"])): token_record(session, CLIENT_SESSIONS_SECRET.encode()),
        **_workspace(workspace_id, "Demo"),
        **_workspace(other_workspace_id, "Other demo"),
        **_user_identity(workspace_id, v["USER_IDENTITY_ID"], "Jane Doe", v["ACS_USER_ID"]),
        **_user_identity(workspace_id, v["OTHER_USER_IDENTITY_ID"], "John Roe"),
        **_user_identity(workspace_id, v["ENROLLED_USER_IDENTITY_ID"], "Ann Loe", v["ENROLLED_ACS_USER_ID"]),
        **stored_automation(automation_item(automation, launched)),
        **_phone(workspace_id, v["DEVICE_ID"], v["ENROLLED_USER_IDENTITY_ID"]),
        **_credential(
            workspace_id,
            v["ACS_CREDENTIAL_ID"],
            v["ENROLLED_USER_IDENTITY_ID"],
            v["ENROLLED_ACS_USER_ID"],
            v["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
        ),
        **stored_event(
            {
                "event_id": v["EVENT_ID"],
                "event_type": "enrollment_automation.launched",
                "workspace_id": workspace_id,
                "enrollment_automation_id": v["ENROLLMENT_AUTOMATION_ID"],
                "user_identity_id": v["ENROLLED_USER_IDENTITY_ID"],
                "occurred_at": CREATED_AT,
                "created_at": CREATED_AT,
                "sequence": "0" * 40,
                "deleted_after": _NEVER_DELETED,
            }
        ),
        webhook_key(workspace_id, v["WEBHOOK_ID"]): {
            "webhook_id": v["WEBHOOK_ID"],
            "workspace_id": workspace_id,
            "url": "https://example.com/webhooks",
            "event_types": frozenset({"phone.deactivated"}),
            "secret_version": FIRST_VERSION,
            "created_at": CREATED_AT,
        },
        **_user_identity(other_workspace_id, v["OTHER_WORKSPACE_USER_IDENTITY_ID"], "Max Poe"),
        **_acs_system(workspace_id, v["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"], "Main Tower", issues=True),
        **_acs_system(workspace_id, v["OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID"], "Annex", issues=True),
        **_acs_system(
            workspace_id, v["ACS_SYSTEM_ID"], "Garage", issues=False, default=v["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]
        ),
        **_acs_system(other_workspace_id, v["OTHER_WORKSPACE_ACS_SYSTEM_ID"], "Elsewhere", issues=True),
        **_pool(workspace_id, v["ACS_CREDENTIAL_POOL_ID"], v["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]),
        **_pool(workspace_id, v["OTHER_ACS_CREDENTIAL_POOL_ID"], v["OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]),
        **_pool(other_workspace_id, v["OTHER_WORKSPACE_ACS_CREDENTIAL_POOL_ID"], v["OTHER_WORKSPACE_ACS_SYSTEM_ID"]),
        **_acs_user(workspace_id, v["CREDENTIAL_MANAGER_ACS_USER_ID"], v["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]),
        **_acs_user(
            workspace_id, v["OTHER_CREDENTIAL_MANAGER_ACS_USER_ID"], v["OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]
        ),
        **_linked_acs_user(workspace_id, v["ACS_USER_ID"], v["ACS_SYSTEM_ID"], v["USER_IDENTITY_ID"], "Jane Doe"),
        **_linked_acs_user(
            workspace_id,
            v["ENROLLED_ACS_USER_ID"],
            v["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
            v["ENROLLED_USER_IDENTITY_ID"],
            "Ann Loe",
            v["ACS_CREDENTIAL_ID"],
        ),
        **_acs_user(other_workspace_id, v["OTHER_WORKSPACE_ACS_USER_ID"], v["OTHER_WORKSPACE_ACS_SYSTEM_ID"]),
    }
    return Demo(variables, automation, items)


def connected_demo() -> tuple[Mapping[str, str], Mapping[Key, Item]]:
    """Return a demo workspace that is no sandbox, so that its credential manager needs a connector.

    Returns:
        Ids and a token, by their names in the output of ``make run``; and all of its items, by key.
    """
    workspace_id = _id(0x03)
    variables = {
        "CONNECTOR_SEAM_API_KEY": _token("testConn"),
        "CONNECTOR_SEAM_WORKSPACE_ID": workspace_id,
        "CONNECTOR_ACS_SYSTEM_ID": _id(0x25),
        "CONNECTOR_ACS_CREDENTIAL_POOL_ID": _id(0x34),
        "CONNECTOR_USER_IDENTITY_ID": _id(0x15),
    }
    v = variables
    items: dict[Key, Item] = {
        **_token_items("testConn", NewToken(TokenKind.API_KEY, [workspace_id], name="Demo with a connector")),
        **_workspace(workspace_id, "Demo with a connector", is_sandbox=False),
        **_user_identity(workspace_id, v["CONNECTOR_USER_IDENTITY_ID"], "Kim Noe"),
        **_acs_system(workspace_id, v["CONNECTOR_ACS_SYSTEM_ID"], "Harbour Office", issues=True),
        **_pool(workspace_id, v["CONNECTOR_ACS_CREDENTIAL_POOL_ID"], v["CONNECTOR_ACS_SYSTEM_ID"], pool="standard"),
    }
    return variables, items


def seed(table: Table) -> Demo:
    """Put the demo workspaces into a table.  Existing items stay unchanged."""
    seeded = demo()
    put_missing(table, seeded.items)
    return seeded


def put_missing(table: Table, items: Mapping[Key, Item]) -> None:
    """Put items into a table.  Existing ones stay unchanged.

    In a table that stays, somebody may have deleted a workspace.  It loses the mark of that, and begins anew.
    """
    for some in batched(items.items(), MOST_ACTIONS - _MOST_MARKS, strict=False):
        missing = {str(key): put_new(key, item) for key, item in some}
        for key, item in some:
            if key == workspace_key(str(item.get("workspace_id"))):
                missing[f"mark of {key}"] = delete(deleted_workspace_key(str(item["workspace_id"])))
        while missing and (present := table.transact(missing)):
            missing = {name: action for name, action in missing.items() if name not in present}


def _token(short: str) -> str:
    return f"seam_{short}_{_SECRET}"


def _token_items(short: str, new: NewToken, *, revoked_at: datetime | None = None) -> dict[Key, Item]:
    record = new.record(_SECRET, datetime.now(UTC))
    revocation = {} if revoked_at is None else {"revoked_at": timestamp(revoked_at)}
    return {token_key(short): {**record, **revocation}, token_listing_key(short): {}}


def _workspace(workspace_id: str, name: str, *, is_sandbox: bool = True) -> dict[Key, Item]:
    return stored_workspace(
        {"workspace_id": workspace_id, "name": name, "is_sandbox": is_sandbox, "created_at": CREATED_AT}
    )


def _phone(workspace_id: str, device_id: str, user_identity_id: str) -> dict[Key, Item]:
    return stored_phone(
        {
            "device_id": device_id,
            "workspace_id": workspace_id,
            "user_identity_id": user_identity_id,
            "custom_sdk_installation_id": "demo",
            "device_type": "android_phone",
            "device_manufacturer": "Samsung",
            "device_model": "Samsung Galaxy S10",
            "os_version": "10",
            "created_at": CREATED_AT,
        }
    )


def _credential(
    workspace_id: str, acs_credential_id: str, user_identity_id: str, acs_user_id: str, acs_system_id: str
) -> dict[Key, Item]:
    enrollment: Item = {
        "workspace_id": workspace_id,
        "user_identity_id": user_identity_id,
        "credential_manager_acs_system_id": acs_system_id,
    }
    return {
        enrollment_key(workspace_id, user_identity_id, acs_system_id): {**enrollment, "revision": 1},
        **stored_acs_credential(
            {
                **enrollment,
                "acs_credential_id": acs_credential_id,
                "acs_user_id": acs_user_id,
                "acs_system_id": acs_system_id,
                "version": 1,
                "starts_at": CREATED_AT,
                "created_at": CREATED_AT,
            }
        ),
    }


def _client_session(workspace_id: str, client_session_id: str, user_identity_id: str) -> Item:
    return {
        "client_session_id": client_session_id,
        "workspace_id": workspace_id,
        "token_id": "cst1testApp1",
        "secret_version": FIRST_CLIENT_SESSION_VERSION,
        "user_identity_ids": joined([user_identity_id]),
        "user_identifier_key": "jane.doe",
        "created_at": CREATED_AT,
        "expires_at": "2100-01-01T00:00:00.000Z",
    }


def _user_identity(
    workspace_id: str, user_identity_id: str, full_name: str, acs_user_id: str | None = None
) -> dict[Key, Item]:
    name = full_name.lower().replace(" ", ".")
    linked = {} if acs_user_id is None else {"acs_user_ids": frozenset({acs_user_id})}
    return stored_user_identity(
        {
            "user_identity_id": user_identity_id,
            "workspace_id": workspace_id,
            "user_identity_key": name,
            "full_name": full_name,
            "email_address": f"{name}@example.com",
            "created_at": CREATED_AT,
            **linked,
        }
    )


def _acs_system(
    workspace_id: str, acs_system_id: str, name: str, *, issues: bool, default: str | None = None
) -> dict[Key, Item]:
    manager = {} if default is None else {"default_credential_manager_acs_system_id": default}
    external_type = "hid_credential_manager_organization" if issues else "salto_space_system"
    return stored_acs_system(
        {
            "acs_system_id": acs_system_id,
            "workspace_id": workspace_id,
            "name": name,
            "is_credential_manager": issues,
            "connected_account_id": _id(0x61),
            "external_type": external_type,
            "external_type_display_name": "HID organization" if issues else "Salto Space system",
            "time_zone": "America/Los_Angeles",
            "created_at": CREATED_AT,
            **manager,
        }
    )


def _pool(workspace_id: str, acs_credential_pool_id: str, acs_system_id: str, **more: str) -> dict[Key, Item]:
    return stored_acs_credential_pool(
        {
            "acs_credential_pool_id": acs_credential_pool_id,
            "acs_system_id": acs_system_id,
            "workspace_id": workspace_id,
            "display_name": "Mobile credentials",
            "external_type": "hid_part_number",
            "external_type_display_name": "HID part number",
            "created_at": CREATED_AT,
            **more,
        }
    )


def _acs_user(workspace_id: str, acs_user_id: str, acs_system_id: str) -> dict[Key, Item]:
    return stored_acs_user(
        {
            "acs_user_id": acs_user_id,
            "acs_system_id": acs_system_id,
            "workspace_id": workspace_id,
            "full_name": "Unlinked user",
            "created_at": CREATED_AT,
        }
    )


def _linked_acs_user(
    workspace_id: str,
    acs_user_id: str,
    acs_system_id: str,
    user_identity_id: str,
    full_name: str,
    *acs_credential_ids: str,
) -> dict[Key, Item]:
    credentials = {"acs_credential_ids": frozenset(acs_credential_ids)} if acs_credential_ids else {}
    stored = stored_acs_user(
        {
            "acs_user_id": acs_user_id,
            "acs_system_id": acs_system_id,
            "workspace_id": workspace_id,
            "user_identity_id": user_identity_id,
            "full_name": full_name,
            "email_address": f"{full_name.lower().replace(' ', '.')}@example.com",
            "access_starts_at": CREATED_AT,
            "created_at": CREATED_AT,
            **credentials,
        }
    )
    return {**stored, acs_user_link_key(workspace_id, user_identity_id, acs_system_id): {"acs_user_id": acs_user_id}}
