"""Figures of the experiments: each leaves a table, and all of them are printed and kept in a document in docs/.

``python -m tests.reliability.figures [DOCUMENT]`` prints what the last run of each experiment left; with ``--write``
they replace those in the document.
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
FOLDER = PROJECT / ".local" / "figures"
BEGIN, END = "<!-- figures: make {document} -->", "<!-- end of figures -->"

# The experiments of each document, in its order.
DOCUMENTS = {
    "reliability": ("faults", "model", "races", "hostile-input", "secrets", "time", "mutation", "planted"),
    "scale": ("flat", "hot-keys", "limits"),
}


def record(experiment: str, title: str, rows: Sequence[Mapping[str, str | int | float]]) -> None:
    """Leave an experiment's table.

    Args:
        experiment: One of ``DOCUMENTS``.
        title: What the table shows, in one line.
        rows: All with the same columns, which are the table's.
    """
    if all(experiment not in experiments for experiments in DOCUMENTS.values()):
        raise ValueError(experiment)
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = {"title": title, "date": f"{datetime.now(UTC):%Y-%m-%d}", "rows": list(rows)}
    new = FOLDER / f"{experiment}.json.{os.getpid()}"
    new.write_text(json.dumps(found, indent=1))
    new.replace(FOLDER / f"{experiment}.json")


def as_markdown(found: Mapping[str, Any]) -> str:
    """Return an experiment's table under its title."""
    return f"**{found['title']}** ({found['date']})\n\n{rows_as_markdown(found['rows'])}"


def rows_as_markdown(rows: Sequence[Mapping[str, str | int | float]]) -> str:
    """Return a table, numbers on the right."""
    columns = list(rows[0])
    lines = [[_text(row[column]) for column in columns] for row in rows]
    widths = [max(len(cell) for cell in cells) for cells in zip(columns, *lines, strict=True)]
    are_numbers = [all(isinstance(row[column], int | float) for row in rows) for column in columns]

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
    return "\n".join([line(columns), line(rule), *map(line, lines)])


def _text(value: str | float) -> str:
    return f"{value:,}" if isinstance(value, int | float) else value


def tables(document: str, *only: str) -> list[str]:
    """Return what the last runs of a document's experiments left, or of some of them."""
    paths = [FOLDER / f"{name}.json" for name in DOCUMENTS[document] if not only or name in only]
    return [as_markdown(json.loads(path.read_text())) for path in paths if path.is_file()]


def main() -> None:
    """Print the figures, and write them into the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("document", nargs="?", choices=DOCUMENTS, default="reliability")
    parser.add_argument("--write", action="store_true", help="into the document")
    arguments = parser.parse_args()
    name = arguments.document
    found = "\n\n".join(tables(name))
    sys.stdout.write(f"{found}\n")
    if arguments.write:
        document, begin = PROJECT / "docs" / f"{name}.md", BEGIN.format(document=name)
        before, _, rest = document.read_text().partition(begin)
        _, _, after = rest.partition(END)
        document.write_text(f"{before}{begin}\n\n{found}\n\n{END}{after}")


if __name__ == "__main__":
    main()
