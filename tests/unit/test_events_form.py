"""Events of an unknown form are refused with a line that says what they lack."""

from typing import Any

import pytest

from enrollment.http.events import UnknownEvent, require_authorizer_event, require_proxy_event

AUTHORIZER = {"token_kind": "api_key", "token_id": "x", "workspace_ids": "w", "user_identity_ids": ""}
CONTEXT = {"requestId": "r", "authorizer": AUTHORIZER}
PROXY = {"httpMethod": "POST", "resource": "/things", "body": None, "headers": None, "requestContext": CONTEXT}
TOKEN = {"type": "TOKEN", "methodArn": "arn:aws:execute-api:r:1:a/prod/POST/x", "authorizationToken": "Bearer secret"}


def test_a_proxy_event_is_let_through() -> None:
    require_proxy_event(PROXY)


def test_a_preflight_needs_no_authorizer() -> None:
    require_proxy_event(PROXY | {"httpMethod": "OPTIONS", "requestContext": {"requestId": "r"}})


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        (None, "the event is missing"),
        ([], "the event is not an object"),
        ({}, "httpMethod is missing"),
        ({"key1": "value1"}, "httpMethod is missing"),
        ({"version": "2.0", "rawPath": "/things"}, "httpMethod is missing"),
        (PROXY | {"resource": None}, "resource is missing"),
        (PROXY | {"resource": 5}, "resource is not a string"),
        (PROXY | {"body": {"a": 1}}, "body is not a string"),
        (PROXY | {"headers": ["a"]}, "headers is not an object"),
        (PROXY | {"requestContext": None}, "requestContext is missing"),
        (PROXY | {"requestContext": {"authorizer": AUTHORIZER}}, "requestContext.requestId is missing"),
        (PROXY | {"requestContext": {"requestId": "r"}}, "requestContext.authorizer is missing"),
        (PROXY | {"requestContext": CONTEXT | {"authorizer": {}}}, "requestContext.authorizer.token_kind is missing"),
    ],
)
def test_another_event_for_a_route_is_refused(event: Any, problem: str) -> None:
    with pytest.raises(UnknownEvent) as refused:
        require_proxy_event(event)

    assert str(refused.value) == (
        "this is not API Gateway's proxy event of a REST API (payload version 1.0): "
        f"{problem}; the folder events/ has an example for each route"
    )


def test_an_event_for_the_authorizer_is_let_through() -> None:
    require_authorizer_event(TOKEN)


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({}, "authorizationToken is missing"),
        (PROXY, "authorizationToken is missing"),
        (TOKEN | {"authorizationToken": 5}, "authorizationToken is not a string"),
        (TOKEN | {"methodArn": None}, "methodArn is missing"),
        (TOKEN | {"methodArn": "arn"}, "methodArn has no stage"),
    ],
)
def test_another_event_for_the_authorizer_is_refused(event: Any, problem: str) -> None:
    with pytest.raises(UnknownEvent) as refused:
        require_authorizer_event(event)

    assert str(refused.value) == (
        f"this is not API Gateway's event for an authorizer of type TOKEN: {problem}; "
        "the folder events/ has an example for each route"
    )
