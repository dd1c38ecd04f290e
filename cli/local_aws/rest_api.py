"""Reads a REST API from its expanded OpenAPI body.

It reads routes, TOKEN authorizers, the stage's throttle and gateway responses.  Any other part raises
``TemplateError``, for example a request validator, a resource policy or another kind of authorizer.  Ignoring such a
part would be an open door.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_aws.template import Resource, TemplateError, interpreting, number, only, plain_text

CONTEXT = {"context.requestId", "context.extendedRequestId", "context.error.responseType"}
VARIABLE = re.compile(r"\$(?P<name>(?:context|stageVariables|input|util|method)\b[\w.]*)")

# Types of gateway responses with API Gateway's own status codes (developer guide, "Gateway response types").
DEFAULT_STATUS: Mapping[str, int] = {
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

# Gateway responses for the types that have none of their own.
_FALLBACKS = {"DEFAULT_4XX", "DEFAULT_5XX"}

# The path of requests that no other route takes.
ANY_PATH = "/{proxy+}"

METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}
_BODY = {"openapi", "info", "paths", "components", "x-amazon-apigateway-gateway-responses"}
_OPERATION = {"x-amazon-apigateway-integration", "security", "responses"}
_INTEGRATION = {"type", "httpMethod", "uri"}
_SCHEME = {"type", "name", "in", "x-amazon-apigateway-authtype", "x-amazon-apigateway-authorizer"}
_AUTHORIZER = {"type", "authorizerUri", "authorizerResultTtlInSeconds", "identityValidationExpression"}
_GATEWAY_RESPONSE = {"statusCode", "responseParameters", "responseTemplates"}
_METHOD_SETTING = {"HttpMethod", "ResourcePath", "MetricsEnabled", "ThrottlingRateLimit", "ThrottlingBurstLimit"}
_STAGE = {"AccessLogSetting", "DeploymentId", "MethodSettings", "RestApiId", "StageName", "Tags", "TracingEnabled"}
_API = {"Body", "Description", "Parameters", "EndpointConfiguration", "Name", "Tags"}
_PUBLIC_ENDPOINTS = ({"Types": ["REGIONAL"]}, {"Types": ["EDGE"]})
_MOST_REQUESTS = 1_000_000  # a second; far above the quota of an AWS account

_FUNCTION_URI = re.compile(r"arn:aws:apigateway:[^:]+:lambda:path/2015-03-31/functions/(?P<arn>[^/]+)/invocations")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
_LITERAL = re.compile(r"'[\x20-\x7e]*'")
_REQUEST_HEADER = re.compile(r"method\.request\.header\.(?P<name>[A-Za-z0-9-]+)")


@dataclass(frozen=True, slots=True)
class Authorizer:
    """A TOKEN authorizer.

    Attributes:
        name: Its name in the API.
        function: The name of its function.
        header: The header with the token.
        validation: The expression that a token must match; ``None`` accepts every token.  Other tokens are refused
            without an invocation.
        cache_seconds: How many seconds an answer is cached.
    """

    name: str
    function: str
    header: str
    validation: re.Pattern[str] | None
    cache_seconds: float


@dataclass(frozen=True, slots=True)
class Route:
    """A method of a path: the function that serves it, and the authorizer that guards it."""

    path: str
    method: str
    function: str
    authorizer: Authorizer | None


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """API Gateway's own answer to a request that it refuses.

    Attributes:
        status: Its status; ``None`` keeps the default status of the refusal.  Only a fallback can have ``None``.
        headers: The sources of its headers, by name.  A source is a literal in quotation marks, the name of a
            variable, or the mapping of a request's header.
        template: Its body with variables.
    """

    status: int | None
    headers: Mapping[str, str]
    template: str


def mapped_header(source: str) -> str | None:
    """Return the name of the request's header that a gateway response repeats; ``None`` for another source.

    Args:
        source: The source of a gateway response's header.
    """
    match = _REQUEST_HEADER.fullmatch(source)
    return match["name"] if match else None


@dataclass(frozen=True, slots=True)
class Throttling:
    """The limits of a stage.

    Attributes:
        rate: Requests a second in the long run.
        burst: Requests at once.
    """

    rate: float
    burst: float


@dataclass(frozen=True, slots=True)
class RestApi:
    """A stage of a REST API.

    Attributes:
        id: The API's id.
        stage: The stage's name.
        authorizers: The authorizers by name.
        routes: The routes by method and path.
        responses: The gateway responses by type, always with both fallbacks.
        throttling: The limits of the stage, if it has any.
    """

    id: str
    stage: str
    authorizers: Mapping[str, Authorizer]
    routes: Mapping[tuple[str, str], Route]
    responses: Mapping[str, GatewayResponse]
    throttling: Throttling | None


def read_rest_api(api: Resource, stage: Resource, function_names: Mapping[str, str]) -> RestApi:
    """Read an API.

    Args:
        api: The ``AWS::ApiGateway::RestApi``.
        stage: Its ``AWS::ApiGateway::Stage``.
        function_names: Names of functions by ARN.

    Raises:
        TemplateError: The API has a part that cannot be interpreted here.
    """
    with interpreting(api.logical_id):
        _check_endpoint(api)
        body = api.properties["Body"]
        only(body, _BODY, "the API's body")
        authorizers = {
            name: _read_authorizer(name, scheme, function_names)
            for name, scheme in body.get("components", {}).get("securitySchemes", {}).items()
        }
        routes = {
            (method.upper(), path): _read_route(path, method, operation, authorizers, function_names)
            for path, operations in body["paths"].items()
            for method, operation in _read_operations(path, operations)
        }
        responses = {
            name: _read_gateway_response(name, response)
            for name, response in body.get("x-amazon-apigateway-gateway-responses", {}).items()
        }
        if missing := _FALLBACKS - responses.keys():
            raise TemplateError(f"{api.logical_id}: no gateway response {', '.join(sorted(missing))}")
    with interpreting(stage.logical_id):
        throttling = _read_throttling(stage)
    return RestApi(api.reference, stage.reference, authorizers, routes, responses, throttling)


def _check_endpoint(api: Resource) -> None:
    """Refuse a private API.  Only a VPC may reach it, so it must not be served here."""
    only(api.properties, _API, api.logical_id)
    endpoint = api.properties.get("EndpointConfiguration", {"Types": ["EDGE"]})
    parameters = api.properties.get("Parameters", {})
    only(parameters, {"endpointConfigurationTypes"}, f"{api.logical_id}.Parameters")
    types = parameters.get("endpointConfigurationTypes", "EDGE")
    if endpoint not in _PUBLIC_ENDPOINTS or types not in {"EDGE", "REGIONAL"}:
        raise TemplateError(f"{api.logical_id}: only a REGIONAL or EDGE endpoint can be interpreted here")


def _read_authorizer(name: str, scheme: Mapping[str, Any], function_names: Mapping[str, str]) -> Authorizer:
    where = f"authorizer {name}"
    with interpreting(where):
        only(scheme, _SCHEME, where)
        authorizer = scheme.get("x-amazon-apigateway-authorizer", {})
        kind = authorizer.get("type")
        if kind != "token" or scheme.get("x-amazon-apigateway-authtype") != "custom" or scheme.get("in") != "header":
            raise TemplateError(f"{where}: only custom TOKEN authorizers can be interpreted here, not {kind}")
        only(authorizer, _AUTHORIZER, where)
        expression = authorizer.get("identityValidationExpression")
        try:
            validation = None if expression is None else re.compile(expression)
        except re.error as error:
            raise TemplateError(f"{where}: its validation expression is not a regular expression: {error}") from error
        return Authorizer(
            name=name,
            function=_function(authorizer["authorizerUri"], function_names, where),
            header=plain_text(scheme["name"]),
            validation=validation,
            cache_seconds=number(authorizer.get("authorizerResultTtlInSeconds", 300), 0, 3600, f"{where}: its cache"),
        )


def _read_operations(path: str, operations: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    if "{" in path and path != ANY_PATH:
        raise TemplateError(f"{path}: path parameters cannot be interpreted here")
    with interpreting(path):
        # Another verb of ANY_PATH would be served at every path without a route.
        only(operations, {"options"} if path == ANY_PATH else METHODS, path)
        return list(operations.items())


def _read_route(
    path: str,
    method: str,
    operation: Mapping[str, Any],
    authorizers: Mapping[str, Authorizer],
    function_names: Mapping[str, str],
) -> Route:
    where = f"{method.upper()} {path}"
    with interpreting(where):
        only(operation, _OPERATION, where)
        integration = operation.get("x-amazon-apigateway-integration", {})
        only(integration, _INTEGRATION, where)
        if integration.get("type") != "aws_proxy":
            raise TemplateError(f"{where}: only aws_proxy integrations can be interpreted here")
        function = _function(integration["uri"], function_names, where)
        security = operation.get("security") or []
        if method == "options" and security in ([], [{"NONE": []}]):  # a preflight request cannot carry a token
            return Route(path, "OPTIONS", function, None)
        for name, authorizer in authorizers.items():
            if security == [{name: []}]:
                return Route(path, method.upper(), function, authorizer)
        raise TemplateError(f"{where}: a route needs one authorizer of the API; it has {security or 'none'}")


def _function(uri: str, function_names: Mapping[str, str], where: str) -> str:
    match = _FUNCTION_URI.fullmatch(uri)
    if match is None or match["arn"] not in function_names:
        raise TemplateError(f"{where}: {uri} is not a function of the template")
    return function_names[match["arn"]]


def _read_gateway_response(name: str, response: Mapping[str, Any]) -> GatewayResponse:
    where = f"gateway response {name}"
    with interpreting(where):
        if name not in DEFAULT_STATUS:
            raise TemplateError(f"{where}: there is no such type")
        only(response, _GATEWAY_RESPONSE, where)
        only(response.get("responseTemplates", {}), {"application/json"}, where)
        template = plain_text(response.get("responseTemplates", {}).get("application/json", '{"message":null}'))
        for variable in VARIABLE.finditer(template):
            if variable["name"] not in CONTEXT and not variable["name"].startswith("context.authorizer."):
                raise TemplateError(f"{where}: ${variable['name']} cannot be interpreted here")
        headers = {}
        for parameter, value in response.get("responseParameters", {}).items():
            prefix, _, header = parameter.rpartition(".")
            is_known = _LITERAL.fullmatch(value) or value in CONTEXT or mapped_header(value)
            if prefix != "gatewayresponse.header" or not _HEADER_NAME.fullmatch(header) or not is_known:
                raise TemplateError(f"{where}: {parameter}: {value} cannot be interpreted here")
            headers[header] = value
        fallback = None if name in _FALLBACKS else DEFAULT_STATUS[name]
        status = response.get("statusCode", fallback)
        return GatewayResponse(
            None if status is None else int(number(status, 200, 599, f"{where}: its status")), headers, template
        )


def _read_throttling(stage: Resource) -> Throttling | None:
    only(stage.properties, _STAGE, stage.logical_id)
    where = f"{stage.logical_id}.MethodSettings"
    settings = stage.properties.get("MethodSettings", [])
    if not settings:
        return None
    for setting in settings:
        only(setting, _METHOD_SETTING, where)
    if len(settings) > 1 or (settings[0]["HttpMethod"], settings[0]["ResourcePath"]) != ("*", "/*"):
        raise TemplateError(f"{stage.logical_id}: only method settings of all routes can be interpreted here")
    rate, burst = settings[0].get("ThrottlingRateLimit"), settings[0].get("ThrottlingBurstLimit")
    if rate is None or burst is None:
        return None
    return Throttling(number(rate, 0, _MOST_REQUESTS, where), number(burst, 0, _MOST_REQUESTS, where))
