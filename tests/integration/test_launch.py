from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from enrollment.callers import Caller
from enrollment.errors import (
    AcsCredentialPoolNotFound,
    AcsCredentialPoolNotInAcsSystem,
    AcsSystemIsNotCredentialManager,
    AcsSystemNotFound,
    AcsUserAlreadyLinked,
    AcsUserNotFound,
    AcsUserNotInAcsSystem,
    EnrollmentAutomationAlreadyExists,
    EnrollmentError,
    ServiceUnavailable,
    UserIdentityNotFound,
)
from enrollment.resources.automations import LaunchRequest
from enrollment.resources.user_identities import AddAcsUserRequest, RemoveAcsUserRequest
from enrollment.store.actions import change, delete, put_new
from enrollment.store.keys import (
    Key,
    acs_credential_pool_key,
    acs_system_key,
    acs_user_key,
    acs_user_link_key,
    automation_by_id_key,
    automation_key,
    credential_manager_listing_key,
    enrolled_listing_key,
)
from enrollment.use_cases.automations import KnownItems, Launched, known_items, launch
from enrollment.use_cases.user_identities import add_acs_user, remove_acs_user
from tests.fixtures import Store, Workspace

type Launch = Callable[..., Launched]

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def known() -> KnownItems:
    return known_items()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)


@pytest.fixture
def do_launch(store: Store, workspace: Workspace, known: KnownItems) -> Launch:
    def do(identity: str, manager: str, **options: Any) -> Launched:
        return launch_in(store, workspace, known, identity, manager, **options)

    return do


@pytest.fixture
def identity(workspace: Workspace) -> str:
    return workspace.user_identity()


@pytest.fixture
def manager(workspace: Workspace) -> str:
    return workspace.credential_manager()


@pytest.fixture
def link(store: Store, workspace: Workspace, identity: str, manager: str) -> str:
    """An ACS user of the manager that is linked to the identity, without an automation."""
    acs_user_id = workspace.acs_user(manager)
    request = AddAcsUserRequest(acs_user_id=acs_user_id, user_identity_id=identity)
    add_acs_user(store.table, Caller(workspace.workspace_id), request)
    return acs_user_id


def test_a_launch_gives_a_running_automation_of_the_pair(
    do_launch: Launch, workspace: Workspace, identity: str, manager: str
) -> None:
    launched = do_launch(identity, manager)

    automation = launched.automation
    assert not launched.is_replay
    assert automation.is_running
    assert automation.user_identity_id == identity
    assert automation.credential_manager_acs_system_id == manager
    assert automation.workspace_id == workspace.workspace_id
    assert automation.acs_credential_provisioning_automation_id == automation.enrollment_automation_id


def test_a_launch_writes_the_automation_and_its_by_id_item(
    store: Store, do_launch: Launch, workspace: Workspace, identity: str, manager: str
) -> None:
    before = store.items()

    launched = do_launch(identity, manager)

    new = {key: item for key, item in store.items().items() if key not in before}
    by_id = automation_by_id_key(workspace.workspace_id, launched.automation.enrollment_automation_id)
    enrolled = enrolled_listing_key(workspace.workspace_id, manager, identity)
    assert new.keys() == {automation_key(workspace.workspace_id, identity, manager), by_id, enrolled}
    assert new[by_id] == {"user_identity_id": identity, "credential_manager_acs_system_id": manager}


def test_a_launch_can_create_the_acs_user(
    store: Store, do_launch: Launch, workspace: Workspace, identity: str, manager: str
) -> None:
    do_launch(identity, manager, create_credential_manager_user=True)

    items = store.items()
    acs_user_id = str(items[acs_user_link_key(workspace.workspace_id, identity, manager)]["acs_user_id"])
    acs_user = items[acs_user_key(workspace.workspace_id, acs_user_id)]
    assert (acs_user["user_identity_id"], acs_user["acs_system_id"]) == (identity, manager)


def test_a_launch_links_the_acs_user_that_it_names(
    store: Store, do_launch: Launch, workspace: Workspace, identity: str, manager: str
) -> None:
    acs_user_id = workspace.acs_user(manager)

    do_launch(identity, manager, credential_manager_acs_user_id=acs_user_id, create_credential_manager_user=False)

    items = store.items()
    assert items[acs_user_link_key(workspace.workspace_id, identity, manager)] == {"acs_user_id": acs_user_id}
    assert items[acs_user_key(workspace.workspace_id, acs_user_id)]["user_identity_id"] == identity


def test_creating_the_acs_user_uses_the_linked_one_if_there_is_one(
    store: Store, do_launch: Launch, link: str, workspace: Workspace, identity: str, manager: str
) -> None:
    before = store.items()

    do_launch(identity, manager, create_credential_manager_user=True)

    new = [key.sk for key in store.items() if key not in before]
    assert sorted(new) == sorted([identity, "ENROLLMENT_AUTOMATION", f"ENROLLMENT_AUTOMATION#{manager}"])
    assert store.items()[acs_user_link_key(workspace.workspace_id, identity, manager)] == {"acs_user_id": link}


def test_naming_the_linked_acs_user_is_fine(do_launch: Launch, link: str, identity: str, manager: str) -> None:
    assert not do_launch(identity, manager, credential_manager_acs_user_id=link).is_replay


def test_an_identity_can_be_enrolled_with_several_managers(
    do_launch: Launch, workspace: Workspace, identity: str, manager: str
) -> None:
    first = do_launch(identity, manager, create_credential_manager_user=True)
    second = do_launch(identity, workspace.credential_manager(), create_credential_manager_user=True)

    assert first.automation.enrollment_automation_id != second.automation.enrollment_automation_id


@pytest.mark.parametrize("option", ["nothing", "pool", "create", "acs_user"])
def test_the_same_launch_again_is_a_replay(
    store: Store, do_launch: Launch, workspace: Workspace, identity: str, manager: str, option: str
) -> None:
    options: dict[str, dict[str, Any]] = {
        "nothing": {},
        "pool": {"acs_credential_pool_id": workspace.acs_credential_pool(manager)},
        "create": {"create_credential_manager_user": True},
        "acs_user": {"credential_manager_acs_user_id": workspace.acs_user(manager)},
    }
    first = do_launch(identity, manager, **options[option])
    after_first = store.items()

    second = do_launch(identity, manager, **options[option])

    assert second.is_replay
    assert second.automation == first.automation
    assert store.items() == after_first


def test_a_flag_that_is_false_asks_for_what_an_absent_one_does(do_launch: Launch, identity: str, manager: str) -> None:
    do_launch(identity, manager)

    assert do_launch(identity, manager, create_credential_manager_user=False).is_replay


@pytest.mark.parametrize(
    ("first", "second"),
    [
        *permutations(["nothing", "pool", "create", "acs_user"], 2),
        ("pool", "other_pool"),
        ("acs_user", "other_acs_user"),
    ],
)
def test_a_launch_that_differs_is_a_conflict_that_names_the_first(
    store: Store, do_launch: Launch, workspace: Workspace, identity: str, manager: str, first: str, second: str
) -> None:
    options: dict[str, dict[str, Any]] = {
        "nothing": {},
        "pool": {"acs_credential_pool_id": workspace.acs_credential_pool(manager)},
        "other_pool": {"acs_credential_pool_id": workspace.acs_credential_pool(manager)},
        "create": {"create_credential_manager_user": True},
        "acs_user": {"credential_manager_acs_user_id": workspace.acs_user(manager)},
        "other_acs_user": {"credential_manager_acs_user_id": workspace.acs_user(manager)},
    }
    launched = do_launch(identity, manager, **options[first])
    after_first = store.items()

    with pytest.raises(EnrollmentAutomationAlreadyExists) as refusal:
        do_launch(identity, manager, **options[second])

    assert refusal.value.enrollment_automation_id == launched.automation.enrollment_automation_id
    assert store.items() == after_first


def refused_launch(name: str, workspace: Workspace, other: Workspace, identity: str, manager: str) -> dict[str, Any]:
    other_manager = workspace.credential_manager()
    pair = {"identity": identity, "manager": manager}
    return {
        "unknown identity": lambda: pair | {"identity": UNKNOWN},
        "other workspace's identity": lambda: pair | {"identity": other.user_identity()},
        "unknown manager": lambda: pair | {"manager": UNKNOWN},
        "other workspace's manager": lambda: pair | {"manager": other.credential_manager()},
        "no manager": lambda: pair | {"manager": workspace.acs_system()},
        "unknown pool": lambda: pair | {"acs_credential_pool_id": UNKNOWN},
        "other workspace's pool": lambda: (
            pair
            | {"acs_credential_pool_id": other.acs_credential_pool(other.credential_manager(acs_system_id=manager))}
        ),
        "other manager's pool": lambda: pair | {"acs_credential_pool_id": workspace.acs_credential_pool(other_manager)},
        "unknown user": lambda: pair | {"credential_manager_acs_user_id": UNKNOWN},
        "other workspace's user": lambda: (
            pair | {"credential_manager_acs_user_id": other.acs_user(other.credential_manager(acs_system_id=manager))}
        ),
        "other manager's user": lambda: pair | {"credential_manager_acs_user_id": workspace.acs_user(other_manager)},
    }[name]()


@pytest.mark.parametrize("is_warm", [False, True])
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("unknown identity", UserIdentityNotFound),
        ("other workspace's identity", UserIdentityNotFound),
        ("unknown manager", AcsSystemNotFound),
        ("other workspace's manager", AcsSystemNotFound),
        ("no manager", AcsSystemIsNotCredentialManager),
        ("unknown pool", AcsCredentialPoolNotFound),
        ("other workspace's pool", AcsCredentialPoolNotFound),
        ("other manager's pool", AcsCredentialPoolNotInAcsSystem),
        ("unknown user", AcsUserNotFound),
        ("other workspace's user", AcsUserNotFound),
        ("other manager's user", AcsUserNotInAcsSystem),
    ],
)
def test_a_refused_launch_says_why_and_leaves_nothing(
    store: Store,
    do_launch: Launch,
    workspace: Workspace,
    other_workspace: Workspace,
    identity: str,
    manager: str,
    name: str,
    error: type[EnrollmentError],
    is_warm: bool,  # noqa: FBT001 - both cases
) -> None:
    if is_warm:
        do_launch(workspace.user_identity(), manager)
    arguments = refused_launch(name, workspace, other_workspace, identity, manager)
    before = store.items()

    with pytest.raises(error):
        do_launch(**arguments)

    assert store.items() == before


def test_an_acs_user_of_another_identity_is_refused(
    store: Store, do_launch: Launch, link: str, workspace: Workspace, manager: str
) -> None:
    before_launch = (workspace.user_identity(), store.items())

    with pytest.raises(AcsUserAlreadyLinked):
        do_launch(before_launch[0], manager, credential_manager_acs_user_id=link)

    assert [key for key in store.items() if key not in before_launch[1]] == []


@pytest.mark.usefixtures("link")
def test_a_second_acs_user_of_one_system_is_refused(
    store: Store, do_launch: Launch, workspace: Workspace, identity: str, manager: str
) -> None:
    second = workspace.acs_user(manager)
    before = store.items()

    with pytest.raises(AcsUserAlreadyLinked):
        do_launch(identity, manager, credential_manager_acs_user_id=second)

    assert store.items() == before


def test_what_an_id_refers_to_is_answered_before_the_conflict(do_launch: Launch, identity: str, manager: str) -> None:
    do_launch(identity, manager)

    with pytest.raises(AcsUserNotFound):
        do_launch(identity, manager, credential_manager_acs_user_id=UNKNOWN)


@pytest.mark.parametrize("wrong", ["no manager", "other manager's pool"])
def test_an_unknown_identity_is_missed_first_whatever_is_known(
    do_launch: Launch, workspace: Workspace, other_workspace: Workspace, identity: str, manager: str, wrong: str
) -> None:
    arguments = refused_launch(wrong, workspace, other_workspace, identity, manager)
    for _ in range(2):
        with pytest.raises((AcsSystemIsNotCredentialManager, AcsCredentialPoolNotInAcsSystem)):
            do_launch(**arguments)

    with pytest.raises(UserIdentityNotFound):
        do_launch(**arguments | {"identity": UNKNOWN})


def test_an_unknown_identity_is_the_first_to_be_missed(do_launch: Launch) -> None:
    with pytest.raises(UserIdentityNotFound):
        do_launch(UNKNOWN, UNKNOWN, acs_credential_pool_id=UNKNOWN, credential_manager_acs_user_id=UNKNOWN)


def test_the_first_launch_makes_two_requests_and_a_warm_one_makes_one(
    store: Store, do_launch: Launch, workspace: Workspace, manager: str
) -> None:
    pool = workspace.acs_credential_pool(manager)
    identities = [workspace.user_identity() for _ in range(2)]
    requests = store.count_requests()

    for identity in identities:
        do_launch(identity, manager, acs_credential_pool_id=pool)

    assert [name.rpartition(".")[2] for name in requests] == [
        "BatchGetItem",
        "TransactWriteItems",
        "TransactWriteItems",
    ]


@dataclass
class Clock:
    """A clock that a test turns.

    Attributes:
        seconds: What it shows.
    """

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known_by(clock: Clock) -> KnownItems:
    """What a process knows that has this clock."""
    return known_items(timer=clock)


@pytest.mark.parametrize(("seconds", "requests"), [(59.9, []), (60, ["BatchGetItem"])])
def test_a_credential_manager_and_a_pool_are_known_for_60_seconds(
    store: Store,
    workspace: Workspace,
    known_by: KnownItems,
    clock: Clock,
    manager: str,
    seconds: float,
    requests: list[str],
) -> None:
    first, second = workspace.user_identity(), workspace.user_identity()
    options = {"acs_credential_pool_id": workspace.acs_credential_pool(manager)}
    launch_in(store, workspace, known_by, first, manager, **options)
    clock.seconds += seconds
    made = store.count_requests()

    launch_in(store, workspace, known_by, second, manager, **options)

    assert [name.rpartition(".")[2] for name in made] == [*requests, "TransactWriteItems"]


def test_launches_do_not_make_the_60_seconds_longer(
    store: Store, workspace: Workspace, known_by: KnownItems, clock: Clock, identity: str, manager: str
) -> None:
    launch_in(store, workspace, known_by, identity, manager)
    clock.seconds += 40
    launch_in(store, workspace, known_by, identity, manager)
    clock.seconds += 40
    made = store.count_requests()

    launch_in(store, workspace, known_by, identity, manager)

    assert [name.rpartition(".")[2] for name in made] == ["BatchGetItem", "TransactWriteItems"]


@pytest.mark.parametrize(("missing", "error"), [("pool", AcsCredentialPoolNotFound), ("manager", AcsSystemNotFound)])
def test_what_has_gone_is_missed_after_60_seconds(
    store: Store,
    workspace: Workspace,
    known_by: KnownItems,
    clock: Clock,
    identity: str,
    manager: str,
    missing: str,
    error: type[EnrollmentError],
) -> None:
    other, pool = workspace.user_identity(), workspace.acs_credential_pool(manager)
    keys = {
        "manager": acs_system_key(workspace.workspace_id, manager),
        "pool": acs_credential_pool_key(workspace.workspace_id, pool),
    }
    launch_in(store, workspace, known_by, identity, manager, acs_credential_pool_id=pool)
    item = store.items()[keys[missing]]
    store.table.transact({"gone": delete(keys[missing])})
    clock.seconds += 60

    with pytest.raises(error):
        launch_in(store, workspace, known_by, other, manager, acs_credential_pool_id=pool)

    store.table.transact({"back": put_new(keys[missing], item)})  # the workspace is whole when the test ends


def test_a_process_knows_4096_managers_and_pools_at_most(known: KnownItems) -> None:
    for number in range(5000):
        known[Key(str(number), "x")] = {}

    assert len(known) == 4096


def test_nothing_of_a_person_is_known(
    store: Store, workspace: Workspace, known: KnownItems, identity: str, manager: str
) -> None:
    pool = workspace.acs_credential_pool(manager)
    options = {"acs_credential_pool_id": pool, "create_credential_manager_user": True}

    launch_in(store, workspace, known, identity, manager, **options)
    launch_in(store, workspace, known, identity, manager, **options)

    assert set(known) == {
        acs_system_key(workspace.workspace_id, manager),
        acs_credential_pool_key(workspace.workspace_id, pool),
    }


@pytest.mark.parametrize("outdated", ["manager", "pool"])
def test_what_is_known_lets_launches_through_and_refuses_none(
    store: Store, workspace: Workspace, known: KnownItems, identity: str, manager: str, outdated: str
) -> None:
    pool = workspace.acs_credential_pool(manager)
    launch_in(store, workspace, known, workspace.user_identity(), manager, acs_credential_pool_id=pool)
    keys: dict[str, tuple[Key, dict[str, str | bool]]] = {
        "manager": (acs_system_key(workspace.workspace_id, manager), {"is_credential_manager": False}),
        "pool": (acs_credential_pool_key(workspace.workspace_id, pool), {"acs_system_id": UNKNOWN}),
    }
    key, before = keys[outdated]
    known[key] = {**known[key], **before}

    launched = launch_in(store, workspace, known, identity, manager, acs_credential_pool_id=pool)

    assert not launched.is_replay


def launch_in(
    store: Store, workspace: Workspace, known: KnownItems, identity: str, manager: str, **options: Any
) -> Launched:
    """Launch in a process that knows these items."""
    request = LaunchRequest(user_identity_id=identity, credential_manager_acs_system_id=manager, **options)
    return launch(store.table, known, Caller(workspace.workspace_id), request)


def test_a_warm_replay_makes_one_request(store: Store, do_launch: Launch, identity: str, manager: str) -> None:
    do_launch(identity, manager)
    requests = store.count_requests()

    do_launch(identity, manager)

    assert requests == ["DynamoDB_20120810.TransactWriteItems"]


def test_looking_for_an_acs_user_takes_a_read_and_one_for_each_address(
    store: Store, do_launch: Launch, workspace: Workspace, manager: str
) -> None:
    identity = workspace.user_identity(email_address="jane@example.com", phone_number="+15555550100")
    requests = store.count_requests()

    do_launch(identity, manager, create_credential_manager_user=True)

    assert [name.rpartition(".")[2] for name in requests] == ["BatchGetItem", "Query", "Query", "TransactWriteItems"]


def test_what_was_not_found_is_looked_up_again(do_launch: Launch, workspace: Workspace, identity: str) -> None:
    with pytest.raises(AcsSystemNotFound):
        do_launch(identity, UNKNOWN)
    workspace.credential_manager(acs_system_id=UNKNOWN)

    assert not do_launch(identity, UNKNOWN).is_replay


def test_a_link_made_meanwhile_is_used(
    store: Store, do_launch: Launch, workspace: Workspace, identity: str, manager: str
) -> None:
    caller, acs_user_id = Caller(workspace.workspace_id), workspace.acs_user(manager)
    linked: list[None] = []

    def link_meanwhile(**_: Any) -> None:
        if not linked:
            linked.append(None)
            request = AddAcsUserRequest(acs_user_id=acs_user_id, user_identity_id=identity)
            add_acs_user(store.table, caller, request)

    store.watch("before-call.dynamodb.TransactWriteItems", link_meanwhile)
    do_launch(identity, manager, create_credential_manager_user=True)

    link = store.items()[acs_user_link_key(workspace.workspace_id, identity, manager)]
    assert link == {"acs_user_id": acs_user_id}


def test_a_link_undone_meanwhile_is_made_anew(
    store: Store, do_launch: Launch, link: str, workspace: Workspace, identity: str, manager: str
) -> None:
    undone: list[None] = []

    def unlink_meanwhile(**_: Any) -> None:
        if not undone:
            undone.append(None)
            request = RemoveAcsUserRequest(acs_user_id=link, user_identity_id=identity)
            remove_acs_user(store.table, Caller(workspace.workspace_id), request)

    store.watch("before-call.dynamodb.TransactWriteItems", unlink_meanwhile)
    do_launch(identity, manager, create_credential_manager_user=True)

    assert acs_user_link_key(workspace.workspace_id, identity, manager) in store.items()


@pytest.mark.parametrize("attribute", ["email_address", "phone_number"])
def test_creating_links_the_unlinked_acs_user_with_an_address_of_the_identity(
    store: Store, do_launch: Launch, workspace: Workspace, manager: str, attribute: str
) -> None:
    address = {"email_address": "Jane@Example.com", "phone_number": "+15555550100"}
    acs_user_id = workspace.acs_user(manager, **{attribute: address[attribute].lower()})
    workspace.acs_user(workspace.credential_manager(), **address)
    identity = workspace.user_identity(**address)

    do_launch(identity, manager, create_credential_manager_user=True)

    link = store.items()[acs_user_link_key(workspace.workspace_id, identity, manager)]
    assert link == {"acs_user_id": acs_user_id}


def test_an_email_address_goes_before_a_phone_number(
    store: Store, do_launch: Launch, workspace: Workspace, manager: str
) -> None:
    workspace.acs_user(manager, phone_number="+15555550100")
    by_email = workspace.acs_user(manager, email_address="jane@example.com")
    identity = workspace.user_identity(email_address="jane@example.com", phone_number="+15555550100")

    do_launch(identity, manager, create_credential_manager_user=True)

    link = store.items()[acs_user_link_key(workspace.workspace_id, identity, manager)]
    assert link == {"acs_user_id": by_email}


def test_a_match_that_is_linked_already_is_passed_over(
    store: Store, do_launch: Launch, workspace: Workspace, manager: str
) -> None:
    taken = workspace.acs_user(manager, email_address="office@example.com")
    do_launch(workspace.user_identity(), manager, credential_manager_acs_user_id=taken)
    free = workspace.acs_user(manager, email_address="office@example.com")
    identity = workspace.user_identity(email_address="office@example.com")

    do_launch(identity, manager, create_credential_manager_user=True)

    link = store.items()[acs_user_link_key(workspace.workspace_id, identity, manager)]
    assert link == {"acs_user_id": free}


def test_a_match_that_another_identity_takes_meanwhile_is_left_to_it(
    store: Store, do_launch: Launch, workspace: Workspace, manager: str
) -> None:
    wanted = workspace.acs_user(manager, email_address="a@example.com", phone_number="+15555550100")
    by_email = workspace.user_identity(email_address="a@example.com")
    by_phone = workspace.user_identity(phone_number="+15555550100")
    taken: list[None] = []

    def take(**_: Any) -> None:
        if not taken:
            taken.append(None)
            do_launch(by_phone, manager, create_credential_manager_user=True)

    store.watch("before-call.dynamodb.TransactWriteItems", take)
    do_launch(by_email, manager, create_credential_manager_user=True)

    items = store.items()
    assert items[acs_user_link_key(workspace.workspace_id, by_phone, manager)] == {"acs_user_id": wanted}
    created = str(items[acs_user_link_key(workspace.workspace_id, by_email, manager)]["acs_user_id"])
    assert items[acs_user_key(workspace.workspace_id, created)]["email_address"] == "a@example.com"


def test_a_created_acs_user_has_the_identitys_profile(
    store: Store, do_launch: Launch, workspace: Workspace, manager: str
) -> None:
    profile = {"full_name": "Jane Doe", "email_address": "jane@example.com", "phone_number": "+15555550100"}
    identity = workspace.user_identity(**profile)

    do_launch(identity, manager, create_credential_manager_user=True)

    (acs_user,) = [item for key, item in store.items().items() if key.sk == "ACS_USER"]
    assert profile.items() <= dict(acs_user).items()


@pytest.mark.parametrize("request_number", [1, 2])
def test_a_launch_that_loses_the_database_leaves_nothing_and_can_be_repeated(
    store: Store, do_launch: Launch, workspace: Workspace, identity: str, manager: str, request_number: int
) -> None:
    acs_user_id = workspace.acs_user(manager)
    before = store.items()
    seen: list[None] = []
    is_down = [True]

    def lose(**_: Any) -> None:
        seen.append(None)
        if is_down[0] and len(seen) >= request_number:
            raise EndpointConnectionError(endpoint_url="http://x")

    store.watch("before-send.dynamodb", lose)
    with pytest.raises(ServiceUnavailable):
        do_launch(identity, manager, credential_manager_acs_user_id=acs_user_id)
    is_down[0] = False
    assert store.items() == before

    assert not do_launch(identity, manager, credential_manager_acs_user_id=acs_user_id).is_replay


def test_a_launch_whose_answer_is_lost_is_made_once(
    store: Store, do_launch: Launch, workspace: Workspace, identity: str, manager: str
) -> None:
    """botocore repeats a request whose answer it did not get; the launch then meets what it wrote itself."""
    do_launch(workspace.user_identity(), manager)
    before = store.items()
    lost: list[None] = []

    def lose_once(**_: Any) -> None:
        if not lost:
            lost.append(None)
            raise ReadTimeoutError(endpoint_url="http://x")

    store.watch("before-send.dynamodb.TransactWriteItems", lose_once, last=True)
    launched = do_launch(identity, manager, create_credential_manager_user=True)

    new = {key: item for key, item in store.items().items() if key not in before}
    assert len(lost) == 1
    assert len(new) == 7
    assert new[automation_key(workspace.workspace_id, identity, manager)]["enrollment_automation_id"] == (
        launched.automation.enrollment_automation_id
    )


def test_an_automation_is_answered_after_its_system_was_demoted(
    store: Store, do_launch: Launch, known: KnownItems, workspace: Workspace, identity: str, manager: str
) -> None:
    launched = do_launch(identity, manager)
    demote(store, workspace, manager, known)

    again = do_launch(identity, manager)

    assert again == Launched(launched.automation, is_replay=True)


def test_another_launch_of_the_pair_is_refused_after_its_system_was_demoted(
    store: Store, do_launch: Launch, known: KnownItems, workspace: Workspace, identity: str, manager: str
) -> None:
    launched = do_launch(identity, manager).automation
    demote(store, workspace, manager, known)

    with pytest.raises(EnrollmentAutomationAlreadyExists) as refusal:
        do_launch(identity, manager, create_credential_manager_user=True)

    assert refusal.value.enrollment_automation_id == launched.enrollment_automation_id


def demote(store: Store, workspace: Workspace, manager: str, known: KnownItems) -> None:
    """Make a credential manager a system like any other, as imports of earlier releases could."""
    key = acs_system_key(workspace.workspace_id, manager)
    system = store.items()[key]
    listed = credential_manager_listing_key(workspace.workspace_id, str(system["created_at"]), manager)
    demotion = change(key, assign={"is_credential_manager": False})
    assert not store.table.transact({"system": demotion, "listing": delete(listed)})
    known.clear()
