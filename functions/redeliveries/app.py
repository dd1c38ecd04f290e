"""Delivers events again that a webhook did not take: a durable function, which waits between its attempts."""

from enrollment import start  # first: turns the garbage collector off

# isort: split
from collections.abc import Mapping
from functools import partial
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, durable_execution

from enrollment.aws.durable import DurableSteps
from enrollment.log import create_logger
from enrollment.outbound.clients import create_outbound_client
from enrollment.outbound.executions import Executions
from enrollment.outbound.https import post
from enrollment.outbound.master_secrets import MasterSecret
from enrollment.outbound.queues import Queue
from enrollment.settings import DeliverySettings
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases.deliveries import LONGEST_SECONDS, Deliverer
from enrollment.use_cases.redelivery import redeliver

settings = DeliverySettings.from_environment()
queue = Queue(create_outbound_client("sqs"), settings.deliveries_queue_url)
deliverer = Deliverer(
    Table(create_client(), settings.table_name),
    master=MasterSecret(create_outbound_client("secretsmanager"), settings.webhooks_secret_arn).value,
    post=partial(post, on_loopback=settings.receivers_on_loopback, longest_seconds=LONGEST_SECONDS),
)
redeliveries = Executions(create_outbound_client("lambda"), settings.redeliveries_function)
logger = create_logger()


@durable_execution
def lambda_handler(event: dict[str, Any], context: DurableContext) -> str:
    """Deliver an event again, or wait until a webhook's address answers again."""
    given = event.get("breaker") or event["message"]
    line = {name: given[name] for name in ("workspace_id", "webhook_id")}

    def tell(step: str, facts: Mapping[str, Any]) -> None:
        logger.info(step, extra={**line, **facts})

    return redeliver(event, DurableSteps(context, tell), deliverer, queue, redeliveries.start)


start.end()
