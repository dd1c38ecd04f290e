"""`enrollments phones` and `enrollments credentials`: what waits at a credential manager, why, and until when."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from enrollment.managers.protocol import BusyError, NoAccessError, NoUsableAnswerError, Request
from enrollment.timestamps import timestamp
from enrollment.use_cases.convergence import Nothing, Wait, next_step
from enrollment.use_cases.enrollments import EnrollmentId, read_view
from enrollment.use_cases.waiting import Waiting, Why, waiting_credentials, waiting_phones
from enrollments.reasons import sentence_of
from enrollments.waiting import credentials as credentials_command
from enrollments.waiting import phones as phones_command
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory
from tests.provisioning import Clock, Provisioning

CHECK = "manager.check"

type Answer = dict[str, Any] | Exception
type Rows = Callable[[], list[Waiting]]


@dataclass
class Scripted:
    """A connector that answers each type of request in one way, and keeps nothing.

    Attributes:
        answers: The answers, by the type of the request; an error is raised.
    """

    answers: dict[str, Answer] = field(
        default_factory=lambda: {
            CHECK: {"keeps_validity": True},
            "phone.register": {"state": "active"},
            "phone.status": {"state": "active"},
            "phone.deregister": {"state": "gone"},
            "credential.issue": {"state": "active"},
            "credential.revoke": {"state": "gone"},
        }
    )

    def ask(self, request: Request) -> dict[str, Any]:
        answer = self.answers[request.type]
        if isinstance(answer, Exception):
            raise answer
        return {"acs_credential_id": request.data.get("acs_credential_id")} | answer


@dataclass(frozen=True)
class Person:
    """A person with a phone and an automation with a credential manager outside of sandboxes."""

    workspace: Workspace
    directory: Directory
    id: EnrollmentId
    device_id: str

    def credential(self, **more: Any) -> str:
        """Create a credential that stands for the person's access.  Return its id."""
        system_id = self.workspace.acs_system()
        acs_user_id = self.workspace.acs_user(system_id)
        self.directory.add(acs_user_id, user_identity_id=self.id.user_identity_id)
        created = self.directory.create_credential(
            acs_user_id, credential_manager_acs_system_id=self.id.manager_id, **more
        )
        return created.acs_credential_id


@pytest.fixture
def person(workspace: Workspace, directory: Directory) -> Person:
    workspace.exist()
    identity_id, manager_id = workspace.user_identity(), workspace.credential_manager()
    directory.launch(identity_id, manager_id)
    enrollment_id = EnrollmentId(workspace.workspace_id, identity_id, manager_id)
    return Person(workspace, directory, enrollment_id, workspace.phone(identity_id))


@pytest.fixture
def connector() -> Scripted:
    return Scripted()


@pytest.fixture
def provisioning(store: Store, connector: Scripted) -> Provisioning:
    found = Provisioning(store.table, store.items, clock=Clock(datetime.now(UTC)))
    found.connector_of = lambda *_: connector
    return found


@pytest.fixture
def connected(person: Person) -> Person:
    person.workspace.connect(person.id.manager_id)
    return person


@pytest.fixture
def phones(store: Store, person: Person, provisioning: Provisioning) -> Rows:
    return lambda: list(waiting_phones(read_view(store.table, person.id), timestamp(provisioning.clock.at)))


@pytest.fixture
def credentials(store: Store, person: Person, provisioning: Provisioning) -> Rows:
    return lambda: list(waiting_credentials(read_view(store.table, person.id), timestamp(provisioning.clock.at)))


def in_(provisioning: Provisioning, **duration: float) -> str:
    return timestamp(provisioning.clock.at + timedelta(**duration))


# --------------------------------------------------------------------------------------------------------------- Phones


def test_a_phone_waits_for_a_connector(phones: Rows) -> None:
    (phone,) = phones()

    assert (phone.why, phone.state, phone.next_at, phone.is_due) == (Why.NO_CONNECTOR, "not_asked", None, False)


def test_a_phone_waits_for_a_connector_that_an_operator_has_paused(person: Person, phones: Rows) -> None:
    since = "2026-11-01T10:00:00.000Z"
    person.workspace.connect(person.id.manager_id, paused_at=since)

    (phone,) = phones()

    assert (phone.why, phone.since) == (Why.CONNECTOR_PAUSED, since)


@pytest.mark.usefixtures("connected")
def test_a_phone_waits_for_the_first_check(phones: Rows) -> None:
    (phone,) = phones()

    assert (phone.why, phone.because, phone.is_due) == (Why.NOT_YET_CHECKED, None, False)


@pytest.mark.usefixtures("connected")
def test_a_phone_that_waits_for_the_first_check_is_looked_at_when_its_execution_looks(
    store: Store, person: Person, connector: Scripted, provisioning: Provisioning, phones: Rows
) -> None:
    connector.answers[CHECK] = BusyError(3000)
    provisioning.settle(minutes=1)

    (phone,) = phones()

    step = next_step(read_view(store.table, person.id), timestamp(provisioning.clock.at))
    assert isinstance(step, Wait)
    assert phone.next_at == step.until


@pytest.mark.usefixtures("connected")
def test_a_phone_waits_for_a_check_that_was_not_answered(
    connector: Scripted, provisioning: Provisioning, phones: Rows
) -> None:
    connector.answers[CHECK] = NoUsableAnswerError("no_such_host")
    provisioning.settle(minutes=5)

    (phone,) = phones()

    assert (phone.why, phone.because, phone.is_due) == (Why.NOT_YET_CHECKED, "no_such_host", False)
    assert timestamp(provisioning.clock.at) < str(phone.next_at) < in_(provisioning, hours=1)


def test_a_phone_is_due_before_it_is_asked_for(connected: Person, phones: Rows) -> None:
    connected.workspace.connect(connected.id.manager_id, **CHECKED)

    (phone,) = phones()

    assert (phone.why, phone.because, phone.is_due) == (Why.DUE, "register", True)


CHECKED: dict[str, Any] = {"checked_at": "2026-11-01T10:00:00.000Z", "keeps_validity": True, "one_step": False}


@pytest.mark.parametrize(
    ("error", "why"), [(BusyError(3000), Why.MANAGER_BUSY), (NoAccessError(), Why.NO_ACCESS)], ids=["busy", "no_access"]
)
@pytest.mark.usefixtures("connected")
def test_a_phone_waits_while_its_manager_is_paused(
    connector: Scripted, provisioning: Provisioning, phones: Rows, error: Exception, why: Why
) -> None:
    connector.answers["phone.register"] = error
    provisioning.settle(minutes=1)

    (phone,) = phones()

    assert (phone.why, phone.state) == (why, "asked")
    assert in_(provisioning, minutes=3) < str(phone.next_at) < in_(provisioning, minutes=51)


def test_a_phone_is_not_looked_at_while_its_manager_is_paused(
    connected: Person, connector: Scripted, provisioning: Provisioning, phones: Rows
) -> None:
    connector.answers["phone.register"] = NoUsableAnswerError("timeout")
    provisioning.settle(minutes=1)
    until = in_(provisioning, hours=1)
    pause: dict[str, Any] = {
        "reason": "busy",
        "paused_at": timestamp(provisioning.clock.at),
        "paused_until": until,
        "times": 1,
    }
    connected.workspace.pause(connected.id.manager_id, **pause)

    (phone,) = phones()

    assert (phone.why, phone.next_at) == (Why.NO_USABLE_ANSWER, until)


@pytest.mark.usefixtures("connected")
def test_a_phone_waits_for_a_usable_answer(connector: Scripted, provisioning: Provisioning, phones: Rows) -> None:
    connector.answers["phone.register"] = NoUsableAnswerError("status_500")
    provisioning.settle(minutes=10)

    (phone,) = phones()

    assert (phone.why, phone.because, phone.is_due) == (Why.NO_USABLE_ANSWER, "status_500", False)
    assert str(phone.next_at) > timestamp(provisioning.clock.at)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"state": "pending", "check_after_s": 600}, Why.MANAGER_AT_WORK),
        ({"state": "invited", "check_after_s": 600}, Why.INVITED),
    ],
)
@pytest.mark.usefixtures("connected")
def test_a_phone_waits_for_the_manager_or_for_the_person(
    connector: Scripted,
    provisioning: Provisioning,
    phones: Rows,
    answer: dict[str, Any],
    why: Why,
) -> None:
    connector.answers["phone.register"] = answer
    provisioning.settle(minutes=1)

    (phone,) = phones()

    assert (phone.why, phone.state, phone.is_due) == (why, answer["state"], False)
    assert in_(provisioning, minutes=9) < str(phone.next_at) <= in_(provisioning, minutes=10)


@pytest.mark.usefixtures("connected")
def test_a_phone_that_failed_has_its_reason(connector: Scripted, provisioning: Provisioning, phones: Rows) -> None:
    connector.answers["phone.register"] = {"state": "failed", "reason": "email_required", "message": "Ann has none"}
    provisioning.settle()

    (phone,) = phones()

    assert (phone.why, phone.because, phone.next_at, phone.is_due) == (Why.FAILED, "email_required", None, False)
    assert "Ann" not in sentence_of(phone)


@pytest.mark.usefixtures("connected")
def test_a_phone_whose_pool_is_empty_is_looked_at_again(
    connector: Scripted, provisioning: Provisioning, phones: Rows
) -> None:
    connector.answers["phone.register"] = {"state": "failed", "reason": "pool_exhausted"}
    provisioning.settle(minutes=30)

    (phone,) = phones()

    assert (phone.why, phone.because) == (Why.FAILED, "pool_exhausted")
    assert in_(provisioning, minutes=1) < str(phone.next_at) <= in_(provisioning, hours=1)


@pytest.mark.usefixtures("connected")
def test_a_phone_that_the_manager_has_removed_unasked_is_told(
    connector: Scripted, provisioning: Provisioning, phones: Rows
) -> None:
    connector.answers |= {"phone.register": {"state": "invited", "check_after_s": 5}, "phone.status": {"state": "gone"}}
    provisioning.settle()

    (phone,) = phones()

    assert phone.why is Why.GONE
    assert "it is registered again when its app next opens; since " in sentence_of(phone)


@pytest.mark.usefixtures("connected")
def test_a_phone_that_is_active_waits_for_nothing(provisioning: Provisioning, phones: Rows) -> None:
    provisioning.settle()

    (phone,) = phones()

    assert (phone.why, phone.state, phone.next_at) == (None, "active", None)


def test_a_phone_that_is_removed_waits_for_the_manager(
    connected: Person, connector: Scripted, provisioning: Provisioning, phones: Rows
) -> None:
    connector.answers |= {
        "phone.deregister": {"state": "removing", "check_after_s": 600},
        "phone.status": {"state": "removing", "check_after_s": 600},
    }
    provisioning.settle()
    connected.directory.deactivate_phone(connected.device_id)
    provisioning.settle(minutes=5)

    (phone,) = phones()

    assert (phone.why, phone.state, phone.is_due) == (Why.REMOVING, "removing", False)


def test_a_removal_that_is_not_answered_is_told(
    connected: Person, connector: Scripted, provisioning: Provisioning, phones: Rows
) -> None:
    provisioning.settle()
    connector.answers["phone.deregister"] = NoUsableAnswerError("timeout")
    connected.directory.deactivate_phone(connected.device_id)
    provisioning.settle(minutes=5)

    (phone,) = phones()

    assert (phone.why, phone.because) == (Why.NO_USABLE_ANSWER, "timeout")


def test_a_phone_without_an_automation_waits_if_there_is_a_credential(person: Person, phones: Rows) -> None:
    person.credential()
    (automation,) = person.directory.automations(person.id.user_identity_id)
    person.directory.delete_automation(automation.enrollment_automation_id)

    (phone,) = phones()

    assert phone.why is Why.NO_AUTOMATION


@pytest.mark.usefixtures("connected")
def test_a_phone_waits_for_a_credential_if_registering_issues_it(
    connector: Scripted, provisioning: Provisioning, phones: Rows
) -> None:
    connector.answers[CHECK] = {"one_step": True}
    provisioning.settle()

    (phone,) = phones()

    assert (phone.why, phone.next_at, phone.is_due) == (Why.NO_CREDENTIAL, None, False)


def test_a_phone_waits_for_a_credential_that_starts_later_if_registering_issues_it(
    connected: Person, connector: Scripted, provisioning: Provisioning, phones: Rows
) -> None:
    connector.answers[CHECK] = {"one_step": True}
    starts_at = in_(provisioning, days=3)
    connected.credential(starts_at=starts_at)
    provisioning.settle()

    (phone,) = phones()

    assert (phone.why, phone.next_at) == (Why.STARTS_LATER, starts_at)


# ---------------------------------------------------------------------------------------------------------- Credentials


PAUSED_OR_NOT = pytest.mark.parametrize(
    "paused", [{"paused_at": "2026-11-01T10:00:00.000Z"}, {}], ids=["by an operator", "not at all"]
)
KEEPS_NO_VALIDITY: dict[str, Any] = CHECKED | {"keeps_validity": False}


@PAUSED_OR_NOT
def test_a_credential_that_has_ended_waits_for_nobody(
    connected: Person,
    connector: Scripted,
    provisioning: Provisioning,
    credentials: Rows,
    paused: dict[str, str],
) -> None:
    connector.answers[CHECK] = {"keeps_validity": False}
    provisioning.settle()
    connected.credential(ends_at=in_(provisioning, days=1))
    provisioning.clock.turn(days=2)
    connected.workspace.connect(connected.id.manager_id, **KEEPS_NO_VALIDITY, **paused)

    (credential,) = credentials()

    assert credential.why is None


@PAUSED_OR_NOT
def test_a_credential_that_is_issued_does_not_wait_for_a_paused_connector(
    connected: Person,
    connector: Scripted,
    provisioning: Provisioning,
    credentials: Rows,
    paused: dict[str, str],
) -> None:
    connector.answers[CHECK] = {"keeps_validity": False}
    connected.credential(starts_at=in_(provisioning, days=-1), ends_at=in_(provisioning, days=3))
    provisioning.settle()
    connected.workspace.connect(connected.id.manager_id, **KEEPS_NO_VALIDITY, **paused)

    (credential,) = credentials()

    assert (credential.why, credential.state) == (None, "active")


def test_a_credential_that_is_to_be_issued_waits_for_a_paused_connector(
    connected: Person, provisioning: Provisioning, credentials: Rows
) -> None:
    provisioning.settle()
    connected.credential()
    connected.workspace.connect(connected.id.manager_id, **KEEPS_NO_VALIDITY, paused_at="2026-11-01T10:00:00.000Z")

    (credential,) = credentials()

    assert credential.why is Why.CONNECTOR_PAUSED


def test_a_phone_does_not_wait_for_a_paused_connector_if_there_is_nothing_to_register_it_for(
    connected: Person, phones: Rows
) -> None:
    one_step = CHECKED | {"one_step": True}
    connected.workspace.connect(connected.id.manager_id, **one_step, paused_at="2026-11-01T10:00:00.000Z")

    (phone,) = phones()

    assert phone.why is Why.NO_CREDENTIAL


def test_a_credential_waits_for_its_phone(connected: Person, credentials: Rows) -> None:
    credential_id = connected.credential()

    (credential,) = credentials()

    assert (credential.why, credential.state) == (Why.PHONE_NOT_ACTIVE, "not_asked")
    assert (credential.device_id, credential.parent_acs_credential_id) == (connected.device_id, credential_id)


def test_a_credential_waits_for_a_person_to_have_a_phone(connected: Person, credentials: Rows) -> None:
    connected.credential()
    connected.directory.deactivate_phone(connected.device_id)

    (credential,) = credentials()

    assert (credential.why, credential.device_id) == (Why.NO_PHONE, None)


def test_a_credential_that_starts_later_waits_if_the_manager_does_not_keep_validity(
    connected: Person, connector: Scripted, provisioning: Provisioning, credentials: Rows
) -> None:
    connector.answers[CHECK] = {"keeps_validity": False}
    starts_at = in_(provisioning, days=3)
    connected.credential(starts_at=starts_at)
    provisioning.settle()

    (credential,) = credentials()

    assert (credential.why, credential.next_at, credential.acs_credential_id) == (Why.STARTS_LATER, starts_at, None)


def test_a_credential_that_is_issued_waits_for_nothing_until_it_ends(
    connected: Person, connector: Scripted, provisioning: Provisioning, credentials: Rows
) -> None:
    connector.answers[CHECK] = {"keeps_validity": False}
    connected.credential(starts_at=in_(provisioning, days=-1), ends_at=in_(provisioning, days=3))
    provisioning.settle()

    (credential,) = credentials()

    assert (credential.why, credential.state) == (None, "active")


@pytest.mark.parametrize(
    ("answer", "why", "because"),
    [
        ({"state": "pending", "check_after_s": 600}, Why.MANAGER_AT_WORK, None),
        ({"state": "failed", "reason": "credential_limit_reached"}, Why.FAILED, "credential_limit_reached"),
        ({"state": "failed", "reason": "pool_exhausted"}, Why.FAILED, "pool_exhausted"),
        (NoUsableAnswerError("not_json"), Why.NO_USABLE_ANSWER, "not_json"),
        (BusyError(3000), Why.MANAGER_BUSY, None),
        ({"state": "active"}, None, None),
    ],
    ids=["pending", "failed", "pool", "silent", "busy", "active"],
)
def test_a_credential_waits_as_the_manager_answers(
    connected: Person,
    connector: Scripted,
    provisioning: Provisioning,
    credentials: Rows,
    answer: Answer,
    why: Why | None,
    because: str | None,
) -> None:
    connector.answers["credential.issue"] = answer
    connected.credential()
    provisioning.settle(minutes=5)

    (credential,) = credentials()

    assert (credential.why, credential.because) == (why, because)


def test_an_invalidated_credential_is_told(
    connected: Person, connector: Scripted, provisioning: Provisioning, credentials: Rows
) -> None:
    connected.credential()
    provisioning.settle()
    (child,) = credentials()
    gone = {"acs_credential_id": child.acs_credential_id, "state": "gone"}
    connector.answers["phone.status"] = {"state": "active", "credentials": [gone]}
    connector.answers["credential.issue"] = {"state": "pending", "check_after_s": 5}
    connected.directory.update_credential(str(child.parent_acs_credential_id), ends_at=in_(provisioning, days=9))
    provisioning.settle()

    (credential,) = credentials()

    assert credential.why is Why.GONE
    assert "`enrollments provisioning retry` asks for it again; since " in sentence_of(credential)


def test_a_credential_that_is_revoked_waits_for_the_manager(
    connected: Person, connector: Scripted, provisioning: Provisioning, credentials: Rows
) -> None:
    connector.answers["credential.revoke"] = {"state": "removing", "check_after_s": 600}
    credential_id = connected.credential()
    provisioning.settle()
    connected.directory.delete_credential(credential_id)
    provisioning.settle(minutes=5)

    (credential,) = credentials()

    assert (credential.why, credential.state, credential.is_due) == (Why.REMOVING, "removing", False)


def test_a_credential_that_the_manager_does_not_begin_to_revoke_waits_too(
    connected: Person, connector: Scripted, provisioning: Provisioning, credentials: Rows
) -> None:
    connector.answers["credential.revoke"] = {"state": "active"}
    credential_id = connected.credential()
    provisioning.settle()
    connected.directory.delete_credential(credential_id)
    provisioning.settle(minutes=5)

    (credential,) = credentials()

    assert (credential.why, credential.state) == (Why.REMOVING, "active")
    assert str(credential.next_at) > timestamp(provisioning.clock.at)


def test_a_credential_does_not_wait_for_what_another_one_waits_for(
    connected: Person, connector: Scripted, provisioning: Provisioning, credentials: Rows
) -> None:
    connected.credential()
    provisioning.settle()
    connector.answers["credential.issue"] = NoUsableAnswerError("timeout")
    connected.credential()
    provisioning.settle(minutes=5)

    whys = sorted(str(credential.why) for credential in credentials())

    assert whys == ["None", "no_usable_answer"]


def test_a_credential_from_a_pool_names_it(
    workspace: Workspace, directory: Directory, connector: Scripted, provisioning: Provisioning, store: Store
) -> None:
    workspace.exist()
    identity_id, manager_id = workspace.user_identity(full_name="Ann"), workspace.credential_manager()
    pool_id = workspace.acs_credential_pool(manager_id)
    more = {"acs_credential_pool_id": pool_id, "create_credential_manager_user": True}
    directory.launch(identity_id, manager_id, **more)
    workspace.phone(identity_id)
    workspace.connect(manager_id)
    connector.answers["credential.issue"] = {"state": "pending"}
    provisioning.settle(minutes=5)
    view = read_view(store.table, EnrollmentId(workspace.workspace_id, identity_id, manager_id))

    (credential,) = waiting_credentials(view, timestamp(provisioning.clock.at))

    assert (credential.why, credential.acs_credential_pool_id) == (Why.MANAGER_AT_WORK, pool_id)


# ---------------------------------------------------------------------------------------------- All of it, in a sandbox


@pytest.mark.parametrize(
    "model", ["Usual", "Slow", "Fails once", "Fails for good", "Empty pool", "Invitation expires", "Never answers"]
)
def test_what_is_told_is_what_executions_do(
    store: Store, workspace: Workspace, directory: Directory, provisioning: Provisioning, model: str
) -> None:
    workspace.become_sandbox()
    identity_id, manager_id = workspace.user_identity(full_name="Ann"), workspace.credential_manager()
    pool = {"acs_credential_pool_id": workspace.acs_credential_pool(manager_id)}
    directory.launch(identity_id, manager_id, create_credential_manager_user=True, **pool)
    phone = directory.create_phone(identity_id, phone_metadata={"device_model": model})
    person = Person(workspace, directory, EnrollmentId(workspace.workspace_id, identity_id, manager_id), "")
    credential_id = person.credential()
    told_and_decided = [*turns(store, person.id, provisioning)]

    directory.delete_credential(credential_id)
    told_and_decided += turns(store, person.id, provisioning)
    directory.deactivate_phone(phone.device_id)
    told_and_decided += turns(store, person.id, provisioning)

    assert [told for told, _ in told_and_decided] == [decided for _, decided in told_and_decided]


type Next = tuple[bool, str | None]


def turns(store: Store, enrollment_id: EnrollmentId, provisioning: Provisioning) -> Iterator[tuple[Next, Next]]:
    """Turn the clock, and yield whether something is due, and else what is next: as told, and as executions decide."""
    yield told_and_decided_at(store, enrollment_id, in_(provisioning))
    for exponent in range(12):
        provisioning.settle(seconds=2.0**exponent)
        yield told_and_decided_at(store, enrollment_id, in_(provisioning))
        yield told_and_decided_at(store, enrollment_id, in_(provisioning, seconds=1))


def told_and_decided_at(store: Store, enrollment_id: EnrollmentId, now: str) -> tuple[Next, Next]:
    view = read_view(store.table, enrollment_id)
    rows = [*waiting_phones(view, now), *waiting_credentials(view, now)]
    step = next_step(view, now)
    is_due = any(row.is_due for row in rows)
    told = None if is_due else min((row.next_at for row in rows if row.next_at is not None), default=None)
    decided = step.until if isinstance(step, Wait) else None
    return (is_due, told), (not isinstance(step, Wait | Nothing), decided)


# ------------------------------------------------------------------------------------------------------------- Commands


@pytest.fixture
def run(store: Store, workspace: Workspace) -> Callable[..., Result]:
    def run_(command: click.Command, *arguments: str) -> Result:
        options = ["--table-name", store.table.name, "--workspace-id", workspace.workspace_id]
        return CliRunner().invoke(command, [*options, *arguments], catch_exceptions=False)

    return run_


def test_a_line_says_which_phone_waits_why_and_since_when(person: Person, run: Callable[..., Result]) -> None:
    created_at = person.directory.phone(person.device_id).created_at

    result = run(phones_command)

    since = f"{created_at[:10]} {created_at[11:19]} UTC"
    assert result.stdout == (
        f"{person.id.user_identity_id}  {person.device_id}  {person.id.manager_id}  not_asked  the credential manager "
        f"has no connector; `enrollments connectors set` gives it one; since {since}\n"
    )


def test_a_line_says_which_credential_waits(person: Person, run: Callable[..., Result]) -> None:
    credential_id = person.credential()

    result = run(credentials_command)

    assert result.stdout.startswith(
        f"{person.id.user_identity_id}  {person.device_id}  {person.id.manager_id}  -  {credential_id}  not_asked  "
        "waits for its phone; see `enrollments phones`; since "
    )


def test_json_has_words_for_scripts(
    person: Person, connector: Scripted, provisioning: Provisioning, run: Callable[..., Result]
) -> None:
    person.workspace.connect(person.id.manager_id)
    connector.answers["phone.register"] = NoUsableAnswerError("status_404")
    provisioning.settle(minutes=1)

    (phone,) = json.loads(run(phones_command, "--json").stdout)

    named = {"device_id", "acs_system_id", "why", "because", "message", "next_at", "is_due", "state", "since"}
    assert (phone["why"], phone["because"]) == ("no_usable_answer", "status_404")
    assert phone["message"] == "it answered with the HTTP status 404"
    assert named < phone.keys()


@pytest.mark.parametrize("command", [phones_command, credentials_command])
def test_what_does_not_wait_is_shown_if_all_is_asked_for(
    person: Person, provisioning: Provisioning, run: Callable[..., Result], command: click.Command
) -> None:
    person.workspace.connect(person.id.manager_id)
    person.credential()
    provisioning.settle()

    usual, all_ = run(command), run(command, "--all")

    assert (usual.stdout, usual.stderr[:3]) == ("", "No ")
    assert "  active  waits for nothing, since " in all_.stdout


def test_a_phone_of_a_person_without_an_automation_is_told(workspace: Workspace, run: Callable[..., Result]) -> None:
    workspace.exist()
    identity_id = workspace.user_identity()
    device_id = workspace.phone(identity_id)

    results = [run(phones_command), run(phones_command, "--user-identity-id", identity_id)]

    expected = f"{identity_id}  {device_id}  -  not_asked  no enrollment automation: launch one for the person; since "
    assert [result.stdout.startswith(expected) for result in results] == [True, True]


def test_what_is_shown_can_be_narrowed(
    person: Person, workspace: Workspace, directory: Directory, run: Callable[..., Result]
) -> None:
    other, manager_id = workspace.user_identity(), workspace.credential_manager()
    directory.launch(other, manager_id)
    device_id = workspace.phone(other)

    of_manager = run(phones_command, "--acs-system-id", manager_id)
    of_person = run(phones_command, "--user-identity-id", person.id.user_identity_id)

    assert [line.split("  ")[1] for line in of_manager.stdout.splitlines()] == [device_id]
    assert [line.split("  ")[1] for line in of_person.stdout.splitlines()] == [person.device_id]


def test_every_reason_has_words() -> None:
    usual = dict.fromkeys(Waiting.__slots__)
    row = Waiting(**usual | {"since": "2026-11-01T10:00:00.000Z", "is_due": False})  # type: ignore[arg-type]

    sentences = {sentence_of(replace(row, why=why)) for why in Why}

    assert len(sentences) == len(Why)
