"""The capacity units that a request takes, by AWS's documented rules.

The sources are the Developer Guide's "DynamoDB item sizes and formats", "DynamoDB read and write operations" and
"Capacity management for transactions": a unit writes 1 kB of one item or reads 4 kB, and a transaction does everything
twice.  That a check of a condition in it counts as a write is the dearer reading of them.
"""

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any

WRITTEN_BYTES = 1024
READ_BYTES = 4096
# What is stored is charged with this much more for each item.
STORED_OVERHEAD_BYTES = 100

type Attributes = Mapping[str, Mapping[str, Any]]


def item_size(attributes: Attributes | None) -> int:
    """Return an item's size in bytes: the names and values of its attributes in UTF-8.

    Args:
        attributes: The item as DynamoDB is sent it; ``None`` is no item.
    """
    return sum(len(name.encode()) + _value_size(value) for name, value in (attributes or {}).items())


def _value_size(attribute: Mapping[str, Any]) -> int:
    ((kind, value),) = attribute.items()
    match kind:
        case "BOOL" | "NULL":
            return 1
        case "N":  # a byte for two digits, and one more (developer guide, "DynamoDB item sizes and formats")
            return (len(value) + 1) // 2 + 1
        case "S":
            return len(value.encode())
        case "SS":
            return sum(len(element.encode()) for element in value)
        case _:
            raise ValueError(f"no item here has a value of type {kind}")


def write_units(*sizes: int, in_transaction: bool) -> int:
    """Return the units of writing, deleting or checking an item: by the larger of what was and what is there.

    Args:
        sizes: The item's size before and after, in bytes; 0 is no item.
        in_transaction: Whether it is part of a transaction.
    """
    return max(1, ceil(max(sizes) / WRITTEN_BYTES)) * (2 if in_transaction else 1)


def read_units(size: int, *, is_consistent: bool) -> float:
    """Return the units of reading an item, or of a query by the sum of what it reads.

    Args:
        size: In bytes; what is not there is read too.
        is_consistent: Whether it is read strongly consistent.
    """
    return max(1, ceil(size / READ_BYTES)) * (1 if is_consistent else 0.5)


def stored_bytes(items: Iterable[Attributes]) -> int:
    """Return what is charged for storing items, in bytes."""
    return sum(item_size(item) + STORED_OVERHEAD_BYTES for item in items)
