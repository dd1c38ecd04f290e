"""Stands between botocore and a DynamoDB server, and interferes with a request of one's choice.

What goes wrong goes wrong on the wire: ports that refuse, connections that are reset, answers that never come.
moto takes no notice of a transaction's ``ClientRequestToken``; DynamoDB answers one that it has committed in the last
ten minutes as it did before, without doing it again.  In front of moto the proxy gives that, so that botocore's own
retries find what they would find on AWS.
"""

import json
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from http.client import HTTPConnection
from urllib.parse import urlsplit
from zlib import crc32

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_MOST_OF_A_HEAD = 64 * 1024
_LONGEST_FORWARD_SECONDS = 30


class Fault(Enum):
    """A fault that a request meets."""

    REFUSED = "connection refused"
    RESET_BEFORE = "reset before it is done"
    RESET_AFTER = "reset when it is done"
    SILENCE_BEFORE = "time-out, not done"
    SILENCE_AFTER = "time-out, but done"
    ERROR_BEFORE = "500, not done"
    ERROR_AFTER = "500, but done"
    PAGE = "503 with a page of HTML"
    EXCEEDED = "ProvisionedThroughputExceededException"
    THROTTLED = "ThrottlingException"
    CONFLICT = "TransactionConflict in a cancelled transaction"
    IN_PROGRESS = "TransactionInProgressException"
    CUT_OFF = "answer cut off, but done"
    DAMAGED = "answer that its checksum does not fit, but done"

    @property
    def is_for_transactions(self) -> bool:
        """Whether only transactions can meet it."""
        return self in {Fault.CONFLICT, Fault.IN_PROGRESS}


_DONE_BEFORE = {Fault.RESET_AFTER, Fault.SILENCE_AFTER, Fault.ERROR_AFTER, Fault.CUT_OFF, Fault.DAMAGED}
_ERROR_CODES = {
    Fault.ERROR_BEFORE: (500, "InternalServerError"),
    Fault.ERROR_AFTER: (500, "InternalServerError"),
    Fault.EXCEEDED: (400, "ProvisionedThroughputExceededException"),
    Fault.THROTTLED: (400, "ThrottlingException"),
    Fault.CONFLICT: (400, "TransactionCanceledException"),
    Fault.IN_PROGRESS: (400, "TransactionInProgressException"),
}


@dataclass(frozen=True)
class Plan:
    """Which request is interfered with.

    Attributes:
        fault: How.
        at: The first, counted from 1 among those that can meet the fault.
        is_lasting: All from that one on; else no other.
    """

    fault: Fault
    at: int
    is_lasting: bool


@dataclass(frozen=True)
class Counts:
    """What the proxy has seen since it was armed.

    Attributes:
        requests: The operation of each request that arrived for the first time, ``GetItem`` for instance.
        met: How many met the fault.
    """

    requests: tuple[str, ...]
    met: int


@dataclass(frozen=True)
class _Message:
    """A request or an answer as HTTP."""

    start: str
    headers: Mapping[str, str]
    body: bytes

    def head(self, *more: str) -> bytes:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers.items()), *more]
        return "\r\n".join([*lines, f"content-length: {len(self.body)}", "", ""]).encode("latin-1")

    @property
    def operation(self) -> str:
        return self.headers["x-amz-target"].partition(".")[2]

    @property
    def is_first_attempt(self) -> bool:
        return "attempt=1" in self.headers.get("amz-sdk-request", "")


class Proxy:
    """Passes requests on, but for those that it is armed for.

    Args:
        upstream: The address of the server.
        remembers_transactions: Answer a transaction that is committed already as the first time.
    """

    def __init__(self, upstream: str, *, remembers_transactions: bool) -> None:
        address = urlsplit(upstream)
        self._upstream = (str(address.hostname), int(address.port or 80))
        self._remembers = remembers_transactions
        self._committed: dict[str, _Message] = {}
        self._transaction = threading.Lock()
        self._guard = threading.Condition()
        self._plan: Plan | None = None
        self._requests: list[str] = []
        self._counted = self._met = self._being_done = 0
        self._connections: set[socket.socket] = set()
        self._reserved = _reserve(0)
        self._port = self._reserved.getsockname()[1]
        self._listener: socket.socket | None = None
        self._listen()

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self._port}"

    def arm(self, plan: Plan | None = None) -> None:
        """Count requests from now on, and interfere as planned."""
        with self._guard:
            self._plan, self._requests, self._counted, self._met = plan, [], 0, 0
            if plan is not None and plan.fault is Fault.REFUSED and plan.at == 1:
                self._refuse()

    def disarm(self) -> Counts:
        """Let everything through again, when what is on its way is done, and return what was seen."""
        with self._guard:
            self._plan = None
            self._listen()
            self._guard.wait_for(lambda: not self._being_done, _LONGEST_FORWARD_SECONDS)
            return Counts(tuple(self._requests), self._met)

    def is_silent_next(self) -> bool:
        """Return whether the next request will get no answer, so that waiting long for it is of no use."""
        with self._guard:
            plan = self._plan
            if plan is None or plan.fault not in {Fault.SILENCE_BEFORE, Fault.SILENCE_AFTER}:
                return False
            return self._counted + 1 == plan.at or (self._counted + 1 > plan.at and plan.is_lasting)

    def client_waits(self) -> None:
        """Be told that a client that got no good answer waits before it tries again; a refusal can end only then."""
        with self._guard:
            if self._plan is None or self._plan.fault is not Fault.REFUSED or self._listener is not None:
                return
            self._met += 1
            if not self._plan.is_lasting:
                self._plan = None
                self._listen()

    def close(self) -> None:
        """End all connections."""
        with self._guard:
            self._refuse()
            self._reserved.close()

    # Both with the guard held, but at the start.

    def _listen(self) -> None:
        if self._listener is not None:
            return
        self._reserved.listen(128)
        self._listener = self._reserved
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def _refuse(self) -> None:
        if self._listener is None:
            return
        self._listener.shutdown(socket.SHUT_RDWR)  # else the thread that accepts would keep it
        self._listener.close()
        self._listener = None
        self._reserved = _reserve(self._port)
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._guard:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        upstream = HTTPConnection(*self._upstream, timeout=_LONGEST_FORWARD_SECONDS)
        try:
            with suppress(OSError):
                while (request := _read(connection)) and self._handle(connection, upstream, request):
                    pass
        finally:
            with self._guard:
                self._connections.discard(connection)
            connection.close()
            upstream.close()

    def _handle(self, connection: socket.socket, upstream: HTTPConnection, request: _Message) -> bool:
        """Answer a request or interfere with it; return whether the connection goes on."""
        with self._guard:
            fault = self._fault_for(request)
            is_done = fault is None or fault in _DONE_BEFORE
            self._being_done += is_done
        answer = None
        if is_done:
            try:
                answer = self._forward(upstream, request)
            finally:
                with self._guard:
                    self._being_done -= 1
                    self._guard.notify_all()
        if fault is None and answer is not None:
            is_last = self._refuses_next(connection)
            connection.sendall(answer.head(*["connection: close"] if is_last else []) + answer.body)
            return not is_last
        return fault is not None and _interfere(connection, fault, request, answer)

    def _fault_for(self, request: _Message) -> Fault | None:
        if request.is_first_attempt:
            self._requests.append(request.operation)
        plan = self._plan
        if plan is None or (plan.fault.is_for_transactions and request.operation != "TransactWriteItems"):
            return None
        self._counted += 1
        if plan.fault is Fault.REFUSED or self._counted < plan.at or (self._counted > plan.at and not plan.is_lasting):
            return None
        self._met += 1
        return plan.fault

    def _refuses_next(self, connection: socket.socket) -> bool:
        """Refuse from now on, if the next request is to be the first refused; the client is told to connect anew."""
        with self._guard:
            plan = self._plan
            if plan is None or plan.fault is not Fault.REFUSED or self._counted != plan.at - 1:
                return False
            self._connections.discard(connection)  # its answer is still to be sent
            self._refuse()
            return True

    def _forward(self, upstream: HTTPConnection, request: _Message) -> _Message:
        if not self._remembers or request.operation != "TransactWriteItems":
            return _answer_of(upstream, request)
        token = json.loads(request.body)["ClientRequestToken"]
        with self._transaction:  # the first attempt can still be on its way
            if token not in self._committed:
                answer = _answer_of(upstream, request)
                if answer.start.split()[1] != "200":
                    return answer
                self._committed[token] = answer
            return self._committed[token]


def _reserve(port: int) -> socket.socket:
    """Return a socket that keeps a port from others; as it does not listen, the port refuses."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of before may linger
    reserved.bind(("127.0.0.1", port))
    return reserved


def _answer_of(upstream: HTTPConnection, request: _Message) -> _Message:
    upstream.request("POST", "/", request.body, dict(request.headers))
    response = upstream.getresponse()
    body = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    headers.setdefault("x-amz-crc32", str(crc32(body)))  # DynamoDB sends it always; moto forgets it with errors
    kept = {name: headers[name] for name in ("content-type", "x-amz-crc32")}
    return _Message(f"HTTP/1.1 {response.status} {response.reason}", kept, body)


def _read(connection: socket.socket) -> _Message | None:
    """Return the next request; ``None`` when there is none."""
    received = b""
    while b"\r\n\r\n" not in received and len(received) < _MOST_OF_A_HEAD:
        if not (more := connection.recv(_MOST_OF_A_HEAD)):
            return None
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    start, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.pop("content-length", "0"))
    while len(body) < length:
        if not (more := connection.recv(length - len(body))):
            return None
        body += more
    return _Message(start, headers, body)


def _interfere(connection: socket.socket, fault: Fault, request: _Message, answer: _Message | None) -> bool:
    """Do to a client what a fault does; return whether the connection goes on."""
    if fault in {Fault.RESET_BEFORE, Fault.RESET_AFTER}:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        return False
    if fault in {Fault.SILENCE_BEFORE, Fault.SILENCE_AFTER}:
        connection.recv(1)  # nothing, when the client gives up
        return False
    if fault is Fault.CUT_OFF and answer is not None:
        connection.sendall(answer.head() + _cut(answer.body))
        return False
    if fault is Fault.DAMAGED and answer is not None:
        half = _Message(answer.start, answer.headers, _cut(answer.body))
        connection.sendall(half.head() + half.body)
        return True
    failure = _failure(fault, request)
    connection.sendall(failure.head() + failure.body)
    return True


def _cut(body: bytes) -> bytes:
    """Return the first half of a body; or, if it has a character of several bytes, what ends within the first one."""
    within = next((index for index, byte in enumerate(body) if byte >= 0x80), None)
    return body[: len(body) // 2 if within is None else within + 1]


def _failure(fault: Fault, request: _Message) -> _Message:
    if fault is Fault.PAGE:
        page = b"<html><head><title>503 Service Unavailable</title></head><body></body></html>"
        return _Message("HTTP/1.1 503 Service Unavailable", {"content-type": "text/html"}, page)
    status, code = _ERROR_CODES[fault]
    error: dict[str, object] = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "The proxy's"}
    if fault is Fault.CONFLICT:
        others = len(json.loads(request.body)["TransactItems"]) - 1
        error["CancellationReasons"] = [{"Code": "TransactionConflict", "Message": "m"}] + [{"Code": "None"}] * others
    body = json.dumps(error).encode()
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-crc32": str(crc32(body))}
    return _Message(f"HTTP/1.1 {status} Failed", headers, body)


@contextmanager
def open_proxy(upstream: str, *, remembers_transactions: bool) -> Iterator[Proxy]:
    """Open a proxy until the context ends.

    Args:
        upstream: The address of the server.
        remembers_transactions: For a server that takes no notice of ``ClientRequestToken``.
    """
    proxy = Proxy(upstream, remembers_transactions=remembers_transactions)
    try:
        yield proxy
    finally:
        proxy.close()
