"""Durable functions: how executions start, wait and end; and the API that starts them."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aws_durable_execution_sdk_python import DurableContext, durable_execution
from aws_durable_execution_sdk_python.config import Duration
from werkzeug.test import Client
from werkzeug.wrappers import Response

from local_aws.durable import DurableFunction
from local_aws.invocations import Invocations

HOUR = 3600


class Executions:
    """What executions have done: their inputs, before and after a wait."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.ended: list[Any] = []
        self.changed = threading.Condition()

    def note(self, where: list[Any], given: Any) -> None:
        with self.changed:
            where.append(given)
            self.changed.notify_all()

    def wait_for(self, where: list[Any], count: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: len(where) >= count, timeout=5)

    def handler(self, seconds: int) -> Any:
        @durable_execution
        def handle(given: Any, context: DurableContext) -> None:
            context.step(lambda _: self.note(self.begun, given), name="begin")
            context.wait(Duration.from_seconds(seconds))
            context.step(lambda _: self.note(self.ended, given), name="end")

        return handle


@pytest.fixture
def executions() -> Executions:
    return Executions()


@pytest.fixture
def quick(executions: Executions) -> Iterator[DurableFunction]:
    """A function that waits for an hour, which is over at once."""
    handler = executions.handler(HOUR)
    function = DurableFunction("F", lambda: handler, 2 * HOUR, skip_time=True)
    yield function
    function.close()


def test_waits_are_over_at_once_if_time_is_skipped(quick: DurableFunction, executions: Executions) -> None:
    quick.start("one", {"a": 1})

    assert executions.wait_for(executions.ended, 1)
    assert executions.begun == executions.ended == [{"a": 1}]


def test_an_execution_of_a_name_is_started_once(quick: DurableFunction, executions: Executions) -> None:
    quick.start("one", 1)
    quick.start("one", 2)
    assert executions.wait_for(executions.ended, 1)
    quick.start("one", 3)
    quick.start("two", 4)

    assert executions.wait_for(executions.ended, 2)
    assert executions.begun == executions.ended == [1, 4]


def test_a_wait_lasts_its_time_and_steps_are_not_repeated(executions: Executions) -> None:
    handler = executions.handler(1)
    function = DurableFunction("F", lambda: handler, HOUR)
    began = time.monotonic()

    function.start("one", 1)

    assert executions.wait_for(executions.ended, 1)
    function.close()
    assert time.monotonic() - began >= 1
    assert executions.begun == [1]


def test_the_end_does_not_wait_and_nothing_starts_after_it(executions: Executions) -> None:
    handler = executions.handler(HOUR)
    function = DurableFunction("F", lambda: handler, 2 * HOUR)
    function.start("one", 1)
    assert executions.wait_for(executions.begun, 1)
    began = time.monotonic()

    function.close()
    function.start("two", 2)

    assert time.monotonic() - began < 2
    assert (executions.begun, executions.ended) == ([1], [])


ARN = "arn:aws:lambda:us-east-1:123456789012:function:F:live"
PATH = f"/2015-03-31/functions/{ARN.replace(':', '%3A')}/invocations"
ASYNCHRONOUS = {"X-Amz-Invocation-Type": "Event"}


class Started:
    """Lambda's API, with what it has started."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Any]] = []
        api = Invocations(lambda *call: self.calls.append(call), {ARN: "F"})
        self.client = Client(lambda *request: api(*request) or Response("moto")(*request))

    def post(self, path: str = PATH, data: str = "", **headers: str) -> tuple[int, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.client.post(path, data=data, headers=ASYNCHRONOUS | named)
        return answer.status_code, answer.headers.get("x-amzn-ErrorType", "")


@pytest.fixture
def started() -> Started:
    return Started()


def test_an_invocation_starts_an_execution(started: Started) -> None:
    assert started.post(data=json.dumps({"a": 1}), X_Amz_Durable_Execution_Name="one") == (202, "")

    assert started.calls == [("F", "one", {"a": 1})]


def test_an_execution_without_a_name_gets_one_of_its_own(started: Started) -> None:
    started.post()
    started.post()

    (_, first, given), (_, second, _) = started.calls
    assert first != second
    assert given is None


@pytest.mark.parametrize(
    ("path", "data", "headers", "answer"),
    [
        ("/2015-03-31/functions/Other/invocations", "", {}, (404, "ResourceNotFoundException")),
        (PATH, "{", {}, (400, "InvalidRequestContentException")),
        (PATH, "", {"X_Amz_Invocation_Type": "RequestResponse"}, (400, "InvalidParameterValueException")),
    ],
)
def test_an_invocation_that_cannot_be_is_refused(
    started: Started, path: str, data: str, headers: dict[str, str], answer: tuple[int, str]
) -> None:
    assert started.post(path, data, **headers) == answer

    assert started.calls == []


def test_other_requests_are_for_moto(started: Started) -> None:
    assert started.client.post("/2015-03-31/functions/F").text == "moto"
