"""Which changes of the table start an execution for which enrollments."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from enrollment.store.actions import delete, put_new
from enrollment.store.attributes import Item, Value
from enrollment.store.changes import Change
from enrollment.store.keys import Key
from enrollment.use_cases.enrollment_starts import Starter, Wanted, execution_name, wanted_of_change
from enrollment.use_cases.enrollments import EnrollmentId
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory

W, P, M = "workspace", "person", "manager"
PERSON, PHONES = f"WORKSPACE#{W}#USER_IDENTITY#{P}", f"WORKSPACE#{W}#USER_IDENTITY#{P}#PHONES"
SOME: dict[str, Value] = {"name": "some"}


def change(pk: str, sk: str, before: Item | None, after: Item | None) -> Change:
    return Change("record", "0" * 40, datetime.now(UTC), Key(pk, sk), before, after)


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        (change(PERSON, f"ENROLLMENT_AUTOMATION#{M}", None, SOME), Wanted(W, P, M)),
        (change(PERSON, f"ENROLLMENT_AUTOMATION#{M}", SOME, None), Wanted(W, P, M)),
        (change(PERSON, f"ACS_USER#{M}", None, SOME), Wanted(W, P, M)),
        (change(PERSON, f"ACS_USER#{M}", SOME, None), Wanted(W, P, M)),
        (change(PHONES, "PHONE#phone", None, SOME), Wanted(W, P)),
        (change(PHONES, "PHONE#phone", SOME, None), Wanted(W, P)),
        (change(PERSON, "USER_IDENTITY", {"full_name": "Jane"}, {"full_name": "Joan"}), Wanted(W, P)),
        (change(PERSON, "USER_IDENTITY", {"full_name": "Jane"}, None), Wanted(W, P)),
        (change(PHONES, f"ENROLLMENT#{M}", None, {"revision": 1}), Wanted(W, P, M, 1)),
        (change(PHONES, f"ENROLLMENT#{M}", {"revision": 1}, {"revision": 2}), Wanted(W, P, M, 2)),
    ],
    ids=lambda each: f"{each.key.sk} {each.before} {each.after}" if isinstance(each, Change) else "",
)
def test_what_is_wanted_of_a_person_changes_with(changed: Change, wanted: Wanted) -> None:
    assert wanted_of_change(changed) == wanted


@pytest.mark.parametrize(
    "changed",
    [
        change(PERSON, f"ENROLLMENT_AUTOMATION#{M}", SOME, SOME | {"more": 1}),
        change(PHONES, "PHONE#phone", SOME, SOME | {"registered_with": frozenset({M})}),
        change(PERSON, "USER_IDENTITY", None, {"full_name": "Jane"}),
        change(PERSON, "USER_IDENTITY", {"full_name": "Jane"}, {"full_name": "Jane", "user_identity_key": "key"}),
        change(PHONES, f"ENROLLMENT#{M}", {"revision": 1}, {"revision": 1, "more": 1}),
        change(PHONES, f"ENROLLMENT#{M}", {"revision": 1}, None),
        change(PHONES, f"EXECUTION#{M}", None, SOME),
        change(PHONES, f"REGISTRATION#phone#{M}", None, SOME),
        change(PHONES, "CREDENTIAL#credential", None, SOME),
        change(f"WORKSPACE#{W}#ACS_SYSTEM#{M}", "ACS_SYSTEM", None, SOME),
        change("TOKENS", "TOKEN#1", None, SOME),
    ],
    ids=lambda each: f"{each.key.sk} {each.before} {each.after}",
)
def test_nothing_else_is_wanted_of_a_person_after(changed: Change) -> None:
    assert wanted_of_change(changed) is None


@dataclass
class Started:
    """The executions that were started, with their inputs, in this order."""

    executions: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def start(self, name: str, given: Mapping[str, Any]) -> None:
        self.executions.append((name, given))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.executions]


@pytest.fixture
def started() -> Started:
    return Started()


@pytest.fixture
def starter(store: Store, started: Started) -> Starter:
    return Starter(store.table, started.start)


@pytest.fixture
def enrolled(directory: Directory, workspace: Workspace) -> EnrollmentId:
    """A person who has an automation and no phone."""
    workspace.become_sandbox()
    identity_id, manager_id = workspace.user_identity(), workspace.credential_manager()
    directory.launch(identity_id, manager_id)
    return EnrollmentId(workspace.workspace_id, identity_id, manager_id)


type RevisionOf = Callable[[EnrollmentId], Any]


@pytest.fixture
def revision_of(store: Store) -> RevisionOf:
    return lambda enrollment_id: store.items().get(enrollment_id.key, {}).get("revision")


def test_a_raised_revision_starts_one_execution_that_is_told_of_it(
    directory: Directory, starter: Starter, started: Started, enrolled: EnrollmentId
) -> None:
    directory.create_phone(enrolled.user_identity_id)

    count = starter.follow([Wanted(*enrolled, 7)])

    assert count == 1
    assert started.executions == [(execution_name(enrolled, 7), {**enrolled.to_json(), "revision": 7})]


def test_a_record_that_comes_again_starts_the_same_execution(
    directory: Directory, starter: Starter, started: Started, enrolled: EnrollmentId
) -> None:
    directory.create_phone(enrolled.user_identity_id)

    starter.follow([Wanted(*enrolled, 7)])
    starter.follow([Wanted(*enrolled, 7)])

    assert started.names == [execution_name(enrolled, 7)] * 2


def test_of_several_revisions_the_last_is_started(
    directory: Directory, starter: Starter, started: Started, enrolled: EnrollmentId
) -> None:
    directory.create_phone(enrolled.user_identity_id)

    starter.follow([Wanted(*enrolled, 7), Wanted(*enrolled, 9), Wanted(*enrolled, 8)])

    assert started.names == [execution_name(enrolled, 9)]


def test_the_name_of_an_execution_has_64_characters_at_most(enrolled: EnrollmentId) -> None:
    assert len(execution_name(enrolled, 10**20)) <= 64


def test_a_person_without_a_phone_starts_nothing(
    starter: Starter, started: Started, enrolled: EnrollmentId, revision_of: RevisionOf
) -> None:
    count = starter.follow([Wanted(*enrolled), Wanted(*enrolled, 7)])

    assert (count, started.names) == (0, [])
    assert revision_of(enrolled) is None


def test_a_launch_raises_the_revision_of_its_enrollment(
    directory: Directory, starter: Starter, started: Started, enrolled: EnrollmentId, revision_of: RevisionOf
) -> None:
    directory.create_phone(enrolled.user_identity_id)

    starter.follow([Wanted(*enrolled)])

    assert revision_of(enrolled) == 1
    assert started.names == []  # the raised revision comes by the stream, too


def test_a_new_phone_raises_the_revisions_of_all_of_a_persons_enrollments(
    directory: Directory, workspace: Workspace, starter: Starter, enrolled: EnrollmentId, revision_of: RevisionOf
) -> None:
    other = enrolled._replace(manager_id=workspace.credential_manager())
    directory.launch(other.user_identity_id, other.manager_id)
    directory.create_phone(enrolled.user_identity_id)

    starter.follow([Wanted(*enrolled[:2])])

    assert [revision_of(one) for one in (enrolled, other)] == [1, 1]


def test_several_changes_of_a_person_raise_a_revision_once(
    directory: Directory, starter: Starter, enrolled: EnrollmentId, revision_of: RevisionOf
) -> None:
    directory.create_phone(enrolled.user_identity_id)

    starter.follow([Wanted(*enrolled), Wanted(*enrolled[:2]), Wanted(*enrolled)])

    assert revision_of(enrolled) == 1


def test_an_acs_user_in_another_system_raises_nothing(
    directory: Directory, workspace: Workspace, starter: Starter, enrolled: EnrollmentId, revision_of: RevisionOf
) -> None:
    directory.create_phone(enrolled.user_identity_id)

    starter.follow([Wanted(*enrolled[:2], workspace.acs_system())])

    assert revision_of(enrolled) is None


def test_an_enrollment_whose_automation_was_deleted_is_still_raised(
    directory: Directory, starter: Starter, enrolled: EnrollmentId, revision_of: RevisionOf
) -> None:
    directory.create_phone(enrolled.user_identity_id)
    starter.follow([Wanted(*enrolled)])
    (automation,) = directory.automations(enrolled.user_identity_id)
    directory.delete_automation(automation.enrollment_automation_id)

    starter.follow([Wanted(*enrolled)])

    assert revision_of(enrolled) == 2


def test_what_is_left_of_a_deleted_person_is_raised_and_started(
    store: Store, starter: Starter, started: Started, enrolled: EnrollmentId, revision_of: RevisionOf
) -> None:
    """Only the enrollment is left, which an execution deletes."""
    left: dict[str, Value] = {**enrolled.to_json(), "revision": 3}
    gone = enrolled._replace(user_identity_id="gone")
    store.table.transact({"enrollment": put_new(gone.key, left | {"user_identity_id": "gone"})})

    starter.follow([Wanted(*gone[:2]), Wanted(*gone, 3)])

    assert revision_of(gone) == 4
    assert started.names == [execution_name(gone, 3)]
    store.table.transact({"enrollment": delete(gone.key)})


def test_no_enrollment_is_made_of_a_person_who_is_gone(
    starter: Starter, started: Started, enrolled: EnrollmentId, revision_of: RevisionOf
) -> None:
    gone = enrolled._replace(user_identity_id="gone")

    starter.follow([Wanted(*gone), Wanted(*gone[:2])])

    assert revision_of(gone) is None
    assert started.names == []
