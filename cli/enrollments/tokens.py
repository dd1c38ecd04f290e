"""``enrollments tokens``: issue, list and revoke tokens, in a deployed stack or any table."""

import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from enrollment.callers import Caller, TokenKind
from enrollment.errors import UserIdentityNotFound
from enrollment.resources.client_sessions import MOST_USER_IDENTITIES, ClientSession, CreateClientSessionRequest
from enrollment.store.table import Table
from enrollment.timestamps import timestamp
from enrollment.use_cases import client_sessions
from enrollment.use_cases.tokens import NewToken, StoredToken, create_token, list_tokens, revoke_token
from enrollments.master_secrets import OF_CLIENT_SESSIONS, ReadSecret, with_secret
from enrollments.target import Uuid, in_table, require_workspaces
from enrollments.texts import in_columns

_KINDS = {kind.value.replace("_", "-"): kind for kind in TokenKind}
_DURATION = re.compile(r"(?P<count>[1-9]\d{0,5})(?P<unit>[mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_TOKEN_ID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{8,12}")


class _Duration(click.ParamType[timedelta]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(f"{value} is not a duration; write 90m, 12h or 30d", param, ctx)
        return int(match["count"]) * _UNITS[match["unit"]]


@click.group()
def tokens() -> None:
    """Issue, list and revoke the bearer tokens of the API's clients.

    For example:

    \b
    enrollments tokens create --stack-name enrollment-automations \\
      --kind api-key --workspace-id WORKSPACE_ID --name "Back office"
    enrollments tokens list --stack-name enrollment-automations
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
        click.echo("Keep it: it is not shown again.", err=True)


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
        click.echo(json.dumps([token._asdict() | {"state": _state(token)} for token in found]))
        return
    if not found:
        click.echo("No tokens.", err=True)
        return
    rows = [("ID", "KIND", "STATE", "CREATED", "EXPIRES", "WORKSPACES", "NAME")]
    rows += [
        (
            token.token_id,
            token.kind.replace("_", "-"),
            _state(token),
            token.created_at[:16],
            (token.expires_at or "never")[:16],
            ",".join(token.workspace_ids),
            token.name,
        )
        for token in found
    ]
    for line in in_columns(rows):
        click.echo(line)


@tokens.command()
@click.argument("token_ids", metavar="TOKEN_ID", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
@in_table
def revoke(table: Table, token_ids: Sequence[str], *, as_json: bool) -> None:
    """Revoke the token TOKEN_ID.  `tokens list` shows the IDs.

    API Gateway caches its decision about a token. So the token can work for another AuthorizerCacheSeconds (60 by
    default).
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
    if not _TOKEN_ID.fullmatch(token_id) or not (
        client_sessions.revoke_by_token(table, token_id) or revoke_token(table, token_id, datetime.now(UTC))
    ):
        raise click.ClickException("there is no such token; the IDs are listed by: enrollments tokens list")
    if as_json:
        click.echo(json.dumps({"token_id": token_id, "state": "revoked"}))
    else:
        click.echo(f"{token_id} is revoked.")


def _state(token: StoredToken) -> str:
    if token.revoked_at:
        return "revoked"
    if token.expires_at and token.expires_at <= timestamp(datetime.now(UTC)):
        return "expired"
    return "good"
