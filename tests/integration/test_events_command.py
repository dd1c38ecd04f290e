"""`enrollments events`: events are followed, and those that were not recorded are sent again."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from enrollment.timestamps import timestamp
from enrollments.events import follow, line_of, resend_all
from local_aws.moto_server import serve_moto
from tests.fixtures import Store, Workspace


class Stop(Exception):
    """Ends what has no end."""


def test_events_are_followed_each_once_and_in_order_though_one_comes_late(store: Store, workspace: Workspace) -> None:
    begin = datetime.now(UTC)
    at = [timestamp(begin + timedelta(seconds=second)) for second in range(6)]
    looks: Iterator[Callable[[], Any]] = iter(
        [
            lambda: [workspace.event(created_at=at[second]) for second in (3, 4)],
            lambda: workspace.event(created_at=at[2]),  # listed late, within the overlap
            lambda: workspace.event(created_at=at[5]),
        ]
    )
    workspace.event(created_at=at[1])
    workspace.event(created_at=timestamp(begin - timedelta(seconds=1)))

    def sleep(_: float) -> None:
        look = next(looks, None)
        if look is None:
            raise Stop
        look()

    found = []
    with suppress(Stop):
        found += [event.created_at for event in _collect(follow(store.table, workspace.workspace_id, begin, sleep))]

    assert found == [at[1], at[3], at[4], at[2], at[5]]


def _collect(events: Iterator[Any]) -> list[Any]:
    found = []
    with suppress(Stop):
        for event in events:
            found.append(event)  # noqa: PERF402 - what has come before the end is kept
    return found


def test_a_line_says_when_what_and_about_what(store: Store, workspace: Workspace) -> None:
    event_id = workspace.event(created_at="2026-11-25T10:00:00.000Z", acs_user_id="u", acs_system_id="s")
    begin = datetime(2026, 11, 25, tzinfo=UTC)

    def stop(_: float) -> None:
        raise Stop

    (event,) = _collect(follow(store.table, workspace.workspace_id, begin, stop))

    assert event.event_id == event_id
    assert line_of(event) == "2026-11-25T10:00:00.000Z  acs_user.created  acs_user_id=u acs_system_id=s"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    with serve_moto("127.0.0.1") as moto:
        clients: dict[str, Any] = {
            "dynamodb": boto3.client("dynamodb", endpoint_url=moto.url),
            "streams": boto3.client("dynamodbstreams", endpoint_url=moto.url),
            "sqs": boto3.client("sqs", endpoint_url=moto.url),
        }
        clients["dynamodb"].create_table(
            TableName="streamed",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        clients["url"] = clients["sqs"].create_queue(QueueName="failures")["QueueUrl"]
        yield clients
        clients["dynamodb"].delete_table(TableName="streamed")
        clients["sqs"].delete_queue(QueueUrl=clients["url"])


def _pointer(aws: Mapping[str, Any], first: int, last: int, **more: str) -> None:
    arn = aws["dynamodb"].describe_table(TableName="streamed")["Table"]["LatestStreamArn"]
    info = {"startSequenceNumber": str(first), "endSequenceNumber": str(last), "streamArn": arn, **more}
    aws["sqs"].send_message(QueueUrl=aws["url"], MessageBody=json.dumps({"DDBStreamBatchInfo": info}))


def _put(aws: Mapping[str, Any], number: int) -> int:
    """Put an item, and return the sequence number of its record."""
    aws["dynamodb"].put_item(TableName="streamed", Item={"pk": {"S": "p"}, "sk": {"S": str(number)}})
    return 1100000000017454423009 + number


def _left(aws: Mapping[str, Any]) -> int:
    told = aws["sqs"].get_queue_attributes(QueueUrl=aws["url"], AttributeNames=["All"])["Attributes"]
    return int(told["ApproximateNumberOfMessages"]) + int(told["ApproximateNumberOfMessagesNotVisible"])


def test_what_a_message_points_to_is_recorded_and_the_message_deleted(aws: dict[str, Any]) -> None:
    numbers = [_put(aws, number) for number in range(4)]
    _pointer(aws, numbers[1], numbers[2])
    invoked: list[Mapping[str, Any]] = []

    def invoke(event: Mapping[str, Any]) -> Any:
        invoked.append(event)
        return {"batchItemFailures": []}

    lines = list(resend_all(aws["sqs"], aws["streams"], invoke, aws["url"]))

    assert lines == [f"{numbers[1]}-{numbers[2]}: recorded"]
    ((one, two),) = [event["Records"] for event in invoked]
    assert [record["dynamodb"]["Keys"]["sk"]["S"] for record in (one, two)] == ["1", "2"]
    assert json.dumps(one)
    assert _left(aws) == 0


@pytest.mark.parametrize("answer", [None, {"batchItemFailures": [{"itemIdentifier": "1"}]}])
def test_a_message_whose_records_fail_again_stays(aws: dict[str, Any], answer: Any) -> None:
    number = _put(aws, 0)
    _pointer(aws, number, number)

    assert list(resend_all(aws["sqs"], aws["streams"], lambda _: answer, aws["url"])) == [
        f"{number}-{number}: failed again"
    ]
    assert _left(aws) == 1


def test_a_message_whose_records_are_gone_stays_and_is_named(aws: dict[str, Any]) -> None:
    _put(aws, 0)
    _pointer(aws, 1100000000017454423999, 1100000000017454423999)

    assert list(resend_all(aws["sqs"], aws["streams"], lambda _: None, aws["url"])) == [
        "1100000000017454423999-1100000000017454423999: the stream no longer has it"
    ]
    assert _left(aws) == 1
