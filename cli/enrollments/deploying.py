"""``enrollments deploy``: what ``make deploy`` looks at before it builds, and what it shows when it is done.

SAM deploys.  These commands take the same arguments as ``sam deploy``, and use those that say which stack it is.
"""

import shlex
import shutil
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any

import boto3
import click
from botocore.exceptions import NoRegionError

from enrollments.database import AWS_ERRORS, reason_of
from enrollments.doctor.account import look_at_credentials
from enrollments.failure import CommandFailed
from enrollments.stacks import ENDPOINT_OUTPUT, UNUSABLE, DeployedStack, find_stack, stack_of_service

_DEFAULTS = Path("samconfig.toml")
# What somebody has answered to --guided.  git does not track it.
ANSWERS = Path("samconfig.local.toml")
# It is as old as the moment before SAM asks.  A file of answers that is younger was saved afterwards.
_ASKED = Path(".local/guided")
_YAML = {".yaml", ".yml"}
_ROLE_PARAMETER = "ApiGatewayLogsRole"
# States of a stack that is not made yet, and of one at which CloudFormation is at work.
_NEW = {"REVIEW_IN_PROGRESS"}
_AT_WORK = "_IN_PROGRESS"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is deployed, and where.

    Attributes:
        stack_name: The stack's name.
        region: Its region; ``None`` if only the AWS configuration says it.
        profile: The AWS profile; ``None`` if only the AWS configuration says it.
        is_guided: Whether SAM asks for all of this.
        overrides: Values of parameters, as SAM takes them: of the command, and what was saved for this stack.
        config: SAM's configuration file.
    """

    stack_name: str
    region: str | None
    profile: str | None
    is_guided: bool
    overrides: str
    config: Path

    @property
    def session(self) -> boto3.session.Session:
        """The session for AWS.

        Raises:
            BotoCoreError: There is no such profile.
        """
        return boto3.session.Session(region_name=self.region, profile_name=self.profile)

    @property
    def region_in_use(self) -> str | None:
        """The region of the session; ``None`` if none is set anywhere.

        Raises:
            BotoCoreError: There is no such profile.
        """
        region: str | None = self.session.region_name
        return region

    @property
    def options(self) -> str:
        """The options that name the stack for a command, as a person types them."""
        named = {"--stack-name": self.stack_name, "--region": self.region, "--profile": self.profile}
        return " ".join(f"{name} {shlex.quote(value)}" for name, value in named.items() if value)


def read_deployment(arguments: dict[str, str | None], config: Path, more: Sequence[str]) -> Deployment:
    """Return what SAM would deploy.

    Args:
        arguments: Arguments of ``sam deploy``, by name; ``None`` for those that are left out.
        config: SAM's configuration file.
        more: The other arguments.

    Raises:
        CommandFailed: The configuration cannot be read.
    """
    saved = _saved(config, arguments.get("config_env") or "default")

    def value(name: str) -> str | None:
        found = arguments.get(name) or saved.get(name)
        return None if found is None else str(found)

    stack_name = value("stack_name")
    if stack_name is None:
        raise CommandFailed(f"{config} names no stack; add ARGS='--stack-name NAME'")
    kept = saved.get("parameter_overrides", "")
    overrides = [arguments.get("parameter_overrides") or "", *more]
    # What was said of another stack, or of another region, says nothing of this one.
    if (saved.get("stack_name"), saved.get("region")) == (stack_name, value("region")):
        overrides.append(str(kept))
    is_guided = bool(arguments.get("guided"))
    return Deployment(stack_name, value("region"), value("profile"), is_guided, " ".join(overrides), config)


def _saved(config: Path, environment: str) -> dict[str, Any]:
    """Return what SAM's configuration says of ``sam deploy``."""
    if config.suffix in _YAML:
        raise CommandFailed(f"{config} is YAML; write it as TOML, which SAM reads, too")
    try:
        commands = _table(tomllib.loads(config.read_text()), environment)
        return {
            name: value
            for command in ("global", "deploy")
            for name, value in _table(_table(commands, command), "parameters").items()
        }
    except (OSError, ValueError) as error:
        raise CommandFailed(
            f"{config} cannot be read: {error}; mend it, or delete it and deploy with ARGS=--guided"
        ) from error


def _table(content: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a table of a TOML document; empty if it is not there.

    Raises:
        ValueError: It is something else.
    """
    found = content.get(name, {})
    if not isinstance(found, dict):
        raise ValueError(f"{name} is not a table")  # noqa: TRY004 - a mistake in a file, as tomllib's own errors
    return found


def _as_sam(command: Any) -> Any:
    """Give a command the arguments of ``sam deploy``, and pass it the deployment."""

    @click.option("--stack-name")
    @click.option("--region")
    @click.option("--profile")
    @click.option("--config-file")
    @click.option("--config-env")
    @click.option("--parameter-overrides")
    @click.option("--guided", "-g", is_flag=True)
    @click.argument("more", nargs=-1, type=click.UNPROCESSED)
    @wraps(command)
    def with_deployment(*, config_file: str | None, more: Sequence[str], guided: bool, **arguments: str | None) -> None:
        if guided and not ANSWERS.exists():
            shutil.copyfile(_DEFAULTS, ANSWERS)
        config = Path(config_file) if config_file else ANSWERS if ANSWERS.exists() else _DEFAULTS
        guided_argument = "guided" if guided else None
        deployment = read_deployment({**arguments, "guided": guided_argument}, config, more)
        try:
            command(deployment)
        except AWS_ERRORS as error:
            raise CommandFailed(reason_of(error)) from error

    return with_deployment


@click.group()
def deploy() -> None:
    """What `make deploy` looks at before it builds, and what it shows when it is done."""


_LIKE_SAM = {"ignore_unknown_options": True}


@deploy.command(context_settings=_LIKE_SAM)
@_as_sam
def check(deployment: Deployment) -> None:
    """Look whether a deployment can begin: credentials, region, the stack's state, and API Gateway's role.

    It takes the arguments of `sam deploy`.
    """
    session = deployment.session
    # Without a region SAM cannot begin, not even with --guided: it looks for the bucket of its artefacts first.
    if deployment.region_in_use is None:
        raise NoRegionError
    (who,) = look_at_credentials(session)
    click.echo(f"Deploying {deployment.stack_name} in {session.region_name}, {who.found}", err=True)
    found = find_stack(session, deployment.stack_name)
    is_new = found is None or found.status in _NEW
    problem = None if found is None or is_new else _why_no_deploy(found)
    if deployment.is_guided:
        # SAM asks for the name, so this stack is a suggestion.
        if problem is not None:
            click.echo(f"{problem}; or answer another name", err=True)
        _check_role(session, deployment)
        _ASKED.parent.mkdir(exist_ok=True)
        _ASKED.touch()
    elif problem is not None:
        raise CommandFailed(problem)
    elif is_new:
        _check_role(session, deployment)


def _why_no_deploy(found: DeployedStack) -> str | None:
    """Return why a stack cannot be deployed now, and what to do; ``None`` if it can."""
    if found.stuck is not None:
        return f"stack {found.name}: {found.stuck}"
    if found.status.endswith(_AT_WORK) and found.status not in UNUSABLE:
        return f"stack {found.name} is {found.status}; wait until that has ended"
    return found.problem


def _check_role(session: boto3.session.Session, deployment: Deployment) -> None:
    """Require that a first deploy says what becomes of API Gateway's role for logs, if the region has one.

    Who is asked by SAM is told what to answer.

    Raises:
        CommandFailed: The command does not say it.
    """
    make_client: Any = session.client  # boto3-stubs has types for DynamoDB only
    role = None
    with suppress(KeyError):
        role = make_client("apigateway").get_account()["cloudwatchRoleArn"]
    if not role:
        return
    found = f"API Gateway has a role for its logs in {session.region_name} already, {role}"
    if deployment.is_guided:
        click.echo(f"{found}: for a new stack, answer Keep to {_ROLE_PARAMETER}.", err=True)
    elif _ROLE_PARAMETER not in deployment.overrides:
        raise CommandFailed(
            f"{found}; add ARGS='--parameter-overrides {_ROLE_PARAMETER}=Keep', or =Create to replace it for every API"
        )


@deploy.command(context_settings=_LIKE_SAM)
@_as_sam
def show(deployment: Deployment) -> None:
    """Show the endpoint of a stack, and the next command.

    It takes the arguments of `sam deploy`.
    """
    if deployment.is_guided and not _is_saved(deployment.config):
        click.echo("The answers are saved nowhere: name the stack that was deployed.")
        click.echo("To check:  .venv/bin/enrollments doctor --stack-name NAME --region REGION")
        return
    stack = stack_of_service(deployment.session, deployment.stack_name)
    options = replace(deployment, stack_name=stack.name, region=stack.region).options
    click.echo(f"Endpoint:  {stack.outputs[ENDPOINT_OUTPUT]}")
    click.echo(f'Next:      .venv/bin/enrollments workspaces create {options} --with-key "Main Street"')
    click.echo(f"To check:  .venv/bin/enrollments doctor {options}")


def _is_saved(config: Path) -> bool:
    """Return whether SAM has saved answers in a file since the last check."""
    try:
        return config.stat().st_mtime_ns > _ASKED.stat().st_mtime_ns
    except FileNotFoundError:
        return True  # nothing is known of when SAM asked
