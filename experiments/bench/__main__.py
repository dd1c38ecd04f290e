"""The command behind ``make bench``."""

import argparse
import json
import sys
from pathlib import Path

from experiments.bench import parts, report
from experiments.bench.contestants import EVENTS, FOLDER, lay_out
from experiments.bench.measurements import count_instructions, database, look_inside, take_turns
from experiments.figures import Checkout, checkout, record


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rounds", type=int, default=9, help="how often each contestant is started")
    parser.add_argument("--requests", type=int, default=50, help="warm requests of each contestant a round")
    parser.add_argument("--latency", type=float, default=0, help="milliseconds that DynamoDB waits before an answer")
    parser.add_argument("--instructions", action="store_true", help="count instructions too, with valgrind: minutes")
    parser.add_argument("--before", type=Path, help="another build's .aws-sam/build, timed beside this one")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()

    at = checkout()
    runtime, contestants = lay_out(options.before)
    with database(options.latency) as address:
        findings = take_turns(runtime, contestants, address, options.rounds, options.requests)
        look_inside(runtime, address, findings)
        if options.instructions:
            count_instructions(runtime, address, findings)
        charts = {
            f"{contestant.event}, {contestant.name}": parts.parts_of_start(contestant, runtime, address)
            for contestant in contestants
            if contestant.name in {"shipped", "bare"}
        }
    records = report.figures(findings)
    _keep(records, charts, at, f"medians of {options.rounds} starts, each with {options.requests} warm requests")
    found = f"{json.dumps(report.to_json(records, charts, at), indent=1)}\n"
    (FOLDER / "bench.json").write_text(found)
    picture = parts.write_svg(charts)
    if options.json:
        sys.stdout.write(found)
        return
    lines = [report.contestants_explained(), report.table(records), ""]
    lines += [f"Start: {parts.bars(title, shares)}\n" for title, shares in charts.items()]
    for goal in report.goals(records):
        lines.append(f"{'met   ' if goal['met'] else 'missed'}  {goal['goal']}: {goal['found']:.2f}")
    sys.stdout.write("\n".join([*lines, "", f"The bars are in {picture}", ""]))


def _keep(records: list[report.Record], charts: dict[str, parts.Parts], at: Checkout, measured: str) -> None:
    """Leave the tables of docs/speed.md, where they are asked for."""
    record("goals", "Goals", report.goals_as_rows(records), at=at)
    for event in EVENTS:
        record(event, f"{event.capitalize()}: {measured}", report.as_rows(records, event), at=at)
    record("parts", "Parts of a start", parts.as_rows(charts), at=at)


if __name__ == "__main__":
    main()
