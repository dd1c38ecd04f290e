"""The events of ``events/``, and the cases that are made from them, through what is built, in Lambda's containers."""

import json
import subprocess
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, TextIO

import botocore.session
import httpx
import pytest
from botocore.config import Config

from enrollments.local.containers import Containers
from tests.acceptance.conftest import free_port
from tests.events import CASES, DENIED, EVENTS, FILE_STATUSES, FILES, TRIGGER_FILES, event
from tests.fixtures import Store

pytestmark = [pytest.mark.sam_local, pytest.mark.timeout(300)]

type Invoke = Callable[[str], Any]


@pytest.fixture(scope="module")
def store(containers: Containers) -> Store:
    # After the tests of many records, reading the whole table takes moto longer than a function would wait.
    client = botocore.session.get_session().create_client("dynamodb", config=Config(read_timeout=60))
    return Store(containers.stack.table, client, containers.stack.table_name)


@pytest.fixture(autouse=True)
def demo_only(containers: Containers, store: Store) -> None:
    """The table as it is after the start: with the demo workspaces and nothing launched."""
    store.restore(containers.stack.demo.items)


@pytest.fixture(scope="module")
def started(containers: Containers, containers_log: TextIO) -> Iterator[Invoke]:
    """``sam local start-lambda``, which keeps its containers from event to event."""

    def invoke(name: str) -> Any:
        content = event(name)
        function = containers.function_for(content)
        url = f"http://127.0.0.1:{port}/2015-03-31/functions/{function}/invocations"
        return httpx.post(url, json=content, timeout=60).json()

    with containers.serve("start-lambda", port := free_port(), containers_log):
        yield invoke


def invoke_once(containers: Containers, name: str) -> Any:
    """Run one event as ``make invoke-docker`` does."""
    command = containers.command(
        "invoke", containers.function_for(event(name)), "--event", str(EVENTS / f"{name}.json")
    )
    finished = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return json.loads(finished.stdout)


def expected(name: str) -> tuple[Any, Any]:
    """Return the outcome of a file."""
    if name not in FILE_STATUSES:
        return "Allow", None
    return FILE_STATUSES[name], None if FILE_STATUSES[name] == HTTPStatus.OK else "route_not_found"


def outcome(answer: Any) -> tuple[Any, Any]:
    """Return an answer's status and its error's type; of a policy, the effect and the reason of a denial."""
    if "policyDocument" in answer:
        (statement,) = answer["policyDocument"]["Statement"]
        return statement["Effect"], answer["context"]["message"] if statement["Effect"] == "Deny" else None
    return answer["statusCode"], json.loads(answer["body"]).get("error", {}).get("type")


@pytest.mark.parametrize("name", FILES)
def test_a_file_gives_its_answer(started: Invoke, name: str) -> None:
    assert outcome(started(name)) == expected(name)


@pytest.mark.parametrize("name", TRIGGER_FILES)
def test_a_batch_of_a_stream_and_of_a_queue_is_done_with(started: Invoke, name: str) -> None:
    assert started(name) == {"batchItemFailures": []}


@pytest.mark.parametrize("name", CASES)
def test_a_case_gives_its_answer(started: Invoke, name: str) -> None:
    assert outcome(started(name)) == (CASES[name].status, CASES[name].error)


@pytest.mark.parametrize("name", DENIED)
def test_a_token_that_is_not_valid_is_denied_with_the_reason(started: Invoke, name: str) -> None:
    assert outcome(started(name)) == ("Deny", DENIED[name][1])


def test_a_client_sessions_token_event_gives_the_routes_that_it_may_call(started: Invoke, project: Path) -> None:
    routes = json.loads((project / "functions/authorizer/client_session_routes.json").read_text())

    (statement,) = started("authorizer_client_session")["policyDocument"]["Statement"]

    assert statement["Effect"] == "Allow"
    assert [resource.partition("*")[2] for resource in statement["Resource"]] == routes


@pytest.mark.parametrize("name", ["launch", "get_by_get", "authorizer_api_key"])
def test_sam_local_invoke_gives_the_same(containers: Containers, name: str) -> None:
    assert outcome(invoke_once(containers, name)) == expected(name)
