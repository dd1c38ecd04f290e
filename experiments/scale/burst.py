"""A building's staff is enrolled within a minute, and what DynamoDB's limits make of it.

``python -m experiments.scale.burst`` prints what it would come to, simulated.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from moto import mock_aws

from enrollment.store.client import create_client
from experiments import figures
from experiments.scale.simulation import Burst, Limits, Outcome, limits_of, simulate
from experiments.scale.workload import Workload, captured_workload
from local_aws.functions import environment
from local_aws.quick_transactions import quick_transactions
from tests.fixtures import create_table

LAUNCHES = 10_000
SECONDS = 60
LIMITS = Limits()


def captured() -> tuple[Workload, Workload]:
    """Return what a launch asks of moto, and what one that creates an ACS user asks."""
    return _captured(creates_acs_user=False), _captured(creates_acs_user=True)


def _captured(*, creates_acs_user: bool) -> Workload:
    with dynamodb():
        client, other_client = create_client(), create_client()
        table = create_table(client, "burst")
        return captured_workload(table, client, other_client, creates_acs_user=creates_acs_user)


@contextmanager
def dynamodb() -> Iterator[None]:
    """Have moto answer for DynamoDB until the context ends."""
    variables = {"AWS_DEFAULT_REGION": "us-east-1"}
    with mock_aws(), quick_transactions(), environment(variables, without=("AWS_ENDPOINT_URL", "AWS_PROFILE")):
        yield


def bursts(plain: Workload, creating: Workload) -> dict[str, Burst]:
    """Return the bursts, by name."""
    burst = Burst(LAUNCHES, SECONDS, plain)
    first = limits_of(plain.warm, LIMITS)[0].launches
    first_creating = limits_of(creating.warm, LIMITS)[0].launches
    return {
        "launches": burst,
        "launches that create an ACS user": replace(burst, workload=creating),
        "half of each": replace(burst, other_workload=creating, other_share=0.5),
        f"launches, {0.9 * first:,.0f} a second": replace(burst, seconds=LAUNCHES / first / 0.9),
        f"launches, {1.2 * first:,.0f} a second": replace(burst, seconds=LAUNCHES / first / 1.2),
        f"that create, {0.9 * first_creating:,.0f} a second": replace(
            burst, workload=creating, seconds=LAUNCHES / first_creating / 0.9
        ),
        f"that create, {1.2 * first_creating:,.0f} a second": replace(
            burst, workload=creating, seconds=LAUNCHES / first_creating / 1.2
        ),
        "if a launch checked the credential manager": replace(burst, workload=plain.with_check_of_credential_manager()),
    }


def row(name: str, burst: Burst, outcome: Outcome) -> dict[str, str | int]:
    """Return a burst's line."""
    return {
        f"{burst.launches:,} …": name,
        "seconds": round(burst.seconds),
        "conflicts": outcome.conflicts,
        "throttled": outcome.throttled.total(),
        "retries": outcome.retries,
        "failed": outcome.failed,
        "most written in a second": round(outcome.table_peak(is_write=True)),
        "nearest to its limit": _peak(outcome.peak(outcome.by_partition, LIMITS)),
        "busiest item": _peak(outcome.peak(outcome.by_item, LIMITS)),
        "reads of manager and pool": outcome.look_ups,
        "of the token": outcome.decisions,
    }


def _peak(peak: tuple[str, float, bool]) -> str:
    name, units, is_write = peak
    limit = LIMITS.partition_writes if is_write else LIMITS.partition_reads
    return f"`{name}`: {units:,g} of {limit:,g} {'written' if is_write else 'read'}"


def main() -> None:
    """Run all bursts, print their figures and leave them."""
    plain, creating = captured()
    hot_keys = figures.record(
        "hot-keys",
        f"Bursts of {LAUNCHES:,} launches with one credential manager, one pool and one token, simulated",
        [row(name, burst, simulate(burst, LIMITS)) for name, burst in bursts(plain, creating).items()],
    )
    limits = figures.record(
        "limits",
        "Launches a second, with one credential manager in one workspace, at which a limit is met in a new table",
        [
            {
                "launches": name,
                "limit": f"`{limit.name}`" if "#" in limit.name else limit.name,
                "units a launch": limit.units,
                "launches a second": round(limit.launches),
                "DynamoDB": limit.split,
            }
            for name, workload in (("with a pool", plain), ("that create an ACS user", creating))
            for limit in limits_of(workload.warm, LIMITS)
        ],
    )
    sys.stdout.write(f"{hot_keys}\n\n{limits}\n")


if __name__ == "__main__":
    main()
