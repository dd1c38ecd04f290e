"""API Gateway on this machine: a REST API as its expanded OpenAPI body describes it.

Routes, the TOKEN authorizer with its cache and validation expression, the stage's throttle, gateway responses, proxy
events.  Whatever the body says beyond that raises ``TemplateError``: a request validator, a resource policy or another
kind of authorizer that is silently left out would be an open door.
"""

import base64
import binascii
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from cachetools import TTLCache

from enrollments.local.functions import FunctionError
from enrollments.local.policy import Authorization, Decision, InvalidPolicyError
from enrollments.local.template import ACCOUNT_ID, REGION, Resource, TemplateError

type Headers = Sequence[tuple[str, str]]
type Invoke = Callable[[str, Mapping[str, Any]], Any]

LARGEST_BODY = 10 * 1024 * 1024  # bytes, API Gateway's quota "Payload size"
_CACHED_TOKENS = 10_000

_METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}
_BODY = {"openapi", "info", "paths", "components", "x-amazon-apigateway-gateway-responses"}
_OPERATION = {"x-amazon-apigateway-integration", "security", "responses"}
_INTEGRATION = {"type", "httpMethod", "uri"}
_SCHEME = {"type", "name", "in", "x-amazon-apigateway-authtype", "x-amazon-apigateway-authorizer"}
_AUTHORIZER = {"type", "authorizerUri", "authorizerResultTtlInSeconds", "identityValidationExpression"}
_GATEWAY_RESPONSE = {"statusCode", "responseParameters", "responseTemplates"}
_METHOD_SETTING = {"HttpMethod", "ResourcePath", "MetricsEnabled", "ThrottlingRateLimit", "ThrottlingBurstLimit"}
_STAGE = {"DeploymentId", "RestApiId", "StageName", "MethodSettings", "Tags"}
_API = {"Body", "Description", "Parameters", "EndpointConfiguration", "Name", "Tags"}

_FUNCTION_URI = re.compile(r"arn:aws:apigateway:[^:]+:lambda:path/2015-03-31/functions/(?P<arn>[^/]+)/invocations")
_VARIABLE = re.compile(r"\$(?P<name>(?:context|stageVariables|input|util|method)\b[\w.]*)")
_REQUEST_HEADER = "method.request.header."
_CONTEXT = {"context.requestId", "context.extendedRequestId", "context.error.responseType"}

# Types of gateway responses with API Gateway's own status codes (developer guide, "Gateway response types").
_DEFAULT_STATUS: Mapping[str, int] = {
    "ACCESS_DENIED": 403,
    "API_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_FAILURE": 500,
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "DEFAULT_4XX": 400,
    "DEFAULT_5XX": 500,
    "EXPIRED_TOKEN": 403,
    "INTEGRATION_FAILURE": 504,
    "INTEGRATION_TIMEOUT": 504,
    "INVALID_API_KEY": 403,
    "INVALID_SIGNATURE": 403,
    "MISSING_AUTHENTICATION_TOKEN": 403,
    "QUOTA_EXCEEDED": 429,
    "REQUEST_TOO_LARGE": 413,
    "RESOURCE_NOT_FOUND": 404,
    "THROTTLED": 429,
    "UNAUTHORIZED": 401,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "WAF_FILTERED": 403,
}


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request.

    Attributes:
        method: In capitals.
        target: The path and query string as they were sent.
        headers: In the order and the case that they were sent.
        body: As it was sent.
        source_ip: The client's address.
    """

    method: str
    target: str
    headers: Headers
    body: bytes = b""
    source_ip: str = "127.0.0.1"

    @property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query string's parameters, decoded."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    def header(self, name: str) -> str | None:
        """Return a header's last value, as API Gateway's ``headers`` has it."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[-1] if values else None


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class _Authorizer:
    function: str
    header: str
    validation: re.Pattern[str] | None
    cache: TTLCache[str, Authorization]


@dataclass(frozen=True, slots=True)
class _Route:
    path: str
    method: str
    function: str
    authorizer: _Authorizer | None


@dataclass(frozen=True, slots=True)
class _GatewayResponse:
    status: int
    headers: Mapping[str, str]
    template: str


@dataclass(slots=True)
class _Throttle:
    """A token bucket, which is how API Gateway describes its throttling."""

    rate: float
    burst: float
    clock: Callable[[], float]
    level: float = 0
    filled_at: float = 0

    def __post_init__(self) -> None:
        self.level, self.filled_at = self.burst, self.clock()

    def take(self) -> bool:
        now = self.clock()
        self.level = min(self.burst, self.level + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


class _Refused(Exception):
    """API Gateway answers by itself, with one of its gateway responses."""

    def __init__(self, response_type: str, authorizer_context: Mapping[str, str] | None = None) -> None:
        super().__init__(response_type)
        self.response_type = response_type
        self.authorizer_context = authorizer_context or {}


class Gateway:
    """A stage of a REST API.

    Args:
        api: The ``AWS::ApiGateway::RestApi``.
        stage: Its ``AWS::ApiGateway::Stage``.
        function_names: Names of functions by ARN.
        invoke: Invokes a function by name with an event; raises ``FunctionError``.
        clock: Seconds that only grow.

    Raises:
        TemplateError: The API has a part that cannot be interpreted here.
    """

    def __init__(
        self,
        api: Resource,
        stage: Resource,
        function_names: Mapping[str, str],
        invoke: Invoke,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        body = api.properties["Body"]
        _only(api.properties, _API, api.logical_id)
        _only(stage.properties, _STAGE, stage.logical_id)
        _only(body, _BODY, "the API's body")
        self._function_names = function_names
        self._invoke = invoke
        self._clock = clock
        self._stage = stage.reference
        self._api_id = api.reference
        self._guard = threading.Lock()
        self._authorizers = {
            name: self._read_authorizer(name, scheme)
            for name, scheme in body.get("components", {}).get("securitySchemes", {}).items()
        }
        self._routes = {
            (route.method, route.path): route
            for path, operations in body["paths"].items()
            for route in self._read_routes(path, operations)
        }
        self._responses = {
            name: _read_gateway_response(name, response)
            for name, response in body.get("x-amazon-apigateway-gateway-responses", {}).items()
        }
        self._throttle = _read_throttle(stage, clock)

    @property
    def routes(self) -> list[tuple[str, str]]:
        """The routes, each a method and a path."""
        return sorted(self._routes)

    @property
    def authorizer_functions(self) -> set[str]:
        """Names of the functions that check tokens."""
        return {authorizer.function for authorizer in self._authorizers.values()}

    def function_of(self, method: str, path: str) -> str | None:
        """Return the name of the function that serves a route."""
        route = self._routes.get((method, path))
        return route.function if route else None

    def handle(self, request: Request) -> tuple[str, Response]:
        """Answer a request.

        Returns:
            The request's id and the response.
        """
        request_id = str(uuid.uuid4())
        try:
            response = self._handle(request, request_id)
        except _Refused as refused:
            response = self._gateway_response(refused, request, request_id)
        if request.method == "HEAD":
            response = Response(response.status, response.headers, b"")
        return request_id, response

    # -- Reading the API ----------------------------------------------------------------------------------------------

    def _read_authorizer(self, name: str, scheme: Mapping[str, Any]) -> _Authorizer:
        where = f"authorizer {name}"
        _only(scheme, _SCHEME, where)
        authorizer = scheme.get("x-amazon-apigateway-authorizer", {})
        kind = authorizer.get("type")
        if kind != "token" or scheme.get("x-amazon-apigateway-authtype") != "custom" or scheme.get("in") != "header":
            raise TemplateError(f"{where}: only custom TOKEN authorizers can be interpreted here, not {kind}")
        _only(authorizer, _AUTHORIZER, where)
        expression = authorizer.get("identityValidationExpression")
        seconds = int(authorizer.get("authorizerResultTtlInSeconds", 300))
        try:
            validation = None if expression is None else re.compile(expression)
        except re.error as error:
            raise TemplateError(f"{where}: its validation expression is none: {error}") from error
        return _Authorizer(
            function=self._function(authorizer["authorizerUri"], where),
            header=scheme["name"],
            validation=validation,
            cache=TTLCache(_CACHED_TOKENS, seconds, self._clock),
        )

    def _read_routes(self, path: str, operations: Mapping[str, Any]) -> list[_Route]:
        if "{" in path:
            raise TemplateError(f"{path}: path parameters cannot be interpreted here")
        _only(operations, _METHODS, path)
        return [self._read_route(path, method, operation) for method, operation in operations.items()]

    def _read_route(self, path: str, method: str, operation: Mapping[str, Any]) -> _Route:
        where = f"{method.upper()} {path}"
        _only(operation, _OPERATION, where)
        integration = operation.get("x-amazon-apigateway-integration", {})
        _only(integration, _INTEGRATION, where)
        if integration.get("type") != "aws_proxy":
            raise TemplateError(f"{where}: only aws_proxy integrations can be interpreted here")
        security = operation.get("security") or []
        names = [name for requirement in security for name in requirement]
        if method == "options" and names in ([], ["NONE"]):  # a preflight request cannot bring a token
            return _Route(path, "OPTIONS", self._function(integration["uri"], where), None)
        if len(names) != 1 or names[0] not in self._authorizers:
            raise TemplateError(f"{where}: a route needs one authorizer of the API; it has {names or 'none'}")
        return _Route(path, method.upper(), self._function(integration["uri"], where), self._authorizers[names[0]])

    def _function(self, uri: str, where: str) -> str:
        match = _FUNCTION_URI.fullmatch(uri)
        if match is None or match["arn"] not in self._function_names:
            raise TemplateError(f"{where}: {uri} is no function of the template")
        return self._function_names[match["arn"]]

    # -- Answering ----------------------------------------------------------------------------------------------------

    def _handle(self, request: Request, request_id: str) -> Response:
        route = self._routes.get((request.method, request.path))
        if route is None:
            raise _Refused("MISSING_AUTHENTICATION_TOKEN")
        if len(request.body) > LARGEST_BODY:
            raise _Refused("REQUEST_TOO_LARGE")
        with self._guard:
            if self._throttle is not None and not self._throttle.take():
                raise _Refused("THROTTLED")
        authorization = self._authorize(route, request)
        event = self._proxy_event(route, request, request_id, authorization)
        try:
            answer = self._invoke(route.function, event)
        except FunctionError as error:
            raise _Refused("DEFAULT_5XX") from error
        return _read_proxy_answer(answer)

    def _authorize(self, route: _Route, request: Request) -> Authorization | None:
        authorizer = route.authorizer
        if authorizer is None:
            return None
        token = request.header(authorizer.header)
        if not token or (authorizer.validation and not authorizer.validation.fullmatch(token)):
            raise _Refused("UNAUTHORIZED")
        method_arn = self._method_arn(route)
        with self._guard:
            authorization = authorizer.cache.get(token)
        if authorization is None:
            authorization = self._ask(authorizer, token, method_arn)
            with self._guard:
                authorizer.cache[token] = authorization
        if authorization.decide(method_arn) is not Decision.ALLOW:
            raise _Refused("ACCESS_DENIED", authorization.context)
        return authorization

    def _ask(self, authorizer: _Authorizer, token: str, method_arn: str) -> Authorization:
        event = {"type": "TOKEN", "authorizationToken": token, "methodArn": method_arn}
        try:
            return Authorization.from_answer(self._invoke(authorizer.function, event))
        except FunctionError as error:
            raise _Refused("AUTHORIZER_FAILURE") from error
        except InvalidPolicyError as error:
            raise _Refused("AUTHORIZER_CONFIGURATION_ERROR") from error

    def _method_arn(self, route: _Route) -> str:
        return f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{self._api_id}/{self._stage}/{route.method}{route.path}"

    def _proxy_event(
        self, route: _Route, request: Request, request_id: str, authorization: Authorization | None
    ) -> dict[str, Any]:
        now = datetime.now(UTC)
        headers: dict[str, list[str]] = {}
        for name, value in request.headers:
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
            "pathParameters": None,
            "stageVariables": None,
            "requestContext": {
                "accountId": ACCOUNT_ID,
                "apiId": self._api_id,
                **({"authorizer": authorizer} if authorizer else {}),
                "domainName": request.header("Host"),
                "extendedRequestId": request_id,
                "httpMethod": request.method,
                "identity": {"sourceIp": request.source_ip, "userAgent": request.header("User-Agent")},
                "path": f"/{self._stage}{request.path}",
                "protocol": "HTTP/1.1",
                "requestId": request_id,
                "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "requestTimeEpoch": int(now.timestamp() * 1000),
                "resourceId": "local",
                "resourcePath": route.path,
                "stage": self._stage,
            },
            # API Gateway passes bodies on as text unless the API names binary media types.
            "body": request.body.decode(errors="replace") if request.body else None,
            "isBase64Encoded": False,
        }

    def _gateway_response(self, refused: _Refused, request: Request, request_id: str) -> Response:
        fallback = "DEFAULT_4XX" if _DEFAULT_STATUS[refused.response_type] < 500 else "DEFAULT_5XX"  # noqa: PLR2004
        response = self._responses.get(refused.response_type) or self._responses.get(fallback)
        if response is None:  # API Gateway's own
            response = _GatewayResponse(_DEFAULT_STATUS[refused.response_type], {}, '{"message":null}')
        variables = {
            "context.requestId": request_id,
            "context.extendedRequestId": request_id,
            "context.error.responseType": refused.response_type,
            **{f"context.authorizer.{name}": value for name, value in refused.authorizer_context.items()},
        }
        body = _VARIABLE.sub(lambda match: variables.get(match["name"], ""), response.template)
        headers = [("Content-Type", "application/json")]
        for name, source in response.headers.items():
            if source.startswith("'"):
                headers.append((name, source[1:-1]))
            elif source.startswith(_REQUEST_HEADER):
                value = request.header(source.removeprefix(_REQUEST_HEADER))
                headers += [(name, value)] if value else []
            else:
                headers.append((name, variables[source]))
        return Response(response.status, headers, body.encode())


def _only(mapping: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := mapping.keys() - known:
        raise TemplateError(f"{where}: {', '.join(sorted(unknown))} cannot be interpreted here")


def _read_gateway_response(name: str, response: Mapping[str, Any]) -> _GatewayResponse:
    where = f"gateway response {name}"
    if name not in _DEFAULT_STATUS:
        raise TemplateError(f"{where}: there is no such type")
    _only(response, _GATEWAY_RESPONSE, where)
    _only(response.get("responseTemplates", {}), {"application/json"}, where)
    template = response.get("responseTemplates", {}).get("application/json", '{"message":null}')
    for variable in _VARIABLE.finditer(template):
        if variable["name"] not in _CONTEXT and not variable["name"].startswith("context.authorizer."):
            raise TemplateError(f"{where}: ${variable['name']} cannot be interpreted here")
    headers = {}
    for parameter, value in response.get("responseParameters", {}).items():
        prefix, _, header = parameter.rpartition(".")
        is_literal = len(value) > 1 and value.startswith("'") and value.endswith("'")
        is_known = is_literal or value in _CONTEXT or value.startswith(_REQUEST_HEADER)
        if prefix != "gatewayresponse.header" or not is_known:
            raise TemplateError(f"{where}: {parameter}: {value} cannot be interpreted here")
        headers[header] = value
    return _GatewayResponse(int(response.get("statusCode", _DEFAULT_STATUS[name])), headers, template)


def _read_throttle(stage: Resource, clock: Callable[[], float]) -> _Throttle | None:
    settings = stage.properties.get("MethodSettings", [])
    if not settings:
        return None
    for setting in settings:
        _only(setting, _METHOD_SETTING, f"{stage.logical_id}.MethodSettings")
    if len(settings) > 1 or (settings[0]["HttpMethod"], settings[0]["ResourcePath"]) != ("*", "/*"):
        raise TemplateError(f"{stage.logical_id}: only method settings of all routes can be interpreted here")
    rate, burst = settings[0].get("ThrottlingRateLimit"), settings[0].get("ThrottlingBurstLimit")
    if rate is None or burst is None:
        return None
    return _Throttle(float(rate), float(burst), clock)


def _read_proxy_answer(answer: Any) -> Response:
    """Turn a function's answer into a response (developer guide, "Output format of a Lambda function").

    Raises:
        _Refused: API Gateway would not take the answer.
    """
    malformed = _Refused("DEFAULT_5XX")
    if not isinstance(answer, dict) or not isinstance(answer.get("statusCode"), int):
        raise malformed
    headers: dict[str, list[str]] = {name: [str(value)] for name, value in (answer.get("headers") or {}).items()}
    for name, values in (answer.get("multiValueHeaders") or {}).items():
        headers[name] = [str(value) for value in values]
    body = "" if answer.get("body") is None else answer["body"]
    if not isinstance(body, str):
        raise malformed
    content = body.encode()
    if answer.get("isBase64Encoded"):
        try:
            content = base64.b64decode(body)
        except binascii.Error as error:
            raise malformed from error
    return Response(
        answer["statusCode"], [(name, value) for name, values in headers.items() for value in values], content
    )
