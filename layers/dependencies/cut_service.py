"""Cut botocore's description of a service down to what is called, of whose text every start would read each byte.

usage: cut_service.py FILE.json.gz OPERATION...

Leaves FILE.json instead, which is read sooner: the operations and the shapes that they need, without documentation.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

compressed, called = Path(sys.argv[1]), set(sys.argv[2:])


def without_documentation(found: dict[str, Any]) -> dict[str, Any]:
    """Return a part of a description without what is text for people."""
    if isinstance(found.get("documentation"), str):
        del found["documentation"]
    return found


def shapes_in(found: Any) -> set[str]:
    """Return the names of the shapes that a part of a description refers to."""
    if isinstance(found, list):
        return set().union(*map(shapes_in, found))
    if not isinstance(found, dict):
        return set()
    referred = {found["shape"]} if isinstance(found.get("shape"), str) else set()
    return referred.union(*map(shapes_in, found.values()))


service = json.loads(gzip.decompress(compressed.read_bytes()), object_hook=without_documentation)
service["operations"] = {name: service["operations"][name] for name in sorted(called)}
needed: set[str] = set()
found = shapes_in(service["operations"])
while found:
    needed |= found
    found = shapes_in([service["shapes"][name] for name in found]) - needed
service["shapes"] = {name: shape for name, shape in service["shapes"].items() if name in needed}
compressed.with_suffix("").write_text(json.dumps(service, separators=(",", ":")))
compressed.unlink()
