"""API Gateway on this machine, with functions that the tests write."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from enrollments.local.stack import function_names
from local_aws.functions import FunctionError, NoTurnError
from local_aws.gateway import Gateway, Request, Response
from local_aws.rest_api import DEFAULT_STATUS, RestApi, read_rest_api
from local_aws.template import load_template

LAUNCH = "/user_identities/enrollment_automations/launch"
ORIGIN, SECOND_ORIGIN = "https://app.example.com", "https://other.example.com"
SECRET = "PubLicDemoKeyForLocaLUse"
TOKEN = f"Bearer seam_testDemo_{SECRET}"
METHOD_ARN = f"arn:aws:execute-api:us-east-1:123456789012:local/prod/POST{LAUNCH}"


def policy(effect: str, **context: Any) -> dict[str, Any]:
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": METHOD_ARN}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {"principalId": "p", "policyDocument": document, "context": context}


@dataclass
class Lambda:
    """Stands for the functions: what they answer, and the events that they got."""

    authorizer: Any = field(default_factory=lambda: policy("Allow", workspace_id="w"))
    launch: Any = field(default_factory=lambda: {"statusCode": 200, "body": "{}"})
    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def invoke(self, name: str, event: Mapping[str, Any]) -> Any:
        self.events.append((name, event))
        answer = self.authorizer if "Authorizer" in name else self.launch
        if isinstance(answer, Exception):
            raise answer
        return answer

    def asked(self) -> int:
        return sum("Authorizer" in name for name, _ in self.events)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def functions() -> Lambda:
    return Lambda()


@pytest.fixture
def clock() -> Clock:
    return Clock()


type Open = Callable[..., Gateway]
type Send = Callable[..., Response]


def read_api(project: Path, **parameters: str) -> RestApi:
    resources = load_template(project / "template.yaml", parameters)
    return read_rest_api(resources["Api"], resources["ApiprodStage"], function_names(resources))


@pytest.fixture
def open_gateway(project: Path, functions: Lambda, clock: Clock) -> Open:
    def open_(**parameters: str) -> Gateway:
        return Gateway(read_api(project, **parameters), functions.invoke, clock)

    return open_


@pytest.fixture
def send(open_gateway: Open) -> Send:
    gateway = open_gateway()

    def send_(method: str = "POST", target: str = LAUNCH, token: str | None = TOKEN, **more: Any) -> Response:
        headers = [("Authorization", token)] if token is not None else []
        return gateway.handle(Request(method, target, [*headers, *more.pop("headers", [])], **more))

    return send_


def cors_headers(response: Response) -> dict[str, str]:
    return {name: value for name, value in response.headers if name == "Vary" or name.startswith("Access-Control-")}


def event_size(event: Mapping[str, Any]) -> int:
    return len(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode())


def error_type(response: Response) -> tuple[int, str]:
    return response.status, json.loads(response.body)["error"]["type"]


def test_an_allowed_request_reaches_the_function(send: Send, functions: Lambda) -> None:
    functions.launch = {"statusCode": 200, "body": "hello", "multiValueHeaders": {"A": ["1", "2"]}}

    response = send(body=b"{}")

    assert (response.status, response.body, list(response.headers)) == (200, b"hello", [("A", "1"), ("A", "2")])


def test_the_proxy_event_has_what_was_sent(send: Send, functions: Lambda) -> None:
    send(target=f"{LAUNCH}?a=1&a=2&b=%20", headers=[("X-Two", "1"), ("X-Two", "2")], body='{"ä":1}'.encode())

    _, event = functions.events[-1]
    assert event["body"] == '{"ä":1}'
    assert (event["headers"]["X-Two"], event["multiValueHeaders"]["X-Two"]) == ("2", ["1", "2"])
    assert event["queryStringParameters"] == {"a": "2", "b": " "}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [" "]}
    assert (event["resource"], event["path"], event["requestContext"]["path"]) == (LAUNCH, LAUNCH, LAUNCH)
    assert event["requestContext"]["authorizer"] == {"principalId": "p", "workspace_id": "w"}


def test_the_authorizer_gets_the_token_and_the_method(send: Send, functions: Lambda) -> None:
    send()

    assert functions.events[0][1] == {"type": "TOKEN", "authorizationToken": TOKEN, "methodArn": METHOD_ARN}


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", LAUNCH),
        ("POST", "/"),
        ("POST", LAUNCH + "/"),
        ("POST", "/x" + LAUNCH),
        ("PUT", LAUNCH),
        ("OPTIONS", "/"),
        ("POST", LAUNCH.replace("/launch", "%2Flaunch")),
        ("POST", LAUNCH.replace("/launch", "%2flaunch")),
    ],
)
def test_an_unknown_route_is_404_with_and_without_a_token(send: Send, method: str, target: str) -> None:
    assert error_type(send(method, target)) == (404, "route_not_found")
    assert error_type(send(method, target, token=None)) == (404, "route_not_found")


@pytest.mark.parametrize(
    "token",
    [None, "", "Bearer", "Bearer ", f"Basic seam_testDemo_{SECRET}", TOKEN + "x", "Bearer seam_pk_x", TOKEN + " "],
)
def test_junk_is_refused_without_an_invocation(send: Send, functions: Lambda, token: str | None) -> None:
    response = send(token=token)

    assert error_type(response) == (401, "unauthorized")
    assert functions.events == []


def test_a_denial_is_a_401_with_its_reason(send: Send, functions: Lambda) -> None:
    functions.authorizer = policy("Deny", message="API Key not found")

    response = send()

    assert response.status == 401
    assert json.loads(response.body) == {
        "error": {"type": "unauthorized", "message": "API Key not found"},
        "ok": False,
    }


@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_a_decision_is_kept_for_its_time(send: Send, functions: Lambda, clock: Clock, effect: str) -> None:
    functions.authorizer = policy(effect)
    for clock.now in (0, 59):
        send()
    assert functions.asked() == 1

    clock.now = 61
    send()

    assert functions.asked() == 2


def test_decisions_are_kept_by_token(send: Send, functions: Lambda) -> None:
    send()
    send(token=TOKEN.replace("Demo", "Dtwo"))

    assert functions.asked() == 2


def test_without_a_cache_time_nothing_is_kept(open_gateway: Open, functions: Lambda) -> None:
    gateway = open_gateway(AuthorizerCacheSeconds="0")
    for _ in range(2):
        gateway.handle(Request("POST", LAUNCH, [("Authorization", TOKEN)]))

    assert functions.asked() == 2


@pytest.mark.parametrize("failure", [FunctionError("broke"), {"policyDocument": {}}, "Allow", None])
def test_an_authorizer_that_cannot_decide_lets_nobody_in_and_is_asked_again(
    send: Send, functions: Lambda, failure: Any
) -> None:
    functions.authorizer = failure
    response = send()
    assert error_type(response) == (503, "service_unavailable")
    assert ("Retry-After", "1") in response.headers

    functions.authorizer = policy("Allow")

    assert send().status == 200


@pytest.mark.parametrize(
    "failure",
    [
        FunctionError("broke"),
        None,
        "text",
        {},
        {"statusCode": "200"},
        {"statusCode": True},
        {"statusCode": 99},
        {"statusCode": 200, "body": {}},
        {"statusCode": 200, "body": "\ud800"},
        {"statusCode": 200, "body": "x", "isBase64Encoded": True},
        {"statusCode": 200, "headers": ["A"]},
        {"statusCode": 200, "headers": {"A": "1\r\nB: 2"}},
        {"statusCode": 200, "headers": {"A": "1\v2"}},
        {"statusCode": 200, "headers": {"A:": "1"}},
        {"statusCode": 200, "headers": {"A": "\u20ac"}},
        {"statusCode": 200, "multiValueHeaders": {"A": 1}},
    ],
)
def test_a_function_that_fails_is_a_500_that_tells_nothing(send: Send, functions: Lambda, failure: Any) -> None:
    functions.launch = failure

    response = send()

    assert response.status == 500
    assert json.loads(response.body) == {
        "error": {"type": "internal_server_error", "message": "Internal server error"},
        "ok": False,
    }


@pytest.mark.parametrize("who", ["authorizer", "launch"])
def test_a_request_that_gets_no_turn_is_a_503(send: Send, functions: Lambda, who: str) -> None:
    setattr(functions, who, NoTurnError("waited"))

    response = send()

    assert error_type(response) == (503, "service_unavailable")
    assert ("Retry-After", "1") in response.headers


def test_a_request_can_be_refused_unseen(open_gateway: Open, functions: Lambda) -> None:
    request = Request("POST", LAUNCH, [("Authorization", TOKEN)])

    response = open_gateway().refuse(request, "BAD_REQUEST_BODY")

    assert error_type(response) == (400, "bad_request")
    assert ("seam-request-id", request.id) in response.headers
    assert functions.events == []


def test_an_encoded_character_is_the_character(send: Send) -> None:
    assert send(target=LAUNCH.replace("launch", "l%61unch")).status == 200


def test_too_many_requests_are_throttled_until_time_passes(open_gateway: Open, clock: Clock) -> None:
    gateway = open_gateway(ThrottlingRateLimit="1", ThrottlingBurstLimit="2")
    request = Request("POST", LAUNCH, [("Authorization", TOKEN)])

    statuses = [gateway.handle(request).status for _ in range(3)]
    throttled = gateway.handle(request)
    clock.now = 1

    assert statuses == [200, 200, 429]
    assert error_type(throttled) == (429, "too_many_requests")
    assert ("Retry-After", "1") in throttled.headers
    assert gateway.handle(request).status == 200


def test_a_body_over_10_mb_is_refused(send: Send, functions: Lambda) -> None:
    assert error_type(send(body=b"x" * (10 * 1024 * 1024 + 1))) == (413, "request_too_large")
    assert functions.events == []


def test_an_event_of_6_mb_reaches_the_function_and_one_byte_more_does_not(send: Send, functions: Lambda) -> None:
    send(body=b"x")
    letters = 6 * 1024 * 1024 - event_size(functions.events[-1][1]) + 1

    assert send(body=b"x" * letters).status == 200
    assert error_type(send(body=b"x" * (letters + 1))) == (413, "request_too_large")


def test_what_is_escaped_in_an_event_counts_twice(send: Send, functions: Lambda) -> None:
    response = send(body=b'"' * (4 * 1024 * 1024))

    assert error_type(response) == (413, "request_too_large")
    assert functions.asked() == len(functions.events)


def test_a_token_is_checked_before_the_size_of_the_event(send: Send, functions: Lambda) -> None:
    functions.authorizer = policy("Deny", message="API Key not found")

    assert send(body=b"x" * (7 * 1024 * 1024)).status == 401


REFUSALS = sorted(DEFAULT_STATUS)


@pytest.mark.parametrize("response_type", REFUSALS)
def test_every_refusal_of_the_gateway_has_the_contracts_shape(open_gateway: Open, response_type: str) -> None:
    response = open_gateway().refuse(Request("POST", LAUNCH, []), response_type)

    body = json.loads(response.body)
    assert (body.keys(), body["error"].keys(), body["ok"]) == ({"error", "ok"}, {"type", "message"}, False)


@pytest.mark.parametrize("response_type", REFUSALS)
@pytest.mark.parametrize(
    "origins", [ORIGIN, f"{ORIGIN},{SECOND_ORIGIN}", f"{SECOND_ORIGIN},https://c.example,{ORIGIN}"]
)
@pytest.mark.parametrize("name", ["Origin", "origin"])
def test_a_page_of_a_named_origin_may_read_every_refusal_with_credentials(
    open_gateway: Open, response_type: str, origins: str, name: str
) -> None:
    response = open_gateway(CorsOrigins=origins).refuse(Request("POST", LAUNCH, [(name, ORIGIN)]), response_type)

    assert cors_headers(response) == {
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Origin": ORIGIN,
        "Access-Control-Expose-Headers": "seam-request-id,Retry-After",
        "Vary": "Origin",
    }


@pytest.mark.parametrize("response_type", REFUSALS)
def test_a_page_of_any_origin_may_read_every_refusal_without_credentials(
    open_gateway: Open, response_type: str
) -> None:
    response = open_gateway(CorsOrigins="*").refuse(Request("POST", LAUNCH, [("Origin", ORIGIN)]), response_type)

    assert cors_headers(response) == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "seam-request-id,Retry-After",
    }


def test_a_refusal_names_no_origin_to_who_sent_none(open_gateway: Open) -> None:
    response = open_gateway(CorsOrigins=f"{ORIGIN},{SECOND_ORIGIN}").refuse(Request("POST", LAUNCH, []), "THROTTLED")

    assert "Access-Control-Allow-Origin" not in cors_headers(response)


@pytest.mark.parametrize("response_type", REFUSALS)
def test_without_origins_no_refusal_has_anything_of_cors(open_gateway: Open, response_type: str) -> None:
    response = open_gateway().refuse(Request("POST", LAUNCH, [("Origin", ORIGIN)]), response_type)

    assert cors_headers(response) == {}


def test_a_fallback_without_a_status_keeps_that_of_the_refusal(project: Path) -> None:
    api = read_api(project)
    responses = {name: api.responses[name] for name in ("DEFAULT_4XX", "DEFAULT_5XX")}
    gateway = Gateway(replace(api, responses=responses), Lambda().invoke)

    response = gateway.refuse(Request("POST", LAUNCH, []), "REQUEST_TOO_LARGE")

    assert error_type(response) == (413, "bad_request")


@pytest.mark.parametrize("path", ["/nowhere", "/user_identities", "/user_identities/nowhere", f"{LAUNCH}/"])
def test_a_preflight_of_any_path_reaches_a_function_without_a_token(send: Send, functions: Lambda, path: str) -> None:
    functions.launch = {"statusCode": 204}

    assert send("OPTIONS", path, token=None).status == 204
    ((_, event),) = functions.events
    assert (event["resource"], event["path"]) == ("/{proxy+}", path)
    assert event["pathParameters"] == {"proxy": path[1:]}


def test_every_answer_of_the_gateway_has_the_requests_id(open_gateway: Open) -> None:
    request = Request("GET", "/", [])

    response = open_gateway().handle(request)

    assert ("seam-request-id", request.id) in response.headers
    assert ("Content-Type", "application/json") in response.headers


def test_a_body_that_is_not_utf_8_is_passed_on_as_text(send: Send, functions: Lambda) -> None:
    send(body=b"\xff{}")

    assert functions.events[-1][1]["body"] == "\ufffd{}"


def test_a_base64_answer_is_decoded(send: Send, functions: Lambda) -> None:
    functions.launch = {"statusCode": 200, "body": "aGk=", "isBase64Encoded": True}

    assert send().body == b"hi"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW"])
def test_a_verb_that_no_route_can_have_is_a_405(send: Send, method: str) -> None:
    response = send(method)

    assert error_type(response) == (405, "method_not_allowed")
    assert ("Allow", "OPTIONS, POST") in response.headers
