"""Event source mappings on this machine: batches, filters, what fails, and in which order shards are read."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from local_aws.event_patterns import EventPattern
from local_aws.functions import FunctionError
from local_aws.mappings import QueueDriver, QueueMapping, StreamDriver, StreamMapping, read_mapping
from local_aws.streams import Record, Shard
from local_aws.template import Resource, TemplateError

STREAM_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/table/stream/x"
QUEUE_ARN = "arn:aws:sqs:us-east-1:123456789012:queue"
FAILURES_ARN = "arn:aws:sqs:us-east-1:123456789012:failures"
ALIAS = "arn:aws:lambda:us-east-1:123456789012:function:f:live"


def record(number: int, *, age: float = 0) -> Record:
    at = datetime.fromtimestamp(datetime.now(UTC).timestamp() - age, UTC)
    told = {"SequenceNumber": str(number), "ApproximateCreationDateTime": at, "Keys": {"pk": {"S": f"k{number}"}}}
    return {"eventID": str(number), "eventName": "INSERT", "dynamodb": told}


@dataclass
class Reader:
    """A stream in memory: shards with their records; a shard that has ended is read to its end once."""

    records: dict[str, list[Record]]
    parents: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    begun: list[tuple[str, str]] = field(default_factory=list)
    arn: str = STREAM_ARN

    def shards(self) -> list[Shard]:
        return [Shard(shard_id, self.parents.get(shard_id)) for shard_id in self.records]

    def begin(self, shard_id: str, position: str) -> str:
        self.begun.append((shard_id, position))
        return f"{shard_id} 0"

    def read(self, iterator: str) -> tuple[list[Record], str | None]:
        shard_id, _, at = iterator.partition(" ")
        found = self.records[shard_id][int(at) :]
        return found, None if shard_id in self.ended else f"{shard_id} {int(at) + len(found)}"


@dataclass
class Queue:
    """boto3's client of SQS, with messages in memory."""

    messages: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    sent: list[Any] = field(default_factory=list)

    def get_queue_url(self, **_: Any) -> dict[str, str]:
        return {"QueueUrl": "url"}

    def get_queue_attributes(self, **_: Any) -> dict[str, Any]:
        return {"Attributes": {"QueueArn": QUEUE_ARN}}

    def send_message(self, *, MessageBody: str, **_: Any) -> None:  # noqa: N803 - boto3's name
        self.sent.append(json.loads(MessageBody))

    def receive_message(self, *, MaxNumberOfMessages: int, **_: Any) -> dict[str, Any]:  # noqa: N803
        got, self.messages = self.messages[:MaxNumberOfMessages], self.messages[MaxNumberOfMessages:]
        return {
            "Messages": [{"MessageId": body, "ReceiptHandle": body, "Body": body, "MD5OfBody": "x"} for body in got]
        }

    def delete_message(self, *, ReceiptHandle: str, **_: Any) -> None:  # noqa: N803
        self.deleted.append(ReceiptHandle)


@dataclass
class Function:
    """A function that notes what it gets, and does as it is told.

    Attributes:
        behave: Takes the sequence numbers or message ids of a batch; returns those that failed, or raises.
    """

    behave: Callable[[list[str]], Sequence[str]] = lambda _: ()
    batches: list[list[str]] = field(default_factory=list)
    events: list[Mapping[str, Any]] = field(default_factory=list)

    def invoke(self, name: str, event: Mapping[str, Any]) -> Any:
        assert name == "f"
        ids = [
            each["dynamodb"]["SequenceNumber"] if "dynamodb" in each else each["messageId"] for each in event["Records"]
        ]
        self.batches.append(ids)
        self.events.append(event)
        return {"batchItemFailures": [{"itemIdentifier": one} for one in self.behave(ids)]}


def mapping(**more: Any) -> StreamMapping:
    properties = {
        "EventSourceArn": STREAM_ARN,
        "FunctionName": ALIAS,
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 4,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": 2,
        "DestinationConfig": {"OnFailure": {"Destination": FAILURES_ARN}},
        **more,
    }
    read = read_mapping(resource(**properties), {ALIAS: "f"})
    assert isinstance(read, StreamMapping)
    return read


def resource(**properties: Any) -> Resource:
    return Resource("Mapping", "AWS::Lambda::EventSourceMapping", "Mapping", properties)


def drive(reader: Reader, function: Function, read: StreamMapping) -> Queue:
    """Poll until nothing is left to do; pauses before retries are over at once."""
    queue = Queue()
    driver = StreamDriver(read, function.invoke, reader=reader, sqs=queue, pauses=False)
    idle = 0
    while idle < 3:
        idle = 0 if driver.poll() else idle + 1
    return queue


def test_records_come_in_batches_in_the_form_of_lambda() -> None:
    function = Function()

    drive(Reader({"a": [record(number) for number in range(6)]}), function, mapping())

    assert function.batches == [["0", "1", "2", "3"], ["4", "5"]]
    told = function.events[0]["Records"][0]
    assert (told["eventSource"], told["eventSourceARN"], told["awsRegion"]) == ("aws:dynamodb", STREAM_ARN, "us-east-1")
    assert isinstance(told["dynamodb"]["ApproximateCreationDateTime"], float)


def test_only_what_matches_a_filter_comes() -> None:
    function = Function()
    pattern = json.dumps({"dynamodb": {"Keys": {"pk": {"S": ["k1", {"suffix": "3"}]}}}})

    read = mapping(FilterCriteria={"Filters": [{"Pattern": pattern}]})
    drive(Reader({"a": [record(number) for number in range(5)]}), function, read)

    assert function.batches == [["1", "3"]]


def test_a_batch_starts_again_at_its_first_failure() -> None:
    failures = [["2", "1"], []]
    function = Function(lambda _: failures.pop(0))

    drive(Reader({"a": [record(number) for number in range(4)]}), function, mapping())

    assert function.batches == [["0", "1", "2", "3"], ["1", "2", "3"]]


def test_a_function_that_raises_gets_halves_until_the_bad_record_is_alone_and_given_up() -> None:
    def raise_for_two(ids: list[str]) -> Sequence[str]:
        if "2" in ids:
            raise FunctionError("raised")
        return ()

    function = Function(raise_for_two)

    queue = drive(Reader({"a": [record(number) for number in range(6)]}), function, mapping())

    assert [ids for ids in function.batches if "2" not in ids] == [["0", "1"], ["3"], ["4", "5"]]
    assert function.batches.count(["2"]) == 3  # the first time, and two retries
    (pointer,) = queue.sent
    assert pointer["requestContext"]["condition"] == "RetryAttemptsExhausted"
    info = pointer["DDBStreamBatchInfo"]
    assert (info["shardId"], info["startSequenceNumber"], info["endSequenceNumber"]) == ("a", "2", "2")


def test_a_record_that_is_too_old_is_given_up_after_its_next_failure() -> None:
    function = Function(lambda ids: ids)

    read = mapping(MaximumRetryAttempts=-1, MaximumRecordAgeInSeconds=60)
    queue = drive(Reader({"a": [record(1, age=90)]}), function, read)

    assert function.batches == [["1"]]
    assert queue.sent[0]["requestContext"]["condition"] == "RecordAgeExceeded"


@pytest.mark.parametrize(
    "answer", ["x", {"batchItemFailures": [{"itemIdentifier": "unknown"}]}, {"batchItemFailures": 1}]
)
def test_an_answer_that_cannot_be_understood_fails_the_whole_batch(answer: Any) -> None:
    answers = [answer, None]
    invoked = []

    class Odd(Function):
        def invoke(self, _: str, event: Mapping[str, Any]) -> Any:
            invoked.append(len(event["Records"]))
            return answers.pop(0)

    drive(Reader({"a": [record(1), record(2)]}), Odd(), mapping())

    assert invoked == [2, 2]


def test_a_shard_is_read_after_the_one_that_it_continues() -> None:
    function = Function()
    reader = Reader({"child": [record(9)], "parent": [record(1)]}, {"child": "parent"}, {"parent"})

    drive(reader, function, mapping(StartingPosition="LATEST"))

    assert reader.begun == [("parent", "LATEST"), ("child", "TRIM_HORIZON")]
    assert function.batches == [["1"], ["9"]]


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({"EventSourceArn": "arn:aws:kinesis:us-east-1:1:stream/x"}, "no stream and no queue"),
        ({"FunctionName": "other"}, "no function of the template"),
        ({"TumblingWindowInSeconds": 3}, "TumblingWindowInSeconds"),
        ({"StartingPosition": "AT_TIMESTAMP"}, "StartingPosition"),
        ({"FunctionResponseTypes": ["Other"]}, "FunctionResponseTypes"),
        ({"Enabled": False}, "enabled"),
        ({"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sns:x"}}}, "only a queue"),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{"}]}}, "not JSON"),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"a": [{"numeric": [">", 1]}]}'}]}}, "numeric"),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"a": "b"}'}]}}, "names fields"),
    ],
)
def test_a_mapping_that_cannot_be_interpreted_is_an_error(properties: dict[str, Any], why: str) -> None:
    with pytest.raises(TemplateError, match=why):
        mapping(**properties)


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ({"a": ["x"]}, {"a": "x"}, True),
        ({"a": ["x"]}, {"a": "y"}, False),
        ({"a": ["x"]}, {}, False),
        ({"a": [1]}, {"a": True}, False),
        ({"a": [{"prefix": "x"}]}, {"a": "xy"}, True),
        ({"a": [{"prefix": "x"}]}, {"a": 1}, False),
        ({"a": [{"suffix": "y"}]}, {"a": "xy"}, True),
        ({"a": [{"anything-but": ["x"]}]}, {"a": "y"}, True),
        ({"a": [{"anything-but": "x"}]}, {"a": "x"}, False),
        ({"a": [{"anything-but": "x"}]}, {}, False),
        ({"a": [{"exists": False}]}, {}, True),
        ({"a": [{"exists": True}]}, {"a": None}, True),
        ({"a": {"b": ["x"]}, "c": ["y"]}, {"a": {"b": "x"}, "c": "y"}, True),
        ({"a": {"b": ["x"]}, "c": ["y"]}, {"a": {"b": "x"}}, False),
        ({"a": {"b": ["x"]}}, {"a": "x"}, False),
    ],
)
def test_a_pattern_is_compared_as_eventbridge_does(pattern: Any, value: Any, *, matches: bool) -> None:
    assert EventPattern(json.dumps(pattern), "here").matches(value) is matches


def drive_queue(messages: list[str], function: Function, **more: Any) -> Queue:
    read = read_mapping(
        resource(
            EventSourceArn=QUEUE_ARN,
            FunctionName=ALIAS,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            **more,
        ),
        {ALIAS: "f"},
    )
    assert isinstance(read, QueueMapping)
    queue = Queue(messages)
    driver = QueueDriver(read, function.invoke, sqs=queue)
    while driver.poll():
        pass
    driver.wait()
    return queue


def test_messages_that_are_done_with_are_deleted_and_those_that_failed_stay() -> None:
    function = Function(lambda ids: [one for one in ids if one == "b"])

    queue = drive_queue(["a", "b", "c"], function)

    assert function.batches == [["a", "b", "c"]]
    assert queue.deleted == ["a", "c"]
    assert function.events[0]["Records"][0]["eventSource"] == "aws:sqs"


def test_all_messages_stay_if_the_function_raises() -> None:
    def fail(_: list[str]) -> Sequence[str]:
        raise FunctionError("raised")

    assert drive_queue(["a", "b"], Function(fail)).deleted == []


def test_a_message_that_matches_no_filter_is_dropped() -> None:
    function = Function()
    filters = {"Filters": [{"Pattern": json.dumps({"body": {"kind": ["good"]}})}]}

    queue = drive_queue(['{"kind": "good"}', '{"kind": "bad"}', "no JSON"], function, FilterCriteria=filters)

    assert function.batches == [['{"kind": "good"}']]
    assert sorted(queue.deleted) == sorted(['{"kind": "good"}', '{"kind": "bad"}', "no JSON"])


def test_messages_come_in_batches_and_at_once() -> None:
    function = Function()

    drive_queue([str(number) for number in range(7)], function, BatchSize=3)

    assert sorted(map(len, function.batches)) == [1, 3, 3]
