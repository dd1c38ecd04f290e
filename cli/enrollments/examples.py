"""Examples for the API document: the requests of the folder ``events``, and what the demo workspace answers.

The answers are asked for when the document is made, so a reader who tries the requests gets the same.
"""

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from enrollment.errors import (
    EnrollmentAutomationAlreadyExists,
    EnrollmentError,
    InvalidInput,
    UserIdentityAlreadyExists,
)
from enrollment.http.routes import Route
from enrollments.local.demo import demo
from enrollments.local.stack import open_stack
from local_aws.gateway import Request

type Json = dict[str, Any]


class ExampleError(Exception):
    """A route has no example, or one that does not work; the message says which in one line."""


def example_events(project: Path) -> dict[tuple[str, str], Json]:
    """Return the events of the folder ``events`` by path and verb.

    Args:
        project: The folder of ``events``.
    """
    events = [json.loads(path.read_text()) for path in sorted((project / "events").glob("*.json"))]
    return {(event["resource"], event["httpMethod"]): event for event in events if "resource" in event}


def request_examples(project: Path, routes: Iterable[Route]) -> dict[str, Json]:
    """Return parameters that work in the demo workspace, by path: those of the route's event.

    Args:
        project: The folder of ``events``.
        routes: The routes.

    Raises:
        ExampleError: A route has no event.
    """
    events = example_events(project)
    examples = {}
    for route in routes:
        event = events.get((route.path, "POST"))
        if event is None:
            raise ExampleError(f"events/ has no event for POST {route.path}")
        examples[route.path] = json.loads(event["body"])
    return examples


def answer_examples(project: Path, routes: Iterable[Route], requests: Mapping[str, Json]) -> dict[str, Json]:
    """Return an answer of each route, by path.

    What changes something is not asked: what it answers with is new each time, or nothing.  The ``get`` beside it or
    above it answers with such a thing that is there already.  A route for client sessions only has no such ``get``.

    Args:
        project: The folder of ``template.yaml``.
        routes: The routes.
        requests: Their parameters, from ``request_examples``.

    Raises:
        ExampleError: The demo workspace refuses a request.
    """
    by_path = {route.path: route for route in routes}
    examples: dict[str, Json] = {}
    with open_stack(project / "template.yaml", log=io.StringIO(), terminal=io.StringIO()) as stack:
        demo_variables = stack.demo.variables

        def ask(route: Route) -> Json:
            token = demo_variables["SEAM_API_KEY" if route.for_servers else "SEAM_CLIENT_SESSION_TOKEN"]
            headers = [
                ("Authorization", f"Bearer {token}"),
                ("Content-Type", "application/json"),
                ("Host", "api.example.com"),
            ]
            body = json.dumps(requests[route.path]).encode()
            response = stack.gateway.handle(Request("POST", route.path, headers, body))
            # Addresses of other pages are made of the request's own; on this machine there is no TLS.
            answer: Json = json.loads(response.body.replace(b"http://", b"https://"))
            if not answer["ok"]:
                raise ExampleError(f"the event of POST {route.path} does not work: {answer['error']['message']}")
            return answer

        for path, route in by_path.items():
            if "GET" in route.methods or not route.for_servers:
                examples[path] = ask(route)
            elif "ok" in route.response.model_fields and len(route.response.model_fields) == 1:
                examples[path] = {"ok": True}
            else:
                examples[path] = ask(_get_for(path, by_path))
    return examples


def _get_for(path: str, by_path: Mapping[str, Route]) -> Route:
    """Return the route that answers with such a thing as another one makes."""
    folder = path
    while folder:
        folder = folder.rpartition("/")[0]
        if route := by_path.get(f"{folder}/get"):
            return route
    raise ExampleError(f"no route answers with what {path} makes")


def error_example(error: type[EnrollmentError]) -> EnrollmentError:
    """Return an error as a route answers with it."""
    automation_id = demo().automation.enrollment_automation_id
    known: Mapping[type[EnrollmentError], EnrollmentError] = {
        # What a launch with these parameters is answered with: {"acs_credential_pool_id": "x"}
        InvalidInput: InvalidInput(
            [
                ("user_identity_id", "Required"),
                ("credential_manager_acs_system_id", "Required"),
                ("acs_credential_pool_id", "Invalid uuid"),
            ]
        ),
        EnrollmentAutomationAlreadyExists: EnrollmentAutomationAlreadyExists(automation_id),
        UserIdentityAlreadyExists: UserIdentityAlreadyExists("email_address", demo().variables["USER_IDENTITY_ID"]),
    }
    return known.get(error) or error()
