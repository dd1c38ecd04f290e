"""Delivers events again that a webhook did not take: a durable function, which waits between its attempts."""

from enrollment import start  # first: turns the garbage collector off

# isort: split
from collections.abc import Callable
from functools import partial
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, durable_execution
from aws_durable_execution_sdk_python.config import Duration, StepConfig
from aws_durable_execution_sdk_python.retries import RetryStrategyConfig, create_retry_strategy

from enrollment.log import create_logger
from enrollment.outbound.clients import create_outbound_client
from enrollment.outbound.executions import Executions
from enrollment.outbound.master_secrets import MasterSecret
from enrollment.outbound.queues import Queue
from enrollment.outbound.receivers import post
from enrollment.settings import DeliverySettings
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases.deliveries import Deliverer
from enrollment.use_cases.redelivery import redeliver

# An outage of AWS is waited for: about a day.
RETRIES = create_retry_strategy(
    RetryStrategyConfig(max_attempts=150, initial_delay=Duration.from_seconds(2), max_delay=Duration.from_minutes(10))
)

settings = DeliverySettings.from_environment()
queue = Queue(create_outbound_client("sqs"), settings.deliveries_queue_url)
deliverer = Deliverer(
    Table(create_client(), settings.table_name),
    master=MasterSecret(create_outbound_client("secretsmanager"), settings.webhooks_secret_arn).value,
    post=partial(post, on_loopback=settings.receivers_on_loopback),
)
redeliveries = Executions(create_outbound_client("lambda"), settings.redeliveries_function)
logger = create_logger()


class DurableSteps:
    """The steps of an execution, by the durable execution SDK.

    Args:
        context: The execution's context.
        line: What is logged of each step.
    """

    def __init__(self, context: DurableContext, line: dict[str, object]) -> None:
        self._context = context
        self._line = line

    def run(self, name: str, function: Callable[[], Any]) -> Any:
        """Run a function at least once, and return its result."""

        def step(_: object) -> Any:
            result = function()
            logger.info(name, extra={**self._line, "result": result})
            return result

        return self._context.step(step, name=name, config=StepConfig(retry_strategy=RETRIES))

    def wait(self, name: str, seconds: int) -> None:
        """Wait.  It costs nothing: AWS invokes the function again afterwards."""
        self._context.wait(Duration.from_seconds(seconds), name=name)


@durable_execution
def lambda_handler(event: dict[str, Any], context: DurableContext) -> str:
    """Deliver an event again, or wait until a webhook's address answers again."""
    given = event.get("breaker") or event["message"]
    line: dict[str, object] = {name: given[name] for name in ("workspace_id", "webhook_id")}
    return redeliver(event, DurableSteps(context, line), deliverer, queue, redeliveries.start)


start.end()
