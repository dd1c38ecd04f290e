"""A building's staff enrolled within a minute meets no limit of DynamoDB, in the simulation of its rules."""

from dataclasses import replace

import pytest

from enrollment.store.keys import acs_system_key, enrolled_listing_key
from experiments.scale.burst import LIMITS, captured
from experiments.scale.people import MANAGER_ID, WORKSPACE_ID
from experiments.scale.simulation import Burst, limits_of, simulate
from experiments.scale.workload import Workload

# A tenth of the whole at the same rate.
LAUNCHES, SECONDS = 1_000, 6


@pytest.fixture(scope="module")
def workloads() -> tuple[Workload, Workload]:
    return captured()


@pytest.mark.parametrize("other_share", [0, 0.5, 1])
def test_a_burst_has_no_conflict_and_is_not_throttled(workloads: tuple[Workload, Workload], other_share: float) -> None:
    plain, creating = workloads

    outcome = simulate(Burst(LAUNCHES, SECONDS, plain, creating, other_share), LIMITS)

    assert (outcome.conflicts, outcome.throttled.total(), outcome.failed) == (0, 0, 0)
    assert outcome.done == LAUNCHES


def test_a_process_reads_credential_manager_and_pool_once_a_minute(workloads: tuple[Workload, Workload]) -> None:
    plain, _ = workloads

    outcome = simulate(Burst(LAUNCHES, SECONDS, plain, environments=10), LIMITS)

    assert 10 <= outcome.look_ups < 30  # those that come while the first read is under way read too


def test_no_transaction_of_two_launches_touches_the_same_item(workloads: tuple[Workload, Workload]) -> None:
    transactions = [
        pattern
        for workload in workloads
        for kind in (workload.warm, workload.cold)
        for pattern in kind
        if pattern.is_transaction
    ]

    assert len(transactions) == 4
    assert [place for pattern in transactions for place in pattern.places if place.is_item_shared] == []


def test_a_check_of_the_credential_manager_in_the_transaction_would_conflict(
    workloads: tuple[Workload, Workload],
) -> None:
    plain, _ = workloads
    burst = Burst(LAUNCHES, SECONDS, plain.with_check_of_credential_manager())

    outcome = simulate(burst, LIMITS)

    assert outcome.conflicts > LAUNCHES
    assert outcome.failed > 0
    assert simulate(burst, replace(LIMITS, held_seconds=0)).conflicts == 0


@pytest.mark.parametrize("index", [0, 1])
def test_the_first_limit_is_where_launches_begin_to_be_throttled(
    workloads: tuple[Workload, Workload], index: int
) -> None:
    workload = workloads[index]
    first, *_ = limits_of(workload.warm, LIMITS)

    below = simulate(Burst(3_000, 3_000 / first.launches / 0.9, workload), LIMITS)
    above = simulate(Burst(3_000, 3_000 / first.launches / 1.3, workload), LIMITS)

    assert below.throttled.total() == 0
    assert above.throttled.total() > 0


def test_a_launch_writes_two_units_to_the_entries_of_its_credential_manager(
    workloads: tuple[Workload, Workload],
) -> None:
    plain, creating = workloads
    listing = enrolled_listing_key(WORKSPACE_ID, MANAGER_ID, "").pk
    places = [place for place in plain.warm[-1].places if place.touch.key.pk == listing]

    assert [(place.touch.units, place.order) for place in places] == [(2, "random")]
    assert [limit.launches for limit in limits_of(plain.warm, LIMITS)] == [500, 500]
    assert limits_of(creating.warm, LIMITS)[0].launches == pytest.approx(4_000 / 18)


def test_what_reads_the_credential_manager_is_no_transaction(workloads: tuple[Workload, Workload]) -> None:
    plain, _ = workloads
    manager = acs_system_key(WORKSPACE_ID, MANAGER_ID)

    readers = [pattern for pattern in plain.cold if manager in [place.touch.key for place in pattern.places]]

    assert [reader.is_transaction for reader in readers] == [False]
