"""The events of ``events/``, and the cases that are made from them, through the functions of the template."""

import base64
import io
import json
import re

import pytest

from enrollment.callers import TokenKind
from enrollments.local.stack import Stack
from local_aws.template import load_template
from tests.events import ALL, CASES, DENIED, FILE_STATUSES, REQUEST_FILES, TOKEN_FILES, TRIGGER_FILES, event
from tests.fixtures import PROJECT
from tests.integration.answers import ANSWERS, answer


def test_each_route_and_verb_has_one_event() -> None:
    routes = load_template(PROJECT / "template.yaml", {})["Api"].properties["Body"]["paths"]
    verbs = [
        f"{verb.upper()} {path}"
        for path, operations in routes.items()
        for verb in operations
        if verb != "options"  # all preflights are alike, so they have one event
    ]

    events = [event(name) for name in REQUEST_FILES if not name.endswith("_preflight")]

    assert sorted(f"{one['httpMethod']} {one['resource']}" for one in events) == sorted(verbs)


def test_each_kind_of_token_has_one_event() -> None:
    assert sorted(f"authorizer_{kind.value}" for kind in TokenKind) == TOKEN_FILES


@pytest.mark.parametrize("name", REQUEST_FILES)
def test_a_file_gives_its_answer(stack: Stack, name: str) -> None:
    response = stack.invoke(event(name))

    assert (response["statusCode"], json.loads(response["body"])["ok"]) == (
        FILE_STATUSES[name],
        FILE_STATUSES[name] == 200,
    )


@pytest.mark.parametrize("name", CASES)
def test_a_case_gives_its_answer(stack: Stack, name: str) -> None:
    response = stack.invoke(event(name))

    body = json.loads(response["body"])
    assert (response["statusCode"], body.get("error", {}).get("type")) == (CASES[name].status, CASES[name].error)
    assert body["ok"] is (response["statusCode"] == 200)
    assert response["multiValueHeaders"]["Content-Type"] == ["application/json"]
    assert response["multiValueHeaders"]["seam-request-id"] == [event(name)["requestContext"]["requestId"]]


@pytest.mark.parametrize("name", TRIGGER_FILES)
def test_a_batch_is_taken_by_the_function_of_its_mapping(stack: Stack, log: io.StringIO, name: str) -> None:
    assert stack.invoke(event(name)) == {"batchItemFailures": []}

    (line,) = [json.loads(line) for line in log.getvalue().splitlines()]
    assert (line["service"], line["message"]) == {"queue": ("deliveries", "dropped"), "stream": ("events", "recorded")}[
        name
    ]


def test_every_answer_is_an_events() -> None:
    assert json.loads(ANSWERS.read_text()).keys() == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_an_event_is_answered_and_logged_to_the_letter(stack: Stack, log: io.StringIO, name: str) -> None:
    assert answer(stack, log, event(name)) == json.loads(ANSWERS.read_text())[name]


@pytest.mark.parametrize("name", DENIED)
def test_a_token_that_is_not_valid_is_denied_with_the_reason(stack: Stack, name: str) -> None:
    answer = stack.invoke(event(name))

    (statement,) = answer["policyDocument"]["Statement"]
    assert (statement["Effect"], answer["context"]["message"]) == ("Deny", DENIED[name][1])


@pytest.mark.parametrize("name", ["authorizer_api_key", "authorizer_personal_access_token"])
def test_a_valid_token_is_allowed_all_routes(stack: Stack, name: str) -> None:
    answer = stack.invoke(event(name))

    (statement,) = answer["policyDocument"]["Statement"]
    assert statement["Effect"] == "Allow"
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
                "acs/credentials/list",
                "acs/systems/list",
                "acs/users/list",
                "client_sessions/get",
                "events/get",
                "events/list",
                "phones/deactivate",
                "seam/mobile_sdk/v1/phone_sessions/get_or_create",
                "user_identities/enrollment_automations/get",
                "user_identities/enrollment_automations/list",
                "user_identities/list",
                "user_identities/list_acs_systems",
                "workspaces/get",
                "workspaces/list",
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


@pytest.mark.parametrize("name", ALL)
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
