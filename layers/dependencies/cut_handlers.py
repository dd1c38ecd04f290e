"""Keep of botocore's handlers those of every service and of one: each client registers them all.

usage: cut_handlers.py FILE SERVICE

A handler is for an event like ``before-call.s3.PutObject``, or ``before-call`` of any service; ``docs`` is for
documentation.
"""

import ast
import sys
from pathlib import Path

file, service = sys.argv[1:]
path = Path(file)
source = path.read_text()
lines = source.splitlines(keepends=True)


def is_for_others(event: str) -> bool:
    """Return whether an event is not one of the service's."""
    kind, *services = event.split(".")
    return kind == "docs" or services[:1] not in ([], [service])


for statement in ast.parse(source).body:
    match statement:
        case ast.Assign(targets=[ast.Name(id="BUILTIN_HANDLERS")], value=ast.List(elts=handlers)):
            for handler in handlers:
                event = ast.unparse(handler).lstrip("(f'\"").partition("'")[0]
                if is_for_others(event):
                    numbers = range(handler.lineno - 1, handler.end_lineno or handler.lineno)
                    lines[numbers.start : numbers.stop] = [""] * len(numbers)
if lines == source.splitlines(keepends=True):
    sys.exit(f"{path}: no handler is for others")
path.write_text(f"# Changed from what its authors wrote: handlers of other services are left out.\n{''.join(lines)}")
