"""The databases of the experiments.

``ENROLLMENTS_DYNAMODB_ENDPOINT`` names a DynamoDB server; else ``WORKBENCH`` (../shared/workbench) is a folder with a
command that starts AWS's DynamoDB Local on a port.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent.parent
ENDPOINT = "ENROLLMENTS_DYNAMODB_ENDPOINT"
_LONGEST_START_SECONDS = 90

# What they require is explained as it is in tests.
pytest.register_assert_rewrite("experiments.reliability.machine", "experiments.reliability.model")


@pytest.fixture(scope="session")
def dynamodb_local() -> Iterator[str]:
    """The address of a DynamoDB server with real transactions."""
    if ENDPOINT in os.environ:
        yield os.environ[ENDPOINT]
        return
    command = Path(os.environ.get("WORKBENCH", PROJECT / "../shared/workbench")) / "dynamodb-local"
    if not command.is_file():
        pytest.fail(f"{ENDPOINT} names no DynamoDB server, and there is none in {command.parent}")
    with _running(command) as endpoint:
        yield endpoint


@contextmanager
def _running(command: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = subprocess.Popen([command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        deadline = time.monotonic() + _LONGEST_START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"{command} does not start")
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
