"""The start of a function: each module that it imports costs every cold start, and one can bring a hundred others."""

import json
import subprocess
import sys
from pathlib import Path
from sysconfig import get_path
from typing import Any

import pytest

from enrollments.local.stack import lambda_environment

# Beside the standard library, by package; of Powertools, of which each part has its price, by part.
EVERYWHERE = {
    # botocore and what it needs; its docs are imported whether anybody reads them or not.
    *("botocore", "certifi", "dateutil", "jmespath", "six", "urllib3"),
    # Powertools' Logger and what it needs; the tracing is a shell without the X-Ray SDK.
    *(f"aws_lambda_powertools.{part}" for part in ("exceptions", "logging", "package_logger", "shared", "utilities")),
    *(f"aws_lambda_powertools.{part}" for part in ("metrics", "tracing", "warnings")),
    "typing_extensions",
    "enrollment",
    *(f"enrollment.{module}" for module in ("callers", "errors", "failures", "log", "settings", "start", "timestamps")),
    *("enrollment.http", "enrollment.http.events"),
    "enrollment.store",
    *(f"enrollment.store.{module}" for module in ("actions", "attributes", "client", "keys")),
    *("enrollment.aws", "enrollment.aws.clients", "enrollment.aws.credentials", "enrollment.aws.deadline"),
    "enrollment.store.table",
    "enrollment.use_cases",
    "app",
}
BEHIND_THE_API = {
    *EVERYWHERE,
    "aws_lambda_powertools.middleware_factory",  # the parser's
    *("annotated_types", "pydantic", "pydantic_core", "typing_inspection"),
    "cachetools",
    *(f"enrollment.http.{module}" for module in ("api", "cors", "parameters", "routes")),
    "enrollment.resources",
    *(f"enrollment.resources.{module}" for module in ("automations", "bodies", "fields", "zod")),
    "enrollment.store.items",
    "enrollment.use_cases.links",
}
DIRECTORY = {
    *BEHIND_THE_API,
    "enrollment.http.page_cursors",
    *(f"enrollment.resources.{module}" for module in ("acs_systems", "acs_users", "user_identities")),
    "enrollment.store.listings",
    *(f"enrollment.use_cases.{module}" for module in ("acs_systems", "acs_users", "compatibility", "credential_items")),
}
CREDENTIALS = {
    *(f"enrollment.resources.{module}" for module in ("acs_credentials", "credential_options")),
    *(f"enrollment.use_cases.{module}" for module in ("credential_answers", "credential_owners", "credentials")),
    "enrollment.use_cases.problems",
}
# A user identity takes its client sessions, phones and credentials along when it ends.
USER_IDENTITIES = {
    *(f"enrollment.use_cases.{module}" for module in ("client_session_items", "phone_items", "user_identities")),
}
EVENTS = {
    *EVERYWHERE,
    *("annotated_types", "pydantic", "pydantic_core", "typing_inspection"),
    "cachetools",
    "enrollment.resources",
    *(f"enrollment.resources.{module}" for module in ("bodies", "event_types", "events", "fields")),
    *("enrollment.store.items", "enrollment.store.listings", "enrollment.use_cases.events"),
}
OUTBOUND = {
    "enrollment.outbound",
    *(f"enrollment.outbound.{module}" for module in ("clients", "failures", "queues")),
}
DELIVERIES = {
    *EVERYWHERE,
    *OUTBOUND,
    "cachetools",
    "standardwebhooks",
    *(f"enrollment.outbound.{module}" for module in ("addresses", "executions", "https", "master_secrets")),
    "enrollment.secrets",
    *(f"enrollment.use_cases.{module}" for module in ("deliveries", "redelivery", "webhook_items")),
}
# The durable execution SDK needs boto3.
DURABLE = {"__mp_main__", "aws_durable_execution_sdk_python", "boto3", "enrollment.aws.durable", "s3transfer"}
ENROLLMENTS = {
    *("enrollment.managers", "enrollment.managers.protocol", "enrollment.store.items", "enrollment.store.listings"),
    *(f"enrollment.use_cases.{module}" for module in ("credential_items", "enrollments", "links")),
}
PROVISIONING = {
    *EVERYWHERE,
    *ENROLLMENTS,
    *("annotated_types", "pydantic", "pydantic_core", "typing_inspection"),
    *("deprecated", "standardwebhooks", "wrapt"),
    *("enrollment.managers.connector", "enrollment.managers.simulated"),
    "enrollment.outbound",
    *(f"enrollment.outbound.{module}" for module in ("addresses", "clients", "failures", "https", "master_secrets")),
    "enrollment.secrets",
    *(f"enrollment.use_cases.{module}" for module in ("connector_items", "convergence", "learning", "looking")),
    *(f"enrollment.use_cases.{module}" for module in ("manager_checks", "manager_requests", "pauses", "provisioning")),
    "enrollment.use_cases.table_steps",
}
MAY_IMPORT = {
    "deliveries": DELIVERIES,
    "redeliveries": {*DELIVERIES, *DURABLE},
    "provisioning": {*PROVISIONING, *DURABLE},
    "acs": {*DIRECTORY, *CREDENTIALS},
    "authorizer": {*EVERYWHERE, "enrollment.use_cases.tokens"},
    "client_sessions": {
        *BEHIND_THE_API,
        "enrollment.http.page_cursors",
        "enrollment.outbound",
        *(f"enrollment.outbound.{module}" for module in ("clients", "failures", "master_secrets")),
        *("enrollment.resources.client_sessions", "enrollment.resources.workspaces"),
        *("enrollment.secrets", "enrollment.store.listings"),
        *(f"enrollment.use_cases.client_session{end}" for end in ("s", "_items", "_lookup")),
        *("enrollment.use_cases.tokens", "enrollment.use_cases.workspaces"),
    },
    "events": {
        *EVENTS,
        *OUTBOUND,
        *("enrollment.outbound.event_bus", "enrollment.outbound.executions"),
        *("enrollment.store.changes", "enrollment.use_cases.recording", "enrollment.use_cases.webhook_items"),
        "enrollment.use_cases.deleted_workspaces",
        # What follows a change.
        *("enrollment.use_cases.connector_items", "enrollment.use_cases.enrollment_starts", *ENROLLMENTS),
    },
    "events_api": {
        *BEHIND_THE_API,
        *EVENTS,
        "enrollment.http.page_cursors",
        "enrollment.outbound",
        *(f"enrollment.outbound.{module}" for module in ("addresses", "clients", "failures", "master_secrets")),
        *("enrollment.resources.webhooks", "enrollment.secrets"),
        *("enrollment.use_cases.webhooks", "enrollment.use_cases.webhook_items"),
    },
    "phones": {
        *DIRECTORY,
        *CREDENTIALS,
        *(f"enrollment.resources.{module}" for module in ("phone_sessions", "phones")),
        *("enrollment.use_cases.automations", *USER_IDENTITIES),
        *("enrollment.use_cases.phone_sessions", "enrollment.use_cases.phones", *ENROLLMENTS),
    },
    "enrollment_automations": {*BEHIND_THE_API, "enrollment.use_cases.automations"},
    "user_identities": {*DIRECTORY, "enrollment.use_cases.automations", *USER_IDENTITIES},
}
# Of the standard library, none of these: asyncio alone was a tenth of a start.
TOO_HEAVY = {"asyncio", "ctypes", "multiprocessing", "pdb", "pydoc", "sqlite3", "unittest"}
BY_PART = {"aws_lambda_powertools"}

# What a start needs of the environment that the template gives it.
VARIABLES = {
    "TABLE_NAME": "table",
    "CONNECTORS_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:connectors-AAAAAA",
    "CLIENT_SESSIONS_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:client-sessions-AAAAAA",
    "DELIVERIES_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/deliveries",
    "EVENT_BUS_NAME": "events",
    "EVENT_RETENTION_DAYS": "30",
    "EVENTS_FAILURES_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/failures",
    "PROVISIONING_FUNCTION": "arn:aws:lambda:us-east-1:123456789012:function:provisioning:live",
    "REDELIVERIES_FUNCTION": "arn:aws:lambda:us-east-1:123456789012:function:redeliveries:live",
    "WEBHOOKS_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:webhooks-AAAAAA",
}
START = """
import gc, json, sys
modules, collections = set(sys.modules), sum(generation["collections"] for generation in gc.get_stats())
import app
collections = sum(generation["collections"] for generation in gc.get_stats()) - collections
told = {"modules": sorted(set(sys.modules) - modules), "collections": collections}
print(json.dumps({**told, "frozen": gc.get_freeze_count(), "enabled": gc.isenabled()}))
"""


def start_of(project: Path, function: str) -> dict[str, Any]:
    folders = [project / "functions" / function, project / "layers/enrollment", get_path("purelib")]
    variables = {
        **lambda_environment(),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": ":".join(map(str, folders)),
        **VARIABLES,
    }
    finished = subprocess.run(  # noqa: S603
        [sys.executable, "-S", "-c", START], env=variables, capture_output=True, text=True, timeout=60, check=True
    )
    found: dict[str, Any] = json.loads(finished.stdout)
    return found


def budgeted(module: str) -> str:
    package, *parts = module.split(".")
    if package.startswith("_sysconfigdata"):  # the standard library's, named for the machine
        return "sysconfig"
    if package == "enrollment":
        return module
    return f"{package}.{parts[0]}" if package in BY_PART and parts else package


@pytest.fixture(scope="module", params=sorted(MAY_IMPORT))
def function(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def start(project: Path, function: str) -> dict[str, Any]:
    return start_of(project, function)


@pytest.fixture(scope="module")
def modules(start: dict[str, Any]) -> set[str]:
    return set(start["modules"])


def test_a_start_imports_no_package_that_is_not_expected(modules: set[str], function: str) -> None:
    packages = {budgeted(module) for module in modules}

    assert packages - sys.stdlib_module_names - BY_PART - MAY_IMPORT[function] == set()


def test_a_start_imports_nothing_heavy_of_the_standard_library(modules: set[str], function: str) -> None:
    # Nobody waits for the durable functions, whose SDK imports some.
    assert modules & (set() if function in {"provisioning", "redeliveries"} else TOO_HEAVY) == set()


def test_the_collector_waits_until_a_function_is_ready_and_then_looks_at_what_is_new(start: dict[str, Any]) -> None:
    assert start["collections"] <= 1  # the one that comes as soon as it may, and finds nothing
    assert start["frozen"] > 50_000
    assert start["enabled"]


def test_every_function_has_a_budget(project: Path) -> None:
    assert {path.parent.name for path in project.glob("functions/*/app.py")} == set(MAY_IMPORT)
