"""``enrollments webhooks``: what an operator sees of webhooks."""

import json

import click

from enrollment.store.attributes import elements
from enrollment.store.keys import webhook_key
from enrollment.store.table import Table
from enrollments.target import in_table, in_workspace


@click.group()
def webhooks() -> None:
    """Where events are delivered, and what fails."""


@webhooks.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@in_workspace
@in_table
def list_(table: Table, workspace_id: str, *, as_json: bool) -> None:
    """List the webhooks of a workspace, oldest first, without their secrets."""
    found = sorted(table.query(webhook_key(workspace_id, "").pk), key=lambda item: str(item["created_at"]))
    rows = [
        {
            "webhook_id": str(item["webhook_id"]),
            "state": _state(item),
            "failing_since": str(item.get("failing_since", "")),
            "url": str(item["url"]),
            "event_types": elements(item["event_types"]),
        }
        for item in found
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo("No webhooks.", err=True)
    for row in rows:
        since = f" since {row['failing_since']}" if row["failing_since"] else ""
        click.echo(f"{row['webhook_id']}  {row['state']}{since}  {row['url']}  {','.join(row['event_types'])}")


def _state(item: object) -> str:
    names = item if isinstance(item, dict) else {}
    if "switched_off_at" in names:
        return "switched off, failing"
    if "breaker_opened_at" in names:
        return "held, failing"
    return "failing" if "failing_since" in names else "good"
