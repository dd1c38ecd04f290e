"""``enrollments doctor``: look at a deployed system from credentials to a launch, and say what to do."""

import json
from collections.abc import Callable, Iterator
from functools import partial

import boto3
import click
from botocore.exceptions import BotoCoreError

from enrollment.store.table import Table
from enrollments.database import AWS_ERRORS, check_table
from enrollments.doctor.account import look_at_credentials, look_at_region
from enrollments.doctor.findings import Finding, Verdict, good, look_at, not_looked_at
from enrollments.doctor.patient import Patient, resources_of
from enrollments.doctor.rights import look_at_rights
from enrollments.doctor.smoke import remove_earlier, smoke
from enrollments.doctor.stack import (
    look_at_functions,
    look_at_mappings,
    look_at_role,
    look_at_secrets,
    look_at_stack,
    look_at_table,
)
from enrollments.doctor.work import look_at_executions, look_at_queues, look_at_stream, look_at_tokens
from enrollments.failure import CommandFailed
from enrollments.running import RunningSystem, find_running
from enrollments.stacks import ENDPOINT_OUTPUT, stack_of_service
from enrollments.target import Endpoint, local_client

_SMOKE = "smoke launch"
_COLOURS = {Verdict.GOOD: "green", Verdict.BAD: "red", Verdict.NOT_LOOKED_AT: "yellow"}
_WIDTH = max(map(len, Verdict))
_OF_A_STACK: dict[str, Callable[[Patient], Iterator[Finding]]] = {
    "stack": look_at_stack,
    "rights": look_at_rights,
    "table": look_at_table,
    "secrets": look_at_secrets,
    "API Gateway's role": look_at_role,
    "functions": look_at_functions,
    "what invokes functions": look_at_mappings,
    "executions": look_at_executions,
    "age of the stream": look_at_stream,
    "queues": look_at_queues,
}
_NEEDS_AWS = "this is the system of `make run`, which has none of AWS"


@click.command()
@click.option("--stack-name", help="The deployed stack. Without it, the system of `make run`.")
@click.option("--region", help="The AWS region. The default is in your AWS configuration.")
@click.option("--profile", help="The AWS profile. The default is in your AWS configuration.")
@click.option("--endpoint", type=Endpoint(), help="The address of the API. The default is the stack's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def doctor(
    *, stack_name: str | None, region: str | None, profile: str | None, endpoint: str | None, as_json: bool
) -> None:
    """Look whether a deployed system works, and say what to do if it does not.

    Each line is good, bad or not looked at. It launches an automation in a workspace of its own, and removes that
    workspace. If anything is bad, the exit status is 1. It changes nothing else and can be run at any time.
    """
    if stack_name is not None:
        findings = _examine_stack(stack_name, region, profile, endpoint)
    elif (running := find_running()) is not None:
        findings = _examine_running(running, endpoint)
    else:
        raise click.UsageError("name the stack: --stack-name STACK; or start `make run`")
    found = []
    for finding in findings:
        found.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        click.echo(json.dumps([finding.to_json() for finding in found]))
    wrong = [finding for finding in found if finding.verdict is Verdict.BAD]
    if wrong:
        raise CommandFailed(f"bad: {', '.join(dict.fromkeys(finding.about for finding in wrong))}")


def _examine_stack(stack_name: str, region: str | None, profile: str | None, endpoint: str | None) -> Iterator[Finding]:
    """Yield what is found at a stack.  Without credentials, a region or the stack there is nothing more to look at."""
    try:
        session = boto3.session.Session(region_name=region, profile_name=profile)
    except BotoCoreError as error:
        yield from look_at("credentials", partial(_fail, error))
        return
    looks = {"region": look_at_region, "credentials": look_at_credentials}
    for about, look in looks.items():
        found = list(look_at(about, partial(look, session)))
        yield from found
        if found[-1].verdict is Verdict.BAD:
            return
    try:
        patient = Patient(session, stack_of_service(session, stack_name), resources_of(session, stack_name))
    except (click.ClickException, *AWS_ERRORS) as error:
        yield from look_at("stack", partial(_fail, error))
        return
    for about, examine in _OF_A_STACK.items():
        yield from look_at(about, partial(examine, patient))
    yield from look_at("tokens", partial(look_at_tokens, patient.table))
    if endpoint is None and not patient.is_on_aws:
        # The stack names an address of AWS, which would get the key of a workspace that AWS does not have.
        yield not_looked_at(_SMOKE, "this is not AWS; --endpoint names an API that serves the table")
        return
    yield from _smoke(patient.table, endpoint or patient.stack.outputs[ENDPOINT_OUTPUT])


def _examine_running(running: RunningSystem, endpoint: str | None) -> Iterator[Finding]:
    client = local_client(running.dynamodb_endpoint)

    def look_at_its_table() -> Iterator[Finding]:
        check_table(client, running.table_name)
        yield good("table", f"{running.table_name} at {running.dynamodb_endpoint}: keys")

    yield good("system", f"`make run`, process {running.process_id}, {running.endpoint}")
    for about in ("credentials", "region", *(one for one in _OF_A_STACK if one != "table")):
        yield not_looked_at(about, _NEEDS_AWS)
    yield from look_at("table", look_at_its_table)
    table = Table(client, running.table_name)
    yield from look_at("tokens", partial(look_at_tokens, table))
    yield from _smoke(table, endpoint or running.endpoint)


def _smoke(table: Table, endpoint: str) -> Iterator[Finding]:
    yield from look_at("an earlier doctor", partial(remove_earlier, table))
    yield from look_at(_SMOKE, partial(smoke, table, endpoint))


def _fail(error: Exception) -> Iterator[Finding]:
    raise error


def _print(finding: Finding) -> None:
    verdict = click.style(finding.verdict.ljust(_WIDTH), fg=_COLOURS[finding.verdict])
    click.echo(f"{verdict}  {finding.about}: {finding.found}")
    if finding.remedy:
        click.echo(f"{' ' * _WIDTH}  do: {finding.remedy}")
