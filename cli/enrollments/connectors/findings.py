"""What trying a connector finds, a line each."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType

import click

_DOCUMENT = "docs/connector.md"
_LONGEST_SAYING = 200


class Kind(Enum):
    """What kind of finding it is: its word, and its colour in a terminal."""

    GOOD = ("good", "green")
    BAD = ("BAD", "red")
    LEFT_OUT = ("left out", "yellow")
    NOTE = ("", "cyan")


class NotAsAgreed(Exception):
    """A connector does not do what the protocol says.

    Args:
        came: What came, in plain words.
        must: What must come.
    """

    def __init__(self, came: str, must: str) -> None:
        super().__init__(came)
        self.came = came
        self.must = must


class LeftOut(Exception):
    """A check cannot be made.  The message says why.

    Args:
        because: Why.
        is_incomplete: Whether the trial is incomplete without it.  It is not if the connector has nothing to check.
    """

    def __init__(self, because: str, *, is_incomplete: bool = True) -> None:
        super().__init__(because)
        self.is_incomplete = is_incomplete


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding.

    Attributes:
        kind: What kind it is.
        text: What was sent, and what came of it.
        is_incomplete: Whether the trial is incomplete because of it.
    """

    kind: Kind
    text: str
    is_incomplete: bool = False


@dataclass
class Report:
    """All findings, printed as they are found.

    Attributes:
        write: Prints a line.
        findings: What was found.
        section: Which part of the document the next checks are about.
    """

    write: Callable[[str], None]
    findings: list[Finding] = field(default_factory=list)
    section: str = ""

    def begin(self, title: str, section: str) -> None:
        """Begin a group of checks.

        Args:
            title: What they are about.
            section: The part of the document that says how it must be.
        """
        self.section = section
        self.write("")
        self.write(click.style(title, bold=True))

    def check(self, what: str, good: str, section: str | None = None) -> "Check":
        """Make a check: what is raised inside is its finding.

        Args:
            what: What is sent, in plain words.
            good: What came, if nothing is raised.
            section: The part of the document that says how it must be, if it is another one.
        """
        return Check(self, what, good, section or self.section)

    def leave_out(self, what: str, because: str) -> None:
        """Note that something that has to be checked cannot be checked.

        Args:
            what: What.
            because: Why.
        """
        with self.check(what, ""):
            raise LeftOut(because)

    def note(self, text: str) -> None:
        """Tell something that is neither good nor bad."""
        self.write(f"  {'':8}  {click.style(text, fg=Kind.NOTE.value[1])}")

    def count(self, kind: Kind) -> int:
        """Return how many findings of a kind there are."""
        return sum(finding.kind is kind for finding in self.findings)

    @property
    def is_complete(self) -> bool:
        """Whether all was checked that has to be."""
        return not any(finding.is_incomplete for finding in self.findings)

    def add(self, finding: Finding) -> None:
        """Add a finding, and print it."""
        self.findings.append(finding)
        word, colour = finding.kind.value
        self.write(f"  {click.style(f'{word:8}', fg=colour)}  {finding.text}")


@dataclass(frozen=True, slots=True)
class Check:
    """A check that is being made: what is raised inside ``with`` is its finding, and goes no further.

    Attributes:
        report: Gets the finding.
        what: What is sent, in plain words.
        good: What came, if nothing is raised.
        section: The part of the document that says how it must be.
    """

    report: Report
    what: str
    good: str
    section: str

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, where: TracebackType | None
    ) -> bool:
        """End with a finding; return whether what was raised is one."""
        match raised:
            case None:
                self.report.add(Finding(Kind.GOOD, f"{self.what}: {self.good}"))
            case NotAsAgreed():
                came = f"{raised.came}, but {raised.must} ({_DOCUMENT}#{self.section})"
                self.report.add(Finding(Kind.BAD, f"{self.what}: {came}"))
            case LeftOut():
                self.report.add(Finding(Kind.LEFT_OUT, f"{self.what}: {raised}", raised.is_incomplete))
        return isinstance(raised, NotAsAgreed | LeftOut)


def saying(text: str) -> str:
    """Return what a connector said, short and in one line that no terminal takes for a command."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _LONGEST_SAYING else f"{line[:_LONGEST_SAYING]}…"
