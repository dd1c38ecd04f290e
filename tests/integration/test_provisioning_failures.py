"""What goes wrong at a credential manager: when it is asked again, and what clients are shown until it is put right.

The times are the contract's ("Credential managers").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from enrollment.managers.protocol import (
    BusyError,
    CredentialManager,
    NoAccessError,
    NoUsableAnswerError,
    Request,
    RequestType,
)
from enrollment.use_cases.enrollments import EnrollmentId, View
from enrollment.use_cases.standing_still import retry
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory
from tests.provisioning import Clock, Provisioning

type Answer = Mapping[str, Any] | Exception


@dataclass
class Scripted:
    """Credential managers that answer as a test says, and else as simulated ones do.

    Attributes:
        provisioning: Has the simulated ones.
        answers: What they answer to requests of a type, until the test changes it.
    """

    provisioning: Provisioning
    answers: dict[RequestType, Answer] = field(default_factory=dict)

    def of(self, view: View) -> CredentialManager:
        return _Manager(self, self.provisioning.simulated(view))


@dataclass(frozen=True)
class _Manager:
    scripted: Scripted
    simulated: CredentialManager

    def ask(self, request: Request) -> Mapping[str, Any]:
        answer = self.scripted.answers.get(request.type)
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            return self.simulated.ask(request)
        named = {name: request.data[name] for name in ("acs_credential_id",) if name in request.data}
        return {**named, **answer}


@dataclass(frozen=True)
class World:
    """A person with an automation, a credential and a phone.

    Attributes:
        directory: What a server calls.
        provisioning: Runs executions.
        scripted: The managers.
        id: The person's enrollment.
        device_id: The phone.
    """

    directory: Directory
    provisioning: Provisioning
    scripted: Scripted
    id: EnrollmentId
    device_id: str

    def count(self, kind: RequestType) -> int:
        """Return how many requests of a type the managers got."""
        return sum(request.type == kind for request in self.provisioning.asked)

    def errors_of_phone(self) -> list[str]:
        return [error.error_code for error in self.directory.phone(self.device_id).errors]

    def states(self) -> list[bool]:
        """Return of each credential whether it is issued."""
        listed = self.directory.credentials(user_identity_id=self.id.user_identity_id)
        return [self.directory.credential(one).is_issued for one in listed]

    def pass_time(self, **duration: float) -> None:
        """Run what becomes due while the time passes."""
        end = self.provisioning.clock.at + timedelta(**duration)
        self.provisioning.settle(**duration)
        self.provisioning.clock.at = end


@pytest.fixture
def world(directory: Directory, workspace: Workspace, store: Store) -> World:
    workspace.become_sandbox()
    # What requests write has the present time, so the clock of executions has to stay behind it.
    clock = Clock(datetime.now(UTC) - timedelta(days=30))
    provisioning = Provisioning(store.table, store.items, clock)
    scripted = Scripted(provisioning)
    provisioning.manager_of = scripted.of
    manager_id, system_id = workspace.credential_manager(), workspace.acs_system()
    identity_id = workspace.user_identity(full_name="Jane Doe")
    acs_user_id = directory.create_acs_user(system_id, user_identity_id=identity_id).acs_user_id
    pool_id = workspace.acs_credential_pool(manager_id)
    directory.launch(identity_id, manager_id, acs_credential_pool_id=pool_id, create_credential_manager_user=True)
    directory.create_credential(acs_user_id, credential_manager_acs_system_id=manager_id)
    directory.session(identity_id).start_app(installation="app", phone_os="ios", model="iPhone 17")
    device_id = directory.phones(owner_user_identity_id=identity_id)[0]
    enrollment_id = EnrollmentId(workspace.workspace_id, identity_id, manager_id)
    return World(directory, provisioning, scripted, enrollment_id, device_id)


def failed(reason: str) -> dict[str, str]:
    return {"state": "failed", "reason": reason}


def test_an_empty_pool_is_asked_again_each_hour_without_end(world: World) -> None:
    world.scripted.answers[RequestType.CREDENTIAL_ISSUE] = failed("pool_exhausted")

    world.pass_time(hours=24, minutes=5)

    assert world.count(RequestType.CREDENTIAL_ISSUE) == 2 * 25
    assert world.errors_of_phone() == ["pool_exhausted"] * 2


def test_a_pool_that_is_filled_again_gives_its_credentials_within_the_hour(world: World) -> None:
    world.scripted.answers[RequestType.CREDENTIAL_ISSUE] = failed("pool_exhausted")
    world.pass_time(hours=3)

    world.scripted.answers.clear()
    world.pass_time(hours=1, minutes=1)

    assert world.states() == [True, True, True]
    assert world.errors_of_phone() == []


def test_what_a_pool_never_gave_is_given_up_with_the_automation(world: World) -> None:
    world.scripted.answers[RequestType.CREDENTIAL_ISSUE] = failed("pool_exhausted")
    world.pass_time(minutes=1)
    (automation,) = world.directory.automations(world.id.user_identity_id)

    world.directory.delete_automation(automation.enrollment_automation_id)
    world.scripted.answers.clear()
    world.pass_time(hours=2)

    assert world.states() == [True, True]
    assert world.errors_of_phone() == []


@pytest.mark.parametrize("seconds", [0.0, 1e30])
def test_a_busy_manager_can_name_any_time(world: World, seconds: float) -> None:
    world.scripted.answers[RequestType.PHONE_REGISTER] = BusyError(seconds)
    world.pass_time(seconds=1)

    world.scripted.answers.clear()
    world.pass_time(hours=2)

    assert world.states() == [True, True, True]


@pytest.mark.parametrize("reason", ["email_required", "phone_number_required", "person_conflict"])
def test_what_is_wrong_with_a_profile_is_asked_again_when_it_changes(world: World, reason: str) -> None:
    world.scripted.answers[RequestType.PHONE_REGISTER] = failed(reason)
    world.pass_time(days=2)
    assert (world.count(RequestType.PHONE_REGISTER), world.errors_of_phone()) == (1, [reason])

    world.scripted.answers.clear()
    world.directory.update(world.id.user_identity_id, email_address="jane@example.com")
    world.pass_time(minutes=1)

    assert world.states() == [True, True, True]
    assert world.errors_of_phone() == []


@pytest.mark.parametrize(
    "reason",
    ["phone_unsupported", "phone_limit_reached", "credential_limit_reached", "suspended_at_manager", "rejected", "odd"],
)
def test_what_is_refused_is_asked_again_when_somebody_asks(world: World, reason: str) -> None:
    world.scripted.answers[RequestType.PHONE_REGISTER] = failed(reason)
    world.pass_time(days=2)
    world.directory.update(world.id.user_identity_id, email_address="jane@example.com")
    world.pass_time(days=1)
    assert world.count(RequestType.PHONE_REGISTER) == 1
    assert world.errors_of_phone() == ["rejected" if reason == "odd" else reason]

    world.scripted.answers.clear()
    retry(world.directory.table, world.id)
    world.pass_time(minutes=1)

    assert world.states() == [True, True, True]


def test_an_invitation_that_expired_is_made_anew_when_the_app_opens(world: World) -> None:
    world.scripted.answers[RequestType.PHONE_REGISTER] = failed("invitation_expired")
    world.pass_time(days=2)
    assert world.count(RequestType.PHONE_REGISTER) == 1

    world.scripted.answers.clear()
    app = world.directory.session(world.id.user_identity_id)
    app.start_app(installation="app", phone_os="ios", model="iPhone 17")
    world.pass_time(minutes=1)

    attempts = [one.data["attempt"] for one in world.provisioning.asked if one.type is RequestType.PHONE_REGISTER]
    assert attempts == [1, 2]
    assert world.states() == [True, True, True]


def test_an_invitation_is_asked_about_daily_and_when_the_app_opens(world: World) -> None:
    world.scripted.answers[RequestType.PHONE_REGISTER] = {"state": "invited"}
    world.scripted.answers[RequestType.PHONE_STATUS] = {"state": "invited"}
    world.pass_time(days=6, hours=12)
    assert world.count(RequestType.PHONE_STATUS) == 6

    world.scripted.answers[RequestType.PHONE_STATUS] = {"state": "active"}
    app = world.directory.session(world.id.user_identity_id)
    app.start_app(installation="app", phone_os="ios", model="iPhone 17")
    world.pass_time(minutes=1)

    assert world.directory.phone(world.device_id).properties.assa_abloy_credential_service_metadata.has_active_endpoint


def test_silence_is_borne_with_growing_waits(world: World) -> None:
    world.scripted.answers[RequestType.PHONE_REGISTER] = NoUsableAnswerError("silence")

    world.pass_time(hours=1)
    first = world.count(RequestType.PHONE_REGISTER)
    world.pass_time(hours=24)

    assert 7 <= first <= 12
    assert 24 <= world.count(RequestType.PHONE_REGISTER) - first <= 32


def test_a_busy_manager_is_left_alone_as_long_as_it_says(world: World) -> None:
    world.scripted.answers[RequestType.PHONE_REGISTER] = BusyError(600)
    world.pass_time(minutes=9)
    assert world.count(RequestType.PHONE_REGISTER) == 1

    world.scripted.answers.clear()
    world.pass_time(minutes=3)

    assert world.states() == [True, True, True]


def test_a_manager_that_lets_nobody_in_is_shown_as_disconnected_until_it_does(world: World) -> None:
    world.scripted.answers[RequestType.PHONE_REGISTER] = NoAccessError()
    world.pass_time(minutes=1)
    shown = [error.error_code for error in world.directory.system(world.id.manager_id).errors]

    world.scripted.answers.clear()
    world.pass_time(hours=2)

    assert shown == ["account_disconnected"]
    assert world.directory.system(world.id.manager_id).errors == []
    assert world.states() == [True, True, True]


def test_work_that_takes_its_time_is_asked_about_after_growing_waits(world: World) -> None:
    world.scripted.answers[RequestType.PHONE_REGISTER] = {"state": "pending"}
    world.scripted.answers[RequestType.PHONE_STATUS] = {"state": "pending"}

    world.pass_time(hours=1)
    first = world.count(RequestType.PHONE_STATUS)
    world.pass_time(hours=10)

    assert 7 <= first <= 12
    assert 10 <= world.count(RequestType.PHONE_STATUS) - first <= 15


def test_an_answer_that_is_not_the_protocols_is_no_answer(world: World) -> None:
    world.scripted.answers[RequestType.PHONE_REGISTER] = {"state": "perhaps"}
    world.pass_time(minutes=1)

    world.scripted.answers.clear()
    world.pass_time(hours=2)

    assert world.states() == [True, True, True]
