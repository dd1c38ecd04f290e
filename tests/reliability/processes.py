"""Calls of several processes at the same moment."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from threading import Barrier
from typing import Any

from pydantic import BaseModel

from enrollment.callers import Caller
from enrollment.errors import EnrollmentError
from enrollment.table import Table, create_client
from tests.integration.conftest import Directory

PROCESSES = 4
_LONGEST_WAIT_SECONDS = 60


@dataclass(frozen=True)
class Call:
    """A method of ``Directory`` with its arguments."""

    method: str
    positional: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()


def call(method: str, *positional: Any, **named: Any) -> Call:
    """Return a call."""
    return Call(method, positional, tuple(named.items()))


@dataclass(frozen=True)
class Outcome:
    """What a call answered.

    Attributes:
        code: The error's type; ``None`` is a result.
        details: What the error's JSON has beside type and message.
        result: The result as JSON.
    """

    code: str | None
    details: dict[str, Any]
    result: dict[str, Any]


def all_at_once(
    environment: dict[str, str], table_name: str, workspace_id: str, rounds: Sequence[Sequence[Call]]
) -> list[list[Outcome]]:
    """Make each round's calls at the same moment, each in another process, and return each round's outcomes.

    Args:
        environment: Where DynamoDB is.
        table_name: The table.
        workspace_id: The workspace.
        rounds: As many calls each as there are processes.
    """
    context = get_context("spawn")
    with context.Manager() as manager, context.Pool(PROCESSES) as pool:
        barrier = manager.Barrier(PROCESSES)
        work = [(environment, table_name, workspace_id, barrier, calls) for calls in zip(*rounds, strict=True)]
        by_process = pool.starmap(_work, work, chunksize=1)
    return [list(outcomes) for outcomes in zip(*by_process, strict=True)]


def _work(
    environment: dict[str, str], table_name: str, workspace_id: str, barrier: Barrier, calls: Sequence[Call]
) -> list[Outcome]:
    os.environ.update(environment)
    directory = Directory(Table(create_client(), table_name), Caller(workspace_id))
    outcomes = []
    for next_call in calls:
        barrier.wait(_LONGEST_WAIT_SECONDS)
        outcomes.append(_make(directory, next_call))
    return outcomes


def _make(directory: Directory, next_call: Call) -> Outcome:
    try:
        result = getattr(directory, next_call.method)(*next_call.positional, **dict(next_call.named))
    except EnrollmentError as error:
        return Outcome(error.type, error.details(), {})
    return Outcome(None, {}, result.model_dump() if isinstance(result, BaseModel) else {})
