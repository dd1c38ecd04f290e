"""Finding a client session by its id, its key or its user identities, and the pointers by which it is found.

A pointer makes two calls of ``get_or_create`` at the same moment find one session: both would put the same pointer, so
one of them is refused, and finds what the other has created.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import batched
from typing import NamedTuple

from enrollment.callers import Caller
from enrollment.errors import ClientSessionNotFound, InvalidInput
from enrollment.resources.client_sessions import NO_SESSION_IS_NAMED
from enrollment.store.actions import Action, as_read, change, put_new
from enrollment.store.attributes import Item
from enrollment.store.items import client_session_pointers
from enrollment.store.keys import (
    Key,
    client_session_key,
    client_session_of_key_key,
    client_session_of_key_listing_key,
    client_session_of_user_identities_key,
    client_session_of_user_identity_listing_key,
    listed_id,
)
from enrollment.store.listings import newest_first
from enrollment.store.table import MOST_KEYS, Table
from enrollment.use_cases.client_session_items import is_live, joined, require_as_found


class Pointer(NamedTuple):
    """Where ``get_or_create`` looks first.

    Attributes:
        key: The key of the item that names a session.
        item: The item, as it was read.
        session: The session that it names, as it was read.
    """

    key: Key
    item: Item | None
    session: Item | None


def find(
    table: Table, caller: Caller, user_identifier_key: str | None, user_identity_ids: frozenset[str], now: datetime
) -> tuple[Pointer, Item | None]:
    """Return a pointer as it was read, and the live session of a key; without a key, of exactly these user identities.

    Args:
        table: The table.
        caller: Who asks.
        user_identifier_key: The key.
        user_identity_ids: The user identities.
        now: A session that expires later is live.

    Returns:
        The pointer, and the session; the session is the one of the pointer, another one, or ``None``.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    workspace_id = caller.workspace_id
    if user_identifier_key is not None:
        pointer = _read_pointer(table, caller, client_session_of_key_key(workspace_id, user_identifier_key))
        listing = client_session_of_key_listing_key(workspace_id, user_identifier_key, "", "").pk
    else:
        pointer = _read_pointer(table, caller, client_session_of_user_identities_key(workspace_id, user_identity_ids))
        one = min(user_identity_ids, default="")
        listing = client_session_of_user_identity_listing_key(workspace_id, one, "", "").pk

    def is_wanted(session: Item) -> bool:
        if user_identifier_key is not None:
            has_it = session.get("user_identifier_key") == user_identifier_key
        else:
            has_it = session["user_identity_ids"] == joined(user_identity_ids)
        return has_it and is_live(session, now)

    if pointer.session is not None and is_wanted(pointer.session):
        return pointer, pointer.session
    # The session that the pointer named has ended, but there can be another one: `create` makes any number of them.
    return pointer, next(filter(is_wanted, _walk(table, caller, listing)), None)


def named(table: Table, caller: Caller, client_session_id: str | None, user_identifier_key: str | None) -> Item:
    """Return the session with an id, with a key, or with both.  Of several with a key, one that lives comes first.

    Raises:
        InvalidInput: There is neither an id nor a key.
        ClientSessionNotFound: There is none, or it is revoked.
        ServiceUnavailable: The database stays out of reach.
    """
    if client_session_id is not None:
        return _with_id(table, caller, client_session_id, user_identifier_key)
    if user_identifier_key is None:
        raise InvalidInput([(None, NO_SESSION_IS_NAMED)])
    now = datetime.now(UTC)
    _, live = find(table, caller, user_identifier_key, frozenset(), now)
    if live is not None:
        return live
    listing = client_session_of_key_listing_key(caller.workspace_id, user_identifier_key, "", "").pk
    expired = next((session for session in _walk(table, caller, listing) if "revoked_at" not in session), None)
    if expired is None:
        raise ClientSessionNotFound
    return expired


def take(pointer: Pointer, session: Item) -> dict[str, Action]:
    """Return the actions that let a pointer name a session, if it is as it was read.

    The session that it named until now must be as it was read, too: dead, as it was found.
    """
    named: Item = {"client_session_id": session["client_session_id"]}
    actions = {
        f"pointer {pointer.key.sk}": put_new(pointer.key, named)
        if pointer.item is None
        else change(pointer.key, assign=named, where=as_read(pointer.item, ["client_session_id"]))
    }
    if pointer.session is not None:
        # Two pointers can have named the same session, and a transaction can have one action on it.
        actions[f"named before {pointer.session['client_session_id']}"] = require_as_found(pointer.session)
    return actions


def take_free(table: Table, caller: Caller, session: Item, now: datetime) -> dict[str, Action]:
    """Return the actions that let a new session have those of its pointers that name no live session.

    Args:
        table: The table.
        caller: Who asks.
        session: The new session.
        now: A session that expires later is live.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    actions: dict[str, Action] = {}
    for key in client_session_pointers(session):
        pointer = _read_pointer(table, caller, key)
        if pointer.session is None or not is_live(pointer.session, now):
            actions |= take(pointer, session)
    return actions


def _with_id(table: Table, caller: Caller, client_session_id: str, user_identifier_key: str | None) -> Item:
    item = table.get(client_session_key(caller.workspace_id, client_session_id))
    if item is None or "revoked_at" in item:
        raise ClientSessionNotFound
    if user_identifier_key is not None and item.get("user_identifier_key") != user_identifier_key:
        raise ClientSessionNotFound
    return item


def _walk(table: Table, caller: Caller, listing: str) -> Iterator[Item]:
    """Yield the sessions of a list, newest first."""
    positions = newest_first(table, listing, limit=MOST_KEYS)
    for some in batched(positions, MOST_KEYS, strict=False):
        keys = [client_session_key(caller.workspace_id, listed_id(position)) for position in some]
        found = table.get_all(keys)
        yield from (found[key] for key in keys if key in found)


def _read_pointer(table: Table, caller: Caller, key: Key) -> Pointer:
    item = table.get(key)
    if item is None:
        return Pointer(key, None, None)
    named = table.get(client_session_key(caller.workspace_id, str(item["client_session_id"])))
    return Pointer(key, item, named)
