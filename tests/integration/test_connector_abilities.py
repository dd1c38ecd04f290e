"""What a connector can do decides when phones are registered and credentials issued; failures are asked again as usual.

Everything goes by HTTP on loopback, for each connector that keeps validities or does not, and whose registering issues
credentials or does not (contract, "Credential managers").
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from enrollment.timestamps import timestamp
from enrollment.use_cases.standing_still import have_go_on, retry
from examples.connector.manufacturer import Credential
from tests.connectors import Answer, Sent, World, world_over_http
from tests.invariants import violations


@dataclass
class Scripted:
    """A connector that tells some abilities, and answers requests of a type as a test says.

    Attributes:
        keeps_validity: Whether it keeps validities.
        one_step: Whether registering issues a credential.
        answers: What it answers to requests of a type, without any work.
    """

    keeps_validity: bool
    one_step: bool
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __call__(self, sent: Sent) -> Answer:
        data = json.loads(sent.body)["data"]
        if (scripted := self.answers.get(sent.type)) is not None:
            named = {name: data[name] for name in ("acs_credential_id",) if name in data}
            return Answer(200, {}, json.dumps({**named, **scripted}).encode())
        worked = sent.work()
        if sent.type != "manager.check":
            return worked
        told = {**json.loads(worked.body), "keeps_validity": self.keeps_validity, "one_step": self.one_step}
        return worked._replace(body=json.dumps(told).encode())


ALL = pytest.mark.parametrize(
    "scripted",
    [
        pytest.param((keeps, one_step), id=f"{'keeps' if keeps else 'no'} validity, {1 if one_step else 2} steps")
        for keeps in (True, False)
        for one_step in (True, False)
    ],
    indirect=True,
)
THAT_KEEP = pytest.mark.parametrize("scripted", [(True, False), (True, True)], indirect=True)
THAT_KEEP_NOT = pytest.mark.parametrize("scripted", [(False, False), (False, True)], indirect=True)


@pytest.fixture
def scripted(request: pytest.FixtureRequest) -> Scripted:
    return Scripted(*request.param)


@pytest.fixture
def world(scripted: Scripted) -> Iterator[World]:
    """A world whose connector is watched, with a person with one phone and nothing that it opens."""
    with world_over_http() as world, world.network.listening() as address:
        world.network.fault = scripted
        world.set_connector(f"{address}/")
        world.launch(with_pool=False)
        world.start_app("app")
        world.pass_time(minutes=1)
        yield world
        assert world.wrong == []
        assert violations(world.memory.items()) == []


def at_manufacturer(world: World) -> list[Credential]:
    """Return the credentials that the manufacturer has."""
    living = [one for ids in world.manufacturer.record().credentials.values() for one in ids]
    return [found for one in sorted(living) if (found := world.manufacturer.find_credential(one)) is not None]


def errors_of_phone(world: World) -> list[str]:
    (phone_id,) = world.directory.phones(owner_user_identity_id=world.person_id)
    return [error.error_code for error in world.directory.phone(phone_id).errors]


def later(world: World, **duration: float) -> str:
    return timestamp(world.clock.at + timedelta(**duration))


def moment(text: object) -> datetime:
    return datetime.fromisoformat(str(text))


# ----------------------------------------------------------------------------------------------------------- One step


@ALL
def test_a_phone_is_registered_before_there_is_something_to_issue_only_if_that_issues_nothing(
    world: World, scripted: Scripted
) -> None:
    world.pass_time(hours=5)
    before = len(world.registrations())

    world.create_credential()
    world.pass_time(minutes=1)

    assert before == (0 if scripted.one_step else 1)
    assert len(at_manufacturer(world)) == 1


@ALL
def test_a_registration_without_an_answer_is_repeated_only_while_there_is_something_to_issue(
    world: World, scripted: Scripted
) -> None:
    scripted.answers["phone.register"] = {"state": "nonsense"}
    credential_id = world.create_credential()
    world.start_app("another")
    world.pass_time(minutes=5)
    world.directory.delete_credential(credential_id)
    asked = len(world.asked("phone.register"))
    world.pass_time(hours=5)
    asked_meanwhile = len(world.asked("phone.register")) - asked
    scripted.answers.clear()

    world.create_credential()
    world.pass_time(hours=1, minutes=10)

    assert (asked_meanwhile > 0) is not scripted.one_step
    assert len(at_manufacturer(world)) == 2
    assert world.differing() == []


# ----------------------------------------------------------------------------------------------------------- Validity


@THAT_KEEP
def test_a_manager_that_keeps_validities_gets_the_credential_at_once_with_its_dates(world: World) -> None:
    starts_at, ends_at = later(world, hours=2), later(world, hours=4)

    world.create_credential(starts_at=starts_at, ends_at=ends_at)
    world.pass_time(minutes=1)
    (issued,) = at_manufacturer(world)
    world.pass_time(hours=9)

    assert [timestamp(one) for one in issued.validity if one is not None] == [starts_at, ends_at]
    assert len(world.asked("credential.issue")) == 1
    assert world.asked("credential.revoke") == []


@THAT_KEEP_NOT
def test_a_manager_that_keeps_none_gets_it_when_it_starts_and_loses_it_when_it_ends(world: World) -> None:
    starts_at, ends_at = later(world, hours=2), later(world, hours=4)
    world.create_credential(starts_at=starts_at, ends_at=ends_at)

    world.pass_time(hours=1, minutes=59)
    before = at_manufacturer(world)
    world.pass_time(minutes=2)
    during = at_manufacturer(world)
    world.pass_time(hours=2)
    after = at_manufacturer(world)

    assert (len(before), len(during), len(after)) == (0, 1, 0)
    assert timedelta() <= during[0].made_at - moment(starts_at) < timedelta(seconds=5)
    removed = world.manufacturer.find_credential(during[0].reference)
    assert removed is not None
    assert removed.removed_at is not None
    assert timedelta() <= removed.removed_at - moment(ends_at) < timedelta(seconds=5)
    assert world.children() == []


@THAT_KEEP_NOT
def test_an_end_that_is_moved_is_followed(world: World) -> None:
    credential_id = world.create_credential(starts_at=later(world), ends_at=later(world, days=4))
    world.pass_time(hours=1)
    world.directory.update_credential(credential_id, ends_at=later(world, hours=2))
    world.pass_time(hours=1)
    before = at_manufacturer(world)

    world.pass_time(hours=1)

    assert (len(before), at_manufacturer(world)) == (1, [])


@THAT_KEEP_NOT
def test_an_end_that_is_moved_away_before_it_comes_changes_the_same_credential(world: World) -> None:
    credential_id = world.create_credential(starts_at=later(world), ends_at=later(world, hours=2))
    world.pass_time(hours=1)
    (before,) = at_manufacturer(world)

    world.directory.update_credential(credential_id, ends_at=later(world, days=9))
    world.pass_time(hours=4)

    assert [one.reference for one in at_manufacturer(world)] == [before.reference]


@THAT_KEEP_NOT
def test_an_end_that_is_moved_after_it_came_makes_a_new_credential_under_a_new_id(world: World) -> None:
    credential_id = world.create_credential(starts_at=later(world), ends_at=later(world, hours=1))
    world.pass_time(minutes=1)
    (before,) = at_manufacturer(world)
    world.pass_time(hours=2)
    assert at_manufacturer(world) == []

    world.directory.update_credential(credential_id, ends_at=later(world, days=9))
    world.pass_time(minutes=1)

    (after,) = at_manufacturer(world)
    assert after.reference != before.reference
    assert world.directory.credential(credential_id).is_latest_desired_state_synced_with_provider


@ALL
@pytest.mark.parametrize("after", [timedelta(hours=1), timedelta(hours=3), timedelta(hours=5)])
def test_nothing_is_issued_under_a_credential_that_is_deleted(world: World, after: timedelta) -> None:
    """It is deleted before it starts, while it is valid, and after its end."""
    credential_id = world.create_credential(starts_at=later(world, hours=2), ends_at=later(world, hours=4))
    world.pass_time(seconds=after.total_seconds())

    world.directory.delete_credential(credential_id)
    world.pass_time(hours=6)

    assert at_manufacturer(world) == []
    assert world.children() == []


@pytest.mark.parametrize("scripted", [(False, False)], indirect=True)
def test_a_connector_that_begins_to_keep_validities_gets_what_starts_later_when_somebody_looks(
    world: World, scripted: Scripted
) -> None:
    world.create_credential(starts_at=later(world, hours=9))
    world.pass_time(hours=1)
    before = at_manufacturer(world)
    scripted.keeps_validity = True

    world.pass_time(hours=1, minutes=5)
    have_go_on(world.memory.table, world.enrollment_id)
    world.pass_time(minutes=1)

    assert (len(before), len(at_manufacturer(world))) == (0, 1)


@pytest.mark.parametrize("scripted", [(True, False)], indirect=True)
def test_a_connector_that_keeps_validities_no_more_loses_what_starts_later_when_somebody_looks(
    world: World, scripted: Scripted
) -> None:
    world.create_credential(starts_at=later(world, hours=9))
    world.pass_time(hours=1)
    before = at_manufacturer(world)
    scripted.keeps_validity = False

    world.pass_time(hours=1, minutes=5)
    have_go_on(world.memory.table, world.enrollment_id)
    world.pass_time(minutes=1)
    after = at_manufacturer(world)
    world.pass_time(hours=9)

    assert (len(before), len(after), len(at_manufacturer(world))) == (1, 0, 1)


# ----------------------------------------------------------------------------------------------------------- Failures

PROFILE = ("email_required", "phone_number_required", "person_conflict")
SOMEBODY = ("phone_unsupported", "phone_limit_reached", "credential_limit_reached", "suspended_at_manager", "odd")


def failed(reason: str) -> dict[str, str]:
    return {"state": "failed", "reason": reason}


# Each reason with all abilities, for one kind of request or the other.
@pytest.mark.parametrize(
    ("scripted", "kind"),
    [
        ((True, False), "phone.register"),
        ((False, True), "phone.register"),
        ((True, True), "credential.issue"),
        ((False, False), "credential.issue"),
    ],
    indirect=["scripted"],
)
@pytest.mark.parametrize("reason", [*PROFILE, *SOMEBODY])
def test_what_failed_is_asked_again_when_the_contract_says(
    world: World, scripted: Scripted, kind: str, reason: str
) -> None:
    scripted.answers[kind] = failed(reason)
    world.create_credential()
    world.start_app("another")
    world.directory.deactivate_phone(world.directory.phones(owner_user_identity_id=world.person_id)[-1])
    world.pass_time(hours=3)
    asked = [request.data["phone"]["phone_registration_id"] for request in world.asked(kind)][-1:]
    before = len(world.asked(kind))
    assert errors_of_phone(world) == ["rejected" if reason == "odd" else reason]

    world.pass_time(hours=3)
    unasked = len(world.asked(kind)) - before
    scripted.answers.clear()
    if reason in PROFILE:
        world.directory.update(world.person_id, email_address="jane.doe@example.com")
    else:
        retry(world.memory.table, world.enrollment_id)
    world.pass_time(minutes=1)

    assert (len(asked), unasked) == (1, 0)
    assert errors_of_phone(world) == []
    assert [one["state"] for one in world.children()] == ["active"]
    assert world.differing() == []


@ALL
def test_an_empty_pool_is_asked_again_each_hour_and_gives_when_it_is_filled(world: World, scripted: Scripted) -> None:
    scripted.answers["credential.issue"] = failed("pool_exhausted")
    world.create_credential()

    world.pass_time(hours=6, minutes=5)
    asked = len(world.asked("credential.issue"))
    scripted.answers.clear()
    world.pass_time(hours=1, minutes=1)

    assert asked == 7
    assert [one["state"] for one in world.children()] == ["active"]


@ALL
def test_an_invitation_that_expired_is_made_anew_when_the_app_opens(world: World) -> None:
    world.create_credential()
    world.start_app("another", model="Invitation expires")
    world.pass_time(hours=3)
    before = errors_of_phones(world)

    world.start_app("another", model="Invitation expires")
    world.pass_time(minutes=1)

    assert before == ["invitation_expired"]
    attempts = [request.data["attempt"] for request in world.asked("phone.register")]
    assert attempts == [1, 1, 2]
    assert errors_of_phones(world) == []
    assert len(at_manufacturer(world)) == 2


def errors_of_phones(world: World) -> list[str]:
    phone_ids = world.directory.phones(owner_user_identity_id=world.person_id)
    return [error.error_code for one in phone_ids for error in world.directory.phone(one).errors]


@ALL
def test_a_whole_story_leaves_nothing(world: World) -> None:
    world.create_credential(starts_at=later(world, minutes=5), ends_at=later(world, days=1))
    credential_id = world.create_credential()
    world.start_app("another")
    world.pass_time(minutes=10)
    during = len(at_manufacturer(world))
    world.directory.deactivate_phone(world.directory.phones(owner_user_identity_id=world.person_id)[0])
    world.directory.delete_credential(credential_id)
    world.pass_time(minutes=10)
    after = len(at_manufacturer(world))

    world.directory.delete(world.person_id)
    world.pass_time(minutes=10)

    assert (during, after, at_manufacturer(world)) == (4, 1, [])
    assert world.manufacturer.people() == []
    assert world.keys_of_people() == []
