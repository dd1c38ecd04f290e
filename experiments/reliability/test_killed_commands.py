"""Operators' commands that take long, killed at a random moment and run again: the table is as if nothing had happened.

Each round begins with the same two workspaces, one of which the command is for.  The process is killed with SIGKILL, so
nothing of it runs any more.  Meanwhile executions work on, in the process of the experiment.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import boto3
import pytest

from enrollment.callers import Caller, TokenKind
from enrollment.store.actions import put
from enrollment.store.attributes import Item
from enrollment.store.items import stored_acs_credential_pool, stored_acs_system
from enrollment.store.keys import Key, workspace_prefix
from enrollment.store.table import MOST_ACTIONS
from enrollment.use_cases.tokens import NewToken, create_token
from experiments import figures
from tests.fixtures import PROJECT, Store, Workspace, create_table
from tests.in_memory import InMemory
from tests.integration.conftest import Directory
from tests.moving import exported
from tests.provisioning import Provisioning

pytestmark = [pytest.mark.kills, pytest.mark.timeout(3600)]

ROUNDS = int(os.environ.get("ENROLLMENTS_KILL_ROUNDS", "20"))
SEED = int(os.environ.get("ENROLLMENTS_KILL_SEED", str(random.SystemRandom().randrange(10**6))))
TENANT = "00000000-0000-4000-8000-000000000001"
_UNUSED_SYSTEM = "00000000-0000-4000-8000-0000000000aa"
_UNUSED_POOL = "00000000-0000-4000-8000-0000000000bb"
OTHER = "00000000-0000-4000-8000-000000000002"
_PEOPLE, _PEOPLE_WITH_PHONES = 150, 8
# Before that a command only starts.
_SECONDS_TO_BEGIN = 0.5
# With fewer, all kills can be too late.
_ENOUGH_ROUNDS = 5
# When a thing was written, which differs from run to run.  A restored enrollment's revision is a moment, too.
_MOMENTS = {
    "started_at",
    "finished_at",
    "taken_back_since",
    "created_at",
    "deleted_after",
    "removed_at",
    "restored_at",
    "revision",
    "revoked_at",
}


def _ids(number: int) -> UUID:
    return UUID(int=number)


def _fill(memory: InMemory, workspace_id: str, people: int) -> None:
    """Make a sandbox with people, some of whom have phones with credentials."""
    workspace = Workspace(memory.table, workspace_id)
    workspace.exist(f"Workspace {workspace_id[-1]}", is_sandbox=True)
    create_token(memory.table, NewToken(TokenKind.API_KEY, [workspace_id]))
    directory = Directory(memory.table, Caller(workspace_id))
    manager_id = workspace.credential_manager()
    pool_id, system_id = workspace.acs_credential_pool(manager_id), workspace.acs_system()
    for number in range(people):
        identity_id = workspace.user_identity(email_address=f"person{number}@example.com")
        directory.launch(identity_id, manager_id, create_credential_manager_user=True, acs_credential_pool_id=pool_id)
        if number < _PEOPLE_WITH_PHONES:
            workspace.client_session(identity_id)
            workspace.event(user_identity_id=identity_id)
            acs_user = directory.create_acs_user(system_id, user_identity_id=identity_id)
            directory.create_credential(acs_user.acs_user_id, credential_manager_acs_system_id=manager_id)
            directory.create_phone(identity_id)


@pytest.fixture(scope="module")
def both() -> Mapping[Key, Item]:
    """The items of both workspaces, when all phones have their credentials."""
    memory = InMemory()
    _fill(memory, TENANT, _PEOPLE)
    _fill(memory, OTHER, _PEOPLE_WITH_PHONES)
    Provisioning(memory.table, memory.items).settle(minutes=10)
    return memory.items()


@pytest.fixture(scope="module")
def store(dynamodb_local: str) -> Iterator[Store]:
    client: Any = boto3.client(
        "dynamodb",
        endpoint_url=dynamodb_local,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    name = f"killed-{uuid4()}"
    yield Store(create_table(client, name), client, name)
    client.delete_table(TableName=name)


@dataclass
class Command:
    """A command that takes long.

    Attributes:
        name: How figures call it.
        arguments: Its arguments, without those that name the table.
        prepare: Changes the items with which each round begins.
        makes: The file that it writes.
        is_done: What it says if it was killed after its work, and finds nothing to do.
    """

    name: str
    arguments: Sequence[str]
    prepare: Callable[[dict[Key, Item]], dict[Key, Item]] = dict
    makes: Path | None = None
    is_done: str | None = None


@dataclass
class Rig:
    """Runs a command on a table of a server, and executions beside it.

    Attributes:
        store: The table.
        endpoint: The server.
        items: The items with which each round begins.
    """

    store: Store
    endpoint: str
    items: Mapping[Key, Item]

    def begin(self, command: Command) -> None:
        """Have the table as it is before each round."""
        self.store.restore(command.prepare(dict(self.items)))
        if command.makes is not None:
            command.makes.unlink(missing_ok=True)

    def start(self, command: Command) -> "subprocess.Popen[str]":
        where = ["--table-name", self.store.table_name, "--endpoint-url", self.endpoint]
        return subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "experiments.reliability.quick_commands", *command.arguments, *where],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, command: Command) -> float:
        """Run a command to its end.  Return how many seconds it took."""
        began = time.monotonic()
        process = self.start(command)
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0 or (command.is_done is not None and command.is_done in output), output
        return time.monotonic() - began

    def kill(self, command: Command, seconds: float) -> bool:
        """Kill a command after a time.  Return whether it was still running."""
        process = self.start(command)
        time.sleep(seconds)
        is_running = process.poll() is None
        process.kill()
        process.communicate()
        return is_running

    def state(self, command: Command) -> object:
        """Return the table, and the file, without the moments at which things were written."""
        made = None if command.makes is None else _without_moments(command.makes.read_text())
        return {key: _settled(item) for key, item in self.store.items().items()}, made


def _settled(item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in _MOMENTS}


def _without_moments(text: str) -> list[object]:
    rows = [json.loads(line) for line in text.splitlines()]
    return [{name: value for name, value in row.items() if name != "exported_at"} for row in rows]


def _directory_file(folder: Path) -> Path:
    path = folder / "directory.jsonl"
    system_id = str(_ids(0xA0))
    rows: list[dict[str, object]] = [
        {"acs_system_id": system_id, "name": "New", "is_credential_manager": True, "connected_account_id": str(_ids(9))}
    ]
    rows += [
        {"acs_user_id": str(_ids(0xB000 + number)), "acs_system_id": system_id, "full_name": f"Person {number}"}
        for number in range(4000)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def _damaged(items: dict[Key, Item]) -> dict[Key, Item]:
    """Return items without some of their entries, and with some needless ones."""
    entries = sorted(key for key in items if key.pk == f"{workspace_prefix(TENANT)}ACS_USERS")
    for key in entries[::2]:
        del items[key]
    return items | {Key(key.pk, f"2020-01-01T00:00:00.000Z#{uuid4()}"): {} for key in entries[::3]}


def _export(folder: Path) -> Command:
    made = folder / "workspace.jsonl"
    return Command("workspaces export", ["workspaces", "export", TENANT, "-o", str(made)], makes=made)


def _import(folder: Path) -> Command:
    path = folder / "workspace.jsonl"

    def without_tenant(items: dict[Key, Item]) -> dict[Key, Item]:
        memory = InMemory()
        for some in batched(items.items(), MOST_ACTIONS, strict=False):
            memory.table.transact({str(key): put(key, item) for key, item in some})
        path.write_bytes(exported(memory.table, TENANT))
        others = {key: item for key, item in items.items() if not key.pk.startswith(workspace_prefix(TENANT))}
        return {key: item for key, item in others.items() if key.pk != "WORKSPACES" or not key.sk.endswith(TENANT)}

    return Command("workspaces import", ["workspaces", "import", str(path), "--workspace-id", TENANT], without_tenant)


def _with_unused(items: dict[Key, Item]) -> dict[Key, Item]:
    """Return items with a credential manager that nothing depends on, and a pool of another one that nobody uses."""
    known: Item = {"workspace_id": TENANT, "created_at": "2026-01-01T00:00:00.000Z"}
    system: Item = {"name": "Unused", "is_credential_manager": True, "connected_account_id": _UNUSED_SYSTEM}
    (used, *_) = (item["acs_system_id"] for key, item in items.items() if key.sk == "ACS_CREDENTIAL_POOL")
    pool: Item = {"acs_system_id": used, "display_name": "Unused"}
    return {
        **items,
        **stored_acs_system({**known, **system, "acs_system_id": _UNUSED_SYSTEM}),
        **stored_acs_credential_pool({**known, **pool, "acs_credential_pool_id": _UNUSED_POOL}),
    }


COMMANDS: dict[str, Callable[[Path], Command]] = {
    "workspaces delete": lambda _: Command(
        "workspaces delete", ["workspaces", "delete", TENANT, "--yes", "--patience", "100000"]
    ),
    "workspaces export": _export,
    "workspaces import": _import,
    "directory import": lambda folder: Command(
        "directory import",
        ["directory", "import", str(_directory_file(folder)), "--workspace-id", TENANT],
    ),
    "directory export": lambda folder: Command(
        "directory export",
        ["directory", "export", "-o", str(folder / "out.jsonl"), "--workspace-id", TENANT],
        makes=folder / "out.jsonl",
    ),
    "directory delete-system": lambda _: Command(
        "directory delete-system",
        ["directory", "delete-system", _UNUSED_SYSTEM, "--yes", "--workspace-id", TENANT],
        _with_unused,
        is_done=f"there is no ACS system {_UNUSED_SYSTEM}",
    ),
    "directory delete-pool": lambda _: Command(
        "directory delete-pool",
        ["directory", "delete-pool", _UNUSED_POOL, "--yes", "--workspace-id", TENANT],
        _with_unused,
        is_done=f"there is no credential pool {_UNUSED_POOL}",
    ),
    "directory check --mend": lambda _: Command(
        "directory check --mend", ["directory", "check", "--mend", "--workspace-id", TENANT], _damaged
    ),
}


@pytest.fixture(scope="module")
def found() -> Iterator[list[dict[str, str | int | float]]]:
    """The rows of the figures: one for each command."""
    rows: list[dict[str, str | int | float]] = []
    yield rows
    figures.record("kills", "Commands that are killed at a random moment and run again, on DynamoDB Local", rows)


@contextmanager
def _executions(store: Store) -> Iterator[None]:
    """Have executions work in another thread meanwhile."""
    provisioning, stopped = Provisioning(store.table, store.items, seen=store.items()), threading.Event()

    def work() -> None:
        while not stopped.is_set():
            provisioning.pass_time(seconds=10)
            stopped.wait(0.2)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        stopped.set()
        worker.join()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_killed_and_run_again_ends_in_the_same_state(
    name: str,
    store: Store,
    both: Mapping[Key, Item],
    dynamodb_local: str,
    tmp_path: Path,
    found: list[dict[str, str | int | float]],
) -> None:
    command, rig = COMMANDS[name](tmp_path), Rig(store, dynamodb_local, both)
    draw = random.Random(SEED)
    seconds = []
    for _ in range(2):  # the first run also reads modules from the disk
        rig.begin(command)
        with _executions(store):
            seconds.append(rig.finish(command))
    expected, in_the_middle = rig.state(command), 0

    for number in range(ROUNDS):
        rig.begin(command)
        with _executions(store):
            in_the_middle += rig.kill(command, draw.uniform(_SECONDS_TO_BEGIN, min(seconds)))
            rig.finish(command)

        assert rig.state(command) == expected, f"round {number} with ENROLLMENTS_KILL_SEED={SEED}"

    found.append({"command": name, "rounds": ROUNDS, "killed in the middle": in_the_middle, "violations": 0})
    assert in_the_middle or ROUNDS < _ENOUGH_ROUNDS
