"""The published SDKs as clients."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Service
from tests.conftest import PROJECT

PYTHON = PROJECT / ".venv-seam-1/bin/python"
CLIENT = Path(__file__).parent / "sdk_client.py"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def call(service: Service, *launches: dict[str, Any], **options: str) -> list[dict[str, Any]]:
    task = {
        "options": {"endpoint": service.base_url, "api_key": service["SEAM_API_KEY"]} | options,
        "calls": [["launch", launch] for launch in launches],
    }
    assert PYTHON.exists(), f"{PYTHON.parent.parent} is missing; `make test` makes it"
    done = subprocess.run([PYTHON, CLIENT], input=json.dumps(task), capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert done.returncode == 0, done.stderr
    outcomes: list[dict[str, Any]] = json.loads(done.stdout)
    return outcomes


def test_the_sdk_launches_and_replays(service: Service) -> None:
    pair = service.pair()

    first, second = call(service, pair, pair)

    assert first == second
    assert {name: first["result"][name] for name in pair} == pair
    assert first["result"]["workspace_id"] == service["SEAM_WORKSPACE_ID"]


def test_the_sdk_raises_its_own_errors(service: Service) -> None:
    pair = service.pair()
    invalid, missing, _, conflict = call(
        service,
        pair | {"user_identity_id": "x"},
        pair | {"user_identity_id": UNKNOWN},
        pair,
        pair | {"create_credential_manager_user": True},
    )

    assert (invalid["error"]["class"], invalid["error"]["code"]) == ("SeamHttpInvalidInputError", "invalid_input")
    assert invalid["error"]["message"] == 'Invalid uuid for "user_identity_id"'
    assert (missing["error"]["class"], missing["error"]["code"]) == ("SeamHttpApiError", "user_identity_not_found")
    assert conflict["error"]["code"] == "enrollment_automation_already_exists"
    assert conflict["error"]["data"].keys() == {"enrollment_automation_id"}
    assert all(outcome["error"]["has_request_id"] for outcome in (invalid, missing, conflict))


@pytest.mark.parametrize("api_key", ["seam_testNone_PubLicDemoKeyForLocaLUse", "seam_junk"])
def test_the_sdk_raises_its_unauthorized_error(service: Service, api_key: str) -> None:
    (outcome,) = call(service, service.pair(), api_key=api_key)

    assert outcome["error"]["class"] == "SeamHttpUnauthorizedError"
    assert outcome["error"]["has_request_id"]
