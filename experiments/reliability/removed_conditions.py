"""A plugin of pytest that removes one of the conditions that ``tests/integration/test_conditions.py`` is about."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from enrollment.use_cases import acs_users, automations, links, user_identities

VARIABLE = "ENROLLMENTS_REMOVED_CONDITION"


def _without(attribute: str, original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def condition(*arguments: Any) -> dict[str, Any]:
        return {name: value for name, value in original(*arguments).items() if name != attribute}

    return condition


def _without_key(*arguments: Any) -> Any:
    return links.list_at_user_identity(*arguments[:3])


_PERSON = ("full_name", "email_address", "phone_number")
CONDITIONS: dict[str, tuple[Any, str, Any]] = {
    **{
        f"{module.__name__.removeprefix('enrollment.use_cases.')}: {attribute}": (
            module,
            "as_read",
            _without(attribute, module.as_read),
        )
        for module, attributes in {
            automations: _PERSON,
            links: ("email_address", "phone_number", "created_at"),
            user_identities: _PERSON,
        }.items()
        for attribute in attributes
    },
    "user_identities: the key that named the identity": (user_identities, "list_at_user_identity", _without_key),
    "acs_users: the identity that named the ACS user": (acs_users, "_is_named_one", lambda *_: True),
}


@pytest.hookimpl
def pytest_configure() -> None:
    """Remove the condition that the environment names."""
    module, name, replacement = CONDITIONS[os.environ[VARIABLE]]
    setattr(module, name, replacement)
