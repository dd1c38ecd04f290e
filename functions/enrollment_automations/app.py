"""The routes of enrollment automations."""

from enrollment import start  # first: turns the garbage collector off

# isort: split
import time
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from enrollment.callers import Caller
from enrollment.errors import (
    AcsCredentialPoolNotFound,
    AcsCredentialPoolNotInAcsSystem,
    AcsSystemIsNotCredentialManager,
    AcsSystemNotFound,
    AcsUserAlreadyLinked,
    AcsUserNotFound,
    AcsUserNotInAcsSystem,
    EnrollmentAutomationAlreadyExists,
    EnrollmentAutomationNotFound,
    UserIdentityNotFound,
)
from enrollment.http.api import Api
from enrollment.http.events import ProxyEvent, ProxyResponse
from enrollment.http.routes import Answer
from enrollment.log import create_logger
from enrollment.resources.automations import (
    AutomationResponse,
    AutomationsResponse,
    DeleteAutomationRequest,
    GetAutomationRequest,
    LaunchRequest,
    ListAutomationsRequest,
)
from enrollment.resources.bodies import DoneResponse
from enrollment.settings import Settings
from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollment.use_cases import automations

_ROOT = "/user_identities/enrollment_automations"
_LAUNCH = f"{_ROOT}/launch"

settings = Settings.from_environment()
metrics = Metrics()


def launch_metrics(event: ProxyEvent, outcome: str, status: int) -> Mapping[str, object]:
    """Return what has CloudWatch count a launch, in its embedded metric format; nothing for other requests.

    Args:
        event: The request.
        outcome: What has happened.
        status: The answer's HTTP status.
    """
    if event.get("resource") != _LAUNCH or event["httpMethod"] != "POST":
        return {}
    if status != HTTPStatus.OK:
        outcome = "failed" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused"
    metric = _count_of_one(outcome.capitalize())
    return {**metric, "_aws": {**metric["_aws"], "Timestamp": time.time_ns() // 1_000_000}}


@cache
def _count_of_one(name: str) -> Mapping[str, Any]:
    """Return a metric that counts one.  It is made once, because making it is a tenth of a launch's work."""
    if settings.stack_name:  # several stacks of a region share the namespace
        metrics.add_dimension(name="stack", value=settings.stack_name)
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
    counted = metrics.serialize_metric_set()
    metrics.clear_metrics()
    return counted


api = Api(create_logger(), settings.cors_origins, metrics=launch_metrics)
table = Table(create_client(), settings.table_name)
known = automations.known_items()


@api.route(
    _LAUNCH,
    "POST",
    errors=[
        UserIdentityNotFound,
        AcsSystemNotFound,
        AcsSystemIsNotCredentialManager,
        AcsCredentialPoolNotFound,
        AcsCredentialPoolNotInAcsSystem,
        AcsUserNotFound,
        AcsUserNotInAcsSystem,
        AcsUserAlreadyLinked,
        EnrollmentAutomationAlreadyExists,
    ],
)
def launch(request: LaunchRequest, caller: Caller) -> Answer[AutomationResponse]:
    """Launch an enrollment automation.

    One exists for each user identity and credential manager. The same launch again answers with the same automation, so
    it can be repeated safely; one with other parameters is a 409.
    """
    launched = automations.launch(table, known, caller, request)
    outcome = "replayed" if launched.is_replay else "launched"
    launched_id = launched.automation.enrollment_automation_id
    body = AutomationResponse(enrollment_automation=launched.automation)
    return Answer(body, outcome, {"enrollment_automation_id": launched_id})


@api.route(f"{_ROOT}/get", "GET", "POST", errors=[EnrollmentAutomationNotFound], for_client_sessions=True)
def get(request: GetAutomationRequest, caller: Caller) -> Answer[AutomationResponse]:
    """Get an enrollment automation."""
    return Answer(AutomationResponse(enrollment_automation=automations.get(table, caller, request)))


@api.route(f"{_ROOT}/list", "GET", "POST", errors=[UserIdentityNotFound], for_client_sessions=True)
def list_(request: ListAutomationsRequest, caller: Caller) -> Answer[AutomationsResponse]:
    """List the enrollment automations of a user identity."""
    found = automations.list_of_user_identity(table, caller, request)
    return Answer(AutomationsResponse(enrollment_automations=found))


@api.route(f"{_ROOT}/delete", "DELETE", "POST", errors=[EnrollmentAutomationNotFound])
def delete(request: DeleteAutomationRequest, caller: Caller) -> Answer[DoneResponse]:
    """Delete an enrollment automation."""
    automations.delete(table, caller, request)
    return Answer(DoneResponse(), "deleted", {"enrollment_automation_id": request.enrollment_automation_id})


def lambda_handler(event: ProxyEvent, context: LambdaContext) -> ProxyResponse:
    """Answer a request."""
    return api.answer(event, context)


start.end()
