"""Connects the template, the table, the functions and the gateway."""

import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO, override

from moto import mock_aws

from enrollment.errors import ServiceUnavailable
from enrollment.http.events import UnknownEvent, require_authorizer_event, require_proxy_event
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollments.database import AWS_ERRORS, WrongTable, create_table, host_of, is_aws, reason_of
from enrollments.local.demo import CLIENT_SESSIONS_SECRET, CONNECTORS_SECRET, Demo, seed
from enrollments.local.telling import sentence_of
from local_aws.errors import StackError
from local_aws.following import Surroundings, Tell, enable_stream, following
from local_aws.functions import FunctionDefinition, Functions, check_permission, environment
from local_aws.gateway import Gateway
from local_aws.mappings import read_mapping, source_name
from local_aws.moto_server import MotoServer
from local_aws.quick_transactions import quick_transactions
from local_aws.rest_api import read_rest_api
from local_aws.services import make_services
from local_aws.template import (
    ACCOUNT_ID,
    REGION,
    Resource,
    TemplateError,
    code_path,
    interpreting,
    load_template,
    plain_text,
)

# Names of classes, because an edited file is imported again and defines new classes.
_UNAVAILABLE = {"NoAccessToDatabase", ServiceUnavailable.__name__}
_AUTHORIZER_KEYS = {"authorizationToken", "methodArn"}
# What only a system on this machine has.  The template has none of it.
_OF_THIS_MACHINE = {"CONNECTORS_ON_LOOPBACK": "allowed", "WEBHOOK_RECEIVERS_ON_LOOPBACK": "allowed"}
# Public, like the demo's tokens, so that the examples in the documents stay valid.
_SECRETS = {
    "ClientSessionsSecret": CLIENT_SESSIONS_SECRET,
    "ConnectorsSecret": CONNECTORS_SECRET,
    "WebhooksSecret": "demo-secret-of-webhooks",
}
_OWN_LAYER_MARK = "enrollment/__init__.py"
_TABLE_PROPERTIES = {
    "AttributeDefinitions",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
}


@dataclass(frozen=True, slots=True)
class Stack:
    """The deployed system on this machine.

    Attributes:
        gateway: Answers HTTP requests.
        functions: Answers events.
        table: The table.
        table_name: Its name.
        demo: The demo workspaces in the table.
        mappings: Names of functions by what they get their events from: the name of a table or of a queue.
        endpoint: The DynamoDB server's URL; ``None`` is moto in this process.
    """

    gateway: Gateway
    functions: Functions
    table: Table
    table_name: str
    demo: Demo
    mappings: Mapping[str, str]
    endpoint: str | None = None

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Invoke the function that an event is for.

        The event is an authorizer's, a proxy event, or a batch of a stream or of a queue.

        Raises:
            StackError: No function takes such an event.
            FunctionError: The function raised.
        """
        return self.functions.invoke(self.function_for(event), event)

    def function_for(self, event: Mapping[str, Any]) -> str:
        """Return the name of the function that an event is for.

        Raises:
            StackError: No function takes such an event.
        """
        if "Records" in event:
            return self._function_for_records(event["Records"])
        try:
            if _AUTHORIZER_KEYS & event.keys():
                require_authorizer_event(event)
                (name,) = self.gateway.authorizer_functions
                return name
            require_proxy_event(event)
        except UnknownEvent as error:
            raise StackError(str(error)) from error
        method, path = event["httpMethod"], event["resource"]
        function = self.gateway.function_of(method, path)
        if function is None:
            raise StackError(
                f"the template has no route {method} {path}, which the event's httpMethod and resource name"
            )
        return function

    def _function_for_records(self, records: Any) -> str:
        try:
            (source,) = {record["eventSourceARN"] for record in records}
            return self.mappings[source_name(source)]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StackError("the template has no mapping for the event's records, by their eventSourceARN") from error


@contextmanager
def open_stack(  # noqa: PLR0913 - each is its own thing, and is given by its name
    template: Path,
    *,
    parameters: Mapping[str, str] | None = None,
    dynamodb_endpoint: str | None = None,
    log: TextIO,
    terminal: TextIO,
    moto: MotoServer | None = None,
    tell: Tell | None = None,
) -> Iterator[Stack]:
    """Start the template's functions, API and table, with demo workspaces, until the context ends.

    What follows a request happens only with ``tell``: the table's stream, queues, and what reads them.  That needs moto
    as a server, since what runs beside requests must not see what they have half written.

    Args:
        template: The template.  Its paths of code are relative to its folder.
        parameters: Values of its parameters.  The others have their defaults.
        dynamodb_endpoint: A DynamoDB server to use instead of moto.  It keeps its data.
        log: Gets the functions' output.
        terminal: Gets tracebacks.
        moto: Has AWS's services; without it, moto has them in this process.
        tell: Gets what is put on the template's event buses, as EventBridge delivers it.

    Raises:
        TemplateError: The template has a part that cannot be interpreted here.
        StackError: The DynamoDB server does not answer or refuses.
    """
    if dynamodb_endpoint is None and moto is not None:
        dynamodb_endpoint = moto.url
    variables = {**lambda_environment(dynamodb_endpoint), **_OF_THIS_MACHINE}
    if moto is not None:
        variables |= {"AWS_ENDPOINT_URL": moto.url, "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": str(dynamodb_endpoint)}
    with ExitStack() as exit_stack:
        # Functions must neither see the person's AWS configuration nor reach AWS.
        exit_stack.enter_context(environment(variables, without=("AWS_", "POWERTOOLS_")))
        if moto is None:
            exit_stack.enter_context(mock_aws())
            exit_stack.enter_context(quick_transactions())
        resources = load_template(template, parameters or {})
        functions_log = FunctionLog(log, terminal)
        exit_stack.callback(functions_log.end)
        functions = _functions(resources, template.parent, functions_log, terminal)
        exit_stack.callback(functions.close)
        api = read_rest_api(
            _only_one(resources, "AWS::ApiGateway::RestApi"),
            _only_one(resources, "AWS::ApiGateway::Stage"),
            function_names(resources),
        )
        gateway = Gateway(api, functions.invoke)
        try:
            declared_table = _only_one(resources, "AWS::DynamoDB::Table")
            table = _create_table(declared_table)
            demo = seed(table)
            mappings = {
                mapping.source: mapping
                for resource in _of_type(resources, "AWS::Lambda::EventSourceMapping")
                for mapping in [read_mapping(resource, function_names(resources))]
            }
            if len(mappings) < len(_of_type(resources, "AWS::Lambda::EventSourceMapping")):
                raise TemplateError("the template has two mappings of the same stream or queue")
            make_services(resources.values(), _SECRETS)
            if moto is not None and tell is not None:
                # The demo was there before: only what happens from now on is in the stream.
                is_new = enable_stream(table.client, table.name, declared_table.properties)
                surroundings = Surroundings(tell, function_names(resources), has_read_stream=not is_new)
                exit_stack.enter_context(
                    following(list(resources.values()), list(mappings.values()), functions, surroundings, moto)
                )
        except (*AWS_ERRORS, WrongTable) as error:
            where = "the table in moto" if dynamodb_endpoint is None else f"DynamoDB at {dynamodb_endpoint}"
            raise StackError(f"{where}: {reason_of(error)}") from error
        yield Stack(
            gateway,
            functions,
            table,
            declared_table.reference,
            demo,
            {name: mapping.function for name, mapping in mappings.items()},
            dynamodb_endpoint,
        )


def _functions(resources: Mapping[str, Resource], root: Path, log: "FunctionLog", terminal: TextIO) -> Functions:
    for permission in _of_type(resources, "AWS::Lambda::Permission"):
        check_permission(permission)
    layers = {}
    for layer in _of_type(resources, "AWS::Lambda::LayerVersion"):
        with interpreting(layer.logical_id):
            layers[layer.reference] = root / code_path(layer.properties["Content"])
    definitions = [
        FunctionDefinition.from_resource(resource, root, layers)
        for resource in _of_type(resources, "AWS::Lambda::Function")
    ]
    return Functions(
        definitions,
        # The layer of third-party code is this Python environment itself.
        [layer for layer in layers.values() if (layer / _OWN_LAYER_MARK).is_file()],
        log=log,
        terminal=terminal,
        needs_no_traceback=is_outage,
        at_once={
            read_mapping(mapping, function_names(resources)).function
            for mapping in _of_type(resources, "AWS::Lambda::EventSourceMapping")
        },
    )


def is_outage(error: BaseException) -> bool:
    """Return whether an error says that the database was out of reach.  The function has logged a line about it."""
    # By the error's type, because an edited file is imported again and defines new classes.
    return getattr(error, "type", None) == ServiceUnavailable.type


def function_names(resources: Mapping[str, Resource]) -> dict[str, str]:
    """Return the names of functions, by the functions' ARNs and by their aliases' ARNs."""
    names = {
        f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{function.reference}": function.reference
        for function in _of_type(resources, "AWS::Lambda::Function")
    }
    aliases = {alias.reference: alias for alias in _of_type(resources, "AWS::Lambda::Alias")}
    return names | {arn: plain_text(alias.properties["FunctionName"]) for arn, alias in aliases.items()}


class FunctionLog(io.TextIOBase):
    """The functions' standard output.  Every line goes to the log.  Errors go to the terminal, too.

    Args:
        log: Gets everything.
        terminal: Gets tracebacks, a line each time that the database is unavailable, and a sentence for each thing that
            changes at a credential manager.
    """

    def __init__(self, log: TextIO, terminal: TextIO) -> None:
        self._log = log
        self._terminal = terminal
        self._unfinished_line = ""
        self._has_ended = False

    def end(self) -> None:
        """Drop what is written from now on: a function that still runs must not write into a file that is closed."""
        self._has_ended = True

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, text: str, /) -> int:
        if self._has_ended:
            return len(text)
        self._log.write(text)
        self._log.flush()
        *lines, self._unfinished_line = (self._unfinished_line + text).split("\n")
        for line in lines:
            self._show(line)
        return len(text)

    def _show(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if not isinstance(entry, dict):
            return
        if entry.get("type") == ServiceUnavailable.type or entry.get("exception_name") in _UNAVAILABLE:
            why = entry.get("database_error") or entry.get("cause") or "no answer"
            self._terminal.write(f"{entry.get('service')}: the database is unavailable: {why}\n")
        elif "exception" in entry:
            self._terminal.write(f"{entry['exception']}\n")
        elif (sentence := sentence_of(entry)) is not None:
            self._terminal.write(f"{datetime.now().astimezone():%H:%M:%S}  step   {sentence}\n")
        self._terminal.flush()


def lambda_environment(dynamodb_endpoint: str | None = None) -> dict[str, str]:
    """Return environment variables that keep boto3 away from AWS, and from the person's AWS configuration.

    Args:
        dynamodb_endpoint: A DynamoDB server.

    Raises:
        StackError: It is AWS's, or it is not an address.
    """
    variables = {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        # Made up, so that no call reaches the person's AWS account.
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    if dynamodb_endpoint is not None:
        try:
            host = host_of(dynamodb_endpoint)
        except ValueError as error:
            raise StackError(f"DYNAMODB_ENDPOINT: {error}") from error
        if is_aws(host):
            raise StackError(
                "DYNAMODB_ENDPOINT is an address of AWS; the demo's public tokens must not be stored there"
            )
        variables["AWS_ENDPOINT_URL_DYNAMODB"] = dynamodb_endpoint
    return variables


def _create_table(resource: Resource) -> Table:
    client = create_client()
    with interpreting(resource.logical_id):
        known = {name: value for name, value in resource.properties.items() if name in _TABLE_PROPERTIES}
    create_table(client, resource.reference, known)
    return Table(client, resource.reference)


def _of_type(resources: Mapping[str, Resource], kind: str) -> list[Resource]:
    return [resource for resource in resources.values() if resource.type == kind]


def _only_one(resources: Mapping[str, Resource], kind: str) -> Resource:
    found = _of_type(resources, kind)
    if len(found) != 1:
        raise TemplateError(f"the template has {len(found)} resources of type {kind}; it must have exactly one")
    return found[0]
