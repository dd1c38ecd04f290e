"""Event source mappings: they read a table's stream or a queue, and invoke a function with what they find.

Lambda's rules are from its developer guide, "Using Lambda with DynamoDB" and "Using Lambda with Amazon SQS".
"""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, override

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.event_patterns import EventPattern
from local_aws.functions import FunctionError, NoTurnError
from local_aws.streams import Record, StreamReader
from local_aws.template import ACCOUNT_ID, REGION, Resource, TemplateError, interpreting, number, only

type Invoke = Callable[[str, Mapping[str, Any]], Any]

_COMMON = {
    "BatchSize",
    "Enabled",
    "EventSourceArn",
    "FilterCriteria",
    "FunctionName",
    "FunctionResponseTypes",
    "MaximumBatchingWindowInSeconds",
}
_OF_STREAMS = {
    *_COMMON,
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "StartingPosition",
}
_OF_QUEUES = {*_COMMON, "ScalingConfig"}

# How long a mapping waits before it looks again: longer and longer while there is nothing.
_SHORTEST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 0.8
_SHARDS_ARE_LISTED_EVERY_SECONDS = 5
# Lambda waits longer, but a person at a terminal mends a function and wants to see that it works.
_LONGEST_RETRY_SECONDS = 5.0
# A queue's mapping has as many invocations at once as its function may have here.
_MOST_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class StreamMapping:
    """A mapping of a table's stream.

    Attributes:
        name: Its logical ID.
        source: The table.
        function: The function's name.
        batch_size: The most records that an invocation gets.
        patterns: A record must match one of them; if there are none, all pass.
        reports_failures: Whether the function's answer names the records that failed.
        bisects: Whether a batch is halved after the function raised.
        most_retries: How often a batch is tried again.
        longest_age: The age in seconds at which a record is given up.
        on_failure: The ARN of the queue that gets a pointer to a batch that is given up.
        starts_at: ``TRIM_HORIZON`` or ``LATEST``.
    """

    name: str
    source: str
    function: str
    batch_size: int
    patterns: Sequence[EventPattern]
    reports_failures: bool
    bisects: bool
    most_retries: float
    longest_age: float
    on_failure: str | None
    starts_at: str


@dataclass(frozen=True, slots=True)
class QueueMapping:
    """A mapping of a queue.

    Attributes:
        name: Its logical ID.
        source: The queue's name.
        function: The function's name.
        batch_size: The most messages that an invocation gets.
        patterns: A message must match one of them; one that does not is dropped.
        reports_failures: Whether the function's answer names the messages that failed.
        at_once: How many invocations there may be at once.
    """

    name: str
    source: str
    function: str
    batch_size: int
    patterns: Sequence[EventPattern]
    reports_failures: bool
    at_once: int


def read_mapping(resource: Resource, functions: Mapping[str, str]) -> StreamMapping | QueueMapping:
    """Read an ``AWS::Lambda::EventSourceMapping``.

    Args:
        resource: The mapping.
        functions: Names of functions by the functions' ARNs and by their aliases' ARNs.

    Raises:
        TemplateError: It has a part that cannot be interpreted here.
    """
    where, properties = resource.logical_id, resource.properties
    with interpreting(where):
        source = source_name(properties["EventSourceArn"])
        service = properties["EventSourceArn"].split(":")[2]
        if properties.get("Enabled", True) is not True:
            raise TemplateError(f"{where}: only a mapping that is enabled can be interpreted here")
        if properties["FunctionName"] not in functions:
            raise TemplateError(f"{where}: {properties['FunctionName']} is no function of the template")
        filters = _part(properties, "FilterCriteria", {"Filters"}, where).get("Filters", [])
        for each in filters:
            only(each, {"Pattern"}, f"{where}.FilterCriteria")
        types = properties.get("FunctionResponseTypes", [])
        if not set(types) <= {"ReportBatchItemFailures"}:
            raise TemplateError(f"{where}.FunctionResponseTypes cannot be interpreted here")
        common: dict[str, Any] = {
            "name": where,
            "function": functions[properties["FunctionName"]],
            "patterns": [EventPattern(each["Pattern"], f"{where}.FilterCriteria") for each in filters],
            "reports_failures": bool(types),
        }
        if service == "dynamodb":
            only(properties, _OF_STREAMS, where)
            return _stream_mapping(properties, source, where, common)
        only(properties, _OF_QUEUES, where)
        scaling = _part(properties, "ScalingConfig", {"MaximumConcurrency"}, where)
        most = number(scaling.get("MaximumConcurrency", 1000), 2, 1000, f"{where}.ScalingConfig")
        return QueueMapping(
            source=source,
            batch_size=int(number(properties.get("BatchSize", 10), 1, 10, f"{where}.BatchSize")),
            at_once=int(min(_MOST_AT_ONCE, most)),
            **common,
        )


def source_name(arn: str) -> str:
    """Return the name of the table or of the queue that a stream's or a queue's ARN names.

    Raises:
        ValueError: It is no such ARN.
    """
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[2] not in {"dynamodb", "sqs"}:  # noqa: PLR2004 - of an ARN
        raise ValueError(f"{arn} is no stream and no queue")
    if parts[2] == "sqs":
        return parts[5]
    kind, _, rest = parts[5].partition("/")
    if kind != "table" or not rest:
        raise ValueError(f"{arn} is no stream of a table")
    return rest.split("/")[0]


def _part(properties: Mapping[str, Any], name: str, known: set[str], where: str) -> Mapping[str, Any]:
    part: Mapping[str, Any] = properties.get(name, {})
    only(part, known, f"{where}.{name}")
    return part


def _stream_mapping(properties: Mapping[str, Any], source: str, where: str, common: Mapping[str, Any]) -> StreamMapping:
    if properties["StartingPosition"] not in {"TRIM_HORIZON", "LATEST"}:
        raise TemplateError(f"{where}.StartingPosition cannot be interpreted here")
    destinations = _part(properties, "DestinationConfig", {"OnFailure"}, where)
    destination = _part(destinations, "OnFailure", {"Destination"}, f"{where}.DestinationConfig").get("Destination")
    bisects = properties.get("BisectBatchOnFunctionError", False)
    if not isinstance(bisects, bool):
        raise TemplateError(f"{where}.BisectBatchOnFunctionError cannot be interpreted here")
    if destination is not None and not destination.startswith("arn:aws:sqs:"):
        raise TemplateError(f"{where}.DestinationConfig: only a queue can be interpreted here")
    retries, age = (properties.get(name, -1) for name in ("MaximumRetryAttempts", "MaximumRecordAgeInSeconds"))
    return StreamMapping(
        source=source,
        batch_size=int(number(properties.get("BatchSize", 100), 1, 10_000, f"{where}.BatchSize")),
        bisects=bisects,
        most_retries=float("inf") if retries == -1 else number(retries, 0, 10_000, where),
        longest_age=float("inf") if age == -1 else number(age, 60, 604_800, where),
        on_failure=destination,
        starts_at=properties["StartingPosition"],
        **common,
    )


class Driver:
    """Runs a mapping in a thread of its own until it is stopped.

    Args:
        name: The thread's name.
    """

    def __init__(self, name: str) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more, and write nothing more."""
        self._stopping.set()

    def wait(self, seconds: float) -> None:
        """Wait until what is running has ended, but not longer than so many seconds."""
        self._thread.join(seconds)

    def poll(self) -> bool:
        """Look once for something to do, and do it.  Return whether there was something."""
        raise NotImplementedError

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE_SECONDS
        while not self._stopping.wait(pause):
            found = False
            # A server that is not there is asked again, as Lambda does.
            with suppress(BotoCoreError, ClientError):
                found = self.poll()
            pause = _SHORTEST_PAUSE_SECONDS if found else min(2 * pause, _LONGEST_PAUSE_SECONDS)


@dataclass(slots=True)
class _Batch:
    records: list[Record]
    retries: int = 0


@dataclass(slots=True)
class _Shard:
    iterator: str | None
    waiting: deque[_Batch] = field(default_factory=deque)
    pauses_until: float = 0.0


class StreamDriver(Driver):
    """Drives a mapping of a table's stream.

    Args:
        mapping: The mapping.
        invoke: Invokes a function.
        reader: Reads the stream.
        sqs: boto3's client of SQS.
    """

    def __init__(self, mapping: StreamMapping, invoke: Invoke, *, reader: StreamReader, sqs: Any) -> None:
        super().__init__(mapping.name)
        self._mapping = mapping
        self._invoke = invoke
        self._reader = reader
        self._sqs = sqs
        self._shards: dict[str, _Shard] = {}
        self._ended: set[str] = set()
        self._listed_at = float("-inf")
        self._has_begun = False

    @override
    def start(self) -> None:
        """Start.  What is changed from now on is read, also where the mapping begins at the end of the stream."""
        with suppress(BotoCoreError, ClientError):  # a server that is not there is asked again
            self._list_shards()
        super().start()

    def poll(self) -> bool:
        """Read each shard once, and invoke the function.  Return whether there were records."""
        if time.monotonic() - self._listed_at > _SHARDS_ARE_LISTED_EVERY_SECONDS:
            self._list_shards()
        found = False
        for shard_id, shard in list(self._shards.items()):  # a copy, because a shard that has ended is taken out
            found |= self._advance(shard_id, shard)
        return found

    def _list_shards(self) -> None:
        """Find new shards.  A shard whose parent is still being read has to wait: it has later changes."""
        described = self._reader.shards()
        known = {shard.shard_id for shard in described}
        # Only at the start, LATEST is the end of what is there.  A shard that is made later has only what is later.
        position = "TRIM_HORIZON"
        if not self._has_begun and self._mapping.starts_at == "LATEST":
            position = "LATEST"
            self._ended |= known & {parent_id for _, parent_id in described}
        for shard_id, parent_id in described:
            if shard_id in self._shards or shard_id in self._ended or parent_id in known - self._ended:
                continue
            self._shards[shard_id] = _Shard(self._reader.begin(shard_id, position))
        self._has_begun = True
        self._listed_at = time.monotonic()

    def _advance(self, shard_id: str, shard: _Shard) -> bool:
        if shard.waiting:
            if time.monotonic() >= shard.pauses_until:
                self._work(shard_id, shard)
            return True
        if shard.iterator is None:  # it is read to its end, and nothing waits any more
            del self._shards[shard_id]
            self._ended.add(shard_id)
            self._listed_at = float("-inf")
            return False
        records, shard.iterator = self._reader.read(shard.iterator)
        patterns = self._mapping.patterns
        wanted = [
            _told(record, self._reader.arn)
            for record in records
            if not patterns or any(pattern.matches(record) for pattern in patterns)
        ]
        size = self._mapping.batch_size
        shard.waiting.extend(_Batch(wanted[start : start + size]) for start in range(0, len(wanted), size))
        self._work(shard_id, shard)
        return bool(records)

    def _work(self, shard_id: str, shard: _Shard) -> None:
        """Invoke the function with what waits, until all is done or something fails."""
        while shard.waiting and not self._stopping.is_set():
            batch = shard.waiting[0]
            if old := self._count_too_old(batch.records):
                self._give_up(shard_id, _Batch(batch.records[:old], batch.retries), "RecordAgeExceeded")
                batch.records = batch.records[old:]
                if not batch.records:
                    shard.waiting.popleft()
                continue
            if batch.retries > self._mapping.most_retries:
                self._give_up(shard_id, batch, "RetryAttemptsExhausted")
                shard.waiting.popleft()
                continue
            left = self._try(batch)
            shard.waiting.popleft()
            shard.waiting.extendleft(reversed(left))
            if left and left[0].retries <= self._mapping.most_retries:
                pause = min(_LONGEST_RETRY_SECONDS, _SHORTEST_PAUSE_SECONDS * 2 ** min(batch.retries, 10))
                shard.pauses_until = time.monotonic() + pause
                return

    def _try(self, batch: _Batch) -> list[_Batch]:
        """Invoke the function with a batch, and return what has to be tried again."""
        records = batch.records
        try:
            answer = self._invoke(self._mapping.function, {"Records": records})
        except (FunctionError, NoTurnError):
            if self._mapping.bisects and len(records) > 1:
                half = len(records) // 2
                return [_Batch(records[:half], batch.retries), _Batch(records[half:], batch.retries)]
            return [_Batch(records, batch.retries + 1)]
        if not self._mapping.reports_failures:
            return []
        failed = _failures(answer, [record["dynamodb"]["SequenceNumber"] for record in records])
        # Lambda starts again at the first failure.
        return [_Batch(records[min(failed) :], batch.retries + 1)] if failed else []

    def _count_too_old(self, records: Sequence[Record]) -> int:
        """Return how many of the first records are too old to be tried."""
        oldest = time.time() - self._mapping.longest_age
        made = (record["dynamodb"]["ApproximateCreationDateTime"] for record in records)
        return sum(1 for _ in takewhile(lambda at: at < oldest, made))

    def _give_up(self, shard_id: str, batch: _Batch, condition: str) -> None:
        if self._mapping.on_failure is None:
            return
        first, last = batch.records[0]["dynamodb"], batch.records[-1]["dynamodb"]
        pointer = {
            "requestContext": {
                "functionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{self._mapping.function}",
                "condition": condition,
                "approximateInvokeCount": batch.retries,
            },
            "version": "1.0",
            "DDBStreamBatchInfo": {
                "shardId": shard_id,
                "startSequenceNumber": first["SequenceNumber"],
                "endSequenceNumber": last["SequenceNumber"],
                "batchSize": len(batch.records),
                "streamArn": self._reader.arn,
            },
        }
        url = self._sqs.get_queue_url(QueueName=self._mapping.on_failure.split(":")[-1])["QueueUrl"]
        self._sqs.send_message(QueueUrl=url, MessageBody=json.dumps(pointer))


class QueueDriver(Driver):
    """Drives a mapping of a queue.

    Args:
        mapping: The mapping.
        invoke: Invokes a function.
        sqs: boto3's client of SQS.
    """

    def __init__(self, mapping: QueueMapping, invoke: Invoke, *, sqs: Any) -> None:
        super().__init__(mapping.name)
        self._mapping = mapping
        self._invoke = invoke
        self._sqs = sqs
        self._free = threading.Semaphore(mapping.at_once)
        self._url = str(sqs.get_queue_url(QueueName=mapping.source)["QueueUrl"])
        found = sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        self._arn = str(found["Attributes"]["QueueArn"])

    def poll(self) -> bool:
        """Receive messages once, and have the function invoked with them.  Return whether there were any."""
        if not self._free.acquire(timeout=_LONGEST_PAUSE_SECONDS):
            return True
        received = []
        try:
            # Waiting for messages would hold up all of moto's requests.
            received = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=self._mapping.batch_size,
                WaitTimeSeconds=0,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
        finally:
            if not received:
                self._free.release()
        if received and self._stopping.is_set():
            self._free.release()
        elif received:
            records = [_message(message, self._arn) for message in received]
            threading.Thread(target=self._work, args=(records,), name=self._mapping.name, daemon=True).start()
        return bool(received)

    def _work(self, records: Sequence[Record]) -> None:
        try:
            wanted = [record for record in records if self._is_wanted(record)]
            failed = self._try(wanted) if wanted else set()
            for record in records:
                if record["messageId"] not in failed and not self._stopping.is_set():
                    self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=record["receiptHandle"])
        except (BotoCoreError, ClientError):
            pass  # the messages come again
        finally:
            self._free.release()

    def _try(self, records: Sequence[Record]) -> set[str]:
        ids = [str(record["messageId"]) for record in records]
        try:
            answer = self._invoke(self._mapping.function, {"Records": records})
        except (FunctionError, NoTurnError):
            return set(ids)
        if not self._mapping.reports_failures:
            return set()
        return {ids[index] for index in _failures(answer, ids)}

    def _is_wanted(self, record: Record) -> bool:
        if not self._mapping.patterns:
            return True
        body: Any = record["body"]
        with suppress(ValueError):
            body = json.loads(body)
        return any(pattern.matches({**record, "body": body}) for pattern in self._mapping.patterns)


def _failures(answer: Any, ids: Sequence[str]) -> set[int]:
    """Return the indexes of what a function's answer names as failed: all, if the answer cannot be understood."""
    everything = set(range(len(ids)))
    if answer is None or answer == "":
        return set()
    try:
        named = [failure["itemIdentifier"] for failure in answer.get("batchItemFailures") or []]
        return {ids.index(name) for name in named}
    except (AttributeError, KeyError, TypeError, ValueError):
        return everything


def _told(record: Mapping[str, Any], arn: str) -> Record:
    """Return a stream's record in the form in which Lambda passes it on."""
    changed = dict(record["dynamodb"])
    changed["ApproximateCreationDateTime"] = float(int(changed["ApproximateCreationDateTime"].timestamp()))
    # DynamoDB says with it that an item has expired.
    identity = {"userIdentity": record["userIdentity"]} if "userIdentity" in record else {}
    return {
        **identity,
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventVersion": record.get("eventVersion", "1.1"),
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": changed,
        "eventSourceARN": arn,
    }


def _message(message: Mapping[str, Any], arn: str) -> Record:
    """Return a queue's message in the form in which Lambda passes it on."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": message.get("MessageAttributes", {}),
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": REGION,
    }
