"""The command behind ``make bench``."""

import argparse
import json
import sys

from tests.bench.contestants import FOLDER, lay_out
from tests.bench.measurements import count_instructions, database, look_inside, take_turns
from tests.bench.parts import bars, parts_of_start, write_svg
from tests.bench.report import contestants_explained, figures, goals, table, to_json


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rounds", type=int, default=9, help="how often each contestant is started")
    parser.add_argument("--requests", type=int, default=50, help="warm requests of each contestant a round")
    parser.add_argument("--latency", type=float, default=0, help="milliseconds that DynamoDB waits before an answer")
    parser.add_argument("--instructions", action="store_true", help="count instructions too, with valgrind: minutes")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()

    runtime, contestants = lay_out()
    with database(options.latency) as at:
        findings = take_turns(runtime, contestants, at, options.rounds, options.requests)
        look_inside(runtime, at, findings)
        if options.instructions:
            count_instructions(runtime, at, findings)
        shares = {
            contestant: parts_of_start(contestant, runtime, at)
            for contestant in contestants
            if contestant.name in {"shipped", "bare"}
        }
    charts = {f"Start: {contestant.event}, {contestant.name}": parts for contestant, parts in shares.items()}
    picture = write_svg(charts)
    found = f"{json.dumps(to_json(findings, shares), indent=1)}\n"
    (FOLDER / "bench.json").write_text(found)
    if options.json:
        sys.stdout.write(found)
        return
    records = figures(findings)
    lines = [contestants_explained(), table(records), "", *(f"{bars(*chart)}\n" for chart in charts.items())]
    lines += [
        f"{'met   ' if goal['met'] else 'missed'}  {goal['goal']}: {goal['found']:.2f}" for goal in goals(records)
    ]
    sys.stdout.write("\n".join([*lines, "", f"The bars are in {picture}", ""]))


if __name__ == "__main__":
    main()
