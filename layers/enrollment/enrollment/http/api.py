"""API Gateway's proxy events in, the API's JSON out.

A function gives its routes to ``Api.route`` and its events to ``Api.answer``.  What a route raises becomes the
contract's error shape here and nowhere else.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import ValidationError

from enrollment.aws.deadline import ending_before
from enrollment.callers import FOR_CLIENT_SESSIONS_ONLY, NOT_FOR_CLIENT_SESSIONS, Principal, TokenKind
from enrollment.errors import (
    EnrollmentError,
    InternalServerError,
    InvalidInput,
    NoAccessToDatabase,
    RouteNotFound,
    Unauthorized,
)
from enrollment.failures import facts_of, traceback_of
from enrollment.http.cors import PREFLIGHT_HEADERS, cors_headers
from enrollment.http.events import ProxyEvent, ProxyResponse, header, require_proxy_event
from enrollment.http.parameters import read_parameters
from enrollment.http.routes import Route
from enrollment.resources.bodies import PagedRequest
from enrollment.resources.fields import is_uuid
from enrollment.resources.zod import zod_message

if TYPE_CHECKING:
    from enrollment.http.page_cursors import Cursors

# Takes the event, the outcome and the answer's status; returns more keys for the line that is logged of the answer.
type Metrics = Callable[[ProxyEvent, str, int], Mapping[str, object]]
type Line = dict[str, object]


class Api:
    """The API's side of a function.  It keeps nothing of a request.

    Args:
        logger: The function's logger.
        cors_origins: Origins whose pages may call the API; without any there is no CORS at all.
        cursors: Opens and seals the page cursors of lists; a function without lists needs none.
        metrics: Returns the metrics of an answer, in CloudWatch's embedded format.

    Attributes:
        routes: The routes by path.
    """

    def __init__(
        self,
        logger: Logger,
        cors_origins: Sequence[str] = (),
        *,
        cursors: "Cursors | None" = None,
        metrics: Metrics = lambda *_: {},
    ) -> None:
        self.routes: dict[str, Route] = {}
        self._logger = logger
        self._cors_origins = cors_origins
        self._cursors = cursors
        self._metrics = metrics

    def route[Handler: Callable[..., Any]](
        self,
        path: str,
        *methods: str,
        errors: Sequence[type[EnrollmentError]],
        for_client_sessions: bool = False,
        for_servers: bool = True,
        across_workspaces: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Return a decorator that serves a path with a typed handler.

        The handler's annotations name the models of ``request`` and of its answer, an ``Answer[Model]``.

        Args:
            path: The path.
            methods: Its verbs.  A handler gets its parameters, validated, whatever the verb.
            errors: What it can raise, for the API document.
            for_client_sessions: Whether client sessions may call it.  The authorizer's policy lets none through to
                another route, but nothing here relies on that.
            for_servers: Whether API keys and personal access tokens may call it.
            across_workspaces: Whether the handler answers for all workspaces that the token may enter.  It gets the
                ``principal`` in place of ``caller``, and the request needs no header ``seam-workspace``.

        Raises:
            TypeError: The route is a list, and the Api has no page cursors.
        """

        def register(handler: Handler) -> Handler:
            types = get_type_hints(handler)
            (response,) = get_args(types["return"])
            if issubclass(types["request"], PagedRequest) and self._cursors is None:
                raise TypeError(f"{path} is a list, so its Api needs page cursors")
            self.routes[path] = Route(
                path,
                methods,
                handler,
                types["request"],
                response,
                tuple(errors),
                for_client_sessions,
                for_servers,
                across_workspaces,
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
        line: Line = {
            "route": event["resource"],
            "request_id": request_id,
            "function_request_id": context.aws_request_id,
        }
        write, outcome = self._logger.info, "refused"
        try:
            with ending_before(context.get_remaining_time_in_millis()):
                outcome, response = self._respond(event, line)
        except EnrollmentError as error:
            response = _error_response(error)
            line |= _facts_of_refusal(error)
            # A database that lets nobody in needs an operator, as a defect does: alarms count what is an error.
            if isinstance(error, NoAccessToDatabase):
                write = self._logger.error
        except Exception as error:  # noqa: BLE001 - the last place where a defect can become an answer
            response = _error_response(InternalServerError())
            outcome = "defect"
            # Not Logger.exception, which would write the exception's text.
            line |= {**facts_of(error), "exception_name": type(error).__name__, "exception": traceback_of(error)}
            write = self._logger.error
        status: int = response["statusCode"]
        write(outcome, extra={**line, "status": status, **self._metrics(event, outcome, status)})
        added = {"seam-request-id": request_id, **cors_headers(event, self._cors_origins)}
        response["multiValueHeaders"].update({name: [value] for name, value in added.items()})
        return response

    def _respond(self, event: ProxyEvent, line: Line) -> tuple[str, ProxyResponse]:
        """Return what has happened, and the response; put into the line what becomes known of the request."""
        method = event["httpMethod"]
        if method == "OPTIONS":
            if not self._cors_origins:
                raise RouteNotFound
            return "answered", _response(HTTPStatus.NO_CONTENT, "", PREFLIGHT_HEADERS)
        # The route as the template has it: the path can begin with a custom domain's base path.
        route = self.routes.get(event["resource"])
        if route is None or method not in route.methods:
            raise RouteNotFound
        principal = Principal.from_context(event["requestContext"]["authorizer"])
        if principal.kind is TokenKind.CLIENT_SESSION and not route.for_client_sessions:
            raise Unauthorized(NOT_FOR_CLIENT_SESSIONS)
        if principal.kind is not TokenKind.CLIENT_SESSION and not route.for_servers:
            raise Unauthorized(FOR_CLIENT_SESSIONS_ONLY)
        arguments: dict[str, Any] = {}
        if route.across_workspaces:
            arguments["principal"] = principal
        else:
            arguments["caller"] = caller = principal.enter(header(event, "seam-workspace"))
            line["workspace_id"] = caller.workspace_id
        parameters = read_parameters(event, route.request)
        line |= _ids_in(parameters, route)
        try:
            request = parse(event=parameters, model=route.request)
        except ValidationError as invalid:
            raise InvalidInput([_problem(error) for error in invalid.errors(include_url=False)]) from invalid
        if isinstance(request, PagedRequest) and self._cursors is not None:
            arguments["page"] = self._cursors.requested_page(arguments["caller"], event, request)
        answer = route.handler(request=request, **arguments)
        response = _json_response(HTTPStatus.OK, answer.body.model_dump_json())
        line |= answer.facts
        return answer.outcome, response


def _facts_of_refusal(error: EnrollmentError) -> Line:
    is_ours = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    causes = facts_of(error.__cause__) if is_ours and error.__cause__ else {}
    return {"type": error.type, **causes}


def _ids_in(parameters: Mapping[str, Any], route: Route) -> dict[str, str]:
    """Return the ids that a request names, by which its line is found; what is no UUID is not one of them."""
    return {
        name: parameters[name].lower()
        for name in route.request.model_fields
        if name.endswith("_id") and is_uuid(parameters.get(name))
    }


def _problem(error: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the path and the message of one of Pydantic's errors; a rule over several fields has no path."""
    return ".".join(map(str, error["loc"])) or None, zod_message(error)


def _error_response(error: EnrollmentError) -> ProxyResponse:
    return _json_response(error.status, json.dumps(error.to_json(), separators=(",", ":")), error.headers)


def _json_response(status: int, body: str, more: Mapping[str, str] = MappingProxyType({})) -> ProxyResponse:
    return _response(status, body, {"Content-Type": "application/json", **more})


def _response(status: int, body: str, headers: Mapping[str, str]) -> ProxyResponse:
    return {
        "statusCode": int(status),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "body": body,
        "isBase64Encoded": False,
    }
