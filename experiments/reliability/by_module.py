"""A pytest plugin: one module's tests after the other, the quick modules first.

mutmut asks for tests by their duration, whatever module they are in, and each change of module makes fixtures anew.
"""

import pytest

# What their fixtures take: nothing, a table in moto, the stack, a server.
_FIRST = (
    "tests/unit/",
    "tests/integration/test_table.py",
    "tests/integration/test_tokens.py",
    "tests/integration/test_launch.py",
    "tests/integration/test_acs.py",
    "tests/integration/test_user_identities.py",
    "tests/integration/test_events.py",
    "tests/integration/test_document.py",
    "tests/integration/",
    "tests/acceptance/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests, those of a module as they were."""
    items.sort(key=lambda item: (_rank(item.nodeid), item.nodeid.partition("::")[0]))


def _rank(nodeid: str) -> int:
    return next((rank for rank, beginning in enumerate(_FIRST) if nodeid.startswith(beginning)), len(_FIRST))
