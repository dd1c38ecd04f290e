"""Keeps Python's garbage collector off while a function starts.

What is imported stays, so the collector would search all of it again and again and free nothing.
"""

import gc

gc.disable()


def end() -> None:
    """Turn the collector on again; it looks only at what is allocated from now on."""
    gc.freeze()
    gc.enable()
