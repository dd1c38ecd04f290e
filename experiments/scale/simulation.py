"""DynamoDB's limits of partitions, tables and transactions, and a burst of launches that runs into them or does not.

The worst is assumed: each partition key is a physical partition of its own, never split and with no more than a
second's capacity saved up; and the processes that launch are taken at random, so that each has to read what it keeps.
"""

from collections import Counter, defaultdict
from collections.abc import Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any, cast

from enrollment.store.client import CLIENT_CONFIG
from enrollment.store.table import _ATTEMPTS, _FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS
from enrollment.use_cases.automations import KNOWN_ITEMS_SECONDS
from experiments.scale.workload import Kind, Pattern, Place, Workload

# What botocore makes of a read that is throttled; what is in a transaction is repeated by the table.
_READ_ATTEMPTS: int = cast("Any", CLIENT_CONFIG).retries["total_max_attempts"]


@dataclass(frozen=True, slots=True)
class Limits:
    """DynamoDB's limits a second, in capacity units.

    Attributes:
        partition_writes: A partition's writes.
        partition_reads: Its reads.
        table_writes: An on-demand table's writes: of a new one, or twice its previous peak.
        table_reads: Its reads.
        held_seconds: How long a transaction keeps others from its items; a guess, which AWS does not document.
    """

    partition_writes: float = 1_000
    partition_reads: float = 3_000
    table_writes: float = 4_000
    table_reads: float = 12_000
    held_seconds: float = 0.010


@dataclass(frozen=True, slots=True)
class Burst:
    """Launches at random moments, each of another user identity, with one credential manager and pool and one token.

    Attributes:
        launches: How many.
        seconds: In what time.
        workload: What a launch asks for.
        other_workload: What some launches ask for instead.
        other_share: How many of them, from 0 to 1.
        environments: How many processes take launches.
        decision_seconds: How long the gateway keeps a decision about a token.
        request_seconds: How long a read takes.
        seed: For what is random.
    """

    launches: int
    seconds: float
    workload: Workload
    other_workload: Workload | None = None
    other_share: float = 0
    environments: int = 100
    decision_seconds: float = 60
    request_seconds: float = 0.005
    seed: int = 1


def _sums() -> defaultdict[Any, float]:
    return defaultdict(float)


@dataclass(slots=True)
class Outcome:
    """The result of a burst.

    Attributes:
        done: Launches that were made.
        failed: Launches that were answered 503 after the retries.
        conflicts: Transactions that another one on the same item cancelled.
        throttled: Requests that were over a limit, by the limit.
        decisions: Invocations of the authorizer.
        look_ups: Launches that had to read credential manager and pool.
        by_partition: Units in each second, by partition.
        by_item: The same, by item.
        by_table: The same, of the table.
    """

    done: int = 0
    failed: int = 0
    conflicts: int = 0
    throttled: Counter[str] = field(default_factory=Counter)
    decisions: int = 0
    look_ups: int = 0
    by_partition: defaultdict[tuple[str, Hashable, bool, int], float] = field(default_factory=_sums)
    by_item: defaultdict[tuple[str, Hashable, bool, int], float] = field(default_factory=_sums)
    by_table: defaultdict[tuple[bool, int], float] = field(default_factory=_sums)

    @property
    def retries(self) -> int:
        """Requests that were made again, or should have been."""
        return self.conflicts + self.throttled.total()

    def peak(self, counts: Mapping[tuple[str, Hashable, bool, int], float], limits: Limits) -> tuple[str, float, bool]:
        """Return the name, the units in a second and whether these are written of what comes nearest to its limit."""

        def share(entry: tuple[tuple[str, Hashable, bool, int], float]) -> float:
            (_, _, is_write, _), units = entry
            return units / (limits.partition_writes if is_write else limits.partition_reads)

        (name, _, is_write, _), units = max(counts.items(), key=share)
        return name, units, is_write

    def table_peak(self, *, is_write: bool) -> float:
        """Return the table's most units in a second."""
        return max((units for (writes, _), units in self.by_table.items() if writes is is_write), default=0)


class _Bucket:
    """A limit for each second.  Unused capacity is kept for one second at most."""

    def __init__(self, limit: float) -> None:
        self._limit = self._left = limit
        self._since = 0.0

    def has(self, now: float, units: float) -> bool:
        self._left = min(self._limit, self._left + (now - self._since) * self._limit)
        self._since = now
        return self._left >= units

    def take(self, units: float) -> None:
        self._left -= units


def simulate(burst: Burst, limits: Limits) -> Outcome:
    """Simulate a burst, and return the result."""
    return _Simulation(burst, limits).run()


class _Simulation:
    def __init__(self, burst: Burst, limits: Limits) -> None:
        self._burst, self._limits = burst, limits
        self._random = Random(burst.seed)
        self._outcome = Outcome()
        self._held: dict[Hashable, float] = {}
        self._tables = {True: _Bucket(limits.table_writes), False: _Bucket(limits.table_reads)}
        self._partitions: dict[bool, dict[Hashable, _Bucket]] = {
            True: defaultdict(lambda: _Bucket(limits.partition_writes)),
            False: defaultdict(lambda: _Bucket(limits.partition_reads)),
        }
        self._known_until = [0.0] * burst.environments
        self._decided_until = 0.0
        self._now = 0.0

    def run(self) -> Outcome:
        # A launch is a generator that yields how long it waits.
        events: list[tuple[float, int, Generator[float]]] = []
        order = count()
        for number in range(self._burst.launches):
            start = self._random.uniform(0, self._burst.seconds)
            heappush(events, (start, next(order), self._launch(number)))
        while events:
            self._now, _, launch = heappop(events)
            wait = next(launch, None)
            if wait is not None:
                heappush(events, (self._now + wait, next(order), launch))
        return self._outcome

    def _launch(self, number: int) -> Generator[float]:
        burst, outcome = self._burst, self._outcome
        is_other = burst.other_workload is not None and self._random.random() < burst.other_share
        workload = burst.other_workload if is_other and burst.other_workload else burst.workload
        if self._now >= self._decided_until:
            outcome.decisions += 1
            if not (yield from self._requests(workload.authorizer, number)):
                outcome.failed += 1
                return
            self._decided_until = max(self._decided_until, self._now + burst.decision_seconds)
        environment = self._random.randrange(burst.environments)
        is_known = self._now < self._known_until[environment]
        outcome.look_ups += not is_known
        if not (yield from self._requests(workload.warm if is_known else workload.cold, number)):
            outcome.failed += 1
            return
        if not is_known:
            self._known_until[environment] = self._now + KNOWN_ITEMS_SECONDS
        outcome.done += 1

    def _requests(self, kind: Kind, number: int) -> Generator[float, None, bool]:
        """Make a call's requests, and return whether all of them were answered."""
        for pattern in kind:
            delay = _FIRST_DELAY_SECONDS
            attempts = _ATTEMPTS if pattern.is_transaction else _READ_ATTEMPTS
            while not self._is_taken(pattern, number):
                attempts -= 1
                if not attempts:
                    return False
                yield self._random.uniform(0, delay)
                delay = min(2 * delay, _LONGEST_DELAY_SECONDS)
            yield self._limits.held_seconds if pattern.is_transaction else self._burst.request_seconds
        return True

    def _is_taken(self, pattern: Pattern, number: int) -> bool:
        if limit := self._limit_in_the_way(pattern, number):
            self._outcome.throttled[limit] += 1
            return False
        self._consume(pattern, number)
        if not pattern.is_transaction:
            return True
        items = [_item(place, number) for place in pattern.places]
        if any(self._held.get(item, 0) > self._now for item in items):
            self._outcome.conflicts += 1
            return False
        self._held |= dict.fromkeys(items, self._now + self._limits.held_seconds)
        return True

    def _limit_in_the_way(self, pattern: Pattern, number: int) -> str | None:
        for is_write in (True, False):
            if not self._tables[is_write].has(self._now, pattern.units(is_write=is_write)):
                return f"the table's {'writes' if is_write else 'reads'}"
        # No request here touches a shared partition twice.
        for place in pattern.places:
            bucket = self._partitions[place.touch.is_write][_partition(place, number)]
            if not bucket.has(self._now, place.touch.units):
                return place.partition
        return None

    def _consume(self, pattern: Pattern, number: int) -> None:
        """Take the units of a request; one that is cancelled has cost as much."""
        second, outcome = int(self._now), self._outcome
        for place in pattern.places:
            units, is_write = place.touch.units, place.touch.is_write
            partition, item = _partition(place, number), _item(place, number)
            self._tables[is_write].take(units)
            self._partitions[is_write][partition].take(units)
            outcome.by_table[is_write, second] += units
            outcome.by_partition[place.partition, partition, is_write, second] += units
            outcome.by_item[place.partition, item, is_write, second] += units


def _partition(place: Place, number: int) -> Hashable:
    return place.touch.key.pk, None if place.is_partition_shared else number


def _item(place: Place, number: int) -> Hashable:
    return place.touch.key, None if place.is_item_shared else number


@dataclass(frozen=True, slots=True)
class Limit:
    """Where launches at a steady rate come to a limit.

    Attributes:
        name: What is limited.
        units: What a launch takes of it.
        launches: How many a second it takes.
        split: What DynamoDB can do about it.
    """

    name: str
    units: float
    launches: float
    split: str


_SPLITS = {
    "random": "splits it: random sort keys",
    "rising": "cannot split it: rising sort keys",
    "the same": "cannot split it: one item",
}


def limits_of(kind: Kind, limits: Limits) -> list[Limit]:
    """Return the limits that calls of a kind come to, the first one first."""
    found = []
    for is_write, limit in ((True, limits.table_writes), (False, limits.table_reads)):
        if units := sum(pattern.units(is_write=is_write) for pattern in kind):
            name = f"the table's {'writes' if is_write else 'reads'}"
            found.append(Limit(name, units, limit / units, "allows twice the previous peak"))
    for place in _shared(kind):
        limit = limits.partition_writes if place.touch.is_write else limits.partition_reads
        found.append(Limit(place.partition, place.touch.units, limit / place.touch.units, _SPLITS[place.order]))
    return sorted(found, key=lambda limit: limit.launches)


def _shared(kind: Kind) -> Sequence[Place]:
    return [place for pattern in kind for place in pattern.places if place.is_partition_shared]
