"""The parameters of a request, read from its body or its query string (contract, "Parameters" and "Errors")."""

import base64
import json
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic_core import from_json

from enrollment.errors import InvalidContentType, InvalidInput, InvalidJson
from enrollment.http.events import ProxyEvent, headers
from enrollment.resources.fields import FromQuery
from enrollment.resources.zod import json_type

if TYPE_CHECKING:
    from collections.abc import Mapping

_WITH_BODY = ("PATCH", "POST", "PUT")
_JSON = "application/json"
_TEXT = FromQuery()


def read_parameters(event: ProxyEvent, model: type[BaseModel]) -> dict[str, Any]:
    """Return a request's parameters, not yet validated, in one form whatever its verb.

    Args:
        event: The request.
        model: What they will be validated by; it says which parameters of a query string are numbers or arrays.

    Raises:
        InvalidContentType: There is a body that is not called JSON.
        InvalidJson: The body is not JSON in UTF-8.
        InvalidInput: The body is JSON, but neither an object nor an array.
    """
    # Both are read by the same parser, so that the two are validated in the same way.
    return _read_json(_json_body(event) if event["httpMethod"] in _WITH_BODY else _query_as_json(event, model))


def _json_body(event: ProxyEvent) -> str:
    body: str = event.get("body") or ""
    if not body:  # no body at all counts as no parameters, and needs no content type
        return "{}"
    media_types = [value.split(";")[0].strip().lower() for value in headers(event, "content-type")]
    if _JSON not in media_types:
        raise InvalidContentType(event["httpMethod"])
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(body, validate=True).decode()
        except ValueError as error:
            raise InvalidJson from error
    return body


def _query_as_json(event: ProxyEvent, model: type[BaseModel]) -> str:
    query: Mapping[str, list[str]] = event.get("multiValueQueryStringParameters") or {}
    parameters: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        array_name = f"{name}[]"
        plain, bracketed = query.get(name) or [], query.get(array_name) or []
        if any(key.startswith((f"{name}[", f"{name}.")) and key != array_name for key in query):
            # `name[key]` and `name.key` are how clients write an object.  No parameter of a query string is one, so
            # this is refused; ignoring it would drop a filter.
            parameters[name] = {}
        elif plain or bracketed:
            mark = next((mark for mark in field.metadata if isinstance(mark, FromQuery)), _TEXT)
            parameters[name] = _read_query([*plain, *bracketed], mark, is_array=bool(bracketed))
    return json.dumps(parameters)


def _read_query(values: list[str], mark: FromQuery, *, is_array: bool) -> Any:
    """Return a parameter's values as a JSON body would have them."""
    if mark.is_array:  # nothing behind `=` is no element
        return [mark.read(value) for value in values if value]
    if is_array or len(values) > 1:  # which validation refuses: the parameter is not an array
        return values
    (value,) = values
    return mark.read(value) if value else None


def _read_json(body: str) -> dict[str, Any]:
    try:
        document = from_json(body.encode(), allow_inf_nan=False)
    except ValueError as error:
        raise InvalidJson from error
    if isinstance(document, list):  # an array counts as no parameters
        return {}
    if not isinstance(document, dict):
        raise InvalidInput([(None, f"Expected object, received {json_type(document)}")])
    return document
