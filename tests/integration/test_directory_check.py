"""``enrollments directory check`` finds what the table's invariants name, and puts it right."""

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from enrollment.callers import Caller
from enrollment.errors import ServiceUnavailable
from enrollment.store.actions import change, delete, put
from enrollment.store.attributes import Item
from enrollment.store.items import stored_acs_user, stored_user_identity
from enrollment.store.keys import (
    Key,
    acs_credential_pool_listing_key,
    acs_system_listing_key,
    acs_user_key,
    acs_user_link_key,
    acs_user_listing_key,
    acs_user_match_key,
    acs_user_of_system_listing_key,
    automation_by_id_key,
    automation_key,
    client_session_listing_key,
    client_session_of_key_key,
    client_session_of_key_listing_key,
    client_session_of_user_identities_key,
    client_session_of_user_identity_listing_key,
    credential_manager_listing_key,
    enrolled_listing_key,
    event_key,
    event_listing_key,
    event_of_user_identity_listing_key,
    held_delivery_key,
    unique_key,
    user_identity_key,
    user_identity_listing_key,
    webhook_key,
)
from enrollment.use_cases.client_session_items import end_sessions_of_user_identity
from enrollments.directory.checking import Finding, check
from enrollments.directory.commands import directory
from tests.fixtures import TABLE_NAME, Store, Workspace, put_all
from tests.integration.conftest import Directory, Outage
from tests.invariants import violations

CREATED_AT = "2024-01-09T05:45:33.068Z"
ANN = {"email_address": "Ann@example.com", "phone_number": "+15555550100", "user_identity_key": "ann"}
OTHER = "00000000-0000-4000-8000-000000000001"

RECORDS = {"ACS_SYSTEM", "ACS_CREDENTIAL_POOL", "CLIENT_SESSION", "WORKSPACE"}
# A session can lack the items by which it is found again, and the records of tokens are outside of the workspace.
NOT_REQUIRED = ("CLIENT_SESSION_OF_", "TOKEN")

type Run = Callable[..., Result]


class World:
    """A workspace with one of everything, and the keys of what is stored of it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.id = str(uuid4())
        workspace = Workspace(store.table, self.id)
        self.directory = Directory(store.table, Caller(self.id))
        self.manager = workspace.credential_manager(created_at=CREATED_AT)
        self.pool = workspace.acs_credential_pool(self.manager)
        person = {name: ANN[name] for name in ("email_address", "phone_number")}
        self.anns = workspace.acs_user(self.manager, created_at=CREATED_AT, **person)
        self.ann = workspace.user_identity(created_at=CREATED_AT, **ANN)
        self.automation = self.directory.launch(
            self.ann, self.manager, create_credential_manager_user=True
        ).enrollment_automation_id
        workspace.exist()
        self.session = workspace.client_session(self.ann, user_identifier_key="ann").client_session_id
        self.items = store.items()

    def derived(self) -> list[Key]:
        """Return the keys of what is derived from other items."""
        ann = user_identity_key(self.id, self.ann)
        records = {
            ann,
            automation_key(self.id, self.ann, self.manager),
            acs_user_key(self.id, self.anns),
            *(key for key in self.items if key.sk in RECORDS),
        }
        return sorted(key for key in self.items.keys() - records if not key.sk.startswith(NOT_REQUIRED))

    def change(self, key: Key, **assign: str | bool) -> None:
        assert not self.store.table.transact({"item": change(key, assign=assign)})

    def delete(self, *keys: Key) -> None:
        assert not self.store.table.transact({str(number): delete(key) for number, key in enumerate(keys)})

    def check(self, *, mend: bool = False) -> list[Finding]:
        return list(check(self.store.table, self.id, mend=mend))

    def put(self, key: Key, item: Item | None = None) -> None:
        assert not self.store.table.transact({"item": put(key, item or {})})


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


@pytest.fixture
def run(world: World) -> Run:
    def run_(*arguments: str) -> Result:
        options = ["check", "--table-name", TABLE_NAME, "--workspace-id", world.id]
        return CliRunner().invoke(directory, [*options, *arguments])

    return run_


def needless(world: World) -> list[tuple[Key, Item]]:
    """Return an entry of each kind that stands for nothing that is there, or not for what it says."""
    manager, ann, anns = world.manager, world.ann, world.anns
    age = "2020-01-01T00:00:00.000Z"
    pair: Item = {"user_identity_id": ann, "credential_manager_acs_system_id": manager}
    return [
        (user_identity_listing_key(world.id, age, ann), {}),
        (user_identity_listing_key(world.id, CREATED_AT, OTHER), {}),
        (unique_key(world.id, "email_address", "bob@example.com"), {"user_identity_id": ann}),
        (unique_key(world.id, "phone_number", "+15555550199"), {"user_identity_id": OTHER}),
        (unique_key(world.id, "user_identity_key", "b#\n1"), {"user_identity_id": ann}),
        (automation_by_id_key(world.id, OTHER), pair),
        (enrolled_listing_key(world.id, manager, OTHER), {}),
        (acs_user_listing_key(world.id, age, anns), {}),
        (acs_user_listing_key(world.id, CREATED_AT, OTHER), {}),
        (acs_user_of_system_listing_key(world.id, manager, age, anns), {}),
        (acs_user_of_system_listing_key(world.id, OTHER, CREATED_AT, anns), {}),
        (acs_user_match_key(world.id, manager, "email_address", "bob@example.com", anns), {}),
        (acs_user_match_key(world.id, manager, "phone_number", "+15555550100", OTHER), {}),
        (acs_user_link_key(world.id, ann, OTHER), {"acs_user_id": anns}),
        (acs_user_link_key(world.id, OTHER, manager), {"acs_user_id": OTHER}),
        (acs_system_listing_key(world.id, age, manager), {}),
        (credential_manager_listing_key(world.id, CREATED_AT, OTHER), {}),
        (acs_credential_pool_listing_key(world.id, manager, age, world.pool), {}),
        (client_session_listing_key(world.id, age, world.session), {}),
        (client_session_of_user_identity_listing_key(world.id, OTHER, CREATED_AT, world.session), {}),
        (client_session_of_key_listing_key(world.id, "a#\nb", CREATED_AT, OTHER), {}),
        (client_session_of_key_key(world.id, "a#\nb"), {"client_session_id": world.session}),
        (client_session_of_user_identities_key(world.id, [OTHER]), {"client_session_id": OTHER}),
    ]


NEEDLESS = range(23)
# Those of the world above: one of everything, with each address.
DERIVED = range(18)


def test_what_is_left_and_what_was_mended_is_counted(world: World, run: Run) -> None:
    world.delete(world.derived()[0])

    found, mended = run(), run("--mend")

    assert (found.exit_code, found.stdout) == (1, "0 mended, 1 left.\n")
    assert (mended.exit_code, mended.stdout) == (0, "1 mended, 0 left.\n")


def test_a_sound_workspace_has_nothing_wrong(run: Run) -> None:
    result = run()

    assert (result.exit_code, result.output) == (0, "Nothing is wrong.\n")


def test_events_webhooks_and_held_deliveries_are_passed_over(world: World) -> None:
    event = Workspace(world.store.table, world.id).event(user_identity_id=world.ann)
    event_alone: Item = {"event_id": OTHER, "workspace_id": world.id}
    world.put(event_key(world.id, OTHER), event_alone)
    world.put(event_listing_key(world.id, CREATED_AT, "0" * 40, OTHER), event_alone)
    world.put(event_of_user_identity_listing_key(world.id, OTHER, CREATED_AT, "0" * 40, OTHER), event_alone)
    world.put(webhook_key(world.id, OTHER), {"webhook_id": OTHER, "workspace_id": world.id})
    world.put(held_delivery_key(world.id, OTHER, CREATED_AT, event), {"event": "{}"})
    before = world.store.items()

    found = world.check(mend=True)

    assert found == []
    assert world.store.items() == before


def test_every_kind_of_entry_is_tried(world: World) -> None:
    assert (len(needless(world)), len(world.derived())) == (len(NEEDLESS), len(DERIVED))


@pytest.mark.parametrize("number", DERIVED)
def test_what_is_missing_is_found_and_put_again(world: World, number: int) -> None:
    world.delete(world.derived()[number])

    found, mended = world.check(), world.check(mend=True)

    assert ([finding.is_mended for finding in found], [finding.is_mended for finding in mended]) == ([False], [True])
    assert world.store.items() == world.items


@pytest.mark.parametrize("number", NEEDLESS)
def test_what_stands_for_nothing_is_found_and_deleted(world: World, number: int) -> None:
    world.put(*needless(world)[number])

    found, mended = world.check(), world.check(mend=True)

    assert ([finding.is_mended for finding in found], [finding.is_mended for finding in mended]) == ([False], [True])
    assert world.store.items() == world.items


def test_all_at_once_is_put_right(world: World, run: Run) -> None:
    world.delete(*world.derived())
    for key, item in needless(world):
        world.put(key, item)

    mended = run("--mend", "--json")

    assert json.loads(mended.stdout)["left"] == 0
    assert world.store.items() == world.items


def test_without_mend_nothing_is_written(world: World, run: Run) -> None:
    world.delete(world.derived()[0])
    before = world.store.items()

    run()

    assert world.store.items() == before


def test_a_finding_names_ids_and_no_address(world: World, run: Run) -> None:
    world.delete(acs_user_match_key(world.id, world.manager, "email_address", "ann@example.com", world.anns))

    result = run()

    assert result.stderr == f"ACS user {world.anns}: its entry for finding it by an address is missing\n"


def test_an_acs_user_that_its_identity_does_not_list_is_listed(world: World, run: Run) -> None:
    key = user_identity_key(world.id, world.ann)
    assert not world.store.table.transact({"item": change(key, remove=["acs_user_ids"])})

    run("--mend")

    assert world.store.items() == world.items


def test_an_acs_user_that_is_listed_wrongly_is_listed_no_more(world: World, run: Run) -> None:
    key = user_identity_key(world.id, world.ann)
    assert not world.store.table.transact({"item": change(key, add={"acs_user_ids": frozenset({OTHER})})})

    run("--mend")

    assert world.store.items() == world.items


def test_an_acs_user_of_an_identity_that_is_gone_is_unlinked(world: World, run: Run) -> None:
    identity = world.items[user_identity_key(world.id, world.ann)]
    end_sessions_of_user_identity(world.store.table, world.id, world.ann)
    world.delete(*stored_user_identity(identity))

    result = run("--mend")

    assert result.exit_code == 0
    assert world.directory.acs_user(world.anns).user_identity_id is None
    assert violations(world.store.items()) == []


def test_two_acs_users_of_one_identity_need_a_person(world: World, run: Run) -> None:
    second = str(uuid4())
    item = {**world.items[acs_user_key(world.id, world.anns)], "acs_user_id": second}
    put_all(world.store.table, stored_acs_user(item))
    key = user_identity_key(world.id, world.ann)
    assert not world.store.table.transact({"item": change(key, add={"acs_user_ids": frozenset({second})})})

    result = run("--mend")

    assert result.exit_code == 1
    assert f"ACS user {second}: its user identity has another ACS user" in result.stderr
    assert second in {acs_user.acs_user_id for acs_user in world.directory.acs_users_of(world.ann)}


def test_a_unique_value_of_two_identities_needs_a_person(world: World, run: Run) -> None:
    bob = user_identity_key(world.id, Workspace(world.store.table, world.id).user_identity())
    bobs_id = bob.pk.rpartition("#")[2]
    world.change(bob, user_identity_key="ann")

    result = run("--mend")

    assert result.exit_code == 1
    assert f"user identity {bobs_id}: its entry that keeps a value unique belongs to another" in result.stderr


def test_a_system_that_was_demoted_is_named_once(world: World, run: Run) -> None:
    (system,) = (key for key in world.items if key.sk == "ACS_SYSTEM")
    world.change(system, is_credential_manager=False)
    world.delete(credential_manager_listing_key(world.id, CREATED_AT, world.manager))

    result = run("--mend")

    assert result.exit_code == 1
    assert result.stderr.count(f"ACS system {world.manager}: has credential pools or enrolled user identities") == 1


def test_what_somebody_is_changing_at_this_moment_is_no_finding(world: World) -> None:
    key = world.derived()[0]
    world.delete(key)
    looks: Iterator[Key] = iter([key])

    def put_back(**_: Any) -> None:
        for missing in looks:
            world.put(missing, world.items[missing])

    world.store.watch("before-call.dynamodb.GetItem", put_back)

    assert world.check() == []


def test_an_interrupted_check_is_finished_by_the_next(world: World, outage: Outage) -> None:
    world.delete(*world.derived()[:3])
    for key, item in needless(world)[:3]:
        world.put(key, item)

    for requests in count():
        outage.left = requests
        try:
            world.check(mend=True)
            break
        except ServiceUnavailable:
            outage.left = None

    outage.left = None
    assert requests > 5
    assert world.store.items() == world.items


def test_another_workspace_is_left_alone(run: Run, store: Store) -> None:
    other = World(store)
    other.delete(other.derived()[0])

    assert run("--mend").exit_code == 0
