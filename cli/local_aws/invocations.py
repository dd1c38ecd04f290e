"""Lambda's Invoke API over HTTP, for functions that start others."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from uuid import uuid4

from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

type Start = Callable[[str, str, Any], None]

_PATH = re.compile(r"/2015-03-31/functions/(?P<function>[^/]+)/invocations")


class Invocations:
    """Answers requests to invoke durable functions; other functions are invoked by their mappings and the gateway.

    Args:
        start: Starts an execution: takes the function's name, the execution's name, and its input.
        names: Names of functions by their names and by their ARNs, with and without an alias.
    """

    def __init__(self, start: Start, names: Mapping[str, str]) -> None:
        self._start = start
        self._names = names

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes] | None:
        """Answer a request; return ``None`` if it is for another service."""
        match = _PATH.fullmatch(environ.get("PATH_INFO", ""))
        if match is None:
            return None
        request = Request(environ)
        function = self._names.get(unquote(match["function"]))
        if function is None:
            return _error(HTTPStatus.NOT_FOUND, "ResourceNotFoundException")(environ, start_response)
        if request.headers.get("X-Amz-Invocation-Type") != "Event":
            return _error(HTTPStatus.BAD_REQUEST, "InvalidParameterValueException")(environ, start_response)
        try:
            given = json.loads(request.get_data() or b"null")
        except ValueError:
            return _error(HTTPStatus.BAD_REQUEST, "InvalidRequestContentException")(environ, start_response)
        self._start(function, request.headers.get("X-Amz-Durable-Execution-Name", str(uuid4())), given)
        return Response(b"", HTTPStatus.ACCEPTED)(environ, start_response)


def _error(status: int, kind: str) -> Response:
    return Response(
        json.dumps({"Type": "User", "Message": kind}),
        status,
        content_type="application/json",
        headers={"x-amzn-ErrorType": kind},
    )
