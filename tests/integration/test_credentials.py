import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from enrollment.callers import Caller
from enrollment.errors import (
    AcsCredentialNotFound,
    AcsSystemIsNotCredentialManager,
    AcsSystemNotFound,
    AcsUserHasNoUserIdentity,
    AcsUserNotFound,
    AcsUserNotInAcsSystem,
    CredentialManagerNotCompatible,
    InvalidInput,
    NoCredentialManager,
    ServiceUnavailable,
    TooManyAcsCredentials,
    UserIdentityNotFound,
)
from enrollment.resources.acs_credentials import CreateAcsCredentialRequest, ListAcsCredentialsRequest
from enrollment.store.actions import change, delete
from enrollment.store.attributes import Item
from enrollment.store.keys import acs_user_key, enrollment_key, user_identity_key
from enrollment.timestamps import timestamp
from enrollment.use_cases import credentials
from enrollment.use_cases.credential_items import delete_credentials_of_acs_user
from tests.fixtures import Store, Workspace
from tests.integration.conftest import UNKNOWN, Directory, Outage

EMAIL = "jane@example.com"
_NOW = datetime.now(UTC)
SOON, LATER, PAST = (timestamp(_NOW + timedelta(days=days)) for days in (1, 2, -1))


@pytest.fixture
def manager(workspace: Workspace) -> str:
    return workspace.credential_manager()


@pytest.fixture
def system(workspace: Workspace, manager: str) -> str:
    """A system whose default credential manager is ``manager``."""
    return workspace.acs_system(default_credential_manager_acs_system_id=manager)


@pytest.fixture
def identity(workspace: Workspace) -> str:
    return workspace.user_identity(full_name="Jane Doe", email_address=EMAIL)


@pytest.fixture
def acs_user(directory: Directory, system: str, identity: str) -> str:
    return directory.create_acs_user(system, user_identity_id=identity).acs_user_id


def stored(store: Store, credential_id: str) -> Item:
    """Return a credential's own item."""
    return next(item for key, item in store.items().items() if key.sk == f"CREDENTIAL#{credential_id}")


# ------------------------------------------------------------------------------------------------------------- Creating


def test_a_credential_waits_to_be_issued(
    directory: Directory, workspace: Workspace, system: str, identity: str, acs_user: str
) -> None:
    created = directory.create_credential(acs_user)

    assert (created.acs_user_id, created.user_identity_id, created.acs_system_id) == (acs_user, identity, system)
    assert (created.workspace_id, created.access_method) == (workspace.workspace_id, "mobile_key")
    assert (created.is_issued, created.issued_at) == (False, None)
    assert created.is_latest_desired_state_synced_with_provider is False
    assert [warning.warning_code for warning in created.warnings] == ["waiting_to_be_issued"]
    assert (created.starts_at, created.ends_at) == (created.created_at, None)
    assert directory.credential(created.acs_credential_id) == created


def test_an_acs_user_is_named_by_its_person_and_system(
    directory: Directory, system: str, identity: str, acs_user: str
) -> None:
    created = directory.create_credential(user_identity_id=identity, acs_system_id=system)

    assert created.acs_user_id == acs_user


def test_a_person_who_is_not_in_the_system_is_linked_to_the_acs_user_with_the_same_address(
    directory: Directory, workspace: Workspace, system: str, identity: str
) -> None:
    unlinked = workspace.acs_user(system, email_address=EMAIL)

    created = directory.create_credential(user_identity_id=identity, acs_system_id=system)

    assert created.acs_user_id == unlinked
    assert [one.acs_user_id for one in directory.acs_users_of(identity)] == [unlinked]


def test_a_person_who_is_not_in_the_system_gets_an_acs_user(directory: Directory, system: str, identity: str) -> None:
    created = directory.create_credential(user_identity_id=identity, acs_system_id=system)

    (acs_user,) = directory.acs_users_of(identity)
    assert (acs_user.acs_user_id, acs_user.email_address) == (created.acs_user_id, EMAIL)


def test_a_credential_is_valid_from_and_until_when_a_client_says(directory: Directory, acs_user: str) -> None:
    created = directory.create_credential(acs_user, starts_at=SOON, ends_at=LATER)

    assert (created.starts_at, created.ends_at) == (SOON, LATER)


@pytest.mark.parametrize("validity", [{"ends_at": PAST}, {"starts_at": LATER, "ends_at": SOON}])
def test_a_credential_that_ends_too_early_is_refused(
    directory: Directory, acs_user: str, validity: dict[str, str]
) -> None:
    with pytest.raises(InvalidInput, match="ends_at"):
        directory.create_credential(acs_user, **validity)

    assert directory.credentials() == []


def test_options_are_kept_for_the_credential_manager(store: Store, directory: Directory, acs_user: str) -> None:
    options = {
        "allowed_acs_entrance_ids": [UNKNOWN],
        "visionline_metadata": {"override": True},
        "hotek_metadata": {"auto_join": False},
    }

    created = directory.create_credential(acs_user, **options)

    kept = json.loads(str(stored(store, created.acs_credential_id)["options"]))
    assert kept == {**options, "visionline_metadata": {"override": True, "card_function_type": "guest"}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"access_method": "code"},
        {"access_method": "telepathy"},
        {"is_multi_phone_sync_credential": False},
        {"is_multi_phone_sync_credential": "true"},
        {"user_identity_id": UNKNOWN},
        {"acs_user_id": None},
        {"starts_at": "tomorrow"},
        {"allowed_acs_entrance_ids": [UNKNOWN] * 101},
        {"visionline_metadata": {"card_format": "punched"}},
        {"visionline_metadata": {"joiner_acs_credential_ids": ["one"]}},
        {"assa_abloy_vostio_metadata": {"auto_join": "yes"}},
        {"salto_space_metadata": "new"},
        {"hotek_metadata": None},
    ],
)
def test_a_wrong_credential_is_refused(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {
        "acs_user_id": UNKNOWN,
        "access_method": "mobile_key",
        "is_multi_phone_sync_credential": True,
    }

    with pytest.raises(ValidationError):
        CreateAcsCredentialRequest(**right | wrong)


@pytest.mark.parametrize("which", ["unknown", "other workspace's"])
def test_what_a_credential_refers_to_must_exist(
    directory: Directory, other_workspace: Workspace, identity: str, acs_user: str, which: str
) -> None:
    elsewhere = other_workspace.credential_manager()
    missing = {
        "unknown": (UNKNOWN, UNKNOWN, UNKNOWN),
        "other workspace's": (elsewhere, other_workspace.acs_user(elsewhere), other_workspace.user_identity()),
    }
    no_system, no_acs_user, nobody = missing[which]

    with pytest.raises(AcsUserNotFound):
        directory.create_credential(no_acs_user)
    with pytest.raises(UserIdentityNotFound):
        directory.create_credential(user_identity_id=nobody, acs_system_id=no_system)
    with pytest.raises(AcsSystemNotFound):
        directory.create_credential(user_identity_id=identity, acs_system_id=no_system)
    with pytest.raises(AcsSystemNotFound):
        directory.create_credential(acs_user, credential_manager_acs_system_id=no_system)


def test_an_acs_user_of_another_system_gets_no_credential(directory: Directory, acs_user: str, manager: str) -> None:
    with pytest.raises(AcsUserNotInAcsSystem):
        directory.create_credential(acs_user, acs_system_id=manager)


def test_an_acs_user_of_nobody_gets_no_credential(directory: Directory, workspace: Workspace, system: str) -> None:
    with pytest.raises(AcsUserHasNoUserIdentity):
        directory.create_credential(workspace.acs_user(system))


def test_an_identity_that_is_being_deleted_gets_no_credential(
    store: Store, directory: Directory, workspace: Workspace, system: str, identity: str, acs_user: str
) -> None:
    key = user_identity_key(workspace.workspace_id, identity)
    store.table.transact({"mark": change(key, assign={"being_deleted_at": PAST})})

    with pytest.raises(UserIdentityNotFound):
        directory.create_credential(acs_user)
    with pytest.raises(UserIdentityNotFound):
        directory.create_credential(user_identity_id=identity, acs_system_id=system)


def test_an_acs_user_has_a_thousand_credentials_at_most(
    store: Store, directory: Directory, workspace: Workspace, acs_user: str
) -> None:
    key = acs_user_key(workspace.workspace_id, acs_user)
    full = {"acs_credential_ids": frozenset(map(str, range(1000)))}
    store.table.transact({"acs_user": change(key, add=full)})

    with pytest.raises(TooManyAcsCredentials):
        directory.create_credential(acs_user)

    store.table.transact({"acs_user": change(key, remove=["acs_credential_ids"])})


# ---------------------------------------------------------------------------------------------- Which manager issues it


def manager_of(store: Store, credential_id: str) -> str:
    return str(stored(store, credential_id)["credential_manager_acs_system_id"])


def test_a_named_manager_issues_it(
    store: Store, directory: Directory, workspace: Workspace, identity: str, manager: str
) -> None:
    other = workspace.credential_manager()
    system = workspace.acs_system(compatible_credential_manager_acs_system_ids=frozenset({manager, other}))

    created = directory.create_credential(
        user_identity_id=identity, acs_system_id=system, credential_manager_acs_system_id=other
    )

    assert manager_of(store, created.acs_credential_id) == other


def test_the_systems_default_manager_issues_it(
    store: Store, directory: Directory, workspace: Workspace, identity: str, acs_user: str, manager: str
) -> None:
    directory.launch(identity, workspace.credential_manager())

    created = directory.create_credential(acs_user)

    assert manager_of(store, created.acs_credential_id) == manager


def test_else_the_oldest_automations_compatible_manager_issues_it(
    store: Store, directory: Directory, workspace: Workspace, identity: str
) -> None:
    not_compatible, first, second = (workspace.credential_manager() for _ in range(3))
    system = workspace.acs_system(compatible_credential_manager_acs_system_ids=frozenset({first, second}))
    automations = {one: directory.launch(identity, one) for one in (not_compatible, first, second)}
    oldest = min(
        (first, second), key=lambda one: (automations[one].created_at, automations[one].enrollment_automation_id)
    )

    created = directory.create_credential(user_identity_id=identity, acs_system_id=system)

    assert manager_of(store, created.acs_credential_id) == oldest


def test_without_any_manager_it_is_refused(
    directory: Directory, workspace: Workspace, identity: str, manager: str
) -> None:
    system = workspace.acs_system(compatible_credential_manager_acs_system_ids=frozenset({manager}))
    directory.launch(identity, workspace.credential_manager())

    with pytest.raises(NoCredentialManager):
        directory.create_credential(user_identity_id=identity, acs_system_id=system)

    assert directory.acs_users_of(identity) == []


def test_a_named_manager_that_cannot_issue_it_is_refused(
    directory: Directory, workspace: Workspace, acs_user: str
) -> None:
    with pytest.raises(AcsSystemIsNotCredentialManager):
        directory.create_credential(acs_user, credential_manager_acs_system_id=workspace.acs_system())
    with pytest.raises(CredentialManagerNotCompatible):
        directory.create_credential(acs_user, credential_manager_acs_system_id=workspace.credential_manager())


# ---------------------------------------------------------------------------------------------------------- Enrollments


def test_each_change_of_what_is_wanted_raises_the_enrollments_revision(
    store: Store, directory: Directory, workspace: Workspace, identity: str, acs_user: str, manager: str
) -> None:
    key = enrollment_key(workspace.workspace_id, identity, manager)
    revisions = []
    first = directory.create_credential(acs_user).acs_credential_id
    revisions.append(store.items()[key]["revision"])
    directory.create_credential(acs_user)
    revisions.append(store.items()[key]["revision"])
    directory.update_credential(first, ends_at=SOON)
    revisions.append(store.items()[key]["revision"])
    directory.delete_credential(first)
    revisions.append(store.items()[key]["revision"])

    assert revisions == [1, 2, 3, 4]


def test_each_manager_has_an_enrollment_of_its_own(
    store: Store, directory: Directory, workspace: Workspace, identity: str, manager: str
) -> None:
    other = workspace.credential_manager()
    garage = workspace.acs_system()

    for one in (manager, other):
        directory.create_credential(
            user_identity_id=identity, acs_system_id=garage, credential_manager_acs_system_id=one
        )

    for one in (manager, other):
        assert store.items()[enrollment_key(workspace.workspace_id, identity, one)]["revision"] == 1


# ------------------------------------------------------------------------------------------------------------- Updating


def test_an_update_changes_when_it_ends_and_its_version(store: Store, directory: Directory, acs_user: str) -> None:
    created = directory.create_credential(acs_user)

    updated = directory.update_credential(created.acs_credential_id, ends_at=SOON)

    assert updated == created.model_copy(update={"ends_at": SOON})
    assert directory.credential(created.acs_credential_id) == updated
    assert stored(store, created.acs_credential_id)["version"] == 2


@pytest.mark.parametrize("changes", [{}, {"ends_at": SOON}])
def test_an_update_that_changes_nothing_writes_nothing(
    store: Store, directory: Directory, acs_user: str, changes: dict[str, str]
) -> None:
    created = directory.create_credential(acs_user, ends_at=SOON)
    before = store.items()

    assert directory.update_credential(created.acs_credential_id, **changes) == created
    assert store.items() == before


def test_a_credential_cannot_be_made_to_end_too_early(directory: Directory, acs_user: str) -> None:
    created = directory.create_credential(acs_user, starts_at=LATER)

    for too_early in (PAST, SOON, LATER):
        with pytest.raises(InvalidInput, match="ends_at"):
            directory.update_credential(created.acs_credential_id, ends_at=too_early)


def test_an_end_in_the_past_is_refused_whether_or_not_there_is_such_a_credential(directory: Directory) -> None:
    with pytest.raises(InvalidInput, match="ends_at"):
        directory.update_credential(UNKNOWN, ends_at=PAST)


# ------------------------------------------------------------------------------------------------------------- Deleting


def test_a_deleted_credential_is_gone_with_all_that_leads_to_it(
    store: Store, directory: Directory, workspace: Workspace, acs_user: str
) -> None:
    created = directory.create_credential(acs_user).acs_credential_id

    directory.delete_credential(created)

    assert not [key for key in store.items() if created in key.pk + key.sk]
    assert "acs_credential_ids" not in store.items()[acs_user_key(workspace.workspace_id, acs_user)]
    with pytest.raises(AcsCredentialNotFound):
        directory.delete_credential(created)


def test_a_credential_of_another_workspace_is_not_found(
    directory: Directory, other_workspace: Workspace, acs_user: str
) -> None:
    created = directory.create_credential(acs_user).acs_credential_id
    elsewhere = Directory(directory.table, Caller(other_workspace.workspace_id))

    for call in (elsewhere.credential, elsewhere.update_credential, elsewhere.delete_credential):
        with pytest.raises(AcsCredentialNotFound):
            call(created)
    assert directory.credentials() == [created]


def test_all_credentials_of_an_acs_user_are_deleted_and_no_others(
    store: Store, directory: Directory, workspace: Workspace, identity: str, acs_user: str
) -> None:
    kept = directory.create_credential(
        user_identity_id=identity,
        acs_system_id=workspace.acs_system(default_credential_manager_acs_system_id=workspace.credential_manager()),
    ).acs_credential_id
    for _ in range(20):
        directory.create_credential(acs_user)
    key = acs_user_key(workspace.workspace_id, acs_user)

    delete_credentials_of_acs_user(store.table, store.items()[key])

    assert directory.credentials() == [kept]
    assert "acs_credential_ids" not in store.items()[key]


def test_the_name_of_a_credential_that_is_not_there_is_taken_from_its_acs_user(
    store: Store, directory: Directory, workspace: Workspace, acs_user: str
) -> None:
    key = acs_user_key(workspace.workspace_id, acs_user)
    directory.create_credential(acs_user)
    store.table.transact({"acs_user": change(key, add={"acs_credential_ids": frozenset({UNKNOWN})})})

    delete_credentials_of_acs_user(store.table, store.items()[key])

    assert "acs_credential_ids" not in store.items()[key]


@pytest.mark.parametrize("requests", range(5))
def test_an_interrupted_deletion_of_credentials_is_finished_by_the_next(
    store: Store, directory: Directory, workspace: Workspace, acs_user: str, outage: Outage, requests: int
) -> None:
    for _ in range(20):
        directory.create_credential(acs_user)
    key = acs_user_key(workspace.workspace_id, acs_user)

    outage.left = requests
    with pytest.raises(ServiceUnavailable):
        delete_credentials_of_acs_user(store.table, store.items()[key])
    outage.left = None
    delete_credentials_of_acs_user(store.table, store.items()[key])

    assert directory.credentials() == []


def test_a_credential_whose_acs_user_an_older_release_has_deleted_can_be_deleted(
    store: Store, directory: Directory, workspace: Workspace, acs_user: str, identity: str
) -> None:
    created = directory.create_credential(acs_user).acs_credential_id
    acs_users_item = {key: item for key, item in store.items().items() if acs_user in key.pk + key.sk}
    link = [key for key in store.items() if key.sk.startswith("ACS_USER#")]
    identity_key = user_identity_key(workspace.workspace_id, identity)
    store.table.transact(
        {str(key): delete(key) for key in [*acs_users_item, *link]}
        | {"user_identity": change(identity_key, remove=["acs_user_ids"])}
    )

    directory.delete_credential(created)

    assert directory.credentials() == []
    assert acs_user_key(workspace.workspace_id, acs_user) not in store.items()


# ---------------------------------------------------------------------------------------------------------------- Lists


@pytest.fixture
def of_two(directory: Directory, workspace: Workspace, acs_user: str) -> tuple[str, str, str]:
    """A credential of Jane's, one of another person's in another system, and that person's ACS user."""
    first = directory.create_credential(acs_user).acs_credential_id
    other = directory.create_acs_user(workspace.credential_manager(), user_identity_id=workspace.user_identity())
    manager = other.acs_system_id
    second = directory.create_credential(other.acs_user_id, credential_manager_acs_system_id=manager)
    return first, second.acs_credential_id, other.acs_user_id


def test_credentials_are_listed_by_what_they_belong_to(
    directory: Directory, identity: str, system: str, acs_user: str, of_two: tuple[str, str, str]
) -> None:
    first, second, _ = of_two

    assert set(directory.credentials()) == {first, second}
    assert directory.credentials(user_identity_id=identity) == [first]
    assert directory.credentials(acs_system_id=system) == [first]
    assert directory.credentials(acs_user_id=acs_user) == [first]
    assert directory.credentials(acs_user_id=acs_user, acs_system_id=UNKNOWN) == []
    assert set(directory.credentials(is_multi_phone_sync_credential=True)) == {first, second}
    assert directory.credentials(is_multi_phone_sync_credential=False) == []
    assert directory.credentials(created_before=PAST) == []
    assert set(directory.credentials(created_before=SOON, search="MOBILE")) == {first, second}
    assert directory.credentials(search=first[:13].upper()) == [first]


@pytest.mark.parametrize("filter_", ["acs_user_id", "acs_system_id", "user_identity_id"])
def test_a_filter_by_what_is_not_there_finds_nothing(
    directory: Directory, filter_: str, of_two: tuple[str, str, str]
) -> None:
    assert len(of_two) == 3
    assert directory.credentials(**{filter_: UNKNOWN}) == []


def test_a_client_session_lists_its_own_credentials(
    directory: Directory, identity: str, of_two: tuple[str, str, str]
) -> None:
    first, _, others_acs_user = of_two
    session = directory.session(identity)

    assert session.credentials() == session.credentials(user_identity_id=identity) == [first]
    assert session.credentials(acs_user_id=others_acs_user) == []
    assert directory.session(UNKNOWN).credentials() == []


@pytest.mark.parametrize("named", [(), ("user_identity_id",)])
def test_credentials_come_in_pages_newest_first(
    directory: Directory, identity: str, acs_user: str, named: tuple[str, ...]
) -> None:
    created = [directory.create_credential(acs_user) for _ in range(3)]
    newest_first = sorted(created, key=lambda one: (one.created_at, one.acs_credential_id), reverse=True)
    parameters: dict[str, Any] = dict.fromkeys(named, identity)
    request = ListAcsCredentialsRequest(limit=2, **parameters)

    first = credentials.list_page(directory.table, directory.caller, request)
    second = credentials.list_page(directory.table, directory.caller, request, first.next_position)

    assert [*first.records, *second.records] == newest_first
    assert (len(first.records), second.next_position) == (2, None)
