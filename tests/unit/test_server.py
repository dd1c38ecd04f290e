"""HTTP in front of a gateway: what is no request, what is half of one, and what is shown of it."""

import io
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime

import pytest

from local_aws.errors import StackError
from local_aws.gateway import LARGEST_BODY, Gateway, Request, Response
from local_aws.rest_api import GatewayResponse, RestApi
from local_aws.server import Server, listen

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
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(RestApi("local", "prod", {}, {}, RESPONSES, None), lambda _name, _event: None)

    def handle(self, request: Request) -> Response:
        self.requests.append(request)
        if self.defect is not None:
            raise self.defect
        return Response(self.status, self.headers, b"answer")


def page(request: Request) -> Response:
    return Response(200, [], request.target.encode())


def page_of_one_verb(request: Request) -> Response | None:
    return page(request) if request.method == "GET" else None


def broken_page(_request: Request) -> Response:
    raise RuntimeError("planted")


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
    server = Server(listen(0), gateway, terminal, {"/page": page, "/path": page_of_one_verb, "/broken": broken_page})
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(port: int) -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as client:
        yield client


@pytest.fixture
def send(client: socket.socket) -> Send:
    """Send bytes, close the sending side, and read the answer to its end."""

    def send_(sent: bytes) -> Answer:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        received = read(client)
        head, _, body = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return Answer(int(status.split()[1]), headers, body)

    return send_


def read(client: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def post(head: str, body: bytes = b"") -> bytes:
    return f"POST /path?token={SECRET} HTTP/1.1\r\nHost: x\r\n{head}\r\n".encode() + body


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


CHUNKED = "Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("head", "sent", "body"),
    [
        ("", b"", b""),
        ("Content-Length: 0\r\n", b"", b""),
        ("content-length: 4\r\n", b"body", b"body"),
        ("transfer-encoding: Chunked\r\n", b"2\r\nbo\r\n02\r\ndy\r\n0\r\n\r\n", b"body"),
        (CHUNKED, b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (CHUNKED, b'4;name=value;other="a b"\r\nbody\r\n0;last\r\n\r\n', b"body"),
        (CHUNKED, b"4\r\nbody\r\n0\r\nSum: 1\r\nOther:\r\n\r\n", b"body"),
    ],
)
def test_a_body_is_read_to_its_end(
    client: socket.socket, gateway: Recorder, head: str, sent: bytes, body: bytes
) -> None:
    client.sendall(post(head, sent) + post("Connection: close\r\n"))

    assert read(client).endswith(b"\r\n\r\nanswer")
    assert [request.body for request in gateway.requests] == [body, b""]


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 5\r\n", b"body"),
        *(
            (f"Content-Length: {n}\r\n", b"body")
            for n in ("-1", "abc", "1.5", "+4", "1_0", "", "4, 5", "0x4", "9" * 5000)
        ),
        ("Content-Length: 4\r\nContent-Length: 5\r\n", b"body"),
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"4\r\nbody\r\n0\r\n\r\n"),
        (CHUNKED, b""),
        (CHUNKED, b"4"),
        (CHUNKED, b"4\r\n"),
        (CHUNKED, b"4\r\nbo"),
        (CHUNKED, b"4\r\nbody"),
        (CHUNKED, b"4\r\nbody\r\n"),
        (CHUNKED, b"4\r\nbody\r\n0\r\n"),
        (CHUNKED, b"4\r\nbody\r\n0\r\nSum: 1\r\n"),
        (CHUNKED, b"4\r\nbody\r\n0\r\nno trailer\r\n\r\n"),
        (CHUNKED, b"3\r\nbody\r\n0\r\n\r\n"),
        (CHUNKED, b"4\nbody\n0\n\n"),
        (CHUNKED, b"-4\r\nbody\r\n0\r\n\r\n"),
        (CHUNKED, b"0x4\r\nbody\r\n0\r\n\r\n"),
        (CHUNKED, b"\r\nbody\r\n0\r\n\r\n"),
        (CHUNKED, b"junk\r\n"),
    ],
)
def test_a_body_that_is_none_is_refused(send: Send, gateway: Recorder, head: str, body: bytes) -> None:
    answer = send(post(head, body))

    assert (answer.status, answer.error_type) == (400, "bad_request")
    assert answer.headers["seam-request-id"]
    assert answer.headers["Content-Type"] == "application/json"
    assert gateway.requests == []


@pytest.mark.parametrize("encodings", ["gzip, chunked", "identity", "chunked\r\nTransfer-Encoding: chunked"])
def test_an_encoding_other_than_chunked_is_refused(send: Send, gateway: Recorder, encodings: str) -> None:
    answer = send(post(f"Transfer-Encoding: {encodings}\r\n", b"0\r\n\r\n"))

    assert (answer.status, answer.error_type) == (501, "bad_request")
    assert gateway.requests == []


@pytest.mark.parametrize("head", [f"Content-Length: {2 * LARGEST_BODY}\r\n", CHUNKED])
def test_of_a_body_that_is_too_large_the_gateway_gets_enough_to_refuse_it(
    send: Send, gateway: Recorder, head: str
) -> None:
    answer = send(post(head, b"%x\r\n" % (2 * LARGEST_BODY) + b"x" * 2 * LARGEST_BODY))

    assert (answer.body, answer.headers["Connection"]) == (b"answer", "close")
    assert LARGEST_BODY < len(gateway.requests[0].body) < 1.1 * LARGEST_BODY


def test_headers_keep_their_case_their_order_and_their_repetitions(send: Send, gateway: Recorder) -> None:
    send(post("x-TWO: 1\r\nB:\t2 3 \r\nX-two: caf\u00e9\r\n"))

    assert gateway.requests[0].headers == [("Host", "x"), ("x-TWO", "1"), ("B", "2 3"), ("X-two", "caf\u00c3\u00a9")]


def test_a_folded_header_is_one_line(send: Send, gateway: Recorder) -> None:
    send(post("Origin: a\r\n b: c\r\n"))

    assert gateway.requests[0].header("origin") == "a b: c"


def test_a_client_keeps_its_connection(client: socket.socket, gateway: Recorder) -> None:
    client.sendall(get("/first"))
    first = client.recv(65536)
    client.sendall(get("/second"))
    second = client.recv(65536)

    assert b"close" not in first + second
    assert [request.target for request in gateway.requests] == ["/first", "/second"]


@pytest.mark.parametrize(
    "asked", [get("/").replace(b"x\r\n", b"x\r\nConnection: close\r\n"), b"GET / HTTP/1.0\r\n\r\n"]
)
def test_a_client_can_ask_for_the_end_of_its_connection(client: socket.socket, asked: bytes) -> None:
    client.sendall(asked)

    assert b"\r\nConnection: close\r\n" in read(client)


def test_a_client_may_wait_until_its_body_is_wanted(client: socket.socket, gateway: Recorder) -> None:
    client.sendall(post("Content-Length: 4\r\nExpect: 100-continue\r\n"))
    assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"

    client.sendall(b"body")

    assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    assert gateway.requests[0].body == b"body"


def test_a_slow_client_holds_up_nobody(client: socket.socket, port: int) -> None:
    client.sendall(post("Content-Length: 5\r\n", b"body"))

    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as other:
        other.sendall(get("/"))

        assert other.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_client_that_has_gone_is_no_request(port: int, gateway: Recorder, terminal: io.StringIO) -> None:
    with closing(socket.create_connection(("127.0.0.1", port))) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closing resets the connection
        client.sendall(post("Content-Length: 5\r\n", b"body"))
    with closing(socket.create_connection(("127.0.0.1", port))) as client:
        client.sendall(get("/next"))
        client.recv(65536)

    assert [request.target for request in gateway.requests] == ["/next"]
    assert "Traceback" not in terminal.getvalue()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (f"GET /{SECRET} {SECRET} HTTP/1.1\r\n\r\n".encode(), 400),
        (f"{SECRET}\r\n\r\n".encode(), 400),
        (f"{SECRET}".encode(), 400),
        (f"POST /{SECRET}\r\n\r\n".encode(), 400),
        (f"GET /{SECRET} HTTP/{SECRET}\r\n\r\n".encode(), 400),
        (f"GET /{SECRET} HTTP/2.0\r\n\r\n".encode(), 505),
        (f"GET /{SECRET} HTTP/1.1\r\n\r\n".encode(), 400),
        (f"GET /{SECRET}{'x' * 70_000} HTTP/1.1\r\n\r\n".encode(), 414),
        (post(f"Authorization: {SECRET}{'x' * 70_000}\r\n"), 431),
        (post(f"A: {SECRET}\r\n" * 2000), 431),
        (post(f"no header {SECRET}\r\nContent-Length: 4\r\n", b"body"), 400),
        (post(f"Authorization : {SECRET}\r\n"), 400),
        (post(f"Host: {SECRET}\r\n"), 400),
        (post(f"A: \0{SECRET}\r\n"), 400),
        (f"P\x1b[31m /{SECRET} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 400),
        (f"GET /\x1b[0m{SECRET} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 400),
        (f"GET /\u00e9{SECRET} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 400),
        (b"\x16\x03\x01 the beginning of TLS", 400),
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


def test_what_follows_a_request_and_is_none_is_refused(client: socket.socket, gateway: Recorder) -> None:
    client.sendall(get("/first") + b"junk\r\n\r\n")

    received = read(client)

    assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"200", b"400"]
    assert len(gateway.requests) == 1


def test_a_client_that_says_nothing_is_no_request(client: socket.socket, terminal: io.StringIO) -> None:
    client.shutdown(socket.SHUT_WR)

    assert (read(client), terminal.getvalue()) == (b"", "")


def test_a_multipart_form_is_a_request(send: Send) -> None:
    assert send(post("Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 0\r\n")).status == 200


def test_a_defect_of_the_gateway_is_shown_and_answered(send: Send, gateway: Recorder, terminal: io.StringIO) -> None:
    gateway.defect = RuntimeError("planted")

    answer = send(post(""))

    assert (answer.status, answer.error_type) == (500, "internal_server_error")
    assert "RuntimeError: planted" in terminal.getvalue()
    assert answer.headers["seam-request-id"] in terminal.getvalue().splitlines()[-1]


def test_the_line_on_the_terminal_is_one_and_holds_no_query(send: Send, terminal: io.StringIO) -> None:
    send(post(""))

    assert re.fullmatch(r"[\d:]+  200  POST   /path  \d+ ms  [0-9a-f-]+\n", terminal.getvalue())


def test_an_answer_says_how_long_it_is_and_when_it_was_made(send: Send) -> None:
    answer = send(get("/"))

    assert (answer.headers["Content-Length"], answer.body) == ("6", b"answer")
    assert parsedate_to_datetime(answer.headers["Date"]).tzinfo is UTC


def test_head_has_no_body(send: Send) -> None:
    answer = send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")

    assert (answer.status, answer.headers["Content-Length"], answer.body) == (200, "6", b"")


@pytest.mark.parametrize("head", ["Content-Length: 5\r\n", f"Content-Length: 5\r\n{CHUNKED}"])
def test_a_refused_head_has_no_body(send: Send, head: str) -> None:
    answer = send(f"HEAD / HTTP/1.1\r\nHost: x\r\n{head}\r\nbody".encode())

    assert (answer.status, answer.body) == (400, b"")


def test_what_is_refused_after_a_head_is_told_why(client: socket.socket) -> None:
    client.sendall(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\njunk\r\n\r\n")

    assert b'"type":"bad_request"' in read(client)


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_none(send: Send, gateway: Recorder, status: int) -> None:
    gateway.status = status

    answer = send(get("/"))

    assert (answer.status, answer.body) == (status, b"")
    assert "Content-Length" not in answer.headers


def test_a_functions_framing_headers_are_not_sent(send: Send, gateway: Recorder) -> None:
    gateway.headers = [("content-length", "3"), ("Transfer-Encoding", "chunked"), ("X-Own", "kept")]

    answer = send(post(""))

    assert (answer.body, answer.headers["X-Own"]) == (b"answer", "kept")
    assert "Transfer-Encoding" not in answer.headers


def test_a_functions_headers_are_sent_with_their_case_and_without_spaces_around(send: Send, gateway: Recorder) -> None:
    gateway.headers = [("x-OWN", " caf\u00e9\u00a0\t")]

    assert send(get("/")).headers["x-OWN"] == "caf\u00e9\u00a0"


@pytest.mark.parametrize("target", ["/page", "/page/", "/page/x/../y", "/page?q", "/%70age"])
def test_a_page_stands_beside_the_gateway(send: Send, gateway: Recorder, target: str) -> None:
    assert send(get(target)).body == target.encode()
    assert gateway.requests == []


@pytest.mark.parametrize("target", ["/", "/pages", "/x/page", "*", "http://x/page", "/page%2Fx"])
def test_other_paths_stay_the_gateways(send: Send, target: str) -> None:
    assert send(get(target)).body == b"answer"


def test_what_a_page_leaves_is_the_gateways(send: Send) -> None:
    assert send(post("")).body == b"answer"


def test_a_defect_of_a_page_is_shown_and_answered(send: Send, terminal: io.StringIO) -> None:
    answer = send(get("/broken"))

    assert (answer.status, answer.error_type) == (500, "internal_server_error")
    assert "RuntimeError: planted" in terminal.getvalue()


def test_a_port_can_be_taken_once() -> None:
    with listen(0) as listener, pytest.raises(StackError, match="is taken"):
        listen(listener.getsockname()[1])
