"""Executions as tests run them: on a clock that they turn, after the changes that the table's stream would tell."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from enrollment.managers.protocol import CredentialManager, Request
from enrollment.managers.simulated import SimulatedManager
from enrollment.store.attributes import Item
from enrollment.store.changes import Change
from enrollment.store.keys import Key, acs_credential_key, phone_key, user_identity_key
from enrollment.store.table import Table
from enrollment.use_cases import credential_items, credentials, enrollments, phone_sessions, phones
from enrollment.use_cases.connector_items import ConnectorId
from enrollment.use_cases.enrollment_starts import Starter, wanted_of_change
from enrollment.use_cases.enrollments import View
from enrollment.use_cases.manager_checks import Watcher, watch
from enrollment.use_cases.provisioning import Provisioner, provision

type ManagerOf = Callable[[View], CredentialManager]
type ConnectorOf = Callable[[ConnectorId, Item], CredentialManager]


@dataclass
class Clock:
    """A clock that stands still until it is turned."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.at

    def turn(self, **duration: float) -> None:
        self.at += timedelta(**duration)


@contextmanager
def requests_on(clock: Clock) -> Iterator[None]:
    """Have requests read a clock that is turned."""

    class Turned(datetime):
        @classmethod
        def now(cls, _: object = None) -> datetime:  # type: ignore[override]
            return clock.at

    with ExitStack() as stack:
        for module in (credential_items, credentials, enrollments, phone_sessions, phones):
            stack.enter_context(patch.object(module, "datetime", Turned))
        yield


class Suspended(Exception):
    """An execution waits."""


class _Steps:
    """The steps of one execution: it is suspended where it waits, and runs again from the beginning."""

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}
        self.found: dict[str, Any] = {}

    def run(self, name: str, function: Callable[[], Any]) -> Any:
        if name not in self.results:
            self.results[name] = function()
        return self.results[name]

    def poll(self, _: str, look: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        self.found = look(self.found)
        if self.found["wait_seconds"] is not None:
            raise Suspended
        return self.found


@dataclass
class Execution:
    """An execution.

    Attributes:
        name: Its name.
        given: Its input.
        wakes_at: When it goes on.
        ended: How it ended, if it has.
    """

    name: str
    given: Mapping[str, Any]
    wakes_at: datetime
    ended: str | None = None
    steps: _Steps = field(default_factory=_Steps)


@dataclass
class Provisioning:
    """The functions ``events`` and ``provisioning``, as far as they provision.

    Attributes:
        table: The table.
        items: Returns the whole table.
        clock: The clock of executions and of the simulated managers.
        manager_of: Returns the manager of an enrollment; by default a simulated one, or the connector.
        connector_of: Returns a connector, by its id and its item.
        executions: All executions that were started, by name.
        told: What was told of each step.
        asked: The requests to managers.
    """

    table: Table
    items: Callable[[], Mapping[Key, Item]]
    clock: Clock = field(default_factory=Clock)
    manager_of: ManagerOf | None = None
    connector_of: ConnectorOf | None = None
    executions: dict[str, Execution] = field(default_factory=dict)
    told: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    seen: Mapping[Key, Item] = field(default_factory=dict)

    def usual(self, view: View) -> CredentialManager:
        """Return the connector of an enrollment, or a simulated manager."""
        if self.connector_of is not None and not view.is_simulated and view.connector is not None:
            return self.connector_of(ConnectorId(view.id.workspace_id, view.id.manager_id), view.connector)
        return self.simulated(view)

    def simulated(self, view: View) -> CredentialManager:
        """Return a simulated manager on this clock."""
        return SimulatedManager(self.table, view.id.workspace_id, view.id.manager_id, now=self.clock.now)

    def changes(self) -> Iterator[Change]:
        """Yield the changes since this was called before, as the table's stream would tell them."""
        before, after = self.seen, dict(self.items())
        self.seen = after
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                yield Change("record", "0" * 40, self.clock.at, key, before.get(key), after.get(key))

    def start(self, name: str, given: Mapping[str, Any]) -> None:
        """Start an execution, unless there is one of this name already."""
        self.executions.setdefault(name, Execution(name, given, self.clock.at))

    def follow(self) -> None:
        """Start what follows the changes of the table."""
        starter = Starter(self.table, self.start)
        while wanted := [each for change in self.changes() if (each := wanted_of_change(change)) is not None]:
            starter.follow(wanted)

    def go_on(self, execution: Execution) -> None:
        """Run an execution until it waits or ends."""
        try:
            if "user_identity_id" in execution.given:
                execution.ended = provision(execution.given, execution.steps, self._provisioner())
            else:
                execution.ended = watch(execution.given, execution.steps, self._watcher())
        except Suspended:
            execution.wakes_at = self.clock.at + timedelta(seconds=execution.steps.found["wait_seconds"])

    def running(self) -> list[Execution]:
        """Return the executions that have not ended, the next one first."""
        left = [one for one in self.executions.values() if one.ended is None]
        return sorted(left, key=lambda one: one.wakes_at)

    def settle(self, **longest: float) -> None:
        """Run all that follows the changes, and turn the clock from wait to wait, for an hour at most."""
        end = self.clock.at + timedelta(**longest or {"hours": 1})
        while True:
            self.follow()
            running = self.running()
            if not running or running[0].wakes_at > end:
                return
            self.clock.at = max(self.clock.at, running[0].wakes_at)
            self.go_on(running[0])

    def pass_time(self, **duration: float) -> None:
        """Run what becomes due while the time passes, and turn the clock to its end."""
        end = self.clock.at + timedelta(**duration)
        self.settle(**duration)
        self.clock.at = end

    def _provisioner(self) -> Provisioner:
        return Provisioner(
            self.table,
            lambda view: _Recorded((self.manager_of or self.usual)(view), self.asked),
            tell=lambda *line: self.told.append(line),
            now=self.clock.now,
        )

    def _watcher(self) -> Watcher:
        def connector_of(connector_id: ConnectorId, item: Item) -> CredentialManager:
            assert self.connector_of is not None
            return _Recorded(self.connector_of(connector_id, item), self.asked)

        return Watcher(self.table, connector_of, tell=lambda *line: self.told.append(line), now=self.clock.now)


@dataclass(frozen=True)
class _Recorded:
    manager: CredentialManager
    asked: list[Request]

    def ask(self, request: Request) -> Mapping[str, Any]:
        self.asked.append(request)
        return self.manager.ask(request)


@dataclass(frozen=True)
class AtManager:
    """What a simulated manager has, by its own record.

    Attributes:
        credentials: The ids of the credentials of each phone, by the id of the phone's registration.
    """

    credentials: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, items: Mapping[Key, Item]) -> "AtManager":
        """Read the records of all simulated managers in a table."""
        phones = {
            key.pk: key.pk.rpartition("#")[2]
            for key, item in items.items()
            if key.sk == "SIMULATED_PHONE" and "removed_at" not in item
        }
        credentials: dict[str, set[str]] = {registration_id: set() for registration_id in phones.values()}
        for key, item in items.items():
            kind, _, credential_id = key.sk.partition("#")
            if kind == "SIMULATED_CREDENTIAL" and key.pk in phones and "removed_at" not in item:
                credentials[phones[key.pk]].add(credential_id)
        return cls({one: frozenset(ids) for one, ids in credentials.items()})


def in_table(items: Mapping[Key, Item]) -> AtManager:
    """Return what simulated managers should have by what is stored of registrations and credentials of phones."""
    return AtManager(
        {
            str(item["phone_registration_id"]): frozenset(item.get("acs_credential_ids", ()))  # type: ignore[arg-type]
            for key, item in items.items()
            if key.sk.startswith("REGISTRATION#")
        }
    )


def wrong_at_any_moment(items: Mapping[Key, Item], found: AtManager) -> list[str]:
    """Return what managers have that the table does not know, and credentials of which a phone has two.

    Args:
        items: The table.
        found: What managers have, by their own record.
    """
    wrong = []
    known = in_table(items).credentials
    sources: Counter[tuple[str, str, str]] = Counter()
    children = {}
    for item in items.values():
        if "device_id" in item and "acs_credential_id" in item and "created_at" in item:
            source = str(item.get("parent_acs_credential_id") or item["acs_credential_pool_id"])
            children[str(item["acs_credential_id"])] = item
            sources[str(item["device_id"]), str(item["credential_manager_acs_system_id"]), source] += 1
    wrong += [f"there are {number} credentials of {one}" for one, number in sources.items() if number > 1]
    for registration_id, credential_ids in found.credentials.items():
        if registration_id not in known:
            wrong.append(f"a manager has the phone {registration_id}, which the table does not know")
        elif not credential_ids <= known[registration_id]:
            wrong.append(f"a manager has {credential_ids - known[registration_id]}, which the table does not know")
        elif not credential_ids <= children.keys():
            wrong.append(f"{credential_ids - children.keys()} at a manager has no item")
    return wrong


def made_in_vain(before: Mapping[Key, Item], after: Mapping[Key, Item]) -> Iterator[str]:
    """Yield which registrations and credentials were made in a transaction, though what they are for is gone."""
    for key in after.keys() - before.keys():
        item = after[key]
        is_of_phone = key.sk.startswith(("REGISTRATION#", "CREDENTIAL#")) and "device_id" in item
        if not is_of_phone or "created_at" not in item:
            continue
        where = (str(item["workspace_id"]), str(item["user_identity_id"]))
        if "being_deleted_at" in after.get(user_identity_key(*where), {"being_deleted_at": "gone"}):
            yield f"{key.sk} was made for a person who is deleted"
        if phone_key(*where, str(item["device_id"])) not in after:
            yield f"{key.sk} was made for a phone that is deactivated"
        parent_id = item.get("parent_acs_credential_id")
        if parent_id is not None and acs_credential_key(*where, str(parent_id)) not in after:
            yield f"{key.sk} was made under a credential that is deleted"
