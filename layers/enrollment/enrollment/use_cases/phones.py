"""Phones: the use cases.

An app's installation is one phone of a user identity, however often it registers.  The item of the installation is put
together with the phone, and only if it is not there, so two registrations at once make one phone.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from enrollment.callers import Caller
from enrollment.errors import (
    AcsCredentialNotFound,
    PhoneNotFound,
    ServiceUnavailable,
    UserIdentityNotFound,
    WorkspaceIsNotSandbox,
)
from enrollment.resources.phones import (
    CreateSandboxPhoneRequest,
    ListPhonesRequest,
    Phone,
    PhoneRequest,
    SandboxAssaAbloyMetadataRequest,
    SandboxPhoneMetadataRequest,
)
from enrollment.store.actions import Action, change, put_new
from enrollment.store.attributes import Item, elements
from enrollment.store.items import stored_phone
from enrollment.store.keys import (
    Key,
    acs_credential_by_id_key,
    acs_credential_key,
    installation_key,
    listed_id,
    phone_by_id_key,
    phone_key,
    phone_listing_key,
    phones_partition,
    registration_key,
    user_identity_key,
    workspace_key,
)
from enrollment.store.listings import Page, load_by_id, newest_first, positions_of, read_page
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.credential_items import credentials_of_user_identity, is_of_one_phone
from enrollment.use_cases.links import require_usable, use_user_identity
from enrollment.use_cases.phone_items import delete_phone
from enrollment.use_cases.problems import errors_of_credential, errors_of_registration

# A round is repeated when another request has registered or deactivated the phone since it looked.
_ROUNDS = 4
# The types of phones, by their operating systems.
DEVICE_TYPES = {"android": "android_phone", "ios": "ios_phone"}
_OPERATING_SYSTEMS = {"android_phone": "Android phone", "ios_phone": "iOS phone"}


class Registration(NamedTuple):
    """What a phone registers with.

    Attributes:
        user_identity_id: Whose phone it is.
        attributes: What it tells of itself: ``device_type``, and as far as it is known ``device_manufacturer``,
            ``device_model``, ``os_version`` and ``assa_abloy_metadata``, which is JSON.
        custom_sdk_installation_id: The app's installation on it; ``None`` is a phone that will never register again.
    """

    user_identity_id: str
    attributes: Item
    custom_sdk_installation_id: str | None = None


def register(table: Table, workspace_id: str, registration: Registration) -> Item:
    """Return the item of the phone that registers: the one that its installation has, or a new one.

    What a known phone tells of itself is taken over; what it leaves out stays as it was.

    Args:
        table: The table.
        workspace_id: The workspace.
        registration: What it registers with.

    Raises:
        UserIdentityNotFound: There is no such user identity, or it is being deleted.
        ServiceUnavailable: The database stays out of reach.
    """
    identity_id = registration.user_identity_id
    identity_key = user_identity_key(workspace_id, identity_id)
    for _ in range(_ROUNDS):
        keys = [identity_key]
        if registration.custom_sdk_installation_id is not None:
            keys.append(installation_key(workspace_id, identity_id, registration.custom_sdk_installation_id))
        found = table.batch_get(keys)
        require_usable(found.get(identity_key))
        installation = found.get(keys[-1]) if len(keys) > 1 else None
        if installation is None:
            phone = _new_phone(workspace_id, registration)
            refused = table.transact(_put_phone(phone))
        else:
            known = table.get(phone_key(workspace_id, identity_id, str(installation["device_id"])))
            if known is None:
                continue  # it was deactivated between the two reads
            phone = {**known, **registration.attributes}
            refused = {} if phone == known else table.transact(_update_phone(known, registration.attributes))
        if not refused:
            return phone
        if "user_identity" in refused:
            raise UserIdentityNotFound
    raise ServiceUnavailable


def create_sandbox_phone(table: Table, caller: Caller, request: CreateSandboxPhoneRequest) -> Phone:
    """Register a simulated phone in a sandbox workspace.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated body.

    Raises:
        WorkspaceIsNotSandbox: The workspace is not a sandbox.
        UserIdentityNotFound: There is no such user identity.
        ServiceUnavailable: The database stays out of reach.
    """
    if not is_sandbox(table, caller.workspace_id):
        raise WorkspaceIsNotSandbox
    metadata = request.phone_metadata or SandboxPhoneMetadataRequest()
    abilities = request.assa_abloy_metadata or SandboxAssaAbloyMetadataRequest()
    attributes = {
        "device_type": DEVICE_TYPES[metadata.operating_system],
        "device_manufacturer": metadata.device_manufacturer,
        "device_model": metadata.device_model,
        "os_version": metadata.os_version,
        "assa_abloy_metadata": abilities.model_dump_json(),
    }
    registration = Registration(request.user_identity_id, attributes, request.custom_sdk_installation_id)
    (phone,) = _answered(table, [register(table, caller.workspace_id, registration)])
    return phone


def is_sandbox(table: Table, workspace_id: str) -> bool:
    """Return whether a workspace is a sandbox; one that an older release has made is none until it is adopted.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    workspace = table.get(workspace_key(workspace_id))
    return workspace is not None and workspace["is_sandbox"] is True


def get(table: Table, caller: Caller, request: PhoneRequest) -> Phone:
    """Return a phone.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        PhoneNotFound: There is none, or it is of a user identity that the caller does not see.
        ServiceUnavailable: The database stays out of reach.
    """
    (phone,) = _answered(table, [_require(table, caller, request.device_id)])
    return phone


def list_page(table: Table, caller: Caller, request: ListPhonesRequest, after: str | None = None) -> Page[Phone]:
    """Return a page of phones, newest first.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.
        after: The position behind which the page begins.

    Raises:
        UserIdentityNotFound: The user identity that is named does not exist.
        AcsCredentialNotFound: The credential that is named does not exist.
        ServiceUnavailable: The database stays out of reach.
    """
    workspace_id, owner_id = caller.workspace_id, request.owner_user_identity_id
    if owner_id is not None:
        require_usable(table.get(user_identity_key(workspace_id, owner_id)))
    if request.acs_credential_id is not None:
        having = _phones_having(table, workspace_id, request.acs_credential_id)
        phones = [phone for phone in having if owner_id in (None, phone["user_identity_id"])]
        positions = positions_of(phones, "device_id", after=after)
    elif owner_id is not None:
        first, last = (phone_key(workspace_id, owner_id, bound).sk for bound in ("", "\uffff"))
        phones = table.query(phones_partition(workspace_id, owner_id), first, last)
        positions = positions_of(phones, "device_id", after=after)
    else:
        listing = phone_listing_key(workspace_id, "", "").pk
        positions = newest_first(table, listing, after=after, limit=request.limit)

    def load(some: Sequence[str]) -> list[Phone | None]:
        items = _load(table, workspace_id, list(map(listed_id, some)))
        answered = iter(_answered(table, [item for item in items if item is not None]))
        return [None if item is None else next(answered) for item in items]

    return read_page(positions, load, lambda _: True, request.limit)


def deactivate(table: Table, caller: Caller, request: PhoneRequest) -> None:
    """Remove a phone.  Its installation may register again, as a new phone.

    Args:
        table: The table.
        caller: Who asks.
        request: The validated parameters.

    Raises:
        PhoneNotFound: There is none, or it is of a user identity that the caller does not see.
        ServiceUnavailable: The database stays out of reach.
    """
    phone = _require(table, caller, request.device_id)
    if table.transact(delete_phone(phone)):  # another request has removed it meanwhile
        raise PhoneNotFound


def load_registrations(table: Table, phones: Sequence[Item]) -> dict[str, list[Item]]:
    """Return the registrations of phones with credential managers, by the phones' ids, the oldest first.

    Args:
        table: The table.
        phones: The phones' items, which name the credential managers.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    keys = {
        str(phone["device_id"]): [
            registration_key(
                str(phone["workspace_id"]), str(phone["user_identity_id"]), str(phone["device_id"]), manager_id
            )
            for manager_id in elements(phone.get("registered_with"))
        ]
        for phone in phones
    }
    found = table.get_all(key for some in keys.values() for key in some)
    return {
        device_id: sorted((found[key] for key in some if key in found), key=lambda item: str(item["created_at"]))
        for device_id, some in keys.items()
    }


def _answered(table: Table, phones: Sequence[Item]) -> list[Phone]:
    """Return phones as the API answers them, with what their credential managers know of them."""
    registrations = load_registrations(table, phones)
    failed = table.get_all(
        key for some in registrations.values() for registration in some for key in _failed_credentials(registration)
    )
    now = datetime.now(UTC)
    return [_phone_of(phone, registrations[str(phone["device_id"])], failed, now) for phone in phones]


def _phone_of(item: Item, registrations: Sequence[Item], failed: Mapping[Key, Item], now: datetime) -> Phone:
    """Return a phone as the API answers it.

    Args:
        item: The phone.
        registrations: Its registrations with credential managers.
        failed: The credentials that its registrations name as failed, as far as they exist.
        now: The present moment.
    """
    device_type = str(item["device_type"])
    names = [item.get("device_model"), item.get("device_manufacturer"), _OPERATING_SYSTEMS[device_type]]
    endpoints = [
        {"endpoint_id": one["endpoint_id"], "is_active": one.get("state") == "active"}
        for one in registrations
        if "endpoint_id" in one
    ]
    has_active_endpoint = any(one.get("state") == "active" for one in registrations)
    errors = []
    for registration in registrations:
        errors += errors_of_registration(registration, now)
        for key in _failed_credentials(registration):
            errors += errors_of_credential(failed[key]) if key in failed else []
    return Phone.model_validate(
        {
            **item,
            "display_name": next(filter(None, names)),
            "custom_metadata": {},
            "properties": {
                "assa_abloy_credential_service_metadata": {
                    "has_active_endpoint": has_active_endpoint,
                    "endpoints": endpoints,
                }
            },
            "errors": errors,
        }
    )


def _failed_credentials(registration: Item) -> list[Key]:
    workspace_id, identity_id = str(registration["workspace_id"]), str(registration["user_identity_id"])
    return [
        acs_credential_key(workspace_id, identity_id, credential_id)
        for credential_id in elements(registration.get("failed_acs_credential_ids"))
    ]


def _phones_having(table: Table, workspace_id: str, acs_credential_id: str) -> list[Item]:
    """Return the items of the phones that have a credential under another one, or of the one that has this one.

    Raises:
        AcsCredentialNotFound: There is no such credential.
        ServiceUnavailable: The database stays out of reach.
    """
    by_id = table.get(acs_credential_by_id_key(workspace_id, acs_credential_id))
    if by_id is None:
        raise AcsCredentialNotFound
    identity_id = str(by_id["user_identity_id"])
    credentials = credentials_of_user_identity(table, workspace_id, identity_id)
    if acs_credential_id not in (credential["acs_credential_id"] for credential in credentials):
        raise AcsCredentialNotFound  # it was deleted between the two reads
    device_ids = {
        str(credential["device_id"])
        for credential in credentials
        if acs_credential_id in (credential["acs_credential_id"], credential.get("parent_acs_credential_id"))
        and is_of_one_phone(credential)
        and "being_deleted_at" not in credential
    }
    return list(table.get_all(phone_key(workspace_id, identity_id, one) for one in device_ids).values())


def _new_phone(workspace_id: str, registration: Registration) -> Item:
    installation_id = registration.custom_sdk_installation_id
    return {
        "device_id": str(uuid.uuid4()),
        "workspace_id": workspace_id,
        "user_identity_id": registration.user_identity_id,
        "created_at": timestamp(datetime.now(UTC)),
        **({} if installation_id is None else {"custom_sdk_installation_id": installation_id}),
        **registration.attributes,
    }


def _put_phone(phone: Item) -> dict[str, Action]:
    workspace_id, identity_id = str(phone["workspace_id"]), str(phone["user_identity_id"])
    return {
        "user_identity": use_user_identity(workspace_id, identity_id),
        **{str(key): put_new(key, item) for key, item in stored_phone(phone).items()},
    }


def _update_phone(phone: Item, told: Item) -> dict[str, Action]:
    workspace_id, identity_id = str(phone["workspace_id"]), str(phone["user_identity_id"])
    return {
        "user_identity": use_user_identity(workspace_id, identity_id),
        "phone": change(phone_key(workspace_id, identity_id, str(phone["device_id"])), assign=told),
    }


def _require(table: Table, caller: Caller, device_id: str) -> Item:
    (phone,) = _load(table, caller.workspace_id, [device_id])
    if phone is None or not caller.sees(str(phone["user_identity_id"])):
        raise PhoneNotFound
    return phone


def _load(table: Table, workspace_id: str, device_ids: Sequence[str]) -> list[Item | None]:
    """Return the items of phones; ``None`` for each that does not exist."""
    return load_by_id(
        table,
        device_ids,
        lambda device_id: phone_by_id_key(workspace_id, device_id),
        lambda identity_id, device_id: phone_key(workspace_id, identity_id, device_id),
    )
