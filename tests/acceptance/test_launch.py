"""``launch`` over HTTP: every row of the contract's error table that this route can give, with its exact body."""

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import IN_PROCESS, Service

LAUNCH = "/user_identities/enrollment_automations/launch"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def error(kind: str, message: str, **details: Any) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message, **details}, "ok": False}


def assert_answer(response: httpx.Response, status: int, body: dict[str, Any]) -> None:
    assert (response.status_code, response.json()) == (status, body)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["seam-request-id"]


def test_a_launch_answers_with_the_seven_properties(service: Service) -> None:
    pair = service.pair()

    response = service.launch(pair | {"create_credential_manager_user": True})

    body = response.json()
    automation = body["enrollment_automation"]
    assert (response.status_code, body["ok"]) == (200, True)
    assert automation.keys() == {
        "user_identity_id",
        "enrollment_automation_id",
        "acs_credential_provisioning_automation_id",
        "credential_manager_acs_system_id",
        "is_running",
        "workspace_id",
        "created_at",
    }
    assert {name: automation[name] for name in pair} == pair
    assert automation["workspace_id"] == service["SEAM_WORKSPACE_ID"]
    assert automation["is_running"] is True
    assert UUID.fullmatch(automation["enrollment_automation_id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", automation["created_at"])
    assert response.headers["content-type"] == "application/json"
    assert response.headers["seam-request-id"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"acs_credential_pool_id": "ACS_CREDENTIAL_POOL_ID"},
        {"create_credential_manager_user": True},
        {"create_credential_manager_user": False},
        {"credential_manager_acs_user_id": None},
        {"credential_manager_acs_user_id": None, "create_credential_manager_user": False},
        {"acs_credential_pool_id": "ACS_CREDENTIAL_POOL_ID", "create_credential_manager_user": True},
    ],
)
def test_the_same_launch_again_gives_the_same_answer(service: Service, options: dict[str, Any]) -> None:
    request = service.pair() | options
    if "acs_credential_pool_id" in request:
        request["acs_credential_pool_id"] = service["ACS_CREDENTIAL_POOL_ID"]
    if "credential_manager_acs_user_id" in request:
        request["credential_manager_acs_user_id"] = service.workspace.acs_user(
            service["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]
        )

    first, second = service.launch(request), service.launch(request)

    assert (first.status_code, second.status_code) == (200, 200)
    assert second.json() == first.json()


def test_the_same_launch_by_50_clients_at_once_gives_one_automation(service: Service) -> None:
    request = service.pair() | {"create_credential_manager_user": True}

    with ThreadPoolExecutor(50) as clients:
        responses = list(clients.map(lambda _: service.launch(request), range(50)))

    assert {response.status_code for response in responses} == {200}
    assert len({response.text for response in responses}) == 1


def test_upper_case_ids_name_the_same_things(service: Service) -> None:
    pair = service.pair()
    first = service.launch(pair)

    second = service.launch({name: value.upper() for name, value in pair.items()})

    assert second.json() == first.json()


def test_another_launch_of_the_pair_is_a_conflict_that_names_the_first(service: Service) -> None:
    pair = service.pair()
    first = service.launch(pair).json()["enrollment_automation"]["enrollment_automation_id"]

    response = service.launch(pair | {"create_credential_manager_user": True})

    message = (
        "An enrollment automation with other parameters already exists for this user identity and credential manager"
    )
    body = error("enrollment_automation_already_exists", message, data={"enrollment_automation_id": first})
    assert_answer(response, 409, body)


def test_an_acs_user_of_another_identity_is_a_conflict(service: Service) -> None:
    acs_user_id = service.workspace.acs_user(service["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"])
    service.launch(service.pair() | {"credential_manager_acs_user_id": acs_user_id})

    response = service.launch(service.pair() | {"credential_manager_acs_user_id": acs_user_id})

    message = (
        "The access control system user is linked to another user identity, "
        "or the user identity has another user in that access control system"
    )
    assert_answer(response, 409, error("acs_user_already_linked", message))


@pytest.mark.parametrize(
    ("parameter", "value", "kind", "status", "message"),
    [
        ("user_identity_id", UNKNOWN, "user_identity_not_found", 404, "User identity not found"),
        (
            "user_identity_id",
            "OTHER_WORKSPACE_USER_IDENTITY_ID",
            "user_identity_not_found",
            404,
            "User identity not found",
        ),
        (
            "credential_manager_acs_system_id",
            UNKNOWN,
            "acs_system_not_found",
            404,
            "Access control system not found",
        ),
        (
            "credential_manager_acs_system_id",
            "OTHER_WORKSPACE_ACS_SYSTEM_ID",
            "acs_system_not_found",
            404,
            "Access control system not found",
        ),
        (
            "credential_manager_acs_system_id",
            "ACS_SYSTEM_ID",
            "acs_system_is_not_credential_manager",
            400,
            "Access control system is not a credential manager",
        ),
        (
            "acs_credential_pool_id",
            UNKNOWN,
            "acs_credential_pool_not_found",
            404,
            "Access control system credential pool not found",
        ),
        (
            "acs_credential_pool_id",
            "OTHER_WORKSPACE_ACS_CREDENTIAL_POOL_ID",
            "acs_credential_pool_not_found",
            404,
            "Access control system credential pool not found",
        ),
        (
            "acs_credential_pool_id",
            "OTHER_ACS_CREDENTIAL_POOL_ID",
            "acs_credential_pool_not_in_acs_system",
            400,
            "Access control system credential pool does not belong to the credential manager",
        ),
        (
            "credential_manager_acs_user_id",
            UNKNOWN,
            "acs_user_not_found",
            404,
            "Access control system user not found",
        ),
        (
            "credential_manager_acs_user_id",
            "OTHER_WORKSPACE_ACS_USER_ID",
            "acs_user_not_found",
            404,
            "Access control system user not found",
        ),
        (
            "credential_manager_acs_user_id",
            "OTHER_CREDENTIAL_MANAGER_ACS_USER_ID",
            "acs_user_not_in_acs_system",
            400,
            "Access control system user does not belong to the credential manager",
        ),
    ],
)
def test_what_an_id_does_not_refer_to_is_said(
    service: Service, parameter: str, value: str, kind: str, status: int, message: str
) -> None:
    response = service.launch(service.pair() | {parameter: service.variables.get(value, value)})

    assert_answer(response, status, error(kind, message))


@pytest.mark.gateway
@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("seam_testNone_PubLicDemoKeyForLocaLUse", "API Key not found"),
        ("seam_testDemo_PubLicDemoKeyForLocaLUsf", "API Key not found"),
        ("seam_at1testNone_PubLicDemoKeyForLocaLUse", "Access token not found"),
        ("seam_cst1testNone_PubLicDemoKeyForLocaLUse", "Unauthorized (client session not found)"),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJkZW1vIn0.c2ln", "A JWT was used instead of an API key"),
        ("EXPIRED_SEAM_API_KEY", "API Key has expired"),
        ("REVOKED_SEAM_API_KEY", "API Key has been revoked"),
        ("junk", "No Authorization header, or no valid token in it"),
    ],
)
def test_a_token_that_is_not_good_is_refused(service: Service, token: str, message: str) -> None:
    response = service.launch(service.pair(), token=service.variables.get(token, token))

    assert_answer(response, 401, error("unauthorized", message))


@pytest.mark.gateway
def test_a_request_without_a_token_is_refused(service: Service) -> None:
    response = service.request("POST", LAUNCH, json={})

    assert_answer(response, 401, error("unauthorized", "No Authorization header, or no valid token in it"))


@pytest.mark.gateway
@pytest.mark.parametrize(("method", "path"), [("GET", LAUNCH), ("DELETE", LAUNCH), ("POST", "/launch"), ("POST", "/")])
def test_an_unknown_route_is_said_so(service: Service, method: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {service['SEAM_API_KEY']}"}

    response = service.request(method, path, headers=headers)

    assert_answer(response, 404, error("route_not_found", "Route not found"))


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_post_has_to_call_its_body_json(service: Service, content_type: str) -> None:
    response = service.launch(content=b"{}", headers={"Content-Type": content_type})

    message = 'POST requests must have Content-Type header with "application/json"'
    assert_answer(response, 400, error("invalid_content_type", message))


def test_a_body_that_is_not_json_is_said_so(service: Service) -> None:
    response = service.launch(content=b"{", headers={"Content-Type": "application/json"})

    assert_answer(response, 400, error("invalid_json", "The request body is not valid JSON"))


NOTHING_GIVEN = error(
    "invalid_input",
    "2 Input Errors: user_identity_id is required, credential_manager_acs_system_id is required",
    validation_errors={
        "_errors": [],
        "user_identity_id": {"_errors": ["Required"]},
        "credential_manager_acs_system_id": {"_errors": ["Required"]},
    },
)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"[1,{}]"])
def test_no_parameters_are_required_ones_missing(service: Service, body: bytes) -> None:
    response = service.launch(content=body, headers={"Content-Type": "application/json;charset=utf-8"})

    assert_answer(response, 400, NOTHING_GIVEN)


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        ("user_identity_id", "x", "Invalid uuid"),
        ("user_identity_id", "", "Invalid uuid"),
        ("user_identity_id", 1, "Expected string, received number"),
        ("credential_manager_acs_system_id", True, "Expected string, received boolean"),
        ("acs_credential_pool_id", None, "Expected string, received null"),
        ("acs_credential_pool_id", [], "Expected string, received array"),
        ("credential_manager_acs_user_id", {}, "Expected string, received object"),
        ("create_credential_manager_user", "true", "Expected boolean, received string"),
        ("create_credential_manager_user", 1, "Expected boolean, received number"),
        ("create_credential_manager_user", None, "Expected boolean, received null"),
    ],
)
def test_one_parameter_that_does_not_fit_is_named(
    service: Service, parameter: str, value: object, message: str
) -> None:
    response = service.launch(service.pair() | {parameter: value})

    errors = {"_errors": [], parameter: {"_errors": [message]}}
    assert_answer(response, 400, error("invalid_input", f'{message} for "{parameter}"', validation_errors=errors))


def test_two_ways_to_name_the_acs_user_are_one_too_many(service: Service) -> None:
    both = {"create_credential_manager_user": True, "credential_manager_acs_user_id": str(uuid.uuid4())}

    response = service.launch(service.pair() | both)

    message = "Cannot specify credential_manager_acs_user_id when create_credential_manager_user is true"
    assert_answer(response, 400, error("invalid_input", message, validation_errors={"_errors": [message]}))


def test_input_is_looked_at_before_what_ids_refer_to(service: Service) -> None:
    response = service.launch({"user_identity_id": UNKNOWN})

    assert response.json()["error"]["type"] == "invalid_input"


def test_the_content_type_is_looked_at_after_the_token(service: Service) -> None:
    response = service.launch(content=b"{", token="junk", headers={"Content-Type": "text/plain"})

    assert response.status_code == 401


@pytest.mark.skipif(not IN_PROCESS, reason="another service has its own terminal")
def test_requests_are_logged_a_line_each_without_their_secrets(service: Service) -> None:
    before = len(service.terminal.getvalue())

    response = service.launch(service.pair())

    (line,) = service.terminal.getvalue()[before:].splitlines()
    assert re.fullmatch(rf"\d\d:\d\d:\d\d  200  POST   {LAUNCH}  \d+ ms  (?P<id>\S+)", line)
    assert line.endswith(response.headers["seam-request-id"])
