"""Requests, the answers that the contract asks for, and who asks."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.reliability.model.records import ClientSession

type Json = dict[str, Any]

SEES_ALL = None


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes:
        method: In capitals.
        path: Without a query string.
        parameters: What goes into the query string or the body.
        token: Behind ``Bearer``; ``None`` is no such header.
        workspace: The header ``seam-workspace``.
        content_type: Of a body.
        is_json: Whether the body is what the content type says.
    """

    method: str
    path: str
    parameters: Json
    token: str | None
    workspace: str | None = None
    content_type: str = "application/json"
    is_json: bool = True


@dataclass
class Answer:
    """The answer that the contract asks for.

    Attributes:
        errors: Errors that it can be, each a status with a type and its ``data``; the contract does not say in which
            order some are looked for.
        fields: The parameters that ``validation_errors`` names.
        learn: Takes a result's body.
        body: What a result is, once it is learnt; ``None`` for a list.
        listed: A list's name and records.
        is_ordered: The list is newest first.
        ask: Returns the path and the parameters of a server's call that tells what the result does not.
        tell: Takes that call's result.
    """

    errors: Sequence[tuple[int, str, Json]] = ()
    fields: frozenset[str] = frozenset()
    learn: Callable[[Json], None] = lambda _: None
    body: Callable[[], Json] | None = lambda: {"ok": True}
    listed: tuple[str, Sequence[Json]] = ("", ())
    is_ordered: bool = True
    ask: Callable[[], tuple[str, Json]] | None = None
    tell: Callable[[Json], None] = lambda _: None


class Refusal(Exception):
    """An answer other than a result."""

    def __init__(self, status: int, *errors: tuple[str, Json], fields: Iterable[str] = ()) -> None:
        super().__init__(errors)
        self.answer = Answer([(status, *error) for error in errors], frozenset(fields), body=None)


def any_of(refusals: Sequence[Refusal]) -> Refusal:
    """Return a refusal for one of several reasons, whichever is found first."""
    (first, *others) = refusals
    errors = [error for one in refusals for error in one.answer.errors]
    first.answer.errors = errors
    assert not any(one.answer.fields for one in others), "input is checked first"
    return first


@dataclass(frozen=True)
class Caller:
    """Who a token speaks for.

    Attributes:
        workspace: The workspace.
        sees: The ids of a client session's user identities.
        session: The client session, if it is one of the API's.
        workspaces: Those that the token may enter.
    """

    workspace: str
    sees: frozenset[str] | None = SEES_ALL
    session: ClientSession | None = None
    workspaces: tuple[str, ...] = ()


def not_found(what: str) -> Refusal:
    """Return the refusal of an id of nothing in the workspace."""
    return Refusal(404, (f"{what}_not_found", {}))
