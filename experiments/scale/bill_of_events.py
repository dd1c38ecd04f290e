"""The cost of events and of their deliveries, by the template, the code's own requests and AWS's list prices."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any
from uuid import uuid4

from enrollment.outbound.clients import create_outbound_client
from enrollment.outbound.event_bus import EventBus
from enrollment.outbound.https import Attempt
from enrollment.outbound.queues import Queue
from enrollment.store.actions import put_new
from enrollment.store.client import create_client
from enrollment.store.keys import webhook_key
from enrollment.store.table import Table
from enrollment.use_cases.deliveries import Deliverer, Message
from enrollment.use_cases.enrollment_starts import Starter
from enrollment.use_cases.recording import Recorder
from enrollments.local.stack import open_stack
from experiments.scale.bill import (
    GIB,
    LAMBDAS_BYTES,
    MEGABYTES_OF_A_PROCESSOR,
    PROJECT,
    READ_MS,
    TRANSACTION_MS,
    Bill,
    Line,
    rounded,
    units_of_kind,
)
from experiments.scale.burst import dynamodb
from experiments.scale.units import stored_bytes
from experiments.scale.workload import Kind, sampled_kind
from local_aws.template import Resource
from tests.fixtures import create_table

EVENTS = 1_000_000
# A transaction lists so many events, since it takes 100 items and an event has three.
_LISTED_AT_ONCE = 33
# SQS and EventBridge take so many with one request.
_SENT_AT_ONCE = 10
SEND_MS = 10
ANSWER_MS = 200
# What an attempt sends besides the event: a TLS handshake and headers.
SENT_BYTES = 1500
# The parts `status`, `failure` and `duration_ms` of a line about an attempt.
_ATTEMPT_BYTES = 60
# A message is sent, received and deleted.
_REQUESTS_OF_A_MESSAGE = 3
# An execution whose first attempt succeeds: its start, a wait and a step.
OPERATIONS_OF_A_REDELIVERY = 3
_INVOCATIONS_OF_A_REDELIVERY = 2
_STREAM, _QUEUE = "EventsFunctionTableStream", "DeliveriesFunctionQueue"


@dataclass(frozen=True, slots=True)
class Batches:
    """How many come with an invocation.

    Attributes:
        name: What it is called.
        events: Records of the stream, for the function ``events``.
        deliveries: Messages of the queue, for the function ``deliveries``.
    """

    name: str
    events: int
    deliveries: int


@dataclass(frozen=True, slots=True)
class Follower:
    """A function that takes batches.

    Attributes:
        requests: Its requests of DynamoDB for a batch of one.
        logged: Bytes that it logs for a batch of one, without Lambda's own lines.
    """

    requests: Kind
    logged: int


class BillOfEvents:
    """The cost of events and of deliveries.

    Args:
        bill: That of launches.
    """

    def __init__(self, bill: Bill) -> None:
        self._bill = bill
        self.batches = (
            Batches("one at a time", 1, 1),
            Batches("in full batches", self._batch_size(_STREAM), self._batch_size(_QUEUE)),
        )
        self.stored, recording = _recording()
        recorded, delivered = _logged()
        self._recording = Follower(recording, recorded)
        self._delivery = Follower(_delivery(), delivered + _ATTEMPT_BYTES)
        self.retention_days = int(self._variables("EventsFunction")["EVENT_RETENTION_DAYS"])

    @property
    def written_units(self) -> float:
        """Units that an event takes to be listed."""
        return units_of_kind(self._recording.requests, is_write=True)

    def of_events(self, batches: Batches) -> Iterator[Line]:
        """Yield what a million events cost: they are listed, and put on the bus."""
        size = batches.events
        requests = ceil(size / _LISTED_AT_ONCE) * TRANSACTION_MS + ceil(size / _SENT_AT_ONCE) * SEND_MS + READ_MS
        yield from self._of_function("EventsFunction", size, self._own_ms() * size + requests, self._recording.logged)
        yield Line("DynamoDB: written", EVENTS * self.written_units, "dynamodb_write_unit")
        # The webhooks of a workspace are read once for a batch.
        read = units_of_kind(self._recording.requests, is_write=False)
        yield Line("DynamoDB: read", EVENTS / size * read, "dynamodb_read_unit")
        kept = EVENTS * self.stored / GIB * self.retention_days / 30
        yield Line(f"DynamoDB: stored, for {self.retention_days} days", kept, "dynamodb_storage")
        yield Line("DynamoDB: point-in-time recovery, likewise", kept, "dynamodb_point_in_time_recovery")
        yield Line("EventBridge: events", EVENTS, "eventbridge_event")

    def of_deliveries(self, batches: Batches) -> Iterator[Line]:
        """Yield what a million deliveries cost whose first attempt succeeds."""
        size = batches.deliveries
        # The attempts of a batch run side by side.
        at_work = self._own_ms() * size + READ_MS + ANSWER_MS
        yield from self._of_function("DeliveriesFunction", size, at_work, size * self._delivery.logged)
        read = units_of_kind(self._delivery.requests, is_write=False)
        yield Line("DynamoDB: read", EVENTS * read, "dynamodb_read_unit")
        yield Line("SQS: requests", EVENTS * _REQUESTS_OF_A_MESSAGE / size, "sqs_request")
        sent = len(json.dumps(_message()["event"], separators=(",", ":"))) + SENT_BYTES
        yield Line("requests to the internet", EVENTS * sent / 1e9, "traffic_out")

    def of_redeliveries(self) -> Iterator[Line]:
        """Yield what a million deliveries cost besides whose second attempt succeeds."""
        yield Line("Lambda: durable operations", EVENTS * OPERATIONS_OF_A_REDELIVERY, "lambda_durable_operation")
        at_work = self._own_ms() + (READ_MS + ANSWER_MS) / _INVOCATIONS_OF_A_REDELIVERY
        for line in self._of_function("RedeliveriesFunction", 1, at_work, self._delivery.logged):
            yield Line(line.name, _INVOCATIONS_OF_A_REDELIVERY * line.quantity, line.price)
        read = units_of_kind(self._delivery.requests, is_write=False)
        yield Line("DynamoDB: read", EVENTS * read, "dynamodb_read_unit")

    def _of_function(self, function: str, size: int, milliseconds: float, logged: float) -> Iterator[Line]:
        """Yield what invocations cost that a million take, so many with each."""
        deployment, invocations = self._bill.deployment, EVENTS / size
        gigabytes = deployment.memory_mb(function) / 1024
        yield Line("Lambda: requests", invocations, "lambda_request")
        price = f"lambda_gb_second_{deployment.architecture}"
        yield Line("Lambda: the function's time", invocations * gigabytes * milliseconds / 1000, price)
        bytes_logged = invocations * (logged + LAMBDAS_BYTES) / GIB
        yield Line("CloudWatch: logs", bytes_logged, "logs_taken_in")
        days = deployment.log_days
        yield Line(f"CloudWatch: logs, for {days} days", bytes_logged * days / 30, "logs_kept")
        yield Line("X-Ray: traces, at most", invocations, "xray_trace")

    def _own_ms(self) -> float:
        """Return the function's own time for one event, which is taken to be that of a launch."""
        memory = self._bill.deployment.memory_mb("EventsFunction")
        return float(self._bill.durations["launch"]["warm_ms"] / min(1, memory / MEGABYTES_OF_A_PROCESSOR))

    def _batch_size(self, mapping: str) -> int:
        return int(self._resource(mapping).properties["BatchSize"])

    def _variables(self, function: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._resource(function).properties["Environment"]["Variables"]
        return found

    def _resource(self, logical_id: str) -> Resource:
        return self._bill.deployment.resources[logical_id]


def _recording() -> tuple[int, Kind]:
    """Return the bytes that an event adds to the table, and the requests that list one."""
    with dynamodb():
        client = create_client()
        table = create_table(client, "events")
        queues, bus = create_outbound_client("sqs"), create_outbound_client("events")
        queue = Queue(queues, queues.create_queue(QueueName="deliveries")["QueueUrl"])
        bus.create_event_bus(Name="events")
        recorder = Recorder(
            table,
            starter=Starter(table, lambda *_: None),
            bus=EventBus(bus, "events"),
            deliveries=queue,
            failures=queue,
            retention=timedelta(days=30),
        )
        (record,) = _event("stream")["Records"]
        recorder.record([record])
        stored = stored_bytes(client.scan(TableName="events")["Items"])
        return stored, sampled_kind(
            lambda _: recorder.record([record | {"eventID": uuid4().hex}]), client, create_client()
        )


def _delivery() -> Kind:
    """Return the requests of an attempt that succeeds."""
    with dynamodb():
        client = create_client()
        table = create_table(client, "deliveries")
        message = Message.from_json(_message())
        _put_webhook(table, message)
        deliverer = Deliverer(table, master=lambda: b"secret", post=lambda *_: Attempt(200, None, 0.1))
        return sampled_kind(lambda _: deliverer.deliver(message), client, create_client())


def _put_webhook(table: Table, message: Message) -> None:
    key = webhook_key(message.workspace_id, message.webhook_id)
    table.transact(
        {
            "webhook": put_new(
                key,
                {
                    "webhook_id": message.webhook_id,
                    "workspace_id": message.workspace_id,
                    "url": "https://example.com/webhooks",
                    "event_types": frozenset({"*"}),
                    "secret_version": "1",
                    "created_at": message.event["created_at"],
                },
            )
        }
    )


def _message() -> dict[str, Any]:
    (record,) = _event("queue")["Records"]
    message: dict[str, Any] = json.loads(record["body"])
    return message


def _logged() -> tuple[int, int]:
    """Return the bytes that ``events`` and ``deliveries`` log for a batch of one."""
    log = io.StringIO()
    with open_stack(PROJECT / "template.yaml", log=log, terminal=io.StringIO()) as stack:

        def logged(name: str) -> int:
            stack.invoke(_event(name))  # what is logged at a start is left out
            log.seek(0)
            log.truncate()
            stack.invoke(_event(name))
            return rounded(len(log.getvalue().encode()))

        return logged("stream"), logged("queue")


def _event(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((PROJECT / "events" / f"{name}.json").read_text())
    return event
