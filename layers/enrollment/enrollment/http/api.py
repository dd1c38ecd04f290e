"""API Gateway's proxy events and the API's JSON: the one module that knows both.

A function gives its routes to ``Api.route`` and its events to ``Api.answer``; what a route raises becomes the
contract's error shape here and nowhere else.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints
from urllib.parse import urlencode

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from enrollment.callers import NOT_FOR_CLIENT_SESSIONS, Caller, Principal
from enrollment.errors import (
    EnrollmentError,
    InternalServerError,
    InvalidContentType,
    InvalidInput,
    InvalidJson,
    NoAccessToDatabase,
    RouteNotFound,
    Unauthorized,
)
from enrollment.failures import facts_of, traceback_of
from enrollment.http.events import require_proxy_event
from enrollment.resources.bodies import PagedRequest, Pagination
from enrollment.resources.fields import FromQuery, is_uuid
from enrollment.resources.wording import in_zods_words, json_type
from enrollment.store.deadline import ending_before

if TYPE_CHECKING:
    from enrollment.http.page_cursors import Cursors

_WITH_BODY = ("PATCH", "POST", "PUT")
_CONTENT_TYPE = "content-type"
_JSON = "application/json"

_PREFLIGHT_HEADERS = {
    # What AWS's own clients and the published SDKs send.
    "Access-Control-Allow-Headers": "Authorization,Content-Type,X-Amz-Date,X-Amz-Security-Token,X-Api-Key,"
    "client-session-token,seam-lts-version,seam-publishable-key,seam-sdk-name,seam-sdk-version,seam-workspace",
    "Access-Control-Allow-Methods": "DELETE,GET,PATCH,POST,PUT",
    "Access-Control-Max-Age": "7200",  # browsers keep it no longer
}
_EXPOSED_HEADERS = {"Access-Control-Expose-Headers": "seam-request-id,Retry-After"}
_ANY_ORIGIN = "*"
_TEXT = FromQuery()

type ProxyEvent = dict[str, Any]
type ProxyResponse = dict[str, Any]
# Takes the event, what became of it and the status of the answer; returns keys for the line that is logged of it.
type Tally = Callable[[ProxyEvent, str, int], Mapping[str, object]]


class Route(NamedTuple):
    """What a path is served with; the API document is made from it.

    Attributes:
        path: The path.
        methods: Its verbs.
        handler: Takes a request model as ``request`` and returns a response model.
        request: The model of its parameters.
        response: The model of its answer.
        errors: What it can raise.
        for_client_sessions: Whether client sessions may call it.
    """

    path: str
    methods: tuple[str, ...]
    handler: Callable[..., BaseModel]
    request: type[BaseModel]
    response: type[BaseModel]
    errors: tuple[type[EnrollmentError], ...]
    for_client_sessions: bool


class _Current(NamedTuple):
    """The request that is being answered; an execution environment has one at a time."""

    caller: Caller
    event: ProxyEvent


class Api:
    """The API's side of a function.

    Args:
        logger: The function's logger.
        cors_origins: Origins whose pages may call the API; without any there is no CORS at all.
        tally: Counts answers in their lines.

    Attributes:
        routes: The routes by path.
    """

    def __init__(self, logger: Logger, cors_origins: Sequence[str] = (), tally: Tally = lambda *_: {}) -> None:
        self.routes: dict[str, Route] = {}
        self._logger = logger
        self._cors_origins = cors_origins
        self._tally = tally
        self._current: _Current
        self._outcome: tuple[str, dict[str, str | None]]
        self._ids: dict[str, str] = {}

    @property
    def caller(self) -> Caller:
        """Who the current request speaks for."""
        return self._current.caller

    def note(self, outcome: str, **facts: str | None) -> None:
        """Say what the current request has done, on the line that is logged when it is answered: each line costs.

        Args:
            outcome: The line's message.
            facts: The line's keys.
        """
        self._outcome = outcome, facts

    def position(self, cursors: "Cursors", request: PagedRequest) -> str | None:
        """Return behind which position the page begins that the current request asks for; ``None`` is the first.

        Args:
            cursors: Open page cursors.
            request: The request's parameters.

        Raises:
            InvalidInput: The page cursor was not made for this list.
        """
        if request.page_cursor is None:
            return None
        return cursors.open(self.caller, self._query(request), request.page_cursor)

    def pagination(self, cursors: "Cursors", request: PagedRequest, next_position: str | None) -> Pagination:
        """Return where the page stands that the current request is answered with.

        Args:
            cursors: Seal positions.
            request: The request's parameters.
            next_position: Behind what the next page begins, if there is one.
        """
        if next_position is None:
            return Pagination(has_next_page=False, next_page_cursor=None, next_page_url=None)
        cursor = cursors.seal(self.caller, self._query(request), next_position)
        given = request.model_dump(mode="json", exclude_unset=True) | {"page_cursor": cursor}
        query = urlencode({name: "" if value is None else value for name, value in given.items()}, doseq=True)
        # As the client wrote the address: with the stage, or a custom domain's base path.
        event = self._current.event
        context = event["requestContext"]
        scheme = _header(event, "x-forwarded-proto") or "https"
        url = f"{scheme}://{context['domainName']}{context['path']}?{query}"
        return Pagination(has_next_page=True, next_page_cursor=cursor, next_page_url=url)

    def _query(self, request: PagedRequest) -> dict[str, Any]:
        """Return what a page cursor is good for; pages of one list may differ in length."""
        parameters = request.model_dump(mode="json", exclude_unset=True, exclude={"limit", "page_cursor"})
        return {"route": self._current.event["resource"], "parameters": parameters}

    def route[Handler: Callable[..., Any]](
        self,
        path: str,
        *methods: str,
        errors: Sequence[type[EnrollmentError]],
        for_client_sessions: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Return a decorator that serves a path with a typed handler.

        Args:
            path: The path.
            methods: Its verbs.  A handler gets its parameters, validated, whatever the verb.
            errors: What it can raise, for the API document.
            for_client_sessions: Whether client sessions may call it.  The authorizer's policy lets none through to
                another route, but nothing here relies on that.
        """

        def register(handler: Handler) -> Handler:
            types = get_type_hints(handler)
            self.routes[path] = Route(
                path, methods, handler, types["request"], types["return"], tuple(errors), for_client_sessions
            )
            return handler

        return register

    def answer(self, event: ProxyEvent, context: LambdaContext) -> ProxyResponse:
        """Answer a proxy event, whatever happens: a defect is logged and becomes a 500.

        The line that is logged of it has the request's id, which the client gets as ``seam-request-id``, and the ids of
        the workspace and of what the request names.  No text of an exception is in it.

        Args:
            event: API Gateway's proxy event (payload version 1.0).
            context: Lambda's context.

        Raises:
            UnknownEvent: Somebody other than API Gateway has sent it.
        """
        require_proxy_event(event)
        request_id = event["requestContext"]["requestId"]
        self._ids = {"request_id": request_id, "function_request_id": context.aws_request_id}
        self._outcome = "answered", {}
        try:
            with ending_before(context.get_remaining_time_in_millis()):
                response = self._answer(event)
            outcome, facts = self._outcome
            self._logger.info(outcome, extra=self._line(event, outcome, response["statusCode"], facts))
        except EnrollmentError as error:
            response = _error_response(error)
            self._log_refusal(event, error)
        except Exception as error:  # noqa: BLE001 - the last place where a defect can become an answer
            response = _error_response(InternalServerError())
            self._log_defect(event, error)
        response["multiValueHeaders"]["seam-request-id"] = [request_id]
        response["multiValueHeaders"].update(self._cors_headers(event))
        return response

    def _log_refusal(self, event: ProxyEvent, error: EnrollmentError) -> None:
        # A database that lets nobody in needs an operator, as a defect does: alarms count what is an error.
        write = self._logger.error if isinstance(error, NoAccessToDatabase) else self._logger.info
        is_ours = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        causes = facts_of(error.__cause__) if is_ours and error.__cause__ else {}
        write("refused", extra=self._line(event, "refused", error.status, {"type": error.type, **causes}))

    def _log_defect(self, event: ProxyEvent, error: Exception) -> None:
        facts = {**facts_of(error), "exception_name": type(error).__name__, "exception": traceback_of(error)}
        # Not Logger.exception, which would write the exception's text.
        self._logger.error("defect", extra=self._line(event, "defect", InternalServerError.status, facts))

    def _line(self, event: ProxyEvent, outcome: str, status: int, facts: Mapping[str, object]) -> dict[str, object]:
        counted = self._tally(event, outcome, status)
        return {"route": event.get("resource"), "status": status, **self._ids, **facts, **counted}

    def _answer(self, event: ProxyEvent) -> ProxyResponse:
        method = event["httpMethod"]
        if method == "OPTIONS":
            return self._preflight_response()
        # The route as the template has it: the path can begin with a custom domain's base path.
        route = self.routes.get(event["resource"])
        if route is None or method not in route.methods:
            raise RouteNotFound
        principal = Principal.from_context(event["requestContext"]["authorizer"])
        caller = principal.enter(_header(event, "seam-workspace"))
        if caller.user_identity_ids is not None and not route.for_client_sessions:
            raise Unauthorized(NOT_FOR_CLIENT_SESSIONS)
        self._ids["workspace_id"] = caller.workspace_id
        body = _json_body(event) if method in _WITH_BODY else _query_as_body(event, route)
        document = _read_json(body)
        self._ids |= _ids_in(document, route)
        try:
            request = parse(event=document, model=route.request)
        except ValidationError as invalid:
            raise InvalidInput([_problem(error) for error in invalid.errors(include_url=False)]) from invalid
        self._current = _Current(caller, event)
        try:
            return _response(HTTPStatus.OK, route.handler(request=request).model_dump_json())
        finally:
            del self._current

    def _preflight_response(self) -> ProxyResponse:
        if not self._cors_origins:
            raise RouteNotFound
        headers = {name: [value] for name, value in _PREFLIGHT_HEADERS.items()}
        return {"statusCode": 204, "multiValueHeaders": headers, "body": "", "isBase64Encoded": False}

    def _cors_headers(self, event: ProxyEvent) -> dict[str, list[str]]:
        """Return what tells a browser whether the page may read the answer (contract, "Browsers")."""
        headers: dict[str, str] = {}
        if _ANY_ORIGIN in self._cors_origins:
            # Browsers refuse `*` for a request with credentials, and an unnamed origin must not get those.
            headers = {"Access-Control-Allow-Origin": _ANY_ORIGIN, **_EXPOSED_HEADERS}
        elif self._cors_origins:
            headers = {"Vary": "Origin"}
            origin = _header(event, "origin")
            if origin is not None and origin in self._cors_origins:
                headers |= {
                    "Access-Control-Allow-Origin": origin,
                    # The SDKs send a client session's requests with credentials.
                    "Access-Control-Allow-Credentials": "true",
                    **_EXPOSED_HEADERS,
                }
        return {name: [value] for name, value in headers.items()}


def _headers(event: ProxyEvent, name: str) -> list[str]:
    """Return a header's values; API Gateway keeps the case in which they were sent."""
    several = event.get("multiValueHeaders") or {}
    values = [value for key, values in several.items() if key.lower() == name for value in values]
    return values or [value for key, value in (event.get("headers") or {}).items() if key.lower() == name]


def _header(event: ProxyEvent, name: str) -> str | None:
    values = _headers(event, name)
    return values[-1] if values else None


def _json_body(event: ProxyEvent) -> str:
    body: str = event.get("body") or ""
    if not body:  # no body at all counts as no parameters, and needs no content type
        return "{}"
    media_types = [value.split(";")[0].strip().lower() for value in _headers(event, _CONTENT_TYPE)]
    if _JSON not in media_types:
        raise InvalidContentType(event["httpMethod"])
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(body, validate=True).decode()
        except ValueError as error:
            raise InvalidJson from error
    return body


def _query_as_body(event: ProxyEvent, route: Route) -> str:
    """Return the query string as a body, so that each verb is validated in the same way."""
    query: Mapping[str, list[str]] = event.get("multiValueQueryStringParameters") or {}
    parameters: dict[str, Any] = {}
    for name, field in route.request.model_fields.items():
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
    """Return a parameter's values as a JSON body would have them (contract, "Errors")."""
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


def _ids_in(document: Mapping[str, Any], route: Route) -> dict[str, str]:
    """Return the ids that a request names, by which its line is found; what is no UUID is not one of them."""
    return {
        name: document[name].lower()
        for name in route.request.model_fields
        if name.endswith("_id") and is_uuid(document.get(name))
    }


def _problem(error: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return one of Pydantic's errors as a path and zod's words for it."""
    # A rule over several fields has no location.
    return ".".join(map(str, error["loc"])) or None, in_zods_words(error)


def _error_response(error: EnrollmentError) -> ProxyResponse:
    return _response(error.status, json.dumps(error.to_json(), separators=(",", ":")), error.headers)


def _response(status: int, body: str, headers: Mapping[str, str] = MappingProxyType({})) -> ProxyResponse:
    return {
        "statusCode": status,
        "multiValueHeaders": {name: [value] for name, value in {"Content-Type": _JSON, **headers}.items()},
        "body": body,
        "isBase64Encoded": False,
    }
