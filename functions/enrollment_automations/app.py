"""The routes of enrollment automations."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from enrollment import automations
from enrollment.api import ProxyEvent, ProxyResponse, answer, create_resolver, workspace_id
from enrollment.errors import EnrollmentError
from enrollment.model import LaunchRequest, LaunchResponse
from enrollment.settings import Settings
from enrollment.table import Table, create_client

logger = Logger()
metrics = Metrics()
app = create_resolver()
table = Table(create_client(), Settings.from_environment().table_name)
known = automations.known_items()


@app.post("/user_identities/enrollment_automations/launch")
def launch(request: Annotated[LaunchRequest, Body()]) -> LaunchResponse:
    """Launch an enrollment automation."""
    try:
        launched = automations.launch(table, known, workspace_id(app), request)
    except EnrollmentError:
        metrics.add_metric(name="LaunchRefused", unit=MetricUnit.Count, value=1)
        raise
    outcome = "Replayed" if launched.is_replay else "Launched"
    metrics.add_metric(name=outcome, unit=MetricUnit.Count, value=1)
    logger.info(outcome.lower(), enrollment_automation_id=launched.automation.enrollment_automation_id)
    return LaunchResponse(enrollment_automation=launched.automation)


@metrics.log_metrics
def lambda_handler(event: ProxyEvent, context: LambdaContext) -> ProxyResponse:
    """Answer a request."""
    return answer(app, logger, event, context)
