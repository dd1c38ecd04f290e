"""A story with a connector in the local stack: what its functions log, store and tell has no secret in it."""

import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from enrollment.callers import Caller
from enrollment.secrets import connector_secret
from enrollment.store.client import create_client
from enrollment.store.keys import phones_partition
from enrollment.timestamps import timestamp
from enrollment.use_cases import learning
from enrollment.use_cases.connector_items import ConnectorId
from enrollment.use_cases.connectors import rotate_secret, set_connector
from enrollments.local.demo import CONNECTORS_SECRET
from enrollments.local.stack import Stack, open_stack
from local_aws.moto_server import serve_moto
from tests.acceptance.conftest import IN_PROCESS
from tests.connectors import Answer, Network, Recorded, Sent, well
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not IN_PROCESS, reason="what follows a request is driven in the local stack only"),
]

SOON = 30.0
MASTER = CONNECTORS_SECRET.encode()


@dataclass
class Told:
    """What a story has left.

    Attributes:
        secrets: The signing secrets, and the master secret.
        codes: The codes of invitations.
        places: What was written, by where.
        statuses: What the connector answered.
        session: What the app got while the phone was invited.
        left: The manufacturer's people at the end.
    """

    secrets: list[str]
    codes: set[str]
    places: dict[str, str]
    statuses: list[int]
    session: str
    left: list[str]


def soon(is_so: Callable[[], Any]) -> None:
    end = time.monotonic() + SOON
    while not is_so():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def told(project: Path) -> Told:
    log, terminal = io.StringIO(), io.StringIO()
    events: list[Mapping[str, Any]] = []
    with (
        pytest.MonkeyPatch.context() as patch,
        serve_moto("127.0.0.1") as moto,
        open_stack(project / "template.yaml", log=log, terminal=terminal, moto=moto, tell=events.append) as stack,
    ):
        patch.setattr(learning, "_FIRST_WAIT", timedelta(seconds=1))
        manufacturer = Recorded(pace=timedelta(seconds=0.7))
        network = Network(manufacturer)
        with network.listening() as address:
            secrets, session = play(stack, network, manufacturer, f"{address}/")
        store = Store(stack.table, create_client(), stack.table_name)
        places = {
            "log": log.getvalue() + terminal.getvalue(),
            "table": str(store.items()),
            "stream": str(stream_of(stack.table_name)),
            "events": json.dumps(events),
        }
    return Told(secrets, manufacturer.codes(), places, network.statuses, session, manufacturer.people())


def play(stack: Stack, network: Network, manufacturer: Recorded, url: str) -> tuple[list[str], str]:
    """Enroll a person, rotate the secret, have answers fail, and delete the person.  Return the secrets."""
    workspace = Workspace(stack.table, str(uuid4()))
    workspace.exist()
    directory = Directory(stack.table, Caller(workspace.workspace_id))
    manager_id = workspace.credential_manager()
    person_id = workspace.user_identity(full_name="Jane Doe", email_address="jane@example.com")
    acs_user_id = directory.create_acs_user(workspace.acs_system(), user_identity_id=person_id).acs_user_id
    connector_id = ConnectorId(workspace.workspace_id, manager_id)
    done = set_connector(stack.table, connector_id, url, on_loopback=True, now=datetime.now(UTC))
    first = network.secret = connector_secret(MASTER, *connector_id, done.secret_version)
    directory.launch(person_id, manager_id, create_credential_manager_user=True)
    credential_id = directory.create_credential(
        acs_user_id, credential_manager_acs_system_id=manager_id
    ).acs_credential_id
    app = directory.session(person_id)

    def session() -> str:
        return str(app.start_app("app", phone_os="ios", model="Phone").provider_sessions[0].phone_registration)

    session()
    soon(manufacturer.codes)
    invited = until(session, "invitation_code")
    soon(lambda: directory.credential(credential_id).is_issued)

    version = rotate_secret(stack.table, connector_id, overlap=timedelta(hours=1), now=datetime.now(UTC))
    second = network.secret = connector_secret(MASTER, *connector_id, version)
    came = len(network.came)
    network.fault = nonsense_with_the_code(manufacturer)
    directory.update_credential(credential_id, ends_at=timestamp(datetime.now(UTC) + timedelta(days=9)))
    soon(lambda: len(network.came) > came)
    network.fault = well
    directory.delete(person_id, seconds=60)
    soon(lambda: not manufacturer.people() and not manufacturer.record().credentials)
    soon(lambda: not stack.table.query(phones_partition(workspace.workspace_id, person_id)))
    return [first, second, CONNECTORS_SECRET], invited


def until(ask: Callable[[], str], word: str) -> str:
    """Ask until the answer has a word, and return it."""
    answers: list[str] = []

    def is_so() -> bool:
        answers.append(ask())
        return word in answers[-1]

    soon(is_so)
    return answers[-1]


def nonsense_with_the_code(manufacturer: Recorded) -> Callable[[Sent], Answer]:
    """Return an answer that is not the protocol's, and says what is secret in all places."""

    def fault(sent: Sent) -> Answer:
        (code, *_) = manufacturer.codes()
        body = {"state": code, "reason": code, "message": code, "app": code, "acs_credential_id": code}
        return sent.work()._replace(body=json.dumps(body).encode())

    return fault


def stream_of(table_name: str) -> list[Any]:
    """Return all changes that the table's stream has."""
    streams = boto3.client("dynamodbstreams")
    (stream,) = streams.list_streams(TableName=table_name)["Streams"]
    shards = streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]["Shards"]
    found: list[Any] = []
    for shard in shards:
        iterator = streams.get_shard_iterator(
            StreamArn=stream["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator is not None and (answer := streams.get_records(ShardIterator=iterator))["Records"]:
            found += answer["Records"]
            iterator = answer.get("NextShardIterator")
    return found


def test_the_story_is_told_and_leaves_nothing_at_the_manufacturer(told: Told) -> None:
    assert "manager.check" in told.places["log"]
    assert "not_the_protocol" in told.places["log"]
    assert "acs_credential.issued" in told.places["events"]
    assert "CONNECTOR" in told.places["stream"]
    assert set(told.statuses) == {200}
    assert told.left == []


@pytest.mark.parametrize("place", ["log", "table", "stream", "events"])
def test_no_signing_secret_and_no_master_secret_is_written(told: Told, place: str) -> None:
    hidden = [part for secret in told.secrets for part in (secret, secret.removeprefix("whsec_"))]

    assert [secret for secret in hidden if secret in told.places[place]] == []


def test_what_the_app_needs_is_for_the_app_only(told: Told) -> None:
    (code,) = told.codes

    assert code in told.session
    assert [place for place in ("log", "table", "events") if code in told.places[place]] == []
