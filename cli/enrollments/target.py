"""The options that name a command's table: the table of a deployed stack, or any other table."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any
from uuid import UUID

import boto3
import click
from botocore.config import Config

from enrollment.store.attributes import Item
from enrollment.store.client import CLIENT_CONFIG
from enrollment.store.table import GuardFailedError, Table
from enrollment.use_cases.deleted_workspaces import deletions_of, is_not_deleted
from enrollment.use_cases.workspaces import show
from enrollments.database import AWS_ERRORS, WrongTable, check_table, host_of, is_aws, reason_of
from enrollments.failure import CommandFailed
from enrollments.reasons import moment
from enrollments.running import find_running
from enrollments.stacks import DeployedStack, stack_of_service, table_of_stack

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A command has more time than a request: one that works for an hour goes on when the database is slow for a while.
_CONFIG = CLIENT_CONFIG.merge(Config(read_timeout=20))

type Command = Callable[..., None]

_DELETED_MEANWHILE = (
    "somebody has begun to delete the workspace, so nothing more is written; `enrollments workspaces list` shows it"
)
_TOKEN = "seam_"  # noqa: S105 - how tokens begin


class Uuid(click.ParamType[str]):
    """A UUID, in lower case, as ids are stored."""

    name = "uuid"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the UUID in lower case."""
        try:
            return str(UUID(str(value)))
        except ValueError:
            # Somebody may have put a token here by mistake.  It is a secret, so the message does not repeat it.
            self.fail(f"{'a token' if _TOKEN in str(value) else value} is not a UUID", param, ctx)


class Endpoint(click.ParamType[str]):
    """The address of a server, which begins with http:// or https://."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address."""
        try:
            host_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


def in_table(command: Command) -> Command:
    """Add the options that name a table to a command, and pass it the table.

    Errors of AWS become one clear line.
    """

    @click.option("--stack-name", help="The deployed stack. Its outputs name the table.")
    @click.option("--table-name", help="The table, instead of a stack.")
    @click.option(
        "--endpoint-url",
        type=Endpoint(),
        help="A DynamoDB server other than AWS, with --table-name. It gets the region and credentials of `make run`.",
    )
    @click.option("--region", help="The AWS region. The default is in your AWS configuration.")
    @click.option("--profile", help="The AWS profile. The default is in your AWS configuration.")
    @wraps(command)
    def with_table(
        *,
        stack_name: str | None,
        table_name: str | None,
        endpoint_url: str | None,
        region: str | None,
        profile: str | None,
        **options: Any,
    ) -> None:
        # An option that is there but empty is a script's mistake, so it names no system.
        if {stack_name, table_name, endpoint_url, region, profile} == {None} and (running := find_running()):
            click.echo(f"On the system of `make run` ({running.dynamodb_endpoint}).", err=True)
            table_name, endpoint_url = running.table_name, running.dynamodb_endpoint
        if bool(stack_name) == bool(table_name):
            raise click.UsageError("name the table: --stack-name STACK, or --table-name TABLE; or start `make run`")
        if stack_name and endpoint_url:
            raise click.UsageError("--endpoint-url goes with --table-name: a stack's table is on AWS")
        is_local = bool(endpoint_url) and not region and not profile
        if is_local and is_aws(host_of(str(endpoint_url))):
            raise click.UsageError("--endpoint-url names AWS; add --region or --profile, or leave --endpoint-url out")
        try:
            if is_local:
                client = local_client(str(endpoint_url))
                check_table(client, str(table_name))
                table = Table(client, str(table_name))
            else:
                session = boto3.session.Session(region_name=region, profile_name=profile)
                name = table_name or table_of_stack(session, str(stack_name))
                client = session.client("dynamodb", endpoint_url=endpoint_url or None, config=_CONFIG)
                table = Table(client, name)
            command(table=table, **options)
        except GuardFailedError as error:
            raise CommandFailed(_DELETED_MEANWHILE) from error
        except (*AWS_ERRORS, WrongTable, ValueError) as error:
            where = f"{endpoint_url}: " if endpoint_url else ""
            raise CommandFailed(f"{where}{reason_of(error)}") from error

    return with_table


def in_workspace(command: Command) -> Command:
    """Add the options that name a table and a workspace to a command, and pass it the table and the workspace's id.

    A workspace that does not exist is refused, and so is one that is being deleted, also if that begins later.
    """

    @in_table
    @wraps(command)
    def in_existing(*, table: Table, workspace_id: str, **options: Any) -> None:
        command(table=require_workspaces(table, [workspace_id]), workspace_id=workspace_id, **options)

    @click.option("--workspace-id", type=Uuid(), help="The workspace. On the system of `make run`, the demo's.")
    @wraps(in_existing)
    def with_workspace(*, workspace_id: str | None, **options: Any) -> None:
        if workspace_id is None and {options["stack_name"], options["table_name"]} == {None}:
            running = find_running()
            workspace_id = None if running is None else running.workspace_id
        if workspace_id is None:
            raise click.UsageError("name the workspace: --workspace-id ID")
        in_existing(workspace_id=workspace_id, **options)

    return with_workspace


def require_workspaces(table: Table, workspace_ids: Sequence[str]) -> Table:
    """Require that workspaces exist and are not being deleted.

    Args:
        table: The table.
        workspace_ids: The workspaces.

    Returns:
        The table for the command's work: if the deletion of one of the workspaces begins, its transactions are refused.

    Raises:
        click.ClickException: There is no such workspace, or it is being deleted; the message says what to do.
        ServiceUnavailable: The database stays out of reach.
    """
    deleted = deletions_of(table, workspace_ids)
    for workspace_id in workspace_ids:
        if workspace_id in deleted:
            raise CommandFailed(_reason_of_deletion(deleted[workspace_id]))
        if show(table, workspace_id) is None:
            raise CommandFailed(
                f"there is no workspace {workspace_id}; `enrollments workspaces list` shows all, `enrollments "
                "workspaces create` makes one, and `enrollments workspaces adopt` finds those of an older release"
            )
    return table.guarded_by({name: check for one in workspace_ids for name, check in is_not_deleted(one).items()})


def _reason_of_deletion(mark: Item) -> str:
    workspace_id = mark["workspace_id"]
    if "finished_at" in mark:
        return f"workspace {workspace_id} was deleted, at {moment(mark['finished_at'])}"
    return (
        f"workspace {workspace_id} is being deleted, since {moment(mark['started_at'])}; "
        f"`enrollments workspaces delete {workspace_id}` finishes that"
    )


def stack_of_command() -> DeployedStack | None:
    """Return the stack that the running command names; ``None`` if it names a table."""
    options = click.get_current_context().params
    if not options.get("stack_name"):
        return None
    session = boto3.session.Session(region_name=options["region"], profile_name=options["profile"])
    return stack_of_service(session, options["stack_name"])


def local_client(endpoint_url: str) -> "DynamoDBClient":
    """Return a client with the credentials of `make run`.

    DynamoDB Local and similar servers keep a separate database for each access key.
    """
    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - not a secret
        config=_CONFIG,
    )
