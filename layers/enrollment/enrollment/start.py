"""The start of a function, whose every millisecond a cold request waits for: the first import of each.

What is imported stays, so the collector would look through all of it again and again and find nothing, for a tenth of
the start.

Most of what is imported is Python's, and Lambda has Python's folder behind those of the function and its layers.

CPython keeps the frames of Python's functions in chunks of 16 KiB, and maps and unmaps the next one at each call beyond
the edge.  Imports nest dozens deep, and where an edge happens to be where thousands of calls are, a start takes a
twentieth longer, or an eighth where patterns are compiled.  So what is deep is imported first, from up here.
"""

import gc

gc.disable()

import os  # noqa: E402
import sys  # noqa: E402

from enrollment.patterns import compile_all, use_compiled  # noqa: E402

_python = os.path.dirname(os.__file__)  # noqa: PTH120 - pathlib is not imported yet
sys.path.sort(key=lambda folder: folder not in {_python, f"{_python}/lib-dynload"})
use_compiled()

# isort: split
import urllib3  # noqa: E402, F401

# isort: split
import botocore.compat  # noqa: E402
import botocore.utils  # noqa: E402, F401


def started() -> None:
    """Let the collector begin, with what is allocated from now on; to be called when the function is ready."""
    compile_all()
    gc.freeze()
    gc.enable()
