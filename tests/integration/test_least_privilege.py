"""Each function with the role that the template gives it: everything works, and without any one action something fails.

moto keeps roles and evaluates their policies, but asks for a request under its own name, for the resource ``*``.  AWS
asks for the table, and for each action of a transaction: TransactWriteItems is no permission ("Using IAM with DynamoDB
transactions").  So what a request needs is derived here, and moto's evaluation of the role's policy decides about that.

What else a role allows no handler can exercise: Lambda writes the logs and traces, and DynamoDB has KMS decrypt the
table's key.  Those statements are compared as they stand, in ``test_a_role_allows_this_and_nothing_else``.
"""

import io
import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, override

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.authorization import enable_iam_authentication
from moto.dynamodb.responses import DynamoHandler
from moto.iam.access_control import IAMRequest

from enrollment.table import Table, create_client
from enrollments.local.demo import demo, seed
from enrollments.local.functions import FunctionDefinition, FunctionError, Functions, environment
from enrollments.local.template import REGION, Resource, load_template
from tests.conftest import PROJECT

type Statement = dict[str, Any]

TABLE_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/enrollments-Table"
KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/of-the-table"
# What DynamoDB's developer guide ("Customer managed key policy") names for who uses a table, but for CreateGrant.
KEY_ACTIONS_TO_READ = ["kms:Decrypt", "kms:DescribeKey"]
KEY_ACTIONS = [
    *KEY_ACTIONS_TO_READ,
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
]

# These are all that the class Table asks for, so no branch of a function can need another.
READS_AND_WRITES = [
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
]
ACTIONS = {
    "Authorizer": ["dynamodb:GetItem"],
    "EnrollmentAutomations": READS_AND_WRITES,
    "UserIdentities": READS_AND_WRITES,
    "Acs": READS_AND_WRITES,
}
EACH_ACTION = [(name, action) for name, actions in ACTIONS.items() for action in actions]

V = demo().variables
OWN: dict[str, Any] = {"user_identity_id": V["USER_IDENTITY_ID"]}
SYSTEM: dict[str, Any] = {"acs_system_id": V["ACS_SYSTEM_ID"]}
LAUNCH: dict[str, Any] = {**OWN, "credential_manager_acs_system_id": V["OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]}
AUTOMATION = {"enrollment_automation_id": V["ENROLLMENT_AUTOMATION_ID"]}
OTHER: dict[str, Any] = {"user_identity_id": V["OTHER_USER_IDENTITY_ID"]}
ACS_USER = {"acs_user_id": V["CREDENTIAL_MANAGER_ACS_USER_ID"]}
# Every route once at least.
REQUESTS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "EnrollmentAutomations": [
        ("/user_identities/enrollment_automations/launch", LAUNCH | {"user_identity_id": V["OTHER_USER_IDENTITY_ID"]}),
        ("/user_identities/enrollment_automations/launch", LAUNCH | {"create_credential_manager_user": True}),
        ("/user_identities/enrollment_automations/get", AUTOMATION),
        ("/user_identities/enrollment_automations/list", OWN),
        ("/user_identities/enrollment_automations/delete", AUTOMATION),
    ],
    "UserIdentities": [
        ("/user_identities/create", {"email_address": "joan@example.com", "acs_system_ids": [V["ACS_SYSTEM_ID"]]}),
        ("/user_identities/get", OWN),
        ("/user_identities/list", {"limit": 1}),
        ("/user_identities/update", OWN | {"full_name": "Jane Bow"}),
        ("/user_identities/add_acs_user", OWN | ACS_USER),
        ("/user_identities/list_acs_users", OWN),
        ("/user_identities/list_acs_systems", OWN),
        ("/user_identities/remove_acs_user", OWN | ACS_USER),
        ("/user_identities/delete", {"user_identity_id": V["ENROLLED_USER_IDENTITY_ID"]}),
    ],
    "Acs": [
        ("/acs/systems/get", SYSTEM),
        ("/acs/systems/list", {"limit": 1}),
        ("/acs/systems/list_compatible_credential_manager_acs_systems", SYSTEM),
        ("/acs/credential_pools/list", {"acs_system_id": V["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]}),
        ("/acs/users/create", OTHER | SYSTEM | {"full_name": "Jane Doe", "email_address": "jane@example.com"}),
        ("/acs/users/get", ACS_USER),
        ("/acs/users/list", {}),
        ("/acs/users/delete", OTHER | SYSTEM),
    ],
}

KEY = {"pk": {"S": "pk"}, "sk": {"S": "sk"}}
ACTIONS_OF_TRANSACTIONS: dict[str, dict[str, Any]] = {
    "ConditionCheck": {"Key": KEY, "ConditionExpression": "attribute_not_exists(pk)"},
    "Delete": {"Key": KEY},
    "Put": {"Item": KEY},
    "Update": {"Key": KEY, "UpdateExpression": "REMOVE a"},
}
# What a function could ask of another table.
ELSEWHERE: list[tuple[str, dict[str, Any]]] = [
    ("batch_get_item", {"RequestItems": {"other": {"Keys": [KEY]}}}),
    ("get_item", {"TableName": "other", "Key": KEY}),
    (
        "query",
        {"TableName": "other", "KeyConditionExpression": "pk = :a", "ExpressionAttributeValues": {":a": KEY["pk"]}},
    ),
    *(
        ("transact_write_items", {"TransactItems": [{kind: {"TableName": "other", **parameters}}]})
        for kind, parameters in ACTIONS_OF_TRANSACTIONS.items()
    ),
]


def needed(operation: str, request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what AWS asks a role for: actions, each with the name of a table."""
    match operation:
        case "TransactWriteItems":
            for action in request["TransactItems"]:
                ((kind, parameters),) = action.items()
                yield f"dynamodb:{kind}Item", parameters["TableName"]
        case "BatchGetItem":
            for table_name in request["RequestItems"]:
                yield "dynamodb:BatchGetItem", table_name
        case _:
            yield f"dynamodb:{operation}", request["TableName"]


@pytest.fixture
def denied(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Have moto ask for what AWS asks for; return a list that grows by what is denied."""
    found: list[tuple[str, str]] = []

    class AwsRequest(IAMRequest):
        @override
        def check_action_permitted(self, resource: str) -> None:
            operation = self._action.removeprefix("dynamodb:")
            for action, table_name in needed(operation, json.loads(self._body)):
                self._action = action
                try:
                    super().check_action_permitted(f"arn:aws:dynamodb:{REGION}:123456789012:table/{table_name}")
                except Exception:
                    found.append((action, table_name))
                    raise

    def authorize(handler: Any, _: str) -> None:
        handler._authenticate_and_authorize_action(AwsRequest)

    monkeypatch.setattr(DynamoHandler, "_authenticate_and_authorize_normal_action", authorize)
    return found


@pytest.fixture(scope="module")
def resources() -> dict[str, Resource]:
    return load_template(PROJECT / "template.yaml", {"TableKmsKeyArn": KEY_ARN})


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws(), environment({"AWS_DEFAULT_REGION": REGION}):
        yield


@pytest.fixture
def table(aws: None, resources: dict[str, Resource]) -> None:  # noqa: ARG001 - moto
    """The template's table with the demo workspaces."""
    table = resources["Table"]
    properties = {name: table.properties[name] for name in ("AttributeDefinitions", "BillingMode", "KeySchema")}
    client = create_client()
    client.create_table(TableName=table.reference, **properties)
    seed(Table(client, table.reference))


def statements(resources: Mapping[str, Resource], name: str) -> list[Statement]:
    (policy,) = resources[f"{name}Role"].properties["Policies"]
    return [{**statement, "Action": texts(statement["Action"])} for statement in policy["PolicyDocument"]["Statement"]]


def texts(one_or_several: str | list[str]) -> list[str]:
    return [one_or_several] if isinstance(one_or_several, str) else one_or_several


def assume(resources: Mapping[str, Resource], name: str, *, without: str | None = None) -> dict[str, str]:
    """Make a function's role, perhaps without one of its actions, and return variables with credentials of it."""
    role = resources[f"{name}Role"]
    kept = [
        {**statement, "Action": actions}
        for statement in statements(resources, name)
        if (actions := [action for action in statement["Action"] if action != without])
    ]
    iam, sts = boto3.client("iam"), boto3.client("sts")
    trust = json.dumps(role.properties["AssumeRolePolicyDocument"])
    made = iam.create_role(RoleName=role.reference, AssumeRolePolicyDocument=trust)["Role"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": kept})
    iam.put_role_policy(RoleName=role.reference, PolicyName="policy", PolicyDocument=policy)
    credentials = sts.assume_role(RoleArn=made["Arn"], RoleSessionName="function")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }


def failures(resources: Mapping[str, Resource], name: str, *, without: str | None = None) -> list[str]:
    """Run a function with its role, perhaps without one of its actions; return what it could not answer."""
    function = resources[f"{name}Function"]
    definition = FunctionDefinition.from_resource(function, PROJECT, function.properties["Layers"])
    functions = Functions([definition], [], log=io.StringIO(), terminal=io.StringIO())
    with environment(assume(resources, name, without=without)), enable_iam_authentication():
        if name == "Authorizer":
            try:
                functions.invoke(definition.name, event("authorizer_api_key"))
            except FunctionError:
                return ["authorize"]
            return []
        answers = [(path, functions.invoke(definition.name, request(path, body))) for path, body in REQUESTS[name]]
    return [path for path, answer in answers if answer["statusCode"] != HTTPStatus.OK]


def event(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((PROJECT / "events" / f"{name}.json").read_text())
    return content


def request(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    return event("launch") | {"resource": path, "path": path, "body": json.dumps(body)}


def test_every_route_is_tried(resources: dict[str, Resource]) -> None:
    paths = {path for requests in REQUESTS.values() for path, _ in requests}

    # What is no route has preflights only, which read and write nothing.
    assert paths == resources["Api"].properties["Body"]["paths"].keys() - {"/{proxy+}"}


@pytest.mark.parametrize("name", ACTIONS)
def test_a_role_allows_this_and_nothing_else(resources: dict[str, Resource], name: str) -> None:
    assert statements(resources, name) == [
        {"Effect": "Allow", "Action": ACTIONS[name], "Resource": [TABLE_ARN]},
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"arn:aws:logs:us-east-1:123456789012:log-group:enrollments-{name}LogGroup:*",
        },
        {
            "Effect": "Allow",
            "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Action": KEY_ACTIONS_TO_READ if name == "Authorizer" else KEY_ACTIONS,
            "Resource": KEY_ARN,
            "Condition": {"StringEquals": {"kms:ViaService": "dynamodb.us-east-1.amazonaws.com"}},
        },
    ]


@pytest.mark.parametrize("name", ACTIONS)
def test_only_lambda_has_a_role(resources: dict[str, Resource], name: str) -> None:
    (statement,) = resources[f"{name}Role"].properties["AssumeRolePolicyDocument"]["Statement"]

    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert resources[f"{name}Function"].properties["Role"] == f"arn:aws:iam::123456789012:role/enrollments-{name}Role"


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("name", ACTIONS)
def test_everything_works_with_the_role(
    resources: dict[str, Resource], denied: list[tuple[str, str]], name: str
) -> None:
    assert failures(resources, name) == []
    assert denied == []


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(("name", "action"), EACH_ACTION)
def test_something_fails_without_any_one_action(
    resources: dict[str, Resource], denied: list[tuple[str, str]], name: str, action: str
) -> None:
    assert failures(resources, name, without=action)
    assert set(denied) == {(action, "enrollments-Table")}


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("name", ACTIONS)
def test_another_table_is_out_of_reach(
    resources: dict[str, Resource], denied: list[tuple[str, str]], name: str
) -> None:
    with environment(assume(resources, name)), enable_iam_authentication():
        client = create_client()
        for operation, parameters in ELSEWHERE:
            with pytest.raises(ClientError, match="not authorized"):
                getattr(client, operation)(**parameters)

    assert denied == [
        (action, "other")
        for action in (
            "dynamodb:BatchGetItem",
            "dynamodb:GetItem",
            "dynamodb:Query",
            "dynamodb:ConditionCheckItem",
            "dynamodb:DeleteItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
        )
    ]


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("name", ACTIONS)
def test_the_table_can_be_neither_scanned_nor_deleted(
    resources: dict[str, Resource], denied: list[tuple[str, str]], name: str
) -> None:
    with environment(assume(resources, name)), enable_iam_authentication():
        client = create_client()
        for operation in (client.scan, client.delete_table):
            with pytest.raises(ClientError, match="not authorized"):
                operation(TableName="enrollments-Table")

    assert denied == [("dynamodb:Scan", "enrollments-Table"), ("dynamodb:DeleteTable", "enrollments-Table")]
