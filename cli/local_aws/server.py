"""Serves a ``Gateway`` over HTTP on 127.0.0.1.  The library h11 parses and writes HTTP."""

import errno
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from email.utils import formatdate
from http import HTTPStatus
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import TextIO, override

import h11

from local_aws.errors import StackError
from local_aws.gateway import LARGEST_BODY, Gateway, Request, Response

# Without a response, the page leaves the request to the gateway.
type Page = Callable[[Request], Response | None]

HOST = "127.0.0.1"
_LONGEST_HEAD = 16 * 1024  # bytes; API Gateway's quota is 10,240 for the request line and the headers' values
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_OWN_HEADERS = {"connection", "content-length", "date", "transfer-encoding"}


def listen(port: int) -> socket.socket:
    """Return a socket that listens on a port.  Port 0 means any free port.

    Raises:
        StackError: The port is taken, or this user may not open it.
    """
    try:
        return socket.create_server((HOST, port), backlog=512)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StackError(f"port {port} is taken; choose another: make run PORT={port + 1}") from error
        raise StackError(f"port {port}: {error.strerror}") from error


class Server(ThreadingTCPServer):
    """Answers requests while ``serve_forever`` runs.  Each connection has its own thread.

    Args:
        listener: A socket from ``listen``.  The server closes it.
        gateway: Answers requests.
        terminal: Gets a line for each request.
        pages: Pages that answer in place of the gateway, by the first segment of their paths, such as ``/docs``, or
            ``/`` where that segment is empty.
    """

    daemon_threads = True  # Ctrl-C does not wait for clients that keep their connections open

    def __init__(
        self, listener: socket.socket, gateway: Gateway, terminal: TextIO, pages: Mapping[str, Page] | None = None
    ) -> None:
        super().__init__(listener.getsockname(), _Connection, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self._gateway = gateway
        self._terminal = terminal
        self._pages = pages or {}

    def answer(self, request: Request) -> Response:
        """Answer a request.  If the gateway or a page raises, the answer is a 5xx."""
        began = time.monotonic()
        try:
            page = self._pages.get("/".join(request.path.split("/", 2)[:2]))
            response = (page and page(request)) or self._gateway.handle(request)
        except Exception:  # noqa: BLE001 - the client gets an answer even if there is a defect
            traceback.print_exc(file=self._terminal)
            response = self._gateway.refuse(request, "DEFAULT_5XX")
        milliseconds = (time.monotonic() - began) * 1000
        # The query string may hold a token. h11 lets no control characters into the rest.
        path = request.target.partition("?")[0]
        self._log(response.status, f"{request.method:6} {path}  {milliseconds:.0f} ms", request.id)
        return response

    def refuse(self, status: int) -> Response:
        """Answer input that is not a request, in the API's own shape.  The log does not repeat the input."""
        request = Request("", "", [])
        self._log(status, "not a request", request.id)
        return replace(self._gateway.refuse(request, "BAD_REQUEST_BODY"), status=status)

    def _log(self, status: int, what: str, request_id: str) -> None:
        self._terminal.write(f"{datetime.now().astimezone():%H:%M:%S}  {status}  {what}  {request_id}\n")
        self._terminal.flush()


class _Connection(BaseRequestHandler):
    """Answers the requests of one connection, one after the other."""

    request: socket.socket
    server: Server

    @override
    def handle(self) -> None:
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST_HEAD)
        self._method = b""  # of the current request; empty if it could not be read
        refused = None
        with suppress(OSError):  # the client has closed the connection
            try:
                for request in self._requests():
                    self._send(self.server.answer(request))
            except h11.RemoteProtocolError as error:
                # Only the status is kept.  The error's text repeats the input, which may be a token.
                refused = self._status(error)
            if refused is not None:
                self._send(self.server.refuse(refused))
            self._read_on()

    def _requests(self) -> Iterator[Request]:
        """Yield the requests.  Each must be answered before the next is read.

        Raises:
            h11.RemoteProtocolError: The input is not HTTP/1, or ended within a request.
        """
        while isinstance(head := self._next_event(), h11.Request):
            self._method = head.method
            if not head.http_version.startswith(b"1."):
                raise h11.RemoteProtocolError("not HTTP/1", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
            # h11 would follow the encoding and ignore the length (RFC 9112, 6.1).  Other software may do the opposite.
            if {b"content-length", b"transfer-encoding"} <= {name for name, _ in head.headers}:
                raise h11.RemoteProtocolError("where the body ends is said twice")
            yield Request(
                method=head.method.decode(),
                target=head.target.decode(),
                # API Gateway keeps the case of names.
                headers=[(name.decode(), value.decode("latin-1")) for name, value in head.headers.raw_items()],
                body=self._read_body(),
                source_ip=self.client_address[0],
            )
            if not self._http.our_state is self._http.their_state is h11.DONE:
                return
            self._http.start_next_cycle()
            self._method = b""

    def _read_body(self) -> bytes:
        """Read a body to its end.  If it is too large, read just enough for the gateway to see that."""
        body = bytearray()
        while len(body) <= LARGEST_BODY and isinstance(event := self._next_event(), h11.Data):
            body += event.data
        return bytes(body)

    def _next_event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=HTTPStatus.CONTINUE, headers=[], reason="Continue")
                self.request.sendall(self._http.send(go_on))
            self._http.receive_data(self.request.recv(4096))
        return event

    def _status(self, error: h11.RemoteProtocolError) -> int:
        """Return an error's status.  h11 has one status for headers and for a request line that are too long."""
        before_headers = self._http.our_state is h11.IDLE and b"\n" not in self._http.trailing_data[0]
        if before_headers and error.error_status_hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            return HTTPStatus.REQUEST_URI_TOO_LONG
        return error.error_status_hint

    def _send(self, response: Response) -> None:
        has_body = response.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
        headers = [(name, value.strip(" \t")) for name, value in response.headers if name.lower() not in _OWN_HEADERS]
        headers.append(("Date", formatdate(usegmt=True)))
        if has_body:
            headers.append(("Content-Length", str(len(response.body))))
        if self._http.their_state is not h11.DONE:  # the request was not read to its end
            headers.append(("Connection", "close"))
        head = h11.Response(
            status_code=response.status,
            headers=[(name.encode(), value.encode("latin-1")) for name, value in headers],
            reason=_PHRASES.get(response.status, ""),
        )
        sent = self._http.send(head)
        if has_body and self._method != b"HEAD":
            sent += self._http.send(h11.Data(response.body))
        self.request.sendall(sent + self._http.send(h11.EndOfMessage()))

    def _read_on(self) -> None:
        """Read the rest of the input.  Closing with unread input resets the connection, and the answer may be lost."""
        self.request.shutdown(socket.SHUT_WR)
        self.request.settimeout(0.2)
        for _ in range(1000):
            if not self.request.recv(65536):
                break


def serve(server: Server) -> None:
    """Answer requests until Ctrl-C."""
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
    finally:
        server.server_close()
