"""HTTP on 127.0.0.1 for a ``Gateway``."""

import errno
import json
import re
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from email.errors import MissingHeaderBodySeparatorDefect
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TextIO, override
from uuid import uuid4

from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import BaseWSGIServer, ThreadedWSGIServer, WSGIRequestHandler

from local_aws.errors import StackError
from local_aws.framing import BadBodyError, read_body
from local_aws.gateway import LARGEST_BODY, Gateway, Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    type Pages = Mapping[str, WSGIApplication]

HOST = "127.0.0.1"
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_RAW_HEADERS = "local_aws.raw_headers"
_RAW_BODY = "local_aws.raw_body"
_FOLD = re.compile(r"\r?\n[ \t]*")
_FRAMING_HEADERS = {"connection", "content-length", "transfer-encoding"}
_NOT_HTTP = {"error": {"type": "bad_request", "message": "Bad request"}, "ok": False}


def listen(port: int) -> socket.socket:
    """Return a socket that listens on a port; 0 is any free one.

    Raises:
        StackError: The port is taken, or not ours to take.
    """
    try:
        return socket.create_server((HOST, port), backlog=512)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StackError(f"port {port} is taken; choose another: make run PORT={port + 1}") from error
        raise StackError(f"port {port}: {error.strerror}") from error


def make_server(
    gateway: Gateway, port: int | socket.socket, terminal: TextIO, pages: "Pages | None" = None
) -> BaseWSGIServer:
    """Return a server that listens already; ``serve_forever`` answers.

    Args:
        gateway: Answers requests.
        port: Its port, or what ``listen`` returned for it, which is closed.
        terminal: Gets a line for each request.
        pages: Applications beside the gateway, by path.

    Raises:
        StackError: The port is taken, or not ours to take.
    """
    with listen(port) if isinstance(port, int) else port as listener:
        return _Server(gateway, terminal, pages or {}, listener)


class _Server(ThreadedWSGIServer):
    daemon_threads = True  # Ctrl-C does not wait for clients that keep their connection

    def __init__(self, gateway: Gateway, terminal: TextIO, pages: "Pages", listener: socket.socket) -> None:
        self._terminal = terminal
        application = DispatcherMiddleware(_application(gateway, terminal, self.log_answer), dict(pages))
        super().__init__(HOST, 0, application, _RequestHandler, fd=listener.fileno())

    def log_answer(self, status: int, what: str, request_id: str) -> None:
        self._terminal.write(f"{datetime.now().astimezone():%H:%M:%S}  {status}  {what}  {request_id}\n")
        self._terminal.flush()


class _RequestHandler(WSGIRequestHandler):
    """Keeps headers as they were sent: WSGI folds their case, API Gateway does not."""

    protocol_version = "HTTP/1.1"
    server: _Server

    @override
    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        # What follows a line that is no header is not read as headers: the body's length may be among it.
        if any(isinstance(defect, MissingHeaderBodySeparatorDefect) for defect in self.headers.defects):
            self.send_error(HTTPStatus.BAD_REQUEST)
            return False
        return True

    @override
    def make_environ(self) -> "WSGIEnvironment":
        environ = super().make_environ()
        environ[_RAW_HEADERS] = [(name, _FOLD.sub(" ", value)) for name, value in self.headers.items()]
        environ[_RAW_BODY] = self.rfile
        return environ

    @override
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave the line to the application, which knows the request's id."""

    @override
    def log_error(self, format: str, *args: Any) -> None:
        """Say nothing: the arguments have what was sent, which may be a token."""

    @override
    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is not HTTP in the contract's shape; ``http.server`` would repeat what was sent, in HTML."""
        request_id = str(uuid4())
        body = json.dumps(_NOT_HTTP, separators=(",", ":")).encode()
        self.request_version = self.protocol_version  # to an unknown version it would send no headers
        self.send_response(code, _PHRASES[code])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("seam-request-id", request_id)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.server.log_answer(code, "not a request", request_id)
        self._read_on()

    def _read_on(self) -> None:
        """Read what else was sent: closing before that resets the connection, and the client may miss the answer."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(0.2)
            for _ in range(1000):
                if not self.connection.recv(65536):
                    break


def _application(
    gateway: Gateway, terminal: TextIO, log_answer: Callable[[int, str, str], None]
) -> Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]:
    def answer(request: Request, environ: "WSGIEnvironment") -> Response:
        try:
            # One byte more than the gateway takes, so that it sees a body that is too large.
            body = read_body(request.headers, environ[_RAW_BODY], LARGEST_BODY + 1)
            return gateway.handle(replace(request, body=body))
        except BadBodyError:
            return gateway.refuse(request, "BAD_REQUEST_BODY")
        except ConnectionError:  # a client that has gone gets nothing
            raise
        except Exception:  # noqa: BLE001 - the last resort: whatever a defect here raises, the client gets an answer
            traceback.print_exc(file=terminal)
            return gateway.refuse(request, "DEFAULT_5XX")

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        began = time.monotonic()
        request = Request(
            method=environ["REQUEST_METHOD"],
            target=environ["REQUEST_URI"],
            headers=environ[_RAW_HEADERS],
            source_ip=environ["REMOTE_ADDR"],
        )
        response = answer(request, environ)
        milliseconds = (time.monotonic() - began) * 1000
        # Escaped, what was sent cannot forge a line; the query string stays out.
        method, path = ascii(request.method)[1:-1], ascii(request.target.partition("?")[0])[1:-1]
        log_answer(response.status, f"{method:6} {path}  {milliseconds:.0f} ms", request.id)
        headers = [(name, value) for name, value in response.headers if name.lower() not in _FRAMING_HEADERS]
        start_response(
            f"{response.status} {_PHRASES.get(response.status, '')}",
            [*headers, ("Content-Length", str(len(response.body)))],
        )
        return [] if request.method == "HEAD" else [response.body]

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
