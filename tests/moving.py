"""Workspaces that are exported and imported, in tables in memory."""

import io
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from enrollment.store.attributes import Item
from enrollment.store.keys import Key, workspace_prefix
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.workspaces import show
from enrollments.moving.exporting import export_records
from enrollments.moving.files import check_file, read_lines, write_file
from enrollments.moving.importing import Result, import_lines
from enrollments.moving.planning import Terms
from enrollments.moving.records import FORMAT, Head
from enrollments.moving.workspace import prepare_workspace

EXPORTED_AT = "2026-01-31T12:00:00.000Z"


def exported(table: Table, workspace_id: str) -> bytes:
    """Return the file of a workspace, as if it was exported at the same moment each time."""
    workspace = show(table, workspace_id)
    assert workspace is not None
    head = Head(format=FORMAT, exported_at=EXPORTED_AT, **workspace._asdict())
    stream = io.BytesIO()
    write_file(stream, head, export_records(table, workspace_id, is_sandbox=workspace.is_sandbox), lambda _: None)
    return stream.getvalue()


def imported(
    table: Table,
    content: bytes,
    *,
    is_deletion_over: bool = False,
    is_dry_run: bool = False,
    is_replacing: bool = False,
) -> list[Result]:
    """Import a file, and return the results of its records."""
    stream = io.BytesIO(content)
    head = check_file(stream)
    stream.seek(0)
    guarded = prepare_workspace(table, head, lambda _: None, is_deletion_over=is_deletion_over, is_dry_run=is_dry_run)
    terms = Terms(timestamp(datetime.now(UTC)), is_replacing=is_replacing, is_dry_run=is_dry_run)
    return list(import_lines(guarded, head.workspace_id, read_lines(stream), terms))


def records_in(content: bytes) -> list[dict[str, Any]]:
    """Return the lines of a file."""
    return [json.loads(line) for line in content.splitlines()]


def file_of(records: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the file with these lines."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def changed(content: bytes, kind: str, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return a file in which the records of a kind are changed."""
    records = records_in(content)
    for record in records:
        if record["type"] == kind:
            change(record)
    return file_of(records)


def outside_of(workspace_id: str, items: Mapping[Key, Item]) -> dict[Key, Item]:
    """Return all that is not a workspace's own."""
    return {key: item for key, item in items.items() if not key.pk.startswith(workspace_prefix(workspace_id))}
