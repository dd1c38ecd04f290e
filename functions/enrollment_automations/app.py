"""The routes of enrollment automations."""

from http import HTTPStatus
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from enrollment import automations
from enrollment.api import ProxyEvent, ProxyResponse, answer, create_resolver, workspace_id
from enrollment.model import LaunchRequest, LaunchResponse
from enrollment.settings import Settings
from enrollment.table import Table, create_client

_LAUNCH = "/user_identities/enrollment_automations/launch"

logger = Logger()
metrics = Metrics()
app = create_resolver()
table = Table(create_client(), Settings.from_environment().table_name)
known = automations.known_items()


@app.post(_LAUNCH)
def launch(request: Annotated[LaunchRequest, Body()]) -> LaunchResponse:
    """Launch an enrollment automation."""
    launched = automations.launch(table, known, workspace_id(app), request)
    outcome = "Replayed" if launched.is_replay else "Launched"
    _count(outcome)
    logger.info(outcome.lower(), enrollment_automation_id=launched.automation.enrollment_automation_id)
    return LaunchResponse(enrollment_automation=launched.automation)


def lambda_handler(event: ProxyEvent, context: LambdaContext) -> ProxyResponse:
    """Answer a request, and count what became of a launch."""
    response = answer(app, logger, event, context)
    if event["resource"] == _LAUNCH:
        if response["statusCode"] != HTTPStatus.OK:
            _count("Failed" if response["statusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR else "Refused")
        metrics.add_metadata("request_id", event["requestContext"]["requestId"])
        metrics.flush_metrics()
    return response


def _count(outcome: str) -> None:
    metrics.add_metric(name=outcome, unit=MetricUnit.Count, value=1)
