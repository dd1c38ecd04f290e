"""A function that does nothing: the runtime's own time."""

from typing import Any


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's
    return {"statusCode": 200, "body": "{}"}
