"""``enrollments directory``: ACS systems, credential pools and ACS users from and to files."""

import errno
import json
import os
import sqlite3
import stat
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click

from enrollment.table import Table
from enrollment.timestamps import timestamp
from enrollments.directory.checking import check
from enrollments.directory.exporting import export_resources
from enrollments.directory.files import BadHeader, Format, format_of, read_rows, write_rows
from enrollments.directory.importing import Outcome, Result, import_rows
from enrollments.directory.rows import KINDS, read_row
from enrollments.failure import failed
from enrollments.target import AWS_ERRORS, Uuid, in_table, reason_of

_STANDARD_STREAM = "-"
_FORMATS = click.Choice([file_format.value for file_format in Format])
_MOST_PASSES = 3
_ERASE_LINE = "\r\x1b[K"


@click.group()
def directory() -> None:
    """Import and export ACS systems, credential pools and ACS users.

    For example:

    \b
    enrollments directory import --stack-name enrollment-automations \\
      --workspace-id WORKSPACE_ID --dry-run directory.jsonl
    enrollments directory export --stack-name enrollment-automations \\
      --workspace-id WORKSPACE_ID -o directory.csv
    """  # noqa: D301 - click's mark for lines to keep


@directory.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--workspace-id", type=Uuid(), required=True, help="The workspace, whatever the rows say.")
@click.option("--format", "format_name", type=_FORMATS, help="JSON Lines or CSV; by default what FILE's name says.")
@click.option("--dry-run", is_flag=True, help="Check everything, write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, for scripts.")
@in_table
def import_directory(  # noqa: PLR0913 - options
    table: Table, file: str, workspace_id: str, format_name: str | None, *, dry_run: bool, as_json: bool
) -> None:
    """Import FILE, JSON Lines or CSV, `-` for standard input: rows as the API writes these resources.

    Systems come before what is in them.  A bad row is a line on standard error (FILE:LINE: FIELD: REASON), the good
    ones go in; the exit status is then 1.  Importing a file again changes nothing, and goes on where an import was
    interrupted.
    """
    file_format = _format(format_name, file, f"name the format of {_printable(file)}: --format jsonl or csv")
    counts: Counter[Outcome] = Counter()
    with _opened(file) as stream:
        size, created_at = _size_and_time(stream)
        rows = map(read_row, read_rows(stream, file_format))
        results = import_rows(table, workspace_id, rows, created_at, dry_run=dry_run)
        try:
            _follow(results, counts, file, size)
        except BadHeader as error:
            raise failed(f"{_printable(file)}:1: {error}") from error
        except (*AWS_ERRORS, OSError, sqlite3.Error, KeyboardInterrupt) as error:
            why = "interrupted" if isinstance(error, KeyboardInterrupt) else reason_of(error)
            if as_json:
                click.echo(_json(counts, dry_run=dry_run, is_complete=False))
            raise failed(f"{str(why).rstrip('.')}; until then {_text(counts)}; import it again to go on") from error
    if as_json:
        click.echo(_json(counts, dry_run=dry_run, is_complete=True))
    else:
        click.echo(f"{'Dry run, nothing was written: ' if dry_run else ''}{_text(counts)}.")
    if counts[Outcome.BAD]:
        click.get_current_context().exit(1)


@directory.command("check")
@click.option("--workspace-id", type=Uuid(), required=True, help="The workspace.")
@click.option("--mend", is_flag=True, help="Put right what needs no person's decision.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, for scripts.")
@in_table
def check_directory(table: Table, workspace_id: str, *, mend: bool, as_json: bool) -> None:
    """Find entries that stand for nothing or are missing, and links that are not whole.

    Each finding is a line; the exit status is 1 if one is left. The workspace may be in use meanwhile. The whole table
    is read, which costs what a scan costs.
    """
    counts: Counter[str] = Counter(mended=0, left=0)
    # What was in the way of putting one thing right may be right now.
    for _ in range(_MOST_PASSES if mend else 1):
        counts["left"], before = 0, counts["mended"]
        for finding in check(table, workspace_id, mend=mend):
            counts["mended" if finding.is_mended else "left"] += 1
            done = " (mended)" if finding.is_mended else ""
            click.echo(f"{finding.about}: {finding.problem}{done}", err=True)
        if counts["mended"] == before:
            break
    if as_json:
        click.echo(json.dumps(dict(counts)))
    elif counts.total():
        click.echo(f"{counts['mended']:,} mended, {counts['left']:,} left.")
    else:
        click.echo("Nothing is wrong.")
    if counts["left"]:
        click.get_current_context().exit(1)


@directory.command("export")
@click.option("--workspace-id", type=Uuid(), required=True, help="The workspace.")
@click.option(
    "-o", "--output", default=_STANDARD_STREAM, type=click.Path(dir_okay=False, allow_dash=True), help="The file."
)
@click.option(
    "--format", "format_name", type=_FORMATS, help="JSON Lines or CSV; by default what the file's name says, or jsonl."
)
@click.option(
    "--kind", "kind_names", type=click.Choice(list(KINDS)), multiple=True, help="Only this kind; can be repeated."
)
@in_table
def export_directory(
    table: Table, workspace_id: str, output: str, format_name: str | None, kind_names: Sequence[str]
) -> None:
    """Export systems, then pools, then ACS users, so that the file can be imported as it is."""
    file_format = Format(format_name) if format_name else format_of(output) or Format.JSONL
    kinds = [KINDS[name] for name in KINDS if name in kind_names or not kind_names]
    with _written(output) as stream:
        write_rows(stream, file_format, export_resources(table, workspace_id, kinds), kinds)


def _format(format_name: str | None, file: str, otherwise: str) -> Format:
    file_format = Format(format_name) if format_name else format_of(file)
    if file_format is None:
        raise click.UsageError(otherwise)
    return file_format


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == _STANDARD_STREAM:
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as stream:
        yield stream


def _size_and_time(stream: BinaryIO) -> tuple[int, str]:
    """Return a file's size in bytes and when it was changed; of what is no file, 0 and the present moment."""
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        status = None
    if status is None or not stat.S_ISREG(status.st_mode):
        return 0, timestamp(datetime.now(UTC))
    return status.st_size, timestamp(datetime.fromtimestamp(status.st_mtime, UTC))


def _follow(results: Iterator[Result], counts: Counter[Outcome], file: str, size: int) -> None:
    is_shown = bool(size) and sys.stderr.isatty()
    with click.progressbar(length=size, label="Importing", file=sys.stderr, hidden=not is_shown) as progress:
        for result in results:
            counts[result.outcome] += 1
            for field, reason in result.problems:
                line = f"{file}:{result.line}: {field or 'row'}: {reason}"
                click.echo(f"{_ERASE_LINE if is_shown else ''}{_printable(line)}", err=True)
            progress.update(result.end - progress.pos)


def _printable(text: str) -> str:
    """Return a text that says to a terminal nothing but itself."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def _text(counts: Counter[Outcome]) -> str:
    rows = counts.total()
    parts = ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in Outcome)
    return f"{rows:,} {'row' if rows == 1 else 'rows'}: {parts}"


def _json(counts: Counter[Outcome], *, dry_run: bool, is_complete: bool) -> str:
    numbers = {outcome.value: counts[outcome] for outcome in Outcome}
    return json.dumps({"rows": counts.total(), **numbers, "dry_run": dry_run, "is_complete": is_complete})


@contextmanager
def _written(output: str) -> Iterator[BinaryIO]:
    """Open what is to be written; a file is there when it is whole, and else as it was."""
    try:
        with _replaced(output) as stream:
            yield stream
    except OSError as error:
        if error.errno == errno.EPIPE:  # whoever reads has seen enough, which click knows
            raise
        raise failed(f"{_printable(output)}: {error.strerror}") from error


@contextmanager
def _replaced(output: str) -> Iterator[BinaryIO]:
    if output == _STANDARD_STREAM:
        yield sys.stdout.buffer
        return
    path = Path(output).resolve()
    if path.exists() and not path.is_file():  # a pipe or a device
        with path.open("wb") as stream:
            yield stream
        return
    # Names and addresses of people: it stays its owner's, as a temporary file is.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor has no path
            yield stream
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
