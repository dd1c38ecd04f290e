"""Reading a stream by the API of DynamoDB Streams."""

from typing import Any

import pytest

from local_aws.streams import Shard, StreamOfServer


class ExpiredIteratorException(Exception):
    pass


class Streams:
    """boto3's client of DynamoDB Streams, for a shard with the records 1 to 4, of which a request gets two."""

    class exceptions:  # noqa: N801 - as boto3's client has it
        ExpiredIteratorException = ExpiredIteratorException

    def __init__(self) -> None:
        self.expired: set[str] = set()

    def describe_stream(self, **asked: str) -> dict[str, Any]:
        if "ExclusiveStartShardId" in asked:
            return {"StreamDescription": {"Shards": [{"ShardId": "b", "ParentShardId": "a"}]}}
        return {"StreamDescription": {"Shards": [{"ShardId": "a"}], "LastEvaluatedShardId": "a"}}

    def get_shard_iterator(self, **asked: str) -> dict[str, str]:
        starts = {"TRIM_HORIZON": 0, "LATEST": 4, "AFTER_SEQUENCE_NUMBER": int(asked.get("SequenceNumber", 0))}
        return {"ShardIterator": f"renewed {starts[asked['ShardIteratorType']]}"}

    def get_records(self, **asked: Any) -> dict[str, Any]:
        if asked["ShardIterator"] in self.expired:
            raise ExpiredIteratorException
        start = int(asked["ShardIterator"].split()[1])
        records = [{"dynamodb": {"SequenceNumber": str(number)}} for number in range(start + 1, min(start + 2, 4) + 1)]
        return {"Records": records, "NextShardIterator": f"next {start + len(records)}" if records else None}


@pytest.fixture
def streams() -> Streams:
    return Streams()


@pytest.fixture
def stream(streams: Streams) -> StreamOfServer:
    return StreamOfServer(streams, "arn")


def numbers(records: Any) -> list[str]:
    return [record["dynamodb"]["SequenceNumber"] for record in records]


def test_shards_are_listed_with_their_parents_page_by_page(stream: StreamOfServer) -> None:
    assert stream.shards() == [Shard("a", None), Shard("b", "a")]


def test_a_shard_is_read_to_its_end(stream: StreamOfServer) -> None:
    first, iterator = stream.read(stream.begin("a", "TRIM_HORIZON"))
    second, iterator = stream.read(str(iterator))
    nothing, end = stream.read(str(iterator))

    assert (numbers(first), numbers(second), nothing) == (["1", "2"], ["3", "4"], [])
    assert end is None


def test_the_latest_is_what_comes_later(stream: StreamOfServer) -> None:
    records, _ = stream.read(stream.begin("a", "LATEST"))

    assert records == []


def test_an_expired_iterator_is_renewed_after_the_last_record(streams: Streams, stream: StreamOfServer) -> None:
    _, iterator = stream.read(stream.begin("a", "TRIM_HORIZON"))
    streams.expired.add("next 2")

    records, _ = stream.read(str(iterator))

    assert numbers(records) == ["3", "4"]


def test_an_iterator_that_expires_before_it_is_used_is_renewed(streams: Streams, stream: StreamOfServer) -> None:
    begun = stream.begin("a", "TRIM_HORIZON").replace("renewed", "old")
    streams.expired.add("old 0")

    records, _ = stream.read(begun)

    assert numbers(records) == ["1", "2"]
