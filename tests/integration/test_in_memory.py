"""The table in memory does what moto does, for each action that the package writes and each read."""

from collections.abc import Mapping

import pytest

from enrollment.store.actions import (
    Action,
    change,
    claim,
    delete,
    put,
    put_new,
    put_new_or_same,
    raise_number,
    require,
    require_absent,
)
from enrollment.store.attributes import Item
from enrollment.store.keys import Key
from enrollment.store.table import Table
from tests.fixtures import Store
from tests.in_memory import InMemory

ONE, TWO, NONE = Key("a", "1"), Key("a", "2"), Key("a", "3")
FIRST: Mapping[Key, Item] = {
    ONE: {"name": "one", "number": 1, "flag": True, "set": frozenset({"x", "y"})},
    TWO: {"name": "two"},
}
ACTIONS: Mapping[str, Action] = {
    "put over": put(ONE, {"name": "other"}),
    "put": put(NONE, {"name": "other"}),
    "put new": put_new(NONE, {"set": frozenset({"x"})}),
    "put new over": put_new(ONE, {"name": "other"}),
    "put same": put_new_or_same(ONE, {"name": "one", "more": 1}, "name"),
    "put another": put_new_or_same(ONE, {"name": "two"}, "name"),
    "require": require(ONE),
    "require what is not there": require(NONE),
    "require values": require(ONE, {"name": "one", "number": 1, "flag": True, "set": frozenset({"y", "x"})}),
    "require another value": require(ONE, {"name": "one", "number": 2}),
    "require no value": require(ONE, {"more": None}),
    "require no value that is there": require(ONE, {"name": None}),
    "require absent": require_absent(NONE),
    "require absent what is there": require_absent(ONE),
    "assign": change(ONE, assign={"name": "other", "more": "more"}, where={"name": "one"}),
    "assign to what is not there": change(NONE, assign={"name": "other"}),
    "remove": change(ONE, remove=["number", "more"]),
    "add": change(ONE, add={"set": frozenset({"z"}), "new": frozenset({"n"})}),
    "discard": change(ONE, discard={"set": frozenset({"x", "z"})}),
    "discard all": change(ONE, discard={"set": frozenset({"x", "y"})}),
    "all kinds of change": change(
        ONE,
        assign={"more": 2},
        remove=["name"],
        add={"new": frozenset({"n"})},
        discard={"set": frozenset({"x"})},
        where={"flag": True, "more": None},
    ),
    "raise": raise_number(ONE, "number", {"name": "one"}),
    "raise what is not there": raise_number(NONE, "number", {"name": "three"}),
    "raise what must be there": raise_number(NONE, "number", {"name": "three"}, must_exist=True),
    "claim": claim(TWO, "owner", "me", where={"name": "two"}),
    "claim what is mine": claim(ONE, "name", "one", where={"number": 1}),
    "claim what is another's": claim(ONE, "name", "me", where={"number": 1}),
    "delete": delete(ONE),
    "delete what is not there": delete(NONE),
    "delete as seen": delete(ONE, {"name": "one"}),
    "delete as not seen": delete(ONE, {"name": "other"}),
}


@pytest.fixture
def memory() -> InMemory:
    return InMemory()


def seed(table: Table) -> None:
    assert not table.transact({str(key): put(key, item) for key, item in FIRST.items()})


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_does_what_it_does_in_moto(name: str, memory: InMemory, store: Store) -> None:
    for table in (memory.table, store.table):
        seed(table)

    here, there = (table.transact({name: ACTIONS[name]}) for table in (memory.table, store.table))

    assert here == there
    assert memory.items() == store.items()


def test_a_transaction_that_is_refused_changes_nothing(memory: InMemory, store: Store) -> None:
    actions = {
        "put": put(NONE, {"name": "three"}),
        "absent": require_absent(ONE),
        "changed": delete(TWO, {"name": "x"}),
    }
    for table in (memory.table, store.table):
        seed(table)

    here, there = (table.transact(actions) for table in (memory.table, store.table))

    assert here == there
    assert memory.items() == store.items() == FIRST


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("after", [None, "03", "035"])
@pytest.mark.parametrize("at_once", [None, 2])
def test_a_walk_is_as_in_moto(
    memory: InMemory, store: Store, *, backwards: bool, after: str | None, at_once: int | None
) -> None:
    for table in (memory.table, store.table):
        table.transact({str(one): put(Key("a", f"{one:02}"), {"one": one}) for one in range(8)})

    here, there = (
        list(table.walk("a", "01", "06", after=after, backwards=backwards, at_once=at_once))
        for table in (memory.table, store.table)
    )

    assert here == there


def test_keys_are_read_as_in_moto(memory: InMemory, store: Store) -> None:
    for table in (memory.table, store.table):
        seed(table)

    assert memory.table.get(NONE) is store.table.get(NONE) is None
    assert memory.table.get(ONE) == store.table.get(ONE)
    assert memory.table.get_all([ONE, NONE, TWO]) == store.table.get_all([ONE, NONE, TWO])
    assert sorted(map(str, memory.table.scan("a"))) == sorted(map(str, store.table.scan("a")))
