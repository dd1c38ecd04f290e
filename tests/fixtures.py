"""Fixtures of every layer: an empty table in moto, and items to put into it."""

import json
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import batched
from pathlib import Path
from typing import Any, NamedTuple, cast
from uuid import uuid4

import botocore.session
import pytest
from botocore.loaders import create_loader
from moto import mock_aws

from enrollment.callers import Caller
from enrollment.resources.client_sessions import ClientSession, CreateClientSessionRequest
from enrollment.store.actions import Action, change, delete, put, put_new, raise_number
from enrollment.store.attributes import Item, Value
from enrollment.store.client import create_client
from enrollment.store.items import (
    stored_acs_credential,
    stored_acs_credential_pool,
    stored_acs_system,
    stored_acs_user,
    stored_event,
    stored_phone,
    stored_user_identity,
)
from enrollment.store.keys import (
    Key,
    acs_user_key,
    manager_pause_key,
    phone_key,
    registration_key,
)
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.client_sessions import create as create_session
from enrollment.use_cases.connector_items import ConnectorId
from enrollment.use_cases.enrollments import EnrollmentId
from enrollment.use_cases.workspaces import adopt, rename
from enrollments.local.demo import CLIENT_SESSIONS_SECRET
from local_aws.functions import environment
from local_aws.quick_answers import quick_answers
from local_aws.quick_transactions import quick_transactions
from tests.invariants import violations
from tests.items import by_key, in_moto

PROJECT = Path(__file__).parent.parent
TABLE_NAME = "table"
MASTER = CLIENT_SESSIONS_SECRET.encode()


@pytest.fixture(scope="session")
def project() -> Path:
    return PROJECT


@pytest.fixture(scope="session", autouse=True)
def as_quick_as_locally() -> Iterator[None]:
    with quick_transactions(), quick_answers():
        yield


@pytest.fixture(scope="session", autouse=True)
def descriptions_of_services_are_read_once() -> Iterator[None]:
    """Give all of botocore's sessions one loader.  It keeps what it has read, as it does for clients of one session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(create_loader))
        yield


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Let processes be interrupted that the tests start: what a shell runs in the background ignores Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Read(NamedTuple):
    """A request that reads, or the part of one that reads a table.

    Attributes:
        operation: The request's.
        is_consistent: Whether it is strongly consistent.
    """

    operation: str
    is_consistent: bool


def reads_in(request: Any) -> list[Read]:
    """Return what a request that botocore is about to send reads."""
    operation, body = request.headers["X-Amz-Target"].decode().rpartition(".")[2], json.loads(request.body)
    parts: Iterable[Mapping[str, Any]] = []
    match operation:
        case "BatchGetItem":
            parts = body["RequestItems"].values()
        case "GetItem" | "Query" | "Scan":
            parts = [body]
    return [Read(operation, part.get("ConsistentRead", False)) for part in parts]


def refuse_stale_reads(request: Any, **_: Any) -> None:
    """Fail the test in which a read may miss what was just written."""
    stale = [read for read in reads_in(request) if not read.is_consistent]
    assert stale == [], "every read is strongly consistent (docs/reliability.md)"


@dataclass(frozen=True)
class Store:
    """A table with its client, for looking at what is really there.

    Attributes:
        is_in_moto: Whether the table is in moto in this process, where it can be read without a request.
    """

    table: Table
    client: Any
    table_name: str = TABLE_NAME
    is_in_moto: bool = False
    watched: list[tuple[str, Callable[..., Any]]] = field(default_factory=list)

    def watch(self, event: str, handler: Callable[..., Any], *, last: bool = False) -> None:
        """Have one of botocore's events handled, before moto does or after it, until the test ends."""
        events = self.client.meta.events
        (events.register_last if last else events.register_first)(event, handler)
        self.watched.append((event, handler))

    def items(self) -> dict[Key, Item]:
        """Return the whole table."""
        if self.is_in_moto:
            return by_key(in_moto(self.table_name))
        pages = self.client.get_paginator("scan").paginate(TableName=self.table_name, ConsistentRead=True)
        return by_key(item for page in pages for item in page["Items"])

    def restore(self, items: Mapping[Key, Item]) -> None:
        """Make the table hold these items and no others."""
        present = self.items()
        deletes = [{"DeleteRequest": delete(key)["Delete"]} for key in present.keys() - items.keys()]
        write(self.table, deletes)
        put_all(self.table, {key: item for key, item in items.items() if present.get(key) != item})

    def count_requests(self) -> list[str]:
        """Return a list that grows by the name of each request to DynamoDB."""
        requests: list[str] = []

        def count(request: Any, **_: Any) -> None:
            requests.append(request.headers["X-Amz-Target"].decode())

        self.watch("before-send.dynamodb", count)
        return requests

    def note_reads(self) -> list[Read]:
        """Return a list that grows by each read of DynamoDB."""
        reads: list[Read] = []
        self.watch("before-send.dynamodb", lambda request, **_: reads.extend(reads_in(request)))
        return reads


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    """A client of moto, made once a module: making one costs more than most tests."""
    with mock_aws(), environment({"AWS_DEFAULT_REGION": "us-east-1"}):
        yield create_client()


def create_table(client: Any, name: str) -> Table:
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    return Table(client, name, sleep=lambda _: None)


@pytest.fixture
def store(dynamodb: Any) -> Iterator[Store]:
    table = create_table(dynamodb, TABLE_NAME)
    store = Store(table, dynamodb, is_in_moto=True)
    store.watch("before-send.dynamodb", refuse_stale_reads)
    yield store
    for event, handler in store.watched:
        dynamodb.meta.events.unregister(event, handler)
    dynamodb.delete_table(TableName=TABLE_NAME)


def put_all(table: Table, items: Mapping[Key, Item]) -> None:
    """Put any number of items."""
    write(table, [{"PutRequest": put(key, item)["Put"]} for key, item in items.items()])


def write(table: Table, requests: Iterable[Mapping[str, Any]]) -> None:
    """Put and delete any number of items, 25 with a request: moto copies the whole table for each transaction."""
    for some in batched(requests, 25, strict=False):
        answer = table.client.batch_write_item(RequestItems={table.name: cast("Any", some)})
        assert not answer["UnprocessedItems"]


@dataclass(frozen=True)
class Workspace:
    """Puts items of one workspace into a table and returns their ids."""

    table: Table
    workspace_id: str

    def become_sandbox(self) -> None:
        """Make the workspace one in which phones can be simulated."""
        self.exist("Sandbox", is_sandbox=True)

    def exist(self, name: str = "Workspace", *, is_sandbox: bool = False) -> None:
        """Put the workspace's own item, which commands ask for."""
        adopt(self.table, self.workspace_id, is_sandbox=is_sandbox)
        rename(self.table, self.workspace_id, name)

    def client_session(self, *user_identity_ids: str, **more: str) -> ClientSession:
        request = CreateClientSessionRequest.model_validate({"user_identity_ids": [*user_identity_ids], **more})
        return create_session(self.table, Caller(self.workspace_id), request, master=MASTER)

    def user_identity(self, **profile: str) -> str:
        return self._put(stored_user_identity, "user_identity_id", profile)

    def credential_manager(self, **more: Value) -> str:
        return self.acs_system(is_credential_manager=True, **more)

    def acs_system(self, **more: Value) -> str:
        known: Item = {"name": "System", "is_credential_manager": False, "connected_account_id": str(uuid4())}
        return self._put(stored_acs_system, "acs_system_id", {**known, **more})

    def acs_credential_pool(self, acs_system_id: str) -> str:
        known = {"display_name": "Pool", "external_type": "hid_part_number", "external_type_display_name": "HID"}
        return self._put(stored_acs_credential_pool, "acs_credential_pool_id", {"acs_system_id": acs_system_id} | known)

    def acs_user(self, acs_system_id: str, **person: str) -> str:
        return self._put(stored_acs_user, "acs_user_id", {"acs_system_id": acs_system_id} | person)

    def event(self, **more: Value) -> str:
        now = datetime.now(UTC)
        known: Item = {
            "event_type": "acs_user.created",
            "occurred_at": timestamp(now),
            "sequence": "0" * 40,
            "deleted_after": int(now.timestamp()) + 3600,
        }
        return self._put(stored_event, "event_id", {**known, **more})

    def phone(self, user_identity_id: str, **more: str) -> str:
        known = {"device_type": "ios_phone", "user_identity_id": user_identity_id}
        return self._put(stored_phone, "device_id", {**known, **more})

    def registration(self, registered: tuple[str, str, str], **more: Value) -> None:
        """Register a phone with a credential manager, as an execution does.

        Args:
            registered: The ids of the user identity, of the phone and of the credential manager.
            more: What else is stored of the registration, such as its state.
        """
        user_identity_id, device_id, manager_id = registered
        key = registration_key(self.workspace_id, *registered)
        registration: Item = {
            "workspace_id": self.workspace_id,
            "user_identity_id": user_identity_id,
            "device_id": device_id,
            "credential_manager_acs_system_id": manager_id,
            "phone_registration_id": str(uuid4()),
            "created_at": timestamp(datetime.now(UTC)),
            "attempt": 1,
        }
        phone = phone_key(self.workspace_id, user_identity_id, device_id)
        named = change(phone, add={"registered_with": frozenset({manager_id})})
        enrollment_id = EnrollmentId(self.workspace_id, user_identity_id, manager_id)
        raised = raise_number(enrollment_id.key, "revision", enrollment_id.to_json())
        self._transact({"registration": put_new(key, {**registration, **more}), "phone": named, "enrollment": raised})

    def credential_of_phone(self, registered: tuple[str, str, str], acs_user: Item, **more: Value) -> str:
        """Give a registered phone a credential, as an execution does.

        Args:
            registered: The ids of the user identity, of the phone and of the credential manager.
            acs_user: The ids of the ACS user and of its system, to whom it belongs.
            more: What else is stored of it, such as the credential under which it is.
        """
        identity_id, device_id, manager_id = registered
        known: Item = {
            "user_identity_id": identity_id,
            "device_id": device_id,
            "credential_manager_acs_system_id": manager_id,
            "starts_at": timestamp(datetime.now(UTC)),
            "version": 1,
        }
        credential_id = self._put(stored_acs_credential, "acs_credential_id", {**known, **acs_user, **more})
        ids = frozenset({credential_id})
        enrollment_id = EnrollmentId(self.workspace_id, identity_id, manager_id)
        named = {
            "enrollment": raise_number(enrollment_id.key, "revision", enrollment_id.to_json()),
            "registration": change(
                registration_key(self.workspace_id, *registered),
                add={"acs_credential_ids": ids},
            ),
        }
        if "being_deleted_at" not in more:
            owner = acs_user_key(self.workspace_id, str(acs_user["acs_user_id"]))
            named["acs_user"] = change(owner, add={"acs_credential_ids": ids})
        self._transact(named)
        return credential_id

    def fail(self, registered: tuple[str, str, str], credential_id: str) -> None:
        """Note at a phone's registration that one of its credentials has failed or was invalidated."""
        key = registration_key(self.workspace_id, *registered)
        failed = frozenset({credential_id})
        self._transact({"registration": change(key, add={"failed_acs_credential_ids": failed})})

    def pause(self, manager_id: str, **pause: Value) -> None:
        """Pause a credential manager, as an execution does."""
        self._transact({"pause": put(manager_pause_key(self.workspace_id, manager_id), pause)})

    def connect(self, manager_id: str, **connector: Value) -> None:
        """Set the connector of a credential manager, as the operator's command does it."""
        connector_id, now = ConnectorId(self.workspace_id, manager_id), timestamp(datetime.now(UTC))
        item: Item = {
            "workspace_id": self.workspace_id,
            "acs_system_id": manager_id,
            "url": "https://example.com/connector",
            "set_at": now,
            "secret_version": now,
            "revision": 1,
            **connector,
        }
        self._transact({"connector": put(connector_id.key, item)})

    def _transact(self, actions: Mapping[str, Action]) -> None:
        assert not self.table.transact(actions), "what an item refers to is there"

    def _put(self, stored: Callable[[Item], dict[Key, Item]], id_name: str, attributes: Item) -> str:
        known = {"workspace_id": self.workspace_id, "created_at": timestamp(datetime.now(UTC))}
        item = {id_name: str(uuid4()), **known, **attributes}
        items = stored(item)
        self.table.transact({f"item_{index}": put_new(*item) for index, item in enumerate(items.items())})
        return str(item[id_name])


@pytest.fixture
def workspace(store: Store) -> Iterator[Workspace]:
    yield Workspace(store.table, str(uuid4()))
    assert not violations(store.items())


@pytest.fixture
def other_workspace(store: Store) -> Workspace:
    return Workspace(store.table, str(uuid4()))
