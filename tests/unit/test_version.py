"""What the command calls its version: the package's, which CHANGELOG.md describes first."""

import re
import tomllib

from click.testing import CliRunner

from enrollments.main import main
from local_aws.template import expand_template
from tests.fixtures import PROJECT

VERSION = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]


def test_the_command_prints_the_version_of_the_package() -> None:
    result = CliRunner().invoke(main, ["--version"])

    assert (result.exit_code, result.output) == (0, f"enrollments {VERSION}\n")


def test_the_newest_release_of_the_changelog_is_the_version_of_the_package() -> None:
    releases = re.findall(r"^## (\S+)", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert releases[0] == VERSION


def test_the_stack_says_the_version_of_the_package() -> None:
    outputs = expand_template(PROJECT / "template.yaml")["Outputs"]

    assert outputs["Release"]["Value"] == VERSION
