"""What docs/operations.md names exists: sections, commands with their options, files, and rights."""

import json
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

import boto3
import click
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from enrollments.doctor.patient import Patient
from enrollments.doctor.rights import look_at_rights
from enrollments.doctor.stack import (
    FUNCTIONS,
    look_at_functions,
    look_at_mappings,
    look_at_role,
    look_at_secrets,
    look_at_stack,
    look_at_table,
)
from enrollments.doctor.work import look_at_executions, look_at_queues, look_at_stream
from enrollments.main import main
from enrollments.stacks import DeployedStack
from local_aws.template import expand_template
from tests.fixtures import PROJECT
from tests.iam import Statement, is_allowed, values

DOCUMENT = (PROJECT / "docs/operations.md").read_text()
HEADINGS = re.findall(r"^#+ (.*)$", DOCUMENT, re.MULTILINE)
POLICIES = PROJECT / "docs/policies"
# IAM's quota for a managed policy, without white space.
LONGEST_POLICY = 6144
STACK = "enrollment-automations"
LONG_NAME = "a" * 40
# These have no type of resource in the service authorization reference, so a statement on a resource never allows them.
ON_EVERYTHING = {
    "cloudwatch:GetMetricStatistics",
    "dynamodb:ListTables",
    "lambda:ListEventSourceMappings",
    "logs:GetQueryResults",
    "xray:BatchGetTraces",
}
ARN = "arn:aws:{}:us-east-1:123456789012:{}"
# What a command is called with in the document: after it, or after the function that stands for its options.
CALL = re.compile(r"(?:\.venv/bin/enrollments|`enrollments|\bin_workspace) ([a-z][^\n`#|]*)")


def anchor_of(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_links_within_the_document_lead_somewhere() -> None:
    links = set(re.findall(r"\]\(#([^)]*)\)", DOCUMENT))

    assert links - {anchor_of(heading) for heading in HEADINGS} == set()


def test_links_to_other_files_lead_somewhere() -> None:
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^#)][^)]*)\)", DOCUMENT)}
    files = {link for link in links if not link.startswith("http")}

    assert [link for link in files if not (PROJECT / "docs" / link).exists()] == []


def test_sections_that_commands_name_are_there() -> None:
    sources = "\n".join(path.read_text() for path in (PROJECT / "cli").rglob("*.py"))
    named = set(re.findall(r"docs/operations\.md,?\"?\s*\"?(?:for )?“([^”]*)”", sources))

    assert named
    assert named - set(HEADINGS) == set()


def test_each_deploy_names_its_stack() -> None:
    deploys = re.findall(r"make deploy [^`\n]*", DOCUMENT)

    assert deploys
    assert [one for one in deploys if "--stack-name" not in one and one != "make deploy ARGS=--guided"] == []


def test_each_program_of_the_document_is_one_that_is_told_to_install() -> None:
    table = DOCUMENT.partition("### What must be installed")[2].partition("###")[0]

    assert [program for program in ("curl", "git", "openssl", "sha256sum", "make") if f"`{program}`" not in table] == []


def calls() -> list[str]:
    """Return how the document calls commands: what is a placeholder or a continued line, too."""
    joined = DOCUMENT.replace("\\\n", " ")
    return sorted({match.strip() for match in CALL.findall(joined)})


def command_of(words: Sequence[str]) -> click.Command:
    command: click.Command = main
    for word in words:
        if not isinstance(command, click.Group):
            break
        found = command.get_command(click.Context(command), word)
        assert found is not None, f"there is no command {' '.join(words)}"
        command = found
    return command


def test_each_import_of_a_workspace_names_it() -> None:
    imports = [call for call in calls() if call.startswith("workspaces import ")]

    assert imports
    assert [call for call in imports if "--workspace-id " not in call] == []


@pytest.mark.parametrize("call", calls())
def test_a_command_that_the_document_calls_exists_with_its_options(call: str) -> None:
    words = re.sub(r"[\[\]()'\"$;.,]", " ", call).split()
    command = command_of([word for word in words if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")])

    named = {word for word in words if re.fullmatch(r"--[a-z][a-z-]*", word)}
    known = {option for parameter in command.params for option in parameter.opts} | {"--version", "--help"}

    assert named - known == set()


@pytest.mark.parametrize("name", ["operator", "deployer"])
def test_a_policy_is_one_that_iam_takes(name: str) -> None:
    policy = json.loads((POLICIES / f"{name}.json").read_text())

    assert policy["Version"] == "2012-10-17"
    for_long_name = json.dumps(policy).replace(STACK, LONG_NAME)
    assert len(re.sub(r"\s", "", for_long_name)) <= LONGEST_POLICY
    sids = [statement["Sid"] for statement in policy["Statement"]]
    assert len(sids) == len(set(sids))


@pytest.mark.parametrize("name", ["operator", "deployer"])
def test_a_right_that_cannot_be_narrowed_is_for_everything(name: str) -> None:
    statements = json.loads((POLICIES / f"{name}.json").read_text())["Statement"]
    narrowed = [action for one in statements if one["Resource"] != "*" for action in values(one["Action"])]

    assert ON_EVERYTHING & set(narrowed) == set()


def test_who_deploys_can_find_tables_that_a_failed_deploy_has_left() -> None:
    statements = json.loads((POLICIES / "deployer.json").read_text())["Statement"]

    assert is_allowed(statements, "dynamodb:ListTables", "*", {})


def test_the_operators_policy_is_for_the_stack_of_that_very_name() -> None:
    other = f"stack/{STACK}-2/1"

    assert not is_allowed(OF_OPERATOR, "cloudformation:DescribeStacks", ARN.format("cloudformation", other), {})
    assert "named exactly `enrollment-automations`" in DOCUMENT


def test_the_deployers_policy_covers_each_service_of_the_template() -> None:
    statements = json.loads((POLICIES / "deployer.json").read_text())["Statement"]
    allowed = {action.partition(":")[0] for statement in statements for action in values(statement["Action"])}
    types = {resource["Type"] for resource in expand_template(PROJECT / "template.yaml")["Resources"].values()}

    assert {kind.split("::")[1].lower() for kind in types} <= allowed


class Operator:
    """Somebody whose only rights are those of the operator's policy.

    It answers calls to AWS, and refuses those that the policy does not allow.
    """

    def __init__(self, statements: Sequence[Statement]) -> None:
        self._statements = statements
        self.asked: set[str] = set()

    def answer(self, client: Any, operation: str, request: dict[str, Any]) -> Any:
        for action, resource in needed(client.meta.service_model.signing_name, operation, request):
            self.asked.add(action)
            if not is_allowed(self._statements, action, resource, {}):
                message = f"User: u is not authorized to perform: {action} on resource: {resource}"
                raise ClientError({"Error": {"Code": "AccessDenied", "Message": message}}, operation)
        return ANSWERS.get(operation, {})


KINDS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
TABLE = f"{STACK}-Table-1ABC"
STREAM = ARN.format("dynamodb", f"table/{TABLE}/stream/2026")
ANSWERS: dict[str, Any] = {
    "DescribeTable": {
        "Table": {
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
            "DeletionProtectionEnabled": True,
            "LatestStreamArn": STREAM,
        }
    },
    "DescribeContinuousBackups": {
        "ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}
    },
    "DescribeTimeToLive": {"TimeToLiveDescription": {"AttributeName": "deleted_after", "TimeToLiveStatus": "ENABLED"}},
    "GetAccount": {"cloudwatchRoleArn": "arn:role"},
    "ListEventSourceMappings": {"EventSourceMappings": [{"UUID": "u", "State": "Enabled"}]},
    "GetMetricStatistics": {"Datapoints": []},
    "GetQueueAttributes": {
        "Attributes": {
            "ApproximateNumberOfMessages": "0",
            "ApproximateNumberOfMessagesNotVisible": "0",
            "QueueArn": "arn",
        }
    },
    "DescribeStream": {"StreamDescription": {"Shards": [{"ShardId": "shard"}]}},
    "GetShardIterator": {"ShardIterator": f"{STREAM}|1|x"},
}


def needed(service: str, operation: str, request: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the actions that AWS asks a right for, and on what: the service authorization reference."""
    if service == "dynamodb":
        yield from needed_of_table(operation, request)
        return
    name = "InvokeFunction" if operation == "Invoke" else operation
    match service, operation:
        case "cloudformation", _:
            yield f"cloudformation:{name}", ARN.format("cloudformation", f"stack/{request['StackName']}/1")
        case "sqs", _:
            yield f"sqs:{name}", ARN.format("sqs", request["QueueUrl"].rpartition("/")[2])
        case "secretsmanager", _:
            yield f"secretsmanager:{name}", request["SecretId"]
        case "apigateway", _:
            yield "apigateway:GET", "arn:aws:apigateway:us-east-1::/account"
        case ("lambda", "ListEventSourceMappings") | ("monitoring", _):
            yield f"{'lambda' if service == 'lambda' else 'cloudwatch'}:{name}", "*"
        case _:
            qualifier = f":{request['Qualifier']}" if "Qualifier" in request else ""
            yield f"lambda:{name}", ARN.format("lambda", f"function:{request['FunctionName']}{qualifier}")


def needed_of_table(operation: str, request: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for item in request.get("TransactItems", ()):
        for kind, part in item.items():
            yield f"dynamodb:{KINDS[kind]}", ARN.format("dynamodb", f"table/{part['TableName']}")
    stream = request.get("StreamArn") or request.get("ShardIterator", "").partition("|")[0]
    names = [request["TableName"]] if "TableName" in request else list(request.get("RequestItems", ()))
    for resource in [stream] if stream else [ARN.format("dynamodb", f"table/{name}") for name in names]:
        yield f"dynamodb:{operation}", resource


IDS = {
    **{name: f"{STACK}-{name}-1ABC" for name in FUNCTIONS},
    "ProvisioningFunction": f"{STACK}-provisioning",
    "RedeliveriesFunction": f"{STACK}-redeliveries",
    **{
        name: f"https://sqs.us-east-1.amazonaws.com/123456789012/{STACK}-{name}-1ABC"
        for name in ("EventsFailuresQueue", "DeliveriesQueue", "DeliveriesDeadLetterQueue")
    },
    "ClientSessionsSecret": ARN.format("secretsmanager", f"secret:{STACK}-client-sessions-1ABC"),
    "ConnectorsSecret": ARN.format("secretsmanager", f"secret:{STACK}-connectors-1ABC"),
    "WebhooksSecret": ARN.format("secretsmanager", f"secret:{STACK}-webhooks-1ABC"),
}
OF_OPERATOR = json.loads((POLICIES / "operator.json").read_text())["Statement"]
# What `aws …` of the document and other moments of commands need: the doctor has no reason to do it.
NOT_TRIED = {
    "cloudformation:DescribeStacks",
    "cloudformation:ListStackResources",
    "lambda:GetDurableExecution",
    "lambda:GetDurableExecutionHistory",
    "logs:FilterLogEvents",
    "logs:GetQueryResults",
    "logs:StartLiveTail",
    "logs:StartQuery",
    "sqs:ChangeMessageVisibility",
    "sqs:PurgeQueue",
    "xray:BatchGetTraces",
}


def asked_by_doctor(statements: Sequence[Statement], monkeypatch: pytest.MonkeyPatch) -> tuple[set[str], list[str]]:
    """Return the actions for which the doctor asks AWS, and what it finds bad."""
    operator = Operator(statements)
    monkeypatch.setattr(BaseClient, "_make_api_call", lambda *asked: operator.answer(*asked))  # noqa: PLW0108 - a bound method would not get the client
    session = boto3.session.Session("made-up", "made-up", region_name="us-east-1")
    outputs = {"TableName": TABLE, "Endpoint": "https://e", "DashboardUrl": "d"}
    stack = DeployedStack(
        STACK, "us-east-1", "UPDATE_COMPLETE", {**outputs, "Release": version("enrollment-automations")}, {}
    )
    patient = Patient(session, stack, IDS)
    looks = [
        *(look_at_stack, look_at_rights, look_at_table, look_at_role, look_at_functions, look_at_mappings),
        *(look_at_executions, look_at_stream, look_at_queues, look_at_secrets),
    ]
    found = [finding for look in looks for finding in look(patient)]
    return operator.asked, [finding.found for finding in found if finding.verdict == "bad"]


def test_the_operators_policy_allows_what_commands_and_the_doctor_do(monkeypatch: pytest.MonkeyPatch) -> None:
    _, wrong = asked_by_doctor(OF_OPERATOR, monkeypatch)

    assert wrong == []


def test_the_operators_policy_allows_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, _ = asked_by_doctor(OF_OPERATOR, monkeypatch)

    allowed = {action for statement in OF_OPERATOR for action in values(statement["Action"])}
    assert allowed - asked == NOT_TRIED
