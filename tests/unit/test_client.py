"""The settings of the client of DynamoDB, as docs/decisions/table.md, failures.md and speed.md promise them."""

import json
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, override

import pytest

from enrollment.aws.deadline import ending_before
from enrollment.errors import ServiceUnavailable
from enrollment.store.client import create_client
from enrollment.store.keys import Key
from enrollment.store.table import Table
from local_aws.functions import environment
from tests.serving import serving

KEY = Key("here", "x")


class Server(ThreadingHTTPServer):
    """A DynamoDB that has nothing, and notes who asks.

    Attributes:
        connections: How many it has taken.
        user_agents: Of each request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.connections = 0
        self.user_agents: list[str | None] = []

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.user_agents.append(self.headers["User-Agent"])
        body = json.dumps({}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    with serving(server) as address:
        variables = {
            "AWS_ACCESS_KEY_ID": "made-up",
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        with environment({**variables, "AWS_ENDPOINT_URL_DYNAMODB": address}):
            yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Any]:  # noqa: ARG001 - where its requests go
    client = create_client()
    yield client
    client.close()


@pytest.fixture(autouse=True)
def nothing_noted(server: Server) -> None:
    server.user_agents.clear()


def test_an_attempt_has_half_a_second_to_connect_and_two_for_the_answer(client: Any) -> None:
    assert (client.meta.config.connect_timeout, client.meta.config.read_timeout) == (0.5, 2)


def test_the_operating_system_keeps_connections_alive(client: Any) -> None:
    assert client.meta.config.tcp_keepalive is True


def test_a_call_has_three_attempts_however_often_calls_have_failed(client: Any) -> None:
    assert client.meta.config.retries == {"mode": "legacy", "total_max_attempts": 3}


def test_dynamodb_alone_checks_parameters(client: Any, server: Server) -> None:
    client.get_item(TableName="table")  # without a key

    assert len(server.user_agents) == 1


def test_there_is_no_proxy_where_no_variable_names_one(client: Any) -> None:
    assert client.meta.config.proxies == {}


def test_requests_of_a_process_share_a_connection(client: Any, server: Server) -> None:
    table = Table(client, "table")

    for _ in range(3):
        table.get(KEY)

    assert len(server.user_agents) == 3
    assert server.connections == 1


def test_a_request_names_the_service(client: Any, server: Server) -> None:
    Table(client, "table").get(KEY)

    (user_agent,) = server.user_agents
    assert str(user_agent).startswith("enrollment-automations Botocore/")


@pytest.mark.parametrize(("left", "waits"), [(10_000, 2), (1_750, 1.0), (1_000, 0.25)])
def test_an_attempt_waits_for_its_answer_as_long_as_the_invocation_can(client: Any, left: int, waits: float) -> None:
    """A quarter of a second is kept for the answer, and half of one for connecting."""
    found: list[float] = []

    def note(request: Any, **_: object) -> None:
        found.append(request.context.get("read_timeout", client.meta.config.read_timeout))

    client.meta.events.register_last("before-send.dynamodb", note)
    with ending_before(left):
        Table(client, "table").get(KEY)
    client.meta.events.unregister("before-send.dynamodb", note)

    assert found == [pytest.approx(waits, abs=0.2)]


def test_a_function_with_less_than_three_quarters_of_a_second_left_asks_nothing(client: Any, server: Server) -> None:
    with ending_before(749), pytest.raises(ServiceUnavailable):
        Table(client, "table").get(KEY)

    assert server.user_agents == []


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("library", ["botocore.endpoint", "botocore.credentials", "urllib3.connectionpool"])
def test_libraries_log_nothing(library: str) -> None:
    assert not logging.getLogger(library).isEnabledFor(logging.CRITICAL)
