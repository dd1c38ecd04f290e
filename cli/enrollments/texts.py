"""How commands lay out what they print, and whether somebody can be asked."""

import sys
from collections.abc import Iterator, Sequence

# Ends a line that counts on a terminal, so that another one can take its place.
ERASE_LINE = "\r\x1b[K"


def in_columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows as lines whose columns stand below each other; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def is_at_terminal() -> bool:
    """Return whether there is somebody who can be asked."""
    return sys.stdin.isatty()


def counted(number: int, noun: str) -> str:
    """Return a number with what it counts, for example ``1,000 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
