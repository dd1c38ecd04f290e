"""Credentials and region: what the doctor looks at first, and what ``make deploy`` needs before it builds."""

from collections.abc import Iterator

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
