"""Reads and writes directory files, JSON Lines and CSV, row by row in bounded memory."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import chain
from pathlib import PurePath
from typing import Any, BinaryIO

from pydantic_core import from_json

from enrollment.resources.zod import json_type
from enrollments.directory.cells import cell_of, properties_of_cells
from enrollments.directory.decoding import UNREADABLE, open_text
from enrollments.directory.names import folded, trim
from enrollments.directory.rows import ID_NAMES, IGNORED, IMPORTED, BadRow, Kind, RawRow
from enrollments.files import BadFile

# Far more than a valid row can hold.  The limit keeps a row without an end from filling the memory.
LONGEST_ROW_BYTES = 1_000_000

_TOO_LONG = f"Row must be at most {LONGEST_ROW_BYTES} bytes"
# The separators of cells, which depend on the spreadsheet's language and format.
_SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r"\"?sep=([^\w\"\r\n])\"?[\r\n]*", re.IGNORECASE)
_MUST_NAME_COLUMNS = (
    "the first line must name the columns, separated by commas, semicolons or tabs; "
    f"one must be {', '.join(ID_NAMES[:-1])} or {ID_NAMES[-1]}"
)


class Format(StrEnum):
    """How rows are written."""

    JSONL = "jsonl"
    CSV = "csv"


_SUFFIXES = {
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".json": Format.JSONL,
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
}


def format_of(path: str) -> Format | None:
    """Return the format that a file's name shows; ``None`` if it shows none."""
    return _SUFFIXES.get(PurePath(path).suffix.lower())


def read_rows(
    stream: BinaryIO, file_format: Format, on_unknown_columns: Callable[[int, Sequence[str]], None] = lambda *_: None
) -> Iterator[RawRow | BadRow]:
    """Yield the rows of a file.  A row that cannot be read is a bad row.

    Args:
        stream: The file, at its beginning.
        file_format: How it is written.
        on_unknown_columns: Gets the line of a CSV header and its unknown names, if it has any.

    Raises:
        BadFile: It cannot be read as rows.  This comes before the first row.
    """
    text = open_text(stream)
    try:
        lines = _Lines(text)
        yield from _read_csv(lines, on_unknown_columns) if file_format is Format.CSV else _read_json_lines(lines)
    finally:
        text.detach()  # otherwise the stream would be closed with it


def write_rows(
    stream: BinaryIO,
    file_format: Format,
    resources: Iterable[tuple[Kind, Mapping[str, Any]]],
    kinds: Sequence[Kind],
) -> None:
    """Write resources as rows.

    Args:
        stream: The file.
        file_format: How to write it.
        resources: Pairs of a kind and a resource as JSON.
        kinds: All kinds that can occur.  CSV has columns for them.
    """
    if file_format is Format.JSONL:
        for _, resource in resources:
            stream.write(json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        return
    columns = list(dict.fromkeys(column for kind in kinds for column in kind.columns))
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        for kind, resource in resources:
            # A resource can have a property that only another kind imports: an ACS user has connected_account_id, too.
            writer.writerow([cell_of(resource, column) if column in kind.columns else "" for column in columns])
    finally:
        text.detach()


class _LineTooLong(Exception):
    """A line makes its row longer than the limit."""


class _InvalidRow(Exception):
    """A row cannot be read.  The message is the reason."""


class _Lines:
    """An iterator over a file's lines, as ``csv`` needs it.  A row can have several lines.

    Attributes:
        number: The number of lines that have been read.
        end: The number of bytes that have been read.
        is_readable: Whether the current row could be decoded as a whole.
    """

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._encoding = text.encoding
        self._row_bytes = 0
        self.number = 0
        self.end = 0
        self.is_readable = True

    @property
    def wrong_encoding(self) -> str:
        """The reason why a row that cannot be decoded is refused."""
        if self._encoding == "utf-8":
            return "Invalid UTF-8: save the file as UTF-8 (it can be Latin-1 or Windows-1252)"
        return f"Invalid {self._encoding.upper()}: save the file as UTF-8"

    def begin_row(self) -> int:
        """Begin a row and return the number of its first line."""
        self._row_bytes = 0
        self.is_readable = True
        return self.number + 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next line.

        Raises:
            _LineTooLong: It makes the row too long.  The line has been skipped.
        """
        line = self._text.readline(LONGEST_ROW_BYTES + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._count(line)
        if UNREADABLE in line:
            self.is_readable = False
        if self._row_bytes > LONGEST_ROW_BYTES:
            while line and not line.endswith(("\n", "\r")):
                line = self._text.readline(LONGEST_ROW_BYTES)
                self._count(line)
            raise _LineTooLong
        return line

    def _count(self, line: str) -> None:
        size = len(line.encode(self._encoding, "replace"))
        self.end += size
        self._row_bytes += size


# ----------------------------------------------------------------------------------------------------------- JSON Lines


def _read_json_lines(lines: _Lines) -> Iterator[RawRow | BadRow]:
    is_first = True
    while True:
        number = lines.begin_row()
        try:
            line = trim(next(lines))
        except StopIteration:
            return
        except _LineTooLong:
            is_first = False
            yield _bad_row(number, lines, _TOO_LONG)
            continue
        if not line:
            continue
        if is_first:
            _refuse_other_than_json_lines(line, number)
            is_first = False
        if not lines.is_readable:
            yield _bad_row(number, lines, lines.wrong_encoding)
            continue
        try:
            yield RawRow(number, lines.end, _json_object(line))
        except _InvalidRow as invalid:
            yield _bad_row(number, lines, str(invalid))


def _bad_row(number: int, lines: _Lines, reason: str) -> BadRow:
    return BadRow(number, lines.end, [(None, reason)])


def _refuse_other_than_json_lines(first: str, number: int) -> None:
    if first.startswith("["):
        raise BadFile("is a JSON array; write one object on each line, as `jq -c '.[]'` does", number)
    if first == "{":
        raise BadFile("has a JSON object on several lines; write one object on each line, as `jq -c .` does", number)
    if not first.startswith("{") and _known_columns(first):
        raise BadFile("names columns as CSV does; import it with --format csv", number)


def _json_object(line: str) -> Mapping[str, Any]:
    """Return the object in a line.

    Raises:
        _InvalidRow: It is not JSON, not an object, or names a property twice.
    """
    try:
        # pydantic's parser refuses lone surrogates such as "\ud800".  DynamoDB would refuse them later.
        value = from_json(line, allow_inf_nan=False)
        json.loads(line, object_pairs_hook=_unique)
    except _SameName as error:
        raise _InvalidRow(f"Names the property {error} twice") from error
    except ValueError as error:
        raise _InvalidRow("Invalid JSON") from error
    if not isinstance(value, dict):
        raise _InvalidRow(f"Expected object, received {json_type(value)}")
    return value


class _SameName(Exception):
    """An object names a property twice.  The message is the property's name."""


def _unique(pairs: Sequence[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise _SameName(next(name for name in names if names.count(name) > 1))


# ------------------------------------------------------------------------------------------------------------------ CSV


def _read_csv(lines: _Lines, on_unknown_columns: Callable[[int, Sequence[str]], None]) -> Iterator[RawRow | BadRow]:
    header, rows = _read_header(lines, on_unknown_columns)
    while True:
        number = lines.begin_row()
        try:
            cells = next(rows)
        except StopIteration:
            return
        except (csv.Error, _LineTooLong) as error:
            reason = _TOO_LONG if isinstance(error, _LineTooLong) else f"Invalid CSV: {error}"
            skipped = f" (lines {number} to {lines.number} are skipped)" if lines.number > number else ""
            yield _bad_row(number, lines, reason + skipped)
            continue
        if not any(map(trim, cells)):  # spreadsheets leave empty lines, and lines of commas
            continue
        if not lines.is_readable:
            yield _bad_row(number, lines, lines.wrong_encoding)
            continue
        try:
            yield RawRow(number, lines.end, _properties(header, cells))
        except _InvalidRow as invalid:
            yield _bad_row(number, lines, str(invalid))


def _read_header(
    lines: _Lines, on_unknown_columns: Callable[[int, Sequence[str]], None]
) -> tuple[Sequence[str], Iterator[list[str]]]:
    """Return the columns' names and the rows after them.  A known column has its property's current name."""
    try:
        number, first, separator = _first_line(lines)
        if first.startswith(("{", "[")):
            raise BadFile("is JSON; import it with --format jsonl", number)
        # Without strict, a quote that is never closed would make one row of the rest of the file.
        rows = csv.reader(chain([first], lines), delimiter=separator, strict=True)
        names = [trim(name) for name in next(rows)]
    except (csv.Error, _LineTooLong) as error:
        raise BadFile(_MUST_NAME_COLUMNS) from error
    except StopIteration as error:
        raise BadFile(f"is empty: {_MUST_NAME_COLUMNS}") from error
    if not lines.is_readable:
        raise BadFile(f"{_MUST_NAME_COLUMNS}. {lines.wrong_encoding}", number)
    header = [IMPORTED.get(folded(name), name) for name in names]
    if not set(header) & set(ID_NAMES):
        raise BadFile(_MUST_NAME_COLUMNS, number)
    for column in IMPORTED.values():
        written = [name for name, named in zip(names, header, strict=True) if named == column]
        if len(written) > 1:
            raise BadFile(f"names the column {column} more than once: {', '.join(written)}", number)
    if others := [name for name in header if name and folded(name) not in IMPORTED.keys() | IGNORED]:
        on_unknown_columns(number, list(dict.fromkeys(others)))
    return header, rows


def _first_line(lines: _Lines) -> tuple[int, str, str]:
    """Return the number of the line that names the columns, that line, and its separator.

    Raises:
        StopIteration: There is no such line.
    """
    separator = None
    while True:
        number = lines.begin_row()
        line = next(lines)
        if declared := _SEPARATOR_LINE.fullmatch(line):  # as Excel writes it
            separator = declared[1]
        elif trim(line.translate(_WITHOUT_SEPARATORS)):
            return number, line, separator or max(_SEPARATORS, key=lambda one: len(_known_columns(line, one)))


_WITHOUT_SEPARATORS = str.maketrans(dict.fromkeys("".join(_SEPARATORS) + '"'))


def _known_columns(line: str, separator: str | None = None) -> Sequence[str]:
    """Return the known names in a line.  Without a separator, try all and return the most names."""
    if separator is None:
        return max((_known_columns(line, one) for one in _SEPARATORS), key=len)
    try:
        names = next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []
    return [name for name in names if folded(name) in IMPORTED]


def _properties(header: Sequence[str], cells: Sequence[str]) -> Mapping[str, Any]:
    """Return a row's properties.  Cells that are missing at its end count as empty.

    Raises:
        _InvalidRow: A cell without a column is not empty.
    """
    for number, cell in enumerate(cells, 1):
        if trim(cell) and not (number <= len(header) and header[number - 1]):
            raise _InvalidRow(f"Cell {number} is not empty, but the first line names no column for it")
    known = {
        column: cells[index] if index < len(cells) else ""
        for index, column in enumerate(header)
        if column in _PROPERTIES
    }
    return properties_of_cells(known)


_PROPERTIES = frozenset(IMPORTED.values())
