"""The rotation of tokens: another secret under the same id, with the old one good for a while.

A server that uses a token cannot change it in the moment in which it is issued.  So the former secret is good for a
time that the operator chooses.  A rotation whose output was lost is simply repeated: each former secret keeps its time.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from enrollment.callers import TokenKind
from enrollment.store.actions import as_read, change
from enrollment.store.attributes import Item
from enrollment.store.keys import token_key
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.tokens import FORMER_LAST_USED, former_secrets, new_secret, secret_hash, token_of

# The authorizer compares with each former secret, and a record stays small.
MOST_FORMER_SECRETS = 10


class RotationRefusedError(Exception):
    """A token gets no other secret.  The message says why, and what to do."""


class TokenNotFoundError(RotationRefusedError):
    """There is no such token."""

    def __init__(self) -> None:
        super().__init__("there is no such token; the IDs are listed by: enrollments tokens list")


class Rotated(NamedTuple):
    """A token with its new secret.

    Attributes:
        token: The token.
        expires_at: When it stops working; ``None`` is never.
        former_secrets_until: Until when its former secrets are good, the first to end first.
    """

    token: str
    expires_at: str | None
    former_secrets_until: tuple[str, ...]


def rotate_token(
    table: Table, token_id: str, keep_old_for: timedelta, now: datetime, *, expires_in: timedelta | None = None
) -> Rotated:
    """Give an API key or a personal access token another secret.

    Args:
        table: The table.
        token_id: The token's short.
        keep_old_for: For how long the secret that it has is good, too.  Zero ends this and all former ones at once.
        now: The time.
        expires_in: After which time the token stops working; ``None`` leaves that as it is.

    Raises:
        RotationRefusedError: There is no such token, it is a client session's, it does not work any more, or it has too
            many former secrets that are good.
        ServiceUnavailable: The database stays out of reach.
    """
    while True:
        record = _rotatable(table.get(token_key(token_id)), now)
        secret = new_secret()
        kept = {**former_secrets(record), str(record["secret_sha256"]): timestamp(now + keep_old_for)}
        good = {former: until for former, until in kept.items() if until > timestamp(now)} if keep_old_for else {}
        if len(good) > MOST_FORMER_SECRETS:
            raise RotationRefusedError(
                f"{MOST_FORMER_SECRETS} former secrets of the token are good, which is the most; "
                "add --at-once to end all of them"
            )
        expiry = {} if expires_in is None else {"expires_at": timestamp(now + expires_in)}
        changed = change(
            token_key(token_id),
            assign={"secret_sha256": secret_hash(secret), "rotated_at": timestamp(now), **expiry, **_written(good)},
            remove=[FORMER_LAST_USED] if good else [FORMER_LAST_USED, "former_secrets"],
            where=as_read(record, ["secret_sha256", "former_secrets", "revoked_at", "expires_at"]),
        )
        # Refused, somebody has changed the token meanwhile, so its record is read again.
        if not table.transact({"token": changed}):
            expires_at = expiry.get("expires_at", record.get("expires_at"))
            return Rotated(
                token_of(token_id, secret),
                None if expires_at is None else str(expires_at),
                tuple(sorted(good.values())),
            )


def end_former_secrets(table: Table, token_id: str) -> bool:
    """End the former secrets of a token at once; the one that it has stays good.

    Args:
        table: The table.
        token_id: The token's short.

    Returns:
        Whether it had former secrets.

    Raises:
        TokenNotFoundError: There is no such token.
        ServiceUnavailable: The database stays out of reach.
    """
    while True:
        record = table.get(token_key(token_id))
        if record is None:
            raise TokenNotFoundError
        if "former_secrets" not in record:
            return False
        where = as_read(record, ["former_secrets"])
        ended = change(token_key(token_id), remove=["former_secrets", FORMER_LAST_USED], where=where)
        if not table.transact({"token": ended}):
            return True


def _rotatable(record: Item | None, now: datetime) -> Item:
    if record is None:
        raise TokenNotFoundError
    if record["kind"] == TokenKind.CLIENT_SESSION:
        raise RotationRefusedError(
            "a client session's token is in each answer about the session, so it gets no other secret; revoke it, and "
            "have the server create another client session"
        )
    if "revoked_at" in record:
        raise RotationRefusedError("the token was revoked; `enrollments tokens create` issues another one")
    if "expires_at" in record and str(record["expires_at"]) <= timestamp(now):
        raise RotationRefusedError("the token has expired; `enrollments tokens create` issues another one")
    return record


def _written(good: Mapping[str, str]) -> Item:
    return {"former_secrets": frozenset(f"{former} {until}" for former, until in good.items())} if good else {}
