"""Requests at the same moment, from several processes, against a DynamoDB server.

moto will not do: its transactions are not isolated from each other.  ``ENROLLMENTS_RACE_ROUNDS`` is how often each
scenario is tried.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest

from enrollment.callers import Caller
from enrollment.store.client import create_client
from enrollment.use_cases.workspace_deletion import left_of_workspace
from enrollments.directory.checking import check
from enrollments.local.stack import lambda_environment
from experiments import figures
from experiments.reliability.processes import PROCESSES, Call, Memory, Outcome, Racer, all_at_once, call
from local_aws.functions import environment
from tests.fixtures import Store, Workspace, create_table
from tests.integration.conftest import Directory
from tests.invariants import violations
from tests.provisioning import AtManager, in_table

pytestmark = [pytest.mark.races, pytest.mark.timeout(0)]

ROUNDS = int(os.environ.get("ENROLLMENTS_RACE_ROUNDS", "10"))


@dataclass(frozen=True)
class Race:
    """Tries scenarios in a table of its own.

    Attributes:
        name: The scenario's.
        store: The table.
        workspace: Everything happens in it.
        variables: Where DynamoDB is.
        rows: What the scenarios have found.
        memory: What each process remembers when a round begins.
    """

    name: str
    store: Store
    workspace: Workspace
    variables: dict[str, str]
    rows: list[dict[str, str | int]]
    memory: Memory = Memory.NOTHING

    @property
    def directory(self) -> Directory:
        return Directory(self.store.table, Caller(self.workspace.workspace_id))

    def run(self, prepare: Callable[[], list[Call]], *codes: str) -> list[list[Outcome]]:
        """Try a scenario, require that nothing is wrong with the table afterwards, and return the outcomes.

        Args:
            prepare: Puts a round's items and returns its calls.
            codes: Errors that a call may be answered with, beside ``service_unavailable``, which is counted.
        """
        rounds = [prepare() for _ in range(ROUNDS)]
        outcomes = all_at_once(self.variables, self.store.table_name, self.workspace.workspace_id, rounds, self.memory)
        counts = Counter(outcome.code for answers in outcomes for outcome in answers)
        print(f"\n{ROUNDS} rounds: {dict(counts)}", end=" ")  # noqa: T201 - what a run by hand is for
        wrong = violations(self.store.items())
        wrong += [f"{one.about}: {one.problem}" for one in check(self.store.table, self.workspace.workspace_id)]
        self.rows.append(
            {
                "race": self.name,
                "rounds": ROUNDS,
                "calls": counts.total(),
                "done": counts[None],
                "refused": counts.total() - counts[None] - counts["service_unavailable"],
                "503": counts["service_unavailable"],
                "violations": len(wrong),
            }
        )
        assert counts.keys() <= {None, "service_unavailable", *codes}
        assert wrong == []
        return outcomes


@pytest.fixture(scope="module")
def rows() -> Iterator[list[dict[str, str | int]]]:
    found: list[dict[str, str | int]] = []
    yield found
    if found:
        found.sort(key=lambda row: str(row["race"]))
        numbers = {name for name, value in found[0].items() if isinstance(value, int)}
        total: dict[str, str | int] = {name: sum(int(row[name]) for row in found) for name in numbers}
        found.append({name: total.get(name, "all") for name in found[0]})
        figures.record("races", f"Calls of {PROCESSES} processes at the same moment, on DynamoDB Local", found)


@pytest.fixture
def race(dynamodb_local: str, rows: list[dict[str, str | int]], request: pytest.FixtureRequest) -> Iterator[Race]:
    variables = lambda_environment(dynamodb_local)
    with environment(variables, without=("AWS_",)):
        client, name = create_client(), f"races-{uuid4()}"
        table = create_table(client, name)
        title = request.node.name.removeprefix("test_").replace("_", " ")
        yield Race(title, Store(table, client, name), Workspace(table, str(uuid4())), variables, rows)
        client.delete_table(TableName=name)


@pytest.fixture(params=Memory, ids=str)
def launch_race(race: Race, request: pytest.FixtureRequest) -> Race:
    """A race whose launches meet processes that know nothing, everything, or what holds no longer."""
    return replace(race, memory=request.param)


def codes(outcomes: list[Outcome]) -> set[str | None]:
    """Return what calls were answered with that reached the database."""
    return {outcome.code for outcome in outcomes} - {"service_unavailable"}


def winners(outcomes: list[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.code is None]


@pytest.mark.parametrize("attribute", ["user_identity_key", "email_address", "phone_number"])
def test_one_of_several_creations_with_a_value_wins_and_the_others_name_it(race: Race, attribute: str) -> None:
    def prepare() -> list[Call]:
        name, number = f"jane.{uuid4().hex}@example.com", f"+1{uuid4().int % 10**12}"
        spellings = {
            "user_identity_key": [name] * PROCESSES,
            "email_address": [name, name.upper(), name.title(), name.swapcase()],
            "phone_number": [number] * PROCESSES,
        }
        return [call("create", **{attribute: value}) for value in spellings[attribute]]

    for outcomes in race.run(prepare, "user_identity_already_exists"):
        (winner,) = winners(outcomes)
        named = {"data": {"user_identity_id": winner.result["user_identity_id"]}}
        assert all(outcome.details == named for outcome in outcomes if outcome.code == "user_identity_already_exists")


def test_one_of_two_updates_to_a_value_wins(race: Race) -> None:
    def prepare() -> list[Call]:
        first, second = race.workspace.user_identity(), race.workspace.user_identity()
        address = f"jane.{uuid4().hex}@example.com"
        return [
            call("update", identity, email_address=email)
            for email in (address, address.upper())
            for identity in (first, second)
        ]

    for outcomes in race.run(prepare, "user_identity_already_exists"):
        assert codes(outcomes) == {None, "user_identity_already_exists"}


def test_values_that_are_exchanged_stay_unique(race: Race) -> None:
    def prepare() -> list[Call]:
        addresses = [f"{name}.{uuid4().hex}@example.com" for name in ("a", "b")]
        ids = [race.workspace.user_identity(email_address=address) for address in addresses]
        return [
            call("update", ids[0], email_address=addresses[1]),
            call("update", ids[1], email_address=addresses[0]),
            call("update", ids[0], email_address=None),
            call("create", email_address=addresses[0]),
        ]

    race.run(prepare, "user_identity_already_exists")


def test_the_same_launch_is_one_automation(launch_race: Race) -> None:
    manager = launch_race.workspace.credential_manager()
    pool = launch_race.workspace.acs_credential_pool(manager)

    def prepare() -> list[Call]:
        return [call("launch", launch_race.workspace.user_identity(), manager, acs_credential_pool_id=pool)] * PROCESSES

    for outcomes in launch_race.run(prepare):
        assert len({outcome.result["enrollment_automation_id"] for outcome in winners(outcomes)}) == 1


def test_of_launches_that_differ_one_kind_wins_and_the_others_name_its_automation(launch_race: Race) -> None:
    manager = launch_race.workspace.credential_manager()
    pool = launch_race.workspace.acs_credential_pool(manager)

    def prepare() -> list[Call]:
        identity = launch_race.workspace.user_identity()
        plain, with_pool = (
            call("launch", identity, manager),
            call("launch", identity, manager, acs_credential_pool_id=pool),
        )
        return [plain, with_pool, plain, with_pool]

    for outcomes in launch_race.run(prepare, "enrollment_automation_already_exists"):
        (automation_id,) = {outcome.result["enrollment_automation_id"] for outcome in winners(outcomes)}
        named = {"data": {"enrollment_automation_id": automation_id}}
        refused = [outcome for outcome in outcomes if outcome.code == "enrollment_automation_already_exists"]
        assert all(outcome.details == named for outcome in refused)
        assert len(winners(outcomes)) == 2 or "service_unavailable" in {outcome.code for outcome in outcomes}


def test_a_launch_against_the_deletion_of_its_automation(launch_race: Race) -> None:
    manager = launch_race.workspace.credential_manager()

    def prepare() -> list[Call]:
        identity = launch_race.workspace.user_identity()
        launched = launch_race.directory.launch(identity, manager).enrollment_automation_id
        launch, delete = call("launch", identity, manager), call("delete_automation", launched)
        return [launch, delete, launch, delete]

    for outcomes in launch_race.run(prepare, "enrollment_automation_not_found"):
        launches, deletions = outcomes[::2], outcomes[1::2]
        assert codes(launches) <= {None}
        assert len(winners(deletions)) <= 1


def test_two_identities_that_match_one_acs_user_get_one_each(launch_race: Race) -> None:
    manager = launch_race.workspace.credential_manager()

    def prepare() -> list[Call]:
        address, number = f"jane.{uuid4().hex}@example.com", f"+1{uuid4().int % 10**12}"
        launch_race.workspace.acs_user(manager, email_address=address, phone_number=number)
        by_email = launch_race.workspace.user_identity(email_address=address)
        by_phone = launch_race.workspace.user_identity(phone_number=number)
        return [
            call("launch", identity, manager, create_credential_manager_user=True)
            for identity in (by_email, by_phone, by_email, by_phone)
        ]

    for outcomes in launch_race.run(prepare):
        assert len({outcome.result["enrollment_automation_id"] for outcome in winners(outcomes)}) == 2


def test_a_new_identity_and_a_launch_that_match_one_acs_user_get_one_each(launch_race: Race) -> None:
    manager = launch_race.workspace.credential_manager()

    def prepare() -> list[Call]:
        address, number = f"jane.{uuid4().hex}@example.com", f"+1{uuid4().int % 10**12}"
        acs_user_id = launch_race.workspace.acs_user(manager, email_address=address, phone_number=number)
        identity = launch_race.workspace.user_identity(phone_number=number)
        return [
            call("create", email_address=address, acs_system_ids=[manager]),
            call("create", email_address=address.upper(), acs_system_ids=[manager]),
            call("launch", identity, manager, create_credential_manager_user=True),
            call("delete_acs_user", acs_user_id),
        ]

    launch_race.run(prepare, "user_identity_already_exists", "acs_user_not_found")


def test_a_launch_against_whatever_takes_its_parts_away(launch_race: Race) -> None:
    manager = launch_race.workspace.credential_manager()

    def prepare() -> list[Call]:
        identity, acs_user_id = linked(launch_race, manager)
        return [
            call("launch", identity, manager, create_credential_manager_user=True),
            call("delete_acs_user", acs_user_id),
            call("remove", acs_user_id, identity),
            call("delete", identity),
        ]

    launch_race.run(prepare, "user_identity_not_found", "acs_user_not_found")


@pytest.mark.parametrize("method", ["delete_acs_user", "remove", "delete"])
@pytest.mark.parametrize("way", ["by name", "its own"])
def test_launches_against_one_that_takes_a_part_away(launch_race: Race, method: str, way: str) -> None:
    manager = launch_race.workspace.credential_manager()

    def prepare() -> list[Call]:
        identity, acs_user_id = linked(launch_race, manager)
        options: dict[str, dict[str, str | bool]] = {
            "by name": {"credential_manager_acs_user_id": acs_user_id},
            "its own": {"create_credential_manager_user": True},
        }
        arguments = {"delete_acs_user": [acs_user_id], "remove": [acs_user_id, identity], "delete": [identity]}
        launch = call("launch", identity, manager, **options[way])
        return [launch, call(method, *arguments[method]), launch, call(method, *arguments[method])]

    launch_race.run(prepare, "user_identity_not_found", "acs_user_not_found")


def test_an_acs_user_is_linked_to_one_of_two_identities(race: Race) -> None:
    system = race.workspace.acs_system()

    def prepare() -> list[Call]:
        acs_user_id = race.workspace.acs_user(system)
        ids = [race.workspace.user_identity() for _ in range(2)]
        return [call("add", acs_user_id, user_identity_id=identity) for identity in (*ids, *ids)]

    for outcomes in race.run(prepare, "acs_user_already_linked"):
        assert codes(outcomes) == {None, "acs_user_already_linked"}


def test_an_identity_gets_one_of_several_acs_users_of_a_system(race: Race) -> None:
    system = race.workspace.acs_system()

    def prepare() -> list[Call]:
        identity = race.workspace.user_identity()
        ids = [race.workspace.acs_user(system) for _ in range(PROCESSES - 1)]
        adds = [call("add", acs_user_id, user_identity_id=identity) for acs_user_id in ids]
        return [*adds, call("create_acs_user", system, user_identity_id=identity)]

    for outcomes in race.run(prepare, "acs_user_already_linked"):
        assert len(winners(outcomes)) == 1


def test_acs_users_that_are_added_by_one_new_key_get_one_identity(race: Race) -> None:
    systems = [race.workspace.acs_system() for _ in range(PROCESSES)]

    def prepare() -> list[Call]:
        key = uuid4().hex
        return [call("add", race.workspace.acs_user(system), user_identity_key=key) for system in systems]

    race.run(prepare)

    identities = [key for key in race.store.items() if key.sk == "USER_IDENTITY"]
    assert len(identities) == ROUNDS


def test_an_identity_is_deleted_by_one_or_all(race: Race) -> None:
    systems = [race.workspace.acs_system() for _ in range(3)]
    manager = race.workspace.credential_manager()

    def prepare() -> list[Call]:
        identity, _ = linked(race, *systems)
        race.directory.launch(identity, manager, create_credential_manager_user=True)
        return [call("delete", identity)] * PROCESSES

    for outcomes in race.run(prepare, "user_identity_not_found"):
        assert winners(outcomes)
    assert [key for key in race.store.items() if key.sk == "USER_IDENTITY"] == []


def test_an_identity_is_deleted_while_things_are_attached_to_it(launch_race: Race) -> None:
    systems = [launch_race.workspace.acs_system() for _ in range(2)]
    manager = launch_race.workspace.credential_manager()

    def prepare() -> list[Call]:
        identity = launch_race.workspace.user_identity()
        adds = [call("add", launch_race.workspace.acs_user(system), user_identity_id=identity) for system in systems]
        return [call("delete", identity), *adds, call("launch", identity, manager, create_credential_manager_user=True)]

    launch_race.run(prepare, "user_identity_not_found")

    identities = [key for key in launch_race.store.items() if key.sk == "USER_IDENTITY"]
    assert identities == []


def test_an_identity_is_deleted_while_it_is_changed(race: Race) -> None:
    def prepare() -> list[Call]:
        identity = race.workspace.user_identity(email_address=f"a.{uuid4().hex}@example.com")
        return [
            call("delete", identity),
            call("update", identity, email_address=f"b.{uuid4().hex}@example.com"),
            call("update", identity, email_address=None, full_name="Jane"),
            call("delete", identity),
        ]

    race.run(prepare, "user_identity_not_found")


# --------------------------------------------------------------------------------------------------------------- Pages


@pytest.mark.parametrize("memory", [Memory.NOTHING, Memory.ALL])
def test_pages_have_what_stays_exactly_once_while_others_come_and_go(race: Race, memory: Memory) -> None:
    rounds: list[set[str]] = []

    def prepare() -> list[Call]:
        system = race.workspace.acs_system()
        ids = [race.workspace.acs_user(system) for _ in range(6)]
        rounds.append({*ids[:3], *ids[4:]})
        walk = call("walk", system, memory)
        return [walk, call("create_acs_user", system), walk, call("delete_acs_user", ids[3])]

    for (first, _, second, _), stay in zip(race.run(prepare), rounds, strict=True):
        for walked in (first.result["acs_user_ids"], second.result["acs_user_ids"]):
            assert len(walked) == len(set(walked))
            assert stay <= set(walked)


@pytest.mark.parametrize("memory", [Memory.NOTHING, Memory.ALL])
def test_a_secret_that_changes_ends_lists_of_new_processes_only(race: Race, memory: Memory) -> None:
    refusals = {Memory.NOTHING: ["invalid_input"], Memory.ALL: []}

    def prepare() -> list[Call]:
        system = race.workspace.acs_system()
        for _ in range(6):
            race.workspace.acs_user(system)
        walk, change = call("walk", system, memory), call("change_secret")
        return [walk, change, walk, change]

    race.run(prepare, *refusals[memory])


# ------------------------------------------------------------------------------------------------------------- Imports


def addresses() -> tuple[str, str]:
    """Return Ann's address and Bob's, as nobody has them yet."""
    return f"ann.{uuid4().hex}@example.com", f"bob.{uuid4().hex}@example.com"


def test_an_import_that_gives_a_record_to_another_against_launches(launch_race: Race) -> None:
    manager = launch_race.workspace.credential_manager()
    rounds: list[tuple[str, str]] = []

    def prepare() -> list[Call]:
        anns, bobs = addresses()
        acs_user_id = launch_race.workspace.acs_user(manager, email_address=anns)
        ann = launch_race.workspace.user_identity(email_address=anns)
        rounds.append((acs_user_id, ann))
        row = {"acs_user_id": acs_user_id, "acs_system_id": manager, "email_address": bobs}
        launch = call("launch", ann, manager, create_credential_manager_user=True)
        return [launch, call("import_and_look", **row), launch, call("create", full_name="Somebody else")]

    for outcomes, (acs_user_id, ann) in zip(launch_race.run(prepare), rounds, strict=True):
        imported = outcomes[1]
        was_linked_before = imported.result.get("user_identity_id") is not None
        is_anns_now = launch_race.directory.acs_user(acs_user_id).user_identity_id == ann
        assert imported.code or was_linked_before or not is_anns_now


def test_an_import_that_gives_a_record_to_another_against_new_identities(race: Race) -> None:
    manager = race.workspace.credential_manager()
    rounds: list[str] = []

    def prepare() -> list[Call]:
        anns, bobs = addresses()
        acs_user_id = race.workspace.acs_user(manager, email_address=anns)
        rounds.append(acs_user_id)
        row = {"acs_user_id": acs_user_id, "acs_system_id": manager, "email_address": bobs}
        return [
            call("create", email_address=anns, acs_system_ids=[manager]),
            call("import_and_look", **row),
            call("create", email_address=bobs, acs_system_ids=[manager]),
            call("add", acs_user_id, user_identity_key=uuid4().hex),
        ]

    outcomes = race.run(prepare, "user_identity_already_exists", "acs_user_already_linked")
    for (ann, imported, *_), acs_user_id in zip(outcomes, rounds, strict=True):
        was_linked_before = imported.result.get("user_identity_id") is not None
        is_anns_now = acs_user_id in ann.result.get("acs_user_ids", [])
        assert imported.code or was_linked_before or not is_anns_now


def test_an_identity_whose_address_changes_against_launches(launch_race: Race) -> None:
    manager = launch_race.workspace.credential_manager()
    rounds: list[tuple[str, str]] = []

    def prepare() -> list[Call]:
        anns, bobs = addresses()
        acs_user_id = launch_race.workspace.acs_user(manager, email_address=anns)
        launch_race.workspace.acs_user(manager, email_address=bobs)
        person = launch_race.workspace.user_identity(email_address=anns)
        rounds.append((acs_user_id, person))
        launch = call("launch", person, manager, create_credential_manager_user=True)
        return [
            launch,
            call("update_and_look", person, email_address=bobs),
            launch,
            call("import_row", acs_user_id=acs_user_id, acs_system_id=manager, full_name="Ann"),
        ]

    for outcomes, (acs_user_id, person) in zip(launch_race.run(prepare), rounds, strict=True):
        updated = outcomes[1]
        was_linked_before = bool(updated.result.get("acs_user_ids"))
        has_old_record = launch_race.directory.acs_user(acs_user_id).user_identity_id == person
        assert updated.code or was_linked_before or not has_old_record


def test_imports_of_a_record_against_its_deletion(race: Race) -> None:
    system = race.workspace.acs_system()

    def prepare() -> list[Call]:
        anns, bobs = addresses()
        acs_user_id = race.workspace.acs_user(system, email_address=anns)
        row = {"acs_user_id": acs_user_id, "acs_system_id": system}
        return [
            call("delete_acs_user", acs_user_id),
            call("import_row", **row, email_address=bobs),
            call("delete_acs_user", acs_user_id),
            call("import_row", **row, email_address=anns, created_at="2020-01-01T00:00:00.000Z"),
        ]

    race.run(prepare, "acs_user_not_found")


def test_imports_of_a_record_against_links_of_it(race: Race) -> None:
    manager = race.workspace.credential_manager()

    def prepare() -> list[Call]:
        anns, bobs = addresses()
        identity, acs_user_id = linked(race, manager)
        row = {"acs_user_id": acs_user_id, "acs_system_id": manager}
        return [
            call("import_row", **row, email_address=anns),
            call("remove", acs_user_id, identity),
            call("import_row", **row, email_address=bobs, phone_number=f"+1{uuid4().int % 10**12}"),
            call("delete", identity),
        ]

    race.run(prepare, "user_identity_not_found", "acs_user_not_found")


def test_imports_of_one_new_record(race: Race) -> None:
    system = race.workspace.acs_system()

    def prepare() -> list[Call]:
        anns, bobs = addresses()
        row = {"acs_user_id": str(uuid4()), "acs_system_id": system}
        created = {"created_at": "2020-01-01T00:00:00.000Z"}
        return [
            call("import_row", **row, email_address=anns),
            call("import_row", **row, email_address=bobs),
            call("import_row", **row, email_address=anns, **created),
            call("import_row", **row, full_name="Ann"),
        ]

    race.run(prepare)


def test_imports_of_a_system_against_launches_and_pools(launch_race: Race) -> None:
    def prepare() -> list[Call]:
        system = launch_race.workspace.acs_system()
        row = {"acs_system_id": system, "connected_account_id": str(uuid4())}
        pool = {"acs_credential_pool_id": str(uuid4()), "acs_system_id": system, "display_name": "Pool"}
        return [
            call("import_row", **row, name="A", is_credential_manager=True),
            call("launch", launch_race.workspace.user_identity(), system),
            call("import_if_right", **row, name="B", is_credential_manager=False),
            call("import_if_right", **pool),
        ]

    launch_race.run(prepare, "acs_system_is_not_credential_manager")


def test_a_deletion_by_identity_against_what_moves_its_acs_user(race: Race) -> None:
    system = race.workspace.acs_system()
    rounds: list[tuple[str, str]] = []

    def prepare() -> list[Call]:
        identity, acs_user_id = linked(race, system)
        other = race.workspace.user_identity()
        rounds.append((acs_user_id, other))
        return [
            call("delete_acs_user", user_identity_id=identity, acs_system_id=system),
            call("move", acs_user_id, identity, other),
            call("delete_acs_user", user_identity_id=identity, acs_system_id=system),
            call("import_row", acs_user_id=acs_user_id, acs_system_id=system, full_name="Moved"),
        ]

    outcomes = race.run(prepare, "acs_user_not_found", "user_identity_not_found", "acs_user_already_linked")
    for (_, moved, *_), (acs_user_id, other) in zip(outcomes, rounds, strict=True):
        assert moved.code or acs_user_id in race.directory.get(other).acs_user_ids


def test_a_workspaces_deletion_against_requests_and_commands_in_it(race: Race) -> None:
    deleted: list[str] = []

    def prepare() -> list[Call]:
        workspace = Workspace(race.store.table, str(uuid4()))
        workspace.exist()
        deleted.append(workspace.workspace_id)
        system, identity = workspace.credential_manager(), workspace.user_identity()
        row = {"acs_user_id": str(uuid4()), "acs_system_id": system, "full_name": "Ann"}
        in_it = ("in_workspace", workspace.workspace_id)
        return [
            call("delete_workspace", workspace.workspace_id),
            call(*in_it, "launch", identity, system, create_credential_manager_user=True),
            call(*in_it, "get_or_create_session", user_identity_ids=[identity]),
            call(*in_it, "issue_key") if len(deleted) % 2 else call(*in_it, "import_row", **row),
        ]

    race.run(prepare, "workspace_is_deleted", "user_identity_not_found")

    assert [left for one in deleted for left in left_of_workspace(race.store.table, one)] == []


def test_registrations_of_one_installation_are_one_phone(race: Race) -> None:
    race.workspace.become_sandbox()

    def prepare() -> list[Call]:
        identity = race.workspace.user_identity()
        return [call("create_phone", identity, custom_sdk_installation_id="app")] * PROCESSES

    for outcomes in race.run(prepare):
        assert len({outcome.result["device_id"] for outcome in winners(outcomes)}) == 1


def test_registrations_against_the_deactivation_of_their_phone(race: Race) -> None:
    race.workspace.become_sandbox()

    def prepare() -> list[Call]:
        identity = race.workspace.user_identity()
        phone = race.directory.create_phone(identity, custom_sdk_installation_id="app")
        register = call("create_phone", identity, custom_sdk_installation_id="app", phone_metadata={"os_version": "11"})
        deactivate = call("deactivate_phone", phone.device_id)
        return [register, deactivate, register, deactivate]

    for _, first, _, second in race.run(prepare, "phone_not_found"):
        assert codes([first, second]) <= {None, "phone_not_found"}


def test_credentials_for_a_person_who_is_not_in_the_system_are_of_one_acs_user(race: Race) -> None:
    manager = race.workspace.credential_manager()
    system = race.workspace.acs_system(default_credential_manager_acs_system_id=manager)

    def prepare() -> list[Call]:
        identity = race.workspace.user_identity()
        return [call("create_credential", user_identity_id=identity, acs_system_id=system)] * PROCESSES

    for outcomes in race.run(prepare):
        assert len({outcome.result["acs_user_id"] for outcome in winners(outcomes)}) == 1


def test_a_credential_is_updated_while_it_is_deleted(race: Race) -> None:
    manager = race.workspace.credential_manager()

    def prepare() -> list[Call]:
        acs_user = race.directory.create_acs_user(manager, user_identity_id=race.workspace.user_identity())
        created = race.directory.create_credential(acs_user.acs_user_id, credential_manager_acs_system_id=manager)
        return [
            call("update_credential", created.acs_credential_id, ends_at="2098-01-01T00:00:00Z"),
            call("update_credential", created.acs_credential_id, ends_at="2099-01-01T00:00:00Z"),
            call("delete_credential", created.acs_credential_id),
            call("delete_credential", created.acs_credential_id),
        ]

    for *_, first, second in race.run(prepare, "acs_credential_not_found"):
        assert codes([first, second]) <= {None, "acs_credential_not_found"}


@pytest.mark.parametrize("end", ["delete_acs_user", "remove", "delete"])
def test_what_is_given_to_a_person_against_the_end_of_what_it_depends_on(race: Race, end: str) -> None:
    """Afterwards no credential is of an ACS user that is not its person's, and nothing is of a person who is gone."""
    race.workspace.become_sandbox()
    manager = race.workspace.credential_manager()

    def prepare() -> list[Call]:
        identity, acs_user_id = linked(race, manager)
        race.directory.create_credential(acs_user_id, credential_manager_acs_system_id=manager)
        arguments = {"delete_acs_user": [acs_user_id], "remove": [acs_user_id, identity], "delete": [identity]}
        return [
            call("create_credential", acs_user_id, credential_manager_acs_system_id=manager),
            call(end, *arguments[end]),
            call("create_phone", identity, custom_sdk_installation_id="app"),
            call("get_or_create_session", user_identity_id=identity),
        ]

    race.run(prepare, "acs_user_not_found", "acs_user_has_no_user_identity", "user_identity_not_found")


def test_the_whole_teardown_at_once(race: Race) -> None:
    race.workspace.become_sandbox()
    manager = race.workspace.credential_manager()
    identities = []

    def prepare() -> list[Call]:
        identity, acs_user_id = linked(race, manager)
        identities.append(identity)
        race.directory.create_credential(acs_user_id, credential_manager_acs_system_id=manager)
        phone = race.directory.create_phone(identity, custom_sdk_installation_id="app")
        session = race.workspace.client_session(identity)
        return [
            call("delete_session", session.client_session_id),
            call("delete_acs_user", acs_user_id),
            call("deactivate_phone", phone.device_id),
            call("delete", identity),
        ]

    gone = ["client_session_not_found", "acs_user_not_found", "phone_not_found"]
    for *_, deleted in race.run(prepare, *gone):
        assert deleted.code in {None, "service_unavailable"}
    for identity in identities:
        assert not [key for key in race.store.items() if identity in f"{key}"]


def linked(race: Race, *system_ids: str) -> tuple[str, str]:
    """Return a user identity that is linked to a new ACS user in each system, and the last of them."""
    identity = race.workspace.user_identity()
    acs_user_id = ""
    for system_id in system_ids:
        acs_user_id = race.workspace.acs_user(system_id)
        race.directory.add(acs_user_id, user_identity_id=identity)
    return identity, acs_user_id


@pytest.mark.parametrize("by_key", [False, True], ids=["user identity", "key"])
def test_the_same_get_or_create_is_one_client_session(race: Race, *, by_key: bool) -> None:
    def prepare() -> list[Call]:
        identity = race.workspace.user_identity()
        named = {"user_identity_id": identity} | ({"user_identifier_key": identity} if by_key else {})
        return [call("get_or_create_session", **named)] * PROCESSES

    for outcomes in race.run(prepare):
        assert len({outcome.result["token"] for outcome in winners(outcomes)}) == 1


@pytest.mark.parametrize("end", ["revoke_session", "delete_session"])
def test_get_or_create_and_a_grant_against_the_end_of_the_client_session(race: Race, end: str) -> None:
    def prepare() -> list[Call]:
        identity, other = race.workspace.user_identity(), race.workspace.user_identity()
        session = race.workspace.client_session(identity, user_identifier_key=identity).client_session_id
        return [
            call("get_or_create_session", user_identifier_key=identity, user_identity_id=other),
            call(end, session),
            call("grant_access", client_session_id=session, user_identity_id=other),
            call("get_or_create_session", user_identity_id=identity),
        ]

    race.run(prepare, "client_session_not_found")


def test_whatever_gives_a_client_session_a_user_identity_against_the_identitys_end(race: Race) -> None:
    def prepare() -> list[Call]:
        identity, other = race.workspace.user_identity(), race.workspace.user_identity()
        session = race.workspace.client_session(other).client_session_id
        return [
            call("end_sessions_of", identity),
            call("grant_access", client_session_id=session, user_identity_id=identity),
            call("get_or_create_session", user_identity_id=identity),
            call("get_or_create_session", user_identity_ids=[identity, other]),
        ]

    race.run(prepare, "user_identity_not_found")

    partitions = {
        key.pk for key, item in race.store.items().items() if key.pk.endswith("#CLIENT_SESSIONS") and not item
    }
    marked = [
        key.pk for key, item in race.store.items().items() if key.sk == "USER_IDENTITY" and "being_deleted_at" in item
    ]
    assert partitions.isdisjoint(f"{pk}#CLIENT_SESSIONS" for pk in marked)


# -------------------------------------------------------------------------------------------------------- Provisioning


def enrolling(race: Race, manager: str, pool: str) -> tuple[str, str, str, str]:
    """Return a person who is to get what an automation gives: the identity, its ACS user, its credential, its phone."""
    identity, acs_user_id = linked(race, manager)
    race.directory.launch(identity, manager, acs_credential_pool_id=pool, create_credential_manager_user=True)
    credential = race.directory.create_credential(acs_user_id, credential_manager_acs_system_id=manager)
    return identity, acs_user_id, credential.acs_credential_id, race.directory.create_phone(identity).device_id


def settle(race: Race, manager: str, identities: list[str]) -> None:
    """Run an execution for each person, and require that the manager has what the table says."""
    racer = Racer(race.store.table, Caller(race.workspace.workspace_id))
    for identity in identities:
        racer.converge(identity, manager)
    items = race.store.items()
    assert violations(items) == []
    assert AtManager.of(items) == in_table(items)


@pytest.mark.parametrize("processes", [2, PROCESSES])
def test_executions_of_one_person_at_once_issue_each_credential_once(race: Race, processes: int) -> None:
    race.workspace.become_sandbox()
    manager = race.workspace.credential_manager()
    pool = race.workspace.acs_credential_pool(manager)
    identities = []

    def prepare() -> list[Call]:
        identity, acs_user_id, *_ = enrolling(race, manager, pool)
        identities.append(identity)
        others = [
            call("create_credential", acs_user_id, credential_manager_acs_system_id=manager),
            call("create_phone", identity),
        ]
        return [*[call("converge", identity, manager)] * processes, *others][:PROCESSES]

    race.run(prepare)

    settle(race, manager, identities)
    items = race.store.items()
    parents = [item for key, item in items.items() if key.sk.startswith("CREDENTIAL#") and "device_id" not in item]
    phones = [item for key, item in items.items() if key.sk.startswith("PHONE#")]
    sources = [
        (item["device_id"], item.get("parent_acs_credential_id") or item["acs_credential_pool_id"])
        for key, item in items.items()
        if key.sk.startswith("CREDENTIAL#") and item.get("state") == "active"
    ]
    wanted = sum(1 for phone in phones for one in parents if one["user_identity_id"] == phone["user_identity_id"])
    assert len(sources) == len(set(sources)) == wanted + len(phones)


@pytest.mark.parametrize("end", ["delete_credential", "deactivate_phone", "delete_acs_user", "remove", "delete"])
def test_executions_at_once_against_the_end_of_what_they_provide(race: Race, end: str) -> None:
    race.workspace.become_sandbox()
    manager = race.workspace.credential_manager()
    pool = race.workspace.acs_credential_pool(manager)
    identities = []

    def prepare() -> list[Call]:
        identity, acs_user_id, credential_id, phone = enrolling(race, manager, pool)
        identities.append(identity)
        arguments = {
            "delete_credential": [credential_id],
            "deactivate_phone": [phone],
            "delete_acs_user": [acs_user_id],
            "remove": [acs_user_id, identity],
            "delete": [identity],
        }
        converge = call("converge", identity, manager)
        return [converge, converge, call(end, *arguments[end]), call("create_phone", identity)]

    race.run(prepare, "user_identity_not_found")

    settle(race, manager, identities)
    if end == "delete":
        assert [key for key in race.store.items() if "#USER_IDENTITY#" in key.pk] == []
