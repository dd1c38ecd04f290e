"""``enrollments phones`` and ``enrollments credentials``: what waits, why, since when, and until when."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import wraps
from typing import Any, NamedTuple

import click

from enrollment.store.keys import phones_partition
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.enrollments import View, read_view
from enrollment.use_cases.standing_still import People, people_of_one, people_of_workspace
from enrollment.use_cases.waiting import Waiting, phones_without_automation, waiting_credentials, waiting_phones
from enrollments.reasons import more_of, sentence_of
from enrollments.target import Uuid, in_workspace

type Command = Callable[..., None]


class _Wish(NamedTuple):
    """What is to be shown, and how."""

    shows_all: bool
    acs_system_id: str | None
    user_identity_id: str | None
    as_json: bool


def _narrowed(command: Command) -> Command:
    """Add the options that choose what is shown, and how."""

    @click.option("--all", "shows_all", is_flag=True, help="Show what does not wait, too.")
    @click.option("--acs-system-id", type=Uuid(), help="Only at this credential manager.")
    @click.option("--user-identity-id", type=Uuid(), help="Only this person's. This does not read the whole table.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
    @wraps(command)
    def with_wish(**options: Any) -> None:
        wish = _Wish(*(options.pop(name) for name in _Wish._fields))
        command(wish=wish, **options)

    return with_wish


@click.command()
@_narrowed
@in_workspace
def phones(table: Table, workspace_id: str, *, wish: _Wish) -> None:
    """Show the phones of a workspace that wait at a credential manager: why, since when, and when they are looked at.

    A line is a user identity, a phone, a credential manager, how the phone stands there, and why it waits. It reads
    the whole table, unless --user-identity-id names a person.
    """
    people = _people(table, workspace_id, wish.user_identity_id)
    found = [row for view in _views(table, people, wish.acs_system_id) for row in waiting_phones(view, _now())]
    if wish.acs_system_id is None:
        for one in people.without_enrollment:
            items = table.query(phones_partition(workspace_id, one), "PHONE#", "PHONE#\uffff")
            found += phones_without_automation(one, items)
    _print(found, ("user_identity_id", "device_id", "acs_system_id"), "phone", wish)


@click.command()
@_narrowed
@in_workspace
def credentials(table: Table, workspace_id: str, *, wish: _Wish) -> None:
    """Show the credentials of phones that wait at a credential manager: why, since when, and when they are looked at.

    A line is a user identity, a phone, a credential manager, the phone's credential, what it comes from (a credential
    of the person, or a pool), how it stands, and why it waits. A dash stands for what there is not yet. It reads the
    whole table, unless --user-identity-id names a person.
    """
    people = _people(table, workspace_id, wish.user_identity_id)
    found = [row for view in _views(table, people, wish.acs_system_id) for row in waiting_credentials(view, _now())]
    names = ("user_identity_id", "device_id", "acs_system_id", "acs_credential_id", "source_id")
    _print(found, names, "credential", wish)


def _people(table: Table, workspace_id: str, user_identity_id: str | None) -> People:
    if user_identity_id is None:
        return people_of_workspace(table, workspace_id)
    return people_of_one(table, workspace_id, user_identity_id)


def _views(table: Table, people: People, acs_system_id: str | None) -> Iterator[View]:
    for enrollment_id in people.enrollments:
        if acs_system_id in {None, enrollment_id.manager_id}:
            yield read_view(table, enrollment_id)


def _now() -> str:
    return timestamp(datetime.now(UTC))


def _print(found: Iterable[Waiting], names: tuple[str, ...], kind: str, wish: _Wish) -> None:
    shown = [row for row in found if wish.shows_all or row.why is not None]
    if wish.as_json:
        click.echo(json.dumps([{**asdict(row), "message": more_of(row)} for row in shown]))
        return
    for row in shown:
        known = {**asdict(row), "source_id": row.parent_acs_credential_id or row.acs_credential_pool_id}
        click.echo("  ".join([*(str(known[name] or "-") for name in names), row.state, sentence_of(row)]))
    if not shown:
        click.echo(f"No {kind}s." if wish.shows_all else f"No {kind} waits.", err=True)
