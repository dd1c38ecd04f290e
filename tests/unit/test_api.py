"""The API's side of a function, with a route of its own."""

import base64
import copy
import io
import json
from dataclasses import dataclass
from typing import Any, cast

import pytest
from aws_lambda_powertools.logging import Logger
from pydantic import StrictStr

from enrollment.callers import Caller
from enrollment.errors import NoAccessToDatabase, ServiceUnavailable
from enrollment.http.api import Api
from enrollment.http.events import ProxyResponse, UnknownEvent
from enrollment.http.routes import Answer
from enrollment.resources.bodies import PagedRequest, Request, Response
from enrollment.resources.fields import Limit, NullableFilter, OptionalText, OptionalUuid, OptionalUuids, Uuid

REQUEST_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
ID = "de300000-0000-4000-8000-000000000011"
OTHER_ID = "de300000-0000-4000-8000-000000000012"
PERSONAL = "jane.doe@example.com"
ORIGIN, SECOND_ORIGIN = "https://app.example.com", "https://other.example.com"
API_KEY = {"token_kind": "api_key", "token_id": "x", "workspace_ids": "w", "user_identity_ids": ""}
SESSION = API_KEY | {"token_kind": "client_session", "user_identity_ids": ID}
HEADERS = ["seam-request-id", "Content-Type"]


class ThingsRequest(Request):
    thing_id: Uuid
    other_thing_id: OptionalUuid = None
    thing_key: str | None = None
    ids: OptionalUuids = None
    colour: NullableFilter = None
    search: OptionalText = None
    limit: Limit = 10
    page_cursor: StrictStr | None = None


class ThingsResponse(Response):
    seen: dict[str, Any]


@dataclass
class Context:
    aws_request_id: str = "f"
    milliseconds: int = 28_000

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


def make(log: io.StringIO, *origins: str, for_client_sessions: bool = False, for_servers: bool = True) -> Api:
    api = Api(Logger(service=f"api-{id(log)}", stream=log), origins)

    @api.route(
        "/things",
        "GET",
        "POST",
        "PATCH",
        errors=[],
        for_client_sessions=for_client_sessions,
        for_servers=for_servers,
    )
    def things(request: ThingsRequest, caller: Caller) -> Answer[ThingsResponse]:
        if request.page_cursor == "gone":
            raise ServiceUnavailable from ConnectionError(PERSONAL)
        if request.page_cursor == "no access":
            raise NoAccessToDatabase from PermissionError(13, PERSONAL)
        if request.page_cursor == "defect":
            raise KeyError(PERSONAL) from ValueError(PERSONAL)
        seen = {"caller": caller.workspace_id} | request.model_dump(mode="json", exclude_unset=True)
        if request.page_cursor == "noted":
            return Answer(ThingsResponse(seen=seen), "seen", {"seen_id": request.thing_id})
        return Answer(ThingsResponse(seen=seen))

    return api


def ask(api: Api, method: str = "POST", **more: Any) -> ProxyResponse:
    event = {
        "resource": "/things",
        "path": "/prefix/things",
        "httpMethod": method,
        "headers": {},
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "multiValueQueryStringParameters": None,
        "requestContext": {"requestId": REQUEST_ID, "authorizer": API_KEY, "path": "/things"},
        "body": None,
        "isBase64Encoded": False,
    }
    return api.answer(event | more, cast("Any", Context()))


def seen(response: ProxyResponse) -> Any:
    assert response["statusCode"] == 200, response
    return json.loads(response["body"])["seen"]


def error(response: ProxyResponse) -> tuple[int, str, str]:
    body = json.loads(response["body"])
    assert body["ok"] is False
    assert response["multiValueHeaders"]["Content-Type"] == ["application/json"]
    assert response["isBase64Encoded"] is False
    return response["statusCode"], body["error"]["type"], body["error"]["message"]


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_body_is_read_whatever_way_it_is_sent(log: io.StringIO, method: str) -> None:
    body = json.dumps({"thing_id": ID})
    encoded = base64.b64encode(body.encode()).decode()
    expected = {"caller": "w", "thing_id": ID}

    assert seen(ask(make(log), method, body=body)) == expected
    assert seen(ask(make(log), method, body=encoded, isBase64Encoded=True)) == expected
    assert seen(ask(make(log), method, body=body, multiValueHeaders={"CONTENT-type": ["a/b", " Application/JSON ; x"]}))
    assert seen(ask(make(log), method, body=body, multiValueHeaders=None, headers={"content-type": "application/json"}))


@pytest.mark.parametrize(
    ("body", "is_base64"),
    [("%", True), ("/w==", True), ("e30=\n!", True), ("{", False), ("'", False), ("\ud800", False)],
)
def test_what_is_no_json_is_refused(log: io.StringIO, body: str, is_base64: bool) -> None:  # noqa: FBT001
    answer = ask(make(log), body=body, isBase64Encoded=is_base64)

    assert error(answer) == (400, "invalid_json", "The request body is not valid JSON")


@pytest.mark.parametrize("body", [None, "", "{}", "[]", '[{"thing_id": 1}]'])
def test_nothing_and_an_array_are_no_parameters(log: io.StringIO, body: str | None) -> None:
    assert error(ask(make(log), body=body)) == (400, "invalid_input", "thing_id is required")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(("body", "is_base64"), [(None, False), ("", False), ("", True)])
@pytest.mark.parametrize(
    "content_type", [[], [""], ["application/x-www-form-urlencoded"], ["text/plain"], ["nonsense"], ["multipart/mixed"]]
)
def test_no_body_needs_no_content_type(
    log: io.StringIO,
    method: str,
    body: str | None,
    is_base64: bool,  # noqa: FBT001
    content_type: list[str],
) -> None:
    headers = {"Content-Type": content_type}

    answer = ask(make(log), method, body=body, isBase64Encoded=is_base64, multiValueHeaders=headers)

    assert error(answer) == (400, "invalid_input", "thing_id is required")


@pytest.mark.parametrize("body", [" ", "\n", "\t \r\n"])
def test_white_space_is_a_body(log: io.StringIO, body: str) -> None:
    assert error(ask(make(log), body=body))[1] == "invalid_json"
    assert error(ask(make(log), body=body, multiValueHeaders=None))[1] == "invalid_content_type"


@pytest.mark.parametrize(
    ("body", "received"), [("3", "number"), ("null", "null"), ('"x"', "string"), ("true", "boolean")]
)
def test_json_that_is_no_object_says_what_it_is(log: io.StringIO, body: str, received: str) -> None:
    assert error(ask(make(log), body=body)) == (400, "invalid_input", f"Expected object, received {received}")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_body_that_is_not_called_json_names_the_verb(log: io.StringIO, method: str) -> None:
    answer = ask(make(log), method, body="{}", multiValueHeaders={"Content-Type": ["text/plain"]})

    message = f'{method} requests must have Content-Type header with "application/json"'
    assert error(answer) == (400, "invalid_content_type", message)


def get(log: io.StringIO, **query: list[str]) -> ProxyResponse:
    return ask(make(log), "GET", multiValueHeaders=None, multiValueQueryStringParameters={"thing_id": [ID]} | query)


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ({}, {}),
        ({"thing_id": [ID.upper()]}, {}),
        ({"other": ["x"], "more": ["y", "z"], "more[]": ["x"], "more[x]": ["y"], "more.x": ["z"]}, {}),
        ({"page_cursor": [], "ids": [], "other": []}, {}),
        ({"page_cursor": ["a"]}, {"page_cursor": "a"}),
        ({"page_cursor": [""]}, {"page_cursor": None}),
        ({"colour": [""]}, {"colour": None}),
        ({"limit": ["5"]}, {"limit": 5}),
        ({"ids": [ID]}, {"ids": [ID]}),
        ({"ids": [ID, ID]}, {"ids": [ID, ID]}),
        ({"ids[]": [ID]}, {"ids": [ID]}),
        ({"ids": [ID], "ids[]": [ID, ID]}, {"ids": [ID, ID, ID]}),
        ({"ids": [""]}, {"ids": []}),
        ({"ids[]": [""]}, {"ids": []}),
        ({"ids": ["", ID, ""]}, {"ids": [ID]}),
        ({"ids": [""], "ids[]": [ID]}, {"ids": [ID]}),
    ],
)
def test_a_query_string_is_read_as_a_body_would_be(
    log: io.StringIO, query: dict[str, list[str]], read: dict[str, Any]
) -> None:
    assert seen(get(log, **query)) == {"caller": "w", "thing_id": ID} | read


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"thing_id": [ID, ID]}, 'Expected string, received array for "thing_id"'),
        ({"thing_id": [""]}, 'Expected string, received null for "thing_id"'),
        ({"thing_id[]": [ID]}, 'Expected string, received array for "thing_id"'),
        ({"page_cursor": ["a", "b"]}, 'Expected string, received array for "page_cursor"'),
        ({"page_cursor": ["", ""]}, 'Expected string, received array for "page_cursor"'),
        ({"colour": ["", "red"]}, 'Expected string, received array for "colour"'),
        ({"colour[]": [""]}, 'Expected string, received array for "colour"'),
        ({"colour": ["red"], "colour[]": ["blue"]}, 'Expected string, received array for "colour"'),
        ({"search": [""]}, 'Expected string, received null for "search"'),
        ({"search[x]": ["a"]}, 'Expected string, received object for "search"'),
        ({"search.x": ["a"]}, 'Expected string, received object for "search"'),
        ({"limit": [""]}, 'Expected number, received null for "limit"'),
        ({"limit": ["5", "5"]}, 'Expected number, received array for "limit"'),
        ({"limit[]": ["5"]}, 'Expected number, received array for "limit"'),
        ({"limit": ["five"]}, 'Expected number, received string for "limit"'),
        ({"ids": [ID, "x"]}, 'Invalid uuid for "ids.1"'),
        ({"ids[]": ["x"]}, 'Invalid uuid for "ids.0"'),
        ({"ids[0]": [ID], "ids[1]": [ID]}, 'Expected array, received object for "ids"'),
    ],
)
def test_what_does_not_fit_in_a_query_string_is_refused_and_never_dropped(
    log: io.StringIO, query: dict[str, list[str]], message: str
) -> None:
    assert error(get(log, **query)) == (400, "invalid_input", message)


def test_a_query_string_can_lack_what_is_required(log: io.StringIO) -> None:
    answer = ask(make(log), "GET", multiValueHeaders=None)

    assert error(answer) == (400, "invalid_input", "thing_id is required")


def test_a_problem_inside_an_array_is_named_by_its_path_and_found_by_its_parameter(log: io.StringIO) -> None:
    answer = ask(make(log), body=json.dumps({"thing_id": ID, "ids": [ID, "x", 3]}))

    refusal = json.loads(answer["body"])["error"]
    assert refusal["message"] == (
        '2 Input Errors: Invalid uuid for "ids.1", Expected string, received number for "ids.2"'
    )
    assert refusal["validation_errors"] == {
        "_errors": [],
        "ids": {"_errors": ["Invalid uuid", "Expected string, received number"]},
    }


def test_who_asks_is_told_by_the_authorizer_and_the_header(log: io.StringIO) -> None:
    person = API_KEY | {"token_kind": "personal_access_token", "workspace_ids": "a,b"}
    context = {"requestId": REQUEST_ID, "authorizer": person}
    body, json_ = json.dumps({"thing_id": ID}), {"Content-Type": ["application/json"]}

    def named(**headers: Any) -> ProxyResponse:
        return ask(make(log), requestContext=context, body=body, **headers)

    assert seen(named(multiValueHeaders=json_ | {"Seam-Workspace": ["a", "b"]}))["caller"] == "b"
    assert seen(named(multiValueHeaders=json_, headers={"SEAM-WORKSPACE": "a"}))["caller"] == "a"
    assert error(named()) == (401, "unauthorized", "An access token was used instead of an API key")


def test_a_client_session_gets_only_where_it_may(log: io.StringIO) -> None:
    asked: dict[str, Any] = {
        "requestContext": {"requestId": REQUEST_ID, "authorizer": SESSION},
        "body": json.dumps({"thing_id": ID}),
    }

    assert error(ask(make(log), **asked)) == (401, "unauthorized", "A client session cannot be used for this route")
    assert seen(ask(make(log, for_client_sessions=True), **asked))["caller"] == "w"


def test_a_route_for_client_sessions_only_takes_no_other_token(log: io.StringIO) -> None:
    api = make(log, for_client_sessions=True, for_servers=False)
    body = json.dumps({"thing_id": ID})
    session = {"requestId": REQUEST_ID, "authorizer": SESSION}

    assert error(ask(api, body=body)) == (401, "unauthorized", "Only a client session can be used for this route")
    assert seen(ask(api, body=body, requestContext=session))["caller"] == "w"


def test_a_route_that_is_not_there_is_said_so(log: io.StringIO) -> None:
    assert error(ask(make(log), resource="/other")) == (404, "route_not_found", "Route not found")
    assert error(ask(make(log), "DELETE")) == (404, "route_not_found", "Route not found")
    assert error(ask(make(log), "OPTIONS")) == (404, "route_not_found", "Route not found")


@pytest.mark.parametrize("cursor", ["gone", "no access", "defect", None])
def test_every_answer_and_every_line_has_the_requests_id(log: io.StringIO, cursor: str | None) -> None:
    answer = ask(make(log), body=json.dumps({"thing_id": ID, "page_cursor": cursor}))

    assert answer["multiValueHeaders"]["seam-request-id"] == [REQUEST_ID]
    (line,) = lines(log)
    assert (line["request_id"], line["function_request_id"], line["route"]) == (REQUEST_ID, "f", "/things")


def test_what_stood_in_the_way_is_logged_and_not_told(log: io.StringIO) -> None:
    answer = ask(make(log), body=json.dumps({"thing_id": ID, "page_cursor": "gone"}))

    assert error(answer) == (503, "service_unavailable", "The service is temporarily unavailable; try again")
    assert answer["multiValueHeaders"]["Retry-After"] == ["1"]
    line = lines(log)[-1]
    assert (line["message"], line["status"], line["type"]) == ("refused", 503, "service_unavailable")
    assert (line["level"], line["cause"]) == ("INFO", "ConnectionError")


def test_a_database_that_lets_nobody_in_is_an_outage_that_alarms_count(log: io.StringIO) -> None:
    answer = ask(make(log), body=json.dumps({"thing_id": ID, "page_cursor": "no access"}))

    assert error(answer) == (503, "service_unavailable", "The service is temporarily unavailable; try again")
    line = lines(log)[-1]
    assert (line["level"], line["message"], line["status"]) == ("ERROR", "refused", 503)
    assert (line["cause"], line["os_error"]) == ("PermissionError", "EACCES")


@pytest.mark.parametrize("cursor", ["gone", "no access", "defect"])
def test_no_text_of_an_exception_is_logged(log: io.StringIO, cursor: str) -> None:
    ask(make(log), body=json.dumps({"thing_id": ID, "page_cursor": cursor}))

    assert PERSONAL not in log.getvalue()


@pytest.mark.parametrize("cursor", ["gone", "no access", "defect", None])
def test_every_line_has_the_ids_of_the_workspace_and_of_what_the_request_names(
    log: io.StringIO, cursor: str | None
) -> None:
    body = {"thing_id": ID.upper(), "other_thing_id": OTHER_ID, "page_cursor": cursor}

    ask(make(log), body=json.dumps(body))

    line = lines(log)[-1]
    assert (line["workspace_id"], line["thing_id"], line["other_thing_id"]) == ("w", ID, OTHER_ID)


def test_a_request_that_does_not_fit_has_the_ids_that_do_on_its_line(log: io.StringIO) -> None:
    ask(make(log), body=json.dumps({"thing_id": PERSONAL, "other_thing_id": OTHER_ID, "thing_key": PERSONAL}))

    line = lines(log)[-1]
    assert (line["status"], line["workspace_id"], line["other_thing_id"]) == (400, "w", OTHER_ID)
    assert "thing_id" not in line


@pytest.mark.parametrize(
    "body",
    [
        {"thing_id": f"{ID}{PERSONAL}"},
        {"thing_id": f"{ID}\n"},
        {"thing_id": [PERSONAL]},
        {"thing_id": {PERSONAL: ID}},
        {"thing_id": ID, "unknown_id": ID, PERSONAL: ID},
        {"thing_id": ID, "thing_key": PERSONAL},
        {"thing_id": ID, "page_cursor": PERSONAL},
    ],
    ids=range(7),
)
def test_what_is_no_id_is_on_no_line(log: io.StringIO, body: dict[str, Any]) -> None:
    ask(make(log), body=json.dumps(body))

    line = lines(log)[-1]
    assert PERSONAL not in log.getvalue()
    assert line.get("thing_id", ID) == ID
    assert "unknown_id" not in line


def test_ids_of_a_query_string_are_on_the_line(log: io.StringIO) -> None:
    ask(make(log), "GET", multiValueHeaders=None, multiValueQueryStringParameters={"thing_id": [ID]})

    assert lines(log)[-1]["thing_id"] == ID


def test_who_was_not_let_in_leaves_no_ids_of_another_request(log: io.StringIO) -> None:
    api = make(log)
    ask(api, body=json.dumps({"thing_id": ID}))

    ask(api, requestContext={"requestId": REQUEST_ID, "authorizer": SESSION}, body=json.dumps({"thing_id": OTHER_ID}))

    assert {"workspace_id", "thing_id"}.isdisjoint(lines(log)[-1])


def test_a_clients_mistake_is_logged_without_a_cause(log: io.StringIO) -> None:
    ask(make(log), body="{")

    line = lines(log)[-1]
    assert (line["message"], line["status"], line["type"]) == ("refused", 400, "invalid_json")
    assert line.get("cause") is None


def test_a_defect_is_logged_with_its_traceback_and_not_told(log: io.StringIO) -> None:
    answer = ask(make(log), body=json.dumps({"thing_id": ID, "page_cursor": "defect"}))

    assert error(answer) == (500, "internal_server_error", "Internal server error")
    line = lines(log)[-1]
    assert (line["level"], line["message"], line["exception_name"]) == ("ERROR", "defect", "KeyError")
    assert line["cause"] == "KeyError from ValueError"
    assert "in things" in line["exception"]


def test_an_answer_is_logged_with_its_status(log: io.StringIO) -> None:
    ask(make(log), body=json.dumps({"thing_id": ID}))

    line = lines(log)[-1]
    assert (line["message"], line["status"]) == ("answered", 200)


def test_what_a_request_has_done_is_said_on_its_own_line_and_on_no_other(log: io.StringIO) -> None:
    api = make(log)

    for cursor in ("noted", "gone", None):
        ask(api, body=json.dumps({"thing_id": ID, "page_cursor": cursor}))

    done, refused, answered = lines(log)
    assert (done["message"], done["status"], done["seen_id"]) == ("seen", 200, ID)
    assert (refused["message"], refused["status"]) == ("refused", 503)
    assert (answered["message"], answered["status"]) == ("answered", 200)
    assert "seen_id" not in {**refused, **answered}


def test_an_api_keeps_nothing_of_a_request(log: io.StringIO) -> None:
    api = make(log)
    before = copy.copy(vars(api))

    for cursor in (None, "noted", "gone", "defect"):
        ask(api, body=json.dumps({"thing_id": ID, "page_cursor": cursor}))

    assert vars(api) == before


def test_a_list_without_page_cursors_is_refused_at_the_start(log: io.StringIO) -> None:
    def list_things(request: PagedRequest, caller: Caller) -> Answer[ThingsResponse]:
        raise NotImplementedError

    with pytest.raises(TypeError, match="page cursors"):
        make(log).route("/things/list", "GET", errors=[])(list_things)


@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
@pytest.mark.parametrize("sent", [[], [ORIGIN]])
def test_any_origin_may_be_allowed_without_credentials(log: io.StringIO, method: str, sent: list[str]) -> None:
    headers = {"Content-Type": ["application/json"], "Origin": sent}

    answer = ask(make(log, "*"), method, body=json.dumps({"thing_id": ID}), multiValueHeaders=headers)

    assert answer["multiValueHeaders"]["Access-Control-Allow-Origin"] == ["*"]
    assert "Access-Control-Allow-Credentials" not in answer["multiValueHeaders"]


def test_a_preflight_says_what_a_page_may_do(log: io.StringIO) -> None:
    answer = ask(make(log, ORIGIN, SECOND_ORIGIN), "OPTIONS", multiValueHeaders={"Origin": [SECOND_ORIGIN]})

    headers = answer.pop("multiValueHeaders")
    assert answer == {"statusCode": 204, "body": "", "isBase64Encoded": False}
    assert set(headers.pop("Access-Control-Allow-Headers")[0].split(",")) == {
        "Authorization",
        "Content-Type",
        "X-Amz-Date",
        "X-Amz-Security-Token",
        "X-Api-Key",
        "client-session-token",
        "seam-lts-version",
        "seam-publishable-key",
        "seam-sdk-name",
        "seam-sdk-version",
        "seam-workspace",
    }
    assert headers == {
        "Access-Control-Allow-Credentials": ["true"],
        "Access-Control-Allow-Methods": ["DELETE,GET,PATCH,POST,PUT"],
        "Access-Control-Allow-Origin": [SECOND_ORIGIN],
        "Access-Control-Expose-Headers": ["seam-request-id,Retry-After"],
        "Access-Control-Max-Age": ["7200"],
        "Vary": ["Origin"],
        "seam-request-id": [REQUEST_ID],
    }


@pytest.mark.parametrize("sent", [ORIGIN, SECOND_ORIGIN])
@pytest.mark.parametrize("thing", [ID, "x"], ids=["result", "error"])
def test_a_page_of_a_named_origin_may_read_every_answer_with_credentials(
    log: io.StringIO, sent: str, thing: str
) -> None:
    headers = {"Content-Type": ["application/json"], "ORIGIN": [sent]}

    answer = ask(make(log, ORIGIN, SECOND_ORIGIN), body=json.dumps({"thing_id": thing}), multiValueHeaders=headers)

    assert {name: value for name, value in answer["multiValueHeaders"].items() if name not in HEADERS} == {
        "Access-Control-Allow-Credentials": ["true"],
        "Access-Control-Allow-Origin": [sent],
        "Access-Control-Expose-Headers": ["seam-request-id,Retry-After"],
        "Vary": ["Origin"],
    }


@pytest.mark.parametrize("sent", [[], ["null"], ["https://evil.example.com"], [f"{ORIGIN}.evil.example.com"]])
@pytest.mark.parametrize("method", ["POST", "OPTIONS"])
def test_a_page_of_another_origin_may_read_nothing(log: io.StringIO, sent: list[str], method: str) -> None:
    headers = {"Content-Type": ["application/json"], "Origin": sent}

    answer = ask(make(log, ORIGIN, SECOND_ORIGIN), method, body=json.dumps({"thing_id": ID}), multiValueHeaders=headers)

    assert "Access-Control-Allow-Origin" not in answer["multiValueHeaders"]
    assert "Access-Control-Allow-Credentials" not in answer["multiValueHeaders"]
    assert answer["multiValueHeaders"]["Vary"] == ["Origin"]


def test_without_origins_there_is_no_cors(log: io.StringIO) -> None:
    headers = {"Content-Type": ["application/json"], "Origin": [ORIGIN]}

    answer = ask(make(log), body=json.dumps({"thing_id": ID}), multiValueHeaders=headers)

    assert sorted(answer["multiValueHeaders"]) == sorted(HEADERS)


def test_an_event_of_an_unknown_form_is_refused_and_not_answered(log: io.StringIO) -> None:
    with pytest.raises(UnknownEvent, match="httpMethod is missing"):
        make(log).answer({"key1": "value1"}, cast("Any", Context()))
