"""Credentials as the API answers them."""

from enrollment.resources.acs_credentials import AcsCredential
from enrollment.store.attributes import Item
from enrollment.use_cases.problems import errors_of_credential, warnings_of_credential


def credential_of(item: Item, system: Item) -> AcsCredential:
    """Return a credential as the API answers it.

    Args:
        item: The credential: a multi-phone sync credential, or one phone's, which has a ``device_id``.
        system: The item of its ACS system.
    """
    is_there = item.get("state") != "gone"
    is_issued = "issued_at" in item and is_there
    # What is to be deleted is not what the credential manager has.
    is_wanted = is_there and "being_deleted_at" not in item
    is_synced = is_wanted and item.get("synced_version") == item["version"]
    return AcsCredential.model_validate(
        {
            **item,
            "connected_account_id": system["connected_account_id"],
            "is_multi_phone_sync_credential": "device_id" not in item,
            "is_issued": is_issued,
            "issued_at": item["issued_at"] if is_issued else None,
            "is_latest_desired_state_synced_with_provider": is_synced,
            "latest_desired_state_synced_with_provider_at": item["synced_at"] if is_synced else None,
            "errors": errors_of_credential(item),
            "warnings": warnings_of_credential(item, is_issued=is_issued, is_synced=is_synced),
        }
    )
