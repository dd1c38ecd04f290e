"""What ``make build`` has left."""

from pathlib import Path

import pytest

from tests.conftest import PROJECT

BUILD = PROJECT / ".aws-sam/build"
FUNCTIONS = ("AcsFunction", "AuthorizerFunction", "EnrollmentAutomationsFunction", "UserIdentitiesFunction")
# Each built part → where Lambda has it.
PLACES = {
    **dict.fromkeys(FUNCTIONS, "/var/task"),
    "DependenciesLayer": "/opt",
    "EnrollmentLayer": "/opt",
}


@pytest.fixture(scope="session")
def build() -> Path:
    assert BUILD.is_dir(), "nothing is built: make build"
    return BUILD


def files_of(folder: Path) -> set[str]:
    """Return the paths of all files below a folder, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
