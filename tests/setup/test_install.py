"""``requirements/install`` and ``requirements/environment.mk`` on machines that lack something, or set something."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

type Command = Callable[[str, str], None]
type Finished = subprocess.CompletedProcess[str]
type Install = Callable[..., Finished]

PYTHON = Path(sys.base_prefix, "bin/python3.13")
OTHER_PYTHON = "exit 1"
UV_WITHOUT_NETWORK = 'if [ "$1" != --version ]; then echo "error: no network" >&2; exit 2; fi'
UV = f"""
if [ "$1 $2" = "python install" ]; then
  mkdir -p "$UV_PYTHON_INSTALL_DIR/cpython-3.13/bin"
  ln -s "{PYTHON}" "$UV_PYTHON_INSTALL_DIR/cpython-3.13/bin/python3.13"
fi
"""


@pytest.fixture
def checkout(project: Path, tmp_path: Path) -> Path:
    """A folder with nothing but what installs, and a lock of nothing."""
    folder = tmp_path / "a b é"
    (folder / "requirements").mkdir(parents=True)
    for name in ("install", "environment.mk"):
        shutil.copy(project / "requirements" / name, folder / "requirements")
    (folder / "nothing.txt").touch()
    return folder


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Return a function that puts a shell script on the PATH; there is little else on it."""
    folder = tmp_path / "commands"
    folder.mkdir()
    for name in ("ln", "mkdir", "mv", "rm"):
        (folder / name).symlink_to(str(shutil.which(name)))

    def command_(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return command_


@pytest.fixture
def install(checkout: Path, tmp_path: Path) -> Install:
    def install_(**variables: str) -> Finished:
        return subprocess.run(
            ["requirements/install", ".venv", "nothing.txt"],  # noqa: S607 - in the folder
            cwd=checkout,
            env={"PATH": str(tmp_path / "commands"), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    return install_


@pytest.mark.setup
def test_the_first_python_3_13_on_the_path_is_used(checkout: Path, command: Command, install: Install) -> None:
    command("python3.13", OTHER_PYTHON)
    command("python3", f'exec "{PYTHON}" "$@"')

    finished = install()

    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
    assert (checkout / ".venv/bin/pip").is_file()


@pytest.mark.setup
def test_an_environment_that_was_half_made_is_made_anew(checkout: Path, command: Command, install: Install) -> None:
    command("python3.13", f'exec "{PYTHON}" "$@"')
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)  # noqa: S603

    finished = install()

    assert finished.returncode == 0, finished.stderr
    assert (checkout / ".venv/bin/pip").is_file()


@pytest.mark.setup
def test_without_python_3_13_uv_makes_one_and_a_line_says_so(
    checkout: Path, command: Command, install: Install
) -> None:
    command("python3", OTHER_PYTHON)
    command("uv", UV)

    finished = install()

    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == "There is no Python 3.13 on this machine; uv downloads one into .uv (once)\n"
    assert (checkout / ".venv/bin/pip").is_file()


@pytest.mark.setup
def test_what_uv_has_made_is_used_again(checkout: Path, command: Command, install: Install) -> None:
    command("uv", UV)
    install()
    shutil.rmtree(checkout / ".venv")

    finished = install()

    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.usefixtures("command")
def test_without_any_python_and_uv_the_last_line_says_what_to_do(install: Install) -> None:
    finished = install()

    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1] == (
        "Python 3.13 is needed, and there is neither uv nor a pip to install it with; "
        "install Python 3.13, or name it: make PYTHON=/path/to/python3.13"
    )


def test_where_uv_cannot_make_one_the_last_line_says_what_to_do(
    checkout: Path, command: Command, install: Install
) -> None:
    command("uv", UV_WITHOUT_NETWORK)

    finished = install()

    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1] == (
        "Python 3.13 is needed, and uv could not download it (.uv/log says why); "
        "install Python 3.13, or name it: make PYTHON=/path/to/python3.13"
    )
    assert "no network" in (checkout / ".uv/log").read_text()


def test_another_python_that_is_named_is_one_line(command: Command, install: Install) -> None:
    command("python3.12", OTHER_PYTHON)

    finished = install(PYTHON="python3.12")

    assert finished.returncode == 1
    assert finished.stderr == "python3.12 is not Python 3.13; name one: make PYTHON=/path/to/python3.13\n"


def test_a_python_without_pip_where_there_is_no_other_is_one_line(command: Command, install: Install) -> None:
    command("python3.13", f'case "$1" in -m) exit 1 ;; *) exec "{PYTHON}" "$@" ;; esac')

    finished = install()

    assert finished.returncode == 1
    assert finished.stderr == (
        "python3.13 cannot install packages; install its pip or ensurepip (Debian: python3-venv), or uv, "
        "or name another Python: make PYTHON=/path/to/python3.13\n"
    )


@pytest.fixture
def variables(checkout: Path) -> Callable[..., dict[str, str]]:
    """Return a function that returns the environment of a recipe."""
    (checkout / "Makefile").write_text("include requirements/environment.mk\nall:\n\t@env\n")

    def variables_(**given: str) -> dict[str, str]:
        make = str(shutil.which("make"))
        finished = subprocess.run(  # noqa: S603
            [make], cwd=checkout, env={"PATH": "/usr/bin:/bin", **given}, capture_output=True, text=True, check=True
        )
        return dict(line.split("=", 1) for line in finished.stdout.splitlines())

    return variables_


@pytest.mark.parametrize(
    "name",
    ["PIP_TARGET", "PIP_PREFIX", "PIP_PYTHON", "PIP_CONSTRAINT", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "VIRTUAL_ENV"],
)
def test_what_leads_elsewhere_reaches_no_recipe(variables: Callable[..., dict[str, str]], name: str) -> None:
    assert name not in variables(**{name: "x"})


def test_what_leads_to_a_package_index_reaches_recipes(variables: Callable[..., dict[str, str]]) -> None:
    assert variables(PIP_INDEX_URL="x")["PIP_INDEX_URL"] == "x"


def test_pip_installs_into_the_environment_whatever_is_set(variables: Callable[..., dict[str, str]]) -> None:
    seen = variables(PIP_USER="1", PIP_REQUIRE_VIRTUALENV="1")

    assert (seen["PIP_USER"], seen["PIP_REQUIRE_VIRTUALENV"]) == ("0", "0")
