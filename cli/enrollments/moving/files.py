"""Reads and writes the file of a workspace: JSON Lines, between a line with the workspace and a line with the end."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from pydantic import ValidationError

from enrollments.directory.files import Format, read_rows
from enrollments.directory.rows import BadRow, RawRow
from enrollments.files import BadFile
from enrollments.moving.records import KIND_OF, KINDS, End, Head, Kind, Record, problems_of

_HEAD, _END = "workspace", "end"
_CUT_OFF = "the file is not complete: its last line has to be that of the end; export the workspace again"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file, with a valid record.

    Attributes:
        line: Its number, from 1.
        end: The number of bytes from the file's beginning to its end.
        kind: The kind of the record.
        record: The record.
    """

    line: int
    end: int
    kind: Kind
    record: Record


def write_file(stream: BinaryIO, head: Head, records: Iterable[Record], tell: Callable[[int], None]) -> Counter[str]:
    """Write the file of a workspace, and return how many records of each kind it has.

    Args:
        stream: The file.
        head: The workspace.
        records: Its records.
        tell: Gets the number of records so far, after each.
    """
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    _write(stream, _HEAD, head)
    for number, record in enumerate(records, 1):
        name = KIND_OF[type(record)].name
        counts[name] += 1
        _write(stream, name, record)
        tell(number)
    _write(stream, _END, End(counts=dict(counts)))
    return counts


def _write(stream: BinaryIO, name: str, record: Record) -> None:
    content = record.model_dump(mode="json", exclude_none=True)
    stream.write(json.dumps({"type": name, **content}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")


def check_file(stream: BinaryIO) -> Head:
    """Check that a file is complete, and return its workspace.

    Args:
        stream: The file, at its beginning.

    Raises:
        BadFile: It is no file of a workspace, or not all of it is there.
    """
    rows = read_rows(stream, Format.JSONL)
    first = next(rows, None)
    if first is None:
        raise BadFile("is empty")
    head = _head(first)
    lines = 0
    last: RawRow | BadRow = first
    for row in rows:
        if _name(last) == _END:
            raise BadFile("something stands behind the line of the end", row.line)
        last = row
        lines += 1
    if isinstance(last, BadRow) or _name(last) != _END:
        raise BadFile(_CUT_OFF, last.line)
    told = sum(_valid(End, last).counts.values())
    if told != lines - 1:
        raise BadFile(f"the file has {lines - 1} records, and {told} by its last line; export it again", last.line)
    return head


def _head(first: RawRow | BadRow) -> Head:
    if isinstance(first, BadRow) or _name(first) != _HEAD:
        raise BadFile(
            "is no file of a workspace, which begins with its workspace; "
            "`enrollments directory import` takes files of systems, pools and ACS users",
            first.line,
        )
    if first.properties.get("format") != 1:
        raise BadFile("is in another format than this release knows; import it with the release that wrote it")
    return _valid(Head, first)


def _valid[R: Record](model: type[R], row: RawRow) -> R:
    try:
        return model.model_validate(_content(row))
    except ValidationError as invalid:
        ((name, reason), *_) = problems_of(invalid)
        raise BadFile(f"{name or 'row'}: {reason}", row.line) from invalid


def read_lines(stream: BinaryIO) -> Iterator[Line | BadRow]:
    """Yield the records of a file.  A line without a valid record is a bad row.

    Args:
        stream: The file, at its beginning, after ``check_file``.
    """
    for row in read_rows(stream, Format.JSONL):
        if isinstance(row, BadRow):
            yield row
        elif _name(row) not in {_HEAD, _END}:
            yield _line(row)


def _line(row: RawRow) -> Line | BadRow:
    kind = KINDS.get(_name(row))
    if kind is None:
        return BadRow(row.line, row.end, [("type", f"Invalid enum value. Expected {' | '.join(KINDS)}")])
    try:
        return Line(row.line, row.end, kind, kind.model.model_validate(_content(row)))
    except ValidationError as invalid:
        return BadRow(row.line, row.end, problems_of(invalid))


def _name(row: RawRow | BadRow) -> str:
    if isinstance(row, BadRow):
        return ""
    name = row.properties.get("type")
    return name if isinstance(name, str) else ""


def _content(row: RawRow) -> dict[str, Any]:
    return {name: value for name, value in row.properties.items() if name != "type"}
