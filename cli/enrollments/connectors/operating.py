"""``enrollments connectors set``, ``show``, ``rotate``, ``remove``, ``pause`` and ``resume``."""

import ipaddress
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

import click

from enrollment.secrets import connector_secret
from enrollment.store.attributes import Item
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases.connector_items import OF_ADDRESS, ConnectorId, former_secrets
from enrollment.use_cases.connectors import (
    ConnectorRefusedError,
    SetConnector,
    StoredConnector,
    connectors_of_workspace,
    pause_connector,
    read_connector,
    remove_connector,
    resume_connector,
    rotate_secret,
    set_connector,
)
from enrollment.use_cases.pauses import PauseReason
from enrollment.use_cases.standing_still import have_all_go_on
from enrollments.failure import CommandFailed
from enrollments.master_secrets import OF_CONNECTORS, ReadSecret, with_secret
from enrollments.reasons import moment, why_paused, why_unanswered
from enrollments.target import Uuid, in_workspace

_TOLD_EVERY = 500
_LONGEST_OVERLAP_HOURS = 24 * 30

type Command = Callable[..., None]


def _telling_refusals(command: Command) -> Command:
    """End a command in one line if what it is to do is refused."""

    @wraps(command)
    def with_refusals(**options: Any) -> None:
        try:
            command(**options)
        except ConnectorRefusedError as error:
            raise CommandFailed(error) from error

    return with_refusals


@click.command("set")
@click.argument("acs_system_id", type=Uuid())
@click.argument("url")
@with_secret(OF_CONNECTORS)
@in_workspace
@_telling_refusals
def set_(table: Table, workspace_id: str, *, read_secret: ReadSecret, acs_system_id: str, url: str) -> None:
    """Give the credential manager ACS_SYSTEM_ID the connector at URL, and print its signing secret.

    URL is an https address on the public internet. If the credential manager has a connector already, that gets this
    address and keeps its secret. The same URL once more prints the secret again, and has the connector asked at once.
    A connector that has too much to do, and has the same URL, is asked when its pause ends: after an hour at most.

    The command can be repeated, also after it was interrupted. It reads the whole table, to have those enrollments
    looked at again that have something to do or wait.
    """
    master = read_secret()  # first, so that nothing is set whose secret cannot be told
    connector_id = ConnectorId(workspace_id, acs_system_id)
    done = set_connector(table, connector_id, url, on_loopback=_is_on_this_machine(table), now=_now())
    click.echo(_what_was_set(done), err=True)
    _print_secret(master, connector_id, done.secret_version)
    if done.is_paused:
        click.echo("An operator has paused it, so nothing is asked until: enrollments connectors resume", err=True)
        return
    _tell_when_it_is_asked(done.busy_until)
    _have_go_on(table, connector_id)


@click.command()
@click.argument("acs_system_id", type=Uuid(), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@in_workspace
@_telling_refusals
def show(table: Table, workspace_id: str, *, acs_system_id: str | None, as_json: bool) -> None:
    """Show the connector of the credential manager ACS_SYSTEM_ID, or all of the workspace.

    The signing secrets are not shown, only how old they are.
    """
    if acs_system_id is None:
        found = connectors_of_workspace(table, workspace_id)
    else:
        found = [read_connector(table, ConnectorId(workspace_id, acs_system_id))]
    now = timestamp(_now())
    if as_json:
        click.echo(json.dumps([_as_json(one, now) for one in found]))
        return
    if not found:
        click.echo("No connectors.", err=True)
    click.echo("\n\n".join("\n".join(_lines(one, now)) for one in found), nl=bool(found))


@click.command()
@click.argument("acs_system_id", type=Uuid())
@click.option(
    "--overlap",
    type=click.IntRange(1, _LONGEST_OVERLAP_HOURS),
    metavar="HOURS",
    help="For how many hours requests are signed with the former secret, too.  [default: 24]",
)
@click.option("--at-once", is_flag=True, help="End all former secrets now, because one has leaked.")
@with_secret(OF_CONNECTORS)
@in_workspace
@_telling_refusals
def rotate(  # noqa: PLR0913 - options
    table: Table,
    workspace_id: str,
    *,
    read_secret: ReadSecret,
    acs_system_id: str,
    overlap: int | None,
    at_once: bool,
) -> None:
    """Give the connector of the credential manager ACS_SYSTEM_ID another signing secret, and print it.

    Until the overlap ends, each request has a signature by the former secret, too. So no request is lost if the
    connector's owner puts the new secret in place meanwhile.
    """
    if at_once and overlap is not None:
        raise click.UsageError("--at-once leaves no time for an --overlap; use one of them")
    master, now = read_secret(), _now()
    duration = timedelta() if at_once else timedelta(hours=24 if overlap is None else overlap)
    connector_id = ConnectorId(workspace_id, acs_system_id)
    version = rotate_secret(table, connector_id, overlap=duration, now=now)
    _print_secret(master, connector_id, version)
    if at_once:
        click.echo(
            "Requests are signed with this secret only. Until the connector has it, it refuses them, which pauses the "
            "credential manager. Then set the same URL again: enrollments connectors set",
            err=True,
        )
    else:
        click.echo(
            f"Requests are signed with the former secret, too, until {moment(timestamp(now + duration))}.", err=True
        )


@click.command()
@click.argument("acs_system_id", type=Uuid())
@in_workspace
@_telling_refusals
def remove(table: Table, workspace_id: str, *, acs_system_id: str) -> None:
    """Take the connector from the credential manager ACS_SYSTEM_ID.

    A connector that is set afterwards has another signing secret.
    """
    remove_connector(table, ConnectorId(workspace_id, acs_system_id))
    click.echo(
        "The connector is removed. A request that is under way may still reach it for 30 s. Phones and credentials at "
        "this credential manager wait from now on, and keep what they have there."
    )


@click.command()
@click.argument("acs_system_id", type=Uuid())
@in_workspace
@_telling_refusals
def pause(table: Table, workspace_id: str, *, acs_system_id: str) -> None:
    """Send no requests to the connector of the credential manager ACS_SYSTEM_ID, until `resume`."""
    paused_at = pause_connector(table, ConnectorId(workspace_id, acs_system_id), now=_now())
    click.echo(
        f"The connector is paused since {moment(paused_at)}. A request that is under way may still reach it for 30 s. "
        "Phones and credentials at this credential manager wait until: enrollments connectors resume"
    )


@click.command()
@click.argument("acs_system_id", type=Uuid())
@in_workspace
@_telling_refusals
def resume(table: Table, workspace_id: str, *, acs_system_id: str) -> None:
    """Send requests to the connector of the credential manager ACS_SYSTEM_ID again.

    The command can be repeated, also after it was interrupted. It reads the whole table, to have those enrollments
    looked at again that have something to do or wait. A connector that has too much to do is asked when its pause ends:
    after an hour at most.
    """
    connector_id = ConnectorId(workspace_id, acs_system_id)
    done = resume_connector(table, connector_id, now=_now())
    click.echo("The connector is resumed." if done.was_paused else "The connector was not paused by an operator.")
    _tell_when_it_is_asked(done.busy_until)
    _have_go_on(table, connector_id)


COMMANDS: Sequence[click.Command] = (set_, show, rotate, remove, pause, resume)


def _print_secret(master: bytes, connector_id: ConnectorId, version: str) -> None:
    """Print a signing secret, and nothing else, to standard output."""
    click.echo("Its signing secret, for its owner only:", err=True)
    click.echo(connector_secret(master, *connector_id, version))
    if sys.stdout.isatty():
        click.echo("Keep it in a safe place.", err=True)


def _what_was_set(done: SetConnector) -> str:
    if done.is_new:
        return "The connector is set."
    if done.has_other_address:
        return "The connector has another address, and keeps its signing secret. If its owner changes, rotate it."
    return "The connector has this address already, and keeps its signing secret."


def _tell_when_it_is_asked(busy_until: str | None) -> None:
    if busy_until is None:
        click.echo("The service now asks it manager.check; `enrollments connectors show` has the answer.", err=True)
        return
    click.echo(
        f"The credential manager is paused until {moment(busy_until)}: {why_paused(PauseReason.BUSY)}. "
        "Nothing is asked until then.",
        err=True,
    )


def _have_go_on(table: Table, connector_id: ConnectorId) -> None:
    def tell(looked_at: int, all_: int) -> None:
        if looked_at % _TOLD_EVERY == 0:
            click.echo(f"Enrollments looked at: {looked_at} of {all_}.", err=True)

    count = have_all_go_on(table, connector_id, _now(), tell)
    click.echo(f"Enrollments that are looked at again: {count}.", err=True)


def _as_json(found: StoredConnector, now: str) -> dict[str, Any]:
    connector, pause_ = found.connector, _pause_of_manager(found, now)
    former = former_secrets(connector)
    return {
        "acs_system_id": found.id.manager_id,
        **{name: connector.get(name) for name in ("url", "set_at", "paused_at", *OF_ADDRESS)},
        "manager_pause": None
        if pause_ is None
        else {name: pause_[name] for name in ("reason", "paused_at", "paused_until")},
        "pools": _pools(found),
        "secret_made_at": connector["secret_version"],
        "former_secrets": [
            {"made_at": made_at, "counts_until": until} for made_at, until in sorted(former.items()) if until > now
        ],
    }


def _lines(found: StoredConnector, now: str) -> list[str]:
    """Return what is shown of a connector to people."""
    connector, pause_ = found.connector, _pause_of_manager(found, now)
    lines = [
        f"ACS system       {found.id.manager_id}",
        f"URL              {connector['url']}, since {moment(connector['set_at'])}",
        f"manager.check    {_what_it_told(connector)}",
    ]
    if "abilities_changed_at" in connector:
        lines.append(
            f"changed          told {moment(connector['abilities_changed_at'])} that it can do something else; "
            "`enrollments connectors set` with the same URL has its phones follow"
        )
    if "unanswered_since" in connector:
        why = why_unanswered(str(connector.get("unanswered_because", "")))
        lines.append(f"unanswered       since {moment(connector['unanswered_since'])}: {why}")
    if "paused_at" in connector:
        lines.append(f"paused           by an operator, since {moment(connector['paused_at'])}, until it is resumed")
    if pause_ is not None:
        why, since, until = why_paused(str(pause_["reason"])), moment(pause_["paused_at"]), pause_["paused_until"]
        lines.append(f"paused           by itself: {why}; since {since}, until {moment(until)}")
    lines += [f"pool             {pool['pool']}: {_left(pool)}" for pool in _pools(found)]
    lines.append(f"signing secret   made {moment(connector['secret_version'])}")
    lines += [
        f"former secret    made {moment(made_at)}, counts until {moment(until)}"
        for made_at, until in sorted(former_secrets(connector).items())
        if until > now
    ]
    return lines


def _what_it_told(connector: Item) -> str:
    if "checked_at" not in connector:
        return "not answered yet, so phones wait"
    keeps = "keeps validity" if connector["keeps_validity"] else "does not keep validity, so the service does"
    steps = "registering a phone issues its credential" if connector["one_step"] else "issues in a step of its own"
    return f"{keeps}; {steps}; answered {moment(connector['checked_at'])}"


def _left(pool: Mapping[str, Any]) -> str:
    return "does not say how many are left" if pool["available"] is None else f"{pool['available']} left"


def _pools(found: StoredConnector) -> list[dict[str, Any]]:
    pools: list[dict[str, Any]] = json.loads(str((found.pools or {}).get("pools", "[]")))
    return pools


def _pause_of_manager(found: StoredConnector, now: str) -> Item | None:
    """Return the pause that the manager has brought about, unless it is over."""
    is_paused = found.pause is not None and str(found.pause["paused_until"]) > now
    return found.pause if is_paused else None


def _is_on_this_machine(table: Table) -> bool:
    """Return whether a table is on this machine, where a connector may be as well."""
    host = urlsplit(table.client.meta.endpoint_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _now() -> datetime:
    return datetime.now(UTC)
