"""The actions of a transaction: puts, changes, deletions and checks, each with its condition.

A condition, ``where``, gives the values that attributes must have; ``None`` means that the attribute must be absent.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from enrollment.store.attributes import Item, Value, marshal
from enrollment.store.keys import Key

type Action = dict[str, dict[str, Any]]


def put(key: Key, item: Item) -> Action:
    """Put an item, whether or not there is one."""
    return {"Put": {"Item": marshal(_with_key(key, item))}}


def put_new(key: Key, item: Item) -> Action:
    """Put an item where there is none."""
    return {"Put": {"Item": marshal(_with_key(key, item)), "ConditionExpression": "attribute_not_exists(pk)"}}


def put_new_or_same(key: Key, item: Item, attribute: str) -> Action:
    """Put an item where there is none, or where the one that is there has the same value of an attribute."""
    return {
        "Put": {
            "Item": marshal(_with_key(key, item)),
            "ConditionExpression": "attribute_not_exists(pk) OR #a = :a",
            "ExpressionAttributeNames": {"#a": attribute},
            "ExpressionAttributeValues": marshal({":a": item[attribute]}),
        }
    }


def require(key: Key, where: Mapping[str, Value | None] = MappingProxyType({})) -> Action:
    """Require that an item exists.

    Args:
        key: The item's key.
        where: The condition.
    """
    return {"ConditionCheck": {"Key": marshal(key._asdict()), **_conditions(where)}}


def require_absent(key: Key) -> Action:
    """Require that an item does not exist."""
    return {"ConditionCheck": {"Key": marshal(key._asdict()), "ConditionExpression": "attribute_not_exists(pk)"}}


def change(  # noqa: PLR0913 - DynamoDB's four kinds of change, and a condition
    key: Key,
    *,
    assign: Item = MappingProxyType({}),
    remove: Sequence[str] = (),
    add: Mapping[str, frozenset[str]] = MappingProxyType({}),
    discard: Mapping[str, frozenset[str]] = MappingProxyType({}),
    where: Mapping[str, Value | None] = MappingProxyType({}),
) -> Action:
    """Change an item that exists.

    Args:
        key: The item's key.
        assign: Attributes to set.
        remove: Attributes to remove.
        add: Elements to add to sets.
        discard: Elements to remove from sets.  DynamoDB removes a set that becomes empty.
        where: The condition.
    """
    condition = _conditions(where)
    names, values = condition["ExpressionAttributeNames"], condition.get("ExpressionAttributeValues", {})
    clauses: dict[str, list[str]] = {}
    for verb, changes in (("SET", assign), ("ADD", add), ("DELETE", discard)):
        for attribute, value in changes.items():
            placeholder = f"c{len(names)}"
            names[f"#{placeholder}"] = attribute
            values |= marshal({f":{placeholder}": value})
            clauses.setdefault(verb, []).append(f"#{placeholder} {'= ' if verb == 'SET' else ''}:{placeholder}")
    for attribute in remove:
        placeholder = f"#c{len(names)}"
        names[placeholder] = attribute
        clauses.setdefault("REMOVE", []).append(placeholder)
    expression = " ".join(f"{verb} {', '.join(changes)}" for verb, changes in clauses.items())
    update = {"Key": marshal(key._asdict()), "UpdateExpression": expression, **condition}
    return {"Update": update | ({"ExpressionAttributeValues": values} if values else {})}


def raise_number(key: Key, attribute: str, item: Item, *, must_exist: bool = False) -> Action:
    """Raise a number of an item by one; where there is no item, make it with the number 1.

    Args:
        key: The item's key.
        attribute: The number.
        item: The item's other attributes, one at least.
        must_exist: Whether the item must be there.
    """
    names: dict[str, str] = {"#n": attribute}
    values: dict[str, Value] = {":one": 1}
    assignments = []
    for index, (name, value) in enumerate(item.items()):
        names[f"#a{index}"], values[f":a{index}"] = name, value
        assignments.append(f"#a{index} = :a{index}")
    return {
        "Update": {
            "Key": marshal(key._asdict()),
            "UpdateExpression": f"SET {', '.join(assignments)} ADD #n :one",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": marshal(values),
            **({"ConditionExpression": "attribute_exists(pk)"} if must_exist else {}),
        }
    }


def claim(key: Key, attribute: str, value: str, *, where: Mapping[str, Value | None]) -> Action:
    """Set an attribute that is absent, or has that value already.

    Args:
        key: The item's key; it must exist.
        attribute: The attribute to set.
        value: Its value.
        where: The condition on other attributes.
    """
    condition = _conditions(where)
    return {
        "Update": {
            "Key": marshal(key._asdict()),
            "UpdateExpression": "SET #a = :a",
            "ConditionExpression": f"{condition['ConditionExpression']} AND (attribute_not_exists(#a) OR #a = :a)",
            "ExpressionAttributeNames": {**condition["ExpressionAttributeNames"], "#a": attribute},
            "ExpressionAttributeValues": {
                **condition.get("ExpressionAttributeValues", {}),
                **marshal({":a": value}),
            },
        }
    }


def delete(key: Key, where: Mapping[str, Value | None] | None = None) -> Action:
    """Delete an item.

    Args:
        key: The item's key.
        where: The condition; the item must exist.  Without a condition, it need not exist.
    """
    condition = {} if where is None else _conditions(where)
    return {"Delete": {"Key": marshal(key._asdict()), **condition}}


def _conditions(where: Mapping[str, Value | None]) -> dict[str, Any]:
    clauses, names, values = ["attribute_exists(#pk)"], {"#pk": "pk"}, {}
    for attribute, value in where.items():
        placeholder = f"w{len(names)}"
        names[f"#{placeholder}"] = attribute
        if value is None:
            clauses.append(f"attribute_not_exists(#{placeholder})")
        else:
            clauses.append(f"#{placeholder} = :{placeholder}")
            values[f":{placeholder}"] = value
    return {
        "ConditionExpression": " AND ".join(clauses),
        "ExpressionAttributeNames": names,
        **({"ExpressionAttributeValues": marshal(values)} if values else {}),
    }


def _with_key(key: Key, item: Item) -> Item:
    return {**key._asdict(), **item}


def as_read(item: Item, names: Iterable[str]) -> dict[str, Value | None]:
    """Return the condition that these attributes are still what they were when the item was read."""
    return {name: item.get(name) for name in names}
