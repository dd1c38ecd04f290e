"""`enrollments provisioning`: an operator finds enrollments that stand still, and has them go on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from enrollment.managers.protocol import NoUsableAnswerError, Request
from enrollments.provisioning import provisioning as provisioning_command
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory
from tests.provisioning import AtManager, Clock, Provisioning

UNKNOWN = "00000000-0000-4000-8000-000000000000"

type Run = Callable[..., Result]


@dataclass(frozen=True)
class Enrolled:
    """A person with an automation.

    Attributes:
        user_identity_id: The person.
        manager_id: The credential manager.
    """

    user_identity_id: str
    manager_id: str


@pytest.fixture
def enrolled(directory: Directory, workspace: Workspace) -> Enrolled:
    workspace.become_sandbox()
    enrolled = Enrolled(workspace.user_identity(), workspace.credential_manager())
    directory.launch(enrolled.user_identity_id, enrolled.manager_id)
    return enrolled


@pytest.fixture
def provisioning(store: Store) -> Provisioning:
    # All that happens before the command was yesterday, because the command goes by the real time.
    return Provisioning(store.table, store.items, clock=Clock(datetime.now(UTC) - timedelta(days=1)))


@pytest.fixture
def run(store: Store, workspace: Workspace) -> Run:
    def run_(command: str, *arguments: str) -> Result:
        options = ["--table-name", store.table.name, "--workspace-id", workspace.workspace_id]
        return CliRunner().invoke(provisioning_command, [command, *options, *arguments], catch_exceptions=False)

    return run_


def test_an_enrollment_whose_start_was_lost_is_found(directory: Directory, run: Run, enrolled: Enrolled) -> None:
    directory.create_phone(enrolled.user_identity_id)

    result = run("check", "--patience", "0")

    assert result.exit_code == 1
    assert result.stdout == f"{enrolled.user_identity_id}  {enrolled.manager_id}  a phone is to be registered\n"
    assert result.stderr.endswith("Error: enrollments that stand still: 1; --mend has them go on\n")


def test_an_enrollment_that_was_mended_goes_on(
    directory: Directory, provisioning: Provisioning, run: Run, enrolled: Enrolled, store: Store
) -> None:
    directory.create_phone(enrolled.user_identity_id)
    provisioning.seen = store.items()  # these changes were lost

    result = run("check", "--patience", "0", "--mend")

    provisioning.settle()
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (0, "Enrollments that go on: 1.")
    assert len(AtManager.of(store.items()).credentials) == 1


def test_an_execution_that_was_stopped_is_found_and_another_one_ends_its_work(
    directory: Directory, provisioning: Provisioning, run: Run, enrolled: Enrolled
) -> None:
    phone = directory.create_phone(enrolled.user_identity_id)
    provisioning.follow()
    (stopped,) = provisioning.running()
    provisioning.go_on(stopped)
    stopped.ended = "stopped"

    result = run("check", "--patience", "0", "--mend")

    provisioning.settle()
    assert result.stdout.endswith("  the credential manager is to be asked how a phone stands\n")
    assert directory.phone(phone.device_id).properties.assa_abloy_credential_service_metadata.has_active_endpoint


@pytest.mark.usefixtures("enrolled")
def test_a_person_without_a_phone_does_not_stand_still(run: Run) -> None:
    result = run("check", "--patience", "0")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No enrollment stands still.\n")


def test_what_is_done_stands_not_still(
    directory: Directory, provisioning: Provisioning, run: Run, enrolled: Enrolled
) -> None:
    directory.create_phone(enrolled.user_identity_id)
    provisioning.settle()

    result = run("check", "--patience", "0")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No enrollment stands still.\n")


def test_what_is_done_while_the_command_waits_stands_not_still(
    directory: Directory,
    provisioning: Provisioning,
    run: Run,
    enrolled: Enrolled,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    directory.create_phone(enrolled.user_identity_id)
    monkeypatch.setattr("enrollments.provisioning.time.sleep", lambda _: provisioning.settle())

    result = run("check")

    assert result.exit_code == 0
    assert result.stderr == (
        "Enrollments with work that is due: 1. Looking again in 60 s.\nNo enrollment stands still.\n"
    )


def test_a_phone_that_has_failed_is_asked_for_again(
    directory: Directory, provisioning: Provisioning, run: Run, enrolled: Enrolled
) -> None:
    phone = directory.create_phone(enrolled.user_identity_id, phone_metadata={"device_model": "Invitation expires"})
    provisioning.settle()
    provisioning.asked.clear()

    result = run("retry", enrolled.user_identity_id)

    provisioning.settle()
    assert (result.exit_code, result.stdout) == (0, f"{enrolled.manager_id}  1 to be asked for again\n")
    assert provisioning.asked[0].data["attempt"] == 2
    assert directory.phone(phone.device_id).errors == []


def test_an_operator_whose_clock_is_ahead_has_a_phone_asked_for_once(
    directory: Directory, provisioning: Provisioning, run: Run, enrolled: Enrolled
) -> None:
    directory.create_phone(enrolled.user_identity_id, phone_metadata={"device_model": "Fails for good"})
    provisioning.settle()
    provisioning.asked.clear()

    run("retry", enrolled.user_identity_id)

    provisioning.settle()
    assert [request.type for request in provisioning.asked] == ["phone.register"]


def test_a_manager_that_did_not_answer_is_asked_again_at_once(
    directory: Directory, provisioning: Provisioning, run: Run, enrolled: Enrolled
) -> None:
    directory.create_phone(enrolled.user_identity_id)
    provisioning.manager_of = lambda _: Silent()
    provisioning.settle(minutes=30)
    provisioning.manager_of = None
    provisioning.asked.clear()

    run("retry", enrolled.user_identity_id)

    provisioning.settle(minutes=1)
    assert [request.type for request in provisioning.asked] == ["phone.register", "phone.status"]


class Silent:
    """A credential manager that does not answer."""

    def ask(self, _: Request) -> dict[str, object]:
        raise NoUsableAnswerError("it is silent")


def test_nothing_is_asked_again_of_a_person_for_whom_all_is_well(
    directory: Directory, provisioning: Provisioning, run: Run, enrolled: Enrolled
) -> None:
    directory.create_phone(enrolled.user_identity_id)
    provisioning.settle()
    provisioning.asked.clear()

    result = run("retry", enrolled.user_identity_id)

    provisioning.settle()
    assert result.stdout == f"{enrolled.manager_id}  0 to be asked for again\n"
    assert provisioning.asked == []


def test_a_person_without_an_enrollment_is_named(run: Run, workspace: Workspace) -> None:
    workspace.exist()

    result = run("retry", UNKNOWN)

    assert result.exit_code == 1
    assert result.stderr == f"Error: {UNKNOWN} has no enrollment in workspace {workspace.workspace_id}\n"


def test_all_that_failed_at_one_manager_is_asked_for_again(
    directory: Directory, provisioning: Provisioning, run: Run, enrolled: Enrolled, workspace: Workspace
) -> None:
    elsewhere = Enrolled(workspace.user_identity(), workspace.credential_manager())
    directory.launch(elsewhere.user_identity_id, elsewhere.manager_id)
    fails = {"device_model": "Fails for good"}
    directory.create_phone(enrolled.user_identity_id, phone_metadata=fails)
    directory.create_phone(elsewhere.user_identity_id, phone_metadata=fails)
    provisioning.settle()
    provisioning.asked.clear()

    result = run("retry", "--acs-system-id", enrolled.manager_id)

    provisioning.settle()
    assert result.stdout == f"{enrolled.user_identity_id}  1 to be asked for again\n"
    assert result.stderr == "To be asked for again: 1.\n"
    people = [request.data["person"]["user_identity_id"] for request in provisioning.asked]
    assert people == [enrolled.user_identity_id]


@pytest.mark.parametrize("both", [True, False])
def test_a_person_or_a_manager_is_named(run: Run, enrolled: Enrolled, *, both: bool) -> None:
    arguments = [enrolled.user_identity_id, "--acs-system-id", enrolled.manager_id] if both else []

    result = run("retry", *arguments)

    assert result.exit_code == 2
    assert "name a person, USER_IDENTITY_ID, or a credential manager: --acs-system-id ID" in result.stderr


def test_a_manager_that_is_paused_is_told_and_stays_so(
    directory: Directory, provisioning: Provisioning, run: Run, enrolled: Enrolled, workspace: Workspace
) -> None:
    directory.create_phone(enrolled.user_identity_id, phone_metadata={"device_model": "Fails for good"})
    provisioning.settle()
    until = "2100-01-01T00:00:00.000Z"
    workspace.pause(enrolled.manager_id, reason="busy", paused_at=until, paused_until=until, times=1)

    of_person, of_manager = (
        run("retry", enrolled.user_identity_id),
        run("retry", "--acs-system-id", enrolled.manager_id),
    )

    told = (
        f"{enrolled.manager_id} is paused until 2100-01-01 00:00:00 UTC, and asked then: "
        "it has too much to do (it answered 429 or 503).\n"
    )
    assert of_person.stderr == told
    assert of_manager.stderr == f"To be asked for again: 1.\n{told}"


def test_a_manager_whose_connector_is_paused_is_told(run: Run, workspace: Workspace) -> None:
    workspace.exist()
    manager_id = workspace.credential_manager()
    workspace.connect(manager_id, paused_at="2026-11-01T10:00:00.000Z")

    result = run("retry", "--acs-system-id", manager_id)

    assert result.stderr.endswith(f"{manager_id} is paused by an operator, until: enrollments connectors resume\n")


def test_what_is_left_of_a_deleted_person_is_mended(
    directory: Directory, provisioning: Provisioning, run: Run, enrolled: Enrolled, store: Store
) -> None:
    directory.create_phone(enrolled.user_identity_id)
    provisioning.settle()
    directory.delete(enrolled.user_identity_id)
    provisioning.seen = store.items()  # these changes were lost

    result = run("check", "--patience", "0", "--mend")

    provisioning.settle()
    assert result.stderr.splitlines()[-1] == "Enrollments that go on: 1."
    assert AtManager.of(store.items()).credentials == {}
