"""Brings what a credential manager has to what is wanted of a person: a durable function, which waits for days."""

from enrollment import start  # first: turns the garbage collector off

# isort: split
import math
from collections.abc import Mapping
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, durable_execution

from enrollment.aws.deadline import ending_before
from enrollment.aws.durable import DurableSteps
from enrollment.log import create_logger
from enrollment.managers.protocol import CredentialManager
from enrollment.managers.simulated import SimulatedManager
from enrollment.settings import Settings
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases.enrollments import View
from enrollment.use_cases.provisioning import Provisioner, provision

settings = Settings.from_environment()
table = Table(create_client(), settings.table_name)
logger = create_logger()


def manager_of(view: View) -> CredentialManager | None:
    """Return the credential manager of an enrollment: in a sandbox workspace a simulated one, else nobody yet."""
    return SimulatedManager(table, view.id.workspace_id, view.id.manager_id) if view.is_simulated else None


def tell(what: str, facts: Mapping[str, Any]) -> None:
    """Log what was done.  What somebody has to look at is a warning."""
    write = logger.warning if "failure" in facts or what in {"out_of_reach", "paused"} else logger.info
    write(what, extra=facts)


provisioner = Provisioner(table, manager_of, tell=tell)


@durable_execution
def lambda_handler(event: dict[str, Any], context: DurableContext) -> str:
    """Do all that an enrollment needs, with the waits between."""
    remaining = context.lambda_context.get_remaining_time_in_millis() if context.lambda_context else math.inf
    with ending_before(remaining):
        ended = provision(event, DurableSteps(context), provisioner)
    logger.info("ended", extra={**event, "how": ended})
    return ended


start.end()
