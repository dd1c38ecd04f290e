"""Calls of several processes at the same moment."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from threading import Barrier
from typing import Any

from pydantic import BaseModel

from enrollment.callers import Caller
from enrollment.errors import EnrollmentError
from enrollment.resources.acs_users import AcsUser
from enrollment.resources.user_identities import UserIdentity
from enrollment.store.client import create_client
from enrollment.store.table import Table
from tests.integration.conftest import Directory

PROCESSES = 4
_LONGEST_WAIT_SECONDS = 60


@dataclass(frozen=True)
class Call:
    """A method of ``Racer`` with its arguments."""

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


class Racer(Directory):
    """What can be done, and what makes sense only beside others that do something."""

    def import_and_look(self, **properties: Any) -> AcsUser:
        """Import an ACS user's row, and return the ACS user as it is afterwards."""
        self.import_row(**properties)
        return self.acs_user(properties["acs_user_id"])

    def import_if_right(self, **properties: Any) -> None:
        """Import a row that others can make a bad one."""
        with suppress(AssertionError):
            self.import_row(**properties)

    def move(self, acs_user_id: str, user_identity_id: str, other_identity_id: str) -> None:
        """Take an ACS user from one user identity and link it to another."""
        self.remove(acs_user_id, user_identity_id)
        self.add(acs_user_id, user_identity_id=other_identity_id)

    def update_and_look(self, user_identity_id: str, **changes: Any) -> UserIdentity:
        """Change a user identity, and return it as it is afterwards."""
        self.update(user_identity_id, **changes)
        return self.get(user_identity_id)


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
    directory = Racer(Table(create_client(), table_name), Caller(workspace_id))
    outcomes = []
    for next_call in calls:
        barrier.wait(_LONGEST_WAIT_SECONDS)
        outcomes.append(_make(directory, next_call))
    return outcomes


def _make(directory: Racer, next_call: Call) -> Outcome:
    try:
        result = getattr(directory, next_call.method)(*next_call.positional, **dict(next_call.named))
    except EnrollmentError as error:
        return Outcome(error.type, error.details(), {})
    return Outcome(None, {}, result.model_dump() if isinstance(result, BaseModel) else {})
