"""How long the current invocation may still send requests to the database.

Lambda ends a function that takes too long, and then the client gets none of our answers.  So a function stops earlier,
and answers 503.  Outside an invocation there is no deadline.
"""

import math
import time
from contextvars import ContextVar

# Time for what comes after the last request: the answer and its log lines, on a slow processor.
_RESERVE_SECONDS = 0.25

_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


class ending_before:  # noqa: N801 - it is used like a function
    """Sets the deadline for what is done in the context.

    Args:
        remaining_milliseconds: The time that the invocation has left, as Lambda's context tells it.
    """

    def __init__(self, remaining_milliseconds: float) -> None:
        self._ends = time.monotonic() + remaining_milliseconds / 1000 - _RESERVE_SECONDS

    def __enter__(self) -> None:
        self._token = _deadline.set(self._ends)

    def __exit__(self, *_: object) -> None:
        _deadline.reset(self._token)


def seconds_left() -> float:
    """Return how many seconds are left; zero or less means too late, and infinity means that there is no deadline."""
    return _deadline.get() - time.monotonic()
