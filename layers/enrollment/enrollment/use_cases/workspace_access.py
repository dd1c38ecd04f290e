"""The end of all access to a workspace: what lets somebody in, and what tells somebody of it."""

from datetime import datetime
from typing import NamedTuple

from enrollment.callers import split_ids
from enrollment.store.actions import change, delete, require_absent
from enrollment.store.keys import (
    Key,
    client_session_key,
    client_session_listing_key,
    key_of,
    listed_id,
    token_key,
    webhook_key,
)
from enrollment.store.table import MOST_ACTIONS, Table
from enrollment.use_cases.client_session_items import delete_session
from enrollment.use_cases.tokens import StoredToken, list_tokens, revoke_token


class Access(NamedTuple):
    """What let somebody into a workspace, and what told somebody of it.

    Attributes:
        tokens: API keys that were revoked, and personal access tokens that lost the workspace.
        client_sessions: Client sessions that were deleted.
        webhooks: Webhooks that were deleted.
    """

    tokens: int
    client_sessions: int
    webhooks: int


def end_access(table: Table, workspace_id: str, now: datetime) -> Access:
    """Revoke the tokens of a workspace, and delete its client sessions and webhooks.

    A personal access token that may enter other workspaces only loses this one.

    Args:
        table: The table.
        workspace_id: The workspace.
        now: The time.

    Returns:
        How many there were.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    tokens = tokens_of(table, workspace_id)
    for token in tokens:
        _end_token(table, token.token_id, workspace_id, now)
    webhooks = table.query(webhook_key(workspace_id, "").pk)
    table.delete_all(map(key_of, webhooks))
    return Access(sum(token.revoked_at is None for token in tokens), _end_sessions(table, workspace_id), len(webhooks))


def tokens_of(table: Table, workspace_id: str) -> list[StoredToken]:
    """Return the tokens that may enter a workspace, or could; not those of its client sessions."""
    return [token for token in list_tokens(table) if workspace_id in token.workspace_ids]


def _end_token(table: Table, token_id: str, workspace_id: str, now: datetime) -> None:
    """Take a workspace out of those that a token may enter, or revoke the token if it may enter no other one."""
    key = token_key(token_id)
    while (record := table.get(key)) is not None:
        workspace_ids = split_ids(str(record["workspace_ids"]))
        others = [one for one in workspace_ids if one != workspace_id]
        if not others:
            revoke_token(table, token_id, now)
            return
        if len(others) == len(workspace_ids):
            return
        where = {"workspace_ids": record["workspace_ids"]}
        table.transact({"token": change(key, assign={"workspace_ids": ",".join(others)}, where=where)})


def _end_sessions(table: Table, workspace_id: str) -> int:
    """Delete the client sessions of a workspace with their tokens.  Return how many there were."""
    listing = client_session_listing_key(workspace_id, "", "").pk
    ended = 0
    for entry in table.walk(listing, at_once=MOST_ACTIONS):
        position = Key(listing, str(entry["sk"]))
        key = client_session_key(workspace_id, listed_id(position.sk))
        while table.get(position) is not None:
            session = table.get(key)
            if session is None:
                table.transact({"client_session": require_absent(key), "entry": delete(position)})
            else:
                table.transact(delete_session(table, session))
        ended += 1
    return ended
