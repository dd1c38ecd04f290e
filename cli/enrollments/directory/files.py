"""Directory files: JSON Lines and CSV, read and written row by row in bounded memory."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import PurePath
from typing import Any, BinaryIO

from pydantic_core import from_json

from enrollment.wording import json_type
from enrollments.directory.rows import COLUMNS, ID_NAMES, Kind, RawRow, cell_of, properties_of_cells

# Far more than a row can hold that is right, so that one without an end does not fill the memory.
LONGEST_ROW_BYTES = 1_000_000

_BOM = b"\xef\xbb\xbf"
_TOO_LONG = f"Row must be at most {LONGEST_ROW_BYTES} bytes"
_NOT_UTF_8 = "Invalid UTF-8"


class Format(StrEnum):
    """How rows are written."""

    JSONL = "jsonl"
    CSV = "csv"


_SUFFIXES = {".jsonl": Format.JSONL, ".ndjson": Format.JSONL, ".json": Format.JSONL, ".csv": Format.CSV}


class BadHeader(ValueError):
    """A CSV file whose first line does not name its columns."""


def format_of(path: str) -> Format | None:
    """Return the format that a file's name tells; ``None`` if it tells none."""
    return _SUFFIXES.get(PurePath(path).suffix.lower())


def read_rows(stream: BinaryIO, file_format: Format) -> Iterator[RawRow]:
    """Yield the rows of a file; what cannot be read is a row that says why.

    Args:
        stream: The file, at its beginning.
        file_format: How it is written.

    Raises:
        BadHeader: Of CSV, before the first row.
    """
    lines = _Lines(stream)
    return _read_csv(lines) if file_format is Format.CSV else _read_json_lines(lines)


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
        is_utf_8: Whether the lines of the current row were UTF-8.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._row_bytes = 0
        self.number = 0
        self.end = 0
        self.is_utf_8 = True

    def begin_row(self) -> int:
        """Return the line that the next row begins with."""
        self._row_bytes = 0
        self.is_utf_8 = True
        return self.number + 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._next()
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.is_utf_8 = False
            return line.decode(errors="replace")

    def next_bytes(self) -> bytes:
        """Return the next line; empty at the end of the file.

        Raises:
            _LineTooLong: It makes the row too long; it has been skipped.
        """
        try:
            return self._next()
        except StopIteration:
            return b""

    def _next(self) -> bytes:
        line = self._stream.readline(LONGEST_ROW_BYTES + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self.end += len(line)
        self._row_bytes += len(line)
        if self._row_bytes > LONGEST_ROW_BYTES:
            while line and not line.endswith(b"\n"):
                line = self._stream.readline(LONGEST_ROW_BYTES)
                self.end += len(line)
            raise _LineTooLong
        return line.removeprefix(_BOM) if self.number == 1 else line


def _read_json_lines(lines: _Lines) -> Iterator[RawRow]:
    while True:
        number = lines.begin_row()
        try:
            line = lines.next_bytes()
        except _LineTooLong:
            yield RawRow(number, lines.end, _TOO_LONG)
            continue
        if line.strip():
            yield RawRow(number, lines.end, _json_object(line))
        elif lines.number < number:  # nothing was read
            return


def _json_object(line: bytes) -> Mapping[str, Any] | str:
    try:
        # Refuses what UTF-8 cannot say, "\ud800", which DynamoDB would refuse later.
        value = from_json(line, allow_inf_nan=False)
    except ValueError:
        return _NOT_UTF_8 if not _is_utf_8(line) else "Invalid JSON"
    return value if isinstance(value, dict) else f"Expected object, received {json_type(value)}"


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read_csv(lines: _Lines) -> Iterator[RawRow]:
    # Strict, because else a quote that is never closed makes one row of all that follows.
    rows = csv.reader(lines, strict=True)
    header = _read_header(lines, rows)
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
        if not any(cells):  # an empty line, or one of commas, as spreadsheets leave them
            continue
        yield RawRow(number, lines.end, _properties(header, cells) if lines.is_utf_8 else _NOT_UTF_8)


def _read_header(lines: _Lines, rows: Iterator[list[str]]) -> list[str]:
    try:
        header = [name.strip() for name in next(rows, [])]
    except (csv.Error, _LineTooLong) as error:
        raise BadHeader("the first line must name the columns") from error
    if not lines.is_utf_8:
        raise BadHeader("the first line must name the columns, in UTF-8")
    if not set(header) & set(ID_NAMES):
        raise BadHeader(
            f"the first line must name the columns, with commas between, {' or '.join(ID_NAMES)} among them"
        )
    for name in header:
        if name in COLUMNS and header.count(name) > 1:
            raise BadHeader(f"the first line names the column {name} more than once")
    return header


def _properties(header: Sequence[str], cells: Sequence[str]) -> Mapping[str, Any] | str:
    if len(cells) != len(header):
        return f"Row must have {len(header)} cells, has {len(cells)}"
    return properties_of_cells({name: cell for name, cell in zip(header, cells, strict=True) if name in COLUMNS})
