"""Values of items, and how DynamoDB writes them: strings, booleans, integers and sets of strings, nothing else."""

from collections.abc import Mapping
from typing import Any

type Value = str | bool | int | frozenset[str]
type Item = Mapping[str, Value]


def elements(value: object) -> list[str]:
    """Return a set's elements in order; an absent attribute has none."""
    return sorted(value) if isinstance(value, frozenset) else []


def marshal(item: Item) -> dict[str, Any]:
    """Return an item as DynamoDB's API writes it: each value under the name of its type."""
    return {name: _attribute(value) for name, value in item.items()}


def _attribute(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"SS": sorted(value)}


def unmarshal(attributes: Mapping[str, Any]) -> Item:
    """Return the item that DynamoDB's API has written so; the reverse of ``marshal``."""
    item = {}
    for name, attribute in attributes.items():
        ((kind, value),) = attribute.items()
        item[name] = _value(kind, value)
    return item


def _value(kind: str, value: Any) -> Value:
    match kind:
        case "SS":
            return frozenset(value)
        case "N":
            return int(value)
    read: str | bool = value
    return read
