"""What a choice or a deletion was based on is in its transaction's condition.

Each test lets somebody else change that between the look and the transaction.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from enrollment.errors import (
    AcsCredentialNotFound,
    AcsUserHasNoUserIdentity,
    AcsUserNotFound,
    NoCredentialManager,
    UserIdentityNotFound,
)
from enrollment.store.actions import put
from enrollment.store.keys import acs_user_key, acs_user_link_key, acs_user_match_key
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory

type Meanwhile = Callable[..., None]

ANN, BOB = "ann@example.com", "bob@example.com"


@pytest.fixture
def meanwhile(store: Store) -> Meanwhile:
    """Has something done once, right before the next transaction or another request."""

    def do(change: Callable[[], object], before: str = "TransactWriteItems") -> None:
        changes: Iterator[Callable[[], object]] = iter([change])

        def make(**_: Any) -> None:
            for one in changes:
                one()

        store.watch(f"before-call.dynamodb.{before}", make)

    return do


@pytest.fixture
def manager(workspace: Workspace) -> str:
    return workspace.credential_manager()


@pytest.fixture
def anns(workspace: Workspace, manager: str) -> str:
    return workspace.acs_user(manager, email_address=ANN)


# ------------------------------------------------------------------------------------------------------------ Launching


@pytest.mark.parametrize(("attribute", "anns", "bobs"), [("email_address", ANN, BOB), ("phone_number", "+151", "+152")])
def test_a_launch_does_not_link_a_record_that_an_import_gives_to_somebody_else(
    directory: Directory, workspace: Workspace, manager: str, meanwhile: Meanwhile, attribute: str, anns: str, bobs: str
) -> None:
    record = workspace.acs_user(manager, **{attribute: anns})
    ann = workspace.user_identity(**{attribute: anns})

    meanwhile(lambda: directory.import_row(acs_user_id=record, acs_system_id=manager, **{attribute: bobs}))
    directory.launch(ann, manager, create_credential_manager_user=True)

    assert directory.acs_user(record).user_identity_id is None
    assert [getattr(acs_user, attribute) for acs_user in directory.acs_users_of(ann)] == [anns]


def test_a_launch_does_not_link_by_an_entry_that_is_out_of_date(
    store: Store, directory: Directory, workspace: Workspace, manager: str
) -> None:
    bobs = workspace.acs_user(manager, email_address=BOB)
    left_over = acs_user_match_key(workspace.workspace_id, manager, "email_address", ANN, bobs)
    store.table.transact({"entry": put(left_over, {})})
    ann = workspace.user_identity(email_address=ANN)

    directory.launch(ann, manager, create_credential_manager_user=True)

    assert directory.acs_user(bobs).user_identity_id is None
    store.client.delete_item(TableName=store.table_name, Key={"pk": {"S": left_over.pk}, "sk": {"S": left_over.sk}})


def test_a_launch_goes_by_the_address_that_the_identity_has_when_it_is_linked(
    directory: Directory, workspace: Workspace, manager: str, anns: str, meanwhile: Meanwhile
) -> None:
    bobs = workspace.acs_user(manager, email_address=BOB)
    person = workspace.user_identity(email_address=ANN)

    meanwhile(lambda: directory.update(person, email_address=BOB))
    directory.launch(person, manager, create_credential_manager_user=True)

    assert directory.acs_user(anns).user_identity_id is None
    assert directory.acs_user(bobs).user_identity_id == person


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("full_name", "Ann Doe"), ("email_address", BOB), ("phone_number", "+15555550100")],
)
def test_a_launch_creates_an_acs_user_with_what_the_identity_has_then(
    directory: Directory, workspace: Workspace, manager: str, meanwhile: Meanwhile, attribute: str, value: str
) -> None:
    person = workspace.user_identity(email_address=ANN)

    meanwhile(lambda: directory.update(person, **{attribute: value}))
    directory.launch(person, manager, create_credential_manager_user=True)

    (created,) = directory.acs_users_of(person)
    assert getattr(created, attribute) == value


def test_a_launch_finds_out_that_the_identity_is_deleted_meanwhile(
    directory: Directory, workspace: Workspace, manager: str, meanwhile: Meanwhile
) -> None:
    person = workspace.user_identity(email_address=ANN)

    meanwhile(lambda: directory.delete(person))
    with pytest.raises(UserIdentityNotFound):
        directory.launch(person, manager, create_credential_manager_user=True)

    assert directory.acs_users() == []


# ------------------------------------------------------------------------------------------------------ User identities


def test_a_new_identity_is_not_given_a_record_that_an_import_gives_to_somebody_else(
    directory: Directory, manager: str, anns: str, meanwhile: Meanwhile
) -> None:
    meanwhile(lambda: directory.import_row(acs_user_id=anns, acs_system_id=manager, email_address=BOB))
    ann = directory.create(email_address=ANN, acs_system_ids=[manager])

    assert directory.acs_user(anns).user_identity_id is None
    assert anns not in ann.acs_user_ids


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("full_name", "Bob Roe"), ("email_address", BOB), ("phone_number", "+15555550100")],
)
def test_an_identity_that_is_made_from_an_acs_user_has_what_that_has_then(
    directory: Directory, manager: str, anns: str, meanwhile: Meanwhile, attribute: str, value: str
) -> None:
    row = {"acs_user_id": anns, "acs_system_id": manager, attribute: value}

    meanwhile(lambda: directory.import_row(**row))
    directory.add(anns, user_identity_key="new")

    assert getattr(directory.get_by_key("new"), attribute) == value


def test_an_acs_user_is_added_to_the_identity_that_has_the_key_then(
    directory: Directory, workspace: Workspace, anns: str, meanwhile: Meanwhile
) -> None:
    ann, bob = workspace.user_identity(user_identity_key="desk 1"), workspace.user_identity()

    def exchange() -> None:
        directory.update(ann, user_identity_key=None)
        directory.update(bob, user_identity_key="desk 1")

    meanwhile(exchange)
    directory.add(anns, user_identity_key="desk 1")

    assert directory.acs_user(anns).user_identity_id == bob


# ------------------------------------------------------------------------------------------------------------ ACS users


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("email_address", BOB),
        ("phone_number", "+15555550100"),
        ("created_at", "2020-01-01T00:00:00.000Z"),
    ],
)
def test_deleting_an_acs_user_leaves_no_entry_that_an_import_puts_meanwhile(
    store: Store,
    directory: Directory,
    workspace: Workspace,
    manager: str,
    anns: str,
    meanwhile: Meanwhile,
    attribute: str,
    value: str,
) -> None:
    row = {"acs_user_id": anns, "acs_system_id": manager, "email_address": ANN, attribute: value}

    meanwhile(lambda: directory.import_row(**row))
    directory.delete_acs_user(anns)

    assert [key for key in store.items() if anns in key.pk or anns in key.sk] == []
    assert acs_user_key(workspace.workspace_id, anns) not in store.items()


@pytest.mark.parametrize("before", ["GetItem", "TransactWriteItems"])
def test_an_acs_user_that_moves_to_another_identity_is_not_deleted_as_the_firsts(
    directory: Directory, workspace: Workspace, manager: str, anns: str, meanwhile: Meanwhile, before: str
) -> None:
    ann, bob = workspace.user_identity(), workspace.user_identity()
    directory.add(anns, user_identity_id=ann)

    def move() -> None:
        directory.remove(anns, ann)
        directory.add(anns, user_identity_id=bob)

    meanwhile(move, before)
    with pytest.raises(AcsUserNotFound):
        directory.delete_acs_user(user_identity_id=ann, acs_system_id=manager)

    assert directory.acs_user(anns).user_identity_id == bob


def test_the_acs_user_that_an_identity_has_then_is_deleted(
    store: Store, directory: Directory, workspace: Workspace, manager: str, anns: str, meanwhile: Meanwhile
) -> None:
    ann, second = workspace.user_identity(), workspace.acs_user(manager)
    directory.add(anns, user_identity_id=ann)

    def exchange() -> None:
        directory.remove(anns, ann)
        directory.add(second, user_identity_id=ann)

    meanwhile(exchange)
    directory.delete_acs_user(user_identity_id=ann, acs_system_id=manager)

    assert directory.acs_users() == [anns]
    assert acs_user_link_key(workspace.workspace_id, ann, manager) not in store.items()


# ----------------------------------------------------------------------------------------------- Phones and credentials


@pytest.fixture
def ann(workspace: Workspace) -> str:
    return workspace.user_identity(email_address=ANN)


def test_two_registrations_of_an_installation_at_once_make_one_phone(
    directory: Directory, ann: str, meanwhile: Meanwhile
) -> None:
    app = directory.session(ann)

    meanwhile(app.start_app)
    app.start_app()

    assert len(directory.phones()) == 1


def test_a_new_phone_does_not_register_for_an_identity_that_is_deleted_meanwhile(
    directory: Directory, ann: str, meanwhile: Meanwhile
) -> None:
    meanwhile(lambda: directory.delete(ann))
    with pytest.raises(UserIdentityNotFound):
        directory.session(ann).start_app()

    assert directory.phones() == []


@pytest.mark.parametrize("before", ["GetItem", "TransactWriteItems"])
def test_a_phone_that_is_deactivated_while_it_registers_is_a_new_one(
    directory: Directory, ann: str, meanwhile: Meanwhile, before: str
) -> None:
    app = directory.session(ann)
    app.start_app(os_version="25")
    (first,) = directory.phones()

    meanwhile(lambda: directory.deactivate_phone(first), before)
    app.start_app(os_version="26")

    (second,) = directory.phones()
    assert second != first


@pytest.fixture
def anns_user(directory: Directory, manager: str, ann: str) -> str:
    return directory.create_acs_user(manager, user_identity_id=ann).acs_user_id


def test_a_credential_is_not_created_for_an_acs_user_that_is_unlinked_meanwhile(
    directory: Directory, ann: str, anns_user: str, manager: str, meanwhile: Meanwhile
) -> None:
    meanwhile(lambda: directory.remove(anns_user, ann))
    with pytest.raises(AcsUserHasNoUserIdentity):
        directory.create_credential(anns_user, credential_manager_acs_system_id=manager)

    assert directory.credentials() == []


def test_a_credential_belongs_to_the_person_that_its_acs_user_has_then(
    directory: Directory, workspace: Workspace, ann: str, anns_user: str, manager: str, meanwhile: Meanwhile
) -> None:
    bob = workspace.user_identity()

    def move() -> None:
        directory.remove(anns_user, ann)
        directory.add(anns_user, user_identity_id=bob)

    meanwhile(move)
    created = directory.create_credential(anns_user, credential_manager_acs_system_id=manager)

    assert created.user_identity_id == bob


@pytest.mark.parametrize("act", ["delete", "remove"])
def test_an_acs_user_that_gets_a_credential_meanwhile_ends_with_it(
    directory: Directory, ann: str, anns_user: str, manager: str, meanwhile: Meanwhile, act: str
) -> None:
    acts: dict[str, Callable[[], object]] = {
        "delete": lambda: directory.delete_acs_user(anns_user),
        "remove": lambda: directory.remove(anns_user, ann),
    }

    meanwhile(lambda: directory.create_credential(anns_user, credential_manager_acs_system_id=manager))
    acts[act]()

    assert directory.credentials() == []


def test_a_credential_is_not_created_for_an_identity_that_is_deleted_meanwhile(
    directory: Directory, ann: str, manager: str, meanwhile: Meanwhile
) -> None:
    meanwhile(lambda: directory.delete(ann))
    with pytest.raises(UserIdentityNotFound):
        directory.create_credential(
            user_identity_id=ann, acs_system_id=manager, credential_manager_acs_system_id=manager
        )

    assert directory.credentials() == directory.acs_users() == []


def test_a_credential_does_not_link_a_record_that_an_import_gives_to_somebody_else(
    directory: Directory, ann: str, anns: str, manager: str, meanwhile: Meanwhile
) -> None:
    meanwhile(lambda: directory.import_row(acs_user_id=anns, acs_system_id=manager, email_address=BOB))
    created = directory.create_credential(
        user_identity_id=ann, acs_system_id=manager, credential_manager_acs_system_id=manager
    )

    assert directory.acs_user(anns).user_identity_id is None
    assert created.acs_user_id != anns


def test_a_credential_goes_by_the_address_that_the_identity_has_when_it_is_linked(
    directory: Directory, workspace: Workspace, ann: str, anns: str, manager: str, meanwhile: Meanwhile
) -> None:
    bobs = workspace.acs_user(manager, email_address=BOB)

    meanwhile(lambda: directory.update(ann, email_address=BOB))
    created = directory.create_credential(
        user_identity_id=ann, acs_system_id=manager, credential_manager_acs_system_id=manager
    )

    assert created.acs_user_id == bobs
    assert directory.acs_user(anns).user_identity_id is None


def test_a_credential_is_not_created_at_the_manager_of_an_automation_that_is_deleted_meanwhile(
    directory: Directory, ann: str, anns_user: str, manager: str, meanwhile: Meanwhile
) -> None:
    automation = directory.launch(ann, manager)

    meanwhile(lambda: directory.delete_automation(automation.enrollment_automation_id))
    with pytest.raises(NoCredentialManager):
        directory.create_credential(anns_user)

    assert directory.credentials() == []


def test_two_updates_of_a_credential_at_once_are_both_made(
    store: Store, directory: Directory, anns_user: str, manager: str, meanwhile: Meanwhile
) -> None:
    created = directory.create_credential(anns_user, credential_manager_acs_system_id=manager).acs_credential_id

    meanwhile(lambda: directory.update_credential(created, ends_at="2090-01-01T00:00:00.000Z"))
    updated = directory.update_credential(created, ends_at="2091-01-01T00:00:00.000Z")

    (version,) = [item["version"] for key, item in store.items().items() if key.sk == f"CREDENTIAL#{created}"]
    assert (updated.ends_at, version) == ("2091-01-01T00:00:00.000Z", 3)


@pytest.mark.parametrize("act", ["update", "delete"])
def test_a_credential_that_is_deleted_meanwhile_is_not_found(
    directory: Directory, anns_user: str, manager: str, meanwhile: Meanwhile, act: str
) -> None:
    created = directory.create_credential(anns_user, credential_manager_acs_system_id=manager).acs_credential_id
    acts: dict[str, Callable[[], object]] = {
        "update": lambda: directory.update_credential(created, ends_at="2090-01-01T00:00:00.000Z"),
        "delete": lambda: directory.delete_credential(created),
    }

    meanwhile(lambda: directory.delete_credential(created))
    with pytest.raises(AcsCredentialNotFound):
        acts[act]()

    assert directory.credentials() == []
