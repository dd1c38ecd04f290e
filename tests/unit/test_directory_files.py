"""Rows of a directory file, read and written."""

import io
from collections.abc import Mapping
from typing import Any

import pytest

from enrollments.directory.files import LONGEST_ROW_BYTES, Format, format_of, read_rows, write_rows
from enrollments.directory.rows import SYSTEM, USER, BadRow, RawRow, Row, problems_of_record, read_row
from enrollments.files import BadFile

ID = "0c8f2b9e-6d0f-4f3e-9a51-2f1f3c1f7a01"
OTHER_ID = "0c8f2b9e-6d0f-4f3e-9a51-2f1f3c1f7a02"
SYSTEM_ROW: dict[str, Any] = {
    "acs_system_id": ID,
    "name": "Main Tower",
    "is_credential_manager": True,
    "connected_account_id": OTHER_ID,
}
USER_ROW: dict[str, Any] = {"acs_user_id": ID, "acs_system_id": OTHER_ID}


def read(content: str | bytes, file_format: Format = Format.JSONL) -> list[tuple[int, Any]]:
    """Return each row's line, with its properties or the reason why it cannot be read."""
    stream = io.BytesIO(content if isinstance(content, bytes) else content.encode())
    return [
        (row.line, row.properties if isinstance(row, RawRow) else str(row.problems[0][1]))
        for row in read_rows(stream, file_format)
    ]


def read_csv(content: str | bytes) -> list[tuple[int, Any]]:
    return read(content, Format.CSV)


def validated(properties: Mapping[str, Any]) -> Row | BadRow:
    return read_row(RawRow(1, 1, properties))


def problems(properties: Mapping[str, Any]) -> list[tuple[str | None, str]]:
    row = validated(properties)
    assert isinstance(row, BadRow)
    return list(row.problems)


def attributes(properties: Mapping[str, Any]) -> dict[str, Any]:
    row = read_row(RawRow(1, 1, properties))
    assert isinstance(row, Row)
    return dict(row.attributes)


@pytest.mark.parametrize(
    ("path", "file_format"),
    [
        ("a.jsonl", Format.JSONL),
        ("a.ndjson", Format.JSONL),
        ("a.json", Format.JSONL),
        ("a.CSV", Format.CSV),
        ("a.tsv", Format.CSV),
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
        (b'{"a": 1, "a": 1}', "Names the property a twice"),
        (b'{"a": {"b": 1, "b": 2}}', "Names the property b twice"),
        (b'{"a": "\xff"}', "Invalid UTF-8: save the file as UTF-8 (it can be Latin-1 or Windows-1252)"),
        (b'{"a": "' + b"x" * LONGEST_ROW_BYTES + b'"}', "Row must be at most 1000000 bytes"),
        (b"x" * (3 * LONGEST_ROW_BYTES), "Row must be at most 1000000 bytes"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_line_that_is_no_json_object_says_so_and_the_next_one_is_read(line: bytes, reason: str) -> None:
    assert read(b"{}\n" + line + b'\n{"a": 1}\n') == [(1, {}), (2, reason), (3, {"a": 1})]


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
                "location.time_zone": "Europe/Berlin",
                "compatible_credential_manager_acs_system_ids": ["b", "c", "d"],
            },
        ),
        (
            3,
            {
                "acs_system_id": "e",
                "is_credential_manager": "no",
                "location.time_zone": None,
                "compatible_credential_manager_acs_system_ids": None,
            },
        ),
    ]


def test_a_row_of_csv_is_counted_by_its_first_line_and_an_empty_one_is_none() -> None:
    content = 'acs_user_id,full_name\n1,"a\nb, ""c"""\n\n , \u200b\n2,d'

    assert read_csv(content) == [
        (2, {"acs_user_id": "1", "full_name": 'a\nb, "c"'}),
        (6, {"acs_user_id": "2", "full_name": "d"}),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,2,3", "Cell 3 is not empty, but the first line names no column for it"),
        (b"1,2,,4", "Cell 4 is not empty, but the first line names no column for it"),
        (b"1,\xff", "Invalid UTF-8: save the file as UTF-8 (it can be Latin-1 or Windows-1252)"),
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
    ("header", "line", "message"),
    [
        (b"", 1, "is empty: the first line must name the columns"),
        (b"\n ,,\n", 1, "is empty: the first line must name the columns"),
        (b"name,created_at\n", 1, "one must be acs_system_id, acs_credential_pool_id or acs_user_id"),
        (b"\n;;\nname;created_at\n", 3, "must name the columns"),
        (b"acs_system_id,name,name\n", 1, "names the column name more than once: name, name"),
        (b"acs_user_id,email,EMail-Address\n", 1, "the column email_address more than once: email, EMail-Address"),
        (b"acs_system_id,gr\xf6\xdfe\n", 1, "Invalid UTF-8"),
        (b'acs_system_id,"name\n', 1, "must name the columns"),
        (b"acs_system_id," + b"x" * LONGEST_ROW_BYTES, 1, "must name the columns"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_csv_file_without_a_header_says_so(header: bytes, line: int, message: str) -> None:
    with pytest.raises(BadFile, match=message) as refusal:
        read_csv(header)

    assert refusal.value.line == line


def test_written_rows_read_as_they_were() -> None:
    system = SYSTEM_ROW | {"location": {"time_zone": None}, "name": 'a "b"\r\nc\rd, é', "created_at": None}
    stream = io.BytesIO()

    write_rows(stream, Format.CSV, [(SYSTEM, system), (USER, USER_ROW | {"connected_account_id": ID})], [SYSTEM, USER])

    ((line, first), (next_line, second)) = read_csv(stream.getvalue())
    assert (line, next_line) == (2, 5)
    assert (attributes(first), attributes(second)) == (SYSTEM_ROW | {"name": system["name"]}, USER_ROW)


def removed(properties: Mapping[str, Any]) -> set[str]:
    row = validated(properties)
    assert isinstance(row, Row)
    return set(row.removed)


def test_ids_are_in_lower_case_and_what_an_import_does_not_decide_on_is_not_there() -> None:
    row = SYSTEM_ROW | {"is_credential_manager": False, "location": {"time_zone": "Europe/Berlin"}}

    assert attributes(row | {"acs_system_id": ID.upper(), "workspace_id": "ignored"}) == SYSTEM_ROW | {
        "is_credential_manager": False,
        "time_zone": "Europe/Berlin",
    }


def test_what_is_null_or_empty_is_removed_and_what_is_absent_is_not() -> None:
    empty: dict[str, Any] = {"external_type": None, "image_url": "", "compatible_credential_manager_acs_system_ids": []}

    assert removed(SYSTEM_ROW | empty) == empty.keys()


@pytest.mark.parametrize("location", [None, {"time_zone": None}])
def test_what_is_within_null_is_removed(location: object) -> None:
    assert removed(SYSTEM_ROW | {"location": location}) == {"time_zone"}


def test_a_schedule_goes_with_its_start() -> None:
    assert removed(USER_ROW | {"access_schedule": {"starts_at": None}}) == {"access_starts_at", "access_ends_at"}


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (SYSTEM_ROW, "name"),
        (SYSTEM_ROW, "is_credential_manager"),
        (SYSTEM_ROW, "connected_account_id"),
        (USER_ROW, "acs_system_id"),
        ({"acs_credential_pool_id": ID}, "display_name"),
    ],
)
def test_what_a_record_needs_cannot_be_removed(row: Mapping[str, Any], name: str) -> None:
    assert problems(dict(row) | {name: None}) == [(name, "Required: it cannot be removed")]


@pytest.mark.parametrize(
    "name",
    [
        "email_address",
        "email",
        "EMAIL_ADDRESS",
        "Email Address",
        "e-mail\u2011address",
        "emailAddress",
        "\ufeffEmail\u00a0",
    ],
)
def test_names_are_compared_without_regard_to_case_blanks_and_hyphens(name: str) -> None:
    assert attributes(USER_ROW | {name: "a@example.com"}) == USER_ROW | {"email_address": "a@example.com"}


@pytest.mark.parametrize(
    "properties",
    [{"Location": {"Time Zone": "UTC"}}, {"location.time_zone": "UTC"}, {"location_time_zone": "UTC"}],
    ids=str,
)
def test_a_property_within_another_is_found_by_either_name(properties: Mapping[str, Any]) -> None:
    assert attributes(SYSTEM_ROW | dict(properties)) == SYSTEM_ROW | {"time_zone": "UTC"}


def test_a_property_by_two_names_must_be_one_value() -> None:
    assert problems(USER_ROW | {"email": "a@example.com", "email_address": None}) == [
        ("email_address", "Given twice: as email and as email_address")
    ]
    # As Seam writes it.
    assert attributes(USER_ROW | {"email": "a@example.com", "email_address": "a@example.com"}) == USER_ROW | {
        "email_address": "a@example.com"
    }


@pytest.mark.parametrize(
    ("properties", "unused"),
    [
        (USER_ROW | {"emial_address": None, "note": 1}, ["emial_address", "note"]),
        (USER_ROW | {"name": "Jane"}, ["name"]),
        (USER_ROW | {"name": None}, []),  # an empty cell in a column of another kind
        (SYSTEM_ROW | {"location": {"city": "Vienna"}}, ["location.city"]),
        (USER_ROW | {"is_managed": True, "display_name": "x", "errors": [], "pending_mutations": []}, []),
    ],
    ids=str,
)
def test_names_that_say_nothing_are_told(properties: Mapping[str, Any], unused: list[str]) -> None:
    row = validated(properties)

    assert isinstance(row, Row)
    assert list(row.unused) == unused


@pytest.mark.parametrize("name", ["full_name", "EMAIL", "access_schedule.ends_at"])
def test_a_person_without_an_id_is_not_taken_for_a_system(name: str) -> None:
    assert problems({"acs_user_id": None, "acs_system_id": ID, name: "x"})[0][0] == "acs_user_id"


BLANKS = "\u200b \ufeff\t\u00a0\u202a"


@pytest.mark.parametrize(
    ("name", "written", "stored"),
    [
        ("acs_user_id", ID, ID),
        ("email_address", "a@example.com", "a@example.com"),
        ("phone_number", "+15550100000", "+15550100000"),
        ("created_at", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z"),
    ],
)
def test_blanks_around_a_value_are_no_part_of_it(name: str, written: str, stored: str) -> None:
    assert attributes(USER_ROW | {name: f"{BLANKS}{written}{BLANKS}"})[name] == stored


def test_blanks_around_a_name_are_part_of_it() -> None:
    assert attributes(USER_ROW | {"full_name": " Jane "})["full_name"] == " Jane "


@pytest.mark.parametrize(
    "number", ["15550100000", "1.555E+10", "1,555E+10", "0043 660 123", "(555) 0100", 15550100000, 1.5e10]
)
def test_a_phone_number_that_lost_its_plus_says_so(number: object) -> None:
    ((field, reason),) = problems(USER_ROW | {"phone_number": number})

    assert field == "phone_number"
    assert "its + is missing" in reason


@pytest.mark.parametrize("zone", ["Europe/Vienna", "US/Eastern", "UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+2"])
def test_a_time_zone_has_its_iana_name(zone: str) -> None:
    assert attributes(SYSTEM_ROW | {"location": {"time_zone": f" {zone} "}})["time_zone"] == zone


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Europe/Wien", ""),
        ("Central European Standard Time", ""),
        ("GMT+2", ""),
        ("+02:00", ""),
        ("localtime", ""),
        ("{hint}", ""),
        ("europe/vienna", "; did you mean Europe/Vienna?"),
        ("America/New York", "; did you mean America/New_York?"),
    ],
)
def test_another_time_zone_says_what_is_wrong(zone: str, hint: str) -> None:
    reason = "Invalid time zone: expected an IANA name, in English, such as Europe/Vienna or America/New_York"

    assert problems(SYSTEM_ROW | {"location": {"time_zone": zone}}) == [("location.time_zone", reason + hint)]


def test_an_access_schedule_is_kept() -> None:
    schedule = {"starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-01-01T02:00:00.5+01:00"}

    assert attributes(USER_ROW | {"access_schedule": schedule}) == USER_ROW | {
        "access_starts_at": "2026-01-01T00:00:00.000Z",
        "access_ends_at": "2026-01-01T01:00:00.500Z",
    }


def test_moments_within_a_millisecond_are_one_as_they_are_stored() -> None:
    schedule = {"starts_at": "2026-01-01T12:00:00.0001Z", "ends_at": "2026-01-01T12:00:00.0004Z"}

    user = attributes(USER_ROW | {"access_schedule": schedule})

    assert problems_of_record(USER, user, None) == [
        ("access_schedule", "ends_at must be after starts_at, by a millisecond at least")
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
        ({}, [("acs_system_id", "Required, unless the row has acs_credential_pool_id or acs_user_id")]),
        ({"type": "x"}, [("type", "Invalid enum value. Expected 'acs_system' or 'acs_credential_pool' or 'acs_user'")]),
        ({"type": []}, [("type", "Invalid enum value. Expected 'acs_system' or 'acs_credential_pool' or 'acs_user'")]),
        (
            {"acs_credential_pool_id": "x", "acs_system_id": None, "display_name": "", "external_type": "y"},
            [
                ("acs_credential_pool_id", "Invalid uuid"),
                ("acs_system_id", "Required: it cannot be removed"),
                ("display_name", "String must contain at least 1 character(s)"),
                ("external_type", "Invalid enum value. Expected 'hid_part_number'"),
            ],
        ),
        (
            USER_ROW | {"email_address": "a@", "phone_number": "+x", "full_name": 3, "created_at": "today"},
            [
                ("full_name", "Expected string, received number"),
                ("email_address", "Invalid email"),
                ("phone_number", "Invalid phone number"),
                ("created_at", "Invalid datetime: write it as 2026-01-31T12:00:00Z"),
            ],
        ),
        (
            SYSTEM_ROW | {"location": "here", "name": "x" * 1001, "is_credential_manager": "yes"},
            [
                ("location", "Expected object, received string"),
                ("name", "String must contain at most 1000 character(s)"),
                ("is_credential_manager", "Expected boolean, received string: write true or false"),
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
