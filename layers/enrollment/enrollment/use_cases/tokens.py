"""Bearer tokens: their form, their records, and who a token speaks for.

A token is ``seam_<short>_<secret>``, as the npm package ``prefixed-api-key`` makes them (contract, "Tokens").  The
record is found by ``<short>``.  It holds the SHA-256 of ``<secret>``, never the secret.  A secret has 24 characters of
base58, which is about 140 random bits, so a fast hash is enough.

A token that was given another secret keeps its short.  Its record has the hashes of the former secrets, each with the
moment until which it is good (``token_rotation``).
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from enrollment.callers import Principal, TokenKind, split_ids
from enrollment.errors import Unauthorized
from enrollment.store.actions import change, put_new
from enrollment.store.attributes import Item, elements
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
# Of client sessions no use is noted: there are very many, and each would be written at once as the apps open.
_NOTED_KINDS = (TokenKind.API_KEY, TokenKind.PERSONAL_ACCESS_TOKEN)
# A use is written once in this time, so that it costs next to nothing.
NOTED_EVERY = timedelta(hours=1)
# Of any secret, and of a former one.  The authorizer's role may write these attributes, and no other.
LAST_USED, FORMER_LAST_USED = "last_used_at", "former_secret_last_used_at"

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


class Admission(NamedTuple):
    """A token that was found good.

    Attributes:
        principal: Who it speaks for.
        record: Its record, as it was read.
        is_by_former_secret: Whether it has a secret that was followed by another one.
    """

    principal: Principal
    record: Item
    is_by_former_secret: bool


def authenticate(table: Table, authorization: str, now: datetime) -> Admission:
    """Return who an ``Authorization`` header speaks for.  It takes one read of the table at most.

    Args:
        table: The table.
        authorization: The header's value.
        now: The moment that the ends of the token and of its former secrets are compared with.

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
    if record is None or record["kind"] != kind:
        raise Unauthorized(_NOT_FOUND[kind])
    is_current, is_former = is_secret_of(record, parts["secret"]), _is_former_secret_of(record, parts["secret"], now)
    if not is_current and not is_former:
        raise Unauthorized(_NOT_FOUND[kind])
    if "revoked_at" in record:
        raise Unauthorized(f"{_NAME[kind]} has been revoked")
    if "expires_at" in record and str(record["expires_at"]) <= timestamp(now):
        raise Unauthorized(f"{_NAME[kind]} has expired")
    workspace_ids, identity_ids = split_ids(str(record["workspace_ids"])), split_ids(str(record["user_identity_ids"]))
    return Admission(Principal(kind, short, workspace_ids, identity_ids), record, not is_current)


def note_use(table: Table, admission: Admission, now: datetime) -> None:
    """Note that a token was used, unless that was noted within the last hour.

    An operator sees so which tokens are in use, and when a former secret can be ended.

    Args:
        table: The table.
        admission: The token.
        now: The time.

    Raises:
        ServiceUnavailable: The database is out of reach.  Nothing is repeated but what botocore repeats.
    """
    principal, record, is_by_former_secret = admission
    if principal.kind not in _NOTED_KINDS:
        return
    noted_before = timestamp(now - NOTED_EVERY)
    names = (LAST_USED, FORMER_LAST_USED) if is_by_former_secret else (LAST_USED,)
    due = [name for name in names if str(record.get(name, "")) <= noted_before]
    if due:
        table.note(token_key(principal.token_id), dict.fromkeys(due, timestamp(now)))


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
            **({"is_use_noted": True} if self.kind in _NOTED_KINDS else {}),
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
        short, secret = new_short(new.kind, is_sandbox=new.is_sandbox), new_secret()
        if store_token(table, short, new.record(secret, datetime.now(UTC))):
            return token_of(short, secret)


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
        last_used_at: When it was last used, to the hour.
        is_use_noted: Whether its uses were always noted; no use of a token of an older release was.
        former_secrets_until: Until when its former secrets are good, the first to end first; also of those that ended.
        former_secret_last_used_at: When one of these was last used, to the hour.
    """

    token_id: str
    kind: TokenKind
    workspace_ids: tuple[str, ...]
    user_identity_ids: tuple[str, ...]
    name: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None = None
    is_use_noted: bool = False
    former_secrets_until: tuple[str, ...] = ()
    former_secret_last_used_at: str | None = None

    @classmethod
    def from_record(cls, token_id: str, record: Item) -> "StoredToken":
        """Return what an operator sees of a token's record."""

        def moment(name: str) -> str | None:
            return str(record[name]) if name in record else None

        return cls(
            token_id=token_id,
            kind=TokenKind(str(record["kind"])),
            workspace_ids=split_ids(str(record["workspace_ids"])),
            user_identity_ids=split_ids(str(record["user_identity_ids"])),
            name=str(record["name"]),
            created_at=str(record["created_at"]),
            expires_at=moment("expires_at"),
            revoked_at=moment("revoked_at"),
            last_used_at=moment(LAST_USED),
            is_use_noted="is_use_noted" in record,
            former_secrets_until=tuple(sorted(former_secrets(record).values())),
            former_secret_last_used_at=moment(FORMER_LAST_USED),
        )


def list_tokens(table: Table) -> list[StoredToken]:
    """Return all tokens, oldest first."""
    shorts = [str(item["sk"]) for item in table.query(token_listing_key("").pk)]
    keys = [token_key(short) for short in shorts]
    found = [table.batch_get(keys[start : start + 100]) for start in range(0, len(keys), 100)]
    tokens = [
        StoredToken.from_record(key.pk.removeprefix(token_key("").pk), record)
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


def token_of(short: str, secret: str) -> str:
    """Return the text of a token."""
    return f"seam_{short}_{secret}"


def new_secret() -> str:
    """Return a random secret for a token."""
    return _random(SECRET_LENGTH)


def is_secret_of(record: Item, secret: str) -> bool:
    """Return whether a secret is the token's.  The time it takes does not depend on where a wrong one differs."""
    return hmac.compare_digest(str(record["secret_sha256"]), secret_hash(secret))


def former_secrets(record: Item) -> dict[str, str]:
    """Return until when each former secret of a token is good, by its hash."""
    return dict(each.split(" ", 1) for each in elements(record.get("former_secrets")))


def secret_hash(secret: str) -> str:
    """Return what a token's record has of its secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _is_former_secret_of(record: Item, secret: str, now: datetime) -> bool:
    """Return whether a secret is a former one that is still good.  Each is compared, whichever it is."""
    moment, digest = timestamp(now), secret_hash(secret)
    matches = [
        hmac.compare_digest(former, digest) & (until > moment) for former, until in former_secrets(record).items()
    ]
    return any(matches)


def _random(length: int) -> str:
    return "".join(secrets.choice(BASE58) for _ in range(length))
