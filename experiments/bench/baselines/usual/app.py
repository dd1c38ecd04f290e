"""A launch as it is usually written: everything that Powertools offers, boto3's resource, Pydantic's models."""

import os
import uuid
from datetime import UTC, datetime
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel

logger = Logger()
metrics = Metrics()
tracer = Tracer()
app = APIGatewayRestResolver(enable_validation=True)
table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


class LaunchRequest(BaseModel):
    user_identity_id: uuid.UUID
    credential_manager_acs_system_id: uuid.UUID
    acs_credential_pool_id: uuid.UUID | None = None
    create_credential_manager_user: bool = False
    credential_manager_acs_user_id: uuid.UUID | None = None


class EnrollmentAutomation(BaseModel):
    user_identity_id: str
    enrollment_automation_id: str
    acs_credential_provisioning_automation_id: str
    credential_manager_acs_system_id: str
    is_running: bool
    workspace_id: str
    created_at: str


class LaunchResponse(BaseModel):
    enrollment_automation: EnrollmentAutomation
    ok: bool = True


@app.post("/user_identities/enrollment_automations/launch")
@tracer.capture_method
def launch(request: LaunchRequest) -> LaunchResponse:
    workspace_id = app.current_event["requestContext"]["authorizer"]["workspace_ids"]
    identity_id, system_id = str(request.user_identity_id), str(request.credential_manager_acs_system_id)
    workspace, automation_id = f"WORKSPACE#{workspace_id}", str(uuid.uuid4())
    identity_pk = f"{workspace}#USER_IDENTITY#{identity_id}"
    automation = EnrollmentAutomation(
        user_identity_id=identity_id,
        enrollment_automation_id=automation_id,
        acs_credential_provisioning_automation_id=automation_id,
        credential_manager_acs_system_id=system_id,
        is_running=True,
        workspace_id=workspace_id,
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    is_new = "attribute_not_exists(pk)"
    puts: list[Any] = [
        {
            "Item": {
                "pk": identity_pk,
                "sk": f"ENROLLMENT_AUTOMATION#{system_id}",
                "requested_create_credential_manager_user": request.create_credential_manager_user,
                **automation.model_dump(),
            },
            "ConditionExpression": is_new,
        },
        {
            "Item": {
                "pk": f"{workspace}#ENROLLMENT_AUTOMATION#{automation_id}",
                "sk": "ENROLLMENT_AUTOMATION",
                "user_identity_id": identity_id,
                "credential_manager_acs_system_id": system_id,
            },
            "ConditionExpression": is_new,
        },
        {"Item": {"pk": f"{workspace}#ACS_SYSTEM#{system_id}#USER_IDENTITIES", "sk": identity_id}},
    ]
    check: Any = {
        "TableName": table.name,
        "Key": {"pk": identity_pk, "sk": "USER_IDENTITY"},
        "ConditionExpression": "attribute_exists(pk)",
    }
    actions: list[Any] = [{"ConditionCheck": check}, *({"Put": {"TableName": table.name, **put}} for put in puts)]
    table.meta.client.transact_write_items(TransactItems=actions)
    metrics.add_metric(name="Launched", unit=MetricUnit.Count, value=1)
    logger.info("launched", extra={"enrollment_automation_id": automation_id})
    return LaunchResponse(enrollment_automation=automation)


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_REST)
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def lambda_handler(event: dict[str, object], context: LambdaContext) -> dict[str, object]:
    return app.resolve(event, context)
