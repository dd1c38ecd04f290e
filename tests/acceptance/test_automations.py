"""``get``, ``list`` and ``delete`` over HTTP, by each verb and each kind of token, held against the API document."""

import json
import uuid
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from tests.acceptance.conftest import Service
from tests.fixtures import PROJECT

ROOT = "/user_identities/enrollment_automations"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
DOCUMENT = json.loads((PROJECT / "openapi.json").read_text())

READS = ["GET", "POST"]
DELETES = ["DELETE", "POST"]


def call(
    service: Service, method: str, name: str, parameters: dict[str, Any], *, token: str | None = None, **headers: str
) -> httpx.Response:
    """Call a route by a verb, and hold the answer against the API document."""
    authorization = {"Authorization": f"Bearer {token or service['SEAM_API_KEY']}"}
    how: dict[str, Any] = {"json": parameters} if method == "POST" else {"params": parameters}
    response = service.request(method, f"{ROOT}/{name}", headers=authorization | headers, **how)
    assert_conforms(response, method, name)
    return response


def assert_conforms(response: httpx.Response, method: str, name: str) -> None:
    answers = DOCUMENT["paths"][f"{ROOT}/{name}"][method.lower()]["responses"]
    answer = answers[str(response.status_code)]
    if reference := answer.get("$ref"):
        answer = DOCUMENT["components"]["responses"][reference.rpartition("/")[2]]
    schema = answer["content"]["application/json"]["schema"]
    validate(schema | {"components": DOCUMENT["components"]}, response.json())
    assert response.headers["content-type"] == "application/json"
    assert response.headers["seam-request-id"]


def validate(schema: dict[str, Any], body: Any) -> None:
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(body)


@pytest.fixture
def automation(service: Service) -> dict[str, Any]:
    response = service.launch(service.pair() | {"create_credential_manager_user": True})
    assert_conforms(response, "POST", "launch")
    launched: dict[str, Any] = response.json()["enrollment_automation"]
    return launched


def named(automation: dict[str, Any]) -> dict[str, str]:
    return {"enrollment_automation_id": automation["enrollment_automation_id"]}


def of_identity(automation: dict[str, Any]) -> dict[str, str]:
    return {"user_identity_id": automation["user_identity_id"]}


@pytest.mark.parametrize("method", READS)
def test_get_answers_what_launch_did(service: Service, automation: dict[str, Any], method: str) -> None:
    response = call(service, method, "get", named(automation))

    assert (response.status_code, response.json()) == (200, {"enrollment_automation": automation, "ok": True})


@pytest.mark.parametrize("method", READS)
def test_list_answers_all_of_an_identity_oldest_first(
    service: Service, automation: dict[str, Any], method: str
) -> None:
    second = service.launch(
        of_identity(automation)
        | {"credential_manager_acs_system_id": service["OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]}
    ).json()["enrollment_automation"]

    response = call(service, method, "list", of_identity(automation))

    assert response.json() == {"enrollment_automations": [automation, second], "ok": True}


@pytest.mark.parametrize("method", READS)
def test_list_of_an_identity_without_automations_is_empty(service: Service, method: str) -> None:
    identity = {"user_identity_id": service.workspace.user_identity()}

    response = call(service, method, "list", identity)

    assert (response.status_code, response.json()) == (200, {"enrollment_automations": [], "ok": True})


@pytest.mark.parametrize("method", DELETES)
def test_delete_leaves_nothing_and_a_new_launch_has_a_new_id(
    service: Service, automation: dict[str, Any], method: str
) -> None:
    response = call(service, method, "delete", named(automation))

    assert (response.status_code, response.json()) == (200, {"ok": True})
    assert call(service, "GET", "get", named(automation)).status_code == 404
    assert call(service, "GET", "list", of_identity(automation)).json()["enrollment_automations"] == []
    assert call(service, method, "delete", named(automation)).status_code == 404
    again = service.launch(
        {name: automation[name] for name in ("user_identity_id", "credential_manager_acs_system_id")}
    ).json()["enrollment_automation"]
    assert again["enrollment_automation_id"] != automation["enrollment_automation_id"]


NULL_GIVEN = "Expected string, received null"


@pytest.mark.parametrize(
    ("name", "method"),
    [("get", "GET"), ("get", "POST"), ("list", "GET"), ("list", "POST"), ("delete", "DELETE"), ("delete", "POST")],
)
class TestEveryVerb:
    parameter = {"get": "enrollment_automation_id", "list": "user_identity_id", "delete": "enrollment_automation_id"}  # noqa: RUF012

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (None, "{} is required"),
            ("x", 'Invalid uuid for "{}"'),
            ([UNKNOWN, UNKNOWN], 'Expected string, received array for "{}"'),
        ],
    )
    def test_a_parameter_that_does_not_fit_is_named(
        self, service: Service, name: str, method: str, value: Any, message: str
    ) -> None:
        parameters = {} if value is None else {self.parameter[name]: value}

        response = call(service, method, name, parameters)

        error = response.json()["error"]
        assert (response.status_code, error["type"]) == (400, "invalid_input")
        assert error["message"] == message.format(self.parameter[name])

    def test_an_empty_text_is_null_in_a_query_string_and_no_uuid_in_a_body(
        self, service: Service, name: str, method: str
    ) -> None:
        response = call(service, method, name, {self.parameter[name]: ""})

        what = {"POST": "Invalid uuid", "GET": NULL_GIVEN, "DELETE": NULL_GIVEN}[method]
        assert response.json()["error"]["message"] == f'{what} for "{self.parameter[name]}"'

    def test_what_is_not_there_is_not_found(self, service: Service, name: str, method: str) -> None:
        response = call(service, method, name, {self.parameter[name]: UNKNOWN})

        expected = "user_identity_not_found" if name == "list" else "enrollment_automation_not_found"
        assert (response.status_code, response.json()["error"]["type"]) == (404, expected)

    def test_another_workspaces_things_are_not_there(
        self, service: Service, automation: dict[str, Any], name: str, method: str
    ) -> None:
        parameters = {self.parameter[name]: automation[self.parameter[name]]}

        assert call(service, method, name, parameters, token=service["OTHER_SEAM_API_KEY"]).status_code == 404
        assert call(service, "GET", "get", named(automation)).status_code == 200

    def test_unknown_parameters_are_ignored(
        self, service: Service, automation: dict[str, Any], name: str, method: str
    ) -> None:
        parameters = {self.parameter[name]: automation[self.parameter[name]], "_strict": "true", "other": "x"}

        assert call(service, method, name, parameters).status_code == 200

    def test_a_personal_access_token_sees_the_workspace_that_it_names_only(
        self, service: Service, automation: dict[str, Any], name: str, method: str
    ) -> None:
        parameters = {self.parameter[name]: automation[self.parameter[name]]}
        token = service["SEAM_PERSONAL_ACCESS_TOKEN"]

        def status_in(workspace_id: str) -> int:
            headers = {"seam-workspace": workspace_id}
            return call(service, method, name, parameters, token=token, **headers).status_code

        # One after the other, with one decision of the authorizer in the cache.
        assert status_in(service["OTHER_SEAM_WORKSPACE_ID"]) == 404
        assert status_in(str(uuid.uuid4())) == 401
        assert status_in(service["SEAM_WORKSPACE_ID"]) == 200

    def test_a_personal_access_token_without_a_workspace_is_refused(
        self, service: Service, name: str, method: str
    ) -> None:
        response = call(service, method, name, {}, token=service["SEAM_PERSONAL_ACCESS_TOKEN"])

        assert response.status_code == 401
        assert response.json()["error"]["message"] == "An access token was used instead of an API key"


@pytest.fixture
def session_identity(service: Service) -> dict[str, str]:
    """The user identity of the demo client session."""
    return {"user_identity_id": service["USER_IDENTITY_ID"]}


@pytest.fixture
def own(service: Service, session_identity: dict[str, str]) -> dict[str, Any]:
    manager = {"credential_manager_acs_system_id": service["OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]}
    automation: dict[str, Any] = service.launch(session_identity | manager).json()["enrollment_automation"]
    return automation


@pytest.mark.parametrize("method", READS)
def test_a_client_session_sees_its_own_identity(
    service: Service, own: dict[str, Any], session_identity: dict[str, str], method: str
) -> None:
    token = service["SEAM_CLIENT_SESSION_TOKEN"]

    assert call(service, method, "get", named(own), token=token).json()["enrollment_automation"] == own
    assert own in call(service, method, "list", session_identity, token=token).json()["enrollment_automations"]


@pytest.mark.parametrize("method", READS)
def test_a_client_session_does_not_see_another_identity(
    service: Service, automation: dict[str, Any], method: str
) -> None:
    token = service["SEAM_CLIENT_SESSION_TOKEN"]

    assert call(service, method, "get", named(automation), token=token).status_code == 404
    assert call(service, method, "list", of_identity(automation), token=token).status_code == 404


@pytest.mark.gateway
@pytest.mark.parametrize(("name", "method"), [("launch", "POST"), ("delete", "POST"), ("delete", "DELETE")])
def test_a_client_session_writes_nothing_also_after_a_get_was_cached(
    service: Service, own: dict[str, Any], name: str, method: str
) -> None:
    token = service["SEAM_CLIENT_SESSION_TOKEN"]
    assert call(service, "GET", "get", named(own), token=token).status_code == 200

    response = call(service, method, name, named(own), token=token)

    assert response.status_code == 401
    assert response.json()["error"]["message"] == "A client session cannot be used for this route"
    assert call(service, "GET", "get", named(own)).status_code == 200
