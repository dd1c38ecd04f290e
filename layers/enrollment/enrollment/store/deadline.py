"""How long the current invocation may go on asking the database.

Lambda ends a function that takes too long, and its client gets no answer of ours; so a function stops asking before,
and says so.  Outside an invocation nothing is late.
"""

import math
import time
from contextvars import ContextVar

# For what comes after the last request: the answer and its log lines, on a slow processor.
_RESERVE_SECONDS = 0.25

_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


class ending_before:  # noqa: N801 - a context manager, as cheap as they are: every request is in one
    """Bounds what is done in the context.

    Args:
        remaining_milliseconds: The invocation's, as Lambda's context tells it.
    """

    def __init__(self, remaining_milliseconds: float) -> None:
        self._ends = time.monotonic() + remaining_milliseconds / 1000 - _RESERVE_SECONDS

    def __enter__(self) -> None:
        self._token = _deadline.set(self._ends)

    def __exit__(self, *_: object) -> None:
        _deadline.reset(self._token)


def seconds_left() -> float:
    """Return how long the database may still be asked; nothing or less is too late, and infinity no bound."""
    return _deadline.get() - time.monotonic()
