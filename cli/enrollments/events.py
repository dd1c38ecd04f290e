"""``enrollments events``: follow events, and send those again that were not recorded."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import click
from botocore.config import Config

from enrollment.callers import Caller
from enrollment.resources.events import Event, ListEventsRequest
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.events import list_events
from enrollments.database import AWS_ERRORS, reason_of
from enrollments.failure import CommandFailed
from enrollments.resending import Resending
from enrollments.stacks import physical_id
from enrollments.target import in_workspace

# An event can be listed after one with a later `created_at` (contract, "Events").
_OVERLAP = timedelta(seconds=10)
_PAUSE_SECONDS = 1.0
# The function `events` may take 60 s, after a start.
_PATIENT = Config(read_timeout=90)
_IN_EVERY_EVENT = {"event_id", "event_type", "workspace_id", "created_at", "occurred_at"}


class _Moment(click.ParamType[datetime]):
    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value} is no moment; write it like 2026-11-25T10:00:00Z", param, ctx)
        if moment.tzinfo is None:
            self.fail("a moment needs its offset from UTC, or Z", param, ctx)
        return moment


@click.group()
def events() -> None:
    """What happens in a workspace."""


@events.command()
@click.option(
    "--since",
    type=_Moment(),
    help="Show events after this moment first (2026-11-25T10:00:00Z). The default is now.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each event in JSON.")
@in_workspace
def tail(table: Table, workspace_id: str, since: datetime | None, *, as_json: bool) -> None:
    """Follow the events of a workspace, a line each, until Ctrl-C."""
    begin = since or datetime.now(UTC)
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
    return f"{event.created_at}  {event.event_type}  {about(event.to_json())}"


def about(event: Mapping[str, Any]) -> str:
    """Return what an event is about: its ids, without what every event has.

    Args:
        event: The event, as ``/events/get`` answers it.
    """
    return " ".join(f"{name}={value}" for name, value in event.items() if name not in _IN_EVERY_EVENT)


@events.command()
@click.option("--stack-name", required=True, help="The deployed stack.")
@click.option("--region", help="The AWS region. The default is in your AWS configuration.")
@click.option("--profile", help="The AWS profile. The default is in your AWS configuration.")
def resend(stack_name: str, region: str | None, profile: str | None) -> None:
    """Record the events of a stack that were not recorded, as long as the stream has them: for 24 hours.

    The stack's queue EventsFailuresQueue points to them. What is recorded is taken from the queue. Each message that
    stays is a line on standard error, and the exit status is then 1.
    """
    counts: Counter[str] = Counter(recorded=0, left=0)
    try:
        session = boto3.session.Session(region_name=region, profile_name=profile)
        for resent in _resending(session, stack_name).run():
            counts["recorded" if resent.problem is None else "left"] += 1
            if resent.problem is not None:
                click.echo(f"{resent.about}: {resent.problem}", err=True)
    except AWS_ERRORS as error:
        raise CommandFailed(f"{reason_of(error)}; before that, {counts['recorded']:,} recorded") from error
    click.echo(
        f"{counts['recorded']:,} recorded, {counts['left']:,} left."
        if counts.total()
        else "Nothing is to be sent again."
    )
    if counts["left"]:
        click.get_current_context().exit(1)


def _resending(session: boto3.session.Session, stack_name: str) -> Resending:
    def name_of(logical_id: str) -> str:
        return physical_id(session, stack_name, logical_id)

    function, queue_url = f"{name_of('EventsFunction')}:live", name_of("EventsFailuresQueue")
    functions = session.client("lambda", config=_PATIENT)

    def invoke(event: Mapping[str, Any]) -> Any:
        answer = functions.invoke(FunctionName=function, Payload=json.dumps(event).encode())
        content = json.loads(answer["Payload"].read() or b"null")
        return None if answer.get("FunctionError") else content

    return Resending(session.client("sqs"), session.client("dynamodbstreams"), invoke, queue_url)
