"""The clients of the services that messages leave by."""

from typing import Any

import botocore
from botocore.config import Config

from enrollment.aws.clients import create_aws_client

_CONFIG = Config(
    connect_timeout=0.5,
    parameter_validation=False,
    read_timeout=5,
    retries={"mode": "legacy", "total_max_attempts": 3},
    tcp_keepalive=True,
    user_agent=f"enrollment-automations Botocore/{botocore.__version__}",
)


def create_outbound_client(service: str) -> Any:
    """Return a new client of a service.

    Args:
        service: ``events``, ``sqs``, ``lambda`` or ``secretsmanager``.
    """
    return create_aws_client(service, _CONFIG)
