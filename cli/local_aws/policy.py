"""Evaluates an authorizer's answer as API Gateway does."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

_STATEMENT_ELEMENTS = {"Sid", "Action", "Effect", "Resource"}
_ACTIONS = {"execute-api:Invoke", "execute-api:*", "*"}


class InvalidPolicyError(Exception):
    """API Gateway would not take the answer, or the answer has an element that cannot be interpreted here."""


class Decision(Enum):
    """Whether a policy allows a method."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Authorization:
    """An authorizer's answer.

    Attributes:
        principal_id: The id of the token's owner.
        context: Strings for the function's event and for gateway responses, by name.
    """

    principal_id: str
    context: Mapping[str, str]
    _statements: tuple[tuple[bool, tuple[re.Pattern[str], ...]], ...]

    @classmethod
    def from_answer(cls, answer: Any) -> "Authorization":
        """Read an authorizer's answer.

        Raises:
            InvalidPolicyError: It cannot be interpreted, so the request is refused.
        """
        try:
            principal_id = answer["principalId"]
            document = answer["policyDocument"]
            statements = tuple(_statement(statement) for statement in document["Statement"])
            context = answer.get("context") or {}
        except (TypeError, KeyError, AttributeError) as error:
            raise InvalidPolicyError("the authorizer's answer is not a policy") from error
        if not isinstance(principal_id, str) or document.get("Version") != "2012-10-17":
            raise InvalidPolicyError("the authorizer's answer has no principal or an unknown version")
        if not all(isinstance(value, str | int | float | bool) for value in context.values()):
            raise InvalidPolicyError("the authorizer's context is not flat")
        return cls(principal_id, {name: _text(value) for name, value in context.items()}, statements)

    def decide(self, method_arn: str) -> Decision:
        """Return whether the policy allows a method.

        One Deny outweighs every Allow.  A method that no statement names is denied.

        Args:
            method_arn: The method's ARN.
        """
        effects = [
            allows
            for allows, resources in self._statements
            if any(resource.fullmatch(method_arn) for resource in resources)
        ]
        return Decision.ALLOW if effects and all(effects) else Decision.DENY


def _statement(statement: Mapping[str, Any]) -> tuple[bool, tuple[re.Pattern[str], ...]]:
    if unknown := statement.keys() - _STATEMENT_ELEMENTS:
        raise InvalidPolicyError(f"the policy's {', '.join(sorted(unknown))} cannot be interpreted here")
    if statement["Effect"] not in {"Allow", "Deny"} or not set(_list(statement["Action"])) <= _ACTIONS:
        raise InvalidPolicyError("the policy's effect or action cannot be interpreted here")
    return statement["Effect"] == "Allow", tuple(_pattern(arn) for arn in _list(statement["Resource"]))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _pattern(arn: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in re.split(r"([*?])", arn)))


def _text(value: str | float | bool) -> str:  # noqa: FBT001 - a JSON value
    return str(value).lower() if isinstance(value, bool) else str(value)
