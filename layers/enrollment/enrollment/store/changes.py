"""Changes of items, as the table's stream tells them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from enrollment.store.attributes import Item, unmarshal
from enrollment.store.keys import Key, key_of

# The attribute with the moment at which the import of a workspace made an item.
RESTORED_AT = "restored_at"

# A sequence number has at most 40 digits (DynamoDB Streams, "StreamRecord").  They are compared as texts.
_DIGITS = 40


class Change(NamedTuple):
    """A change of one item.

    Attributes:
        record_id: The stream record's ``eventID``.  A record that is delivered again keeps it.
        sequence: The place in the stream's shard: a later change of the same item has a greater one.
        at: When it was made, to the second.
        key: The item's key.
        before: The item before it; ``None`` if there was none.
        after: The item after it; ``None`` if it was deleted.
    """

    record_id: str
    sequence: str
    at: datetime
    key: Key
    before: Item | None
    after: Item | None

    @property
    def is_restored(self) -> bool:
        """Whether the import of a workspace made the item.  What it stands for happened before, and is not new."""
        return self.before is None and self.after is not None and RESTORED_AT in self.after


def read_change(record: Mapping[str, Any]) -> Change:
    """Read a record of the table's stream, in the form that Lambda passes on.

    Args:
        record: One of the event's ``Records``.

    Raises:
        ValueError: It is no such record.
    """
    try:
        told = record["dynamodb"]
        key = unmarshal(told["Keys"])
        return Change(
            record_id=str(record["eventID"]),
            sequence=sequence_number(record).zfill(_DIGITS),
            at=datetime.fromtimestamp(float(told["ApproximateCreationDateTime"]), UTC),
            key=key_of(key),
            before=unmarshal(told["OldImage"]) if "OldImage" in told else None,
            after=unmarshal(told["NewImage"]) if "NewImage" in told else None,
        )
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise ValueError("this is no record of the table's stream") from error


def sequence_number(record: Mapping[str, Any]) -> str:
    """Return a record's sequence number as the stream writes it; nothing if the record has none."""
    told = record.get("dynamodb")
    return str(told.get("SequenceNumber", "")) if isinstance(told, Mapping) else ""
