from datetime import UTC, datetime
from itertools import count
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ReadTimeoutError

from enrollment.errors import (
    AcsSystemNotFound,
    AcsUserAlreadyLinked,
    AcsUserNotFound,
    EnrollmentError,
    ServiceUnavailable,
    UserIdentityAlreadyExists,
    UserIdentityNotFound,
)
from enrollment.resources.automations import EnrollmentAutomation, LaunchRequest
from enrollment.store.attributes import Item
from enrollment.store.items import stored_acs_system, stored_acs_user, stored_automation, stored_user_identity
from enrollment.store.keys import Key, acs_user_key, acs_user_link_key, user_identity_key
from enrollment.timestamps import timestamp
from enrollment.use_cases.automations import automation_item
from tests.fixtures import Store, Workspace, put_all
from tests.integration.conftest import UNKNOWN, Directory, Outage
from tests.invariants import violations

pytestmark = pytest.mark.long

PROFILE = {
    "user_identity_key": "jane",
    "email_address": "Jane@Example.com",
    "phone_number": "+15555550100",
    "full_name": "Jane Doe",
}
UNIQUE = ["user_identity_key", "email_address", "phone_number"]


@pytest.fixture
def identity(workspace: Workspace) -> str:
    return workspace.user_identity()


@pytest.fixture
def manager(workspace: Workspace) -> str:
    return workspace.credential_manager()


def attached(workspace_id: str, identity_id: str, number: int) -> dict[Key, Item]:
    """Return the items of a user identity with as many automations and ACS users, each in a system of its own."""
    known: Item = {"workspace_id": workspace_id, "created_at": timestamp(datetime.now(UTC))}
    items: dict[Key, Item] = {}
    acs_user_ids = [str(uuid4()) for _ in range(number)]
    for acs_user_id in acs_user_ids:
        system_id, automation_id = str(uuid4()), str(uuid4())
        system: Item = {"acs_system_id": system_id, "name": "System", "is_credential_manager": True}
        acs_user: Item = {"acs_user_id": acs_user_id, "acs_system_id": system_id, "user_identity_id": identity_id}
        launched = LaunchRequest(
            user_identity_id=identity_id,
            credential_manager_acs_system_id=system_id,
            credential_manager_acs_user_id=acs_user_id,
        )
        automation = EnrollmentAutomation.model_validate(
            {
                **launched.model_dump(),
                **known,
                "enrollment_automation_id": automation_id,
                "acs_credential_provisioning_automation_id": automation_id,
                "is_running": True,
            }
        )
        items |= stored_acs_system({**known, **system, "connected_account_id": str(uuid4())})
        items |= stored_acs_user({**known, **acs_user})
        items |= stored_automation(automation_item(automation, launched))
        items[acs_user_link_key(workspace_id, identity_id, system_id)] = {"acs_user_id": acs_user_id}
    identity: Item = {"user_identity_id": identity_id, "acs_user_ids": frozenset(acs_user_ids), **known, **PROFILE}
    return items | stored_user_identity(identity)


def traces(store: Store, identity_id: str) -> list[Key]:
    """Return the keys of all items in which a user identity still occurs."""
    return [
        key for key, item in store.items().items() if identity_id in f"{key}" or identity_id in map(str, item.values())
    ]


# ------------------------------------------------------------------------------------------------------------- Creating


def test_a_created_identity_is_there_for_the_next_call(directory: Directory, workspace: Workspace) -> None:
    created = directory.create(**PROFILE)

    assert created.model_dump(include=set(PROFILE)) == PROFILE
    assert created.workspace_id == workspace.workspace_id
    assert created.acs_user_ids == []
    assert directory.get(created.user_identity_id) == created
    assert directory.get_by_key("jane") == created
    assert directory.listed() == [created.user_identity_id]


def test_an_identity_without_a_profile_can_be_created_any_number_of_times(directory: Directory) -> None:
    first, second = directory.create(), directory.create(user_identity_key=None, full_name=None)

    assert first.user_identity_id != second.user_identity_id
    assert second.display_name == second.user_identity_id
    assert second.model_dump(include=set(PROFILE)) == dict.fromkeys(PROFILE)


@pytest.mark.parametrize(
    ("profile", "shown"),
    [
        (PROFILE, "full_name"),
        ({name: PROFILE[name] for name in UNIQUE}, "email_address"),
        ({name: PROFILE[name] for name in ("user_identity_key", "phone_number")}, "phone_number"),
        ({"user_identity_key": "jane"}, "user_identity_key"),
    ],
)
def test_what_is_known_best_is_displayed(directory: Directory, profile: dict[str, str], shown: str) -> None:
    assert directory.create(**profile).display_name == PROFILE[shown]


@pytest.mark.parametrize("attribute", UNIQUE)
def test_a_second_identity_with_a_value_is_refused_and_leaves_nothing(
    store: Store, directory: Directory, attribute: str
) -> None:
    first = directory.create(**PROFILE)
    before = store.items()

    with pytest.raises(UserIdentityAlreadyExists, match=attribute) as refusal:
        directory.create(**{attribute: PROFILE[attribute], "full_name": "Somebody else"})

    assert refusal.value.details() == {"data": {"user_identity_id": first.user_identity_id}}
    assert store.items() == before


def test_email_addresses_are_compared_without_regard_to_case(directory: Directory) -> None:
    directory.create(email_address="Jane@Example.com")

    with pytest.raises(UserIdentityAlreadyExists, match="email_address"):
        directory.create(email_address="jane@EXAMPLE.com")


def test_keys_are_compared_exactly(directory: Directory) -> None:
    lower, upper = directory.create(user_identity_key="jane"), directory.create(user_identity_key="JANE")

    assert directory.get_by_key("jane") == lower
    assert directory.get_by_key("JANE") == upper


def test_another_workspace_can_have_the_same_values(directory: Directory, other_workspace: Workspace) -> None:
    other_workspace.user_identity(**PROFILE)

    assert directory.create(**PROFILE).email_address == PROFILE["email_address"]


def test_an_identity_gets_an_acs_user_in_each_system_that_it_names(
    directory: Directory, workspace: Workspace, manager: str
) -> None:
    matching = workspace.acs_user(manager, email_address="jane@example.com")
    other = workspace.acs_system()

    created = directory.create(**PROFILE, acs_system_ids=[manager, other, manager])

    assert len(created.acs_user_ids) == 2
    assert matching in created.acs_user_ids
    assert sorted(directory.systems_of(created.user_identity_id)) == sorted([manager, other])
    in_other = directory.acs_user(user_identity_id=created.user_identity_id, acs_system_id=other)
    assert in_other.full_name == "Jane Doe"
    assert in_other.email_address == PROFILE["email_address"]


def test_an_identity_can_name_as_many_systems_as_a_transaction_takes(
    directory: Directory, workspace: Workspace
) -> None:
    systems = [workspace.acs_system() for _ in range(15)]

    created = directory.create(**PROFILE, acs_system_ids=systems)

    assert sorted(directory.systems_of(created.user_identity_id)) == sorted(systems)


def test_an_acs_user_of_somebody_else_is_not_taken(directory: Directory, workspace: Workspace, manager: str) -> None:
    taken = workspace.acs_user(manager, email_address="jane@example.com")
    directory.add(taken, user_identity_id=directory.create().user_identity_id)

    created = directory.create(**PROFILE, acs_system_ids=[manager])

    assert taken not in created.acs_user_ids


def test_a_system_that_is_not_there_leaves_nothing(store: Store, directory: Directory, manager: str) -> None:
    before = store.items()

    with pytest.raises(AcsSystemNotFound):
        directory.create(**PROFILE, acs_system_ids=[manager, UNKNOWN])

    assert store.items() == before


def test_a_value_that_is_taken_leaves_no_acs_user_either(store: Store, directory: Directory, manager: str) -> None:
    directory.create(user_identity_key="jane")
    before = store.items()

    with pytest.raises(UserIdentityAlreadyExists):
        directory.create(**PROFILE, acs_system_ids=[manager])

    assert store.items() == before


def test_a_match_that_is_linked_meanwhile_is_left_to_the_other(
    store: Store, directory: Directory, workspace: Workspace, identity: str, manager: str
) -> None:
    matching = workspace.acs_user(manager, phone_number=PROFILE["phone_number"])
    taken: list[None] = []

    def take(**_: Any) -> None:
        if not taken:
            taken.append(None)
            directory.add(matching, user_identity_id=identity)

    store.watch("before-call.dynamodb.TransactWriteItems", take)
    created = directory.create(**PROFILE, acs_system_ids=[manager])

    assert directory.acs_user(matching).user_identity_id == identity
    assert created.acs_user_ids != [matching]


# -------------------------------------------------------------------------------------------------------------- Getting


@pytest.mark.parametrize("which", ["unknown", "other workspace's"])
def test_an_identity_that_is_not_there_is_not_found(
    directory: Directory, other_workspace: Workspace, manager: str, which: str
) -> None:
    missing = {"unknown": UNKNOWN, "other workspace's": other_workspace.user_identity(user_identity_key="jane")}[which]

    for call in (
        lambda: directory.get(missing),
        lambda: directory.get_by_key("jane"),
        lambda: directory.update(missing, full_name="Jane"),
        lambda: directory.delete(missing),
        lambda: directory.acs_users_of(missing),
        lambda: directory.systems_of(missing),
        lambda: directory.remove(UNKNOWN, missing),
        lambda: directory.add(UNKNOWN, user_identity_id=missing),
        lambda: directory.create_acs_user(manager, user_identity_id=missing),
    ):
        with pytest.raises(UserIdentityNotFound):
            call()


# ------------------------------------------------------------------------------------------------------------- Updating


def test_an_update_changes_what_it_names_and_nothing_else(directory: Directory) -> None:
    created = directory.create(**PROFILE)

    directory.update(created.user_identity_id, full_name="Jane Roe", phone_number="+15555550199")

    changes = {"full_name": "Jane Roe", "display_name": "Jane Roe", "phone_number": "+15555550199"}
    assert directory.get(created.user_identity_id) == created.model_copy(update=changes)


@pytest.mark.parametrize("attribute", PROFILE)
def test_null_clears_a_value(directory: Directory, attribute: str) -> None:
    created = directory.create(**PROFILE)

    directory.update(created.user_identity_id, **{attribute: None})

    assert directory.get(created.user_identity_id).model_dump(include=set(PROFILE)) == {**PROFILE, attribute: None}


@pytest.mark.parametrize("attribute", UNIQUE)
def test_a_value_that_was_cleared_is_free(directory: Directory, attribute: str) -> None:
    created = directory.create(**PROFILE)

    directory.update(created.user_identity_id, **{attribute: None})

    directory.create(**{attribute: PROFILE[attribute]})


@pytest.mark.parametrize("attribute", UNIQUE)
def test_a_value_that_was_changed_is_free_and_the_new_one_is_taken(directory: Directory, attribute: str) -> None:
    new = {"user_identity_key": "roe", "email_address": "roe@example.com", "phone_number": "+15555550199"}[attribute]
    created = directory.create(**PROFILE)

    directory.update(created.user_identity_id, **{attribute: new})

    directory.create(**{attribute: PROFILE[attribute]})
    with pytest.raises(UserIdentityAlreadyExists):
        directory.create(**{attribute: new})


@pytest.mark.parametrize("attribute", UNIQUE)
def test_an_update_to_a_value_of_another_identity_is_refused_and_leaves_everything(
    store: Store, directory: Directory, attribute: str
) -> None:
    other, created = directory.create(**PROFILE), directory.create()
    before = store.items()

    with pytest.raises(UserIdentityAlreadyExists, match=attribute) as refusal:
        directory.update(created.user_identity_id, **{attribute: PROFILE[attribute]}, full_name="New")

    assert refusal.value.user_identity_id == other.user_identity_id
    assert store.items() == before


def test_an_update_to_its_own_values_changes_nothing(store: Store, directory: Directory) -> None:
    created = directory.create(**PROFILE)
    before = store.items()

    directory.update(created.user_identity_id, **PROFILE)

    assert store.items() == before


def test_the_case_of_its_own_email_address_can_be_changed(directory: Directory) -> None:
    created = directory.create(**PROFILE)

    directory.update(created.user_identity_id, email_address="JANE@example.com")

    assert directory.get(created.user_identity_id).email_address == "JANE@example.com"
    with pytest.raises(UserIdentityAlreadyExists):
        directory.create(**PROFILE)


def test_an_update_of_nothing_is_fine(directory: Directory, identity: str) -> None:
    before = directory.get(identity)

    directory.update(identity)

    assert directory.get(identity) == before


def test_an_update_answers_what_another_has_done_meanwhile(store: Store, directory: Directory, identity: str) -> None:
    others = iter([{"email_address": "first@example.com"}])

    def update_meanwhile(**_: Any) -> None:
        for changes in others:
            directory.update(identity, **changes)

    store.watch("before-call.dynamodb.TransactWriteItems", update_meanwhile)
    directory.update(identity, email_address="second@example.com")

    assert directory.get(identity).email_address == "second@example.com"
    directory.create(email_address="first@example.com")


def test_an_update_of_an_identity_that_is_deleted_meanwhile_is_not_found(
    store: Store, directory: Directory, identity: str
) -> None:
    others = iter([identity])

    def delete_meanwhile(**_: Any) -> None:
        for other in others:
            directory.delete(other)

    store.watch("before-call.dynamodb.TransactWriteItems", delete_meanwhile)

    with pytest.raises(UserIdentityNotFound):
        directory.update(identity, email_address="jane@example.com")


# ------------------------------------------------------------------------------------------------ Linking and unlinking


def test_an_acs_user_that_is_added_is_linked(
    directory: Directory, workspace: Workspace, identity: str, manager: str
) -> None:
    acs_user_id = workspace.acs_user(manager)

    directory.add(acs_user_id, user_identity_id=identity)

    assert directory.get(identity).acs_user_ids == [acs_user_id]
    assert [acs_user.acs_user_id for acs_user in directory.acs_users_of(identity)] == [acs_user_id]
    assert directory.systems_of(identity) == [manager]
    assert directory.acs_user(acs_user_id).user_identity_id == identity


def test_adding_an_acs_user_again_changes_nothing(
    store: Store, directory: Directory, workspace: Workspace, identity: str, manager: str
) -> None:
    acs_user_id = workspace.acs_user(manager)
    directory.add(acs_user_id, user_identity_id=identity)
    before = store.items()

    directory.add(acs_user_id, user_identity_id=identity)

    assert store.items() == before


def test_an_acs_user_can_be_added_by_key(directory: Directory, workspace: Workspace, manager: str) -> None:
    created = directory.create(user_identity_key="jane")
    acs_user_id = workspace.acs_user(manager)

    directory.add(acs_user_id, user_identity_key="jane")

    assert directory.get(created.user_identity_id).acs_user_ids == [acs_user_id]


def test_adding_by_a_new_key_creates_an_identity_with_the_acs_users_profile(
    directory: Directory, workspace: Workspace, manager: str
) -> None:
    person = {name: value for name, value in PROFILE.items() if name != "user_identity_key"}
    acs_user_id = workspace.acs_user(manager, **person)

    directory.add(acs_user_id, user_identity_key="jane")

    created = directory.get_by_key("jane")
    assert created.model_dump(include=set(PROFILE)) == PROFILE
    assert created.acs_user_ids == [acs_user_id]
    assert directory.listed() == [created.user_identity_id]


@pytest.mark.parametrize("attribute", ["email_address", "phone_number"])
def test_adding_by_a_new_key_is_refused_if_another_identity_has_an_address(
    store: Store, directory: Directory, workspace: Workspace, manager: str, attribute: str
) -> None:
    owner = directory.create(**{attribute: PROFILE[attribute]})
    acs_user_id = workspace.acs_user(manager, **{attribute: PROFILE[attribute]})
    before = store.items()

    with pytest.raises(UserIdentityAlreadyExists, match=attribute) as refusal:
        directory.add(acs_user_id, user_identity_key="new")

    assert refusal.value.user_identity_id == owner.user_identity_id
    assert store.items() == before


def test_adding_by_a_key_that_is_created_meanwhile_uses_it(
    store: Store, directory: Directory, workspace: Workspace, manager: str
) -> None:
    acs_user_id = workspace.acs_user(manager)
    keys = iter(["jane"])

    def create_meanwhile(**_: Any) -> None:
        for key in keys:
            directory.create(user_identity_key=key)

    store.watch("before-call.dynamodb.TransactWriteItems", create_meanwhile)
    directory.add(acs_user_id, user_identity_key="jane")

    assert directory.get_by_key("jane").acs_user_ids == [acs_user_id]


def test_the_identity_is_missed_before_the_acs_user(directory: Directory, identity: str) -> None:
    with pytest.raises(UserIdentityNotFound):
        directory.add(UNKNOWN, user_identity_id=UNKNOWN)
    with pytest.raises(AcsUserNotFound):
        directory.add(UNKNOWN, user_identity_id=identity)
    with pytest.raises(AcsUserNotFound):
        directory.add(UNKNOWN, user_identity_key="new")


@pytest.mark.parametrize("named_by", ["user_identity_id", "user_identity_key"])
def test_an_acs_user_of_another_identity_cannot_be_added(
    store: Store, directory: Directory, workspace: Workspace, manager: str, named_by: str
) -> None:
    acs_user_id = workspace.acs_user(manager)
    directory.add(acs_user_id, user_identity_key="owner")
    name = {"user_identity_id": directory.create().user_identity_id, "user_identity_key": "new"}[named_by]
    before = store.items()

    with pytest.raises(AcsUserAlreadyLinked):
        directory.add(acs_user_id, **{named_by: name})

    assert store.items() == before


def test_a_second_acs_user_of_a_system_cannot_be_added(
    store: Store, directory: Directory, workspace: Workspace, identity: str, manager: str
) -> None:
    directory.add(workspace.acs_user(manager), user_identity_id=identity)
    second = workspace.acs_user(manager)
    before = store.items()

    with pytest.raises(AcsUserAlreadyLinked):
        directory.add(second, user_identity_id=identity)

    assert store.items() == before


def test_an_acs_user_that_is_removed_is_free_again(
    directory: Directory, workspace: Workspace, identity: str, manager: str
) -> None:
    acs_user_id = workspace.acs_user(manager)
    directory.add(acs_user_id, user_identity_id=identity)

    directory.remove(acs_user_id, identity)

    assert directory.get(identity).acs_user_ids == []
    assert directory.acs_users_of(identity) == []
    assert directory.systems_of(identity) == []
    assert directory.acs_user(acs_user_id).user_identity_id is None
    directory.add(acs_user_id, user_identity_id=directory.create().user_identity_id)


def test_only_its_own_acs_user_can_be_removed(
    store: Store, directory: Directory, workspace: Workspace, identity: str, manager: str
) -> None:
    free, of_another = workspace.acs_user(manager), workspace.acs_user(manager)
    directory.add(of_another, user_identity_key="owner")
    before = store.items()

    for acs_user_id in (UNKNOWN, free, of_another):
        with pytest.raises(AcsUserNotFound):
            directory.remove(acs_user_id, identity)

    assert store.items() == before


def test_an_automation_goes_on_without_an_acs_user_that_is_removed(
    store: Store, directory: Directory, identity: str, manager: str
) -> None:
    parameters = {"create_credential_manager_user": True}
    automation = directory.launch(identity, manager, **parameters)
    (acs_user_id,) = directory.get(identity).acs_user_ids

    directory.remove(acs_user_id, identity)

    assert directory.get(identity).acs_user_ids == []
    assert directory.automations(identity) == [automation]
    assert directory.launch(identity, manager, **parameters) == automation
    assert directory.get(identity).acs_user_ids == []
    assert not violations(store.items())


# -------------------------------------------------------------------------------------------------------------- Listing


@pytest.fixture
def three(workspace: Workspace, manager: str, directory: Directory) -> list[str]:
    """Three user identities, newest first; the last two are enrolled with the manager."""
    ids = [
        workspace.user_identity(created_at="2026-03-03T00:00:00.000Z", full_name="Ann Loe"),
        workspace.user_identity(created_at="2026-02-02T00:00:00.000Z", email_address="john@example.com"),
        workspace.user_identity(created_at="2026-01-01T00:00:00.000Z", phone_number="+15555550100"),
    ]
    directory.launch(ids[1], manager)
    directory.launch(ids[2], manager)
    return ids


def test_identities_are_listed_newest_first(directory: Directory, three: list[str]) -> None:
    assert directory.listed() == three


def test_a_page_ends_at_its_limit_and_the_next_one_goes_on(directory: Directory, three: list[str]) -> None:
    first = directory.page(limit=2)
    second = directory.page(first.next_position, limit=2)

    assert [record.user_identity_id for record in first.records] == three[:2]
    assert [record.user_identity_id for record in second.records] == three[2:]
    assert second.next_position is None


def test_a_limit_that_the_list_just_fills_has_no_next_page(directory: Directory, three: list[str]) -> None:
    assert directory.page(limit=len(three)).next_position is None


@pytest.mark.parametrize(
    ("search", "found"),
    [("ann l", [0]), ("EXAMPLE.com", [1]), ("+1555", [2]), ("nobody", []), ("o", [0, 1])],
)
def test_a_search_finds_a_part_of_a_value(
    directory: Directory, three: list[str], search: str, found: list[int]
) -> None:
    assert directory.listed(search=search) == [three[index] for index in found]


def test_a_search_finds_an_id(directory: Directory, three: list[str]) -> None:
    assert directory.listed(search=three[1][:20].upper()) == [three[1]]


@pytest.mark.parametrize(
    ("moment", "first"),
    [
        ("2026-03-03T00:00:00.001Z", 0),
        ("2026-03-03T00:00:00.0001Z", 0),
        ("2026-03-03T00:00:00Z", 1),
        ("2026-02-01T23:00:00-01:00", 2),
        ("2026-02-01T23:59:59.9999Z", 2),
        ("0001-01-01T00:00:00+23:59", 3),
        ("9999-12-31T23:59:59.9999Z", 0),
    ],
)
@pytest.mark.parametrize("way", ["all", "named", "enrolled"])
def test_created_before_is_exact(
    directory: Directory, three: list[str], manager: str, moment: str, first: int, way: str
) -> None:
    more: dict[str, dict[str, Any]] = {
        "all": {},
        "named": {"user_identity_ids": three},
        "enrolled": {"credential_manager_acs_system_id": manager},
    }
    listed = directory.listed(**more[way])

    assert set(directory.listed(created_before=moment, **more[way])) == set(listed) & set(three[first:])


def test_named_identities_are_listed_once_as_far_as_they_are_there(
    directory: Directory, other_workspace: Workspace, three: list[str]
) -> None:
    names = [three[2], three[0], three[2], UNKNOWN, other_workspace.user_identity()]

    assert directory.listed(user_identity_ids=names) == [three[0], three[2]]
    assert directory.listed(user_identity_ids=[]) == []


def test_those_enrolled_with_a_credential_manager_can_be_listed(
    directory: Directory, workspace: Workspace, three: list[str], manager: str
) -> None:
    assert sorted(directory.listed(credential_manager_acs_system_id=manager)) == sorted(three[1:])
    assert directory.listed(credential_manager_acs_system_id=workspace.credential_manager()) == []
    assert directory.listed(credential_manager_acs_system_id=UNKNOWN) == []


def test_the_enrolled_come_in_pages(directory: Directory, three: list[str], manager: str) -> None:
    first = directory.page(credential_manager_acs_system_id=manager, limit=1)
    second = directory.page(first.next_position, credential_manager_acs_system_id=manager, limit=1)

    assert {record.user_identity_id for record in [*first.records, *second.records]} == set(three[1:])
    assert second.next_position is None


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"search": "example"}, [1]),
        ({"created_before": "2026-02-01T00:00:00Z"}, [2]),
        ({"search": "example", "created_before": "2026-02-01T00:00:00Z"}, []),
    ],
)
def test_filters_are_combined(
    directory: Directory, three: list[str], manager: str, filters: dict[str, str], found: list[int]
) -> None:
    expected = [three[index] for index in found]

    assert directory.listed(credential_manager_acs_system_id=manager, **filters) == expected
    assert directory.listed(user_identity_ids=three, credential_manager_acs_system_id=manager, **filters) == expected
    assert directory.listed(user_identity_ids=three, **filters) == expected


def test_naming_and_enrollment_are_combined(directory: Directory, three: list[str], manager: str) -> None:
    named = three[:2]

    assert directory.listed(user_identity_ids=named, credential_manager_acs_system_id=manager) == [three[1]]


def test_an_identity_is_enrolled_for_as_long_as_its_automation_is_there(
    directory: Directory, three: list[str], manager: str
) -> None:
    directory.delete(three[1])

    assert directory.listed(credential_manager_acs_system_id=manager) == [three[2]]


def test_a_client_session_lists_its_own_identities_only(directory: Directory, three: list[str], manager: str) -> None:
    session = directory.session(three[0], three[2])

    assert session.listed() == [three[0], three[2]]
    assert session.listed(user_identity_ids=three[1:]) == [three[2]]
    assert session.listed(credential_manager_acs_system_id=manager) == [three[2]]
    assert session.listed(search="example") == []


def test_a_client_session_lists_the_systems_of_its_own_identities_only(directory: Directory, three: list[str]) -> None:
    with pytest.raises(UserIdentityNotFound):
        directory.session(three[0]).systems_of(three[1])

    assert directory.session(three[0]).systems_of(three[0]) == []


# ------------------------------------------------------------------------------------------------------------- Deleting


def test_a_deleted_identity_is_gone_with_its_automations_and_its_acs_users(
    store: Store, directory: Directory, workspace: Workspace, manager: str
) -> None:
    created = directory.create(**PROFILE, acs_system_ids=[workspace.acs_system()])
    directory.launch(created.user_identity_id, manager, create_credential_manager_user=True)
    acs_user_ids = directory.get(created.user_identity_id).acs_user_ids

    directory.delete(created.user_identity_id)

    assert traces(store, created.user_identity_id) == []
    assert len(acs_user_ids) == 2
    assert directory.acs_users() == []
    directory.create(**PROFILE)


def test_deleting_twice_is_not_found_the_second_time(directory: Directory, identity: str) -> None:
    directory.delete(identity)

    with pytest.raises(UserIdentityNotFound):
        directory.delete(identity)


def test_two_deletions_at_once_are_both_fine(store: Store, directory: Directory, identity: str) -> None:
    others = iter([identity])

    def delete_meanwhile(**_: Any) -> None:
        for other in others:
            directory.delete(other)

    store.watch("before-call.dynamodb.GetItem", delete_meanwhile)
    directory.delete(identity)

    assert traces(store, identity) == []


def test_an_identity_with_hundreds_of_automations_and_acs_users_can_be_deleted_in_two_goes(
    store: Store, workspace: Workspace, directory: Directory, identity: str, outage: Outage
) -> None:
    before = store.items()
    identity_id = str(uuid4())
    put_all(store.table, attached(workspace.workspace_id, identity_id, 250))

    outage.left = 10
    with pytest.raises(ServiceUnavailable):
        directory.delete(identity_id)
    outage.left = None
    assert not violations(store.items())

    directory.delete(identity_id)
    assert traces(store, identity_id) == []
    assert before.items() <= store.items().items()
    assert directory.listed() == [identity]


@pytest.fixture
def large(store: Store, workspace: Workspace) -> str:
    """A user identity that takes sixteen requests to delete."""
    identity_id = str(uuid4())
    put_all(store.table, attached(workspace.workspace_id, identity_id, 70))
    return identity_id


def test_a_deletion_that_does_not_begin_changes_nothing(
    store: Store, directory: Directory, large: str, outage: Outage
) -> None:
    before = store.items()

    outage.left = 0
    with pytest.raises(ServiceUnavailable):
        directory.delete(large)
    outage.left = None

    assert store.items() == before
    assert directory.get(large).user_identity_id == large


def test_a_large_deletion_takes_sixteen_requests(store: Store, directory: Directory, large: str) -> None:
    requests = store.count_requests()

    directory.delete(large)

    assert len(requests) == 16


@pytest.mark.parametrize("sent_before", range(1, 16))
def test_an_interrupted_deletion_is_a_404_for_all_but_the_deletion_that_goes_on(
    store: Store, workspace: Workspace, directory: Directory, large: str, manager: str, outage: Outage, sent_before: int
) -> None:
    acs_user_id = workspace.acs_user(manager)

    outage.left = sent_before
    with pytest.raises(ServiceUnavailable):
        directory.delete(large)
    outage.left = None

    interrupted = store.items()
    assert not violations(interrupted)
    assert large not in directory.listed()
    for request in (
        lambda: directory.get(large),
        lambda: directory.get_by_key("jane"),
        lambda: directory.automations(large),
        lambda: directory.acs_users_of(large),
        lambda: directory.systems_of(large),
        lambda: directory.remove(acs_user_id, large),
        lambda: directory.launch(large, manager),
        lambda: directory.launch(large, manager, create_credential_manager_user=True),
        lambda: directory.launch(large, manager, credential_manager_acs_user_id=acs_user_id),
        lambda: directory.launch(large, UNKNOWN),
        lambda: directory.add(acs_user_id, user_identity_id=large),
        lambda: directory.add(acs_user_id, user_identity_key="jane"),
        lambda: directory.create_acs_user(manager, user_identity_id=large),
        lambda: directory.update(large, full_name="Jane"),
    ):
        with pytest.raises(UserIdentityNotFound):
            request()
    assert store.items() == interrupted

    directory.delete(large)
    assert traces(store, large) == []


def test_the_values_of_an_identity_that_is_being_deleted_stay_taken(
    directory: Directory, large: str, outage: Outage
) -> None:
    outage.left = 5
    with pytest.raises(ServiceUnavailable):
        directory.delete(large)
    outage.left = None

    with pytest.raises(UserIdentityAlreadyExists):
        directory.create(**PROFILE)
    directory.delete(large)
    directory.create(**PROFILE)


def test_an_update_that_another_request_has_made_meanwhile_is_done(store: Store, directory: Directory) -> None:
    identity = directory.create().user_identity_id
    addresses = iter(["jane@example.com"])

    def update_meanwhile(**_: Any) -> None:
        for address in addresses:
            directory.update(identity, email_address=address)

    store.watch("before-call.dynamodb.TransactWriteItems", update_meanwhile)
    directory.update(identity, email_address="jane@example.com")

    assert directory.get(identity).email_address == "jane@example.com"


def test_all_automations_of_an_identity_are_listed_oldest_first(directory: Directory, workspace: Workspace) -> None:
    identity = workspace.user_identity()
    managers = [workspace.credential_manager() for _ in range(8)]
    launched = [directory.launch(identity, manager) for manager in managers]

    assert directory.automations(identity) == sorted(
        launched, key=lambda automation: (automation.created_at, automation.enrollment_automation_id)
    )


def test_a_deletion_that_takes_too_long_ends_and_can_be_gone_on_with(
    store: Store, directory: Directory, large: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = count(step=3)
    monkeypatch.setattr("enrollment.aws.deadline.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    before = len(traces(store, large))

    with pytest.raises(ServiceUnavailable):
        directory.delete(large, seconds=28)
    monkeypatch.undo()
    assert 0 < len(traces(store, large)) < before
    assert not violations(store.items())

    directory.delete(large)
    assert traces(store, large) == []


@pytest.mark.parametrize("number", range(7))
def test_a_deletion_that_does_not_get_an_answer_goes_on(
    store: Store, directory: Directory, large: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore repeats a request whose answer it did not get; that then meets what it did itself."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    answers = count()

    def lose(**_: Any) -> None:
        if next(answers) == number:
            raise ReadTimeoutError(endpoint_url="http://x")

    store.watch("before-send.dynamodb.TransactWriteItems", lose, last=True)
    directory.delete(large)

    assert traces(store, large) == []


@pytest.mark.parametrize("read", ["Query", "BatchGetItem"])
@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("launch", UserIdentityNotFound),
        ("add", UserIdentityNotFound),
        ("delete_acs_user", None),
        ("remove", UserIdentityNotFound),
        ("delete_automation", None),
    ],
)
def test_a_deletion_finds_its_way_when_others_attach_and_detach_meanwhile(
    store: Store,
    workspace: Workspace,
    directory: Directory,
    identity: str,
    manager: str,
    call: str,
    error: type[EnrollmentError] | None,
    read: str,
) -> None:
    """Between what the deletion has read and what it then does, another request comes."""
    linked = workspace.acs_user(manager)
    directory.add(linked, user_identity_id=identity)
    automated = directory.launch(identity, workspace.credential_manager(), create_credential_manager_user=True)
    free = workspace.acs_user(workspace.acs_system())
    calls = {
        "launch": lambda: directory.launch(identity, manager),
        "add": lambda: directory.add(free, user_identity_id=identity),
        "delete_acs_user": lambda: directory.delete_acs_user(linked),
        "remove": lambda: directory.remove(linked, identity),
        "delete_automation": lambda: directory.delete_automation(automated.enrollment_automation_id),
    }
    outcomes: list[type[Exception] | None] = []
    meanwhile = iter([calls[call]])

    def interfere(**_: Any) -> None:
        outcomes.extend(raised(other) for other in meanwhile)

    store.watch(f"after-call.dynamodb.{read}", interfere)
    directory.delete(identity)

    assert outcomes == [error]
    assert traces(store, identity) == []


def raised(call: Any) -> type[Exception] | None:
    try:
        call()
    except EnrollmentError as error:
        return type(error)
    return None


def test_a_link_survives_in_no_part(
    store: Store, workspace: Workspace, directory: Directory, identity: str, manager: str
) -> None:
    directory.launch(identity, manager, create_credential_manager_user=True)
    (acs_user_id,) = directory.get(identity).acs_user_ids

    directory.delete(identity)

    items = store.items()
    assert acs_user_key(workspace.workspace_id, acs_user_id) not in items
    assert user_identity_key(workspace.workspace_id, identity) not in items
    assert acs_user_link_key(workspace.workspace_id, identity, manager) not in items
