"""How commands find the system of `make run`."""

import json
import os
from pathlib import Path

import pytest

from enrollments.running import FILE, RunningSystem, announced, find_running


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    FILE.parent.mkdir()


def test_a_system_is_found_while_it_runs() -> None:
    assert find_running() is None

    with announced("http://127.0.0.1:1", "table", "workspace"):
        assert find_running() == RunningSystem("http://127.0.0.1:1", "table", "workspace", os.getpid())

    assert find_running() is None
    assert not FILE.exists()


def test_a_system_that_was_killed_is_not_found() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    FILE.write_text(json.dumps({"dynamodb_endpoint": "x", "table_name": "t", "workspace_id": "w", "process_id": pid}))

    assert find_running() is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"process_id": "x"}'])
def test_a_file_that_is_none_is_no_system(content: str) -> None:
    FILE.write_text(content)

    assert find_running() is None


def test_the_end_of_one_system_leaves_another_found() -> None:
    with announced("http://127.0.0.1:1", "table", "workspace"):
        FILE.write_text(
            json.dumps({"dynamodb_endpoint": "x", "table_name": "t", "workspace_id": "w", "process_id": os.getppid()})
        )

    assert FILE.exists()
