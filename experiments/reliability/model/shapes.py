"""Things as answers show them."""

from experiments.reliability.model.calls import Json
from experiments.reliability.model.records import AcsUser, Automation, Identity, Pool, System
from experiments.reliability.model.state import State
from experiments.reliability.model.words import first


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


def system_json(one: System) -> Json:
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
        "warnings": [],
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
