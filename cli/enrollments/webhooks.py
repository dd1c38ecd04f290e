"""``enrollments webhooks``: what an operator sees of webhooks."""

import json

import click

from enrollment.store.attributes import Item, elements
from enrollment.store.keys import webhook_key
from enrollment.store.table import Table
from enrollments.reasons import moment
from enrollments.target import in_workspace

# What a webhook has only while its deliveries fail, and what it means; see `use_cases.webhook_items`.
_STATES = {
    "failing_since": "failing since",
    "breaker_opened_at": "events held since",
    "switched_off_at": "switched off since",
}


@click.group()
def webhooks() -> None:
    """Where events are delivered, and what fails."""


@webhooks.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@in_workspace
def list_(table: Table, workspace_id: str, *, as_json: bool) -> None:
    """List the webhooks of a workspace, oldest first, without their secrets.

    Of a webhook that fails, the list says since when. While its events are held, its address gets only one attempt now
    and then. One that is switched off gets none, until /webhooks/update switches it on again.
    """
    found = sorted(table.query(webhook_key(workspace_id, "").pk), key=lambda item: str(item["created_at"]))
    if as_json:
        click.echo(json.dumps([_shown(item) for item in found]))
        return
    if not found:
        click.echo("No webhooks.", err=True)
    for item in found:
        types = "all events" if "*" in elements(item["event_types"]) else ",".join(elements(item["event_types"]))
        click.echo(f"{item['webhook_id']}  {_state(item)}  {item['url']}  {types}")


def _shown(item: Item) -> dict[str, object]:
    known = {"webhook_id": item["webhook_id"], "url": item["url"], "created_at": item["created_at"]}
    return {**known, "event_types": elements(item["event_types"]), **{name: item.get(name) for name in _STATES}}


def _state(item: Item) -> str:
    return ", ".join(f"{text} {moment(item[name])}" for name, text in _STATES.items() if name in item) or "good"
