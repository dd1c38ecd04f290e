"""The proof that a user identity was deleted: what the table still has of it, found by reading all of its workspace."""

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import NamedTuple

from enrollment.callers import split_ids
from enrollment.store.attributes import Item
from enrollment.store.keys import Key, key_of, phones_partition, token_key, user_identity_key, workspace_prefix
from enrollment.store.table import Table


class Left(StrEnum):
    """What is left of a user identity."""

    ITSELF = "itself"
    AT_MANAGER = "at_manager"
    EVENT = "event"
    OTHER = "other"
    TEXT = "text"


class Trace(NamedTuple):
    """An item that has something of a user identity.

    Attributes:
        left: What is left.
        key: The item's key.
        acs_system_id: The credential manager that has not given everything back yet.
        ends_at: When DynamoDB deletes the item by itself, in seconds since 1970; ``None`` if it does not.
    """

    left: Left
    key: Key
    acs_system_id: str | None = None
    ends_at: int | None = None


def traces_of_person(
    table: Table, workspace_id: str, user_identity_id: str, texts: Collection[str] = ()
) -> Iterator[Trace]:
    """Yield the items of a workspace that have something of a user identity.  It reads the whole table.

    Args:
        table: The table.
        workspace_id: The workspace.
        user_identity_id: The user identity.
        texts: What else may not be there, such as an email address; in small letters.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    itself = user_identity_key(workspace_id, user_identity_id)
    phones = phones_partition(workspace_id, user_identity_id)
    # A client session's token is outside of the workspace's keys.  An older release issued some without a session.
    for item in table.scan(workspace_prefix(workspace_id), token_key("").pk):
        key = key_of(item)
        if key.pk.startswith(token_key("").pk) and workspace_id not in split_ids(str(item["workspace_ids"])):
            continue
        ends_at = int(str(item["deleted_after"])) if "deleted_after" in item else None
        if key == itself:
            yield Trace(Left.ITSELF, key)
        elif key.pk == phones:
            manager_id = item.get("credential_manager_acs_system_id")
            yield Trace(Left.AT_MANAGER, key, None if manager_id is None else str(manager_id))
        elif _has(item, user_identity_id):
            yield Trace(Left.OTHER if ends_at is None else Left.EVENT, key, ends_at=ends_at)
        elif any(_has(item, text) for text in texts):
            yield Trace(Left.TEXT, key, ends_at=ends_at)


def _has(item: Item, text: str) -> bool:
    """Return whether a text is anywhere in an item, its key included."""
    return any(text in _text_of(value).lower() for value in item.values())


def _text_of(value: object) -> str:
    return " ".join(value) if isinstance(value, frozenset | set) else str(value)
