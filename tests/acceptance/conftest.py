"""The service over HTTP: the local stack, the built functions in ``sam local``, or any other at a base URL.

``ENROLLMENTS_SAM`` names the SAM CLI whose ``sam local start-api`` is to be the target.  ``ENROLLMENTS_BASE_URL`` names
another target; its table must then be reachable (``AWS_ENDPOINT_URL_DYNAMODB`` and ``ENROLLMENTS_TABLE_NAME``) and hold
the demo workspaces.
"""

import io
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import httpx
import pytest

from enrollment.store.client import create_client
from enrollment.store.table import Table
from enrollments.local import docs_page, start_page
from enrollments.local.commands import show_event
from enrollments.local.containers import Containers, open_containers
from enrollments.local.demo import demo
from enrollments.local.stack import open_stack
from local_aws.moto_server import MotoServer
from local_aws.server import Server, listen
from tests.acceptance.sdk import end_drivers
from tests.fixtures import Workspace

# Whether the service is the local stack, in this process.
IN_PROCESS = {"ENROLLMENTS_BASE_URL", "ENROLLMENTS_SAM"}.isdisjoint(os.environ)

# To read them takes longer than most requests.
CERTIFICATES = httpx.create_ssl_context()


@dataclass(frozen=True)
class Service:
    """A running service with its demo workspaces.

    Attributes:
        base_url: Where it is.
        variables: What ``make run`` prints.
        workspace: Puts more items into the demo workspace.
        terminal: What a person would see, if it runs here.
    """

    base_url: str
    variables: Mapping[str, str]
    workspace: Workspace
    terminal: io.StringIO

    def __getitem__(self, name: str) -> str:
        return self.variables[name]

    def request(self, method: str, target: str, **more: Any) -> httpx.Response:
        """Send a request on a connection of its own."""
        return httpx.request(method, self.base_url + target, timeout=30, verify=CERTIFICATES, **more)

    def post(self, route: str, body: object = None, *, token: str | None = None, **more: Any) -> httpx.Response:
        """POST to a route with the demo workspace's key or another token."""
        headers = {"Authorization": f"Bearer {token or self['SEAM_API_KEY']}"} | more.pop("headers", {})
        return self.request("POST", route, headers=headers, **({"json": body} | more if body is not None else more))

    def launch(self, body: object = None, *, token: str | None = None, **more: Any) -> httpx.Response:
        """POST a launch with the demo workspace's key."""
        return self.post("/user_identities/enrollment_automations/launch", body, token=token, **more)

    def pair(self) -> dict[str, str]:
        """Return the parameters of a launch that nobody has made."""
        return {
            "user_identity_id": self.workspace.user_identity(),
            "credential_manager_acs_system_id": self["CREDENTIAL_MANAGER_ACS_SYSTEM_ID"],
        }


@pytest.fixture(scope="session", autouse=True)
def sdks() -> Iterator[None]:
    yield
    end_drivers()


@pytest.fixture(scope="session")
def containers_log(project: Path) -> Iterator[TextIO]:
    folder = project / ".local"
    folder.mkdir(exist_ok=True)
    with (folder / "test-sam-local.log").open("w") as log:
        yield log


@pytest.fixture(scope="session")
def containers(project: Path, containers_log: TextIO) -> Iterator[Containers]:
    sam = project / os.environ["ENROLLMENTS_SAM"]
    with open_containers(project / "template.yaml", sam, log=containers_log) as containers:
        yield containers


@pytest.fixture(scope="session")
def sam_local(containers: Containers, containers_log: TextIO) -> Iterator[Service]:
    """The build in containers.  All modules share them, because they take a while to start."""
    variables = containers.stack.demo.variables
    workspace = Workspace(containers.stack.table, variables["SEAM_WORKSPACE_ID"])
    with containers.serve("start-api", port := free_port(), containers_log):
        yield Service(f"http://127.0.0.1:{port}", variables, workspace, io.StringIO())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def service(project: Path, request: pytest.FixtureRequest) -> Iterator[Service]:
    if "ENROLLMENTS_SAM" in os.environ:
        yield request.getfixturevalue("sam_local")
        return
    if base_url := os.environ.get("ENROLLMENTS_BASE_URL"):
        variables = demo().variables
        table = Table(create_client(), os.environ["ENROLLMENTS_TABLE_NAME"])
        yield Service(base_url, variables, Workspace(table, variables["SEAM_WORKSPACE_ID"]), io.StringIO())
        return
    with serve_stack(project) as service:
        yield service


@contextmanager
def serve_stack(
    project: Path, parameters: Mapping[str, str] | None = None, *, moto: MotoServer | None = None, **options: Any
) -> Iterator[Service]:
    """Serve the local stack with parameters of the template until the context ends.

    With a server of moto, what follows a request happens, too: the terminal shows each event.
    """
    terminal = io.StringIO()
    following = {} if moto is None else {"moto": moto, "tell": partial(show_event, terminal=terminal)}
    with open_stack(
        project / "template.yaml",
        parameters=parameters,
        log=io.StringIO(),
        terminal=terminal,
        **following,  # type: ignore[arg-type]
        **options,
    ) as stack:
        variables = stack.demo.variables
        pages = {
            start_page.PATH: start_page.start_page(variables),
            docs_page.PATH: docs_page.docs_page(project / "openapi.json", variables["SEAM_API_KEY"]),
        }
        server = Server(listen(0), stack.gateway, terminal, pages)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        workspace = Workspace(stack.table, variables["SEAM_WORKSPACE_ID"])
        yield Service(f"http://127.0.0.1:{server.server_address[1]}", variables, workspace, terminal)
        server.shutdown()
        thread.join()
        server.server_close()
