"""``enrollments workspaces``: create, list, show, rename and adopt workspaces."""

import json
import sys
from collections.abc import Container, Iterable, Sequence

import click

from enrollment.callers import TokenKind
from enrollment.store.table import Table
from enrollment.use_cases import workspaces as use_cases
from enrollment.use_cases.deleted_workspaces import deletions_of, is_not_deleted
from enrollment.use_cases.tokens import NewToken, create_token
from enrollment.use_cases.workspaces import StoredWorkspace
from enrollments.deleting import delete, prove_deleted
from enrollments.moving.commands import export_workspace, import_workspace
from enrollments.reasons import minute
from enrollments.target import Uuid, in_table, require_workspaces
from enrollments.texts import in_columns, is_at_terminal

_NAME_OF_FIRST_KEY = "First key"


@click.group()
def workspaces() -> None:
    """Create, list, show, rename, adopt, move and delete workspaces.

    For example:

    \b
    enrollments workspaces create --stack-name enrollment-automations --with-key "Main Street"
    enrollments workspaces list --stack-name enrollment-automations
    """  # noqa: D301 - click's mark for lines to keep


@workspaces.command()
@click.argument("name")
@click.option("--sandbox", is_flag=True, help="Make it a sandbox, for trying things out.")
@click.option("--with-key", is_flag=True, help="Issue a first API key, too, and print it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@in_table
def create(table: Table, name: str, *, sandbox: bool, with_key: bool, as_json: bool) -> None:
    """Create the workspace NAME and print its ID.

    A key cannot be printed again, because only its hash is stored.
    """
    created = use_cases.create(table, name, is_sandbox=sandbox)
    key = None
    if with_key:
        new = NewToken(TokenKind.API_KEY, [created.workspace_id], name=_NAME_OF_FIRST_KEY, is_sandbox=sandbox)
        key = create_token(table, new)
    if as_json:
        click.echo(json.dumps(created._asdict() | ({} if key is None else {"token": key})))
        return
    click.echo(created.workspace_id)
    if key is not None:
        click.echo(key)
        if sys.stdout.isatty():
            click.echo("Keep the key: it is not shown again.", err=True)


@workspaces.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@in_table
def list_(table: Table, *, as_json: bool) -> None:
    """List workspaces, oldest first."""
    found = use_cases.list_all(table)
    being_deleted = deletions_of(table, [one.workspace_id for one in found])
    _print(found, being_deleted, as_json=as_json)


@workspaces.command()
@click.argument("workspace_id", type=Uuid())
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@in_table
def show(table: Table, workspace_id: str, *, as_json: bool) -> None:
    """Show the workspace WORKSPACE_ID."""
    require_workspaces(table, [workspace_id])
    found = use_cases.show(table, workspace_id)
    if found is None:  # it was deleted between the two reads
        require_workspaces(table, [workspace_id])
        return
    if as_json:
        click.echo(json.dumps(found._asdict()))
    else:
        _print([found], (), as_json=False)


@workspaces.command()
@click.argument("workspace_id", type=Uuid())
@click.argument("name")
@in_table
def rename(table: Table, workspace_id: str, name: str) -> None:
    """Rename the workspace WORKSPACE_ID to NAME."""
    use_cases.rename(require_workspaces(table, [workspace_id]), workspace_id, name)
    click.echo(f"{workspace_id} is called {name}.")


@workspaces.command()
@click.option("--sandbox", "sandboxes", type=Uuid(), multiple=True, help="A workspace that is a sandbox. Repeatable.")
@click.option("--yes", is_flag=True, help="Ask nothing: what is not named as a sandbox is none.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts. It needs --yes.")
@in_table
def adopt(table: Table, sandboxes: Sequence[str], *, yes: bool, as_json: bool) -> None:
    """Adopt the workspaces of older releases, which knew a workspace by its ID only.

    They are found by tokens and by what is stored. The command asks of each whether it is a sandbox. The name of an
    adopted workspace is its ID, until it is renamed. The command can be repeated. It scans the whole table, and a scan
    of a large table costs money.
    """
    if not yes and (as_json or not is_at_terminal()):
        raise click.UsageError("there is no terminal to ask at: add --yes, and --sandbox ID for each sandbox")
    found = use_cases.find_unadopted(table)
    deleted = deletions_of(table, found)
    found = [one for one in found if one not in deleted]
    _refuse_others(sandboxes, found)
    adopted = []
    for workspace_id in found:
        is_sandbox = workspace_id in sandboxes or (
            not yes and click.confirm(f"Is workspace {workspace_id} a sandbox?", default=False, err=True)
        )
        use_cases.adopt(table.guarded_by(is_not_deleted(workspace_id)), workspace_id, is_sandbox=is_sandbox)
        adopted.append({"workspace_id": workspace_id, "is_sandbox": is_sandbox})
        if not as_json:
            click.echo(f"{workspace_id} is adopted{' as a sandbox' if is_sandbox else ''}.")
    if as_json:
        click.echo(json.dumps(adopted))
    elif not adopted:
        click.echo("Nothing is to be adopted.", err=True)


workspaces.add_command(delete)
workspaces.add_command(prove_deleted)
workspaces.add_command(export_workspace)
workspaces.add_command(import_workspace)


def _refuse_others(sandboxes: Iterable[str], found: Sequence[str]) -> None:
    for workspace_id in sandboxes:
        if workspace_id not in found:
            raise click.ClickException(f"{workspace_id} is no workspace that is to be adopted")


def _print(found: Sequence[StoredWorkspace], being_deleted: Container[str], *, as_json: bool) -> None:
    if as_json:
        told = [{**one._asdict(), "is_being_deleted": one.workspace_id in being_deleted} for one in found]
        click.echo(json.dumps(told))
        return
    if not found:
        click.echo("No workspaces.", err=True)
        return
    rows = [
        (
            one.workspace_id,
            "sandbox" if one.is_sandbox else "production",
            "being deleted" if one.workspace_id in being_deleted else "in use",
            minute(one.created_at),
            one.name,
        )
        for one in found
    ]
    for line in in_columns([("ID", "KIND", "STATE", "CREATED", "NAME"), *rows]):
        click.echo(line)
