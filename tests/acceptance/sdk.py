"""The published SDKs, each driven in a process of its own that is kept for all calls of a test run."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.fixtures import PROJECT

if TYPE_CHECKING:
    from tests.acceptance.conftest import Service

CLIENTS = Path(__file__).parent
AUTOMATIONS = "/user_identities/enrollment_automations"
UNKNOWN = "00000000-0000-4000-8000-000000000000"

# The verbs of the published API; every other route is a POST.
_VERBS = {
    "add": "PUT",
    "deactivate": "DELETE",
    "delete": "DELETE",
    "get": "GET",
    "list": "GET",
    "remove": "DELETE",
    "update": "PATCH",
}
_VERBS_OF_ROUTES = {
    "/client_sessions/create": "PUT",
    "/client_sessions/get_or_create": "POST",
    "/client_sessions/grant_access": "PATCH",
    "/seam/mobile_sdk/v1/phone_sessions/get_or_create": "POST",
    "/webhooks/update": "PUT",
}

# A route and its parameters; ``None`` is a call without arguments.
type Call = tuple[str, Mapping[str, Any] | None]
type Outcome = dict[str, Any]
type Command = tuple[Path | str, ...]


class Driver:
    """A process of an SDK, which does a task for each line of its standard input; to start one takes half a second."""

    def __init__(self, command: Command) -> None:
        # The SDKs take what the options leave out from variables that a person who tried `make run` has set.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SEAM_")}
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(  # noqa: S603 - our own
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=environment
        )

    def outcomes_of(self, task: Mapping[str, Any]) -> list[Outcome]:
        """Have a task done, or end the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps(task), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
            assert line.endswith("\n"), self._what_was_wrong()
        except BaseException:
            self.end()
            raise
        outcomes: list[Outcome] = json.loads(line)
        return outcomes

    def end(self) -> None:
        """End the process."""
        with self._errors, self._process:
            self._process.kill()

    def _what_was_wrong(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        return self._errors.read()


# Those that have nothing to do.
_drivers: dict[Command, Driver] = {}


def end_drivers() -> None:
    """End the processes of all SDKs."""
    while _drivers:
        _drivers.popitem()[1].end()


@dataclass(frozen=True)
class Sdk:
    """A major of an SDK, a way of using it, and what sets it apart.

    Attributes:
        command: Starts its driver.
        way: By its methods, which choose the verb themselves; or all by its HTTP client, with POST or the route's verb.
            Routes without a method are a POST by the client.
        drops: Properties of an automation that its classes do not have.
        tells_fields: Whether an invalid input error has messages for each field.
        tells_null: Whether its methods can send null.
    """

    command: Command
    way: Literal["methods", "post", "verbs"] = "methods"
    drops: frozenset[str] = frozenset()
    tells_fields: bool = True
    tells_null: bool = True

    def call(self, service: "Service", *calls: Call, fields: Sequence[str] = (), **options: str) -> list[Outcome]:
        """Make the calls with one client of the SDK, with the demo workspace's key unless the options say otherwise.

        Args:
            service: Where they go.
            calls: Routes with their parameters.
            fields: Whose messages an invalid input error is asked for.
            options: The SDK's.
        """
        tasks = [{"route": route, "parameters": parameters, "verb": self._verb(route)} for route, parameters in calls]
        return self._run(service, tasks, fields, options)

    def all_pages(self, service: "Service", route: str, parameters: Mapping[str, Any], **options: str) -> list[Any]:
        """Return all records of a list, by the SDK's own paginator."""
        (outcome,) = self._run(service, [{"route": route, "parameters": parameters, "pages": True}], (), options)
        records: list[Any] = outcome["result"]
        return records

    def _verb(self, route: str) -> str | None:
        action = route.rpartition("/")[2].partition("_")[0]
        verb = _VERBS_OF_ROUTES.get(route) or _VERBS.get(action, "POST")
        return {"methods": None, "post": "POST", "verbs": verb}[self.way]

    def _run(
        self, service: "Service", calls: Sequence[Any], fields: Sequence[str], options: Mapping[str, str]
    ) -> list[Outcome]:
        task = {
            "options": {"endpoint": service.base_url} | (dict(options) or {"api_key": service["SEAM_API_KEY"]}),
            "calls": calls,
            "fields": fields,
        }
        driver = _drivers.pop(self.command, None) or Driver(self.command)
        outcomes = driver.outcomes_of(task)
        _drivers[self.command] = driver
        assert len(outcomes) == len(calls)
        return outcomes


def python(major: int) -> Command:
    return PROJECT / f".venv-seam-{major}/bin/python", CLIENTS / "sdk_client.py"


def javascript(major: int) -> Command:
    return "node", CLIENTS / f"javascript/http-{major}/client.mjs"


DROPPED_BY_SEAM_1 = frozenset({"acs_credential_provisioning_automation_id", "is_running"})
SEAM_1 = Sdk(python(1), drops=DROPPED_BY_SEAM_1, tells_fields=False, tells_null=False)


def installed(sdk: Sdk) -> Sdk:
    """Return the SDK, or fail with what is missing."""
    python_or_node, client = map(Path, sdk.command)
    here = python_or_node.exists() if python_or_node.is_absolute() else (client.parent / "node_modules").exists()
    assert here, f"the SDK of {client} is not installed; `make test` and `make test-javascript` do that"
    return sdk


def param(sdk: Sdk, name: str) -> Any:
    """Return an SDK as a test's parameter."""
    return pytest.param(sdk, id=name, marks=pytest.mark.javascript if name.startswith("http") else ())


def codes(outcomes: Sequence[Outcome]) -> list[str | None]:
    """Return the code of each error; ``None`` is a result."""
    return [outcome["error"]["code"] if "error" in outcome else None for outcome in outcomes]


def assert_unauthorized(outcomes: Sequence[Outcome]) -> None:
    """Require that an SDK raised its unauthorized error each time."""
    for outcome in outcomes:
        error = outcome["error"]
        assert (error["class"], error["code"]) == ("SeamHttpUnauthorizedError", "unauthorized")
        assert (error["status_code"], error["has_request_id"]) == (401, True)
