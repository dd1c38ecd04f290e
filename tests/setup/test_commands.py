"""The commands that set something up: a new clone, a folder with spaces, and variables that lead pip elsewhere."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.setup, pytest.mark.timeout(900)]

VARIABLES = {
    "PIP_USER": "1",
    "PIP_REQUIRE_VIRTUALENV": "1",
    "PIP_TARGET": "/nowhere",
    "PYTHONPATH": "/nowhere",
    "VIRTUAL_ENV": "/nowhere",
}

type Make = Callable[..., str]


@pytest.fixture(scope="module")
def clone(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is committed, cloned."""
    folder = tmp_path_factory.mktemp("setup") / "a b é" / "c d"
    subprocess.run(["git", "clone", "--quiet", project, folder], check=True)  # noqa: S603, S607
    return folder


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """This process's variables without what the make that runs it has told it."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return {**own, **VARIABLES}


@pytest.fixture(scope="module")
def make(clone: Path, environment: dict[str, str]) -> Make:
    def make_(*arguments: str) -> str:
        finished = subprocess.run(  # noqa: S603
            ["make", *arguments],  # noqa: S607
            cwd=clone,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout
        return finished.stdout

    return make_


def test_make_run_serves(clone: Path, environment: dict[str, str]) -> None:
    with subprocess.Popen(["make", "run", "PORT=0"], cwd=clone, env=environment, start_new_session=True) as process:  # noqa: S607
        variables = clone / ".local/demo.env"
        while not variables.exists():
            assert process.poll() is None
            time.sleep(0.2)
        values = dict(line.split("=", 1) for line in variables.read_text().splitlines())

        response = httpx.get(
            f"{values['SEAM_ENDPOINT']}/acs/systems/list",
            headers={"Authorization": f"Bearer {values['SEAM_API_KEY']}"},
            timeout=30,
        )

        os.killpg(process.pid, signal.SIGINT)
    assert response.status_code == 200


def test_make_invoke_prints_the_response(make: Make) -> None:
    assert '"statusCode": 200' in make("invoke")


def test_make_invoke_takes_a_file_in_a_folder_with_spaces(make: Make, clone: Path) -> None:
    event = clone.parent / "an event.json"
    event.write_text((clone / "events/launch.json").read_text())

    assert '"statusCode": 200' in make("invoke", f"EVENT={event}")


def test_make_openapi_gives_the_same_document(make: Make, clone: Path, project: Path) -> None:
    make("openapi")

    assert (clone / "openapi.json").read_bytes() == (project / "openapi.json").read_bytes()


def test_make_test_tests(make: Make) -> None:
    assert "passed" in make("test", "ARGS=-n 0 -p no:randomly tests/unit/test_zod.py tests/acceptance/test_sdk.py")


def test_make_build_builds(make: Make, clone: Path) -> None:
    make("build")

    assert (clone / ".aws-sam/build/DependenciesLayer/python/pydantic/__init__.py").is_file()
    assert (clone / ".aws-sam/sbom.cdx.json").is_file()


def test_make_gates_finds_nothing(make: Make) -> None:
    make("gates")
