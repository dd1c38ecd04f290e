"""Bearer tokens: their form, their records, and who a token speaks for.

A token is ``seam_<short>_<secret>``, as the npm package ``prefixed-api-key`` makes them (contract, "Tokens").  The
record is found by ``<short>``.  It holds the SHA-256 of ``<secret>``, never the secret.  A secret has 24 characters of
base58, which is about 140 random bits, so a fast hash is enough.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from enrollment.callers import Principal, TokenKind, split_ids
from enrollment.errors import Unauthorized
from enrollment.store.actions import change, put_new
from enrollment.store.attributes import Item
from enrollment.store.keys import token_key, token_listing_key
from enrollment.store.table import Table
from enrollment.timestamps import timestamp

# The alphabet of a token's parts (contract, "Tokens").
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
SECRET_LENGTH = 24
_SHORT_LENGTH = 8
_SANDBOX = "test"
# No API key's short begins so: a person would take it for a token of another kind.
_RESERVED_SHORTS = ("at", "cst", "pk")

# A token's ids travel in the authorizer's answer, and API Gateway takes 8 kB of it.
_MOST_IDS = 100
# The transaction that issues a token checks each of its workspaces, besides the two items that it puts.
_MOST_WORKSPACES = 98
_LONGEST_NAME = 100

_AUTHORIZATION = re.compile(r"bearer +(?P<token>\S+)", re.IGNORECASE)
_TOKEN = re.compile(rf"seam_(?P<short>(?P<prefix>at1|cst1|)[{BASE58}]{{8}})_(?P<secret>[{BASE58}]{{24}})")
_JWT = re.compile(r"ey[\w-]+\.[\w-]+\.[\w-]*")

_KIND_OF_PREFIX = {
    "": TokenKind.API_KEY,
    "at1": TokenKind.PERSONAL_ACCESS_TOKEN,
    "cst1": TokenKind.CLIENT_SESSION,
}
_PREFIX_OF_KIND = {kind: prefix for prefix, kind in _KIND_OF_PREFIX.items()}
_NAME = {
    TokenKind.API_KEY: "API Key",
    TokenKind.PERSONAL_ACCESS_TOKEN: "Access token",
    TokenKind.CLIENT_SESSION: "Client session",
}
# These are the messages of Seam's fake server.
_NOT_FOUND = {
    TokenKind.API_KEY: "API Key not found",
    TokenKind.PERSONAL_ACCESS_TOKEN: "Access token not found",
    TokenKind.CLIENT_SESSION: "Unauthorized (client session not found)",
}


def authenticate(table: Table, authorization: str, now: datetime) -> Principal:
    """Return who an ``Authorization`` header speaks for.  It takes one read of the table at most.

    Args:
        table: The table.
        authorization: The header's value.
        now: The moment that a token's expiry is compared with.

    Raises:
        Unauthorized: The header has no valid token; the message says why.
        ServiceUnavailable: The database stays out of reach.
    """
    bearer = _AUTHORIZATION.fullmatch(authorization.strip())
    if bearer is None:
        raise Unauthorized("No token provided")
    if _JWT.fullmatch(bearer["token"]):
        raise Unauthorized("A JWT was used instead of an API key")
    parts = _TOKEN.fullmatch(bearer["token"])
    if parts is None:
        raise Unauthorized(_NOT_FOUND[TokenKind.API_KEY])

    kind, short = _KIND_OF_PREFIX[parts["prefix"]], parts["short"]
    record = table.get(token_key(short))
    if record is None or record["kind"] != kind or not is_secret_of(record, parts["secret"]):
        raise Unauthorized(_NOT_FOUND[kind])
    if "revoked_at" in record:
        raise Unauthorized(f"{_NAME[kind]} has been revoked")
    if "expires_at" in record and str(record["expires_at"]) <= timestamp(now):
        raise Unauthorized(f"{_NAME[kind]} has expired")
    return Principal(kind, short, split_ids(str(record["workspace_ids"])), split_ids(str(record["user_identity_ids"])))


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a token is issued for.

    Attributes:
        kind: Its kind.
        workspace_ids: The workspaces that it may enter; one, but for a personal access token.
        user_identity_ids: The user identities that a client session sees.
        name: What an operator knows it by.
        expires_at: When it stops working; ``None`` is never.
        is_sandbox: Whether an API key's text shows that it is a sandbox's.
    """

    kind: TokenKind
    workspace_ids: Sequence[str]
    user_identity_ids: Sequence[str] = ()
    name: str = ""
    expires_at: datetime | None = None
    is_sandbox: bool = False

    def __post_init__(self) -> None:
        if not self.workspace_ids:
            raise ValueError("a token needs a workspace")
        if len(self.workspace_ids) + len(self.user_identity_ids) > _MOST_IDS:
            raise ValueError(f"a token may name {_MOST_IDS} workspaces and user identities at most")
        if len(self.workspace_ids) > _MOST_WORKSPACES:
            raise ValueError(f"a token may enter {_MOST_WORKSPACES} workspaces at most")
        if not self.name.isprintable() or len(self.name) > _LONGEST_NAME:
            raise ValueError(f"a token's name is at most {_LONGEST_NAME} printable characters")
        if self.kind is not TokenKind.PERSONAL_ACCESS_TOKEN and len(self.workspace_ids) > 1:
            raise ValueError("only a personal access token may enter several workspaces")
        if (self.kind is TokenKind.CLIENT_SESSION) != bool(self.user_identity_ids):
            raise ValueError("a client session, and no other token, needs user identities")
        if self.is_sandbox and self.kind is not TokenKind.API_KEY:
            raise ValueError("only an API key can be one of a sandbox")

    def record(self, secret: str, now: datetime) -> Item:
        """Return the token's record.

        Args:
            secret: The token's last part.
            now: When it is issued.
        """
        expiry = {} if self.expires_at is None else {"expires_at": timestamp(self.expires_at)}
        return {
            "kind": self.kind.value,
            "secret_sha256": secret_hash(secret),
            "workspace_ids": ",".join(self.workspace_ids),
            "user_identity_ids": ",".join(self.user_identity_ids),
            "name": self.name,
            "created_at": timestamp(now),
            **expiry,
        }


def create_token(table: Table, new: NewToken) -> str:
    """Issue a token.  It cannot be shown again, because only a hash of its secret is stored.

    Args:
        table: The table.
        new: What it is issued for.

    Returns:
        The token.
    """
    while True:
        short, secret = new_short(new.kind, is_sandbox=new.is_sandbox), _random(SECRET_LENGTH)
        if store_token(table, short, new.record(secret, datetime.now(UTC))):
            return f"seam_{short}_{secret}"


def store_token(table: Table, short: str, record: Item) -> bool:
    """Store and list a token's record.  Return whether its short was free; if not, nothing was written."""
    return not table.transact(
        {"record": put_new(token_key(short), record), "listing": put_new(token_listing_key(short), {})}
    )


class StoredToken(NamedTuple):
    """A token as an operator sees it, without its secret.

    Attributes:
        token_id: The token's short.
        kind: Its kind.
        workspace_ids: The workspaces that it may enter.
        user_identity_ids: The user identities that a client session sees.
        name: What an operator knows it by.
        created_at: When it was issued.
        expires_at: When it stops working.
        revoked_at: When it was revoked.
    """

    token_id: str
    kind: TokenKind
    workspace_ids: tuple[str, ...]
    user_identity_ids: tuple[str, ...]
    name: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


def list_tokens(table: Table) -> list[StoredToken]:
    """Return all tokens, oldest first."""
    shorts = [str(item["sk"]) for item in table.query(token_listing_key("").pk)]
    keys = [token_key(short) for short in shorts]
    found = [table.batch_get(keys[start : start + 100]) for start in range(0, len(keys), 100)]
    tokens = [
        StoredToken(
            token_id=key.pk.removeprefix(token_key("").pk),
            kind=TokenKind(str(record["kind"])),
            workspace_ids=split_ids(str(record["workspace_ids"])),
            user_identity_ids=split_ids(str(record["user_identity_ids"])),
            name=str(record["name"]),
            created_at=str(record["created_at"]),
            expires_at=str(record["expires_at"]) if "expires_at" in record else None,
            revoked_at=str(record["revoked_at"]) if "revoked_at" in record else None,
        )
        for records in found
        for key, record in records.items()
    ]
    return sorted(tokens, key=lambda token: (token.created_at, token.token_id))


def revoke_token(table: Table, token_id: str, now: datetime) -> bool:
    """Revoke a token.  A token that was revoked before keeps the time of that.

    Args:
        table: The table.
        token_id: The token's short.
        now: When it is revoked.

    Returns:
        Whether the token exists.
    """
    revocation = change(token_key(token_id), assign={"revoked_at": timestamp(now)}, where={"revoked_at": None})
    refused = table.transact({"token": revocation})
    # Refused with an item, the token was revoked before; refused without one, there is no such token.
    return not refused or refused["token"] is not None


def new_short(kind: TokenKind, *, is_sandbox: bool = False) -> str:
    """Return a random short for a token; the token's record shows whether it is free.

    Args:
        kind: The token's kind.
        is_sandbox: Whether an API key's text shows that it is a sandbox's.
    """
    if is_sandbox:
        return _SANDBOX + _random(_SHORT_LENGTH - len(_SANDBOX))
    while True:
        short = _random(_SHORT_LENGTH)
        if kind is not TokenKind.API_KEY:
            return _PREFIX_OF_KIND[kind] + short
        if not short.startswith((*_RESERVED_SHORTS, _SANDBOX)):
            return short


def is_secret_of(record: Item, secret: str) -> bool:
    """Return whether a secret is the token's.  The time it takes does not depend on where a wrong one differs."""
    return hmac.compare_digest(str(record["secret_sha256"]), secret_hash(secret))


def secret_hash(secret: str) -> str:
    """Return what a token's record has of its secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(BASE58) for _ in range(length))
