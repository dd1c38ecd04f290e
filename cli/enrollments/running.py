"""The system that ``make run`` runs on this machine, and how other commands find it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = Path(".local/run.json")


@dataclass(frozen=True, slots=True)
class RunningSystem:
    """A running system.

    Attributes:
        dynamodb_endpoint: The DynamoDB server that has its table.
        table_name: The table.
        workspace_id: The demo workspace.
        process_id: The process that runs it.
    """

    dynamodb_endpoint: str
    table_name: str
    workspace_id: str
    process_id: int


@contextmanager
def announced(dynamodb_endpoint: str, table_name: str, workspace_id: str) -> Iterator[None]:
    """Let other commands find the system of this process until the context ends.

    Args:
        dynamodb_endpoint: The DynamoDB server that has its table.
        table_name: The table.
        workspace_id: The demo workspace.

    Raises:
        OSError: The file cannot be written.
    """
    system = RunningSystem(dynamodb_endpoint, table_name, workspace_id, os.getpid())
    unfinished = FILE.with_suffix(".new")
    unfinished.write_text(json.dumps(asdict(system)))
    unfinished.replace(FILE)
    try:
        yield
    finally:
        if find_running() == system:  # another may have started meanwhile, on another port
            FILE.unlink(missing_ok=True)


def find_running() -> RunningSystem | None:
    """Return the system that runs on this machine, from this folder; ``None`` if there is none.

    A process that was killed leaves its file behind, so its process is looked for.
    """
    with suppress(OSError, ValueError, TypeError):
        system = RunningSystem(**json.loads(FILE.read_text()))
        os.kill(system.process_id, 0)  # sends no signal; fails if there is no such process
        return system
    return None
