"""Client sessions: the use cases.

A session's secret is derived from a master secret and the session's id.  So every answer can have the token, although
the table has only a hash of the secret.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from enrollment.callers import Caller, TokenKind
from enrollment.errors import (
    ClientSessionNotFound,
    ConnectedAccountNotFound,
    ConnectWebviewNotFound,
    InvalidInput,
    ServiceUnavailable,
)
from enrollment.resources.client_sessions import (
    MOST_USER_IDENTITIES,
    AccessRequest,
    ClientSession,
    ClientSessionRequest,
    CreateClientSessionRequest,
    GetClientSessionRequest,
    GrantAccessRequest,
    ListClientSessionsRequest,
)
from enrollment.secrets import derive
from enrollment.store.actions import Action, put, put_new
from enrollment.store.attributes import Item
from enrollment.store.items import stored_client_session
from enrollment.store.keys import (
    client_session_key,
    client_session_listing_key,
    client_session_of_key_listing_key,
    client_session_of_user_identity_listing_key,
    listed_id,
    token_key,
    user_identity_key,
)
from enrollment.store.listings import Page, newest_first, positions_of, read_page
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.client_session_items import (
    change_session,
    delete_session,
    joined,
    require_as_found,
    revoke_session,
    user_identities_of,
)
from enrollment.use_cases.client_session_lookup import find, named, take, take_free
from enrollment.use_cases.links import require_usable, use_user_identity
from enrollment.use_cases.tokens import BASE58, SECRET_LENGTH, StoredToken, new_short, secret_hash

_DEFAULT_LIFE = timedelta(days=365)
FIRST_VERSION = "1"

# A round is repeated when another request has changed what it was based on.
_ROUNDS = 8


def create(table: Table, caller: Caller, request: CreateClientSessionRequest, *, master: bytes) -> ClientSession:
    """Create a client session, even if there is another one of the same key or user identities.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated body.
        master: The master secret of client sessions.

    Raises:
        InvalidInput: It would have expired already.
        ConnectedAccountNotFound: A connected account is named.  With this error and all others, nothing was written.
        ConnectWebviewNotFound: A Connect Webview is named.
        UserIdentityNotFound: A user identity does not exist, or is being deleted.
        ServiceUnavailable: The database stays out of reach.
    """
    _require_future(request.expires_at)
    identity_ids = _require_access(table, caller, request)
    for _ in range(_ROUNDS):
        now = datetime.now(UTC)
        session = _new_session(caller, request, now)
        actions = {**_put_session(session, master), **_use(caller, identity_ids)}
        refused = table.transact(actions | take_free(table, caller, session, now))
        if not refused:
            return client_session_of(session, master)
        _raise_if_gone(refused)  # else another session has taken a pointer, or has the same short
    raise ServiceUnavailable


def get_or_create(table: Table, caller: Caller, request: CreateClientSessionRequest, *, master: bytes) -> ClientSession:
    """Return the live session of a key; without a key, one of exactly these user identities; else create one.

    A session that is found by its key is granted the user identities that it lacks.  If the request says when the
    session expires, the session that is found expires then.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated body.
        master: The master secret of client sessions.

    Raises:
        InvalidInput: It would have expired already, or would have too many user identities.
        ConnectedAccountNotFound: A connected account is named.  With this error and all others, nothing was written.
        ConnectWebviewNotFound: A Connect Webview is named.
        UserIdentityNotFound: A user identity does not exist, or is being deleted.
        ServiceUnavailable: The database stays out of reach.
    """
    _require_future(request.expires_at)
    identity_ids = _require_access(table, caller, request)
    for _ in range(_ROUNDS):
        now = datetime.now(UTC)
        pointer, found = find(table, caller, request.user_identifier_key, identity_ids, now)
        if found is None:
            session = _new_session(caller, request, now)
            actions = {**_put_session(session, master), **_use(caller, identity_ids)}
            # The pointer last: it must be as it was when no session was found.
            actions |= {**take_free(table, caller, session, now), **take(pointer, session)}
        else:
            session = _granted(found, identity_ids, request.expires_at)
            new_ids = identity_ids - set(user_identities_of(found))
            actions = {**_change(table, found, session), **_use(caller, new_ids)}
            if found is not pointer.session:
                actions = {"client_session": require_as_found(found), **actions, **take(pointer, found)}
        refused = table.transact(actions) if actions else {}
        if not refused:
            return client_session_of(session, master)
        _raise_if_gone(refused)  # else another request has created or changed the session meanwhile
    raise ServiceUnavailable


def get(table: Table, caller: Caller, request: GetClientSessionRequest, *, master: bytes) -> ClientSession:
    """Return a client session.

    Args:
        table: The table.
        caller: Who asks.  A client session sees itself, and need not name itself.
        request: The validated parameters.
        master: The master secret of client sessions.

    Raises:
        InvalidInput: The request names no session, and does not come from one.
        ClientSessionNotFound: There is none, it is revoked, or the caller does not see it.
        ServiceUnavailable: The database stays out of reach.
    """
    session_id = request.client_session_id
    if caller.session_token_id is not None:
        record = table.get(token_key(caller.session_token_id))
        if record is None or "client_session_id" not in record:  # an older release has issued it
            raise ClientSessionNotFound
        if session_id is not None and session_id != record["client_session_id"]:
            raise ClientSessionNotFound
        session_id = str(record["client_session_id"])
    session = named(table, caller, session_id, request.user_identifier_key)
    return client_session_of(session, master)


def list_page(
    table: Table, caller: Caller, request: ListClientSessionsRequest, after: str | None = None, *, master: bytes
) -> Page[ClientSession]:
    """Return a page of client sessions that are not revoked, newest first.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.
        after: The position behind which the page begins.
        master: The master secret of client sessions.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    workspace_id = caller.workspace_id
    if request.connect_webview_id is not None:  # no session has one
        return Page([], None)

    def load(some: Sequence[str]) -> list[ClientSession | None]:
        keys = [client_session_key(workspace_id, listed_id(position)) for position in some]
        found = table.get_all(keys)
        items = [found.get(key) for key in keys]
        return [
            client_session_of(item, master) if item is not None and _is_listed(request, item) else None
            for item in items
        ]

    return read_page(_positions(table, caller, request, after), load, lambda _: True, request.limit)


def grant_access(table: Table, caller: Caller, request: GrantAccessRequest, *, master: bytes) -> ClientSession:
    """Give a client session more user identities.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated body.
        master: The master secret of client sessions.

    Raises:
        InvalidInput: The request names no session, or the session would have too many user identities.
        ConnectedAccountNotFound: A connected account is named.  With this error and all others, nothing was written.
        ConnectWebviewNotFound: A Connect Webview is named.
        ClientSessionNotFound: There is none, or it is revoked.
        UserIdentityNotFound: A user identity does not exist, or is being deleted.
        ServiceUnavailable: The database stays out of reach.
    """
    for _ in range(_ROUNDS):
        found = named(table, caller, request.client_session_id, request.user_identifier_key)
        identity_ids = _require_access(table, caller, request)
        session = _granted(found, identity_ids, None)
        actions = _change(table, found, session)
        new_ids = identity_ids - set(user_identities_of(found))
        refused = table.transact({**actions, **_use(caller, new_ids)}) if actions else {}
        if not refused:
            return client_session_of(session, master)
        _raise_if_gone(refused)  # else another request has changed the session meanwhile
    raise ServiceUnavailable


def revoke(table: Table, caller: Caller, request: ClientSessionRequest) -> None:
    """Revoke a client session; if it is revoked already, do nothing.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        ClientSessionNotFound: There is none.
        ServiceUnavailable: The database stays out of reach.
    """

    def revocation(session: Item) -> dict[str, Action]:
        return {} if "revoked_at" in session else revoke_session(table, session, datetime.now(UTC))

    _end(table, caller, request, revocation)


def delete(table: Table, caller: Caller, request: ClientSessionRequest) -> None:
    """Delete a client session, be it revoked or not.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        ClientSessionNotFound: There is none.
        ServiceUnavailable: The database stays out of reach.
    """
    _end(table, caller, request, lambda session: delete_session(table, session))


def revoke_by_token(table: Table, token_id: str) -> bool:
    """Revoke the client session of a token.

    Args:
        table: The table.
        token_id: The token's short.

    Returns:
        Whether it is a token of a client session that has an item.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    record = table.get(token_key(token_id))
    if record is None or "client_session_id" not in record:
        return False
    request = ClientSessionRequest(client_session_id=str(record["client_session_id"]))
    with suppress(ClientSessionNotFound):  # it has been deleted meanwhile
        revoke(table, Caller(str(record["workspace_ids"])), request)
    return True


def tokens_of_workspace(table: Table, workspace_id: str) -> list[StoredToken]:
    """Return the tokens of a workspace's client sessions, oldest first, as an operator sees them.

    Args:
        table: The table.
        workspace_id: The workspace.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    entries = table.query(client_session_listing_key(workspace_id, "", "").pk)
    keys = [client_session_key(workspace_id, listed_id(str(entry["sk"]))) for entry in entries]
    found = table.get_all(keys)
    return [_stored_token(found[key]) for key in keys if key in found]


def client_session_of(item: Item, master: bytes) -> ClientSession:
    """Return a client session as the API answers it."""
    identity_ids = user_identities_of(item)
    user_key = item.get("user_identifier_key")
    return ClientSession(
        client_session_id=str(item["client_session_id"]),
        workspace_id=str(item["workspace_id"]),
        token=f"seam_{item['token_id']}_{secret_of(item, master)}",
        user_identifier_key=None if user_key is None else str(user_key),
        user_identity_id=identity_ids[0] if len(identity_ids) == 1 else None,
        user_identity_ids=list(identity_ids),
        created_at=str(item["created_at"]),
        expires_at=str(item["expires_at"]),
    )


def secret_of(session: Item, master: bytes) -> str:
    """Return the secret of a client session's token: 24 characters of base58.

    They hold 140 of the 256 bits that are derived, so the remainders of a division are as good as random.

    Args:
        session: The session's item.
        master: The master secret of client sessions.
    """
    version = str(session["secret_version"])
    number = int.from_bytes(derive(master, "client_session", str(session["client_session_id"]), version))
    characters = []
    for _ in range(SECRET_LENGTH):
        number, digit = divmod(number, len(BASE58))
        characters.append(BASE58[digit])
    return "".join(characters)


def token_record(session: Item, master: bytes) -> Item:
    """Return the record of a client session's token, which the authorizer reads.

    Args:
        session: The session's item.
        master: The master secret of client sessions.
    """
    return {
        "kind": TokenKind.CLIENT_SESSION.value,
        "secret_sha256": secret_hash(secret_of(session, master)),
        "workspace_ids": session["workspace_id"],
        "name": "",
        **{name: session[name] for name in ("user_identity_ids", "created_at", "expires_at", "client_session_id")},
    }


def _new_session(caller: Caller, request: CreateClientSessionRequest, now: datetime) -> Item:
    user_key = request.user_identifier_key
    return {
        "client_session_id": str(uuid.uuid4()),
        "workspace_id": caller.workspace_id,
        "token_id": new_short(TokenKind.CLIENT_SESSION),
        "secret_version": FIRST_VERSION,
        "user_identity_ids": joined(request.all_user_identity_ids()),
        **({} if user_key is None else {"user_identifier_key": user_key}),
        "created_at": timestamp(now),
        "expires_at": timestamp(request.expires_at or now + _DEFAULT_LIFE),
    }


def _put_session(session: Item, master: bytes) -> dict[str, Action]:
    """Return the actions that store a new session, its entries, and the record of its token."""
    (itself, *entries) = stored_client_session(session).items()
    return {
        "client_session": put_new(*itself),
        "token": put_new(token_key(str(session["token_id"])), token_record(session, master)),
        **{f"entry_{index}": put(*entry) for index, entry in enumerate(entries)},
    }


def _require_access(table: Table, caller: Caller, request: AccessRequest) -> frozenset[str]:
    """Return the user identities that a request names, each of which exists and is not being deleted."""
    if request.connected_account_ids:
        raise ConnectedAccountNotFound
    if request.connect_webview_ids:
        raise ConnectWebviewNotFound
    identity_ids = request.all_user_identity_ids()
    found = table.get_all(user_identity_key(caller.workspace_id, identity_id) for identity_id in identity_ids)
    for identity_id in identity_ids:
        require_usable(found.get(user_identity_key(caller.workspace_id, identity_id)))
    return identity_ids


def _require_future(expires_at: datetime | None) -> None:
    if expires_at is not None and timestamp(expires_at) <= timestamp(datetime.now(UTC)):
        raise InvalidInput([("expires_at", "Must be in the future")])


def _use(caller: Caller, identity_ids: Iterable[str]) -> dict[str, Action]:
    return {
        f"user_identity_{identity_id}": use_user_identity(caller.workspace_id, identity_id)
        for identity_id in sorted(identity_ids)
    }


def _raise_if_gone(refused: Mapping[str, Item | None]) -> None:
    for name, item in refused.items():
        if name.startswith("user_identity_"):
            require_usable(item)


def _granted(session: Item, identity_ids: Iterable[str], expires_at: datetime | None) -> Item:
    """Return a session as it is to be: with more user identities, and perhaps another end.

    Raises:
        InvalidInput: It would have too many user identities.
    """
    all_ids = {*user_identities_of(session), *identity_ids}
    if len(all_ids) > MOST_USER_IDENTITIES:
        raise InvalidInput([(None, f"A client session may have {MOST_USER_IDENTITIES} user identities")])
    end = session["expires_at"] if expires_at is None else timestamp(expires_at)
    return {**session, "user_identity_ids": joined(all_ids), "expires_at": end}


def _change(table: Table, found: Item, wanted: Item) -> dict[str, Action]:
    """Return the actions that change a session; none if it is as wanted."""
    if found == wanted:
        return {}
    return change_session(
        table, found, user_identity_ids=user_identities_of(wanted), expires_at=str(wanted["expires_at"])
    )


def _stored_token(session: Item) -> StoredToken:
    return StoredToken(
        token_id=str(session["token_id"]),
        kind=TokenKind.CLIENT_SESSION,
        workspace_ids=(str(session["workspace_id"]),),
        user_identity_ids=user_identities_of(session),
        name=str(session.get("user_identifier_key", "")),
        created_at=str(session["created_at"]),
        expires_at=str(session["expires_at"]),
        revoked_at=str(session["revoked_at"]) if "revoked_at" in session else None,
    )


def _positions(table: Table, caller: Caller, request: ListClientSessionsRequest, after: str | None) -> Iterator[str]:
    """Yield positions of the shortest list that has all sessions which a request asks for."""
    workspace_id = caller.workspace_id
    if request.client_session_id is not None:
        item = table.get(client_session_key(workspace_id, request.client_session_id))
        return positions_of([] if item is None else [item], "client_session_id", after=after)
    if request.user_identity_id is not None:
        listing = client_session_of_user_identity_listing_key(workspace_id, request.user_identity_id, "", "")
    elif request.user_identifier_key is not None:
        listing = client_session_of_key_listing_key(workspace_id, request.user_identifier_key, "", "")
    else:
        listing = client_session_listing_key(workspace_id, "", "")
    return newest_first(table, listing.pk, after=after, limit=request.limit)


def _is_listed(request: ListClientSessionsRequest, session: Item) -> bool:
    user_key, identity_ids = session.get("user_identifier_key"), user_identities_of(session)
    if "revoked_at" in session:
        return False
    if request.client_session_id is not None and request.client_session_id != session["client_session_id"]:
        return False
    if request.user_identifier_key is not None and request.user_identifier_key != user_key:
        return False
    if request.without_user_identifier_key and user_key is not None:
        return False
    if "user_identity_id" not in request.model_fields_set:
        return True
    return request.user_identity_id in identity_ids if request.user_identity_id is not None else not identity_ids


def _end(
    table: Table, caller: Caller, request: ClientSessionRequest, actions_on: Callable[[Item], dict[str, Action]]
) -> None:
    for _ in range(_ROUNDS):
        session = table.get(client_session_key(caller.workspace_id, request.client_session_id))
        if session is None:
            raise ClientSessionNotFound
        actions = actions_on(session)
        if not actions or not table.transact(actions):
            return
    raise ServiceUnavailable
