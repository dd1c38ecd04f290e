"""The README's ``make deploy``, to a stand-in for AWS: packaging, the transform, the change set, what refers to what.

What only AWS checks is left out: who may do what, quotas, and what properties may be.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from local_aws.template import expand_template
from tests.deploy.conftest import STACK, Aws

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(600)]

# What a person answers to --guided, and what samconfig.toml says for AWS.
OVERRIDES = "MemorySize=512 LogRetentionDays=60 EventBusName=owners"
RESTORED = "restored"
ANSWERS = "--no-confirm-changeset --no-resolve-s3 --s3-bucket artefacts"


@pytest.fixture(scope="module")
def created(aws: Aws) -> dict[str, Any]:
    """The stack as the first deployment left it."""
    shown = aws.run("make", "deploy", f"ARGS={ANSWERS}")
    return aws.stack() | {"functions": aws.functions(), "shown": shown}


@pytest.fixture(scope="module")
def updated(aws: Aws, created: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - what there is to update
    """The stack after a second deployment with other parameters; it is built already."""
    sam = str(aws.project / ".venv-sam/bin/sam")
    aws.run(sam, "deploy", *ANSWERS.split(), "--parameter-overrides", OVERRIDES)
    return aws.stack() | {"functions": aws.functions()}


@pytest.fixture(scope="module")
def restored(aws: Aws, updated: dict[str, Any]) -> dict[str, Any]:
    """The stack after a deployment with a table that was restored as docs/operations.md says."""
    dynamodb = aws.client("dynamodb")
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=updated["Outputs"]["TableName"], TargetTableName=RESTORED, UseLatestRestorableTime=True
    )
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    dynamodb.update_table(TableName=RESTORED, StreamSpecification=stream)
    stream_arn = dynamodb.describe_table(TableName=RESTORED)["Table"]["LatestStreamArn"]
    sam = str(aws.project / ".venv-sam/bin/sam")
    overrides = f"{OVERRIDES} RestoredTableName={RESTORED} RestoredTableStreamArn={stream_arn}"
    aws.run(sam, "deploy", *ANSWERS.split(), "--parameter-overrides", overrides)
    return aws.stack() | {"functions": aws.functions()}


def test_the_first_deployment_creates_the_stack(aws: Aws, created: dict[str, Any]) -> None:
    assert created["StackStatus"] == "CREATE_COMPLETE"
    assert created["Outputs"].keys() == {"DashboardUrl", "Document", "Endpoint", "Release", "TableName"}
    assert re.fullmatch(r"https://\w+\.execute-api\.us-east-1\.amazonaws\.com/prod", created["Outputs"]["Endpoint"])
    assert created["Outputs"]["TableName"] in aws.client("dynamodb").list_tables()["TableNames"]


def test_the_endpoint_and_the_next_command_are_shown(created: dict[str, Any]) -> None:
    *_, endpoint, next_command, check = created["shown"].splitlines()

    assert endpoint == f"Endpoint:  {created['Outputs']['Endpoint']}"
    options = f"--stack-name {STACK} --region us-east-1"
    assert next_command == f'Next:      .venv/bin/enrollments workspaces create {options} --with-key "Main Street"'
    assert check == f"To check:  .venv/bin/enrollments doctor {options}"


def test_nothing_to_deploy_is_no_failure_where_nobody_is_asked(aws: Aws, created: dict[str, Any]) -> None:
    shown = aws.run("make", "deploy", f"ARGS={ANSWERS} --no-fail-on-empty-changeset")

    assert created["Outputs"]["Endpoint"] in shown


def test_the_answers_to_guided_are_kept_and_used_by_the_next_deployment(
    aws: Aws, project: Path, without_answers: Path
) -> None:
    tracked = (project / "samconfig.toml").read_text()
    parameters = expand_template(project / "template.yaml")["Parameters"]
    # Stack and region, the default of each parameter, and that nobody is to confirm.  The rest is what SAM suggests.
    answers = ["guided", "eu-west-1", *("" for _ in parameters), "n", *("" for _ in range(10))]

    first = aws.run("make", "deploy", "ARGS=--guided", answers="\n".join([*answers, ""]))
    # SAM keeps no answer that turns off what samconfig.toml turns on.
    second = aws.run("make", "deploy", "ARGS=--no-confirm-changeset --no-fail-on-empty-changeset")

    shown = "enrollments doctor --stack-name guided --region eu-west-1"
    assert shown in first
    assert shown in second
    assert (project / "samconfig.toml").read_text() == tracked
    without_answers.unlink()


def test_the_functions_have_their_code_and_the_tables_name(created: dict[str, Any]) -> None:
    functions = created["functions"]

    # AWS adds something random to a name that the template does not give.
    names = {re.sub(r"(Function)-\w+$", r"\1", function["FunctionName"]) for function in functions}
    assert names == {
        f"{STACK}-AcsFunction",
        f"{STACK}-AuthorizerFunction",
        f"{STACK}-ClientSessionsFunction",
        f"{STACK}-DeliveriesFunction",
        f"{STACK}-EnrollmentAutomationsFunction",
        f"{STACK}-EventsApiFunction",
        f"{STACK}-EventsFunction",
        f"{STACK}-PhonesFunction",
        f"{STACK}-UserIdentitiesFunction",
        f"{STACK}-provisioning",
        f"{STACK}-redeliveries",
    }
    for function in functions:
        assert (function["Runtime"], function["Handler"]) == ("python3.13", "app.lambda_handler")
        assert function["MemorySize"] == 1024
        assert function["CodeSize"] > 1000
        assert function["Environment"]["Variables"]["TABLE_NAME"] == created["Outputs"]["TableName"]
        assert "AWS_ENDPOINT_URL_DYNAMODB" not in function["Environment"]["Variables"]


def test_every_route_is_at_the_api(aws: Aws, project: Path, created: dict[str, Any]) -> None:
    api_id = created["Outputs"]["Endpoint"].removeprefix("https://").split(".")[0]
    documented = json.loads((project / "openapi.json").read_text())["paths"].keys()

    resources = aws.client("apigateway").get_resources(restApiId=api_id, limit=500)["items"]

    assert documented <= {resource["path"] for resource in resources}


def test_a_deployment_with_other_parameters_updates_the_stack(created: dict[str, Any], updated: dict[str, Any]) -> None:
    assert updated["StackStatus"] == "UPDATE_COMPLETE"
    assert updated["StackId"] == created["StackId"]
    assert updated["Outputs"]["TableName"] == created["Outputs"]["TableName"]
    assert (updated["Parameters"]["MemorySize"], updated["Parameters"]["LogRetentionDays"]) == ("512", "60")
    assert {function["MemorySize"] for function in updated["functions"]} == {512}
    assert {len(function["Layers"]) for function in updated["functions"]} == {2}  # moto reads them in updates only
    assert {each["FunctionArn"] for each in updated["functions"]} == {
        each["FunctionArn"] for each in created["functions"]
    }


def test_the_functions_that_follow_a_request_know_where_they_send_things(aws: Aws, created: dict[str, Any]) -> None:
    variables = variables_of(created, "EventsFunction")
    queues = [url.rpartition("/")[2] for url in aws.client("sqs").list_queues()["QueueUrls"]]
    buses = [bus["Name"] for bus in aws.client("events").list_event_buses()["EventBuses"]]

    for name in ("DELIVERIES_QUEUE_URL", "EVENTS_FAILURES_QUEUE_URL"):
        assert variables[name].rpartition("/")[2] in queues
    assert variables["EVENT_BUS_NAME"] == f"{STACK}-events" in buses
    assert variables["PROVISIONING_FUNCTION"].endswith(f"{STACK}-provisioning:live")
    assert variables_of(created, "DeliveriesFunction")["REDELIVERIES_FUNCTION"].endswith(f"{STACK}-redeliveries:live")


def test_a_bus_of_ones_own_takes_the_place_of_the_stacks(updated: dict[str, Any]) -> None:
    assert variables_of(updated, "EventsFunction")["EVENT_BUS_NAME"] == "owners"


def test_a_deployment_with_a_restored_table_gives_it_to_all_functions(restored: dict[str, Any]) -> None:
    assert restored["StackStatus"] == "UPDATE_COMPLETE"
    assert restored["Outputs"]["TableName"] == RESTORED
    assert {each["Environment"]["Variables"]["TABLE_NAME"] for each in restored["functions"]} == {RESTORED}


def variables_of(stack: dict[str, Any], name: str) -> dict[str, str]:
    (found,) = [each for each in stack["functions"] if each["FunctionName"].startswith(f"{STACK}-{name}-")]
    variables: dict[str, str] = found["Environment"]["Variables"]
    return variables
