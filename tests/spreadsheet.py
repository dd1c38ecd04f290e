"""The changes that a spreadsheet makes to a CSV file when it is opened and saved, as LibreOffice 7.4 makes them.

It runs what begins like a formula, and reads the cells of a column that nobody has formatted as text: numbers lose
their sign, their leading zeros and their separators, booleans are in capitals, times are written in its own way.  A row
loses its empty cells at the end.
"""

import csv
import io
import re
from contextlib import suppress
from datetime import datetime
from decimal import Decimal, InvalidOperation

_FORMULA = re.compile(r"[=@+-]")
_DATES = ("%b %d %Y", "%B %d %Y", "%m/%d %Y", "%H:%M %Y", "%I:%M %p %Y", "%d-%b %Y")
_DATES_WITH_YEAR = ("%b %Y", "%m/%d/%Y")


def opened_and_saved(content: str, *, separator: str = ",", keeps_apostrophes: bool = True) -> str:
    """Return a CSV file as a spreadsheet saves it.

    Args:
        content: The file.
        separator: What the spreadsheet's language puts between cells.
        keeps_apostrophes: Whether an apostrophe before a text stays in the cell, or is taken for a mark and dropped.
    """
    rows = csv.reader(io.StringIO(content, newline=""))
    saved = io.StringIO(newline="")
    writer = csv.writer(saved, delimiter=separator, lineterminator="\r\n")
    for row in rows:
        cells = [_cell(cell, keeps_apostrophes=keeps_apostrophes) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        writer.writerow(cells)
    return saved.getvalue()


def _cell(cell: str, *, keeps_apostrophes: bool) -> str:
    if cell.startswith("'"):
        return cell if keeps_apostrophes else cell[1:]
    if cell.strip().upper() in {"TRUE", "FALSE"}:
        return cell.strip().upper()
    number = cell.strip().lstrip("$€(").rstrip(")%€").replace(",", "")
    with suppress(InvalidOperation):
        if Decimal(number).is_finite():  # a spreadsheet takes neither INF nor NaN for a number
            return f"{Decimal(number):.5E}" if len(number) > 11 else str(Decimal(number).normalize())
    for text, forms in ((f"{cell.strip()} 2024", _DATES), (cell.strip(), _DATES_WITH_YEAR)):
        for form in forms:
            with suppress(ValueError):
                return datetime.strptime(text, form).strftime("%m/%d/%Y %H:%M")  # noqa: DTZ007
    return "Err:509" if _FORMULA.match(cell) else cell
