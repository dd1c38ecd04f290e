"""The routes of enrollment automations."""

from http import HTTPStatus

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from enrollment import automations
from enrollment.api import Api, ProxyEvent, ProxyResponse
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
from enrollment.model import (
    AutomationResponse,
    AutomationsResponse,
    DeleteRequest,
    DoneResponse,
    GetRequest,
    LaunchRequest,
    ListRequest,
)
from enrollment.settings import Settings
from enrollment.table import Table, create_client

_ROOT = "/user_identities/enrollment_automations"
_LAUNCH = f"{_ROOT}/launch"

settings = Settings.from_environment()
metrics = Metrics()
api = Api(Logger(), settings.cors_origins)
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
def launch(request: LaunchRequest) -> AutomationResponse:
    """Launch an enrollment automation.

    One exists for each user identity and credential manager. The same launch again answers with the same automation, so
    it can be repeated safely; one with other parameters is a 409.
    """
    launched = automations.launch(table, known, api.caller, request)
    outcome = "Replayed" if launched.is_replay else "Launched"
    _count(outcome)
    api.note(outcome.lower(), enrollment_automation_id=launched.automation.enrollment_automation_id)
    return AutomationResponse(enrollment_automation=launched.automation)


@api.route(f"{_ROOT}/get", "GET", "POST", errors=[EnrollmentAutomationNotFound], for_client_sessions=True)
def get(request: GetRequest) -> AutomationResponse:
    """Get an enrollment automation."""
    return AutomationResponse(enrollment_automation=automations.get(table, api.caller, request))


@api.route(f"{_ROOT}/list", "GET", "POST", errors=[UserIdentityNotFound], for_client_sessions=True)
def list_(request: ListRequest) -> AutomationsResponse:
    """List the enrollment automations of a user identity."""
    found = automations.list_of_user_identity(table, api.caller, request)
    return AutomationsResponse(enrollment_automations=found)


@api.route(f"{_ROOT}/delete", "DELETE", "POST", errors=[EnrollmentAutomationNotFound])
def delete(request: DeleteRequest) -> DoneResponse:
    """Delete an enrollment automation."""
    automations.delete(table, api.caller, request)
    api.note("deleted", enrollment_automation_id=request.enrollment_automation_id)
    return DoneResponse()


def lambda_handler(event: ProxyEvent, context: LambdaContext) -> ProxyResponse:
    """Answer a request, and count what became of a launch."""
    response = api.answer(event, context)
    if event["resource"] == _LAUNCH and event["httpMethod"] == "POST":
        if response["statusCode"] != HTTPStatus.OK:
            _count("Failed" if response["statusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR else "Refused")
        metrics.add_metadata("request_id", event["requestContext"]["requestId"])
        metrics.flush_metrics()
    return response


def _count(outcome: str) -> None:
    metrics.add_metric(name=outcome, unit=MetricUnit.Count, value=1)
