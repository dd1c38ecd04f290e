"""Runs the built functions in Lambda's containers with ``sam local``, on the local stack's table."""

import ipaddress
import json
import os
import platform
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO
from urllib.parse import urlsplit

import yaml

from enrollments.local.stack import Stack, open_stack
from local_aws.errors import StackError
from local_aws.moto_server import serve_moto
from local_aws.template import STACK_NAME

# This machine's name in a container.
_HOST_NAME = "host.docker.internal"
_LOOPBACK = "127.0.0.1"
_START_SECONDS = 300  # the image may have to be pulled
_END_SECONDS = 30
# Variables that refer to resources.  `sam local` knows their logical IDs only.
_REFERRING = (
    "CLIENT_SESSIONS_SECRET_ARN",
    "CONNECTORS_SECRET_ARN",
    "DELIVERIES_QUEUE_URL",
    "EVENTS_FAILURES_QUEUE_URL",
    "EVENT_BUS_NAME",
    "PROVISIONING_FUNCTION",
    "REDELIVERIES_FUNCTION",
    "TABLE_NAME",
    "WEBHOOKS_SECRET_ARN",
)


@dataclass(frozen=True, slots=True)
class Containers:
    """Runs ``sam local`` with the options that the functions need.

    Attributes:
        stack: The local stack, whose table the functions in containers share.
    """

    stack: Stack
    _sam: Path
    _options: tuple[str, ...]

    def command(self, name: str, *arguments: str) -> list[str]:
        """Return the arguments of a ``sam local`` command, with the options that the functions need."""
        return [str(self._sam), "local", name, *arguments, *self._options]

    def function_for(self, event: Mapping[str, Any]) -> str:
        """Return the logical ID of the function that an event is for.

        Raises:
            StackError: No function takes such an event.
        """
        return self.stack.function_for(event).removeprefix(f"{STACK_NAME}-")

    def invoke(self, event: Path, function: str) -> int:
        """Run one event in a container and return SAM's exit status."""
        return subprocess.run(  # noqa: S603
            self.command("invoke", function, "--event", str(event)), check=False
        ).returncode

    @contextmanager
    def serve(self, name: str, port: int, log: TextIO, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run ``start-api`` or ``start-lambda`` until the context ends.  The context begins when the port is open.

        Raises:
            StackError: The port is taken, or the command ended or did not listen in time.
        """
        with socket.socket() as client:
            if client.connect_ex((_LOOPBACK, port)) == 0:
                raise StackError(f"port {port} is taken; choose another: make sam-local PORT={port + 1}")
        command = self.command(name, "--port", str(port), "--warm-containers", "EAGER", "--no-watch", *arguments)
        # In its own session, SAM does not get the terminal's Ctrl-C as well as the signal below.
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: S603
        try:
            _wait_until_it_listens(process, port, log.name)
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
            process.kill()
            process.wait()
            _remove_containers(Path(log.name))


@contextmanager
def open_containers(
    template: Path, sam: Path, *, dynamodb_endpoint: str | None = None, log: TextIO | None = None
) -> Iterator[Containers]:
    """Provide a table with demo workspaces for functions in containers, until the context ends.

    Args:
        template: The template.  Its build is in the folder ``.aws-sam`` beside it.
        sam: The SAM CLI.
        dynamodb_endpoint: A DynamoDB server to use instead of moto.  It keeps its data.
        log: Gets the output of functions that run in this process; standard error by default.

    Raises:
        TemplateError: The template has a part that cannot be interpreted here.
        StackError: There is no Docker engine, there is no build, or the DynamoDB server does not answer.
    """
    bridge = _bridge_address()
    built = template.parent / ".aws-sam/build/template.yaml"
    if not built.is_file():
        raise StackError("nothing is built: make build")
    log = log or sys.stderr
    with ExitStack() as exit_stack:
        moto = exit_stack.enter_context(serve_moto(_LOOPBACK))
        stack = exit_stack.enter_context(
            open_stack(template, dynamodb_endpoint=dynamodb_endpoint, log=log, terminal=log, moto=moto)
        )
        os.environ["SAM_CLI_TELEMETRY"] = "0"
        folder = Path(exit_stack.enter_context(TemporaryDirectory()))
        derived = folder / "template.yaml"
        derived.write_text(yaml.safe_dump(for_sam_local(yaml.safe_load(built.read_text()), built.parent.absolute())))
        variables = folder / "variables.json"
        services = exit_stack.enter_context(_reachable(moto.url, bridge))
        database = services
        if dynamodb_endpoint is not None:
            database = exit_stack.enter_context(_reachable(dynamodb_endpoint, bridge))
        interpreted: dict[str, str] = {}
        for function in stack.functions.definitions.values():
            interpreted |= function.environment
        values = {
            **{name: interpreted[name] for name in _REFERRING},
            "AWS_ENDPOINT_URL_DYNAMODB": database,
            **{f"AWS_ENDPOINT_URL_{name}": services for name in ("EVENTBRIDGE", "LAMBDA", "SECRETS_MANAGER", "SQS")},
        }
        variables.write_text(json.dumps({"Parameters": values}))
        yield Containers(stack, sam, _options(derived, variables))


def _docker(*arguments: str) -> str:
    if shutil.which("docker") is None:
        raise StackError("Docker is needed, but this machine has no docker command")
    finished = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if finished.returncode:
        raise StackError(f"Docker is needed: {finished.stderr or finished.stdout}")
    return finished.stdout


def _bridge_address() -> str:
    """Return the address at which containers reach a Linux host.  On other systems the host does not have it."""
    (network,) = json.loads(_docker("network", "inspect", "bridge"))[0]["IPAM"]["Config"]
    return str(network.get("Gateway") or next(ipaddress.ip_network(network["Subnet"]).hosts()))


def for_sam_local(template: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a built template without its preflight routes, and without durable functions' configuration.

    ``sam local`` keeps one authorizer for all routes of a path, and its choice changes from start to start.  A
    preflight has no authorizer.  If SAM chooses that, it does not check tokens.

    For a durable function, SAM starts an emulator in one more image.  Nothing invokes such a function here.
    """
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        properties.pop("DurableConfig", None)
        for code in {"CodeUri", "ContentUri"} & properties.keys():
            properties[code] = str(folder / properties[code])
        if resource["Type"] == "AWS::Serverless::Function" and "Events" in properties:
            properties["Events"] = {
                name: event
                for name, event in properties["Events"].items()
                if event["Properties"].get("Method") != "OPTIONS"
            }
    return template


def _options(template: Path, variables: Path) -> tuple[str, ...]:
    architecture = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
    image = f"*/lambda/python:3.13-{architecture}"
    pull = ["--skip-pull-image"] if _docker("image", "ls", "--quiet", "--filter", f"reference={image}") else []
    return (
        *("--template", str(template), "--env-vars", str(variables), *pull),
        *("--parameter-overrides", f"Architecture={architecture}", "--add-host", f"{_HOST_NAME}:host-gateway"),
    )


def _remove_containers(log: Path) -> None:
    """Remove the containers that SAM started.  It forgets those that it started for simultaneous requests."""
    if container_ids := re.findall(r"^SAM_CONTAINER_ID: (\w+)", log.read_text(errors="replace"), re.MULTILINE):
        with suppress(StackError):  # SAM has removed most of them
            _docker("rm", "--force", *container_ids)


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise StackError(f"sam local ended by itself; see {log}")
        with socket.socket() as client:
            if client.connect_ex((_LOOPBACK, port)) == 0:
                return
        time.sleep(0.2)
    raise StackError(f"sam local does not answer; see {log}")


@contextmanager
def _reachable(endpoint: str, bridge: str) -> Iterator[str]:
    """Yield the address at which a container reaches a server.

    On Linux, containers cannot reach this machine's loopback.  A relay on the bridge's address passes their
    connections on.  If Docker runs in a virtual machine, containers do reach the loopback.
    """
    address = urlsplit(endpoint)
    if address.hostname not in {_LOOPBACK, "localhost"}:
        yield endpoint
        return
    target = (_LOOPBACK, address.port or 80)
    try:
        listener = socket.create_server((bridge, 0), backlog=128)
    except OSError:
        yield f"{address.scheme}://{_HOST_NAME}:{target[1]}"
        return
    with listener:
        threading.Thread(target=_relay, args=(listener, target), daemon=True).start()
        yield f"{address.scheme}://{_HOST_NAME}:{listener.getsockname()[1]}"


def _relay(listener: socket.socket, target: tuple[str, int]) -> None:
    with suppress(OSError):  # the listener is closed
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_connect, args=(client, target), daemon=True).start()


def _connect(client: socket.socket, target: tuple[str, int]) -> None:
    with suppress(OSError), client, socket.create_connection(target) as server:
        other = {client: server, server: client}
        while True:
            for source in select.select([client, server], [], [])[0]:
                content = source.recv(65536)
                if not content:
                    return
                other[source].sendall(content)
