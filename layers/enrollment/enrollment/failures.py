"""What a log may say about an exception.

The text of an exception can hold anything: an item of a cancelled transaction, a body, what a client sent.  So the text
is never logged.  What is logged is the exception's type, the frames of its traceback, and the facts named here.
"""

import errno
import traceback
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from botocore.exceptions import ClientError

_LONGEST_CODE = 64
_LENGTHS_OF_REQUEST_IDS = range(32, 65)
_LONGEST_CHAIN = 16

_AS_CAUSE = "The above exception was the direct cause of the following exception:"
_WHILE_HANDLING = "During handling of the above exception, another exception occurred:"


def facts_of(error: BaseException) -> dict[str, str | int]:
    """Return what may be logged about an exception and its causes.

    Args:
        error: The exception.

    Returns:
        ``cause`` names the types, the exception's own first.  An error of the database adds ``database_error``,
        ``database_status`` (HTTP), ``database_operation``, ``database_request_id`` and ``cancellation_reasons`` (the
        codes of a transaction's actions).  An error of the operating system adds ``os_error``, such as
        ``ECONNREFUSED``.
    """
    chain = list(_chain(error))
    facts: dict[str, str | int] = {"cause": " from ".join(map(_types, chain))}
    for each in chain:
        if isinstance(each, ClientError):
            facts = {**_of_database(each), **facts}
        elif isinstance(each, OSError) and (name := errno.errorcode.get(each.errno or 0)):
            facts = {"os_error": name, **facts}
    return facts


def traceback_of(error: BaseException) -> str:
    """Return the traceback of an exception and its causes: frames and types, without messages."""
    chain = list(_chain(error))[::-1]
    paragraphs = [_own_traceback(chain[0])]
    for earlier, later in pairwise(chain):
        paragraphs += [_AS_CAUSE if later.__cause__ is earlier else _WHILE_HANDLING, _own_traceback(later)]
    return "\n\n".join(paragraphs)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, as far as Python would print them."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen and len(seen) < _LONGEST_CHAIN:
        seen.add(id(following))
        yield following
        context = None if following.__suppress_context__ else following.__context__
        following = following.__cause__ or context


def _types(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, BaseExceptionGroup):
        return f"{name}({', '.join(map(_types, error.exceptions))})"
    return name


def _own_traceback(error: BaseException) -> str:
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"Traceback (most recent call last):\n{frames}{_types(error)}"


def _of_database(error: ClientError) -> dict[str, str | int]:
    details = _mapping(error.response, "Error")
    metadata = _mapping(error.response, "ResponseMetadata")
    status = metadata.get("HTTPStatusCode")
    facts = {
        "database_error": _code(details.get("Code")),
        "database_status": status if type(status) is int else None,
        "database_operation": _code(error.operation_name),
        "database_request_id": _request_id(metadata.get("RequestId")),
        "cancellation_reasons": ", ".join(sorted(_reasons(error.response))) or None,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _reasons(response: Any) -> set[str]:
    reasons = response.get("CancellationReasons")
    codes = (reason.get("Code") for reason in reasons or () if isinstance(reason, Mapping))
    return {known for code in codes if (known := _code(code)) and known != "None"}


def _mapping(response: Any, name: str) -> Mapping[str, Any]:
    found = response.get(name)
    return found if isinstance(found, Mapping) else {}


def _code(value: object) -> str | None:
    """Return a value that is one capitalised word, as AWS's codes are; no address, number or token is one."""
    if not isinstance(value, str) or not (value.isascii() and value.isalpha() and value[0].isupper()):
        return None
    return value if len(value) <= _LONGEST_CODE else None


def _request_id(value: object) -> str | None:
    """Return a value that has the form of a request's id: letters, digits and hyphens, and long enough."""
    if not isinstance(value, str) or not (value.isascii() and value.replace("-", "").isalnum()):
        return None
    return value if len(value) in _LENGTHS_OF_REQUEST_IDS else None
