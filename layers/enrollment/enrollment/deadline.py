"""How long the current invocation may go on asking the database.

Lambda ends a function that takes too long, and its client gets no answer of ours; so a function stops asking before,
and says so.  Outside an invocation nothing is late.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# For what comes after the last request: the answer and its log lines, on a slow processor.
_RESERVE_SECONDS = 0.25

_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


@contextmanager
def ending_before(remaining_milliseconds: float) -> Iterator[None]:
    """Bound what is done in the context.

    Args:
        remaining_milliseconds: The invocation's, as Lambda's context tells it.
    """
    token = _deadline.set(time.monotonic() + remaining_milliseconds / 1000 - _RESERVE_SECONDS)
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left() -> float:
    """Return how long the database may still be asked; nothing or less is too late, and infinity no bound."""
    return _deadline.get() - time.monotonic()
