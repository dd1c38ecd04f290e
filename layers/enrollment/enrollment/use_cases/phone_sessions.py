"""Phone sessions: how an app registers its phone, and learns what its credential managers know of it."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from enrollment.callers import Caller
from enrollment.errors import ClientSessionIsNotOfOnePerson
from enrollment.resources.automations import ListAutomationsRequest
from enrollment.resources.phone_sessions import (
    PhoneCredential,
    PhoneDeviceMetadataRequest,
    PhoneRegistration,
    PhoneSession,
    PhoneSessionRequest,
    ProviderSession,
)
from enrollment.resources.user_identities import GetUserIdentityRequest
from enrollment.store.attributes import Item, elements
from enrollment.store.keys import Key, acs_credential_key, acs_system_key
from enrollment.store.table import Table
from enrollment.use_cases import automations, user_identities
from enrollment.use_cases.credential_answers import credential_of
from enrollment.use_cases.enrollments import EnrollmentId, ask_to_look, is_worth_a_look, registration_id_of
from enrollment.use_cases.phones import DEVICE_TYPES, Registration, is_sandbox, load_registrations, register


def get_or_create(table: Table, caller: Caller, request: PhoneSessionRequest) -> PhoneSession:
    """Register the phone of a client session's person, and return its registrations with credential managers.

    Args:
        table: The table.
        caller: The client session.
        request: The validated body.

    Raises:
        ClientSessionIsNotOfOnePerson: The session has no user identity, or several.
        UserIdentityNotFound: The session's user identity does not exist any more, or is being deleted.
        ServiceUnavailable: The database stays out of reach.
    """
    if caller.user_identity_ids is None or len(caller.user_identity_ids) != 1:
        raise ClientSessionIsNotOfOnePerson
    (identity_id,) = caller.user_identity_ids
    registration = Registration(identity_id, _attributes(request), request.custom_sdk_installation_id)
    phone = register(table, caller.workspace_id, registration)
    return PhoneSession(
        workspace_id=caller.workspace_id,
        is_sandbox_workspace=is_sandbox(table, caller.workspace_id),
        user_identity=user_identities.get(table, caller, GetUserIdentityRequest(user_identity_id=identity_id)),
        provider_sessions=_provider_sessions(table, caller, phone),
    )


def _attributes(request: PhoneSessionRequest) -> Item:
    told = request.phone_device_metadata or PhoneDeviceMetadataRequest()
    attributes = {
        "device_manufacturer": told.manufacturer,
        "device_model": told.model,
        "os_version": told.os_version,
    }
    known = {name: value for name, value in attributes.items() if value is not None}
    return {"device_type": DEVICE_TYPES[request.phone_os], **known}


def _provider_sessions(table: Table, caller: Caller, phone: Item) -> list[ProviderSession]:
    """Return a session for each automation of a phone's person, the oldest first, then for each other registration.

    The app has just been opened.  That is when the person may have accepted an invitation, so managers are asked.
    """
    request = ListAutomationsRequest(user_identity_id=str(phone["user_identity_id"]))
    running = automations.list_of_user_identity(table, caller, request)
    registrations = {
        str(registration["credential_manager_acs_system_id"]): registration
        for registration in load_registrations(table, [phone])[str(phone["device_id"])]
    }
    for registration in registrations.values():
        if is_worth_a_look(registration, datetime.now(UTC)):
            ask_to_look(table, EnrollmentId.from_json(registration), [registration])
    # An automation that is new has not registered the phone yet, and a registration outlives its automation.
    manager_ids = dict.fromkeys([automation.credential_manager_acs_system_id for automation in running])
    manager_ids |= dict.fromkeys(registrations)
    credentials = _credentials(table, registrations.values())
    system_ids = [*manager_ids, *(str(item["acs_system_id"]) for some in credentials.values() for item in some)]
    systems = table.get_all(acs_system_key(caller.workspace_id, system_id) for system_id in system_ids)
    return [
        ProviderSession(
            phone_registration=_phone_registration(phone, manager_id, registrations.get(manager_id, {}), systems),
            acs_credentials=[_phone_credential(item, systems) for item in credentials.get(manager_id, [])],
        )
        for manager_id in manager_ids
    ]


def _credentials(table: Table, registrations: Iterable[Item]) -> dict[str, list[Item]]:
    """Return a phone's credentials that are not being deleted, by their credential managers, the oldest first."""
    keys = {
        str(registration["credential_manager_acs_system_id"]): [
            acs_credential_key(str(registration["workspace_id"]), str(registration["user_identity_id"]), one)
            for one in elements(registration.get("acs_credential_ids"))
        ]
        for registration in registrations
    }
    found = table.get_all(key for some in keys.values() for key in some)
    return {
        manager_id: sorted(
            (found[key] for key in some if key in found and "being_deleted_at" not in found[key]),
            key=lambda item: (str(item["created_at"]), str(item["acs_credential_id"])),
        )
        for manager_id, some in keys.items()
    }


def _phone_registration(
    phone: Item, manager_id: str, registration: Item, systems: Mapping[Key, Item]
) -> PhoneRegistration:
    """Return a phone's registration with a credential manager; ``registration`` is empty if there is none yet."""
    registration_id = registration_id_of(str(phone["device_id"]), manager_id)
    manager = systems.get(acs_system_key(str(phone["workspace_id"]), manager_id), {})
    external_type, app = manager.get("external_type"), registration.get("app")
    return PhoneRegistration(
        phone_registration_id=str(registration.get("phone_registration_id", registration_id)),
        provider_name=None if external_type is None else str(external_type),
        provider_state=None if app is None else json.loads(str(app)),
        is_being_activated=registration.get("state") in (None, "pending", "invited"),
    )


def _phone_credential(item: Item, systems: Mapping[Key, Item]) -> PhoneCredential:
    system = systems[acs_system_key(str(item["workspace_id"]), str(item["acs_system_id"]))]
    return PhoneCredential.model_validate(credential_of(item, system).model_dump())
