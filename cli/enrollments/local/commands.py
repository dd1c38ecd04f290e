"""``enrollments local``: run the deployed system on this machine."""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from enrollment.outbound.addresses import ForbiddenAddress, require_allowed
from enrollments.events import about
from enrollments.failure import CommandFailed
from enrollments.local import docs_page, start_page
from enrollments.local.connecting import EXAMPLE, connect_demo, example_connector
from enrollments.local.containers import open_containers
from enrollments.local.stack import open_stack
from enrollments.running import announced
from local_aws.errors import StackError
from local_aws.functions import FunctionError
from local_aws.moto_server import serve_moto
from local_aws.server import HOST, Server, listen, serve
from local_aws.template import TemplateError, expand_template

_LOCAL_FOLDER = Path(".local")
_EXAMPLES = "the folder events/ has an example for each route"

_CONNECTOR_TEXT = """\
The workspace CONNECTOR_SEAM_WORKSPACE_ID is no sandbox. Its credential manager is asked at {}, signed with
CONNECTOR_SECRET. docs/connector.md has the steps to its first phone.
"""

_template = click.option(
    "--template",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("template.yaml"),
    show_default=True,
    help="The template to run.",
)
_parameters = click.option(
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="A value for a template parameter, in place of its default. Can be repeated.",
)
_dynamodb_endpoint = click.option(
    "--dynamodb-endpoint",
    envvar="DYNAMODB_ENDPOINT",
    metavar="URL",
    help="A DynamoDB server to use instead of moto. It keeps its data.",
)


_port = click.option(
    "--port", type=click.IntRange(0, 65535), default=3000, show_default=True, help="Port on 127.0.0.1."
)
_sam = click.option(
    "--sam",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    default=Path(".venv-sam/bin/sam"),
    show_default=True,
    help="The SAM CLI.",
)


def show_event(event: Mapping[str, Any], terminal: TextIO) -> None:
    """Show an event of a bus in a line of the terminal: its time, its type, and what it is about."""
    detail: Mapping[str, str] = event["detail"]
    at = datetime.now().astimezone().strftime("%H:%M:%S")
    terminal.write(f"{at}  event  {detail['event_type']}  {about(detail)}\n")
    terminal.flush()


@click.group()
def local() -> None:
    """The deployed system on this machine, without AWS."""


@local.command()
@_port
@_template
@_parameters
@_dynamodb_endpoint
@click.option(
    "--connector",
    metavar="1|URL",
    help="Add a demo workspace that is no sandbox: with the example of a connector, or with one that answers at URL.",
)
@click.option(
    "--connector-port", type=click.IntRange(1, 65535), default=3100, show_default=True, help="Port of the example."
)
def run(  # noqa: PLR0913, PLR0917 - each is an option
    port: int,
    template: Path,
    parameters: tuple[str, ...],
    dynamodb_endpoint: str | None,
    connector: str | None,
    connector_port: int,
) -> None:
    """Serve the template's API over HTTP, with demo workspaces."""
    _end_when_interrupted()
    log_path = _LOCAL_FOLDER / "functions.log"
    try:
        with listen(port) as listener:  # first, because a running server on this port may own the log
            _LOCAL_FOLDER.mkdir(exist_ok=True)
            with (
                log_path.open("w") as log,
                serve_moto(HOST) as moto,
                open_stack(
                    template,
                    parameters=_read_parameters(parameters),
                    dynamodb_endpoint=dynamodb_endpoint or None,
                    log=log,
                    terminal=sys.stderr,
                    moto=moto,
                    tell=partial(show_event, terminal=sys.stderr),
                ) as stack,
                _connector(connector, template.parent, connector_port) as connector_url,
            ):
                pages = {
                    start_page.PATH: start_page.start_page(stack.demo.variables),
                    docs_page.PATH: docs_page.docs_page(
                        template.parent / "openapi.json", stack.demo.variables["SEAM_API_KEY"]
                    ),
                }
                server = Server(listener, stack.gateway, sys.stderr, pages)
                variables = {"SEAM_ENDPOINT": f"http://{HOST}:{server.server_address[1]}", **stack.demo.variables}
                if connector_url is not None:
                    variables |= connect_demo(stack.table, connector_url)
                _write_variables(variables)
                click.echo(_introduction(variables, stack.gateway.routes, log_path, has_pages=True))
                if connector_url is not None:
                    click.echo(_CONNECTOR_TEXT.format(connector_url))
                system = str(stack.endpoint), stack.table_name, variables["SEAM_WORKSPACE_ID"]
                with announced(*system, variables["SEAM_ENDPOINT"]):
                    click.echo(f"Listening on {variables['SEAM_ENDPOINT']}; Ctrl-C stops it. Requests and events:\n")
                    serve(server)
    except (TemplateError, StackError) as error:
        raise CommandFailed(error) from error
    except OSError as error:
        _fail_to_write(error)
    except KeyboardInterrupt:
        click.echo(err=True)
    _end_without_waiting()


@local.command()
@click.argument("event", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@_template
@_parameters
@_dynamodb_endpoint
def invoke(event: Path, template: Path, parameters: tuple[str, ...], dynamodb_endpoint: str | None) -> None:
    """Run one EVENT (a JSON file) in this process and print the function's response.

    The function logs to standard error.
    """
    content = _read_event(event)
    try:
        with open_stack(
            template,
            parameters=_read_parameters(parameters),
            dynamodb_endpoint=dynamodb_endpoint or None,
            log=sys.stderr,
            terminal=sys.stderr,
        ) as stack:
            response = stack.invoke(content)
    except (TemplateError, StackError, FunctionError) as error:
        raise CommandFailed(error) from error
    click.echo(json.dumps(response, indent=2))


@local.command()
@_template
def expand(template: Path) -> None:
    """Print the template as CloudFormation gets it: in JSON, after the SAM transform."""
    try:
        click.echo(json.dumps(expand_template(template), indent=2))
    except TemplateError as error:
        raise CommandFailed(error) from error


@local.command("sam")
@_port
@_template
@_sam
@_dynamodb_endpoint
def run_in_containers(port: int, template: Path, sam: Path, dynamodb_endpoint: str | None) -> None:
    """Serve the built functions in Lambda's containers, with the same demo workspaces (``sam local start-api``)."""
    _end_when_interrupted()
    log_path = _LOCAL_FOLDER / "sam-local.log"
    try:
        _LOCAL_FOLDER.mkdir(exist_ok=True)
        with (
            log_path.open("w") as log,
            open_containers(template, sam, dynamodb_endpoint=dynamodb_endpoint or None) as containers,
            containers.serve("start-api", port, log) as process,
        ):
            stack = containers.stack
            variables = {"SEAM_ENDPOINT": f"http://{HOST}:{port}", **stack.demo.variables}
            _write_variables(variables)
            click.echo(_introduction(variables, stack.gateway.routes, log_path))
            click.echo(f"Listening on {variables['SEAM_ENDPOINT']}; Ctrl-C stops it.")
            process.wait()
            raise CommandFailed(f"sam local ended by itself; see {log_path}")
    except (TemplateError, StackError) as error:
        raise CommandFailed(error) from error
    except OSError as error:
        _fail_to_write(error)
    except KeyboardInterrupt:
        click.echo(err=True)


@local.command("sam-invoke")
@click.argument("event", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@_template
@_sam
@_dynamodb_endpoint
def invoke_in_container(event: Path, template: Path, sam: Path, dynamodb_endpoint: str | None) -> None:
    """Run one EVENT (a JSON file) on a built function in Lambda's container (``sam local invoke``)."""
    content = _read_event(event)
    try:
        with open_containers(template, sam, dynamodb_endpoint=dynamodb_endpoint or None) as containers:
            status = containers.invoke(event, containers.function_for(content))
    except (TemplateError, StackError) as error:
        raise CommandFailed(error) from error
    sys.exit(status)


@contextmanager
def _connector(connector: str | None, folder: Path, port: int) -> Iterator[str | None]:
    """Give the URL of the connector that the option names, if it names one."""
    if connector == EXAMPLE:
        with example_connector(folder, port, sys.stderr) as url:
            yield url
        return
    if connector:
        try:
            require_allowed(connector, on_loopback=True)
        except ForbiddenAddress as error:
            raise CommandFailed(f"--connector {connector}: {error}; 1 runs the example") from error
    yield connector or None


def _end_when_interrupted() -> None:
    # make and supervisors send SIGTERM.  A script's background process ignores SIGINT unless it sets a handler.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def _end_without_waiting() -> NoReturn:
    """End the process.  Python would wait for the threads of deliveries, and a receiver may take 15 s."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _fail_to_write(error: OSError) -> NoReturn:
    """End a command that cannot write its files.

    Raises:
        CommandFailed: The error names a file.
        OSError: It names none, so it is a defect.
    """
    if error.filename is None:
        raise error
    raise CommandFailed(
        f"{error.filename}: {error.strerror}; this command writes its files into {_LOCAL_FOLDER}/"
    ) from error


def _read_event(path: Path) -> dict[str, Any]:
    try:
        # PowerShell writes a byte order mark.
        content = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CommandFailed(f"{path}: not JSON in UTF-8: {error}; {_EXAMPLES}") from error
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}") from error
    if not isinstance(content, dict):
        raise CommandFailed(f"{path}: an event is a JSON object; {_EXAMPLES}")
    return content


def _read_parameters(given: tuple[str, ...]) -> dict[str, str]:
    parameters = {}
    for parameter in given:
        name, separator, value = parameter.partition("=")
        if not separator:
            raise click.BadParameter(f"{parameter}: write NAME=VALUE")
        parameters[name] = value
    return parameters


def _write_variables(variables: Mapping[str, str]) -> None:
    lines = "".join(f"{name}={value}\n" for name, value in variables.items())
    # Write another file and rename it, so that a script that waits for demo.env never reads half of it.
    unfinished = _LOCAL_FOLDER / "demo.env.new"
    unfinished.write_text(lines)
    unfinished.replace(_LOCAL_FOLDER / "demo.env")


def _introduction(
    variables: Mapping[str, str], routes: list[tuple[str, str]], log_path: Path, *, has_pages: bool = False
) -> str:
    values = dict(variables)
    listed = "\n".join(f"{name}={value}" for name, value in values.items())
    methods: dict[str, list[str]] = {}
    for method, path in routes:
        if method != "OPTIONS":  # only browsers send preflight requests
            methods.setdefault(path, []).append(method)
    served = "\n".join(f"  {path}  {', '.join(verbs)}" for path, verbs in sorted(methods.items()))
    see = try_routes = ""
    if has_pages:
        see = f"See a phone get its credential, in a browser: {values['SEAM_ENDPOINT']}{start_page.PATH}\n\n"
        try_routes = f"Try them in a browser: {values['SEAM_ENDPOINT']}{docs_page.PATH}\n\n"
    return f"""\
{see}{listed}

The variables above are in .local/demo.env. The functions log to {log_path}.

Routes:
{served}

{try_routes}Launch with curl:

curl -sS {values["SEAM_ENDPOINT"]}/user_identities/enrollment_automations/launch -H 'Authorization: Bearer \
{values["SEAM_API_KEY"]}' -H 'Content-Type: application/json' -d '{{"user_identity_id":"{values["USER_IDENTITY_ID"]}",\
"credential_manager_acs_system_id":"{values["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]}","create_credential_manager_user":true}}'

Launch with the Python SDK (pip install seam==1.116.0):

from seam import Seam
seam = Seam(api_key="{values["SEAM_API_KEY"]}", endpoint="{values["SEAM_ENDPOINT"]}")
user_identity, credential_manager = "{values["OTHER_USER_IDENTITY_ID"]}", "{values["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"]}"
automation = seam.user_identities.enrollment_automations.launch(user_identity_id=user_identity, \
credential_manager_acs_system_id=credential_manager, create_credential_manager_user=True)
print(automation)
"""
