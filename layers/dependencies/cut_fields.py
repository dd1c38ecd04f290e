"""Leave the fields out of a module's typed dictionaries, where they are for type checkers only.

usage: cut_fields.py FILE

Python compiles the text of each at every start.
"""

import ast
import sys
from pathlib import Path

path = Path(sys.argv[1])
source = path.read_text()
lines = source.splitlines(keepends=True)
dictionaries = {"TypedDict"}
for definition in ast.parse(source).body:
    if not isinstance(definition, ast.ClassDef) or not dictionaries & {ast.unparse(base) for base in definition.bases}:
        continue
    dictionaries.add(definition.name)
    for field in definition.body:
        if isinstance(field, ast.AnnAssign):
            lines[field.lineno - 1 : field.end_lineno] = [""] * (1 + (field.end_lineno or field.lineno) - field.lineno)
    lines[definition.body[-1].lineno - 1] += "    pass\n"
if len(dictionaries) == 1:
    sys.exit(f"{path}: there are no typed dictionaries")
path.write_text(f"# Changed from what its authors wrote: typed dictionaries have no fields.\n{''.join(lines)}")
