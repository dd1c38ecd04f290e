"""``enrollments user-identities prove-deleted``: the proof that a person was forgotten."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.person_deletion import Left, Trace, traces_of_person
from enrollments.deleting import parameters_of_command, shown_key, what_stays
from enrollments.failure import CommandFailed
from enrollments.reasons import moment
from enrollments.target import Uuid, in_workspace

_MOST_SHOWN = 20


@click.group("user-identities")
def user_identities() -> None:
    """Prove that a user identity was deleted."""


@user_identities.command("prove-deleted")
@click.argument("user_identity_id", type=Uuid())
@click.option(
    "--text",
    "texts",
    multiple=True,
    help="What else may not be there, for example the person's email address. Can be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@in_workspace
def prove_deleted(
    table: Table, workspace_id: str, *, user_identity_id: str, texts: Sequence[str], as_json: bool
) -> None:
    """Prove that nothing is left of the user identity USER_IDENTITY_ID, which /user_identities/delete has deleted.

    The command reads the whole table. Events stay until they end by themselves, and have ids only. If anything else is
    left, the exit status is 1.
    """
    found: Counter[Left] = Counter()
    shown: defaultdict[Left, list[Trace]] = defaultdict(list)
    last_end = 0
    for trace in traces_of_person(table, workspace_id, user_identity_id, [text.lower() for text in texts]):
        found[trace.left] += 1
        last_end = max(last_end, trace.ends_at or 0)
        if len(shown[trace.left]) < _MOST_SHOWN:
            shown[trace.left].append(trace)
    ends_at = timestamp(datetime.fromtimestamp(last_end, UTC)) if last_end else None
    if as_json:
        click.echo(json.dumps({**{left: found[left] for left in Left}, "events_end_at": ends_at}))
    _raise_if_left(user_identity_id, shown)
    if as_json:
        return
    click.echo(f"A scan of the whole table finds nothing of user identity {user_identity_id} that is its own.")
    if found[Left.EVENT]:
        click.echo(f"{found[Left.EVENT]:,} events name its ID until they end, the last of them {moment(ends_at)}.")
    click.echo(what_stays(parameters_of_command()))


def _raise_if_left(user_identity_id: str, shown: Mapping[Left, Sequence[Trace]]) -> None:
    """Print the keys of what is left for good.

    Raises:
        CommandFailed: Something is left; the message says what to do.
    """
    if shown[Left.ITSELF]:
        raise CommandFailed(f"user identity {user_identity_id} is not deleted: call /user_identities/delete (again)")
    if at_managers := shown[Left.AT_MANAGER]:
        managers = sorted({one.acs_system_id for one in at_managers if one.acs_system_id is not None})
        if not managers:
            raise CommandFailed("a phone without an enrollment is left; `enrollments directory check --mend` mends it")
        raise CommandFailed(
            f"credential managers have not given everything back yet: {', '.join(managers)}; `enrollments phones` says "
            "why, then run the command again"
        )
    for trace in [*shown[Left.OTHER], *shown[Left.TEXT]]:
        click.echo(f"left: {shown_key(trace.key)}", err=True)
    if shown[Left.OTHER]:
        raise CommandFailed(
            "items that name it are left; `enrollments directory check --mend` deletes what is needless"
        )
    if shown[Left.TEXT]:
        raise CommandFailed("items with that text are left, which can be of somebody else")
