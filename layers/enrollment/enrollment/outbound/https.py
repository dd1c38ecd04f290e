"""Requests to addresses that others choose: one POST to a checked address, within a time that nothing can stretch."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import Any, NamedTuple

from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from enrollment.outbound.addresses import ForbiddenAddress, Target, resolve

_OK = range(200, 300)


class Attempt(NamedTuple):
    """What became of a request.

    Attributes:
        status: The answer's status; ``None`` if there was none.
        failure: Why there was no answer, in a word.
        seconds: How long it took.
        body: The answer's body, if it was asked for.
        retry_after: The answer's header ``Retry-After``, if it has one.
    """

    status: int | None
    failure: str | None
    seconds: float
    body: bytes = b""
    retry_after: str | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has accepted it."""
        return self.status in _OK


def post(  # noqa: PLR0913 - what to send, where, and how long it may take
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    on_loopback: bool,
    longest_seconds: float,
    most_bytes: int = 0,
    tls: ssl.SSLContext | None = None,
) -> Attempt:
    """Send a POST request, and return what became of it.

    The host's name is looked up once, and the connection goes to an address that was checked.  A redirect is not
    followed: it is an answer other than 2xx.

    Args:
        url: The URL.
        body: The body.
        headers: The headers.
        on_loopback: Whether addresses on this machine's loopback are allowed, as in tests.
        longest_seconds: How long it may take in all.
        most_bytes: How long the answer's body may be; a longer one is no answer.  By default the body is not read,
            because the status says enough.
        tls: How certificates are checked; by default against those that this system trusts.
    """
    started = time.monotonic()

    def attempt(status: int | None, failure: str | None, *answer: Any) -> Attempt:
        return Attempt(status, failure, time.monotonic() - started, *answer)

    try:
        target = resolve(url, on_loopback=on_loopback)
    except ForbiddenAddress:
        return attempt(None, "forbidden_address")
    except OSError:
        return attempt(None, "no_such_host")
    end = started + longest_seconds
    try:
        with contextlib.closing(_connect(target, end, tls)) as connection, _ending(connection, end):
            exchange = HTTPConnection(target.host, target.port)
            exchange.sock = connection
            named = {**headers, "Host": target.authority}
            exchange.request("POST", target.path, body=body, headers=named, preload_content=False)
            with contextlib.closing(exchange.getresponse()) as response:
                content = _read(response, most_bytes)
            # A connection that was cut ends headers and bodies, too.
            failure = "timeout" if time.monotonic() >= end else "too_long" if len(content) > most_bytes else None
            if failure is None:
                return attempt(response.status, None, content, response.headers.get("Retry-After"))
            return attempt(None, failure)
    except (HTTPError, HTTPException, OSError, ValueError) as error:
        # A connection that was cut can fail in any of these ways.
        if isinstance(error, TimeoutError) or time.monotonic() >= end:
            return attempt(None, "timeout")
        return attempt(None, "tls" if isinstance(error, ssl.SSLError) else "connection")


def _read(response: HTTPResponse, most_bytes: int) -> bytes:
    """Return the body of a good answer, or the beginning of one that is too long.  The status of others says enough."""
    content = b""
    is_read = most_bytes > 0 and response.status in _OK
    # urllib3 says that a body ended too early when there is nothing left to read.
    while is_read and len(content) <= most_bytes and (more := response.read(most_bytes + 1, decode_content=False)):
        content += more
    return content


def _connect(target: Target, end: float, tls: ssl.SSLContext | None) -> socket.socket:
    """Connect to the first of the target's addresses that lets it.

    Each address gets an equal share of the time that is left, so that one that is silent does not use up all of it.

    Raises:
        OSError: No address lets it, or the time is over.
    """
    failure: OSError = TimeoutError()
    for left, address in zip(range(len(target.addresses), 0, -1), target.addresses, strict=True):
        now = time.monotonic()
        if now >= end:
            raise TimeoutError
        try:
            return _connect_to(address, target, now + (end - now) / left, tls)
        except OSError as error:
            failure = error
    raise failure


def _connect_to(address: str, target: Target, end: float, tls: ssl.SSLContext | None) -> socket.socket:
    """Connect to an address, and with TLS shake hands, until a moment."""
    connection = socket.create_connection((address, target.port), timeout=end - time.monotonic())
    if not target.is_encrypted:
        return connection
    context = tls or ssl.create_default_context()
    # The certificate has to be for the host that the URL names, and not for the address.
    encrypted = context.wrap_socket(connection, server_hostname=target.host, do_handshake_on_connect=False)
    try:
        with _ending(encrypted, end):
            encrypted.do_handshake()
    except OSError:
        encrypted.close()
        raise
    return encrypted


@contextlib.contextmanager
def _ending(connection: socket.socket, end: float) -> Iterator[None]:
    """End a connection at a moment.  Its own time-out is for each part of an answer, and a receiver can send many."""
    connection.settimeout(max(0.1, end - time.monotonic()))

    def cut() -> None:
        # A TLS socket's own method changes the object, which the other thread is reading from.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, end - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
