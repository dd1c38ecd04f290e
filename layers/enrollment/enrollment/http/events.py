"""The events that the functions take.

API Gateway sends them in the right form.  One that was written by hand, or comes from another service, is refused with
a line that says what it lacks; it never becomes an answer.
"""

from collections.abc import Mapping
from typing import Any

_EXAMPLES = "the folder events/ has an example for each route"
_PROXY_EVENT = "API Gateway's proxy event of a REST API (payload version 1.0)"
_AUTHORIZER_EVENT = "API Gateway's event for an authorizer of type TOKEN"
# What `callers.Principal.to_context` has told API Gateway.
_PRINCIPAL = ("token_kind", "token_id", "workspace_ids", "user_identity_ids")
type ProxyEvent = dict[str, Any]
type ProxyResponse = dict[str, Any]


class UnknownEvent(Exception):
    """An event is not of the form that a function takes.

    The message says what it lacks; it repeats no value, which may be a token.
    """


def require_proxy_event(event: object) -> None:
    """Refuse what is not API Gateway's proxy event of a REST API, with what our authorizer says of the caller.

    Args:
        event: The event; its form is in API Gateway's "Input format of a Lambda function for proxy integration".

    Raises:
        UnknownEvent: It is not one.
    """
    fields = _object(event, "the event", _PROXY_EVENT)
    for name in ("httpMethod", "resource"):
        _require_text(fields, name, name, _PROXY_EVENT)
    if fields.get("body") is not None:
        _require_text(fields, "body", "body", _PROXY_EVENT)
    for name in ("headers", "multiValueHeaders", "multiValueQueryStringParameters"):
        _object(fields.get(name) or {}, name, _PROXY_EVENT)
    context = _object(fields.get("requestContext"), "requestContext", _PROXY_EVENT)
    _require_text(context, "requestId", "requestContext.requestId", _PROXY_EVENT)
    if fields["httpMethod"] != "OPTIONS":  # a preflight has no authorizer
        principal = _object(context.get("authorizer"), "requestContext.authorizer", _PROXY_EVENT)
        for name in _PRINCIPAL:
            _require_text(principal, name, f"requestContext.authorizer.{name}", _PROXY_EVENT)


def require_authorizer_event(event: object) -> None:
    """Refuse what is not API Gateway's event for an authorizer of type TOKEN.

    Args:
        event: The event; its form is in API Gateway's "Input to an API Gateway Lambda authorizer".

    Raises:
        UnknownEvent: It is not one.
    """
    fields = _object(event, "the event", _AUTHORIZER_EVENT)
    _require_text(fields, "authorizationToken", "authorizationToken", _AUTHORIZER_EVENT)
    _require_text(fields, "methodArn", "methodArn", _AUTHORIZER_EVENT)
    if "/" not in fields["methodArn"]:
        raise UnknownEvent(f"this is not {_AUTHORIZER_EVENT}: methodArn has no stage; {_EXAMPLES}")


def headers(event: ProxyEvent, name: str) -> list[str]:
    """Return a header's values; API Gateway keeps the case in which their names were sent.

    Args:
        event: A proxy event.
        name: The header's name, in small letters.
    """
    several = event.get("multiValueHeaders") or {}
    values = [value for key, values in several.items() if key.lower() == name for value in values]
    return values or [value for key, value in (event.get("headers") or {}).items() if key.lower() == name]


def header(event: ProxyEvent, name: str) -> str | None:
    """Return a header's last value.

    Args:
        event: A proxy event.
        name: The header's name, in small letters.
    """
    values = headers(event, name)
    return values[-1] if values else None


def _object(value: object, where: str, kind: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        wrong = "is missing" if value is None else "is not an object"
        raise UnknownEvent(f"this is not {kind}: {where} {wrong}; {_EXAMPLES}")
    return value


def _require_text(fields: Mapping[str, Any], name: str, where: str, kind: str) -> None:
    if not isinstance(fields.get(name), str):
        wrong = "is missing" if fields.get(name) is None else "is not a string"
        raise UnknownEvent(f"this is not {kind}: {where} {wrong}; {_EXAMPLES}")
