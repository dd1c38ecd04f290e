"""The use cases of the directory, called for one workspace; and the stack without HTTP, as it is after its start."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from enrollment.aws.deadline import ending_before
from enrollment.callers import Caller
from enrollment.resources.acs_credentials import (
    AcsCredential,
    AcsCredentialRequest,
    CreateAcsCredentialRequest,
    ListAcsCredentialsRequest,
    UpdateAcsCredentialRequest,
)
from enrollment.resources.acs_systems import (
    AcsSystem,
    AcsSystemRequest,
    ListAcsCredentialPoolsRequest,
    ListAcsSystemsRequest,
)
from enrollment.resources.acs_users import AcsUser, AcsUserRequest, CreateAcsUserRequest, ListAcsUsersRequest
from enrollment.resources.automations import (
    DeleteAutomationRequest,
    EnrollmentAutomation,
    LaunchRequest,
    ListAutomationsRequest,
)
from enrollment.resources.phone_sessions import PhoneSession, PhoneSessionRequest
from enrollment.resources.phones import CreateSandboxPhoneRequest, ListPhonesRequest, Phone, PhoneRequest
from enrollment.resources.user_identities import (
    AddAcsUserRequest,
    CreateUserIdentityRequest,
    GetUserIdentityRequest,
    ListUserIdentitiesRequest,
    RemoveAcsUserRequest,
    UpdateUserIdentityRequest,
    UserIdentity,
    UserIdentityRequest,
)
from enrollment.store.client import create_client
from enrollment.store.listings import Page
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases import (
    acs_systems,
    acs_users,
    automations,
    credentials,
    phone_sessions,
    phones,
    user_identities,
)
from enrollment.use_cases.automations import KnownItems
from enrollments.directory.importing import import_rows
from enrollments.directory.rows import RawRow, read_row
from enrollments.local.stack import Stack, open_stack
from tests.fixtures import Store, Workspace

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Directory:
    """The calls of a token in its workspace.  Parameters go through the routes' models.

    Attributes:
        table: The table.
        caller: Who asks.
        known: What the process knows; ``None`` is a new process for each launch.
    """

    table: Table
    caller: Caller
    known: KnownItems | None = None

    def session(self, *user_identity_ids: str) -> "Directory":
        """Return what a client session of these user identities sees."""
        return Directory(self.table, Caller(self.caller.workspace_id, frozenset(user_identity_ids)))

    def create(self, **profile: Any) -> UserIdentity:
        return user_identities.create(self.table, self.caller, CreateUserIdentityRequest(**profile))

    def get(self, user_identity_id: str) -> UserIdentity:
        request = GetUserIdentityRequest(user_identity_id=user_identity_id)
        return user_identities.get(self.table, self.caller, request)

    def get_by_key(self, key: str) -> UserIdentity:
        return user_identities.get(self.table, self.caller, GetUserIdentityRequest(user_identity_key=key))

    def update(self, user_identity_id: str, **changes: Any) -> None:
        request = UpdateUserIdentityRequest(user_identity_id=user_identity_id, **changes)
        user_identities.update(self.table, self.caller, request)

    def delete(self, user_identity_id: str, *, seconds: float = 10) -> None:
        """Delete a user identity in an invocation that has so much time."""
        request = UserIdentityRequest(user_identity_id=user_identity_id)
        with ending_before(1000 * seconds):
            user_identities.delete(self.table, self.caller, request)

    def add(self, acs_user_id: str, **to: str) -> None:
        user_identities.add_acs_user(self.table, self.caller, AddAcsUserRequest(acs_user_id=acs_user_id, **to))

    def remove(self, acs_user_id: str, user_identity_id: str) -> None:
        request = RemoveAcsUserRequest(acs_user_id=acs_user_id, user_identity_id=user_identity_id)
        user_identities.remove_acs_user(self.table, self.caller, request)

    def page(self, after: str | None = None, **parameters: Any) -> Page[UserIdentity]:
        request = ListUserIdentitiesRequest(**parameters)
        return user_identities.list_page(self.table, self.caller, request, after)

    def listed(self, **parameters: Any) -> list[str]:
        """Return the ids of the user identities of a list's first page."""
        return [record.user_identity_id for record in self.page(**parameters).records]

    def acs_users_of(self, user_identity_id: str) -> list[AcsUser]:
        request = UserIdentityRequest(user_identity_id=user_identity_id)
        return user_identities.list_acs_users(self.table, self.caller, request)

    def systems_of(self, user_identity_id: str) -> list[str]:
        found = acs_systems.systems_of_user_identity(self.table, self.caller, user_identity_id)
        return [system.acs_system_id for system in found]

    def system(self, acs_system_id: str) -> AcsSystem:
        return acs_systems.get_system(self.table, self.caller, AcsSystemRequest(acs_system_id=acs_system_id))

    def systems(self, **parameters: Any) -> list[str]:
        page = acs_systems.list_systems(self.table, self.caller, ListAcsSystemsRequest(**parameters))
        return [system.acs_system_id for system in page.records]

    def credential_managers_for(self, acs_system_id: str) -> list[str]:
        request = AcsSystemRequest(acs_system_id=acs_system_id)
        found = acs_systems.list_compatible_credential_managers(self.table, self.caller, request)
        return [system.acs_system_id for system in found]

    def pools(self, acs_system_id: str, **parameters: Any) -> list[str]:
        request = ListAcsCredentialPoolsRequest(acs_system_id=acs_system_id, **parameters)
        page = acs_systems.list_credential_pools(self.table, self.caller, request)
        return [pool.acs_credential_pool_id for pool in page.records]

    def create_acs_user(self, acs_system_id: str, **more: Any) -> AcsUser:
        request = CreateAcsUserRequest(**{"full_name": "Jane Doe", "acs_system_id": acs_system_id} | more)
        return acs_users.create_user(self.table, self.caller, request)

    def acs_user(self, acs_user_id: str | None = None, **named: str) -> AcsUser:
        request = AcsUserRequest(**_acs_user(acs_user_id, named))
        return acs_users.get_user(self.table, self.caller, request)

    def acs_users(self, **parameters: Any) -> list[str]:
        page = acs_users.list_users(self.table, self.caller, ListAcsUsersRequest(**parameters))
        return [acs_user.acs_user_id for acs_user in page.records]

    def delete_acs_user(self, acs_user_id: str | None = None, **named: str) -> None:
        acs_users.delete_user(self.table, self.caller, AcsUserRequest(**_acs_user(acs_user_id, named)))

    def import_row(self, **properties: Any) -> None:
        """Import a row that is right."""
        rows = [read_row(RawRow(1, 1, properties))]
        results = import_rows(self.table, self.caller.workspace_id, rows, timestamp(datetime.now(UTC)))
        assert [result.problems for result in results] == [()]

    def launch(self, user_identity_id: str, manager_id: str, **options: Any) -> EnrollmentAutomation:
        pair = {"user_identity_id": user_identity_id, "credential_manager_acs_system_id": manager_id}
        known = automations.known_items() if self.known is None else self.known
        return automations.launch(self.table, known, self.caller, LaunchRequest(**pair | options)).automation

    def delete_automation(self, enrollment_automation_id: str) -> None:
        request = DeleteAutomationRequest(enrollment_automation_id=enrollment_automation_id)
        automations.delete(self.table, self.caller, request)

    def automations(self, user_identity_id: str) -> list[EnrollmentAutomation]:
        request = ListAutomationsRequest(user_identity_id=user_identity_id)
        return automations.list_of_user_identity(self.table, self.caller, request)

    def create_credential(self, acs_user_id: str | None = None, **more: Any) -> AcsCredential:
        """Create a credential as the published guides do."""
        usual: dict[str, Any] = {"access_method": "mobile_key", "is_multi_phone_sync_credential": True}
        request = CreateAcsCredentialRequest(**usual | _acs_user(acs_user_id, more))
        return credentials.create(self.table, self.caller, request)

    def credential(self, acs_credential_id: str) -> AcsCredential:
        request = AcsCredentialRequest(acs_credential_id=acs_credential_id)
        return credentials.get(self.table, self.caller, request)

    def update_credential(self, acs_credential_id: str, **changes: Any) -> AcsCredential:
        request = UpdateAcsCredentialRequest(acs_credential_id=acs_credential_id, **changes)
        return credentials.update(self.table, self.caller, request)

    def delete_credential(self, acs_credential_id: str) -> None:
        request = AcsCredentialRequest(acs_credential_id=acs_credential_id)
        credentials.delete_one(self.table, self.caller, request)

    def credentials(self, **parameters: Any) -> list[str]:
        page = credentials.list_page(self.table, self.caller, ListAcsCredentialsRequest(**parameters))
        return [credential.acs_credential_id for credential in page.records]

    def create_phone(self, user_identity_id: str, **more: Any) -> Phone:
        request = CreateSandboxPhoneRequest(user_identity_id=user_identity_id, **more)
        return phones.create_sandbox_phone(self.table, self.caller, request)

    def start_app(self, installation: str = "app", phone_os: str = "ios", **phone: str) -> PhoneSession:
        """Register a phone as an app does at its start."""
        asked: dict[str, Any] = {
            "custom_sdk_installation_id": installation,
            "phone_os": phone_os,
            "phone_device_metadata": phone,
        }
        return phone_sessions.get_or_create(self.table, self.caller, PhoneSessionRequest(**asked))

    def phone(self, device_id: str) -> Phone:
        return phones.get(self.table, self.caller, PhoneRequest(device_id=device_id))

    def deactivate_phone(self, device_id: str) -> None:
        phones.deactivate(self.table, self.caller, PhoneRequest(device_id=device_id))

    def phone_page(self, **parameters: Any) -> Page[Phone]:
        return phones.list_page(self.table, self.caller, ListPhonesRequest(**parameters))

    def phones(self, **parameters: Any) -> list[str]:
        return [phone.device_id for phone in self.phone_page(**parameters).records]


def _acs_user(acs_user_id: str | None, named: dict[str, str]) -> dict[str, Any]:
    return named if acs_user_id is None else {"acs_user_id": acs_user_id} | named


@pytest.fixture
def directory(store: Store, workspace: Workspace) -> Directory:
    return Directory(store.table, Caller(workspace.workspace_id))


@dataclass
class Outage:
    """Lets a number of requests through to the database, and loses all others.

    Attributes:
        left: How many are let through yet; ``None`` is all.
    """

    left: int | None = None

    def lose(self, **_: Any) -> None:
        """Stand in the way of a request."""
        if self.left is None:
            return
        if self.left == 0:
            raise EndpointConnectionError(endpoint_url="http://x")
        self.left -= 1


@pytest.fixture
def outage(store: Store, monkeypatch: pytest.MonkeyPatch) -> Outage:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    outage = Outage()
    store.watch("before-send.dynamodb", outage.lose)
    return outage


@pytest.fixture(scope="module")
def whole_log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def shared_stack(project: Path, whole_log: io.StringIO) -> Iterator[Stack]:
    with open_stack(project / "template.yaml", log=whole_log, terminal=io.StringIO()) as stack:
        yield stack


@pytest.fixture
def log(whole_log: io.StringIO) -> io.StringIO:
    whole_log.seek(0)
    whole_log.truncate()
    return whole_log


@pytest.fixture(scope="module")
def client(shared_stack: Stack) -> Any:  # noqa: ARG001 - the stack's environment leads to its table
    return create_client()


@pytest.fixture
def stack(shared_stack: Stack, client: Any) -> Stack:
    """The stack as it is after its start: with the demo workspaces and nothing launched."""
    Store(shared_stack.table, client, shared_stack.table_name, is_in_moto=True).restore(shared_stack.demo.items)
    return shared_stack
