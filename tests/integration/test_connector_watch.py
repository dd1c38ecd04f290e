"""The watch of a connector: it asks manager.check at once and every hour, and what it writes is true."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from enrollment.errors import ServiceUnavailable
from enrollment.managers.protocol import BusyError, Request
from enrollment.outbound.https import Attempt
from enrollment.store.attributes import Item
from enrollment.store.keys import connector_pools_key, manager_pause_key
from enrollment.timestamps import timestamp
from enrollment.use_cases.looking import MOST_LOOKS
from enrollment.use_cases.pauses import pause_manager
from enrollment.use_cases.standing_still import watches_that_stand_still
from tests.connectors import World
from tests.provisioning import Execution, requests_on

SILENT = Attempt(None, "timeout", 10.0)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    with requests_on(world.clock):
        yield world


def answer(world: World, attempt: Attempt | None) -> None:
    """Have the connector answer so; ``None`` is as usual."""
    world.send = None if attempt is None else lambda *_: attempt


def moments(world: World) -> list[datetime]:
    """Return when the connector was asked about itself."""
    return [moment for moment, request in world.when if request.type == "manager.check"]


def waits(world: World) -> list[timedelta]:
    return [after - before for before, after in pairwise(moments(world))]


def connector(world: World) -> Item:
    found = world.connector()
    assert found is not None
    return found


def moment(text: object) -> datetime:
    return datetime.fromisoformat(str(text))


def pools(world: World) -> Any:
    item = world.memory.items()[connector_pools_key(*world.connector_id)]
    return json.loads(str(item["pools"]))


def watches(world: World) -> Sequence[Execution]:
    return [one for one in world.provisioning.executions.values() if "user_identity_id" not in one.given]


def ends(world: World) -> list[str | None]:
    return [one.ended for one in watches(world)]


def want_phones(world: World) -> None:
    world.launch()
    world.create_credential()
    world.start_app("one")


def test_a_connector_is_asked_at_once_and_every_hour(world: World) -> None:
    begun_at = world.clock.at
    world.set_connector()

    world.pass_time(hours=6)

    assert moments(world)[0] == begun_at
    assert all(timedelta(minutes=53) < wait <= timedelta(minutes=60) for wait in waits(world))
    assert len(moments(world)) in {6, 7}
    assert connector(world)["checked_at"] == connector(world)["asked_at"] == timestamp(moments(world)[-1])


def test_what_a_connector_tells_is_written_with_its_pools(world: World) -> None:
    world.set_connector()
    want_phones(world)
    world.pass_time(minutes=10)
    before = pools(world)

    world.pass_time(hours=1)

    assert (connector(world)["keeps_validity"], connector(world)["one_step"]) == (True, False)
    assert before == [{"pool": "standard", "available": 100}, {"pool": "visitor", "available": 2}]
    assert pools(world) == [{"pool": "standard", "available": 99}, {"pool": "visitor", "available": 1}]


def test_silence_is_borne_with_growing_waits_and_told(world: World) -> None:
    begun_at = world.clock.at
    answer(world, SILENT)
    world.set_connector()

    world.pass_time(hours=12)
    silent = connector(world)
    growing, rest = waits(world)[2:7], waits(world)[11:]
    answer(world, Attempt(500, None, 0.1))
    world.pass_time(hours=1)
    other = connector(world)
    answer(world, None)
    world.pass_time(hours=1)

    assert all(before < after for before, after in pairwise(growing))
    assert all(timedelta(minutes=50) < wait <= timedelta(hours=1) for wait in rest)
    assert (silent["unanswered_since"], silent["unanswered_because"]) == (timestamp(begun_at), "timeout")
    assert (other["unanswered_since"], other["unanswered_because"]) == (timestamp(begun_at), "status_500")
    assert "checked_at" not in other
    assert "unanswered_since" not in connector(world)
    assert {fact.get("is_new") for fact in world.facts("manager.check")} == {None, True}


def test_phones_wait_for_the_first_answer_and_go_on_soon_after_it(world: World) -> None:
    answer(world, SILENT)
    world.set_connector()
    want_phones(world)
    world.pass_time(minutes=10)
    seen, silent_until = (world.registrations(), world.waiting()[0].why), world.clock.at

    answer(world, None)
    world.pass_time(minutes=40)

    (registration,) = world.registrations().values()
    first_answer = next(one for one in moments(world) if one >= silent_until)
    assert seen == ({}, "not_yet_checked")
    # It is looked at after as long again as the connector has been silent.
    assert moment(registration["created_at"]) - first_answer <= first_answer - moment(connector(world)["set_at"])


@pytest.mark.parametrize("seconds", [0, 0.5, 30])
def test_phones_that_wait_for_a_connector_that_is_just_set_are_registered_within_seconds(
    world: World, seconds: float
) -> None:
    world.launch()
    world.start_app("one")
    world.pass_time(minutes=5)
    world.set_connector()
    world.pass_time(seconds=seconds)

    world.pass_time(seconds=4)

    assert len(world.registrations()) == 1


def test_a_connector_that_lets_nobody_in_is_disconnected_until_it_answers(world: World) -> None:
    answer(world, Attempt(401, None, 0.1))
    world.set_connector()

    world.pass_time(hours=6)
    shown = [error.error_code for error in world.directory.system(world.manager_id).errors]
    paused = [fact["pause_s"] for fact in world.facts("paused")]
    answer(world, None)
    world.pass_time(hours=1, minutes=11)

    assert shown == ["account_disconnected"]
    assert paused[:6] == [300, 600, 1200, 2400, 3600, 3600]
    assert world.pause() is None
    assert world.directory.system(world.manager_id).errors == []
    assert "checked_at" in connector(world)


def test_retry_after_holds_for_the_watch_and_for_phones(world: World) -> None:
    answer(world, Attempt(429, None, 0.1, b"", "1800"))
    world.set_connector()
    want_phones(world)
    world.pass_time(minutes=29)
    asked = len(world.asked())

    answer(world, None)
    world.pass_time(minutes=40)

    assert asked == 1
    assert len(world.children()) == 2


def test_a_shorter_pause_does_not_end_a_longer_one(world: World) -> None:
    """A request that was under way is told a shorter time than another one, which was answered before it."""
    world.set_connector()
    world.pass_time(minutes=5)
    want_phones(world)
    key, table = manager_pause_key(*world.connector_id), world.memory.table

    def another_is_paused(_: Request) -> None:
        pause_manager(table, key, None, BusyError(1800), world.clock.now(), asked=None)

    world.before_request = another_is_paused
    answer(world, Attempt(503, None, 0.1, b"", "5"))

    world.pass_time(seconds=0)

    assert (world.pause() or {})["paused_until"] == timestamp(world.clock.at + timedelta(seconds=1800))
    assert [fact["pause_s"] for fact in world.facts("paused")] == [1800]


def test_a_connector_that_is_set_anew_has_one_watch(world: World) -> None:
    world.set_connector()
    world.pass_time(minutes=5)
    world.set_connector("http://127.0.0.1:2/")

    world.pass_time(hours=4)

    assert ends(world) == ["superseded", None]
    assert len(moments(world)) in {6, 7}


def test_a_watch_ends_when_the_operator_pauses_the_connector_and_another_begins_with_it(world: World) -> None:
    world.set_connector()
    world.pass_time(minutes=5)
    world.pause_connector()
    world.pass_time(hours=3)
    asked, ended = len(moments(world)), ends(world)

    world.resume_connector()
    world.pass_time(seconds=0)

    assert (asked, ended) == (1, ["paused"])
    assert (len(moments(world)), ends(world)) == (2, ["paused", None])


def test_a_watch_ends_when_the_connector_is_removed(world: World) -> None:
    world.set_connector()
    world.pass_time(minutes=5)
    world.remove_connector()

    world.pass_time(hours=3)

    assert (len(moments(world)), ends(world)) == (1, ["removed"])


@pytest.mark.parametrize("change", ["other address", "removed", "removed and set", "paused and resumed"])
def test_what_an_old_address_answers_is_not_written_to_a_connector_that_was_changed_meanwhile(
    world: World, change: str
) -> None:
    def old(*_: Any) -> Attempt:
        world.send = None  # the next request goes to the present connector
        world.clock.turn(seconds=1)
        change_connector(world, change)
        body = {"keeps_validity": False, "one_step": True, "pools": [{"pool": "old"}]}
        return Attempt(200, None, 0.1, json.dumps(body).encode())

    world.send = old
    world.set_connector()

    world.pass_time(minutes=5)

    (first, *_) = world.facts("manager.check")
    assert first["is_dropped"] is True
    if change == "removed":
        assert world.connector() is None
        assert connector_pools_key(*world.connector_id) not in world.memory.items()
    else:
        assert (connector(world)["keeps_validity"], connector(world)["one_step"]) == (True, False)
        assert [pool["pool"] for pool in pools(world)] == ["standard", "visitor"]


def change_connector(world: World, change: str) -> None:
    match change:
        case "other address":
            world.set_connector("http://127.0.0.1:2/")
        case "removed":
            world.remove_connector()
        case "removed and set":
            world.remove_connector()
            world.set_connector("http://127.0.0.1:2/")
        case "paused and resumed":
            world.pause_connector()
            world.resume_connector()


def test_a_start_that_is_doubled_leaves_one_watch(world: World) -> None:
    world.set_connector()
    world.provisioning.follow()
    (begun,) = watches(world)
    world.provisioning.executions["again"] = Execution("again", begun.given, world.clock.at)

    world.pass_time(hours=4)

    assert sorted(map(str, ends(world))) == ["None", "superseded"]
    assert len(moments(world)) <= 6


def test_a_start_that_was_lost_is_told_and_made_good_by_setting_the_connector_again(world: World) -> None:
    world.set_connector()
    world.provisioning.follow()
    world.provisioning.executions.clear()
    world.pass_time(hours=3)
    told_of = watches_that_stand_still(world.memory.table, world.workspace.workspace_id, world.clock.at)

    world.set_connector()
    world.pass_time(minutes=1)

    assert [one.id for one in told_of] == [world.connector_id]
    assert "checked_at" in connector(world)
    assert watches_that_stand_still(world.memory.table, world.workspace.workspace_id, world.clock.at) == []


def test_another_watch_takes_over_after_many_looks(world: World) -> None:
    world.set_connector()

    world.pass_time(days=13)

    assert ends(world) == ["handed_over", None]
    assert len(moments(world)) > MOST_LOOKS
    assert all(wait <= timedelta(hours=1, seconds=2) for wait in waits(world))


class Killed(BaseException):
    """The process of an execution ends."""


@contextmanager
def killing_at(world: World, number: int) -> Iterator[list[int]]:
    """Kill the execution that runs at a moment: before or after a request to the table or to the connector."""
    passed = [0]

    def come_by(_: object) -> None:
        passed[0] += 1
        if passed[0] == number:
            raise Killed

    go_on = world.provisioning.go_on

    def run(execution: Execution) -> None:
        world.memory.before, world.memory.after = come_by, come_by
        world.before_request = world.after_request = come_by
        try:
            go_on(execution)
        except Killed:
            execution.wakes_at = world.clock.at + timedelta(seconds=1)
        finally:
            world.memory.before = world.memory.after = lambda _: None
            world.before_request = world.after_request = lambda _: None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.provisioning, "go_on", run)
        yield passed


def test_a_watch_may_be_killed_before_and_after_each_request() -> None:
    number, last = 0, False
    while not last:
        number += 1
        world = World()
        with requests_on(world.clock), killing_at(world, number) as passed:
            world.set_connector()
            world.pass_time(minutes=61)
            last = passed[0] < number

        assert ends(world) == [None]
        assert moment(connector(world)["checked_at"]) > moment(connector(world)["set_at"])
        assert len(pools(world)) == 2
        assert 2 <= len(moments(world)) <= 3
    assert number > 12


def test_a_story_may_be_killed_before_and_after_each_request() -> None:
    number, last = 0, False
    while not last:
        number += 1
        world = World()
        with requests_on(world.clock), killing_at(world, number) as passed:
            world.set_connector()
            want_phones(world)
            world.pass_time(minutes=2)
            last = passed[0] < number
        world.look()

        assert world.differing() == []
        assert [one["state"] for one in [*world.registrations().values(), *world.children()]] == ["active"] * 3
    assert number > 60


def test_a_table_that_is_out_of_reach_is_waited_for(world: World) -> None:
    world.set_connector()
    world.pass_time(minutes=5)
    ends_at = world.clock.at + timedelta(hours=2)
    go_on = world.provisioning.go_on

    def run(execution: Execution) -> None:
        def out_of_reach(_: object) -> None:
            if world.clock.at < ends_at:
                raise ServiceUnavailable

        world.memory.before = out_of_reach
        try:
            go_on(execution)
        finally:
            world.memory.before = lambda _: None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.provisioning, "go_on", run)
        world.pass_time(hours=4)

    assert ends(world) == [None]
    assert len(moments(world)) in {3, 4}
    assert moment(connector(world)["checked_at"]) >= ends_at
