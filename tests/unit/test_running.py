"""How commands find the system of `make run`."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from enrollments.running import FILE, RunningSystem, announced, find_running

API = "http://127.0.0.1:3000"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    FILE.parent.mkdir()


@pytest.fixture
def endpoint() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def write(endpoint: str, process_id: int) -> None:
    FILE.write_text(
        json.dumps(
            {
                "dynamodb_endpoint": endpoint,
                "table_name": "t",
                "workspace_id": "w",
                "process_id": process_id,
                "endpoint": API,
            }
        )
    )


def test_a_system_is_found_while_it_runs(endpoint: str) -> None:
    assert find_running() is None

    with announced(endpoint, "table", "workspace", API):
        assert find_running() == RunningSystem(endpoint, "table", "workspace", os.getpid(), API)

    assert find_running() is None
    assert not FILE.exists()


def test_a_system_that_was_killed_is_not_found(endpoint: str) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    write(endpoint, pid)

    assert find_running() is None


@pytest.mark.parametrize("closed", ["http://127.0.0.1:9", "http://127.0.0.1:99999", "nowhere", ""])
def test_a_system_whose_database_does_not_answer_is_not_found(closed: str) -> None:
    write(closed, os.getpid())

    assert find_running() is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"process_id": "x"}'])
def test_a_file_that_is_none_is_no_system(content: str) -> None:
    FILE.write_text(content)

    assert find_running() is None


def test_a_system_ends_without_its_database_and_leaves_no_file() -> None:
    with announced("http://127.0.0.1:9", "table", "workspace", API):
        assert FILE.exists()

    assert not FILE.exists()


def test_the_end_of_one_system_leaves_another_found(endpoint: str) -> None:
    with announced(endpoint, "table", "workspace", API):
        write(endpoint, os.getppid())

    assert FILE.exists()
