"""Each function with the role that the template gives it: everything works, and without any one action something fails.

AWS asks for the permission of each action of a transaction, and for the partition keys of the records that a request is
about (``dynamodb:LeadingKeys``).  What a request needs is derived here from what botocore sends, and judged by
``tests.iam`` before it gets to moto.  Services other than DynamoDB are not in moto: what is allowed succeeds.

What else a role allows no handler can exercise: Lambda writes the logs and traces, reads streams and queues, and keeps
the place of durable functions, and DynamoDB has KMS decrypt the table's key.  Those statements are compared as they
stand, in ``test_a_role_allows_this_and_nothing_else``, and those about keys are judged too.
"""

import inspect
import io
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import unquote

import botocore.handlers
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from moto import mock_aws

from enrollment.errors import EnrollmentError
from enrollment.managers.simulated import SimulatedManager
from enrollment.outbound.failures import RefusedError
from enrollment.resources.automations import EnrollmentAutomation, LaunchRequest
from enrollment.store.attributes import Item, Value, marshal
from enrollment.store.client import create_client
from enrollment.store.items import (
    stored_acs_credential,
    stored_automation,
    stored_client_session,
    stored_event,
    stored_phone,
)
from enrollment.store.keys import (
    Key,
    acs_user_key,
    held_delivery_key,
    manager_pause_key,
    phone_key,
    registration_key,
    webhook_key,
)
from enrollment.store.table import Table
from enrollment.use_cases.automations import automation_item
from enrollment.use_cases.connector_items import ConnectorId
from enrollment.use_cases.enrollments import EnrollmentId, registration_id_of
from enrollments.examples import example_events
from enrollments.local.demo import demo, seed
from enrollments.local.stack import function_names
from local_aws.functions import FunctionDefinition, FunctionError, Functions, environment
from local_aws.rest_api import read_rest_api
from local_aws.template import REGION, Resource, load_template
from tests.fixtures import PROJECT, Store, put_all
from tests.iam import Statement, is_allowed, values

pytestmark = pytest.mark.long

TABLE = "enrollments-Table"
TABLES = f"arn:aws:dynamodb:{REGION}:123456789012:table/"
TABLE_ARN = f"{TABLES}{TABLE}"
KEYS_ARN = f"arn:aws:kms:{REGION}:123456789012:key/"
KEY_ARN, OTHER_KEY_ARN = f"{KEYS_ARN}1234", f"{KEYS_ARN}5678"
# What DynamoDB's developer guide ("Customer managed key policy") names for who uses a table, but for CreateGrant.
KEY_ACTIONS = [
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
]
LEADING_KEYS, ATTRIBUTES = "dynamodb:LeadingKeys", "dynamodb:Attributes"

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
WRITES = [
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
]
PAGE_CURSOR = ["dynamodb:GetItem", "dynamodb:PutItem"]


def on_keys(actions: list[str], operator: str, *keys: str) -> dict[str, Any]:
    """Return the statement that allows actions on records with these partition keys."""
    return {
        "Effect": "Allow",
        "Action": actions,
        "Condition": {f"ForAllValues:{operator}": {LEADING_KEYS: [*keys]}, "Null": {LEADING_KEYS: "false"}},
        "Resource": [TABLE_ARN],
    }


def on_others(actions: list[str], *resources: str) -> dict[str, Any]:
    """Return the statement that allows actions on these resources."""
    return {"Effect": "Allow", "Action": actions, "Resource": resources[0] if len(resources) == 1 else [*resources]}


def noting(*attributes: str) -> dict[str, Any]:
    """Return the statement that allows changes of these attributes of tokens, besides their keys."""
    return {
        "Effect": "Allow",
        "Action": ["dynamodb:UpdateItem"],
        "Condition": {
            "ForAllValues:StringLike": {LEADING_KEYS: ["TOKEN#*"]},
            "ForAllValues:StringEquals": {ATTRIBUTES: ["pk", "sk", *attributes]},
            "Null": {LEADING_KEYS: "false", ATTRIBUTES: "false"},
        },
        "Resource": [TABLE_ARN],
    }


IN_WORKSPACES = on_keys(READS_AND_WRITES, "StringLike", "WORKSPACE#*")
OF_PAGE_CURSORS = on_keys(PAGE_CURSOR, "StringEquals", "SECRET#PAGE_CURSOR")
SECRET_ARN = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:enrollments-webhooks"
QUEUES = f"arn:aws:sqs:{REGION}:123456789012:enrollments-"
REDELIVERIES = f"arn:aws:lambda:{REGION}:123456789012:function:enrollments-redeliveries"
PROVISIONING = f"arn:aws:lambda:{REGION}:123456789012:function:enrollments-provisioning"
BUS_ARN = f"arn:aws:events:{REGION}:123456789012:event-bus/enrollments-events"
OF_CLIENT_SESSIONS = "WORKSPACE#*#CLIENT_SESSION*"
OF_WEBHOOKS, OF_EVENTS = "WORKSPACE#*#WEBHOOK*", "WORKSPACE#*#EVENT*"
SECRET = on_others(["secretsmanager:GetSecretValue"], SECRET_ARN)
STARTS_REDELIVERIES = on_others(["lambda:InvokeFunction"], f"{REDELIVERIES}:live")
KEEPS_ITS_PLACE = ["lambda:CheckpointDurableExecution", "lambda:GetDurableExecutionState"]
CHANGES = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"]
# The first statements of each role.
OWN = {
    "Authorizer": [
        on_keys(["dynamodb:GetItem"], "StringLike", "TOKEN#*"),
        noting("last_used_at", "former_secret_last_used_at"),
    ],
    "EnrollmentAutomations": [IN_WORKSPACES],
    "UserIdentities": [
        on_keys(["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"], "StringLike", "WORKSPACE#*"),
        on_keys(WRITES, "StringLike", "WORKSPACE#*", "TOKEN#cst1*"),
        OF_PAGE_CURSORS,
    ],
    "Acs": [IN_WORKSPACES, OF_PAGE_CURSORS],
    "Phones": [
        on_keys(["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"], "StringLike", "WORKSPACE#*"),
        on_keys(WRITES, "StringLike", "WORKSPACE#*#PHONE*", "WORKSPACE#*#USER_IDENTITY#*"),
        OF_PAGE_CURSORS,
    ],
    "EventsApi": [
        on_keys(["dynamodb:GetItem", "dynamodb:Query"], "StringLike", OF_EVENTS),
        on_keys(CHANGES, "StringLike", OF_WEBHOOKS),
        SECRET,
        OF_PAGE_CURSORS,
    ],
    "ClientSessions": [
        on_keys(
            [action for action in READS_AND_WRITES if action != "dynamodb:Query"],
            "StringLike",
            OF_CLIENT_SESSIONS,
            "WORKSPACE#*#USER_IDENTITY#*",
            "TOKEN#cst1*",
        ),
        on_keys(["dynamodb:Query"], "StringLike", OF_CLIENT_SESSIONS),
        on_keys(["dynamodb:BatchGetItem", "dynamodb:GetItem"], "StringLike", "WORKSPACE#*#WORKSPACE"),
        on_others(["secretsmanager:GetSecretValue"], SECRET_ARN.replace("webhooks", "client-sessions")),
        OF_PAGE_CURSORS,
    ],
    "Events": [
        on_keys(["dynamodb:PutItem"], "StringLike", OF_EVENTS),
        on_keys(["dynamodb:BatchGetItem"], "StringLike", "WORKSPACE#*#ACS_SYSTEM#*", "DELETED_WORKSPACE#*"),
        on_keys(["dynamodb:Query"], "StringLike", "WORKSPACE#*#WEBHOOKS", "WORKSPACE#*#USER_IDENTITY#*"),
        on_keys(
            ["dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:UpdateItem"],
            "StringLike",
            "WORKSPACE#*#USER_IDENTITY#*",
        ),
        on_others(["lambda:InvokeFunction"], f"{PROVISIONING}:live"),
        {
            **on_others(["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]),
            "Resource": [f"{TABLE_ARN}/stream/local"],
        },
        on_others(["dynamodb:ListStreams"], "*"),
        on_others(["sqs:SendMessage"], f"{QUEUES}DeliveriesQueue", f"{QUEUES}EventsFailuresQueue"),
        on_others(["events:PutEvents"], BUS_ARN),
    ],
    "Deliveries": [
        on_keys(
            ["dynamodb:ConditionCheckItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
            "StringLike",
            OF_WEBHOOKS,
        ),
        SECRET,
        on_others(["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], f"{QUEUES}DeliveriesQueue"),
        STARTS_REDELIVERIES,
    ],
    "Redeliveries": [
        on_keys(["dynamodb:ConditionCheckItem", *CHANGES], "StringLike", OF_WEBHOOKS),
        SECRET,
        on_others(["sqs:SendMessage"], f"{QUEUES}DeliveriesQueue"),
        STARTS_REDELIVERIES,
        on_others(KEEPS_ITS_PLACE, f"{REDELIVERIES}:*"),
    ],
    "Provisioning": [
        on_keys(["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"], "StringLike", "WORKSPACE#*"),
        on_keys(
            WRITES,
            "StringLike",
            "WORKSPACE#*#USER_IDENTITY#*",
            "WORKSPACE#*#ACS_CREDENTIAL#*",
            "WORKSPACE#*#ACS_CREDENTIALS",
            "WORKSPACE#*#ACS_SYSTEM#*#ACS_CREDENTIALS",
            "WORKSPACE#*#ACS_SYSTEM#*#CONNECTOR",
            "WORKSPACE#*#ACS_SYSTEM#*#PAUSE",
            "WORKSPACE#*#ACS_SYSTEM#*#SIMULATED#*",
            "WORKSPACE#*#ACS_USER#*",
        ),
        on_others(["secretsmanager:GetSecretValue"], SECRET_ARN.replace("webhooks", "connectors")),
        on_others(KEEPS_ITS_PLACE, f"{PROVISIONING}:*"),
    ],
}
# What Lambda does with a function's role.
OF_LAMBDA = {
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
    "lambda:CheckpointDurableExecution",
    "lambda:GetDurableExecutionState",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
}
EACH_ACTION = [
    (name, index, action)
    for name, statements in OWN.items()
    for index, statement in enumerate(statements)
    for action in statement["Action"]
    if action not in OF_LAMBDA
]

TOKEN_EVENT = json.loads((PROJECT / "events/authorizer_api_key.json").read_text())
EVENTS = {path: event for (path, verb), event in example_events(PROJECT).items() if verb == "POST"}
# What the events do not ask for: a launch that links nobody, a second page,
# an ACS user that is linked, an installation that has registered before.
V = demo().variables
MORE_BODIES: dict[str, dict[str, Any]] = {
    "/user_identities/enrollment_automations/launch": {
        "user_identity_id": V["OTHER_USER_IDENTITY_ID"],
        "credential_manager_acs_system_id": V["OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
    },
    "/acs/systems/list": {"limit": 1},
    "/client_sessions/list": {"limit": 1},
    "/events/list": {"since": "2020-01-01T00:00:00Z", "limit": 1},
    "/phones/list": {"limit": 1},
    "/seam/mobile_sdk/v1/phone_sessions/get_or_create": {"custom_sdk_installation_id": "demo-app", "phone_os": "ios"},
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

WORKSPACE = V["SEAM_WORKSPACE_ID"]
WORKSPACE_KEY = f"WORKSPACE#{WORKSPACE}#USER_IDENTITIES"
WEBHOOKS_KEY = webhook_key(WORKSPACE, "").pk

# Webhooks of a receiver that is down: one with an event that is still held, and one whose breaker is open.
DOWN, BREAKER_OPEN = "de300000-0000-4000-8000-000000000082", "de300000-0000-4000-8000-000000000083"
FAILING: Item = {
    "workspace_id": WORKSPACE,
    "url": "http://127.0.0.1:1/",
    "event_types": frozenset({"*"}),
    "secret_version": "1",
    "created_at": "2026-01-09T05:45:33.068Z",
}
EVENT = {
    "event_id": V["EVENT_ID"],
    "event_type": "enrollment_automation.launched",
    "created_at": "2026-01-09T05:45:33.068Z",
}
ANOTHER_SESSION: Item = {
    "client_session_id": DOWN,
    "workspace_id": WORKSPACE,
    "token_id": "cst1Another1",
    "secret_version": "1",
    "user_identity_ids": V["OTHER_USER_IDENTITY_ID"],
    "created_at": EVENT["created_at"],
    "expires_at": "2100-01-01T00:00:00.000Z",
}
PHONE: Item = {
    "device_id": DOWN,
    "workspace_id": WORKSPACE,
    "user_identity_id": V["ENROLLED_USER_IDENTITY_ID"],
    "device_type": "ios_phone",
    "created_at": EVENT["created_at"],
}
MESSAGES = [{"workspace_id": WORKSPACE, "webhook_id": one, "event": EVENT} for one in (DOWN, BREAKER_OPEN)]
REDELIVERED: list[Mapping[str, Any]] = [
    *({"message": message} for message in MESSAGES),
    {"breaker": {"workspace_id": WORKSPACE, "webhook_id": DOWN}},
]


# What an enrollment of the demo is about: a person who has a phone, a credential, and two automations.
ENROLLED: dict[str, Value] = {
    "workspace_id": WORKSPACE,
    "user_identity_id": V["ENROLLED_USER_IDENTITY_ID"],
    "credential_manager_acs_system_id": V["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
}
ENROLLMENT = EnrollmentId.from_json(ENROLLED)
# What is left of a person who was deleted.
LEFT_ENROLLMENT = ENROLLMENT._replace(user_identity_id=DOWN)
CONNECTOR = ConnectorId(WORKSPACE, V["OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID"])


# The demo is a sandbox, whose enrollments need no connector.  A watch does not ask for that.
WATCHED: dict[str, Value] = {**CONNECTOR.to_json(), "revision": 1}


@pytest.fixture(scope="module")
def connector() -> Iterator[dict[Key, Item]]:
    """A connector that answers to everything with an empty object, which is right for ``manager.check``."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        item: Item = {
            "workspace_id": WORKSPACE,
            "acs_system_id": CONNECTOR.manager_id,
            "url": f"http://127.0.0.1:{server.server_port}/",
            "set_at": EVENT["created_at"],
            "secret_version": EVENT["created_at"],
            "revision": 1,
        }
        yield {CONNECTOR.key: item}
        server.shutdown()


def enrollment_items() -> dict[Key, Item]:
    """Return a phone that is to be taken from its manager, a pause that is over, and an enrollment without an item."""
    gone_phone, child_id = "de300000-0000-4000-8000-000000000093", "de300000-0000-4000-8000-0000000000a3"
    registration: Item = {
        **ENROLLED,
        "device_id": gone_phone,
        "phone_registration_id": registration_id_of(gone_phone, ENROLLMENT.manager_id),
        "created_at": EVENT["created_at"],
        "attempt": 1,
        "phone": '{"model": null}',
        "state": "active",
        "asked_at": EVENT["created_at"],
        "acs_credential_ids": frozenset({child_id}),
    }
    child: Item = {
        **ENROLLED,
        "acs_credential_id": child_id,
        "device_id": gone_phone,
        "acs_credential_pool_id": V["ACS_CREDENTIAL_POOL_ID"],
        "acs_user_id": V["ENROLLED_ACS_USER_ID"],
        "acs_system_id": ENROLLMENT.manager_id,
        "created_at": EVENT["created_at"],
        "version": 1,
        "starts_at": EVENT["created_at"],
        "state": "active",
        "being_deleted_at": EVENT["created_at"],
    }
    pause: Item = {
        "paused_at": EVENT["created_at"],
        "paused_until": EVENT["created_at"],
        "reason": "disconnected",
        "times": 1,
    }
    launched = LaunchRequest(
        user_identity_id=ENROLLMENT.user_identity_id,
        credential_manager_acs_system_id=V["OTHER_CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
    )
    automation = EnrollmentAutomation(
        **launched.model_dump(include={"user_identity_id", "credential_manager_acs_system_id"}),
        enrollment_automation_id=DOWN,
        acs_credential_provisioning_automation_id=DOWN,
        is_running=True,
        workspace_id=WORKSPACE,
        created_at=EVENT["created_at"],
    )
    return {
        registration_key(*ENROLLMENT[:2], gone_phone, ENROLLMENT.manager_id): registration,
        manager_pause_key(WORKSPACE, ENROLLMENT.manager_id): pause,
        LEFT_ENROLLMENT.key: {**LEFT_ENROLLMENT.to_json(), "revision": 1},
        **stored_acs_credential(child),
        **stored_automation(automation_item(automation, launched)),
    }


def more_items() -> dict[Key, Item]:
    """Return these webhooks, and a second event, client session and phone, so that their lists have a second page."""
    event: Item = {**EVENT, "event_id": DOWN, "workspace_id": WORKSPACE, "sequence": "1" * 40}
    held: Item = {"event": json.dumps(EVENT), "deleted_after": 4102444800}
    return {
        webhook_key(WORKSPACE, DOWN): {**FAILING, "webhook_id": DOWN},
        webhook_key(WORKSPACE, BREAKER_OPEN): {
            **FAILING,
            "webhook_id": BREAKER_OPEN,
            "breaker_opened_at": EVENT["created_at"],
        },
        held_delivery_key(WORKSPACE, DOWN, EVENT["created_at"], EVENT["event_id"]): held,
        **stored_client_session(ANOTHER_SESSION),
        **stored_phone(PHONE),
        **enrollment_items(),
        **stored_event({**event, "occurred_at": EVENT["created_at"], "deleted_after": 4102444800}),
    }


def batch(file: str) -> dict[str, Any]:
    """Return the event of a batch, from its file."""
    found: dict[str, Any] = json.loads((PROJECT / f"events/{file}.json").read_text())
    return found


def stream_batch() -> dict[str, Any]:
    """Return a batch with a launch, and new things.

    The system of a new ACS user is looked up.  A new phone raises the revisions of its person's enrollments, of which
    one has no item yet.  Two enrollments have another revision; of one, the person was deleted.
    """
    batched = batch("stream")
    user: Item = {
        "acs_user_id": V["ACS_USER_ID"],
        "acs_system_id": V["ACS_SYSTEM_ID"],
        "workspace_id": WORKSPACE,
        "created_at": EVENT["created_at"],
    }
    new: dict[Key, Item] = {
        acs_user_key(WORKSPACE, V["ACS_USER_ID"]): user,
        phone_key(*ENROLLMENT[:2], DOWN): PHONE,
        ENROLLMENT.key: {**ENROLLED, "revision": 1},
        LEFT_ENROLLMENT.key: {**LEFT_ENROLLMENT.to_json(), "revision": 1},
    }
    (record,) = batched["Records"]
    for number, (key, item) in enumerate(new.items()):
        image = marshal({**key._asdict(), **item})
        told = {**record["dynamodb"], "Keys": marshal(key._asdict()), "NewImage": image}
        batched["Records"].append({**record, "eventID": f"another {number}", "dynamodb": told})
    return batched


def queue_batch() -> dict[str, Any]:
    """Return a batch with a message for each of the webhooks."""
    (record,) = batch("queue")["Records"]
    return {"Records": [{**record, "body": json.dumps(message)} for message in MESSAGES]}


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
    "Phones": (*TOKEN_KEYS, "SECRET#OTHER", "SECRET#PAGE_CURSOR#2", "WORKSPACES", "workspace#a"),
    "EventsApi": (*TOKEN_KEYS, WORKSPACE_KEY, "SECRET#OTHER", "WORKSPACES"),
    "ClientSessions": (*TOKEN_KEYS, WORKSPACE_KEY, "TOKEN#at1testDemo", "SECRET#OTHER", "WORKSPACES"),
    "Events": (*TOKEN_KEYS, WORKSPACE_KEY, "SECRET#PAGE_CURSOR"),
    "Deliveries": (*TOKEN_KEYS, WORKSPACE_KEY, f"WORKSPACE#{WORKSPACE}#EVENTS", "SECRET#PAGE_CURSOR"),
    "Redeliveries": (*TOKEN_KEYS, WORKSPACE_KEY, f"WORKSPACE#{WORKSPACE}#EVENTS", "SECRET#PAGE_CURSOR"),
    "Provisioning": (*TOKEN_KEYS, "SECRET#PAGE_CURSOR", "SECRET#OTHER", "WORKSPACES", "XWORKSPACE#a"),
}
OWN_KEY = {
    "Authorizer": "TOKEN#testDemo",
    "ClientSessions": f"WORKSPACE#{WORKSPACE}#CLIENT_SESSIONS",
    **dict.fromkeys(("EventsApi", "Events", "Deliveries", "Redeliveries"), WEBHOOKS_KEY),
}


@dataclass(frozen=True)
class Needed:
    """What a request needs: an action on a resource, for records with these partition keys, and for these attributes.

    Of a request that names no attributes, as of one that reads whole items, AWS knows none.
    """

    action: str
    resource: str
    keys: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()

    @property
    def context(self) -> dict[str, Sequence[str]]:
        """What conditions are about."""
        return {name: found for name, found in ((LEADING_KEYS, self.keys), (ATTRIBUTES, self.attributes)) if found}


def needed(operation: str, request: Mapping[str, Any]) -> Iterator[Needed]:
    """Yield what AWS asks a role for."""
    match operation:
        case "TransactWriteItems":
            actions = [(kind, parameters) for action in request["TransactItems"] for kind, parameters in action.items()]
            keys = tuple((parameters.get("Key") or parameters["Item"])["pk"]["S"] for _, parameters in actions)
            for kind, parameters in actions:
                yield Needed(f"dynamodb:{kind}Item", TABLES + parameters["TableName"], keys)
        case "BatchGetItem":
            for table, asked in request["RequestItems"].items():
                keys = tuple(key["pk"]["S"] for key in asked["Keys"])
                yield Needed("dynamodb:BatchGetItem", TABLES + table, keys)
        case "Query":
            (placeholder,) = re.findall(r"\bpk = (:\w+)", request["KeyConditionExpression"])
            key = request["ExpressionAttributeValues"][placeholder]["S"]
            yield Needed("dynamodb:Query", TABLES + request["TableName"], (key,))
        case "UpdateItem":
            names = (*request["Key"], *request.get("ExpressionAttributeNames", {}).values())
            key, attributes = request["Key"]["pk"]["S"], tuple(sorted(set(names)))
            yield Needed("dynamodb:UpdateItem", TABLES + request["TableName"], (key,), attributes)
        case "GetItem":
            yield Needed("dynamodb:GetItem", TABLES + request["TableName"], (request["Key"]["pk"]["S"],))
        case _ if operation in ANSWERS:
            yield from needed_of_others(operation, request)
        case _:
            yield Needed(f"dynamodb:{operation}", TABLES + request["TableName"])


def needed_of_others(operation: str, request: Mapping[str, Any]) -> Iterator[Needed]:
    """Yield what AWS asks a role for, at services other than DynamoDB."""
    match operation:
        case "SendMessageBatch":
            yield Needed("sqs:SendMessage", QUEUES + request["QueueUrl"].rpartition("/enrollments-")[2])
        case "PutEvents":
            for entry in request["Entries"]:
                yield Needed("events:PutEvents", BUS_ARN.replace("enrollments-events", entry["EventBusName"]))
        case "GetSecretValue":
            yield Needed("secretsmanager:GetSecretValue", request["SecretId"])
        case "Invoke":
            yield Needed("lambda:InvokeFunction", request["FunctionName"])


# The answers of these services, which are not in moto.
ANSWERS: Mapping[str, dict[str, Any]] = {
    "GetSecretValue": {"SecretString": "made-up-secret"},
    "Invoke": {"StatusCode": 202},
    "PutEvents": {"FailedEntryCount": 0},
    "SendMessageBatch": {"Successful": []},
}


def request_of(operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request that botocore is about to send."""
    if operation == "Invoke":
        return {"FunctionName": unquote(params["url_path"]).split("/functions/")[1].removesuffix("/invocations")}
    parameters: dict[str, Any] = json.loads(params["body"])
    return parameters


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
            for one in needed(model.name, request_of(model.name, params))
            if not is_allowed(self.statements, one.action, one.resource, one.context)
        ]
        self.denied += denied
        if denied:
            error = {"Code": "AccessDeniedException", "Message": "not authorized"}
            return _answer(400, {"Error": error})
        return _answer(200, ANSWERS[model.name]) if model.name in ANSWERS else None


def _answer(status: int, body: Mapping[str, Any]) -> tuple[AWSResponse, dict[str, Any]]:
    parsed = {**body, "ResponseMetadata": {"HTTPStatusCode": status}}
    return AWSResponse("https://aws", status, HTTPHeaders(), None), parsed


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Guard:
    """Stand before every client that is made from now on."""
    guard = Guard()
    handlers = [*botocore.handlers.BUILTIN_HANDLERS, ("before-call", guard.judge)]
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", handlers)
    return guard


@cache
def deployed(parameter: str, value: str) -> dict[str, Resource]:
    """Return the template's resources if one parameter has a value."""
    return load_template(PROJECT / "template.yaml", {parameter: value})


@pytest.fixture(scope="module")
def resources() -> dict[str, Resource]:
    return deployed("TableKmsKeyArn", KEY_ARN)


@pytest.fixture(scope="module", autouse=True)
def managers_at_once() -> Iterator[None]:
    """Have simulated credential managers take no time, so that an execution does all its work in one look."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(cast("dict[str, Any]", SimulatedManager.__init__.__kwdefaults__), "pace", timedelta(0))
        yield


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    """A client that no guard stands before, and the environment of clients; made once, because that takes a while."""
    credentials = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    on_loopback = {"CONNECTORS_ON_LOOPBACK": "allowed", "WEBHOOK_RECEIVERS_ON_LOOPBACK": "allowed"}
    with mock_aws(), environment({"AWS_DEFAULT_REGION": REGION, **credentials, **on_loopback}):
        yield create_client()


@pytest.fixture
def client(dynamodb: Any, guard: Guard) -> Iterator[Any]:
    """A client that the guard stands before."""
    dynamodb.meta.events.register("before-call", guard.judge)
    yield dynamodb
    dynamodb.meta.events.unregister("before-call", guard.judge)


@pytest.fixture(scope="module")
def whole_table(
    dynamodb: Any, resources: dict[str, Resource], connector: dict[Key, Item]
) -> tuple[Store, dict[Key, Item]]:
    """The template's table, and what it is to hold: the demo workspaces, in which nobody has asked for a page yet."""
    table = resources["Table"]
    properties = {name: table.properties[name] for name in ("AttributeDefinitions", "BillingMode", "KeySchema")}
    dynamodb.create_table(TableName=table.reference, **properties)
    store = Store(Table(dynamodb, table.reference), dynamodb, table.reference, is_in_moto=True)
    seed(store.table)
    put_all(store.table, {**more_items(), **connector})
    return store, {key: item for key, item in store.items().items() if key.pk != "SECRET#PAGE_CURSOR"}


@pytest.fixture
def table(whole_table: tuple[Store, dict[Key, Item]]) -> None:
    """The table as it is before anything has happened."""
    store, items = whole_table
    store.restore(items)


def statements(resources: Mapping[str, Resource], name: str) -> list[dict[str, Any]]:
    (policy,) = resources[f"{name}Role"].properties["Policies"]
    return [{**statement, "Action": values(statement["Action"])} for statement in policy["PolicyDocument"]["Statement"]]


def without(found: Iterable[Mapping[str, Any]], index: int, action: str) -> list[Statement]:
    """Return statements, one of them without one of its actions."""
    kept: list[Statement] = list(found)
    kept[index] = {**kept[index], "Action": [other for other in kept[index]["Action"] if other != action]}
    return kept


def failures(resources: Mapping[str, Resource], name: str) -> list[str]:
    """Run a function; return what it could not do."""
    function = resources[f"{name}Function"]
    definition = FunctionDefinition.from_resource(function, PROJECT, function.properties["Layers"])
    log = io.StringIO()
    functions = Functions([definition], [], log=log, terminal=io.StringIO())
    if name in RUNS:
        try:
            RUNS[name](functions, definition.name)
        except (EnrollmentError, FunctionError, RefusedError) as error:
            return [str(error)]
        lines = [json.loads(line) for line in log.getvalue().splitlines()]
        return [line["message"] for line in lines if line["level"] in {"ERROR", "WARNING"}]
    answers = [(event["path"], functions.invoke(definition.name, event)) for event in requests_for(resources, function)]
    return [path for path, answer in answers if answer["statusCode"] != HTTPStatus.OK]


class Undurable:
    """Runs the steps of a durable function at once.  Nothing is repeated after an error, and nothing is waited for."""

    lambda_context = None

    def step(self, function: Callable[[object], Any], **_: object) -> Any:
        return function(None)

    def wait(self, *_: object, **__: object) -> None:
        pass

    def wait_for_condition(self, look: Callable[[Any, object], Any], config: Any, **_: object) -> Any:
        return look(config.initial_state, None)


def _execute(functions: Functions, name: str, *given: Mapping[str, Any]) -> None:
    handler = inspect.unwrap(functions.handler(name))
    context: Any = Undurable()
    for each in given:
        handler(each, context)


RUNS: dict[str, Callable[[Functions, str], Any]] = {
    "Authorizer": lambda functions, name: functions.invoke(name, TOKEN_EVENT),
    "Events": lambda functions, name: functions.invoke(name, stream_batch()),
    "Deliveries": lambda functions, name: functions.invoke(name, queue_batch()),
    "Redeliveries": lambda functions, name: _execute(functions, name, *REDELIVERED),
    "Provisioning": lambda functions, name: _execute(functions, name, {**ENROLLED, "revision": 1}, WATCHED),
}


def requests_for(resources: Mapping[str, Resource], function: Resource) -> list[dict[str, Any]]:
    """Return a request for each of a function's routes, at the end those that take away what others ask for."""
    api = read_rest_api(resources["Api"], resources["ApiprodStage"], function_names(resources))
    paths = sorted(
        (path for (verb, path), route in api.routes.items() if verb == "POST" and route.function == function.reference),
        key=lambda path: (path.endswith(("deactivate", "delete", "remove_acs_user")), path.endswith("revoke")),
    )
    more = [EVENTS[path] | {"body": json.dumps(MORE_BODIES[path])} for path in paths if path in MORE_BODIES]
    return [*more, *(EVENTS[path] for path in paths)]


@pytest.mark.parametrize("name", OWN)
def test_a_role_allows_this_and_nothing_else(resources: dict[str, Resource], name: str) -> None:
    via_dynamodb = {"kms:ViaService": "dynamodb.us-east-1.amazonaws.com"}

    assert statements(resources, name) == [
        *OWN[name],
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
            "Action": KEY_ACTIONS,
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


@pytest.mark.parametrize("name", OWN)
def test_only_lambda_has_a_role(resources: dict[str, Resource], name: str) -> None:
    (statement,) = resources[f"{name}Role"].properties["AssumeRolePolicyDocument"]["Statement"]

    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert resources[f"{name}Function"].properties["Role"] == f"arn:aws:iam::123456789012:role/enrollments-{name}Role"


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("name", OWN)
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
    assert {denied.action for denied in guard.denied} == {action}
    assert {denied.resource for denied in guard.denied} <= set(values(OWN[name][index]["Resource"]))


@pytest.mark.usefixtures("table")
def test_the_role_of_events_lets_it_set_aside_what_it_cannot_read(
    resources: dict[str, Resource], guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.statements = statements(resources, "Events")
    (record,) = batch("stream")["Records"]
    unreadable = {"Records": [{**record, "dynamodb": {"SequenceNumber": "7"}}]}
    monkeypatch.setitem(RUNS, "Events", lambda functions, name: functions.invoke(name, unreadable))

    assert failures(resources, "Events") == ["set_aside"]
    assert guard.denied == []


@pytest.mark.parametrize("name", OWN)
def test_another_table_is_out_of_reach(resources: dict[str, Resource], guard: Guard, client: Any, name: str) -> None:
    guard.statements = statements(resources, name)

    for operation, parameters in requests_of("other", OWN_KEY.get(name, WORKSPACE_KEY)):
        with pytest.raises(ClientError, match="not authorized"):
            getattr(client, operation)(**parameters)

    assert {denied.action for denied in guard.denied} == set(READS_AND_WRITES)


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in FOREIGN_KEYS.items() for key in keys])
def test_a_record_that_is_none_of_the_functions_is_out_of_reach(
    resources: dict[str, Resource], guard: Guard, client: Any, name: str, key: str
) -> None:
    guard.statements = statements(resources, name)

    for operation, parameters in requests_of(TABLE, key):
        with pytest.raises(ClientError, match="not authorized"):
            getattr(client, operation)(**parameters)

    assert {denied.action for denied in guard.denied} == set(READS_AND_WRITES)


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in FOREIGN_KEYS.items() for key in keys])
def test_a_foreign_record_among_its_own_is_out_of_reach(
    resources: dict[str, Resource], guard: Guard, client: Any, name: str, key: str
) -> None:
    guard.statements = statements(resources, name)

    for operation, parameters in requests_of(TABLE, OWN_KEY.get(name, WORKSPACE_KEY), key):
        with pytest.raises(ClientError, match="not authorized"):
            getattr(client, operation)(**parameters)


@pytest.mark.parametrize("action", WRITES)
@pytest.mark.parametrize(
    "key",
    ["USER_IDENTITIES", "ACS_SYSTEM#a", "ACS_SYSTEM#a#ACS_USERS", "WEBHOOKS", "EVENTS", "CLIENT_SESSIONS", "PHONES"],
)
def test_provisioning_changes_no_directory(resources: dict[str, Resource], action: str, key: str) -> None:
    found = statements(resources, "Provisioning")

    assert not is_allowed(found, action, TABLE_ARN, {LEADING_KEYS: [f"WORKSPACE#{WORKSPACE}#{key}"]})


@pytest.mark.parametrize(
    ("attributes", "is_it"),
    [
        (["pk", "sk", "last_used_at"], True),
        (["pk", "sk", "former_secret_last_used_at", "last_used_at"], True),
        (["pk", "sk", "last_used_at", "secret_sha256"], False),
        (["pk", "sk", "revoked_at"], False),
        (["pk", "sk", "workspace_ids"], False),
        ([], False),
    ],
)
def test_the_authorizer_writes_nothing_of_a_token_but_when_it_was_used(
    resources: dict[str, Resource],
    attributes: list[str],
    is_it: bool,  # noqa: FBT001
) -> None:
    context = {LEADING_KEYS: ["TOKEN#testDemo"], ATTRIBUTES: attributes}

    assert is_allowed(statements(resources, "Authorizer"), "dynamodb:UpdateItem", TABLE_ARN, context) is is_it


@pytest.mark.parametrize("name", ["UserIdentities", "Acs", "Phones", "EventsApi", "ClientSessions"])
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


@pytest.mark.parametrize("name", OWN)
def test_the_table_can_be_neither_scanned_nor_deleted(
    resources: dict[str, Resource], guard: Guard, client: Any, name: str
) -> None:
    guard.statements = statements(resources, name)

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


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    ("before", "after"), [("", KEY_ARN), (KEY_ARN, OTHER_KEY_ARN), (KEY_ARN, "")], ids=["first", "another", "none"]
)
def test_whatever_comes_first_a_change_of_the_key_locks_no_function_out(name: str, before: str, after: str) -> None:
    """CloudFormation changes the table and the roles one after the other, and DynamoDB takes its time."""
    for key_arn in (before, after):
        found = statements(deployed("TableKmsKeyArn", key_arn), name)

        for key in {before, after} - {""}:
            assert is_allowed(found, "kms:Decrypt", key, of_dynamodb())


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("table", [TABLE, "restored"])
def test_the_keys_of_both_tables_can_be_used_while_one_is_replaced(name: str, table: str) -> None:
    found = statements(deployed("RestoredTableName", "restored"), name)

    assert is_allowed(found, "kms:Decrypt", KEY_ARN, of_dynamodb(table))


@pytest.mark.parametrize("action", ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"])
def test_events_come_from_the_streams_of_both_tables_and_no_other(action: str) -> None:
    found = statements(deployed("RestoredTableName", "restored"), "Events")
    streams = [f"{TABLES}{table}/stream/{name}" for table in (TABLE, "restored", "other") for name in ("local", "old")]

    read = [stream for stream in streams if is_allowed(found, action, stream, {})]

    assert read == [f"{TABLE_ARN}/stream/local", f"{TABLES}restored/stream/local", f"{TABLES}restored/stream/old"]


@pytest.mark.parametrize("name", OWN)
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


@pytest.mark.parametrize("name", OWN)
def test_a_key_of_another_account_cannot_be_used(resources: dict[str, Resource], name: str) -> None:
    key = KEY_ARN.replace("123456789012", "210987654321")

    assert not is_allowed(statements(resources, name), "kms:Decrypt", key, of_dynamodb())


@pytest.mark.parametrize("name", OWN)
def test_no_key_is_managed(resources: dict[str, Resource], name: str) -> None:
    for action in ("kms:CreateGrant", "kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"):
        assert not is_allowed(statements(resources, name), action, KEY_ARN, of_dynamodb())
