"""The API's side of a function, with a route of its own."""

import base64
import io
import json
from dataclasses import dataclass
from typing import Any, cast

import pytest
from aws_lambda_powertools.logging import Logger

from enrollment.api import Api, ProxyResponse
from enrollment.directory_model import OptionalUuids
from enrollment.errors import ServiceUnavailable
from enrollment.model import PagedRequest, Response, Uuid

REQUEST_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
ID = "de300000-0000-4000-8000-000000000011"
ORIGIN, SECOND_ORIGIN = "https://app.example.com", "https://other.example.com"
API_KEY = {"token_kind": "api_key", "token_id": "x", "workspace_ids": "w", "user_identity_ids": ""}
SESSION = API_KEY | {"token_kind": "client_session", "user_identity_ids": ID}
HEADERS = ["seam-request-id", "Content-Type"]


class ThingsRequest(PagedRequest):
    thing_id: Uuid
    ids: OptionalUuids = None


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


def make(log: io.StringIO, *origins: str, for_client_sessions: bool = False) -> Api:
    api = Api(Logger(service=f"api-{id(log)}", stream=log), origins)

    @api.route("/things", "GET", "POST", "PATCH", errors=[], for_client_sessions=for_client_sessions)
    def things(request: ThingsRequest) -> ThingsResponse:
        if request.page_cursor == "gone":
            raise ServiceUnavailable from ConnectionError("the cable")
        if request.page_cursor == "defect":
            raise KeyError("x")
        if request.page_cursor == "noted":
            api.note("seen", thing_id=request.thing_id)
        if request.page_cursor == "noted and gone":
            api.note("seen", thing_id=request.thing_id)
            raise ServiceUnavailable
        seen = {"caller": api.caller.workspace_id} | request.model_dump(mode="json", exclude_unset=True)
        return ThingsResponse(seen=seen)

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


def test_a_query_string_is_read_as_a_body_would_be(log: io.StringIO) -> None:
    def get(**query: list[str]) -> Any:
        return ask(make(log), "GET", multiValueHeaders=None, multiValueQueryStringParameters=query)

    assert seen(get(thing_id=[ID.upper()])) == {"caller": "w", "thing_id": ID}
    assert seen(get(thing_id=[ID], ids=[ID])) == {"caller": "w", "thing_id": ID, "ids": [ID]}
    assert seen(get(thing_id=[ID], ids=[ID, ID])) == {"caller": "w", "thing_id": ID, "ids": [ID, ID]}
    assert seen(get(thing_id=[ID], other=["x"], more=["y", "z"])) == {"caller": "w", "thing_id": ID}
    assert seen(get(thing_id=[ID], page_cursor=["a", "b"]))["page_cursor"] == "b"
    assert seen(get(thing_id=[ID], page_cursor=[], ids=[], other=[])) == {"caller": "w", "thing_id": ID}
    assert error(get(thing_id=[ID, ID])) == (
        400,
        "invalid_input",
        'Expected string, received array for "thing_id"',
    )
    assert error(ask(make(log), "GET", multiValueHeaders=None)) == (400, "invalid_input", "thing_id is required")


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


def test_a_route_that_is_not_there_is_said_so(log: io.StringIO) -> None:
    assert error(ask(make(log), resource="/other")) == (404, "route_not_found", "Route not found")
    assert error(ask(make(log), "DELETE")) == (404, "route_not_found", "Route not found")
    assert error(ask(make(log), "OPTIONS")) == (404, "route_not_found", "Route not found")


@pytest.mark.parametrize("cursor", ["gone", "defect", None])
def test_every_answer_and_every_line_has_the_requests_id(log: io.StringIO, cursor: str | None) -> None:
    answer = ask(make(log), body=json.dumps({"thing_id": ID, "page_cursor": cursor}))

    assert answer["multiValueHeaders"]["seam-request-id"] == [REQUEST_ID]
    for line in lines(log):
        assert (line["request_id"], line["function_request_id"], line["route"]) == (REQUEST_ID, "f", "/things")


def test_what_stood_in_the_way_is_logged_and_not_told(log: io.StringIO) -> None:
    answer = ask(make(log), body=json.dumps({"thing_id": ID, "page_cursor": "gone"}))

    assert error(answer) == (503, "service_unavailable", "The service is temporarily unavailable; try again")
    assert answer["multiValueHeaders"]["Retry-After"] == ["1"]
    line = lines(log)[-1]
    assert (line["message"], line["status"], line["type"]) == ("refused", 503, "service_unavailable")
    assert line["cause"] == "ConnectionError('the cable')"


def test_a_clients_mistake_is_logged_without_a_cause(log: io.StringIO) -> None:
    ask(make(log), body="{")

    line = lines(log)[-1]
    assert (line["message"], line["status"], line["type"]) == ("refused", 400, "invalid_json")
    assert line.get("cause") is None


def test_a_defect_is_logged_with_its_traceback_and_not_told(log: io.StringIO) -> None:
    answer = ask(make(log), body=json.dumps({"thing_id": ID, "page_cursor": "defect"}))

    assert error(answer) == (500, "internal_server_error", "Internal server error")
    line = lines(log)[-1]
    assert (line["message"], line["exception_name"]) == ("defect", "KeyError")


def test_an_answer_is_logged_with_its_status(log: io.StringIO) -> None:
    ask(make(log), body=json.dumps({"thing_id": ID}))

    line = lines(log)[-1]
    assert (line["message"], line["status"]) == ("answered", 200)


def test_what_a_request_has_done_is_said_on_its_own_line_and_on_no_other(log: io.StringIO) -> None:
    api = make(log)

    for cursor in ("noted", "noted and gone", None):
        ask(api, body=json.dumps({"thing_id": ID, "page_cursor": cursor}))

    done, refused, answered = lines(log)
    assert (done["message"], done["status"], done["thing_id"]) == ("seen", 200, ID)
    assert (refused["message"], refused["status"], refused.get("cause")) == ("refused", 503, None)
    assert (answered["message"], answered["status"]) == ("answered", 200)
    assert "thing_id" not in {**refused, **answered}


def test_who_asked_is_forgotten_with_the_answer(log: io.StringIO) -> None:
    api = make(log)
    for cursor in (None, "defect"):
        ask(api, body=json.dumps({"thing_id": ID, "page_cursor": cursor}))

        with pytest.raises(AttributeError):
            api.caller  # noqa: B018


def test_any_origin_may_be_allowed(log: io.StringIO) -> None:
    headers = {"Content-Type": ["application/json"], "Origin": [ORIGIN]}

    answer = ask(make(log, "*"), body=json.dumps({"thing_id": ID}), multiValueHeaders=headers)
    preflight = ask(make(log, "*"), "OPTIONS", multiValueHeaders={"Origin": [ORIGIN]})

    assert answer["multiValueHeaders"]["Access-Control-Allow-Origin"] == [ORIGIN]
    assert preflight["multiValueHeaders"]["Access-Control-Allow-Origin"] == [ORIGIN]


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
        "seam-lts-version",
        "seam-sdk-name",
        "seam-sdk-version",
        "seam-workspace",
    }
    assert headers == {
        "Access-Control-Allow-Methods": ["DELETE,GET,PATCH,POST,PUT"],
        "Access-Control-Allow-Origin": [SECOND_ORIGIN],
        "Access-Control-Expose-Headers": ["seam-request-id,Retry-After"],
        "Access-Control-Max-Age": ["7200"],
        "Vary": ["Origin"],
        "seam-request-id": [REQUEST_ID],
    }


@pytest.mark.parametrize(
    ("sent", "allowed"), [(ORIGIN, [ORIGIN]), (SECOND_ORIGIN, [SECOND_ORIGIN]), ("https://evil.example.com", None)]
)
@pytest.mark.parametrize("thing", [ID, "x"], ids=["result", "error"])
def test_every_answer_tells_a_page_whether_it_may_read_it(
    log: io.StringIO, sent: str, allowed: list[str] | None, thing: str
) -> None:
    headers = {"Content-Type": ["application/json"], "ORIGIN": [sent]}

    answer = ask(make(log, ORIGIN, SECOND_ORIGIN), body=json.dumps({"thing_id": thing}), multiValueHeaders=headers)

    assert answer["multiValueHeaders"].get("Access-Control-Allow-Origin") == allowed
    assert answer["multiValueHeaders"]["Vary"] == ["Origin"]


def test_without_origins_there_is_no_cors(log: io.StringIO) -> None:
    headers = {"Content-Type": ["application/json"], "Origin": [ORIGIN]}

    answer = ask(make(log), body=json.dumps({"thing_id": ID}), multiValueHeaders=headers)

    assert sorted(answer["multiValueHeaders"]) == sorted(HEADERS)
