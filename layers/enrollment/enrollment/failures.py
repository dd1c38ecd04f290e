"""What a log may say about an exception.

An exception's text can hold anything: an item of a cancelled transaction, the body of an answer, what a client sent.
So no text of an exception is ever logged.  Its type is logged, the frames of its traceback, and what this module names.
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
    """Return what a line of the log says about an exception and what has led to it.

    Args:
        error: The exception.

    Returns:
        ``cause``: the types, the exception's own first.  If the database or the operating system has answered with an
        error, also ``database_error``, ``database_status`` (HTTP), ``database_operation``, ``database_request_id``,
        ``cancellation_reasons`` (codes of a transaction's actions) and ``os_error`` (``ECONNREFUSED``, for instance).
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
    """Return an exception's traceback with those of what has led to it: frames and types, without any message."""
    chain = list(_chain(error))[::-1]
    paragraphs = [_own_traceback(chain[0])]
    for earlier, later in pairwise(chain):
        paragraphs += [_AS_CAUSE if later.__cause__ is earlier else _WHILE_HANDLING, _own_traceback(later)]
    return "\n\n".join(paragraphs)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what has led to it, as far as Python would print it."""
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
    """Return what is one capitalised word, as all codes of AWS are: no address, number, token or full name is."""
    if not isinstance(value, str) or not (value.isascii() and value.isalpha() and value[0].isupper()):
        return None
    return value if len(value) <= _LONGEST_CODE else None


def _request_id(value: object) -> str | None:
    """Return what has the form of a request's id: letters, digits and hyphens, and long."""
    if not isinstance(value, str) or not (value.isascii() and value.replace("-", "").isalnum()):
        return None
    return value if len(value) in _LENGTHS_OF_REQUEST_IDS else None
