"""What the doctor finds, a line each: good, bad with what to do, or not looked at with the reason."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import click
from botocore.exceptions import ClientError

from enrollments.database import AWS_ERRORS, WrongTable, reason_of

# Statuses of a server that has no such operation.  AWS has all of them, and its errors have a code.
_NOT_THERE = {"404", "405", "501"}
_NOT_IMPLEMENTED = {"InternalFailure", "NotImplemented", "NotYetImplemented", "UnknownOperationException"}


class Verdict(StrEnum):
    """How something stands."""

    GOOD = "good"
    BAD = "bad"
    NOT_LOOKED_AT = "not looked at"


@dataclass(frozen=True, slots=True)
class Finding:
    """A line.

    Attributes:
        about: What was looked at.
        verdict: How it stands.
        found: What was found; why, if it was not looked at.
        remedy: What to do; empty unless it is bad.
    """

    about: str
    verdict: Verdict
    found: str
    remedy: str = ""

    def to_json(self) -> dict[str, str]:
        """Return it for scripts."""
        return asdict(self)


type Look = Callable[[], Iterable[Finding]]


def good(about: str, found: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(about, Verdict.GOOD, found)


def bad(about: str, found: str, remedy: str) -> Finding:
    """Return that something is wrong, and what to do."""
    return Finding(about, Verdict.BAD, found, remedy)


def not_looked_at(about: str, because: str) -> Finding:
    """Return that nothing is known of something, and why."""
    return Finding(about, Verdict.NOT_LOOKED_AT, because)


def look_at(about: str, look: Look) -> Iterator[Finding]:
    """Yield what a look finds.  A refusal or an outage is a finding, too.

    Args:
        about: What is looked at.
        look: Looks.  It may raise what AWS raises.
    """
    try:
        yield from look()
    except click.ClickException as error:
        yield _from_reason(about, error.message)
    except (*AWS_ERRORS, WrongTable) as error:
        if is_not_implemented(error):
            yield not_looked_at(about, "this server, which is not AWS, cannot tell")
        else:
            yield _from_reason(about, reason_of(error))


def is_not_implemented(error: BaseException) -> bool:
    """Return whether a server says that it has no such operation."""
    if not isinstance(error, ClientError):
        return False
    answer: Any = error.response
    code = str(answer.get("Error", {}).get("Code", ""))
    return code in _NOT_IMPLEMENTED or code in _NOT_THERE


def _from_reason(about: str, reason: str) -> Finding:
    """Return that something is wrong: our reasons say what to do after the first semicolon."""
    found, _, remedy = reason.partition("; ")
    return bad(about, found, remedy or "look it up in docs/operations.md, or try again")
