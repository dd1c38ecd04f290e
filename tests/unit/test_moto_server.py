"""moto over HTTP, and its transactions there and in this process."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from local_aws.functions import environment
from local_aws.moto_server import MotoServer, serve_moto
from local_aws.quick_transactions import quick_transactions
from local_aws.streams import StreamOfMoto, StreamOfServer, StreamReader

CREDENTIALS = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)


@pytest.fixture
def moto() -> Iterator[MotoServer]:
    with environment(CREDENTIALS), serve_moto("127.0.0.1") as moto:
        yield moto


class Table:
    """A table with a stream.

    Args:
        name: Its name.
        endpoint: The server; ``None`` is moto in this process.
        sort_key: Whether it has one.
    """

    def __init__(self, name: str, endpoint: str | None, *, sort_key: bool = True) -> None:
        self.name = name
        self.client: Any = boto3.client("dynamodb", endpoint_url=endpoint, config=ONCE)
        names = ["pk", "sk"] if sort_key else ["pk"]
        self.client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in names],
            KeySchema=[{"AttributeName": key, "KeyType": "HASH" if key == "pk" else "RANGE"} for key in names],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        self._names = names
        arn = self.client.describe_table(TableName=name)["Table"]["LatestStreamArn"]
        self.stream: StreamReader = StreamOfMoto(MotoServer("in process"), name, arn)
        if endpoint is not None:
            self.stream = StreamOfServer(boto3.client("dynamodbstreams", endpoint_url=endpoint, config=ONCE), arn)

    def put(self, name: str, **more: Any) -> dict[str, Any]:
        item = {**{key: {"S": name} for key in self._names}, "n": {"S": name}}
        return {"Put": {"TableName": self.name, "Item": item, **more}}

    def put_new(self, name: str) -> dict[str, Any]:
        return self.put(name, ConditionExpression="attribute_not_exists(pk)")

    def transact(self, *actions: Any) -> None:
        self.client.transact_write_items(TransactItems=actions)

    def items(self) -> set[str]:
        return {item["pk"]["S"] for item in self.client.scan(TableName=self.name)["Items"]}

    def iterator(self) -> str:
        (shard,) = self.stream.shards()
        return self.stream.begin(shard.shard_id, "TRIM_HORIZON")

    def changes(self, iterator: str) -> list[str]:
        records, _ = self.stream.read(iterator)
        return [record["dynamodb"]["Keys"]["pk"]["S"] for record in records]


@pytest.fixture(params=["in process", "over HTTP"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "over HTTP":
        yield request.getfixturevalue("moto").url
    else:
        with environment(CREDENTIALS), mock_aws(), quick_transactions():
            yield None


@pytest.fixture(params=[True, False], ids=["with a sort key", "without a sort key"])
def table(endpoint: str | None, request: pytest.FixtureRequest) -> Iterator[Table]:
    table = Table("t", endpoint, sort_key=request.param)
    yield table
    table.client.delete_table(TableName="t")


def test_a_refused_transaction_changes_nothing_and_leaves_no_record(table: Table) -> None:
    iterator = table.iterator()
    table.transact(table.put_new("1"))

    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        table.transact(table.put_new("2"), table.put_new("1"))

    assert table.items() == {"1"}
    assert table.changes(iterator) == ["1"]


def test_an_iterator_stays_valid_after_a_refused_transaction(table: Table) -> None:
    iterator = table.iterator()
    table.transact(table.put_new("1"))
    with pytest.raises(ClientError):
        table.transact(table.put_new("2"), table.put_new("1"))

    table.transact(table.put("1"), table.put_new("3"))

    assert table.items() == {"1", "3"}
    assert table.changes(iterator) == ["1", "1", "3"]


def test_a_refused_transaction_restores_what_it_has_deleted_and_changed(table: Table) -> None:
    key = {name: value for name, value in table.put("1")["Put"]["Item"].items() if name != "n"}
    other = {name: {"S": "2"} for name in key}
    table.transact(table.put("1"), table.put("2"))
    update = {
        "TableName": "t",
        "Key": other,
        "UpdateExpression": "SET n = :n",
        "ExpressionAttributeValues": {":n": {"S": "x"}},
    }
    check = {"TableName": "t", "Key": {name: {"S": "3"} for name in key}, "ConditionExpression": "attribute_exists(pk)"}

    with pytest.raises(ClientError):
        table.transact({"Delete": {"TableName": "t", "Key": key}}, {"Update": update}, {"ConditionCheck": check})

    assert table.items() == {"1", "2"}
    assert table.client.get_item(TableName="t", Key=other)["Item"]["n"] == {"S": "2"}


def test_requests_come_one_at_a_time(moto: MotoServer) -> None:
    table = Table("counted", moto.url)

    def count(_: int) -> None:
        key = {"pk": {"S": "1"}, "sk": {"S": "1"}}
        table.client.update_item(
            TableName="counted",
            Key=key,
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    with ThreadPoolExecutor(4) as executor:
        list(executor.map(count, range(40)))

    (item,) = table.client.scan(TableName="counted")["Items"]
    assert item["n"] == {"N": "40"}


def test_no_request_gets_through_while_one_is_alone(moto: MotoServer) -> None:
    answered = threading.Event()

    def ask() -> None:
        httpx.get(moto.url)
        answered.set()

    thread = threading.Thread(target=ask)
    with moto.alone():
        thread.start()
        assert not answered.wait(0.1)

    assert answered.wait(5)
    thread.join()


def test_what_is_beside_moto_is_asked_first(moto: MotoServer) -> None:
    def other(environ: Any, start_response: Any) -> list[bytes] | None:
        if environ["PATH_INFO"] != "/mine":
            return None
        start_response("200 OK", [("Content-Length", "5")])
        return [b"other"]

    moto.beside.append(other)

    assert httpx.get(f"{moto.url}/mine").text == "other"
    assert boto3.client("dynamodb", endpoint_url=moto.url).list_tables()["TableNames"] == []


def test_a_client_that_keeps_its_connection_writes_nothing_after_the_end() -> None:
    with environment(CREDENTIALS), serve_moto("127.0.0.1") as moto:
        table = Table("t", moto.url)

    with environment(CREDENTIALS), serve_moto("127.0.0.1") as later:
        table_of_later = Table("t", later.url)

        with pytest.raises((ClientError, EndpointConnectionError)):
            table.transact(table.put("1"))

        assert table_of_later.items() == set()
