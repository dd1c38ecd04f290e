"""``enrollments directory check`` puts right what an older release leaves of what follows a launch."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from enrollment.store.actions import Action, change, delete, put
from enrollment.store.attributes import Item
from enrollment.store.items import stored_acs_user, stored_user_identity
from enrollment.store.keys import (
    Key,
    acs_credential_by_id_key,
    acs_credential_key,
    acs_credential_listing_key,
    acs_credential_of_system_listing_key,
    acs_user_key,
    acs_user_link_key,
    enrollment_key,
    installation_key,
    phone_by_id_key,
    phone_key,
    phone_listing_key,
    registration_key,
    user_identity_key,
)
from enrollments.directory.checking import check
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory
from tests.invariants import violations
from tests.provisioning import AtManager, Provisioning, in_table

OTHER = "00000000-0000-4000-8000-000000000001"
AT = "2024-01-09T05:45:33.068Z"


@dataclass(frozen=True)
class World:
    """A workspace with a person who has a phone and a credential."""

    store: Store
    directory: Directory
    workspace_id: str
    manager: str
    identity: str
    acs_user: str
    device: str
    credential: str

    def enrollment(self) -> Key:
        return enrollment_key(self.workspace_id, self.identity, self.manager)

    def change(self, **actions: Action) -> None:
        assert not self.store.table.transact(actions)

    def delete(self, *keys: Key) -> None:
        assert not self.store.table.transact({str(key): delete(key) for key in keys})

    def mend(self) -> list[tuple[str, str]]:
        """Have faults mended, and return which: what each is about, and the fault."""
        found = list(check(self.store.table, self.workspace_id, mend=True))
        assert all(finding.is_mended for finding in found)
        return [(finding.about, finding.problem) for finding in found]


@pytest.fixture
def world(store: Store, directory: Directory, workspace: Workspace) -> World:
    manager, identity = workspace.credential_manager(), workspace.user_identity()
    acs_user = directory.create_acs_user(manager, user_identity_id=identity).acs_user_id
    created = directory.create_credential(acs_user, credential_manager_acs_system_id=manager)
    directory.session(identity).start_app("app")
    (device,) = directory.phones()
    credential = created.acs_credential_id
    return World(store, directory, workspace.workspace_id, manager, identity, acs_user, device, credential)


def test_nothing_is_wrong_with_a_right_workspace(world: World) -> None:
    assert world.mend() == []


def entries_of(world: World) -> dict[str, list[Key]]:
    credential = world.directory.credential(world.credential)
    phone = world.directory.phone(world.device)
    return {
        f"phone {world.device}": [
            phone_by_id_key(world.workspace_id, world.device),
            phone_listing_key(world.workspace_id, phone.created_at, world.device),
            installation_key(world.workspace_id, world.identity, "app"),
        ],
        f"credential {world.credential}": [
            acs_credential_by_id_key(world.workspace_id, world.credential),
            acs_credential_listing_key(world.workspace_id, credential.created_at, world.credential),
            acs_credential_of_system_listing_key(
                world.workspace_id, world.manager, credential.created_at, world.credential
            ),
        ],
    }


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_missing_entry_is_made_again(world: World, which: int) -> None:
    before = world.store.items()
    gone = {about: keys[which] for about, keys in entries_of(world).items()}

    world.delete(*gone.values())
    mended = world.mend()

    assert {about for about, problem in mended if problem.endswith("is missing")} == gone.keys()
    assert world.store.items() == before


@pytest.mark.parametrize(
    "make",
    [
        lambda w: (phone_listing_key(w.workspace_id, AT, OTHER), {"user_identity_id": w.identity}),
        lambda w: (phone_listing_key(w.workspace_id, AT, w.device), {"user_identity_id": w.identity}),
        lambda w: (phone_by_id_key(w.workspace_id, OTHER), {"user_identity_id": w.identity}),
        lambda w: (installation_key(w.workspace_id, w.identity, "a\nb"), {"device_id": OTHER}),
        lambda w: (installation_key(w.workspace_id, w.identity, "other"), {"device_id": w.device}),
        lambda w: (acs_credential_listing_key(w.workspace_id, AT, OTHER), {"user_identity_id": w.identity}),
        lambda w: (
            acs_credential_of_system_listing_key(w.workspace_id, OTHER, AT, w.credential),
            {"user_identity_id": w.identity},
        ),
        lambda w: (acs_credential_by_id_key(w.workspace_id, OTHER), {"user_identity_id": w.identity}),
    ],
)
def test_a_needless_entry_is_deleted(world: World, make: Callable[[World], tuple[Key, Item]]) -> None:
    before = world.store.items()
    key, item = make(world)

    world.change(entry=put(key, item))
    ((about, problem),) = world.mend()

    assert about.split()[0] in {"phone", "credential"}
    assert about.split()[1] in {OTHER, world.device, world.credential}
    assert "needless" in problem or "does not exist" in problem
    assert world.store.items() == before


def test_a_credential_whose_acs_user_is_gone_is_deleted(world: World) -> None:
    acs_user = world.store.items()[acs_user_key(world.workspace_id, world.acs_user)]
    identity = user_identity_key(world.workspace_id, world.identity)
    link = acs_user_link_key(world.workspace_id, world.identity, world.manager)

    world.delete(*stored_acs_user(acs_user), link)
    world.change(user_identity=change(identity, remove=["acs_user_ids"]))
    mended = world.mend()

    assert (f"credential {world.credential}", "its ACS user does not exist") in mended
    assert world.directory.credentials() == []


@pytest.mark.parametrize("now_of", ["nobody", "another"])
def test_a_credential_of_an_acs_user_that_was_unlinked_is_deleted(
    world: World, workspace: Workspace, now_of: str
) -> None:
    item = acs_user_key(world.workspace_id, world.acs_user)
    identity = user_identity_key(world.workspace_id, world.identity)
    link = acs_user_link_key(world.workspace_id, world.identity, world.manager)

    world.delete(link)
    world.change(
        acs_user=change(item, remove=["user_identity_id"]), user_identity=change(identity, remove=["acs_user_ids"])
    )
    if now_of == "another":
        world.directory.add(world.acs_user, user_identity_id=workspace.user_identity())
    mended = world.mend()

    assert mended == [(f"credential {world.credential}", "its ACS user is not linked to its user identity")]
    assert world.directory.credentials() == []


def test_an_acs_user_names_its_credentials_again(world: World) -> None:
    before = world.store.items()
    key = acs_user_key(world.workspace_id, world.acs_user)

    world.change(acs_user=change(key, remove=["acs_credential_ids"]))
    mended = world.mend()

    assert mended == [(f"credential {world.credential}", "its ACS user does not name it")]
    assert world.store.items() == before


def test_an_acs_user_names_no_credential_that_is_not_there(world: World) -> None:
    before = world.store.items()
    key = acs_user_key(world.workspace_id, world.acs_user)

    world.change(acs_user=change(key, add={"acs_credential_ids": frozenset({OTHER})}))
    mended = world.mend()

    assert mended == [(f"ACS user {world.acs_user}", f"names credential {OTHER}, which does not exist")]
    assert world.store.items() == before


def test_a_missing_enrollment_is_made_again(world: World) -> None:
    world.delete(world.enrollment())
    mended = world.mend()

    assert mended == [(f"credential {world.credential}", "its enrollment is missing")]
    assert world.store.items()[world.enrollment()]["revision"] == 1


def test_what_a_deleted_identity_has_left_is_deleted(world: World) -> None:
    items = world.store.items()
    identity = items[user_identity_key(world.workspace_id, world.identity)]
    acs_user = acs_user_key(world.workspace_id, world.acs_user)
    link = acs_user_link_key(world.workspace_id, world.identity, world.manager)

    world.delete(*stored_user_identity(identity), link)
    world.change(acs_user=change(acs_user, remove=["user_identity_id"]))
    while world.mend():  # deleting the credential raises the revision of the enrollment that was looked at
        pass

    assert [key for key in world.store.items() if world.identity in key.pk] == []
    assert world.directory.phones() == world.directory.credentials() == []
    assert violations(world.store.items()) == []


def test_a_client_session_of_a_user_identity_that_is_gone_ends_or_loses_it(world: World, workspace: Workspace) -> None:
    """An older release deletes the user identity, but not its client sessions."""
    other = world.directory.create().user_identity_id
    alone = workspace.client_session(world.identity)
    of_both = workspace.client_session(world.identity, other)
    items = world.store.items()
    gone = [
        key
        for key in items
        if (world.identity in key.pk and not key.pk.endswith("#CLIENT_SESSIONS")) or world.acs_user in f"{key}"
    ]
    world.delete(
        *gone, *stored_user_identity(items[user_identity_key(world.workspace_id, world.identity)]).keys() - {*gone}
    )

    found = world.mend()

    problem = "sees a user identity that does not exist"
    assert {about for about, text in found if text == problem} == {
        f"client session {alone.client_session_id}",
        f"client session {of_both.client_session_id}",
    }
    world.mend()
    assert not [key for key in world.store.items() if world.identity in key.pk]
    sessions = [item for key, item in world.store.items().items() if key.sk == "CLIENT_SESSION"]
    assert [item["user_identity_ids"] for item in sessions] == [other]
    assert not violations(world.store.items())


# --------------------------------------------------------------------------------------- What is at credential managers


@dataclass(frozen=True)
class Enrolled:
    """The person of a world, whose phone is registered and has a credential.

    Attributes:
        world: The world.
        provisioning: Runs executions.
        credential: The phone's credential.
    """

    world: World
    provisioning: Provisioning
    credential: str

    def key(self) -> Key:
        return acs_credential_key(self.world.workspace_id, self.world.identity, self.credential)


@pytest.fixture
def enrolled(world: World, workspace: Workspace) -> Enrolled:
    workspace.become_sandbox()
    provisioning = Provisioning(world.store.table, world.store.items)
    world.directory.launch(world.identity, world.manager)
    provisioning.settle()
    (credential,) = set(world.directory.credentials()) - {world.credential}
    return Enrolled(world, provisioning, credential)


def test_nothing_is_wrong_with_a_phone_that_has_its_credential(enrolled: Enrolled) -> None:
    assert enrolled.world.mend() == []


def test_nothing_is_wrong_with_what_a_deleted_person_has_left_at_a_manager(enrolled: Enrolled) -> None:
    enrolled.world.directory.delete(enrolled.world.identity)
    mended = enrolled.world.mend()
    enrolled.provisioning.settle()

    assert mended == []
    assert [key for key in enrolled.world.store.items() if enrolled.world.identity in key.pk] == []


def test_a_phones_credential_whose_acs_user_is_gone_is_revoked(enrolled: Enrolled) -> None:
    world = enrolled.world
    items = world.store.items()
    link = acs_user_link_key(world.workspace_id, world.identity, world.manager)
    identity = user_identity_key(world.workspace_id, world.identity)

    world.delete(*stored_acs_user(items[acs_user_key(world.workspace_id, world.acs_user)]), link)
    world.change(user_identity=change(identity, remove=["acs_user_ids"]))
    while world.mend():
        pass
    waiting = "being_deleted_at" in world.store.items()[enrolled.key()]
    enrolled.provisioning.settle()

    assert waiting
    assert world.directory.credentials() == []
    assert AtManager.of(world.store.items()) == in_table(world.store.items())


def test_a_phones_credential_without_a_registration_is_deleted(enrolled: Enrolled) -> None:
    world = enrolled.world

    world.delete(registration_key(world.workspace_id, world.identity, world.device, world.manager))
    mended = world.mend()

    assert (f"credential {enrolled.credential}", "its phone's registration does not exist") in mended
    assert enrolled.key() not in world.store.items()
    world.change(
        phone=change(phone_key(world.workspace_id, world.identity, world.device), remove=["registered_with"]),
        acs_user=change(
            acs_user_key(world.workspace_id, world.acs_user),
            discard={"acs_credential_ids": frozenset({enrolled.credential})},
        ),
    )
