"""Credentials from the endpoint that Lambda names to a function which starts from a snapshot."""

import json
import random
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, override

import pytest
from botocore.exceptions import CredentialRetrievalError, ReadTimeoutError

from enrollment.aws.credentials import ContainerCredentials
from enrollment.aws.deadline import ending_before
from enrollment.errors import ServiceUnavailable
from enrollment.store.client import create_client
from tests.serving import serving

KEYS = {"AccessKeyId": "id", "SecretAccessKey": "made-up", "Token": "token"}
# Of what ends before the deadline: for the answer and its lines, and of a busy machine.
RESERVE_MS, ALLOWANCE_SECONDS = 250, 1


def good_for(minutes: int) -> bytes:
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    return json.dumps(KEYS | {"Expiration": until.isoformat()}).encode()


class Endpoint(ThreadingHTTPServer):
    """An endpoint that gives these answers one after the other, the last one again and again."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, bytes]] = []
        self.asked: list[str | None] = []


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_GET(self) -> None:
        self.server.asked.append(self.headers["Authorization"])
        answers = self.server.answers
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    server = Endpoint()
    with serving(server) as address:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{address}/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "authorization")
        yield server


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An endpoint that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{listener.getsockname()[1]}/")
        yield


def test_credentials_are_asked_for_when_they_are_needed_and_kept(endpoint: Endpoint) -> None:
    endpoint.answers = [(HTTPStatus.OK, good_for(minutes=60))]

    credentials = ContainerCredentials()

    assert endpoint.asked == []
    found = [credentials.get_frozen_credentials() for _ in range(3)]
    assert {(one.access_key, one.secret_key, one.token) for one in found} == {("id", "made-up", "token")}
    assert endpoint.asked == ["authorization"]


@pytest.mark.parametrize("failure", [(HTTPStatus.INTERNAL_SERVER_ERROR, b""), (HTTPStatus.OK, b"{")], ids=range(2))
def test_an_endpoint_that_fails_for_a_moment_is_asked_again(endpoint: Endpoint, failure: tuple[int, bytes]) -> None:
    endpoint.answers = [failure, failure, (HTTPStatus.OK, good_for(minutes=60))]

    assert ContainerCredentials(sleep=lambda _: None).get_frozen_credentials().access_key == "id"


@pytest.mark.parametrize(
    "answer",
    [
        (HTTPStatus.INTERNAL_SERVER_ERROR, b"secret"),
        (HTTPStatus.OK, b"secret"),
        (HTTPStatus.OK, b"\xff"),
        (HTTPStatus.OK, b"[]"),
        (HTTPStatus.OK, json.dumps(KEYS).encode()),
        (HTTPStatus.OK, json.dumps(KEYS | {"Expiration": "soon"}).encode()),
        (HTTPStatus.OK, good_for(minutes=-1)),
    ],
    ids=range(7),
)
def test_what_gives_no_usable_credentials_is_said_so(endpoint: Endpoint, answer: tuple[int, bytes]) -> None:
    endpoint.answers = [answer]

    with pytest.raises(CredentialRetrievalError):
        ContainerCredentials(sleep=lambda _: None).get_frozen_credentials()


def test_credentials_are_had_once_the_endpoint_has_recovered(endpoint: Endpoint) -> None:
    credentials = ContainerCredentials(sleep=lambda _: None)
    endpoint.answers = [(HTTPStatus.INTERNAL_SERVER_ERROR, b"")]
    with pytest.raises(CredentialRetrievalError):
        credentials.get_frozen_credentials()

    endpoint.answers = [(HTTPStatus.OK, good_for(minutes=60))]

    assert credentials.get_frozen_credentials().access_key == "id"


def test_credentials_that_still_work_are_used_while_the_endpoint_fails(endpoint: Endpoint) -> None:
    credentials = ContainerCredentials(sleep=lambda _: None)
    endpoint.answers = [(HTTPStatus.OK, good_for(minutes=12))]
    credentials.get_frozen_credentials()

    endpoint.answers = [(HTTPStatus.INTERNAL_SERVER_ERROR, b"")]

    assert credentials.get_frozen_credentials().access_key == "id"


class NoAnswer:
    """HTTP sessions that get no answer.

    Attributes:
        timeouts: With which they were opened, to connect and to read, in seconds.
    """

    def __init__(self) -> None:
        self.timeouts: list[tuple[float, float]] = []

    def __call__(self, timeouts: tuple[float, float]) -> "NoAnswer":
        self.timeouts.append(timeouts)
        return self

    def send(self, request: Any) -> Any:
        raise ReadTimeoutError(endpoint_url=request.url)


@pytest.mark.usefixtures("silent")
def test_each_of_three_attempts_has_half_a_second_to_connect_and_one_for_the_answer() -> None:
    sessions = NoAnswer()

    with pytest.raises(CredentialRetrievalError):
        ContainerCredentials(open_session=sessions, sleep=lambda _: None).get_frozen_credentials()

    assert sessions.timeouts == [(0.5, 1.0)] * 3


@pytest.mark.usefixtures("silent")
def test_an_attempt_has_no_more_than_the_invocation_has_left() -> None:
    sessions = NoAnswer()

    with ending_before(400 + RESERVE_MS), pytest.raises(CredentialRetrievalError):
        ContainerCredentials(open_session=sessions, sleep=lambda _: None, draw=lambda *_: 0).get_frozen_credentials()

    assert sessions.timeouts[0] == pytest.approx((0.2, 0.2), abs=0.1)


@pytest.mark.usefixtures("silent")
def test_pauses_are_drawn_up_to_400_ms() -> None:
    pauses: list[float] = []
    ranges: list[tuple[float, float]] = []

    def draw(least: float, most: float) -> float:
        ranges.append((least, most))
        return most / 4

    with pytest.raises(CredentialRetrievalError):
        ContainerCredentials(open_session=NoAnswer(), sleep=pauses.append, draw=draw).get_frozen_credentials()

    assert set(ranges) == {(0, 0.4)}
    assert set(pauses) == {0.1}


@pytest.mark.usefixtures("silent")
def test_processes_from_one_snapshot_pause_for_different_times() -> None:
    pauses: list[list[float]] = [[], []]
    state = random.getstate()

    for sleeps in pauses:
        random.setstate(state)  # as a snapshot would
        with pytest.raises(CredentialRetrievalError):
            ContainerCredentials(open_session=NoAnswer(), sleep=sleeps.append).get_frozen_credentials()

    assert pauses[0] != pauses[1]


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("milliseconds", [0, 400, 1500])
def test_the_invocations_time_bounds_the_wait_for_credentials(milliseconds: int) -> None:
    begun = time.monotonic()

    with (
        ending_before(milliseconds + RESERVE_MS),
        pytest.raises((ServiceUnavailable, CredentialRetrievalError)),
    ):
        ContainerCredentials().get_frozen_credentials()

    assert time.monotonic() - begun < milliseconds / 1000 + ALLOWANCE_SECONDS


@pytest.mark.usefixtures("silent")
def test_a_client_is_made_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    begun = time.monotonic()

    create_client()

    assert time.monotonic() - begun < ALLOWANCE_SECONDS
