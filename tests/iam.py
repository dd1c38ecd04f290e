"""A judge of roles' policies, by the user guide of IAM: "Policy evaluation logic" and "Condition operators".

moto's own evaluator takes a ``ForAllValues`` that does not match for a match.  This one knows what the template uses,
and refuses what it does not know: an operator that is skipped could be the one that guards a door.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

type Statement = Mapping[str, Any]
# The values of each condition key that a request has.
type Context = Mapping[str, Sequence[str]]

_ELEMENTS = {"Sid", "Effect", "Action", "Resource", "Condition"}
_SETS = ("ForAllValues:", "ForAnyValue:")


def is_allowed(statements: Collection[Statement], action: str, resource: str, context: Context) -> bool:
    """Return whether a request is allowed: by at least one statement, and denied by none.

    Args:
        statements: Of all policies of the role.
        action: For instance ``dynamodb:GetItem``.
        resource: An ARN.
        context: What conditions are about.
    """
    effects = [_effect(statement) for statement in statements if _matches(statement, action, resource, context)]
    return "Deny" not in effects and "Allow" in effects


def values(one_or_several: str | Sequence[str]) -> list[str]:
    """Return the values of an element of a policy, which may be one without a list."""
    return [one_or_several] if isinstance(one_or_several, str) else list(one_or_several)


def _effect(statement: Statement) -> str:
    if statement["Effect"] not in {"Allow", "Deny"} or not statement.keys() <= _ELEMENTS:
        raise ValueError(f"not a statement that is understood here: {statement}")
    return str(statement["Effect"])


def _matches(statement: Statement, action: str, resource: str, context: Context) -> bool:
    return (
        any(_like(pattern.lower(), action.lower()) for pattern in values(statement["Action"]))
        and any(_like(pattern, resource) for pattern in values(statement["Resource"]))
        # All operators, and all keys of each, have to hold.
        and all(
            _holds(operator, values(wanted), context.get(key, ()))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(operator: str, wanted: Sequence[str], found: Sequence[str]) -> bool:
    """Return whether an operator holds for the values of a key.  A request without the key has no values."""
    if operator == "Null":
        return (wanted == ["true"]) == (not found)
    quantity = next((prefix for prefix in _SETS if operator.startswith(prefix)), "")
    compare = _COMPARISONS[operator.removeprefix(quantity)]
    hits = [any(compare(pattern, value) for pattern in wanted) for value in found]
    if quantity == "ForAllValues:":
        return all(hits)  # true without any values, too
    if quantity == "ForAnyValue:":
        return any(hits)
    if len(found) > 1:
        raise ValueError(f"{operator} is for one value")
    return hits == [True]


def _like(pattern: str, value: str) -> bool:
    parts = ({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in re.split(r"([*?])", pattern))
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


_COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "StringLike": _like,
}
