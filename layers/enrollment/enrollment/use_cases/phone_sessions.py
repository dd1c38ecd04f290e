"""Phone sessions: how an app registers its phone, and learns what its credential managers know of it."""

from enrollment.callers import Caller
from enrollment.errors import ClientSessionIsNotOfOnePerson
from enrollment.resources.automations import ListAutomationsRequest
from enrollment.resources.phone_sessions import (
    PhoneDeviceMetadataRequest,
    PhoneRegistration,
    PhoneSession,
    PhoneSessionRequest,
    ProviderSession,
)
from enrollment.resources.user_identities import GetUserIdentityRequest
from enrollment.store.attributes import Item
from enrollment.store.keys import acs_system_key
from enrollment.store.table import Table
from enrollment.use_cases import automations, user_identities
from enrollment.use_cases.enrollments import registration_id_of
from enrollment.use_cases.phones import DEVICE_TYPES, Registration, is_sandbox, register


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
    """Return a session for each automation of a phone's person, the oldest first."""
    request = ListAutomationsRequest(user_identity_id=str(phone["user_identity_id"]))
    running = automations.list_of_user_identity(table, caller, request)
    manager_ids = [automation.credential_manager_acs_system_id for automation in running]
    managers = table.get_all(acs_system_key(caller.workspace_id, manager_id) for manager_id in manager_ids)
    sessions = []
    for manager_id in manager_ids:
        manager = managers.get(acs_system_key(caller.workspace_id, manager_id), {})
        external_type = manager.get("external_type")
        registration = PhoneRegistration(
            phone_registration_id=registration_id_of(str(phone["device_id"]), manager_id),
            provider_name=None if external_type is None else str(external_type),
            is_being_activated=True,
        )
        sessions.append(ProviderSession(phone_registration=registration))
    return sessions
