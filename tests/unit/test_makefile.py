"""What ``make`` prints when it is given no target."""

import re
import subprocess

import pytest

from tests.fixtures import PROJECT

MAKEFILE = (PROJECT / "Makefile").read_text()


@pytest.fixture(scope="module")
def printed() -> list[str]:
    output = subprocess.run(
        ["make", "--no-print-directory"],  # noqa: S607
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return output.splitlines()


def test_the_first_line_says_what_to_type_first(printed: list[str]) -> None:
    assert "make run" in printed[0]


def test_a_line_fits_a_terminal_of_100_columns(printed: list[str]) -> None:
    assert not [line for line in printed if len(line) > 100]


def test_every_target_is_listed(printed: list[str]) -> None:
    declared = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)", MAKEFILE, re.MULTILINE)
    assert declared

    listed = {line.split()[0] for line in printed if line.startswith("  ")}

    assert listed == {*declared[1].replace("\\\n", "").split()} - {"node"}  # a check that others depend on


def test_targets_stand_in_groups_and_those_to_start_and_to_deploy_come_first(printed: list[str]) -> None:
    groups = re.findall(r"^(\S.*)\n  ([a-z-]+)", "\n".join(printed), re.MULTILINE)

    assert groups[:3] == [("Start", "run"), ("Deploy", "deploy"), ("Test", "test")]
