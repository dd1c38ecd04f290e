"""Fixtures of every layer: an empty table in moto, and items to put into it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from moto import mock_aws

from enrollment.table import (
    Item,
    Key,
    Table,
    acs_credential_pool_key,
    acs_system_key,
    acs_user_key,
    create_client,
    put_new,
    user_identity_key,
)
from enrollments.local.functions import environment

PROJECT = Path(__file__).parent.parent
TABLE_NAME = "table"


@pytest.fixture(scope="session")
def project() -> Path:
    return PROJECT


@dataclass(frozen=True)
class Store:
    """A table with its client, for looking at what is really there."""

    table: Table
    client: Any
    table_name: str = TABLE_NAME
    watched: list[tuple[str, Callable[..., Any]]] = field(default_factory=list)

    def watch(self, event: str, handler: Callable[..., Any], *, last: bool = False) -> None:
        """Have one of botocore's events handled, before moto does or after it, until the test ends."""
        events = self.client.meta.events
        (events.register_last if last else events.register_first)(event, handler)
        self.watched.append((event, handler))

    def items(self) -> dict[Key, Item]:
        """Return the whole table."""
        found = [
            {name: next(iter(value.values())) for name, value in item.items()}
            for page in self.client.get_paginator("scan").paginate(TableName=self.table_name)
            for item in page["Items"]
        ]
        return {Key(item.pop("pk"), item.pop("sk")): item for item in found}

    def restore(self, items: Mapping[Key, Item]) -> None:
        """Make the table hold these items and no others."""
        present = self.items()
        for key in present.keys() - items.keys() | {key for key in present if present[key] != items.get(key)}:
            self.client.delete_item(TableName=self.table_name, Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}})
        for key, item in items.items():
            if present.get(key) != item:
                self.table.transact({"item": put_new(key, item)})

    def count_requests(self) -> list[str]:
        """Return a list that grows by the name of each request to DynamoDB."""
        requests: list[str] = []

        def count(request: Any, **_: Any) -> None:
            requests.append(request.headers["X-Amz-Target"].decode())

        self.watch("before-send.dynamodb", count)
        return requests


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    """A client of moto, made once a module: making one costs more than most tests."""
    with mock_aws(), environment({"AWS_DEFAULT_REGION": "us-east-1"}):
        yield create_client()


@pytest.fixture
def store(dynamodb: Any) -> Iterator[Store]:
    dynamodb.create_table(
        TableName=TABLE_NAME,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    store = Store(Table(dynamodb, TABLE_NAME, sleep=lambda _: None), dynamodb)
    yield store
    for event, handler in store.watched:
        dynamodb.meta.events.unregister(event, handler)
    dynamodb.delete_table(TableName=TABLE_NAME)


@dataclass(frozen=True)
class Workspace:
    """Puts items of one workspace into a table and returns their ids."""

    table: Table
    workspace_id: str

    def user_identity(self) -> str:
        return self._put(user_identity_key, {})

    def credential_manager(self) -> str:
        return self._put(acs_system_key, {"is_credential_manager": True}, "acs_system_id")

    def acs_system(self) -> str:
        return self._put(acs_system_key, {"is_credential_manager": False}, "acs_system_id")

    def acs_credential_pool(self, acs_system_id: str) -> str:
        return self._put(acs_credential_pool_key, {"acs_system_id": acs_system_id})

    def acs_user(self, acs_system_id: str) -> str:
        return self._put(acs_user_key, {"acs_system_id": acs_system_id})

    def _put(self, key: Any, attributes: Mapping[str, str | bool], id_name: str = "id") -> str:
        identifier = str(uuid4())
        self.table.transact({"item": put_new(key(self.workspace_id, identifier), {id_name: identifier, **attributes})})
        return identifier


@pytest.fixture
def workspace(store: Store) -> Workspace:
    return Workspace(store.table, str(uuid4()))


@pytest.fixture
def other_workspace(store: Store) -> Workspace:
    return Workspace(store.table, str(uuid4()))
