"""schemathesis against the local server, all checks, from the API document."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import Service
from tests.fixtures import PROJECT

COMMAND = PROJECT / ".venv-schemathesis/bin/schemathesis"
HOOKS = PROJECT / "tests/acceptance/schemathesis_hooks.py"
EXAMPLES = 100
SEED = os.environ.get("SCHEMATHESIS_SEED")  # without one, each run makes up other requests


@pytest.mark.schemathesis
@pytest.mark.timeout(900)
@pytest.mark.parametrize("token", ["SEAM_API_KEY", "SEAM_PERSONAL_ACCESS_TOKEN", "SEAM_CLIENT_SESSION_TOKEN"])
def test_every_answer_is_what_the_document_says(service: Service, tmp_path: Path, token: str) -> None:
    # Other tokens than a personal access token know their workspace, so made-up values of the header do no harm.
    workspace = f"seam-workspace: {service['SEAM_WORKSPACE_ID']}"
    headers = [f"Authorization: Bearer {service[token]}", *([workspace] if "PERSONAL" in token else [])]

    done = subprocess.run(  # noqa: S603
        [
            COMMAND,
            f"--config-file={PROJECT / 'schemathesis.toml'}",
            "run",
            PROJECT / "openapi.json",
            f"--url={service.base_url}",
            *(f"--header={header}" for header in headers),
            "--checks=all",
            f"--max-examples={EXAMPLES}",
            *([f"--seed={SEED}"] if SEED else []),
            "--continue-on-failure",
            "--no-color",
        ],
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)},
        capture_output=True,
        text=True,
        check=False,
    )

    print(done.stdout)  # noqa: T201 - the report, shown where this fails
    assert done.returncode == 0, done.stdout
