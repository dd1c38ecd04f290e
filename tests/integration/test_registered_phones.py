"""What clients see of phones' registrations with credential managers, and of the credentials that phones have there.

The items are put by hand, as executions write them.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from enrollment.errors import AcsCredentialNotFound, InvalidInput
from enrollment.resources.acs_credentials import AcsCredential
from enrollment.store.actions import change
from enrollment.store.attributes import Item, Value
from enrollment.store.keys import acs_credential_key, enrollment_key
from enrollment.timestamps import timestamp
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory

SINCE, LATER, NEVER = "2026-01-09T05:45:33.068Z", "2026-01-10T05:45:33.068Z", "2099-12-31T18:00:00.000Z"


class Person(NamedTuple):
    """A person with a credential, and with a phone that is registered with the credential manager.

    Attributes:
        identity: The user identity.
        manager: The credential manager.
        device: The phone.
        parent: The credential, which is for all phones.
    """

    identity: str
    manager: str
    device: str
    parent: AcsCredential

    @property
    def registered(self) -> tuple[str, str, str]:
        """What names the phone's registration."""
        return self.identity, self.device, self.manager

    @property
    def acs_user(self) -> Item:
        """The ACS user that the credential belongs to."""
        return {"acs_user_id": self.parent.acs_user_id, "acs_system_id": self.parent.acs_system_id}


@pytest.fixture
def make_person(directory: Directory, workspace: Workspace) -> Callable[..., Person]:
    """Makes a person; the arguments are what is stored of the phone's registration."""

    def make(**registration: Value) -> Person:
        manager = workspace.credential_manager()
        system = workspace.acs_system(default_credential_manager_acs_system_id=manager)
        identity = workspace.user_identity()
        parent = directory.create_credential(user_identity_id=identity, acs_system_id=system)
        person = Person(identity, manager, workspace.phone(identity, custom_sdk_installation_id="app"), parent)
        workspace.registration(person.registered, **registration)
        return person

    return make


@pytest.fixture
def person(make_person: Callable[..., Person]) -> Person:
    """A person whose phone is active."""
    return make_person(state="active", endpoint_id="endpoint 7")


@pytest.fixture
def give(workspace: Workspace, person: Person) -> Callable[..., str]:
    """Gives the person's phone a credential under the person's; the arguments are what is stored of it."""

    def put(**more: Value) -> str:
        under = {"parent_acs_credential_id": person.parent.acs_credential_id}
        return workspace.credential_of_phone(person.registered, person.acs_user, **under, **more)

    return put


def ago(**period: int) -> str:
    return timestamp(datetime.now(UTC) - timedelta(**period))


# --------------------------------------------------------------------------------------------------------------- Phones


def test_an_active_phone_has_an_active_endpoint(directory: Directory, person: Person) -> None:
    phone = directory.phone(person.device)

    metadata = phone.properties.assa_abloy_credential_service_metadata
    assert metadata.model_dump() == {
        "has_active_endpoint": True,
        "endpoints": [{"endpoint_id": "endpoint 7", "is_active": True}],
    }
    assert phone.errors == []


@pytest.mark.parametrize("state", ["invited", "removing", "gone"])
def test_a_phone_that_is_not_active_has_an_endpoint_that_is_not(
    directory: Directory, make_person: Callable[..., Person], state: str
) -> None:
    person = make_person(state=state, state_since=SINCE, endpoint_id="endpoint 7")

    metadata = directory.phone(person.device).properties.assa_abloy_credential_service_metadata

    assert not metadata.has_active_endpoint
    assert [endpoint.is_active for endpoint in metadata.endpoints] == [False]


def test_a_phone_can_be_active_where_it_got_no_id(directory: Directory, make_person: Callable[..., Person]) -> None:
    person = make_person(state="active")

    metadata = directory.phone(person.device).properties.assa_abloy_credential_service_metadata

    assert (metadata.has_active_endpoint, metadata.endpoints) == (True, [])


def test_a_phone_has_an_endpoint_at_each_of_its_credential_managers(
    directory: Directory, workspace: Workspace, person: Person
) -> None:
    other = workspace.credential_manager()
    workspace.registration((person.identity, person.device, other), state="invited", endpoint_id="endpoint 8")

    metadata = directory.phone(person.device).properties.assa_abloy_credential_service_metadata

    assert metadata.has_active_endpoint
    assert [(one.endpoint_id, one.is_active) for one in metadata.endpoints] == [
        ("endpoint 7", True),
        ("endpoint 8", False),
    ]


@pytest.mark.parametrize(
    ("registration", "code", "since"),
    [
        ({"state": "failed", "reason": "email_required", "state_since": SINCE}, "email_required", SINCE),
        ({"state": "gone", "state_since": SINCE}, "removed_by_credential_manager", SINCE),
        ({"state": "active", "unanswered_since": SINCE}, "credential_manager_unreachable", LATER),
    ],
)
def test_a_phone_shows_what_is_wrong_at_its_credential_manager(
    directory: Directory, make_person: Callable[..., Person], registration: Item, code: str, since: str
) -> None:
    person = make_person(**registration)

    (error,) = directory.phone(person.device).errors

    assert (error.error_code, error.created_at) == (code, since)


def test_a_credential_manager_that_has_not_answered_for_less_than_a_day_is_no_error(
    directory: Directory, make_person: Callable[..., Person]
) -> None:
    person = make_person(state="active", unanswered_since=ago(hours=23))

    assert directory.phone(person.device).errors == []


def test_a_phone_shows_which_of_its_credentials_have_failed(
    directory: Directory, workspace: Workspace, person: Person, give: Callable[..., str]
) -> None:
    failed = give(state="failed", reason="pool_exhausted", message="No licences left", state_since=SINCE)
    workspace.fail(person.registered, failed)

    (error,) = directory.phone(person.device).errors

    assert error.model_dump() == {
        "error_code": "pool_exhausted",
        "message": "No licences left",
        "created_at": SINCE,
    }


def test_a_listed_phone_is_the_one_that_is_got(directory: Directory, workspace: Workspace, person: Person) -> None:
    other = workspace.phone(person.identity)

    assert set(directory.phones()) == {person.device, other}
    assert [directory.phone(person.device)] == [
        phone for phone in directory.phone_page().records if phone.device_id == person.device
    ]


def test_phones_and_their_errors_are_read_with_few_requests(
    store: Store, directory: Directory, workspace: Workspace, person: Person, give: Callable[..., str]
) -> None:
    workspace.fail(person.registered, give(state="gone", state_since=SINCE))
    for _ in range(5):
        workspace.registration((person.identity, workspace.phone(person.identity), person.manager))
    requests = store.count_requests()

    directory.phones()

    assert [request.rpartition(".")[2] for request in requests] == ["Query", *["BatchGetItem"] * 4]


def test_phones_are_listed_by_the_credential_that_they_have_theirs_under(
    directory: Directory, workspace: Workspace, person: Person, give: Callable[..., str]
) -> None:
    child = give()
    workspace.registration((person.identity, workspace.phone(person.identity), person.manager))

    assert directory.phones(acs_credential_id=person.parent.acs_credential_id) == [person.device]
    assert directory.phones(acs_credential_id=child) == [person.device]
    assert directory.phones(acs_credential_id=child, owner_user_identity_id=person.identity) == [person.device]
    assert directory.phones(acs_credential_id=child, owner_user_identity_id=workspace.user_identity()) == []


def test_a_phone_whose_credential_is_being_deleted_is_not_listed_by_it(
    directory: Directory, person: Person, give: Callable[..., str]
) -> None:
    child = give(being_deleted_at=SINCE)

    assert directory.phones(acs_credential_id=person.parent.acs_credential_id) == []
    assert directory.phones(acs_credential_id=child) == []


# ---------------------------------------------------------------------------------------------------------- Credentials


def test_a_phones_credential_is_shown_under_the_persons(
    directory: Directory, person: Person, give: Callable[..., str]
) -> None:
    child = directory.credential(give())

    assert child.parent_acs_credential_id == person.parent.acs_credential_id
    assert (child.acs_user_id, child.acs_system_id) == (person.parent.acs_user_id, person.parent.acs_system_id)
    assert (child.is_multi_phone_sync_credential, child.acs_credential_pool_id) == (False, None)
    assert "acs_credential_pool_id" not in child.model_dump()


def test_a_credential_that_is_issued_says_since_when(directory: Directory, give: Callable[..., str]) -> None:
    child = directory.credential(
        give(state="active", issued_at=SINCE, synced_version=1, synced_at=LATER, card_number="0042")
    )

    assert (child.is_issued, child.issued_at, child.card_number) == (True, SINCE, "0042")
    assert child.is_latest_desired_state_synced_with_provider
    assert child.latest_desired_state_synced_with_provider_at == LATER
    assert (child.errors, child.warnings) == ([], [])


def test_a_persons_credential_is_issued_once_its_first_phone_has_it(
    store: Store, directory: Directory, workspace: Workspace, person: Person
) -> None:
    key = acs_credential_key(workspace.workspace_id, person.identity, person.parent.acs_credential_id)
    issued: Item = {"issued_at": SINCE, "synced_version": 1, "synced_at": SINCE}
    store.table.transact({"parent": change(key, assign=issued)})

    parent = directory.credential(person.parent.acs_credential_id)

    assert (parent.is_issued, parent.issued_at, parent.warnings) == (True, SINCE, [])
    assert parent.is_latest_desired_state_synced_with_provider
    assert parent.is_multi_phone_sync_credential


def test_an_older_version_at_the_credential_manager_is_not_in_sync(
    directory: Directory, give: Callable[..., str]
) -> None:
    child = directory.credential(
        give(state="active", issued_at=SINCE, version=2, synced_version=1, synced_at=SINCE, manager_ends_at=LATER)
    )

    assert not child.is_latest_desired_state_synced_with_provider
    assert child.latest_desired_state_synced_with_provider_at is None
    assert child.warnings == []


@pytest.mark.parametrize(
    ("stored", "warnings", "errors"),
    [
        ({}, ["waiting_to_be_issued"], []),
        ({"state": "pending"}, ["waiting_to_be_issued"], []),
        (
            {"state": "failed", "reason": "phone_limit_reached", "state_since": SINCE},
            ["waiting_to_be_issued"],
            ["phone_limit_reached"],
        ),
        ({"state": "gone", "state_since": SINCE, "issued_at": SINCE}, [], ["invalidated"]),
        ({"state": "gone", "state_since": SINCE, "being_deleted_at": LATER}, ["being_deleted"], []),
        ({"state": "active", "issued_at": SINCE, "being_deleted_at": LATER}, ["being_deleted"], []),
        (
            {"issued_at": SINCE, "synced_version": 1, "synced_at": SINCE, "manager_ends_at": LATER},
            ["schedule_externally_modified"],
            [],
        ),
        (
            {
                "issued_at": SINCE,
                "synced_version": 1,
                "synced_at": SINCE,
                "starts_at": SINCE,
                "ends_at": NEVER,
                "manager_starts_at": SINCE,
                "manager_ends_at": NEVER,
            },
            [],
            [],
        ),
    ],
)
def test_a_credential_shows_what_there_is_to_say_about_it(
    directory: Directory, give: Callable[..., str], stored: Item, warnings: list[str], errors: list[str]
) -> None:
    child = directory.credential(give(**stored))

    assert [warning.warning_code for warning in child.warnings] == warnings
    assert [error.error_code for error in child.errors] == errors


@pytest.mark.parametrize("stored", [{"state": "gone"}, {"state": "active", "being_deleted_at": LATER}])
def test_what_is_gone_or_being_deleted_is_not_in_sync(
    directory: Directory, give: Callable[..., str], stored: Item
) -> None:
    child = directory.credential(give(state_since=SINCE, synced_version=1, synced_at=SINCE, **stored))

    assert not child.is_latest_desired_state_synced_with_provider


def test_a_credential_that_was_invalidated_is_not_issued_any_more(
    directory: Directory, give: Callable[..., str]
) -> None:
    child = directory.credential(give(state="gone", state_since=LATER, issued_at=SINCE))

    assert (child.is_issued, child.issued_at) == (False, None)
    assert [error.created_at for error in child.errors] == [LATER]


def test_credentials_are_listed_by_whether_they_are_for_all_phones(
    directory: Directory, person: Person, give: Callable[..., str]
) -> None:
    parent, child = person.parent.acs_credential_id, give()

    assert set(directory.credentials()) == {parent, child}
    assert directory.credentials(is_multi_phone_sync_credential=True) == [parent]
    assert directory.credentials(is_multi_phone_sync_credential=False) == [child]
    assert directory.credentials(is_multi_phone_sync_credential=False, user_identity_id=person.identity) == [child]


def test_the_end_of_a_phones_credential_is_that_of_the_persons(
    directory: Directory, person: Person, give: Callable[..., str]
) -> None:
    child = give()

    with pytest.raises(InvalidInput, match=person.parent.acs_credential_id) as refused:
        directory.update_credential(child, ends_at=NEVER)

    assert [name for name, _ in refused.value.problems] == ["acs_credential_id"]
    assert directory.credential(child).ends_at is None


def test_the_end_of_a_credential_from_a_pool_is_its_own(
    store: Store, directory: Directory, workspace: Workspace, person: Person
) -> None:
    pool = workspace.acs_credential_pool(person.manager)
    acs_user = directory.create_acs_user(person.manager, user_identity_id=person.identity).acs_user_id
    owner: Item = {"acs_user_id": acs_user, "acs_system_id": person.manager}
    of_pool = workspace.credential_of_phone(person.registered, owner, acs_credential_pool_id=pool)
    enrollment = enrollment_key(workspace.workspace_id, person.identity, person.manager)
    revision = int(str(store.items()[enrollment]["revision"]))

    updated = directory.update_credential(of_pool, ends_at=NEVER)

    key = acs_credential_key(workspace.workspace_id, person.identity, of_pool)
    assert (updated.ends_at, updated.acs_credential_pool_id) == (NEVER, pool)
    assert (updated.acs_system_id, updated.parent_acs_credential_id) == (person.manager, None)
    assert store.items()[key]["version"] == 2
    assert store.items()[enrollment]["revision"] == revision + 1


def test_a_credential_that_is_being_deleted_is_not_updated(
    directory: Directory, workspace: Workspace, person: Person
) -> None:
    pool = workspace.acs_credential_pool(person.manager)
    of_pool = workspace.credential_of_phone(
        person.registered, person.acs_user, acs_credential_pool_id=pool, being_deleted_at=SINCE
    )

    with pytest.raises(AcsCredentialNotFound):
        directory.update_credential(of_pool, ends_at=NEVER)


# ------------------------------------------------------------------------------------------------------- Phone sessions


@pytest.mark.parametrize("registration", [{}, {"state": "pending"}, {"state": "invited"}])
def test_a_phone_is_being_activated_until_the_credential_manager_and_the_person_have_decided(
    directory: Directory, make_person: Callable[..., Person], registration: Item
) -> None:
    person = make_person(**registration)

    (session,) = directory.session(person.identity).start_app().provider_sessions

    assert session.phone_registration.is_being_activated


@pytest.mark.parametrize("state", ["active", "removing", "gone", "failed"])
def test_a_phone_is_not_being_activated_afterwards(
    directory: Directory, make_person: Callable[..., Person], state: str
) -> None:
    person = make_person(state=state)

    (session,) = directory.session(person.identity).start_app().provider_sessions

    assert not session.phone_registration.is_being_activated


def test_an_app_gets_what_its_sdk_needs(directory: Directory, make_person: Callable[..., Person]) -> None:
    app = {"invitation_code": "ABCD-EFGH", "services": [{"port": 443}]}
    person = make_person(state="invited", app=json.dumps(app), phone_registration_id="registration 1")

    (session,) = directory.session(person.identity).start_app().provider_sessions

    assert session.phone_registration.provider_state == app
    assert session.phone_registration.phone_registration_id == "registration 1"


def test_an_automation_that_has_not_registered_the_phone_yet_has_a_session_too(
    directory: Directory, workspace: Workspace, person: Person
) -> None:
    automation = directory.launch(person.identity, person.manager)
    directory.launch(person.identity, workspace.credential_manager(external_type="new"))

    first, second = directory.session(person.identity).start_app().provider_sessions

    assert not first.phone_registration.is_being_activated
    assert (second.phone_registration.provider_name, second.phone_registration.provider_state) == ("new", None)
    assert second.phone_registration.is_being_activated
    directory.delete_automation(automation.enrollment_automation_id)


def test_a_registration_whose_automation_was_deleted_stays_in_the_session(
    directory: Directory, workspace: Workspace, person: Person
) -> None:
    automation = directory.launch(person.identity, person.manager)
    directory.launch(person.identity, workspace.credential_manager(external_type="new"))
    before = directory.session(person.identity).start_app().provider_sessions

    directory.delete_automation(automation.enrollment_automation_id)

    assert directory.session(person.identity).start_app().provider_sessions == [before[1], before[0]]


def test_an_app_sees_its_phones_credentials(directory: Directory, person: Person, give: Callable[..., str]) -> None:
    child = directory.credential(give(state="active", issued_at=SINCE, card_number="0042"))
    give(being_deleted_at=SINCE)

    (session,) = directory.session(person.identity).start_app().provider_sessions

    assert [credential.model_dump() for credential in session.acs_credentials] == [
        {**child.model_dump(), "acs_entrances": ()}
    ]


def test_an_app_does_not_see_the_credentials_of_another_phone(
    directory: Directory, person: Person, give: Callable[..., str]
) -> None:
    give()

    session = directory.session(person.identity).start_app("another installation")

    assert session.provider_sessions == []
