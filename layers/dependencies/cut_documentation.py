"""Leave the documentation out of botocore's description of a service, of whose text every start would read each byte.

usage: cut_documentation.py FILE.json.gz

Leaves FILE.json instead, which is read sooner.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

compressed = Path(sys.argv[1])


def without_documentation(found: dict[str, Any]) -> dict[str, Any]:
    """Return a part of a description without what is text for people."""
    if isinstance(found.get("documentation"), str):
        del found["documentation"]
    return found


service = json.loads(gzip.decompress(compressed.read_bytes()), object_hook=without_documentation)
compressed.with_suffix("").write_text(json.dumps(service, separators=(",", ":")))
compressed.unlink()
