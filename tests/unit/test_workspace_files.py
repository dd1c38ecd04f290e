"""Files of workspaces that somebody made up: each fault is told by its line, and nothing ends in a traceback."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from enrollments.directory.rows import BadRow
from enrollments.files import BadFile
from enrollments.moving.files import check_file, read_lines
from tests.moving import file_of

ID = "00000000-0000-4000-8000-000000000001"
AT = "2026-01-31T12:00:00.000Z"
HEAD: dict[str, Any] = {
    "type": "workspace",
    "format": 1,
    "workspace_id": ID,
    "name": "Main Street",
    "is_sandbox": False,
    "created_at": AT,
    "exported_at": AT,
}
PERSON: dict[str, Any] = {"type": "user_identity", "user_identity_id": ID, "created_at": AT}
REGISTRATION: dict[str, Any] = {
    "credential_manager_acs_system_id": ID,
    "phone_registration_id": ID,
    "attempt": 1,
    "phone": "{}",
    "created_at": AT,
}
CHILD: dict[str, Any] = {
    "acs_credential_id": ID,
    "acs_user_id": ID,
    "acs_system_id": ID,
    "version": 1,
    "starts_at": AT,
    "created_at": AT,
}
PHONE: dict[str, Any] = {
    "type": "phone",
    "device_id": ID,
    "user_identity_id": ID,
    "created_at": AT,
    "device_type": "ios_phone",
}


def end(count: int) -> dict[str, Any]:
    return {"type": "end", "counts": {"user_identity": count}}


def reason_of(content: bytes) -> str:
    """Return why a file is refused as a whole, with the line."""
    with pytest.raises(BadFile) as refused:
        check_file(io.BytesIO(content))
    return f"{refused.value.line}: {refused.value}"


def problems_of(*lines: bytes) -> list[str]:
    """Return what is wrong with the lines of a file that is complete."""
    content = b"".join([file_of([HEAD]), *(line + b"\n" for line in lines), file_of([end(len(lines))])])
    check_file(io.BytesIO(content))
    bad = [line for line in read_lines(io.BytesIO(content)) if isinstance(line, BadRow)]
    return [f"{row.line}: {name or 'row'}: {reason}" for row in bad for name, reason in row.problems]


def test_a_good_file_has_no_problems() -> None:
    child = {**CHILD, "parent_acs_credential_id": ID}
    phone = {**PHONE, "registrations": [{**REGISTRATION, "credentials": [child]}]}

    assert problems_of(json.dumps(PERSON).encode(), json.dumps(phone).encode()) == []


CUT_OFF = "the file is not complete: its last line has to be that of the end; export the workspace again"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "1: is empty"),
        (b"\n\n", "1: is empty"),
        (file_of([HEAD]), f"1: {CUT_OFF}"),
        (file_of([HEAD, PERSON]), f"2: {CUT_OFF}"),
        (file_of([HEAD, PERSON, end(1)])[:-40], f"3: {CUT_OFF}"),
        (file_of([HEAD, PERSON, end(1), PERSON]), "4: something stands behind the line of the end"),
        (file_of([HEAD, end(1)]), "2: the file has 0 records, and 1 by its last line; export it again"),
        (file_of([HEAD, {"type": "end"}]), "2: counts: Required"),
        (file_of([{**HEAD, "format": 2}]), "1: is in another format than this release knows"),
        (file_of([{**HEAD, "workspace_id": "main"}, end(0)]), "1: workspace_id: Invalid uuid"),
        (file_of([{**HEAD, "name": "a\nb"}, end(0)]), "1: name: Invalid name"),
        (file_of([{**HEAD, "name": " "}, end(0)]), "1: name: Invalid name"),
        (file_of([{**HEAD, "created_at": "yesterday"}, end(0)]), "1: created_at: Invalid datetime"),
        (file_of([{"acs_system_id": ID}]), "1: is no file of a workspace"),
        (b"\x1f\x8b\x08", "1: is compressed (gzip)"),
        (b"PK\x03\x04", "1: is a workbook"),
        (b'{"type":\0}', "1: is a binary file"),
        (b"\xff\xfe\xfd\n", "1: is no file of a workspace"),
        (b"[" * 10_000, "1: is a JSON array"),
    ],
)
def test_a_file_that_is_not_a_whole_workspace_is_refused(content: bytes, reason: str) -> None:
    assert reason_of(content).startswith(reason)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"\xff\xfe", "Invalid UTF-8: save the file as UTF-8 (it can be Latin-1 or Windows-1252)"),
        (b'{"type":"user_identity","full_name":"\\ud800"}', "Invalid JSON"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "Invalid JSON"),
        (b'{"a":' + b"9" * 100_000 + b"}", "Invalid JSON"),
        (b'{"a":NaN}', "Invalid JSON"),
        (b'{"a":1,"a":1}', "Names the property a twice"),
        (b"[]", "Expected object, received array"),
        (b"x" * 1_100_000, "Row must be at most 1000000 bytes"),
    ],
)
def test_a_line_that_is_no_object_is_bad(line: bytes, problem: str) -> None:
    assert problems_of(line) == [f"2: row: {problem}"]


def with_(**changes: Any) -> dict[str, Any]:
    return {**PERSON, **changes}


def with_child(**changes: Any) -> dict[str, Any]:
    child = {**CHILD, "parent_acs_credential_id": ID, **changes}
    return {**PHONE, "registrations": [{**REGISTRATION, "credentials": [child]}]}


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (with_(user_identity_id=7), "user_identity_id: Expected string, received number"),
        (with_(user_identity_id="a#b"), "user_identity_id: Invalid uuid"),
        (with_(created_at="2026-01-31"), "created_at: Invalid datetime: write it as 2026-01-31T12:00:00.000Z"),
        (with_(created_at="x" * 100), "created_at: String must contain at most 30 character(s)"),
        (with_(email_address="nobody"), "email_address: Invalid email"),
        (with_(user_identity_key="x" * 401), "user_identity_key: String must contain at most 400 character(s)"),
        (with_(workspace_id=ID), "workspace_id: Unknown property"),
        (with_(restored_at=AT), "restored_at: Unknown property"),
        (with_(pk="WORKSPACE#"), "pk: Unknown property"),
        (with_(**{"x" * 1000: 1}), f"{'x' * 100}: Unknown property"),
        ({**PHONE, "device_type": "watch"}, "device_type: Invalid enum value. Expected 'android_phone' or 'ios_phone'"),
        ({**PHONE, "assa_abloy_metadata": "{"}, "assa_abloy_metadata: Invalid JSON: expected an object, written as a"),
        (with_child(version=True), "registrations.0.credentials.0.version: Expected number, received boolean"),
        (with_child(version=10**40), "registrations.0.credentials.0.version: Input should be less than or equal to"),
        (with_child(state="lost"), "registrations.0.credentials.0.state: Invalid enum value"),
        (with_child(app="{}"), "registrations.0.credentials.0.app: Unknown property"),
        (
            with_child(acs_credential_pool_id=ID),
            "registrations.0.credentials.0: Specify one of parent_acs_credential_id and acs_credential_pool_id",
        ),
        (
            {**PHONE, "registrations": [REGISTRATION, REGISTRATION]},
            "row: Has a credential manager or a credential twice",
        ),
        ({"type": "token"}, "type: Invalid enum value. Expected acs_system | acs_credential_pool | user_identity"),
        ({"type": ["phone"]}, "type: Invalid enum value."),
        (
            {"type": "simulated_phone", "acs_system_id": ID, "phone_registration_id": ID},
            "row: Specify behaviour, or removed_at alone",
        ),
    ],
)
def test_a_record_that_no_export_writes_is_bad(record: dict[str, Any], problem: str) -> None:
    (found,) = problems_of(json.dumps(record).encode())

    assert found.startswith(f"2: {problem}")


def test_a_line_with_a_great_many_faults_tells_of_some() -> None:
    record = {**PERSON, **{f"unknown_{number}": 1 for number in range(10_000)}}

    assert len(problems_of(json.dumps(record).encode())) == 20


@pytest.mark.parametrize(
    "cut", [bytes.upper, bytes.swapcase, lambda content: content[::-1], lambda content: content[1:]]
)
def test_a_mangled_file_is_refused(cut: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BadFile):
        check_file(io.BytesIO(cut(file_of([HEAD, PERSON, end(1)]))))
