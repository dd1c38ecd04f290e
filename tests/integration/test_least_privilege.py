"""Each function with the role that the template gives it: everything works, and without any one action something fails.

AWS asks for the permission of each action of a transaction, and for the partition keys of the records that a request is
about (``dynamodb:LeadingKeys``).  What a request needs is derived here from what botocore sends, and judged by
``tests.iam`` before it gets to moto.

What else a role allows no handler can exercise: Lambda writes the logs and traces, and DynamoDB has KMS decrypt the
table's key.  Those statements are compared as they stand, in ``test_a_role_allows_this_and_nothing_else``, and those
about keys are judged too.
"""

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import botocore.handlers
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from moto import mock_aws

from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollments.examples import example_events
from enrollments.local.demo import demo, seed
from enrollments.local.stack import function_names
from local_aws.functions import FunctionDefinition, FunctionError, Functions, environment
from local_aws.rest_api import read_rest_api
from local_aws.template import REGION, Resource, load_template
from tests.fixtures import PROJECT
from tests.iam import Statement, is_allowed, values

TABLE = "enrollments-Table"
TABLES = f"arn:aws:dynamodb:{REGION}:123456789012:table/"
TABLE_ARN = f"{TABLES}{TABLE}"
KEYS_ARN = f"arn:aws:kms:{REGION}:123456789012:key/"
KEY_ARN, OTHER_KEY_ARN = f"{KEYS_ARN}1234", f"{KEYS_ARN}5678"
# What DynamoDB's developer guide ("Customer managed key policy") names for who uses a table, but for CreateGrant.
KEY_ACTIONS_TO_READ = ["kms:Decrypt"]
KEY_ACTIONS = [
    *KEY_ACTIONS_TO_READ,
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
]
LEADING_KEYS = "dynamodb:LeadingKeys"

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
PAGE_CURSOR = ["dynamodb:GetItem", "dynamodb:PutItem"]


def on_keys(actions: list[str], operator: str, key: str) -> dict[str, Any]:
    """Return the statement that allows actions on records with these partition keys."""
    return {
        "Effect": "Allow",
        "Action": actions,
        "Condition": {f"ForAllValues:{operator}": {LEADING_KEYS: [key]}, "Null": {LEADING_KEYS: "false"}},
        "Resource": [TABLE_ARN],
    }


IN_WORKSPACES = on_keys(READS_AND_WRITES, "StringLike", "WORKSPACE#*")
OF_PAGE_CURSORS = on_keys(PAGE_CURSOR, "StringEquals", "SECRET#PAGE_CURSOR")
# The first statements of each role.
ON_TABLE = {
    "Authorizer": [on_keys(["dynamodb:GetItem"], "StringLike", "TOKEN#*")],
    "EnrollmentAutomations": [IN_WORKSPACES],
    "UserIdentities": [IN_WORKSPACES, OF_PAGE_CURSORS],
    "Acs": [IN_WORKSPACES, OF_PAGE_CURSORS],
}
EACH_ACTION = [
    (name, index, action)
    for name, statements in ON_TABLE.items()
    for index, statement in enumerate(statements)
    for action in statement["Action"]
]

TOKEN_EVENT = json.loads((PROJECT / "events/authorizer_api_key.json").read_text())
EVENTS = {path: event for (path, verb), event in example_events(PROJECT).items() if verb == "POST"}
# What the events do not ask for: a launch that links nobody, a second page,
# an ACS user that is linked.
V = demo().variables
MORE_BODIES: dict[str, dict[str, Any]] = {
    "/user_identities/enrollment_automations/launch": {
        "user_identity_id": V["OTHER_USER_IDENTITY_ID"],
        "credential_manager_acs_system_id": V["OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
    },
    "/acs/systems/list": {"limit": 1},
    "/acs/users/create": {
        "full_name": "Jane Doe",
        "acs_system_id": V["ACS_SYSTEM_ID"],
        "user_identity_id": V["OTHER_USER_IDENTITY_ID"],
    },
    "/acs/users/delete": {
        "acs_system_id": V["ACS_SYSTEM_ID"],
        "user_identity_id": V["OTHER_USER_IDENTITY_ID"],
    },
}

WORKSPACE_KEY = f"WORKSPACE#{V['SEAM_WORKSPACE_ID']}#USER_IDENTITIES"


def requests_of(table: str, *pks: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every kind of request about records with these partition keys, each with its operation."""
    keys = [{"pk": {"S": pk}, "sk": {"S": f"{number}"}} for number, pk in enumerate(pks)]
    yield "batch_get_item", {"RequestItems": {table: {"Keys": keys}}}
    if len(pks) == 1:
        yield "get_item", {"TableName": table, "Key": keys[0]}
        query = {"KeyConditionExpression": "pk = :a", "ExpressionAttributeValues": {":a": keys[0]["pk"]}}
        yield "query", {"TableName": table, **query}
    for kind, more in (
        ("ConditionCheck", {"ConditionExpression": "attribute_not_exists(pk)"}),
        ("Delete", {}),
        ("Put", {}),
        ("Update", {"UpdateExpression": "REMOVE a"}),
    ):
        named = "Item" if kind == "Put" else "Key"
        actions = [{kind: {"TableName": table, named: key, **more}} for key in keys]
        yield "transact_write_items", {"TransactItems": actions}


# What no function may touch but the authorizer, which may read the first.
TOKEN_KEYS = ("TOKEN#testDemo", "TOKENS")
FOREIGN_KEYS = {
    "Authorizer": (WORKSPACE_KEY, "SECRET#PAGE_CURSOR", "TOKENS", "TOKEN", "XTOKEN#a", "token#a"),
    "EnrollmentAutomations": (*TOKEN_KEYS, "SECRET#PAGE_CURSOR", "SECRET#OTHER", "WORKSPACES", "XWORKSPACE#a"),
    "UserIdentities": (*TOKEN_KEYS, "SECRET#OTHER", "SECRET#PAGE_CURSOR#2", "WORKSPACES", "workspace#a"),
    "Acs": (*TOKEN_KEYS, "SECRET#OTHER", "SECRET#PAGE_CURSOR#2", "WORKSPACES", "workspace#a"),
}
OWN_KEY = {"Authorizer": "TOKEN#testDemo"}


@dataclass(frozen=True)
class Needed:
    """What a request needs: an action on a table, for records with these partition keys."""

    action: str
    table: str
    keys: tuple[str, ...]


def needed(operation: str, request: Mapping[str, Any]) -> Iterator[Needed]:
    """Yield what AWS asks a role for."""
    match operation:
        case "TransactWriteItems":
            actions = [(kind, parameters) for action in request["TransactItems"] for kind, parameters in action.items()]
            keys = tuple((parameters.get("Key") or parameters["Item"])["pk"]["S"] for _, parameters in actions)
            for kind, parameters in actions:
                yield Needed(f"dynamodb:{kind}Item", parameters["TableName"], keys)
        case "BatchGetItem":
            for table, asked in request["RequestItems"].items():
                keys = tuple(key["pk"]["S"] for key in asked["Keys"])
                yield Needed("dynamodb:BatchGetItem", table, keys)
        case "Query":
            (placeholder,) = re.findall(r"\bpk = (:\w+)", request["KeyConditionExpression"])
            key = request["ExpressionAttributeValues"][placeholder]["S"]
            yield Needed("dynamodb:Query", request["TableName"], (key,))
        case "GetItem":
            yield Needed("dynamodb:GetItem", request["TableName"], (request["Key"]["pk"]["S"],))
        case _:
            yield Needed(f"dynamodb:{operation}", request["TableName"], ())


@dataclass
class Guard:
    """Lets through what a role allows.

    Attributes:
        statements: The role's; ``None`` lets everything through.
        denied: What was not let through.
    """

    statements: Sequence[Statement] | None = None
    denied: list[Needed] = field(default_factory=list)

    def judge(self, model: Any, params: Mapping[str, Any], **_: object) -> tuple[AWSResponse, dict[str, Any]] | None:
        if self.statements is None:
            return None
        denied = [
            one
            for one in needed(model.name, json.loads(params["body"]))
            if not is_allowed(self.statements, one.action, TABLES + one.table, {LEADING_KEYS: one.keys})
        ]
        self.denied += denied
        if not denied:
            return None
        error = {"Code": "AccessDeniedException", "Message": "not authorized"}
        refusal = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}
        return AWSResponse("https://dynamodb", 400, HTTPHeaders(), None), refusal


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Guard:
    """Stand before every client that is made from now on."""
    guard = Guard()
    handlers = [*botocore.handlers.BUILTIN_HANDLERS, ("before-call.dynamodb", guard.judge)]
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", handlers)
    return guard


@pytest.fixture(scope="module")
def resources() -> dict[str, Resource]:
    return load_template(PROJECT / "template.yaml", {"TableKmsKeyArn": KEY_ARN})


@pytest.fixture
def aws() -> Iterator[None]:
    credentials = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    with mock_aws(), environment({"AWS_DEFAULT_REGION": REGION, **credentials}):
        yield


@pytest.fixture
def table(aws: None, resources: dict[str, Resource]) -> None:  # noqa: ARG001 - moto
    """The template's table with the demo workspaces, in which nobody has asked for a page yet."""
    table = resources["Table"]
    properties = {name: table.properties[name] for name in ("AttributeDefinitions", "BillingMode", "KeySchema")}
    client = create_client()
    client.create_table(TableName=table.reference, **properties)
    seed(Table(client, table.reference))
    client.delete_item(TableName=table.reference, Key={"pk": {"S": "SECRET#PAGE_CURSOR"}, "sk": {"S": "SECRET"}})


def statements(resources: Mapping[str, Resource], name: str) -> list[dict[str, Any]]:
    (policy,) = resources[f"{name}Role"].properties["Policies"]
    return [{**statement, "Action": values(statement["Action"])} for statement in policy["PolicyDocument"]["Statement"]]


def without(found: Iterable[Mapping[str, Any]], index: int, action: str) -> list[Statement]:
    """Return statements, one of them without one of its actions."""
    kept: list[Statement] = list(found)
    kept[index] = {**kept[index], "Action": [other for other in kept[index]["Action"] if other != action]}
    return kept


def failures(resources: Mapping[str, Resource], name: str) -> list[str]:
    """Run a function; return what it could not answer."""
    function = resources[f"{name}Function"]
    definition = FunctionDefinition.from_resource(function, PROJECT, function.properties["Layers"])
    functions = Functions([definition], [], log=io.StringIO(), terminal=io.StringIO())
    if name == "Authorizer":
        try:
            functions.invoke(definition.name, TOKEN_EVENT)
        except FunctionError:
            return ["authorize"]
        return []
    answers = [(event["path"], functions.invoke(definition.name, event)) for event in requests_for(resources, function)]
    return [path for path, answer in answers if answer["statusCode"] != HTTPStatus.OK]


def requests_for(resources: Mapping[str, Resource], function: Resource) -> list[dict[str, Any]]:
    """Return a request for each of a function's routes, at the end those that take away what others ask for."""
    api = read_rest_api(resources["Api"], resources["ApiprodStage"], function_names(resources))
    paths = sorted(
        (path for (verb, path), route in api.routes.items() if verb == "POST" and route.function == function.reference),
        key=lambda path: path.endswith(("delete", "remove_acs_user")),
    )
    more = [EVENTS[path] | {"body": json.dumps(MORE_BODIES[path])} for path in paths if path in MORE_BODIES]
    return [*more, *(EVENTS[path] for path in paths)]


@pytest.mark.parametrize("name", ON_TABLE)
def test_a_role_allows_this_and_nothing_else(resources: dict[str, Resource], name: str) -> None:
    via_dynamodb = {"kms:ViaService": "dynamodb.us-east-1.amazonaws.com"}

    assert statements(resources, name) == [
        *ON_TABLE[name],
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
            "Resource": f"{KEYS_ARN}*",
            "Condition": {
                "StringEquals": {
                    **via_dynamodb,
                    "kms:EncryptionContext:aws:dynamodb:subscriberId": "123456789012",
                    "kms:EncryptionContext:aws:dynamodb:tableName": [TABLE],
                }
            },
        },
        {
            "Effect": "Allow",
            "Action": ["kms:DescribeKey"],
            "Resource": f"{KEYS_ARN}*",
            "Condition": {"StringEquals": via_dynamodb},
        },
    ]


@pytest.mark.parametrize("name", ON_TABLE)
def test_only_lambda_has_a_role(resources: dict[str, Resource], name: str) -> None:
    (statement,) = resources[f"{name}Role"].properties["AssumeRolePolicyDocument"]["Statement"]

    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert resources[f"{name}Function"].properties["Role"] == f"arn:aws:iam::123456789012:role/enrollments-{name}Role"


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("name", ON_TABLE)
def test_everything_works_with_the_role(resources: dict[str, Resource], guard: Guard, name: str) -> None:
    guard.statements = statements(resources, name)

    assert failures(resources, name) == []
    assert guard.denied == []


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(("name", "index", "action"), EACH_ACTION)
def test_something_fails_without_any_one_action(
    resources: dict[str, Resource], guard: Guard, name: str, index: int, action: str
) -> None:
    guard.statements = without(statements(resources, name), index, action)

    assert failures(resources, name)
    assert {(denied.action, denied.table) for denied in guard.denied} == {(action, TABLE)}


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("name", ON_TABLE)
def test_another_table_is_out_of_reach(resources: dict[str, Resource], guard: Guard, name: str) -> None:
    guard.statements = statements(resources, name)
    client = create_client()

    for operation, parameters in requests_of("other", OWN_KEY.get(name, WORKSPACE_KEY)):
        with pytest.raises(ClientError, match="not authorized"):
            getattr(client, operation)(**parameters)

    assert {denied.action for denied in guard.denied} == set(READS_AND_WRITES)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in FOREIGN_KEYS.items() for key in keys])
def test_a_record_that_is_none_of_the_functions_is_out_of_reach(
    resources: dict[str, Resource], guard: Guard, name: str, key: str
) -> None:
    guard.statements = statements(resources, name)
    client = create_client()

    for operation, parameters in requests_of(TABLE, key):
        with pytest.raises(ClientError, match="not authorized"):
            getattr(client, operation)(**parameters)

    assert {denied.action for denied in guard.denied} == set(READS_AND_WRITES)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in FOREIGN_KEYS.items() for key in keys])
def test_a_foreign_record_among_its_own_is_out_of_reach(
    resources: dict[str, Resource], guard: Guard, name: str, key: str
) -> None:
    guard.statements = statements(resources, name)
    client = create_client()

    for operation, parameters in requests_of(TABLE, OWN_KEY.get(name, WORKSPACE_KEY), key):
        with pytest.raises(ClientError, match="not authorized"):
            getattr(client, operation)(**parameters)


@pytest.mark.parametrize("name", ["UserIdentities", "Acs"])
@pytest.mark.parametrize("action", sorted(set(READS_AND_WRITES) - set(PAGE_CURSOR)))
def test_the_secret_of_page_cursors_is_only_read_and_made(
    resources: dict[str, Resource], name: str, action: str
) -> None:
    found = statements(resources, name)

    assert not is_allowed(found, action, TABLE_ARN, {LEADING_KEYS: ["SECRET#PAGE_CURSOR"]})


@pytest.mark.parametrize(("name", "index", "action"), EACH_ACTION)
def test_a_request_without_keys_is_denied(
    resources: dict[str, Resource],
    name: str,
    index: int,  # noqa: ARG001
    action: str,
) -> None:
    assert not is_allowed(statements(resources, name), action, TABLE_ARN, {})


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("name", ON_TABLE)
def test_the_table_can_be_neither_scanned_nor_deleted(resources: dict[str, Resource], guard: Guard, name: str) -> None:
    guard.statements = statements(resources, name)
    client = create_client()

    for operation in (client.scan, client.delete_table):
        with pytest.raises(ClientError, match="not authorized"):
            operation(TableName=TABLE)

    assert [denied.action for denied in guard.denied] == ["dynamodb:Scan", "dynamodb:DeleteTable"]


# ------------------------------------------------------------------------------------------------------ The table's key


def of_dynamodb(
    table: str = TABLE, *, account: str = "123456789012", service: str = "dynamodb"
) -> dict[str, Sequence[str]]:
    """Return the context of a request that DynamoDB makes to KMS on a function's behalf."""
    return {
        "kms:ViaService": [f"{service}.us-east-1.amazonaws.com"],
        "kms:EncryptionContext:aws:dynamodb:subscriberId": [account],
        "kms:EncryptionContext:aws:dynamodb:tableName": [table],
    }


@pytest.mark.parametrize("name", ON_TABLE)
@pytest.mark.parametrize(
    ("before", "after"), [("", KEY_ARN), (KEY_ARN, OTHER_KEY_ARN), (KEY_ARN, "")], ids=["first", "another", "none"]
)
def test_whatever_comes_first_a_change_of_the_key_locks_no_function_out(name: str, before: str, after: str) -> None:
    """CloudFormation changes the table and the roles one after the other, and DynamoDB takes its time."""
    for parameters in ({"TableKmsKeyArn": before}, {"TableKmsKeyArn": after}):
        found = statements(load_template(PROJECT / "template.yaml", parameters), name)

        for key in {before, after} - {""}:
            assert is_allowed(found, "kms:Decrypt", key, of_dynamodb())


@pytest.mark.parametrize("name", ON_TABLE)
@pytest.mark.parametrize("table", [TABLE, "restored"])
def test_the_keys_of_both_tables_can_be_used_while_one_is_replaced(name: str, table: str) -> None:
    found = statements(load_template(PROJECT / "template.yaml", {"RestoredTableName": "restored"}), name)

    assert is_allowed(found, "kms:Decrypt", KEY_ARN, of_dynamodb(table))


@pytest.mark.parametrize("name", ON_TABLE)
@pytest.mark.parametrize(
    "context",
    [
        {},
        of_dynamodb("another-table"),
        of_dynamodb(service="s3"),
        of_dynamodb(account="210987654321"),
        {"kms:ViaService": ["dynamodb.us-east-1.amazonaws.com"]},
    ],
    ids=["itself", "another table", "another service", "another account", "without a context"],
)
@pytest.mark.parametrize("action", KEY_ACTIONS)
def test_a_key_is_used_by_dynamodb_for_the_table_and_for_nothing_else(
    resources: dict[str, Resource], name: str, context: dict[str, Sequence[str]], action: str
) -> None:
    assert not is_allowed(statements(resources, name), action, KEY_ARN, context)


@pytest.mark.parametrize("name", ON_TABLE)
def test_a_key_of_another_account_cannot_be_used(resources: dict[str, Resource], name: str) -> None:
    key = KEY_ARN.replace("123456789012", "210987654321")

    assert not is_allowed(statements(resources, name), "kms:Decrypt", key, of_dynamodb())


@pytest.mark.parametrize("name", ON_TABLE)
def test_no_key_is_managed(resources: dict[str, Resource], name: str) -> None:
    for action in ("kms:CreateGrant", "kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"):
        assert not is_allowed(statements(resources, name), action, KEY_ARN, of_dynamodb())
