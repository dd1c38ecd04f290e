"""Sends stream records again that were not recorded as events.

A queue has pointers to them, in the form in which Lambda describes a batch that it gives up ("Using Lambda with Amazon
DynamoDB", "Retain discarded batches"). A pointer has no data, and the stream keeps a record for 24 h.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

type Record = dict[str, Any]
type Invoke = Callable[[Mapping[str, Any]], Any]

# What a mapping passes on at most at once (template.yaml, `BatchSize`).  Its JSON is far below what Lambda takes, 6 MB,
# because DynamoDB answers with 1 MB at most.
_BATCH_SIZE = 300
_MOST_MESSAGES = 10
# SQS asks all of its servers only if it may wait ("Long polling").
WAIT_SECONDS = 1
# A page of a stream can be empty although more follows.
_MOST_EMPTY_PAGES = 20
# What a stream answers if a shard does not have a record: not any more, or never.
_NOT_THERE = {"ResourceNotFoundException", "TrimmedDataAccessException", "ValidationException"}


class Resent(NamedTuple):
    """What became of a message.

    Attributes:
        about: What it points to.
        problem: Why it stays in the queue; ``None`` if its records are recorded.
    """

    about: str
    problem: str | None = None


class _Pointer(NamedTuple):
    stream: str
    shard_id: str | None
    first: str
    last: str

    @property
    def about(self) -> str:
        return self.first if self.first == self.last else f"{self.first} to {self.last}"


class Resending:
    """Records again what a queue points to.

    Args:
        sqs: boto3's client of SQS.
        streams: boto3's client of DynamoDB Streams.
        invoke: Invokes the function ``events``; returns ``None`` if the function raises.
        queue_url: The queue.
    """

    def __init__(self, sqs: Any, streams: Any, invoke: Invoke, queue_url: str) -> None:
        self._sqs = sqs
        self._streams = streams
        self._invoke = invoke
        self._queue_url = queue_url
        self._sent: set[str] = set()

    def run(self) -> Iterator[Resent]:
        """Yield what becomes of each message.  Each is looked at once."""
        seen: set[str] = set()
        left: list[str] = []
        while messages := [message for message in self._receive() if message["MessageId"] not in seen]:
            for message in messages:
                seen.add(message["MessageId"])
                resent = self._resend(message)
                if resent.problem is None:
                    self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
                else:
                    left.append(message["ReceiptHandle"])
                yield resent
        # The command may be run again at once, and must find them.
        for receipt in left:
            with suppress(ClientError):  # it can be found already
                self._sqs.change_message_visibility(
                    QueueUrl=self._queue_url, ReceiptHandle=receipt, VisibilityTimeout=0
                )

    def _receive(self) -> Sequence[Mapping[str, Any]]:
        received = self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=_MOST_MESSAGES, WaitTimeSeconds=WAIT_SECONDS
        )
        messages: Sequence[Mapping[str, Any]] = received.get("Messages", [])
        return messages

    def _resend(self, message: Mapping[str, Any]) -> Resent:
        try:
            pointer = _read_pointer(message["Body"])
        except (LookupError, TypeError, ValueError):
            return Resent(f"message {message['MessageId']}", "it does not point to records of a stream")
        if pointer.first in self._sent:
            # The function answers well if it sets a record aside, and then the queue has a new message.
            return Resent(pointer.about, "it was set aside again; the log of the function `events` says why")
        is_found = False
        for records in self._batches(pointer):
            is_found = True
            answer = self._invoke({"Records": records})
            if answer is None or answer.get("batchItemFailures"):
                return Resent(pointer.about, "it failed again; the log of the function `events` says why")
            self._sent |= {record["dynamodb"]["SequenceNumber"] for record in records}
        return Resent(pointer.about, None if is_found else "it is too old: the stream does not have it any more")

    def _batches(self, pointer: _Pointer) -> Iterator[list[Record]]:
        """Yield the records that a pointer points to, in the form in which Lambda passes them on."""
        for shard_id in [pointer.shard_id] if pointer.shard_id else self._shards(pointer.stream):
            iterator = self._begin(pointer, shard_id)
            is_found, empty_pages = False, 0
            while iterator and empty_pages < _MOST_EMPTY_PAGES:
                page = self._streams.get_records(ShardIterator=iterator, Limit=_BATCH_SIZE)
                iterator, records = page.get("NextShardIterator"), page["Records"]
                empty_pages = 0 if records else empty_pages + 1
                if records and not is_found and _sequence_number(records[0]) != int(pointer.first):
                    break  # another shard has it
                wanted = [record for record in records if _sequence_number(record) <= int(pointer.last)]
                if wanted:
                    is_found = True
                    yield [_told(record, pointer.stream) for record in wanted]
                if records and _sequence_number(records[-1]) >= int(pointer.last):
                    return
            if is_found:
                return

    def _begin(self, pointer: _Pointer, shard_id: str) -> str | None:
        """Return where to begin in a shard; ``None`` if the shard does not have the record."""
        try:
            found = self._streams.get_shard_iterator(
                StreamArn=pointer.stream,
                ShardId=shard_id,
                ShardIteratorType="AT_SEQUENCE_NUMBER",
                SequenceNumber=pointer.first,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_THERE:
                return None
            raise
        return str(found["ShardIterator"])

    def _shards(self, stream: str) -> Iterator[str]:
        more: dict[str, str] = {}
        while True:
            try:
                found = self._streams.describe_stream(StreamArn=stream, **more)["StreamDescription"]
            except ClientError as error:
                if error.response["Error"]["Code"] in _NOT_THERE:
                    return
                raise
            yield from (shard["ShardId"] for shard in found["Shards"])
            if not (last := found.get("LastEvaluatedShardId")):
                return
            more = {"ExclusiveStartShardId": last}


def _read_pointer(body: str) -> _Pointer:
    info = json.loads(body)["DDBStreamBatchInfo"]
    first, last = info["startSequenceNumber"], info["endSequenceNumber"]
    return _Pointer(str(info["streamArn"]), info.get("shardId"), str(int(first)), str(int(last)))


def _sequence_number(record: Mapping[str, Any]) -> int:
    return int(record["dynamodb"]["SequenceNumber"])


def _told(record: Mapping[str, Any], stream: str) -> Record:
    changed = dict(record["dynamodb"])
    changed["ApproximateCreationDateTime"] = changed["ApproximateCreationDateTime"].timestamp()
    return {**record, "eventSourceARN": stream, "dynamodb": changed}
