"""Provisioning comes to the same end in every order, and whatever a credential manager answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest

from enrollment.callers import Caller, TokenKind
from enrollment.managers.protocol import (
    BusyError,
    CredentialManager,
    NoAccessError,
    NoUsableAnswerError,
    Request,
    RequestType,
)
from enrollment.store.actions import change
from enrollment.store.attributes import Item
from enrollment.store.keys import Key, user_identity_key
from enrollment.use_cases.enrollments import View
from enrollment.use_cases.tokens import NewToken, create_token, revoke_token
from tests.fixtures import Store, Workspace
from tests.in_memory import InMemory
from tests.integration.conftest import Directory
from tests.invariants import violations
from tests.provisioning import AtManager, Execution, Provisioning, in_table, made_in_vain


@dataclass
class Person:
    """A person who is to be enrolled with a credential manager, step by step.

    Attributes:
        directory: The calls of a token.
        manager_id: The credential manager.
        pool_id: The manager's pool.
        user_identity_id: The person.
        acs_user_id: The person's ACS user in an access system.
    """

    directory: Directory
    manager_id: str
    pool_id: str
    user_identity_id: str
    acs_user_id: str

    def launch(self) -> str:
        options = {"acs_credential_pool_id": self.pool_id, "create_credential_manager_user": True}
        return self.directory.launch(self.user_identity_id, self.manager_id, **options).enrollment_automation_id

    def create_credential(self) -> str:
        named = {"credential_manager_acs_system_id": self.manager_id}
        return self.directory.create_credential(self.acs_user_id, **named).acs_credential_id

    def create_phone(self, model: str = "Phone") -> str:
        return self.directory.create_phone(self.user_identity_id, phone_metadata={"device_model": model}).device_id


@dataclass
class Answering:
    """A simulated manager that gives other answers to some requests.

    Attributes:
        manager: The simulated one.
        answers: Returns another answer, or raises; ``None`` is the simulated one's.
    """

    manager: CredentialManager
    answers: Callable[[Request], Mapping[str, Any] | None]

    def ask(self, request: Request) -> Mapping[str, Any]:
        answer = self.answers(request)
        return self.manager.ask(request) if answer is None else answer


def answering(provisioning: Provisioning, answers: Callable[[Request], Mapping[str, Any] | None]) -> None:
    """Have managers answer some requests so."""
    provisioning.manager_of = lambda view: Answering(provisioning.simulated(view), answers)


def always(kind: RequestType, state: str) -> Callable[[Request], Mapping[str, Any] | None]:
    """Return the answers of a manager that gives one state to all requests of a kind."""

    def answer(request: Request) -> Mapping[str, Any] | None:
        named = {"acs_credential_id": request.data.get("acs_credential_id")}
        return {"state": state, **named} if request.type is kind else None

    return answer


@pytest.fixture
def provisioning(store: Store) -> Provisioning:
    return Provisioning(store.table, store.items)


@pytest.fixture
def person(directory: Directory, workspace: Workspace) -> Person:
    workspace.become_sandbox()
    return new_person(directory, workspace, workspace.credential_manager())


def new_person(directory: Directory, workspace: Workspace, manager_id: str) -> Person:
    identity_id = workspace.user_identity(full_name="Jane Doe")
    acs_user_id = directory.create_acs_user(workspace.acs_system(), user_identity_id=identity_id).acs_user_id
    return Person(directory, manager_id, workspace.acs_credential_pool(manager_id), identity_id, acs_user_id)


def states_of_credentials(items: Mapping[Key, Item]) -> list[object]:
    """Return the states of the credentials of phones."""
    return [
        item.get("state") for key, item in items.items() if key.sk.startswith("CREDENTIAL#") and "device_id" in item
    ]


# ----------------------------------------------------------------------------------------------------------- Orders

STEPS = ["launch", "create_credential", "create_phone", "create_phone"]
ENROLLED: dict[str, list[object]] = {"registrations": ["active"] * 2, "credentials": ["active"] * 4}

ENROLLED_WITH_ONE_PHONE: dict[str, list[object]] = {"registrations": ["active"], "credentials": ["active"] * 2}


def found_at_end(items: Mapping[Key, Item]) -> dict[str, list[object]]:
    """Return the states of registrations and of credentials of phones."""
    registrations: list[object] = [
        item.get("state") for key, item in items.items() if key.sk.startswith("REGISTRATION#")
    ]
    return {"registrations": registrations, "credentials": states_of_credentials(items)}


@pytest.fixture
def memory() -> InMemory:
    return InMemory()


@pytest.fixture
def quick_workspace(memory: InMemory) -> Workspace:
    """A sandbox in memory, in which a story takes hundredths of a second."""
    workspace = Workspace(memory.table, str(uuid4()))
    workspace.become_sandbox()
    return workspace


@pytest.fixture
def quick_person(quick_workspace: Workspace) -> Person:
    return new_quick_person(quick_workspace, quick_workspace.credential_manager())


def new_quick_person(workspace: Workspace, manager_id: str) -> Person:
    return new_person(Directory(workspace.table, Caller(workspace.workspace_id)), workspace, manager_id)


@pytest.mark.parametrize("seconds_between", [0, 0.5, 600])
@pytest.mark.parametrize("order", sorted(set(permutations(STEPS))), ids=" ".join)
def test_the_order_of_steps_does_not_matter(
    memory: InMemory, quick_person: Person, order: tuple[str, ...], seconds_between: float
) -> None:
    provisioning = Provisioning(memory.table, memory.items)

    for step in order:
        getattr(quick_person, step)()
        provisioning.settle(seconds=seconds_between)
    provisioning.settle()

    assert found_at_end(memory.items()) == ENROLLED
    assert AtManager.of(memory.items()) == in_table(memory.items())
    assert violations(memory.items()) == []


@pytest.mark.parametrize("seconds_between", [0, 0.5, 600])
def test_another_automation_and_another_person_change_nothing(
    memory: InMemory, quick_workspace: Workspace, quick_person: Person, seconds_between: float
) -> None:
    provisioning = Provisioning(memory.table, memory.items)
    other_manager = quick_workspace.credential_manager()
    with_both = Person(
        quick_person.directory,
        other_manager,
        quick_workspace.acs_credential_pool(other_manager),
        quick_person.user_identity_id,
        quick_person.acs_user_id,
    )
    other_person = new_quick_person(quick_workspace, quick_person.manager_id)

    for step in STEPS:
        getattr(quick_person, step)()
        provisioning.settle(seconds=seconds_between)
        getattr(other_person, step)()
    with_both.launch()
    with_both.create_credential()
    provisioning.settle()

    times = {kind: 3 * states for kind, states in ENROLLED.items()}
    assert found_at_end(memory.items()) == times
    assert AtManager.of(memory.items()) == in_table(memory.items())


# ---------------------------------------------------------------------------------------------------------- Outages


@dataclass
class Outage:
    """Has a manager fail.

    Attributes:
        manager_id: The manager.
        error: How it fails.
        is_over: Whether it does so no longer.
    """

    provisioning: Provisioning
    manager_id: str
    error: Exception
    is_over: bool = False

    def manager_of(self, view: View) -> CredentialManager:
        def answer(_: Request) -> None:
            if view.id.manager_id == self.manager_id and not self.is_over:
                raise self.error

        return Answering(self.provisioning.simulated(view), answer)


@pytest.mark.parametrize(
    "error", [NoUsableAnswerError(), BusyError(), BusyError(30), BusyError(1e9), NoAccessError()], ids=repr
)
def test_what_a_manager_that_was_down_for_a_day_has_to_do_is_done_soon_afterwards(
    memory: InMemory, quick_workspace: Workspace, quick_person: Person, error: Exception
) -> None:
    provisioning = Provisioning(memory.table, memory.items)
    other = new_quick_person(quick_workspace, quick_workspace.credential_manager())
    outage = Outage(provisioning, quick_person.manager_id, error)
    provisioning.manager_of = outage.manager_of
    began = provisioning.clock.at
    for step in STEPS:
        getattr(quick_person, step)()
        getattr(other, step)()
    provisioning.settle(hours=24)
    others = [str(item["issued_at"]) for item in memory.items().values() if "issued_at" in item and "device_id" in item]
    outage.is_over = True
    provisioning.asked.clear()

    provisioning.settle(hours=1, minutes=11)

    assert found_at_end(memory.items()) == {kind: 2 * states for kind, states in ENROLLED.items()}
    assert len(others) == 4
    assert datetime.fromisoformat(max(others)) - began < timedelta(seconds=5)


def test_an_outage_is_answered_with_few_requests(memory: InMemory, quick_person: Person) -> None:
    provisioning = Provisioning(memory.table, memory.items)
    provisioning.manager_of = Outage(provisioning, quick_person.manager_id, NoUsableAnswerError()).manager_of
    quick_person.launch()
    quick_person.create_phone()

    provisioning.settle(hours=24)

    assert 24 <= len(provisioning.asked) <= 45


def test_an_invitation_is_accepted_after_a_week(memory: InMemory, quick_person: Person) -> None:
    provisioning = Provisioning(memory.table, memory.items)
    begins = provisioning.clock.at

    def answer(request: Request) -> Mapping[str, Any] | None:
        is_of_phone = request.type in {RequestType.PHONE_REGISTER, RequestType.PHONE_STATUS}
        is_early = provisioning.clock.at - begins < timedelta(days=7)
        if is_early and request.type is RequestType.PHONE_REGISTER:
            provisioning.simulated(views[-1]).ask(request)
        return {"state": "invited"} if is_of_phone and is_early else None

    views: list[View] = []

    def manager_of(view: View) -> CredentialManager:
        views.append(view)
        return Answering(provisioning.simulated(view), answer)

    provisioning.manager_of = manager_of
    for step in STEPS:
        getattr(quick_person, step)()

    provisioning.settle(days=8, hours=1)

    assert found_at_end(memory.items()) == ENROLLED


# ------------------------------------------------------------------------------------------------------------- Ends


class Killed(BaseException):
    """The process of an execution ends."""


@dataclass
class Killing(Provisioning):
    """Ends an execution at a request to the database, and has it go on a second later.

    Attributes:
        kill_at: The number of the moment: two for each request, before it and after it.
        moments: How many there were.
    """

    kill_at: int = -1
    moments: int = 0
    is_running: bool = False

    def go_on(self, execution: Execution) -> None:
        self.is_running = True
        try:
            super().go_on(execution)
        except Killed:
            execution.wakes_at = self.clock.at + timedelta(seconds=1)
        finally:
            self.is_running = False

    def come_by(self, _: str) -> None:
        if not self.is_running:
            return
        self.moments += 1
        if self.moments == self.kill_at:
            raise Killed


@dataclass(frozen=True)
class Ends:
    """How a story went.

    Attributes:
        moments: How many moments its executions had at which they could end.
        enrolled: What was there after the first part.
        changed: What was there after the second.
        left: What was there of the person in the end.
        wrong: What was wrong in the table or at the manager after one of the parts.
    """

    moments: int
    enrolled: dict[str, list[object]]
    changed: dict[str, list[object]]
    left: list[Key]
    wrong: list[object]


def play(kill_at: int) -> Ends:
    """Enroll a person with two phones, change much, delete the person; end an execution at a moment."""
    memory = InMemory()
    workspace = Workspace(memory.table, str(uuid4()))
    workspace.become_sandbox()
    person = new_quick_person(workspace, workspace.credential_manager())
    provisioning = Killing(memory.table, memory.items, kill_at=kill_at)
    memory.before = memory.after = provisioning.come_by
    wrong: list[object] = []

    def settle() -> dict[str, list[object]]:
        provisioning.settle()
        items = memory.items()
        wrong.extend(violations(items))
        if AtManager.of(items) != in_table(items):
            wrong.append((AtManager.of(items), in_table(items)))
        wrong.extend(provisioning.running())
        return found_at_end(items)

    person.launch()
    credential_id = person.create_credential()
    phone = person.create_phone()
    person.create_phone()
    enrolled = settle()
    person.directory.update_credential(credential_id, ends_at="2099-01-01T00:00:00Z")
    person.directory.deactivate_phone(phone)
    second = person.create_credential()
    settle()
    person.directory.delete_credential(second)
    changed = settle()
    person.directory.delete(person.user_identity_id)
    settle()
    left = [key for key in memory.items() if "#USER_IDENTITY#" in key.pk]
    return Ends(provisioning.moments, enrolled, changed, left, wrong)


@pytest.mark.parametrize("part", range(4))
def test_an_execution_that_ends_at_any_request_changes_nothing(part: int) -> None:
    moments = play(-1).moments

    ends = [play(kill_at) for kill_at in range(part, moments + 1, 4)]

    assert [end.wrong for end in ends if end.wrong] == []
    assert [end.left for end in ends if end.left] == []
    assert [end.enrolled for end in ends if end.enrolled != ENROLLED] == []
    assert [end.changed for end in ends if end.changed != ENROLLED_WITH_ONE_PHONE] == []


@dataclass
class Meeting(Provisioning):
    """Lets something else happen just before a request that an execution makes to the database.

    Attributes:
        happen: What happens.
        at: The number of the request.
        requests: How many there were.
        wrong: What executions have made in vain.
    """

    happen: Callable[[], object] = print
    at: int = -1
    requests: int = 0
    is_running: bool = False
    before: Mapping[Key, Item] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def go_on(self, execution: Execution) -> None:
        self.is_running = True
        try:
            super().go_on(execution)
        finally:
            self.is_running = False

    def come_before(self, _: str) -> None:
        if not self.is_running:
            return
        self.requests += 1
        if self.requests == self.at:
            self.is_running = False
            self.happen()
            self.is_running = True
        self.before = dict(self.items())

    def come_after(self, _: str) -> None:
        if self.is_running:
            self.wrong += made_in_vain(self.before, self.items())


def meet(name: str, at: int) -> Meeting:
    """Enroll a person while something is taken away, just before a request that an execution makes."""
    memory = InMemory()
    workspace = Workspace(memory.table, str(uuid4()))
    workspace.become_sandbox()
    person = new_quick_person(workspace, workspace.credential_manager())
    directory = person.directory
    automation_id, credential_id, phone = person.launch(), person.create_credential(), person.create_phone()
    token = create_token(memory.table, NewToken(TokenKind.API_KEY, [workspace.workspace_id], name="Key"))
    ends: dict[str, Callable[[], object]] = {
        "delete_automation": lambda: directory.delete_automation(automation_id),
        "delete_credential": lambda: directory.delete_credential(credential_id),
        "update_credential": lambda: directory.update_credential(credential_id, ends_at="2099-01-01T00:00:00Z"),
        "deactivate_phone": lambda: directory.deactivate_phone(phone),
        "delete_acs_user": lambda: directory.delete_acs_user(person.acs_user_id),
        "remove_acs_user": lambda: directory.remove(person.acs_user_id, person.user_identity_id),
        "delete_identity": lambda: directory.delete(person.user_identity_id),
        "mark_identity": lambda: memory.table.transact({"mark": change(key, assign={"being_deleted_at": "now"})}),
        "revoke_key": lambda: revoke_token(memory.table, token.split("_")[1], datetime.now(UTC)),
    }
    key = user_identity_key(workspace.workspace_id, person.user_identity_id)
    provisioning = Meeting(memory.table, memory.items, happen=ends[name], at=at)
    memory.before, memory.after = provisioning.come_before, provisioning.come_after
    provisioning.settle()
    items = memory.items()
    provisioning.wrong += violations(items)
    if AtManager.of(items) != in_table(items):
        provisioning.wrong.append(f"{AtManager.of(items)} is at the manager, {in_table(items)} in the table")
    provisioning.wrong += [f"{one} waits" for one in provisioning.running()]
    if name == "delete_identity":
        provisioning.wrong += [f"{key} is left" for key in items if "#USER_IDENTITY#" in key.pk]
    return provisioning


ENDINGS = [
    "delete_automation",
    "delete_credential",
    "update_credential",
    "deactivate_phone",
    "delete_acs_user",
    "remove_acs_user",
    "delete_identity",
    "mark_identity",
    "revoke_key",
]


def wrong_at_any_meeting(name: str) -> list[str]:
    """Return what is wrong when something happens just before any request of executions."""
    requests = meet(name, -1).requests
    return [wrong for at in range(1, requests + 1) for wrong in meet(name, at).wrong]


@pytest.mark.parametrize("name", ENDINGS)
def test_what_is_taken_away_at_any_moment_leaves_nothing_and_makes_nothing_in_vain(name: str) -> None:
    assert wrong_at_any_meeting(name) == []


# --------------------------------------------------------------------------------------- Whatever a manager answers


def test_what_failed_is_not_taken_for_invalidated(provisioning: Provisioning, person: Person, store: Store) -> None:
    person.launch()
    person.create_credential()
    person.create_phone("Empty pool")

    provisioning.settle()

    assert sorted(map(str, states_of_credentials(store.items()))) == ["active", "failed"]


def test_a_credential_whose_answer_was_lost_is_asked_for_again_without_its_automation(
    provisioning: Provisioning, person: Person, store: Store
) -> None:
    automation_id = person.launch()
    person.create_phone()
    lost = Losing()
    answering(provisioning, lost.answer)
    provisioning.settle(seconds=3)
    person.directory.delete_automation(automation_id)
    lost.is_over = True

    provisioning.settle()

    assert states_of_credentials(store.items()) == ["active"]
    assert provisioning.running() == []


@dataclass
class Losing:
    """Loses the requests for credentials.

    Attributes:
        is_over: Whether it does so no longer.
    """

    is_over: bool = False

    def answer(self, request: Request) -> None:
        if request.type is RequestType.CREDENTIAL_ISSUE and not self.is_over:
            raise NoUsableAnswerError


@pytest.mark.parametrize("state", ["pending", "active", "failed"])
def test_a_revocation_is_asked_for_again_with_waits_until_the_credential_is_gone(
    provisioning: Provisioning, person: Person, store: Store, state: str
) -> None:
    person.launch()
    credential_id = person.create_credential()
    person.create_phone()
    provisioning.settle()
    answering(provisioning, always(RequestType.CREDENTIAL_REVOKE, state))
    person.directory.delete_credential(credential_id)
    provisioning.asked.clear()

    provisioning.settle(hours=3)

    revocations = [request for request in provisioning.asked if request.type is RequestType.CREDENTIAL_REVOKE]
    assert 2 <= len(revocations) <= 15
    provisioning.manager_of = None
    provisioning.settle(hours=2)
    assert len(states_of_credentials(store.items())) == 1


@pytest.mark.parametrize("state", ["pending", "invited", "active", "failed"])
def test_a_phone_is_taken_from_the_manager_with_waits_until_it_is_gone(
    provisioning: Provisioning, person: Person, store: Store, state: str
) -> None:
    person.launch()
    phone = person.create_phone()
    provisioning.settle()
    answering(provisioning, always(RequestType.PHONE_DEREGISTER, state))
    person.directory.deactivate_phone(phone)
    provisioning.asked.clear()

    provisioning.settle(hours=3)

    removals = [request for request in provisioning.asked if request.type is RequestType.PHONE_DEREGISTER]
    assert 2 <= len(removals) <= 15
    provisioning.manager_of = None
    provisioning.settle(hours=2)
    assert in_table(store.items()) == AtManager.of(store.items()) == AtManager({})


def test_a_failed_credential_that_is_no_longer_wanted_is_deleted_at_once(
    provisioning: Provisioning, person: Person, store: Store
) -> None:
    person.launch()
    person.create_phone("Empty pool")
    provisioning.settle(minutes=5)
    (acs_user_id,) = person.directory.acs_users(acs_system_id=person.manager_id)
    person.directory.delete_acs_user(acs_user_id)

    provisioning.settle(minutes=1)

    assert states_of_credentials(store.items()) == []


def test_an_execution_that_replaces_another_one_goes_on_soon_after_the_others_request(
    provisioning: Provisioning, person: Person, store: Store
) -> None:
    person.launch()
    person.create_phone()
    replaced = ReplacedOnce(provisioning)
    answering(provisioning, replaced.answer)
    began = provisioning.clock.at

    provisioning.settle()

    assert states_of_credentials(store.items()) == ["active"]
    assert provisioning.clock.at - began < timedelta(seconds=10)


@dataclass
class ReplacedOnce:
    """Runs a doubled execution while the first request is on its way."""

    provisioning: Provisioning
    is_done: bool = False

    def answer(self, request: Request) -> None:  # noqa: ARG002 - it is the same for all
        if not self.is_done:
            self.is_done = True
            (execution,) = self.provisioning.executions.values()
            self.provisioning.start("doubled", execution.given)
            self.provisioning.go_on(self.provisioning.executions["doubled"])
