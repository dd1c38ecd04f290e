"""Credentials: the use cases.

A credential stands for a person's access at one access system, on all of the person's phones.  It belongs to an ACS
user, whose item names it in ``acs_credential_ids``.  An ACS user is deleted or unlinked only while it has none, so no
credential outlives its ACS user.

What is wanted of a person at one credential manager has a revision, which is in the person's enrollment there.  Each
transaction that changes what is wanted raises it.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from enrollment.callers import Caller
from enrollment.errors import (
    AcsCredentialNotFound,
    InvalidInput,
    ServiceUnavailable,
)
from enrollment.resources.acs_credentials import (
    AcsCredential,
    AcsCredentialRequest,
    CreateAcsCredentialRequest,
    ListAcsCredentialsRequest,
    UpdateAcsCredentialRequest,
)
from enrollment.store.actions import as_read, change, put_new
from enrollment.store.attributes import Item
from enrollment.store.items import stored_acs_credential
from enrollment.store.keys import (
    acs_credential_key,
    acs_credential_listing_key,
    acs_credential_of_system_listing_key,
    acs_system_key,
    acs_user_key,
    listed_id,
)
from enrollment.store.listings import Page, is_found, newest_first, positions_of, read_page
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.credential_answers import credential_of
from enrollment.use_cases.credential_items import (
    credentials_of_user_identity,
    delete_credentials,
    delete_some,
    is_of_one_phone,
    load_credentials,
    raise_revision,
)
from enrollment.use_cases.credential_owners import choose_manager, choose_owner
from enrollment.use_cases.links import use_user_identity

# A round is repeated when another request has changed what it was based on.
_ROUNDS = 4


def create(table: Table, caller: Caller, request: CreateAcsCredentialRequest) -> AcsCredential:
    """Create a credential for a person; if the person has no ACS user in the system yet, link or create one.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated body.

    Raises:
        InvalidInput: It would end in the past, or before it starts.  With this error and all others, nothing was
            written.
        UserIdentityNotFound: There is no such user identity.
        AcsUserNotFound: There is no such ACS user.
        AcsUserNotInAcsSystem: The ACS user is another system's.
        AcsUserHasNoUserIdentity: It is not linked to a user identity.
        TooManyAcsCredentials: It has as many credentials as it may have.
        AcsSystemNotFound: There is no such ACS system, or no such credential manager.
        AcsSystemIsNotCredentialManager: The system that is named as the credential manager cannot issue credentials.
        CredentialManagerNotCompatible: The credential manager cannot issue credentials for the ACS user's system.
        NoCredentialManager: No credential manager is named, and nothing speaks for one.
        ServiceUnavailable: The database stays out of reach.
    """
    now = datetime.now(UTC)
    validity = _validity(request, now)
    for _ in range(_ROUNDS):
        credential_id = str(uuid.uuid4())
        owner = choose_owner(table, caller.workspace_id, request, credential_id)
        manager = choose_manager(table, request, owner)
        credential: Item = {
            "acs_credential_id": credential_id,
            "workspace_id": caller.workspace_id,
            "acs_user_id": owner.acs_user_id,
            "acs_system_id": owner.system["acs_system_id"],
            "user_identity_id": owner.user_identity_id,
            "credential_manager_acs_system_id": manager.acs_system_id,
            "created_at": timestamp(now),
            "version": 1,
            **validity,
            **_options(request),
        }
        stored = {str(key): put_new(key, item) for key, item in stored_acs_credential(credential).items()}
        refused = table.transact(
            {**owner.actions, **manager.actions, "enrollment": raise_revision(credential), **stored}
        )
        if not refused:
            return credential_of(credential, owner.system)
    raise ServiceUnavailable


def get(table: Table, caller: Caller, request: AcsCredentialRequest) -> AcsCredential:
    """Return a credential.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        AcsCredentialNotFound: There is none, or it is of a user identity that the caller does not see.
        ServiceUnavailable: The database stays out of reach.
    """
    return _answered(table, _require(table, caller, request.acs_credential_id))


def list_page(
    table: Table, caller: Caller, request: ListAcsCredentialsRequest, after: str | None = None
) -> Page[AcsCredential]:
    """Return a page of credentials, newest first; a client session sees those of its user identities.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.
        after: The position behind which the page begins.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    workspace_id, before = caller.workspace_id, request.created_before
    identity_ids = _named_user_identities(table, caller, request)
    if identity_ids is not None:
        items = [
            item
            for identity_id in sorted(identity_ids)
            for item in credentials_of_user_identity(table, workspace_id, identity_id)
        ]
        positions = positions_of(items, "acs_credential_id", before=before, after=after)
    else:
        listing = acs_credential_listing_key(workspace_id, "", "").pk
        if request.acs_system_id is not None:
            listing = acs_credential_of_system_listing_key(workspace_id, request.acs_system_id, "", "").pk
        positions = newest_first(table, listing, before=before, after=after, limit=request.limit)

    def keep(credential: AcsCredential) -> bool:
        return (
            (request.acs_user_id is None or request.acs_user_id == credential.acs_user_id)
            and (request.acs_system_id is None or request.acs_system_id == credential.acs_system_id)
            and request.is_multi_phone_sync_credential in (None, credential.is_multi_phone_sync_credential)
            and is_found(
                request.search, [credential.display_name, credential.acs_user_id, credential.acs_credential_id]
            )
        )

    return read_page(positions, lambda some: _load(table, workspace_id, some), keep, request.limit)


def update(table: Table, caller: Caller, request: UpdateAcsCredentialRequest) -> AcsCredential:
    """Change when a credential ends, and return it.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated body.

    Raises:
        AcsCredentialNotFound: There is none, it is being deleted, or its user identity is.
        InvalidInput: It would end in the past, or before it starts; or it is a phone's under a multi-phone sync
            credential, which has that one's end.
        ServiceUnavailable: The database stays out of reach.
    """
    if request.ends_at is not None:  # wrong input is refused before the id is looked up
        _end(request.ends_at, timestamp(datetime.now(UTC)))
    for _ in range(_ROUNDS):
        credential = _require_changeable(table, caller, request.acs_credential_id)
        if request.ends_at is None:
            return _answered(table, credential)
        ends_at = _end(request.ends_at, str(credential["starts_at"]))
        if ends_at == credential.get("ends_at"):
            return _answered(table, credential)
        changed: Item = {"ends_at": ends_at, "version": int(str(credential["version"])) + 1}
        workspace_id, identity_id = str(credential["workspace_id"]), str(credential["user_identity_id"])
        key = acs_credential_key(workspace_id, identity_id, request.acs_credential_id)
        refused = table.transact(
            {
                "user_identity": use_user_identity(workspace_id, identity_id),
                "credential": change(key, assign=changed, where=as_read(credential, ["version", "being_deleted_at"])),
                "enrollment": raise_revision(credential),
            }
        )
        if not refused:
            return _answered(table, {**credential, **changed})
        if "user_identity" in refused:
            raise AcsCredentialNotFound
    raise ServiceUnavailable


def delete_one(table: Table, caller: Caller, request: AcsCredentialRequest) -> None:
    """Delete a credential, with those of the phones that stand under it.

    The credential of one phone is there until the credential manager has revoked it.  The phone gets no other one in
    its place.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        AcsCredentialNotFound: There is none, or it is of a user identity that the caller does not see.
        ServiceUnavailable: The database stays out of reach.
    """
    for _ in range(_ROUNDS):
        credential = _require(table, caller, request.acs_credential_id)
        if not delete_some(table, [credential], is_withdrawn=True):
            _mark_those_under(table, credential)
            return
    raise ServiceUnavailable


def _mark_those_under(table: Table, parent: Item) -> None:
    """Mark the credentials that stand under one that was deleted.  If this is interrupted, an execution does it."""
    if is_of_one_phone(parent):
        return
    all_ = credentials_of_user_identity(table, str(parent["workspace_id"]), str(parent["user_identity_id"]))
    parent_id = parent["acs_credential_id"]
    delete_credentials(table, [item for item in all_ if item.get("parent_acs_credential_id") == parent_id])


def _validity(request: CreateAcsCredentialRequest, now: datetime) -> Item:
    starts_at = timestamp(request.starts_at or now)
    if request.ends_at is None:
        return {"starts_at": starts_at}
    return {"starts_at": starts_at, "ends_at": _end(request.ends_at, max(starts_at, timestamp(now)))}


def _end(ends_at: datetime, after: str) -> str:
    # They are compared as they are stored: two moments within one millisecond are equal.
    end = timestamp(ends_at)
    if end <= after:
        raise InvalidInput([("ends_at", "Must be in the future and after starts_at")])
    return end


def _options(request: CreateAcsCredentialRequest) -> Item:
    options = request.options_json()
    return {} if options is None else {"options": options}


def _require(table: Table, caller: Caller, acs_credential_id: str) -> Item:
    (found,) = load_credentials(table, caller.workspace_id, [acs_credential_id])
    if found is None or not caller.sees(str(found["user_identity_id"])):
        raise AcsCredentialNotFound
    return found


def _require_changeable(table: Table, caller: Caller, acs_credential_id: str) -> Item:
    credential = _require(table, caller, acs_credential_id)
    if "being_deleted_at" in credential:
        raise AcsCredentialNotFound
    if parent_id := credential.get("parent_acs_credential_id"):
        message = f"Must not be the credential of one phone; update {parent_id}, to which it belongs"
        raise InvalidInput([("acs_credential_id", message)])
    return credential


def _answered(table: Table, credential: Item) -> AcsCredential:
    key = acs_system_key(str(credential["workspace_id"]), str(credential["acs_system_id"]))
    return credential_of(credential, table.batch_get([key])[key])


def _load(table: Table, workspace_id: str, positions: Sequence[str]) -> list[AcsCredential | None]:
    """Return the credentials at some positions of a list; ``None`` for each that has been deleted."""
    items = load_credentials(table, workspace_id, list(map(listed_id, positions)))
    keys = {
        str(item["acs_system_id"]): acs_system_key(workspace_id, str(item["acs_system_id"]))
        for item in items
        if item is not None
    }
    systems = table.get_all(keys.values())
    return [None if item is None else credential_of(item, systems[keys[str(item["acs_system_id"])]]) for item in items]


def _named_user_identities(table: Table, caller: Caller, request: ListAcsCredentialsRequest) -> set[str] | None:
    """Return the ids of user identities that the request or the caller restricts the list to; ``None`` is all."""
    named = None if caller.user_identity_ids is None else set(caller.user_identity_ids)
    wanted = [] if request.user_identity_id is None else [request.user_identity_id]
    if request.acs_user_id is not None:
        acs_user = table.get(acs_user_key(caller.workspace_id, request.acs_user_id)) or {}
        wanted.append(str(acs_user.get("user_identity_id")))
    for identity_id in wanted:
        named = {identity_id} if named is None else named & {identity_id}
    return named
