"""Exporting and importing a workspace takes as much memory for twenty thousand people as for two thousand."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from tests.fixtures import PROJECT, create_table

pytestmark = pytest.mark.flat

COMMAND = Path(sys.executable).parent / "enrollments"
FEW, MANY = 2_000, 20_000
AT = "2026-01-31T12:00:00.000Z"
# A cache of SQLite fills, and Python's memory is in pieces.
_AT_MOST_TIMES_AS_MUCH = 1.25


def _id(kind: int, number: int) -> str:
    return str(uuid.UUID(int=(kind << 64) + number))


WORKSPACE, MANAGER, SYSTEM = (_id(1, number) for number in range(3))


def _records(people: int) -> Iterator[dict[str, Any]]:
    """Yield the records of a workspace: all people have an ACS user and an automation, a fifth a phone."""
    system = {"type": "acs_system", "connected_account_id": _id(1, 9), "created_at": AT}
    yield {**system, "acs_system_id": MANAGER, "name": "Manager", "is_credential_manager": True}
    yield {**system, "acs_system_id": SYSTEM, "name": "System", "is_credential_manager": False}
    numbers = range(people)
    for one in numbers:
        email_address = f"person{one}@example.com"
        yield {
            "type": "user_identity",
            "user_identity_id": _id(2, one),
            "created_at": AT,
            "email_address": email_address,
        }
    for one in numbers:
        linked = {"user_identity_id": _id(2, one), "acs_system_id": SYSTEM, "created_at": AT}
        yield {"type": "acs_user", "acs_user_id": _id(3, one), **linked}
    for one in numbers[::5]:
        owner = {"user_identity_id": _id(2, one), "acs_user_id": _id(3, one), "acs_system_id": SYSTEM}
        validity = {"version": 1, "starts_at": AT, "created_at": AT, "credential_manager_acs_system_id": MANAGER}
        yield {"type": "acs_credential", "acs_credential_id": _id(4, one), **owner, **validity}
    for one in numbers[::5]:
        yield {"type": "phone", "device_id": _id(5, one), "user_identity_id": _id(2, one), **_registered(one)}
    for one in numbers:
        pair = {"user_identity_id": _id(2, one), "credential_manager_acs_system_id": MANAGER}
        launched = {"enrollment_automation_id": _id(6, one), "is_running": True, "created_at": AT}
        yield {"type": "enrollment_automation", **launched, **pair}


def _registered(number: int) -> dict[str, Any]:
    """Return a phone's registration, with a credential that is active."""
    credential = {
        "acs_credential_id": _id(7, number),
        "acs_user_id": _id(3, number),
        "acs_system_id": SYSTEM,
        "parent_acs_credential_id": _id(4, number),
        "version": 1,
        "starts_at": AT,
        "created_at": AT,
        "state": "active",
    }
    registration = {
        "credential_manager_acs_system_id": MANAGER,
        "phone_registration_id": _id(8, number),
        "created_at": AT,
        "attempt": 1,
        "phone": "{}",
        "state": "active",
        "credentials": [credential],
    }
    return {"device_type": "ios_phone", "created_at": AT, "registrations": [registration]}


def write_workspace(path: Path, people: int) -> int:
    """Write the file of a workspace, and return how many records it has."""
    count = 0
    with path.open("w") as file:
        head = {"workspace_id": WORKSPACE, "name": "Large", "is_sandbox": False, "created_at": AT, "exported_at": AT}
        print(json.dumps({"type": "workspace", "format": 1, **head}), file=file)
        for count, record in enumerate(_records(people), 1):  # noqa: B007 - the last number is how many
            print(json.dumps(record), file=file)
        print(json.dumps({"type": "end", "counts": {"all": count}}), file=file)
    return count


def kilobytes_of(arguments: Sequence[str]) -> int:
    """Run a command to its end, and return the most memory that it had."""
    with subprocess.Popen([COMMAND, *arguments], cwd=PROJECT) as process:  # noqa: S603
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_maxrss


@pytest.mark.timeout(1200)
def test_memory_does_not_grow_with_a_workspace(dynamodb_local: str, tmp_path: Path) -> None:
    client: Any = boto3.client(
        "dynamodb",
        endpoint_url=dynamodb_local,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    given, made = tmp_path / "given.jsonl", tmp_path / "made.jsonl"
    imports, exports, records, lines = {}, {}, {}, {}

    for people in (FEW, MANY):
        table = create_table(client, f"moving-{uuid4()}").name
        where = ["--table-name", table, "--endpoint-url", dynamodb_local]
        records[people] = write_workspace(given, people)
        imports[people] = kilobytes_of(["workspaces", "import", str(given), *where])
        exports[people] = kilobytes_of(["workspaces", "export", WORKSPACE, "-o", str(made), *where])
        lines[people] = len(made.read_bytes().splitlines()) - 2
        client.delete_table(TableName=table)

    assert lines == records
    assert imports[MANY] < _AT_MOST_TIMES_AS_MUCH * imports[FEW]
    assert exports[MANY] < _AT_MOST_TIMES_AS_MUCH * exports[FEW]
