"""Compile the regular expressions of packages ahead: Python has them as text, and compiles them in each process.

usage: compile_patterns.py SITE MODULE...

Imports the modules from the folder SITE, and writes there, as ``compiled_patterns.py``, what ``re`` makes of their
patterns.  ``enrollment.patterns`` reads it.
"""

import importlib
import re
import sys
from pathlib import Path
from typing import Any, cast

type Call = tuple[Any, ...]

# What ``re`` is made of has no names for others.
_COMPILER = cast("Any", importlib.import_module("re._compiler"))
_ENGINE = cast("Any", importlib.import_module("_sre"))


def calls_while_importing(modules: list[str]) -> dict[tuple[str, int], Call]:
    """Import modules; return for each pattern and its flags how ``re`` calls its engine, without the pattern."""
    compile_text, compile_code = _COMPILER.compile, _ENGINE.compile
    calls: dict[tuple[str, int], Call] = {}
    called: list[Call] = []

    def note_code(*arguments: Any) -> Any:
        called.append(arguments[1:])
        return compile_code(*arguments)

    def note_text(pattern: Any, flags: int = 0) -> Any:
        compiled = compile_text(pattern, flags)
        if isinstance(pattern, str):
            # Some integers are constants that know their names.
            all_flags, code, groups, numbers, names = called[-1]
            calls[pattern, int(flags)] = (int(all_flags), [int(word) for word in code], groups, dict(numbers), names)
        return compiled

    _COMPILER.compile, _ENGINE.compile = note_text, note_code
    re.purge()
    for module in modules:
        importlib.import_module(module)
    _COMPILER.compile, _ENGINE.compile = compile_text, compile_code
    return calls


site, *modules = sys.argv[1:]
sys.path.insert(0, site)
sys.dont_write_bytecode = True
calls = calls_while_importing(modules)
lines = "".join(f"    {key}: {call},\n" for key, call in sorted(calls.items()))
Path(site, "compiled_patterns.py").write_text(f"""# What Python's re makes of patterns, by pattern and flags.
ENGINE = {_ENGINE.MAGIC, _ENGINE.CODESIZE}
CALLS = {{
{lines}}}
""")
