"""Figures of the experiments: each leaves a table, and all of them are printed and kept in a document in docs/.

They leave them where ``ENROLLMENTS_FIGURES`` is set, as ``make reliability`` and ``make scale`` do: a run of a share of
them must not replace one in full.  ``python -m experiments.figures`` prints what the last run of each left; with
``--write`` each replaces its own in its document.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent.parent
FOLDER = PROJECT / ".local" / "figures"
BEGIN, END = "<!-- figures: {experiment} -->", "<!-- end -->"

# The experiments of each document, in its order.
DOCUMENTS = {
    "reliability": ("faults", "model", "races", "hostile-input", "secrets", "time", "mutation", "planted"),
    "scale": ("flat", "hot-keys", "limits"),
    "speed": ("goals", "launch", "authorizer", "parts"),
}


def record(experiment: str, title: str, rows: Sequence[Mapping[str, str | int | float]]) -> str:
    """Leave an experiment's table, and return it.

    Args:
        experiment: One of ``DOCUMENTS``.
        title: What the table shows, in one line.
        rows: All with the same columns, which are the table's; none is no table.
    """
    if all(experiment not in experiments for experiments in DOCUMENTS.values()):
        raise ValueError(experiment)
    found = {"title": title, "date": f"{datetime.now(UTC):%Y-%m-%d}", "rows": list(rows)}
    if not rows:
        return ""
    if "ENROLLMENTS_FIGURES" in os.environ:
        FOLDER.mkdir(parents=True, exist_ok=True)
        new = FOLDER / f"{experiment}.json.{os.getpid()}"
        new.write_text(json.dumps(found, indent=1))
        new.replace(FOLDER / f"{experiment}.json")
    return as_markdown(found)


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


def tables(document: str) -> dict[str, str]:
    """Return what the last runs of a document's experiments left, by experiment."""
    paths = {name: path for name in DOCUMENTS[document] if (path := FOLDER / f"{name}.json").is_file()}
    return {name: as_markdown(json.loads(path.read_text())) for name, path in paths.items()}


def with_tables(text: str, found: Mapping[str, str]) -> str:
    """Return a document's text with these experiments' tables instead of its own.

    Raises:
        ValueError: The document has no place for one of them.
    """
    for experiment, table in found.items():
        before, begin, rest = text.partition(BEGIN.format(experiment=experiment))
        _, end, after = rest.partition(END)
        if not (begin and end):
            raise ValueError(f"the document has no place for {experiment}")
        text = f"{before}{begin}\n\n{table}\n\n{end}{after}"
    return text


def main() -> None:
    """Print the figures, and write them into their documents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="into their documents")
    arguments = parser.parse_args()
    for name in DOCUMENTS:
        found = tables(name)
        sys.stdout.write("".join(f"{table}\n\n" for table in found.values()))
        if arguments.write:
            document = PROJECT / "docs" / f"{name}.md"
            document.write_text(with_tables(document.read_text(), found))


if __name__ == "__main__":
    main()
