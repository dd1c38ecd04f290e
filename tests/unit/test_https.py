"""Requests to addresses that others choose, against receivers on loopback that behave badly."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from trustme import CA

from enrollment.outbound.addresses import Target, resolve
from enrollment.outbound.https import Attempt, post

type Behaviour = Callable[[socket.socket], None]
type Receive = Callable[[Behaviour], str]
type Encrypted = Callable[[str, Behaviour], str]


@pytest.fixture
def receive() -> Iterator[Receive]:
    """Start a receiver that does as it is told once it has got a request, and return its URL."""
    listeners = []

    def start(behave: Behaviour) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    got = b""
                    while not got.endswith(b"{}"):
                        got += connection.recv(65536)
                    requests.append(got)
                    behave(connection)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/hook?a=b"

    yield start
    requests.clear()
    for listener in listeners:
        listener.close()


requests: list[bytes] = []


def send(url: str, seconds: float = 5, most_bytes: int = 0) -> Attempt:
    return post(url, b"{}", {"svix-id": "1"}, on_loopback=True, longest_seconds=seconds, most_bytes=most_bytes)


def answering(text: str) -> Behaviour:
    return lambda connection: connection.sendall(text.replace("\n", "\r\n").encode())


@pytest.mark.parametrize(
    ("answer", "status", "is_delivered"),
    [
        ("HTTP/1.1 200 OK\nContent-Length: 0\n\n", 200, True),
        ("HTTP/1.1 204 No Content\n\n", 204, True),
        ("HTTP/1.1 500 Internal Server Error\nContent-Length: 0\n\n", 500, False),
        ("HTTP/1.1 301 Moved Permanently\nLocation: http://127.0.0.1:1/\nContent-Length: 0\n\n", 301, False),
        ("HTTP/1.1 199 Odd\nContent-Length: 0\n\n", 199, False),
    ],
)
def test_the_status_decides_and_a_redirect_is_not_followed(
    receive: Receive,
    answer: str,
    status: int | None,
    is_delivered: bool,  # noqa: FBT001
) -> None:
    attempt = send(receive(answering(answer)), seconds=1)

    assert (attempt.status, attempt.is_delivered) == (status, is_delivered)
    assert len(requests) == 1


def test_a_request_names_the_host_of_its_url_and_its_path(receive: Receive) -> None:
    url = receive(answering("HTTP/1.1 200 OK\n\n"))

    send(url)

    head = requests[0].decode().lower()
    assert head.startswith("post /hook?a=b http/1.1\r\n")
    assert f"host: {url.split('/')[2]}\r\n" in head
    assert "svix-id: 1\r\n" in head


def test_an_endless_body_holds_up_nothing(receive: Receive) -> None:
    def behave(connection: socket.socket) -> None:
        answering("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n")(connection)
        with suppress(OSError):
            while True:
                connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    attempt = send(receive(behave))

    assert attempt.is_delivered
    assert attempt.seconds < 2


def test_headers_that_drip_end_with_the_time(receive: Receive) -> None:
    def behave(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        with suppress(OSError):
            while True:
                connection.sendall(b"x: y\r\n")
                time.sleep(0.05)

    attempt = send(receive(behave), seconds=0.5)

    assert (attempt.status, attempt.failure) == (None, "timeout")
    assert 0.4 < attempt.seconds < 2


def test_a_receiver_that_does_not_answer_ends_with_the_time(receive: Receive) -> None:
    attempt = send(receive(lambda _: time.sleep(1.5)), seconds=0.3)

    assert (attempt.status, attempt.failure) == (None, "timeout")
    assert attempt.seconds < 1.2


def test_a_receiver_that_closes_is_a_failed_connection(receive: Receive) -> None:
    assert send(receive(lambda connection: connection.close()))[:2] == (None, "connection")


def test_a_receiver_that_is_down_is_a_failed_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    assert send(f"http://127.0.0.1:{port}/")[:2] == (None, "connection")


def test_an_answer_that_is_not_http_is_a_failed_connection(receive: Receive) -> None:
    assert send(receive(answering("SSH-2.0-OpenSSH\n")))[:2] == (None, "connection")


def test_a_receiver_that_speaks_no_tls_is_refused(receive: Receive) -> None:
    url = receive(answering("HTTP/1.1 200 OK\n\n")).replace("http://", "https://")

    assert send(url, seconds=1).status is None


def test_an_address_that_is_not_allowed_is_not_called() -> None:
    assert post("https://10.0.0.1/", b"{}", {}, on_loopback=True, longest_seconds=5)[:2] == (None, "forbidden_address")


# -------------------------------------------------------------------------------------------------- Bodies of answers


def test_a_good_answer_is_read(receive: Receive) -> None:
    attempt = send(receive(answering("HTTP/1.1 201 Created\nContent-Length: 2\n\nok")), most_bytes=2)

    assert (attempt.status, attempt.body) == (201, b"ok")


def test_of_another_answer_only_the_status_counts_and_when_to_come_again(receive: Receive) -> None:
    def behave(connection: socket.socket) -> None:
        answering("HTTP/1.1 429 Slow Down\nRetry-After: 7\n\n")(connection)
        with suppress(OSError):
            while True:
                connection.sendall(b"x" * 4096)

    attempt = send(receive(behave), most_bytes=2)

    assert (attempt.status, attempt.body, attempt.retry_after) == (429, b"", "7")


@pytest.mark.parametrize(
    "framing", ["Content-Length: 5\n\nhello", "\nhello", "Transfer-Encoding: chunked\n\n5\nhello\n0\n\n"]
)
def test_a_body_that_is_too_long_is_no_answer(receive: Receive, framing: str) -> None:
    assert send(receive(answering(f"HTTP/1.1 200 OK\n{framing}")), most_bytes=4)[:2] == (None, "too_long")


def test_an_endless_body_is_read_up_to_its_bound(receive: Receive) -> None:
    def behave(connection: socket.socket) -> None:
        answering("HTTP/1.1 200 OK\n\n")(connection)
        with suppress(OSError):
            while True:
                connection.sendall(b"x" * 4096)

    attempt = send(receive(behave), most_bytes=100_000)

    assert attempt[:2] == (None, "too_long")
    assert attempt.seconds < 2


def test_a_body_that_drips_ends_with_the_time(receive: Receive) -> None:
    def behave(connection: socket.socket) -> None:
        answering("HTTP/1.1 200 OK\n\n")(connection)
        with suppress(OSError):
            while True:
                connection.sendall(b"x")
                time.sleep(0.05)

    attempt = send(receive(behave), seconds=0.4, most_bytes=1000)

    assert attempt[:2] == (None, "timeout")
    assert attempt.seconds < 1.2


def test_a_body_that_ends_too_early_is_a_failed_connection(receive: Receive) -> None:
    url = receive(answering("HTTP/1.1 200 OK\nContent-Length: 50\n\n{}"))

    assert send(url, most_bytes=1000)[:2] == (None, "connection")


# ------------------------------------------------------------------------------------------------------------------ TLS


@pytest.fixture(scope="module")
def authority() -> CA:
    return CA()


@pytest.fixture
def trusting(authority: CA) -> ssl.SSLContext:
    """How certificates are checked if the authority of these tests is one that this system trusts."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def encrypted(authority: CA) -> Iterator[Encrypted]:
    """Start a receiver with a certificate for a name, and return its URL at localhost."""

    def start(name: str, behave: Behaviour) -> str:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(context)
        listener = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            with listener, suppress(OSError):
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True) as wrapped:
                    got = b""
                    while not got.endswith(b"{}"):
                        got += wrapped.recv(65536)
                    requests.append(got)
                    behave(wrapped)

        threading.Thread(target=serve, daemon=True).start()
        return f"https://localhost:{listener.getsockname()[1]}/"

    yield start
    requests.clear()


def send_encrypted(url: str, tls: ssl.SSLContext | None, seconds: float = 5) -> Attempt:
    return post(url, b"{}", {}, on_loopback=True, longest_seconds=seconds, tls=tls)


def test_a_certificate_for_the_host_of_the_url_is_accepted(encrypted: Encrypted, trusting: ssl.SSLContext) -> None:
    url = encrypted("localhost", answering("HTTP/1.1 200 OK\n\n"))

    assert send_encrypted(url, trusting).is_delivered


@pytest.mark.parametrize("name", ["example.com", "127.0.0.1"])
def test_a_certificate_for_another_host_is_refused_and_nothing_is_sent(
    encrypted: Encrypted, trusting: ssl.SSLContext, name: str
) -> None:
    url = encrypted(name, answering("HTTP/1.1 200 OK\n\n"))

    assert send_encrypted(url, trusting)[:2] == (None, "tls")
    assert requests == []


def test_a_certificate_of_an_unknown_authority_is_refused_and_nothing_is_sent(encrypted: Encrypted) -> None:
    url = encrypted("localhost", answering("HTTP/1.1 200 OK\n\n"))

    assert send_encrypted(url, None)[:2] == (None, "tls")
    assert requests == []


def test_an_encrypted_answer_that_drips_or_does_not_come_ends_with_the_time(
    encrypted: Encrypted, trusting: ssl.SSLContext
) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        with suppress(OSError):
            while True:
                connection.sendall(b"x: y\r\n")
                time.sleep(0.05)

    attempts = [
        send_encrypted(encrypted("localhost", drip), trusting, seconds=0.4),
        send_encrypted(encrypted("localhost", lambda _: time.sleep(1)), trusting, seconds=0.4),
    ]

    assert [attempt[:2] for attempt in attempts] == 2 * [(None, "timeout")]
    assert max(attempt.seconds for attempt in attempts) < 1


def test_a_handshake_that_drips_ends_with_the_time(trusting: ssl.SSLContext) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        with listener, connection, suppress(OSError):
            while True:
                connection.sendall(b"\x16\x03\x03\x40\x00"[:1] if not sent else b"\x03")
                sent.append(1)
                time.sleep(0.05)

    sent: list[int] = []
    threading.Thread(target=drip, daemon=True).start()

    attempt = send_encrypted(f"https://localhost:{listener.getsockname()[1]}/", trusting, seconds=0.5)

    assert attempt[:2] == (None, "timeout")
    assert attempt.seconds < 1.2


# ------------------------------------------------------------------------------------------------------- Many addresses


@pytest.fixture
def leading(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let every URL lead to addresses."""

    def lead(*addresses: str) -> None:
        def resolve_to(url: str, *, on_loopback: bool) -> Target:
            return resolve(url, on_loopback=on_loopback)._replace(addresses=addresses)

        monkeypatch.setattr("enrollment.outbound.https.resolve", resolve_to)

    return lead


def test_if_one_address_is_down_the_next_is_called(receive: Receive, leading: Callable[..., None]) -> None:
    url = receive(answering("HTTP/1.1 200 OK\n\n"))
    leading("::1", "127.0.0.1")

    assert send(url).is_delivered


def test_many_silent_addresses_take_no_longer_than_one(leading: Callable[..., None]) -> None:
    leading("127.0.0.1", "127.0.0.1", "127.0.0.1")

    with socket.create_server(("127.0.0.1", 0)) as silent:
        attempt = send_encrypted(f"https://localhost:{silent.getsockname()[1]}/", None, seconds=0.6)

    assert attempt[:2] == (None, "timeout")
    assert 0.5 < attempt.seconds < 1.2
