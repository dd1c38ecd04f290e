"""Makes a template's queues, buses and secrets in moto, and what a deployed system does by itself with its table."""

import io
import json
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import boto3

from local_aws.mappings import Driver
from local_aws.template import Resource, TemplateError, interpreting, only, plain_text

_QUEUE = {
    "KmsMasterKeyId",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
}
_BUS = {"DeadLetterConfig", "Description", "KmsKeyIdentifier", "Name"}
_SECRET = {"Description", "GenerateSecretString", "KmsKeyId", "Name"}

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# How long an expired item may still be seen.  DynamoDB takes days.
_EXPIRY_SECONDS = 30
_HAS_EXPIRED = "attribute_type(#e, :number) AND #e < :now"


def make_services(resources: Collection[Resource], secrets: Mapping[str, str]) -> None:
    """Make the queues, buses and secrets of a template, where this process's environment leads to.

    Args:
        resources: The template's resources.
        secrets: Values of secrets by their logical IDs.

    Raises:
        TemplateError: One has a part that cannot be interpreted here, or a secret has no value.
    """
    sqs, events, manager = (boto3.client(service) for service in ("sqs", "events", "secretsmanager"))
    for resource in resources:
        where, properties = resource.logical_id, resource.properties
        with interpreting(where):
            if resource.type == "AWS::SQS::Queue":
                only(properties, _QUEUE, where)
                attributes = {
                    name: json.dumps(value) if isinstance(value, dict) else plain_text(value)
                    for name, value in properties.items()
                    if name not in {"KmsMasterKeyId", "RedriveAllowPolicy", "RedrivePolicy"}
                }
                sqs.create_queue(QueueName=resource.reference.rpartition("/")[2], Attributes=attributes)
            elif resource.type == "AWS::Events::EventBus":
                only(properties, _BUS, where)
                with suppress(events.exceptions.ResourceAlreadyExistsException):
                    events.create_event_bus(Name=properties["Name"])
            elif resource.type == "AWS::SecretsManager::Secret":
                only(properties, _SECRET, where)
                if where not in secrets:
                    raise TemplateError(f"{where}: this secret has no value here")
                with suppress(manager.exceptions.ResourceExistsException):
                    manager.create_secret(Name=properties["Name"], SecretString=secrets[where])
    for resource in resources:  # a queue can be made before the one that gets its dead letters
        if resource.type == "AWS::SQS::Queue" and (policy := resource.properties.get("RedrivePolicy")):
            url = sqs.get_queue_url(QueueName=resource.reference.rpartition("/")[2])["QueueUrl"]
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(policy)})


class BusWatcher:
    """Tells what is put on buses.  It looks at requests on their way to moto; a rule and a queue would be much slower.

    Args:
        tell: Gets each entry as EventBridge delivers it, with ``source``, ``detail-type`` and ``detail``.
    """

    def __init__(self, tell: Callable[[Mapping[str, Any]], None]) -> None:
        self._tell = tell

    def __call__(self, environ: "WSGIEnvironment", _: "StartResponse") -> None:
        """Look at a request, and leave it to moto."""
        if environ.get("HTTP_X_AMZ_TARGET") != "AWSEvents.PutEvents":
            return
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        try:
            events = [
                {"source": entry["Source"], "detail-type": entry["DetailType"], "detail": json.loads(entry["Detail"])}
                for entry in json.loads(body)["Entries"]
            ]
        except (KeyError, TypeError, ValueError):
            return  # moto says what is wrong
        for event in events:
            self._tell(event)


class Expiry(Driver):
    """Deletes items whose time to live is over, which moto does not.

    Args:
        table_name: The table.
        attribute: Holds the end of an item's life, in seconds since 1970.
        dynamodb: boto3's client of DynamoDB.
    """

    def __init__(self, table_name: str, attribute: str, dynamodb: Any) -> None:
        super().__init__(f"expiry of {table_name}")
        self._table_name = table_name
        self._names = {"#e": attribute}
        self._dynamodb = dynamodb
        self._looked_at = time.monotonic()
        self._key_names = [
            each["AttributeName"] for each in dynamodb.describe_table(TableName=table_name)["Table"]["KeySchema"]
        ]

    def poll(self) -> bool:
        """Delete what has expired, every half minute.  Return whether there was anything."""
        if time.monotonic() - self._looked_at < _EXPIRY_SECONDS:
            return False
        self._looked_at = time.monotonic()
        return self.delete_expired() > 0

    def delete_expired(self) -> int:
        """Delete the items that have expired, unless they are renewed meanwhile.  Return how many there were."""
        condition: dict[str, Any] = {
            "ExpressionAttributeNames": self._names,
            "ExpressionAttributeValues": {":now": {"N": str(int(time.time()))}, ":number": {"S": "N"}},
        }
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table_name, FilterExpression=_HAS_EXPIRED, **condition
        )
        count = 0
        for item in [item for page in pages for item in page["Items"]]:
            if self._stopping.is_set():
                break
            key = {name: item[name] for name in self._key_names}
            try:
                self._dynamodb.delete_item(
                    TableName=self._table_name, Key=key, ConditionExpression=_HAS_EXPIRED, **condition
                )
            except self._dynamodb.exceptions.ConditionalCheckFailedException:
                continue
            count += 1
        return count
