"""The section "The first month" of docs/operations.md, run as it stands, on a stand-in for AWS.

Requests over HTTP go to the local gateway, on the stand-in's table.  ``ENROLLMENTS_PEOPLE`` is how many people there
are.  ``ENROLLMENTS_TRANSCRIPT=1`` writes docs/first-month.md.

What a stand-in cannot run is left to AWS: CodeDeploy, CloudWatch, and the list of durable executions.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NamedTuple

import pytest

from tests.deploy.conftest import Aws, served

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(3600)]

PEOPLE = int(os.environ.get("ENROLLMENTS_PEOPLE", "300"))
MARK = "this is the end of a step"
LONGEST_LINE = 200
# Of an output that is longer than both together, so many lines are kept at its beginning and at its end.
FIRST_LINES, LAST_LINES = 6, 18
TOKEN = re.compile(r"seam_(\w+)_\w{24}")
HEAD = """# The first month, as it ran

This file is written by `tests/deploy/test_first_month.py`. It runs each command of [the first
month](operations.md#the-first-month) as it stands there.

It ran on {day} with {people:,} people, on a stand-in for AWS. So what only AWS has is `not looked at`: metrics, the
role of API Gateway, aliases of functions, and the list of durable executions. Requests over HTTP went to the local
gateway, on the stand-in's table. Long outputs are cut, and secrets of tokens are left out.
"""


class Step(NamedTuple):
    """A part of the section."""

    title: str
    commands: str


class Ran(NamedTuple):
    """A part of the section that ran."""

    step: Step
    output: str
    seconds: float


def steps_of(document: str) -> list[Step]:
    """Return the parts of the section with their commands."""
    section = document.partition("\n## The first month\n")[2].partition("\n## ")[0]
    parts = [part.partition("\n") for part in section.split("\n### ")[1:]]
    return [
        Step(title, "".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)))
        for title, _, text in parts
    ]


class Shell:
    """One shell for all steps, because a step uses variables of earlier ones."""

    def __init__(self, stdin: IO[str], stdout: IO[str]) -> None:
        self._stdin = stdin
        self._stdout = stdout

    def run(self, step: Step) -> Ran:
        """Run a step.  A command that fails ends the shell, and the test."""
        begin = datetime.now(UTC)
        self._stdin.write(f"{step.commands}\necho '{MARK}'\n")
        self._stdin.flush()
        lines: list[str] = []
        for line in self._stdout:
            if line == f"{MARK}\n":
                return Ran(step, "".join(lines), (datetime.now(UTC) - begin).total_seconds())
            lines.append(line)
        raise AssertionError(f"{step.title} failed:\n{''.join(lines)[-3000:]}")


@contextmanager
def shell(aws: Aws) -> Iterator[Shell]:
    with subprocess.Popen(
        ["bash", "-e", "-o", "pipefail"],  # noqa: S607
        cwd=aws.project,
        env=aws.variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        yield Shell(process.stdin, process.stdout)
        process.stdin.close()


@contextmanager
def api_of_stack(aws: Aws) -> Iterator[str]:
    """Serve the API on the table of the first stack, and yield its address."""
    table = aws.stack()["Outputs"]["TableName"]
    stream = aws.client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
    options = ["--template", str(aws.project / "template.yaml"), "--dynamodb-endpoint", aws.endpoint]
    parameters = [f"RestoredTableName={table}", f"RestoredTableStreamArn={stream}"]
    more = [option for parameter in parameters for option in ("--parameter", parameter)]
    command: list[str | Path] = [aws.project / ".venv/bin/enrollments", "local", "run", *options, *more, "--port"]
    with TemporaryDirectory() as folder, served(*command, folder=Path(folder)) as address:
        yield address


@pytest.fixture(scope="module")
def month(aws: Aws) -> dict[str, Ran]:
    """What each step printed."""
    first, *others = steps_of((aws.project / "docs/operations.md").read_text())
    local = aws.project / ".local"
    local.mkdir(exist_ok=True)
    people = "".join(f"Person {number},person{number}@example.com\n" for number in range(PEOPLE))
    (local / "people.csv").write_text(f"full_name,email_address\n{people}")
    with shell(aws) as terminal:
        ran = [terminal.run(first)]
        with api_of_stack(aws) as address:
            ran += [terminal.run(Step(one.title, one.commands.replace("ENDPOINT", address, 1))) for one in others]
    if os.environ.get("ENROLLMENTS_TRANSCRIPT"):
        (aws.project / "docs/first-month.md").write_text(transcript(ran, aws.project))
    return {one.step.title: one for one in ran}


def transcript(ran: list[Ran], project: Path) -> str:
    parts = [HEAD.format(day=datetime.now(UTC).date(), people=PEOPLE)]
    for step, output, seconds in ran:
        told = shortened(output, project)
        parts.append(f"## {step.title}\n\n```sh\n{step.commands}```\n\n```\n{told}```\n\n{seconds:.0f} s.\n")
    return "\n".join(parts)


def shortened(output: str, project: Path) -> str:
    """Return an output without secrets and paths of this machine, and without the middle of what is long."""
    told = TOKEN.sub(r"seam_\1_…", output)
    names = {str(project): ".", str(project.resolve()): ".", str(Path.home()): "~"}
    for folder in sorted(names, key=len, reverse=True):  # one may be in the other
        told = told.replace(folder, names[folder])
    lines = [line[:LONGEST_LINE].rstrip() for line in told.splitlines()]
    left_out = len(lines) - FIRST_LINES - LAST_LINES
    if left_out > 0:
        lines[FIRST_LINES:-LAST_LINES] = [f"… {left_out:,} lines …"]
    return "".join(f"{line}\n" for line in lines)


def test_a_transcript_has_no_path_of_the_machine(tmp_path: Path) -> None:
    output = f"Build in {tmp_path}/.aws-sam/build, cache in {Path.home()}/.cache, file://{tmp_path}\n"

    told = shortened(output, tmp_path)

    assert told == "Build in ./.aws-sam/build, cache in ~/.cache, file://.\n"


def test_only_the_operator_can_read_the_people(aws: Aws, month: dict[str, Ran]) -> None:  # noqa: ARG001 - it writes them
    modes = {name: (aws.project / ".local" / name).stat().st_mode & 0o077 for name in ("people.csv", "people.jsonl")}

    assert modes == {"people.csv": 0, "people.jsonl": 0}


def test_what_is_deployed_is_shown(month: dict[str, Ran]) -> None:
    assert "\nEndpoint:  https://" in month["Deploy"].output


def test_the_doctor_finds_nothing_bad_and_launches(month: dict[str, Ran]) -> None:
    lines = month["Look"].output.splitlines()

    assert not [line for line in lines if line.startswith("bad")]
    assert [line for line in lines if line.startswith("good           smoke launch: at http://127.0.0.1")]
    assert [line for line in lines if line.startswith("good           its removal: nothing is left")]


def test_people_come_from_a_list(month: dict[str, Ran]) -> None:
    assert f"{PEOPLE:,} records: {PEOPLE:,} created" in month["Its people"].output


def test_phones_are_provisioned(month: dict[str, Ran]) -> None:
    output = month["Launches and phones"].output

    assert output.count('"enrollment_automation_id"') == 3
    assert len(re.findall(r"^\S+  \S+  \S+  active", output, re.MULTILINE)) == 3


def test_the_rotated_key_works(month: dict[str, Ran]) -> None:
    assert '"user_identities":[{' in month["Another secret for the key"].output


def test_the_workspace_is_in_the_second_stack(month: dict[str, Ran]) -> None:
    output = month["A workspace moves to another stack"].output

    assert "0 bad" in output
    assert output.splitlines()[-1].endswith("Main Street")


def test_nothing_is_left_of_the_tenant(month: dict[str, Ran]) -> None:
    output = month["A tenant leaves"].output

    assert output.count("is deleted: a scan of the whole table finds nothing of it.") == 2
    assert not [line for line in output.splitlines() if line.startswith("bad")]
