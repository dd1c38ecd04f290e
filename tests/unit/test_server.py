"""HTTP in front of a gateway: what is no request, what is half of one, and what is shown of it."""

import io
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from local_aws.errors import StackError
from local_aws.gateway import Gateway, Request, Response
from local_aws.rest_api import GatewayResponse, RestApi
from local_aws.server import listen, make_server, port_of

ERROR = '{"error":{"type":"%s","message":"Bad request"},"ok":false}'
RESPONSES = {
    name: GatewayResponse(status, {"seam-request-id": "context.requestId"}, ERROR % kind)
    for name, status, kind in [
        ("DEFAULT_4XX", 404, "route_not_found"),
        ("DEFAULT_5XX", 500, "internal_server_error"),
        ("BAD_REQUEST_BODY", 400, "bad_request"),
    ]
}
SECRET = "seam_secret"


@dataclass
class Recorder(Gateway):
    """A gateway that answers everything, and keeps what it got."""

    requests: list[Request] = field(default_factory=list)
    defect: Exception | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(RestApi("local", "prod", {}, {}, RESPONSES, None), lambda _name, _event: None)

    def handle(self, request: Request) -> Response:
        self.requests.append(request)
        if self.defect is not None:
            raise self.defect
        return Response(200, self.headers, b"answer")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error_type(self) -> str:
        return str(json.loads(self.body)["error"]["type"])


type Send = Callable[[bytes], Answer]


@pytest.fixture
def gateway() -> Recorder:
    return Recorder()


@pytest.fixture
def terminal() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def port(gateway: Recorder, terminal: io.StringIO) -> Iterator[int]:
    server = make_server(gateway, 0, terminal)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield port_of(server)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def send(port: int) -> Send:
    """Send bytes, close the sending side, and read the answer to its end."""

    def send_(sent: bytes) -> Answer:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: client.recv(65536), b""))
        head, _, body = received.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        assert int(headers["Content-Length"]) == len(body) or sent.startswith(b"HEAD")
        return Answer(int(status.split()[1]), headers, body)

    return send_


def post(head: str, body: bytes = b"") -> bytes:
    return f"POST /path?token={SECRET} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + body


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 4\r\n", b"body"),
        ("Transfer-Encoding: chunked\r\n", b"2;x=y\r\nbo\r\n2\r\ndy\r\n0\r\nSum: 1\r\n\r\n"),
    ],
)
def test_a_request_reaches_the_gateway(send: Send, gateway: Recorder, head: str, body: bytes) -> None:
    answer = send(post(head, body))

    assert (answer.status, answer.body, gateway.requests[0].body) == (200, b"answer", b"body")


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 5\r\n", b"body"),
        ("Content-Length: -1\r\n", b""),
        ("Content-Length: +4\r\n", b"body"),
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"4\r\nbody\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", b"4\r\nbody\r\n"),
        ("Transfer-Encoding: chunked\r\n", b"junk\r\n"),
    ],
)
def test_a_body_that_is_none_is_refused(send: Send, gateway: Recorder, head: str, body: bytes) -> None:
    answer = send(post(head, body))

    assert (answer.status, answer.error_type) == (400, "bad_request")
    assert answer.headers["seam-request-id"]
    assert answer.headers["Content-Type"] == "application/json"
    assert gateway.requests == []


def test_a_client_that_has_gone_is_no_request(port: int, gateway: Recorder, terminal: io.StringIO) -> None:
    with closing(socket.create_connection(("127.0.0.1", port))) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closing resets the connection
        client.sendall(post("Content-Length: 5\r\n", b"body"))
    with closing(socket.create_connection(("127.0.0.1", port))) as client:
        client.sendall(b"GET /next HTTP/1.1\r\n\r\n")
        client.recv(65536)

    assert [request.target for request in gateway.requests] == ["/next"]
    assert "Traceback" not in terminal.getvalue()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (f"GET /{SECRET} {SECRET} HTTP/1.1\r\n\r\n".encode(), 400),
        (f"{SECRET}\r\n\r\n".encode(), 400),
        (f"POST /{SECRET}\r\n\r\n".encode(), 400),
        (f"GET /{SECRET} HTTP/{SECRET}\r\n\r\n".encode(), 400),
        (f"GET /{SECRET} HTTP/2.0\r\n\r\n".encode(), 505),
        (f"GET /{SECRET}{'x' * 70_000} HTTP/1.1\r\n\r\n".encode(), 414),
        (f"GET / HTTP/1.1\r\nAuthorization: {SECRET}{'x' * 70_000}\r\n\r\n".encode(), 431),
        (f"GET / HTTP/1.1\r\n{f'A: {SECRET}\r\n' * 200}\r\n".encode(), 431),
        (f"GET / HTTP/1.1\r\nno header {SECRET}\r\nContent-Length: 4\r\n\r\nbody".encode(), 400),
    ],
)
def test_what_is_not_http_is_answered_in_the_contracts_shape(
    send: Send,
    gateway: Recorder,
    terminal: io.StringIO,
    capfd: pytest.CaptureFixture[str],
    sent: bytes,
    status: int,
) -> None:
    answer = send(sent)

    assert answer.status == status
    assert json.loads(answer.body) == {"error": {"type": "bad_request", "message": "Bad request"}, "ok": False}
    assert answer.headers["Content-Type"] == "application/json"
    assert gateway.requests == []
    shown = terminal.getvalue() + "".join(capfd.readouterr())
    assert re.fullmatch(rf"[\d:]+  {status}  not a request  {answer.headers['seam-request-id']}\n", shown)


def test_a_multipart_form_is_a_request(send: Send) -> None:
    assert send(post("Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 0\r\n")).status == 200


def test_a_defect_of_the_gateway_is_shown_and_answered(send: Send, gateway: Recorder, terminal: io.StringIO) -> None:
    gateway.defect = RuntimeError("planted")

    answer = send(post(""))

    assert (answer.status, answer.error_type) == (500, "internal_server_error")
    assert "RuntimeError: planted" in terminal.getvalue()
    assert answer.headers["seam-request-id"] in terminal.getvalue().splitlines()[-1]


def test_the_line_on_the_terminal_is_one_and_holds_no_query(send: Send, terminal: io.StringIO) -> None:
    answer = send(b"P\x1b[31m\xe9 /\x1b[0m?token=seam_secret HTTP/1.1\r\n\r\n")

    assert answer.status == 200
    assert re.fullmatch(r"[\d:]+  200  P\\x1b\[31m\\xe9 /\\x1b\[0m  \d+ ms  [0-9a-f-]+\n", terminal.getvalue())


def test_head_has_no_body(send: Send) -> None:
    answer = send(b"HEAD / HTTP/1.1\r\n\r\n")

    assert (answer.status, answer.body) == (200, b"")


def test_a_functions_framing_headers_are_not_sent(send: Send, gateway: Recorder) -> None:
    gateway.headers = [("content-length", "3"), ("Transfer-Encoding", "chunked"), ("X-Own", "kept")]

    answer = send(post(""))

    assert (answer.body, answer.headers["X-Own"]) == (b"answer", "kept")
    assert "Transfer-Encoding" not in answer.headers


def test_a_folded_header_is_one_line(send: Send, gateway: Recorder) -> None:
    send(post("Origin: a\r\n b: c\r\n"))

    assert gateway.requests[0].header("origin") == "a b: c"


def test_a_port_can_be_taken_once() -> None:
    with listen(0) as listener, pytest.raises(StackError, match="is taken"):
        listen(listener.getsockname()[1])
