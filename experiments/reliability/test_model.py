"""Long sequences of requests of every kind, each answered as the contract says.

On moto with every run of the tests; ``make soak`` goes on with other sequences for as long as it is told, on DynamoDB
Local too: ``ENROLLMENTS_SOAK_SECONDS`` or ``ENROLLMENTS_SOAK_STEPS`` for each database.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from enrollments.local.stack import open_stack
from experiments import figures
from experiments.reliability.machine.machine import Machine
from experiments.reliability.machine.service import Counts, Service, from_server
from tests.items import in_moto

pytestmark = pytest.mark.long

STEPS = float(os.environ.get("ENROLLMENTS_SOAK_STEPS", "inf"))
SECONDS = float(os.environ.get("ENROLLMENTS_SOAK_SECONDS", "inf" if "ENROLLMENTS_SOAK_STEPS" in os.environ else "180"))

_SETTINGS = settings(
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
    stateful_step_count=50,
    print_blob=False,
)
# More sequences, which are shorter: each leaves some rules out, so that more rules have their turn.
BOUNDED = settings(_SETTINGS, derandomize=True, max_examples=30, stateful_step_count=40)
# Hypothesis begins with the simplest sequence and grows from there, so that a round must not be too short.
_ROUND = settings(_SETTINGS, max_examples=40)
_SECONDS_BETWEEN_LINES = 10


@contextmanager
def on_moto(project: Path) -> Iterator[Service]:
    with (
        Path(os.devnull).open("w") as log,
        open_stack(project / "template.yaml", log=log, terminal=StringIO()) as stack,
    ):
        yield Service(stack, lambda: in_moto(stack.table_name))


@contextmanager
def on_server(project: Path, address: str) -> Iterator[Service]:
    with (
        Path(os.devnull).open("w") as log,
        open_stack(project / "template.yaml", dynamodb_endpoint=address, log=log, terminal=StringIO()) as stack,
    ):
        service = Service(stack, lambda: from_server(address, stack.table_name))
        if foreign := service.items().keys() - stack.demo.items.keys():
            pytest.fail(f"the table at {address} is not empty: {len(foreign)} items")
        yield service


@pytest.fixture(autouse=True)
def failing_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a sequence that fails shorter for less than the five minutes that Hypothesis takes for it."""
    monkeypatch.setattr("hypothesis.internal.conjecture.engine.MAX_SHRINKING_SECONDS", 45)


@pytest.mark.timeout(300)  # a failure, too, is to be told on a busy machine
def test_every_answer_is_the_contracts_and_the_table_what_it_says(project: Path) -> None:
    with on_moto(project) as service:
        run(service, Counts(), BOUNDED)


@pytest.fixture(scope="module")
def rows() -> Iterator[list[dict[str, str | int]]]:
    found: list[dict[str, str | int]] = []
    yield found
    if found:
        figures.record("model", "Made-up sequences of requests, compared with a model of the contract", found)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("database", ["moto", "dynamodb-local"])
def test_every_answer_is_the_contracts_for_long(
    project: Path, database: str, request: pytest.FixtureRequest, rows: list[dict[str, str | int]]
) -> None:
    is_moto = database == "moto"
    running = on_moto(project) if is_moto else on_server(project, request.getfixturevalue("dynamodb_local"))
    counts, violations = Counts(), 1
    with running as service:
        begun, said = time.monotonic(), 0.0
        try:
            while (seconds := time.monotonic() - begun) < SECONDS and counts.steps < STEPS:
                if seconds - said >= _SECONDS_BETWEEN_LINES or not said:
                    said = seconds
                    say(f"{database}: {counts.steps:,} steps in {seconds:.0f} s")
                run(service, counts, _ROUND, seeded=seed(secrets.randbits(64)))
            violations = 0
        finally:
            seconds = time.monotonic() - begun
            rows.append(row(database, counts, seconds, violations))
            say(f"{database}: {counts.steps:,} steps in {seconds:.0f} s, {counts.steps / seconds:.0f} a second")
            for one in (counts.operations, counts.outcomes):
                say("".join(f"{count:9,} {name}\n" for name, count in one.most_common()))


def run(
    service: Service,
    counts: Counts,
    bounded: settings,
    seeded: Callable[[Callable[[], Machine]], Callable[[], Machine]] = lambda make: make,
) -> None:
    """Have Hypothesis make up sequences; a failure has the shortest that it has found, with its requests."""

    def make() -> Machine:
        return Machine(service, counts)

    run_state_machine_as_test(cast("type[RuleBasedStateMachine]", seeded(make)), settings=bounded)


def row(database: str, counts: Counts, seconds: float, violations: int) -> dict[str, str | int]:
    answers = counts.outcomes.total()
    return {
        "database": database,
        "steps": counts.steps,
        "sequences": counts.examples,
        "seconds": round(seconds),
        "operations": len(counts.operations),
        "answers 2xx": counts.outcomes["result"],
        "answers 4xx": answers - counts.outcomes["result"],
        "violations": violations,
    }


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what a run by hand is for
