"""The cost of launches and of the deployment, by the template, the code's own requests and AWS's list prices."""

import io
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from enrollment.callers import Caller
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases.automations import KNOWN_ITEMS_SECONDS
from enrollments.local.stack import open_stack
from experiments.scale.burst import captured, dynamodb
from experiments.scale.people import MANAGER_ID, POOL_ID, WORKSPACE_ID, building, made_up_id, person
from experiments.scale.simulation import Limits
from experiments.scale.units import stored_bytes
from experiments.scale.workload import Kind, Workload
from local_aws.template import Resource, load_template
from tests.fixtures import create_table, put_all
from tests.integration.conftest import Directory

PROJECT = Path(__file__).parent.parent.parent
DURATIONS = Path(__file__).parent / "durations.json"
_PRICES = Path(__file__).parent / "prices.toml"

LAUNCHES = 1_000_000
_MONTH_SECONDS = 30 * 24 * 3600
_GB = 1e9
GIB = 1024**3
# Lambda gives a function a whole processor at this memory, and a share below it ("Configure Lambda function memory").
MEGABYTES_OF_A_PROCESSOR = 1769
TRANSACTION_MS = 1000 * Limits().held_seconds
READ_MS = 5
_HEADER_BYTES = 500
# The outcomes that the function counts: Launched, Replayed, Refused, Failed.
_METRICS_OF_LAUNCHES = 4
# Of each method that is called: Count, Latency, IntegrationLatency, 4XXError, 5XXError.
_METRICS_OF_A_METHOD = 5
_MAPPING = "AWS::Lambda::EventSourceMapping"
# DynamoDB asks for a table's key at most this often for each who calls it, and two functions take part in a launch.
_KEY_SECONDS, _CALLERS = 300, 2
# Lambda begins with five batches at a time (developer guide, "Using Lambda with Amazon SQS").  That it asks an empty
# queue for each of them every 20 s was not looked up.
_POLLERS, _POLL_SECONDS = 5, 20

# What Lambda writes about an invocation, in the format that is text.
_ID = "8f5d5b8e-0f5c-4f0e-9f0a-1c2d3e4f5a6b"
_LAMBDAS_LINES = (
    f"INIT_START Runtime Version: python:3.13.v50\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:{'0' * 64}\n",
    f"START RequestId: {_ID} Version: 12\n",
    f"END RequestId: {_ID}\n",
    f"REPORT RequestId: {_ID}\tDuration: 15.23 ms\tBilled Duration: 16 ms\tMemory Size: 1024 MB\t"
    "Max Memory Used: 96 MB\t\nXRAY TraceId: 1-65a1c9f0-5e1b0e3d7c8f4a2b9d6e0f13\tSegmentId: 5e1b0e3d7c8f4a2b\t"
    "Sampled: true\t\n",
)
_START_BYTES, *_LINES_BYTES = (len(line) for line in _LAMBDAS_LINES)
LAMBDAS_BYTES = sum(_LINES_BYTES)
_ACCESS_LOG_VALUES = {
    "requestId": _ID,
    "extendedRequestId": "JJbxmplHYosFVYQ=",
    "requestTimeEpoch": "1767937533068",
    "identity.sourceIp": "203.0.113.10",
    "httpMethod": "POST",
    "resourcePath": "/user_identities/enrollment_automations/launch",
    "status": "200",
    "error.responseType": "-",
    "authorizer.token_id": "testDemo",
    "authorizer.token_kind": "api_key",
    "responseLatency": "35",
    "integrationLatency": "28",
    "authorizer.latency": "0",
    "responseLength": "425",
    "xrayTraceId": "1-65a1c9f0-5e1b0e3d7c8f4a2b9d6e0f13",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How a month's launches come.

    Attributes:
        name: What it is called.
        rate: Launches a second, while they come.
        environments: How many processes take them.
        starts: How many invocations start a process, from 0 to 1.
    """

    name: str
    rate: float
    environments: int
    starts: float


BURST = 10_000
PACES = (
    Pace("evenly", LAUNCHES / _MONTH_SECONDS, 1, 0.001),
    Pace("in bursts", BURST / 60, 100, 100 / BURST),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A part of the bill.

    Attributes:
        name: What it is for.
        quantity: How much of it.
        price: Its name in prices.toml.
    """

    name: str
    quantity: float
    price: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The use of resources by a launch, measured by making one.

    Attributes:
        workload: Its requests of DynamoDB.
        stored: Bytes that it adds to the table, as they are charged.
    """

    workload: Workload
    stored: int


class Deployment:
    """The parts of the template that cost something."""

    def __init__(self, resources: Mapping[str, Resource]) -> None:
        self.resources = resources
        self._stage = self.only("AWS::ApiGateway::Stage")
        (self.authorizer,) = self.only("AWS::ApiGateway::RestApi")["Body"]["components"]["securitySchemes"].values()
        self.table = self.only("AWS::DynamoDB::Table")
        if self.table["BillingMode"] != "PAY_PER_REQUEST":
            raise ValueError("the table is not on demand")
        for function in self.of_type("AWS::Lambda::Function"):
            if function["SnapStart"]["ApplyOn"] != "None":
                raise ValueError("SnapStart is not worked out here")

    def of_type(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the properties of the resources of a type."""
        return [resource.properties for resource in self.resources.values() if resource.type == kind]

    def only(self, kind: str) -> Mapping[str, Any]:
        """Return the properties of the one resource of a type."""
        (found,) = self.of_type(kind)
        return found

    def memory_mb(self, function: str) -> int:
        """Return a function's memory."""
        return int(self.resources[function].properties["MemorySize"])

    @property
    def architecture(self) -> str:
        """The processor of the launch function."""
        (found,) = self.resources["EnrollmentAutomationsFunction"].properties["Architectures"]
        return str(found)

    @property
    def decision_seconds(self) -> float:
        """How long the gateway keeps a decision about a token."""
        return float(self.authorizer["x-amazon-apigateway-authorizer"]["authorizerResultTtlInSeconds"])

    @property
    def is_traced(self) -> bool:
        """Whether requests are traced."""
        return bool(self._stage["TracingEnabled"])

    @property
    def has_metrics_of_methods(self) -> bool:
        """Whether each method has metrics of its own."""
        return any(setting.get("MetricsEnabled") for setting in self._stage["MethodSettings"])

    @property
    def methods(self) -> int:
        """How many methods the API has, without those for preflights."""
        paths = self.only("AWS::ApiGateway::RestApi")["Body"]["paths"].values()
        return sum(len(methods.keys() - {"options"}) for methods in paths)

    @property
    def log_days(self) -> int:
        """How long logs are kept."""
        (days,) = {int(group["RetentionInDays"]) for group in self.of_type("AWS::Logs::LogGroup")}
        return days

    @cached_property
    def access_log_bytes(self) -> int:
        """How long a line of the access log is."""
        line = re.sub(
            r"\$context\.([A-Za-z_.]*[A-Za-z_])",
            lambda match: _ACCESS_LOG_VALUES[match[1]],
            self._stage["AccessLogSetting"]["Format"],
        )
        return len(line.encode())


@dataclass(frozen=True, slots=True)
class Logged:
    """Bytes of what functions log and answer.

    Attributes:
        launch: What the launch function logs, with Lambda's own lines.
        authorizer: What the authorizer logs, likewise.
        answer: The body of a launch's answer.
    """

    launch: int
    authorizer: int
    answer: int


class Bill:
    """The cost of launches and of the deployment."""

    def __init__(self) -> None:
        self.prices = tomllib.loads(_PRICES.read_text())
        self.durations = json.loads(DURATIONS.read_text())
        self.deployment = Deployment(load_template(PROJECT / "template.yaml", {}))
        self.logged = _logged()
        plain, creating = captured()
        self.kinds = {
            "with a pool": Taken(plain, _stored(creates_acs_user=False)),
            "creating an ACS user": Taken(creating, _stored(creates_acs_user=True)),
        }

    def amount(self, line: Line) -> float:
        """Return what a part costs, in dollars."""
        price = self.prices[line.price]
        return float(line.quantity * price["usd"] / price["per"])

    def decisions(self, pace: Pace) -> float:
        """Return the share of launches for which the authorizer is asked, all with one token."""
        return 1 / (1 + pace.rate * self.deployment.decision_seconds)

    def look_ups(self, pace: Pace) -> float:
        """Return the share of launches that read credential manager and pool."""
        return pace.environments / (pace.environments + pace.rate * KNOWN_ITEMS_SECONDS)

    def traced(self, pace: Pace) -> float:
        """Return the share of requests that X-Ray's default rule takes: one a second, and 5 % of the others."""
        if not self.deployment.is_traced:
            return 0
        return min(1, (1 + 0.05 * (pace.rate - 1)) / pace.rate) if pace.rate > 1 else 1

    def duration_ms(self, function: str, kind: Kind, pace: Pace) -> float:
        """Return what an invocation is billed for, on average."""
        memory = self.deployment.memory_mb(FUNCTIONS[function])
        processor = min(1, memory / MEGABYTES_OF_A_PROCESSOR)
        own = self.durations[function]
        at_work = own["warm_ms"] + pace.starts * own["start_ms"]
        return float(at_work / processor + sum(TRANSACTION_MS if part.is_transaction else READ_MS for part in kind))

    def units(self, taken: Taken, pace: Pace, *, is_write: bool) -> float:
        """Return a launch's units of capacity, on average."""
        cold, asked = self.look_ups(pace), self.decisions(pace)
        workload = taken.workload
        return (
            (1 - cold) * units_of_kind(workload.warm, is_write=is_write)
            + cold * units_of_kind(workload.cold, is_write=is_write)
            + asked * units_of_kind(workload.authorizer, is_write=is_write)
        )

    def log_bytes(self, pace: Pace) -> float:
        """Return what is logged about a launch, on average."""
        asked = self.decisions(pace)
        starts = pace.starts * (1 + asked) * _START_BYTES
        return self.deployment.access_log_bytes + self.logged.launch + asked * self.logged.authorizer + starts

    def of_launches(self, taken: Taken, pace: Pace) -> Iterator[Line]:
        """Yield what a million launches cost, once."""
        asked, deployment = self.decisions(pace), self.deployment
        yield Line("API Gateway: requests", LAUNCHES, "api_gateway_request")
        yield Line("Lambda: requests", LAUNCHES * (1 + asked), "lambda_request")
        for name, function, kind, share in (
            ("Lambda: the launch function's time", "launch", taken.workload.warm, 1.0),
            ("Lambda: the authorizer's time", "authorizer", taken.workload.authorizer, asked),
        ):
            gigabytes = deployment.memory_mb(FUNCTIONS[function]) / 1024
            seconds = self.duration_ms(function, kind, pace) / 1000
            yield Line(name, LAUNCHES * share * gigabytes * seconds, f"lambda_gb_second_{deployment.architecture}")
        written, read = (LAUNCHES * self.units(taken, pace, is_write=is_write) for is_write in (True, False))
        yield Line("DynamoDB: written", written, "dynamodb_write_unit")
        yield Line("DynamoDB: read", read, "dynamodb_read_unit")
        logged = LAUNCHES * self.log_bytes(pace) / GIB
        yield Line("CloudWatch: logs", logged, "logs_taken_in")
        yield Line(f"CloudWatch: logs, for {deployment.log_days} days", logged * deployment.log_days / 30, "logs_kept")
        yield Line("X-Ray: traces", LAUNCHES * self.traced(pace), "xray_trace")
        yield Line("answers to the internet", LAUNCHES * (self.logged.answer + _HEADER_BYTES) / _GB, "traffic_out")

    def of_worst_authorizer(self, taken: Taken, pace: Pace) -> Iterator[Line]:
        """Yield what it costs to ask the authorizer about each of a million launches."""
        kind = taken.workload.authorizer
        gigabytes = self.deployment.memory_mb(FUNCTIONS["authorizer"]) / 1024
        seconds = self.duration_ms("authorizer", kind, pace) / 1000
        yield Line("requests", LAUNCHES, "lambda_request")
        yield Line("time", LAUNCHES * gigabytes * seconds, f"lambda_gb_second_{self.deployment.architecture}")
        yield Line("read", LAUNCHES * units_of_kind(kind, is_write=False), "dynamodb_read_unit")
        yield Line("logs", LAUNCHES * self.logged.authorizer / GIB, "logs_taken_in")

    def of_storage(self, taken: Taken) -> Iterator[Line]:
        """Yield what the records of a million launches cost each month."""
        gigabytes = LAUNCHES * taken.stored / GIB
        yield Line("DynamoDB: stored", gigabytes, "dynamodb_storage")
        if self.deployment.table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]:
            yield Line("DynamoDB: point-in-time recovery", gigabytes, "dynamodb_point_in_time_recovery")

    def of_a_month(self) -> Iterator[Line]:
        """Yield what the deployment costs each month, whether anything is launched or not."""
        deployment = self.deployment
        yield Line("alarms", len(deployment.of_type("AWS::CloudWatch::Alarm")), "alarm")
        yield Line("the dashboard", len(deployment.of_type("AWS::CloudWatch::Dashboard")), "dashboard")
        if "KMSMasterKeyId" in deployment.table["SSESpecification"]:
            yield Line("the table's key", 1, "kms_key")
        yield Line("requests to the table's key, at most", _CALLERS * _MONTH_SECONDS / _KEY_SECONDS, "kms_request")
        polled = sum(mapping["EventSourceArn"].split(":")[2] == "sqs" for mapping in deployment.of_type(_MAPPING))
        yield Line("requests to an empty queue", polled * _POLLERS * _MONTH_SECONDS / _POLL_SECONDS, "sqs_request")
        yield Line(
            "the secrets of webhooks, client sessions and connectors",
            len(deployment.of_type("AWS::SecretsManager::Secret")),
            "secret",
        )
        yield Line("metrics of launches, if there are all four outcomes in every hour", _METRICS_OF_LAUNCHES, "metric")
        filters = len(deployment.of_type("AWS::Logs::MetricFilter"))
        yield Line("metrics from logs, if there is something to count in every hour", filters, "metric")
        if deployment.has_metrics_of_methods:
            methods = deployment.methods
            metrics = _METRICS_OF_A_METHOD
            yield Line("metrics of `launch`, if it is called in every hour", metrics, "metric")
            yield Line(f"metrics of the other {methods - 1} methods, likewise", metrics * (methods - 1), "metric")


FUNCTIONS = {"launch": "EnrollmentAutomationsFunction", "authorizer": "AuthorizerFunction"}


def units_of_kind(kind: Kind, *, is_write: bool) -> float:
    """Return the units of capacity that calls of a kind take."""
    return sum(pattern.units(is_write=is_write) for pattern in kind)


def _logged() -> Logged:
    log = io.StringIO()
    with open_stack(PROJECT / "template.yaml", log=log, terminal=io.StringIO()) as stack:

        def invoke(event: str) -> tuple[Any, int]:
            stack.invoke(json.loads((PROJECT / "events" / event).read_text()))  # what is logged at a start is left out
            log.seek(0)
            log.truncate()
            answer = stack.invoke(json.loads((PROJECT / "events" / event).read_text()))
            return answer, len(log.getvalue().encode()) + LAMBDAS_BYTES

        answer, launch = invoke("launch.json")
        _, authorizer = invoke("authorizer_api_key.json")
        return Logged(rounded(launch), rounded(authorizer), rounded(len(answer["body"].encode())))


def rounded(size: int) -> int:
    """Return a size to the next 50 bytes, so that a line number with a digit more is not another document."""
    return -(-size // 50) * 50


def _stored(*, creates_acs_user: bool) -> int:
    with dynamodb():
        client = create_client()
        table = create_table(client, "cost")
        put_all(table, building() | person(0, is_enrolled=False))
        before = _bytes_of(client)
        _launch(table, creates_acs_user=creates_acs_user)
        return _bytes_of(client) - before


def _launch(table: Table, *, creates_acs_user: bool) -> None:
    Directory(table, Caller(WORKSPACE_ID)).launch(
        made_up_id("user_identity"),
        MANAGER_ID,
        acs_credential_pool_id=POOL_ID,
        create_credential_manager_user=creates_acs_user,
    )


def _bytes_of(client: Any) -> int:
    return stored_bytes(client.scan(TableName="cost")["Items"])
