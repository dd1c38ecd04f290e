"""What tests and experiments share, and in which order and how many at once they run."""

import os

import pytest

pytest_plugins = ["tests.fixtures"]


def pytest_xdist_auto_num_workers() -> int:
    """Return one worker more than there are cores, because many tests wait for a process or a time-out."""
    return (os.process_cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)  # when pytest-randomly has put them in its order
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let workers begin with the files that take long, so that none is left with one when the others have ended."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.get_closest_marker("long") is None)
