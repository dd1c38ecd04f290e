"""Whatever a database or an endpoint of credentials says when something goes wrong, none of it reaches a log."""

import io
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, override

import pytest

from enrollments.local.stack import Stack, open_stack
from local_aws.functions import FunctionError
from tests.events import event
from tests.serving import serving

pytestmark = pytest.mark.long

PERSONAL = "MariaMustermann"
_SPOKEN = f"{PERSONAL} maria@example.com"
ITEM = {"full_name": {"S": _SPOKEN}}

type Answer = tuple[int, bytes]


def error(code: str, status: int = 400, **more: Any) -> Answer:
    return status, json.dumps({"__type": f"x#{code}", "message": _SPOKEN, "Message": _SPOKEN, **more}).encode()


ANSWERS: Mapping[str, Answer] = {
    "refuses the request": error("ValidationException"),
    "lets nobody in": error("AccessDeniedException"),
    "has an error that nobody knows": error(f"{_SPOKEN}Exception"),
    "is throttled": error("ProvisionedThroughputExceededException"),
    "has a failure": error("InternalServerError", 500),
    "cancels for a condition, with the item": error(
        "TransactionCanceledException", CancellationReasons=[{"Code": "ConditionalCheckFailed", "Item": ITEM}] * 9
    ),
    "cancels for another reason": error(
        "TransactionCanceledException",
        CancellationReasons=[{"Code": "ValidationError", "Message": _SPOKEN, "Item": ITEM}] * 9,
    ),
    "gives an item of another form": (200, json.dumps({"Item": ITEM, "Items": [ITEM], "Responses": ITEM}).encode()),
    "gives half an answer": (200, f'{{"Item": {{"full_name": "{_SPOKEN}'.encode()),
    "gives bytes that are no text": (200, _SPOKEN.encode() + b"\xff"),
    "gives a page": (503, f"<html>{_SPOKEN}</html>".encode()),
    "gives a page as an answer": (200, f"<html>{_SPOKEN}</html>".encode()),
    "gives a list": (200, json.dumps([_SPOKEN]).encode()),
    "gives items that are none": (200, json.dumps({"Item": {_SPOKEN: {_SPOKEN: _SPOKEN, "S": "x"}}}).encode()),
}
EVENTS = ("launch", "launch_without_options", "delete", "user_identities_get", "acs_users_list")


@dataclass
class Server:
    """A server whose every answer is the one that it is told."""

    address: str
    answer: Answer = (200, b"{}")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    told = Server("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._give()

        def do_GET(self) -> None:
            self._give()

        def _give(self) -> None:
            status, body = told.answer
            with suppress(ConnectionError):
                self.send_response(status)
                self.send_header("x-amzn-RequestId", _SPOKEN)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        @override
        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    with serving(listening) as told.address:
        yield told


@dataclass(frozen=True)
class Functions:
    """Functions, all that they print, and what libraries log as Lambda's runtime would keep it."""

    stack: Stack
    log: io.StringIO
    terminal: io.StringIO

    def printed(self) -> str:
        for stream in (self.log, self.terminal):
            stream.seek(0)
            stream.truncate()
        for name in EVENTS:
            answer = self.stack.invoke(event(name))
            assert answer["statusCode"] >= 500 or answer["statusCode"] in {200, 404, 409}
            assert "exception" not in answer["body"]
        with suppress(FunctionError):
            self.stack.invoke(event("authorizer_api_key"))
        assert len(self.log.getvalue().splitlines()) >= len(EVENTS) + 1
        return self.log.getvalue() + self.terminal.getvalue()


@pytest.fixture
def functions(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Mapping[str, str]], Functions]]:
    """Functions whose requests to the database are repeated at once, in an environment that a test adds to."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    log, terminal = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(log)  # as Lambda's runtime does, at the root
    with open_stack(project / "template.yaml", log=log, terminal=terminal) as stack:
        logging.getLogger().addHandler(handler)

        def with_environment(variables: Mapping[str, str]) -> Functions:
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
            return Functions(stack, log, terminal)

        yield with_environment
        logging.getLogger().removeHandler(handler)


def test_nothing_that_the_database_says_is_logged(
    server: Server, functions: Callable[[Mapping[str, str]], Functions]
) -> None:
    functions_with_failures = functions({"AWS_ENDPOINT_URL_DYNAMODB": server.address})

    for name, answer in ANSWERS.items():
        server.answer = answer
        assert PERSONAL not in functions_with_failures.printed(), name


def test_nothing_that_an_endpoint_of_credentials_says_is_logged(
    server: Server,
    functions: Callable[[Mapping[str, str]], Functions],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    functions_with_failures = functions({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.address}/{PERSONAL}"})
    keys = dict.fromkeys(("AccessKeyId", "SecretAccessKey", "Token"), _SPOKEN)

    for answer in (
        (500, _SPOKEN.encode()),
        (200, _SPOKEN.encode()),
        (200, json.dumps(keys).encode()),
        (200, json.dumps(keys | {"Expiration": _SPOKEN}).encode()),
        (200, json.dumps(keys | {"Expiration": "2020-01-01T00:00:00Z"}).encode()),
    ):
        server.answer = answer
        assert PERSONAL not in functions_with_failures.printed(), answer
