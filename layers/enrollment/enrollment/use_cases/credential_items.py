"""The items of credentials: how they end, and the revision of their enrollment.

What a client creates is deleted at once.  The credential of one phone, which an execution makes, is at a credential
manager.  It gets the mark ``being_deleted_at``, and an execution deletes it when the manager has revoked it.

It stands apart from the use cases of credentials, because user identities and ACS users take their credentials along
when they end, and need no more of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import batched

from enrollment.store.actions import Action, as_read, change, delete, raise_number, require_absent
from enrollment.store.attributes import Item, elements
from enrollment.store.items import ENTRIES_OF_ACS_CREDENTIAL_COME_FROM, stored_acs_credential
from enrollment.store.keys import (
    Key,
    acs_credential_by_id_key,
    acs_credential_key,
    acs_user_key,
    enrollment_key,
    phones_partition,
)
from enrollment.store.listings import load_by_id
from enrollment.store.table import MOST_ACTIONS, Table
from enrollment.timestamps import timestamp

# Deleting a credential takes four actions, one on its ACS user and one on its enrollment.
_DELETED_AT_ONCE = MOST_ACTIONS // 6

# What a credential and its enrollment have in common.
_ENROLLMENT = ("workspace_id", "user_identity_id", "credential_manager_acs_system_id")


def enrollment_key_of(item: Item) -> Key:
    """Return the key of an enrollment; ``item`` is the enrollment, or a credential of it."""
    workspace_id, identity_id, manager_id = (str(item[name]) for name in _ENROLLMENT)
    return enrollment_key(workspace_id, identity_id, manager_id)


def raise_revision(credential: Item) -> Action:
    """Raise the revision of a credential's enrollment, or make the enrollment.

    The same transaction creates, requires or deletes the credential.  So this makes no enrollment of a user identity
    that is gone: the last step of its deletion finds no credential any more.
    """
    enrollment = {name: credential[name] for name in _ENROLLMENT}
    return raise_number(enrollment_key_of(credential), "revision", enrollment)


def delete_credentials_of_acs_user(table: Table, acs_user: Item) -> None:
    """Delete all credentials of an ACS user, however many they are.

    Afterwards its item has no ``acs_credential_ids``, unless another request has given it a credential meanwhile.  To
    finish an interrupted deletion, call it again.

    Args:
        table: The table.
        acs_user: The ACS user's item.

    Raises:
        ServiceUnavailable: The database stays out of reach, or the invocation's time ends before all is done.
    """
    workspace_id, acs_user_id = str(acs_user["workspace_id"]), str(acs_user["acs_user_id"])
    key = acs_user_key(workspace_id, acs_user_id)
    current: Item | None = acs_user
    while current is not None and (named := elements(current.get("acs_credential_ids"))):
        found = load_credentials(table, workspace_id, named)
        delete_credentials(table, [item for item in found if item is not None])
        gone = frozenset(
            one for one, item in zip(named, found, strict=True) if item is None or "being_deleted_at" in item
        )
        if gone:  # an older release or an operator has left their names
            table.transact({"acs_user": change(key, discard={"acs_credential_ids": gone})})
        current = table.get(key)


def delete_credentials(table: Table, credentials: Iterable[Item]) -> None:
    """Delete credentials as ``delete_some`` does, however many they are.

    One that has been changed or deleted meanwhile may be left.

    Args:
        table: The table.
        credentials: Their items.

    Raises:
        ServiceUnavailable: The database stays out of reach, or the invocation's time ends before all is done.
    """
    for some in batched(credentials, _DELETED_AT_ONCE, strict=False):
        delete_some(table, some)


def is_of_one_phone(credential: Item) -> bool:
    """Return whether a credential is that of one phone, and not one that stands for a person's access."""
    return "device_id" in credential


def delete_some(
    table: Table,
    credentials: Sequence[Item],
    *,
    is_withdrawn: bool = False,
) -> dict[str, Item | None]:
    """Delete a few credentials, all of one workspace; those of one phone are marked, so that they are revoked.

    Args:
        table: The table.
        credentials: Their items.
        is_withdrawn: Whether somebody has named just these credentials.  Those of one phone are then not issued again.

    Returns:
        The failed conditions, if there are any.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    left = [credential for credential in credentials if "being_deleted_at" not in credential]
    if not left:
        return {}
    actions: dict[str, Action] = {}
    for credential in left:
        if is_of_one_phone(credential):
            actions |= _mark(credential, is_withdrawn=is_withdrawn)
        else:
            actions |= delete_with_entries(credential)
        actions[str(enrollment_key_of(credential))] = raise_revision(credential)
    return table.transact(actions | _leave_acs_users(table, left))


def mark_for_revocation(
    table: Table, credentials: Sequence[Item], guards: Mapping[str, Action]
) -> dict[str, Item | None]:
    """Mark credentials of phones, so that they are revoked, if that is still right.

    Args:
        table: The table.
        credentials: Their items, all of one workspace, without the mark.
        guards: What the choice was based on.

    Returns:
        The failed conditions, if there are any.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    actions = {**guards}
    for credential in credentials:
        actions |= _mark(credential)
    return table.transact(actions | _leave_acs_users(table, credentials))


def delete_with_entries(credential: Item) -> dict[str, Action]:
    """Return the actions that delete a credential's own item and its entries."""
    credential_id = str(credential["acs_credential_id"])
    (itself, *entries) = stored_acs_credential(credential)
    return {
        credential_id: delete(itself, as_read(credential, ENTRIES_OF_ACS_CREDENTIAL_COME_FROM)),
        **{f"{credential_id} {index}": delete(entry) for index, entry in enumerate(entries)},
    }


def _mark(credential: Item, *, is_withdrawn: bool = False) -> dict[str, Action]:
    mark: Item = {"being_deleted_at": timestamp(datetime.now(UTC)), **({"is_withdrawn": True} if is_withdrawn else {})}
    key = next(iter(stored_acs_credential(credential)))
    # What failed may have been waiting to be issued.  It is revoked at once.
    return {
        str(credential["acs_credential_id"]): change(
            key, assign=mark, remove=["next_at"], where={"being_deleted_at": None}
        )
    }


def _leave_acs_users(table: Table, credentials: Sequence[Item]) -> dict[str, Action]:
    """Return the actions that take credentials from the lists of their ACS users."""
    by_acs_user: dict[Key, set[str]] = {}
    for credential in credentials:
        owner = acs_user_key(str(credential["workspace_id"]), str(credential["acs_user_id"]))
        by_acs_user.setdefault(owner, set()).add(str(credential["acs_credential_id"]))
    # The previous release deletes an ACS user without its credentials.
    existing = table.get_all(by_acs_user)
    return {
        key.pk: change(key, discard={"acs_credential_ids": frozenset(credential_ids)})
        if key in existing
        else require_absent(key)
        for key, credential_ids in by_acs_user.items()
    }


def load_credentials(table: Table, workspace_id: str, credential_ids: Sequence[str]) -> list[Item | None]:
    """Return the items of credentials; ``None`` for each that does not exist."""
    return load_by_id(
        table,
        credential_ids,
        lambda credential_id: acs_credential_by_id_key(workspace_id, credential_id),
        lambda identity_id, credential_id: acs_credential_key(workspace_id, identity_id, credential_id),
    )


def credentials_of_user_identity(table: Table, workspace_id: str, user_identity_id: str) -> list[Item]:
    """Return the items of a user identity's credentials, those of its phones included."""
    first, last = (acs_credential_key(workspace_id, user_identity_id, bound).sk for bound in ("", "\uffff"))
    return table.query(phones_partition(workspace_id, user_identity_id), first, last)
