"""An authorizer with as little as it can be written with: the same read, and a policy."""

import hashlib
import os
from typing import Any

import boto3

table = os.environ["TABLE_NAME"]
client = boto3.client("dynamodb")


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's
    _, short, secret = event["authorizationToken"].split("_")
    key = {"pk": {"S": f"TOKEN#{short}"}, "sk": {"S": "TOKEN"}}
    record = client.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    is_good = record["secret_sha256"]["S"] == hashlib.sha256(secret.encode()).hexdigest()
    effect = "Allow" if is_good else "Deny"
    return {
        "principalId": short,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": effect, "Resource": ["*"]}],
        },
        "context": {"workspace_ids": record["workspace_ids"]["S"]},
    }
