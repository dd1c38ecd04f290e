"""Connectors over HTTP on loopback: nothing that a network or a bad connector does makes two credentials for one phone.

Each story has a person with a credential and a pool, and two phones, on a clock that is turned.  After each request the
manufacturer's own record is compared with the table: it has no phone and no credential that the table does not know,
and of no credential two for one phone.  While a fault lasts, what the operator and the client see is true.
"""

import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from random import Random
from typing import Any, NamedTuple

import pytest
from trustme import CA

from enrollment.timestamps import timestamp
from enrollment.use_cases.waiting import Why
from tests.connectors import (
    SHORT_SECONDS,
    Answer,
    Fault,
    Network,
    Sent,
    World,
    free_port,
    over_http,
    well,
    world_over_http,
)
from tests.invariants import violations

pytestmark = pytest.mark.long

_JSON = {"Content-Type": "application/json"}


@pytest.fixture
def world() -> Iterator[World]:
    with world_over_http() as world:
        yield world
        assert violations(world.memory.items()) == []


@pytest.fixture
def connected(world: World) -> Iterator[World]:
    """A world whose connector listens, with a person who is to be enrolled."""
    with world.network.listening() as address:
        world.set_connector(f"{address}/")
        begin(world)
        yield world


def begin(world: World) -> None:
    """Want a credential and one from the pool on two phones."""
    world.launch()
    world.create_credential()
    for installation in ("one", "two"):
        world.start_app(installation)


# -------------------------------------------------------------------------------------------------------------- Faults


def answer(status: int, body: bytes = b"{}", **headers: str) -> Fault:
    """Answer so, without any work."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Answer(status, {**_JSON, **named}, body)


def retry_at_a_date(_: Sent) -> Answer:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    return Answer(503, {"Retry-After": date}, b"")


def altered(**more: Any) -> Fault:
    """Do the work, and answer with other attributes."""

    def fault(sent: Sent) -> Answer:
        worked = sent.work()
        return worked._replace(body=json.dumps({**json.loads(worked.body), **more}).encode())

    return fault


def instead(body: bytes) -> Fault:
    """Do the work, and answer with another body."""
    return lambda sent: sent.work()._replace(body=body)


def lost(sent: Sent) -> Answer | None:
    """Do the work, and close the connection."""
    sent.work()
    return None


def cut_in_the_middle(sent: Sent) -> Answer:
    worked = sent.work()
    return worked._replace(headers={**worked.headers, "Content-Length": str(len(worked.body) + 9)})


def too_slow(sent: Sent) -> Answer:
    worked = sent.work()
    time.sleep(SHORT_SECONDS + 0.1)
    return worked


def dripping(sent: Sent) -> None:
    sent.work()
    sent.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    with suppress(OSError):
        while True:
            sent.connection.sendall(b" ")
            time.sleep(0.02)


def endless(sent: Sent) -> None:
    sent.work()
    sent.connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    with suppress(OSError):
        while True:
            sent.connection.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")


def to_somewhere_else(sent: Sent) -> Answer:
    return Answer(307, {"Location": f"http://127.0.0.1:{sent.connection.getsockname()[1]}/"}, b"")


class Case(NamedTuple):
    """A fault, and what is told of it.

    Attributes:
        fault: The fault.
        because: Why there is no usable answer, in a word.
        spares_check: Whether the connector answers about itself all the same.
    """

    fault: Fault
    because: str
    spares_check: bool = False


_OF_CHECK = {"pools": [{"pool": "\ud800"}]}
SILENT: Mapping[str, Case] = {
    "too slow": Case(too_slow, "timeout"),
    "drips": Case(dripping, "timeout"),
    "endless": Case(endless, "too_long"),
    "too long": Case(instead(b'{"state": "' + b"x" * 300_000 + b'"}'), "too_long"),
    "answer lost": Case(lost, "connection"),
    "answer cut": Case(cut_in_the_middle, "connection"),
    "500": Case(answer(500), "status_500"),
    "404": Case(answer(404), "status_404"),
    "redirect": Case(to_somewhere_else, "status_307"),
    "not JSON": Case(instead(b"<html>"), "not_json"),
    "no body": Case(instead(b""), "not_json"),
    "deep JSON": Case(instead(b'{"memo":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "not_json"),
    "a number without end": Case(instead(b'{"check_after_s":' + b"9" * 6000 + b"}"), "not_json"),
    "a list": Case(instead(b"[]"), "not_the_protocol"),
    "nothing": Case(instead(b"null"), "not_the_protocol"),
    "an unknown state": Case(altered(state="perhaps", one_step="perhaps"), "not_the_protocol"),
    "wrong types": Case(altered(message=7, pools={"pool": 7}), "not_the_protocol"),
    "half of a surrogate pair": Case(altered(message="\ud800", **_OF_CHECK), "not_the_protocol"),
    "a naive time": Case(
        altered(app_expires_at="2026-01-01T00:00:00", starts_at="2026-01-01T00:00:00", **_OF_CHECK), "not_the_protocol"
    ),
    "a great memo": Case(altered(memo={"a": "x" * 2050}, **_OF_CHECK), "not_the_protocol"),
    "a number that is too big": Case(altered(version=10**13, check_after_s=-1, **_OF_CHECK), "not_the_protocol"),
    "another credential's id": Case(altered(acs_credential_id="another"), "not_the_protocol", spares_check=True),
}


@pytest.mark.parametrize("name", SILENT)
def test_nothing_is_made_twice_or_left_and_the_silence_is_told(world: World, name: str) -> None:
    case = SILENT[name]
    if case.because == "timeout":
        world.send = over_http(longest_seconds=SHORT_SECONDS)
    with world.network.listening() as address:
        # Before the connector has told what it can do.
        world.network.fault = well if case.spares_check else case.fault
        world.set_connector(f"{address}/")
        begin(world)
        world.network.fault = case.fault
        world.pass_time(seconds=45)
        assert told_of_silence(world, case) or case.spares_check
        recover(world)
        assert len(world.children()) == 4

        # While a validity changes and a phone is deactivated.
        world.network.fault = case.fault
        change_something(world)
        begun_at = timestamp(world.clock.at)
        world.pass_time(seconds=45)
        silent = [one for one in world.registrations().values() if "unanswered_since" in one]
        assert len(silent) == (1 if case.spares_check else 2)
        assert {one["unanswered_because"] for one in silent} == {case.because}
        assert all(begun_at <= str(one["unanswered_since"]) < str(one["retry_at"]) for one in silent)
        shown = [(one.why, one.because, one.since >= begun_at) for one in world.waiting()]
        assert set(shown) == {(Why.NO_USABLE_ANSWER, case.because, True)}
        recover(world)
        assert [one["synced_version"] for one in world.children() if "parent_acs_credential_id" in one] == [2]

        # While the person is deleted.
        world.network.fault = case.fault
        world.directory.delete(world.person_id)
        world.pass_time(seconds=45)
        recover(world)

    failures = {(one["failure"], one["because"]) for one in world.facts() if "failure" in one}
    assert failures == {("no_answer", case.because)}
    assert nothing_is_left(world)


def told_of_silence(world: World, case: Case) -> bool:
    """Return whether the connector's item tells why it waits, and that nothing was done meanwhile."""
    connector = world.connector() or {}
    told = (connector.get("unanswered_because"), connector.get("unanswered_since"))
    return told == (case.because, connector["set_at"]) and world.registrations() == {} and world.pause() is None


def change_something(world: World) -> None:
    """Change the credential's end, and deactivate a phone."""
    (credential_id,) = world.directory.credentials(
        user_identity_id=world.person_id, is_multi_phone_sync_credential=True
    )
    world.directory.update_credential(credential_id, ends_at=timestamp(world.clock.at + timedelta(days=99)))
    world.directory.deactivate_phone(world.directory.phones(owner_user_identity_id=world.person_id)[0])


def recover(world: World) -> None:
    """End a fault, and wait until all is as it should be."""
    world.network.fault = well
    world.pass_time(hours=1, minutes=10)
    assert world.differing() == []
    assert [one for one in world.registrations().values() if one.keys() & {"unanswered_since", "retry_at"}] == []
    connector = world.connector() or {}
    assert "unanswered_since" not in connector
    assert world.pause() is None or world.pause()["reason"] == "busy"  # type: ignore[index]
    assert {one["state"] for one in [*world.registrations().values(), *world.children()]} <= {"active"}


def nothing_is_left(world: World) -> bool:
    """Return whether nothing is left of the person, here and there, and nobody waits for it."""
    assert world.manufacturer.record().credentials == {}
    assert world.manufacturer.people() == []
    assert world.keys_of_people() == []
    assert [one.given for one in world.provisioning.running() if "user_identity_id" in one.given] == []
    return world.wrong == []


PAUSING: Mapping[str, tuple[Fault, str, int]] = {
    "429": (answer(429), "busy", 5),
    "429 with seconds": (answer(429, Retry_After="120"), "busy", 120),
    "503 with a date": (retry_at_a_date, "busy", 600),
    "503 with nonsense": (answer(503, Retry_After="soon"), "busy", 5),
    "503 for years": (answer(503, Retry_After="9" * 30), "busy", 3600),
    "401": (answer(401), "disconnected", 300),
    "403": (answer(403), "disconnected", 300),
}


@pytest.mark.parametrize("name", PAUSING)
def test_a_connector_that_refuses_is_left_alone_as_long_as_it_says(connected: World, name: str) -> None:
    fault, reason, seconds = PAUSING[name]
    connected.pass_time(minutes=5)
    before = len(connected.network.came)

    connected.network.fault = fault
    change_something(connected)
    connected.provisioning.settle(seconds=0)

    pause = connected.pause() or {}
    until = datetime.fromisoformat(str(pause["paused_until"]))
    assert pause["reason"] == reason
    assert seconds - 2 <= (until - connected.clock.at).total_seconds() <= seconds
    assert len(connected.network.came) == before + 1
    assert [one["reason"] for one in connected.facts("paused")] == [reason]
    assert disconnected(connected) == (["account_disconnected"] if reason == "disconnected" else [])
    # A pause is the manager's, and not the phones'.
    shown = {(one.why, one.next_at) for one in connected.waiting()}
    assert shown == {(Why.MANAGER_BUSY if reason == "busy" else Why.NO_ACCESS, str(pause["paused_until"]))}
    assert [one for one in connected.registrations().values() if "unanswered_since" in one] == []
    connected.pass_time(seconds=seconds - 3)
    assert len(connected.network.came) == before + 1
    recover(connected)
    assert disconnected(connected) == []
    connected.directory.delete(connected.person_id)
    recover(connected)
    assert nothing_is_left(connected)


def disconnected(world: World) -> list[str]:
    return [error.error_code for error in world.directory.system(world.manager_id).errors]


def test_a_connector_with_another_secret_is_disconnected_until_it_has_the_right_one(connected: World) -> None:
    right, connected.network.secret = connected.network.secret, connected.secret("another")

    connected.pass_time(hours=1)
    seen = (disconnected(connected), connected.registrations(), connected.manufacturer.people())
    connected.network.secret = right
    recover(connected)

    assert seen == (["account_disconnected"], {}, [])
    assert set(connected.network.statuses) == {200, 401}
    assert disconnected(connected) == []
    assert len(connected.children()) == 4


def test_while_nothing_listens_work_waits_and_then_goes_on(world: World) -> None:
    port = free_port()
    world.set_connector(f"http://127.0.0.1:{port}/")
    begin(world)
    world.pass_time(hours=3)
    assert (world.connector() or {})["unanswered_because"] == "connection"
    with world.network.listening(port):
        recover(world)
        assert len(world.children()) == 4

    change_something(world)
    world.pass_time(hours=26)

    assert {one["unanswered_because"] for one in world.registrations().values()} == {"connection"}
    (phone_id,) = world.directory.phones(owner_user_identity_id=world.person_id)
    errors = world.directory.phone(phone_id).errors
    assert [error.error_code for error in errors] == ["credential_manager_unreachable"]
    with world.network.listening(port):
        recover(world)
        assert world.directory.phone(phone_id).errors == []
        world.directory.delete(world.person_id)
        recover(world)
    assert nothing_is_left(world)


def test_an_answer_within_the_time_is_waited_for(connected: World) -> None:
    def slow(sent: Sent) -> Answer:
        time.sleep(0.01)
        return sent.work()

    connected.network.fault = slow

    connected.pass_time(minutes=5)

    assert len(connected.children()) == 4
    assert [one for one in connected.facts() if "failure" in one] == []


# -------------------------------------------------------------------------------------------------------- Certificates


class Certificates(NamedTuple):
    """What a server shows.

    Attributes:
        authority: The authority that is trusted.
        shown: What is shown now.
    """

    authority: CA
    shown: list[ssl.SSLContext]

    def show(self, authority: CA, name: str, **more: Any) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name, **more).configure_cert(context)
        self.shown[:] = [context]

    def trusting(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@pytest.mark.parametrize("wrong", ["another name", "an unknown authority", "expired"])
def test_a_wrong_certificate_is_sent_nothing_and_told(world: World, wrong: str) -> None:
    certificates = Certificates(CA(), [])
    world.send = over_http(certificates.trusting(), longest_seconds=5)
    certificates.show(certificates.authority, "localhost")
    with world.network.listening(tls=lambda: certificates.shown[0]) as address:
        world.set_connector(f"{address}/")
        begin(world)
        recover(world)
        came = len(world.network.came)
        match wrong:
            case "another name":
                certificates.show(certificates.authority, "connector.example")
            case "an unknown authority":
                certificates.show(CA(), "localhost")
            case _:
                certificates.show(certificates.authority, "localhost", not_after=datetime(2020, 1, 1, tzinfo=UTC))

        change_something(world)
        world.pass_time(hours=2)

        assert len(world.network.came) == came
        assert {one["unanswered_because"] for one in world.registrations().values()} == {"tls"}
        assert (world.connector() or {})["unanswered_because"] == "tls"
        certificates.show(certificates.authority, "localhost")
        recover(world)


# -------------------------------------------------------------------------------------------------- Doubled, late, lost


def test_a_connector_that_forgets_what_was_removed_is_found_out(connected: World) -> None:
    """This tests the comparison: late requests bring back what a manufacturer has forgotten."""
    recover(connected)
    connected.directory.delete(connected.person_id)
    recover(connected)
    connected.manufacturer.forget_what_is_removed()

    replay(connected, connected.network.came[:4])

    assert "which the table does not know" in "".join(connected.differing())


def twice(sent: Sent) -> Answer:
    """Have the network deliver a request two times."""
    sent.work()
    return sent.work()


class Doubts:
    """A network that does something else with each request, by a seed.

    Args:
        network: The network.
        random: Decides.
    """

    def __init__(self, network: Network, random: Random) -> None:
        self.network = network
        self.random = random
        self.held: list[Callable[[], Answer]] = []

    def __call__(self, sent: Sent) -> Answer | None:
        if self.held and self.random.random() < 0.3:
            self.held.pop(self.random.randrange(len(self.held)))()
        match self.random.choice(("well", "well", "well", "lost", "twice", "held", "dropped", "both")):
            case "lost":
                return lost(sent)
            case "twice":
                return twice(sent)
            case "held":  # it arrives later, and nobody gets its answer
                self.held.append(sent.work)
                return None
            case "dropped":
                return None
            case "both":  # it arrives now and once more later
                self.held.append(sent.work)
        return sent.work()


def replay(world: World, came: list[Callable[[], Answer]]) -> None:
    """Deliver requests to the connector once more, and look after each."""
    for work in came:
        work()
        world.look()


def test_requests_that_come_twice_make_nothing_twice(connected: World) -> None:
    connected.network.fault = twice

    connected.pass_time(minutes=5)
    found = connected.differing()
    connected.directory.delete(connected.person_id)
    connected.pass_time(minutes=5)

    assert found == []
    assert [one for one in connected.facts() if "failure" in one] == []
    assert nothing_is_left(connected)


@pytest.mark.parametrize("seed", range(6))
def test_requests_that_are_lost_late_and_doubled_make_nothing_twice(connected: World, seed: int) -> None:
    random = Random(seed)
    doubts = connected.network.fault = Doubts(connected.network, random)
    stages: list[Callable[[], object]] = [
        lambda: None,
        partial(change_something, connected),
        partial(connected.start_app, "three"),
        partial(connected.directory.delete, connected.person_id),
    ]
    for stage in stages:
        stage()
        connected.network.fault = doubts
        connected.pass_time(minutes=20)

        recover(connected)
        replay(connected, random.sample(connected.network.came, len(connected.network.came)))

        assert connected.differing() == []
    assert nothing_is_left(connected)


def test_a_request_that_comes_after_the_removal_brings_nothing_back(connected: World) -> None:
    recover(connected)
    (credential_id,) = connected.directory.credentials(
        user_identity_id=connected.person_id, is_multi_phone_sync_credential=True
    )
    connected.directory.delete_credential(credential_id)
    recover(connected)
    assert len(connected.children()) == 2

    replay(connected, list(connected.network.came))
    assert connected.differing() == []
    connected.directory.delete(connected.person_id)
    recover(connected)
    replay(connected, list(connected.network.came))

    assert nothing_is_left(connected)


def test_each_request_that_is_repeated_has_its_id_and_the_same_data(connected: World) -> None:
    connected.network.fault = lost
    connected.pass_time(minutes=2)
    connected.network.fault = well
    recover(connected)

    registered: dict[str, set[str]] = {}
    for request in connected.asked("phone.register", "credential.issue"):
        stable = {
            name: request.data.get(name) for name in ("person", "phone", "attempt", "acs_credential_id", "version")
        }
        registered.setdefault(request.id, set()).add(json.dumps([request.type, stable], sort_keys=True))
    assert {len(bodies) for bodies in registered.values()} == {1}
    assert len({next(iter(bodies)) for bodies in registered.values()}) == len(registered) == 6
