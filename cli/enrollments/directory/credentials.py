"""What can be wrong with the phones, credentials and enrollments of a workspace, and how it is mended.

An older release deletes user identities and ACS users without what belongs to them, and unlinks ACS users that have
credentials.  A credential without its ACS user or its person is a key that nobody can take away, so it is deleted.
That of a phone is marked, so that an execution revokes it.

What is at a credential manager may outlive its person until the manager has let go of it, so that is right.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from enrollment.store.actions import Action, change, delete, require, require_absent
from enrollment.store.attributes import Item, Value, elements
from enrollment.store.items import stored_acs_credential, stored_phone
from enrollment.store.keys import (
    Key,
    acs_credential_by_id_key,
    acs_user_key,
    registration_key,
    user_identity_key,
)
from enrollment.timestamps import timestamp
from enrollment.use_cases.credential_items import enrollment_key_of, is_of_one_phone, raise_revision
from enrollment.use_cases.enrollments import EnrollmentId

# What is wrong, and the actions that mend it.
type Fault = tuple[str, dict[str, Action]]

_NO_USER_IDENTITY = "its user identity does not exist"


def related_to_credential(credential: Item) -> list[Key]:
    """Return the keys of the items that decide whether a credential is right, beside its entries."""
    registration = [_registration_key(credential)] if is_of_one_phone(credential) else []
    return [_identity_key(credential), _acs_user_key(credential), enrollment_key_of(credential), *registration]


def faults_of_credential(credential: Item, found: Mapping[Key, Item]) -> Iterator[Fault]:
    """Yield what is wrong with a credential.

    Args:
        credential: Its item, without its key.
        found: The existing items of ``related_to_credential``.
    """
    if is_of_one_phone(credential) and _registration_key(credential) not in found:
        missing = {"registration": require_absent(_registration_key(credential))}
        yield "its phone's registration does not exist", _deletion(stored_acs_credential(credential)) | missing
    elif "being_deleted_at" not in credential:
        yield from _faults_with_acs_user(credential, found)


def _faults_with_acs_user(credential: Item, found: Mapping[Key, Item]) -> Iterator[Fault]:
    owner_key, credential_id = _acs_user_key(credential), str(credential["acs_credential_id"])
    owner = found.get(owner_key)
    is_named = owner is not None and credential_id in elements(owner.get("acs_credential_ids"))
    deletion = _end(credential) | {"enrollment": raise_revision(credential)}
    if owner is None:
        yield "its ACS user does not exist", deletion | {"acs_user": require_absent(owner_key)}
    elif owner.get("user_identity_id") != credential["user_identity_id"]:
        as_seen: Mapping[str, Value | None] = {"user_identity_id": owner.get("user_identity_id")}
        discarded = change(owner_key, discard={"acs_credential_ids": frozenset({credential_id})}, where=as_seen)
        yield "its ACS user is not linked to its user identity", deletion | {"acs_user": discarded}
    elif _identity_key(credential) not in found:
        yield _NO_USER_IDENTITY, deletion | {"user_identity": require_absent(_identity_key(credential))}
    elif not is_named:
        itself = next(iter(stored_acs_credential(credential)))
        added = change(
            owner_key,
            add={"acs_credential_ids": frozenset({credential_id})},
            where={"user_identity_id": credential["user_identity_id"]},
        )
        yield "its ACS user does not name it", {"record": require(itself), "acs_user": added}
    elif enrollment_key_of(credential) not in found:
        itself = next(iter(stored_acs_credential(credential)))
        yield "its enrollment is missing", {"record": require(itself), "enrollment": raise_revision(credential)}


def related_to_acs_user(acs_user: Item) -> list[Key]:
    """Return the keys that find the credentials which an ACS user names."""
    workspace_id = str(acs_user["workspace_id"])
    return [
        acs_credential_by_id_key(workspace_id, credential_id)
        for credential_id in elements(acs_user.get("acs_credential_ids"))
    ]


def faults_of_acs_user(acs_user: Item, found: Mapping[Key, Item]) -> Iterator[Fault]:
    """Yield which credentials an ACS user names that do not exist.

    Args:
        acs_user: Its item, without its key.
        found: The existing items of ``related_to_acs_user``.
    """
    workspace_id, acs_user_id = str(acs_user["workspace_id"]), str(acs_user["acs_user_id"])
    for credential_id in elements(acs_user.get("acs_credential_ids")):
        by_id = acs_credential_by_id_key(workspace_id, credential_id)
        if by_id not in found:
            discarded = change(
                acs_user_key(workspace_id, acs_user_id), discard={"acs_credential_ids": frozenset({credential_id})}
            )
            mend = {"credential": require_absent(by_id), "acs_user": discarded}
            yield f"names credential {credential_id}, which does not exist", mend


def faults_of_phone(phone: Item, found: Mapping[Key, Item]) -> Iterator[Fault]:
    """Yield what is wrong with a phone beside its entries.

    Args:
        phone: Its item, without its key.
        found: Its user identity, if that exists.
    """
    identity_key = _identity_key(phone)
    if identity_key not in found:
        yield _NO_USER_IDENTITY, _deletion(stored_phone(phone)) | {"user_identity": require_absent(identity_key)}


def stored_enrollment(enrollment: Item) -> dict[Key, Item]:
    """Return an enrollment's own item; it has no entries."""
    return {enrollment_key_of(enrollment): enrollment}


def faults_of_enrollment(enrollment: Item, found: Mapping[Key, Item]) -> Iterator[Fault]:
    """Yield what is wrong with an enrollment.

    Args:
        enrollment: Its item, without its key.
        found: Its user identity, and the item of its executions, if these exist.
    """
    identity_key, execution = _identity_key(enrollment), execution_key_of(enrollment)
    # An enrollment that had an execution is deleted by one, when nothing is at the manager any more.
    if identity_key not in found and execution not in found:
        yield (
            _NO_USER_IDENTITY,
            {
                "user_identity": require_absent(identity_key),
                "execution": require_absent(execution),
                "record": delete(enrollment_key_of(enrollment), {"revision": enrollment["revision"]}),
            },
        )


def execution_key_of(enrollment: Item) -> Key:
    """Return the key of the item by which the executions of an enrollment know of each other."""
    return EnrollmentId.from_json(enrollment).execution_key


def _end(credential: Item) -> dict[str, Action]:
    """Return the actions that delete a credential, or have that of a phone revoked."""
    if not is_of_one_phone(credential):
        return _deletion(stored_acs_credential(credential))
    itself = next(iter(stored_acs_credential(credential)))
    mark = {"being_deleted_at": timestamp(datetime.now(UTC))}
    return {"record": change(itself, assign=mark, where={"being_deleted_at": None})}


def _registration_key(credential: Item) -> Key:
    enrollment_id = EnrollmentId.from_json(credential)
    return registration_key(*enrollment_id[:2], str(credential["device_id"]), enrollment_id.manager_id)


def _deletion(stored: Mapping[Key, Item]) -> dict[str, Action]:
    itself, *entries = stored
    return {"record": delete(itself, {}), **{str(entry): delete(entry) for entry in entries}}


def _identity_key(item: Item) -> Key:
    return user_identity_key(str(item["workspace_id"]), str(item["user_identity_id"]))


def _acs_user_key(credential: Item) -> Key:
    return acs_user_key(str(credential["workspace_id"]), str(credential["acs_user_id"]))
