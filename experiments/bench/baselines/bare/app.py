"""A launch with as little as it can be written with: the same transaction, and nothing is looked at."""

import json
import os
import uuid
from datetime import UTC, datetime
from typing import Any

import boto3

table = os.environ["TABLE_NAME"]
client = boto3.client("dynamodb")


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's
    body = json.loads(event["body"])
    workspace_id = event["requestContext"]["authorizer"]["workspace_ids"]
    identity_id, system_id = body["user_identity_id"], body["credential_manager_acs_system_id"]
    workspace, automation_id = f"WORKSPACE#{workspace_id}", str(uuid.uuid4())
    identity_pk = f"{workspace}#USER_IDENTITY#{identity_id}"
    automation = {
        "user_identity_id": identity_id,
        "enrollment_automation_id": automation_id,
        "acs_credential_provisioning_automation_id": automation_id,
        "credential_manager_acs_system_id": system_id,
        "is_running": True,
        "workspace_id": workspace_id,
        "created_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    client.transact_write_items(
        TransactItems=[
            {
                "ConditionCheck": {
                    "TableName": table,
                    "Key": {"pk": {"S": identity_pk}, "sk": {"S": "USER_IDENTITY"}},
                    "ConditionExpression": "attribute_exists(#pk) AND attribute_not_exists(#w1)",
                    "ExpressionAttributeNames": {"#pk": "pk", "#w1": "being_deleted_at"},
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            },
            {
                "Put": {
                    "TableName": table,
                    "Item": {
                        "pk": {"S": identity_pk},
                        "sk": {"S": f"ENROLLMENT_AUTOMATION#{system_id}"},
                        "requested_create_credential_manager_user": {"BOOL": False},
                        **{
                            name: {"BOOL": value} if isinstance(value, bool) else {"S": value}
                            for name, value in automation.items()
                        },
                    },
                    "ConditionExpression": "attribute_not_exists(pk)",
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            },
            {
                "Put": {
                    "TableName": table,
                    "Item": {
                        "pk": {"S": f"{workspace}#ENROLLMENT_AUTOMATION#{automation_id}"},
                        "sk": {"S": "ENROLLMENT_AUTOMATION"},
                        "user_identity_id": {"S": identity_id},
                        "credential_manager_acs_system_id": {"S": system_id},
                    },
                    "ConditionExpression": "attribute_not_exists(pk)",
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            },
            {
                "Put": {
                    "TableName": table,
                    "Item": {
                        "pk": {"S": f"{workspace}#ACS_SYSTEM#{system_id}#USER_IDENTITIES"},
                        "sk": {"S": identity_id},
                    },
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            },
        ]
    )
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps({"enrollment_automation": automation, "ok": True}),
    }
