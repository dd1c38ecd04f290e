"""Routes, and what is valid input of each."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.reliability.model.calls import Answer, Call, Caller, Json, Refusal
from experiments.reliability.model.state import State

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_KINDS: dict[str, Callable[[Any], bool]] = {
    "uuid": lambda value: isinstance(value, str) and bool(_UUID.fullmatch(value)),
    "uuids": lambda value: isinstance(value, list) and all(map(_KINDS["uuid"], value)),
    "text": lambda value: isinstance(value, str) and value != "",
    "filter": lambda value: isinstance(value, str),
    "email": lambda value: isinstance(value, str) and bool(re.fullmatch(r"[^@\s]+@[^@\s]+", value)),
    "phone": lambda value: isinstance(value, str) and bool(re.fullmatch(r"\+[1-9][0-9]{1,14}", value)),
    "boolean": lambda value: isinstance(value, bool),
    "limit": lambda value: isinstance(value, int) and not isinstance(value, bool) and value > 0,
    "moment": lambda value: isinstance(value, str) and bool(re.match(r"\d{4}-\d\d-\d\dT", value)),
    "object": lambda value: isinstance(value, dict),
    "texts": lambda value: isinstance(value, list) and all(map(_KINDS["filter"], value)),
    "true": lambda value: value is True,
    "mobile key": lambda value: value == "mobile_key",
    "operating system": lambda value: value in {"android", "ios"},
    "known of a phone": lambda value: isinstance(value, dict) and all(map(_KINDS["filter"], value.values())),
    "simulated phone": lambda value: (
        _KINDS["known of a phone"](value) and (value.get("operating_system", "ios") in {"android", "ios"})
    ),
    "moments": lambda value: isinstance(value, list) and len(value) == 2 and all(map(_KINDS["moment"], value)),
    "event type": lambda value: isinstance(value, str) and bool(re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", value)),
    "wanted types": lambda value: (
        isinstance(value, list) and value != [] and all(one == "*" or _KINDS["event type"](one) for one in value)
    ),
    "url": lambda value: isinstance(value, str) and value.startswith("https://example.com/"),
    "event types": lambda value: isinstance(value, list) and all(map(_KINDS["event type"], value)),
}


@dataclass(frozen=True)
class Route:
    """A route.

    Attributes:
        methods: The more telling one first.
        parameters: Their kinds; ``*`` is required, ``?`` nullable.
        answer: Answers valid input.
        for_sessions: Whether client sessions may call it.
        for_servers: Whether API keys and personal access tokens may.
        in_a_workspace: Whether a personal access token has to name a workspace.
        rules: Say whether parameters, each of which is valid, are so together; with the parameter that is named if
            they are not, or none if that is about several.
    """

    methods: tuple[str, ...]
    parameters: dict[str, str]
    answer: Callable[[State, Caller, Json], Answer]
    for_sessions: bool = False
    for_servers: bool = True
    in_a_workspace: bool = True
    rules: Sequence[tuple[Callable[[Json], bool], str | None]] = ()


READ, DELETE = ("GET", "POST"), ("DELETE", "POST")
USER_IDENTITY = {"user_identity_id": "uuid*"}
PAGED = {"limit": "limit", "page_cursor": "filter?"}


def check_body(call: Call) -> None:
    """Refuse a body that is not what it has to be."""
    if call.method in {"GET", "DELETE"}:
        return
    if call.content_type != "application/json":
        raise Refusal(400, ("invalid_content_type", {}))
    if not call.is_json:
        raise Refusal(400, ("invalid_json", {}))


def check_input(route: Route, parameters: Json) -> None:
    """Refuse parameters that are missing, of another kind, or of no use together."""
    wrong = set()
    for name, kind in route.parameters.items():
        if name not in parameters:
            if kind.endswith("*"):
                wrong.add(name)
        elif parameters[name] is None:
            if not kind.endswith("?"):
                wrong.add(name)
        elif not _KINDS[kind.rstrip("*?")](parameters[name]):
            wrong.add(name)
    if wrong:
        raise Refusal(400, ("invalid_input", {}), fields=wrong)
    for is_kept, named in route.rules:
        if not is_kept(parameters):
            raise Refusal(400, ("invalid_input", {}), fields=[] if named is None else [named])


def is_ahead(given: Json, name: str) -> bool:
    """Return whether a moment, if it is given, is in the future.  Those that are drawn are centuries or years off."""
    return bool(given.get(name, "9") > "2900")
