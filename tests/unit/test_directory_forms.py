"""Forms that people's files have: each is read right, or refused with its line and the reason."""

import codecs
import csv
import gzip
import io
import zipfile
from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enrollments.directory.files import Format, read_rows, write_rows
from enrollments.directory.rows import POOL, SYSTEM, USER, Kind, Problem, Row, read_row
from enrollments.files import BadFile
from tests.spreadsheet import opened_and_saved

ANN = {
    "acs_user_id": "bbbb0000-0000-4000-8000-000000000001",
    "acs_system_id": "de300000-0000-4000-8000-000000000021",
    "full_name": "Ann Müller",
    "email_address": "ann@example.org",
    "phone_number": "+15550100001",
}
BOB = ANN | {
    "acs_user_id": "bbbb0000-0000-4000-8000-000000000002",
    "full_name": "Bob",
    "email_address": "bob@example.org",
    "phone_number": "+15550100002",
}
HEADER = ",".join(ANN)
A, B = ",".join(ANN.values()), ",".join(BOB.values())
ANN_ID, SYSTEM_ID, _, *ANN_S_ADDRESSES = ANN.values()
GOOD = f"{HEADER}\n{A}\n{B}\n"
AS_JSON = (
    '{"acs_user_id":"bbbb0000-0000-4000-8000-000000000001","acs_system_id":"de300000-0000-4000-8000-000000000021",'
    '"full_name":"Ann Müller","email_address":"ann@example.org","phone_number":"+15550100001"}'
)
WORKBOOK = io.BytesIO()
with zipfile.ZipFile(WORKBOOK, "w") as archive:
    archive.writestr("[Content_Types].xml", "<Types/>")


class Outcome(NamedTuple):
    """What a row gives and removes, or what is the matter with it."""

    line: int
    given: Mapping[str, Any] = MappingProxyType({})
    removed: Set[str] = frozenset()
    problems: Sequence[Problem] = ()


def read(content: str | bytes, file_format: Format) -> list[Outcome]:
    stream = io.BytesIO(content if isinstance(content, bytes) else content.encode())
    return [
        Outcome(row.line, dict(row.attributes), row.removed)
        if isinstance(row, Row)
        else Outcome(row.line, problems=row.problems)
        for row in map(read_row, read_rows(stream, file_format))
    ]


def rows(*people: dict[str, str], first_line: int = 2) -> list[Outcome]:
    return [Outcome(line, person) for line, person in enumerate(people, first_line)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(GOOD, rows(ANN, BOB), id="as exported"),
        pytest.param(GOOD.removesuffix("\n"), rows(ANN, BOB), id="no last line end"),
        pytest.param(GOOD.replace("\n", "\r\n"), rows(ANN, BOB), id="Windows line ends"),
        pytest.param(GOOD.replace("\n", "\r"), rows(ANN, BOB), id="old Macintosh line ends"),
        pytest.param(f"{HEADER}\r{A}\n{B}\r\n", rows(ANN, BOB), id="mixed line ends"),
        pytest.param(codecs.BOM_UTF8 + GOOD.encode(), rows(ANN, BOB), id="UTF-8 with a byte order mark"),
        pytest.param(GOOD.encode("utf-16"), rows(ANN, BOB), id="UTF-16 with a byte order mark"),
        pytest.param(codecs.BOM_UTF16_BE + GOOD.encode("utf-16-be"), rows(ANN, BOB), id="UTF-16, the other order"),
        pytest.param(GOOD.encode("utf-16-le"), rows(ANN, BOB), id="UTF-16 LE without a byte order mark"),
        pytest.param(GOOD.encode("utf-16-be"), rows(ANN, BOB), id="UTF-16 BE without a byte order mark"),
        pytest.param(GOOD.encode("utf-32"), rows(ANN, BOB), id="UTF-32"),
        pytest.param(GOOD.replace(",", ";"), rows(ANN, BOB), id="semicolons"),
        pytest.param(GOOD.replace(",", "\t").encode("utf-16"), rows(ANN, BOB), id="Excel's Unicode text"),
        pytest.param(GOOD.replace(",", "|"), rows(ANN, BOB), id="bars"),
        pytest.param("sep=;\r\n" + GOOD.replace(",", ";"), rows(ANN, BOB, first_line=3), id="Excel's sep=;"),
        pytest.param("sep=\t\n" + GOOD.replace(",", "\t"), rows(ANN, BOB, first_line=3), id="Excel's sep= and a tab"),
        pytest.param('"SEP=^"\n' + GOOD.replace(",", "^"), rows(ANN, BOB, first_line=3), id="another separator"),
        pytest.param("\n,,,,\n" + GOOD, rows(ANN, BOB, first_line=4), id="empty lines before the header"),
        pytest.param(f"{HEADER}\n\n{A}\n,,,,\n \n", rows(ANN, first_line=3), id="empty lines between and after"),
        pytest.param(GOOD.replace("email_address", "email", 1), rows(ANN, BOB), id="an older name"),
        pytest.param(
            GOOD.replace(HEADER, "ACS_USER_ID,acsSystemId,Full Name, E-Mail Address ,Phone-Number"),
            rows(ANN, BOB),
            id="names as people write them",
        ),
        pytest.param(
            "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in GOOD.split("\n")[:-1]),
            rows(ANN, BOB),
            id="everything quoted",
        ),
        pytest.param(GOOD.replace(HEADER, HEADER + ",,"), rows(ANN, BOB), id="columns without a name"),
        pytest.param(f"{HEADER}\n{A},\n{B},,,\n", rows(ANN, BOB), id="empty cells too many"),
        pytest.param(
            f"{HEADER}\n{ANN_ID},{SYSTEM_ID},Ann\n",
            [
                Outcome(
                    2,
                    {"acs_user_id": ANN_ID, "acs_system_id": SYSTEM_ID, "full_name": "Ann"},
                    {"email_address", "phone_number"},
                )
            ],
            id="empty cells too few",
        ),
        pytest.param(
            f"acs_user_id,acs_system_id,full_name,email_address\n{ANN_ID},{SYSTEM_ID},Ann,\n",
            [Outcome(2, {"acs_user_id": ANN_ID, "acs_system_id": SYSTEM_ID, "full_name": "Ann"}, {"email_address"})],
            id="a column that is not there, and an empty cell",
        ),
        pytest.param(
            f"{HEADER}\n \u00a0{ANN_ID}\t,{SYSTEM_ID}\ufeff,Ann Müller,\u200b{','.join(ANN_S_ADDRESSES)}\u202c \n",
            rows(ANN),
            id="blanks around values",
        ),
        pytest.param(
            f'acs_user_id,full_name\n{ANN_ID},"Ann\n""Annie""\r\nMüller, Dr."\n',
            [Outcome(2, {"acs_user_id": ANN_ID, "full_name": 'Ann\n"Annie"\r\nMüller, Dr.'})],
            id="quotes, commas and lines in a cell",
        ),
        pytest.param(
            f'acs_user_id,"full\nname"\n{ANN_ID},Ann\n',
            [Outcome(3, {"acs_user_id": ANN_ID, "full_name": "Ann"})],
            id="lines in a header",
        ),
        pytest.param(
            f"acs_user_id,full_name,phone_number\n{ANN_ID},'=1+1,'+15550100001\n",
            [Outcome(2, {"acs_user_id": ANN_ID, "full_name": "=1+1", "phone_number": "+15550100001"})],
            id="formulas as an export writes them",
        ),
        pytest.param(
            f"acs_user_id,full_name\n{ANN_ID},=1+1\n",
            [Outcome(2, {"acs_user_id": ANN_ID, "full_name": "=1+1"})],
            id="formulas as they are",
        ),
        pytest.param(
            f"acs_system_id,is_credential_manager\n{SYSTEM_ID}, TRUE \n{ANN_ID},False\n",
            [
                Outcome(2, {"acs_system_id": SYSTEM_ID, "is_credential_manager": True}),
                Outcome(3, {"acs_system_id": ANN_ID, "is_credential_manager": False}),
            ],
            id="booleans of spreadsheets",
        ),
        pytest.param(f"{HEADER}\n", [], id="only a header"),
    ],
)
def test_a_form_of_csv_is_read_right(content: str | bytes, expected: list[Outcome]) -> None:
    assert read(content, Format.CSV) == expected


@pytest.mark.parametrize(
    ("content", "line", "field", "reason"),
    [
        pytest.param(f"{HEADER}\n{A},stray\n{B}\n", 2, None, "Cell 6 is not empty", id="a cell too many"),
        pytest.param(f"{HEADER},\n{A},stray\n{B}\n", 2, None, "Cell 6 is not empty", id="no name above"),
        pytest.param(
            f"{HEADER}\n{A.replace('Ann ', 'Ann, ')}\n{B}\n", 2, None, "Cell 6 is not empty", id="a comma in a name"
        ),
        pytest.param(GOOD.encode("latin-1"), 2, None, "Invalid UTF-8", id="Latin-1"),
        pytest.param(GOOD.replace("ü", "ü€").encode("cp1252"), 2, None, "Windows-1252", id="Windows-1252"),
        pytest.param(GOOD.replace("+", ""), 2, "phone_number", "its + is missing", id="phone numbers as numbers"),
        pytest.param(
            GOOD.replace("+15550100001", "1.55501E+10"), 2, "phone_number", "+ is missing", id="in short form"
        ),
        pytest.param(
            GOOD.replace("+15550100001", '"4,36601E+11"'),
            2,
            "phone_number",
            "+ is missing",
            id="short form, decimal comma",
        ),
        pytest.param(GOOD.replace(SYSTEM_ID, "", 1), 2, "acs_system_id", "cannot be removed", id="a needed cell empty"),
        pytest.param(GOOD.replace(ANN_ID, ""), 2, "acs_user_id", "Required with full_name", id="no id"),
        pytest.param(f'{HEADER}\n"{A}\n', 2, None, "unexpected end of data", id="a quote that is never closed"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused(content: str | bytes, line: int, field: str | None, reason: str) -> None:
    (first, *_) = read(content, Format.CSV)

    ((named, said),) = first.problems
    assert (first.line, named, reason in said) == (line, field, True)


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        pytest.param(b"", 1, "is empty", id="nothing"),
        pytest.param(codecs.BOM_UTF8, 1, "is empty", id="a byte order mark"),
        pytest.param(A.encode(), 1, "must name the columns", id="no header"),
        pytest.param(WORKBOOK.getvalue(), 1, r"is a workbook \(.xlsx, .ods\) or another zip archive", id=".xlsx"),
        pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 1, r"is a workbook \(.xls\)", id=".xls"),
        pytest.param(gzip.compress(GOOD.encode()), 1, r"is compressed \(gzip\)", id="gzip"),
        pytest.param(b"<html><table>", 1, "is XML or HTML", id="HTML"),
        pytest.param(b"acs_user_id,\0\0\0", 1, "is a binary file", id="zero bytes"),
        pytest.param(AS_JSON.encode(), 1, "is JSON; import it with --format jsonl", id="JSON Lines"),
        pytest.param(f"[{AS_JSON}]".encode(), 1, "is JSON; import it with --format jsonl", id="a JSON array"),
        pytest.param(f"\n{HEADER},email\n".encode(), 2, "email_address more than once", id="a column twice"),
    ],
)
def test_a_file_that_is_no_csv_is_named_as_what_it_is(content: bytes, line: int, reason: str) -> None:
    with pytest.raises(BadFile, match=reason) as refusal:
        read(content, Format.CSV)

    assert refusal.value.line == line


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"{AS_JSON}\n", id="as exported"),
        pytest.param(f"{AS_JSON}\r\n\r\n", id="Windows line ends"),
        pytest.param(f"{AS_JSON}\r", id="old Macintosh line ends"),
        pytest.param(f"\ufeff {AS_JSON} ", id="a byte order mark and blanks"),
        pytest.param(AS_JSON.encode("utf-16"), id="UTF-16"),
        pytest.param(AS_JSON.encode("utf-16-le"), id="UTF-16 without a byte order mark"),
        pytest.param(AS_JSON.replace("email_address", "email"), id="an older name"),
        pytest.param(AS_JSON.replace("email_address", "Email-Address"), id="names as people write them"),
        pytest.param(AS_JSON.replace("Ann Müller", "Ann M\\u00fcller"), id="escapes"),
    ],
)
def test_a_form_of_json_lines_is_read_right(content: str | bytes) -> None:
    assert read(content, Format.JSONL) == rows(ANN, first_line=1)


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        pytest.param(f"[{AS_JSON},\n{AS_JSON}]", 1, "is a JSON array; write one object on each line", id="an array"),
        pytest.param(f"\n [\n{AS_JSON}\n]\n", 2, "is a JSON array", id="an array over several lines"),
        pytest.param(
            '{\n  "acs_user_id": "x"\n}\n', 1, "has a JSON object on several lines", id="an object over several lines"
        ),
        pytest.param(GOOD, 1, "import it with --format csv", id="CSV"),
        pytest.param(GOOD.replace(",", ";"), 1, "import it with --format csv", id="CSV with semicolons"),
        pytest.param(gzip.compress(AS_JSON.encode()), 1, "is compressed", id="gzip"),
    ],
)
def test_a_file_that_is_no_json_lines_is_named_as_what_it_is(content: str | bytes, line: int, reason: str) -> None:
    with pytest.raises(BadFile, match=reason) as refusal:
        read(content, Format.JSONL)

    assert refusal.value.line == line


def test_a_row_in_another_encoding_is_refused_and_the_others_are_read() -> None:
    content = f"{AS_JSON}\n".encode() + AS_JSON.encode("latin-1") + f"\n{AS_JSON}\n".encode()

    (first, second, last) = read(content, Format.JSONL)

    assert [first, last] == [*rows(ANN, first_line=1), *rows(ANN, first_line=3)]
    reason = "Invalid UTF-8: save the file as UTF-8 (it can be Latin-1 or Windows-1252)"
    assert second == Outcome(2, problems=[(None, reason)])


def test_utf_16_that_is_cut_off_is_refused_where_it_is() -> None:
    (first, *_, last) = read(GOOD.encode("utf-16-le") + b"\x00\xd8a", Format.CSV)

    assert first == rows(ANN)[0]
    assert last == Outcome(4, problems=[(None, "Invalid UTF-16-LE: save the file as UTF-8")])


# ---------------------------------------------------------------------------------------------------- Spreadsheets

SYSTEM_RESOURCE = {
    "acs_system_id": "00000000-0000-4000-8000-000000000001",
    "is_credential_manager": True,
    "connected_account_id": "5e300000-0000-4000-8000-000000000021",
    "compatible_credential_manager_acs_system_ids": [ANN["acs_user_id"], BOB["acs_user_id"]],
    "location": {"time_zone": "Etc/GMT+2"},
    "created_at": "2026-01-01T00:00:00.123Z",
}
# All that a spreadsheet changes in a text, as tried with LibreOffice 7.4; and what it could.
TEXTS = [
    *("=1+1", "+1", "-1", "- x", "@SUM(A1)", "\t=1", "\tx", "\r=1", "\n=1", " =1+1", "\u00a0+5", "\uff1d1+1"),
    *("'", "''", "'t Hooft", "''t Hooft", "'=1+1", "'007"),
    *("007", " 007", "1E5", "1e5000", "1,000", "1.", "1.50", "$5", "5 €", "5%", "(5)", "1 1/2"),
    *("1/2", "3-4", "1.2.2026", "12:30", "12:30 PM", "24:00", "1:2:3", "Mar 1", "SEPT2", "Sep 2", "1-Jan", "Jan 2026"),
    *("2026-01-01", "true", "FALSE", " True"),
]


def through_a_spreadsheet(kind: Kind, resource: dict[str, Any], **how: Any) -> Outcome:
    stream = io.BytesIO()
    write_rows(stream, Format.CSV, [(kind, resource)], [SYSTEM, POOL, USER])
    saved = opened_and_saved(stream.getvalue().decode(), **how)
    (row,) = read(codecs.BOM_UTF8 + saved.encode(), Format.CSV)
    return row


def said(kind: Kind, resource: dict[str, Any]) -> Outcome:
    stream = io.BytesIO()
    write_rows(stream, Format.JSONL, [(kind, resource)], [kind])
    (row,) = read(stream.getvalue(), Format.JSONL)
    return row._replace(line=2)


def all_of(kind: Kind, resource: dict[str, Any]) -> dict[str, Any]:
    """Return a resource with null for all that it does not have, as an export writes it."""
    return dict.fromkeys(column.partition(".")[0] for column in kind.columns) | resource


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_spreadsheet_changes_no_name(text: str, separator: str) -> None:
    user = all_of(USER, ANN | {"full_name": text})

    assert through_a_spreadsheet(USER, user, separator=separator) == said(USER, user)


@pytest.mark.parametrize("text", [text for text in TEXTS if not text.startswith(("''", "'=", "'0"))])
def test_nor_does_one_that_drops_an_apostrophe_but_of_a_name_that_begins_with_one_and_needs_one(text: str) -> None:
    user = all_of(USER, ANN | {"full_name": text})

    assert through_a_spreadsheet(USER, user, keeps_apostrophes=False) == said(USER, user)


@given(text=st.text(min_size=1, max_size=30) | st.from_regex(r"['=+@-]{0,3}[\d., :/-]{0,8}[a-z]{0,3}", fullmatch=True))
@example(text="'")
@example(text="INF")
@settings(deadline=None)  # a busy machine pauses
def test_a_spreadsheet_changes_no_text_whatever(text: str) -> None:
    system = all_of(SYSTEM, SYSTEM_RESOURCE | {"name": text or "x", "customer_key": text or None})

    assert through_a_spreadsheet(SYSTEM, system, separator=";") == said(SYSTEM, system)


def test_nothing_in_an_export_is_run() -> None:
    stream = io.BytesIO()

    write_rows(
        stream, Format.CSV, [(USER, ANN | {"full_name": text, "email_address": "=a@b"}) for text in TEXTS], [USER]
    )

    written = list(csv.reader(io.StringIO(stream.getvalue().decode(), newline="")))
    assert len(written) == 1 + len(TEXTS)
    assert not [cell for row in written for cell in row if cell.strip().startswith(("=", "+", "-", "@"))]


def test_a_person_s_schedule_and_addresses_survive_a_spreadsheet() -> None:
    user = all_of(
        USER,
        BOB
        | {
            "email_address": "=bob@example.org",
            "access_schedule": {"starts_at": "2026-01-01T00:00:00.000Z", "ends_at": None},
            "created_at": "2026-01-01T00:00:00.001Z",
        },
    )

    assert through_a_spreadsheet(USER, user) == said(USER, user)
