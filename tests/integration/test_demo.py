"""The demo workspaces are put into a table that may have some of them."""

from enrollment.store.actions import put_new
from enrollment.store.keys import deleted_workspace_key
from enrollments.local.demo import demo, seed
from tests.fixtures import Store, put_all


def test_an_empty_table_gets_everything_by_one_request(store: Store) -> None:
    requests = store.count_requests()

    seeded = seed(store.table)

    assert len(requests) == 1
    assert store.items() == seeded.items


def test_what_is_there_stays_as_it_is_and_what_is_missing_is_added(store: Store) -> None:
    key = next(iter(demo().items))
    store.table.transact({"item": put_new(key, {"name": "of another version"})})

    seeded = seed(store.table)

    assert store.items() == {**seeded.items, key: {"name": "of another version"}}


def test_a_table_that_has_everything_stays_as_it_is(store: Store) -> None:
    seed(store.table)
    before = store.items()

    seed(store.table)

    assert store.items() == before


def test_a_demo_workspace_that_was_deleted_begins_anew(store: Store) -> None:
    workspace_id = demo().variables["SEAM_WORKSPACE_ID"]
    put_all(store.table, {deleted_workspace_key(workspace_id): {"workspace_id": workspace_id}})

    seeded = seed(store.table)

    assert store.items() == seeded.items
