"""Provisioning: an execution brings what a credential manager has to what is wanted of a person there.

It reads the enrollment, takes the next step, and reads it again, until nothing is missing or it has to wait.  Each step
that asks the manager has three parts.  A transaction takes the lease, checks what the step was based on, and notes what
will be asked.  Then comes the request.  Another transaction writes what was learned, if the lease is still held.  So an
execution can end anywhere, be doubled, late or lost: whoever goes on reads the table and asks again, with the same ids.

Executions never write what is wanted, except that they make the credentials of phones.
"""

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from enrollment.aws.deadline import seconds_left
from enrollment.managers.protocol import (
    BusyError,
    CredentialManager,
    NoAccessError,
    NoUsableAnswerError,
    ask_about_credential,
    ask_about_phone,
)
from enrollment.store.actions import Action, as_read, change
from enrollment.store.keys import manager_pause_key
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.convergence import Nothing, RequestStep, TableStep, Wait, next_step
from enrollment.use_cases.enrollments import EnrollmentId, View, note_execution, raise_revision, read_view
from enrollment.use_cases.learning import learn_of_credential, learn_of_phone, learn_of_silence
from enrollment.use_cases.looking import Found, Steps, look_again, seconds_until
from enrollment.use_cases.manager_requests import Asking, prepare
from enrollment.use_cases.pauses import forget_pause, pause_manager, seconds_of_spread
from enrollment.use_cases.table_steps import take_table_step

type Tell = Callable[[str, Mapping[str, Any]], None]
type ManagerOf = Callable[[View], CredentialManager]

# Longer than a request and its transactions can take: the manager has 10 s.
_LEASE = timedelta(seconds=30)
# What a request can take at most, and writing what was learned.
_SECONDS_OF_A_REQUEST = timedelta(seconds=15)
# Most leases are given back within a second.  Only the lease of an execution that was killed lasts.
_LEASE_IS_LOOKED_AT_AFTER = 2
# The time that another request with its transactions needs in this invocation.
_SECONDS_FOR_A_STEP = 15.0
_MOST_REFUSED = 5


class Provisioner:
    """Takes the steps of executions.

    Args:
        table: The table.
        manager_of: Returns the credential manager of an enrollment that is served.
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
            What ``looking.look_again`` returns.
        """
        return look_again(
            before,
            lambda: self._advance(enrollment_id, executor),
            lambda: raise_revision(self._table, enrollment_id, may_be_new=False),
            lambda outages: self._tell("out_of_reach", {**enrollment_id.to_json(), "outages": outages}),
            self._now(),
        )

    def _advance(self, enrollment_id: EnrollmentId, executor: str) -> Found:
        refused = 0
        while True:
            view = read_view(self._table, enrollment_id)
            if view.enrollment is None:
                return Found.end("deleted")
            if view.execution.get("executor") != executor:
                return Found.end("superseded")
            now = self._now()
            step = next_step(view, timestamp(now))
            if isinstance(step, Nothing):
                return Found.end("done")
            if isinstance(step, Wait):
                return Found.wait(self._seconds_until(view, step, now))
            if refused == _MOST_REFUSED or seconds_left() < _SECONDS_FOR_A_STEP:
                return Found.wait(1)
            if isinstance(step, TableStep):
                is_taken = take_table_step(self._table, view, step)
            else:
                lease_until = str(view.execution.get("lease_until", ""))
                if lease_until > timestamp(now):
                    # An execution that was replaced is just asking the manager.
                    return Found.wait(min(_LEASE_IS_LOOKED_AT_AFTER, seconds_until(lease_until, now)))
                is_taken = self._ask(view, step)
            refused = 0 if is_taken else refused + 1

    def _ask(self, view: View, step: RequestStep) -> bool:
        """Take a step that asks the manager.  Return whether what it was based on was still so."""
        manager = self._manager_of(view)
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
        pause_key = manager_pause_key(view.id.workspace_id, view.id.manager_id)
        try:
            actions, learned = self._learn(view, asking, manager, began)
        except (BusyError, NoAccessError) as error:
            paused = pause_manager(self._table, pause_key, view.pause, error, self._now(), asked=view.connector)
            self._tell("paused", {**view.id.to_json(), **paused})
            actions, learned = {}, {"failure": error.because}
        except NoUsableAnswerError as error:
            actions, learned = learn_of_silence(view, asking, error.because, timestamp(began), self._now())
        released = change(view.id.execution_key, remove=["lease_id", "lease_until"], where={"lease_id": lease_id})
        is_written = not self._table.transact({"execution": released, **actions})
        self._tell(asking.request.type, {**facts, **learned, **({} if is_written else {"is_dropped": True})})
        if "failure" not in learned:
            forget_pause(self._table, pause_key, view.pause, self._now())
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

    def _seconds_until(self, view: View, wait: Wait, now: datetime) -> int:
        seconds = seconds_until(wait.until, now)
        if wait.is_for_pause and view.pause is not None:
            seconds += seconds_of_spread(view.pause)
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
