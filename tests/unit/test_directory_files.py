"""Rows of a directory file, read and written."""

import io
from collections.abc import Mapping
from typing import Any

import pytest

from enrollments.directory.files import LONGEST_ROW_BYTES, BadHeader, Format, format_of, read_rows, write_rows
from enrollments.directory.rows import SYSTEM, USER, BadRow, RawRow, Row, read_row

ID = "0c8f2b9e-6d0f-4f3e-9a51-2f1f3c1f7a01"
OTHER_ID = "0c8f2b9e-6d0f-4f3e-9a51-2f1f3c1f7a02"
SYSTEM_ROW: dict[str, Any] = {
    "acs_system_id": ID,
    "name": "Main Tower",
    "is_credential_manager": True,
    "connected_account_id": OTHER_ID,
}
USER_ROW: dict[str, Any] = {"acs_user_id": ID, "acs_system_id": OTHER_ID}


def read(content: str | bytes, file_format: Format = Format.JSONL) -> list[tuple[int, Mapping[str, Any] | str]]:
    stream = io.BytesIO(content if isinstance(content, bytes) else content.encode())
    return [(row.line, row.properties) for row in read_rows(stream, file_format)]


def read_csv(content: str | bytes) -> list[tuple[int, Mapping[str, Any] | str]]:
    return read(content, Format.CSV)


def validated(properties: Mapping[str, Any]) -> Row | BadRow:
    return read_row(RawRow(1, 1, properties))


def problems(properties: Mapping[str, Any]) -> list[tuple[str | None, str]]:
    row = validated(properties)
    assert isinstance(row, BadRow)
    return list(row.problems)


def attributes(properties: Mapping[str, Any]) -> dict[str, Any]:
    row = validated(properties)
    assert isinstance(row, Row)
    return dict(row.attributes)


@pytest.mark.parametrize(
    ("path", "file_format"),
    [
        ("a.jsonl", Format.JSONL),
        ("a.ndjson", Format.JSONL),
        ("a.json", Format.JSONL),
        ("a.CSV", Format.CSV),
        ("a.txt", None),
        ("-", None),
    ],
)
def test_a_file_s_name_tells_its_format(path: str, file_format: Format | None) -> None:
    assert format_of(path) is file_format


def test_each_line_of_json_is_a_row_and_an_empty_one_is_none() -> None:
    assert read('\ufeff{"a": 1}\r\n\n  \n{"a": null}') == [(1, {"a": 1}), (4, {"a": None})]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1]", "Expected object, received array"),
        (b"null", "Expected object, received null"),
        (b'{"a"', "Invalid JSON"),
        (b'{"a": NaN}', "Invalid JSON"),
        (b'{"a": "\\ud800"}', "Invalid JSON"),
        (b"[" * 5000, "Invalid JSON"),
        (b'{"a": "\xff"}', "Invalid UTF-8"),
        (b'{"a": "' + b"x" * LONGEST_ROW_BYTES + b'"}', "Row must be at most 1000000 bytes"),
        (b"x" * (3 * LONGEST_ROW_BYTES), "Row must be at most 1000000 bytes"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_line_that_is_no_json_object_says_so_and_the_next_one_is_read(line: bytes, reason: str) -> None:
    assert read(line + b'\n{"a": 1}\n') == [(1, reason), (2, {"a": 1})]


def test_rows_know_how_far_the_file_has_been_read() -> None:
    content = b'{"a": 1}\n' + b"x" * (3 * LONGEST_ROW_BYTES) + b"\n{}"

    assert [row.end for row in read_rows(io.BytesIO(content), Format.JSONL)] == [9, len(content) - 2, len(content)]


def test_a_row_of_csv_is_the_json_that_it_stands_for() -> None:
    content = (
        "\ufeffacs_system_id,is_credential_manager,location.time_zone,compatible_credential_manager_acs_system_ids,note\r\n"
        "a,TRUE,Europe/Berlin,b;c  d,ignored\r\n"
        "e,no,,,\r\n"
    )

    assert read_csv(content) == [
        (
            2,
            {
                "acs_system_id": "a",
                "is_credential_manager": True,
                "location": {"time_zone": "Europe/Berlin"},
                "compatible_credential_manager_acs_system_ids": ["b", "c", "d"],
            },
        ),
        (3, {"acs_system_id": "e", "is_credential_manager": "no"}),
    ]


def test_a_row_of_csv_is_counted_by_its_first_line_and_an_empty_one_is_none() -> None:
    content = 'acs_user_id,full_name\n1,"a\nb, ""c"""\n\n,\n2,d'

    assert read_csv(content) == [
        (2, {"acs_user_id": "1", "full_name": 'a\nb, "c"'}),
        (6, {"acs_user_id": "2", "full_name": "d"}),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1", "Row must have 2 cells, has 1"),
        (b"1,2,3", "Row must have 2 cells, has 3"),
        (b"1,\xff", "Invalid UTF-8"),
        (b'1,"a"b', "Invalid CSV: ',' expected after '\"'"),
        (b"1," + b"x" * 200_000, "Invalid CSV: field larger than field limit (131072)"),
        (b"1," + b"x" * LONGEST_ROW_BYTES, "Row must be at most 1000000 bytes"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_row_of_csv_that_cannot_be_read_says_so_and_the_next_one_is_read(line: bytes, reason: str) -> None:
    assert read_csv(b"acs_user_id,full_name\n" + line + b"\n2,d\n") == [
        (2, reason),
        (3, {"acs_user_id": "2", "full_name": "d"}),
    ]


def test_a_quote_that_is_never_closed_tells_what_it_has_swallowed_and_not_all_the_rest_of_a_long_file() -> None:
    lines = "".join(f"{number},{'x' * 1000}\n" for number in range(200))

    (first, *others) = read_csv(f'acs_user_id,full_name\n1,"\n{lines}')

    assert first[0] == 2
    assert str(first[1]).startswith("Invalid CSV: field larger than field limit (131072) (lines 2 to ")
    assert others[-1] == (202, {"acs_user_id": "199", "full_name": "x" * 1000})
    assert read_csv('acs_user_id\n1\n"2\n3\n')[-1] == (
        3,
        "Invalid CSV: unexpected end of data (lines 3 to 4 are skipped)",
    )


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"", "must name the columns"),
        (b"name,created_at\n", "acs_system_id or acs_credential_pool_id or acs_user_id among them"),
        (b"acs_system_id;name\n", "with commas between"),
        (b"acs_system_id,name,name\n", "names the column name more than once"),
        (b"\xff\xfea\x00c\x00s\x00", "in UTF-8"),
        (b'acs_system_id,"name\n', "must name the columns"),
        (b"acs_system_id," + b"x" * LONGEST_ROW_BYTES, "must name the columns"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_csv_file_without_a_header_says_so(header: bytes, message: str) -> None:
    with pytest.raises(BadHeader, match=message):
        read_csv(header)


def test_written_rows_read_as_they_were() -> None:
    system = SYSTEM_ROW | {"location": {"time_zone": None}, "name": 'a "b"\r\nc\rd, é', "created_at": None}
    stream = io.BytesIO()

    write_rows(stream, Format.CSV, [(SYSTEM, system), (USER, USER_ROW | {"connected_account_id": ID})], [SYSTEM, USER])

    written = {name: value for name, value in system.items() if value and name != "location"}
    assert read_csv(stream.getvalue()) == [(2, written), (4, USER_ROW)]


def test_what_is_null_or_empty_is_absent_and_ids_are_in_lower_case() -> None:
    assert attributes(
        SYSTEM_ROW
        | {
            "acs_system_id": ID.upper(),
            "is_credential_manager": False,
            "location": {"time_zone": "Europe/Berlin"},
            "external_type": None,
            "image_url": "",
            "compatible_credential_manager_acs_system_ids": [],
            "workspace_id": "ignored",
        }
    ) == SYSTEM_ROW | {"is_credential_manager": False, "time_zone": "Europe/Berlin"}


def test_a_pool_has_the_one_type_that_there_is() -> None:
    row = {"acs_credential_pool_id": ID, "acs_system_id": OTHER_ID, "display_name": "Pool"}

    assert attributes(row) == row | {
        "external_type": "hid_part_number",
        "external_type_display_name": "HID part number",
    }


def test_an_acs_user_s_access_schedule_is_kept() -> None:
    schedule = {"starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-01-01T02:00:00.5+01:00"}

    assert attributes(USER_ROW | {"access_schedule": schedule}) == USER_ROW | {
        "access_starts_at": "2026-01-01T00:00:00.000Z",
        "access_ends_at": "2026-01-01T01:00:00.500Z",
    }
    assert problems(USER_ROW | {"access_schedule": schedule | {"ends_at": "2025-01-01T00:00:00Z"}}) == [
        ("access_schedule", "ends_at must be after starts_at")
    ]


@pytest.mark.parametrize(
    ("properties", "kind"),
    [
        (SYSTEM_ROW, "acs_system"),
        (USER_ROW, "acs_user"),
        ({"acs_credential_pool_id": ID, "acs_system_id": ID, "display_name": "Pool"}, "acs_credential_pool"),
        (SYSTEM_ROW | {"acs_user_id": ID, "type": "acs_system"}, "acs_system"),
        (SYSTEM_ROW | {"acs_user_id": None, "type": None}, "acs_system"),
    ],
)
def test_what_a_row_is_about_is_told_by_its_type_else_by_its_own_id(properties: dict[str, Any], kind: str) -> None:
    row = validated(properties)

    assert isinstance(row, Row)
    assert row.kind.name == kind


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({}, [("acs_system_id", "Required, or else acs_credential_pool_id or acs_user_id")]),
        ({"type": "x"}, [("type", "Invalid enum value. Expected 'acs_system' or 'acs_credential_pool' or 'acs_user'")]),
        ({"type": []}, [("type", "Invalid enum value. Expected 'acs_system' or 'acs_credential_pool' or 'acs_user'")]),
        (
            {"acs_credential_pool_id": "x", "display_name": "", "external_type": "y"},
            [
                ("acs_credential_pool_id", "Invalid uuid"),
                ("acs_system_id", "Required"),
                ("display_name", "String must contain at least 1 character(s)"),
                ("external_type", "Invalid enum value. Expected 'hid_part_number'"),
            ],
        ),
        (
            USER_ROW | {"email_address": "a@", "phone_number": "1", "full_name": 3, "created_at": "today"},
            [
                ("created_at", "Invalid datetime"),
                ("full_name", "Expected string, received number"),
                ("email_address", "Invalid email"),
                ("phone_number", "Invalid phone number"),
            ],
        ),
        (
            SYSTEM_ROW | {"location": "here", "name": "x" * 1001, "is_credential_manager": "yes"},
            [
                ("name", "String must contain at most 1000 character(s)"),
                ("is_credential_manager", "Expected boolean, received string"),
                ("location", "Expected object, received string"),
            ],
        ),
        (
            SYSTEM_ROW | {"location": {"time_zone": 1}, "compatible_credential_manager_acs_system_ids": [ID, "x"]},
            [
                ("location.time_zone", "Expected string, received number"),
                ("compatible_credential_manager_acs_system_ids.1", "Invalid uuid"),
            ],
        ),
    ],
)
def test_a_bad_row_names_every_field_and_its_reason(
    properties: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert problems(properties) == expected
