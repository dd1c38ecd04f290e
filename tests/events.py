"""The events of the tests: the files in ``events/``, and the cases that are made from them.

A file is an example of a route and verb, or of a kind of token.  A case says what is different from such a file.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from enrollments.local.demo import demo
from tests.fixtures import PROJECT

type Event = dict[str, Any]

EVENTS = PROJECT / "events"
V = demo().variables
WORKSPACE = V["SEAM_WORKSPACE_ID"]
OTHER_WORKSPACE = V["OTHER_SEAM_WORKSPACE_ID"]
JANE = V["USER_IDENTITY_ID"]
JOHN = V["OTHER_USER_IDENTITY_ID"]
FOREIGNER = V["OTHER_WORKSPACE_USER_IDENTITY_ID"]
ANN = V["ENROLLED_USER_IDENTITY_ID"]
MANAGER = V["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]
GARAGE = V["ACS_SYSTEM_ID"]
FOREIGN_SYSTEM = V["OTHER_WORKSPACE_ACS_SYSTEM_ID"]
POOL = V["ACS_CREDENTIAL_POOL_ID"]
OTHER_POOL = V["OTHER_ACS_CREDENTIAL_POOL_ID"]
NOBODYS_ACS_USER = V["CREDENTIAL_MANAGER_ACS_USER_ID"]
OTHER_MANAGERS_ACS_USER = V["OTHER_CREDENTIAL_MANAGER_ACS_USER_ID"]
FOREIGN_ACS_USER = V["OTHER_WORKSPACE_ACS_USER_ID"]
JANES_ACS_USER = V["ACS_USER_ID"]
ANNS_ACS_USER = V["ENROLLED_ACS_USER_ID"]
AUTOMATION = V["ENROLLMENT_AUTOMATION_ID"]
ANNS_PHONE = V["DEVICE_ID"]
ANNS_CREDENTIAL = V["ACS_CREDENTIAL_ID"]
MOBILE_KEY = {"access_method": "mobile_key", "is_multi_phone_sync_credential": True}
UNKNOWN = "de300000-0000-4000-8000-0000000000ff"
PAIR = {"user_identity_id": JANE, "credential_manager_acs_system_id": MANAGER}
# For a list of user identities with "oe" in them, behind the second.  An older release sealed it, without padding.
PAGE_CURSOR = "bPONqpChrTSh0AB-BlE-8zIwMjYtMDEtMDlUMDU6NDU6MzMuMDY4WiNkZTMwMDAwMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMTI"
_SAME: Any = object()


@dataclass(frozen=True)
class Case:
    """A request that is different from the one in a file.

    Attributes:
        file: The file's name, without its ending.
        status: The status that it is answered with.
        error: The type of the error that it is answered with, if it is refused.
        body: Its body: JSON, a text as it stands, or ``None`` for no body.
        query: Its query string: each name's value, or list of values; ``None`` for no query string.
        headers: Headers that are different; ``None`` takes one away.
        caller: The kind of token that it is sent with.
    """

    file: str
    status: int
    error: str | None = None
    body: Any = _SAME
    query: Any = _SAME
    headers: Mapping[str, str | None] | None = None
    caller: str = "api_key"

    def event(self) -> Event:
        """Return the event."""
        made = _read(self.file)
        if self.body is not _SAME:
            is_json = not (self.body is None or isinstance(self.body, str))
            made["body"] = json.dumps(self.body) if is_json else self.body
        if self.query is not _SAME:
            several = {
                name: value if isinstance(value, list) else [value] for name, value in (self.query or {}).items()
            }
            made["multiValueQueryStringParameters"] = several or None
            made["queryStringParameters"] = {name: values[-1] for name, values in several.items()} or None
        for name, value in (self.headers or {}).items():
            _set_header(made, name, value)
        if self.caller != "api_key":
            token = _read(f"authorizer_{self.caller}")["authorizationToken"]
            _set_header(made, "Authorization", token)
            made["requestContext"]["authorizer"] |= _PRINCIPALS[self.caller]
        return made


_PRINCIPALS = {
    "client_session": {
        "principalId": "cst1testApp1",
        "token_kind": "client_session",
        "token_id": "cst1testApp1",
        "user_identity_ids": JANE,
    },
    "personal_access_token": {
        "principalId": "at1testDemo",
        "token_kind": "personal_access_token",
        "token_id": "at1testDemo",
        "workspace_ids": f"{WORKSPACE},{OTHER_WORKSPACE}",
    },
}


def _read(file: str) -> Event:
    content: Event = json.loads((EVENTS / f"{file}.json").read_text())
    return content


def _set_header(event: Event, name: str, value: str | None) -> None:
    if value is None:
        del event["headers"][name], event["multiValueHeaders"][name]
    else:
        event["headers"][name], event["multiValueHeaders"][name] = value, [value]


CASES = {
    "launch_without_options": Case("launch", 200, body=PAIR),
    "launch_with_acs_credential_pool": Case("launch", 200, body={**PAIR, "acs_credential_pool_id": POOL}),
    "launch_with_credential_manager_acs_user": Case(
        "launch", 200, body={**PAIR, "credential_manager_acs_user_id": NOBODYS_ACS_USER}
    ),
    "launch_with_every_option": Case(
        "launch",
        200,
        body={
            **PAIR,
            "acs_credential_pool_id": POOL,
            "create_credential_manager_user": False,
            "credential_manager_acs_user_id": NOBODYS_ACS_USER,
        },
        headers={"Content-Type": "application/json;charset=utf-8"},
    ),
    "launch_invalid_content_type": Case(
        "launch", 400, "invalid_content_type", body=PAIR, headers={"Content-Type": "text/plain"}
    ),
    "launch_no_content_type": Case("launch", 400, "invalid_content_type", body=PAIR, headers={"Content-Type": None}),
    "launch_invalid_json": Case("launch", 400, "invalid_json", body='{"user_identity_id":'),
    "launch_no_body": Case("launch", 400, "invalid_input", body=None),
    "launch_array_body": Case("launch", 400, "invalid_input", body=[]),
    "launch_invalid_uuids": Case(
        "launch",
        400,
        "invalid_input",
        body={
            "user_identity_id": "not-a-uuid",
            "credential_manager_acs_system_id": "de300000-0000-4000-8000-0000000000210",
        },
    ),
    "launch_invalid_types": Case(
        "launch",
        400,
        "invalid_input",
        body={
            "user_identity_id": 7,
            "credential_manager_acs_system_id": None,
            "acs_credential_pool_id": [],
            "create_credential_manager_user": "true",
            "credential_manager_acs_user_id": None,
        },
    ),
    "launch_both_users": Case(
        "launch",
        400,
        "invalid_input",
        body={**PAIR, "create_credential_manager_user": True, "credential_manager_acs_user_id": NOBODYS_ACS_USER},
    ),
    "launch_unknown_user_identity": Case(
        "launch",
        404,
        "user_identity_not_found",
        body={"user_identity_id": UNKNOWN, "credential_manager_acs_system_id": MANAGER},
    ),
    "launch_other_workspaces_user_identity": Case(
        "launch",
        404,
        "user_identity_not_found",
        body={"user_identity_id": FOREIGNER, "credential_manager_acs_system_id": MANAGER},
    ),
    "launch_unknown_acs_system": Case(
        "launch",
        404,
        "acs_system_not_found",
        body={"user_identity_id": JANE, "credential_manager_acs_system_id": UNKNOWN},
    ),
    "launch_unknown_acs_credential_pool": Case(
        "launch", 404, "acs_credential_pool_not_found", body={**PAIR, "acs_credential_pool_id": UNKNOWN}
    ),
    "launch_unknown_acs_user": Case(
        "launch", 404, "acs_user_not_found", body={**PAIR, "credential_manager_acs_user_id": UNKNOWN}
    ),
    "launch_not_a_credential_manager": Case(
        "launch",
        400,
        "acs_system_is_not_credential_manager",
        body={"user_identity_id": JANE, "credential_manager_acs_system_id": GARAGE},
    ),
    "launch_pool_of_other_acs_system": Case(
        "launch", 400, "acs_credential_pool_not_in_acs_system", body={**PAIR, "acs_credential_pool_id": OTHER_POOL}
    ),
    "launch_acs_user_of_other_acs_system": Case(
        "launch",
        400,
        "acs_user_not_in_acs_system",
        body={**PAIR, "credential_manager_acs_user_id": OTHER_MANAGERS_ACS_USER},
    ),
    "get_unknown": Case(
        "get_by_get", 404, "enrollment_automation_not_found", query={"enrollment_automation_id": UNKNOWN}
    ),
    "get_no_parameters": Case("get_by_get", 400, "invalid_input", query=None),
    "get_with_personal_access_token": Case(
        "get_by_get",
        200,
        query={"enrollment_automation_id": AUTOMATION},
        caller="personal_access_token",
        headers={"seam-workspace": WORKSPACE},
    ),
    "get_with_personal_access_token_of_other_workspace": Case(
        "get_by_get",
        404,
        "enrollment_automation_not_found",
        query={"enrollment_automation_id": AUTOMATION},
        caller="personal_access_token",
        headers={"seam-workspace": OTHER_WORKSPACE},
    ),
    "get_with_personal_access_token_without_workspace": Case(
        "get_by_get",
        401,
        "unauthorized",
        query={"enrollment_automation_id": AUTOMATION},
        caller="personal_access_token",
    ),
    "get_with_client_session_of_other_user_identity": Case(
        "get_by_get",
        404,
        "enrollment_automation_not_found",
        query={"enrollment_automation_id": AUTOMATION},
        caller="client_session",
    ),
    "list_with_client_session": Case("list_by_get", 200, query={"user_identity_id": JANE}, caller="client_session"),
    "delete_with_client_session": Case("delete_by_delete", 401, "unauthorized", caller="client_session"),
    "user_identities_create_no_parameters": Case("user_identities_create", 200, body={}),
    "user_identities_create_taken_email_address": Case(
        "user_identities_create",
        409,
        "user_identity_already_exists",
        body={"full_name": "Jane Again", "email_address": "Jane.Doe@example.com"},
    ),
    "user_identities_create_invalid_types": Case(
        "user_identities_create",
        400,
        "invalid_input",
        body={"email_address": "jill.coe", "phone_number": "555-0100", "full_name": "", "acs_system_ids": None},
    ),
    "user_identities_create_other_workspaces_acs_system": Case(
        "user_identities_create",
        404,
        "acs_system_not_found",
        body={"full_name": "Jill Coe", "acs_system_ids": [FOREIGN_SYSTEM]},
    ),
    "user_identities_create_with_client_session": Case(
        "user_identities_create", 401, "unauthorized", body={"full_name": "Jill Coe"}, caller="client_session"
    ),
    "user_identities_get_of_key_by_get": Case(
        "user_identities_get_by_get", 200, query={"user_identity_key": "jane.doe"}
    ),
    "user_identities_get_no_parameters": Case("user_identities_get", 400, "invalid_input", body={}),
    "user_identities_get_other_workspaces_user_identity": Case(
        "user_identities_get", 404, "user_identity_not_found", body={"user_identity_id": FOREIGNER}
    ),
    "user_identities_get_with_client_session": Case(
        "user_identities_get_by_get", 401, "unauthorized", query={"user_identity_id": JANE}, caller="client_session"
    ),
    "user_identities_list_no_body": Case(
        "user_identities_list", 200, body=None, headers={"Content-Type": "application/x-www-form-urlencoded"}
    ),
    "user_identities_list_several_ids_by_get": Case(
        "user_identities_list_by_get", 200, query={"user_identity_ids": [JANE, JOHN, FOREIGNER]}
    ),
    "user_identities_list_bracketed_ids_by_get": Case(
        "user_identities_list_by_get", 200, query={"user_identity_ids[]": [JANE, JOHN, FOREIGNER]}
    ),
    "user_identities_list_next_page": Case(
        "user_identities_list", 200, body={"search": "oe", "limit": 2, "page_cursor": PAGE_CURSOR}
    ),
    "user_identities_list_next_page_by_get": Case(
        "user_identities_list_by_get", 200, query={"search": "oe", "limit": "2", "page_cursor": PAGE_CURSOR}
    ),
    "user_identities_list_tampered_page_cursor": Case(
        "user_identities_list",
        400,
        "invalid_input",
        body={"search": "oe", "page_cursor": PAGE_CURSOR.replace("MDEtMDlU", "MDAtMDlU")},
    ),
    "user_identities_list_page_cursor_of_other_parameters": Case(
        "user_identities_list", 400, "invalid_input", body={"search": "ann", "page_cursor": PAGE_CURSOR}
    ),
    "user_identities_list_with_client_session": Case("user_identities_list", 200, body={}, caller="client_session"),
    "user_identities_update_by_patch_no_content_type": Case(
        "user_identities_update_by_patch", 400, "invalid_content_type", headers={"Content-Type": None}
    ),
    "user_identities_update_taken_email_address": Case(
        "user_identities_update_by_patch",
        409,
        "user_identity_already_exists",
        body={"user_identity_id": JOHN, "email_address": "jane.doe@example.com"},
    ),
    "user_identities_update_unknown": Case(
        "user_identities_update_by_patch",
        404,
        "user_identity_not_found",
        body={"user_identity_id": UNKNOWN, "full_name": "Nobody"},
    ),
    "user_identities_delete_other_workspaces_user_identity": Case(
        "user_identities_delete_by_delete", 404, "user_identity_not_found", query={"user_identity_id": FOREIGNER}
    ),
    "user_identities_delete_with_client_session": Case(
        "user_identities_delete_by_delete",
        401,
        "unauthorized",
        query={"user_identity_id": JANE},
        caller="client_session",
    ),
    "user_identities_add_acs_user_to_new_key_by_put": Case(
        "user_identities_add_acs_user_by_put",
        200,
        body={"user_identity_key": "jill.coe", "acs_user_id": NOBODYS_ACS_USER},
    ),
    "user_identities_add_acs_user_of_other_user_identity": Case(
        "user_identities_add_acs_user_by_put",
        409,
        "acs_user_already_linked",
        body={"user_identity_id": JOHN, "acs_user_id": JANES_ACS_USER},
    ),
    "user_identities_add_acs_user_other_workspaces_acs_user": Case(
        "user_identities_add_acs_user_by_put",
        404,
        "acs_user_not_found",
        body={"user_identity_id": JANE, "acs_user_id": FOREIGN_ACS_USER},
    ),
    "user_identities_remove_acs_user_of_automation": Case(
        "user_identities_remove_acs_user_by_delete",
        200,
        query={"user_identity_id": ANN, "acs_user_id": ANNS_ACS_USER},
    ),
    "user_identities_remove_acs_user_of_other_user_identity": Case(
        "user_identities_remove_acs_user_by_delete",
        404,
        "acs_user_not_found",
        query={"user_identity_id": JOHN, "acs_user_id": JANES_ACS_USER},
    ),
    "user_identities_list_acs_systems_with_client_session": Case(
        "user_identities_list_acs_systems_by_get", 200, caller="client_session"
    ),
    "user_identities_list_acs_systems_with_client_session_of_other_user_identity": Case(
        "user_identities_list_acs_systems_by_get",
        404,
        "user_identity_not_found",
        query={"user_identity_id": JOHN},
        caller="client_session",
    ),
    "acs_systems_get_other_workspaces_acs_system": Case(
        "acs_systems_get_by_get", 404, "acs_system_not_found", query={"acs_system_id": FOREIGN_SYSTEM}
    ),
    "acs_systems_get_with_client_session": Case("acs_systems_get_by_get", 401, "unauthorized", caller="client_session"),
    "acs_systems_list_with_client_session": Case("acs_systems_list_by_get", 200, query=None, caller="client_session"),
    "acs_credential_pools_list_unknown_acs_system": Case(
        "acs_credential_pools_list_by_get", 404, "acs_system_not_found", query={"acs_system_id": UNKNOWN}
    ),
    "acs_users_create_without_options": Case(
        "acs_users_create", 200, body={"full_name": "Jill Coe", "acs_system_id": GARAGE}
    ),
    "acs_users_create_for_user_identity": Case(
        "acs_users_create", 200, body={"full_name": "John Roe", "acs_system_id": GARAGE, "user_identity_id": JOHN}
    ),
    "acs_users_create_second_for_user_identity": Case(
        "acs_users_create",
        409,
        "acs_user_already_linked",
        body={"full_name": "Jane Doe", "acs_system_id": GARAGE, "user_identity_id": JANE},
    ),
    "acs_users_create_ended_access_schedule": Case(
        "acs_users_create",
        400,
        "invalid_input",
        body={
            "full_name": "Jill Coe",
            "acs_system_id": GARAGE,
            "access_schedule": {"ends_at": "2020-01-01T00:00:00.000Z"},
        },
    ),
    "acs_users_create_unknown_access_group": Case(
        "acs_users_create",
        404,
        "acs_access_group_not_found",
        body={"full_name": "Jill Coe", "acs_system_id": GARAGE, "acs_access_group_ids": [UNKNOWN]},
    ),
    "acs_users_get_of_user_identity_by_get": Case(
        "acs_users_get_by_get", 200, query={"user_identity_id": JANE, "acs_system_id": GARAGE}
    ),
    "acs_users_get_of_other_acs_system": Case(
        "acs_users_get_by_get",
        400,
        "acs_user_not_in_acs_system",
        query={"acs_user_id": JANES_ACS_USER, "acs_system_id": MANAGER},
    ),
    "acs_users_get_both": Case(
        "acs_users_get_by_get",
        400,
        "invalid_input",
        query={"acs_user_id": JANES_ACS_USER, "user_identity_id": JANE, "acs_system_id": GARAGE},
    ),
    "acs_users_list_invalid_limit_by_get": Case("acs_users_list_by_get", 400, "invalid_input", query={"limit": "0"}),
    "acs_users_list_with_client_session": Case("acs_users_list_by_get", 200, query=None, caller="client_session"),
    "acs_users_delete_of_automation": Case("acs_users_delete_by_delete", 200, query={"acs_user_id": ANNS_ACS_USER}),
    "acs_users_delete_other_workspaces_acs_user": Case(
        "acs_users_delete_by_delete", 404, "acs_user_not_found", query={"acs_user_id": FOREIGN_ACS_USER}
    ),
    "acs_users_delete_with_client_session": Case(
        "acs_users_delete_by_delete", 401, "unauthorized", caller="client_session"
    ),
    "acs_credentials_create_of_user_identity": Case(
        "acs_credentials_create", 200, body={**MOBILE_KEY, "user_identity_id": JANE, "acs_system_id": GARAGE}
    ),
    "acs_credentials_create_nothing": Case("acs_credentials_create", 400, "invalid_input", body={}),
    "acs_credentials_create_another_access_method": Case(
        "acs_credentials_create",
        400,
        "invalid_input",
        body={**MOBILE_KEY, "acs_user_id": JANES_ACS_USER, "access_method": "code"},
    ),
    "acs_credentials_create_for_one_phone": Case(
        "acs_credentials_create",
        400,
        "invalid_input",
        body={**MOBILE_KEY, "acs_user_id": JANES_ACS_USER, "is_multi_phone_sync_credential": False},
    ),
    "acs_credentials_create_both": Case(
        "acs_credentials_create",
        400,
        "invalid_input",
        body={**MOBILE_KEY, "acs_user_id": JANES_ACS_USER, "user_identity_id": JANE, "acs_system_id": GARAGE},
    ),
    "acs_credentials_create_ended": Case(
        "acs_credentials_create",
        400,
        "invalid_input",
        body={**MOBILE_KEY, "acs_user_id": JANES_ACS_USER, "ends_at": "2020-01-01T00:00:00.000Z"},
    ),
    "acs_credentials_create_of_nobodys_acs_user": Case(
        "acs_credentials_create",
        400,
        "acs_user_has_no_user_identity",
        body={**MOBILE_KEY, "acs_user_id": NOBODYS_ACS_USER},
    ),
    "acs_credentials_create_other_workspaces_acs_user": Case(
        "acs_credentials_create", 404, "acs_user_not_found", body={**MOBILE_KEY, "acs_user_id": FOREIGN_ACS_USER}
    ),
    "acs_credentials_create_not_a_manager": Case(
        "acs_credentials_create",
        400,
        "acs_system_is_not_credential_manager",
        body={**MOBILE_KEY, "acs_user_id": JANES_ACS_USER, "credential_manager_acs_system_id": GARAGE},
    ),
    "acs_credentials_create_incompatible_manager": Case(
        "acs_credentials_create",
        400,
        "credential_manager_not_compatible",
        body={
            **MOBILE_KEY,
            "acs_user_id": JANES_ACS_USER,
            "credential_manager_acs_system_id": V["OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
        },
    ),
    "acs_credentials_create_no_manager": Case(
        "acs_credentials_create",
        400,
        "no_credential_manager",
        body={**MOBILE_KEY, "user_identity_id": JANE, "acs_system_id": MANAGER},
    ),
    "acs_credentials_create_with_client_session": Case(
        "acs_credentials_create", 401, "unauthorized", caller="client_session"
    ),
    "acs_credentials_get_unknown": Case(
        "acs_credentials_get", 404, "acs_credential_not_found", body={"acs_credential_id": UNKNOWN}
    ),
    "acs_credentials_list_with_client_session": Case(
        "acs_credentials_list_by_get", 200, query={"user_identity_id": ANN}, caller="client_session"
    ),
    "acs_credentials_list_invalid_by_get": Case(
        "acs_credentials_list_by_get", 400, "invalid_input", query={"is_multi_phone_sync_credential": "1"}
    ),
    "acs_credentials_update_nothing": Case(
        "acs_credentials_update", 200, body={"acs_credential_id": ANNS_CREDENTIAL, "code": "1234"}
    ),
    "acs_credentials_update_ended": Case(
        "acs_credentials_update",
        400,
        "invalid_input",
        body={"acs_credential_id": ANNS_CREDENTIAL, "ends_at": "2020-01-01T00:00:00.000Z"},
    ),
    "acs_credentials_delete_unknown": Case(
        "acs_credentials_delete_by_delete", 404, "acs_credential_not_found", query={"acs_credential_id": UNKNOWN}
    ),
    "phones_get_unknown": Case("phones_get", 404, "phone_not_found", body={"device_id": UNKNOWN}),
    "phones_get_with_client_session": Case("phones_get", 401, "unauthorized", caller="client_session"),
    "phones_list_all_by_get": Case("phones_list_by_get", 200, query=None),
    "phones_list_unknown_owner": Case(
        "phones_list", 404, "user_identity_not_found", body={"owner_user_identity_id": UNKNOWN}
    ),
    "phones_list_with_credential": Case("phones_list", 200, body={"acs_credential_id": ANNS_CREDENTIAL}),
    "phones_list_unknown_credential": Case(
        "phones_list", 404, "acs_credential_not_found", body={"acs_credential_id": UNKNOWN}
    ),
    "phones_deactivate_anothers_phone": Case("phones_deactivate", 404, "phone_not_found", caller="client_session"),
    "phones_simulate_create_sandbox_phone_by_default": Case(
        "phones_simulate_create_sandbox_phone", 200, body={"user_identity_id": JANE}
    ),
    "phones_simulate_create_sandbox_phone_of_nobody": Case(
        "phones_simulate_create_sandbox_phone", 404, "user_identity_not_found", body={"user_identity_id": FOREIGNER}
    ),
    "phones_simulate_create_sandbox_phone_invalid": Case(
        "phones_simulate_create_sandbox_phone",
        400,
        "invalid_input",
        body={"user_identity_id": JANE, "phone_metadata": {"operating_system": "palm"}},
    ),
    "phone_sessions_get_or_create_nothing": Case("phone_sessions_get_or_create", 400, "invalid_input", body={}),
}
# Tokens that differ from the one in the file of an API key, each with the reason why it is denied.
DENIED = {
    "authorizer_unknown_api_key": ("seam_testNone_PubLicDemoKeyForLocaLUse", "API Key not found"),
    "authorizer_wrong_secret": ("seam_testDemo_1ubLicDemoKeyForLocaLUse", "API Key not found"),
    "authorizer_expired_api_key": ("seam_testDxpd_PubLicDemoKeyForLocaLUse", "API Key has expired"),
    "authorizer_revoked_api_key": ("seam_testDrev_PubLicDemoKeyForLocaLUse", "API Key has been revoked"),
    "authorizer_jwt": ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJkZW1vIn0.", "A JWT was used instead of an API key"),
}
# What is not a request: a batch of the table's stream, and one of a queue.
TRIGGER_FILES = ["queue", "stream"]
FILES = sorted({path.stem for path in EVENTS.glob("*.json")} - set(TRIGGER_FILES))
TOKEN_FILES = [name for name in FILES if name.startswith("authorizer_")]
REQUEST_FILES = [name for name in FILES if not name.startswith("authorizer_")]
# What the file of a request is answered with.  Without named origins, a preflight request has no route.
FILE_STATUSES = {name: 404 if name.endswith("_preflight") else 200 for name in REQUEST_FILES}
ALL = [*FILES, *CASES, *DENIED]


def event(name: str) -> Event:
    """Return the event of a file or of a case, by its name."""
    if name in CASES:
        return CASES[name].event()
    if name in DENIED:
        return {**_read("authorizer_api_key"), "authorizationToken": f"Bearer {DENIED[name][0]}"}
    return _read(name)
