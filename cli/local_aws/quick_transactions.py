"""Makes moto's transactions quick on a table of thousands of items.

moto copies the whole table for each action of a transaction, and restores the copy if the transaction is refused.  Each
copy takes seconds if a workspace is large.  A transaction changes only the items that its actions name.  So a copy of
those items is enough.

moto also leaves a refused transaction's records in the table's stream.  They are taken out here.
"""

import copy
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table


class _Current(threading.local):
    """A thread's current transaction: its actions, and its copies of tables by the table's name."""

    actions: Sequence[Mapping[str, Any]] | None = None
    copies: dict[str, Table]


@contextmanager
def quick_transactions() -> Iterator[None]:
    """Make moto's transactions quick until the context ends."""
    current = _Current()
    transact_whole = DynamoDBBackend.transact_write_items

    def transact(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        current.actions, current.copies = transact_items, {}
        streams = [table.stream_shard.items for table in backend.tables.values() if table.stream_shard]
        lengths = [len(records) for records in streams]
        try:
            transact_whole(backend, transact_items)
        except BaseException:
            for records, length in zip(streams, lengths, strict=True):
                del records[length:]
            raise
        finally:
            current.actions = None

    def copy_table(table: Table, memo: dict[int, Any]) -> Table:
        if current.actions is None:
            copied = copy.copy(table)
            copied.__dict__ = copy.deepcopy(table.__dict__, memo)
            return copied
        if table.name not in current.copies:
            current.copies[table.name] = _copy_what_can_change(table, current.actions)
        return current.copies[table.name]

    with (
        patch.object(DynamoDBBackend, "transact_write_items", transact),
        patch.object(Table, "__deepcopy__", copy_table, create=True),
    ):
        yield


def _copy_what_can_change(table: Table, actions: Sequence[Mapping[str, Any]]) -> Table:
    copied = copy.copy(table)
    copied.items = defaultdict(dict, table.items)
    for action in actions:
        (parameters,) = action.values()
        if parameters["TableName"] != table.name:
            continue
        key = parameters.get("Key") or parameters["Item"]
        pk = DynamoType(key[table.hash_key_attr])
        if pk not in table.items:
            continue
        if table.range_key_attr is None:
            copied.items[pk] = copy.deepcopy(table.items[pk])
            continue
        sk = DynamoType(key[table.range_key_attr])
        if copied.items[pk] is table.items[pk]:
            copied.items[pk] = dict(table.items[pk])
        if sk in table.items[pk]:
            copied.items[pk][sk] = copy.deepcopy(table.items[pk][sk])
    return copied
