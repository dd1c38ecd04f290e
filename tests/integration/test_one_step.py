"""Where registering a phone issues its credential, the credential is known here from then on, and can be revoked.

The connector has a pretended manufacturer that does both in one step (docs/connector.md, "one_step").
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from enrollment.outbound.https import Attempt
from enrollment.timestamps import timestamp
from enrollment.use_cases.standing_still import retry
from tests.connectors import World
from tests.invariants import violations
from tests.provisioning import requests_on

UNNAMED = "not named yet"
# Requests are repeated after whole seconds, so none is in the moment that ends it.
A_MINUTE = 60.3


@dataclass
class Phone:
    """A phone at the manufacturer.

    Attributes:
        attempt: The newest attempt that registered it.
        state: How it stands.
        credentials: The ids of its credentials; ``UNNAMED`` is the one that registering made.
        revoked_at: When the revocation was sent that ended what was registered before.
    """

    attempt: int
    state: str
    credentials: set[str]
    revoked_at: int | None = None


@dataclass
class OneStep:
    """A connector to whose manufacturer registering a phone is issuing its credential.

    Attributes:
        keeps_validity: Whether it keeps validities.
        registered: How a phone stands that was just registered.
        lost: The types of requests whose answers are lost.
        held_up: The types of requests that do not come, or come late.
        phones: The phones, by the ids of their registrations.
        removed: The ids of what was removed.
        sent: The requests, as they came.
    """

    keeps_validity: bool = True
    registered: str = "invited"
    lost: set[str] = field(default_factory=set)
    held_up: set[str] = field(default_factory=set)
    phones: dict[str, Phone] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    sent: list[Mapping[str, Any]] = field(default_factory=list)

    def post(self, _: str, body: bytes, __: Mapping[str, str]) -> Attempt:
        """Stand in for a request, without any network."""
        asked = {**json.loads(body), "sent_at": len(self.sent)}
        self.sent.append(asked)
        answered = {} if asked["type"] in self.held_up else self.answer(asked)
        if asked["type"] in self.lost | self.held_up:
            return Attempt(None, "connection", 0.0)
        return Attempt(200, None, 0.0, json.dumps(answered).encode())

    def answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Do what is asked for."""
        data = asked["data"]
        if asked["type"] == "manager.check":
            return {"keeps_validity": self.keeps_validity, "one_step": True}
        name = data["phone"]["phone_registration_id"]
        match asked["type"]:
            case "phone.register":
                return self._register(name, data["attempt"], asked["sent_at"])
            case "phone.status":
                here = self.phones[name].credentials if name in self.phones else set()
                ids = [one["acs_credential_id"] for one in data["credentials"]]
                told = [{"acs_credential_id": one, "state": "active" if one in here else "gone"} for one in ids]
                return {**self._about(name), "credentials": told}
            case "phone.deregister":
                self.removed.add(name)
                self.phones.pop(name, None)
                return {"state": "gone"}
            case "credential.issue":
                return {"acs_credential_id": data["acs_credential_id"], **self._issue(name, data)}
            case "credential.revoke":
                self._revoke(name, data["acs_credential_id"], asked["sent_at"])
        return {"acs_credential_id": data["acs_credential_id"], "state": "gone"}

    def credentials(self) -> list[str]:
        """Return the ids of the credentials that it has."""
        return sorted(one for phone in self.phones.values() for one in phone.credentials)

    def accept(self) -> None:
        """Have all invitations accepted."""
        for phone in self.phones.values():
            phone.state = "active"

    def asked(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the data of the requests of a type."""
        return [one["data"] for one in self.sent if one["type"] == kind]

    def _register(self, name: str, attempt: int, sent_at: int) -> dict[str, Any]:
        if name in self.removed:
            return {"state": "gone"}
        known = self.phones.get(name)
        if known is not None and known.revoked_at is not None and sent_at < known.revoked_at:
            return {"state": "late"}
        if known is None or (
            attempt > known.attempt and (known.revoked_at is not None or known.state in {"failed", "gone"})
        ):
            self.phones[name] = Phone(attempt, self.registered, {UNNAMED})
        return self._about(name)

    def _issue(self, name: str, data: Mapping[str, Any]) -> dict[str, Any]:
        phone, one = self.phones.get(name), data["acs_credential_id"]
        if one in self.removed or phone is None:
            return {"state": "gone"}
        phone.credentials = (phone.credentials - {UNNAMED}) | {one}
        return {"state": "active", "version": data["version"]}

    def _revoke(self, name: str, one: str, sent_at: int) -> None:
        phone = self.phones.setdefault(name, Phone(0, "gone", set()))
        if one not in phone.credentials and one not in self.removed:
            phone.credentials.discard(UNNAMED)
            phone.revoked_at = sent_at
        phone.credentials.discard(one)
        self.removed.add(one)

    def _about(self, name: str) -> dict[str, Any]:
        if name not in self.phones:
            return {"state": "gone"}
        state = self.phones[name].state
        return {"state": state, **({"check_after_s": 600} if state in {"invited", "pending"} else {})}


@dataclass
class At(World):
    """A world with such a manufacturer."""

    connected: OneStep = field(default_factory=OneStep)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.send = self.connected.post

    def look(self) -> None:
        """Note what the manufacturer has without a record here."""
        super().look()
        records = {str(one["phone_registration_id"]): one for one in self.registrations().values()}
        children = {str(one["acs_credential_id"]): one for one in self.children()}
        for name, phone in self.connected.phones.items():
            listed: Any = records.get(name, {}).get("acs_credential_ids", ())
            unnamed = [one for one in listed if "state" not in children[one]]
            without = phone.credentials - set(listed) - ({UNNAMED} if unnamed else set())
            self.wrong += [f"the manufacturer has {one} without a record" for one in without]

    def ask(self, kind: str) -> list[Mapping[str, Any]]:
        return self.connected.asked(kind)


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[At]:
    """A world with a person who has one phone, and nothing that it opens."""
    world = At(connected=OneStep(keeps_validity=getattr(request, "param", True)))
    with requests_on(world.clock):
        world.set_connector()
        world.launch(with_pool=False)
        world.start_app("app")
        world.pass_time(seconds=A_MINUTE)
        yield world
        assert world.wrong == []
        assert violations(world.memory.items()) == []


def later(world: World, **duration: float) -> str:
    return timestamp(world.clock.at + timedelta(**duration))


def only(ids: list[Mapping[str, Any]]) -> str:
    (one,) = ids
    return str(one["acs_credential_id"])


def test_the_first_credential_issued_is_the_one_that_registering_made(world: At) -> None:
    world.create_credential()
    world.pass_time(seconds=A_MINUTE)
    before, asked = [one["acs_credential_id"] for one in world.children()], world.ask("credential.issue")

    world.connected.accept()
    world.pass_time(hours=1)

    assert (len(before), asked) == (1, [])
    assert world.connected.credentials() == before
    assert only(world.ask("credential.issue")) == before[0]


@pytest.mark.parametrize("state", ["invited", "pending", "failed", "active"])
def test_what_registering_made_is_revoked_at_once_when_its_credential_is_deleted(world: At, state: str) -> None:
    world.connected.registered = state
    world.connected.lost.add("credential.issue")
    credential_id = world.create_credential()
    world.pass_time(seconds=A_MINUTE)
    before = len(world.connected.credentials())

    world.directory.delete_credential(credential_id)
    world.pass_time(seconds=1)

    assert (before, world.connected.credentials(), world.children()) == (1, [], [])


def test_what_a_registration_without_an_answer_made_is_revoked_at_once(world: At) -> None:
    world.connected.lost.add("phone.register")
    credential_id = world.create_credential()
    world.pass_time(minutes=30)

    world.directory.delete_credential(credential_id)
    world.pass_time(seconds=1)
    after = world.connected.credentials()
    world.pass_time(hours=5)

    assert (after, world.connected.credentials(), world.children()) == ([], [], [])
    assert len(world.ask("credential.revoke")) == 1


def test_a_revocation_without_an_answer_is_asked_again_as_usual(world: At) -> None:
    world.connected.lost |= {"phone.register", "credential.revoke"}
    credential_id = world.create_credential()
    world.pass_time(minutes=30)

    world.directory.delete_credential(credential_id)
    world.pass_time(hours=5)
    asked = len(world.ask("credential.revoke"))
    world.connected.lost.clear()
    world.pass_time(hours=2)

    assert 3 < asked < 12
    assert (world.connected.credentials(), world.children()) == ([], [])


def test_a_phone_that_becomes_active_after_the_revocation_has_nothing(world: At) -> None:
    credential_id = world.create_credential()
    world.pass_time(seconds=A_MINUTE)
    world.directory.delete_credential(credential_id)
    world.pass_time(seconds=A_MINUTE)

    world.connected.accept()
    world.pass_time(days=2)

    assert (world.connected.credentials(), world.ask("credential.issue")) == ([], [])


def test_a_credential_deleted_just_after_the_phone_became_active_leaves_nothing(world: At) -> None:
    credential_id = world.create_credential()
    world.pass_time(seconds=A_MINUTE)

    world.connected.accept()
    world.directory.delete_credential(credential_id)
    world.pass_time(days=2)

    assert (world.connected.credentials(), world.ask("credential.issue")) == ([], [])


@pytest.mark.parametrize("lost", [set(), {"phone.register"}], ids=["answered", "without an answer"])
@pytest.mark.parametrize("held_up", [set(), {"phone.register"}], ids=["came", "held up"])
def test_a_late_registration_whose_credential_was_revoked_makes_nothing(
    world: At, lost: set[str], held_up: set[str]
) -> None:
    world.connected.lost |= lost
    world.connected.held_up |= held_up
    credential_id = world.create_credential()
    world.pass_time(seconds=A_MINUTE)
    late = next(one for one in world.connected.sent if one["type"] == "phone.register")
    world.directory.delete_credential(credential_id)
    world.pass_time(seconds=A_MINUTE)

    world.connected.answer(late)
    world.look()

    assert world.connected.credentials() == []


@pytest.mark.parametrize("lost", [set(), {"phone.register"}], ids=["answered", "without an answer"])
@pytest.mark.parametrize("held_up", [set(), {"phone.register"}], ids=["came", "held up"])
def test_a_person_who_gets_access_again_gets_another_credential(world: At, lost: set[str], held_up: set[str]) -> None:
    world.connected.lost |= lost
    world.connected.held_up |= held_up
    credential_id = world.create_credential()
    world.pass_time(seconds=A_MINUTE)
    former = {one["acs_credential_id"] for one in world.children()}
    world.directory.delete_credential(credential_id)
    world.pass_time(seconds=A_MINUTE)
    world.connected.lost.clear()
    world.connected.held_up.clear()

    world.create_credential()
    world.pass_time(hours=1)
    world.connected.accept()
    world.pass_time(hours=1)

    assert {one["attempt"] for one in world.ask("phone.register")} == ({1, 2} if lost | held_up else {1})
    assert world.connected.credentials() == [one["acs_credential_id"] for one in world.children()]
    assert len(world.connected.credentials()) == 1
    assert former.isdisjoint(world.connected.credentials())


def test_of_several_credentials_the_phone_is_registered_for_one_until_that_is_deleted(world: At) -> None:
    ids = [world.create_credential() for _ in range(3)]
    world.pass_time(seconds=A_MINUTE)
    (made,) = world.children()

    world.directory.delete_credential(str(made["parent_acs_credential_id"]))
    world.pass_time(seconds=A_MINUTE)
    after = world.connected.credentials()
    world.connected.accept()
    world.pass_time(hours=1)

    issued_for = {one["parent_acs_credential_id"] for one in world.children()}
    assert after == []
    assert issued_for == set(ids) - {made["parent_acs_credential_id"]}
    assert world.connected.credentials() == sorted(str(one["acs_credential_id"]) for one in world.children())


def test_a_phone_that_registers_again_does_so_for_the_same_credential(world: At) -> None:
    world.connected.registered = "failed"
    world.create_credential()
    world.pass_time(seconds=A_MINUTE)
    (made,) = world.children()
    world.connected.registered = "active"
    more = [world.create_credential() for _ in range(3)]

    retry(world.memory.table, world.enrollment_id)
    world.pass_time(seconds=A_MINUTE)

    assert [one["attempt"] for one in world.ask("phone.register")] == [1, 2]
    assert world.ask("credential.issue")[0]["acs_credential_id"] == made["acs_credential_id"]
    assert len(world.connected.credentials()) == 1 + len(more)


def test_a_phone_that_the_manager_lost_registers_for_another_credential(world: At) -> None:
    world.connected.registered = "active"
    credential_id = world.create_credential()
    world.pass_time(seconds=A_MINUTE)
    before = world.connected.credentials()
    world.connected.phones.clear()
    world.clock.turn(days=2)
    world.start_app("app")
    world.pass_time(seconds=A_MINUTE)

    world.connected.registered = "invited"
    world.start_app("app")
    world.pass_time(seconds=A_MINUTE)
    again = world.connected.credentials()
    world.directory.delete_credential(credential_id)
    world.pass_time(seconds=A_MINUTE)

    assert (len(before), again, world.connected.credentials()) == (1, [UNNAMED], [])


def test_a_phone_that_registers_again_gets_a_credential_of_another_id_if_the_first_was_told(world: At) -> None:
    world.connected.registered = "active"
    credential_id = world.create_credential()
    world.pass_time(seconds=A_MINUTE)
    (former,) = world.connected.credentials()
    world.connected.phones.popitem()[1].state = "gone"
    world.clock.turn(days=2)
    world.start_app("app")
    world.pass_time(seconds=A_MINUTE)

    retry(world.memory.table, world.enrollment_id)
    world.pass_time(seconds=A_MINUTE)
    (again,) = world.connected.credentials()
    world.directory.delete_credential(credential_id)
    world.pass_time(seconds=A_MINUTE)

    assert again not in {former, UNNAMED}
    assert world.connected.credentials() == []


def test_a_phone_whose_own_credential_is_deleted_while_it_is_invited_does_not_get_it_again(world: At) -> None:
    world.connected.lost.add("phone.register")
    world.create_credential()
    world.pass_time(seconds=A_MINUTE)
    (made,) = world.children()

    world.directory.delete_credential(str(made["acs_credential_id"]))
    world.connected.lost.clear()
    world.pass_time(hours=3)
    world.connected.accept()
    world.pass_time(days=2)

    assert (world.connected.credentials(), world.children()) == ([], [])


def test_a_phone_that_is_deactivated_while_it_is_invited_leaves_nothing(world: At) -> None:
    world.create_credential()
    world.pass_time(seconds=A_MINUTE)

    world.directory.deactivate_phone(world.directory.phones(owner_user_identity_id=world.person_id)[0])
    world.pass_time(seconds=A_MINUTE)

    assert (world.connected.phones, world.children(), world.registrations()) == ({}, [], {})


@pytest.mark.parametrize("world", [False], indirect=True)
def test_an_end_that_comes_while_the_phone_is_invited_revokes_what_registering_made(world: At) -> None:
    credential_id = world.create_credential(starts_at=later(world), ends_at=later(world, hours=2))
    world.pass_time(hours=1)
    before = world.connected.credentials()

    world.pass_time(hours=1, seconds=2)
    after = world.connected.credentials()
    world.directory.update_credential(credential_id, ends_at=later(world, days=9))
    world.connected.accept()
    world.pass_time(hours=1)

    assert (before, after) == ([UNNAMED], [])
    assert world.connected.credentials() == [one["acs_credential_id"] for one in world.children()]
    assert len(world.connected.credentials()) == 1


def test_a_phone_that_is_only_invited_leaves_a_credential_synced(world: At) -> None:
    world.connected.registered = "invited"
    credential_id = world.create_credential()
    world.pass_time(seconds=A_MINUTE)
    world.connected.registered = "active"
    world.start_app("another")
    world.pass_time(seconds=A_MINUTE)

    assert world.directory.credential(credential_id).is_latest_desired_state_synced_with_provider
