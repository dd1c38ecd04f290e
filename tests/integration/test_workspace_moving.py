"""Whole workspaces out of a table and into one: nothing is lost, nothing is made up, nobody is asked again."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from enrollment.callers import Caller
from enrollment.resources.fields import LONGEST_TEXT
from enrollment.store.actions import change, put
from enrollment.store.keys import (
    acs_credential_pool_key,
    acs_system_key,
    deleted_workspace_key,
    user_identity_key,
)
from enrollment.store.table import GuardFailedError, Table
from enrollment.use_cases.connectors import set_connector
from enrollment.use_cases.pending_removals import pending_removals
from enrollment.use_cases.recording import event_of_change
from enrollment.use_cases.standing_still import enrollments_of_workspace, have_go_on, step_that_is_due
from enrollments.directory.checking import check
from enrollments.failure import CommandFailed
from enrollments.moving.exporting import NotExportableError
from enrollments.moving.importing import Result
from enrollments.moving.planning import Outcome
from tests.connectors import World
from tests.fixtures import Workspace
from tests.in_memory import InMemory
from tests.integration.conftest import Directory
from tests.invariants import violations
from tests.moving import changed, exported, file_of, imported, outside_of, records_in
from tests.provisioning import Clock, Provisioning


@dataclass
class Sandbox:
    """A sandbox with people, phones and credentials, and another workspace beside it."""

    memory: InMemory = field(default_factory=InMemory)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.table = self.memory.table
        self.workspace = Workspace(self.table, str(uuid4()))
        self.workspace.become_sandbox()
        self.workspace_id = self.workspace.workspace_id
        self.directory = Directory(self.table, Caller(self.workspace_id))
        self.manager_id = self.workspace.credential_manager()
        self.system_id = self.workspace.acs_system(time_zone="Europe/Vienna")
        self.pool_id = self.workspace.acs_credential_pool(self.manager_id)
        self.provisioning = Provisioning(self.table, self.memory.items, self.clock)
        self.other = Workspace(self.table, str(uuid4()))
        self.other.exist("Other")
        self.other.acs_user(self.other.acs_system(), email_address="jane@example.com")
        self.other.user_identity(email_address="jane@example.com")

    def enroll(self, name: str) -> str:
        """Enroll a person with a phone, with a credential of its own and one of the pool."""
        person_id = self.workspace.user_identity(full_name=name, email_address=f"{name}@example.com")
        acs_user_id = self.directory.create_acs_user(self.system_id, user_identity_id=person_id).acs_user_id
        options = {"create_credential_manager_user": True, "acs_credential_pool_id": self.pool_id}
        self.directory.launch(person_id, self.manager_id, **options)
        self.directory.create_credential(acs_user_id, credential_manager_acs_system_id=self.manager_id)
        self.directory.create_phone(person_id, custom_sdk_installation_id=f"app of {name}")
        self.provisioning.settle()
        return person_id

    def person(self, name: str) -> str:
        """Return the id of a person who was enrolled."""
        return next(
            str(item["user_identity_id"])
            for key, item in self.memory.items().items()
            if key.sk == "USER_IDENTITY" and item.get("full_name") == name
        )

    def phones_of(self, person_id: str) -> list[str]:
        return self.directory.phones(owner_user_identity_id=person_id)


@pytest.fixture
def sandbox() -> Sandbox:
    sandbox = Sandbox()
    sandbox.enroll("jane")
    sandbox.enroll("joe")
    sandbox.workspace.user_identity(user_identity_key="no phone", phone_number="+15550100000")
    sandbox.workspace.acs_user(sandbox.system_id, email_address="unlinked@example.com")
    return sandbox


def outcomes(results: list[Result]) -> dict[Outcome, int]:
    return dict(Counter(result.outcome for result in results))


def problems(results: list[Result]) -> set[tuple[str | None, str]]:
    return {problem for result in results for problem in result.problems}


def test_what_is_exported_from_an_import_is_the_same_to_the_byte(sandbox: Sandbox) -> None:
    content, elsewhere = exported(sandbox.table, sandbox.workspace_id), InMemory()

    results = imported(elsewhere.table, content)

    assert outcomes(results) == {Outcome.CREATED: len(content.splitlines()) - 2}
    assert exported(elsewhere.table, sandbox.workspace_id) == content
    assert {record["type"] for record in records_in(content)} >= {"simulated_phone", "simulated_credential", "phone"}


def test_after_an_import_nothing_is_wrong(sandbox: Sandbox) -> None:
    elsewhere = InMemory()

    imported(elsewhere.table, exported(sandbox.table, sandbox.workspace_id))

    assert violations(elsewhere.items()) == []
    assert list(check(elsewhere.table, sandbox.workspace_id)) == []


def test_an_import_into_the_same_table_changes_nothing(sandbox: Sandbox) -> None:
    before = sandbox.memory.items()

    results = imported(sandbox.table, exported(sandbox.table, sandbox.workspace_id), is_replacing=True)

    assert set(outcomes(results)) == {Outcome.UNCHANGED}
    assert sandbox.memory.items() == before


def test_a_second_import_writes_nothing(sandbox: Sandbox) -> None:
    content, elsewhere = exported(sandbox.table, sandbox.workspace_id), InMemory()
    imported(elsewhere.table, content)
    before = elsewhere.items()

    results = imported(elsewhere.table, content)

    assert set(outcomes(results)) == {Outcome.UNCHANGED}
    assert elsewhere.items() == before


def test_a_dry_run_says_what_an_import_would_do_and_writes_nothing(sandbox: Sandbox) -> None:
    content, elsewhere = exported(sandbox.table, sandbox.workspace_id), InMemory()

    results = imported(elsewhere.table, content, is_dry_run=True)

    assert set(outcomes(results)) == {Outcome.CREATED}
    assert elsewhere.items() == {}


def test_a_file_has_no_secrets_and_nothing_of_executions(sandbox: Sandbox) -> None:
    sandbox.directory.create_phone(sandbox.workspace.user_identity(), phone_metadata={"device_model": "slow"})
    sandbox.provisioning.settle(seconds=2)

    text = exported(sandbox.table, sandbox.workspace_id).decode()

    assert '"app"' not in text
    assert "invitation_code" not in text
    assert "lease" not in text
    assert "restored_at" not in text


def test_what_an_import_makes_is_no_event_and_starts_nothing(sandbox: Sandbox) -> None:
    elsewhere = InMemory()
    provisioning = Provisioning(elsewhere.table, elsewhere.items, sandbox.clock)

    imported(elsewhere.table, exported(sandbox.table, sandbox.workspace_id))

    assert [event_of_change(one) for one in provisioning.changes() if event_of_change(one)] == []
    provisioning.seen = {}
    provisioning.settle()
    assert provisioning.executions == {}


def test_later_changes_of_what_was_restored_are_events(sandbox: Sandbox) -> None:
    elsewhere = InMemory()
    imported(elsewhere.table, exported(sandbox.table, sandbox.workspace_id))
    provisioning = Provisioning(elsewhere.table, elsewhere.items, sandbox.clock)
    list(provisioning.changes())
    directory = Directory(elsewhere.table, Caller(sandbox.workspace_id))

    directory.deactivate_phone(directory.phones()[0])

    events = [event for one in provisioning.changes() if (event := event_of_change(one))]
    assert [event["event_type"] for event in events] == ["phone.deactivated"]


def test_a_moved_sandbox_goes_on_working(sandbox: Sandbox) -> None:
    elsewhere = InMemory()
    imported(elsewhere.table, exported(sandbox.table, sandbox.workspace_id))
    provisioning = Provisioning(elsewhere.table, elsewhere.items, sandbox.clock)
    list(provisioning.changes())
    directory = Directory(elsewhere.table, Caller(sandbox.workspace_id))

    for device_id in directory.phones():
        directory.deactivate_phone(device_id)
    provisioning.settle()

    assert not [key for key in elsewhere.items() if key.sk.startswith(("REGISTRATION#", "PHONE#"))]
    assert {one.type for one in provisioning.asked} == {"phone.deregister", "phone.status"}


def test_a_moved_phone_is_not_asked_for_again_and_a_later_change_asks_only_what_it_needs() -> None:
    world = World()
    world.set_connector()
    world.provisioning.settle(minutes=10)
    world.launch()
    credential_id = world.create_credential()
    world.start_app("installation")
    world.provisioning.settle(minutes=10)
    elsewhere = InMemory()
    imported(elsewhere.table, exported(world.memory.table, world.workspace.workspace_id))
    set_connector(elsewhere.table, world.connector_id, "http://127.0.0.1:1/", on_loopback=True, now=world.clock.now())
    world.network.secret = world.secret(str(elsewhere.items()[world.connector_id.key]["secret_version"]))
    moved = Provisioning(elsewhere.table, elsewhere.items, world.clock, connector_of=world.connector_of)

    moved.settle(minutes=10)
    (enrollment_id,) = enrollments_of_workspace(elsewhere.table, world.workspace.workspace_id)
    have_go_on(elsewhere.table, enrollment_id)
    moved.settle(minutes=10)
    asked_after_the_move = {one.type for one in moved.asked}
    moved.asked.clear()
    directory = Directory(elsewhere.table, Caller(world.workspace.workspace_id))
    directory.update_credential(credential_id, ends_at="2099-01-01T00:00:00Z")
    moved.settle(minutes=10)

    assert asked_after_the_move == {"manager.check"}
    assert [one.type for one in moved.asked] == ["credential.issue"]


def test_work_that_was_pending_goes_on_when_the_operator_has_it_go_on() -> None:
    sandbox = Sandbox()
    sandbox.enroll("jane")
    late = sandbox.workspace.user_identity(full_name="Late")
    sandbox.directory.launch(late, sandbox.manager_id)
    sandbox.directory.create_phone(late)
    elsewhere = InMemory()
    imported(elsewhere.table, exported(sandbox.table, sandbox.workspace_id))
    provisioning = Provisioning(elsewhere.table, elsewhere.items, sandbox.clock)
    list(provisioning.changes())

    for one in enrollments_of_workspace(elsewhere.table, sandbox.workspace_id):
        if step_that_is_due(elsewhere.table, one, sandbox.clock.now()):
            have_go_on(elsewhere.table, one)
    provisioning.settle()

    assert {one.data["person"]["user_identity_id"] for one in provisioning.asked} == {late}
    states = {item["state"] for key, item in elsewhere.items().items() if key.sk.startswith("REGISTRATION#")}
    assert states == {"active"}


def test_a_phone_that_is_being_taken_back_is_taken_back_after_a_move() -> None:
    sandbox = Sandbox()
    person_id = sandbox.enroll("jane")
    sandbox.directory.deactivate_phone(sandbox.phones_of(person_id)[0])
    content, elsewhere = exported(sandbox.table, sandbox.workspace_id), InMemory()
    imported(elsewhere.table, content)
    provisioning = Provisioning(elsewhere.table, elsewhere.items, sandbox.clock)
    list(provisioning.changes())

    (enrollment_id,) = enrollments_of_workspace(elsewhere.table, sandbox.workspace_id)
    have_go_on(elsewhere.table, enrollment_id)
    provisioning.settle()

    assert "deactivated_phone" in {record["type"] for record in records_in(content)}
    assert exported(elsewhere.table, sandbox.workspace_id) != content
    assert not [key for key in elsewhere.items() if key.sk.startswith("REGISTRATION#")]
    assert provisioning.asked[0].type == "phone.deregister"


def test_one_workspace_is_restored_from_an_earlier_moment(sandbox: Sandbox) -> None:
    earlier = exported(sandbox.table, sandbox.workspace_id)
    jane, joe = (
        one["user_identity_id"] for one in records_in(earlier) if "full_name" in one and one["type"] == "user_identity"
    )
    phones = sandbox.phones_of(jane)
    sandbox.directory.delete(jane)
    sandbox.directory.update(joe, full_name="Joseph")
    sandbox.provisioning.settle()
    new = sandbox.enroll("new")
    others = outside_of(sandbox.workspace_id, sandbox.memory.items())
    sandbox.provisioning.asked.clear()

    results = imported(sandbox.table, earlier)
    sandbox.provisioning.settle()

    assert Outcome.BAD not in outcomes(results)
    assert sandbox.directory.get(jane).full_name == "jane"
    assert sandbox.phones_of(jane) == phones
    assert sandbox.directory.get(joe).full_name == "Joseph"
    assert sandbox.phones_of(new) != []
    assert sandbox.provisioning.asked == []
    assert outside_of(sandbox.workspace_id, sandbox.memory.items()) == others
    assert violations(sandbox.memory.items()) == []


def test_profiles_are_replaced_only_when_that_is_asked_for(sandbox: Sandbox) -> None:
    earlier = exported(sandbox.table, sandbox.workspace_id)
    joe = sandbox.person("joe")
    sandbox.directory.update(joe, full_name="Joseph", email_address="joseph@example.com", phone_number="+15550100009")

    kept = imported(sandbox.table, earlier)
    after_the_first = sandbox.directory.get(joe)
    updated = imported(sandbox.table, earlier, is_replacing=True)

    assert outcomes(kept)[Outcome.KEPT] == 1
    assert after_the_first.email_address == "joseph@example.com"
    assert outcomes(updated)[Outcome.UPDATED] == 1
    assert exported(sandbox.table, sandbox.workspace_id) == earlier
    assert violations(sandbox.memory.items()) == []


def test_each_interruption_leaves_a_whole_table_and_the_next_import_finishes_it(sandbox: Sandbox) -> None:
    content, whole = exported(sandbox.table, sandbox.workspace_id), InMemory()
    transactions: list[str] = []
    whole.before = lambda name: transactions.append(name) if name == "TransactWriteItems" else None
    imported(whole.table, content)

    for last in range(1, len(transactions) + 1):
        elsewhere = InMemory()
        stop_at(elsewhere, last)
        with pytest.raises(KeyboardInterrupt):
            imported(elsewhere.table, content)
        elsewhere.before = lambda _: None
        assert violations(elsewhere.items()) == []
        imported(elsewhere.table, content)
        assert exported(elsewhere.table, sandbox.workspace_id) == content
        assert violations(elsewhere.items()) == []


MANY = 40


@pytest.fixture
def crowded() -> Sandbox:
    """A person with more credentials on a phone than a transaction takes."""
    sandbox = Sandbox()
    person_id = sandbox.enroll("jane")
    (acs_user_id,) = [
        one.acs_user_id for one in sandbox.directory.acs_users_of(person_id) if one.acs_system_id == sandbox.system_id
    ]
    for _ in range(MANY):
        sandbox.directory.create_credential(acs_user_id, credential_manager_acs_system_id=sandbox.manager_id)
    sandbox.provisioning.settle()
    return sandbox


def test_a_phone_with_many_credentials_is_restored(crowded: Sandbox) -> None:
    content, elsewhere = exported(crowded.table, crowded.workspace_id), InMemory()

    results = imported(elsewhere.table, content)

    assert set(outcomes(results)) == {Outcome.CREATED}
    assert exported(elsewhere.table, crowded.workspace_id) == content
    assert violations(elsewhere.items()) == []
    assert set(outcomes(imported(elsewhere.table, content))) == {Outcome.UNCHANGED}


def test_an_interrupted_import_of_a_phone_with_many_credentials_asks_nobody_and_is_finished_by_the_next(
    crowded: Sandbox,
) -> None:
    content, whole = exported(crowded.table, crowded.workspace_id), InMemory()
    transactions: list[str] = []
    whole.before = lambda name: transactions.append(name) if name == "TransactWriteItems" else None
    imported(whole.table, content)

    for last in range(len(transactions) - 6, len(transactions) + 1):
        elsewhere = InMemory()
        stop_at(elsewhere, last)
        with pytest.raises(KeyboardInterrupt):
            imported(elsewhere.table, content)
        elsewhere.before = lambda _: None
        provisioning = Provisioning(elsewhere.table, elsewhere.items, crowded.clock)
        for one in enrollments_of_workspace(elsewhere.table, crowded.workspace_id):
            have_go_on(elsewhere.table, one)
        provisioning.settle(minutes=10)
        imported(elsewhere.table, content)
        assert exported(elsewhere.table, crowded.workspace_id) == content
        assert provisioning.asked == []


def stop_at(memory: InMemory, number: int) -> None:
    """Have the command killed before a transaction."""
    left = [number]

    def before(name: str) -> None:
        left[0] -= name == "TransactWriteItems"
        if not left[0]:
            raise KeyboardInterrupt

    memory.before = before


def test_a_person_who_is_deleted_while_the_workspace_is_exported_is_left_out_with_all_that_hangs_on_it(
    sandbox: Sandbox,
) -> None:
    jane = next(
        one["user_identity_id"]
        for one in records_in(exported(sandbox.table, sandbox.workspace_id))
        if one.get("full_name") == "jane"
    )
    left = [4]

    def before(_: str) -> None:
        left[0] -= 1
        if not left[0]:
            sandbox.directory.delete(jane)

    sandbox.memory.before = before

    content = exported(sandbox.table, sandbox.workspace_id)

    elsewhere = InMemory()
    assert Outcome.BAD not in outcomes(imported(elsewhere.table, content))
    assert violations(elsewhere.items()) == []


def during_export(sandbox: Sandbox, number: int, do: Callable[[], object]) -> bytes:
    """Return the file of a workspace in which something changes before one of the export's requests."""
    left = [number]

    def before(_: str) -> None:
        left[0] -= 1
        if not left[0]:
            do()

    sandbox.memory.before = before
    content = exported(sandbox.table, sandbox.workspace_id)
    sandbox.memory.before = lambda _: None
    assert left[0] <= 0
    return content


# More than a request reads, so that a change comes between two of them.
CROWD = 150


@pytest.mark.parametrize("number", range(3, 12))
def test_an_address_that_moves_during_an_export_is_in_the_file_once(number: int) -> None:
    sandbox = Sandbox()
    ids = [sandbox.workspace.user_identity(email_address=f"person{one}@example.com") for one in range(CROWD)]

    def move() -> None:
        sandbox.directory.update(ids[0], email_address="former@example.com")
        sandbox.directory.update(ids[-1], email_address="person0@example.com")

    content = during_export(sandbox, number, move)

    elsewhere = InMemory()
    assert problems(imported(elsewhere.table, content)) == set()
    assert violations(elsewhere.items()) == []


@pytest.mark.parametrize("number", range(4, 12))
def test_a_link_that_moves_during_an_export_is_in_the_file_once(number: int) -> None:
    sandbox = Sandbox()
    person_id = sandbox.workspace.user_identity(full_name="Jane")
    ids = [sandbox.workspace.acs_user(sandbox.system_id, email_address=f"u{one}@example.com") for one in range(CROWD)]
    sandbox.directory.add(ids[0], user_identity_id=person_id)

    def move() -> None:
        sandbox.directory.remove(ids[0], person_id)
        sandbox.directory.add(ids[-1], user_identity_id=person_id)

    content = during_export(sandbox, number, move)

    elsewhere = InMemory()
    assert problems(imported(elsewhere.table, content)) == set()
    assert violations(elsewhere.items()) == []


LONG = "\U0001f600" * LONGEST_TEXT


@pytest.mark.parametrize("text", ["", LONG], ids=["empty", "long"])
def test_whatever_an_app_says_of_its_phone_can_be_moved(text: str) -> None:
    sandbox = Sandbox()
    person_id = sandbox.enroll("jane")
    session = sandbox.directory.session(person_id)
    session.start_app("another app", "ios", manufacturer=text, model=text, os_version=text)
    sandbox.provisioning.settle()

    content = exported(sandbox.table, sandbox.workspace_id)

    assert problems(imported(InMemory().table, content)) == set()


def test_whatever_a_sandbox_phone_can_do_can_be_moved() -> None:
    sandbox = Sandbox()
    can_do = {"application_version": LONG, "seos_applet_version": LONG}
    sandbox.directory.create_phone(sandbox.enroll("jane"), assa_abloy_metadata=can_do)

    content = exported(sandbox.table, sandbox.workspace_id)

    assert problems(imported(InMemory().table, content)) == set()


def test_the_largest_options_of_a_credential_can_be_moved() -> None:
    sandbox = Sandbox()
    person_id = sandbox.enroll("jane")
    ids = [str(uuid4()) for _ in range(100)]
    acs_user_id = sandbox.directory.create_acs_user(
        sandbox.workspace.acs_system(), user_identity_id=person_id
    ).acs_user_id
    sandbox.directory.create_credential(
        acs_user_id,
        credential_manager_acs_system_id=sandbox.manager_id,
        visionline_metadata={"joiner_acs_credential_ids": ids},
        assa_abloy_vostio_metadata={"override_guest_acs_entrance_ids": ids},
        allowed_acs_entrance_ids=ids,
    )

    content = exported(sandbox.table, sandbox.workspace_id)

    assert problems(imported(InMemory().table, content)) == set()


@pytest.mark.parametrize("name", ["full_name", "email_address", "user_identity_key"])
def test_the_longest_profile_of_a_person_can_be_moved(name: str) -> None:
    sandbox = Sandbox()
    longest = {"full_name": LONG, "email_address": f"{'x' * 242}@example.com", "user_identity_key": "\U0001f600" * 400}
    sandbox.directory.create(**{name: longest[name]})

    content = exported(sandbox.table, sandbox.workspace_id)

    assert problems(imported(InMemory().table, content)) == set()


def test_deleted_people_of_whom_a_manager_still_has_something_are_counted(sandbox: Sandbox) -> None:
    sandbox.directory.delete(sandbox.person("jane"))

    assert pending_removals(sandbox.table, sandbox.workspace_id) == {sandbox.manager_id: 1}


def test_a_deleted_person_whose_manager_has_given_everything_back_is_not_counted(sandbox: Sandbox) -> None:
    sandbox.directory.delete(sandbox.person("jane"))

    sandbox.provisioning.settle()

    assert pending_removals(sandbox.table, sandbox.workspace_id) == {}


def test_a_person_who_is_being_deleted_is_counted(sandbox: Sandbox) -> None:
    jane = user_identity_key(sandbox.workspace_id, sandbox.person("jane"))
    begun = change(jane, assign={"being_deleted_at": "2026-01-31T12:00:00.000Z"})
    sandbox.table.transact({"jane": begun})

    assert pending_removals(sandbox.table, sandbox.workspace_id) == {sandbox.manager_id: 1}


def test_a_phone_that_is_half_imported_is_not_exported(crowded: Sandbox) -> None:
    content, whole = exported(crowded.table, crowded.workspace_id), InMemory()
    transactions: list[str] = []
    whole.before = lambda name: transactions.append(name) if name == "TransactWriteItems" else None
    imported(whole.table, content)
    elsewhere = InMemory()
    stop_at(elsewhere, len(transactions) - 2)
    with pytest.raises(KeyboardInterrupt):
        imported(elsewhere.table, content)
    elsewhere.before = lambda _: None

    with pytest.raises(NotExportableError, match="finish the import first"):
        exported(elsewhere.table, crowded.workspace_id)


def test_a_workspace_of_another_kind_is_refused(sandbox: Sandbox) -> None:
    content, elsewhere = exported(sandbox.table, sandbox.workspace_id), InMemory()
    Workspace(elsewhere.table, sandbox.workspace_id).exist(is_sandbox=False)

    with pytest.raises(CommandFailed, match="is no sandbox, and that of the file is one"):
        imported(elsewhere.table, content)


def test_a_workspace_that_is_being_deleted_is_refused(sandbox: Sandbox) -> None:
    content, elsewhere = exported(sandbox.table, sandbox.workspace_id), InMemory()
    mark_deleted(elsewhere.table, sandbox.workspace_id)

    with pytest.raises(CommandFailed, match="is being deleted, since"):
        imported(elsewhere.table, content, is_deletion_over=True)


def test_a_deleted_workspace_comes_back_only_when_that_is_asked_for(sandbox: Sandbox) -> None:
    content, elsewhere = exported(sandbox.table, sandbox.workspace_id), InMemory()
    mark_deleted(elsewhere.table, sandbox.workspace_id, finished_at="2026-01-31T12:00:00.000Z")

    with pytest.raises(CommandFailed, match="--restore-deleted brings it back"):
        imported(elsewhere.table, content)
    imported(elsewhere.table, content, is_deletion_over=True)

    assert deleted_workspace_key(sandbox.workspace_id) not in elsewhere.items()
    assert exported(elsewhere.table, sandbox.workspace_id) == content


def test_a_deletion_that_begins_during_an_import_ends_it(sandbox: Sandbox) -> None:
    content, elsewhere = exported(sandbox.table, sandbox.workspace_id), InMemory()
    left = [5]

    def before(name: str) -> None:
        left[0] -= name == "TransactWriteItems"
        if not left[0]:
            mark_deleted(elsewhere.table, sandbox.workspace_id)

    elsewhere.before = before

    with pytest.raises(GuardFailedError):
        imported(elsewhere.table, content)


def mark_deleted(table: Table, workspace_id: str, **more: str) -> None:
    mark = {"workspace_id": workspace_id, "started_at": "2026-01-30T12:00:00.000Z", **more}
    table.transact({"mark": put(deleted_workspace_key(workspace_id), mark)})


OTHER = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("kind", "changes", "problem"),
    [
        ("acs_credential_pool", {"acs_system_id": OTHER}, ("acs_system_id", "The credential manager does not exist")),
        ("acs_user", {"acs_system_id": OTHER}, ("acs_system_id", "The ACS system does not exist")),
        (
            "acs_user",
            {"user_identity_id": OTHER},
            ("user_identity_id", "The user identity does not exist, or is being deleted"),
        ),
        (
            "acs_credential",
            {"acs_user_id": OTHER},
            ("acs_user_id", "The ACS user does not exist, or is not linked to the user identity"),
        ),
        (
            "acs_credential",
            {"credential_manager_acs_system_id": OTHER},
            ("credential_manager_acs_system_id", "The credential manager does not exist"),
        ),
        (
            "phone",
            {"user_identity_id": OTHER},
            ("user_identity_id", "The user identity does not exist, or is being deleted"),
        ),
        (
            "enrollment_automation",
            {"requested_acs_credential_pool_id": OTHER},
            ("requested_acs_credential_pool_id", "The credential manager has no such pool"),
        ),
        (
            "enrollment_automation",
            {"credential_manager_acs_system_id": OTHER},
            ("credential_manager_acs_system_id", "The credential manager does not exist"),
        ),
        ("simulated_phone", {"acs_system_id": OTHER}, ("acs_system_id", "The credential manager does not exist")),
    ],
)
def test_what_refers_to_nothing_is_bad(
    sandbox: Sandbox, kind: str, changes: dict[str, Any], problem: tuple[str, str]
) -> None:
    content = changed(exported(sandbox.table, sandbox.workspace_id), kind, lambda record: record.update(changes))
    elsewhere = InMemory()

    results = imported(elsewhere.table, content)

    assert problem in problems(results)
    assert violations(elsewhere.items()) == []


def test_an_address_that_another_person_has_is_bad(sandbox: Sandbox) -> None:
    content, elsewhere = exported(sandbox.table, sandbox.workspace_id), InMemory()
    there = Workspace(elsewhere.table, sandbox.workspace_id)
    there.become_sandbox()
    there.user_identity(email_address="Jane@example.com")

    results = imported(elsewhere.table, content)

    assert ("email_address", "Another user identity has it") in problems(results)
    assert violations(elsewhere.items()) == []


def test_two_records_of_one_thing_are_bad(sandbox: Sandbox) -> None:
    head, *records, end = records_in(exported(sandbox.table, sandbox.workspace_id))
    content = file_of([head, *records, records[0], {**end, "counts": {"all": len(records) + 1}}])

    results = imported(InMemory().table, content)

    assert problems(results) == {(None, "Already in line 2")}


def test_a_phone_that_is_still_being_taken_back_is_not_restored(sandbox: Sandbox) -> None:
    content = exported(sandbox.table, sandbox.workspace_id)
    for device_id in sandbox.directory.phones():
        sandbox.directory.deactivate_phone(device_id)

    results = imported(sandbox.table, content)

    reason = "A part of it still exists; its manager may be removing it. Import again later"
    assert problems(results) == {(None, reason)}
    assert violations(sandbox.memory.items()) == []


def test_a_person_who_is_being_deleted_is_bad(sandbox: Sandbox) -> None:
    content = exported(sandbox.table, sandbox.workspace_id)
    for record in records_in(content):
        if record["type"] == "user_identity":
            key = user_identity_key(sandbox.workspace_id, record["user_identity_id"])
            sandbox.table.transact({"mark": change(key, assign={"being_deleted_at": "2026-01-31T12:00:00.000Z"})})

    results = imported(sandbox.table, content, is_replacing=True)

    assert (None, "It is there and is being deleted; import the file again afterwards") in problems(results)


# ----------------------------------------------------------------------------------- What others do during an import


def before_transaction(memory: InMemory, number: int, do: Callable[[], object]) -> None:
    """Have something done right before a transaction, the first of which makes the workspace."""
    left = [number]

    def before(name: str) -> None:
        left[0] -= name == "TransactWriteItems"
        if left[0] == 0 and name == "TransactWriteItems":
            memory.before = lambda _: None
            do()

    memory.before = before


@dataclass
class Few:
    """A file with one person, who has an ACS user, a credential and a phone, and an empty table."""

    source: Sandbox = field(default_factory=Sandbox)
    memory: InMemory = field(default_factory=InMemory)

    def __post_init__(self) -> None:
        self.person_id = self.source.enroll("jane")
        self.content = exported(self.source.table, self.source.workspace_id)
        self.there = Workspace(self.memory.table, self.source.workspace_id)
        self.directory = Directory(self.memory.table, Caller(self.source.workspace_id))

    def wrong(self) -> list[str]:
        return [*violations(self.memory.items()), *map(str, check(self.memory.table, self.source.workspace_id))]


@pytest.fixture
def few() -> Few:
    return Few()


# The transactions of the import of `few`: workspace, systems, pools, people, ACS users (two: both change the
# person), credentials, what the simulated manager knows of the phone and of its credentials, phones, automations.
PEOPLE, ACS_USERS, CREDENTIALS, PHONES, AUTOMATIONS = 4, 5, 7, 10, 11


@pytest.mark.parametrize("number", [ACS_USERS, CREDENTIALS, PHONES, AUTOMATIONS])
def test_nothing_is_attached_to_a_person_who_is_deleted_during_an_import(few: Few, number: int) -> None:
    before_transaction(few.memory, number, lambda: few.directory.delete(few.person_id))

    results = imported(few.memory.table, few.content)

    assert ("user_identity_id", "The user identity does not exist, or is being deleted") in problems(results)
    assert not [
        key for key in few.memory.items() if key.sk.startswith(("PHONE#", "ENROLLMENT_AUTOMATION#", "ACS_USER"))
    ]


def test_an_address_that_somebody_takes_during_an_import_stays_theirs(few: Few) -> None:
    before_transaction(few.memory, PEOPLE, lambda: few.directory.create(email_address="jane@example.com"))

    results = imported(few.memory.table, few.content)

    assert ("email_address", "Another user identity has it") in problems(results)
    assert few.wrong() == []


def test_a_credential_that_is_deleted_during_an_import_leaves_none_to_a_phone(few: Few) -> None:
    def delete_all() -> None:
        for credential_id in few.directory.credentials():
            few.directory.delete_credential(credential_id)

    before_transaction(few.memory, PHONES, delete_all)

    results = imported(few.memory.table, few.content)

    assert ("registrations", "A credential's parent does not exist") in problems(results)
    assert few.wrong() == []


def test_an_acs_user_that_is_unlinked_during_an_import_gets_no_credential(few: Few) -> None:
    def unlink() -> None:
        for acs_user in few.directory.acs_users_of(few.person_id):
            few.directory.remove(acs_user.acs_user_id, few.person_id)

    before_transaction(few.memory, CREDENTIALS, unlink)

    results = imported(few.memory.table, few.content)

    assert ("acs_user_id", "The ACS user does not exist, or is not linked to the user identity") in problems(results)
    assert few.wrong() == []


def test_a_profile_that_changes_during_an_import_is_replaced_with_its_entries(few: Few) -> None:
    imported(few.memory.table, few.content)
    few.directory.update(few.person_id, email_address="first@example.com")
    change_again = partial(few.directory.update, few.person_id, email_address="second@example.com")
    before_transaction(few.memory, 1, change_again)

    results = imported(few.memory.table, few.content, is_replacing=True)

    assert outcomes(results)[Outcome.UPDATED] == 1
    assert few.directory.get(few.person_id).email_address == "jane@example.com"
    assert few.wrong() == []


@pytest.mark.parametrize("kind", ["acs_system", "acs_credential_pool"])
def test_nothing_is_attached_to_what_is_being_deleted(few: Few, kind: str) -> None:
    record = next(one for one in records_in(few.content) if one["type"] == kind)
    imported(few.memory.table, file_of_one(few.content, kind))
    key = {"acs_system": acs_system_key, "acs_credential_pool": acs_credential_pool_key}[kind]
    retired = change(
        key(few.there.workspace_id, record[f"{kind}_id"]), assign={"retired_at": "2026-01-31T12:00:00.000Z"}
    )
    few.memory.table.transact({"retired": retired})

    results = imported(few.memory.table, few.content)

    assert (None, "It is there and is being deleted; import the file again afterwards") in problems(results)
    assert violations(few.memory.items()) == []


def file_of_one(content: bytes, kind: str) -> bytes:
    """Return a file with what comes before the records behind a kind."""
    head, *records, _ = records_in(content)
    some = records[: 1 + max(index for index, record in enumerate(records) if record["type"] == kind)]
    return file_of([head, *some, {"type": "end", "counts": {"all": len(some)}}])
