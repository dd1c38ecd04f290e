"""A template's queues, buses and secrets; what is put on a bus; and items whose life is over."""

import io
import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local_aws.functions import environment
from local_aws.services import BusWatcher, Expiry, make_services
from local_aws.template import Resource, TemplateError
from tests.fixtures import Store

DEAD_LETTERS = "arn:aws:sqs:us-east-1:123456789012:s-Dead"
CREDENTIALS = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws(), environment(CREDENTIALS):
        yield


def queue(logical_id: str, **properties: Any) -> Resource:
    url = f"https://sqs.us-east-1.amazonaws.com/123456789012/s-{logical_id}"
    return Resource(logical_id, "AWS::SQS::Queue", url, properties)


def attributes(name: str) -> dict[str, str]:
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return found


@pytest.mark.usefixtures("aws")
def test_a_queue_can_come_before_the_one_that_gets_its_dead_letters() -> None:
    policy = {"deadLetterTargetArn": DEAD_LETTERS, "maxReceiveCount": 3}

    make_services([queue("Q", RedrivePolicy=policy, VisibilityTimeout=90), queue("Dead")], {})

    made = attributes("s-Q")
    assert made["VisibilityTimeout"] == "90"
    redrive = json.loads(made["RedrivePolicy"])
    assert (redrive["deadLetterTargetArn"], int(redrive["maxReceiveCount"])) == (DEAD_LETTERS, 3)


@pytest.mark.usefixtures("aws")
def test_buses_and_secrets_are_made_and_stay() -> None:
    resources = [
        Resource("Bus", "AWS::Events::EventBus", "b", {"Name": "b"}),
        Resource("Secret", "AWS::SecretsManager::Secret", "arn", {"Name": "s", "GenerateSecretString": {}}),
        Resource("Other", "AWS::Logs::LogGroup", "l", {"Any": 1}),
    ]

    make_services(resources, {"Secret": "made-up-value"})
    make_services(resources, {"Secret": "made-up-other"})

    assert boto3.client("events").describe_event_bus(Name="b")["Name"] == "b"
    assert boto3.client("secretsmanager").get_secret_value(SecretId="s")["SecretString"] == "made-up-value"


@pytest.mark.parametrize(
    "resource",
    [
        queue("Part", FifoQueue=True),
        queue("Part", VisibilityTimeout=[1]),
        Resource("Part", "AWS::Events::EventBus", "b", {"Name": "b", "EventSourceName": "x"}),
        Resource("Part", "AWS::Events::EventBus", "b", {}),
        Resource("Part", "AWS::SecretsManager::Secret", "arn", {"Name": "s", "SecretString": "x"}),
        Resource("Part", "AWS::SecretsManager::Secret", "arn", {"Name": "without a value"}),
    ],
)
@pytest.mark.usefixtures("aws")
def test_what_cannot_be_interpreted_is_refused(resource: Resource) -> None:
    with pytest.raises(TemplateError):
        make_services([resource], {})


ENTRY = {"Source": "s", "DetailType": "t", "Detail": '{"a": 1}', "EventBusName": "b"}


def watch(body: bytes, target: str = "AWSEvents.PutEvents") -> tuple[list[Any], bytes]:
    """Return what was told about a request, and what is left of its body."""
    told: list[Any] = []
    environ = {
        "HTTP_X_AMZ_TARGET": target,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    BusWatcher(told.append)(environ, lambda *_: io.BytesIO().write)
    return told, environ["wsgi.input"].read()  # type: ignore[attr-defined]


def test_what_is_put_on_a_bus_is_told_and_left_to_moto() -> None:
    body = json.dumps({"Entries": [ENTRY, ENTRY | {"Detail": '{"a": 2}'}]}).encode()

    told, left = watch(body)

    assert told == [{"source": "s", "detail-type": "t", "detail": {"a": number}} for number in (1, 2)]
    assert left == body


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"Entries": [{"Source": "s"}]}',
        json.dumps({"Entries": [ENTRY | {"Detail": "no JSON"}]}).encode(),
    ],
)
def test_what_is_no_event_is_left_to_moto(content: bytes) -> None:
    assert watch(content) == ([], content)


def test_other_requests_are_not_read() -> None:
    body = json.dumps({"Entries": [ENTRY]}).encode()

    assert watch(body, "AWSEvents.ListRules") == ([], body)


def put(store: Store, name: str, **attributes: Any) -> None:
    item = {"pk": {"S": name}, "sk": {"S": "x"}, **attributes}
    store.client.put_item(TableName=store.table_name, Item=item)


def names(store: Store) -> set[str]:
    return {key.pk for key in store.items()}


@pytest.fixture
def expiring(store: Store) -> Iterator[Store]:
    now = int(time.time())
    put(store, "expired", ends={"N": str(now - 10)})
    put(store, "expired too", ends={"N": str(now - 100)})
    put(store, "valid", ends={"N": str(now + 10)})
    put(store, "a text", ends={"S": "0"})
    put(store, "for ever")
    yield store
    store.restore({})


def unchecked(store: Store) -> None:
    """Let a test read as DynamoDB's own service does, without the check of our functions' reads."""
    for event, handler in store.watched:
        store.client.meta.events.unregister(event, handler)
    store.watched.clear()


def test_only_what_has_expired_is_deleted(expiring: Store) -> None:
    unchecked(expiring)

    assert Expiry(expiring.table_name, "ends", expiring.client).delete_expired() == 2

    assert names(expiring) == {"valid", "a text", "for ever"}


def test_what_is_renewed_meanwhile_stays(expiring: Store) -> None:
    unchecked(expiring)
    expiry = Expiry(expiring.table_name, "ends", expiring.client)
    later = {"N": str(int(time.time()) + 100)}
    first: list[object] = []

    def renew(**_: Any) -> None:
        if not first:
            first.append(True)
            put(expiring, "expired", ends=later)
            put(expiring, "expired too", ends=later)

    expiring.watch("before-send.dynamodb.DeleteItem", renew)

    assert expiry.delete_expired() == 0

    assert {"expired", "expired too"} <= names(expiring)


def test_what_has_expired_is_looked_for_every_half_minute(expiring: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    unchecked(expiring)
    expiry = Expiry(expiring.table_name, "ends", expiring.client)

    assert not expiry.poll()
    monkeypatch.setattr("local_aws.services._EXPIRY_SECONDS", 0)
    assert expiry.poll()
    assert not expiry.poll()


def test_nothing_is_deleted_after_the_end(expiring: Store) -> None:
    unchecked(expiring)
    expiry = Expiry(expiring.table_name, "ends", expiring.client)

    expiry.stop()

    assert expiry.delete_expired() == 0
