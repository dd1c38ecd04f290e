"""A DynamoDB table in memory, as far as this package uses one: a hundred times as quick as moto.

It knows the conditions and changes that ``store/actions`` writes, and fails at any other.  Its transactions are
isolated from each other, which moto's are not.
"""

import re
from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from enrollment.store.attributes import Item
from enrollment.store.keys import Key
from enrollment.store.table import Table
from tests.items import by_key

type Attributes = Mapping[str, Mapping[str, Any]]

_VERBS = re.compile(r"\b(SET|REMOVE|ADD|DELETE) ")
_OPERAND = re.compile(
    r"(?P<test>attribute_exists|attribute_not_exists)\((?P<tested>[#\w]+)\)|(?P<name>#\w+) = (?P<value>:\w+)"
)


class ConditionalCheckFailedError(Exception):
    """The condition of a single change failed."""


class TransactionCanceledError(Exception):
    """A condition of a transaction failed."""

    def __init__(self, reasons: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("a condition failed")
        self.response = {"CancellationReasons": reasons}


def _nothing(_: str) -> None:
    pass


@dataclass
class InMemory:
    """A client with one table.

    Attributes:
        before: Called before each request, with its name.
        after: Called after it.
    """

    before: Callable[[str], None] = _nothing
    after: Callable[[str], None] = _nothing
    exceptions: Any = field(
        default_factory=lambda: SimpleNamespace(
            ConditionalCheckFailedException=ConditionalCheckFailedError,
            TransactionCanceledException=TransactionCanceledError,
        )
    )
    _stored: dict[Key, Attributes] = field(default_factory=dict)
    _read: dict[Key, Item] = field(default_factory=dict)
    _sort_keys: dict[str, list[str]] = field(default_factory=dict)

    @property
    def table(self) -> Table:
        """The table."""
        return Table(cast("Any", self), "table", sleep=lambda _: None)

    def items(self) -> dict[Key, Item]:
        """Return the whole table."""
        return dict(self._read)

    def get_item(self, Key: Attributes, **_: Any) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
        self.before("GetItem")
        found = self._stored.get(_key(Key))
        self.after("GetItem")
        return {} if found is None else {"Item": found}

    def batch_get_item(self, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803
        self.before("BatchGetItem")
        ((name, asked),) = RequestItems.items()
        keys = [_key(key) for key in asked["Keys"]]
        found = [self._stored[key] for key in keys if key in self._stored]
        self.after("BatchGetItem")
        return {"Responses": {name: found}}

    def query(self, **asked: Any) -> dict[str, Any]:
        self.before("Query")
        values = asked["ExpressionAttributeValues"]
        pk, first, last = (str(values[name]["S"]) for name in (":pk", ":first", ":last"))
        sort_keys = [sk for sk in self._sort_keys.get(pk, ()) if first <= sk <= last]
        if not asked["ScanIndexForward"]:
            sort_keys.reverse()
        if "ExclusiveStartKey" in asked:
            after = _key(asked["ExclusiveStartKey"]).sk
            sort_keys = [sk for sk in sort_keys if (sk > after) == asked["ScanIndexForward"] and sk != after]
        some = sort_keys[: asked.get("Limit", len(sort_keys))]
        answer: dict[str, Any] = {"Items": [self._stored[Key(pk, sk)] for sk in some]}
        if len(some) < len(sort_keys):
            answer["LastEvaluatedKey"] = {"pk": {"S": pk}, "sk": {"S": some[-1]}}
        self.after("Query")
        return answer

    def scan(self, ExpressionAttributeValues: Attributes, **_: Any) -> dict[str, Any]:  # noqa: N803
        self.before("Scan")
        prefixes = tuple(str(value["S"]) for value in ExpressionAttributeValues.values())
        found = [item for key, item in self._stored.items() if key.pk.startswith(prefixes)]
        self.after("Scan")
        return {"Items": found}

    def batch_write_item(self, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803
        self.before("BatchWriteItem")
        ((_, asked),) = RequestItems.items()
        for one in asked:
            self._do(_key(one["DeleteRequest"]["Key"]), "Delete", {})
        self.after("BatchWriteItem")
        return {}

    def update_item(self, **asked: Any) -> dict[str, Any]:
        self.before("UpdateItem")
        key = _key(asked["Key"])
        if self._reason(key, asked)["Code"] != "None":
            raise ConditionalCheckFailedError
        self._do(key, "Update", asked)
        self.after("UpdateItem")
        return {}

    def transact_write_items(self, TransactItems: Sequence[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.before("TransactWriteItems")
        actions = [(kind, asked) for action in TransactItems for kind, asked in action.items()]
        keys = [_key(asked.get("Key") or asked["Item"]) for _, asked in actions]
        assert len(set(keys)) == len(keys), "a transaction has one action for an item at most"
        reasons = [self._reason(key, asked) for key, (_, asked) in zip(keys, actions, strict=True)]
        is_refused = any(reason["Code"] != "None" for reason in reasons)
        if not is_refused:
            for key, (kind, asked) in zip(keys, actions, strict=True):
                self._do(key, kind, asked)
        self.after("TransactWriteItems")
        if is_refused:
            raise TransactionCanceledError(reasons)
        return {}

    def _reason(self, key: Key, asked: Mapping[str, Any]) -> dict[str, Any]:
        item = self._stored.get(key)
        if "ConditionExpression" not in asked or _holds(asked["ConditionExpression"], asked, item or {}):
            return {"Code": "None"}
        return {"Code": "ConditionalCheckFailed"} | ({} if item is None else {"Item": item})

    def _do(self, key: Key, kind: str, asked: Mapping[str, Any]) -> None:
        match kind:
            case "Put":
                self._put(key, asked["Item"])
            case "Delete" if key in self._stored:
                del self._stored[key], self._read[key]
                self._sort_keys[key.pk].remove(key.sk)
            case "Update":
                known = self._stored.get(key) or {"pk": {"S": key.pk}, "sk": {"S": key.sk}}
                self._put(key, _changed(known, asked))

    def _put(self, key: Key, item: Attributes) -> None:
        assert {"SS": []} not in item.values(), "DynamoDB stores no empty set"
        if key not in self._stored:
            insort(self._sort_keys.setdefault(key.pk, []), key.sk)
        self._stored[key] = item
        self._read |= by_key([item])


def _key(attributes: Attributes) -> Key:
    return Key(str(attributes["pk"]["S"]), str(attributes["sk"]["S"]))


def _holds(condition: str, asked: Mapping[str, Any], item: Attributes) -> bool:
    """Return whether a condition holds; its brackets are around a disjunction."""
    names, values = asked.get("ExpressionAttributeNames", {}), asked.get("ExpressionAttributeValues", {})

    def holds(operand: str) -> bool:
        found = _OPERAND.fullmatch(operand)
        assert found, operand
        attribute = found["tested"] or found["name"]
        value = item.get(names.get(attribute, attribute))
        match found["test"]:
            case "attribute_exists":
                return value is not None
            case "attribute_not_exists":
                return value is None
        return bool(value == values[found["value"]])

    def is_one_so(clause: str) -> bool:
        inner = clause[1:-1] if clause.startswith("(") else clause
        return any(holds(operand) for operand in inner.split(" OR "))

    return all(is_one_so(clause) for clause in condition.split(" AND "))


def _changed(item: Attributes, asked: Mapping[str, Any]) -> Attributes:
    names, values = asked["ExpressionAttributeNames"], asked.get("ExpressionAttributeValues", {})
    changed: dict[str, Any] = dict(item)
    parts = _VERBS.split(asked["UpdateExpression"])[1:]
    for verb, clause in zip(parts[::2], parts[1::2], strict=True):
        for change in clause.strip().split(", "):
            name, _, value = change.replace(" = ", " ").partition(" ")
            _change(changed, verb, names[name], values.get(value))
    return changed


def _change(item: dict[str, Any], verb: str, name: str, value: Mapping[str, Any] | None) -> None:
    match verb:
        case "SET":
            item[name] = value
        case "REMOVE":
            item.pop(name, None)
        case "ADD" if value is not None and "N" in value:
            before = int(item[name]["N"]) if name in item else 0
            item[name] = {"N": str(before + int(value["N"]))}
        case "ADD" if value is not None:
            item[name] = {"SS": _sorted({*_elements(item, name), *value["SS"]})}
        case "DELETE" if value is not None:
            left = _sorted(set(_elements(item, name)) - set(value["SS"]))
            if left:
                item[name] = {"SS": left}
            else:
                item.pop(name, None)


def _elements(item: Mapping[str, Any], name: str) -> Iterable[str]:
    return cast("Iterable[str]", item[name]["SS"]) if name in item else ()


def _sorted(elements: Iterable[str]) -> list[str]:
    return sorted(elements)
