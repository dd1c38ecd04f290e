"""Figures of the experiments: each leaves a table, and all of them are printed and kept in a document in docs/.

They leave them where ``ENROLLMENTS_FIGURES`` is set, as ``make reliability`` and ``make scale`` do: a run of a share of
them must not replace one in full.  ``python -m experiments.figures`` prints what the last run of each left; with
``--write`` each replaces its own in its document.

Each table says at which commit it was measured, and whether the code that it depends on has changed since.  ``--write``
writes that, too, and ``--check`` fails where a document does not say it.  What somebody has measured by hand stands
between the same marks and says the same.  A shallow clone that lacks a commit cannot compare, and changes nothing.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

PROJECT = Path(__file__).parent.parent
FOLDER = PROJECT / ".local" / "figures"
BEGIN, END = "<!-- figures: {experiment} -->", "<!-- end -->"

_BLOCK = re.compile(r"<!-- figures: (?P<experiment>[\w-]+) -->\n(?P<content>.*?)<!-- end -->", re.DOTALL)
_MEASURED = re.compile(
    r"^Measured at `(?P<commit>[0-9a-f]{7})`(?P<changes> with changes that were not committed)? "
    r"\((?P<date>\d{4}-\d\d-\d\d)\)(?:; the code (?:has|may have) changed since)?\.$",
    re.MULTILINE,
)
_UNKNOWN = "0000000"

_SERVICE = ("functions", "layers/enrollment/enrollment")
_SHIPPED = ("functions", "layers", "requirements/functions.txt", "experiments/bench")
_RELIABILITY = "experiments/reliability"
_MODEL = (f"{_RELIABILITY}/machine", f"{_RELIABILITY}/model", f"{_RELIABILITY}/test_model.py")

# The experiments of each document, in its order, with the paths that their figures depend on.
DOCUMENTS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "reliability": {
        "faults": (*_SERVICE, *(f"{_RELIABILITY}/{name}.py" for name in ("operations", "proxy", "test_faults"))),
        "model": (*_SERVICE, *_MODEL),
        "races": (
            *_SERVICE,
            "cli/enrollments/directory",
            *(f"{_RELIABILITY}/{name}.py" for name in ("processes", "test_races")),
        ),
        "kills": (
            *_SERVICE,
            "cli/enrollments",
            *(f"{_RELIABILITY}/{name}.py" for name in ("quick_commands", "test_killed_commands")),
        ),
        "provisioning": (
            *_SERVICE,
            "tests/in_memory.py",
            "tests/provisioning.py",
            *(f"{_RELIABILITY}/{name}.py" for name in ("interleaving", "rounds", "test_provisioning")),
        ),
        "connectors": (
            *_SERVICE,
            "examples/connector",
            *(f"tests/{name}.py" for name in ("connectors", "in_memory", "provisioning")),
            *(f"{_RELIABILITY}/{name}.py" for name in ("connected", "interleaving", "rounds", "test_provisioning")),
        ),
        "hostile-input": (
            *_SERVICE,
            *(f"{_RELIABILITY}/{name}.py" for name in ("handlers", "hostile", "test_hostile_input")),
        ),
        "secrets": ("layers/enrollment/enrollment/use_cases/tokens.py", f"{_RELIABILITY}/test_secrets.py"),
        "time": (*_SERVICE, f"{_RELIABILITY}/test_time.py"),
        "mutation": ("layers/enrollment/enrollment", "tests", f"{_RELIABILITY}/mutation.py"),
        "planted": (*_SERVICE, *_MODEL, f"{_RELIABILITY}/test_planted.py"),
    },
    "scale": dict.fromkeys(("flat", "hot-keys", "limits"), (*_SERVICE, "experiments/scale")),
    "speed": dict.fromkeys(("goals", "launch", "authorizer", "parts", "start", "own-work", "measures"), _SHIPPED),
    "cost": {"durations": _SHIPPED},
}


class Checkout(NamedTuple):
    """What the code is that is measured.

    Attributes:
        commit: The short hash of the commit that is checked out.
        is_clean: Whether nothing but the documents differs from it.
    """

    commit: str
    is_clean: bool


# Takes a commit and paths; returns whether they have changed since, and None where nobody can tell.
type HasChanged = Callable[[str, Sequence[str]], bool | None]


class UnknownCommit(Exception):
    """A document names a commit that the whole history does not have.

    Args:
        commit: The commit.
    """

    def __init__(self, commit: str) -> None:
        super().__init__(f"the history has no commit {commit}, at which figures in docs/ were measured")


def record(
    experiment: str,
    title: str,
    rows: Sequence[Mapping[str, str | int | float]],
    *,
    at: Checkout | None = None,
) -> str:
    """Leave an experiment's table, and return it.

    Args:
        experiment: One of ``DOCUMENTS``.
        title: What the table shows, in one line.
        rows: All with the same columns, which are the table's; none is no table.
        at: What was measured; by default, what is checked out now.
    """
    if all(experiment not in experiments for experiments in DOCUMENTS.values()):
        raise ValueError(experiment)
    if not rows:
        return ""
    commit, is_clean = at or checkout()
    found = {
        "title": title,
        "date": today(),
        "commit": commit,
        "is_clean": is_clean,
        "rows": list(rows),
    }
    if "ENROLLMENTS_FIGURES" in os.environ:
        FOLDER.mkdir(parents=True, exist_ok=True)
        new = FOLDER / f"{experiment}.json.{os.getpid()}"
        new.write_text(json.dumps(found, indent=1))
        new.replace(FOLDER / f"{experiment}.json")
    return as_markdown(found)


def today() -> str:
    """Return the date, in UTC."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def checkout(project: Path = PROJECT) -> Checkout:
    """Return what is checked out; where there is no git, a commit that no history has."""
    head = _git(project, "rev-parse", "--short=7", "HEAD")
    if head.returncode:
        return Checkout(_UNKNOWN, is_clean=False)
    changes = _git(project, "status", "--porcelain", "--", ".", ":!docs")
    return Checkout(head.stdout.strip()[: len(_UNKNOWN)], is_clean=not changes.stdout)


def has_changed(commit: str, paths: Sequence[str], project: Path = PROJECT) -> bool | None:
    """Return whether what is checked out differs from a commit in these paths.

    Returns:
        ``None`` where nobody can tell: there is no git, or the clone is shallow and does not reach to the commit.

    Raises:
        UnknownCommit: The clone has the whole history, and the commit is not in it: it was rebased, or never merged.
    """
    if _git(project, "merge-base", "--is-ancestor", commit, "HEAD").returncode:
        if _git(project, "rev-parse", "--is-shallow-repository").stdout.strip() == "false" and commit != _UNKNOWN:
            raise UnknownCommit(commit)
        return None
    return _git(project, "diff", "--quiet", commit, "--", *paths).returncode != 0


def _git(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", *arguments]
    try:
        return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


def measured_at(commit: str, date: str, *, is_clean: bool, changed: bool | None = False) -> str:
    """Return the sentence that says how old figures are.

    Args:
        commit: The commit that was checked out.
        date: When they were measured.
        is_clean: Whether it was measured as it is.
        changed: Whether the code has changed since.
    """
    if not is_clean:
        changes = " with changes that were not committed"
        return f"Measured at `{commit}`{changes} ({date}); the code may have changed since."
    return f"Measured at `{commit}` ({date}){'; the code has changed since' if changed else ''}."


def with_ages(document: str, text: str, has_changed: HasChanged) -> str:
    """Return a document's text in which each of its figures says whether the code has changed since.

    Args:
        document: One of ``DOCUMENTS``.
        text: Its text.
        has_changed: Compares a commit with what is checked out.

    Raises:
        ValueError: There are figures that do not say at which commit they were measured.
    """

    def with_age(block: re.Match[str]) -> str:
        sources = DOCUMENTS[document][block["experiment"]]
        found = _MEASURED.search(block["content"])
        if found is None:
            raise ValueError(f"docs/{document}.md: {block['experiment']} has no line `Measured at ...`")
        changed = has_changed(found["commit"], sources)
        if changed is None:
            return block[0]
        sentence = measured_at(found["commit"], found["date"], is_clean=not found["changes"], changed=changed)
        return block[0].replace(found[0], sentence)

    return _BLOCK.sub(with_age, text)


def without_ages(text: str) -> str:
    """Return a document's text in which no figures say whether the code has changed since."""
    return _MEASURED.sub(lambda found: measured_at(found["commit"], found["date"], is_clean=not found["changes"]), text)


def as_markdown(found: Mapping[str, Any]) -> str:
    """Return an experiment's table under its title."""
    measured = measured_at(found.get("commit", _UNKNOWN), found["date"], is_clean=found.get("is_clean", False))
    return f"**{found['title']}**\n\n{measured}\n\n{rows_as_markdown(found['rows'])}"


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


def _documents() -> Iterator[tuple[str, Path]]:
    for name in DOCUMENTS:
        yield name, PROJECT / "docs" / f"{name}.md"


def main() -> None:
    """Print the figures, and write them into their documents, or check what these say of their age."""
    parser = argparse.ArgumentParser(description=__doc__)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--write", action="store_true", help="into their documents")
    choice.add_argument("--check", action="store_true", help="that documents say which figures are older than the code")
    arguments = parser.parse_args()
    try:
        if arguments.check:
            _check()
        else:
            _show(is_written=arguments.write)
    except UnknownCommit as unknown:
        sys.exit(f"{unknown}; measure again at a commit that is there")


def _show(*, is_written: bool) -> None:
    for name, path in _documents():
        found = tables(name)
        sys.stdout.write("".join(f"{table}\n\n" for table in found.values()))
        if is_written:
            path.write_text(with_ages(name, with_tables(path.read_text(), found), has_changed))


def _check() -> None:
    wrong = []
    for name, path in _documents():
        text = path.read_text()
        if with_ages(name, text, has_changed) != text:
            wrong.append(f"docs/{name}.md does not say which of its figures are older than the code")
    if wrong:
        sys.exit("\n".join([*wrong, "make figures writes it"]))


if __name__ == "__main__":
    main()
