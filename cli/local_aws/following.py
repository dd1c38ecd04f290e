"""What follows a request in a deployed system: streams, queues, buses, and what reads them."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import boto3

from local_aws.durable import DurableFunction
from local_aws.functions import Functions
from local_aws.invocations import Invocations
from local_aws.mappings import Driver, QueueDriver, QueueMapping, StreamDriver, StreamMapping
from local_aws.moto_server import MotoServer
from local_aws.services import BusWatcher, Expiry
from local_aws.streams import StreamOfMoto, StreamOfServer, StreamReader
from local_aws.template import Resource

type Tell = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a deployed system has and its template does not say.

    Attributes:
        tell: Gets what is put on the template's event buses, as EventBridge delivers it.
        function_names: Names of functions by the functions' ARNs and by their aliases' ARNs.
        skip_time: Whether the waits of durable functions are over at once.
        has_read_stream: Whether an earlier system has read the table's stream.  Lambda would remember how far, and here
            the stream is read from now on.
    """

    tell: Tell
    function_names: Mapping[str, str]
    skip_time: bool = False
    has_read_stream: bool = False


def enable_stream(dynamodb: Any, table_name: str, properties: Mapping[str, Any]) -> bool:
    """Enable a table's stream as the template declares it, if it declares one and the table has none yet.

    Return whether it is new.

    Args:
        dynamodb: A client of DynamoDB.
        table_name: The table.
        properties: The table's properties in the template.
    """
    declared = properties.get("StreamSpecification")
    present = dynamodb.describe_table(TableName=table_name)["Table"].get("StreamSpecification", {})
    if declared and not present.get("StreamEnabled"):
        dynamodb.update_table(TableName=table_name, StreamSpecification={"StreamEnabled": True, **declared})
        return True
    return False


@contextmanager
def following(
    resources: Sequence[Resource],
    mappings: Sequence[StreamMapping | QueueMapping],
    functions: Functions,
    surroundings: Surroundings,
    moto: MotoServer,
) -> Iterator[None]:
    """Run what follows requests until the context ends.

    Args:
        resources: The template's resources.
        mappings: Its event source mappings.
        functions: Its functions.
        surroundings: What the template does not say.
        moto: The server of AWS's services.

    Raises:
        TemplateError: The template has a part that cannot be interpreted here.
    """
    dynamodb = boto3.client("dynamodb")
    with ExitStack() as exit_stack:
        durable: dict[str, DurableFunction] = {}
        for name, definition in functions.definitions.items():
            if definition.execution_seconds is not None:
                handler = partial(functions.handler, name)
                durable[name] = DurableFunction(
                    name, handler, definition.execution_seconds, skip_time=surroundings.skip_time
                )
                exit_stack.callback(durable[name].close)
        names = {**surroundings.function_names, **{name: name for name in durable}}
        moto.beside.append(
            Invocations(
                lambda function, execution, given: durable[function].start(execution, given),
                {called: name for called, name in names.items() if name in durable},
            )
        )

        drivers: list[Driver] = []
        exit_stack.callback(_end, drivers)

        def start(driver: Driver) -> None:
            driver.start()
            drivers.append(driver)

        moto.beside.append(BusWatcher(surroundings.tell))
        for resource in resources:
            if resource.type == "AWS::DynamoDB::Table" and dynamodb.meta.endpoint_url == moto.url:
                expiry = resource.properties.get("TimeToLiveSpecification", {})
                if expiry.get("Enabled"):
                    start(Expiry(resource.reference, expiry["AttributeName"], dynamodb))
        for mapping in mappings:
            start(_driver(mapping, functions, surroundings, moto))
        yield


def _end(drivers: Sequence[Driver]) -> None:
    """Stop all drivers, and wait a second at most for what they do."""
    for driver in drivers:
        driver.stop()
    end = time.monotonic() + 1
    for driver in drivers:
        driver.wait(max(0.0, end - time.monotonic()))


def _driver(
    mapping: StreamMapping | QueueMapping, functions: Functions, surroundings: Surroundings, moto: MotoServer
) -> StreamDriver | QueueDriver:
    dynamodb, sqs = boto3.client("dynamodb"), boto3.client("sqs")
    if isinstance(mapping, QueueMapping):
        return QueueDriver(mapping, functions.invoke, sqs=sqs)
    if surroundings.has_read_stream:
        mapping = replace(mapping, starts_at="LATEST")
    arn = str(dynamodb.describe_table(TableName=mapping.source)["Table"]["LatestStreamArn"])
    reader: StreamReader = StreamOfServer(boto3.client("dynamodbstreams"), arn)
    if dynamodb.meta.endpoint_url == moto.url:
        reader = StreamOfMoto(moto, mapping.source, arn)
    return StreamDriver(mapping, functions.invoke, reader=reader, sqs=sqs)
