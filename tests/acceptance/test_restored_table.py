"""A table that was restored from a point in time, in the place of the stack's own."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from enrollment.timestamps import timestamp
from enrollments.local.stack import lambda_environment
from local_aws.functions import environment
from local_aws.moto_server import serve_moto
from tests.acceptance.conftest import IN_PROCESS, Service, serve_stack
from tests.acceptance.sdk import AUTOMATIONS
from tests.acceptance.test_events import SOON

pytestmark = pytest.mark.skipif(not IN_PROCESS, reason="a table is restored in moto only")

RESTORED = "enrollments-Table-restored"


def restore(url: str) -> str:
    """Restore the stack's table as docs/operations.md says.  Return the ARN of the new table's stream."""
    with environment(lambda_environment(url)):
        dynamodb = boto3.Session().client("dynamodb")
    dynamodb.restore_table_to_point_in_time(
        SourceTableName="enrollments-Table", TargetTableName=RESTORED, UseLatestRestorableTime=True
    )
    living: Any = {"Enabled": True, "AttributeName": "deleted_after"}
    dynamodb.update_time_to_live(TableName=RESTORED, TimeToLiveSpecification=living)
    told: Any = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    dynamodb.update_table(TableName=RESTORED, StreamSpecification=told)
    return dynamodb.describe_table(TableName=RESTORED)["Table"]["LatestStreamArn"]


def launch(service: Service) -> str:
    pair = {
        "user_identity_id": service["OTHER_USER_IDENTITY_ID"],
        "credential_manager_acs_system_id": service["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
    }
    launched = service.post(f"{AUTOMATIONS}/launch", pair).json()["enrollment_automation"]
    return str(launched["enrollment_automation_id"])


def events_about(service: Service, automation_id: str, count: int) -> list[str]:
    """Return the types of an automation's events, once there are so many."""
    end = time.monotonic() + SOON
    while True:
        answer = service.post("/events/list", {"since": "2026-01-01T00:00:00Z"}).json()["events"]
        found = [event for event in answer if event.get("enrollment_automation_id") == automation_id]
        if len(found) >= count or time.monotonic() > end:
            return [event["event_type"].rpartition(".")[2] for event in found]
        time.sleep(0.05)


@pytest.fixture
def restored(project: Path) -> Iterator[tuple[Service, str]]:
    """The service on a restored table, with an automation that was launched before the restoration."""
    with serve_moto("127.0.0.1") as moto:
        with serve_stack(project, moto=moto) as service:
            automation_id = launch(service)
            assert events_about(service, automation_id, 1) == ["launched"]
        parameters = {"RestoredTableName": RESTORED, "RestoredTableStreamArn": restore(moto.url)}
        with serve_stack(project, parameters, moto=moto) as service:
            yield service, automation_id


def test_a_restored_table_has_its_events_and_gets_new_ones_and_none_of_the_restoration(
    restored: tuple[Service, str],
) -> None:
    service, automation_id = restored
    since = timestamp(datetime.now(UTC))
    assert events_about(service, automation_id, 1) == ["launched"]

    deleted = service.post(f"{AUTOMATIONS}/delete", {"enrollment_automation_id": automation_id})

    assert deleted.status_code == 200
    assert events_about(service, automation_id, 2) == ["launched", "deleted"]
    (new,) = service.post("/events/list", {"since": since}).json()["events"]
    assert new["event_type"] == "enrollment_automation.deleted"
