"""The deletion of ACS systems and credential pools: what stands in its way, and what goes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from unittest.mock import patch

import pytest

from enrollment.callers import Caller
from enrollment.errors import AcsCredentialPoolNotFound, AcsSystemNotFound, NoCredentialManager
from enrollment.store.actions import Action, change, put
from enrollment.store.attributes import Item
from enrollment.store.items import RETIRED
from enrollment.store.keys import simulated_phone_key
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.automations import known_items
from enrollment.use_cases.connector_items import ConnectorId
from enrollment.use_cases.connectors import SystemNotFoundError, set_connector
from enrollment.use_cases.enrollments import EnrollmentId
from enrollment.use_cases.retirement import (
    ChangedMeanwhileError,
    Dependants,
    HasDependantsError,
    Kind,
    NotFoundError,
    Step,
    Thing,
    delete_unused,
)
from enrollment.use_cases.waits import Clock
from enrollments.directory.checking import check
from enrollments.directory.importing import import_rows
from enrollments.directory.rows import RawRow, read_row
from tests.fixtures import Store, Workspace
from tests.in_memory import InMemory
from tests.integration.conftest import UNKNOWN, Directory
from tests.provisioning import Clock as TurnedClock

NOW = timestamp(datetime.now(UTC))


class Waits:
    """A clock that a deletion turns when it waits."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.at = TurnedClock()
        self.seconds: list[float] = []
        self.steps: list[Step] = []
        self._meanwhile = meanwhile

    def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.at.turn(seconds=seconds)
        self._meanwhile()

    def delete(self, table: Table, thing: Thing) -> None:
        delete_unused(table, thing, lambda step, _: self.steps.append(step), Clock(self.at.now, self.sleep))


def delete(table: Table, thing: Thing, meanwhile: Callable[[], object] = lambda: None) -> None:
    Waits(meanwhile).delete(table, thing)


def dependants_of(table: Table, thing: Thing) -> Dependants:
    with pytest.raises(HasDependantsError) as refusal:
        delete(table, thing)
    return refusal.value.dependants


@pytest.fixture
def manager(workspace: Workspace) -> str:
    return workspace.credential_manager()


@pytest.fixture
def system(workspace: Workspace, manager: str) -> Thing:
    return Thing.system(workspace.workspace_id, manager)


@pytest.fixture
def pool(workspace: Workspace, manager: str) -> Thing:
    return Thing.pool(workspace.workspace_id, workspace.acs_credential_pool(manager))


def test_a_system_goes_with_its_entries_its_pause_and_what_a_simulated_manager_knows(
    store: Store, workspace: Workspace, manager: str, system: Thing
) -> None:
    workspace.pause(manager, paused_at=NOW, paused_until=NOW, reason="busy", times=1)
    key = simulated_phone_key(workspace.workspace_id, manager, UNKNOWN)
    store.table.transact({"phone": put(key, {"attempt": 1})})

    delete(store.table, system)

    assert store.items() == {}


def test_a_pool_goes_with_its_entry(store: Store, directory: Directory, manager: str, pool: Thing) -> None:
    delete(store.table, pool)

    assert directory.pools(manager) == []
    assert pool.id not in str(store.items())


def test_other_systems_and_other_workspaces_stay_as_they_are(
    store: Store, workspace: Workspace, other_workspace: Workspace
) -> None:
    for each in (workspace, other_workspace):
        each.acs_credential_pool(each.credential_manager())
    before = store.items()
    unused = workspace.credential_manager()

    delete(store.table, Thing.system(workspace.workspace_id, unused))

    assert store.items() == before


def test_it_is_retired_until_no_process_knows_it_any_more(store: Store, system: Thing) -> None:
    waits = Waits(lambda: found.append(store.items()[system.key]))
    found: list[object] = []

    waits.delete(store.table, system)

    assert waits.seconds == [116]
    assert "retired_at" in str(found)
    assert waits.steps == [Step.LOOK, Step.WAIT, Step.LOOK_AGAIN, Step.DELETE]


def test_what_depends_on_a_system_is_named(
    store: Store, workspace: Workspace, directory: Directory, manager: str, system: Thing
) -> None:
    pool_id = workspace.acs_credential_pool(manager)
    jane = directory.create(full_name="Jane Doe", email_address="jane@example.com", acs_system_ids=[manager])
    automation = directory.launch(jane.user_identity_id, manager)
    (acs_user_id,) = jane.acs_user_ids
    credential = directory.create_credential(acs_user_id)
    door = workspace.acs_system(default_credential_manager_acs_system_id=manager)
    gate = workspace.acs_system(compatible_credential_manager_acs_system_ids=frozenset({manager}))
    workspace.connect(manager)

    found = dependants_of(store.table, system)

    assert {kind: set(ids) for kind, ids in found.ids.items()} == {
        Kind.AUTOMATION: {automation.enrollment_automation_id},
        Kind.ACS_USER: {acs_user_id},
        Kind.POOL: {pool_id},
        Kind.CREDENTIAL: {credential.acs_credential_id},
        Kind.CONNECTOR: {manager},
        Kind.SYSTEM: {door, gate},
    }
    assert found.counts[Kind.SYSTEM] == 2


def test_what_depends_on_a_pool_is_named(
    store: Store, workspace: Workspace, directory: Directory, manager: str, pool: Thing
) -> None:
    jane = workspace.user_identity()
    automation = directory.launch(jane, manager, acs_credential_pool_id=pool.id)

    assert dependants_of(store.table, pool).ids == {Kind.AUTOMATION: [automation.enrollment_automation_id]}


def test_the_credential_of_a_phone_depends_on_its_pool(
    store: Store, workspace: Workspace, manager: str, pool: Thing
) -> None:
    jane = workspace.user_identity()
    registered = (jane, workspace.phone(jane), manager)
    workspace.registration(registered, state="active")
    acs_user = {"acs_user_id": workspace.acs_user(manager), "acs_system_id": manager}
    credential = workspace.credential_of_phone(
        registered, acs_user, acs_credential_pool_id=pool.id, being_deleted_at=NOW
    )

    assert dependants_of(store.table, pool).ids == {Kind.CREDENTIAL: [credential]}


def test_a_registered_phone_depends_on_its_credential_manager(
    store: Store, workspace: Workspace, manager: str, system: Thing
) -> None:
    jane = workspace.user_identity()
    phone = workspace.phone(jane)
    workspace.registration((jane, phone, manager), state="active")

    assert dependants_of(store.table, system).ids[Kind.REGISTRATION] == [phone]


def test_an_enrollment_without_a_phone_stands_in_the_way_only_if_its_person_was_deleted(
    store: Store, workspace: Workspace, manager: str, system: Thing
) -> None:
    jane = EnrollmentId(workspace.workspace_id, workspace.user_identity(), manager)
    gone = jane._replace(user_identity_id=UNKNOWN)
    for one in (jane, gone):
        store.table.transact({"enrollment": put(one.key, {**one.to_json(), "revision": 1})})
        store.table.transact({"execution": put(one.execution_key, {**one.to_json(), "noted": 1})})

    assert dependants_of(store.table, system).ids == {Kind.ENROLLMENT: [UNKNOWN]}

    store.table.delete_all([gone.key, gone.execution_key])
    delete(store.table, system)
    assert jane.key in store.items()


def test_events_of_a_system_do_not_keep_it(store: Store, workspace: Workspace, manager: str, system: Thing) -> None:
    workspace.event(acs_system_id=manager)

    delete(store.table, system)

    assert system.key not in store.items()


def test_many_dependants_are_counted_and_some_are_named(
    store: Store, workspace: Workspace, manager: str, system: Thing
) -> None:
    for _ in range(120):
        workspace.acs_user(manager)

    found = dependants_of(store.table, system)

    assert (found.counts[Kind.ACS_USER], len(found.ids[Kind.ACS_USER])) == (120, 5)


def test_a_system_that_is_in_use_can_be_used_as_before(
    store: Store, workspace: Workspace, manager: str, system: Thing
) -> None:
    workspace.acs_user(manager)
    before = store.items()

    dependants_of(store.table, system)

    assert store.items() == before


def test_a_launch_by_a_process_that_still_knew_the_system_keeps_it(
    store: Store, workspace: Workspace, manager: str, system: Thing
) -> None:
    jane, ann = workspace.user_identity(), workspace.user_identity()
    warm = Directory(store.table, Caller(workspace.workspace_id), known_items())
    warm.launch(ann, manager)
    warm.delete_automation(warm.automations(ann)[0].enrollment_automation_id)

    with pytest.raises(HasDependantsError):
        delete(store.table, system, lambda: warm.launch(jane, manager))

    assert RETIRED not in store.items()[system.key]
    assert warm.launch(ann, manager).is_running


def test_what_is_not_there_is_said_to_be_not_there(store: Store, workspace: Workspace) -> None:
    for thing in (Thing.system(workspace.workspace_id, UNKNOWN), Thing.pool(workspace.workspace_id, UNKNOWN)):
        with pytest.raises(NotFoundError):
            delete(store.table, thing)


def test_a_system_that_another_operator_deletes_is_deleted_once(store: Store, system: Thing) -> None:
    delete(store.table, system, lambda: delete(store.table, system))

    assert store.items() == {}


def test_a_system_that_another_operator_takes_back_is_not_deleted(store: Store, system: Thing) -> None:
    take_back = change(system.key, remove=[RETIRED])

    with pytest.raises(ChangedMeanwhileError):
        delete(store.table, system, lambda: store.table.transact({"system": take_back}))

    assert system.key in store.items()


class Killed(BaseException):
    """The process has been killed."""


@pytest.fixture
def unused() -> tuple[InMemory, Thing]:
    """A system that is paused, and of which a simulated manager knows something, beside another system."""
    database = InMemory()
    workspace = Workspace(database.table, UNKNOWN)
    workspace.credential_manager()
    thing = Thing.system(UNKNOWN, workspace.credential_manager())
    workspace.pause(thing.id, paused_at=NOW, paused_until=NOW, reason="busy", times=1)
    database.table.transact({"phone": put(simulated_phone_key(UNKNOWN, thing.id, UNKNOWN), {"attempt": 1})})
    return database, thing


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(1, 10))
def test_killed_at_any_request_and_called_again_it_ends_in_the_same_state(
    unused: tuple[InMemory, Thing], when: str, at: int
) -> None:
    database, thing = unused
    kept = {key: item for key, item in database.items().items() if thing.id not in f"{key}"}

    with killed(database, when, at), pytest.raises(Killed):
        delete(database.table, thing)
    with suppress(NotFoundError):
        delete(database.table, thing)

    assert database.items() == kept


@contextmanager
def killed(database: InMemory, when: str, at: int) -> Iterator[None]:
    """Kill the process before or after one of its requests to the database."""
    requests = count(1)

    def kill(_: str) -> None:
        if next(requests) == at:
            raise Killed

    with patch.object(database, when, kill):
        yield


# --------------------------------------------------------------------------- Nobody attaches something to a retired one


@pytest.fixture
def retired(store: Store, system: Thing, pool: Thing) -> Thing:
    """A system that is being deleted, with a pool that was attached to it just before."""
    assert pool.workspace_id == system.workspace_id
    store.table.transact({"system": change(system.key, assign={RETIRED: NOW})})
    return system


ATTACHING: dict[str, Callable[[Directory, Workspace, str], object]] = {
    "launch": lambda directory, workspace, system: directory.launch(workspace.user_identity(), system),
    "create an identity": lambda directory, _, system: directory.create(acs_system_ids=[system]),
    "create an ACS user": lambda directory, _, system: directory.create_acs_user(system),
    "create a credential there": lambda directory, workspace, system: directory.create_credential(
        user_identity_id=workspace.user_identity(), acs_system_id=system
    ),
    "create a credential of it": lambda directory, workspace, system: directory.create_credential(
        user_identity_id=workspace.user_identity(),
        acs_system_id=workspace.acs_system(),
        credential_manager_acs_system_id=system,
    ),
}


@pytest.mark.parametrize("attach", ATTACHING.values(), ids=ATTACHING)
def test_a_retired_system_is_one_that_does_not_exist(
    store: Store,
    directory: Directory,
    workspace: Workspace,
    retired: Thing,
    attach: Callable[[Directory, Workspace, str], object],
) -> None:
    with pytest.raises(AcsSystemNotFound):
        attach(directory, workspace, retired.id)

    assert "acs_user" not in str(store.items()).lower()


def test_a_retired_default_issues_nothing(
    directory: Directory, workspace: Workspace, manager: str, retired: Thing
) -> None:
    door = workspace.acs_system(default_credential_manager_acs_system_id=manager)

    with pytest.raises(NoCredentialManager):
        directory.create_credential(user_identity_id=workspace.user_identity(), acs_system_id=door)
    assert directory.credential_managers_for(door) == []
    assert directory.system(retired.id).acs_system_id == retired.id


def test_a_retired_pool_is_one_that_does_not_exist(
    store: Store, directory: Directory, workspace: Workspace, manager: str, pool: Thing
) -> None:
    store.table.transact({"pool": change(pool.key, assign={RETIRED: NOW})})

    with pytest.raises(AcsCredentialPoolNotFound):
        directory.launch(workspace.user_identity(), manager, acs_credential_pool_id=pool.id)
    assert directory.pools(manager) == [pool.id]


def test_a_process_that_knows_a_system_as_retired_looks_again(
    store: Store, workspace: Workspace, manager: str, retired: Thing
) -> None:
    warm, jane = Directory(store.table, Caller(workspace.workspace_id), known_items()), workspace.user_identity()
    with pytest.raises(AcsSystemNotFound):
        warm.launch(jane, manager)

    store.table.transact({"system": change(retired.key, remove=[RETIRED])})

    assert warm.launch(jane, manager).is_running


def test_a_retired_system_gets_no_connector(store: Store, retired: Thing) -> None:
    connector_id = ConnectorId(retired.workspace_id, retired.id)

    with pytest.raises(SystemNotFoundError):
        set_connector(store.table, connector_id, "https://127.0.0.1/", on_loopback=True, now=datetime.now(UTC))


@pytest.mark.parametrize(
    "row", [{"acs_user_id": UNKNOWN, "full_name": "Jane"}, {"acs_credential_pool_id": UNKNOWN, "display_name": "Pool"}]
)
def test_an_import_puts_nothing_into_a_retired_system(
    store: Store, workspace: Workspace, retired: Thing, row: dict[str, str]
) -> None:
    rows = [read_row(RawRow(1, 1, {**row, "acs_system_id": retired.id}))]

    (result,) = import_rows(store.table, workspace.workspace_id, rows, NOW)

    assert result.problems == [("acs_system_id", AcsSystemNotFound.message)]


def test_an_import_puts_nothing_into_a_system_that_is_retired_in_that_moment(
    store: Store, workspace: Workspace, manager: str, system: Thing, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [read_row(RawRow(1, 1, {"acs_user_id": UNKNOWN, "full_name": "Jane", "acs_system_id": manager}))]
    transact = store.table.transact

    def retire_first(actions: dict[str, Action]) -> dict[str, Item | None]:
        monkeypatch.setattr(store.table, "transact", transact)
        transact({"system": change(system.key, assign={RETIRED: NOW})})
        return transact(actions)

    monkeypatch.setattr(store.table, "transact", retire_first)
    (result,) = import_rows(store.table, workspace.workspace_id, rows, NOW)

    assert result.problems == [("acs_system_id", AcsSystemNotFound.message)]


def test_an_import_does_not_change_a_retired_system(store: Store, workspace: Workspace, retired: Thing) -> None:
    rows = [read_row(RawRow(1, 1, {"acs_system_id": retired.id, "name": "Other"}))]

    (result,) = import_rows(store.table, workspace.workspace_id, rows, NOW)

    message = "It is being deleted; finish that first: enrollments directory delete-system"
    assert result.problems == [("acs_system_id", message)]


def test_a_check_tells_of_a_deletion_that_has_not_ended(store: Store, workspace: Workspace, retired: Thing) -> None:
    (finding,) = check(store.table, workspace.workspace_id)

    assert finding.about == f"ACS system {retired.id}"
    assert finding.problem.endswith("to finish it, run: enrollments directory delete-system")
