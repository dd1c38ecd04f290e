"""The route table: what each path is served with, as data.

What can be derived from it is: the API document, the authorizer's list for client sessions, and many cases of tests.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from pydantic import BaseModel

from enrollment.errors import EnrollmentError


class Answer[Body: BaseModel](NamedTuple):
    """What a handler returns: the client's answer, and what the function logs of it.

    Attributes:
        body: The answer's JSON.
        outcome: What has happened, in a word; it is the message of the line that is logged.
        facts: More keys of that line.  They are ids: personal data is never logged.
    """

    body: Body
    outcome: str = "answered"
    facts: Mapping[str, str | None] = MappingProxyType({})


class Route(NamedTuple):
    """What a path is served with.

    Attributes:
        path: The path.
        methods: Its verbs.
        handler: Takes ``request``; ``caller``, or ``principal`` if it is across workspaces; and ``page`` if its request
            is a ``PagedRequest``.
        request: The model of its parameters.
        response: The model of its answer.
        errors: What it can raise.
        for_client_sessions: Whether client sessions may call it.
        for_servers: Whether API keys and personal access tokens may call it.
        across_workspaces: Whether it answers for all workspaces that the token may enter.
    """

    path: str
    methods: tuple[str, ...]
    handler: Callable[..., Answer[BaseModel]]
    request: type[BaseModel]
    response: type[BaseModel]
    errors: tuple[type[EnrollmentError], ...]
    for_client_sessions: bool
    for_servers: bool = True
    across_workspaces: bool = False
