"""The start of a function: imported before everything else, and ended when the function is ready.

Python's garbage collector is off from this import on.  What is imported stays, so the collector would search all of it
again and again and free nothing.
"""

import gc

gc.disable()


def end() -> None:
    """Turn the collector on again, for what the function allocates from now on."""
    gc.freeze()
    gc.enable()
