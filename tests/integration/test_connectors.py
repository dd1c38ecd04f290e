"""Connectors: what an operator does with them, and what happens if two do so at once."""

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from enrollment.errors import ServiceUnavailable
from enrollment.store.attributes import Item
from enrollment.store.keys import connector_pools_key, manager_pause_key, workspace_key
from enrollment.timestamps import timestamp
from enrollment.use_cases.connector_items import ConnectorId, live_secret_versions
from enrollment.use_cases.connectors import (
    AddressRefusedError,
    ChangedMeanwhileError,
    NoConnectorError,
    NotCredentialManagerError,
    ResumedConnector,
    SandboxHasNoConnectorsError,
    SetConnector,
    SystemNotFoundError,
    connectors_of_workspace,
    pause_connector,
    read_connector,
    remove_connector,
    resume_connector,
    rotate_secret,
    set_connector,
)
from enrollment.use_cases.enrollments import EnrollmentId, note_execution
from enrollment.use_cases.standing_still import have_all_go_on
from tests.fixtures import Store, Workspace, put_all
from tests.integration.conftest import Directory, Outage

URL, OTHER_URL = "https://93.184.215.14/connector", "https://93.184.215.14/other"
NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
UNKNOWN = "00000000-0000-4000-8000-000000000000"
OF_ADDRESS: dict[str, str | bool] = {
    "checked_at": timestamp(NOW),
    "keeps_validity": True,
    "one_step": False,
    "abilities_changed_at": timestamp(NOW),
    "asked_at": timestamp(NOW),
    "unanswered_since": timestamp(NOW),
    "unanswered_because": "timeout",
}

KEPT = OF_ADDRESS.keys() - {"abilities_changed_at"}

type Set = Callable[..., SetConnector]
type Meanwhile = Callable[..., None]


@pytest.fixture
def connector_id(workspace: Workspace) -> ConnectorId:
    workspace.exist()
    return ConnectorId(workspace.workspace_id, workspace.credential_manager())


@pytest.fixture
def set_(store: Store, connector_id: ConnectorId) -> Set:
    def set__(url: str = URL, *, now: datetime = NOW, on_loopback: bool = False) -> SetConnector:
        return set_connector(store.table, connector_id, url, on_loopback=on_loopback, now=now)

    return set__


@pytest.fixture
def meanwhile(store: Store) -> Meanwhile:
    """Has something done once, right before the next transaction; or before each, up to a number of times."""

    def do(change: Callable[[], object], times: int = 1) -> None:
        changes: Iterator[Callable[[], object]] = iter([change] * times)

        def make(**_: Any) -> None:
            if (one := next(changes, None)) is not None:
                one()

        store.watch("before-call.dynamodb.TransactWriteItems", make)

    return do


def item_of(store: Store, connector_id: ConnectorId) -> Item:
    return store.items()[connector_id.key]


# ------------------------------------------------------------------------------------------------------------- Setting


def test_a_new_connector_is_stored_without_its_secret(store: Store, set_: Set, connector_id: ConnectorId) -> None:
    done = set_()

    assert done == SetConnector(timestamp(NOW), is_new=True, has_other_address=False, is_paused=False)
    assert item_of(store, connector_id) == {
        "workspace_id": connector_id.workspace_id,
        "acs_system_id": connector_id.manager_id,
        "url": URL,
        "set_at": timestamp(NOW),
        "revision": int(NOW.timestamp() * 1000),
        "secret_version": timestamp(NOW),
    }


def test_another_address_keeps_the_secret_and_drops_what_the_watch_knows(
    store: Store, workspace: Workspace, set_: Set, connector_id: ConnectorId
) -> None:
    workspace.connect(connector_id.manager_id, **OF_ADDRESS, url=URL, secret_version="before", next_check_at="later")

    done = set_(OTHER_URL)

    item = item_of(store, connector_id)
    assert done == SetConnector("before", is_new=False, has_other_address=True, is_paused=False)
    assert (item["url"], item["set_at"], item["secret_version"]) == (OTHER_URL, timestamp(NOW), "before")
    assert not {*OF_ADDRESS, "next_check_at"} & item.keys()


def test_the_same_address_once_more_has_it_asked_at_once(
    store: Store, workspace: Workspace, set_: Set, connector_id: ConnectorId
) -> None:
    workspace.connect(connector_id.manager_id, **OF_ADDRESS, url=URL, set_at="before", next_check_at="later")

    set_(now=LATER)

    item = item_of(store, connector_id)
    assert (item["set_at"], item["revision"]) == ("before", int(LATER.timestamp() * 1000))
    assert {name: item[name] for name in KEPT} == {name: OF_ADDRESS[name] for name in KEPT}
    assert "next_check_at" not in item


AGAIN = pytest.mark.parametrize(
    "again",
    [
        lambda table, one: set_connector(table, one, URL, on_loopback=False, now=NOW),
        lambda table, one: resume_connector(table, one, now=NOW),
    ],
    ids=["set", "resume"],
)


@AGAIN
def test_a_connector_that_can_do_something_else_has_its_phones_follow(
    store: Store, workspace: Workspace, connector_id: ConnectorId, again: Callable[..., object]
) -> None:
    workspace.connect(connector_id.manager_id, **OF_ADDRESS, url=URL)

    again(store.table, connector_id)

    assert "abilities_changed_at" not in item_of(store, connector_id)


@AGAIN
def test_a_manager_that_has_too_much_to_do_stays_paused_and_that_is_told(
    store: Store, workspace: Workspace, set_: Set, connector_id: ConnectorId, again: Callable[..., Any]
) -> None:
    set_()
    workspace.pause(connector_id.manager_id, reason="busy", paused_until=timestamp(LATER))

    done = again(store.table, connector_id)

    assert done.busy_until == timestamp(LATER)


@AGAIN
@pytest.mark.parametrize(("reason", "until"), [("busy", NOW), ("disconnected", LATER)])
def test_a_pause_that_is_over_or_ends_is_not_told(
    store: Store,
    workspace: Workspace,
    set_: Set,
    connector_id: ConnectorId,
    again: Callable[..., Any],
    reason: str,
    until: datetime,
) -> None:
    set_()
    workspace.pause(connector_id.manager_id, reason=reason, paused_until=timestamp(until))

    done = again(store.table, connector_id)

    assert done.busy_until is None


@pytest.mark.parametrize("again", ["set", "resume"])
def test_phones_soon_look_for_the_answer_of_a_connector_that_has_never_answered(
    store: Store, set_: Set, connector_id: ConnectorId, again: str
) -> None:
    set_(now=NOW - timedelta(days=3))
    by_command: dict[str, Callable[[], object]] = {
        "set": set_,
        "resume": lambda: resume_connector(store.table, connector_id, now=NOW),
    }

    by_command[again]()

    assert item_of(store, connector_id)["set_at"] == timestamp(NOW)


def test_a_revision_grows_though_the_clock_goes_back(store: Store, set_: Set, connector_id: ConnectorId) -> None:
    set_(now=LATER)

    set_(now=NOW)

    assert item_of(store, connector_id)["revision"] == int(LATER.timestamp() * 1000) + 1


def test_a_connector_that_is_paused_stays_so_at_another_address(
    store: Store, set_: Set, connector_id: ConnectorId
) -> None:
    set_()
    pause_connector(store.table, connector_id, now=NOW)

    done = set_(OTHER_URL)

    assert done.is_paused
    assert item_of(store, connector_id)["paused_at"] == timestamp(NOW)


@pytest.mark.parametrize(
    ("reason", "url", "is_paused"),
    [("disconnected", URL, False), ("busy", URL, True), ("busy", OTHER_URL, False), ("disconnected", OTHER_URL, False)],
)
def test_a_pause_that_is_of_another_connector_or_put_right_ends(
    store: Store, workspace: Workspace, set_: Set, connector_id: ConnectorId, *, reason: str, url: str, is_paused: bool
) -> None:
    set_()
    workspace.pause(connector_id.manager_id, reason=reason, paused_until=timestamp(LATER))

    set_(url)

    assert (manager_pause_key(*connector_id) in store.items()) == is_paused


def test_a_sandbox_has_no_connectors(store: Store, other_workspace: Workspace) -> None:
    other_workspace.become_sandbox()
    connector_id = ConnectorId(other_workspace.workspace_id, other_workspace.credential_manager())

    with pytest.raises(SandboxHasNoConnectorsError):
        set_connector(store.table, connector_id, URL, on_loopback=False, now=NOW)


def test_an_unknown_system_has_no_connector(store: Store, connector_id: ConnectorId) -> None:
    unknown = ConnectorId(connector_id.workspace_id, UNKNOWN)

    with pytest.raises(SystemNotFoundError):
        set_connector(store.table, unknown, URL, on_loopback=False, now=NOW)


def test_a_system_of_another_workspace_has_no_connector(
    store: Store, other_workspace: Workspace, connector_id: ConnectorId
) -> None:
    others = ConnectorId(connector_id.workspace_id, other_workspace.credential_manager())

    with pytest.raises(SystemNotFoundError):
        set_connector(store.table, others, URL, on_loopback=False, now=NOW)


def test_a_system_that_is_no_credential_manager_has_no_connector(
    store: Store, workspace: Workspace, connector_id: ConnectorId
) -> None:
    system = ConnectorId(connector_id.workspace_id, workspace.acs_system())

    with pytest.raises(NotCredentialManagerError):
        set_connector(store.table, system, URL, on_loopback=False, now=NOW)


@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.215.14/",
        "ftp://93.184.215.14/",
        "https://10.0.0.1/",
        "https://192.168.1.1:8443/",
        "https://172.16.0.1/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://0.0.0.0/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://127.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://169.254.170.2/",
        "https://100.64.0.1/",
        "https://[::1]/",
        "https://[::]/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[2002:7f00:1::]/",
        "https://user:made-up-word@93.184.215.14/",
        "https://93.184.215.14/#fragment",
        "https://93.184.215.14:0/",
        "https:///connector",
        "https://93.184.215.14/\n",
        "",
        f"https://93.184.215.14/{'a' * 1000}",
    ],
)
def test_an_address_that_leads_elsewhere_than_to_the_internet_is_refused(
    store: Store, set_: Set, connector_id: ConnectorId, url: str
) -> None:
    with pytest.raises(AddressRefusedError) as refused:
        set_(url)

    assert connector_id.key not in store.items()
    assert not url or url not in str(refused.value)


def test_a_name_that_leads_to_a_private_address_is_refused(set_: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in ("93.184.215.14", "10.0.0.1")]
    monkeypatch.setattr("enrollment.outbound.addresses.socket.getaddrinfo", lambda *_, **__: found)

    with pytest.raises(AddressRefusedError):
        set_("https://connector.example.com/")


def test_this_machine_is_allowed_where_the_table_is_on_it(store: Store, set_: Set, connector_id: ConnectorId) -> None:
    set_("http://127.0.0.1:8080/", on_loopback=True)

    assert item_of(store, connector_id)["url"] == "http://127.0.0.1:8080/"


# ------------------------------------------------------------------------------------------------------------ Rotating


def test_the_former_secret_counts_until_the_overlap_ends(store: Store, set_: Set, connector_id: ConnectorId) -> None:
    set_()

    version = rotate_secret(store.table, connector_id, overlap=timedelta(hours=24), now=LATER)

    item = item_of(store, connector_id)
    assert live_secret_versions(item, LATER + timedelta(hours=23)) == [version, timestamp(NOW)]
    assert live_secret_versions(item, LATER + timedelta(hours=24)) == [version]


def test_all_former_secrets_end_at_once_if_one_has_leaked(store: Store, set_: Set, connector_id: ConnectorId) -> None:
    set_()
    rotate_secret(store.table, connector_id, overlap=timedelta(hours=24), now=LATER)

    version = rotate_secret(store.table, connector_id, overlap=timedelta(), now=LATER)

    item = item_of(store, connector_id)
    assert live_secret_versions(item, LATER) == [version]
    assert "former_secrets" not in item


def test_former_secrets_that_have_ended_are_dropped(store: Store, set_: Set, connector_id: ConnectorId) -> None:
    set_()
    second = rotate_secret(store.table, connector_id, overlap=timedelta(hours=1), now=NOW)
    now = NOW + timedelta(hours=2)

    rotate_secret(store.table, connector_id, overlap=timedelta(hours=1), now=now)

    ends = timestamp(now + timedelta(hours=1))
    assert item_of(store, connector_id)["former_secrets"] == frozenset({f"{second} {ends}"})


def test_no_secret_is_made_twice(store: Store, set_: Set, connector_id: ConnectorId) -> None:
    first = set_().secret_version

    versions = [rotate_secret(store.table, connector_id, overlap=timedelta(hours=1), now=NOW) for _ in range(3)]

    assert len({first, *versions}) == 4


def test_a_connector_that_is_set_anew_has_another_secret(store: Store, set_: Set, connector_id: ConnectorId) -> None:
    first = set_().secret_version
    remove_connector(store.table, connector_id)

    second = set_(now=LATER).secret_version

    assert first != second


# ---------------------------------------------------------------------------------------- Removing, pausing, resuming


def test_a_removed_connector_leaves_nothing(
    store: Store, workspace: Workspace, set_: Set, connector_id: ConnectorId
) -> None:
    before = store.items()
    set_()
    workspace.pause(connector_id.manager_id, reason="disconnected", paused_until=timestamp(LATER))

    remove_connector(store.table, connector_id)

    assert store.items() == before


def test_a_pause_lasts_from_its_first_moment(store: Store, set_: Set, connector_id: ConnectorId) -> None:
    set_()
    pause_connector(store.table, connector_id, now=NOW)

    since = pause_connector(store.table, connector_id, now=LATER)

    assert since == timestamp(NOW)
    assert item_of(store, connector_id)["paused_at"] == since


@pytest.mark.parametrize("is_paused", [True, False])
def test_resuming_has_the_connector_asked_at_once(
    store: Store, workspace: Workspace, connector_id: ConnectorId, *, is_paused: bool
) -> None:
    paused: dict[str, str] = {"paused_at": timestamp(NOW)} if is_paused else {}
    workspace.connect(connector_id.manager_id, next_check_at=timestamp(LATER), **paused)

    done = resume_connector(store.table, connector_id, now=NOW)

    item = item_of(store, connector_id)
    assert done == ResumedConnector(was_paused=is_paused, busy_until=None)
    assert item["revision"] == int(NOW.timestamp() * 1000)
    assert not {"paused_at", "next_check_at"} & item.keys()


@pytest.mark.parametrize(
    "do",
    [
        lambda table, one: rotate_secret(table, one, overlap=timedelta(), now=NOW),
        lambda table, one: pause_connector(table, one, now=NOW),
        lambda table, one: resume_connector(table, one, now=NOW),
        remove_connector,
        read_connector,
    ],
    ids=["rotate", "pause", "resume", "remove", "read"],
)
def test_what_a_connector_is_needed_for_says_that_there_is_none(
    store: Store, connector_id: ConnectorId, do: Callable[..., object]
) -> None:
    with pytest.raises(NoConnectorError):
        do(store.table, connector_id)


def test_a_workspace_lists_its_connectors_by_the_age_of_their_managers(
    store: Store, workspace: Workspace, other_workspace: Workspace
) -> None:
    younger = workspace.credential_manager(created_at="2026-02-01T00:00:00.000Z")
    older = workspace.credential_manager(created_at="2026-01-01T00:00:00.000Z")
    workspace.credential_manager()
    other_workspace.connect(other_workspace.credential_manager())
    workspace.connect(younger)
    workspace.connect(older)

    found = connectors_of_workspace(store.table, workspace.workspace_id)

    assert [one.id.manager_id for one in found] == [older, younger]


# -------------------------------------------------------------------------------------------------------- Two operators


def test_a_connector_that_is_removed_while_its_address_is_changed_is_set_anew(
    store: Store, set_: Set, connector_id: ConnectorId, meanwhile: Meanwhile
) -> None:
    set_()
    meanwhile(lambda: remove_connector(store.table, connector_id))

    done = set_(OTHER_URL, now=LATER)

    assert done == SetConnector(timestamp(LATER), is_new=True, has_other_address=False, is_paused=False)


def test_a_secret_that_is_rotated_while_the_address_is_changed_is_the_one_that_is_told(
    store: Store, set_: Set, connector_id: ConnectorId, meanwhile: Meanwhile
) -> None:
    set_()
    meanwhile(lambda: rotate_secret(store.table, connector_id, overlap=timedelta(), now=LATER))

    done = set_(OTHER_URL)

    assert done.secret_version == item_of(store, connector_id)["secret_version"] == timestamp(LATER)


def test_a_connector_that_two_set_at_once_has_one_secret(
    store: Store, set_: Set, connector_id: ConnectorId, meanwhile: Meanwhile
) -> None:
    others: list[SetConnector] = []
    meanwhile(lambda: others.append(set_(OTHER_URL)))

    done = set_(now=LATER)

    assert [done.secret_version] == [other.secret_version for other in others]
    assert item_of(store, connector_id)["url"] == URL


def test_a_connector_that_is_paused_while_it_is_set_is_told_to_be_paused(
    store: Store, set_: Set, connector_id: ConnectorId, meanwhile: Meanwhile
) -> None:
    set_()
    meanwhile(lambda: pause_connector(store.table, connector_id, now=NOW))

    done = set_(OTHER_URL)

    assert done.is_paused


def test_two_rotations_at_once_leave_three_secrets(
    store: Store, set_: Set, connector_id: ConnectorId, meanwhile: Meanwhile
) -> None:
    first, day = set_().secret_version, timedelta(days=1)
    seconds: list[str] = []
    meanwhile(lambda: seconds.append(rotate_secret(store.table, connector_id, overlap=day, now=LATER)))

    third = rotate_secret(store.table, connector_id, overlap=day, now=LATER)

    assert live_secret_versions(item_of(store, connector_id), LATER) == [third, *seconds, first]


def test_a_leaked_secret_does_not_come_back_by_a_rotation_at_the_same_moment(
    store: Store, set_: Set, connector_id: ConnectorId, meanwhile: Meanwhile
) -> None:
    leaked, day = set_().secret_version, timedelta(days=1)
    meanwhile(lambda: rotate_secret(store.table, connector_id, overlap=timedelta(), now=LATER))

    rotate_secret(store.table, connector_id, overlap=day, now=LATER)

    assert leaked not in live_secret_versions(item_of(store, connector_id), LATER)


@pytest.mark.parametrize(
    "do",
    [
        lambda table, one: rotate_secret(table, one, overlap=timedelta(), now=NOW),
        lambda table, one: pause_connector(table, one, now=NOW),
        lambda table, one: resume_connector(table, one, now=NOW),
    ],
    ids=["rotate", "pause", "resume"],
)
def test_nothing_brings_a_removed_connector_back(
    store: Store, set_: Set, connector_id: ConnectorId, meanwhile: Meanwhile, do: Callable[..., object]
) -> None:
    set_()
    meanwhile(lambda: remove_connector(store.table, connector_id))

    with pytest.raises(NoConnectorError):
        do(store.table, connector_id)

    assert connector_id.key not in store.items()
    assert connector_pools_key(*connector_id) not in store.items()


def test_a_workspace_that_becomes_a_sandbox_while_its_connector_is_set_gets_none(
    store: Store, workspace: Workspace, set_: Set, connector_id: ConnectorId, meanwhile: Meanwhile
) -> None:
    key = workspace_key(workspace.workspace_id)
    sandbox = {**store.items()[key], "is_sandbox": True}
    meanwhile(lambda: put_all(store.table, {key: sandbox}))

    with pytest.raises(SandboxHasNoConnectorsError):
        set_()

    assert connector_id.key not in store.items()


@pytest.mark.parametrize(
    "do",
    [
        lambda table, one: set_connector(table, one, OTHER_URL, on_loopback=False, now=NOW),
        lambda table, one: resume_connector(table, one, now=NOW),
    ],
    ids=["set", "resume"],
)
def test_who_is_always_too_late_is_asked_to_try_again(
    store: Store, set_: Set, connector_id: ConnectorId, meanwhile: Meanwhile, do: Callable[..., object]
) -> None:
    set_()
    item, revisions = item_of(store, connector_id), count(1)
    meanwhile(lambda: put_all(store.table, {connector_id.key: {**item, "revision": next(revisions)}}), times=10)

    with pytest.raises(ChangedMeanwhileError):
        do(store.table, connector_id)


# ------------------------------------------------------------------------------------------------------------- Going on


def test_people_go_on_who_have_something_to_do(
    store: Store, workspace: Workspace, directory: Directory, set_: Set, connector_id: ConnectorId
) -> None:
    with_phone, without_phone = workspace.user_identity(), workspace.user_identity()
    directory.launch(with_phone, connector_id.manager_id)
    directory.launch(without_phone, connector_id.manager_id)
    workspace.phone(with_phone)
    set_()
    told: list[tuple[int, int]] = []

    count = have_all_go_on(store.table, connector_id, NOW, lambda *each: told.append(each))

    enrollment_id = EnrollmentId(workspace.workspace_id, with_phone, connector_id.manager_id)
    assert (count, told) == (1, [(1, 1)])
    assert store.items()[enrollment_id.key]["revision"] == 1


def test_what_is_left_of_a_deleted_person_goes_on_too(
    store: Store, workspace: Workspace, directory: Directory, set_: Set, connector_id: ConnectorId
) -> None:
    identity_id = workspace.user_identity()
    phone_id = workspace.phone(identity_id)
    workspace.registration((identity_id, phone_id, connector_id.manager_id), state="active")
    enrollment_id = EnrollmentId(workspace.workspace_id, identity_id, connector_id.manager_id)
    note_execution(store.table, enrollment_id, 1, "executor")
    directory.delete(identity_id)
    set_()
    before = int(str(store.items()[enrollment_id.key]["revision"]))

    count = have_all_go_on(store.table, connector_id, NOW)

    assert count == 1
    assert store.items()[enrollment_id.key]["revision"] == before + 1


def test_people_go_on_once_more_if_that_was_interrupted(
    store: Store, workspace: Workspace, directory: Directory, set_: Set, connector_id: ConnectorId, outage: Outage
) -> None:
    identity_id = workspace.user_identity()
    directory.launch(identity_id, connector_id.manager_id)
    workspace.phone(identity_id)
    set_()
    outage.left = 2
    with pytest.raises(ServiceUnavailable):
        have_all_go_on(store.table, connector_id, NOW)
    outage.left = None

    count = have_all_go_on(store.table, connector_id, NOW)

    assert count == 1
