"""Brings what a credential manager has to what is wanted of a person there, and watches connectors.

It is a durable function, which waits for days.
"""

from enrollment import start  # first: turns the garbage collector off

# isort: split
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, durable_execution

from enrollment.aws.deadline import ending_before
from enrollment.aws.durable import DurableSteps
from enrollment.errors import ServiceUnavailable
from enrollment.log import create_logger
from enrollment.managers.connector import LONGEST_SECONDS, MOST_ANSWER_BYTES, Connector
from enrollment.managers.protocol import CredentialManager
from enrollment.managers.simulated import SimulatedManager
from enrollment.outbound.clients import create_outbound_client
from enrollment.outbound.failures import RefusedError
from enrollment.outbound.https import post
from enrollment.outbound.master_secrets import MasterSecret
from enrollment.secrets import connector_secret
from enrollment.settings import ProvisioningSettings
from enrollment.store.attributes import Item
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases.connector_items import ConnectorId, live_secret_versions
from enrollment.use_cases.enrollments import View
from enrollment.use_cases.manager_checks import Watcher, watch
from enrollment.use_cases.provisioning import Provisioner, provision

settings = ProvisioningSettings.from_environment()
table = Table(create_client(), settings.table_name)
master = MasterSecret(create_outbound_client("secretsmanager"), settings.connectors_secret_arn)
send = partial(
    post,
    on_loopback=settings.connectors_on_loopback,
    longest_seconds=LONGEST_SECONDS,
    most_bytes=MOST_ANSWER_BYTES,
)
logger = create_logger()


def manager_of(view: View) -> CredentialManager:
    """Return the credential manager of an enrollment that is served."""
    if view.is_simulated:
        return SimulatedManager(table, view.id.workspace_id, view.id.manager_id)
    if view.connector is None:
        raise ValueError("an enrollment without a connector is not served")
    return connector_of(ConnectorId(view.id.workspace_id, view.id.manager_id), view.connector)


def connector_of(connector_id: ConnectorId, item: Item) -> Connector:
    """Return a connector, which signs with each secret that counts now.

    Raises:
        ServiceUnavailable: The master secret cannot be read.
    """
    try:
        key = master.value()
    except RefusedError as error:  # an operator has to put that right; nothing is asked until then
        logger.error("secret_refused", extra=connector_id.to_json())  # noqa: TRY400 - it says nothing else
        raise ServiceUnavailable from error
    versions = live_secret_versions(item, datetime.now(UTC))
    secrets = [connector_secret(key, *connector_id, version) for version in versions]
    return Connector(send, str(item["url"]), secrets)


def tell(what: str, facts: Mapping[str, Any]) -> None:
    """Log what was done.  What somebody has to look at is a warning."""
    write = logger.warning if "failure" in facts or what in {"out_of_reach", "paused"} else logger.info
    write(what, extra=facts)


provisioner = Provisioner(table, manager_of, tell=tell)
watcher = Watcher(table, connector_of, tell=tell)


@durable_execution
def lambda_handler(event: dict[str, Any], context: DurableContext) -> str:
    """Do all that an enrollment or a connector needs, with the waits between."""
    remaining = context.lambda_context.get_remaining_time_in_millis() if context.lambda_context else math.inf
    steps = DurableSteps(context)
    with ending_before(remaining):
        is_enrollment = "user_identity_id" in event
        ended = provision(event, steps, provisioner) if is_enrollment else watch(event, steps, watcher)
    logger.info("ended", extra={**event, "how": ended})
    return ended


start.end()
