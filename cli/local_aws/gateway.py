"""Stands in for API Gateway: answers requests as the stage of a REST API would.

It has routes, a TOKEN authorizer with its cache and validation expression, the stage's throttle, gateway responses and
proxy events.
"""

import base64
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from cachetools import TTLCache

from local_aws.functions import FunctionError, NoTurnError
from local_aws.policy import Authorization, Decision, InvalidPolicyError
from local_aws.rest_api import (
    ANY_PATH,
    DEFAULT_STATUS,
    METHODS,
    VARIABLE,
    Authorizer,
    RestApi,
    Route,
    Throttling,
    mapped_header,
)
from local_aws.template import ACCOUNT_ID, REGION

type Headers = Sequence[tuple[str, str]]
type Invoke = Callable[[str, Mapping[str, Any]], Any]

LARGEST_BODY = 10 * 1024 * 1024  # bytes, API Gateway's quota "Payload size"
LARGEST_EVENT = 6 * 1024 * 1024  # bytes of JSON, Lambda's quota "Invocation payload (request and response)"
_CACHED_TOKENS = 10_000
_STATUSES = range(200, 600)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[^\0\n\v\f\r\u0100-\U0010ffff]*")


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request.

    Attributes:
        method: The verb in capitals.
        target: The path and query string as they were sent.
        headers: The headers, in the order and case in which they were sent.
        body: The body as it was sent.
        source_ip: The client's address.
        id: The request id that API Gateway gives it.
    """

    method: str
    target: str
    headers: Headers
    body: bytes = b""
    source_ip: str = "127.0.0.1"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def path(self) -> str:
        """The decoded path.  An encoded slash stays encoded, because it does not separate segments."""
        segments = self.target.partition("?")[0].split("/")
        return "/".join(unquote(segment).replace("/", "%2F") for segment in segments)

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query string's parameters, decoded."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    def header(self, name: str) -> str | None:
        """Return a header's last value, like ``headers`` in API Gateway's events; ``None`` if it was not sent."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[-1] if values else None


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

    status: int
    headers: Headers
    body: bytes


@dataclass(slots=True)
class _Throttle:
    """A token bucket, which is API Gateway's algorithm for throttling."""

    limits: Throttling
    clock: Callable[[], float]
    level: float = 0
    filled_at: float = 0

    def __post_init__(self) -> None:
        self.level, self.filled_at = self.limits.burst, self.clock()

    def take(self) -> bool:
        now = self.clock()
        self.level = min(self.limits.burst, self.level + (now - self.filled_at) * self.limits.rate)
        self.filled_at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


class _Refused(Exception):
    """API Gateway refuses the request with one of its gateway responses."""

    def __init__(self, response_type: str, authorizer_context: Mapping[str, str] | None = None) -> None:
        super().__init__(response_type)
        self.response_type = response_type
        self.authorizer_context = authorizer_context or {}


class Gateway:
    """A stage of a REST API.

    Args:
        api: The API.
        invoke: Invokes a function by name with an event; raises ``FunctionError`` or ``NoTurnError``.
        clock: Returns the time in seconds.  It never goes back.

    Attributes:
        api: The API.
    """

    def __init__(self, api: RestApi, invoke: Invoke, clock: Callable[[], float] = time.monotonic) -> None:
        self.api = api
        self._invoke = invoke
        self._guard = threading.Lock()
        self._caches: dict[str, TTLCache[str, Authorization]] = {
            name: TTLCache(_CACHED_TOKENS, authorizer.cache_seconds, clock)
            for name, authorizer in api.authorizers.items()
        }
        self._throttle = None if api.throttling is None else _Throttle(api.throttling, clock)

    @property
    def routes(self) -> list[tuple[str, str]]:
        """The routes, each a method and a path."""
        return sorted(self.api.routes)

    @property
    def authorizer_functions(self) -> set[str]:
        """Names of the functions that check tokens."""
        return {authorizer.function for authorizer in self.api.authorizers.values()}

    def function_of(self, method: str, path: str) -> str | None:
        """Return the name of the function that serves a route."""
        route = self.api.routes.get((method, path))
        return route.function if route else None

    def handle(self, request: Request) -> Response:
        """Answer a request."""
        try:
            return self._handle(request)
        except _Refused as refused:
            return self._gateway_response(refused, request)
        except NoTurnError:
            return self.refuse(request, "INTEGRATION_TIMEOUT")

    def refuse(self, request: Request, response_type: str) -> Response:
        """Answer a request with a gateway response, without handling the request."""
        return self._gateway_response(_Refused(response_type), request)

    def _handle(self, request: Request) -> Response:
        if request.method.lower() not in METHODS:
            return self._method_not_allowed(request)
        route = self._route(request)
        if len(request.body) > LARGEST_BODY:
            raise _Refused("REQUEST_TOO_LARGE")
        with self._guard:
            if self._throttle is not None and not self._throttle.take():
                raise _Refused("THROTTLED")
        authorization = self._authorize(route, request)
        event = self._proxy_event(route, request, authorization)
        if _size(event) > LARGEST_EVENT:
            raise _Refused("REQUEST_TOO_LARGE")
        try:
            answer = self._invoke(route.function, event)
        except FunctionError as error:
            raise _Refused("DEFAULT_5XX") from error
        return _read_proxy_answer(answer)

    def _route(self, request: Request) -> Route:
        """Return the route of a request.  ``ANY_PATH`` takes paths without a route, except the root.

        Raises:
            _Refused: There is no route.
        """
        route = self.api.routes.get((request.method, request.path))
        if route is None and request.path != "/":
            route = self.api.routes.get((request.method, ANY_PATH))
        if route is None:
            raise _Refused("MISSING_AUTHENTICATION_TOKEN")
        return route

    def _method_not_allowed(self, request: Request) -> Response:
        """Answer a verb that no route can have.  AWS refuses it before it reads the API."""
        allowed = ", ".join(method for method, path in self.routes if path == request.path)
        body = {"error": {"type": "method_not_allowed", "message": "Method not allowed"}, "ok": False}
        headers = [("Content-Type", "application/json"), ("seam-request-id", request.id), ("Allow", allowed)]
        return Response(405, headers, json.dumps(body, separators=(",", ":")).encode())

    def _authorize(self, route: Route, request: Request) -> Authorization | None:
        authorizer = route.authorizer
        if authorizer is None:
            return None
        token = request.header(authorizer.header)
        if not token or (authorizer.validation and not authorizer.validation.fullmatch(token)):
            raise _Refused("UNAUTHORIZED")
        method_arn = self._method_arn(route)
        cache = self._caches[authorizer.name]
        with self._guard:
            authorization = cache.get(token)
        if authorization is None:
            authorization = self._ask(authorizer, token, method_arn)
            with self._guard:
                cache[token] = authorization
        if authorization.decide(method_arn) is not Decision.ALLOW:
            raise _Refused("ACCESS_DENIED", authorization.context)
        return authorization

    def _ask(self, authorizer: Authorizer, token: str, method_arn: str) -> Authorization:
        event = {"type": "TOKEN", "authorizationToken": token, "methodArn": method_arn}
        try:
            return Authorization.from_answer(self._invoke(authorizer.function, event))
        except FunctionError as error:
            raise _Refused("AUTHORIZER_FAILURE") from error
        except InvalidPolicyError as error:
            raise _Refused("AUTHORIZER_CONFIGURATION_ERROR") from error

    def _method_arn(self, route: Route) -> str:
        stage = f"{self.api.id}/{self.api.stage}"
        return f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{stage}/{route.method}{route.path}"

    def _proxy_event(self, route: Route, request: Request, authorization: Authorization | None) -> dict[str, Any]:
        now = datetime.now(UTC)
        headers: dict[str, list[str]] = {"X-Forwarded-Proto": ["http"]}
        for name, value in request.headers:
            if name.lower() != "x-forwarded-proto":
                headers.setdefault(name, []).append(value)
        query: dict[str, list[str]] = {}
        for name, value in request.query:
            query.setdefault(name, []).append(value)
        authorizer = (
            {} if authorization is None else {"principalId": authorization.principal_id, **authorization.context}
        )
        return {
            "resource": route.path,
            "path": request.path,
            "httpMethod": request.method,
            "headers": {name: values[-1] for name, values in headers.items()} or None,
            "multiValueHeaders": headers or None,
            "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": {"proxy": request.path.lstrip("/")} if route.path == ANY_PATH else None,
            "stageVariables": None,
            "requestContext": {
                "accountId": ACCOUNT_ID,
                "apiId": self.api.id,
                **({"authorizer": authorizer} if authorizer else {}),
                "domainName": request.header("Host"),
                "extendedRequestId": request.id,
                "httpMethod": request.method,
                "identity": {"sourceIp": request.source_ip, "userAgent": request.header("User-Agent")},
                "path": request.path,  # without the stage, as behind a custom domain
                "protocol": "HTTP/1.1",
                "requestId": request.id,
                "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "requestTimeEpoch": int(now.timestamp() * 1000),
                "resourceId": "local",
                "resourcePath": route.path,
                "stage": self.api.stage,
            },
            # API Gateway passes bodies on as text unless the API names binary media types.
            "body": request.body.decode(errors="replace") if request.body else None,
            "isBase64Encoded": False,
        }

    def _gateway_response(self, refused: _Refused, request: Request) -> Response:
        own_status = DEFAULT_STATUS[refused.response_type]
        fallback = "DEFAULT_4XX" if own_status < 500 else "DEFAULT_5XX"  # noqa: PLR2004
        response = self.api.responses.get(refused.response_type, self.api.responses[fallback])
        variables = {
            "context.requestId": request.id,
            "context.extendedRequestId": request.id,
            "context.error.responseType": refused.response_type,
            **{f"context.authorizer.{name}": value for name, value in refused.authorizer_context.items()},
        }
        body = VARIABLE.sub(lambda match: variables.get(match["name"], ""), response.template)
        headers = [("Content-Type", "application/json")]
        for name, source in response.headers.items():
            if source.startswith("'"):
                headers.append((name, source[1:-1]))
            elif header := mapped_header(source):
                if (value := request.header(header)) is not None:
                    headers.append((name, value))
            else:
                headers.append((name, variables[source]))
        return Response(response.status or own_status, headers, body.encode())


def _size(event: Mapping[str, Any]) -> int:
    """Return an event's size as Lambda counts it: the bytes of its JSON, with escaped quotation marks."""
    return len(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode())


def _read_proxy_answer(answer: Any) -> Response:
    """Turn a function's answer into a response (developer guide, "Output format of a Lambda function").

    Raises:
        _Refused: API Gateway would not take the answer.
    """
    try:
        headers = {name: [value] for name, value in (answer.get("headers") or {}).items()}
        headers |= answer.get("multiValueHeaders") or {}
        lines = [(name, str(value)) for name, values in headers.items() for value in values]
        status, body = answer["statusCode"], "" if answer.get("body") is None else answer["body"]
        content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _Refused("DEFAULT_5XX") from error
    are_headers = all(_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value) for name, value in lines)
    if type(status) is not int or status not in _STATUSES or not are_headers:
        raise _Refused("DEFAULT_5XX")
    return Response(status, lines, content)
