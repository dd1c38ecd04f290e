"""Finds names in a file that an import does not use, such as mistyped ones, and warns of them or refuses them."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from enrollments.directory.rows import BadRow, Kind, Row, nearest_property
from enrollments.files import BadFile

# A file can have any number of names of any length.
_MOST_WARNINGS = 50
_LONGEST_NAME = 100

type Warn = Callable[[int, str, str], None]


class UnusedNames:
    """Warns once of each unused name, or refuses files and rows with unused names.

    Args:
        warn: Takes a line, a name and the reason of the warning.
        strict: Refuse instead of warning.
    """

    def __init__(self, warn: Warn, *, strict: bool) -> None:
        self._warn = warn
        self._strict = strict
        self._warned: set[tuple[str, str | None]] = set()

    def in_header(self, line: int, names: Sequence[str]) -> None:
        """Take the names of columns that no property has.

        Raises:
            BadFile: It refuses them.
        """
        if self._strict:
            refused = "; ".join(f"{_shortened(name)}: {_reason(name, None)}" for name in names)
            raise BadFile(f"{refused}. Nothing was imported", line)
        for name in names:
            self._warn_once(line, name, None)

    def in_rows(self, rows: Iterable[Row | BadRow]) -> Iterator[Row | BadRow]:
        """Yield rows.  If unused names are refused, a row with one becomes a bad row."""
        for row in rows:
            unused = row.unused if isinstance(row, Row) else ()
            if not isinstance(row, Row) or not unused:
                yield row
            elif self._strict:
                yield BadRow(row.line, row.end, [(_shortened(name), _reason(name, row.kind)) for name in unused])
            else:
                for name in unused:
                    self._warn_once(row.line, name, row.kind)
                yield row

    def _warn_once(self, line: int, name: str, kind: Kind | None) -> None:
        key = (name[:_LONGEST_NAME], None if kind is None else kind.name)
        if key in self._warned or len(self._warned) > _MOST_WARNINGS:
            return
        self._warned.add(key)
        if len(self._warned) > _MOST_WARNINGS:
            self._warn(line, "more names", "not used; this is the last warning of this kind")
        else:
            self._warn(line, _shortened(name), f"{_reason(name, kind)}, not used")


def _reason(name: str, kind: Kind | None) -> str:
    what = "unknown column" if kind is None else f"unknown property of an {kind.name}"
    near = nearest_property(name, kind)
    return f"{what} (did you mean {near}?)" if near else what


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
