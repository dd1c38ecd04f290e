"""Things as answers show them."""

from experiments.reliability.model.calls import Json
from experiments.reliability.model.records import (
    AcsUser,
    Automation,
    ClientSession,
    Credential,
    Identity,
    Phone,
    Pool,
    System,
    Workspace,
)
from experiments.reliability.model.state import State
from experiments.reliability.model.words import first

_SETUP_REQUIRED = "The credential manager has no connector yet. Phones and credentials wait until it has one."


def with_record(name: str, record: Json) -> Json:
    return {name: record, "ok": True}


def automation_json(one: Automation) -> Json:
    return {
        "user_identity_id": one.identity.id,
        "enrollment_automation_id": one.id,
        "acs_credential_provisioning_automation_id": one.id,
        "credential_manager_acs_system_id": one.system.id,
        "is_running": True,
        "workspace_id": one.workspace,
        "created_at": one.created_at,
    }


def identity_json(state: State, one: Identity) -> Json:
    return {
        "user_identity_id": one.id,
        "user_identity_key": one.key,
        "email_address": one.email,
        "phone_number": one.phone,
        "full_name": one.name,
        "display_name": first(one.name, one.email, one.phone, one.key, one.id),
        "acs_user_ids": sorted(acs_user.id for acs_user in state.acs_users_of(one)),
        "created_at": one.created_at,
        "workspace_id": one.workspace,
        "errors": [],
        "warnings": [],
        "merged_user_identity_ids": [],
        "merged_user_identity_keys": [],
    }


def system_json(state: State, one: System) -> Json:
    needs_setup = one.is_manager and not state.workspaces[one.workspace].is_sandbox
    setup = {"warning_code": "setup_required", "message": _SETUP_REQUIRED, "created_at": one.created_at}
    return {
        "acs_system_id": one.id,
        "name": one.name,
        "is_credential_manager": one.is_manager,
        "connected_account_id": one.connected_account,
        "connected_account_ids": [one.connected_account],
        "created_at": one.created_at,
        "default_credential_manager_acs_system_id": one.default_manager,
        "image_url": "",
        "image_alt_text": "",
        "location": {"time_zone": None},
        "workspace_id": one.workspace,
        "errors": [],
        "warnings": [setup] if needs_setup else [],
    }


def pool_json(one: Pool) -> Json:
    return {
        "acs_credential_pool_id": one.id,
        "acs_system_id": one.system.id,
        "display_name": one.name,
        "external_type": "hid_part_number",
        "external_type_display_name": one.type_name,
        "created_at": one.created_at,
        "workspace_id": one.workspace,
    }


def acs_user_json(one: AcsUser) -> Json:
    identity = one.identity
    known = {
        "full_name": one.name,
        "email_address": one.email,
        "phone_number": one.phone,
        "access_schedule": one.schedule,
        "user_identity_id": identity and identity.id,
        "user_identity_full_name": identity and identity.name,
        "user_identity_email_address": identity and identity.email,
        "user_identity_phone_number": identity and identity.phone,
    }
    return {
        "acs_user_id": one.id,
        "acs_system_id": one.system.id,
        "display_name": first(one.name, one.email, one.phone, one.id),
        "connected_account_id": one.system.connected_account,
        "created_at": one.created_at,
        "workspace_id": one.workspace,
        "is_managed": True,
        "last_successful_sync_at": None,
        "errors": [],
        "warnings": [],
        **{name: value for name, value in known.items() if value is not None},
    }


def client_session_json(one: ClientSession) -> Json:
    identities = sorted(one.identities)
    return {
        "client_session_id": one.id,
        "workspace_id": one.workspace,
        "token": one.token,
        "user_identifier_key": one.key,
        "user_identity_ids": identities,
        "created_at": one.created_at,
        "expires_at": one.expires_at,
        "device_count": 0,
        "connected_account_ids": [],
        "connect_webview_ids": [],
        **({"user_identity_id": identities[0]} if len(identities) == 1 else {}),
    }


def workspace_json(one: Workspace) -> Json:
    return {
        "workspace_id": one.id,
        "name": one.name,
        "company_name": one.name,
        "is_sandbox": one.is_sandbox,
        "connect_partner_name": None,
        "connect_webview_customization": {},
        "is_publishable_key_auth_enabled": False,
        "is_suspended": False,
        "organization_id": None,
    }


def phone_json(one: Phone) -> Json:
    return {
        "device_id": one.id,
        "device_type": f"{one.system}_phone",
        "display_name": one.known.get("model") or one.known.get("manufacturer") or one.display_name,
        "properties": {"assa_abloy_credential_service_metadata": {"has_active_endpoint": False, "endpoints": []}},
        "custom_metadata": {},
        "created_at": one.created_at,
        "workspace_id": one.workspace,
        "errors": [],
        "warnings": [],
    }


def credential_json(one: Credential) -> Json:
    waiting = {"warning_code": "waiting_to_be_issued", "message": one.warning, "created_at": one.created_at}
    return {
        "acs_credential_id": one.id,
        "acs_user_id": one.acs_user.id,
        "acs_system_id": one.acs_user.system.id,
        "user_identity_id": one.identity.id,
        "connected_account_id": one.acs_user.system.connected_account,
        "display_name": one.display_name,
        "access_method": "mobile_key",
        "is_multi_phone_sync_credential": True,
        "starts_at": one.starts_at,
        "is_issued": False,
        "issued_at": None,
        "is_latest_desired_state_synced_with_provider": False,
        "latest_desired_state_synced_with_provider_at": None,
        "is_managed": True,
        "created_at": one.created_at,
        "workspace_id": one.workspace,
        "errors": [],
        "warnings": [waiting],
        **({"ends_at": one.ends_at} if one.ends_at is not None else {}),
    }
