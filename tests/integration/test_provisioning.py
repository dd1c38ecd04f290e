"""Provisioning: from what a person is wanted to have at a credential manager, to what the manager has."""

from dataclasses import dataclass

import pytest

from enrollment.store.attributes import Item
from enrollment.store.keys import Key
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory
from tests.provisioning import AtManager, Provisioning, in_table


@dataclass(frozen=True)
class Person:
    """A person who is to be enrolled.

    Attributes:
        user_identity_id: The person.
        manager_id: The credential manager.
        pool_id: The manager's pool.
        acs_user_id: The person's ACS user in an access system.
    """

    user_identity_id: str
    manager_id: str
    pool_id: str
    acs_user_id: str


@pytest.fixture
def person(directory: Directory, workspace: Workspace) -> Person:
    workspace.become_sandbox()
    manager_id = workspace.credential_manager()
    identity_id = workspace.user_identity(full_name="Jane Doe", email_address="jane@example.com")
    system_id = workspace.acs_system()
    acs_user_id = directory.create_acs_user(system_id, user_identity_id=identity_id).acs_user_id
    return Person(identity_id, manager_id, workspace.acs_credential_pool(manager_id), acs_user_id)


@pytest.fixture
def provisioning(store: Store) -> Provisioning:
    return Provisioning(store.table, store.items)


def credentials_of_phones(items: dict[Key, Item]) -> list[Item]:
    return [item for key, item in items.items() if key.sk.startswith("CREDENTIAL#") and "device_id" in item]


def test_a_phone_gets_a_credential_under_the_persons_and_one_from_the_pool(
    directory: Directory, provisioning: Provisioning, person: Person, store: Store
) -> None:
    directory.launch(
        person.user_identity_id,
        person.manager_id,
        acs_credential_pool_id=person.pool_id,
        create_credential_manager_user=True,
    )
    directory.create_credential(person.acs_user_id, credential_manager_acs_system_id=person.manager_id)
    directory.create_phone(person.user_identity_id)

    provisioning.settle()

    assert [item["state"] for item in credentials_of_phones(store.items())] == ["active", "active"]
    assert AtManager.of(store.items()) == in_table(store.items())
