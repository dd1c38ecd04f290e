"""The items of phones: how they end, alone and with their user identity.

It stands apart from the use cases of phones, because a user identity takes its phones along when it ends, and needs no
more of them.
"""

from itertools import batched

from enrollment.store.actions import Action, as_read, delete
from enrollment.store.attributes import Item
from enrollment.store.items import ENTRIES_OF_PHONE_COME_FROM, stored_phone
from enrollment.store.keys import key_of, phones_partition
from enrollment.store.table import MOST_ACTIONS, Table
from enrollment.use_cases.credential_items import delete_credentials

# Deleting a phone takes four actions.
_DELETED_AT_ONCE = MOST_ACTIONS // 4


def delete_phone(phone: Item) -> dict[str, Action]:
    """Return the actions that delete a phone; ``phone`` is the one on its own item.

    Its installation has no condition of its own: while the phone is there, it is the phone's.
    """
    (itself, *entries) = stored_phone(phone)
    return {"phone": delete(itself, as_read(phone, ENTRIES_OF_PHONE_COME_FROM))} | {
        f"phone_entry_{index}": delete(entry) for index, entry in enumerate(entries)
    }


def delete_all_of_user_identity(table: Table, workspace_id: str, user_identity_id: str) -> None:
    """Delete the phones, credentials and enrollments of a user identity that is being deleted.

    What is at a credential manager stays until an execution has taken it back: registrations, the credentials of
    phones, and their enrollments.  None of it needs the user identity.

    Nothing is added to them from the mark ``being_deleted_at`` on.  To finish an interrupted deletion, call it again.

    Args:
        table: The table.
        workspace_id: The workspace.
        user_identity_id: The user identity, which has the mark.

    Raises:
        ServiceUnavailable: The database stays out of reach, or the invocation's time ends before all is done.
    """
    partition = phones_partition(workspace_id, user_identity_id)
    while items := [item for item in table.query(partition) if not _is_at_manager(item)]:
        phones = [item for item in items if str(item["sk"]).startswith("PHONE#")]
        credentials = [item for item in items if str(item["sk"]).startswith("CREDENTIAL#")]
        for some in batched(phones, _DELETED_AT_ONCE, strict=False):
            deletions = [(phone["device_id"], delete_phone(phone)) for phone in some]
            table.transact({f"{device_id} {name}": one for device_id, all_ in deletions for name, one in all_.items()})
        delete_credentials(table, credentials)
        if phones or credentials:
            continue
        # Enrollments go last: deleting a credential raises its enrollment's revision, and would make it again.
        managers = {
            str(item["credential_manager_acs_system_id"]) for item in table.query(partition) if _is_at_manager(item)
        }
        others = [item for item in items if str(item["sk"]).rpartition("#")[2] not in managers]
        if not others:
            return
        for some in batched(others, MOST_ACTIONS, strict=False):
            keys = [key_of(item) for item in some]
            table.transact({key.sk: delete(key) for key in keys})


def _is_at_manager(item: Item) -> bool:
    """Return whether an item stands for something that a credential manager has, and that an execution takes back."""
    return str(item["sk"]).startswith("REGISTRATION#") or "being_deleted_at" in item
