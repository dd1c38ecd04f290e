"""The figures as a table, with the ratios that the goals are about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from experiments.bench.measurements import Findings, Found
from experiments.figures import Checkout, today

# Row → its unit, and a contestant's values: as many for each, which belong together.
_ROWS: dict[str, tuple[str, Callable[[Found], list[float]]]] = {
    "start": ("ms", lambda found: found.start),
    "first request": ("ms", lambda found: found.first),
    "start + first request": ("ms", lambda found: found.sum),
    "CPU of both": ("ms", lambda found: found.sum_cpu),
    "warm request, median": ("ms", lambda found: found.warm),
    "warm request, 99th percentile": ("ms", lambda found: [found.percentile_99]),
    "CPU of a warm request": ("ms", lambda found: found.warm_cpu),
    "of it the function's own": ("ms", lambda found: [] if found.own is None else [found.own]),
    "memory, peak": ("MB", lambda found: found.peak),
    "instructions, start + first": (
        "M",
        lambda found: [] if found.instructions_start is None else [found.instructions_start],
    ),
    "instructions, warm request": (
        "M",
        lambda found: [] if found.instructions_warm is None else [found.instructions_warm],
    ),
}

type Record = dict[str, Any]


@dataclass(frozen=True)
class Goal:
    """Something that the shipped functions are meant to reach.

    Attributes:
        event: For which function.
        row: One of the table's rows.
        against: The contestant that it is compared with.
        most: The most that it may be.
    """

    event: str
    row: str
    against: str
    most: float

    def __str__(self) -> str:
        return f"{self.event}: {self.row} <= {self.most:g} x {self.against}"


_GOALS = (
    Goal("launch", "start + first request", "bare", 1.0),
    Goal("launch", "start + first request", "usual", 0.25),
    Goal("launch", "warm request, median", "bare", 1.1),
    Goal("launch", "of it the function's own", "usual", 0.45),
    Goal("authorizer", "start + first request", "bare", 0.72),
)


def figures(findings: Findings) -> list[Record]:
    """Return a record for each row of each function: the contestants' medians, and the shipped one's ratios to others.

    A ratio is the median of the ratios of neighbours: of one round, or of one turn of warm requests.
    """
    records = []
    for event in dict.fromkeys(contestant.event for contestant in findings):
        found = {contestant.name: found for contestant, found in findings.items() if contestant.event == event}
        for row, (unit, values) in _ROWS.items():
            samples = {name: values(one) for name, one in found.items()}
            if not samples["shipped"]:
                continue
            ratios = {
                name: median(own / other for own, other in zip(samples["shipped"], others, strict=True) if other)
                for name, others in samples.items()
                if name != "shipped" and any(others)
            }
            medians = {name: median(some) for name, some in samples.items()}
            records.append({"function": event, "row": row, "unit": unit, "medians": medians, "ratios": ratios})
        for row, counts in {
            "requests to DynamoDB, first": {name: float(one.asked_first) for name, one in found.items()},
            "requests to DynamoDB, warm": {name: one.asked_warm for name, one in found.items()},
        }.items():
            records.append({"function": event, "row": row, "unit": "", "medians": counts, "ratios": {}})
    return records


def goals(records: list[Record]) -> list[Record]:
    """Return a record for each goal: what it is, what was found, and whether it is met."""
    found = {(record["function"], record["row"]): record for record in records}
    outcome = []
    for goal in _GOALS:
        record = found.get((goal.event, goal.row))
        if record is None:
            continue
        value = record["ratios"][goal.against]
        outcome.append({"goal": str(goal), "found": value, "met": value <= goal.most})
    return outcome


def table(records: list[Record]) -> str:
    """Return the records as text."""
    lines: list[str] = []
    function = None
    for record in records:
        names = list(record["medians"])
        if record["function"] != function:
            function = record["function"]
            others = [name for name in names if name != "shipped"]
            head = "".join(f"{name:>10}" for name in names) + "   shipped:" + "".join(f"{name:>9}" for name in others)
            lines += ["", f"{function:<36}{head}"]
        medians = "".join(f"{_short(record['medians'][name]):>10}" for name in names)
        ratios = "".join(
            f"{record['ratios'][name]:>8.2f}x" if name in record["ratios"] else " " * 9 for name in names[1:]
        )
        row = f"{record['row']}{', ' + record['unit'] if record['unit'] else ''}"
        lines.append(f"{row:<36}{medians}{' ' * 11}{ratios}".rstrip())
    return "\n".join(lines)


def goals_as_rows(records: list[Record]) -> list[dict[str, str]]:
    """Return the goals as rows of a document's table."""
    return [
        {"goal": goal["goal"], "found": f"{goal['found']:.2f}", "is": "met" if goal["met"] else "**missed**"}
        for goal in goals(records)
    ]


def as_rows(records: list[Record], function: str) -> list[dict[str, str]]:
    """Return a function's records as rows of a document's table."""
    return [
        {"": f"{record['row']}{', ' + record['unit'] if record['unit'] else ''}"}
        | {name: _short(value) for name, value in record["medians"].items()}
        | {
            f"shipped : {name}": f"{record['ratios'][name]:.2f}" if name in record["ratios"] else ""
            for name in record["medians"]
            if name != "shipped"
        }
        for record in records
        if record["function"] == function
    ]


def _short(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def contestants_explained() -> str:
    """Return who is who."""
    return (
        "shipped: what sam build makes; empty: a handler that does nothing; bare: boto3.client and the same write or\n"
        "read, with bytecode; usual: Powertools' resolver, Logger, Metrics and Tracer, boto3.resource and Pydantic,\n"
        "as a plain sam build ships them, without bytecode; before: the build that --before names."
    )


def to_json(records: list[Record], charts: Mapping[str, Mapping[str, float]], at: Checkout) -> dict[str, Any]:
    """Return everything that was found, and of what and when."""
    measured = {"commit": at.commit, "is_clean": at.is_clean, "date": today()}
    return {**measured, "figures": records, "goals": goals(records), "parts_of_start": charts}
