"""Bearer tokens: their form, their records, and who a token speaks for.

A token is ``seam_<short>_<long>``, the scheme of the npm package ``prefixed-api-key``: ``<short>`` finds the record,
``<long>`` is the secret, of which only the SHA-256 is stored (contract, "Tokens").  A secret has 24 characters of
base58, about 140 random bits, so a fast hash is enough.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from enrollment.errors import Unauthorized
from enrollment.model import timestamp
from enrollment.table import Item, Table, put_new, token_key

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_SHORT_LENGTH = 8
_SECRET_LENGTH = 24
# A short that began like another kind's would be read as one by a person.
_RESERVED_SHORTS = ("at", "cst", "pk")

_AUTHORIZATION = re.compile(r"bearer +(?P<token>\S+)", re.IGNORECASE)
_TOKEN = re.compile(rf"seam_(?P<short>(?P<kind>at1|cst1)?[{_BASE58}]{{8}})_(?P<secret>[{_BASE58}]{{24}})")
_JWT = re.compile(r"ey[\w-]+\.[\w-]+\.[\w-]*")

_API_KEY_NOT_FOUND = "API Key not found"
_NOT_FOUND = {
    None: _API_KEY_NOT_FOUND,
    "at1": "Access token not found",
    "cst1": "Unauthorized (client session not found)",
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a good token speaks for.

    Attributes:
        token_id: The token's short, which is no secret.
        workspace_id: The workspace that the token opens.
    """

    token_id: str
    workspace_id: str


def authenticate(table: Table, authorization: str, now: datetime) -> Principal:
    """Return who an ``Authorization`` header speaks for, with one read of the table at most.

    Args:
        table: The table.
        authorization: The header's value.
        now: The moment that a token's expiry is compared with.

    Raises:
        Unauthorized: The header names no good token; its message says why, in the words of Seam's own fake.
        ServiceUnavailable: The database stays out of reach.
    """
    bearer = _AUTHORIZATION.fullmatch(authorization.strip())
    if bearer is None:
        raise Unauthorized("No token provided")
    token = bearer["token"]
    if _JWT.fullmatch(token):
        raise Unauthorized("A JWT was used instead of an API key")
    parts = _TOKEN.fullmatch(token)
    if parts is None:
        raise Unauthorized(_API_KEY_NOT_FOUND)
    not_found = _NOT_FOUND[parts["kind"]]

    record = table.get(token_key(parts["short"]))
    if record is None or not _is_secret_of(record, parts["secret"]):
        raise Unauthorized(not_found)
    if "revoked_at" in record:
        raise Unauthorized("API Key has been revoked")
    if "expires_at" in record and str(record["expires_at"]) <= timestamp(now):
        raise Unauthorized("API Key has expired")
    return Principal(token_id=parts["short"], workspace_id=str(record["workspace_id"]))


def create_api_key(table: Table, workspace_id: str, *, expires_at: datetime | None = None) -> str:
    """Issue an API key; it cannot be read again, as only its hash is stored.

    Args:
        table: The table.
        workspace_id: The workspace that the key opens.
        expires_at: When it stops working; ``None`` is never.

    Returns:
        The token.
    """
    while True:
        short = _random(_SHORT_LENGTH)
        if short.startswith(_RESERVED_SHORTS):
            continue
        secret = _random(_SECRET_LENGTH)
        record = api_key_record(secret, workspace_id, expires_at=expires_at)
        if table.put(put_new(token_key(short), record)):
            return f"seam_{short}_{secret}"


def api_key_record(
    secret: str, workspace_id: str, *, expires_at: datetime | None = None, revoked_at: datetime | None = None
) -> Item:
    """Return what is stored of an API key.

    Args:
        secret: The token's last part.
        workspace_id: The workspace that the key opens.
        expires_at: When it stops working; ``None`` is never.
        revoked_at: When it was revoked; ``None`` if it was not.
    """
    record: dict[str, str | bool] = {
        "kind": "api_key",
        "secret_sha256": _hash(secret),
        "workspace_id": workspace_id,
        "created_at": timestamp(datetime.now(UTC)),
    }
    if expires_at is not None:
        record["expires_at"] = timestamp(expires_at)
    if revoked_at is not None:
        record["revoked_at"] = timestamp(revoked_at)
    return record


def _is_secret_of(record: Item, secret: str) -> bool:
    return hmac.compare_digest(str(record["secret_sha256"]), _hash(secret))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_BASE58) for _ in range(length))
