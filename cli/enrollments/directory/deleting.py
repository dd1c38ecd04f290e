"""``enrollments directory delete-system`` and ``delete-pool``: systems and pools that nothing depends on."""

import json
from collections.abc import Callable

import click

from enrollment.store.table import Table
from enrollment.use_cases import waits
from enrollment.use_cases.retirement import (
    ChangedMeanwhileError,
    Dependants,
    HasDependantsError,
    Kind,
    NotFoundError,
    Step,
    Thing,
    delete_unused,
)
from enrollments.failure import CommandFailed
from enrollments.target import Uuid, in_workspace
from enrollments.texts import is_at_terminal

_STEPS = {
    Step.LOOK: "Looking in all of the workspace for what depends on it.",
    Step.WAIT: "It is retired: launches refuse it. Waiting {} s for requests that still know it.",
    Step.LOOK_AGAIN: "Looking again for what depends on it.",
    Step.DELETE: "Nothing depends on it. Deleting it.",
}
# What to do about each kind, if that is not to delete it by the API.
_WHAT_TO_DO = {
    Kind.POOL: "`enrollments directory delete-pool` deletes one",
    Kind.CONNECTOR: "`enrollments connectors remove` removes it",
    Kind.SYSTEM: "import them with another one",
    Kind.REGISTRATION: "deactivate the phones, and wait until the credential manager has given them back",
    Kind.ENROLLMENT: "wait until the credential manager has given back everything of theirs",
    Kind.ENTRY: "`enrollments directory check --mend` deletes those that are needless",
}


def _options(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts. It needs --yes.")(command)
    return click.option("--yes", is_flag=True, help="Ask nothing.")(command)


@click.command("delete-system")
@click.argument("acs_system_id", type=Uuid())
@_options
@in_workspace
def delete_system(table: Table, workspace_id: str, acs_system_id: str, *, yes: bool, as_json: bool) -> None:
    """Delete the ACS system ACS_SYSTEM_ID, if nothing depends on it.

    What depends on it is listed, and then nothing is deleted: automations, ACS users, pools, credentials, phones that
    are registered with it, its connector, and other systems that name it. The command reads the whole table twice, and
    waits two minutes in between. To finish an interrupted deletion, run the command again.
    """
    _delete(table, Thing.system(workspace_id, acs_system_id), "ACS system", yes=yes, as_json=as_json)


@click.command("delete-pool")
@click.argument("acs_credential_pool_id", type=Uuid())
@_options
@in_workspace
def delete_pool(table: Table, workspace_id: str, acs_credential_pool_id: str, *, yes: bool, as_json: bool) -> None:
    """Delete the credential pool ACS_CREDENTIAL_POOL_ID, if nothing depends on it.

    What depends on it is listed, and then nothing is deleted: automations that were launched with it, and credentials
    from it. The command reads the whole table twice, and waits two minutes in between. To finish an interrupted
    deletion, run the command again.
    """
    _delete(table, Thing.pool(workspace_id, acs_credential_pool_id), "credential pool", yes=yes, as_json=as_json)


def _delete(table: Table, thing: Thing, noun: str, *, yes: bool, as_json: bool) -> None:
    if not yes:
        if as_json or not is_at_terminal():
            raise click.UsageError(f"there is no terminal to ask at; add --yes to delete the {noun} without a question")
        click.confirm(f"Delete the {noun} {thing.id} for good?", abort=True, err=True)
    try:
        delete_unused(table, thing, _tell, waits.CLOCK)
    except NotFoundError as error:
        raise CommandFailed(
            f"there is no {noun} {thing.id} in the workspace, or no longer; `enrollments directory export` lists all"
        ) from error
    except HasDependantsError as error:
        _print_dependants(thing, error.dependants, as_json=as_json)
        raise CommandFailed(f"the {noun} {thing.id} is in use, so it was not deleted") from error
    except ChangedMeanwhileError as error:
        raise CommandFailed(f"others change the {noun} {thing.id}; run the command again") from error
    except KeyboardInterrupt as error:
        raise CommandFailed("interrupted; to finish the deletion, run the command again") from error
    if as_json:
        click.echo(json.dumps({"id": thing.id, "is_deleted": True, "dependants": {}}))
    else:
        click.echo(f"The {noun} {thing.id} is deleted.")


def _tell(step: Step, seconds: int) -> None:
    click.echo(_STEPS[step].format(seconds), err=True)


def _print_dependants(thing: Thing, dependants: Dependants, *, as_json: bool) -> None:
    if as_json:
        counts = dependants.counts.items()
        told = {kind.name.lower(): {"count": count, "ids": dependants.ids[kind]} for kind, count in counts}
        click.echo(json.dumps({"id": thing.id, "is_deleted": False, "dependants": told}))
        return
    for kind, count in sorted(dependants.counts.items()):
        named = [one for one in dependants.ids[kind] if one]
        ids = f" ({', '.join(named)}{', …' if count > len(named) else ''})" if named else ""
        what = f"; {_WHAT_TO_DO[kind]}" if kind in _WHAT_TO_DO else ""
        click.echo(f"{kind}: {count:,}{ids}{what}", err=True)
