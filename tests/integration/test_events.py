"""Every file in events/ through the functions of the template."""

import base64
import io
import json
import re
from typing import Any

import pytest

from enrollments.local.stack import Stack
from tests.fixtures import PROJECT
from tests.integration.answers import ANSWERS, EVENTS, answer

# File → status and the error's type, or the effect and the reason of the authorizer.
LAUNCHES = {
    "launch": (200, None),
    "launch_without_options": (200, None),
    "launch_with_acs_credential_pool": (200, None),
    "launch_with_create_credential_manager_user": (200, None),
    "launch_with_credential_manager_acs_user": (200, None),
    "launch_with_every_option": (200, None),
    "launch_invalid_content_type": (400, "invalid_content_type"),
    "launch_no_content_type": (400, "invalid_content_type"),
    "launch_invalid_json": (400, "invalid_json"),
    "launch_no_body": (400, "invalid_input"),
    "launch_array_body": (400, "invalid_input"),
    "launch_invalid_uuids": (400, "invalid_input"),
    "launch_invalid_types": (400, "invalid_input"),
    "launch_both_users": (400, "invalid_input"),
    "launch_unknown_user_identity": (404, "user_identity_not_found"),
    "launch_other_workspaces_user_identity": (404, "user_identity_not_found"),
    "launch_unknown_acs_system": (404, "acs_system_not_found"),
    "launch_unknown_acs_credential_pool": (404, "acs_credential_pool_not_found"),
    "launch_unknown_acs_user": (404, "acs_user_not_found"),
    "launch_not_a_credential_manager": (400, "acs_system_is_not_credential_manager"),
    "launch_pool_of_other_acs_system": (400, "acs_credential_pool_not_in_acs_system"),
    "launch_acs_user_of_other_acs_system": (400, "acs_user_not_in_acs_system"),
}
OTHERS = {
    "get": (200, None),
    "get_by_get": (200, None),
    "get_unknown": (404, "enrollment_automation_not_found"),
    "get_no_parameters": (400, "invalid_input"),
    "get_with_personal_access_token": (200, None),
    "get_with_personal_access_token_of_other_workspace": (404, "enrollment_automation_not_found"),
    "get_with_personal_access_token_without_workspace": (401, "unauthorized"),
    "get_with_client_session_of_other_user_identity": (404, "enrollment_automation_not_found"),
    "list": (200, None),
    "list_by_get": (200, None),
    "list_with_client_session": (200, None),
    "delete": (200, None),
    "delete_by_delete": (200, None),
    "delete_with_client_session": (401, "unauthorized"),
    "launch_preflight": (404, "route_not_found"),
}
USER_IDENTITIES = {
    "user_identities_create": (200, None),
    "user_identities_create_no_parameters": (200, None),
    "user_identities_create_taken_email_address": (409, "user_identity_already_exists"),
    "user_identities_create_invalid_types": (400, "invalid_input"),
    "user_identities_create_other_workspaces_acs_system": (404, "acs_system_not_found"),
    "user_identities_create_with_client_session": (401, "unauthorized"),
    "user_identities_get": (200, None),
    "user_identities_get_by_get": (200, None),
    "user_identities_get_of_key_by_get": (200, None),
    "user_identities_get_no_parameters": (400, "invalid_input"),
    "user_identities_get_other_workspaces_user_identity": (404, "user_identity_not_found"),
    "user_identities_get_with_client_session": (401, "unauthorized"),
    "user_identities_list": (200, None),
    "user_identities_list_by_get": (200, None),
    "user_identities_list_no_body": (200, None),
    "user_identities_list_several_ids_by_get": (200, None),
    "user_identities_list_bracketed_ids_by_get": (200, None),
    "user_identities_list_next_page": (200, None),
    "user_identities_list_next_page_by_get": (200, None),
    "user_identities_list_tampered_page_cursor": (400, "invalid_input"),
    "user_identities_list_page_cursor_of_other_parameters": (400, "invalid_input"),
    "user_identities_list_with_client_session": (200, None),
    "user_identities_update": (200, None),
    "user_identities_update_by_patch": (200, None),
    "user_identities_update_by_patch_no_content_type": (400, "invalid_content_type"),
    "user_identities_update_taken_email_address": (409, "user_identity_already_exists"),
    "user_identities_update_unknown": (404, "user_identity_not_found"),
    "user_identities_delete": (200, None),
    "user_identities_delete_by_delete": (200, None),
    "user_identities_delete_other_workspaces_user_identity": (404, "user_identity_not_found"),
    "user_identities_delete_with_client_session": (401, "unauthorized"),
    "user_identities_add_acs_user": (200, None),
    "user_identities_add_acs_user_by_put": (200, None),
    "user_identities_add_acs_user_to_new_key_by_put": (200, None),
    "user_identities_add_acs_user_of_other_user_identity": (409, "acs_user_already_linked"),
    "user_identities_add_acs_user_other_workspaces_acs_user": (404, "acs_user_not_found"),
    "user_identities_remove_acs_user": (200, None),
    "user_identities_remove_acs_user_by_delete": (200, None),
    "user_identities_remove_acs_user_in_use": (409, "acs_user_in_use"),
    "user_identities_remove_acs_user_of_other_user_identity": (404, "acs_user_not_found"),
    "user_identities_list_acs_users": (200, None),
    "user_identities_list_acs_users_by_get": (200, None),
    "user_identities_list_acs_systems": (200, None),
    "user_identities_list_acs_systems_by_get": (200, None),
    "user_identities_list_acs_systems_with_client_session": (200, None),
    "user_identities_list_acs_systems_with_client_session_of_other_user_identity": (404, "user_identity_not_found"),
}
ACS = {
    "acs_systems_get": (200, None),
    "acs_systems_get_by_get": (200, None),
    "acs_systems_get_other_workspaces_acs_system": (404, "acs_system_not_found"),
    "acs_systems_get_with_client_session": (401, "unauthorized"),
    "acs_systems_list": (200, None),
    "acs_systems_list_by_get": (200, None),
    "acs_systems_list_with_client_session": (200, None),
    "acs_systems_list_compatible_credential_manager_acs_systems": (200, None),
    "acs_systems_list_compatible_credential_manager_acs_systems_by_get": (200, None),
    "acs_credential_pools_list": (200, None),
    "acs_credential_pools_list_by_get": (200, None),
    "acs_credential_pools_list_unknown_acs_system": (404, "acs_system_not_found"),
    "acs_users_create": (200, None),
    "acs_users_create_without_options": (200, None),
    "acs_users_create_for_user_identity": (200, None),
    "acs_users_create_second_for_user_identity": (409, "acs_user_already_linked"),
    "acs_users_create_ended_access_schedule": (400, "invalid_input"),
    "acs_users_create_unknown_access_group": (404, "acs_access_group_not_found"),
    "acs_users_get": (200, None),
    "acs_users_get_by_get": (200, None),
    "acs_users_get_of_user_identity_by_get": (200, None),
    "acs_users_get_of_other_acs_system": (400, "acs_user_not_in_acs_system"),
    "acs_users_get_both": (400, "invalid_input"),
    "acs_users_list": (200, None),
    "acs_users_list_by_get": (200, None),
    "acs_users_list_invalid_limit_by_get": (400, "invalid_input"),
    "acs_users_list_with_client_session": (200, None),
    "acs_users_delete": (200, None),
    "acs_users_delete_by_delete": (200, None),
    "acs_users_delete_in_use": (409, "acs_user_in_use"),
    "acs_users_delete_other_workspaces_acs_user": (404, "acs_user_not_found"),
    "acs_users_delete_with_client_session": (401, "unauthorized"),
}
REQUESTS = LAUNCHES | OTHERS | USER_IDENTITIES | ACS
TOKENS = {
    "authorizer_api_key": ("Allow", None),
    "authorizer_personal_access_token": ("Allow", None),
    "authorizer_unknown_api_key": ("Deny", "API Key not found"),
    "authorizer_wrong_secret": ("Deny", "API Key not found"),
    "authorizer_expired_api_key": ("Deny", "API Key has expired"),
    "authorizer_revoked_api_key": ("Deny", "API Key has been revoked"),
    "authorizer_jwt": ("Deny", "A JWT was used instead of an API key"),
}


def event(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return content


def test_every_event_is_tried() -> None:
    assert {path.stem for path in EVENTS.glob("*.json")} == REQUESTS.keys() | TOKENS.keys() | {
        "authorizer_client_session"
    }


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_gives_its_answer(stack: Stack, name: str) -> None:
    response = stack.invoke(event(name))

    body = json.loads(response["body"])
    assert (response["statusCode"], body.get("error", {}).get("type")) == REQUESTS[name]
    assert body["ok"] is (response["statusCode"] == 200)
    assert response["multiValueHeaders"]["Content-Type"] == ["application/json"]
    assert response["multiValueHeaders"]["seam-request-id"] == [event(name)["requestContext"]["requestId"]]


def test_every_answer_is_an_events() -> None:
    assert json.loads(ANSWERS.read_text()).keys() == {path.stem for path in EVENTS.glob("*.json")}


@pytest.mark.parametrize("name", sorted(path.stem for path in EVENTS.glob("*.json")))
def test_an_event_is_answered_and_logged_to_the_letter(stack: Stack, log: io.StringIO, name: str) -> None:
    assert answer(stack, log, event(name)) == json.loads(ANSWERS.read_text())[name]


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_event_gives_its_policy(stack: Stack, name: str) -> None:
    answer = stack.invoke(event(name))

    (statement,) = answer["policyDocument"]["Statement"]
    effect, reason = TOKENS[name]
    assert statement["Effect"] == effect
    assert reason is None or answer["context"]["message"] == reason
    assert statement["Resource"] == ["arn:aws:execute-api:us-east-1:123456789012:a1b2c3d4e5/prod/*"]


def test_a_client_sessions_policy_names_what_it_may_read(stack: Stack) -> None:
    answer = stack.invoke(event("authorizer_client_session"))

    (statement,) = answer["policyDocument"]["Statement"]
    stage = "arn:aws:execute-api:us-east-1:123456789012:a1b2c3d4e5/prod"
    assert statement == {
        "Action": "execute-api:Invoke",
        "Effect": "Allow",
        "Resource": [
            f"{stage}/*/{route}"
            for route in (
                "acs/systems/list",
                "acs/users/list",
                "user_identities/enrollment_automations/get",
                "user_identities/enrollment_automations/list",
                "user_identities/list",
                "user_identities/list_acs_systems",
            )
        ],
    }


def test_the_policy_and_the_document_agree_on_what_client_sessions_may_call(stack: Stack) -> None:
    answer = stack.invoke(event("authorizer_client_session"))

    named = {resource.split("/prod/*", 1)[1] for resource in answer["policyDocument"]["Statement"][0]["Resource"]}
    documented = {
        path
        for path, operations in json.loads((PROJECT / "openapi.json").read_text())["paths"].items()
        for operation in operations.values()
        if {"client_session": []} in operation["security"]
    }
    assert named == documented


@pytest.mark.parametrize("name", [*REQUESTS, *TOKENS])
def test_no_log_line_holds_a_secret_or_a_body_and_each_has_a_request_id(
    stack: Stack, log: io.StringIO, name: str
) -> None:
    content = event(name)

    stack.invoke(content)

    lines = log.getvalue().splitlines()
    assert lines
    for line in lines:
        assert "PubLicDemoKeyForLocaLUse" not in line
        assert "authorizationToken" not in line
        assert not content.get("body") or content["body"] not in line
        assert not re.search(r"@|\+1555|[Jj]ane|[Jj]ohn", line)  # addresses and names
        entry = json.loads(line)
        assert entry.get("function_request_id") or entry.get("request_id")


@pytest.mark.parametrize(
    ("name", "times", "metric"),
    [("launch", 1, "Launched"), ("launch", 2, "Replayed"), ("launch_both_users", 1, "Refused")],
)
def test_what_becomes_of_a_launch_is_counted(
    stack: Stack, log: io.StringIO, name: str, times: int, metric: str
) -> None:
    for _ in range(times):
        stack.invoke(event(name))

    metrics = [json.loads(line) for line in log.getvalue().splitlines() if "_aws" in line]
    assert len(metrics) == times
    assert metrics[-1][metric] == [1.0]


def test_launches_are_counted_by_stack(stack: Stack, log: io.StringIO) -> None:
    stack.invoke(event("launch"))

    (counted,) = [json.loads(line) for line in log.getvalue().splitlines() if "_aws" in line]
    (metrics,) = counted["_aws"]["CloudWatchMetrics"]
    assert (metrics["Namespace"], sorted(metrics["Dimensions"][0])) == ("EnrollmentAutomations", ["service", "stack"])
    assert (counted["service"], counted["stack"]) == ("enrollment_automations", "enrollments")


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("launch", None),
        ("launch_unknown_acs_user", "acs_user_not_found"),
        ("launch_not_a_credential_manager", "acs_system_is_not_credential_manager"),
        ("launch_both_users", "invalid_input"),
    ],
)
def test_a_launch_can_be_traced_to_a_person_whatever_becomes_of_it(
    stack: Stack, log: io.StringIO, name: str, type_: str | None
) -> None:
    asked = json.loads(event(name)["body"])

    stack.invoke(event(name))

    line = json.loads(log.getvalue().splitlines()[-1])
    assert line.get("type") == type_
    assert line["workspace_id"] == "de300000-0000-4000-8000-000000000001"
    for field in ("user_identity_id", "credential_manager_acs_system_id"):
        assert line[field] == asked[field]


def test_a_launch_that_failed_can_be_traced_to_a_person(
    stack: Stack, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enrollment.use_cases.automations._new_automation", lambda *_: 1 / 0)

    stack.invoke(event("launch"))

    line = json.loads(log.getvalue().splitlines()[-1])
    assert (line["message"], line["Failed"]) == ("defect", [1.0])
    assert line["workspace_id"] == "de300000-0000-4000-8000-000000000001"
    assert line["user_identity_id"] == "de300000-0000-4000-8000-000000000011"


@pytest.mark.parametrize("body", ["null", "3", '"x"', "true"], ids=["null", "number", "string", "boolean"])
def test_json_that_is_no_object_is_invalid_input(stack: Stack, body: str) -> None:
    response = stack.invoke(event("launch") | {"body": body})

    error = json.loads(response["body"])["error"]
    assert (response["statusCode"], error["type"]) == (400, "invalid_input")
    assert error["message"].startswith("Expected object, received ")


@pytest.mark.parametrize(
    "body",
    ["{", "NaN", '{"a": Infinity}', "{'a': 1}", '{"a": "\ud800"}', "[" * 100_000, '{"a":' * 100_000, "\ufeff{}", "{}x"],
    ids=["cut off", "nan", "infinity", "quotes", "surrogate", "deep", "deep objects", "bom", "trailing"],
)
def test_what_is_not_json_is_said_so(stack: Stack, body: str) -> None:
    response = stack.invoke(event("launch") | {"body": body})

    assert (response["statusCode"], json.loads(response["body"])["error"]["type"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("limit", "status"),
    [("9" * 20, 200), ("9" * 4300, 200), ("9" * 4301, 400), ("1.0", 400), ("\N{ARABIC-INDIC DIGIT ONE}", 400)],
)
def test_a_limit_in_a_query_string_is_any_whole_number(stack: Stack, limit: str, status: int) -> None:
    response = stack.invoke(
        event("user_identities_list_by_get") | {"multiValueQueryStringParameters": {"limit": [limit]}}
    )

    assert response["statusCode"] == status


def test_a_base64_body_is_read(stack: Stack) -> None:
    content = event("launch")
    encoded = base64.b64encode(content["body"].encode()).decode()

    assert stack.invoke(content | {"body": encoded, "isBase64Encoded": True})["statusCode"] == 200


@pytest.mark.parametrize("body", ["%%%", "/w=="])
def test_a_body_that_is_not_base64_is_said_so(stack: Stack, body: str) -> None:
    response = stack.invoke(event("launch") | {"body": body, "isBase64Encoded": True})

    assert (response["statusCode"], json.loads(response["body"])["error"]["type"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json;charset=utf-8", 200),
        ("APPLICATION/JSON", 200),
        (" application/json ; x=y", 200),
        ("application/json-patch+json", 400),
        ("application/x-www-form-urlencoded", 400),
        ("multipart/form-data; boundary=application/json", 400),
        ("", 400),
    ],
)
def test_the_content_type_has_to_name_json(stack: Stack, content_type: str, status: int) -> None:
    content = event("launch")
    content["headers"]["Content-Type"] = content_type
    content["multiValueHeaders"] = {"content-TYPE": [content_type]}

    assert stack.invoke(content)["statusCode"] == status


def test_a_base_path_of_a_custom_domain_does_not_matter(stack: Stack) -> None:
    content = event("get")

    assert stack.invoke(content | {"path": "/v1" + content["path"]})["statusCode"] == 200


def test_a_defect_is_a_500_that_tells_nothing_and_logs_its_traceback(
    stack: Stack, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enrollment.use_cases.automations._new_automation", lambda *_: 1 / 0)

    response = stack.invoke(event("launch"))

    assert response["statusCode"] == 500
    assert json.loads(response["body"]) == {
        "error": {"type": "internal_server_error", "message": "Internal server error"},
        "ok": False,
    }
    assert "ZeroDivisionError" in log.getvalue()
