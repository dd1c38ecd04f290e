"""``enrollments directory``: import, export, check and delete ACS systems, credential pools and ACS users."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click

from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollments.directory.checking import check
from enrollments.directory.decoding import refuse_other_formats
from enrollments.directory.deleting import delete_pool, delete_system
from enrollments.directory.exporting import export_resources
from enrollments.directory.files import Format, format_of, read_rows, write_rows
from enrollments.directory.importing import Outcome, import_rows
from enrollments.directory.rows import KINDS, read_row
from enrollments.directory.unused import UnusedNames
from enrollments.files import (
    STANDARD_STREAM,
    BadFile,
    file_status,
    opened,
    printable,
    progress_of,
    refuse_file,
    replacing,
)
from enrollments.imports import Messages, Summary
from enrollments.target import in_workspace

_FORMATS = click.Choice([file_format.value for file_format in Format])
_MOST_PASSES = 3
_HEAD_BYTES = 128
# Names with these ends promise formats that an export cannot write.
_OTHER_SUFFIXES = frozenset({".gz", ".ods", ".xls", ".xlsx", ".zip"})


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
@click.option("--format", "format_name", type=_FORMATS, help="JSON Lines or CSV. The default depends on FILE's name.")
@click.option("--dry-run", is_flag=True, help="Check everything, write nothing.")
@click.option("--strict", is_flag=True, help="Refuse a file or a row with an unused property.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, for scripts.")
@in_workspace
def import_directory(  # noqa: PLR0913 - options
    table: Table,
    file: str,
    workspace_id: str,
    format_name: str | None,
    *,
    dry_run: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Import FILE: JSON Lines or CSV, with the properties of the API's resources.  `-` is standard input.

    A system must come before its pools and ACS users.  A workspace_id in a row is ignored.  A property that a row does
    not name keeps its value; null or an empty cell removes the value.  Good rows are imported.  Each bad row gets a
    line on standard error (FILE:LINE: FIELD: REASON), and the exit status is then 1.  Importing a file again changes
    nothing.  To resume an interrupted import, run it again.
    """
    file_format = _format_of_import(format_name, file)
    summary = Summary("row", Outcome, is_dry_run=dry_run, removed_values=0)
    with opened(file) as stream, progress_of(stream) as advance:
        messages = Messages(file, advance)
        unused = UnusedNames(messages.warn, strict=strict)
        rows = unused.in_rows(map(read_row, read_rows(stream, file_format, unused.in_header)))
        with summary.of_import(file, "import the file again", as_json=as_json):
            for result in import_rows(table, workspace_id, rows, _time_of(stream), dry_run=dry_run):
                summary.add(result.outcome, removed=result.removed)
                messages.show(result)
    summary.print(as_json=as_json)
    if summary.counts[Outcome.BAD]:
        click.get_current_context().exit(1)


@directory.command("check")
@click.option("--mend", is_flag=True, help="Mend the findings that need no decision of a person.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, for scripts.")
@in_workspace
def check_directory(table: Table, workspace_id: str, *, mend: bool, as_json: bool) -> None:
    """Find needless and missing entries, and incomplete links.

    Each finding is a line. If findings are left, the exit status is 1. The workspace may be in use meanwhile. The
    command scans the whole table, and a scan of a large table costs money.
    """
    counts: Counter[str] = Counter(mended=0, left=0)
    # Mending one finding can make another one mendable.
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
@click.option(
    "-o", "--output", default=STANDARD_STREAM, type=click.Path(dir_okay=False, allow_dash=True), help="The file."
)
@click.option(
    "--format",
    "format_name",
    type=_FORMATS,
    help="JSON Lines or CSV. The default depends on the file's name, else it is jsonl.",
)
@click.option(
    "--kind",
    "kind_names",
    type=click.Choice(list(KINDS)),
    multiple=True,
    help="Export only this kind. Can be repeated.",
)
@in_workspace
def export_directory(
    table: Table, workspace_id: str, output: str, format_name: str | None, kind_names: Sequence[str]
) -> None:
    """Export systems, then pools, then ACS users.  The file can be imported unchanged."""
    if not format_name and Path(output).suffix.lower() in _OTHER_SUFFIXES:
        raise click.UsageError(f"{printable(output)}: an export is JSON Lines or CSV; name it .jsonl or .csv")
    file_format = Format(format_name) if format_name else format_of(output) or Format.JSONL
    kinds = [KINDS[name] for name in KINDS if name in kind_names or not kind_names]
    with replacing(output) as stream:
        write_rows(stream, file_format, export_resources(table, workspace_id, kinds), kinds)


directory.add_command(delete_system)
directory.add_command(delete_pool)


def _format_of_import(format_name: str | None, file: str) -> Format:
    file_format = Format(format_name) if format_name else format_of(file)
    if file_format is not None:
        return file_format
    if Path(file).is_file():
        with Path(file).open("rb") as stream:
            try:
                refuse_other_formats(stream.read(_HEAD_BYTES))
            except BadFile as error:
                refuse_file(file, error)
    raise click.UsageError(f"name the format of {printable(file)}: --format jsonl or csv")


def _time_of(stream: BinaryIO) -> str:
    """Return the time of a file's last change; for a pipe or a device, the present time."""
    status = file_status(stream)
    return timestamp(datetime.now(UTC) if status is None else datetime.fromtimestamp(status.st_mtime, UTC))
