"""What the service does with the example of a connector: a phone from its invitation to its removal."""

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from standardwebhooks import Webhook

from enrollment.managers.protocol import BusyError, NoUsableAnswerError, Request
from enrollment.timestamps import timestamp
from examples.connector.connector import create_app
from examples.connector.manufacturer import CredentialState, Manufacturer
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory
from tests.provisioning import Provisioning

SECRET = f"whsec_{base64.b64encode(b'the secret of this test').decode()}"


class Connected:
    """A credential manager that is asked through the connector, and whose answers are lost at first.

    Args:
        client: The connector's client.
        lost: How many answers to each request are lost, after the work was done.
    """

    def __init__(self, client: FlaskClient, lost: int) -> None:
        self.client = client
        self.left_to_lose: dict[str, int] = {}
        self.lost = lost

    def ask(self, request: Request) -> Mapping[str, Any]:
        body = json.dumps({"type": request.type, "data": request.data})
        now, request_id = datetime.now(UTC), str(uuid.uuid4())
        headers = {
            "webhook-id": request_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(SECRET).sign(request_id, now, body),
        }
        response = self.client.post("/", data=body, headers=headers)
        if response.status_code == 503:
            raise BusyError(float(response.headers["Retry-After"]))
        assert response.status_code == 200
        self.left_to_lose.setdefault(request.id, self.lost)
        self.left_to_lose[request.id] -= 1
        if request.type != "phone.status" and self.left_to_lose[request.id] >= 0:
            raise NoUsableAnswerError
        answer: dict[str, Any] = response.get_json()
        return answer


@dataclass
class Story:
    """A person with a phone, and a credential that stands for what the person may open."""

    directory: Directory
    provisioning: Provisioning
    manufacturer: Manufacturer
    user_identity_id: str
    device_id: str
    credential_id: str

    def at_manufacturer(self) -> list[CredentialState]:
        """Return how the credentials stand that the connector was asked for."""
        asked = {request.data.get("acs_credential_id") for request in self.provisioning.asked} - {None}
        found = [self.manufacturer.find_credential(str(one)) for one in asked]
        return [one.state for one in found if one is not None]

    def phone(self) -> Any:
        return self.directory.phone(self.device_id)


@pytest.fixture(params=[0, 1], ids=["no_answer_is_lost", "first_answers_are_lost"])
def story(request: pytest.FixtureRequest, store: Store, directory: Directory, workspace: Workspace) -> Story:
    workspace.become_sandbox()
    manager_id = workspace.credential_manager()
    identity_id = workspace.user_identity(full_name="Jane Doe", email_address="jane@example.com")
    acs_user_id = directory.create_acs_user(workspace.acs_system(), user_identity_id=identity_id).acs_user_id
    provisioning = Provisioning(store.table, store.items)
    manufacturer = Manufacturer(now=provisioning.clock.now)
    connected = Connected(create_app(SECRET, manufacturer).test_client(), request.param)
    provisioning.manager_of = lambda _: connected
    directory.launch(identity_id, manager_id, create_credential_manager_user=True)
    credential = directory.create_credential(acs_user_id, credential_manager_acs_system_id=manager_id)
    phone = directory.create_phone(identity_id)
    return Story(directory, provisioning, manufacturer, identity_id, phone.device_id, credential.acs_credential_id)


def test_a_phone_is_invited_and_gets_one_credential(story: Story) -> None:
    story.provisioning.settle()

    assert story.phone().properties.assa_abloy_credential_service_metadata.has_active_endpoint
    assert story.directory.credential(story.credential_id).is_issued
    assert story.at_manufacturer() == [CredentialState.ACTIVE]
    assert story.manufacturer.available()["standard"] == 99


def test_a_changed_validity_reaches_the_manufacturer(story: Story) -> None:
    story.provisioning.settle()
    ends_at = timestamp(datetime.now(UTC) + timedelta(days=9))

    story.directory.update_credential(story.credential_id, ends_at=ends_at)
    story.provisioning.settle()

    assert story.directory.credential(story.credential_id).is_latest_desired_state_synced_with_provider
    assert story.manufacturer.available()["standard"] == 99


def test_a_deactivated_phone_leaves_nothing_at_the_manufacturer(story: Story) -> None:
    story.provisioning.settle()

    story.directory.deactivate_phone(story.device_id)
    story.provisioning.settle()

    assert set(story.at_manufacturer()) == {CredentialState.REMOVED}
    assert story.manufacturer.find_person(story.user_identity_id) is None
    assert story.manufacturer.available()["standard"] == 100


def test_a_busy_manufacturer_is_left_alone_for_a_while(story: Story) -> None:
    story.manufacturer.be_busy(timedelta(minutes=5))

    story.provisioning.settle()

    assert story.at_manufacturer() == [CredentialState.ACTIVE]
