"""Provisioning: an execution brings what a credential manager has to what is wanted of a person there.

It reads the enrollment, takes the next step, and reads it again, until nothing is missing or it has to wait.  Each step
that asks the manager has three parts.  A transaction takes the lease, checks what the step was based on, and notes what
will be asked.  Then comes the request.  Another transaction writes what was learned, if the lease is still held.  So an
execution can end anywhere, be doubled, late or lost: whoever goes on reads the table and asks again, with the same ids.

Executions never write what is wanted, except that they make the credentials of phones.
"""

import random
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from enrollment.aws.deadline import seconds_left
from enrollment.errors import ServiceUnavailable
from enrollment.managers.protocol import (
    BusyError,
    CredentialManager,
    NoAccessError,
    NoUsableAnswerError,
    ask_about_credential,
    ask_about_phone,
)
from enrollment.store.actions import Action, as_read, change, delete, put
from enrollment.store.keys import manager_pause_key
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.convergence import Nothing, RequestStep, TableStep, Wait, next_step
from enrollment.use_cases.enrollments import EnrollmentId, View, note_execution, raise_revision, read_view
from enrollment.use_cases.learning import learn_of_credential, learn_of_phone, learn_of_silence
from enrollment.use_cases.manager_requests import Asking, prepare
from enrollment.use_cases.table_steps import take_table_step

type Tell = Callable[[str, Mapping[str, Any]], None]
type ManagerOf = Callable[[View], CredentialManager | None]

# Longer than a request and its transactions can take: the manager has 10 s.
_LEASE = timedelta(seconds=30)
# What a request can take at most, and writing what was learned.
_SECONDS_OF_A_REQUEST = timedelta(seconds=15)
# Most leases are given back within a second.  Only the lease of an execution that was killed lasts.
_LEASE_IS_LOOKED_AT_AFTER = 2
# The time that another request with its transactions needs in this invocation.
_SECONDS_FOR_A_STEP = 15.0
# How often an execution looks before another one takes over.  AWS keeps what each look found.
MOST_LOOKS = 300
_MOST_REFUSED = 5
_LONGEST_OUTAGE_WAIT = 300
_SHORTEST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=5), timedelta(hours=1)
_PAUSE_WITHOUT_ACCESS = timedelta(minutes=5)
# A pause that begins so soon after another one shows that too many wait.
_PAUSES_BELONG_TOGETHER = timedelta(minutes=10)
_LONGEST_SPREAD_SECONDS = 600

# Randomness of the operating system: processes that start from one snapshot share the state of Python's generator.
_random = random.SystemRandom()


class Found(NamedTuple):
    """What an execution found when it looked.

    Attributes:
        ended: How the execution ended, in a word; ``None`` if it goes on.
        wait_seconds: After how many seconds it looks again; ``None`` if it has ended.
    """

    ended: str | None
    wait_seconds: int | None

    @classmethod
    def end(cls, ended: str) -> "Found":
        """Return that the execution has ended."""
        return cls(ended, None)

    @classmethod
    def wait(cls, seconds: int) -> "Found":
        """Return that the execution looks again after so many seconds."""
        return cls(None, seconds)


class Steps(Protocol):
    """What an execution can do so that AWS keeps its place."""

    def run(self, name: str, function: Callable[[], Any]) -> Any:
        """Run a function at least once, and return its result, which is JSON."""

    def poll(self, name: str, look: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Look until ``wait_seconds`` is ``None``, with these waits between.  Return what the last look found.

        Each look gets what the one before it returned, the first one an empty dictionary.
        """


class Provisioner:
    """Takes the steps of executions.

    Args:
        table: The table.
        manager_of: Returns the credential manager of an enrollment, if it can be asked.
        tell: Gets a line for each thing that was done: a word, and facts that may be logged.
        now: Returns the time.
    """

    def __init__(
        self,
        table: Table,
        manager_of: ManagerOf,
        *,
        tell: Tell = lambda *_: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._table = table
        self._manager_of = manager_of
        self._tell = tell
        self._now = now

    def begin(self, enrollment_id: EnrollmentId, revision: int) -> str | None:
        """Note a new execution.

        Args:
            enrollment_id: What it works for.
            revision: The revision that it was started for.

        Returns:
            Its name; ``None`` if it is not needed, because there is a later one.

        Raises:
            ServiceUnavailable: The database stays out of reach.
        """
        executor = str(uuid.uuid4())
        return executor if note_execution(self._table, enrollment_id, revision, executor) else None

    def look(self, enrollment_id: EnrollmentId, executor: str, before: Mapping[str, Any]) -> dict[str, Any]:
        """Do all that can be done now.

        Args:
            enrollment_id: The enrollment.
            executor: The execution's name.
            before: What this returned before; at first it is empty.

        Returns:
            What it found, how often it has looked, and how often in a row AWS was out of reach.
        """
        looks, outages = before.get("looks", 0) + 1, 0
        try:
            if looks > MOST_LOOKS:
                raise_revision(self._table, enrollment_id, may_be_new=False)
                found = Found.end("handed_over")
            else:
                found = self._advance(enrollment_id, executor)
        except ServiceUnavailable:
            outages = before.get("outages", 0) + 1
            self._tell("out_of_reach", {**enrollment_id.to_json(), "outages": outages})
            found = Found.wait(min(_LONGEST_OUTAGE_WAIT, 2 ** min(outages, 10)))
        return {**found._asdict(), "looks": looks, "outages": outages}

    def _advance(self, enrollment_id: EnrollmentId, executor: str) -> Found:
        refused = 0
        while True:
            view = read_view(self._table, enrollment_id)
            if view.enrollment is None:
                return Found.end("deleted")
            if view.execution.get("executor") != executor:
                return Found.end("superseded")
            manager = self._manager_of(view)
            now = self._now()
            step = next_step(view, timestamp(now), has_manager=manager is not None)
            if isinstance(step, Nothing):
                return Found.end("done")
            if isinstance(step, Wait):
                return Found.wait(self._seconds_until(view, step, now))
            if refused == _MOST_REFUSED or seconds_left() < _SECONDS_FOR_A_STEP:
                return Found.wait(1)
            if isinstance(step, TableStep):
                is_taken = take_table_step(self._table, view, step)
            elif manager is not None:
                lease_until = str(view.execution.get("lease_until", ""))
                if lease_until > timestamp(now):
                    # An execution that was replaced is just asking the manager.
                    return Found.wait(min(_LEASE_IS_LOOKED_AT_AFTER, _whole_seconds(_moment(lease_until) - now)))
                is_taken = self._ask(view, step, manager)
            refused = 0 if is_taken else refused + 1

    def _ask(self, view: View, step: RequestStep, manager: CredentialManager) -> bool:
        """Take a step that asks the manager.  Return whether what it was based on was still so."""
        began = self._now()
        asking = prepare(view, step, timestamp(began))
        lease_id = str(uuid.uuid4())
        lease = change(
            view.id.execution_key,
            assign={"lease_id": lease_id, "lease_until": timestamp(began + _LEASE)},
            where=as_read(view.execution, ["executor", "lease_id"]),
        )
        if self._table.transact({"execution": lease, **asking.actions}):
            return False
        if (
            self._now() > began + _LEASE - _SECONDS_OF_A_REQUEST
        ):  # the database took so long that the lease may end first
            return False
        facts = {**view.id.to_json(), **asking.facts}
        try:
            actions, learned = self._learn(view, asking, manager, began)
        except BusyError as busy:
            self._pause(view, "busy", busy.retry_after)
            actions, learned = {}, {"failure": "busy"}
        except NoAccessError:
            self._pause(view, "disconnected", None)
            actions, learned = {}, {"failure": "no_access"}
        except NoUsableAnswerError:
            actions, learned = learn_of_silence(view, asking, timestamp(began), self._now())
        released = change(view.id.execution_key, remove=["lease_id", "lease_until"], where={"lease_id": lease_id})
        is_written = not self._table.transact({"execution": released, **actions})
        self._tell(asking.request.type, {**facts, **learned, **({} if is_written else {"is_dropped": True})})
        self._forget_pause(view, learned)
        return True

    def _learn(
        self, view: View, asking: Asking, manager: CredentialManager, began: datetime
    ) -> tuple[dict[str, Action], dict[str, Any]]:
        """Ask the manager.  Return the actions that write what was learned, and facts for the log."""
        if asking.credential is None:
            phone = ask_about_phone(manager, asking.request)
            return learn_of_phone(view, asking, phone, timestamp(began), self._now())
        credential = ask_about_credential(manager, asking.request)
        return learn_of_credential(view, asking, credential, timestamp(began), self._now())

    def _pause(self, view: View, reason: str, retry_after: float | None) -> None:
        """Pause the manager for everybody."""
        now = self._now()
        times, paused_at = 1, timestamp(now)
        if view.pause is not None and _moment(view.pause["paused_until"]) > now - _PAUSES_BELONG_TOGETHER:
            times, paused_at = int(str(view.pause["times"])) + 1, str(view.pause["paused_at"])
        usual = _PAUSE_WITHOUT_ACCESS if reason == "disconnected" else _SHORTEST_PAUSE
        pause = usual * 2 ** min(times - 1, 10)
        if retry_after is not None:
            pause = timedelta(seconds=min(retry_after, _LONGEST_PAUSE.total_seconds()))
        pause = max(timedelta(seconds=1), min(pause, _LONGEST_PAUSE))
        until = now + pause
        paused: dict[str, str | int] = {
            "paused_at": paused_at,
            "paused_until": timestamp(until),
            "reason": reason,
            "times": times,
        }
        self._table.transact({"pause": put(manager_pause_key(view.id.workspace_id, view.id.manager_id), paused)})
        facts = {"reason": reason, "until": timestamp(until), "pause_s": round(pause.total_seconds()), "times": times}
        self._tell("paused", {**view.id.to_json(), **facts})

    def _forget_pause(self, view: View, learned: Mapping[str, Any]) -> None:
        """Delete the item of an earlier pause, if the manager has answered."""
        if view.pause is None or "failure" in learned:
            return
        is_over = _moment(view.pause["paused_until"]) < self._now() - _PAUSES_BELONG_TOGETHER
        if is_over or view.pause["reason"] == "disconnected":
            key = manager_pause_key(view.id.workspace_id, view.id.manager_id)
            self._table.transact({"pause": delete(key, as_read(view.pause, ["paused_until"]))})

    def _seconds_until(self, view: View, wait: Wait, now: datetime) -> int:
        seconds = _whole_seconds(_moment(wait.until) - now)
        if wait.is_for_pause and view.pause is not None:
            # The more wait, the more often the manager is paused, and the longer is the time in which they come back.
            longest = min(_LONGEST_SPREAD_SECONDS, 2 ** min(int(str(view.pause["times"])), 10))
            seconds += round(_random.uniform(0, longest))
        return seconds


def provision(given: Mapping[str, Any], steps: Steps, provisioner: Provisioner) -> str:
    """Do what an execution is for.  Return how it ended, in a word.

    Args:
        given: The execution's input: the enrollment, and the revision that it was started for.
        steps: What it can do.
        provisioner: Takes the steps.

    Raises:
        ServiceUnavailable: AWS stays out of reach; the step is run again.
    """
    enrollment_id = EnrollmentId.from_json(given)
    executor = steps.run("begin", lambda: provisioner.begin(enrollment_id, int(given["revision"])))
    if executor is None:
        return "superseded"
    last = steps.poll("converge", lambda before: provisioner.look(enrollment_id, executor, before))
    return str(last["ended"])


def _whole_seconds(duration: timedelta) -> int:
    return max(1, -(-duration // timedelta(seconds=1)))


def _moment(text: object) -> datetime:
    return datetime.fromisoformat(str(text))
