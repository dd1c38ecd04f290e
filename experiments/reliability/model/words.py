"""How texts are compared and found."""

from unicodedata import normalize


def same_email(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one.lower() == other.lower()


def first(*values: str | None) -> str:
    return next(value for value in values if value)


def holds(search: str | None, *values: str | None) -> bool:
    return search is None or any(value is not None and _alike(search) in _alike(value) for value in values)


def _alike(text: str) -> str:
    """Return a text without regard to case, its accents as parts of their letters wherever Unicode has such letters."""
    without_case = "".join(character.casefold() for character in normalize("NFD", text))
    return normalize("NFC", without_case)
