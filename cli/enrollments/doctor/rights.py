"""Whether an operator may do what commands do.  Each right is tried in a way that changes nothing."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from enrollments.database import denied_action, reason_of
from enrollments.doctor.findings import Finding, bad, good, is_not_implemented
from enrollments.doctor.patient import ALIAS, Patient
from enrollments.master_secrets import OF_CLIENT_SESSIONS, OF_CONNECTORS
from enrollments.stacks import TABLE_OUTPUT

_ABOUT = "rights"
_REMEDY = "ask for the rights of the person who operates: docs/operations.md, “Who may do what”"
_MEND = "restore what is gone, or deploy again; if AWS throttles or is out of order, wait; then look again"
# Nobody has received the message that is to be deleted.
_EXPECTED = {"ReceiptHandleIsInvalid"}

type Try = Callable[[], object]


def look_at_rights(patient: Patient) -> Iterator[Finding]:
    """Yield whether the operator may do everything.

    Raises:
        ClientError: The table cannot be described.
        BotoCoreError: AWS is out of reach.
    """
    tries = {**_of_table(patient), **_of_stream(patient), **_of_others(patient)}
    missing, refused, unknown = list[str](), list[str](), 0
    for name, try_ in tries.items():
        try:
            try_()
        except ClientError as error:
            action = denied_action(error)
            if action is not None:
                missing.append(action)
            elif is_not_implemented(error) or (not patient.is_on_aws and _is_missing(error)):
                unknown += 1
            elif error.response["Error"]["Code"] not in _EXPECTED:
                refused.append(f"{name}: {error if _is_missing(error) else reason_of(error)}")
    if missing:
        yield bad(_ABOUT, f"you may not do {', '.join(dict.fromkeys(missing))}", _REMEDY)
    if refused:
        yield bad(_ABOUT, f"not known, because AWS refuses for another reason: {', '.join(refused)}", _MEND)
    if missing or refused:
        return
    remark = f"; {unknown} could not be tried at this server" if unknown else ""
    yield good(_ABOUT, f"all {len(tries) - unknown} rights that commands need are there{remark}")


def _is_missing(error: ClientError) -> bool:
    """Return whether a thing is not there.  AWS asks for the right before it looks for the thing."""
    return error.response["Error"]["Code"] == "ResourceNotFoundException"


def _of_table(patient: Patient) -> dict[str, Try]:
    client, name = patient.client("dynamodb"), patient.stack.outputs[TABLE_OUTPUT]
    key = {"pk": {"S": f"DOCTOR#{uuid4()}"}, "sk": {"S": "DOCTOR"}}
    exists = {"TableName": name, "ConditionExpression": "attribute_exists(pk)"}
    # No item has this key, so the condition fails, and with it the whole transaction: nothing is written.
    transaction: dict[str, dict[str, Any]] = {
        "ConditionCheckItem": {"ConditionCheck": {"Key": key, **exists}},
        "PutItem": {"Put": {"Item": key, **exists}},
        "UpdateItem": {"Update": {"Key": key, "UpdateExpression": "SET a = pk", **exists}},
        "DeleteItem": {"Delete": {"Key": key, **exists}},
    }

    def transact(item: dict[str, Any]) -> Try:
        def try_() -> None:
            with suppress(client.exceptions.TransactionCanceledException):
                client.transact_write_items(TransactItems=[item])

        return try_

    delete = {"DeleteRequest": {"Key": key}}
    equals = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": key["pk"]}}
    return {
        **{name: transact(item) for name, item in transaction.items()},
        "BatchWriteItem": lambda: client.batch_write_item(RequestItems={name: [delete]}),
        "GetItem": lambda: client.get_item(TableName=name, Key=key),
        "BatchGetItem": lambda: client.batch_get_item(RequestItems={name: {"Keys": [key]}}),
        "Query": lambda: client.query(TableName=name, **equals),
        "Scan": lambda: client.scan(TableName=name, Limit=1),
        "DescribeTable": lambda: client.describe_table(TableName=name),
        "DescribeContinuousBackups": lambda: client.describe_continuous_backups(TableName=name),
        "DescribeTimeToLive": lambda: client.describe_time_to_live(TableName=name),
    }


def _of_stream(patient: Patient) -> dict[str, Try]:
    described = patient.client("dynamodb").describe_table(TableName=patient.stack.outputs[TABLE_OUTPUT])["Table"]
    stream = described.get("LatestStreamArn")
    if stream is None:
        return {}
    client = patient.client("dynamodbstreams")

    def read() -> None:
        (shard, *_) = client.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"] or [None]
        if shard is not None:
            place = {"StreamArn": stream, "ShardId": shard["ShardId"], "ShardIteratorType": "LATEST"}
            client.get_records(ShardIterator=client.get_shard_iterator(**place)["ShardIterator"], Limit=1)

    return {"GetRecords": read}


def _of_others(patient: Patient) -> dict[str, Try]:
    queues, functions, secrets = (patient.client(name) for name in ("sqs", "lambda", "secretsmanager"))
    failures = patient.id_of("EventsFailuresQueue")
    events, name = patient.id_of("EventsFunction"), patient.stack.name

    def receive() -> None:
        queues.receive_message(QueueUrl=failures, VisibilityTimeout=0)

    def delete_message() -> None:
        queues.delete_message(QueueUrl=failures, ReceiptHandle="of no message")

    return {
        "DescribeStackResource": lambda: patient.client("cloudformation").describe_stack_resource(
            StackName=name, LogicalResourceId="Table"
        ),
        "GetQueueAttributes": lambda: queues.get_queue_attributes(QueueUrl=failures, AttributeNames=["QueueArn"]),
        "ReceiveMessage": receive,
        "DeleteMessage": delete_message,
        # DryRun asks for the right only: the function does not run.
        "InvokeFunction": lambda: functions.invoke(
            FunctionName=f"{events}:{ALIAS}", InvocationType="DryRun", Payload=b"{}"
        ),
        **{
            one.logical_id: partial(secrets.get_secret_value, SecretId=patient.id_of(one.logical_id))
            for one in (OF_CLIENT_SESSIONS, OF_CONNECTORS)
        },
    }
