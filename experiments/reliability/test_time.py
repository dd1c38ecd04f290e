"""The time that an invocation has left bounds what it asks of a database that does not answer, or not well."""

import io
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, override

import pytest

from enrollment.store.attributes import marshal
from enrollment.store.client import create_client
from enrollment.store.keys import token_key
from enrollment.store.table import Table
from enrollments.local.stack import Stack, open_stack
from experiments import figures
from local_aws.functions import FunctionError, InvocationContext
from tests.events import event as event_of
from tests.serving import serving

pytestmark = pytest.mark.long

# Of a busy machine.  Not bounded, the same takes six seconds and more.
ALLOWANCE_SECONDS = 1
ENDPOINT = "AWS_ENDPOINT_URL_DYNAMODB"

type Answer = Callable[[str, Any], tuple[int, dict[str, Any]]]


def throttled(operation: str, request: Any) -> tuple[int, dict[str, Any]]:  # noqa: ARG001
    return 400, {"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"}


def in_the_way(operation: str, request: Any) -> tuple[int, dict[str, Any]]:
    """What DynamoDB answers that is not throttled as a whole, but never does all of it."""
    if operation == "TransactWriteItems":
        reasons = [{"Code": "TransactionConflict"} for _ in request["TransactItems"]]
        return 400, {"__type": "x#TransactionCanceledException", "CancellationReasons": reasons}
    if operation == "BatchGetItem":
        return 200, {"Responses": {}, "UnprocessedKeys": request["RequestItems"]}
    return throttled(operation, request)


@contextmanager
def silent() -> Iterator[str]:
    """Take connections and never answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield _address(listener)


@contextmanager
def unreachable() -> Iterator[str]:
    """Take no connection and refuse none: the queue of those that wait is full."""
    with ExitStack() as waiting, socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)  # noqa: FBT003
            client.connect_ex(listener.getsockname())
        yield _address(listener)


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """Answer every request, after a while."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, document = answer(self.headers["X-Amz-Target"].rpartition(".")[2], request)
            body = json.dumps(document).encode()
            time.sleep(0.15)
            with suppress(ConnectionError):  # it waits no longer
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        @override
        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with serving(server) as address:
        yield address


def _address(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


BEHAVIOURS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "never answers": silent,
    "takes no connection": unreachable,
    "throttles": lambda: answering(throttled),
    "leaves keys, has conflicts": lambda: answering(in_the_way),
}


@pytest.fixture(params=BEHAVIOURS)
def failing(request: pytest.FixtureRequest, project: Path) -> Iterator[tuple[str, Stack]]:
    """A stack that has been started, and whose functions then meet a database like that."""
    with (
        open_stack(project / "template.yaml", log=io.StringIO(), terminal=io.StringIO()) as stack,
        BEHAVIOURS[request.param]() as endpoint,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(ENDPOINT, endpoint)
        yield request.param, stack


def remaining(monkeypatch: pytest.MonkeyPatch, milliseconds: int) -> None:
    monkeypatch.setattr(InvocationContext, "get_remaining_time_in_millis", lambda _: milliseconds)


def test_a_function_answers_before_its_time_ends(failing: tuple[str, Stack], monkeypatch: pytest.MonkeyPatch) -> None:
    behaviour, stack = failing
    names = ("launch", "user_identities_delete", "acs_users_list", "delete")
    events = [event_of(name) for name in names]
    token = event_of("authorizer_api_key")
    rows: list[dict[str, Any]] = []
    for milliseconds in (0, 100, 800, 1500):
        remaining(monkeypatch, milliseconds)
        took = []
        for event in events:
            began = time.monotonic()
            answer = stack.invoke(event)
            took.append(time.monotonic() - began)
            assert answer["statusCode"] == 503, answer
            assert answer["multiValueHeaders"]["Retry-After"] == ["1"]
        began = time.monotonic()
        with pytest.raises(FunctionError):  # nobody gets in
            stack.invoke(token)
        took.append(time.monotonic() - began)
        if milliseconds == 0:  # the functions have been loaded
            continue
        assert max(took) < milliseconds / 1000 + ALLOWANCE_SECONDS, (behaviour, milliseconds, took)
        rows.append(
            {
                "the database": behaviour,
                "left, ms": milliseconds,
                "invocations": len(took),
                "longest, ms": round(1000 * max(took)),
            }
        )
    _record(rows)


@pytest.mark.parametrize("milliseconds", [100, 800, 1500])
def test_a_function_that_gets_no_credentials_answers_before_its_time_ends(
    project: Path, monkeypatch: pytest.MonkeyPatch, milliseconds: int
) -> None:
    event = event_of("launch")
    with (
        open_stack(project / "template.yaml", log=io.StringIO(), terminal=io.StringIO()) as stack,
        silent() as endpoint,
    ):
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint)
        remaining(monkeypatch, 0)
        stack.invoke(event)  # the function has been loaded
        remaining(monkeypatch, milliseconds)
        began = time.monotonic()

        answer = stack.invoke(event)

        assert time.monotonic() - began < milliseconds / 1000 + ALLOWANCE_SECONDS
    assert (answer["statusCode"], answer["multiValueHeaders"]["Retry-After"]) == (503, ["1"])


def test_a_function_that_has_little_time_left_answers_as_usual_when_the_database_does(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remaining(monkeypatch, 3000)
    with open_stack(project / "template.yaml", log=io.StringIO(), terminal=io.StringIO()) as stack:
        answer = stack.invoke(event_of("user_identities_list"))

    assert answer["statusCode"] == 200


def test_a_note_of_a_use_that_gets_no_answer_holds_up_no_decision(project: Path) -> None:
    token, log = event_of("authorizer_api_key"), io.StringIO()
    record: dict[str, Any] = {}

    def answer(operation: str, request: Any) -> tuple[int, dict[str, Any]]:  # noqa: ARG001
        if operation == "UpdateItem":
            time.sleep(5)
        return 200, record

    with (
        open_stack(project / "template.yaml", log=log, terminal=io.StringIO()) as stack,
        answering(answer) as endpoint,
        pytest.MonkeyPatch.context() as patch,
    ):
        found = Table(create_client(), stack.table_name).get(token_key("testDemo"))
        record["Item"] = marshal({name: value for name, value in (found or {}).items() if name != "last_used_at"})
        remaining(patch, 10_000)
        patch.setenv(ENDPOINT, endpoint)
        began = time.monotonic()

        decision = stack.invoke(token)

        took = time.monotonic() - began
    assert decision["policyDocument"]["Statement"][0]["Effect"] == "Allow"
    assert took < 1 + ALLOWANCE_SECONDS
    assert '"use not noted"' in log.getvalue()


_rows: list[dict[str, Any]] = []


def _record(rows: list[dict[str, Any]]) -> None:
    _rows.extend(rows)
    _rows.sort(key=lambda row: (list(BEHAVIOURS).index(row["the database"]), row["left, ms"]))
    figures.record("time", "How long an invocation takes that has so much time left and whose database fails", _rows)
