"""The cost of provisioning, by the template, the code's own requests and AWS's list prices."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from enrollment.callers import Caller
from enrollment.log import create_logger
from enrollment.managers.simulated import SimulatedManager
from enrollment.store.client import create_client
from enrollment.store.items import stored_acs_system
from enrollment.use_cases.enrollments import View
from experiments.scale.bill import (
    GIB,
    LAMBDAS_BYTES,
    MEGABYTES_OF_A_PROCESSOR,
    READ_MS,
    TRANSACTION_MS,
    Bill,
    Line,
    rounded,
)
from experiments.scale.bill_of_events import ANSWER_MS
from experiments.scale.burst import dynamodb
from experiments.scale.capture import Request, each, units_of
from experiments.scale.people import MANAGER_ID, POOL_ID, WORKSPACE_ID, building, made_up_id, person
from experiments.scale.units import stored_bytes
from tests.fixtures import Workspace, create_table, put_all
from tests.integration.conftest import Directory
from tests.items import by_key, in_moto
from tests.provisioning import Execution, Provisioning

PEOPLE = 1_000_000
# An execution's start and its step.  Each look is another one: AWS counts the attempts of a step.
_OPERATIONS_OF_AN_EXECUTION = 2
_TABLE, _TABLE_OF_MANAGER = "provisioning", "manager"
_FUNCTION = "ProvisioningFunction"
_SYSTEM_ID = made_up_id("another_acs_system")


@dataclass(frozen=True, slots=True)
class Course:
    """What was done, measured by doing it.

    Attributes:
        executions: How many executions were started.
        looks: How often they have looked, each time with an invocation.
        asked: The requests to the credential manager.
        requests: The requests of DynamoDB, those that start the executions included.
        logged: Bytes that were logged, without Lambda's own lines.
    """

    executions: int
    looks: int
    asked: int
    requests: Sequence[Request]
    logged: int

    @property
    def operations(self) -> int:
        """The durable operations."""
        return _OPERATIONS_OF_AN_EXECUTION * self.executions + self.looks


class BillOfProvisioning:
    """The cost of provisioning.

    Args:
        bill: That of launches.
    """

    def __init__(self, bill: Bill) -> None:
        self._bill = bill
        self.person, self.stored = _person()
        self.look = _look()

    def of_people(self, course: Course) -> Iterator[Line]:
        """Yield what a million of a course cost."""
        deployment = self._bill.deployment
        yield Line("Lambda: durable operations", PEOPLE * course.operations, "lambda_durable_operation")
        yield Line("Lambda: requests", PEOPLE * course.looks, "lambda_request")
        seconds = self._milliseconds(course) / 1000
        gigabytes = deployment.memory_mb(_FUNCTION) / 1024
        price = f"lambda_gb_second_{deployment.architecture}"
        yield Line("Lambda: the function's time", PEOPLE * gigabytes * seconds, price)
        written, read = (units_of(course.requests, is_write=is_write) for is_write in (True, False))
        yield Line("DynamoDB: written", PEOPLE * written, "dynamodb_write_unit")
        yield Line("DynamoDB: read", PEOPLE * read, "dynamodb_read_unit")
        logged = PEOPLE * (course.logged + course.looks * LAMBDAS_BYTES) / GIB
        yield Line("CloudWatch: logs", logged, "logs_taken_in")
        days = deployment.log_days
        yield Line(f"CloudWatch: logs, for {days} days", logged * days / 30, "logs_kept")
        yield Line("X-Ray: traces, at most", PEOPLE * course.looks, "xray_trace")

    def _milliseconds(self, course: Course) -> float:
        """Return how long the function runs.  Its own time for a look is taken to be that of a launch."""
        memory = self._bill.deployment.memory_mb(_FUNCTION)
        own = self._bill.durations["launch"]["warm_ms"] / min(1, memory / MEGABYTES_OF_A_PROCESSOR)
        waited = sum(TRANSACTION_MS if request.is_transaction else READ_MS for request in course.requests)
        return float(course.looks * own + waited + course.asked * ANSWER_MS)


@dataclass
class _Counted(Provisioning):
    looks: int = 0

    def go_on(self, execution: Execution) -> None:
        super().go_on(execution)
        self.looks += 1


def _person() -> tuple[Course, int]:
    """Return how a phone gets a credential under the person's and one from the pool, and the bytes that this adds."""
    with dynamodb():
        provisioning, client = _enrolled(pace=timedelta(seconds=1))
        before = stored_bytes(client.scan(TableName=_TABLE)["Items"])
        course = _course(provisioning, client, hours=1)
        return course, rounded(stored_bytes(client.scan(TableName=_TABLE)["Items"]) - before)


def _look() -> Course:
    """Return a look at a phone whose person has not accepted the invitation yet."""
    with dynamodb():
        provisioning, client = _enrolled(pace=timedelta(days=30))
        provisioning.settle(hours=1)
        return _course(provisioning, client, days=10)


def _enrolled(*, pace: timedelta) -> tuple[_Counted, Any]:
    """Return the provisioning of a person who has an automation, a credential and a new phone; and the table's client.

    Args:
        pace: How long each step of the simulated credential manager takes.
    """
    client, manager_client = create_client(), create_client()
    table, table_of_manager = create_table(client, _TABLE), create_table(manager_client, _TABLE_OF_MANAGER)
    system = stored_acs_system(
        {
            "acs_system_id": _SYSTEM_ID,
            "workspace_id": WORKSPACE_ID,
            "name": "Doors",
            "is_credential_manager": False,
            "connected_account_id": made_up_id("connected_account"),
            "created_at": "2026-01-09T05:45:33.068Z",
        }
    )
    put_all(table, building() | person(0, is_enrolled=False) | system)
    Workspace(table, WORKSPACE_ID).become_sandbox()
    identity_id, directory = made_up_id("user_identity"), Directory(table, Caller(WORKSPACE_ID))
    acs_user_id = directory.create_acs_user(_SYSTEM_ID, user_identity_id=identity_id).acs_user_id
    directory.launch(identity_id, MANAGER_ID, acs_credential_pool_id=POOL_ID, create_credential_manager_user=True)
    directory.create_credential(acs_user_id, credential_manager_acs_system_id=MANAGER_ID)
    provisioning = _Counted(table, lambda: by_key(in_moto(_TABLE)))

    def manager_of(view: View) -> SimulatedManager:
        """Return a manager whose record is not in the table, as that of a real one is not."""
        return SimulatedManager(table_of_manager, *view.id[::2], now=provisioning.clock.now, pace=pace)

    provisioning.manager_of = manager_of
    provisioning.follow()  # of a person without a phone
    directory.create_phone(identity_id)
    return provisioning, client


def _course(provisioning: _Counted, client: Any, **longest: float) -> Course:
    """Do all that follows, and return what that was."""
    before = {execution.name: execution.ended for execution in provisioning.executions.values()}
    provisioning.asked.clear()
    provisioning.told.clear()
    provisioning.looks = 0
    requests = each(lambda: provisioning.settle(**longest), client, create_client())
    executions = provisioning.executions.values()
    ended = [one for one in executions if one.ended is not None and before.get(one.name) is None]
    lines = [*provisioning.told, *(("ended", {**one.given, "how": one.ended}) for one in ended)]
    return Course(
        executions=len(executions) - len(before),
        looks=provisioning.looks,
        asked=len(provisioning.asked),
        requests=requests,
        logged=rounded(_bytes_of(lines)),
    )


def _bytes_of(lines: Sequence[tuple[str, Mapping[str, Any]]]) -> int:
    logger, log = create_logger(), io.StringIO()
    logger.registered_handler.setStream(log)  # type: ignore[attr-defined]  # it is a StreamHandler
    for what, facts in lines:
        logger.info(what, extra=dict(facts))
    return len(log.getvalue().encode())
