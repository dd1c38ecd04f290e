"""The items of client sessions: the transactions that change and end a session, and its end with its user identity.

A session is its own item, its entries in lists, the record of its token, and up to two pointers (``store.items``).  A
transaction changes all of them together, so a token sees just what its session says.
"""

from collections.abc import Iterable, Set
from datetime import datetime

from enrollment.callers import split_ids
from enrollment.store.actions import Action, as_read, change, delete, put, require, require_absent
from enrollment.store.attributes import Item
from enrollment.store.items import ENTRIES_OF_CLIENT_SESSION_COME_FROM, client_session_pointers, stored_client_session
from enrollment.store.keys import (
    Key,
    client_session_key,
    client_session_of_user_identities_key,
    client_session_of_user_identity_listing_key,
    listed_id,
    token_key,
)
from enrollment.store.table import Table
from enrollment.timestamps import timestamp

# What a session's entries were derived from, and whether it is revoked.  The moment of its end is not among them: many
# requests can move it at once, and none must stand in the way of another.
_AS_FOUND = (*ENTRIES_OF_CLIENT_SESSION_COME_FROM, "revoked_at")


def joined(user_identity_ids: Iterable[str]) -> str:
    """Return ids of user identities as a session's item and its token's record have them: sorted, with commas."""
    return ",".join(sorted(set(user_identity_ids)))


def user_identities_of(session: Item) -> tuple[str, ...]:
    """Return the ids of a session's user identities."""
    return split_ids(str(session["user_identity_ids"]))


def is_live(session: Item, now: datetime) -> bool:
    """Return whether a session's token works: it is neither revoked nor expired."""
    return "revoked_at" not in session and str(session["expires_at"]) > timestamp(now)


def require_as_found(session: Item) -> Action:
    """Require that a session is as it was read, so that it lives or has ended as it had then."""
    return require(_key_of(session), as_read(session, [*_AS_FOUND, "expires_at"]))


def change_session(
    table: Table, session: Item, *, user_identity_ids: Iterable[str], expires_at: str
) -> dict[str, Action]:
    """Return the actions that give an unchanged session other user identities, another end, or both.

    ``client_session`` is the action on the session's own item.

    Args:
        table: The table.  It is read for the pointer that the session loses with its user identities.
        session: The session as it was read.
        user_identity_ids: The user identities that it has from now on.
        expires_at: When it expires from now on.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    changed: Item = {"user_identity_ids": joined(user_identity_ids), "expires_at": expires_at}
    before, after = stored_client_session(session).keys(), stored_client_session({**session, **changed}).keys()
    actions = {
        "client_session": change(_key_of(session), assign=changed, where=as_read(session, _AS_FOUND)),
        "token": change(token_key(str(session["token_id"])), assign=changed),
        **{f"new_entry_{index}": put(entry, {}) for index, entry in enumerate(sorted(after - before))},
        **{f"old_entry_{index}": delete(entry) for index, entry in enumerate(sorted(before - after))},
    }
    if changed["user_identity_ids"] != session["user_identity_ids"]:
        of_user_identities = client_session_of_user_identities_key(_workspace_of(session), user_identities_of(session))
        actions |= _release(table, session, [of_user_identities])
    return actions


def revoke_session(table: Table, session: Item, now: datetime) -> dict[str, Action]:
    """Return the actions that revoke an unchanged session; ``client_session`` is the one on its own item.

    The entries stay, because a revoked session can still be deleted, and ends with its user identities.

    Args:
        table: The table.  It is read for the session's pointers.
        session: The session as it was read; it is not revoked.
        now: When it is revoked.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    revoked: Item = {"revoked_at": timestamp(now)}
    return {
        "client_session": change(_key_of(session), assign=revoked, where=as_read(session, _AS_FOUND)),
        "token": change(token_key(str(session["token_id"])), assign=revoked),
        **_release(table, session, client_session_pointers(session)),
    }


def delete_session(table: Table, session: Item) -> dict[str, Action]:
    """Return the actions that delete an unchanged session; ``client_session`` is the one on its own item.

    Args:
        table: The table.  It is read for the session's pointers.
        session: The session as it was read.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    itself, *entries = stored_client_session(session)
    return {
        "client_session": delete(itself, as_read(session, _AS_FOUND)),
        "token": delete(token_key(str(session["token_id"]))),
        **{f"entry_{index}": delete(entry) for index, entry in enumerate(entries)},
        **_release(table, session, client_session_pointers(session)),
    }


def end_sessions_of_user_identity(table: Table, workspace_id: str, user_identity_id: str) -> None:
    """Delete each session that has only this user identity, and take the identity out of those that have several.

    It can be repeated, and finishes what an interrupted call has begun.  Call it when no session can be given the
    identity any more: after the identity's mark ``being_deleted_at``.

    Args:
        table: The table.
        workspace_id: The workspace.
        user_identity_id: The user identity.

    Raises:
        ServiceUnavailable: The database stays out of reach, or the invocation's time ends before all is done.
    """
    listing = client_session_of_user_identity_listing_key(workspace_id, user_identity_id, "", "").pk
    while entries := table.query(listing):
        keys = {client_session_key(workspace_id, listed_id(str(entry["sk"]))): str(entry["sk"]) for entry in entries}
        found = table.get_all(keys)
        for key, position in keys.items():
            # If another request has changed the session meanwhile, the next round reads it again.
            table.transact(_end(table, key, found.get(key), Key(listing, position), user_identity_id))


def _end(table: Table, key: Key, session: Item | None, entry: Key, user_identity_id: str) -> dict[str, Action]:
    """Return the actions after which a session does not have a user identity, and its entry is gone."""
    if session is None:
        return {"client_session": require_absent(key), "entry": delete(entry)}
    if user_identity_id not in user_identities_of(session):
        return {"client_session": require_as_found(session), "entry": delete(entry)}
    return take_from_session(table, session, {user_identity_id})


def take_from_session(table: Table, session: Item, user_identity_ids: Set[str]) -> dict[str, Action]:
    """Return the actions that take user identities out of an unchanged session, or delete it if it has no others.

    Args:
        table: The table.  It is read for the session's pointers.
        session: The session as it was read.
        user_identity_ids: Some of its user identities.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    if left := set(user_identities_of(session)) - user_identity_ids:
        return change_session(table, session, user_identity_ids=left, expires_at=str(session["expires_at"]))
    return delete_session(table, session)


def _release(table: Table, session: Item, pointers: Iterable[Key]) -> dict[str, Action]:
    """Return the actions that delete those pointers that name a session, and check that the others do not name it."""
    found = table.get_all(pointers)
    actions: dict[str, Action] = {}
    for index, key in enumerate(pointers):
        pointer = found.get(key)
        if pointer is None:
            actions[f"pointer_{index}"] = require_absent(key)
            continue
        where = as_read(pointer, ["client_session_id"])
        is_its = pointer["client_session_id"] == session["client_session_id"]
        actions[f"pointer_{index}"] = delete(key, where) if is_its else require(key, where)
    return actions


def _key_of(session: Item) -> Key:
    return client_session_key(_workspace_of(session), str(session["client_session_id"]))


def _workspace_of(session: Item) -> str:
    return str(session["workspace_id"])
