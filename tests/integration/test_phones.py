from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from enrollment.callers import Caller
from enrollment.errors import (
    AcsCredentialNotFound,
    ClientSessionIsNotOfOnePerson,
    PhoneNotFound,
    ServiceUnavailable,
    UserIdentityNotFound,
    WorkspaceIsNotSandbox,
)
from enrollment.resources.phones import CreateSandboxPhoneRequest, ListPhonesRequest
from enrollment.store.actions import change
from enrollment.store.keys import phone_key, user_identity_key
from enrollment.use_cases import phones
from enrollment.use_cases.phone_items import delete_all_of_user_identity
from tests.fixtures import Store, Workspace
from tests.integration.conftest import UNKNOWN, Directory, Outage


@pytest.fixture
def identity(workspace: Workspace) -> str:
    return workspace.user_identity(full_name="Jane Doe")


@pytest.fixture
def app(directory: Directory, identity: str) -> Directory:
    """What the client session of one person sees."""
    return directory.session(identity)


@pytest.fixture
def sandbox(workspace: Workspace) -> Workspace:
    workspace.become_sandbox()
    return workspace


@pytest.fixture
def mark(store: Store, workspace: Workspace) -> Callable[[str], None]:
    """Begins the deletion of a user identity, as an interrupted one does."""

    def begin(identity_id: str) -> None:
        key = user_identity_key(workspace.workspace_id, identity_id)
        store.table.transact({"mark": change(key, assign={"being_deleted_at": "2026-01-01T00:00:00.000Z"})})

    return begin


# ----------------------------------------------------------------------------------------------------- Simulated phones


@pytest.mark.usefixtures("sandbox")
def test_a_simulated_phone_is_by_default_an_android_phone(directory: Directory, identity: str) -> None:
    phone = directory.create_phone(identity)

    assert (phone.device_type, phone.display_name) == ("android_phone", "Samsung Galaxy S10")
    assert not phone.properties.assa_abloy_credential_service_metadata.has_active_endpoint
    assert directory.phone(phone.device_id) == phone


@pytest.mark.usefixtures("sandbox")
def test_a_simulated_phone_is_what_a_client_says(store: Store, directory: Directory, identity: str) -> None:
    metadata = {"operating_system": "ios", "device_model": "iPhone 17", "os_version": "26"}

    phone = directory.create_phone(identity, phone_metadata=metadata, assa_abloy_metadata={"nfc_capability": True})

    item = store.items()[phone_key(phone.workspace_id, identity, phone.device_id)]
    assert (phone.device_type, phone.display_name) == ("ios_phone", "iPhone 17")
    assert (item["device_manufacturer"], item["os_version"]) == ("Samsung", "26")
    assert '"nfc_capability":true' in str(item["assa_abloy_metadata"])


@pytest.mark.usefixtures("sandbox")
def test_each_simulated_phone_without_an_installation_is_another(directory: Directory, identity: str) -> None:
    first, second = (directory.create_phone(identity) for _ in range(2))

    assert directory.phones() == sorted([second.device_id, first.device_id], key=directory.phones().index)
    assert first.device_id != second.device_id


@pytest.mark.usefixtures("sandbox")
def test_a_simulated_phone_with_a_known_installation_is_that_phone(directory: Directory, identity: str) -> None:
    first, second = (directory.create_phone(identity, custom_sdk_installation_id="app") for _ in range(2))

    assert first == second


def test_there_are_no_simulated_phones_outside_of_a_sandbox(directory: Directory, identity: str) -> None:
    with pytest.raises(WorkspaceIsNotSandbox):
        directory.create_phone(identity)


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("which", ["unknown", "other workspace's"])
def test_a_phone_of_nobody_is_not_created(directory: Directory, other_workspace: Workspace, which: str) -> None:
    missing = {"unknown": UNKNOWN, "other workspace's": other_workspace.user_identity()}[which]

    with pytest.raises(UserIdentityNotFound):
        directory.create_phone(missing)


@pytest.mark.parametrize(
    "wrong",
    [
        {"custom_sdk_installation_id": ""},
        {"custom_sdk_installation_id": "a" * 251},
        {"custom_sdk_installation_id": None},
        {"phone_metadata": {"operating_system": "palm"}},
        {"phone_metadata": {"device_model": 10}},
        {"phone_metadata": None},
        {"assa_abloy_metadata": {"ble_capability": "yes"}},
        {"assa_abloy_metadata": {"seos_tsm_endpoint_id": True}},
    ],
)
def test_a_wrong_simulated_phone_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CreateSandboxPhoneRequest(user_identity_id=UNKNOWN, **wrong)


# -------------------------------------------------------------------------------------------------------- Installations


def test_an_installation_is_one_phone_however_often_it_registers(app: Directory, directory: Directory) -> None:
    app.start_app()
    app.start_app()

    assert len(directory.phones()) == 1


def test_the_longest_installation_id_is_stored(app: Directory, directory: Directory) -> None:
    app.start_app("\U0001f4f1" * 250)

    assert len(directory.phones()) == 1


def test_what_a_later_registration_says_is_taken_over_and_the_rest_stays(
    store: Store, app: Directory, directory: Directory, identity: str
) -> None:
    app.start_app(manufacturer="Apple", model="iPhone 16", os_version="25")
    app.start_app(os_version="26")

    (device_id,) = directory.phones()
    item = store.items()[phone_key(app.caller.workspace_id, identity, device_id)]
    assert (item["device_manufacturer"], item["device_model"], item["os_version"]) == ("Apple", "iPhone 16", "26")


def test_a_registration_that_says_nothing_new_writes_nothing(store: Store, app: Directory) -> None:
    app.start_app(os_version="26")
    requests = store.count_requests()

    app.start_app(os_version="26")

    assert not [request for request in requests if request.endswith("TransactWriteItems")]


def test_two_installations_and_two_persons_have_phones_of_their_own(
    directory: Directory, workspace: Workspace, identity: str
) -> None:
    other = workspace.user_identity()

    directory.session(identity).start_app("one")
    directory.session(identity).start_app("two")
    directory.session(other).start_app("one")

    assert len(directory.phones(owner_user_identity_id=identity)) == 2
    assert len(directory.phones(owner_user_identity_id=other)) == 1


@pytest.mark.parametrize("count", [0, 2])
def test_a_session_of_none_or_of_several_persons_registers_no_phone(
    directory: Directory, workspace: Workspace, count: int
) -> None:
    session = directory.session(*(workspace.user_identity() for _ in range(count)))

    with pytest.raises(ClientSessionIsNotOfOnePerson):
        session.start_app()

    assert directory.phones() == []


def test_a_phone_of_an_identity_that_is_being_deleted_does_not_register(
    app: Directory, mark: Callable[[str], None], identity: str
) -> None:
    app.start_app()
    mark(identity)

    with pytest.raises(UserIdentityNotFound):
        app.start_app()


def test_a_phone_session_says_who_and_where(
    directory: Directory, app: Directory, sandbox: Workspace, identity: str
) -> None:
    manager = sandbox.credential_manager(external_type="hid_credential_manager_organization")
    first = directory.launch(identity, manager)
    second = directory.launch(identity, sandbox.credential_manager())

    session = app.start_app()

    registrations = [one.phone_registration for one in session.provider_sessions]
    names = [registration.provider_name for registration in registrations]
    assert first.created_at <= second.created_at
    assert (session.is_sandbox_workspace, session.user_identity.user_identity_id) == (True, identity)
    assert names == ["hid_credential_manager_organization", None]
    assert all(registration.is_being_activated for registration in registrations)
    assert len({registration.phone_registration_id for registration in registrations}) == 2


def test_a_registration_keeps_its_id(directory: Directory, app: Directory, workspace: Workspace, identity: str) -> None:
    directory.launch(identity, workspace.credential_manager())

    assert app.start_app() == app.start_app(os_version="26")


# --------------------------------------------------------------------------------------------------------------- Lists


@pytest.mark.usefixtures("sandbox")
def test_phones_are_listed_newest_first_and_by_owner(
    directory: Directory, workspace: Workspace, identity: str, other_workspace: Workspace
) -> None:
    other_workspace.become_sandbox()
    Directory(directory.table, Caller(other_workspace.workspace_id)).create_phone(other_workspace.user_identity())
    mine = [directory.create_phone(identity).device_id for _ in range(3)]
    others = directory.create_phone(workspace.user_identity()).device_id

    everything = [directory.phone(device_id) for device_id in directory.phones()]

    assert {phone.device_id for phone in everything} == {*mine, others}
    assert all(newer.created_at >= older.created_at for newer, older in pairwise(everything))
    assert set(directory.phones(owner_user_identity_id=identity)) == set(mine)


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("named", [(), ("owner_user_identity_id",)])
def test_phones_come_in_pages(directory: Directory, identity: str, named: tuple[str, ...]) -> None:
    created = {directory.create_phone(identity).device_id for _ in range(3)}
    request = ListPhonesRequest(limit=2, **dict.fromkeys(named, identity))

    first = phones.list_page(directory.table, directory.caller, request)
    second = phones.list_page(directory.table, directory.caller, request, first.next_position)

    assert [len(first.records), len(second.records)] == [2, 1]
    assert {phone.device_id for phone in [*first.records, *second.records]} == created
    assert second.next_position is None


def test_a_list_of_phones_by_what_is_not_there_is_not_found(
    directory: Directory, other_workspace: Workspace, mark: Callable[[str], None], identity: str
) -> None:
    mark(identity)

    for missing in (UNKNOWN, other_workspace.user_identity(), identity):
        with pytest.raises(UserIdentityNotFound):
            directory.phones(owner_user_identity_id=missing)
    with pytest.raises(AcsCredentialNotFound):
        directory.phones(acs_credential_id=UNKNOWN)


def test_a_credential_that_no_phone_has_finds_no_phone(
    directory: Directory, app: Directory, workspace: Workspace, identity: str
) -> None:
    app.start_app()
    acs_user = directory.create_acs_user(workspace.credential_manager(), user_identity_id=identity).acs_user_id
    manager = directory.acs_user(acs_user).acs_system_id
    credential = directory.create_credential(acs_user, credential_manager_acs_system_id=manager)

    assert directory.phones(acs_credential_id=credential.acs_credential_id) == []


# --------------------------------------------------------------------------------------------------------- Deactivating


def test_a_deactivated_phone_is_gone_with_all_that_leads_to_it(
    store: Store, app: Directory, directory: Directory
) -> None:
    app.start_app()
    (device_id,) = directory.phones()

    directory.deactivate_phone(device_id)

    assert directory.phones() == []
    assert not [key for key in store.items() if "#PHONE" in key.pk]
    with pytest.raises(PhoneNotFound):
        directory.phone(device_id)
    with pytest.raises(PhoneNotFound):
        directory.deactivate_phone(device_id)


def test_a_deactivated_phone_registers_again_as_a_new_one(app: Directory, directory: Directory) -> None:
    app.start_app()
    (first,) = directory.phones()
    directory.deactivate_phone(first)

    app.start_app()

    (second,) = directory.phones()
    assert second != first


def test_a_client_session_deactivates_its_own_phones_only(
    app: Directory, directory: Directory, workspace: Workspace
) -> None:
    app.start_app()
    (device_id,) = directory.phones()

    with pytest.raises(PhoneNotFound):
        directory.session(workspace.user_identity()).deactivate_phone(device_id)
    app.deactivate_phone(device_id)

    assert directory.phones() == []


def test_another_workspaces_phone_is_not_found(
    app: Directory, directory: Directory, other_workspace: Workspace
) -> None:
    app.start_app()
    (device_id,) = directory.phones()
    elsewhere = Directory(directory.table, Caller(other_workspace.workspace_id))

    for call in (elsewhere.phone, elsewhere.deactivate_phone):
        with pytest.raises(PhoneNotFound):
            call(device_id)


# --------------------------------------------------------------------------------------------- Deleting all of a person


def test_everything_of_a_person_is_deleted_however_much_it_is(
    store: Store, directory: Directory, workspace: Workspace, mark: Callable[[str], None], identity: str
) -> None:
    workspace.become_sandbox()
    manager = workspace.credential_manager()
    acs_user = directory.create_acs_user(manager, user_identity_id=identity).acs_user_id
    for number in range(30):
        directory.create_phone(identity, custom_sdk_installation_id=str(number))
        directory.create_credential(acs_user, credential_manager_acs_system_id=manager)
    mark(identity)

    delete_all_of_user_identity(store.table, workspace.workspace_id, identity)

    assert not [key for key in store.items() if "PHONE" in key.pk or "CREDENTIAL#" in key.pk]
    assert directory.phones() == directory.credentials() == []


@pytest.mark.parametrize("requests", range(7))
def test_an_interrupted_deletion_of_everything_is_finished_by_the_next(
    store: Store,
    directory: Directory,
    workspace: Workspace,
    mark: Callable[[str], None],
    identity: str,
    outage: Outage,
    requests: int,
) -> None:
    workspace.become_sandbox()
    manager = workspace.credential_manager()
    acs_user = directory.create_acs_user(manager, user_identity_id=identity).acs_user_id
    directory.create_phone(identity)
    directory.create_credential(acs_user, credential_manager_acs_system_id=manager)
    mark(identity)

    outage.left = requests
    with pytest.raises(ServiceUnavailable):
        delete_all_of_user_identity(store.table, workspace.workspace_id, identity)
    outage.left = None
    delete_all_of_user_identity(store.table, workspace.workspace_id, identity)

    assert not [key for key in store.items() if "PHONE" in key.pk or "CREDENTIAL#" in key.pk]
