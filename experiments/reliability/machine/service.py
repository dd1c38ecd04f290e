"""The deployed system, and a count of what was asked of it."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import batched
from typing import Any, cast

import httpx

from enrollment.store.actions import delete
from enrollment.store.attributes import Item
from enrollment.store.keys import Key, page_cursor_key
from enrollments.local.stack import Stack
from experiments.reliability.model.calls import Json
from local_aws.gateway import Gateway, Request
from tests.items import Attributes, by_key, unsigned

_client = httpx.Client(trust_env=False)


@dataclass
class Counts:
    """Counts of what has been done so far."""

    operations: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    examples: int = 0


class Service:
    """The deployed system behind its gateway, in a table that is otherwise empty.

    The gateway's clock is ours: it keeps the authorizer's decisions over many requests, but none over the change of a
    token, whatever the time that passes really.

    Args:
        stack: The stack.
        read: Returns the whole table's items as DynamoDB's JSON.
    """

    def __init__(self, stack: Stack, read: Callable[[], Iterable[Attributes]]) -> None:
        self.table = stack.table
        self._table_name = stack.table_name
        self._read = read
        self._now = 0.0
        api = stack.gateway.api
        self._longest_kept = max(authorizer.cache_seconds for authorizer in api.authorizers.values())
        self._gateway = Gateway(api, stack.functions.invoke, lambda: self._now)

    def send(self, request: Request) -> tuple[int, Json]:
        """Send a request, a second after the one before."""
        self._now += 1
        response = self._gateway.handle(request)
        return response.status, json.loads(response.body)

    def outlast_decisions(self) -> None:
        """Let so much time pass that the gateway asks the authorizer anew."""
        self._now += self._longest_kept + 1

    def items(self) -> dict[Key, Item]:
        """Return the whole table."""
        return by_key(self._read())

    def clear(self) -> None:
        """Delete all items but the secret of page cursors, which functions keep."""
        keys = [key for key in self.items() if key != page_cursor_key()]
        requests = [{"DeleteRequest": delete(key)["Delete"]} for key in keys]
        for some in batched(requests, 25, strict=False):
            answer = self.table.client.batch_write_item(RequestItems={self._table_name: cast("Any", some)})
            assert not answer["UnprocessedItems"]


def from_server(address: str, table_name: str) -> Iterable[Attributes]:
    """Return a table's items with requests of our own: botocore takes its time to parse an answer of that size."""
    request: Json = {"TableName": table_name, "ConsistentRead": True}
    while True:
        answer = _client.post(address, json=request, headers=unsigned("Scan")).raise_for_status().json()
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
