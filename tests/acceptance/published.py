"""The published schemas of our routes' answers, cut from Seam's OpenAPI document.

``make published`` renews the cut, ``published_schemas.json``, where the whole document is.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.fixtures import PROJECT

type Json = dict[str, Any]

# Beside the repository; it is not ours to publish as a whole.
ORIGINAL = PROJECT / os.environ.get("PUBLISHED_DOCUMENT", "../shared/contract/seam-openapi.json")
CUT = Path(__file__).with_name("published_schemas.json")

_SILENT = {"deprecated", "description", "title"}
_REFERENCE = "#/components/schemas/"


def cut(original: Json, paths: list[str]) -> Json:
    """Return the schemas of what some routes answer with when all is well, and those that they refer to.

    Args:
        original: The OpenAPI document.
        paths: The routes.
    """
    answers = {
        path: _without_words(operation["responses"]["200"]["content"]["application/json"]["schema"])
        for path in paths
        for operation in [original["paths"][path]["post"]]
    }
    named: Json = {}
    unread = _references(answers)
    while unread:
        name = unread.pop()
        named[name] = _without_words(original["components"]["schemas"][name])
        unread |= _references(named[name]) - named.keys()
    return {"answers": answers, "components": {"schemas": dict(sorted(named.items()))}}


def _without_words(schema: Any, *, is_schema: bool = True) -> Any:
    if isinstance(schema, list):
        return [_without_words(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_words(value, is_schema=not (is_schema and key == "properties"))
        for key, value in sorted(schema.items())
        # A property can be called "description" too.
        if not is_schema or (key not in _SILENT and not key.startswith("x-"))
    }


def _references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {name for member in schema for name in _references(member)}
    if not isinstance(schema, dict):
        return set()
    if isinstance(reference := schema.get("$ref"), str):
        return {reference.removeprefix(_REFERENCE)}
    return {name for value in schema.values() for name in _references(value)}


def our_cut() -> Json:
    """Return the cut for the routes of ``openapi.json``, of the document as it is now."""
    paths = sorted(json.loads((PROJECT / "openapi.json").read_text())["paths"])
    return cut(json.loads(ORIGINAL.read_text()), paths)


if __name__ == "__main__":
    if not ORIGINAL.is_file():
        sys.exit(f"Seam's OpenAPI document is not at {ORIGINAL}; name it with: PUBLISHED_DOCUMENT=PATH make published")
    CUT.write_text(json.dumps(our_cut(), indent=1) + "\n")
