"""What a command tells of an import: a line for each bad row, how far it is, its summary, and how to go on."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import click

from enrollments.database import AWS_ERRORS, reason_of
from enrollments.failure import CommandFailed
from enrollments.files import BadFile, printable, refuse_file
from enrollments.texts import ERASE_LINE, counted


class Shown(Protocol):
    """The result of a row, as far as a line is made of it."""

    @property
    def line(self) -> int:
        """The row's first line, from 1."""

    @property
    def end(self) -> int:
        """The number of bytes from the file's beginning to the row's end."""

    @property
    def problems(self) -> Sequence[tuple[str | None, str]]:
        """What is wrong with the row: each a field, or ``None`` for the whole row, and a reason."""


class Messages:
    """An import's messages on standard error.

    Args:
        file: The file's name.
        advance: Takes the number of further bytes, on a terminal; see ``files.progress_of``.
    """

    def __init__(self, file: str, advance: Callable[[int], None] | None) -> None:
        self._file = file
        self._advance = advance
        self._end = 0

    def warn(self, line: int, name: str, reason: str) -> None:
        """Print a warning about a name in a line."""
        self._print(f"Warning: {self._file}:{line}: {name}: {reason}")

    def show(self, result: Shown) -> None:
        """Print a line for each problem of a row, and show how far the import is."""
        for name, reason in result.problems:
            self._print(f"{self._file}:{result.line}: {name or 'row'}: {reason}")
        if self._advance is not None:
            self._advance(result.end - self._end)
            self._end = result.end

    def _print(self, line: str) -> None:
        click.echo(f"{'' if self._advance is None else ERASE_LINE}{printable(line)}", err=True)


@dataclass
class Summary:
    """The results of the rows so far.

    Attributes:
        noun: What a row is called.
        outcomes: The effects that a row can have, in the order in which they are told.
        is_dry_run: Whether nothing was written.
        counts: The number of rows by outcome.
        removed_values: The number of values that were removed from records; ``None`` if this import removes none.
    """

    noun: str
    outcomes: type[StrEnum]
    is_dry_run: bool
    counts: Counter[StrEnum] = field(default_factory=Counter)
    removed_values: int | None = None

    def add(self, outcome: StrEnum, *, removed: int = 0) -> None:
        """Count a row.

        Args:
            outcome: Its effect.
            removed: The number of values that it has removed from its record.
        """
        self.counts[outcome] += 1
        if self.removed_values is not None:
            self.removed_values += removed

    def __str__(self) -> str:
        parts = ", ".join(f"{self.counts[outcome]:,} {outcome}" for outcome in self.outcomes)
        removed = f"; {counted(self.removed_values, 'value')} removed" if self.removed_values else ""
        return f"{counted(self.counts.total(), self.noun)}: {parts}{removed}"

    def print(self, *, as_json: bool) -> None:
        """Print the summary of an import that is complete."""
        if as_json:
            click.echo(self._as_json(is_complete=True))
        else:
            click.echo(f"{'Dry run, nothing was written: ' if self.is_dry_run else ''}{self}.")

    @contextmanager
    def of_import(self, file: str, how_to_resume: str, *, as_json: bool) -> Iterator[None]:
        """Turn what ends an import into the error of the command.

        Args:
            file: The file's name.
            how_to_resume: Follows "to resume,".
            as_json: Whether the summary so far is printed as JSON, too.

        Raises:
            CommandFailed: The file cannot be read, AWS refuses, the disk is full, or somebody has interrupted it.
        """
        try:
            yield
        except BadFile as error:
            refuse_file(file, error)
        except (*AWS_ERRORS, OSError, sqlite3.Error, KeyboardInterrupt) as error:
            why = "interrupted" if isinstance(error, KeyboardInterrupt) else reason_of(error)
            if as_json:
                click.echo(self._as_json(is_complete=False))
            raise CommandFailed(f"{str(why).rstrip('.')}; before that, {self}; to resume, {how_to_resume}") from error

    def _as_json(self, *, is_complete: bool) -> str:
        removed = {} if self.removed_values is None else {"removed_values": self.removed_values}
        return json.dumps(
            {
                f"{self.noun}s": self.counts.total(),
                **{outcome.value: self.counts[outcome] for outcome in self.outcomes},
                **removed,
                "dry_run": self.is_dry_run,
                "is_complete": is_complete,
            }
        )
