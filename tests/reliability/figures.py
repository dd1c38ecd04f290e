"""Figures of the experiments: each leaves a table, and all of them are printed and kept in docs/reliability.md.

``python -m tests.reliability.figures`` prints what the last run of each experiment left; with ``--write`` they replace
those in the document.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent.parent.parent
FOLDER = PROJECT / ".local" / "reliability"
DOCUMENT = PROJECT / "docs" / "reliability.md"
BEGIN, END = "<!-- figures: make reliability -->", "<!-- end of figures -->"

# In the document's order.
EXPERIMENTS = ("faults", "model", "races", "hostile-input", "secrets", "time", "mutation", "planted")


def record(experiment: str, title: str, rows: Sequence[Mapping[str, str | int | float]]) -> None:
    """Leave an experiment's table.

    Args:
        experiment: One of ``EXPERIMENTS``.
        title: What the table shows, in one line.
        rows: All with the same columns, which are the table's.
    """
    if experiment not in EXPERIMENTS:
        raise ValueError(experiment)
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = {"title": title, "date": f"{datetime.now(UTC):%Y-%m-%d}", "rows": list(rows)}
    new = FOLDER / f"{experiment}.json.{os.getpid()}"
    new.write_text(json.dumps(found, indent=1))
    new.replace(FOLDER / f"{experiment}.json")


def as_markdown(found: Mapping[str, Any]) -> str:
    """Return an experiment's table, numbers on the right."""
    columns = list(found["rows"][0])
    lines = [[_text(row[column]) for column in columns] for row in found["rows"]]
    widths = [max(len(cell) for cell in cells) for cells in zip(columns, *lines, strict=True)]
    are_numbers = [all(isinstance(row[column], int | float) for row in found["rows"]) for column in columns]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(cells, widths, are_numbers, strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    rule = [
        f"{'-' * (width - 1)}:" if is_number else "-" * width
        for width, is_number in zip(widths, are_numbers, strict=True)
    ]
    title = f"**{found['title']}** ({found['date']})"
    return "\n".join([title, "", line(columns), line(rule), *map(line, lines)])


def _text(value: str | float) -> str:
    return f"{value:,}" if isinstance(value, int | float) else value


def main() -> None:
    """Print the figures, and write them into the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/reliability.md")
    arguments = parser.parse_args()
    present = [path for name in EXPERIMENTS if (path := FOLDER / f"{name}.json").is_file()]
    tables = "\n\n".join(as_markdown(json.loads(path.read_text())) for path in present)
    sys.stdout.write(f"{tables}\n")
    if arguments.write:
        before, _, rest = DOCUMENT.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        DOCUMENT.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}")


if __name__ == "__main__":
    main()
