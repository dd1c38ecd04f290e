"""docs/cost.md: what a million launches, events, deliveries and people with a phone cost, part by part.

``python -m experiments.scale.cost`` renews it from the template, the code and prices.toml.  Where ``make bench`` has
left what it measured, durations.json is renewed before.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from enrollment.use_cases.automations import KNOWN_ITEMS_SECONDS
from experiments.figures import has_changed, measured_at, rows_as_markdown, with_ages
from experiments.scale.bill import (
    BURST,
    DURATIONS,
    FUNCTIONS,
    LAMBDAS_BYTES,
    LAUNCHES,
    MEGABYTES_OF_A_PROCESSOR,
    PACES,
    PROJECT,
    READ_MS,
    TRANSACTION_MS,
    Bill,
    Line,
)
from experiments.scale.bill_of_events import (
    ANSWER_MS,
    OPERATIONS_OF_A_REDELIVERY,
    SEND_MS,
    SENT_BYTES,
    BillOfEvents,
)
from experiments.scale.bill_of_provisioning import BillOfProvisioning

DOCUMENT = PROJECT / "docs" / "cost.md"
# What the last `make bench` has left.
_MEASURED = PROJECT / ".local" / "bench" / "bench.json"
_TEMPLATE = Path(__file__).parent / "cost_template.md"


def document(bill: Bill, bill_of_events: BillOfEvents, bill_of_provisioning: BillOfProvisioning) -> str:
    """Return the document."""
    enrolled, look = bill_of_provisioning.person, bill_of_provisioning.look
    evenly, in_bursts = PACES
    launch, authorizer = (bill.durations[function] for function in ("launch", "authorizer"))
    taken = next(iter(bill.kinds.values()))
    memory = bill.deployment.memory_mb(FUNCTIONS["launch"])
    return _TEMPLATE.read_text().format(
        region=bill.prices["region"],
        date=bill.prices["date"],
        once=_table(
            bill,
            {
                f"{kind}, {pace.name}": list(bill.of_launches(taken, pace))
                for kind, taken in bill.kinds.items()
                for pace in PACES
            },
        ),
        stored=_table(bill, {kind: list(bill.of_storage(taken)) for kind, taken in bill.kinds.items()}),
        events=_table(bill, {each.name: list(bill_of_events.of_events(each)) for each in bill_of_events.batches}),
        deliveries=_table(
            bill, {each.name: list(bill_of_events.of_deliveries(each)) for each in bill_of_events.batches}
        ),
        redeliveries=_table(bill, {"besides": list(bill_of_events.of_redeliveries())}),
        most_records=bill_of_events.batches[-1].events,
        most_messages=bill_of_events.batches[-1].deliveries,
        event_units=f"{bill_of_events.written_units:g}",
        event_bytes=f"{bill_of_events.stored:,}",
        retention_days=bill_of_events.retention_days,
        operations=OPERATIONS_OF_A_REDELIVERY,
        send_ms=SEND_MS,
        answer_ms=ANSWER_MS,
        sent_bytes=f"{SENT_BYTES:,}",
        provisioning=_table(
            bill,
            {
                "a person": list(bill_of_provisioning.of_people(enrolled)),
                "another look": list(bill_of_provisioning.of_people(look)),
            },
        ),
        person_operations=enrolled.operations,
        person_looks=enrolled.looks,
        person_asked=enrolled.asked,
        person_bytes=f"{bill_of_provisioning.stored:,}",
        monthly=_monthly(bill),
        methods=bill.deployment.methods,
        taken=_taken(bill),
        prices=_prices(bill),
        lambdas_bytes=LAMBDAS_BYTES,
        rate=f"{evenly.rate:.2f}",
        bursts=LAUNCHES // BURST,
        burst=f"{BURST:,}",
        decision_seconds=f"{bill.deployment.decision_seconds:g}",
        decisions_evenly=f"{bill.decisions(evenly):.1%}",
        decisions_in_bursts=f"{bill.decisions(in_bursts):.2%}",
        worst_authorizer=_dollars(sum(map(bill.amount, bill.of_worst_authorizer(taken, evenly)))),
        known_seconds=KNOWN_ITEMS_SECONDS,
        environments_evenly=evenly.environments,
        environments_in_bursts=in_bursts.environments,
        starts_evenly=f"{evenly.starts:.1%}",
        starts_in_bursts=f"{in_bursts.starts:.1%}",
        transaction_ms=f"{TRANSACTION_MS:g}",
        read_ms=f"{READ_MS:g}",
        measured=measured_at(bill.durations["commit"], bill.durations["date"], is_clean=bill.durations["is_clean"]),
        launch_ms=f"{launch['warm_ms']:g}",
        launch_start_ms=f"{launch['start_ms']:g}",
        authorizer_ms=f"{authorizer['warm_ms']:g}",
        authorizer_start_ms=f"{authorizer['start_ms']:g}",
        memory=memory,
        processor=f"{min(1, memory / MEGABYTES_OF_A_PROCESSOR):.0%}",
    )


def _table(bill: Bill, columns: Mapping[str, Sequence[Line]]) -> str:
    names = [line.name for line in next(iter(columns.values()))]
    rows = [
        {"USD": name} | {title: _dollars(bill.amount(lines[index])) for title, lines in columns.items()}
        for index, name in enumerate(names)
    ]
    together = {title: _dollars(sum(map(bill.amount, lines))) for title, lines in columns.items()}
    return rows_as_markdown([*rows, {"USD": "together"} | together])


def _monthly(bill: Bill) -> str:
    return rows_as_markdown(
        [
            {"each month": line.name, "how many": round(line.quantity), "USD": _dollars(bill.amount(line))}
            for line in bill.of_a_month()
        ]
    )


def _taken(bill: Bill) -> str:
    columns = {
        f"{kind}, {pace.name}": {
            "write units": f"{bill.units(taken, pace, is_write=True):.2f}",
            "read units": f"{bill.units(taken, pace, is_write=False):.2f}",
            "bytes stored": f"{taken.stored:,}",
            "bytes logged": f"{bill.log_bytes(pace):,.0f}",
            "ms of the launch function": f"{bill.duration_ms('launch', taken.workload.warm, pace):.1f}",
            "traced": f"{bill.traced(pace):.1%}",
        }
        for kind, taken in bill.kinds.items()
        for pace in PACES
    }
    return rows_as_markdown(
        [
            {"a launch": name} | {title: measures[name] for title, measures in columns.items()}
            for name in next(iter(columns.values()))
        ]
    )


def _prices(bill: Bill) -> str:
    return rows_as_markdown(
        [
            {
                "price": name,
                "USD": f"{price['usd']:.10f}".rstrip("0").rstrip("."),
                "for": f"{price['per']:,} {price['unit']}",
                "source": f"<{price['source']}>",
                "seen in": price["seen"],
            }
            for name, price in bill.prices.items()
            if isinstance(price, dict)
        ]
    )


def _dollars(amount: float) -> str:
    return f"{amount:,.2f}"


def measured_durations(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return the durations that ``make bench`` has found.

    Args:
        measured: Its JSON: ``figures`` has one for each ``function`` and ``row``, with the contestants' ``medians``;
            ``commit``, ``date`` and ``is_clean`` say what was measured, and when.
    """
    found = {(figure["function"], figure["row"]): figure["medians"]["shipped"] for figure in measured["figures"]}
    return {name: measured[name] for name in ("commit", "date", "is_clean")} | {
        function: {
            "start_ms": round(found[function, "start"], 1),
            "warm_ms": round(found[function, "CPU of a warm request"], 2),
        }
        for function in FUNCTIONS
    }


def main() -> None:
    """Write the document."""
    if _MEASURED.is_file():
        durations = measured_durations(json.loads(_MEASURED.read_text()))
        DURATIONS.write_text(json.dumps(durations, indent=1) + "\n")
    bill = Bill()
    text = document(bill, BillOfEvents(bill), BillOfProvisioning(bill))
    DOCUMENT.write_text(with_ages("cost", text, has_changed))


if __name__ == "__main__":
    main()
