"""The stack without HTTP, as it is after its start."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enrollment.table import create_client
from enrollments.local.stack import Stack, open_stack
from tests.conftest import Store


@pytest.fixture(scope="module")
def whole_log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def started(project: Path, whole_log: io.StringIO) -> Iterator[Stack]:
    with open_stack(project / "template.yaml", log=whole_log, terminal=io.StringIO()) as stack:
        yield stack


@pytest.fixture
def log(whole_log: io.StringIO) -> io.StringIO:
    whole_log.seek(0)
    whole_log.truncate()
    return whole_log


@pytest.fixture(scope="module")
def client(started: Stack) -> Any:  # noqa: ARG001 - the stack's environment leads to its table
    return create_client()


@pytest.fixture
def stack(started: Stack, client: Any) -> Stack:
    """The stack as it is after its start: with the demo workspaces and nothing launched."""
    Store(started.table, client, "enrollments-Table").restore(started.demo.items)
    return started
