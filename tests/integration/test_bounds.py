"""What bounds a request's work: rounds against others that are quicker, and entries that a list reads."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from enrollment.errors import ServiceUnavailable
from tests.fixtures import Store, Workspace
from tests.integration.conftest import Directory

type Call = Callable[[], object]


@pytest.fixture
def refuse(store: Store) -> Callable[[], list[None]]:
    """Return a function from which on the last action of each transaction is refused, as if another had been quicker.

    It gives a list that grows by each transaction.
    """

    def begin() -> list[None]:
        seen: list[None] = []

        def refuse_last(params: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
            seen.append(None)
            others = len(json.loads(params["body"])["TransactItems"]) - 1
            return AWSResponse("http://x", 400, HTTPHeaders(), None), {
                "Error": {"Code": "TransactionCanceledException", "Message": "m"},
                "ResponseMetadata": {"HTTPStatusCode": 400},
                "CancellationReasons": [*[{"Code": "None"}] * others, {"Code": "ConditionalCheckFailed"}],
            }

        store.watch("before-call.dynamodb.TransactWriteItems", refuse_last)
        return seen

    return begin


def launch(directory: Directory, workspace: Workspace) -> Call:
    identity, manager = workspace.user_identity(), workspace.credential_manager()
    return lambda: directory.launch(identity, manager, create_credential_manager_user=True)


def create(directory: Directory, workspace: Workspace) -> Call:
    system = workspace.acs_system()
    return lambda: directory.create(acs_system_ids=[system])


def update(directory: Directory, workspace: Workspace) -> Call:
    identity = workspace.user_identity()
    return lambda: directory.update(identity, email_address="jane@example.com")


def add(directory: Directory, workspace: Workspace) -> Call:
    identity, acs_user_id = workspace.user_identity(), workspace.acs_user(workspace.acs_system())
    return lambda: directory.add(acs_user_id, user_identity_id=identity)


def remove(directory: Directory, workspace: Workspace) -> Call:
    identity, acs_user_id = workspace.user_identity(), workspace.acs_user(workspace.acs_system())
    directory.add(acs_user_id, user_identity_id=identity)
    return lambda: directory.remove(acs_user_id, identity)


def delete(directory: Directory, workspace: Workspace) -> Call:
    acs_user_id = workspace.acs_user(workspace.acs_system())
    return lambda: directory.delete_acs_user(acs_user_id)


@pytest.mark.parametrize("prepare", [launch, create, update, add, remove, delete])
def test_a_request_that_others_keep_overtaking_is_unavailable_after_four_transactions(
    directory: Directory,
    workspace: Workspace,
    refuse: Callable[[], list[None]],
    prepare: Callable[[Directory, Workspace], Call],
) -> None:
    call = prepare(directory, workspace)
    transactions = refuse()

    with pytest.raises(ServiceUnavailable):
        call()

    assert len(transactions) == 4


LISTS: dict[str, Callable[[Directory, str, int], object]] = {
    "user identities": lambda directory, _, limit: directory.page(limit=limit),
    "enrolled": lambda directory, system, limit: directory.page(credential_manager_acs_system_id=system, limit=limit),
    "ACS users": lambda directory, _, limit: directory.acs_users(limit=limit),
    "ACS users of a system": lambda directory, system, limit: directory.acs_users(acs_system_id=system, limit=limit),
    "systems": lambda directory, _, limit: directory.systems(limit=limit),
    "pools": lambda directory, system, limit: directory.pools(system, limit=limit),
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize(("limit", "entries"), [(1, 101), (500, 501), (1000, 1001), (10**9, 1001)])
def test_a_list_reads_entries_for_a_page_and_one_more(
    store: Store, directory: Directory, workspace: Workspace, name: str, limit: int, entries: int
) -> None:
    manager = workspace.credential_manager()
    limits: list[int | None] = []
    store.watch(
        "before-call.dynamodb.Query",
        lambda params, **_: limits.append(json.loads(params["body"]).get("Limit")),
    )

    LISTS[name](directory, manager, limit)

    assert limits == [entries]


def test_a_page_is_one_query_and_a_read_of_each_100_records(store: Store, directory: Directory) -> None:
    for _ in range(101):
        directory.create(user_identity_key=uuid4().hex)
    requests = store.count_requests()

    assert len(directory.listed()) == 101

    assert [name.rpartition(".")[2] for name in requests] == ["Query", "BatchGetItem", "BatchGetItem"]
