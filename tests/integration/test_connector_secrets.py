"""A rotation of a connector's signing secret loses no request, whenever its owner puts the new one in place."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from enrollment.managers.protocol import Request
from enrollment.timestamps import timestamp
from tests.connectors import MASTER, World
from tests.provisioning import requests_on

# A story has so many requests to the connector, and some more.
REQUESTS = 17


def play(world: World) -> None:
    """Enroll a person with two phones, change a validity, and delete the person."""
    world.set_connector()
    world.launch()
    credential_id = world.create_credential()
    for installation in ("one", "two"):
        world.start_app(installation)
    world.pass_time(minutes=5)
    world.directory.update_credential(credential_id, ends_at=timestamp(world.clock.at + timedelta(days=9)))
    world.pass_time(minutes=5)
    world.directory.delete(world.person_id)
    world.pass_time(minutes=5)


def after_request(world: World, deeds: dict[int, Callable[[], None]]) -> None:
    """Have something done after the answer to a request, by its number."""

    def done(_: Request) -> None:
        if (deed := deeds.get(len(world.when))) is not None:
            deed()

    world.after_request = done


@pytest.mark.parametrize("rotated_at", [1, 7])
@pytest.mark.parametrize("later", range(REQUESTS - 7))
def test_no_request_is_refused_whenever_the_owner_takes_the_new_secret(rotated_at: int, later: int) -> None:
    world = World()
    new: list[str] = []

    def rotate() -> None:
        new.append(world.rotate_secret(hours=24))
        if later == 0:
            switch()

    def switch() -> None:
        world.network.secret = new[0]

    after_request(world, {rotated_at + later: switch, rotated_at: rotate})
    with requests_on(world.clock):
        play(world)

    assert world.network.secret == new[0]
    assert set(world.network.statuses) == {200}
    assert len(world.when) >= REQUESTS
    assert world.differing() == []
    assert [facts for facts in world.facts() if "failure" in facts] == []


def test_two_rotations_lose_nothing_before_the_owner_takes_the_newest_secret() -> None:
    world = World()
    new: list[str] = []

    def rotate() -> None:
        new.append(world.rotate_secret(hours=24))

    def switch() -> None:
        world.network.secret = new[-1]

    after_request(world, {2: rotate, 6: rotate, 11: switch})
    with requests_on(world.clock):
        play(world)

    assert len(set(new)) == 2
    assert set(world.network.statuses) == {200}
    assert world.differing() == []


def test_after_the_overlap_the_former_secret_signs_nothing_any_more() -> None:
    world = World()
    with requests_on(world.clock):
        world.set_connector()
        world.pass_time(minutes=5)
        new = world.rotate_secret(hours=2)

        world.pass_time(hours=4)
        refused = world.pause()
        world.network.secret = new
        world.pass_time(hours=2)

    assert refused is not None
    assert refused["reason"] == "disconnected"
    assert world.pause() is None


def test_no_secret_is_in_the_table() -> None:
    world = World()
    secrets: set[str] = set()
    written: list[str] = []
    world.memory.after = lambda _: written.append(str(world.memory.items()))

    def note() -> None:
        secrets.add(world.network.secret)

    def rotate() -> None:
        note()
        world.network.secret = world.rotate_secret(hours=24)
        note()

    after_request(world, {5: rotate})
    with requests_on(world.clock):
        play(world)

    assert len(secrets) == 2
    hidden = [*(part for one in secrets for part in (one, one.removeprefix("whsec_"))), MASTER.decode()]
    assert [one for one in hidden if any(one in text for text in written)] == []


def test_what_the_app_needs_is_kept_only_until_the_phone_is_active() -> None:
    world = World()
    with requests_on(world.clock):
        world.set_connector()
        world.launch()
        world.start_app("one")
        world.pass_time(seconds=0)
        (invited,) = world.registrations().values()

        world.pass_time(minutes=5)

    (active,) = world.registrations().values()
    code = next(iter(world.manufacturer.codes()))
    assert code in str(invited["app"])
    assert code not in str(world.memory.items())
    assert code not in str(world.provisioning.told)
    assert active["state"] == "active"
