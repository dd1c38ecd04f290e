"""A plugin of pytest that removes one of the conditions that tests in ``tests/integration`` are about."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from enrollment.store.actions import Action, change, put, require
from enrollment.store.keys import Key
from enrollment.use_cases import (
    acs_users,
    automations,
    client_session_items,
    client_session_lookup,
    client_sessions,
    credential_owners,
    links,
    phones,
    user_identities,
)
from enrollments.moving import planning
from enrollments.moving.restoring import Required

VARIABLE = "ENROLLMENTS_REMOVED_CONDITION"


class Condition(NamedTuple):
    """A condition.

    Attributes:
        module: The module that has it.
        name: What makes it, in the module.
        replacement: What makes none.
        tests: The module of tests that are about it, in ``tests/integration``.
    """

    module: Any
    name: str
    replacement: Any
    tests: str = "test_conditions"


def _without(attribute: str, original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def condition(*arguments: Any) -> dict[str, Any]:
        return {name: value for name, value in original(*arguments).items() if name != attribute}

    return condition


def _as_read_without(module: Any, attribute: str) -> Condition:
    return Condition(module, "as_read", _without(attribute, module.as_read))


def _without_key(*arguments: Any) -> Any:
    return links.list_at_user_identity(*arguments[:3])


def _none(*_: Any) -> dict[str, Any]:
    return {}


_manager_of_automations = credential_owners._manager_of_automations  # noqa: SLF001 - it is replaced


def _manager_of_any_automation(*arguments: Any) -> credential_owners.Manager:
    return _manager_of_automations(*arguments)._replace(actions={})


def _check_existence(key: Key, required: Required) -> Action:
    return change(key, add=required.added) if required.added else require(key)


_PERSON = ("full_name", "email_address", "phone_number")
CONDITIONS: dict[str, Condition] = {
    **{
        f"{module.__name__.removeprefix('enrollment.use_cases.')}: {attribute}": _as_read_without(module, attribute)
        for module, attributes in {
            automations: _PERSON,
            credential_owners: ("email_address", "user_identity_id"),
            links: ("email_address", "phone_number", "created_at"),
            user_identities: _PERSON,
        }.items()
        for attribute in attributes
    },
    "user_identities: the key that named the identity": Condition(
        user_identities, "list_at_user_identity", _without_key
    ),
    "acs_users: the identity that named the ACS user": Condition(acs_users, "_is_named_one", lambda *_: True),
    "links: a deleted ACS user has no credentials": Condition(links, "HAS_NO_CREDENTIALS", {}),
    "user_identities: an unlinked ACS user has no credentials": Condition(user_identities, "HAS_NO_CREDENTIALS", {}),
    "credential_owners: the automation whose manager was chosen": Condition(
        credential_owners, "_manager_of_automations", _manager_of_any_automation
    ),
    "phones: the identity is not being deleted": Condition(
        phones,
        "_put_phone",
        _without("user_identity", phones._put_phone),  # noqa: SLF001 - it is replaced
    ),
    "phones: the installation has no phone yet": Condition(phones, "put_new", put),
    "client_sessions: the identities are not being deleted": Condition(
        client_sessions, "_use", _none, "test_client_sessions"
    ),
    "client_session_items: the session is as it was found": Condition(
        client_session_items, "as_read", _none, "test_client_sessions"
    ),
    "client_session_lookup: no pointer was put meanwhile": Condition(
        client_session_lookup, "put_new", put, "test_client_sessions"
    ),
    "planning: what a record refers to is as it was read": Condition(
        planning, "_check", _check_existence, "test_workspace_moving"
    ),
    "planning: nobody has made it meanwhile": Condition(planning, "put_new", put, "test_workspace_moving"),
    "planning: a profile is still as it was read": Condition(planning, "as_read", _none, "test_workspace_moving"),
}


@pytest.hookimpl
def pytest_configure() -> None:
    """Remove the condition that the environment names."""
    condition = CONDITIONS[os.environ[VARIABLE]]
    setattr(condition.module, condition.name, condition.replacement)
