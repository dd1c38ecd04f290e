"""What credential managers are asked is what the published models and the published schema say."""

from datetime import timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from enrollment.managers.protocol import Request, RequestType
from enrollment.managers.published import EXCHANGES, protocol_schema
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory
from tests.provisioning import Provisioning


@pytest.fixture
def asked(directory: Directory, workspace: Workspace, store: Store) -> list[Request]:
    """The requests about a person who gets two phones, a changed credential, and is deleted."""
    workspace.become_sandbox()
    provisioning = Provisioning(store.table, store.items)
    manager_id = workspace.credential_manager()
    identity_id = workspace.user_identity(full_name="Jane Doe", email_address="jane@example.com")
    acs_user_id = directory.create_acs_user(workspace.acs_system(), user_identity_id=identity_id).acs_user_id
    directory.launch(
        identity_id,
        manager_id,
        acs_credential_pool_id=workspace.acs_credential_pool(manager_id),
        create_credential_manager_user=True,
    )
    credential = directory.create_credential(
        acs_user_id, credential_manager_acs_system_id=manager_id, visionline_metadata={"auto_join": True}
    )
    phones = [directory.create_phone(identity_id, phone_metadata={"device_model": one}) for one in ("A", "B", "slow")]
    provisioning.settle()
    ends_at = provisioning.clock.at + timedelta(days=365)
    directory.update_credential(credential.acs_credential_id, ends_at=ends_at.isoformat())
    provisioning.settle()
    directory.deactivate_phone(phones[0].device_id)
    provisioning.settle()
    directory.delete_credential(credential.acs_credential_id)
    provisioning.settle()
    directory.deactivate_phone(phones[1].device_id)
    provisioning.settle()
    return provisioning.asked


def as_json(request: Request) -> dict[str, Any]:
    return {"type": str(request.type), "data": request.data}


def test_every_request_is_what_its_model_says_and_has_nothing_else(asked: list[Request]) -> None:
    for request in asked:
        EXCHANGES[request.type].request.model_validate(as_json(request), extra="forbid")

    assert {request.type for request in asked} == set(RequestType) - {RequestType.MANAGER_CHECK}


def test_every_request_is_valid_by_the_published_schema(asked: list[Request]) -> None:
    schema = Draft202012Validator(protocol_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)

    for request in asked:
        schema.validate(as_json(request))
