"""The durable function, run by the local runner of AWS's SDK, whose waits are over at once."""

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest
from aws_durable_execution_sdk_python_testing.runner import DurableFunctionTestRunner

from enrollment.errors import ServiceUnavailable
from enrollment.store.actions import put_new
from enrollment.store.attributes import Item
from enrollment.store.keys import held_delivery_key, webhook_key
from enrollment.store.table import Table
from enrollments.local.stack import Stack

FUNCTION = "enrollments-redeliveries"
WEBHOOK = "00000000-0000-4000-8000-000000000001"
EVENT = {
    "event_id": "00000000-0000-4000-8000-000000000002",
    "event_type": "acs_user.created",
    "created_at": "2026-11-25T00:00:00.000Z",
}


class Receiver(HTTPServer):
    """A receiver of webhooks.

    Attributes:
        statuses: Its next answers; after these, it answers with 200.
        got: The ids of the events of all requests.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.statuses: list[int] = []
        self.got: list[str] = []


class Answering(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append(body["event_id"])
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield receiver
        receiver.shutdown()
        thread.join()


@dataclass
class Executions:
    """Executes the function for a webhook of the receiver.

    Attributes:
        stack: The stack.
        workspace_id: The webhook's workspace.
    """

    stack: Stack
    workspace_id: str

    def run(self, given: Any) -> tuple[Any, list[str]]:
        """Return how an execution ended, and the names of its steps and waits."""
        handler = self.stack.functions.handler(FUNCTION)
        with DurableFunctionTestRunner(handler, poll_interval=0.01, skip_time=True) as runner:
            ended = runner.run(input=json.dumps(given), function_name=FUNCTION, execution_timeout=30)
        assert ended.error is None
        return json.loads(str(ended.result)), [str(operation.name) for operation in ended.operations]

    def event(self) -> dict[str, Any]:
        return {"message": {"workspace_id": self.workspace_id, "webhook_id": WEBHOOK, "event": EVENT}}

    def breaker(self) -> dict[str, Any]:
        return {"breaker": {"workspace_id": self.workspace_id, "webhook_id": WEBHOOK}}

    def webhook(self) -> Item:
        item = self.stack.table.get(webhook_key(self.workspace_id, WEBHOOK))
        assert item is not None
        return item


def put_webhook(stack: Stack, workspace_id: str, receiver: Receiver, **more: str) -> None:
    item: Item = {
        "webhook_id": WEBHOOK,
        "workspace_id": workspace_id,
        "url": f"http://127.0.0.1:{receiver.server_port}/",
        "event_types": frozenset({"*"}),
        "secret_version": "1",
        "created_at": EVENT["created_at"],
        **more,
    }
    stack.table.transact({"webhook": put_new(webhook_key(workspace_id, WEBHOOK), item)})


@pytest.fixture
def executions(stack: Stack) -> Executions:
    return Executions(stack, stack.demo.variables["SEAM_WORKSPACE_ID"])


def test_an_event_is_tried_again_until_it_is_delivered(executions: Executions, receiver: Receiver) -> None:
    put_webhook(executions.stack, executions.workspace_id, receiver)
    receiver.statuses = [500, 301]

    outcome, operations = executions.run(executions.event())

    assert outcome == "delivered"
    assert operations == [f"{what} {number}" for number in (2, 3, 4) for what in ("before attempt", "attempt")]
    assert receiver.got == 3 * [EVENT["event_id"]]
    assert "failing_since" not in executions.webhook()


def test_an_event_that_is_never_taken_is_given_up_after_eight_attempts(
    executions: Executions, receiver: Receiver
) -> None:
    put_webhook(executions.stack, executions.workspace_id, receiver)
    receiver.statuses = 7 * [500]

    outcome, _ = executions.run(executions.event())

    assert outcome == "given_up"
    assert len(receiver.got) == 7  # the first attempt was made before


def test_a_step_is_run_again_after_an_outage(
    executions: Executions, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_webhook(executions.stack, executions.workspace_id, receiver)
    get, outages = Table.get, [ServiceUnavailable(), ServiceUnavailable()]

    def fail_at_first(table: Table, *key: Any) -> Any:
        if outages:
            raise outages.pop()
        return get(table, *key)

    monkeypatch.setattr(Table, "get", fail_at_first)

    assert executions.run(executions.event()) == ("delivered", ["before attempt 2", "attempt 2"])
    assert len(receiver.got) == 1


def test_once_an_address_answers_its_breaker_is_closed_and_what_is_held_is_queued(
    executions: Executions, receiver: Receiver, log: io.StringIO
) -> None:
    times = dict.fromkeys(("failing_since", "breaker_opened_at"), EVENT["created_at"])
    put_webhook(executions.stack, executions.workspace_id, receiver, **times)
    for number in (2, 1, 3):
        event = EVENT | {"event_id": f"00000000-0000-4000-8000-{number:012x}"}
        key = held_delivery_key(executions.workspace_id, WEBHOOK, event["created_at"], event["event_id"])
        held: Item = {"event": json.dumps(event), "deleted_after": 4102444800}
        executions.stack.table.transact({"held": put_new(key, held)})

    outcome, operations = executions.run(executions.breaker())

    assert outcome == "delivered"
    assert operations == ["before probe 1", "probe 1", "send what is held, part 1"]
    assert [event_id[-1] for event_id in receiver.got] == ["1"]
    assert [event_id[-1] for event_id in queued()] == ["2", "3"]
    assert executions.webhook().keys() & times.keys() == set()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["message"], line["result"]) for line in lines] == [
        ("probe 1", "delivered"),
        ("send what is held, part 1", 2),
    ]


def queued() -> list[str]:
    """Return the ids of the events in the queue of deliveries."""
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName="enrollments-DeliveriesQueue")["QueueUrl"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return sorted(json.loads(message["Body"])["event"]["event_id"] for message in found)
