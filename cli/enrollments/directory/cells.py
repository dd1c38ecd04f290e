"""Cells of CSV: writes properties as texts that a spreadsheet neither runs nor changes, and reads them back.

A spreadsheet runs a cell that begins like a formula.  It changes a cell that looks like a number, a date or a boolean.
An apostrophe before the text prevents both.  LibreOffice keeps the apostrophe in the cell.  Other programs treat it as
their own mark of a text, and drop it.  The import reads both as the original text.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from enrollments.directory.names import trim
from enrollments.directory.rows import NAMES, TEXTS

_MARK = "'"
# The beginnings of a formula, also in full width: https://owasp.org/www-community/attacks/CSV_Injection.  A text that
# begins with an apostrophe gets a second one, so that the import does not take the first one away.
_FORMULA = re.compile(r"[\t\r\n]|[\s\u200b\ufeff]*+['=+\-@\uff1d\uff0b\uff0d\uff20]")
_NUMBER_OR_TIME = re.compile(
    r"(?=\D*\d)[\s$€£¥(+-]*+[\d.,:/\s-]++(?:e[+-]?\d++)?\s*+[%$€£¥)]*+\s*+(?:[ap]\.?m\.?)?\s*+", re.IGNORECASE
)
_DATE = re.compile(
    r"(?=\D*\d)[\d\s./,-]*+"
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)[\d\s./,'-]*+",
    re.IGNORECASE,
)
_BOOLEAN = re.compile(r"\s*+(?:true|false)\s*+", re.IGNORECASE)


def cell_of_text(text: str) -> str:
    """Return the cell for a text."""
    return _MARK + text if _needs_mark(text) else text


def text_of_cell(cell: str) -> str:
    """Return the text of a cell, without its mark if it has one."""
    return cell[1:] if cell.startswith(_MARK) and _needs_mark(cell[1:]) else cell


def properties_of_cells(cells: Mapping[str, str]) -> dict[str, Any]:
    """Return a row's properties as JSON.  An empty cell is null.

    Args:
        cells: The cells by property.
    """
    return {name: _value(name, cell) for name, cell in cells.items()}


def cell_of(resource: Mapping[str, Any], column: str) -> str:
    """Return a property of a resource as a cell of CSV.

    Args:
        resource: The resource as JSON.
        column: The property.  A dot separates an outer property and an inner one.
    """
    value: Any = resource
    for name in column.split("."):
        value = None if value is None else value.get(name)
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return " ".join(value)
    return cell_of_text(str(value)) if column in TEXTS else str(value)


def _needs_mark(text: str) -> bool:
    return bool(
        _FORMULA.match(text) or _NUMBER_OR_TIME.fullmatch(text) or _DATE.fullmatch(text) or _BOOLEAN.fullmatch(text)
    )


def _value(name: str, cell: str) -> Any:
    text = text_of_cell(cell if name in NAMES else trim(cell))
    return _OTHER_THAN_TEXT.get(name, str)(text) if text else None


def _boolean(cell: str) -> str | bool:
    return {"true": True, "false": False}.get(cell.casefold(), cell)


def _ids(cell: str) -> list[str]:
    return [identifier for part in re.split(r"[\s;,]+", cell) if (identifier := trim(part))]


_OTHER_THAN_TEXT: Mapping[str, Callable[[str], Any]] = {
    "is_credential_manager": _boolean,
    "compatible_credential_manager_acs_system_ids": _ids,
}
