"""`enrollments events`: events are followed, and those that were not recorded are sent again."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from enrollment.store.changes import read_change
from enrollment.store.keys import Key
from enrollment.timestamps import timestamp
from enrollments import resending
from enrollments.events import events, follow, line_of
from enrollments.resending import Resending, Resent
from local_aws.moto_server import serve_moto
from tests.fixtures import Store, Workspace
from tests.serving import serving

ALL_DONE: Mapping[str, Any] = {"batchItemFailures": []}
OTHER = "00000000-0000-4000-8000-000000000001"
GONE = 1100000000017454423999
RESOURCE = """<DescribeStackResourceResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
<DescribeStackResourceResult><StackResourceDetail><PhysicalResourceId>{physical_id}</PhysicalResourceId>
</StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>"""
MISSING = """<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type>
<Code>ValidationError</Code><Message>Stack 's' does not exist</Message></Error></ErrorResponse>"""


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
    monkeypatch.setattr(resending, "WAIT_SECONDS", 0)
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


class Function:
    """Stands in for the function `events`.

    Args:
        answer: What it answers; ``None`` if it raises.
    """

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.events: list[Mapping[str, Any]] = []

    def __call__(self, event: Mapping[str, Any]) -> Any:
        self.events.append(json.loads(json.dumps(event)))
        return self._answer


def _resend(aws: Mapping[str, Any], function: Function) -> list[Resent]:
    return list(Resending(aws["sqs"], aws["streams"], function, aws["url"]).run())


def _shard(aws: Mapping[str, Any]) -> dict[str, str]:
    arn = aws["dynamodb"].describe_table(TableName="streamed")["Table"]["LatestStreamArn"]
    (shard,) = aws["streams"].describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    return {"shardId": shard["ShardId"]}


@pytest.mark.parametrize("more", [_shard, lambda _: {}], ids=["by Lambda", "by the function"])
def test_what_a_message_points_to_is_recorded_and_the_message_deleted(
    aws: dict[str, Any], more: Callable[[Mapping[str, Any]], dict[str, str]]
) -> None:
    numbers = [_put(aws, number) for number in range(4)]
    _pointer(aws, numbers[1], numbers[2], **more(aws))
    function = Function(ALL_DONE)

    assert _resend(aws, function) == [Resent(f"{numbers[1]} to {numbers[2]}")]
    ((one, two),) = [event["Records"] for event in function.events]
    assert [record["dynamodb"]["Keys"]["sk"]["S"] for record in (one, two)] == ["1", "2"]
    assert read_change(one).key == Key("p", "1")
    assert _left(aws) == 0


@pytest.mark.parametrize("answer", [None, {"batchItemFailures": [{"itemIdentifier": "1"}]}])
def test_a_message_whose_records_fail_again_stays_and_is_found_at_once(aws: dict[str, Any], answer: Any) -> None:
    number = _put(aws, 0)
    _pointer(aws, number, number)

    (failed,) = _resend(aws, Function(answer))

    assert failed == Resent(str(number), "it failed again; the log of the function `events` says why")
    assert _resend(aws, Function(ALL_DONE)) == [Resent(str(number))]


def test_a_message_whose_records_are_gone_stays_and_is_named(aws: dict[str, Any]) -> None:
    _put(aws, 0)
    _pointer(aws, GONE, GONE)

    assert _resend(aws, Function(ALL_DONE)) == [
        Resent(str(GONE), "it is too old: the stream does not have it any more")
    ]
    assert _left(aws) == 1


def test_what_is_set_aside_again_is_not_sent_for_ever(aws: dict[str, Any]) -> None:
    number = _put(aws, 0)
    _pointer(aws, number, number)

    class SetsAside(Function):
        def __call__(self, event: Mapping[str, Any]) -> Any:
            _pointer(aws, number, number)
            return super().__call__(event)

    function = SetsAside(ALL_DONE)

    sent, again = _resend(aws, function)

    assert sent.problem is None
    assert again.problem == "it was set aside again; the log of the function `events` says why"
    assert len(function.events) == 1
    assert _left(aws) == 1


@pytest.mark.parametrize("body", ["launch", "{}", "[]", '{"DDBStreamBatchInfo": {"startSequenceNumber": "x"}}'])
def test_a_message_that_is_no_pointer_stays_and_is_named(aws: dict[str, Any], body: str) -> None:
    message_id = aws["sqs"].send_message(QueueUrl=aws["url"], MessageBody=body)["MessageId"]

    assert _resend(aws, Function(ALL_DONE)) == [
        Resent(f"message {message_id}", "it does not point to records of a stream")
    ]
    assert _left(aws) == 1


def _refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "GetShardIterator")


def test_shards_are_tried_until_one_has_the_record_though_its_first_page_is_empty(aws: dict[str, Any]) -> None:
    record = {"eventID": "e", "dynamodb": {"SequenceNumber": "7", "ApproximateCreationDateTime": datetime.now(UTC)}}
    streams = Mock()
    streams.describe_stream.side_effect = [
        {"StreamDescription": {"Shards": [{"ShardId": "a"}, {"ShardId": "b"}], "LastEvaluatedShardId": "b"}},
        {"StreamDescription": {"Shards": [{"ShardId": "c"}]}},
    ]
    streams.get_shard_iterator.side_effect = [
        _refusal("TrimmedDataAccessException"),
        _refusal("ValidationException"),
        {"ShardIterator": "1"},
    ]
    streams.get_records.side_effect = [
        {"Records": [], "NextShardIterator": "2"},
        {"Records": [record], "NextShardIterator": "3"},
    ]
    _pointer(aws, 7, 7)

    assert _resend({**aws, "streams": streams}, Function(ALL_DONE)) == [Resent("7")]
    assert [call.kwargs["ShardId"] for call in streams.get_shard_iterator.call_args_list] == ["a", "b", "c"]


def test_a_stream_that_lets_nobody_in_is_not_one_without_the_record(aws: dict[str, Any]) -> None:
    _pointer(aws, 7, 7, shardId="a")
    streams = Mock()
    streams.get_shard_iterator.side_effect = _refusal("AccessDeniedException")

    with pytest.raises(ClientError, match="AccessDenied"):
        _resend({**aws, "streams": streams}, Function(ALL_DONE))
    assert _left(aws) == 1


def _refused(*arguments: str) -> str:
    result = CliRunner().invoke(events, arguments)
    assert result.exit_code != 0
    return result.output


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, int, str], None]]:
    """Return a function that lets a service of AWS give one answer to everything."""
    with ExitStack() as exit_stack:

        def serve_(service: str, status: int, body: str) -> None:
            class OneAnswer(BaseHTTPRequestHandler):
                def do_POST(self) -> None:
                    self.rfile.read(int(self.headers["Content-Length"]))
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body.encode())

                def log_message(self, *_: object) -> None:
                    pass

            address = exit_stack.enter_context(serving(HTTPServer(("127.0.0.1", 0), OneAnswer)))
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", address)

        yield serve_


@pytest.fixture
def stack(aws: dict[str, Any], serve: Callable[[str, int, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack whose function `events` records everything."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", aws["sqs"].meta.endpoint_url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", aws["streams"].meta.endpoint_url)
    serve("CLOUDFORMATION", 200, RESOURCE.format(physical_id=aws["url"]))
    serve("LAMBDA", 200, json.dumps(ALL_DONE))


@pytest.mark.usefixtures("stack")
def test_the_command_counts_what_it_recorded_and_names_what_is_left(aws: dict[str, Any]) -> None:
    number = _put(aws, 0)
    _pointer(aws, number, number)
    _pointer(aws, GONE, GONE)

    result = CliRunner().invoke(events, ["resend", "--stack-name", "s"])

    assert result.exit_code == 1
    assert result.stdout == "1 recorded, 1 left.\n"
    assert result.stderr == f"{GONE}: it is too old: the stream does not have it any more\n"


@pytest.mark.usefixtures("stack")
def test_an_empty_queue_has_nothing_to_send() -> None:
    result = CliRunner().invoke(events, ["resend", "--stack-name", "s"])

    assert (result.exit_code, result.output) == (0, "Nothing is to be sent again.\n")


@pytest.mark.usefixtures("aws")
def test_a_stack_that_is_not_there_is_one_clear_line(serve: Callable[[str, int, str], None]) -> None:
    serve("CLOUDFORMATION", 400, MISSING)

    assert _refused("resend", "--stack-name", "s") == (
        "Error: there is no EventsFunction of a stack s in us-east-1; check --stack-name, --region and --profile\n"
    )


@pytest.mark.usefixtures("dynamodb")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name the workspace: --workspace-id ID"),
        (["--stack-name", "s"], "name the workspace: --workspace-id ID"),
        (["--workspace-id", "x"], "x is not a UUID"),
        (["--workspace-id", OTHER], "name the table"),
        (["--table-name", "t", "--workspace-id", OTHER, "--since", "x"], "x is no moment"),
        (["--table-name", "t", "--workspace-id", OTHER, "--since", "2026-11-25T10:00:00"], "or Z"),
    ],
)
def test_what_cannot_be_followed_is_a_clear_line(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where no system runs

    assert message in _refused("tail", *options)
