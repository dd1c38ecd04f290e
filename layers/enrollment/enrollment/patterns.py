"""Regular expressions of third-party modules, as the layer's build has compiled them.

Python has them as text and compiles them whenever it imports a module that has some: a twentieth of a start, two
fifths of it for what an IPv6 address looks like.  ``re`` cannot keep what it has compiled, so while modules are
imported what it calls inside is replaced.  Its engine checks the code that it is given; where it is another engine than
the build's, and where nothing is built, everything is as ever.
"""

import importlib
from collections.abc import Callable
from typing import Any, cast

_compiler = cast("Any", importlib.import_module("re._compiler"))
_engine = cast("Any", importlib.import_module("_sre"))
_compile: Callable[..., Any] = _compiler.compile


def use_compiled() -> None:
    """Take patterns from the layer, if it has them for this engine."""
    try:
        layer = importlib.import_module("compiled_patterns")
    except ModuleNotFoundError:
        return
    if layer.ENGINE != (_engine.MAGIC, _engine.CODESIZE):
        return

    def take_or_compile(pattern: Any, flags: int = 0) -> Any:
        call = layer.CALLS.get((pattern, flags))
        return _compile(pattern, flags) if call is None else _engine.compile(pattern, *call)

    _compiler.compile = take_or_compile


def compile_all() -> None:
    """Let Python compile every pattern again."""
    _compiler.compile = _compile
