"""A demo workspace whose credential manager is no simulated one: it is asked by a connector on this machine."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from enrollment.secrets import connector_secret
from enrollment.store.actions import put
from enrollment.store.attributes import Item
from enrollment.store.table import Table
from enrollment.use_cases.connector_items import ConnectorId, next_revision
from enrollments.failure import CommandFailed
from enrollments.local.demo import CONNECTORS_SECRET, CREATED_AT, connected_demo, put_missing

# The option's value that stands for the example.
EXAMPLE = "1"
_MODULE = "examples.connector.connector"
_SECONDS_TO_END = 5
_SECONDS_TO_START = 10


def connect_demo(table: Table, url: str) -> Mapping[str, str]:
    """Put a workspace with a connector into a table.  Existing items stay unchanged, except the connector's address.

    Args:
        table: The table.
        url: The connector's URL.

    Returns:
        Ids, a token and the signing secret, by their names in the output of ``make run``.  They are constants.

    Raises:
        ServiceUnavailable: The database stays out of reach.
    """
    variables, items = connected_demo()
    put_missing(table, items)
    connector_id = _connector_id(variables)
    revision = next_revision(table.get(connector_id.key), datetime.now(UTC))
    table.transact({"connector": put(connector_id.key, _connector_item(connector_id, url, revision))})
    return {**variables, "CONNECTOR_SECRET": demo_secret()}


def demo_secret() -> str:
    """Return the secret that signs requests to the demo's connector.  It is a constant, and public."""
    variables, _ = connected_demo()
    return connector_secret(CONNECTORS_SECRET.encode(), *_connector_id(variables), CREATED_AT)


def _connector_item(connector_id: ConnectorId, url: str, revision: int) -> Item:
    return {
        "workspace_id": connector_id.workspace_id,
        "acs_system_id": connector_id.manager_id,
        "url": url,
        "set_at": CREATED_AT,
        "secret_version": CREATED_AT,
        "revision": revision,
    }


def _connector_id(variables: Mapping[str, str]) -> ConnectorId:
    return ConnectorId(variables["CONNECTOR_SEAM_WORKSPACE_ID"], variables["CONNECTOR_ACS_SYSTEM_ID"])


@contextmanager
def example_connector(folder: Path, port: int, terminal: TextIO) -> Iterator[str]:
    """Run the example of a connector until the context ends, and return its URL.

    Args:
        folder: The project's folder, which has the example.
        port: The port on 127.0.0.1.
        terminal: Gets its lines.

    Raises:
        CommandFailed: It does not start.
    """
    environment = {**os.environ, "CONNECTOR_SECRET": demo_secret(), "PORT": str(port)}
    with subprocess.Popen(  # noqa: S603 - it runs this project's own example
        [sys.executable, "-m", _MODULE],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C is for this process, which ends the other one
    ) as process:
        is_serving = threading.Event()
        threading.Thread(target=_show, args=(process, terminal, is_serving), daemon=True).start()
        try:
            end = time.monotonic() + _SECONDS_TO_START
            while not is_serving.wait(0.1):
                if process.poll() is not None or time.monotonic() > end:
                    raise CommandFailed(
                        f"the example of a connector does not start on port {port}; see the lines above, "
                        "or choose another port: CONNECTOR_PORT=3101"
                    )
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            try:
                process.wait(_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()


def _show(process: subprocess.Popen[str], terminal: TextIO, is_serving: threading.Event) -> None:
    """Show the lines of the connector."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    for line in process.stdout:
        if "answers on" in line:
            is_serving.set()
        terminal.write(f"{datetime.now().astimezone():%H:%M:%S}  connector  {line}")
        terminal.flush()
