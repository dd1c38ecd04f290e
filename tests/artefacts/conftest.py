"""The output of ``make build``, and the packages as they were published."""

import csv
import hashlib
import os
import shutil
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.fixtures import PROJECT

BUILD = PROJECT / ".aws-sam/build"
FUNCTIONS = (
    "AcsFunction",
    "AuthorizerFunction",
    "ClientSessionsFunction",
    "DeliveriesFunction",
    "EnrollmentAutomationsFunction",
    "EventsApiFunction",
    "EventsFunction",
    "PhonesFunction",
    "ProvisioningFunction",
    "RedeliveriesFunction",
    "UserIdentitiesFunction",
)
# Each built part → where Lambda has it.
PLACES = {
    **dict.fromkeys(FUNCTIONS, "/var/task"),
    "DependenciesLayer": "/opt",
    "EnrollmentLayer": "/opt",
}
PLATFORMS = ("x86_64", "aarch64")


@pytest.fixture(scope="session")
def build() -> Path:
    assert BUILD.is_dir(), "nothing is built: make build"
    return BUILD


@pytest.fixture(scope="session")
def checkout(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in another folder, in which nothing is built."""
    copy = tmp_path_factory.mktemp("another") / "checkout"
    not_checked_in = (".git", ".venv*", ".aws-sam", ".local", "node_modules", ".*_cache")
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(*not_checked_in))
    return copy


@pytest.fixture(scope="session")
def uncut(checkout: Path) -> Path:
    """The output of ``make build CUT=``."""
    return build_in(checkout, "uncut", CUT="")


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The wheels that the lock names, for each processor; pip has compared them with the lock's hashes."""
    folder = tmp_path_factory.mktemp("wheels")
    for platform in PLATFORMS:
        command = [
            *(sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--require-hashes"),
            *("--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.13"),
            *("--platform", f"manylinux2014_{platform}", "--platform", f"manylinux_2_28_{platform}"),
            *("--requirement", str(PROJECT / "requirements/functions.txt"), "--dest", str(folder)),
        ]
        subprocess.run(command, check=True)  # noqa: S603
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def published(wheels: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of each file that the wheels install beside each other, as their ``RECORD`` has it.

    A file that differs between processors is the one for x86_64, which comes last and is the one that is shipped.
    """
    return {path: digest for wheel in wheels for path, digest in recorded_in(wheel).items()}


def build_in(checkout: Path, name: str, **variables: str) -> Path:
    """Build a checkout as ``make build`` does, and return the folder of what it has made."""
    command = [str(PROJECT / ".venv-sam/bin/sam"), "build", "--build-dir", f".aws-sam/{name}"]
    environment = os.environ | {"SAM_CLI_TELEMETRY": "0"} | variables
    subprocess.run(command, cwd=checkout, env=environment, check=True)  # noqa: S603
    return checkout / ".aws-sam" / name


def recorded_in(wheel: Path) -> dict[str, str]:
    """Return the hashes in a wheel's ``RECORD``, but for its own and what pip puts elsewhere (PEP 427)."""
    with ZipFile(wheel) as archive:
        (record,) = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
        rows = list(csv.reader(archive.read(record).decode().splitlines()))
    return {
        path: urlsafe_b64decode(f"{digest.removeprefix('sha256=')}==").hex()
        for path, digest, _ in rows
        if digest and ".data/" not in path
    }


def files_of(folder: Path) -> set[str]:
    """Return the paths of all files below a folder, relative to it."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def hashes_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder, by its path relative to it, but for bytecode."""
    return {
        path: hashlib.sha256((folder / path).read_bytes()).hexdigest()
        for path in files_of(folder)
        if not path.endswith(".pyc")
    }
