"""Readers of a table's stream: through the API of DynamoDB Streams, or in moto's own memory."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

from moto.dynamodb.models import dynamodb_backends

from local_aws.moto_server import MotoServer
from local_aws.template import ACCOUNT_ID, REGION

type Record = Mapping[str, Any]

_MOST_RECORDS = 1000


class Shard(NamedTuple):
    """A shard of a stream.

    Attributes:
        shard_id: Its id.
        parent_id: The shard that it continues, if it continues one.
    """

    shard_id: str
    parent_id: str | None


class StreamReader(Protocol):
    """Reads a stream.

    Attributes:
        arn: The stream's ARN.
    """

    arn: str

    def shards(self) -> list[Shard]:
        """Return the stream's shards."""

    def begin(self, shard_id: str, position: str) -> str:
        """Return where to begin: at ``TRIM_HORIZON`` or at ``LATEST``."""

    def read(self, iterator: str) -> tuple[list[Record], str | None]:
        """Return records, and where to go on; ``None`` at the end of a shard that has ended."""


class StreamOfServer:
    """A stream of a server, by its API.

    Args:
        streams: boto3's client of DynamoDB Streams.
        arn: The stream's ARN.
    """

    def __init__(self, streams: Any, arn: str) -> None:
        self.arn = arn
        self._streams = streams

    def shards(self) -> list[Shard]:
        """Return the stream's shards."""
        described: list[Shard] = []
        more: dict[str, str] = {}
        while True:
            found = self._streams.describe_stream(StreamArn=self.arn, **more)["StreamDescription"]
            described += [Shard(shard["ShardId"], shard.get("ParentShardId")) for shard in found["Shards"]]
            if not (last := found.get("LastEvaluatedShardId")):
                return described
            more = {"ExclusiveStartShardId": last}

    def begin(self, shard_id: str, position: str) -> str:
        """Return where to begin."""
        return f"{shard_id} {position} {self._iterator(shard_id, position)}"

    def read(self, iterator: str) -> tuple[list[Record], str | None]:
        """Return records, and where to go on."""
        shard_id, position, token = iterator.split(" ", 2)
        try:
            got = self._streams.get_records(ShardIterator=token, Limit=_MOST_RECORDS)
        except self._streams.exceptions.ExpiredIteratorException:  # after 15 minutes, in which a batch was tried again
            got = self._streams.get_records(ShardIterator=self._iterator(shard_id, position), Limit=_MOST_RECORDS)
        if got["Records"]:
            position = got["Records"][-1]["dynamodb"]["SequenceNumber"]
        following = got.get("NextShardIterator")
        return got["Records"], f"{shard_id} {position} {following}" if following else None

    def _iterator(self, shard_id: str, position: str) -> str:
        asked = {"StreamArn": self.arn, "ShardId": shard_id, "ShardIteratorType": position}
        if position.isdecimal():
            asked |= {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": position}
        return str(self._streams.get_shard_iterator(**asked)["ShardIterator"])


class StreamOfMoto:
    """A stream in the memory of this process's moto.  Through its API, a thousand records take half a second.

    Args:
        moto: The server.
        table_name: The table.
        arn: The stream's ARN.
    """

    def __init__(self, moto: MotoServer, table_name: str, arn: str) -> None:
        self.arn = arn
        self._moto = moto
        self._table_name = table_name

    def shards(self) -> list[Shard]:
        """Return the stream's only shard."""
        return [Shard(self._shard().id, None)]

    def begin(self, _: str, position: str) -> str:
        """Return where to begin."""
        first: int = self._shard().starting_sequence_number
        return str(first if position == "TRIM_HORIZON" else first + len(self._shard().items))

    def read(self, iterator: str) -> tuple[list[Record], str | None]:
        """Return records, and where to go on."""
        with self._moto.alone():
            records: Iterable[Record] = self._shard().get(int(iterator), _MOST_RECORDS)
        found = list(records)
        # An update that makes an item leaves two records in moto: first one of an item that has nothing but its key.
        kept = [record for record, later in pairwise(found) if not _is_same(record, later)] + found[-1:]
        return kept, str(int(iterator) + len(found))

    def _shard(self) -> Any:
        return dynamodb_backends[ACCOUNT_ID][REGION].tables[self._table_name].stream_shard


def _is_same(one: Record, other: Record) -> bool:
    """Return whether two records are of the same new item."""
    if (one["eventName"], other["eventName"]) != ("INSERT", "INSERT"):
        return False
    return bool(one["dynamodb"]["Keys"] == other["dynamodb"]["Keys"])
