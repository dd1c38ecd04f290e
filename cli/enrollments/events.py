"""``enrollments events``: follow events, and send those again that were not recorded."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import click
from botocore.exceptions import ClientError

from enrollment.callers import Caller
from enrollment.resources.events import Event, ListEventsRequest
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.events import list_events
from enrollments.database import AWS_ERRORS, reason_of
from enrollments.failure import CommandFailed
from enrollments.target import in_table, in_workspace

# An event can be listed after one with a later `created_at` (contract, "Events").
_OVERLAP = timedelta(seconds=10)
_PAUSE_SECONDS = 1.0
_KNOWN = {"event_id", "event_type", "workspace_id", "created_at", "occurred_at"}


@click.group()
def events() -> None:
    """What happens in a workspace."""


@events.command()
@click.option("--since", help="Show events after this moment first (2026-11-25T10:00:00Z). The default is now.")
@click.option("--json", "as_json", is_flag=True, help="Print each event in JSON.")
@in_workspace
@in_table
def tail(table: Table, workspace_id: str, since: str | None, *, as_json: bool) -> None:
    """Follow the events of a workspace, a line each, until Ctrl-C."""
    try:
        begin = datetime.now(UTC) if since is None else datetime.fromisoformat(since)
    except ValueError as error:
        raise click.BadParameter(f"{since} is no moment; write it like 2026-11-25T10:00:00Z") from error
    if begin.tzinfo is None:
        raise click.BadParameter("a moment needs its offset from UTC, or Z")
    try:
        for event in follow(table, workspace_id, begin):
            click.echo(json.dumps(event.to_json()) if as_json else line_of(event))
    except KeyboardInterrupt:
        click.echo(err=True)


def follow(
    table: Table, workspace_id: str, begin: datetime, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Event]:
    """Yield events as they are listed, each once, without end.

    Args:
        table: The table.
        workspace_id: The workspace.
        begin: Yield events that were created after this moment.
        sleep: Waits for a number of seconds between two looks.
    """
    caller, seen, latest = Caller(workspace_id), dict[str, str](), begin
    while True:
        position = None
        while True:
            since = timestamp(max(begin, latest - _OVERLAP))
            page = list_events(table, caller, ListEventsRequest.model_validate({"since": since}), position)
            for event in page.records:
                if event.event_id not in seen:
                    yield event
                    latest = max(latest, datetime.fromisoformat(event.created_at))
                seen[event.event_id] = event.created_at
            position = page.next_position
            if position is None:
                break
        oldest = timestamp(latest - 2 * _OVERLAP)
        seen = {event_id: created_at for event_id, created_at in seen.items() if created_at > oldest}
        sleep(_PAUSE_SECONDS)


def line_of(event: Event) -> str:
    """Return an event as a line: when, what, and what it is about."""
    about = " ".join(f"{name}={value}" for name, value in event.to_json().items() if name not in _KNOWN)
    return f"{event.created_at}  {event.event_type}  {about}"


@events.command()
@click.option("--stack-name", required=True, help="The deployed stack.")
@click.option("--region", help="The AWS region. The default is in your AWS configuration.")
@click.option("--profile", help="The AWS profile. The default is in your AWS configuration.")
def resend(stack_name: str, region: str | None, profile: str | None) -> None:
    """Record the events again that were not recorded, as long as the stream has them: for 24 hours.

    The queue EventsFailuresQueue points to them. What is recorded is taken from the queue.
    """
    try:
        session = boto3.session.Session(region_name=region, profile_name=profile)
        stack, functions = session.client("cloudformation"), session.client("lambda")

        def physical(logical_id: str) -> str:
            found = stack.describe_stack_resource(StackName=stack_name, LogicalResourceId=logical_id)
            return str(found["StackResourceDetail"]["PhysicalResourceId"])

        function = f"{physical('EventsFunction')}:live"

        def invoke(event: Mapping[str, Any]) -> Any:
            answer = functions.invoke(FunctionName=function, Payload=json.dumps(event).encode())
            content = json.loads(answer["Payload"].read() or b"null")
            return None if answer.get("FunctionError") else content

        queue_url = physical("EventsFailuresQueue")
        lines = list(resend_all(session.client("sqs"), session.client("dynamodbstreams"), invoke, queue_url))
    except AWS_ERRORS as error:
        raise CommandFailed(reason_of(error)) from error
    for line in lines:
        click.echo(line)
    if not lines:
        click.echo("Nothing is to be sent again.", err=True)


def resend_all(sqs: Any, streams: Any, invoke: Callable[[Mapping[str, Any]], Any], queue_url: str) -> Iterator[str]:
    """Record again what a queue of failures points to.  Yield a line for each message.

    Args:
        sqs: boto3's client of SQS.
        streams: boto3's client of DynamoDB Streams.
        invoke: Invokes the function ``events``; returns ``None`` if it raises.
        queue_url: The queue.
    """
    while received := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
        for message in received:
            pointer = json.loads(message["Body"])["DDBStreamBatchInfo"]
            about = f"{pointer['startSequenceNumber']}-{pointer['endSequenceNumber']}"
            records = _records(streams, pointer)
            if not records:
                yield f"{about}: the stream no longer has it"
                continue
            answer = invoke({"Records": records})
            if answer is None or answer.get("batchItemFailures"):
                yield f"{about}: failed again"
                continue
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
            yield f"{about}: recorded"


def _records(streams: Any, pointer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the records that a pointer points to, in the form in which Lambda passes them on."""
    arn, last = pointer["streamArn"], int(pointer["endSequenceNumber"])
    shards = [pointer["shardId"]] if "shardId" in pointer else _shards(streams, arn)
    for shard_id in shards:
        found: list[dict[str, Any]] = []
        try:
            iterator = streams.get_shard_iterator(
                StreamArn=arn,
                ShardId=shard_id,
                ShardIteratorType="AT_SEQUENCE_NUMBER",
                SequenceNumber=pointer["startSequenceNumber"],
            )["ShardIterator"]
            while iterator:
                got = streams.get_records(ShardIterator=iterator)
                wanted = [one for one in got["Records"] if int(one["dynamodb"]["SequenceNumber"]) <= last]
                found += [_told(record, arn) for record in wanted]
                iterator = got.get("NextShardIterator") if wanted and len(wanted) == len(got["Records"]) else None
        except ClientError:  # another shard has it, or it was trimmed
            continue
        if found and found[0]["dynamodb"]["SequenceNumber"] == pointer["startSequenceNumber"]:
            return found
    return []


def _shards(streams: Any, arn: str) -> list[str]:
    shards: list[str] = []
    more: dict[str, str] = {}
    while True:
        found = streams.describe_stream(StreamArn=arn, **more)["StreamDescription"]
        shards += [shard["ShardId"] for shard in found["Shards"]]
        if not (last := found.get("LastEvaluatedShardId")):
            return shards
        more = {"ExclusiveStartShardId": last}


def _told(record: Mapping[str, Any], arn: str) -> dict[str, Any]:
    changed = dict(record["dynamodb"])
    changed["ApproximateCreationDateTime"] = changed["ApproximateCreationDateTime"].timestamp()
    return {**record, "eventSourceARN": arn, "dynamodb": changed}
