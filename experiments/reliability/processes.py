"""Calls of several processes at the same moment."""

import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from multiprocessing import get_context
from threading import Barrier
from typing import Any

from pydantic import BaseModel

from enrollment.callers import Caller, TokenKind
from enrollment.errors import EnrollmentError
from enrollment.http.page_cursors import Cursors
from enrollment.managers.simulated import SimulatedManager
from enrollment.resources.acs_users import AcsUser, ListAcsUsersRequest
from enrollment.resources.client_sessions import (
    ClientSession,
    ClientSessionRequest,
    CreateClientSessionRequest,
    GrantAccessRequest,
)
from enrollment.resources.user_identities import UserIdentity
from enrollment.store.actions import change, put
from enrollment.store.attributes import Item
from enrollment.store.client import create_client
from enrollment.store.keys import Key, acs_credential_pool_key, acs_system_key, page_cursor_key, user_identity_key
from enrollment.store.table import GuardFailedError, Table
from enrollment.timestamps import timestamp
from enrollment.use_cases import acs_users, client_sessions
from enrollment.use_cases.automations import known_items
from enrollment.use_cases.client_session_items import end_sessions_of_user_identity
from enrollment.use_cases.deleted_workspaces import is_not_deleted
from enrollment.use_cases.enrollments import EnrollmentId, View, raise_revision
from enrollment.use_cases.provisioning import Provisioner
from enrollment.use_cases.tokens import NewToken, create_token
from enrollment.use_cases.waits import CLOCK
from enrollment.use_cases.workspace_deletion import Terms, delete_workspace
from tests.fixtures import MASTER
from tests.integration.conftest import Directory

PROCESSES = 4
_LONGEST_WAIT_SECONDS = 60
_LONGEST_SLEEP_SECONDS = 1
_MOST_LOOKS = 20
_LONGEST_REQUEST_SECONDS = 3
# The calls that are made by operators' commands.
_COMMANDS = frozenset({"import_row", "issue_key"})


class Memory(StrEnum):
    """What a process knows when a round begins."""

    NOTHING = "nothing known"
    ALL = "all known"
    OUTDATED = "what is known is out of date"


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
    """The answer to a call.

    Attributes:
        code: The error's type; ``None`` is a result.
        details: What the error's JSON has beside type and message.
        result: The result as JSON.
    """

    code: str | None
    details: dict[str, Any]
    result: dict[str, Any]


class Walked(BaseModel):
    """The content of a list's pages, from the first to the last."""

    acs_user_ids: list[str]


class Racer(Directory):
    """The calls of a race, and those that make sense only beside others."""

    def remember(self, next_call: Call, *, is_outdated: bool) -> None:
        """Know what a launch will need before it begins, as a process does that has launched before.

        Args:
            next_call: The call.
            is_outdated: Know it as if it had been read before the system became a credential manager, and the pool
                this system's.
        """
        if next_call.method != "launch" or self.known is None:
            return
        self.known.clear()
        for key, before in self._needed(*next_call.positional, **dict(next_call.named)):
            if item := self.table.get(key):
                self.known[key] = {**item, **before} if is_outdated else item

    def _needed(self, _: str, manager_id: str, **options: Any) -> Iterator[tuple[Key, Item]]:
        yield acs_system_key(self.caller.workspace_id, manager_id), {"is_credential_manager": False}
        if pool_id := options.get("acs_credential_pool_id"):
            yield acs_credential_pool_key(self.caller.workspace_id, pool_id), {"acs_system_id": "another"}

    def walk(self, acs_system_id: str, memory: Memory) -> Walked:
        """Read a list of ACS users page by page, two at a time.

        Args:
            acs_system_id: Of which system.
            memory: Without any, a new process reads each page.
        """
        query = {"acs_system_id": acs_system_id}
        request = ListAcsUsersRequest(acs_system_id=acs_system_id, limit=2)
        cursors, after, found = Cursors(self.table), None, []
        while True:
            page = acs_users.list_users(self.table, self.caller, request, after)
            found += [acs_user.acs_user_id for acs_user in page.records]
            if page.next_position is None:
                return Walked(acs_user_ids=found)
            cursor = cursors.seal(self.caller, query, page.next_position)
            if memory is Memory.NOTHING:
                cursors = Cursors(self.table)
            after = cursors.open(self.caller, query, cursor)

    def get_or_create_session(self, **parameters: Any) -> ClientSession:
        """Get or create a client session."""
        request = CreateClientSessionRequest.model_validate(parameters)
        return client_sessions.get_or_create(self.table, self.caller, request, master=MASTER)

    def grant_access(self, **parameters: Any) -> ClientSession:
        """Give a client session more user identities."""
        request = GrantAccessRequest.model_validate(parameters)
        return client_sessions.grant_access(self.table, self.caller, request, master=MASTER)

    def revoke_session(self, client_session_id: str) -> None:
        """Revoke a client session."""
        client_sessions.revoke(self.table, self.caller, ClientSessionRequest(client_session_id=client_session_id))

    def delete_session(self, client_session_id: str) -> None:
        """Delete a client session."""
        client_sessions.delete(self.table, self.caller, ClientSessionRequest(client_session_id=client_session_id))

    def end_sessions_of(self, user_identity_id: str) -> None:
        """Mark a user identity as one that is being deleted, and end its client sessions."""
        key = user_identity_key(self.caller.workspace_id, user_identity_id)
        self.table.transact({"mark": change(key, assign={"being_deleted_at": timestamp(datetime.now(UTC))})})
        end_sessions_of_user_identity(self.table, self.caller.workspace_id, user_identity_id)

    def converge(self, user_identity_id: str, manager_id: str) -> None:
        """Run an execution for an enrollment, with a manager that is done at once, until it waits for long or ends."""
        enrollment_id = EnrollmentId(self.caller.workspace_id, user_identity_id, manager_id)
        raise_revision(self.table, enrollment_id, may_be_new=True)
        enrollment = self.table.get(enrollment_id.key)
        if enrollment is None:
            return
        provisioner = Provisioner(self.table, self._quick_manager)
        executor = provisioner.begin(enrollment_id, int(str(enrollment["revision"])))
        found: dict[str, Any] = {}
        while executor is not None:
            found = provisioner.look(enrollment_id, executor, found)
            if found["wait_seconds"] is None or found["looks"] > _MOST_LOOKS:
                return
            time.sleep(min(found["wait_seconds"], _LONGEST_SLEEP_SECONDS))

    def _quick_manager(self, view: View) -> SimulatedManager:
        return SimulatedManager(self.table, view.id.workspace_id, view.id.manager_id, pace=timedelta(0))

    def change_secret(self) -> None:
        """Make the secret of page cursors another one."""
        self.table.transact({"secret": put(page_cursor_key(), {"secret": secrets.token_hex(32)})})

    def import_and_look(self, **properties: Any) -> AcsUser:
        """Import an ACS user's row, and return the ACS user as it is afterwards."""
        self.import_row(**properties)
        return self.acs_user(properties["acs_user_id"])

    def import_if_right(self, **properties: Any) -> None:
        """Import a row that others can make a bad one."""
        with suppress(AssertionError):
            self.import_row(**properties)

    def in_workspace(self, workspace_id: str, method: str, *positional: Any, **named: Any) -> Any:
        """Make a call in another workspace: as a client's request that was let in, or as an operator's command."""
        table = self.table.guarded_by(is_not_deleted(workspace_id)) if method in _COMMANDS else self.table
        return getattr(Racer(table, Caller(workspace_id), self.known), method)(*positional, **named)

    def delete_workspace(self, workspace_id: str) -> None:
        """Delete a workspace, with waits that are long enough for requests on this machine."""
        waits = timedelta(seconds=_LONGEST_REQUEST_SECONDS)
        no_time = timedelta(0)
        terms = Terms(no_time, no_time, longest_decision=no_time, longest_request=waits, longest_invocation=waits)
        delete_workspace(self.table, workspace_id, terms, lambda _: None, CLOCK)

    def issue_key(self) -> None:
        """Issue an API key, as an operator's command does."""
        create_token(self.table, NewToken(TokenKind.API_KEY, [self.caller.workspace_id]))

    def move(self, acs_user_id: str, user_identity_id: str, other_identity_id: str) -> None:
        """Take an ACS user from one user identity and link it to another."""
        self.remove(acs_user_id, user_identity_id)
        self.add(acs_user_id, user_identity_id=other_identity_id)

    def update_and_look(self, user_identity_id: str, **changes: Any) -> UserIdentity:
        """Change a user identity, and return it as it is afterwards."""
        self.update(user_identity_id, **changes)
        return self.get(user_identity_id)


def all_at_once(
    environment: Mapping[str, str],
    table_name: str,
    workspace_id: str,
    rounds: Sequence[Sequence[Call]],
    memory: Memory = Memory.NOTHING,
) -> list[list[Outcome]]:
    """Make each round's calls at the same moment, each in another process, and return each round's outcomes.

    Args:
        environment: Where DynamoDB is.
        table_name: The table.
        workspace_id: The workspace.
        rounds: As many calls each as there are processes.
        memory: What each process remembers when a round begins.
    """
    context = get_context("spawn")
    with context.Manager() as manager, context.Pool(PROCESSES) as pool:
        barrier = manager.Barrier(PROCESSES)
        work = [(environment, table_name, workspace_id, barrier, memory, calls) for calls in zip(*rounds, strict=True)]
        by_process = pool.starmap(_work, work, chunksize=1)
    return [list(outcomes) for outcomes in zip(*by_process, strict=True)]


def _work(
    environment: Mapping[str, str],
    table_name: str,
    workspace_id: str,
    barrier: Barrier,
    memory: Memory,
    calls: Sequence[Call],
) -> list[Outcome]:
    os.environ.update(environment)
    known = None if memory is Memory.NOTHING else known_items()
    directory = Racer(Table(create_client(), table_name), Caller(workspace_id), known)
    outcomes = []
    for next_call in calls:
        directory.remember(next_call, is_outdated=memory is Memory.OUTDATED)
        barrier.wait(_LONGEST_WAIT_SECONDS)
        outcomes.append(_make(directory, next_call))
    return outcomes


def _make(directory: Racer, next_call: Call) -> Outcome:
    try:
        result = getattr(directory, next_call.method)(*next_call.positional, **dict(next_call.named))
    except EnrollmentError as error:
        return Outcome(error.type, error.details(), {})
    except GuardFailedError:
        return Outcome("workspace_is_deleted", {}, {})
    return Outcome(None, {}, result.model_dump() if isinstance(result, BaseModel) else {})
