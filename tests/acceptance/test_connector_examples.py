"""The examples of connectors pass the trial that their authors run."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from enrollments.connectors.commands import connectors
from examples.connector import connector
from examples.connector.connector import create_app
from examples.connector.manufacturer import Manufacturer
from tests.acceptance.conftest import IN_PROCESS

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not IN_PROCESS, reason="connectors are tried without the service"),
]

SECRET = "whsec_dHJpYWwtb2YtdGhlLWV4YW1wbGVz"  # pragma: allowlist secret


@contextmanager
def in_python() -> Iterator[str]:
    """Serve the example in Python, whose manufacturer is quick, and give its URL."""
    app = create_app(SECRET, Manufacturer(pace=timedelta(milliseconds=50)))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def in_javascript(project: Path) -> Iterator[str]:
    """Serve the example in JavaScript, and give its URL."""
    node = shutil.which("node")
    assert node is not None
    environment = {**os.environ, "CONNECTOR_SECRET": SECRET, "PORT": "0"}
    command = [node, str(project / "examples/connector-node/connector.mjs")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        line = process.stdout.readline()
        port = line.partition("port: ")[2].partition(" ")[0]
        threading.Thread(target=process.stdout.read, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.kill()


def trial(url: str) -> Result:
    return CliRunner().invoke(connectors, ["try", url], env={"CONNECTOR_SECRET": SECRET})


def test_the_example_in_python_passes_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector, "CHECK_AFTER_S", 0.05)

    with in_python() as url:
        result = trial(url)

    assert result.exit_code == 0, result.output
    assert " 0 bad, 0 left out." in result.output


@pytest.mark.javascript
def test_the_example_in_javascript_passes_the_trial(project: Path) -> None:
    with in_javascript(project) as url:
        result = trial(url)

    assert result.exit_code == 0, result.output
    assert " 0 bad, 0 left out." in result.output


def test_the_example_in_javascript_is_short_and_needs_nothing(project: Path) -> None:
    lines = (project / "examples/connector-node/connector.mjs").read_text().splitlines()

    imported = [line for line in lines if line.startswith("import ")]
    assert len(lines) <= 150
    assert imported
    assert all(' from "node:' in line for line in imported)
