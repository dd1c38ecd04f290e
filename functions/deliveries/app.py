"""Delivers events to webhooks: one attempt for each message of the queue."""

from enrollment import start  # first: turns the garbage collector off

# isort: split
import contextvars
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from enrollment.aws.deadline import ending_before
from enrollment.errors import NoAccessToDatabase, ServiceUnavailable
from enrollment.failures import facts_of
from enrollment.log import create_logger
from enrollment.outbound.clients import create_outbound_client
from enrollment.outbound.executions import Executions
from enrollment.outbound.failures import RefusedError
from enrollment.outbound.https import post
from enrollment.outbound.master_secrets import MasterSecret
from enrollment.settings import DeliverySettings
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases.deliveries import LONGEST_SECONDS, Deliverer, Message
from enrollment.use_cases.redelivery import deliver_first

# As many as the queue's mapping passes on at once, so that one slow receiver delays no other message.
MOST_AT_ONCE = 10

settings = DeliverySettings.from_environment()
deliverer = Deliverer(
    Table(create_client(), settings.table_name),
    master=MasterSecret(create_outbound_client("secretsmanager"), settings.webhooks_secret_arn).value,
    post=partial(post, on_loopback=settings.receivers_on_loopback, longest_seconds=LONGEST_SECONDS),
)
redeliveries = Executions(create_outbound_client("lambda"), settings.redeliveries_function)
logger = create_logger()


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Attempt each delivery, and tell Lambda which messages to deliver again."""
    records = event["Records"]
    with (
        ending_before(context.get_remaining_time_in_millis()),
        ThreadPoolExecutor(max_workers=MOST_AT_ONCE) as executor,
    ):
        # Each thread has a context of its own, with this invocation's deadline.
        tried = [executor.submit(contextvars.copy_context().run, deliver, record) for record in records]
    failed = [record["messageId"] for record, done in zip(records, tried, strict=True) if not done.result()]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def deliver(record: dict[str, Any]) -> bool:
    """Attempt a delivery.  Return whether the message is done with."""
    try:
        message = Message.from_json(json.loads(record["body"]))
    except ValueError:
        logger.error("unreadable", extra={"message_id": record["messageId"]})  # noqa: TRY400 - its text could hold a body
        return False
    line: dict[str, object] = {
        "workspace_id": message.workspace_id,
        "webhook_id": message.webhook_id,
        "event_id": message.event["event_id"],
        "event_type": message.event["event_type"],
    }
    try:
        result = deliver_first(message, deliverer, redeliveries.start)
    except (ServiceUnavailable, RefusedError) as error:
        is_ours = isinstance(error, NoAccessToDatabase | RefusedError)
        (logger.error if is_ours else logger.warning)("delivered_again", extra={**line, **facts_of(error)})
        return False
    if result.attempt is not None:
        line |= {
            "status": result.attempt.status,
            "failure": result.attempt.failure,
            "duration_ms": round(1000 * result.attempt.seconds),
        }
    logger.info(result.outcome, extra=line)
    return True


start.end()
