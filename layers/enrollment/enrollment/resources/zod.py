"""Pydantic's validation errors, told as zod tells them: the contract's messages are zod's."""

from collections.abc import Mapping
from typing import Any

_MESSAGES = {
    "missing": "Required",
    "string_type": "Expected string, received {received}",
    "bool_type": "Expected boolean, received {received}",
    "int_type": "Expected number, received {received}",
    "literal_error": "Invalid enum value. Expected {expected}",
    "list_type": "Expected array, received {received}",
    "model_type": "Expected object, received {received}",
    "model_attributes_type": "Expected object, received {received}",
    "greater_than": "Number must be greater than {gt}",
    "string_too_short": "String must contain at least {min_length} character(s)",
    "string_too_long": "String must contain at most {max_length} character(s)",
    "too_long": "Array must contain at most {max_length} element(s)",
}


def zod_message(error: Mapping[str, Any]) -> str:
    """Return the message of one validation error.  It tells nothing of the input but its type.

    Args:
        error: One of ``ValidationError.errors()``, with the input.
    """
    if error["type"] not in _MESSAGES:  # our models' own rules are worded as zod words them
        return str(error["msg"])
    return _MESSAGES[error["type"]].format(received=json_type(error["input"]), **error.get("ctx", {}))


def json_type(value: object) -> str:
    """Return the type of a JSON value, in JSON's word for it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "number"
