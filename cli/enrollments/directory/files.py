"""Directory files: JSON Lines and CSV, read and written row by row in bounded memory."""

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
from enrollments.directory.decoding import UNREADABLE, BadFile, opened_text
from enrollments.directory.names import folded, trim
from enrollments.directory.rows import ID_NAMES, IGNORED, IMPORTED, Kind, RawRow

# Far more than a row can hold that is right, so that one without an end does not fill the memory.
LONGEST_ROW_BYTES = 1_000_000

_TOO_LONG = f"Row must be at most {LONGEST_ROW_BYTES} bytes"
# What spreadsheets put between cells, by language and format.
_SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r"\"?sep=([^\w\"\r\n])\"?[\r\n]*", re.IGNORECASE)
_MUST_NAME_COLUMNS = (
    "the first line must name the columns, with commas, semicolons or tabs between, "
    f"{', '.join(ID_NAMES[:-1])} or {ID_NAMES[-1]} among them"
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
    """Return the format that a file's name tells; ``None`` if it tells none."""
    return _SUFFIXES.get(PurePath(path).suffix.lower())


def read_rows(
    stream: BinaryIO, file_format: Format, not_columns: Callable[[int, Sequence[str]], None] = lambda *_: None
) -> Iterator[RawRow]:
    """Yield the rows of a file; what cannot be read is a row that says why.

    Args:
        stream: The file, at its beginning.
        file_format: How it is written.
        not_columns: Is told the header's line in CSV, and the names there that are no property's, if there are any.

    Raises:
        BadFile: It is not one of rows; before the first row.
    """
    text = opened_text(stream)
    try:
        lines = _Lines(text)
        yield from _read_csv(lines, not_columns) if file_format is Format.CSV else _read_json_lines(lines)
    finally:
        text.detach()  # the stream is its owner's to close


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
        resources: Each with its kind, as JSON.
        kinds: Those that there can be; CSV has columns for them.
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
            # Kinds share names of columns, not columns: an ACS user has its system's connected_account_id.
            writer.writerow([cell_of(resource, column) if column in kind.columns else "" for column in columns])
    finally:
        text.detach()


class _LineTooLong(Exception):
    pass


class _Lines:
    """A file's lines as ``csv`` wants them; several can make a row.

    Attributes:
        number: How many lines have been read.
        end: How many bytes.
        is_readable: Whether all of the current row is in the file's encoding.
    """

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._encoding = text.encoding
        self._row_bytes = 0
        self.number = 0
        self.end = 0
        self.is_readable = True

    @property
    def not_readable(self) -> str:
        """What is the matter with a row that is not in the file's encoding."""
        if self._encoding == "utf-8":
            return "Invalid UTF-8: save the file as UTF-8 (it can be Latin-1 or Windows-1252)"
        return f"Invalid {self._encoding.upper()}: save the file as UTF-8"

    def begin_row(self) -> int:
        """Return the line that the next row begins with."""
        self._row_bytes = 0
        self.is_readable = True
        return self.number + 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next line.

        Raises:
            _LineTooLong: It makes the row too long; it has been skipped.
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


def _read_json_lines(lines: _Lines) -> Iterator[RawRow]:
    is_first = True
    while True:
        number = lines.begin_row()
        try:
            line = trim(next(lines))
        except StopIteration:
            return
        except _LineTooLong:
            is_first = False
            yield RawRow(number, lines.end, _TOO_LONG)
            continue
        if not line:
            continue
        if is_first:
            _refuse_other_than_json_lines(line, number)
            is_first = False
        yield RawRow(number, lines.end, _json_object(line) if lines.is_readable else lines.not_readable)


def _refuse_other_than_json_lines(first: str, number: int) -> None:
    if first.startswith("["):
        raise BadFile(
            "is a JSON array; write each row as an object on a line of its own, as `jq -c '.[]'` does", number
        )
    if first == "{":
        raise BadFile("is JSON over several lines; write each row on a line of its own, as `jq -c .` does", number)
    if not first.startswith("{") and _known_columns(first):
        raise BadFile("names columns as CSV does; import it with --format csv", number)


def _json_object(line: str) -> Mapping[str, Any] | str:
    try:
        # Refuses what UTF-8 cannot say, "\ud800", which DynamoDB would refuse later.
        value = from_json(line, allow_inf_nan=False)
        json.loads(line, object_pairs_hook=_unique)
    except _SameName as error:
        return f"Names the property {error} twice"
    except ValueError:
        return "Invalid JSON"
    return value if isinstance(value, dict) else f"Expected object, received {json_type(value)}"


class _SameName(Exception):
    pass


def _unique(pairs: Sequence[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise _SameName(next(name for name in names if names.count(name) > 1))


# ------------------------------------------------------------------------------------------------------------------ CSV


def _read_csv(lines: _Lines, not_columns: Callable[[int, Sequence[str]], None]) -> Iterator[RawRow]:
    header, rows = _read_header(lines, not_columns)
    while True:
        number = lines.begin_row()
        try:
            cells = next(rows)
        except StopIteration:
            return
        except (csv.Error, _LineTooLong) as error:
            reason = _TOO_LONG if isinstance(error, _LineTooLong) else f"Invalid CSV: {error}"
            skipped = f" (lines {number} to {lines.number} are skipped)" if lines.number > number else ""
            yield RawRow(number, lines.end, reason + skipped)
            continue
        if not any(map(trim, cells)):  # an empty line, or one of commas, as spreadsheets leave them
            continue
        yield RawRow(number, lines.end, _properties(header, cells) if lines.is_readable else lines.not_readable)


def _read_header(
    lines: _Lines, not_columns: Callable[[int, Sequence[str]], None]
) -> tuple[Sequence[str], Iterator[list[str]]]:
    """Return the columns' names, as properties where they are some, and the rows behind."""
    try:
        number, first, separator = _first_line(lines)
        if first.startswith(("{", "[")):
            raise BadFile("is JSON; import it with --format jsonl", number)
        # Strict, because else a quote that is never closed makes one row of all that follows.
        rows = csv.reader(chain([first], lines), delimiter=separator, strict=True)
        names = [trim(name) for name in next(rows)]
    except (csv.Error, _LineTooLong) as error:
        raise BadFile(_MUST_NAME_COLUMNS) from error
    except StopIteration as error:
        raise BadFile(f"is empty: {_MUST_NAME_COLUMNS}") from error
    if not lines.is_readable:
        raise BadFile(f"{_MUST_NAME_COLUMNS}. {lines.not_readable}", number)
    header = [IMPORTED.get(folded(name), name) for name in names]
    if not set(header) & set(ID_NAMES):
        raise BadFile(_MUST_NAME_COLUMNS, number)
    for column in IMPORTED.values():
        written = [name for name, named in zip(names, header, strict=True) if named == column]
        if len(written) > 1:
            raise BadFile(f"names the column {column} more than once: {', '.join(written)}", number)
    if others := [name for name in header if name and folded(name) not in IMPORTED.keys() | IGNORED]:
        not_columns(number, list(dict.fromkeys(others)))
    return header, rows


def _first_line(lines: _Lines) -> tuple[int, str, str]:
    """Return the number of the line that names the columns, that line, and what is between its cells.

    Raises:
        StopIteration: There is none.
    """
    separator = None
    while True:
        number = lines.begin_row()
        line = next(lines)
        if told := _SEPARATOR_LINE.fullmatch(line):  # Excel's
            separator = told[1]
        elif trim(line.translate(_WITHOUT_SEPARATORS)):
            return number, line, separator or max(_SEPARATORS, key=lambda one: len(_known_columns(line, one)))


_WITHOUT_SEPARATORS = str.maketrans(dict.fromkeys("".join(_SEPARATORS) + '"'))


def _known_columns(line: str, separator: str | None = None) -> Sequence[str]:
    """Return the properties that a line names with a separator between; without one, with any."""
    if separator is None:
        return max((_known_columns(line, one) for one in _SEPARATORS), key=len)
    try:
        names = next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []
    return [name for name in names if folded(name) in IMPORTED]


def _properties(header: Sequence[str], cells: Sequence[str]) -> Mapping[str, Any] | str:
    """Return what a row says; cells that are missing at its end are empty."""
    for number, cell in enumerate(cells, 1):
        if trim(cell) and not (number <= len(header) and header[number - 1]):
            return f"Cell {number} is not empty, but the first line names no column for it"
    known = {
        column: cells[index] if index < len(cells) else ""
        for index, column in enumerate(header)
        if column in _PROPERTIES
    }
    return properties_of_cells(known)


_PROPERTIES = frozenset(IMPORTED.values())
