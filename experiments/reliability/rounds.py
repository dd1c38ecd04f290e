"""Made-up rounds of provisioning: requests, executions and their starts at the same moment, while much goes wrong.

A round has a few people, phones, credential managers and credentials.  Its order, and what goes wrong in it, come from
a seed.  Starts of executions are doubled, late and lost.  Calls end as if their process had, at any request to the
database.  Managers do not answer, answer too late, are busy, or do a request long after they were asked.  Time passes
meanwhile.

Then all is repaired, an operator has everything go on, and the round waits until nothing is to be done any more.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from random import Random
from typing import Any
from unittest.mock import patch

from enrollment.callers import Caller
from enrollment.errors import EnrollmentError, ServiceUnavailable, UserIdentityNotFound
from enrollment.managers.protocol import (
    BusyError,
    CredentialManager,
    NoAccessError,
    NoUsableAnswerError,
    Request,
    RequestType,
)
from enrollment.managers.simulated import SimulatedManager
from enrollment.store.actions import change
from enrollment.store.attributes import Item, elements
from enrollment.store.changes import Change
from enrollment.store.keys import (
    Key,
    acs_credential_pool_key,
    acs_user_link_key,
    automation_key,
    connector_key,
)
from enrollment.timestamps import timestamp
from enrollment.use_cases import learning, manager_checks, pauses
from enrollment.use_cases.connector_items import ConnectorId
from enrollment.use_cases.enrollment_starts import Starter, Wanted, Watched, wanted_of_change
from enrollment.use_cases.enrollments import EnrollmentId, View, ask_to_look
from enrollment.use_cases.manager_checks import Watcher, watch
from enrollment.use_cases.provisioning import Provisioner, provision
from enrollment.use_cases.standing_still import enrollments_of_workspace, have_go_on, retry, step_that_is_due
from experiments.reliability.connected import Connected
from experiments.reliability.interleaving import Call, Fate, Interleaving, Killed
from tests.fixtures import Workspace
from tests.in_memory import InMemory
from tests.integration.conftest import UNKNOWN, Directory
from tests.invariants import violations
from tests.provisioning import (
    AtManager,
    Clock,
    Execution,
    Suspended,
    in_table,
    made_in_vain,
    requests_on,
    wrong_at_any_moment,
)

_MOST_AT_ONCE = 4
_MOST_REQUESTS = 3000
_LONG_AGO = timedelta(days=1)
_MOST_GOES_AFTERWARDS = 1500
_MANAGER = "credential_manager_acs_system_id"
_LEASE = timedelta(seconds=30)
_LONGEST_LEAP = timedelta(seconds=30)
_SETTLES_WITHIN = timedelta(hours=4)
# What phones are called, which is how a simulated manager treats them.
_LIMITS = ("pool_exhausted", "credential_limit_reached")
_MODELS_AT_CONNECTORS = ("Phone", "Phone", "Invitation expires")
_MODELS = ("Phone", "Phone", "Phone", "Slow", "Fails once", "Fails for good", "Empty pool", "Invitation expires")


class Mood(StrEnum):
    """How a manager takes requests."""

    WELL = "well"
    FLAKY = "flaky"
    SILENT = "silent"
    BUSY = "busy"
    CLOSED = "closed"


@dataclass
class Round:
    """A round.

    Attributes:
        store: The table.
        random: Decides everything.
        clock: The clock of all that happens.
        has_connectors: Whether the workspace is no sandbox, and its managers are asked through connectors.
        counts: What has happened.
        wrong: What has gone wrong.
        is_calm: Whether nothing goes wrong any more.
    """

    store: InMemory
    random: Random
    clock: Clock
    has_connectors: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    is_calm: bool = False
    executions: list[Execution] = field(default_factory=list)
    changes: list[Wanted | Watched] = field(default_factory=list)
    late_requests: list[Callable[[], object]] = field(default_factory=list)
    moods: dict[str, Mood] = field(default_factory=dict)
    asking: dict[EnrollmentId, list[datetime]] = field(default_factory=dict)
    had_credential: dict[EnrollmentId, bool] = field(default_factory=dict)
    ending: set[str] = field(default_factory=set)
    running: dict[Call, Execution | None] = field(default_factory=dict)
    seen: Mapping[Key, Item] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workspace = Workspace(self.store.table, str(uuid.UUID(int=self.random.getrandbits(128), version=4)))
        self.directory = Directory(self.store.table, Caller(self.workspace.workspace_id))
        self.workspace.exist(is_sandbox=not self.has_connectors)
        self.managers = [self.workspace.credential_manager() for _ in range(self.random.choice((1, 1, 2)))]
        self.pools = {one: self.workspace.acs_credential_pool(one) for one in self.managers}
        self.systems = [self.workspace.acs_system(), *self.managers]
        self.people = [
            self.workspace.user_identity(full_name=f"Person {one}") for one in range(self.random.choice((1, 1, 2)))
        ]
        for person in self.people:
            self.directory.create_acs_user(self.systems[0], user_identity_id=person)
        self.interleaving = Interleaving(self.store, self._look_at_what_was_written)
        self.connected: Connected | None = None
        if self.has_connectors:
            for pool_id in self.pools.values():
                named = change(
                    acs_credential_pool_key(self.workspace.workspace_id, pool_id), assign={"pool": "visitor"}
                )
                assert not self.store.table.transact({"pool": named})
            where = (self.store, self.workspace.workspace_id, self.managers, self.clock, self.random)
            self.connected = Connected(*where, self.interleaving.come_by, self._look_at_managers, self.counts)

    # ------------------------------------------------------------------------------------------- What goes on at once

    def play(self, requests: int) -> None:
        """Make so many requests, while executions run and much goes wrong."""
        left, last = requests, self.random.randint(0, _MOST_GOES_AFTERWARDS)
        self.moods = {one: self.random.choice((Mood.WELL, Mood.FLAKY)) for one in self.managers}
        while left or last or self.running:
            last -= 1 if last and not left else 0
            if left and len(self.running) < _MOST_AT_ONCE and self._happens(0.2 if self._is_about_to_write() else 0.02):
                left -= 1
                call = self._begin("request", self._made_up_request())
                if self._happens(0.5):  # all of it between two requests of others
                    self._finish(call)
            elif len(self.running) < _MOST_AT_ONCE and self._happens(0.15):
                self._begin_something_of_ours()
            elif self._happens(0.04):
                self._let_something_happen()
            elif self.running:
                self._go_on(self.random.choice(list(self.running)))
            else:
                self._let_time_pass()

    def settle(self) -> None:
        """Run all that is to be run, one after the other, and let time pass in between."""
        self.is_calm = True
        self.moods.clear()
        end = self.clock.at + _SETTLES_WITHIN
        while True:
            for call in list(self.running):
                self._finish(call)
            due = [one for one in self.executions if one.ended is None]
            due.sort(key=lambda one: one.wakes_at)
            if self.changes:
                self._begin("starts", self._follow)
            elif due and due[0].wakes_at <= end:
                self.clock.at = max(self.clock.at, due[0].wakes_at)
                self._begin("execution", partial(self._run, due[0]), due[0])
            else:
                return

    def repair(self) -> None:
        """Do what clients and the operator do after an outage: finish deletions, and have all enrollments go on."""
        self.is_calm = True
        for call in list(self.running):
            self._finish(call)
        if self.connected is not None:
            self.connected.repair()
        for identity_id in sorted(self.ending):
            self._delete(identity_id)
        for enrollment_id in enrollments_of_workspace(self.store.table, self.workspace.workspace_id):
            have_go_on(self.store.table, enrollment_id)

    def have_all_asked_about(self) -> None:
        """Have managers asked about all phones, as the daily starts of their apps do."""
        items = self.store.items()
        for key, item in items.items():
            if key.sk.startswith("REGISTRATION#"):
                ask_to_look(self.store.table, EnrollmentId.from_json(item), [{**item, **key._asdict()}])

    def retry(self) -> None:
        """Have what failed or was invalidated asked for again, as an operator does."""
        for enrollment_id in enrollments_of_workspace(self.store.table, self.workspace.workspace_id):
            retry(self.store.table, enrollment_id)

    def let_late_requests_arrive(self) -> None:
        """Have managers do what they were asked for long ago, and did not answer."""
        for request in self.late_requests:
            with suppress(NoUsableAnswerError):
                request()
        self.late_requests.clear()

    def delete_everybody(self) -> None:
        """Delete all user identities."""
        for key, item in self.store.items().items():
            if key.sk == "USER_IDENTITY":
                self._delete(str(item["user_identity_id"]))

    def _begin(self, name: str, function: Callable[[], Any], execution: Execution | None = None) -> Call:
        self.counts[name] += 1
        call = self.interleaving.begin(name, function)
        self.running[call] = execution
        self._note_end(call)
        return call

    def _begin_something_of_ours(self) -> None:
        busy = [execution for execution in self.running.values() if execution is not None]
        due = [
            one
            for one in self.executions
            if one.ended is None and one.wakes_at <= self.clock.at and not any(one is other for other in busy)
        ]
        is_following = any(call.name == "starts" for call in self.running)
        if self.changes and not is_following and self._happens(0.6):
            self._begin("starts", self._follow)
        elif due:
            execution = self.random.choice(due)
            self._begin("execution", partial(self._run, execution), execution)
        elif self.late_requests and self._happens(0.3):
            late = self.late_requests.pop(self.random.randrange(len(self.late_requests)))
            self._begin("late request", late)

    def _let_something_happen(self) -> None:
        match self.random.choice(("time", "time", "mood", "mood", "double", "late", "invalidation")):
            case "time":
                self.clock.turn(seconds=self.random.choice((0.5, 1, 3, 12, 31)))
            case "mood":
                manager_id = self.random.choice(self.managers)
                self.moods[manager_id] = self.random.choice(list(Mood))
            case "double" if self.executions:
                known = self.random.choice(self.executions)
                self.counts["doubled starts"] += 1
                self.executions.append(Execution(known.name, known.given, self.clock.at))
            case "invalidation" if self.connected is not None:
                self.connected.take_something_away()
            case "invalidation" if live := _live_credentials(self.store.items()):
                removed = change(self.random.choice(live), assign={"removed_at": timestamp(self.clock.at - _LONG_AGO)})
                self.store.table.transact({"credential": removed})
            case "late" if self.executions:
                waiting = self.random.choice(self.executions)
                waiting.wakes_at += timedelta(seconds=self.random.choice((5, 60, 600)))

    def _let_time_pass(self) -> None:
        waiting = [one.wakes_at for one in self.executions if one.ended is None]
        if waiting and min(waiting) > self.clock.at:
            self.clock.at = min(*waiting, self.clock.at + _LONGEST_LEAP)
        else:
            self.clock.turn(seconds=1)

    def _go_on(self, call: Call) -> None:
        fate = Fate.GO
        if not self.is_calm and call.name != "late request":
            fate = self.random.choices(list(Fate), (0.97, 0.02, 0.01))[0]
        if call.requests > _MOST_REQUESTS:
            self.wrong.append(f"{call.name} does not end")
            fate = Fate.KILL
        self.interleaving.go_on(call, fate)
        self._note_end(call)

    def _finish(self, call: Call) -> None:
        while not call.is_over:
            self._go_on(call)

    def _note_end(self, call: Call) -> None:
        if not call.is_over:
            return
        execution = self.running.pop(call)
        expected = (EnrollmentError, NoUsableAnswerError, Killed, Suspended, type(None))
        if not isinstance(call.error, expected):
            self.wrong.append(f"{call.name} failed: {call.error!r} at {_place(call.error)}")
        if isinstance(call.error, Killed):
            self.counts["killed"] += 1
        if execution is not None and isinstance(call.error, Killed | ServiceUnavailable):
            execution.wakes_at = self.clock.at + timedelta(seconds=1)
        elif execution is not None and call.error is not None and not isinstance(call.error, Suspended):
            execution.ended = "failed"

    def _is_about_to_write(self) -> bool:
        """Return whether an execution has read what a transaction is based on that it will send next."""
        return any(call.name == "execution" and call.sends == "TransactWriteItems" for call in self.running)

    def _happens(self, probability: float) -> bool:
        return self.random.random() < probability

    # -------------------------------------------------------------------------------------------------------- Requests

    def _made_up_request(self) -> Callable[[], object]:
        items = self.store.items()
        found: dict[str, list[Item]] = {}
        for key, item in items.items():
            kind = key.sk.partition("#")[0]
            found.setdefault(kind, []).append(item)
        choices = [*self._requests(found)]
        if self.connected is not None:
            choices += self.connected.deeds(self.random.choice(self.managers))
        name = self.random.choices([one for one, _, _ in choices], [weight for _, weight, _ in choices])[0]
        self.counts["changes of connectors"] += name.endswith(("connector", "secret"))
        request = next(one for other, _, one in choices if other == name)
        self.log.append(f"{self.clock.at:%H:%M:%S} {name}")

        def make() -> None:
            try:
                request()
            except EnrollmentError as error:
                self.counts[f"refused: {error.type}"] += 1

        return make

    def _requests(self, found: Mapping[str, list[Item]]) -> list[tuple[str, float, Callable[[], object]]]:
        directory, pick, manager = self.directory, self._pick, self.random.choice(self.managers)
        identity = pick(found, "USER_IDENTITY", "user_identity_id")
        phone = pick(found, "PHONE", "device_id")
        automation = pick(found, "ENROLLMENT_AUTOMATION", "enrollment_automation_id")
        credential = pick(found, "CREDENTIAL", "acs_credential_id")
        linked = [one for one in found.get("ACS_USER", []) if "acs_system_id" in one]
        unknown: Item = {"acs_user_id": UNKNOWN, "user_identity_id": UNKNOWN}
        acs_user = {**unknown, **self.random.choice(linked or [unknown])}
        acs_user_id, owner = str(acs_user["acs_user_id"]), str(acs_user["user_identity_id"])
        options: dict[str, Any] = self.random.choice(
            (
                {},
                {"create_credential_manager_user": True},
                {"create_credential_manager_user": True, "acs_credential_pool_id": self.pools[manager]},
                {"create_credential_manager_user": True, "acs_credential_pool_id": self.pools[manager]},
            )
        )
        model = self.random.choice(_MODELS_AT_CONNECTORS if self.has_connectors else _MODELS)
        validity = self._made_up_validity() if self.has_connectors else {}
        moment = f"20{self.random.randrange(80, 99)}-01-01T00:00:00Z"
        profile = {"email_address": f"{self.random.randrange(10**6)}@example.com"}
        return [
            ("launch", 4, partial(directory.launch, identity, manager, **options)),
            ("delete automation", 1, partial(directory.delete_automation, automation)),
            ("create phone", 4, self._creation_of_phone(identity, model)),
            (
                "start app",
                2,
                partial(self._start_app, identity, str(self.random.randrange(2)), "Phone"),
            ),
            ("deactivate phone", 2, partial(directory.deactivate_phone, phone)),
            (
                "create credential",
                4,
                partial(directory.create_credential, acs_user_id, credential_manager_acs_system_id=manager, **validity),
            ),
            ("update credential", 1, partial(directory.update_credential, credential, ends_at=moment)),
            ("delete credential", 3, partial(directory.delete_credential, credential)),
            ("delete ACS user", 0.6, partial(directory.delete_acs_user, acs_user_id)),
            ("remove ACS user", 0.6, partial(directory.remove, acs_user_id, owner)),
            ("add ACS user", 1, partial(directory.add, acs_user_id, user_identity_id=identity)),
            (
                "create ACS user",
                1,
                partial(directory.create_acs_user, self.random.choice(self.systems), user_identity_id=identity),
            ),
            ("update profile", 0.5, partial(directory.update, identity, **profile)),
            ("delete identity", 0.6, partial(self._delete, identity)),
            ("create identity", 0.6, partial(directory.create, full_name="Jane Doe")),
        ]

    def _pick(self, found: Mapping[str, list[Item]], kind: str, id_name: str) -> str:
        """Return the id of a thing of a kind, often the newest; an id that nothing has, if there is none."""
        items = [one for one in found.get(kind, []) if id_name in one]
        items.sort(key=lambda one: (str(one.get("created_at")), str(one[id_name])))
        if not items:
            return UNKNOWN
        return str((items[-1] if self._happens(0.5) else self.random.choice(items))[id_name])

    def _start_app(self, identity_id: str, installation: str, model: str) -> None:
        self.directory.session(identity_id).start_app(installation, model=model)

    def _creation_of_phone(self, identity_id: str, model: str) -> Callable[[], object]:
        """Return what makes a phone: only a sandbox simulates one."""
        if self.has_connectors:
            return partial(self._start_app, identity_id, str(self.random.randrange(2, 4)), model)
        return partial(self.directory.create_phone, identity_id, phone_metadata={"device_model": model})

    def _made_up_validity(self) -> dict[str, str]:
        """Return a validity that may begin and end while the round lasts."""
        starts_at = self.clock.at + timedelta(seconds=self.random.choice((0, 0, 5, 90, 4000)))
        if self._happens(0.6):
            return {"starts_at": timestamp(starts_at)}
        ends_at = starts_at + timedelta(seconds=self.random.choice((20, 300, 9000)))
        return {"starts_at": timestamp(starts_at), "ends_at": timestamp(ends_at)}

    def _delete(self, identity_id: str) -> None:
        self.ending.add(identity_id)
        with suppress(UserIdentityNotFound):
            self.directory.delete(identity_id, seconds=3600)
        self.ending.discard(identity_id)

    # ---------------------------------------------------------------------------------------- Executions and managers

    def _follow(self) -> None:
        """Start what follows the first changes, as the function of the table's stream does."""
        some = self.changes[: self.random.randint(1, 5)]
        Starter(self.store.table, self._start).follow(some)
        is_repeated = not self.is_calm and self._happens(0.1)
        if not is_repeated:
            del self.changes[: len(some)]

    def _start(self, name: str, given: Mapping[str, Any]) -> None:
        wakes_at = self.clock.at
        if not self.is_calm:
            if self._happens(0.1):
                self.counts["lost starts"] += 1
                return
            if self._happens(0.2):
                self.counts["late starts"] += 1
                wakes_at += timedelta(seconds=self.random.choice((5, 40, 400)))
        self.executions.append(Execution(name, given, wakes_at))

    def _run(self, execution: Execution) -> None:
        told = {"tell": self._tell, "now": self.clock.now}
        try:
            if "user_identity_id" in execution.given:
                provisioner = Provisioner(self.store.table, self._manager_of, **told)  # type: ignore[arg-type]
                execution.ended = provision(execution.given, execution.steps, provisioner)
            else:
                watcher = Watcher(self.store.table, self._connector_of, **told)  # type: ignore[arg-type]
                execution.ended = watch(execution.given, execution.steps, watcher)
        except Suspended:
            execution.wakes_at = self.clock.at + timedelta(seconds=execution.steps.found["wait_seconds"])

    def _manager_of(self, view: View) -> CredentialManager:
        where = (view.id.workspace_id, view.id.manager_id)
        if self.connected is not None and view.connector is not None:
            one_step = view.abilities is not None and view.abilities.one_step
            connector = self.connected.connector(view.id.manager_id, view.connector)
            return _Moody(self, connector, where[1], view.id, issues_at_once=one_step)
        return _Moody(self, SimulatedManager(self.store.table, *where, now=self.clock.now), where[1], view.id)

    def _connector_of(self, connector_id: ConnectorId, item: Item) -> CredentialManager:
        assert self.connected is not None
        return _Moody(self, self.connected.connector(connector_id.manager_id, item), connector_id.manager_id)

    def _tell(self, what: str, facts: Mapping[str, Any]) -> None:
        self.counts["steps"] += 1
        told = {
            name: value
            for name, value in facts.items()
            if "id" not in name or name in {"acs_credential_id", "device_id"}
        }
        self.log.append(f"{self.clock.at:%H:%M:%S} {what} {told}")

    # ---------------------------------------------------------------------------------------------------- What is true

    def _look_at_what_was_written(self) -> None:
        """Follow a transaction: what it changes of what is wanted, and whether something is wrong now."""
        before, after = self.seen, self.store.items()
        self.seen = after
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                told = Change("record", "0" * 40, self.clock.at, key, before.get(key), after.get(key))
                if (wanted := wanted_of_change(told)) is not None:
                    self.changes.append(wanted)
                self._note_lease(key, before.get(key, {}), after)
        self.wrong += [*wrong_at_any_moment(after, self._found(after)), *made_in_vain(before, after)]

        if self.connected is not None:
            self.wrong += self.connected.wrong()

    def _note_lease(self, key: Key, before: Item, after: Mapping[Key, Item]) -> None:
        """Note whether the person had a credential when a lease was taken."""
        enrolled = after.get(key, {})
        if key.sk.startswith("EXECUTION#") and enrolled.get("lease_id") not in {None, before.get("lease_id")}:
            here = [one for one in _of_kind(after, "CREDENTIAL#") if _is_of_enrollment(one, enrolled)]
            self.had_credential[EnrollmentId.from_json(enrolled)] = any("device_id" not in one for one in here)

    def _look_at_managers(self) -> None:
        """See whether a manager has what the table does not know, after a request to it."""
        items = self.store.items()
        self.wrong += wrong_at_any_moment(items, self._found(items))

    def _found(self, items: Mapping[Key, Item]) -> AtManager:
        """Return what managers have, by their own record."""
        return AtManager.of(items) if self.connected is None else self.connected.record()

    def check(self) -> None:
        """Note what is wrong now that nothing is to be done any more."""
        items = self.store.items()
        self.wrong += violations(items)
        self.wrong += _differing(items, self._found(items))
        for enrollment_id in enrollments_of_workspace(self.store.table, self.workspace.workspace_id):
            step = step_that_is_due(self.store.table, enrollment_id, self.clock.at)
            if step is not None:
                self.wrong.append(f"{step} is due")
        self.wrong += _missing(items, self.clock.at)
        # One that was replaced ends when it looks again, which can be in a month.
        executors = {item.get("executor") for key, item in items.items() if key.sk.startswith("EXECUTION#")}
        waits = [one for one in self.executions if one.ended is None and one.steps.results.get("begin") in executors]
        if len(waits) > _that_may_wait(items, timestamp(self.clock.at)):
            self.wrong.append(f"{len(waits)} executions still wait")

    def check_that_nobody_is_left(self) -> None:
        """Note what is left of people who were all deleted."""
        items = self.store.items()
        self.wrong += violations(items)
        at_manager = self._found(items)
        if self.connected is not None:
            self.wrong += self.connected.left()
        if at_manager.credentials:
            self.wrong.append(f"at managers is left {at_manager}")
        self.wrong += [f"{key} is left" for key in items if "#USER_IDENTITY#" in key.pk]


class _Moody(CredentialManager):
    """A manager that does not always take requests."""

    def __init__(
        self,
        round_: Round,
        manager: CredentialManager,
        manager_id: str,
        enrollment_id: EnrollmentId | None = None,
        *,
        issues_at_once: bool = False,
    ) -> None:
        self._round = round_
        self._manager = manager
        self._enrollment_id = enrollment_id
        # A lease begins in this moment: no request to the database is between.
        self._began = round_.clock.at
        self._mood = round_.moods.get(manager_id, Mood.WELL)
        self._issues_at_once = issues_at_once

    def ask(self, request: Request) -> Mapping[str, Any]:
        if self._enrollment_id is None:
            return self._answer(request)
        is_issuing = self._issues_at_once and request.type is RequestType.PHONE_REGISTER
        # The transaction before has checked that the person has a credential.
        if is_issuing and not self._round.had_credential[self._enrollment_id]:
            self._round.wrong.append("registering issues something, and there is nothing to be issued")
        others = self._round.asking.setdefault(self._enrollment_id, [])
        if any(abs(self._began - began) < _LEASE for began in others):
            self._round.wrong.append(f"{request.type} is asked for beside another request of the same person")
        others.append(self._began)
        try:
            return self._answer(request)
        finally:
            others.remove(self._began)

    def _answer(self, request: Request) -> Mapping[str, Any]:
        random = self._round.random
        self._round.counts["requests to managers"] += 1
        match self._mood:
            case Mood.SILENT:
                raise NoUsableAnswerError
            case Mood.BUSY:
                raise BusyError(random.choice((None, 1, 60)))
            case Mood.CLOSED:
                raise NoAccessError
            case Mood.FLAKY:
                match random.choice(("well", "lost", "late", "unanswered", "twice", "nonsense")):
                    case "lost":
                        raise NoUsableAnswerError
                    case "late":
                        self._round.late_requests.append(partial(self._manager.ask, request))
                        raise NoUsableAnswerError
                    case "unanswered":
                        self._manager.ask(request)
                        raise NoUsableAnswerError
                    case "twice":
                        self._manager.ask(request)
                    case "nonsense":
                        return {"state": "nonsense", "keeps_validity": "nonsense"}
        return self._manager.ask(request)


def _live_credentials(items: Mapping[Key, Item]) -> list[Key]:
    return sorted(
        key for key, item in items.items() if key.sk.startswith("SIMULATED_CREDENTIAL#") and "removed_at" not in item
    )


def _differing(items: Mapping[Key, Item], at_managers: AtManager) -> Iterator[str]:
    """Yield what managers have and the table does not, and the reverse."""
    failed = {str(item["acs_credential_id"]) for item in items.values() if _is_failed_credential(item)}
    known, found = in_table(items).credentials, at_managers.credentials
    registrations = _of_kind(items, "REGISTRATION#")
    # What waits for a credential, to be registered once more.
    ended = {str(one["phone_registration_id"]) for one in registrations if one.get("state") in {None, "gone", "failed"}}
    for registration_id in sorted(known.keys() - ended | found.keys()):
        if registration_id not in known or registration_id not in found:
            yield f"phone {registration_id} is only in the table or only at the manager"
        elif known[registration_id] - failed != found[registration_id]:
            differing = known[registration_id] - failed ^ found[registration_id]
            yield f"credentials {differing} of {registration_id} are only in the table or only at the manager"


def _is_failed_credential(item: Item) -> bool:
    return "acs_credential_id" in item and "device_id" in item and item.get("state") == "failed"


def _missing(items: Mapping[Key, Item], now: datetime) -> Iterator[str]:
    """Yield which wanted things are not there, or not as they are wanted."""
    phones = {str(item["device_id"]): item for item in _of_kind(items, "PHONE#")}
    registrations = {_registered(item): item for item in _of_kind(items, "REGISTRATION#")}
    for automation in _of_kind(items, "ENROLLMENT_AUTOMATION#"):
        for device_id, phone in phones.items():
            wanted = (device_id, str(automation["credential_manager_acs_system_id"]))
            is_of_person = phone["user_identity_id"] == automation["user_identity_id"]
            if is_of_person and wanted not in registrations and _is_registered_at_once(items, automation, now):
                yield f"phone {device_id} is not registered"
    for (device_id, _), registration in registrations.items():
        if device_id not in phones:
            yield f"phone {device_id} is deactivated and still registered"
            continue
        model = str(phones[device_id]["device_model"])
        expected = {"Fails for good": "failed"}.get(model, "active")
        if registration.get("state") != expected and _is_registered_at_once(items, registration, now):
            yield f"registration of {model} is {registration.get('state')}"
        if registration.get("state") == "active":
            yield from _missing_of_phone(items, registration, model, now)


def _missing_of_phone(items: Mapping[Key, Item], registration: Item, model: str, now: datetime) -> Iterator[str]:
    here = [item for item in _of_kind(items, "CREDENTIAL#") if _is_of_enrollment(item, registration)]
    wanted = {str(one["acs_credential_id"]): one["version"] for one in _issued_for(items, registration, now)}
    of_phone = [one for one in here if one.get("device_id") == registration["device_id"]]
    children = {str(one.get("parent_acs_credential_id") or one["acs_credential_pool_id"]): one for one in of_phone}
    for source, child in children.items():
        is_of_pool = "acs_credential_pool_id" in child
        expected = "failed" if (model == "Empty pool" and is_of_pool) or child.get("reason") in _LIMITS else "active"
        version = child["version"] if is_of_pool else wanted.get(source)
        if child.get("state") != expected or "being_deleted_at" in child:
            is_ending = "being_deleted_at" in child
            yield f"credential of {model} from {source} is {child.get('state')}{', being deleted' if is_ending else ''}"
        elif expected == "active" and child.get("synced_version") != version:
            yield f"credential has version {child.get('synced_version')} instead of {version}"
    where = [str(registration[name]) for name in ("workspace_id", "user_identity_id", _MANAGER)]
    automation = items.get(automation_key(*where), {})
    if acs_user_link_key(*where) in items and "requested_acs_credential_pool_id" in automation:
        wanted[str(automation["requested_acs_credential_pool_id"])] = 1
    missing = wanted.keys() - children.keys() - set(elements(registration.get("withdrawn_sources")))
    if missing and registration.get("state") == "active":
        yield f"phone {registration['device_id']} has no credential from {missing}"


def _is_registered_at_once(items: Mapping[Key, Item], enrolled: Item, now: datetime) -> bool:
    """Return whether a phone is registered without waiting for a credential that registering issues."""
    withdrawn = elements(enrolled.get("withdrawn_sources"))
    wanted = [one for one in _issued_for(items, enrolled, now) if one["acs_credential_id"] not in withdrawn]
    return not _can(items, enrolled, "one_step") or bool(wanted)


def _issued_for(items: Mapping[Key, Item], enrolled: Item, now: datetime) -> list[Item]:
    """Return the credentials of a person for which phones have credentials of their own now."""
    here = [item for item in _of_kind(items, "CREDENTIAL#") if _is_of_enrollment(item, enrolled)]
    keeps_validity = _can(items, enrolled, "keeps_validity", is_simulated=True)
    moment = timestamp(now)
    return [
        one
        for one in here
        if "device_id" not in one
        and (keeps_validity or str(one["starts_at"]) <= moment < str(one.get("ends_at", "9999")))
    ]


def _can(items: Mapping[Key, Item], enrolled: Item, ability: str, *, is_simulated: bool = False) -> bool:
    """Return whether a credential manager has told an ability, or a simulated one has it."""
    connector = items.get(connector_key(str(enrolled["workspace_id"]), str(enrolled[_MANAGER])))
    return is_simulated if connector is None else bool(connector.get(ability))


def _of_kind(items: Mapping[Key, Item], kind: str) -> list[Item]:
    return [item for key, item in items.items() if key.sk.startswith(kind) and "created_at" in item]


def _registered(registration: Item) -> tuple[str, str]:
    return str(registration["device_id"]), str(registration[_MANAGER])


def _is_of_enrollment(credential: Item, registration: Item) -> bool:
    return all(credential[name] == registration[name] for name in ("user_identity_id", _MANAGER))


def _that_may_wait(items: Mapping[Key, Item], now: str) -> int:
    """Return how many executions may wait: of people for whom something is asked again, or begins or ends later."""
    waiting = [
        item
        for item in items.values()
        if "next_at" in item or any(str(item.get(name, "")) > now for name in ("starts_at", "ends_at"))
    ]
    return 2 * len({item.get("user_identity_id") for item in waiting})


def _place(error: BaseException | None) -> str:
    trace = error.__traceback__ if error else None
    places = []
    while trace is not None:
        places.append(f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " ".join(places[-4:])


@contextmanager
def decided_by(random: Random, clock: Clock) -> Iterator[None]:
    """Have ids, jitter and the time come from a generator and a clock, so that a seed stands for a round."""

    def new_id() -> uuid.UUID:
        return uuid.UUID(int=random.getrandbits(128), version=4)

    with ExitStack() as stack:
        stack.enter_context(patch("uuid.uuid4", new_id))
        for module in (learning, manager_checks, pauses):
            stack.enter_context(patch.object(module, "_random", random))
        stack.enter_context(requests_on(clock))
        yield


def play_round(seed: int, *, requests: int = 25, has_connectors: bool = False) -> Round:
    """Play a round, and return it.

    Args:
        seed: Decides everything.
        has_connectors: Whether its managers are asked through connectors.
        requests: How many requests to make.
    """
    random, clock = Random(seed), Clock()
    with decided_by(random, clock):
        round_ = Round(InMemory(), random, clock, has_connectors)
        round_.play(requests)
        round_.repair()
        round_.settle()
        for repair in (round_.let_late_requests_arrive, round_.have_all_asked_about, round_.retry, round_.retry):
            clock.turn(seconds=1)
            repair()
            round_.settle()
        round_.check()
        round_.delete_everybody()
        round_.settle()
        round_.check_that_nobody_is_left()
    return round_
