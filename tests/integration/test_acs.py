from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from enrollment.callers import Caller
from enrollment.errors import (
    AcsAccessGroupNotFound,
    AcsSystemNotFound,
    AcsUserAlreadyLinked,
    AcsUserNotFound,
    AcsUserNotInAcsSystem,
    InvalidInput,
    UserIdentityNotFound,
)
from enrollment.resources.acs_systems import AcsSystemRequest, ListAcsCredentialPoolsRequest, ListAcsSystemsRequest
from enrollment.resources.acs_users import ListAcsUsersRequest
from enrollment.store.listings import Page
from enrollment.use_cases import acs_systems, acs_users
from tests.fixtures import Store, Workspace
from tests.integration.conftest import UNKNOWN, Directory

SINCE = "2026-01-09T05:45:33.068Z"
PERSON = {"full_name": "Jane Doe", "email_address": "Jane@Example.com", "phone_number": "+15555550100"}


@pytest.fixture
def identity(workspace: Workspace) -> str:
    return workspace.user_identity()


@pytest.fixture
def system(workspace: Workspace) -> str:
    return workspace.acs_system()


@pytest.fixture
def manager(workspace: Workspace) -> str:
    return workspace.credential_manager()


# -------------------------------------------------------------------------------------------- Systems and their pools


def test_a_system_is_there_with_what_is_known_of_it(directory: Directory, workspace: Workspace) -> None:
    account_id = "00000000-0000-4000-8000-000000000001"
    system = workspace.acs_system(name="Garage", connected_account_id=account_id, time_zone="Europe/Berlin")

    got = directory.system(system)

    assert (got.name, got.is_credential_manager, got.workspace_id) == ("Garage", False, workspace.workspace_id)
    assert got.connected_account_ids == [got.connected_account_id] == [account_id]
    assert got.location.time_zone == "Europe/Berlin"
    assert got.default_credential_manager_acs_system_id is None


@pytest.mark.parametrize("which", ["unknown", "other workspace's"])
def test_a_system_that_is_not_there_is_not_found(directory: Directory, other_workspace: Workspace, which: str) -> None:
    missing = {"unknown": UNKNOWN, "other workspace's": other_workspace.acs_system()}[which]

    for call in (
        lambda: directory.system(missing),
        lambda: directory.credential_managers_for(missing),
        lambda: directory.pools(missing),
        lambda: directory.create_acs_user(missing),
    ):
        with pytest.raises(AcsSystemNotFound):
            call()


def test_systems_are_listed_newest_first_and_filtered(
    directory: Directory, workspace: Workspace, other_workspace: Workspace
) -> None:
    account_id = "00000000-0000-4000-8000-000000000001"
    old = workspace.acs_system(created_at="2026-01-01T00:00:00.000Z", name="Garage", customer_key="acme")
    new = workspace.acs_system(created_at="2026-02-02T00:00:00.000Z", connected_account_id=account_id)
    other_workspace.acs_system()

    assert directory.systems() == [new, old]
    assert directory.systems(limit=1) == [new]
    assert directory.systems(search="GARAGE") == [old]
    assert directory.systems(search=new[:13].upper()) == [new]
    assert directory.systems(customer_key="acme") == [old]
    assert directory.systems(connected_account_id=account_id) == [new]
    assert directory.systems(connected_account_id=account_id, customer_key="acme") == []


def test_a_client_session_lists_the_systems_of_its_user_identities(
    directory: Directory, workspace: Workspace, identity: str, system: str, manager: str
) -> None:
    directory.add(workspace.acs_user(system), user_identity_id=identity)
    directory.add(workspace.acs_user(manager), user_identity_key="somebody else")

    assert directory.session(identity).systems() == [system]
    assert directory.session(UNKNOWN).systems() == []


def test_the_compatible_credential_managers_are_those_that_a_system_names(
    directory: Directory, workspace: Workspace, manager: str
) -> None:
    workspace.credential_manager()
    system = workspace.acs_system(default_credential_manager_acs_system_id=manager)

    assert directory.credential_managers_for(system) == [manager]


def test_a_system_can_name_several_compatible_credential_managers(directory: Directory, workspace: Workspace) -> None:
    named = frozenset(workspace.credential_manager() for _ in range(3))
    workspace.credential_manager()
    system = workspace.acs_system(compatible_credential_manager_acs_system_ids=named)

    assert set(directory.credential_managers_for(system)) == named


def test_a_system_that_names_none_is_compatible_with_each(
    directory: Directory, workspace: Workspace, other_workspace: Workspace, system: str
) -> None:
    old = workspace.credential_manager(created_at="2026-01-01T00:00:00.000Z")
    new = workspace.credential_manager(created_at="2026-02-02T00:00:00.000Z")
    other_workspace.credential_manager()

    assert directory.credential_managers_for(system) == [new, old]


def test_a_name_that_is_no_credential_manager_is_left_out(
    directory: Directory, workspace: Workspace, system: str
) -> None:
    naming = workspace.acs_system(default_credential_manager_acs_system_id=system)

    assert directory.credential_managers_for(naming) == []


def test_a_credential_manager_that_is_not_simulated_needs_a_connector(
    directory: Directory, workspace: Workspace, system: str, manager: str
) -> None:
    (warning,) = directory.system(manager).warnings

    assert (warning.warning_code, warning.created_at) == ("setup_required", directory.system(manager).created_at)
    assert directory.system(system).warnings == ()
    workspace.exist()
    assert directory.system(manager).warnings == [warning]


def test_a_credential_manager_with_a_connector_is_set_up(
    directory: Directory, workspace: Workspace, manager: str
) -> None:
    workspace.connect(manager)

    assert directory.system(manager).warnings == []


def test_a_credential_manager_of_a_sandbox_needs_nothing(
    directory: Directory, workspace: Workspace, manager: str
) -> None:
    workspace.become_sandbox()

    assert directory.system(manager).warnings == []


def test_a_credential_manager_that_lets_nobody_in_is_disconnected(
    directory: Directory, workspace: Workspace, manager: str
) -> None:
    workspace.become_sandbox()
    workspace.pause(manager, reason="disconnected", paused_at=SINCE, paused_until="2099-01-01T00:00:00.000Z", times=3)

    (error,) = directory.system(manager).errors

    assert (error.error_code, error.created_at) == ("account_disconnected", SINCE)


def test_a_credential_manager_that_is_busy_has_no_error(
    directory: Directory, workspace: Workspace, manager: str
) -> None:
    workspace.pause(manager, reason="busy", paused_at=SINCE, paused_until="2099-01-01T00:00:00.000Z", times=1)

    assert directory.system(manager).errors == []


def test_every_route_says_what_is_wrong_with_a_credential_manager(
    directory: Directory, workspace: Workspace, manager: str
) -> None:
    identity = workspace.user_identity()
    directory.create_acs_user(manager, user_identity_id=identity)
    workspace.pause(manager, reason="disconnected", paused_at=SINCE, paused_until="2099-01-01T00:00:00.000Z", times=1)
    got = directory.system(manager)
    named = AcsSystemRequest(acs_system_id=manager)

    listed = acs_systems.list_systems(directory.table, directory.caller, ListAcsSystemsRequest()).records
    compatible = acs_systems.list_compatible_credential_managers(directory.table, directory.caller, named)
    of_identity = acs_systems.systems_of_user_identity(directory.table, directory.caller, identity)

    assert (len(got.errors), len(got.warnings)) == (1, 1)
    assert [got] == listed == compatible == of_identity


def test_what_is_wrong_with_credential_managers_is_read_at_once(
    store: Store, directory: Directory, workspace: Workspace, manager: str
) -> None:
    for _ in range(10):
        workspace.credential_manager()
    requests = store.count_requests()

    directory.systems()
    directory.system(manager)

    assert [request.rpartition(".")[2] for request in requests] == ["Query", *["BatchGetItem"] * 3]


def test_the_pools_of_a_system_are_listed(directory: Directory, workspace: Workspace, manager: str) -> None:
    pools = {workspace.acs_credential_pool(manager) for _ in range(2)}
    workspace.acs_credential_pool(workspace.credential_manager())

    assert set(directory.pools(manager)) == pools


def all_pages(read: Callable[[str | None], Page[Any]]) -> list[Any]:
    """Return the records of a list's pages."""
    records, after = [], None
    while True:
        page = read(after)
        assert len(page.records) <= 2
        records += page.records
        if page.next_position is None:
            return records
        after = page.next_position


def test_every_list_goes_on_behind_its_last_page(
    store: Store, directory: Directory, workspace: Workspace, identity: str, manager: str
) -> None:
    table, caller = store.table, directory.caller
    pools = {workspace.acs_credential_pool(manager) for _ in range(5)}
    systems = {manager, *(workspace.acs_system() for _ in range(4))}
    users = {directory.create_acs_user(system, user_identity_id=identity).acs_user_id for system in systems}
    others = {directory.create_acs_user(manager).acs_user_id for _ in range(4)}
    session = directory.session(identity).caller

    def list_systems(caller: Caller) -> list[str]:
        request = ListAcsSystemsRequest(limit=2)
        return [
            one.acs_system_id
            for one in all_pages(lambda after: acs_systems.list_systems(table, caller, request, after))
        ]

    def list_users(caller: Caller, acs_system_id: str | None = None) -> list[str]:
        named = {} if acs_system_id is None else {"acs_system_id": acs_system_id}
        request = ListAcsUsersRequest.model_validate({"limit": 2} | named)
        return [one.acs_user_id for one in all_pages(lambda after: acs_users.list_users(table, caller, request, after))]

    request = ListAcsCredentialPoolsRequest(acs_system_id=manager, limit=2)
    listed = all_pages(lambda after: acs_systems.list_credential_pools(table, caller, request, after))
    assert sorted(pool.acs_credential_pool_id for pool in listed) == sorted(pools)
    assert sorted(list_systems(caller)) == sorted(list_systems(session)) == sorted(systems)
    assert sorted(list_users(caller)) == sorted(users | others)
    assert sorted(list_users(session)) == sorted(users)
    in_manager = {directory.acs_user(user_identity_id=identity, acs_system_id=manager).acs_user_id}
    assert sorted(list_users(caller, acs_system_id=manager)) == sorted(others | in_manager)


def test_a_system_without_pools_has_none(directory: Directory, system: str) -> None:
    assert directory.pools(system) == []


# -------------------------------------------------------------------------------------------------- Creating ACS users


def test_a_created_acs_user_is_there_for_the_next_call(directory: Directory, workspace: Workspace, system: str) -> None:
    created = directory.create_acs_user(system, **PERSON)

    assert PERSON.items() <= created.model_dump().items()
    assert (created.acs_system_id, created.workspace_id) == (system, workspace.workspace_id)
    assert created.connected_account_id == directory.system(system).connected_account_id
    assert created.user_identity_id is None
    assert directory.acs_user(created.acs_user_id) == created
    assert directory.acs_users() == directory.acs_users(acs_system_id=system) == [created.acs_user_id]


def test_what_is_not_there_is_left_out(directory: Directory, system: str) -> None:
    created = directory.create_acs_user(system)

    absent = {"email_address", "phone_number", "access_schedule", "user_identity_id", "user_identity_full_name"}
    assert not absent & created.model_dump().keys()


def test_the_old_name_of_the_email_address_is_good(directory: Directory, system: str) -> None:
    assert directory.create_acs_user(system, email="jane@example.com").email_address == "jane@example.com"


def test_two_acs_users_can_have_one_address(directory: Directory, system: str) -> None:
    first, second = directory.create_acs_user(system, **PERSON), directory.create_acs_user(system, **PERSON)

    assert first.acs_user_id != second.acs_user_id


def test_an_acs_user_without_a_name_is_displayed_by_its_id(directory: Directory, system: str) -> None:
    created = directory.create_acs_user(system, full_name="")

    assert created.display_name == created.acs_user_id


@pytest.mark.parametrize(
    ("person", "name"),
    [
        (PERSON, "Jane Doe"),
        (PERSON | {"full_name": ""}, "Jane@Example.com"),
        ({"full_name": "", "phone_number": "+15555550100"}, "+15555550100"),
    ],
)
def test_an_acs_user_is_displayed_by_the_first_that_is_known_of_it(
    directory: Directory, system: str, person: dict[str, str], name: str
) -> None:
    created = directory.create_acs_user(system, **person)

    assert directory.acs_user(created.acs_user_id).display_name == created.display_name == name


def test_an_acs_user_is_not_created_for_an_identity_that_is_deleted_meanwhile(
    store: Store, directory: Directory, identity: str, system: str
) -> None:
    waiting = iter([identity])

    def delete_meanwhile(**_: Any) -> None:
        for one in waiting:
            directory.delete(one)

    store.watch("before-call.dynamodb.TransactWriteItems", delete_meanwhile)
    with pytest.raises(UserIdentityNotFound):
        directory.create_acs_user(system, user_identity_id=identity)

    assert directory.acs_users() == []


def test_the_systems_and_acs_users_of_an_identity_are_listed_newest_first(
    directory: Directory, workspace: Workspace, identity: str
) -> None:
    moments = [f"2026-0{month}-01T00:00:00.000Z" for month in (3, 1, 2)]
    systems = {moment: workspace.acs_system(created_at=moment) for moment in moments}
    users = {moment: workspace.acs_user(systems[moment], created_at=moment) for moment in moments}
    for user in users.values():
        directory.add(user, user_identity_id=identity)
    newest_first = sorted(moments, reverse=True)

    assert directory.systems_of(identity) == [systems[moment] for moment in newest_first]
    assert [one.acs_user_id for one in directory.acs_users_of(identity)] == [users[moment] for moment in newest_first]


def test_an_acs_user_can_be_created_linked(directory: Directory, workspace: Workspace, system: str) -> None:
    identity = workspace.user_identity(**PERSON)

    created = directory.create_acs_user(system, full_name="J", user_identity_id=identity)

    assert created.user_identity_id == identity
    assert created.user_identity_full_name == "Jane Doe"
    assert created.user_identity_email_address == "Jane@Example.com"
    assert created.user_identity_phone_number == "+15555550100"
    assert directory.get(identity).acs_user_ids == [created.acs_user_id]
    assert directory.acs_user(user_identity_id=identity, acs_system_id=system) == created


def test_a_second_linked_acs_user_of_a_system_is_refused_and_leaves_nothing(
    store: Store, directory: Directory, identity: str, system: str
) -> None:
    directory.create_acs_user(system, user_identity_id=identity)
    before = store.items()

    with pytest.raises(AcsUserAlreadyLinked):
        directory.create_acs_user(system, user_identity_id=identity)

    assert store.items() == before


def test_there_are_no_access_groups(store: Store, directory: Directory, system: str) -> None:
    before = store.items()

    with pytest.raises(AcsAccessGroupNotFound):
        directory.create_acs_user(system, acs_access_group_ids=[UNKNOWN])

    assert store.items() == before
    assert directory.create_acs_user(system, acs_access_group_ids=[]).full_name == "Jane Doe"


@pytest.mark.parametrize("also_missing", ["system", "access group"])
def test_of_what_a_new_acs_user_refers_to_the_user_identity_is_missed_first(
    directory: Directory, system: str, also_missing: str
) -> None:
    system_id = UNKNOWN if also_missing == "system" else system
    groups = [UNKNOWN] if also_missing == "access group" else []

    with pytest.raises(UserIdentityNotFound):
        directory.create_acs_user(system_id, user_identity_id=UNKNOWN, acs_access_group_ids=groups)


@pytest.mark.parametrize(
    ("schedule", "starts_at", "ends_at"),
    [
        ({"starts_at": "2026-01-01T01:00:00+01:00"}, "2026-01-01T00:00:00.000Z", None),
        ({"starts_at": "2026-01-01T00:00:00Z", "ends_at": None}, "2026-01-01T00:00:00.000Z", None),
        (
            {"starts_at": "2998-01-01T00:00:00Z", "ends_at": "2999-01-01T00:00:00.1239Z"},
            "2998-01-01T00:00:00.000Z",
            "2999-01-01T00:00:00.123Z",
        ),
    ],
)
def test_an_access_schedule_is_kept(
    directory: Directory, system: str, schedule: dict[str, Any], starts_at: str, ends_at: str | None
) -> None:
    kept = directory.create_acs_user(system, access_schedule=schedule).access_schedule

    assert kept is not None
    assert (kept.starts_at, kept.ends_at) == (starts_at, ends_at)


@pytest.mark.parametrize("schedule", [{}, {"ends_at": None}, {"ends_at": "2999-01-01T00:00:00Z"}])
def test_an_access_schedule_starts_now_by_default(directory: Directory, system: str, schedule: dict[str, Any]) -> None:
    created = directory.create_acs_user(system, access_schedule=schedule)

    assert created.access_schedule is not None
    assert created.access_schedule.starts_at <= created.created_at


@pytest.mark.parametrize(
    "schedule",
    [
        {"ends_at": "2026-01-01T00:00:00Z"},
        {"starts_at": "2025-01-01T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"},
        {"starts_at": "2999-01-02T00:00:00Z", "ends_at": "2999-01-01T00:00:00Z"},
        {"starts_at": "2999-01-01T00:00:00Z", "ends_at": "2999-01-01T00:00:00Z"},
        {"starts_at": "2999-01-01T12:00:00.0001Z", "ends_at": "2999-01-01T12:00:00.0004Z"},  # stored, they are equal
    ],
)
def test_an_access_schedule_that_has_ended_or_never_starts_is_refused(
    store: Store, directory: Directory, system: str, schedule: dict[str, str]
) -> None:
    before = store.items()

    with pytest.raises(InvalidInput) as refusal:
        directory.create_acs_user(system, access_schedule=schedule)

    assert [field for field, _ in refusal.value.problems] == ["access_schedule.ends_at"]
    assert store.items() == before


# --------------------------------------------------------------------------------------------------- Getting ACS users


def test_an_acs_user_that_is_not_there_is_not_found(
    directory: Directory, other_workspace: Workspace, identity: str, system: str
) -> None:
    of_another = other_workspace.acs_user(other_workspace.acs_system())

    for call in (directory.acs_user, directory.delete_acs_user):
        for name in (
            {"acs_user_id": UNKNOWN},
            {"acs_user_id": of_another},
            {"user_identity_id": identity, "acs_system_id": system},
            {"user_identity_id": identity, "acs_system_id": UNKNOWN},
        ):
            with pytest.raises(AcsUserNotFound):
                call(**name)
        with pytest.raises(UserIdentityNotFound):
            call(user_identity_id=UNKNOWN, acs_system_id=system)


def test_an_acs_user_of_another_system_is_refused(
    store: Store, directory: Directory, workspace: Workspace, system: str, manager: str
) -> None:
    acs_user_id = workspace.acs_user(system)
    before = store.items()

    for call in (directory.acs_user, directory.delete_acs_user):
        with pytest.raises(AcsUserNotInAcsSystem):
            call(acs_user_id, acs_system_id=manager)

    assert store.items() == before
    assert directory.acs_user(acs_user_id, acs_system_id=system).acs_user_id == acs_user_id


# --------------------------------------------------------------------------------------------------- Listing ACS users


@pytest.fixture
def three(directory: Directory, workspace: Workspace, system: str, manager: str) -> list[str]:
    """Three ACS users, newest first; the first two are linked, and the first's user identity has addresses."""
    identity = workspace.user_identity(email_address="Jane@Example.com", phone_number="+15555550100", full_name="Boss")
    ids = [
        workspace.acs_user(system, created_at="2026-03-03T00:00:00.000Z", full_name="Jane"),
        workspace.acs_user(system, created_at="2026-02-02T00:00:00.000Z", email_address="john@example.com"),
        workspace.acs_user(manager, created_at="2026-01-01T00:00:00.000Z", phone_number="+15555550199"),
    ]
    directory.add(ids[0], user_identity_id=identity)
    directory.add(ids[1], user_identity_id=workspace.user_identity())
    return ids


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, [0, 1, 2]),
        ({"limit": 2}, [0, 1]),
        ({"search": "jan"}, [0]),
        ({"search": "BOSS"}, [0]),
        ({"search": "+1555"}, [0, 2]),
        ({"search": "john@"}, [1]),
        ({"created_before": "2026-03-03T00:00:00Z"}, [1, 2]),
        ({"created_before": "2026-01-01T00:00:00Z"}, []),
        ({"user_identity_email_address": "jane@EXAMPLE.com"}, [0]),
        ({"user_identity_email_address": "john@example.com"}, []),
        ({"user_identity_email_address": None}, [1]),
        ({"user_identity_email_address": ""}, []),
        ({"user_identity_email_address": "\U0001f600" * 400}, []),
        ({"user_identity_phone_number": "+15555550100"}, [0]),
        ({"user_identity_phone_number": None}, [1]),
        ({"user_identity_phone_number": "+15555550100", "user_identity_email_address": "jane@example.com"}, [0]),
        ({"user_identity_phone_number": "+15555550100", "user_identity_email_address": None}, []),
        ({"user_identity_id": UNKNOWN}, []),
        ({"acs_system_id": UNKNOWN}, []),
    ],
)
def test_acs_users_are_listed_newest_first_and_filtered(
    directory: Directory, three: list[str], filters: dict[str, Any], found: list[int]
) -> None:
    assert directory.acs_users(**filters) == [three[index] for index in found]


@pytest.mark.parametrize("name", ["user_identity_email_address", "user_identity_phone_number"])
def test_a_filter_that_no_key_can_hold_is_invalid(directory: Directory, name: str) -> None:
    with pytest.raises(ValidationError, match="at most 400 characters"):
        directory.acs_users(**{name: "x" * 401})


def test_acs_users_are_listed_by_system(directory: Directory, three: list[str], system: str, manager: str) -> None:
    assert directory.acs_users(acs_system_id=system) == three[:2]
    assert directory.acs_users(acs_system_id=system, created_before="2026-03-03T00:00:00Z") == three[1:2]
    assert directory.acs_users(acs_system_id=manager, search="jane") == []


def test_acs_users_are_listed_by_user_identity(
    directory: Directory, three: list[str], system: str, manager: str
) -> None:
    identity = directory.acs_user(three[0]).user_identity_id

    assert directory.acs_users(user_identity_id=identity) == [three[0]]
    assert directory.acs_users(user_identity_id=identity, acs_system_id=system) == [three[0]]
    assert directory.acs_users(user_identity_id=identity, acs_system_id=manager) == []
    assert directory.acs_users(user_identity_id=identity, user_identity_email_address=None) == []
    assert directory.acs_users(user_identity_id=identity, created_before="2026-03-03T00:00:00Z") == []


def test_a_client_session_lists_the_acs_users_of_its_user_identities(directory: Directory, three: list[str]) -> None:
    identity = str(directory.acs_user(three[1]).user_identity_id)
    session = directory.session(identity)

    assert session.acs_users() == [three[1]]
    assert session.acs_users(user_identity_id=directory.acs_user(three[0]).user_identity_id) == []
    assert session.acs_users(user_identity_email_address="jane@example.com") == []
    assert session.acs_users(user_identity_email_address=None) == [three[1]]


# -------------------------------------------------------------------------------------------------- Deleting ACS users


def test_a_deleted_acs_user_is_gone(store: Store, directory: Directory, system: str) -> None:
    before = store.items()
    created = directory.create_acs_user(system, **PERSON)

    directory.delete_acs_user(created.acs_user_id)

    assert store.items() == before
    with pytest.raises(AcsUserNotFound):
        directory.delete_acs_user(created.acs_user_id)


def test_a_linked_acs_user_without_automation_is_unlinked_and_gone(
    store: Store, directory: Directory, identity: str, system: str
) -> None:
    before = store.items()
    directory.create_acs_user(system, user_identity_id=identity, **PERSON)

    directory.delete_acs_user(user_identity_id=identity, acs_system_id=system)

    assert store.items() == before
    assert directory.get(identity).acs_user_ids == []


def test_an_automation_goes_on_without_an_acs_user_that_is_deleted(
    directory: Directory, identity: str, manager: str
) -> None:
    automation = directory.launch(identity, manager, create_credential_manager_user=True)
    (acs_user_id,) = directory.get(identity).acs_user_ids

    directory.delete_acs_user(acs_user_id)

    assert directory.acs_users_of(identity) == []
    assert directory.automations(identity) == [automation]


def test_a_deletion_answers_a_link_made_meanwhile(
    store: Store, directory: Directory, workspace: Workspace, identity: str, system: str
) -> None:
    acs_user_id = workspace.acs_user(system)
    others = iter([identity])

    def link_meanwhile(**_: Any) -> None:
        for other in others:
            directory.add(acs_user_id, user_identity_id=other)

    store.watch("before-call.dynamodb.TransactWriteItems", link_meanwhile)
    directory.delete_acs_user(acs_user_id)

    assert directory.acs_users() == []
    assert directory.get(identity).acs_user_ids == []


def test_a_deletion_answers_a_link_undone_meanwhile(
    store: Store, directory: Directory, identity: str, system: str
) -> None:
    acs_user_id = directory.create_acs_user(system, user_identity_id=identity).acs_user_id
    others = iter([identity])

    def unlink_meanwhile(**_: Any) -> None:
        for other in others:
            directory.remove(acs_user_id, other)

    store.watch("before-call.dynamodb.TransactWriteItems", unlink_meanwhile)
    directory.delete_acs_user(acs_user_id)

    assert directory.acs_users() == []
