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
from enrollments.doctor.account import look_at_credentials, role_for_logs
from enrollments.failure import CommandFailed
from enrollments.stacks import ENDPOINT_OUTPUT, DeployedStack, find_stack, stack_of_service

_DEFAULTS = Path("samconfig.toml")
# What somebody has answered to --guided.  git does not track it.
ANSWERS = Path("samconfig.local.toml")
# `make deploy` builds between the two commands, and SAM writes answers after that.
_BUILT = Path(".aws-sam/build/template.yaml")
# SAM reads these, too.
_NOT_TOML = {".yaml", ".yml"}
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
        is_guided: Whether SAM asks for all of this, so that all of it may become something else.
        overrides: Values of parameters that somebody chose for this stack, as SAM takes them.
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
    # SAM gives saved values to any stack.  Those of another stack were not chosen for this one.
    is_of_stack = stack_name == saved.get("stack_name") and value("region") == saved.get("region", value("region"))
    kept = str(saved.get("parameter_overrides", "")) if is_of_stack else ""
    overrides = " ".join([arguments.get("parameter_overrides") or "", *more, kept])
    return Deployment(stack_name, value("region"), value("profile"), bool(arguments.get("guided")), overrides, config)


def _saved(config: Path, environment: str) -> dict[str, Any]:
    """Return what SAM's configuration says of ``sam deploy``.

    Raises:
        CommandFailed: It cannot be read.
    """
    if config.suffix in _NOT_TOML:
        raise CommandFailed(f"{config} is not TOML; write it as TOML, which SAM takes, too")
    advice = "mend it, or delete it and deploy with ARGS=--guided" if config == ANSWERS else "mend it"
    try:
        content = tomllib.loads(config.read_text())
    except (OSError, ValueError) as error:
        raise CommandFailed(f"{config} cannot be read: {error}; {advice}") from error
    saved: dict[str, Any] = {}
    for command in ("global", "deploy"):
        part: Any = content
        for name in (environment, command, "parameters"):
            part = part.get(name, {})
            if not isinstance(part, dict):
                raise CommandFailed(f"{config} is not of the form that SAM writes: {name} is no table; {advice}")
        saved |= part
    return saved


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
    problem = None if found is None else _problem_of(found)
    if deployment.is_guided:
        # SAM asks for the stack, so the answer may be another one.
        if problem is not None:
            click.echo(f"Answer another name, or mend this first: {problem}", err=True)
        if role := role_for_logs(session.client("apigateway")):
            click.echo(f"{_there_is(role, session)}: for a new stack, answer Keep to {_ROLE_PARAMETER}.", err=True)
        return
    if problem is not None:
        raise CommandFailed(problem)
    if (found is None or found.status in _NEW) and _ROLE_PARAMETER not in deployment.overrides:
        _require_no_role(session)


def _problem_of(stack: DeployedStack) -> str | None:
    """Return why a stack cannot be deployed now, and what to do; ``None`` if it can."""
    if stack.status in _NEW:
        return None
    if stack.stuck is not None:
        return f"stack {stack.name}: {stack.stuck}"
    if stack.status.endswith(_AT_WORK):
        return f"stack {stack.name} is {stack.status}; wait until that has ended"
    return stack.problem


def _require_no_role(session: boto3.session.Session) -> None:
    """Require that the region has no role of API Gateway for logs, because nobody said what becomes of it.

    Raises:
        CommandFailed: It has one.
    """
    if role := role_for_logs(session.client("apigateway")):
        raise CommandFailed(
            f"{_there_is(role, session)}; add ARGS='--parameter-overrides {_ROLE_PARAMETER}=Keep', "
            "or =Create to replace it for every API"
        )


def _there_is(role: str, session: boto3.session.Session) -> str:
    return f"API Gateway has a role for its logs in {session.region_name} already, {role}"


@deploy.command(context_settings=_LIKE_SAM)
@_as_sam
def show(deployment: Deployment) -> None:
    """Show the endpoint of a stack, and the next command.

    It takes the arguments of `sam deploy`.
    """
    if deployment.is_guided and not _is_saved(deployment.config):
        click.echo(f"The answers are not in {deployment.config}, so name the stack that you answered:")
        click.echo("  .venv/bin/enrollments deploy show --stack-name NAME --region REGION")
        return
    stack = stack_of_service(deployment.session, deployment.stack_name)
    options = replace(deployment, stack_name=stack.name, region=stack.region).options
    click.echo(f"Endpoint:  {stack.outputs[ENDPOINT_OUTPUT]}")
    click.echo(f'Next:      .venv/bin/enrollments workspaces create {options} --with-key "Main Street"')
    click.echo(f"To check:  .venv/bin/enrollments doctor {options}")


def _is_saved(config: Path) -> bool:
    """Return whether SAM has written answers to its configuration file in this deployment."""
    with suppress(OSError):
        return config.stat().st_mtime_ns > _BUILT.stat().st_mtime_ns
    return False
