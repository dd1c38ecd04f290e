"""AWS's rules for capacity units, by the examples of its own documents where it gives some."""

from typing import Any

import pytest

from experiments.scale.units import item_size, read_units, stored_bytes, write_units

KILOBYTE = 1024


def test_an_items_size_is_that_of_its_names_and_values_in_utf_8() -> None:
    item: dict[str, dict[str, Any]] = {"pk": {"S": "é"}, "is_running": {"BOOL": True}, "ids": {"SS": ["one", "three"]}}

    size = item_size(item)

    assert size == (2 + 2) + (10 + 1) + (3 + 8)
    assert item_size(None) == 0
    assert stored_bytes([item, item]) == 2 * (size + 100)


@pytest.mark.parametrize(
    ("sizes", "standard", "transactional"),
    [
        ((0, 0), 1, 2),
        ((0, 1), 1, 2),
        ((0, KILOBYTE), 1, 2),
        ((0, KILOBYTE + 1), 2, 4),
        ((0, 3 * KILOBYTE), 3, 6),
        ((2 * KILOBYTE, 0), 2, 4),
        ((2 * KILOBYTE, 1), 2, 4),
    ],
)
def test_a_write_costs_a_unit_for_each_kilobyte_and_twice_that_in_a_transaction(
    sizes: tuple[int, int], standard: int, transactional: int
) -> None:
    assert write_units(*sizes, in_transaction=False) == standard
    assert write_units(*sizes, in_transaction=True) == transactional


@pytest.mark.parametrize(
    ("size", "consistent", "eventual"), [(0, 1, 0.5), (1, 1, 0.5), (4096, 1, 0.5), (4097, 2, 1), (8192, 2, 1)]
)
def test_a_read_costs_a_unit_for_each_four_kilobytes_and_half_of_that_if_it_may_be_old(
    size: int, consistent: float, eventual: float
) -> None:
    assert read_units(size, is_consistent=True) == consistent
    assert read_units(size, is_consistent=False) == eventual
