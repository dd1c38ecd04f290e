"""Requests to the receivers of webhooks: one POST to a checked address, within a time that nothing can stretch."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import NamedTuple

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from enrollment.outbound.addresses import ForbiddenAddress, Target, resolve

# The contract counts no answer in 15 s as a failure ("Webhooks").
LONGEST_SECONDS = 15.0
_OK = range(200, 300)


class Attempt(NamedTuple):
    """What became of a request.

    Attributes:
        status: The answer's status; ``None`` if there was none.
        failure: Why there was no answer, in a word.
        seconds: How long it took.
    """

    status: int | None
    failure: str | None
    seconds: float

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
    longest_seconds: float = LONGEST_SECONDS,
    tls: ssl.SSLContext | None = None,
) -> Attempt:
    """Send a POST request, and return what became of it.

    The host's name is looked up once, and the connection goes to an address that was checked.  A redirect is not
    followed: it is an answer other than 2xx.  The body of the answer is not read, because its status decides.

    Args:
        url: The URL.
        body: The body.
        headers: The headers.
        on_loopback: Whether receivers on this machine's loopback are allowed, as in tests.
        longest_seconds: How long it may take in all.
        tls: How certificates are checked; by default against those that this system trusts.
    """
    started = time.monotonic()

    def attempt(status: int | None, failure: str | None) -> Attempt:
        return Attempt(status, failure, time.monotonic() - started)

    try:
        target = resolve(url, on_loopback=on_loopback)
    except ForbiddenAddress:
        return attempt(None, "forbidden_address")
    except (OSError, UnicodeError):
        return attempt(None, "no_such_host")
    end = started + longest_seconds
    try:
        with _connected(target, end, tls) as connection, _ending(connection, end):
            named = {**headers, "Host": target.authority}
            connection.request("POST", target.path, body=body, headers=named, preload_content=False)
            status = connection.getresponse().status
            # A connection that was cut ends the headers, too.
            return attempt(None, "timeout") if time.monotonic() >= end else attempt(status, None)
    except ssl.SSLError:
        return attempt(None, "tls")
    except (HTTPError, HTTPException, OSError, ValueError) as error:
        late = isinstance(error, TimeoutError) or time.monotonic() - started >= longest_seconds
        return attempt(None, "timeout" if late else "connection")


@contextlib.contextmanager
def _connected(target: Target, end: float, tls: ssl.SSLContext | None) -> Iterator[HTTPConnection]:
    """Connect to the first of the target's addresses that lets it."""
    *others, last = target.addresses
    connection = _connection(target, last, end, tls)
    for address in others:
        candidate = _connection(target, address, end, tls)
        try:
            candidate.connect()
        except (OSError, HTTPError):
            candidate.close()
        else:
            connection = candidate
            break
    with contextlib.closing(connection):
        if connection.sock is None:
            connection.connect()
        yield connection


def _connection(target: Target, address: str, end: float, tls: ssl.SSLContext | None) -> HTTPConnection:
    left = max(0.1, end - time.monotonic())
    if not target.is_encrypted:
        return HTTPConnection(address, target.port, timeout=left)
    return HTTPSConnection(
        address,
        target.port,
        timeout=left,
        server_hostname=target.host,
        assert_hostname=target.host,
        ssl_context=tls or ssl.create_default_context(),
    )


@contextlib.contextmanager
def _ending(connection: HTTPConnection, end: float) -> Iterator[None]:
    """End a connection at a moment.  Its own time-out is for each part of an answer, and a receiver can send many."""
    socket_ = connection.sock

    def cut() -> None:
        with contextlib.suppress(OSError):
            if socket_ is not None:
                socket_.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, end - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
