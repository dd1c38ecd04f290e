"""How mappings read a stream or a queue, and what happens to what a function does not take."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from local_aws.event_patterns import EventPattern
from local_aws.functions import FunctionError, NoTurnError
from local_aws.mappings import QueueDriver, QueueMapping, StreamDriver, StreamMapping, read_mapping, source_name
from local_aws.streams import Record, Shard
from local_aws.template import Resource, TemplateError

STREAM = "arn:aws:dynamodb:us-east-1:123456789012:table/T/stream/2026"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:Q"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:F:live"
FAILURES = "arn:aws:sqs:us-east-1:123456789012:Failures"
ALL: dict[str, Any] = {"batchItemFailures": []}


def failed(*identifiers: Any) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in identifiers]}


def record(number: int, name: str = "INSERT", age: float = 0, **more: Any) -> Record:
    made = datetime.now(UTC) - timedelta(seconds=age)
    changed = {"SequenceNumber": str(number), "ApproximateCreationDateTime": made}
    return {"eventID": f"id{number}", "eventName": name, "dynamodb": changed, **more}


class Stream:
    """A stream of shards, each with its parent and its records.  A shard that has a child has ended."""

    arn = STREAM

    def __init__(self, *records: Record) -> None:
        self.described: list[Shard] = [Shard("s", None)]
        self.records: dict[str, list[Record]] = {"s": list(records)}
        self.ended: set[str] = set()

    def add(self, shard_id: str, parent_id: str | None, *records: Record) -> None:
        self.described.append(Shard(shard_id, parent_id))
        self.records[shard_id] = list(records)
        self.ended |= {parent for parent in self.records if parent == parent_id}

    def shards(self) -> list[Shard]:
        return self.described

    def begin(self, shard_id: str, position: str) -> str:
        return f"{shard_id}/{len(self.records[shard_id]) if position == 'LATEST' else 0}"

    def read(self, iterator: str) -> tuple[list[Record], str | None]:
        shard_id, start = iterator.split("/")
        records = self.records[shard_id][int(start) :]
        if shard_id in self.ended:
            return records, None
        return records, f"{shard_id}/{int(start) + len(records)}"


class Function:
    """A function that gives answers one after the other, and the last one for ever.  An exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[list[str]] = []
        self.events: list[Mapping[str, Any]] = []

    def __call__(self, name: str, event: Mapping[str, Any]) -> Any:
        assert name == "F"
        self.events.append(event)
        self.calls.append([one.get("messageId") or one["dynamodb"]["SequenceNumber"] for one in event["Records"]])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer


@dataclass
class Queues:
    """boto3's client of SQS."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)

    is_out: bool = False

    def get_queue_url(self, **asked: str) -> dict[str, str]:
        return {"QueueUrl": f"http://{asked['QueueName']}"}

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        return {"Attributes": {"QueueArn": QUEUE}}

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        most = asked["MaxNumberOfMessages"]
        received, self.messages = self.messages[:most], self.messages[most:]
        return {"Messages": received} if received else {}

    def send_message(self, **asked: str) -> None:
        if self.is_out:
            raise EndpointConnectionError(endpoint_url=asked["QueueUrl"])
        self.sent.append((asked["QueueUrl"], json.loads(asked["MessageBody"])))

    def delete_message(self, **asked: str) -> None:
        assert asked["QueueUrl"] == "http://Q"
        self.deleted.append(asked["ReceiptHandle"])


def stream_mapping(**changed: Any) -> StreamMapping:
    usual: dict[str, Any] = {
        "name": "M",
        "source": "T",
        "function": "F",
        "batch_size": 10,
        "patterns": [],
        "reports_failures": True,
        "bisects": False,
        "most_retries": float("inf"),
        "longest_age": float("inf"),
        "on_failure": FAILURES,
        "starts_at": "TRIM_HORIZON",
    }
    return StreamMapping(**usual | changed)


def drive(stream: Stream, function: Function, queues: Queues | None = None, **mapping: Any) -> StreamDriver:
    return StreamDriver(stream_mapping(**mapping), function, reader=stream, sqs=queues or Queues())


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a batch tried again without a pause."""
    monkeypatch.setattr("local_aws.mappings._LONGEST_RETRY_SECONDS", 0.0)
    monkeypatch.setattr("local_aws.mappings._SHARDS_ARE_LISTED_EVERY_SECONDS", 0.0)


def poll(driver: StreamDriver, times: int) -> None:
    for _ in range(times):
        driver.poll()


def test_records_come_in_order_and_in_batches() -> None:
    function = Function(ALL)

    assert drive(Stream(*map(record, range(5))), function, batch_size=2).poll()

    assert function.calls == [["0", "1"], ["2", "3"], ["4"]]


def test_a_record_comes_once() -> None:
    stream, function = Stream(record(1)), Function(ALL)
    driver = drive(stream, function)
    driver.poll()

    assert not driver.poll()
    stream.records["s"].append(record(2))
    assert driver.poll()

    assert function.calls == [["1"], ["2"]]


def test_a_record_has_the_form_that_lambda_gives_it() -> None:
    identity = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    function = Function(ALL)

    drive(Stream(record(1, "REMOVE", userIdentity=identity)), function).poll()

    (told,) = function.events[0]["Records"]
    assert isinstance(told["dynamodb"].pop("ApproximateCreationDateTime"), float)
    assert told == {
        "eventID": "id1",
        "eventName": "REMOVE",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {"SequenceNumber": "1"},
        "userIdentity": identity,
        "eventSourceARN": STREAM,
    }


def test_a_filter_drops_records() -> None:
    function = Function(ALL)
    patterns = [EventPattern(f'{{"eventName": ["{name}"]}}', "F") for name in ("INSERT", "REMOVE")]

    drive(Stream(record(1), record(2, "MODIFY"), record(3, "REMOVE")), function, patterns=patterns).poll()

    assert function.calls == [["1", "3"]]


def test_records_that_all_are_dropped_invoke_nothing() -> None:
    function = Function(ALL)

    drive(Stream(record(1)), function, patterns=[EventPattern('{"eventName": ["REMOVE"]}', "F")]).poll()

    assert function.calls == []


@pytest.mark.usefixtures("at_once")
def test_a_shard_is_read_after_its_parent() -> None:
    stream, function = Stream(record(1)), Function(ALL)
    stream.add("child", "s", record(2))
    stream.described.reverse()

    poll(drive(stream, function), 4)

    assert function.calls == [["1"], ["2"]]


@pytest.mark.usefixtures("at_once")
def test_a_shard_waits_while_its_parents_records_fail() -> None:
    stream, function = Stream(record(1)), Function(FunctionError(), FunctionError(), ALL)
    stream.add("child", "s", record(2))

    poll(drive(stream, function), 6)

    assert function.calls == [["1"], ["1"], ["1"], ["2"]]


@pytest.mark.usefixtures("at_once")
def test_a_shard_whose_parent_is_gone_is_read() -> None:
    stream, function = Stream(), Function(ALL)
    stream.add("orphan", "trimmed", record(1))

    poll(drive(stream, function), 2)

    assert function.calls == [["1"]]


@pytest.mark.usefixtures("at_once")
def test_the_latest_records_are_those_after_the_start() -> None:
    stream, function = Stream(record(1)), Function(ALL)
    stream.add("child", "s", record(2))
    driver = drive(stream, function, starts_at="LATEST")
    poll(driver, 3)

    stream.records["child"].append(record(3))
    driver.poll()
    stream.add("grandchild", "child", record(4))
    poll(driver, 4)

    assert function.calls == [["3"], ["4"]]


@pytest.mark.usefixtures("at_once")
def test_partial_failures_start_again_at_the_lowest() -> None:
    function = Function(failed("3", "2"), ALL)

    poll(drive(Stream(*map(record, range(1, 5))), function), 2)

    assert function.calls == [["1", "2", "3", "4"], ["2", "3", "4"]]


@pytest.mark.usefixtures("at_once")
def test_later_batches_wait_for_one_that_fails() -> None:
    function = Function(failed("1"), ALL)
    driver = drive(Stream(record(1), record(2)), function, batch_size=1)

    driver.poll()
    assert function.calls == [["1"]]
    driver.poll()

    assert function.calls == [["1"], ["1"], ["2"]]


def test_a_batch_that_failed_is_not_tried_again_at_once() -> None:
    function = Function(FunctionError())
    driver = drive(Stream(record(1)), function)

    poll(driver, 3)

    assert function.calls == [["1"]]


UNREADABLE = [
    {"batchItemFailures": [{"itemIdentifier": ""}]},
    {"batchItemFailures": [{"itemIdentifier": None}]},
    {"batchItemFailures": [{"itemIdentifier": "unknown"}]},
    {"batchItemFailures": [{"bad": "1"}]},
    {"batchItemFailures": "1"},
    {"batchItemFailures": 5},
    [],
    "done",
    7,
]


@pytest.mark.parametrize("answer", UNREADABLE)
@pytest.mark.usefixtures("at_once")
def test_an_unreadable_answer_is_a_failure_of_the_whole_batch(answer: Any) -> None:
    function = Function(answer, ALL)

    poll(drive(Stream(record(1), record(2)), function), 2)

    assert function.calls == [["1", "2"], ["1", "2"]]


@pytest.mark.parametrize("answer", [ALL, {}, None, {"batchItemFailures": None}])
@pytest.mark.usefixtures("at_once")
def test_an_empty_answer_is_a_success(answer: Any) -> None:
    function = Function(answer)

    poll(drive(Stream(record(1)), function), 2)

    assert function.calls == [["1"]]


@pytest.mark.usefixtures("at_once")
def test_an_answer_counts_only_if_the_mapping_says_so() -> None:
    function = Function(failed("1"))

    poll(drive(Stream(record(1)), function, reports_failures=False), 2)

    assert function.calls == [["1"]]


@pytest.mark.parametrize("error", [FunctionError(), NoTurnError()])
@pytest.mark.usefixtures("at_once")
def test_a_batch_is_halved_after_an_exception(error: Exception) -> None:
    function = Function(error, error, ALL)

    poll(drive(Stream(record(1), record(2), record(3)), function, bisects=True), 4)

    assert function.calls == [["1", "2", "3"], ["1"], ["1"], ["2", "3"]]


@pytest.mark.usefixtures("at_once")
def test_a_batch_that_fails_too_often_goes_to_the_queue_of_failures_as_a_pointer() -> None:
    function, queues = Function(FunctionError(), FunctionError(), ALL), Queues()

    poll(drive(Stream(*map(record, range(1, 4))), function, queues, batch_size=2, most_retries=1), 3)

    assert function.calls == [["1", "2"], ["1", "2"], ["3"]]
    ((url, pointer),) = queues.sent
    assert url == "http://Failures"
    assert pointer["requestContext"] == {
        "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:F",
        "condition": "RetryAttemptsExhausted",
        "approximateInvokeCount": 2,
    }
    assert pointer["DDBStreamBatchInfo"] == {
        "shardId": "s",
        "startSequenceNumber": "1",
        "endSequenceNumber": "2",
        "batchSize": 2,
        "streamArn": STREAM,
    }


@pytest.mark.usefixtures("at_once")
def test_without_retries_a_batch_is_tried_once() -> None:
    function, queues = Function(FunctionError(), ALL), Queues()

    poll(drive(Stream(record(1), record(2)), function, queues, batch_size=1, most_retries=0), 1)

    assert function.calls == [["1"], ["2"]]
    assert len(queues.sent) == 1


@pytest.mark.usefixtures("at_once")
def test_only_records_that_are_too_old_are_given_up() -> None:
    function, queues = Function(ALL), Queues()
    stream = Stream(record(1, age=70), record(2, age=65), record(3))

    poll(drive(stream, function, queues, longest_age=60), 1)

    assert function.calls == [["3"]]
    ((_, pointer),) = queues.sent
    assert pointer["requestContext"]["condition"] == "RecordAgeExceeded"
    assert pointer["DDBStreamBatchInfo"]["endSequenceNumber"] == "2"


@pytest.mark.usefixtures("at_once")
def test_a_batch_stays_until_its_pointer_is_in_the_queue() -> None:
    function, queues = Function(FunctionError(), ALL), Queues(is_out=True)
    driver = drive(Stream(record(1), record(2)), function, queues, batch_size=1, most_retries=0)
    with pytest.raises(EndpointConnectionError):
        driver.poll()

    queues.is_out = False
    driver.poll()

    assert function.calls == [["1"], ["2"]]
    assert len(queues.sent) == 1


@pytest.mark.usefixtures("at_once")
def test_without_a_queue_of_failures_a_batch_is_dropped() -> None:
    function, queues = Function(FunctionError(), ALL), Queues()

    poll(drive(Stream(record(1), record(2)), function, queues, batch_size=1, most_retries=0, on_failure=None), 1)

    assert function.calls == [["1"], ["2"]]
    assert queues.sent == []


@pytest.mark.usefixtures("at_once")
def test_a_driver_that_is_stopped_begins_nothing_more() -> None:
    def stop() -> None:
        driver.stop()

    function = Function(stop)
    driver = drive(Stream(record(1), record(2)), function, batch_size=1)

    poll(driver, 3)

    assert function.calls == [["1"]]


def test_a_driver_works_in_a_thread_until_it_is_stopped() -> None:
    invoked = threading.Event()
    driver = drive(Stream(record(1)), Function(invoked.set))

    driver.start()
    assert invoked.wait(5)
    driver.stop()
    driver.wait(5)

    assert not any(thread.name == "M" for thread in threading.enumerate())


def test_a_driver_asks_again_after_a_server_was_away() -> None:
    class Away(Stream):
        def shards(self) -> list[Shard]:
            if not asked.is_set():
                asked.set()
                raise EndpointConnectionError(endpoint_url="http://x")
            return super().shards()

    asked, invoked = threading.Event(), threading.Event()
    driver = drive(Away(record(1)), Function(invoked.set))

    driver.start()

    assert invoked.wait(5)
    driver.stop()
    driver.wait(5)


def message(name: str, body: str = "{}") -> dict[str, Any]:
    return {"MessageId": name, "ReceiptHandle": f"handle of {name}", "Body": body, "MD5OfBody": "x"}


def take(queues: Queues, function: Function, **changed: Any) -> QueueDriver:
    """Have a driver look into a queue until it is empty and all threads have ended."""
    usual: dict[str, Any] = {
        "name": "queue under test",
        "source": "Q",
        "function": "F",
        "batch_size": 10,
        "patterns": [],
        "reports_failures": True,
        "at_once": 2,
    }
    driver = QueueDriver(QueueMapping(**usual | changed), function, sqs=queues)
    while driver.poll():
        join()
    return driver


def join() -> None:
    for thread in threading.enumerate():
        if thread.name == "queue under test":
            thread.join(5)


def test_a_message_has_the_form_that_lambda_gives_it_and_is_deleted_after_success() -> None:
    function, queues = Function(ALL), Queues([message("1", "text")])

    take(queues, function)

    assert function.events == [
        {
            "Records": [
                {
                    "messageId": "1",
                    "receiptHandle": "handle of 1",
                    "body": "text",
                    "attributes": {},
                    "messageAttributes": {},
                    "md5OfBody": "x",
                    "eventSource": "aws:sqs",
                    "eventSourceARN": QUEUE,
                    "awsRegion": "us-east-1",
                }
            ]
        }
    ]
    assert queues.deleted == ["handle of 1"]


def test_an_invocation_gets_no_more_messages_than_a_batch_has() -> None:
    function = Function(ALL)

    take(Queues([message(str(number)) for number in range(5)]), function, batch_size=2)

    assert function.calls == [["0", "1"], ["2", "3"], ["4"]]


def test_messages_that_failed_stay() -> None:
    queues = Queues([message("1"), message("2"), message("3")])

    take(queues, Function(failed("2")))

    assert queues.deleted == ["handle of 1", "handle of 3"]


@pytest.mark.parametrize("answer", [*UNREADABLE, FunctionError(), NoTurnError()])
def test_all_messages_stay_after_an_exception_or_an_unreadable_answer(answer: Any) -> None:
    queues = Queues([message("1"), message("2")])

    take(queues, Function(answer))

    assert queues.deleted == []


def test_messages_that_a_filter_drops_are_deleted() -> None:
    function = Function(failed("1"))
    queues = Queues([message("1", '{"kind": "a"}'), message("2", '{"kind": "b"}'), message("3", "no JSON")])

    take(queues, function, patterns=[EventPattern('{"body": {"kind": ["a"]}}', "F")])

    assert function.calls == [["1"]]
    assert queues.deleted == ["handle of 2", "handle of 3"]


def test_messages_that_end_after_the_driver_are_not_deleted() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        go_on.wait(5)

    queues = Queues([message("1")])
    mapping = QueueMapping("queue under test", "Q", "F", 1, [], reports_failures=True, at_once=1)
    driver = QueueDriver(mapping, Function(wait), sqs=queues)
    driver.poll()
    assert begun.wait(5)

    driver.stop()
    go_on.set()
    join()

    assert queues.deleted == []


def test_there_are_no_more_invocations_at_once_than_allowed() -> None:
    go_on = threading.Event()
    function = Function(lambda: go_on.wait(5) and None)
    mapping = QueueMapping("queue under test", "Q", "F", 1, [], reports_failures=False, at_once=2)
    queues = Queues([message(str(number)) for number in range(3)])
    driver = QueueDriver(mapping, function, sqs=queues)

    for _ in range(3):
        assert driver.poll()  # the third finds no room

    assert len(queues.messages) == 1
    go_on.set()
    join()


def read(**changed: Any) -> StreamMapping | QueueMapping:
    properties: dict[str, Any] = {"EventSourceArn": QUEUE, "FunctionName": FUNCTION} | changed
    return read_mapping(Resource("Mapping", "AWS::Lambda::EventSourceMapping", "Mapping", properties), {FUNCTION: "F"})


def test_a_queues_mapping_is_read() -> None:
    mapping = read(
        BatchSize=5,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        FilterCriteria={"Filters": [{"Pattern": '{"body": {"a": [1]}}'}]},
        ScalingConfig={"MaximumConcurrency": 3},
    )

    assert isinstance(mapping, QueueMapping)
    assert (mapping.source, mapping.function) == ("Q", "F")
    assert (mapping.batch_size, mapping.at_once, mapping.reports_failures) == (5, 3, True)
    assert [pattern.matches({"body": {"a": 1}}) for pattern in mapping.patterns] == [True]


def test_a_streams_mapping_is_read() -> None:
    mapping = read(
        EventSourceArn=STREAM,
        StartingPosition="LATEST",
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=3,
        MaximumRecordAgeInSeconds=60,
        DestinationConfig={"OnFailure": {"Destination": FAILURES}},
    )

    assert mapping == stream_mapping(
        name="Mapping",
        batch_size=100,
        reports_failures=False,
        bisects=True,
        most_retries=3,
        longest_age=60,
        starts_at="LATEST",
    )


def test_a_stream_retries_for_ever_unless_the_mapping_says_otherwise() -> None:
    mapping = read(EventSourceArn=STREAM, StartingPosition="TRIM_HORIZON", MaximumRetryAttempts=-1)

    assert isinstance(mapping, StreamMapping)
    assert (mapping.most_retries, mapping.longest_age) == (float("inf"), float("inf"))
    assert mapping.on_failure is None


OF_STREAM = {"EventSourceArn": STREAM, "StartingPosition": "LATEST"}


@pytest.mark.parametrize(
    "changed",
    [
        {"Topics": ["x"]},
        {"StartingPosition": "LATEST"},
        {"MaximumRetryAttempts": 1},
        {"Enabled": False},
        {"EventSourceArn": "arn:aws:kinesis:us-east-1:1:stream/s"},
        {"EventSourceArn": "Q"},
        {"FunctionName": "other"},
        {"FunctionResponseTypes": ["Other"]},
        {"BatchSize": 11},
        {"BatchSize": "ten"},
        {"ScalingConfig": {"MaximumConcurrency": 1}},
        {"ScalingConfig": {"Other": 1}},
        {"FilterCriteria": {"Filters": [{"Pattern": "{"}]}},
        {"FilterCriteria": {"Filters": [{"Pattern": '{"a": [1]}', "Other": 1}]}},
        {"FilterCriteria": {"Filters": [{}]}},
        {"FilterCriteria": {"Other": []}},
        {"FilterCriteria": []},
        {"EventSourceArn": STREAM},
        OF_STREAM | {"EventSourceArn": "arn:aws:dynamodb:us-east-1:1:other"},
        OF_STREAM | {"StartingPosition": "AT_TIMESTAMP"},
        OF_STREAM | {"ScalingConfig": {"MaximumConcurrency": 2}},
        OF_STREAM | {"ParallelizationFactor": 2},
        OF_STREAM | {"TumblingWindowInSeconds": 1},
        OF_STREAM | {"BatchSize": 10_001},
        OF_STREAM | {"BisectBatchOnFunctionError": "true"},
        OF_STREAM | {"MaximumRetryAttempts": -2},
        OF_STREAM | {"MaximumRecordAgeInSeconds": 59},
        OF_STREAM | {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sns:us-east-1:1:t"}}},
        OF_STREAM | {"DestinationConfig": {"OnFailure": {"Destination": FAILURES, "Other": 1}}},
        OF_STREAM | {"DestinationConfig": {"OnSuccess": {"Destination": FAILURES}}},
    ],
)
def test_a_mapping_that_cannot_be_interpreted_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(TemplateError, match=r"^Mapping"):
        read(**changed)


@pytest.mark.parametrize(("arn", "name"), [(STREAM, "T"), (QUEUE, "Q")])
def test_an_arn_names_its_source(arn: str, name: str) -> None:
    assert source_name(arn) == name
