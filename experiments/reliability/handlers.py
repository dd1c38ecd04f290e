"""The functions in this process, without a gateway, and the rules that every answer must keep."""

import io
import json
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

from enrollment.errors import (
    EnrollmentError,
    InvalidContentType,
    InvalidInput,
    InvalidJson,
    RouteNotFound,
    Unauthorized,
)
from enrollment.http.routes import Route
from enrollment.store.attributes import Item
from enrollment.store.client import create_client
from enrollment.store.keys import token_key
from enrollment.use_cases.tokens import LAST_USED
from enrollments.local.stack import Stack, open_stack
from experiments.reliability.hostile import MARKER, SECRET, Event
from local_aws.functions import InvocationContext
from local_aws.policy import Authorization
from tests.fixtures import PROJECT, Store
from tests.invariants import violations

LARGEST_ANSWER = 6 * 1024 * 1024  # bytes, Lambda's quota "Invocation payload"
AUTHORIZER = "authorizer"
_EVERYWHERE: Sequence[type[EnrollmentError]] = (
    Unauthorized,
    RouteNotFound,
    InvalidContentType,
    InvalidJson,
    InvalidInput,
)


@dataclass(frozen=True)
class Asked:
    """The result of an event.

    Attributes:
        status: The answer's; of the authorizer, 200 for Allow and 401 for Deny; 0 is no answer.
        seconds: How long it took.
        problems: The rules that it breaks.
    """

    status: int
    seconds: float
    problems: Sequence[str]


@dataclass
class Service:
    """The functions, their log and their table.

    Attributes:
        stack: The stack that they are of.
        store: Its table.
        log: What they printed since the last event.
        handlers: Them, by the names of their folders.
        routes: What each of them serves.
        good_tokens: The tokens that the authorizer lets in.
    """

    stack: Stack
    store: Store
    log: io.StringIO
    handlers: dict[str, Callable[[Event, Any], Any]]
    routes: Mapping[str, Mapping[str, Route]]
    good_tokens: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        variables = self.stack.demo.variables
        self.good_tokens = frozenset(
            variables[name]
            for name in (
                "SEAM_API_KEY",
                "SEAM_PERSONAL_ACCESS_TOKEN",
                "SEAM_CLIENT_SESSION_TOKEN",
                "OTHER_SEAM_API_KEY",
            )
        )

    def function_of(self, event: Event) -> str:
        """Return the function that takes an event.  An event of an unknown route goes to any of them."""
        if "authorizationToken" in event:
            return AUTHORIZER
        serving = (name for name, routes in self.routes.items() if event["resource"] in routes)
        return next(serving, next(iter(self.routes)))

    def ask(self, event: Event) -> Asked:
        """Give an event to its function, and check the answer and the log."""
        name = self.function_of(event)
        handler = self.handlers[name]
        context = InvocationContext(name, f"arn:{name}", 256, time.monotonic() + 30)
        self.log.seek(0)
        self.log.truncate()
        begun = time.thread_time()
        try:
            with redirect_stdout(self.log):
                answer = handler(event, context)
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            return Asked(0, time.thread_time() - begun, [traceback.format_exc()])
        seconds = time.thread_time() - begun
        try:
            if name == AUTHORIZER:
                status, problems = self._policy(event, answer)
            else:
                status, problems = answer["statusCode"], list(_of_answer(self.routes[name], event, answer))
            json.dumps(answer, ensure_ascii=False).encode()
        except (AssertionError, KeyError, TypeError, ValueError, AttributeError):
            status, problems = 0, [traceback.format_exc()]
        return Asked(status, seconds, [*problems, *_of_log(self.log.getvalue())])

    def restore(self) -> list[str]:
        """Return what is wrong with the table, and restore its first content."""
        items, seeded = self.store.items(), self.stack.demo.items
        wrong = violations(items)
        wrong += [
            f"{key} was {item}"
            for key, item in seeded.items()
            if key.pk.startswith("TOKEN") and "client_session_id" not in item and _unused(items.get(key, {})) != item
        ]
        self.store.restore(seeded)
        return wrong

    def _policy(self, event: Event, answer: Any) -> tuple[int, list[str]]:
        Authorization.from_answer(json.loads(json.dumps(answer)))
        (statement,) = answer["policyDocument"]["Statement"]
        header = event["authorizationToken"]
        words = header.split()
        is_good = len(words) == 2 and words[0].lower() == "bearer" and words[1] in self.good_tokens
        match statement["Effect"]:
            case "Allow":
                is_its = answer["principalId"] == words[-1].split("_")[1] if words else False
                return 200, [] if is_good and is_its else [f"lets {header!r} in"]
            case "Deny":
                is_refused = not is_good or header != f"Bearer {words[1]}" or self._has_ended(words[1])
                return 401, [] if is_refused else [f"does not let {header!r} in"]
        return 0, [f"neither allows nor denies: {statement}"]

    def _has_ended(self, token: str) -> bool:
        """Return whether a request has revoked or deleted the client session of a token."""
        short = token.split("_")[1]
        is_first = token_key(short) in self.stack.demo.items
        return is_first and "revoked_at" in self.store.items().get(token_key(short), {"revoked_at": ""})


@contextmanager
def running_service() -> Iterator[Service]:
    """Start the functions of the template with the demo workspaces, until the context ends."""
    log = io.StringIO()
    with open_stack(PROJECT / "template.yaml", log=log, terminal=io.StringIO()) as stack:
        functions = stack.functions
        handlers: dict[str, Any] = {
            definition.folder.name: functions.handler(name) for name, definition in functions.definitions.items()
        }
        apis = {name: handler.__globals__.get("api") for name, handler in handlers.items()}
        routes = {name: api.routes for name, api in apis.items() if api is not None}
        service = Service(
            stack, Store(stack.table, create_client(), stack.table_name, is_in_moto=True), log, handlers, routes
        )
        service.restore()
        yield service


def _unused(token: Item) -> Item:
    """Return a token's record without when it was used, which the authorizer notes."""
    return {name: value for name, value in token.items() if name != LAST_USED}


def _of_answer(routes: Mapping[str, Route], event: Event, answer: Any) -> Iterator[str]:
    status, body = answer["statusCode"], json.loads(answer["body"])
    headers = {name.lower(): values for name, values in answer["multiValueHeaders"].items()}
    if headers["content-type"] != ["application/json"] or answer["isBase64Encoded"]:
        yield f"is not called JSON: {headers}"
    if headers["seam-request-id"] != [event["requestContext"]["requestId"]]:
        yield f"has another request's id: {headers}"
    if len(json.dumps(answer)) > LARGEST_ANSWER:
        yield f"has {len(answer['body']):,} characters"
    if status == 200:
        if body["ok"] is not True:
            yield f"is not ok: {body}"
        return
    error = body["error"]
    route = routes.get(event["resource"])
    documented = {(known.status, known.type) for known in (*_EVERYWHERE, *(route.errors if route else ()))}
    if (status, error["type"]) not in documented:
        yield f"is a {status} of type {error['type']}"
    if body.keys() != {"error", "ok"} or body["ok"] is not False or type(error["message"]) is not str:
        yield f"has another shape: {body}"
    if not error.keys() - {"data"} <= {"type", "message", "validation_errors"}:
        yield f"has more members: {error}"
    if (error["type"] == "invalid_input") != ("validation_errors" in error):
        yield f"has validation errors, or none, of another type's: {error}"
    yield from _of_validation_errors(error.get("validation_errors"))


def _of_validation_errors(found: Any) -> Iterator[str]:
    if found is None:
        return
    lists = [found["_errors"], *(each["_errors"] for name, each in found.items() if name != "_errors")]
    if not any(lists) or any(type(message) is not str for messages in lists for message in messages):
        yield f"has other validation errors: {found}"


def _of_log(log: str) -> Iterator[str]:
    if MARKER in log or SECRET in log:
        yield f"a log line tells what the client sent: {log}"
    if '"exception"' in log or '"defect"' in log or '"level":"ERROR"' in log:
        yield f"logs a defect: {log}"
    for line in log.splitlines():
        json.loads(line)
