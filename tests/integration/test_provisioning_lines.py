"""What provisioning tells, from which the alarms on enrollments and credential managers count."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from enrollment.managers.protocol import BusyError, NoAccessError, NoUsableAnswerError, Request
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory
from tests.provisioning import Provisioning


@dataclass(frozen=True)
class Answers:
    """A credential manager that answers everything alike.

    Attributes:
        answer: Its answer, or what it raises.
    """

    answer: Mapping[str, Any] | Exception

    def ask(self, _: Request) -> Mapping[str, Any]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def provisioning(directory: Directory, workspace: Workspace, store: Store) -> Provisioning:
    """A person with a phone is to be enrolled."""
    workspace.become_sandbox()
    identity_id = workspace.user_identity()
    directory.launch(identity_id, workspace.credential_manager())
    directory.create_phone(identity_id)
    return Provisioning(store.table, store.items)


def facts_of(provisioning: Provisioning, name: str) -> list[Any]:
    return [facts[name] for _, facts in provisioning.told if name in facts]


@pytest.mark.parametrize("answer", [NoUsableAnswerError("silent"), {"state": "pending"}], ids=["silent", "at work"])
def test_an_enrollment_that_waits_for_its_manager_says_so_in_each_hour(provisioning: Provisioning, answer: Any) -> None:
    provisioning.manager_of = lambda _: Answers(answer)

    provisioning.settle(minutes=40)
    assert max(facts_of(provisioning, "waited_s")) >= 600
    provisioning.told.clear()
    provisioning.settle(minutes=60)

    assert min(facts_of(provisioning, "waited_s")) >= 600


def test_an_invitation_that_nobody_accepts_does_not_wait_for_the_manager(provisioning: Provisioning) -> None:
    provisioning.manager_of = lambda _: Answers({"state": "invited", "check_after_s": 60})

    provisioning.settle(hours=1)

    assert facts_of(provisioning, "waited_s") == []


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (NoUsableAnswerError("silent"), "no_answer"),
        (BusyError(30), "busy"),
        (NoAccessError(), "no_access"),
    ],
)
def test_a_request_that_fails_says_why_and_at_which_manager(
    provisioning: Provisioning, answer: Exception, failure: str
) -> None:
    provisioning.manager_of = lambda _: Answers(answer)

    provisioning.settle(seconds=0)

    assert facts_of(provisioning, "failure") == [failure]
    assert all("credential_manager_acs_system_id" in facts for _, facts in provisioning.told)


def test_a_phone_that_the_manager_refuses_has_failed_for_a_reason(provisioning: Provisioning) -> None:
    provisioning.manager_of = lambda _: Answers({"state": "failed", "reason": "phone_limit_reached"})

    provisioning.settle()

    assert facts_of(provisioning, "state") == ["failed"]
    assert facts_of(provisioning, "reason") == ["phone_limit_reached"]


@pytest.mark.parametrize(
    ("answer", "reason", "seconds"),
    [(BusyError(90), "busy", 90), (BusyError(None), "busy", 5), (NoAccessError(), "disconnected", 300)],
)
def test_a_pause_says_how_long_it_is(provisioning: Provisioning, answer: Exception, reason: str, seconds: int) -> None:
    provisioning.manager_of = lambda _: Answers(answer)

    provisioning.settle(seconds=0)

    (facts,) = [facts for what, facts in provisioning.told if what == "paused"]
    assert (facts["reason"], facts["pause_s"]) == (reason, seconds)
