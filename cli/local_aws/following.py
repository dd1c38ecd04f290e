"""What follows a request in a deployed system: streams, queues, buses, and what reads them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import boto3

from local_aws.mappings import Invoke, QueueDriver, QueueMapping, StreamDriver, StreamMapping
from local_aws.services import BusWatcher, Expiry, make_services
from local_aws.template import Resource

type Tell = Callable[[Mapping[str, Any]], None]


def enable_stream(dynamodb: Any, table_name: str, properties: Mapping[str, Any]) -> None:
    """Enable a table's stream as the template declares it, if it declares one and the table has none yet.

    Args:
        dynamodb: A client of DynamoDB.
        table_name: The table.
        properties: The table's properties in the template.
    """
    declared = properties.get("StreamSpecification")
    present = dynamodb.describe_table(TableName=table_name)["Table"].get("StreamSpecification", {})
    if declared and not present.get("StreamEnabled"):
        dynamodb.update_table(TableName=table_name, StreamSpecification={"StreamEnabled": True, **declared})


@contextmanager
def following(
    resources: Iterable[Resource],
    mappings: Iterable[StreamMapping | QueueMapping],
    invoke: Invoke,
    tell: Tell,
    moto: str,
) -> Iterator[None]:
    """Run what follows requests until the context ends.

    Args:
        resources: The template's resources.
        mappings: Its event source mappings.
        invoke: Invokes a function.
        tell: Gets what is put on the template's event buses.
        moto: moto's URL.

    Raises:
        TemplateError: The template has a part that cannot be interpreted here.
    """
    resources = list(resources)
    make_services(resources, {}, moto)
    dynamodb, streams, sqs = (boto3.client(service) for service in ("dynamodb", "dynamodbstreams", "sqs"))
    with ExitStack() as exit_stack:

        def start(driver: StreamDriver | QueueDriver | BusWatcher | Expiry) -> None:
            driver.start()
            exit_stack.callback(driver.stop)

        for resource in resources:
            if resource.type == "AWS::Events::EventBus":
                start(BusWatcher(resource.properties["Name"], tell, moto))
            if resource.type == "AWS::DynamoDB::Table" and dynamodb.meta.endpoint_url == moto:
                expiry = resource.properties.get("TimeToLiveSpecification", {})
                if expiry.get("Enabled"):
                    start(Expiry(resource.reference, expiry["AttributeName"], dynamodb))
        for mapping in mappings:
            if isinstance(mapping, StreamMapping):
                start(StreamDriver(mapping, invoke, dynamodb=dynamodb, streams=streams, sqs=sqs))
            else:
                start(QueueDriver(mapping, invoke, sqs=sqs))
        yield
