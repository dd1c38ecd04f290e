"""What takes long to make and depends on nothing else than a few texts, kept in files."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

MOST_FILES = 30


def kept(folder: Path, depends_on: Sequence[str], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what was made of the same texts before, else make it and keep it.

    A folder that cannot be read or written keeps nothing, and is no error.  It has a few files at most.

    Args:
        folder: Where the files are.
        depends_on: All that the result depends on.
        make: Makes the result, which must be JSON.
    """
    name = hashlib.sha256(json.dumps([*depends_on]).encode()).hexdigest()
    path = folder / f"{name}.json"
    with suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    made = make()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        _remove_all_but(folder, MOST_FILES - 1)
        # Another process may read it at the same moment, so it appears whole.
        with NamedTemporaryFile("w", dir=folder, suffix=".part", delete=False) as part:
            json.dump(made, part)
        Path(part.name).replace(path)
    return made


def _remove_all_but(folder: Path, number: int) -> None:
    files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in files[number:]:
        file.unlink(missing_ok=True)
