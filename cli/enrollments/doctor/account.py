"""What belongs to an account and a region: what the doctor and ``make deploy`` look at."""

from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config

from enrollments.doctor.findings import Finding, good

# Somebody waits for the answer.
_SHORT = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 2})


def look_at_credentials(session: boto3.session.Session) -> Iterator[Finding]:
    """Yield who the credentials speak for.

    Raises:
        ClientError: AWS does not accept them.
        BotoCoreError: There are none, or AWS is out of reach.
    """
    who = session.client("sts", config=_SHORT).get_caller_identity()
    yield good("credentials", f"account {who['Account']}, {who['Arn']}")


def look_at_region(session: boto3.session.Session) -> Iterator[Finding]:
    """Yield the region.

    Raises:
        NoRegionError: None is set.
    """
    yield good("region", session.client("cloudformation").meta.region_name)


def role_for_logs(api_gateway: Any) -> str:
    """Return the ARN of API Gateway's role for logs in the region; empty if there is none.

    Args:
        api_gateway: A client of API Gateway.

    Raises:
        ClientError: API Gateway refuses to tell.
        BotoCoreError: API Gateway is out of reach.
    """
    return str(api_gateway.get_account().get("cloudwatchRoleArn") or "")
