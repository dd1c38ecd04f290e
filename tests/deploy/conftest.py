"""A stand-in for AWS, and commands that take it for AWS."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import boto3
import pytest

from enrollments.deploying import ANSWERS

STACK = "enrollment-automations"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "made-up", "AWS_SECRET_ACCESS_KEY": "made-up", "AWS_DEFAULT_REGION": "us-east-1"}


class Aws:
    """Clients of the stand-in, and commands that take it for AWS."""

    def __init__(self, endpoint: str, project: Path) -> None:
        self.endpoint = endpoint
        self.project = project

    def client(self, service: str) -> Any:
        make: Any = boto3.client  # boto3-stubs has types for DynamoDB only
        return make(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="made-up",
            aws_secret_access_key="made-up",
        )

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a command that takes the stand-in for AWS."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAKE", "MFLAGS"))}
        more = {"AWS_ENDPOINT_URL": self.endpoint, "SAM_CLI_TELEMETRY": "0", "SAM_CLI_POLL_DELAY": "1"}
        return kept | CREDENTIALS | more

    def run(self, *command: str, answers: str | None = None) -> str:
        finished = subprocess.run(  # noqa: S603
            command,
            cwd=self.project,
            env=self.variables,
            input=answers,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    def stack(self, name: str = STACK) -> dict[str, Any]:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
        return {**stack, "Outputs": outputs, "Parameters": parameters}

    def functions(self) -> list[dict[str, Any]]:
        functions: list[dict[str, Any]] = self.client("lambda").list_functions()["Functions"]
        return functions


@contextmanager
def served(*command: str | Path, folder: Path | None = None) -> Iterator[str]:
    """Run a command that takes a port as its last argument, in a folder, and yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        TemporaryFile("w+") as log,
        subprocess.Popen([*command, str(port)], stdout=log, stderr=log, cwd=folder) as process,  # noqa: S603
    ):
        try:
            while not listens(port):
                assert process.poll() is None, log.seek(0) or log.read()
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def aws(project: Path) -> Iterator[Aws]:
    workbench = Path(os.environ.get("WORKBENCH", project / "../shared/workbench"))
    assert workbench.is_dir(), f"the stand-in for AWS is not in {workbench}"
    python = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "workbench-cloudformation/bin/python"
    if not python.exists():
        with served(workbench / "cloudformation"):  # installs what it needs before it listens
            pass
    with served(python, project / "tests/deploy/stand_in.py", workbench / "cloudformation.py") as endpoint:
        aws = Aws(endpoint, project)
        aws.client("s3").create_bucket(Bucket="artefacts")
        yield aws


@pytest.fixture(scope="session", autouse=True)
def without_answers(project: Path) -> Iterator[Path]:
    """The file of the answers to --guided, which is not there; what a person has answered is put back at the end."""
    file, kept = project / ANSWERS, project / f"{ANSWERS}.kept"
    if file.exists():
        file.rename(kept)
    yield file
    file.unlink(missing_ok=True)
    if kept.exists():
        kept.rename(file)
