"""HTTP on 127.0.0.1 for a ``Gateway``."""

import errno
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TextIO, override

from werkzeug.exceptions import ClientDisconnected
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import BaseWSGIServer, ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wsgi import get_input_stream

from enrollments.local.gateway import LARGEST_BODY, Gateway, Request
from enrollments.local.stack import StackError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOST = "127.0.0.1"
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_RAW_HEADERS = "enrollments.raw_headers"


def make_server(
    gateway: Gateway, port: int, terminal: TextIO, pages: "Mapping[str, WSGIApplication] | None" = None
) -> BaseWSGIServer:
    """Return a server that listens already; ``serve_forever`` answers.

    Args:
        gateway: Answers requests.
        port: Its port; 0 is any free one.
        terminal: Gets a line for each request.
        pages: Applications beside the gateway, by path.

    Raises:
        StackError: The port is taken, or not ours to take.
    """
    try:
        listener = socket.create_server((HOST, port), backlog=512)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StackError(f"port {port} is taken; choose another: make run PORT={port + 1}") from error
        raise StackError(f"port {port}: {error.strerror}") from error
    with listener:
        application = DispatcherMiddleware(_application(gateway, terminal), dict(pages or {}))
        return _Server(HOST, port, application, _RequestHandler, fd=listener.fileno())


class _Server(ThreadedWSGIServer):
    daemon_threads = True  # Ctrl-C does not wait for clients that keep their connection


class _RequestHandler(WSGIRequestHandler):
    """Keeps headers as they were sent: WSGI folds their case, API Gateway does not."""

    protocol_version = "HTTP/1.1"

    @override
    def make_environ(self) -> "WSGIEnvironment":
        environ = super().make_environ()
        environ[_RAW_HEADERS] = list(self.headers.items())
        return environ

    @override
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave the line to the application, which knows the request's id."""


def _application(gateway: Gateway, terminal: TextIO) -> Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]:
    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        began = time.monotonic()
        try:
            # One byte more than the gateway takes, so that it sees a body that is too large.
            body = get_input_stream(environ).read(LARGEST_BODY + 1)
        except ClientDisconnected:
            start_response("400 Bad Request", [("Content-Length", "0")])
            return []
        request = Request(
            method=environ["REQUEST_METHOD"],
            target=environ["REQUEST_URI"],
            headers=environ[_RAW_HEADERS],
            body=body,
            source_ip=environ["REMOTE_ADDR"],
        )
        request_id, response = gateway.handle(request)
        milliseconds = (time.monotonic() - began) * 1000
        # The path as it was sent is ASCII with escapes, so it cannot forge a line; the query string stays out.
        path = ascii(request.target.partition("?")[0])[1:-1]
        terminal.write(
            f"{datetime.now().astimezone():%H:%M:%S}  {response.status}  {request.method:6} {path}"
            f"  {milliseconds:.0f} ms  {request_id}\n"
        )
        terminal.flush()
        headers = [*response.headers, ("Content-Length", str(len(response.body)))]
        start_response(f"{response.status} {_PHRASES.get(response.status, '')}", headers)
        return [response.body]

    return application


def serve(server: BaseWSGIServer) -> None:
    """Answer requests until Ctrl-C."""
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
    finally:
        server.server_close()


def port_of(server: BaseWSGIServer) -> int:
    """Return the port that a server listens on."""
    address: Any = server.socket.getsockname()
    return int(address[1])
