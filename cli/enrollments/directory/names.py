"""Compares names of properties in the forms that people and programs write, and trims blanks around values."""

import unicodedata
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache

# Control and format characters (zero-width ones, byte order marks, directions) and separators of all kinds.
_BLANK = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
# Dashes and underscores.
_JOINING = frozenset({"Pc", "Pd"})
# Longer names are not compared: every known name is far shorter.
_LONGEST_NAME = 100


def trim(text: str) -> str:
    """Return a text without the white space and the invisible characters around it."""
    if text[:1].isalnum() and text[-1:].isalnum():  # the usual case, without a loop
        return text
    start = next((index for index, character in enumerate(text) if not _is_blank(character)), len(text))
    end = next((index for index in range(len(text), start, -1) if not _is_blank(text[index - 1])), start)
    return text[start:end]


@lru_cache(maxsize=1000)
def folded(name: str) -> str:
    """Return a name's common form, which is the same for all its ways of writing.

    Letter case, blanks, hyphens, underscores and dots do not count.  So ``Email Address``, ``email-address``,
    ``emailAddress`` and ``email_address`` have one common form.
    """
    if len(name) > _LONGEST_NAME:
        return name
    return "".join(
        character
        for character in name.casefold()
        if character != "." and unicodedata.category(character) not in _BLANK | _JOINING
    )


def nearest(name: str, known: Mapping[str, str]) -> str | None:
    """Return the property whose name is the most similar, if one is similar enough.

    Args:
        name: The name in the file.
        known: Properties by their folded names.
    """
    if len(name) > _LONGEST_NAME:
        return None
    close = get_close_matches(folded(name), known, n=1)
    return known[close[0]] if close else None


def _is_blank(character: str) -> bool:
    return unicodedata.category(character) in _BLANK
