"""schemathesis against the local server, all checks, from the API document."""

import subprocess
from pathlib import Path

import pytest

from tests.acceptance.conftest import Service
from tests.conftest import PROJECT

COMMAND = PROJECT / ".venv-schemathesis/bin/schemathesis"
EXAMPLES = 100


@pytest.mark.schemathesis
@pytest.mark.parametrize("token", ["SEAM_API_KEY", "SEAM_CLIENT_SESSION_TOKEN", "SEAM_PERSONAL_ACCESS_TOKEN"])
def test_every_answer_is_what_the_document_says(service: Service, tmp_path: Path, token: str) -> None:
    done = subprocess.run(  # noqa: S603
        [
            COMMAND,
            f"--config-file={PROJECT / 'schemathesis.toml'}",
            "run",
            PROJECT / "openapi.json",
            f"--url={service.base_url}",
            f"--header=Authorization: Bearer {service[token]}",
            "--checks=all",
            f"--max-examples={EXAMPLES}",
            "--continue-on-failure",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    print(done.stdout)  # noqa: T201 - the report, shown where this fails
    assert done.returncode == 0, done.stdout
