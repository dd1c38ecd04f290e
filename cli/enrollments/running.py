"""The system that ``make run`` runs on this machine, and how other commands find it."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

FILE = Path(".local/run.json")
_LONGEST_SECONDS_TO_CONNECT = 1


@dataclass(frozen=True, slots=True)
class RunningSystem:
    """A running system.

    Attributes:
        dynamodb_endpoint: The DynamoDB server that has its table.
        table_name: The table.
        workspace_id: The demo workspace.
        process_id: The process that runs it.
        endpoint: The address of its API.
    """

    dynamodb_endpoint: str
    table_name: str
    workspace_id: str
    process_id: int
    endpoint: str


@contextmanager
def announced(dynamodb_endpoint: str, table_name: str, workspace_id: str, endpoint: str) -> Iterator[None]:
    """Let other commands find the system of this process until the context ends.

    Args:
        dynamodb_endpoint: The DynamoDB server that has its table.
        table_name: The table.
        workspace_id: The demo workspace.
        endpoint: The address of its API.

    Raises:
        OSError: The file cannot be written.
    """
    system = RunningSystem(dynamodb_endpoint, table_name, workspace_id, os.getpid(), endpoint)
    unfinished = FILE.with_suffix(".new")
    unfinished.write_text(json.dumps(asdict(system)))
    unfinished.replace(FILE)
    try:
        yield
    finally:
        if _read() == system:  # another may have started meanwhile, on another port
            FILE.unlink(missing_ok=True)


def find_running() -> RunningSystem | None:
    """Return the system that runs on this machine, from this folder; ``None`` if there is none.

    A process that was killed leaves its file behind, and another process may get its id.  So the process is looked for,
    and the server is tried.
    """
    system = _read()
    if system is None:
        return None
    with suppress(OSError, OverflowError, TypeError, ValueError):
        os.kill(system.process_id, 0)  # sends no signal; fails if there is no such process
        address = urlsplit(system.dynamodb_endpoint)
        port = address.port or (443 if address.scheme == "https" else 80)
        with socket.create_connection((address.hostname or "", port), _LONGEST_SECONDS_TO_CONNECT):
            return system
    return None


def _read() -> RunningSystem | None:
    with suppress(OSError, TypeError, ValueError):
        return RunningSystem(**json.loads(FILE.read_text()))
    return None
