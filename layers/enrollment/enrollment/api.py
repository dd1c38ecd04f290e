"""API Gateway's proxy events and the API's JSON: the one module that knows both.

A function gives its routes to ``create_resolver`` and its events to ``answer``; what a route raises becomes the
contract's error shape here and nowhere else.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any, Never

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic_core import from_json

from enrollment.errors import (
    EnrollmentError,
    InternalServerError,
    InvalidContentType,
    InvalidInput,
    InvalidJson,
    RouteNotFound,
)

_CONTENT_TYPE = "content-type"
_JSON = "application/json"

type ProxyEvent = dict[str, Any]
type ProxyResponse = dict[str, Any]


def create_resolver() -> APIGatewayRestResolver:
    """Return a resolver that validates typed routes and leaves every error to ``answer``."""
    resolver = APIGatewayRestResolver(enable_validation=True, json_body_deserializer=_read_json)
    resolver.exception_handler(RequestValidationError)(_raise_invalid_input)
    resolver.not_found(_raise_route_not_found)
    return resolver


def answer(
    resolver: APIGatewayRestResolver, logger: Logger, event: ProxyEvent, context: LambdaContext
) -> ProxyResponse:
    """Answer a proxy event, whatever happens: a defect is logged and becomes a 500.

    Every line that is logged meanwhile has the request's id, which the client gets as ``seam-request-id``.

    Args:
        resolver: From ``create_resolver``, with its routes.
        logger: The function's logger.
        event: API Gateway's proxy event (payload version 1.0).
        context: Lambda's context.
    """
    request_id = event["requestContext"]["requestId"]
    logger.append_keys(request_id=request_id, function_request_id=context.aws_request_id, route=event.get("resource"))
    try:
        if event["httpMethod"] == "POST":
            event = _with_json_body(event)
        response: ProxyResponse = resolver.resolve(event, context)
    except EnrollmentError as error:
        logger.info("refused", status=error.status, type=error.type)
        response = _error_response(error)
    except Exception:  # the last place where a defect can become an answer
        logger.exception("defect")
        response = _error_response(InternalServerError())
    response["multiValueHeaders"]["seam-request-id"] = [request_id]
    return response


def workspace_id(resolver: APIGatewayRestResolver) -> str:
    """Return the workspace that the current event's token opens, as the authorizer found it."""
    authorizer: Mapping[str, str] = resolver.current_event["requestContext"]["authorizer"]
    return authorizer["workspace_id"]


def _with_json_body(event: ProxyEvent) -> ProxyEvent:
    """Return the event with a body that is text, called JSON in the one way that the resolver knows, never absent."""
    if not _names_json(event):
        raise InvalidContentType
    headers = {name: value for name, value in (event.get("headers") or {}).items() if name.lower() != _CONTENT_TYPE}
    body: str = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(body, validate=True).decode()
        except ValueError as error:
            raise InvalidJson from error
    # No body at all counts as no parameters.
    return {
        **event,
        "headers": {**headers, _CONTENT_TYPE: _JSON},
        "multiValueHeaders": {name: [value] for name, value in headers.items()} | {_CONTENT_TYPE: [_JSON]},
        "body": body or "{}",
        "isBase64Encoded": False,
    }


def _names_json(event: ProxyEvent) -> bool:
    values = [
        value
        for name, values in (event.get("multiValueHeaders") or {}).items()
        if name.lower() == _CONTENT_TYPE
        for value in values
    ] or [value for name, value in (event.get("headers") or {}).items() if name.lower() == _CONTENT_TYPE]
    media_types = [value.split(";")[0].strip().lower() for value in values]
    return _JSON in media_types


def _read_json(body: str) -> dict[str, Any]:
    try:
        document = from_json(body.encode(), allow_inf_nan=False)
    except ValueError as error:
        raise InvalidJson from error
    if isinstance(document, list):  # an array counts as no parameters
        return {}
    if not isinstance(document, dict):
        raise InvalidInput([(None, f"Expected object, received {_json_type(document)}")])
    return document


def _raise_route_not_found(_: Exception) -> Never:
    raise RouteNotFound


def _raise_invalid_input(invalid: RequestValidationError) -> Never:
    raise InvalidInput([_problem(error) for error in invalid.errors()]) from invalid


def _problem(error: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return one of Pydantic's errors as a field and zod's words for it."""
    # The location begins with where the parameters came from: ("body", "user_identity_id").
    field = str(error["loc"][1]) if len(error["loc"]) > 1 else None
    match error["type"]:
        case "missing":
            return field, "Required"
        case "string_type":
            return field, f"Expected string, received {_json_type(error['input'])}"
        case "bool_type":
            return field, f"Expected boolean, received {_json_type(error['input'])}"
        case _:  # the model's own rules speak zod's language already
            return field, error["msg"]


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "number"


def _error_response(error: EnrollmentError) -> ProxyResponse:
    body = {"error": {"type": error.type, "message": error.message, **error.details()}, "ok": False}
    headers = {"Content-Type": _JSON, **error.headers}
    return {
        "statusCode": error.status,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "body": json.dumps(body, separators=(",", ":")),
        "isBase64Encoded": False,
    }
