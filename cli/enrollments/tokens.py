"""``enrollments tokens``: issue, list, rotate and revoke tokens, in a deployed stack or any table."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from enrollment.callers import Caller, TokenKind
from enrollment.errors import UserIdentityNotFound
from enrollment.resources.client_sessions import MOST_USER_IDENTITIES, ClientSession, CreateClientSessionRequest
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases import client_sessions
from enrollment.use_cases.token_rotation import RotationRefusedError, end_former_secrets, rotate_token
from enrollment.use_cases.tokens import NewToken, StoredToken, create_token, list_tokens, revoke_token
from enrollments.failure import CommandFailed
from enrollments.master_secrets import OF_CLIENT_SESSIONS, ReadSecret, with_secret
from enrollments.reasons import minute
from enrollments.target import Uuid, in_table, require_workspaces
from enrollments.texts import in_columns

_KINDS = {kind.value.replace("_", "-"): kind for kind in TokenKind}
_DURATION = re.compile(r"(?P<count>[1-9]\d{0,5})(?P<unit>[mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_TOKEN_ID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{8,12}")
_NO_SUCH_TOKEN = "there is no such token; the IDs are listed by: enrollments tokens list"  # noqa: S105 - a message
_SHOWN_ONCE = "Keep it: it is not shown again."

# Long enough to have a release of one's own, and to try it.
_USUAL_OVERLAP = "24h"
_LONGEST_OVERLAP = timedelta(days=90)
# A reminder is in time for a month's work.
REMINDED_BEFORE = timedelta(days=30)
# For so long after its last use, a former secret counts as in use.
_RECENTLY = timedelta(days=7)
_CACHED = "API Gateway keeps its decision about a token for at most AuthorizerCacheSeconds (60 by default)"


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(f"{value} is not a duration; write 90m, 12h or 30d", param, ctx)
        return int(match["count"]) * _UNITS[match["unit"]]


@click.group()
def tokens() -> None:
    """Issue, list, rotate and revoke the bearer tokens of the API's clients.

    For example:

    \b
    enrollments tokens create --stack-name enrollment-automations \\
      --kind api-key --workspace-id WORKSPACE_ID --name "Back office"
    enrollments tokens list --stack-name enrollment-automations
    enrollments tokens rotate --stack-name enrollment-automations TOKEN_ID
    enrollments tokens revoke --stack-name enrollment-automations TOKEN_ID
    """  # noqa: D301 - click's mark for lines to keep


@tokens.command()
@click.option(
    "--kind",
    type=click.Choice(list(_KINDS)),
    required=True,
    help="api-key: for a server, in one workspace. personal-access-token: for a person, in one or several workspaces. "
    "client-session: for an app. It sees only the named user identities.",
)
@click.option(
    "--workspace-id",
    "workspace_ids",
    type=Uuid(),
    required=True,
    multiple=True,
    help="The workspace. A personal access token can have several: repeat the option.",
)
@click.option(
    "--user-identity-id",
    "user_identity_ids",
    type=Uuid(),
    multiple=True,
    help="A user identity that a client session sees. Can be repeated.",
)
@click.option("--name", default="", help="A note about the purpose of the token; a client session has none.")
@click.option(
    "--expires-in",
    type=_Duration(),
    metavar="DURATION",
    help="For example 90m, 12h or 30d. By default a client session expires after a year, and another token never.",
)
@click.option("--sandbox", is_flag=True, help="Issue a sandbox API key. Its ID starts with test.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@with_secret(OF_CLIENT_SESSIONS)
@in_table
def create(  # noqa: PLR0913, PLR0917 - options
    table: Table,
    read_secret: ReadSecret,
    kind: str,
    workspace_ids: Sequence[str],
    user_identity_ids: Sequence[str],
    name: str,
    expires_in: timedelta | None,
    *,
    sandbox: bool,
    as_json: bool,
) -> None:
    """Issue a token and print it.

    It cannot be printed again, because only its hash is stored. A client session's token is in answers of the API, too.
    """
    expires_at = None if expires_in is None else datetime.now(UTC) + expires_in
    try:
        new = NewToken(
            kind=_KINDS[kind],
            workspace_ids=list(dict.fromkeys(workspace_ids)),
            user_identity_ids=list(dict.fromkeys(user_identity_ids)),
            name=name,
            expires_at=expires_at,
            is_sandbox=sandbox,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    table = require_workspaces(table, new.workspace_ids)
    if new.kind is TokenKind.CLIENT_SESSION:
        session = _create_client_session(table, new, read_secret)
        token, expires_at = session.token, datetime.fromisoformat(session.expires_at)
    else:
        token = create_token(table, new)
    if as_json:
        expiry = None if expires_at is None else timestamp(expires_at)
        click.echo(json.dumps({"token": token, "token_id": token.split("_")[1], "expires_at": expiry}))
        return
    click.echo(token)
    if sys.stdout.isatty():
        click.echo(_SHOWN_ONCE, err=True)


def _create_client_session(table: Table, new: NewToken, read_secret: ReadSecret) -> ClientSession:
    if new.name:
        raise click.UsageError("a client session has no name")
    if len(new.user_identity_ids) > MOST_USER_IDENTITIES:
        raise click.UsageError(f"a client session may have {MOST_USER_IDENTITIES} user identities")
    # What is left out is not the same as None, so it is left out here, too.
    end = {} if new.expires_at is None else {"expires_at": timestamp(new.expires_at)}
    request = CreateClientSessionRequest.model_validate({"user_identity_ids": [*new.user_identity_ids], **end})
    (workspace_id,) = new.workspace_ids
    try:
        return client_sessions.create(table, Caller(workspace_id), request, master=read_secret())
    except UserIdentityNotFound as error:
        raise click.ClickException("there is no such user identity in the workspace") from error


@tokens.command("list")
@click.option("--workspace-id", type=Uuid(), help="Only tokens that may enter this workspace.")
@click.option(
    "--client-sessions",
    "of_client_sessions",
    is_flag=True,
    help="The tokens of the client sessions of --workspace-id, which are not in the list otherwise.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@in_table
def list_(table: Table, workspace_id: str | None, *, of_client_sessions: bool, as_json: bool) -> None:
    """List tokens, oldest first, without their secrets.

    A use is noted once an hour, so the last one can be an hour later than LAST USED says. `not noted` is a token of an
    older release: its uses before the upgrade are not known. What ends soon is a line on standard error.

    Client sessions are left out, because there can be very many. Those that an older release issued are in the list.
    """
    if workspace_id is not None:
        require_workspaces(table, [workspace_id])
    if not of_client_sessions:
        found = [token for token in list_tokens(table) if workspace_id is None or workspace_id in token.workspace_ids]
    elif workspace_id is None:
        raise click.UsageError("name the workspace of the client sessions: --workspace-id ID")
    else:
        found = client_sessions.tokens_of_workspace(table, workspace_id)
    if as_json:
        click.echo(json.dumps([_as_json(token) for token in found]))
        return
    if not found:
        click.echo("No tokens.", err=True)
        return
    rows = [("ID", "KIND", "STATE", "CREATED", "EXPIRES", "LAST USED", "WORKSPACES", "NAME")]
    rows += [
        (
            token.token_id,
            token.kind.replace("_", "-"),
            _state(token),
            minute(token.created_at),
            minute(token.expires_at) if token.expires_at else "never",
            _last_used(token),
            ",".join(token.workspace_ids),
            token.name,
        )
        for token in found
    ]
    for line in in_columns(rows):
        click.echo(line)
    for token in found:
        for reminder in _reminders(token, datetime.now(UTC)):
            click.echo(reminder, err=True)


@tokens.command()
@click.argument("token_ids", metavar="TOKEN_ID", nargs=-1, required=True)
@click.option(
    "--keep-old-for",
    type=_Duration(),
    metavar="DURATION",
    help=f"How long the secret that the token has is good, too; 90d at most.  [default: {_USUAL_OVERLAP}]",
)
@click.option(
    "--at-once", is_flag=True, help="End the secret that the token has, and all former ones, because one leaked."
)
@click.option(
    "--expires-in",
    type=_Duration(),
    metavar="DURATION",
    help="Move the end of the token. By default it stays as it is.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@in_table
def rotate(  # noqa: PLR0913 - options
    table: Table,
    token_ids: Sequence[str],
    keep_old_for: timedelta | None,
    expires_in: timedelta | None,
    *,
    at_once: bool,
    as_json: bool,
) -> None:
    """Give the API key or personal access token TOKEN_ID another secret, and print the token.

    Its ID, its name and what it may do stay. The secret that it had is good for a while, so that its owner has time to
    change it. `tokens list` shows whether it is still used. If the output is lost, rotate again: the secret that the
    owner has keeps its time.
    """
    token_id = _one_token_id(token_ids)
    if at_once and keep_old_for is not None:
        raise click.UsageError("--at-once ends the old secret, and --keep-old-for keeps it; name one of them")
    if keep_old_for is not None and keep_old_for > _LONGEST_OVERLAP:
        raise click.UsageError(f"--keep-old-for is {_LONGEST_OVERLAP.days}d at most")
    overlap = timedelta(0) if at_once else keep_old_for or _UNITS["h"] * 24
    try:
        rotated = rotate_token(table, token_id, overlap, datetime.now(UTC), expires_in=expires_in)
    except RotationRefusedError as error:
        raise CommandFailed(error) from error
    if as_json:
        click.echo(json.dumps({"token_id": token_id, **rotated._asdict()}))
        return
    click.echo(rotated.token)
    if sys.stdout.isatty():
        click.echo(_SHOWN_ONCE, err=True)
    until = rotated.former_secrets_until
    ends = f"The old secret is good until {minute(max(until))}." if until else "All former secrets have ended."
    click.echo(f"{ends} {_CACHED}, so an ended one can work for that much longer.", err=True)
    if rotated.expires_at:
        click.echo(f"The token itself ends at {minute(rotated.expires_at)}.", err=True)


@tokens.command()
@click.argument("token_ids", metavar="TOKEN_ID", nargs=-1, required=True)
@click.option("--former-only", is_flag=True, help="End its former secrets only; the last one stays good.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@in_table
def revoke(table: Table, token_ids: Sequence[str], *, former_only: bool, as_json: bool) -> None:
    """Revoke the token TOKEN_ID.  `tokens list` shows the IDs.

    API Gateway caches its decision about a token. So the token can work for another AuthorizerCacheSeconds (60 by
    default).
    """
    token_id = _one_token_id(token_ids)
    if former_only:
        _end_former_secrets(table, token_id, as_json=as_json)
        return
    if not client_sessions.revoke_by_token(table, token_id) and not revoke_token(table, token_id, datetime.now(UTC)):
        raise click.ClickException(_NO_SUCH_TOKEN)
    if as_json:
        click.echo(json.dumps({"token_id": token_id, "state": "revoked"}))
    else:
        click.echo(f"{token_id} is revoked.")


def _end_former_secrets(table: Table, token_id: str, *, as_json: bool) -> None:
    try:
        had_some = end_former_secrets(table, token_id)
    except RotationRefusedError as error:
        raise CommandFailed(error) from error
    if as_json:
        click.echo(json.dumps({"token_id": token_id, "former_secrets_until": []}))
    else:
        click.echo(f"The former secrets of {token_id} have ended." if had_some else f"{token_id} has no former secret.")


def _one_token_id(token_ids: Sequence[str]) -> str:
    """Return the only id among arguments.

    Raises:
        click.ClickException: It is a whole token, or it cannot be an id, or there are several.
    """
    # With one argument only, click's message would repeat the others, and one may be a secret token.  IDs have no
    # underscores, tokens do.
    if any("_" in token_id for token_id in token_ids):
        raise click.UsageError(
            "this is a whole token, which is secret; name only its ID, the part between the two underscores"
        )
    if len(token_ids) > 1:
        raise click.UsageError("name one TOKEN_ID only")
    (token_id,) = token_ids
    if not _TOKEN_ID.fullmatch(token_id):
        raise click.ClickException(_NO_SUCH_TOKEN)
    return token_id


def _state(token: StoredToken) -> str:
    if token.revoked_at:
        return "revoked"
    if token.expires_at and token.expires_at <= timestamp(datetime.now(UTC)):
        return "expired"
    return "good"


def _as_json(token: StoredToken) -> dict[str, Any]:
    now = timestamp(datetime.now(UTC))
    good = [until for until in token.former_secrets_until if until > now]
    return {**token._asdict(), "former_secrets_until": good, "state": _state(token)}


def _last_used(token: StoredToken) -> str:
    if token.last_used_at:
        return minute(token.last_used_at)
    return "never" if token.is_use_noted else "not noted"


def _reminders(token: StoredToken, now: datetime) -> Iterator[str]:
    """Yield what an operator should know of a good token: that it ends soon, and that a former secret is in use."""
    if _state(token) != "good" or token.kind is TokenKind.CLIENT_SESSION:
        return
    name = f"{token.token_id} ({token.name})" if token.name else token.token_id
    if token.expires_at and (left := datetime.fromisoformat(token.expires_at) - now) <= REMINDED_BEFORE:
        yield (
            f"{name} ends {_in_days(left)}, at {minute(token.expires_at)}; to go on with another secret, run: "
            f"enrollments tokens rotate {token.token_id} --expires-in 90d"
        )
    until = max(token.former_secrets_until, default="")
    used_at = token.former_secret_last_used_at
    if until > timestamp(now) and used_at and datetime.fromisoformat(used_at) > now - _RECENTLY:
        yield (
            f"{name} was used with a former secret at {minute(used_at)}; that is good until {minute(until)}, so its "
            "owner has to change it before"
        )


def _in_days(left: timedelta) -> str:
    return f"in {left.days} days" if left.days > 1 else "in a day" if left.days else "within a day"
