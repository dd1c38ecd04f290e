"""Follows the changes of the table, which it gets from its stream: records events, and starts executions."""

from enrollment import start  # first: turns the garbage collector off

# isort: split
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from enrollment.aws.deadline import ending_before
from enrollment.errors import NoAccessToDatabase
from enrollment.failures import facts_of
from enrollment.log import create_logger
from enrollment.outbound.clients import create_outbound_client
from enrollment.outbound.event_bus import EventBus
from enrollment.outbound.executions import Executions
from enrollment.outbound.queues import Queue
from enrollment.settings import EventsSettings
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases.enrollment_starts import Starter
from enrollment.use_cases.recording import Recorder

settings = EventsSettings.from_environment()
queues = create_outbound_client("sqs")
table = Table(create_client(), settings.table_name)
provisioning = Executions(create_outbound_client("lambda"), settings.provisioning_function)
recorder = Recorder(
    table,
    starter=Starter(table, provisioning.start),
    bus=EventBus(create_outbound_client("events"), settings.event_bus),
    deliveries=Queue(queues, settings.deliveries_queue_url),
    failures=Queue(queues, settings.failures_queue_url),
    retention=settings.retention,
)
logger = create_logger()


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Record the events of a batch, start executions, and tell Lambda from which record on to deliver it again."""
    with ending_before(context.get_remaining_time_in_millis()):
        recorded = recorder.record(event["Records"])
    line = {
        "records": len(event["Records"]),
        "events": recorded.events,
        "executions": recorded.executions,
        "function_request_id": context.aws_request_id,
    }
    if recorded.set_aside:
        logger.error("set_aside", extra={**line, "sequence_numbers": recorded.set_aside})
    if recorded.failed is None:
        logger.info("recorded", extra=line)
        return {"batchItemFailures": []}
    # A database that lets nobody in needs an operator: alarms count what is an error.
    write = logger.error if isinstance(recorded.cause, NoAccessToDatabase) else logger.warning
    causes = facts_of(recorded.cause) if recorded.cause else {}
    write("delivered_again", extra={**line, **causes, "from_sequence_number": recorded.failed})
    return {"batchItemFailures": [{"itemIdentifier": recorded.failed}]}


start.end()
