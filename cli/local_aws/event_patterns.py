"""Event patterns: which records a mapping's filter lets through (EventBridge user guide, "Event patterns").

Only the comparisons that are named here are interpreted.  Any other raises ``TemplateError``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_aws.template import TemplateError

_ABSENT = object()


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _is_same(value: object, other: object) -> bool:
    return type(value) is type(other) and value == other


def _is_other_than(value: object, excluded: Any) -> bool:
    choices = excluded if isinstance(excluded, list) else [excluded]
    return _is_plain(value) and not any(_is_same(value, choice) for choice in choices)


# A comparison's name, whether it can have an operand, and whether a value passes it.
_COMPARISONS: Mapping[str, tuple[Callable[[Any], bool], Callable[[Any, Any], bool]]] = {
    "anything-but": (
        lambda operand: all(map(_is_plain, operand if isinstance(operand, list) else [operand])),
        _is_other_than,
    ),
    # Of a field that has fields itself, EventBridge does not say that it exists.
    "exists": (lambda operand: isinstance(operand, bool), lambda value, wanted: _is_plain(value) is wanted),
    "prefix": (_is_text, lambda value, beginning: _is_text(value) and value.startswith(beginning)),
    "suffix": (_is_text, lambda value, end: _is_text(value) and value.endswith(end)),
}


class EventPattern:
    """A pattern that a record matches or not.

    Args:
        text: The pattern, in JSON.
        where: Its place in the template, for errors.

    Raises:
        TemplateError: It cannot be interpreted here.
    """

    def __init__(self, text: str, where: str) -> None:
        try:
            self._pattern = json.loads(text)
        except ValueError as error:
            raise TemplateError(f"{where}: the pattern is not JSON") from error
        _check(self._pattern, where)

    def matches(self, record: Any) -> bool:
        """Return whether a record has what the pattern asks for."""
        return _matches(self._pattern, record)


def _check(pattern: Any, where: str) -> None:
    if not isinstance(pattern, dict) or not pattern:
        raise TemplateError(f"{where}: a pattern is a JSON object that names fields")
    for name, wanted in pattern.items():
        place = f"{where}.{name}"
        if name.startswith("$"):
            raise TemplateError(f"{place} cannot be interpreted here")
        if not isinstance(wanted, list):
            _check(wanted, place)
            continue
        if not wanted:
            raise TemplateError(f"{place}: a list of values has at least one")
        for choice in wanted:
            if not _is_plain(choice) and not _is_comparison(choice):
                raise TemplateError(f"{place}: the comparison {json.dumps(choice)} cannot be interpreted here")


def _is_comparison(choice: Any) -> bool:
    if not isinstance(choice, dict) or len(choice) != 1:
        return False
    ((comparison, operand),) = choice.items()
    return comparison in _COMPARISONS and _COMPARISONS[comparison][0](operand)


def _matches(pattern: Mapping[str, Any], record: Any) -> bool:
    if isinstance(record, list):
        return any(_matches(pattern, each) for each in record)
    fields = record if isinstance(record, dict) else {}
    return all(
        _has_one(fields.get(name, _ABSENT), wanted) if isinstance(wanted, list) else _matches(wanted, fields.get(name))
        for name, wanted in pattern.items()
    )


def _has_one(value: Any, wanted: Sequence[Any]) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(_is_chosen(choice, each) for choice in wanted for each in values)


def _is_chosen(choice: Any, value: Any) -> bool:
    if isinstance(choice, dict):
        ((comparison, operand),) = choice.items()
        return _COMPARISONS[comparison][1](value, operand)
    return _is_same(value, choice)
