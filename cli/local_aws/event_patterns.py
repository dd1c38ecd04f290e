"""Event patterns: which records a mapping's filter lets through (EventBridge user guide, "Event patterns").

Only the comparisons that are named here are interpreted.  Any other raises ``TemplateError``.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from local_aws.template import TemplateError

_ABSENT = object()


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "anything-but": lambda value, excluded: (
        value is not _ABSENT and value not in (excluded if isinstance(excluded, list) else [excluded])
    ),
    "exists": lambda value, wanted: (value is not _ABSENT) is wanted,
    "prefix": lambda value, beginning: _is_text(value) and value.startswith(beginning),
    "suffix": lambda value, end: _is_text(value) and value.endswith(end),
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
        if not isinstance(wanted, list):
            _check(wanted, f"{where}.{name}")
            continue
        for choice in wanted:
            if isinstance(choice, dict) and (len(choice) != 1 or not choice.keys() <= _COMPARISONS.keys()):
                raise TemplateError(f"{where}.{name}: the comparison {json.dumps(choice)} cannot be interpreted here")


def _matches(pattern: Mapping[str, Any], record: Any) -> bool:
    fields = record if isinstance(record, dict) else {}
    return all(
        any(_is_chosen(choice, fields.get(name, _ABSENT)) for choice in wanted)
        if isinstance(wanted, list)
        else _matches(wanted, fields.get(name))
        for name, wanted in pattern.items()
    )


def _is_chosen(choice: Any, value: Any) -> bool:
    if isinstance(choice, dict):
        ((comparison, operand),) = choice.items()
        return _COMPARISONS[comparison](value, operand)
    return value is not _ABSENT and type(value) is type(choice) and bool(value == choice)
