"""The end of what an automation has led to: in the published order, in every other, and interrupted at any request."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations

import pytest

from enrollment.errors import (
    AcsUserNotFound,
    ClientSessionNotFound,
    EnrollmentAutomationNotFound,
    EnrollmentError,
    PhoneNotFound,
    ServiceUnavailable,
    UserIdentityNotFound,
)
from enrollment.resources.client_sessions import ClientSessionRequest
from enrollment.store.attributes import Item
from enrollment.store.keys import Key
from enrollment.use_cases import client_sessions
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory, Outage
from tests.invariants import violations

PUBLISHED = ("client session", "ACS user", "automation", "phone", "user identity")
# What a step finds once the user identity has ended, and all that belonged to it.
GONE: dict[str, type[EnrollmentError]] = {
    "client session": ClientSessionNotFound,
    "ACS user": AcsUserNotFound,
    "automation": EnrollmentAutomationNotFound,
    "phone": PhoneNotFound,
    "user identity": UserIdentityNotFound,
}


@dataclass
class Person:
    """A user identity with everything.

    Attributes:
        user_identity_id: Its id.
        end: Ends each part of it, by the name of the step.
        before: The table before the person was there.
    """

    user_identity_id: str
    end: dict[str, Callable[[], None]]
    before: dict[Key, Item]


@pytest.fixture
def person(store: Store, workspace: Workspace, directory: Directory) -> Person:
    workspace.become_sandbox()
    manager = workspace.credential_manager()
    before = store.items()
    identity = directory.create(full_name="Jane Doe", email_address="jane@example.com").user_identity_id
    automation = directory.launch(identity, manager, create_credential_manager_user=True)
    (acs_user,) = directory.acs_users_of(identity)
    directory.create_credential(acs_user.acs_user_id)
    session = workspace.client_session(identity, user_identifier_key="jane")
    phone = directory.create_phone(identity, custom_sdk_installation_id="app")

    def end_session() -> None:
        request = ClientSessionRequest(client_session_id=session.client_session_id)
        client_sessions.delete(store.table, directory.caller, request)

    return Person(
        identity,
        {
            "client session": end_session,
            "ACS user": lambda: directory.delete_acs_user(acs_user.acs_user_id),
            "automation": lambda: directory.delete_automation(automation.enrollment_automation_id),
            "phone": lambda: directory.deactivate_phone(phone.device_id),
            "user identity": lambda: directory.delete(identity),
        },
        before,
    )


@pytest.mark.parametrize("order", list(permutations(PUBLISHED)), ids=", ".join)
def test_every_order_of_the_steps_leaves_nothing(store: Store, person: Person, order: tuple[str, ...]) -> None:
    has_ended = False
    for step in order:
        if has_ended:
            with pytest.raises(GONE[step]):
                person.end[step]()
        else:
            person.end[step]()
        has_ended = has_ended or step == "user identity"
        assert not violations(store.items())

    assert store.items() == person.before


def test_a_deletion_that_is_interrupted_at_any_request_is_finished_by_the_next(
    store: Store, person: Person, directory: Directory, outage: Outage
) -> None:
    whole = store.items()
    requests = store.count_requests()
    person.end["user identity"]()
    needed = len(requests)

    for sent in range(1, needed):
        store.restore(whole)
        outage.left = sent
        with pytest.raises(ServiceUnavailable):
            person.end["user identity"]()
        outage.left = None

        assert not violations(store.items())
        with pytest.raises(UserIdentityNotFound):
            directory.get(person.user_identity_id)
        person.end["user identity"]()
        assert store.items() == person.before


@pytest.mark.parametrize("step", ["ACS user", "removal"])
def test_who_is_no_longer_linked_keeps_no_credential(
    store: Store, person: Person, directory: Directory, step: str
) -> None:
    (acs_user,) = directory.acs_users_of(person.user_identity_id)
    assert directory.credentials(acs_user_id=acs_user.acs_user_id)

    if step == "removal":
        directory.remove(acs_user.acs_user_id, person.user_identity_id)
    else:
        person.end[step]()

    assert directory.credentials() == []
    assert not violations(store.items())


@pytest.mark.parametrize("step", ["ACS user", "removal"])
def test_a_credential_that_is_created_meanwhile_ends_too(
    store: Store, person: Person, directory: Directory, step: str
) -> None:
    (acs_user,) = directory.acs_users_of(person.user_identity_id)
    more = iter([acs_user.acs_user_id] * 2)

    def create_meanwhile(**_: object) -> None:
        for acs_user_id in more:
            directory.create_credential(acs_user_id)
            break

    store.watch("before-call.dynamodb.TransactWriteItems", create_meanwhile)
    if step == "removal":
        directory.remove(acs_user.acs_user_id, person.user_identity_id)
    else:
        person.end[step]()

    assert next(more, None) is None
    assert directory.credentials() == []
    assert not violations(store.items())
